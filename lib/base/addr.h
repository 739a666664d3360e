/* IP addresses and prefixes, both families in one form. */
#ifndef PST_ADDR_H
#define PST_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* An IP address in 16 bytes, IPv4 as ::ffff:a.b.c.d. */
struct pst_addr {
	uint8_t bytes[16];
};

struct pst_prefix {
	struct pst_addr addr;
	uint8_t len; /* 0 .. 128, of the 16-byte form */
};

/* Writes the text form ("127.0.0.1", "::1") into buf; returns its length. */
unsigned pst_addr_format(const struct pst_addr *addr, char buf[INET6_ADDRSTRLEN]);

/* Return 0, or -1 if text is not an address (a prefix: address/length, in its family's terms; the
 * host bits must be zero). */
int pst_addr_parse(const char *text, struct pst_addr *out);
int pst_prefix_parse(const char *text, struct pst_prefix *out);

bool pst_addr_is_zero(const struct pst_addr *addr); /* "::": nobody's */
bool pst_addr_is_ipv4(const struct pst_addr *addr);
bool pst_addr_is_multicast(const struct pst_addr *addr);
bool pst_prefix_holds(const struct pst_prefix *prefix, const struct pst_addr *addr);

#endif
