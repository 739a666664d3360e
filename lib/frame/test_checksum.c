#include "frame/checksum.h"
#include "frame/test_build.h"

Test(frame, one_wrong_bit_is_seen)
{
	struct build b;
	for (int is_ipv6 = 0; is_ipv6 < 2; is_ipv6++) {
		(is_ipv6 ? build_ipv6 : build_ipv4)(&b);
		for (uint32_t off = b.udp_off; off < b.len; off++)
			for (unsigned bit = 0; bit < 8; bit++) {
				if (off - b.udp_off == 4 || off - b.udp_off == 5)
					continue; /* the length has its own verdict */
				b.bytes[off] ^= (uint8_t)(1 << bit);
				EXPECT(&b, UDP_CHECKSUM);
				b.bytes[off] ^= (uint8_t)(1 << bit);
			}
		/* of the pseudo-header: the last byte of the destination */
		b.bytes[b.udp_off - 1] ^= 1;
		set_ip_checksum(&b);
		EXPECT(&b, UDP_CHECKSUM);
	}
}

Test(frame, checksum_policies)
{
	static const enum pst_checksum policies[] = {
		PST_CHECKSUM_STRICT, PST_CHECKSUM_LOCAL, PST_CHECKSUM_NIC};
	struct pst_frame f;
	struct build b;
	for (int is_ipv6 = 0; is_ipv6 < 2; is_ipv6++)
		for (size_t i = 0; i < PST_ARRAY_CNT(policies); i++) {
			enum pst_checksum policy = policies[i];
			(is_ipv6 ? build_ipv6 : build_ipv4)(&b);
			uint8_t *field = b.bytes + b.udp_off + 6;
			cr_expect_eq(parse_as(&b, policy, 0, &f), PST_FRAME_CARRIED);

			pst_store_be16(field, 0);
			enum pst_frame_verdict absent = is_ipv6 ? PST_FRAME_UDP_CHECKSUM_MISSING
								: PST_FRAME_CARRIED;
			cr_expect_eq(parse_as(&b, policy, 0, &f), absent);
			cr_expect_eq(parse_as(&b, policy, PST_FRAME_UDP_BAD, &f), absent);
			cr_expect_eq(parse_as(&b, policy, PST_FRAME_UDP_GOOD, &f), absent);

			uint16_t partial = plain_pseudo(&b);
			pst_store_be16(field, partial);
			cr_expect_eq(parse_as(&b, policy, 0, &f), policy == PST_CHECKSUM_LOCAL
									  ? PST_FRAME_CARRIED
									  : PST_FRAME_UDP_CHECKSUM);
			pst_store_be16(field, (uint16_t)(partial ^ 1));
			cr_expect_eq(parse_as(&b, policy, 0, &f), PST_FRAME_UDP_CHECKSUM);
			pst_store_be16(field, (uint16_t)~partial);
			cr_expect_eq(parse_as(&b, policy, 0, &f), PST_FRAME_UDP_CHECKSUM);
		}
}

Test(frame, the_nic_is_believed_only_under_its_policy)
{
	struct pst_frame f;
	struct build b;
	build_ipv4(&b);
	cr_expect_eq(parse_as(&b, PST_CHECKSUM_NIC, PST_FRAME_IP_BAD, &f), PST_FRAME_IPV4_CHECKSUM);
	cr_expect_eq(parse_as(&b, PST_CHECKSUM_NIC, PST_FRAME_UDP_BAD, &f), PST_FRAME_UDP_CHECKSUM);
	cr_expect_eq(parse_as(&b, PST_CHECKSUM_STRICT, PST_FRAME_IP_BAD | PST_FRAME_UDP_BAD, &f),
		PST_FRAME_CARRIED);
	cr_expect_eq(parse_as(&b, PST_CHECKSUM_LOCAL, PST_FRAME_IP_BAD | PST_FRAME_UDP_BAD, &f),
		PST_FRAME_CARRIED);

	b.bytes[b.ip_off + 10] ^= 1;
	b.bytes[b.udp_off + 6] ^= 1;
	unsigned good = PST_FRAME_IP_GOOD | PST_FRAME_UDP_GOOD;
	cr_expect_eq(parse_as(&b, PST_CHECKSUM_NIC, good, &f), PST_FRAME_CARRIED);
	cr_expect_eq(parse_as(&b, PST_CHECKSUM_NIC, PST_FRAME_IP_GOOD, &f), PST_FRAME_UDP_CHECKSUM);
	cr_expect_eq(
		parse_as(&b, PST_CHECKSUM_NIC, PST_FRAME_UDP_GOOD, &f), PST_FRAME_IPV4_CHECKSUM);
	cr_expect_eq(parse_as(&b, PST_CHECKSUM_STRICT, good, &f), PST_FRAME_IPV4_CHECKSUM);
	cr_expect_eq(parse_as(&b, PST_CHECKSUM_LOCAL, good, &f), PST_FRAME_IPV4_CHECKSUM);
}

Test(checksum, as_rfc_1071)
{
	static const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
	uint16_t sum = pst_checksum_fold(pst_checksum_sum(0, example, sizeof(example)));
	cr_assert_eq(pst_load_be16(&sum), 0xddf2);
}

/* 0xffff is the other zero of this arithmetic: adding it changes nothing. */
Test(checksum, fold_carries_to_the_end)
{
	cr_assert_eq(pst_checksum_fold(UINT64_C(0xffffffffffff0001)), 1);
	cr_assert_eq(pst_checksum_fold(UINT64_C(0x0001ffffffffffff)), 1);
	cr_assert_eq(pst_checksum_fold(UINT64_C(0xfffeffffffff0001)), 0xffff);
	cr_assert_eq(pst_checksum_fold(UINT64_C(0xfffffffffffeffff)), 0xfffe);
	cr_assert_eq(pst_checksum_fold(UINT64_MAX), 0xffff);
	cr_assert_eq(pst_checksum_fold(0), 0);
}

/* All ones make every addition carry: nowhere may one get lost. */
Test(checksum, as_the_plain_sum_at_every_length_and_alignment)
{
	uint8_t bytes[200];
	for (int random = 0; random < 2; random++) {
		uint32_t state = 1;
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = random ? (uint8_t)((state = state * 1664525 + 1013904223) >> 24)
					  : 0xff;
		for (uint32_t off = 0; off < 8; off++)
			for (uint32_t len = 0; len + off <= sizeof(bytes); len++) {
				uint16_t fast = pst_checksum_fold(
					pst_checksum_sum(UINT64_MAX, bytes + off, len));
				cr_assert_eq(pst_load_be16(&fast),
					plain_sum(bytes + off, len, 0xffff), "%u bytes at %u", len,
					off);
			}
	}
}
