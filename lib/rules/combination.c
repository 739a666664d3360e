#include "rules/combination.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"

/* Codes above every rule index. */
#define CODE_AND UINT32_MAX
#define CODE_OR  (UINT32_MAX - 1)
#define CODE_NOT (UINT32_MAX - 2)

struct parser {
	struct pst_combinations *set;
	const char *start, *at;
	unsigned depth;
	pst_combination_resolve *resolve;
	void *ctx;
	char *text;
	size_t text_bytes;
};

__attribute__((format(printf, 2, 3))) static int
fail(struct parser *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->text, p->text_bytes, fmt, ap);
	va_end(ap);
	return -1;
}

static int
emit(struct parser *p, uint32_t code)
{
	struct pst_combinations *set = p->set;

	if (set->code_cnt == set->code_cap) {
		uint32_t cap = set->code_cap ? set->code_cap * 2 : 64;
		uint32_t *grown = realloc(set->code, cap * sizeof(*grown));
		if (!grown)
			return fail(p, "no memory");
		set->code = grown;
		set->code_cap = cap;
	}
	set->code[set->code_cnt++] = code;
	return 0;
}

static char
peek(struct parser *p)
{
	while (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r')
		p->at++;
	return *p->at;
}

static int
parse_id(struct parser *p)
{
	uint64_t id = 0;

	while (*p->at >= '0' && *p->at <= '9') {
		id = id * 10 + (uint64_t)(*p->at++ - '0');
		if (id > UINT32_MAX)
			return fail(p, "an id above %u", UINT32_MAX);
	}
	int idx = p->resolve(p->ctx, id, p->text, p->text_bytes);
	return idx < 0 ? -1 : emit(p, (uint32_t)idx);
}

static int parse_or(struct parser *p);

static int
parse_not(struct parser *p)
{
	bool negate = false;

	while (peek(p) == '!') {
		negate = !negate;
		p->at++;
	}
	char c = peek(p);
	if (c >= '0' && c <= '9') {
		if (parse_id(p) != 0)
			return -1;
	} else if (c == '(') {
		if (p->depth++ == PST_COMBINATION_DEPTH_MAX)
			return fail(p, "more than %d parentheses deep", PST_COMBINATION_DEPTH_MAX);
		p->at++;
		if (parse_or(p) != 0)
			return -1;
		if (peek(p) != ')')
			return fail(p, "a ')' is missing at character %zu",
				(size_t)(p->at - p->start) + 1);
		p->at++;
		p->depth--;
	} else {
		return fail(p, "an id or '(' is missing at character %zu",
			(size_t)(p->at - p->start) + 1);
	}
	return negate ? emit(p, CODE_NOT) : 0;
}

static int
parse_and(struct parser *p)
{
	if (parse_not(p) != 0)
		return -1;
	while (peek(p) == '&') {
		p->at++;
		if (parse_not(p) != 0 || emit(p, CODE_AND) != 0)
			return -1;
	}
	return 0;
}

static int
parse_or(struct parser *p)
{
	if (parse_and(p) != 0)
		return -1;
	while (peek(p) == '|') {
		p->at++;
		if (parse_and(p) != 0 || emit(p, CODE_OR) != 0)
			return -1;
	}
	return 0;
}

int
pst_combination_add(struct pst_combinations *set, uint32_t rule_idx, const char *expr,
	pst_combination_resolve *resolve, void *ctx, char *text, size_t text_bytes)
{
	struct parser p = {.set = set,
		.start = expr,
		.at = expr,
		.resolve = resolve,
		.ctx = ctx,
		.text = text,
		.text_bytes = text_bytes};
	uint32_t code_off = set->code_cnt;

	if (set->cnt == set->cap) {
		uint32_t cap = set->cap ? set->cap * 2 : 16;
		struct pst_combination *grown = realloc(set->list, cap * sizeof(*grown));
		if (!grown)
			return fail(&p, "no memory");
		set->list = grown;
		set->cap = cap;
	}
	int rc = parse_or(&p);
	if (rc == 0 && peek(&p) != '\0')
		rc = fail(&p, "cannot read '%.20s' at character %zu", p.at,
			(size_t)(p.at - p.start) + 1);
	if (rc != 0) {
		set->code_cnt = code_off;
		return -1;
	}
	set->list[set->cnt++] = (struct pst_combination){
		.rule_idx = rule_idx, .code_off = code_off, .code_cnt = set->code_cnt - code_off};
	return 0;
}

/* matched_bits NULL: nothing matched. */
static bool
value(const struct pst_combinations *set, uint32_t idx, const uint64_t *matched_bits)
{
	const struct pst_combination *c = &set->list[idx];
	uint64_t stack = 0; /* bit 0 is the top */

	for (uint32_t i = 0; i < c->code_cnt; i++) {
		uint32_t code = set->code[c->code_off + i];
		if (code == CODE_NOT)
			stack ^= 1;
		else if (code == CODE_AND)
			stack = stack >> 1 & (stack | ~1ull);
		else if (code == CODE_OR)
			stack = stack >> 1 | (stack & 1);
		else
			stack = stack << 1 |
				(matched_bits ? matched_bits[code >> 6] >> (code & 63) & 1 : 0);
	}
	return stack & 1;
}

bool
pst_combination_holds(
	const struct pst_combinations *set, uint32_t idx, const uint64_t *matched_bits)
{
	return value(set, idx, matched_bits);
}

int
pst_combinations_link(struct pst_combinations *set, uint32_t rule_cnt)
{
	set->use_off = calloc((size_t)rule_cnt + 1, sizeof(*set->use_off));
	set->use = calloc(pst_max_u64(set->code_cnt, 1), sizeof(*set->use));
	set->negative = calloc(pst_max_u64(set->cnt, 1), sizeof(*set->negative));
	if (!set->use_off || !set->use || !set->negative)
		return -ENOMEM;
	/* Counting sort of (operand, combination) by operand. */
	for (uint32_t i = 0; i < set->code_cnt; i++)
		if (set->code[i] < rule_cnt)
			set->use_off[set->code[i] + 1]++;
	for (uint32_t i = 0; i < rule_cnt; i++)
		set->use_off[i + 1] += set->use_off[i];
	for (uint32_t i = set->cnt; i-- > 0;) {
		const struct pst_combination *c = &set->list[i];
		for (uint32_t j = 0; j < c->code_cnt; j++) {
			uint32_t operand = set->code[c->code_off + j];
			if (operand < rule_cnt)
				set->use[--set->use_off[operand + 1]] = i;
		}
		if (value(set, i, NULL))
			set->negative[set->negative_cnt++] = i;
	}
	/* Each end was moved down to its own start: shift the starts into place. */
	for (uint32_t i = 0; i < rule_cnt; i++)
		set->use_off[i] = set->use_off[i + 1];
	uint32_t total = 0;
	for (uint32_t i = 0; i < set->code_cnt; i++)
		total += set->code[i] < rule_cnt;
	set->use_off[rule_cnt] = total;
	return 0;
}

void
pst_combinations_fini(struct pst_combinations *set)
{
	free(set->list);
	free(set->code);
	free(set->use_off);
	free(set->use);
	free(set->negative);
	memset(set, 0, sizeof(*set));
}
