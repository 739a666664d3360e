/* One port's ethdevs: configure, queues, start, stop. */
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/log.h"
#include "port/ports.h"

#define MTU_JUMBO 9000u

/* Scatter takes long frames in chained buffers; checksums are left to the NIC where the profile
 * trusts it. AF_XDP offers neither. */
static uint64_t
wanted_offloads(const struct pst_profile_port *port)
{
	uint64_t wanted = RTE_ETH_RX_OFFLOAD_SCATTER;
	if (port->checksum == PST_CHECKSUM_NIC)
		wanted |= RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
	return wanted;
}

static void
make_conf(const struct pst_profile_port *port, uint16_t queue_cnt,
	const struct rte_eth_dev_info *info, struct rte_eth_conf *conf)
{
	const uint64_t rss_wanted = RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP;

	memset(conf, 0, sizeof(*conf));
	conf->rxmode.offloads = wanted_offloads(port) & info->rx_offload_capa;
	if (queue_cnt > 1 && (info->flow_type_rss_offloads & rss_wanted)) {
		conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf->rx_adv_conf.rss_conf.rss_hf = info->flow_type_rss_offloads & rss_wanted;
	}
	/* A NIC that is ours alone takes jumbo frames if its buffers may be chained. A vdev's MTU
	 * would be its kernel device's: not ours to change. */
	if (port->kind == PST_PORT_PCI && (conf->rxmode.offloads & RTE_ETH_RX_OFFLOAD_SCATTER))
		conf->rxmode.mtu = (uint32_t)pst_min_u64(info->max_mtu, MTU_JUMBO);
}

static int
refused(const struct port *port, const char *what, int err, struct pst_diag *diag)
{
	const char *remedy =
		port->profile->kind == PST_PORT_AF_XDP
			? "the driver's own lines above say more; usual causes: another process "
			  "has "
			  "a socket on the queue, RLIMIT_MEMLOCK below the pool's size without "
			  "CAP_IPC_LOCK, missing CAP_NET_RAW"
			: "the driver's own lines above say more";
	return pst_diag_set(diag, NULL, 0, NULL, remedy, "port %s (%s): %s: %s",
		port->profile->name, port->profile->device, what, rte_strerror(-err));
}

static int
configure(struct port *port, uint16_t ethdev, uint16_t queue_cnt, struct pst_diag *diag)
{
	const struct pst_profile_port *profile = port->profile;
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf;

	int err = rte_eth_dev_info_get(ethdev, &info);
	if (err)
		return refused(port, "device information", err, diag);
	if (queue_cnt > info.max_rx_queues)
		return pst_diag_set(diag, NULL, 0, NULL,
			"give fewer queues in the profile, or the device more by its arguments",
			"port %s (%s): %u rx queues asked for, the device has %u", profile->name,
			profile->device, queue_cnt, info.max_rx_queues);
	make_conf(profile, queue_cnt, &info, &conf);
	/* We send nothing, but some drivers want as many tx queues as rx queues. */
	uint16_t tx_cnt = (uint16_t)pst_min_u64(queue_cnt, info.max_tx_queues);
	err = rte_eth_dev_configure(ethdev, queue_cnt, tx_cnt, &conf);
	if (err && conf.rxmode.mtu) {
		conf.rxmode.mtu = 0;
		err = rte_eth_dev_configure(ethdev, queue_cnt, tx_cnt, &conf);
	}
	if (err)
		return refused(port, "configuration", err, diag);
	for (uint16_t queue = 0; queue < tx_cnt; queue++) {
		err = rte_eth_tx_queue_setup(ethdev, queue, 0, rte_eth_dev_socket_id(ethdev), NULL);
		if (err)
			return refused(port, "tx queue", err, diag);
	}
	return 0;
}

static int
set_up_rx_queue(struct port *port, uint16_t ethdev, uint16_t ethdev_queue, uint16_t queue_id,
	struct pst_diag *diag)
{
	uint16_t rx_desc_cnt = port->profile->rx_desc_cnt, tx_desc_cnt = 0;
	struct pst_xsk_fds before = {.cnt = 0}, now;
	bool is_af_xdp = port->profile->kind == PST_PORT_AF_XDP;

	if (!is_af_xdp)
		rte_eth_dev_adjust_nb_rx_tx_desc(ethdev, &rx_desc_cnt, &tx_desc_cnt);
	if (is_af_xdp)
		pst_xsk_fds_find(&before);
	int err = rte_eth_rx_queue_setup(ethdev, ethdev_queue, rx_desc_cnt,
		(unsigned)rte_eth_dev_socket_id(ethdev), NULL, port->pools[queue_id]);
	if (err)
		return refused(port, "rx queue", err, diag);
	port->pool_home_cnt[queue_id] = port->pools[queue_id]->populated_size;
	if (is_af_xdp) {
		pst_xsk_fds_find(&now);
		port->xsk_fds[queue_id] = pst_xsk_fds_new(&before, &now);
		/* What lies in the kernel's rings now, lies there for good: the driver does not
		 * take it back when it is closed. */
		port->pool_home_cnt[queue_id] = rte_mempool_avail_count(port->pools[queue_id]);
	}
	return 0;
}

int
pst_port_ethdev_open(struct port *port, uint16_t ethdev, uint16_t queue_first, uint16_t queue_cnt,
	struct pst_diag *diag)
{
	port->ethdevs[port->ethdev_cnt++] = ethdev;
	if (configure(port, ethdev, queue_cnt, diag) != 0)
		return -1;
	for (uint16_t i = 0; i < queue_cnt; i++)
		if (set_up_rx_queue(port, ethdev, i, (uint16_t)(queue_first + i), diag) != 0)
			return -1;
	return 0;
}

/* Groups are joined by the kernel sockets of an AF_XDP port; on a device that DPDK has alone, its
 * filter is opened. */
static void
open_filters(struct port *port, uint16_t ethdev)
{
	const struct pst_profile_port *profile = port->profile;
	if (profile->promiscuous) {
		int err = rte_eth_promiscuous_enable(ethdev);
		port->is_promiscuous |= err == 0;
		if (err)
			pst_warning("port %s: promiscuous mode is not available: %s", profile->name,
				rte_strerror(-err));
	}
	if (port->wants_multicast && profile->kind != PST_PORT_AF_XDP) {
		int err = rte_eth_allmulticast_enable(ethdev);
		if (err)
			pst_warning("port %s: its filter cannot be opened for multicast: %s",
				profile->name, rte_strerror(-err));
	}
}

int
pst_port_ethdev_start(struct port *port, struct pst_diag *diag)
{
	port->is_started = true;
	for (uint16_t i = 0; i < port->ethdev_cnt; i++) {
		int err = rte_eth_dev_start(port->ethdevs[i]);
		if (err)
			return refused(port, "start", err, diag);
		open_filters(port, port->ethdevs[i]);
	}
	return 0;
}

static void
stop_all(struct port *port)
{
	if (!port->is_started)
		return;
	port->is_started = false;
	for (uint16_t i = 0; i < port->ethdev_cnt; i++) {
		/* It would outlive us on a kernel interface. */
		if (port->is_promiscuous)
			rte_eth_promiscuous_disable(port->ethdevs[i]);
		rte_eth_dev_stop(port->ethdevs[i]);
	}
	port->is_promiscuous = false;
}

void
pst_port_ethdev_close(struct port *port)
{
	stop_all(port);
	for (uint16_t i = 0; i < port->ethdev_cnt; i++)
		rte_eth_dev_close(port->ethdevs[i]);
	port->ethdev_cnt = 0;
}
