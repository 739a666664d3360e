#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "start.h"
#include "text.h"

/* ---- where to start ---- */

Test(start, what_is_understood)
{
	static const struct {
		const char *text;
		struct start want;
	} cases[] = {
		{"earliest", {START_EARLIEST}},
		{"latest", {START_LATEST}},
		{"0", {START_OFFSET, .offset = 0}},
		{"9223372036854775807", {START_OFFSET, .offset = INT64_MAX}},
		{"@0", {START_TIME, .time_ms = 0}},
		{"@1764000000", {START_TIME, .time_ms = 1764000000000}},
		{"@99999999999", {START_TIME, .time_ms = 99999999999000}},
		{"@100000000000", {START_TIME, .time_ms = 100000000000}},
		{"@1764000000123", {START_TIME, .time_ms = 1764000000123}},
		{"@1970-01-01", {START_TIME, .time_ms = 0}},
		{"@2025-11-24", {START_TIME, .time_ms = 1763942400000}},
		{"@2025-11-24T16:00Z", {START_TIME, .time_ms = 1764000000000}},
		{"@2025-11-24T16:00:00Z", {START_TIME, .time_ms = 1764000000000}},
		{"@2025-11-24 16:00:00", {START_TIME, .time_ms = 1764000000000}},
		{"@2025-11-24t16:00:00.5z", {START_TIME, .time_ms = 1764000000500}},
		{"@2025-11-24T16:00:00.123999Z", {START_TIME, .time_ms = 1764000000123}},
		{"@2025-11-24T17:00:00+01:00", {START_TIME, .time_ms = 1764000000000}},
		{"@2025-11-24T10:30-0530", {START_TIME, .time_ms = 1764000000000}},
		{"@2024-02-29", {START_TIME, .time_ms = 1709164800000}},
		{"@2016-12-31T23:59:60Z", {START_TIME, .time_ms = 1483228800000}},
	};
	for (size_t i = 0; i < PST_ARRAY_CNT(cases); i++) {
		struct start got;
		int rc = start_parse(cases[i].text, &got);
		cr_assert_eq(rc, 0, "%s", cases[i].text);
		cr_assert_eq(got.kind, cases[i].want.kind, "%s", cases[i].text);
		cr_assert_eq(got.offset, cases[i].want.offset, "%s", cases[i].text);
		cr_assert_eq(got.time_ms, cases[i].want.time_ms, "%s: %ld", cases[i].text,
			(long)got.time_ms);
	}
}

Test(start, what_is_not)
{
	static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "0x10", "1k", "Earliest",
		"9223372036854775808", "@", "@-1", "@now", "@9223372036854775808", "@2025-11",
		"@2025-13-01", "@2025-00-01", "@2025-02-29", "@2025-02-30T10:00Z", "@2025-11-24T",
		"@2025-11-24T16", "@2025-11-24T24:00", "@2025-11-24T16:60", "@2025-11-24T16:00:61",
		"@2025-11-24T16:00:00.", "@2025-11-24T16:00.5", "@2025-11-24T16:00Zx",
		"@2025-11-24T16:00+1", "@2025-11-24T16:00+24:00", "@2025-11-24T16:00+01:60",
		"@2025-11-24Z", "@2025-11-25T05+13", "@1969-12-31", "@1970-01-01T00:00+01:00",
		"@25-11-24"};
	for (size_t i = 0; i < PST_ARRAY_CNT(bad); i++) {
		struct start got = {START_LATEST, 5, 6};
		cr_assert_eq(start_parse(bad[i], &got), -1, "%s", bad[i]);
		cr_assert(got.kind == START_LATEST && got.offset == 5 && got.time_ms == 6);
	}
}

/* ---- records as text ---- */

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

struct printed {
	char *text;
	size_t len;
};

static struct printed
print(const struct pst_batch_record *r, bool json, bool for_terminal)
{
	struct printed p;
	FILE *f = open_memstream(&p.text, &p.len);
	if (json)
		text_write_json(f, "syslog", 3, r, for_terminal);
	else
		text_write_raw(f, r, for_terminal);
	fclose(f);
	return p;
}

