#include "payload.h"

#include <string.h>

#include "base/base.h"

static void
mold_header(uint8_t *out, const struct load_plan *plan, uint64_t seq, uint16_t cnt)
{
	memcpy(out, plan->session, PST_MOLD_SESSION_LEN);
	pst_store_be64(out + 10, seq);
	pst_store_be16(out + 18, cnt);
}

uint32_t
load_payload_events(uint8_t *out, const struct load_plan *plan, const struct load_source *source,
	uint64_t first_idx, uint64_t seq, uint64_t t_ns, uint32_t want, uint32_t *len)
{
	uint32_t at = plan->framing == PST_FRAMING_MOLD64 ? PST_MOLD_HEADER_LEN : 0;
	uint32_t cnt = 0;

	for (; cnt < want; cnt++) {
		/* In front of an event: its length, or the LF that ends the one before it. */
		uint32_t lead = 0;
		if (plan->framing == PST_FRAMING_MOLD64)
			lead = 2;
		else if (plan->framing == PST_FRAMING_LINES && cnt > 0)
			lead = 1;
		if (at + lead > plan->payload_max)
			break;
		int64_t made = load_event_make(source, first_idx + cnt, seq + cnt, t_ns,
			out + at + lead, plan->payload_max - at - lead);
		if (made < 0)
			break;
		if (plan->framing == PST_FRAMING_MOLD64)
			pst_store_be16(out + at, (uint16_t)made);
		else if (lead == 1)
			out[at] = '\n';
		at += lead + (uint32_t)made;
	}
	if (plan->framing == PST_FRAMING_MOLD64)
		mold_header(out, plan, seq, (uint16_t)cnt);
	*len = at;
	return cnt;
}

uint32_t
load_payload_other(
	uint8_t *out, const struct load_plan *plan, enum pst_frame_verdict verdict, uint64_t seq)
{
	static const uint8_t message[] = {0, 6, 'd', 'e', 'f', 'e', 'c', 't'};
	uint32_t len = PST_MOLD_HEADER_LEN + sizeof(message);

	mold_header(out, plan, seq, 1);
	memcpy(out + PST_MOLD_HEADER_LEN, message, sizeof(message));
	switch (verdict) {
	case PST_FRAME_HEARTBEAT:
		mold_header(out, plan, seq, 0);
		return PST_MOLD_HEADER_LEN;
	case PST_FRAME_END_OF_SESSION:
		mold_header(out, plan, seq, PST_MOLD_END);
		return PST_MOLD_HEADER_LEN;
	case PST_FRAME_EMPTY:
		if (plan->framing == PST_FRAMING_DATAGRAM)
			return 0;
		memcpy(out, "\r\n\n\n", 4);
		return 4;
	case PST_FRAME_MOLD_SHORT:
		return PST_MOLD_HEADER_LEN - 1;
	case PST_FRAME_MOLD_TRUNCATED:
		mold_header(out, plan, seq, 2);
		return len;
	case PST_FRAME_MOLD_TRAILING:
		out[len] = 0;
		return len + 1;
	case PST_FRAME_MOLD_SEQUENCE:
		mold_header(out, plan, 0, 1);
		return len;
	default:
		if (plan->framing != PST_FRAMING_MOLD64)
			memcpy(out, "defect of the headers, not of this", 34);
		return plan->framing == PST_FRAMING_MOLD64 ? len : 34;
	}
}
