/* Scanning the events of a datagram together, against scanning each of them. */
#include "rules/test_set.h"

TestSuite(frame_scan, .init = test_setup, .fini = test_teardown, .timeout = 120);

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

/* Events of one datagram in one piece of memory. */
struct frame {
	uint8_t bytes[8192];
	uint32_t used;
	struct pst_event events[PST_RULES_FRAME_EVENTS_MAX];
	uint32_t cnt;
};

static void
add(struct frame *f, const void *event, uint32_t len, const void *separator, uint32_t separator_len)
{
	cr_assert(f->used + len + separator_len <= sizeof(f->bytes));
	f->events[f->cnt++] = (struct pst_event){f->bytes + f->used, len};
	if (len)
		memcpy(f->bytes + f->used, event, len);
	memcpy(f->bytes + f->used + len, separator, separator_len);
	f->used += len + separator_len;
}

/* The lines of text. */
static struct frame *
lines(const char *text)
{
	static struct frame f;

	f.used = f.cnt = 0;
	while (*text) {
		uint32_t len = (uint32_t)strcspn(text, "\n");
		add(&f, text, len, "\n", 1);
		text += len + (text[len] == '\n');
	}
	return &f;
}

/* "0110": which of the text's lines are to be scanned. */
static const char *
hits(uint16_t listener, const char *text)
{
	static char bits[PST_RULES_FRAME_EVENTS_MAX + 1];
	const struct frame *f = lines(text);
	uint64_t found = pst_rules_frame_scan(s, listener, f->events, f->cnt);

	for (uint32_t i = 0; i < f->cnt; i++)
		bits[i] = found >> i & 1 ? '1' : '0';
	bits[f->cnt] = '\0';
	cr_assert_eq(f->cnt < 64 ? found >> f->cnt : 0, 0);
	return bits;
}

static void
expect_same(const struct pst_rules_verdict *a, const struct pst_rules_verdict *b)
{
	cr_assert_eq(a->action, b->action);
	cr_assert_eq(a->stream_idx, b->stream_idx);
	cr_assert_eq(a->match_cnt, b->match_cnt);
	cr_assert_eq(a->rule_idx, b->rule_idx);
	cr_assert_eq(a->scan_error, b->scan_error);
	for (uint16_t i = 0; i < a->match_cnt; i++)
		cr_assert_eq(a->match_ids[i], b->match_ids[i]);
}

Test(frame_scan, says_which_events_a_pattern_may_match)
{
	use("rules:\n"
	    "  - {id: 1, name: a, pattern: panic, action: drop}\n"
	    "  - {id: 2, name: b, pattern: '^<7>', action: drop}\n"
	    "  - {id: 3, name: c, pattern: 'end$', action: drop}\n"
	    "  - {id: 4, name: d, pattern: '\\bword\\b', action: drop}\n"
	    "  - {id: 5, name: e, pattern: 'far', max-offset: 6, action: drop}\n"
	    "  - {id: 6, name: f, pattern: 'x[a-z]+', min-length: 3, action: drop}\n");
	cr_assert_null(pst_rules_info(rules)->apart_note, "%s", pst_rules_info(rules)->apart_note);
	cr_assert_str_eq(hits(SYSLOG, "one\ntwo\nthree"), "000");
	cr_assert_str_eq(hits(SYSLOG, "one\npanic\nthree"), "010");
	cr_assert_str_eq(hits(SYSLOG, "panic\ntwo\nkernel panic"), "101");
	cr_assert_str_eq(hits(SYSLOG, "a\n<7> b\nc"), "010");
	cr_assert_str_eq(hits(SYSLOG, "the end\nb\nthe end"), "101");
	cr_assert_str_eq(hits(SYSLOG, "word\nword\nword"), "111");
	cr_assert_str_eq(hits(SYSLOG, "--------\n---far\n"), "01");
	cr_assert_str_eq(hits(SYSLOG, "---------\nxab\n"), "01");
	/* Matches that no event has alone. */
	cr_assert_str_eq(hits(SYSLOG, "pa\nnic"), "00");
	cr_assert_str_eq(hits(SYSLOG, "a\n\n\nb"), "0000");
	drop_it();
}

Test(frame_scan, a_match_that_begins_in_another_event_is_that_events_own)
{
	use("rules: [{id: 1, name: a, pattern: 'a.*b', flags: [dotall], action: drop}]\n");
	cr_assert_str_eq(hits(SYSLOG, "--\n-a\nb-\n--\nab"), "00101");
	cr_assert_eq(test_eval(s, SYSLOG, "b-").action, PST_RULES_KEEP);
	drop_it();
}

