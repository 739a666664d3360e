#include "port/ports.h"

#include <errno.h>
#include <rte_ethdev.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xdp/libxdp.h>

#include "base/base.h"
#include "base/log.h"
#include "port/link.h"

/* What a queue's pool needs at least: the driver's own buffers, a burst in flight, two cache
 * fills. */
#define MBUF_CNT_SPARE 1024u

static int
same_interface(struct pst_ports *ports, uint16_t idx, struct pst_diag *diag)
{
	for (uint16_t i = 0; i < idx; i++)
		if (ports->ports[i].ifindex == ports->ports[idx].ifindex)
			return pst_diag_set(diag, NULL, 0, NULL,
				"one port per interface; give it several queues",
				"ports %s and %s name the same interface",
				ports->ports[i].profile->name, ports->ports[idx].profile->name);
	return 0;
}

static int
take_interface(struct pst_ports *ports, uint16_t idx, struct pst_diag *diag)
{
	struct port *port = &ports->ports[idx];

	port->ifindex = if_nametoindex(port->profile->device);
	if (port->ifindex == 0)
		return pst_diag_set(diag, NULL, 0, NULL, "`ip link` lists the interfaces",
			"port %s: no interface %s in this network namespace", port->profile->name,
			port->profile->device);
	if (same_interface(ports, idx, diag) != 0)
		return -1;
	return pst_port_lock(port, diag);
}

int
pst_ports_create(const struct pst_profile *profile, struct pst_ports **out, struct pst_diag *diag)
{
	struct pst_ports *ports = calloc(1, sizeof(*ports));
	if (!ports)
		return pst_diag_set(diag, NULL, 0, NULL, NULL, "out of memory");
	ports->profile = profile;
	for (uint16_t i = 0; i < profile->port_cnt; i++) {
		ports->ports[i].profile = &profile->ports[i];
		ports->ports[i].lock_fd = -1;
		for (unsigned q = 0; q < PST_QUEUES_MAX; q++)
			ports->ports[i].xsk_fds[q] = -1;
	}
	if (pst_port_make_eal_args(ports, diag) != 0)
		goto fail;
	for (uint16_t i = 0; i < profile->port_cnt; i++)
		if (profile->ports[i].kind == PST_PORT_AF_XDP &&
			take_interface(ports, i, diag) != 0)
			goto fail;
	*out = ports;
	return 0;
fail:
	pst_ports_destroy(ports);
	return -1;
}

/* ---- open ---- */

/* It takes our program for one of an older libxdp and says so at each start. */
static int
libxdp_to_log(enum libxdp_print_level level, const char *fmt, va_list ap)
{
	char line[1024];
	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	pst_debug("%s", line);
	return 0;
}

/* EAL goes on without a device that its driver refused: this is where it is missed. */
static int
find_ethdev(const struct port *port, uint16_t queue_id, uint16_t *ethdev, struct pst_diag *diag)
{
	char name[RTE_ETH_NAME_MAX_LEN];

	pst_port_ethdev_name(port->profile, queue_id, name);
	if (rte_eth_dev_get_port_by_name(name, ethdev) == 0)
		return 0;
	return pst_diag_set(diag, NULL, 0, NULL,
		port->profile->kind == PST_PORT_PCI
			? "bind it to vfio-pci (dpdk-devbind.py -b vfio-pci ADDRESS); EAL's lines "
			  "above say more"
			: "EAL's lines above say why; check the device's arguments and that its "
			  "driver is installed",
		"port %s: DPDK could not use device %s (%s)", port->profile->name,
		port->profile->device, name);
}

static int
create_pools(struct port *port, uint32_t mbuf_cnt, struct pst_diag *diag)
{
	const struct pst_profile_port *profile = port->profile;
	uint32_t needed_cnt = profile->rx_desc_cnt + MBUF_CNT_SPARE;
	uint16_t ethdev;

	if (mbuf_cnt < needed_cnt)
		return pst_diag_set(diag, NULL, 0, NULL, "give fewer rx descriptors or more memory",
			"port %s: %u packet buffers a queue, but each needs %u", profile->name,
			mbuf_cnt, needed_cnt);
	for (uint16_t queue = 0; queue < profile->queue_cnt; queue++) {
		if (find_ethdev(port, queue, &ethdev, diag) != 0 ||
			pst_port_pool_create(profile, queue, mbuf_cnt,
				rte_eth_dev_socket_id(ethdev), &port->pools[queue], diag) != 0)
			return -1;
		if (profile->kind == PST_PORT_AF_XDP)
			port->mbuf_unusable_cnt += pst_port_pool_unusable_cnt(port->pools[queue]);
	}
	return 0;
}

