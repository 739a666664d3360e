/* The gaps of sequenced sources, one by one: what was missing since when, and what came of it.
 *
 *   reports of lib/session ──▶ gap 17: from .. to, first seen, missing, filled, lost ──▶ records
 *
 * A gap is what one jump of a session's sequence left out. It is open while something of it is
 * missing, and then filled or lost: lost is what found no room in the session's table, and what is
 * still missing when the sender ends its session or the daemon stops (declared: should it come
 * after all, the gap is told again, as filled).
 *
 * Memory is taken once: of each session as many open gaps as its table has ranges (neighbours are
 * made one), and PST_GAPS_CLOSED_MAX closed ones that wait to be told; what closes beyond that is
 * told as a sum of its session. Control thread. */
#ifndef PST_LEDGER_GAPS_H
#define PST_LEDGER_GAPS_H

#include "session/session.h"

#define PST_GAPS_CLOSED_MAX 16384

enum pst_gap_state { PST_GAP_OPEN, PST_GAP_FILLED, PST_GAP_LOST };
const char *pst_gap_state_name(enum pst_gap_state state);

struct pst_gap {
	uint64_t id;       /* of this run, from 1; 0: a sum of several */
	uint64_t from, to; /* inclusive; of a sum: the lowest and the highest */
	uint64_t cnt;      /* of a sum: gaps; else 1 */
	uint64_t first_seen_ns;
	uint64_t last_ns;               /* of its last change */
	uint64_t missing, filled, lost; /* messages; lost: found no room */
	uint64_t lost_from, lost_to;    /* bounds of what is lost; 0, 0: nothing */
	const char *declared; /* what is missing was declared lost: "session_ended", "stop" */
	bool reopened;        /* of messages that came, but were not stored */
};

struct pst_gaps;

/* Both counts as the session table has them. 0 or -ENOMEM. */
int pst_gaps_create(uint32_t session_cnt_max, uint32_t range_cnt_max, struct pst_gaps **out);
void pst_gaps_destroy(struct pst_gaps *gaps);
/* What create takes. */
uint64_t pst_gaps_memory_bytes(uint32_t session_cnt_max, uint32_t range_cnt_max);

/* Takes reports in order. */
void pst_gaps_take(
	struct pst_gaps *gaps, const struct pst_session_report *reports, uint32_t report_cnt);

/* Takes a session as it is: what happened to it is not known in order any more. What is no longer
 * missing was filled, but for as many messages as the session says it gave up. */
void pst_gaps_resync(struct pst_gaps *gaps, uint32_t session_idx,
	const struct pst_session_info *info, const struct pst_session_range *ranges,
	uint32_t range_cnt, uint64_t now_ns);

/* Declares all that is missing lost: the daemon stops. */
void pst_gaps_stop(struct pst_gaps *gaps, uint64_t now_ns);

/* What a gap is now. */
enum pst_gap_state pst_gap_state(const struct pst_gap *gap);

/* Visits what changed since the last time, closed gaps first, at most max; from then on they count
 * as told. Returns their number; max: there may be more. */
uint32_t pst_gaps_tell(struct pst_gaps *gaps, uint32_t max,
	void (*visit)(void *arg, uint32_t session_idx, const struct pst_gap *gap), void *arg);

uint64_t pst_gaps_open_cnt(const struct pst_gaps *gaps);

#endif
