/* Pattern files in the form of Hyperscan's own tools, one pattern a line:
 *
 *     # comment; empty lines are skipped
 *     1:/hatstand.*teakettle/s
 *     2:/login failed/i{min_offset=16,max_offset=512}
 *     3:/debug/Q
 *     4:/1 & !3/C
 *
 * The expression reaches to the last '/' of the line. Ids are the file's own. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "rules/ruleset.h"

#define FLAG_REMEDY                                                                                \
	"give some of i (caseless) s (dotall) m (multiline) V (allowempty) P (prefilter) H L C "   \
	"(combination) Q (quiet)"

struct line {
	struct pst_rules_draft *draft;
	struct pst_rules_place place;
	const char *at, *end;
};

static int
read_id(struct line *l, uint32_t id_base, uint32_t *id, uint32_t *own_id, struct pst_diag *diag)
{
	const char *colon = memchr(l->at, ':', (size_t)(l->end - l->at));
	uint64_t value;

	if (!colon || pst_rules_parse_number(l->at, (size_t)(colon - l->at), UINT32_MAX, &value))
		return pst_rules_fail(l->draft, &l->place, NULL,
			"write id:/expression/flags, with an id from 0 to 4294967295", diag,
			"no id and ':' at the start of the line");
	if (value + id_base > UINT32_MAX)
		return pst_rules_fail(l->draft, &l->place, NULL, "lower the id or the id-base",
			diag, "id-base %u + id %llu is more than 4294967295", id_base,
			(unsigned long long)value);
	*own_id = (uint32_t)value;
	*id = (uint32_t)value + id_base;
	l->at = colon + 1;
	return 0;
}

/* Sets *expr to the text between the slashes and moves on behind the last. */
static int
read_expression(struct line *l, const char **expr, size_t *len, struct pst_diag *diag)
{
	const char *last = memrchr(l->at, '/', (size_t)(l->end - l->at));

	if (l->at == l->end || *l->at != '/' || last == l->at)
		return pst_rules_fail(l->draft, &l->place, NULL, "write id:/expression/flags", diag,
			"no /expression/ behind the id");
	*expr = l->at + 1;
	*len = (size_t)(last - *expr);
	l->at = last + 1;
	return 0;
}

static int
read_flags(struct line *l, struct pst_rules_entry *entry, struct pst_diag *diag)
{
	for (; l->at < l->end && *l->at != '{'; l->at++) {
		switch (*l->at) {
		case 'i':
			entry->hs_flags |= HS_FLAG_CASELESS;
			break;
		case 's':
			entry->hs_flags |= HS_FLAG_DOTALL;
			break;
		case 'm':
			entry->hs_flags |= HS_FLAG_MULTILINE;
			break;
		case 'V':
			entry->hs_flags |= HS_FLAG_ALLOWEMPTY;
			break;
		case 'P':
			entry->hs_flags |= HS_FLAG_PREFILTER;
			break;
		case 'H': /* at most one match, and where it begins: neither changes */
		case 'L': /* whether the event matches, which is all that is asked */
			break;
		case 'C':
			entry->rule.combination = true;
			break;
		case 'Q':
			entry->rule.quiet = true;
			break;
		case '8':
		case 'W':
			return pst_rules_fail(l->draft, &l->place, NULL,
				"leave the flag out and write the pattern over bytes", diag,
				"flag %c (UTF-8) is refused: events may hold invalid UTF-8, on "
				"which the matcher is undefined",
				*l->at);
		default:
			return pst_rules_fail(l->draft, &l->place, NULL, FLAG_REMEDY, diag,
				isprint((unsigned char)*l->at) ? "unknown flag '%c'"
							       : "unknown flag \\x%02x",
				(unsigned char)*l->at);
		}
	}
	return 0;
}

