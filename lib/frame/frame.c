#include "frame/frame.h"

#include <net/ethernet.h>

#include "frame/checksum.h"

#define ETHERNET_ADDRS_LEN 12
#define ETHERTYPE_QINQ     0x88a8 /* 802.1ad */
#define ETHERTYPE_QINQ_OLD 0x9100 /* before 802.1ad */
#define VLAN_TAG_CNT_MAX   2
#define IPV4_HEADER_MIN    20
#define IPV4_FRAGMENT      0x3fff /* more fragments, or an offset */
#define IPV6_HEADER_LEN    40
#define IPV6_EXT_CNT_MAX   8
#define IPV6_EXT_MIN       8
#define IPV6_FRAGMENT      0xfff9 /* offset and M; the two bits between are reserved */
#define UDP_HEADER_LEN     8

static const uint8_t ipv4_mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* What is left of the frame. */
struct cursor {
	const uint8_t *at;
	uint32_t left;
};

static inline void
cursor_advance(struct cursor *c, uint32_t len)
{
	c->at += len;
	c->left -= len;
}

const char *
pst_checksum_name(enum pst_checksum checksum)
{
	static const char *const names[] = {
		[PST_CHECKSUM_STRICT] = "strict",
		[PST_CHECKSUM_LOCAL] = "local",
		[PST_CHECKSUM_NIC] = "nic",
	};
	PST_ASSERT((unsigned)checksum < PST_ARRAY_CNT(names));
	return names[checksum];
}

const char *
pst_frame_verdict_name(enum pst_frame_verdict verdict)
{
	static const char *const names[] = {
#define PST_X(sym, name, class) [PST_FRAME_##sym] = name,
		PST_FRAME_VERDICTS(PST_X)
#undef PST_X
	};
	PST_ASSERT((unsigned)verdict < PST_FRAME_VERDICT_CNT);
	return names[verdict];
}

enum pst_frame_class
pst_frame_verdict_class(enum pst_frame_verdict verdict)
{
	static const uint8_t classes[] = {
#define PST_X(sym, name, class) [PST_FRAME_##sym] = PST_FRAME_CLASS_##class,
		PST_FRAME_VERDICTS(PST_X)
#undef PST_X
	};
	PST_ASSERT((unsigned)verdict < PST_FRAME_VERDICT_CNT);
	return (enum pst_frame_class)classes[verdict];
}

static inline bool
is_vlan(uint16_t ethertype)
{
	return ethertype == ETHERTYPE_VLAN || ethertype == ETHERTYPE_QINQ ||
	       ethertype == ETHERTYPE_QINQ_OLD;
}

/* Leaves the cursor behind the last EtherType. CARRIED: go on. */
static inline enum pst_frame_verdict
parse_ethernet(struct cursor *c, uint16_t *ethertype)
{
	if (pst_unlikely(c->left < ETHERNET_ADDRS_LEN + 2))
		return PST_FRAME_ETHERNET_SHORT;
	*ethertype = pst_load_be16(c->at + ETHERNET_ADDRS_LEN);
	cursor_advance(c, ETHERNET_ADDRS_LEN + 2);
	for (int tag_cnt = 0; is_vlan(*ethertype); tag_cnt++) {
		if (pst_unlikely(tag_cnt == VLAN_TAG_CNT_MAX))
			return PST_FRAME_VLAN_DEPTH;
		if (pst_unlikely(c->left < 4))
			return PST_FRAME_VLAN_SHORT;
		*ethertype = pst_load_be16(c->at + 2);
		cursor_advance(c, 4);
	}
	return PST_FRAME_CARRIED;
}

static inline bool
ipv4_checksum_good(
	const uint8_t *ip, uint32_t header_len, enum pst_checksum policy, unsigned offload)
{
	if (policy == PST_CHECKSUM_NIC && (offload & (PST_FRAME_IP_GOOD | PST_FRAME_IP_BAD)))
		return !(offload & PST_FRAME_IP_BAD);
	return pst_checksum_fold(pst_checksum_sum(0, ip, header_len)) == PST_CHECKSUM_GOOD;
}

