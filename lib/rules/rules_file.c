/* The rules file: YAML by schema, then each rule and each include checked into the draft. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "rules/ruleset.h"

struct file_rule {
	char *id, *name, *pattern, *combination, *action, *priority;
	char *min_offset, *max_offset, *min_length, *edit_distance, *hamming_distance;
	char **flags;
	unsigned flags_count;
	char **listeners;
	unsigned listeners_count;
};

struct file_include {
	char *file, *id_base, *action, *priority;
	char **listeners;
	unsigned listeners_count;
};

struct file_rules {
	struct file_rule *rules;
	unsigned rules_count;
	struct file_include *include;
	unsigned include_count;
};

static const cyaml_schema_value_t text_schema = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED)};

#define TEXT(key, type, member, presence)                                                          \
	CYAML_FIELD_STRING_PTR(                                                                    \
		key, CYAML_FLAG_POINTER | (presence), type, member, 0, CYAML_UNLIMITED)
#define LIST(key, type, member, schema, min)                                                       \
	CYAML_FIELD_SEQUENCE(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, schema,  \
		min, CYAML_UNLIMITED)
#define REQUIRED CYAML_FLAG_DEFAULT
#define OPTIONAL CYAML_FLAG_OPTIONAL

static const cyaml_schema_field_t rule_fields[] = {
	TEXT("id", struct file_rule, id, REQUIRED),
	TEXT("name", struct file_rule, name, REQUIRED),
	TEXT("pattern", struct file_rule, pattern, OPTIONAL),
	TEXT("combination", struct file_rule, combination, OPTIONAL),
	TEXT("action", struct file_rule, action, OPTIONAL),
	TEXT("priority", struct file_rule, priority, OPTIONAL),
	TEXT("min-offset", struct file_rule, min_offset, OPTIONAL),
	TEXT("max-offset", struct file_rule, max_offset, OPTIONAL),
	TEXT("min-length", struct file_rule, min_length, OPTIONAL),
	TEXT("edit-distance", struct file_rule, edit_distance, OPTIONAL),
	TEXT("hamming-distance", struct file_rule, hamming_distance, OPTIONAL),
	LIST("flags", struct file_rule, flags, &text_schema, 0),
	LIST("listeners", struct file_rule, listeners, &text_schema, 1),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t include_fields[] = {
	TEXT("file", struct file_include, file, REQUIRED),
	TEXT("id-base", struct file_include, id_base, REQUIRED),
	TEXT("action", struct file_include, action, REQUIRED),
	TEXT("priority", struct file_include, priority, OPTIONAL),
	LIST("listeners", struct file_include, listeners, &text_schema, 1),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t rule_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_rule, rule_fields)};
static const cyaml_schema_value_t include_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_include, include_fields)};

static const cyaml_schema_field_t file_fields[] = {
	LIST("rules", struct file_rules, rules, &rule_schema, 0),
	LIST("include", struct file_rules, include, &include_schema, 0),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t file_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file_rules, file_fields)};

static int
check_name(struct pst_rules_draft *draft, const char *name, struct pst_rules_entry *entry,
	struct pst_diag *diag)
{
	size_t len = strlen(name);
	bool control = false;

	for (size_t i = 0; i < len; i++)
		control |= iscntrl((unsigned char)name[i]);
	if (len == 0 || len > PST_RULES_NAME_BYTES_MAX || control)
		return pst_rules_fail(draft, &entry->place, "name",
			"give a name of 1 to 100 bytes without control characters", diag, "%s",
			len == 0  ? "an empty name"
			: control ? "a control character"
				  : "a name too long");
	entry->rule.name = strdup(name);
	return entry->rule.name
		       ? 0
		       : pst_rules_fail(draft, &entry->place, "name", NULL, diag, "no memory");
}

static int
check_priority(struct pst_rules_draft *draft, const struct pst_rules_place *place, const char *text,
	struct pst_rules_entry *entry, struct pst_diag *diag)
{
	if (text && pst_rules_parse_priority(text, &entry->rule.priority) != 0)
		return pst_rules_fail(draft, place, "priority",
			"give a whole number from -2147483647 to 2147483647; the highest decides",
			diag, "'%s' is not a priority", text);
	return 0;
}

static int
check_extended(struct pst_rules_draft *draft, const struct file_rule *raw,
	struct pst_rules_entry *entry, struct pst_diag *diag)
{
	const struct {
		const char *key, *text;
		unsigned long long flag;
	} parameters[] = {
		{"min-offset", raw->min_offset, HS_EXT_FLAG_MIN_OFFSET},
		{"max-offset", raw->max_offset, HS_EXT_FLAG_MAX_OFFSET},
		{"min-length", raw->min_length, HS_EXT_FLAG_MIN_LENGTH},
		{"edit-distance", raw->edit_distance, HS_EXT_FLAG_EDIT_DISTANCE},
		{"hamming-distance", raw->hamming_distance, HS_EXT_FLAG_HAMMING_DISTANCE},
	};
	uint64_t value;

	for (size_t i = 0; i < PST_ARRAY_CNT(parameters); i++) {
		const char *text = parameters[i].text;
		if (!text)
			continue;
		if (pst_rules_parse_number(text, strlen(text), UINT32_MAX, &value) != 0)
			return pst_rules_fail(draft, &entry->place, parameters[i].key,
				"give a whole number from 0 to 4294967295", diag,
				"'%s' is not such a number", text);
		pst_rules_ext_set(&entry->ext, parameters[i].flag, value);
	}
	return 0;
}

static int
check_matcher(struct pst_rules_draft *draft, const struct file_rule *raw,
	struct pst_rules_entry *entry, struct pst_diag *diag)
{
	const char *text = raw->pattern ? raw->pattern : raw->combination;

	if (!raw->pattern == !raw->combination)
		return pst_rules_fail(draft, &entry->place, NULL,
			"give either pattern (a regular expression) or combination (of rule ids)",
			diag,
			raw->pattern ? "both pattern and combination"
				     : "neither pattern nor combination");
	for (unsigned i = 0; i < raw->flags_count; i++)
		if (pst_rules_set_flag(draft, raw->flags[i], entry, diag) != 0)
			return -1;
	if (check_extended(draft, raw, entry, diag) != 0)
		return -1;
	entry->rule.combination = raw->combination != NULL;
	if (entry->rule.combination && (entry->hs_flags || entry->ext.flags || entry->rule.quiet))
		return pst_rules_fail(draft, &entry->place, "combination",
			"give flags, offsets, lengths and distances to the rules that it combines",
			diag, "a combination has no flags and no extended parameters");
	if (entry->rule.combination && strlen(text) > PST_RULES_PATTERN_BYTES_MAX)
		return pst_rules_fail(draft, &entry->place, "combination",
			"split it into several rules", diag, "longer than %u bytes",
			PST_RULES_PATTERN_BYTES_MAX);
	if (raw->pattern)
		return pst_rules_set_pattern(draft, text, strlen(text), entry, diag);
	entry->rule.pattern = strdup(text);
	return entry->rule.pattern
		       ? 0
		       : pst_rules_fail(draft, &entry->place, NULL, NULL, diag, "no memory");
}

static int
check_rule(struct pst_rules_draft *draft, const struct file_rule *raw, uint32_t idx,
	struct pst_diag *diag)
{
	struct pst_rules_place place = {.kind = PST_RULES_IN_RULES, .list_idx = idx};
	struct pst_rules_entry *entry = pst_rules_draft_add(draft, &place, diag);
	uint64_t id;

	if (!entry)
		return -1;
	if (pst_rules_parse_number(raw->id, strlen(raw->id), UINT32_MAX, &id) != 0)
		return pst_rules_fail(draft, &place, "id",
			"give a whole number from 0 to 4294967295", diag, "'%s' is not an id",
			raw->id);
	entry->rule.id = (uint32_t)id;
	if (check_name(draft, raw->name, entry, diag) != 0 ||
		check_matcher(draft, raw, entry, diag) != 0)
		return -1;
	if (raw->listeners && pst_rules_set_listeners(draft, &place, raw->listeners,
				      raw->listeners_count, entry, diag) != 0)
		return -1;
	if (entry->rule.quiet) {
		if (raw->action || raw->priority)
			return pst_rules_fail(draft, &place, raw->action ? "action" : "priority",
				"leave it out, or leave the flag quiet out", diag,
				"a quiet rule decides nothing");
		return 0;
	}
	if (!raw->action)
		return pst_rules_fail(draft, &place, NULL,
			"give keep, drop, quarantine, route STREAM or sample 1/N; or the flag "
			"quiet if only combinations ask for the rule",
			diag, "no action");
	if (check_priority(draft, &place, raw->priority, entry, diag) != 0)
		return -1;
	return pst_rules_set_action(draft, &place, raw->action, entry, diag);
}

/* Paths of pattern files are relative to the rules file. */
static char *
include_path(const char *rules_path, const char *file)
{
	const char *slash = strrchr(rules_path, '/');
	char *path = NULL;

	if (file[0] == '/' || !slash)
		return strdup(file);
	return asprintf(&path, "%.*s/%s", (int)(slash - rules_path), rules_path, file) < 0 ? NULL
											   : path;
}

