/* From a frame to verdicts: parse, listener, owner of the session, admit, scan, pack. */
#include "base/observes.h"
#include "base/stages.h"
#include "pipeline/rx.h"

/* What the events of one datagram have in common. */
struct datagram {
	struct pst_rx_queue *queue;   /* where it was polled */
	struct pst_rx_queue *pack_to; /* whose partition its events go to */
	const struct pst_profile_listener *listener;
	struct pst_cell *cell;
	uint32_t cell_idx;
	uint16_t listener_idx;
	const struct pst_addr *src;
	struct pst_source_entry *source;
	const uint8_t *payload;
	uint32_t payload_len;
	struct pst_record record; /* key, time; the rest per event */
};

/* Gives the event to a stream. False: shed. */
static bool
event_store(struct pst_rx *rx, struct datagram *d, uint16_t stream_idx)
{
	const struct pst_profile_stream *stream = &rx->profile->streams[stream_idx];

	d->record.has_ts_ns = stream->header_ts_ns;
	if (!stream->header_rules)
		d->record.rule_cnt = 0;
	enum pst_stage before = pst_stage_enter(PST_STAGE_PACK);
	bool packed = pst_rx_pack(
		rx, d->pack_to, stream_idx, &d->record, d->cell_idx, PST_ACCOUNT_STORED);
	pst_stage_enter(before);
	if (pst_likely(packed))
		return true;
	d->cell->shed[PST_SHED_NO_BUFFER]++;
	return false;
}

static bool
event_quarantine(struct pst_rx *rx, struct datagram *d)
{
	struct pst_record record = d->record;

	if (!pst_rx_quarantine_allows(rx, d->queue)) {
		d->cell->shed[PST_SHED_QUARANTINE_LIMIT]++;
		return false;
	}
	record.has_ts_ns = true;
	record.reason = "rule";
	record.listener = d->listener->name;
	if (record.value_len > rx->profile->quarantine_bytes_max) {
		record.value_len = rx->profile->quarantine_bytes_max;
		d->cell->quarantine_cut++;
	}
	if (pst_rx_pack(rx, d->pack_to, rx->profile->quarantine_stream_idx, &record, d->cell_idx,
		    PST_ACCOUNT_QUARANTINED))
		return true;
	d->cell->shed[PST_SHED_NO_BUFFER]++;
	return false;
}

/* Does with one event what the rules say; unmatched: none of their patterns matches it. False: it
 * was shed, and its sequence number is to be reopened. */
static bool
event_run(struct pst_rx *rx, struct datagram *d, const struct pst_event *event, bool unmatched)
{
	struct pst_rules_verdict verdict;

	d->cell->found++;
	d->record.value = event->data;
	d->record.value_len = event->len;
	if (!rx->rules.scratch) {
		d->record.rule_cnt = 0;
		if (d->listener->default_drop) {
			d->cell->filtered++;
			return true;
		}
		return event_store(rx, d, d->listener->stream_idx);
	}
	if (unmatched)
		pst_rules_eval_unmatched(rx->rules.scratch, d->listener_idx, &verdict);
	else
		pst_rules_eval(
			rx->rules.scratch, d->listener_idx, event->data, event->len, &verdict);
	d->record.rule_cnt = verdict.match_cnt;
	d->record.rule_ids = verdict.match_ids;
	d->cell->scan_errors += verdict.scan_error;
	switch (verdict.action) {
	case PST_RULES_KEEP:
		return event_store(rx, d, d->listener->stream_idx);
	case PST_RULES_ROUTE:
		return event_store(rx, d, verdict.stream_idx);
	case PST_RULES_DROP:
		d->cell->filtered++;
		return true;
	case PST_RULES_SAMPLED_OUT:
		d->cell->sampled_out++;
		return true;
	case PST_RULES_QUARANTINE:
		return event_quarantine(rx, d);
	case PST_RULES_SAMPLE:
		break;
	}
	PST_ASSERT(!"rules verdict");
	return false;
}

/* Events of a datagram that are scanned together. */
struct gathered {
	struct pst_event events[PST_RULES_FRAME_EVENTS_MAX];
	uint64_t seqs[PST_RULES_FRAME_EVENTS_MAX]; /* MoldUDP64 */
	uint32_t cnt;
};

/* session: what gets back the numbers of those that are shed; NULL: nothing does. */
static void
events_run(struct pst_rx *rx, struct datagram *d, const struct gathered *g,
	struct pst_session *session)
{
	enum pst_stage before = pst_stage_enter(PST_STAGE_SCAN);
	uint64_t matches = 0;

