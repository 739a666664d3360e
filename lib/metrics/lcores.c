/* The data cores: load, buffers, rings, the writers' work on their drives. */
#include <stdio.h>

#include "base/clock.h"
#include "metrics/families.h"

#define LABEL 16

static const char *
label(char text[LABEL], const char *kind, uint16_t idx)
{
	snprintf(text, LABEL, "%s%u", kind, idx);
	return text;
}

/* ---- of both kinds ---- */

static void
lcore_info(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	char lcore[LABEL], cpu[LABEL];

	for (uint16_t i = 0; i < o->profile->rx_lcore_cnt; i++)
		pst_exposition_u64(x, 1, "lcore", label(lcore, "rx", i), "cpu",
			label(cpu, "", o->profile->core_rx[i]), NULL);
	for (uint16_t i = 0; i < o->profile->writer_cnt; i++)
		pst_exposition_u64(x, 1, "lcore", label(lcore, "writer", i), "cpu",
			label(cpu, "", o->profile->core_writer[i]), NULL);
}

static void
turns(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	char text[LABEL];

	for (uint16_t i = 0; i < o->profile->rx_lcore_cnt; i++)
		pst_exposition_u64(
			x, o->snapshot.rx[i].turn_cnt, "lcore", label(text, "rx", i), NULL);
	for (uint16_t i = 0; i < o->profile->writer_cnt; i++)
		pst_exposition_u64(x, o->snapshot.writers[i].turn_cnt, "lcore",
			label(text, "writer", i), NULL);
}

static void
busy(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	char text[LABEL];

	for (uint16_t i = 0; i < o->profile->rx_lcore_cnt; i++)
		pst_exposition_seconds(x, pst_clock_duration_ns(o->snapshot.rx[i].busy_tsc),
			"lcore", label(text, "rx", i), NULL);
	for (uint16_t i = 0; i < o->profile->writer_cnt; i++)
		pst_exposition_seconds(x, pst_clock_duration_ns(o->snapshot.writers[i].busy_tsc),
			"lcore", label(text, "writer", i), NULL);
}

/* ---- rx ---- */

static void
by_rx(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	char text[LABEL];

	for (uint16_t i = 0; i < o->profile->rx_lcore_cnt; i++)
		pst_exposition_u64(x, pst_word_at(&o->snapshot.rx[i], offset), "lcore",
			label(text, "rx", i), NULL);
}

static void
half_by_rx(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	char text[LABEL];

	for (uint16_t i = 0; i < o->profile->rx_lcore_cnt; i++)
		pst_exposition_u64(x, pst_half_at(&o->snapshot.rx[i], offset), "lcore",
			label(text, "rx", i), NULL);
}

static void
clock_held(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	char text[LABEL];

	for (uint16_t i = 0; i < o->profile->rx_lcore_cnt; i++)
		pst_exposition_seconds(x, o->snapshot.rx[i].clock_held_ns_max, "lcore",
			label(text, "rx", i), NULL);
}

/* ---- writers ---- */

static void
by_writer(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	char text[LABEL];

	for (uint16_t i = 0; i < o->profile->writer_cnt; i++)
		pst_exposition_u64(x, pst_word_at(&o->snapshot.writers[i], offset), "lcore",
			label(text, "writer", i), NULL);
}

static void
half_by_writer(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	char text[LABEL];

	for (uint16_t i = 0; i < o->profile->writer_cnt; i++)
		pst_exposition_u64(x, pst_half_at(&o->snapshot.writers[i], offset), "lcore",
			label(text, "writer", i), NULL);
}

