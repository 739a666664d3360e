/* One partition being written, and its appender. Internal to lib/segment.
 *
 *   append ──copy──▶ pieces of the current segment ──write──▶ file ──fdatasync──▶ durable
 *
 *   | piece            | piece            | piece     .... |      1 MiB each, of the appender's
 * pool |  done            |  in flight       |  being filled  |      one write in flight a piece ^
 * a flush writes the part-filled last block from the piece's own copy of it, padded with zeros
 *
 * Pieces of a segment lie behind each other and share no block, and a piece has one write in flight
 * at most: so no two writes to a block are ever in flight. A piece begins with the bytes of the
 * block that the durable end lies in, when the pieces before it are gone.
 *
 * A batch is pending from append until its segment is synced past its end. Offsets are given at
 * append; when a write fails, all pending batches fail together, and the log goes on from its
 * durable end with the same offsets.
 *
 * A roll goes on in steps while batches for the next segment are already taken into pieces: they
 * are written when the old segment is complete, synced, and the new one's name is synced. */
#ifndef PST_LOG_INTERNAL_H
#define PST_LOG_INTERNAL_H

#include "segment/appender.h"
#include "segment/dir.h"
#include "segment/seal.h"

#define PST_PIECE_BYTES     (1024u * 1024)
#define PST_PIECE_CNT       32   /* default of an appender */
#define PST_PENDING_CNT     8192 /* batches pending or done in an appender */
#define PST_QUEUE_DEPTH     256  /* requests in flight */
#define PST_INDEX_BUF_BYTES 3072 /* a whole number of entries of either kind */
#define PST_HOUSEKEEPING_NS 100000000u
/* How long a write that found no space waits for a checkpoint to pass a segment that is closed: the
 * control thread makes one several times a second, unless it cannot. Less than a stop has time. */
#define PST_MARK_WAIT_NS UINT64_C(2000000000)
/* When a segment that could not be removed is tried again; then after twice as long each time, so
 * that writes on a full disk, which wait for each try, do not wait for ever where many fail. */
#define PST_RETIRE_RETRY_NS     UINT64_C(1000000000)
#define PST_RETIRE_RETRY_MAX_NS UINT64_C(64000000000)
static_assert(PST_BATCH_WIRE_BYTES_MAX <= PST_PIECE_BYTES - PST_BLOCK_BYTES,
	"a batch touches two pieces at most");

enum pst_io_kind {
	PST_IO_WRITE,
	PST_IO_SYNC,
	PST_IO_INDEX_SYNC,
	PST_IO_SEAL_SYNC,
	PST_IO_DIR_SYNC,
	PST_IO_UNLINK,
};

struct pst_io {
	enum pst_io_kind kind;
	struct pst_log *log;
	struct pst_piece *piece; /* of a write */
};

struct pst_piece {
	struct pst_io io;
	struct pst_piece *next;
	uint8_t *buf;    /* PST_PIECE_BYTES */
	uint8_t *block;  /* PST_BLOCK_BYTES: the part-filled last block of the write in flight */
	uint64_t pos;    /* in the file, of buf[0]; a multiple of PST_BLOCK_BYTES */
	uint32_t used;   /* bytes filled */
	uint32_t done;   /* bytes that completed writes cover */
	uint32_t issued; /* bytes that issued writes cover */
	bool in_flight;
	bool again; /* the rest of a short write, to be queued when there is room */
	uint8_t iov_cnt;
	struct iovec iov[2]; /* what is left to be written */
	uint64_t iov_pos;
};

struct pst_pending {
	struct pst_pending *next;
	void *cookie;
	const struct pst_log_segment *segment; /* NULL: refused, nothing was copied */
	uint64_t pos, end;                     /* in it */
	int64_t base_offset, last_offset, max_ts_ms;
	uint64_t written_ns;  /* when its write was seen complete; 0: not yet */
	struct pst_link link; /* of the chain, behind it */
	enum pst_append_status status;
};

struct pst_pending_list {
	struct pst_pending *first, *last;
};

struct pst_index_file {
	int file;
	bool broken; /* a write failed: the file is removed and rebuilt at the next start */
	bool removed;
	uint64_t bytes;
	uint32_t buffered;
	uint8_t buf[PST_INDEX_BUF_BYTES];
};

struct pst_log_segment {
	int64_t base_offset;
	bool open; /* its files are there */
	int file;
	uint64_t end;       /* of the last batch taken */
	uint64_t want;      /* to be written now, also from a part-filled piece */
	uint64_t issued;    /* handed to the disk up to here, whatever became of it */
	uint64_t allocated; /* blocks are reserved up to here */
	uint64_t first_ns;  /* when its first batch came; 0: empty, or not known yet */
	struct pst_piece *first, *last;
	struct pst_index_file index, timeindex;
	struct pst_index_state index_state; /* after all durable batches */
};

