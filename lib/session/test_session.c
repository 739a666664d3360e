#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "session/session.h"

static const uint8_t id[PST_MOLD_SESSION_LEN] = "SESSION  1";

static struct pst_session_table *
table_new(uint32_t session_cnt_max, uint32_t range_cnt_max)
{
	uint64_t bytes = pst_session_table_bytes(session_cnt_max, range_cnt_max);
	/* To the byte, so that a sanitizer sees a write past the end; dirty, as memory is. */
	void *mem = aligned_alloc(64, pst_align_up(bytes, 64));
	memset(mem, 0xa5, bytes);
	return pst_session_table_init(mem, session_cnt_max, range_cnt_max);
}

static struct pst_session_info
info_of(const struct pst_session_table *table)
{
	struct pst_session_info info;
	pst_session_copy(table, 0, &info, NULL, 0);
	return info;
}

static void
expect_ranges(const struct pst_session_table *table, const uint64_t (*want)[3], uint32_t cnt)
{
	struct pst_session_range ranges[16];
	struct pst_session_info info;
	uint64_t missing = 0;
	cr_assert_eq(pst_session_copy(table, 0, &info, ranges, 16), cnt);
	cr_assert_eq(info.range_cnt, cnt);
	for (uint32_t i = 0; i < cnt; i++) {
		cr_expect_eq(ranges[i].from, want[i][0], "range %u from %lu", i, ranges[i].from);
		cr_expect_eq(ranges[i].to, want[i][1], "range %u to %lu", i, ranges[i].to);
		cr_expect_eq(ranges[i].first_seen_ns, want[i][2], "range %u at %lu", i,
			ranges[i].first_seen_ns);
		missing += want[i][1] - want[i][0] + 1;
	}
	cr_expect_eq(info.missing, missing);
}

#define EXPECT_RANGES(table, ...)                                                                  \
	do {                                                                                       \
		const uint64_t want_[][3] = {__VA_ARGS__};                                         \
		expect_ranges(table, want_, sizeof(want_) / sizeof(want_[0]));                     \
	} while (0)

