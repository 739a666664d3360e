#include "rules/test_set.h"

TestSuite(eval, .init = test_setup, .fini = test_teardown);

enum { SYSLOG, METRICS, FEED };

static struct pst_rules *rules;
static struct pst_rules_scratch *s;

static void
use(const char *content)
{
	rules = test_load(content);
	s = pst_rules_scratch_create(rules);
	cr_assert(s);
}

static void
drop_it(void)
{
	pst_rules_scratch_destroy(s);
	pst_rules_free(rules);
}

static void
expect(uint16_t listener, const char *event, enum pst_rules_action action, const char *ids)
{
	struct pst_rules_verdict v = test_eval(s, listener, event);

	cr_assert_eq(v.action, action, "'%s': %s", event, pst_rules_action_name(v.action));
	cr_assert_str_eq(test_ids(&v), ids, "'%s': %s", event, test_ids(&v));
	cr_assert_not(v.scan_error);
}

Test(eval, every_action)
{
	use("rules:\n"
	    "  - {id: 10, name: d, pattern: dropme, action: drop}\n"
	    "  - {id: 20, name: r, pattern: routeme, action: route alerts}\n"
	    "  - {id: 30, name: q, pattern: holdme, action: quarantine}\n"
	    "  - {id: 50, name: k, pattern: keepme, action: keep}\n");
	expect(SYSLOG, "a dropme b", PST_RULES_DROP, "10");
	expect(SYSLOG, "holdme", PST_RULES_QUARANTINE, "30");
	expect(SYSLOG, "nothing", PST_RULES_KEEP, "");
	expect(METRICS, "nothing", PST_RULES_DROP, "");
	expect(METRICS, "keepme", PST_RULES_KEEP, "50");
	struct pst_rules_verdict v = test_eval(s, SYSLOG, "routeme");
	cr_assert_eq(v.action, PST_RULES_ROUTE);
	cr_assert_eq(v.stream_idx, 2);
	cr_assert_eq(v.rule_idx, 1);
	cr_assert_str_eq(pst_rules_stream_name(rules, v.stream_idx), "alerts");
	cr_assert_eq(test_eval(s, METRICS, "nothing").rule_idx, -1);
	drop_it();
}

Test(eval, priority_decides_and_ties_go_to_the_lower_id)
{
	use("rules:\n"
	    "  - {id: 9, name: a, pattern: aa, action: quarantine, priority: 5}\n"
	    "  - {id: 3, name: b, pattern: bb, action: drop, priority: 5}\n"
	    "  - {id: 1, name: c, pattern: cc, action: keep}\n"
	    "  - {id: 2, name: d, pattern: dd, action: route alerts, priority: -1}\n"
	    "  - {id: 12, name: e, pattern: ee, action: keep, priority: 2147483647}\n");
	expect(SYSLOG, "aa bb", PST_RULES_DROP, "3 9");
	expect(SYSLOG, "bb aa", PST_RULES_DROP, "3 9");
	expect(SYSLOG, "cc aa", PST_RULES_QUARANTINE, "1 9");
	expect(SYSLOG, "dd cc", PST_RULES_KEEP, "1 2");
	expect(SYSLOG, "dd", PST_RULES_ROUTE, "2");
	expect(SYSLOG, "aa bb cc dd ee", PST_RULES_KEEP, "1 2 3 9 12");
	cr_assert_eq(test_eval(s, SYSLOG, "aa bb cc dd ee").rule_idx, 4);
	drop_it();
}

Test(eval, a_rule_of_one_listener_does_not_touch_the_others)
{
	use("rules:\n"
	    "  - {id: 1, name: a, pattern: xyz, action: drop, listeners: [syslog]}\n"
	    "  - {id: 2, name: b, pattern: xyz, action: keep, listeners: [metrics, syslog],\n"
	    "     priority: -5}\n"
	    "  - {id: 3, name: c, combination: '1', action: quarantine}\n"
	    "  - {id: 4, name: d, combination: '!1', action: quarantine, listeners: [feed]}\n");
	expect(SYSLOG, "xyz", PST_RULES_DROP, "1 2 3");
	expect(METRICS, "xyz", PST_RULES_KEEP, "2");
	expect(FEED, "xyz", PST_RULES_QUARANTINE, "4");
	cr_assert_eq(pst_rules_counts(s)[0].matched, 1);
	cr_assert_eq(pst_rules_counts(s)[0].decided, 1);
	cr_assert_eq(pst_rules_counts(s)[1].matched, 2);
	cr_assert_eq(pst_rules_counts(s)[1].decided, 1);
	cr_assert_eq(pst_rules_counts(s)[3].matched, 1);
	drop_it();
}

