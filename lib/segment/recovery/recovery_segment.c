/* One segment checked and mended. */
#include <errno.h>
#include <string.h>

#include "segment/recovery/recovery.h"

int
pst_recover_open(struct pst_recover *r, int64_t base, unsigned flags)
{
	char name[PST_SEGMENT_NAME_BYTES];
	pst_segment_name(name, base, PST_SEGMENT_LOG);
	return r->disk->ops->open(r->disk, r->log->dir, name, flags);
}

int
pst_recover_read(struct pst_recover *r, int rc)
{
	if (rc < 0 && pst_errno_unreadable(-rc))
		r->unreadable = true;
	return rc;
}

void
pst_recover_unreadable(struct pst_recover *r, uint32_t i, uint64_t pos)
{
	const struct pst_found_segment *segment = &r->segments[i];
	pst_recover_item(r, &(struct pst_recovery_item){
				    .kind = PST_RECOVERY_UNREADABLE,
				    .segment_base = segment->base_offset,
				    .pos = pos,
				    .bytes = segment->bytes - pos,
			    });
}

int64_t
pst_recover_behind(struct pst_recover *r)
{
	const struct pst_found_segment *last = &r->segments[r->cnt - 1];
	const struct pst_mark *mark = r->mark;
	int64_t most = last->base_offset + PST_SEGMENT_OFFSETS_MAX + 1;
	if (!mark || mark->end.segment_base < last->base_offset)
		return most;
	int64_t next = mark->end.next_offset;
	if (mark->end.segment_base > last->base_offset || mark->clean)
		return next;
	/* What came after the mark may still be readable, and show where it ends. */
	int file = last->error ? last->error : pst_recover_open(r, last->base_offset, 0);
	if (file < 0)
		return most;
	struct pst_scan *scan = &r->scan;
	enum pst_scan_result result = PST_SCAN_END;
	pst_scan_start(scan, file, mark->end.segment_bytes, last->bytes);
	while ((result = pst_scan_next(scan, true)) == PST_SCAN_BATCH &&
		scan->info.base_offset == next)
		next = pst_batch_last_offset(&scan->info) + 1;
	if (result == PST_SCAN_BAD && pst_scan_find(scan, scan->batch_pos, next) == PST_FOUND_NONE)
		result = PST_SCAN_END; /* torn: nothing behind it was acknowledged */
	r->disk->ops->close(r->disk, file);
	return result == PST_SCAN_END ? next : most;
}

void
pst_recover_forget(struct pst_recover *r, uint32_t i)
{
	memmove(&r->segments[i], &r->segments[i + 1], (r->cnt - i - 1) * sizeof(*r->segments));
	r->cnt--;
}

int
pst_recover_remove(struct pst_recover *r, int64_t base, enum pst_segment_file first)
{
	for (int f = first; f < PST_SEGMENT_FILE_CNT; f++) {
		char name[PST_SEGMENT_NAME_BYTES];
		pst_segment_name(name, base, (enum pst_segment_file)f);
		int rc = r->disk->ops->unlink(r->disk, r->log->dir, name);
		if (rc < 0 && rc != -ENOENT)
			return rc;
	}
	return 0;
}

static int
truncate_synced(struct pst_recover *r, int file, struct pst_found_segment *segment, uint64_t bytes)
{
	int rc = r->disk->ops->truncate(r->disk, file, bytes);
	if (rc == 0)
		rc = r->disk->ops->sync(r->disk, file);
	if (rc == 0)
		segment->bytes = bytes;
	return rc;
}

/* Takes what lies behind the good batches out of the log and keeps it. 1: it had to be left where
 * it is, for lack of space; nothing more may then be appended to the segment. */
static int
set_aside(struct pst_recover *r, int file, struct pst_found_segment *segment)
{
	uint64_t pos = r->seg.good_bytes;
	struct pst_recovery_item item = {
		.kind = PST_RECOVERY_SET_ASIDE,
		.segment_base = segment->base_offset,
		.pos = pos,
		.bytes = segment->bytes - pos,
	};
	int rc = pst_recover_read(r, pst_set_aside_possible(r->disk, file, pos, segment->bytes));
	if (rc < 0)
		return rc;
	if (pos == 0) {
		rc = pst_set_aside_all(r->disk, r->log->dir, segment->base_offset, file,
			segment->bytes, item.file);
	} else {
		rc = pst_set_aside_tail(r->disk, r->log->dir, segment->base_offset, file, pos,
			segment->bytes, item.file);
		if (rc == 0)
			rc = truncate_synced(r, file, segment, pos);
	}
	if (rc < 0 && (pos == 0 || !pst_errno_passes(-rc)))
		return rc;
	if (rc < 0) {
		/* What is good before it may be in the drive's cache alone. */
		rc = r->disk->ops->sync(r->disk, file);
		if (rc < 0)
			return rc;
		item.kind = PST_RECOVERY_LEFT;
		item.file[0] = '\0';
		pst_recover_item(r, &item);
		return 1;
	}
	r->report->set_aside_bytes += item.bytes;
	pst_recover_item(r, &item);
	return 0;
}

