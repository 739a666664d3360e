#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "yaml/yaml.h"

struct item {
	char *name;
	char *size;
	bool on;
};

struct doc {
	char *title;
	int mode;
	uint32_t marks;
	struct item *items;
	uint32_t item_cnt;
	char **words;
	uint32_t word_cnt;
	struct item nested;
};

static const cyaml_schema_field_t item_fields[] = {
	CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct item, name, 1, 8),
	CYAML_FIELD_STRING_PTR(
		"size", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct item, size, 0, 99),
	CYAML_FIELD_BOOL("on", CYAML_FLAG_OPTIONAL, struct item, on), CYAML_FIELD_END};
static const cyaml_schema_value_t item_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct item, item_fields)};
static const cyaml_schema_value_t word_schema = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, 99)};
static const cyaml_strval_t modes[] = {{"slow", 7}, {"fast", 9}};
static const cyaml_strval_t marks[] = {{"red", 1}, {"blue", 2}};
static const cyaml_schema_field_t doc_fields[] = {
	CYAML_FIELD_STRING_PTR("title", CYAML_FLAG_POINTER, struct doc, title, 0, 99),
	CYAML_FIELD_ENUM("mode", CYAML_FLAG_OPTIONAL, struct doc, mode, modes, 2),
	CYAML_FIELD_FLAGS("marks", CYAML_FLAG_OPTIONAL, struct doc, marks, marks, 2),
	CYAML_FIELD_SEQUENCE_COUNT("items", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct doc,
		items, item_cnt, &item_schema, 1, 3),
	CYAML_FIELD_SEQUENCE_COUNT("words", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct doc,
		words, word_cnt, &word_schema, 0, CYAML_UNLIMITED),
	CYAML_FIELD_MAPPING("nested", CYAML_FLAG_OPTIONAL, struct doc, nested, item_fields),
	CYAML_FIELD_END};
static const cyaml_schema_value_t schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct doc, doc_fields)};

static char path[64];

static int
load_bytes(const char *data, size_t len, struct doc **doc, struct pst_yaml_lines **lines,
	struct pst_diag *diag)
{
	int fd = memfd_create("yaml", 0);
	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, data, len), (ssize_t)len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int rc = pst_yaml_load(path, &schema, (void **)doc, lines, diag);
	close(fd);
	return rc;
}

static void
assert_good(const char *text, struct doc **doc, struct pst_yaml_lines **lines)
{
	struct pst_diag diag = {0};
	int rc = load_bytes(text, strlen(text), doc, lines, &diag);
	cr_assert_eq(rc, 0, "%u: %s: %s", diag.line, diag.key, diag.text);
}

static void
assert_bad(const char *data, size_t len, unsigned line, const char *key, const char *text)
{
	struct doc *doc = (struct doc *)&path;
	struct pst_yaml_lines *lines = (struct pst_yaml_lines *)&path;
	struct pst_diag diag = {0};
	cr_assert_eq(load_bytes(data, len, &doc, &lines, &diag), -1, "%.80s", data);
	cr_expect_str_eq(diag.file, path);
	cr_expect_eq(diag.line, line, "%.80s: line %u, not %u (%.80s)", data, diag.line, line,
		diag.text);
	cr_expect_str_eq(diag.key, key, "%.80s: %.80s", data, diag.key);
	cr_expect(strstr(diag.text, text), "%.80s: %.80s", data, diag.text);
	cr_expect_neq(diag.remedy[0], '\0', "%.80s: no remedy", data);
	cr_expect_eq((void *)doc, (void *)&path, "outputs stay untouched");
	cr_expect_eq((void *)lines, (void *)&path, "outputs stay untouched");
}

#define BAD(data, line, key, text) assert_bad(data, strlen(data), line, key, text)

Test(yaml, loads_every_type)
{
	struct doc *doc;
	struct pst_yaml_lines *lines;
	assert_good("title: 'null'\n"
		    "mode: fast\n"
		    "marks: [red, blue]\n"
		    "items:\n"
		    "  - {name: a, size: 64M}\n"
		    "  - name: b\n"
		    "    on: true\n"
		    "words: [x, 'y z']\n",
		&doc, &lines);
	cr_assert_str_eq(doc->title, "null");
	cr_assert_eq(doc->mode, 9);
	cr_assert_eq(doc->marks, 3);
	cr_assert_eq(doc->item_cnt, 2);
	cr_assert_str_eq(doc->items[0].size, "64M");
	cr_assert_null(doc->items[1].size);
	cr_assert(doc->items[1].on && !doc->items[0].on);
	cr_assert_eq(doc->word_cnt, 2);
	pst_yaml_free(&schema, doc, lines);
}

