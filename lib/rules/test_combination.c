#include "rules/combination.h"
#include "rules/test_set.h"

/* Operands are the ids 0 to 9 themselves; 99 is not a rule. */
static int
as_is(void *ctx, uint64_t id, char *text, size_t text_bytes)
{
	if (id < 10)
		return (int)id;
	snprintf(text, text_bytes, "unknown %llu", (unsigned long long)id);
	return -1;
}

static bool
holds(const char *expr, uint64_t bits)
{
	struct pst_combinations set = {0};
	char text[128];

	cr_assert_eq(pst_combination_add(&set, 10, expr, as_is, NULL, text, sizeof(text)), 0,
		"%s: %s", expr, text);
	bool value = pst_combination_holds(&set, 0, &bits);
	pst_combinations_fini(&set);
	return value;
}

Test(combination, equals_the_same_expression_in_c)
{
	static const char *const exprs[] = {"1", "!1", "1&2", "1|2", "1&!2", "!2&1", "!1&!2",
		"1|2&3", "1&2|3", "(1|2)&3", "!(1|2)", "!!1", "!(1&!(2|!3))", " ( 1 ) & ! ( 2 ) ",
		"1|2|3", "1&2&3", "!1|!2&3", "3&(1|2)&!(1&2)"};

	for (unsigned bits = 0; bits < 8; bits++) {
		bool a = bits & 1, b = bits & 2, c = bits & 4;
		const bool expected[] = {a, !a, a && b, a || b, a && !b, !b && a, !a && !b,
			a || (b && c), (a && b) || c, (a || b) && c, !(a || b), a,
			!(a && !(b || !c)), a && !b, a || b || c, a && b && c, !a || (!b && c),
			c && (a || b) && !(a && b)};
		for (size_t i = 0; i < PST_ARRAY_CNT(exprs); i++)
			cr_assert_eq(holds(exprs[i], bits << 1), expected[i], "%s at %u", exprs[i],
				bits);
	}
}

Test(combination, is_nested_up_to_its_limit)
{
	char expr[1024], text[128];
	struct pst_combinations set = {0};

	/* The deepest value stack: two operands wait at every level. */
	for (int depth = PST_COMBINATION_DEPTH_MAX; depth <= PST_COMBINATION_DEPTH_MAX + 1;
		depth++) {
		char *at = expr;
		for (int i = 0; i < depth; i++)
			at += sprintf(at, "2|1&(");
		at += sprintf(at, "2|1&3");
		for (int i = 0; i < depth; i++)
			at += sprintf(at, ")");
		if (depth == PST_COMBINATION_DEPTH_MAX) {
			cr_assert(holds(expr, 1 << 1 | 1 << 3));
			cr_assert(holds(expr, 1 << 2));
			cr_assert_not(holds(expr, 1 << 1));
			cr_assert_not(holds(expr, 1 << 3));
			continue;
		}
		cr_assert_eq(
			pst_combination_add(&set, 10, expr, as_is, NULL, text, sizeof(text)), -1);
		cr_assert_str_eq(text, "more than 30 parentheses deep");
	}
	/* Side by side they are not deep. */
	char *at = expr;
	for (int i = 0; i < 100; i++)
		at += sprintf(at, "%s(1)", i ? "&" : "");
	cr_assert(holds(expr, 1 << 1));
	cr_assert_not(holds(expr, 1 << 2));
	pst_combinations_fini(&set);
}

Test(combination, is_refused_with_the_place)
{
	static const struct {
		const char *expr, *text;
	} cases[] = {
		{"", "an id or '(' is missing at character 1"},
		{"1 &", "an id or '(' is missing at character 4"},
		{"& 1", "an id or '(' is missing at character 1"},
		{"1 2", "cannot read '2' at character 3"},
		{"1 && 2", "an id or '(' is missing at character 4"},
		{"(1", "a ')' is missing at character 3"},
		{"1)", "cannot read ')' at character 2"},
		{"()", "an id or '(' is missing at character 2"},
		{"1!", "cannot read '!' at character 2"},
		{"a", "an id or '(' is missing at character 1"},
		{"99", "unknown 99"},
		{"4294967296", "an id above 4294967295"},
		{"99999999999999999999999", "an id above 4294967295"},
	};
	struct pst_combinations set = {0};
	char text[128];

	for (size_t i = 0; i < PST_ARRAY_CNT(cases); i++) {
		cr_assert_eq(pst_combination_add(
				     &set, 10, cases[i].expr, as_is, NULL, text, sizeof(text)),
			-1, "%s", cases[i].expr);
		cr_assert_str_eq(text, cases[i].text, "%s: %s", cases[i].expr, text);
	}
	cr_assert_eq(set.cnt, 0);
	cr_assert_eq(set.code_cnt, 0);
	pst_combinations_fini(&set);
}

Test(combination, index_lists_each_operand_and_the_negative_ones)
{
	static const char *const exprs[] = {"1 & 2", "!1", "3 | 1", "!3 & !4", "!2 | 2"};
	struct pst_combinations set = {0};
	char text[128], uses[64], *at;

	for (uint32_t i = 0; i < PST_ARRAY_CNT(exprs); i++)
		cr_assert_eq(
			pst_combination_add(&set, 5 + i, exprs[i], as_is, NULL, text, sizeof(text)),
			0);
	cr_assert_eq(pst_combinations_link(&set, 10), 0);
	static const char *const expected[] = {"", "012", "044", "23", "3", "", "", "", "", ""};
	for (uint32_t rule = 0; rule < 10; rule++) {
		at = uses;
		for (uint32_t u = set.use_off[rule]; u < set.use_off[rule + 1]; u++)
			at += sprintf(at, "%u", set.use[u]);
		*at = '\0';
		cr_assert_str_eq(uses, expected[rule], "operand %u: %s", rule, uses);
	}
	cr_assert_eq(set.negative_cnt, 3);
	bool negative[5] = {false};
	for (uint32_t i = 0; i < set.negative_cnt; i++)
		negative[set.negative[i]] = true;
	cr_assert(negative[1] && negative[3] && negative[4]);
	pst_combinations_fini(&set);
}
