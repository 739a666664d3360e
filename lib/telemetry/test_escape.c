#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "telemetry/escape.h"

Test(escape, plain_text_stays)
{
	char out[64];
	cr_assert_eq(pst_escape("syslog-1.a_b c", 14, out, sizeof(out)), 14);
	cr_assert_str_eq(out, "syslog-1.a_b c");
	cr_assert_eq(pst_escape("", 0, out, sizeof(out)), 0);
	cr_assert_str_eq(out, "");
}

Test(escape, what_the_socket_would_lose_or_escape_is_hex)
{
	char out[64];
	pst_escape("\x1f\x20\x7e\x7f\x80\xff%\"\\\0z", 11, out, sizeof(out));
	cr_assert_str_eq(out, "%1F ~%7F%80%FF%25%22%5C%00z");
}

Test(escape, every_byte_comes_back)
{
	unsigned char all[256], back[PST_ESCAPED_MAX(256)];
	char text[PST_ESCAPED_MAX(256)];

	for (unsigned i = 0; i < 256; i++)
		all[i] = (unsigned char)(255 - i);
	cr_assert_eq(pst_escape(all, 256, text, sizeof(text)), 256);
	for (const char *c = text; *c; c++)
		cr_assert(*c >= 0x20 && *c < 0x7f && *c != '"' && *c != '\\');
	cr_assert_eq(pst_unescape(text, (char *)back), 256);
	cr_assert_eq(memcmp(all, back, 256), 0);
	/* In place, too. */
	cr_assert_eq(pst_unescape(text, text), 256);
	cr_assert_eq(memcmp(all, text, 256), 0);
}

Test(escape, stops_before_a_byte_that_does_not_fit_whole)
{
	char out[8];
	memset(out, 'x', sizeof(out));
	cr_assert_eq(pst_escape("a\x01z", 3, out, 4), 1, "%%01 needs three and the NUL");
	cr_assert_str_eq(out, "a");
	cr_assert_eq(pst_escape("a\x01z", 3, out, 5), 2);
	cr_assert_str_eq(out, "a%01");
	cr_assert_eq(pst_escape("a\x01z", 3, out, 6), 3);
	cr_assert_str_eq(out, "a%01z");
	cr_assert_eq(pst_escape("a", 1, out, 1), 0);
	cr_assert_str_eq(out, "");
}

Test(escape, a_bare_percent_sign_stands_for_itself)
{
	char out[16];
	size_t len = pst_unescape("%", out);
	cr_assert(len == 1 && memcmp(out, "%", 1) == 0);
	len = pst_unescape("%4", out);
	cr_assert(len == 2 && memcmp(out, "%4", 2) == 0);
	len = pst_unescape("%g1%4g%e4", out);
	cr_assert(len == 7 && memcmp(out, "%g1%4g\xe4", 7) == 0);
}
