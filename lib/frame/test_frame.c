#include <dirent.h>
#include <stdio.h>

#include "frame/test_build.h"

static void
expect_view(const struct build *b)
{
	struct pst_frame f;
	struct pst_addr src, dst;
	cr_assert_eq(parse_as(b, PST_CHECKSUM_STRICT, 0, &f), PST_FRAME_CARRIED);
	cr_assert_eq(f.payload, b->bytes + b->udp_off + 8);
	cr_assert_eq(f.payload_len, 7);
	cr_assert_eq(f.src_port, 40000);
	cr_assert_eq(f.dst_port, 5514);
	cr_assert_eq(f.is_ipv6, b->is_ipv6);
	pst_addr_parse(b->is_ipv6 ? "2001:db8::1" : "10.1.2.3", &src);
	pst_addr_parse(b->is_ipv6 ? "2001:db8::2" : "192.0.2.7", &dst);
	cr_assert_arr_eq(f.src.bytes, src.bytes, 16);
	cr_assert_arr_eq(f.dst.bytes, dst.bytes, 16);
}

Test(frame, names)
{
	cr_assert_str_eq(pst_frame_verdict_name(PST_FRAME_CARRIED), "carried");
	cr_assert_str_eq(pst_frame_verdict_name(PST_FRAME_END_OF_SESSION), "end_of_session");
	cr_assert_eq(pst_frame_verdict_class(PST_FRAME_CARRIED), PST_FRAME_CLASS_CARRIED);
	cr_assert_eq(pst_frame_verdict_class(PST_FRAME_UDP_LENGTH), PST_FRAME_CLASS_REJECTED);
	cr_assert_eq(pst_frame_verdict_class(PST_FRAME_HEARTBEAT), PST_FRAME_CLASS_IGNORED);
	cr_assert_str_eq(pst_checksum_name(PST_CHECKSUM_STRICT), "strict");
	cr_assert_str_eq(pst_checksum_name(PST_CHECKSUM_LOCAL), "local");
	cr_assert_str_eq(pst_checksum_name(PST_CHECKSUM_NIC), "nic");
	/* Names are keys in telemetry. */
	for (unsigned i = 0; i < PST_FRAME_VERDICT_CNT; i++)
		for (unsigned j = 0; j < i; j++)
			cr_assert_str_neq(pst_frame_verdict_name(i), pst_frame_verdict_name(j));
}

Test(frame, view_of_a_datagram)
{
	struct build b;
	build_ipv4(&b);
	expect_view(&b);
	build_ipv6(&b);
	expect_view(&b);
}

Test(frame, padding_is_trimmed)
{
	struct build b;
	build_ipv4(&b);
	memset(b.bytes + b.len, 0xee, 20);
	b.len += 20; /* behind the IP packet */
	expect_view(&b);

	build_ipv4(&b);
	uint32_t udp_end = b.len;
	memset(b.bytes + b.len, 0xee, 20);
	b.len += 20; /* inside the IP packet, behind the datagram */
	pst_store_be16(b.bytes + b.ip_off + 2, (uint16_t)(udp_end + 20 - b.ip_off));
	set_ip_checksum(&b);
	expect_view(&b);
}

Test(frame, every_length_of_a_good_frame_but_its_own_is_rejected)
{
	struct build b;
	struct pst_frame f;
	for (int is_ipv6 = 0; is_ipv6 < 2; is_ipv6++) {
		(is_ipv6 ? build_ipv6 : build_ipv4)(&b);
		for (uint32_t whole = b.len; b.len > 0;) {
			b.len--;
			enum pst_frame_verdict v = parse_as(&b, PST_CHECKSUM_STRICT, 0, &f);
			enum pst_frame_verdict want =
				b.len < 14        ? PST_FRAME_ETHERNET_SHORT
				: is_ipv6         ? b.len < 14 + 40 ? PST_FRAME_IPV6_SHORT
								    : PST_FRAME_IPV6_PAYLOAD_LENGTH
				: b.len < 14 + 20 ? PST_FRAME_IPV4_SHORT
						  : PST_FRAME_IPV4_TOTAL_LENGTH;
			cr_expect_eq(v, want, "%u of %u bytes: %s", b.len, whole,
				pst_frame_verdict_name(v));
		}
	}
}

Test(frame, vlan_tags)
{
	static const unsigned tpids[] = {0x8100, 0x88a8, 0x9100};
	struct build b;
	for (size_t outer = 0; outer < 3; outer++) {
		put_ethernet(&b);
		put_tag(&b, tpids[outer]);
		put_ipv4(&b, 0, 0, 17);
		put_udp(&b, "payload", 7);
		finish(&b);
		expect_view(&b);
		for (size_t inner = 0; inner < 3; inner++) {
			put_ethernet(&b);
			put_tag(&b, tpids[outer]);
			put_tag(&b, tpids[inner]);
			put_ipv6(&b, 17);
			put_udp(&b, "payload", 7);
			finish(&b);
			expect_view(&b);
			put_ethernet(&b);
			put_tag(&b, tpids[outer]);
			put_tag(&b, 0x8100);
			put_tag(&b, tpids[inner]);
			put_ipv4(&b, 0, 0, 17);
			put_udp(&b, "payload", 7);
			finish(&b);
			EXPECT(&b, VLAN_DEPTH);
		}
	}
	for (int tag_cnt = 1; tag_cnt <= 2; tag_cnt++) {
		put_ethernet(&b);
		for (int i = 0; i < tag_cnt; i++)
			put_tag(&b, 0x8100);
		put16(&b, 0x0806);
		EXPECT(&b, NOT_IP);
		for (int cut = 0; cut < 4; cut++) {
			b.len--;
			EXPECT(&b, VLAN_SHORT);
		}
	}
}

