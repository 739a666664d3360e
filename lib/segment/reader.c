#include "segment/reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "segment/reading.h"

struct pst_reader {
	struct pst_reading log;
	struct pst_batch_decoder *decoder;
	int64_t want; /* the next record's offset, at least */

	/* The open segment; file < 0: none, to be looked up by want. */
	int file;
	int64_t base;
	uint64_t pos;     /* of the next batch */
	int64_t expected; /* its base offset */

	bool in_batch;
	int64_t batch_base, batch_last;
	uint64_t batch_pos;
	char diag_file[sizeof(((struct pst_diag *)0)->file)];
};

struct lister {
	int (*visit)(void *arg, const char *topic, uint32_t partition);
	void *arg;
	struct pst_disk *disk;
	int top;
};

static int
list_one(void *arg, const char *name)
{
	struct lister *l = arg;
	char topic[PST_TOPIC_LEN_MAX + 1];
	uint32_t partition;
	if (!pst_log_dir_parse(name, topic, &partition))
		return 0;
	int dir = l->disk->ops->open(l->disk, l->top, name, PST_DISK_DIR);
	if (dir == -ENOTDIR || dir == -ELOOP)
		return 0; /* a file, a link: not a partition */
	if (dir >= 0)
		l->disk->ops->close(l->disk, dir);
	return l->visit(l->arg, topic, partition);
}

int
pst_reader_list(const char *data_dir,
	int (*visit)(void *arg, const char *topic, uint32_t partition), void *arg)
{
	struct lister l = {.visit = visit, .arg = arg, .disk = pst_disk_real()};
	l.top = l.disk->ops->open(l.disk, PST_DISK_CWD, data_dir, PST_DISK_DIR);
	if (l.top < 0)
		return l.top;
	int rc = l.disk->ops->list(l.disk, l.top, list_one, &l);
	l.disk->ops->close(l.disk, l.top);
	return rc;
}

int
pst_reader_open_on(struct pst_disk *disk, const char *data_dir, const char *topic,
	uint32_t partition, struct pst_reader **out, struct pst_diag *diag)
{
	char name[PST_LOG_DIR_NAME_BYTES];
	if (!pst_topic_valid(topic))
		return pst_diag_set(diag, NULL, 0, NULL,
			"a topic is 1 to 200 letters, digits, '.', '_' and '-'",
			"\"%s\" is not a topic's name", topic);
	pst_log_dir_name(name, topic, partition);
	struct pst_reader *reader = calloc(1, sizeof(*reader));
	if (!reader || pst_batch_decoder_create(PST_BATCH_RAW_BYTES_MAX, &reader->decoder) < 0) {
		free(reader);
		return pst_diag_set(diag, name, 0, NULL, NULL, "out of memory");
	}
	reader->file = -1;
	snprintf(reader->diag_file, sizeof(reader->diag_file), "%s", name);
	int top = pst_reading_open_top(disk, data_dir, diag);
	if (top < 0)
		goto fail;
	int rc = pst_reading_open(&reader->log, disk, top, name);
	if (rc == 0) {
		rc = pst_reading_refresh(&reader->log);
		if (rc < 0)
			pst_reading_close(&reader->log);
	}
	if (rc < 0) {
		disk->ops->close(disk, top);
		pst_diag_set(diag, data_dir, 0, name,
			rc == -ENOENT   ? "list the partitions that there are"
			: rc == -EACCES ? "become a member of the directory's group"
					: NULL,
			"cannot open the partition: %s",
			rc == -ENOENT ? "there is none of this name" : strerror(-rc));
		goto fail;
	}
	*out = reader;
	return 0;
fail:
	pst_batch_decoder_destroy(reader->decoder);
	free(reader);
	return -1;
}

int
pst_reader_open(const char *data_dir, const char *topic, uint32_t partition,
	struct pst_reader **out, struct pst_diag *diag)
{
	return pst_reader_open_on(pst_disk_real(), data_dir, topic, partition, out, diag);
}

static void
close_segment(struct pst_reader *reader)
{
	if (reader->file >= 0)
		reader->log.disk->ops->close(reader->log.disk, reader->file);
	reader->file = -1;
	reader->in_batch = false;
}

void
pst_reader_close(struct pst_reader *reader)
{
	struct pst_disk *disk = reader->log.disk;
	int top = reader->log.top;
	close_segment(reader);
	pst_reading_close(&reader->log);
	disk->ops->close(disk, top);
	pst_batch_decoder_destroy(reader->decoder);
	free(reader);
}

int64_t
pst_reader_earliest(struct pst_reader *reader)
{
	if (pst_reading_list(&reader->log) < 0 || reader->log.base_cnt == 0)
		return reader->log.end.next_offset;
	return reader->log.bases[0];
}

