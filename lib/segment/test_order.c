/* What happens in which order: nothing is acknowledged, made or removed before what it stands on is
 * on disk. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "segment/test_fault.h"
#include "segment/test_fixture.h"

#define LOG0 "00000000000000000000.log"

static void
polls(struct fix *f, unsigned cnt)
{
	while (cnt-- > 0) {
		pst_appender_flush(f->app);
		fix_poll(f);
	}
}

/* Polls until such an event is seen from idx on. */
static void
poll_until(struct fix *f, const struct fault *fault, unsigned idx, enum fault_call call, bool ended)
{
	unsigned cnt = 0;
	while (fault_find(fault, idx, call, ended, -1, NULL) == fault->event_cnt) {
		polls(f, 1);
		cr_assert_lt(++cnt, 50000000, "it never comes");
	}
}

static int64_t
latest(const struct fix *f)
{
	struct pst_reader *reader;
	struct pst_diag diag;
	cr_assert_eq(pst_reader_open(f->path, "t", 0, &reader, &diag), 0);
	int64_t offset = pst_reader_latest(reader);
	pst_reader_close(reader);
	return offset;
}

static void
append(struct fix *f, unsigned cnt, uint32_t value_len)
{
	while (cnt-- > 0) {
		fix_batch(f, 2, value_len, 1000 + f->taken_cnt);
		fix_append(f);
	}
}

Test(order, acknowledged_after_the_sync)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	struct fault fault;
	fault_init(&fault);
	fix_open_on(f, &fault.disk, &config);
	fault.hold = FAULT_QUEUE_SYNC;
	append(f, 5, 3000);
	poll_until(f, &fault, 0, FAULT_QUEUE_SYNC, false);
	polls(f, 1000);
	cr_assert_eq(f->result->done_cnt, 0);
	cr_assert_eq(latest(f), 0);
	fault.hold = 0;
	fix_rest(f);
	cr_assert_eq(f->result->done_cnt, 5);
	cr_assert_eq(latest(f), 10);
	fix_free(f);
	fault_fini(&fault);
}

Test(order, synced_after_the_writes_it_covers)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	struct fault fault;
	fault_init(&fault);
	fix_open_on(f, &fault.disk, &config);
	fault.hold = FAULT_QUEUE_WRITE;
	append(f, 5, 3000);
	polls(f, 5000);
	cr_assert_eq(fault_find(&fault, 0, FAULT_QUEUE_SYNC, false, -1, NULL), fault.event_cnt);
	fault.hold = 0;
	fix_rest(f);
	unsigned write = fault_find(&fault, 0, FAULT_QUEUE_WRITE, true, -1, NULL);
	unsigned sync = fault_find(&fault, 0, FAULT_QUEUE_SYNC, false, -1, NULL);
	cr_assert(write < sync && sync < fault.event_cnt);
	fix_free(f);
	fault_fini(&fault);
}

/* Written is when the write was seen complete: not when it was handed over, not when it was
 * synced. */
Test(order, written_is_between_the_write_and_the_sync)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	struct fault fault;
	config.segment_bytes_max = 8 * 1024 * 1024;
	fault_init(&fault);
	fix_open_on(f, &fault.disk, &config);
	for (unsigned round = 0; round < 3; round++) {
		unsigned begin = fault.event_cnt, first = f->taken_cnt;
		unsigned cnt = 5 + 10 * round; /* up to three pieces */
		fault.hold = FAULT_QUEUE_WRITE | FAULT_QUEUE_SYNC;
		append(f, cnt, 3000 + 28000 * round);
		polls(f, 1000);
		uint64_t before_ns = f->now_ns;
		fault.hold = FAULT_QUEUE_SYNC;
		poll_until(f, &fault, begin, FAULT_QUEUE_SYNC, false);
		uint64_t after_ns = f->now_ns;
		polls(f, 1000);
		cr_assert_eq(f->result->done_cnt, first);
		fault.hold = 0;
		fix_rest(f);
		cr_assert_eq(f->result->done_cnt, first + cnt);
		for (unsigned i = first; i < first + cnt; i++) {
			cr_assert_gt(f->result->written_ns[i], before_ns, "batch %u", i);
			cr_assert_leq(f->result->written_ns[i], after_ns, "batch %u", i);
		}
	}
	fix_free(f);
	fault_fini(&fault);
}

