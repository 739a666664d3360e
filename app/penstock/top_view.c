#include "top_view.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "table.h"

#define KEYS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- the lists ---- */

static const struct table_column reason_columns[] = {{"KIND", TABLE_TEXT, "kind", 9},
	{"REASON", TABLE_TEXT, "reason", 0}, {"/s", TABLE_RATE, "total", 9},
	{"TOTAL", TABLE_COUNT, "total", 9}};
static const struct table_column core_columns[] = {{"CORE", TABLE_TEXT, "core", 9},
	{"CPU", TABLE_COUNT, "cpu", 3}, {"BUSY", TABLE_SHARE, "busy_ns", 6},
	{"FILL", TABLE_FILL, "used", 14}, {"USED", TABLE_COUNT, "used", 5},
	{"OF", TABLE_COUNT, "size", 5}, {"BATCH/s", TABLE_RATE, "batch_sealed_cnt", 7},
	{"BYTES/s", TABLE_RATE, "write_bytes", 7}, {"WRITE/s", TABLE_RATE, "write_cnt", 7},
	{"SYNC/s", TABLE_RATE, "sync_cnt", 6}};
static const struct table_column stream_columns[] = {{"STREAM", TABLE_TEXT, "stream_name", 0},
	{"PART", TABLE_COUNT, "partition", 4}, {"QUEUE", TABLE_TEXT, "queue_name", 10},
	{"EVENT/s", TABLE_RATE, "next_offset", 7}, {"BYTES/s", TABLE_RATE, "written_bytes", 7},
	{"DURABLE", TABLE_COUNT, "durable_offset", 11}, {"BYTES", TABLE_COUNT, "log_bytes", 7},
	{"SEG", TABLE_COUNT, "segment_cnt", 4}};
static const struct table_column port_columns[] = {{"PORT", TABLE_TEXT, "name", 0},
	{"KIND", TABLE_TEXT, "kind", 7}, {"DEVICE", TABLE_TEXT, "device", 12},
	{"PKT/s", TABLE_RATE, "rx_packets", 6}, {"BYTES/s", TABLE_RATE, "rx_bytes", 7},
	{"MISSED", TABLE_COUNT, "imissed", 7}, {"ERRORS", TABLE_COUNT, "ierrors", 6},
	{"FREE", TABLE_COUNT, "mbuf_free_cnt", 6}, {"OF", TABLE_COUNT, "mbuf_cnt", 6}};
static const struct table_column rule_columns[] = {{"ID", TABLE_COUNT, "id", 7},
	{"RULE", TABLE_TEXT, "name", 0}, {"ACTION", TABLE_TEXT, "action", 10},
	{"MATCH/s", TABLE_RATE, "matched", 7}, {"DECIDE/s", TABLE_RATE, "decided", 8},
	{"MATCHED", TABLE_COUNT, "matched", 9}, {"DECIDED", TABLE_COUNT, "decided", 9}};
static const struct table_column sender_columns[] = {{"SENDER", TABLE_TEXT, "address", 0},
	{"LISTENER", TABLE_TEXT, "listener_name", 10}, {"EVENT/s", TABLE_COUNT, "events_per_s", 7},
	{"BYTES/s", TABLE_COUNT, "bytes_per_s", 7}, {"EVENTS", TABLE_COUNT, "events", 9},
	{"REJECTED", TABLE_COUNT, "rejected", 8}, {"COPIES", TABLE_COUNT, "duplicate", 7},
	{"GAPS", TABLE_COUNT, "gap_messages", 7}};
static const struct table_column session_columns[] = {{"SESSION", TABLE_TEXT, "session", 0},
	{"LISTENER", TABLE_TEXT, "listener_name", 10}, {"EVENT/s", TABLE_RATE, "received", 7},
	{"RECEIVED", TABLE_COUNT, "received", 9}, {"EXPECTED", TABLE_COUNT, "expected", 9},
	{"MISSING", TABLE_COUNT, "missing", 8}, {"LATE", TABLE_COUNT, "late", 7},
	{"COPIES", TABLE_COUNT, "duplicate", 7}};
static const struct table_column loss_columns[] = {{"LAST", TABLE_TEXT, "time", 8},
	{"COUNT", TABLE_COUNT, "cnt", 9}, {"WHAT", TABLE_TEXT, "what", 26},
	{"WHERE", TABLE_TEXT, "where", 0}};

#define COLUMNS(columns) columns, PST_ARRAY_CNT(columns)

