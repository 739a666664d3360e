#include "segment/recovery/recovery.h"

#include <errno.h>
#include <stdlib.h>

/* The first segment that may hold what was not durable when the mark was made. */
static uint32_t
first_to_check(const struct pst_recover *r)
{
	uint32_t i = r->cnt - 1;
	if (!r->mark)
		return 0;
	while (i > 0 && r->segments[i].base_offset > r->mark->end.segment_base)
		i--;
	return i;
}

/* Below it offsets were given to events, be they there or not. */
static int64_t
given_away(const struct pst_recover *r)
{
	int64_t next = r->mark ? r->mark->end.next_offset : 0;
	return r->aside_base > next ? r->aside_base : next;
}

static void
missing(struct pst_recover *r, int64_t from, int64_t to)
{
	pst_recover_item(r,
		&(struct pst_recovery_item){
			.kind = PST_RECOVERY_MISSING, .first_offset = from, .last_offset = to - 1});
}

/* Makes the segment that the log goes on with: behind all that was promised. */
static int
begin_segment(struct pst_recover *r, int64_t base)
{
	struct pst_log *log = r->log;
	log->cur->base_offset = base;
	int rc = pst_segment_create(log, log->cur);
	if (rc == 0) {
		log->durable = (struct pst_durable){.next_offset = base, .segment_base = base};
		pst_recover_seal_new(r, base);
		pst_recover_seal_go_on(r);
	}
	return rc;
}

/* Opens the last segment to go on with it. */
static int
continue_segment(struct pst_recover *r, const struct pst_found_segment *segment,
	int64_t next_offset, const struct pst_index_state *index, uint32_t index_cnt,
	uint32_t timeindex_cnt, int64_t first_ts_ms)
{
	struct pst_log *log = r->log;
	struct pst_log_segment *cur = log->cur;
	struct pst_disk *disk = r->disk;
	uint64_t rest = segment->bytes % PST_BLOCK_BYTES;
	char name[PST_SEGMENT_NAME_BYTES];
	int rc = pst_recover_seal_open(r);
	if (rc < 0)
		return rc;
	/* Read through the page cache: a direct read would have to be aligned at the file's end. */
	int file = pst_recover_read(r, pst_recover_open(r, segment->base_offset, 0));
	if (file < 0)
		return file;
	int64_t n = disk->ops->read(disk, file, log->durable_block, rest, segment->bytes - rest);
	disk->ops->close(disk, file);
	if (n != (int64_t)rest)
		return pst_recover_read(r, n < 0 ? (int)n : -EIO);
	*cur = (struct pst_log_segment){
		.base_offset = segment->base_offset,
		.end = segment->bytes,
		.want = segment->bytes,
		.allocated = segment->bytes,
		.first_ns = first_ts_ms > 0 ? (uint64_t)first_ts_ms * 1000000 : segment->bytes > 0,
		.index_state = *index,
		.index.bytes = index_cnt * sizeof(struct pst_index_entry),
		.timeindex.bytes = timeindex_cnt * sizeof(struct pst_time_entry),
	};
	cur->file = pst_segment_open_log(log, segment->base_offset, 0);
	if (cur->file < 0)
		return cur->file;
	pst_segment_name(name, segment->base_offset, PST_SEGMENT_INDEX);
	cur->index.file = disk->ops->open(disk, log->dir, name, PST_DISK_WRITE);
	pst_segment_name(name, segment->base_offset, PST_SEGMENT_TIMEINDEX);
	cur->timeindex.file = disk->ops->open(disk, log->dir, name, PST_DISK_WRITE);
	rc = cur->index.file < 0 ? cur->index.file : cur->timeindex.file;
	if (rc >= 0)
		rc = disk->ops->truncate(disk, cur->timeindex.file, cur->timeindex.bytes);
	if (rc < 0) {
		disk->ops->close(disk, cur->file);
		if (cur->index.file >= 0)
			disk->ops->close(disk, cur->index.file);
		if (cur->timeindex.file >= 0)
			disk->ops->close(disk, cur->timeindex.file);
		return rc;
	}
	cur->open = true;
	log->durable = (struct pst_durable){
		.next_offset = next_offset,
		.segment_base = segment->base_offset,
		.segment_bytes = segment->bytes,
	};
	pst_recover_seal_go_on(r);
	return 0;
}