Test(frame, ipv4_header)
{
	struct build b;
	for (unsigned words = 0; words <= 10; words++) {
		put_ethernet(&b);
		put_ipv4(&b, words, 0, 17);
		put_udp(&b, "payload", 7);
		finish(&b);
		expect_view(&b);
	}
	build_ipv4(&b);
	b.bytes[b.ip_off] = 0x55;
	EXPECT(&b, IPV4_VERSION);
	b.bytes[b.ip_off] = 0x44;
	EXPECT(&b, IPV4_HEADER_LENGTH);
	b.bytes[b.ip_off] = 0x49; /* 36 bytes; 35 are there */
	EXPECT(&b, IPV4_HEADER_LENGTH);

	build_ipv4(&b);
	pst_store_be16(b.bytes + b.ip_off + 2, 19);
	set_ip_checksum(&b);
	EXPECT(&b, IPV4_TOTAL_LENGTH);
	pst_store_be16(b.bytes + b.ip_off + 2, 20);
	set_ip_checksum(&b);
	EXPECT(&b, UDP_SHORT);
	pst_store_be16(b.bytes + b.ip_off + 2, 27);
	set_ip_checksum(&b);
	EXPECT(&b, UDP_SHORT);
	pst_store_be16(b.bytes + b.ip_off + 2, 28);
	set_ip_checksum(&b);
	EXPECT(&b, UDP_LENGTH);
	pst_store_be16(b.bytes + b.ip_off + 2, (uint16_t)(b.len - b.ip_off + 1));
	set_ip_checksum(&b);
	EXPECT(&b, IPV4_TOTAL_LENGTH);

	build_ipv4(&b);
	b.bytes[b.ip_off + 8] ^= 1;
	EXPECT(&b, IPV4_CHECKSUM);
}

Test(frame, fragments)
{
	struct build b;
	static const unsigned fragment[] = {0x2000, 0x0001, 0x1fff, 0x2001};
	for (size_t i = 0; i < PST_ARRAY_CNT(fragment); i++) {
		put_ethernet(&b);
		put_ipv4(&b, 0, fragment[i], 17);
		put_udp(&b, "payload", 7);
		finish(&b);
		EXPECT(&b, IP_FRAGMENT);
		b.bytes[b.ip_off + 9] = 6;
		set_ip_checksum(&b);
		EXPECT(&b, NOT_UDP);
	}
	put_ethernet(&b);
	put_ipv4(&b, 0, 0xc000, 17); /* don't fragment, and the reserved bit */
	put_udp(&b, "payload", 7);
	finish(&b);
	expect_view(&b);

	static const struct {
		unsigned offset_flags;
		bool whole;
	} v6[] = {{0, true}, {6, true}, {1, false}, {8, false}, {0xfff8, false}};
	for (size_t i = 0; i < PST_ARRAY_CNT(v6); i++) {
		put_ethernet(&b);
		put_ipv6(&b, 44);
		/* The length field of this header is reserved: 0xff must not be believed. */
		put_extension(&b, 17, 8, 0xff);
		pst_store_be16(b.bytes + b.len - 6, (uint16_t)v6[i].offset_flags);
		put_udp(&b, "payload", 7);
		finish(&b);
		if (v6[i].whole) {
			expect_view(&b);
			continue;
		}
		EXPECT(&b, IP_FRAGMENT);
		b.bytes[b.ip_off + 40] = 60;
		EXPECT(&b, IP_FRAGMENT); /* the UDP header may follow the options */
		b.bytes[b.ip_off + 40] = 6;
		EXPECT(&b, NOT_UDP);
	}
}