static const struct table_view lists[VIEW_CNT] = {
	{.name = "All"},
	{"Drops", "reasons", KEYS("kind", "reason"), COLUMNS(reason_columns), 3,
		"nothing was dropped, whether wanted or not"},
	{"Cores", "cores", KEYS("core"), COLUMNS(core_columns), -1, "no core"},
	{"Streams", "parts", KEYS("stream", "partition"), COLUMNS(stream_columns), -1,
		"no partition"},
	{"Ports", "ports", KEYS("index"), COLUMNS(port_columns), -1, "no port"},
	{"Rules", "rules.items", KEYS("id"), COLUMNS(rule_columns), 3, "no rule"},
	{"Senders", "sources.items", KEYS("address", "listener"), COLUMNS(sender_columns), 2,
		"nobody has sent anything"},
	{"Sessions", "sessions", KEYS("rx", "listener", "id_hex"), COLUMNS(session_columns), 5,
		"no MoldUDP64 session"},
	{"Losses", "losses", KEYS("what", "where"), COLUMNS(loss_columns), -1,
		"nothing was lost since this console looks"},
};

/* ---- the overview's panels ---- */

static const struct table_column rule_panel[] = {{"RULE", TABLE_TEXT, "name", 0},
	{"MATCH/s", TABLE_RATE, "matched", 7}, {"MATCHED", TABLE_COUNT, "matched", 7}};
static const struct table_column sender_panel[] = {{"SENDER", TABLE_TEXT, "address", 0},
	{"EVENT/s", TABLE_COUNT, "events_per_s", 7}, {"EVENTS", TABLE_COUNT, "events", 7}};
static const struct table_view rules_panel = {
	"", "rules.items", KEYS("id"), COLUMNS(rule_panel), 1, "no rule matched anything"};
static const struct table_view senders_panel = {"", "sources.items", KEYS("address", "listener"),
	COLUMNS(sender_panel), 1, "nobody has sent anything"};

const char *
view_name(unsigned view)
{
	return lists[view].name;
}

unsigned
view_column_cnt(unsigned view)
{
	return lists[view].column_cnt;
}

int
view_sort_column(unsigned view, const struct view_state *state)
{
	return state->sort >= 0 ? state->sort : lists[view].sort;
}

/* ---- the lines on top ---- */

static void
draw_head(struct page *page, const struct model *m, const struct view_head *head)
{
	const json_t *info = m->now ? json_object_get(m->now, "info") : NULL;
	int64_t up_s = (int64_t)(model_number(info, "uptime_ns") / 1e9);
	char *profile = table_value(json_object_get(info, "profile"));
	char *phase = table_value(json_object_get(info, "phase"));
	char clock[16];
	struct tm tm;

	localtime_r(&head->time, &tm);
	strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	page_put(page, PAGE_BOLD, "penstock top");
	if (info)
		page_put(page, PAGE_PLAIN, " - %s: %s, up %lld d %02d:%02d:%02d", profile, phase,
			(long long)(up_s / 86400), (int)(up_s / 3600 % 24), (int)(up_s / 60 % 60),
			(int)(up_s % 60));
	else
		page_put(page, PAGE_PLAIN, " - %s", head->prefix);
	char right[48];
	snprintf(right, sizeof(right), "%severy %g s  %s", head->paused ? "PAUSED  " : "",
		head->delay_s, clock);
	unsigned at = page->width > strlen(right) ? page->width - (unsigned)strlen(right) : 0;
	if (at > page->column)
		page->column = at;
	page_put(page, head->paused ? PAGE_WARN : PAGE_PLAIN, "%s", right);
	page_next(page);
	if (head->trouble)
		page_put(page, PAGE_BAD, "no answer: %s%s", head->trouble,
			m->now ? " (below: what was last known)" : "");
	free(profile);
	free(phase);
}

/* A line for each drive that has failed. */
static void
draw_drives(struct page *page, const struct model *m)
{
	const json_t *drive;
	size_t i;

	json_array_foreach(json_object_get(m->now, "drives"), i, drive)
	{
		const char *state = json_string_value(json_object_get(drive, "state"));
		if (!state || strcmp(state, "ok") == 0)
			continue;
		char *path = table_value(json_object_get(drive, "path"));
		char *error = table_value(json_object_get(drive, "error"));
		page_put(page, PAGE_BAD, "drive %s %s: %s", path, state, error);
		page_next(page);
		free(path);
		free(error);
	}
}

static void
put_rate(struct page *page, const struct model *m, enum page_style style, const char *name,
	const char *path)
{
	char number[PAGE_NUMBER_BYTES];
	page_number(number, model_rate(m, m->now, m->before, path));
	page_put(page, style, "%s %s  ", name, number);
}

