/* The data cores: load, buffers, rings, the writers' work on their drives. */
#include <stdio.h>

#include "base/clock.h"
#include "metrics/families.h"

static bool
rx_lcore(const struct pst_observation *o, uint32_t idx, struct pst_row *row)
{
	if (idx >= o->profile->rx_lcore_cnt)
		return false;
	row->at = &o->snapshot.rx[idx];
	row->name = row->text;
	snprintf(row->text, sizeof(row->text), "rx%u", idx);
	return true;
}

static bool
writer(const struct pst_observation *o, uint32_t idx, struct pst_row *row)
{
	if (idx >= o->profile->writer_cnt)
		return false;
	row->at = &o->snapshot.writers[idx];
	row->name = row->text;
	snprintf(row->text, sizeof(row->text), "writer%u", idx);
	return true;
}

static const struct pst_rows rx_lcores = {"lcore", rx_lcore};
static const struct pst_rows writers = {"lcore", writer};

/* ---- of both kinds ---- */

static void
lcore_info(
	struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	struct pst_row row;
	char cpu[16];

	for (uint32_t i = 0; rx_lcore(o, i, &row); i++) {
		snprintf(cpu, sizeof(cpu), "%u", o->profile->core_rx[i]);
		pst_exposition_u64(x, 1, "lcore", row.name, "cpu", cpu, NULL);
	}
	for (uint32_t i = 0; writer(o, i, &row); i++) {
		snprintf(cpu, sizeof(cpu), "%u", o->profile->core_writer[i]);
		pst_exposition_u64(x, 1, "lcore", row.name, "cpu", cpu, NULL);
	}
}

static void
turns(struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	struct pst_row row;

	for (uint32_t i = 0; rx_lcore(o, i, &row); i++)
		pst_exposition_u64(x, o->snapshot.rx[i].turn_cnt, "lcore", row.name, NULL);
	for (uint32_t i = 0; writer(o, i, &row); i++)
		pst_exposition_u64(x, o->snapshot.writers[i].turn_cnt, "lcore", row.name, NULL);
}

static void
busy(struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	struct pst_row row;

	for (uint32_t i = 0; rx_lcore(o, i, &row); i++)
		pst_exposition_seconds(x, pst_clock_duration_ns(o->snapshot.rx[i].busy_tsc),
			"lcore", row.name, NULL);
	for (uint32_t i = 0; writer(o, i, &row); i++)
		pst_exposition_seconds(x, pst_clock_duration_ns(o->snapshot.writers[i].busy_tsc),
			"lcore", row.name, NULL);
}

/* ---- latency ---- */

/* Bounds are powers of two, in which the histograms' own buckets end: no bucket is split. */
#define LATENCY_BITS_FIRST 15 /* 32.8 us */
#define LATENCY_BITS_LAST  35 /* 34.4 s */

static void
latency_buckets(struct pst_exposition *x, const struct pst_latency *latency, const char *lcore,
	const char *stage)
{
	char bound[PST_SECONDS_TEXT];
	uint32_t bucket = 0;
	uint64_t cnt = 0;

	for (unsigned bits = LATENCY_BITS_FIRST; bits <= LATENCY_BITS_LAST; bits++) {
		uint64_t bound_ns = UINT64_C(1) << bits;
		while (pst_latency_bucket_ns_max(bucket) < bound_ns)
			cnt += latency->buckets[bucket++];
		pst_exposition_u64(x, cnt, "lcore", lcore, "stage", stage, "le",
			pst_seconds_text(bound, bound_ns), NULL);
	}
	pst_exposition_u64(x, latency->cnt, "lcore", lcore, "stage", stage, "le", "+Inf", NULL);
}

static void
latency(struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	struct pst_row row;

	for (uint32_t i = 0; writer(o, i, &row); i++)
		for (unsigned s = 0; s < PST_LATENCY_STAGE_CNT; s++) {
			const struct pst_latency *stage = &o->snapshot.latency[i][s];
			const char *name = pst_latency_stage_name(s);
			pst_exposition_part(x, "_bucket");
			latency_buckets(x, stage, row.name, name);
			pst_exposition_part(x, "_sum");
			pst_exposition_seconds(
				x, stage->sum_ns, "lcore", row.name, "stage", name, NULL);
			pst_exposition_part(x, "_count");
			pst_exposition_u64(x, stage->cnt, "lcore", row.name, "stage", name, NULL);
		}
}

#define RX(...)     PST_ROWS(&rx_lcores, struct pst_rx_stats, __VA_ARGS__)
#define WRITER(...) PST_ROWS(&writers, struct pst_writer_stats, __VA_ARGS__)

static const struct pst_family families[] = {
	{"penstock_lcore_info", PST_METRIC_GAUGE, lcore_info, "1; the CPU of each lcore."},
	{"penstock_lcore_turns_total", PST_METRIC_COUNTER, turns, "Turns of the lcore's loop."},
	{"penstock_lcore_busy_seconds_total", PST_METRIC_COUNTER, busy,
		"Time in turns that found work: its rate is the busy share."},

	RX("penstock_rx_batches_sealed_total", COUNTER, batch_sealed_cnt,
		"Batches given to the writers."),
	RX("penstock_rx_batch_plain_bytes_total", COUNTER, batch_plain_bytes,
		"Bytes of records stored uncompressed, as LZ4 would have gained too little."),
	RX("penstock_rx_batch_buffers", GAUGE, batch_cnt, "Batch buffers of the rx lcore."),
	RX("penstock_rx_batch_buffers_free", GAUGE, batch_home_cnt,
		"Batch buffers that are empty and in hand; at 0 events are shed."),
	RX("penstock_rx_sessions", GAUGE, session_cnt, "MoldUDP64 sessions followed."),
	RX("penstock_rx_session_table_full_total", COUNTER, session_full_cnt,
		"Packets of sessions that found no room in the table."),
	{"penstock_rx_clock_held_seconds_max", PST_METRIC_GAUGE, pst_write_rows_seconds,
		"Longest time that event times were held back after the clock went backwards.",
		&rx_lcores, PST_FIELD(struct pst_rx_stats, clock_held_ns_max)},

	{"penstock_event_latency_seconds", PST_METRIC_HISTOGRAM, latency,
		"From an event's arrival to its batch being sealed, written, durable."},
	WRITER("penstock_writer_ring_batches", GAUGE, ring_used,
		"Batches that wait for the writer."),
	WRITER("penstock_writer_ring_capacity_batches", GAUGE, ring_size,
		"Batches that can wait for the writer."),
	WRITER("penstock_writer_writes_total", COUNTER, appender.write_cnt, "Writes to the drive."),
	WRITER("penstock_writer_written_bytes_total", COUNTER, appender.write_bytes,
		"Bytes of these writes, rewritten blocks and padding included."),
	WRITER("penstock_writer_syncs_total", COUNTER, appender.sync_cnt, "Syncs to the drive."),
	WRITER("penstock_writer_in_flight_bytes", GAUGE, appender.in_flight_bytes,
		"Bytes of writes that are under way."),
	WRITER("penstock_writer_unsynced_bytes", GAUGE, appender.unsynced_bytes,
		"Bytes written that no sync covers yet."),
	WRITER("penstock_writer_direct_io", GAUGE, appender.direct, "1: O_DIRECT is in use."),
};

const struct pst_families pst_families_lcores = {families, PST_ARRAY_CNT(families)};