static int
attach_steering(const struct pst_profile *profile, struct port *port, struct pst_diag *diag)
{
	unsigned cnt = 0;
	for (uint16_t i = 0; i < profile->listener_cnt; i++)
		cnt += profile->listeners[i].addr_cnt;
	struct pst_steer_target *targets = calloc(cnt ? cnt : 1, sizeof(*targets));
	if (!targets)
		return pst_diag_set(diag, NULL, 0, NULL, NULL, "out of memory");
	cnt = 0;
	for (uint16_t i = 0; i < profile->listener_cnt; i++)
		for (uint16_t a = 0; a < profile->listeners[i].addr_cnt; a++)
			targets[cnt++] = (struct pst_steer_target){
				.addr = profile->listeners[i].addrs[a],
				.udp_port = profile->listeners[i].udp_port,
			};
	uint32_t frame_bytes_max = pst_port_pool_frame_bytes_max(port->pools[0]);
	int err = pst_steer_attach(
		port->ifindex, frame_bytes_max, targets, cnt, &port->steer, diag);
	free(targets);
	if (err)
		return -1;
	pst_notice("port %s: steering on %s, %s mode, frames up to %u bytes", port->profile->name,
		port->profile->device, pst_steer_mode(port->steer), frame_bytes_max);
	return 0;
}

static bool
has_group(const struct pst_profile *profile)
{
	for (uint16_t i = 0; i < profile->listener_cnt; i++)
		for (uint16_t a = 0; a < profile->listeners[i].addr_cnt; a++)
			if (pst_addr_is_multicast(&profile->listeners[i].addrs[a]))
				return true;
	return false;
}

/* Steering first: the driver adopts the program that it finds. Until a queue's socket is there,
 * its frames pass to the kernel. */
static int
open_port(const struct pst_profile *profile, struct port *port, struct pst_diag *diag)
{
	bool is_af_xdp = port->profile->kind == PST_PORT_AF_XDP;
	uint16_t device_cnt = is_af_xdp ? port->profile->queue_cnt : 1;
	uint16_t queue_cnt = is_af_xdp ? 1 : port->profile->queue_cnt;
	uint16_t ethdev;

	port->wants_multicast = has_group(profile);
	if (is_af_xdp)
		port->kernel_dropped_at_open = pst_link_drops(port->profile->device).rx;
	if (create_pools(port, profile->plan.mbuf_cnt, diag) != 0)
		return -1;
	if (is_af_xdp && attach_steering(profile, port, diag) != 0)
		return -1;
	for (uint16_t i = 0; i < device_cnt; i++)
		if (find_ethdev(port, i, &ethdev, diag) != 0 ||
			pst_port_ethdev_open(port, ethdev, i, queue_cnt, diag) != 0)
			return -1;
	if (port->profile->kind == PST_PORT_VDEV)
		port->kernel_dropped_at_open = pst_port_tap_dropped(port);
	if (port->mbuf_unusable_cnt)
		pst_warning("port %s: %u of its packet buffers lie where the kernel cannot fill "
			    "them",
			port->profile->name, port->mbuf_unusable_cnt);
	return pst_port_ethdev_start(port, diag);
}

int
pst_ports_open(struct pst_ports *ports, struct pst_diag *diag)
{
	libxdp_set_print(libxdp_to_log);
	for (uint16_t i = 0; i < ports->profile->port_cnt; i++)
		if (open_port(ports->profile, &ports->ports[i], diag) != 0)
			return -1;
	return 0;
}

/* ---- traffic ---- */

struct pst_port_rx
pst_ports_rx(const struct pst_ports *ports, uint16_t queue_idx)
{
	PST_ASSERT(queue_idx < ports->profile->queue_cnt);
	const struct pst_profile_queue *queue = &ports->profile->queues[queue_idx];
	const struct port *port = &ports->ports[queue->port_idx];
	bool is_af_xdp = port->profile->kind == PST_PORT_AF_XDP;
	return (struct pst_port_rx){
		.port_id = port->ethdevs[is_af_xdp ? queue->queue_id : 0],
		.queue_id = is_af_xdp ? 0 : queue->queue_id,
		.checksum = port->profile->checksum,
	};
}

uint64_t
pst_ports_passed(const struct pst_ports *ports)
{
	uint64_t sum = 0;
	for (uint16_t i = 0; i < ports->profile->port_cnt; i++)
		if (ports->ports[i].steer)
			sum += pst_steer_passed(ports->ports[i].steer);
	return sum;
}

void
pst_ports_steer_off(struct pst_ports *ports)
{
	for (uint16_t i = 0; i < ports->profile->port_cnt; i++)
		if (ports->ports[i].steer)
			pst_steer_detach(ports->ports[i].steer);
}

/* ---- stop ---- */

bool
pst_ports_all_mbufs_home(struct pst_ports *ports)
{
	bool all_home = true;
	for (uint16_t i = 0; i < ports->profile->port_cnt; i++) {
		struct port *port = &ports->ports[i];
		pst_port_ethdev_close(port);
		for (uint16_t q = 0; q < port->profile->queue_cnt; q++)
			all_home &= !port->pools[q] || rte_mempool_avail_count(port->pools[q]) >=
							       port->pool_home_cnt[q];
	}
	return all_home;
}

void
pst_ports_destroy(struct pst_ports *ports)
{
	for (uint16_t i = 0; i < ports->profile->port_cnt; i++) {
		struct port *port = &ports->ports[i];
		pst_port_ethdev_close(port);
		pst_steer_free(port->steer);
		for (uint16_t q = 0; port->profile && q < port->profile->queue_cnt; q++)
			rte_mempool_free(port->pools[q]);
		pst_port_unlock(port);
	}
	free(ports->eal_args);
	free(ports);
}
