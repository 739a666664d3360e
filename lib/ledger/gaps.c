/* Of each session: its open gaps in an array, sorted; of all: closed ones that were not told yet.
 */
#include "ledger/gaps.h"

#include <errno.h>
#include <stdlib.h>

#include "base/base.h"

struct open_gap {
	struct pst_gap gap;
	bool changed; /* since it was told */
	bool told;    /* at least once */
};

struct session_gaps {
	struct open_gap *open; /* range_cnt_max of them, and one while neighbours are made one */
	uint32_t cnt;
	bool changed;           /* one of them, or the sums */
	uint64_t lost_messages; /* reported so far, as the session counts them */
	struct pst_gap more[2]; /* sums of what found no room: without loss, with */
};

struct closed_gap {
	uint32_t session_idx;
	struct pst_gap gap;
};

struct pst_gaps {
	uint32_t range_cnt_max;
	uint64_t id_last;
	uint64_t open_cnt;
	struct session_gaps *sessions;
	uint32_t session_cnt, session_cnt_max; /* seen so far; in the table */
	struct open_gap *open;                 /* of all sessions */
	struct closed_gap *closed;
	uint32_t closed_first, closed_cnt; /* a ring */
	bool any_changed;
};

const char *
pst_gap_state_name(enum pst_gap_state state)
{
	static const char *const names[] = {
		[PST_GAP_OPEN] = "open", [PST_GAP_FILLED] = "filled", [PST_GAP_LOST] = "lost"};
	PST_ASSERT(state < PST_ARRAY_CNT(names));
	return names[state];
}

enum pst_gap_state
pst_gap_state(const struct pst_gap *gap)
{
	if (gap->missing > 0)
		return gap->declared ? PST_GAP_LOST : PST_GAP_OPEN;
	return gap->lost > 0 ? PST_GAP_LOST : PST_GAP_FILLED;
}

uint64_t
pst_gaps_memory_bytes(uint32_t session_cnt_max, uint32_t range_cnt_max)
{
	return sizeof(struct pst_gaps) + PST_GAPS_CLOSED_MAX * sizeof(struct closed_gap) +
	       session_cnt_max * (sizeof(struct session_gaps) +
					 ((uint64_t)range_cnt_max + 1) * sizeof(struct open_gap));
}

int
pst_gaps_create(uint32_t session_cnt_max, uint32_t range_cnt_max, struct pst_gaps **out)
{
	struct pst_gaps *gaps = calloc(1, sizeof(*gaps));

	if (!gaps)
		return -ENOMEM;
	gaps->range_cnt_max = range_cnt_max;
	gaps->session_cnt_max = session_cnt_max;
	gaps->closed = calloc(PST_GAPS_CLOSED_MAX, sizeof(*gaps->closed));
	gaps->sessions = calloc(session_cnt_max, sizeof(*gaps->sessions));
	gaps->open = calloc((size_t)session_cnt_max * (range_cnt_max + 1), sizeof(*gaps->open));
	if (!gaps->closed || !gaps->sessions || !gaps->open) {
		pst_gaps_destroy(gaps);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < session_cnt_max; i++)
		gaps->sessions[i].open = gaps->open + (size_t)i * (range_cnt_max + 1);
	*out = gaps;
	return 0;
}

void
pst_gaps_destroy(struct pst_gaps *gaps)
{
	if (!gaps)
		return;
	free(gaps->sessions);
	free(gaps->open);
	free(gaps->closed);
	free(gaps);
}

uint64_t
pst_gaps_open_cnt(const struct pst_gaps *gaps)
{
	return gaps->open_cnt;
}

static struct session_gaps *
session_of(struct pst_gaps *gaps, uint32_t idx)
{
	PST_ASSERT(idx < gaps->session_cnt_max);
	if (idx >= gaps->session_cnt)
		gaps->session_cnt = idx + 1;
	return &gaps->sessions[idx];
}

static void
touch(struct pst_gaps *gaps, struct session_gaps *s, struct open_gap *open, uint64_t at_ns)
{
	open->changed = s->changed = gaps->any_changed = true;
	open->gap.last_ns = pst_max_u64(open->gap.last_ns, at_ns);
}

