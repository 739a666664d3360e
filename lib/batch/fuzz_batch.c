/* Batches from foreign bytes. The input is read as it is, and once more with length and CRC made
 * right, so that a fuzzer gets beyond them. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "batch/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct pst_batch_decoder *dec;
static volatile unsigned sink;

/* Reads every byte, so that a sanitizer sees a wrong pointer or length. */
static void
touch(const uint8_t *bytes, size_t len)
{
	unsigned sum = 0;
	for (size_t i = 0; i < len; i++)
		sum += bytes[i];
	sink = sum;
}

static void
read_batch(const uint8_t *data, size_t size)
{
	struct pst_batch_info info;
	enum pst_batch_verdict verdict = pst_batch_check(data, size, &info);
	PST_ASSERT(verdict < PST_BATCH_VERDICT_CNT);
	PST_ASSERT(verdict != PST_BATCH_OK || info.total_bytes <= size);
	if (pst_batch_decoder_open(dec, data, size) != PST_BATCH_OK)
		return;
	struct pst_batch_record r;
	uint32_t cnt = 0;
	int rc;
	while ((rc = pst_batch_decoder_next(dec, &r, &verdict)) == 1) {
		cnt++;
		PST_ASSERT(r.offset >= info.base_offset &&
			   r.offset - info.base_offset <= info.last_offset_delta);
		touch(r.key, r.key_len);
		touch(r.value, r.value_len);
		touch(r.rules, (size_t)r.rule_cnt * 4);
		struct pst_batch_header h;
		uint32_t pos = 0, header_cnt = 0;
		while (pst_batch_header_next(&r, &pos, &h)) {
			touch(h.key, h.key_len);
			touch(h.value, h.value_len);
			header_cnt++;
		}
		PST_ASSERT(header_cnt == r.header_cnt);
	}
	PST_ASSERT(cnt <= info.record_cnt && (rc < 0 || cnt == info.record_cnt));
	PST_ASSERT(rc == 0 || verdict != PST_BATCH_OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!dec && pst_batch_decoder_create(PST_BATCH_RAW_BYTES_MAX, &dec) != 0)
		abort();
	read_batch(data, size);
	if (size < PST_BATCH_HEADER_BYTES)
		return 0;
	uint8_t *copy = malloc(size);
	if (!copy)
		abort();
	memcpy(copy, data, size);
	pst_store_be32(copy + WIRE_LENGTH, (uint32_t)(size - WIRE_LENGTH_END));
	copy[WIRE_MAGIC] = MAGIC_V2;
	pst_store_be32(copy + WIRE_CRC,
		pst_batch_crc32c(0, copy + WIRE_ATTRIBUTES, size - WIRE_ATTRIBUTES));
	read_batch(copy, size);
	free(copy);
	return 0;
}
