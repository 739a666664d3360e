#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "bench.h"
#include "pipeline/watch.h"

/* Two ports on two rx lcores, few buffers; 10.0.0.2:1 datagram, :2 lines, :3 mold64. */
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
	"  - {name: lines, addresses: [10.0.0.2], port: 2, framing: lines, stream: s}\n"
	"  - {name: feed, addresses: [10.0.0.2], port: 3, framing: mold64, stream: feed}\n"
	"  - {name: guarded, addresses: [10.0.0.2], port: 4, framing: datagram, stream: s,\n"
	"     allow: [192.0.2.0/24]}\n"
	"streams:\n"
	"  - {name: s, headers: [ts-ns, rules]}\n"
	"  - {name: feed}\n"
	"batch: {bytes: 64K, records: 100, age: 1s, buffers: 8}\n"
	"quarantine: {rate: 3}\n";

enum { PLAIN = 1, LINES = 2, FEED = 3, GUARDED = 4 };

static struct bench b;
static uint8_t frame[70000], payload[66000];

static void
send_text(uint16_t rx_idx, uint16_t port, const char *text)
{
	bench_deliver(&b, rx_idx, 0, frame, bench_frame(frame, port, text, (uint32_t)strlen(text)));
}

static void
send_mold(uint16_t rx_idx, const char *session, uint64_t sequence, uint16_t cnt)
{
	uint32_t len = bench_mold(payload, session, sequence, cnt);
	bench_deliver(&b, rx_idx, 0, frame, bench_frame(frame, FEED, payload, len));
}

Test(pipeline, each_framing_is_stored_and_booked)
{
	bench_open(&b, profile);
	send_text(0, PLAIN, "one");
	send_text(0, LINES, "two\nthree\r\n\n\nfour");
	send_text(0, LINES, "\n\n");
	send_text(0, 77, "nobody listens");
	send_mold(0, "S", 1, 5);
	send_mold(0, "S", 6, 0);
	bench_settle(&b);
	struct pst_cell sum = bench_books(&b);
	cr_assert_eq(sum.polled, 6);
	cr_assert_eq(sum.verdict[PST_FRAME_CARRIED], 3);
	cr_assert_eq(sum.verdict[PST_FRAME_EMPTY], 1);
	cr_assert_eq(sum.verdict[PST_FRAME_NO_LISTENER], 1);
	cr_assert_eq(sum.verdict[PST_FRAME_HEARTBEAT], 1);
	cr_assert_eq(sum.found, 9);
	cr_assert_eq(sum.stored, 9);
	cr_assert_eq(sum.empty_lines, 4);
	cr_assert_eq(bench_count(&b, "s", 0, "one"), 1);
	cr_assert_eq(bench_count(&b, "s", 0, "three"), 1);
	cr_assert_eq(bench_count(&b, "s", 0, NULL), 4);
	bench_close(&b);
}

/* The frames of one session arrive on two queues; its order is one partition's order, and a copy is
 * caught wherever it comes in. */
Test(pipeline, a_session_over_two_queues_is_one_session)
{
	bench_open(&b, profile);
	for (unsigned s = 0; s < 8; s++) {
		char name[PST_MOLD_SESSION_LEN + 1];
		snprintf(name, sizeof(name), "SESS%u", s);
		for (uint16_t i = 0; i < 20; i++) {
			send_mold(i % 2, name, 1 + 5u * i, 5);
			bench_settle(&b);
			send_mold((i + 1) % 2, name, 1 + 5u * i, 5);
		}
	}
	bench_settle(&b);
	struct pst_cell sum = bench_books(&b);
	cr_assert_eq(sum.found, 1600);
	cr_assert_eq(sum.stored, 800);
	cr_assert_eq(sum.duplicate, 800);
	cr_assert_eq(sum.late, 0);
	cr_assert_gt(sum.handed_over, 0);
	cr_assert_eq(bench_count(&b, "feed", 0, NULL) + bench_count(&b, "feed", 1, NULL), 800);
	for (unsigned s = 0; s < 8; s++) {
		char text[32];
		snprintf(text, sizeof(text), "SESS%u-1", s);
		unsigned in0 = bench_count(&b, "feed", 0, text);
		snprintf(text, sizeof(text), "SESS%u-100", s);
		cr_assert_eq(bench_count(&b, "feed", in0 ? 0 : 1, text), 1);
	}
	bench_close(&b);
}

