#include "telemetry/plain.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "telemetry/escape.h"

#define PIECES "_pieces"

static bool
ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);
	return len > end_len && strcmp(text + len - end_len, end) == 0;
}

/* Names under which a 64-bit signed number stands as a string. */
static bool
is_signed(const char *name)
{
	return strcmp(name, "residual") == 0 || ends_with(name, "_offset") ||
	       strcmp(name, "clock_step_ns_last") == 0;
}

/* Names under which a dictionary "0": ..., "1": ... stands for an array of dictionaries. */
static bool
is_list(const char *name)
{
	return strcmp(name, "items") == 0 || strcmp(name, "ranges") == 0;
}

static int
set_integer(json_t *to, const char *name, const char *digits)
{
	char *end;

	errno = 0;
	long long value = strtoll(digits, &end, 10);
	if (errno != 0 || *end != '\0' || end == digits)
		return json_object_set_new(to, name, json_string(digits));
	return json_object_set_new(to, name, json_integer(value));
}

/* The bytes behind an escaped text; those that are no UTF-8 stay escaped. NULL: no memory. */
static json_t *
text_value(const char *escaped, bool *is_escaped)
{
	char *bytes = malloc(strlen(escaped) + 1);
	if (!bytes)
		return NULL;
	json_t *text = json_stringn(bytes, pst_unescape(escaped, bytes));
	free(bytes);
	*is_escaped = text == NULL;
	return text ? text : json_string(escaped);
}

static int
set_text(json_t *to, const char *name, const char *escaped)
{
	bool is_escaped;
	char *flag;

	int rc = json_object_set_new(to, name, text_value(escaped, &is_escaped));
	if (rc != 0 || !is_escaped)
		return rc;
	if (asprintf(&flag, "%s_escaped", name) < 0)
		return -1;
	rc = json_object_set_new(to, flag, json_true());
	free(flag);
	return rc;
}

static int
set_pieces(json_t *to, const char *name, const json_t *pieces)
{
	size_t bytes = 1, i;
	json_t *piece;

	json_array_foreach(pieces, i, piece)
	{
		bytes += json_string_length(piece);
	}
	char *joined = calloc(1, bytes);
	char *whole = strndup(name, strlen(name) - strlen(PIECES));
	int rc = -1;
	if (joined && whole) {
		json_array_foreach(pieces, i, piece)
		{
			if (json_is_string(piece))
				strcat(joined, json_string_value(piece));
		}
		rc = set_text(to, whole, joined);
	}
	free(joined);
	free(whole);
	return rc;
}

/* The values of an object in order, or of an array, each made plain. */
static json_t *
plain_list(const json_t *wire)
{
	json_t *list = json_array(), *value;
	const char *name;
	size_t i;
	int rc = 0;

	json_object_foreach((json_t *)wire, name, value)
	{
		rc |= json_array_append_new(list, pst_plain(value));
	}
	json_array_foreach(wire, i, value)
	{
		rc |= json_array_append_new(list, pst_plain(value));
	}
	if (rc == 0)
		return list;
	json_decref(list);
	return NULL;
}

static int
set_plain(json_t *to, const char *name, const json_t *value)
{
	if (json_is_string(value)) {
		const char *text = json_string_value(value);
		return is_signed(name) ? set_integer(to, name, text) : set_text(to, name, text);
	}
	if (json_is_array(value) && ends_with(name, PIECES))
		return set_pieces(to, name, value);
	if (json_is_object(value) && is_list(name))
		return json_object_set_new(to, name, plain_list(value));
	return json_object_set_new(to, name, pst_plain(value));
}

static json_t *
plain_object(const json_t *wire)
{
	json_t *object = json_object(), *value;
	const char *name;
	int rc = 0;

	json_object_foreach((json_t *)wire, name, value)
	{
		rc |= set_plain(object, name, value);
	}
	if (rc == 0)
		return object;
	json_decref(object);
	return NULL;
}

json_t *
pst_plain(const json_t *wire)
{
	bool is_escaped;

	switch (json_typeof(wire)) {
	case JSON_OBJECT:
		return plain_object(wire);
	case JSON_ARRAY:
		return plain_list(wire);
	case JSON_STRING:
		return text_value(json_string_value(wire), &is_escaped);
	default:
		return json_copy((json_t *)wire);
	}
}
