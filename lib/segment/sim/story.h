/* A story: logs on a simulated disk are opened, written, rolled, retired, closed, killed and opened
 * again, with mishaps, as a seed has it. After changes of what a power loss would leave, states are
 * taken from it; each is recovered, read, and compared with what was acknowledged.
 *
 *   story    life 1 ............. power loss ─▶ life 2 ....... close ─▶ life 3 ...
 *   states        │   │   │                          │   │
 *                 ▼   ▼   ▼  recovered, read; power lost in the middle of that, and after it;
 *                            recovered again: the same log
 *
 * A state is named STORY.STEP.VARIANT and follows from the seed and this name. */
#ifndef SIM_STORY_H
#define SIM_STORY_H

#include <stdio.h>

#include "segment/sim/disk.h"

enum sim_origin {
	SIM_ORIGIN_KILLED = SIM_LOSS_CNT, /* the process alone */
	SIM_ORIGIN_KILLED_IN_RECOVERY,
	SIM_ORIGIN_IN_RECOVERY, /* power lost while it recovered */
	SIM_ORIGIN_AFTER_RECOVERY,
	SIM_ORIGIN_CNT,
};
const char *sim_origin_name(int origin); /* one of these, or an enum sim_loss */

struct sim_counts {
	uint64_t story_cnt, life_cnt, step_cnt;
	uint64_t state_cnt, by_origin[SIM_ORIGIN_CNT];
	uint64_t batch_cnt, durable_cnt, gone_cnt, doubt_cnt;
	uint64_t roll_cnt, retired_cnt, mishap_cnt, full_cnt, failed_open_cnt;
	uint64_t cut_cnt, set_aside_cnt, verify_cnt, undurable_found_cnt;
};

struct sim_only { /* one state alone */
	bool set;
	unsigned step, variant;
};

struct sim_plan {
	uint64_t seed;
	unsigned one_of; /* of so many steps one is looked at, on average */
	unsigned variant_cnt;
	struct sim_fault fault; /* in the first life; at 0: by chance */
	unsigned call_step;     /* 1: every call fails once; n: every nth */
	bool fault_in_recovery; /* in the second life's opening instead */
	struct sim_only only;
	FILE *out; /* what went wrong */
};

void sim_memory_prepare(void); /* once, before the first story: faster */

/* Tells story number idx. 0, or -1: something was wrong and has been written to out. */
int sim_story(const struct sim_plan *plan, unsigned idx, struct sim_counts *counts);

/* The Nth call of a story fails, for every N, with each of several errors, once and for ever; in
 * the first life, and while the second one recovers. */
int sim_every_call(const struct sim_plan *plan, struct sim_counts *counts);

void sim_counts_print(const struct sim_counts *counts, FILE *out);

#endif
