/* The draft's patterns into a Hyperscan database, and their supersets into another: each from the
 * cache or from the compiling child. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "rules/cache.h"
#include "rules/compile.h"
#include "rules/ruleset.h"
#include "rules/superset.h"

static_assert(PST_RULES_CACHE_KEY_BYTES == SHA256_DIGEST_LENGTH, "the key is a SHA-256");

/* The patterns of a draft, or their supersets, as Hyperscan takes them. */
struct expressions {
	char **patterns;
	unsigned *flags, *ids;
	const hs_expr_ext_t **exts;
	unsigned cnt;
};

static int
reserve(struct expressions *x, uint32_t cnt)
{
	size_t cap = pst_max_u64(cnt, 1);

	x->patterns = calloc(cap, sizeof(*x->patterns));
	x->flags = calloc(cap, sizeof(*x->flags));
	x->ids = calloc(cap, sizeof(*x->ids));
	x->exts = calloc(cap, sizeof(*x->exts));
	return x->patterns && x->flags && x->ids && x->exts ? 0 : -1;
}

static int
collect(const struct pst_rules_draft *draft, struct expressions *x)
{
	if (reserve(x, draft->entry_cnt) != 0)
		return -1;
	for (uint32_t i = 0; i < draft->entry_cnt; i++) {
		const struct pst_rules_entry *e = &draft->entries[i];
		if (e->rule.combination)
			continue;
		x->patterns[x->cnt] = strdup(e->rule.pattern);
		if (!x->patterns[x->cnt])
			return -1;
		/* One report an event is enough. A minimum length makes Hyperscan follow where
		 * matches begin, which it does not promise together with SINGLEMATCH. */
		x->flags[x->cnt] = e->hs_flags |
				   (e->ext.flags & HS_EXT_FLAG_MIN_LENGTH ? 0
									  : HS_FLAG_SINGLEMATCH);
		x->exts[x->cnt] = e->ext.flags ? &e->ext : NULL;
		x->ids[x->cnt++] = i;
	}
	return 0;
}

/* One that matches the empty string would report every byte: without ALLOWEMPTY, the compiler
 * refuses it. SINGLEMATCH would report the first event hit only. Of the parameters, those that
 * shrink what matches can be left out; distances stretch it beyond what the pattern says. */
static char *
superset_of(const struct pst_rules_entry *e, unsigned *hs_flags, const char **why)
{
	*hs_flags = e->hs_flags & ~(unsigned)HS_FLAG_ALLOWEMPTY;
	if (e->hs_flags & HS_FLAG_PREFILTER)
		*why = "the flag prefilter";
	else if (e->ext.flags & (HS_EXT_FLAG_EDIT_DISTANCE | HS_EXT_FLAG_HAMMING_DISTANCE))
		*why = "a distance";
	else
		return pst_rules_superset(e->rule.pattern, why);
	return NULL;
}

/* -1 with rules->apart_note: a pattern has none. */
static int
collect_supersets(
	struct pst_rules *rules, const struct pst_rules_draft *draft, struct expressions *x)
{
	const char *why = "no memory";

	if (reserve(x, draft->entry_cnt) != 0) {
		snprintf(rules->apart_note, sizeof(rules->apart_note), "%s", why);
		return -1;
	}
	for (uint32_t i = 0; i < draft->entry_cnt; i++) {
		const struct pst_rules_entry *e = &draft->entries[i];
		if (e->rule.combination)
			continue;
		x->patterns[x->cnt] = superset_of(e, &x->flags[x->cnt], &why);
		if (!x->patterns[x->cnt]) {
			snprintf(rules->apart_note, sizeof(rules->apart_note), "rule %u has %s",
				e->rule.id, why);
			return -1;
		}
		x->ids[x->cnt++] = i;
	}
	return 0;
}

static void
discard(struct expressions *x)
{
	for (unsigned i = 0; x->patterns && i < x->cnt; i++)
		free(x->patterns[i]);
	free(x->patterns);
	free(x->flags);
	free(x->ids);
	free(x->exts);
}

static void
hash_number(SHA2_CTX *ctx, uint64_t value)
{
	uint8_t be[8];

	pst_store_be64(be, value);
	SHA256Update(ctx, be, sizeof(be));
}

static void
hash_text(SHA2_CTX *ctx, const char *text)
{
	hash_number(ctx, strlen(text));
	SHA256Update(ctx, (const uint8_t *)text, strlen(text));
}

/* Over exactly what the compiler sees: a changed action or comment needs no new compile, and no
 * two inputs of the compiler share a key. */
