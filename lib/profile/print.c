#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"
#include "profile/load.h"

#define MIB (UINT64_C(1) << 20)

static const char *const kind_names[] = {
	[PST_PORT_AF_XDP] = "AF_XDP", [PST_PORT_PCI] = "PCI", [PST_PORT_VDEV] = "vdev"};

/* Telemetry's directory as the EAL finds it. */
static const char *
runtime_directory(void)
{
	const char *dir = getenv("RUNTIME_DIRECTORY");
	if (dir)
		return dir;
	if (getuid() == 0)
		return "/var/run";
	dir = getenv("XDG_RUNTIME_DIR");
	return dir ? dir : "/tmp";
}

static void
print_cores(FILE *out, const struct pst_profile *p)
{
	fprintf(out, "cores (idle: %s)\n", p->idle == PST_IDLE_SPIN ? "spin" : "adaptive");
	fprintf(out, "  CPU %-4u control thread\n", p->core_main);
	for (uint16_t i = 0; i < p->rx_lcore_cnt; i++)
		fprintf(out, "  CPU %-4u rx lcore %u\n", p->core_rx[i], i);
	for (uint16_t i = 0; i < p->writer_cnt; i++)
		fprintf(out, "  CPU %-4u writer lcore %u\n", p->core_writer[i], i);
}

static void
print_ports(FILE *out, const struct pst_profile *p)
{
	fputs("ports\n", out);
	for (uint16_t i = 0; i < p->port_cnt; i++) {
		const struct pst_profile_port *port = &p->ports[i];
		fprintf(out, "  %s: %s %s, %u queue%s of %u descriptors, checksum %s%s\n",
			port->name, kind_names[port->kind], port->device, port->queue_cnt,
			port->queue_cnt == 1 ? "" : "s", port->rx_desc_cnt,
			pst_checksum_name(port->checksum),
			port->promiscuous ? ", promiscuous" : "");
	}
	fputs("queues (partition numbers of a new data directory; an old one keeps its own)\n",
		out);
	for (uint16_t q = 0; q < p->queue_cnt; q++) {
		const struct pst_profile_queue *queue = &p->queues[q];
		fprintf(out, "  %s queue %u -> rx lcore %u -> partition %u\n",
			p->ports[queue->port_idx].name, queue->queue_id, queue->rx_lcore_idx, q);
	}
	fprintf(out, "  kernel path -> rx lcore %u -> partition 0\n", p->queues[0].rx_lcore_idx);
}

static void
print_address(FILE *out, const struct pst_addr *addr, uint16_t udp_port)
{
	char text[INET6_ADDRSTRLEN];
	pst_addr_format(addr, text);
	fprintf(out, pst_addr_is_ipv4(addr) ? " %s:%u" : " [%s]:%u", text, udp_port);
}

static void
print_listeners(FILE *out, const struct pst_profile *p)
{
	char text[INET6_ADDRSTRLEN];

	fputs("listeners\n", out);
	for (uint16_t i = 0; i < p->listener_cnt; i++) {
		const struct pst_profile_listener *listener = &p->listeners[i];
		fprintf(out, "  %s: %s -> stream %s, default %s, at", listener->name,
			pst_framing_name(listener->framing), p->streams[listener->stream_idx].name,
			listener->default_drop ? "drop" : "keep");
		for (uint16_t a = 0; a < listener->addr_cnt; a++)
			print_address(out, &listener->addrs[a], listener->udp_port);
		fputs(listener->allow_cnt ? "; only from" : "; from anyone", out);
		for (uint16_t a = 0; a < listener->allow_cnt; a++) {
			const struct pst_prefix *prefix = &listener->allow[a];
			bool ipv4 = pst_addr_is_ipv4(&prefix->addr) && prefix->len >= 96;
			pst_addr_format(&prefix->addr, text);
			fprintf(out, " %s/%u", text, ipv4 ? prefix->len - 96u : prefix->len);
		}
		fputc('\n', out);
	}
}

/* 0 stands for no limit. */
static const char *
limit_text(char buf[PST_NUMBER_TEXT], enum pst_number_kind kind, uint64_t value)
{
	return value ? pst_number_text(buf, kind, value) : "no limit";
}

static void
print_streams(FILE *out, const struct pst_profile *p)
{
	char a[PST_NUMBER_TEXT], b[PST_NUMBER_TEXT], c[PST_NUMBER_TEXT], d[PST_NUMBER_TEXT];

	fputs("streams (each has a partition per queue; limits are per partition)\n", out);
	for (uint16_t i = 0; i < p->stream_cnt; i++) {
		const struct pst_profile_stream *stream = &p->streams[i];
		fprintf(out,
			"  %s: segments of %s, rolled after %s, %s; kept: bytes %s, age %s; "
			"headers seq%s%s; a drive fails: %s\n",
			stream->name,
			pst_number_text(a, PST_NUMBER_BYTES, stream->segment_bytes_max),
			limit_text(b, PST_NUMBER_DURATION, stream->segment_age_max_ns),
			stream->sealed ? "sealed" : "not sealed",
			limit_text(c, PST_NUMBER_BYTES, stream->retain_bytes),
			limit_text(d, PST_NUMBER_DURATION, stream->retain_age_ns),
			stream->header_ts_ns ? " ts_ns" : "", stream->header_rules ? " rules" : "",
			stream->on_failure == PST_ON_FAILURE_CONTINUE ? "continue" : "halt");
	}
	fprintf(out, "  whole data directory%s: %s\n", p->data_dir_cnt > 1 ? ", each" : "",
		limit_text(a, PST_NUMBER_BYTES, p->data_retain_bytes));
	fprintf(out, "  ledger: a record every %s, partition 0 alone\n",
		pst_number_text(a, PST_NUMBER_DURATION, p->ledger_interval_ns));
	fprintf(out, "  full disk: %s; reserve %s\n",
		p->data_when_full == PST_WHEN_FULL_RETAIN ? "the oldest segments go early"
							  : "new events are shed",
		p->data_reserve_bytes ? pst_number_text(a, PST_NUMBER_BYTES, p->data_reserve_bytes)
				      : "none");
	fprintf(out, "  quarantine: %u records a second and queue, %u bytes of each\n",
		p->quarantine_rate, p->quarantine_bytes_max);
}

