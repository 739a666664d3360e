/* What the files of this library share. Not for others: they include port.h. */
#ifndef PST_PORTS_H
#define PST_PORTS_H

#include <net/if.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>

#include "port/port.h"

#define PST_PORT_ARG_LEN 4096

/* See pool.c for the picture of a chunk. */
#define PST_PORT_AF_XDP_FRAME_BYTES_MAX 3520u

/* One port of the profile. An AF_XDP port has one ethdev per queue (the driver takes its queue
 * count from the device's combined channels, which veth and others lack; one device per queue works
 * on all), every other port has one ethdev with all queues. Every queue has a pool of its own, so
 * that only its rx lcore touches it. */
struct port {
	const struct pst_profile_port *profile;

	/* AF_XDP */
	unsigned ifindex;
	int lock_fd; /* -1: none */
	char lock_path[128];
	struct pst_steer *steer;
	int xsk_fds[PST_QUEUES_MAX]; /* the driver's own sockets, for statistics; -1: not found */
	uint64_t kernel_dropped_at_open;

	uint16_t ethdevs[PST_QUEUES_MAX];          /* ethdev_cnt of them */
	uint16_t ethdev_cnt;                       /* opened so far */
	struct rte_mempool *pools[PST_QUEUES_MAX]; /* one per queue */
	uint32_t pool_home_cnt[PST_QUEUES_MAX];    /* mbufs at home when nothing is on its way */
	uint32_t mbuf_unusable_cnt;
	bool is_started;
	bool is_promiscuous;
	bool wants_multicast; /* a listener has a group's address */
};

struct pst_ports {
	const struct pst_profile *profile;
	struct port ports[PST_PORTS_MAX];
	char (*eal_args)[PST_PORT_ARG_LEN];
	unsigned eal_arg_cnt;
};

/* lock.c: takes the lock of port's interface. -1 with *diag: held by another process. */
int pst_port_lock(struct port *port, struct pst_diag *diag);
/* The same below another runtime directory than the system's. */
int pst_port_lock_in(struct port *port, const char *runtime, struct pst_diag *diag);
void pst_port_unlock(struct port *port);

/* eal_args.c: name of the ethdev that holds a queue, as EAL knows it after probing. */
void pst_port_ethdev_name(
	const struct pst_profile_port *port, uint16_t queue_id, char name[RTE_ETH_NAME_MAX_LEN]);
int pst_port_make_eal_args(struct pst_ports *ports, struct pst_diag *diag);

/* pool.c: a pool for one queue of the port. */
int pst_port_pool_create(const struct pst_profile_port *port, uint16_t queue_id, uint32_t mbuf_cnt,
	int socket, struct rte_mempool **out, struct pst_diag *diag);
/* Longest frame that an AF_XDP queue can put into an mbuf of the pool. */
uint32_t pst_port_pool_frame_bytes_max(const struct rte_mempool *pool);
/* Mbufs that the kernel will never fill: outside what the AF_XDP driver registers. */
uint32_t pst_port_pool_unusable_cnt(struct rte_mempool *pool);

/* check.c: what the state of an interface, as read, means for a port on it. Returns the number of
 * findings, at most cap. */
struct pst_link;
struct pst_link_offloads;
unsigned pst_port_check_link(const struct pst_profile_port *port, const struct pst_link *link,
	const struct pst_link_offloads *offloads, struct pst_port_finding *findings, unsigned cap);

/* ethdev.c: configures, sets the queues up, starts. */
int pst_port_ethdev_open(struct port *port, uint16_t ethdev, uint16_t queue_first,
	uint16_t queue_cnt, struct pst_diag *diag);
int pst_port_ethdev_start(struct port *port, struct pst_diag *diag);
void pst_port_ethdev_close(struct port *port);

/* stats.c: frames dropped before our queue of a TAP interface, ever; 0: the port is none. */
uint64_t pst_port_tap_dropped(const struct port *port);

/* xsk.c: AF_XDP sockets among the process's own descriptors. */
#define PST_XSK_FDS_MAX 256
struct pst_xsk_fds {
	int fds[PST_XSK_FDS_MAX];
	unsigned cnt;
};
void pst_xsk_fds_find(struct pst_xsk_fds *out);
/* One that is in now and not in before; -1: none. */
int pst_xsk_fds_new(const struct pst_xsk_fds *before, const struct pst_xsk_fds *now);
void pst_xsk_statistics_add(int fd, struct pst_port_stats *stats);

#endif
