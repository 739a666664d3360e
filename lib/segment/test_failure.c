#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "segment/test_fault.h"
#include "segment/test_fixture.h"
#include "segment/verify/verify.h"

#define BATCH_CNT 24

static struct pst_log_config
small_segments(void)
{
	struct pst_log_config config = fix_log_config();
	config.segment_bytes_max = 30000;
	config.retain_bytes = 100000;
	return config;
}

/* Appends batches of two records, with rests between; stops at nothing. */
static void
append_through(struct fix *f, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++) {
		fix_batch(f, 2, 1500 + 700 * (i % 3), 1000 + i);
		fix_append(f);
		if (i % 4 > 1)
			fix_rest(f);
	}
	fix_rest(f);
	cr_assert_eq(f->result->done_cnt, f->taken_cnt);
}

/* All that was acknowledged is there, at its offset; the log is whole. */
static void
expect_acknowledged(struct fix *f, const char *what)
{
	struct pst_reader *reader;
	struct pst_batch_record record;
	struct pst_diag diag;
	struct pst_verify_totals totals;
	cr_assert_eq(pst_reader_open(f->path, "t", 0, &reader, &diag), 0, "%s", what);
	int64_t earliest = pst_reader_earliest(reader);
	for (unsigned i = 0; i < f->taken_cnt; i++) {
		if (f->result->status[i] != PST_APPEND_DURABLE ||
			f->result->base_offset[i] < earliest)
			continue;
		pst_reader_seek(reader, f->result->base_offset[i]);
		for (int r = 0; r < 2; r++) {
			cr_assert_eq(pst_reader_next(reader, &record, &diag), PST_READ_RECORD,
				"%s: batch %u: %s", what, i, diag.text);
			cr_assert_eq(record.offset, f->result->base_offset[i] + r, "%s", what);
			cr_assert_eq(
				record.value[0], 'a' + ((int)i + r) % 26, "%s: batch %u", what, i);
		}
	}
	pst_reader_close(reader);
	cr_assert_eq(pst_verify(f->path, stderr, &totals), 0, "%s", what);
	cr_assert_eq(totals.finding_cnt, 0, "%s", what);
}

/* One run with the fault, then a start on a disk that works. False: the fault was never reached. */
static bool
run_with_fault(struct fault *fault, const char *what)
{
	struct fix *f = fix_new(true);
	struct pst_log_config config = small_segments();
	struct pst_diag diag;
	bool reached;
	f->taken_cnt = 0;
	if (fix_try_open(f, &fault->disk, &config, &diag) == 0) {
		append_through(f, BATCH_CNT);
		struct pst_log_stats stats;
		pst_log_stats(f->app, f->log_idx, &stats);
		/* After a failed sync nothing is acknowledged. */
		if (stats.failed) {
			unsigned before = f->taken_cnt;
			fix_batch(f, 2, 100, 1);
			fix_append(f);
			fix_rest(f);
			cr_assert_eq(
				f->result->status[before], PST_APPEND_WRITE_FAILED, "%s", what);
		}
		fix_close(f);
	} else {
		cr_assert_neq(diag.text[0], '\0', "%s", what);
	}
	reached = fault->failed_cnt > 0;
	fix_open(f, &config);
	expect_acknowledged(f, what);
	append_through(f, 4);
	for (unsigned i = f->taken_cnt - 4; i < f->taken_cnt; i++)
		cr_assert_eq(f->result->status[i], PST_APPEND_DURABLE, "%s", what);
	cr_assert_eq(fix_close(f), 0);
	expect_acknowledged(f, what);
	fix_free(f);
	return reached;
}

static void
every_call(int error, bool for_ever, unsigned calls)
{
	for (unsigned n = 1;; n++) {
		struct fault fault;
		char what[64];
		fault_init(&fault);
		fault.calls = calls;
		fault.at = n;
		fault.error = error;
		fault.for_ever = for_ever;
		snprintf(what, sizeof(what), "error %d%s at call %u", error,
			for_ever ? " for ever" : "", n);
		bool reached = run_with_fault(&fault, what);
		fault_fini(&fault);
		if (!reached) {
			cr_assert_gt(n, 10, "only %u calls", n);
			break;
		}
	}
}

Test(failure, of_every_call_once_eio)
{
	every_call(-EIO, false, FAULT_ANY);
}

Test(failure, of_every_call_for_ever_eio)
{
	every_call(-EIO, true, FAULT_ANY);
}

Test(failure, of_every_call_once_enospc)
{
	every_call(-ENOSPC, false, FAULT_ANY);
}

Test(failure, of_every_write_for_ever_enospc)
{
	every_call(-ENOSPC, true,
		FAULT_WRITE | FAULT_ALLOCATE | FAULT_MKDIR | FAULT_OPEN | FAULT_QUEUE_WRITE);
}

Test(failure, of_queued_calls_cancelled)
{
	every_call(-ECANCELED, false, FAULT_QUEUE_WRITE | FAULT_QUEUE_SYNC);
	every_call(-EAGAIN, false, FAULT_QUEUE_WRITE);
	every_call(-EINTR, false, FAULT_QUEUE_WRITE);
}

Test(failure, short_writes)
{
	every_call(0, false, FAULT_QUEUE_WRITE);
	every_call(0, true, FAULT_QUEUE_WRITE);
}
