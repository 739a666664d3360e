/* Records into a batch. The staging area holds the open block:
 *
 *   staging  |r r r r r r r r|free......|            PST_BATCH_BLOCK_BYTES
 *                            ^staged_bytes
 *   buf      |header|frame header|block|block|free.............|      PST_BATCH_WIRE_BYTES_MAX
 *                                            ^wire_bytes
 *
 * With codec none the staging area is the rest of buf itself, and nothing is ever moved. With LZ4,
 * where the fixed parts of the staged records lie is noted for the compression: block.h.
 *
 * pending_max is what staging may hold, the record at hand included, such that even data that does
 * not compress ends within buf; it only changes when a block is compressed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/stages.h"
#include "batch/block.h"
#include "batch/wire.h"

struct pst_batch_encoder {
	/* Touched by every record. */
	uint8_t *staging;
	uint32_t staging_bytes; /* its size */
	uint32_t staged_bytes;  /* in use */
	uint32_t direct_max;    /* up to here a record is written in one go: within one block */
	uint32_t pending_max;
	uint32_t record_cnt;
	uint32_t record_cnt_max;
	int64_t base_timestamp_ms;
	int64_t max_timestamp_ms;
	uint32_t gap_cnt;
	uint32_t gap_cnt_max; /* 0: codec none */
	/* Touched once a block or batch. */
	uint8_t *buf; /* NULL: no batch is open */
	uint32_t wire_bytes;
	uint32_t flushed_bytes; /* records already compressed, in uncompressed bytes */
	uint32_t raw_bytes_max;
	uint32_t plain_bytes;  /* records of flushed_bytes that are stored as they are */
	uint32_t plain_blocks; /* so many blocks more without trying to compress them */
	int lz4_acceleration;
	struct lz4 *lz4; /* NULL: codec none */
} PST_CACHE_ALIGNED;

struct lz4 {
	struct block_table table;
	struct block_gap gaps[BLOCK_GAPS_MAX + 1]; /* the last: its record is yet to come */
	uint8_t before[PST_CACHE_LINE];            /* the pads' room */
	uint8_t block[PST_BATCH_BLOCK_BYTES];
	uint8_t behind[PST_CACHE_LINE];
} PST_CACHE_ALIGNED;

static_assert(BLOCK_PAD_BEFORE <= PST_CACHE_LINE && BLOCK_PAD_BEHIND <= PST_CACHE_LINE, "pads");

/* Magic; version 01, independent blocks; blocks up to 64 KiB; xxHash of the two bytes before. */
static const uint8_t lz4_frame_header[LZ4_FRAME_HEADER_BYTES] = {
	0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82};

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
	OVERHEAD_BYTES_MAX = PREFIX_BYTES_MAX + SUFFIX_BYTES_MAX,
	RECORD_BYTES_MAX = OVERHEAD_BYTES_MAX + PST_BATCH_VALUE_MAX,
	/* Small deltas and a sequence number: only used to foresee the size of a length. */
	TYPICAL_OVERHEAD_BYTES = 8 + SEQ_HEADER_BYTES,
};

/* Where a block becomes smaller by less than one GAIN_MIN-th, as many blocks are stored as they are
 * before the next is tried: most of what compression costs is saved, and when traffic changes, less
 * than a megabyte is larger than need be. */
enum { GAIN_MIN = 8, PLAIN_BLOCKS = 15 };

/* An empty batch takes any record, in both codecs, whatever the limits say. */
static_assert(PST_BATCH_HEADER_BYTES + LZ4_FRAME_HEADER_BYTES + RECORD_BYTES_MAX +
			      3 * LZ4_BLOCK_HEADER_BYTES + LZ4_END_MARK_BYTES <=
		      PST_BATCH_WIRE_BYTES_MAX,
	"largest record");

/* ---- varints: zigzag, then 7 bits a byte, lowest first ---- */

/* Every length, count and offset here is below 2^20, so that it takes at most 3 bytes; comparing
 * is cheaper than counting bits. */
static_assert(RECORD_BYTES_MAX < 1 << 20 && PST_BATCH_RECORD_CNT_MAX < 1 << 20, "3 bytes do");

static inline uint32_t
length_bytes(uint32_t n)
{
	return 1 + (n >= 1u << 6) + (n >= 1u << 13);
}

