#include "event.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define TEXT(s)                                                                                    \
	{                                                                                          \
		(s), sizeof(s) - 1                                                                 \
	}

static const struct load_text datagram_texts[] = {
	TEXT("<134>1 2025-01-01T00:00:00Z web1 shop 812 - - GET /cart/{seq} 200 in 12 ms"),
	TEXT("<38>1 2025-01-01T00:00:00Z gate sshd 4411 - - session {seq} opened for user deploy"),
	TEXT("<165>1 2025-01-01T00:00:00Z db2 store 97 - - checkpoint {seq} complete, wrote 1182 "
	     "buffers (7.2%), sync 0.041 s, longest 0.018 s"),
	TEXT("<30>1 2025-01-01T00:00:00Z edge3 ntp 210 - - offset +0.000{seq} s, delay 0.0021 s"),
	TEXT("{\"level\":\"info\",\"unit\":\"billing\",\"invoice\":{seq},\"cents\":4990,\"paid\":"
	     "true}"),
};

static const struct load_text line_texts[] = {
	TEXT("shop.requests:{seq}|c"),
	TEXT("shop.latency:{seq}|ms|@0.1"),
	TEXT("db.connections:42|g|#host:db2"),
	TEXT("queue.depth:{seq}|g"),
};

static const struct load_text mold_texts[] = {
	TEXT("A{seq} B PNSK 00100 0001250000"),
	TEXT("E{seq} 00040 match"),
	TEXT("D{seq}"),
};

const struct load_text *
load_source_builtin(enum pst_framing framing, uint64_t *cnt)
{
	switch (framing) {
	case PST_FRAMING_LINES:
		*cnt = PST_ARRAY_CNT(line_texts);
		return line_texts;
	case PST_FRAMING_MOLD64:
		*cnt = PST_ARRAY_CNT(mold_texts);
		return mold_texts;
	default:
		*cnt = PST_ARRAY_CNT(datagram_texts);
		return datagram_texts;
	}
}

static int
read_whole(FILE *f, char **data, size_t *len)
{
	char *buf = NULL;
	size_t used = 0, cap = 0;

	for (;;) {
		if (used == cap) {
			cap = cap ? cap * 2 : 65536;
			char *grown = realloc(buf, cap);
			if (!grown) {
				free(buf);
				return -ENOMEM;
			}
			buf = grown;
		}
		size_t got = fread(buf + used, 1, cap - used, f);
		used += got;
		if (got == 0)
			break;
	}
	if (ferror(f)) {
		free(buf);
		return -EIO;
	}
	*data = buf;
	*len = used;
	return 0;
}

/* Cuts data into source->texts; returns 0 or -ENOMEM. */
static int
split_lines(struct load_source *source, char *data, size_t len)
{
	uint64_t cap = 0;

	for (char *at = data, *end = data + len; at < end;) {
		char *lf = memchr(at, '\n', (size_t)(end - at));
		char *stop = lf ? lf : end;
		char *next = lf ? lf + 1 : end;
		while (stop > at && stop[-1] == '\r')
			stop--;
		if (stop == at) {
			source->skipped_cnt++;
			at = next;
			continue;
		}
		if (source->text_cnt == cap) {
			cap = cap ? cap * 2 : 1024;
			struct load_text *grown = realloc(
				source->texts, cap * sizeof(*source->texts));
			if (!grown)
				return -ENOMEM;
			source->texts = grown;
		}
		source->texts[source->text_cnt++] = (struct load_text){
			at, (uint32_t)pst_min_u64((uint64_t)(stop - at), UINT32_MAX)};
		at = next;
	}
	return 0;
}

int
load_source_read(struct load_source *source, const char *path)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
	size_t len;

	if (!f)
		return -errno;
	int rc = read_whole(f, &source->file, &len);
	if (f != stdin)
		fclose(f);
	if (rc == 0)
		rc = split_lines(source, source->file, len);
	if (rc == 0 && source->text_cnt == 0)
		rc = -ENODATA;
	return rc;
}

void
load_source_fini(struct load_source *source)
{
	free(source->texts);
	free(source->file);
	memset(source, 0, sizeof(*source));
}

/* Where the next byte goes, and how many there would be with room without end. */
struct writer {
	uint8_t *out;
	uint64_t room;
	uint64_t len;
};

static void
put(struct writer *w, const char *data, uint64_t len)
{
	if (w->len < w->room)
		memcpy(w->out + w->len, data, pst_min_u64(len, w->room - w->len));
	w->len += len;
}

static void
put_number(struct writer *w, uint64_t number)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, number);
	put(w, digits, (uint64_t)len);
}

static void
put_expanded(struct writer *w, const struct load_text *text, uint64_t seq, uint64_t t_ns)
{
	const char *at = text->data, *end = at + text->len;

	while (at < end) {
		const char *brace = memchr(at, '{', (size_t)(end - at));
		if (!brace)
			brace = end;
		put(w, at, (uint64_t)(brace - at));
		uint64_t left = (uint64_t)(end - brace);
		at = brace;
		if (left >= 5 && memcmp(brace, "{seq}", 5) == 0) {
			put_number(w, seq);
			at = brace + 5;
		} else if (left >= 3 && memcmp(brace, "{t}", 3) == 0) {
			put_number(w, t_ns);
			at = brace + 3;
		} else if (left > 0) {
			put(w, brace, 1);
			at = brace + 1;
		}
	}
}

int64_t
load_event_make(const struct load_source *source, uint64_t idx, uint64_t seq, uint64_t t_ns,
	uint8_t *out, uint32_t room)
{
	static const char padding[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	const struct load_text *text = &source->texts[idx % source->text_cnt];
	uint32_t size = source->size_bytes;
	struct writer w = {.out = out, .room = size ? pst_min_u64(size, room) : room};

	if (size > room)
		return -1;
	if (source->stamp) {
		put(&w, "seq=", 4);
		put_number(&w, seq);
		put(&w, " t=", 3);
		put_number(&w, t_ns);
		put(&w, " ", 1);
	}
	if (source->expand)
		put_expanded(&w, text, seq, t_ns);
	else
		put(&w, text->data, text->len);
	if (!size)
		return w.len <= room ? (int64_t)w.len : -1;
	while (w.len < size)
		put(&w, padding, pst_min_u64(sizeof(padding) - 1, size - w.len));
	/* A cut must not leave a CR at the end: a reader of lines would take it off. */
	if (out[size - 1] == '\r')
		out[size - 1] = '.';
	return size;
}
