/* Datagrams of more events than are scanned together: each gets its own verdict, once. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "bench.h"

TestSuite(rules, .timeout = 60);

static const char profile[] =
	"name: bench\n"
	"data: {dir: DIR/data}\n"
	"cores: {main: 0, rx: [0], writers: [0]}\n"
	"memory: {size: 256M, no-huge: true}\n"
	"ports:\n"
	"  - {name: p0, vdev: \"net_null0,no-rx=1\"}\n"
	"listeners:\n"
	"  - {name: lines, addresses: [10.0.0.2], port: 2, framing: lines, stream: s}\n"
	"  - {name: feed, addresses: [10.0.0.2], port: 3, framing: mold64, stream: feed}\n"
	"streams:\n"
	"  - {name: s}\n"
	"  - {name: feed}\n"
	"rules: {file: %s}\n"
	"batch: {bytes: 64K, records: 1000, age: 1s, buffers: 8}\n";

enum { LINES = 2, FEED = 3, EVENT_CNT = 2 * PST_RULES_FRAME_EVENTS_MAX + 22 };

static struct bench b;
static uint8_t frame[8192], payload[8192];

static void
open_with(const char *rules)
{
	char path[] = "/tmp/pst-bench-rules-XXXXXX", yaml[sizeof(profile) + sizeof(path)];
	FILE *f = fdopen(mkstemp(path), "w");

	cr_assert(f);
	fputs(rules, f);
	cr_assert_eq(fclose(f), 0);
	snprintf(yaml, sizeof(yaml), profile, path);
	bench_open(&b, yaml);
	unlink(path);
	cr_assert_null(pst_rules_info(b.pipeline.rules)->apart_note);
}

static void
deliver(uint16_t port, uint32_t len)
{
	bench_deliver(&b, 0, 0, frame, bench_frame(frame, port, payload, len));
	bench_settle(&b);
}

Test(rules, each_line_of_a_long_datagram_has_its_verdict)
{
	char text[32];
	uint32_t len = 0;

	open_with("rules: [{id: 1, name: a, pattern: '^line \\d*7$', action: drop}]\n");
	for (unsigned i = 0; i < EVENT_CNT; i++)
		len += (uint32_t)sprintf((char *)payload + len, "line %u\r\n", i);
	deliver(LINES, len);
	struct pst_cell sum = bench_books(&b);
	cr_assert_eq(sum.found, EVENT_CNT);
	cr_assert_eq(sum.filtered, EVENT_CNT / 10);
	cr_assert_eq(sum.stored, EVENT_CNT - EVENT_CNT / 10);
	for (unsigned i = 0; i < EVENT_CNT; i++) {
		snprintf(text, sizeof(text), "line %u", i);
		cr_assert_eq(bench_count(&b, "s", 0, text), i % 10 != 7, "%s", text);
	}
	bench_close(&b);
}

/* The second datagram brings some messages again and some anew. */
Test(rules, duplicates_between_messages_are_left_out)
{
	char text[32];

	open_with("rules: [{id: 1, name: a, pattern: '-\\d*7$', action: drop}]\n");
	deliver(FEED, bench_mold(payload, "S", 1, 40));
	deliver(FEED, bench_mold(payload, "S", 61, 40));
	deliver(FEED, bench_mold(payload, "S", 1, EVENT_CNT));
	struct pst_cell sum = bench_books(&b);
	cr_assert_eq(sum.found, EVENT_CNT + 80);
	cr_assert_eq(sum.duplicate, 80);
	cr_assert_eq(sum.late, 20);
	cr_assert_eq(sum.filtered, EVENT_CNT / 10);
	cr_assert_eq(sum.stored, EVENT_CNT - EVENT_CNT / 10);
	for (unsigned i = 1; i <= EVENT_CNT; i++) {
		snprintf(text, sizeof(text), "S-%u", i);
		cr_assert_eq(bench_count(&b, "feed", 0, text), i % 10 != 7, "%s", text);
	}
	bench_close(&b);
}
