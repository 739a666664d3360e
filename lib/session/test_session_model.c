/* Random histories against a model that keeps a state for every single number. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "session/session.h"

#define NUMBER_CNT 300 /* of the window that a history plays in */
#define STEP_CNT   600

struct model {
	uint64_t base; /* number of the window's place 0 */
	uint32_t range_cap;
	uint32_t joined, next; /* places */
	bool missing[NUMBER_CNT + 1];
	bool lost[NUMBER_CNT + 1]; /* inside the span of ranges given up */
	bool held[NUMBER_CNT + 1]; /* admitted, and not given back since */
	uint64_t gap_cnt, gap_messages, gap_lost_ranges, reopened;
	uint64_t verdict_cnt[PST_SESSION_DUPLICATE + 1];
};

/* Runs of missing numbers; of the lowest, the bounds. */
static uint32_t
model_ranges(const struct model *m, uint32_t *from, uint32_t *to)
{
	uint32_t cnt = 0;
	for (uint32_t i = 0; i < m->next; i++) {
		if (!m->missing[i])
			continue;
		cnt++;
		uint32_t first = i;
		while (i + 1 < m->next && m->missing[i + 1])
			i++;
		if (cnt == 1) {
			*from = first;
			*to = i;
		}
	}
	return cnt;
}

static void
model_give_up(struct model *m)
{
	uint32_t from = 0, to = 0;
	if (model_ranges(m, &from, &to) <= m->range_cap)
		return;
	m->gap_lost_ranges++;
	for (uint32_t i = from; i <= to; i++) {
		m->missing[i] = false;
		m->lost[i] = true;
	}
	uint32_t low = 0, high = NUMBER_CNT;
	while (!m->lost[low])
		low++;
	while (!m->lost[high])
		high--;
	for (uint32_t i = low; i <= high; i++)
		m->lost[i] = true;
}

static void
model_advance(struct model *m, uint32_t next)
{
	if (next <= m->next)
		return;
	m->gap_messages += next - m->next;
	m->gap_cnt += m->next == 0 || !m->missing[m->next - 1];
	for (; m->next < next; m->next++)
		m->missing[m->next] = true;
	model_give_up(m);
}

static enum pst_session_verdict
model_admit(struct model *m, uint32_t place)
{
	if (place >= m->next) {
		model_advance(m, place);
		m->next = place + 1;
		return PST_SESSION_IN_ORDER;
	}
	if (m->missing[place]) {
		m->missing[place] = false;
		model_give_up(m);
		return PST_SESSION_LATE;
	}
	return place < m->joined || m->lost[place] ? PST_SESSION_UNTRACKED : PST_SESSION_DUPLICATE;
}

static void
model_reopen(struct model *m, uint32_t place)
{
	if (place >= m->next || place < m->joined || m->lost[place] || m->missing[place])
		return;
	m->reopened++;
	m->missing[place] = true;
	model_give_up(m);
}

static uint32_t
random_below(uint32_t *state, uint32_t bound)
{
	*state = *state * 1664525 + 1013904223;
	return (uint32_t)(((uint64_t)*state * bound) >> 32);
}

/* What must hold whatever the model says. */
static void
check_promise(struct model *m, uint32_t place, enum pst_session_verdict verdict)
{
	if (verdict == PST_SESSION_DUPLICATE)
		cr_assert(m->held[place], "dropped, but nobody has it");
	if (verdict == PST_SESSION_IN_ORDER || verdict == PST_SESSION_LATE)
		cr_assert_not(m->held[place], "stored twice");
	m->held[place] = true;
}

static void
step(struct model *m, struct pst_session *s, uint32_t *random)
{
	uint32_t place, reach;
	switch (random_below(random, 10)) {
	case 0: /* a heartbeat, ahead or behind */
		place = m->next + random_below(random, 5);
		place = place < 2 ? 0 : place - 2;
		if (place > NUMBER_CNT)
			place = NUMBER_CNT;
		pst_session_heartbeat(s, m->base + place, false, 1);
		model_advance(m, place);
		return;
	case 1: /* given back: a recent one, or any */
	case 2:
		reach = random_below(random, 2) ? 8 : NUMBER_CNT;
		place = random_below(random, m->next < reach ? m->next + 1 : reach);
		place = m->next - (place < m->next ? place : m->next);
		pst_session_reopen(s, m->base + place, 1);
		model_reopen(m, place);
		if (place < NUMBER_CNT)
			m->held[place] = false;
		return;
	case 3: /* a jump */
		place = m->next + random_below(random, 6);
		break;
	case 4: /* anything that has been */
	case 5:
	case 6:
		place = random_below(random, m->next + 1);
		break;
	default:
		place = m->next;
	}
	if (place >= NUMBER_CNT)
		place = random_below(random, NUMBER_CNT);
	enum pst_session_verdict want = model_admit(m, place);
	enum pst_session_verdict got = pst_session_admit(s, m->base + place, 1);
	cr_assert_eq(got, want, "number %u: %d, model %d", place, got, want);
	m->verdict_cnt[got]++;
	check_promise(m, place, got);
}