static void
direct(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	char text[LABEL];

	for (uint16_t i = 0; i < o->profile->writer_cnt; i++)
		pst_exposition_u64(x, o->snapshot.writers[i].appender.direct, "lcore",
			label(text, "writer", i), NULL);
}

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
latency(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	char lcore[LABEL];

	for (uint16_t i = 0; i < o->profile->writer_cnt; i++)
		for (unsigned s = 0; s < PST_LATENCY_STAGE_CNT; s++) {
			const struct pst_latency *stage = &o->snapshot.latency[i][s];
			const char *name = pst_latency_stage_name(s);
			label(lcore, "writer", i);
			pst_exposition_part(x, "_bucket");
			latency_buckets(x, stage, lcore, name);
			pst_exposition_part(x, "_sum");
			pst_exposition_seconds(
				x, stage->sum_ns, "lcore", lcore, "stage", name, NULL);
			pst_exposition_part(x, "_count");
			pst_exposition_u64(x, stage->cnt, "lcore", lcore, "stage", name, NULL);
		}
}

#define RX(name, type, write, field, help)                                                         \
	{                                                                                          \
		name, PST_METRIC_##type, write, offsetof(struct pst_rx_stats, field), help         \
	}
#define WRITER(name, type, write, field, help)                                                     \
	{                                                                                          \
		name, PST_METRIC_##type, write, offsetof(struct pst_writer_stats, field), help     \
	}

static const struct pst_family families[] = {
	{"penstock_lcore_info", PST_METRIC_GAUGE, lcore_info, 0, "1; the CPU of each lcore."},
	{"penstock_lcore_turns_total", PST_METRIC_COUNTER, turns, 0, "Turns of the lcore's loop."},
	{"penstock_lcore_busy_seconds_total", PST_METRIC_COUNTER, busy, 0,
		"Time in turns that found work: its rate is the busy share."},

	RX("penstock_rx_batches_sealed_total", COUNTER, by_rx, batch_sealed_cnt,
		"Batches given to the writers."),
	RX("penstock_rx_batch_plain_bytes_total", COUNTER, by_rx, batch_plain_bytes,
		"Bytes of records stored uncompressed, as LZ4 would have gained too little."),
	RX("penstock_rx_batch_buffers", GAUGE, half_by_rx, batch_cnt,
		"Batch buffers of the rx lcore."),
	RX("penstock_rx_batch_buffers_free", GAUGE, half_by_rx, batch_home_cnt,
		"Batch buffers that are empty and in hand; at 0 events are shed."),
	RX("penstock_rx_sessions", GAUGE, half_by_rx, session_cnt, "MoldUDP64 sessions followed."),
	RX("penstock_rx_session_table_full_total", COUNTER, by_rx, session_full_cnt,
		"Packets of sessions that found no room in the table."),
	{"penstock_rx_clock_held_seconds_max", PST_METRIC_GAUGE, clock_held, 0,
		"Longest time that event times were held back after the clock went backwards."},

	{"penstock_event_latency_seconds", PST_METRIC_HISTOGRAM, latency, 0,
		"From an event's arrival to its batch being sealed, written, durable."},
	WRITER("penstock_writer_ring_batches", GAUGE, half_by_writer, ring_used,
		"Batches that wait for the writer."),
	WRITER("penstock_writer_ring_capacity_batches", GAUGE, half_by_writer, ring_size,
		"Batches that can wait for the writer."),
	WRITER("penstock_writer_writes_total", COUNTER, by_writer, appender.write_cnt,
		"Writes to the drive."),
	WRITER("penstock_writer_written_bytes_total", COUNTER, by_writer, appender.write_bytes,
		"Bytes of these writes, rewritten blocks and padding included."),
	WRITER("penstock_writer_syncs_total", COUNTER, by_writer, appender.sync_cnt,
		"Syncs to the drive."),
	WRITER("penstock_writer_in_flight_bytes", GAUGE, by_writer, appender.in_flight_bytes,
		"Bytes of writes that are under way."),
	WRITER("penstock_writer_unsynced_bytes", GAUGE, by_writer, appender.unsynced_bytes,
		"Bytes written that no sync covers yet."),
	{"penstock_writer_direct_io", PST_METRIC_GAUGE, direct, 0, "1: O_DIRECT is in use."},
};

const struct pst_families pst_families_lcores = {families, PST_ARRAY_CNT(families)};
