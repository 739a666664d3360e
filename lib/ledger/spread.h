/* How evenly a port's frames fall on its queues: RSS spreads flows, not frames, so a few heavy
 * senders, or keys that do not fit the traffic, leave queues idle while one overflows. */
#ifndef PST_SPREAD_H
#define PST_SPREAD_H

#include "base/base.h"

#define PST_SPREAD_FRAMES_MIN 1000 /* fewer say nothing */
#define PST_SPREAD_SKEWED     1500 /* permille: half as much again as the mean */

struct pst_spread {
	uint64_t frame_cnt; /* of the interval; 0: none was judged yet */
	uint16_t queue_cnt;
	uint16_t busiest_idx;          /* of the port's queues */
	uint32_t max_to_mean_permille; /* 1000: even; 1000 * queue_cnt: all on one queue */
	uint32_t busiest_share_permille;
	bool skewed;
};

/* Judges an interval: frames of each of the port's queues. False, and *out as it was: too few
 * frames, or a single queue. */
bool pst_spread_judge(const uint64_t *frame_cnts, uint16_t queue_cnt, struct pst_spread *out);

#endif
