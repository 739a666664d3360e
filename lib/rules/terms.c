/* The small terms of a rule: numbers, actions, flags, listeners, patterns. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "rules/ruleset.h"

int
pst_rules_names_find(struct pst_rules_names *list, const char *name)
{
	for (uint32_t i = 0; i < list->cnt; i++)
		if (strcmp(list->names[i], name) == 0)
			return (int)i;
	if (!list->open || list->cnt == list->max)
		return -1;
	char *copy = strdup(name);
	if (!copy)
		return -1;
	list->names[list->cnt] = copy;
	return (int)list->cnt++;
}

void
pst_rules_names_fini(struct pst_rules_names *list)
{
	for (uint32_t i = 0; i < list->cnt; i++)
		free(list->names[i]);
	free(list->names);
}

int
pst_rules_parse_number(const char *text, size_t len, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (len == 0 || (len > 1 && text[0] == '0'))
		return -1;
	for (size_t i = 0; i < len; i++) {
		unsigned digit = (unsigned)(text[i] - '0');
		if (digit > 9 || value > (UINT64_MAX - digit) / 10)
			return -1;
		value = value * 10 + digit;
	}
	if (value > max)
		return -1;
	*out = value;
	return 0;
}

int
pst_rules_parse_priority(const char *text, int32_t *out)
{
	bool negative = text[0] == '-';
	const char *digits = text + negative;
	uint64_t value;

	if (pst_rules_parse_number(digits, strlen(digits), INT32_MAX, &value) != 0)
		return -1;
	*out = negative ? -(int32_t)value : (int32_t)value;
	return 0;
}

/* Of names that no profile was asked about: what any profile would refuse. */
static bool
can_be_stream(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= 200 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       strncmp(name, "penstock.", 9) != 0 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		       len;
}

void
pst_rules_ext_set(hs_expr_ext_t *ext, unsigned long long flag, uint64_t value)
{
	ext->flags |= flag;
	if (flag == HS_EXT_FLAG_MIN_OFFSET)
		ext->min_offset = value;
	else if (flag == HS_EXT_FLAG_MAX_OFFSET)
		ext->max_offset = value;
	else if (flag == HS_EXT_FLAG_MIN_LENGTH)
		ext->min_length = value;
	else if (flag == HS_EXT_FLAG_EDIT_DISTANCE)
		ext->edit_distance = (unsigned)value;
	else
		ext->hamming_distance = (unsigned)value;
}

static int
set_route(struct pst_rules_draft *draft, const struct pst_rules_place *place, const char *stream,
	struct pst_rules_entry *entry, struct pst_diag *diag)
{
	int idx;

	if (draft->streams.open && !can_be_stream(stream))
		return pst_rules_fail(draft, place, "action",
			"give 1 to 200 of the characters a-z A-Z 0-9 . _ -, not beginning with "
			"penstock.",
			diag, "'%s' cannot be the name of a stream", stream);
	idx = pst_rules_names_find(&draft->streams, stream);
	if (idx < 0)
		return pst_rules_fail(draft, place, "action",
			draft->streams.open ? "name at most 64 streams in one file"
					    : "declare the stream in the profile, or route to one "
					      "that it declares",
			diag, "route to undeclared stream '%s'", stream);
	entry->rule.action = PST_RULES_ROUTE;
	entry->rule.stream_idx = (uint16_t)idx;
	return 0;
}

int
pst_rules_set_action(struct pst_rules_draft *draft, const struct pst_rules_place *place,
	const char *text, struct pst_rules_entry *entry, struct pst_diag *diag)
{
	uint64_t n;

	if (strcmp(text, "keep") == 0) {
		entry->rule.action = PST_RULES_KEEP;
	} else if (strcmp(text, "drop") == 0) {
		entry->rule.action = PST_RULES_DROP;
	} else if (strcmp(text, "quarantine") == 0) {
		entry->rule.action = PST_RULES_QUARANTINE;
	} else if (strncmp(text, "route ", 6) == 0) {
		return set_route(draft, place, text + 6, entry, diag);
	} else if (strncmp(text, "sample ", 7) == 0) {
		if (strncmp(text + 7, "1/", 2) != 0 ||
			pst_rules_parse_number(
				text + 9, strlen(text + 9), PST_RULES_SAMPLE_MAX, &n) != 0 ||
			n == 0)
			return pst_rules_fail(draft, place, "action",
				"write sample 1/N with N from 1 to 1000000000: one of N events is "
				"kept",
				diag, "'%s' is not a sample ratio", text + 7);
		entry->rule.action = PST_RULES_SAMPLE;
		entry->rule.sample_n = (uint32_t)n;
	} else {
		return pst_rules_fail(draft, place, "action",
			"give keep, drop, quarantine, route STREAM or sample 1/N", diag,
			"unknown action '%s'", text);
	}
	return 0;
}

