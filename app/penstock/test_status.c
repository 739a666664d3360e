#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "status_text.h"
#include "table.h"

static char *
printed_table(const struct column *columns, unsigned column_cnt, const char *rows)
{
	char *text = NULL;
	size_t len, i;
	json_t *json = json_loads(rows, 0, NULL), *row;
	FILE *out = open_memstream(&text, &len);
	struct table table;

	cr_assert_not_null(json);
	table_init(&table, columns, column_cnt);
	json_array_foreach(json, i, row)
	{
		table_row(&table, row);
	}
	table_print(out, &table);
	fclose(out);
	json_decref(json);
	return text;
}

static void
say_twice(struct table *table, const json_t *row)
{
	table_text(table, "%d", 2 * (int)json_integer_value(json_object_get(row, "n")));
}

Test(table, columns_are_as_wide_as_what_stands_in_them)
{
	static const struct column columns[] = {
		{"name", "name"}, {">count", "n"}, {">twice", NULL, say_twice}, {"last", "l"}};
	cr_assert_str_eq(printed_table(columns, 4,
				 "[{\"name\":\"a\",\"n\":1234567,\"l\":\"x\"},"
				 "{\"name\":\"longer\\u00e4\",\"n\":-1}]"),
		"name       count    twice  last\n"
		"a        1234567  2469134  x\n"
		"longer\xc3\xa4       -1       -2  -\n");
	cr_assert_str_eq(printed_table(columns, 4, "[]"), "", "no row, no head");
}

Test(table, members_of_members_and_sums)
{
	static const struct column columns[] = {
		{">polled", "frames.polled"}, {">rejected", "frames.rejected"}, {">none", "x.y"}};
	cr_assert_str_eq(printed_table(columns, 3,
				 "[{\"frames\":{\"polled\":5,\"rejected\":{\"a\":1,\"b\":2}}}]"),
		"polled  rejected  none\n"
		"     5         3     -\n");
}

Test(table, no_name_can_steer_the_terminal)
{
	static const struct column columns[] = {{"name", "name"}};
	/* ESC, CSI as C1, DEL, NUL in the middle, LF */
	cr_assert_str_eq(
		printed_table(columns, 1, "[{\"name\":\"a\\u001b[2J\\u009bm\\u007f\\nz\"}]"),
		"name\na\\x1b[2J\\xc2\\x9bm\\x7f\\x0az\n");
	json_t *with_nul = json_stringn("a\0b", 3);
	char *text = table_value(with_nul);
	cr_assert_str_eq(text, "a\\x00b");
	free(text);
	json_decref(with_nul);
}

/* ---- the screen ---- */

static const char small[] =
	"{\"info\":{\"version\":\"1\",\"pid\":7,\"uptime_ns\":93784000000000,\"profile\":\"p\","
	"\"data_dir\":\"/d\",\"phase\":\"run\",\"clock_step_cnt\":0,"
	"\"stuck_lcores\":\"rx 1, writer 0\"},"
	"\"frames\":{\"polled\":10,\"carried\":7,\"rejected\":{\"udp_checksum\":2,\"mold_short\":0}"
	","
	"\"ignored\":{},\"in_handoff\":0,\"residual\":1},"
	"\"events\":{\"found\":9,\"stored\":4,\"filtered\":1,\"sampled_out\":1,\"duplicate\":1,"
	"\"quarantined\":0,\"shed\":{\"no_buffer\":2},\"in_flight\":0,\"residual\":0},"
	"\"listeners\":[{\"name\":\"syslog\",\"udp_port\":5514,\"framing\":\"datagram\","
	"\"stream\":\"s\",\"frames\":{\"polled\":10},\"events\":{\"found\":9}}],"
	"\"streams\":[{\"name\":\"s\",\"routed_in\":6,\"partitions\":[{\"stream_name\":\"s\","
	"\"partition\":3,\"drive\":1,\"durable_offset\":77,\"next_offset\":80,\"failed\":1}]}],"
	"\"drives\":[{\"index\":0,\"path\":\"/a\",\"state\":\"ok\",\"partition_cnt\":2,"
	"\"log_bytes\":7,\"free_bytes\":8,\"space_bytes\":9},{\"index\":1,\"path\":\"/b\","
	"\"state\":\"failed\",\"error\":\"Input/output error\"},{\"index\":2,\"path\":\"/c\","
	"\"state\":\"ok\",\"full\":1}],"
	"\"rules\":{\"generation\":2,\"failed_cnt\":1,\"scan_errors\":0,\"last_failure\":"
	"{\"file\":\"r.yaml\",\"line\":3,\"text\":\"bad \\u001b[1m\"},\"items\":["
	"{\"id\":1,\"name\":\"one\",\"action\":\"keep\",\"matched\":1,\"decided\":1},"
	"{\"id\":2,\"name\":\"two\",\"action\":\"drop\",\"matched\":5,\"decided\":5},"
	"{\"id\":3,\"name\":\"three\",\"action\":\"keep\",\"matched\":3,\"decided\":0}]},"
	"\"latency\":{\"all\":{\"sealed\":{\"cnt\":0},\"durable\":{\"cnt\":9,\"ns_p50\":1500000,"
	"\"ns_p90\":2000000,\"ns_p99\":4321000,\"ns_p999\":52000000,\"ns_max\":52000000}}},"
	"\"ports\":[{\"name\":\"wire\",\"spread\":{\"skewed\":1,\"busiest_queue\":2,"
	"\"busiest_share_permille\":955}},{\"name\":\"even\",\"spread\":{\"skewed\":0}}],"
	"\"sources\":{\"total\":30,\"others\":{\"frames\":8,\"events\":6},\"items\":["
	"{\"address\":\"192.0.2.1\",\"listener_name\":\"feed\",\"events\":900,"
	"\"events_per_s\":30,\"rejected\":1,\"gap_messages\":2},"
	"{\"address\":\"\",\"listener_name\":\"none\",\"events\":0}]},"
	"\"sessions\":[{\"session\":\"S1\",\"listener_name\":\"feed\",\"missing\":4,"
	"\"expected\":\"18446744073709551615\",\"range_cnt\":3,\"ranges\":["
	"{\"from\":5,\"to\":6},{\"from\":9,\"to\":\"9223372036854775808\"}]}]}";