int64_t
pst_reader_latest(struct pst_reader *reader)
{
	pst_reading_refresh(&reader->log);
	return reader->log.end.next_offset;
}

void
pst_reader_seek(struct pst_reader *reader, int64_t offset)
{
	close_segment(reader);
	int64_t latest = pst_reader_latest(reader);
	int64_t earliest = pst_reader_earliest(reader);
	if (offset > latest)
		offset = latest;
	reader->want = offset < earliest ? earliest : offset;
}

static enum pst_read_result
damage(struct pst_reader *reader, struct pst_diag *diag, int64_t base, uint64_t pos,
	const char *what)
{
	char file[sizeof(diag->file)], name[PST_SEGMENT_NAME_BYTES];
	pst_segment_name(name, base, PST_SEGMENT_LOG);
	snprintf(file, sizeof(file), "%.200s/%.50s", reader->diag_file, name);
	reader->in_batch = false;
	pst_diag_set(diag, file, 0, NULL, NULL, "position %" PRIu64 ", offset %" PRId64 ": %s", pos,
		reader->want, what);
	return PST_READ_DAMAGE;
}

static const char *
verdict_text(enum pst_batch_verdict verdict)
{
	return verdict == PST_BATCH_OK ? "offsets do not follow" : pst_batch_verdict_name(verdict);
}

/* Base of the segment behind base; -1: none. Lists anew. */
static int64_t
next_base(struct pst_reader *reader, int64_t base)
{
	struct pst_reading *log = &reader->log;
	if (pst_reading_list(log) < 0)
		return -1;
	int i = pst_reading_segment_of(log, base);
	return i + 1 < (int)log->base_cnt ? log->bases[i + 1] : -1;
}

enum step {
	STEP_GO_ON,
	STEP_END,
	STEP_DAMAGE,
};

/* Opens the segment that want lies in and finds its batch. */
static enum step
find_want(struct pst_reader *reader, struct pst_diag *diag)
{
	struct pst_reading *log = &reader->log;
	uint64_t limit;
	int rc = pst_reading_list(log);
	int i = rc < 0 ? -1 : pst_reading_segment_of(log, reader->want);
	if (rc == 0 && i < 0) {
		/* Retired, or never there: on with the earliest that is. */
		if (log->base_cnt == 0 || log->bases[0] >= log->end.next_offset)
			return STEP_END;
		reader->want = log->bases[0];
		i = 0;
	}
	if (rc == 0) {
		reader->base = log->bases[i];
		rc = reader->file = pst_reading_file(log, reader->base, PST_SEGMENT_LOG);
	}
	if (rc == -ENOENT)
		return STEP_GO_ON; /* retired since it was listed */
	if (rc >= 0)
		rc = pst_reading_limit(log, reader->base, reader->file, &limit);
	if (rc < 0) {
		close_segment(reader);
		damage(reader, diag, reader->base, 0, strerror(-rc));
		return STEP_DAMAGE;
	}
	enum pst_find_result found = pst_reading_find(
		log, reader->base, reader->file, limit, reader->want, &reader->expected);
	reader->pos = log->scan.pos;
	if (found == PST_FIND_IO) {
		close_segment(reader);
		damage(reader, diag, reader->base, log->scan.batch_pos, strerror(-log->scan.error));
		return STEP_DAMAGE;
	}
	/* Behind its end or at a bad place: the next step is the same as when reading got there. */
	return STEP_GO_ON;
}

/* At the end of a segment's readable bytes. */
static enum step
pass_end(struct pst_reader *reader, struct pst_diag *diag)
{
	struct pst_reading *log = &reader->log;
	if (reader->base >= log->end.segment_base) {
		int rc = pst_reading_refresh(log);
		uint64_t limit = 0;
		if (rc == 0)
			rc = pst_reading_limit(log, reader->base, reader->file, &limit);
		if (rc == 0 && (reader->pos < limit || reader->base < log->end.segment_base))
			return STEP_GO_ON;
		if (rc == 0 && reader->want >= log->end.next_offset)
			return STEP_END;
		damage(reader, diag, reader->base, reader->pos,
			rc < 0 ? strerror(-rc) : "the file ends before the durable end");
		return STEP_DAMAGE;
	}
	int64_t next = next_base(reader, reader->base);
	if (next < 0) {
		damage(reader, diag, reader->base, reader->pos, "the next segment is missing");
		return STEP_DAMAGE;
	}
	close_segment(reader);
	/* What lies between was retired, or recovery has said that it is missing. */
	if (next > reader->want)
		reader->want = next;
	return STEP_GO_ON;
}