	if (rx->rules.scratch)
		matches = pst_rules_frame_scan(
			rx->rules.scratch, d->listener_idx, g->events, g->cnt);
	for (uint32_t i = 0; i < g->cnt; i++) {
		d->record.seq = g->seqs[i];
		if (pst_unlikely(!event_run(rx, d, &g->events[i], !(matches >> i & 1))) && session)
			pst_session_reopen(session, g->seqs[i], rx->now_ns);
	}
	pst_stage_enter(before);
}

/* Which rx lcore keeps the state of a session. */
static uint16_t
session_owner(const struct pst_rx *rx, uint16_t listener_idx, const uint8_t *session)
{
	uint64_t head;
	uint16_t tail;

	if (rx->profile->rx_lcore_cnt == 1)
		return rx->rx_idx;
	memcpy(&head, session, sizeof(head));
	memcpy(&tail, session + sizeof(head), sizeof(tail));
	/* The high half of the product: every bit of the name counts. */
	unsigned __int128 product = (unsigned __int128)(head ^ ((uint64_t)tail << 24) ^
							((uint64_t)listener_idx << 48)) *
				    UINT64_C(0x9E3779B97F4A7C15);
	uint64_t hash = (uint64_t)product ^ (uint64_t)(product >> 64);
	return (uint16_t)((hash ^ hash >> 32) % rx->profile->rx_lcore_cnt);
}

/* A buffer in hand that holds so many bytes, or NULL. */
static struct pst_forward *
forward_take(struct pst_rx *rx, uint32_t bytes)
{
	if (bytes <= PST_RX_FORWARD_BYTES && rx->forward_small_cnt > 0)
		return rx->forward_small[--rx->forward_small_cnt];
	return rx->forward_large_cnt > 0 ? rx->forward_large[--rx->forward_large_cnt] : NULL;
}

/* Gives the datagram to the owner of its session. False: no buffer in hand. */
static bool
forward(struct pst_rx *rx, const struct datagram *d, uint16_t owner)
{
	struct pst_forward *fwd = forward_take(rx, d->payload_len);
	if (!fwd && pst_rx_take_home(rx))
		fwd = forward_take(rx, d->payload_len);
	if (!fwd)
		return false;
	memcpy(fwd->payload, d->payload, d->payload_len);
	fwd->payload_len = d->payload_len;
	fwd->queue_idx = d->queue->queue_idx;
	fwd->listener_idx = d->listener_idx;
	fwd->src = *d->src;
	fwd->arrival_ns = rx->now_ns;
	atomic_store_explicit(&fwd->away, true, memory_order_relaxed);
	/* The ring holds all of our forwards: it cannot be full. */
	PST_ASSERT(rte_ring_sp_enqueue(rx->handoff_out[owner], fwd) == 0);
	return true;
}

static void
mold_key(struct pst_record *record, const uint8_t *session)
{
	uint32_t len = PST_MOLD_SESSION_LEN;
	while (len > 0 && session[len - 1] == ' ')
		len--;
	record->key = session;
	record->key_len = len;
}

/* The next events that are to be stored, of those that are left in the datagram. */
static void
mold_gather(struct pst_rx *rx, struct datagram *d, struct pst_session *session,
	struct pst_event_iter *iter, uint64_t *next_seq, struct gathered *g)
{
	g->cnt = 0;
	while (g->cnt < PST_RULES_FRAME_EVENTS_MAX &&
		pst_event_iter_next(iter, &g->events[g->cnt])) {
		uint64_t seq = (*next_seq)++;
		enum pst_session_verdict admitted = session ? pst_session_admit(
								      session, seq, rx->now_ns)
							    : PST_SESSION_UNTRACKED;
		if (admitted == PST_SESSION_DUPLICATE) {
			d->cell->found++;
			d->cell->duplicate++;
			continue;
		}
		d->cell->late += admitted == PST_SESSION_LATE;
		d->cell->untracked += admitted == PST_SESSION_UNTRACKED;
		g->seqs[g->cnt++] = seq;
	}
}

/* Adds to its sender's counts what the frame meant to its session, if that is followed; missed,
 * duplicate: before it. */
static void
count_sequence(const struct datagram *d, const struct pst_session *session, uint64_t missed,
	uint64_t duplicate)
{
	const struct pst_source_count count = {
		.duplicate = d->cell->duplicate - duplicate,
		.gap_messages = session ? pst_session_gap_messages(session) - missed : 0,
	};
	if (PST_OBSERVES)
		pst_source_add(d->source, &count);
}

static enum pst_frame_verdict
run_mold(struct pst_rx *rx, struct datagram *d, const struct pst_mold *mold,
	enum pst_frame_verdict verdict)
{
	struct pst_session *session = pst_session_get(
		rx->sessions, d->listener_idx, mold->session, mold->sequence, rx->now_ns);
	struct pst_event_iter iter;
	struct gathered g;
	uint64_t seq = mold->sequence;
	uint64_t missed = session ? pst_session_gap_messages(session) : 0;
	uint64_t duplicate = d->cell->duplicate;

