/* Where `penstock cat -o` begins. */
#ifndef PENSTOCK_START_H
#define PENSTOCK_START_H

#include <stdint.h>

enum start_kind {
	START_EARLIEST,
	START_LATEST,
	START_OFFSET,
	START_TIME,
};

struct start {
	enum start_kind kind;
	int64_t offset;  /* START_OFFSET */
	int64_t time_ms; /* START_TIME: since 1970-01-01 UTC */
};

/* Reads "earliest", "latest", an offset, or "@TIME". TIME is seconds or milliseconds since 1970
 * (a number from 100,000,000,000 on is milliseconds), or ISO 8601: a date, or date and time of day
 * to the minute, second or fraction (milliseconds count), with Z, an offset from UTC, or nothing,
 * which is UTC. Returns 0, or -1 with *out untouched. */
int start_parse(const char *text, struct start *out);

#endif