enum pst_roll {
	PST_ROLL_NONE,
	PST_ROLL_WRITE,  /* old: writes complete */
	PST_ROLL_SYNC,   /* old: truncated, sync in flight */
	PST_ROLL_INDEX,  /* old: indexes to be completed, their syncs asked for */
	PST_ROLL_CREATE, /* new: files to be made */
	PST_ROLL_DIR,    /* new: names to be synced */
	PST_ROLL_DIR_SYNC,
	PST_ROLL_END, /* the last syncs of the old one's indexes */
};

enum pst_retire {
	PST_RETIRE_NONE,
	PST_RETIRE_LOG,     /* its .log to be removed */
	PST_RETIRE_INDEXES, /* and its other files */
	PST_RETIRE_DIR,     /* their names to be synced */
	PST_RETIRE_DIR_SYNC,
};

enum pst_repair {
	PST_REPAIR_NONE,
	PST_REPAIR_DRAIN, /* a write failed: what is in flight has to end */
	PST_REPAIR_CUT,   /* truncated back to the durable end, sync to be queued */
	PST_REPAIR_SYNC,
};

struct pst_closed_segment {
	int64_t base_offset;
	uint64_t bytes;
	int64_t max_ts_ms; /* -1: not known yet */
};

struct pst_log {
	struct pst_appender *app;
	struct pst_log *next_active;
	bool active;
	char name[PST_LOG_DIR_NAME_BYTES];
	int slot; /* in the data directory's marks */
	int dir;
	uint64_t segment_bytes_max, segment_age_max_ns, retain_bytes, retain_age_ns;
	bool uses_reserve;

	struct pst_log_segment segments[2];
	struct pst_log_segment *cur; /* takes batches */
	struct pst_log_segment *old; /* being closed; NULL: none */
	enum pst_roll roll;
	unsigned index_queued_cnt, index_sync_cnt; /* syncs asked for; in flight */
	bool create_failed; /* the new segment's files: tried again with the next batch */

	int64_t next_offset;
	/* The chain: behind the last batch taken; and the seal of the segment that has the durable
	 * end, up to there. */
	bool sealing;
	struct pst_link link;
	struct pst_seal seal;
	int seal_file;    /* of old, from its completion to the end of the roll; -1: none */
	bool seal_broken; /* its sync failed */
	struct pst_durable durable;
	struct pst_pending_list pending;
	struct pst_pending *unwritten; /* first pending one without written_ns */
	/* Bytes of the block in which the durable end lies, up to it; and the same of the end that
	 * the flush under way will make durable. */
	uint8_t *durable_block, *flush_block;

	bool syncing; /* the .log's */
	uint64_t sync_end;
	bool flush_again;
	bool dir_syncing;
	struct pst_io sync_io, index_io, seal_io, dir_io, unlink_io;
	unsigned write_cnt; /* in flight */

	enum pst_repair repair;
	int fail_errno;
	bool failed;

	struct pst_closed_segment *closed;             /* oldest first */
	uint32_t closed_first, closed_cnt, closed_cap; /* closed[first] .. closed[cnt - 1] */
	uint64_t closed_bytes;
	uint64_t closed_ns; /* when the last of them was closed, in this run */
	/* Files of the oldest one that are still to be removed, or are being removed; then the
	 * directory is synced. */
	char retire_names[PST_SEGMENT_FILE_CNT][PST_SEGMENT_NAME_BYTES];
	unsigned retire_queued_cnt, retire_ended_cnt; /* of its files */
	enum pst_retire retire;
	bool retire_early;                          /* to make room on a full disk */
	uint64_t retire_failed_ns, retire_retry_ns; /* the oldest stays; 0: it did not fail */

	bool room_wait; /* a write found no space, and is to be repeated when there is room */
	uint64_t room_seen;

	struct pst_log_stats stats; /* counters only; the rest is filled in on request */
};

struct pst_appender {
	struct pst_datadir *dir;
	struct pst_disk *disk;
	struct pst_disk_queue *queue;
	uint64_t flush_bytes, flush_age_ns;
	unsigned number; /* among the directory's appenders */

	struct pst_log **logs;
	uint32_t log_cnt;
	struct pst_log *active; /* logs with something to do */

	uint8_t *piece_memory;
	uint64_t piece_memory_bytes;
	struct pst_piece *pieces, *free_pieces;
	uint32_t piece_cnt, free_piece_cnt;
	struct pst_pending *pending_nodes, *free_pending;
	struct pst_pending_list done;

	/* Since the last flush turn. */
	uint64_t unflushed_bytes, unflushed_since_ns;
	bool flush_asked;

	uint64_t now_ns, housekeeping_ns;
	_Atomic bool hold_retention; /* control thread writes */
	struct pst_appender_stats stats;
};

