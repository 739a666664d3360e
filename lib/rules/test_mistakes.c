/* Every mistake in a rules file: message, place and remedy. */
#include <sys/stat.h>

#include "rules/test_set.h"

TestSuite(mistakes, .init = test_setup, .fini = test_teardown);

struct mistake {
	const char *content;
	unsigned line;
	const char *key, *text, *remedy; /* text and remedy: parts */
};

static void
expect(const struct mistake *m, const char *file)
{
	struct pst_diag diag = test_load_bad(m->content);

	cr_assert_str_eq(diag.file, test_path(file), "%s\n%s", m->content, diag.file);
	cr_assert_str_eq(diag.key, m->key, "%s\n%s", m->content, diag.key);
	cr_assert_eq(diag.line, m->line, "%s\nline %u: %s", m->content, diag.line, diag.text);
	cr_assert(strstr(diag.text, m->text), "%s\n%s", m->content, diag.text);
	cr_assert(strstr(diag.remedy, m->remedy), "%s\n%s", m->content, diag.remedy);
}

#define HEAD "rules:\n- {id: 1, name: a, pattern: abc, action: keep}\n"

Test(mistakes, in_a_rule)
{
	static const struct mistake cases[] = {
		{HEAD "- {id: 1, name: b, pattern: x, action: keep}\n", 3, "rules[1].id",
			"id 1 is taken by ", "its own id"},
		{HEAD "- id: 2\n  name: b\n  pattern: x\n  action: reject\n", 6, "rules[1].action",
			"unknown action 'reject'", "keep, drop, quarantine"},
		{HEAD "- {id: 2, name: b, pattern: x, action: route nowhere}\n", 3,
			"rules[1].action", "undeclared stream 'nowhere'", "declare the stream"},
		{HEAD "- {id: 2, name: b, pattern: x, action: route}\n", 3, "rules[1].action",
			"unknown action 'route'", "route STREAM"},
		{HEAD "- {id: 2, name: b, pattern: x, action: 'route '}\n", 3, "rules[1].action",
			"undeclared stream ''", "declare the stream"},
		{HEAD "- {id: 2, name: b, pattern: x, action: sample 1/0}\n", 3, "rules[1].action",
			"'1/0' is not a sample ratio", "sample 1/N"},
		{HEAD "- {id: 2, name: b, pattern: x, action: sample 2/3}\n", 3, "rules[1].action",
			"'2/3' is not a sample ratio", "sample 1/N"},
		{HEAD "- {id: 2, name: b, pattern: x, action: sample 1/10k}\n", 3,
			"rules[1].action", "'1/10k' is not a sample ratio", "sample 1/N"},
		{HEAD "- {id: 2, name: b, pattern: x, action: sample 1/1000000001}\n", 3,
			"rules[1].action", "is not a sample ratio", "1000000000"},
		{HEAD "- {id: 2, name: b, pattern: x, action: keep, listeners: [feed, tcp]}\n", 3,
			"rules[1].listeners[1]", "unknown listener 'tcp'", "profile's listeners"},
		{HEAD "- {id: 2, name: b, pattern: x, action: keep, listeners: []}\n", 3,
			"rules[1].listeners", "0 items", "add what is missing"},
		{HEAD "- {id: 2, name: b, pattern: x, action: keep, flags: [caseles]}\n", 3,
			"rules[1].flags", "unknown flag 'caseles'", "caseless, dotall"},
		{HEAD "- {id: 2, name: b, pattern: x, action: keep, flags: [utf8]}\n", 3,
			"rules[1].flags", "'utf8' is refused", "over bytes"},
		{HEAD "- {id: 2, name: b, pattern: x, action: keep, flags: [ucp]}\n", 3,
			"rules[1].flags", "'ucp' is refused", "over bytes"},
		{HEAD "- {id: 2, name: b, pattern: x, action: keep, flags: [singlematch]}\n", 3,
			"rules[1].flags", "would change nothing", "leave it out"},
		{HEAD "- {id: 2, name: b, pattern: '(*UTF8)x', action: keep}\n", 3,
			"rules[1].pattern", "UTF-8 mode is refused", "leave the (*UTF"},
		{HEAD "- {id: 2, name: b, pattern: '(*UCP)x', action: keep}\n", 3,
			"rules[1].pattern", "UTF-8 mode is refused", "leave the (*UTF"},
		{HEAD "- {id: 2, name: b, pattern: '(*ANY)(*UTF)x', action: keep}\n", 3,
			"rules[1].pattern", "UTF-8 mode is refused", "leave the (*UTF"},
		{HEAD "- {id: -2, name: b, pattern: x, action: keep}\n", 3, "rules[1].id",
			"'-2' is not an id", "4294967295"},
		{HEAD "- {id: 4294967296, name: b, pattern: x, action: keep}\n", 3, "rules[1].id",
			"'4294967296' is not an id", "4294967295"},
		{HEAD "- {id: 010, name: b, pattern: x, action: keep}\n", 3, "rules[1].id",
			"'010' is not an id", "whole number"},
		{HEAD "- {id: 2, name: '', pattern: x, action: keep}\n", 3, "rules[1].name",
			"an empty name", "1 to 100 bytes"},
		{HEAD "- {id: 2, name: \"a\\tb\", pattern: x, action: keep}\n", 3, "rules[1].name",
			"a control character", "without control"},
		{HEAD "- {id: 2, name: b, pattern: '', action: keep}\n", 3, "rules[1].pattern",
			"an empty pattern", "allowempty"},
		{HEAD "- {id: 2, name: b, action: keep}\n", 3, "rules[1]",
			"neither pattern nor combination", "give either"},
		{HEAD "- {id: 2, name: b, pattern: x, combination: '1', action: keep}\n", 3,
			"rules[1]", "both pattern and combination", "give either"},
		{HEAD "- {id: 2, name: b, pattern: x}\n", 3, "rules[1]", "no action", "quiet"},
		{HEAD "- {id: 2, name: b, pattern: x, flags: [quiet], action: keep}\n", 3,
			"rules[1].action", "a quiet rule decides nothing", "leave it out"},
		{HEAD "- {id: 2, name: b, pattern: x, flags: [quiet], priority: 1}\n", 3,
			"rules[1].priority", "a quiet rule decides nothing", "leave it out"},
		{HEAD "- {id: 2, name: b, pattern: x, action: keep, priority: high}\n", 3,
			"rules[1].priority", "'high' is not a priority", "2147483647"},
		{HEAD "- {id: 2, name: b, pattern: x, action: keep, priority: 2147483648}\n", 3,
			"rules[1].priority", "'2147483648' is not a priority", "2147483647"},
		{HEAD "- {id: 2, name: b, pattern: x, action: keep, min-offset: 1k}\n", 3,
			"rules[1].min-offset", "'1k' is not such a number", "whole number"},
		{HEAD "- {id: 2, name: b, pattern: x, action: keep, colour: red}\n", 3,
			"rules[1].colour", "unknown key", ""},
		{HEAD "- {id: 2, name: b, pattern: \"x\\0y\", action: keep}\n", 3,
			"rules[1].pattern", "", ""},
		{"rules:\n- {id: 1, name: a, action: keep, pattern: abc, name: b}\n", 2,
			"rules[0].name", "", ""},
		{"rules:\n- {id: 1, pattern: abc, action: keep}\n", 2, "rules[0].name", "", ""},
	};

	for (size_t i = 0; i < PST_ARRAY_CNT(cases); i++)
		expect(&cases[i], "rules.yaml");
}

