/* Logical combinations of rules: `(1 | 2) & !3`, evaluated over the set of rules that matched.
 *
 * Hyperscan evaluates its own combinations while it scans: `error & !debug` fires when "error" is
 * seen, although "debug" follows. Here the whole event has been scanned before any combination is
 * looked at, so the order of operands in the event does not matter.
 *
 *   or   := and  { '|' and }        operands are ids of rules with a pattern; a combination
 *   and  := not  { '&' not }        cannot be an operand
 *   not  := { '!' } ( id | '(' or ')' )
 */
#ifndef PST_COMBINATION_H
#define PST_COMBINATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PST_COMBINATION_DEPTH_MAX 30 /* parentheses; keeps the value stack within 64 bits */

/* One combination as postfix code: rule indices and operators. */
struct pst_combination {
	uint32_t rule_idx;
	uint32_t code_off;
	uint32_t code_cnt;
};

struct pst_combinations {
	struct pst_combination *list;
	uint32_t cnt, cap;
	uint32_t *code;
	uint32_t code_cnt, code_cap;
	/* Rule index -> combinations that have it as an operand: use[use_off[i] .. use_off[i + 1]].
	 */
	uint32_t *use_off;
	uint32_t *use;
	/* Combinations that hold when no operand matched: looked at for every event. */
	uint32_t *negative;
	uint32_t negative_cnt;
};

/* Rule index of an id as written, or -1 with a message in text: see pst_combination_parse. */
typedef int pst_combination_resolve(void *ctx, uint64_t id, char *text, size_t text_bytes);

/* Parses expr and adds it for the rule. Returns 0, or -1 with what is wrong in text. */
int pst_combination_add(struct pst_combinations *set, uint32_t rule_idx, const char *expr,
	pst_combination_resolve *resolve, void *ctx, char *text, size_t text_bytes);

/* After the last add: builds the operand index. Returns 0 or -ENOMEM. */
int pst_combinations_link(struct pst_combinations *set, uint32_t rule_cnt);

void pst_combinations_fini(struct pst_combinations *set);

/* Value over a bit set of rule indices. */
bool pst_combination_holds(
	const struct pst_combinations *set, uint32_t idx, const uint64_t *matched_bits);

#endif
