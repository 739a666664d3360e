#include <errno.h>

#include "base/clock.h"
#include "base/observes.h"
#include "base/stages.h"
#include "pipeline/writer.h"

#define WRITER_SLEEP_NS_MAX 200000 /* a completion is noticed at latest after this */

/* written_ns: wall clock, now_ns too. If the clock was set in between, written still lies between
 * sealed and durable. */
static void
measure(struct pst_writer *w, const struct pst_batch_buf *buf, uint64_t written_ns, uint64_t now_ns)
{
	uint64_t ago = now_ns > written_ns ? pst_clock_ticks(now_ns - written_ns) : 0;
	/* Another core's counter may be a little ahead of ours. */
	uint64_t durable_tsc = pst_max_u64(w->now_tsc, buf->sealed_tsc);
	uint64_t written_tsc = ago < durable_tsc - buf->sealed_tsc ? durable_tsc - ago
								   : buf->sealed_tsc;

	for (uint32_t i = 0; i < buf->arrival_cnt; i++) {
		const struct pst_arrival *a = &buf->arrivals[i];
		uint32_t record_end = i + 1 < buf->arrival_cnt ? a[1].record_first
							       : buf->record_cnt;
		const uint64_t tsc[PST_LATENCY_STAGE_CNT] = {
			[PST_LATENCY_SEALED] = buf->sealed_tsc,
			[PST_LATENCY_WRITTEN] = written_tsc,
			[PST_LATENCY_DURABLE] = durable_tsc,
		};
		for (unsigned s = 0; s < PST_LATENCY_STAGE_CNT; s++)
			pst_latency_add(&w->latency[s], pst_clock_duration_ns(tsc[s] - a->tsc),
				record_end - a->record_first);
	}
}

/* The first durable batch of new rules says where they begin to hold. */
static void
mark_rules(struct pst_writer *w, const struct pst_batch_buf *buf, int64_t base_offset)
{
	struct pst_rules_mark *mark = &w->rules_marks[buf->stream_idx][buf->queue_idx];

	if (pst_likely(buf->rules_generation <=
		       atomic_load_explicit(&mark->generation, memory_order_relaxed)))
		return;
	/* Pair with the acquires of the recorder. */
	atomic_store_explicit(&mark->offset, base_offset, memory_order_release);
	atomic_store_explicit(&mark->generation, buf->rules_generation, memory_order_release);
}

static enum pst_shed_reason
shed_reason(enum pst_append_status status)
{
	switch (status) {
	case PST_APPEND_SYNC_FAILED:
		return PST_SHED_SYNC_FAILED;
	case PST_APPEND_DISK_FULL:
		return PST_SHED_DISK_FULL;
	case PST_APPEND_DURABLE:
	case PST_APPEND_WRITE_FAILED:
		break;
	}
	return PST_SHED_WRITE_FAILED;
}

/* Books a batch by how it ended, and lets it go home. */
static void
settle(struct pst_writer *w, const struct pst_append_done *done, uint64_t now_ns)
{
	struct pst_batch_buf *buf = done->cookie;
	enum pst_append_status status = done->status;
	struct pst_stream_cell *stream = &w->book.streams[buf->stream_idx];
	enum pst_shed_reason reason = shed_reason(status);

	for (uint32_t i = 0; i < buf->account_cnt; i++) {
		const struct pst_account *account = &buf->accounts[i];
		struct pst_cell *cell = &w->book.cells[account->cell_idx];

		if (account->kind == PST_ACCOUNT_INTERNAL)
			continue;
		if (status != PST_APPEND_DURABLE)
			cell->shed[reason] += account->record_cnt;
		else if (account->kind == PST_ACCOUNT_QUARANTINED)
			cell->quarantined += account->record_cnt;
		else
			cell->stored += account->record_cnt;
	}
	if (status == PST_APPEND_DURABLE) {
		stream->stored += buf->record_cnt;
		if (PST_OBSERVES) {
			measure(w, buf, done->written_ns, now_ns);
			mark_rules(w, buf, done->base_offset);
		}
	} else {
		stream->shed[reason] += buf->record_cnt;
	}
	buf->status = status;
	/* Pairs with the acquire in pst_rx_count_away. */
	atomic_store_explicit(&buf->state, PST_BATCH_SETTLED, memory_order_release);
	/* The ring holds all batches of its owner: it cannot be full. */
	PST_ASSERT(rte_ring_sp_enqueue(w->home[buf->rx_idx], buf) == 0);
}

