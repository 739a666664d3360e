/* What is counted outside of the books: by drivers, sockets and the kernel. */
#include "metrics/families.h"

static void
by_port(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	for (uint16_t p = 0; p < o->profile->port_cnt; p++)
		pst_exposition_u64(x, pst_word_at(&o->ports[p], offset), "port",
			o->profile->ports[p].name, NULL);
}

static void
half_by_port(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	for (uint16_t p = 0; p < o->profile->port_cnt; p++)
		pst_exposition_u64(x, pst_half_at(&o->ports[p], offset), "port",
			o->profile->ports[p].name, NULL);
}

static void
by_xdp_port(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	for (uint16_t p = 0; p < o->profile->port_cnt; p++)
		if (o->ports[p].has_xdp)
			pst_exposition_u64(x, pst_word_at(&o->ports[p], offset), "port",
				o->profile->ports[p].name, NULL);
}

static void
link_up(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	for (uint16_t p = 0; p < o->profile->port_cnt; p++)
		pst_exposition_u64(x, o->ports[p].link_up, "port", o->profile->ports[p].name, NULL);
}

static void
steered(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	for (uint16_t p = 0; p < o->profile->port_cnt; p++)
		for (unsigned s = 0; o->ports[p].has_xdp && s < PST_STEER_COUNT_CNT; s++)
			pst_exposition_u64(x, o->ports[p].steer[s], "port",
				o->profile->ports[p].name, "outcome", pst_steer_count_name(s),
				NULL);
}

static void
of_kernel_path(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	if (o->pipeline->ksock)
		pst_exposition_u64(x, pst_word_at(&o->kernel_path, offset), NULL);
}

#define PORT(name, type, write, field, help)                                                       \
	{                                                                                          \
		name, PST_METRIC_##type, write, offsetof(struct pst_port_stats, field), help       \
	}
#define KERNEL(name, type, field, help)                                                            \
	{                                                                                          \
		name, PST_METRIC_##type, of_kernel_path, offsetof(struct pst_ksock_stats, field),  \
			help                                                                       \
	}

static const struct pst_family families[] = {
	{"penstock_port_up", PST_METRIC_GAUGE, link_up, 0, "1: the link is up."},
	PORT("penstock_port_mtu_bytes", GAUGE, half_by_port, mtu, "Largest packet of the link."),
	PORT("penstock_port_packets_total", COUNTER, by_port, rx_packets,
		"Packets received, as the driver counts them."),
	PORT("penstock_port_bytes_total", COUNTER, by_port, rx_bytes,
		"Bytes received, as the driver counts them."),
	PORT("penstock_port_missed_total", COUNTER, by_port, imissed,
		"Packets lost because the queue was not polled in time (imissed)."),
	PORT("penstock_port_errors_total", COUNTER, by_port, ierrors,
		"Packets that the device refused (ierrors)."),
	PORT("penstock_port_no_mbuf_total", COUNTER, by_port, rx_nombuf,
		"Attempts to refill the queue that found no packet buffer; not losses."),
	PORT("penstock_port_interface_dropped_total", COUNTER, by_port, interface_rx_dropped,
		"Dropped by kernel and device of the interface; holds missed packets once more."),
	PORT("penstock_port_tap_dropped_total", COUNTER, by_port, tap_dropped,
		"TAP: lost because our queue of the interface was full."),
	PORT("penstock_port_mbufs", GAUGE, half_by_port, mbuf_cnt, "Packet buffers."),
	PORT("penstock_port_mbufs_free", GAUGE, half_by_port, mbuf_free_cnt,
		"Packet buffers that are free."),
	PORT("penstock_port_mbufs_unusable", GAUGE, half_by_port, mbuf_unusable_cnt,
		"Packet buffers that the kernel cannot fill."),
	PORT("penstock_port_xdp_dropped_total", COUNTER, by_xdp_port, xdp_rx_dropped,
		"AF_XDP: lost at the socket, for other reasons than a full ring."),
	PORT("penstock_port_xdp_invalid_descriptors_total", COUNTER, by_xdp_port,
		xdp_rx_invalid_descs, "AF_XDP: descriptors that the kernel refused."),
	PORT("penstock_port_xdp_ring_full_total", COUNTER, by_xdp_port, xdp_rx_ring_full,
		"AF_XDP: lost because the receive ring was full."),
	PORT("penstock_port_xdp_fill_ring_empty_total", COUNTER, by_xdp_port, xdp_fill_ring_empty,
		"AF_XDP: the kernel found no buffer to fill."),
	{"penstock_port_steered_total", PST_METRIC_COUNTER, steered, 0,
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
