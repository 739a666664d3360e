/* Every list is complete, beyond the library's limits. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "telemetry/fake.h"

TestSuite(lists, .fini = fake_eal_stop, .timeout = 60);

Test(lists, a_thousand_rules_are_complete)
{
	fake.rule_cnt = 1000;
	fake.rules_generation = 7;
	fake_start(1, 1, 1);

	json_t *list = fake_list("/penstock/rules");
	json_t *items = json_object_get(list, "items");
	cr_assert_eq(json_at(list, "generation"), 7);
	cr_assert_eq(json_array_size(items), 1000);
	for (uint32_t i = 0; i < 1000; i++) {
		json_t *rule = json_array_get(items, i);
		char name[FAKE_RULE_NAME];
		fake_rule_name(i, name);
		cr_assert_eq(json_at(rule, "id"), i + 100);
		cr_assert_str_eq(text_at(rule, "name"), name);
		cr_assert_eq(json_at(rule, "priority"), -(json_int_t)i);
		cr_assert_eq(json_at(rule, "matched"), i);
		cr_assert_eq(json_at(rule, "decided"), i / 2);
		cr_assert_str_eq(text_at(rule, "stream"), "stream.0");
	}
}

Test(lists, a_thousand_sessions_are_complete)
{
	fake.session_cnt = 1000;
	fake.session_range_cnt = PST_SESSION_PAGE_RANGES;
	fake_start(1, 3, 1);

	json_t *items = json_object_get(fake_list("/penstock/sessions"), "items");
	cr_assert_eq(json_array_size(items), 1000);
	for (uint32_t i = 0; i < 1000; i++) {
		json_t *session = json_array_get(items, i);
		uint8_t id[PST_MOLD_SESSION_LEN];
		char hex[2 * PST_MOLD_SESSION_LEN + 1];
		fake_session_id(i, id);
		for (unsigned b = 0; b < PST_MOLD_SESSION_LEN; b++)
			sprintf(hex + 2 * b, "%02x", id[b]);
		cr_assert_str_eq(text_at(session, "id_hex"), hex);
		cr_assert_eq(json_at(session, "rx"), i % 2);
		cr_assert_eq(json_at(session, "listener"), i % 3);
		cr_assert_eq(json_at(session, "expected"), i);
		cr_assert_eq(json_at(session, "last_seen_ns"), i);
		json_t *ranges = json_object_get(session, "ranges");
		cr_assert_eq(json_array_size(ranges), PST_SESSION_PAGE_RANGES);
		cr_assert_eq(json_at(json_array_get(ranges, 7), "to"), i + 1);
	}
}

Test(lists, a_session_that_is_text_is_shown_as_its_key)
{
	fake.session_cnt = 20;
	fake_start(1, 1, 1);

	json_t *items = json_object_get(fake_list("/penstock/sessions"), "items");
	/* 7 * 16 is 'p', NUL, NUL, NUL and spaces; 7 * 19 is no UTF-8. */
	json_t *text = json_object_get(json_array_get(items, 16), "session");
	cr_assert_eq(json_string_length(text), 4);
	cr_assert_eq(memcmp(json_string_value(text), "p\0\0\0", 4), 0);
	cr_assert_null(json_object_get(json_array_get(items, 16), "session_escaped"));
	cr_assert_str_eq(text_at(json_array_get(items, 19), "session"), "%85%00%00%00");
	cr_assert(json_is_true(json_object_get(json_array_get(items, 19), "session_escaped")));
}

Test(lists, a_thousand_senders_are_complete_and_in_order)
{
	fake.source_cnt = 1000;
	fake.source_steps = 2; /* exchanged while they are read: begun anew */
	fake_start(1, 3, 1);

	json_t *list = fake_list("/penstock/sources");
	json_t *items = json_object_get(list, "items");
	cr_assert_eq(json_array_size(items), 1000);
	cr_assert_eq(json_at(json_object_get(list, "kept"), "events"), 5);
	cr_assert_eq(json_at(json_object_get(list, "others"), "gap_messages"), 7);
	for (uint32_t i = 0; i < 1000; i++) {
		json_t *source = json_array_get(items, i);
		cr_assert_eq(json_at(source, "events"), 1000 - i);
		cr_assert_eq(json_at(source, "events_per_s"), i);
		cr_assert_eq(json_at(source, "listener"), i % 3);
	}
	cr_assert_str_eq(text_at(json_array_get(items, 0), "address"),
		"2020:2020:2020:2020:2020:2020:2020:2020");
	cr_assert_str_eq(text_at(json_array_get(items, 1), "address"), "", "unread");
}

