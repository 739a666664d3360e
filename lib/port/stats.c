#include <pthread.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port/link.h"
#include "port/ports.h"

/* Drivers' statistics are not all made for several threads. */
static pthread_mutex_t drivers = PTHREAD_MUTEX_INITIALIZER;

static void
add_ethdev(uint16_t ethdev, struct pst_port_stats *stats)
{
	struct rte_eth_stats eth;
	if (rte_eth_stats_get(ethdev, &eth) != 0)
		return;
	stats->rx_packets += eth.ipackets;
	stats->rx_bytes += eth.ibytes;
	stats->imissed += eth.imissed;
	stats->ierrors += eth.ierrors;
	stats->rx_nombuf += eth.rx_nombuf;
}

static void
add_af_xdp(const struct port *port, struct pst_port_stats *stats)
{
	uint64_t dropped = pst_link_drops(port->profile->device).rx;
	struct pst_link link;

	for (uint16_t q = 0; q < port->profile->queue_cnt; q++)
		pst_xsk_statistics_add(port->xsk_fds[q], stats);
	/* It starts anew when an interface is made anew. */
	if (dropped >= port->kernel_dropped_at_open)
		stats->interface_rx_dropped = dropped - port->kernel_dropped_at_open;
	if (port->steer)
		pst_steer_counts(port->steer, stats->steer);
	/* The driver claims "up" and an MTU of 1500 whatever happens. */
	if (pst_link_read(port->profile->device, &link) == 0) {
		stats->link_up = link.is_up && link.is_running;
		stats->mtu = link.mtu;
	}
}

static void
add_device(const struct port *port, struct pst_port_stats *stats)
{
	struct rte_eth_link link = {0};
	uint16_t mtu = 0;

	if (port->ethdev_cnt == 0)
		return;
	if (rte_eth_link_get_nowait(port->ethdevs[0], &link) == 0)
		stats->link_up = link.link_status == RTE_ETH_LINK_UP;
	if (rte_eth_dev_get_mtu(port->ethdevs[0], &mtu) == 0)
		stats->mtu = mtu;
}

/* The kernel's interface of a TAP port: it has the counter that the driver lacks. */
static bool
tap_ifname(const struct port *port, char name[IF_NAMESIZE])
{
	struct rte_eth_dev_info info;

	return port->ethdev_cnt > 0 && rte_eth_dev_info_get(port->ethdevs[0], &info) == 0 &&
	       strcmp(info.driver_name, "net_tap") == 0 && if_indextoname(info.if_index, name);
}

uint64_t
pst_port_tap_dropped(const struct port *port)
{
	char name[IF_NAMESIZE];
	return tap_ifname(port, name) ? pst_link_drops(name).tx : 0;
}

void
pst_ports_stats(const struct pst_ports *ports, uint16_t port_idx, struct pst_port_stats *out)
{
	const struct port *port = &ports->ports[port_idx];

	memset(out, 0, sizeof(*out));
	pthread_mutex_lock(&drivers);
	for (uint16_t i = 0; i < port->ethdev_cnt; i++)
		add_ethdev(port->ethdevs[i], out);
	if (port->profile->kind == PST_PORT_AF_XDP)
		add_af_xdp(port, out);
	else
		add_device(port, out);
	if (port->profile->kind == PST_PORT_VDEV) {
		uint64_t dropped = pst_port_tap_dropped(port);
		if (dropped >= port->kernel_dropped_at_open)
			out->tap_dropped = dropped - port->kernel_dropped_at_open;
	}
	pthread_mutex_unlock(&drivers);
	for (uint16_t q = 0; q < port->profile->queue_cnt; q++)
		if (port->pools[q]) {
			out->mbuf_cnt += port->pools[q]->populated_size;
			out->mbuf_free_cnt += rte_mempool_avail_count(port->pools[q]);
		}
	out->mbuf_unusable_cnt = port->mbuf_unusable_cnt;
}

/* Several ethdevs of one port have the same names: the queue goes before them. */
static void
visit_ethdev(const struct port *port, uint16_t idx,
	void (*visit)(void *arg, const char *name, uint64_t value), void *arg)
{
	char name[RTE_ETH_XSTATS_NAME_SIZE + 16];
	int cnt = rte_eth_xstats_get_names(port->ethdevs[idx], NULL, 0);

	if (cnt <= 0)
		return;
	struct rte_eth_xstat_name *names = calloc((size_t)cnt, sizeof(*names));
	struct rte_eth_xstat *values = calloc((size_t)cnt, sizeof(*values));
	if (names && values &&
		rte_eth_xstats_get_names(port->ethdevs[idx], names, (unsigned)cnt) == cnt &&
		rte_eth_xstats_get(port->ethdevs[idx], values, (unsigned)cnt) == cnt)
		for (int i = 0; i < cnt; i++) {
			if (port->ethdev_cnt > 1)
				snprintf(name, sizeof(name), "queue%u_%s", idx,
					names[values[i].id].name);
			else
				snprintf(name, sizeof(name), "%s", names[values[i].id].name);
			visit(arg, name, values[i].value);
		}
	free(names);
	free(values);
}

void
pst_ports_xstats(const struct pst_ports *ports, uint16_t port_idx,
	void (*visit)(void *arg, const char *name, uint64_t value), void *arg)
{
	const struct port *port = &ports->ports[port_idx];

	pthread_mutex_lock(&drivers);
	for (uint16_t i = 0; i < port->ethdev_cnt; i++)
		visit_ethdev(port, i, visit, arg);
	pthread_mutex_unlock(&drivers);
}
