/* penstock rules, run from the root of the sources: what it prints and how it ends. */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "penstock.h"

/* In place of main.c's. */
int
pst_usage_error(const char *command, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "usage of %s: ", command);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	return EXIT_USAGE;
}

static char out[8192], err[4096];

static void
read_back(FILE *f, char *text, size_t cap)
{
	rewind(f);
	text[fread(text, 1, cap - 1, f)] = '\0';
	fclose(f);
}

/* `penstock rules WORDS...`, NULL at the end, with input on its standard input. */
static int
run(const char *input, ...)
{
	char *argv[16] = {strdup("rules")};
	int argc = 1, saved[3];
	FILE *files[3];
	va_list args;

	va_start(args, input);
	for (const char *word; (word = va_arg(args, const char *)) != NULL;)
		argv[argc++] = strdup(word);
	va_end(args);
	fflush(NULL);
	for (int i = 0; i < 3; i++) {
		saved[i] = dup(i);
		files[i] = tmpfile();
		cr_assert(files[i]);
		if (i == 0) {
			fputs(input, files[0]);
			rewind(files[0]);
		}
		cr_assert_eq(dup2(fileno(files[i]), i), i);
	}
	clearerr(stdin);
	int status = pst_cmd_rules(argc, argv);
	fflush(NULL);
	for (int i = 0; i < 3; i++) {
		dup2(saved[i], i);
		close(saved[i]);
	}
	fclose(files[0]);
	read_back(files[1], out, sizeof(out));
	read_back(files[2], err, sizeof(err));
	while (argc > 0)
		free(argv[--argc]);
	return status;
}

#define SAMPLES "drivers-config/loopback-rules.yaml"

Test(penstock_rules, check_of_good_rules)
{
	cr_assert_eq(run("", "check", SAMPLES, NULL), EXIT_DONE, "%s", err);
	cr_assert(strstr(out, "OK: " SAMPLES ": 11 rules, 3 of them included, 1 combinations; "
			      "compiled in "),
		"%s", out);
	cr_assert_str_empty(err);
}

static char bad_path[] = "/tmp/pst_cmd_rules_XXXXXX";

static void
write_rules(const char *content)
{
	int fd = mkstemp(bad_path);

	cr_assert(fd >= 0 && write(fd, content, strlen(content)) == (ssize_t)strlen(content));
	close(fd);
}

Test(penstock_rules, check_of_bad_rules)
{
	char expected[256];

	write_rules("rules:\n- {id: 1, name: a, pattern: x, action: stop}\n");
	cr_assert_eq(run("", "check", bad_path, NULL), EXIT_USAGE);
	snprintf(expected, sizeof(expected),
		"%s:2: rules[0].action: unknown action 'stop'\n    remedy: ", bad_path);
	cr_assert_eq(strncmp(err, expected, strlen(expected)), 0, "%s", err);
	cr_assert_str_empty(out);
	cr_assert_eq(run("x\n", "test", bad_path, NULL), EXIT_USAGE);
	cr_assert_str_empty(out);
	unlink(bad_path);
}

Test(penstock_rules, check_names_the_rule_that_keeps_events_apart)
{
	write_rules(
		"rules:\n- {id: 1, name: a, pattern: '^$', flags: [allowempty], action: drop}\n");
	cr_assert_eq(run("", "check", bad_path, NULL), EXIT_DONE);
	cr_assert(strstr(out, "note: events of one datagram are not scanned together: "
			      "without ^, $ and \\b: rule 1 matches the empty string"),
		"%s", out);
	cr_assert_eq(run("", "check", SAMPLES, NULL), EXIT_DONE);
	cr_assert_null(strstr(out, "note: "), "%s", out);
	unlink(bad_path);
}

Test(penstock_rules, test_says_what_would_happen)
{
	static const char events[] = "plain\n"
				     "a DEBUG-DEMO b\n"
				     "ALERT-DEMO DEBUG-DEMO\n"
				     "SUSPECT-DEMO\n"
				     "SAMPLE-DEMO\n"
				     "SAMPLE-DEMO\n"
				     "\n"
				     "LOGIN-DEMO failed";
	static const char expected[] =
		"1: keep by default\n"
		"2: drop by rule 10 (debug-lines); matches 10\n"
		"3: route to alerts by rule 20 (alerts); matches 10 20\n"
		"4: quarantine by rule 30 (suspects); matches 30\n"
		"5: keep by rule 40 (samples); matches 40\n"
		"6: sampled_out by rule 40 (samples); matches 40\n"
		"7: keep by default\n"
		"8: route to alerts by rule 60 (failed-logins); matches 60\n"
		"8 events: 3 keep, 1 drop, 2 route, 1 quarantine, 1 sampled_out\n";

	cr_assert_eq(run(events, "test", SAMPLES, NULL), EXIT_DONE, "%s", err);
	cr_assert_str_eq(out, expected, "%s", out);
}

