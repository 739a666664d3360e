/* Records -> rows. A row is one (what, reason, where) with its count and the span of time that it
 * lies in; a gap is a row of its own. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "loss.h"

/* A running daemon's idle record may be that late, and a second for what lies between. */
#define TAIL_NS UINT64_C(12000000000)

struct span {
	uint64_t from_ns, to_ns;
	bool is_begin; /* of its run: nothing of it is missing before */
};

struct pst_loss_account {
	uint64_t from_ns, to_ns;
	json_t *rows;      /* key -> row */
	json_t *gaps;      /* run and number -> the gap's last record */
	json_t *intended;  /* filtered, sampled_out, duplicate ... */
	json_t *runs;      /* run -> how it is known */
	json_t *seen;      /* run -> how far its intervals were taken, in the run's own order */
	json_t *recovered; /* run and partition -> true: its recovery was taken */
	json_t *drives;    /* record -> the same */
	struct span *spans;
	size_t span_cnt, span_cap;
	/* Of the run that is being read. */
	char run[64];
	json_int_t last, part; /* the interval taken last: one that was written twice counts once */
	uint64_t interval_ns;
	uint64_t record_cnt;
};

struct pst_loss_account *
pst_loss_account_create(uint64_t from_ns, uint64_t to_ns)
{
	struct pst_loss_account *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->from_ns = from_ns;
	a->to_ns = to_ns;
	a->rows = json_object();
	a->gaps = json_object();
	a->intended = json_object();
	a->runs = json_object();
	a->seen = json_object();
	a->recovered = json_object();
	a->drives = json_object();
	return a;
}

void
pst_loss_account_destroy(struct pst_loss_account *a)
{
	if (!a)
		return;
	json_decref(a->rows);
	json_decref(a->gaps);
	json_decref(a->intended);
	json_decref(a->runs);
	json_decref(a->seen);
	json_decref(a->recovered);
	json_decref(a->drives);
	free(a->spans);
	free(a);
}

static uint64_t
number(const json_t *json, const char *name)
{
	const json_t *value = json_object_get(json, name);

	/* Beyond 63 bits it is text. */
	if (json_is_string(value))
		return strtoull(json_string_value(value), NULL, 10);
	return (uint64_t)json_integer_value(value);
}

static const char *
text(const json_t *json, const char *name)
{
	const char *value = json_string_value(json_object_get(json, name));
	return value ? value : "";
}

static void
set(json_t *json, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	json_object_set_new(json, name,
		value > INT64_MAX ? json_string(text) : json_integer((json_int_t)value));
}

/* A sender that jumps to the end of its numbers leaves very many out; several such do not fit. */
static void
grow(json_t *json, const char *name, uint64_t by)
{
	uint64_t sum;

	set(json, name, __builtin_add_overflow(number(json, name), by, &sum) ? UINT64_MAX : sum);
}

/* Adds to the row of what, reason and where; place is where, as fields of the row. */
static void
add(struct pst_loss_account *a, const char *what, const char *unit, const char *reason,
	const json_t *place, uint64_t cnt, uint64_t from_ns, uint64_t to_ns)
{
	char *where = json_dumps(place, JSON_COMPACT | JSON_SORT_KEYS), *key = NULL;
	json_t *row;

	if (cnt == 0 || !where || asprintf(&key, "%s %s %s", what, reason, where) < 0) {
		free(where);
		return;
	}
	row = json_object_get(a->rows, key);
	if (!row) {
		row = json_pack("{s:s,s:s,s:s}", "what", what, "reason", reason, "unit", unit);
		json_object_update(row, (json_t *)place);
		set(row, "from_ns", from_ns);
		json_object_set_new(a->rows, key, row);
	}
	grow(row, "count", cnt);
	if (from_ns < number(row, "from_ns"))
		set(row, "from_ns", from_ns);
	if (to_ns > number(row, "to_ns"))
		set(row, "to_ns", to_ns);
	free(key);
	free(where);
}

/* ---- intervals ---- */

static void
push_span(struct pst_loss_account *a, const struct span *span)
{
	if (a->span_cnt == a->span_cap) {
		size_t cap = a->span_cap ? 2 * a->span_cap : 64;
		struct span *grown = realloc(a->spans, cap * sizeof(*grown));
		if (!grown)
			return; /* then that time counts as one without records */
		a->spans = grown;
		a->span_cap = cap;
	}
	a->spans[a->span_cnt++] = *span;
}

