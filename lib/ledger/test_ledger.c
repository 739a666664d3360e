#include <criterion/criterion.h>

#include "ledger/ledger.h"

Test(ledger, residual_is_what_no_cell_explains)
{
	struct pst_cell c = {.polled = 10};
	c.verdict[PST_FRAME_CARRIED] = 5;
	c.verdict[PST_FRAME_UDP_CHECKSUM] = 2;
	c.verdict[PST_FRAME_HEARTBEAT] = 1;
	c.in_handoff = 1;
	cr_assert_eq(pst_cell_frames_residual(&c), 1);
	cr_assert_eq(pst_cell_rejected(&c), 2);
	cr_assert_eq(pst_cell_ignored(&c), 1);

	c.found = 100;
	c.stored = 50;
	c.filtered = 20;
	c.sampled_out = 9;
	c.duplicate = 8;
	c.quarantined = 7;
	c.shed[PST_SHED_NO_BUFFER] = 3;
	c.shed[PST_SHED_SYNC_FAILED] = 1;
	c.in_flight = 4;
	cr_assert_eq(pst_cell_events_residual(&c), -2, "more explained than found is seen, too");
}

Test(ledger, every_word_of_a_book_adds_up)
{
	struct pst_book_shape shape = {.queue_cnt = 2, .listener_cnt = 3, .stream_cnt = 2};
	struct pst_book a, b;
	cr_assert_eq(pst_book_init(&a, &shape), 0);
	cr_assert_eq(pst_book_init(&b, &shape), 0);
	uint32_t idx = pst_book_cell_idx(&shape, 1, 2);
	cr_assert_eq(idx, pst_book_cell_cnt(&shape) - 1);
	a.cells[idx].polled = 1;
	b.cells[idx].polled = 2;
	b.cells[idx].in_flight = 7;
	b.streams[1].internal = 5;
	pst_book_add(&a, &b);
	cr_assert_eq(a.cells[idx].polled, 3);
	cr_assert_eq(a.cells[idx].in_flight, 7);
	cr_assert_eq(a.streams[1].internal, 5);
	cr_assert_eq(pst_stream_cell_residual(&a.streams[1]), 5);
	pst_book_clear(&a);
	cr_assert_eq(a.cells[idx].polled, 0);
	pst_book_fini(&a);
	pst_book_fini(&b);
}
