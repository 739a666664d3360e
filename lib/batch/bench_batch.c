/* What an event costs to pack, beside what cannot be avoided: one copy of it, and the LZ4 library
 * over the same bytes. CPU nanoseconds for each event, the best of several rounds, in turn; and
 * what compression gains.
 *
 *   bench_batch [FILE...]     events of three kinds, and the lines of these files */
#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "batch/sample.h"
#include "batch/wire.h"

enum {
	EVENT_CNT = 20000,
	EVENT_BYTES_MAX = 2000, /* longer lines are cut */
	LINE_BYTES = 126,
	LARGE_BYTES = 1400,
	BURST = 32, /* events that arrive together */
	ROUND_CNT = 15,
	RAW_BYTES_MAX = 900000, /* below the buffer's size, so that both codecs close alike */
};

struct event {
	const char *data;
	uint32_t len;
};

struct kind {
	const char *name;
	void (*make)(struct sample *s, int i, struct event *event);
	const char *key;
	bool has_seq;
	bool all_headers;
};

static struct event events[EVENT_CNT];
static char store[(size_t)EVENT_CNT * EVENT_BYTES_MAX];
static size_t stored_bytes;
static uint8_t buf[PST_BATCH_WIRE_BYTES_MAX];
static uint8_t block[PST_BATCH_BLOCK_BYTES];

static uint64_t
now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- events ---- */

static char *
take(struct event *event, uint32_t len)
{
	char *at = store + stored_bytes;
	*event = (struct event){at, len};
	stored_bytes += len;
	return at;
}

/* Lines as an access gateway might log them: words that come again, numbers that do not. */
static void
make_line(struct sample *s, int i, struct event *event)
{
	static const char *const what[] = {"accepted", "refused by policy", "timed out", "closed"};
	char line[256];
	uint64_t r = sample_next(s);
	int n = snprintf(line, sizeof(line),
		"<%u>Nov 21 10:%02d:%02d gate-%02u access[%u]: connection %lu from "
		"10.%u.%u.%u:%u %s after %u ms, %u bytes, zone=inner route=primary "
		"verdict=final",
		30 + (unsigned)(r & 7), i / 1200 % 60, i / 20 % 60, (unsigned)(r >> 3 & 15),
		1000 + (unsigned)(r >> 7 & 63), 7000000ul + (unsigned long)i,
		(unsigned)(r >> 13 & 3), (unsigned)(r >> 15 & 31), (unsigned)(r >> 20 & 255),
		1024 + (unsigned)(r >> 28 & 0x7fff), what[r >> 43 & 3], (unsigned)(r >> 45 & 1023),
		(unsigned)(r >> 50));
	if (n < LINE_BYTES)
		abort();
	memcpy(take(event, LINE_BYTES), line, LINE_BYTES);
}

static void
make_large(struct sample *s, int i, struct event *event)
{
	(void)i;
	sample_fill(s, take(event, LARGE_BYTES), LARGE_BYTES);
}

static void
make_random(struct sample *s, int i, struct event *event)
{
	(void)i;
	sample_fill(s, take(event, LINE_BYTES), LINE_BYTES);
}

/* An order book's messages, 40 to 64 bytes: type, instrument, nanoseconds, order, then an order's
 * side, shares, symbol and price; shares executed; or a number and bytes of no pattern. */