/* The name of a session that rx lcore 0 gets and lcore 1 owns. */
static void
foreign_session(char name[PST_MOLD_SESSION_LEN + 1])
{
	for (unsigned s = 0;; s++) {
		uint64_t before = bench_books(&b).handed_over;
		snprintf(name, PST_MOLD_SESSION_LEN + 1, "TRY%u", s);
		send_mold(0, name, 1, 1);
		if (bench_books(&b).handed_over > before)
			return;
	}
}

/* An owner that sleeps while a thousand frames come in loses none of them;
 * long datagrams have few buffers, but do not take those of the short ones. */
Test(pipeline, a_burst_for_a_sleeping_owner_is_handed_over)
{
	char name[PST_MOLD_SESSION_LEN + 1];

	bench_open(&b, profile);
	foreign_session(name);
	bench_settle(&b);
	uint64_t found = bench_books(&b).found;
	for (uint64_t i = 0; i < 1000; i++)
		send_mold(0, name, 2 + i, 1);
	struct pst_cell sum = bench_books(&b);
	cr_assert_eq(sum.verdict[PST_FRAME_HANDOFF_FULL], 0);
	cr_assert_eq(sum.in_handoff, 1000);
	bench_settle(&b);
	cr_assert_eq(bench_books(&b).found, found + 1000);

	for (unsigned i = 0; i < PST_RX_FORWARDS_LARGE + 2; i++)
		send_mold(0, name, 100000 + 1000 * i, 1000);
	send_mold(0, name, 90000, 1);
	sum = bench_books(&b);
	cr_assert_eq(sum.verdict[PST_FRAME_HANDOFF_FULL], 2);
	cr_assert_eq(sum.in_handoff, PST_RX_FORWARDS_LARGE + 1);
	bench_settle(&b);
	cr_assert_eq(bench_count(&b, "feed", 0, NULL) + bench_count(&b, "feed", 1, NULL),
		bench_books(&b).stored);
	bench_close(&b);
}

/* The writer stands still until every buffer is away: what comes then is shed by name, its sequence
 * numbers are open again, and the same frames sent once more are stored. */
Test(pipeline, what_was_shed_can_come_again)
{
	bench_open(&b, profile);
	char name[] = "A"; /* owned by whichever lcore: both have the same number of buffers */
	for (uint64_t seq = 1; seq <= 2000; seq += 50) {
		send_mold(0, name, seq, 50);
		pst_rx_turn(b.pipeline.rx[1]);
		pst_rx_turn(b.pipeline.rx[0]);
	}
	bench_settle(&b);
	struct pst_cell sum = bench_books(&b);
	cr_assert_eq(sum.found, 2000);
	cr_assert_eq(sum.stored, 800, "eight buffers of a hundred records");
	cr_assert_eq(sum.shed[PST_SHED_NO_BUFFER], 1200);
	cr_assert_eq(sum.duplicate, 0);

	for (uint64_t seq = 1; seq <= 2000; seq += 50) {
		send_mold(0, name, seq, 50);
		bench_settle(&b);
	}
	sum = bench_books(&b);
	cr_assert_eq(sum.found, 4000);
	cr_assert_eq(sum.stored, 2000);
	cr_assert_eq(sum.duplicate, 800);
	cr_assert_eq(sum.late, 1200);
	cr_assert_eq(bench_count(&b, "feed", 0, NULL) + bench_count(&b, "feed", 1, NULL), 2000);
	bench_close(&b);
}