/* The last segment's end cannot be read: the log goes on behind it. */
static int
leave_end(struct pst_recover *r, int64_t next_offset)
{
	uint64_t bytes = r->segments[r->cnt - 1].bytes;
	pst_recover_unreadable(r, r->cnt - 1, bytes - bytes % PST_BLOCK_BYTES);
	r->chained = false;
	int rc = pst_recover_seal_keep(r, r->cnt - 1);
	return rc < 0 ? rc : begin_segment(r, next_offset);
}

static int
open_dir(struct pst_recover *r)
{
	struct pst_log *log = r->log;
	struct pst_disk *disk = r->disk;
	int top = log->app->dir->fd;
	log->dir = disk->ops->open(disk, top, log->name, PST_DISK_DIR);
	if (log->dir != -ENOENT)
		return log->dir;
	int rc = disk->ops->mkdir(disk, top, log->name);
	if (rc == 0)
		rc = log->dir = disk->ops->open(disk, top, log->name, PST_DISK_DIR);
	return rc;
}

static bool
index_has(struct pst_recover *r, int64_t base, enum pst_segment_file kind, uint64_t bytes,
	uint64_t or_bytes)
{
	struct pst_disk_stat st;
	char name[PST_SEGMENT_NAME_BYTES];
	pst_segment_name(name, base, kind);
	int file = r->disk->ops->open(r->disk, r->log->dir, name, 0);
	if (file < 0)
		return false;
	int rc = r->disk->ops->stat(r->disk, file, &st);
	r->disk->ops->close(r->disk, file);
	return rc == 0 && (st.bytes == bytes || st.bytes == or_bytes);
}

/* Whether the last run closed the log, and its files are as it left them. */
static bool
closed_cleanly(struct pst_recover *r)
{
	const struct pst_mark *mark = r->mark;
	if (!mark || !mark->clean || r->cnt == 0)
		return false;
	const struct pst_found_segment *last = &r->segments[r->cnt - 1];
	uint64_t time_bytes = mark->timeindex_cnt * sizeof(struct pst_time_entry);
	uint64_t index_bytes = mark->index_cnt * sizeof(struct pst_index_entry);
	return last->base_offset == mark->end.segment_base &&
	       last->bytes == mark->end.segment_bytes &&
	       index_has(r, last->base_offset, PST_SEGMENT_INDEX, index_bytes, index_bytes) &&
	       index_has(r, last->base_offset, PST_SEGMENT_TIMEINDEX, time_bytes,
		       time_bytes + sizeof(struct pst_time_entry));
}

static int continue_checked(struct pst_recover *r);

static int
continue_clean(struct pst_recover *r)
{
	const struct pst_found_segment *last = &r->segments[r->cnt - 1];
	for (uint32_t i = 0; i + 1 < r->cnt; i++) {
		int rc = pst_recover_closed_indexes(r, i);
		if (rc == 0)
			rc = pst_recover_closed_seal(r, i);
		if (rc < 0)
			return rc;
	}
	int rc = pst_recover_seal_clean(r);
	if (rc == -EBADMSG || r->unreadable)
		return continue_checked(r);
	if (rc < 0)
		return rc;
	/* Its age counts from its first batch. */
	int file = pst_recover_read(r, pst_recover_open(r, last->base_offset, 0));
	if (file < 0)
		return r->unreadable ? continue_checked(r) : file;
	pst_scan_start(&r->scan, file, 0, last->bytes);
	int64_t first_ts_ms = pst_scan_next(&r->scan, false) == PST_SCAN_BATCH
				      ? r->scan.info.base_timestamp_ms
				      : 0;
	r->disk->ops->close(r->disk, file);
	rc = continue_segment(r, last, r->mark->end.next_offset, &r->mark->index,
		r->mark->index_cnt, r->mark->timeindex_cnt, first_ts_ms);
	if (rc < 0 && r->unreadable)
		rc = leave_end(r, r->mark->end.next_offset);
	r->report->clean = r->report->item_cnt == 0 && r->report->index_rebuilt_cnt == 0 &&
			   r->leftover_cnt == 0;
	return rc;
}

