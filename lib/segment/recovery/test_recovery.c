#include <stdlib.h>
#include <unistd.h>

#include "segment/test_fixture.h"

#define LOG0 "00000000000000000000.log"

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
	fix_append_some(f, 30, 1500);
	int64_t next = 60;
	for (int round = 0; round < 4; round++) {
		cr_assert_eq(fix_close(f), 0);
		expect_whole(f, next, false);
		fix_open(f, &config);
		cr_assert(f->recovery.clean);
		cr_assert_eq(f->recovery.next_offset, next);
		cr_assert_eq(f->recovery.segment_cnt, 1);
		fix_append_some(f, 3, 3000);
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
	fix_append_some(f, 30, 1500);
	for (int marks = 0; marks < 2; marks++) {
		struct fix *copy = fix_snapshot(f, false);
		if (!marks)
			fix_forget_marks(copy);
		fix_open(copy, &config);
		cr_assert_not(copy->recovery.clean);
		cr_assert_eq(copy->recovery.next_offset, 60);
		cr_assert_eq(copy->recovery.cut_bytes, 0);
		cr_assert_eq(copy->recovery.set_aside_bytes, 0);
		fix_append_some(copy, 3, 1500);
		cr_assert_eq(fix_close(copy), 0);
		expect_whole(copy, 66, false);
		fix_free(copy);
	}
	fix_free(f);
}

Test(recovery, rebuilds_indexes)
{
	static const char *const names[] = {"00000000000000000000.index",
		"00000000000000000000.timeindex", "00000000000000000018.index",
		"00000000000000000018.timeindex", "00000000000000000036.index",
		"00000000000000000036.timeindex"};
	struct fix *f = fix_new(true);
	struct pst_log_config config = fix_log_config();
	config.segment_bytes_max = 30000;
	fix_open(f, &config);
	for (unsigned i = 0; i < 24; i++) {
		fix_batch(f, 2, 1600, 1000 + i);
		fix_append(f);
	}
	fix_rest(f);
	cr_assert_eq(fix_close(f), 0);
	for (size_t i = 0; i < PST_ARRAY_CNT(names); i++) {
		for (int how = 0; how < 3; how++) {
			struct fix *copy = fix_snapshot(f, true);
			char command[512];
			snprintf(command, sizeof(command),
				how == 0   ? "rm %s/t-0/%s"
				: how == 1 ? "truncate -s -5 %s/t-0/%s"
					   : "printf xxxxx >>%s/t-0/%s",
				copy->path, names[i]);
			cr_assert_eq(system(command), 0);
			fix_open(copy, &config);
			cr_assert_eq(copy->recovery.next_offset, 48);
			cr_assert_not(copy->recovery.clean);
			cr_assert_geq(copy->recovery.index_rebuilt_cnt, 1, "%s", command);
			cr_assert_eq(fix_close(copy), 0);
			expect_whole(copy, 48, false);
			fix_free(copy);
		}
	}
	fix_free(f);
}

Test(recovery, completes_an_unfinished_trim)
{
	struct fix *f = fix_new(true);
	struct pst_log_config config = fix_log_config();
	config.segment_bytes_max = 30000;
	fix_open(f, &config);
	fix_append_some(f, 6, 1600);
	cr_assert_eq(pst_datadir_checkpoint(f->dir), 0);
	fix_append_some(f, 24, 1600);
	struct fix *copy = fix_snapshot(f, true);
	size_t len;
	uint8_t *log = fix_file(copy, LOG0, &len);
	log = realloc(log, len + 8192);
	memset(log + len, 0, 8192);
	fix_write_file(copy, LOG0, log, len + 8192);
	fix_open(copy, &config);
	cr_assert(fix_recovery_says(copy, "trim of segment 0 completed"));
	cr_assert_eq(copy->recovery.next_offset, 60);
	cr_assert_eq(copy->recovery.cut_bytes, 0);
	cr_assert_eq(fix_close(copy), 0);
	expect_whole(copy, 60, false);
	free(log);
	fix_free(copy);
	fix_free(f);
}

Test(recovery, removes_leftovers_and_nothing_else)
{
	struct fix *f = fix_new(true);
	struct pst_log_config config = fix_log_config();
	fix_open(f, &config);
	fix_append_some(f, 3, 300);
	cr_assert_eq(fix_close(f), 0);
	fix_write_file(f, "00000000000000000099.index", "12345678", 8);
	fix_write_file(f, "00000000000000000000.log.damaged-5-00000000.tmp", "x", 1);
	fix_write_file(f, "00000000000000000000.log.damaged-5-00000001", "x", 1);
	fix_write_file(f, "leader-epoch-checkpoint", "0\n1\n0 0\n", 8);
	fix_open(f, &config);
	cr_assert_eq(f->recovery.next_offset, 6);
	cr_assert_eq(fix_close(f), 0);
	char *names = fix_names(f);
	cr_assert_str_eq(names, "00000000000000000000.index 00000000000000000000.log "
				"00000000000000000000.log.damaged-5-00000001 "
				"00000000000000000000.seal 00000000000000000000.timeindex "
				"leader-epoch-checkpoint");
	free(names);
	fix_free(f);
}

Test(recovery, of_segments_that_overlap)
{
	struct fix *f = fix_new(true);
	struct pst_log_config config = fix_log_config();
	config.segment_bytes_max = 30000;
	fix_open(f, &config);
	for (unsigned i = 0; i < 24; i++) {
		fix_batch(f, 2, 1600, 1000 + i);
		fix_append(f);
	}
	fix_rest(f);
	cr_assert_eq(fix_close(f), 0);
	fix_forget_marks(f);
	size_t len;
	uint8_t *log = fix_file(f, "00000000000000000018.log", &len);
	fix_write_file(f, "00000000000000000010.log", log, len);
	fix_write_file(f, "00000000000000000020.log", log, 0);
	fix_open(f, &config);
	cr_assert_eq(f->recovery.next_offset, 48);
	cr_assert_eq(f->recovery.set_aside_bytes, len);
	cr_assert_eq(fix_close(f), 0);
	cr_assert_not(fix_exists(f, "00000000000000000010.log"));
	cr_assert_not(fix_exists(f, "00000000000000000020.log"));
	expect_whole(f, 48, false);
	fix_expect_no_findings(f, "recovered");
	free(log);
	fix_free(f);
}