static void
assert_sum_of_cells(const json_t *ledger, uint32_t cell_cnt, json_int_t cell_sum)
{
	json_t *frames = json_object_get(ledger, "frames");
	json_t *events = json_object_get(ledger, "events");
	json_t *items = json_object_get(ledger, "items"), *cell;
	json_int_t polled = 0, shed = 0;
	size_t i;

	cr_assert_eq(json_array_size(items), cell_cnt);
	json_array_foreach(items, i, cell)
	{
		json_t *of_cell = json_object_get(json_object_get(cell, "events"), "shed");
		polled += json_at(json_object_get(cell, "frames"), "polled");
		shed += json_at(of_cell, "sync_failed");
	}
	cr_assert_eq(json_at(frames, "polled"), cell_sum);
	cr_assert_eq(polled, cell_sum, "pages of different snapshots");
	cr_assert_eq(json_at(json_object_get(events, "shed"), "sync_failed"), shed);
}

Test(lists, the_ledger_of_64_listeners_and_63_queues_is_complete_and_of_one_moment)
{
	uint32_t cnt = 64 * 65;
	fake_start(63, 64, 2);

	/* Cell i of the first snapshot counts i + 1. */
	json_t *ledger = fake_list("/penstock/ledger");
	assert_sum_of_cells(ledger, cnt, (json_int_t)cnt * (cnt + 1) / 2);
	cr_assert_eq(fake.snapshot_cnt, 1, "one snapshot for all pages");

	json_t *last = json_array_get(json_object_get(ledger, "items"), cnt - 1);
	cr_assert_eq(json_at(last, "queue"), 63);
	cr_assert_str_eq(text_at(last, "queue_name"), "kernel");
	cr_assert_eq(json_at(last, "listener"), 64);
	cr_assert_str_eq(text_at(last, "listener_name"), "none");
}

Test(lists, cells_without_a_count_are_left_out)
{
	fake.sparse = true;
	fake_start(4, 9, 1);
	/* queues 0, 2 and the kernel path; listeners 0, 2, 4, 6, 8 */
	cr_assert_eq(json_array_size(json_object_get(fake_list("/penstock/ledger"), "items")), 15);
}

Test(lists, a_row_of_a_book_says_every_reason_that_happened_and_no_other)
{
	fake_start(1, 1, 1);
	json_t *row = json_array_get(json_object_get(fake_list("/penstock/listeners"), "items"), 0);
	json_t *frames = json_object_get(row, "frames"), *events = json_object_get(row, "events");
	json_t *rejected = json_object_get(frames, "rejected");
	json_t *ignored = json_object_get(frames, "ignored");
	/* Queue 0 counts 1, the kernel path 3, in every word of the cell. */
	json_int_t n = 4;

	cr_assert_eq(
		json_object_size(rejected) + json_object_size(ignored), PST_FRAME_VERDICT_CNT - 1);
	cr_assert_eq(json_at(rejected, "udp_checksum"), n);
	cr_assert_eq(json_at(ignored, "heartbeat"), n);
	cr_assert_eq(json_at(frames, "carried"), n);
	/* polled - carried - rejected - ignored - in_handoff */
	cr_assert_eq(json_at(frames, "residual"), -n * PST_FRAME_VERDICT_CNT);
	cr_assert_eq(json_object_size(json_object_get(events, "shed")), PST_SHED_CNT);
	cr_assert_eq(json_at(events, "residual"), -n * (5 + PST_SHED_CNT));
	cr_assert_eq(json_at(json_object_get(row, "notes"), "late"), n);
	cr_assert_str_eq(json_string_value(json_array_get(json_object_get(row, "addresses"), 0)),
		"2020:2020:2020:2020:2020:2020:2020:2020");

	json_t *totals = fake_ask("/penstock/ledger,4000000000");
	cr_assert_null(json_object_get(totals, "frames"), "totals stand on the first page");
	fake.sparse = true;
	json_t *first = fake_ask("/penstock/ledger");
	json_t *reasons = json_object_get(json_object_get(first, "frames"), "rejected");
	cr_assert_eq(
		json_object_size(reasons), json_object_size(rejected), "totals name every reason");
}