Test(frame_scan, rules_of_other_listeners_do_not_count)
{
	use("rules: [{id: 1, name: a, pattern: abc, action: drop, listeners: [feed]}]\n");
	cr_assert_str_eq(hits(SYSLOG, "abc\nabc"), "00");
	cr_assert_str_eq(hits(FEED, "abc\nx"), "10");
	drop_it();
}

Test(frame_scan, what_holds_when_nothing_matches_holds_without_a_scan)
{
	struct pst_rules_verdict v;

	use("rules:\n"
	    "  - {id: 1, name: e, pattern: good, flags: [quiet]}\n"
	    "  - {id: 2, name: n, combination: '!1', action: sample 1/3, listeners: [syslog]}\n");
	cr_assert_str_eq(hits(SYSLOG, "bad\ngood"), "01");
	pst_rules_eval_unmatched(s, SYSLOG, &v);
	cr_assert_eq(v.action, PST_RULES_KEEP);
	cr_assert_str_eq(test_ids(&v), "2");
	pst_rules_eval_unmatched(s, SYSLOG, &v);
	cr_assert_eq(v.action, PST_RULES_SAMPLED_OUT);
	pst_rules_eval_unmatched(s, METRICS, &v);
	cr_assert_eq(v.action, PST_RULES_DROP);
	cr_assert_eq(v.match_cnt, 0);
	pst_rules_eval_unmatched(s, FEED, &v);
	cr_assert_eq(v.action, PST_RULES_KEEP);
	cr_assert_eq(pst_rules_counts(s)[1].matched, 2);
	drop_it();
}

Test(frame_scan, one_pattern_without_a_superset_and_all_are_scanned_apart)
{
	static const char *const cases[][2] = {
		{"pattern: '^', flags: [allowempty]", "rule 2 matches the empty string"},
		{"pattern: '^\\s*$', flags: [allowempty]", "rule 2 matches the empty string"},
		{"pattern: '\\bx?\\b', flags: [allowempty]", "rule 2 matches the empty string"},
		{"pattern: '(go)\\1', flags: [prefilter]", "rule 2 has the flag prefilter"},
		{"pattern: hatstand, edit-distance: 1", "rule 2 has a distance"},
		{"pattern: teakettle, hamming-distance: 1", "rule 2 has a distance"},
		{"pattern: '\\Q^\\E'", "rule 2 has an escape sequence"},
	};
	char content[512];

	for (size_t i = 0; i < PST_ARRAY_CNT(cases); i++) {
		snprintf(content, sizeof(content),
			"rules:\n"
			"  - {id: 1, name: a, pattern: abc, action: keep}\n"
			"  - {id: 2, name: b, action: keep, %s}\n",
			cases[i][0]);
		use(content);
		cr_assert(pst_rules_info(rules)->apart_note, "%s", cases[i][0]);
		cr_assert(strstr(pst_rules_info(rules)->apart_note, cases[i][1]), "%s",
			pst_rules_info(rules)->apart_note);
		cr_assert_str_eq(hits(SYSLOG, "---\n---"), "11");
		drop_it();
	}
}

Test(frame_scan, without_patterns_nothing_matches)
{
	struct pst_diag diag;

	cr_assert_eq(pst_rules_load(NULL, &test_env, &rules, &diag), 0);
	s = pst_rules_scratch_create(rules);
	cr_assert_null(pst_rules_info(rules)->apart_note);
	cr_assert_str_eq(hits(SYSLOG, "a\nb"), "00");
	drop_it();
}

Test(frame_scan, a_failed_scan_says_that_any_may_match)
{
	use("rules: [{id: 1, name: a, pattern: abc, action: drop}]\n");
	test_scan_fails = true;
	cr_assert_str_eq(hits(SYSLOG, "---\n---"), "11");
	test_scan_fails = false;
	cr_assert_str_eq(hits(SYSLOG, "---\n---"), "00");
	cr_assert_eq(pst_rules_scan_errors(s), 0);
	drop_it();
}

/* Where most events match, the scan of the frame is left out for a while; other listeners' is not.
 */
