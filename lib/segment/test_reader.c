#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "segment/test_fixture.h"

static struct pst_reader *
open_reader(const struct fix *f)
{
	struct pst_reader *reader;
	struct pst_diag diag;
	if (pst_reader_open(f->path, "t", 0, &reader, &diag) < 0)
		cr_assert_fail("%s: %s", diag.file, diag.text);
	return reader;
}

/* Reads to the end; returns how many records there were. Offsets must rise by one from first. */
static int64_t
read_all(struct pst_reader *reader, int64_t first)
{
	struct pst_batch_record record;
	struct pst_diag diag;
	int64_t next = first;
	enum pst_read_result r;
	while ((r = pst_reader_next(reader, &record, &diag)) == PST_READ_RECORD) {
		cr_assert_eq(record.offset, next, "offset %ld, not %ld", (long)record.offset,
			(long)next);
		next++;
	}
	if (r == PST_READ_DAMAGE)
		cr_assert_fail("%s: %s", diag.file, diag.text);
	return next - first;
}

static void
append_some(struct fix *f, unsigned cnt, uint32_t value_len)
{
	for (unsigned i = 0; i < cnt; i++) {
		fix_batch(f, 2, value_len, 1000 + f->taken_cnt);
		fix_append(f);
	}
}

Test(reader, sees_what_is_durable_and_no_more)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	config.segment_bytes_max = 50000;
	fix_open(f, &config);
	struct pst_reader *reader = open_reader(f);
	cr_assert_eq(read_all(reader, 0), 0);
	append_some(f, 20, 3000);
	fix_rest(f);
	cr_assert_eq(read_all(reader, 0), 40);
	/* Taken, perhaps written, not synced. */
	append_some(f, 3, 3000);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(pst_reader_latest(reader), 40);
	cr_assert_eq(read_all(reader, 40), 0);
	fix_rest(f);
	cr_assert_eq(read_all(reader, 40), 6);
	cr_assert_eq(pst_reader_earliest(reader), 0);
	for (int64_t o = 0; o <= 46; o++) {
		pst_reader_seek(reader, o);
		cr_assert_eq(read_all(reader, o), 46 - o);
	}
	cr_assert_eq(fix_close(f), 0);
	/* The daemon has gone; a new one comes, with memory of its own. */
	cr_assert_eq(read_all(reader, 46), 0);
	fix_open(f, &config);
	append_some(f, 20, 3000);
	fix_rest(f);
	cr_assert_eq(read_all(reader, 46), 40);
	cr_assert_eq(fix_close(f), 0);
	pst_reader_close(reader);
	reader = open_reader(f);
	cr_assert_eq(read_all(reader, 0), 86);
	pst_reader_close(reader);
	/* A copy without marks ends where its good batches end. */
	fix_forget_marks(f);
	reader = open_reader(f);
	cr_assert_eq(pst_reader_latest(reader), 86);
	cr_assert_eq(read_all(reader, 0), 86);
	pst_reader_close(reader);
	fix_free(f);
}

Test(reader, finds_by_time)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	config.segment_bytes_max = 50000;
	fix_open(f, &config);
	append_some(f, 60, 3000); /* batch i: offsets 2i, 2i+1, timestamp 1000 + i */
	fix_rest(f);
	struct pst_reader *reader = open_reader(f);
	for (int closed = 0; closed < 2; closed++) {
		for (int64_t i = 0; i < 60; i++)
			cr_assert_eq(pst_reader_offset_at(reader, 1000 + i), 2 * i);
		cr_assert_eq(pst_reader_offset_at(reader, -5), 0);
		cr_assert_eq(pst_reader_offset_at(reader, 1060), 120);
		if (!closed)
			cr_assert_eq(fix_close(f), 0);
	}
	pst_reader_close(reader);
	fix_free(f);
}
