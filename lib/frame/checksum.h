/* The Internet checksum (RFC 1071) and the UDP pseudo-header (RFC 768, RFC 8200 8.1).
 *
 * Sums are taken over words in memory order. The ones' complement sum does not depend on byte order
 * (RFC 1071, 2 B), so a folded sum stored with memcpy has its bytes in network order, and a right
 * one is 0xffff either way. */
#ifndef PST_FRAME_CHECKSUM_H
#define PST_FRAME_CHECKSUM_H

#include <netinet/in.h>

#include "base/base.h"

#define PST_CHECKSUM_GOOD 0xffff /* fold of everything that a right checksum covers, itself too */

/* Adds with end-around carry. */
static inline uint64_t
pst_checksum_add(uint64_t sum, uint64_t word)
{
	sum += word;
	return sum + (sum < word);
}

static inline uint64_t
pst_checksum_load64(const uint8_t *p)
{
	uint64_t word;
	memcpy(&word, p, sizeof(word));
	return word;
}

static inline uint64_t
pst_checksum_load32(const uint8_t *p)
{
	uint32_t word;
	memcpy(&word, p, sizeof(word));
	return word;
}

/* Sum of len bytes at p (any alignment; an odd last byte is padded with zero) added to sum. */
static inline uint64_t
pst_checksum_sum(uint64_t sum, const uint8_t *p, uint32_t len)
{
	/* Four carry chains: one would bound the loop by its latency. */
	uint64_t a = 0, b = 0, c = 0;
	for (; len >= 32; p += 32, len -= 32) {
		sum = pst_checksum_add(sum, pst_checksum_load64(p));
		a = pst_checksum_add(a, pst_checksum_load64(p + 8));
		b = pst_checksum_add(b, pst_checksum_load64(p + 16));
		c = pst_checksum_add(c, pst_checksum_load64(p + 24));
	}
	for (; len >= 8; p += 8, len -= 8)
		sum = pst_checksum_add(sum, pst_checksum_load64(p));
	/* Step by step: a copy of variable length is a call, dearer than a whole header's sum. */
	if (len & 4) {
		a = pst_checksum_add(a, pst_checksum_load32(p));
		p += 4;
	}
	if (len & 2) {
		uint16_t word;
		memcpy(&word, p, sizeof(word));
		b = pst_checksum_add(b, word);
		p += 2;
	}
	if (len & 1) {
		const uint8_t pair[2] = {*p, 0};
		uint16_t word;
		memcpy(&word, pair, sizeof(word));
		c = pst_checksum_add(c, word);
	}
	sum = pst_checksum_add(sum, a);
	return pst_checksum_add(sum, pst_checksum_add(b, c));
}

static inline uint16_t
pst_checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Sum of the pseudo-header: addrs are source and destination as they lie in the IP header (8 bytes
 * of IPv4, 32 of IPv6), udp the UDP header, of which the length is taken. */
static inline uint64_t
pst_checksum_pseudo_ipv4(const uint8_t *addrs, const uint8_t *udp)
{
	uint16_t udp_len_be;
	memcpy(&udp_len_be, udp + 4, sizeof(udp_len_be));
	return pst_checksum_load32(addrs) + pst_checksum_load32(addrs + 4) + udp_len_be +
	       htobe16(IPPROTO_UDP);
}

static inline uint64_t
pst_checksum_pseudo_ipv6(const uint8_t *addrs, const uint8_t *udp)
{
	uint16_t udp_len_be;
	memcpy(&udp_len_be, udp + 4, sizeof(udp_len_be));
	return pst_checksum_sum((uint64_t)udp_len_be + htobe16(IPPROTO_UDP), addrs, 32);
}

#endif
