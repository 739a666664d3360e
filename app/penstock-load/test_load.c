#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "event.h"
#include "options.h"
#include "packet.h"
#include "payload.h"
#include "schedule.h"
#include "tally.h"

static struct load_options options;
static uint8_t bytes[LOAD_PAYLOAD_MAX];

/* Parses a command line with --to in front. The list ends with NULL. */
#define parse(...)                                                                                 \
	parse_list((char *[]){"penstock-load", "--to", "127.0.0.1:5514", __VA_ARGS__, NULL})

static enum load_parsed
parse_list(char **argv)
{
	int argc = 0;
	while (argv[argc])
		argc++;
	optind = 1;
	/* What parsing says on stderr is not this test's to judge. */
	fflush(stderr);
	int saved = dup(STDERR_FILENO);
	cr_assert(freopen("/dev/null", "w", stderr));
	enum load_parsed parsed = load_options_parse(argc, argv, &options);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	return parsed;
}

static void
cleanup(void)
{
	load_options_fini(&options);
}

/* Runs the schedule to its end; gives each frame to seen. */
static unsigned
run_schedule(struct load_schedule *s, struct load_frame *frames, unsigned frame_max)
{
	unsigned cnt = 0;
	load_schedule_init(s, &options.plan, &options.source);
	struct load_frame frame = {.bytes = bytes};
	while (load_schedule_next(s, 1000 + cnt, &frame) == 1) {
		cr_assert_lt(cnt, frame_max);
		frames[cnt] = frame;
		frames[cnt].bytes = malloc(frame.len + 1);
		memcpy(frames[cnt++].bytes, frame.bytes, frame.len);
	}
	return cnt;
}

static void
free_frames(struct load_frame *frames, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++)
		free(frames[i].bytes);
}

Test(event, stamp_template_and_size, .fini = cleanup)
{
	char out[200] = {0};
	cr_assert_eq(parse("--template", "v={seq};{t};{x}"), LOAD_PARSED_RUN);
	int64_t len = load_event_make(&options.source, 0, 7, 99, (uint8_t *)out, sizeof(out));
	cr_assert_str_eq(out, "seq=7 t=99 v=7;99;{x}");
	cr_assert_eq(len, (int64_t)strlen(out));
	cr_assert_eq(load_event_make(&options.source, 0, 7, 99, (uint8_t *)out, 20), -1);
	cr_assert_eq(load_event_make(&options.source, 0, 7, 99, (uint8_t *)out, 21), 21);
	cleanup();

	cr_assert_eq(
		parse("--template", "ab\tc", "--stamp", "none", "--size", "6"), LOAD_PARSED_RUN);
	memset(out, 0, sizeof(out));
	cr_assert_eq(load_event_make(&options.source, 0, 1, 2, (uint8_t *)out, 6), 6);
	cr_assert_str_eq(out, "ab\tcab");
	cr_assert_eq(load_event_make(&options.source, 0, 1, 2, (uint8_t *)out, 5), -1);
	cleanup();

	cr_assert_eq(
		parse("--template", "abcdef", "--stamp", "none", "--size", "1"), LOAD_PARSED_RUN);
	memset(out, 0, sizeof(out));
	cr_assert_eq(load_event_make(&options.source, 0, 1, 2, (uint8_t *)out, sizeof(out)), 1);
	cr_assert_str_eq(out, "a");
}

Test(event, lines_of_a_file, .fini = cleanup)
{
	char path[] = "/tmp/test_load.XXXXXX", out[100] = {0};
	static const char content[] = "one\r\n\n\r\ntwo\n\r\r\nlast {seq}";
	int fd = mkstemp(path);
	cr_assert_eq(write(fd, content, sizeof(content) - 1), (ssize_t)sizeof(content) - 1);
	close(fd);
	cr_assert_eq(parse("--lines", path), LOAD_PARSED_RUN);
	unlink(path);
	cr_assert_eq(options.source.text_cnt, 3);
	cr_assert_eq(options.source.skipped_cnt, 3);
	cr_assert_eq(options.plan.event_cnt, 3, "each line once");
	cr_assert_eq(load_event_make(&options.source, 3, 9, 9, (uint8_t *)out, sizeof(out)), 3);
	cr_assert_str_eq(out, "one", "over and over, without a stamp");
	load_event_make(&options.source, 2, 9, 9, (uint8_t *)out, sizeof(out));
	cr_assert_str_eq(out, "last {seq}", "a file's lines are no templates");
	cleanup();
	cr_assert_eq(parse("--lines", "/dev/null"), LOAD_PARSED_WRONG);
}

