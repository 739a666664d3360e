#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/log.h"

/* stderr is a file of ours, told to be the journal or not. */
static int
catch_stderr(bool journal)
{
	char path[] = "/tmp/penstock-log-XXXXXX", stream[64];
	struct stat st;
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	unlink(path);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_geq(dup2(fd, STDERR_FILENO), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		(unsigned long long)st.st_ino + (journal ? 0 : 1));
	setenv("JOURNAL_STREAM", stream, 1);
	pst_log_init("penstockd", PST_LOG_NOTICE);
	return fd;
}

static void
expect(int fd, const char *want)
{
	char got[4096] = "";
	cr_assert_geq(pread(fd, got, sizeof(got) - 1, 0), 0);
	cr_assert_str_eq(got, want);
}

static void
say_one_of_each(void)
{
	struct pst_diag diag;
	pst_error("an error");
	pst_warning("a %s", "warning");
	pst_notice("one line\nand another");
	pst_debug("hidden");
	pst_diag_set(&diag, "p.yaml", 3, NULL, "cure it", "wrong");
	pst_log_diag(PST_LOG_ERROR, &diag);
}

Test(log, names_program_and_severity)
{
	int fd = catch_stderr(false);
	say_one_of_each();
	expect(fd, "penstockd: error: an error\n"
		   "penstockd: warning: a warning\n"
		   "penstockd: one line\nand another\n"
		   "p.yaml:3: wrong\n    remedy: cure it\n");
}

Test(log, the_journal_gets_the_severity_of_each_line)
{
	int fd = catch_stderr(true);
	say_one_of_each();
	expect(fd, "<3>an error\n"
		   "<4>a warning\n"
		   "<5>one line\n<5>and another\n"
		   "<3>p.yaml:3: wrong\n<3>    remedy: cure it\n");
}

Test(log, a_long_message_is_cut_at_its_end)
{
	int fd = catch_stderr(true);
	static char text[4000], got[4096];
	memset(text, 'x', sizeof(text) - 1);
	pst_error("%s", text);
	ssize_t len = pread(fd, got, sizeof(got), 0);
	cr_assert_gt(len, 2000);
	cr_assert_lt(len, 2400);
	cr_assert_eq(got[len - 1], '\n');
	cr_assert_eq(memcmp(got, "<3>xxx", 6), 0);
}

/* A place says burst lines at once and one an interval; another is not touched by that. */
Test(log, a_place_has_a_bucket_of_its_own)
{
	struct pst_log_site one = {0}, other = {0};
	cr_assert(pst_log_admit(&one, 5));
	pst_log_limit(3, 100);
	for (unsigned i = 0; i < 3; i++)
		cr_assert(pst_log_admit(&one, 1000));
	cr_assert_not(pst_log_admit(&one, 1099));
	cr_assert(pst_log_admit(&other, 1099));
	cr_assert(pst_log_admit(&one, 1100));
	cr_assert_not(pst_log_admit(&one, 1199));
	cr_assert(pst_log_admit(&one, 1250), "what is left of an interval is not lost");
	cr_assert_not(pst_log_admit(&one, 1250));
	cr_assert(pst_log_admit(&one, 1300));
	for (unsigned i = 0; i < 3; i++)
		cr_assert(pst_log_admit(&one, 100000));
	cr_assert_not(pst_log_admit(&one, 100000), "no more than the burst is saved up");
}

static void
say_again(unsigned number)
{
	pst_warning("again, %u", number);
}

Test(log, what_was_left_out_is_said_afterwards)
{
	int fd = catch_stderr(false);
	pst_log_limit(2, UINT64_C(3600000000000));
	for (unsigned i = 1; i <= 9; i++)
		say_again(i);
	pst_notice("another place");
	pst_log_tick();
	const char *so_far = "penstockd: warning: again, 1\n"
			     "penstockd: warning: again, 2\n"
			     "penstockd: another place\n";
	expect(fd, so_far);
	pst_log_limit(0, 0); /* as if time had passed */
	pst_log_tick();
	pst_log_tick();
	char want[512];
	snprintf(want, sizeof(want),
		"%spenstockd: warning: 7 lines like this one were left out: again, 9\n", so_far);
	expect(fd, want);
}

Test(log, a_place_that_speaks_again_says_what_it_left_out_first)
{
	int fd = catch_stderr(true);
	pst_log_limit(1, UINT64_C(3600000000000));
	for (unsigned i = 1; i <= 3; i++)
		say_again(i);
	pst_log_limit(0, 0);
	say_again(4);
	expect(fd, "<4>again, 1\n<4>2 lines like this one were left out: again, 3\n"
		   "<4>again, 4\n");
}
