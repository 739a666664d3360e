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

/* A scan of the frame saves the beginning of a scan for each event, and costs, where an event is
 * hit, all that it and the reports took: some three times its length in nanoseconds, against some
 * 45 an event. Measured by bench_rules. */
#define PAID_PER_EVENT 12 /* bytes of events hit that an event scanned pays for */
#define DEBT_MAX       16384
#define REST_FRAMES    4096 /* when the debt is beyond that */

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
	const struct pst_event *last = &events[cnt - 1];
	hs_error_t rc = hs_scan(s->rules->superset_db, (const char *)events[0].data,
		(unsigned)(last->data + last->len - events[0].data), 0, s->hs, on_match, &f);
	if (pst_unlikely(rc != HS_SUCCESS))
		f.hits = all_of(cnt);
	settle(state, &f);
	return f.hits;
}