static int
read_parameter(struct line *l, const char *end, hs_expr_ext_t *ext)
{
	static const struct {
		const char *name;
		unsigned long long flag;
	} names[] = {
		{"min_offset", HS_EXT_FLAG_MIN_OFFSET},
		{"max_offset", HS_EXT_FLAG_MAX_OFFSET},
		{"min_length", HS_EXT_FLAG_MIN_LENGTH},
		{"edit_distance", HS_EXT_FLAG_EDIT_DISTANCE},
		{"hamming_distance", HS_EXT_FLAG_HAMMING_DISTANCE},
	};
	const char *at = l->at;
	uint64_t value;

	while (at < end && *at == ' ')
		at++;
	while (end > at && end[-1] == ' ')
		end--;
	const char *equals = memchr(at, '=', (size_t)(end - at));
	if (!equals)
		return -1;
	for (size_t i = 0; i < PST_ARRAY_CNT(names); i++) {
		if (strlen(names[i].name) == (size_t)(equals - at) &&
			memcmp(names[i].name, at, (size_t)(equals - at)) == 0) {
			if (ext->flags & names[i].flag)
				return -1;
			if (pst_rules_parse_number(
				    equals + 1, (size_t)(end - equals - 1), UINT32_MAX, &value))
				return -1;
			pst_rules_ext_set(ext, names[i].flag, value);
			return 0;
		}
	}
	return -1;
}

static int
read_parameters(struct line *l, hs_expr_ext_t *ext, struct pst_diag *diag)
{
	if (l->at == l->end)
		return 0;
	l->at++;
	while (l->end[-1] == '}') {
		const char *end = memchr(l->at, ',', (size_t)(l->end - l->at));
		bool last = !end;
		if (last)
			end = l->end - 1;
		if (end < l->at || read_parameter(l, end, ext) != 0)
			break;
		if (last)
			return 0;
		l->at = end + 1;
	}
	return pst_rules_fail(l->draft, &l->place, NULL,
		"write as in {min_offset=4,max_offset=80}, each at most once, of min_offset, "
		"max_offset, min_length, edit_distance, hamming_distance",
		diag, "cannot read the parameters from '%.*s' on",
		(int)pst_min_u64((uint64_t)(l->end - l->at), 40), l->at);
}

static char *
name_of(const char *path, uint32_t own_id)
{
	const char *slash = strrchr(path, '/');
	char *name = NULL;

	if (asprintf(&name, "%.80s:%u", slash ? slash + 1 : path, own_id) < 0)
		return NULL;
	for (char *c = name; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	return name;
}

static int
read_line(struct line *l, const struct pst_rules_entry *model, struct pst_diag *diag)
{
	uint32_t id = 0, own_id = 0;
	const char *expr = NULL;
	size_t len = 0;

	if (memchr(l->at, '\0', (size_t)(l->end - l->at)))
		return pst_rules_fail(l->draft, &l->place, NULL, "write \\x00 for a zero byte",
			diag, "a zero byte");
	if (read_id(l, model->id_base, &id, &own_id, diag) != 0 ||
		read_expression(l, &expr, &len, diag) != 0)
		return -1;
	struct pst_rules_entry *entry = pst_rules_draft_add(l->draft, &l->place, diag);
	if (!entry)
		return -1;
	entry->rule = model->rule;
	entry->rule.id = id;
	entry->id_base = model->id_base;
	entry->rule.name = name_of(l->draft->include_paths[l->place.include_idx], own_id);
	if (!entry->rule.name)
		return pst_rules_fail(l->draft, &l->place, NULL, NULL, diag, "no memory");
	if (pst_rules_set_pattern(l->draft, expr, len, entry, diag) != 0 ||
		read_flags(l, entry, diag) != 0 || read_parameters(l, &entry->ext, diag) != 0)
		return -1;
	if (entry->rule.combination && (entry->hs_flags || entry->ext.flags || entry->rule.quiet))
		return pst_rules_fail(l->draft, &l->place, NULL, "leave them out", diag,
			"flags or parameters beside C: a combination has none");
	if (entry->rule.quiet) {
		entry->rule.action = PST_RULES_KEEP;
		entry->rule.priority = 0;
	}
	return 0;
}

int
pst_rules_include_read(struct pst_rules_draft *draft, uint32_t include_idx, const char *text,
	size_t bytes, const struct pst_rules_entry *model, struct pst_diag *diag)
{
	struct line l = {.draft = draft,
		.place = {.kind = PST_RULES_IN_PATTERN_FILE, .include_idx = include_idx}};
	const char *end = text + bytes;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		bool comment = *text == '#';
		l.at = text;
		l.end = newline ? newline : end;
		l.place.line++;
		text = newline ? newline + 1 : end;
		while (l.at < l.end && isspace((unsigned char)*l.at))
			l.at++;
		while (l.end > l.at && isspace((unsigned char)l.end[-1]))
			l.end--;
		if (!comment && l.at < l.end && read_line(&l, model, diag) != 0)
			return -1;
	}
	return 0;
}
