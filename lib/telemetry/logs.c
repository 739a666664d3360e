#include "telemetry/commands.h"

/* Partitions as one list: stream by stream, queue by queue. */
static enum pst_row_fate
fill_partition(struct pst_dict row, void *arg, uint32_t idx)
{
	struct pst_pipeline *pipeline = arg;
	const struct pst_profile *profile = pipeline->profile;
	uint16_t stream = (uint16_t)(idx / profile->queue_cnt);
	uint16_t queue = (uint16_t)(idx % profile->queue_cnt);
	struct pst_log_stats stats;
	struct pst_log_place place;

	if (pst_pipeline_log(pipeline, stream, queue, &place, &stats) != 0)
		return PST_ROW_SKIP;
	pst_dict_u64(row, "stream", stream);
	pst_dict_u64(row, "queue", queue);
	pst_dict_string(row, "stream_name", profile->streams[stream].name);
	pst_dict_queue_name(row, "queue_name", profile, queue);
	pst_dict_u64(row, "partition", place.partition);
	pst_dict_u64(row, "drive", place.drive_idx);
	pst_dict_u64(row, "writer", place.writer_idx);
	pst_dict_i64(row, "start_offset", stats.start_offset);
	pst_dict_i64(row, "durable_offset", stats.durable_offset);
	pst_dict_i64(row, "next_offset", stats.next_offset);
	pst_dict_u64(row, "segment_cnt", stats.segment_cnt);
	pst_dict_u64(row, "log_bytes", stats.log_bytes);
	pst_dict_u64(row, "written_bytes", stats.written_bytes);
	pst_dict_u64(row, "batch_cnt", stats.batch_cnt);
	pst_dict_u64(row, "write_failed_cnt", stats.write_failed_cnt);
	pst_dict_u64(row, "sync_failed_cnt", stats.sync_failed_cnt);
	pst_dict_u64(row, "retired_segment_cnt", stats.retired_segment_cnt);
	pst_dict_u64(row, "retired_bytes", stats.retired_bytes);
	pst_dict_u64(row, "failed", stats.failed);
	return PST_ROW_ADD;
}

int
pst_serve_partitions(struct pst_request *request)
{
	const struct pst_profile *profile = request->pipeline->profile;
	uint32_t total = (uint32_t)profile->stream_cnt * profile->queue_cnt;

	return pst_serve_page(request, total, fill_partition, request->pipeline);
}