static struct pst_batch_record
record_of(const uint8_t *value, size_t value_len)
{
	return (struct pst_batch_record){.offset = 12,
		.timestamp_ms = 1764000000123,
		.value = value,
		.value_len = (uint32_t)value_len};
}

static void
assert_prints(const struct pst_batch_record *r, bool json, bool for_terminal, const char *want,
	size_t want_len)
{
	struct printed p = print(r, json, for_terminal);
	cr_assert(p.len == want_len && memcmp(p.text, want, want_len) == 0, "%.*s instead of %.*s",
		(int)p.len, p.text, (int)want_len, want);
	free(p.text);
}

Test(text, raw_is_the_event_and_a_line_feed)
{
	static const char all[] = "a\tb\\ \x1b[2J \r\n\0\x7f \xc3\xa9 \xc2\x9b"
				  "2J \xff\xc0\x80 \xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x82";
	struct pst_batch_record r = record_of(BYTES(all));
	struct printed p = print(&r, false, false);
	cr_assert_eq(p.len, sizeof(all));
	cr_assert_eq(memcmp(p.text, all, sizeof(all) - 1), 0);
	cr_assert_eq(p.text[p.len - 1], '\n');
	free(p.text);
	static const char shown[] = "a\tb\\ \\x1B[2J \\x0D\\x0A\\x00\\x7F \xc3\xa9 \\xC2\\x9B"
				    "2J \\xFF\\xC0\\x80 \\xED\\xA0\\x80 \\xF4\\x90\\x80\\x80 "
				    "\\xE2\\x82\n";
	assert_prints(&r, false, true, shown, sizeof(shown) - 1);
	r = record_of(NULL, 0);
	assert_prints(&r, false, false, "\n", 1);
	assert_prints(&r, false, true, "\n", 1);
}

Test(text, json_of_one_of_ours)
{
	static const char headers[] = "\x06seq\x10\xff\xff\xff\xff\xff\xff\xff\xff"
				      "\x0ats_ns\x10\x18\x7a\xfc\xa7\x6f\x25\xcd\x15"
				      "\x0arules\x10\x00\x00\x00\x07\xee\x6b\x28\x00"
				      "\x0creason\x08"
				      "none";
	struct pst_batch_record r = record_of(BYTES("say \"hi\" \xc3\xa9\n"));
	r.key = (const uint8_t *)"10.0.0.1";
	r.key_len = 8;
	r.headers = (const uint8_t *)headers;
	r.headers_len = sizeof(headers) - 1;
	static const char want[] =
		"{\"topic\":\"syslog\",\"partition\":3,\"offset\":12,\"timestamp\":1764000000123,"
		"\"key\":\"10.0.0.1\",\"headers\":{\"seq\":18446744073709551615,"
		"\"ts_ns\":1764000000123456789,\"rules\":[7,4000000000],\"reason\":\"none\"},"
		"\"value\":\"say \\\"hi\\\" \xc3\xa9\\n\"}\n";
	assert_prints(&r, true, false, want, sizeof(want) - 1);
	assert_prints(&r, true, true, want, sizeof(want) - 1);
}

Test(text, json_of_what_is_not_text)
{
	/* A session name that is not UTF-8, no value, headers of others. */
	static const char headers[] = "\x02x\x01"
				      "\x02y\x04\xff\xfe"
				      "\x02\xff\x00"
				      "\x02\xfe\x02\xfd"
				      "\x06seq\x02z"
				      "\x04n\x00\x02z"
				      "\x0arules\x00";
	struct pst_batch_record r = record_of(NULL, 0);
	r.offset = INT64_MAX;
	r.timestamp_ms = -1;
	r.key = (const uint8_t *)"\x80";
	r.key_len = 1;
	r.headers = (const uint8_t *)headers;
	r.headers_len = sizeof(headers) - 1;
	static const char want[] =
		"{\"topic\":\"syslog\",\"partition\":3,\"offset\":9223372036854775807,"
		"\"timestamp\":-1,\"key_base64\":\"gA==\",\"headers\":{\"x\":null,"
		"\"y_base64\":\"//4=\",\"base64:/w==\":\"\",\"base64:/g==_base64\":\"/Q==\","
		"\"seq\":\"z\",\"n\\u0000\":\"z\",\"rules\":[]},\"value\":null}\n";
	assert_prints(&r, true, false, want, sizeof(want) - 1);
}