Test(eval, sample_keeps_exactly_one_of_n)
{
	use("rules:\n"
	    "  - {id: 40, name: s, pattern: sam, action: sample 1/10}\n"
	    "  - {id: 41, name: one, pattern: one, action: sample 1/1}\n"
	    "  - {id: 42, name: d, pattern: drop, action: drop, priority: 1}\n");
	unsigned kept = 0;
	for (int i = 0; i < 1000; i++) {
		struct pst_rules_verdict v = test_eval(s, SYSLOG, "sam");
		cr_assert(v.action == PST_RULES_KEEP || v.action == PST_RULES_SAMPLED_OUT);
		cr_assert_eq(v.action == PST_RULES_KEEP, i % 10 == 0);
		cr_assert_str_eq(test_ids(&v), "40");
		kept += v.action == PST_RULES_KEEP;
		/* What another rule decides is no turn of the sample's. */
		expect(SYSLOG, "sam drop", PST_RULES_DROP, "40 42");
		expect(SYSLOG, "one", PST_RULES_KEEP, "41");
	}
	cr_assert_eq(kept, 100);
	cr_assert_eq(pst_rules_counts(s)[0].matched, 2000);
	cr_assert_eq(pst_rules_counts(s)[0].decided, 1000);
	drop_it();
}

Test(eval, combination_takes_its_operands_in_either_order)
{
	use("rules:\n"
	    "  - {id: 1, name: e, pattern: error, flags: [quiet]}\n"
	    "  - {id: 2, name: d, pattern: debug, flags: [quiet]}\n"
	    "  - {id: 3, name: c, combination: '1 & !2', action: drop}\n"
	    "  - {id: 4, name: c, combination: '!2 & 1', action: keep, priority: -1}\n");
	expect(SYSLOG, "an error", PST_RULES_DROP, "3 4");
	expect(SYSLOG, "an error in debug", PST_RULES_KEEP, "");
	expect(SYSLOG, "debug: an error", PST_RULES_KEEP, "");
	expect(SYSLOG, "debug", PST_RULES_KEEP, "");
	expect(SYSLOG, "neither", PST_RULES_KEEP, "");
	cr_assert_eq(pst_rules_counts(s)[0].matched, 3);
	cr_assert_eq(pst_rules_counts(s)[0].decided, 0);
	cr_assert_eq(pst_rules_counts(s)[2].matched, 1);
	drop_it();
}

Test(eval, negative_combination_holds_on_every_event_without_its_operands)
{
	use("rules:\n"
	    "  - {id: 1, name: e, pattern: good, flags: [quiet]}\n"
	    "  - {id: 2, name: n, combination: '!1', action: drop}\n");
	cr_assert_eq(pst_rules_info(rules)->negative_cnt, 1);
	expect(SYSLOG, "bad", PST_RULES_DROP, "2");
	expect(SYSLOG, "good", PST_RULES_KEEP, "");
	expect(SYSLOG, "", PST_RULES_DROP, "2");
	expect(SYSLOG, "good", PST_RULES_KEEP, "");
	drop_it();
}

