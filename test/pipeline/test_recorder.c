#include <criterion/criterion.h>
#include <jansson.h>
#include <pthread.h>
#include <time.h>

#include "base/clock.h"
#include "bench.h"
#include "segment/reader.h"

static const char profile[] =
	"name: bench\n"
	"data: {dir: DIR/data}\n"
	"cores: {main: 0, rx: [0, 1], writers: [0]}\n"
	"memory: {size: 256M, no-huge: true}\n"
	"ports:\n"
	"  - {name: p0, vdev: \"net_null0,no-rx=1\"}\n"
	"  - {name: p1, vdev: \"net_null1,no-rx=1\"}\n"
	"listeners:\n"
	"  - {name: plain, addresses: [10.0.0.2], port: 1, framing: datagram, stream: s}\n"
	"  - {name: feed, addresses: [10.0.0.2], port: 3, framing: mold64, stream: feed}\n"
	"streams:\n"
	"  - {name: s}\n"
	"  - {name: feed}\n"
	"batch: {bytes: 64K, records: 100, age: 1s, buffers: 12}\n"
	"ledger: {interval: 100ms}\n";

static struct bench b;
static uint8_t frame[2000], payload[1500];
static struct pst_recorder_view view;

/* The control thread waits for lcores, so it is one here, too; we turn them. */
static _Atomic bool turned;
static bool finishing;

static void *
control(void *arg)
{
	if (finishing)
		cr_assert(pst_recorder_finish(b.pipeline.recorder, UINT64_C(20000000000)));
	else
		pst_recorder_turn(b.pipeline.recorder);
	atomic_store(&turned, true);
	return NULL;
}

/* One turn of the control thread; with a writer that works, or one that only answers. */
static void
turn(bool writer_works)
{
	pthread_t thread;

	atomic_store(&turned, false);
	cr_assert_eq(pthread_create(&thread, NULL, control, NULL), 0);
	while (!atomic_load(&turned)) {
		for (uint16_t r = 0; r < 2; r++)
			pst_rx_turn(b.pipeline.rx[r]);
		struct pst_writer *w = b.pipeline.writers[0];
		if (writer_works)
			pst_writer_turn(w);
		else
			pst_mailbox_serve(&w->mailbox, w);
		nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
	}
	cr_assert_eq(pthread_join(thread, NULL), 0);
	cr_assert_eq(pst_recorder_view(b.pipeline.recorder, &view), 0);
}

/* Turns until that many more intervals have ended. */
static void
pass(unsigned cnt, bool writer_works)
{
	uint64_t until = view.interval.last + cnt;
	while (view.interval.last < until)
		turn(writer_works);
}

static void
send_text(const char *text)
{
	bench_deliver(&b, 0, 0, frame, bench_frame(frame, 1, text, (uint32_t)strlen(text)));
}

static void
send_mold(uint64_t sequence, uint16_t cnt)
{
	bench_deliver(&b, 0, 0, frame,
		bench_frame(frame, 3, payload, bench_mold(payload, "S", sequence, cnt)));
}

static void
begin(void)
{
	memset(&b, 0, sizeof(b));
	bench_open(&b, profile);
	cr_assert_eq(pst_recorder_view_init(&view, &b.pipeline), 0);
}

static void
end(void)
{
	pst_recorder_view_fini(&view);
	bench_settle(&b);
	bench_close(&b);
}

/* The durable records of a kind. */
static json_t *
records(const char *kind)
{
	json_t *all = json_array();
	struct pst_batch_record record;
	struct pst_reader *reader;
	struct pst_diag diag;

	bench_settle(&b);
	cr_assert_eq(
		pst_reader_open(b.profile->data_dirs[0], PST_LEDGER_STREAM, 0, &reader, &diag), 0);
	pst_reader_seek(reader, 0);
	while (pst_reader_next(reader, &record, &diag) == PST_READ_RECORD) {
		json_t *json = json_loadb(
			(const char *)record.value, record.value_len, JSON_ALLOW_NUL, NULL);
		cr_assert_not_null(json);
		if (strcmp(json_string_value(json_object_get(json, "kind")), kind) == 0)
			json_array_append(all, json);
		json_decref(json);
	}
	pst_reader_close(reader);
	return all;
}

static json_int_t
at(const json_t *json, const char *name)
{
	return json_integer_value(json_object_get(json, name));
}

static json_int_t
sum(const json_t *list, const char *book, const char *name)
{
	json_int_t all = 0;
	json_t *record;
	size_t i;
	json_array_foreach(list, i, record)
	{
		all += at(json_object_get(record, book), name);
	}
	return all;
}