static void
cache_key(const struct expressions *x, const hs_platform_info_t *platform,
	uint8_t key[PST_RULES_CACHE_KEY_BYTES])
{
	SHA2_CTX ctx;

	SHA256Init(&ctx);
	hash_text(&ctx, "penstock rules 1");
	hash_text(&ctx, hs_version());
	hash_number(&ctx, HS_MODE_BLOCK);
	hash_number(&ctx, platform->tune);
	hash_number(&ctx, platform->cpu_features);
	hash_number(&ctx, x->cnt);
	for (unsigned i = 0; i < x->cnt; i++) {
		static const hs_expr_ext_t none;
		const hs_expr_ext_t *ext = x->exts[i] ? x->exts[i] : &none;
		hash_text(&ctx, x->patterns[i]);
		hash_number(&ctx, x->ids[i]);
		hash_number(&ctx, x->flags[i]);
		hash_number(&ctx, ext->flags);
		hash_number(&ctx, ext->min_offset);
		hash_number(&ctx, ext->max_offset);
		hash_number(&ctx, ext->min_length);
		hash_number(&ctx, ext->edit_distance);
		hash_number(&ctx, ext->hamming_distance);
	}
	SHA256Final(key, &ctx);
}

static int
refused(const struct pst_rules_draft *draft, const struct pst_rules_compile_result *result,
	struct pst_diag *diag)
{
	/* The ids that it was given are entry indices, in the order of expressions. */
	const struct pst_rules_entry *e = &draft->entries[0];
	uint32_t nth = (uint32_t)result->expression;

	if (result->expression < 0)
		return pst_diag_set(diag, draft->path, 0, NULL,
			"simplify or split the longest patterns", "the rules do not compile: %s",
			result->text);
	while (e->rule.combination || nth-- > 0)
		e++;
	if (strstr(result->text, "HS_FLAG_ALLOWEMPTY"))
		return pst_rules_fail(draft, &e->place, "pattern",
			e->place.kind == PST_RULES_IN_PATTERN_FILE
				? "add the flag V (ALLOWEMPTY) if it shall match every event, or "
				  "make it match at least one byte"
				: "add allowempty (ALLOWEMPTY) to flags if it shall match every "
				  "event, or make it match at least one byte",
			diag, "rule %u matches the empty string, so it would match every event",
			e->rule.id);
	return pst_rules_fail(draft, &e->place, "pattern",
		"write an expression that Hyperscan supports (most of PCRE; no back-references, "
		"no look-around)",
		diag, "rule %u does not compile: %s", e->rule.id, result->text);
}

static int
explain(const struct pst_rules_draft *draft, const struct pst_rules_compile_limits *limits,
	const struct pst_rules_compile_result *result, struct pst_diag *diag)
{
	static const char *const remedy =
		"simplify or split patterns with large bounded repeats, or raise "
		"rules.compile-cpu or rules.compile-memory in the profile";

	switch (result->status) {
	case PST_RULES_COMPILE_REFUSED:
		return refused(draft, result, diag);
	case PST_RULES_COMPILE_CPU:
		return pst_diag_set(diag, draft->path, 0, NULL, remedy,
			"compiling the rules took more than the limit of %llu s of CPU time",
			(unsigned long long)limits->cpu_s);
	case PST_RULES_COMPILE_MEMORY:
		return pst_diag_set(diag, draft->path, 0, NULL, remedy,
			"compiling the rules took more than the limit of %llu bytes of memory",
			(unsigned long long)limits->bytes);
	case PST_RULES_COMPILE_WALL:
		return pst_diag_set(diag, draft->path, 0, NULL, remedy,
			"compiling the rules was not done after %llu ms, with a limit of %llu s "
			"of CPU time",
			(unsigned long long)limits->wall_ms, (unsigned long long)limits->cpu_s);
	case PST_RULES_COMPILE_CRASHED:
		return pst_diag_set(diag, draft->path, 0, NULL, remedy,
			"the process that compiles the rules died (signal %d; limits: %llu s of "
			"CPU time, %llu bytes of memory)",
			result->signal_number, (unsigned long long)limits->cpu_s,
			(unsigned long long)limits->bytes);
	default:
		return pst_diag_set(diag, draft->path, 0, NULL, NULL,
			"no process to compile the rules in: %s", strerror(result->error_number));
	}
}

static int
deserialize(struct pst_rules *rules, const uint8_t *bytes, size_t len, hs_database_t **db)
{
	size_t database_bytes;

	if (hs_deserialize_database((const char *)bytes, len, db) != HS_SUCCESS) {
		*db = NULL;
		return -1;
	}
	if (hs_database_size(*db, &database_bytes) == HS_SUCCESS)
		rules->info.database_bytes += database_bytes;
	return 0;
}