static char *
screen(const char *json, unsigned top_cnt)
{
	char *text = NULL;
	size_t len;
	json_t *status = json_loads(json, 0, NULL);
	FILE *out = open_memstream(&text, &len);

	cr_assert_not_null(status);
	status_print(out, status, top_cnt);
	fclose(out);
	json_decref(status);
	return text;
}

/* Whether a line of the screen has these words, in order, each apart. */
static bool
has_line(const char *text, const char *words)
{
	char *copy = strdup(text), *rest = copy, *line;
	bool found = false;

	while (!found && (line = strsep(&rest, "\n"))) {
		char squeezed[1024] = "", *word, *at = line;
		while ((word = strsep(&at, " ")))
			if (*word) {
				strcat(squeezed, squeezed[0] ? " " : "");
				strcat(squeezed, word);
			}
		found = strcmp(squeezed, words) == 0;
	}
	free(copy);
	return found;
}

Test(screen, shows_books_reasons_and_residuals)
{
	char *text = screen(small, 10);
	cr_assert(has_line(
		text, "penstockd 1, pid 7, up 1 d 02:03:04, profile p, data in /d, phase run"));
	cr_assert(has_line(text, "10 7 2 0 0 1"), "%s", text);
	cr_assert(has_line(text, "rejected: udp_checksum 2"));
	cr_expect(has_line(text, "0 /a ok 2 7 8 9"));
	cr_expect(has_line(text, "1 /b Input/output error - - - -"));
	cr_expect(has_line(text, "2 /c full - - - -"));
	cr_assert_null(strstr(text, "ignored: "), "nothing was ignored");
	cr_assert(has_line(text, "9 4 1 1 1 0 2 0 0"));
	cr_assert(has_line(text, "shed: no_buffer 2"));
	cr_assert(has_line(text, "syslog 5514 datagram s 10 - - - 9 - - - - - -"));
	cr_assert(has_line(text, "s 3 1 - - 77 80 - - failed: takes no more"));
}

Test(screen, shows_the_rules_that_matched_most_and_what_was_refused)
{
	char *text = screen(small, 2);
	cr_assert(has_line(text, "rules: 3, generation 2, scan errors 0"));
	cr_assert(has_line(text, "reloads refused: 1, the last one for r.yaml:3: bad \\x1b[1m"));
	const char *two = strstr(text, "  2  two"), *three = strstr(text, "  3  three");
	cr_assert(two && three && two < three);
	cr_assert_null(strstr(text, "1  one"));
	cr_assert(has_line(text, "and 1 more with less matched: --json shows all"));
}

Test(screen, shows_latency)
{
	char *text = screen(small, 10);
	cr_assert(has_line(text, "sealed 0 - - - - -"), "%s", text);
	cr_assert(has_line(text, "durable 9 1.5 ms 2 ms 4.32 ms 52 ms 52 ms"), "%s", text);
}

Test(screen, shows_what_is_wrong_with_lcores_and_queues)
{
	char *text = screen(small, 10);
	cr_assert(has_line(text, "STUCK, no turn of the loop: rx 1, writer 0"), "%s", text);
	cr_assert(has_line(text, "wire: queue 2 got 95.5 % of the frames: the others idle"));
	cr_assert_null(strstr(text, "even: queue"));
	cr_assert_null(strstr(screen("{}", 10), "STUCK"));
}

Test(screen, shows_senders)
{
	char *text = screen(small, 1);
	cr_assert(has_line(text, "senders: 30"));
	cr_assert(has_line(text, "192.0.2.1 feed 900 30 - - 1 - 2"), "%s", text);
	cr_assert_null(strstr(text, "(not read)"));
	cr_assert(has_line(text, "and 29 more with less events: /penstock/sources"));
	cr_assert(
		has_line(text, "and 8 frames, 6 events of senders that are not followed any more"));
	cr_assert(has_line(screen(small, 2), "(not read) none 0 - - - - - -"));
}

Test(screen, shows_gaps)
{
	char *text = screen(small, 10);
	cr_assert(has_line(text,
			  "S1 feed 18446744073709551615 - - - - 4 5-6 9-9223372036854775808 ..."),
		"%s", text);
}

Test(screen, an_empty_status_does_no_harm)
{
	char *text = screen("{}", 10);
	cr_assert(has_line(text, "sessions: 0"));
}
