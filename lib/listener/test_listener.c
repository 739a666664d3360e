#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "listener/listener.h"

static struct pst_addr
addr(const char *text)
{
	struct pst_addr a;
	cr_assert_eq(pst_addr_parse(text, &a), 0, "%s", text);
	return a;
}

static struct pst_prefix
prefix(const char *text)
{
	struct pst_prefix p;
	cr_assert_eq(pst_prefix_parse(text, &p), 0, "%s", text);
	return p;
}

static int
find(const struct pst_listener_table *t, const char *dst, uint16_t port)
{
	struct pst_addr a = addr(dst);
	return pst_listener_find(t, &a, port);
}

static bool
allows(const struct pst_listener_table *t, int listener, const char *src)
{
	struct pst_addr a = addr(src);
	return pst_listener_allows(t, listener, &a);
}

static struct pst_listener_table *
table_of(struct pst_profile_listener *listeners, uint16_t cnt)
{
	struct pst_profile profile = {.listeners = listeners, .listener_cnt = cnt};
	struct pst_listener_table *t;
	cr_assert_eq(pst_listener_table_create(&profile, &t), 0);
	return t;
}

Test(listener, exact_before_wildcard_of_the_family)
{
	struct pst_addr exact[] = {addr("192.0.2.7"), addr("2001:db8::7")};
	struct pst_addr any4[] = {addr("0.0.0.0")};
	struct pst_addr any6[] = {addr("::")};
	struct pst_profile_listener listeners[] = {
		{.addrs = any4, .addr_cnt = 1, .udp_port = 5514},
		{.addrs = exact, .addr_cnt = 2, .udp_port = 5514},
		{.addrs = any6, .addr_cnt = 1, .udp_port = 5514},
		{.addrs = exact, .addr_cnt = 2, .udp_port = 8125},
		{.addrs = any6, .addr_cnt = 1, .udp_port = 9},
	};
	struct pst_listener_table *t = table_of(listeners, 5);
	cr_expect_eq(find(t, "192.0.2.7", 5514), 1);
	cr_expect_eq(find(t, "2001:db8::7", 5514), 1);
	cr_expect_eq(find(t, "192.0.2.8", 5514), 0);
	cr_expect_eq(find(t, "2001:db8::8", 5514), 2);
	cr_expect_eq(find(t, "224.0.0.1", 5514), 0);
	cr_expect_eq(find(t, "192.0.2.7", 8125), 3);
	cr_expect_eq(find(t, "192.0.2.8", 8125), -1);
	cr_expect_eq(find(t, "192.0.2.7", 5515), -1);
	cr_expect_eq(find(t, "192.0.2.7", 0), -1);
	cr_expect_eq(find(t, "2001:db8::7", 9), 4);
	cr_expect_eq(find(t, "192.0.2.7", 9), -1, ":: is no IPv4 wildcard");
	pst_listener_table_destroy(t);
}

Test(listener, none)
{
	struct pst_listener_table *t = table_of(NULL, 0);
	cr_assert_eq(find(t, "127.0.0.1", 5514), -1);
	pst_listener_table_destroy(t);
	pst_listener_table_destroy(NULL);
}

Test(listener, every_address_of_a_full_table)
{
	enum { CNT = PST_LISTENERS_MAX, ADDRS = PST_ADDRESSES_MAX };
	static struct pst_addr addrs[CNT][ADDRS];
	static struct pst_profile_listener listeners[CNT];
	for (int l = 0; l < CNT; l++) {
		for (int a = 0; a < ADDRS; a++) {
			addrs[l][a] = a % 2 ? addr("2001:db8::") : addr("10.0.0.0");
			addrs[l][a].bytes[15] = (uint8_t)a;
			addrs[l][a].bytes[14] = (uint8_t)(l / 2);
		}
		listeners[l] = (struct pst_profile_listener){
			.addrs = addrs[l], .addr_cnt = ADDRS, .udp_port = 5000 + l % 2};
	}
	struct pst_listener_table *t = table_of(listeners, CNT);
	for (int l = 0; l < CNT; l++)
		for (int a = 0; a < ADDRS; a++) {
			cr_assert_eq(pst_listener_find(t, &addrs[l][a], 5000 + l % 2), l);
			cr_assert_eq(pst_listener_find(t, &addrs[l][a], 5002), -1);
			struct pst_addr other = addrs[l][a];
			other.bytes[13] ^= 1;
			cr_assert_eq(pst_listener_find(t, &other, 5000 + l % 2), -1);
		}
	pst_listener_table_destroy(t);
}

