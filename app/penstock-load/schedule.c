#include "schedule.h"

#include <stddef.h>
#include <string.h>

#include "payload.h"

void
load_schedule_init(struct load_schedule *schedule, const struct load_plan *plan,
	const struct load_source *source)
{
	memset(schedule, 0, sizeof(*schedule));
	schedule->plan = plan;
	schedule->source = source;
	schedule->next_seq = plan->first_seq;
}

static uint64_t
left_to_use(const struct load_schedule *s)
{
	return s->closed ? 0 : s->plan->event_cnt - s->used_cnt;
}

static void
queue(struct load_schedule *s, struct load_pending pending)
{
	PST_ASSERT(s->queue_cnt < LOAD_PENDING_MAX);
	s->queue[(s->queue_head + s->queue_cnt++) % LOAD_PENDING_MAX] = pending;
}

static bool
falls_on(uint64_t every, uint64_t number)
{
	return every != 0 && number % every == 0;
}

static void
release_held(struct load_schedule *s, bool late)
{
	if (!s->is_held)
		return;
	s->is_held = false;
	s->held.late = late;
	queue(s, s->held);
}

/* Queues what belongs to the end. */
static void
close_schedule(struct load_schedule *s, uint64_t t_ns)
{
	struct load_pending last = {.seq = s->next_seq, .t_ns = t_ns};

	s->closed = true;
	release_held(s, false); /* nothing follows it: it is in order after all */
	if (s->plan->heartbeat_last) {
		last.verdict = PST_FRAME_HEARTBEAT;
		queue(s, last);
	}
	if (s->plan->end_of_session) {
		last.verdict = PST_FRAME_END_OF_SESSION;
		queue(s, last);
	}
}

void
load_schedule_stop(struct load_schedule *schedule)
{
	if (!schedule->closed)
		close_schedule(schedule, 0);
}

static uint64_t
event_idx(const struct load_schedule *s, uint64_t seq)
{
	return seq - s->plan->first_seq;
}

/* Deals the next sequence numbers to a datagram and queues what comes of it. Returns 0 or -1. */
static int
deal(struct load_schedule *s, uint64_t t_ns, uint8_t *scratch)
{
	const struct load_plan *plan = s->plan;
	uint64_t want = pst_min_u64(plan->events_per_frame, left_to_use(s));
	struct load_pending made = {.verdict = PST_FRAME_CARRIED, .seq = s->next_seq, .t_ns = t_ns};
	uint32_t len;

	made.event_cnt = load_payload_events(scratch, plan, s->source, event_idx(s, made.seq),
		made.seq, t_ns, (uint32_t)want, &len);
	if (made.event_cnt == 0)
		return -1;
	uint64_t number = ++s->dealt_cnt;
	s->next_seq += made.event_cnt;
	s->used_cnt += made.event_cnt;

	if (falls_on(plan->gap_every, number)) {
		s->gap_cnt++;
		s->gap_event_cnt += made.event_cnt;
	} else if (falls_on(plan->reorder_every, number) && !s->is_held) {
		s->held = made;
		s->is_held = true;
	} else {
		queue(s, made);
		if (falls_on(plan->duplicate_every, number)) {
			made.copy = true;
			queue(s, made);
		}
		release_held(s, true);
	}
	if (falls_on(plan->malformed_every, number)) {
		struct load_pending bad = {
			.verdict = plan->defects[s->defect_idx++ % plan->defect_cnt],
			.seq = s->next_seq,
			.t_ns = t_ns};
		queue(s, bad);
	}
	if (falls_on(plan->heartbeat_every, number)) {
		struct load_pending beat = {
			.verdict = PST_FRAME_HEARTBEAT, .seq = s->next_seq, .t_ns = t_ns};
		queue(s, beat);
	}
	return 0;
}

int
load_schedule_next(struct load_schedule *s, uint64_t t_ns, struct load_frame *frame)
{
	while (s->queue_cnt == 0) {
		if (s->closed)
			return 0;
		if (left_to_use(s) == 0)
			close_schedule(s, t_ns);
		else if (deal(s, t_ns, frame->bytes) != 0)
			return -1;
	}
	struct load_pending next = s->queue[s->queue_head];
	s->queue_head = (s->queue_head + 1) % LOAD_PENDING_MAX;
	s->queue_cnt--;

	frame->verdict = next.verdict;
	frame->number = s->left_cnt++;
	frame->seq = next.seq;
	frame->t_ns = next.t_ns;
	frame->event_cnt = next.event_cnt;
	frame->copy = next.copy;
	frame->late = next.late;
	if (next.verdict == PST_FRAME_CARRIED)
		load_payload_events(frame->bytes, s->plan, s->source, event_idx(s, next.seq),
			next.seq, next.t_ns, next.event_cnt, &frame->len);
	else
		frame->len = load_payload_other(frame->bytes, s->plan, next.verdict, next.seq);
	return 1;
}