static void
print_batches(FILE *out, const struct pst_profile *p)
{
	char a[PST_NUMBER_TEXT], b[PST_NUMBER_TEXT];

	fprintf(out, "batches: closed at %s, %u records or %s; ",
		pst_number_text(a, PST_NUMBER_BYTES, p->batch_bytes_max), p->batch_records_max,
		pst_number_text(b, PST_NUMBER_DURATION, p->batch_age_max_ns));
	if (p->lz4_acceleration)
		fprintf(out, "LZ4 acceleration %d\n", p->lz4_acceleration);
	else
		fputs("not compressed\n", out);
	fprintf(out, "flush: fdatasync after %s or %s\n",
		pst_number_text(a, PST_NUMBER_BYTES, p->flush_bytes),
		pst_number_text(b, PST_NUMBER_DURATION, p->flush_age_ns));
}

void
pst_profile_print_memory_line(FILE *out, const char *what, uint64_t bytes)
{
	fprintf(out, "  %8.1f MiB  %s\n", (double)bytes / (double)MIB, what);
}

void
pst_profile_print_memory(FILE *out, const struct pst_profile *p)
{
	char text[128];

	fprintf(out, "memory of packets and batches (%s)\n",
		p->no_huge ? "no hugepages: for trials" : "hugepages");
	snprintf(text, sizeof(text), "packet buffers: %u queues x %u, and pools", p->queue_cnt,
		p->plan.mbuf_cnt);
	pst_profile_print_memory_line(out, text, p->plan.mbufs);
	snprintf(text, sizeof(text), "batch buffers: %u rx lcores x %u, and %u of the ledger",
		p->rx_lcore_cnt, p->batch_buffer_cnt, PST_PLAN_LEDGER_BATCHES);
	pst_profile_print_memory_line(out, text, p->plan.batches);
	snprintf(text, sizeof(text), "sessions: %u rx lcores x %u with %u gaps each",
		p->rx_lcore_cnt, p->session_cnt_max, p->session_gap_cnt_max);
	pst_profile_print_memory_line(out, text, p->plan.sessions);
	snprintf(text, sizeof(text), "sources: %u rx lcores x %u", p->rx_lcore_cnt,
		p->source_cnt_max);
	pst_profile_print_memory_line(out, text, p->plan.sources);
	pst_profile_print_memory_line(out, "hand-over between lcores", p->plan.handoff);
	pst_profile_print_memory_line(out, "DPDK's own", p->plan.eal);
	pst_profile_print_memory_line(out, "needed in all", p->plan.total);
	pst_profile_print_memory_line(out, "taken (memory.size)", p->memory_bytes);
}

static void
print_files(FILE *out, const struct pst_profile *p)
{
	char text[PST_NUMBER_TEXT];

	fputs("files\n", out);
	for (uint16_t d = 0; d < p->data_dir_cnt; d++) {
		fprintf(out, "  data         %s: writer lcore", p->data_dirs[d]);
		for (uint16_t w = 0; w < p->writer_cnt; w++)
			if (pst_profile_writes(p, w, d))
				fprintf(out, " %u", w);
		fputc('\n', out);
		fprintf(out, "  lock         %s/penstock.lock\n", p->data_dirs[d]);
	}
	if (p->rules_file) {
		fprintf(out, "  rules        %s\n", p->rules_file);
		fprintf(out, "  rules cache  %s\n", p->rules_cache ? p->rules_cache : "none");
		fprintf(out, "  rules limits %llu s of CPU and %s of memory to compile\n",
			(unsigned long long)p->rules_compile_cpu_s_max,
			pst_number_text(text, PST_NUMBER_BYTES, p->rules_compile_bytes_max));
	} else {
		fputs("  rules        none: each event takes its listener's default\n", out);
	}
	fprintf(out, "  telemetry    %s/dpdk/%s/dpdk_telemetry.v2\n", runtime_directory(),
		p->telemetry_prefix);
}

static void
print_metrics(FILE *out, const struct pst_profile *p)
{
	bool is_ipv4 = pst_addr_is_ipv4(&p->metrics_addr);

	if (p->metrics_port == 0) {
		fputs("metrics: no endpoint (metrics.port is 0)\n", out);
		return;
	}
	fprintf(out,
		is_ipv4 ? "metrics: http://%s:%u/metrics\n" : "metrics: http://[%s]:%u/metrics\n",
		p->metrics_address, p->metrics_port);
	if (!pst_profile_metrics_are_local(p))
		fputs("  warning: others than this host may ask, without a password: let a "
		      "firewall "
		      "say who\n",
			out);
}

void
pst_profile_print_plan(FILE *out, const struct pst_profile *profile)
{
	fprintf(out, "profile %s (%s)\n", profile->name, profile->file);
	print_cores(out, profile);
	print_ports(out, profile);
	print_listeners(out, profile);
	print_streams(out, profile);
	print_batches(out, profile);
	print_files(out, profile);
	print_metrics(out, profile);
}
