#include <criterion/criterion.h>
#include <lz4frame.h>

#include "batch/sample.h"
#include "batch/wire.h"

static struct pst_batch_decoder *dec;

static void
setup(void)
{
	cr_assert_eq(pst_batch_decoder_create(PST_BATCH_RAW_BYTES_MAX, &dec), 0);
}

static void
teardown(void)
{
	pst_batch_decoder_destroy(dec);
}

TestSuite(decode, .init = setup, .fini = teardown);

/* Makes length and CRC true again after a field was changed. */
static void
reseal(uint8_t *batch, size_t len)
{
	pst_store_be32(batch + WIRE_LENGTH, (uint32_t)(len - WIRE_LENGTH_END));
	pst_store_be32(batch + WIRE_CRC,
		pst_batch_crc32c(0, batch + WIRE_ATTRIBUTES, len - WIRE_ATTRIBUTES));
}

/* A batch around given record bytes; timestamps 1000. */
static uint8_t *
wrap(uint16_t attributes, uint32_t record_cnt, const void *records, size_t records_bytes)
{
	uint8_t *b = calloc(1, PST_BATCH_HEADER_BYTES + records_bytes);
	cr_assert_not_null(b);
	b[WIRE_MAGIC] = MAGIC_V2;
	pst_store_be16(b + WIRE_ATTRIBUTES, attributes);
	pst_store_be32(b + WIRE_LAST_OFFSET_DELTA, record_cnt - 1);
	pst_store_be64(b + WIRE_BASE_TIMESTAMP, 1000);
	pst_store_be64(b + WIRE_MAX_TIMESTAMP, 1000);
	memset(b + WIRE_PRODUCER_ID, 0xff, WIRE_RECORD_CNT - WIRE_PRODUCER_ID);
	pst_store_be32(b + WIRE_RECORD_CNT, record_cnt);
	memcpy(b + WIRE_RECORDS, records, records_bytes);
	reseal(b, PST_BATCH_HEADER_BYTES + records_bytes);
	return b;
}

/* What becomes of a batch, read to its end. */
static enum pst_batch_verdict
read_all(const uint8_t *batch, size_t len, uint32_t *record_cnt)
{
	struct pst_batch_record record;
	enum pst_batch_verdict verdict = pst_batch_decoder_open(dec, batch, len);
	uint32_t cnt = 0;
	if (verdict == PST_BATCH_OK) {
		int rc;
		while ((rc = pst_batch_decoder_next(dec, &record, &verdict)) == 1)
			cnt++;
		if (rc < 0) {
			enum pst_batch_verdict again = PST_BATCH_OK;
			cr_assert_neq(verdict, PST_BATCH_OK);
			cr_assert_eq(pst_batch_decoder_next(dec, &record, &again), -1);
			cr_assert_eq(again, verdict, "damage stays damage");
		}
	}
	if (record_cnt)
		*record_cnt = cnt;
	return verdict;
}

/* A batch of three records as our encoder makes it. */
static uint8_t sealed[PST_BATCH_WIRE_BYTES_MAX];

static uint32_t
seal_sample(int acceleration)
{
	static struct sample s = {.state = 5};
	struct pst_batch_encoder *enc;
	struct pst_batch_limits limits = {1000000, 100, acceleration};
	cr_assert_eq(pst_batch_encoder_create(&limits, &enc), 0);
	pst_batch_begin(enc, sealed);
	for (uint32_t i = 0; i < 3; i++)
		cr_assert(pst_batch_append(enc, sample_record(&s, 10, 100 * i, (uint16_t)i)));
	uint32_t len = pst_batch_seal(enc);
	pst_batch_encoder_destroy(enc);
	return len;
}

