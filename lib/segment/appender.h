/* Appends sealed batches to the partitions of one writer lcore, syncs, publishes.
 *
 *   append ─▶ [ aligned append buffer ]─▶ io_uring write(s) ─▶ fdatasync ─▶ durable mark ─▶ done
 *
 * One appender per writer lcore; only its thread calls it, but for create, add and destroy
 * (control thread, before start and after stop). Memory is taken by create and add, but for
 * the list of closed segments, which may grow at a roll. */
#ifndef PST_APPENDER_H
#define PST_APPENDER_H

#include "segment/datadir.h"
#include "segment/format.h"

struct pst_appender;

struct pst_appender_config {
	uint64_t flush_bytes;
	uint64_t flush_age_ns;
	struct pst_datadir *dir;
	uint32_t piece_cnt; /* append buffers of 1 MiB, shared by its partitions; 0: 32. At least 2
			     */
};

struct pst_log_config {
	const char *topic;
	uint32_t partition;
	uint64_t segment_bytes_max;
	uint64_t segment_age_max_ns;
	uint64_t retain_bytes;
	uint64_t retain_age_ns;
	bool uses_reserve; /* goes on while the disk is full: what says why others do not */
	bool sealed;       /* hash chain and .seal files, see seal.h */
};

/* One thing that recovery found or did, with the place where. */
enum pst_recovery_kind {
	PST_RECOVERY_MARKS_LOST, /* of the data directory: all was checked */
	PST_RECOVERY_CUT,        /* bytes from pos: a torn tail, never acknowledged */
	PST_RECOVERY_TRIMMED,    /* bytes from pos: zeros of a trim that was not finished */
	PST_RECOVERY_SET_ASIDE,  /* bytes from pos: damage, now in file */
	PST_RECOVERY_LEFT,       /* likewise, but there was no room: still in the segment */
	PST_RECOVERY_UNREADABLE, /* bytes from pos cannot be read; the segment is left as it is */
	PST_RECOVERY_REPEATED,   /* the segment repeats offsets: now in file */
	PST_RECOVERY_MISSING,    /* offsets first_offset to last_offset */
	PST_RECOVERY_INDEX_REBUILT, /* file */
	PST_RECOVERY_SEAL_MADE,     /* file: it was lost between the segment's end and its seal */
	PST_RECOVERY_SEAL_TORN,     /* file: set aside and made again */
	PST_RECOVERY_SEAL_DIFFERS,  /* file: the segment is not what was sealed; left as it is */
	PST_RECOVERY_SEALS_BEGIN,   /* the chain begins anew with the segment */
	PST_RECOVERY_KIND_CNT
};

struct pst_recovery_item {
	enum pst_recovery_kind kind;
	int64_t segment_base;
	uint64_t pos, bytes;
	int64_t first_offset, last_offset;
	char file[PST_SEGMENT_NAME_BYTES];
};
const char *pst_recovery_kind_name(enum pst_recovery_kind kind);
void pst_recovery_text(const struct pst_recovery_item *item, char *out, size_t cap);

#define PST_RECOVERY_ITEMS_MAX 16

/* What recovery found, said once at start for each partition. */
struct pst_recovery {
	int64_t next_offset;
	uint64_t checked_bytes;   /* of segments that had to be walked through */
	uint64_t cut_bytes;       /* torn tail removed */
	uint64_t set_aside_bytes; /* damage with valid batches behind it: renamed, never deleted */
	uint32_t segment_cnt;
	uint32_t index_rebuilt_cnt;
	bool clean;        /* nothing had to be scanned or mended */
	uint32_t item_cnt; /* also of those that found no room below */
	struct pst_recovery_item items[PST_RECOVERY_ITEMS_MAX];
};

/* Memory of an appender with so many buffers (0: the default) and partitions. */
uint64_t pst_appender_memory_bytes(uint32_t piece_cnt, uint32_t log_cnt);

/* Returns 0 or -1 with *diag: no memory, io_uring missing or forbidden (with the remedy). */
int pst_appender_create(
	const struct pst_appender_config *config, struct pst_appender **out, struct pst_diag *diag);

/* Adds a partition: creates or recovers its directory. Returns its index in the appender (0 ..),
 * or -1 with *diag. */
int pst_appender_add(struct pst_appender *app, const struct pst_log_config *config,
	struct pst_recovery *recovery, struct pst_diag *diag);

