/* Records into a batch. The staging area holds the open block:
 *
 *   staging  |r r r r r r r r|free......|            PST_BATCH_BLOCK_BYTES
 *                            ^staged_bytes
 *   buf      |header|frame header|block|block|free.............|      PST_BATCH_WIRE_BYTES_MAX
 *                                            ^wire_bytes
 *
 * With codec none the staging area is the rest of buf itself, and nothing is ever moved.
 *
 * pending_max is what staging may hold, the record at hand included, such that even data that does
 * not compress ends within buf; it only changes when a block is compressed. */
#include <errno.h>
#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "batch/wire.h"

struct pst_batch_encoder {
	/* Touched by every record. */
	uint8_t *staging;
	uint32_t staged_bytes;
	uint32_t direct_max; /* up to here a record is written in one go: within one block */
	uint32_t pending_max;
	uint32_t record_cnt;
	uint32_t record_cnt_max;
	int64_t base_timestamp_ms;
	int64_t max_timestamp_ms;
	/* Touched once a block or batch. */
	uint8_t *buf; /* NULL: no batch is open */
	uint32_t wire_bytes;
	uint32_t flushed_bytes; /* records already compressed, in uncompressed bytes */
	uint32_t raw_bytes_max;
	LZ4F_cctx *lz4; /* NULL: codec none */
	LZ4F_preferences_t lz4_prefs;
	uint8_t *block;
} PST_CACHE_ALIGNED;

/* What lies before the value and behind it, at the most. */
enum {
	PREFIX_BYTES_MAX = 5 + 1 + 10 + 5 + 5 + PST_BATCH_KEY_MAX + 5,
	SEQ_HEADER_BYTES = 13,
	TS_NS_HEADER_BYTES = 15,
	RULES_HEADER_KEY_BYTES = 6,
	REASON_HEADER_KEY_BYTES = 7,
	LISTENER_HEADER_KEY_BYTES = 9,
	SUFFIX_BYTES_MAX = 1 + SEQ_HEADER_BYTES + TS_NS_HEADER_BYTES + RULES_HEADER_KEY_BYTES + 2 +
			   4 * PST_BATCH_RULES_MAX + REASON_HEADER_KEY_BYTES +
			   LISTENER_HEADER_KEY_BYTES + 2 * (1 + PST_BATCH_TEXT_MAX),
	RECORD_BYTES_MAX = PREFIX_BYTES_MAX + PST_BATCH_VALUE_MAX + SUFFIX_BYTES_MAX,
};

/* An empty batch takes any record, in both codecs, whatever the limits say. */
static_assert(PST_BATCH_HEADER_BYTES + LZ4_FRAME_HEADER_BYTES + RECORD_BYTES_MAX +
			      3 * LZ4_BLOCK_HEADER_BYTES + LZ4_END_MARK_BYTES <=
		      PST_BATCH_WIRE_BYTES_MAX,
	"largest record");

/* ---- varints ---- */