/* The disk of the test asserts that no two writes to a block are in flight. */
Test(order, blocks_are_rewritten_one_write_at_a_time)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	struct fault fault;
	config.segment_bytes_max = 8 * 1024 * 1024;
	fault_init(&fault);
	fix_open_on(f, &fault.disk, &config);
	for (unsigned round = 0; round < 5; round++) {
		/* A part of a piece is being written when the rest of it comes. */
		unsigned begun = fault.event_cnt;
		fault.hold = FAULT_QUEUE_WRITE;
		append(f, 1, 37);
		polls(f, 2);
		cr_assert_lt(fault_find(&fault, begun, FAULT_QUEUE_WRITE, false, -1, NULL),
			fault.event_cnt, "nothing is being written");
		append(f, 10, 60000);
		polls(f, 10);
		fault.hold = 0;
		fix_rest(f);
	}
	for (unsigned i = 0; i < f->taken_cnt; i++)
		cr_assert_eq(f->result->status[i], PST_APPEND_DURABLE);
	cr_assert_eq(fix_close(f), 0);
	int64_t next;
	cr_assert_null(fix_check(f, &next, true, false));
	cr_assert_eq(next, 5 * 22);
	fix_free(f);
	fault_fini(&fault);
}

/* Every write of the part-filled block repeats the acknowledged bytes. */
Test(order, acknowledged_bytes_never_change)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	uint8_t *before = NULL;
	size_t before_len = 0;
	fix_open(f, &config);
	for (unsigned i = 0; i < 60; i++) {
		size_t len;
		append(f, 1, 100 + i);
		fix_rest(f);
		uint8_t *now = fix_file(f, LOG0, &len);
		struct pst_log_stats stats;
		pst_log_stats(f->app, f->log_idx, &stats);
		cr_assert(len % PST_BLOCK_BYTES == 0 && len >= stats.log_bytes);
		cr_assert(before_len == 0 || memcmp(before, now, before_len) == 0);
		for (size_t p = stats.log_bytes; p < len; p++)
			cr_assert_eq(now[p], 0);
		free(before);
		before = now;
		before_len = stats.log_bytes;
	}
	free(before);
	fix_free(f);
}

Test(order, of_a_roll)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	struct fault fault;
	config.segment_bytes_max = 20000;
	fault_init(&fault);
	fix_open_on(f, &fault.disk, &config);
	unsigned open = fault_find(&fault, 0, FAULT_OPEN, true, -1, LOG0);
	const struct pst_log *log = f->app->logs[f->log_idx];
	int old = fault.events[open].file, dir = log->dir;
	const char *name = "00000000000000000006.log";
	unsigned create, cnt = 0;
	fault.hold = FAULT_QUEUE_SYNC;
	fault.hold_file = dir;
	append(f, 5, 3000); /* three fit */
	/* Until the new one waits for nothing but the directory. */
	do {
		polls(f, 1);
		cr_assert_lt(++cnt, 50000000, "it is never made");
		create = fault_find(&fault, 0, FAULT_OPEN, true, -1, name);
	} while (create == fault.event_cnt || log->index_sync_cnt > 0);
	polls(f, 1000);
	fault.hold = 0;
	fix_rest(f);
	int new = fault.events[create].file;
	/* The first ones reserve space. */
	unsigned truncate = open, t = open;
	while ((t = fault_find(&fault, t + 1, FAULT_TRUNCATE, true, old, NULL)) < create)
		truncate = t;
	unsigned sync = fault_find(&fault, truncate, FAULT_QUEUE_SYNC, true, old, NULL);
	unsigned written = 0, w = open;
	while ((w = fault_find(&fault, w + 1, FAULT_QUEUE_WRITE, true, old, NULL)) < create)
		written = w;
	unsigned name_sync = fault_find(&fault, create, FAULT_QUEUE_SYNC, true, dir, NULL);
	unsigned first_write = fault_find(&fault, create, FAULT_QUEUE_WRITE, false, new, NULL);
	cr_assert(written > open && written < truncate, "old: %u written, %u truncated", written,
		truncate);
	cr_assert_lt(sync, create, "the old segment is synced before the new one is made");
	cr_assert_lt(name_sync, first_write, "its name is synced before it is written");
	cr_assert_lt(first_write, fault.event_cnt);
	fix_free(f);
	fault_fini(&fault);
}