enum tail {
	TAIL_PADDING, /* zeros: nothing was ever there */
	TAIL_CUT,
	TAIL_TRIM, /* zeros before a segment that goes on: a trim that was not finished */
	TAIL_DAMAGE,
};

/* What lies behind the good batches of r->seg; next: base of the segment behind it, -1 if last. */
static int
judge_tail(struct pst_recover *r, const struct pst_found_segment *segment, int64_t next,
	enum tail *out)
{
	const struct pst_mark *mark = r->mark;
	uint64_t pos = r->seg.good_bytes;
	bool promised = mark && mark->end.segment_base == segment->base_offset &&
			pos < mark->end.segment_bytes;
	int zeros = pst_scan_zeros(&r->scan, pos);
	if (zeros < 0)
		return pst_recover_read(r, zeros);
	*out = TAIL_DAMAGE;
	if (zeros) {
		if (next >= 0)
			*out = TAIL_TRIM;
		else if (!promised)
			*out = TAIL_PADDING;
		return 0;
	}
	if (next >= 0 || promised)
		return 0;
	switch (pst_scan_find(&r->scan, pos, r->seg.next_offset)) {
	case PST_FOUND_NONE:
		*out = TAIL_CUT;
		return 0;
	case PST_FOUND_IO:
		return pst_recover_read(r, r->scan.error);
	case PST_FOUND_BATCH:
	case PST_FOUND_TOO_MUCH:
		break;
	}
	return 0;
}

/* Deals with what is behind the good batches. 1: the segment must not be appended to. */
static int
mend_tail(struct pst_recover *r, int file, struct pst_found_segment *segment, int64_t next)
{
	enum tail tail;
	int rc = judge_tail(r, segment, next, &tail);
	if (rc < 0)
		return rc;
	if (tail == TAIL_DAMAGE)
		return set_aside(r, file, segment);
	uint64_t bytes = segment->bytes - r->seg.good_bytes;
	rc = truncate_synced(r, file, segment, r->seg.good_bytes);
	if (rc < 0)
		return rc;
	struct pst_recovery_item item = {
		.kind = tail == TAIL_CUT ? PST_RECOVERY_CUT : PST_RECOVERY_TRIMMED,
		.segment_base = segment->base_offset,
		.pos = r->seg.good_bytes,
		.bytes = tail == TAIL_CUT ? r->data_end - r->seg.good_bytes : bytes,
	};
	if (tail != TAIL_PADDING)
		pst_recover_item(r, &item);
	if (tail == TAIL_CUT)
		r->report->cut_bytes += item.bytes;
	return 0;
}

/* Zeros behind all that was promised at the end of a log are space reserved in advance: they are
 * not copied or reported; the file is cut there as all others are. But as many stay as the last
 * batch may end with. 0 or -errno. */
static int
leave_reserved(struct pst_recover *r, struct pst_found_segment *segment)
{
	const struct pst_mark *mark = r->mark;
	uint64_t from = r->seg.good_bytes;
	if (mark && mark->end.segment_base == segment->base_offset)
		from = pst_max_u64(from, mark->end.segment_bytes);
	if (from >= segment->bytes)
		return 0;
	int64_t end = pst_scan_data_end(&r->scan, from);
	if (end < 0)
		return pst_recover_read(r, (int)end);
	r->data_end = (uint64_t)end;
	segment->bytes = pst_min_u64(segment->bytes, r->data_end + PST_BATCH_WIRE_BYTES_MAX);
	r->scan.limit = segment->bytes;
	return 0;
}

