#include <stdio.h>

#include "telemetry/commands.h"

/* Partitions as one list: stream by stream, queue by queue; last the ledger's one, which stands
 * under queue 0. */
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
	if (stream < profile->queue_stream_cnt)
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
	pst_dict_u64(row, "disk_full_cnt", stats.disk_full_cnt);
	pst_dict_u64(row, "retired_segment_cnt", stats.retired_segment_cnt);
	pst_dict_u64(row, "retired_bytes", stats.retired_bytes);
	pst_dict_u64(row, "full_retired_segment_cnt", stats.full_retired_segment_cnt);
	pst_dict_u64(row, "full_retired_bytes", stats.full_retired_bytes);
	pst_dict_u64(row, "retire_failed_cnt", stats.retire_failed_cnt);
	pst_dict_u64(row, "failed", stats.failed);
	return PST_ROW_ADD;
}

int
pst_serve_partitions(struct pst_request *request)
{
	const struct pst_profile *profile = request->pipeline->profile;
	uint32_t total = (uint32_t)profile->queue_stream_cnt * profile->queue_cnt +
			 (uint32_t)(profile->stream_cnt - profile->queue_stream_cnt);

	return pst_serve_page(request, total, fill_partition, request->pipeline);
}

static void
dict_recovery_items(struct pst_dict row, const struct pst_recovery *found)
{
	struct pst_dict items = pst_dict_dict(row, "items");

	for (uint32_t i = 0; i < found->item_cnt && i < PST_RECOVERY_ITEMS_MAX; i++) {
		const struct pst_recovery_item *item = &found->items[i];
		char name[16];
		snprintf(name, sizeof(name), "%u", i);
		struct pst_dict dict = pst_dict_dict(items, name);
		pst_dict_string(dict, "kind", pst_recovery_kind_name(item->kind));
		if (item->kind == PST_RECOVERY_MISSING) {
			pst_dict_i64(dict, "first_offset", item->first_offset);
			pst_dict_i64(dict, "last_offset", item->last_offset);
			continue;
		}
		if (item->kind == PST_RECOVERY_MARKS_LOST)
			continue;
		pst_dict_i64(dict, "segment", item->segment_base);
		if (item->kind != PST_RECOVERY_INDEX_REBUILT) {
			pst_dict_u64(dict, "position", item->pos);
			pst_dict_u64(dict, "bytes", item->bytes);
		}
		if (item->file[0])
			pst_dict_string(dict, "file", item->file);
	}
}

static enum pst_row_fate
fill_recovery(struct pst_dict row, void *arg, uint32_t idx)
{
	struct pst_pipeline *pipeline = arg;
	const struct pst_log_add *log = &pipeline->logs[idx];
	const struct pst_recovery *found = &log->recovery;

	if (found->clean && found->item_cnt == 0)
		return PST_ROW_SKIP;
	pst_dict_string(row, "stream_name", log->config.topic);
	pst_dict_i32(row, "partition", (int32_t)log->config.partition);
	pst_dict_i64(row, "next_offset", found->next_offset);
	pst_dict_u64(row, "checked_bytes", found->checked_bytes);
	pst_dict_u64(row, "cut_bytes", found->cut_bytes);
	pst_dict_u64(row, "set_aside_bytes", found->set_aside_bytes);
	pst_dict_u64(row, "index_rebuilt_cnt", found->index_rebuilt_cnt);
	pst_dict_u64(row, "item_cnt", found->item_cnt);
	dict_recovery_items(row, found);
	return PST_ROW_ADD;
}

int
pst_serve_recovery(struct pst_request *request)
{
	struct pst_pipeline *pipeline = request->pipeline;

	pst_dict_u64(request->top, "duration_ns", pipeline->recovery_ns);
	return pst_serve_page(request, pipeline->log_cnt, fill_recovery, pipeline);
}
