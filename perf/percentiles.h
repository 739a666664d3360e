/* Of a histogram of lib/ledger, as the benches print them. */
#ifndef PST_PERCENTILES_H
#define PST_PERCENTILES_H

#include <inttypes.h>
#include <stdio.h>

#include "ledger/latency.h"

/* The duration that this share of all did not exceed; at most a bucket's width too long. */
static inline uint64_t
pst_percentile_ns(const struct pst_latency *latency, double share)
{
	uint64_t wanted = (uint64_t)((double)latency->cnt * share), sum = 0;

	for (uint32_t i = 0; i < PST_LATENCY_BUCKET_CNT; i++) {
		sum += latency->buckets[i];
		if (sum > wanted)
			return pst_min_u64(pst_latency_bucket_ns_max(i), latency->ns_max);
	}
	return latency->ns_max;
}

/* "name": {"p50": ..}, in nanoseconds. */
static inline void
pst_percentiles_print(const char *name, const struct pst_latency *latency)
{
	static const struct {
		const char *name;
		double share;
	} at[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"p9999", 0.9999}};

	printf("\"%s\": {", name);
	for (unsigned i = 0; i < PST_ARRAY_CNT(at); i++)
		printf("\"%s\": %" PRIu64 ", ", at[i].name,
			pst_percentile_ns(latency, at[i].share));
	printf("\"max\": %" PRIu64 "}", latency->ns_max);
}

#endif
