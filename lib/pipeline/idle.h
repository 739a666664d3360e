/* What a poller does with an empty turn.
 *
 * SPIN: it pauses. ADAPTIVE: it spins, pauses, then sleeps, a little longer each time, up to a
 * bound that the receive rings survive. How long it spins follows from whether that helps: it
 * doubles when work came meanwhile, and halves when it came only after a sleep. A poller that
 * shares its CPU with what feeds it (a kernel thread, another poller) would else spin in its way.
 * One that shares its CPU with another lcore does not learn that: while it spins it finds its own
 * work, but the writer of its batches waits for the end of its time slice. It sleeps at once. The
 * first sleep after work grows as long as one turn takes all that has gathered, and shrinks when it
 * takes several. */
#ifndef PST_IDLE_H
#define PST_IDLE_H

#include <rte_pause.h>
#include <time.h>

#include "base/base.h"
#include "profile/profile.h"

#define PST_IDLE_SPINS        64 /* turns without a pause */
#define PST_IDLE_TURNS_MIN    8  /* before it sleeps */
#define PST_IDLE_TURNS_MAX    320
#define PST_IDLE_SLEEP_NS_MIN 20000
/* After work: some tens of frames at what the kernel delivers, and little beside a batch's age. */
#define PST_IDLE_FIRST_NS_MAX 100000
/* 2048 descriptors last 1 ms at 2 M frames/s, far beyond what AF_XDP's copy mode delivers. */
#define PST_IDLE_SLEEP_NS_MAX 1000000

/* One poller's. */
struct pst_idle_state {
	enum pst_idle mode;
	bool slept;         /* since it had work */
	uint32_t busy_cnt;  /* turns with work in a row */
	uint32_t empty_cnt; /* and without */
	uint32_t turns;     /* without work, before it sleeps */
	uint32_t turns_max; /* bound of turns */
	uint32_t first_ns;  /* of the first sleep after work */
	uint32_t sleep_ns;  /* of the next one */
};

/* shares_cpu: with another lcore. */
static inline void
pst_idle_init(struct pst_idle_state *idle, enum pst_idle mode, bool shares_cpu)
{
	uint32_t turns_max = shares_cpu ? PST_IDLE_TURNS_MIN : PST_IDLE_TURNS_MAX;
	*idle = (struct pst_idle_state){
		.mode = mode,
		.turns = turns_max,
		.turns_max = turns_max,
		.first_ns = PST_IDLE_SLEEP_NS_MIN,
		.sleep_ns = PST_IDLE_SLEEP_NS_MIN,
	};
}

static inline void
pst_idle_busy(struct pst_idle_state *idle)
{
	if (idle->busy_cnt++ > 0)
		return;
	if (idle->slept)
		idle->turns = (uint32_t)pst_max_u64(idle->turns / 2, PST_IDLE_TURNS_MIN);
	else if (idle->empty_cnt > 0)
		idle->turns = (uint32_t)pst_min_u64(2 * idle->turns, idle->turns_max);
}

/* The first empty turn after busy_cnt with work. */
static inline void
pst_idle_run_ends(struct pst_idle_state *idle)
{
	if (idle->slept && idle->busy_cnt > 1)
		idle->first_ns = (uint32_t)pst_max_u64(
			idle->first_ns - idle->first_ns / 4, PST_IDLE_SLEEP_NS_MIN);
	else if (idle->slept)
		idle->first_ns = (uint32_t)pst_min_u64(
			idle->first_ns + idle->first_ns / 8, PST_IDLE_FIRST_NS_MAX);
	idle->sleep_ns = idle->first_ns;
	idle->busy_cnt = idle->empty_cnt = 0;
	idle->slept = false;
}

static inline void
pst_idle_empty(struct pst_idle_state *idle)
{
	if (idle->busy_cnt > 0)
		pst_idle_run_ends(idle);
	if (idle->mode == PST_IDLE_SPIN || idle->empty_cnt < idle->turns) {
		if (idle->empty_cnt >= PST_IDLE_SPINS)
			rte_pause();
		if (idle->empty_cnt < idle->turns_max)
			idle->empty_cnt++;
		return;
	}
	idle->slept = true;
	nanosleep(&(struct timespec){.tv_nsec = idle->sleep_ns}, NULL);
	if (idle->sleep_ns < PST_IDLE_SLEEP_NS_MAX)
		idle->sleep_ns += idle->sleep_ns / 8;
}

#endif
