#include "segment/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define SCAN_BUF_BYTES    (PST_BATCH_WIRE_BYTES_MAX + 128 * 1024) /* grows for larger batches */
#define SCAN_HEADER_BYTES (64 * 1024) /* read at a time where only headers count */

int
pst_scan_init(struct pst_scan *scan, struct pst_disk *disk)
{
	*scan = (struct pst_scan){.disk = disk, .file = -1};
	scan->buf = malloc(SCAN_BUF_BYTES);
	scan->buf_cap = SCAN_BUF_BYTES;
	return scan->buf ? 0 : -ENOMEM;
}

void
pst_scan_fini(struct pst_scan *scan)
{
	free(scan->buf);
}

void
pst_scan_start(struct pst_scan *scan, int file, uint64_t pos, uint64_t limit)
{
	scan->file = file;
	scan->pos = pos;
	scan->limit = limit;
	scan->buf_len = 0;
	scan->data = NULL;
	/* Whoever sends events chooses bytes that may look like headers, each of which costs a CRC
	 * over what it claims as its length. */
	scan->small_until = 0;
	scan->find_budget = 16 * pst_max_u64(limit, 1024 * 1024);
}

/* Makes len bytes at pos available, as far as the limit allows; reads at_once if it must read.
 * Returns how many there are, up to what the buffer has, or -errno. */
static int64_t
fill(struct pst_scan *scan, uint64_t pos, uint32_t len, uint32_t at_once, const uint8_t **data)
{
	uint64_t left = pos < scan->limit ? scan->limit - pos : 0;
	uint64_t need = pst_min_u64(len, left);
	if (pos < scan->buf_pos || pos + need > scan->buf_pos + scan->buf_len) {
		uint64_t n = pst_min_u64(pst_max_u64(at_once, need), left);
		if (n > scan->buf_cap) {
			uint8_t *grown = realloc(scan->buf, n);
			if (!grown)
				return scan->error = -ENOMEM;
			scan->buf = grown;
			scan->buf_cap = (uint32_t)n;
		}
		uint64_t block = PST_BLOCK_BYTES - pos % PST_BLOCK_BYTES;
		uint64_t least = pst_min_u64(pst_max_u64(need, block), left);
		if (pos < scan->small_until)
			n = least;
		int64_t got = scan->disk->ops->read(scan->disk, scan->file, scan->buf, n, pos);
		if (got < 0 && n > least && pst_errno_unreadable((int)-got)) {
			/* What is wanted may lie before what cannot be read. */
			scan->small_until = pos + n;
			got = scan->disk->ops->read(scan->disk, scan->file, scan->buf, least, pos);
		}
		if (got < 0) {
			scan->buf_len = 0;
			scan->error = (int)got;
			return got;
		}
		scan->buf_pos = pos;
		scan->buf_len = (uint32_t)got;
	}
	*data = scan->buf + (pos - scan->buf_pos);
	return (int64_t)(scan->buf_pos + scan->buf_len - pos);
}

static enum pst_scan_result
bad(struct pst_scan *scan, enum pst_batch_verdict verdict)
{
	scan->verdict = verdict;
	return PST_SCAN_BAD;
}

enum pst_scan_result
pst_scan_next(struct pst_scan *scan, bool whole)
{
	const uint8_t *data;
	scan->data = NULL;
	scan->batch_pos = scan->pos;
	if (scan->pos >= scan->limit)
		return PST_SCAN_END;
	int64_t n = fill(scan, scan->pos, PST_BATCH_HEADER_BYTES,
		whole ? SCAN_BUF_BYTES : SCAN_HEADER_BYTES, &data);
	if (n < 0)
		return PST_SCAN_IO;
	enum pst_batch_verdict verdict = pst_batch_peek(data, (size_t)n, &scan->info);
	if (verdict != PST_BATCH_OK)
		return bad(scan, verdict);
	uint32_t total = scan->info.total_bytes;
	if (total > scan->limit - scan->pos)
		return bad(scan, PST_BATCH_SHORT);
	if (whole) {
		n = fill(scan, scan->pos, total, SCAN_BUF_BYTES, &data);
		if (n < 0)
			return PST_SCAN_IO;
		verdict = pst_batch_check(
			data, (size_t)pst_min_u64((uint64_t)n, total), &scan->info);
		if (verdict != PST_BATCH_OK)
			return bad(scan, verdict);
		scan->data = data;
	}
	scan->pos += total;
	return PST_SCAN_BATCH;
}

