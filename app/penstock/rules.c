/* penstock rules check | test: a rules file, by the code that the daemon loads it with. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "penstock.h"
#include "profile/profile.h"
#include "rules/rules.h"

struct options {
	const char *file;     /* NULL: the profile's */
	const char *profile;  /* NULL: names of listeners and streams are taken as they come */
	const char *listener; /* NULL: the profile's first; without one, a listener no rule names */
};

static void
print_help(FILE *out)
{
	fputs("usage: penstock rules check [--profile PROFILE] [FILE]\n"
	      "       penstock rules test [--profile PROFILE] [--listener NAME] [FILE] <EVENTS\n"
	      "\n"
	      "check   reads, checks and compiles a rules file with the pattern files that it\n"
	      "        includes. Prints a line of what it holds, or the mistake with its place\n"
	      "        and its remedy.\n"
	      "test    does the same, then takes each line of its input as one event and prints\n"
	      "        what would happen to it, which rule decides, and which rules match. The\n"
	      "        line feed is not part of the event. A sum follows at the end.\n"
	      "\n"
	      "Options:\n"
	      "  -p, --profile PROFILE  checks the names of listeners and streams against this\n"
	      "                         profile, and uses its limits, its cache of compiled\n"
	      "                         rules and, if FILE is not given, its rules file.\n"
	      "                         Without it any name is taken.\n"
	      "  -l, --listener NAME    the listener that the events come in by (default: the\n"
	      "                         profile's first; without a profile, one that no rule\n"
	      "                         names, which keeps what no rule decides on)\n"
	      "  -h, --help             print this\n"
	      "\n"
	      "Exit status: 0 the rules are good; 1 the events could not be read to the end;\n"
	      "2 the rules, the profile or the command line are wrong.\n"
	      "\n"
	      "The form of a rules file is described in docs/rules.md.\n",
		out);
}

struct loaded {
	struct pst_profile *profile; /* NULL: none given */
	struct pst_rules *rules;
	const char *file;
};

/* Everything the daemon takes from the profile for its rules. */
static int
load_with_profile(struct loaded *l, struct pst_diag *diag)
{
	const struct pst_profile *p = l->profile;
	const char *listener_names[PST_LISTENERS_MAX], *stream_names[PST_STREAMS_MAX];
	bool listener_default_drop[PST_LISTENERS_MAX];
	struct pst_rules_env env = {.listener_names = listener_names,
		.listener_default_drop = listener_default_drop,
		.listener_cnt = p->listener_cnt,
		.stream_names = stream_names,
		.stream_cnt = p->declared_stream_cnt,
		.cache_dir = p->rules_cache,
		.compile_cpu_s_max = p->rules_compile_cpu_s_max,
		.compile_bytes_max = p->rules_compile_bytes_max};

	for (uint16_t i = 0; i < p->listener_cnt; i++) {
		listener_names[i] = p->listeners[i].name;
		listener_default_drop[i] = p->listeners[i].default_drop;
	}
	for (uint16_t i = 0; i < env.stream_cnt; i++)
		stream_names[i] = p->streams[i].name;
	return pst_rules_load(l->file, &env, &l->rules, diag);
}

static int
load(const struct options *o, struct loaded *l)
{
	const struct pst_rules_env any = {0};
	struct pst_diag diag;
	int rc = 0;

	*l = (struct loaded){.file = o->file};
	if (o->profile)
		rc = pst_profile_load(o->profile, &l->profile, &diag);
	if (rc == 0 && !l->file)
		l->file = l->profile->rules_file;
	if (rc == 0 && !l->file)
		return pst_usage_error("rules", "%s names no rules file: give FILE", o->profile);
	if (rc == 0)
		rc = l->profile ? load_with_profile(l, &diag)
				: pst_rules_load(l->file, &any, &l->rules, &diag);
	if (rc != 0) {
		pst_diag_print(stderr, &diag);
		return EXIT_USAGE;
	}
	if (pst_rules_info(l->rules)->cache_note)
		fprintf(stderr, "warning: %s\n", pst_rules_info(l->rules)->cache_note);
	return EXIT_DONE;
}

static void
unload(struct loaded *l)
{
	pst_rules_free(l->rules);
	if (l->profile)
		pst_profile_free(l->profile);
}

static int
check(const struct options *o)
{
	struct loaded l;
	int status = load(o, &l);

	if (status == EXIT_DONE) {
		const struct pst_rules_info *info = pst_rules_info(l.rules);
		printf("OK: %s: %u rules, %u of them included, %u combinations", l.file,
			info->rule_cnt, info->included_cnt, info->combination_cnt);
		if (info->negative_cnt)
			printf(" (%u hold when nothing matches)", info->negative_cnt);
		printf("; %s in %.1f ms, %llu bytes; sha256 %s\n",
			info->from_cache ? "taken from the cache" : "compiled",
			(double)info->load_ns / 1e6, (unsigned long long)info->database_bytes,
			pst_rules_hash(l.rules));
		if (info->apart_note)
			printf("note: events of one datagram are not scanned together: %s\n",
				info->apart_note);
	}
	unload(&l);
	return status;
}

