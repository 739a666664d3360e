#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "rules/compile.h"
#include "rules/test_set.h"

TestSuite(compile, .init = test_setup, .fini = test_teardown);

static const struct pst_rules_compile_limits roomy = {
	.cpu_s = 60, .bytes = 1ull << 30, .wall_ms = 600000};

static struct pst_rules_compile_result
compile(const char *pattern, const struct pst_rules_compile_limits *limits)
{
	const char *patterns[] = {"first", pattern};
	const unsigned flags[] = {0, 0}, ids[] = {0, 1};
	const hs_expr_ext_t *exts[] = {NULL, NULL};
	const struct pst_rules_compile_job job = {patterns, flags, ids, exts, 2};
	struct pst_rules_compile_result result;

	pst_rules_compile(&job, limits, &result);
	/* No child is left behind. */
	cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
	cr_assert_eq(errno, ECHILD);
	return result;
}

Test(compile, gives_a_database)
{
	struct pst_rules_compile_result r = compile("second", &roomy);
	hs_database_t *db;

	cr_assert_eq(r.status, PST_RULES_COMPILED);
	cr_assert_eq(hs_deserialize_database((char *)r.bytes, r.len, &db), HS_SUCCESS);
	hs_free_database(db);
	free(r.bytes);
}

Test(compile, refusal_names_the_expression)
{
	struct pst_rules_compile_result r = compile("(", &roomy);

	cr_assert_eq(r.status, PST_RULES_COMPILE_REFUSED);
	cr_assert_eq(r.expression, 1);
	cr_assert(strstr(r.text, "Missing close parenthesis"), "%s", r.text);
}

Test(compile, cpu_limit_ends_it)
{
	struct pst_rules_compile_limits limits = roomy;

	limits.cpu_s = 1;
	test_compile = COMPILE_SPIN;
	cr_assert_eq(compile("x", &limits).status, PST_RULES_COMPILE_CPU);
}

Test(compile, child_that_sleeps_is_ended)
{
	struct pst_rules_compile_limits limits = roomy;

	limits.wall_ms = 50;
	test_compile = COMPILE_SLEEP;
	cr_assert_eq(compile("x", &limits).status, PST_RULES_COMPILE_WALL);
}

Test(compile, memory_limit_counts_beyond_what_is_mapped)
{
	test_compile = COMPILE_EAT;
	cr_assert_eq(compile("x", &roomy).status, PST_RULES_COMPILE_MEMORY);
	/* Far less than this process has mapped, and yet nearly all of it is there to take. */
	struct pst_rules_compile_limits limits = roomy;
	limits.bytes = 16 << 20;
	test_compile = COMPILE_MEASURE;
	struct pst_rules_compile_result r = compile("x", &limits);
	cr_assert_eq(r.status, PST_RULES_COMPILE_REFUSED);
	cr_assert_geq(atoi(r.text), 14, "%s MiB", r.text);
	cr_assert_leq(atoi(r.text), 16, "%s MiB", r.text);
}

Test(compile, death_of_the_child_is_told)
{
	test_compile = COMPILE_ABORT;
	struct pst_rules_compile_result r = compile("x", &roomy);
	cr_assert_eq(r.status, PST_RULES_COMPILE_CRASHED);
	cr_assert_eq(r.signal_number, SIGABRT);
	test_compile = COMPILE_EXIT;
	r = compile("x", &roomy);
	cr_assert_eq(r.status, PST_RULES_COMPILE_CRASHED);
	cr_assert_eq(r.signal_number, 0);
}

Test(compile, answer_beyond_the_limit_is_not_taken)
{
	struct pst_rules_compile_limits limits = roomy;

	/* The child may use that much on top of a full page or two: too little for an answer. */
	limits.bytes = 100;
	struct pst_rules_compile_result r = compile("x", &limits);
	cr_assert_neq(r.status, PST_RULES_COMPILED);
	cr_assert_null(r.bytes);
}

Test(compile, child_holds_none_of_our_files)
{
	int fds[40];

	for (size_t i = 0; i < PST_ARRAY_CNT(fds); i++) {
		fds[i] = open("/dev/null", O_RDONLY);
		cr_assert_geq(fds[i], 0);
	}
	test_compile = COMPILE_LOOK_AT_FDS;
	for (size_t closed = 0; closed < PST_ARRAY_CNT(fds); closed += 13) {
		/* The pipe takes the lowest free number: below, between and above the others. */
		close(fds[closed]);
		struct pst_rules_compile_result r = compile("x", &roomy);
		cr_assert_eq(r.status, PST_RULES_COMPILE_REFUSED);
		cr_assert_str_eq(r.text, "0 files open");
	}
	cr_assert_eq(fcntl(fds[1], F_GETFD), 0);
}

static void
handler(int signal)
{
}

/* A signal ends the child whatever we have made of it, and our own mask stays as it was. */
Test(compile, child_has_neither_our_handlers_nor_our_mask)
{
	struct sigaction action = {.sa_handler = handler};
	sigset_t blocked, after;

	for (int block = 0; block < 2; block++) {
		sigaction(SIGUSR1, &action, NULL);
		sigemptyset(&blocked);
		sigaddset(&blocked, SIGUSR1);
		sigprocmask(block ? SIG_BLOCK : SIG_UNBLOCK, &blocked, NULL);
		test_compile = COMPILE_RAISE;
		struct pst_rules_compile_result r = compile("x", &roomy);
		cr_assert_eq(r.status, PST_RULES_COMPILE_CRASHED);
		cr_assert_eq(r.signal_number, SIGUSR1);
		sigprocmask(SIG_SETMASK, NULL, &after);
		cr_assert_eq(sigismember(&after, SIGUSR1), block);
		cr_assert_eq(sigismember(&after, SIGTERM), 0);
	}
}

/* As a whole: the message names the rules file and the limit. */
Test(compile, message_of_a_limit)
{
	struct pst_rules_env env = test_env;
	struct pst_rules *rules = NULL;
	struct pst_diag diag;

	env.compile_cpu_s_max = 1;
	test_compile = COMPILE_SPIN;
	test_write("rules.yaml", "rules: [{id: 1, name: a, pattern: a, action: keep}]\n");
	cr_assert_eq(pst_rules_load(test_path("rules.yaml"), &env, &rules, &diag), -1);
	cr_assert_str_eq(diag.file, test_path("rules.yaml"));
	cr_assert(strstr(diag.text, "more than the limit of 1 s of CPU time"), "%s", diag.text);
	cr_assert_str_not_empty(diag.remedy);
	test_compile = COMPILE_EAT;
	cr_assert_eq(pst_rules_load(test_path("rules.yaml"), &env, &rules, &diag), -1);
	cr_assert(strstr(diag.text, "more than the limit of 1073741824 bytes"), "%s", diag.text);
	test_compile = COMPILE_ABORT;
	cr_assert_eq(pst_rules_load(test_path("rules.yaml"), &env, &rules, &diag), -1);
	cr_assert(strstr(diag.text, "died (signal 6"), "%s", diag.text);
	cr_assert_null(rules);
}
