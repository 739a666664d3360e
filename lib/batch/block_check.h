/* What every block must be, for this library's tests: read by the LZ4 library to the same bytes,
 * and within what the format asks of a block's end, which not every decoder checks. */
#ifndef PST_BATCH_BLOCK_CHECK_H
#define PST_BATCH_BLOCK_CHECK_H

#include <lz4.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "batch/block.h"

/* The lengths that follow a token's nibble of 15. */
static inline uint32_t
block_check_length(const uint8_t **at, const uint8_t *end, uint32_t nibble)
{
	uint32_t n = nibble;
	if (nibble < 15)
		return n;
	for (uint8_t byte = 255; byte == 255; n += byte) {
		PST_ASSERT(*at < end);
		byte = *(*at)++;
	}
	return n;
}

/* Each match begins 12 bytes before the end or earlier, looks back to what is there, and ends 5
 * bytes before the end or earlier; the rest is literals. */
static inline void
block_check_format(const uint8_t *at, uint32_t packed_bytes, uint32_t len)
{
	const uint8_t *end = at + packed_bytes;
	uint32_t position = 0;
	for (;;) {
		PST_ASSERT(at < end);
		uint8_t token = *at++;
		uint32_t literals = block_check_length(&at, end, token >> 4);
		PST_ASSERT(literals <= (size_t)(end - at));
		at += literals;
		position += literals;
		if (at == end)
			break;
		PST_ASSERT(end - at >= 2);
		uint32_t distance = at[0] | (uint32_t)at[1] << 8;
		at += 2;
		PST_ASSERT(distance >= 1 && distance <= position && position + 12 <= len);
		position += block_check_length(&at, end, token & 15) + 4;
		PST_ASSERT(position + 5 <= len);
	}
	PST_ASSERT(position == len);
}

/* Compresses data from and into memory of just the size that is asked for, pads included. Returns
 * the compressed length, or 0. */
static inline uint32_t
block_check(const uint8_t *data, uint32_t len, const struct block_gap *gaps, uint32_t gap_cnt,
	int acceleration)
{
	static struct block_table table; /* left as the last one left it */
	uint8_t *padded = malloc(BLOCK_PAD_BEFORE + (size_t)len + BLOCK_PAD_BEHIND);
	uint8_t *packed = malloc(len), *back = malloc(len);
	PST_ASSERT(padded && packed && back);
	memset(padded, 0x5a, BLOCK_PAD_BEFORE + (size_t)len + BLOCK_PAD_BEHIND);
	memcpy(padded + BLOCK_PAD_BEFORE, data, len);
	uint32_t n = block_compress(
		&table, padded + BLOCK_PAD_BEFORE, len, gaps, gap_cnt, acceleration, packed);
	PST_ASSERT(n < len);
	if (n > 0) {
		block_check_format(packed, n, len);
		int got = LZ4_decompress_safe((const char *)packed, (char *)back, (int)n, (int)len);
		PST_ASSERT(got == (int)len && memcmp(back, data, len) == 0);
	}
	free(padded);
	free(packed);
	free(back);
	return n;
}

#endif