Test(yaml, keeps_lines)
{
	struct doc *doc;
	struct pst_yaml_lines *lines;
	assert_good(
		"# comment\ntitle: x\nitems:\n  - name: a\n  - name: b\n\n    size:\n      1M\n",
		&doc, &lines);
	cr_assert_str_eq(pst_yaml_file(lines), path);
	cr_assert_eq(pst_yaml_line(lines, "title"), 2);
	cr_assert_eq(pst_yaml_line(lines, "items"), 3);
	cr_assert_eq(pst_yaml_line(lines, "items[0]"), 4);
	cr_assert_eq(pst_yaml_line(lines, "items[1].name"), 5);
	cr_assert_eq(pst_yaml_line(lines, "items[1].size"), 7);
	cr_assert_eq(pst_yaml_line(lines, "items[1].on"), 5, "the parent's");
	cr_assert_eq(pst_yaml_line(lines, "items[7].on.deep"), 3, "the grandparent's");
	cr_assert_eq(pst_yaml_line(lines, "nothing"), 0);
	cr_assert_eq(pst_yaml_line(lines, ""), 0);
	cr_assert_eq(pst_yaml_line(NULL, "title"), 0);
	pst_yaml_free(&schema, doc, lines);
}

Test(yaml, refuses_what_the_schema_does_not_know)
{
	BAD("title: x\ncolour: red\n", 2, "colour", "unknown key");
	BAD("title: x\nitems:\n- name: a\n  Name: b\n", 4, "items[0].Name", "unknown key");
	BAD("title: x\nmode: slow\ntitle: y\n", 3, "title", "first on line 1");
	BAD("title: x\nitems: [{name: a}, {on: true}]\n", 2, "items[1].name", "missing");
	BAD("mode: slow\n", 1, "title", "missing");
	BAD("title: x\nnested:\n  on: true\n", 2, "nested.name", "missing");
	BAD("title: x\nmode: Fast\n", 2, "mode", "not known");
	BAD("title: x\nmode: 7\n", 2, "mode", "not known");
	BAD("title: x\nmarks: [red, green]\n", 2, "marks[1]", "not known");
	BAD("title: x\nitems: [{name: a, on: flase}]\n", 2, "items[0].on", "neither true");
	BAD("title: x\nitems: [{name: a, on: off}]\n", 2, "items[0].on", "neither true");
	BAD("title: x\nitems: [{name: ''}]\n", 2, "items[0].name", "at least 1");
	BAD("title: x\nitems: [{name: 123456789}]\n", 2, "items[0].name", "at most 8");
	BAD("title: x\nitems: []\n", 2, "items", "at least 1");
	BAD("title: x\nitems:\n- name: a\n- name: b\n- name: c\n- name: d\n", 6, "items",
		"more than 3");
	BAD("title: \"a\\0b\"\n", 1, "title", "NUL");
}

Test(yaml, refuses_wrong_types)
{
	BAD("- title\n", 1, "", "a list where a mapping");
	BAD("title\n", 1, "", "a single value where a mapping");
	BAD("title: [x]\n", 1, "title", "a list where a single value");
	BAD("title: {x: y}\n", 1, "title", "a mapping where a single value");
	BAD("title: x\nitems: a\n", 2, "items", "a single value where a list");
	BAD("title: x\nitems: {name: a}\n", 2, "items", "a mapping where a list");
	BAD("title: x\nitems: [a]\n", 2, "items[0]", "a single value where a mapping");
	BAD("title: x\nmarks: [[red]]\n", 2, "marks[0]", "where a name");
	BAD("title: x\nmarks: red\n", 2, "marks", "where a list");
	BAD("title:\n", 1, "title", "no value");
	BAD("title: ~\n", 1, "title", "no value");
	BAD("title: x\nwords: [a, null]\n", 2, "words[1]", "no value");
	BAD("title: x\nitems:\n", 2, "items", "no value");
	BAD("title: x\n? [a]\n: b\n", 2, "", "a key that is");
	BAD("title: &a x\nwords: [*a]\n", 2, "words[0]", "aliases");
}

Test(yaml, refuses_files_that_are_none)
{
	BAD("", 0, "", "empty");
	BAD("# only a comment\n", 0, "", "empty");
	BAD("---\n", 1, "", "no value");
	BAD("title: x\n---\ntitle: y\n", 2, "", "second document");
	BAD("title: x\n...\n---\n", 3, "", "second document");
	BAD("title: x\n\twords: []\n", 2, "", "not YAML");
	BAD("title: x\nwords: [a\n", 3, "", "not YAML");
	BAD("title: x\nwords: *nowhere\n", 2, "words", "aliases");
	BAD("title: x\nmode: \xff\xfe\n", 2, "", "not text");
	assert_bad("title: x\n\0\0\0", 12, 2, "", "not text");
	assert_bad("\x7f"
		   "ELF\2\1\1\0\0\0",
		10, 1, "", "not text");
}

