/* Whether the data cores turn. Even a sleeping lcore turns within milliseconds: one that did not
 * between two looks hangs, in a driver, a disk or a loop. */
#ifndef PST_WATCH_H
#define PST_WATCH_H

#include "pipeline/pipeline.h"

#define PST_WATCH_STUCK_LOOKS 2 /* without a turn: the lcore is called stuck */

struct pst_watch {
	uint64_t rx_turn_cnt[PST_RX_LCORES_MAX], writer_turn_cnt[PST_WRITERS_MAX];
	unsigned rx_still_cnt[PST_RX_LCORES_MAX], writer_still_cnt[PST_WRITERS_MAX]; /* looks */
};

/* Looks at all lcores while they run; needs none of them to answer, and no lock. Returns whether
 * each has turned since the last look (the first one: since start). Sets pipeline->stuck_rx and
 * stuck_writers. */
bool pst_watch_look(struct pst_watch *watch, struct pst_pipeline *pipeline);

/* "rx 0, writer 1": those that are stuck now; "" if none. Any thread. */
void pst_watch_name_stuck(const struct pst_pipeline *pipeline, char *out, size_t cap);

#endif