Test(payload, mold_is_what_the_parser_takes, .fini = cleanup)
{
	struct load_schedule s;
	struct load_frame frames[8];
	struct pst_mold mold;
	struct pst_event_iter iter;
	struct pst_event event;
	cr_assert_eq(parse("--framing", "mold64", "--session", "S1", "--first-seq", "1000000007",
			     "--count", "25", "--template", "m{seq}", "--stamp", "none"),
		LOAD_PARSED_RUN);
	unsigned cnt = run_schedule(&s, frames, 8);
	cr_assert_eq(cnt, 3, "10 + 10 + 5");
	uint64_t expected = 1000000007;
	for (unsigned i = 0; i < cnt; i++) {
		cr_assert_eq(
			pst_mold_parse(frames[i].bytes, frames[i].len, &mold), PST_FRAME_CARRIED);
		cr_assert_arr_eq(mold.session, "S1        ", 10);
		cr_assert_eq(mold.sequence, expected);
		pst_event_iter_init(&iter, PST_FRAMING_MOLD64, frames[i].bytes, frames[i].len);
		while (pst_event_iter_next(&iter, &event)) {
			char want[32];
			int len = snprintf(
				want, sizeof(want), "m%llu", (unsigned long long)expected++);
			cr_assert_eq(event.len, (uint32_t)len);
			cr_assert_arr_eq(event.data, want, (size_t)len);
		}
	}
	cr_assert_eq(expected, 1000000032);
	free_frames(frames, cnt);
}

Test(payload, lines_end_where_the_datagram_is_full, .fini = cleanup)
{
	struct load_schedule s;
	struct load_frame frames[8];
	/* Two events of 9 and the LF between them fill 19 bytes exactly. */
	cr_assert_eq(parse("--framing", "lines", "--size", "9", "--stamp", "none", "--count", "5",
			     "--payload-max", "19"),
		LOAD_PARSED_RUN);
	unsigned cnt = run_schedule(&s, frames, 8);
	cr_assert_eq(cnt, 3);
	cr_assert_eq(frames[0].len, 19);
	cr_assert_eq(frames[0].bytes[9], '\n');
	cr_assert_eq(frames[2].len, 9);
	free_frames(frames, cnt);
	cleanup();
	cr_assert_eq(
		parse("--size", "20", "--stamp", "none", "--payload-max", "19"), LOAD_PARSED_RUN);
	struct load_frame frame = {.bytes = bytes};
	load_schedule_init(&s, &options.plan, &options.source);
	cr_assert_eq(load_schedule_next(&s, 0, &frame), -1, "not one fits");
}

Test(payload, each_defect_earns_its_verdict, .fini = cleanup)
{
	struct load_schedule s;
	struct load_frame frames[64];
	struct pst_mold mold;
	unsigned bad_cnt = 0;
	cr_assert_eq(parse("--framing", "mold64", "--count", "8", "--events-per-frame", "1",
			     "--malformed", "2", "--heartbeat=4", "--end-of-session"),
		LOAD_PARSED_RUN);
	unsigned cnt = run_schedule(&s, frames, 64);
	cr_assert_eq(cnt, 8 + 4 + 2 + 1 + 1);
	for (unsigned i = 0; i < cnt; i++) {
		cr_assert_eq(pst_mold_parse(frames[i].bytes, frames[i].len, &mold),
			frames[i].verdict, "frame %u shall be %s", i,
			pst_frame_verdict_name(frames[i].verdict));
		bad_cnt += pst_frame_verdict_class(frames[i].verdict) == PST_FRAME_CLASS_REJECTED;
	}
	cr_assert_eq(bad_cnt, 4);
	cr_assert_eq(frames[cnt - 1].verdict, PST_FRAME_END_OF_SESSION);
	cr_assert_eq(frames[cnt - 2].verdict, PST_FRAME_HEARTBEAT);
	cr_assert_eq(pst_load_be64(frames[cnt - 1].bytes + 10), 9, "next expected");
	free_frames(frames, cnt);
}

Test(schedule, gaps_copies_and_late_ones, .fini = cleanup)
{
	struct load_schedule s;
	struct load_frame frames[32];
	/* Datagrams 1 .. 12: 4, 8 and 12 left out, 3 and 9 twice, 5 and 10 behind their next. */
	cr_assert_eq(parse("--count", "12", "--gap", "4", "--duplicate", "3", "--reorder", "5"),
		LOAD_PARSED_RUN);
	unsigned cnt = run_schedule(&s, frames, 32);
	static const uint64_t seqs[] = {1, 2, 3, 3, 6, 6, 5, 7, 9, 9, 11, 10};
	cr_assert_eq(cnt, PST_ARRAY_CNT(seqs));
	struct load_tally tally = {0};
	for (unsigned i = 0; i < cnt; i++) {
		cr_assert_eq(frames[i].seq, seqs[i], "place %u holds %lu", i, (long)frames[i].seq);
		cr_assert_eq(frames[i].copy, i > 0 && seqs[i] == seqs[i - 1]);
		cr_assert_eq(frames[i].number, i);
		if (frames[i].copy) {
			cr_assert_eq(frames[i].len, frames[i - 1].len);
			cr_assert_arr_eq(frames[i].bytes, frames[i - 1].bytes, frames[i].len);
		}
		load_tally_frame(&tally, &frames[i], true);
	}
	cr_assert_eq(s.gap_cnt, 3);
	cr_assert_eq(s.gap_event_cnt, 3);
	cr_assert_eq(tally.event_cnt, 12);
	cr_assert_eq(tally.copy_event_cnt, 3);
	cr_assert_eq(tally.late_frame_cnt, 2);
	free_frames(frames, cnt);
}

