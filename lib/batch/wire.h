/* Offsets and constants of the record batch on the wire; private to this library.
 * docs/segment-format.md has the picture. All integers are big-endian. */
#ifndef PST_BATCH_WIRE_H
#define PST_BATCH_WIRE_H

#include <assert.h>
#include <stdint.h>

#include "batch/batch.h"

enum {
	WIRE_BASE_OFFSET = 0,
	WIRE_LENGTH = 8, /* of what follows this field */
	WIRE_LEADER_EPOCH = 12,
	WIRE_MAGIC = 16,
	WIRE_CRC = 17,
	WIRE_ATTRIBUTES = 21, /* the CRC covers from here to the end */
	WIRE_LAST_OFFSET_DELTA = 23,
	WIRE_BASE_TIMESTAMP = 27,
	WIRE_MAX_TIMESTAMP = 35,
	WIRE_PRODUCER_ID = 43,
	WIRE_PRODUCER_EPOCH = 51,
	WIRE_BASE_SEQUENCE = 53,
	WIRE_RECORD_CNT = 57,
	WIRE_RECORDS = 61,

	WIRE_LENGTH_END = WIRE_LENGTH + 4,

	MAGIC_V2 = 2,

	ATTRIBUTE_CODEC_MASK = 0x07,
	ATTRIBUTE_CODEC_NONE = 0,
	ATTRIBUTE_CODEC_LZ4 = 3,
	ATTRIBUTE_LOG_APPEND_TIME = 0x08, /* every record reads the batch's max timestamp */
	ATTRIBUTE_KNOWN_MASK = 0x7f,

	/* LZ4 frame: magic, FLG, BD, header checksum; 4 bytes before each block; EndMark. */
	LZ4_FRAME_HEADER_BYTES = 7,
	LZ4_BLOCK_HEADER_BYTES = 4, /* length, and in the highest bit: */
	LZ4_END_MARK_BYTES = 4,
};

#define LZ4_BLOCK_STORED 0x80000000u /* not compressed */

static_assert(WIRE_RECORDS == PST_BATCH_HEADER_BYTES, "header size");

#endif
