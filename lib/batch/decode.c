/* Batches read from bytes that anyone may have written: Kafka clients, a torn write, an attacker.
 * Every length is checked against what is there before it is used. */
#include <errno.h>
#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "batch/wire.h"

struct pst_batch_decoder {
	LZ4F_dctx *lz4;
	uint8_t *raw; /* the records, uncompressed: raw_bytes_max and one byte */
	uint32_t raw_bytes_max;
	const uint8_t *at, *end;
	struct pst_batch_info info;
	uint32_t read_cnt;
	int64_t last_delta;       /* offset delta of the record before, -1 at first */
	int64_t max_timestamp_ms; /* of the records so far */
	enum pst_batch_verdict verdict;
};

const char *
pst_batch_verdict_name(enum pst_batch_verdict verdict)
{
	static const char *const names[PST_BATCH_VERDICT_CNT] = {
		[PST_BATCH_OK] = "ok",
		[PST_BATCH_SHORT] = "short",
		[PST_BATCH_ZEROS] = "zeros",
		[PST_BATCH_LENGTH] = "length",
		[PST_BATCH_MAGIC] = "magic",
		[PST_BATCH_CRC] = "crc",
		[PST_BATCH_HEADER] = "header",
		[PST_BATCH_CODEC] = "codec",
		[PST_BATCH_LZ4] = "lz4",
		[PST_BATCH_RECORD] = "record",
	};
	return (unsigned)verdict < PST_BATCH_VERDICT_CNT ? names[verdict] : "unknown";
}

/* ---- header ---- */

static bool
all_zeros(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] != 0)
			return false;
	return true;
}

static enum pst_batch_verdict
check_fields(const struct pst_batch_info *info)
{
	if (info->attributes & ~ATTRIBUTE_KNOWN_MASK)
		return PST_BATCH_HEADER;
	if (info->base_offset < 0 || info->last_offset_delta > INT32_MAX ||
		info->base_offset > INT64_MAX - (int64_t)info->last_offset_delta)
		return PST_BATCH_HEADER;
	/* Compaction leaves gaps, so there may be fewer records than offsets; never more. */
	if (info->record_cnt == 0 || info->record_cnt - 1 > info->last_offset_delta)
		return PST_BATCH_HEADER;
	if (info->base_timestamp_ms < -1 || info->max_timestamp_ms < -1)
		return PST_BATCH_HEADER;
	uint32_t codec = info->attributes & ATTRIBUTE_CODEC_MASK;
	if (codec != ATTRIBUTE_CODEC_NONE && codec != ATTRIBUTE_CODEC_LZ4)
		return PST_BATCH_CODEC;
	return PST_BATCH_OK;
}

enum pst_batch_verdict
pst_batch_peek(const uint8_t *data, size_t len, struct pst_batch_info *info)
{
	if (len < PST_BATCH_HEADER_BYTES)
		return PST_BATCH_SHORT;
	if (all_zeros(data, PST_BATCH_HEADER_BYTES))
		return PST_BATCH_ZEROS;
	uint32_t rest_bytes = pst_load_be32(data + WIRE_LENGTH);
	if (rest_bytes < PST_BATCH_HEADER_BYTES - WIRE_LENGTH_END ||
		rest_bytes > PST_BATCH_RAW_BYTES_MAX - WIRE_LENGTH_END)
		return PST_BATCH_LENGTH;
	if (data[WIRE_MAGIC] != MAGIC_V2)
		return PST_BATCH_MAGIC;
	struct pst_batch_info found = {
		.base_offset = (int64_t)pst_load_be64(data + WIRE_BASE_OFFSET),
		.total_bytes = rest_bytes + WIRE_LENGTH_END,
		.leader_epoch = (int32_t)pst_load_be32(data + WIRE_LEADER_EPOCH),
		.last_offset_delta = pst_load_be32(data + WIRE_LAST_OFFSET_DELTA),
		.record_cnt = pst_load_be32(data + WIRE_RECORD_CNT),
		.base_timestamp_ms = (int64_t)pst_load_be64(data + WIRE_BASE_TIMESTAMP),
		.max_timestamp_ms = (int64_t)pst_load_be64(data + WIRE_MAX_TIMESTAMP),
		.attributes = pst_load_be16(data + WIRE_ATTRIBUTES),
	};
	enum pst_batch_verdict verdict = check_fields(&found);
	if (verdict == PST_BATCH_OK)
		*info = found;
	return verdict;
}

enum pst_batch_verdict
pst_batch_check(const uint8_t *data, size_t len, struct pst_batch_info *info)
{
	struct pst_batch_info found;
	enum pst_batch_verdict verdict = pst_batch_peek(data, len, &found);
	if (verdict != PST_BATCH_OK)
		return verdict;
	if (len < found.total_bytes)
		return PST_BATCH_SHORT;
	uint32_t crc = pst_batch_crc32c(
		0, data + WIRE_ATTRIBUTES, found.total_bytes - WIRE_ATTRIBUTES);
	if (crc != pst_load_be32(data + WIRE_CRC))
		return PST_BATCH_CRC;
	*info = found;
	return PST_BATCH_OK;
}

