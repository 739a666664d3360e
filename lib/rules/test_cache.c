#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "rules/cache.h"
#include "rules/test_set.h"

TestSuite(cache, .init = test_setup, .fini = test_teardown);

static char cache_dir[128], note[512];

static void
use_cache(void)
{
	snprintf(cache_dir, sizeof(cache_dir), "%s", test_path("deep/cache"));
}

/* Loads one rule with the cache; the rest of the test looks at info. */
static struct pst_rules_info
load(const char *content)
{
	struct pst_rules_env env = test_env;
	struct pst_rules *rules;
	struct pst_diag diag;
	struct pst_rules_info info;

	env.cache_dir = cache_dir;
	test_write("rules.yaml", content);
	cr_assert_eq(
		pst_rules_load(test_path("rules.yaml"), &env, &rules, &diag), 0, "%s", diag.text);
	struct pst_rules_scratch *s = pst_rules_scratch_create(rules);
	cr_assert(s);
	/* Whatever the cache does, the rule works. */
	cr_assert_eq(test_eval(s, 0, "say abc").action, PST_RULES_DROP);
	cr_assert_eq(test_eval(s, 0, "say cba").action, PST_RULES_KEEP);
	info = *pst_rules_info(rules);
	snprintf(note, sizeof(note), "%s", info.cache_note ? info.cache_note : "");
	cr_assert_eq(info.from_cache, pst_rules_from_cache(rules));
	pst_rules_scratch_destroy(s);
	pst_rules_free(rules);
	return info;
}

#define RULE "rules: [{id: 1, name: a, pattern: abc, action: drop}]\n"

/* Path of the n-th of the entries; static buffer. NULL: there are fewer. */
static const char *
entry(unsigned n)
{
	static char path[512];
	struct dirent *e;
	DIR *d = opendir(cache_dir);
	bool found = false;

	while (d && !found && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.' || n-- > 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", cache_dir, e->d_name);
		found = true;
	}
	if (d)
		closedir(d);
	return found ? path : NULL;
}

