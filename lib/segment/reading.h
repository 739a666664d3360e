/* A partition being read: shared by reader and verify. Internal to lib/segment.
 *
 *   segments:   | closed        | closed     | being written      |
 *   readable:   |==============||===========||==========| durable end
 *
 * The durable end comes from the daemon's shared memory, if there is one; else from the marks on
 * disk; and where there are none (a copied directory), from reading the last segment: it ends where
 * the good batches end. */
#ifndef PST_READING_H
#define PST_READING_H

#include "segment/durable.h"
#include "segment/scan.h"

enum pst_end_source {
	PST_END_LIVE,
	PST_END_MARK,
	PST_END_CLEAN, /* a mark of a log that was closed: nothing lies behind it */
	PST_END_SCAN,
};

struct pst_reading {
	struct pst_disk *disk;
	int top, dir; /* data directory, partition */
	char name[PST_LOG_DIR_NAME_BYTES];
	struct pst_disk_stat top_stat;

	struct pst_live *live;
	int live_slot; /* -1: not there yet */
	uint64_t run_id;

	struct pst_durable end;
	enum pst_end_source source;
	uint64_t scanned_bytes; /* of the last segment when SCAN found its end */

	int64_t *bases; /* of the .log files, rising, as listed last */
	uint32_t base_cnt, base_cap;

	struct pst_scan scan;
};

/* Opens a data directory. 0 or -1 with *diag. */
int pst_reading_open_top(struct pst_disk *disk, const char *data_dir, struct pst_diag *diag);

/* Opens a partition below an open data directory, which stays the caller's. 0 or -errno. */
int pst_reading_open(struct pst_reading *r, struct pst_disk *disk, int top, const char *name);
void pst_reading_close(struct pst_reading *r);

/* Brings end up to date. 0 or -errno. */
int pst_reading_refresh(struct pst_reading *r);

/* Lists the segments anew. 0 or -errno. */
int pst_reading_list(struct pst_reading *r);

/* Index of the last segment with a base of at most offset; -1: none. */
int pst_reading_segment_of(const struct pst_reading *r, int64_t offset);

/* Opens a segment's file for reading; -errno. */
int pst_reading_file(const struct pst_reading *r, int64_t base, enum pst_segment_file kind);

/* Readable bytes of a segment: 0 beyond the durable end. */
int pst_reading_limit(const struct pst_reading *r, int64_t base, int file, uint64_t *limit);

/* ---- reading_find.c: places in a segment; file is its .log, limit its readable bytes ---- */

enum pst_find_result {
	PST_FIND_AT,     /* scan.pos: of the batch that holds the offset */
	PST_FIND_BEHIND, /* the segment ends before the offset */
	PST_FIND_BAD,    /* scan.batch_pos: the damage that the offset lies in, scan.verdict */
	PST_FIND_IO,
};
/* By the index, checked by reading, and from there from batch to batch. *expected: the offset that
 * follows at scan.pos. */
enum pst_find_result pst_reading_find(struct pst_reading *r, int64_t base, int file, uint64_t limit,
	int64_t offset, int64_t *expected);

/* Behind damage: the first good batch from pos with a base offset of at least min_offset. Its
 * offset, which no CRC covers, must agree with what follows it. scan.pos is then where it is, and
 * scan.info.base_offset its offset. */
enum pst_scan_found pst_reading_resync(
	struct pst_reading *r, int64_t base, uint64_t pos, int64_t min_offset);

/* Largest timestamp of a segment. 0; -EBADMSG: damage; -errno. */
int pst_reading_max_ts(
	struct pst_reading *r, int64_t base, int file, uint64_t limit, int64_t *max_ts_ms);

/* Position from where batches with a timestamp of ts_ms or later may lie: by the time index,
 * checked by reading. */
int pst_reading_find_ts(struct pst_reading *r, int64_t base, int file, uint64_t limit,
	int64_t ts_ms, uint64_t *pos);

/* First offset in the segment with a timestamp of ts_ms or later; INT64_MAX: none; -1: damage. */
int64_t pst_reading_offset_at(struct pst_reading *r, int64_t base,
	struct pst_batch_decoder *decoder, int64_t timestamp_ms);

#endif
