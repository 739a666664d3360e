/* Places by offset and by time. Indexes are a hint from which reading starts: what they say is
 * checked against the batch that they point at. */
#include <errno.h>
#include <stdlib.h>

#include "base/base.h"
#include "segment/reading.h"

/* Entry i of an index file, as last offset and position or timestamp; false if it is not there. */
static bool
index_entry(
	struct pst_reading *r, int file, uint64_t i, int64_t base, int64_t *offset, uint64_t *pos)
{
	struct pst_index_entry e;
	if (r->disk->ops->read(r->disk, file, &e, sizeof(e), i * sizeof(e)) != sizeof(e))
		return false;
	*offset = base + pst_load_be32(&e.offset_be);
	*pos = pst_load_be32(&e.position_be);
	return true;
}

static bool
time_entry(struct pst_reading *r, int file, uint64_t i, int64_t base, int64_t *ts, int64_t *offset)
{
	struct pst_time_entry e;
	if (r->disk->ops->read(r->disk, file, &e, sizeof(e), i * sizeof(e)) != sizeof(e))
		return false;
	*ts = (int64_t)pst_load_be64(e.timestamp_be);
	*offset = base + pst_load_be32(e.offset_be);
	return true;
}

static uint64_t
entry_cnt(struct pst_reading *r, int file, size_t entry_bytes)
{
	struct pst_disk_stat st;
	return r->disk->ops->stat(r->disk, file, &st) == 0 ? st.bytes / entry_bytes : 0;
}

/* Position of the last indexed batch that ends at or before offset, 0 if there is none; *expected:
 * its base offset. */
static uint64_t
indexed_pos(struct pst_reading *r, int64_t base, int file, uint64_t limit, int64_t offset,
	int64_t *expected)
{
	*expected = base;
	int index = pst_reading_file(r, base, PST_SEGMENT_INDEX);
	if (index < 0)
		return 0;
	uint64_t low = 0, high = entry_cnt(r, index, sizeof(struct pst_index_entry));
	int64_t found_offset = -1;
	uint64_t found_pos = 0;
	while (low < high) {
		uint64_t mid = low + (high - low) / 2, pos;
		int64_t last;
		if (!index_entry(r, index, mid, base, &last, &pos))
			break;
		if (last <= offset && pos < limit) {
			found_offset = last;
			found_pos = pos;
			low = mid + 1;
		} else {
			high = mid;
		}
	}
	r->disk->ops->close(r->disk, index);
	if (found_offset < 0)
		return 0;
	/* What the entry says must be what is there. */
	pst_scan_start(&r->scan, file, found_pos, limit);
	if (pst_scan_next(&r->scan, true) != PST_SCAN_BATCH ||
		pst_batch_last_offset(&r->scan.info) != found_offset)
		return 0;
	*expected = r->scan.info.base_offset;
	return found_pos;
}

/* Offset that follows the readable bytes of a segment: -1 if nobody can say. */
static int64_t
offset_behind(struct pst_reading *r, int64_t base)
{
	if (base == r->end.segment_base)
		return r->end.next_offset;
	if (pst_reading_list(r) < 0)
		return -1;
	int i = pst_reading_segment_of(r, base);
	return i + 1 < (int)r->base_cnt ? r->bases[i + 1] : -1;
}

enum pst_scan_found
pst_reading_resync(struct pst_reading *r, int64_t base, uint64_t pos, int64_t min_offset)
{
	struct pst_scan *scan = &r->scan;
	for (;; pos++) {
		enum pst_scan_found found = pst_scan_find(scan, pos, min_offset);
		if (found != PST_FOUND_BATCH)
			return found;
		pos = scan->pos;
		if (pst_scan_next(scan, false) != PST_SCAN_BATCH)
			continue;
		int64_t first = scan->info.base_offset;
		int64_t next = pst_batch_last_offset(&scan->info) + 1;
		enum pst_scan_result result = pst_scan_next(scan, false);
		bool follows = result == PST_SCAN_BATCH
				       ? scan->info.base_offset == next
				       : result == PST_SCAN_END && offset_behind(r, base) == next;
		if (follows) {
			scan->pos = pos;
			scan->info.base_offset = first;
			return PST_FOUND_BATCH;
		}
	}
}

enum pst_find_result
pst_reading_find(struct pst_reading *r, int64_t base, int file, uint64_t limit, int64_t offset,
	int64_t *expected)
{
	struct pst_scan *scan = &r->scan;
	uint64_t pos = indexed_pos(r, base, file, limit, offset, expected);
	pst_scan_start(scan, file, pos, limit);
	for (;;) {
		enum pst_scan_result result = pst_scan_next(scan, false);
		if (result == PST_SCAN_END)
			return PST_FIND_BEHIND;
		if (result == PST_SCAN_IO && !pst_errno_unreadable(-scan->error))
			return PST_FIND_IO;
		if (result == PST_SCAN_BATCH && scan->info.base_offset == *expected) {
			if (pst_batch_last_offset(&scan->info) >= offset) {
				scan->pos = scan->batch_pos;
				return PST_FIND_AT;
			}
			*expected = pst_batch_last_offset(&scan->info) + 1;
			continue;
		}
		/* Damage before the offset: behind it the chain may begin again. */
		uint64_t damage = scan->batch_pos;
		enum pst_batch_verdict verdict = result == PST_SCAN_BAD ? scan->verdict
									: PST_BATCH_OK;
		enum pst_scan_found found = pst_reading_resync(r, base, damage, *expected + 1);
		if (found == PST_FOUND_IO)
			return PST_FIND_IO;
		if (found == PST_FOUND_BATCH && scan->info.base_offset <= offset) {
			*expected = scan->info.base_offset;
			continue;
		}
		scan->batch_pos = scan->pos = damage;
		scan->verdict = verdict;
		return PST_FIND_BAD; /* or unreadable, as reading there will say */
	}
}

