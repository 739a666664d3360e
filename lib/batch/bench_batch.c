/* What a 126-byte event costs to pack, beside what cannot be avoided: one copy of it, and LZ4 over
 * the same record bytes. Prints nanoseconds per event, the best of several rounds. */
#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "batch/sample.h"
#include "batch/wire.h"

enum {
	EVENT_BYTES = 126,
	EVENT_CNT = 65536,
	ROUND_CNT = 9,
	RAW_BYTES_MAX = 900000, /* below the buffer's size, so that both codecs close alike */
};

static char *events; /* EVENT_CNT of EVENT_BYTES */
static uint8_t buf[PST_BATCH_WIRE_BYTES_MAX];
static uint8_t block[PST_BATCH_BLOCK_BYTES];

static uint64_t
now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Lines as an access gateway might log them: words that come again, numbers that do not. */
static void
make_events(void)
{
	static const char *const what[] = {"accepted", "refused by policy", "timed out", "closed"};
	static struct sample s = {.state = 20261121};
	events = malloc((size_t)EVENT_CNT * EVENT_BYTES + 1);
	if (!events)
		abort();
	for (int i = 0; i < EVENT_CNT; i++) {
		char line[256];
		uint64_t r = sample_next(&s);
		int n = snprintf(line, sizeof(line),
			"<%u>Nov 21 10:%02d:%02d gate-%02u access[%u]: connection %lu from "
			"10.%u.%u.%u:%u %s after %u ms, %u bytes, zone=inner route=primary "
			"verdict=final",
			30 + (unsigned)(r & 7), i / 1200 % 60, i / 20 % 60, (unsigned)(r >> 3 & 15),
			1000 + (unsigned)(r >> 7 & 63), 7000000ul + (unsigned long)i,
			(unsigned)(r >> 13 & 3), (unsigned)(r >> 15 & 31),
			(unsigned)(r >> 20 & 255), 1024 + (unsigned)(r >> 28 & 0x7fff),
			what[r >> 43 & 3], (unsigned)(r >> 45 & 1023), (unsigned)(r >> 50));
		if (n < EVENT_BYTES)
			abort();
		memcpy(events + (size_t)i * EVENT_BYTES, line, EVENT_BYTES);
	}
}

static struct pst_record
event_record(int i, bool all_headers)
{
	static const uint32_t rules[] = {1001, 1017};
	return (struct pst_record){
		.key = "10.1.22.147",
		.key_len = 11,
		.value = events + (size_t)i * EVENT_BYTES,
		.value_len = EVENT_BYTES,
		.ts_ns = UINT64_C(1764000000000000000) + (uint64_t)(i / 32) * 20000,
		.has_seq = true,
		.has_ts_ns = all_headers,
		.rule_cnt = all_headers ? 2 : 0,
		.seq = (uint64_t)i,
		.rule_ids = rules,
	};
}

/* The one copy: events into a block, one behind the other. */
static void
copy_alone(void)
{
	uint32_t at = 0;
	for (int i = 0; i < EVENT_CNT; i++) {
		if (at + EVENT_BYTES > sizeof(block))
			at = 0;
		memcpy(block + at, events + (size_t)i * EVENT_BYTES, EVENT_BYTES);
		at += EVENT_BYTES;
		__asm__ volatile("" : : "r"(block) : "memory");
	}
}

static void
pack(struct pst_batch_encoder *enc, bool all_headers, bool seal)
{
	pst_batch_begin(enc, buf);
	for (int i = 0; i < EVENT_CNT; i++) {
		struct pst_record r = event_record(i, all_headers);
		if (pst_batch_append(enc, &r))
			continue;
		if (seal)
			pst_batch_seal(enc);
		pst_batch_begin(enc, buf);
		pst_batch_append(enc, &r);
	}
	if (seal)
		pst_batch_seal(enc);
}

