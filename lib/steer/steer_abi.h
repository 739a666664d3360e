/* What the steering program and its loader share: layouts of map entries. Included by both, so
 * that neither can drift; only kernel integer types. */
#ifndef PST_STEER_ABI_H
#define PST_STEER_ABI_H

#include <linux/types.h>

/* What the program did with a frame; summed over CPUs. */
enum pst_steer_count {
	PST_STEER_REDIRECTED,     /* given to a socket's queue */
	PST_STEER_PASS_LARGE,     /* a listener's, too long for a buffer or not in one piece */
	PST_STEER_PASS_FRAGMENT,  /* of UDP to a listener's address: only the first has ports */
	PST_STEER_PASS_OPTIONS,   /* a listener's with IPv4 options; to a listener's address with
				     IPv6 extension headers */
	PST_STEER_PASS_NO_SOCKET, /* a listener's, on a queue without socket */
	PST_STEER_PASS_ADDRESS,   /* to a wildcard listener's port, but no address that was local
				     at attach: broadcast, newer address, or somebody else's */
	PST_STEER_PASS_OTHER,     /* not for us */
	PST_STEER_COUNT_CNT
};

/* Key of the target map. */
enum pst_steer_key_kind {
	PST_STEER_KEY_TARGET,  /* address and port: a listener's, or a local one under a wildcard */
	PST_STEER_KEY_ADDRESS, /* address alone, port 0: fragments have no ports */
	PST_STEER_KEY_WILDCARD, /* port of a wildcard listener; ::ffff:0.0.0.0 or :: */
};
struct pst_steer_key {
	__u8 addr[16]; /* IPv4 as ::ffff:a.b.c.d */
	__be16 udp_port_be;
	__u16 kind;
};

/* Counters of one CPU: a cache line of their own, read by user space through mmap. */
struct pst_steer_slot {
	__u64 counts[8];
};

_Static_assert(sizeof(struct pst_steer_key) == 20, "a hash map compares padding, too");
_Static_assert(sizeof(struct pst_steer_slot) == 64, "one cache line");
_Static_assert(PST_STEER_COUNT_CNT <= 8, "counts must fit their slot");

#endif