static void
add_span(struct pst_loss_account *a, uint64_t from_ns, uint64_t to_ns, bool is_begin)
{
	struct span *last = a->span_cnt > 0 ? &a->spans[a->span_cnt - 1] : NULL;

	/* Another part of the same. */
	if (last && last->to_ns == to_ns)
		return;
	/* The clock was set back: what follows begins there. */
	if (to_ns < from_ns)
		from_ns = to_ns;
	if (last && last->to_ns == from_ns && (!is_begin || last->is_begin))
		last->to_ns = to_ns;
	else
		push_span(a, &(struct span){from_ns, to_ns, is_begin});
}

static void
add_reasons(struct pst_loss_account *a, const char *what, const char *unit, const json_t *reasons,
	const json_t *place, const struct span *when)
{
	const char *reason;
	json_t *cnt;

	json_object_foreach((json_t *)reasons, reason, cnt)
	{
		add(a, what, unit, reason, place, (uint64_t)json_integer_value(cnt), when->from_ns,
			when->to_ns);
	}
}

static void
take_cells(struct pst_loss_account *a, const json_t *record, const struct span *when)
{
	static const char *const intended[] = {
		"filtered", "sampled_out", "duplicate", "quarantined"};
	json_t *cell;
	size_t i;

	json_array_foreach(json_object_get(record, "cells"), i, cell)
	{
		const json_t *events = json_object_get(cell, "events");
		json_t *place = json_pack("{s:s,s:s}", "queue", text(cell, "queue"), "listener",
			text(cell, "listener"));
		add_reasons(a, "shed", "events", json_object_get(events, "shed"), place, when);
		add_reasons(a, "rejected", "frames",
			json_object_get(json_object_get(cell, "frames"), "rejected"), place, when);
		for (unsigned k = 0; k < sizeof(intended) / sizeof(intended[0]); k++)
			grow(a->intended, intended[k], number(events, intended[k]));
		json_decref(place);
	}
}

static void
take_interval(struct pst_loss_account *a, const json_t *record)
{
	uint64_t from_ns = number(record, "from_ns"), to_ns = number(record, "to_ns");
	struct span when = {pst_min_u64(from_ns, to_ns), pst_max_u64(from_ns, to_ns)};
	json_int_t last = json_integer_value(json_object_get(record, "last"));
	json_int_t part = json_integer_value(json_object_get(record, "part"));
	json_t *row;
	size_t i;

	if (last < a->last || (last == a->last && part <= a->part))
		return;
	a->last = last;
	a->part = part;
	add_span(a, from_ns, to_ns, number(record, "first") == 1);
	if (when.to_ns <= a->from_ns || when.from_ns >= a->to_ns)
		return;
	take_cells(a, record, &when);
	json_array_foreach(json_object_get(record, "beside"), i, row)
	{
		json_t *place = json_pack("{s:s}", "port", text(row, "port"));
		add(a, "missed", "frames", text(row, "counter"), place, number(row, "lost"),
			when.from_ns, when.to_ns);
		json_decref(place);
	}
}

/* ---- gaps ---- */

static void
take_gap(struct pst_loss_account *a, const json_t *record)
{
	uint64_t first_ns = number(record, "first_seen_ns");
	char key[128];

	if (first_ns < a->from_ns || first_ns >= a->to_ns)
		return;
	if (json_object_get(record, "gaps")) /* a sum: nothing of it comes again */
		snprintf(key, sizeof(key), "%s +%llu %llu", a->run,
			(unsigned long long)number(record, "at_ns"),
			(unsigned long long)number(record, "from"));
	else
		snprintf(key, sizeof(key), "%s %llu", a->run,
			(unsigned long long)number(record, "gap"));
	if (strcmp(text(record, "state"), "filled") == 0)
		json_object_del(a->gaps, key); /* a year has very many of them */
	else
		json_object_set(a->gaps, key, (json_t *)record);
}

/* What of a gap is lost in the end, or not known to have come. */
static void
add_gap(struct pst_loss_account *a, const json_t *gap)
{
	const char *reason = text(gap, "reason");
	uint64_t missing = number(gap, "missing"), lost = number(gap, "lost");
	/* As they are: a name may hold NUL, a number may be text. */
	json_t *place = json_pack("{s:O?,s:O?,s:O?,s:O?,s:O?}", "listener",
		json_object_get(gap, "listener"), "session", json_object_get(gap, "session"),
		"session_hex", json_object_get(gap, "session_hex"), "from",
		json_object_get(gap, "from"), "to", json_object_get(gap, "to"));
	uint64_t from_ns = number(gap, "first_seen_ns"), to_ns = number(gap, "at_ns");

	if (strcmp(text(gap, "state"), "lost") != 0)
		reason = "open";
	if (json_is_true(json_object_get(gap, "reopened")))
		json_object_set_new(place, "shed_before", json_true());
	add(a, "gap", "messages", "no_room", place, lost, from_ns, to_ns);
	add(a, "gap", "messages", reason, place, missing, from_ns, to_ns);
	json_decref(place);
}