Test(mistakes, in_a_combination)
{
	static const struct mistake cases[] = {
		{HEAD "- {id: 2, name: b, combination: '1 & 7', action: keep}\n", 3,
			"rules[1].combination", "no rule has the id 7", "write ids"},
		{HEAD "- {id: 2, name: b, combination: '1 & (1', action: keep}\n", 3,
			"rules[1].combination", "a ')' is missing at character 7", "parentheses"},
		{HEAD "- {id: 2, name: b, combination: '1', action: keep}\n"
		      "- {id: 3, name: c, combination: '1 & 2', action: keep}\n",
			4, "rules[2].combination", "2 is a combination itself", "write ids"},
		{HEAD "- {id: 2, name: b, combination: '2', action: keep}\n", 3,
			"rules[1].combination", "2 is a combination itself", "write ids"},
		{HEAD "- {id: 2, name: b, combination: '1', flags: [caseless], action: keep}\n", 3,
			"rules[1].combination", "a combination has no flags", "to the rules"},
		{HEAD "- {id: 2, name: b, combination: '1', min-length: 3, action: keep}\n", 3,
			"rules[1].combination", "no extended parameters", "to the rules"},
	};

	for (size_t i = 0; i < PST_ARRAY_CNT(cases); i++)
		expect(&cases[i], "rules.yaml");
}