static int
check_segment(struct pst_recover *r, uint32_t i, bool *sealed, bool *gone)
{
	struct pst_found_segment *segment = &r->segments[i];
	const struct pst_mark *mark = r->mark;
	int64_t next = i + 1 < r->cnt ? r->segments[i + 1].base_offset : -1;
	int file = segment->error ? segment->error
				  : pst_recover_open(r, segment->base_offset, PST_DISK_WRITE);
	if (file < 0)
		return pst_recover_read(r, file);
	pst_scan_start(&r->scan, file, 0, segment->bytes);
	r->seg.whole_from = mark && mark->end.segment_base == segment->base_offset
				    ? mark->end.segment_bytes
				    : 0;
	int begun = pst_recover_seal_begin(r, i);
	if (begun < 0) {
		r->disk->ops->close(r->disk, file);
		return begun;
	}
	int rc = pst_segment_scan_run(&r->seg, &r->scan);
	r->report->checked_bytes += segment->bytes;
	uint64_t behind_bytes = segment->bytes - r->seg.good_bytes;
	if (rc == 0 && r->seg.result == PST_SCAN_IO)
		rc = pst_recover_read(r, r->seg.error);
	r->data_end = segment->bytes;
	if (rc == 0 && next < 0)
		rc = leave_reserved(r, segment);
	if (rc == 0 && r->seg.good_bytes < segment->bytes) {
		bool whole = r->seg.good_bytes == 0;
		uint64_t before = r->report->set_aside_bytes;
		rc = mend_tail(r, file, segment, next);
		*sealed = rc == 1;
		*gone = whole && r->report->set_aside_bytes > before;
		rc = rc == 1 ? 0 : rc;
	} else if (rc == 0) {
		/* Also gives back what was reserved behind the end. */
		rc = truncate_synced(r, file, segment, segment->bytes);
	}
	/* Not before: to look for good batches in it may take longer than all the rest. */
	atomic_fetch_add_explicit(&r->progress->done_bytes, behind_bytes, memory_order_relaxed);
	r->disk->ops->close(r->disk, file);
	if (rc == 0 && *gone)
		rc = pst_seal_set_aside(r->disk, r->log->dir, segment->base_offset);
	if (rc == 0 && *gone)
		rc = pst_recover_remove(r, segment->base_offset, PST_SEGMENT_INDEX);
	if (rc < 0 || *gone)
		return rc;
	segment->max_ts_ms = r->seg.index.best_ts_ms;
	if (next >= 0 && segment->bytes == 0) {
		*gone = true; /* an empty segment before another says nothing; its seal might */
		rc = pst_seal_set_aside(r->disk, r->log->dir, segment->base_offset);
		return rc < 0 ? rc : pst_recover_remove(r, segment->base_offset, PST_SEGMENT_LOG);
	}
	rc = pst_recover_seal_end(r, i);
	if (rc == 0)
		rc = pst_recover_indexes(r, segment, next >= 0 || *sealed);
	return rc < 0 || (next < 0 && !*sealed) ? rc : pst_recover_seal_close(r, i);
}

/* Nothing of it is changed: it may be read another time, or by other means. What could be read is
 * part of the log. */
static int
leave_unreadable(struct pst_recover *r, uint32_t i)
{
	struct pst_found_segment *segment = &r->segments[i];
	pst_recover_unreadable(r, i, r->seg.good_bytes);
	r->chained = false;
	r->unsealed = true;
	segment->max_ts_ms = -1;
	int rc = pst_recover_seal_keep(r, i);
	if (rc < 0)
		return rc;
	int file = segment->error ? segment->error
				  : pst_recover_open(r, segment->base_offset, PST_DISK_WRITE);
	if (file < 0)
		return pst_errno_unreadable(-file) ? 0 : file;
	rc = r->disk->ops->sync(r->disk, file);
	r->disk->ops->close(r->disk, file);
	return rc;
}

int
pst_recover_segment(struct pst_recover *r, uint32_t i, bool *sealed, bool *gone)
{
	*sealed = *gone = r->unreadable = false;
	r->seg.base_offset = r->segments[i].base_offset;
	pst_segment_scan_begin(&r->seg);
	int rc = check_segment(r, i, sealed, gone);
	if (rc == 0 || !r->unreadable)
		return rc;
	*sealed = true;
	*gone = false;
	return leave_unreadable(r, i);
}

int
pst_recover_overlap(struct pst_recover *r, uint32_t i)
{
	struct pst_found_segment *segment = &r->segments[i];
	int file = pst_recover_open(r, segment->base_offset, 0);
	if (file < 0)
		return file;
	int rc = 0;
	if (segment->bytes > 0) {
		struct pst_recovery_item item = {
			.kind = PST_RECOVERY_REPEATED,
			.segment_base = segment->base_offset,
			.bytes = segment->bytes,
		};
		rc = pst_set_aside_all(r->disk, r->log->dir, segment->base_offset, file,
			segment->bytes, item.file);
		r->report->set_aside_bytes += segment->bytes;
		pst_recover_item(r, &item);
	}
	r->disk->ops->close(r->disk, file);
	if (rc == 0)
		rc = pst_seal_set_aside(r->disk, r->log->dir, segment->base_offset);
	if (rc == 0)
		rc = pst_recover_remove(r, segment->base_offset,
			segment->bytes > 0 ? PST_SEGMENT_INDEX : PST_SEGMENT_LOG);
	if (rc == 0)
		pst_recover_forget(r, i);
	return rc;
}
