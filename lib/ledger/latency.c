#include "ledger/latency.h"

static const char *const stage_names[] = {
#define PST_X(sym, name) name,
	PST_LATENCY_STAGES(PST_X)
#undef PST_X
};

const char *
pst_latency_stage_name(enum pst_latency_stage stage)
{
	PST_ASSERT(stage < PST_LATENCY_STAGE_CNT);
	return stage_names[stage];
}

uint64_t
pst_latency_bucket_ns_min(uint32_t bucket)
{
	uint32_t group = bucket >> PST_LATENCY_SUB_BITS;

	PST_ASSERT(bucket < PST_LATENCY_BUCKET_CNT);
	if (group < 2)
		return (uint64_t)bucket << PST_LATENCY_UNIT_BITS;
	uint64_t value = (bucket & ((1u << PST_LATENCY_SUB_BITS) - 1)) | 1u << PST_LATENCY_SUB_BITS;
	return value << (group - 1 + PST_LATENCY_UNIT_BITS);
}

uint64_t
pst_latency_bucket_ns_max(uint32_t bucket)
{
	return bucket == PST_LATENCY_BUCKET_CNT - 1 ? UINT64_MAX
						    : pst_latency_bucket_ns_min(bucket + 1) - 1;
}

void
pst_latency_merge(struct pst_latency *sum, const struct pst_latency *part)
{
	sum->cnt += part->cnt;
	sum->sum_ns += part->sum_ns;
	sum->ns_max = pst_max_u64(sum->ns_max, part->ns_max);
	for (uint32_t b = 0; b < PST_LATENCY_BUCKET_CNT; b++)
		sum->buckets[b] += part->buckets[b];
}

void
pst_latency_since(
	const struct pst_latency *now, const struct pst_latency *before, struct pst_latency *out)
{
	uint32_t highest = 0;

	out->cnt = now->cnt - before->cnt;
	out->sum_ns = now->sum_ns - before->sum_ns;
	for (uint32_t b = 0; b < PST_LATENCY_BUCKET_CNT; b++) {
		out->buckets[b] = now->buckets[b] - before->buckets[b];
		if (out->buckets[b] > 0)
			highest = b;
	}
	out->ns_max = out->cnt ? pst_min_u64(now->ns_max, pst_latency_bucket_ns_max(highest)) : 0;
}

uint64_t
pst_latency_ns_at(const struct pst_latency *latency, uint32_t permille)
{
	/* The rank is rounded up: of ten events, the ninth is p90. */
	uint64_t rank = (uint64_t)(((unsigned __int128)latency->cnt * permille + 999) / 1000);
	uint64_t below = 0;

	PST_ASSERT(permille >= 1 && permille <= 1000);
	for (uint32_t b = 0; b < PST_LATENCY_BUCKET_CNT && latency->cnt > 0; b++) {
		below += latency->buckets[b];
		if (below >= rank)
			return pst_min_u64(pst_latency_bucket_ns_max(b), latency->ns_max);
	}
	return latency->ns_max;
}
