#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "top_view.h"

static struct model model;
static struct page page;

static json_t *
json(const char *text)
{
	json_error_t error;
	json_t *value = json_loads(text, 0, &error);
	cr_assert(value, "%s in %s", error.text, text);
	return value;
}

/* An answer of the daemon, as far as top looks at it; the numbers are those given, second by
 * second. */
static json_t *
answer(unsigned second, unsigned pid, const char *counters)
{
	char text[8192];
	snprintf(text, sizeof(text),
		"{\"info\": {\"pid\": %u, \"uptime_ns\": %u000000000, \"profile\": \"site\","
		"\"phase\": \"run\"}, %s}",
		pid, second, counters);
	return json(text);
}

static void
fini(void)
{
	model_fini(&model);
}

TestSuite(top, .fini = fini);

/* ---- page ---- */

static const char *
line(unsigned i)
{
	static char text[PAGE_COLUMNS_MAX + 1];
	cr_assert_lt(i, page.line_cnt);
	memcpy(text, page.lines[i].text, page.lines[i].used);
	text[page.lines[i].used] = '\0';
	return text;
}

/* The index of the line that contains text. */
static unsigned
find(const char *text)
{
	for (unsigned i = 0; i < page.line_cnt; i++)
		if (strstr(line(i), text))
			return i;
	page_print(stderr, &page);
	cr_assert(0, "no line has '%s'", text);
	return 0;
}

static bool
has(const char *text)
{
	for (unsigned i = 0; i < page.line_cnt; i++)
		if (strstr(line(i), text))
			return true;
	return false;
}

Test(top, text_is_cut_at_the_edges)
{
	page_clear(&page, 10, 3);
	page_put(&page, PAGE_PLAIN, "%s", "0123456789abcdef");
	cr_expect_str_eq(line(0), "0123456789");
	page_at(&page, 1, 4);
	page_put(&page, PAGE_BAD, "x\ny\x1b\xc3\xa4");
	cr_expect_str_eq(line(1), "    x?y???");
	cr_expect_eq(page.lines[1].style[4], PAGE_BAD);
	page_at(&page, 3, 0);
	page_put(&page, PAGE_PLAIN, "below");
	cr_expect_eq(page.line_cnt, 2);
	page_clear(&page, 100000, 100000);
	for (unsigned i = 0; i < 2 * PAGE_LINES_MAX; i++) {
		page_put(&page, PAGE_PLAIN, "%0*d", 2 * PAGE_COLUMNS_MAX, 7);
		page_next(&page);
	}
	cr_expect_eq(page.line_cnt, PAGE_LINES_MAX);
}

Test(top, bars_are_filled_to_their_share)
{
	page_clear(&page, 80, 4);
	page_bar(&page, 12, 0.5, PAGE_GOOD);
	page_next(&page);
	page_bar(&page, 12, 7, PAGE_GOOD);
	page_next(&page);
	page_bar(&page, 12, -1, PAGE_GOOD);
	cr_expect_str_eq(line(0), "[|||||     ]");
	cr_expect_str_eq(line(1), "[||||||||||]");
	cr_expect_str_eq(line(2), "[          ]");
}

Test(top, numbers_keep_three_digits)
{
	static const struct {
		double value;
		const char *text;
	} cases[] = {{0, "0"}, {0.04, "0.0"}, {2.34, "2.3"}, {9.96, "10"}, {17, "17"},
		{999.4, "999"}, {999.6, "1.00k"}, {1234, "1.23k"}, {12345, "12.3k"},
		{999600, "1.00M"}, {123456789, "123M"}, {4.56e9, "4.56G"}, {1e21, "1000E"},
		{-5, "0"}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[PAGE_NUMBER_BYTES];
		page_number(text, cases[i].value);
		cr_expect_str_eq(text, cases[i].text, "%f: %s", cases[i].value, text);
	}
}

/* ---- model ---- */

Test(top, rates_are_growth_by_the_daemons_own_seconds)
{
	model_take(&model, answer(10, 1, "\"events\": {\"found\": 100, \"shed\": {\"a\": 1}}"), 0);
	cr_expect_eq(model_rate(&model, model.now, model.before, "events.found"), 0);
	model_take(&model,
		answer(14, 1, "\"events\": {\"found\": 500, \"shed\": {\"a\": 3, \"b\": 6}}"), 0);
	cr_expect_eq(model_rate(&model, model.now, model.before, "events.found"), 100);
	cr_expect_eq(model_rate(&model, model.now, model.before, "events.shed"), 2);
	cr_expect_eq(model_rate(&model, model.now, model.before, "events.nothing"), 0);
	/* A reload of the rules sets their counters back. */
	model_take(&model, answer(16, 1, "\"events\": {\"found\": 0}"), 0);
	cr_expect_eq(model_rate(&model, model.now, model.before, "events.found"), 0);
}