Test(recorder, an_interval_is_a_record_and_the_view_shows_it)
{
	begin();
	for (unsigned i = 0; i < 10; i++)
		send_text("x");
	pass(1, true);
	cr_assert_eq(pst_book_total(&view.interval.book).found, 10);
	cr_assert_eq(pst_book_total(&view.total).found, 10);
	pass(2, true);
	cr_assert_eq(pst_book_total(&view.interval.book).found, 0);
	json_t *intervals = records("interval");
	cr_assert_eq(sum(intervals, "events", "found"), 10);
	cr_assert_eq(json_array_size(records("start")), 1);
	cr_assert_eq(json_array_size(records("recovery")), 3 * 2 + 1);
	end();
}

/* Nothing is written before what was handed over is durable: the intervals become one. */
Test(recorder, intervals_add_up_while_the_writer_stands_still)
{
	begin();
	for (unsigned round = 0; round < 4; round++) {
		send_text("x");
		pass(1, false);
	}
	cr_assert_eq(view.recorded_last, 0);
	cr_assert_eq(view.record_cnt, 0);
	uint64_t last = view.interval.last;
	while (view.recorded_last < last)
		turn(true);
	pass(1, true);
	json_t *intervals = records("interval");
	json_t *first = json_array_get(intervals, 0);
	cr_assert_eq(at(first, "first"), 1);
	cr_assert_geq(at(first, "last"), 4);
	cr_assert_eq(sum(intervals, "events", "found"), 4);
	cr_assert_geq(view.merged_cnt, 3);
	end();
}

/* A batch of records that could not be written comes again, whole and once. */
Test(recorder, records_that_could_not_be_written_are_written_again)
{
	begin();
	struct pst_writer *w = b.pipeline.writers[0];
	void *got;
	send_text("x");
	turn(false);
	cr_assert_eq(rte_ring_sc_dequeue(w->full[2], &got), 0, "the start records");
	struct pst_batch_buf *buf = got;
	w->book.streams[buf->stream_idx].shed[PST_SHED_WRITE_FAILED] += buf->record_cnt;
	buf->status = PST_APPEND_WRITE_FAILED;
	buf->state = PST_BATCH_SETTLED;
	cr_assert_eq(rte_ring_sp_enqueue(w->home[2], buf), 0);
	uint64_t last = view.interval.last;
	while (view.recorded_last <= last || view.record_cnt == 0)
		turn(true);
	cr_assert_eq(view.failed_cnt, 1);
	json_t *starts = records("start"), *intervals = records("interval");
	cr_assert_eq(json_array_size(starts), 1);
	cr_assert_eq(sum(intervals, "events", "found"), 1);
	bench_books(&b); /* the ledger's stream balances, too */
	end();
}

/* Overload: no buffer is left for events. The ledger has its own. */
Test(recorder, an_overload_is_recorded_to_the_event)
{
	begin();
	for (unsigned round = 0; round < 30; round++)
		for (unsigned i = 0; i < 100; i++)
			send_text("x");
	pass(1, false);
	pass(3, true);
	struct pst_cell books = bench_books(&b);
	cr_assert_gt(books.shed[PST_SHED_NO_BUFFER], 0);
	pass(2, true);
	json_t *intervals = records("interval"), *record;
	json_int_t shed = 0;
	size_t i;
	json_array_foreach(intervals, i, record)
	{
		shed += at(json_object_get(json_object_get(record, "events"), "shed"), "no_buffer");
	}
	cr_assert_eq(shed, (json_int_t)books.shed[PST_SHED_NO_BUFFER]);
	cr_assert_eq(sum(intervals, "events", "stored"), (json_int_t)books.stored);
	cr_assert_eq(view.residuals.events.rest_cnt, 0);
	cr_assert_eq(view.residuals.events.beyond_cnt, 0);
	cr_assert_eq(view.residuals.streams.rest_cnt, 0);
	end();
}

/* Gaps as they open, are filled, and stay; the stop declares what is left, and closes the books. */
Test(recorder, gaps_and_the_stop_are_records)
{
	begin();
	send_mold(1, 10);
	send_mold(16, 5);
	send_mold(26, 5);
	pass(2, true);
	send_mold(11, 5);
	pass(2, true);
	bench_settle(&b); /* as the daemon: the last of the traffic is durable by then */
	finishing = true;
	turn(true);
	finishing = false;
	json_t *gaps = records("gap"), *stops = records("stop"), *gap;
	const char *states[3] = {NULL};
	size_t i;
	json_array_foreach(gaps, i, gap)
	{
		states[at(gap, "gap")] = json_string_value(json_object_get(gap, "state"));
	}
	cr_assert_str_eq(states[1], "filled");
	cr_assert_str_eq(states[2], "lost");
	cr_assert_eq(json_array_size(stops), 1);
	cr_assert_eq(sum(stops, "events", "found"), 25);
	cr_assert_eq(sum(stops, "events", "stored"), 25);
	cr_assert_eq(sum(records("interval"), "events", "found"), 25);
	end();
}
