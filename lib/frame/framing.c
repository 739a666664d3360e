#include "frame/framing.h"

const char *
pst_framing_name(enum pst_framing framing)
{
	static const char *const names[] = {
		[PST_FRAMING_DATAGRAM] = "datagram",
		[PST_FRAMING_LINES] = "lines",
		[PST_FRAMING_MOLD64] = "mold64",
	};
	PST_ASSERT((unsigned)framing < PST_ARRAY_CNT(names));
	return names[framing];
}

enum pst_frame_verdict
pst_mold_parse(const uint8_t *payload, uint32_t payload_len, struct pst_mold *mold)
{
	if (pst_unlikely(payload_len < PST_MOLD_HEADER_LEN))
		return PST_FRAME_MOLD_SHORT;
	uint64_t sequence = pst_load_be64(payload + 10);
	uint32_t count = pst_load_be16(payload + 18);
	bool end_of_session = count == PST_MOLD_END;
	uint32_t message_cnt = end_of_session ? 0 : count;
	if (pst_unlikely(sequence == 0 || sequence > UINT64_MAX - message_cnt))
		return PST_FRAME_MOLD_SEQUENCE;

	uint32_t off = PST_MOLD_HEADER_LEN;
	for (uint32_t i = 0; i < message_cnt; i++) {
		if (pst_unlikely(payload_len - off < 2))
			return PST_FRAME_MOLD_TRUNCATED;
		uint32_t len = pst_load_be16(payload + off);
		off += 2;
		if (pst_unlikely(payload_len - off < len))
			return PST_FRAME_MOLD_TRUNCATED;
		off += len;
	}
	if (pst_unlikely(off != payload_len))
		return PST_FRAME_MOLD_TRAILING;

	mold->session = payload;
	mold->sequence = sequence;
	mold->message_cnt = (uint16_t)message_cnt;
	if (end_of_session)
		return PST_FRAME_END_OF_SESSION;
	return message_cnt ? PST_FRAME_CARRIED : PST_FRAME_HEARTBEAT;
}

void
pst_event_iter_init(struct pst_event_iter *iter, enum pst_framing framing, const uint8_t *payload,
	uint32_t payload_len)
{
	iter->at = payload;
	iter->end = payload + payload_len;
	iter->empty_line_cnt = 0;
	iter->framing = framing;
	if (framing == PST_FRAMING_MOLD64) {
		PST_ASSERT(payload_len >= PST_MOLD_HEADER_LEN);
		iter->at += PST_MOLD_HEADER_LEN;
	}
}

static bool
next_line(struct pst_event_iter *iter, struct pst_event *event)
{
	while (iter->at < iter->end) {
		const uint8_t *line = iter->at;
		const uint8_t *stop = memchr(line, '\n', (size_t)(iter->end - line));
		if (stop) {
			iter->at = stop + 1;
			/* A CR belongs to the line's end only in front of an LF. */
			if (stop > line && stop[-1] == '\r')
				stop--;
		} else {
			iter->at = stop = iter->end;
		}
		if (stop > line) {
			*event = (struct pst_event){line, (uint32_t)(stop - line)};
			return true;
		}
		iter->empty_line_cnt++;
	}
	return false;
}

bool
pst_event_iter_next_other(struct pst_event_iter *iter, struct pst_event *event)
{
	if (iter->framing == PST_FRAMING_LINES)
		return next_line(iter, event);
	if (iter->at == iter->end)
		return false;
	*event = (struct pst_event){iter->at, (uint32_t)(iter->end - iter->at)};
	iter->at = iter->end;
	return true;
}
