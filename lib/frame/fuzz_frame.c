/* Differential: pst_frame_parse against a slow reader of the same RFCs that was written apart from
 * it. It keeps no cursor: the frame is cut into layers, each a copy of its own that knows its size,
 * and the checksum is summed over an assembled pseudo-packet. Input: a raw Ethernet frame. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
	uint8_t *at;
	size_t len;
};

struct datagram {
	uint8_t src[16], dst[16];
	unsigned src_port, dst_port;
	size_t payload_off, payload_len; /* in the frame */
	int version;
};

static struct bytes
cut(struct bytes from, size_t off, size_t len)
{
	struct bytes piece = {malloc(len ? len : 1), len};
	if (!piece.at || off + len > from.len)
		abort();
	memcpy(piece.at, from.at + off, len);
	return piece;
}

static unsigned
u16(struct bytes b, size_t off)
{
	if (off + 2 > b.len)
		abort();
	return b.at[off] * 256u + b.at[off + 1];
}

/* The folded sum of 16-bit words, carries put back one by one. */
static unsigned
ones_sum(struct bytes b)
{
	unsigned sum = 0;
	for (size_t i = 0; i < b.len; i += 2) {
		sum += i + 1 < b.len ? u16(b, i) : b.at[i] * 256u;
		if (sum > 0xffff)
			sum -= 0xffff;
	}
	return sum;
}

static enum pst_frame_verdict
plain_udp(struct bytes udp, size_t frame_off, enum pst_checksum policy, unsigned offload,
	struct datagram *out)
{
	if (udp.len < 8)
		return PST_FRAME_UDP_SHORT;
	size_t len = u16(udp, 4);
	if (len < 8 || len > udp.len)
		return PST_FRAME_UDP_LENGTH;
	out->src_port = u16(udp, 0);
	out->dst_port = u16(udp, 2);
	out->payload_off = frame_off + 8;
	out->payload_len = len - 8;

	unsigned field = u16(udp, 6);
	if (field == 0 && out->version == 4)
		return PST_FRAME_CARRIED;
	if (field == 0)
		return PST_FRAME_UDP_CHECKSUM_MISSING;
	if (policy == PST_CHECKSUM_NIC && (offload & PST_FRAME_UDP_BAD))
		return PST_FRAME_UDP_CHECKSUM;
	if (policy == PST_CHECKSUM_NIC && (offload & PST_FRAME_UDP_GOOD))
		return PST_FRAME_CARRIED;

	/* source, destination, length as 32 bits, protocol as 32 bits; then the datagram */
	static uint8_t packet[40 + 65536];
	memcpy(packet, out->src, 16);
	memcpy(packet + 16, out->dst, 16);
	if (out->version == 4) {
		memset(packet, 0, 12);
		memset(packet + 16, 0, 12);
	}
	memcpy(packet + 32, (uint8_t[]){0, 0, (uint8_t)(len >> 8), (uint8_t)len, 0, 0, 0, 17}, 8);
	memcpy(packet + 40, udp.at, len);
	bool whole = ones_sum((struct bytes){packet, 40 + len}) == 0xffff;
	bool partial = ones_sum((struct bytes){packet, 40}) == field;
	return whole || (partial && policy == PST_CHECKSUM_LOCAL) ? PST_FRAME_CARRIED
								  : PST_FRAME_UDP_CHECKSUM;
}

static enum pst_frame_verdict
plain_ipv4(struct bytes ip, size_t frame_off, enum pst_checksum policy, unsigned offload,
	struct datagram *out)
{
	if (ip.len < 20)
		return PST_FRAME_IPV4_SHORT;
	if (ip.at[0] / 16 != 4)
		return PST_FRAME_IPV4_VERSION;
	size_t header_len = ip.at[0] % 16 * 4;
	if (header_len < 20 || header_len > ip.len)
		return PST_FRAME_IPV4_HEADER_LENGTH;
	size_t total_len = u16(ip, 2);
	if (total_len < header_len || total_len > ip.len)
		return PST_FRAME_IPV4_TOTAL_LENGTH;

	struct bytes header = cut(ip, 0, header_len);
	bool good = ones_sum(header) == 0xffff;
	free(header.at);
	if (policy == PST_CHECKSUM_NIC && (offload & PST_FRAME_IP_GOOD))
		good = true;
	if (policy == PST_CHECKSUM_NIC && (offload & PST_FRAME_IP_BAD))
		good = false;
	if (!good)
		return PST_FRAME_IPV4_CHECKSUM;
	if (ip.at[9] != 17)
		return PST_FRAME_NOT_UDP;
	bool more_fragments = ip.at[6] & 0x20;
	unsigned fragment_offset = u16(ip, 6) % 8192;
	if (more_fragments || fragment_offset > 0)
		return PST_FRAME_IP_FRAGMENT;

	memset(out->src, 0, 32);
	out->src[10] = out->src[11] = out->dst[10] = out->dst[11] = 0xff;
	memcpy(out->src + 12, ip.at + 12, 4);
	memcpy(out->dst + 12, ip.at + 16, 4);
	out->version = 4;
	struct bytes udp = cut(ip, header_len, total_len - header_len);
	enum pst_frame_verdict verdict = plain_udp(
		udp, frame_off + header_len, policy, offload, out);
	free(udp.at);
	return verdict;
}

