/* The draft's patterns into one Hyperscan database, from the cache or from the compiling child. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "rules/cache.h"
#include "rules/compile.h"
#include "rules/ruleset.h"

static_assert(PST_RULES_CACHE_KEY_BYTES == SHA256_DIGEST_LENGTH, "the key is a SHA-256");

/* The patterns of a draft, as Hyperscan takes them. */
struct expressions {
	const char **patterns;
	unsigned *flags, *ids;
	const hs_expr_ext_t **exts;
	unsigned cnt;
};

static int
collect(const struct pst_rules_draft *draft, struct expressions *x)
{
	size_t cap = pst_max_u64(draft->entry_cnt, 1);

	x->patterns = calloc(cap, sizeof(*x->patterns));
	x->flags = calloc(cap, sizeof(*x->flags));
	x->ids = calloc(cap, sizeof(*x->ids));
	x->exts = calloc(cap, sizeof(*x->exts));
	if (!x->patterns || !x->flags || !x->ids || !x->exts)
		return -1;
	for (uint32_t i = 0; i < draft->entry_cnt; i++) {
		const struct pst_rules_entry *e = &draft->entries[i];
		if (e->rule.combination)
			continue;
		x->patterns[x->cnt] = e->rule.pattern;
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

static void
discard(struct expressions *x)
{
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
deserialize(struct pst_rules *rules, const uint8_t *bytes, size_t len)
{
	size_t database_bytes;

	if (hs_deserialize_database((const char *)bytes, len, &rules->db) != HS_SUCCESS) {
		rules->db = NULL;
		return -1;
	}
	if (hs_database_size(rules->db, &database_bytes) == HS_SUCCESS)
		rules->info.database_bytes = database_bytes;
	return 0;
}

static int
compile(struct pst_rules *rules, const struct pst_rules_draft *draft, const struct expressions *x,
	const struct pst_rules_env *env, const uint8_t *key, struct pst_diag *diag)
{
	const struct pst_rules_compile_job job = {.patterns = x->patterns,
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
	if (deserialize(rules, result.bytes, result.len) != 0)
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

static int
take_or_compile(struct pst_rules *rules, const struct pst_rules_draft *draft,
	const struct expressions *x, const struct pst_rules_env *env, struct pst_diag *diag)
{
	uint8_t key[PST_RULES_CACHE_KEY_BYTES], *bytes = NULL;
	hs_platform_info_t platform = {0};
	size_t len = 0;

	if (hs_valid_platform() != HS_SUCCESS || hs_populate_platform(&platform) != HS_SUCCESS)
		return pst_diag_set(diag, draft->path, 0, NULL,
			"run on a processor with SSSE3 or later",
			"the pattern matcher does not run on this processor");
	cache_key(x, &platform, key);
	if (env->cache_dir && pst_rules_cache_get(env->cache_dir, key, &bytes, &len,
				      rules->cache_note, sizeof(rules->cache_note)) == 0) {
		rules->info.from_cache = deserialize(rules, bytes, len) == 0;
		free(bytes);
		if (rules->info.from_cache)
			return 0;
	}
	return compile(rules, draft, x, env, key, diag);
}

int
pst_rules_database_make(struct pst_rules *rules, const struct pst_rules_draft *draft,
	const struct pst_rules_env *env, struct pst_diag *diag)
{
	struct expressions x = {0};
	int rc;

	if (collect(draft, &x) != 0)
		rc = pst_diag_set(diag, draft->path, 0, NULL, NULL, "no memory");
	else
		rc = x.cnt ? take_or_compile(rules, draft, &x, env, diag) : 0;
	discard(&x);
	return rc;
}
