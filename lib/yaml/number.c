#include <string.h>

#include "yaml/yaml.h"

struct unit {
	const char *text;
	uint64_t factor;
};

static const struct unit count_units[] = {
	{"", 1}, {"k", 1000}, {"M", 1000000}, {"G", 1000000000}, {NULL, 0}};

#define KIB UINT64_C(1024)
static const struct unit bytes_units[] = {{"", 1}, {"K", KIB}, {"KiB", KIB}, {"M", KIB *KIB},
	{"MiB", KIB *KIB}, {"G", KIB *KIB *KIB}, {"GiB", KIB *KIB *KIB}, {"T", KIB *KIB *KIB *KIB},
	{"TiB", KIB *KIB *KIB *KIB}, {NULL, 0}};

#define SECOND UINT64_C(1000000000)
static const struct unit duration_units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000},
	{"s", SECOND}, {"m", 60 * SECOND}, {"h", 3600 * SECOND}, {"d", 86400 * SECOND}, {NULL, 0}};

static int
parse(const char *text, const struct unit *units, uint64_t *out)
{
	const char *at = text;
	uint64_t value = 0;

	if (*at < '0' || *at > '9' || (at[0] == '0' && at[1] >= '0' && at[1] <= '9'))
		return -1;
	for (; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
			__builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
			return -1;
	for (; units->text; units++)
		if (strcmp(at, units->text) == 0) {
			if (__builtin_mul_overflow(value, units->factor, &value))
				return -1;
			*out = value;
			return 0;
		}
	return -1;
}

int
pst_yaml_parse_count(const char *text, uint64_t *out)
{
	return parse(text, count_units, out);
}

int
pst_yaml_parse_bytes(const char *text, uint64_t *out_bytes)
{
	return parse(text, bytes_units, out_bytes);
}

int
pst_yaml_parse_duration(const char *text, uint64_t *out_ns)
{
	if (strcmp(text, "0") == 0) {
		*out_ns = 0;
		return 0;
	}
	return parse(text, duration_units, out_ns);
}
