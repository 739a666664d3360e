#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/base.h"
#include "segment/verify/verifying.h"

/* Every record of a batch. */
static bool
check_records(void *arg, const struct pst_scan *scan, enum pst_batch_verdict *verdict)
{
	struct pst_verifying *v = arg;
	struct pst_batch_record record;
	int rc = 0;
	*verdict = pst_batch_decoder_open(v->decoder, scan->data, scan->info.total_bytes);
	if (*verdict != PST_BATCH_OK)
		return false;
	uint64_t cnt = 0;
	while ((rc = pst_batch_decoder_next(v->decoder, &record, verdict)) == 1)
		cnt++;
	if (rc < 0)
		return false;
	v->totals->record_cnt += cnt;
	pst_verify_seal_batch(v, scan);
	if (scan->info.leader_epoch != PST_LEADER_EPOCH) {
		char name[PST_SEGMENT_NAME_BYTES];
		pst_segment_name(name, v->seg.base_offset, PST_SEGMENT_LOG);
		pst_verify_finding(v, name, scan->batch_pos,
			"leader epoch %" PRId32 ", which penstock never writes",
			scan->info.leader_epoch);
	}
	return true;
}

/* Walks over the readable bytes; behind damage it looks for where the batches go on. True: all was
 * good. -errno in *rc. */
static bool
walk(struct pst_verifying *v, const char *name, bool *trim, int64_t next_base, int *rc)
{
	struct pst_scan *scan = &v->log.scan;
	struct pst_segment_scan *seg = &v->seg;
	bool good = true;
	*trim = false;
	for (unsigned i = 0; i < PST_VERIFY_FINDINGS_MAX; i++) {
		*rc = pst_segment_scan_run(seg, scan);
		if (*rc < 0)
			return false;
		if (seg->result == PST_SCAN_END)
			return good;
		if (seg->result == PST_SCAN_IO) {
			pst_verify_finding(v, name, scan->batch_pos, "cannot be read: %s",
				strerror(-seg->error));
			if (!pst_errno_unreadable(-seg->error))
				return false;
		}
		uint64_t pos = scan->batch_pos;
		bool unreadable = seg->result == PST_SCAN_IO;
		if (!unreadable && next_base == seg->next_offset) {
			/* The log goes on in the next segment: nothing of this belongs to it. */
			*trim = pst_scan_zeros(scan, pos) == 1;
			if (!*trim)
				pst_verify_finding(v, name, pos,
					"%" PRIu64 " bytes behind its last event: damage that was "
					"not set aside",
					scan->limit - pos);
			return good;
		}
		good = false;
		pst_verify_seal_lost(v);
		if (unreadable)
			seg->verdict = PST_BATCH_SHORT;
		else if (seg->verdict == PST_BATCH_OK)
			pst_verify_finding(v, name, pos,
				"offsets do not follow: %" PRId64 " instead of %" PRId64,
				seg->found_offset, seg->next_offset);
		else
			pst_verify_finding(v, name, pos, "damaged batch of offset %" PRId64 ": %s",
				seg->next_offset, pst_batch_verdict_name(seg->verdict));
		enum pst_scan_found found = pst_scan_find(scan, pos + 1, seg->next_offset);
		if (seg->verdict == PST_BATCH_OK && seg->found_offset > seg->next_offset) {
			scan->pos = pos; /* it is whole, only too far on */
			found = PST_FOUND_BATCH;
		}
		if (found != PST_FOUND_BATCH)
			return false;
		uint64_t at = scan->pos;
		if (pst_scan_next(scan, false) != PST_SCAN_BATCH)
			return false;
		seg->next_offset = scan->info.base_offset;
		scan->pos = at;
	}
	pst_verify_finding(v, name, scan->pos, "so much damage that the rest was not looked at");
	return false;
}

enum index_state {
	INDEX_CLOSED, /* complete, with the entry of closing */
	INDEX_LAST,   /* so, or already without that entry: of a start that was ended early */
	INDEX_LIVE,   /* being written: some entries are not there yet, or more than we know */
	INDEX_LOOSE,  /* of a killed daemon: will be rebuilt */
};

static uint64_t
first_difference(struct pst_verifying *v, int file, const struct pst_image *image)
{
	uint8_t byte;
	for (uint64_t pos = 0; pos < image->len; pos++) {
		if (v->log.disk->ops->read(v->log.disk, file, &byte, 1, pos) != 1 ||
			byte != image->data[pos])
			return pos;
	}
	return image->len;
}