/* The writer stands still, and events come one by one, each older than a batch may be: a few
 * batches go, then the open one takes them all. When the writer has caught up, age closes it. */
Test(pipeline, a_trickle_needs_no_buffer_for_each_age)
{
	bench_open(&b, profile);
	struct pst_rx *rx = b.pipeline.rx[0];
	uint64_t age = rx->batch_age_max_tsc, began = pst_clock_tsc() - 60 * age;
	uint32_t len = bench_frame(frame, PLAIN, "x", 1);

	for (unsigned i = 0; i < 50; i++) {
		rx->now_tsc = began + i * age;
		pst_rx_frame(rx, &rx->queues[0], frame, len, 0);
		pst_rx_seal_aged(rx, false);
	}
	struct pst_cell sum = bench_books(&b);
	cr_assert_eq(sum.shed[PST_SHED_NO_BUFFER], 0);
	cr_assert_eq(sum.in_flight, 50);
	/* Eight, less one for each of three streams, and half of that. */
	cr_assert_eq(rx->batch_sealed_cnt, 2);
	cr_assert_eq(rx->at_writer_cnt, 2);

	struct pst_writer *w = b.pipeline.writers[0];
	do {
		pst_writer_turn(w);
		pst_writer_flush(w);
	} while (!pst_writer_idle(w));
	cr_assert(pst_rx_take_home(rx));
	cr_assert_eq(rx->at_writer_cnt, 0);
	pst_rx_seal_aged(rx, false);
	cr_assert_eq(rx->batch_sealed_cnt, 3, "closed by age");
	bench_settle(&b);
	cr_assert_eq(bench_books(&b).stored, 50);
	bench_close(&b);
}

/* A batch that could not be written comes home: the same. */
Test(pipeline, what_could_not_be_written_can_come_again)
{
	bench_open(&b, profile);
	send_mold(0, "W", 1, 10);
	for (uint16_t r = 0; r < 2; r++) {
		pst_rx_turn(b.pipeline.rx[1 - r]);
		pst_rx_turn(b.pipeline.rx[r]);
	}
	void *got = NULL;
	struct pst_writer *w = b.pipeline.writers[0];
	uint16_t from = 0;
	for (uint16_t r = 0; r < 2; r++) {
		pst_rx_seal_aged(b.pipeline.rx[r], true);
		if (rte_ring_sc_dequeue(w->full[r], &got) == 0) {
			from = r;
			break;
		}
	}
	cr_assert(got);
	struct pst_batch_buf *buf = got;
	/* What the writer does with a batch that its appender refused. */
	for (uint32_t i = 0; i < buf->account_cnt; i++)
		w->book.cells[buf->accounts[i].cell_idx].shed[PST_SHED_WRITE_FAILED] +=
			buf->accounts[i].record_cnt;
	w->book.streams[buf->stream_idx].shed[PST_SHED_WRITE_FAILED] += buf->record_cnt;
	buf->status = PST_APPEND_WRITE_FAILED;
	buf->state = PST_BATCH_SETTLED;
	cr_assert_eq(rte_ring_sp_enqueue(w->home[from], buf), 0);
	pst_rx_take_home(b.pipeline.rx[from]);
	struct pst_cell sum = bench_books(&b);
	cr_assert_eq(sum.shed[PST_SHED_WRITE_FAILED], 10);

	send_mold(0, "W", 1, 10);
	bench_settle(&b);
	sum = bench_books(&b);
	cr_assert_eq(sum.stored, 10);
	cr_assert_eq(sum.late, 10);
	cr_assert_eq(sum.duplicate, 0);
	bench_close(&b);
}

