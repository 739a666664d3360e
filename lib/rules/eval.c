/* One event: scan, combine, decide. Work is done for the rules that matched, never for all. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "rules/scratch.h"

static void *
aligned_zero(size_t cnt, size_t size)
{
	size_t bytes = pst_align_up(pst_max_u64(cnt * size, 1), PST_CACHE_LINE);
	void *p = aligned_alloc(PST_CACHE_LINE, bytes);

	/* Written once here, so that no page is first touched by an event. */
	if (p)
		memset(p, 0, bytes);
	return p;
}

struct pst_rules_scratch *
pst_rules_scratch_create(const struct pst_rules *rules)
{
	struct pst_rules_scratch *s = aligned_zero(1, sizeof(*s));
	uint32_t combination_cnt = rules->combinations.cnt;

	if (!s)
		return NULL;
	s->rules = rules;
	s->counts = aligned_zero(rules->rule_cnt, sizeof(*s->counts));
	s->sample_seen = aligned_zero(rules->rule_cnt, sizeof(*s->sample_seen));
	s->matched_bits = aligned_zero(rules->rule_cnt / 64 + 1, sizeof(*s->matched_bits));
	s->considered_bits = aligned_zero(combination_cnt / 64 + 1, sizeof(*s->considered_bits));
	s->matched = aligned_zero(rules->rule_cnt, sizeof(*s->matched));
	s->considered = aligned_zero(combination_cnt, sizeof(*s->considered));
	if (!s->counts || !s->sample_seen || !s->matched_bits || !s->considered_bits ||
		!s->matched || !s->considered ||
		(rules->db && hs_alloc_scratch(rules->db, &s->hs) != HS_SUCCESS) ||
		(rules->superset_db &&
			hs_alloc_scratch(rules->superset_db, &s->hs) != HS_SUCCESS)) {
		pst_rules_scratch_destroy(s);
		return NULL;
	}
	return s;
}

void
pst_rules_scratch_destroy(struct pst_rules_scratch *s)
{
	if (!s)
		return;
	hs_free_scratch(s->hs);
	free(s->counts);
	free(s->sample_seen);
	free(s->matched_bits);
	free(s->considered_bits);
	free(s->matched);
	free(s->considered);
	free(s);
}

uint64_t
pst_rules_scratch_bytes(const struct pst_rules_scratch *s)
{
	uint64_t by_rule = sizeof(*s->counts) + sizeof(*s->sample_seen) + sizeof(*s->matched);
	size_t hs_bytes = 0;

	if (s->hs)
		PST_ASSERT(hs_scratch_size(s->hs, &hs_bytes) == HS_SUCCESS);
	return sizeof(*s) + s->rules->rule_cnt * by_rule + hs_bytes;
}

static inline bool
set_bit(uint64_t *bits, uint32_t idx)
{
	uint64_t bit = 1ull << (idx & 63), *word = &bits[idx >> 6];

	if (*word & bit)
		return false;
	*word |= bit;
	return true;
}

static inline void
clear_bit(uint64_t *bits, uint32_t idx)
{
	bits[idx >> 6] &= ~(1ull << (idx & 63));
}

static int
on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *ctx)
{
	struct pst_rules_scratch *s = ctx;

	if (s->rules->hot[id].listener_mask & s->listener_bit && set_bit(s->matched_bits, id))
		s->matched[s->matched_cnt++] = id;
	return 0;
}

static void
consider(struct pst_rules_scratch *s, uint32_t combination_idx)
{
	if (set_bit(s->considered_bits, combination_idx))
		s->considered[s->considered_cnt++] = combination_idx;
}

/* Adds the combinations that hold. Only those can whose operands matched, and the negative ones. */
static void
combine(struct pst_rules_scratch *s)
{
	const struct pst_combinations *set = &s->rules->combinations;

	s->considered_cnt = 0;
	for (uint32_t i = 0; i < s->matched_cnt; i++)
		for (uint32_t u = set->use_off[s->matched[i]]; u < set->use_off[s->matched[i] + 1];
			u++)
			consider(s, set->use[u]);
	for (uint32_t i = 0; i < set->negative_cnt; i++)
		consider(s, set->negative[i]);
	/* No combination is an operand, so those that hold can join the set at once. */
	for (uint32_t i = 0; i < s->considered_cnt; i++) {
		uint32_t c = s->considered[i], rule_idx = set->list[c].rule_idx;
		clear_bit(s->considered_bits, c);
		if (s->rules->hot[rule_idx].listener_mask & s->listener_bit &&
			pst_combination_holds(set, c, s->matched_bits)) {
			set_bit(s->matched_bits, rule_idx);
			s->matched[s->matched_cnt++] = rule_idx;
		}
	}
}

