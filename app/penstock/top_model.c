#include "top_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *
string(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text ? text : "";
}

static double
sum(const json_t *value)
{
	double total = 0;
	const char *name;
	json_t *part;

	/* Beyond 63 bits a number is text. */
	if (json_is_string(value))
		return (double)strtoull(json_string_value(value), NULL, 10);
	if (!json_is_object(value))
		return (double)json_integer_value(value);
	json_object_foreach((json_t *)value, name, part)
	{
		total += sum(part);
	}
	return total;
}

static const json_t *
at_path(const json_t *object, const char *path)
{
	const char *dot;

	while (object && (dot = strchr(path, '.'))) {
		char name[64];
		snprintf(name, sizeof(name), "%.*s", (int)(dot - path), path);
		object = json_object_get(object, name);
		path = dot + 1;
	}
	return object ? json_object_get(object, path) : NULL;
}

double
model_number(const json_t *object, const char *path)
{
	return sum(at_path(object, path));
}

double
model_rate(const struct model *model, const json_t *now, const json_t *before, const char *path)
{
	double grown = model_number(now, path) - model_number(before, path);
	return before && grown > 0 && model->seconds > 0 ? grown / model->seconds : 0;
}

static bool
same_row(const json_t *a, const json_t *b, const char *const *keys)
{
	for (; *keys; keys++)
		if (!json_equal(json_object_get(a, *keys), json_object_get(b, *keys)))
			return false;
	return true;
}

const json_t *
model_row_before(const json_t *rows, size_t hint, const json_t *row, const char *const *keys)
{
	const json_t *other = json_array_get(rows, hint);
	size_t i;

	if (other && same_row(row, other, keys))
		return other;
	json_array_foreach(rows, i, other)
	{
		if (same_row(row, other, keys))
			return other;
	}
	return NULL;
}

/* ---- lists of our own ---- */

static const struct {
	const char *kind, *path;
} reasons[] = {
	{"shed", "events.shed"}, {"rejected", "frames.rejected"}, {"ignored", "frames.ignored"}};

static const struct {
	const char *kind, *name;
} port_drops[] = {{"missed", "imissed"}, {"missed", "xdp_rx_ring_full"}, {"missed", "tap_dropped"},
	{"errors", "ierrors"}, {"errors", "xdp_rx_invalid_descs"},
	{"interface", "interface_rx_dropped"}};

static const char *const intended[] = {"filtered", "sampled_out", "duplicate", "quarantined"};

static void
add_reason(json_t *rows, const char *kind, const char *reason, json_int_t total)
{
	json_array_append_new(
		rows, json_pack("{s:s, s:s, s:I}", "kind", kind, "reason", reason, "total", total));
}

static json_t *
list_reasons(const json_t *status)
{
	json_t *rows = json_array(), *value, *port;
	const char *name;
	size_t p;

	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		json_object_foreach((json_t *)at_path(status, reasons[i].path), name, value)
			add_reason(rows, reasons[i].kind, name, json_integer_value(value));
	json_array_foreach(json_object_get(status, "ports"), p, port)
	{
		for (size_t i = 0; i < sizeof(port_drops) / sizeof(*port_drops); i++) {
			char reason[96];
			snprintf(reason, sizeof(reason), "%s of %s", port_drops[i].name,
				string(port, "name"));
			add_reason(rows, port_drops[i].kind, reason,
				(json_int_t)model_number(port, port_drops[i].name));
		}
	}
	add_reason(rows, "missed", "kernel path",
		(json_int_t)model_number(status, "kernel_path.dropped"));
	for (size_t i = 0; i < sizeof(intended) / sizeof(*intended); i++)
		add_reason(rows, "intended", intended[i],
			json_integer_value(
				json_object_get(json_object_get(status, "events"), intended[i])));
	return rows;
}

static void
add_cores(json_t *cores, const json_t *rows, const char *kind, const char *used, const char *size)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		char name[32];
		snprintf(name, sizeof(name), "%s %d", kind, (int)model_number(row, "index"));
		json_t *core = json_copy(row);
		json_object_set_new(core, "core", json_string(name));
		json_object_set_new(
			core, "used", json_integer((json_int_t)model_number(row, used)));
		json_object_set_new(
			core, "size", json_integer((json_int_t)model_number(row, size)));
		json_array_append_new(cores, core);
	}
}

/* Of an rx lcore the batches that are not at home, of a writer those that wait for it. */
static json_t *
list_cores(const json_t *status)
{
	json_t *cores = json_array(), *core;
	size_t i;

	add_cores(cores, json_object_get(status, "rx"), "rx", "batch_buffer_home_cnt",
		"batch_buffer_cnt");
	json_array_foreach(cores, i, core)
	{
		json_object_set_new(core, "used",
			json_integer((json_int_t)(model_number(core, "size") -
						  model_number(core, "used"))));
	}
	add_cores(cores, json_object_get(status, "writers"), "writer", "ring_used_cnt",
		"ring_size_cnt");
	return cores;
}

static json_t *
list_parts(const json_t *status)
{
	json_t *parts = json_array(), *stream;
	size_t i;

	json_array_foreach(json_object_get(status, "streams"), i, stream)
	{
		json_array_extend(parts, json_object_get(stream, "partitions"));
	}
	return parts;
}

double
model_missed(const json_t *status)
{
	double missed = model_number(status, "kernel_path.dropped");
	const json_t *port;
	size_t i;

	json_array_foreach(json_object_get(status, "ports"), i, port)
	{
		missed += model_number(port, "imissed") + model_number(port, "xdp_rx_ring_full") +
			  model_number(port, "tap_dropped");
	}
	return missed;
}