Test(penstock_rules, test_as_a_listener_s)
{
	write_rules("rules:\n- {id: 1, name: a, pattern: x, action: drop, listeners: [tcp]}\n");
	cr_assert_eq(run("x\n", "test", "--listener", "tcp", bad_path, NULL), EXIT_DONE);
	cr_assert_str_eq(out, "1: drop by rule 1 (a); matches 1\n"
			      "1 events: 0 keep, 1 drop, 0 route, 0 quarantine, 0 sampled_out\n");
	cr_assert_eq(run("x\n", "test", "--listener=udp", bad_path, NULL), EXIT_DONE);
	cr_assert_eq(strncmp(out, "1: keep by default\n", 19), 0, "%s", out);
	cr_assert_eq(run("x\n", "test", bad_path, NULL), EXIT_DONE);
	cr_assert_eq(strncmp(out, "1: keep by default\n", 19), 0, "%s", out);
	unlink(bad_path);
}

Test(penstock_rules, command_line)
{
	cr_assert_eq(run("", "--help", NULL), EXIT_DONE);
	cr_assert(strstr(out, "usage: penstock rules check"));
	cr_assert_eq(run("", NULL), EXIT_USAGE);
	cr_assert(strstr(err, "say check or test"));
	cr_assert_eq(run("", "check", NULL), EXIT_USAGE);
	cr_assert(strstr(err, "give a rules file or a profile"));
	cr_assert_eq(run("", "lint", SAMPLES, NULL), EXIT_USAGE);
	cr_assert(strstr(err, "'lint' is neither check nor test"));
	cr_assert_eq(run("", "check", SAMPLES, "more", NULL), EXIT_USAGE);
	cr_assert(strstr(err, "one argument too many: 'more'"));
	cr_assert_eq(run("", "check", "--listener", "x", SAMPLES, NULL), EXIT_USAGE);
	cr_assert(strstr(err, "check takes no listener"));
	cr_assert_eq(run("", "check", "--nonsense", SAMPLES, NULL), EXIT_USAGE);
	cr_assert_eq(run("", "check", "/nonexistent/rules.yaml", NULL), EXIT_USAGE);
	cr_assert(strstr(err, "/nonexistent/rules.yaml: No such file"), "%s", err);
	cr_assert_eq(run("", "check", "--profile", "/nonexistent.yaml", NULL), EXIT_USAGE);
	cr_assert(strstr(err, "/nonexistent.yaml"), "%s", err);
}

/* A profile of its own, whose devices need not exist. */
Test(penstock_rules, names_are_checked_against_the_profile)
{
	static const char rules[] =
		"rules:\n"
		"- {id: 1, name: a, pattern: x, action: route other}\n"
		"- {id: 2, name: b, pattern: y, action: keep, listeners: [l2]}\n";
	char dir[] = "/tmp/pst_cmd_rules_XXXXXX", profile_path[64], rules_path[64];
	FILE *f;

	cr_assert(mkdtemp(dir));
	snprintf(profile_path, sizeof(profile_path), "%s/profile.yaml", dir);
	snprintf(rules_path, sizeof(rules_path), "%s/rules.yaml", dir);
	f = fopen(rules_path, "w");
	cr_assert(f);
	fputs(rules, f);
	fclose(f);
	for (int has_all = 0; has_all < 2; has_all++) {
		f = fopen(profile_path, "w");
		cr_assert(f);
		fprintf(f,
			"name: test\n"
			"data: {dir: %s/data}\n"
			"memory: {no-huge: true}\n"
			"ports: [{name: p, vdev: 'net_ring0'}]\n"
			"streams: [{name: main}, {name: other%s}]\n"
			"listeners:\n"
			"- {name: l1, addresses: [10.0.0.1], port: 5514, framing: datagram,\n"
			"   stream: main, default-action: drop}\n"
			"- {name: l2, addresses: [10.0.0.1], port: 5515, framing: datagram,\n"
			"   stream: main}\n"
			"rules: {file: %s, cache: %s/cache}\n",
			dir, has_all ? "" : "s", rules_path, dir);
		fclose(f);
		int status = run("x\ny\nz\n", "test", "-p", profile_path, NULL);
		if (!has_all) {
			cr_assert_eq(status, EXIT_USAGE);
			cr_assert(strstr(err, "undeclared stream 'other'"), "%s", err);
			continue;
		}
		cr_assert_eq(status, EXIT_DONE, "%s", err);
		/* Of l1, the first: rule 2 is not its, and its default is to drop. */
		cr_assert(strstr(out, "1: route to other by rule 1 (a); matches 1\n"
				      "2: drop by default\n3: drop by default\n"),
			"%s", out);
		cr_assert_eq(run("y\n", "test", "-p", profile_path, "-l", "l2", NULL), EXIT_DONE);
		cr_assert(strstr(out, "1: keep by rule 2 (b); matches 2\n"), "%s", out);
		cr_assert_eq(run("y\n", "test", "-p", profile_path, "-l", "l3", NULL), EXIT_USAGE);
		cr_assert(strstr(err, "has no listener 'l3'"), "%s", err);
		cr_assert_eq(run("", "check", "-p", profile_path, NULL), EXIT_DONE);
		cr_assert(strstr(out, "taken from the cache"), "%s", out);
	}
	char command[128];
	snprintf(command, sizeof(command), "rm -r %s", dir);
	cr_assert_eq(system(command), 0);
}
