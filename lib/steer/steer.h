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
 * Linux 5.18 or newer. Needs CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN (libxdp opens
 * programs by id). */
#ifndef PST_STEER_H
#define PST_STEER_H

#include <stdint.h>

#include "base/addr.h"
#include "base/diag.h"
#include "steer/steer_abi.h" /* enum pst_steer_count */

struct pst_steer;

struct pst_steer_target {
	/* As a listener's. A wildcard (:: or ::ffff:0.0.0.0) stands for the addresses that are
	 * local at attach; what comes to others (broadcast, newer ones) is left to the kernel and
	 * its socket. */
	struct pst_addr addr;
	uint16_t udp_port; /* host order */
};

const char *pst_steer_count_name(enum pst_steer_count count);

/* Loads and attaches to ifindex. frame_bytes_max: longest frame that fits a socket's buffer, up to
 * PST_STEER_FRAME_BYTES_MAX. Control thread, before the driver's queue set-up. 0, or -1 with *diag
 * (permission, a program of someone else attached, MTU, old kernel ...). */
#define PST_STEER_FRAME_BYTES_MAX 4096
int pst_steer_attach(unsigned ifindex, uint32_t frame_bytes_max,
	const struct pst_steer_target *targets, unsigned target_cnt, struct pst_steer **out,
	struct pst_diag *diag);

/* How it is attached: "native" (in the driver) or "generic" (loopback, and devices whose driver
 * knows no XDP). */
const char *pst_steer_mode(const struct pst_steer *steer);

/* Detaches; the listeners' traffic goes to the kernel from then on. Counts stay readable. */
void pst_steer_detach(struct pst_steer *steer);
/* Detaches and frees; NULL is allowed. */
void pst_steer_free(struct pst_steer *steer);

void pst_steer_counts(const struct pst_steer *steer, uint64_t counts[PST_STEER_COUNT_CNT]);

/* Sum of what was passed to the kernel that may be a listener's. A plain read of mapped memory: any
 * thread, no system call. */
uint64_t pst_steer_passed(const struct pst_steer *steer);

/* The XDP program on an interface, whoever's: its id (0: none or unknown), its name if the caller
 * may look ("" else). */
#define PST_STEER_PROGRAM_NAME_LEN 16
uint32_t pst_steer_occupant(unsigned ifindex, char name[PST_STEER_PROGRAM_NAME_LEN]);

#endif
