#include <criterion/criterion.h>
#include <errno.h>
#include <lz4frame.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "batch/sample.h"

/* A batch buffer whose end is the end of the mapping: one byte too far is a fault. */
static uint8_t *
guarded_buf(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t len = pst_align_up(PST_BATCH_WIRE_BYTES_MAX, page);
	uint8_t *map = mmap(
		NULL, len + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(map, MAP_FAILED);
	cr_assert_eq(mprotect(map + len, page, PROT_NONE), 0);
	return map + len - PST_BATCH_WIRE_BYTES_MAX;
}

static struct pst_batch_encoder *
encoder(uint32_t raw_bytes_max, uint32_t record_cnt_max, int acceleration)
{
	struct pst_batch_encoder *enc;
	struct pst_batch_limits limits = {raw_bytes_max, record_cnt_max, acceleration};
	cr_assert_eq(pst_batch_encoder_create(&limits, &enc), 0);
	return enc;
}

static struct pst_batch_decoder *
decoder(void)
{
	struct pst_batch_decoder *dec;
	cr_assert_eq(pst_batch_decoder_create(PST_BATCH_RAW_BYTES_MAX, &dec), 0);
	return dec;
}

static void
assert_record_eq(const struct pst_record *in, const struct pst_batch_record *out, int64_t offset)
{
	cr_assert_eq(out->offset, offset);
	cr_assert_eq(out->timestamp_ms, (int64_t)(in->ts_ns / 1000000));
	cr_assert_eq(out->key == NULL, in->key == NULL);
	cr_assert_eq(out->key_len, in->key_len);
	cr_assert(in->key_len == 0 || memcmp(out->key, in->key, in->key_len) == 0);
	cr_assert_neq(out->value, NULL, "an empty event is not a missing one");
	cr_assert_eq(out->value_len, in->value_len);
	cr_assert_eq(memcmp(out->value, in->value, in->value_len), 0);
	cr_assert_eq(out->has_seq, in->has_seq);
	cr_assert(!in->has_seq || out->seq == in->seq);
	cr_assert_eq(out->has_ts_ns, in->has_ts_ns);
	cr_assert(!in->has_ts_ns || out->ts_ns == in->ts_ns);
	cr_assert_eq(out->rule_cnt, in->rule_cnt);
	for (uint32_t i = 0; i < in->rule_cnt; i++)
		cr_assert_eq(pst_load_be32(out->rules + 4 * i), in->rule_ids[i]);
	cr_assert_eq(out->header_cnt,
		(uint32_t)in->has_seq + (uint32_t)in->has_ts_ns + (in->rule_cnt > 0));
}

/* The bytes of a batch of two records, codec none, as kafka-python 2.0.2 writes them. */
Test(encode, equals_another_writer_byte_for_byte)
{
	static const uint8_t want[] = {
		0x00,
		0x00,
		0x01,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x7a,
		0x00,
		0x00,
		0x00,
		0x03,
		0x02,
		0xf5,
		0x74,
		0x3f,
		0xaa,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x01,
		0x00,
		0x00,
		0x01,
		0x9a,
		0xb6,
		0x97,
		0xe8,
		0x7b,
		0x00,
		0x00,
		0x01,
		0x9a,
		0xb6,
		0x97,
		0xe8,
		0x7b,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0xff,
		0x00,
		0x00,
		0x00,
		0x02,
		0x7c,
		0x00,
		0x00,
		0x00,
		0x10,
		0x31,
		0x30,
		0x2e,
		0x30,
		0x2e,
		0x30,
		0x2e,
		0x31,
		0x0a,
		0x68,
		0x65,
		0x6c,
		0x6c,
		0x6f,
		0x06,
		0x06,
		0x73,
		0x65,
		0x71,
		0x10,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x00,
		0x2a,
		0x0a,
		0x74,
		0x73,
		0x5f,
		0x6e,
		0x73,
		0x10,
		0x18,
		0x7a,
		0xfc,
		0xa7,
		0x6f,
		0x25,
		0xcd,
		0x15,
		0x0a,
		0x72,
		0x75,
		0x6c,
		0x65,
		0x73,
		0x10,
		0x00,
		0x00,
		0x00,
		0x07,
		0xee,
		0x6b,
		0x28,
		0x00,
		0x12,
		0x00,
		0xf5,
		0xbb,
		0xb7,
		0x03,
		0x02,
		0x01,
		0x00,
		0x00,
	};
	uint8_t *buf = guarded_buf();
	struct pst_batch_encoder *enc = encoder(100000, 100, 0);
	uint32_t rules[] = {7, 4000000000};
	struct pst_record first = {
		.key = "10.0.0.1",
		.key_len = 8,
		.value = "hello",
		.value_len = 5,
		.ts_ns = UINT64_C(1764000000123456789),
		.has_seq = true,
		.has_ts_ns = true,
		.rule_cnt = 2,
		.seq = 42,
		.rule_ids = rules,
	};
	/* An hour earlier, no key, no header, empty value. */
	struct pst_record second = {.ts_ns = UINT64_C(1763996400000000000)};
	pst_batch_begin(enc, buf);
	cr_assert(pst_batch_append(enc, &first));
	cr_assert(pst_batch_append(enc, &second));
	uint32_t len = pst_batch_seal(enc);
	pst_batch_set_base_offset(buf, INT64_C(1) << 40, 3);
	cr_assert_eq(len, sizeof(want));
	for (size_t i = 0; i < sizeof(want); i++)
		cr_assert_eq(buf[i], want[i], "byte %zu: %02x, not %02x", i, buf[i], want[i]);
	pst_batch_encoder_destroy(enc);
}

/* Two passes over the same seed: one writes, one compares. */
static void
round_trip(uint64_t seed, int acceleration, uint32_t value_len_max)
{
	static struct sample in, again;
	uint8_t *buf = guarded_buf();
	struct pst_batch_encoder *enc = encoder(900000, 5000, acceleration);
	struct pst_batch_decoder *dec = decoder();
	in.state = again.state = seed;
	for (int batch_idx = 0; batch_idx < 4; batch_idx++) {
		pst_batch_begin(enc, buf);
		uint32_t cnt = 0;
		uint64_t state;
		do {
			state = in.state;
			uint64_t r = sample_next(&in);
			sample_record(&in, (uint32_t)(r % (PST_BATCH_KEY_MAX + 1)),
				(uint32_t)((r >> 16) % (value_len_max + 1)),
				(uint16_t)((r >> 40) % (PST_BATCH_RULES_MAX + 1)));
		} while (pst_batch_append(enc, &in.record) && ++cnt);
		in.state = state; /* what did not fit opens the next batch */
		cr_assert_gt(cnt, 0);
		cr_assert_eq(pst_batch_record_cnt(enc), cnt);
		uint32_t len = pst_batch_seal(enc);
		cr_assert_leq(len, PST_BATCH_WIRE_BYTES_MAX);
		int64_t base = batch_idx * INT64_C(3000000000);
		pst_batch_set_base_offset(buf, base, batch_idx);

		struct pst_batch_info info;
		cr_assert_eq(pst_batch_check(buf, len, &info), PST_BATCH_OK);
		cr_assert_eq(info.total_bytes, len);
		cr_assert_eq(info.record_cnt, cnt);
		cr_assert_eq(info.last_offset_delta, cnt - 1);
		cr_assert_eq(info.base_offset, base);
		cr_assert_eq(info.leader_epoch, batch_idx);
		cr_assert_eq(info.attributes, acceleration ? 3 : 0);
		cr_assert_eq(pst_batch_decoder_open(dec, buf, len), PST_BATCH_OK);
		struct pst_batch_record out;
		enum pst_batch_verdict verdict;
		int64_t max_ms = INT64_MIN;
		for (uint32_t i = 0; i < cnt; i++) {
			uint64_t r = sample_next(&again);
			sample_record(&again, (uint32_t)(r % (PST_BATCH_KEY_MAX + 1)),
				(uint32_t)((r >> 16) % (value_len_max + 1)),
				(uint16_t)((r >> 40) % (PST_BATCH_RULES_MAX + 1)));
			cr_assert_eq(pst_batch_decoder_next(dec, &out, &verdict), 1);
			assert_record_eq(&again.record, &out, base + i);
			if (i == 0)
				cr_assert_eq(out.timestamp_ms, info.base_timestamp_ms);
			if (out.timestamp_ms > max_ms)
				max_ms = out.timestamp_ms;
		}
		cr_assert_eq(max_ms, info.max_timestamp_ms);
		cr_assert_eq(pst_batch_decoder_next(dec, &out, &verdict), 0);
	}
	pst_batch_decoder_destroy(dec);
	pst_batch_encoder_destroy(enc);
}

Test(encode, what_goes_in_comes_out)
{
	static const uint32_t value_len_max[] = {0, 10, 200, 3000, PST_BATCH_VALUE_MAX};
	for (size_t i = 0; i < PST_ARRAY_CNT(value_len_max); i++)
		for (int acceleration = 0; acceleration <= 2; acceleration++)
			round_trip(UINT64_C(88172645463325252) + i, acceleration, value_len_max[i]);
}

/* The records of a batch, out of their LZ4 frame by the library's own reader. */
static uint8_t *
frame_content(const uint8_t *frame, size_t frame_bytes, size_t content_bytes)
{
	LZ4F_dctx *lz4;
	uint8_t *content = malloc(content_bytes + 1);
	size_t got = content_bytes + 1, used = frame_bytes;
	cr_assert_not(LZ4F_isError(LZ4F_createDecompressionContext(&lz4, LZ4F_VERSION)));
	cr_assert_eq(LZ4F_decompress(lz4, content, &got, frame, &used, NULL), 0, "one whole frame");
	cr_assert_eq(used, frame_bytes);
	cr_assert_eq(got, content_bytes);
	LZ4F_freeDecompressionContext(lz4);
	return content;
}

/* Header fields of the same kinds and sizes, lines that resemble each other, some of them long. */
static const struct pst_record *
line_record(struct sample *s, uint64_t i)
{
	static const char *const what[] = {"accepted", "refused by policy", "timed out"};
	uint64_t r = sample_next(s);
	int n = snprintf((char *)s->value, 400, "gate-%u access[%u]: connection %u %s after %u ms",
		(unsigned)(r & 15), (unsigned)(r >> 4 & 63), (unsigned)i, what[(r >> 10) % 3],
		(unsigned)(r >> 12 & 1023));
	sample_record(s, 0, r % 97 == 0 ? 5000 : 0, (uint16_t)(r >> 30 & 1) * 2);
	s->record.key = "10.1.22.147";
	s->record.key_len = r % 5 ? 11 : 9;
	if (s->record.value_len == 0)
		s->record.value_len = (uint32_t)n;
	s->record.seq = i;
	s->record.ts_ns = UINT64_C(1764000000000000000) + i / 32 * 20000;
	return &s->record;
}

/* The plain path and the compressed one, byte for byte, headers of every combination. */
Test(encode, compressed_records_are_the_plain_ones)
{
	static struct sample s;
	static uint8_t plain_buf[PST_BATCH_WIRE_BYTES_MAX];
	uint8_t *buf = guarded_buf();
	struct pst_batch_encoder *plain = encoder(900000, PST_BATCH_RECORD_CNT_MAX, 0);
	s.state = 42;
	for (int round = 0; round < 12; round++) {
		struct pst_batch_encoder *lz4 = encoder(
			900000, PST_BATCH_RECORD_CNT_MAX, 1 + round % 3);
		pst_batch_begin(plain, plain_buf);
		pst_batch_begin(lz4, buf);
		for (uint64_t i = 0;; i++) {
			const struct pst_record *r = line_record(&s, i);
			if (!pst_batch_append(plain, r))
				break;
			cr_assert(pst_batch_append(lz4, r));
		}
		uint32_t raw_bytes = pst_batch_raw_bytes(plain);
		cr_assert_eq(pst_batch_raw_bytes(lz4), raw_bytes);
		pst_batch_seal(plain);
		uint32_t wire_bytes = pst_batch_seal(lz4);
		cr_assert_lt(wire_bytes, raw_bytes);
		uint8_t *content = frame_content(buf + PST_BATCH_HEADER_BYTES,
			wire_bytes - PST_BATCH_HEADER_BYTES, raw_bytes);
		cr_assert_eq(memcmp(content, plain_buf + PST_BATCH_HEADER_BYTES, raw_bytes), 0);
		free(content);
		pst_batch_encoder_destroy(lz4);
	}
	pst_batch_encoder_destroy(plain);
}

/* What has not compressed is not tried again for 15 blocks, whatever comes; and reads as it was. */
Test(encode, incompressible_blocks_are_stored_for_a_while)
{
	enum { RECORD = 1000, BLOCKS = 15 };
	static struct sample s;
	static uint8_t zeros[RECORD];
	uint8_t *buf = guarded_buf();
	struct pst_batch_encoder *enc = encoder(900000, PST_BATCH_RECORD_CNT_MAX, 1);
	struct pst_batch_decoder *dec = decoder();
	struct pst_batch_record out;
	enum pst_batch_verdict verdict;
	uint32_t plain_bytes = 0, tried_again = 0;

	s.state = 3;
	for (int batch = 0; batch < 4; batch++) {
		uint32_t cnt = 0;
		pst_batch_begin(enc, buf);
		/* The first block does not compress; all behind it would. */
		while (cnt < 800) {
			bool random = batch == 0 && cnt < 70;
			sample_record(&s, 11, RECORD, 0);
			if (!random)
				s.record.value = zeros;
			cr_assert(pst_batch_append(enc, &s.record));
			cnt++;
		}
		uint32_t raw_bytes = pst_batch_raw_bytes(enc), len = pst_batch_seal(enc);
		plain_bytes += pst_batch_plain_bytes(enc);
		if (batch > 0 && len < raw_bytes / 10)
			tried_again++;
		cr_assert_eq(pst_batch_decoder_open(dec, buf, len), PST_BATCH_OK);
		for (uint32_t i = 0; i < cnt; i++) {
			cr_assert_eq(pst_batch_decoder_next(dec, &out, &verdict), 1);
			cr_assert_eq(out.value_len, RECORD);
			if (batch > 0 || i >= 70)
				cr_assert_eq(memcmp(out.value, zeros, RECORD), 0);
		}
		cr_assert_eq(pst_batch_decoder_next(dec, &out, &verdict), 0);
	}
	cr_assert_gt(plain_bytes, BLOCKS * PST_BATCH_BLOCK_BYTES * 9 / 10);
	cr_assert_leq(plain_bytes, (BLOCKS + 1) * PST_BATCH_BLOCK_BYTES);
	cr_assert_geq(tried_again, 2, "compressed as soon as it is tried");
	pst_batch_decoder_destroy(dec);
	pst_batch_encoder_destroy(enc);
}

/* A small block at a batch's end says nothing about those to come. */
Test(encode, a_small_block_does_not_end_compression)
{
	static struct sample s;
	static uint8_t zeros[PST_BATCH_VALUE_MAX];
	uint8_t *buf = guarded_buf();
	struct pst_batch_encoder *enc = encoder(900000, PST_BATCH_RECORD_CNT_MAX, 1);
	struct pst_record large = {.value = zeros, .value_len = sizeof(zeros)};
	s.state = 4;
	for (int batch = 0; batch < 3; batch++) {
		pst_batch_begin(enc, buf);
		cr_assert(pst_batch_append(enc, sample_record(&s, 0, 30000, 0)));
		pst_batch_seal(enc);
		cr_assert_gt(pst_batch_plain_bytes(enc), 30000);
		pst_batch_begin(enc, buf);
		cr_assert(pst_batch_append(enc, &large));
		cr_assert_lt(pst_batch_seal(enc), 2000);
		cr_assert_lt(pst_batch_plain_bytes(enc), 100, "a few bytes behind the first block");
	}
	pst_batch_encoder_destroy(enc);
}

/* Each size alone in a batch, and as the second record: across every place of a block's edge. */
Test(encode, every_size_of_value)
{
	static struct sample s;
	uint8_t *buf = guarded_buf();
	struct pst_batch_encoder *enc = encoder(PST_BATCH_RAW_BYTES_MAX, 10, 1);
	struct pst_batch_decoder *dec = decoder();
	struct pst_batch_record out;
	enum pst_batch_verdict verdict;
	s.state = 42;
	sample_record(&s, 12, PST_BATCH_VALUE_MAX, 3);
	s.record.ts_ns = UINT64_C(1764000000000000000);
	/* Dense where a length takes one byte more, and towards the ends. */
	for (uint32_t len = 0; len <= PST_BATCH_VALUE_MAX;
		len += len < 300 || (len > 8000 && len < 8300) || len > 65300 ? 1 : 97) {
		struct pst_record r = s.record;
		pst_batch_begin(enc, buf);
		r.value_len = len;
		cr_assert(pst_batch_append(enc, &r));
		uint32_t first_bytes = pst_batch_raw_bytes(enc);
		r.value_len = PST_BATCH_VALUE_MAX - len;
		cr_assert(pst_batch_append(enc, &r));
		cr_assert_gt(pst_batch_raw_bytes(enc), first_bytes + r.value_len);
		uint32_t wire_bytes = pst_batch_seal(enc);
		cr_assert_eq(pst_batch_decoder_open(dec, buf, wire_bytes), PST_BATCH_OK);
		r.value_len = len;
		cr_assert_eq(pst_batch_decoder_next(dec, &out, &verdict), 1);
		assert_record_eq(&r, &out, 0);
		r.value_len = PST_BATCH_VALUE_MAX - len;
		cr_assert_eq(pst_batch_decoder_next(dec, &out, &verdict), 1);
		assert_record_eq(&r, &out, 1);
		cr_assert_eq(pst_batch_decoder_next(dec, &out, &verdict), 0);
	}
	pst_batch_decoder_destroy(dec);
	pst_batch_encoder_destroy(enc);
}

/* Deltas where a varint takes one byte more, up and down; in a batch with space, where records are
 * written at once, and in one so tight that each is sized first. */
Test(encode, edges_of_timestamp_deltas)
{
	uint8_t *buf = guarded_buf();
	struct pst_batch_decoder *dec = decoder();
	const uint64_t base_ms = UINT64_C(1) << 43;
	for (int tight = 0; tight <= 1; tight++) {
		struct pst_batch_encoder *enc = encoder(tight ? 200 : 100000, 100, 1);
		for (unsigned bit = 5; bit < 43; bit++) {
			uint64_t ms[7] = {base_ms};
			for (unsigned i = 0; i < 3; i++) {
				ms[1 + i] = base_ms + (UINT64_C(1) << bit) - 1 + i;
				ms[4 + i] = base_ms - (UINT64_C(1) << bit) - 1 + i;
			}
			pst_batch_begin(enc, buf);
			for (unsigned i = 0; i < PST_ARRAY_CNT(ms); i++)
				cr_assert(pst_batch_append(
					enc, &(struct pst_record){.ts_ns = ms[i] * 1000000}));
			uint32_t len = pst_batch_seal(enc);
			cr_assert_eq(pst_batch_decoder_open(dec, buf, len), PST_BATCH_OK);
			struct pst_batch_record out;
			enum pst_batch_verdict verdict;
			for (unsigned i = 0; i < PST_ARRAY_CNT(ms); i++) {
				cr_assert_eq(pst_batch_decoder_next(dec, &out, &verdict), 1);
				cr_assert_eq((uint64_t)out.timestamp_ms, ms[i]);
			}
			cr_assert_eq(pst_batch_decoder_next(dec, &out, &verdict), 0);
		}
		pst_batch_encoder_destroy(enc);
	}
	pst_batch_decoder_destroy(dec);
}

/* Bytes that do not compress, up to the last that fits: the batch stays within its buffer (whose
 * end is guarded), and comes close to it. */
Test(encode, incompressible_to_the_brim)
{
	static struct sample s;
	uint8_t *buf = guarded_buf();
	struct pst_batch_decoder *dec = decoder();
	for (int acceleration = 0; acceleration <= 1; acceleration++) {
		struct pst_batch_encoder *enc = encoder(
			PST_BATCH_RAW_BYTES_MAX, PST_BATCH_RECORD_CNT_MAX, acceleration);
		for (uint32_t step = 0; step < 64; step++) {
			s.state = 1000 + step;
			pst_batch_begin(enc, buf);
			uint32_t value_len = 60000 + step * 37, cnt = 0;
			/* Ever smaller records until not even an empty one fits. */
			for (;;) {
				sample_record(&s, 0, value_len, 0);
				s.record.has_seq = s.record.has_ts_ns = false;
				if (pst_batch_append(enc, &s.record))
					cnt++;
				else if (value_len == 0)
					break;
				else
					value_len = value_len > 100 ? value_len / 2 : value_len - 1;
			}
			cr_assert_eq(pst_batch_record_cnt(enc), cnt);
			uint32_t len = pst_batch_seal(enc);
			cr_assert_leq(len, PST_BATCH_WIRE_BYTES_MAX);
			cr_assert_gt(len, PST_BATCH_WIRE_BYTES_MAX - 1000);
			cr_assert_eq(pst_batch_decoder_open(dec, buf, len), PST_BATCH_OK);
			struct pst_batch_record out;
			enum pst_batch_verdict verdict;
			uint32_t seen = 0;
			while (pst_batch_decoder_next(dec, &out, &verdict) == 1)
				seen++;
			cr_assert_eq(seen, cnt);
		}
		pst_batch_encoder_destroy(enc);
	}
	pst_batch_decoder_destroy(dec);
}

Test(encode, an_empty_batch_takes_the_largest_record)
{
	static struct sample s;
	uint8_t *buf = guarded_buf();
	struct pst_batch_decoder *dec = decoder();
	s.state = 7;
	sample_record(&s, PST_BATCH_KEY_MAX, PST_BATCH_VALUE_MAX, PST_BATCH_RULES_MAX);
	s.record.has_seq = s.record.has_ts_ns = true;
	for (int acceleration = 0; acceleration <= 1; acceleration++) {
		struct pst_batch_encoder *enc = encoder(1, 1, acceleration);
		pst_batch_begin(enc, buf);
		cr_assert(pst_batch_append(enc, &s.record), "whatever the limits are");
		cr_assert_not(pst_batch_append(enc, &s.record));
		uint32_t len = pst_batch_seal(enc);
		cr_assert_eq(pst_batch_decoder_open(dec, buf, len), PST_BATCH_OK);
		struct pst_batch_record out;
		enum pst_batch_verdict verdict;
		cr_assert_eq(pst_batch_decoder_next(dec, &out, &verdict), 1);
		assert_record_eq(&s.record, &out, 0);
		pst_batch_encoder_destroy(enc);
	}
	pst_batch_decoder_destroy(dec);
}

Test(encode, limits_of_bytes_and_count)
{
	uint8_t *buf = guarded_buf();
	struct pst_record r = {.value = "0123456789", .value_len = 10, .ts_ns = 1};
	for (int acceleration = 0; acceleration <= 1; acceleration++) {
		/* A record of ours is 17 bytes: length, attributes, 2 deltas, key, length, 10,
		 * headers. */
		struct pst_batch_encoder *enc = encoder(170, 1000, acceleration);
		for (int again = 0; again < 3; again++) {
			pst_batch_begin(enc, buf);
			uint32_t cnt = 0;
			while (pst_batch_append(enc, &r))
				cnt++;
			cr_assert_eq(cnt, 10);
			cr_assert_eq(pst_batch_raw_bytes(enc), 170);
			cr_assert_eq(pst_batch_record_cnt(enc), 10, "unchanged by the refusal");
			pst_batch_seal(enc);
		}
		pst_batch_encoder_destroy(enc);
		enc = encoder(PST_BATCH_RAW_BYTES_MAX, 3, acceleration);
		pst_batch_begin(enc, buf);
		for (int i = 0; i < 3; i++)
			cr_assert(pst_batch_append(enc, &r));
		cr_assert_not(pst_batch_append(enc, &r));
		pst_batch_encoder_destroy(enc);
	}
}

/* The reader's limit of uncompressed bytes holds for what compresses well, too. */
Test(encode, compressible_stops_at_the_raw_limit)
{
	static uint8_t zeros[PST_BATCH_VALUE_MAX];
	uint8_t *buf = guarded_buf();
	struct pst_batch_encoder *enc = encoder(
		PST_BATCH_RAW_BYTES_MAX, PST_BATCH_RECORD_CNT_MAX, 1);
	struct pst_batch_decoder *dec = decoder();
	struct pst_record r = {.value = zeros, .value_len = sizeof(zeros)};
	pst_batch_begin(enc, buf);
	while (r.value_len > 0) {
		if (!pst_batch_append(enc, &r))
			r.value_len /= 2;
	}
	uint32_t raw_bytes = pst_batch_raw_bytes(enc);
	cr_assert_leq(raw_bytes, PST_BATCH_RAW_BYTES_MAX);
	cr_assert_gt(raw_bytes, PST_BATCH_RAW_BYTES_MAX - 20);
	uint32_t len = pst_batch_seal(enc);
	cr_assert_eq(pst_batch_decoder_open(dec, buf, len), PST_BATCH_OK);
	pst_batch_decoder_destroy(dec);
	pst_batch_encoder_destroy(enc);
}

Test(encode, refuses_senseless_limits)
{
	static const struct pst_batch_limits bad[] = {
		{0, 1, 1},
		{PST_BATCH_RAW_BYTES_MAX + 1, 1, 1},
		{1, 0, 1},
		{1, PST_BATCH_RECORD_CNT_MAX + 1, 1},
		{1, 1, -1},
	};
	struct pst_batch_encoder *enc = NULL;
	for (size_t i = 0; i < PST_ARRAY_CNT(bad); i++) {
		cr_assert_eq(pst_batch_encoder_create(&bad[i], &enc), -EINVAL);
		cr_assert_null(enc);
	}
}

/* ---- no allocation in the data path: the C library's own count of calls ---- */

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(SANITIZED)
static bool watching;
static unsigned allocation_cnt;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t cnt, size_t size);

