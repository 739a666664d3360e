#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"

#define MESSAGE_MAX 2048

static const char *log_program = "penstock";
static enum pst_log_level log_shown = PST_LOG_NOTICE;
static bool log_to_journal;

static struct {
	pthread_mutex_t mutex;
	uint32_t burst; /* 0: no limit */
	uint64_t interval_ns;
	struct pst_log_site *sites; /* that had to leave out lines once */
} limit = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* systemd names the socket that it made our stderr by device and inode; it may have been redirected
 * since. */
static bool
stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;
	int end = 0;

	return stream && sscanf(stream, "%llu:%llu%n", &device, &inode, &end) == 2 &&
	       stream[end] == '\0' && fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
	       st.st_ino == inode;
}

void
pst_log_init(const char *program, enum pst_log_level shown)
{
	log_program = program;
	log_shown = shown;
	log_to_journal = stderr_is_journal();
}

void
pst_log_limit(uint32_t burst, uint64_t interval_ns)
{
	pthread_mutex_lock(&limit.mutex);
	limit.burst = burst;
	limit.interval_ns = interval_ns;
	pthread_mutex_unlock(&limit.mutex);
}

/* Writes a message, each of its lines for the journal with its severity. named: program and
 * severity stand before it where there is no journal. */
static void
write_message(enum pst_log_level level, bool named, const char *text)
{
	static const char *const severity[] = {"error: ", "warning: ", "", "debug: "};
	static const char priority[] = {'3', '4', '5', '7'};
	char out[MESSAGE_MAX + 256];
	size_t len = 0;

	if (named && !log_to_journal)
		len = (size_t)snprintf(out, sizeof(out), "%s: %s", log_program, severity[level]);
	bool line_begins = true;
	for (; *text && len < sizeof(out) - 8; text++) {
		if (line_begins && log_to_journal) {
			out[len++] = '<';
			out[len++] = priority[level];
			out[len++] = '>';
		}
		out[len++] = *text;
		line_begins = *text == '\n';
	}
	out[len++] = '\n';
	ssize_t written = write(STDERR_FILENO, out, len);
	(void)written;
}

static uint64_t
now_of_clock(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

bool
pst_log_admit(struct pst_log_site *site, uint64_t now_ns)
{
	if (limit.burst == 0)
		return true;
	if (site->refilled_ns == 0) {
		site->refilled_ns = now_ns;
		site->tokens = limit.burst;
	}
	uint64_t earned = (now_ns - site->refilled_ns) / limit.interval_ns;
	site->refilled_ns += earned * limit.interval_ns;
	site->tokens = (uint32_t)pst_min_u64(limit.burst, site->tokens + earned);
	if (site->tokens == 0)
		return false;
	site->tokens--;
	return true;
}

static void
leave_out(struct pst_log_site *site, enum pst_log_level level, const char *text)
{
	site->left_out_cnt++;
	site->level = level;
	snprintf(site->left_out, sizeof(site->left_out), "%s", text);
	if (!site->listed) {
		site->listed = true;
		site->next = limit.sites;
		limit.sites = site;
	}
}

static void
say_left_out(struct pst_log_site *site)
{
	char text[256];

	snprintf(text, sizeof(text), "%u lines like this one were left out: %s", site->left_out_cnt,
		site->left_out);
	site->left_out_cnt = 0;
	write_message(site->level, true, text);
}

static void
say(struct pst_log_site *site, enum pst_log_level level, bool named, const char *text)
{
	pthread_mutex_lock(&limit.mutex);
	if (pst_log_admit(site, now_of_clock())) {
		if (site->left_out_cnt > 0)
			say_left_out(site);
		write_message(level, named, text);
	} else {
		leave_out(site, level, text);
	}
	pthread_mutex_unlock(&limit.mutex);
}

void
pst_log_tick(void)
{
	uint64_t now_ns = now_of_clock();

	pthread_mutex_lock(&limit.mutex);
	for (struct pst_log_site *site = limit.sites; site; site = site->next)
		if (site->left_out_cnt > 0 && pst_log_admit(site, now_ns))
			say_left_out(site);
	pthread_mutex_unlock(&limit.mutex);
}

void
pst_log_from(struct pst_log_site *site, enum pst_log_level level, const char *fmt, ...)
{
	char text[MESSAGE_MAX];
	va_list ap;

	if (level > log_shown)
		return;
	int saved_errno = errno;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say(site, level, true, text);
	errno = saved_errno;
}

void
pst_log_diag(enum pst_log_level level, const struct pst_diag *diag)
{
	static struct pst_log_site site;
	char text[sizeof(*diag) + 64] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");

	if (level > log_shown || !out)
		return;
	pst_diag_print(out, diag);
	fclose(out);
	size_t len = strlen(text);
	if (len > 0 && text[len - 1] == '\n')
		text[len - 1] = '\0';
	say(&site, level, false, text);
}

void
pst_log_last_words(const char *text)
{
	write_message(PST_LOG_ERROR, true, text);
}

_Noreturn void
pst_assert_failed(const char *cond, const char *file, int line)
{
	char text[512];

	snprintf(text, sizeof(text), "assertion failed: %s (%s:%d)", cond, file, line);
	pst_log_last_words(text);
	abort();
}
