#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "rules/ruleset.h"

int
pst_rules_fail(const struct pst_rules_draft *draft, const struct pst_rules_place *place,
	const char *key, const char *remedy, struct pst_diag *diag, const char *fmt, ...)
{
	char text[sizeof(diag->text)], path[sizeof(diag->key)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (place->kind == PST_RULES_IN_PATTERN_FILE)
		return pst_diag_set(diag, draft->include_paths[place->include_idx], place->line,
			NULL, remedy, "%s", text);
	snprintf(path, sizeof(path), "%s[%u]%s%s",
		place->kind == PST_RULES_IN_RULES ? "rules" : "include", place->list_idx,
		key ? "." : "", key ? key : "");
	return pst_diag_set(
		diag, draft->path, pst_yaml_line(draft->lines, path), path, remedy, "%s", text);
}

struct pst_rules_entry *
pst_rules_draft_add(
	struct pst_rules_draft *draft, const struct pst_rules_place *place, struct pst_diag *diag)
{
	if (draft->entry_cnt == PST_RULES_CNT_MAX) {
		pst_rules_fail(draft, place, NULL, "leave rules out, or join patterns with |", diag,
			"more than %u rules", PST_RULES_CNT_MAX);
		return NULL;
	}
	if (draft->entry_cnt == draft->entry_cap) {
		uint32_t cap = draft->entry_cap ? draft->entry_cap * 2 : 64;
		struct pst_rules_entry *grown = realloc(draft->entries, cap * sizeof(*grown));
		if (!grown) {
			pst_rules_fail(draft, place, NULL, NULL, diag, "no memory");
			return NULL;
		}
		draft->entries = grown;
		draft->entry_cap = cap;
	}
	struct pst_rules_entry *entry = &draft->entries[draft->entry_cnt++];
	memset(entry, 0, sizeof(*entry));
	entry->place = *place;
	entry->rule.listener_mask = UINT64_MAX;
	return entry;
}

static int
names_init(struct pst_rules_names *list, const char *const *names, uint32_t cnt, uint32_t open_max)
{
	list->open = !names;
	list->max = names ? cnt : open_max;
	list->names = calloc(pst_max_u64(list->max, 1), sizeof(*list->names));
	if (!list->names)
		return -ENOMEM;
	for (uint32_t i = 0; names && i < cnt; i++) {
		list->names[i] = strdup(names[i]);
		if (!list->names[i])
			return -ENOMEM;
		list->cnt++;
	}
	return 0;
}

static int
by_id(const void *a, const void *b)
{
	const struct pst_rules_entry *x = a, *y = b;

	if (x->rule.id != y->rule.id)
		return x->rule.id < y->rule.id ? -1 : 1;
	/* Duplicates: the one further down is the one to complain about. */
	if (x->place.kind != y->place.kind)
		return x->place.kind < y->place.kind ? -1 : 1;
	if (x->place.include_idx != y->place.include_idx)
		return x->place.include_idx < y->place.include_idx ? -1 : 1;
	if (x->place.list_idx != y->place.list_idx)
		return x->place.list_idx < y->place.list_idx ? -1 : 1;
	return x->place.line < y->place.line ? -1 : 1;
}

static int
check_unique(const struct pst_rules_draft *draft, struct pst_diag *diag)
{
	for (uint32_t i = 1; i < draft->entry_cnt; i++) {
		const struct pst_rules_entry *first = &draft->entries[i - 1], *e = first + 1;
		struct pst_diag other;
		if (first->rule.id != e->rule.id)
			continue;
		pst_rules_fail(draft, &first->place, "id", NULL, &other, "first");
		return pst_rules_fail(draft, &e->place, "id",
			e->place.kind == PST_RULES_IN_PATTERN_FILE
				? "change the id, or the include's id-base: ids are reported as "
				  "id-base + id"
				: "give each rule its own id",
			diag, "id %u is taken by %s:%u", e->rule.id, other.file, other.line);
	}
	return 0;
}

struct operands {
	const struct pst_rules_draft *draft;
	uint32_t id_base;
};

static int
resolve_operand(void *ctx, uint64_t id, char *text, size_t text_bytes)
{
	const struct operands *o = ctx;
	const struct pst_rules_entry *entries = o->draft->entries;
	uint32_t lo = 0, hi = o->draft->entry_cnt;

	id += o->id_base;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (entries[mid].rule.id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == o->draft->entry_cnt || entries[lo].rule.id != id) {
		snprintf(text, text_bytes, "no rule has the id %llu", (unsigned long long)id);
		return -1;
	}
	if (entries[lo].rule.combination) {
		snprintf(text, text_bytes,
			"%llu is a combination itself: an operand must be a rule with a pattern",
			(unsigned long long)id);
		return -1;
	}
	return (int)lo;
}

static int
link_combinations(struct pst_rules_draft *draft, struct pst_diag *diag)
{
	struct pst_combinations *set = &draft->combinations;
	char text[128];

	for (uint32_t i = 0; i < draft->entry_cnt; i++) {
		struct pst_rules_entry *e = &draft->entries[i];
		struct operands operands = {draft, e->id_base};
		if (e->rule.combination &&
			pst_combination_add(set, i, e->rule.pattern, resolve_operand, &operands,
				text, sizeof(text)) != 0)
			return pst_rules_fail(draft, &e->place, "combination",
				"write ids of rules with &, |, ! and parentheses, as in (1 | 2) & "
				"!3",
				diag, "%s", text);
	}
	if (pst_combinations_link(set, draft->entry_cnt) != 0)
		return pst_diag_set(diag, draft->path, 0, NULL, NULL, "no memory");
	if (set->negative_cnt > PST_RULES_NEGATIVE_MAX) {
		uint32_t rule_idx = set->list[set->negative[PST_RULES_NEGATIVE_MAX]].rule_idx;
		return pst_rules_fail(draft, &draft->entries[rule_idx].place, "combination",
			"add a rule that must match, as in 1 & !2", diag,
			"more than %u combinations hold when nothing matches, and each of these "
			"costs time on every event",
			PST_RULES_NEGATIVE_MAX);
	}
	return 0;
}

int
pst_rules_draft_load(struct pst_rules_draft *draft, const char *path,
	const struct pst_rules_env *env, struct pst_diag *diag)
{
	draft->path = path;
	/* Without names, one listener index stays free: that of a listener no rule names. */
	if (names_init(&draft->listeners, env->listener_names, env->listener_cnt,
		    PST_RULES_LISTENERS_MAX - 1) != 0 ||
		names_init(&draft->streams, env->stream_names, env->stream_cnt,
			PST_RULES_STREAMS_OPEN_MAX) != 0)
		return pst_diag_set(diag, path, 0, NULL, NULL, "no memory");
	SHA256Init(&draft->content);
	if (pst_rules_file_read(draft, diag) != 0)
		return -1;
	SHA256End(&draft->content, draft->hash);
	if (draft->entry_cnt > 1)
		qsort(draft->entries, draft->entry_cnt, sizeof(*draft->entries), by_id);
	if (check_unique(draft, diag) != 0)
		return -1;
	return link_combinations(draft, diag);
}

void
pst_rules_draft_fini(struct pst_rules_draft *draft)
{
	for (uint32_t i = 0; i < draft->entry_cnt; i++) {
		free((char *)draft->entries[i].rule.name);
		free((char *)draft->entries[i].rule.pattern);
	}
	free(draft->entries);
	pst_rules_file_release(draft);
	for (uint32_t i = 0; i < draft->include_cnt; i++)
		free(draft->include_paths[i]);
	free(draft->include_paths);
	pst_rules_names_fini(&draft->listeners);
	pst_rules_names_fini(&draft->streams);
	pst_combinations_fini(&draft->combinations);
	memset(draft, 0, sizeof(*draft));
}
