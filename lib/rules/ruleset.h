/* Inside of lib/rules: a rule set while it is read and checked, and as it stands once loaded.
 *
 *   rules file ─▶ rules_file.c ─┐                          ┌▶ cache.c   (taken from there, or)
 *   pattern files ─▶ include.c ─┴▶ draft: entries by id ───┴▶ compile.c (compiled in a child)
 *                                   │ combination.c               │ database
 *                                   └──────────▶ struct pst_rules ◀┘ ─▶ frame_scan.c ─▶ eval.c
 */
#ifndef PST_RULESET_H
#define PST_RULESET_H

#include <hs/hs.h>
#include <sha2.h>

#include "base/diag.h"
#include "rules/combination.h"
#include "rules/rules.h"
#include "yaml/yaml.h"

#define PST_RULES_FILE_BYTES_MAX    (16u << 20) /* of the rules file and of each pattern file */
#define PST_RULES_PATTERN_BYTES_MAX 16000u      /* Hyperscan's own limit */
#define PST_RULES_CNT_MAX           100000u
#define PST_RULES_INCLUDE_CNT_MAX   256u
#define PST_RULES_NAME_BYTES_MAX    100u /* printed by telemetry, whose strings are short */
#define PST_RULES_SAMPLE_MAX        1000000000u
#define PST_RULES_NEGATIVE_MAX      256u /* combinations that hold when nothing matched */
#define PST_RULES_LISTENERS_MAX     64u  /* bits of a listener mask */
#define PST_RULES_STREAMS_OPEN_MAX  64u  /* named by a file whose profile is not known */

/* Names that rules refer to. An open list takes in every name that it is asked for. */
struct pst_rules_names {
	char **names;
	uint32_t cnt;
	uint32_t max;
	bool open;
};

/* Index of the name, or -1 if the list does not have it (open: if it is full). */
int pst_rules_names_find(struct pst_rules_names *list, const char *name);
void pst_rules_names_fini(struct pst_rules_names *list);

/* Where a rule or a key was written. */
struct pst_rules_place {
	enum { PST_RULES_IN_RULES, PST_RULES_IN_INCLUDE, PST_RULES_IN_PATTERN_FILE } kind;
	uint32_t list_idx;    /* of rules[] or include[] */
	uint32_t line;        /* in the pattern file */
	uint32_t include_idx; /* whose pattern file */
};

struct pst_rules_entry {
	struct pst_rule rule; /* its strings belong to the entry */
	struct pst_rules_place place;
	uint32_t hs_flags;
	hs_expr_ext_t ext;
	uint32_t id_base; /* of the file: what a combination's operands are counted from */
};

struct pst_rules_draft {
	const char *path;
	char **include_paths;
	uint32_t include_cnt;
	struct pst_yaml_lines *lines; /* and the file as loaded: rules_file.c's */
	void *raw;
	struct pst_rules_names listeners;
	struct pst_rules_names streams;
	struct pst_rules_entry *entries; /* by ascending id once loaded */
	uint32_t entry_cnt, entry_cap;
	struct pst_combinations combinations;
	SHA2_CTX content; /* of all files, while they are read */
	char hash[SHA256_DIGEST_STRING_LENGTH];
};

/* Reads and checks the rules file with all that it includes; compiles nothing. Fills a zeroed
 * *draft, which the caller finishes in every case. Returns 0, or -1 with *diag. */
int pst_rules_draft_load(struct pst_rules_draft *draft, const char *path,
	const struct pst_rules_env *env, struct pst_diag *diag);
void pst_rules_draft_fini(struct pst_rules_draft *draft);

/* Adds an entry (zeroed but for its place, priority 0, all listeners). NULL: out of memory or
 * beyond PST_RULES_CNT_MAX, with *diag. */
struct pst_rules_entry *pst_rules_draft_add(
	struct pst_rules_draft *draft, const struct pst_rules_place *place, struct pst_diag *diag);

