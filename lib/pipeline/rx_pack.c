/* The open batches: pack, seal, hand over, take home. */
#include <errno.h>

#include "base/clock.h"
#include "base/observes.h"
#include "base/stages.h"
#include "pipeline/rx.h"

/* The batch's next record, and those that come soon after it, arrived with this burst. */
static void
open_arrival(const struct pst_rx *rx, struct pst_rx_open *open)
{
	struct pst_batch_buf *buf = open->buf;

	buf->arrivals[buf->arrival_cnt++] = (struct pst_arrival){
		.tsc = rx->now_tsc, .record_first = buf->record_cnt};
	bool last = buf->arrival_cnt == PST_BATCH_ARRIVALS_MAX;
	uint64_t width_tsc = rx->batch_age_max_tsc / PST_BATCH_ARRIVALS_MAX;
	open->arrival_until_tsc = last ? UINT64_MAX : rx->now_tsc + width_tsc;
}

static bool
open_begin(struct pst_rx *rx, struct pst_rx_open *open, uint16_t stream_idx)
{
	if (pst_unlikely(rx->home_cnt == 0) && (!pst_rx_take_home(rx) || rx->home_cnt == 0))
		return false;
	struct pst_batch_buf *buf = rx->home_stack[--rx->home_cnt];
	buf->stream_idx = stream_idx;
	buf->place = open->place;
	buf->arrival_cnt = 0;
	buf->queue_idx = open->queue_idx;
	buf->rules_generation = rx->rules.generation;
	buf->account_cnt = 0;
	buf->record_cnt = 0;
	atomic_store_explicit(&buf->state, PST_BATCH_AWAY, memory_order_relaxed);
	pst_batch_begin(open->encoder, buf->wire);
	open->buf = buf;
	open->last_account = 0;
	open_arrival(rx, open);
	return true;
}

static void
open_seal(struct pst_rx *rx, struct pst_rx_open *open)
{
	struct pst_batch_buf *buf = open->buf;

	buf->wire_bytes = pst_batch_seal(open->encoder);
	buf->sealed_tsc = PST_OBSERVES ? pst_clock_tsc() : 0;
	open->buf = NULL;
	rx->at_writer_cnt++;
	rx->batch_sealed_cnt++;
	rx->batch_plain_bytes += pst_batch_plain_bytes(open->encoder);
	/* The ring holds all of our batches: it cannot be full. */
	enum pst_stage before = pst_stage_enter(PST_STAGE_HANDOFF);
	PST_ASSERT(rte_ring_sp_enqueue(rx->full[buf->place.writer_idx], buf) == 0);
	pst_stage_enter(before);
}

/* The batch's account for (cell, kind), or NULL: no room for one more. */
static struct pst_account *
open_account(struct pst_rx_open *open, uint32_t cell_idx, enum pst_account_kind kind)
{
	struct pst_batch_buf *buf = open->buf;
	struct pst_account *last = &buf->accounts[open->last_account];

	if (pst_likely(buf->account_cnt > 0 && last->cell_idx == cell_idx && last->kind == kind))
		return last;
	for (uint32_t i = 0; i < buf->account_cnt; i++) {
		if (buf->accounts[i].cell_idx == cell_idx && buf->accounts[i].kind == kind) {
			open->last_account = i;
			return &buf->accounts[i];
		}
	}
	if (buf->account_cnt == PST_BATCH_ACCOUNTS_MAX)
		return NULL;
	open->last_account = buf->account_cnt++;
	buf->accounts[open->last_account] = (struct pst_account){
		.cell_idx = cell_idx, .kind = kind};
	return &buf->accounts[open->last_account];
}

/* Appends to the open batch. NULL: it must be sealed first. */
static struct pst_account *
open_append(struct pst_rx_open *open, const struct pst_record *record, uint32_t cell_idx,
	enum pst_account_kind kind)
{
	struct pst_account *account = open_account(open, cell_idx, kind);
	if (!account || !pst_batch_append(open->encoder, record))
		return NULL;
	return account;
}

bool
pst_rx_pack(struct pst_rx *rx, struct pst_rx_queue *queue, uint16_t stream_idx,
	const struct pst_record *record, uint32_t cell_idx, enum pst_account_kind kind)
{
	struct pst_rx_open *open = &queue->open[stream_idx];
	struct pst_stream_cell *stream = &rx->book.streams[stream_idx];
	struct pst_account *account = NULL;

	if (kind == PST_ACCOUNT_INTERNAL)
		stream->internal++;
	else
		stream->routed_in++;
	if (pst_likely(open->buf != NULL)) {
		account = open_append(open, record, cell_idx, kind);
		if (pst_unlikely(!account)) {
			/* An account that was opened for this record alone stays empty: harmless.
			 */
			open_seal(rx, open);
		}
	}
	if (pst_unlikely(!account)) {
		if (!open_begin(rx, open, stream_idx)) {
			stream->shed[PST_SHED_NO_BUFFER]++;
			return false;
		}
		account = open_append(open, record, cell_idx, kind);
		PST_ASSERT(account); /* an empty batch takes any record */
	}
	account->record_cnt++;
	if (PST_OBSERVES && pst_unlikely(rx->now_tsc > open->arrival_until_tsc))
		open_arrival(rx, open);
	open->buf->record_cnt++;
	return true;
}