/* " (udp_checksum 3, mold_short 1)": the largest first would need a sort; as they come. */
static void
put_reasons(struct page *page, const struct model *m, const char *kind)
{
	const json_t *rows = json_object_get(m->now, "reasons"), *row;
	const json_t *before = m->before ? json_object_get(m->before, "reasons") : NULL;
	const char *between = "(";
	size_t i;

	json_array_foreach(rows, i, row)
	{
		const char *is = json_string_value(json_object_get(row, "kind"));
		double rate = model_rate(
			m, row, model_row_before(before, i, row, KEYS("kind", "reason")), "total");
		char number[PAGE_NUMBER_BYTES];
		if (!is || strcmp(is, kind) != 0 || rate == 0)
			continue;
		page_number(number, rate);
		char *reason = table_value(json_object_get(row, "reason"));
		page_put(page, PAGE_BAD, "%s%s %s", between, reason, number);
		free(reason);
		between = ", ";
	}
	if (*between == ',')
		page_put(page, PAGE_BAD, ")  ");
}

static void
put_loss(struct page *page, const struct model *m, const char *name, const char *path,
	const char *kind)
{
	double rate = model_rate(m, m->now, m->before, path);
	char number[PAGE_NUMBER_BYTES];

	page_number(number, rate);
	page_put(page, rate > 0 ? PAGE_BAD : PAGE_GOOD, "%s %s  ", name, number);
	put_reasons(page, m, kind);
}

static void
draw_rates(struct page *page, const struct model *m)
{
	double missed = m->before && m->seconds > 0
				? (model_missed(m->now) - model_missed(m->before)) / m->seconds
				: 0;
	double frames_left = model_number(m->now, "frames.residual");
	double events_left = model_number(m->now, "events.residual");
	char number[PAGE_NUMBER_BYTES];

	page_put(page, PAGE_HEAD, "per second ");
	put_rate(page, m, PAGE_PLAIN, "frames", "frames.polled");
	put_rate(page, m, PAGE_BOLD, "events", "events.found");
	put_rate(page, m, PAGE_PLAIN, "bytes", "notes.payload_bytes");
	put_rate(page, m, PAGE_BOLD, "stored", "events.stored");
	page_number(number, model_number(m->now, "events.in_flight"));
	page_put(page, PAGE_PLAIN, "in flight %s", number);
	page_next(page);
	page_put(page, PAGE_HEAD, "as wanted  ");
	put_rate(page, m, PAGE_PLAIN, "filtered", "events.filtered");
	put_rate(page, m, PAGE_PLAIN, "sampled out", "events.sampled_out");
	put_rate(page, m, PAGE_PLAIN, "duplicate", "events.duplicate");
	put_rate(page, m, PAGE_PLAIN, "quarantined", "events.quarantined");
	page_next(page);
	page_put(page, PAGE_HEAD, "LOST       ");
	page_number(number, missed);
	page_put(page, missed > 0 ? PAGE_BAD : PAGE_GOOD, "missed %s  ", number);
	put_loss(page, m, "shed", "events.shed", "shed");
	put_loss(page, m, "rejected", "frames.rejected", "rejected");
	page_next(page);
	/* Not in the books' favour or against them: while traffic runs it is what changed hands. */
	page_put(page, PAGE_HEAD, "residual   ");
	page_put(page, PAGE_PLAIN, "frames %.0f  events %.0f", frames_left, events_left);
	page_next(page);
}

static void
draw_latency(struct page *page, const struct model *m)
{
	const json_t *all = json_object_get(json_object_get(m->now, "latency"), "all");
	static const char *const stages[] = {"sealed", "written", "durable"};

	page_put(page, PAGE_HEAD, "latency ms ");
	for (size_t i = 0; i < PST_ARRAY_CNT(stages); i++) {
		const json_t *stage = json_object_get(all, stages[i]);
		page_put(page, PAGE_PLAIN, "%s %.3g/%.3g  ", stages[i],
			model_number(stage, "ns_p50") / 1e6, model_number(stage, "ns_p99") / 1e6);
	}
	page_put(page, PAGE_DIM, "(p50/p99)");
	page_next(page);
}

/* ---- the overview ---- */

#define PANEL_ROWS_MIN 2