static inline uint64_t
zigzag(int64_t value)
{
	return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

/* Lengths and counts are never negative here. */
static inline uint32_t
zigzag_length(uint32_t len)
{
	return len << 1;
}

/* ceil(bits / 7), at least 1, without a division. */
static inline uint32_t
varint_bytes(uint64_t z)
{
	uint32_t bits = 64 - (uint32_t)__builtin_clzll(z | 1);
	return (bits * 9 + 64) / 64;
}

static inline uint8_t *
put_varint(uint8_t *at, uint64_t z)
{
	while (pst_unlikely(z >= 0x4000)) {
		*at++ = (uint8_t)(z | 0x80);
		z >>= 7;
	}
	if (z >= 0x80) {
		*at++ = (uint8_t)(z | 0x80);
		z >>= 7;
	}
	*at++ = (uint8_t)z;
	return at;
}

/* ---- a record ---- */

/* Everything about a record that has to be known before its first byte is written. */
struct layout {
	uint64_t timestamp_delta_z;
	uint32_t offset_delta_z;
	uint32_t body_bytes;  /* what the record's length field says */
	uint32_t total_bytes; /* with the length field */
};

/* Keys are short: two overlapping loads beat a call. */
static inline uint8_t *
put_key(uint8_t *at, const uint8_t *key, uint32_t len)
{
	if (len >= 16) {
		for (uint32_t i = 0; i + 16 < len; i += 16)
			memcpy(at + i, key + i, 16);
		memcpy(at + len - 16, key + len - 16, 16);
	} else if (len >= 8) {
		memcpy(at, key, 8);
		memcpy(at + len - 8, key + len - 8, 8);
	} else if (len >= 4) {
		memcpy(at, key, 4);
		memcpy(at + len - 4, key + len - 4, 4);
	} else {
		for (uint32_t i = 0; i < len; i++)
			at[i] = key[i];
	}
	return at + len;
}

/* Length of a text header's value: one byte as a varint. */
static inline uint32_t
text_bytes(const char *text)
{
	size_t len = strlen(text);
	PST_ASSERT(len <= PST_BATCH_TEXT_MAX);
	return (uint32_t)len;
}

static inline uint8_t *
put_text(uint8_t *at, const char *text)
{
	uint32_t len = text_bytes(text);
	at = put_varint(at, zigzag_length(len));
	memcpy(at, text, len);
	return at + len;
}

static inline uint32_t
suffix_bytes(const struct pst_record *r)
{
	uint32_t n = 1;
	if (r->has_seq)
		n += SEQ_HEADER_BYTES;
	if (r->has_ts_ns)
		n += TS_NS_HEADER_BYTES;
	if (r->rule_cnt > 0) {
		uint32_t value_bytes = 4u * r->rule_cnt;
		n += RULES_HEADER_KEY_BYTES + varint_bytes(zigzag_length(value_bytes)) +
		     value_bytes;
	}
	if (pst_unlikely(r->reason != NULL))
		n += REASON_HEADER_KEY_BYTES + 1 + text_bytes(r->reason);
	if (pst_unlikely(r->listener != NULL))
		n += LISTENER_HEADER_KEY_BYTES + 1 + text_bytes(r->listener);
	return n;
}

static inline struct layout
record_layout(const struct pst_batch_encoder *enc, const struct pst_record *r, int64_t timestamp_ms)
{
	struct layout l;
	l.timestamp_delta_z = zigzag(timestamp_ms - enc->base_timestamp_ms);
	l.offset_delta_z = zigzag_length(enc->record_cnt);
	l.body_bytes = 1 + varint_bytes(l.timestamp_delta_z) + varint_bytes(l.offset_delta_z) +
		       varint_bytes(zigzag_length(r->key_len)) + r->key_len +
		       varint_bytes(zigzag_length(r->value_len)) + r->value_len + suffix_bytes(r);
	l.total_bytes = varint_bytes(zigzag_length(l.body_bytes)) + l.body_bytes;
	return l;
}

/* Up to the value. */
static inline uint8_t *
put_prefix(uint8_t *at, const struct layout *l, const struct pst_record *r)
{
	at = put_varint(at, zigzag_length(l->body_bytes));
	*at++ = 0; /* attributes: none are defined */
	at = put_varint(at, l->timestamp_delta_z);
	at = put_varint(at, l->offset_delta_z);
	if (pst_likely(r->key)) {
		at = put_varint(at, zigzag_length(r->key_len));
		at = put_key(at, r->key, r->key_len);
	} else {
		*at++ = 1; /* -1: no key */
	}
	return put_varint(at, zigzag_length(r->value_len));
}

/* From the value's end: the headers. Names and lengths are constants in wire form. */
static inline uint8_t *
put_suffix(uint8_t *at, const struct pst_record *r)
{
	*at++ = (uint8_t)zigzag_length(r->has_seq + r->has_ts_ns + (r->rule_cnt > 0) +
				       (r->reason != NULL) + (r->listener != NULL));
	if (r->has_seq) {
		memcpy(at, "\x06seq\x10", 5);
		pst_store_be64(at + 5, r->seq);
		at += SEQ_HEADER_BYTES;
	}
	if (r->has_ts_ns) {
		memcpy(at, "\x0ats_ns\x10", 7);
		pst_store_be64(at + 7, r->ts_ns);
		at += TS_NS_HEADER_BYTES;
	}
	if (r->rule_cnt > 0) {
		memcpy(at, "\x0arules", RULES_HEADER_KEY_BYTES);
		at = put_varint(at + RULES_HEADER_KEY_BYTES, zigzag_length(4u * r->rule_cnt));
		for (uint32_t i = 0; i < r->rule_cnt; i++, at += 4)
			pst_store_be32(at, r->rule_ids[i]);
	}
	if (pst_unlikely(r->reason != NULL)) {
		memcpy(at, "\x0creason", REASON_HEADER_KEY_BYTES);
		at = put_text(at + REASON_HEADER_KEY_BYTES, r->reason);
	}
	if (pst_unlikely(r->listener != NULL)) {
		memcpy(at, "\x10listener", LISTENER_HEADER_KEY_BYTES);
		at = put_text(at + LISTENER_HEADER_KEY_BYTES, r->listener);
	}
	return at;
}

/* ---- blocks ---- */

/* The bytes that a block and the EndMark need at the worst are exact, as LZ4 frames store raw what
 * does not compress: 4 + len, and 4. So with `room` bytes left in buf, records that fill n blocks
 * fit if they are at most room - 4 - 4n. */
static void
renew_limits(struct pst_batch_encoder *enc)
{
	uint32_t room = PST_BATCH_WIRE_BYTES_MAX - enc->wire_bytes;
	uint32_t block_max = PST_BATCH_WIRE_BYTES_MAX;
	if (enc->lz4) {
		block_max = PST_BATCH_BLOCK_BYTES;
		room -= LZ4_END_MARK_BYTES;
		uint32_t step = PST_BATCH_BLOCK_BYTES + LZ4_BLOCK_HEADER_BYTES;
		room -= (room + step - 1) / step * LZ4_BLOCK_HEADER_BYTES;
	}
	uint32_t raw_left = enc->raw_bytes_max > enc->flushed_bytes
				    ? enc->raw_bytes_max - enc->flushed_bytes
				    : 0;
	enc->pending_max = room < raw_left ? room : raw_left;
	enc->direct_max = enc->pending_max < block_max ? enc->pending_max : block_max;
}

static void
compress_block(struct pst_batch_encoder *enc)
{
	size_t n = LZ4F_compressUpdate(enc->lz4, enc->buf + enc->wire_bytes,
		PST_BATCH_WIRE_BYTES_MAX - enc->wire_bytes, enc->staging, enc->staged_bytes, NULL);
	PST_ASSERT(!LZ4F_isError(n));
	enc->wire_bytes += (uint32_t)n;
	enc->flushed_bytes += enc->staged_bytes;
	enc->staged_bytes = 0;
	renew_limits(enc);
}

/* Lays bytes over as many blocks as they need. */
static void
stage(struct pst_batch_encoder *enc, const uint8_t *src, uint32_t len)
{
	while (len > 0) {
		if (enc->staged_bytes == PST_BATCH_BLOCK_BYTES)
			compress_block(enc);
		uint32_t n = PST_BATCH_BLOCK_BYTES - enc->staged_bytes;
		if (n > len)
			n = len;
		memcpy(enc->staging + enc->staged_bytes, src, n);
		enc->staged_bytes += n;
		src += n;
		len -= n;
	}
}

static __attribute__((noinline)) void
append_split(struct pst_batch_encoder *enc, const struct layout *l, const struct pst_record *r)
{
	uint8_t part[PREFIX_BYTES_MAX > SUFFIX_BYTES_MAX ? PREFIX_BYTES_MAX : SUFFIX_BYTES_MAX];
	stage(enc, part, (uint32_t)(put_prefix(part, l, r) - part));
	stage(enc, r->value, r->value_len);
	stage(enc, part, (uint32_t)(put_suffix(part, r) - part));
}

static inline void
append_direct(struct pst_batch_encoder *enc, const struct layout *l, const struct pst_record *r)
{
	uint8_t *at = put_prefix(enc->staging + enc->staged_bytes, l, r);
	if (pst_likely(r->value_len > 0))
		memcpy(at, r->value, r->value_len);
	put_suffix(at + r->value_len, r);
	enc->staged_bytes += l->total_bytes;
}

/* ---- the encoder ---- */

int
pst_batch_encoder_create(const struct pst_batch_limits *limits, struct pst_batch_encoder **out)
{
	if (limits->raw_bytes_max == 0 || limits->raw_bytes_max > PST_BATCH_RAW_BYTES_MAX ||
		limits->record_cnt_max == 0 || limits->record_cnt_max > PST_BATCH_RECORD_CNT_MAX ||
		limits->lz4_acceleration < 0)
		return -EINVAL;
	struct pst_batch_encoder *enc = aligned_alloc(
		PST_CACHE_LINE, pst_align_up(sizeof(*enc), PST_CACHE_LINE));
	if (!enc)
		return -ENOMEM;
	*enc = (struct pst_batch_encoder){
		.raw_bytes_max = limits->raw_bytes_max,
		.record_cnt_max = limits->record_cnt_max,
	};
	if (limits->lz4_acceleration == 0) {
		*out = enc;
		return 0;
	}
	enc->lz4_prefs = (LZ4F_preferences_t){
		.frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
		/* LZ4F takes an acceleration of n as level 1 - n. */
		.compressionLevel = 1 - limits->lz4_acceleration,
		.autoFlush = 1,
	};
	PST_ASSERT(LZ4F_compressBound(PST_BATCH_BLOCK_BYTES, &enc->lz4_prefs) ==
		   PST_BATCH_BLOCK_BYTES + LZ4_BLOCK_HEADER_BYTES + LZ4_END_MARK_BYTES);
	enc->block = aligned_alloc(PST_CACHE_LINE, PST_BATCH_BLOCK_BYTES);
	uint8_t frame_header[LZ4F_HEADER_SIZE_MAX];
	if (!enc->block || LZ4F_isError(LZ4F_createCompressionContext(&enc->lz4, LZ4F_VERSION)) ||
		/* The first begin allocates: not in the data path. */
		LZ4F_compressBegin(enc->lz4, frame_header, sizeof(frame_header), &enc->lz4_prefs) !=
			LZ4_FRAME_HEADER_BYTES) {
		pst_batch_encoder_destroy(enc);
		return -ENOMEM;
	}
	memset(enc->block, 0, PST_BATCH_BLOCK_BYTES); /* its pages, too */
	*out = enc;
	return 0;
}

void
pst_batch_encoder_destroy(struct pst_batch_encoder *encoder)
{
	if (!encoder)
		return;
	LZ4F_freeCompressionContext(encoder->lz4);
	free(encoder->block);
	free(encoder);
}

void
pst_batch_begin(struct pst_batch_encoder *enc, uint8_t *buf)
{
	enc->buf = buf;
	enc->staged_bytes = 0;
	enc->flushed_bytes = 0;
	enc->record_cnt = 0;
	enc->wire_bytes = PST_BATCH_HEADER_BYTES;
	if (enc->lz4) {
		size_t n = LZ4F_compressBegin(enc->lz4, buf + enc->wire_bytes,
			PST_BATCH_WIRE_BYTES_MAX - enc->wire_bytes, &enc->lz4_prefs);
		PST_ASSERT(n == LZ4_FRAME_HEADER_BYTES);
		enc->wire_bytes += LZ4_FRAME_HEADER_BYTES;
		enc->staging = enc->block;
	} else {
		enc->staging = buf + PST_BATCH_HEADER_BYTES;
	}
	renew_limits(enc);
}

bool
pst_batch_append(struct pst_batch_encoder *enc, const struct pst_record *r)
{
	PST_ASSERT(enc->buf && r->key_len <= (r->key ? PST_BATCH_KEY_MAX : 0) &&
		   r->value_len <= PST_BATCH_VALUE_MAX && r->rule_cnt <= PST_BATCH_RULES_MAX);
	int64_t timestamp_ms = (int64_t)(r->ts_ns / 1000000);
	if (pst_unlikely(enc->record_cnt == 0)) {
		enc->base_timestamp_ms = timestamp_ms;
		enc->max_timestamp_ms = timestamp_ms;
	} else if (pst_unlikely(enc->record_cnt == enc->record_cnt_max)) {
		return false;
	}
	struct layout l = record_layout(enc, r, timestamp_ms);
	if (pst_likely(enc->staged_bytes + l.total_bytes <= enc->direct_max)) {
		append_direct(enc, &l, r);
	} else {
		if (enc->staged_bytes + l.total_bytes > enc->pending_max && enc->record_cnt > 0)
			return false;
		if (enc->lz4)
			append_split(enc, &l, r);
		else
			append_direct(enc, &l, r);
	}
	enc->record_cnt++;
	if (timestamp_ms > enc->max_timestamp_ms)
		enc->max_timestamp_ms = timestamp_ms;
	return true;
}

uint32_t
pst_batch_record_cnt(const struct pst_batch_encoder *encoder)
{
	return encoder->record_cnt;
}

uint32_t
pst_batch_raw_bytes(const struct pst_batch_encoder *encoder)
{
	return encoder->flushed_bytes + encoder->staged_bytes;
}

uint32_t
pst_batch_seal(struct pst_batch_encoder *enc)
{
	PST_ASSERT(enc->buf && enc->record_cnt > 0);
	uint8_t *b = enc->buf;
	if (enc->lz4) {
		compress_block(enc);
		size_t n = LZ4F_compressEnd(enc->lz4, b + enc->wire_bytes,
			PST_BATCH_WIRE_BYTES_MAX - enc->wire_bytes, NULL);
		PST_ASSERT(n == LZ4_END_MARK_BYTES);
		enc->wire_bytes += LZ4_END_MARK_BYTES;
	} else {
		enc->wire_bytes += enc->staged_bytes;
	}
	PST_ASSERT(enc->wire_bytes <= PST_BATCH_WIRE_BYTES_MAX);
	pst_batch_set_base_offset(b, 0, 0);
	pst_store_be32(b + WIRE_LENGTH, enc->wire_bytes - WIRE_LENGTH_END);
	b[WIRE_MAGIC] = MAGIC_V2;
	pst_store_be16(b + WIRE_ATTRIBUTES, enc->lz4 ? ATTRIBUTE_CODEC_LZ4 : ATTRIBUTE_CODEC_NONE);
	pst_store_be32(b + WIRE_LAST_OFFSET_DELTA, enc->record_cnt - 1);
	pst_store_be64(b + WIRE_BASE_TIMESTAMP, (uint64_t)enc->base_timestamp_ms);
	pst_store_be64(b + WIRE_MAX_TIMESTAMP, (uint64_t)enc->max_timestamp_ms);
	/* No idempotent producer: id, epoch and sequence are -1. */
	memset(b + WIRE_PRODUCER_ID, 0xff, WIRE_RECORD_CNT - WIRE_PRODUCER_ID);
	pst_store_be32(b + WIRE_RECORD_CNT, enc->record_cnt);
	pst_store_be32(b + WIRE_CRC,
		pst_batch_crc32c(0, b + WIRE_ATTRIBUTES, enc->wire_bytes - WIRE_ATTRIBUTES));
	enc->buf = NULL;
	return enc->wire_bytes;
}

void
pst_batch_set_base_offset(uint8_t *batch, int64_t base_offset, int32_t leader_epoch)
{
	pst_store_be64(batch + WIRE_BASE_OFFSET, (uint64_t)base_offset);
	pst_store_be32(batch + WIRE_LEADER_EPOCH, (uint32_t)leader_epoch);
}