Test(eval, flags_and_extended_parameters_do_what_they_say)
{
	use("rules:\n"
	    "  - {id: 1, name: a, pattern: ABC, action: keep}\n"
	    "  - {id: 2, name: b, pattern: ABC, flags: [caseless], action: keep}\n"
	    "  - {id: 3, name: c, pattern: 'p.q', action: keep}\n"
	    "  - {id: 4, name: d, pattern: 'p.q', flags: [dotall], action: keep}\n"
	    "  - {id: 5, name: e, pattern: '^line$', action: keep}\n"
	    "  - {id: 6, name: f, pattern: '^line$', flags: [multiline], action: keep}\n"
	    "  - {id: 7, name: g, pattern: offset, min-offset: 10, action: keep}\n"
	    "  - {id: 8, name: h, pattern: offset, max-offset: 9, action: keep}\n"
	    "  - {id: 9, name: i, pattern: 'xy+', min-length: 4, action: keep}\n"
	    "  - {id: 10, name: j, pattern: hatstand, edit-distance: 1, action: keep}\n"
	    "  - {id: 11, name: k, pattern: teakettle, hamming-distance: 1, action: keep}\n"
	    "  - {id: 12, name: l, pattern: '(go)\\1', flags: [prefilter], action: keep}\n");
	expect(SYSLOG, "abc", PST_RULES_KEEP, "2");
	expect(SYSLOG, "ABC", PST_RULES_KEEP, "1 2");
	expect(SYSLOG, "p\nq", PST_RULES_KEEP, "4");
	expect(SYSLOG, "p-q", PST_RULES_KEEP, "3 4");
	expect(SYSLOG, "a\nline\nb", PST_RULES_KEEP, "6");
	expect(SYSLOG, "line", PST_RULES_KEEP, "5 6");
	expect(SYSLOG, "offset", PST_RULES_KEEP, "8");
	expect(SYSLOG, "---offset", PST_RULES_KEEP, "8");
	expect(SYSLOG, "----offset", PST_RULES_KEEP, "7");
	expect(SYSLOG, "offset offset", PST_RULES_KEEP, "7 8");
	expect(SYSLOG, "xyy", PST_RULES_KEEP, "");
	expect(SYSLOG, "xyy xyyy", PST_RULES_KEEP, "9");
	expect(SYSLOG, "hatsand", PST_RULES_KEEP, "10");
	expect(SYSLOG, "hasand", PST_RULES_KEEP, "");
	expect(SYSLOG, "teakattle", PST_RULES_KEEP, "11");
	expect(SYSLOG, "teaktle", PST_RULES_KEEP, "");
	expect(SYSLOG, "gogo", PST_RULES_KEEP, "12");
	drop_it();
}

Test(eval, empty_events_and_patterns_that_match_them)
{
	use("rules:\n"
	    "  - {id: 1, name: any, pattern: '^', flags: [allowempty], action: keep}\n"
	    "  - {id: 2, name: empty, pattern: '^$', flags: [allowempty], action: drop,\n"
	    "     priority: 1}\n");
	struct pst_rules_verdict v;
	pst_rules_eval(s, SYSLOG, NULL, 0, &v);
	cr_assert_eq(v.action, PST_RULES_DROP);
	cr_assert_str_eq(test_ids(&v), "1 2");
	expect(SYSLOG, "x", PST_RULES_KEEP, "1");
	drop_it();
}

Test(eval, zero_bytes_and_high_bytes_are_bytes)
{
	use("rules:\n"
	    "  - {id: 1, name: a, pattern: 'a\\x00b', action: drop}\n"
	    "  - {id: 2, name: b, pattern: '\\xff\\xfe', action: drop}\n"
	    "  - {id: 3, name: c, pattern: 'é', action: drop}\n");
	struct pst_rules_verdict v;
	pst_rules_eval(s, SYSLOG, (const uint8_t *)"xa\0b", 4, &v);
	cr_assert_str_eq(test_ids(&v), "1");
	expect(SYSLOG, "\xff\xfe", PST_RULES_DROP, "2");
	expect(SYSLOG, "caf\xc3\xa9", PST_RULES_DROP, "3");
	expect(SYSLOG, "\xc3", PST_RULES_KEEP, "");
	drop_it();
}

/* Twenty rules match: the sixteen lowest ids are kept, or fifteen and the one that decided. */
Test(eval, more_matches_than_a_record_holds)
{
	char content[4096] = "rules:\n", *at = content + strlen(content);
	struct pst_rules_verdict v;

	for (int i = 20; i >= 1; i--)
		at += sprintf(at,
			"  - {id: %d, name: n, pattern: '%s', action: %s, priority: %d}\n", i * 10,
			i % 2 ? "m.rk" : "ma?", i == 19 ? "drop" : "keep", i == 19 ? 1 : 0);
	use(content);
	v = test_eval(s, SYSLOG, "mark");
	cr_assert_eq(v.action, PST_RULES_DROP);
	cr_assert_eq(v.rule_idx, 18);
	cr_assert_str_eq(test_ids(&v), "10 20 30 40 50 60 70 80 90 100 110 120 130 140 150 190");
	for (uint32_t i = 0; i < 20; i++)
		cr_assert_eq(pst_rules_counts(s)[i].matched, 1);
	v = test_eval(s, SYSLOG, "m");
	cr_assert_eq(v.action, PST_RULES_KEEP);
	cr_assert_str_eq(test_ids(&v), "20 40 60 80 100 120 140 160 180 200");
	drop_it();
}

