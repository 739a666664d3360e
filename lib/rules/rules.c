#include "rules/rules.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "rules/ruleset.h"

const char *
pst_rules_action_name(enum pst_rules_action action)
{
	static const char *const names[] = {
		[PST_RULES_KEEP] = "keep",
		[PST_RULES_DROP] = "drop",
		[PST_RULES_ROUTE] = "route",
		[PST_RULES_QUARANTINE] = "quarantine",
		[PST_RULES_SAMPLE] = "sample",
		[PST_RULES_SAMPLED_OUT] = "sampled_out",
	};

	return (unsigned)action < PST_ARRAY_CNT(names) ? names[action] : "?";
}

static int
by_priority(const void *a, const void *b, void *ctx)
{
	const struct pst_rule *rules = ctx;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	if (rules[x].priority != rules[y].priority)
		return rules[x].priority > rules[y].priority ? -1 : 1;
	return x < y ? -1 : 1; /* indices are in the order of ids */
}

/* The draft's content becomes the set's; what it still owns, it frees. */
static int
take_over(struct pst_rules *rules, struct pst_rules_draft *draft)
{
	uint32_t cnt = draft->entry_cnt;

	rules->rules = calloc(pst_max_u64(cnt, 1), sizeof(*rules->rules));
	rules->hot = calloc(pst_max_u64(cnt, 1), sizeof(*rules->hot));
	rules->by_rank = calloc(pst_max_u64(cnt, 1), sizeof(*rules->by_rank));
	if (!rules->rules || !rules->hot || !rules->by_rank)
		return -1;
	for (uint32_t i = 0; i < cnt; i++) {
		struct pst_rules_entry *e = &draft->entries[i];
		rules->rules[i] = e->rule;
		e->rule.name = e->rule.pattern = NULL;
		rules->by_rank[i] = i;
		rules->info.included_cnt += e->place.kind == PST_RULES_IN_PATTERN_FILE;
	}
	rules->rule_cnt = cnt;
	qsort_r(rules->by_rank, cnt, sizeof(*rules->by_rank), by_priority, rules->rules);
	for (uint32_t rank = 0; rank < cnt; rank++) {
		uint32_t i = rules->by_rank[rank];
		rules->hot[i].rank = rank;
		rules->hot[i].quiet = rules->rules[i].quiet;
		rules->hot[i].listener_mask = rules->rules[i].listener_mask;
	}
	rules->combinations = draft->combinations;
	memset(&draft->combinations, 0, sizeof(draft->combinations));
	rules->listeners = draft->listeners;
	rules->streams = draft->streams;
	memset(&draft->listeners, 0, sizeof(draft->listeners));
	memset(&draft->streams, 0, sizeof(draft->streams));
	memcpy(rules->hash, draft->hash, sizeof(rules->hash));
	rules->info.rule_cnt = cnt;
	rules->info.combination_cnt = rules->combinations.cnt;
	rules->info.negative_cnt = rules->combinations.negative_cnt;
	return 0;
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int
load(struct pst_rules *rules, const char *path, const struct pst_rules_env *env,
	struct pst_diag *diag)
{
	struct pst_rules_draft draft = {0};
	int rc = pst_rules_draft_load(&draft, path, env, diag);

	if (rc == 0)
		rc = pst_rules_database_make(rules, &draft, env, diag);
	if (rc == 0 && take_over(rules, &draft) != 0)
		rc = pst_diag_set(diag, path, 0, NULL, NULL, "no memory");
	pst_rules_draft_fini(&draft);
	return rc;
}

int
pst_rules_load(const char *path, const struct pst_rules_env *env, struct pst_rules **out,
	struct pst_diag *diag)
{
	struct pst_rules *rules = calloc(1, sizeof(*rules));
	uint64_t start_ns = now_ns();

	PST_ASSERT(env->listener_cnt <= PST_RULES_LISTENERS_MAX);
	if (!rules)
		return pst_diag_set(diag, path, 0, NULL, NULL, "no memory");
	for (uint16_t i = 0; env->listener_default_drop && i < env->listener_cnt; i++)
		rules->default_drop_mask |= (uint64_t)env->listener_default_drop[i] << i;
	if (path && load(rules, path, env, diag) != 0) {
		pst_rules_free(rules);
		return -1;
	}
	rules->info.cache_note = rules->cache_note[0] ? rules->cache_note : NULL;
	rules->info.apart_note = rules->apart_note[0] ? rules->apart_note : NULL;
	rules->info.load_ns = now_ns() - start_ns;
	*out = rules;
	return 0;
}

void
pst_rules_free(struct pst_rules *rules)
{
	if (!rules)
		return;
	for (uint32_t i = 0; i < rules->rule_cnt; i++) {
		free((char *)rules->rules[i].name);
		free((char *)rules->rules[i].pattern);
	}
	free(rules->rules);
	free(rules->hot);
	free(rules->by_rank);
	pst_combinations_fini(&rules->combinations);
	pst_rules_names_fini(&rules->listeners);
	pst_rules_names_fini(&rules->streams);
	hs_free_database(rules->db);
	hs_free_database(rules->superset_db);
	free(rules);
}

uint32_t
pst_rules_cnt(const struct pst_rules *rules)
{
	return rules->rule_cnt;
}

const struct pst_rule *
pst_rules_get(const struct pst_rules *rules, uint32_t idx)
{
	PST_ASSERT(idx < rules->rule_cnt);
	return &rules->rules[idx];
}

const char *
pst_rules_hash(const struct pst_rules *rules)
{
	return rules->hash;
}

bool
pst_rules_from_cache(const struct pst_rules *rules)
{
	return rules->info.from_cache;
}

const struct pst_rules_info *
pst_rules_info(const struct pst_rules *rules)
{
	return &rules->info;
}

int
pst_rules_listener_find(const struct pst_rules *rules, const char *name)
{
	for (uint32_t i = 0; i < rules->listeners.cnt; i++)
		if (strcmp(rules->listeners.names[i], name) == 0)
			return (int)i;
	return -1;
}

const char *
pst_rules_stream_name(const struct pst_rules *rules, uint16_t stream_idx)
{
	PST_ASSERT(stream_idx < rules->streams.cnt);
	return rules->streams.names[stream_idx];
}
