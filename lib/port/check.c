/* What about an interface would lose, merge or hide events: looked at before anything is changed.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "port/link.h"
#include "port/ports.h"

#define ETHERNET_VLAN_LEN 18

struct findings {
	struct pst_port_finding *list;
	unsigned cnt, cap;
};

/* The next finding's place, or NULL if there is no more. */
static struct pst_port_finding *
add(struct findings *f, const struct pst_profile_port *port, bool fatal)
{
	if (f->cnt == f->cap)
		return NULL;
	struct pst_port_finding *finding = &f->list[f->cnt++];
	memset(finding, 0, sizeof(*finding));
	finding->port = port->name;
	finding->fatal = fatal;
	return finding;
}

__attribute__((format(printf, 2, 3))) static void
text(struct pst_port_finding *finding, const char *fmt, ...)
{
	va_list ap;
	if (!finding)
		return;
	va_start(ap, fmt);
	vsnprintf(finding->text, sizeof(finding->text), fmt, ap);
	va_end(ap);
}

__attribute__((format(printf, 2, 3))) static void
cure(struct pst_port_finding *finding, const char *fmt, ...)
{
	va_list ap;
	if (!finding)
		return;
	va_start(ap, fmt);
	vsnprintf(finding->cure, sizeof(finding->cure), fmt, ap);
	va_end(ap);
}

static void
check_state(struct findings *f, const struct pst_profile_port *port, const struct pst_link *link)
{
	const char *ifname = port->device;
	if (!link->is_up) {
		struct pst_port_finding *finding = add(f, port, true);
		text(finding, "%s is down: no socket can be bound to it", ifname);
		cure(finding, "ip link set dev %s up", ifname);
	} else if (!link->is_running) {
		struct pst_port_finding *finding = add(f, port, false);
		text(finding, "%s has no carrier: nothing will arrive until it has", ifname);
	}
}

static void
check_occupant(struct findings *f, const struct pst_profile_port *port, unsigned ifindex)
{
	char name[PST_STEER_PROGRAM_NAME_LEN];
	uint32_t id = pst_steer_occupant(ifindex, name);
	if (id == 0)
		return;
	struct pst_port_finding *finding = add(f, port, true);
	text(finding, "%s has somebody else's XDP program (id %u%s%s)", port->device, id,
		name[0] ? ", name " : "", name);
	cure(finding, "ip link set dev %s xdp off", port->device);
}

/* A sender's UDP_SEGMENT call stays one packet on loopback: below the frame limit it would arrive
 * as one consistent datagram. */
static void
check_segmentation(struct findings *f, const struct pst_profile_port *port,
	const struct pst_link *link, const struct pst_link_offloads *offloads)
{
	if (!link->is_loopback || !offloads->udp_segmentation)
		return;
	struct pst_port_finding *finding = add(f, port, false);
	text(finding,
		"%s: UDP segmentation offload is on: datagrams that a sender hands over in one "
		"call (UDP_SEGMENT) arrive merged into one",
		port->device);
	cure(finding, "ethtool -K %s tx-udp-segmentation off", port->device);
}

static void
check_gro(struct findings *f, const struct pst_profile_port *port, bool is_on, const char *feature)
{
	if (!is_on)
		return;
	struct pst_port_finding *finding = add(f, port, false);
	text(finding, "%s: %s is on: datagrams of one flow may be merged before they are steered",
		port->device, feature);
	cure(finding, "ethtool -K %s %s off", port->device, feature);
}

/* veth hides tags by its sender's offload, which cannot be seen from here. */
static void
check_vlan(struct findings *f, const struct pst_profile_port *port, const struct pst_link *link,
	const struct pst_link_offloads *offloads)
{
	if (link->is_loopback || strcmp(link->driver, "veth") == 0 || !offloads->vlan_strip)
		return;
	struct pst_port_finding *finding = add(f, port, false);
	text(finding,
		"%s: VLAN offload is on: tags are taken off before steering, frames of every VLAN "
		"count as untagged",
		port->device);
	cure(finding, "ethtool -K %s rx-vlan-offload off", port->device);
}

