/* Rule file -> Hyperscan database -> verdict for an event.
 *
 *   control thread                         each rx lcore
 *   pst_rules_load ──▶ struct pst_rules ─▶ pst_rules_scratch_create (control thread)
 *    (child compiles)   const, shared       pst_rules_frame_scan(scratch, events) per datagram
 *                                           pst_rules_eval(scratch, event) per event to be scanned
 *
 * A loaded set is immutable; a reload makes a new set and new scratches, which the control thread
 * hands to each lcore between two bursts, and frees the old ones when all have taken them up. */
#ifndef PST_RULES_H
#define PST_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"
#include "frame/framing.h"

/* Matched ids kept for one event's record; all decide and all count. */
#define PST_RULES_MATCH_MAX 16

/* Limits of the compiling child where the env gives none. */
#define PST_RULES_COMPILE_CPU_S 60
#define PST_RULES_COMPILE_BYTES (2ull << 30)

enum pst_rules_action {
	PST_RULES_KEEP,
	PST_RULES_DROP,
	PST_RULES_ROUTE,
	PST_RULES_QUARANTINE,
	PST_RULES_SAMPLE, /* only in a rule; an evaluation says KEEP or SAMPLED_OUT */
	PST_RULES_SAMPLED_OUT,
};

const char *pst_rules_action_name(enum pst_rules_action action);

/* What names in the rules file refer to. Needed during the load only: the set keeps copies. With
 * listener_names or stream_names NULL any name is taken, and gets the next free index (for checks
 * of a rules file without a profile). */
struct pst_rules_env {
	const char *const *listener_names; /* at most 64 */
	const bool *listener_default_drop; /* NULL: every listener keeps */
	uint16_t listener_cnt;
	const char *const *stream_names; /* targets of route; internal streams are not targets */
	uint16_t stream_cnt;
	const char *cache_dir;      /* NULL: no cache */
	uint64_t compile_cpu_s_max; /* 0: PST_RULES_COMPILE_CPU_S */
	uint64_t compile_bytes_max; /* beyond what the process has mapped; 0: _COMPILE_BYTES */
};

struct pst_rules;
struct pst_rules_scratch;

/* One rule as loaded, for telemetry and the command line. Belongs to the set. */
struct pst_rule {
	uint32_t id;
	const char *name;
	const char *pattern; /* of a combination: its expression */
	bool combination;
	bool quiet; /* operand of combinations only: counted, but never decides nor is reported */
	enum pst_rules_action action;
	uint16_t stream_idx;    /* of ROUTE */
	uint32_t sample_n;      /* of SAMPLE: one of N is kept */
	int32_t priority;       /* the highest matching decides; ties go to the lower id */
	uint64_t listener_mask; /* bit i: applies to listener i */
};

/* Reads, checks and compiles (in a child process under the env's limits; or takes the compiled
 * database from the cache). A NULL path gives an empty set: default actions only. Control thread;
 * may take seconds. Returns 0, or -1 with *diag (file, line, key, remedy).
 *
 * The child is a fork that compiles and exits: it runs with the caller's CPU affinity, closes every
 * inherited descriptor but the standard ones, and dies with its parent. Memory that data threads
 * write to and that is mapped privately should be MADV_DONTFORK, or its pages are copied. */
int pst_rules_load(const char *path, const struct pst_rules_env *env, struct pst_rules **out,
	struct pst_diag *diag);
void pst_rules_free(struct pst_rules *rules);

uint32_t pst_rules_cnt(const struct pst_rules *rules);
const struct pst_rule *pst_rules_get(const struct pst_rules *rules, uint32_t idx);
/* Hex SHA-256 of the rules file and, behind it, its pattern files in order: what
 * `cat rules.yaml included... | sha256sum` prints. "" for the empty set. */
const char *pst_rules_hash(const struct pst_rules *rules);
bool pst_rules_from_cache(const struct pst_rules *rules);

