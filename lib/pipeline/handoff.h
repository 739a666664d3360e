/* What crosses between lcores: one pointer each, over SP/SC rings, and back the same way.
 *
 *                  full ring                          handoff ring
 *   rx lcore ════ batch ════▶ writer       rx lcore ════ forward ════▶ rx lcore that owns
 *            ◀═══ batch ═════                       ◀═══ forward ════  the session
 *                 home ring                             home ring
 *
 * Buffers are made at start and never freed; every ring holds all buffers that can be in it, so an
 * enqueue cannot fail. */
#ifndef PST_HANDOFF_H
#define PST_HANDOFF_H

#include <rte_ring.h>
#include <stdatomic.h>

#include "base/addr.h"
#include "base/base.h"
#include "batch/batch.h"
#include "ledger/ledger.h"
#include "segment/appender.h"

/* How a batch's records are booked when it is durable. */
enum pst_account_kind {
	PST_ACCOUNT_STORED,
	PST_ACCOUNT_QUARANTINED,
	PST_ACCOUNT_INTERNAL, /* rejected frames: in the stream's book only */
};

/* Where a partition is written. */
struct pst_log_place {
	uint16_t writer_idx;
	uint16_t drive_idx; /* data directory: which of the writer's appenders */
	int log_idx;        /* in that appender */
	uint32_t partition; /* its number */
};

/* The newest generation of rules of which a partition has durable events, and the offset of the
 * first of them. Written by its writer, read by the control thread. */
struct pst_rules_mark {
	_Atomic uint32_t generation; /* 0: none */
	_Atomic int64_t offset;
};

/* Records of one kind for one cell in a batch. */
struct pst_account {
	uint32_t cell_idx;
	uint32_t record_cnt;
	enum pst_account_kind kind;
};

#define PST_BATCH_ACCOUNTS_MAX 32 /* a batch that would need more is sealed */

/* Records of a batch that arrived within the same sixteenth of the batch's age, from tsc on: so
 * much at most is a record's latency said to be longer than it was. Only where a batch stays open
 * longer, since too many are with the writer, are the last ones said to wait as long as the oldest
 * of them. */
struct pst_arrival {
	uint64_t tsc;
	uint32_t record_first; /* of the batch; up to the next arrival's */
};

#define PST_BATCH_ARRIVALS_MAX 16 /* the last one takes what comes late */

enum pst_batch_state {
	PST_BATCH_HOME,    /* in the rx lcore's hands, empty */
	PST_BATCH_AWAY,    /* open, or with the writer: its events are in flight */
	PST_BATCH_SETTLED, /* the writer has booked its events; on its way home */
};

struct pst_batch_buf {
	/* Written by the rx lcore until it is handed over, const then. */
	uint8_t *wire; /* PST_BATCH_WIRE_BYTES_MAX bytes */
	uint32_t wire_bytes;
	uint16_t stream_idx;
	struct pst_log_place place;
	uint16_t rx_idx;           /* whose it is: an rx lcore's, or (one more) the recorder's */
	uint16_t queue_idx;        /* of its partition */
	uint32_t rules_generation; /* its events were judged by; 0: by none */
	uint64_t sealed_tsc;
	uint32_t arrival_cnt; /* 0 for the recorder's alone */
	uint32_t account_cnt;
	uint32_t record_cnt;
	struct pst_account accounts[PST_BATCH_ACCOUNTS_MAX];
	struct pst_arrival arrivals[PST_BATCH_ARRIVALS_MAX]; /* oldest first */
	/* Written by the writer. */
	enum pst_append_status status;
	/* HOME -> AWAY -> (writer) SETTLED -> HOME. The writer's store is a release that the rx
	 * lcore's snapshot acquires. */
	_Atomic enum pst_batch_state state;
} PST_CACHE_ALIGNED;

/* A datagram on its way to the rx lcore that owns its session. */
struct pst_forward {
	/* Written by the sending lcore until it is handed over. */
	uint32_t payload_len;
	uint16_t queue_idx; /* where it was polled */
	uint16_t listener_idx;
	struct pst_addr src;
	uint64_t arrival_ns;
	_Atomic bool away; /* set by the sender, cleared by the owner when booked */
	/* Const: where the datagram's bytes are, and how many can be there. */
	uint8_t *payload;
	uint32_t payload_bytes_max;
} PST_CACHE_ALIGNED;

/* Ring in the caller's way: SP/SC, room for at least cnt. Set-up only. NULL: no memory. */
struct rte_ring *pst_handoff_ring(const char *name, unsigned cnt, int socket_id);

#endif
