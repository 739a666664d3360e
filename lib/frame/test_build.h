/* Frames for the tests of this library: layer by layer, and the plain sums to judge by. */
#ifndef PST_FRAME_TEST_BUILD_H
#define PST_FRAME_TEST_BUILD_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "frame/frame.h"

/* A frame under construction; layers are put down in order, checksums at the end. */
struct build {
	uint8_t bytes[2048];
	uint32_t len;
	uint32_t ip_off, udp_off;
	bool is_ipv6;
};

static inline void
put(struct build *b, const void *bytes, uint32_t len)
{
	memcpy(b->bytes + b->len, bytes, len);
	b->len += len;
}

static inline void
put16(struct build *b, unsigned value)
{
	put(b, (uint8_t[]){(uint8_t)(value >> 8), (uint8_t)value}, 2);
}

static inline void
put_ethernet(struct build *b)
{
	memset(b, 0, sizeof(*b));
	put(b, "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01", 12);
}

static inline void
put_tag(struct build *b, unsigned tpid)
{
	put16(b, tpid);
	put16(b, 42);
}

static const uint8_t src4[4] = {10, 1, 2, 3}, dst4[4] = {192, 0, 2, 7};
static const uint8_t src6[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};
static const uint8_t dst6[16] = {0x20, 1, 0xd, 0xb8, [15] = 2};

static inline void
put_ipv4(struct build *b, unsigned option_words, unsigned fragment, uint8_t protocol)
{
	put16(b, 0x0800);
	b->ip_off = b->len;
	put(b, (uint8_t[]){(uint8_t)(0x45 + option_words), 0, 0, 0, 0x12, 0x34}, 6);
	put16(b, fragment);
	put(b, (uint8_t[]){64, protocol, 0, 0}, 4);
	put(b, src4, 4);
	put(b, dst4, 4);
	for (unsigned i = 0; i < option_words; i++)
		put(b, "\x01\x01\x01\x01", 4); /* no operation */
}

static inline void
put_ipv6(struct build *b, uint8_t next_header)
{
	put16(b, 0x86dd);
	b->ip_off = b->len;
	b->is_ipv6 = true;
	put(b, (uint8_t[]){0x60, 0, 0, 0, 0, 0, next_header, 64}, 8);
	put(b, src6, 16);
	put(b, dst6, 16);
}

static inline void
put_extension(struct build *b, uint8_t next_header, unsigned len, uint8_t len_field)
{
	uint8_t ext[64] = {next_header, len_field};
	put(b, ext, len);
}

static inline void
put_udp(struct build *b, const void *payload, uint32_t payload_len)
{
	b->udp_off = b->len;
	put16(b, 40000);
	put16(b, 5514);
	put16(b, 8 + payload_len);
	put16(b, 0);
	put(b, payload, payload_len);
}

/* RFC 1071 word by word, to judge the fast one by. */
static inline uint16_t
plain_sum(const uint8_t *p, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static inline uint16_t
plain_pseudo(const struct build *b)
{
	const uint8_t *ip = b->bytes + b->ip_off;
	uint32_t seed = 17u + pst_load_be16(b->bytes + b->udp_off + 4);
	return b->is_ipv6 ? plain_sum(ip + 8, 32, seed) : plain_sum(ip + 12, 8, seed);
}

static inline void
set_ip_checksum(struct build *b)
{
	uint8_t *ip = b->bytes + b->ip_off;
	if (b->is_ipv6)
		return;
	pst_store_be16(ip + 10, 0);
	pst_store_be16(ip + 10, (uint16_t)~plain_sum(ip, (ip[0] & 15u) * 4, 0));
}

/* Sets the IP length and both checksums for what lies there now. */
static inline void
finish(struct build *b)
{
	uint8_t *ip = b->bytes + b->ip_off;
	if (b->is_ipv6)
		pst_store_be16(ip + 4, (uint16_t)(b->len - b->ip_off - 40));
	else
		pst_store_be16(ip + 2, (uint16_t)(b->len - b->ip_off));
	set_ip_checksum(b);
	if (b->udp_off) {
		uint8_t *udp = b->bytes + b->udp_off;
		pst_store_be16(udp + 6, 0);
		uint16_t sum = (uint16_t)~plain_sum(udp, b->len - b->udp_off, plain_pseudo(b));
		pst_store_be16(udp + 6, sum ? sum : 0xffff);
	}
}

/* Parses an exact-size copy, so that a sanitizer sees a read past the end. */
static inline enum pst_frame_verdict
parse_as(const struct build *b, enum pst_checksum policy, unsigned offload, struct pst_frame *frame)
{
	uint8_t *copy = malloc(b->len ? b->len : 1);
	memcpy(copy, b->bytes, b->len);
	enum pst_frame_verdict verdict = pst_frame_parse(copy, b->len, policy, offload, frame);
	if (verdict == PST_FRAME_CARRIED)
		frame->payload = b->bytes + (frame->payload - copy);
	free(copy);
	return verdict;
}

#define EXPECT(b, sym)                                                                             \
	do {                                                                                       \
		struct pst_frame frame_;                                                           \
		enum pst_frame_verdict got_ = parse_as(b, PST_CHECKSUM_STRICT, 0, &frame_);        \
		cr_expect_eq(                                                                      \
			got_, PST_FRAME_##sym, "%s, not %s", pst_frame_verdict_name(got_), #sym);  \
	} while (0)

static inline void
build_ipv4(struct build *b)
{
	put_ethernet(b);
	put_ipv4(b, 0, 0, 17);
	put_udp(b, "payload", 7);
	finish(b);
}

static inline void
build_ipv6(struct build *b)
{
	put_ethernet(b);
	put_ipv6(b, 17);
	put_udp(b, "payload", 7);
	finish(b);
}

#endif
