#include "status_text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "table.h"

static json_int_t
number(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static void
print_safe(FILE *out, const json_t *object, const char *name)
{
	char *safe = table_value(json_object_get(object, name));
	fputs(safe ? safe : "?", out);
	free(safe);
}

/* "    rejected: udp_checksum 3, mold_short 1", if there is any. */
static void
print_reasons(FILE *out, const char *title, const json_t *reasons)
{
	const char *name, *between = "";
	json_t *value;

	json_object_foreach((json_t *)reasons, name, value)
	{
		if (json_integer_value(value) == 0)
			continue;
		if (!*between)
			fprintf(out, "    %s: ", title);
		fprintf(out, "%s%s %" JSON_INTEGER_FORMAT, between, name,
			json_integer_value(value));
		between = ", ";
	}
	if (*between)
		fputc('\n', out);
}

/* ---- head ---- */

static void
print_head(FILE *out, const json_t *info)
{
	json_int_t up_s = number(info, "uptime_ns") / 1000000000;

	fputs("penstockd ", out);
	print_safe(out, info, "version");
	fprintf(out, ", pid %" JSON_INTEGER_FORMAT ", up ", number(info, "pid"));
	if (up_s >= 86400)
		fprintf(out, "%" JSON_INTEGER_FORMAT " d ", up_s / 86400);
	fprintf(out, "%02d:%02d:%02d, profile ", (int)(up_s / 3600 % 24), (int)(up_s / 60 % 60),
		(int)(up_s % 60));
	print_safe(out, info, "profile");
	fputs(", data in ", out);
	print_safe(out, info, "data_dir");
	fputs(", phase ", out);
	print_safe(out, info, "phase");
	if (number(info, "clock_step_cnt") > 0)
		fprintf(out,
			"\nthe wall clock stepped %" JSON_INTEGER_FORMAT
			" times, the last time by %.3f ms",
			number(info, "clock_step_cnt"),
			(double)number(info, "clock_step_ns_last") / 1e6);
	if (json_string_length(json_object_get(info, "stuck_lcores")) > 0) {
		fputs("\nSTUCK, no turn of the loop: ", out);
		print_safe(out, info, "stuck_lcores");
	}
	fputs("\n\n", out);
}

/* ---- books ---- */

/* clang-format off */
#define BOOKS                                                                                      \
	{">polled", "frames.polled"}, {">carried", "frames.carried"},                              \
	{">rejected", "frames.rejected"}, {">ignored", "frames.ignored"},                          \
	{">found", "events.found"}, {">stored", "events.stored"},                                  \
	{">filtered", "events.filtered"}, {">sampled out", "events.sampled_out"},                  \
	{">duplicate", "events.duplicate"}, {">quarantined", "events.quarantined"},                \
	{">shed", "events.shed"}
/* clang-format on */

static void
print_totals(FILE *out, const json_t *status)
{
	static const struct column frame_columns[] = {{"frames"}, {">polled", "frames.polled"},
		{">carried", "frames.carried"}, {">rejected", "frames.rejected"},
		{">ignored", "frames.ignored"}, {">in hand-over", "frames.in_handoff"},
		{">residual", "frames.residual"}};
	static const struct column event_columns[] = {{"events"}, {">found", "events.found"},
		{">stored", "events.stored"}, {">filtered", "events.filtered"},
		{">sampled out", "events.sampled_out"}, {">duplicate", "events.duplicate"},
		{">quarantined", "events.quarantined"}, {">shed", "events.shed"},
		{">in flight", "events.in_flight"}, {">residual", "events.residual"}};
	const json_t *frames = json_object_get(status, "frames");
	struct table table;

	table_init(&table, frame_columns, PST_ARRAY_CNT(frame_columns));
	table_row(&table, status);
	table_print(out, &table);
	print_reasons(out, "rejected", json_object_get(frames, "rejected"));
	print_reasons(out, "ignored", json_object_get(frames, "ignored"));
	table_init(&table, event_columns, PST_ARRAY_CNT(event_columns));
	table_row(&table, status);
	table_print(out, &table);
	print_reasons(out, "shed", json_object_get(json_object_get(status, "events"), "shed"));
	fputc('\n', out);
}

/* Rows of a list, and an empty line behind them. */
static void
print_list(FILE *out, const json_t *rows, const struct column *columns, unsigned column_cnt)
{
	struct table table;
	const json_t *row;
	size_t i;

	table_init(&table, columns, column_cnt);
	json_array_foreach(rows, i, row)
	{
		table_row(&table, row);
	}
	table_print(out, &table);
	fputc('\n', out);
}

static void
print_listeners(FILE *out, const json_t *listeners)
{
	static const struct column columns[] = {{"listener", "name"}, {">port", "udp_port"},
		{"framing", "framing"}, {"stream", "stream"}, BOOKS};
	print_list(out, listeners, columns, PST_ARRAY_CNT(columns));
}

static void
print_queues(FILE *out, const json_t *queues)
{
	static const struct column columns[] = {
		{"queue", "name"}, {">rx", "rx"}, {">partition", "partition"}, BOOKS};
	print_list(out, queues, columns, PST_ARRAY_CNT(columns));
}

/* ---- ports ---- */

static void
cell_link(struct table *table, const json_t *port)
{
	table_text(table, "%s", number(port, "link_up") ? "up" : "down");
}

static void
print_ports(FILE *out, const json_t *ports, const json_t *kernel_path)
{
	static const struct column columns[] = {{"port", "name"}, {"kind", "kind"},
		{"device", "device"}, {"link", NULL, cell_link}, {">packets", "rx_packets"},
		{">imissed", "imissed"}, {">ierrors", "ierrors"},
		{">xdp dropped", "xdp_rx_dropped"}, {">ring full", "xdp_rx_ring_full"},
		{">interface dropped", "interface_rx_dropped"}, {">tap dropped", "tap_dropped"},
		{">free buffers", "mbuf_free_cnt"}, {">of", "mbuf_cnt"}};
	struct table table;
	const json_t *row;
	size_t i;

	table_init(&table, columns, PST_ARRAY_CNT(columns));
	json_array_foreach(ports, i, row)
	{
		table_row(&table, row);
	}
	table_print(out, &table);
	json_array_foreach(ports, i, row)
	{
		const char *name = json_string_value(json_object_get(row, "name"));
		char title[80];
		snprintf(title, sizeof(title), "steering of %s", name ? name : "-");
		print_reasons(out, title, json_object_get(row, "steer"));
		const json_t *spread = json_object_get(row, "spread");
		if (number(spread, "skewed"))
			fprintf(out,
				"    %s: queue %" JSON_INTEGER_FORMAT
				" got %.1f %% of the frames: the others idle\n",
				name ? name : "-", number(spread, "busiest_queue"),
				(double)number(spread, "busiest_share_permille") / 10);
	}
	print_reasons(out, "kernel path", kernel_path);
	fputc('\n', out);
}

/* ---- streams, lcores ---- */

static void
cell_log_state(struct table *table, const json_t *partition)
{
	const char *state = "ok";

	if (number(partition, "failed"))
		state = "failed: takes no more";
	else if (number(partition, "write_failed_cnt"))
		state = "writes failed";
	table_text(table, "%s", state);
}

static void
print_streams(FILE *out, const json_t *streams)
{
	static const struct column books[] = {{"stream", "name"}, {">routed in", "routed_in"},
		{">internal", "internal"}, {">stored", "stored"}, {">shed", "shed"},
		{">in flight", "in_flight"}, {">residual", "residual"}};
	static const struct column columns[] = {{"stream", "stream_name"},
		{">partition", "partition"}, {">drive", "drive"}, {"of queue", "queue_name"},
		{">start", "start_offset"}, {">durable", "durable_offset"},
		{">next", "next_offset"}, {">segments", "segment_cnt"}, {">bytes", "log_bytes"},
		{"state", NULL, cell_log_state}};
	struct table table;
	const json_t *stream, *row;
	size_t i, j;

	print_list(out, streams, books, PST_ARRAY_CNT(books));
	table_init(&table, columns, PST_ARRAY_CNT(columns));
	json_array_foreach(streams, i, stream)
	{
		json_array_foreach(json_object_get(stream, "partitions"), j, row)
			table_row(&table, row);
	}
	table_print(out, &table);
	fputc('\n', out);
}

static void
cell_drive_state(struct table *table, const json_t *drive)
{
	if (json_integer_value(json_object_get(drive, "full")))
		table_text(table, "full");
	else
		table_member(table, drive, json_object_get(drive, "error") ? "error" : "state");
}

static void
print_drives(FILE *out, const json_t *drives)
{
	static const struct column columns[] = {{"drive", "index"}, {"data directory", "path"},
		{"state", NULL, cell_drive_state}, {">partitions", "partition_cnt"},
		{">bytes", "log_bytes"}, {">free", "free_bytes"}, {">of", "space_bytes"}};
	print_list(out, drives, columns, PST_ARRAY_CNT(columns));
}

static void
cell_busy(struct table *table, const json_t *row)
{
	double running_ns = (double)number(row, "running_ns");
	table_text(table, "%.1f %%",
		running_ns > 0 ? 100.0 * (double)number(row, "busy_ns") / running_ns : 0);
}

static void
cell_disk(struct table *table, const json_t *row)
{
	if (json_object_get(row, "last_error"))
		table_member(table, row, "last_error");
	else
		table_text(table, "%s", number(row, "direct") ? "direct" : "buffered");
}

static void
print_lcores(FILE *out, const json_t *rx, const json_t *writers)
{
	static const struct column rx_columns[] = {{"rx lcore", "index"}, {">cpu", "cpu"},
		{">busy", NULL, cell_busy}, {">batches", "batch_sealed_cnt"},
		{">buffers at home", "batch_buffer_home_cnt"}, {">of", "batch_buffer_cnt"},
		{">sessions", "session_cnt"}, {">untracked packets", "session_full_cnt"}};
	static const struct column writer_columns[] = {{"writer", "index"}, {">cpu", "cpu"},
		{">busy", NULL, cell_busy}, {">waiting", "ring_used_cnt"}, {">of", "ring_size_cnt"},
		{">writes", "write_cnt"}, {">bytes", "write_bytes"}, {">syncs", "sync_cnt"},
		{">unsynced", "unsynced_bytes"}, {"disk", NULL, cell_disk}};
	print_list(out, rx, rx_columns, PST_ARRAY_CNT(rx_columns));
	print_list(out, writers, writer_columns, PST_ARRAY_CNT(writer_columns));
}

/* ---- latency ---- */

static void
cell_ms(struct table *table, const json_t *row, const char *name)
{
	if (number(row, "cnt"))
		table_text(table, "%.3g ms", (double)number(row, name) / 1e6);
	else
		table_text(table, "-");
}

#define CELL_MS(name)                                                                              \
	static void cell_##name(struct table *table, const json_t *row)                            \
	{                                                                                          \
		cell_ms(table, row, #name);                                                        \
	}
CELL_MS(ns_p50)
CELL_MS(ns_p90)
CELL_MS(ns_p99)
CELL_MS(ns_p999)
CELL_MS(ns_max)

static void
print_latency(FILE *out, const json_t *all)
{
	static const struct column columns[] = {{"arrival to", "stage"}, {">events", "cnt"},
		{">p50", NULL, cell_ns_p50}, {">p90", NULL, cell_ns_p90},
		{">p99", NULL, cell_ns_p99}, {">p99.9", NULL, cell_ns_p999},
		{">max", NULL, cell_ns_max}};
	json_t *rows = json_array(), *stage;
	const char *name;

	json_object_foreach((json_t *)all, name, stage)
	{
		json_t *row = json_copy(stage);
		json_object_set_new(row, "stage", json_string(name));
		json_array_append_new(rows, row);
	}
	print_list(out, rows, columns, PST_ARRAY_CNT(columns));
	json_decref(rows);
}

/* ---- rules, sessions ---- */

struct ranked {
	const json_t *row;
	json_int_t rank;
};

static int
compare(const void *a, const void *b)
{
	const struct ranked *left = a, *right = b;
	return (left->rank < right->rank) - (left->rank > right->rank);
}

/* The top_cnt rows with the most of member, "N what" and why not all of them before. */
static void
print_top(FILE *out, const json_t *rows, const char *member, unsigned top_cnt,
	const struct column *columns, unsigned column_cnt)
{
	size_t cnt = json_array_size(rows);
	struct ranked *ranking = calloc(cnt ? cnt : 1, sizeof(*ranking));
	struct table table;

	if (!ranking)
		return;
	for (size_t i = 0; i < cnt; i++) {
		ranking[i].row = json_array_get(rows, i);
		ranking[i].rank = number(ranking[i].row, member);
	}
	qsort(ranking, cnt, sizeof(*ranking), compare);
	table_init(&table, columns, column_cnt);
	for (size_t i = 0; i < cnt && i < top_cnt; i++)
		table_row(&table, ranking[i].row);
	table_print(out, &table);
	if (cnt > top_cnt)
		fprintf(out, "    and %zu more with less %s: --json shows all\n", cnt - top_cnt,
			member);
	fputc('\n', out);
	free(ranking);
}

static void
print_rules(FILE *out, const json_t *rules, unsigned top_cnt)
{
	static const struct column columns[] = {{">rule", "id"}, {"name", "name"},
		{"action", "action"}, {">matched", "matched"}, {">decided", "decided"}};
	const json_t *items = json_object_get(rules, "items");
	const json_t *failure = json_object_get(rules, "last_failure");

	fprintf(out,
		"rules: %zu, generation %" JSON_INTEGER_FORMAT ", scan errors %" JSON_INTEGER_FORMAT
		"\n",
		json_array_size(items), number(rules, "generation"), number(rules, "scan_errors"));
	if (failure) {
		fprintf(out, "    reloads refused: %" JSON_INTEGER_FORMAT ", the last one for ",
			number(rules, "failed_cnt"));
		print_safe(out, failure, "file");
		fprintf(out, ":%" JSON_INTEGER_FORMAT ": ", number(failure, "line"));
		print_safe(out, failure, "text");
		fputc('\n', out);
	}
	print_top(out, items, "matched", top_cnt, columns, PST_ARRAY_CNT(columns));
}

/* "5-9 12-12 ...", as many as are known. */
static void
cell_ranges(struct table *table, const json_t *session)
{
	const json_t *ranges = json_object_get(session, "ranges"), *range;
	char text[512] = "";
	size_t i, used = 0;

	json_array_foreach(ranges, i, range)
	{
		char *from = table_value(json_object_get(range, "from"));
		char *to = table_value(json_object_get(range, "to"));
		if (from && to && used < sizeof(text))
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s-%s",
				i ? " " : "", from, to);
		free(from);
		free(to);
	}
	table_text(table, "%s%s", text,
		number(session, "range_cnt") > (json_int_t)json_array_size(ranges) ? " ..." : "");
}

static void
print_sessions(FILE *out, const json_t *sessions, unsigned top_cnt)
{
	static const struct column columns[] = {{"session", "session"},
		{"listener", "listener_name"}, {">expected", "expected"}, {">received", "received"},
		{">duplicate", "duplicate"}, {">late", "late"}, {">untracked", "untracked"},
		{">missing", "missing"}, {"gaps", NULL, cell_ranges}};

	fprintf(out, "sessions: %zu\n", json_array_size(sessions));
	print_top(out, sessions, "missing", top_cnt, columns, PST_ARRAY_CNT(columns));
}

static void
cell_sender(struct table *table, const json_t *source)
{
	const char *address = json_string_value(json_object_get(source, "address"));
	if (address && *address)
		table_member(table, source, "address");
	else
		table_text(table, "(not read)");
}

static void
print_sources(FILE *out, const json_t *sources, unsigned top_cnt)
{
	static const struct column columns[] = {{"sender", NULL, cell_sender},
		{"listener", "listener_name"}, {">events", "events"}, {">a second", "events_per_s"},
		{">bytes", "bytes"}, {">bytes a second", "bytes_per_s"}, {">rejected", "rejected"},
		{">duplicate", "duplicate"}, {">missing", "gap_messages"}};
	const json_t *items = json_object_get(sources, "items");
	const json_t *others = json_object_get(sources, "others");
	json_int_t total = number(sources, "total"), shown = 0;
	struct table table;

	fprintf(out, "senders: %" JSON_INTEGER_FORMAT "\n", total);
	table_init(&table, columns, PST_ARRAY_CNT(columns));
	for (; shown < top_cnt && shown < (json_int_t)json_array_size(items); shown++)
		table_row(&table, json_array_get(items, (size_t)shown));
	table_print(out, &table);
	if (shown < total)
		fprintf(out,
			"    and %" JSON_INTEGER_FORMAT
			" more with less events: /penstock/sources\n",
			total - shown);
	if (number(others, "frames") > 0)
		fprintf(out,
			"    and %" JSON_INTEGER_FORMAT " frames, %" JSON_INTEGER_FORMAT
			" events of senders that are not followed any more\n",
			number(others, "frames"), number(others, "events"));
	fputc('\n', out);
}

void
status_print(FILE *out, const json_t *status, unsigned top_cnt)
{
	print_head(out, json_object_get(status, "info"));
	print_totals(out, status);
	print_listeners(out, json_object_get(status, "listeners"));
	print_queues(out, json_object_get(status, "queues"));
	print_ports(out, json_object_get(status, "ports"), json_object_get(status, "kernel_path"));
	print_streams(out, json_object_get(status, "streams"));
	print_drives(out, json_object_get(status, "drives"));
	print_lcores(out, json_object_get(status, "rx"), json_object_get(status, "writers"));
	print_latency(out, json_object_get(json_object_get(status, "latency"), "all"));
	print_rules(out, json_object_get(status, "rules"), top_cnt);
	print_sessions(out, json_object_get(status, "sessions"), top_cnt);
	print_sources(out, json_object_get(status, "sources"), top_cnt);
}