/* ---- the rest ---- */

static void
take_recovery(struct pst_loss_account *a, const json_t *record)
{
	uint64_t at_ns = number(record, "at_ns");
	char key[512];

	snprintf(key, sizeof(key), "%s %s-%llu", a->run, text(record, "stream"),
		(unsigned long long)number(record, "partition"));
	if (json_object_get(a->recovered, key))
		return;
	json_object_set_new(a->recovered, key, json_true());
	json_t *place = json_pack("{s:s,s:I}", "stream", text(record, "stream"), "partition",
		(json_int_t)number(record, "partition"));
	if (at_ns >= a->from_ns && at_ns < a->to_ns) {
		add(a, "recovery", "bytes", "cut", place, number(record, "cut_bytes"), at_ns,
			at_ns);
		add(a, "recovery", "bytes", "set_aside", place, number(record, "set_aside_bytes"),
			at_ns, at_ns);
	}
	json_decref(place);
}

/* What became of a drive. Written again it has the same text. */
static void
take_drive(struct pst_loss_account *a, const json_t *record)
{
	uint64_t at_ns = number(record, "at_ns");
	char *key;

	if (at_ns < a->from_ns || at_ns >= a->to_ns)
		return;
	key = json_dumps(record, JSON_COMPACT | JSON_SORT_KEYS);
	if (!key)
		return;
	json_t *kept = json_copy((json_t *)record);
	json_object_del(kept, "kind");
	json_object_set_new(a->drives, key, kept);
	free(key);
}

/* Records of another run follow: this one may go on in another partition. */
static void
change_run(struct pst_loss_account *a, const char *run)
{
	if (a->run[0])
		json_object_set_new(
			a->seen, a->run, json_pack("{s:I,s:I}", "last", a->last, "part", a->part));
	const json_t *seen = json_object_get(a->seen, run);
	a->last = seen ? json_integer_value(json_object_get(seen, "last")) : -1;
	a->part = seen ? json_integer_value(json_object_get(seen, "part")) : -1;
	snprintf(a->run, sizeof(a->run), "%s", run);
}

void
pst_loss_account_take(struct pst_loss_account *a, const json_t *record)
{
	const char *kind = text(record, "kind"), *run = text(record, "run");

	a->record_cnt++;
	if (strcmp(a->run, run) != 0)
		change_run(a, run);
	json_t *known = json_object_get(a->runs, run);
	if (!known) {
		known = json_pack("{s:b}", "stopped", 0);
		json_object_set_new(a->runs, run, known);
	}
	if (strcmp(kind, "start") == 0) {
		a->interval_ns = number(record, "interval_ns");
		set(known, "started_ns", number(record, "at_ns"));
		set(known, "recorded_to_ns",
			pst_max_u64(number(record, "at_ns"), number(known, "recorded_to_ns")));
		add_span(a, number(record, "at_ns"), number(record, "at_ns"), true);
		json_object_set_new(known, "version", json_string(text(record, "version")));
	} else if (strcmp(kind, "interval") == 0) {
		take_interval(a, record);
		if (number(record, "to_ns") > number(known, "recorded_to_ns"))
			set(known, "recorded_to_ns", number(record, "to_ns"));
	} else if (strcmp(kind, "gap") == 0) {
		take_gap(a, record);
	} else if (strcmp(kind, "recovery") == 0) {
		take_recovery(a, record);
	} else if (strcmp(kind, "drive") == 0) {
		take_drive(a, record);
	} else if (strcmp(kind, "stop") == 0) {
		json_object_set_new(known, "stopped", json_true());
		add_span(a, number(record, "to_ns"), number(record, "to_ns"), false);
	}
}

/* ---- the result ---- */

static int
compare_spans(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	return x->from_ns < y->from_ns ? -1 : x->from_ns > y->from_ns;
}

/* The run whose records end there, if it did not stop in order. */
static bool
ended_badly(const struct pst_loss_account *a, uint64_t at_ns)
{
	const char *run;
	json_t *known;

	json_object_foreach(a->runs, run, known)
	{
		if (number(known, "recorded_to_ns") == at_ns)
			return !json_is_true(json_object_get(known, "stopped"));
	}
	return false;
}

/* last_ns: up to where there were records, which may be long before what is asked for. next: what
 * the records go on with; NULL: with nothing. */
