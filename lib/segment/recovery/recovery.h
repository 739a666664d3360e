/* What a partition's directory is brought back to before it is written again. Internal.
 *
 *   segments:  | closed | closed | closed | last |
 *                                    ^ the durable mark: from here on everything is checked
 *
 *   at the first bad byte of a segment                            what is done
 *   zeros, and the next segment's base follows                    unfinished trim: cut
 *   zeros or a torn batch at the end of the last one,
 *     behind the mark, no good batch behind it                    cut
 *   below the mark; good batches behind it; in a closed segment   tail set aside, then cut
 *
 * A segment that cannot be read to its end is left as it is, and the log goes on in a new one,
 * behind every offset that it may hold.
 *
 * If the mark promises offsets that are not there, the log goes on behind them in a new segment: an
 * offset that was acknowledged is never given to another event. A segment that was set aside whole
 * says by its name that those before its base were given away: retention may have removed them, and
 * the power may go before the segment that takes its place is on disk. Each step leaves a directory
 * that the next recovery brings to the same end. */
#ifndef PST_RECOVERY_H
#define PST_RECOVERY_H

#include "segment/log.h"
#include "segment/scan.h"

struct pst_found_segment {
	int64_t base_offset;
	bool has[PST_SEGMENT_FILE_CNT];
	uint64_t bytes;    /* of the .log */
	int64_t max_ts_ms; /* -1: not scanned */
	int error;         /* -errno: not even its size is known; 0 */
};

/* Of all partitions that are recovered together: their threads write, one other thread reads. */
struct pst_recover_progress {
	_Atomic uint64_t total_bytes, done_bytes;
	_Atomic uint32_t done_cnt; /* partitions */
};

struct pst_recover {
	struct pst_log *log;
	struct pst_disk *disk;
	const struct pst_mark *mark; /* NULL: unknown */
	struct pst_recovery *report;
	struct pst_recover_progress *progress;
	bool closed_cleanly;
	bool unreadable; /* a read of the segment looked at last failed: the call's -errno is it */

	struct pst_found_segment *segments; /* by base offset, each with a .log */
	uint32_t cnt, cap;
	uint32_t leftover_cnt; /* indexes without a log, unfinished copies: removed */
	int64_t aside_base;    /* of the last segment that was ever set aside; 0: none */

	struct pst_scan scan;
	struct pst_segment_scan seg; /* of the segment scanned last */
	uint64_t data_end;           /* of that one: but for zeros reserved behind it */

	/* recovery_seal.c; log->seal is of the segment scanned last. */
	bool chained; /* link is what the next segment starts with; else not known */
	struct pst_link link;
	uint64_t seal_from;  /* of this segment: the chain is known up to here */
	bool unsealed;       /* this segment gets no seal: damage, or no link before it */
	bool closed_seal;    /* its own seal says that nothing follows */
	bool chained_before; /* chained and link, before this segment */
	struct pst_link link_before;
};

/* recovery.c. What is above closed_cleanly is set; the rest is 0. begin looks at the directory and
 * adds what has to be read to the progress; run fills the log, ready to append; end in any case.
 * Different partitions may be recovered by different threads. 0 or -1 with *diag. */
int pst_recover_begin(struct pst_recover *r, struct pst_diag *diag);
int pst_recover_run(struct pst_recover *r, struct pst_diag *diag);
void pst_recover_end(struct pst_recover *r);

/* recovery_list.c: reads the directory, removes leftovers, keeps segments in order. 0 or -errno. */
int pst_recover_list(struct pst_recover *r);

/* recovery_index.c: compares a segment's indexes with the images of r->seg (final: with the entry
 * that closing adds) and writes them anew if they differ. 0 or -errno. */
int pst_recover_indexes(struct pst_recover *r, struct pst_found_segment *segment, bool final);
/* Makes missing or misshapen indexes of a closed segment. 0 or -errno. */
int pst_recover_closed_indexes(struct pst_recover *r, uint32_t i);

/* recovery_seal.c: each 0 or -errno, and nothing where the log is not sealed. Of segments that are
 * checked: before with the first one; then begin before it is scanned, end when it was mended, and
 * close if nothing may be appended to it, or keep if it cannot be read. Of one below: closed_seal
 * makes a seal that is missing.
 * At last clean (-EBADMSG: damage, check everything), or new, or neither; and go_on. */
int pst_recover_seal_before(struct pst_recover *r, uint32_t i);
int pst_recover_seal_begin(struct pst_recover *r, uint32_t i);
int pst_recover_seal_end(struct pst_recover *r, uint32_t i);
int pst_recover_seal_close(struct pst_recover *r, uint32_t i);
int pst_recover_closed_seal(struct pst_recover *r, uint32_t i);
int pst_recover_seal_clean(struct pst_recover *r);
int pst_recover_seal_keep(struct pst_recover *r, uint32_t i);
void pst_recover_seal_new(struct pst_recover *r, int64_t base);
/* The log goes on with the segment of log->seal. open before that, if there are batches in it: it
 * was sealed by a roll of which no more was left. 0 or -errno. */
void pst_recover_seal_go_on(struct pst_recover *r);
int pst_recover_seal_open(struct pst_recover *r);

/* recovery_segment.c: checks segment i from the mark on and mends it. *sealed: nothing may be
 * appended to it; *gone: nothing is left of it. r->seg says how far it is good. 0 or -errno. If it
 * cannot be read (r->unreadable) it is reported, sealed, and not changed. */
int pst_recover_segment(struct pst_recover *r, uint32_t i, bool *sealed, bool *gone);
/* Segment i begins below the end of the one before it: it repeats offsets, and leaves the list. */
int pst_recover_overlap(struct pst_recover *r, uint32_t i);
int pst_recover_open(struct pst_recover *r, int64_t base, unsigned flags);
int pst_recover_remove(struct pst_recover *r, int64_t base, enum pst_segment_file first);
/* Notes whether rc, of a read of a segment, says that it is unreadable, and returns it. */
int pst_recover_read(struct pst_recover *r, int rc);
void pst_recover_unreadable(struct pst_recover *r, uint32_t i, uint64_t pos); /* reports it */
/* First offset that the last segment, which is unreadable, cannot hold. */
int64_t pst_recover_behind(struct pst_recover *r);
void pst_recover_forget(struct pst_recover *r, uint32_t i);

/* Adds to the report what there is room for; counts it in any case. */
void pst_recover_item(struct pst_recover *r, const struct pst_recovery_item *item);

/* set_aside.c: copies the file's bytes from pos to a file of their own, synced; or renames the
 * whole .log. The name is synced, and told in name. 0 or -errno. */
int pst_set_aside_tail(struct pst_disk *disk, int dir, int64_t base, int file, uint64_t pos,
	uint64_t bytes, char name[PST_SEGMENT_NAME_BYTES]);
int pst_set_aside_all(struct pst_disk *disk, int dir, int64_t base, int file, uint64_t bytes,
	char name[PST_SEGMENT_NAME_BYTES]);
/* Whether all of the file from pos on can be read: 0 or -errno. */
int pst_set_aside_possible(struct pst_disk *disk, int file, uint64_t pos, uint64_t bytes);

#endif