static void
check_mtu(struct findings *f, const struct pst_profile_port *port, const struct pst_link *link)
{
	uint32_t frame_max = PST_PORT_AF_XDP_FRAME_BYTES_MAX;
	if (link->is_loopback || link->mtu + ETHERNET_VLAN_LEN <= frame_max)
		return;
	struct pst_port_finding *finding = add(f, port, false);
	text(finding,
		"%s: MTU %u: frames over %u bytes take the kernel path, which is slower; nothing "
		"is "
		"lost",
		port->device, link->mtu, frame_max);
	cure(finding, "ip link set dev %s mtu %u", port->device, frame_max - ETHERNET_VLAN_LEN);
}

static void
check_queues(struct findings *f, const struct pst_profile_port *port, const struct pst_link *link)
{
	const char *ifname = port->device;
	const char *kind = strcmp(link->driver, "veth") == 0 ? "rx" : "combined";
	uint32_t have_cnt = link->rx_queue_cnt ? link->rx_queue_cnt : 1;
	uint32_t want_cnt = port->queue_cnt;

	if (have_cnt == want_cnt)
		return;
	struct pst_port_finding *finding = add(f, port, have_cnt < want_cnt);
	if (have_cnt < want_cnt)
		text(finding, "%s has %u rx queues, the profile wants %u", ifname, have_cnt,
			want_cnt);
	else
		text(finding,
			"%s has %u rx queues, the profile polls %u: what arrives on the others "
			"takes the kernel path, which is slower; nothing is lost",
			ifname, have_cnt, want_cnt);
	cure(finding, "ethtool -L %s %s %u", ifname, kind, want_cnt);
}

unsigned
pst_port_check_link(const struct pst_profile_port *port, const struct pst_link *link,
	const struct pst_link_offloads *offloads, struct pst_port_finding *findings, unsigned cap)
{
	struct findings f = {.list = findings, .cap = cap};

	check_state(&f, port, link);
	check_queues(&f, port, link);
	check_segmentation(&f, port, link, offloads);
	check_gro(&f, port, offloads->gro_forwarding, "rx-udp-gro-forwarding");
	check_gro(&f, port, offloads->gro_list, "rx-gro-list");
	check_vlan(&f, port, link, offloads);
	check_mtu(&f, port, link);
	return f.cnt;
}

static void
check_interface(struct findings *f, const struct port *port)
{
	const char *ifname = port->profile->device;
	struct pst_link_offloads offloads;
	struct pst_link link;

	int err = pst_link_read(ifname, &link);
	if (err) {
		text(add(f, port->profile, true), "%s: %s", ifname, strerror(-err));
		return;
	}
	pst_link_read_offloads(ifname, &offloads);
	check_occupant(f, port->profile, port->ifindex);
	f->cnt += pst_port_check_link(
		port->profile, &link, &offloads, f->list + f->cnt, f->cap - f->cnt);
}

/* The driver does not replace the socket file that a killed server left behind. */
static void
check_memif(struct findings *f, const struct pst_profile_port *port)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	const char *device = port->device;
	const char *path = strstr(device, ",socket=");

	if (strncmp(device, "net_memif", 9) != 0 || !strstr(device, ",role=server") || !path)
		return;
	path += strlen(",socket=");
	size_t len = strcspn(path, ",");
	if (len >= sizeof(name.sun_path))
		return;
	memcpy(name.sun_path, path, len);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, (struct sockaddr *)&name, sizeof(name)) != 0 && errno == ECONNREFUSED) {
		struct pst_port_finding *finding = add(f, port, true);
		text(finding, "%s is left over: nobody serves it", name.sun_path);
		cure(finding, "rm %s", name.sun_path);
	}
	close(fd);
}

unsigned
pst_ports_check(const struct pst_ports *ports, struct pst_port_finding *findings, unsigned cap)
{
	struct findings f = {.list = findings, .cap = cap};
	for (uint16_t i = 0; i < ports->profile->port_cnt; i++) {
		const struct port *port = &ports->ports[i];
		if (port->profile->kind == PST_PORT_AF_XDP)
			check_interface(&f, port);
		else if (port->profile->kind == PST_PORT_VDEV)
			check_memif(&f, port->profile);
	}
	return f.cnt;
}
