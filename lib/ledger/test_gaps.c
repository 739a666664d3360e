#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/base.h"
#include "ledger/gaps.h"

#define RANGES 8

/* A real table reports; what is told must say what the table says. */
static struct pst_session_table *table;
static struct pst_session *session;
static struct pst_gaps *gaps;
static void *memory;
static const uint8_t id[PST_MOLD_SESSION_LEN] = "SESSION1  ";

static struct {
	struct pst_gap gap;
	uint32_t session_idx;
} told[10000];
static uint32_t told_cnt;

static void
make(void)
{
	cr_assert_eq(posix_memalign(&memory, 64, pst_session_table_bytes(4, RANGES)), 0);
	table = pst_session_table_init(memory, 4, RANGES);
	session = pst_session_get(table, 3, id, 1, 1);
	cr_assert_eq(pst_gaps_create(4, RANGES, &gaps), 0);
}

static void
drop(void)
{
	pst_gaps_destroy(gaps);
	free(memory);
}

TestSuite(gaps, .init = make, .fini = drop);

static void
note(void *arg, uint32_t session_idx, const struct pst_gap *gap)
{
	told[told_cnt].gap = *gap;
	told[told_cnt++].session_idx = session_idx;
}

/* What the recorder does in a turn. */
static void
take(void)
{
	struct pst_session_report reports[64];
	struct pst_session_range ranges[RANGES];
	struct pst_session_info info;
	uint32_t cnt, idx, range_cnt;
	uint64_t position;

	pst_session_flush_reports(table);
	while ((cnt = pst_session_take_reports(table, reports, 64)) > 0)
		pst_gaps_take(gaps, reports, cnt);
	while (pst_session_copy_silent(table, &idx, &info, ranges, RANGES, &range_cnt, &position))
		pst_gaps_resync(gaps, idx, &info, ranges, range_cnt, 999);
}

static uint32_t
tell(void)
{
	take();
	told_cnt = 0;
	return pst_gaps_tell(gaps, 10000, note, NULL);
}

static void
admit(uint64_t from, uint64_t to, uint64_t at_ns)
{
	for (uint64_t s = from; s <= to; s++)
		pst_session_admit(session, s, at_ns);
}

Test(gaps, in_order_nothing_is_told)
{
	admit(1, 1000, 5);
	cr_assert_eq(tell(), 0);
}

Test(gaps, a_gap_is_told_open_then_filled)
{
	admit(1, 10, 5);
	admit(21, 21, 7);
	cr_assert_eq(tell(), 1);
	cr_assert_eq(told[0].gap.from, 11);
	cr_assert_eq(told[0].gap.to, 20);
	cr_assert_eq(told[0].gap.missing, 10);
	cr_assert_eq(told[0].gap.first_seen_ns, 7);
	cr_assert_eq(pst_gap_state(&told[0].gap), PST_GAP_OPEN);
	uint64_t its = told[0].gap.id;
	cr_assert_eq(tell(), 0, "nothing changed");
	admit(11, 14, 8);
	cr_assert_eq(tell(), 1);
	cr_assert_eq(told[0].gap.id, its);
	cr_assert_eq(told[0].gap.missing, 6);
	cr_assert_eq(told[0].gap.filled, 4);
	admit(15, 20, 9);
	cr_assert_eq(tell(), 1);
	cr_assert_eq(told[0].gap.id, its);
	cr_assert_eq(pst_gap_state(&told[0].gap), PST_GAP_FILLED);
	cr_assert_eq(told[0].gap.filled, 10);
	cr_assert_eq(told[0].gap.last_ns, 9);
	cr_assert_eq(pst_gaps_open_cnt(gaps), 0);
}

/* One that came and went between two turns is told, too: once. */
Test(gaps, a_short_gap_is_told_once)
{
	admit(1, 1, 5);
	admit(3, 3, 6);
	admit(2, 2, 7);
	cr_assert_eq(tell(), 1);
	cr_assert_eq(pst_gap_state(&told[0].gap), PST_GAP_FILLED);
	cr_assert_eq(told[0].gap.first_seen_ns, 6);
	cr_assert_eq(told[0].gap.last_ns, 7);
}

/* More gaps than a page of sessions shows; those that find no room are lost, by name and number. */
Test(gaps, each_of_many_is_told_and_what_finds_no_room_is_lost)
{
	for (uint64_t i = 0; i < 20; i++)
		admit(1 + 10 * i, 5 + 10 * i, 100 + i);
	cr_assert_eq(tell(), 19);
	uint64_t lost = 0, open = 0;
	for (uint32_t i = 0; i < told_cnt; i++) {
		lost += told[i].gap.lost;
		open += told[i].gap.missing;
		cr_assert_eq(told[i].gap.lost + told[i].gap.missing, 5);
		if (told[i].gap.lost) {
			cr_assert_eq(pst_gap_state(&told[i].gap), PST_GAP_LOST);
			cr_assert_eq(told[i].gap.lost_from, told[i].gap.from);
			cr_assert_eq(told[i].gap.lost_to, told[i].gap.to);
		}
	}
	cr_assert_eq(lost, 5 * (19 - RANGES));
	cr_assert_eq(open, 5 * RANGES);
}

