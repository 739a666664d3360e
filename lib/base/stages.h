/* Where a data core's time goes, stage by stage: in a build with -Dstages=true, else nothing at
 * all.
 *
 *   rx ─▶ parse ─▶ admit ─▶ scan ─▶ pack [compress, checksum] ─▶ hand-off        an rx lcore
 *   hand-off ─▶ write                                                            a writer
 *
 * A thread is in one stage at a time. Entering another charges the time since the last switch to
 * the one that is left: nothing is counted twice or lost. What a switch itself takes is measured at
 * the thread's start; each lies in the stage that it enters. */
#ifndef PST_STAGES_H
#define PST_STAGES_H

#include <stdint.h>

/* X(symbol, "name") */
#define PST_STAGE_NAMES(X)                                                                         \
	X(OTHER, "other") /* housekeeping, idling */                                               \
	X(RX, "rx")                                                                                \
	X(PARSE, "parse") /* and the books of a datagram */                                        \
	X(ADMIT, "admit")                                                                          \
	X(SCAN, "scan")                                                                            \
	X(PACK, "pack")                                                                            \
	X(COMPRESS, "compress")                                                                    \
	X(CHECKSUM, "checksum")                                                                    \
	X(HANDOFF, "handoff")                                                                      \
	X(WRITE, "write")

enum pst_stage {
#define PST_X(symbol, name) PST_STAGE_##symbol,
	PST_STAGE_NAMES(PST_X)
#undef PST_X
		PST_STAGE_CNT
};

#ifdef PST_STAGES

#define PST_STAGES_THREADS_MAX 64

/* Written by its thread; read by any, word by word. */
struct pst_stages {
	uint64_t tsc[PST_STAGE_CNT];
	uint64_t entered_cnt[PST_STAGE_CNT];
	uint64_t switch_tsc_1000; /* what 1,000 switches take */
	uint64_t last_tsc;
	enum pst_stage now;
};

extern __thread struct pst_stages *pst_stages_own;

/* The calling thread's account from now on; number is below PST_STAGES_THREADS_MAX. Threads that
 * never call it share one that nobody reads. */
void pst_stages_begin(unsigned number);
const struct pst_stages *pst_stages_of(unsigned number);
const char *pst_stage_name(enum pst_stage stage);

/* Returns the stage that is left, to go back to. */
static inline enum pst_stage
pst_stage_enter(enum pst_stage stage)
{
	struct pst_stages *own = pst_stages_own;
	uint64_t tsc = __builtin_ia32_rdtsc();
	enum pst_stage left = own->now;

	own->tsc[left] += tsc - own->last_tsc;
	own->last_tsc = tsc;
	own->entered_cnt[stage]++;
	own->now = stage;
	return left;
}

#else

static inline void
pst_stages_begin(unsigned number)
{
	(void)number;
}

static inline enum pst_stage
pst_stage_enter(enum pst_stage stage)
{
	return stage;
}

#endif
#endif
