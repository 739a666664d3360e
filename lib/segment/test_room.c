/* With retain a write that finds no space waits for the room that the oldest closed segment makes.
 * The disk has space; that there is none is what the test says of one write. */
#include <errno.h>
#include <unistd.h>

#include "segment/test_fault.h"
#include "segment/test_fixture.h"

#define POLLS   3000 /* many more than any step takes, were it not waiting */
#define RESERVE 65536

struct room {
	struct fix *f;
	struct fault fault;
};

/* Segments of three batches of about 6 KB; so many batches are durable. */
static void
room_open(struct room *r, unsigned batch_cnt, uint64_t reserve_bytes)
{
	struct pst_log_config config = fix_log_config();
	config.segment_bytes_max = 20000;
	r->f = fix_new(true);
	fault_init(&r->fault);
	fix_open_on(r->f, &r->fault.disk, &config);
	cr_assert_eq(pst_datadir_when_full(r->f->dir, reserve_bytes, true), 0);
	for (unsigned i = 0; i < batch_cnt; i++) {
		fix_batch(r->f, 2, 3000, 1000 + i);
		fix_append(r->f);
		fix_rest(r->f);
	}
}

static void
room_close(struct room *r)
{
	fix_expect_no_findings(r->f, "after it waited for room");
	fix_free(r->f);
	fault_fini(&r->fault);
}

static struct pst_log_stats
stats_of(const struct room *r)
{
	struct pst_log_stats stats;
	pst_log_stats(r->f->app, r->f->log_idx, &stats);
	return stats;
}

static void
poll_some(struct room *r)
{
	for (unsigned i = 0; i < POLLS; i++) {
		pst_appender_flush(r->f->app);
		fix_poll(r->f);
		/* The kernel's workers may need this processor. */
		if (i % 64 == 0)
			usleep(100);
	}
}

/* One more batch, whose first write of data finds no space. */
static void
append_without_space(struct room *r)
{
	r->fault.calls = FAULT_QUEUE_WRITE;
	r->fault.error = -ENOSPC;
	r->fault.seen_cnt = r->fault.failed_cnt = 0;
	r->fault.at = 1;
	fix_batch(r->f, 2, 3000, 5000);
	fix_append(r->f);
}

static enum pst_append_status
last_status(const struct room *r)
{
	return r->f->result->status[r->f->taken_cnt - 1];
}

/* The segment that has just been closed may go when a checkpoint has passed it: that is waited for.
 */
Test(room, waits_for_the_mark_to_pass_what_is_closed)
{
	struct room r;
	room_open(&r, 3, RESERVE);
	append_without_space(&r);
	poll_some(&r);
	cr_assert_eq(r.fault.failed_cnt, 1);
	cr_assert_eq(r.f->result->done_cnt, 3, "shed while a closed segment was left");
	cr_assert_not(pst_appender_idle(r.f->app));
	cr_assert_eq(stats_of(&r).segment_cnt, 2);
	cr_assert(pst_datadir_checkpoint_wanted(r.f->dir));
	cr_assert_eq(pst_datadir_checkpoint(r.f->dir), 0);
	fix_rest(r.f);
	cr_assert_eq(last_status(&r), PST_APPEND_DURABLE);
	cr_assert_eq(stats_of(&r).full_retired_segment_cnt, 1);
	cr_assert_eq(stats_of(&r).segment_cnt, 1);
	room_close(&r);
}

/* What a checkpoint has passed may go at once, be it that no housekeeping has come since. */
Test(room, knows_at_once_what_may_go)
{
	struct room r;
	room_open(&r, 4, RESERVE);
	cr_assert_eq(pst_datadir_checkpoint(r.f->dir), 0);
	append_without_space(&r);
	fix_rest(r.f);
	cr_assert_eq(r.fault.failed_cnt, 1);
	cr_assert_eq(last_status(&r), PST_APPEND_DURABLE, "shed while a closed segment was left");
	cr_assert_eq(stats_of(&r).full_retired_segment_cnt, 1);
	room_close(&r);
}

/* One removal for one write. */
Test(room, no_more_goes_than_is_needed)
{
	struct room r;
	room_open(&r, 13, RESERVE);
	cr_assert_eq(stats_of(&r).segment_cnt, 5);
	cr_assert_eq(pst_datadir_checkpoint(r.f->dir), 0);
	append_without_space(&r);
	fix_rest(r.f);
	cr_assert_eq(last_status(&r), PST_APPEND_DURABLE);
	poll_some(&r);
	cr_assert_eq(stats_of(&r).full_retired_segment_cnt, 1, "%llu",
		(unsigned long long)stats_of(&r).full_retired_segment_cnt);
	room_close(&r);
}