/* Leaves the cursor on the UDP header, its end cut to the IP packet's. */
static inline enum pst_frame_verdict
parse_ipv4(struct cursor *c, enum pst_checksum policy, unsigned offload, struct pst_frame *frame)
{
	const uint8_t *ip = c->at;
	if (pst_unlikely(c->left < IPV4_HEADER_MIN))
		return PST_FRAME_IPV4_SHORT;
	if (pst_unlikely(ip[0] >> 4 != 4))
		return PST_FRAME_IPV4_VERSION;
	memcpy(frame->src.bytes, ipv4_mapped, sizeof(ipv4_mapped));
	memcpy(frame->src.bytes + 12, ip + 12, 4);
	memcpy(frame->dst.bytes, ipv4_mapped, sizeof(ipv4_mapped));
	memcpy(frame->dst.bytes + 12, ip + 16, 4);
	frame->is_ipv6 = false;
	uint32_t header_len = (ip[0] & 0x0fu) * 4;
	if (pst_unlikely(header_len < IPV4_HEADER_MIN || header_len > c->left))
		return PST_FRAME_IPV4_HEADER_LENGTH;
	uint32_t total_len = pst_load_be16(ip + 2);
	if (pst_unlikely(total_len < header_len || total_len > c->left))
		return PST_FRAME_IPV4_TOTAL_LENGTH;
	if (pst_unlikely(!ipv4_checksum_good(ip, header_len, policy, offload)))
		return PST_FRAME_IPV4_CHECKSUM;
	if (ip[9] != IPPROTO_UDP)
		return PST_FRAME_NOT_UDP;
	if (pst_unlikely(pst_load_be16(ip + 6) & IPV4_FRAGMENT))
		return PST_FRAME_IP_FRAGMENT;
	c->at += header_len;
	c->left = total_len - header_len;
	return PST_FRAME_CARRIED;
}

static inline bool
is_ipv6_extension(uint8_t next_header)
{
	return next_header == IPPROTO_HOPOPTS || next_header == IPPROTO_ROUTING ||
	       next_header == IPPROTO_FRAGMENT || next_header == IPPROTO_DSTOPTS ||
	       next_header == IPPROTO_AH;
}

/* Walks the chain of extension headers; leaves the cursor behind it. */
static enum pst_frame_verdict
parse_ipv6_extensions(struct cursor *c, uint8_t next_header)
{
	for (int ext_cnt = 0; is_ipv6_extension(next_header); ext_cnt++) {
		if (ext_cnt == IPV6_EXT_CNT_MAX || c->left < IPV6_EXT_MIN)
			return PST_FRAME_IPV6_EXTENSION;
		uint32_t ext_len = (c->at[1] + 1u) * 8;
		if (next_header == IPPROTO_FRAGMENT)
			ext_len = 8; /* its second byte is reserved */
		else if (next_header == IPPROTO_AH)
			ext_len = (c->at[1] + 2u) * 4; /* RFC 4302 counts otherwise */
		if (ext_len > c->left)
			return PST_FRAME_IPV6_EXTENSION;
		bool fragment = next_header == IPPROTO_FRAGMENT &&
				(pst_load_be16(c->at + 2) & IPV6_FRAGMENT);
		next_header = c->at[0];
		if (fragment)
			/* A fragment of something that cannot be UDP is not ours to reject. */
			return next_header == IPPROTO_UDP || is_ipv6_extension(next_header)
				       ? PST_FRAME_IP_FRAGMENT
				       : PST_FRAME_NOT_UDP;
		cursor_advance(c, ext_len);
	}
	return next_header == IPPROTO_UDP ? PST_FRAME_CARRIED : PST_FRAME_NOT_UDP;
}