/* Appends the batches of one rx lcore until its ring is empty or an appender's buffers are full. */
static bool
take_batches(struct pst_writer *w, uint16_t rx_idx, uint64_t now_ns)
{
	bool any = false;

	for (unsigned i = 0; i < PST_WRITER_BURST; i++) {
		void *got = w->pending[rx_idx];
		if (!got && rte_ring_sc_dequeue(w->full[rx_idx], &got) != 0)
			break;
		struct pst_batch_buf *buf = got;
		enum pst_stage before = pst_stage_enter(PST_STAGE_WRITE);
		int rc = pst_append(w->appenders[buf->place.drive_idx], buf->place.log_idx,
			buf->wire, buf->wire_bytes, buf, now_ns);
		pst_stage_enter(before);
		if (rc == -EAGAIN) {
			w->pending[rx_idx] = buf;
			break;
		}
		PST_ASSERT(rc == 0);
		w->pending[rx_idx] = NULL;
		any = true;
	}
	return any;
}

/* Moves one drive's log on, and books what is done. */
static bool
poll_drive(struct pst_writer *w, struct pst_appender *appender, uint64_t now_ns)
{
	struct pst_append_done done[PST_WRITER_BURST];
	bool worked = false;
	unsigned cnt;

	do {
		enum pst_stage before = pst_stage_enter(PST_STAGE_WRITE);
		cnt = pst_appender_poll(appender, now_ns, done, PST_WRITER_BURST);
		pst_stage_enter(cnt > 0 ? PST_STAGE_HANDOFF : before);
		for (unsigned i = 0; i < cnt; i++)
			settle(w, &done[i], now_ns);
		pst_stage_enter(before);
		worked |= cnt > 0;
	} while (cnt == PST_WRITER_BURST);
	return worked;
}

bool
pst_writer_turn(struct pst_writer *w)
{
	bool worked = false;

	w->now_tsc = pst_clock_tsc();
	uint64_t now_ns = pst_clock_ns(w->now_tsc);
	for (uint16_t r = 0; r < w->rx_cnt; r++)
		worked |= take_batches(w, r, now_ns);
	/* Copying took its time: what is now found complete is not older than this. */
	uint64_t start_tsc = w->now_tsc;
	w->now_tsc = pst_clock_tsc();
	now_ns = pst_clock_ns(w->now_tsc);
	for (uint16_t d = 0; d < w->drive_cnt; d++)
		if (w->appenders[d])
			worked |= poll_drive(w, w->appenders[d], now_ns);
	pst_mailbox_serve(&w->mailbox, w);
	/* Read by pst_watch_look; it orders nothing. */
	atomic_store_explicit(&w->turn_cnt,
		atomic_load_explicit(&w->turn_cnt, memory_order_relaxed) + 1, memory_order_relaxed);
	if (PST_OBSERVES && worked)
		w->busy_tsc += pst_clock_tsc() - start_tsc;
	return worked;
}

static bool
rings_empty(const struct pst_writer *w)
{
	for (uint16_t r = 0; r < w->rx_cnt; r++)
		if (w->pending[r] || !rte_ring_empty(w->full[r]))
			return false;
	return true;
}

bool
pst_writer_idle(const struct pst_writer *w)
{
	for (uint16_t d = 0; d < w->drive_cnt; d++)
		if (w->appenders[d] && !pst_appender_idle(w->appenders[d]))
			return false;
	return true;
}

void
pst_writer_flush(struct pst_writer *w)
{
	for (uint16_t d = 0; d < w->drive_cnt; d++)
		if (w->appenders[d])
			pst_appender_flush(w->appenders[d]);
}

int
pst_writer_loop(void *arg)
{
	struct pst_writer *w = arg;

	pst_stages_begin(w->profile->rx_lcore_cnt + w->writer_idx);
	for (;;) {
		bool worked = pst_writer_turn(w);
		/* Pairs with the release in pst_pipeline_stop. */
		enum pst_phase phase = atomic_load_explicit(w->phase, memory_order_acquire);
		if (pst_unlikely(phase != PST_PHASE_RUN)) {
			bool done = true;
			if (phase == PST_PHASE_SYNC) {
				done = rings_empty(w) && pst_writer_idle(w);
				if (!done && rings_empty(w))
					pst_writer_flush(w);
			}
			if (done) {
				/* Pairs with the acquire in pst_pipeline_stop. */
				atomic_store_explicit(&w->reached, phase, memory_order_release);
				if (phase == PST_PHASE_END)
					break;
			}
		}
		if (worked) {
			pst_idle_busy(&w->idle);
			continue;
		}
		if (!pst_writer_idle(w)) {
			/* The kernel ends writes and begins syncs in threads of its own, on this
			 * CPU as a rule. Who never leaves it keeps them waiting, for seconds where
			 * others want it, too; sched_yield does not let them in. */
			if (w->idle.mode == PST_IDLE_SPIN)
				nanosleep(
					&(struct timespec){.tv_nsec = PST_IDLE_SLEEP_NS_MIN}, NULL);
			/* They end soon: do not oversleep them. */
			if (w->idle.sleep_ns > WRITER_SLEEP_NS_MAX)
				w->idle.sleep_ns = WRITER_SLEEP_NS_MAX;
		}
		pst_idle_empty(&w->idle);
	}
	return 0;
}
