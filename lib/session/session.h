/* Sequence state of MoldUDP64 sessions: expected next, gaps, duplicates, late arrivals.
 *
 * One table belongs to one rx lcore, and only that thread calls into it. Memory is fixed at
 * creation. Key: (listener, 10 raw bytes).
 *
 *        missing range          next expected
 *   ....[======]................|
 *       ^ a sequence number in it is LATE: stored, the range shrinks or splits
 *   ^ one outside, below next: DUPLICATE, dropped      ^ at or above next: IN_ORDER / opens a gap
 *
 * The first packet of a session sets the expectation (joined_at); nothing before it is called
 * missing, and what then arrives below joined_at is UNTRACKED: stored, never called a duplicate.
 * Gap ranges are bounded: what no longer fits is remembered as untracked span and answered
 * UNTRACKED, never DUPLICATE. */
#ifndef PST_SESSION_H
#define PST_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "frame/framing.h"

enum pst_session_verdict {
	PST_SESSION_IN_ORDER,  /* expected, or beyond it after opening a gap: store */
	PST_SESSION_LATE,      /* filled (part of) a gap: store */
	PST_SESSION_UNTRACKED, /* not known whether it was seen: store */
	PST_SESSION_DUPLICATE, /* seen: drop */
};

struct pst_session_range {
	uint64_t from; /* first missing */
	uint64_t to;   /* last missing, inclusive */
	uint64_t first_seen_ns;
};

/* A copy for telemetry. Counts are messages unless named otherwise. */
struct pst_session_info {
	uint16_t listener_idx;
	uint8_t id[PST_MOLD_SESSION_LEN];
	bool ended;
	uint64_t joined_at; /* sequence of the first packet seen */
	uint64_t next;      /* expected next */
	uint64_t received, duplicate, late, untracked, reopened;
	uint64_t gap_messages;    /* ever found missing */
	uint64_t missing;         /* missing now, in the ranges */
	uint64_t gap_cnt;         /* gaps ever opened */
	uint64_t gap_lost_ranges; /* ranges that no longer fitted */
	uint64_t first_seen_ns, last_seen_ns;
	uint32_t range_cnt; /* of ranges[] kept now */
};

struct pst_session_table;
struct pst_session;

/* Bytes that pst_session_table_init needs at mem (64-byte aligned). */
uint64_t pst_session_table_bytes(uint32_t session_cnt_max, uint32_t range_cnt_max);
struct pst_session_table *pst_session_table_init(
	void *mem, uint32_t session_cnt_max, uint32_t range_cnt_max);

/* The session, created at its first packet with sequence as expectation. NULL: the table is full
 * (counted by the table; the caller stores untracked). Ended sessions that have been silent longest
 * are not evicted: exactly once matters more than room. */
struct pst_session *pst_session_get(struct pst_session_table *table, uint16_t listener_idx,
	const uint8_t id[PST_MOLD_SESSION_LEN], uint64_t sequence, uint64_t now_ns);

/* Reserves one sequence number and says what the message is. */
enum pst_session_verdict pst_session_admit(
	struct pst_session *session, uint64_t sequence, uint64_t now_ns);

/* Gives a number back that admit reserved (IN_ORDER, LATE) but that was shed or whose write
 * failed: it is missing again and a later copy will be LATE. */
void pst_session_reopen(struct pst_session *session, uint64_t sequence, uint64_t now_ns);

/* Existing session or NULL; for reopening after a failed write. */
struct pst_session *pst_session_find(struct pst_session_table *table, uint16_t listener_idx,
	const uint8_t id[PST_MOLD_SESSION_LEN]);

/* Heartbeat or end of session: next is the sender's next expected; opens a gap up to it. */
void pst_session_heartbeat(
	struct pst_session *session, uint64_t next, bool end_of_session, uint64_t now_ns);

uint32_t pst_session_cnt(const struct pst_session_table *table);
uint64_t pst_session_full_cnt(const struct pst_session_table *table); /* messages not tracked */

/* Copies session number idx (0 .. cnt-1, order of creation) and up to range_cap of its missing
 * ranges, lowest first. Returns ranges copied. Owner thread only. */
uint32_t pst_session_copy(const struct pst_session_table *table, uint32_t idx,
	struct pst_session_info *info, struct pst_session_range *ranges, uint32_t range_cap);

#endif