static int
compile(struct pst_rules *rules, const struct pst_rules_draft *draft, const struct expressions *x,
	const struct pst_rules_env *env, const uint8_t *key, hs_database_t **db,
	struct pst_diag *diag)
{
	const struct pst_rules_compile_job job = {.patterns = (const char *const *)x->patterns,
		.flags = x->flags,
		.ids = x->ids,
		.exts = x->exts,
		.cnt = x->cnt};
	struct pst_rules_compile_limits limits = {
		.cpu_s = env->compile_cpu_s_max ? env->compile_cpu_s_max : PST_RULES_COMPILE_CPU_S,
		.bytes = env->compile_bytes_max ? env->compile_bytes_max : PST_RULES_COMPILE_BYTES};
	struct pst_rules_compile_result result;
	char note[sizeof(rules->cache_note)];
	int rc = 0;

	/* For a child that neither works nor ends; a busy machine may take its time. */
	limits.wall_ms = limits.cpu_s > UINT64_MAX / 20000 ? UINT64_MAX / 2 : limits.cpu_s * 10000;
	pst_rules_compile(&job, &limits, &result);
	if (result.status != PST_RULES_COMPILED)
		return explain(draft, &limits, &result, diag);
	if (deserialize(rules, result.bytes, result.len, db) != 0)
		rc = pst_diag_set(diag, draft->path, 0, NULL, NULL,
			"the compiled database cannot be loaded: out of memory?");
	else if (env->cache_dir &&
		 pst_rules_cache_put(
			 env->cache_dir, key, result.bytes, result.len, note, sizeof(note)) != 0 &&
		 rules->cache_note[0] == '\0')
		memcpy(rules->cache_note, note, sizeof(note));
	free(result.bytes);
	return rc;
}

/* The expressions' database, and whether it came out of the cache. */
static int
take_or_compile(struct pst_rules *rules, const struct pst_rules_draft *draft,
	const struct expressions *x, const struct pst_rules_env *env, hs_database_t **db,
	bool *from_cache, struct pst_diag *diag)
{
	uint8_t key[PST_RULES_CACHE_KEY_BYTES], *bytes = NULL;
	hs_platform_info_t platform = {0};
	char note[sizeof(rules->cache_note)] = "";
	size_t len = 0;

	*from_cache = false;
	if (hs_valid_platform() != HS_SUCCESS || hs_populate_platform(&platform) != HS_SUCCESS)
		return pst_diag_set(diag, draft->path, 0, NULL,
			"run on a processor with SSSE3 or later",
			"the pattern matcher does not run on this processor");
	cache_key(x, &platform, key);
	if (env->cache_dir &&
		pst_rules_cache_get(env->cache_dir, key, &bytes, &len, note, sizeof(note)) == 0) {
		*from_cache = deserialize(rules, bytes, len, db) == 0;
		free(bytes);
		if (*from_cache)
			return 0;
	}
	if (rules->cache_note[0] == '\0')
		memcpy(rules->cache_note, note, sizeof(note));
	return compile(rules, draft, x, env, key, db, diag);
}

/* The supersets make evaluation cheaper, and nothing depends on them: that they cannot be had is
 * only noted. */
static void
make_superset(struct pst_rules *rules, const struct pst_rules_draft *draft,
	const struct pst_rules_env *env)
{
	struct expressions x = {0};
	struct pst_diag diag;
	bool from_cache;

	if (collect_supersets(rules, draft, &x) == 0) {
		if (take_or_compile(
			    rules, draft, &x, env, &rules->superset_db, &from_cache, &diag) != 0)
			snprintf(rules->apart_note, sizeof(rules->apart_note),
				"without ^, $ and \\b: %s", diag.text);
		else
			rules->info.from_cache &= from_cache;
	}
	discard(&x);
}

int
pst_rules_database_make(struct pst_rules *rules, const struct pst_rules_draft *draft,
	const struct pst_rules_env *env, struct pst_diag *diag)
{
	struct expressions x = {0};
	int rc = 0;

	if (collect(draft, &x) != 0)
		rc = pst_diag_set(diag, draft->path, 0, NULL, NULL, "no memory");
	else if (x.cnt)
		rc = take_or_compile(
			rules, draft, &x, env, &rules->db, &rules->info.from_cache, diag);
	if (rules->db)
		make_superset(rules, draft, env);
	discard(&x);
	return rc;
}