Test(order, others_go_on_while_one_rolls)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config(), other = fix_log_config();
	struct fault fault;
	struct pst_diag diag;
	struct pst_recovery recovery;
	config.segment_bytes_max = 20000;
	other.partition = 1;
	fault_init(&fault);
	fix_open_on(f, &fault.disk, &config);
	int other_idx = pst_appender_add(f->app, &other, &recovery, &diag);
	cr_assert_geq(other_idx, 0);
	int first_idx = f->log_idx;
	append(f, 3, 3000);
	fix_rest(f);
	/* The roll hangs in the sync of its old segment; what comes for the new one is taken. */
	fault.hold = FAULT_QUEUE_SYNC;
	append(f, 2, 3000);
	unsigned held = fault.event_cnt;
	poll_until(f, &fault, held, FAULT_QUEUE_SYNC, false);
	cr_assert_eq(f->result->done_cnt, 3);
	held = fault.event_cnt;
	f->log_idx = other_idx;
	append(f, 1, 3000);
	poll_until(f, &fault, held, FAULT_QUEUE_WRITE, true);
	f->log_idx = first_idx;
	fault.hold = 0;
	fix_rest(f);
	cr_assert_eq(f->result->done_cnt, 6);
	fix_free(f);
	fault_fini(&fault);
}

Test(order, a_failed_sync_is_final)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	struct fault fault;
	fault_init(&fault);
	fix_open_on(f, &fault.disk, &config);
	append(f, 2, 3000);
	fix_rest(f);
	fault.calls = FAULT_QUEUE_SYNC;
	fault.seen_cnt = 0;
	fault.at = 1; /* the next one only: those after it would say that all is well */
	fault.error = -EIO;
	append(f, 3, 3000);
	fix_rest(f);
	unsigned after = fault.event_cnt;
	append(f, 3, 3000);
	fix_rest(f);
	polls(f, 1000);
	cr_assert_eq(fault.event_cnt, after, "the disk was touched again");
	for (unsigned i = 0; i < 8; i++)
		cr_assert_eq(f->result->status[i], i < 2   ? PST_APPEND_DURABLE
						   : i < 5 ? PST_APPEND_SYNC_FAILED
							   : PST_APPEND_WRITE_FAILED);
	struct pst_log_stats stats;
	pst_log_stats(f->app, f->log_idx, &stats);
	cr_assert(stats.failed);
	cr_assert_eq(stats.durable_offset, 4);
	cr_assert_eq(stats.sync_failed_cnt, 3);
	cr_assert_eq(stats.write_failed_cnt, 3);
	cr_assert_eq(latest(f), 4);
	cr_assert_lt(fix_close(f), 0);
	cr_assert_eq(fault_find(&fault, after, FAULT_TRUNCATE, true, -1, NULL), fault.event_cnt);
	fix_free(f);
	fault_fini(&fault);
}

Test(order, a_failed_sync_ends_the_directory)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config(), other = fix_log_config();
	struct pst_diag diag;
	struct pst_recovery recovery;
	struct fault fault;
	other.partition = 1;
	fault_init(&fault);
	fix_open_on(f, &fault.disk, &config);
	int other_idx = pst_appender_add(f->app, &other, &recovery, &diag);
	fault.calls = FAULT_QUEUE_SYNC;
	fault.at = 1;
	fault.error = -EIO;
	append(f, 1, 3000);
	fix_rest(f);
	f->log_idx = other_idx;
	append(f, 1, 3000);
	fix_rest(f);
	cr_assert_eq(f->result->status[0], PST_APPEND_SYNC_FAILED);
	cr_assert_eq(f->result->status[1], PST_APPEND_WRITE_FAILED);
	fix_free(f);
	fault_fini(&fault);
}

