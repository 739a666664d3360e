/* What the account says in the end: rows in order, sums, and times for which no record speaks. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "loss_account.h"

/* A running daemon's idle record may be that late, and a second for what lies between. */
#define TAIL_NS UINT64_C(12000000000)

static int
compare_spans(const void *a, const void *b)
{
	const struct loss_span *x = a, *y = b;
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
		if (loss_number(known, "recorded_to_ns") == at_ns)
			return !json_is_true(json_object_get(known, "stopped"));
	}
	return false;
}

/* last_ns: up to where there were records, which may be long before what is asked for. next: what
 * the records go on with; NULL: with nothing. */
static void
add_hole(const struct pst_loss_account *a, json_t *holes, uint64_t last_ns, uint64_t to_ns,
	const struct loss_span *next)
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
		const struct loss_span *span = &a->spans[i];
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
	int what = strcmp(loss_text(x, "what"), loss_text(y, "what"));

	if (what != 0)
		return -what; /* shed, rejected, recovery, missed, gap */
	if (loss_number(x, "from_ns") != loss_number(y, "from_ns"))
		return loss_number(x, "from_ns") < loss_number(y, "from_ns") ? -1 : 1;
	return loss_number(x, "from") < loss_number(y, "from")
		       ? -1
		       : loss_number(x, "from") > loss_number(y, "from");
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

/* What of a gap is lost in the end, or not known to have come. */
static void
add_gap(struct pst_loss_account *a, const json_t *gap)
{
	const char *reason = loss_text(gap, "reason");
	uint64_t missing = loss_number(gap, "missing"), lost = loss_number(gap, "lost");
	/* As they are: a name may hold NUL, a number may be text. */
	json_t *place = json_pack("{s:O?,s:O?,s:O?,s:O?,s:O?}", "listener",
		json_object_get(gap, "listener"), "session", json_object_get(gap, "session"),
		"session_hex", json_object_get(gap, "session_hex"), "from",
		json_object_get(gap, "from"), "to", json_object_get(gap, "to"));
	uint64_t from_ns = loss_number(gap, "first_seen_ns"), to_ns = loss_number(gap, "at_ns");

	if (strcmp(loss_text(gap, "state"), "lost") != 0)
		reason = "open";
	if (json_is_true(json_object_get(gap, "reopened")))
		json_object_set_new(place, "shed_before", json_true());
	loss_add(a, "gap", "messages", "no_room", place, lost, from_ns, to_ns);
	loss_add(a, "gap", "messages", reason, place, missing, from_ns, to_ns);
	json_decref(place);
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
		loss_set(totals, all[i], 0);
	json_t *rows = sorted_rows(a);
	json_array_foreach(rows, i, row)
	{
		loss_grow(totals, loss_text(row, "what"), loss_number(row, "count"));
	}
	json_t *holes = holes_of(a, now_ns);
	return json_pack("{s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:O,s:O}", "from_ns", (json_int_t)a->from_ns,
		"to_ns", (json_int_t)a->to_ns, "record_cnt", (json_int_t)a->record_cnt, "totals",
		totals, "lost", rows, "unrecorded", holes, "drives", list_drives(a), "intended",
		a->intended, "runs", a->runs);
}
