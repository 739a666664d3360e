/* Ports: from the profile to started ethdevs with filled pools.
 *
 * Order at start: lock (before EAL) ▶ check ▶ kernel sockets (lib/ksock) ▶ rte_eal_init with
 * pst_ports_eal_args ▶ open (steering first, then queues) ▶ traffic.
 * At stop: steer_off ▶ rx lcores empty the rings ▶ close. Control thread only, except where said.
 * The process ignores SIGPIPE: drivers write to sockets whose other end may be gone (virtio-user).
 */
#ifndef PST_PORT_H
#define PST_PORT_H

#include <rte_mbuf.h>
#include <stdint.h>

#include "profile/profile.h"
#include "steer/steer.h"

struct pst_ports;

/* Locks every AF_XDP interface (flock on <run>/penstock/<netns inode>-<ifindex>.lock) so that no
 * second start can harm a running one. 0, or -1 with *diag naming interface and the holder's pid.
 */
int pst_ports_create(
	const struct pst_profile *profile, struct pst_ports **out, struct pst_diag *diag);

/* One thing about an interface that would lose, merge or hide events, with what cures it. */
struct pst_port_finding {
	const char *port;
	bool fatal; /* the port cannot work so */
	char text[256];
	char cure[256]; /* a shell command */
};
/* Looks at each interface (UDP segmentation offload on lo, merging, VLAN offload, MTU, queue count,
 * link down, XDP program of someone else) and at memif's sockets. Returns the number of findings,
 * at most cap. No device is changed. */
unsigned pst_ports_check(
	const struct pst_ports *ports, struct pst_port_finding *findings, unsigned cap);

/* The -a / --vdev arguments of the profile's ports; strings live as long as ports. */
unsigned pst_ports_eal_args(const struct pst_ports *ports, const char **argv, unsigned cap);

/* After rte_eal_init: pools, steering, queues, start. 0, or -1 with *diag. */
int pst_ports_open(struct pst_ports *ports, struct pst_diag *diag);

/* What an rx lcore needs to poll a queue (index as in profile->queues). */
struct pst_port_rx {
	uint16_t port_id; /* ethdev */
	uint16_t queue_id;
	enum pst_checksum checksum;
};
struct pst_port_rx pst_ports_rx(const struct pst_ports *ports, uint16_t queue_idx);

/* Sum of pst_steer_passed over all AF_XDP ports: any thread, plain memory reads. 0 if none. */
uint64_t pst_ports_passed(const struct pst_ports *ports);

void pst_ports_steer_off(struct pst_ports *ports);

struct pst_port_stats {
	uint64_t rx_packets, rx_bytes; /* as the driver says */
	uint64_t imissed, ierrors, rx_nombuf;
	/* AF_XDP only: getsockopt(XDP_STATISTICS), summed over queues */
	bool has_xdp;
	uint64_t xdp_rx_dropped, xdp_rx_invalid_descs, xdp_rx_ring_full, xdp_fill_ring_empty;
	/* The kernel's, since open. In native mode it counts imissed once more: never add them. */
	uint64_t interface_rx_dropped;
	/* TAP only: what the kernel sent to the interface while our queue was full, since open. */
	uint64_t tap_dropped;
	uint64_t steer[PST_STEER_COUNT_CNT];
	uint32_t mbuf_cnt, mbuf_free_cnt, mbuf_unusable_cnt;
	bool link_up;
	uint32_t mtu;
};
/* Any thread but the rx lcores; those who ask wait for each other. */
void pst_ports_stats(const struct pst_ports *ports, uint16_t port_idx, struct pst_port_stats *out);

/* Extended statistics of the driver by name; calls visit for each. As
 * pst_ports_stats; visit must not ask for statistics itself. */
void pst_ports_xstats(const struct pst_ports *ports, uint16_t port_idx,
	void (*visit)(void *arg, const char *name, uint64_t value), void *arg);

/* Closes the devices, so that drivers give back what they hold, and tells whether every mbuf is
 * then back in its pool (but those that an AF_XDP socket keeps for the kernel). After the last poll
 * and the last statistics. */
bool pst_ports_all_mbufs_home(struct pst_ports *ports);

/* Promiscuous off, stop, close, unlock, free. Before rte_eal_cleanup. */
void pst_ports_destroy(struct pst_ports *ports);

#endif