/* The kernel tells of lost data once, and only the file that asks first. */
Test(order, a_sync_beside_a_failed_one_counts_for_nothing)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config(), other = fix_log_config();
	struct pst_diag diag;
	struct pst_recovery recovery;
	struct fault fault;
	other.partition = 1;
	fault_init(&fault);
	fix_open_on(f, &fault.disk, &config);
	int other_idx = pst_appender_add(f->app, &other, &recovery, &diag);
	fault.calls = FAULT_QUEUE_SYNC;
	fault.seen_cnt = 0;
	fault.at = 2; /* while the first one is under way */
	fault.error = -EIO;
	append(f, 1, 3000);
	f->log_idx = other_idx;
	append(f, 1, 3000);
	/* Both writes end, then both syncs are begun, and end: the failed one is reaped first. */
	for (int i = 0; i < 3; i++) {
		polls(f, 1);
		usleep(300000);
	}
	cr_assert_eq(fault.failed_cnt, 1);
	fix_rest(f);
	cr_assert_eq(f->result->status[0], PST_APPEND_SYNC_FAILED);
	cr_assert_eq(f->result->status[1], PST_APPEND_SYNC_FAILED);
	fix_free(f);
	fault_fini(&fault);
}

Test(order, a_full_disk_costs_what_was_not_durable)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	struct fault fault;
	config.segment_bytes_max = 64 * 1024 * 1024;
	fault_init(&fault);
	fix_open_on(f, &fault.disk, &config);
	append(f, 2, 3000);
	fix_rest(f);
	/* Writes of three pieces in flight, the second of them fails. */
	fault.hold = FAULT_QUEUE_WRITE;
	fault.calls = FAULT_QUEUE_WRITE;
	fault.seen_cnt = 0;
	fault.at = 2;
	fault.error = -ENOSPC;
	for (unsigned i = 0; i < 5; i++) {
		fix_batch(f, 14, 60000, 2000);
		fix_append(f);
		fix_poll(f);
	}
	polls(f, 20);
	cr_assert_eq(f->result->done_cnt, 2);
	fault.hold = 0;
	fix_rest(f);
	cr_assert_eq(fault.failed_cnt, 1);
	append(f, 2, 3000);
	fix_rest(f);
	for (unsigned i = 0; i < 9; i++) {
		cr_assert_eq(f->result->order[i], i);
		cr_assert_eq(f->result->status[i],
			i < 2 || i > 6 ? PST_APPEND_DURABLE : PST_APPEND_DISK_FULL, "%u", i);
	}
	/* Their offsets are given again. */
	cr_assert_eq(f->result->base_offset[7], 4);
	cr_assert_eq(f->result->base_offset[8], 6);
	cr_assert_eq(fix_close(f), 0);
	int64_t next;
	cr_assert_null(fix_check(f, &next, true, false));
	cr_assert_eq(next, 8);
	fix_free(f);
	fault_fini(&fault);
}

Test(order, retired_one_by_one)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	struct fault fault;
	config.segment_bytes_max = 20000;
	fault_init(&fault);
	fix_open_on(f, &fault.disk, &config);
	append(f, 30, 3000);
	fix_rest(f);
	cr_assert_eq(pst_datadir_checkpoint(f->dir), 0);
	int dir = f->app->logs[f->log_idx]->dir;
	f->app->logs[f->log_idx]->retain_bytes = 40000;
	/* The directory's sync hangs: no second one goes. */
	fault.hold = FAULT_QUEUE_SYNC;
	f->now_ns += PST_HOUSEKEEPING_NS;
	poll_until(f, &fault, fault.event_cnt, FAULT_QUEUE_SYNC, false);
	for (unsigned i = 0; i < 20; i++) {
		f->now_ns += PST_HOUSEKEEPING_NS;
		polls(f, 3);
	}
	struct pst_log_stats stats;
	pst_log_stats(f->app, f->log_idx, &stats);
	cr_assert_eq(stats.retired_segment_cnt, 1);
	fault.hold = 0;
	for (unsigned i = 0; i < 20; i++) {
		f->now_ns += PST_HOUSEKEEPING_NS;
		fix_rest(f);
	}
	unsigned idx = 0, cnt = 0;
	while ((idx = fault_find(&fault, idx, FAULT_UNLINK, true, -1, NULL)) < fault.event_cnt) {
		unsigned sync = fault_find(&fault, idx, FAULT_QUEUE_SYNC, true, dir, NULL);
		cr_assert_lt(sync, fault.event_cnt);
		unsigned names = 0;
		while (idx < sync)
			names += fault.events[idx++].call == FAULT_UNLINK;
		cr_assert_eq(names, 4, "%u names in one step", names);
		cnt++;
	}
	cr_assert_geq(cnt, 5);
	fix_free(f);
	fault_fini(&fault);
}