/* A sender may begin at the end of its sequence. */
Test(top, numbers_beyond_63_bits_are_text)
{
	json_t *row = json_pack(
		"{s:s,s:{s:i}}", "expected", "18446744073709551607", "shed", "a", 3);

	cr_assert_float_eq(model_number(row, "expected"), 1.8446744073709552e19, 4096);
	cr_assert_eq(model_number(row, "shed"), 3);
	json_decref(row);
}

Test(top, another_run_begins_anew)
{
	model_take(&model, answer(10, 1, "\"events\": {\"found\": 100}"), 0);
	model_take(&model, answer(2, 2, "\"events\": {\"found\": 900}"), 0);
	cr_expect_null(model.before);
	cr_expect_eq(model_rate(&model, model.now, model.before, "events.found"), 0);
	cr_assert_eq(model.loss_cnt, 1);
	cr_expect_str_eq(model.losses[0].what, "daemon restarted");
	/* Nor does the same number of a process with less uptime deceive. */
	model_take(&model, answer(1, 2, "\"events\": {\"found\": 1000}"), 0);
	cr_expect_null(model.before);
	/* Nor one that has been up for longer than we looked away. */
	model_take(&model, answer(50, 3, "\"events\": {\"found\": 2000}"), 0);
	cr_expect_null(model.before);
}

#define CELL(shed, rejected)                                                                       \
	"\"cells\": [{\"queue\": 0, \"listener\": 1, \"queue_name\": \"lo/0\", "                   \
	"\"listener_name\": \"syslog\", \"events\": {\"shed\": {" shed                             \
	"}}, \"frames\": {\"rejected\": {" rejected "}}}]"
#define PORT(imissed) ", \"ports\": [{\"index\": 0, \"name\": \"lo\", \"imissed\": " imissed "}]"
#define SESSION(missing)                                                                           \
	", \"sessions\": [{\"rx\": 0, \"listener\": 2, \"id_hex\": \"41\", \"session\": \"A\", "   \
	"\"listener_name\": \"feed\", \"gap_messages\": " missing "}]"

Test(top, losses_are_named_with_place_and_count)
{
	model_take(&model, answer(1, 1, CELL("", "") PORT("0") SESSION("0")), 1);
	cr_expect_eq(model.loss_cnt, 0);
	model_take(&model,
		answer(2, 1,
			CELL("\"no_buffer\": 5", "\"udp_checksum\": 2") PORT("7") SESSION("3")),
		2);
	model_take(&model,
		answer(3, 1,
			CELL("\"no_buffer\": 9", "\"udp_checksum\": 2") PORT("7") SESSION("3")),
		3);
	cr_assert_eq(model.loss_cnt, 4);
	cr_expect_str_eq(model.losses[0].what, "shed no_buffer");
	cr_expect_str_eq(model.losses[0].where, "syslog, lo/0");
	cr_expect_eq(model.losses[0].cnt, 9, "both times together");
	cr_expect_eq(model.losses[0].first, 2);
	cr_expect_eq(model.losses[0].last, 3);
	cr_expect_str_eq(model.losses[1].what, "gap");
	cr_expect_str_eq(model.losses[1].where, "session A, feed");
	cr_expect_eq(model.losses[1].cnt, 3);
	cr_expect_str_eq(model.losses[2].what, "missed");
	cr_expect_eq(model.losses[2].cnt, 7);
	cr_expect_str_eq(model.losses[3].what, "rejected udp_checksum");
	cr_expect_eq(model.losses[3].cnt, 2);
	cr_expect_eq(model_missed(model.now), 7);
}

Test(top, the_oldest_loss_makes_room)
{
	char old[200], text[8192] = "";
	model_take(&model, answer(1, 1, CELL("", "")), 1);
	for (unsigned i = 0; i < MODEL_LOSSES_MAX + 3; i++) {
		snprintf(old, sizeof(old), "%s\"r%u\": 1", i ? ", " : "", i);
		strcat(text, old);
		char counters[8192];
		snprintf(counters, sizeof(counters), CELL("", "%s"), text);
		model_take(&model, answer(2 + i, 1, counters), 2 + i);
	}
	cr_expect_eq(model.loss_cnt, MODEL_LOSSES_MAX);
	cr_expect_str_eq(model.losses[0].what, "rejected r66");
	cr_expect_str_eq(model.losses[MODEL_LOSSES_MAX - 1].what, "rejected r3");
}

/* ---- views ---- */

static void
draw(unsigned view, unsigned width, unsigned height, struct view_state *state)
{
	struct view_head head = {.prefix = "penstock", .delay_s = 2};
	page_clear(&page, width, height);
	view_draw(&page, &model, &head, view, state);
	for (unsigned i = 0; i < page.line_cnt; i++)
		cr_expect_leq(page.lines[i].used, width);
	cr_expect_leq(page.line_cnt, height);
}

#define RULES(a, b, c)                                                                             \
	"\"rules\": {\"items\": ["                                                                 \
	"{\"id\": 1, \"name\": \"alpha\", \"action\": \"drop\", \"matched\": " a "},"              \
	"{\"id\": 2, \"name\": \"beta\", \"action\": \"keep\", \"matched\": " b "},"               \
	"{\"id\": 3, \"name\": \"gamma\\u001b[2J\", \"action\": \"keep\", \"matched\": " c "}]}"

