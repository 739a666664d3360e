#include <criterion/criterion.h>
#include <stdlib.h>

#include "batch/batch.h"

/* Bit by bit from the definition: polynomial 0x1EDC6F41, reflected. */
static uint32_t
reference(uint32_t crc, const uint8_t *data, size_t len)
{
	crc = ~crc;
	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? 0x82F63B78u : 0);
	}
	return ~crc;
}

Test(crc32c, published_vectors)
{
	uint8_t b[32];
	cr_assert_eq(pst_batch_crc32c(0, "123456789", 9), 0xE3069283u);
	cr_assert_eq(pst_batch_crc32c(0, "", 0), 0);
	/* RFC 3720, B.4 */
	memset(b, 0, sizeof(b));
	cr_assert_eq(pst_batch_crc32c(0, b, sizeof(b)), 0x8A9136AAu);
	memset(b, 0xff, sizeof(b));
	cr_assert_eq(pst_batch_crc32c(0, b, sizeof(b)), 0x62A8AB43u);
	for (int i = 0; i < 32; i++)
		b[i] = (uint8_t)i;
	cr_assert_eq(pst_batch_crc32c(0, b, sizeof(b)), 0x46DD794Eu);
}

Test(crc32c, equals_the_definition_at_every_alignment)
{
	static uint8_t b[64 + 5000];
	static const size_t lens[] = {
		511, 512, 513, 1023, 1024, 1025, 2047, 2048, 3071, 3073, 4095, 4096, 4999};
	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)(i * 151 + (i >> 7));
	for (size_t at = 0; at < 64; at++) {
		for (size_t len = 0; len <= 300; len++)
			cr_assert_eq(pst_batch_crc32c(0, b + at, len), reference(0, b + at, len),
				"at %zu, %zu bytes", at, len);
		for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
			cr_assert_eq(pst_batch_crc32c(0, b + at, lens[i]),
				reference(0, b + at, lens[i]), "at %zu, %zu bytes", at, lens[i]);
	}
}

Test(crc32c, goes_on_from_a_part)
{
	uint8_t b[200];
	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)(i * 7);
	uint32_t whole = pst_batch_crc32c(0, b, sizeof(b));
	for (size_t cut = 0; cut <= sizeof(b); cut++)
		cr_assert_eq(
			pst_batch_crc32c(pst_batch_crc32c(0, b, cut), b + cut, sizeof(b) - cut),
			whole, "cut at %zu", cut);
}
