#include <isa-l/crc.h>
#include <limits.h>

#include "batch/batch.h"

uint32_t
pst_batch_crc32c(uint32_t crc, const void *data, size_t len)
{
	/* ISA-L takes and returns the register itself: the inversions before and after, which make
	 * it the CRC that everyone publishes, are the caller's. It writes nothing through the
	 * pointer and takes an int for the length. */
	unsigned char *at = (unsigned char *)(uintptr_t)data;
	uint32_t reg = ~crc;
	while (len > 0) {
		int n = len > INT_MAX ? INT_MAX : (int)len;
		reg = crc32_iscsi(at, n, reg);
		at += n;
		len -= (size_t)n;
	}
	return ~reg;
}