Test(top, lists_are_sorted_by_rate_and_by_what_is_asked_for)
{
	struct view_state state = {.sort = -1};
	model_take(&model, answer(1, 1, RULES("100", "0", "10")), 0);
	model_take(&model, answer(2, 1, RULES("101", "50", "20")), 0);
	draw(5, 80, 24, &state);
	cr_expect_lt(find("beta"), find("gamma"));
	cr_expect_lt(find("gamma"), find("alpha"));
	cr_expect(has("gamma\\x1b[2J"), "names cannot steer the terminal");
	state.sort = 5; /* matched ever */
	draw(5, 80, 24, &state);
	cr_expect_lt(find("alpha"), find("beta"));
	state.reverse = true;
	draw(5, 80, 24, &state);
	cr_expect_lt(find("beta"), find("alpha"));
	state = (struct view_state){.sort = 1}; /* name */
	draw(5, 80, 24, &state);
	cr_expect_lt(find("alpha"), find("beta"));
	cr_expect_lt(find("beta"), find("gamma"));
	state = (struct view_state){.sort = -1, .first = 2};
	draw(5, 80, 9, &state);
	cr_expect(has("alpha"));
	cr_expect_not(has("gamma"), "scrolled away");
	state.first = 1000;
	draw(5, 80, 9, &state);
	cr_expect_leq(state.first, 3, "scrolled no further than to the end");
	cr_expect(has("alpha"));
}

Test(top, a_loss_is_on_the_first_screen)
{
	struct view_state state = {.sort = -1};
	static const char books[] = ", \"events\": {\"shed\": {\"no_buffer\": %u}, \"found\": %u}, "
				    "\"frames\": {\"rejected\": {\"udp_checksum\": %u}}";
	char counters[2048];
	for (unsigned i = 1; i < 3; i++) {
		int n = snprintf(counters, sizeof(counters), "%s",
			i == 1 ? CELL("", "") : CELL("\"no_buffer\": 12", "\"udp_checksum\": 4"));
		snprintf(counters + n, sizeof(counters) - (size_t)n, books, (i - 1) * 12, i * 1000,
			(i - 1) * 4);
		model_take(&model, answer(i, 1, counters), i);
	}
	for (unsigned height = 24; height < 70; height += 11) {
		draw(0, 80, height, &state);
		cr_expect(has("shed 12  (no_buffer 12)  rejected 4.0  (udp_checksum 4.0)"));
		cr_expect(has("events 1.00k"));
		cr_expect(has("shed no_buffer"), "the latest losses, with their place");
		cr_expect(has("syslog, lo/0"));
	}
}

Test(top, a_failed_drive_is_on_every_screen)
{
	model_take(&model,
		answer(1, 1,
			"\"drives\": [{\"path\": \"/mnt/a\", \"state\": \"ok\"},"
			"{\"path\": \"/mnt/b\", \"state\": \"failed\", \"error\": \"EIO\"}]"),
		0);
	for (unsigned view = 0; view < VIEW_CNT; view++) {
		draw(view, 80, 24, &(struct view_state){.sort = -1});
		cr_expect(has("drive /mnt/b failed: EIO"));
		cr_expect_not(has("/mnt/a"));
	}
}

Test(top, any_size_and_any_answer_can_be_drawn)
{
	static const char *const answers[] = {"\"x\": 0",
		"\"rx\": [{}, 7, null], \"writers\": {}, \"ports\": [[]], \"rules\": [], "
		"\"streams\": [{\"partitions\": 3}], \"sessions\": [{}], \"cells\": \"\", "
		"\"sources\": {\"items\": [{\"address\": 3}]}, \"events\": []"};
	for (size_t a = 0; a < 2; a++) {
		model_take(&model, answer(1, 1, answers[a]), 0);
		model_take(&model, answer(2, 1, answers[a]), 0);
		for (unsigned view = 0; view < VIEW_CNT; view++)
			for (unsigned size = 1; size < 300; size += 13) {
				struct view_state state = {.sort = -1, .first = size};
				draw(view, size, size, &state);
			}
	}
	model_fini(&model);
	draw(0, 80, 24, &(struct view_state){.sort = -1});
	page_clear(&page, 1, 1);
	view_draw_help(&page);
}

Test(top, the_key_line_and_the_help_fit_into_80_columns)
{
	draw(0, PAGE_COLUMNS_MAX, 24, &(struct view_state){.sort = -1});
	cr_expect_leq(page.lines[23].used, 80);
	page_clear(&page, PAGE_COLUMNS_MAX, 24);
	view_draw_help(&page);
	for (unsigned i = 0; i < page.line_cnt; i++)
		cr_expect_leq(page.lines[i].used, 80, "line %u", i);
	cr_expect(has("any key goes back"));
}