Test(eval, a_failed_scan_keeps_the_event_and_is_counted)
{
	use("rules:\n"
	    "  - {id: 1, name: d, pattern: drop, action: drop}\n"
	    "  - {id: 2, name: e, pattern: eyes, action: drop}\n"
	    "  - {id: 3, name: c, combination: '1 | 2', action: quarantine, priority: 9}\n");
	test_scan_fails = true;
	/* Kept even where the default is to drop, and whatever had matched. */
	struct pst_rules_verdict v = test_eval(s, METRICS, "drop");
	cr_assert(v.scan_error);
	cr_assert_eq(v.action, PST_RULES_KEEP);
	cr_assert_eq(v.rule_idx, -1);
	cr_assert_eq(v.match_cnt, 0);
	test_scan_fails = false;
	cr_assert_eq(pst_rules_scan_errors(s), 1);
	cr_assert_eq(pst_rules_counts(s)[0].matched, 0);
	/* Nothing of it is left behind. */
	expect(SYSLOG, "eyes", PST_RULES_QUARANTINE, "2 3");
	expect(SYSLOG, "drop", PST_RULES_QUARANTINE, "1 3");
	cr_assert_eq(pst_rules_scan_errors(s), 1);
	drop_it();
}

Test(eval, without_a_file_the_default_action_decides)
{
	struct pst_diag diag;

	cr_assert_eq(pst_rules_load(NULL, &test_env, &rules, &diag), 0);
	cr_assert_eq(pst_rules_cnt(rules), 0);
	cr_assert_str_empty(pst_rules_hash(rules));
	s = pst_rules_scratch_create(rules);
	cr_assert(s);
	expect(SYSLOG, "x", PST_RULES_KEEP, "");
	expect(METRICS, "x", PST_RULES_DROP, "");
	drop_it();
}

Test(eval, two_scratches_count_apart)
{
	use("rules: [{id: 1, name: s, pattern: sam, action: sample 1/3}]\n");
	struct pst_rules_scratch *other = pst_rules_scratch_create(rules);
	cr_assert(other);
	cr_assert_eq(test_eval(s, SYSLOG, "sam").action, PST_RULES_KEEP);
	cr_assert_eq(test_eval(other, SYSLOG, "sam").action, PST_RULES_KEEP);
	cr_assert_eq(test_eval(s, SYSLOG, "sam").action, PST_RULES_SAMPLED_OUT);
	cr_assert_eq(pst_rules_counts(s)[0].decided, 2);
	cr_assert_eq(pst_rules_counts(other)[0].decided, 1);
	pst_rules_scratch_destroy(other);
	drop_it();
}

static uint64_t
next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

#define WORDS_CNT 10000

/* Ten thousand literal rules against memmem, on events made of pieces of the words. */
Test(eval, ten_thousand_rules_equal_a_plain_search)
{
	static char words[WORDS_CNT][8];
	char *content = malloc(1 << 20), *at = content, event[160];
	uint64_t seed = 7;
	unsigned matched_cnt = 0;

	cr_assert(content);
	at += sprintf(at, "rules:\n");
	for (unsigned i = 0; i < WORDS_CNT; i++) {
		unsigned len = 3 + (unsigned)next_random(&seed) % 5;
		for (unsigned j = 0; j < len; j++)
			words[i][j] = (char)('a' + next_random(&seed) % 6);
		at += sprintf(at, "- {id: %u, name: w, pattern: %s, action: keep}\n", i, words[i]);
	}
	use(content);
	free(content);
	cr_assert_eq(pst_rules_cnt(rules), WORDS_CNT);
	for (unsigned n = 0; n < 400; n++) {
		size_t len = next_random(&seed) % 120;
		for (size_t i = 0; i < len; i++)
			event[i] = (char)('a' + next_random(&seed) % (n % 2 ? 6 : 12));
		event[len] = '\0';
		struct pst_rules_verdict v = test_eval(s, SYSLOG, event);
		uint16_t cnt = 0;
		int32_t first = -1;
		for (unsigned i = 0; i < WORDS_CNT; i++) {
			if (!memmem(event, len, words[i], strlen(words[i])))
				continue;
			first = first < 0 ? (int32_t)i : first;
			matched_cnt++;
			if (cnt < PST_RULES_MATCH_MAX) {
				cr_assert_lt(cnt, v.match_cnt);
				cr_assert_eq(v.match_ids[cnt], i, "%s", event);
				cnt++;
			}
		}
		cr_assert_eq(v.match_cnt, cnt, "%s", event);
		cr_assert_eq(v.rule_idx, first, "%s", event);
	}
	uint64_t counted = 0;
	for (unsigned i = 0; i < WORDS_CNT; i++)
		counted += pst_rules_counts(s)[i].matched;
	cr_assert_gt(matched_cnt, 10000);
	cr_assert_eq(counted, matched_cnt);
	drop_it();
}