static enum step
open_batch(struct pst_reader *reader, struct pst_diag *diag)
{
	struct pst_reading *log = &reader->log;
	struct pst_scan *scan = &log->scan;
	uint64_t limit;
	int rc = pst_reading_limit(log, reader->base, reader->file, &limit);
	if (rc < 0) {
		damage(reader, diag, reader->base, reader->pos, strerror(-rc));
		return STEP_DAMAGE;
	}
	if (reader->pos >= limit)
		return pass_end(reader, diag);
	pst_scan_start(scan, reader->file, reader->pos, limit);
	enum pst_scan_result result = pst_scan_next(scan, true);
	enum pst_batch_verdict verdict = PST_BATCH_OK;
	if (result == PST_SCAN_BATCH && scan->info.base_offset == reader->expected) {
		verdict = pst_batch_decoder_open(
			reader->decoder, scan->data, scan->info.total_bytes);
		if (verdict == PST_BATCH_OK) {
			reader->in_batch = true;
			reader->batch_pos = reader->pos;
			reader->batch_base = reader->expected;
			reader->batch_last = pst_batch_last_offset(&scan->info);
			reader->pos = scan->pos;
			reader->expected = reader->batch_last + 1;
			return STEP_GO_ON;
		}
	} else if (result == PST_SCAN_BAD) {
		verdict = scan->verdict;
	} else if (result == PST_SCAN_IO) {
		damage(reader, diag, reader->base, reader->pos, strerror(-scan->error));
		return STEP_DAMAGE;
	}
	/* Bytes behind a closed segment's last batch: an unfinished trim, or damage that recovery
	 * could not set aside. The log goes on in the next segment. */
	if (reader->base < log->end.segment_base &&
		next_base(reader, reader->base) == reader->expected) {
		if (reader->want < reader->expected)
			reader->want = reader->expected;
		close_segment(reader);
		return STEP_GO_ON;
	}
	damage(reader, diag, reader->base, reader->pos, verdict_text(verdict));
	return STEP_DAMAGE;
}

enum pst_read_result
pst_reader_next(struct pst_reader *reader, struct pst_batch_record *record, struct pst_diag *diag)
{
	for (;;) {
		if (reader->in_batch) {
			enum pst_batch_verdict verdict;
			int rc = pst_batch_decoder_next(reader->decoder, record, &verdict);
			if (rc < 0) {
				/* The same again, until somebody seeks past it. */
				reader->pos = reader->batch_pos;
				reader->expected = reader->batch_base;
				return damage(reader, diag, reader->base, reader->pos,
					pst_batch_verdict_name(verdict));
			}
			if (rc == 0) {
				reader->in_batch = false;
				if (reader->want <= reader->batch_last)
					reader->want = reader->batch_last + 1;
			} else if (record->offset >= reader->want) {
				reader->want = record->offset + 1;
				return PST_READ_RECORD;
			}
			continue;
		}
		if (reader->want >= reader->log.end.next_offset) {
			pst_reading_refresh(&reader->log);
			if (reader->want >= reader->log.end.next_offset)
				return PST_READ_END;
		}
		enum step step = reader->file < 0 ? find_want(reader, diag)
						  : open_batch(reader, diag);
		if (step == STEP_END)
			return PST_READ_END;
		if (step == STEP_DAMAGE)
			return PST_READ_DAMAGE;
	}
}

int64_t
pst_reader_skip_damage(struct pst_reader *reader)
{
	struct pst_reading *log = &reader->log;
	int64_t next = -1;
	uint64_t limit;
	if (reader->file >= 0 && pst_reading_limit(log, reader->base, reader->file, &limit) == 0) {
		pst_scan_start(&log->scan, reader->file, reader->pos, limit);
		if (pst_reading_resync(log, reader->base, reader->pos, reader->want + 1) ==
			PST_FOUND_BATCH)
			next = log->scan.info.base_offset;
	}
	if (next < 0)
		next = next_base(reader, reader->base);
	if (next < 0 || next > log->end.next_offset)
		next = log->end.next_offset;
	close_segment(reader);
	reader->want = next;
	return next;
}

int64_t
pst_reader_offset_at(struct pst_reader *reader, int64_t timestamp_ms)
{
	struct pst_reading *log = &reader->log;
	close_segment(reader); /* the decoder is used below */
	if (pst_reading_refresh(log) < 0 || pst_reading_list(log) < 0)
		return -1;
	for (uint32_t i = 0; i < log->base_cnt && log->bases[i] <= log->end.segment_base; i++) {
		int64_t offset = pst_reading_offset_at(
			log, log->bases[i], reader->decoder, timestamp_ms);
		if (offset != INT64_MAX)
			return offset;
	}
	return log->end.next_offset;
}
