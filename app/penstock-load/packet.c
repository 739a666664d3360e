#include "packet.h"

#include <string.h>

#include "base/base.h"

#define ETHER_IPV4 0x0800u
#define ETHER_IPV6 0x86DDu
#define ETHER_QTAG 0x8100u
#define ETHER_STAG 0x88A8u
#define ETHER_TEST 0x88B5u /* IEEE 802: local experiments */
#define PROTO_UDP  17u
#define PROTO_TEST 253u /* RFC 3692: experiments */

/* RFC 1071 sum of 16-bit words, not yet folded. */
static uint64_t
sum_words(const uint8_t *data, uint32_t len, uint64_t sum)
{
	for (; len >= 2; data += 2, len -= 2)
		sum += pst_load_be16(data);
	return len ? sum + ((uint64_t)data[0] << 8) : sum;
}

static uint16_t
checksum(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static const uint8_t *
ipv4_bytes(const struct pst_addr *addr)
{
	return addr->bytes + 12;
}

static uint32_t
put_ethernet(uint8_t *out, const struct load_packet *p, uint16_t ether_type)
{
	uint32_t at = 12;

	memcpy(out, p->dst.mac, 6);
	memcpy(out + 6, p->src.mac, 6);
	for (unsigned i = 0; i < p->vlan_cnt; i++) {
		/* All but the innermost are service tags. */
		pst_store_be16(out + at, i + 1 < p->vlan_cnt ? ETHER_STAG : ETHER_QTAG);
		pst_store_be16(out + at + 2, p->vlans[i]);
		at += 4;
	}
	pst_store_be16(out + at, ether_type);
	return at + 2;
}

static uint32_t
put_ipv4(uint8_t *out, const struct load_packet *p, uint16_t udp_len, enum pst_frame_verdict defect)
{
	uint16_t total = (uint16_t)(20 + udp_len);

	memset(out, 0, 20);
	out[0] = defect == PST_FRAME_IPV4_VERSION ? 0x55 : 0x45;
	if (defect == PST_FRAME_IPV4_HEADER_LENGTH)
		out[0] = 0x44;
	if (defect == PST_FRAME_IPV4_TOTAL_LENGTH)
		total++; /* one byte more than there is */
	pst_store_be16(out + 2, total);
	pst_store_be16(out + 4, p->ip_id);
	/* Don't fragment; or: more fragments follow. */
	pst_store_be16(out + 6, defect == PST_FRAME_IP_FRAGMENT ? 0x2000 : 0x4000);
	out[8] = 64;
	out[9] = defect == PST_FRAME_NOT_UDP ? PROTO_TEST : PROTO_UDP;
	memcpy(out + 12, ipv4_bytes(&p->src.addr), 4);
	memcpy(out + 16, ipv4_bytes(&p->dst.addr), 4);
	uint16_t sum = checksum(sum_words(out, 20, 0));
	pst_store_be16(out + 10, defect == PST_FRAME_IPV4_CHECKSUM ? sum ^ 0x0101 : sum);
	return 20;
}

static uint32_t
put_ipv6(uint8_t *out, const struct load_packet *p, uint16_t udp_len, enum pst_frame_verdict defect)
{
	pst_store_be32(out, defect == PST_FRAME_IPV6_VERSION ? 0x50000000u : 0x60000000u);
	pst_store_be16(out + 4,
		defect == PST_FRAME_IPV6_PAYLOAD_LENGTH ? (uint16_t)(udp_len + 1) : udp_len);
	out[6] = defect == PST_FRAME_NOT_UDP ? PROTO_TEST : PROTO_UDP;
	out[7] = 64;
	memcpy(out + 8, p->src.addr.bytes, 16);
	memcpy(out + 24, p->dst.addr.bytes, 16);
	return 40;
}

static void
put_udp(uint8_t *out, const struct load_packet *p, const uint8_t *payload, uint32_t payload_len,
	enum pst_frame_verdict defect)
{
	uint16_t udp_len = (uint16_t)(8 + payload_len);

	pst_store_be16(out, p->src.port);
	pst_store_be16(out + 2, p->dst.port);
	/* The sum is of the length as written: that defect is not to look like a wrong sum. */
	pst_store_be16(out + 4, defect == PST_FRAME_UDP_LENGTH ? (uint16_t)(udp_len + 1) : udp_len);
	pst_store_be16(out + 6, 0);
	memcpy(out + 8, payload, payload_len);

	uint64_t sum = PROTO_UDP + pst_load_be16(out + 4);
	if (pst_addr_is_ipv4(&p->dst.addr)) {
		sum = sum_words(ipv4_bytes(&p->src.addr), 4, sum);
		sum = sum_words(ipv4_bytes(&p->dst.addr), 4, sum);
	} else {
		sum = sum_words(p->src.addr.bytes, 16, sum);
		sum = sum_words(p->dst.addr.bytes, 16, sum);
	}
	uint16_t check = checksum(sum_words(out, udp_len, sum));
	if (check == 0)
		check = 0xffff; /* RFC 768: zero means that there is none */
	if (defect == PST_FRAME_UDP_CHECKSUM) {
		check ^= 0x0101;
		if (check == 0)
			check = 0x0202;
	}
	pst_store_be16(out + 6, defect == PST_FRAME_UDP_CHECKSUM_MISSING ? 0 : check);
}

uint32_t
load_packet_build(uint8_t *out, const struct load_packet *p, const uint8_t *payload,
	uint32_t payload_len, enum pst_frame_verdict defect)
{
	bool ipv4 = pst_addr_is_ipv4(&p->dst.addr);
	uint16_t udp_len = (uint16_t)(8 + payload_len);

	if (defect == PST_FRAME_NOT_IP) {
		uint32_t at = put_ethernet(out, p, ETHER_TEST);
		memset(out + at, 0, 46);
		return at + 46;
	}
	if (defect == PST_FRAME_UDP_SHORT)
		udp_len = 7; /* of IP's payload; the rest of the frame looks like padding */
	uint32_t at = put_ethernet(out, p, ipv4 ? ETHER_IPV4 : ETHER_IPV6);
	if (defect == PST_FRAME_ETHERNET_SHORT)
		return 13;
	at += ipv4 ? put_ipv4(out + at, p, udp_len, defect)
		   : put_ipv6(out + at, p, udp_len, defect);
	if (defect == PST_FRAME_IPV4_SHORT || defect == PST_FRAME_IPV6_SHORT)
		return at - 1;
	put_udp(out + at, p, payload, payload_len, defect);
	return at + 8 + payload_len;
}

unsigned
load_packet_defects(
	const struct load_packet *p, enum pst_frame_verdict defects[PST_FRAME_VERDICT_CNT])
{
	static const enum pst_frame_verdict ipv4[] = {PST_FRAME_IPV4_SHORT, PST_FRAME_IPV4_VERSION,
		PST_FRAME_IPV4_HEADER_LENGTH, PST_FRAME_IPV4_TOTAL_LENGTH, PST_FRAME_IPV4_CHECKSUM,
		PST_FRAME_IP_FRAGMENT};
	static const enum pst_frame_verdict ipv6[] = {PST_FRAME_IPV6_SHORT, PST_FRAME_IPV6_VERSION,
		PST_FRAME_IPV6_PAYLOAD_LENGTH, PST_FRAME_UDP_CHECKSUM_MISSING};
	static const enum pst_frame_verdict both[] = {PST_FRAME_UDP_SHORT, PST_FRAME_UDP_LENGTH,
		PST_FRAME_UDP_CHECKSUM, PST_FRAME_NOT_IP, PST_FRAME_NOT_UDP};
	bool is_ipv4 = pst_addr_is_ipv4(&p->dst.addr);
	unsigned own_cnt = is_ipv4 ? PST_ARRAY_CNT(ipv4) : PST_ARRAY_CNT(ipv6);

	memcpy(defects, is_ipv4 ? ipv4 : ipv6, own_cnt * sizeof(*defects));
	memcpy(defects + own_cnt, both, sizeof(both));
	return own_cnt + PST_ARRAY_CNT(both);
}