/* Refused frames are kept with their reason, up to the rate; the books do not depend on it. */
Test(pipeline, refused_frames_are_kept_up_to_the_rate)
{
	bench_open(&b, profile);
	for (unsigned i = 0; i < 5; i++)
		send_text(0, GUARDED, "who are you");
	send_text(0, FEED, "short");
	bench_deliver(&b, 0, 0, (const uint8_t *)"junk", 4);
	bench_settle(&b);
	struct pst_cell sum = bench_books(&b);
	cr_assert_eq(sum.polled, 7);
	cr_assert_eq(sum.verdict[PST_FRAME_SOURCE_NOT_ALLOWED], 5);
	cr_assert_eq(sum.verdict[PST_FRAME_MOLD_SHORT], 1);
	cr_assert_eq(sum.verdict[PST_FRAME_ETHERNET_SHORT], 1);
	cr_assert_eq(sum.found, 0);
	cr_assert_eq(bench_count(&b, PST_QUARANTINE, 0, NULL), 3);
	bench_close(&b);
}

/* What comes by the kernel asks the same of its sender, and a datagram that was cut is refused. */
Test(pipeline, the_kernel_path_refuses_as_the_port_does)
{
	bench_open(&b, profile);
	struct pst_rx *rx = b.pipeline.rx[0];
	struct pst_ksock_msg msg = {
		.payload = (const uint8_t *)"event", .payload_len = 5, .listener_idx = GUARDED - 1};

	rx->now_tsc = pst_clock_tsc();
	cr_assert_eq(pst_addr_parse("10.0.0.1", &msg.src), 0);
	pst_rx_kernel_datagram(rx, &rx->queues[0], &msg);
	cr_assert_eq(pst_addr_parse("192.0.2.7", &msg.src), 0);
	pst_rx_kernel_datagram(rx, &rx->queues[0], &msg);
	msg.truncated = true;
	pst_rx_kernel_datagram(rx, &rx->queues[0], &msg);
	bench_settle(&b);
	struct pst_cell sum = bench_books(&b);
	cr_assert_eq(sum.polled, 3);
	cr_assert_eq(sum.verdict[PST_FRAME_SOURCE_NOT_ALLOWED], 1);
	cr_assert_eq(sum.verdict[PST_FRAME_DATAGRAM_TRUNCATED], 1);
	cr_assert_eq(sum.stored, 1);
	cr_assert_eq(bench_count_key(&b, "s", 0, "192.0.2.7"), 1);
	bench_close(&b);
}

/* Its sender is said as far as the frame names one. */
Test(pipeline, refused_frames_name_their_sender)
{
	bench_open(&b, profile);
	uint32_t len = bench_frame(frame, PLAIN, "x", 1);
	frame[24] ^= 1; /* IPv4 checksum */
	bench_deliver(&b, 0, 0, frame, len);
	frame[24] ^= 1;
	frame[39] = 200; /* UDP length */
	bench_deliver(&b, 0, 0, frame, len);
	bench_deliver(&b, 0, 0, frame, 20); /* ends in the IP header */
	bench_settle(&b);
	struct pst_cell sum = bench_books(&b);
	cr_assert_eq(sum.verdict[PST_FRAME_IPV4_CHECKSUM], 1);
	cr_assert_eq(sum.verdict[PST_FRAME_UDP_LENGTH], 1);
	cr_assert_eq(sum.verdict[PST_FRAME_IPV4_SHORT], 1);
	cr_assert_eq(bench_count(&b, PST_QUARANTINE, 0, NULL), 3);
	cr_assert_eq(bench_count_key(&b, PST_QUARANTINE, 0, "10.0.0.1"), 2);
	bench_close(&b);
}

/* Events that are open in a batch, or with the writer, are in flight and nothing else. */
Test(pipeline, in_flight_is_what_is_not_at_home)
{
	bench_open(&b, profile);
	for (unsigned i = 0; i < 150; i++) /* a full batch of 100 and an open one of 50 */
		send_text(0, PLAIN, "x");
	struct pst_cell sum = bench_books(&b);
	cr_assert_eq(sum.found, 150);
	cr_assert_eq(sum.in_flight, 150);
	cr_assert_eq(sum.stored, 0);
	bench_settle(&b);
	sum = bench_books(&b);
	cr_assert_eq(sum.in_flight, 0);
	cr_assert_eq(sum.stored, 150);
	cr_assert_eq(b.pipeline.rx[0]->home_cnt, b.pipeline.rx[0]->batch_cnt);
	bench_close(&b);
}

