/* A block and its gaps from any bytes: what is compressed must come back. The input opens with the
 * block's length, the acceleration, a stride and a count of gaps, then the gaps' steps; the rest is
 * laid down again and again, with a byte changed at each stride, until the block is full. */
#include "batch/block_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct block_gap gaps[BLOCK_GAPS_MAX];
	static uint8_t block[PST_BATCH_BLOCK_BYTES];

	if (size < 6)
		return 0;
	uint32_t len = 1u + pst_load_be16(data), stride = 1u + data[3], gap_cnt = 0, at = 0;
	int acceleration = 1 + data[2];
	size_t step_cnt = data[4], step = 0;
	data += 5;
	size -= 5;
	if (step_cnt > size - 1)
		step_cnt = size - 1;
	while (step_cnt > 0 && gap_cnt < BLOCK_GAPS_MAX) {
		uint16_t p[5];
		for (int i = 0; i < 5; i++, step++)
			p[i] = (uint16_t)(at += data[step % step_cnt]);
		if (at >= len)
			break;
		gaps[gap_cnt++] = (struct block_gap){p[0], p[1], p[2], p[3], p[4]};
	}
	data += step_cnt;
	size -= step_cnt;
	for (uint32_t i = 0; i < len; i++)
		block[i] = (uint8_t)(data[i % size] + (i % stride == 0 ? i / stride : 0));
	block_check(block, len, gaps, gap_cnt, acceleration);
	return 0;
}
