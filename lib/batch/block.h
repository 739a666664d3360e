/* One block of records into the LZ4 block format (github.com/lz4/lz4, doc/lz4_Block_format.md), as
 * any LZ4 decoder reads it. Private to this library.
 *
 *   ...value|hdr cnt|seq|ts_ns|rules|len|attr|deltas|key|value len|value...
 *           ^from       ^ts_ns ^rules                ^key          ^value
 *            <--------------------- gap ------------------------->
 *
 * What lies between two values is the same from record to record but for a few bytes at known
 * places. An encoder that knows the places looks for a match at the start of each field alone,
 * instead of at every byte: less work than the LZ4 library's, and matches that are longer, as one
 * found at a value reaches back over the key. Within values, and wherever no gap is told, it
 * searches as the library does. */
#ifndef PST_BATCH_BLOCK_H
#define PST_BATCH_BLOCK_H

#include "batch/batch.h"

#define BLOCK_GAPS_MAX   2048 /* of a block; records beyond them are searched as plain bytes */
#define BLOCK_PAD_BEFORE 8    /* bytes that may be read in front of a block, */
#define BLOCK_PAD_BEHIND 16   /* and behind it: whatever they hold */

/* Positions in the block, none behind the one below it. A wrong one costs compression, no more,
 * as long as value is within the block. */
struct block_gap {
	uint16_t from;  /* end of the value before, or of what else is searched byte by byte */
	uint16_t ts_ns; /* that header and the next one, of the record before; 0, or where it */
	uint16_t rules; /* would be: has none */
	uint16_t key;   /* its length field */
	uint16_t value;
};

enum { BLOCK_HASH_BITS = 13 };

/* Where bytes like these were seen last. One for each encoder; as large as half of an L1 cache. */
struct block_table {
	uint16_t position[1 << BLOCK_HASH_BITS];
};

/* Compresses src[0 .. len), len up to PST_BATCH_BLOCK_BYTES, and returns the compressed length; or
 * 0 if it gains nothing worth a mention, and the block is to be stored as it is. Of dst, at most
 * len bytes are written, in either case. acceleration from 1, as the LZ4 library's: more gives up
 * sooner where nothing matches. */
uint32_t block_compress(struct block_table *table, const uint8_t *src, uint32_t len,
	const struct block_gap *gaps, uint32_t gap_cnt, int acceleration, uint8_t *dst);

#endif
