/* How long events take: counts by duration, in buckets of fixed bounds.
 *
 *   0        1.024 us     2.048 us     4.096 us   ...   34.4 s        68.7 s
 *   |  32 of   | 32 of      | 32 of      |               | 32 of        | one for
 *   |  32 ns   | 32 ns      | 64 ns      |      ...      | 1.07 s       | all beyond
 *
 * Log-linear, as HdrHistogram's: beyond the first microsecond a bucket is at most 1/32 of its
 * lower bound wide. So a percentile, which is said as its bucket's upper bound, is never below the
 * true one and at most 3.2 % above it, from 1 us to 68.7 s; beyond that, it is the greatest
 * duration itself. Memory is fixed, adding costs no clock read, no allocation and no search.
 *
 * A histogram has one writer; others read copies. */
#ifndef PST_LATENCY_H
#define PST_LATENCY_H

#include "base/base.h"

#define PST_LATENCY_UNIT_BITS  5 /* the finest bucket: 32 ns */
#define PST_LATENCY_SUB_BITS   5 /* 32 buckets each time that the duration doubles */
#define PST_LATENCY_VALUE_BITS 36
#define PST_LATENCY_BUCKET_CNT                                                                     \
	(((PST_LATENCY_VALUE_BITS - PST_LATENCY_UNIT_BITS - PST_LATENCY_SUB_BITS + 1)              \
		 << PST_LATENCY_SUB_BITS) +                                                        \
		1)

/* Where an event is measured, from its arrival on. X(SYMBOL, "name") */
#define PST_LATENCY_STAGES(X)                                                                      \
	X(SEALED, "sealed")   /* its batch is compressed and with the writer */                    \
	X(WRITTEN, "written") /* its batch's write is complete */                                  \
	X(DURABLE, "durable") /* and synced */

enum pst_latency_stage {
#define PST_X(sym, name) PST_LATENCY_##sym,
	PST_LATENCY_STAGES(PST_X)
#undef PST_X
		PST_LATENCY_STAGE_CNT
};
const char *pst_latency_stage_name(enum pst_latency_stage stage);

struct pst_latency {
	uint64_t cnt;
	uint64_t sum_ns;
	uint64_t ns_max;
	uint64_t buckets[PST_LATENCY_BUCKET_CNT]; /* the last one: 2^36 ns and more */
};

static inline uint32_t
pst_latency_bucket(uint64_t ns)
{
	uint64_t value = ns >> PST_LATENCY_UNIT_BITS;

	if (pst_unlikely(ns >> PST_LATENCY_VALUE_BITS))
		return PST_LATENCY_BUCKET_CNT - 1;
	if (value < 1u << PST_LATENCY_SUB_BITS)
		return (uint32_t)value;
	unsigned shift = 63u - (unsigned)__builtin_clzll(value) - PST_LATENCY_SUB_BITS;
	return (uint32_t)(((uint64_t)shift << PST_LATENCY_SUB_BITS) + (value >> shift));
}

/* Least and greatest duration of a bucket; the last one's greatest is UINT64_MAX. */
uint64_t pst_latency_bucket_ns_min(uint32_t bucket);
uint64_t pst_latency_bucket_ns_max(uint32_t bucket);

/* Adds event_cnt events of one duration. */
static inline void
pst_latency_add(struct pst_latency *latency, uint64_t ns, uint64_t event_cnt)
{
	latency->cnt += event_cnt;
	latency->sum_ns += ns * event_cnt;
	latency->ns_max = pst_max_u64(latency->ns_max, ns);
	latency->buckets[pst_latency_bucket(ns)] += event_cnt;
}

void pst_latency_merge(struct pst_latency *sum, const struct pst_latency *part);

/* What came between two copies of one histogram: now - before. Its ns_max is the upper bound of
 * its highest bucket, or now's if that is less. */
void pst_latency_since(
	const struct pst_latency *now, const struct pst_latency *before, struct pst_latency *out);

/* The duration that permille of a thousand events did not exceed, 1 .. 1000, as said above; never
 * above ns_max. 0 if there are none. */
uint64_t pst_latency_ns_at(const struct pst_latency *latency, uint32_t permille);

#endif