/* Checks all segments from the mark on. *next: the offset that the log goes on with; *open: the
 * last segment ends there and can be appended to. */
static int
check_segments(struct pst_recover *r, int64_t *next, bool *open)
{
	uint32_t i = first_to_check(r);
	int64_t expected = -1;
	bool sealed = false, gone = false, unreadable = false;
	for (uint32_t c = 0; c < i; c++) {
		int rc = pst_recover_closed_indexes(r, c);
		if (rc == 0)
			rc = pst_recover_closed_seal(r, c);
		if (rc < 0)
			return rc;
	}
	int before = pst_recover_seal_before(r, i);
	if (before < 0)
		return before;
	*next = given_away(r);
	while (i < r->cnt) {
		int64_t base = r->segments[i].base_offset;
		if (expected >= 0 && base < expected) {
			int rc = pst_recover_overlap(r, i);
			if (rc < 0)
				return rc;
			continue;
		}
		if (expected >= 0 && base > expected && !unreadable)
			missing(r, expected, base);
		int rc = pst_recover_segment(r, i, &sealed, &gone);
		if (rc < 0)
			return rc;
		expected = gone ? base : r->seg.next_offset;
		unreadable = r->unreadable;
		if (gone)
			pst_recover_forget(r, i);
		else
			i++;
	}
	if (unreadable)
		expected = pst_recover_behind(r);
	if (expected > *next)
		*next = expected;
	*open = r->cnt > 0 && !sealed && !gone && !r->unsealed && *next == expected;
	return 0;
}

/* The last segment ends below what was promised, or must be left alone: it is closed now. */
static int
close_last(struct pst_recover *r, int64_t next)
{
	struct pst_found_segment *last = &r->segments[r->cnt - 1];
	if (last->max_ts_ms < 0 && (last->bytes > 0 || last->error))
		return 0; /* not looked at: closed long ago; or it cannot be read */
	if (r->seg.base_offset != last->base_offset)
		return 0;
	if (last->bytes > 0) {
		if (next > r->seg.next_offset)
			missing(r, r->seg.next_offset, next);
		int rc = pst_recover_indexes(r, last, true);
		return rc < 0 ? rc : pst_recover_seal_close(r, r->cnt - 1);
	}
	int rc = pst_recover_remove(r, last->base_offset, PST_SEGMENT_LOG);
	if (rc == 0)
		pst_recover_forget(r, r->cnt - 1);
	return rc;
}

static int
continue_checked(struct pst_recover *r)
{
	int64_t next;
	bool open;
	int rc = check_segments(r, &next, &open);
	if (rc < 0)
		return rc;
	if (open) {
		rc = continue_segment(r, &r->segments[r->cnt - 1], next, &r->seg.index,
			(uint32_t)(r->seg.index_image.len / sizeof(struct pst_index_entry)),
			(uint32_t)(r->seg.time_image.len / sizeof(struct pst_time_entry)),
			r->seg.first_ts_ms);
		if (rc < 0 && r->unreadable)
			rc = leave_end(r, next);
	} else {
		if (r->cnt > 0)
			rc = close_last(r, next);
		if (rc == 0)
			rc = begin_segment(r, next);
	}
	return rc;
}

/* What of it has to be read. */
static uint64_t
bytes_to_check(struct pst_recover *r)
{
	uint64_t bytes = 0;
	r->closed_cleanly = closed_cleanly(r);
	if (r->cnt == 0 || r->closed_cleanly)
		return 0;
	for (uint32_t i = first_to_check(r); i < r->cnt; i++)
		bytes += r->segments[i].bytes;
	return bytes;
}

