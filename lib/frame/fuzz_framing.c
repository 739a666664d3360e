/* Differential: the three framings against plain readers that were written apart from them: lines
 * by a scan for their ends, MoldUDP64 by offsets. Input: a UDP payload. */
#include <stdlib.h>
#include <string.h>

#include "frame/framing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct piece {
	size_t off, len;
};

struct pieces {
	struct piece *of;
	size_t cnt, empty_cnt;
};

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
plain_lines(const uint8_t *data, size_t size, struct pieces *out)
{
	size_t start = 0;
	for (size_t i = 0; i <= size; i++) {
		if (i < size && data[i] != '\n')
			continue;
		bool has_lf = i < size;
		size_t len = i - start;
		if (has_lf && len > 0 && data[i - 1] == '\r')
			len--;
		if (len > 0)
			out->of[out->cnt++] = (struct piece){start, len};
		else if (has_lf)
			out->empty_cnt++;
		start = i + 1;
	}
}

/* False: the wanted number of messages does not end exactly with the payload; *left_over says
 * which way it failed. */
static bool
plain_messages(const uint8_t *data, size_t off, size_t size, unsigned wanted, bool *left_over,
	struct pieces *out)
{
	for (; wanted > 0; wanted--) {
		*left_over = false;
		if (off + 2 > size)
			return false;
		size_t len = data[off] * 256u + data[off + 1];
		if (off + 2 + len > size)
			return false;
		out->of[out->cnt++] = (struct piece){off + 2, len};
		off += 2 + len;
	}
	*left_over = off < size;
	return off == size;
}

static enum pst_frame_verdict
plain_mold(const uint8_t *data, size_t size, uint64_t *sequence, struct pieces *out)
{
	bool left_over;
	if (size < 20)
		return PST_FRAME_MOLD_SHORT;
	*sequence = 0;
	for (int i = 10; i < 18; i++)
		*sequence = *sequence * 256 + data[i];
	unsigned count = data[18] * 256u + data[19];
	unsigned messages = count == 65535 ? 0 : count;
	/* The packet's numbers and the one after them, counted one by one. */
	uint64_t number = *sequence;
	for (unsigned i = 0; i <= messages; i++, number++)
		if (number == 0)
			return PST_FRAME_MOLD_SEQUENCE;
	if (!plain_messages(data, 20, size, messages, &left_over, out))
		return left_over ? PST_FRAME_MOLD_TRAILING : PST_FRAME_MOLD_TRUNCATED;
	if (count == 0)
		return PST_FRAME_HEARTBEAT;
	return count == 65535 ? PST_FRAME_END_OF_SESSION : PST_FRAME_CARRIED;
}

static void
compare(enum pst_framing framing, const uint8_t *data, size_t size, const struct pieces *want)
{
	struct pst_event_iter iter;
	struct pst_event event;
	pst_event_iter_init(&iter, framing, data, (uint32_t)size);
	for (size_t i = 0; i < want->cnt; i++) {
		check(pst_event_iter_next(&iter, &event));
		check(event.data == data + want->of[i].off);
		check(event.len == want->of[i].len);
	}
	check(!pst_event_iter_next(&iter, &event));
	check(iter.empty_line_cnt == want->empty_cnt);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pieces pieces = {.of = calloc(size + 1, sizeof(struct piece))};
	if (!pieces.of)
		abort();

	if (size > 0)
		pieces.of[pieces.cnt++] = (struct piece){0, size};
	compare(PST_FRAMING_DATAGRAM, data, size, &pieces);

	pieces.cnt = 0;
	plain_lines(data, size, &pieces);
	compare(PST_FRAMING_LINES, data, size, &pieces);

	struct pst_mold mold;
	uint64_t sequence = 0;
	pieces.cnt = pieces.empty_cnt = 0;
	enum pst_frame_verdict want = plain_mold(data, size, &sequence, &pieces);
	check(pst_mold_parse(data, (uint32_t)size, &mold) == want);
	if (pst_frame_verdict_class(want) != PST_FRAME_CLASS_REJECTED) {
		check(mold.session == data);
		check(mold.sequence == sequence);
		check(mold.message_cnt == pieces.cnt);
	}
	if (want == PST_FRAME_CARRIED)
		compare(PST_FRAMING_MOLD64, data, size, &pieces);
	free(pieces.of);
	return 0;
}
