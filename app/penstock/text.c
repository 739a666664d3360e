#include "text.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

/* ---- characters ---- */

unsigned
text_utf8(const uint8_t *s, size_t len, uint32_t *code_point)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	if (len == 0)
		return 0;
	unsigned n = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (n == 0 || s[0] >= 0xf8 || n > len)
		return 0;
	uint32_t c = n == 1 ? s[0] : s[0] & (0x7fu >> n);
	for (unsigned i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	/* Longer than need be, a surrogate, beyond Unicode. */
	if (c < least[n] || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
		return 0;
	*code_point = c;
	return n;
}

/* C0, DEL and C1: terminals obey these. */
static bool
is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

/* ---- raw ---- */

static void
write_escaped(FILE *out, const uint8_t *s, size_t len)
{
	while (len > 0) {
		uint32_t c;
		unsigned n = text_utf8(s, len, &c);
		if (n > 0 && (!is_control(c) || c == '\t')) {
			fwrite(s, 1, n, out);
		} else {
			n = n > 0 ? n : 1;
			for (unsigned i = 0; i < n; i++)
				fprintf(out, "\\x%02X", s[i]);
		}
		s += n;
		len -= n;
	}
}

void
text_write_raw(FILE *out, const struct pst_batch_record *record, bool for_terminal)
{
	if (for_terminal)
		write_escaped(out, record->value, record->value_len);
	else if (record->value_len > 0)
		fwrite(record->value, 1, record->value_len, out);
	putc('\n', out);
}

/* ---- JSON ---- */

struct writer {
	FILE *out;
	bool for_terminal;
};

/* Takes what jansson writes of a string. It escapes below 0x20 and leaves DEL and C1 alone, which
 * JSON allows and terminals do not; both occur inside strings only, and never split. */
static int
write_chunk(const char *chunk, size_t len, void *arg)
{
	const struct writer *w = arg;
	if (!w->for_terminal)
		return fwrite(chunk, 1, len, w->out) == len ? 0 : -1;
	const uint8_t *s = (const uint8_t *)chunk;
	while (len > 0) {
		uint32_t c;
		unsigned n = text_utf8(s, len, &c);
		n = n > 0 ? n : 1;
		if (n == 1 ? s[0] == 0x7f : is_control(c))
			fprintf(w->out, "\\u%04X", n == 1 ? s[0] : c);
		else
			fwrite(s, 1, n, w->out);
		s += n;
		len -= n;
	}
	return 0;
}

static void
write_base64(FILE *out, const uint8_t *s, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (; len >= 3; s += 3, len -= 3) {
		putc(digits[s[0] >> 2], out);
		putc(digits[(s[0] & 3) << 4 | s[1] >> 4], out);
		putc(digits[(s[1] & 15) << 2 | s[2] >> 6], out);
		putc(digits[s[2] & 63], out);
	}
	if (len > 0) {
		uint8_t second = len > 1 ? s[1] : 0;
		putc(digits[s[0] >> 2], out);
		putc(digits[(s[0] & 3) << 4 | second >> 4], out);
		putc(len > 1 ? digits[(second & 15) << 2] : '=', out);
		putc('=', out);
	}
}

static void
write_string(const struct writer *w, json_t *string)
{
	json_dump_callback(string, write_chunk, (void *)(uintptr_t)w, JSON_ENCODE_ANY);
	json_decref(string);
}

/* A string, null, or base64 in quotes; text is what jansson made of the value, taken over. */
static void
write_value(const struct writer *w, json_t *text, const uint8_t *value, uint32_t value_len)
{
	if (text) {
		write_string(w, text);
	} else if (value) {
		putc('"', w->out);
		write_base64(w->out, value, value_len);
		putc('"', w->out);
	} else {
		fputs("null", w->out);
	}
}

/* NULL unless there is a value and it is UTF-8: jansson looks at every byte. */
static json_t *
as_text(const uint8_t *value, uint32_t value_len)
{
	return value ? json_stringn((const char *)value, value_len) : NULL;
}

/* "name":"value", "name":null, or "name_base64":"..."; the name is one of ours. */
static void
write_member(const struct writer *w, const char *name, const uint8_t *value, uint32_t value_len)
{
	json_t *text = as_text(value, value_len);
	fprintf(w->out, "\"%s%s\":", name, value && !text ? "_base64" : "");
	write_value(w, text, value, value_len);
}

/* The same with a name that anyone may have given; one that is not UTF-8 becomes "base64:...". */
static void
write_foreign_header(const struct writer *w, const struct pst_batch_header *h)
{
	json_t *text = as_text(h->value, h->value_len);
	const char *suffix = h->value && !text ? "_base64" : "";
	json_t *name = json_pack("s#+", (const char *)h->key, (int)h->key_len, suffix);
	if (name) {
		write_string(w, name);
	} else {
		fputs("\"base64:", w->out);
		write_base64(w->out, h->key, h->key_len);
		fprintf(w->out, "%s\"", suffix);
	}
	putc(':', w->out);
	write_value(w, text, h->value, h->value_len);
}

static bool
named(const struct pst_batch_header *h, const char *name)
{
	return h->key_len == strlen(name) && memcmp(h->key, name, h->key_len) == 0;
}

static void
write_header(const struct writer *w, const struct pst_batch_header *h)
{
	if ((named(h, "seq") || named(h, "ts_ns")) && h->value_len == 8) {
		fprintf(w->out, "\"%.*s\":%" PRIu64, (int)h->key_len, (const char *)h->key,
			pst_load_be64(h->value));
	} else if (named(h, "rules") && h->value && h->value_len % 4 == 0) {
		fputs("\"rules\":[", w->out);
		for (uint32_t i = 0; i < h->value_len; i += 4)
			fprintf(w->out, "%s%" PRIu32, i > 0 ? "," : "",
				pst_load_be32(h->value + i));
		putc(']', w->out);
	} else {
		write_foreign_header(w, h);
	}
}

void
text_write_json(FILE *out, const char *topic, uint32_t partition,
	const struct pst_batch_record *record, bool for_terminal)
{
	struct writer w = {.out = out, .for_terminal = for_terminal};
	putc('{', out);
	write_member(&w, "topic", (const uint8_t *)topic, (uint32_t)strlen(topic));
	fprintf(out, ",\"partition\":%" PRIu32 ",\"offset\":%" PRId64 ",\"timestamp\":%" PRId64 ",",
		partition, record->offset, record->timestamp_ms);
	write_member(&w, "key", record->key, record->key_len);
	fputs(",\"headers\":{", out);
	struct pst_batch_header header;
	for (uint32_t pos = 0, n = 0; pst_batch_header_next(record, &pos, &header); n++) {
		if (n > 0)
			putc(',', out);
		write_header(&w, &header);
	}
	fputs("},", out);
	write_member(&w, "value", record->value, record->value_len);
	fputs("}\n", out);
}
