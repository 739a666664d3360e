#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/addr.h"
#include "base/base.h"
#include "base/clock.h"
#include "base/diag.h"

Test(base, big_endian_round_trip)
{
	uint8_t b[9] = {0};
	pst_store_be64(b + 1, UINT64_C(0x0102030405060708));
	cr_assert_eq(b[1], 1);
	cr_assert_eq(b[8], 8);
	cr_assert_eq(pst_load_be64(b + 1), UINT64_C(0x0102030405060708));
	cr_assert_eq(pst_load_be32(b + 1), 0x01020304u);
	cr_assert_eq(pst_load_be16(b + 1), 0x0102u);
}

Test(base, align_up)
{
	cr_assert_eq(pst_align_up(0, 64), 0);
	cr_assert_eq(pst_align_up(1, 64), 64);
	cr_assert_eq(pst_align_up(64, 64), 64);
}

Test(clock, follows_the_wall_clock)
{
	struct timespec ts;
	pst_clock_init();
	clock_gettime(CLOCK_REALTIME, &ts);
	uint64_t wall = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	uint64_t ours = pst_clock_ns(pst_clock_tsc());
	int64_t diff = (int64_t)(ours - wall);
	/* A second is beyond any preemption; what matters is epoch and scale. */
	cr_assert(diff > -1000000000 && diff < 1000000000, "off by %ld ns", (long)diff);
	uint64_t ticks = pst_clock_ticks(1000000000);
	int64_t second = (int64_t)pst_clock_duration_ns(ticks);
	cr_assert(second > 999999000 && second < 1000001000);
}

Test(diag, names_file_line_key_and_remedy)
{
	struct pst_diag d;
	char *text = NULL;
	size_t len;
	cr_assert_eq(pst_diag_set(&d, "p.yaml", 12, "listeners[1].port", "give 1 to 65535",
			     "%d is not a UDP port", 70000),
		-1);
	FILE *f = open_memstream(&text, &len);
	pst_diag_print(f, &d);
	fclose(f);
	cr_assert_str_eq(text, "p.yaml:12: listeners[1].port: 70000 is not a UDP port\n"
			       "    remedy: give 1 to 65535\n");
	free(text);
}

Test(addr, text_round_trip)
{
	static const char *const good[] = {"127.0.0.1", "0.0.0.0", "::1", "2001:db8::5"};
	char buf[INET6_ADDRSTRLEN];
	struct pst_addr a;
	for (size_t i = 0; i < PST_ARRAY_CNT(good); i++) {
		cr_assert_eq(pst_addr_parse(good[i], &a), 0);
		cr_assert_eq(pst_addr_format(&a, buf), strlen(good[i]));
		cr_assert_str_eq(buf, good[i]);
	}
	static const char *const bad[] = {
		"", "localhost", "1.2.3", "1.2.3.256", "::1%lo", "1.2.3.4/8"};
	for (size_t i = 0; i < PST_ARRAY_CNT(bad); i++)
		cr_assert_eq(pst_addr_parse(bad[i], &a), -1, "%s", bad[i]);
}

Test(addr, prefixes)
{
	struct pst_prefix p;
	struct pst_addr in, out;
	cr_assert_eq(pst_prefix_parse("10.1.16.0/20", &p), 0);
	pst_addr_parse("10.1.31.255", &in);
	pst_addr_parse("10.1.32.0", &out);
	cr_assert(pst_prefix_holds(&p, &in));
	cr_assert_not(pst_prefix_holds(&p, &out));
	cr_assert_eq(pst_prefix_parse("0.0.0.0/0", &p), 0);
	cr_assert(pst_prefix_holds(&p, &in));
	pst_addr_parse("::1", &out);
	cr_assert_not(pst_prefix_holds(&p, &out), "an IPv4 prefix holds no IPv6 address");
	static const char *const bad[] = {
		"10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0", "::1/129", "x/8", "::/-1"};
	for (size_t i = 0; i < PST_ARRAY_CNT(bad); i++)
		cr_assert_eq(pst_prefix_parse(bad[i], &p), -1, "%s", bad[i]);
}
