/* What is refused is kept for a look: bounded in size by the profile, in rate by a token bucket. */
#include <rte_cycles.h>

#include "base/clock.h"
#include "pipeline/rx.h"

bool
pst_rx_quarantine_allows(struct pst_rx *rx, struct pst_rx_queue *queue)
{
	uint32_t rate = rx->profile->quarantine_rate;

	if (rate == 0)
		return false;
	if (queue->quarantine_tokens == 0) {
		/* Whole seconds' worth at once: exact over any longer time, and no division. */
		if (rx->now_tsc - queue->quarantine_refill_tsc < pst_clock_ticks(1000000000))
			return false;
		queue->quarantine_refill_tsc = rx->now_tsc;
		queue->quarantine_tokens = rate;
	}
	queue->quarantine_tokens--;
	return true;
}

void
pst_rx_quarantine_frame(struct pst_rx *rx, struct pst_rx_queue *queue,
	enum pst_frame_verdict reason, struct pst_source_entry *source, const uint8_t *data,
	uint32_t len)
{
	/* Rejected frames are booked already; a record that does not fit the rate is only not
	 * kept. */
	if (!pst_rx_quarantine_allows(rx, queue))
		return;
	struct pst_record record = {
		.value = data,
		.value_len = (uint32_t)pst_min_u64(len, rx->profile->quarantine_bytes_max),
		.ts_ns = rx->now_ns,
		.has_ts_ns = true,
		.reason = pst_frame_verdict_name(reason),
	};
	if (!pst_addr_is_zero(&source->addr)) {
		record.key = pst_source_text(source);
		record.key_len = source->text_len;
	}
	pst_rx_pack(
		rx, queue, rx->profile->quarantine_stream_idx, &record, 0, PST_ACCOUNT_INTERNAL);
}