/* ---- senders ---- */

static uint64_t
frames_of(const struct pst_cell *cell)
{
	return cell->verdict[PST_FRAME_CARRIED] + pst_cell_rejected(cell) + pst_cell_ignored(cell);
}

/* The sums of all tables are the books, listener by listener, to the unit. */
static void
assert_sources_are_the_books(void)
{
	static struct pst_source_entry copy[8192];
	static struct pst_book book;
	struct pst_book_shape shape = pst_book_shape(b.profile);
	struct pst_source_count others[PST_LISTENERS_MAX + 1], sum[PST_LISTENERS_MAX + 1] = {0};
	uint64_t left_cnt;

	cr_assert_eq(pst_book_init(&book, &shape), 0);
	pst_pipeline_final_books(&b.pipeline, &book);
	for (uint16_t r = 0; r < b.profile->rx_lcore_cnt; r++) {
		uint32_t cnt = pst_source_copy(b.pipeline.rx[r]->sources, copy, others, &left_cnt);
		for (uint32_t i = 0; i < cnt; i++)
			pst_source_count_add(&sum[copy[i].listener_idx], &copy[i].count);
		for (uint16_t l = 0; l < shape.listener_cnt; l++)
			pst_source_count_add(&sum[l], &others[l]);
	}
	for (uint16_t l = 0; l < shape.listener_cnt; l++) {
		struct pst_cell cell = {0};
		for (uint16_t q = 0; q < shape.queue_cnt; q++)
			pst_cell_add(&cell, &book.cells[pst_book_cell_idx(&shape, q, l)]);
		cr_assert_eq(sum[l].frames, frames_of(&cell), "listener %u", l);
		cr_assert_eq(sum[l].rejected, pst_cell_rejected(&cell), "listener %u", l);
		cr_assert_eq(sum[l].ignored, pst_cell_ignored(&cell), "listener %u", l);
		cr_assert_eq(sum[l].events, cell.found, "listener %u", l);
		cr_assert_eq(sum[l].duplicate, cell.duplicate, "listener %u", l);
		cr_assert_eq(sum[l].bytes, cell.payload_bytes, "listener %u", l);
	}
	pst_book_fini(&book);
}

/* Collecting asks the lcores: they are turned meanwhile. */
static void *
collect(void *arg)
{
	int rc = pst_pipeline_collect_sources(&b.pipeline);
	atomic_store((_Atomic bool *)arg, true);
	return (void *)(intptr_t)rc;
}

static void
collect_sources(void)
{
	_Atomic bool done = false;
	pthread_t thread;
	void *rc;

	cr_assert_eq(pthread_create(&thread, NULL, collect, &done), 0);
	while (!atomic_load(&done))
		for (uint16_t r = 0; r < b.profile->rx_lcore_cnt; r++)
			pst_rx_turn(b.pipeline.rx[r]);
	cr_assert_eq(pthread_join(thread, &rc), 0);
	cr_assert_null(rc);
}

/* Sends with another source address. */
static void
send_from(uint16_t rx_idx, uint32_t source, uint16_t port, const void *data, uint32_t data_len)
{
	uint32_t len = bench_frame(frame, port, data, data_len), sum = 0;

	pst_store_be32(frame + 26, source);
	pst_store_be16(frame + 24, 0);
	for (unsigned i = 14; i < 34; i += 2)
		sum += pst_load_be16(frame + i);
	sum = (sum & 0xffff) + (sum >> 16);
	pst_store_be16(frame + 24, (uint16_t) ~((sum & 0xffff) + (sum >> 16)));
	bench_deliver(&b, rx_idx, 0, frame, len);
}