/* The search cannot read at *pos. True: it goes on behind that, each time twice as far, so that a
 * drive that takes its time over each bad sector is not asked for all of them. */
static bool
step_over(const struct pst_scan *scan, uint64_t *pos, uint64_t *step_bytes)
{
	if (!scan->over_unreadable || !pst_errno_unreadable(-scan->error))
		return false;
	uint64_t end = *pos + PST_BATCH_HEADER_BYTES - 1; /* it may be the next block that is bad */
	*pos = end - end % PST_BLOCK_BYTES + *step_bytes - 1; /* the loop adds one */
	*step_bytes *= 2;
	return true;
}

enum pst_scan_found
pst_scan_find(struct pst_scan *scan, uint64_t pos, int64_t min_offset)
{
	uint64_t step_bytes = PST_BLOCK_BYTES;
	for (; pos + PST_BATCH_HEADER_BYTES <= scan->limit; pos++) {
		const uint8_t *data;
		struct pst_batch_info info;
		int64_t n = fill(scan, pos, PST_BATCH_HEADER_BYTES, SCAN_BUF_BYTES, &data);
		if (n < 0 && step_over(scan, &pos, &step_bytes))
			continue;
		if (n < 0)
			return PST_FOUND_IO;
		if (n < PST_BATCH_HEADER_BYTES)
			break;
		if (data[16] != 2 || pst_batch_peek(data, (size_t)n, &info) != PST_BATCH_OK ||
			info.base_offset < min_offset || info.total_bytes > scan->limit - pos)
			continue;
		if (info.total_bytes > scan->find_budget)
			return PST_FOUND_TOO_MUCH;
		scan->find_budget -= info.total_bytes;
		n = fill(scan, pos, info.total_bytes, SCAN_BUF_BYTES, &data);
		if (n < 0 && scan->over_unreadable && pst_errno_unreadable(-scan->error))
			continue;
		if (n < 0)
			return PST_FOUND_IO;
		if (n >= info.total_bytes &&
			pst_batch_check(data, info.total_bytes, &info) == PST_BATCH_OK) {
			scan->pos = pos;
			return PST_FOUND_BATCH;
		}
	}
	return PST_FOUND_NONE;
}

int
pst_scan_zeros(struct pst_scan *scan, uint64_t pos)
{
	while (pos < scan->limit) {
		const uint8_t *data;
		int64_t n = fill(scan, pos, 1, SCAN_BUF_BYTES, &data);
		if (n <= 0)
			return (int)n;
		uint64_t len = pst_min_u64((uint64_t)n, scan->limit - pos);
		if (data[0] != 0 || memcmp(data, data + 1, len - 1) != 0)
			return 0;
		pos += len;
	}
	return 1;
}

int64_t
pst_scan_data_end(struct pst_scan *scan, uint64_t from)
{
	for (uint64_t end = scan->limit; end > from;) {
		uint32_t len = (uint32_t)pst_min_u64(SCAN_BUF_BYTES, end - from);
		const uint8_t *data;
		int64_t n = fill(scan, end - len, len, len, &data);
		if (n < 0)
			return n;
		if ((uint64_t)n < len)
			return (int64_t)
				scan->limit; /* it got shorter meanwhile: not ours to judge */
		if (data[0] != 0 || memcmp(data, data + 1, len - 1) != 0) {
			while (data[len - 1] == 0)
				len--, end--;
			return (int64_t)end;
		}
		end -= len;
	}
	return (int64_t)from;
}

int
pst_image_add(struct pst_image *image, const void *data, size_t len)
{
	if (image->len + len > image->cap) {
		size_t cap = image->cap ? image->cap * 2 : 4096;
		uint8_t *grown = realloc(image->data, cap);
		if (!grown)
			return -ENOMEM;
		image->data = grown;
		image->cap = cap;
	}
	memcpy(image->data + image->len, data, len);
	image->len += len;
	return 0;
}

