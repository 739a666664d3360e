/* The ledger's keeper: each interval a snapshot, what moved since the one before, and a record of
 * it in the stream penstock.ledger. Belongs to the control thread, but for pst_recorder_view and
 * pst_recorder_count.
 *
 *   lcores ──snapshot──▶ totals, interval ──▶ view (telemetry)
 *   sessions ──reports──▶ gaps              │
 *   ports, kernel ──▶ beside                ▼
 *                                     outbox of JSON texts ══batches══▶ writer ══▶ penstock.ledger
 *                                           ▲══════════ home ═════════════╝
 *
 * Nothing is put into the outbox before all that was in it is durable: while the writer is behind,
 * or cannot write, intervals add up to one, and gaps change without being told; then they are told
 * as they are. So memory is bounded and no counter is lost, only its place in time grows wider.
 * Intervals in which nothing moved become one record, at least every PST_RECORDER_IDLE_NS: a reader
 * can tell "nothing happened" from "no daemon". */
#ifndef PST_RECORDER_H
#define PST_RECORDER_H

#include "ledger/beside.h"
#include "ledger/interval.h"
#include "ledger/record.h"
#include "pipeline/handoff.h"

#define PST_RECORDER_IDLE_NS UINT64_C(10000000000)

struct pst_pipeline;
struct pst_recorder;

struct pst_recorder_config {
	struct rte_ring *full[PST_WRITERS_MAX]; /* [writer]: we produce */
	struct rte_ring *home[PST_WRITERS_MAX]; /* [writer]: we consume */
	struct pst_batch_buf *batches;          /* with wire, source and nothing else set */
	uint32_t batch_cnt;                     /* 1 .. 8 */
	uint64_t newest_ns; /* arrival of the stream's newest record: time never goes back */
};

/* After the lcores' state is built, before they run. The start record is the first, then
 * what recovery found in each partition. 0 or -ENOMEM. */
int pst_recorder_create(struct pst_pipeline *pipeline, const struct pst_recorder_config *config,
	struct pst_recorder **out);
/* After the lcores have ended. */
void pst_recorder_destroy(struct pst_recorder *recorder);

/* One turn of the control thread, some ten a second: takes reports and what came home, takes the
 * interval that is over, writes what is due. Waits for lcores as a snapshot does. */
void pst_recorder_turn(struct pst_recorder *recorder);

/* The clock was set: said with the next record. */
void pst_recorder_clock(struct pst_recorder *recorder, int64_t step_ns);

/* Drives: those that failed or are missing, each once; a partition that goes on elsewhere, after
 * pst_pipeline_set_place; the stream that halts because of its drive. Said with the next records.
 */
void pst_recorder_drives(struct pst_recorder *recorder);
void pst_recorder_moved(struct pst_recorder *recorder, uint16_t stream_idx, uint16_t queue_idx,
	const struct pst_log_place *from, const struct pst_log_place *to);
void pst_recorder_halted(struct pst_recorder *recorder, uint16_t stream_idx, uint16_t queue_idx,
	const struct pst_log_place *at);

/* Traffic has ended, the lcores still turn: takes the last interval, declares open gaps lost,
 * writes the stop record with the books of the run, and waits until all is durable. False: not
 * within limit_ns. */
bool pst_recorder_finish(struct pst_recorder *recorder, uint64_t limit_ns);

/* Adds the ledger stream's own records to a book: what was handed over, and what is in flight. Any
 * thread, before the writers are copied. */
void pst_recorder_count(struct pst_recorder *recorder, struct pst_book *book);

/* The interval that ended last, for readers. Memory is the reader's and reusable. */
struct pst_recorder_view {
	struct pst_interval interval; /* first = last; 0: none has ended yet */
	struct pst_book total;        /* of the run, at its end */
	struct pst_beside beside;     /* pst_beside_added is of this interval */
	struct pst_residuals residuals;
	uint64_t interval_ns; /* of the profile */
	char run_id[PST_RUN_ID_LEN + 1];
	/* The stream: */
	uint64_t recorded_last; /* the last interval that was handed over as a record */
	uint64_t record_cnt;    /* records that are durable */
	uint64_t failed_cnt;    /* batches of records that could not be written; tried again */
	uint64_t merged_cnt;    /* intervals that had to be told together with a later one */
	uint64_t missed_cnt;    /* intervals without a snapshot: an lcore did not answer */
	uint64_t gap_open_cnt;
	uint64_t silenced_cnt; /* times that a session's gaps were read anew: reports overran */
};
int pst_recorder_view_init(struct pst_recorder_view *view, const struct pst_pipeline *pipeline);
void pst_recorder_view_fini(struct pst_recorder_view *view);
/* Any thread. 0 or -ENOMEM. */
int pst_recorder_view(struct pst_recorder *recorder, struct pst_recorder_view *out);

#endif
