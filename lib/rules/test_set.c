#include "rules/test_set.h"

#include <ftw.h>
#include <hs/hs.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

char test_dir[64];
enum test_compile test_compile;
bool test_scan_fails;
unsigned test_scan_slow_from = UINT32_MAX;

const char *
test_path(const char *name)
{
	static char paths[4][128];
	static unsigned turn;
	char *path = paths[turn++ % PST_ARRAY_CNT(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s", test_dir, name);
	return path;
}

void
test_write(const char *name, const char *content)
{
	FILE *f = fopen(test_path(name), "w");

	cr_assert(f);
	cr_assert_eq(fwrite(content, 1, strlen(content), f), strlen(content));
	cr_assert_eq(fclose(f), 0);
}

void
test_setup(void)
{
	strcpy(test_dir, "/tmp/pst_rules_XXXXXX");
	cr_assert(mkdtemp(test_dir));
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void
test_teardown(void)
{
	nftw(test_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *const listeners[] = {"syslog", "metrics", "feed"};
static const bool default_drop[] = {false, true, false};
static const char *const streams[] = {"syslog", "metrics", "alerts"};

const struct pst_rules_env test_env = {.listener_names = listeners,
	.listener_default_drop = default_drop,
	.listener_cnt = 3,
	.stream_names = streams,
	.stream_cnt = 3,
	.compile_cpu_s_max = 60,
	.compile_bytes_max = 1ull << 30};

struct pst_rules *
test_load(const char *content)
{
	struct pst_rules *rules = NULL;
	struct pst_diag diag;

	test_write("rules.yaml", content);
	if (pst_rules_load(test_path("rules.yaml"), &test_env, &rules, &diag) != 0) {
		pst_diag_print(stderr, &diag);
		cr_assert(0, "does not load: %s", diag.text);
	}
	return rules;
}

struct pst_diag
test_load_bad(const char *content)
{
	struct pst_rules *rules = NULL;
	struct pst_diag diag;

	test_write("rules.yaml", content);
	cr_assert_eq(pst_rules_load(test_path("rules.yaml"), &test_env, &rules, &diag), -1,
		"loads, but should not:\n%s", content);
	cr_assert_null(rules);
	return diag;
}

struct pst_rules_verdict
test_eval(struct pst_rules_scratch *s, uint16_t listener, const char *event)
{
	struct pst_rules_verdict v;

	memset(&v, 0xa5, sizeof(v));
	pst_rules_eval(s, listener, (const uint8_t *)event, (uint32_t)strlen(event), &v);
	return v;
}

const char *
test_ids(const struct pst_rules_verdict *v)
{
	static char text[PST_RULES_MATCH_MAX * 12];
	char *at = text;

	text[0] = '\0';
	for (uint16_t i = 0; i < v->match_cnt; i++)
		at += sprintf(at, "%s%u", i ? " " : "", v->match_ids[i]);
	return text;
}

/* The library calls these in place of Hyperscan's. */
hs_error_t __real_hs_scan(const hs_database_t *, const char *, unsigned, unsigned, hs_scratch_t *,
	match_event_handler, void *);
hs_error_t __wrap_hs_scan(const hs_database_t *, const char *, unsigned, unsigned, hs_scratch_t *,
	match_event_handler, void *);
hs_error_t __real_hs_compile_ext_multi(const char *const *, const unsigned *, const unsigned *,
	const hs_expr_ext_t *const *, unsigned, unsigned, const hs_platform_info_t *,
	hs_database_t **, hs_compile_error_t **);
hs_error_t __wrap_hs_compile_ext_multi(const char *const *, const unsigned *, const unsigned *,
	const hs_expr_ext_t *const *, unsigned, unsigned, const hs_platform_info_t *,
	hs_database_t **, hs_compile_error_t **);

/* A failing scan has reported its matches already. */
hs_error_t
__wrap_hs_scan(const hs_database_t *db, const char *data, unsigned len, unsigned flags,
	hs_scratch_t *scratch, match_event_handler on_event, void *ctx)
{
	hs_error_t rc = __real_hs_scan(db, data, len, flags, scratch, on_event, ctx);

	for (volatile unsigned i = 0; len >= test_scan_slow_from && i < 30000; i++)
		;
	return test_scan_fails ? HS_SCRATCH_IN_USE : rc;
}

static hs_error_t
fail_with(const char *text, hs_compile_error_t **error)
{
	static hs_compile_error_t e = {.expression = -1};

	e.message = (char *)text;
	*error = &e;
	return HS_COMPILER_ERROR;
}

hs_error_t
__wrap_hs_compile_ext_multi(const char *const *patterns, const unsigned *flags, const unsigned *ids,
	const hs_expr_ext_t *const *exts, unsigned cnt, unsigned mode,
	const hs_platform_info_t *platform, hs_database_t **db, hs_compile_error_t **error)
{
	static char text[64];
	int open_cnt = 0, mib = 0;

	switch (test_compile) {
	case COMPILE_SPIN:
		for (volatile unsigned i = 0;; i++)
			;
	case COMPILE_SLEEP:
		for (;;)
			pause();
	case COMPILE_ABORT:
		abort();
	case COMPILE_EXIT:
		_exit(0);
	case COMPILE_EAT:
		while (mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0) != MAP_FAILED)
			;
		return fail_with("Unable to allocate memory.", error);
	case COMPILE_MEASURE:
		while (mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0) != MAP_FAILED)
			mib++;
		snprintf(text, sizeof(text), "%d", mib);
		return fail_with(text, error);
	case COMPILE_RAISE:
		raise(SIGUSR1);
		_exit(0);
	case COMPILE_LOOK_AT_FDS:
		for (int fd = 3; fd < 1024; fd++)
			open_cnt += lseek(fd, 0, SEEK_CUR) != -1;
		snprintf(text, sizeof(text), "%d files open", open_cnt);
		return fail_with(text, error);
	default:
		return __real_hs_compile_ext_multi(
			patterns, flags, ids, exts, cnt, mode, platform, db, error);
	}
}
