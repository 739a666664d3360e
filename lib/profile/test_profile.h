/* What the tests of lib/profile share: a small good profile and a way to spoil it. */
#ifndef PST_TEST_PROFILE_H
#define PST_TEST_PROFILE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "profile/load.h"

#define GOOD                                                                                       \
	"name: t\n"                       /* 1 */                                                  \
	"data: {dir: /nonexistent/pst}\n" /* 2 */                                                  \
	"ports:\n"                        /* 3 */                                                  \
	"- name: lo\n"                    /* 4 */                                                  \
	"  interface: lo\n"               /* 5 */                                                  \
	"streams:\n"                      /* 6 */                                                  \
	"- name: a\n"                     /* 7 */                                                  \
	"- name: b\n"                     /* 8 */                                                  \
	"listeners:\n"                    /* 9 */                                                  \
	"- name: one\n"                   /* 10 */                                                 \
	"  addresses: [127.0.0.1]\n"      /* 11 */                                                 \
	"  port: 5514\n"                  /* 12 */                                                 \
	"  stream: a\n"                   /* 13 */                                                 \
	"- name: two\n"                   /* 14 */                                                 \
	"  addresses: [\"*\"]\n"          /* 15 */                                                 \
	"  port: 8125\n"                  /* 16 */                                                 \
	"  stream: b\n"                   /* 17 */
#define EXTRA_LINE 18                     /* of what is put behind it */

static char test_path[64];

static inline int
load_text(const char *text, struct pst_profile **out, struct pst_diag *diag)
{
	int fd = memfd_create("profile", 0);
	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	snprintf(test_path, sizeof(test_path), "/proc/self/fd/%d", fd);
	int rc = pst_profile_load(test_path, out, diag);
	close(fd);
	return rc;
}

/* GOOD with the one place that reads old made into new, and extra behind it. */
static inline const char *
spoil(const char *old, const char *new, const char *extra)
{
	static char text[65536];
	const char *at = strstr(GOOD, old);
	cr_assert(at && !strstr(at + 1, old), "\"%s\" is not there once", old);
	snprintf(text, sizeof(text), "%.*s%s%s%s", (int)(at - GOOD), GOOD, new, at + strlen(old),
		extra);
	return text;
}

static inline struct pst_profile *
load_good(const char *text)
{
	struct pst_profile *p = NULL;
	struct pst_diag diag = {0};
	int rc = load_text(text, &p, &diag);
	cr_assert_eq(rc, 0, "line %u: %s: %s", diag.line, diag.key, diag.text);
	return p;
}

static inline void
assert_bad(const char *text, unsigned line, const char *key, const char *says, const char *remedy)
{
	struct pst_profile *p = (struct pst_profile *)test_path;
	struct pst_diag diag = {0};
	cr_assert_eq(load_text(text, &p, &diag), -1, "%s: accepted (wanted: %s)", key, says);
	cr_expect_str_eq(diag.file, test_path);
	cr_expect_eq(diag.line, line, "%s: line %u, not %u", diag.key, diag.line, line);
	cr_expect_str_eq(diag.key, key, "%s: %s", diag.key, diag.text);
	cr_expect(strstr(diag.text, says), "%s: %s", key, diag.text);
	cr_expect(diag.remedy[0] && strstr(diag.remedy, remedy), "%s: %s", key, diag.remedy);
	cr_expect_eq((void *)p, (void *)test_path, "the output stays untouched");
}

#define SPOILED(old, new, line, key, says, remedy)                                                 \
	assert_bad(spoil(old, new, ""), line, key, says, remedy)
#define EXTRA(text, key, says, remedy) assert_bad(GOOD text, EXTRA_LINE, key, says, remedy)

#endif
