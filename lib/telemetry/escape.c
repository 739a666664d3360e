#include "telemetry/escape.h"

#include <stdbool.h>

static bool
stands_for_itself(unsigned char c)
{
	return c >= 0x20 && c <= 0x7e && c != '%' && c != '"' && c != '\\';
}

size_t
pst_escape(const void *data, size_t len, char *out, size_t cap)
{
	static const char digits[] = "0123456789ABCDEF";
	const unsigned char *in = data;
	size_t taken = 0, used = 0;

	for (; taken < len; taken++) {
		unsigned char c = in[taken];
		size_t need = stands_for_itself(c) ? 1 : 3;
		if (cap - used <= need)
			break;
		if (need == 1) {
			out[used++] = (char)c;
			continue;
		}
		out[used++] = '%';
		out[used++] = digits[c >> 4];
		out[used++] = digits[c & 0xf];
	}
	out[used] = '\0';
	return taken;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

size_t
pst_unescape(const char *text, char *out)
{
	size_t used = 0;

	for (; *text; text++) {
		int high = *text == '%' ? hex_value(text[1]) : -1;
		int low = high >= 0 ? hex_value(text[2]) : -1;
		if (low < 0) {
			out[used++] = *text;
			continue;
		}
		out[used++] = (char)(high << 4 | low);
		text += 2;
	}
	return used;
}