/* Leaves the cursor on the UDP header, its end cut to the IP packet's. */
static inline enum pst_frame_verdict
parse_ipv6(struct cursor *c, struct pst_frame *frame)
{
	const uint8_t *ip = c->at;
	if (pst_unlikely(c->left < IPV6_HEADER_LEN))
		return PST_FRAME_IPV6_SHORT;
	if (pst_unlikely(ip[0] >> 4 != 6))
		return PST_FRAME_IPV6_VERSION;
	memcpy(frame->src.bytes, ip + 8, 16);
	memcpy(frame->dst.bytes, ip + 24, 16);
	uint32_t payload_len = pst_load_be16(ip + 4);
	if (pst_unlikely(payload_len > c->left - IPV6_HEADER_LEN))
		return PST_FRAME_IPV6_PAYLOAD_LENGTH;
	if (pst_unlikely(pst_addr_is_ipv4(&frame->src) || pst_addr_is_ipv4(&frame->dst)))
		return PST_FRAME_IPV6_MAPPED;
	frame->is_ipv6 = true;
	c->at += IPV6_HEADER_LEN;
	c->left = payload_len;
	if (pst_likely(ip[6] == IPPROTO_UDP))
		return PST_FRAME_CARRIED;
	return parse_ipv6_extensions(c, ip[6]);
}

/* addrs: the IP header's source and destination. */
static inline enum pst_frame_verdict
check_udp(const uint8_t *udp, uint32_t udp_len, const uint8_t *addrs, bool is_ipv6,
	enum pst_checksum policy, unsigned offload)
{
	uint16_t field; /* in memory order, as the sums are */
	memcpy(&field, udp + 6, sizeof(field));
	/* Looked at before the NIC's opinion: some call the absent checksum a bad one. */
	if (field == 0)
		return is_ipv6 ? PST_FRAME_UDP_CHECKSUM_MISSING : PST_FRAME_CARRIED;
	if (policy == PST_CHECKSUM_NIC && (offload & (PST_FRAME_UDP_GOOD | PST_FRAME_UDP_BAD)))
		return offload & PST_FRAME_UDP_BAD ? PST_FRAME_UDP_CHECKSUM : PST_FRAME_CARRIED;
	uint64_t pseudo = is_ipv6 ? pst_checksum_pseudo_ipv6(addrs, udp)
				  : pst_checksum_pseudo_ipv4(addrs, udp);
	/* First, as a local sender's is nearly always partial: this reads no payload. */
	if (policy == PST_CHECKSUM_LOCAL && field == pst_checksum_fold(pseudo))
		return PST_FRAME_CARRIED;
	if (pst_checksum_fold(pst_checksum_sum(pseudo, udp, udp_len)) == PST_CHECKSUM_GOOD)
		return PST_FRAME_CARRIED;
	return PST_FRAME_UDP_CHECKSUM;
}

static inline enum pst_frame_verdict
parse_udp(const struct cursor *c, const uint8_t *addrs, enum pst_checksum policy, unsigned offload,
	struct pst_frame *frame)
{
	const uint8_t *udp = c->at;
	if (pst_unlikely(c->left < UDP_HEADER_LEN))
		return PST_FRAME_UDP_SHORT;
	uint32_t udp_len = pst_load_be16(udp + 4);
	if (pst_unlikely(udp_len < UDP_HEADER_LEN || udp_len > c->left))
		return PST_FRAME_UDP_LENGTH;
	frame->src_port = pst_load_be16(udp);
	frame->dst_port = pst_load_be16(udp + 2);
	frame->payload = udp + UDP_HEADER_LEN;
	frame->payload_len = (uint16_t)(udp_len - UDP_HEADER_LEN);
	return check_udp(udp, udp_len, addrs, frame->is_ipv6, policy, offload);
}

enum pst_frame_verdict
pst_frame_parse(const uint8_t *data, uint32_t len, enum pst_checksum policy, unsigned offload,
	struct pst_frame *frame)
{
	struct cursor c = {data, len};
	uint16_t ethertype;
	const uint8_t *addrs;

	memset(&frame->src, 0, sizeof(frame->src));

	enum pst_frame_verdict verdict = parse_ethernet(&c, &ethertype);
	if (pst_unlikely(verdict != PST_FRAME_CARRIED))
		return verdict;
	if (ethertype == ETHERTYPE_IP) {
		addrs = c.at + 12;
		verdict = parse_ipv4(&c, policy, offload, frame);
	} else if (ethertype == ETHERTYPE_IPV6) {
		addrs = c.at + 8;
		verdict = parse_ipv6(&c, frame);
	} else {
		return PST_FRAME_NOT_IP;
	}
	if (pst_unlikely(verdict != PST_FRAME_CARRIED))
		return verdict;
	return parse_udp(&c, addrs, policy, offload, frame);
}