Test(lists, every_list_is_complete_at_its_widest)
{
	static const struct {
		const char *command;
		size_t cnt;
	} lists[] = {
		{"/penstock/ledger", 64 * 65},
		{"/penstock/interval", 64 * 65 + 2 + 40 * PST_PORTS_MAX},
		{"/penstock/listeners", 65},
		{"/penstock/queues", 64},
		{"/penstock/streams", PST_STREAMS_MAX},
		{"/penstock/partitions", (PST_STREAMS_MAX - 1) * 63 + 1},
		{"/penstock/recovery", PST_STREAMS_MAX * 63},
		{"/penstock/drives", PST_DRIVES_MAX},
		{"/penstock/rx", PST_RX_LCORES_MAX},
		{"/penstock/writers", PST_WRITERS_MAX},
		{"/penstock/latency", PST_WRITERS_MAX},
		{"/penstock/ports", PST_PORTS_MAX},
		{"/penstock/xstats", 300 * PST_PORTS_MAX},
		{"/penstock/sessions", 100},
		{"/penstock/sources", 200},
		{"/penstock/rules", 300},
	};

	fake.widest = true;
	fake.rule_cnt = 300;
	fake.session_cnt = 100;
	fake.session_range_cnt = 1000;
	fake.source_cnt = 200;
	fake.xstat_cnt = 300;
	struct pst_pipeline *pipeline = fake_start(63, 64, PST_STREAMS_MAX);
	memset(&pipeline->rules_diag, 0xff, sizeof(pipeline->rules_diag));
	pipeline->rules_failed_cnt = UINT32_MAX;
	pipeline->rules_diag.file[255] = pipeline->rules_diag.key[159] = '\0';
	pipeline->rules_diag.text[383] = pipeline->rules_diag.remedy[383] = '\0';
	for (unsigned i = 0; i < PST_ARRAY_CNT(lists); i++) {
		json_t *items = json_object_get(fake_list(lists[i].command), "items");
		cr_expect_eq(json_array_size(items), lists[i].cnt, "%s: %zu", lists[i].command,
			json_array_size(items));
	}
	json_t *info = fake_ask("/penstock/info");
	cr_assert_eq(json_at(info, "profile_file_bytes"), 4000, "a cut is said");
	cr_assert_lt(json_string_length(json_object_get(info, "profile_file")), 1300);
}

Test(lists, drives_say_which_failed)
{
	fake_start(2, 2, 2);
	json_t *items = json_object_get(fake_list("/penstock/drives"), "items");
	cr_assert_eq(json_array_size(items), 2);
	const json_t *bad = json_array_get(items, 1);
	cr_expect_str_eq(text_at(bad, "path"), "/data1");
	cr_expect_str_eq(text_at(bad, "state"), "failed");
	cr_expect_str_eq(text_at(bad, "error"), "Input/output error");
	cr_expect_str_eq(text_at(json_array_get(items, 0), "state"), "ok");
	cr_expect_eq(json_at(bad, "free_bytes"), 500);
	cr_expect_eq(json_at(bad, "full"), 0);
	cr_expect_eq(json_at(bad, "full_cnt"), 3);
	fake_eal_stop();
}