/* Fills *diag with the place's file, line and key (key: last part as in "pattern"; NULL: the rule
 * as a whole). Returns -1. */
int pst_rules_fail(const struct pst_rules_draft *draft, const struct pst_rules_place *place,
	const char *key, const char *remedy, struct pst_diag *diag, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

/* rules_file.c: the YAML file's rules and includes into the draft. */
int pst_rules_file_read(struct pst_rules_draft *draft, struct pst_diag *diag);
void pst_rules_file_release(struct pst_rules_draft *draft);

/* include.c: the lines of a pattern file (bytes of text, not changed) as rules like *model. */
int pst_rules_include_read(struct pst_rules_draft *draft, uint32_t include_idx, const char *text,
	size_t bytes, const struct pst_rules_entry *model, struct pst_diag *diag);

/* content.c: whole file into memory: regular, at most PST_RULES_FILE_BYTES_MAX. The diagnostic
 * speaks of the place that named the file; NULL: the rules file itself. */
int pst_rules_content_read(const struct pst_rules_draft *draft, const char *path,
	const struct pst_rules_place *named_at, char **out, size_t *out_bytes,
	struct pst_diag *diag);

/* terms.c: the small terms of a rule. */

/* Decimal digits only, whole string, no leading zero but "0". Returns 0, or -1. */
int pst_rules_parse_number(const char *text, size_t len, uint64_t max, uint64_t *out);
int pst_rules_parse_priority(const char *text, int32_t *out);

/* Sets the extended parameter that one HS_EXT_FLAG_ stands for. */
void pst_rules_ext_set(hs_expr_ext_t *ext, unsigned long long flag, uint64_t value);

/* Each checks what was written for *entry and sets it; 0, or -1 with *diag. */
int pst_rules_set_action(struct pst_rules_draft *draft, const struct pst_rules_place *place,
	const char *text, struct pst_rules_entry *entry, struct pst_diag *diag);
int pst_rules_set_flag(struct pst_rules_draft *draft, const char *name,
	struct pst_rules_entry *entry, struct pst_diag *diag);
int pst_rules_set_listeners(struct pst_rules_draft *draft, const struct pst_rules_place *place,
	char *const *names, uint32_t cnt, struct pst_rules_entry *entry, struct pst_diag *diag);
int pst_rules_set_pattern(struct pst_rules_draft *draft, const char *text, size_t len,
	struct pst_rules_entry *entry, struct pst_diag *diag);

/* What evaluation reads of a rule, kept apart from what people read. */
struct pst_rules_hot {
	uint64_t listener_mask;
	uint32_t rank; /* 0: decides before all others; the order of (priority down, id up) */
	bool quiet;
};

struct pst_rules {
	struct pst_rule *rules; /* by ascending id */
	struct pst_rules_hot *hot;
	uint32_t *by_rank; /* rank -> index */
	uint32_t rule_cnt;
	struct pst_combinations combinations;
	hs_database_t *db; /* its ids are rule indices; NULL: no pattern at all */
	/* Supersets of the same patterns under the same ids; NULL: not all of them have one. */
	hs_database_t *superset_db;
	uint64_t default_drop_mask;
	struct pst_rules_names listeners, streams;
	struct pst_rules_info info;
	char hash[SHA256_DIGEST_STRING_LENGTH];
	char cache_note[512];
	char apart_note[512];
};

static inline uint64_t
pst_rules_listener_bit(uint16_t listener_idx)
{
	return 1ull << (listener_idx & (PST_RULES_LISTENERS_MAX - 1));
}

/* database.c: the draft's patterns, compiled, into rules->db and ->superset_db (left NULL if there
 * are none), with what concerns them in rules->info. Returns 0, or -1 with *diag. */
int pst_rules_database_make(struct pst_rules *rules, const struct pst_rules_draft *draft,
	const struct pst_rules_env *env, struct pst_diag *diag);

#endif
