#include "pipeline/outbox.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "pipeline/pipeline.h"

#define RAW_BYTES_MAX (4u << 20)
#define RETRY_NS      UINT64_C(1000000000)

int
outbox_init(struct outbox *box, struct pst_pipeline *p, const struct pst_recorder_config *config)
{
	const struct pst_batch_limits limits = {
		.raw_bytes_max = RAW_BYTES_MAX,
		.record_cnt_max = p->profile->batch_records_max,
		.lz4_acceleration = p->profile->lz4_acceleration,
	};

	PST_ASSERT(config->batch_cnt >= 1 && config->batch_cnt <= OUTBOX_BATCHES_MAX);
	pthread_mutex_init(&box->mutex, NULL);
	box->profile = p->profile;
	box->place = &p->place[p->profile->ledger_stream_idx][0];
	box->place_mutex = &p->mutex;
	memcpy(box->full, config->full, sizeof(box->full));
	memcpy(box->home, config->home, sizeof(box->home));
	box->batches = config->batches;
	box->batch_cnt = config->batch_cnt;
	box->newest_ns = config->newest_ns;
	for (uint32_t i = 0; i < box->batch_cnt; i++)
		box->at_home[box->home_cnt++] = &box->batches[i];
	return pst_batch_encoder_create(&limits, &box->encoder) == 0 ? 0 : -ENOMEM;
}

void
outbox_fini(struct outbox *box)
{
	for (uint32_t i = 0; i < box->text_cnt; i++)
		free(box->texts[i].text);
	free(box->texts);
	if (box->encoder)
		pst_batch_encoder_destroy(box->encoder);
	pthread_mutex_destroy(&box->mutex);
}

void
outbox_add(void *arg, const char *text, size_t len)
{
	struct outbox *box = arg;
	struct outbox_text *texts = box->texts;
	char *kept = NULL;

	if (box->text_cnt == box->text_cap) {
		uint32_t cap = box->text_cap ? 2 * box->text_cap : 64;
		texts = realloc(box->texts, cap * sizeof(*texts));
		if (texts) {
			box->texts = texts;
			box->text_cap = cap;
		}
	}
	PST_ASSERT(len <= PST_BATCH_VALUE_MAX);
	if (texts && (kept = malloc(len))) {
		memcpy(kept, text, len);
		texts[box->text_cnt++] = (struct outbox_text){kept, (uint32_t)len};
		return;
	}
	pthread_mutex_lock(&box->mutex);
	box->failed_cnt++;
	pthread_mutex_unlock(&box->mutex);
}

bool
outbox_is_empty(const struct outbox *box)
{
	return box->text_cnt == 0;
}

static void
drop_first(struct outbox *box, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++)
		free(box->texts[i].text);
	box->text_cnt -= cnt;
	box->sent_cnt -= cnt;
	memmove(box->texts, box->texts + cnt, box->text_cnt * sizeof(*box->texts));
}

/* ---- send ---- */

/* Fills a batch with what was not sent; the encoder refuses no record in an empty one. */
static uint32_t
fill(struct outbox *box, struct pst_batch_buf *buf, uint64_t now_ns)
{
	uint32_t cnt = 0;

	box->newest_ns = pst_max_u64(box->newest_ns, now_ns);
	pst_batch_begin(box->encoder, buf->wire);
	while (box->sent_cnt + cnt < box->text_cnt) {
		const struct outbox_text *text = &box->texts[box->sent_cnt + cnt];
		struct pst_record record = {
			.key = box->key,
			.key_len = PST_RUN_ID_LEN,
			.value = text->text,
			.value_len = text->len,
			.ts_ns = box->newest_ns,
			.has_ts_ns = true,
		};
		if (!pst_batch_append(box->encoder, &record))
			break;
		cnt++;
	}
	return cnt;
}

void
outbox_send(struct outbox *box, uint64_t now_tsc)
{
	if (box->group_failed || now_tsc < box->retry_tsc || box->sent_cnt == box->text_cnt)
		return;
	pthread_mutex_lock(box->place_mutex);
	struct pst_log_place place = *box->place;
	pthread_mutex_unlock(box->place_mutex);
	pthread_mutex_lock(&box->mutex);
	while (box->home_cnt > 0 && box->sent_cnt < box->text_cnt) {
		struct pst_batch_buf *buf = box->at_home[--box->home_cnt];
		buf->stream_idx = box->profile->ledger_stream_idx;
		buf->place = place;
		buf->account_cnt = 0;
		buf->arrival_cnt = 0; /* no event's: not among the latencies */
		buf->record_cnt = fill(box, buf, pst_clock_ns(now_tsc));
		buf->wire_bytes = pst_batch_seal(box->encoder);
		buf->sealed_tsc = now_tsc;
		box->sent_cnt += buf->record_cnt;
		box->cell.internal += buf->record_cnt;
		atomic_store_explicit(&buf->state, PST_BATCH_AWAY, memory_order_relaxed);
		/* The ring holds all of our batches: it cannot be full. */
		PST_ASSERT(rte_ring_sp_enqueue(box->full[place.writer_idx], buf) == 0);
	}
	pthread_mutex_unlock(&box->mutex);
}

/* ---- home ---- */

/* Batches of one partition come home in the order in which they went. */
static void
settled(struct outbox *box, const struct pst_batch_buf *buf)
{
	if (buf->status == PST_APPEND_DURABLE && !box->group_failed) {
		box->record_cnt += buf->record_cnt;
		drop_first(box, buf->record_cnt);
		return;
	}
	box->failed_cnt += buf->status != PST_APPEND_DURABLE;
	box->group_failed = true;
}

void
outbox_take_home(struct outbox *box, uint64_t now_tsc)
{
	void *got;

	pthread_mutex_lock(&box->mutex);
	for (uint16_t w = 0; w < box->profile->writer_cnt; w++) {
		while (rte_ring_sc_dequeue(box->home[w], &got) == 0) {
			struct pst_batch_buf *buf = got;
			settled(box, buf);
			atomic_store_explicit(&buf->state, PST_BATCH_HOME, memory_order_relaxed);
			box->at_home[box->home_cnt++] = buf;
		}
	}
	if (box->group_failed && box->home_cnt == box->batch_cnt) {
		box->group_failed = false;
		box->sent_cnt = 0;
		box->retry_tsc = now_tsc + pst_clock_ticks(RETRY_NS);
	}
	pthread_mutex_unlock(&box->mutex);
}

/* ---- for others ---- */

void
outbox_count(struct outbox *box, struct pst_stream_cell *sum)
{
	pthread_mutex_lock(&box->mutex);
	sum->internal += box->cell.internal;
	for (uint32_t i = 0; i < box->batch_cnt; i++)
		/* Pairs with the release in the writer's settling. */
		if (atomic_load_explicit(&box->batches[i].state, memory_order_acquire) ==
			PST_BATCH_AWAY)
			sum->in_flight += box->batches[i].record_cnt;
	pthread_mutex_unlock(&box->mutex);
}

void
outbox_view(struct outbox *box, uint64_t *record_cnt, uint64_t *failed_cnt)
{
	pthread_mutex_lock(&box->mutex);
	*record_cnt = box->record_cnt;
	*failed_cnt = box->failed_cnt;
	pthread_mutex_unlock(&box->mutex);
}