static const struct pst_source_row *
source_row(const struct pst_source_row *rows, uint32_t cnt, uint16_t listener, const char *address)
{
	struct pst_addr addr;

	cr_assert_eq(pst_addr_parse(address, &addr), 0);
	for (uint32_t i = 0; i < cnt; i++)
		if (rows[i].listener_idx == listener &&
			memcmp(&rows[i].addr, &addr, sizeof(addr)) == 0)
			return &rows[i];
	cr_assert(0, "%s is not listed for listener %u", address, listener);
	return NULL;
}

/* Every kind of frame from several senders on two queues, sessions with copies and gaps that one
 * lcore hands to the other: each sender has what is its own, all of them together the books. */
Test(pipeline, senders_are_counted_one_by_one)
{
	static struct pst_source_row rows[64];
	static struct pst_sources_page page;

	bench_open(&b, profile);
	for (uint16_t r = 0; r < 2; r++) {
		send_from(r, 0x0a000001, PLAIN, "one", 3);
		send_from(r, 0x0a000007, PLAIN, "seven", 5);
		send_from(r, 0x0a000007, LINES, "a\nb\n\nc", 6);
		send_from(r, 0x0a000007, PLAIN, "", 0);
		send_from(r, 0x0a000007, GUARDED, "no", 2);
		send_from(r, 0x0a000008, 77, "nobody listens", 14);
		send_from(r, 0x0a000008, FEED, "short", 5);
		uint32_t len = bench_mold(payload, "S", 1, 5);
		send_from(r, 0x0a000009, FEED, payload, len);
		bench_settle(&b);
		len = bench_mold(payload, "S", 11, 2);
		send_from(r, 0x0a00000a, FEED, payload, len);
		bench_settle(&b);
		bench_deliver(&b, r, 0, (const uint8_t *)"junk", 4);
	}
	bench_settle(&b);
	assert_sources_are_the_books();
	collect_sources();
	uint32_t cnt = pst_pipeline_sources(&b.pipeline, 0, rows, 64, &page);
	cr_assert_eq(cnt, page.total);
	cr_assert_eq(page.generation, 1);
	const struct pst_source_row *row = source_row(rows, cnt, PLAIN - 1, "10.0.0.7");
	cr_assert_eq(row->count.frames, 4, "of both queues");
	cr_assert_eq(row->count.events, 2);
	cr_assert_eq(row->count.bytes, 10);
	cr_assert_eq(row->count.ignored, 2);
	cr_assert_eq(source_row(rows, cnt, LINES - 1, "10.0.0.7")->count.events, 6);
	cr_assert_eq(source_row(rows, cnt, GUARDED - 1, "10.0.0.7")->count.rejected, 2);
	cr_assert_eq(source_row(rows, cnt, 4, "10.0.0.8")->count.ignored, 2, "for no listener");
	cr_assert_eq(source_row(rows, cnt, FEED - 1, "10.0.0.8")->count.rejected, 2);
	row = source_row(rows, cnt, FEED - 1, "10.0.0.9");
	cr_assert_eq(row->count.events, 10);
	cr_assert_eq(row->count.duplicate, 5);
	cr_assert_eq(row->count.gap_messages, 0);
	row = source_row(rows, cnt, FEED - 1, "10.0.0.10");
	cr_assert_eq(row->count.gap_messages, 5, "6 to 10, seen once");
	cr_assert_eq(row->count.duplicate, 2);
	cr_assert_eq(source_row(rows, cnt, 4, "::")->count.rejected, 2, "unread");
	for (uint32_t i = 1; i < cnt; i++)
		cr_assert_leq(rows[i].count.events, rows[i - 1].count.events);
	bench_close(&b);
}

/* More senders than are followed: what leaves is counted with the others, and nothing is lost. A
 * rate is what came since the last collection. */