/* Joins two gaps' accounts into the first. */
static void
join(struct pst_gap *a, const struct pst_gap *b)
{
	a->from = a->cnt ? pst_min_u64(a->from, b->from) : b->from;
	a->to = pst_max_u64(a->to, b->to);
	a->first_seen_ns = a->first_seen_ns ? pst_min_u64(a->first_seen_ns, b->first_seen_ns)
					    : b->first_seen_ns;
	a->last_ns = pst_max_u64(a->last_ns, b->last_ns);
	a->missing += b->missing;
	a->filled += b->filled;
	if (b->lost > 0) {
		a->lost_from = a->lost ? pst_min_u64(a->lost_from, b->lost_from) : b->lost_from;
		a->lost_to = pst_max_u64(a->lost_to, b->lost_to);
	}
	if (b->declared)
		a->declared = b->declared;
	a->lost += b->lost;
	a->cnt++;
}

/* Two neighbours of which each has something missing in the same run of numbers: there are such
 * whenever there are more gaps than ranges. */
static void
join_neighbours(struct pst_gaps *gaps, struct session_gaps *s)
{
	for (uint32_t i = 0; i + 1 < s->cnt; i++) {
		struct open_gap *low = &s->open[i], *high = &s->open[i + 1];
		if (low->gap.to + 1 != high->gap.from)
			continue;
		uint64_t cnt = low->gap.cnt;
		join(&low->gap, &high->gap);
		low->gap.cnt = cnt;
		touch(gaps, s, low, high->gap.last_ns);
		s->cnt--;
		gaps->open_cnt--;
		memmove(high, high + 1, (s->cnt - i - 1) * sizeof(*high));
		return;
	}
}