int
pst_rules_set_flag(struct pst_rules_draft *draft, const char *name, struct pst_rules_entry *entry,
	struct pst_diag *diag)
{
	static const struct {
		const char *name;
		uint32_t hs_flag;
	} flags[] = {
		{"caseless", HS_FLAG_CASELESS},
		{"dotall", HS_FLAG_DOTALL},
		{"multiline", HS_FLAG_MULTILINE},
		{"allowempty", HS_FLAG_ALLOWEMPTY},
		{"prefilter", HS_FLAG_PREFILTER},
	};

	for (size_t i = 0; i < PST_ARRAY_CNT(flags); i++) {
		if (strcmp(name, flags[i].name) == 0) {
			entry->hs_flags |= flags[i].hs_flag;
			return 0;
		}
	}
	if (strcmp(name, "quiet") == 0) {
		entry->rule.quiet = true;
		return 0;
	}
	if (strcmp(name, "utf8") == 0 || strcmp(name, "ucp") == 0)
		return pst_rules_fail(draft, &entry->place, "flags",
			"write the pattern over bytes, as in \\xC3\\xA9 for a letter outside ASCII",
			diag,
			"'%s' is refused: events may hold invalid UTF-8, on which the matcher is "
			"undefined",
			name);
	if (strcmp(name, "singlematch") == 0 || strcmp(name, "som_leftmost") == 0)
		return pst_rules_fail(draft, &entry->place, "flags", "leave it out", diag,
			"'%s' would change nothing: a rule matches an event once, without offsets",
			name);
	return pst_rules_fail(draft, &entry->place, "flags",
		"give some of caseless, dotall, multiline, allowempty, prefilter, quiet", diag,
		"unknown flag '%s'", name);
}

int
pst_rules_set_listeners(struct pst_rules_draft *draft, const struct pst_rules_place *place,
	char *const *names, uint32_t cnt, struct pst_rules_entry *entry, struct pst_diag *diag)
{
	char key[32];

	entry->rule.listener_mask = 0;
	for (uint32_t i = 0; i < cnt; i++) {
		int idx = names[i][0] ? pst_rules_names_find(&draft->listeners, names[i]) : -1;
		if (idx < 0) {
			snprintf(key, sizeof(key), "listeners[%u]", i);
			return pst_rules_fail(draft, place, key,
				draft->listeners.open
					? "name at most 63 listeners in one file"
					: "give the name of one of the profile's listeners",
				diag, "unknown listener '%s'", names[i]);
		}
		entry->rule.listener_mask |= 1ull << idx;
	}
	return 0;
}

/* Patterns can ask for UTF-8 from within: `(*UTF8)`, `(*UTF)`, among other verbs at the start. */
static bool
asks_for_utf8(const char *pattern)
{
	const char *end;

	while (strncmp(pattern, "(*", 2) == 0 && (end = strchr(pattern, ')')) != NULL) {
		if (strncmp(pattern + 2, "UTF", 3) == 0 || strncmp(pattern + 2, "UCP", 3) == 0)
			return true;
		pattern = end + 1;
	}
	return false;
}

int
pst_rules_set_pattern(struct pst_rules_draft *draft, const char *text, size_t len,
	struct pst_rules_entry *entry, struct pst_diag *diag)
{
	if (len == 0)
		return pst_rules_fail(draft, &entry->place, "pattern",
			"give a regular expression; one that matches every event is ^ with the "
			"flag allowempty",
			diag, "an empty pattern");
	if (len > PST_RULES_PATTERN_BYTES_MAX)
		return pst_rules_fail(draft, &entry->place, "pattern",
			"split it into several rules", diag, "%zu bytes: more than %u", len,
			PST_RULES_PATTERN_BYTES_MAX);
	char *copy = strndup(text, len);
	if (!copy)
		return pst_rules_fail(draft, &entry->place, "pattern", NULL, diag, "no memory");
	free((char *)entry->rule.pattern);
	entry->rule.pattern = copy;
	if (asks_for_utf8(copy))
		return pst_rules_fail(draft, &entry->place, "pattern",
			"leave the (*UTF...) or (*UCP) out and write the pattern over bytes", diag,
			"UTF-8 mode is refused: events may hold invalid UTF-8, on which the "
			"matcher is undefined");
	return 0;
}
