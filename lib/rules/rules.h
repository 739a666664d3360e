/* Rule file -> Hyperscan database -> verdict for an event.
 *
 *   control thread                         each rx lcore
 *   pst_rules_load ──▶ struct pst_rules ─▶ pst_rules_scratch_create (control thread)
 *    (child compiles)   const, shared       pst_rules_eval(scratch, event) per event
 *
 * A loaded set is immutable; a reload makes a new set and new scratches, which the control thread
 * hands to each lcore between two bursts, and frees the old ones when all have taken them up. */
#ifndef PST_RULES_H
#define PST_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"

#define PST_RULES_MATCH_MAX                                                                        \
	16 /* matched ids kept for one event's record; all decide, all count                       \
	    */

enum pst_rules_action {
	PST_RULES_KEEP,
	PST_RULES_DROP,
	PST_RULES_ROUTE,
	PST_RULES_QUARANTINE,
	PST_RULES_SAMPLE, /* only in a rule; an evaluation says KEEP or SAMPLED_OUT */
	PST_RULES_SAMPLED_OUT,
};

const char *pst_rules_action_name(enum pst_rules_action action);

/* What names in the rules file refer to; const, must outlive the set. */
struct pst_rules_env {
	const char *const *listener_names;
	const bool *listener_default_drop;
	uint16_t listener_cnt;
	const char *const *stream_names; /* targets of route; internal streams are not targets */
	uint16_t stream_cnt;
	const char *cache_dir; /* NULL: no cache */
	uint64_t compile_cpu_s_max;
	uint64_t compile_bytes_max;
};

struct pst_rules;
struct pst_rules_scratch;

/* One rule as loaded, for telemetry and the command line. Belongs to the set. */
struct pst_rule {
	uint32_t id;
	const char *name;
	const char *pattern;
	enum pst_rules_action action;
	uint16_t stream_idx;    /* of ROUTE */
	uint32_t sample_n;      /* of SAMPLE: one of N is kept */
	int32_t priority;       /* the highest matching decides; ties go to the lower id */
	uint64_t listener_mask; /* bit i: applies to listener i */
};

/* Reads, checks and compiles (in a child process under the env's limits; or takes the compiled
 * database from the cache). A NULL path gives an empty set: default actions only. Control thread;
 * may take seconds. Returns 0, or -1 with *diag (file, line, key, remedy). */
int pst_rules_load(const char *path, const struct pst_rules_env *env, struct pst_rules **out,
	struct pst_diag *diag);
void pst_rules_free(struct pst_rules *rules);

uint32_t pst_rules_cnt(const struct pst_rules *rules);
const struct pst_rule *pst_rules_get(const struct pst_rules *rules, uint32_t idx);
const char *pst_rules_hash(const struct pst_rules *rules); /* hex SHA-256 of file and includes */
bool pst_rules_from_cache(const struct pst_rules *rules);

/* Per lcore: Hyperscan scratch, match set, sample counters, rule counters. Created and destroyed
 * by the control thread, used by one thread. NULL: no memory. */
struct pst_rules_scratch *pst_rules_scratch_create(const struct pst_rules *rules);
void pst_rules_scratch_destroy(struct pst_rules_scratch *scratch);

struct pst_rules_verdict {
	enum pst_rules_action action; /* KEEP, DROP, ROUTE, QUARANTINE or SAMPLED_OUT */
	uint16_t stream_idx;          /* of ROUTE */
	uint16_t match_cnt;           /* of match_ids, ascending, at most PST_RULES_MATCH_MAX */
	int32_t rule_idx;             /* that decided; -1: the listener's default action */
	bool scan_error;              /* hs_scan failed: the event is kept */
	uint32_t match_ids[PST_RULES_MATCH_MAX];
};

/* Evaluates one event of a listener. No allocation, lock or system call. */
void pst_rules_eval(struct pst_rules_scratch *scratch, uint16_t listener_idx, const uint8_t *event,
	uint32_t len, struct pst_rules_verdict *verdict);

/* Counters of one lcore since its scratch was made; written by its thread alone. A snapshot copies
 * them between two bursts. matched: the rule's pattern hit an event of its listeners; decided: it
 * gave the verdict. */
struct pst_rules_count {
	uint64_t matched;
	uint64_t decided;
};
const struct pst_rules_count *pst_rules_counts(const struct pst_rules_scratch *scratch);
uint64_t pst_rules_scan_errors(const struct pst_rules_scratch *scratch);

#endif
