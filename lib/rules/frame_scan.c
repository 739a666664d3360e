/* The events of a datagram in one scan: which of them need one of their own?
 *
 *   payload   ..[ event 0 ]..[ event 1 ]..[ event 2 ]..[ event 3 ]     .. LF, or a message's length
 *                    ^  ^           ^    ^                             ends of superset matches
 *   result         scan         unmatched    unmatched     unmatched?  no: event 1's match ends in
 * it
 *
 * Every match of a pattern in an event alone is a match of the pattern's superset that ends in the
 * event, behind its first byte at the earliest, for no superset matches the empty string. */
#include "rules/scratch.h"

#include "base/base.h"
#include "base/clock.h"

/* A scan of the frame saves the beginning of a scan for each event, and costs, where an event is
 * hit, all that it and the reports took: some three times its length in nanoseconds, against some
 * 45 an event. Measured by bench_rules. */
#define PAID_PER_EVENT 12 /* bytes of events hit that an event scanned pays for */
#define DEBT_MAX       16384
#define REST_FRAMES    4096 /* when the debt is beyond that */

#define TRIAL_FRAMES  256 /* from one trial of what it costs to the next */
#define TRIALS_SLOWER 4   /* so many in a row, and it rests, too */

/* A pattern such as a.* may report every byte behind an a. */
#define REPORTS_PER_EVENT 8

struct frame {
	const struct pst_rules_hot *hot;
	uint64_t listener_bit;
	const struct pst_event *events;
	uint32_t cnt;
	uint32_t at; /* event that the last report was in, or near */
	uint32_t reports_left;
	uint64_t hits;
};

static int
on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *ctx)
{
	struct frame *f = ctx;
	const uint8_t *end = f->events[0].data + to;

	if (f->reports_left-- == 0)
		return 1;
	if (!(f->hot[id].listener_mask & f->listener_bit))
		return 0;
	/* Ends of one pattern ascend; those of several need not. */
	while (f->at > 0 && end <= f->events[f->at].data)
		f->at--;
	while (f->at + 1 < f->cnt && end > f->events[f->at].data + f->events[f->at].len)
		f->at++;
	const struct pst_event *e = &f->events[f->at];
	if (end > e->data && end <= e->data + e->len)
		f->hits |= 1ull << f->at;
	return 0;
}

static uint64_t
all_of(uint32_t cnt)
{
	return cnt == 64 ? UINT64_MAX : (1ull << cnt) - 1;
}

/* Books what the scan has saved and what it has cost. */
static void
settle(struct pst_frame_scan_state *state, const struct frame *f)
{
	uint32_t debt = state->debt_bytes, paid = f->cnt * PAID_PER_EVENT;

	for (uint64_t hits = f->hits; hits; hits &= hits - 1)
		debt += f->events[__builtin_ctzll(hits)].len;
	debt = debt > paid ? debt - paid : 0;
	if (debt > DEBT_MAX) {
		state->rest_cnt = REST_FRAMES;
		debt = 0;
	}
	state->debt_bytes = debt;
}

static int
ignore(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *ctx)
{
	return 0;
}

static hs_error_t
scan(const struct pst_rules_scratch *s, const struct frame *f, match_event_handler on_event,
	void *ctx)
{
	const struct pst_event *first = &f->events[0], *last = &f->events[f->cnt - 1];

	return hs_scan(s->rules->superset_db, (const char *)first->data,
		(unsigned)(last->data + last->len - first->data), 0, s->hs, on_event, ctx);
}

/* Both ways for nothing but the time they take, on bytes that the caches hold by now. */
static bool
is_slower(const struct pst_rules_scratch *s, const struct frame *f)
{
	uint64_t start = pst_clock_tsc();

	for (uint32_t i = 0; i < f->cnt; i++)
		hs_scan(s->rules->db, (const char *)f->events[i].data, f->events[i].len, 0, s->hs,
			ignore, NULL);
	uint64_t middle = pst_clock_tsc();
	scan(s, f, ignore, NULL);
	return pst_clock_tsc() - middle > middle - start;
}

/* Supersets of rules that an event's first bytes rule out may cost more than all that they save,
 * and no hit shows it. A single trial says nothing: the kernel may have taken the core away. */
static void
try_both(const struct pst_rules_scratch *s, const struct frame *f,
	struct pst_frame_scan_state *state)
{
	if (state->scan_cnt++ % TRIAL_FRAMES != 0 && state->slower_cnt == 0)
		return;
	state->slower_cnt = is_slower(s, f) ? state->slower_cnt + 1 : 0;
	if (state->slower_cnt == TRIALS_SLOWER) {
		state->rest_cnt = REST_FRAMES;
		state->slower_cnt = state->scan_cnt = 0;
	}
}

uint64_t
pst_rules_frame_scan(struct pst_rules_scratch *s, uint16_t listener_idx,
	const struct pst_event *events, uint32_t cnt)
{
	struct pst_frame_scan_state *state =
		&s->frame_scan[listener_idx & (PST_RULES_LISTENERS_MAX - 1)];
	struct frame f = {.hot = s->rules->hot,
		.listener_bit = pst_rules_listener_bit(listener_idx),
		.events = events,
		.cnt = cnt,
		.reports_left = cnt * REPORTS_PER_EVENT};

	PST_ASSERT(cnt <= PST_RULES_FRAME_EVENTS_MAX);
	if (!s->rules->db)
		return 0;
	if (!s->rules->superset_db || cnt < 2)
		return all_of(cnt);
	if (state->rest_cnt > 0) {
		state->rest_cnt--;
		return all_of(cnt);
	}
	if (pst_unlikely(scan(s, &f, on_match, &f) != HS_SUCCESS))
		f.hits = all_of(cnt);
	settle(state, &f);
	try_both(s, &f, state);
	return f.hits;
}
