/* The schema walk: libyaml's events held against libcyaml's schema.
 *
 * libcyaml checks the same again when it loads, but it says where only in its log, takes every
 * word but "false" and its kin as true, and numbers for enum names. */
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/base.h"
#include "yaml/internal.h"

#define FIELDS_MAX 64 /* of one mapping: bits of seen */

/* A mapping or list that is open at the event. */
struct level {
	const cyaml_schema_value_t *schema;
	const cyaml_schema_field_t *field; /* mapping: key read, its value is next; else NULL */
	size_t path_len;                   /* of the mapping's or list's own path */
	unsigned line;
	uint32_t item_cnt;
	uint64_t seen;
};

struct walk {
	struct pst_yaml_lines *lines;
	struct pst_diag *diag;
	const cyaml_schema_value_t *root;
	yaml_event_t *event;
	unsigned line; /* of the key or item at hand */
	unsigned depth;
	uint32_t node_cnt;
	bool done; /* the document's root is complete */
	char path[PST_YAML_PATH_MAX];
	struct level levels[PST_YAML_DEPTH_MAX];
};

#define fail(w, remedy, ...)                                                                       \
	pst_diag_set((w)->diag, (w)->lines->file, (w)->line, (w)->path, remedy, __VA_ARGS__)

static const char *
type_name(const cyaml_schema_value_t *schema)
{
	switch (schema->type) {
	case CYAML_MAPPING:
		return "a mapping (key: value lines)";
	case CYAML_SEQUENCE:
	case CYAML_FLAGS:
		return "a list";
	case CYAML_BOOL:
		return "true or false";
	default:
		return "a single value";
	}
}

static int
fail_type(struct walk *w, const char *found, const cyaml_schema_value_t *schema)
{
	char remedy[128];
	snprintf(remedy, sizeof(remedy), "give %s", type_name(schema));
	return fail(w, remedy, "%s where %s is wanted", found, type_name(schema));
}

/* The intro, then the keys of a mapping or the names of an enum as far as they fit. */
static void
list_names(char *buf, size_t cap, const char *intro, const cyaml_schema_value_t *schema)
{
	size_t len = (size_t)snprintf(buf, cap, "%s", intro);
	for (uint32_t i = 0; len < cap; i++) {
		const char *name;
		if (schema->type == CYAML_MAPPING)
			name = schema->mapping.fields[i].key;
		else
			name = i < schema->enumeration.count ? schema->enumeration.strings[i].str
							     : NULL;
		if (!name)
			return;
		len += (size_t)snprintf(buf + len, cap - len, "%s%s", i ? ", " : "", name);
	}
}

static bool
is_null(const yaml_event_t *event)
{
	static const char *const names[] = {"", "~", "null", "Null", "NULL"};
	const char *text = (const char *)event->data.scalar.value;

	if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE || event->data.scalar.tag)
		return false;
	for (size_t i = 0; i < PST_ARRAY_CNT(names); i++)
		if (strcmp(text, names[i]) == 0)
			return true;
	return false;
}

static int
check_name(struct walk *w, const cyaml_schema_value_t *schema, const char *text)
{
	char remedy[384];

	for (uint32_t i = 0; i < schema->enumeration.count; i++)
		if (strcmp(text, schema->enumeration.strings[i].str) == 0)
			return 0;
	list_names(remedy, sizeof(remedy), "give one of: ", schema);
	return fail(w, remedy, "\"%.64s\" is not known here", text);
}

static int
check_scalar(struct walk *w, const cyaml_schema_value_t *schema)
{
	const char *text = (const char *)w->event->data.scalar.value;
	size_t len = w->event->data.scalar.length;

	if (is_null(w->event)) {
		char remedy[128];
		snprintf(remedy, sizeof(remedy), "give %s, or remove the key for its default",
			type_name(schema));
		return fail(w, remedy, "no value where %s is wanted", type_name(schema));
	}
	if (strlen(text) != len)
		return fail(w, "remove the NUL byte", "a NUL byte in the value");
	switch (schema->type) {
	case CYAML_STRING:
		if (len < schema->string.min)
			return fail(w, "give a longer value",
				"%zu bytes, but at least %u are wanted", len, schema->string.min);
		if (len > schema->string.max)
			return fail(w, "give a shorter value",
				"%zu bytes, but at most %u are allowed", len, schema->string.max);
		return 0;
	case CYAML_BOOL:
		if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
			return 0;
		return fail(w, "give true or false", "\"%.64s\" is neither true nor false", text);
	case CYAML_ENUM:
		return check_name(w, schema, text);
	default:
		return fail_type(w, "a single value", schema);
	}
}

