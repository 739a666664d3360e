/* Opening a listener's socket. For this library alone. */
#ifndef PST_KSOCK_OPEN_H
#define PST_KSOCK_OPEN_H

#include "profile/profile.h"

/* A bound, non-blocking UDP socket for addr and port; ifindex: the interface for groups and
 * link-local addresses, 0: the kernel's choice. 0 with *fd, or -1 with *diag. */
int pst_ksock_open_socket(const struct pst_addr *addr, uint16_t udp_port, unsigned ifindex,
	uint64_t rcvbuf_bytes, int *fd, struct pst_diag *diag);
/* One more interface on which a group's socket listens. */
int pst_ksock_join(int fd, const struct pst_addr *group, unsigned ifindex, struct pst_diag *diag);

/* Whether it means something only together with an interface (fe80::/10, ff02::/16 ...). */
bool pst_ksock_is_link_scoped(const struct pst_addr *addr);

/* holder.c: "PID (NAME)" of the process that holds a UDP port, as far as /proc lets us see. */
void pst_ksock_find_holder(uint16_t udp_port, char *text, size_t cap);

/* proc.c: the namespace's own counters. */
struct pst_ksock_namespace {
	uint64_t udp_in_errors, udp_rcvbuf_errors, ip_reasm_fails, ip6_reasm_fails;
};
void pst_ksock_read_namespace(struct pst_ksock_namespace *out);
/* "Udp: InErrors ..." over "Udp: 3 ..." in the text of /proc/net/snmp; 0 if it is not there. */
uint64_t pst_ksock_snmp_field(const char *text, const char *group, const char *field);
/* "Ip6ReasmFails   3" in the text of /proc/net/snmp6. */
uint64_t pst_ksock_snmp6_field(const char *text, const char *field);

#endif