/* No checkpoint comes: it ends, and the batch is shed. So is the next one, at once. */
Test(room, does_not_wait_for_ever)
{
	struct room r;
	room_open(&r, 3, RESERVE);
	append_without_space(&r);
	r.fault.for_ever = true;
	poll_some(&r);
	cr_assert_eq(r.f->result->done_cnt, 3);
	r.f->now_ns += PST_MARK_WAIT_NS;
	poll_some(&r);
	cr_assert_eq(r.f->result->done_cnt, 4);
	cr_assert_eq(last_status(&r), PST_APPEND_DISK_FULL);
	fix_batch(r.f, 2, 3000, 6000);
	fix_append(r.f);
	fix_rest(r.f);
	cr_assert_eq(last_status(&r), PST_APPEND_DISK_FULL);
	/* It comes after all: there is something that may go. */
	r.fault.at = 0;
	cr_assert_eq(pst_datadir_checkpoint(r.f->dir), 0);
	fix_batch(r.f, 2, 3000, 7000);
	fix_append(r.f);
	fix_rest(r.f);
	cr_assert_eq(last_status(&r), PST_APPEND_DURABLE);
	room_close(&r);
}

/* One more batch; what is closed has been passed by a checkpoint and cannot be removed, and no
 * write finds space, for good. */
static void
fill_for_ever(struct room *r)
{
	cr_assert_eq(pst_datadir_checkpoint(r->f->dir), 0);
	append_without_space(r);
	r->fault.calls |= FAULT_QUEUE_UNLINK;
	r->fault.for_ever = true;
}

/* The oldest cannot be removed: what finds no space is shed and does not wait, not even where a
 * segment has just been closed; the oldest is tried again, and then makes the room. */
Test(room, does_not_wait_for_what_cannot_be_removed)
{
	struct room r;
	room_open(&r, 7, RESERVE);
	fill_for_ever(&r);
	for (unsigned i = 0; i < 5; i++) {
		poll_some(&r);
		cr_assert_eq(r.f->result->done_cnt, 8 + i, "it waits");
		cr_assert_eq(last_status(&r), PST_APPEND_DISK_FULL);
		cr_assert_eq(stats_of(&r).retire_failed_cnt, 1, "no time has passed");
		fix_batch(r.f, 2, 3000, 6000);
		fix_append(r.f);
	}
	fix_rest(r.f);
	r.f->now_ns += PST_RETIRE_RETRY_NS;
	fix_batch(r.f, 2, 3000, 6000);
	fix_append(r.f);
	fix_rest(r.f);
	cr_assert_eq(last_status(&r), PST_APPEND_DISK_FULL);
	cr_assert_eq(stats_of(&r).retire_failed_cnt, 2);
	cr_assert_eq(stats_of(&r).segment_cnt, 3);
	r.f->now_ns += 2 * PST_RETIRE_RETRY_NS;
	append_without_space(&r);
	r.fault.for_ever = false;
	fix_rest(r.f);
	cr_assert_eq(last_status(&r), PST_APPEND_DURABLE);
	cr_assert_eq(stats_of(&r).full_retired_segment_cnt, 1);
	room_close(&r);
}

/* Two that cannot be removed, on a disk that takes long to say so: by the time that the second has
 * failed the first may be tried again. */
Test(room, does_not_wait_for_ever_for_tries)
{
	struct room r;
	struct pst_log_config config = fix_log_config();
	struct pst_recovery recovery;
	struct pst_diag diag;
	room_open(&r, 7, RESERVE);
	config.segment_bytes_max = 20000;
	config.partition = 1;
	int first = r.f->log_idx, second = pst_appender_add(r.f->app, &config, &recovery, &diag);
	cr_assert_geq(second, 0);
	r.f->log_idx = second;
	for (unsigned i = 0; i < 7; i++) {
		fix_batch(r.f, 2, 3000, 1000 + i);
		fix_append(r.f);
		fix_rest(r.f);
	}
	r.f->log_idx = first;
	fill_for_ever(&r);
	for (unsigned i = 0; i < 500 && r.f->result->done_cnt < 15; i++) {
		r.f->now_ns += PST_RETIRE_RETRY_NS * 6 / 10;
		pst_appender_flush(r.f->app);
		fix_poll(r.f);
	}
	cr_assert_eq(r.f->result->done_cnt, 15, "it waits");
	cr_assert_eq(last_status(&r), PST_APPEND_DISK_FULL);
	r.fault.at = 0;
	room_close(&r);
}