/* Whether a running daemon has removed the segment while we looked. */
static bool
retired(struct pst_verifying *v, int64_t base)
{
	int file = v->log.source == PST_END_LIVE ? pst_reading_file(&v->log, base, PST_SEGMENT_LOG)
						 : 0;
	if (file > 0)
		v->log.disk->ops->close(v->log.disk, file);
	return file == -ENOENT;
}

/* Of a log whose daemon was killed: or ended before its first mark, for all that is known. */
static bool
killed(const struct pst_verifying *v)
{
	return v->log.source == PST_END_MARK || v->log.source == PST_END_SCAN;
}

/* Whether a start has taken the entry of closing away: it is gone, or, where the power went before
 * the file's size was written, zeros. 1 or 0, or -errno. */
static int
compare_reopened(struct pst_disk *disk, int file, struct pst_image *image)
{
	static const struct pst_time_entry zeros;
	size_t len = image->len;
	int rc = pst_image_compare(disk, file, image, false);
	if (rc != 0)
		return rc;
	rc = pst_image_add(image, &zeros, sizeof(zeros));
	if (rc == 0)
		rc = pst_image_compare(disk, file, image, false);
	image->len = len;
	return rc;
}

static int
check_index(struct pst_verifying *v, int64_t base, enum pst_segment_file kind,
	struct pst_image *image, enum index_state state)
{
	struct pst_disk *disk = v->log.disk;
	char name[PST_SEGMENT_NAME_BYTES];
	pst_segment_name(name, base, kind);
	int file = pst_reading_file(&v->log, base, kind);
	if (file == -ENOENT) {
		/* A power loss in the middle of a removal may leave the .log alone. */
		if (killed(v))
			pst_verify_note(v, name, 0, "missing: rebuilt at the next start");
		else if (!retired(v, base))
			pst_verify_finding(v, name, 0, "missing");
		return 0;
	}
	if (file < 0)
		return file;
	struct pst_image final = *image;
	struct pst_index_state index = v->seg.index;
	struct pst_time_entry last;
	int rc = 0;
	if (kind == PST_SEGMENT_TIMEINDEX && state != INDEX_LIVE && pst_index_end(&index, &last)) {
		rc = pst_image_add(image, &last, sizeof(last));
		size_t len = final.len;
		final = *image;
		image->len = len;
	}
	if (rc == 0)
		rc = pst_image_compare(
			disk, file, &final, state == INDEX_LIVE || state == INDEX_LOOSE);
	bool reopened = rc == 0 && state == INDEX_LAST;
	if (reopened) {
		rc = compare_reopened(disk, file, image);
		reopened = rc == 1;
	}
	if (reopened)
		pst_verify_note(v, name, image->len,
			"without the entry of closing: a start was ended before it was through");
	else if (rc == 0 && state == INDEX_LOOSE)
		pst_verify_note(v, name, first_difference(v, file, &final),
			"stale: rebuilt at the next start");
	else if (rc == 0)
		pst_verify_finding(v, name, first_difference(v, file, &final),
			"is not what Kafka's recovery would build from the log");
	disk->ops->close(disk, file);
	return rc < 0 ? rc : 0;
}

/* Bytes behind the durable end of the last segment. */
static void
check_tail(struct pst_verifying *v, const char *name, int file, uint64_t limit)
{
	struct pst_disk_stat st;
	if (v->log.source == PST_END_LIVE || v->log.disk->ops->stat(v->log.disk, file, &st) < 0 ||
		st.bytes <= limit)
		return;
	struct pst_scan *scan = &v->log.scan;
	pst_scan_start(scan, file, limit, st.bytes);
	bool zeros = pst_scan_zeros(scan, limit) == 1;
	uint64_t bytes = st.bytes - limit;
	if (v->log.source == PST_END_MARK) {
		if (!zeros)
			pst_verify_note(v, name, limit,
				"%" PRIu64 " bytes of a killed daemon behind the durable end",
				bytes);
	} else if (zeros) {
		pst_verify_note(v, name, limit, "unfinished trim: %" PRIu64 " zeros", bytes);
	} else if (v->log.source == PST_END_CLEAN) {
		pst_verify_finding(
			v, name, limit, "%" PRIu64 " bytes behind the end of the log", bytes);
	} else {
		/* Without marks nobody can say that these were never acknowledged. */
		enum pst_batch_verdict verdict = PST_BATCH_OK;
		scan->pos = limit;
		enum pst_scan_result result = pst_scan_next(scan, true);
		if (result == PST_SCAN_IO) {
			pst_verify_finding(
				v, name, limit, "cannot be read: %s", strerror(-scan->error));
			return;
		}
		if (result == PST_SCAN_BAD)
			verdict = scan->verdict;
		pst_verify_finding(v, name, limit, "damaged batch of offset %" PRId64 ": %s",
			v->seg.next_offset,
			verdict == PST_BATCH_OK ? "offsets do not follow"
						: pst_batch_verdict_name(verdict));
	}
}

