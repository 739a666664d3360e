#include "base/clock.h"
#include "telemetry/commands.h"

static void
dict_load(struct pst_dict row, const struct pst_source *source, uint64_t busy_tsc)
{
	uint64_t started_ns = source->pipeline->started_ns;

	pst_dict_u64(row, "running_ns",
		source->taken_ns > started_ns ? source->taken_ns - started_ns : 0);
	pst_dict_u64(row, "busy_ns", pst_clock_duration_ns(busy_tsc));
}

static enum pst_row_fate
fill_rx(struct pst_dict row, void *arg, uint32_t idx)
{
	const struct pst_source *source = arg;
	const struct pst_rx_stats *stats = &source->snapshot->rx[idx];

	pst_dict_u64(row, "index", idx);
	pst_dict_u64(row, "cpu", source->profile->core_rx[idx]);
	pst_dict_u64(row, "turn_cnt", stats->turn_cnt);
	dict_load(row, source, stats->busy_tsc);
	pst_dict_u64(row, "batch_sealed_cnt", stats->batch_sealed_cnt);
	pst_dict_u64(row, "batch_plain_bytes", stats->batch_plain_bytes);
	pst_dict_u64(row, "batch_buffer_cnt", stats->batch_cnt);
	pst_dict_u64(row, "batch_buffer_home_cnt", stats->batch_home_cnt);
	pst_dict_u64(row, "session_cnt", stats->session_cnt);
	pst_dict_u64(row, "session_full_cnt", stats->session_full_cnt);
	pst_dict_u64(row, "clock_held_ns_max", stats->clock_held_ns_max);
	return PST_ROW_ADD;
}

int
pst_serve_rx(struct pst_request *request)
{
	struct pst_source source;

	if (!pst_source_open(request, &source))
		return 0;
	return pst_source_page(request, &source, source.profile->rx_lcore_cnt, fill_rx);
}

static enum pst_row_fate
fill_writer(struct pst_dict row, void *arg, uint32_t idx)
{
	const struct pst_source *source = arg;
	const struct pst_writer_stats *stats = &source->snapshot->writers[idx];
	const struct pst_appender_stats *appender = &stats->appender;

	pst_dict_u64(row, "index", idx);
	pst_dict_u64(row, "cpu", source->profile->core_writer[idx]);
	pst_dict_u64(row, "turn_cnt", stats->turn_cnt);
	dict_load(row, source, stats->busy_tsc);
	pst_dict_u64(row, "ring_used_cnt", stats->ring_used);
	pst_dict_u64(row, "ring_size_cnt", stats->ring_size);
	pst_dict_u64(row, "write_cnt", appender->write_cnt);
	pst_dict_u64(row, "write_bytes", appender->write_bytes);
	pst_dict_u64(row, "sync_cnt", appender->sync_cnt);
	pst_dict_u64(row, "in_flight_bytes", appender->in_flight_bytes);
	pst_dict_u64(row, "unsynced_bytes", appender->unsynced_bytes);
	pst_dict_u64(row, "direct", appender->direct);
	if (appender->last_errno != 0) {
		const char *text = strerrordesc_np(appender->last_errno);
		pst_dict_string(row, "last_error", text ? text : "unknown error");
	}
	return PST_ROW_ADD;
}

int
pst_serve_writers(struct pst_request *request)
{
	struct pst_source source;

	if (!pst_source_open(request, &source))
		return 0;
	return pst_source_page(request, &source, source.profile->writer_cnt, fill_writer);
}