static void
make_message(struct sample *s, int i, struct event *event)
{
	static const char symbol[8][9] = {"AAPL    ", "MSFT    ", "NVDA    ", "INTC    ",
		"TSLA    ", "AMZN    ", "QQQ     ", "SPY     "};
	static const uint32_t len[4] = {40, 40, 44, 64};
	static uint64_t ns, order;
	uint64_t r = sample_next(s);
	unsigned type = r & 3, which = r >> 2 & 7;
	char *at = memset(take(event, len[type]), 0, len[type]);

	if (i == 0)
		order = 1000000, ns = UINT64_C(34200000000000);
	ns += r >> 5 & 0x3fff;
	order += type == 0 ? 1 + (r >> 20 & 3) : 0;
	at[0] = "AEDU"[type];
	pst_store_be16(at + 1, (uint16_t)(37 * which + 12));
	pst_store_be64(at + 3, ns); /* its two highest bytes are 0: the tracking number */
	pst_store_be64(at + 11, type == 0 ? order : order - (r >> 24 & 255));
	pst_store_be32(at + 20, 100 * (1 + (uint32_t)(r >> 32 & 7)));
	if (type == 0) {
		at[19] = r >> 35 & 1 ? 'B' : 'S';
		memcpy(at + 24, symbol[which], 8);
		pst_store_be32(at + 32, 1000000 * (1 + which) + 100 * (uint32_t)(r >> 36 & 31));
		memcpy(at + 36, "NSDQ", 4);
	} else if (type == 2) {
		pst_store_be64(at + 24, r >> 40);
	} else if (type == 3) {
		sample_fill(s, at + 35, len[type] - 35);
	}
}

static struct pst_record
event_record(const struct kind *kind, int i)
{
	static const uint32_t rules[] = {1001, 1017};
	return (struct pst_record){
		.key = kind->key,
		.key_len = (uint32_t)strlen(kind->key),
		.value = events[i].data,
		.value_len = events[i].len,
		.ts_ns = UINT64_C(1764000000000000000) + (uint64_t)(i / BURST) * 20000,
		.has_seq = kind->has_seq,
		.has_ts_ns = kind->all_headers,
		.rule_cnt = kind->all_headers ? 2 : 0,
		.seq = (uint64_t)i,
		.rule_ids = rules,
	};
}

/* ---- what is measured ---- */

/* The one copy: events into a block, one behind the other. */
static void
copy_alone(void)
{
	uint32_t at = 0;
	for (int i = 0; i < EVENT_CNT; i++) {
		if (at + events[i].len > sizeof(block))
			at = 0;
		memcpy(block + at, events[i].data, events[i].len);
		at += events[i].len;
		__asm__ volatile("" : : "r"(block) : "memory");
	}
}

/* All events into batches. Returns their bytes; what they hold uncompressed goes to raw, if there
 * is one and the codec is none. */
static size_t
pack(struct pst_batch_encoder *enc, const struct kind *kind, bool seal, uint8_t *raw)
{
	size_t wire_bytes = 0;
	for (int i = 0; i < EVENT_CNT;) {
		pst_batch_begin(enc, buf);
		while (i < EVENT_CNT) {
			struct pst_record r = event_record(kind, i);
			if (!pst_batch_append(enc, &r))
				break;
			i++;
		}
		uint32_t raw_bytes = pst_batch_raw_bytes(enc);
		if (raw) {
			memcpy(raw, buf + WIRE_RECORDS, raw_bytes);
			raw += raw_bytes;
		}
		wire_bytes += seal ? pst_batch_seal(enc) : raw_bytes;
	}
	return wire_bytes;
}

/* Returns the compressed bytes. */
static size_t
compress_alone(const uint8_t *raw, size_t len)
{
	static union {
		LZ4_stream_t stream;
		char bytes[sizeof(LZ4_stream_t)];
	} state;
	static char out[LZ4_COMPRESSBOUND(PST_BATCH_BLOCK_BYTES)];
	size_t sum = 0;
	for (size_t at = 0; at < len; at += PST_BATCH_BLOCK_BYTES) {
		size_t n = len - at < PST_BATCH_BLOCK_BYTES ? len - at : PST_BATCH_BLOCK_BYTES;
		int got = LZ4_compress_fast_extState(
			&state, (const char *)raw + at, out, (int)n, (int)n - 1, 1);
		sum += got > 0 ? (size_t)got : n;
	}
	return sum;
}

struct times {
	double copy, lz4_events, lz4_records, append, packed;
};

static void
keep_best(double *best, uint64_t since)
{
	double ns = (double)(now_ns() - since) / EVENT_CNT;
	if (*best == 0 || ns < *best)
		*best = ns;
}