static bool
is_mapped(const uint8_t addr[16])
{
	for (int i = 0; i < 10; i++)
		if (addr[i])
			return false;
	return addr[10] == 0xff && addr[11] == 0xff;
}

/* What follows an IPv6 header; kind is that of the first byte, depth the extensions so far. */
static enum pst_frame_verdict
plain_ipv6_rest(struct bytes rest, unsigned kind, int depth, size_t frame_off,
	enum pst_checksum policy, unsigned offload, struct datagram *out)
{
	size_t len;
	switch (kind) {
	case 17:
		return plain_udp(rest, frame_off, policy, offload, out);
	case 0:
	case 43:
	case 60:
		len = rest.len >= 8 ? 8 + rest.at[1] * 8u : 8;
		break;
	case 44:
		len = 8;
		break;
	case 51:
		len = rest.len >= 8 ? 8 + rest.at[1] * 4u : 8;
		break;
	default:
		return PST_FRAME_NOT_UDP;
	}
	if (depth >= 8 || len > rest.len)
		return PST_FRAME_IPV6_EXTENSION;
	unsigned next = rest.at[0];
	if (kind == 44 && (u16(rest, 2) / 8 > 0 || rest.at[3] % 2 == 1)) {
		bool may_be_udp = next == 17 || next == 0 || next == 43 || next == 44 ||
				  next == 51 || next == 60;
		return may_be_udp ? PST_FRAME_IP_FRAGMENT : PST_FRAME_NOT_UDP;
	}
	struct bytes inner = cut(rest, len, rest.len - len);
	enum pst_frame_verdict verdict = plain_ipv6_rest(
		inner, next, depth + 1, frame_off + len, policy, offload, out);
	free(inner.at);
	return verdict;
}

static enum pst_frame_verdict
plain_ipv6(struct bytes ip, size_t frame_off, enum pst_checksum policy, unsigned offload,
	struct datagram *out)
{
	if (ip.len < 40)
		return PST_FRAME_IPV6_SHORT;
	if (ip.at[0] / 16 != 6)
		return PST_FRAME_IPV6_VERSION;
	size_t payload_len = u16(ip, 4);
	if (40 + payload_len > ip.len)
		return PST_FRAME_IPV6_PAYLOAD_LENGTH;
	memcpy(out->src, ip.at + 8, 16);
	memcpy(out->dst, ip.at + 24, 16);
	if (is_mapped(out->src) || is_mapped(out->dst))
		return PST_FRAME_IPV6_MAPPED;
	out->version = 6;
	struct bytes rest = cut(ip, 40, payload_len);
	enum pst_frame_verdict verdict = plain_ipv6_rest(
		rest, ip.at[6], 0, frame_off + 40, policy, offload, out);
	free(rest.at);
	return verdict;
}

static enum pst_frame_verdict
plain_parse(struct bytes frame, enum pst_checksum policy, unsigned offload, struct datagram *out)
{
	size_t off = 12;
	if (frame.len < 14)
		return PST_FRAME_ETHERNET_SHORT;
	for (int tags = 0;; tags++) {
		unsigned type = u16(frame, off);
		if (type != 0x8100 && type != 0x88a8 && type != 0x9100)
			break;
		if (tags == 2)
			return PST_FRAME_VLAN_DEPTH;
		off += 4;
		if (off + 2 > frame.len)
			return PST_FRAME_VLAN_SHORT;
	}
	unsigned type = u16(frame, off);
	if (type != 0x0800 && type != 0x86dd)
		return PST_FRAME_NOT_IP;
	off += 2;
	struct bytes ip = cut(frame, off, frame.len - off);
	enum pst_frame_verdict verdict = type == 0x0800 ? plain_ipv4(ip, off, policy, offload, out)
							: plain_ipv6(ip, off, policy, offload, out);
	free(ip.at);
	return verdict;
}

#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "differs: %s (policy %s, offload %u, %s, plain %s)\n",     \
				#what, pst_checksum_name(policy), offload,                         \
				pst_frame_verdict_name(got), pst_frame_verdict_name(want));        \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static void
compare(const uint8_t *data, size_t size, enum pst_checksum policy, unsigned offload)
{
	struct pst_frame frame;
	struct datagram plain;
	enum pst_frame_verdict got = pst_frame_parse(data, (uint32_t)size, policy, offload, &frame);
	enum pst_frame_verdict want = plain_parse(
		(struct bytes){(uint8_t *)data, size}, policy, offload, &plain);
	CHECK(got == want);
	if (got != PST_FRAME_CARRIED)
		return;
	CHECK(frame.payload == data + plain.payload_off);
	CHECK(frame.payload_len == plain.payload_len);
	CHECK(frame.payload_len + plain.payload_off <= size);
	CHECK(frame.src_port == plain.src_port && frame.dst_port == plain.dst_port);
	CHECK(memcmp(frame.src.bytes, plain.src, 16) == 0);
	CHECK(memcmp(frame.dst.bytes, plain.dst, 16) == 0);
	CHECK(frame.is_ipv6 == (plain.version == 6));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	compare(data, size, PST_CHECKSUM_STRICT, 0xf);
	compare(data, size, PST_CHECKSUM_LOCAL, 0xf);
	for (unsigned offload = 0; offload < 16; offload++)
		compare(data, size, PST_CHECKSUM_NIC, offload);
	return 0;
}
