#include "telemetry/commands.h"

static const char *
kind_name(enum pst_port_kind kind)
{
	static const char *const names[] = {
		[PST_PORT_AF_XDP] = "af_xdp", [PST_PORT_PCI] = "pci", [PST_PORT_VDEV] = "vdev"};
	PST_ASSERT(kind < PST_ARRAY_CNT(names));
	return names[kind];
}

static void
dict_af_xdp(struct pst_dict row, const struct pst_port_stats *stats)
{
	pst_dict_u64(row, "xdp_rx_dropped", stats->xdp_rx_dropped);
	pst_dict_u64(row, "xdp_rx_invalid_descs", stats->xdp_rx_invalid_descs);
	pst_dict_u64(row, "xdp_rx_ring_full", stats->xdp_rx_ring_full);
	pst_dict_u64(row, "xdp_fill_ring_empty", stats->xdp_fill_ring_empty);

	struct pst_dict steer = pst_dict_dict(row, "steer");
	for (unsigned i = 0; i < PST_STEER_COUNT_CNT; i++)
		pst_dict_u64(steer, pst_steer_count_name(i), stats->steer[i]);
}

/* Nothing to say of a single queue, or before the first interval. */
static void
dict_spread(struct pst_dict row, struct pst_pipeline *pipeline, uint32_t idx)
{
	pthread_mutex_lock(&pipeline->spread_mutex);
	struct pst_spread spread = pipeline->spread[idx];
	pthread_mutex_unlock(&pipeline->spread_mutex);
	if (spread.frame_cnt == 0)
		return;
	struct pst_dict dict = pst_dict_dict(row, "spread");
	pst_dict_u64(dict, "skewed", spread.skewed);
	pst_dict_u64(dict, "frame_cnt", spread.frame_cnt);
	pst_dict_u64(dict, "busiest_queue", spread.busiest_idx);
	pst_dict_u64(dict, "busiest_share_permille", spread.busiest_share_permille);
	pst_dict_u64(dict, "max_to_mean_permille", spread.max_to_mean_permille);
}

static enum pst_row_fate
fill_port(struct pst_dict row, void *arg, uint32_t idx)
{
	struct pst_pipeline *pipeline = arg;
	const struct pst_profile_port *port = &pipeline->profile->ports[idx];
	struct pst_port_stats stats = {0};

	pst_ports_stats(pipeline->ports, (uint16_t)idx, &stats);
	pst_dict_u64(row, "index", idx);
	pst_dict_string(row, "name", port->name);
	pst_dict_string(row, "kind", kind_name(port->kind));
	pst_dict_string(row, "device", port->device);
	pst_dict_u64(row, "queue_cnt", port->queue_cnt);
	pst_dict_string(row, "checksum", pst_checksum_name(port->checksum));
	pst_dict_u64(row, "link_up", stats.link_up);
	pst_dict_u64(row, "mtu", stats.mtu);
	pst_dict_u64(row, "rx_packets", stats.rx_packets);
	pst_dict_u64(row, "rx_bytes", stats.rx_bytes);
	pst_dict_u64(row, "imissed", stats.imissed);
	pst_dict_u64(row, "ierrors", stats.ierrors);
	pst_dict_u64(row, "rx_nombuf", stats.rx_nombuf);
	pst_dict_u64(row, "interface_rx_dropped", stats.interface_rx_dropped);
	pst_dict_u64(row, "tap_dropped", stats.tap_dropped);
	pst_dict_u64(row, "mbuf_cnt", stats.mbuf_cnt);
	pst_dict_u64(row, "mbuf_free_cnt", stats.mbuf_free_cnt);
	pst_dict_u64(row, "mbuf_unusable_cnt", stats.mbuf_unusable_cnt);
	dict_spread(row, pipeline, idx);
	if (stats.has_xdp)
		dict_af_xdp(row, &stats);
	return PST_ROW_ADD;
}

static void
dict_kernel_path(struct pst_dict top, struct pst_ksock *ksock)
{
	struct pst_ksock_stats stats = {0};

	pst_ksock_stats(ksock, &stats);
	struct pst_dict path = pst_dict_dict(top, "kernel_path");
	pst_dict_u64(path, "received", stats.received);
	pst_dict_u64(path, "bytes", stats.bytes);
	pst_dict_u64(path, "dropped", stats.dropped);
	pst_dict_u64(path, "refused", stats.refused);
	pst_dict_u64(path, "rcvbuf_bytes", stats.rcvbuf_bytes);
	pst_dict_u64(path, "udp_in_errors", stats.udp_in_errors);
	pst_dict_u64(path, "udp_rcvbuf_errors", stats.udp_rcvbuf_errors);
	pst_dict_u64(path, "ip_reasm_fails", stats.ip_reasm_fails);
	pst_dict_u64(path, "ip6_reasm_fails", stats.ip6_reasm_fails);
}

int
pst_serve_ports(struct pst_request *request)
{
	struct pst_pipeline *pipeline = request->pipeline;

	if (pipeline->ksock && request->args[0] == 0)
		dict_kernel_path(request->top, pipeline->ksock);
	return pst_serve_page(request, pipeline->profile->port_cnt, fill_port, pipeline);
}

/* ---- extended statistics: those of all ports as one list ---- */

#define XSTATS_PAGE 256

struct xstats {
	uint32_t first;
	uint32_t total; /* visited so far */
	uint16_t port_idx;
	struct xstat {
		uint16_t port_idx;
		char name[96];
		uint64_t value;
	} rows[XSTATS_PAGE]; /* first .. */
};

static void
visit(void *arg, const char *name, uint64_t value)
{
	struct xstats *xstats = arg;
	uint32_t idx = xstats->total++;

	if (idx < xstats->first || idx - xstats->first >= XSTATS_PAGE)
		return;
	struct xstat *row = &xstats->rows[idx - xstats->first];
	row->port_idx = xstats->port_idx;
	row->value = value;
	strncpy(row->name, name, sizeof(row->name) - 1);
}

static enum pst_row_fate
fill_xstat(struct pst_dict row, void *arg, uint32_t idx)
{
	const struct xstats *xstats = arg;
	const struct xstat *xstat = &xstats->rows[idx - xstats->first];

	if (idx - xstats->first == XSTATS_PAGE)
		return PST_ROW_STOP;
	pst_dict_u64(row, "port", xstat->port_idx);
	pst_dict_string(row, "name", xstat->name);
	pst_dict_u64(row, "value", xstat->value);
	return PST_ROW_ADD;
}

int
pst_serve_xstats(struct pst_request *request)
{
	struct pst_pipeline *pipeline = request->pipeline;
	struct xstats xstats = {.first = (uint32_t)request->args[0]};

	for (uint16_t p = 0; p < pipeline->profile->port_cnt; p++) {
		xstats.port_idx = p;
		pst_ports_xstats(pipeline->ports, p, visit, &xstats);
	}
	return pst_serve_page(request, xstats.total, fill_xstat, &xstats);
}
