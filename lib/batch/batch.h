/* Kafka record batch v2, built and read: docs/segment-format.md has it byte by byte.
 *
 *   0            8       12      16  17    21     23     27     35     43  51 53  57     61
 *   | baseOffset | length | epoch | 2 | crc | attr | last | base | max  | -1 |-1|-1 | cnt | records
 *                                          Δoff    ts ms  ts ms                      (LZ4 frame)
 *
 * Base offset and epoch lie outside the CRC: the writer patches them into a sealed batch.
 * Encoder: records are laid down in wire form in a 64 KiB staging area; each time it is full it is
 * compressed as one independent block of the LZ4 frame under construction, so the longest pause of
 * the caller is one block (two, for a record as long as a block). After a block that became smaller
 * by less than an eighth, the next 15 are stored as they are: what they hold depends on the records
 * that the encoder was given, and on nothing else. */
#ifndef PST_BATCH_H
#define PST_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PST_BATCH_HEADER_BYTES   61
#define PST_BATCH_WIRE_BYTES_MAX 1000000             /* sealed, below Kafka's 1 MiB default */
#define PST_BATCH_RAW_BYTES_MAX  (16u * 1024 * 1024) /* uncompressed: the limit for readers */
#define PST_BATCH_BLOCK_BYTES    65536
#define PST_BATCH_VALUE_MAX      65535 /* no datagram is longer */
#define PST_BATCH_KEY_MAX        64
#define PST_BATCH_RULES_MAX      16
#define PST_BATCH_TEXT_MAX       63
#define PST_BATCH_RECORD_CNT_MAX 1000000

/* ---- encoder: one per open batch of an rx lcore; no allocation after init ---- */

struct pst_batch_encoder;

struct pst_batch_limits {
	uint32_t raw_bytes_max;  /* records, uncompressed; up to PST_BATCH_RAW_BYTES_MAX */
	uint32_t record_cnt_max; /* up to PST_BATCH_RECORD_CNT_MAX */
	int lz4_acceleration;    /* 1 ..; 0: codec none, records stored plain */
};

struct pst_record {
	const void *key; /* at most PST_BATCH_KEY_MAX bytes */
	uint32_t key_len;
	const void *value; /* at most PST_BATCH_VALUE_MAX bytes */
	uint32_t value_len;
	uint64_t ts_ns;    /* arrival; the record's timestamp is in milliseconds */
	bool has_seq;      /* header "seq": 8 bytes, big-endian */
	bool has_ts_ns;    /* header "ts_ns": 8 bytes, big-endian */
	uint16_t rule_cnt; /* header "rules": 4 bytes big-endian each; none if 0 */
	uint64_t seq;
	const uint32_t *rule_ids;
	/* Quarantine only, at most PST_BATCH_TEXT_MAX bytes each; NULL: no such header. */
	const char *reason;   /* header "reason" */
	const char *listener; /* header "listener" */
};

/* Allocates and warms an encoder (LZ4 context, staging). Set-up only. 0 or -ENOMEM, -EINVAL. */
int pst_batch_encoder_create(const struct pst_batch_limits *limits, struct pst_batch_encoder **out);
void pst_batch_encoder_destroy(struct pst_batch_encoder *encoder);
/* What create allocates. */
uint64_t pst_batch_encoder_bytes(const struct pst_batch_limits *limits);

/* Opens a batch in buf, at least PST_BATCH_WIRE_BYTES_MAX bytes, the caller's until sealed. */
void pst_batch_begin(struct pst_batch_encoder *encoder, uint8_t *buf);

/* Appends a record. False: it does not fit (bytes, count, or worst case of the compressed size);
 * the batch is unchanged: seal it and begin another. A batch with no record accepts any record. */
bool pst_batch_append(struct pst_batch_encoder *encoder, const struct pst_record *record);

uint32_t pst_batch_record_cnt(const struct pst_batch_encoder *encoder);
uint32_t pst_batch_raw_bytes(const struct pst_batch_encoder *encoder);

/* Completes header, EndMark and CRC. Returns the batch's length in buf; needs at least one record.
 * baseOffset and epoch are 0 until patched. */
uint32_t pst_batch_seal(struct pst_batch_encoder *encoder);