/* ---- records out of their codec ---- */

/* Exactly one frame of the kind that every Kafka client reads: independent blocks, no dictionary,
 * EndMark, nothing behind it. liblz4 checks the checksums, the block sizes and the content size. */
static enum pst_batch_verdict
decompress(struct pst_batch_decoder *dec, const uint8_t *src, size_t len, size_t *raw_bytes)
{
	enum {
		FLG = 4,
		FLG_INDEPENDENT = 0x20,
		FLG_DICTIONARY = 0x01,
	};
	if (len < LZ4_FRAME_HEADER_BYTES ||
		memcmp(src, (const uint8_t[]){0x04, 0x22, 0x4d, 0x18}, 4) != 0)
		return PST_BATCH_LZ4;
	if (!(src[FLG] & FLG_INDEPENDENT) || (src[FLG] & FLG_DICTIONARY))
		return PST_BATCH_LZ4;
	LZ4F_resetDecompressionContext(dec->lz4);
	size_t used = 0, left = 1;
	while (left != 0) {
		/* One byte more than allowed, so that "exactly full" and "too much" differ. */
		size_t in = len, out = (size_t)dec->raw_bytes_max + 1 - used;
		left = LZ4F_decompress(dec->lz4, dec->raw + used, &out, src, &in, NULL);
		if (LZ4F_isError(left) || (in == 0 && out == 0 && left != 0))
			return PST_BATCH_LZ4;
		used += out;
		src += in;
		len -= in;
		if (used > dec->raw_bytes_max)
			return PST_BATCH_LZ4;
	}
	if (len != 0)
		return PST_BATCH_LZ4;
	*raw_bytes = used;
	return PST_BATCH_OK;
}

int
pst_batch_decoder_create(uint32_t raw_bytes_max, struct pst_batch_decoder **out)
{
	struct pst_batch_decoder *dec = calloc(1, sizeof(*dec));
	if (!dec)
		return -ENOMEM;
	/* Address space only: pages come as batches fill them. */
	dec->raw = malloc((size_t)raw_bytes_max + 1);
	dec->raw_bytes_max = raw_bytes_max;
	if (!dec->raw || LZ4F_isError(LZ4F_createDecompressionContext(&dec->lz4, LZ4F_VERSION))) {
		pst_batch_decoder_destroy(dec);
		return -ENOMEM;
	}
	*out = dec;
	return 0;
}

void
pst_batch_decoder_destroy(struct pst_batch_decoder *decoder)
{
	if (!decoder)
		return;
	LZ4F_freeDecompressionContext(decoder->lz4);
	free(decoder->raw);
	free(decoder);
}

enum pst_batch_verdict
pst_batch_decoder_open(struct pst_batch_decoder *dec, const uint8_t *data, size_t len)
{
	dec->info = (struct pst_batch_info){0};
	dec->at = dec->end = dec->raw;
	dec->read_cnt = 0;
	dec->last_delta = -1;
	dec->max_timestamp_ms = INT64_MIN;
	dec->verdict = pst_batch_check(data, len, &dec->info);
	if (dec->verdict != PST_BATCH_OK)
		return dec->verdict;
	const uint8_t *records = data + WIRE_RECORDS;
	size_t records_bytes = dec->info.total_bytes - WIRE_RECORDS, raw_bytes = records_bytes;
	if ((dec->info.attributes & ATTRIBUTE_CODEC_MASK) == ATTRIBUTE_CODEC_LZ4)
		dec->verdict = decompress(dec, records, records_bytes, &raw_bytes);
	else if (records_bytes > dec->raw_bytes_max)
		dec->verdict = PST_BATCH_LENGTH;
	else
		memcpy(dec->raw, records, records_bytes);
	if (dec->verdict == PST_BATCH_OK)
		dec->end = dec->raw + raw_bytes;
	return dec->verdict;
}

/* ---- records ---- */

/* Zigzag LEB128 of up to `bits` bits: false if it ends early or holds more. */
static inline bool
get_varint(const uint8_t **at, const uint8_t *end, unsigned bits, int64_t *out)
{
	uint64_t z = 0;
	const uint8_t *p = *at;
	for (unsigned shift = 0; shift < bits; shift += 7) {
		if (p == end)
			return false;
		uint8_t byte = *p++;
		if (bits - shift < 7 && (byte >> (bits - shift)) != 0)
			return false;
		z |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*at = p;
			*out = (int64_t)(z >> 1) ^ -(int64_t)(z & 1);
			return true;
		}
	}
	return false;
}