static void
check_state(const struct model *m, const struct pst_session_table *table)
{
	struct pst_session_range ranges[NUMBER_CNT];
	struct pst_session_info info;
	bool missing[NUMBER_CNT + 1] = {false};
	uint32_t from, to;
	uint64_t missing_cnt = 0, received = 0;

	uint32_t cnt = pst_session_copy(table, 0, &info, ranges, NUMBER_CNT);
	cr_assert_eq(cnt, info.range_cnt);
	cr_assert_eq(cnt, model_ranges(m, &from, &to));
	cr_assert_leq(cnt, m->range_cap);
	for (uint32_t i = 0; i < cnt; i++) {
		if (i > 0)
			cr_assert_gt(ranges[i].from, ranges[i - 1].to + 1, "not merged");
		for (uint64_t n = ranges[i].from; n <= ranges[i].to; n++, missing_cnt++)
			missing[n - m->base] = true;
	}
	cr_assert_arr_eq(missing, m->missing, sizeof(missing));
	cr_assert_eq(info.missing, missing_cnt);
	cr_assert_eq(info.next, m->base + m->next);
	cr_assert_eq(info.gap_cnt, m->gap_cnt);
	cr_assert_eq(info.gap_messages, m->gap_messages);
	cr_assert_eq(info.gap_lost_ranges, m->gap_lost_ranges);
	cr_assert_eq(info.reopened, m->reopened);
	cr_assert_eq(info.late, m->verdict_cnt[PST_SESSION_LATE]);
	cr_assert_eq(info.untracked, m->verdict_cnt[PST_SESSION_UNTRACKED]);
	cr_assert_eq(info.duplicate, m->verdict_cnt[PST_SESSION_DUPLICATE]);
	for (unsigned v = 0; v <= PST_SESSION_DUPLICATE; v++)
		received += m->verdict_cnt[v];
	cr_assert_eq(info.received, received);
	for (uint32_t i = 0; i <= NUMBER_CNT; i++) {
		bool lost = info.lost_to && m->base + i >= info.lost_from &&
			    m->base + i <= info.lost_to;
		cr_assert_eq(lost, m->lost[i], "number %u", i);
	}
}

static void
play(uint32_t seed, uint32_t range_cap, uint64_t base)
{
	uint32_t random = seed;
	void *mem = aligned_alloc(64, pst_align_up(pst_session_table_bytes(2, range_cap), 64));
	struct pst_session_table *table = pst_session_table_init(mem, 2, range_cap);
	struct model m = {.base = base, .range_cap = range_cap};
	m.joined = m.next = random_below(&random, 20);
	struct pst_session *s = pst_session_get(
		table, 0, (const uint8_t *)"0123456789", base + m.next, 1);
	/* The neighbour's memory shows a write out of bounds. */
	struct pst_session *other = pst_session_get(table, 0, (const uint8_t *)"9876543210", 5, 1);
	pst_session_admit(other, 7, 1);
	for (int i = 0; i < STEP_CNT; i++) {
		step(&m, s, &random);
		check_state(&m, table);
	}
	struct pst_session_range range;
	struct pst_session_info info;
	cr_assert_eq(pst_session_copy(table, 1, &info, &range, 1), 1);
	cr_assert(range.from == 5 && range.to == 6);
	free(mem);
}

static void
play_many(uint32_t range_cap)
{
	for (uint32_t seed = 0; seed < 100; seed++) {
		play(seed, range_cap, 1);
		/* The window's last place but one is UINT64_MAX - 1, the greatest number. */
		play(seed, range_cap, UINT64_MAX - NUMBER_CNT);
		play(seed, range_cap, UINT64_C(1) << 63);
	}
}

Test(session_model, one_range)
{
	play_many(1);
}

Test(session_model, two_ranges)
{
	play_many(2);
}

Test(session_model, three_ranges)
{
	play_many(3);
}

Test(session_model, seven_ranges)
{
	play_many(7);
}

Test(session_model, as_many_as_it_takes)
{
	play_many(NUMBER_CNT);
}
