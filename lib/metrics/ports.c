/* What is counted outside of the books: by drivers, sockets and the kernel. */
#include "metrics/families.h"

static bool
port(const struct pst_observation *o, uint32_t idx, struct pst_row *row)
{
	if (idx >= o->profile->port_cnt)
		return false;
	row->at = &o->ports[idx];
	row->name = o->profile->ports[idx].name;
	return true;
}

static bool
xdp_port(const struct pst_observation *o, uint32_t idx, struct pst_row *row)
{
	if (!port(o, idx, row))
		return false;
	if (!o->ports[idx].has_xdp)
		row->at = NULL;
	return true;
}

static bool
kernel_path(const struct pst_observation *o, uint32_t idx, struct pst_row *row)
{
	row->at = o->pipeline->ksock ? &o->kernel_path : NULL;
	return idx == 0;
}

static const struct pst_rows ports = {"port", port};
static const struct pst_rows xdp_ports = {"port", xdp_port};
static const struct pst_rows kernel_paths = {NULL, kernel_path};

static void
steered(struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	for (uint16_t p = 0; p < o->profile->port_cnt; p++)
		for (unsigned s = 0; o->ports[p].has_xdp && s < PST_STEER_COUNT_CNT; s++)
			pst_exposition_u64(x, o->ports[p].steer[s], "port",
				o->profile->ports[p].name, "outcome", pst_steer_count_name(s),
				NULL);
}

#define PORT(...)     PST_ROWS(&ports, struct pst_port_stats, __VA_ARGS__)
#define XDP_PORT(...) PST_ROWS(&xdp_ports, struct pst_port_stats, __VA_ARGS__)
#define KERNEL(...)   PST_ROWS(&kernel_paths, struct pst_ksock_stats, __VA_ARGS__)

static const struct pst_family families[] = {
	PORT("penstock_port_up", GAUGE, link_up, "1: the link is up."),
	PORT("penstock_port_mtu_bytes", GAUGE, mtu, "Largest packet of the link."),
	PORT("penstock_port_packets_total", COUNTER, rx_packets,
		"Packets received, as the driver counts them."),
	PORT("penstock_port_bytes_total", COUNTER, rx_bytes,
		"Bytes received, as the driver counts them."),
	PORT("penstock_port_missed_total", COUNTER, imissed,
		"Packets lost because the queue was not polled in time (imissed)."),
	PORT("penstock_port_errors_total", COUNTER, ierrors,
		"Packets that the device refused (ierrors)."),
	PORT("penstock_port_no_mbuf_total", COUNTER, rx_nombuf,
		"Attempts to refill the queue that found no packet buffer; not losses."),
	PORT("penstock_port_interface_dropped_total", COUNTER, interface_rx_dropped,
		"Dropped by kernel and device of the interface; holds missed packets once more."),
	PORT("penstock_port_tap_dropped_total", COUNTER, tap_dropped,
		"TAP: lost because our queue of the interface was full."),
	PORT("penstock_port_mbufs", GAUGE, mbuf_cnt, "Packet buffers."),
	PORT("penstock_port_mbufs_free", GAUGE, mbuf_free_cnt, "Packet buffers that are free."),
	PORT("penstock_port_mbufs_unusable", GAUGE, mbuf_unusable_cnt,
		"Packet buffers that the kernel cannot fill."),
	XDP_PORT("penstock_port_xdp_dropped_total", COUNTER, xdp_rx_dropped,
		"AF_XDP: lost at the socket, for other reasons than a full ring."),
	XDP_PORT("penstock_port_xdp_invalid_descriptors_total", COUNTER, xdp_rx_invalid_descs,
		"AF_XDP: descriptors that the kernel refused."),
	XDP_PORT("penstock_port_xdp_ring_full_total", COUNTER, xdp_rx_ring_full,
		"AF_XDP: lost because the receive ring was full."),
	XDP_PORT("penstock_port_xdp_fill_ring_empty_total", COUNTER, xdp_fill_ring_empty,
		"AF_XDP: the kernel found no buffer to fill."),
	{"penstock_port_steered_total", PST_METRIC_COUNTER, steered,
		"AF_XDP: frames by what the steering program did with them."},

	KERNEL("penstock_kernel_path_datagrams_total", COUNTER, received,
		"Datagrams taken from the kernel path's sockets."),
	KERNEL("penstock_kernel_path_bytes_total", COUNTER, bytes, "Bytes of these datagrams."),
	KERNEL("penstock_kernel_path_dropped_total", COUNTER, dropped,
		"Datagrams lost at our sockets: no buffer left, or a wrong checksum."),
	KERNEL("penstock_kernel_path_refused_total", COUNTER, refused,
		"Datagrams that came after the stop."),
	KERNEL("penstock_kernel_path_receive_buffer_bytes", GAUGE, rcvbuf_bytes,
		"Receive buffer of each socket."),
	KERNEL("penstock_kernel_udp_in_errors_total", COUNTER, udp_in_errors,
		"UDP datagrams that the kernel refused, anyone's in this network namespace."),
	KERNEL("penstock_kernel_udp_receive_buffer_errors_total", COUNTER, udp_rcvbuf_errors,
		"UDP datagrams that found a full socket, anyone's in this network namespace."),
	KERNEL("penstock_kernel_ip_reassembly_failures_total", COUNTER, ip_reasm_fails,
		"IPv4 packets whose fragments did not come together."),
	KERNEL("penstock_kernel_ip6_reassembly_failures_total", COUNTER, ip6_reasm_fails,
		"IPv6 packets whose fragments did not come together."),
};

const struct pst_families pst_families_ports = {families, PST_ARRAY_CNT(families)};