/* A length and so many bytes; min is 0, or -1 where "none" is allowed (*bytes is NULL then). */
static inline bool
get_bytes(const uint8_t **at, const uint8_t *end, int64_t min, const uint8_t **bytes, uint32_t *len)
{
	int64_t n;
	if (!get_varint(at, end, 32, &n) || n < min || n > end - *at)
		return false;
	*bytes = n < 0 ? NULL : *at;
	*len = n < 0 ? 0 : (uint32_t)n;
	*at += *len;
	return true;
}

static void
note_header(struct pst_batch_record *record, const struct pst_batch_header *h)
{
	if (h->key_len == 3 && memcmp(h->key, "seq", 3) == 0 && h->value_len == 8) {
		record->has_seq = true;
		record->seq = pst_load_be64(h->value);
	} else if (h->key_len == 5 && memcmp(h->key, "ts_ns", 5) == 0 && h->value_len == 8) {
		record->has_ts_ns = true;
		record->ts_ns = pst_load_be64(h->value);
	} else if (h->key_len == 5 && memcmp(h->key, "rules", 5) == 0 && h->value_len % 4 == 0) {
		record->rules = h->value;
		record->rule_cnt = h->value_len / 4;
	}
}

static inline bool
get_header(const uint8_t **at, const uint8_t *end, struct pst_batch_header *h)
{
	return get_bytes(at, end, 0, &h->key, &h->key_len) &&
	       get_bytes(at, end, -1, &h->value, &h->value_len);
}

bool
pst_batch_header_next(
	const struct pst_batch_record *record, uint32_t *pos, struct pst_batch_header *header)
{
	if (*pos >= record->headers_len)
		return false;
	const uint8_t *at = record->headers + *pos;
	if (!get_header(&at, record->headers + record->headers_len, header))
		return false;
	*pos = (uint32_t)(at - record->headers);
	return true;
}

/* The record's body, which must fill at .. end exactly. */
static bool
get_record(struct pst_batch_decoder *dec, const uint8_t *at, const uint8_t *end,
	struct pst_batch_record *record)
{
	int64_t timestamp_delta, offset_delta, header_cnt;
	if (at == end)
		return false;
	at++; /* attributes: none are defined, Kafka does not look either */
	if (!get_varint(&at, end, 64, &timestamp_delta) ||
		!get_varint(&at, end, 32, &offset_delta) ||
		!get_bytes(&at, end, -1, &record->key, &record->key_len) ||
		!get_bytes(&at, end, -1, &record->value, &record->value_len) ||
		!get_varint(&at, end, 32, &header_cnt) || header_cnt < 0)
		return false;
	record->headers = at;
	record->headers_len = (uint32_t)(end - at);
	record->header_cnt = (uint32_t)header_cnt;
	for (int64_t i = 0; i < header_cnt; i++) {
		struct pst_batch_header h;
		if (!get_header(&at, end, &h))
			return false;
		note_header(record, &h);
	}
	if (at != end || offset_delta <= dec->last_delta ||
		offset_delta > (int64_t)dec->info.last_offset_delta ||
		__builtin_add_overflow(
			dec->info.base_timestamp_ms, timestamp_delta, &record->timestamp_ms))
		return false;
	dec->last_delta = offset_delta;
	record->offset = dec->info.base_offset + offset_delta;
	if (record->timestamp_ms > dec->max_timestamp_ms)
		dec->max_timestamp_ms = record->timestamp_ms;
	if (dec->info.attributes & ATTRIBUTE_LOG_APPEND_TIME)
		record->timestamp_ms = dec->info.max_timestamp_ms;
	return true;
}

static int
damage(struct pst_batch_decoder *dec, enum pst_batch_verdict what, enum pst_batch_verdict *verdict)
{
	dec->verdict = what;
	*verdict = what;
	return -1;
}

int
pst_batch_decoder_next(struct pst_batch_decoder *dec, struct pst_batch_record *record,
	enum pst_batch_verdict *verdict)
{
	if (dec->verdict != PST_BATCH_OK)
		return damage(dec, dec->verdict, verdict);
	if (dec->read_cnt == dec->info.record_cnt) {
		if (dec->at != dec->end)
			return damage(dec, PST_BATCH_RECORD, verdict);
		/* The time index is built from the header's word: it must be true. */
		if (dec->read_cnt > 0 && !(dec->info.attributes & ATTRIBUTE_LOG_APPEND_TIME) &&
			dec->max_timestamp_ms != dec->info.max_timestamp_ms)
			return damage(dec, PST_BATCH_HEADER, verdict);
		return 0;
	}
	struct pst_batch_record found = {0};
	const uint8_t *body;
	uint32_t body_bytes;
	if (!get_bytes(&dec->at, dec->end, 0, &body, &body_bytes) ||
		!get_record(dec, body, body + body_bytes, &found))
		return damage(dec, PST_BATCH_RECORD, verdict);
	dec->read_cnt++;
	*record = found;
	return 1;
}