Test(pipeline, a_flood_of_senders_costs_no_count)
{
	static struct pst_source_row rows[16];
	static struct pst_sources_page page;
	enum { FLOOD = 20000 };

	bench_open(&b, profile);
	for (uint32_t i = 0; i < FLOOD; i++) {
		send_from(0, 0x14000000 + i, PLAIN, "x", 1);
		if (i % 10 == 0)
			send_from(0, 0x0a000001, LINES, "a\nb\nc", 5);
		if (i % 100 == 0)
			bench_settle(&b);
	}
	bench_settle(&b);
	assert_sources_are_the_books();
	collect_sources();
	cr_assert_eq(pst_pipeline_sources(&b.pipeline, 0, rows, 16, &page), 16);
	cr_assert_eq(rows[0].count.events, 3 * FLOOD / 10);
	cr_assert_eq(rows[0].listener_idx, LINES - 1);
	cr_assert_eq(rows[0].events_per_s, 0, "no interval yet");
	cr_assert_eq(page.total + page.left_cnt, FLOOD + 1);
	cr_assert_eq(page.kept.events + page.others.events, FLOOD + 3 * FLOOD / 10);
	cr_assert_eq(page.others_of[PLAIN - 1].events, page.others.events);

	for (uint32_t i = 0; i < 1000; i++)
		send_from(0, 0x0a000001, LINES, "a\nb\nc", 5);
	bench_settle(&b);
	uint64_t before_ns = page.taken_ns;
	collect_sources();
	cr_assert_eq(pst_pipeline_sources(&b.pipeline, 0, rows, 16, &page), 16);
	double seconds = (double)(page.taken_ns - before_ns) / 1e9;
	cr_assert_float_eq((double)rows[0].events_per_s * seconds, 3000, 30);
	cr_assert_float_eq((double)rows[0].bytes_per_s * seconds, 5000, 50);
	cr_assert_eq(rows[1].events_per_s, 0);
	bench_close(&b);
}

/* ---- the watch ---- */

/* An lcore that did not turn between two looks keeps the watchdog's word back at once, and is named
 * after the next; one that turns again is forgotten. */
Test(pipeline, an_lcore_that_does_not_turn_is_named)
{
	struct pst_watch watch = {0};
	char names[64];

	bench_open(&b, profile);
	cr_assert_not(pst_watch_look(&watch, &b.pipeline), "none has turned since the start");
	bench_settle(&b);
	cr_assert(pst_watch_look(&watch, &b.pipeline));
	for (unsigned i = 0; i < 3; i++) {
		pst_rx_turn(b.pipeline.rx[0]);
		pst_writer_turn(b.pipeline.writers[0]);
		cr_assert_not(pst_watch_look(&watch, &b.pipeline));
		pst_watch_name_stuck(&b.pipeline, names, sizeof(names));
		cr_assert_str_eq(names, i == 0 ? "" : "rx 1");
	}
	pst_rx_turn(b.pipeline.rx[1]);
	cr_assert_not(pst_watch_look(&watch, &b.pipeline), "now it is the others");
	cr_assert_not(pst_watch_look(&watch, &b.pipeline));
	pst_watch_name_stuck(&b.pipeline, names, sizeof(names));
	cr_assert_str_eq(names, "rx 0, writer 0");
	bench_settle(&b);
	cr_assert(pst_watch_look(&watch, &b.pipeline));
	pst_watch_name_stuck(&b.pipeline, names, sizeof(names));
	cr_assert_str_eq(names, "");
	bench_close(&b);
}

static void
count_calls(void *self, void *arg)
{
	++*(unsigned *)arg;
}

/* The first question to a stuck lcore waits for seconds, the next ones do not; when it turns again
 * it serves what waits, and answers as before. */
Test(pipeline, a_stuck_lcore_holds_nobody_up_twice)
{
	bench_open(&b, profile);
	struct pst_mailbox *mailbox = &b.pipeline.rx[1]->mailbox;
	unsigned late_cnt = 0, lost_cnt = 0;

	cr_assert_eq(pst_mailbox_call(mailbox, count_calls, &late_cnt), -ETIMEDOUT);
	uint64_t first_tsc = pst_clock_tsc();
	for (unsigned i = 0; i < 1000; i++)
		cr_assert_eq(pst_mailbox_call(mailbox, count_calls, &lost_cnt), -ETIMEDOUT);
	/* A thousand waits would take an hour. */
	cr_assert_lt(pst_clock_duration_ns(pst_clock_tsc() - first_tsc), UINT64_C(600000000000));
	pst_rx_turn(b.pipeline.rx[1]);
	cr_assert_eq(late_cnt, 1);
	cr_assert_eq(lost_cnt, 0);
	collect_sources();
	bench_close(&b);
}