static int
note_line(struct walk *w)
{
	if (++w->node_cnt > PST_YAML_NODES_MAX)
		return fail(w, "split the file", "more than %u keys and items in one file",
			PST_YAML_NODES_MAX);
	if (pst_yaml_lines_add(w->lines, w->path, w->line) != 0)
		return fail(w, NULL, "out of memory");
	return 0;
}

static void
append_path(struct walk *w, size_t at, const char *fmt, const char *key, unsigned idx)
{
	int len = key ? snprintf(w->path + at, sizeof(w->path) - at, fmt, key)
		      : snprintf(w->path + at, sizeof(w->path) - at, fmt, idx);
	PST_ASSERT(
		len >= 0 && at + (size_t)len < sizeof(w->path)); /* the schema's keys are short */
}

/* The event is a key of the mapping. */
static int
take_key(struct walk *w, struct level *level)
{
	const cyaml_schema_field_t *fields = level->schema->mapping.fields;
	char key[65];

	w->line = (unsigned)w->event->start_mark.line + 1;
	w->path[level->path_len] = '\0';
	if (w->event->type != YAML_SCALAR_EVENT)
		return fail(w, "give a plain word as key", "a key that is a list or a mapping");
	snprintf(key, sizeof(key), "%s", (const char *)w->event->data.scalar.value);
	append_path(w, level->path_len, level->path_len ? ".%s" : "%s", key, 0);
	for (uint32_t i = 0; fields[i].key; i++) {
		PST_ASSERT(i < FIELDS_MAX);
		if (strlen(fields[i].key) != w->event->data.scalar.length ||
			strcmp(key, fields[i].key) != 0)
			continue;
		if (level->seen & UINT64_C(1) << i)
			return fail(w, "remove one of the two",
				"the key is given twice (first on "
				"line %u)",
				pst_yaml_lines_first(w->lines, w->path));
		level->seen |= UINT64_C(1) << i;
		level->field = &fields[i];
		return note_line(w);
	}
	char remedy[384];
	list_names(remedy, sizeof(remedy), "known keys here: ", level->schema);
	return fail(w, remedy, "unknown key");
}

static int
check_missing(struct walk *w, struct level *level)
{
	const cyaml_schema_field_t *fields = level->schema->mapping.fields;

	for (uint32_t i = 0; fields[i].key; i++) {
		if (level->seen & UINT64_C(1) << i || fields[i].value.flags & CYAML_FLAG_OPTIONAL)
			continue;
		char remedy[128];
		snprintf(remedy, sizeof(remedy), "add \"%s:\" to the mapping that begins here",
			fields[i].key);
		append_path(w, level->path_len, level->path_len ? ".%s" : "%s", fields[i].key, 0);
		w->line = level->line;
		return fail(w, remedy, "the key is missing");
	}
	return 0;
}

static int
open_level(struct walk *w, const cyaml_schema_value_t *schema)
{
	if (w->depth == PST_YAML_DEPTH_MAX)
		return fail(w, "nest less", "nested deeper than %d", PST_YAML_DEPTH_MAX);
	w->levels[w->depth++] = (struct level){
		.schema = schema, .path_len = strlen(w->path), .line = w->line ? w->line : 1};
	return 0;
}

/* The mapping or list ends, and with it the value of the key or item that holds it. */
static int
close_level(struct walk *w)
{
	struct level *level = &w->levels[w->depth - 1];

	w->path[level->path_len] = '\0';
	w->line = level->line;
	if (level->schema->type == CYAML_MAPPING) {
		if (check_missing(w, level) != 0)
			return -1;
	} else if (level->schema->type == CYAML_SEQUENCE &&
		   level->item_cnt < level->schema->sequence.min) {
		return fail(w, "add what is missing", "%u items, but at least %u are wanted",
			level->item_cnt, level->schema->sequence.min);
	}
	w->depth--;
	return 0;
}

/* The event begins an item of the list, whose schema goes to *item (NULL: a name of a set). */
static int
take_item(struct walk *w, struct level *level)
{
	w->line = (unsigned)w->event->start_mark.line + 1;
	w->path[level->path_len] = '\0';
	if (level->schema->type == CYAML_SEQUENCE && level->item_cnt == level->schema->sequence.max)
		return fail(w, "remove what is too much", "more than %u items",
			level->schema->sequence.max);
	append_path(w, level->path_len, "[%u]", NULL, level->item_cnt++);
	return note_line(w);
}