	if (session)
		session->bytes += d->payload_len;
	if (verdict != PST_FRAME_CARRIED) {
		if (session)
			pst_session_heartbeat(session, mold->sequence,
				verdict == PST_FRAME_END_OF_SESSION, rx->now_ns);
		count_sequence(d, session, missed, duplicate);
		return verdict;
	}
	/* One lcore's sessions share one partition: a session's order is a partition's order. */
	d->pack_to = &rx->queues[0];
	mold_key(&d->record, mold->session);
	d->record.has_seq = true;
	pst_event_iter_init(&iter, PST_FRAMING_MOLD64, d->payload, d->payload_len);
	do {
		enum pst_stage before = pst_stage_enter(PST_STAGE_ADMIT);
		mold_gather(rx, d, session, &iter, &seq, &g);
		pst_stage_enter(before);
		events_run(rx, d, &g, session);
	} while (g.cnt == PST_RULES_FRAME_EVENTS_MAX);
	count_sequence(d, session, missed, duplicate);
	return PST_FRAME_CARRIED;
}

static void
plain_gather(struct pst_event_iter *iter, struct gathered *g)
{
	for (g->cnt = 0; g->cnt < PST_RULES_FRAME_EVENTS_MAX; g->cnt++) {
		if (!pst_event_iter_next(iter, &g->events[g->cnt]))
			break;
		g->seqs[g->cnt] = 0;
	}
}

static enum pst_frame_verdict
run_plain(struct pst_rx *rx, struct datagram *d)
{
	struct pst_event_iter iter;
	struct gathered g;
	bool any = false;

	if (d->payload_len == 0)
		return PST_FRAME_EMPTY;
	d->record.key = pst_source_text(d->source);
	d->record.key_len = d->source->text_len;
	pst_event_iter_init(&iter, d->listener->framing, d->payload, d->payload_len);
	do {
		plain_gather(&iter, &g);
		any |= g.cnt > 0;
		events_run(rx, d, &g, NULL);
	} while (g.cnt == PST_RULES_FRAME_EVENTS_MAX);
	d->cell->empty_lines += iter.empty_line_cnt;
	return any ? PST_FRAME_CARRIED : PST_FRAME_EMPTY;
}

/* Takes the datagram to the lcore that owns its session: true, and that one books it; or *verdict
 * says why not. */
static bool
handed_over(struct pst_rx *rx, struct datagram *d, const struct pst_mold *mold,
	enum pst_frame_verdict *verdict)
{
	uint16_t owner = session_owner(rx, d->listener_idx, mold->session);

	if (owner == rx->rx_idx)
		return false;
	if (forward(rx, d, owner)) {
		d->cell->handed_over++;
		return true;
	}
	*verdict = PST_FRAME_HANDOFF_FULL;
	return false;
}

/* Adds a frame and the events found in it to its sender's counts, after its fate was booked. */
static void
count_source(const struct datagram *d, enum pst_frame_verdict verdict, uint64_t events)
{
	struct pst_source_count count = {.frames = 1, .events = events};

	if (!PST_OBSERVES)
		return;
	if (pst_likely(verdict == PST_FRAME_CARRIED)) {
		count.bytes = d->payload_len;
		pst_source_add(d->source, &count);
		return;
	}
	enum pst_frame_class class = pst_frame_verdict_class(verdict);
	count.rejected = class == PST_FRAME_CLASS_REJECTED;
	count.ignored = class == PST_FRAME_CLASS_IGNORED;
	pst_source_add(d->source, &count);
}

/* Books the fate of a datagram that a listener takes; whole is what the quarantine keeps. */
static void
datagram_run(struct pst_rx *rx, struct datagram *d, bool forwarded, const uint8_t *whole,
	uint32_t whole_len)
{
	bool is_mold = d->listener->framing == PST_FRAMING_MOLD64;
	enum pst_frame_verdict verdict = PST_FRAME_CARRIED;
	struct pst_mold mold;

	if (is_mold) {
		verdict = pst_mold_parse(d->payload, d->payload_len, &mold);
		if (pst_frame_verdict_class(verdict) != PST_FRAME_CLASS_REJECTED &&
			handed_over(rx, d, &mold, &verdict))
			return;
		PST_ASSERT(!forwarded || verdict != PST_FRAME_HANDOFF_FULL);
	}
	uint64_t found = d->cell->found;
	d->source = pst_source_get(rx->sources, d->listener_idx, d->src, rx->now_ns);
	if (!is_mold)
		verdict = run_plain(rx, d);
	else if (pst_frame_verdict_class(verdict) != PST_FRAME_CLASS_REJECTED)
		verdict = run_mold(rx, d, &mold, verdict);
	d->cell->verdict[verdict]++;
	if (verdict == PST_FRAME_CARRIED)
		d->cell->payload_bytes += d->payload_len;
	else if (pst_frame_verdict_class(verdict) == PST_FRAME_CLASS_REJECTED)
		pst_rx_quarantine_frame(rx, d->queue, verdict, d->source, whole, whole_len);
	count_source(d, verdict, d->cell->found - found);
}