/* appender.c: NULL: no memory */
struct pst_log *pst_log_new(struct pst_appender *app, const struct pst_log_config *config);
void pst_log_free(struct pst_log *log);

/* log.c */
int pst_log_append(
	struct pst_log *log, const uint8_t *batch, const struct pst_batch_info *info, void *cookie);
void pst_log_drive(struct pst_log *log);
void pst_log_flush(struct pst_log *log);
bool pst_log_busy(const struct pst_log *log);
void pst_log_activate(struct pst_log *log);
void pst_log_write_done(struct pst_piece *piece, int64_t result);
void pst_log_sync_done(struct pst_log *log, int64_t result);
void pst_log_finish(struct pst_log *log, struct pst_pending *node, enum pst_append_status status);
void pst_log_publish(struct pst_log *log);

/* piece.c: the pieces of a segment */
void pst_piece_remove(
	struct pst_appender *app, struct pst_log_segment *segment, struct pst_piece *piece);
uint64_t pst_piece_left(const struct pst_piece *piece);
void pst_pieces_free(struct pst_appender *app, struct pst_log_segment *segment);
void pst_pieces_fill(
	struct pst_log *log, struct pst_log_segment *segment, const uint8_t *data, uint32_t len);
uint32_t pst_pieces_needed(const struct pst_log_segment *segment, uint32_t len);
void pst_pieces_write(struct pst_log *log, struct pst_log_segment *segment);
void pst_pieces_drop_rests(struct pst_log *log, struct pst_log_segment *segment);
uint64_t pst_pieces_written(const struct pst_log_segment *segment);

/* index.c: index files of a segment being written */
int pst_index_create(struct pst_log *log, struct pst_log_segment *segment);
void pst_index_publish(
	struct pst_log *log, struct pst_log_segment *segment, const struct pst_pending *batch);
void pst_index_flush(struct pst_log *log, struct pst_log_segment *segment);
void pst_index_complete(struct pst_log *log, struct pst_log_segment *segment);
bool pst_index_remove_broken(struct pst_log *log, struct pst_log_segment *segment);
void pst_index_close(struct pst_log *log, struct pst_log_segment *segment);

/* sealing.c: the chain of a log being written */
void pst_sealing_append(struct pst_log *log, struct pst_pending *node, const uint8_t *batch);
void pst_sealing_publish(struct pst_log *log, const struct pst_pending *node);
void pst_sealing_back(struct pst_log *log);
void pst_sealing_complete(struct pst_log *log);
void pst_sealing_end(struct pst_log *log);
void pst_sealing_close(struct pst_log *log);

/* roll.c */
bool pst_roll_due(const struct pst_log *log, const struct pst_batch_info *info);
void pst_roll_begin(struct pst_log *log);
void pst_roll_drive(struct pst_log *log);
void pst_roll_abandon(struct pst_log *log);
void pst_roll_index_synced(struct pst_log *log, int64_t result);
void pst_roll_seal_synced(struct pst_log *log, int64_t result);
void pst_roll_dir_synced(struct pst_log *log, int64_t result);
int pst_segment_create(struct pst_log *log, struct pst_log_segment *segment);
int pst_segment_open_log(struct pst_log *log, int64_t base_offset, unsigned flags);
bool pst_closed_reserve(struct pst_log *log);
void pst_closed_add(struct pst_log *log, int64_t base_offset, uint64_t bytes, int64_t max_ts_ms);

/* failure.c */
bool pst_errno_passes(int err);
enum pst_append_status pst_errno_status(int err); /* of what was not written for it */
void pst_log_write_failed(struct pst_log *log, int err);
void pst_log_sync_failed(struct pst_log *log, int err);
void pst_log_create_failed(struct pst_log *log, int err);
void pst_log_give_up(struct pst_log *log);
void pst_repair_drive(struct pst_log *log);
void pst_repair_synced(struct pst_log *log, int64_t result);

/* space.c: a write of data, or the making of a segment, failed with err. True: the log waits for
 * room that retention makes, and then tries again. */
bool pst_room_wait(struct pst_log *log, int err);
/* Of a log that waits. True: try again now. *none: there will be no room. */
bool pst_room_came(struct pst_log *log, bool *none);
/* The disk is full, and nothing can be removed: no new batch is taken. */
bool pst_room_none(const struct pst_log *log);

/* close.c */
int pst_log_close(struct pst_log *log);
void pst_log_close_files(struct pst_log *log);

/* retention.c */
void pst_retention_drive(struct pst_log *log);
void pst_retention_unlinked(struct pst_log *log, int64_t result);
void pst_retention_dir_synced(struct pst_log *log);
void pst_retention_housekeeping(struct pst_appender *app);
void pst_retention_make_room(struct pst_appender *app); /* each poll */
void pst_retention_tell(struct pst_appender *app);      /* the other appenders, what may go */
void pst_retention_give_up(struct pst_log *log);        /* the log has failed */

#endif
