#include "ledger/spread.h"

bool
pst_spread_judge(const uint64_t *frame_cnts, uint16_t queue_cnt, struct pst_spread *out)
{
	struct pst_spread spread = {.queue_cnt = queue_cnt};
	uint64_t max = 0;

	for (uint16_t q = 0; q < queue_cnt; q++) {
		spread.frame_cnt += frame_cnts[q];
		if (frame_cnts[q] > max) {
			max = frame_cnts[q];
			spread.busiest_idx = q;
		}
	}
	if (queue_cnt < 2 || spread.frame_cnt < PST_SPREAD_FRAMES_MIN)
		return false;
	unsigned __int128 share = (unsigned __int128)max * 1000;
	spread.busiest_share_permille = (uint32_t)(share / spread.frame_cnt);
	spread.max_to_mean_permille = (uint32_t)(share * queue_cnt / spread.frame_cnt);
	spread.skewed = spread.max_to_mean_permille >= PST_SPREAD_SKEWED;
	*out = spread;
	return true;
}