Test(text, json_for_a_terminal_holds_no_control_character)
{
	struct pst_batch_record r = record_of(BYTES("\x1b[2J\x7f\xc2\x9b\xc2\xa0\xf0\x9f\x98\x80"));
	r.key = (const uint8_t *)"\xc2\x85";
	r.key_len = 2;
	static const char want[] =
		"{\"topic\":\"syslog\",\"partition\":3,\"offset\":12,"
		"\"timestamp\":1764000000123,\"key\":\"\\u0085\",\"headers\":{},"
		"\"value\":\"\\u001B[2J\\u007F\\u009B\xc2\xa0\xf0\x9f\x98\x80\"}\n";
	assert_prints(&r, true, true, want, sizeof(want) - 1);
}

/* Every length of value through both alphabets, read back by another implementation. */
Test(text, json_is_read_back)
{
	uint8_t value[70];
	for (size_t i = 0; i < sizeof(value); i++)
		value[i] = (uint8_t)(i * 37 + 200);
	for (size_t len = 0; len <= sizeof(value); len++) {
		struct pst_batch_record r = record_of(value, len);
		struct printed p = print(&r, true, false);
		json_error_t error;
		json_t *root = json_loadb(p.text, p.len, JSON_ALLOW_NUL, &error);
		cr_assert_not_null(root, "%s", error.text);
		json_t *b64 = json_object_get(root, "value_base64");
		cr_assert_eq(b64 == NULL, len == 0);
		if (b64)
			cr_assert_eq(json_string_length(b64), (len + 2) / 3 * 4);
		json_decref(root);
		free(p.text);
	}
}

Test(text, base64_equals_rfc_4648)
{
	static const struct {
		size_t len;
		const char *want;
	} cases[] = {{1, "/w=="}, {2, "/+4="}, {3, "/+7d"}, {4, "/+7dzA=="}, {5, "/+7dzLs="}};
	for (size_t i = 0; i < PST_ARRAY_CNT(cases); i++) {
		struct pst_batch_record r = record_of(
			(const uint8_t *)"\xff\xee\xdd\xcc\xbb\xaa", cases[i].len);
		struct printed p = print(&r, true, false);
		char want[64];
		snprintf(want, sizeof(want), "\"value_base64\":\"%s\"}", cases[i].want);
		cr_assert_not_null(strstr(p.text, want), "%s", p.text);
		free(p.text);
	}
}

Test(text, utf8_agrees_with_another_decoder)
{
	/* All pairs, and each three-byte and four-byte sequence at the edges of what is allowed. */
	for (unsigned a = 0; a < 256; a++)
		for (unsigned b = 0; b < 256; b++)
			for (unsigned c = 0x7f; c < 0xc1; c += 0x10) {
				uint8_t s[4] = {(uint8_t)a, (uint8_t)b, (uint8_t)c, 0x80};
				for (size_t len = 1; len <= 4; len++) {
					uint32_t cp;
					unsigned n = text_utf8(s, len, &cp);
					json_t *j = n > 0 ? json_stringn((const char *)s, n) : NULL;
					cr_assert_leq(n, len);
					cr_assert(n == 0 || j, "%02x %02x %02x", a, b, c);
					json_decref(j);
					/* Refused: no beginning of it is a character, either. */
					for (size_t m = 1; n == 0 && m <= len; m++) {
						j = json_stringn((const char *)s, m);
						cr_assert_null(j, "%02x %02x %02x", a, b, c);
					}
				}
			}
}
