#include <stdlib.h>
#include <unistd.h>

#include "segment/test_fixture.h"

#define LOG0 "00000000000000000000.log"

static void
append_some(struct fix *f, unsigned cnt, uint32_t value_len)
{
	for (unsigned i = 0; i < cnt; i++) {
		/* Timestamps that also go back. */
		fix_batch(f, 1 + i % 3, value_len, 1000 + (int64_t)(i * 7 % 11));
		fix_append(f);
	}
	fix_rest(f);
}

static void
expect_whole(const struct fix *f, int64_t next, bool open)
{
	int64_t got;
	const char *wrong = fix_check(f, &got, true, open);
	cr_assert_null(wrong, "%s", wrong);
	cr_assert_eq(got, next, "next offset %ld, not %ld", (long)got, (long)next);
}

Test(recovery, clean_close_needs_no_scan)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	fix_open(f, &config);
	cr_assert(f->recovery.clean);
	append_some(f, 30, 1500);
	int64_t next = 60;
	for (int round = 0; round < 4; round++) {
		cr_assert_eq(fix_close(f), 0);
		expect_whole(f, next, false);
		fix_open(f, &config);
		cr_assert(f->recovery.clean);
		cr_assert_eq(f->recovery.next_offset, next);
		cr_assert_eq(f->recovery.segment_cnt, 1);
		append_some(f, 3, 3000);
		next += 6;
	}
	cr_assert_eq(fix_close(f), 0);
	expect_whole(f, next, false);
	fix_free(f);
}

Test(recovery, of_what_a_killed_process_leaves)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	config.segment_bytes_max = 40000;
	fix_open(f, &config);
	append_some(f, 30, 1500);
	for (int marks = 0; marks < 2; marks++) {
		struct fix *copy = fix_snapshot(f, false);
		if (!marks)
			fix_forget_marks(copy);
		fix_open(copy, &config);
		cr_assert_not(copy->recovery.clean);
		cr_assert_eq(copy->recovery.next_offset, 60);
		cr_assert_eq(copy->recovery.cut_bytes, 0);
		cr_assert_eq(copy->recovery.set_aside_bytes, 0);
		append_some(copy, 3, 1500);
		cr_assert_eq(fix_close(copy), 0);
		expect_whole(copy, 66, false);
		fix_free(copy);
	}
	fix_free(f);
}
