/* The streams' logs on disk, summed over their partitions. */
#include "metrics/families.h"

static bool
stream(const struct pst_observation *o, uint32_t idx, struct pst_row *row)
{
	if (idx >= o->profile->stream_cnt)
		return false;
	row->at = &o->logs[idx];
	row->name = o->profile->streams[idx].name;
	return true;
}

static const struct pst_rows streams = {"stream", stream};

/* ---- data directories ---- */

static bool
directory(const struct pst_observation *o, uint32_t idx, struct pst_row *row)
{
	if (idx >= o->profile->data_dir_cnt)
		return false;
	row->at = &o->drives[idx];
	row->name = o->profile->data_dirs[idx];
	return true;
}

static const struct pst_rows directories = {"dir", directory};

static void
drive_ok(struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	for (uint16_t d = 0; d < o->profile->data_dir_cnt; d++)
		pst_exposition_u64(x, o->drives[d].info.state == PST_DRIVE_OK, "dir",
			o->profile->data_dirs[d], NULL);
}

/* ---- what recovery found at the start, all partitions together ---- */

static void
recovery_time(
	struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	pst_exposition_seconds(x, o->pipeline->recovery_ns, NULL);
}

static void
recovery_sum(
	struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < o->pipeline->log_cnt; i++)
		sum += pst_number_at(&o->pipeline->logs[i].recovery, family->field);
	pst_exposition_u64(x, sum, NULL);
}

#define LOG(...)   PST_ROWS(&streams, struct pst_stream_logs, __VA_ARGS__)
#define SPACE(...) PST_ROWS(&directories, struct pst_drive_row, __VA_ARGS__)
#define RECOVERY(name, field, help)                                                                \
	{                                                                                          \
		name, PST_METRIC_GAUGE, recovery_sum, help, NULL,                                  \
			PST_FIELD(struct pst_recovery, field)                                      \
	}

static const struct pst_family families[] = {
	LOG("penstock_log_partitions", GAUGE, partition_cnt,
		"Partitions of the stream that are written."),
	LOG("penstock_log_failed_partitions", GAUGE, failed_cnt,
		"Partitions that failed in this run and take nothing more."),
	LOG("penstock_log_durable_lag_records", GAUGE, lag_cnt,
		"Records appended that are not durable yet."),
	LOG("penstock_log_segments", GAUGE, segment_cnt, "Segments kept."),
	LOG("penstock_log_bytes", GAUGE, log_bytes, "Bytes of the segments kept."),
	LOG("penstock_log_written_bytes_total", COUNTER, written_bytes,
		"Bytes of batches appended."),
	LOG("penstock_log_batches_total", COUNTER, batch_cnt, "Batches appended."),
	LOG("penstock_log_write_failed_batches_total", COUNTER, write_failed_cnt,
		"Batches lost because they could not be written."),
	LOG("penstock_log_sync_failed_batches_total", COUNTER, sync_failed_cnt,
		"Batches lost because a sync failed; they may reappear after recovery."),
	LOG("penstock_log_retired_segments_total", COUNTER, retired_segment_cnt,
		"Segments removed by retention."),
	LOG("penstock_log_retired_bytes_total", COUNTER, retired_bytes,
		"Bytes of the segments removed by retention."),
	LOG("penstock_log_retire_failed_total", COUNTER, retire_failed_cnt,
		"Times that a segment could not be removed; it is tried again later."),
	{"penstock_data_ok", PST_METRIC_GAUGE, drive_ok,
		"1: the data directory's drive is sound; 0: it failed, or is missing."},
	SPACE("penstock_data_full", GAUGE, fullness.full,
		"1: the data directory's disk is full, no new batch is taken; 0: not."),
	SPACE("penstock_data_full_total", COUNTER, fullness.full_cnt,
		"Times that the data directory's disk became full."),
	SPACE("penstock_data_retired_early_bytes_total", COUNTER, fullness.retired_bytes,
		"Bytes of the oldest segments removed early because the disk was full."),
	SPACE("penstock_data_size_bytes", GAUGE, space_bytes,
		"Size of the data directory's filesystem."),
	SPACE("penstock_data_free_bytes", GAUGE, free_bytes, "Free of it for the daemon."),
	{"penstock_recovery_seconds", PST_METRIC_GAUGE, recovery_time,
		"How long recovery took at the start."},
	RECOVERY("penstock_recovery_checked_bytes", checked_bytes,
		"Bytes that recovery walked through at the start."),
	RECOVERY("penstock_recovery_cut_bytes", cut_bytes,
		"Bytes of torn tails, never acknowledged, that recovery cut at the start."),
	RECOVERY("penstock_recovery_set_aside_bytes", set_aside_bytes,
		"Bytes of damage that recovery set aside at the start."),
	RECOVERY("penstock_recovery_findings", item_cnt,
		"What recovery found and did at the start: so many things."),
};

const struct pst_families pst_families_logs = {families, PST_ARRAY_CNT(families)};
