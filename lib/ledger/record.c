#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ledger/record_json.h"

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

int
record_emit(const struct pst_record_sink *sink, json_t *record)
{
	char *text = record ? json_dumps(record, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

	json_decref(record);
	if (!text)
		return -ENOMEM;
	sink->add(sink->arg, text, strlen(text));
	free(text);
	return 0;
}

json_t *
record_begin(const struct pst_record_sink *sink, const char *kind)
{
	return json_pack("{s:s,s:s}", "kind", kind, "run", sink->run_id);
}

void
record_set_u64(json_t *object, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	json_object_set_new(object, name,
		value > INT64_MAX ? json_string(text) : json_integer((json_int_t)value));
}

void
record_set_counted(json_t *object, const char *name, uint64_t value)
{
	if (value > 0)
		record_set_u64(object, name, value);
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
	json_t *record = record_begin(sink, "start");

	if (!record)
		return -ENOMEM;
	record_set_u64(record, "at_ns", start->at_ns);
	json_object_set_new(record, "version", json_string(start->version));
	json_object_set_new(record, "profile", json_string(profile->name));
	json_object_set_new(
		record, "profile_file", text_of(profile->file, strnlen(profile->file, 512)));
	json_object_set_new(record, "profile_hash", json_string(start->profile_hash));
	record_set_u64(record, "interval_ns", start->interval_ns);
	return record_emit(sink, record);
}

int
pst_record_recovery(const struct pst_record_sink *sink, uint64_t at_ns,
	const struct pst_record_recovery *recovery)
{
	json_t *record = record_begin(sink, "recovery");

	if (!record)
		return -ENOMEM;
	record_set_u64(record, "at_ns", at_ns);
	json_object_set_new(record, "stream", json_string(recovery->stream));
	record_set_u64(record, "partition", recovery->partition);
	json_object_set_new(record, "next_offset", json_integer(recovery->next_offset));
	json_object_set_new(record, "clean", json_boolean(recovery->clean));
	record_set_counted(record, "cut_bytes", recovery->cut_bytes);
	record_set_counted(record, "set_aside_bytes", recovery->set_aside_bytes);
	record_set_counted(record, "index_rebuilt_cnt", recovery->index_rebuilt_cnt);
	json_t *items = json_array();
	for (uint32_t i = 0; i < recovery->item_cnt; i++)
		json_array_append_new(
			items, text_of(recovery->items[i], strnlen(recovery->items[i], 512)));
	if (recovery->item_cnt > 0)
		json_object_set(record, "items", items);
	json_decref(items);
	return record_emit(sink, record);
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
	json_t *record = record_begin(sink, "gap");

	if (!record)
		return -ENOMEM;
	if (gap->id)
		record_set_u64(record, "gap", gap->id);
	else
		record_set_u64(record, "gaps", gap->cnt);
	json_object_set_new(record, "state", json_string(pst_gap_state_name(state)));
	json_object_set_new(
		record, "listener", json_string(pst_record_listener_name(profile, listener_idx)));
	set_session(record, id);
	record_set_u64(record, "from", gap->from);
	record_set_u64(record, "to", gap->to);
	record_set_u64(record, "messages", gap->missing + gap->filled + gap->lost);
	record_set_counted(record, "missing", gap->missing);
	record_set_counted(record, "filled", gap->filled);
	record_set_counted(record, "lost", gap->lost);
	if (gap->lost > 0) {
		record_set_u64(record, "lost_from", gap->lost_from);
		record_set_u64(record, "lost_to", gap->lost_to);
	}
	if (state == PST_GAP_LOST)
		json_object_set_new(record, "reason",
			json_string(gap->missing > 0 ? gap->declared : "no_room"));
	if (gap->filled > 0)
		json_object_set_new(record, "how", json_string("late"));
	if (gap->reopened)
		json_object_set_new(record, "reopened", json_true());
	record_set_u64(record, "first_seen_ns", gap->first_seen_ns);
	record_set_u64(record, "at_ns", gap->last_ns);
	return record_emit(sink, record);
}

int
pst_record_clock(const struct pst_record_sink *sink, uint64_t at_ns, int64_t step_ns)
{
	json_t *record = record_begin(sink, "clock");

	if (!record)
		return -ENOMEM;
	record_set_u64(record, "at_ns", at_ns);
	json_object_set_new(record, "step_ns", json_integer(step_ns));
	return record_emit(sink, record);
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
	json_t *record = record_begin(sink, "drive");

	if (!record)
		return -ENOMEM;
	record_set_u64(record, "at_ns", at_ns);
	json_object_set_new(record, "event", json_string(drive->event));
	record_set_u64(record, "drive", drive->drive_idx);
	set_path(record, "path", profile->data_dirs[drive->drive_idx]);
	if (drive->error) {
		const char *text = strerrordesc_np(drive->error);
		json_object_set_new(record, "error", json_string(text ? text : "unknown error"));
	}
	if (drive->stream) {
		json_object_set_new(record, "stream", json_string(drive->stream));
		if (drive->queue)
			json_object_set_new(record, "queue", json_string(drive->queue));
		record_set_u64(record, "partition", drive->partition);
	}
	if (strcmp(drive->event, "moved") == 0) {
		record_set_u64(record, "to_partition", drive->to_partition);
		record_set_u64(record, "to_drive", drive->to_idx);
		set_path(record, "to_path", profile->data_dirs[drive->to_idx]);
	}
	return record_emit(sink, record);
}

int
pst_record_rules(const struct pst_record_sink *sink, const struct pst_profile *profile,
	uint64_t at_ns, uint32_t generation, const char *hash,
	const struct pst_record_rules_place *places, uint32_t place_cnt)
{
	json_t *record = record_begin(sink, "rules"), *list = json_array();

	if (!record || !list) {
		json_decref(record);
		json_decref(list);
		return -ENOMEM;
	}
	record_set_u64(record, "at_ns", at_ns);
	record_set_u64(record, "generation", generation);
	json_object_set_new(record, "hash", json_string(hash));
	for (uint32_t i = 0; i < place_cnt; i++)
		json_array_append_new(list, json_pack("{s:s,s:I,s:I}", "stream",
						    profile->streams[places[i].stream_idx].name,
						    "partition", (json_int_t)places[i].partition,
						    "offset", (json_int_t)places[i].offset));
	json_object_set_new(record, "partitions", list);
	return record_emit(sink, record);
}
