/* The XDP steering program of one interface: the listeners' UDP traffic to our AF_XDP sockets, all
 * the rest to the kernel.
 *
 *                    ┌ not ours, fragment, IP options, longer than the limit ──▶ kernel (counted)
 *   frame ─▶ steer ──┤
 *                    └ a listener's datagram ──▶ xsks_map[rx queue] ──▶ AF_XDP socket
 *                                                 (none there: kernel)
 *
 * Attached by bpf_link: it lives exactly as long as this process, and no other process' start or
 * exit can detach it. The program is made as libxdp expects of its own (function xsk_def_prog,
 * metadata xsk_prog_version), so that the AF_XDP driver adopts it and its map.
 * Needs CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN (libxdp opens programs by id). */
#ifndef PST_STEER_H
#define PST_STEER_H

#include <stdint.h>

#include "base/addr.h"
#include "base/diag.h"

struct pst_steer;

struct pst_steer_target {
	struct pst_addr addr; /* as a listener's: wildcards included */
	uint16_t udp_port;    /* host order */
};

/* What the program did with a frame; summed over CPUs. */
enum pst_steer_count {
	PST_STEER_REDIRECTED,     /* given to a socket's queue */
	PST_STEER_PASS_LARGE,     /* a listener's, too long for a buffer */
	PST_STEER_PASS_FRAGMENT,  /* of UDP to a listener's address: ports are in the first one only
				   */
	PST_STEER_PASS_OPTIONS,   /* a listener's, with IP options or extension headers */
	PST_STEER_PASS_NO_SOCKET, /* a listener's, on a queue without socket */
	PST_STEER_PASS_OTHER,     /* not for us */
	PST_STEER_COUNT_CNT
};
const char *pst_steer_count_name(enum pst_steer_count count);

/* Loads and attaches to ifindex. frame_bytes_max: longest frame that fits a socket's buffer.
 * Control thread, before the driver's queue set-up. 0, or -1 with *diag (permission, a program of
 * someone else attached, MTU, no BTF ...). */
int pst_steer_attach(unsigned ifindex, uint32_t frame_bytes_max,
	const struct pst_steer_target *targets, unsigned target_cnt, struct pst_steer **out,
	struct pst_diag *diag);

/* Detaches; the listeners' traffic goes to the kernel from then on. */
void pst_steer_detach(struct pst_steer *steer);
void pst_steer_free(struct pst_steer *steer);

void pst_steer_counts(const struct pst_steer *steer, uint64_t counts[PST_STEER_COUNT_CNT]);

/* Sum of what was passed to the kernel that may be a listener's. A plain read of mapped memory: any
 * thread, no system call. */
uint64_t pst_steer_passed(const struct pst_steer *steer);

#endif