Test(frame_scan, rests_where_it_does_not_pay)
{
	char text[1024] = "";
	unsigned scanned = 0, rested = 0;

	for (int i = 0; i < 5; i++)
		strcat(text, "abc and some more that makes it an ordinary line, whatever that is,"
			     " a hundred bytes long or somewhat less\n");
	use("rules: [{id: 1, name: a, pattern: abc, action: drop}]\n");
	for (int i = 0; i < 1000; i++)
		hits(SYSLOG, text);
	for (int i = 0; i < 20000; i++) {
		bool all = strcmp(hits(SYSLOG, "---\n---"), "11") == 0;
		rested += all && scanned == 0;
		scanned += !all;
	}
	cr_assert(rested > 1000 && rested < 10000, "%u", rested);
	cr_assert_eq(rested + scanned, 20000);
	for (int i = 0; i < 1000; i++)
		hits(SYSLOG, text);
	cr_assert_str_eq(hits(SYSLOG, "---\n---"), "11");
	cr_assert_str_eq(hits(FEED, "---\n---"), "00");
	drop_it();
}

/* Where nothing matches, but the supersets are dear to look for, likewise; and it looks again. */
Test(frame_scan, rests_where_it_takes_longer_than_it_saves)
{
	unsigned scanned = 0;

	use("rules: [{id: 1, name: a, pattern: abc, action: drop}]\n");
	test_scan_slow_from = 10;
	for (int i = 0; i < 20000; i++)
		scanned += strcmp(hits(SYSLOG, "---------\n---------\n---------"), "000") == 0;
	cr_assert(scanned > 10 && scanned < 1000, "%u", scanned);
	test_scan_slow_from = UINT32_MAX;
	for (int i = 0; i < 20000; i++)
		hits(SYSLOG, "---------\n---------\n---------");
	cr_assert_str_eq(hits(SYSLOG, "---------\n---------\n---------"), "000");
	drop_it();
}

/* One event in a hundred does not make it rest. */
Test(frame_scan, goes_on_where_it_pays)
{
	use("rules: [{id: 1, name: a, pattern: abc, action: drop}]\n");
	for (int i = 0; i < 20000; i++)
		cr_assert_str_eq(
			hits(SYSLOG, i % 10 ? "---------\n---------\n---------\n---\n---\n---"
					    : "---------\n---------\nabc------\n---\n---\n---"),
			i % 10 ? "000000" : "001000");
	drop_it();
}

/* ---- against the plain way, at random ---- */

static uint64_t state = 11;

static uint32_t
below(uint32_t n)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state >> 33) % n;
}

static const char *
one_of(const char *const *from, size_t cnt)
{
	return from[below((uint32_t)cnt)];
}

/* An expression over a, b, c and line feeds, with assertions wherever they can stand. */
static char *
expression(char *at, unsigned depth)
{
	static const char *const bytes[] = {"a", "b", "c", "ab", "ba", "\\n", "\\x0a", ".", "[ab]",
		"[^a]", "[^\\n]", "[a^$]", "\\w", "\\W", "\\s", "\\S", "[[:alpha:]]", "\\$", "\\^",
		"\\r", "[\\b\\]a]"};
	static const char *const edges[] = {"^", "$", "\\b", "\\B", "\\A", "\\z", "\\Z"};
	static const char *const repeats[] = {"?", "*", "+", "{2}", "{1,3}", "{2,}", "+?", "*?"};
	static const char *const groups[] = {"(", "(?:", "(?i:", "(?s:", "(?m:", "(?-s:"};

	for (uint32_t i = 0, cnt = 1 + below(3); i < cnt; i++) {
		if (below(3) == 0)
			at += sprintf(at, "%s", one_of(edges, PST_ARRAY_CNT(edges)));
		if (depth > 0 && below(4) == 0) {
			at += sprintf(at, "%s", one_of(groups, PST_ARRAY_CNT(groups)));
			at = expression(at, depth - 1);
			if (below(2)) {
				*at++ = '|';
				at = expression(at, depth - 1);
			}
			*at++ = ')';
		} else {
			at += sprintf(at, "%s", one_of(bytes, PST_ARRAY_CNT(bytes)));
		}
		if (below(4) == 0)
			at += sprintf(at, "%s", one_of(repeats, PST_ARRAY_CNT(repeats)));
		if (below(4) == 0)
			at += sprintf(at, "%s", one_of(edges, PST_ARRAY_CNT(edges)));
	}
	*at = '\0';
	return at;
}