static inline uint8_t *
put_length(uint8_t *at, uint32_t n)
{
	if (n < 1u << 6) {
		at[0] = (uint8_t)(n << 1);
		return at + 1;
	}
	at[0] = (uint8_t)(n << 1 | 0x80);
	if (n < 1u << 13) {
		at[1] = (uint8_t)(n >> 6);
		return at + 2;
	}
	at[1] = (uint8_t)(n >> 6 | 0x80);
	at[2] = (uint8_t)(n >> 13);
	return at + 3;
}

/* Timestamp deltas: a second's worth most of the time, but any number is legal. */
static inline uint64_t
zigzag(int64_t value)
{
	return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static inline uint32_t
varint_bytes(uint64_t z)
{
	uint32_t n = 1 + (z >= 1u << 7);
	while (pst_unlikely(z >= 1u << 14)) {
		z >>= 7;
		n++;
	}
	return n;
}

static inline uint8_t *
put_varint(uint8_t *at, uint64_t z)
{
	while (pst_unlikely(z >= 1u << 7)) {
		*at++ = (uint8_t)(z | 0x80);
		z >>= 7;
	}
	*at++ = (uint8_t)z;
	return at;
}

/* ---- a record ---- */

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
	at = put_length(at, len);
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
		n += RULES_HEADER_KEY_BYTES + length_bytes(value_bytes) + value_bytes;
	}
	if (pst_unlikely(r->reason != NULL))
		n += REASON_HEADER_KEY_BYTES + 1 + text_bytes(r->reason);
	if (pst_unlikely(r->listener != NULL))
		n += LISTENER_HEADER_KEY_BYTES + 1 + text_bytes(r->listener);
	return n;
}

/* What the record's length field will say. */
static uint32_t
record_body_bytes(const struct pst_record *r, uint64_t timestamp_delta_z, uint32_t offset_delta)
{
	return 1 + varint_bytes(timestamp_delta_z) + length_bytes(offset_delta) +
	       length_bytes(r->key_len) + r->key_len + length_bytes(r->value_len) + r->value_len +
	       suffix_bytes(r);
}

/* Between the length field and the value. *key: where the key's length is. */
static inline uint8_t *
put_prefix(uint8_t *at, uint64_t timestamp_delta_z, uint32_t offset_delta,
	const struct pst_record *r, uint8_t **key)
{
	*at++ = 0; /* attributes: none are defined */
	at = put_varint(at, timestamp_delta_z);
	at = put_length(at, offset_delta);
	*key = at;
	if (pst_likely(r->key)) {
		at = put_length(at, r->key_len);
		at = put_key(at, r->key, r->key_len);
	} else {
		*at++ = 1; /* -1: no key */
	}
	return put_length(at, r->value_len);
}

/* From the value's end: the headers. Names and lengths are constants in wire form. */
static inline __attribute__((always_inline)) uint8_t *
put_suffix(uint8_t *at, const struct pst_record *r)
{
	*at++ = (uint8_t)((r->has_seq + r->has_ts_ns + (r->rule_cnt > 0) + (r->reason != NULL) +
				  (r->listener != NULL))
			  << 1);
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
		at = put_length(at + RULES_HEADER_KEY_BYTES, 4u * r->rule_cnt);
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
	if (enc->lz4) {
		uint32_t step = PST_BATCH_BLOCK_BYTES + LZ4_BLOCK_HEADER_BYTES;
		room -= LZ4_END_MARK_BYTES;
		room -= (room + step - 1) / step * LZ4_BLOCK_HEADER_BYTES;
	}
	uint32_t raw_left = enc->raw_bytes_max > enc->flushed_bytes
				    ? enc->raw_bytes_max - enc->flushed_bytes
				    : 0;
	enc->pending_max = room < raw_left ? room : raw_left;
	enc->direct_max = enc->staging_bytes;
	if (enc->direct_max > enc->pending_max)
		enc->direct_max = enc->pending_max;
}

static inline void
put_le32(uint8_t *at, uint32_t v)
{
	v = htole32(v);
	memcpy(at, &v, sizeof(v));
}

/* Records that will not be compressed are laid down where they stay, behind their block's header.
 */
static void
open_block(struct pst_batch_encoder *enc)
{
	bool plain = enc->plain_blocks > 0;
	enc->staging = plain ? enc->buf + enc->wire_bytes + LZ4_BLOCK_HEADER_BYTES
			     : enc->lz4->block;
	enc->staging_bytes = PST_BATCH_BLOCK_BYTES;
	enc->staged_bytes = 0;
	enc->lz4->gaps[0] = (struct block_gap){0};
	enc->gap_cnt = 0;
	enc->gap_cnt_max = plain ? 0 : BLOCK_GAPS_MAX;
	renew_limits(enc);
}