/* Largest timestamp from pos to the limit. */
static int
scan_max_ts(struct pst_reading *r, int file, uint64_t pos, uint64_t limit, int64_t *max_ts_ms)
{
	*max_ts_ms = -1;
	pst_scan_start(&r->scan, file, pos, limit);
	for (;;) {
		enum pst_scan_result result = pst_scan_next(&r->scan, false);
		if (result == PST_SCAN_END)
			return 0;
		if (result != PST_SCAN_BATCH)
			return result == PST_SCAN_IO ? r->scan.error : -EBADMSG;
		if (r->scan.info.max_timestamp_ms > *max_ts_ms)
			*max_ts_ms = r->scan.info.max_timestamp_ms;
	}
}

/* Whether a batch ends with offset and has ts as its largest timestamp; scan.pos is then behind
 * it. */
static bool
confirm(struct pst_reading *r, int64_t base, int file, uint64_t limit, int64_t ts, int64_t offset)
{
	int64_t expected;
	return pst_reading_find(r, base, file, limit, offset, &expected) == PST_FIND_AT &&
	       pst_scan_next(&r->scan, true) == PST_SCAN_BATCH &&
	       pst_batch_last_offset(&r->scan.info) == offset &&
	       r->scan.info.max_timestamp_ms == ts;
}

int
pst_reading_max_ts(
	struct pst_reading *r, int64_t base, int file, uint64_t limit, int64_t *max_ts_ms)
{
	int64_t ts, offset;
	bool closed = base < r->end.segment_base;
	int index = closed ? pst_reading_file(r, base, PST_SEGMENT_TIMEINDEX) : -1;
	if (index >= 0) {
		uint64_t cnt = entry_cnt(r, index, sizeof(struct pst_time_entry));
		bool have = cnt > 0 && time_entry(r, index, cnt - 1, base, &ts, &offset);
		r->disk->ops->close(r->disk, index);
		if (have && confirm(r, base, file, limit, ts, offset)) {
			*max_ts_ms = ts;
			return 0;
		}
	}
	return scan_max_ts(r, file, 0, limit, max_ts_ms);
}

int
pst_reading_find_ts(
	struct pst_reading *r, int64_t base, int file, uint64_t limit, int64_t ts_ms, uint64_t *pos)
{
	*pos = 0;
	int index = pst_reading_file(r, base, PST_SEGMENT_TIMEINDEX);
	if (index < 0)
		return 0;
	uint64_t low = 0, high = entry_cnt(r, index, sizeof(struct pst_time_entry));
	int64_t found_ts = -1, found_offset = -1;
	while (low < high) {
		uint64_t mid = low + (high - low) / 2;
		int64_t ts, offset;
		if (!time_entry(r, index, mid, base, &ts, &offset))
			break;
		if (ts < ts_ms) {
			found_ts = ts;
			found_offset = offset;
			low = mid + 1;
		} else {
			high = mid;
		}
	}
	r->disk->ops->close(r->disk, index);
	/* All up to that batch is older: reading starts behind it. */
	if (found_offset >= 0 && confirm(r, base, file, limit, found_ts, found_offset))
		*pos = r->scan.pos;
	return 0;
}

int64_t
pst_reading_offset_at(struct pst_reading *log, int64_t base, struct pst_batch_decoder *decoder,
	int64_t timestamp_ms)
{
	struct pst_scan *scan = &log->scan;
	uint64_t limit, pos;
	int64_t max_ts = -1, answer = INT64_MAX;
	int file = pst_reading_file(log, base, PST_SEGMENT_LOG);
	if (file < 0)
		return file == -ENOENT ? INT64_MAX : -1;
	if (pst_reading_limit(log, base, file, &limit) < 0 ||
		pst_reading_max_ts(log, base, file, limit, &max_ts) < 0)
		answer = -1;
	if (answer > 0 && max_ts >= timestamp_ms) {
		pst_reading_find_ts(log, base, file, limit, timestamp_ms, &pos);
		pst_scan_start(scan, file, pos, limit);
		do {
			if (pst_scan_next(scan, false) != PST_SCAN_BATCH)
				answer = -1;
		} while (answer > 0 && scan->info.max_timestamp_ms < timestamp_ms);
	}
	if (answer > 0 && max_ts >= timestamp_ms) {
		struct pst_batch_record record;
		enum pst_batch_verdict verdict;
		scan->pos = scan->batch_pos;
		answer = -1;
		if (pst_scan_next(scan, true) == PST_SCAN_BATCH &&
			pst_batch_decoder_open(decoder, scan->data, scan->info.total_bytes) ==
				PST_BATCH_OK) {
			while (answer < 0 &&
				pst_batch_decoder_next(decoder, &record, &verdict) == 1) {
				if (record.timestamp_ms >= timestamp_ms)
					answer = record.offset;
			}
		}
	}
	log->disk->ops->close(log->disk, file);
	return answer;
}
