#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/steps.h"

#define MS UINT64_C(1000000)

static _Atomic bool given_up;

static void
give_up(void)
{
	atomic_store(&given_up, true);
}

/* What was said so far. */
static const char *
said(int fd)
{
	static char text[4096];
	ssize_t len = pread(fd, text, sizeof(text) - 1, 0);
	cr_assert_geq(len, 0);
	text[len] = '\0';
	return text;
}

/* Waits in the kernel until it was said: a test that never hears it ends by criterion's limit. */
static void
await_said(int fd, const char *wanted)
{
	while (!strstr(said(fd), wanted))
		usleep(1000);
}

static struct pst_steps *
begin(uint64_t say_ns, int *fd)
{
	struct pst_steps_config config = {.what = "starting", .say_ns = say_ns, .give_up = give_up};
	char path[] = "/tmp/penstock-steps-XXXXXX";
	struct pst_steps *steps;

	*fd = mkstemp(path);
	cr_assert_geq(*fd, 0);
	unlink(path);
	cr_assert_geq(dup2(*fd, STDERR_FILENO), 0);
	pst_log_init("penstockd", PST_LOG_NOTICE);
	cr_assert_eq(pst_steps_begin(&config, &steps), 0);
	return steps;
}

Test(steps, says_which_takes_long_and_where, .timeout = 20)
{
	int fd;
	struct pst_steps *steps = begin(20 * MS, &fd);
	pst_steps_enter(steps, "the second one", 0);
	await_said(fd, "penstockd: warning: starting: the second one takes long (0 s by now");
	await_said(fd, ", waiting in ");
	pst_steps_end(steps);
	cr_assert_not(given_up);
}

Test(steps, gives_up_what_does_not_end, .timeout = 20)
{
	int fd;
	struct pst_steps *steps = begin(20 * MS, &fd);
	pst_steps_enter(steps, "the first one", 0);
	pst_steps_enter(steps, "the second one", 50 * MS);
	await_said(fd, "penstockd: error: starting: the second one does not end (0 s by now");
	while (!atomic_load(&given_up))
		usleep(1000);
	pst_steps_end(steps);
	cr_assert(!strstr(said(fd), "the first one does"));
}

Test(steps, says_nothing_of_what_goes_on, .timeout = 20)
{
	int fd;
	struct pst_steps *steps = begin(3600000 * MS, &fd);
	for (int i = 0; i < 1000; i++)
		pst_steps_enter(steps, i % 2 ? "odd" : "even", i % 3 * 3600000 * MS);
	pst_steps_end(steps);
	cr_assert_str_eq(said(fd), "");
	cr_assert_not(given_up);
	pst_steps_end(NULL);
}