/* How the set came to be. Belongs to the set. */
struct pst_rules_info {
	uint32_t rule_cnt;        /* combinations and included ones, too */
	uint32_t included_cnt;    /* from pattern files */
	uint32_t combination_cnt; /* looked at when an operand matched ... */
	uint32_t negative_cnt;    /* ... but for these: they hold when nothing matches */
	uint64_t load_ns;         /* from call to return of pst_rules_load */
	uint64_t database_bytes;  /* of both: patterns and their supersets */
	bool from_cache;
	const char *apart_note; /* why each event of a datagram is scanned apart from the others;
				   NULL: they can be scanned together */
	const char *cache_note; /* why the cache was refused or could not be written; NULL: no
				   complaint. For a warning; the set is complete in any case */
};
const struct pst_rules_info *pst_rules_info(const struct pst_rules *rules);

/* Index of a listener as the set counts them, -1: none of that name; name of a stream index. */
int pst_rules_listener_find(const struct pst_rules *rules, const char *name);
const char *pst_rules_stream_name(const struct pst_rules *rules, uint16_t stream_idx);

/* Per lcore: Hyperscan scratch, match set, sample counters, rule counters. Created and destroyed
 * by the control thread, used by one thread. NULL: no memory. */
struct pst_rules_scratch *pst_rules_scratch_create(const struct pst_rules *rules);
void pst_rules_scratch_destroy(struct pst_rules_scratch *scratch);
uint64_t pst_rules_scratch_bytes(const struct pst_rules_scratch *scratch);

struct pst_rules_verdict {
	enum pst_rules_action action; /* KEEP, DROP, ROUTE, QUARANTINE or SAMPLED_OUT */
	uint16_t stream_idx;          /* of ROUTE */
	uint16_t match_cnt;           /* of match_ids, at most PST_RULES_MATCH_MAX */
	int32_t rule_idx;             /* that decided; -1: the listener's default action */
	bool scan_error;              /* hs_scan failed: the event is kept */
	/* Ascending: the lowest ids that matched, and always the one that decided. */
	uint32_t match_ids[PST_RULES_MATCH_MAX];
};

/* Evaluates one event of a listener. No allocation, lock or system call. event may be NULL if len
 * is 0. Rules that do not apply to the listener do not match, neither as operands. Of a sample 1/N
 * rule, the first of every N events that it decides on this scratch is kept. */
void pst_rules_eval(struct pst_rules_scratch *scratch, uint16_t listener_idx, const uint8_t *event,
	uint32_t len, struct pst_rules_verdict *verdict);

#define PST_RULES_FRAME_EVENTS_MAX 64

/* Looks at events of one datagram together, cheaper than at each: bit i clear: no pattern that
 * applies to the listener matches events[i], and pst_rules_eval_unmatched gives its verdict. Set:
 * it may, and pst_rules_eval is to say; so it is for all of them where one scan cannot tell or
 * would not pay. The events lie one behind the other, without overlap, in one piece of memory,
 * which is read from the first's beginning to the last's end. cnt is at most
 * PST_RULES_FRAME_EVENTS_MAX. Counts nothing and decides nothing. */
uint64_t pst_rules_frame_scan(struct pst_rules_scratch *scratch, uint16_t listener_idx,
	const struct pst_event *events, uint32_t cnt);

/* What pst_rules_eval does for an event that no pattern matches, without a scan. */
void pst_rules_eval_unmatched(struct pst_rules_scratch *scratch, uint16_t listener_idx,
	struct pst_rules_verdict *verdict);

/* Counters of one lcore since its scratch was made; written by its thread alone. A snapshot copies
 * them between two bursts. matched: the rule's pattern hit an event of its listeners; decided: it
 * gave the verdict. */
struct pst_rules_count {
	uint64_t matched;
	uint64_t decided;
};
/* pst_rules_cnt() of them, in the order of pst_rules_get(). */
const struct pst_rules_count *pst_rules_counts(const struct pst_rules_scratch *scratch);
uint64_t pst_rules_scan_errors(const struct pst_rules_scratch *scratch);

#endif
