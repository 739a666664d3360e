#include "ledger/record.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* Cells, streams and counters of one part: their texts, with room for what stands around them. */
#define PART_BYTES (PST_RECORD_BYTES_MAX - 12000)

const char *
pst_record_queue_name(char text[64], const struct pst_profile *profile, uint32_t queue_idx)
{
	if (queue_idx >= profile->queue_cnt)
		return "kernel";
	snprintf(text, 64, "%s/%u", profile->ports[profile->queues[queue_idx].port_idx].name,
		profile->queues[queue_idx].queue_id);
	return text;
}

const char *
pst_record_listener_name(const struct pst_profile *profile, uint32_t listener_idx)
{
	return listener_idx < profile->listener_cnt ? profile->listeners[listener_idx].name
						    : "none";
}

/* Takes the record. ASCII: what a sender chose cannot steer a terminal. */
static int
emit(const struct pst_record_sink *sink, json_t *record)
{
	char *text = record ? json_dumps(record, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

	json_decref(record);
	if (!text)
		return -ENOMEM;
	sink->add(sink->arg, text, strlen(text));
	free(text);
	return 0;
}

static json_t *
begin(const struct pst_record_sink *sink, const char *kind)
{
	return json_pack("{s:s,s:s}", "kind", kind, "run", sink->run_id);
}

/* What a sender chose may need all 64 bits, of which JSON's readers take 63: beyond it is text, as
 * in telemetry. */
static void
set_u64(json_t *object, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	json_object_set_new(object, name,
		value > INT64_MAX ? json_string(text) : json_integer((json_int_t)value));
}

static void
set_counted(json_t *object, const char *name, uint64_t value)
{
	if (value > 0)
		set_u64(object, name, value);
}

/* Text of any bytes: those that JSON cannot carry are \u00XX, as in Latin-1. */
static json_t *
text_of(const char *bytes, size_t len)
{
	json_t *text = json_stringn(bytes, len);
	char wide[2 * 512];
	size_t at = 0;

	if (text)
		return text;
	for (size_t i = 0; i < len && at + 2 < sizeof(wide); i++) {
		uint8_t byte = (uint8_t)bytes[i];
		if (byte < 0x80) {
			wide[at++] = (char)byte;
		} else {
			wide[at++] = (char)(0xc0 | byte >> 6);
			wide[at++] = (char)(0x80 | (byte & 0x3f));
		}
	}
	return json_stringn(wide, at);
}

int
pst_record_start(const struct pst_record_sink *sink, const struct pst_profile *profile,
	const struct pst_record_start *start)
{
	json_t *record = begin(sink, "start");

	if (!record)
		return -ENOMEM;
	set_u64(record, "at_ns", start->at_ns);
	json_object_set_new(record, "version", json_string(start->version));
	json_object_set_new(record, "profile", json_string(profile->name));
	json_object_set_new(
		record, "profile_file", text_of(profile->file, strnlen(profile->file, 512)));
	json_object_set_new(record, "profile_hash", json_string(start->profile_hash));
	set_u64(record, "interval_ns", start->interval_ns);
	return emit(sink, record);
}

int
pst_record_recovery(const struct pst_record_sink *sink, uint64_t at_ns,
	const struct pst_record_recovery *recovery)
{
	json_t *record = begin(sink, "recovery");

	if (!record)
		return -ENOMEM;
	set_u64(record, "at_ns", at_ns);
	json_object_set_new(record, "stream", json_string(recovery->stream));
	set_u64(record, "partition", recovery->partition);
	json_object_set_new(record, "next_offset", json_integer(recovery->next_offset));
	json_object_set_new(record, "clean", json_boolean(recovery->clean));
	set_counted(record, "cut_bytes", recovery->cut_bytes);
	set_counted(record, "set_aside_bytes", recovery->set_aside_bytes);
	set_counted(record, "index_rebuilt_cnt", recovery->index_rebuilt_cnt);
	json_t *items = json_array();
	for (uint32_t i = 0; i < recovery->item_cnt; i++)
		json_array_append_new(
			items, text_of(recovery->items[i], strnlen(recovery->items[i], 512)));
	if (recovery->item_cnt > 0)
		json_object_set(record, "items", items);
	json_decref(items);
	return emit(sink, record);
}

static void
set_session(json_t *record, const uint8_t id[PST_MOLD_SESSION_LEN])
{
	char hex[2 * PST_MOLD_SESSION_LEN + 1];
	size_t len = PST_MOLD_SESSION_LEN;

	for (unsigned i = 0; i < PST_MOLD_SESSION_LEN; i++)
		snprintf(hex + 2 * i, 3, "%02x", id[i]);
	while (len > 0 && id[len - 1] == ' ')
		len--;
	json_object_set_new(record, "session", text_of((const char *)id, len));
	json_object_set_new(record, "session_hex", json_string(hex));
}

int
pst_record_gap(const struct pst_record_sink *sink, const struct pst_profile *profile,
	uint16_t listener_idx, const uint8_t id[PST_MOLD_SESSION_LEN], const struct pst_gap *gap)
{
	enum pst_gap_state state = pst_gap_state(gap);
	json_t *record = begin(sink, "gap");

	if (!record)
		return -ENOMEM;
	if (gap->id)
		set_u64(record, "gap", gap->id);
	else
		set_u64(record, "gaps", gap->cnt);
	json_object_set_new(record, "state", json_string(pst_gap_state_name(state)));
	json_object_set_new(
		record, "listener", json_string(pst_record_listener_name(profile, listener_idx)));
	set_session(record, id);
	set_u64(record, "from", gap->from);
	set_u64(record, "to", gap->to);
	set_u64(record, "messages", gap->missing + gap->filled + gap->lost);
	set_counted(record, "missing", gap->missing);
	set_counted(record, "filled", gap->filled);
	set_counted(record, "lost", gap->lost);
	if (gap->lost > 0) {
		set_u64(record, "lost_from", gap->lost_from);
		set_u64(record, "lost_to", gap->lost_to);
	}
	if (state == PST_GAP_LOST)
		json_object_set_new(record, "reason",
			json_string(gap->missing > 0 ? gap->declared : "no_room"));
	if (gap->filled > 0)
		json_object_set_new(record, "how", json_string("late"));
	if (gap->reopened)
		json_object_set_new(record, "reopened", json_true());
	set_u64(record, "first_seen_ns", gap->first_seen_ns);
	set_u64(record, "at_ns", gap->last_ns);
	return emit(sink, record);
}

int
pst_record_clock(const struct pst_record_sink *sink, uint64_t at_ns, int64_t step_ns)
{
	json_t *record = begin(sink, "clock");

	if (!record)
		return -ENOMEM;
	set_u64(record, "at_ns", at_ns);
	json_object_set_new(record, "step_ns", json_integer(step_ns));
	return emit(sink, record);
}

static void
set_path(json_t *record, const char *name, const char *path)
{
	json_object_set_new(record, name, text_of(path, strnlen(path, 512)));
}

int
pst_record_drive(const struct pst_record_sink *sink, const struct pst_profile *profile,
	uint64_t at_ns, const struct pst_record_drive *drive)
{
	json_t *record = begin(sink, "drive");

	if (!record)
		return -ENOMEM;
	set_u64(record, "at_ns", at_ns);
	json_object_set_new(record, "event", json_string(drive->event));
	set_u64(record, "drive", drive->drive_idx);
	set_path(record, "path", profile->data_dirs[drive->drive_idx]);
	if (drive->error) {
		const char *text = strerrordesc_np(drive->error);
		json_object_set_new(record, "error", json_string(text ? text : "unknown error"));
	}
	if (drive->stream) {
		json_object_set_new(record, "stream", json_string(drive->stream));
		if (drive->queue)
			json_object_set_new(record, "queue", json_string(drive->queue));
		set_u64(record, "partition", drive->partition);
	}
	if (strcmp(drive->event, "moved") == 0) {
		set_u64(record, "to_partition", drive->to_partition);
		set_u64(record, "to_drive", drive->to_idx);
		set_path(record, "to_path", profile->data_dirs[drive->to_idx]);
	}
	return emit(sink, record);
}

int
pst_record_rules(const struct pst_record_sink *sink, const struct pst_profile *profile,
	uint64_t at_ns, uint32_t generation, const char *hash,
	const struct pst_record_rules_place *places, uint32_t place_cnt)
{
	json_t *record = begin(sink, "rules"), *list = json_array();

	if (!record || !list) {
		json_decref(record);
		json_decref(list);
		return -ENOMEM;
	}
	set_u64(record, "at_ns", at_ns);
	set_u64(record, "generation", generation);
	json_object_set_new(record, "hash", json_string(hash));
	for (uint32_t i = 0; i < place_cnt; i++)
		json_array_append_new(list, json_pack("{s:s,s:I,s:I}", "stream",
						    profile->streams[places[i].stream_idx].name,
						    "partition", (json_int_t)places[i].partition,
						    "offset", (json_int_t)places[i].offset));
	json_object_set_new(record, "partitions", list);
	return emit(sink, record);
}

/* ---- intervals ---- */

int
pst_record_idle(const struct pst_record_sink *sink, uint64_t first, uint64_t last, uint64_t from_ns,
	uint64_t to_ns)
{
	json_t *record = begin(sink, "interval");

	if (!record)
		return -ENOMEM;
	set_u64(record, "first", first);
	set_u64(record, "last", last);
	set_u64(record, "from_ns", from_ns);
	set_u64(record, "to_ns", to_ns);
	json_object_set_new(record, "idle", json_true());
	return emit(sink, record);
}

static void
set_verdicts(
	json_t *frames, const char *name, const struct pst_cell *cell, enum pst_frame_class class)
{
	json_t *reasons = json_object();

	for (unsigned v = 0; v < PST_FRAME_VERDICT_CNT; v++)
		if (pst_frame_verdict_class(v) == class)
			set_counted(reasons, pst_frame_verdict_name(v), cell->verdict[v]);
	if (json_object_size(reasons) > 0)
		json_object_set(frames, name, reasons);
	json_decref(reasons);
}

static void
set_shed(json_t *events, const uint64_t shed[PST_SHED_CNT])
{
	json_t *reasons = json_object();

	for (unsigned r = 0; r < PST_SHED_CNT; r++)
		set_counted(reasons, pst_shed_reason_name(r), shed[r]);
	if (json_object_size(reasons) > 0)
		json_object_set(events, "shed", reasons);
	json_decref(reasons);
}

static void
set_book(json_t *record, const struct pst_cell *cell)
{
	json_t *frames = json_object(), *events = json_object(), *notes = json_object();

	set_counted(frames, "polled", cell->polled);
	set_counted(frames, "carried", cell->verdict[PST_FRAME_CARRIED]);
	set_verdicts(frames, "rejected", cell, PST_FRAME_CLASS_REJECTED);
	set_verdicts(frames, "ignored", cell, PST_FRAME_CLASS_IGNORED);
	set_counted(frames, "in_handoff", cell->in_handoff);
	set_counted(events, "found", cell->found);
	set_counted(events, "stored", cell->stored);
	set_counted(events, "filtered", cell->filtered);
	set_counted(events, "sampled_out", cell->sampled_out);
	set_counted(events, "duplicate", cell->duplicate);
	set_counted(events, "quarantined", cell->quarantined);
	set_shed(events, cell->shed);
	set_counted(events, "in_flight", cell->in_flight);
#define PST_X(field, meaning) set_counted(notes, #field, cell->field);
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

	set_counted(row, "routed_in", stream->routed_in);
	set_counted(row, "internal", stream->internal);
	set_counted(row, "stored", stream->stored);
	set_shed(row, stream->shed);
	set_counted(row, "in_flight", stream->in_flight);
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
	json_t *record = begin(p->sink, p->kind);

	if (record) {
		set_u64(record, "first", p->interval->first);
		set_u64(record, "last", p->interval->last);
		set_u64(record, "from_ns", p->interval->from_ns);
		set_u64(record, "to_ns", p->interval->to_ns);
		set_u64(record, "part", p->part);
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
	if (emit(p->sink, p->record) != 0)
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
			set_u64(row, "resets", c->reset_cnt);
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