static mode_t
mode_of(const char *path)
{
	struct stat st;

	cr_assert_eq(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

Test(cache, second_load_takes_the_first_one_s_database)
{
	use_cache();
	umask(0);
	cr_assert_not(load(RULE).from_cache);
	cr_assert_str_empty(note);
	cr_assert_eq(mode_of(cache_dir), 0700);
	/* The patterns', and their supersets'. */
	cr_assert_eq(mode_of(entry(0)), 0600);
	cr_assert_eq(mode_of(entry(1)), 0600);
	cr_assert_null(entry(2));
	/* Where the compiler cannot have run. */
	test_compile = COMPILE_ABORT;
	cr_assert(load(RULE).from_cache);
	cr_assert_str_empty(note);
}

Test(cache, key_is_what_the_compiler_sees)
{
	use_cache();
	load(RULE);
	test_compile = COMPILE_ABORT;
	/* Nothing of this reaches the compiler. */
	cr_assert(load("# changed\nrules: [{id: 9, name: b, pattern: abc, action: drop,\n"
		       "priority: 7, listeners: [syslog]}]\n")
			  .from_cache);
	/* All of this does. */
	test_compile = COMPILE_REALLY;
	cr_assert_not(load("rules: [{id: 1, name: a, pattern: ab+c, action: drop}]\n").from_cache);
	cr_assert_not(
		load("rules: [{id: 1, name: a, pattern: abc, flags: [caseless], action: drop}]\n")
			.from_cache);
	cr_assert_not(load("rules: [{id: 1, name: a, pattern: abc, min-offset: 1, action: drop}]\n")
			      .from_cache);
	cr_assert_not(load("rules: [{id: 1, name: a, pattern: abc, min-offset: 2, action: drop}]\n")
			      .from_cache);
	cr_assert_not(load("rules: [{id: 1, name: a, pattern: abc, action: drop},\n"
			   "{id: 2, name: b, pattern: xyz, action: drop}]\n")
			      .from_cache);
	/* The same patterns, but the number of the first has moved. */
	cr_assert_not(load("rules: [{id: 1, name: a, pattern: abc, action: drop},\n"
			   "{id: 0, name: b, pattern: xyz, action: drop}]\n")
			      .from_cache);
	/* Also behind a combination, which is not compiled. */
	cr_assert_not(load("rules: [{id: 1, name: a, pattern: abc, action: drop},\n"
			   "{id: 0, name: b, combination: '1', action: drop}]\n")
			      .from_cache);
}

/* Supersets do not depend on ^, and what is taken for them is not what is taken for the patterns.
 */
Test(cache, patterns_and_supersets_have_entries_of_their_own)
{
	use_cache();
	load(RULE);
	cr_assert_not(
		load("rules: [{id: 1, name: a, pattern: '^say abc', action: drop}]\n").from_cache);
	cr_assert(entry(3));
	cr_assert_null(entry(4));
	cr_assert_not(
		load("rules: [{id: 1, name: a, pattern: 'say abc$', action: drop}]\n").from_cache);
	cr_assert(entry(5));
	cr_assert(load(RULE).from_cache);
}

Test(cache, damaged_entries_are_compiled_anew)
{
	static const off_t places[] = {0, 8, 12, 20, 30, 60, 88, 600};
	struct stat st;
	char path[512];

	use_cache();
	load(RULE);
	snprintf(path, sizeof(path), "%s", entry(0));
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_gt(st.st_size, 700);
	for (size_t i = 0; i < PST_ARRAY_CNT(places); i++) {
		int fd = open(path, O_RDWR);
		uint8_t byte;
		cr_assert_eq(pread(fd, &byte, 1, places[i]), 1);
		byte ^= 0x10;
		cr_assert_eq(pwrite(fd, &byte, 1, places[i]), 1);
		close(fd);
		cr_assert_not(load(RULE).from_cache, "byte %ld", (long)places[i]);
		cr_assert(strstr(note, "is damaged"), "%s", note);
		/* It was replaced. */
		cr_assert(load(RULE).from_cache);
	}
	static const off_t lengths[] = {0, 1, 87, 88, 89, 500};
	for (size_t i = 0; i < PST_ARRAY_CNT(lengths); i++) {
		cr_assert_eq(truncate(path, lengths[i]), 0);
		cr_assert_not(load(RULE).from_cache, "length %ld", (long)lengths[i]);
		cr_assert(strstr(note, "is damaged"), "%s", note);
	}
	cr_assert_eq(truncate(path, st.st_size + 1), 0);
	cr_assert_not(load(RULE).from_cache);
}

Test(cache, another_entry_under_this_name_is_not_taken)
{
	char first[512];

	use_cache();
	load(RULE);
	snprintf(first, sizeof(first), "%s", entry(0));
	load("rules: [{id: 1, name: a, pattern: abc|x, action: drop}]\n");
	cr_assert(entry(1));
	const char *second = strcmp(entry(0), first) ? entry(0) : entry(1);
	cr_assert_eq(rename(second, first), 0);
	cr_assert_not(load(RULE).from_cache);
	cr_assert(strstr(note, "is damaged"), "%s", note);
}

/* A whole entry with a right checksum, of something that is no database. */
Test(cache, what_hyperscan_does_not_take_is_compiled_anew)
{
	uint8_t key[PST_RULES_CACHE_KEY_BYTES], junk[64] = {1, 2, 3};
	char why[256];

	use_cache();
	load(RULE);
	const char *name = strrchr(entry(0), '/') + 1;
	for (unsigned i = 0; i < sizeof(key); i++)
		cr_assert_eq(sscanf(name + 2 * i, "%2hhx", &key[i]), 1);
	cr_assert_eq(pst_rules_cache_put(cache_dir, key, junk, sizeof(junk), why, sizeof(why)), 0);
	cr_assert_not(load(RULE).from_cache);
	cr_assert(load(RULE).from_cache);
}

Test(cache, what_others_could_have_written_is_refused)
{
	use_cache();
	load(RULE);
	for (mode_t bit = 0020; bit >= 0002; bit >>= 3) {
		cr_assert_eq(chmod(entry(0), 0600 | bit), 0);
		cr_assert_not(load(RULE).from_cache);
		cr_assert(strstr(note, "is writable by group or others"), "%s", note);
		/* The directory is ours alone, so the entry could be replaced. */
		cr_assert_eq(mode_of(entry(0)), 0600);
		cr_assert(load(RULE).from_cache);

		cr_assert_eq(chmod(cache_dir, 0700 | bit), 0);
		for (int i = 0; i < 2; i++) {
			cr_assert_not(load(RULE).from_cache);
			cr_assert(
				strstr(note, "/cache: is writable by group or others"), "%s", note);
		}
		cr_assert_eq(chmod(cache_dir, 0755), 0);
		cr_assert(load(RULE).from_cache);
	}
}

Test(cache, symbolic_links_are_refused)
{
	char real[256], path[512];

	use_cache();
	load(RULE);
	snprintf(real, sizeof(real), "%s", test_path("real"));
	snprintf(path, sizeof(path), "%s", entry(0));
	cr_assert_eq(rename(path, real), 0);
	cr_assert_eq(symlink(real, path), 0);
	cr_assert_not(load(RULE).from_cache);
	cr_assert(strstr(note, ".hsdb: is a symbolic link"), "%s", note);
	cr_assert(load(RULE).from_cache);

	cr_assert_eq(rename(cache_dir, test_path("elsewhere")), 0);
	cr_assert_eq(symlink(test_path("elsewhere"), cache_dir), 0);
	for (int i = 0; i < 2; i++) {
		cr_assert_not(load(RULE).from_cache);
		cr_assert(strstr(note, "/cache: is a symbolic link"), "%s", note);
	}
}

Test(cache, another_user_s_files_are_refused)
{
	if (geteuid() != 0)
		cr_skip_test("only root can give files away");
	use_cache();
	load(RULE);
	cr_assert_eq(chown(entry(0), 12345, 12345), 0);
	cr_assert_not(load(RULE).from_cache);
	cr_assert(strstr(note, ".hsdb: belongs to another user"), "%s", note);
	cr_assert(load(RULE).from_cache);
	cr_assert_eq(chown(cache_dir, 12345, 12345), 0);
	for (int i = 0; i < 2; i++) {
		cr_assert_not(load(RULE).from_cache);
		cr_assert(strstr(note, "/cache: belongs to another user"), "%s", note);
	}
}

Test(cache, a_place_that_cannot_be_written_is_a_note_only)
{
	test_write("file", "");
	snprintf(cache_dir, sizeof(cache_dir), "%s", test_path("file"));
	cr_assert_not(load(RULE).from_cache);
	cr_assert(strstr(note, "Not a directory"), "%s", note);
	snprintf(cache_dir, sizeof(cache_dir), "%s", test_path("file/below"));
	cr_assert_not(load(RULE).from_cache);
	cr_assert_str_not_empty(note);
	snprintf(cache_dir, sizeof(cache_dir), "/proc/self/nothing");
	cr_assert_not(load(RULE).from_cache);
	cr_assert(strstr(note, "cannot be made"), "%s", note);
}

Test(cache, oldest_entries_and_left_overs_go)
{
	uint8_t key[PST_RULES_CACHE_KEY_BYTES] = {0}, bytes[100] = {0}, *got;
	const struct timespec old[2] = {{1000, 0}, {1000, 0}};
	char path[256], why[256];
	size_t got_bytes;

	use_cache();
	for (unsigned i = 0; i < PST_RULES_CACHE_CNT_MAX + 3; i++) {
		key[0] = (uint8_t)i;
		cr_assert_eq(
			pst_rules_cache_put(cache_dir, key, bytes, sizeof(bytes), why, sizeof(why)),
			0, "%s", why);
		/* Ages by name, whatever the clock of the file system can tell apart. */
		for (unsigned n = 0; entry(n); n++) {
			const char *name = strrchr(entry(n), '/') + 1;
			unsigned number;
			cr_assert_eq(sscanf(name, "%2x", &number), 1);
			struct timespec times[2] = {{5000 + number, 0}, {5000 + number, 0}};
			cr_assert_eq(utimensat(AT_FDCWD, entry(n), times, 0), 0);
		}
		if (i == 0) {
			snprintf(path, sizeof(path), "%s/%064x.77.tmp", cache_dir, 1);
			int fd = open(path, O_CREAT | O_WRONLY, 0600);
			cr_assert_eq(futimens(fd, old), 0);
			close(fd);
			test_write("deep/cache/0077.77.tmp", "not ours");
		}
	}
	cr_assert(entry(PST_RULES_CACHE_CNT_MAX));
	cr_assert_null(entry(PST_RULES_CACHE_CNT_MAX + 1));
	cr_assert_neq(access(path, F_OK), 0);
	cr_assert_eq(access(test_path("deep/cache/0077.77.tmp"), F_OK), 0);
	for (unsigned i = 0; i < PST_RULES_CACHE_CNT_MAX + 3; i++) {
		key[0] = (uint8_t)i;
		int rc = pst_rules_cache_get(cache_dir, key, &got, &got_bytes, why, sizeof(why));
		cr_assert_eq(rc, i < 3 ? -1 : 0, "%u", i);
		if (rc == 0) {
			cr_assert_eq(got_bytes, sizeof(bytes));
			free(got);
		}
	}
}