Test(lists, recovery_says_what_and_where)
{
	fake_start(2, 1, 2);
	json_t *list = fake_list("/penstock/recovery");
	json_t *items = json_object_get(list, "items");
	cr_assert_eq(json_array_size(items), 3, "one of four was closed in order");
	json_t *row = json_array_get(items, 0);
	cr_assert_str_eq(text_at(row, "stream_name"), "stream.1");
	cr_assert_eq(json_at(row, "partition"), 0);
	cr_assert_eq(json_at(row, "item_cnt"), 2);
	json_t *first = json_array_get(json_object_get(row, "items"), 0);
	cr_assert_str_eq(text_at(first, "kind"), "set_aside");
	cr_assert_eq(json_at(first, "position"), 4096);
	cr_assert_eq(json_at(first, "bytes"), 512);
	cr_assert_str_eq(text_at(first, "file"), "00000000000000000007");
	json_t *second = json_array_get(json_object_get(row, "items"), 1);
	cr_assert_str_eq(text_at(second, "kind"), "missing");
	cr_assert_eq(json_at(second, "last_offset"), 19);
	cr_assert_null(json_object_get(second, "file"));
}

Test(lists, thousands_of_small_statistics_are_complete)
{
	fake.xstat_cnt = 1000;
	fake_start(3, 1, 1);
	json_t *items = json_object_get(fake_list("/penstock/xstats"), "items");
	cr_assert_eq(json_array_size(items), 3000);
	for (uint32_t i = 0; i < 3000; i++) {
		char name[16];
		snprintf(name, sizeof(name), "rx.%u", i % 1000);
		cr_assert_str_eq(text_at(json_array_get(items, i), "name"), name);
		cr_assert_eq(json_at(json_array_get(items, i), "port"), i / 1000);
		cr_assert_eq(
			json_at(json_array_get(items, i), "value"), i / 1000 * 10000 + i % 1000);
	}
}

Test(lists, long_texts_come_whole)
{
	fake.widest = true;
	fake_start(1, 1, 1);
	json_t *row = json_array_get(json_object_get(fake_list("/penstock/streams"), "items"), 0);
	cr_assert_eq(strlen(text_at(row, "name")), PST_NAME_MAX);
	cr_assert_eq(strncmp(text_at(row, "name"), "stream.0wwww", 12), 0);
	cr_assert_eq(strspn(text_at(row, "name") + 8, "w"), PST_NAME_MAX - 8);
}

Test(lists, numbers_beyond_63_bits_are_strings)
{
	fake.widest = true;
	fake_start(1, 1, 1);
	json_t *row = json_array_get(json_object_get(fake_list("/penstock/streams"), "items"), 0);
	cr_assert_str_eq(text_at(row, "routed_in"), "18446744073709551615");
	json_t *log = json_array_get(
		json_object_get(fake_list("/penstock/partitions"), "items"), 0);
	cr_assert_eq(json_at(log, "durable_offset"), INT64_MIN);
}

Test(lists, info_tells_what_runs)
{
	fake_start(3, 2, 2);
	json_t *info = fake_ask("/penstock/info");
	cr_assert_str_eq(text_at(info, "version"), PST_VERSION);
	cr_assert_eq(json_at(info, "pid"), getpid());
	cr_assert_str_eq(text_at(info, "phase"), "run");
	cr_assert_str_eq(text_at(info, "profile_file"), "/etc/penstock/\"odd\"\\\xc3\xa4%.yaml");
	cr_assert_eq(json_at(info, "clock_step_ns_last"), -5000000000);
	cr_assert_eq(json_at(info, "queue_cnt"), 3);
}

Test(lists, sessions_that_begin_meanwhile_hide_and_double_none)
{
	struct pst_diag diag;
	uint8_t id[PST_MOLD_SESSION_LEN];
	uint32_t times[100] = {0};
	json_t *session;
	size_t s;
	fake.session_cnt = 100;
	fake_start(1, 1, 1);

	fake.sessions_begin = 3;
	struct pst_client *client = fake_client();
	json_t *sessions = json_object_get(fake_kept(pst_client_status(client, &diag)), "sessions");
	pst_client_close(client);
	json_array_foreach(sessions, s, session)
	{
		for (uint32_t i = 0; i < 100; i++) {
			fake_session_id(i, id);
			char hex[16];
			sprintf(hex, "%02x%02x%02x%02x", id[0], id[1], id[2], id[3]);
			times[i] += strncmp(text_at(session, "id_hex"), hex, 8) == 0;
		}
	}
	for (uint32_t i = 0; i < 100; i++)
		cr_expect_eq(times[i], 1, "session %u: %u times", i, times[i]);
}