Test(schedule, a_held_frame_without_successor_still_leaves, .fini = cleanup)
{
	struct load_schedule s;
	struct load_frame frames[8];
	cr_assert_eq(parse("--count", "4", "--reorder", "2"), LOAD_PARSED_RUN);
	unsigned cnt = run_schedule(&s, frames, 8);
	cr_assert_eq(cnt, 4);
	cr_assert_eq(frames[2].seq, 2);
	cr_assert(frames[2].late);
	cr_assert_eq(frames[3].seq, 4);
	cr_assert_not(frames[3].late, "nothing came before it that followed it");
	free_frames(frames, cnt);
}

Test(schedule, every_fault_on_every_frame_fits_the_queue, .fini = cleanup)
{
	struct load_schedule s;
	static struct load_frame frames[512];
	cr_assert_eq(parse("--framing", "mold64", "--events-per-frame", "1", "--count", "40",
			     "--duplicate", "1", "--reorder", "2", "--malformed", "1",
			     "--heartbeat=1", "--end-of-session"),
		LOAD_PARSED_RUN);
	unsigned cnt = run_schedule(&s, frames, 512);
	/* 20 twice, 20 late ones once, 40 malformed, 40 heartbeats, and the end. */
	cr_assert_eq(cnt, 40 + 20 + 40 + 40 + 2);
	free_frames(frames, cnt);
}

Test(schedule, stop_keeps_what_was_dealt, .fini = cleanup)
{
	struct load_schedule s;
	struct load_frame frame = {.bytes = bytes};
	cr_assert_eq(parse("--count", "0", "--reorder", "2"), LOAD_PARSED_RUN);
	load_schedule_init(&s, &options.plan, &options.source);
	cr_assert_eq(load_schedule_next(&s, 0, &frame), 1);
	cr_assert_eq(frame.seq, 1);
	cr_assert_eq(load_schedule_next(&s, 0, &frame), 1);
	cr_assert_eq(frame.seq, 3);
	load_schedule_stop(&s);
	cr_assert_eq(load_schedule_next(&s, 0, &frame), 1);
	cr_assert_eq(frame.seq, 2, "the held one");
	cr_assert_eq(load_schedule_next(&s, 0, &frame), 0);
	cr_assert_eq(s.next_seq, 4);
}

static struct load_packet
packet_of(const char *src, const char *dst)
{
	struct load_packet p = {.src = {.port = 40000}, .dst = {.port = 5514}};
	cr_assert_eq(pst_addr_parse(src, &p.src.addr), 0);
	cr_assert_eq(pst_addr_parse(dst, &p.dst.addr), 0);
	return p;
}

Test(packet, the_parser_takes_every_length)
{
	static uint8_t out[LOAD_HEADER_LEN_MAX + LOAD_PAYLOAD_MAX];
	struct load_packet packets[] = {
		packet_of("10.0.0.1", "10.255.0.2"), packet_of("2001:db8::1", "fe80::ffff:2")};
	struct pst_frame frame;
	packets[1].vlan_cnt = 2;
	packets[1].vlans[0] = 100;
	packets[1].vlans[1] = 200;
	for (uint32_t i = 0; i < LOAD_PAYLOAD_MAX; i++)
		bytes[i] = (uint8_t)(i * 7 + (i >> 8));
	for (unsigned p = 0; p < PST_ARRAY_CNT(packets); p++) {
		for (uint32_t len = 0; len <= 65507; len = len < 70 ? len + 1 : len * 2 - 1) {
			uint32_t frame_len = load_packet_build(
				out, &packets[p], bytes, len, PST_FRAME_CARRIED);
			cr_assert_eq(
				pst_frame_parse(out, frame_len, PST_CHECKSUM_STRICT, 0, &frame),
				PST_FRAME_CARRIED, "packet %u, %u bytes", p, len);
			cr_assert_eq(frame.payload_len, len);
			cr_assert_eq(frame.src_port, 40000);
			cr_assert_eq(frame.dst_port, 5514);
			cr_assert_eq(memcmp(&frame.src, &packets[p].src.addr, 16), 0);
			cr_assert_eq(memcmp(&frame.dst, &packets[p].dst.addr, 16), 0);
			cr_assert_eq(memcmp(frame.payload, bytes, len), 0);
		}
	}
}