Test(mistakes, that_only_the_compiler_sees)
{
	static const struct mistake cases[] = {
		{"rules:\n"
		 "- {id: 30, name: a, pattern: good, action: keep}\n"
		 "- {id: 20, name: b, pattern: 'bad(', action: keep}\n"
		 "- {id: 10, name: c, combination: '30', action: keep}\n",
			3, "rules[1].pattern", "rule 20 does not compile: Missing close paren",
			"Hyperscan"},
		{HEAD "- {id: 2, name: b, pattern: '(x)?', action: keep}\n", 3, "rules[1].pattern",
			"rule 2 matches the empty string", "ALLOWEMPTY"},
		{HEAD "- {id: 2, name: b, pattern: '(x)\\1', action: keep}\n", 3,
			"rules[1].pattern", "rule 2 does not compile", "back-references"},
		{HEAD "- {id: 2, name: b, pattern: xyz, min-offset: 9, max-offset: 5, action: "
		      "keep}\n",
			3, "rules[1].pattern", "rule 2 does not compile", ""},
	};

	for (size_t i = 0; i < PST_ARRAY_CNT(cases); i++)
		expect(&cases[i], "rules.yaml");
}

#define INCLUDE(more) HEAD "include:\n- {file: p.txt, id-base: 100" more "}\n"

Test(mistakes, in_an_include)
{
	static const struct mistake cases[] = {
		{INCLUDE(""), 4, "include[0].action", "", ""},
		{INCLUDE(", action: stop"), 4, "include[0].action", "unknown action 'stop'",
			"give keep"},
		{INCLUDE(", action: route x"), 4, "include[0].action", "undeclared stream 'x'",
			"declare"},
		{INCLUDE(", action: keep, listeners: [x]"), 4, "include[0].listeners[0]",
			"unknown listener 'x'", "profile's"},
		{INCLUDE(", action: keep, priority: 1.5"), 4, "include[0].priority",
			"'1.5' is not a priority", "whole number"},
		{INCLUDE(", action: keep"), 4, "include[0].file", "No such file", "readable file"},
		{HEAD "include: [{file: ., id-base: 1, action: keep}]\n", 3, "include[0].file",
			"not a regular file", "regular file"},
		{HEAD "include: [{file: p.txt, action: keep}]\n", 3, "include[0].id-base", "", ""},
		{HEAD "include: [{file: p.txt, id-base: 1k, action: keep}]\n", 3,
			"include[0].id-base", "'1k' is not an id-base", "1000007"},
	};

	for (size_t i = 0; i < PST_ARRAY_CNT(cases); i++)
		expect(&cases[i], "rules.yaml");
}