static void
add_hole(const struct pst_loss_account *a, json_t *holes, uint64_t last_ns, uint64_t to_ns,
	const struct span *next)
{
	const char *why = next && !next->is_begin   ? "missing"
			  : ended_badly(a, last_ns) ? "killed"
						    : "no daemon";
	uint64_t from_ns = pst_max_u64(last_ns, a->from_ns);

	if (from_ns < to_ns)
		json_array_append_new(
			holes, json_pack("{s:I,s:I,s:s}", "from_ns", (json_int_t)from_ns, "to_ns",
				       (json_int_t)to_ns, "why", why));
}

/* Times for which no record speaks. */
static json_t *
holes_of(const struct pst_loss_account *a, uint64_t now_ns)
{
	json_t *holes = json_array();
	uint64_t last_ns = 0, to_ns = pst_min_u64(a->to_ns, now_ns); /* last: up to there, so far */

	for (size_t i = 0; i < a->span_cnt; i++) {
		const struct span *span = &a->spans[i];
		add_hole(a, holes, last_ns, pst_min_u64(span->from_ns, to_ns), span);
		last_ns = pst_max_u64(span->to_ns, last_ns);
	}
	/* What a running daemon has not written down yet. */
	if (ended_badly(a, last_ns) && now_ns < last_ns + TAIL_NS + 2 * a->interval_ns)
		return holes;
	add_hole(a, holes, last_ns, to_ns, NULL);
	return holes;
}

/* What was not asked for in so many words: since the first record, up to the last one or now. A
 * clock that was ahead for a while has dated records later than now. */
static void
settle_times(struct pst_loss_account *a, uint64_t now_ns)
{
	if (a->span_cnt > 0)
		qsort(a->spans, a->span_cnt, sizeof(*a->spans), compare_spans);
	if (a->from_ns == 0 && a->span_cnt > 0 && a->spans[0].from_ns < a->to_ns)
		a->from_ns = a->spans[0].from_ns;
	if (a->to_ns != PST_LOSS_TO_LAST)
		return;
	a->to_ns = now_ns;
	for (size_t i = 0; i < a->span_cnt; i++)
		a->to_ns = pst_max_u64(a->to_ns, a->spans[i].to_ns);
}

static int
compare_rows(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	int what = strcmp(text(x, "what"), text(y, "what"));

	if (what != 0)
		return -what; /* shed, rejected, recovery, missed, gap */
	if (number(x, "from_ns") != number(y, "from_ns"))
		return number(x, "from_ns") < number(y, "from_ns") ? -1 : 1;
	return number(x, "from") < number(y, "from") ? -1 : number(x, "from") > number(y, "from");
}

static json_t *
sorted_rows(const struct pst_loss_account *a)
{
	size_t cnt = json_object_size(a->rows), i = 0;
	json_t **rows = calloc(cnt + 1, sizeof(json_t *)), *list = json_array(), *row;
	const char *key;

	if (!rows)
		return list;
	json_object_foreach(a->rows, key, row)
	{
		rows[i++] = row;
	}
	qsort(rows, cnt, sizeof(rows[0]), compare_rows);
	for (i = 0; i < cnt; i++)
		json_array_append(list, rows[i]);
	free(rows);
	return list;
}

/* In the order in which they were told: a failure, then what went on where. */
static json_t *
list_drives(const struct pst_loss_account *a)
{
	json_t *list = json_array(), *row;
	const char *key;

	json_object_foreach(a->drives, key, row)
	{
		json_array_append(list, row);
	}
	return list;
}

json_t *
pst_loss_account_result(struct pst_loss_account *a, uint64_t now_ns)
{
	static const char *const all[] = {"shed", "rejected", "missed", "gap", "recovery"};
	json_t *totals = json_object(), *gap, *row;
	const char *key;
	size_t i;

	settle_times(a, now_ns);
	json_object_foreach(a->gaps, key, gap)
	{
		add_gap(a, gap);
	}
	json_object_clear(a->gaps);
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		set(totals, all[i], 0);
	json_t *rows = sorted_rows(a);
	json_array_foreach(rows, i, row)
	{
		grow(totals, text(row, "what"), number(row, "count"));
	}
	json_t *holes = holes_of(a, now_ns);
	return json_pack("{s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:O,s:O}", "from_ns", (json_int_t)a->from_ns,
		"to_ns", (json_int_t)a->to_ns, "record_cnt", (json_int_t)a->record_cnt, "totals",
		totals, "lost", rows, "unrecorded", holes, "drives", list_drives(a), "intended",
		a->intended, "runs", a->runs);
}
