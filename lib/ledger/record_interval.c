/* Intervals as records: the books of each, in as many parts as it takes. */
#include <errno.h>

#include "ledger/record_json.h"

/* Cells, streams and counters of one part: their texts, with room for what stands around them. */
#define PART_BYTES (PST_RECORD_BYTES_MAX - 12000)

int
pst_record_idle(const struct pst_record_sink *sink, uint64_t first, uint64_t last, uint64_t from_ns,
	uint64_t to_ns)
{
	json_t *record = record_begin(sink, "interval");

	if (!record)
		return -ENOMEM;
	record_set_u64(record, "first", first);
	record_set_u64(record, "last", last);
	record_set_u64(record, "from_ns", from_ns);
	record_set_u64(record, "to_ns", to_ns);
	json_object_set_new(record, "idle", json_true());
	return record_emit(sink, record);
}

static void
set_verdicts(
	json_t *frames, const char *name, const struct pst_cell *cell, enum pst_frame_class class)
{
	json_t *reasons = json_object();

	for (unsigned v = 0; v < PST_FRAME_VERDICT_CNT; v++)
		if (pst_frame_verdict_class(v) == class)
			record_set_counted(reasons, pst_frame_verdict_name(v), cell->verdict[v]);
	if (json_object_size(reasons) > 0)
		json_object_set(frames, name, reasons);
	json_decref(reasons);
}

static void
set_shed(json_t *events, const uint64_t shed[PST_SHED_CNT])
{
	json_t *reasons = json_object();

	for (unsigned r = 0; r < PST_SHED_CNT; r++)
		record_set_counted(reasons, pst_shed_reason_name(r), shed[r]);
	if (json_object_size(reasons) > 0)
		json_object_set(events, "shed", reasons);
	json_decref(reasons);
}

static void
set_book(json_t *record, const struct pst_cell *cell)
{
	json_t *frames = json_object(), *events = json_object(), *notes = json_object();

	record_set_counted(frames, "polled", cell->polled);
	record_set_counted(frames, "carried", cell->verdict[PST_FRAME_CARRIED]);
	set_verdicts(frames, "rejected", cell, PST_FRAME_CLASS_REJECTED);
	set_verdicts(frames, "ignored", cell, PST_FRAME_CLASS_IGNORED);
	record_set_counted(frames, "in_handoff", cell->in_handoff);
	record_set_counted(events, "found", cell->found);
	record_set_counted(events, "stored", cell->stored);
	record_set_counted(events, "filtered", cell->filtered);
	record_set_counted(events, "sampled_out", cell->sampled_out);
	record_set_counted(events, "duplicate", cell->duplicate);
	record_set_counted(events, "quarantined", cell->quarantined);
	set_shed(events, cell->shed);
	record_set_counted(events, "in_flight", cell->in_flight);
#define PST_X(field, meaning) record_set_counted(notes, #field, cell->field);
	PST_CELL_NOTES(PST_X)
#undef PST_X
	json_object_set_new(record, "frames", frames);
	json_object_set_new(record, "events", events);
	if (json_object_size(notes) > 0)
		json_object_set(record, "notes", notes);
	json_decref(notes);
}

static json_t *
stream_json(const char *name, const struct pst_stream_cell *stream)
{
	json_t *row = json_pack("{s:s}", "name", name);

	record_set_counted(row, "routed_in", stream->routed_in);
	record_set_counted(row, "internal", stream->internal);
	record_set_counted(row, "stored", stream->stored);
	set_shed(row, stream->shed);
	record_set_counted(row, "in_flight", stream->in_flight);
	return row;
}

/* One interval on its way out, part by part. */
struct parts {
	const struct pst_record_sink *sink;
	const struct pst_profile *profile;
	const struct pst_interval *interval;
	const struct pst_residuals *residuals;
	const char *kind;
	json_t *record;
	size_t bytes; /* of the rows in it */
	unsigned part;
	int rc;
};

static void
set_residuals(json_t *record, const struct pst_residuals *residuals)
{
	const struct {
		const char *name;
		const struct pst_residual *residual;
	} books[] = {{"frames", &residuals->frames}, {"events", &residuals->events},
		{"streams", &residuals->streams}};
	json_t *all = json_object();

	for (unsigned i = 0; i < PST_ARRAY_CNT(books); i++) {
		const struct pst_residual *r = books[i].residual;
		json_object_set_new(all, books[i].name,
			json_pack("{s:I,s:I,s:I,s:I}", "residual", (json_int_t)r->last, "abs_max",
				(json_int_t)r->abs_max, "rest_cnt", (json_int_t)r->rest_cnt,
				"beyond_cnt", (json_int_t)r->beyond_cnt));
	}
	json_object_set_new(record, "residuals", all);
}