/* The records' bytes of all events, to be compressed by LZ4 alone. */
static uint8_t *
plain_records(bool all_headers, size_t *len)
{
	struct pst_batch_encoder *enc;
	struct pst_batch_limits limits = {RAW_BYTES_MAX, PST_BATCH_RECORD_CNT_MAX, 0};
	uint8_t *raw = malloc((size_t)EVENT_CNT * 300);
	if (!raw || pst_batch_encoder_create(&limits, &enc) != 0)
		abort();
	*len = 0;
	pst_batch_begin(enc, buf);
	for (int i = 0; i < EVENT_CNT; i++) {
		struct pst_record r = event_record(i, all_headers);
		bool full = !pst_batch_append(enc, &r);
		if (full || i == EVENT_CNT - 1) {
			memcpy(raw + *len, buf + WIRE_RECORDS, pst_batch_raw_bytes(enc));
			*len += pst_batch_raw_bytes(enc);
			pst_batch_begin(enc, buf);
		}
		if (full)
			pst_batch_append(enc, &r);
	}
	pst_batch_encoder_destroy(enc);
	return raw;
}

static void
compress_alone(const uint8_t *raw, size_t len)
{
	static union {
		LZ4_stream_t stream;
		char bytes[sizeof(LZ4_stream_t)];
	} state;
	static char out[LZ4_COMPRESSBOUND(PST_BATCH_BLOCK_BYTES)];
	for (size_t at = 0; at < len; at += PST_BATCH_BLOCK_BYTES) {
		size_t n = len - at < PST_BATCH_BLOCK_BYTES ? len - at : PST_BATCH_BLOCK_BYTES;
		if (LZ4_compress_fast_extState(
			    &state, (const char *)raw + at, out, (int)n, sizeof(out), 1) <= 0)
			abort();
	}
}

struct times {
	double copy, lz4, append, packed;
};

static double
per_event(uint64_t since, double best)
{
	double ns = (double)(now_ns() - since) / EVENT_CNT;
	return best == 0 || ns < best ? ns : best;
}

static void
bench(const char *name, bool all_headers)
{
	struct pst_batch_limits none = {RAW_BYTES_MAX, PST_BATCH_RECORD_CNT_MAX, 0};
	struct pst_batch_limits fast = {RAW_BYTES_MAX, PST_BATCH_RECORD_CNT_MAX, 1};
	struct pst_batch_encoder *plain, *lz4;
	if (pst_batch_encoder_create(&none, &plain) != 0 ||
		pst_batch_encoder_create(&fast, &lz4) != 0)
		abort();
	size_t raw_bytes;
	uint8_t *raw = plain_records(all_headers, &raw_bytes);
	struct times t = {0};
	for (int round = 0; round < ROUND_CNT; round++) {
		uint64_t since = now_ns();
		copy_alone();
		t.copy = per_event(since, t.copy);
		since = now_ns();
		compress_alone(raw, raw_bytes);
		t.lz4 = per_event(since, t.lz4);
		since = now_ns();
		pack(plain, all_headers, false);
		t.append = per_event(since, t.append);
		since = now_ns();
		pack(lz4, all_headers, true);
		t.packed = per_event(since, t.packed);
	}
	printf("%s: %.1f record bytes an event\n", name, (double)raw_bytes / EVENT_CNT);
	printf("  floor   copy %6.1f   LZ4 %6.1f   sum %6.1f ns\n", t.copy, t.lz4, t.copy + t.lz4);
	printf("  batch   append %4.1f   append, LZ4, seal  %6.1f ns   %.3f of the floor\n",
		t.append, t.packed, t.packed / (t.copy + t.lz4));
	free(raw);
	pst_batch_encoder_destroy(plain);
	pst_batch_encoder_destroy(lz4);
}

int
main(void)
{
	make_events();
	bench("seq header", false);
	bench("seq, ts_ns and rules headers", true);
	free(events);
	return 0;
}