/* Index of the listener that the events come in by, or -1 with a message. */
static int
pick_listener(const struct options *o, const struct loaded *l)
{
	int idx;

	if (!o->listener)
		return l->profile ? 0 : 63; /* without a profile, the rules can name 0 to 62 */
	idx = pst_rules_listener_find(l->rules, o->listener);
	if (idx < 0 && !l->profile)
		return 63;
	if (idx < 0)
		pst_usage_error("rules", "%s has no listener '%s'", o->profile, o->listener);
	return idx;
}

static void
print_verdict(const struct pst_rules *rules, unsigned long line, const struct pst_rules_verdict *v)
{
	const struct pst_rule *rule = v->rule_idx >= 0 ? pst_rules_get(rules, (uint32_t)v->rule_idx)
						       : NULL;

	printf("%lu: %s", line, pst_rules_action_name(v->action));
	if (v->action == PST_RULES_ROUTE)
		printf(" to %s", pst_rules_stream_name(rules, v->stream_idx));
	if (v->scan_error)
		printf(" because the scan failed");
	else if (rule)
		printf(" by rule %u (%s)", rule->id, rule->name);
	else
		printf(" by default");
	for (uint16_t i = 0; i < v->match_cnt; i++)
		printf("%s%u", i ? " " : "; matches ", v->match_ids[i]);
	/* As many as a record holds: there may be more. */
	puts(v->match_cnt == PST_RULES_MATCH_MAX ? " ..." : "");
}

static int
test_events(const struct pst_rules *rules, struct pst_rules_scratch *scratch, uint16_t listener_idx)
{
	unsigned long event_cnt = 0, action_cnt[PST_RULES_SAMPLED_OUT + 1] = {0};
	struct pst_rules_verdict verdict;
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;

	errno = 0;
	while ((len = getline(&line, &cap, stdin)) >= 0) {
		len -= len > 0 && line[len - 1] == '\n';
		pst_rules_eval(
			scratch, listener_idx, (const uint8_t *)line, (uint32_t)len, &verdict);
		action_cnt[verdict.action]++;
		print_verdict(rules, ++event_cnt, &verdict);
	}
	free(line);
	if (ferror(stdin)) {
		fprintf(stderr, "penstock rules: standard input: %s\n", strerror(errno));
		return EXIT_FINDING;
	}
	printf("%lu events: %lu keep, %lu drop, %lu route, %lu quarantine, %lu sampled_out\n",
		event_cnt, action_cnt[PST_RULES_KEEP], action_cnt[PST_RULES_DROP],
		action_cnt[PST_RULES_ROUTE], action_cnt[PST_RULES_QUARANTINE],
		action_cnt[PST_RULES_SAMPLED_OUT]);
	return EXIT_DONE;
}

static int
test(const struct options *o)
{
	struct loaded l;
	int listener_idx, status = load(o, &l);

	if (status == EXIT_DONE) {
		listener_idx = pick_listener(o, &l);
		struct pst_rules_scratch *scratch = pst_rules_scratch_create(l.rules);
		if (listener_idx < 0) {
			status = EXIT_USAGE;
		} else if (!scratch) {
			fprintf(stderr, "penstock rules: out of memory\n");
			status = EXIT_FINDING;
		} else {
			status = test_events(l.rules, scratch, (uint16_t)listener_idx);
		}
		pst_rules_scratch_destroy(scratch);
	}
	unload(&l);
	return status;
}

int
pst_cmd_rules(int argc, char **argv)
{
	static const struct option long_options[] = {{"profile", required_argument, NULL, 'p'},
		{"listener", required_argument, NULL, 'l'}, {"help", no_argument, NULL, 'h'}, {0}};
	struct options o = {0};
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "p:l:h", long_options, NULL)) != -1) {
		if (c == 'h') {
			print_help(stdout);
			return EXIT_DONE;
		}
		if (c == 'p')
			o.profile = optarg;
		else if (c == 'l')
			o.listener = optarg;
		else
			return pst_usage_error("rules", "the command line cannot be read");
	}
	const char *what = optind < argc ? argv[optind++] : NULL;
	if (!what)
		return pst_usage_error("rules", "say check or test");
	if (optind < argc)
		o.file = argv[optind++];
	if (optind < argc)
		return pst_usage_error("rules", "one argument too many: '%s'", argv[optind]);
	if (!o.file && !o.profile)
		return pst_usage_error("rules", "give a rules file or a profile");
	if (strcmp(what, "test") == 0)
		return test(&o);
	if (strcmp(what, "check") != 0)
		return pst_usage_error("rules", "'%s' is neither check nor test", what);
	if (o.listener)
		return pst_usage_error("rules", "check takes no listener");
	return check(&o);
}