/* How many record bytes of the batch sealed last are stored uncompressed, as compression would gain
 * too little. 0 with codec none, where nobody tried. Until the next begin. */
uint32_t pst_batch_plain_bytes(const struct pst_batch_encoder *encoder);

/* Patches base offset and partition leader epoch into a sealed batch. */
void pst_batch_set_base_offset(uint8_t *batch, int64_t base_offset, int32_t leader_epoch);

/* CRC-32C (Castagnoli), any length, any alignment. Start with crc 0. */
uint32_t pst_batch_crc32c(uint32_t crc, const void *data, size_t len);

/* ---- decoder: foreign bytes ---- */

enum pst_batch_verdict {
	PST_BATCH_OK,
	PST_BATCH_SHORT,  /* more bytes needed: torn, or the end */
	PST_BATCH_ZEROS,  /* nothing but zeros where the header should be */
	PST_BATCH_LENGTH, /* length impossible or beyond the limits */
	PST_BATCH_MAGIC,
	PST_BATCH_CRC,
	PST_BATCH_HEADER, /* attributes, counts or deltas that contradict each other */
	PST_BATCH_CODEC,  /* not none or LZ4 */
	PST_BATCH_LZ4,    /* frame damaged, of another kind, or beyond the limits */
	PST_BATCH_RECORD, /* a record's lengths do not add up */
	PST_BATCH_VERDICT_CNT
};
const char *pst_batch_verdict_name(enum pst_batch_verdict verdict);

struct pst_batch_info {
	int64_t base_offset;
	uint32_t total_bytes; /* of the batch, header included */
	int32_t leader_epoch;
	uint32_t last_offset_delta;
	uint32_t record_cnt;
	int64_t base_timestamp_ms;
	int64_t max_timestamp_ms;
	uint16_t attributes;
};

/* Reads the header at data (len bytes are there). Checks all but CRC and records; SHORT if fewer
 * than the header's own bytes are there (the batch body need not be). */
enum pst_batch_verdict pst_batch_peek(const uint8_t *data, size_t len, struct pst_batch_info *info);

/* Header, whole length and CRC. Bytes behind the batch are not looked at. */
enum pst_batch_verdict pst_batch_check(
	const uint8_t *data, size_t len, struct pst_batch_info *info);

struct pst_batch_record {
	int64_t offset;
	int64_t timestamp_ms;
	const uint8_t *key; /* NULL: none */
	uint32_t key_len;
	const uint8_t *value; /* NULL: none */
	uint32_t value_len;
	bool has_seq, has_ts_ns;
	uint64_t seq, ts_ns;
	const uint8_t *rules; /* big-endian 32-bit ids */
	uint32_t rule_cnt;
	const uint8_t *headers; /* wire form of all headers, header_cnt of them */
	uint32_t headers_len;
	uint32_t header_cnt;
};

/* One header of a record, as read from pst_batch_record.headers. */
struct pst_batch_header {
	const uint8_t *key;
	uint32_t key_len;
	const uint8_t *value; /* NULL: none */
	uint32_t value_len;
};

/* Steps through a record's headers: *pos is 0 at first. False: no more. The record must come from
 * a decoder, which has checked the lengths. */
bool pst_batch_header_next(
	const struct pst_batch_record *record, uint32_t *pos, struct pst_batch_header *header);

struct pst_batch_decoder;

/* Set-up; holds the decompressed records, up to raw_bytes_max: PST_BATCH_RAW_BYTES_MAX takes every
 * batch that may be. */
int pst_batch_decoder_create(uint32_t raw_bytes_max, struct pst_batch_decoder **out);
void pst_batch_decoder_destroy(struct pst_batch_decoder *decoder);

/* Checks CRC and decompresses. Records point into the decoder until the next open. */
enum pst_batch_verdict pst_batch_decoder_open(
	struct pst_batch_decoder *decoder, const uint8_t *data, size_t len);

/* 1: *record filled; 0: no more, and everything added up; -1: damage, *verdict says what. */
int pst_batch_decoder_next(struct pst_batch_decoder *decoder, struct pst_batch_record *record,
	enum pst_batch_verdict *verdict);

#endif