static int
check_include(struct pst_rules_draft *draft, const struct file_include *raw, uint32_t idx,
	struct pst_diag *diag)
{
	struct pst_rules_place place = {.kind = PST_RULES_IN_INCLUDE, .list_idx = idx};
	struct pst_rules_entry model = {.place = place, .rule.listener_mask = UINT64_MAX};
	uint64_t id_base;
	size_t bytes = 0;
	char *text = NULL;

	if (pst_rules_parse_number(raw->id_base, strlen(raw->id_base), UINT32_MAX, &id_base) != 0)
		return pst_rules_fail(draft, &place, "id-base",
			"give a whole number from 0 to 4294967295, as in 1000000: the file's id 7 "
			"is then reported as 1000007",
			diag, "'%s' is not an id-base", raw->id_base);
	model.id_base = (uint32_t)id_base;
	if (check_priority(draft, &place, raw->priority, &model, diag) != 0 ||
		pst_rules_set_action(draft, &place, raw->action, &model, diag) != 0)
		return -1;
	if (raw->listeners && pst_rules_set_listeners(draft, &place, raw->listeners,
				      raw->listeners_count, &model, diag) != 0)
		return -1;
	char *path = include_path(draft->path, raw->file);
	if (!path)
		return pst_rules_fail(draft, &place, "file", NULL, diag, "no memory");
	draft->include_paths[draft->include_cnt++] = path;
	if (pst_rules_content_read(draft, path, &place, &text, &bytes, diag) != 0)
		return -1;
	SHA256Update(&draft->content, (const uint8_t *)text, bytes);
	int rc = pst_rules_include_read(draft, idx, text, bytes, &model, diag);
	free(text);
	return rc;
}