static char *
random_rule(char *at, uint32_t id)
{
	static const char *const flags[] = {"", "caseless", "dotall", "multiline",
		"caseless, dotall", "dotall, multiline", "quiet"};
	static const char *const more[] = {"", "", "", "", ", min-offset: 3", ", max-offset: 4",
		", min-length: 2", ", listeners: [syslog]", ", listeners: [feed, metrics]"};
	char pattern[256];
	const char *flag = one_of(flags, PST_ARRAY_CNT(flags));

	expression(pattern, 2);
	return at + sprintf(at, "- {id: %u, name: r, pattern: '%s', flags: [%s]%s%s}\n", id,
			    pattern, flag, strcmp(flag, "quiet") ? ", action: drop" : "",
			    one_of(more, PST_ARRAY_CNT(more)));
}

/* Some rules that Hyperscan takes, and combinations of them. Returns false if there are none. */
static bool
random_rules(void)
{
	char content[8192], *at = content, *end;
	struct pst_diag diag;
	uint32_t cnt = 0;

	at += sprintf(at, "rules:\n");
	for (uint32_t tries = 0; tries < 8; tries++) {
		struct pst_rules *one = NULL;
		end = random_rule(at, cnt + 1);
		test_write("rules.yaml", content);
		if (pst_rules_load(test_path("rules.yaml"), &test_env, &one, &diag) != 0)
			continue;
		if (!pst_rules_info(one)->apart_note) {
			at = end;
			cnt++;
		}
		pst_rules_free(one);
	}
	if (cnt < 2)
		return false;
	sprintf(at,
		"- {id: 50, name: c, combination: '1 & !2', action: keep, priority: 1}\n"
		"- {id: 51, name: c, combination: '!1 & !2', action: quarantine, priority: 2}\n");
	use(content);
	cr_assert_null(pst_rules_info(rules)->apart_note, "%s\n%s",
		pst_rules_info(rules)->apart_note, content);
	return true;
}

static void
random_frame(struct frame *f)
{
	static const char letters[] = "aaabbbcc  AB\n\r^$_0";
	static const char *const separators[] = {"\n", "\r\n", "\n\n", "ab", "a", "", "\\"};
	uint32_t cnt = 2 + below(below(10) ? 8 : 63);

	f->used = f->cnt = 0;
	for (uint32_t i = 0; i < cnt; i++) {
		char event[40];
		uint32_t len = below(below(5) ? 8 : sizeof(event));
		const char *separator = one_of(separators, PST_ARRAY_CNT(separators));
		for (uint32_t j = 0; j < len; j++)
			event[j] = letters[below(sizeof(letters) - 1)];
		add(f, event, len, separator, (uint32_t)strlen(separator));
	}
}

/* What the pipeline does with a datagram, beside the plain way. Returns events without a scan. */
static unsigned
compare(const struct frame *f, uint16_t listener)
{
	/* New ones: none of them rests. */
	struct pst_rules_scratch *together = pst_rules_scratch_create(rules);
	struct pst_rules_scratch *apart = pst_rules_scratch_create(rules);
	uint64_t found = pst_rules_frame_scan(together, listener, f->events, f->cnt);
	unsigned spared = 0;

	for (uint32_t i = 0; i < f->cnt; i++) {
		const struct pst_event *e = &f->events[i];
		struct pst_rules_verdict a, b;
		pst_rules_eval(apart, listener, e->data, e->len, &a);
		if (found >> i & 1)
			pst_rules_eval(together, listener, e->data, e->len, &b);
		else
			pst_rules_eval_unmatched(together, listener, &b);
		spared += !(found >> i & 1);
		expect_same(&a, &b);
	}
	cr_assert_eq(memcmp(pst_rules_counts(together), pst_rules_counts(apart),
			     pst_rules_cnt(rules) * sizeof(struct pst_rules_count)),
		0);
	pst_rules_scratch_destroy(together);
	pst_rules_scratch_destroy(apart);
	return spared;
}

Test(frame_scan, equals_one_scan_an_event)
{
	static struct frame f;
	unsigned sets = 0, spared = 0;

	while (sets < 30) {
		if (!random_rules())
			continue;
		for (unsigned i = 0; i < 100; i++) {
			random_frame(&f);
			spared += compare(&f, (uint16_t)below(3));
		}
		sets++;
		drop_it();
	}
	/* It did tell events apart. */
	cr_assert_gt(spared, 1000);
}
