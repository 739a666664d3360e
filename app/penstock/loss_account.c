/* Records -> rows. A row is one (what, reason, where) with its count and the span of time that it
 * lies in; a gap is a row of its own. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "loss_account.h"

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

uint64_t
loss_number(const json_t *json, const char *name)
{
	const json_t *value = json_object_get(json, name);

	/* Beyond 63 bits it is text. */
	if (json_is_string(value))
		return strtoull(json_string_value(value), NULL, 10);
	return (uint64_t)json_integer_value(value);
}

const char *
loss_text(const json_t *json, const char *name)
{
	const char *value = json_string_value(json_object_get(json, name));
	return value ? value : "";
}

void
loss_set(json_t *json, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	json_object_set_new(json, name,
		value > INT64_MAX ? json_string(text) : json_integer((json_int_t)value));
}

void
loss_grow(json_t *json, const char *name, uint64_t by)
{
	uint64_t sum;

	loss_set(json, name,
		__builtin_add_overflow(loss_number(json, name), by, &sum) ? UINT64_MAX : sum);
}

void
loss_add(struct pst_loss_account *a, const char *what, const char *unit, const char *reason,
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
		loss_set(row, "from_ns", from_ns);
		json_object_set_new(a->rows, key, row);
	}
	loss_grow(row, "count", cnt);
	if (from_ns < loss_number(row, "from_ns"))
		loss_set(row, "from_ns", from_ns);
	if (to_ns > loss_number(row, "to_ns"))
		loss_set(row, "to_ns", to_ns);
	free(key);
	free(where);
}

/* ---- intervals ---- */