static struct datagram
datagram_of(struct pst_rx *rx, struct pst_rx_queue *queue, uint16_t queue_idx,
	uint16_t listener_idx, const struct pst_addr *src, const uint8_t *payload,
	uint32_t payload_len)
{
	struct datagram d = {
		.queue = queue,
		.pack_to = queue,
		/* None for frames of no listener: nothing looks at it then. */
		.listener = listener_idx < rx->profile->listener_cnt
				    ? &rx->profile->listeners[listener_idx]
				    : NULL,
		.listener_idx = listener_idx,
		.src = src,
		.payload = payload,
		.payload_len = payload_len,
	};
	d.cell_idx = pst_book_cell_idx(&rx->book.shape, queue_idx, listener_idx);
	d.cell = &rx->book.cells[d.cell_idx];
	d.record.ts_ns = rx->now_ns;
	return d;
}

void
pst_rx_refuse(struct pst_rx *rx, struct pst_rx_queue *queue, uint16_t listener_idx,
	enum pst_frame_verdict verdict, const struct pst_addr *src, const uint8_t *data,
	uint32_t len)
{
	struct datagram d = datagram_of(rx, queue, queue->queue_idx, listener_idx, src, data, len);

	d.cell->polled++;
	d.cell->verdict[verdict]++;
	d.source = pst_source_get(rx->sources, listener_idx, src, rx->now_ns);
	if (pst_frame_verdict_class(verdict) == PST_FRAME_CLASS_REJECTED)
		pst_rx_quarantine_frame(rx, queue, verdict, d.source, data, len);
	count_source(&d, verdict, 0);
}

void
pst_rx_frame(struct pst_rx *rx, struct pst_rx_queue *queue, const uint8_t *data, uint32_t len,
	unsigned offload)
{
	struct pst_frame frame;
	enum pst_frame_verdict verdict = pst_frame_parse(
		data, len, queue->port.checksum, offload, &frame);

	if (pst_unlikely(verdict != PST_FRAME_CARRIED)) {
		pst_rx_refuse(rx, queue, rx->none_listener_idx, verdict, &frame.src, data, len);
		return;
	}
	int found = pst_listener_find(rx->listeners, &frame.dst, frame.dst_port);
	if (pst_unlikely(found < 0)) {
		pst_rx_refuse(rx, queue, rx->none_listener_idx, PST_FRAME_NO_LISTENER, &frame.src,
			data, len);
		return;
	}
	uint16_t listener_idx = (uint16_t)found;
	if (pst_unlikely(!pst_listener_allows(rx->listeners, found, &frame.src))) {
		pst_rx_refuse(rx, queue, listener_idx, PST_FRAME_SOURCE_NOT_ALLOWED, &frame.src,
			data, len);
		return;
	}
	struct datagram d = datagram_of(rx, queue, queue->queue_idx, listener_idx, &frame.src,
		frame.payload, frame.payload_len);
	d.cell->polled++;
	datagram_run(rx, &d, false, data, len);
}

void
pst_rx_kernel_datagram(
	struct pst_rx *rx, struct pst_rx_queue *queue, const struct pst_ksock_msg *msg)
{
	if (msg->truncated || !pst_listener_allows(rx->listeners, msg->listener_idx, &msg->src)) {
		pst_rx_refuse(rx, queue, msg->listener_idx,
			msg->truncated ? PST_FRAME_DATAGRAM_TRUNCATED
				       : PST_FRAME_SOURCE_NOT_ALLOWED,
			&msg->src, msg->payload, msg->payload_len);
		return;
	}
	struct datagram d = datagram_of(rx, queue, queue->queue_idx, msg->listener_idx, &msg->src,
		msg->payload, msg->payload_len);
	d.cell->polled++;
	datagram_run(rx, &d, false, msg->payload, msg->payload_len);
}

void
pst_rx_forwarded(struct pst_rx *rx, struct pst_forward *fwd)
{
	/* Our own clock may be behind the sender's burst, and a partition's time never goes back.
	 */
	if (fwd->arrival_ns > rx->now_ns)
		rx->now_ns = fwd->arrival_ns;
	struct datagram d = datagram_of(rx, &rx->queues[0], fwd->queue_idx, fwd->listener_idx,
		&fwd->src, fwd->payload, fwd->payload_len);
	datagram_run(rx, &d, true, fwd->payload, fwd->payload_len);
	/* Booked: pairs with the acquire in pst_rx_count_away. */
	atomic_store_explicit(&fwd->away, false, memory_order_release);
}