Test(yaml, an_error_does_not_carry_control_bytes)
{
	struct doc *doc;
	struct pst_yaml_lines *lines;
	struct pst_diag diag = {0};
	static const char text[] = "title: x\n\"a\\e[31m\\n\": y\n";
	cr_assert_eq(load_bytes(text, strlen(text), &doc, &lines, &diag), -1);
	cr_assert_str_eq(diag.key, "a?[31m?");
}

Test(yaml, bounds_what_it_reads)
{
	struct doc *doc = NULL;
	struct pst_yaml_lines *lines = NULL;
	struct pst_diag diag;
	size_t len = (16u << 20) + 1;
	char *big = malloc(len);
	cr_assert_not_null(big);
	memset(big, '#', len);
	assert_bad(big, len, 0, "", "bytes long");
	assert_bad(big, len - 1, 0, "", "empty");
	/* A list without end: more than a million items are refused, not kept. */
	size_t at = (size_t)sprintf(big, "title: x\nwords: [");
	for (; at + 3 < len; at += 2)
		memcpy(big + at, "a,", 2);
	assert_bad(big, at, 2, "words[1048574]", "more than 1048576");
	free(big);
	cr_assert_eq(pst_yaml_load("/nonexistent/x", &schema, (void **)&doc, &lines, &diag), -1);
	cr_assert(strstr(diag.text, "cannot be opened"));
	cr_assert_eq(pst_yaml_load("/", &schema, (void **)&doc, &lines, &diag), -1);
	cr_assert(strstr(diag.text, "not a regular file"));
	char fifo[] = "/tmp/pst_yaml_XXXXXX";
	cr_assert_not_null(mkdtemp(fifo));
	char name[64];
	snprintf(name, sizeof(name), "%s/fifo", fifo);
	cr_assert_eq(mkfifo(name, 0600), 0);
	cr_assert_eq(pst_yaml_load(name, &schema, (void **)&doc, &lines, &diag), -1);
	cr_assert(strstr(diag.text, "not a regular file"));
	unlink(name);
	rmdir(fifo);
}

struct number {
	const char *text;
	uint64_t value;
};

static void
check_numbers(int (*parse)(const char *, uint64_t *), const struct number *good, size_t good_cnt,
	const char *const *bad, size_t bad_cnt)
{
	for (size_t i = 0; i < good_cnt; i++) {
		uint64_t value = 99;
		cr_expect_eq(parse(good[i].text, &value), 0, "%s", good[i].text);
		cr_expect_eq(value, good[i].value, "%s", good[i].text);
	}
	for (size_t i = 0; i < bad_cnt; i++) {
		uint64_t value = 99;
		cr_expect_eq(parse(bad[i], &value), -1, "%s", bad[i]);
		cr_expect_eq(value, 99, "%s", bad[i]);
	}
}

Test(number, count)
{
	static const struct number good[] = {{"0", 0}, {"1", 1}, {"10k", 10000}, {"2M", 2000000},
		{"3G", 3000000000}, {"18446744073709551615", UINT64_MAX}};
	static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "010", "00", "0x10", "1.5",
		"1e3", "1K", "1kk", "k", "18446744073709551616", "18446744073709551615k", "one"};
	check_numbers(pst_yaml_parse_count, good, PST_ARRAY_CNT(good), bad, PST_ARRAY_CNT(bad));
}

Test(number, bytes)
{
	static const struct number good[] = {{"0", 0}, {"64K", 65536}, {"64KiB", 65536},
		{"64M", 64u << 20}, {"1MiB", 1 << 20}, {"1G", 1 << 30}, {"2GiB", UINT64_C(2) << 30},
		{"3T", UINT64_C(3) << 40}, {"1TiB", UINT64_C(1) << 40},
		{"16777215T", UINT64_C(16777215) << 40}};
	static const char *const bad[] = {"", "64k", "64KB", "64 M", "064M", "M", "16777216T",
		"1.5G", "64Mi", "64MiBB", "1P"};
	check_numbers(pst_yaml_parse_bytes, good, PST_ARRAY_CNT(good), bad, PST_ARRAY_CNT(bad));
}

Test(number, duration)
{
	static const struct number good[] = {{"0", 0}, {"0s", 0}, {"7ns", 7}, {"7us", 7000},
		{"5ms", 5000000}, {"2s", 2000000000}, {"1m", 60000000000}, {"1h", 3600000000000},
		{"7d", 604800000000000}, {"213503d", UINT64_C(213503) * 86400 * 1000000000}};
	static const char *const bad[] = {
		"", "5", "00", "5 ms", "5sec", "5M", "ms", "213504d", "-5ms", "1h30m", "1w"};
	check_numbers(pst_yaml_parse_duration, good, PST_ARRAY_CNT(good), bad, PST_ARRAY_CNT(bad));
}