/* ---- latency ---- */

static struct pst_latency *
latency_of(enum pst_latency_stage stage)
{
	return &b.pipeline.writers[0]->latency[stage];
}

/* Each event counts with its own arrival, within a sixteenth of the batch's age; a stage never ends
 * before the one before it. */
Test(pipeline, latency_is_of_each_event_and_of_each_stage)
{
	struct pst_rx *rx;
	uint64_t now;

	bench_open(&b, profile);
	rx = b.pipeline.rx[0];
	now = pst_clock_tsc();
	/* A batch of which one event is an hour old, three half an hour; all others just came.
	 * More arrivals than a batch can tell apart: the last of them take the rest along. */
	uint32_t len = bench_frame(frame, PLAIN, "x", 1);
	for (unsigned i = 0; i < 40; i++) {
		uint64_t old_s = i == 0 ? 3600 : i < 4 ? 1800 : 40 - i;
		rx->now_tsc = now - pst_clock_ticks(old_s * 1000000000);
		pst_rx_frame(rx, &rx->queues[0], frame, len, 0);
	}
	bench_settle(&b);
	cr_assert_eq(bench_books(&b).stored, 40);
	const struct pst_latency *durable = latency_of(PST_LATENCY_DURABLE);
	for (unsigned s = 0; s < PST_LATENCY_STAGE_CNT; s++)
		cr_assert_eq(latency_of(s)->cnt, 40);
	cr_assert_leq(
		latency_of(PST_LATENCY_SEALED)->sum_ns, latency_of(PST_LATENCY_WRITTEN)->sum_ns);
	cr_assert_leq(latency_of(PST_LATENCY_WRITTEN)->sum_ns, durable->sum_ns);
	cr_assert_geq(durable->ns_max, UINT64_C(3600000000000));
	cr_assert_eq(durable->buckets[PST_LATENCY_BUCKET_CNT - 1], 4);
	/* 36 events came 36, 35 ... 1 s ago; the last arrival told apart is 23 s old. */
	uint64_t ns = pst_latency_ns_at(durable, 1);
	cr_assert_geq(ns, UINT64_C(23000000000));
	cr_assert_eq(durable->buckets[pst_latency_bucket(ns)], 23);
	bench_close(&b);
}

static _Atomic bool answered;

static void *
ask_log(void *out)
{
	struct pst_log_place place;
	int rc = pst_pipeline_log(&b.pipeline, 0, 0, &place, out);
	atomic_store(&answered, true);
	return (void *)(intptr_t)rc;
}

/* Another thread never reads a log itself: its list of segments moves under the writer's hands. */
Test(pipeline, the_writer_itself_says_how_its_logs_are)
{
	struct pst_log_stats stats;
	pthread_t thread;
	void *rc;

	bench_open(&b, profile);
	send_text(0, PLAIN, "one");
	bench_settle(&b);
	struct pst_writer *w = b.pipeline.writers[0];
	uint32_t served = atomic_load(&w->mailbox.served);
	cr_assert_eq(pthread_create(&thread, NULL, ask_log, &stats), 0);
	while (!atomic_load(&answered))
		pst_writer_turn(w);
	cr_assert_eq(pthread_join(thread, &rc), 0);
	cr_assert_null(rc);
	cr_assert_eq(atomic_load(&w->mailbox.served), served + 1);
	cr_assert_eq(stats.next_offset, 1);
	cr_assert_eq(stats.durable_offset, 1);
	bench_close(&b);
}