Test(gaps, the_end_of_a_session_declares_what_is_missing_lost)
{
	admit(1, 1, 5);
	admit(4, 4, 6);
	tell();
	pst_session_heartbeat(session, 7, true, 8); /* 5 and 6 are missing, too */
	cr_assert_eq(tell(), 2);
	for (uint32_t i = 0; i < 2; i++) {
		cr_assert_eq(pst_gap_state(&told[i].gap), PST_GAP_LOST);
		cr_assert_str_eq(told[i].gap.declared, "session_ended");
	}
	admit(2, 3, 9); /* after all */
	cr_assert_eq(tell(), 1);
	cr_assert_eq(pst_gap_state(&told[0].gap), PST_GAP_FILLED);
	admit(9, 9, 10);
	tell();
	pst_gaps_stop(gaps, 11);
	cr_assert_eq(tell(), 1, "5 and 6 are told already");
	cr_assert_str_eq(told[0].gap.declared, "stop");
	cr_assert_eq(told[0].gap.from, 7);
	cr_assert_eq(told[0].gap.missing, 2);
}

Test(gaps, what_was_not_stored_is_missing_again)
{
	admit(1, 10, 5);
	for (uint64_t s = 3; s <= 6; s++)
		pst_session_reopen(session, s, 6);
	cr_assert_eq(tell(), 1);
	cr_assert(told[0].gap.reopened);
	cr_assert_eq(told[0].gap.from, 3);
	cr_assert_eq(told[0].gap.missing, 4);
	admit(3, 6, 7);
	cr_assert_eq(tell(), 1);
	cr_assert_eq(pst_gap_state(&told[0].gap), PST_GAP_FILLED);
	/* Within an open gap: it comes, is not stored, comes again. */
	admit(20, 20, 8);
	admit(15, 15, 9);
	pst_session_reopen(session, 15, 9);
	cr_assert_eq(tell(), 1);
	cr_assert_eq(told[0].gap.missing, 9);
	cr_assert_eq(told[0].gap.filled, 0);
	admit(11, 19, 10);
	cr_assert_eq(tell(), 1);
	cr_assert_eq(told[0].gap.filled, 9);
}

/* More reports than the ring holds: the books of the gaps still equal the session's own. */
Test(gaps, a_reader_that_sleeps_loses_order_but_no_message)
{
	uint64_t opened = 0, filled = 0, lost = 0, missing = 0;
	struct pst_session_range ranges[RANGES];
	struct pst_session_info info;

	for (uint64_t i = 0; i < 9000; i++) {
		admit(1 + 3 * i, 1 + 3 * i, i);
		if (i % 3 == 0)
			pst_session_admit(session, 2 + 3 * i > 3 ? 3 * i : 1, i);
	}
	cr_assert_gt(pst_session_silenced_cnt(table), 0);
	tell();
	for (uint32_t i = 0; i < told_cnt; i++) {
		filled += told[i].gap.filled;
		lost += told[i].gap.lost;
		missing += told[i].gap.missing;
	}
	opened = filled + lost + missing;
	pst_session_copy(table, 0, &info, ranges, RANGES);
	cr_assert_eq(missing, info.missing);
	cr_assert_eq(lost, info.lost_messages);
	cr_assert_leq(opened, info.gap_messages);
	/* And it goes on in order. */
	admit(info.next, info.next, 1);
	admit(info.next + 5, info.next + 5, 2);
	cr_assert_geq(tell(), 1);
	cr_assert_eq(pst_session_silent_cnt(table), 0);
}

/* Against a plain array: whatever happens, each message is in exactly one account. */
Test(gaps, accounts_equal_a_plain_model)
{
	static uint8_t seen[100000];
	uint64_t random = 88172645463325252u, next = 1;
	struct pst_session_range ranges[RANGES];
	struct pst_session_info info;

	for (unsigned n = 0; n < 20000; n++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		uint64_t s = next + random % 4;
		if (random >> 60 < 6 && next > 50)
			s = next - 1 - (random >> 20) % 40;
		if (s >= sizeof(seen))
			break;
		if (random >> 60 == 15 && next > 2) {
			pst_session_reopen(session, next - 1 - random % 20 % next, n);
		} else {
			pst_session_admit(session, s, n);
			seen[s] = 1;
			next = s >= next ? s + 1 : next;
		}
		if (random % 64 == 0)
			tell();
	}
	tell();
	pst_session_copy(table, 0, &info, ranges, RANGES);
	/* All that is open is told by a stop. */
	pst_gaps_stop(gaps, 1);
	tell();
	uint64_t missing = 0;
	for (uint32_t i = 0; i < told_cnt; i++)
		missing += told[i].gap.missing;
	cr_assert_eq(missing, info.missing);
	cr_assert_eq(
		info.missing, info.gap_messages + info.reopened - info.late - info.lost_messages);
}