/* A batch that was refused stands between two that are stored, and one sync is for both. */
Test(room, one_refused_between_two_that_are_stored)
{
	struct room r;
	room_open(&r, 0, RESERVE);
	atomic_store_explicit(&r.f->dir->retain_when_full, false, memory_order_relaxed);
	fix_batch(r.f, 2, 3000, 1000);
	fix_append(r.f);
	cr_assert(pst_dir_give_reserve(r.f->dir, ENOSPC));
	fix_batch(r.f, 2, 3000, 1000);
	fix_append(r.f);
	cr_assert_not(pst_datadir_watch_space(r.f->dir));
	fix_batch(r.f, 2, 3000, 1000);
	fix_append(r.f);
	fix_rest(r.f);
	cr_assert_eq(r.f->result->done_cnt, 3);
	cr_assert_eq(r.f->result->status[0], PST_APPEND_DURABLE);
	cr_assert_eq(r.f->result->status[1], PST_APPEND_DISK_FULL);
	cr_assert_eq(r.f->result->status[2], PST_APPEND_DURABLE);
	room_close(&r);
}

/* Who waited and got nothing wants nothing any more: when there is space again, nothing goes. */
static void
run_space_again(uint64_t reserve_bytes)
{
	struct room r;
	room_open(&r, 3, reserve_bytes);
	append_without_space(&r);
	poll_some(&r);
	r.f->now_ns += PST_MARK_WAIT_NS;
	poll_some(&r);
	cr_assert_eq(last_status(&r), PST_APPEND_DISK_FULL);
	if (reserve_bytes > 0) {
		/* There is none yet, and the control thread wants some. */
		r.fault.calls = FAULT_ALLOCATE;
		r.fault.seen_cnt = 0;
		cr_assert(pst_datadir_watch_space(r.f->dir));
	}
	cr_assert_not(pst_datadir_watch_space(r.f->dir));
	cr_assert_eq(pst_datadir_checkpoint(r.f->dir), 0);
	fix_batch(r.f, 2, 3000, 6000);
	fix_append(r.f);
	poll_some(&r);
	cr_assert_eq(last_status(&r), PST_APPEND_DURABLE);
	cr_assert_eq(stats_of(&r).full_retired_segment_cnt, 0);
	cr_assert_eq(stats_of(&r).segment_cnt, 2);
	room_close(&r);
}

Test(room, nothing_goes_when_there_is_space_again)
{
	run_space_again(RESERVE);
}

Test(room, nothing_goes_without_a_reserve)
{
	run_space_again(0);
}

/* Full, because something small found no space, while a segment is being closed: what comes
 * meanwhile is taken, and waits for that one to go. */
Test(room, waits_for_what_is_being_closed)
{
	struct room r;
	room_open(&r, 3, RESERVE);
	r.fault.hold = FAULT_QUEUE_SYNC;
	append_without_space(&r);
	poll_some(&r);
	cr_assert_eq(stats_of(&r).segment_cnt, 1, "the first one is not closed yet");
	cr_assert(pst_dir_give_reserve(r.f->dir, ENOSPC));
	fix_batch(r.f, 2, 3000, 6000);
	fix_append(r.f);
	poll_some(&r);
	r.fault.hold = 0;
	poll_some(&r);
	cr_assert_eq(r.fault.failed_cnt, 1);
	cr_assert_eq(r.f->result->done_cnt, 3, "shed while a segment was about to be closed");
	cr_assert_eq(pst_datadir_checkpoint(r.f->dir), 0);
	fix_rest(r.f);
	cr_assert_eq(r.f->result->status[3], PST_APPEND_DURABLE);
	cr_assert_eq(last_status(&r), PST_APPEND_DURABLE);
	cr_assert_eq(stats_of(&r).full_retired_segment_cnt, 1);
	room_close(&r);
}

/* Nothing is closed: shed at once. */
Test(room, sheds_when_nothing_is_left)
{
	struct room r;
	room_open(&r, 2, RESERVE);
	append_without_space(&r);
	fix_rest(r.f);
	cr_assert_eq(last_status(&r), PST_APPEND_DISK_FULL);
	cr_assert_eq(stats_of(&r).segment_cnt, 1);
	room_close(&r);
}