bool
pst_verify_set_aside(const struct pst_verifying *v, int64_t from, int64_t to)
{
	for (uint32_t i = 0; i < v->damaged_cnt; i++) {
		if (v->damaged[i] >= from && v->damaged[i] <= to)
			return true;
	}
	return false;
}

/* From the segment before to this one. True: offsets are missing before it. */
static bool
check_follows(struct pst_verifying *v, const char *name, uint32_t i)
{
	int64_t base = v->log.bases[i];
	if (v->expected < 0 || base == v->expected)
		return false;
	if (base < v->expected)
		pst_verify_finding(v, name, 0,
			"begins with offset %" PRId64 ", which the segment before has", base);
	else if (pst_verify_set_aside(v, v->log.bases[i - 1], base))
		pst_verify_gap(v, name, v->expected,
			"offsets %" PRId64 " to %" PRId64 " before it: damaged, set aside",
			v->expected, base - 1);
	else
		pst_verify_finding(v, name, 0,
			"offsets %" PRId64 " to %" PRId64 " before it are missing", v->expected,
			base - 1);
	return base > v->expected;
}

static enum index_state
state_of_index(const struct pst_verifying *v, bool last)
{
	if (!last)
		return INDEX_CLOSED;
	if (killed(v))
		return INDEX_LOOSE;
	return v->log.source == PST_END_LIVE ? INDEX_LIVE : INDEX_LAST;
}

int
pst_verify_segment(struct pst_verifying *v, uint32_t i)
{
	struct pst_reading *log = &v->log;
	int64_t base = log->bases[i];
	bool last = base == log->end.segment_base, trim;
	int64_t next_base = !last && i + 1 < log->base_cnt ? log->bases[i + 1] : -1;
	char name[PST_SEGMENT_NAME_BYTES];
	uint64_t limit;
	pst_segment_name(name, base, PST_SEGMENT_LOG);
	int file = pst_reading_file(log, base, PST_SEGMENT_LOG);
	if (file == -ENOENT && log->source == PST_END_LIVE) {
		v->expected = -1; /* retired since it was listed */
		return 0;
	}
	int rc = file < 0 ? file : pst_reading_limit(log, base, file, &limit);
	if (rc < 0) {
		pst_verify_finding(v, name, 0, "cannot be read: %s", strerror(-rc));
		v->expected = -1;
		if (file >= 0)
			log->disk->ops->close(log->disk, file);
		return 0;
	}
	bool gap = check_follows(v, name, i);
	v->seg.base_offset = base;
	v->seg.whole_from = 0;
	v->seg.each = check_records;
	v->seg.arg = v;
	pst_segment_scan_begin(&v->seg);
	rc = pst_verify_seal_begin(v, i, last, gap);
	if (rc < 0) {
		log->disk->ops->close(log->disk, file);
		return rc;
	}
	pst_scan_start(&log->scan, file, 0, limit);
	bool good = walk(v, name, &trim, next_base, &rc);
	if (trim)
		pst_verify_note(v, name, v->seg.good_bytes, "unfinished trim: %" PRIu64 " zeros",
			limit - v->seg.good_bytes);
	if (last && good) {
		if (limit < log->end.segment_bytes)
			pst_verify_finding(v, name, limit,
				"ends before the durable end at %" PRIu64, log->end.segment_bytes);
		else if (v->seg.next_offset != log->end.next_offset)
			pst_verify_finding(v, name, limit,
				"ends with offset %" PRId64 ", not %" PRId64, v->seg.next_offset,
				log->end.next_offset);
		check_tail(v, name, file, limit);
	}
	int ended = pst_verify_seal_end(
		v, last, good && rc == 0, pst_verify_set_aside(v, base, base));
	rc = rc < 0 ? rc : ended;
	v->totals->segment_cnt++;
	v->totals->batch_cnt += v->seg.batch_cnt;
	v->totals->bytes += limit;
	/* Of one that cannot be read to its end nobody knows where it ends. */
	v->expected = v->seg.result == PST_SCAN_IO ? -1 : v->seg.next_offset;
	log->disk->ops->close(log->disk, file);
	/* Of a damaged log nobody can say what its indexes should be. */
	enum index_state state = state_of_index(v, last);
	if (rc == 0 && good)
		rc = check_index(v, base, PST_SEGMENT_INDEX, &v->seg.index_image, state);
	if (rc == 0 && good)
		rc = check_index(v, base, PST_SEGMENT_TIMEINDEX, &v->seg.time_image, state);
	return rc;
}
