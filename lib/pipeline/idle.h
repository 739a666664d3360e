/* What a poller does with an empty turn. ADAPTIVE: spin, then pause, then sleep a little longer
 * each time up to a bound that the receive rings survive; SPIN: pause only. */
#ifndef PST_IDLE_H
#define PST_IDLE_H

#include <rte_pause.h>
#include <time.h>

#include "profile/profile.h"

#define PST_IDLE_SPINS        64
#define PST_IDLE_PAUSES       256
#define PST_IDLE_SLEEP_NS_MIN 20000
/* 2048 descriptors last 1 ms at 2 M frames/s, far beyond what AF_XDP's copy mode delivers. */
#define PST_IDLE_SLEEP_NS_MAX 1000000

struct pst_idle_state {
	enum pst_idle mode;
	uint32_t empty_cnt;
	uint32_t sleep_ns;
};

static inline void
pst_idle_busy(struct pst_idle_state *idle)
{
	idle->empty_cnt = 0;
	idle->sleep_ns = PST_IDLE_SLEEP_NS_MIN;
}

static inline void
pst_idle_empty(struct pst_idle_state *idle)
{
	if (idle->empty_cnt < PST_IDLE_SPINS + PST_IDLE_PAUSES)
		idle->empty_cnt++;
	if (idle->empty_cnt <= PST_IDLE_SPINS)
		return;
	if (idle->mode == PST_IDLE_SPIN || idle->empty_cnt < PST_IDLE_SPINS + PST_IDLE_PAUSES) {
		rte_pause();
		return;
	}
	nanosleep(&(struct timespec){.tv_nsec = idle->sleep_ns}, NULL);
	if (idle->sleep_ns < PST_IDLE_SLEEP_NS_MAX)
		idle->sleep_ns += idle->sleep_ns / 8;
}

#endif