/* Compresses the staged records into body, or lays them down as they are. Returns the block's
 * header. */
static uint32_t
fill_block(struct pst_batch_encoder *enc, uint8_t *body)
{
	uint32_t len = enc->staged_bytes, n = 0;
	if (enc->plain_blocks > 0) {
		enc->plain_blocks--;
	} else {
		n = block_compress(&enc->lz4->table, enc->staging, len, enc->lz4->gaps,
			enc->gap_cnt, enc->lz4_acceleration, body);
		/* A small block says little about those to come. */
		if (len >= PST_BATCH_BLOCK_BYTES / 2 && (n == 0 || len - n < len / GAIN_MIN))
			enc->plain_blocks = PLAIN_BLOCKS;
		if (n > 0)
			return n;
		memcpy(body, enc->staging, len);
	}
	enc->plain_bytes += len;
	return len | LZ4_BLOCK_STORED;
}

static void
close_block(struct pst_batch_encoder *enc)
{
	uint8_t *header = enc->buf + enc->wire_bytes;
	PST_ASSERT(enc->staged_bytes > 0); /* else it were the EndMark */
	enum pst_stage before = pst_stage_enter(PST_STAGE_COMPRESS);
	uint32_t value = fill_block(enc, header + LZ4_BLOCK_HEADER_BYTES);
	pst_stage_enter(before);
	put_le32(header, value);
	enc->wire_bytes += LZ4_BLOCK_HEADER_BYTES + (value & ~LZ4_BLOCK_STORED);
	enc->flushed_bytes += enc->staged_bytes;
}

/* Lays bytes over as many blocks as they need. */
static void
stage(struct pst_batch_encoder *enc, const uint8_t *src, uint32_t len)
{
	while (len > 0) {
		if (enc->staged_bytes == enc->staging_bytes) {
			close_block(enc);
			open_block(enc);
		}
		uint32_t n = enc->staging_bytes - enc->staged_bytes;
		if (n > len)
			n = len;
		memcpy(enc->staging + enc->staged_bytes, src, n);
		enc->staged_bytes += n;
		src += n;
		len -= n;
	}
}

/* A record across the edge of a block, or near the end of the batch: sized before it is written. */
static __attribute__((noinline)) bool
append_split(struct pst_batch_encoder *enc, const struct pst_record *r, uint64_t timestamp_delta_z)
{
	uint8_t part[PREFIX_BYTES_MAX > SUFFIX_BYTES_MAX ? PREFIX_BYTES_MAX : SUFFIX_BYTES_MAX];
	uint32_t offset_delta = enc->record_cnt;
	uint32_t body_bytes = record_body_bytes(r, timestamp_delta_z, offset_delta);
	uint32_t total_bytes = length_bytes(body_bytes) + body_bytes;
	if (enc->staged_bytes + total_bytes > enc->pending_max && enc->record_cnt > 0)
		return false;
	uint8_t *key, *at = put_length(part, body_bytes);
	at = put_prefix(at, timestamp_delta_z, offset_delta, r, &key);
	stage(enc, part, (uint32_t)(at - part));
	stage(enc, r->value, r->value_len);
	stage(enc, part, (uint32_t)(put_suffix(part, r) - part));
	if (enc->gap_cnt < enc->gap_cnt_max)
		enc->lz4->gaps[enc->gap_cnt] = (struct block_gap){
			.from = (uint16_t)enc->staged_bytes};
	return true;
}

/* Completes the gap in front of the value and begins the one behind it. */
static inline void
note_gap(struct pst_batch_encoder *enc, const struct pst_record *r, uint32_t key, uint32_t value)
{
	if (pst_unlikely(enc->gap_cnt == enc->gap_cnt_max))
		return;
	struct block_gap *gap = &enc->lz4->gaps[enc->gap_cnt++];
	uint32_t end = value + r->value_len;
	gap[0].key = (uint16_t)key;
	gap[0].value = (uint16_t)value;
	gap[1] = (struct block_gap){.from = (uint16_t)end};
	if (r->has_ts_ns || r->rule_cnt > 0) {
		end += 1 + r->has_seq * SEQ_HEADER_BYTES;
		gap[1].ts_ns = (uint16_t)end;
		gap[1].rules = (uint16_t)(end + r->has_ts_ns * TS_NS_HEADER_BYTES);
	}
}