Test(decode, every_flipped_bit_is_seen)
{
	for (int acceleration = 0; acceleration <= 1; acceleration++) {
		uint32_t len = seal_sample(acceleration);
		struct pst_batch_info info;
		cr_assert_eq(pst_batch_check(sealed, len, &info), PST_BATCH_OK);
		for (uint32_t bit = WIRE_LENGTH * 8; bit < len * 8; bit++) {
			if (bit / 8 >= WIRE_LEADER_EPOCH && bit / 8 < WIRE_MAGIC)
				continue; /* the epoch is outside the CRC: see below */
			sealed[bit / 8] ^= (uint8_t)(1u << (bit % 8));
			cr_assert_neq(pst_batch_check(sealed, len, &info), PST_BATCH_OK,
				"bit %u of byte %u", bit % 8, bit / 8);
			cr_assert_neq(read_all(sealed, len, NULL), PST_BATCH_OK);
			sealed[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		}
		cr_assert_eq(read_all(sealed, len, NULL), PST_BATCH_OK);
	}
}

Test(decode, base_offset_and_epoch_are_patched_without_a_new_crc)
{
	uint32_t len = seal_sample(1), cnt;
	struct pst_batch_info info;
	pst_batch_set_base_offset(sealed, INT64_MAX - 2, -1);
	cr_assert_eq(pst_batch_check(sealed, len, &info), PST_BATCH_OK);
	cr_assert_eq(info.base_offset, INT64_MAX - 2);
	cr_assert_eq(info.leader_epoch, -1);
	cr_assert_eq(read_all(sealed, len, &cnt), PST_BATCH_OK);
	cr_assert_eq(cnt, 3);
	pst_batch_set_base_offset(sealed, INT64_MAX - 1, 0);
	cr_assert_eq(
		pst_batch_check(sealed, len, &info), PST_BATCH_HEADER, "last offset overflows");
	pst_batch_set_base_offset(sealed, -1, 0);
	cr_assert_eq(pst_batch_check(sealed, len, &info), PST_BATCH_HEADER);
}

Test(decode, every_truncation_is_short)
{
	uint32_t len = seal_sample(1);
	struct pst_batch_info info;
	for (uint32_t cut = 0; cut < len; cut++) {
		/* An exact copy, so that a sanitizer sees a read past its end. */
		uint8_t *part = malloc(cut ? cut : 1);
		memcpy(part, sealed, cut);
		cr_assert_eq(pst_batch_check(part, cut, &info), PST_BATCH_SHORT);
		cr_assert_eq(pst_batch_peek(part, cut, &info),
			cut < PST_BATCH_HEADER_BYTES ? PST_BATCH_SHORT : PST_BATCH_OK);
		free(part);
	}
	cr_assert_eq(pst_batch_check(sealed, len + 100, &info), PST_BATCH_OK, "more may follow");
	cr_assert_eq(info.total_bytes, len);
}

Test(decode, header_fields)
{
	static const struct {
		uint32_t at, len;
		uint64_t value;
		enum pst_batch_verdict want;
	} cases[] = {
		{WIRE_LENGTH, 4, 0, PST_BATCH_LENGTH},
		{WIRE_LENGTH, 4, 48, PST_BATCH_LENGTH},
		{WIRE_LENGTH, 4, 49, PST_BATCH_OK},
		{WIRE_LENGTH, 4, PST_BATCH_RAW_BYTES_MAX - 12, PST_BATCH_OK},
		{WIRE_LENGTH, 4, PST_BATCH_RAW_BYTES_MAX - 11, PST_BATCH_LENGTH},
		{WIRE_LENGTH, 4, 0x7fffffff, PST_BATCH_LENGTH},
		{WIRE_LENGTH, 4, 0xffffffff, PST_BATCH_LENGTH},
		{WIRE_MAGIC, 1, 0, PST_BATCH_MAGIC},
		{WIRE_MAGIC, 1, 1, PST_BATCH_MAGIC},
		{WIRE_MAGIC, 1, 3, PST_BATCH_MAGIC},
		{WIRE_ATTRIBUTES, 2, 0x0000, PST_BATCH_OK},
		{WIRE_ATTRIBUTES, 2, 0x0001, PST_BATCH_CODEC},
		{WIRE_ATTRIBUTES, 2, 0x0002, PST_BATCH_CODEC},
		{WIRE_ATTRIBUTES, 2, 0x0004, PST_BATCH_CODEC},
		{WIRE_ATTRIBUTES, 2, 0x0007, PST_BATCH_CODEC},
		{WIRE_ATTRIBUTES, 2, 0x007b, PST_BATCH_OK},
		{WIRE_ATTRIBUTES, 2, 0x0083, PST_BATCH_HEADER},
		{WIRE_ATTRIBUTES, 2, 0x8003, PST_BATCH_HEADER},
		{WIRE_LAST_OFFSET_DELTA, 4, 1, PST_BATCH_HEADER},
		{WIRE_LAST_OFFSET_DELTA, 4, 3, PST_BATCH_OK},
		{WIRE_LAST_OFFSET_DELTA, 4, 0x80000000, PST_BATCH_HEADER},
		{WIRE_LAST_OFFSET_DELTA, 4, 0xffffffff, PST_BATCH_HEADER},
		{WIRE_RECORD_CNT, 4, 0, PST_BATCH_HEADER},
		{WIRE_RECORD_CNT, 4, 4, PST_BATCH_HEADER},
		{WIRE_RECORD_CNT, 4, 0xffffffff, PST_BATCH_HEADER},
		{WIRE_BASE_TIMESTAMP, 8, UINT64_MAX, PST_BATCH_OK},
		{WIRE_BASE_TIMESTAMP, 8, UINT64_MAX - 1, PST_BATCH_HEADER},
		{WIRE_MAX_TIMESTAMP, 8, UINT64_MAX, PST_BATCH_OK},
		{WIRE_MAX_TIMESTAMP, 8, UINT64_MAX - 1, PST_BATCH_HEADER},
	};
	seal_sample(1);
	for (size_t i = 0; i < PST_ARRAY_CNT(cases); i++) {
		struct pst_batch_info info = {.record_cnt = 77};
		uint8_t header[PST_BATCH_HEADER_BYTES];
		memcpy(header, sealed, sizeof(header));
		for (uint32_t b = 0; b < cases[i].len; b++)
			header[cases[i].at + b] = (uint8_t)(cases[i].value >>
							    (8 * (cases[i].len - 1 - b)));
		cr_assert_eq(pst_batch_peek(header, sizeof(header), &info), cases[i].want,
			"case %zu", i);
		if (cases[i].want != PST_BATCH_OK)
			cr_assert_eq(info.record_cnt, 77, "untouched on failure");
	}
	static const uint8_t zeros[100];
	struct pst_batch_info info;
	cr_assert_eq(pst_batch_peek(zeros, sizeof(zeros), &info), PST_BATCH_ZEROS);
	cr_assert_eq(pst_batch_peek(zeros, PST_BATCH_HEADER_BYTES - 1, &info), PST_BATCH_SHORT);
}

Test(decode, max_timestamp_must_be_true)
{
	/* length 6, attributes, timestamp +5, offset 0, no key, empty value, no header */
	uint8_t *b = wrap(0, 1, "\x0c\x00\x0a\x00\x01\x00\x00", 7);
	size_t len = PST_BATCH_HEADER_BYTES + 7;
	cr_assert_eq(read_all(b, len, NULL), PST_BATCH_HEADER);
	pst_store_be64(b + WIRE_MAX_TIMESTAMP, 1005);
	reseal(b, len);
	cr_assert_eq(read_all(b, len, NULL), PST_BATCH_OK);
	/* Log append time: the header's word is every record's. */
	pst_store_be16(b + WIRE_ATTRIBUTES, ATTRIBUTE_LOG_APPEND_TIME);
	pst_store_be64(b + WIRE_MAX_TIMESTAMP, 9999);
	reseal(b, len);
	struct pst_batch_record record;
	enum pst_batch_verdict verdict;
	cr_assert_eq(pst_batch_decoder_open(dec, b, len), PST_BATCH_OK);
	cr_assert_eq(pst_batch_decoder_next(dec, &record, &verdict), 1);
	cr_assert_eq(record.timestamp_ms, 9999);
	cr_assert_eq(pst_batch_decoder_next(dec, &record, &verdict), 0);
	free(b);
}

/* A record in wire form, and what must be said of it. Zigzag: 2n is n, 1 is -1, 3 is -2. */
#define RECORDS(bytes) .data = bytes, .len = sizeof(bytes) - 1
struct record_case {
	const char *what;
	const char *data;
	size_t len;
	uint32_t cnt;
	enum pst_batch_verdict want;
};

Test(decode, records)
{
	static const struct record_case cases[] = {
		{"smallest", RECORDS("\x0c\x00\x00\x00\x01\x01\x00"), 1, PST_BATCH_OK},
		{"key, value, header", RECORDS("\x1c\x00\x00\x00\x02k\x04vv\x02\x02h\x04xy"), 1,
			PST_BATCH_OK},
		{"header without value", RECORDS("\x12\x00\x00\x00\x01\x01\x02\x02h\x01"), 1,
			PST_BATCH_OK},
		{"attributes are not looked at", RECORDS("\x0c\xff\x00\x00\x01\x01\x00"), 1,
			PST_BATCH_OK},
		{"two", RECORDS("\x0c\x00\x00\x00\x01\x01\x00\x0c\x00\x00\x02\x01\x01\x00"), 2,
			PST_BATCH_OK},
		{"a number longer than need be", RECORDS("\x0e\x00\x80\x00\x00\x01\x01\x00"), 1,
			PST_BATCH_OK},
		{"nothing", RECORDS(""), 1, PST_BATCH_RECORD},
		{"length -1", RECORDS("\x01\x00\x00\x00\x01\x01\x00"), 1, PST_BATCH_RECORD},
		{"length 0", RECORDS("\x00"), 1, PST_BATCH_RECORD},
		{"length 1", RECORDS("\x02\x00"), 1, PST_BATCH_RECORD},
		{"length too long", RECORDS("\x0e\x00\x00\x00\x01\x01\x00"), 1, PST_BATCH_RECORD},
		{"length too short", RECORDS("\x0a\x00\x00\x00\x01\x01\x00"), 1, PST_BATCH_RECORD},
		{"length 2^31 - 1", RECORDS("\xfe\xff\xff\xff\x0f\x00\x00\x00\x01\x01\x00"), 1,
			PST_BATCH_RECORD},
		{"length of 33 bits", RECORDS("\x8c\x80\x80\x80\x10\x00\x00\x00\x01\x01\x00"), 1,
			PST_BATCH_RECORD},
		{"length of 6 bytes", RECORDS("\x8c\x80\x80\x80\x80\x00\x00\x00\x00\x01\x01\x00"),
			1, PST_BATCH_RECORD},
		{"length without end", RECORDS("\x8c"), 1, PST_BATCH_RECORD},
		{"space in the record", RECORDS("\x0e\x00\x00\x00\x01\x01\x00\x00"), 1,
			PST_BATCH_RECORD},
		{"bytes behind the last", RECORDS("\x0c\x00\x00\x00\x01\x01\x00\x00"), 1,
			PST_BATCH_RECORD},
		{"fewer than counted", RECORDS("\x0c\x00\x00\x00\x01\x01\x00"), 2,
			PST_BATCH_RECORD},
		{"more than counted",
			RECORDS("\x0c\x00\x00\x00\x01\x01\x00\x0c\x00\x00\x02\x01\x01\x00"), 1,
			PST_BATCH_RECORD},
		{"key length -2", RECORDS("\x0c\x00\x00\x00\x03\x01\x00"), 1, PST_BATCH_RECORD},
		{"key beyond the record", RECORDS("\x0c\x00\x00\x00\x06\x01\x00"), 1,
			PST_BATCH_RECORD},
		{"value length -2", RECORDS("\x0c\x00\x00\x00\x01\x03\x00"), 1, PST_BATCH_RECORD},
		{"value beyond the record", RECORDS("\x0c\x00\x00\x00\x01\x04\x00"), 1,
			PST_BATCH_RECORD},
		{"value beyond the record, not the batch",
			RECORDS("\x0c\x00\x00\x00\x01\x04\x00\x0c\x00\x00\x02\x01\x01\x00"), 2,
			PST_BATCH_RECORD},
		{"-1 headers", RECORDS("\x0c\x00\x00\x00\x01\x01\x01"), 1, PST_BATCH_RECORD},
		{"2^31 - 1 headers", RECORDS("\x14\x00\x00\x00\x01\x01\xfe\xff\xff\xff\x0f"), 1,
			PST_BATCH_RECORD},
		{"header without key", RECORDS("\x10\x00\x00\x00\x01\x01\x02\x01\x00"), 1,
			PST_BATCH_RECORD},
		{"header key too long", RECORDS("\x10\x00\x00\x00\x01\x01\x02\x04\x00"), 1,
			PST_BATCH_RECORD},
		{"header value too long", RECORDS("\x12\x00\x00\x00\x01\x01\x02\x02h\x02"), 1,
			PST_BATCH_RECORD},
		{"offset delta -1", RECORDS("\x0c\x00\x00\x01\x01\x01\x00"), 1, PST_BATCH_RECORD},
		{"offset delta past the last", RECORDS("\x0c\x00\x00\x02\x01\x01\x00"), 1,
			PST_BATCH_RECORD},
		{"offset delta twice",
			RECORDS("\x0c\x00\x00\x00\x01\x01\x00\x0c\x00\x00\x00\x01\x01\x00"), 2,
			PST_BATCH_RECORD},
		{"timestamp beyond 64 bits",
			RECORDS("\x1e\x00\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x01\x01\x00"),
			1, PST_BATCH_RECORD},
		{"timestamp of 65 bits",
			RECORDS("\x1e\x00\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02\x00\x01\x01\x00"),
			1, PST_BATCH_RECORD},
	};
	for (size_t i = 0; i < PST_ARRAY_CNT(cases); i++) {
		const struct record_case *c = &cases[i];
		uint8_t *b = wrap(0, c->cnt, c->data, c->len);
		uint32_t cnt;
		enum pst_batch_verdict got = read_all(b, PST_BATCH_HEADER_BYTES + c->len, &cnt);
		cr_assert_eq(got, c->want, "%s: %s", c->what, pst_batch_verdict_name(got));
		if (got == PST_BATCH_OK)
			cr_assert_eq(cnt, c->cnt, "%s", c->what);
		free(b);
	}
}

Test(decode, headers_of_others)
{
	static const char record[] = "\x48\x00\x00\x00\x01\x01\x08" /* four headers */
				     "\x06seq\x08"
				     "abcd" /* our name, not our length */
				     "\x0aother\x01"
				     "\x0arules\x08\x00\x00\x00\x09"
				     "\x00\x02x";
	uint8_t *b = wrap(0, 1, record, sizeof(record) - 1);
	struct pst_batch_record r;
	enum pst_batch_verdict verdict;
	cr_assert_eq(pst_batch_decoder_open(dec, b, PST_BATCH_HEADER_BYTES + sizeof(record) - 1),
		PST_BATCH_OK);
	cr_assert_eq(pst_batch_decoder_next(dec, &r, &verdict), 1);
	cr_assert_not(r.has_seq);
	cr_assert_eq(r.rule_cnt, 1);
	cr_assert_eq(pst_load_be32(r.rules), 9);
	cr_assert_eq(r.header_cnt, 4);
	static const struct {
		const char *key, *value;
	} want[] = {{"seq", "abcd"}, {"other", NULL}, {"rules", "\0\0\0\x09"}, {"", "x"}};
	uint32_t pos = 0, n = 0;
	struct pst_batch_header h;
	while (pst_batch_header_next(&r, &pos, &h)) {
		cr_assert_lt(n, 4);
		cr_assert_eq(h.key_len, strlen(want[n].key));
		cr_assert_eq(memcmp(h.key, want[n].key, h.key_len), 0);
		cr_assert_eq(h.value == NULL, want[n].value == NULL);
		cr_assert(h.value == NULL || memcmp(h.value, want[n].value, h.value_len) == 0);
		n++;
	}
	cr_assert_eq(n, 4);
	free(b);
}

/* ---- LZ4 frames that others may write ---- */

static const char one_record[] = "\x0c\x00\x00\x00\x01\x01\x00";

/* A record with a value of zeros, len bytes in all, at *records. */
static void
large_record(uint8_t *records, size_t len)
{
	/* Both lengths take as many bytes as they must have in 5: longer forms are legal. */
	memset(records, 0, len);
	uint32_t body = (uint32_t)(len - 5) << 1;
	uint32_t value = (uint32_t)(len - 5 - 4 - 5 - 1) << 1;
	for (int i = 0; i < 5; i++) {
		records[i] = (uint8_t)((body >> (7 * i)) & 0x7f) | (i < 4 ? 0x80 : 0);
		records[9 + i] = (uint8_t)((value >> (7 * i)) & 0x7f) | (i < 4 ? 0x80 : 0);
	}
	records[8] = 1; /* no key */
}

static size_t
compress(uint8_t *frame, size_t cap, const LZ4F_preferences_t *prefs, const void *src, size_t len)
{
	LZ4F_cctx *ctx;
	cr_assert_not(LZ4F_isError(LZ4F_createCompressionContext(&ctx, LZ4F_VERSION)));
	size_t used = LZ4F_compressBegin(ctx, frame, cap, prefs);
	cr_assert_not(LZ4F_isError(used));
	size_t n = LZ4F_compressUpdate(ctx, frame + used, cap - used, src, len, NULL);
	cr_assert_not(LZ4F_isError(n));
	used += n;
	n = LZ4F_compressEnd(ctx, frame + used, cap - used, NULL);
	cr_assert_not(LZ4F_isError(n), "%s", LZ4F_getErrorName(n));
	LZ4F_freeCompressionContext(ctx);
	return used + n;
}

static enum pst_batch_verdict
read_frame(const uint8_t *frame, size_t len)
{
	uint8_t *b = wrap(ATTRIBUTE_CODEC_LZ4, 1, frame, len);
	enum pst_batch_verdict verdict = read_all(b, PST_BATCH_HEADER_BYTES + len, NULL);
	free(b);
	return verdict;
}

enum { LARGE = 300000, FRAME_CAP = 400000 };
static uint8_t large[LARGE], frame[FRAME_CAP];

Test(decode, every_kind_of_frame_that_java_reads)
{
	large_record(large, LARGE);
	for (int block_size = LZ4F_max64KB; block_size <= LZ4F_max4MB; block_size++) {
		for (int features = 0; features < 8; features++) {
			LZ4F_preferences_t prefs = {
				.frameInfo = {
					.blockSizeID = block_size,
					.blockMode = LZ4F_blockIndependent,
					.blockChecksumFlag = features & 1,
					.contentChecksumFlag = features >> 1 & 1,
					.contentSize = features & 4 ? LARGE : 0,
				}};
			size_t len = compress(frame, FRAME_CAP, &prefs, large, LARGE);
			cr_assert_eq(read_frame(frame, len), PST_BATCH_OK);
			/* No byte less, no byte more. */
			cr_assert_eq(read_frame(frame, len - 1), PST_BATCH_LZ4);
			frame[len] = 0;
			cr_assert_eq(read_frame(frame, len + 1), PST_BATCH_LZ4);
		}
	}
}

Test(decode, frames_that_others_refuse)
{
	LZ4F_preferences_t prefs = {.frameInfo = {.blockMode = LZ4F_blockIndependent}};
	LZ4F_preferences_t linked = {.frameInfo = {.blockMode = LZ4F_blockLinked}};
	LZ4F_preferences_t dict = {.frameInfo = {.blockMode = LZ4F_blockIndependent, .dictID = 5}};
	large_record(large, LARGE);
	size_t len = compress(frame, FRAME_CAP, &linked, large, LARGE);
	cr_assert_eq(read_frame(frame, len), PST_BATCH_LZ4, "linked blocks");
	len = compress(frame, FRAME_CAP, &dict, large, LARGE);
	cr_assert_eq(read_frame(frame, len), PST_BATCH_LZ4, "dictionary");

	len = compress(frame, FRAME_CAP, &prefs, one_record, sizeof(one_record) - 1);
	cr_assert_eq(read_frame(frame, len), PST_BATCH_OK);
	cr_assert_eq(read_frame(frame, len - 4), PST_BATCH_LZ4, "no EndMark");
	memcpy(frame + len, frame, len);
	cr_assert_eq(read_frame(frame, 2 * len), PST_BATCH_LZ4, "two frames");
	memmove(frame + 8, frame, len);
	memcpy(frame, "\x50\x2a\x4d\x18\0\0\0\0", 8);
	cr_assert_eq(read_frame(frame, len + 8), PST_BATCH_LZ4, "skippable frame before it");
	memmove(frame, frame + 8, len);
	for (size_t i = 0; i < LZ4_FRAME_HEADER_BYTES; i++) {
		frame[i] ^= 1;
		cr_assert_eq(read_frame(frame, len), PST_BATCH_LZ4, "frame header byte %zu", i);
		frame[i] ^= 1;
	}
	for (size_t cut = 0; cut < len; cut++)
		cr_assert_eq(read_frame(frame, cut), PST_BATCH_LZ4, "cut at %zu", cut);
}

Test(decode, frames_with_wrong_sums)
{
	LZ4F_preferences_t block = {.frameInfo = {.blockMode = LZ4F_blockIndependent,
					    .blockChecksumFlag = LZ4F_blockChecksumEnabled}};
	LZ4F_preferences_t content = {.frameInfo = {.blockMode = LZ4F_blockIndependent,
					      .contentChecksumFlag = LZ4F_contentChecksumEnabled}};
	size_t len = compress(frame, FRAME_CAP, &block, one_record, sizeof(one_record) - 1);
	frame[len - 5] ^= 1;
	cr_assert_eq(read_frame(frame, len), PST_BATCH_LZ4, "block checksum");
	len = compress(frame, FRAME_CAP, &content, one_record, sizeof(one_record) - 1);
	frame[len - 1] ^= 1;
	cr_assert_eq(read_frame(frame, len), PST_BATCH_LZ4, "content checksum");
}

Test(decode, more_than_a_reader_takes)
{
	LZ4F_preferences_t prefs = {.frameInfo = {.blockMode = LZ4F_blockIndependent}};
	size_t max = PST_BATCH_RAW_BYTES_MAX, cap = LZ4F_compressFrameBound(max + 1, &prefs);
	uint8_t *raw = malloc(max + 1), *bomb = malloc(cap);
	large_record(raw, max);
	size_t len = compress(bomb, cap, &prefs, raw, max);
	cr_assert_eq(read_frame(bomb, len), PST_BATCH_OK, "exactly the limit");
	large_record(raw, max + 1);
	len = compress(bomb, cap, &prefs, raw, max + 1);
	cr_assert_eq(read_frame(bomb, len), PST_BATCH_LZ4, "one byte beyond");
	free(bomb);
	free(raw);
}