static bool
open_aged(const struct pst_rx *rx, const struct pst_batch_buf *buf)
{
	return rx->now_tsc - buf->arrivals[0].tsc >= rx->batch_age_max_tsc &&
	       rx->at_writer_cnt < rx->aged_at_writer_max;
}

void
pst_rx_seal_aged(struct pst_rx *rx, bool all)
{
	for (uint16_t q = 0; q < rx->queue_cnt; q++) {
		if (rx->queues[q].is_kernel_path)
			continue; /* shares the batches of another queue */
		for (uint16_t s = 0; s < rx->profile->queue_stream_cnt; s++) {
			struct pst_rx_open *open = &rx->queues[q].open[s];
			if (open->buf && (all || open_aged(rx, open->buf)))
				open_seal(rx, open);
		}
	}
}

/* The key of a mold64 record back to its session's ten bytes: trailing spaces were trimmed. */
static void
session_of_key(const struct pst_batch_record *record, uint8_t session[PST_MOLD_SESSION_LEN])
{
	memset(session, ' ', PST_MOLD_SESSION_LEN);
	memcpy(session, record->key, record->key_len);
}

/* A batch that came home unwritten: the sequence numbers in it are missing again. The batch says
 * itself which they are. Two mold64 listeners with the same session name that share a stream are
 * both reopened: a copy too many is stored rather than one too few. */
static void
reopen_failed(struct pst_rx *rx, const struct pst_batch_buf *buf)
{
	struct pst_batch_record record;
	enum pst_batch_verdict verdict;
	uint8_t id[PST_MOLD_SESSION_LEN];

	verdict = pst_batch_decoder_open(rx->decoder, buf->wire, buf->wire_bytes);
	PST_ASSERT(verdict == PST_BATCH_OK);
	while (pst_batch_decoder_next(rx->decoder, &record, &verdict) == 1) {
		if (!record.has_seq || record.key_len > PST_MOLD_SESSION_LEN)
			continue;
		session_of_key(&record, id);
		for (uint32_t i = 0; i < buf->account_cnt; i++) {
			if (buf->accounts[i].kind == PST_ACCOUNT_INTERNAL)
				continue; /* no listener's */
			uint16_t listener = (uint16_t)(buf->accounts[i].cell_idx %
						       rx->book.shape.listener_cnt);
			struct pst_session *session = pst_session_find(rx->sessions, listener, id);
			if (session)
				pst_session_reopen(session, record.seq, rx->now_ns);
		}
	}
}

bool
pst_rx_take_home(struct pst_rx *rx)
{
	void *got[32];
	bool any = false;
	unsigned cnt;

	for (uint16_t w = 0; w < rx->profile->writer_cnt; w++) {
		while ((cnt = rte_ring_sc_dequeue_burst(rx->homes[w], got, 32, NULL)) > 0) {
			any = true;
			for (unsigned i = 0; i < cnt; i++) {
				struct pst_batch_buf *buf = got[i];
				if (pst_unlikely(buf->status != PST_APPEND_DURABLE))
					reopen_failed(rx, buf);
				atomic_store_explicit(
					&buf->state, PST_BATCH_HOME, memory_order_relaxed);
				rx->home_stack[rx->home_cnt++] = buf;
				rx->at_writer_cnt--;
			}
		}
	}
	for (uint16_t o = 0; o < rx->profile->rx_lcore_cnt; o++) {
		while (rx->forward_home[o] &&
			(cnt = rte_ring_sc_dequeue_burst(rx->forward_home[o], got, 32, NULL)) > 0) {
			any = true;
			for (unsigned i = 0; i < cnt; i++)
				pst_rx_forward_home(rx, got[i]);
		}
	}
	return any;
}

void
pst_rx_forward_home(struct pst_rx *rx, struct pst_forward *fwd)
{
	if (fwd->payload_bytes_max == PST_RX_FORWARD_BYTES)
		rx->forward_small[rx->forward_small_cnt++] = fwd;
	else
		rx->forward_large[rx->forward_large_cnt++] = fwd;
}

void
pst_rx_count_away(const struct pst_rx *rx, struct pst_book *copy)
{
	for (uint32_t b = 0; b < rx->batch_cnt; b++) {
		const struct pst_batch_buf *buf = &rx->batches[b];
		/* Pairs with the release in the writer's settling. */
		if (atomic_load_explicit(&buf->state, memory_order_acquire) != PST_BATCH_AWAY)
			continue;
		copy->streams[buf->stream_idx].in_flight += buf->record_cnt;
		for (uint32_t i = 0; i < buf->account_cnt; i++)
			if (buf->accounts[i].kind != PST_ACCOUNT_INTERNAL)
				copy->cells[buf->accounts[i].cell_idx].in_flight +=
					buf->accounts[i].record_cnt;
	}
	if (!rx->forwards)
		return;
	for (uint32_t f = 0; f < PST_RX_FORWARDS; f++) {
		const struct pst_forward *fwd = &rx->forwards[f];
		/* Pairs with the release in pst_rx_forwarded. */
		if (atomic_load_explicit(&fwd->away, memory_order_acquire))
			copy->cells[pst_book_cell_idx(
					    &copy->shape, fwd->queue_idx, fwd->listener_idx)]
				.in_handoff++;
	}
}
