/* The profile's ports as EAL arguments. */
#include <rte_pci.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port/ports.h"

/* The part of a device string before its arguments. */
static int
device_name_len(const char *device)
{
	return (int)strcspn(device, ",");
}

void
pst_port_ethdev_name(
	const struct pst_profile_port *port, uint16_t queue_id, char name[RTE_ETH_NAME_MAX_LEN])
{
	struct rte_pci_addr pci;
	if (port->kind == PST_PORT_AF_XDP) {
		snprintf(name, RTE_ETH_NAME_MAX_LEN, "net_af_xdp_%s_%u", port->name, queue_id);
		return;
	}
	snprintf(name, RTE_ETH_NAME_MAX_LEN, "%.*s", device_name_len(port->device), port->device);
	/* EAL names a PCI device with its domain, whether the profile does or not. */
	if (port->kind == PST_PORT_PCI && rte_pci_addr_parse(name, &pci) == 0)
		rte_pci_device_name(&pci, name, RTE_ETH_NAME_MAX_LEN);
}

/* busy_budget 0: else each empty poll is a system call. */
static void
add_af_xdp(struct pst_ports *ports, const struct pst_profile_port *port)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	for (uint16_t queue = 0; queue < port->queue_cnt; queue++) {
		pst_port_ethdev_name(port, queue, name);
		snprintf(ports->eal_args[ports->eal_arg_cnt++], PST_PORT_ARG_LEN,
			"--vdev=%s,iface=%s,start_queue=%u,queue_count=1,busy_budget=0", name,
			port->device, queue);
	}
}

static int
check_device(const struct pst_profile_port *port, struct pst_diag *diag)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	struct rte_pci_addr pci;

	if (strlen(port->device) > PST_PORT_ARG_LEN - 16)
		return pst_diag_set(diag, NULL, 0, NULL, NULL,
			"port %s: device has more than %d characters", port->name,
			PST_PORT_ARG_LEN - 16);
	if (device_name_len(port->device) == 0 ||
		device_name_len(port->device) >= RTE_ETH_NAME_MAX_LEN)
		return pst_diag_set(diag, NULL, 0, NULL, NULL, "port %s: no device name in \"%s\"",
			port->name, port->device);
	if (port->kind == PST_PORT_VDEV && strncmp(port->device, "net_af_xdp", 10) == 0)
		return pst_diag_set(diag, NULL, 0, NULL,
			"declare the port as an AF_XDP port of its interface",
			"port %s: net_af_xdp as a plain vdev would have neither steering nor "
			"kernel "
			"path",
			port->name);
	pst_port_ethdev_name(port, 0, name);
	if (port->kind == PST_PORT_PCI && rte_pci_addr_parse(name, &pci) != 0)
		return pst_diag_set(diag, NULL, 0, NULL,
			"give it as in 0000:3b:00.0 (`dpdk-devbind.py -s` lists them)",
			"port %s: \"%s\" is not a PCI address", port->name, port->device);
	return 0;
}

int
pst_port_make_eal_args(struct pst_ports *ports, struct pst_diag *diag)
{
	const struct pst_profile *profile = ports->profile;
	unsigned cnt = 1;
	bool any_pci = false;

	for (uint16_t i = 0; i < profile->port_cnt; i++) {
		if (check_device(&profile->ports[i], diag) != 0)
			return -1;
		cnt += profile->ports[i].queue_cnt;
	}
	ports->eal_args = calloc(cnt, sizeof(*ports->eal_args));
	if (!ports->eal_args)
		return pst_diag_set(diag, NULL, 0, NULL, NULL, "out of memory");
	for (uint16_t i = 0; i < profile->port_cnt; i++) {
		const struct pst_profile_port *port = &profile->ports[i];
		if (port->kind == PST_PORT_AF_XDP) {
			add_af_xdp(ports, port);
			continue;
		}
		any_pci |= port->kind == PST_PORT_PCI;
		snprintf(ports->eal_args[ports->eal_arg_cnt++], PST_PORT_ARG_LEN, "%s%s",
			port->kind == PST_PORT_PCI ? "--allow=" : "--vdev=", port->device);
	}
	/* Without it EAL would take every PCI device that is bound to a DPDK driver. */
	if (!any_pci)
		snprintf(ports->eal_args[ports->eal_arg_cnt++], PST_PORT_ARG_LEN, "--no-pci");
	return 0;
}

unsigned
pst_ports_eal_args(const struct pst_ports *ports, const char **argv, unsigned cap)
{
	unsigned cnt = 0;
	for (; cnt < ports->eal_arg_cnt && cnt < cap; cnt++)
		argv[cnt] = ports->eal_args[cnt];
	return cnt;
}