Test(frame, ipv6_extensions)
{
	struct build b;
	/* kind, bytes, length field */
	static const struct {
		uint8_t kind, len, len_field;
	} ext[] = {{0, 8, 0}, {60, 16, 1}, {43, 24, 2}, {51, 24, 4}, {60, 56, 6}};
	for (size_t i = 0; i < PST_ARRAY_CNT(ext); i++) {
		put_ethernet(&b);
		put_ipv6(&b, ext[i].kind);
		put_extension(&b, 17, ext[i].len, ext[i].len_field);
		put_udp(&b, "payload", 7);
		finish(&b);
		expect_view(&b);
		/* one unit longer than what is there */
		uint32_t ext_off = b.ip_off + 40;
		unsigned unit = ext[i].kind == 51 ? 4 : 8;
		b.bytes[ext_off + 1] = (uint8_t)(ext[i].len_field + 15 / unit + 1);
		EXPECT(&b, IPV6_EXTENSION);
	}
	for (unsigned cnt = 7; cnt <= 9; cnt++) {
		put_ethernet(&b);
		put_ipv6(&b, 60);
		for (unsigned i = 1; i <= cnt; i++)
			put_extension(&b, i == cnt ? 17 : 60, 8, 0);
		put_udp(&b, "payload", 7);
		finish(&b);
		if (cnt <= 8)
			expect_view(&b);
		else
			EXPECT(&b, IPV6_EXTENSION);
	}
	for (unsigned left = 0; left < 8; left++) {
		put_ethernet(&b);
		put_ipv6(&b, 0);
		put(&b, "\x11\x00\x00\x00\x00\x00\x00", left);
		finish(&b);
		EXPECT(&b, IPV6_EXTENSION);
	}
	put_ethernet(&b);
	put_ipv6(&b, 0);
	put_extension(&b, 17, 8, 0); /* ends with the packet */
	finish(&b);
	EXPECT(&b, UDP_SHORT);

	static const uint8_t others[] = {6, 58, 59, 50, 135, 255};
	for (size_t i = 0; i < PST_ARRAY_CNT(others); i++) {
		build_ipv6(&b);
		b.bytes[b.ip_off + 6] = others[i];
		EXPECT(&b, NOT_UDP);
	}
}

Test(frame, ipv6_header)
{
	struct build b;
	build_ipv6(&b);
	b.bytes[b.ip_off] = 0x40;
	EXPECT(&b, IPV6_VERSION);

	build_ipv6(&b);
	pst_store_be16(b.bytes + b.ip_off + 4, 0); /* a jumbogram's, or nothing */
	EXPECT(&b, UDP_SHORT);
	pst_store_be16(b.bytes + b.ip_off + 4, 7);
	EXPECT(&b, UDP_SHORT);
	pst_store_be16(b.bytes + b.ip_off + 4, 16);
	EXPECT(&b, IPV6_PAYLOAD_LENGTH);

	/* An IPv4-mapped address on the wire would be taken for IPv4 from there on. */
	for (unsigned off = 8; off <= 24; off += 16) {
		build_ipv6(&b);
		memset(b.bytes + b.ip_off + off, 0, 10);
		memset(b.bytes + b.ip_off + off + 10, 0xff, 2);
		finish(&b);
		EXPECT(&b, IPV6_MAPPED);
	}
}

Test(frame, udp_length)
{
	static const unsigned bad[] = {0, 7, 16, 0xffff}; /* 15 is right */
	struct build b;
	for (int is_ipv6 = 0; is_ipv6 < 2; is_ipv6++) {
		for (size_t i = 0; i < PST_ARRAY_CNT(bad); i++) {
			(is_ipv6 ? build_ipv6 : build_ipv4)(&b);
			pst_store_be16(b.bytes + b.udp_off + 4, (uint16_t)bad[i]);
			EXPECT(&b, UDP_LENGTH);
		}
		put_ethernet(&b);
		if (is_ipv6)
			put_ipv6(&b, 17);
		else
			put_ipv4(&b, 0, 0, 17);
		put_udp(&b, "", 0);
		finish(&b);
		struct pst_frame f;
		cr_assert_eq(parse_as(&b, PST_CHECKSUM_STRICT, 0, &f), PST_FRAME_CARRIED);
		cr_assert_eq(f.payload_len, 0);
	}
}

Test(frame, not_ours)
{
	static const unsigned ethertypes[] = {0x0806, 0x86dc, 0x0026, 0xffff, 0};
	struct build b;
	for (size_t i = 0; i < PST_ARRAY_CNT(ethertypes); i++) {
		put_ethernet(&b);
		put16(&b, ethertypes[i]);
		EXPECT(&b, NOT_IP);
	}
	build_ipv4(&b);
	b.bytes[b.ip_off + 9] = 1;
	set_ip_checksum(&b);
	EXPECT(&b, NOT_UDP);
}

/* Frames of others, with verdicts that Wireshark confirmed, and made ones. */
Test(frame, corpus_files_get_the_verdict_in_their_name)
{
	DIR *dir = opendir(CORPUS);
	cr_assert_not_null(dir, "%s", CORPUS);
	unsigned file_cnt = 0;
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (entry->d_name[0] == '.')
			continue;
		struct build b;
		struct pst_frame f;
		char path[sizeof(CORPUS) + 1 + sizeof(entry->d_name)];
		snprintf(path, sizeof(path), "%s/%s", CORPUS, entry->d_name);
		FILE *file = fopen(path, "rb");
		cr_assert_not_null(file, "%s", path);
		b.len = (uint32_t)fread(b.bytes, 1, sizeof(b.bytes), file);
		fclose(file);
		const char *got = pst_frame_verdict_name(parse_as(&b, PST_CHECKSUM_STRICT, 0, &f));
		size_t len = strcspn(entry->d_name, "-");
		cr_expect(strlen(got) == len && memcmp(got, entry->d_name, len) == 0, "%s is %s",
			entry->d_name, got);
		file_cnt++;
	}
	closedir(dir);
	cr_assert_geq(file_cnt, 100);
}