Test(order, recovery_syncs_before_it_publishes)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	struct fault fault;
	fix_open(f, &config);
	append(f, 5, 3000);
	fix_rest(f);
	struct fix *copy = fix_snapshot(f, false);
	fix_forget_marks(copy);
	fault_init(&fault);
	fix_open_on(copy, &fault.disk, &config);
	unsigned open = fault_find(&fault, 0, FAULT_OPEN, true, -1, LOG0);
	unsigned truncate = fault_find(&fault, open, FAULT_TRUNCATE, true, -1, NULL);
	int log = fault.events[truncate].file, dir = copy->app->logs[0]->dir;
	/* At once: the number of a closed file is given to another. */
	unsigned sync = truncate + 1;
	cr_assert_eq(fault.events[sync].call, FAULT_SYNC);
	cr_assert_eq(fault.events[sync].file, log);
	unsigned names = fault_find(&fault, truncate, FAULT_SYNC, true, dir, NULL);
	unsigned marks = fault_find(
		&fault, truncate, FAULT_WRITE, true, copy->dir->durable.file, NULL);
	cr_assert_lt(sync, names);
	cr_assert_lt(names, marks);
	cr_assert_lt(marks, fault.event_cnt);
	fix_free(copy);
	fix_free(f);
	fault_fini(&fault);
}

/* Of a killed run nobody knows whether its last checkpoint got further than the page cache: the
 * next one stands on it, not on the slot before. */
Test(order, a_start_keeps_the_marks_that_it_read)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	struct fault fault;
	fix_open(f, &config);
	for (int turn = 0; turn < 2; turn++) {
		struct pst_diag diag;
		append(f, 2, 300);
		fix_rest(f);
		cr_assert_eq(pst_datadir_checkpoint(f->dir), 0);
		size_t len, before_len;
		uint8_t *before = fix_file(f, "../penstock.durable", &before_len);
		uint64_t slot = (f->dir->durable.generation & 1) * before_len / 2;

		struct fix *copy = fix_snapshot(f, false);
		fault_init(&fault);
		fix_open_on(copy, &fault.disk, &config);
		int file = copy->dir->durable.file;
		unsigned same = fault_find(&fault, 0, FAULT_WRITE, true, file, NULL);
		cr_assert_lt(same + 1, fault.event_cnt);
		cr_assert_eq(fault.events[same].pos, slot);
		cr_assert_eq(fault.events[same + 1].call, FAULT_SYNC);
		cr_assert_eq(fault.events[same + 1].file, file);
		unsigned first = fault_find(&fault, same + 1, FAULT_WRITE, true, file, NULL);
		cr_assert_lt(first, fault.event_cnt);
		cr_assert_neq(fault.events[first].pos, slot);
		fix_free(copy);
		fault_fini(&fault);

		/* Not a byte of it is another until then. */
		copy = fix_snapshot(f, false);
		fault_init(&fault);
		fault.calls = FAULT_SYNC;
		fault.at = 2; /* the first is that of the directory */
		fault.error = -EIO;
		cr_assert_eq(fix_try_open(copy, &fault.disk, &config, &diag), -1);
		cr_assert(strstr(diag.text, "cannot keep the durable marks"), "%s", diag.text);
		same = fault_find(&fault, 0, FAULT_WRITE, true, -1, NULL);
		cr_assert_eq(fault.events[same].pos, slot);
		uint8_t *after = fix_file(copy, "../penstock.durable", &len);
		cr_assert_eq(len, before_len);
		cr_assert_arr_eq(after, before, len);
		free(after);
		free(before);
		fix_free(copy);
		fault_fini(&fault);
	}
	fix_free(f);
}