Test(mistakes, in_a_pattern_file)
{
	static const struct {
		const char *lines;
		unsigned line;
		const char *text, *remedy;
	} cases[] = {
		{"# all good\n1:/abc/\n1:/abd/\n", 3, "id 101 is taken by ", "id-base"},
		{"abc\n", 1, "no id and ':'", "id:/expression/flags"},
		{"x:/abc/\n", 1, "no id and ':'", "id:/expression/flags"},
		{":/abc/\n", 1, "no id and ':'", "id:/expression/flags"},
		{"007:/abc/\n", 1, "no id and ':'", "id:/expression/flags"},
		{"1:/abc/\n\n 2:abc\n", 3, "no /expression/", "id:/expression/flags"},
		{"1:/abc\n", 1, "no /expression/", "id:/expression/flags"},
		{"1:/\n", 1, "no /expression/", "id:/expression/flags"},
		{"1://\n", 1, "an empty pattern", "allowempty"},
		{"1:/abc/iz\n", 1, "unknown flag 'z'", "i (caseless)"},
		{"1:/abc/i\x01\n", 1, "unknown flag \\x01", "i (caseless)"},
		{"1:/abc/8\n", 1, "flag 8 (UTF-8) is refused", "over bytes"},
		{"1:/abc/W\n", 1, "flag W (UTF-8) is refused", "over bytes"},
		{"1:/(*UTF8)abc/\n", 1, "UTF-8 mode is refused", "leave the (*UTF"},
		{"1:/abc/{min_offset=4\n", 1, "cannot read the parameters from 'min_offset=4'",
			"{min_offset=4,max_offset=80}"},
		{"1:/abc/{}\n", 1, "cannot read the parameters from '}'", "{min_offset"},
		{"1:/abc/{min_offset}\n", 1, "cannot read the parameters", "{min_offset"},
		{"1:/abc/{min_offset=}\n", 1, "cannot read the parameters", "{min_offset"},
		{"1:/abc/{offset=3}\n", 1, "cannot read the parameters", "{min_offset"},
		{"1:/abc/{min_offset=-3}\n", 1, "cannot read the parameters", "{min_offset"},
		{"1:/abc/{min_offset=1,min_offset=2}\n", 1, "parameters from 'min_offset=2}'",
			"at most once"},
		{"1:/abc/{min_offset=1,}\n", 1, "cannot read the parameters from '}'", ""},
		{"1:/abc/{min_offset=1}i\n", 1, "cannot read the parameters", "{min_offset"},
		{"4294967295:/abc/\n", 1, "id-base 100 + id 4294967295 is more than", "lower"},
		{"4294967296:/abc/\n", 1, "no id and ':'", "0 to 4294967295"},
		{"1:/abc/\n2:/1 & 3/C\n", 2, "no rule has the id 103", "write ids"},
		{"1:/abc/\n2:/1/Ci\n", 2, "flags or parameters beside C", "leave them out"},
		{"1:/abc/\n2:/1/C{min_offset=1}\n", 2, "flags or parameters beside C", "leave"},
		{"1:/abc/\n2:/1/CQ\n", 2, "flags or parameters beside C", "leave them out"},
		{"1:/x?/\n", 1, "rule 101 matches the empty string", "V (ALLOWEMPTY)"},
		{"5:/good/\n4:/bad)/\n", 2, "rule 104 does not compile", "Hyperscan"},
	};

	for (size_t i = 0; i < PST_ARRAY_CNT(cases); i++) {
		test_write("p.txt", cases[i].lines);
		expect(&(struct mistake){INCLUDE(", action: drop"), cases[i].line, "",
			       cases[i].text, cases[i].remedy},
			"p.txt");
	}
}

Test(mistakes, collision_between_number_spaces)
{
	test_write("p.txt", "7:/a/\n");
	test_write("q.txt", "7:/b/\n2:/c/\n");
	expect(&(struct mistake){"rules: [{id: 102, name: n, pattern: x, action: keep}]\n"
				 "include:\n"
				 "- {file: p.txt, id-base: 100, action: keep}\n"
				 "- {file: q.txt, id-base: 200, action: keep}\n"
				 "- {file: q.txt, id-base: 100, action: keep}\n",
		       2, "", "id 102 is taken by", "id-base"},
		"q.txt");
}

