/* Bytes of a datagram's payload in each framing, good ones and defective ones. Pure. */
#ifndef PST_LOAD_PAYLOAD_H
#define PST_LOAD_PAYLOAD_H

#include "schedule.h"

/* Writes a payload with up to want events, seq and upwards, into out (LOAD_PAYLOAD_MAX bytes);
 * fewer where the plan's payload_max ends it. Returns the number of events, 0 if not one fits. */
uint32_t load_payload_events(uint8_t *out, const struct load_plan *plan,
	const struct load_source *source, uint64_t first_idx, uint64_t seq, uint64_t t_ns,
	uint32_t want, uint32_t *len);

/* Writes a payload without a good event: heartbeat, end of session, or one that a receiver answers
 * with the verdict (EMPTY and the MOLD ones). For defects of the headers in front of the payload
 * any payload serves. Returns its length. */
uint32_t load_payload_other(
	uint8_t *out, const struct load_plan *plan, enum pst_frame_verdict verdict, uint64_t seq);

#endif
