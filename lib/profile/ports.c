#include <ctype.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "profile/load.h"

#define DESCRIPTORS_DEFAULT 2048
/* 2,048 buffers circulate in an AF_XDP queue whatever its ring: a smaller ring overflows where no
 * counter shows it. */
#define DESCRIPTORS_AF_XDP_MIN 2048
#define DESCRIPTORS_AF_XDP_MAX 4096
#define DESCRIPTORS_MIN        64
#define DESCRIPTORS_MAX        32768
#define PORT_QUEUES_MAX        (PST_QUEUES_MAX - 1) /* one is the kernel path */

static void
port_key(char key[64], uint32_t idx, const char *name)
{
	snprintf(key, 64, "ports[%u]%s%s", idx, name[0] ? "." : "", name);
}

static int
load_interface(struct pst_load *load, const char *key, const char *name)
{
	char list[256], remedy[320];

	if (strlen(name) < IF_NAMESIZE && pst_host_interface(name) != 0)
		return 0;
	pst_host_interfaces_text(list, sizeof(list));
	snprintf(remedy, sizeof(remedy), "give one of those there are: %s", list);
	return pst_load_fail(load, key, remedy, "there is no interface \"%s\"", name);
}

/* Reads "[DDDD:]BB:DD.F" into its full lower-case form. */
static int
canonical_pci(const char *text, char out[PST_PCI_TEXT])
{
	static const char form[] = "xxxx:xx:xx.x";
	size_t len = strlen(text);

	if (len == strlen(form))
		snprintf(out, PST_PCI_TEXT, "%s", text);
	else if (len == strlen("xx:xx.x"))
		snprintf(out, PST_PCI_TEXT, "0000:%s", text);
	else
		return -1;
	for (size_t i = 0; form[i]; i++) {
		if (form[i] == 'x' ? !isxdigit((unsigned char)out[i]) : out[i] != form[i])
			return -1;
		out[i] = (char)tolower((unsigned char)out[i]);
	}
	return out[sizeof(form) - 2] <= '7' ? 0 : -1;
}

static int
load_pci(struct pst_load *load, const char *key, const char *text, char out[PST_PCI_TEXT])
{
	if (canonical_pci(text, out) != 0)
		return pst_load_fail(load, key,
			"give domain:bus:device.function, as in 0000:3b:00.0",
			"\"%s\" is not a PCI address", text);
	if (!pst_host_has_pci(out))
		return pst_load_fail(load, key,
			"list the devices with: dpdk-devbind.py --status-dev net",
			"there is no PCI device %s", out);
	return 0;
}

/* An EAL vdev argument: "net_<driver><instance>[,key=value ...]". */
static int
load_vdev(struct pst_load *load, const char *key, const char *text)
{
	size_t name_len = strcspn(text, ",");

	for (const char *c = text; *c; c++)
		if (!isgraph((unsigned char)*c))
			return pst_load_fail(load, key, "remove blanks and control characters",
				"\"%s\" has a blank or control character in it", text);
	if (strncmp(text, "net_af_xdp", strlen("net_af_xdp")) == 0)
		return pst_load_fail(load, key, "give interface: NAME instead of vdev",
			"an AF_XDP device without our steering program");
	if (name_len < sizeof("net_x") - 1 || strncmp(text, "net_", 4) != 0)
		return pst_load_fail(load, key,
			"give driver, number and arguments, as in net_tap0,iface=tap0",
			"\"%s\" is not a network vdev", text);
	for (size_t i = 0; i < name_len; i++)
		if (!isalnum((unsigned char)text[i]) && text[i] != '_')
			return pst_load_fail(load, key, "put a comma behind the device's name",
				"\"%.*s\" is not a name of a vdev", (int)name_len, text);
	return 0;
}

static int
load_device(struct pst_load *load, uint32_t idx)
{
	const struct pst_raw_port *raw = &load->raw->ports[idx];
	struct pst_profile_port *port = &load->profile->ports[idx];
	int given = !!raw->interface + !!raw->pci + !!raw->vdev;
	char key[64];

	port_key(key, idx, "");
	if (given != 1)
		return pst_load_fail(load, key, "give exactly one of interface, pci, vdev",
			given ? "%d devices for one port" : "%d devices for the port", given);
	if (raw->interface) {
		port->kind = PST_PORT_AF_XDP;
		port->device = raw->interface;
		port_key(key, idx, "interface");
		return load_interface(load, key, raw->interface);
	}
	if (raw->pci) {
		port->kind = PST_PORT_PCI;
		port->device = load->loaded->pci[idx];
		port_key(key, idx, "pci");
		return load_pci(load, key, raw->pci, load->loaded->pci[idx]);
	}
	port->kind = PST_PORT_VDEV;
	port->device = raw->vdev;
	port_key(key, idx, "vdev");
	return load_vdev(load, key, raw->vdev);
}

