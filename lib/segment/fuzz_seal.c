/* A seal of foreign bytes: nothing is read that is not there, and what is taken is what a seal of
 * ours would store, to the byte. The second try puts the right CRC over the bytes first. */
#include <string.h>

#include "base/base.h"
#include "segment/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CRC_OFF 16

static void
decode(struct pst_seal *seal, const uint8_t *data, size_t size)
{
	enum pst_seal_verdict verdict = pst_seal_decode(seal, data, size);
	PST_ASSERT(pst_seal_verdict_name(verdict));
	if (verdict != PST_SEAL_OK)
		return;
	PST_ASSERT(seal->base_offset >= 0 && seal->next_offset >= seal->base_offset);
	for (uint32_t i = 0; i < seal->link_cnt; i++)
		PST_ASSERT(seal->links[i].position <= seal->bytes);
	/* Behind the name's end a seal of ours has zeros; all else comes back as it was. */
	size_t name_len = strlen(seal->name), len = pst_seal_encode(seal);
	PST_ASSERT(len == size && memcmp(seal->image, data, CRC_OFF) == 0);
	PST_ASSERT(memcmp(seal->image + 20, data + 20, 28 + name_len) == 0);
	PST_ASSERT(memcmp(seal->image + 264, data + 264, len - 264) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t copy[PST_SEAL_FILE_BYTES_MAX];
	static struct pst_seal seal;
	if (!seal.image)
		PST_ASSERT(pst_seal_init(&seal) == 0);
	decode(&seal, data, size);
	if (size < PST_SEAL_HEADER_BYTES || size > sizeof(copy))
		return 0;
	memcpy(copy, data, size);
	memset(copy + CRC_OFF, 0, 4);
	uint32_t crc_le = htole32(pst_batch_crc32c(0, copy, size));
	memcpy(copy + CRC_OFF, &crc_le, sizeof(crc_le));
	decode(&seal, copy, size);
	return 0;
}
