#include <criterion/criterion.h>

#include "ledger/spread.h"

static struct pst_spread
judge(const uint64_t *frame_cnts, uint16_t queue_cnt)
{
	struct pst_spread spread = {0};
	cr_assert(pst_spread_judge(frame_cnts, queue_cnt, &spread));
	return spread;
}

Test(spread, two_queues)
{
	struct pst_spread even = judge((uint64_t[]){5000, 5000}, 2);
	cr_assert_eq(even.max_to_mean_permille, 1000);
	cr_assert_not(even.skewed);
	cr_assert_not(judge((uint64_t[]){2510, 7490}, 2).skewed);
	struct pst_spread skewed = judge((uint64_t[]){2500, 7500}, 2);
	cr_assert(skewed.skewed);
	cr_assert_eq(skewed.busiest_idx, 1);
	cr_assert_eq(skewed.busiest_share_permille, 750);
	cr_assert_eq(skewed.max_to_mean_permille, 1500);
	cr_assert_eq(judge((uint64_t[]){1000, 0}, 2).max_to_mean_permille, 2000);
}

Test(spread, many_queues_and_many_frames)
{
	uint64_t cnts[64];
	for (unsigned q = 0; q < 64; q++)
		cnts[q] = UINT64_MAX / 128;
	cr_assert_eq(judge(cnts, 64).max_to_mean_permille, 1000);
	cnts[7] *= 2;
	cr_assert(judge(cnts, 64).skewed);
	cr_assert_eq(judge(cnts, 64).busiest_idx, 7);
}

Test(spread, what_says_nothing_changes_nothing)
{
	struct pst_spread spread = {.frame_cnt = 77, .skewed = true};
	cr_assert_not(pst_spread_judge((uint64_t[]){1000000}, 1, &spread));
	cr_assert_not(pst_spread_judge((uint64_t[]){999, 0}, 2, &spread));
	cr_assert_not(pst_spread_judge((uint64_t[]){0, 0}, 2, &spread));
	cr_assert_eq(spread.frame_cnt, 77);
	cr_assert(spread.skewed);
}