static int
load_checksum(struct pst_load *load, uint32_t idx)
{
	const struct pst_raw_port *raw = &load->raw->ports[idx];
	struct pst_profile_port *port = &load->profile->ports[idx];
	char key[64];

	if (raw->checksum == 0) {
		port->checksum = PST_CHECKSUM_STRICT;
		if (port->kind == PST_PORT_PCI)
			port->checksum = PST_CHECKSUM_NIC;
		else if (port->kind == PST_PORT_AF_XDP && pst_host_interface_is_local(port->device))
			port->checksum = PST_CHECKSUM_LOCAL;
		return 0;
	}
	port->checksum = (enum pst_checksum)(raw->checksum - 1);
	port_key(key, idx, "checksum");
	if (port->kind == PST_PORT_AF_XDP && port->checksum == PST_CHECKSUM_NIC)
		return pst_load_fail(load, key, "give strict, or local for lo and veth",
			"an AF_XDP port is not told what the NIC found");
	return 0;
}

static int
load_queues(struct pst_load *load, uint32_t idx)
{
	const struct pst_raw_port *raw = &load->raw->ports[idx];
	struct pst_profile *p = load->profile;
	struct pst_profile_port *port = &p->ports[idx];
	bool af_xdp = port->kind == PST_PORT_AF_XDP;
	const struct pst_number queues = {PST_NUMBER_COUNT, 1, PORT_QUEUES_MAX, false};
	const struct pst_number descriptors = {PST_NUMBER_COUNT,
		af_xdp ? DESCRIPTORS_AF_XDP_MIN : DESCRIPTORS_MIN,
		af_xdp ? DESCRIPTORS_AF_XDP_MAX : DESCRIPTORS_MAX, false};
	uint64_t value = 0;
	char key[64];

	port_key(key, idx, "queues");
	if (pst_load_number(load, key, raw->queues, &queues, 1, &value) != 0)
		return -1;
	if (p->queue_cnt + value > PORT_QUEUES_MAX)
		return pst_load_fail(load, key, "lower queues here or at another port",
			"%llu queues of all ports together, but at most %d are possible",
			(unsigned long long)(p->queue_cnt + value), PORT_QUEUES_MAX);
	port->queue_cnt = (uint16_t)value;
	port->queue_first_idx = p->queue_cnt;
	for (uint16_t q = 0; q < port->queue_cnt; q++)
		p->queues[p->queue_cnt++] = (struct pst_profile_queue){
			.port_idx = (uint16_t)idx, .queue_id = q};

	port_key(key, idx, "descriptors");
	if (pst_load_number(
		    load, key, raw->descriptors, &descriptors, DESCRIPTORS_DEFAULT, &value) != 0)
		return -1;
	if (value & (value - 1))
		return pst_load_fail(load, key, "give a power of two, as in 2048",
			"%llu is not a power of two", (unsigned long long)value);
	port->rx_desc_cnt = (uint16_t)value;
	return 0;
}

static bool
same_device(const struct pst_profile_port *a, const struct pst_profile_port *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == PST_PORT_AF_XDP) /* by index: an interface can have several names */
		return pst_host_interface(a->device) == pst_host_interface(b->device);
	size_t a_len = strcspn(a->device, ","), b_len = strcspn(b->device, ",");
	return a_len == b_len && strncmp(a->device, b->device, a_len) == 0;
}

static int
check_unique(struct pst_load *load, uint32_t idx)
{
	static const char *const kinds[] = {"interface", "pci", "vdev"};
	const struct pst_profile_port *ports = load->profile->ports, *port = &ports[idx];
	char key[64];

	for (uint32_t other = 0; other < idx; other++) {
		port_key(key, idx, "name");
		if (strcmp(ports[other].name, port->name) == 0)
			return pst_load_fail(load, key, "give each port a name of its own",
				"ports[%u] is called \"%s\", too", other, port->name);
		port_key(key, idx, kinds[port->kind]);
		if (same_device(&ports[other], port))
			return pst_load_fail(load, key,
				"name each device once; more queues of it are \"queues:\"",
				"port \"%s\" has this device already", ports[other].name);
	}
	return 0;
}

int
pst_load_ports(struct pst_load *load)
{
	struct pst_profile *p = load->profile;
	char key[64];

	p->ports = calloc(load->raw->port_cnt, sizeof(p->ports[0]));
	if (!p->ports)
		return pst_load_fail(load, "ports", NULL, "out of memory");
	p->port_cnt = (uint16_t)load->raw->port_cnt;
	for (uint32_t i = 0; i < load->raw->port_cnt; i++) {
		p->ports[i].name = load->raw->ports[i].name;
		p->ports[i].promiscuous = load->raw->ports[i].promiscuous;
		port_key(key, i, "name");
		if (pst_load_name(load, key, p->ports[i].name) != 0 || load_device(load, i) != 0 ||
			check_unique(load, i) != 0 || load_checksum(load, i) != 0 ||
			load_queues(load, i) != 0)
			return -1;
	}
	return 0;
}
