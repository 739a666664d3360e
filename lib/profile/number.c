#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "profile/load.h"

struct unit {
	const char *text;
	uint64_t factor;
};

static const struct unit count_units[] = {{"", 1}};
static const struct unit bytes_units[] = {{"T", UINT64_C(1) << 40}, {"G", UINT64_C(1) << 30},
	{"M", UINT64_C(1) << 20}, {"K", UINT64_C(1) << 10}, {"", 1}};
#define SECOND UINT64_C(1000000000)
static const struct unit duration_units[] = {{"d", 86400 * SECOND}, {"h", 3600 * SECOND},
	{"m", 60 * SECOND}, {"s", SECOND}, {"ms", 1000000}, {"us", 1000}, {"ns", 1}};

static const struct {
	const struct unit *units;
	int (*parse)(const char *text, uint64_t *out);
	const char *what;
	const char *remedy;
} kinds[] = {
	[PST_NUMBER_COUNT] = {count_units, pst_yaml_parse_count, "a whole number",
		"give decimal digits, as in 64; k, M or G behind them count thousands"},
	[PST_NUMBER_BYTES] = {bytes_units, pst_yaml_parse_bytes, "a size in bytes",
		"give decimal digits and K, M, G or T (powers of 1,024), as in 64M"},
	[PST_NUMBER_DURATION] = {duration_units, pst_yaml_parse_duration, "a duration",
		"give decimal digits and ns, us, ms, s, m, h or d, as in 5ms"},
};

const char *
pst_number_text(char buf[PST_NUMBER_TEXT], enum pst_number_kind kind, uint64_t value)
{
	const struct unit *unit = kinds[kind].units;

	if (value == 0)
		return "0";
	while (value % unit->factor != 0)
		unit++;
	snprintf(buf, PST_NUMBER_TEXT, "%llu%s", (unsigned long long)(value / unit->factor),
		unit->text);
	return buf;
}

int
pst_load_number(struct pst_load *load, const char *key, const char *text,
	const struct pst_number *number, uint64_t fallback, uint64_t *out)
{
	char remedy[128], min[PST_NUMBER_TEXT], max[PST_NUMBER_TEXT];
	uint64_t value;

	if (!text) {
		*out = fallback;
		return 0;
	}
	if (kinds[number->kind].parse(text, &value) != 0)
		return pst_load_fail(load, key, kinds[number->kind].remedy, "\"%s\" is not %s",
			text, kinds[number->kind].what);
	if ((value >= number->min && value <= number->max) || (value == 0 && number->zero_too)) {
		*out = value;
		return 0;
	}
	snprintf(remedy, sizeof(remedy), "give %s%s to %s", number->zero_too ? "0, or " : "",
		pst_number_text(min, number->kind, number->min),
		pst_number_text(max, number->kind, number->max));
	return pst_load_fail(load, key, remedy, "%s is out of range", text);
}