/* ---- losses ---- */

static struct model_loss *
loss_row(struct model *m, const char *what, const char *where)
{
	struct model_loss found = {0};
	unsigned i = 0;

	while (i < m->loss_cnt &&
		(strcmp(m->losses[i].what, what) != 0 || strcmp(m->losses[i].where, where) != 0))
		i++;
	if (i < m->loss_cnt)
		found = m->losses[i];
	else if (m->loss_cnt < MODEL_LOSSES_MAX)
		i = m->loss_cnt++;
	else
		i = MODEL_LOSSES_MAX - 1;
	memmove(m->losses + 1, m->losses, i * sizeof(*m->losses));
	m->losses[0] = found;
	snprintf(m->losses[0].what, sizeof(found.what), "%s", what);
	snprintf(m->losses[0].where, sizeof(found.where), "%s", where);
	return &m->losses[0];
}

static void
lose(struct model *m, time_t time, json_int_t cnt, const char *what, const char *where)
{
	struct model_loss *loss = loss_row(m, what, where);
	if (loss->cnt == 0)
		loss->first = time;
	loss->last = time;
	loss->cnt += cnt;
}

/* Each reason of the object at path that grew. */
static void
lose_reasons(struct model *m, time_t time, const json_t *now, const json_t *before,
	const char *path, const char *kind, const char *where)
{
	const json_t *old = at_path(before, path);
	json_t *value;
	const char *name;

	json_object_foreach((json_t *)at_path(now, path), name, value)
	{
		json_int_t grown = json_integer_value(value) -
				   json_integer_value(json_object_get(old, name));
		char what[64];
		snprintf(what, sizeof(what), "%s %s", kind, name);
		if (grown > 0)
			lose(m, time, grown, what, where);
	}
}

static void
lose_grown(struct model *m, time_t time, const json_t *now, const json_t *before, const char *path,
	const char *what, const char *where)
{
	double grown = model_number(now, path) - model_number(before, path);
	if (grown > 0)
		lose(m, time, (json_int_t)grown, what, where);
}

static void
find_losses(struct model *m, time_t time)
{
	static const char *const of_cell[] = {"queue", "listener", NULL};
	static const char *const of_port[] = {"index", NULL};
	static const char *const of_session[] = {"rx", "listener", "id_hex", NULL};
	const json_t *row, *old, *rows;
	char where[96];
	size_t i;

	json_array_foreach(json_object_get(m->now, "cells"), i, row)
	{
		rows = json_object_get(m->before, "cells");
		old = model_row_before(rows, i, row, of_cell);
		snprintf(where, sizeof(where), "%s, %s", string(row, "listener_name"),
			string(row, "queue_name"));
		lose_reasons(m, time, row, old, "events.shed", "shed", where);
		lose_reasons(m, time, row, old, "frames.rejected", "rejected", where);
	}
	json_array_foreach(json_object_get(m->now, "ports"), i, row)
	{
		rows = json_object_get(m->before, "ports");
		old = model_row_before(rows, i, row, of_port);
		lose_grown(m, time, row, old, "imissed", "missed", string(row, "name"));
		lose_grown(m, time, row, old, "xdp_rx_ring_full", "missed, ring full",
			string(row, "name"));
		lose_grown(
			m, time, row, old, "tap_dropped", "missed, TAP full", string(row, "name"));
	}
	lose_grown(m, time, m->now, m->before, "kernel_path.dropped", "missed", "kernel path");
	json_array_foreach(json_object_get(m->now, "sessions"), i, row)
	{
		rows = json_object_get(m->before, "sessions");
		old = model_row_before(rows, i, row, of_session);
		snprintf(where, sizeof(where), "session %s, %s", string(row, "session"),
			string(row, "listener_name"));
		lose_grown(m, time, row, old, "gap_messages", "gap", where);
	}
}

static json_t *
list_losses(const struct model *m)
{
	json_t *rows = json_array();

	for (unsigned i = 0; i < m->loss_cnt; i++) {
		const struct model_loss *loss = &m->losses[i];
		char when[16] = "";
		struct tm tm;
		localtime_r(&loss->last, &tm);
		strftime(when, sizeof(when), "%H:%M:%S", &tm);
		json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:I, s:I}", "time", when,
						    "what", loss->what, "where", loss->where, "cnt",
						    loss->cnt, "last", (json_int_t)loss->last));
	}
	return rows;
}

/* ---- */

static bool
same_run(const json_t *a, const json_t *b)
{
	return model_number(a, "info.pid") == model_number(b, "info.pid") &&
	       model_number(a, "info.uptime_ns") <= model_number(b, "info.uptime_ns");
}

void
model_take(struct model *m, json_t *status, time_t time)
{
	json_decref(m->before);
	m->before = m->now;
	m->now = status;
	if (m->before && !same_run(m->before, m->now)) {
		json_decref(m->before);
		m->before = NULL;
		lose(m, time, 1, "daemon restarted", "counters begin anew");
	}
	m->seconds = 0;
	if (m->before) {
		/* Uptime is monotonic, the daemon's wall clock need not be. */
		m->seconds = (model_number(m->now, "info.uptime_ns") -
				     model_number(m->before, "info.uptime_ns")) /
			     1e9;
		find_losses(m, time);
	}
	json_object_set_new(m->now, "reasons", list_reasons(m->now));
	json_object_set_new(m->now, "cores", list_cores(m->now));
	json_object_set_new(m->now, "parts", list_parts(m->now));
	json_object_set_new(m->now, "losses", list_losses(m));
}

void
model_fini(struct model *m)
{
	json_decref(m->before);
	json_decref(m->now);
	memset(m, 0, sizeof(*m));
}
