#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "segment/test_fixture.h"

#define MS  UINT64_C(1000000)
#define DAY (UINT64_C(86400000) * MS)

/* Segments of three batches of about 6 KB, their timestamps the clock's. */
static void
append_segments(struct fix *f, unsigned cnt)
{
	for (unsigned i = 0; i < 3 * cnt; i++) {
		fix_batch(f, 2, 3000, (int64_t)(f->now_ns / MS));
		fix_append(f);
		fix_rest(f);
		f->now_ns += 1000 * MS;
	}
}

static struct pst_log_stats
stats_of(struct fix *f)
{
	struct pst_log_stats stats;
	pst_log_stats(f->app, f->log_idx, &stats);
	return stats;
}

static void
housekeeping(struct fix *f, unsigned cnt)
{
	while (cnt-- > 0) {
		f->now_ns += PST_HOUSEKEEPING_NS;
		fix_rest(f);
	}
}

static struct pst_log_config
segments_of_three(void)
{
	struct pst_log_config config = fix_log_config();
	config.segment_bytes_max = 20000;
	return config;
}

Test(retention, by_bytes)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = segments_of_three();
	config.retain_bytes = 60000;
	fix_open(f, &config);
	append_segments(f, 12);
	housekeeping(f, 20);
	struct pst_log_stats s = stats_of(f);
	/* At least what was asked for is kept, and less than a segment more. */
	cr_assert_geq(s.log_bytes, 60000);
	cr_assert_lt(s.log_bytes, 60000 + 20000);
	cr_assert_eq(s.retired_segment_cnt + s.segment_cnt, 12);
	cr_assert_eq(s.start_offset, 6 * (int64_t)s.retired_segment_cnt);
	cr_assert_eq(fix_close(f), 0);
	int64_t next;
	cr_assert_null(fix_check(f, &next, true, false));
	cr_assert_eq(next, 72);
	cr_assert_not(fix_exists(f, "00000000000000000000.log"));
	cr_assert_not(fix_exists(f, "00000000000000000000.index"));
	cr_assert_not(fix_exists(f, "00000000000000000000.timeindex"));
	/* The next run counts what it finds. */
	config.retain_bytes = 20000;
	fix_open(f, &config);
	cr_assert_eq(stats_of(f).segment_cnt, s.segment_cnt);
	cr_assert_eq(stats_of(f).log_bytes, s.log_bytes);
	housekeeping(f, 20);
	cr_assert_lt(stats_of(f).log_bytes, 40000);
	fix_free(f);
}

Test(retention, by_age_and_not_while_held)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = segments_of_three();
	config.retain_age_ns = DAY;
	fix_open(f, &config);
	append_segments(f, 4);
	housekeeping(f, 10);
	cr_assert_eq(stats_of(f).retired_segment_cnt, 0);
	/* The clock is set forward by two days: nobody knows yet whether that is true. */
	f->now_ns += 2 * DAY;
	pst_appender_hold_retention(f->app, true);
	housekeeping(f, 10);
	cr_assert_eq(stats_of(f).retired_segment_cnt, 0);
	pst_appender_hold_retention(f->app, false);
	housekeeping(f, 10);
	cr_assert_eq(stats_of(f).retired_segment_cnt, 3); /* not the one that is written */
	cr_assert_eq(stats_of(f).segment_cnt, 1);
	fix_free(f);
}

Test(retention, by_age_of_segments_of_an_earlier_run)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = segments_of_three();
	config.retain_age_ns = DAY;
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	f->now_ns = (uint64_t)now.tv_sec * 1000 * MS;
	fix_open(f, &config);
	append_segments(f, 4);
	cr_assert_eq(fix_close(f), 0);
	fix_open(f, &config);
	housekeeping(f, 10);
	cr_assert_eq(stats_of(f).retired_segment_cnt, 0);
	f->now_ns += DAY + 3600 * 1000 * MS;
	housekeeping(f, 10);
	cr_assert_eq(stats_of(f).retired_segment_cnt, 3);
	fix_free(f);
}

Test(retention, cap_of_the_directory_takes_the_oldest)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = segments_of_three(), other = segments_of_three();
	struct pst_appender *second;
	struct pst_recovery recovery;
	struct pst_diag diag;
	struct pst_append_done done[4];
	other.partition = 1;
	fix_open(f, &config);
	struct pst_appender_config app = {.dir = f->dir, .piece_cnt = 4};
	cr_assert_eq(pst_appender_create(&app, &second, &diag), 0);
	cr_assert_eq(pst_appender_add(second, &other, &recovery, &diag), 0);
	append_segments(f, 4); /* older */
	struct pst_appender *first = f->app;
	f->app = second;
	append_segments(f, 4); /* younger, by another appender */
	f->app = first;
	pst_datadir_retain(f->dir, 100000);
	for (unsigned i = 0; i < 40; i++) {
		housekeeping(f, 1);
		pst_appender_poll(second, f->now_ns, done, 4);
	}
	struct pst_log_stats a, b;
	pst_log_stats(first, 0, &a);
	pst_log_stats(second, 0, &b);
	cr_assert_leq(a.log_bytes + b.log_bytes, 100000);
	cr_assert_gt(a.log_bytes + b.log_bytes, 80000);
	cr_assert_eq(a.retired_segment_cnt, 3);
	cr_assert_eq(b.retired_segment_cnt, 0);
	cr_assert(pst_appender_idle(second));
	cr_assert_eq(pst_appender_destroy(second), 0);
	fix_free(f);
}

Test(roll, by_age_also_when_idle)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	config.segment_age_max_ns = 3600 * 1000 * MS;
	fix_open(f, &config);
	housekeeping(f, 3);
	f->now_ns += DAY;
	housekeeping(f, 3);
	cr_assert_eq(stats_of(f).segment_cnt, 1, "an empty segment does not roll");
	append_segments(f, 1);
	f->now_ns += 3500 * 1000 * MS;
	housekeeping(f, 3);
	cr_assert_eq(stats_of(f).segment_cnt, 1);
	f->now_ns += 200 * 1000 * MS;
	housekeeping(f, 3);
	cr_assert_eq(stats_of(f).segment_cnt, 2);
	cr_assert_eq(fix_close(f), 0);
	cr_assert(fix_exists(f, "00000000000000000006.log"));
	/* The age of a segment counts on over a restart. */
	fix_open(f, &config);
	append_segments(f, 1);
	cr_assert_eq(fix_close(f), 0);
	fix_open(f, &config);
	f->now_ns += 3700 * 1000 * MS;
	housekeeping(f, 3);
	cr_assert_eq(stats_of(f).segment_cnt, 3);
	fix_free(f);
}

/* What is reserved ahead is given back when a segment is closed. */
Test(roll, gives_back_what_was_reserved)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	char path[256];
	struct stat st;
	fix_open(f, &config);
	append_segments(f, 2);
	snprintf(path, sizeof(path), "%s/t-0/00000000000000000000.log", f->path);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_geq(st.st_blocks * 512, 1024 * 1024, "nothing was reserved");
	cr_assert_geq(st.st_size, 1024 * 1024, "writes would extend the file");
	cr_assert_eq(fix_close(f), 0);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_lt(st.st_size, 100000);
	cr_assert_lt(st.st_blocks * 512, 100000);
	fix_free(f);
}