static int
look(struct pst_recover *r)
{
	int rc = open_dir(r);
	if (rc >= 0)
		rc = pst_recover_list(r);
	if (rc < 0)
		return rc;
	if (r->log->app->dir->marks_lost)
		pst_recover_item(r, &(struct pst_recovery_item){.kind = PST_RECOVERY_MARKS_LOST});
	atomic_fetch_add_explicit(
		&r->progress->total_bytes, bytes_to_check(r), memory_order_relaxed);
	return 0;
}

static int
mend(struct pst_recover *r)
{
	int rc;
	bool empty = r->cnt == 0;
	if (empty) {
		int64_t next = given_away(r);
		/* The partition's own name, before anything is in it: it may be another run's. */
		rc = r->disk->ops->sync(r->disk, r->log->app->dir->fd);
		if (rc < 0)
			return rc;
		if (next > 0)
			missing(r, 0, next);
		rc = begin_segment(r, next);
		r->report->clean = next == 0;
	} else if (r->closed_cleanly) {
		rc = continue_clean(r);
	} else {
		rc = continue_checked(r);
	}
	/* Names that were made, changed or removed: before anything is published. */
	if (rc == 0 && (empty || !r->report->clean))
		rc = r->disk->ops->sync(r->disk, r->log->dir);
	if (rc < 0 && r->log->cur->open)
		pst_log_close_files(r->log);
	return rc;
}

/* Everything but the segment that the log goes on with is closed. */
static bool
list_closed(struct pst_recover *r)
{
	for (uint32_t i = 0; i < r->cnt; i++) {
		const struct pst_found_segment *segment = &r->segments[i];
		if (segment->base_offset == r->log->cur->base_offset)
			continue;
		if (!pst_closed_reserve(r->log))
			return false;
		pst_closed_add(r->log, segment->base_offset, segment->bytes, segment->max_ts_ms);
	}
	return true;
}

static const char *
remedy(int err)
{
	switch (err) {
	case ENOSPC:
	case EDQUOT:
		return "free some space in the data directory's filesystem";
	case EMFILE:
	case ENFILE:
		return "raise the limit of open files (ulimit -n, LimitNOFILE=)";
	case EACCES:
	case EPERM:
		return "give the partition's directory and files to penstock's user";
	case ELOOP:
		return "symbolic links are not followed: put the directory itself here";
	case EISDIR:
	case ENXIO:
		return "something in the partition's directory has the name of a segment's file "
		       "and "
		       "is none (ls -l): take it away";
	case EIO:
		return "look for errors of the drive in the kernel's log (dmesg)";
	default:
		return NULL;
	}
}

static int
fail(const struct pst_recover *r, int rc, struct pst_diag *diag)
{
	return pst_diag_set(diag, r->log->name, 0, NULL, remedy(-rc),
		"the partition cannot be recovered: %s", strerror(-rc));
}

int
pst_recover_begin(struct pst_recover *r, struct pst_diag *diag)
{
	int rc = look(r);
	return rc < 0 ? fail(r, rc, diag) : 0;
}

int
pst_recover_run(struct pst_recover *r, struct pst_diag *diag)
{
	struct pst_log *log = r->log;
	r->seg.walked_bytes = &r->progress->done_bytes;
	int rc = pst_scan_init(&r->scan, r->disk);
	if (rc == 0)
		rc = mend(r);
	if (rc == 0 && !list_closed(r)) {
		pst_log_close_files(log);
		rc = -ENOMEM;
	}
	log->next_offset = log->durable.next_offset;
	r->report->next_offset = log->next_offset;
	r->report->segment_cnt = log->closed_cnt + 1;
	pst_scan_fini(&r->scan);
	pst_segment_scan_fini(&r->seg);
	return rc < 0 ? fail(r, rc, diag) : 0;
}

void
pst_recover_end(struct pst_recover *r)
{
	free(r->segments);
}
