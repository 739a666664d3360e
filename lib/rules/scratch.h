/* What one thread has of a rule set to evaluate events with. */
#ifndef PST_SCRATCH_H
#define PST_SCRATCH_H

#include "rules/ruleset.h"

/* Whether frame scans pay on a listener's traffic: see frame_scan.c. */
struct pst_frame_scan_state {
	uint32_t debt_bytes;
	uint32_t scan_cnt;   /* frames scanned since it rested */
	uint32_t slower_cnt; /* of the last trials, all that took longer than scans of each event */
	uint32_t rest_cnt;   /* frames left without a scan of their own */
};

struct pst_rules_scratch {
	const struct pst_rules *rules;
	hs_scratch_t *hs;
	struct pst_rules_count *counts;
	uint32_t *sample_seen; /* of the current N, by rule */
	uint64_t scan_errors;
	struct pst_frame_scan_state frame_scan[PST_RULES_LISTENERS_MAX];

	/* Of the event in hand; the bits are all zero between two events. */
	uint64_t listener_bit;
	uint64_t *matched_bits;    /* by rule */
	uint64_t *considered_bits; /* by combination */
	uint32_t *matched;         /* rules, as they came */
	uint32_t *considered;      /* combinations */
	uint32_t matched_cnt, considered_cnt;
};

#endif
