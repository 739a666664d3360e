#include "segment/sim/history.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define PATTERN_BYTES 65536
#define TS_MS         INT64_C(1700000000000)

/* Bytes of value_len at most PATTERN_BYTES / 2. */
static const uint8_t *
pattern(uint32_t partition, uint32_t number, uint32_t idx)
{
	static uint8_t bytes[PATTERN_BYTES];
	if (!bytes[0]) {
		uint64_t z = 1;
		for (unsigned i = 0; i < PATTERN_BYTES; i++) {
			z = z * UINT64_C(6364136223846793005) + 1442695040888963407;
			/* Half of it packs well. */
			bytes[i] = i % 64 < 32 ? (uint8_t)(z >> 56 | 1) : 'a';
		}
	}
	return bytes + (partition * 7919u + number * 613u + idx * 131u) % (PATTERN_BYTES / 2);
}

static void
value_make(uint8_t *value, uint32_t partition, uint32_t number, uint32_t idx, uint32_t len)
{
	memcpy(value, pattern(partition, number, idx), len);
	pst_store_be32(value, partition);
	pst_store_be32(value + 4, number);
	pst_store_be32(value + 8, idx);
	pst_store_be32(value + 12, len);
}

static struct pst_batch_encoder *
encoder(bool packed)
{
	static struct pst_batch_encoder *encoders[2];
	struct pst_batch_limits limits = {.raw_bytes_max = 900000,
		.record_cnt_max = 100000,
		.lz4_acceleration = packed ? 1 : 0};
	if (!encoders[packed])
		PST_ASSERT(pst_batch_encoder_create(&limits, &encoders[packed]) == 0);
	return encoders[packed];
}

uint32_t
sim_history_add(
	struct sim_history *h, uint32_t record_cnt, uint32_t value_len, bool packed, uint32_t *len)
{
	static uint8_t value[PATTERN_BYTES];
	static uint8_t wire[PST_BATCH_WIRE_BYTES_MAX];
	PST_ASSERT(value_len >= SIM_RECORD_BYTES_MIN && value_len <= PATTERN_BYTES / 2);
	if (h->cnt == h->cap) {
		h->cap = h->cap ? 2 * h->cap : 64;
		h->batches = realloc(h->batches, h->cap * sizeof(*h->batches));
		PST_ASSERT(h->batches);
	}
	uint32_t number = h->cnt++;
	pst_batch_begin(encoder(packed), wire);
	for (uint32_t i = 0; i < record_cnt; i++) {
		value_make(value, h->partition, number, i, value_len);
		struct pst_record r = {.value = value,
			.value_len = value_len,
			.ts_ns = (uint64_t)(TS_MS + number) * 1000000};
		PST_ASSERT(pst_batch_append(encoder(packed), &r));
	}
	*len = pst_batch_seal(encoder(packed));
	struct sim_batch *batch = &h->batches[number];
	*batch = (struct sim_batch){.record_cnt = record_cnt, .value_len = value_len};
	batch->buf = malloc(*len);
	PST_ASSERT(batch->buf);
	memcpy(batch->buf, wire, *len);
	return number;
}

void
sim_history_fini(struct sim_history *h)
{
	for (uint32_t i = 0; i < h->cnt; i++)
		free(h->batches[i].buf);
	free(h->batches);
	memset(h, 0, sizeof(*h));
}

/* The record against the batch that it says it is of. */
static const char *
check_record(const struct sim_history *h, const struct pst_batch_record *r, bool durable_only,
	uint32_t *number, uint32_t *idx)
{
	static uint8_t value[PATTERN_BYTES];
	if (r->value_len < SIM_RECORD_BYTES_MIN || pst_load_be32(r->value) != h->partition)
		return "a record that nobody wrote";
	*number = pst_load_be32(r->value + 4);
	*idx = pst_load_be32(r->value + 8);
	if (*number >= h->cnt)
		return "a record that nobody wrote";
	const struct sim_batch *batch = &h->batches[*number];
	if (*idx >= batch->record_cnt || r->value_len != batch->value_len)
		return "a record of another length";
	if (r->timestamp_ms != TS_MS + *number)
		return "a record with another timestamp";
	value_make(value, h->partition, *number, *idx, batch->value_len);
	if (memcmp(value, r->value, r->value_len) != 0)
		return "a record with other bytes";
	if (r->offset != batch->offset + *idx)
		return "a record at another offset";
	if (batch->state == SIM_BATCH_GONE)
		return "a batch that was reported as not stored";
	if (batch->state == SIM_BATCH_LEFT)
		return NULL;
	if (batch->state != SIM_BATCH_DURABLE && r->offset < h->sure_end)
		return "another event at an offset that was acknowledged";
	if (batch->state != SIM_BATCH_DURABLE && durable_only)
		return "a reader sees what is not durable";
	return NULL;
}

