/* The rules that come with the loopback profile, run from the root of the sources. */
#include "rules/test_set.h"

static const char *const listeners[] = {"syslog", "metrics", "feed"};
static const char *const streams[] = {"syslog", "metrics", "feed", "alerts"};

Test(shipped, each_marker_shows_its_action_and_other_events_are_left_alone)
{
	static const struct {
		const char *event;
		enum pst_rules_action action;
		const char *ids;
	} cases[] = {
		{"<14>app: DEBUG-DEMO cache miss", PST_RULES_DROP, "10"},
		{"<14>su: ALERT-DEMO root on tty1", PST_RULES_ROUTE, "20"},
		{"<14>app: DEBUG-DEMO ALERT-DEMO", PST_RULES_ROUTE, "10 20"},
		{"<14>x: SUSPECT-DEMO ALERT-DEMO", PST_RULES_QUARANTINE, "20 30"},
		{"<14>x: SAMPLE-DEMO 1", PST_RULES_KEEP, "40"},
		{"<14>x: SAMPLE-DEMO 2", PST_RULES_SAMPLED_OUT, "40"},
		{"<14>x: KEEP-DEMO DEBUG-DEMO", PST_RULES_KEEP, "10 50"},
		{"<14>sshd: Login-demo: FAILED for user=ann", PST_RULES_ROUTE, "60"},
		{"<14>sshd: user=probe LOGIN-DEMO failed", PST_RULES_KEEP, ""},
		{"<14>sshd: LOGIN-DEMO failed user=probe", PST_RULES_KEEP, ""},
		{"<14>sshd: LOGIN-DEMO accepted for user=ann", PST_RULES_KEEP, ""},
		{"took NOISE-DEMO 17 ms", PST_RULES_DROP, "1001"},
		{"Heartbeat-Demo", PST_RULES_DROP, "1002"},
		{"PADDING-DEMO", PST_RULES_KEEP, ""},
		{"<34>1 2026-01-02T03:04:05Z host app - - - login failed, debug alert",
			PST_RULES_KEEP, ""},
		{"gorets:1|c", PST_RULES_KEEP, ""},
		{"", PST_RULES_KEEP, ""},
	};
	const struct pst_rules_env env = {.listener_names = listeners,
		.listener_cnt = 3,
		.stream_names = streams,
		.stream_cnt = 4};
	struct pst_rules *rules;
	struct pst_diag diag;

	cr_assert_eq(pst_rules_load("drivers-config/loopback-rules.yaml", &env, &rules, &diag), 0);
	struct pst_rules_scratch *s = pst_rules_scratch_create(rules);
	cr_assert(s);
	for (size_t i = 0; i < PST_ARRAY_CNT(cases); i++) {
		struct pst_rules_verdict v = test_eval(s, 0, cases[i].event);
		cr_assert_eq(v.action, cases[i].action, "%s", cases[i].event);
		cr_assert_str_eq(
			test_ids(&v), cases[i].ids, "%s: %s", cases[i].event, test_ids(&v));
		if (v.action == PST_RULES_ROUTE)
			cr_assert_eq(v.stream_idx, 3);
	}
	pst_rules_scratch_destroy(s);
	pst_rules_free(rules);
}
