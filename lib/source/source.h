/* Who sends: counts for each (listener, source address), in memory that no sender can make grow.
 *
 *   hash(listener, address) ──▶ set of 8 ──▶ sender: counts, exact since it entered
 *                                  │
 *                                  └─ full: the least of the eight leaves
 *                                        its counts are added to others[listener]
 *
 * So the senders in the table and the others together are always everything that was counted, to
 * the unit. Who stays is decided by weight, not by the counts: a sender enters with the weight of
 * the one that leaves (Space-Saving), so that among many that came once a frequent one rises, and a
 * flood of forged addresses only pushes out other rare ones. Who sends more than an eighth of what
 * comes to its set stays.
 *
 * One table belongs to one rx lcore, and only that thread calls into it; it gives copies away.
 * Memory is fixed at creation. */
#ifndef PST_SOURCE_H
#define PST_SOURCE_H

#include "base/addr.h"
#include "base/base.h"

#define PST_SOURCE_WAYS     8
#define PST_SOURCE_TEXT_MAX INET6_ADDRSTRLEN

/* What is counted. Words only: they add up one by one. X(field, "meaning") */
#define PST_SOURCE_COUNTS(X)                                                                       \
	X(frames, "frames and datagrams: those carried, rejected and ignored")                     \
	X(rejected, "of them, malformed or refused")                                               \
	X(ignored, "of them, with nothing to take")                                                \
	X(events, "events found in those carried")                                                 \
	X(duplicate, "of them, copies of a sequence number that was seen")                         \
	X(bytes, "UDP payload bytes of the frames that were carried")                              \
	X(gap_messages, "sequence numbers that its frames showed to be missing")

struct pst_source_count {
#define PST_X(field, meaning) uint64_t field;
	PST_SOURCE_COUNTS(PST_X)
#undef PST_X
};

struct pst_source_entry {
	struct pst_addr addr; /* all zero: frames whose source could not be read */
	uint64_t *weight;     /* the table's */
	uint16_t listener_idx;
	uint8_t text_len; /* 0: not written yet */
	char text[PST_SOURCE_TEXT_MAX];
	uint64_t entered_ns; /* 0: free */
	uint64_t last_seen_ns;
	struct pst_source_count count; /* since it entered */
};

struct pst_source_table;

/* Bytes that pst_source_table_init needs at mem (64-byte aligned). source_cnt_max, 1 .. 2^20, is
 * rounded up to a multiple of PST_SOURCE_WAYS. seed: so that nobody can aim at one set. */
uint64_t pst_source_table_bytes(uint32_t source_cnt_max, uint16_t listener_cnt);
struct pst_source_table *pst_source_table_init(
	void *mem, uint32_t source_cnt_max, uint16_t listener_cnt, uint64_t seed);

/* The sender, which enters if it is not there: once a datagram. Valid until the next call. now_ns
 * is not 0. */
struct pst_source_entry *pst_source_get(struct pst_source_table *table, uint16_t listener_idx,
	const struct pst_addr *addr, uint64_t now_ns);

/* Text form of the address, written at the first call: formatting costs more than all parsing. */
const char *pst_source_text(struct pst_source_entry *source);

/* Copies all senders (in no order) and the sum of those that left for each listener. sources has
 * room for pst_source_cap, others for the table's listener_cnt. Returns the number of senders;
 * *left_cnt: how often one had to leave. Owner thread only. */
uint32_t pst_source_copy(const struct pst_source_table *table, struct pst_source_entry *sources,
	struct pst_source_count *others, uint64_t *left_cnt);
uint32_t pst_source_cap(const struct pst_source_table *table);

static inline void
pst_source_count_add(struct pst_source_count *sum, const struct pst_source_count *part)
{
#define PST_X(field, meaning) sum->field += part->field;
	PST_SOURCE_COUNTS(PST_X)
#undef PST_X
}

/* Adds to what pst_source_get gave. */
static inline void
pst_source_add(struct pst_source_entry *source, const struct pst_source_count *count)
{
	pst_source_count_add(&source->count, count);
	*source->weight += count->frames + count->events;
}

#endif