Test(packet, each_defect_earns_its_verdict)
{
	static uint8_t out[LOAD_HEADER_LEN_MAX + LOAD_PAYLOAD_MAX];
	struct load_packet packets[] = {
		packet_of("10.0.0.1", "10.0.0.2"), packet_of("2001:db8::1", "fe80::2")};
	enum pst_frame_verdict defects[PST_FRAME_VERDICT_CNT];
	struct pst_frame frame;
	memset(bytes, 'x', 100);
	for (unsigned p = 0; p < PST_ARRAY_CNT(packets); p++) {
		unsigned cnt = load_packet_defects(&packets[p], defects);
		cr_assert_gt(cnt, 5);
		for (unsigned i = 0; i < cnt; i++) {
			uint32_t len = load_packet_build(out, &packets[p], bytes, 100, defects[i]);
			enum pst_frame_verdict got = pst_frame_parse(
				out, len, PST_CHECKSUM_STRICT, 0, &frame);
			cr_assert_eq(got, defects[i], "wanted %s, got %s",
				pst_frame_verdict_name(defects[i]), pst_frame_verdict_name(got));
		}
	}
}

/* A worked example from elsewhere, since parser and builder could share a mistake: the UDP
 * checksum of "hi" from 192.0.2.1:1 to 192.0.2.2:2, added up by hand:
 * c000+0201 +c000+0202 +0011+000a +0001+0002+000a +6869 = 1ec94 -> ec95 -> 136a. */
Test(packet, checksum_by_hand)
{
	uint8_t out[LOAD_HEADER_LEN_MAX + 2];
	struct load_packet p = packet_of("192.0.2.1", "192.0.2.2");
	p.src.port = 1;
	p.dst.port = 2;
	cr_assert_eq(load_packet_build(out, &p, (const uint8_t *)"hi", 2, PST_FRAME_CARRIED), 44);
	cr_assert_eq(pst_load_be16(out + 14 + 20 + 6), 0x136a, "%04x", pst_load_be16(out + 40));
}

Test(options, numbers_and_addresses, .fini = cleanup)
{
	cr_assert_eq(parse("--rate", "100k", "--count", "2M"), LOAD_PARSED_RUN);
	cr_assert_eq(options.rate, 100000.0);
	cr_assert_eq(options.plan.event_cnt, 2000000);
	cleanup();
	cr_assert_eq(parse("--to", "[2001:db8::7]:26400"), LOAD_PARSED_RUN);
	cr_assert_eq(options.sink.dst.port, 26400);
	cr_assert_not(pst_addr_is_ipv4(&options.sink.dst.addr));
	cr_assert_eq(options.plan.payload_max, 65527);
}

Test(options, mistakes_are_refused)
{
	static char *const bad[][4] = {
		{"--to", "127.0.0.1"},
		{"--to", "127.0.0.1:0"},
		{"--to", "127.0.0.1:65536"},
		{"--to", "::1:5514"},
		{"--to", "[::1]"},
		{"--to", "[::1]5514"},
		{"--to", "host:1"},
		{"--to", ":1"},
		{"--rate", "-1"},
		{"--rate", "1x"},
		{"--rate", ""},
		{"--count", "18446744073709551616"},
		{"--count", "99999999999999G"},
		{"--framing", "mold"},
		{"--session", "elevenchars"},
		{"--reorder", "1"},
		{"--gap", "0"},
		{"--size", "47"},
		{"--size", "65528", "--stamp", "none"},
		{"--template", "two\nlines"},
		{"--template", "", "--stamp", "none"},
		{"--events-per-frame", "2"},
		{"--vlan", "5"},
		{"--dst-mac", "02:00:00:00:00:02"},
		{"--heartbeat"},
		{"--end-of-session"},
		{"--lines", "/nonexistent"},
		{"--from", "::1"},
		{"--flows", "0"},
		{"--unknown"},
		{"stray"},
		{"--pcap", "x", "--interface", "lo"},
		{"--pcap", "/dev/null", "--count", "0"},
	};
	for (size_t i = 0; i < PST_ARRAY_CNT(bad); i++) {
		char *argv[8] = {"penstock-load", "--to", "127.0.0.1:1"};
		memcpy(argv + 3, bad[i], sizeof(bad[i]));
		cr_assert_eq(parse_list(argv), LOAD_PARSED_WRONG, "%s %s", bad[i][0],
			bad[i][1] ? bad[i][1] : "");
		cleanup();
	}
	char *without_to[] = {"penstock-load", "--count", "1", NULL};
	cr_assert_eq(parse_list(without_to), LOAD_PARSED_WRONG);
	cleanup();
}
