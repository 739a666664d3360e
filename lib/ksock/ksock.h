/* The kernel path: one UDP socket per listener address and port, which catches what the steering
 * program passes (large datagrams, reassembled fragments, local senders on other interfaces, queues
 * without socket). Drained by one rx lcore as one more queue. */
#ifndef PST_KSOCK_H
#define PST_KSOCK_H

#include "profile/profile.h"

#define PST_KSOCK_BURST 16 /* datagrams of one call, 64 KiB of buffer each */

struct pst_ksock;

/* Binds every socket (SO_RCVBUFFORCE from the profile, IPV6_V6ONLY) and joins the multicast groups
 * among the listeners' addresses on the AF_XDP ports' interfaces. A profile without AF_XDP port has
 * no kernel beside its ports: none is opened, and nothing ever received. Before ports are opened.
 * 0, or -1 with *diag (address in use: by whom if it can be told; no such address; permission). */
int pst_ksock_open(
	const struct pst_profile *profile, struct pst_ksock **out, struct pst_diag *diag);

struct pst_ksock_msg {
	const uint8_t *payload;
	uint32_t payload_len;
	uint16_t listener_idx;
	bool truncated;
	struct pst_addr src;
	uint16_t src_port;
};

/* Receives up to PST_KSOCK_BURST datagrams of any socket, in turn, without waiting. The payloads
 * live until the next call. Rx lcore. Returns their number; 0: all sockets were empty. */
unsigned pst_ksock_recv(struct pst_ksock *ksock, struct pst_ksock_msg msgs[PST_KSOCK_BURST]);

/* Nothing new gets in (drop-all socket filter); what is queued stays readable. Control thread; the
 * rx lcore may be receiving. */
void pst_ksock_shut_input(struct pst_ksock *ksock);

struct pst_ksock_stats {
	uint64_t received, bytes;
	/* By the kernel at our sockets (SO_MEMINFO): no buffer left, or a wrong checksum. */
	uint64_t dropped;
	uint64_t refused; /* came after pst_ksock_shut_input */
	uint64_t rcvbuf_bytes;
	/* the namespace's own, both families, since open */
	uint64_t udp_in_errors, udp_rcvbuf_errors, ip_reasm_fails, ip6_reasm_fails;
};
/* Any thread but the rx lcores. */
void pst_ksock_stats(struct pst_ksock *ksock, struct pst_ksock_stats *out);

void pst_ksock_close(struct pst_ksock *ksock);

#endif
