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
 * Gap ranges are bounded. When there is no room for one more, the lowest is given up: late arrivals
 * are likeliest near next. All that was given up lies in one span, of which the bounds are kept,
 * and what arrives in that span is UNTRACKED, never DUPLICATE.
 *
 * Sequence numbers are 1 .. UINT64_MAX - 1 (pst_mold_parse sees to it), so that next exists. */
#ifndef PST_SESSION_H
#define PST_SESSION_H

#include <stdatomic.h>
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
	uint64_t received;  /* given to admit, whatever the verdict */
	uint64_t bytes;     /* payload of its datagrams */
	uint64_t duplicate, late, untracked;
	uint64_t reopened;        /* made missing again */
	uint64_t gap_messages;    /* ever found missing */
	uint64_t missing;         /* missing now, in the ranges */
	uint64_t gap_cnt;         /* gaps ever opened; one that grows is still one */
	uint64_t gap_lost_ranges; /* ranges that no longer fitted */
	uint64_t lost_from;       /* bounds of the span that they lie in, inclusive; */
	uint64_t lost_to;         /* 0, 0: none */
	uint64_t lost_messages;   /* in them, when they were given up */
	uint64_t first_seen_ns;
	uint64_t last_seen_ns; /* packet, heartbeat or message */
	uint32_t range_cnt;    /* of ranges[] kept now */
};

struct pst_session_table;

/* What the in-order case touches; the library's own, in sight only for pst_session_admit. */
struct pst_session {
	uint64_t next;
	uint64_t received;
	uint64_t last_seen_ns;
	uint64_t bytes; /* the caller adds the payload of its datagrams */
};

/* Bytes that pst_session_table_init needs at mem (64-byte aligned). Both counts are at least 1 and
 * below 2^24. A message costs at worst one move of half its session's ranges: keep them to a few
 * thousand. */
uint64_t pst_session_table_bytes(uint32_t session_cnt_max, uint32_t range_cnt_max);
struct pst_session_table *pst_session_table_init(
	void *mem, uint32_t session_cnt_max, uint32_t range_cnt_max);

/* The session, created at its first packet with sequence as expectation. NULL: the table is full
 * (counted by the table; the caller stores the packet's messages untracked). Ended sessions that
 * have been silent longest are not evicted: exactly once matters more than room. */
struct pst_session *pst_session_get(struct pst_session_table *table, uint16_t listener_idx,
	const uint8_t id[PST_MOLD_SESSION_LEN], uint64_t sequence, uint64_t now_ns);

/* pst_session_admit's way for a number that is not the expected one. */
enum pst_session_verdict pst_session_admit_other(
	struct pst_session *session, uint64_t sequence, uint64_t now_ns);

/* Reserves one sequence number and says what the message is. */
static inline enum pst_session_verdict
pst_session_admit(struct pst_session *session, uint64_t sequence, uint64_t now_ns)
{
	session->received++;
	session->last_seen_ns = now_ns;
	if (sequence != session->next)
		return pst_session_admit_other(session, sequence, now_ns);
	session->next = sequence + 1;
	return PST_SESSION_IN_ORDER;
}

/* Gives a number back that admit reserved (IN_ORDER, LATE) but that was shed or whose write
 * failed: it is missing again and a later copy will be LATE. A number that is untracked, missing
 * already, or not below next is left as it is. */
void pst_session_reopen(struct pst_session *session, uint64_t sequence, uint64_t now_ns);

/* Existing session or NULL; for reopening after a failed write. */
struct pst_session *pst_session_find(struct pst_session_table *table, uint16_t listener_idx,
	const uint8_t id[PST_MOLD_SESSION_LEN]);

/* Heartbeat or end of session: next is the sender's next expected; opens a gap up to it. */
void pst_session_heartbeat(
	struct pst_session *session, uint64_t next, bool end_of_session, uint64_t now_ns);

/* Messages of the session that were ever found missing. */
uint64_t pst_session_gap_messages(const struct pst_session *session);

uint32_t pst_session_cnt(const struct pst_session_table *table);
uint64_t pst_session_full_cnt(const struct pst_session_table *table); /* packets not tracked */

/* Copies session number idx (0 .. cnt-1, order of creation) and up to range_cap of its missing
 * ranges, lowest first. Returns ranges copied. Owner thread only. */
uint32_t pst_session_copy(const struct pst_session_table *table, uint32_t idx,
	struct pst_session_info *info, struct pst_session_range *ranges, uint32_t range_cap);

/* ---- reports: what happens to the gaps, for another thread ----
 *
 * Every change of a session's gaps is reported in order over a ring of fixed size, runs of messages
 * as one. One that finds no room makes its session silent: it reports nothing more until its owner
 * has copied it whole for the reader (pst_session_copy_silent), and the reader goes on from there.
 * Messages in order cost nothing of this. */

enum pst_session_report_kind {
	PST_SESSION_GAP_OPENED,   /* from .. to are missing */
	PST_SESSION_GAP_FILLED,   /* they came late */
	PST_SESSION_GAP_REOPENED, /* they had come, but were not stored: missing again */
	PST_SESSION_GAP_LOST,     /* no room to remember them: what comes of them is untracked */
	PST_SESSION_ENDED,        /* the sender said so; from and to are 0 */
};

struct pst_session_report {
	enum pst_session_report_kind kind;
	uint32_t session_idx;
	uint64_t from, to; /* inclusive */
	uint64_t at_ns;
};

/* Owner thread, now and then: hands over the run that is being gathered. */
void pst_session_flush_reports(struct pst_session_table *table);

/* One reading thread, while the owner goes on: takes up to cap reports. Returns their number. */
uint32_t pst_session_take_reports(
	struct pst_session_table *table, struct pst_session_report *out, uint32_t cap);

/* Any thread: reports that found no room, each the first of a silent session; and the sessions
 * that are silent now. */
uint64_t pst_session_silenced_cnt(const struct pst_session_table *table);
uint32_t pst_session_silent_cnt(const struct pst_session_table *table);

/* The reading thread: whose session that is; of sessions that were reported or copied. */
void pst_session_name(const struct pst_session_table *table, uint32_t session_idx,
	uint16_t *listener_idx, uint8_t id[PST_MOLD_SESSION_LEN]);

/* Owner thread, for the reader: copies the next silent session and lets it report again. Returns
 * false if there is none. *position: reports taken before that many were of before the copy
 * (pst_session_taken_cnt). range_cap is the table's range_cnt_max. */
bool pst_session_copy_silent(struct pst_session_table *table, uint32_t *session_idx,
	struct pst_session_info *info, struct pst_session_range *ranges, uint32_t range_cap,
	uint32_t *range_cnt, uint64_t *position);

/* The reading thread: how many reports it has taken so far. */
uint64_t pst_session_taken_cnt(const struct pst_session_table *table);

#endif
