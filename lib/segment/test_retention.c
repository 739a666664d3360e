#include <errno.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "segment/test_fault.h"
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
	pst_datadir_checkpoint(f->dir);
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

static void
unlink_name(const struct fix *f, const char *name)
{
	char path[400];
	snprintf(path, sizeof(path), "%s/t-0/%s", f->path, name);
	cr_assert_eq(unlink(path), 0, "%s", path);
}

/* The log begins with offset first, and has every event up to next. */
static void
expect_events(const struct fix *f, int64_t first, int64_t next)
{
	struct pst_reader *reader;
	struct pst_batch_record record;
	struct pst_diag diag;
	cr_assert_eq(pst_reader_open(f->path, "t", 0, &reader, &diag), 0);
	cr_assert_eq(pst_reader_earliest(reader), first);
	pst_reader_seek(reader, first);
	for (int64_t o = first; o < next; o++) {
		cr_assert_eq(
			pst_reader_next(reader, &record, &diag), PST_READ_RECORD, "%s", diag.text);
		cr_assert_eq(record.offset, o);
		cr_assert_eq(record.value[0], 'a' + (int)(o / 2 + o % 2) % 26);
	}
	cr_assert_eq(pst_reader_next(reader, &record, &diag), PST_READ_END);
	pst_reader_close(reader);
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

/* A power loss would show the mark that is on disk: the segment that it lies in must be there. */
Test(retention, not_before_the_mark_has_gone_on)
{
	struct fix *f = fix_new(true);
	struct pst_log_config config = segments_of_three();
	struct fault fault;
	fault_init(&fault);
	config.retain_bytes = 1;
	fix_open_on(f, &fault.disk, &config);
	append_segments(f, 4);
	for (int i = 0; i < 10; i++) {
		f->now_ns += PST_HOUSEKEEPING_NS;
		fix_rest(f);
	}
	cr_assert_eq(stats_of(f).retired_segment_cnt, 0);
	fault.calls = FAULT_WRITE;
	fault.at = 1;
	fault.error = -ENOSPC;
	cr_assert_eq(pst_datadir_checkpoint(f->dir), -ENOSPC);
	f->now_ns += PST_HOUSEKEEPING_NS;
	fix_rest(f);
	cr_assert_eq(stats_of(f).retired_segment_cnt, 0, "the mark could not be written");
	housekeeping(f, 10);
	cr_assert_eq(stats_of(f).retired_segment_cnt, 3);
	cr_assert_eq(fix_close(f), 0);
	fault_fini(&fault);
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

/* Removing a segment takes four unlinks and a sync of the directory. A power loss in between leaves
 * any of the names: the log begins with the segment or behind it, and is whole. */
Test(retention, a_crash_at_any_step_of_a_removal)
{
	static const char *const names[] = {"00000000000000000000.log",
		"00000000000000000000.index", "00000000000000000000.timeindex",
		"00000000000000000000.seal"};
	struct fix *f = fix_new(true);
	struct pst_log_config config = segments_of_three();
	fix_open(f, &config);
	append_segments(f, 5);
	cr_assert_eq(pst_datadir_checkpoint(f->dir), 0);
	struct fix *before = fix_snapshot(f, true);
	fix_free(f);
	for (unsigned gone = 0; gone < 1u << PST_ARRAY_CNT(names); gone++) {
		struct fix *copy = fix_snapshot(before, true);
		for (unsigned i = 0; i < PST_ARRAY_CNT(names); i++)
			if (gone & 1u << i)
				unlink_name(copy, names[i]);
		int64_t first = gone & 1 ? 6 : 0;
		for (int again = 0; again < 2; again++) {
			fix_open(copy, &config);
			cr_assert(!again || copy->recovery.clean, "names %x: again", gone);
			cr_assert_eq(copy->recovery.next_offset, 30, "names %x", gone);
			cr_assert_eq(stats_of(copy).start_offset, first, "names %x", gone);
			expect_events(copy, first, 30);
			cr_assert_eq(fix_close(copy), 0);
			fix_expect_no_findings(copy, "a removal was interrupted");
			for (unsigned i = 0; first > 0 && i < PST_ARRAY_CNT(names); i++)
				cr_assert_not(
					fix_exists(copy, names[i]), "names %x: %s", gone, names[i]);
		}
		/* What was begun is ended, and counted. */
		config.retain_bytes = 30000;
		fix_open(copy, &config);
		uint64_t kept = stats_of(copy).log_bytes;
		housekeeping(copy, 20);
		cr_assert_eq(
			stats_of(copy).retired_segment_cnt, gone & 1 ? 2 : 3, "names %x", gone);
		cr_assert_eq(stats_of(copy).log_bytes + stats_of(copy).retired_bytes, kept);
		cr_assert_not(fix_exists(copy, names[0]));
		expect_events(copy, 18, 30);
		config.retain_bytes = 0;
		fix_free(copy);
	}
	fix_free(before);
}

/* The unlinks have ended, the directory's sync has not: what the next start finds is the same. */
Test(retention, a_crash_before_the_sync_of_the_directory)
{
	struct fix *f = fix_new(true);
	struct pst_log_config config = segments_of_three();
	struct fault fault;
	fault_init(&fault);
	fix_open_on(f, &fault.disk, &config);
	append_segments(f, 5);
	cr_assert_eq(pst_datadir_checkpoint(f->dir), 0);
	f->app->logs[f->log_idx]->retain_bytes = 20000;
	fault.hold = FAULT_QUEUE_SYNC;
	/* The unlinks are the kernel's to end; then the log waits for the sync, and nothing goes.
	 */
	for (unsigned more = 20, polls = 0; more > 0; polls++) {
		f->now_ns += PST_HOUSEKEEPING_NS;
		fix_poll(f);
		more -= stats_of(f).retired_segment_cnt > 0;
		cr_assert_lt(polls, 50000000, "nothing is removed");
	}
	cr_assert_eq(stats_of(f).retired_segment_cnt, 1, "the next waits for the sync");
	struct fix *copy = fix_snapshot(f, true);
	fix_open(copy, &config);
	cr_assert_eq(stats_of(copy).start_offset, 6);
	expect_events(copy, 6, 30);
	cr_assert_eq(fix_close(copy), 0);
	fix_expect_no_findings(copy, "a removal was interrupted");
	fix_free(copy);
	fault.hold = 0;
	fix_rest(f);
	fix_free(f);
	fault_fini(&fault);
}

/* Five segments, of which three are to go; the unlink of that number fails. */
static struct fix *
open_stubborn(struct fault *fault, const struct pst_log_config *config, unsigned at)
{
	struct fix *f = fix_new(true);
	fault_init(fault);
	fix_open_on(f, &fault->disk, config);
	append_segments(f, 5);
	f->app->logs[f->log_idx]->retain_bytes = 20000;
	fault->calls = FAULT_QUEUE_UNLINK;
	fault->error = -EPERM;
	fault->at = at;
	return f;
}

static void
expect_whole_after_crash(
	const struct fix *f, const struct pst_log_config *config, int64_t first, const char *why)
{
	struct fix *copy = fix_snapshot(f, true);
	fix_open(copy, config);
	expect_events(copy, first, 30);
	cr_assert_eq(fix_close(copy), 0);
	fix_expect_no_findings(copy, why);
	fix_free(copy);
}

/* The segment stays the oldest, nothing younger goes before it, a start finds no hole; and it is
 * tried again. */
Test(retention, what_cannot_be_removed_stays_the_oldest)
{
	struct pst_log_config config = segments_of_three();
	struct fault fault;
	struct fix *f = open_stubborn(&fault, &config, 1);
	uint64_t bytes = stats_of(f).log_bytes;
	housekeeping(f, 9);
	cr_assert_eq(fault.seen_cnt, 1);
	cr_assert_eq(stats_of(f).retire_failed_cnt, 1);
	cr_assert_eq(stats_of(f).retired_segment_cnt, 0);
	cr_assert_eq(stats_of(f).segment_cnt, 5);
	cr_assert_eq(stats_of(f).start_offset, 0);
	cr_assert_eq(stats_of(f).log_bytes, bytes, "its bytes are still there");
	expect_whole_after_crash(f, &config, 0, "a segment could not be removed");
	housekeeping(f, 20);
	cr_assert_eq(stats_of(f).retire_failed_cnt, 1);
	cr_assert_eq(stats_of(f).retired_segment_cnt, 3);
	cr_assert_eq(stats_of(f).start_offset, 18);
	cr_assert_eq(stats_of(f).log_bytes + stats_of(f).retired_bytes, bytes);
	expect_whole_after_crash(f, &config, 18, "it was tried again");
	fix_free(f);
	fault_fini(&fault);
}

/* Without its .log a segment is gone; the next start removes the rest. */
Test(retention, an_index_that_cannot_be_removed_holds_nothing_up)
{
	static const char *const names[] = {"00000000000000000000.index",
		"00000000000000000000.timeindex", "00000000000000000000.seal"};
	for (unsigned i = 0; i < PST_ARRAY_CNT(names); i++) {
		struct pst_log_config config = segments_of_three();
		struct fault fault;
		struct fix *f = open_stubborn(&fault, &config, 2 + i);
		housekeeping(f, 30);
		cr_assert_eq(fault.failed_cnt, 1);
		cr_assert(fix_exists(f, names[i]));
		cr_assert_eq(stats_of(f).retire_failed_cnt, 0);
		cr_assert_eq(stats_of(f).retired_segment_cnt, 3);
		expect_whole_after_crash(f, &config, 18, names[i]);
		cr_assert_eq(fix_close(f), 0);
		/* Not even then: it is in nobody's way. */
		fault.calls = FAULT_UNLINK;
		fault.at = 1;
		fault.for_ever = true;
		fault.failed_cnt = 0;
		fix_open_on(f, &fault.disk, &config);
		cr_assert_gt(fault.failed_cnt, 0);
		fault.at = 0;
		cr_assert(fix_exists(f, names[i]));
		cr_assert_eq(stats_of(f).start_offset, 18);
		cr_assert_eq(fix_close(f), 0);
		fix_open(f, &config);
		cr_assert_not(fix_exists(f, names[i]));
		fix_free(f);
		fault_fini(&fault);
	}
}

/* Nor for a long time, nor when the clock goes back: it is tried after one second, two, four. */
Test(retention, what_can_never_be_removed_is_tried_less_and_less)
{
	struct pst_log_config config = segments_of_three();
	struct fault fault;
	struct fix *f = open_stubborn(&fault, &config, 1);
	fault.for_ever = true;
	housekeeping(f, 100);
	cr_assert_eq(stats_of(f).retire_failed_cnt, 4, "%llu tries in ten seconds",
		(unsigned long long)stats_of(f).retire_failed_cnt);
	cr_assert_eq(stats_of(f).retired_segment_cnt, 0);
	f->now_ns -= 3600 * 1000 * MS;
	housekeeping(f, 2);
	cr_assert_eq(stats_of(f).retire_failed_cnt, 5);
	for (unsigned more = 0; more < 10; more++) {
		f->now_ns += PST_RETIRE_RETRY_MAX_NS;
		housekeeping(f, 1);
		cr_assert_eq(stats_of(f).retire_failed_cnt, 6 + more);
	}
	fault.at = 0;
	f->now_ns += PST_RETIRE_RETRY_MAX_NS;
	housekeeping(f, 9);
	cr_assert_eq(stats_of(f).retired_segment_cnt, 3);
	expect_events(f, 18, 30);
	fix_free(f);
	fault_fini(&fault);
}

/* A reader that has a segment open reads it to its end, though it is removed meanwhile; then it
 * goes on with the earliest that is left, and the offset says so. */
Test(retention, under_a_reader)
{
	struct fix *f = fix_new(true);
	struct pst_log_config config = segments_of_three();
	struct pst_reader *reader;
	struct pst_batch_record record;
	struct pst_diag diag;
	fix_open(f, &config);
	append_segments(f, 6);
	cr_assert_eq(pst_reader_open(f->path, "t", 0, &reader, &diag), 0);
	pst_reader_seek(reader, 0);
	for (int64_t o = 0; o < 3; o++) {
		cr_assert_eq(pst_reader_next(reader, &record, &diag), PST_READ_RECORD);
		cr_assert_eq(record.offset, o);
	}
	f->app->logs[f->log_idx]->retain_bytes = 30000;
	housekeeping(f, 20);
	cr_assert_not(fix_exists(f, "00000000000000000000.log"));
	int64_t start = stats_of(f).start_offset;
	cr_assert_geq(start, 18);
	for (int64_t o = 3; o < 6; o++) {
		cr_assert_eq(
			pst_reader_next(reader, &record, &diag), PST_READ_RECORD, "%s", diag.text);
		cr_assert_eq(record.offset, o, "it is not read to its end");
	}
	for (int64_t o = start; o < 36; o++) {
		cr_assert_eq(
			pst_reader_next(reader, &record, &diag), PST_READ_RECORD, "%s", diag.text);
		cr_assert_eq(record.offset, o);
	}
	cr_assert_eq(pst_reader_next(reader, &record, &diag), PST_READ_END);
	pst_reader_close(reader);
	fix_free(f);
}

static uint64_t
used_bytes(const struct fix *f)
{
	struct statvfs st;
	cr_assert_eq(statvfs(f->path, &st), 0);
	return (st.f_blocks - st.f_bfree) * st.f_frsize;
}

static uint64_t
bytes_of(const struct fix *f, int64_t base, enum pst_segment_file kind, uint64_t *allocated)
{
	char name[PST_SEGMENT_NAME_BYTES], path[400];
	struct stat st;
	pst_segment_name(name, base, kind);
	snprintf(path, sizeof(path), "%s/t-0/%s", f->path, name);
	cr_assert_eq(stat(path, &st), 0, "%s", path);
	*allocated += (uint64_t)st.st_blocks * 512;
	return (uint64_t)st.st_size;
}

static char own_mount[128];

static void
remove_own_mount(void)
{
	if (own_mount[0]) {
		umount2(own_mount, MNT_DETACH);
		fix_remove(own_mount);
	}
}

/* Bytes counted as reclaimed are the files' sizes, and the filesystem has their blocks back. */
Test(retention, reclaims_what_it_says, .fini = remove_own_mount)
{
	if (!fix_private_mounts())
		cr_skip_test("no mounts of our own here");
	fix_path(own_mount, false);
	if (mount("none", own_mount, "tmpfs", 0, "size=40m") != 0)
		cr_skip_test("cannot mount a tmpfs here");
	struct fix *f = fix_new(false);
	struct pst_log_config config = segments_of_three();
	fix_remove(f->path);
	snprintf(f->path, sizeof(f->path), "%.100s/data", own_mount);
	fix_open(f, &config);
	append_segments(f, 12);
	uint64_t bytes = 0, allocated = 0, before = used_bytes(f);
	for (int64_t base = 0; base < 9 * 6; base += 6) {
		uint64_t small = 0;
		bytes += bytes_of(f, base, PST_SEGMENT_LOG, &allocated);
		small += bytes_of(f, base, PST_SEGMENT_INDEX, &allocated);
		small += bytes_of(f, base, PST_SEGMENT_TIMEINDEX, &allocated);
		small += bytes_of(f, base, PST_SEGMENT_SEAL, &allocated);
		cr_assert_gt(small, 0);
	}
	/* Just what is left is to be kept. */
	f->app->logs[f->log_idx]->retain_bytes = stats_of(f).log_bytes - bytes;
	housekeeping(f, 40);
	cr_assert_eq(stats_of(f).retired_segment_cnt, 9);
	cr_assert_eq(stats_of(f).start_offset, 9 * 6);
	cr_assert_eq(stats_of(f).retired_bytes, bytes, "%llu counted, %llu by stat",
		(unsigned long long)stats_of(f).retired_bytes, (unsigned long long)bytes);
	cr_assert_eq(before - used_bytes(f), allocated, "%llu came back, %llu by stat",
		(unsigned long long)(before - used_bytes(f)), (unsigned long long)allocated);
	fix_free(f);
}