/* The event begins a value of this schema. */
static int
take_value(struct walk *w, const cyaml_schema_value_t *schema)
{
	switch (w->event->type) {
	case YAML_SCALAR_EVENT:
		return check_scalar(w, schema);
	case YAML_SEQUENCE_START_EVENT:
		if (schema->type != CYAML_SEQUENCE && schema->type != CYAML_FLAGS)
			return fail_type(w, "a list", schema);
		return open_level(w, schema);
	case YAML_MAPPING_START_EVENT:
		if (schema->type != CYAML_MAPPING)
			return fail_type(w, "a mapping", schema);
		return open_level(w, schema);
	default:
		return fail(w, "write the value out", "aliases are not supported");
	}
}

static int
take_node(struct walk *w)
{
	if (w->depth == 0) {
		w->done = true;
		return take_value(w, w->root);
	}
	struct level *level = &w->levels[w->depth - 1];
	if (level->schema->type == CYAML_MAPPING) {
		if (!level->field)
			return take_key(w, level);
		const cyaml_schema_value_t *schema = &level->field->value;
		level->field = NULL;
		return take_value(w, schema);
	}
	if (take_item(w, level) != 0)
		return -1;
	if (level->schema->type == CYAML_SEQUENCE)
		return take_value(w, level->schema->sequence.entry);
	if (w->event->type != YAML_SCALAR_EVENT)
		return fail(w, "give a list of names", "a list or mapping where a name is wanted");
	return check_name(w, level->schema, (const char *)w->event->data.scalar.value);
}

/* 1: go on; 0: the end of the stream; -1: refused. */
static int
take_event(struct walk *w)
{
	switch (w->event->type) {
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return 1;
	case YAML_DOCUMENT_START_EVENT:
		w->path[0] = '\0';
		w->line = (unsigned)w->event->start_mark.line + 1;
		if (w->done)
			return fail(w,
				"keep one document; remove the \"---\" line and what follows",
				"a second document");
		return 1;
	case YAML_STREAM_END_EVENT:
		w->path[0] = '\0';
		w->line = 0;
		if (!w->done)
			return fail(w, "write at least the keys that have no default",
				"the file is empty");
		return 0;
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		return close_level(w) == 0 ? 1 : -1;
	default:
		return take_node(w) == 0 ? 1 : -1;
	}
}

static int
fail_syntax(struct walk *w, const yaml_parser_t *parser, const char *input, size_t input_len)
{
	unsigned line = (unsigned)parser->problem_mark.line + 1;

	if (parser->error == YAML_MEMORY_ERROR)
		return pst_diag_set(w->diag, w->lines->file, 0, NULL, NULL, "out of memory");
	if (parser->error == YAML_READER_ERROR) {
		line = 1;
		for (size_t i = 0; i < parser->problem_offset && i < input_len; i++)
			line += input[i] == '\n';
		return pst_diag_set(w->diag, w->lines->file, line, NULL,
			"give a YAML file: text in UTF-8", "not text: %s (byte %zu)",
			parser->problem ? parser->problem : "unreadable", parser->problem_offset);
	}
	return pst_diag_set(w->diag, w->lines->file, line, NULL,
		"check indentation (spaces, no tabs), colons and quotes on this line and the one "
		"before",
		"not YAML: %s%s%s", parser->problem ? parser->problem : "unreadable",
		parser->context ? ", " : "", parser->context ? parser->context : "");
}

int
pst_yaml_walk(const char *input, size_t input_len, const cyaml_schema_value_t *schema,
	struct pst_yaml_lines *lines, struct pst_diag *diag)
{
	struct walk w = {.lines = lines, .diag = diag, .root = schema};
	yaml_parser_t parser;
	yaml_event_t event;
	int rc;

	if (!yaml_parser_initialize(&parser))
		return pst_diag_set(diag, lines->file, 0, NULL, NULL, "out of memory");
	yaml_parser_set_input_string(&parser, (const unsigned char *)input, input_len);
	w.event = &event;
	do {
		if (!yaml_parser_parse(&parser, &event)) {
			rc = fail_syntax(&w, &parser, input, input_len);
			break;
		}
		rc = take_event(&w);
		yaml_event_delete(&event);
	} while (rc > 0);
	yaml_parser_delete(&parser);
	return rc;
}
