#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "telemetry/client.h"

#define SNAPSHOT_TRIES 3

/* Lists whose rows are of one snapshot, and their names in the status. */
static const struct {
	const char *command;
	const char *name;
} snapshot_lists[] = {
	{"/penstock/listeners", "listeners"},
	{"/penstock/queues", "queues"},
	{"/penstock/streams", "streams"},
	{"/penstock/rx", "rx"},
	{"/penstock/writers", "writers"},
};

static void
move(json_t *to, const char *to_name, json_t *from, const char *from_name)
{
	json_t *value = json_object_get(from, from_name);
	if (value)
		json_object_set(to, to_name, value);
}

/* Asks for a list and puts its items into the status. */
static int
add_list(struct pst_client *client, json_t *status, const char *command, const char *name,
	uint64_t snapshot, struct pst_diag *diag)
{
	json_t *list = pst_client_list(client, command, snapshot, diag);
	if (!list)
		return -1;
	move(status, name, list, "items");
	json_decref(list);
	return 0;
}

/* The latency of all writers together is the page's, not a row's. */
static int
add_latency(struct pst_client *client, json_t *status, uint64_t snapshot, struct pst_diag *diag)
{
	json_t *list = pst_client_list(client, "/penstock/latency", snapshot, diag);
	json_t *latency = json_object();
	if (!list) {
		json_decref(latency);
		return -1;
	}
	move(latency, "all", list, "all");
	move(latency, "writers", list, "items");
	json_decref(list);
	return json_object_set_new(status, "latency", latency);
}

static int
add_books(struct pst_client *client, json_t *status, struct pst_diag *diag)
{
	json_t *ledger = pst_client_list(client, "/penstock/ledger", 0, diag);
	if (!ledger)
		return -1;
	uint64_t snapshot = (uint64_t)json_integer_value(json_object_get(ledger, "snapshot"));
	static const char *const names[] = {"taken_ns", "frames", "events", "notes"};
	for (size_t i = 0; i < PST_ARRAY_CNT(names); i++)
		move(status, names[i], ledger, names[i]);
	move(status, "cells", ledger, "items");
	json_decref(ledger);
	for (size_t i = 0; i < PST_ARRAY_CNT(snapshot_lists); i++)
		if (add_list(client, status, snapshot_lists[i].command, snapshot_lists[i].name,
			    snapshot, diag) != 0)
			return -1;
	return add_latency(client, status, snapshot, diag);
}

/* Deals the rows of a list out to the rows of another that they name by index. */
static void
deal(json_t *rows, const char *by, json_t *owners, const char *name)
{
	json_t *owner, *row;
	size_t i;

	json_array_foreach(owners, i, owner)
	{
		json_object_set_new(owner, name, json_array());
	}
	json_array_foreach(rows, i, row)
	{
		json_int_t idx = json_integer_value(json_object_get(row, by));
		owner = json_array_get(owners, (size_t)idx);
		json_array_append(json_object_get(owner, name), row);
	}
}

static int
add_logs(struct pst_client *client, json_t *status, struct pst_diag *diag)
{
	json_t *list = pst_client_list(client, "/penstock/partitions", 0, diag);
	if (!list)
		return -1;
	deal(json_object_get(list, "items"), "stream", json_object_get(status, "streams"),
		"partitions");
	json_decref(list);
	return 0;
}

static int
add_drives(struct pst_client *client, json_t *status, struct pst_diag *diag)
{
	return add_list(client, status, "/penstock/drives", "drives", 0, diag);
}

static int
add_ports(struct pst_client *client, json_t *status, struct pst_diag *diag)
{
	json_t *ports = pst_client_list(client, "/penstock/ports", 0, diag);
	if (!ports)
		return -1;
	move(status, "ports", ports, "items");
	move(status, "kernel_path", ports, "kernel_path");
	json_decref(ports);

	json_t *xstats = pst_client_list(client, "/penstock/xstats", 0, diag);
	if (!xstats)
		return -1;
	deal(json_object_get(xstats, "items"), "port", json_object_get(status, "ports"), "xstats");
	json_decref(xstats);
	return 0;
}

/* Sessions are numbered lcore by lcore, so one that begins while pages are read moves those behind
 * it: they may come twice, never not at all. */
static int
add_sessions(struct pst_client *client, json_t *status, struct pst_diag *diag)
{
	json_t *list = pst_client_list(client, "/penstock/sessions", 0, diag);
	json_t *sessions = json_array(), *seen = json_object(), *row;
	size_t i;

	json_array_foreach(json_object_get(list, "items"), i, row)
	{
		char key[64];
		snprintf(key, sizeof(key), "%lld %lld %s",
			(long long)json_integer_value(json_object_get(row, "rx")),
			(long long)json_integer_value(json_object_get(row, "listener")),
			json_string_value(json_object_get(row, "id_hex")));
		if (json_object_get(seen, key))
			continue;
		json_object_set_new(seen, key, json_true());
		json_array_append(sessions, row);
	}
	json_decref(seen);
	if (!list) {
		json_decref(sessions);
		return -1;
	}
	json_decref(list);
	return json_object_set_new(status, "sessions", sessions);
}

/* Only the first page: the top senders, and what there is in all. */
static int
add_sources(struct pst_client *client, json_t *status, struct pst_diag *diag)
{
	json_t *page = pst_client_ask(client, "/penstock/sources,0", diag);
	if (!page)
		return -1;
	json_object_del(page, "first");
	json_object_del(page, "next");
	return json_object_set_new(status, "sources", page);
}

/* The rows of a list go by their kind. */
static int
add_interval(struct pst_client *client, json_t *status, struct pst_diag *diag)
{
	json_t *interval = pst_client_list(client, "/penstock/interval", 0, diag);
	json_t *cells = json_array(), *beside = json_array(), *row;
	size_t i;

	json_array_foreach(json_object_get(interval, "items"), i, row)
	{
		const char *kind = json_string_value(json_object_get(row, "row"));
		json_array_append(kind && strcmp(kind, "cell") == 0 ? cells : beside, row);
		json_object_del(row, "row");
	}
	if (interval) {
		static const char *const pages[] = {"items", "generation"};
		for (i = 0; i < PST_ARRAY_CNT(pages); i++)
			json_object_del(interval, pages[i]);
		json_object_set(interval, "cells", cells);
		json_object_set(interval, "beside", beside);
	}
	json_decref(cells);
	json_decref(beside);
	return interval ? json_object_set_new(status, "interval", interval) : -1;
}

static int
add_rules(struct pst_client *client, json_t *status, struct pst_diag *diag)
{
	json_t *rules = pst_client_list(client, "/penstock/rules", 0, diag);
	return rules ? json_object_set_new(status, "rules", rules) : -1;
}

json_t *
pst_client_status(struct pst_client *client, struct pst_diag *diag)
{
	/* A snapshot can be gone before all of it was read, if many ask at the same time. */
	for (unsigned i = 0; i < SNAPSHOT_TRIES; i++) {
		json_t *status = json_object();
		json_t *info = pst_client_ask(client, "/penstock/info", diag);
		if (info && json_object_set_new(status, "info", info) == 0 &&
			add_books(client, status, diag) == 0 &&
			add_logs(client, status, diag) == 0 &&
			add_interval(client, status, diag) == 0 &&
			add_drives(client, status, diag) == 0 &&
			add_ports(client, status, diag) == 0 &&
			add_sessions(client, status, diag) == 0 &&
			add_sources(client, status, diag) == 0 &&
			add_rules(client, status, diag) == 0)
			return status;
		json_decref(status);
	}
	return NULL;
}
