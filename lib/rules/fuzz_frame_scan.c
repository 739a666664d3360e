/* Patterns from anywhere, on a datagram from anywhere: what the events' common scan and then a scan
 * of those it names come to, against a scan of each.
 *
 *   pattern file, of ids 1 to 8, as include: takes it | NUL | framing, a byte | payload */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/base.h"
#include "rules/compile.h"
#include "rules/rules.h"

#define PATTERNS_BYTES_MAX 400 /* more is only slower */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void __wrap_pst_rules_compile(const struct pst_rules_compile_job *job,
	const struct pst_rules_compile_limits *limits, struct pst_rules_compile_result *result);

/* In place of the compiling child: here, so that it costs no process an input. */
void
__wrap_pst_rules_compile(const struct pst_rules_compile_job *job,
	const struct pst_rules_compile_limits *limits, struct pst_rules_compile_result *result)
{
	hs_compile_error_t *error = NULL;
	hs_database_t *db = NULL;
	char *bytes = NULL;

	memset(result, 0, sizeof(*result));
	result->status = PST_RULES_COMPILE_REFUSED;
	if (hs_compile_ext_multi(job->patterns, job->flags, job->ids, job->exts, job->cnt,
		    HS_MODE_BLOCK, NULL, &db, &error) != HS_SUCCESS) {
		result->expression = error->expression;
		snprintf(result->text, sizeof(result->text), "%s", error->message);
		hs_free_compile_error(error);
		return;
	}
	PST_ASSERT(hs_serialize_database(db, &bytes, &result->len) == HS_SUCCESS);
	hs_free_database(db);
	result->bytes = (uint8_t *)bytes;
	result->status = PST_RULES_COMPILED;
}

static int
file_of(const char *name, const void *bytes, size_t len)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	PST_ASSERT(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
	return fd;
}

/* Large repeats, and repeats of repeats: nothing that small ones do not show, and the compiler may
 * take minutes for them. */
static bool
may_take_long(const uint8_t *patterns, size_t size)
{
	unsigned digits = 0, repeats = 0;
	bool in_repeat = false;

	for (size_t i = 0; i < size; i++) {
		bool digit = patterns[i] >= '0' && patterns[i] <= '9';
		bool opens = i > 0 && patterns[i - 1] == '{' && digit;
		repeats += opens;
		in_repeat = opens || (in_repeat && (digit || patterns[i] == ','));
		digits = in_repeat && digit ? digits + 1 : 0;
		if (digits > 1 || repeats > 2)
			return true;
	}
	return false;
}

/* NULL: they are no rules, or cannot be scanned together. */
static struct pst_rules *
rules_of(const uint8_t *patterns, size_t size)
{
	const struct pst_rules_env env = {0};
	struct pst_rules *rules = NULL;
	struct pst_diag diag;
	char text[256], path[64];
	int included = file_of("patterns", patterns, size);
	int len = snprintf(text, sizeof(text),
		"rules:\n"
		"- {id: 100, name: a, pattern: marker, action: keep}\n"
		"- {id: 101, name: n, combination: '!100', action: sample 1/3, priority: -1}\n"
		"include: [{file: /proc/self/fd/%d, id-base: 0, action: drop}]\n",
		included);
	int fd = file_of("rules", text, (size_t)len);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (pst_rules_load(path, &env, &rules, &diag) == 0 && pst_rules_info(rules)->apart_note) {
		pst_rules_free(rules);
		rules = NULL;
	}
	close(included);
	close(fd);
	return rules;
}

static void
expect_same(const struct pst_rules_verdict *a, const struct pst_rules_verdict *b)
{
	PST_ASSERT(a->action == b->action && a->stream_idx == b->stream_idx &&
		   a->match_cnt == b->match_cnt && a->rule_idx == b->rule_idx &&
		   a->scan_error == b->scan_error &&
		   memcmp(a->match_ids, b->match_ids, a->match_cnt * sizeof(*a->match_ids)) == 0);
}

static void
compare(const struct pst_rules *rules, const struct pst_event *events, uint32_t cnt)
{
	struct pst_rules_scratch *together = pst_rules_scratch_create(rules);
	struct pst_rules_scratch *apart = pst_rules_scratch_create(rules);

	PST_ASSERT(together && apart);
	uint64_t hits = pst_rules_frame_scan(together, 0, events, cnt);
	for (uint32_t i = 0; i < cnt; i++) {
		struct pst_rules_verdict a, b;
		pst_rules_eval(apart, 0, events[i].data, events[i].len, &a);
		if (hits >> i & 1)
			pst_rules_eval(together, 0, events[i].data, events[i].len, &b);
		else
			pst_rules_eval_unmatched(together, 0, &b);
		expect_same(&a, &b);
	}
	PST_ASSERT(memcmp(pst_rules_counts(together), pst_rules_counts(apart),
			   pst_rules_cnt(rules) * sizeof(struct pst_rules_count)) == 0);
	pst_rules_scratch_destroy(together);
	pst_rules_scratch_destroy(apart);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pst_event events[PST_RULES_FRAME_EVENTS_MAX];
	struct pst_event_iter iter;
	struct pst_mold mold;
	const uint8_t *end = memchr(data, '\0', pst_min_u64(size, PATTERNS_BYTES_MAX));
	uint32_t cnt = 0;

	if (!end || end + 2 > data + size || may_take_long(data, (size_t)(end - data)))
		return 0;
	enum pst_framing framing = end[1] & 1 ? PST_FRAMING_MOLD64 : PST_FRAMING_LINES;
	const uint8_t *payload = end + 2;
	uint32_t payload_len = (uint32_t)(data + size - payload);
	if (framing == PST_FRAMING_MOLD64 &&
		pst_mold_parse(payload, payload_len, &mold) != PST_FRAME_CARRIED)
		return 0;
	pst_event_iter_init(&iter, framing, payload, payload_len);
	while (cnt < PST_RULES_FRAME_EVENTS_MAX && pst_event_iter_next(&iter, &events[cnt]))
		cnt++;
	struct pst_rules *rules = cnt > 1 ? rules_of(data, (size_t)(end - data)) : NULL;
	if (!rules)
		return 0;
	compare(rules, events, cnt);
	pst_rules_free(rules);
	return 0;
}
