/* The records of the ledger stream, as JSON texts. docs/ledger.md is the schema: fields are added,
 * never given another meaning.
 *
 * Counters that are 0 are left out, so that an interval of one busy listener is short. A record's
 * text is at most PST_RECORD_BYTES_MAX; what may be longer comes in parts. Control thread. */
#ifndef PST_LEDGER_RECORD_H
#define PST_LEDGER_RECORD_H

#include "ledger/beside.h"
#include "ledger/gaps.h"
#include "ledger/interval.h"

#define PST_RECORD_BYTES_MAX 60000
#define PST_RUN_ID_LEN       16 /* hex digits */

/* Where records go: one call for each, text is its own len bytes. */
struct pst_record_sink {
	void (*add)(void *arg, const char *text, size_t len);
	void *arg;
	const char *run_id; /* PST_RUN_ID_LEN hex digits */
};

struct pst_record_start {
	uint64_t at_ns;
	const char *version;
	const char *profile_hash; /* of the file's bytes */
	uint64_t interval_ns;
};
/* What recovery found in one partition. */
struct pst_record_recovery {
	const char *stream;
	uint32_t partition;
	int64_t next_offset;
	uint64_t cut_bytes, set_aside_bytes;
	uint32_t index_rebuilt_cnt;
	bool clean;
	const char **items; /* what was done, in words */
	uint32_t item_cnt;
};

/* Each adds one record; without memory it adds none and returns -ENOMEM (kept for the next turn by
 * the caller, where it matters). */
int pst_record_start(const struct pst_record_sink *sink, const struct pst_profile *profile,
	const struct pst_record_start *start);
int pst_record_recovery(const struct pst_record_sink *sink, uint64_t at_ns,
	const struct pst_record_recovery *recovery);
int pst_record_gap(const struct pst_record_sink *sink, const struct pst_profile *profile,
	uint16_t listener_idx, const uint8_t id[PST_MOLD_SESSION_LEN], const struct pst_gap *gap);
int pst_record_clock(const struct pst_record_sink *sink, uint64_t at_ns, int64_t step_ns);

/* What became of a drive, and of what was written there. */
struct pst_record_drive {
	const char *event;  /* "failed", "missing" (at the start), "moved", "halted" */
	uint16_t drive_idx; /* in the profile */
	int error;          /* errno; 0: none */
	/* moved: stream's partition goes on as to_partition on drive to_idx. halted: stream ends
	 * the daemon. Otherwise NULL. */
	const char *stream, *queue; /* queue NULL: the ledger's own */
	uint32_t partition, to_partition;
	uint16_t to_idx;
};
int pst_record_drive(const struct pst_record_sink *sink, const struct pst_profile *profile,
	uint64_t at_ns, const struct pst_record_drive *drive);

struct pst_record_rules_place {
	uint16_t stream_idx, queue_idx;
	uint32_t partition;
	int64_t offset; /* the first event that was judged by them */
};
int pst_record_rules(const struct pst_record_sink *sink, const struct pst_profile *profile,
	uint64_t at_ns, uint32_t generation, const char *hash,
	const struct pst_record_rules_place *places, uint32_t place_cnt);

/* Intervals first .. last, in which nothing happened. */
int pst_record_idle(const struct pst_record_sink *sink, uint64_t first, uint64_t last,
	uint64_t from_ns, uint64_t to_ns);

/* An interval, in as many parts as it takes. kind: "interval", or "stop" (then the books are
 * totals of the run). */
int pst_record_interval(const struct pst_record_sink *sink, const struct pst_profile *profile,
	const char *kind, const struct pst_interval *interval, const struct pst_beside *beside,
	const struct pst_residuals *residuals);

/* "port/queue", or "kernel" for the last queue of the books. */
const char *pst_record_queue_name(
	char text[64], const struct pst_profile *profile, uint32_t queue_idx);
/* Name of a listener of the books: the last one is none. */
const char *pst_record_listener_name(const struct pst_profile *profile, uint32_t listener_idx);

#endif
