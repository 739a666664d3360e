#include <sha2.h>

#include "rules/test_set.h"

TestSuite(include, .init = test_setup, .fini = test_teardown);

Test(include, ids_have_their_own_number_space)
{
	test_write("p.txt", "# patterns\r\n1:/foo/i\r\n\r\n  0:/b.r/sH  \n2:/q/Q\n3:/1 & !2/C\n");
	test_write("q.txt", "1:/fo+/L{min_offset=4, max_offset=9}");
	struct pst_rules *rules = test_load(
		"include:\n"
		"- {file: p.txt, id-base: 1000, action: drop, priority: 4, listeners: [feed]}\n"
		"- {file: q.txt, id-base: 2000, action: route alerts}\n"
		"rules: [{id: 1, name: own, pattern: own, action: keep},\n"
		"        {id: 2, name: mixed, combination: '1 & 2001', action: quarantine,\n"
		"         priority: 9}]\n");
	static const struct {
		uint32_t id;
		const char *name, *pattern;
		enum pst_rules_action action;
		int32_t priority;
		uint64_t listener_mask;
	} expected[] = {
		{1, "own", "own", PST_RULES_KEEP, 0, UINT64_MAX},
		{2, "mixed", "1 & 2001", PST_RULES_QUARANTINE, 9, UINT64_MAX},
		{1000, "p.txt:0", "b.r", PST_RULES_DROP, 4, 1 << 2},
		{1001, "p.txt:1", "foo", PST_RULES_DROP, 4, 1 << 2},
		{1002, "p.txt:2", "q", PST_RULES_KEEP, 0, 1 << 2},
		{1003, "p.txt:3", "1 & !2", PST_RULES_DROP, 4, 1 << 2},
		{2001, "q.txt:1", "fo+", PST_RULES_ROUTE, 0, UINT64_MAX},
	};
	cr_assert_eq(pst_rules_cnt(rules), PST_ARRAY_CNT(expected));
	for (uint32_t i = 0; i < PST_ARRAY_CNT(expected); i++) {
		const struct pst_rule *r = pst_rules_get(rules, i);
		cr_assert_eq(r->id, expected[i].id);
		cr_assert_str_eq(r->name, expected[i].name);
		cr_assert_str_eq(r->pattern, expected[i].pattern);
		cr_assert_eq(r->action, expected[i].action);
		cr_assert_eq(r->priority, expected[i].priority);
		cr_assert_eq(r->listener_mask, expected[i].listener_mask);
		cr_assert_eq(r->quiet, r->id == 1002);
		cr_assert_eq(r->combination, r->id == 2 || r->id == 1003);
	}
	cr_assert_eq(pst_rules_info(rules)->included_cnt, 5);
	cr_assert_eq(pst_rules_info(rules)->combination_cnt, 2);

	struct pst_rules_scratch *s = pst_rules_scratch_create(rules);
	cr_assert(s);
	static const struct {
		uint16_t listener;
		const char *event;
		enum pst_rules_action action;
		const char *ids;
	} events[] = {
		{2, "FOO", PST_RULES_DROP, "1001 1003"},
		{2, "FOO q", PST_RULES_DROP, "1001"},
		{0, "FOO", PST_RULES_KEEP, ""},
		{2, "b\nr", PST_RULES_DROP, "1000"},
		{0, "foo", PST_RULES_KEEP, ""},
		{0, "  foo", PST_RULES_ROUTE, "2001"},
		{0, "       foo", PST_RULES_ROUTE, "2001"},
		{0, "        foo", PST_RULES_KEEP, ""},
		{0, "  foo own", PST_RULES_QUARANTINE, "1 2 2001"},
	};
	for (size_t i = 0; i < PST_ARRAY_CNT(events); i++) {
		struct pst_rules_verdict v = test_eval(s, events[i].listener, events[i].event);
		cr_assert_eq(v.action, events[i].action, "%s", events[i].event);
		cr_assert_str_eq(
			test_ids(&v), events[i].ids, "%s: %s", events[i].event, test_ids(&v));
	}
	pst_rules_scratch_destroy(s);
	pst_rules_free(rules);
}

Test(include, a_slash_belongs_to_the_expression)
{
	test_write("p.txt", "1:/GET /index\\.html/\n2:/a:/b/\n");
	struct pst_rules *rules = test_load("include: [{file: p.txt, id-base: 0, action: drop}]\n");
	cr_assert_str_eq(pst_rules_get(rules, 0)->pattern, "GET /index\\.html");
	cr_assert_str_eq(pst_rules_get(rules, 1)->pattern, "a:/b");
	pst_rules_free(rules);
}

Test(include, absolute_paths_and_the_highest_id)
{
	char content[256];

	test_write("p.txt", "294967295:/abc/V\n");
	sprintf(content, "include: [{file: %s, id-base: 4000000000, action: drop}]\n",
		test_path("p.txt"));
	struct pst_rules *rules = test_load(content);
	cr_assert_eq(pst_rules_get(rules, 0)->id, UINT32_MAX);
	pst_rules_free(rules);
}

/* The hash is that of the files behind one another, so that sha256sum can confirm it. */
Test(include, hash_is_of_all_files)
{
	static const char *const yaml = "include: [{file: p.txt, id-base: 0, action: drop}]\n";
	char both[256], expected[SHA256_DIGEST_STRING_LENGTH];

	for (int i = 0; i < 2; i++) {
		const char *patterns = i ? "1:/abc/\n" : "1:/abc/\n# more\n";
		test_write("p.txt", patterns);
		struct pst_rules *rules = test_load(yaml);
		sprintf(both, "%s%s", yaml, patterns);
		SHA256Data((const uint8_t *)both, strlen(both), expected);
		cr_assert_str_eq(pst_rules_hash(rules), expected);
		pst_rules_free(rules);
	}
}

Test(include, without_a_profile_names_are_taken_as_they_come)
{
	const struct pst_rules_env open = {0};
	struct pst_rules *rules;
	struct pst_diag diag;

	test_write("rules.yaml",
		"rules:\n"
		"- {id: 1, name: a, pattern: a, action: route one, listeners: [x, y]}\n"
		"- {id: 2, name: b, pattern: b, action: route two, listeners: [y]}\n"
		"- {id: 3, name: c, pattern: c, action: route one}\n");
	cr_assert_eq(pst_rules_load(test_path("rules.yaml"), &open, &rules, &diag), 0);
	cr_assert_eq(pst_rules_listener_find(rules, "x"), 0);
	cr_assert_eq(pst_rules_listener_find(rules, "y"), 1);
	cr_assert_eq(pst_rules_listener_find(rules, "z"), -1);
	cr_assert_eq(pst_rules_get(rules, 1)->listener_mask, 2);
	cr_assert_str_eq(pst_rules_stream_name(rules, pst_rules_get(rules, 1)->stream_idx), "two");
	cr_assert_str_eq(pst_rules_stream_name(rules, pst_rules_get(rules, 2)->stream_idx), "one");
	pst_rules_free(rules);

	test_write(
		"rules.yaml", "rules: [{id: 1, name: a, pattern: a, action: route penstock.x}]\n");
	cr_assert_eq(pst_rules_load(test_path("rules.yaml"), &open, &rules, &diag), -1);
	cr_assert(strstr(diag.text, "cannot be the name of a stream"));
}