/* Whether the log may go on at to behind from: nothing that was acknowledged lies between. */
static bool
may_leap(const struct sim_history *h, int64_t from, int64_t to)
{
	if (!h->may_leap || to <= from)
		return false;
	for (uint32_t i = 0; i < h->cnt; i++) {
		const struct sim_batch *batch = &h->batches[i];
		if (batch->state == SIM_BATCH_DURABLE && batch->offset >= from &&
			batch->offset < to)
			return false;
	}
	return true;
}

static const char *
read_all(struct sim_history *h, struct pst_reader *reader, bool durable_only,
	struct sim_found *found)
{
	struct pst_batch_record r;
	static struct pst_diag diag;
	enum pst_read_result result;
	uint32_t number = 0, idx = 0;
	bool whole = true;
	found->first = found->next = pst_reader_earliest(reader);
	while ((result = pst_reader_next(reader, &r, &diag)) == PST_READ_RECORD ||
		(result == PST_READ_DAMAGE && h->may_leap)) {
		if (result == PST_READ_DAMAGE) {
			/* What is missing behind it shows below. */
			pst_reader_skip_damage(reader);
			continue;
		}
		const char *wrong = check_record(h, &r, durable_only, &number, &idx);
		if (wrong)
			return wrong;
		if (r.offset != found->next && !may_leap(h, found->next, r.offset))
			return "offsets do not follow";
		if (whole != (idx == 0))
			return "a part of a batch";
		h->batches[number].found = true;
		found->next = r.offset + 1;
		/* What nobody acknowledged may lie in a segment that was left unsynced. */
		if (!h->may_leap || h->batches[number].state == SIM_BATCH_DURABLE)
			found->sum = (found->sum ^ (uint64_t)r.offset << 20 ^ number) *
				     UINT64_C(0x100000001b3);
		found->undurable_cnt += whole && h->batches[number].state != SIM_BATCH_DURABLE;
		whole = idx + 1 == h->batches[number].record_cnt;
	}
	if (result == PST_READ_DAMAGE)
		return diag.text;
	if (may_leap(h, found->next, pst_reader_latest(reader)))
		found->next = pst_reader_latest(reader);
	return whole ? NULL : "a part of a batch";
}

const char *
sim_history_check(struct sim_history *h, struct pst_disk *disk, const char *topic,
	bool durable_only, struct sim_found *found, int64_t *offset)
{
	static struct pst_diag diag;
	struct pst_reader *reader;
	*found = (struct sim_found){0};
	*offset = -1;
	for (uint32_t i = 0; i < h->cnt; i++)
		h->batches[i].found = false;
	if (pst_reader_open_on(disk, "data", topic, h->partition, &reader, &diag) < 0)
		return diag.text;
	const char *wrong = read_all(h, reader, durable_only, found);
	pst_reader_close(reader);
	*offset = found->next;
	if (!wrong && found->first > h->start && !may_leap(h, h->start, found->first)) {
		*offset = h->start;
		wrong = "events are missing at the beginning";
	}
	return wrong;
}

void
sim_history_settle(struct sim_history *h, const struct sim_found *found)
{
	for (uint32_t i = 0; i < h->cnt; i++) {
		struct sim_batch *batch = &h->batches[i];
		free(batch->buf);
		batch->buf = NULL;
		if (batch->state != SIM_BATCH_PENDING && batch->state != SIM_BATCH_DOUBT)
			continue;
		/* A segment that could not be opened was not synced either. */
		enum sim_batch_state kept = h->may_leap ? SIM_BATCH_LEFT : SIM_BATCH_DURABLE;
		batch->state = batch->found ? kept : SIM_BATCH_GONE;
	}
	h->sure_end = found->next;
}
