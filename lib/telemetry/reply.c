#include "telemetry/reply.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "telemetry/escape.h"

#define REPLY_BYTES_EMPTY 2 /* {} */
#define PIECE_BYTES_MAX   (RTE_TEL_MAX_STRING_LEN - 1)

struct pst_dict
pst_reply_init(struct pst_reply *reply, struct rte_tel_data *top)
{
	reply->top = top;
	reply->container_cnt = 0;
	reply->bytes = REPLY_BYTES_EMPTY;
	reply->failed = reply->row_open = reply->row_failed = false;
	rte_tel_data_start_dict(top);
	return (struct pst_dict){.reply = reply, .data = top};
}

static void
free_containers(struct pst_reply *reply, uint32_t from)
{
	for (uint32_t i = from; i < reply->container_cnt; i++)
		rte_tel_data_free(reply->containers[i]);
	reply->container_cnt = from;
}

int
pst_reply_error(struct pst_reply *reply, const char *fmt, ...)
{
	char text[256], escaped[RTE_TEL_MAX_STRING_LEN];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	free_containers(reply, 0);
	pst_escape(text, strlen(text), escaped, sizeof(escaped));
	rte_tel_data_start_dict(reply->top);
	rte_tel_data_add_dict_string(reply->top, "error", escaped);
	return 0;
}

int
pst_reply_finish(struct pst_reply *reply)
{
	if (reply->failed || reply->bytes > PST_REPLY_BYTES_MAX)
		return pst_reply_error(reply, "the reply does not fit the telemetry socket");
	/* The library frees what it prints. */
	reply->container_cnt = 0;
	return 0;
}

/* What becomes of an add: rc is the library's answer, bytes what it is going to print. */
static void
added(struct pst_reply *reply, int rc, size_t bytes)
{
	reply->bytes += (uint32_t)bytes;
	if (rc != 0)
		reply->failed = true;
}

static struct rte_tel_data *
container(struct pst_reply *reply)
{
	struct rte_tel_data *data = NULL;

	if (reply->container_cnt < PST_REPLY_CONTAINERS_MAX)
		data = rte_tel_data_alloc();
	if (data)
		reply->containers[reply->container_cnt++] = data;
	else if (reply->row_open)
		reply->row_failed = true;
	else
		reply->failed = true;
	return data;
}

/* Of "name": and a comma. */
static size_t
name_bytes(const char *name)
{
	return strlen(name) + 4;
}

struct pst_dict
pst_dict_dict(struct pst_dict dict, const char *name)
{
	struct pst_dict child = {.reply = dict.reply};

	if (!dict.data || !(child.data = container(dict.reply)))
		return child;
	rte_tel_data_start_dict(child.data);
	added(dict.reply, rte_tel_data_add_dict_container(dict.data, name, child.data, 0),
		name_bytes(name) + REPLY_BYTES_EMPTY);
	return child;
}

static void
dict_ascii(struct pst_dict dict, const char *name, const char *ascii)
{
	added(dict.reply, rte_tel_data_add_dict_string(dict.data, name, ascii),
		name_bytes(name) + strlen(ascii) + 2);
}

void
pst_dict_u64(struct pst_dict dict, const char *name, uint64_t value)
{
	char text[24];

	if (!dict.data)
		return;
	int len = snprintf(text, sizeof(text), "%" PRIu64, value);
	if (value > INT64_MAX)
		dict_ascii(dict, name, text);
	else
		added(dict.reply, rte_tel_data_add_dict_u64(dict.data, name, value),
			name_bytes(name) + (size_t)len);
}

void
pst_dict_i32(struct pst_dict dict, const char *name, int32_t value)
{
	char text[16];

	if (!dict.data)
		return;
	int len = snprintf(text, sizeof(text), "%" PRId32, value);
	added(dict.reply, rte_tel_data_add_dict_int(dict.data, name, value),
		name_bytes(name) + (size_t)len);
}

