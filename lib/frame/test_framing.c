#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame/framing.h"

/* A MoldUDP64 packet under construction. */
struct packet {
	uint8_t bytes[2048];
	uint32_t len;
};

static void
start(struct packet *p, uint64_t sequence, unsigned count)
{
	memcpy(p->bytes, "SESSION  1", 10);
	pst_store_be64(p->bytes + 10, sequence);
	pst_store_be16(p->bytes + 18, (uint16_t)count);
	p->len = 20;
}

static void
message(struct packet *p, const char *text)
{
	pst_store_be16(p->bytes + p->len, (uint16_t)strlen(text));
	memcpy(p->bytes + p->len + 2, text, strlen(text));
	p->len += 2 + (uint32_t)strlen(text);
}

/* Parses an exact-size copy, so that a sanitizer sees a read past the end. */
static enum pst_frame_verdict
parse(const struct packet *p, struct pst_mold *mold)
{
	uint8_t *copy = malloc(p->len ? p->len : 1);
	memcpy(copy, p->bytes, p->len);
	enum pst_frame_verdict verdict = pst_mold_parse(copy, p->len, mold);
	if (pst_frame_verdict_class(verdict) != PST_FRAME_CLASS_REJECTED) {
		cr_expect_eq(mold->session, copy);
		mold->session = p->bytes;
	}
	free(copy);
	return verdict;
}