static uint64_t
per_second(uint64_t cnt, uint64_t ns)
{
	return ns ? (uint64_t)((unsigned __int128)cnt * 1000000000 / ns) : 0;
}

/* What only the first part has: the sums. */
static void
set_sums(json_t *record, const struct parts *p)
{
	const struct pst_interval *interval = p->interval;
	struct pst_cell total = pst_book_total(&interval->book);
	uint64_t ns = interval->to_ns > interval->from_ns ? interval->to_ns - interval->from_ns : 0;

	set_book(record, &total);
	json_object_set_new(record, "rates",
		json_pack("{s:I,s:I,s:I}", "frames_per_s", (json_int_t)per_second(total.polled, ns),
			"events_per_s", (json_int_t)per_second(total.found, ns), "bytes_per_s",
			(json_int_t)per_second(total.payload_bytes, ns)));
	set_residuals(record, p->residuals);
}

static void
part_begin(struct parts *p)
{
	json_t *record = record_begin(p->sink, p->kind);

	if (record) {
		record_set_u64(record, "first", p->interval->first);
		record_set_u64(record, "last", p->interval->last);
		record_set_u64(record, "from_ns", p->interval->from_ns);
		record_set_u64(record, "to_ns", p->interval->to_ns);
		record_set_u64(record, "part", p->part);
		if (p->part == 0)
			set_sums(record, p);
	}
	p->record = record;
	p->part++;
	p->bytes = 0;
}

static void
part_end(struct parts *p, bool more)
{
	if (p->record && more)
		json_object_set_new(p->record, "more", json_true());
	if (record_emit(p->sink, p->record) != 0)
		p->rc = -ENOMEM;
	p->record = NULL;
}

/* Adds a row to a list of the part under way; begins a new part when this one is full. */
static void
part_add(struct parts *p, const char *list_name, json_t *row)
{
	size_t bytes = row ? json_dumpb(row, NULL, 0, JSON_COMPACT | JSON_ENSURE_ASCII) : 0;

	if (p->bytes > 0 && p->bytes + bytes > PART_BYTES) {
		part_end(p, true);
		part_begin(p);
	}
	json_t *list = json_object_get(p->record, list_name);
	if (!list) {
		list = json_array();
		json_object_set_new(p->record, list_name, list);
	}
	if (!row || json_array_append_new(list, row) != 0)
		p->rc = -ENOMEM;
	p->bytes += bytes + 1;
}

static void
add_cells(struct parts *p)
{
	const struct pst_book *book = &p->interval->book;

	for (uint32_t i = 0; i < pst_book_cell_cnt(&book->shape); i++) {
		const struct pst_cell *cell = &book->cells[i];
		char text[64];
		if (pst_cell_is_still(cell) && cell->in_flight == 0 && cell->in_handoff == 0)
			continue;
		json_t *row = json_pack("{s:s,s:s}", "queue",
			pst_record_queue_name(text, p->profile, i / book->shape.listener_cnt),
			"listener",
			pst_record_listener_name(p->profile, i % book->shape.listener_cnt));
		set_book(row, cell);
		part_add(p, "cells", row);
	}
}

static void
add_streams(struct parts *p)
{
	const struct pst_book *book = &p->interval->book;

	for (uint16_t s = 0; s < book->shape.stream_cnt; s++)
		if (!pst_stream_cell_is_still(&book->streams[s]) || book->streams[s].in_flight > 0)
			part_add(p, "streams",
				stream_json(p->profile->streams[s].name, &book->streams[s]));
}

static void
add_beside(struct parts *p, const struct pst_beside *beside)
{
	bool totals = strcmp(p->kind, "stop") == 0;

	for (uint32_t i = 0; i < beside->cnt; i++) {
		const struct pst_beside_counter *c = &beside->counters[i];
		uint64_t value = c->total - (totals ? 0 : c->recorded);
		if (value == 0)
			continue;
		json_t *row = json_pack("{s:s,s:s,s:I}", "port",
			c->owner == PST_BESIDE_KERNEL ? "kernel" : p->profile->ports[c->owner].name,
			"counter", c->name, c->kind == PST_BESIDE_LOSS ? "lost" : "note",
			(json_int_t)value);
		if (row && c->reset_cnt > 0)
			record_set_u64(row, "resets", c->reset_cnt);
		part_add(p, "beside", row);
	}
}

int
pst_record_interval(const struct pst_record_sink *sink, const struct pst_profile *profile,
	const char *kind, const struct pst_interval *interval, const struct pst_beside *beside,
	const struct pst_residuals *residuals)
{
	struct parts p = {.sink = sink,
		.profile = profile,
		.interval = interval,
		.residuals = residuals,
		.kind = kind};

	part_begin(&p);
	add_cells(&p);
	add_streams(&p);
	add_beside(&p, beside);
	part_end(&p, false);
	return p.rc;
}