void
pst_dict_i64(struct pst_dict dict, const char *name, int64_t value)
{
	char text[24];

	if (!dict.data)
		return;
	snprintf(text, sizeof(text), "%" PRId64, value);
	dict_ascii(dict, name, text);
}

struct rte_tel_data *
pst_dict_strings(struct pst_dict dict, const char *name)
{
	struct rte_tel_data *strings;

	if (!dict.data || !(strings = container(dict.reply)))
		return NULL;
	rte_tel_data_start_array(strings, RTE_TEL_STRING_VAL);
	added(dict.reply, rte_tel_data_add_dict_container(dict.data, name, strings, 0),
		name_bytes(name) + REPLY_BYTES_EMPTY);
	return strings;
}

static void
add_ascii(struct pst_reply *reply, struct rte_tel_data *strings, const char *ascii)
{
	added(reply, rte_tel_data_add_array_string(strings, ascii), strlen(ascii) + 3);
}

void
pst_strings_add(struct pst_reply *reply, struct rte_tel_data *strings, const char *text)
{
	char escaped[RTE_TEL_MAX_STRING_LEN];

	if (!strings)
		return;
	if (pst_escape(text, strlen(text), escaped, sizeof(escaped)) < strlen(text))
		reply->failed = true;
	add_ascii(reply, strings, escaped);
}

void
pst_dict_text(struct pst_dict dict, const char *name, const void *text, size_t len)
{
	char escaped[PST_REPLY_TEXT_MAX + 1], piece[PIECE_BYTES_MAX + 1], other_name[64];

	if (!dict.data)
		return;
	size_t taken = pst_escape(text, len, escaped, sizeof(escaped));
	size_t left = strlen(escaped);
	if (left <= PIECE_BYTES_MAX) {
		dict_ascii(dict, name, escaped);
		return;
	}
	snprintf(other_name, sizeof(other_name), "%s_pieces", name);
	struct rte_tel_data *pieces = pst_dict_strings(dict, other_name);
	for (const char *at = escaped; pieces && left > 0;) {
		size_t part = left < PIECE_BYTES_MAX ? left : PIECE_BYTES_MAX;
		memcpy(piece, at, part);
		piece[part] = '\0';
		add_ascii(dict.reply, pieces, piece);
		at += part;
		left -= part;
	}
	if (taken < len) {
		snprintf(other_name, sizeof(other_name), "%s_bytes", name);
		pst_dict_u64(dict, other_name, len);
	}
}

void
pst_dict_string(struct pst_dict dict, const char *name, const char *text)
{
	pst_dict_text(dict, name, text, strlen(text));
}

struct pst_row
pst_row_begin(struct pst_reply *reply)
{
	struct pst_row row = {
		.dict.reply = reply,
		.bytes_before = reply->bytes,
		.containers_before = reply->container_cnt,
	};

	PST_ASSERT(!reply->row_open);
	reply->row_open = true;
	reply->row_failed = false;
	row.dict.data = container(reply);
	if (row.dict.data)
		rte_tel_data_start_dict(row.dict.data);
	return row;
}

void
pst_row_drop(struct pst_row *row)
{
	struct pst_reply *reply = row->dict.reply;
	reply->row_open = false;
	free_containers(reply, row->containers_before);
	reply->bytes = row->bytes_before;
}

bool
pst_row_end(struct pst_row *row, struct pst_dict items, uint32_t idx)
{
	struct pst_reply *reply = row->dict.reply;
	char name[16];
	int rc = -ENOSPC;

	snprintf(name, sizeof(name), "%" PRIu32, idx);
	reply->row_open = false;
	reply->bytes += (uint32_t)name_bytes(name) + REPLY_BYTES_EMPTY;
	if (!reply->failed && !reply->row_failed && items.data &&
		reply->bytes <= PST_REPLY_BYTES_MAX)
		rc = rte_tel_data_add_dict_container(items.data, name, row->dict.data, 0);
	if (rc == 0)
		return true;
	if (rc != -ENOSPC)
		reply->failed = true;
	pst_row_drop(row);
	return false;
}
