#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"

static const char *log_program = "penstock";
static enum pst_log_level log_shown = PST_LOG_NOTICE;

void
pst_log_init(const char *program, enum pst_log_level shown)
{
	log_program = program;
	log_shown = shown;
}

void
pst_log(enum pst_log_level level, const char *fmt, ...)
{
	static const char *const severity[] = {"error: ", "warning: ", "", "debug: "};
	char line[2048];
	va_list ap;

	if (level > log_shown)
		return;
	int saved_errno = errno;
	int len = snprintf(line, sizeof(line), "%s: %s", log_program, severity[level]);
	va_start(ap, fmt);
	len += vsnprintf(line + len, sizeof(line) - (size_t)len, fmt, ap);
	va_end(ap);
	if ((size_t)len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len++] = '\n';
	ssize_t written = write(STDERR_FILENO, line, (size_t)len);
	(void)written;
	errno = saved_errno;
}

_Noreturn void
pst_assert_failed(const char *cond, const char *file, int line)
{
	pst_error("assertion failed: %s (%s:%d)", cond, file, line);
	abort();
}