void *
malloc(size_t size)
{
	allocation_cnt += watching;
	return __libc_malloc(size);
}

void *
calloc(size_t cnt, size_t size)
{
	allocation_cnt += watching;
	return __libc_calloc(cnt, size);
}

Test(encode, allocates_nothing_once_it_is_made)
{
	static struct sample s;
	uint8_t *buf = guarded_buf();
	struct pst_batch_encoder *enc = encoder(PST_BATCH_RAW_BYTES_MAX, 1000, 1);
	s.state = 99;
	sample_record(&s, 20, 30000, 2);
	watching = true;
	void *volatile seen = malloc(1);
	free(seen);
	for (int i = 0; i < 3; i++) {
		pst_batch_begin(enc, buf);
		while (pst_batch_append(enc, &s.record)) {
		}
		pst_batch_seal(enc);
	}
	watching = false;
	cr_assert_eq(allocation_cnt, 1, "the one that shows that they are counted");
	pst_batch_encoder_destroy(enc);
}
#endif

Test(encode, quarantine_says_reason_and_listener)
{
	static const char want[] = "\x0c"
				   "reason"
				   "\x18"
				   "udp_checksum"
				   "\x10"
				   "listener"
				   "\x0c"
				   "syslog";
	uint8_t *buf = guarded_buf();
	struct pst_batch_encoder *enc = encoder(100000, 100, 1);
	struct pst_batch_decoder *dec = decoder();
	struct pst_batch_record out;
	enum pst_batch_verdict verdict;
	struct pst_record r = {
		.value = "x", .value_len = 1, .reason = "udp_checksum", .listener = "syslog"};

	pst_batch_begin(enc, buf);
	cr_assert(pst_batch_append(enc, &r));
	uint32_t len = pst_batch_seal(enc);
	cr_assert_eq(pst_batch_decoder_open(dec, buf, len), PST_BATCH_OK);
	cr_assert_eq(pst_batch_decoder_next(dec, &out, &verdict), 1);
	cr_assert_eq(out.header_cnt, 2);
	cr_assert_eq(out.headers_len, sizeof(want) - 1);
	cr_assert_arr_eq(out.headers, want, sizeof(want) - 1);
	pst_batch_decoder_destroy(dec);
	pst_batch_encoder_destroy(enc);
}
