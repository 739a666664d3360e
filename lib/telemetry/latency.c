#include "ledger/latency.h"
#include "telemetry/commands.h"

static void
dict_stages(struct pst_dict dict, const struct pst_latency stages[PST_LATENCY_STAGE_CNT])
{
	for (unsigned s = 0; s < PST_LATENCY_STAGE_CNT; s++) {
		const struct pst_latency *latency = &stages[s];
		struct pst_dict stage = pst_dict_dict(dict, pst_latency_stage_name(s));
		pst_dict_u64(stage, "cnt", latency->cnt);
		pst_dict_u64(stage, "sum_ns", latency->sum_ns);
		pst_dict_u64(stage, "ns_p50", pst_latency_ns_at(latency, 500));
		pst_dict_u64(stage, "ns_p90", pst_latency_ns_at(latency, 900));
		pst_dict_u64(stage, "ns_p99", pst_latency_ns_at(latency, 990));
		pst_dict_u64(stage, "ns_p999", pst_latency_ns_at(latency, 999));
		pst_dict_u64(stage, "ns_max", latency->ns_max);
	}
}

static enum pst_row_fate
fill_latency(struct pst_dict row, void *arg, uint32_t idx)
{
	const struct pst_source *source = arg;

	pst_dict_u64(row, "writer", idx);
	dict_stages(row, source->snapshot->latency[idx]);
	return PST_ROW_ADD;
}

int
pst_serve_latency(struct pst_request *request)
{
	struct pst_latency all[PST_LATENCY_STAGE_CNT] = {0};
	struct pst_source source;

	if (!pst_source_open(request, &source))
		return 0;
	uint32_t writer_cnt = source.profile->writer_cnt;
	for (uint32_t w = 0; w < writer_cnt; w++)
		for (unsigned s = 0; s < PST_LATENCY_STAGE_CNT; s++)
			pst_latency_merge(&all[s], &source.snapshot->latency[w][s]);
	if (request->args[0] == 0)
		dict_stages(pst_dict_dict(request->top, "all"), all);
	return pst_source_page(request, &source, writer_cnt, fill_latency);
}
