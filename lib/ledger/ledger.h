/* The books: where every frame and every event went.
 *
 * Two books for each (queue, listener), the listener "none" included:
 *
 *   frames: polled = carried + rejected[reason] + ignored[reason]   (+ in_handoff)
 *   events: found  = stored + filtered + sampled_out + duplicate + quarantined
 *                    + shed[reason] + in_flight
 *
 * and one for each stream:
 *
 *   routed_in + internal = stored + shed + in_flight
 *
 * Every lcore owns a whole book of its own and is its only writer: the lcore that does a thing adds
 * it to the cell of the queue and listener that it concerns. A snapshot is the sum of the lcores'
 * copies, each taken by its owner between two bursts. in_flight and in_handoff are counted from
 * the buffers that are not at home, never derived from the other cells: else the residual could
 * not fail. */
#ifndef PST_LEDGER_H
#define PST_LEDGER_H

#include "base/base.h"
#include "frame/frame.h"
#include "profile/profile.h"

/* Unintended ends of an event. X(SYMBOL, "name") */
#define PST_SHED_REASONS(X)                                                                        \
	X(NO_BUFFER, "no_buffer")               /* no empty batch: the writer is behind */         \
	X(WRITE_FAILED, "write_failed")         /* its batch could not be written */               \
	X(SYNC_FAILED, "sync_failed")           /* lost, but may reappear after recovery */        \
	X(QUARANTINE_LIMIT, "quarantine_limit") /* beyond the quarantine's rate */                 \
	X(DISK_FULL, "disk_full")               /* no space, and nothing old that may go */

enum pst_shed_reason {
#define PST_X(sym, name) PST_SHED_##sym,
	PST_SHED_REASONS(PST_X)
#undef PST_X
		PST_SHED_CNT
};
const char *pst_shed_reason_name(enum pst_shed_reason reason);

/* Remarks beside the books: nothing of them is in the identities. X(field, "meaning") */
#define PST_CELL_NOTES(X)                                                                          \
	X(payload_bytes, "UDP payload bytes of the frames that were carried")                      \
	X(empty_lines, "lines without a byte, skipped")                                            \
	X(late, "messages that filled a gap of their session")                                     \
	X(untracked, "messages stored without knowing whether they are copies")                    \
	X(quarantine_cut, "quarantined with part of their bytes only")                             \
	X(linearized, "frames in several buffers, copied together first")                          \
	X(handed_over, "frames given to the lcore that owns their session")                        \
	X(scan_errors, "events kept because the scan failed")

/* One (queue, listener). Written by the owning lcore alone. */
struct pst_cell {
	uint64_t polled;
	uint64_t verdict[PST_FRAME_VERDICT_CNT]; /* CARRIED, rejects and ignores */
	uint64_t found;
	uint64_t stored;
	uint64_t filtered;
	uint64_t sampled_out;
	uint64_t duplicate;
	uint64_t quarantined;
	uint64_t shed[PST_SHED_CNT];
#define PST_X(field, meaning) uint64_t field;
	PST_CELL_NOTES(PST_X)
#undef PST_X
	/* filled in snapshots only: what was not at home */
	uint64_t in_handoff; /* frames */
	uint64_t in_flight;  /* events */
} PST_CACHE_ALIGNED;

struct pst_stream_cell {
	uint64_t routed_in; /* events of listeners */
	uint64_t internal;  /* records of our own: rejected frames */
	uint64_t stored;
	uint64_t shed[PST_SHED_CNT];
	uint64_t in_flight; /* filled in snapshots only */
} PST_CACHE_ALIGNED;

/* Shape of all books of a process: queues are those of the profile and, last, the kernel path;
 * listeners are those of the profile and, last, "none". */
struct pst_book_shape {
	uint16_t queue_cnt;
	uint16_t listener_cnt;
	uint16_t stream_cnt;
};

static inline uint32_t
pst_book_cell_idx(const struct pst_book_shape *shape, uint16_t queue_idx, uint16_t listener_idx)
{
	return (uint32_t)queue_idx * shape->listener_cnt + listener_idx;
}

static inline uint32_t
pst_book_cell_cnt(const struct pst_book_shape *shape)
{
	return (uint32_t)shape->queue_cnt * shape->listener_cnt;
}

struct pst_book {
	struct pst_book_shape shape;
	struct pst_cell *cells;          /* by pst_book_cell_idx */
	struct pst_stream_cell *streams; /* by stream index */
};

struct pst_book_shape pst_book_shape(const struct pst_profile *profile);

/* Zeroed book on the heap (set-up, or the control thread's). 0 or -ENOMEM. */
int pst_book_init(struct pst_book *book, const struct pst_book_shape *shape);
void pst_book_fini(struct pst_book *book);

void pst_book_clear(struct pst_book *book);
void pst_book_add(struct pst_book *sum, const struct pst_book *part);

/* Makes one the copy of another of the same shape. */
void pst_book_copy(struct pst_book *to, const struct pst_book *from);

/* Adds one cell to another. */
void pst_cell_add(struct pst_cell *sum, const struct pst_cell *part);

/* Sums of a cell's verdicts by class, and what its books do not explain: 0 at rest. */
uint64_t pst_cell_rejected(const struct pst_cell *cell);
uint64_t pst_cell_ignored(const struct pst_cell *cell);
uint64_t pst_cell_shed(const struct pst_cell *cell);
int64_t pst_cell_frames_residual(const struct pst_cell *cell);
int64_t pst_cell_events_residual(const struct pst_cell *cell);
int64_t pst_stream_cell_residual(const struct pst_stream_cell *cell);

#endif
