#include <criterion/criterion.h>

#include "batch/block_check.h"
#include "batch/sample.h"

static struct sample s;
static uint8_t block[PST_BATCH_BLOCK_BYTES];
static struct block_gap gaps[BLOCK_GAPS_MAX];

static uint32_t
below(uint32_t n)
{
	return (uint32_t)(sample_next(&s) % n);
}

/* Bytes that repeat themselves: of few kinds, copied from before now and then. */
static void
fill(uint32_t len, uint32_t kind_cnt)
{
	for (uint32_t at = 0; at < len;) {
		uint32_t n = 1 + below(40), from = below(at + 1);
		if (n > len - at)
			n = len - at;
		bool copied = from < at && below(3) > 0;
		for (uint32_t i = 0; i < n; i++, at++)
			block[at] = copied ? block[from + i] : (uint8_t)('a' + below(kind_cnt));
	}
}

/* Any gaps that are in order, whatever lies there. */
static uint32_t
any_gaps(uint32_t len, uint32_t step_max)
{
	uint32_t cnt = 0, at = 0;
	for (; cnt < BLOCK_GAPS_MAX; cnt++) {
		uint32_t p[5];
		for (int i = 0; i < 5; i++)
			p[i] = at += below(step_max);
		if (at >= len)
			break;
		gaps[cnt] = (struct block_gap){(uint16_t)p[0], below(2) ? (uint16_t)p[1] : 0,
			below(2) ? (uint16_t)p[2] : 0, (uint16_t)p[3], (uint16_t)p[4]};
	}
	return cnt;
}

Test(block, what_goes_in_comes_out)
{
	s.state = 20261121;
	for (int round = 0; round < 3000; round++) {
		uint32_t len = round % 10 == 0 ? PST_BATCH_BLOCK_BYTES - below(3)
					       : 1 + below(round % 3 ? 300 : 9000);
		fill(len, 1 + below(round % 2 ? 4 : 60));
		uint32_t gap_cnt = any_gaps(len, 1 + below(60));
		block_check(block, len, gaps, gap_cnt, 1 + (int)below(3));
		block_check(block, len, NULL, 0, 1);
	}
}

/* Lengths around each rule of the format's about the end, with matches up to it. */
Test(block, every_length)
{
	memset(block, 'x', sizeof(block));
	for (uint32_t len = 1; len < 700; len++) {
		bool gained = block_check(block, len, NULL, 0, 1) > 0;
		cr_assert(gained || len < 64, "%u bytes", len);
	}
	for (uint32_t len = PST_BATCH_BLOCK_BYTES - 300; len <= PST_BATCH_BLOCK_BYTES; len++)
		cr_assert_leq(block_check(block, len, NULL, 0, 1), len / 200);
}

Test(block, gaps_up_to_the_end)
{
	s.state = 7;
	for (uint32_t len = 60; len < 400; len++) {
		fill(len, 2);
		for (uint32_t value = 0; value < len; value++) {
			uint16_t v = (uint16_t)value;
			gaps[0] = (struct block_gap){v, v, v, v, v};
			block_check(block, len, gaps, 1, 1);
			uint16_t before = (uint16_t)(value / 2);
			gaps[0] = (struct block_gap){before, before, before, before, v};
			block_check(block, len, gaps, 1, 1);
		}
	}
}

Test(block, what_gains_nothing_is_refused)
{
	s.state = 99;
	sample_fill(&s, block, sizeof(block));
	cr_assert_eq(block_check(block, sizeof(block), NULL, 0, 1), 0);
	uint32_t gap_cnt = any_gaps(sizeof(block), 50);
	cr_assert_eq(block_check(block, sizeof(block), gaps, gap_cnt, 1), 0);
	cr_assert_eq(block_check(block, sizeof(block), NULL, 0, 65537), 0);
}

/* What is told is used: 126 random bytes between a prefix that is the same. */
Test(block, a_key_is_found_between_random_values)
{
	enum { RECORD = 150, PREFIX = 24 };
	uint32_t gap_cnt = 0;
	s.state = 5;
	sample_fill(&s, block, sizeof(block));
	for (uint32_t at = 0; at + RECORD <= sizeof(block); at += RECORD) {
		memcpy(block + at,
			"\x90\x02....\x16"
			"10.1.22.147"
			"......",
			PREFIX);
		gaps[gap_cnt++] = (struct block_gap){.from = (uint16_t)at,
			.key = (uint16_t)(at + 6),
			.value = (uint16_t)(at + PREFIX)};
	}
	uint32_t n = block_check(block, sizeof(block), gaps, gap_cnt, 1);
	cr_assert_gt(n, 0);
	cr_assert_lt(n, sizeof(block) - gap_cnt * (PREFIX - 6));
}