Test(mistakes, zero_byte_in_a_pattern_file)
{
	FILE *f = fopen(test_path("p.txt"), "w");

	cr_assert(f);
	fwrite("1:/a/\n2:/a\0b/\n", 1, 14, f);
	fclose(f);
	expect(&(struct mistake){INCLUDE(", action: drop"), 2, "", "a zero byte", "\\x00"},
		"p.txt");
}

Test(mistakes, names_and_patterns_up_to_their_limits)
{
	char *content = malloc(40000), *long_text = malloc(20000);
	struct pst_diag diag;

	cr_assert(content && long_text);
	for (int over = 0; over < 2; over++) {
		memset(long_text, 'a', 20000);
		long_text[100 + over] = '\0';
		sprintf(content, "rules: [{id: 1, name: %s, pattern: x, action: keep}]\n",
			long_text);
		if (!over) {
			pst_rules_free(test_load(content));
		} else {
			diag = test_load_bad(content);
			cr_assert_str_eq(diag.key, "rules[0].name");
			cr_assert_str_eq(diag.text, "a name too long");
		}
		memset(long_text, 'a', 20000);
		long_text[16000 + over] = '\0';
		sprintf(content, "rules: [{id: 1, name: n, pattern: %s, action: keep}]\n",
			long_text);
		if (!over) {
			pst_rules_free(test_load(content));
		} else {
			diag = test_load_bad(content);
			cr_assert_str_eq(diag.key, "rules[0].pattern");
			cr_assert_str_eq(diag.text, "16001 bytes: more than 16000");
		}
	}
	free(content);
	free(long_text);
}

Test(mistakes, one_rule_too_many)
{
	FILE *f;
	struct pst_diag diag;

	f = fopen(test_path("p.txt"), "w");
	cr_assert(f);
	for (int i = 1; i <= 100000; i++)
		fprintf(f, "%d:/a/\n", i);
	fclose(f);
	diag = test_load_bad(INCLUDE(", action: drop"));
	cr_assert_str_eq(diag.text, "more than 100000 rules");
	cr_assert_eq(diag.line, 100000);
}

Test(mistakes, files_too_large_or_missing_or_no_files)
{
	struct pst_rules *rules;
	struct pst_diag diag;

	cr_assert_eq(pst_rules_load(test_path("none.yaml"), &test_env, &rules, &diag), -1);
	cr_assert_str_eq(diag.file, test_path("none.yaml"));
	cr_assert_str_eq(diag.text, "No such file or directory");
	cr_assert_eq(mkfifo(test_path("fifo"), 0600), 0);
	cr_assert_eq(pst_rules_load(test_path("fifo"), &test_env, &rules, &diag), -1);
	cr_assert_str_eq(diag.text, "not a regular file");

	test_write("p.txt", "1:/a/\n");
	cr_assert_eq(truncate(test_path("p.txt"), (16 << 20) + 1), 0);
	diag = test_load_bad(INCLUDE(", action: drop"));
	cr_assert_str_eq(diag.key, "include[0].file");
	cr_assert(strstr(diag.text, "larger than 16 MiB"));
	/* One byte less is read, and found to hold zero bytes. */
	cr_assert_eq(truncate(test_path("p.txt"), 16 << 20), 0);
	diag = test_load_bad(INCLUDE(", action: drop"));
	cr_assert_str_eq(diag.text, "a zero byte");
}

Test(mistakes, too_many_negative_combinations)
{
	char *content = malloc(1 << 16), *at = content;

	cr_assert(content);
	at += sprintf(at, HEAD);
	for (int i = 0; i < 256; i++)
		at += sprintf(at, "- {id: %d, name: n, combination: '!1', action: keep}\n", 10 + i);
	pst_rules_free(test_load(content));
	sprintf(at, "- {id: 9999, name: n, combination: '!1', action: keep}\n");
	struct pst_diag diag = test_load_bad(content);
	cr_assert(strstr(diag.text, "more than 256 combinations hold when nothing matches"));
	cr_assert(strstr(diag.key, ".combination"));
	free(content);
}