/* Two panels side by side. */
static void
draw_panels(struct page *page, const struct model *m, unsigned rows)
{
	unsigned line = page->line, width = page->width;

	page->right = width / 2 - 1;
	table_draw(page, m, &rules_panel, NULL, rows, false);
	page->right = width;
	page_at(page, line, width / 2 + 1);
	table_draw(page, m, &senders_panel, NULL, rows, false);
	page_at(page, line + 1 + rows, 0);
}

static void
draw_overview(struct page *page, const struct model *m)
{
	unsigned core_cnt = (unsigned)json_array_size(json_object_get(m->now, "cores"));
	unsigned left = page->height > page->line ? page->height - page->line : 0;
	/* Heads of cores, panels and losses, latency, an empty line before each, the keys. */
	unsigned fixed = 3 + 1 + 3 + 1;
	unsigned spare = left > fixed + 2 * PANEL_ROWS_MIN ? left - fixed - 2 * PANEL_ROWS_MIN : 1;
	unsigned cores = core_cnt < spare ? core_cnt : spare;
	unsigned rows = left > fixed + cores ? (left - fixed - cores) / 2 : 1;

	page_next(page);
	draw_latency(page, m);
	table_draw(page, m, &lists[2], NULL, cores, false);
	if (cores < core_cnt) {
		page_put(page, PAGE_DIM, "%u more: key 3", core_cnt - cores);
		page_next(page);
	}
	page_next(page);
	draw_panels(page, m, rows);
	page_next(page);
	table_draw(page, m, &lists[8], NULL, rows, false);
}

/* ---- */

static void
draw_keys(struct page *page, unsigned view)
{
	page_at(page, page->height - 1, 0);
	for (unsigned i = 0; i < VIEW_CNT; i++) {
		page_put(page, PAGE_BOLD, "%u", i + 1);
		page_put(page, i == view ? PAGE_GOOD : PAGE_HEAD, "%s ", view_name(i));
	}
	page_put(page, PAGE_BOLD, "h");
	page_put(page, PAGE_HEAD, "Help ");
	page_put(page, PAGE_BOLD, "q");
	page_put(page, PAGE_HEAD, "Quit");
}

static void
draw_list(struct page *page, const struct model *m, unsigned view, struct view_state *state)
{
	unsigned room = page->height > page->line + 2 ? page->height - page->line - 2 : 1;
	unsigned line = page->line;
	bool skip = view == 1 && state->sort < 0;
	unsigned cnt = table_draw(page, m, &lists[view], state, room, skip);

	/* Rows may have gone since it was scrolled. */
	if (state->first > 0 && state->first + room > cnt) {
		state->first = cnt > room ? cnt - room : 0;
		for (unsigned i = line; i < page->height; i++)
			page->lines[i].used = 0;
		page_at(page, line, 0);
		table_draw(page, m, &lists[view], state, room, skip);
	}
}

void
view_draw_screen(struct page *page, const struct model *model, const struct view_head *head,
	unsigned view, struct view_state *state)
{
	draw_head(page, model, head);
	page_next(page);
	if (model->now) {
		draw_drives(page, model);
		draw_rates(page, model);
		if (view == 0)
			draw_overview(page, model);
		else
			draw_list(page, model, view, state);
	}
}

void
view_draw(struct page *page, const struct model *model, const struct view_head *head, unsigned view,
	struct view_state *state)
{
	view_draw_screen(page, model, head, view, state);
	draw_keys(page, view);
}

void
view_draw_help(struct page *page)
{
	static const char *const lines[] = {
		"penstock top: the running penstockd, rates since the screen before",
		"",
		"  1 to 9       the views; Tab and arrows: the next, the one before",
		"  up, down, PgUp, PgDn, Home, End, j, k   through a list",
		"  < >          sort by another column; R the other way round; 0 as at first",
		"  + -          wait longer, shorter between two screens; d to type it",
		"  space        pause, go on          r  ask now",
		"  h ? F1       this help             q F10  quit",
		"",
		"LOST is what was not meant: missed (before an rx core saw it), shed (found,",
		"then not stored), rejected (malformed or refused). What rules and copies take",
		"away is under 'as wanted'. Losses are remembered since this console looks; the",
		"data directory has all of them: penstock loss. Of Cores, FILL is an rx core's",
		"batches that are not at home, or those that wait for a writer: when full, events",
		"are shed. Latency is from arrival, over the daemon's whole run.",
		"",
		"any key goes back",
	};

	for (size_t i = 0; i < PST_ARRAY_CNT(lines); i++) {
		page_put(page, i ? PAGE_PLAIN : PAGE_BOLD, "%s", lines[i]);
		page_next(page);
	}
}
