#include "start.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* From here on a bare number is milliseconds: as seconds it would be the year 5138. */
#define MILLISECONDS_FROM INT64_C(100000000000)

/* A number of decimal digits alone, up to INT64_MAX. */
static int
parse_number(const char *text, int64_t *out)
{
	char *end;
	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	long long n = strtoll(text, &end, 10);
	if (errno != 0 || *end != '\0')
		return -1;
	*out = n;
	return 0;
}

/* Exactly cnt digits, min .. max. Moves on. */
static bool
take_digits(const char **at, int cnt, int min, int max, int *out)
{
	int n = 0;
	for (int i = 0; i < cnt; i++) {
		char c = (*at)[i];
		if (c < '0' || c > '9')
			return false;
		n = n * 10 + (c - '0');
	}
	if (n < min || n > max)
		return false;
	*at += cnt;
	*out = n;
	return true;
}

static bool
take(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

/* "123": the milliseconds; digits behind them are passed over. */
static bool
take_fraction(const char **at, int *ms)
{
	int digit_cnt = 0;
	*ms = 0;
	for (; **at >= '0' && **at <= '9'; (*at)++, digit_cnt++)
		if (digit_cnt < 3)
			*ms = *ms * 10 + (**at - '0');
	for (int i = digit_cnt; i < 3; i++)
		*ms *= 10;
	return digit_cnt > 0;
}

/* "", "Z", "+01:00", "-0530". */
static bool
take_zone(const char **at, int *offset_s)
{
	int sign, hours, minutes = 0;
	*offset_s = 0;
	if (**at == '\0' || take(at, 'Z') || take(at, 'z'))
		return true;
	if (take(at, '+'))
		sign = 1;
	else if (take(at, '-'))
		sign = -1;
	else
		return false;
	if (!take_digits(at, 2, 0, 23, &hours))
		return false;
	if (take(at, ':') || **at != '\0') {
		if (!take_digits(at, 2, 0, 59, &minutes))
			return false;
	}
	*offset_s = sign * (hours * 3600 + minutes * 60);
	return true;
}

static int
parse_iso8601(const char *text, int64_t *out_ms)
{
	const char *at = text;
	struct tm day = {0};
	int month, hour = 0, minute = 0, second = 0, ms = 0, zone_s = 0;
	if (!take_digits(&at, 4, 1970, 9999, &day.tm_year) || !take(&at, '-') ||
		!take_digits(&at, 2, 1, 12, &month) || !take(&at, '-') ||
		!take_digits(&at, 2, 1, 31, &day.tm_mday))
		return -1;
	if (take(&at, 'T') || take(&at, 't') || take(&at, ' ')) {
		if (!take_digits(&at, 2, 0, 23, &hour) || !take(&at, ':') ||
			!take_digits(&at, 2, 0, 59, &minute))
			return -1;
		if (take(&at, ':')) {
			/* 60: a leap second, the same moment as the next minute's begin. */
			if (!take_digits(&at, 2, 0, 60, &second))
				return -1;
			if (take(&at, '.') && !take_fraction(&at, &ms))
				return -1;
		}
		if (!take_zone(&at, &zone_s))
			return -1;
	}
	if (*at != '\0')
		return -1;
	day.tm_year -= 1900;
	day.tm_mon = month - 1;
	time_t midnight = timegm(&day);
	if (day.tm_mon != month - 1)
		return -1; /* timegm turns 30 February into 2 March */
	int64_t s = (int64_t)midnight + hour * 3600 + minute * 60 + second - zone_s;
	if (s < 0)
		return -1;
	*out_ms = s * 1000 + ms;
	return 0;
}

int
start_parse(const char *text, struct start *out)
{
	struct start found = {0};
	if (strcmp(text, "earliest") == 0) {
		found.kind = START_EARLIEST;
	} else if (strcmp(text, "latest") == 0) {
		found.kind = START_LATEST;
	} else if (text[0] == '@') {
		found.kind = START_TIME;
		if (parse_number(text + 1, &found.time_ms) == 0) {
			if (found.time_ms < MILLISECONDS_FROM)
				found.time_ms *= 1000;
		} else if (parse_iso8601(text + 1, &found.time_ms) != 0) {
			return -1;
		}
	} else {
		found.kind = START_OFFSET;
		if (parse_number(text, &found.offset) != 0)
			return -1;
	}
	*out = found;
	return 0;
}
