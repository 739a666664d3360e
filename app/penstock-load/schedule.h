/* Which datagrams are sent, in which order, with which deliberate faults; and their payloads.
 *
 * Sequence numbers are dealt to datagrams in order. Datagram number n = 1, 2, .. then is
 *   n % gap == 0          left out: its numbers are used up and never sent
 *   n % duplicate == 0    sent twice, byte for byte
 *   n % reorder == 0      held back and sent after the one that follows it
 * and after it come
 *   n % malformed == 0    a datagram that a receiver must refuse (no event in it)
 *   n % heartbeat == 0    a MoldUDP64 heartbeat
 */
#ifndef PST_LOAD_SCHEDULE_H
#define PST_LOAD_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "event.h"
#include "frame/framing.h"

#define LOAD_PAYLOAD_MAX 65527u /* of UDP over IPv6 */

struct load_plan {
	enum pst_framing framing;
	uint8_t session[PST_MOLD_SESSION_LEN];
	uint64_t first_seq;
	uint64_t event_cnt; /* sequence numbers to use up; UINT64_MAX: without end */
	uint32_t events_per_frame;
	uint32_t payload_max;
	uint64_t gap_every, duplicate_every, reorder_every, malformed_every, heartbeat_every;
	bool heartbeat_last;
	bool end_of_session;
	/* The faults that malformed rotates through. */
	enum pst_frame_verdict defects[PST_FRAME_VERDICT_CNT];
	unsigned defect_cnt;
};

/* One datagram to send. */
struct load_frame {
	/* What a receiver makes of it: CARRIED, a reject (this is the defect), or an ignore. */
	enum pst_frame_verdict verdict;
	uint64_t number; /* counts every datagram that leaves, from 0 */
	uint64_t seq;    /* of the first event */
	uint64_t t_ns;
	uint32_t event_cnt;
	bool copy;      /* a duplicate */
	bool late;      /* was held back behind its successor */
	uint32_t len;   /* of the payload */
	uint8_t *bytes; /* caller's, LOAD_PAYLOAD_MAX */
};

/* What is known of a datagram before its bytes are made again. */
struct load_pending {
	enum pst_frame_verdict verdict;
	uint64_t seq, t_ns;
	uint32_t event_cnt;
	bool copy, late;
};

#define LOAD_PENDING_MAX 8

struct load_schedule {
	const struct load_plan *plan;
	const struct load_source *source;
	uint64_t next_seq;
	uint64_t used_cnt;  /* sequence numbers used up */
	uint64_t dealt_cnt; /* datagrams with events made, left out ones among them */
	uint64_t left_cnt;  /* datagrams that left */
	unsigned defect_idx;
	struct load_pending held;
	bool is_held;
	bool closed; /* the last frames are queued */
	struct load_pending queue[LOAD_PENDING_MAX];
	unsigned queue_head, queue_cnt;
	uint64_t gap_cnt, gap_event_cnt;
};

void load_schedule_init(struct load_schedule *schedule, const struct load_plan *plan,
	const struct load_source *source);

/* No sequence number is to be used any more after those used (SIGINT). */
void load_schedule_stop(struct load_schedule *schedule);

/* Makes the next datagram; t_ns is the send time for new events. Returns 1, 0 at the end, or -1
 * if a single event does not fit a datagram. */
int load_schedule_next(struct load_schedule *schedule, uint64_t t_ns, struct load_frame *frame);

#endif