static void
push_span(struct pst_loss_account *a, const struct loss_span *span)
{
	if (a->span_cnt == a->span_cap) {
		size_t cap = a->span_cap ? 2 * a->span_cap : 64;
		struct loss_span *grown = realloc(a->spans, cap * sizeof(*grown));
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
	struct loss_span *last = a->span_cnt > 0 ? &a->spans[a->span_cnt - 1] : NULL;

	/* Another part of the same. */
	if (last && last->to_ns == to_ns)
		return;
	/* The clock was set back: what follows begins there. */
	if (to_ns < from_ns)
		from_ns = to_ns;
	if (last && last->to_ns == from_ns && (!is_begin || last->is_begin))
		last->to_ns = to_ns;
	else
		push_span(a, &(struct loss_span){from_ns, to_ns, is_begin});
}

static void
add_reasons(struct pst_loss_account *a, const char *what, const char *unit, const json_t *reasons,
	const json_t *place, const struct loss_span *when)
{
	const char *reason;
	json_t *cnt;

	json_object_foreach((json_t *)reasons, reason, cnt)
	{
		loss_add(a, what, unit, reason, place, (uint64_t)json_integer_value(cnt),
			when->from_ns, when->to_ns);
	}
}

static void
take_cells(struct pst_loss_account *a, const json_t *record, const struct loss_span *when)
{
	static const char *const intended[] = {
		"filtered", "sampled_out", "duplicate", "quarantined"};
	json_t *cell;
	size_t i;

	json_array_foreach(json_object_get(record, "cells"), i, cell)
	{
		const json_t *events = json_object_get(cell, "events");
		json_t *place = json_pack("{s:s,s:s}", "queue", loss_text(cell, "queue"),
			"listener", loss_text(cell, "listener"));
		add_reasons(a, "shed", "events", json_object_get(events, "shed"), place, when);
		add_reasons(a, "rejected", "frames",
			json_object_get(json_object_get(cell, "frames"), "rejected"), place, when);
		for (unsigned k = 0; k < sizeof(intended) / sizeof(intended[0]); k++)
			loss_grow(a->intended, intended[k], loss_number(events, intended[k]));
		json_decref(place);
	}
}

static void
take_interval(struct pst_loss_account *a, const json_t *record)
{
	uint64_t from_ns = loss_number(record, "from_ns"), to_ns = loss_number(record, "to_ns");
	struct loss_span when = {pst_min_u64(from_ns, to_ns), pst_max_u64(from_ns, to_ns)};
	json_int_t last = json_integer_value(json_object_get(record, "last"));
	json_int_t part = json_integer_value(json_object_get(record, "part"));
	json_t *row;
	size_t i;

	if (last < a->last || (last == a->last && part <= a->part))
		return;
	a->last = last;
	a->part = part;
	add_span(a, from_ns, to_ns, loss_number(record, "first") == 1);
	if (when.to_ns <= a->from_ns || when.from_ns >= a->to_ns)
		return;
	take_cells(a, record, &when);
	json_array_foreach(json_object_get(record, "beside"), i, row)
	{
		json_t *place = json_pack("{s:s}", "port", loss_text(row, "port"));
		loss_add(a, "missed", "frames", loss_text(row, "counter"), place,
			loss_number(row, "lost"), when.from_ns, when.to_ns);
		json_decref(place);
	}
}

/* ---- gaps ---- */

static void
take_gap(struct pst_loss_account *a, const json_t *record)
{
	uint64_t first_ns = loss_number(record, "first_seen_ns");
	char key[128];

	if (first_ns < a->from_ns || first_ns >= a->to_ns)
		return;
	if (json_object_get(record, "gaps")) /* a sum: nothing of it comes again */
		snprintf(key, sizeof(key), "%s +%llu %llu", a->run,
			(unsigned long long)loss_number(record, "at_ns"),
			(unsigned long long)loss_number(record, "from"));
	else
		snprintf(key, sizeof(key), "%s %llu", a->run,
			(unsigned long long)loss_number(record, "gap"));
	if (strcmp(loss_text(record, "state"), "filled") == 0)
		json_object_del(a->gaps, key); /* a year has very many of them */
	else
		json_object_set(a->gaps, key, (json_t *)record);
}

/* ---- the rest ---- */

static void
take_recovery(struct pst_loss_account *a, const json_t *record)
{
	uint64_t at_ns = loss_number(record, "at_ns");
	char key[512];

	snprintf(key, sizeof(key), "%s %s-%llu", a->run, loss_text(record, "stream"),
		(unsigned long long)loss_number(record, "partition"));
	if (json_object_get(a->recovered, key))
		return;
	json_object_set_new(a->recovered, key, json_true());
	json_t *place = json_pack("{s:s,s:I}", "stream", loss_text(record, "stream"), "partition",
		(json_int_t)loss_number(record, "partition"));
	if (at_ns >= a->from_ns && at_ns < a->to_ns) {
		loss_add(a, "recovery", "bytes", "cut", place, loss_number(record, "cut_bytes"),
			at_ns, at_ns);
		loss_add(a, "recovery", "bytes", "set_aside", place,
			loss_number(record, "set_aside_bytes"), at_ns, at_ns);
	}
	json_decref(place);
}

/* What became of a drive. Written again it has the same text. */
static void
take_drive(struct pst_loss_account *a, const json_t *record)
{
	uint64_t at_ns = loss_number(record, "at_ns");
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
	const char *kind = loss_text(record, "kind"), *run = loss_text(record, "run");

	a->record_cnt++;
	if (strcmp(a->run, run) != 0)
		change_run(a, run);
	json_t *known = json_object_get(a->runs, run);
	if (!known) {
		known = json_pack("{s:b}", "stopped", 0);
		json_object_set_new(a->runs, run, known);
	}
	if (strcmp(kind, "start") == 0) {
		a->interval_ns = loss_number(record, "interval_ns");
		loss_set(known, "started_ns", loss_number(record, "at_ns"));
		loss_set(known, "recorded_to_ns",
			pst_max_u64(loss_number(record, "at_ns"),
				loss_number(known, "recorded_to_ns")));
		add_span(a, loss_number(record, "at_ns"), loss_number(record, "at_ns"), true);
		json_object_set_new(known, "version", json_string(loss_text(record, "version")));
	} else if (strcmp(kind, "interval") == 0) {
		take_interval(a, record);
		if (loss_number(record, "to_ns") > loss_number(known, "recorded_to_ns"))
			loss_set(known, "recorded_to_ns", loss_number(record, "to_ns"));
	} else if (strcmp(kind, "gap") == 0) {
		take_gap(a, record);
	} else if (strcmp(kind, "recovery") == 0) {
		take_recovery(a, record);
	} else if (strcmp(kind, "drive") == 0) {
		take_drive(a, record);
	} else if (strcmp(kind, "stop") == 0) {
		json_object_set_new(known, "stopped", json_true());
		add_span(a, loss_number(record, "to_ns"), loss_number(record, "to_ns"), false);
	}
}
