/* Built with -Dstages=true alone. */
#include <inttypes.h>

#include "base/clock.h"
#include "base/stages.h"
#include "telemetry/commands.h"

static enum pst_row_fate
fill(struct pst_dict row, void *arg, uint32_t idx)
{
	const struct pst_profile *profile = arg;
	bool is_rx = idx < profile->rx_lcore_cnt;
	const struct pst_stages *stages = pst_stages_of(idx);
	char name[32];

	pst_dict_string(row, "kind", is_rx ? "rx" : "writer");
	pst_dict_u64(row, "index", is_rx ? idx : idx - profile->rx_lcore_cnt);
	pst_dict_u64(row, "switches_1000_ns", pst_clock_duration_ns(stages->switch_tsc_1000));
	for (enum pst_stage s = 0; s < PST_STAGE_CNT; s++) {
		snprintf(name, sizeof(name), "%s_ns", pst_stage_name(s));
		pst_dict_u64(row, name, pst_clock_duration_ns(stages->tsc[s]));
		snprintf(name, sizeof(name), "%s_cnt", pst_stage_name(s));
		pst_dict_u64(row, name, stages->entered_cnt[s]);
	}
	return PST_ROW_ADD;
}

int
pst_serve_stages(struct pst_request *request)
{
	const struct pst_profile *profile = request->pipeline->profile;
	return pst_serve_page(request, profile->rx_lcore_cnt + profile->writer_cnt, fill,
		(void *)(uintptr_t)profile);
}