int
pst_image_compare(struct pst_disk *disk, int file, const struct pst_image *image, bool prefix)
{
	uint8_t buf[16384];
	for (size_t pos = 0;; pos += sizeof(buf)) {
		int64_t n = disk->ops->read(disk, file, buf, sizeof(buf), pos);
		if (n < 0)
			return (int)n;
		size_t want = image->len > pos ? image->len - pos : 0;
		if (want > sizeof(buf))
			want = sizeof(buf);
		if ((size_t)n != want && !prefix)
			return 0;
		size_t both = (size_t)n < want ? (size_t)n : want;
		if (both > 0 && memcmp(buf, image->data + pos, both) != 0)
			return 0;
		if (both < sizeof(buf))
			return 1;
	}
}

static int
take_batch(struct pst_segment_scan *seg, const struct pst_scan *scan)
{
	struct pst_index_step step;
	int64_t last = pst_batch_last_offset(&scan->info);
	pst_index_batch(&seg->index, scan->batch_pos, last, scan->info.max_timestamp_ms, &step);
	if (step.has_index && pst_image_add(&seg->index_image, &step.index, sizeof(step.index)) < 0)
		return -ENOMEM;
	if (step.has_time && pst_image_add(&seg->time_image, &step.time, sizeof(step.time)) < 0)
		return -ENOMEM;
	if (seg->batch_cnt++ == 0)
		seg->first_ts_ms = scan->info.base_timestamp_ms;
	seg->next_offset = last + 1;
	seg->good_bytes = scan->pos;
	if (seg->walked_bytes)
		atomic_fetch_add_explicit(
			seg->walked_bytes, scan->pos - scan->batch_pos, memory_order_relaxed);
	return 0;
}

/* Whether the batch goes on where the one before ended, and stays within what a segment can hold.
 */
static bool
follows(const struct pst_segment_scan *seg, const struct pst_scan *scan)
{
	return scan->info.base_offset == seg->next_offset &&
	       scan->info.base_offset - seg->base_offset <=
		       PST_SEGMENT_OFFSETS_MAX - (int64_t)scan->info.last_offset_delta &&
	       scan->batch_pos <= PST_SEGMENT_POSITION_MAX;
}

void
pst_segment_scan_begin(struct pst_segment_scan *seg)
{
	seg->next_offset = seg->base_offset;
	seg->good_bytes = 0;
	seg->batch_cnt = 0;
	seg->first_ts_ms = -1;
	seg->index_image.len = seg->time_image.len = 0;
	pst_index_begin(&seg->index, seg->base_offset);
}

int
pst_segment_scan_run(struct pst_segment_scan *seg, struct pst_scan *scan)
{
	seg->verdict = PST_BATCH_OK;
	seg->error = 0;
	for (;;) {
		enum pst_scan_result r = pst_scan_next(scan, false);
		if (r == PST_SCAN_BATCH && scan->pos > seg->whole_from) {
			scan->pos = scan->batch_pos;
			r = pst_scan_next(scan, true);
		}
		if (r == PST_SCAN_BATCH && !follows(seg, scan)) {
			seg->found_offset = scan->info.base_offset;
			seg->result = PST_SCAN_BAD;
			return 0;
		}
		if (r == PST_SCAN_BATCH && seg->each) {
			enum pst_batch_verdict verdict = PST_BATCH_OK;
			if (!seg->each(seg->arg, scan, &verdict)) {
				seg->verdict = verdict;
				seg->result = PST_SCAN_BAD;
				return 0;
			}
		}
		if (r != PST_SCAN_BATCH) {
			seg->result = r;
			seg->verdict = scan->verdict;
			seg->error = scan->error;
			return 0;
		}
		if (take_batch(seg, scan) < 0)
			return -ENOMEM;
	}
}

void
pst_segment_scan_fini(struct pst_segment_scan *seg)
{
	free(seg->index_image.data);
	free(seg->time_image.data);
}