static int
check_file(struct pst_rules_draft *draft, const struct file_rules *raw, struct pst_diag *diag)
{
	if (raw->include_count > PST_RULES_INCLUDE_CNT_MAX)
		return pst_diag_set(diag, draft->path, pst_yaml_line(draft->lines, "include"),
			"include", "join pattern files", "more than %u included files",
			PST_RULES_INCLUDE_CNT_MAX);
	draft->include_paths = calloc(
		pst_max_u64(raw->include_count, 1), sizeof(*draft->include_paths));
	if (!draft->include_paths)
		return pst_diag_set(diag, draft->path, 0, NULL, NULL, "no memory");
	for (unsigned i = 0; i < raw->rules_count; i++)
		if (check_rule(draft, &raw->rules[i], i, diag) != 0)
			return -1;
	for (unsigned i = 0; i < raw->include_count; i++)
		if (check_include(draft, &raw->include[i], i, diag) != 0)
			return -1;
	return 0;
}

int
pst_rules_file_read(struct pst_rules_draft *draft, struct pst_diag *diag)
{
	char *before = NULL, *after = NULL;
	size_t before_bytes = 0, after_bytes = 0;
	void *raw = NULL;
	int rc;

	/* The hash is of the bytes, the rules come from a second reading: they must be the same. */
	if (pst_rules_content_read(draft, draft->path, NULL, &before, &before_bytes, diag) != 0)
		return -1;
	rc = pst_yaml_load(draft->path, &file_schema, &raw, &draft->lines, diag);
	if (rc == 0)
		rc = pst_rules_content_read(draft, draft->path, NULL, &after, &after_bytes, diag);
	if (rc == 0 && (before_bytes != after_bytes || memcmp(before, after, before_bytes) != 0))
		rc = pst_diag_set(diag, draft->path, 0, NULL,
			"write a new file beside it and rename it into place",
			"changed while it was read");
	if (rc == 0) {
		SHA256Update(&draft->content, (const uint8_t *)before, before_bytes);
		rc = check_file(draft, raw, diag);
	}
	free(before);
	free(after);
	draft->raw = raw;
	return rc;
}

void
pst_rules_file_release(struct pst_rules_draft *draft)
{
	if (draft->lines)
		pst_yaml_free(&file_schema, draft->raw, draft->lines);
	draft->raw = NULL;
	draft->lines = NULL;
}
