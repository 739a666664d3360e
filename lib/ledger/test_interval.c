#include <criterion/criterion.h>

#include "ledger/interval.h"

static const struct pst_book_shape shape = {.queue_cnt = 2, .listener_cnt = 2, .stream_cnt = 2};
static struct pst_book before, now, since, total;
static struct pst_residual_judge *judge;
static struct pst_residuals residuals;

static void
make(void)
{
	struct pst_book *const books[] = {&before, &now, &since, &total};
	for (unsigned i = 0; i < PST_ARRAY_CNT(books); i++)
		cr_assert_eq(pst_book_init(books[i], &shape), 0);
	cr_assert_eq(pst_residual_judge_create(&shape, &judge), 0);
}

static void
drop(void)
{
	struct pst_book *const books[] = {&before, &now, &since, &total};
	for (unsigned i = 0; i < PST_ARRAY_CNT(books); i++)
		pst_book_fini(books[i]);
	pst_residual_judge_destroy(judge);
}

TestSuite(interval, .init = make, .fini = drop);

/* A snapshot: what moved since the last one is judged. */
static void
step(void)
{
	pst_book_since(&since, &now, &before);
	pst_residuals_take(judge, &now, &since, &residuals);
	pst_book_copy(&before, &now);
}

/* Every counter of a cell, by word: none is left out of the difference. */
Test(interval, every_counter_is_a_difference_and_gauges_are_not)
{
	uint64_t *a = (uint64_t *)&before.cells[1], *b = (uint64_t *)&now.cells[1];
	for (size_t i = 0; i < sizeof(struct pst_cell) / sizeof(*a); i++) {
		a[i] = 100 + i;
		b[i] = 300 + 3 * i;
	}
	before.cells[1].in_flight = 9;
	now.cells[1].in_flight = 4;
	before.cells[1].in_handoff = 9;
	now.cells[1].in_handoff = 0;
	before.streams[1].stored = 5;
	now.streams[1].stored = 12;
	before.streams[1].in_flight = 8;
	now.streams[1].in_flight = 3;
	pst_book_since(&since, &now, &before);
	struct pst_cell *got = &since.cells[1];
	cr_assert_eq(got->polled, 200 + 2 * 0);
	cr_assert_eq(got->in_flight, 4);
	cr_assert_eq(got->in_handoff, 0);
	cr_assert_eq(since.streams[1].stored, 7);
	cr_assert_eq(since.streams[1].in_flight, 3);
	uint64_t *words = (uint64_t *)got;
	for (size_t i = 0; i < sizeof(struct pst_cell) / sizeof(*a); i++)
		if (words + i != &got->in_flight && words + i != &got->in_handoff)
			cr_assert_eq(words[i], 200 + 2 * i, "word %zu", i);
}

Test(interval, differences_add_up_to_the_books)
{
	uint64_t random = 88172645463325252u;
	for (unsigned n = 0; n < 1000; n++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		struct pst_cell *cell = &now.cells[random % 4];
		cell->found += random % 7;
		cell->shed[(random >> 8) % PST_SHED_CNT] += random % 3;
		cell->verdict[(random >> 16) % PST_FRAME_VERDICT_CNT]++;
		now.streams[random % 2].stored += random % 5;
		if (n % 7)
			continue;
		pst_book_since(&since, &now, &before);
		pst_book_add(&total, &since);
		pst_book_copy(&before, &now);
	}
	pst_book_since(&since, &now, &before);
	pst_book_add(&total, &since);
	cr_assert_eq(memcmp(total.cells, now.cells, 4 * sizeof(*now.cells)), 0);
	cr_assert_eq(memcmp(total.streams, now.streams, 2 * sizeof(*now.streams)), 0);
}

Test(interval, still_is_when_no_counter_moved)
{
	now.cells[2].in_flight = 3;
	now.streams[0].in_flight = 3;
	step();
	cr_assert(pst_book_is_still(&since));
	now.cells[2].scan_errors++;
	step();
	cr_assert_not(pst_book_is_still(&since));
	now.streams[1].internal++;
	step();
	cr_assert_not(pst_book_is_still(&since));
	step();
	cr_assert(pst_book_is_still(&since));
}

/* An event that nobody books: within what moved at first, at rest a bug. */
Test(interval, a_residual_at_rest_is_counted)
{
	now.cells[0].found = 10;
	now.cells[0].stored = 9;
	step();
	cr_assert_eq(residuals.events.last, 1);
	cr_assert_eq(residuals.events.rest_cnt, 0);
	step();
	cr_assert_eq(residuals.events.rest_cnt, 1);
	now.cells[0].stored = 10;
	step();
	step();
	cr_assert_eq(residuals.events.last, 0);
	cr_assert_eq(residuals.events.rest_cnt, 1);
	cr_assert_eq(residuals.events.abs_max, 1);
	cr_assert_eq(residuals.events.beyond_cnt, 0);
	cr_assert_eq(residuals.frames.rest_cnt, 0);
}

/* Under traffic a snapshot sees less than all: as much as moved around it, and no more. */
Test(interval, a_residual_beyond_what_moved_is_counted)
{
	now.cells[0].found = 100;
	now.cells[0].stored = 60; /* 40 settled behind the snapshot's first part */
	step();
	now.cells[0].stored = 100;
	step();
	cr_assert_eq(residuals.events.beyond_cnt, 0);
	cr_assert_eq(residuals.events.abs_max, 40);
	now.cells[0].stored += 500; /* five hundred that were never found */
	step();
	now.cells[0].found++;
	now.cells[0].stored++;
	step();
	now.cells[0].found++;
	now.cells[0].stored++;
	step();
	cr_assert_gt(residuals.events.beyond_cnt, 0);
}

/* Two wrongs of different sign do not make a right. */
Test(interval, residuals_of_cells_are_judged_one_by_one)
{
	now.cells[0].polled = 1;
	now.cells[1].verdict[PST_FRAME_CARRIED] = 1;
	now.streams[0].routed_in = 1;
	step();
	step();
	cr_assert_eq(residuals.frames.last, 0);
	cr_assert_eq(residuals.frames.rest_cnt, 2);
	cr_assert_eq(residuals.streams.rest_cnt, 1);
}