/* Keeps the lowest PST_RULES_MATCH_MAX indices, ascending: the order of ids. */
static inline void
note_match(struct pst_rules_verdict *v, uint32_t rule_idx)
{
	uint16_t at = v->match_cnt;

	if (at == PST_RULES_MATCH_MAX) {
		if (rule_idx > v->match_ids[at - 1])
			return;
		at--;
	} else {
		v->match_cnt++;
	}
	for (; at > 0 && v->match_ids[at - 1] > rule_idx; at--)
		v->match_ids[at] = v->match_ids[at - 1];
	v->match_ids[at] = rule_idx;
}

/* Counts every match, clears the event's bits; returns the best rank, UINT32_MAX: none decides. */
static uint32_t
settle(struct pst_rules_scratch *s, struct pst_rules_verdict *v)
{
	uint32_t best = UINT32_MAX;

	for (uint32_t i = 0; i < s->matched_cnt; i++) {
		uint32_t idx = s->matched[i];
		const struct pst_rules_hot *hot = &s->rules->hot[idx];
		clear_bit(s->matched_bits, idx);
		s->counts[idx].matched++;
		if (hot->quiet)
			continue;
		note_match(v, idx);
		best = hot->rank < best ? hot->rank : best;
	}
	return best;
}

static void
decide(struct pst_rules_scratch *s, uint32_t idx, struct pst_rules_verdict *v)
{
	const struct pst_rule *rule = &s->rules->rules[idx];

	s->counts[idx].decided++;
	v->rule_idx = (int32_t)idx;
	v->action = rule->action;
	v->stream_idx = rule->stream_idx;
	if (rule->action == PST_RULES_SAMPLE) {
		v->action = s->sample_seen[idx] == 0 ? PST_RULES_KEEP : PST_RULES_SAMPLED_OUT;
		if (++s->sample_seen[idx] == rule->sample_n)
			s->sample_seen[idx] = 0;
	}
	/* All kept indices are lower if it is not among them: it may take the last place. */
	if (v->match_cnt == PST_RULES_MATCH_MAX && v->match_ids[PST_RULES_MATCH_MAX - 1] < idx)
		v->match_ids[PST_RULES_MATCH_MAX - 1] = idx;
	for (uint16_t i = 0; i < v->match_cnt; i++)
		v->match_ids[i] = s->rules->rules[v->match_ids[i]].id;
}

/* The verdict on an event that no rule decides. */
static void
begin(struct pst_rules_scratch *s, uint16_t listener_idx, struct pst_rules_verdict *v)
{
	s->listener_bit = pst_rules_listener_bit(listener_idx);
	s->matched_cnt = 0;
	v->action = s->rules->default_drop_mask & s->listener_bit ? PST_RULES_DROP : PST_RULES_KEEP;
	v->stream_idx = 0;
	v->match_cnt = 0;
	v->rule_idx = -1;
	v->scan_error = false;
}

/* When all patterns that match are known. */
static void
finish(struct pst_rules_scratch *s, struct pst_rules_verdict *v)
{
	if (s->rules->combinations.cnt)
		combine(s);
	uint32_t best = settle(s, v);
	if (best != UINT32_MAX)
		decide(s, s->rules->by_rank[best], v);
}

void
pst_rules_eval(struct pst_rules_scratch *s, uint16_t listener_idx, const uint8_t *event,
	uint32_t len, struct pst_rules_verdict *v)
{
	const struct pst_rules *rules = s->rules;

	begin(s, listener_idx, v);
	if (!rules->db)
		return;
	hs_error_t rc = hs_scan(
		rules->db, len ? (const char *)event : "", len, 0, s->hs, on_match, s);
	if (pst_unlikely(rc != HS_SUCCESS)) {
		/* What matched so far would decide on half an event. */
		for (uint32_t i = 0; i < s->matched_cnt; i++)
			clear_bit(s->matched_bits, s->matched[i]);
		s->scan_errors++;
		v->scan_error = true;
		v->action = PST_RULES_KEEP;
		return;
	}
	finish(s, v);
}

void
pst_rules_eval_unmatched(
	struct pst_rules_scratch *s, uint16_t listener_idx, struct pst_rules_verdict *v)
{
	begin(s, listener_idx, v);
	if (s->rules->combinations.negative_cnt)
		finish(s, v);
}

const struct pst_rules_count *
pst_rules_counts(const struct pst_rules_scratch *s)
{
	return s->counts;
}

uint64_t
pst_rules_scan_errors(const struct pst_rules_scratch *s)
{
	return s->scan_errors;
}