/* Several partitions of several appenders, recovered side by side. */
struct pst_log_add {
	struct pst_appender *app;
	struct pst_log_config config;
	/* The answer. */
	int log_idx;
	struct pst_recovery recovery;
};

struct pst_add_progress {
	uint64_t done_bytes, total_bytes; /* read of what has to be read */
	uint32_t done_cnt, total_cnt;     /* partitions */
	uint64_t elapsed_ns;
};

/* Control thread: as pst_appender_add for each, in this order, by up to thread_cnt threads (1 to
 * PST_ADD_THREADS_MAX). say (may be NULL) is called by the caller's thread about every second. All
 * or none: 0, or -1 with *diag of the first that failed. */
#define PST_ADD_THREADS_MAX 64
int pst_appender_add_all(struct pst_log_add *adds, uint32_t cnt, unsigned thread_cnt,
	void (*say)(void *arg, const struct pst_add_progress *progress), void *arg,
	struct pst_diag *diag);

/* Why a batch came back. */
enum pst_append_status {
	PST_APPEND_DURABLE,
	PST_APPEND_WRITE_FAILED, /* not stored: the log has failed, or is beyond a limit */
	PST_APPEND_SYNC_FAILED,  /* lost, but may reappear after recovery */
	PST_APPEND_DISK_FULL,    /* not stored: no space */
};

/* Hands over a sealed batch. The bytes are read until the batch is reported done; base offset and
 * epoch are patched into them. cookie comes back with the batch. Returns 0, or -EAGAIN: buffers
 * full, call poll and try again (nothing was taken). A batch that cannot be written is taken and
 * reported done with its status. */
int pst_append(struct pst_appender *app, int log_idx, uint8_t *batch, uint32_t len, void *cookie,
	uint64_t now_ns);

struct pst_append_done {
	void *cookie;
	enum pst_append_status status;
	int64_t base_offset; /* of DURABLE */
	uint64_t written_ns; /* of DURABLE: now_ns of the poll that saw its write complete */
};

/* Moves everything on: submits writes, reaps completions, starts and ends syncs, rolls, applies
 * retention (a step at a time), publishes. Fills up to cap batches that are done, in append order
 * per log. now_ns: wall clock. Returns their number. */
unsigned pst_appender_poll(
	struct pst_appender *app, uint64_t now_ns, struct pst_append_done *done, unsigned cap);

/* Whether nothing is buffered, in flight or unsynced: a writer may sleep. */
bool pst_appender_idle(const struct pst_appender *app);

/* Asks for a sync of everything now (drain); poll until idle. */
void pst_appender_flush(struct pst_appender *app);

/* Any thread: retention by age pauses, as after a forward step of the clock. */
void pst_appender_hold_retention(struct pst_appender *app, bool hold);

/* Closes the segments (truncate, final indexes, sync, clean mark) and frees. A log that has failed,
 * or is not idle, is left as a kill would leave it: what was not handed back as durable may be
 * there after the next start or not. Returns 0, -EBUSY for a log that was not idle, or -errno of
 * the first thing that could not be closed. */
int pst_appender_destroy(struct pst_appender *app);

/* For telemetry; written by the appender's thread, copied between two polls. */
struct pst_log_stats {
	int64_t next_offset, durable_offset, start_offset;
	uint64_t segment_cnt, log_bytes;                           /* kept now */
	uint64_t written_bytes, batch_cnt;                         /* since start */
	uint64_t write_failed_cnt, sync_failed_cnt, disk_full_cnt; /* batches */
	uint64_t retired_segment_cnt, retired_bytes;               /* gone from the disk */
	uint64_t full_retired_segment_cnt, full_retired_bytes;     /* of them, early: a full disk */
	uint64_t retire_failed_cnt; /* tries to remove one that failed; it is tried again */
	bool failed;                /* a sync failed: nothing is accepted any more */
};
struct pst_appender_stats {
	uint64_t write_cnt, write_bytes, sync_cnt;
	uint64_t in_flight_bytes, unsynced_bytes;
	bool direct; /* O_DIRECT in use */
	int last_errno;
};
void pst_appender_stats(const struct pst_appender *app, struct pst_appender_stats *out);
void pst_log_stats(const struct pst_appender *app, int log_idx, struct pst_log_stats *out);

#endif