#define EXPECT_ADMIT(session, sequence, now, sym)                                                  \
	cr_expect_eq(pst_session_admit(session, sequence, now), PST_SESSION_##sym)

Test(session, in_order)
{
	struct pst_session_table *t = table_new(1, 4);
	struct pst_session *s = pst_session_get(t, 3, id, 10, 100);
	for (uint64_t n = 10; n < 20; n++)
		EXPECT_ADMIT(s, n, 100 + n, IN_ORDER);
	struct pst_session_info info = info_of(t);
	cr_assert_eq(info.listener_idx, 3);
	cr_assert_arr_eq(info.id, id, sizeof(id));
	cr_assert_eq(info.joined_at, 10);
	cr_assert_eq(info.next, 20);
	cr_assert_eq(info.received, 10);
	cr_assert_eq(info.first_seen_ns, 100);
	cr_assert_eq(info.last_seen_ns, 119);
	cr_assert_eq(info.gap_cnt, 0);
	cr_assert_eq(info.range_cnt, 0);
	cr_assert_eq(info.lost_to, 0);
	cr_assert_not(info.ended);
}

Test(session, second_copies_are_dropped)
{
	struct pst_session_table *t = table_new(1, 4);
	struct pst_session *s = pst_session_get(t, 0, id, 1, 1);
	for (uint64_t n = 1; n <= 5; n++) {
		EXPECT_ADMIT(s, n, 1, IN_ORDER);
		EXPECT_ADMIT(s, n, 1, DUPLICATE);
	}
	EXPECT_ADMIT(s, 1, 1, DUPLICATE);
	struct pst_session_info info = info_of(t);
	cr_assert_eq(info.received, 11);
	cr_assert_eq(info.duplicate, 6);
}

Test(session, what_lies_before_the_first_packet_is_not_known)
{
	struct pst_session_table *t = table_new(1, 4);
	struct pst_session *s = pst_session_get(t, 0, id, 100, 1);
	EXPECT_ADMIT(s, 100, 1, IN_ORDER);
	EXPECT_ADMIT(s, 99, 1, UNTRACKED);
	EXPECT_ADMIT(s, 99, 1, UNTRACKED);
	EXPECT_ADMIT(s, 1, 1, UNTRACKED);
	EXPECT_ADMIT(s, 100, 1, DUPLICATE);
	pst_session_reopen(s, 99, 1);
	EXPECT_ADMIT(s, 99, 1, UNTRACKED);
	struct pst_session_info info = info_of(t);
	cr_assert_eq(info.untracked, 4);
	cr_assert_eq(info.reopened, 0);
	cr_assert_eq(info.missing, 0);
	cr_assert_eq(info.gap_cnt, 0);
}

Test(session, a_gap_shrinks_splits_and_closes)
{
	struct pst_session_table *t = table_new(1, 4);
	struct pst_session *s = pst_session_get(t, 0, id, 1, 1);
	EXPECT_ADMIT(s, 1, 1, IN_ORDER);
	EXPECT_ADMIT(s, 10, 2, IN_ORDER);
	EXPECT_RANGES(t, {2, 9, 2});
	EXPECT_ADMIT(s, 2, 3, LATE);
	EXPECT_RANGES(t, {3, 9, 2});
	EXPECT_ADMIT(s, 9, 3, LATE);
	EXPECT_RANGES(t, {3, 8, 2});
	EXPECT_ADMIT(s, 5, 3, LATE);
	EXPECT_RANGES(t, {3, 4, 2}, {6, 8, 2});
	EXPECT_ADMIT(s, 5, 3, DUPLICATE);
	EXPECT_ADMIT(s, 3, 3, LATE);
	EXPECT_ADMIT(s, 4, 3, LATE);
	EXPECT_RANGES(t, {6, 8, 2});
	for (uint64_t n = 6; n <= 8; n++)
		EXPECT_ADMIT(s, n, 3, LATE);
	struct pst_session_info info = info_of(t);
	cr_assert_eq(info.range_cnt, 0);
	cr_assert_eq(info.missing, 0);
	cr_assert_eq(info.gap_cnt, 1);
	cr_assert_eq(info.gap_messages, 8);
	cr_assert_eq(info.late, 8);
	cr_assert_eq(info.next, 11);
}

Test(session, heartbeats)
{
	struct pst_session_table *t = table_new(1, 4);
	struct pst_session *s = pst_session_get(t, 0, id, 5, 1);
	EXPECT_ADMIT(s, 5, 1, IN_ORDER);
	pst_session_heartbeat(s, 6, false, 2); /* as expected */
	cr_assert_eq(info_of(t).range_cnt, 0);
	cr_assert_eq(info_of(t).last_seen_ns, 2);
	pst_session_heartbeat(s, 3, false, 3); /* behind */
	cr_assert_eq(info_of(t).next, 6);
	pst_session_heartbeat(s, 9, false, 4); /* ahead */
	EXPECT_RANGES(t, {6, 8, 4});
	pst_session_heartbeat(s, 12, false, 5); /* the same gap grows */
	EXPECT_RANGES(t, {6, 11, 4});
	EXPECT_ADMIT(s, 15, 6, IN_ORDER);
	EXPECT_RANGES(t, {6, 14, 4});
	cr_assert_eq(info_of(t).gap_cnt, 1);
	cr_assert_eq(info_of(t).gap_messages, 9);
	cr_assert_not(info_of(t).ended);
	pst_session_heartbeat(s, 18, true, 7);
	EXPECT_RANGES(t, {6, 14, 4}, {16, 17, 7});
	cr_assert(info_of(t).ended);
	EXPECT_ADMIT(s, 16, 8, LATE);
	pst_session_heartbeat(s, 18, false, 9);
	cr_assert(info_of(t).ended, "an old heartbeat takes no end back");
}

Test(session, a_heartbeat_may_come_first)
{
	struct pst_session_table *t = table_new(1, 4);
	struct pst_session *s = pst_session_get(t, 0, id, 50, 1);
	pst_session_heartbeat(s, 50, false, 1);
	cr_assert_eq(info_of(t).joined_at, 50);
	cr_assert_eq(info_of(t).gap_cnt, 0);
	EXPECT_ADMIT(s, 49, 2, UNTRACKED);
	EXPECT_ADMIT(s, 51, 2, IN_ORDER);
	EXPECT_ADMIT(s, 50, 2, LATE);
}

Test(session, reopened_numbers_are_missing_again)
{
	struct pst_session_table *t = table_new(1, 8);
	struct pst_session *s = pst_session_get(t, 0, id, 1, 1);
	for (uint64_t n = 1; n <= 20; n++)
		EXPECT_ADMIT(s, n, 1, IN_ORDER);
	pst_session_reopen(s, 10, 2); /* alone */
	EXPECT_RANGES(t, {10, 10, 2});
	pst_session_reopen(s, 11, 3); /* above */
	EXPECT_RANGES(t, {10, 11, 2});
	pst_session_reopen(s, 9, 4); /* below */
	EXPECT_RANGES(t, {9, 11, 2});
	pst_session_reopen(s, 10, 5); /* already */
	EXPECT_RANGES(t, {9, 11, 2});
	pst_session_reopen(s, 13, 6);
	EXPECT_RANGES(t, {9, 11, 2}, {13, 13, 6});
	pst_session_reopen(s, 12, 7); /* between two */
	EXPECT_RANGES(t, {9, 13, 2});
	pst_session_reopen(s, 1, 8);  /* where we joined */
	pst_session_reopen(s, 20, 9); /* the latest */
	EXPECT_RANGES(t, {1, 1, 8}, {9, 13, 2}, {20, 20, 9});
	pst_session_reopen(s, 21, 9); /* not come yet */
	pst_session_reopen(s, 0, 9);
	EXPECT_RANGES(t, {1, 1, 8}, {9, 13, 2}, {20, 20, 9});
	cr_assert_eq(info_of(t).reopened, 7);
	cr_assert_eq(info_of(t).gap_cnt, 0);
	EXPECT_ADMIT(s, 1, 10, LATE);
	EXPECT_ADMIT(s, 1, 10, DUPLICATE);
	EXPECT_ADMIT(s, 20, 10, LATE);
	EXPECT_ADMIT(s, 21, 10, IN_ORDER);
	EXPECT_ADMIT(s, 11, 10, LATE);
	EXPECT_RANGES(t, {9, 10, 2}, {12, 13, 2});
	pst_session_reopen(s, 11, 11); /* the hole closes again: the oldest date holds */
	EXPECT_RANGES(t, {9, 13, 2});
}

Test(session, without_room_the_lowest_range_is_given_up)
{
	struct pst_session_table *t = table_new(1, 2);
	struct pst_session *s = pst_session_get(t, 0, id, 1, 1);
	for (uint64_t n = 1; n <= 9; n += 2)
		EXPECT_ADMIT(s, n, n, IN_ORDER);
	/* 2 and 4 are given up; 3 lies between them. */
	EXPECT_RANGES(t, {6, 6, 7}, {8, 8, 9});
	cr_assert_eq(info_of(t).gap_lost_ranges, 2);
	cr_assert_eq(info_of(t).lost_from, 2);
	cr_assert_eq(info_of(t).lost_to, 4);
	cr_assert_eq(info_of(t).gap_messages, 4);
	EXPECT_ADMIT(s, 1, 10, DUPLICATE);
	for (uint64_t n = 2; n <= 4; n++)
		EXPECT_ADMIT(s, n, 10, UNTRACKED);
	EXPECT_ADMIT(s, 5, 10, DUPLICATE);
	EXPECT_ADMIT(s, 6, 10, LATE);
	pst_session_reopen(s, 3, 11);
	EXPECT_RANGES(t, {8, 8, 9});
	EXPECT_ADMIT(s, 3, 12, UNTRACKED);
	/* Below the span there is room: known again. */
	pst_session_reopen(s, 1, 13);
	EXPECT_RANGES(t, {1, 1, 13}, {8, 8, 9});
	/* And given up again: the span grows over it. */
	EXPECT_ADMIT(s, 12, 14, IN_ORDER);
	EXPECT_RANGES(t, {8, 8, 9}, {10, 11, 14});
	cr_assert_eq(info_of(t).lost_from, 1);
	/* A reopened number that is itself the lowest. */
	pst_session_reopen(s, 5, 15);
	EXPECT_RANGES(t, {8, 8, 9}, {10, 11, 14});
	EXPECT_ADMIT(s, 5, 16, UNTRACKED);
	cr_assert_eq(info_of(t).lost_to, 5);
}

Test(session, a_split_may_cost_its_own_lower_half)
{
	struct pst_session_table *t = table_new(1, 1);
	struct pst_session *s = pst_session_get(t, 0, id, 1, 1);
	EXPECT_ADMIT(s, 10, 2, IN_ORDER);
	EXPECT_ADMIT(s, 5, 3, LATE);
	EXPECT_RANGES(t, {6, 9, 2});
	EXPECT_ADMIT(s, 4, 4, UNTRACKED);
	EXPECT_ADMIT(s, 5, 4, DUPLICATE);
	EXPECT_ADMIT(s, 6, 4, LATE);
	cr_assert_eq(info_of(t).gap_lost_ranges, 1);
}

Test(session, far_jumps_and_the_last_numbers)
{
	struct pst_session_table *t = table_new(1, 2);
	struct pst_session *s = pst_session_get(t, 0, id, 1, 1);
	EXPECT_ADMIT(s, 1, 1, IN_ORDER);
	EXPECT_ADMIT(s, UINT64_MAX - 2, 2, IN_ORDER);
	EXPECT_RANGES(t, {2, UINT64_MAX - 3, 2});
	EXPECT_ADMIT(s, UINT64_MAX - 1, 3, IN_ORDER);
	cr_assert_eq(info_of(t).next, UINT64_MAX);
	pst_session_heartbeat(s, UINT64_MAX, true, 4);
	cr_assert_eq(info_of(t).next, UINT64_MAX);
	EXPECT_ADMIT(s, UINT64_C(1) << 63, 5, LATE);
	EXPECT_RANGES(
		t, {2, (UINT64_C(1) << 63) - 1, 2}, {(UINT64_C(1) << 63) + 1, UINT64_MAX - 3, 2});
	pst_session_reopen(s, UINT64_MAX - 1, 6);
	EXPECT_RANGES(t, {(UINT64_C(1) << 63) + 1, UINT64_MAX - 3, 2},
		{UINT64_MAX - 1, UINT64_MAX - 1, 6});
	EXPECT_ADMIT(s, 2, 7, UNTRACKED);
	EXPECT_ADMIT(s, UINT64_MAX - 2, 7, DUPLICATE);
	EXPECT_ADMIT(s, UINT64_MAX - 1, 7, LATE);
}

Test(session, table)
{
	enum { CNT = 1000 };
	struct pst_session_table *t = table_new(CNT, 1);
	uint8_t name[PST_MOLD_SESSION_LEN];
	memset(name, 0, sizeof(name));
	for (unsigned i = 0; i < CNT; i++) {
		/* Names that differ in the first or the last byte alone, or not but by listener. */
		name[0] = (uint8_t)(i % 10);
		name[9] = (uint8_t)(i / 10 % 10);
		uint16_t listener = (uint16_t)(i / 100);
		cr_assert_null(pst_session_find(t, listener, name));
		struct pst_session *s = pst_session_get(t, listener, name, i + 1, i);
		cr_assert_eq(pst_session_admit(s, i + 1, i), PST_SESSION_IN_ORDER);
		cr_assert_eq(pst_session_cnt(t), i + 1);
	}
	name[0] = 0xff;
	cr_assert_null(pst_session_get(t, 0, name, 1, 1));
	cr_assert_null(pst_session_get(t, 0, name, 1, 1));
	cr_assert_null(pst_session_find(t, 0, name));
	cr_assert_eq(pst_session_full_cnt(t), 2);
	for (unsigned i = CNT; i-- > 0;) {
		struct pst_session_info info;
		name[0] = (uint8_t)(i % 10);
		name[9] = (uint8_t)(i / 10 % 10);
		uint16_t listener = (uint16_t)(i / 100);
		struct pst_session *s = pst_session_find(t, listener, name);
		cr_assert_not_null(s);
		cr_assert_eq(pst_session_get(t, listener, name, 77, 5000), s);
		cr_assert_eq(pst_session_admit(s, i + 1, 1), PST_SESSION_DUPLICATE);
		pst_session_copy(t, i, &info, NULL, 0);
		cr_assert_arr_eq(info.id, name, sizeof(name));
		cr_assert_eq(info.listener_idx, listener);
		cr_assert_eq(info.joined_at, i + 1);
		cr_assert_eq(info.duplicate, 1);
	}
	cr_assert_eq(pst_session_cnt(t), CNT);
}

Test(session, a_copy_takes_what_fits)
{
	struct pst_session_table *t = table_new(1, 8);
	struct pst_session *s = pst_session_get(t, 0, id, 1, 1);
	struct pst_session_range ranges[3] = {{0}};
	struct pst_session_info info;
	for (uint64_t n = 2; n <= 12; n += 2)
		pst_session_admit(s, n, 1);
	cr_assert_eq(pst_session_copy(t, 0, &info, ranges, 2), 2);
	cr_assert_eq(info.range_cnt, 6);
	cr_assert_eq(ranges[0].from, 1);
	cr_assert_eq(ranges[1].from, 3);
	cr_assert_eq(ranges[2].from, 0);
}
