/* UDP payload -> events. Pure. Events point into the payload.
 *
 * MoldUDP64 1.00 (Nasdaq), big-endian:
 *   0        10          18      20
 *   | session | sequence | count | count x { length(2) message } |
 * count 0: heartbeat; count 0xFFFF: end of session; sequence = next expected in both. */
#ifndef PST_FRAMING_H
#define PST_FRAMING_H

#include "frame/frame.h"

enum pst_framing { PST_FRAMING_DATAGRAM, PST_FRAMING_LINES, PST_FRAMING_MOLD64 };

const char *pst_framing_name(enum pst_framing framing);

#define PST_MOLD_SESSION_LEN 10
#define PST_MOLD_HEADER_LEN  20
#define PST_MOLD_END         0xFFFFu

struct pst_mold {
	const uint8_t *session; /* PST_MOLD_SESSION_LEN bytes */
	uint64_t sequence;      /* of the first message; next expected if there is none */
	uint16_t message_cnt;
};

/* Checks the whole payload before any message of it is used. Returns CARRIED, HEARTBEAT,
 * END_OF_SESSION (all three fill *mold) or the reject. */
enum pst_frame_verdict pst_mold_parse(
	const uint8_t *payload, uint32_t payload_len, struct pst_mold *mold);

/* An event in a payload. */
struct pst_event {
	const uint8_t *data;
	uint32_t len;
};

/* Walks the events of a payload that was found good. */
struct pst_event_iter {
	const uint8_t *at;
	const uint8_t *end;
	uint32_t empty_line_cnt; /* lines: skipped so far */
	enum pst_framing framing;
};

/* payload: for MOLD64 the whole payload that pst_mold_parse accepted as CARRIED. */
void pst_event_iter_init(struct pst_event_iter *iter, enum pst_framing framing,
	const uint8_t *payload, uint32_t payload_len);

/* pst_event_iter_next's way for LINES and DATAGRAM. */
bool pst_event_iter_next_other(struct pst_event_iter *iter, struct pst_event *event);

/* False at the end; an empty payload has no events. LINES: LF and CRLF are cut off, the last line
 * needs none; empty lines are skipped and counted. DATAGRAM: the payload whole. MOLD64: zero-length
 * messages are events. */
static inline bool
pst_event_iter_next(struct pst_event_iter *iter, struct pst_event *event)
{
	if (iter->framing != PST_FRAMING_MOLD64)
		return pst_event_iter_next_other(iter, event);
	if (iter->at == iter->end)
		return false;
	*event = (struct pst_event){iter->at + 2, pst_load_be16(iter->at)};
	/* pst_mold_parse has seen that the blocks fill the payload. */
	PST_ASSERT(event->len <= (size_t)(iter->end - event->data));
	iter->at = event->data + event->len;
	return true;
}

#endif