/* A record that is sure to fit the open block: written at once, its length filled in behind. The
 * length's own size is foreseen from the event's; where that was wrong, the record moves. */
static inline void
append_direct(struct pst_batch_encoder *enc, const struct pst_record *r, uint64_t timestamp_delta_z)
{
	uint8_t *start = enc->staging + enc->staged_bytes;
	uint32_t foreseen = length_bytes(r->key_len + r->value_len + TYPICAL_OVERHEAD_BYTES);
	uint8_t *body = start + foreseen;
	uint8_t *key, *value = put_prefix(body, timestamp_delta_z, enc->record_cnt, r, &key);
	if (pst_likely(r->value_len > 0))
		memcpy(value, r->value, r->value_len);
	uint8_t *end = put_suffix(value + r->value_len, r);
	uint32_t body_bytes = (uint32_t)(end - body);
	uint32_t key_at = (uint32_t)(key - body), value_at = (uint32_t)(value - body);
	if (pst_unlikely(length_bytes(body_bytes) != foreseen))
		memmove(start + length_bytes(body_bytes), body, body_bytes);
	enc->staged_bytes = (uint32_t)(put_length(start, body_bytes) - enc->staging);
	note_gap(enc, r, enc->staged_bytes + key_at, enc->staged_bytes + value_at);
	enc->staged_bytes += body_bytes;
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
		.lz4_acceleration = limits->lz4_acceleration,
	};
	if (limits->lz4_acceleration > 0) {
		enc->lz4 = aligned_alloc(PST_CACHE_LINE, sizeof(*enc->lz4));
		if (!enc->lz4) {
			free(enc);
			return -ENOMEM;
		}
		memset(enc->lz4, 0, sizeof(*enc->lz4)); /* its pages, too */
	}
	*out = enc;
	return 0;
}

uint64_t
pst_batch_encoder_bytes(const struct pst_batch_limits *limits)
{
	return sizeof(struct pst_batch_encoder) +
	       (limits->lz4_acceleration ? sizeof(struct lz4) : 0);
}

void
pst_batch_encoder_destroy(struct pst_batch_encoder *encoder)
{
	if (!encoder)
		return;
	free(encoder->lz4);
	free(encoder);
}

void
pst_batch_begin(struct pst_batch_encoder *enc, uint8_t *buf)
{
	enc->buf = buf;
	enc->flushed_bytes = 0;
	enc->plain_bytes = 0;
	enc->record_cnt = 0;
	enc->wire_bytes = PST_BATCH_HEADER_BYTES;
	if (enc->lz4) {
		memcpy(buf + enc->wire_bytes, lz4_frame_header, LZ4_FRAME_HEADER_BYTES);
		enc->wire_bytes += LZ4_FRAME_HEADER_BYTES;
		open_block(enc);
		return;
	}
	enc->staging = buf + PST_BATCH_HEADER_BYTES;
	enc->staging_bytes = PST_BATCH_WIRE_BYTES_MAX - PST_BATCH_HEADER_BYTES;
	enc->staged_bytes = 0;
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
	uint64_t delta_z = zigzag(timestamp_ms - enc->base_timestamp_ms);
	if (pst_likely(enc->staged_bytes + r->value_len + OVERHEAD_BYTES_MAX <= enc->direct_max))
		append_direct(enc, r, delta_z);
	else if (!append_split(enc, r, delta_z))
		return false;
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
		close_block(enc);
		put_le32(b + enc->wire_bytes, 0); /* EndMark */
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
	enum pst_stage before = pst_stage_enter(PST_STAGE_CHECKSUM);
	pst_store_be32(b + WIRE_CRC,
		pst_batch_crc32c(0, b + WIRE_ATTRIBUTES, enc->wire_bytes - WIRE_ATTRIBUTES));
	pst_stage_enter(before);
	enc->buf = NULL;
	return enc->wire_bytes;
}

uint32_t
pst_batch_plain_bytes(const struct pst_batch_encoder *encoder)
{
	return encoder->plain_bytes;
}

void
pst_batch_set_base_offset(uint8_t *batch, int64_t base_offset, int32_t leader_epoch)
{
	pst_store_be64(batch + WIRE_BASE_OFFSET, (uint64_t)base_offset);
	pst_store_be32(batch + WIRE_LEADER_EPOCH, (uint32_t)leader_epoch);
}