Test(listener, every_port_of_one_address)
{
	static struct pst_profile_listener listeners[PST_LISTENERS_MAX];
	struct pst_addr local = addr("127.0.0.1");
	for (int l = 0; l < PST_LISTENERS_MAX; l++)
		listeners[l] = (struct pst_profile_listener){
			.addrs = &local, .addr_cnt = 1, .udp_port = (uint16_t)(1000 * l + 1)};
	struct pst_listener_table *t = table_of(listeners, PST_LISTENERS_MAX);
	for (int port = 0; port <= UINT16_MAX; port++) {
		bool taken = port % 1000 == 1 && port / 1000 < PST_LISTENERS_MAX;
		cr_assert_eq(
			pst_listener_find(t, &local, (uint16_t)port), taken ? port / 1000 : -1);
	}
	pst_listener_table_destroy(t);
}

Test(listener, allow)
{
	struct pst_prefix allow0[] = {prefix("10.1.0.0/16"), prefix("192.0.2.7/32"),
		prefix("10.1.2.0/24"), prefix("2001:db8::/32"), prefix("10.0.0.0/16"),
		prefix("10.1.0.0/20")};
	struct pst_prefix allow2[] = {prefix("::/0")};
	struct pst_prefix allow3[] = {prefix("0.0.0.0/0")};
	struct pst_prefix allow4[] = {prefix("::1/128"), prefix("8000::/1"), prefix("fe80::/10")};
	struct pst_profile_listener listeners[] = {
		{.allow = allow0, .allow_cnt = 6},
		{.allow_cnt = 0},
		{.allow = allow2, .allow_cnt = 1},
		{.allow = allow3, .allow_cnt = 1},
		{.allow = allow4, .allow_cnt = 3},
	};
	struct pst_listener_table *t = table_of(listeners, 5);
	static const struct {
		const char *src;
		bool allowed[5];
	} cases[] = {
		{"9.255.255.255", {0, 1, 0, 1, 0}},
		{"10.0.0.0", {1, 1, 0, 1, 0}},
		{"10.1.2.3", {1, 1, 0, 1, 0}},
		{"10.1.255.255", {1, 1, 0, 1, 0}},
		{"10.2.0.0", {0, 1, 0, 1, 0}},
		{"192.0.2.6", {0, 1, 0, 1, 0}},
		{"192.0.2.7", {1, 1, 0, 1, 0}},
		{"192.0.2.8", {0, 1, 0, 1, 0}},
		{"255.255.255.255", {0, 1, 0, 1, 0}},
		{"::", {0, 1, 1, 0, 0}},
		{"::1", {0, 1, 1, 0, 1}},
		{"::2", {0, 1, 1, 0, 0}},
		{"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", {0, 1, 1, 0, 0}},
		{"2001:db8::", {1, 1, 1, 0, 0}},
		{"2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", {1, 1, 1, 0, 0}},
		{"2001:db9::", {0, 1, 1, 0, 0}},
		{"7fff:ffff::", {0, 1, 1, 0, 0}},
		{"8000::", {0, 1, 1, 0, 1}},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", {0, 1, 1, 0, 1}},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int l = 0; l < 5; l++)
			cr_expect_eq(allows(t, l, cases[i].src), cases[i].allowed[l],
				"%s and listener %d", cases[i].src, l);
	pst_listener_table_destroy(t);
}

/* Against the prefixes one by one. */
Test(listener, allow_lists_at_random)
{
	uint32_t state = 1;
	for (int round = 0; round < 200; round++) {
		struct pst_prefix allow[32];
		for (int p = 0; p < 32; p++) {
			/* A few bits of freedom, so that prefixes meet and nest. */
			struct pst_prefix drawn = prefix("10.0.0.0/8");
			state = state * 1664525 + 1013904223;
			drawn.addr.bytes[15] = (uint8_t)(state >> 24);
			drawn.len = (uint8_t)(120 + (state >> 16) % 9);
			drawn.addr.bytes[15] &= (uint8_t)(0xff00 >> (drawn.len - 120));
			allow[p] = drawn;
		}
		struct pst_profile_listener listener = {
			.allow = allow, .allow_cnt = (uint16_t)(round % 32 + 1)};
		struct pst_listener_table *t = table_of(&listener, 1);
		for (unsigned host = 0; host < 256; host++) {
			struct pst_addr src = addr("10.0.0.0");
			src.bytes[15] = (uint8_t)host;
			bool want = false;
			for (int p = 0; p < listener.allow_cnt; p++)
				want |= pst_prefix_holds(&allow[p], &src);
			cr_assert_eq(pst_listener_allows(t, 0, &src), want);
		}
		pst_listener_table_destroy(t);
	}
}
