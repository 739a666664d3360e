#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/base.h"
#include "rules/superset.h"

Test(superset, assertions_go_and_all_else_stays)
{
	static const char *const pairs[][2] = {
		{"abc", "abc"},
		{"^abc$", "(?:)abc(?:)"},
		{"\\Aabc\\z", "(?:)abc(?:)"},
		{"a\\Zb", "a(?:)b"},
		{"\\bab\\B", "(?:)ab(?:)"},
		{"(^|x)a", "((?:)|x)a"},
		{"(?:^a|b$)", "(?:(?:)a|b(?:))"},
		{"(?i)^a(?s-m:b)$", "(?i)(?:)a(?s-m:b)(?:)"},
		{"\\^\\$\\\\$", "\\^\\$\\\\(?:)"},
		{"\\\\b\\b", "\\\\b(?:)"},
		{"\\d+\\x{5e}\\x5e^", "\\d+\\x{5e}\\x5e(?:)"},
		{"[^a$\\b]^", "[^a$\\b](?:)"},
		{"[a^$]$", "[a^$](?:)"},
		{"[\\]^$]$", "[\\]^$](?:)"},
		{"[[:alpha:]^$]^", "[[:alpha:]^$](?:)"},
		{"[[:^digit:]]^", "[[:^digit:]](?:)"},
		{"[a[]^", "[a[](?:)"},
		{"a{2,3}^", "a{2,3}(?:)"},
		{"]^", "](?:)"},
		{"\xc3\xa9\\\xe9^", "\xc3\xa9\\\xe9(?:)"},
	};

	for (size_t i = 0; i < PST_ARRAY_CNT(pairs); i++) {
		const char *why = NULL;
		char *superset = pst_rules_superset(pairs[i][0], &why);
		cr_assert(superset, "%s: %s", pairs[i][0], why);
		cr_assert_str_eq(superset, pairs[i][1], "%s: %s", pairs[i][0], superset);
		free(superset);
	}
}

Test(superset, what_may_read_otherwise_is_refused)
{
	static const char *const patterns[] = {"\\Q^\\E", "a\\E", "\\c^", "\\Ka", "\\Ga", "\\Ra",
		"\\pL", "\\p{^L}", "\\1\\k<n>", "a\\", "[]^a]", "[^]^a]", "[[:]^a]", "[[=a=]^]",
		"[[.a.]]", "[\\Q]\\E^]", "[\\c]^]", "[a", "[a\\", "(?x)a#[\n^", "(?ix)a", "(?#[)^",
		"(?=a)", "(?!a)", "(?<=a)", "(?<n>a)", "(?>a)", "(?(1)a)", "(*UTF8)a", "(?"};

	for (size_t i = 0; i < PST_ARRAY_CNT(patterns); i++) {
		const char *why = NULL;
		cr_assert_null(pst_rules_superset(patterns[i], &why), "%s", patterns[i]);
		cr_assert(why, "%s", patterns[i]);
	}
}
