/* For the tests of this library: a directory of files that goes away, and sets loaded from it. */
#ifndef PST_RULES_TEST_SET_H
#define PST_RULES_TEST_SET_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "rules/rules.h"

extern char test_dir[64];

/* Path of a file in test_dir (static buffer, a few in turn). */
const char *test_path(const char *name);
void test_write(const char *name, const char *content);

void test_setup(void);
void test_teardown(void);

/* Listeners syslog, metrics (drops by default), feed; streams syslog, metrics, alerts. */
extern const struct pst_rules_env test_env;

/* Writes content to rules.yaml and loads it; the test fails if it does not load. */
struct pst_rules *test_load(const char *content);

/* The same, and fails if it does load. */
struct pst_diag test_load_bad(const char *content);

/* One event on a listener by the index of test_env. */
struct pst_rules_verdict test_eval(
	struct pst_rules_scratch *s, uint16_t listener, const char *event);

/* "10 20": the ids that matched. Static buffer. */
const char *test_ids(const struct pst_rules_verdict *v);

/* What hs_compile_ext_multi does in the child. */
enum test_compile {
	COMPILE_REALLY,
	COMPILE_SPIN,
	COMPILE_SLEEP,
	COMPILE_ABORT,
	COMPILE_EXIT,
	COMPILE_EAT,
	COMPILE_LOOK_AT_FDS,
	COMPILE_MEASURE,
	COMPILE_RAISE
};
extern enum test_compile test_compile;

/* What hs_scan does; the slow: of that many bytes or more. */
extern bool test_scan_fails;
extern unsigned test_scan_slow_from;

#endif
