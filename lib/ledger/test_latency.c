#include <criterion/criterion.h>
#include <stdlib.h>

#include "ledger/latency.h"

Test(latency, buckets_lie_side_by_side_and_are_narrow)
{
	cr_assert_eq(pst_latency_bucket_ns_min(0), 0);
	for (uint32_t b = 0; b < PST_LATENCY_BUCKET_CNT - 1; b++) {
		uint64_t min = pst_latency_bucket_ns_min(b), max = pst_latency_bucket_ns_max(b);
		cr_assert_eq(pst_latency_bucket(min), b, "bucket %u", b);
		cr_assert_eq(pst_latency_bucket(max), b, "bucket %u", b);
		cr_assert_eq(pst_latency_bucket(max + 1), b + 1, "bucket %u", b);
		if (min >= 1024)
			cr_assert_leq((max - min + 1) * 32, min, "bucket %u", b);
	}
	cr_assert_eq(pst_latency_bucket_ns_min(PST_LATENCY_BUCKET_CNT - 1), UINT64_C(1) << 36);
	cr_assert_eq(pst_latency_bucket(UINT64_MAX), PST_LATENCY_BUCKET_CNT - 1);
	cr_assert_geq(UINT64_C(1) << 36, UINT64_C(60000000000), "a minute and more");
}

#define SAMPLES 20000

static int
compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return (left > right) - (left < right);
}

static uint64_t
random64(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Against the sorted list of all durations, over eight orders of magnitude. */
Test(latency, percentiles_are_at_most_3_percent_above_the_true_ones)
{
	static const uint32_t permilles[] = {1, 10, 500, 900, 990, 999, 1000};
	static struct pst_latency latency;
	static uint64_t all[SAMPLES];
	uint64_t state = 88172645463325252u, sum = 0;
	uint32_t cnt = 0;

	while (cnt < SAMPLES) {
		uint64_t ns = 1000 + (random64(&state) >> 28 >> (random64(&state) % 28));
		uint64_t weight = 1 + random64(&state) % 50;
		pst_latency_add(&latency, ns, weight > SAMPLES - cnt ? SAMPLES - cnt : weight);
		for (; weight > 0 && cnt < SAMPLES; weight--, cnt++) {
			all[cnt] = ns;
			sum += ns;
		}
	}
	qsort(all, SAMPLES, sizeof(*all), compare);
	cr_assert_eq(latency.cnt, SAMPLES);
	cr_assert_eq(latency.sum_ns, sum);
	cr_assert_eq(latency.ns_max, all[SAMPLES - 1]);
	for (size_t i = 0; i < PST_ARRAY_CNT(permilles); i++) {
		uint64_t is = all[((uint64_t)SAMPLES * permilles[i] + 999) / 1000 - 1];
		uint64_t said = pst_latency_ns_at(&latency, permilles[i]);
		cr_assert_geq(said, is, "p%u: %lu below %lu", permilles[i], said, is);
		cr_assert_leq(said, is + is / 31, "p%u: %lu above %lu", permilles[i], said, is);
	}
}

Test(latency, the_edges)
{
	static struct pst_latency latency;

	cr_assert_eq(pst_latency_ns_at(&latency, 500), 0, "nothing yet");
	pst_latency_add(&latency, 5000, 9);
	pst_latency_add(&latency, UINT64_C(3600000000000), 1);
	cr_assert_leq(pst_latency_ns_at(&latency, 900), 5200);
	cr_assert_eq(pst_latency_ns_at(&latency, 901), UINT64_C(3600000000000));
	cr_assert_eq(pst_latency_ns_at(&latency, 1000), UINT64_C(3600000000000));
}

Test(latency, parts_merge_and_an_interval_is_a_difference)
{
	static struct pst_latency a, b, before, interval;

	pst_latency_add(&a, 1000, 10);
	pst_latency_add(&a, UINT64_C(9000000000), 1);
	before = a;
	pst_latency_add(&a, 2000000, 90);
	pst_latency_add(&b, 4000000, 10);
	pst_latency_since(&a, &before, &interval);
	cr_assert_eq(interval.cnt, 90);
	cr_assert_eq(interval.sum_ns, 180000000);
	cr_assert_geq(interval.ns_max, 2000000);
	cr_assert_leq(interval.ns_max, 2064516, "the nine seconds came before");
	cr_assert_eq(pst_latency_ns_at(&interval, 1), interval.ns_max);
	pst_latency_since(&a, &a, &interval);
	cr_assert_eq(interval.cnt, 0);
	cr_assert_eq(interval.ns_max, 0);

	pst_latency_merge(&a, &b);
	cr_assert_eq(a.cnt, 111);
	cr_assert_eq(a.ns_max, UINT64_C(9000000000));
	cr_assert_geq(pst_latency_ns_at(&a, 950), 4000000);
	cr_assert_leq(pst_latency_ns_at(&a, 950), 4129032);
}
