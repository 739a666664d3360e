#include "pipeline/watch.h"

#include <stdio.h>

/* Counts the looks in a row that saw no turn. Returns whether this one saw some. */
static bool
look(uint64_t turn_cnt, uint64_t *seen, unsigned *still_cnt)
{
	*still_cnt = turn_cnt == *seen ? *still_cnt + 1 : 0;
	*seen = turn_cnt;
	return *still_cnt == 0;
}

bool
pst_watch_look(struct pst_watch *w, struct pst_pipeline *p)
{
	uint32_t stuck_rx = 0, stuck_writers = 0;
	bool all = true;

	for (uint16_t i = 0; i < p->profile->rx_lcore_cnt; i++) {
		/* Counters on their own: nothing else is read by them. */
		all &= look(atomic_load_explicit(&p->rx[i]->turn_cnt, memory_order_relaxed),
			&w->rx_turn_cnt[i], &w->rx_still_cnt[i]);
		stuck_rx |= (uint32_t)(w->rx_still_cnt[i] >= PST_WATCH_STUCK_LOOKS) << i;
	}
	for (uint16_t i = 0; i < p->profile->writer_cnt; i++) {
		all &= look(atomic_load_explicit(&p->writers[i]->turn_cnt, memory_order_relaxed),
			&w->writer_turn_cnt[i], &w->writer_still_cnt[i]);
		stuck_writers |= (uint32_t)(w->writer_still_cnt[i] >= PST_WATCH_STUCK_LOOKS) << i;
	}
	atomic_store_explicit(&p->stuck_rx, stuck_rx, memory_order_relaxed);
	atomic_store_explicit(&p->stuck_writers, stuck_writers, memory_order_relaxed);
	return all;
}

void
pst_watch_name_stuck(const struct pst_pipeline *p, char *out, size_t cap)
{
	uint32_t rx = atomic_load_explicit(&p->stuck_rx, memory_order_relaxed);
	uint32_t writers = atomic_load_explicit(&p->stuck_writers, memory_order_relaxed);
	size_t at = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < PST_RX_LCORES_MAX && at < cap; i++)
		if (rx & 1u << i)
			at += (size_t)snprintf(out + at, cap - at, "%srx %u", at ? ", " : "", i);
	for (unsigned i = 0; i < PST_WRITERS_MAX && at < cap; i++)
		if (writers & 1u << i)
			at += (size_t)snprintf(
				out + at, cap - at, "%swriter %u", at ? ", " : "", i);
}