/* The first gap that does not end below the number. */
static uint32_t
find(const struct session_gaps *s, uint64_t sequence)
{
	uint32_t low = 0, high = s->cnt;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (s->open[mid].gap.to < sequence)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void
insert(struct pst_gaps *gaps, struct session_gaps *s, uint64_t from, uint64_t to, uint64_t at_ns,
	bool reopened)
{
	uint32_t i = find(s, from);
	struct open_gap *below = i > 0 ? &s->open[i - 1] : NULL;

	/* One that grows before it was told is one. */
	if (below && !below->told && below->gap.to + 1 == from && below->gap.reopened == reopened) {
		below->gap.to = to;
		below->gap.missing += to - from + 1;
		touch(gaps, s, below, at_ns);
		return;
	}
	memmove(&s->open[i + 1], &s->open[i], (s->cnt - i) * sizeof(s->open[0]));
	s->cnt++;
	gaps->open_cnt++;
	s->open[i] = (struct open_gap){.gap = {.id = ++gaps->id_last,
					       .from = from,
					       .to = to,
					       .cnt = 1,
					       .first_seen_ns = at_ns,
					       .missing = to - from + 1,
					       .reopened = reopened}};
	touch(gaps, s, &s->open[i], at_ns);
	if (s->cnt > gaps->range_cnt_max)
		join_neighbours(gaps, s);
}

static void
close_gap(struct pst_gaps *gaps, uint32_t session_idx, uint32_t i)
{
	struct session_gaps *s = &gaps->sessions[session_idx];
	const struct pst_gap *gap = &s->open[i].gap;

	if (gaps->closed_cnt < PST_GAPS_CLOSED_MAX) {
		uint32_t at = (gaps->closed_first + gaps->closed_cnt++) % PST_GAPS_CLOSED_MAX;
		gaps->closed[at] = (struct closed_gap){session_idx, *gap};
	} else {
		join(&s->more[gap->lost > 0], gap);
		s->changed = true;
	}
	gaps->any_changed = true;
	s->cnt--;
	gaps->open_cnt--;
	memmove(&s->open[i], &s->open[i + 1], (s->cnt - i) * sizeof(s->open[0]));
}

/* Books the messages from .. to of one gap as filled or lost. */
static void
settle(struct pst_gap *gap, enum pst_session_report_kind kind, uint64_t from, uint64_t to)
{
	uint64_t cnt = pst_min_u64(to - from + 1, gap->missing);

	gap->missing -= cnt;
	if (kind == PST_SESSION_GAP_FILLED) {
		gap->filled += cnt;
		return;
	}
	gap->lost_from = gap->lost ? pst_min_u64(gap->lost_from, from) : from;
	gap->lost_to = pst_max_u64(gap->lost_to, to);
	gap->lost += cnt;
}

static void
take_settled(struct pst_gaps *gaps, const struct pst_session_report *r)
{
	struct session_gaps *s = &gaps->sessions[r->session_idx];

	for (uint32_t i = find(s, r->from); i < s->cnt && s->open[i].gap.from <= r->to;) {
		struct open_gap *open = &s->open[i];
		settle(&open->gap, r->kind, pst_max_u64(r->from, open->gap.from),
			pst_min_u64(r->to, open->gap.to));
		touch(gaps, s, open, r->at_ns);
		if (open->gap.missing == 0)
			close_gap(gaps, r->session_idx, i);
		else
			i++;
	}
	if (r->kind == PST_SESSION_GAP_LOST)
		s->lost_messages += r->to - r->from + 1;
}

/* Messages that are missing again: those of an open gap return to it, the rest is a gap anew. */
static void
take_reopened(struct pst_gaps *gaps, const struct pst_session_report *r)
{
	struct session_gaps *s = &gaps->sessions[r->session_idx];
	uint64_t from = r->from;

	while (from <= r->to) {
		uint32_t i = find(s, from);
		if (i < s->cnt && s->open[i].gap.from <= from) {
			struct pst_gap *gap = &s->open[i].gap;
			uint64_t to = pst_min_u64(gap->to, r->to);
			uint64_t back = pst_min_u64(gap->filled, to - from + 1);
			gap->missing += to - from + 1;
			gap->filled -= back;
			touch(gaps, s, &s->open[i], r->at_ns);
			from = to + 1;
			continue;
		}
		uint64_t to = i < s->cnt ? pst_min_u64(r->to, s->open[i].gap.from - 1) : r->to;
		insert(gaps, s, from, to, r->at_ns, true);
		from = to + 1;
	}
}

static void
declare(struct pst_gaps *gaps, struct session_gaps *s, const char *reason, uint64_t at_ns)
{
	for (uint32_t i = 0; i < s->cnt; i++) {
		if (s->open[i].gap.declared)
			continue; /* it was lost before */
		s->open[i].gap.declared = reason;
		touch(gaps, s, &s->open[i], at_ns);
	}
}

void
pst_gaps_take(struct pst_gaps *gaps, const struct pst_session_report *reports, uint32_t report_cnt)
{
	for (uint32_t i = 0; i < report_cnt; i++) {
		const struct pst_session_report *r = &reports[i];
		struct session_gaps *s = session_of(gaps, r->session_idx);
		switch (r->kind) {
		case PST_SESSION_GAP_OPENED:
			insert(gaps, s, r->from, r->to, r->at_ns, false);
			break;
		case PST_SESSION_GAP_REOPENED:
			take_reopened(gaps, r);
			break;
		case PST_SESSION_GAP_FILLED:
		case PST_SESSION_GAP_LOST:
			take_settled(gaps, r);
			break;
		case PST_SESSION_ENDED:
			declare(gaps, s, "session_ended", r->at_ns);
			break;
		}
	}
}

/* ---- a session as it is ---- */

static uint64_t
overlap(const struct pst_gap *gap, const struct pst_session_range *range)
{
	uint64_t from = pst_max_u64(gap->from, range->from);
	uint64_t to = pst_min_u64(gap->to, range->to);
	return from <= to ? to - from + 1 : 0;
}

/* What of a known gap is still missing; the rest was filled, or is among the *lost messages. */
static void
resync_gap(struct pst_gap *gap, const struct pst_session_info *info,
	const struct pst_session_range *ranges, uint32_t range_cnt, uint64_t *lost)
{
	uint64_t missing = 0;

	for (uint32_t r = 0; r < range_cnt; r++)
		missing += overlap(gap, &ranges[r]);
	if (missing > gap->missing) { /* reopened meanwhile */
		gap->filled -= pst_min_u64(gap->filled, missing - gap->missing);
		gap->missing = missing;
		return;
	}
	uint64_t gone = gap->missing - missing;
	bool in_span = info->lost_from <= gap->to && gap->from <= info->lost_to;
	uint64_t given_up = in_span ? pst_min_u64(gone, *lost) : 0;
	gap->missing = missing;
	gap->filled += gone - given_up;
	if (given_up == 0)
		return;
	*lost -= given_up;
	gap->lost += given_up;
	gap->lost_from = pst_max_u64(gap->from, info->lost_from);
	gap->lost_to = pst_min_u64(gap->to, info->lost_to);
}

/* What of a range no known gap has is a gap that was not reported. */
static void
resync_range(struct pst_gaps *gaps, struct session_gaps *s, const struct pst_session_range *range)
{
	uint64_t from = range->from;

	while (from <= range->to) {
		uint32_t i = find(s, from);
		if (i < s->cnt && s->open[i].gap.from <= from) {
			from = s->open[i].gap.to + 1;
			continue;
		}
		uint64_t to = range->to;
		if (i < s->cnt)
			to = pst_min_u64(to, s->open[i].gap.from - 1);
		insert(gaps, s, from, to, range->first_seen_ns, false);
		from = to + 1;
	}
}

void
pst_gaps_resync(struct pst_gaps *gaps, uint32_t session_idx, const struct pst_session_info *info,
	const struct pst_session_range *ranges, uint32_t range_cnt, uint64_t now_ns)
{
	struct session_gaps *s = session_of(gaps, session_idx);
	uint64_t lost = info->lost_messages - s->lost_messages;
	s->lost_messages = info->lost_messages;
	for (uint32_t i = 0; i < s->cnt;) {
		struct pst_gap *gap = &s->open[i].gap;
		resync_gap(gap, info, ranges, range_cnt, &lost);
		touch(gaps, s, &s->open[i], now_ns);
		if (gap->missing == 0)
			close_gap(gaps, session_idx, i);
		else
			i++;
	}
	if (lost > 0) { /* of gaps that came and went unseen */
		struct pst_gap unseen = {.from = info->lost_from,
			.to = info->lost_to,
			.first_seen_ns = now_ns,
			.last_ns = now_ns,
			.lost = lost,
			.lost_from = info->lost_from,
			.lost_to = info->lost_to};
		join(&s->more[1], &unseen);
		s->changed = gaps->any_changed = true;
	}
	for (uint32_t r = 0; r < range_cnt; r++)
		resync_range(gaps, s, &ranges[r]);
	if (info->ended)
		declare(gaps, s, "session_ended", now_ns);
}

void
pst_gaps_stop(struct pst_gaps *gaps, uint64_t now_ns)
{
	for (uint32_t i = 0; i < gaps->session_cnt; i++)
		declare(gaps, &gaps->sessions[i], "stop", now_ns);
}

/* ---- telling ---- */

static uint32_t
tell_session(struct pst_gaps *gaps, uint32_t idx, uint32_t max,
	void (*visit)(void *arg, uint32_t session_idx, const struct pst_gap *gap), void *arg)
{
	struct session_gaps *s = &gaps->sessions[idx];
	uint32_t told = 0;

	for (unsigned m = 0; m < 2; m++)
		if (s->more[m].cnt > 0 && told < max) {
			visit(arg, idx, &s->more[m]);
			memset(&s->more[m], 0, sizeof(s->more[m]));
			told++;
		}
	for (uint32_t i = 0; i < s->cnt && told < max; i++) {
		if (!s->open[i].changed)
			continue;
		visit(arg, idx, &s->open[i].gap);
		s->open[i].changed = false;
		s->open[i].told = true;
		told++;
	}
	if (told < max)
		s->changed = false;
	return told;
}

uint32_t
pst_gaps_tell(struct pst_gaps *gaps, uint32_t max,
	void (*visit)(void *arg, uint32_t session_idx, const struct pst_gap *gap), void *arg)
{
	uint32_t told = 0;

	if (!gaps->any_changed)
		return 0;
	for (; gaps->closed_cnt > 0 && told < max; told++) {
		const struct closed_gap *closed = &gaps->closed[gaps->closed_first];
		visit(arg, closed->session_idx, &closed->gap);
		gaps->closed_first = (gaps->closed_first + 1) % PST_GAPS_CLOSED_MAX;
		gaps->closed_cnt--;
	}
	for (uint32_t i = 0; i < gaps->session_cnt && told < max; i++)
		if (gaps->sessions[i].changed)
			told += tell_session(gaps, i, max - told, visit, arg);
	if (told < max)
		gaps->any_changed = false;
	return told;
}