#define EXPECT(p, sym)                                                                             \
	do {                                                                                       \
		struct pst_mold mold_;                                                             \
		enum pst_frame_verdict got_ = parse(p, &mold_);                                    \
		cr_expect_eq(                                                                      \
			got_, PST_FRAME_##sym, "%s, not %s", pst_frame_verdict_name(got_), #sym);  \
	} while (0)

/* Events joined by '|', then the count of empty lines. */
static const char *
events(enum pst_framing framing, const void *payload, size_t len)
{
	static char text[1024];
	struct pst_event_iter iter;
	struct pst_event event;
	size_t at = 0;
	pst_event_iter_init(&iter, framing, payload, (uint32_t)len);
	while (pst_event_iter_next(&iter, &event)) {
		memcpy(text + at, event.data, event.len);
		at += event.len;
		text[at++] = '|';
	}
	cr_expect_not(pst_event_iter_next(&iter, &event), "the end stays the end");
	snprintf(text + at, sizeof(text) - at, "%u", iter.empty_line_cnt);
	return text;
}

#define LINES(text) events(PST_FRAMING_LINES, text, sizeof(text) - 1)

Test(framing, names)
{
	cr_assert_str_eq(pst_framing_name(PST_FRAMING_DATAGRAM), "datagram");
	cr_assert_str_eq(pst_framing_name(PST_FRAMING_LINES), "lines");
	cr_assert_str_eq(pst_framing_name(PST_FRAMING_MOLD64), "mold64");
}

Test(framing, datagram_is_one_event)
{
	cr_assert_str_eq(events(PST_FRAMING_DATAGRAM, "a\n\r\nb\n", 6), "a\n\r\nb\n|0");
	cr_assert_str_eq(events(PST_FRAMING_DATAGRAM, "\n", 1), "\n|0");
	cr_assert_str_eq(events(PST_FRAMING_DATAGRAM, "", 0), "0");
}

Test(framing, lines)
{
	cr_expect_str_eq(LINES(""), "0");
	cr_expect_str_eq(LINES("a"), "a|0");
	cr_expect_str_eq(LINES("a\n"), "a|0");
	cr_expect_str_eq(LINES("a\nb"), "a|b|0");
	cr_expect_str_eq(LINES("a\r\nb\r\n"), "a|b|0");
	cr_expect_str_eq(LINES("\n"), "1");
	cr_expect_str_eq(LINES("\r\n"), "1");
	cr_expect_str_eq(LINES("\n\n\r\na\n\nb\n\n"), "a|b|5");
	/* A CR is part of the line's end only directly before an LF. */
	cr_expect_str_eq(LINES("a\r"), "a\r|0");
	cr_expect_str_eq(LINES("\r"), "\r|0");
	cr_expect_str_eq(LINES("a\rb\n"), "a\rb|0");
	cr_expect_str_eq(LINES("a\r\r\n"), "a\r|0");
}

Test(framing, lines_keep_every_other_byte)
{
	struct pst_event_iter iter;
	struct pst_event event;
	static const uint8_t payload[] = {0, 0xff, ' ', '\n', ' ', '\n', 0};
	pst_event_iter_init(&iter, PST_FRAMING_LINES, payload, sizeof(payload));
	static const struct {
		unsigned off, len;
	} want[] = {{0, 3}, {4, 1}, {6, 1}};
	for (size_t i = 0; i < PST_ARRAY_CNT(want); i++) {
		cr_assert(pst_event_iter_next(&iter, &event));
		cr_assert_eq(event.data, payload + want[i].off);
		cr_assert_eq(event.len, want[i].len);
	}
	cr_assert_not(pst_event_iter_next(&iter, &event));
}

Test(framing, mold_messages)
{
	struct packet p;
	struct pst_mold mold;
	start(&p, 7, 3);
	message(&p, "one");
	message(&p, ""); /* legal, and takes a sequence number */
	message(&p, "three");
	cr_assert_eq(parse(&p, &mold), PST_FRAME_CARRIED);
	cr_assert_eq(mold.session, p.bytes);
	cr_assert_eq(mold.sequence, 7);
	cr_assert_eq(mold.message_cnt, 3);
	cr_assert_str_eq(events(PST_FRAMING_MOLD64, p.bytes, p.len), "one||three|0");
}

Test(framing, mold_without_messages)
{
	struct packet p;
	struct pst_mold mold;
	start(&p, 9, 0);
	cr_assert_eq(parse(&p, &mold), PST_FRAME_HEARTBEAT);
	cr_assert_eq(mold.sequence, 9);
	cr_assert_eq(mold.message_cnt, 0);
	start(&p, UINT64_MAX, PST_MOLD_END);
	cr_assert_eq(parse(&p, &mold), PST_FRAME_END_OF_SESSION);
	cr_assert_eq(mold.sequence, UINT64_MAX);
	cr_assert_eq(mold.message_cnt, 0);
	start(&p, 9, 0);
	message(&p, "");
	EXPECT(&p, MOLD_TRAILING);
	start(&p, 9, PST_MOLD_END);
	p.len++;
	EXPECT(&p, MOLD_TRAILING);
}

Test(framing, mold_rejects_every_other_length)
{
	struct packet p;
	start(&p, 1, 2);
	message(&p, "one");
	message(&p, "two");
	EXPECT(&p, CARRIED);
	p.len++;
	EXPECT(&p, MOLD_TRAILING);
	for (p.len -= 2; p.len > 0; p.len--)
		if (p.len >= 20)
			EXPECT(&p, MOLD_TRUNCATED);
		else
			EXPECT(&p, MOLD_SHORT);
	EXPECT(&p, MOLD_SHORT);

	start(&p, 1, 3);
	message(&p, "one");
	message(&p, "two");
	EXPECT(&p, MOLD_TRUNCATED);
	start(&p, 1, 1);
	message(&p, "one");
	message(&p, "two");
	EXPECT(&p, MOLD_TRAILING);
	start(&p, 1, 1);
	message(&p, "one");
	p.bytes[20] = 0xff;
	EXPECT(&p, MOLD_TRUNCATED);
}

Test(framing, mold_most_messages)
{
	static uint8_t payload[20 + 2 * 65534];
	struct pst_mold mold;
	struct pst_event_iter iter;
	struct pst_event event;
	memset(payload, 0, sizeof(payload));
	pst_store_be64(payload + 10, 1);
	pst_store_be16(payload + 18, 65534);
	cr_assert_eq(pst_mold_parse(payload, sizeof(payload), &mold), PST_FRAME_CARRIED);
	cr_assert_eq(mold.message_cnt, 65534);
	pst_event_iter_init(&iter, PST_FRAMING_MOLD64, payload, sizeof(payload));
	unsigned cnt = 0;
	while (pst_event_iter_next(&iter, &event))
		cnt++;
	cr_assert_eq(cnt, 65534);
}

Test(framing, mold_sequence)
{
	struct packet p;
	struct pst_mold mold;
	start(&p, 0, 1);
	message(&p, "one");
	EXPECT(&p, MOLD_SEQUENCE);
	start(&p, 0, 0);
	EXPECT(&p, MOLD_SEQUENCE);
	start(&p, 0, PST_MOLD_END);
	EXPECT(&p, MOLD_SEQUENCE);
	/* The number after the last message must exist, too. */
	start(&p, UINT64_MAX - 2, 2);
	message(&p, "one");
	message(&p, "two");
	cr_assert_eq(parse(&p, &mold), PST_FRAME_CARRIED);
	cr_assert_eq(mold.sequence, UINT64_MAX - 2);
	pst_store_be64(p.bytes + 10, UINT64_MAX - 1);
	EXPECT(&p, MOLD_SEQUENCE);
	pst_store_be64(p.bytes + 10, UINT64_MAX);
	EXPECT(&p, MOLD_SEQUENCE);
	start(&p, UINT64_MAX, 0);
	EXPECT(&p, HEARTBEAT);
}