static void
bench(const struct kind *kind)
{
	struct pst_batch_limits none = {RAW_BYTES_MAX, PST_BATCH_RECORD_CNT_MAX, 0};
	struct pst_batch_limits fast = {RAW_BYTES_MAX, PST_BATCH_RECORD_CNT_MAX, 1};
	struct pst_batch_encoder *plain, *lz4;
	uint8_t *raw = malloc(stored_bytes + (size_t)EVENT_CNT * 200);
	if (!raw || pst_batch_encoder_create(&none, &plain) != 0 ||
		pst_batch_encoder_create(&fast, &lz4) != 0)
		abort();
	size_t raw_bytes = pack(plain, kind, false, raw), alone_bytes = 0, packed_bytes = 0;
	struct times t = {0};
	for (int round = 0; round < ROUND_CNT; round++) {
		uint64_t since = now_ns();
		copy_alone();
		keep_best(&t.copy, since);
		since = now_ns();
		compress_alone((const uint8_t *)store, stored_bytes);
		keep_best(&t.lz4_events, since);
		since = now_ns();
		alone_bytes = compress_alone(raw, raw_bytes);
		keep_best(&t.lz4_records, since);
		since = now_ns();
		pack(plain, kind, false, NULL);
		keep_best(&t.append, since);
		since = now_ns();
		packed_bytes = pack(lz4, kind, true, NULL);
		keep_best(&t.packed, since);
	}
	printf("%-28s %6.1f %6.1f %7.1f %7.1f %6.2f %7.1f %7.1f %6.2f %6.3f\n", kind->name,
		(double)raw_bytes / EVENT_CNT, t.copy, t.lz4_events, t.lz4_records,
		(double)raw_bytes / (double)alone_bytes, t.append, t.packed,
		(double)raw_bytes / (double)packed_bytes, t.packed / (t.copy + t.lz4_records));
	free(raw);
	pst_batch_encoder_destroy(plain);
	pst_batch_encoder_destroy(lz4);
}

/* The files' lines, again from the first if there are too few. */
static void
bench_files(char **paths, int path_cnt)
{
	struct kind kind = {"lines of the files", NULL, "10.1.22.147", false, false};
	static char line[65536];
	int cnt = 0;

	stored_bytes = 0;
	while (cnt < EVENT_CNT) {
		int before = cnt;
		for (int p = 0; p < path_cnt; p++) {
			FILE *f = fopen(paths[p], "r");
			while (f && cnt < EVENT_CNT && fgets(line, sizeof(line), f)) {
				size_t len = strcspn(line, "\n");
				if (len > EVENT_BYTES_MAX)
					len = EVENT_BYTES_MAX;
				if (len > 0)
					memcpy(take(&events[cnt++], (uint32_t)len), line, len);
			}
			if (f)
				fclose(f);
		}
		if (cnt == before) {
			fprintf(stderr, "bench_batch: no lines\n");
			exit(1);
		}
	}
	bench(&kind);
}

int
main(int argc, char **argv)
{
	static const struct kind kinds[] = {
		{"lines, no header", make_line, "10.1.22.147", false, false},
		{"lines, all headers", make_line, "10.1.22.147", true, true},
		{"random, 1400 bytes", make_large, "10.1.22.147", false, false},
		{"random, 126 bytes", make_random, "10.1.22.147", false, false},
		{"messages of 40 to 64, seq", make_message, "SESSION001", true, false},
	};
	printf("                             record   copy  LZ4 library     ratio  append   batch  "
	       "ratio  batch /\n"
	       "                              bytes         events records           alone         "
	       " "
	       "       copy + LZ4 records\n");
	for (size_t k = 0; k < PST_ARRAY_CNT(kinds); k++) {
		struct sample s = {.state = 20261121};
		stored_bytes = 0;
		for (int i = 0; i < EVENT_CNT; i++)
			kinds[k].make(&s, i, &events[i]);
		bench(&kinds[k]);
	}
	if (argc > 1)
		bench_files(argv + 1, argc - 1);
	return 0;
}
