/* The ledger per interval: what was added to each counter, and what the books do not explain.
 *
 *   snapshot n-1 ──┐
 *                  ├─▶ interval n: counters as differences, gauges (in_flight, in_handoff) as they
 *   snapshot n ────┘               are at its end
 *
 * Intervals of one run add up to its books: nothing is rounded, nothing is left out. An interval
 * may cover several (first .. last), when the ones before could not be written.
 *
 * A residual at rest is a bug; under traffic it lies within what changed hands while the snapshot
 * was taken. Both are judged here, cell by cell: see struct pst_residuals. Control thread. */
#ifndef PST_LEDGER_INTERVAL_H
#define PST_LEDGER_INTERVAL_H

#include "ledger/ledger.h"

struct pst_interval {
	uint64_t first, last;    /* numbers of the intervals it covers, from 1 in each run */
	uint64_t from_ns, to_ns; /* wall clock, from the end of the one before */
	struct pst_book book;
};

/* The difference of two books of one run: counters subtracted, gauges those of now. The shapes are
 * equal; out may be before. */
void pst_book_since(
	struct pst_book *out, const struct pst_book *now, const struct pst_book *before);

/* Whether a difference holds nothing: no counter moved (gauges may be anything). */
bool pst_book_is_still(const struct pst_book *since);
bool pst_cell_is_still(const struct pst_cell *since);
bool pst_stream_cell_is_still(const struct pst_stream_cell *since);

/* The sum of all cells. */
struct pst_cell pst_book_total(const struct pst_book *book);

/* One book's residuals over the run. */
struct pst_residual {
	int64_t last;      /* sum over all cells, of the last snapshot */
	uint64_t abs_max;  /* largest sum that was seen, either sign */
	uint64_t rest_cnt; /* cells seen at rest (no counter of theirs moved) with one: bugs */
	/* Cells whose residual was larger than all that moved in them in the interval before and
	 * the one after the snapshot: bugs, too. */
	uint64_t beyond_cnt;
};

struct pst_residuals {
	struct pst_residual frames, events, streams;
};

struct pst_residual_judge;

/* 0 or -ENOMEM. */
int pst_residual_judge_create(const struct pst_book_shape *shape, struct pst_residual_judge **out);
void pst_residual_judge_destroy(struct pst_residual_judge *judge);

/* Takes the next snapshot and what moved since the one before. */
void pst_residuals_take(struct pst_residual_judge *judge, const struct pst_book *now,
	const struct pst_book *since, struct pst_residuals *residuals);

#endif
