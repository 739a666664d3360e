#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loss.h"
#include "start.h"

#define SECOND UINT64_C(1000000000)

static bool
read_relative(const char *text, uint64_t now_ns, uint64_t *out)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {{"ms", 1000000}, {"s", SECOND}, {"m", 60 * SECOND}, {"h", 3600 * SECOND},
		{"d", 86400 * SECOND}};
	char *end;

	if (!isdigit((unsigned char)text[1]))
		return false;
	uint64_t cnt = strtoull(text + 1, &end, 10);
	for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].name) != 0)
			continue;
		if (cnt > now_ns / units[i].ns)
			return false;
		*out = now_ns - cnt * units[i].ns;
		return true;
	}
	return false;
}

/* As the ledger's records have it. */
static bool
read_nanoseconds(const char *text, uint64_t *out)
{
	if (strlen(text) != 19 || text[strspn(text, "0123456789")] != '\0')
		return false;
	*out = strtoull(text, NULL, 10);
	return true;
}

/* As `penstock cat -o @TIME` takes it. */
static bool
read_absolute(const char *text, uint64_t *out)
{
	struct start start;
	char at[80];

	if (snprintf(at, sizeof(at), "@%s", text) >= (int)sizeof(at) ||
		start_parse(at, &start) != 0 || start.kind != START_TIME || start.time_ms < 0)
		return false;
	*out = (uint64_t)start.time_ms * 1000000;
	return true;
}

bool
pst_loss_time(const char *text, uint64_t now_ns, uint64_t *out)
{
	if (strcmp(text, "now") == 0) {
		*out = now_ns;
		return true;
	}
	if (text[0] == '-')
		return read_relative(text, now_ns, out);
	return read_nanoseconds(text, out) || read_absolute(text, out);
}

const char *
pst_loss_time_text(char text[PST_LOSS_TIME], uint64_t ns)
{
	time_t seconds = (time_t)(ns / SECOND);
	struct tm tm;
	char head[24];

	gmtime_r(&seconds, &tm);
	strftime(head, sizeof(head), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, PST_LOSS_TIME, "%s.%03uZ", head, (unsigned)(ns % SECOND / 1000000));
	return text;
}
