/* One rx lcore: polls its queues and runs every datagram to completion, up to a sealed batch.
 *
 *   poll ─▶ pst_frame_parse ─▶ listener ─▶ [owner of the session?] ─▶ admit ─▶ scan ─▶ pack
 *
 * Everything in struct pst_rx belongs to this lcore once it runs, except where a field names
 * another reader or writer. Built by the topology, const parts const from then on. */
#ifndef PST_RX_H
#define PST_RX_H

#include <rte_mbuf.h>

#include "ksock/ksock.h"
#include "ledger/ledger.h"
#include "listener/listener.h"
#include "pipeline/handoff.h"
#include "pipeline/idle.h"
#include "pipeline/mailbox.h"
#include "port/port.h"
#include "rules/rules.h"
#include "session/session.h"
#include "source/source.h"

#define PST_RX_BURST        64
#define PST_RX_LINEAR_BYTES (65535 + 64) /* longest frame made contiguous */
#define PST_RX_PREFETCH     4            /* mbufs ahead of the one being parsed */
/* Buffers of an lcore for datagrams that others own. The many hold what comes in one buffer of an
 * AF_XDP port, and outlast an owner's sleep of a millisecond at a million frames a second; the few
 * hold anything, first of all what the kernel path has. */
#define PST_RX_FORWARD_BYTES  3584
#define PST_RX_FORWARDS_SMALL 1024
#define PST_RX_FORWARDS_LARGE 32
#define PST_RX_FORWARDS       (PST_RX_FORWARDS_SMALL + PST_RX_FORWARDS_LARGE)
#define PST_RX_HOUSEKEEP_MASK 63 /* housekeeping every 64 turns, and on every empty one */

/* Phases of the pipeline, in order; an lcore reports when it has reached one. */
enum pst_phase {
	PST_PHASE_RUN,
	PST_PHASE_DRAIN_PORTS,  /* steering is off: empty the rings */
	PST_PHASE_DRAIN_KERNEL, /* kernel sockets shut: empty them */
	PST_PHASE_SEAL,         /* nothing more comes in: finish hand-overs, seal */
	PST_PHASE_SYNC,         /* writers: everything durable */
	PST_PHASE_END,
};

/* An open batch of one (stream, queue): the encoder exists always, the buffer while it is open. */
struct pst_rx_open {
	struct pst_batch_encoder *encoder;
	struct pst_batch_buf *buf;  /* NULL: closed */
	struct pst_log_place place; /* replaced through the mailbox */
	uint16_t queue_idx;         /* of its partition */
	uint32_t last_account;      /* index of the account used last */
	uint64_t arrival_until_tsc; /* what comes later begins another arrival */
};

/* A queue that this lcore polls. */
struct pst_rx_queue {
	struct pst_port_rx port; /* unused for the kernel path */
	uint16_t queue_idx;      /* in the books */
	bool is_kernel_path;
	struct pst_rx_open *open; /* by stream index; the kernel path shares its lcore's first */
	/* quarantine: token bucket */
	uint64_t quarantine_tokens;
	uint64_t quarantine_refill_tsc;
};

struct pst_rx_rules {
	const struct pst_rules *rules; /* NULL: none */
	struct pst_rules_scratch *scratch;
	uint32_t generation;
};

struct pst_rx {
	/* const while running */
	const struct pst_profile *profile;
	const struct pst_listener_table *listeners;
	const struct pst_ports *ports;
	struct pst_ksock *ksock; /* this lcore drains it; NULL: another does */
	uint16_t rx_idx;
	uint16_t queue_cnt; /* kernel path included */
	struct pst_rx_queue *queues;
	uint16_t none_listener_idx; /* the books' listener for frames of none */
	uint64_t batch_age_max_tsc;
	/* Age closes a batch only while fewer than this are with the writer: the other half of what
	 * is not kept for open ones is for batches that are full. A drive that pauses then costs a
	 * trickle of events no buffer each batch_age_max_tsc. 2 .. batch_cnt / 2 */
	uint32_t aged_at_writer_max;
	uint8_t *linear; /* 64 KiB and headers, for chained mbufs */

	/* hand-over */
	struct rte_ring *full[PST_WRITERS_MAX];  /* we produce */
	struct rte_ring *homes[PST_WRITERS_MAX]; /* we consume */
	struct pst_batch_buf *batches;           /* all of this lcore's */
	uint32_t batch_cnt;
	struct pst_batch_buf **home_stack; /* empty ones in hand */
	uint32_t home_cnt;
	uint32_t at_writer_cnt; /* closed, not yet home again */
	struct rte_ring
		*handoff_out[PST_RX_LCORES_MAX]; /* [owner]: we produce; NULL for ourselves */
	struct rte_ring *handoff_in[PST_RX_LCORES_MAX];      /* [from]: we consume */
	struct rte_ring *forward_home[PST_RX_LCORES_MAX];    /* [owner]: we consume our own back */
	struct rte_ring *forward_back[PST_RX_LCORES_MAX];    /* [from]: we produce */
	struct pst_forward *forwards;                        /* all of this lcore's */
	struct pst_forward **forward_small, **forward_large; /* in hand */
	uint32_t forward_small_cnt, forward_large_cnt;

	/* state */
	struct pst_rx_rules rules; /* replaced through the mailbox */
	struct pst_session_table *sessions;
	struct pst_book book;
	struct pst_idle_state idle;
	struct pst_source_table *sources;
	struct pst_batch_decoder *decoder; /* for failed batches only */
	uint64_t now_tsc;                  /* of this burst */
	uint64_t now_ns;                   /* never goes back */
	_Atomic uint64_t turn_cnt;         /* read by the control side */
	uint64_t kernel_passed;            /* hint seen last */
	uint64_t kernel_next_tsc;
	uint64_t kernel_hot_until_tsc;
	uint64_t quiet_since_tsc; /* drain: no frame since */
	/* beside the books; copied by snapshots */
	uint64_t busy_tsc; /* spent in turns that found work */
	uint64_t batch_sealed_cnt;
	uint64_t batch_plain_bytes; /* of records that did not compress */
	uint64_t clock_held_ns_max; /* longest time that now_ns was ahead of the clock */

	struct pst_mailbox mailbox;
	_Atomic enum pst_phase *phase;  /* written by the control thread */
	_Atomic enum pst_phase reached; /* written by this lcore, read by the control thread */
};

/* The lcore's main loop, until PST_PHASE_END. */
int pst_rx_loop(void *rx);

/* One turn of the loop: true if there was work. For tests, too. */
bool pst_rx_turn(struct pst_rx *rx);

/* rx_frame.c: one frame as polled from queue, one datagram of the kernel path, one forward. Each
 * books itself. */
void pst_rx_frame(struct pst_rx *rx, struct pst_rx_queue *queue, const uint8_t *data, uint32_t len,
	unsigned offload);
/* A frame that no listener's framing sees: booked, and kept if rejected. src: all zero where it
 * could not be read. */
void pst_rx_refuse(struct pst_rx *rx, struct pst_rx_queue *queue, uint16_t listener_idx,
	enum pst_frame_verdict verdict, const struct pst_addr *src, const uint8_t *data,
	uint32_t len);
void pst_rx_kernel_datagram(
	struct pst_rx *rx, struct pst_rx_queue *queue, const struct pst_ksock_msg *msg);
void pst_rx_forwarded(struct pst_rx *rx, struct pst_forward *forward);

/* rx_pack.c: the open batches. */
/* False: no buffer; the caller books the shed. Booked: the stream's routed_in or internal. */
bool pst_rx_pack(struct pst_rx *rx, struct pst_rx_queue *queue, uint16_t stream_idx,
	const struct pst_record *record, uint32_t cell_idx, enum pst_account_kind kind);
/* Closes what is as old as it may be; all: whatever its age, and however many are with the writer.
 */
void pst_rx_seal_aged(struct pst_rx *rx, bool all);
/* Takes back empty batches and forwards; reopens the sequence numbers of failed ones. True if any
 * came. */
bool pst_rx_take_home(struct pst_rx *rx);
/* A forward of ours that is empty goes back to those in hand. */
void pst_rx_forward_home(struct pst_rx *rx, struct pst_forward *fwd);
/* Fills in_flight and in_handoff of a copy of the lcore's book. */
void pst_rx_count_away(const struct pst_rx *rx, struct pst_book *copy);

/* rx_quarantine.c */
/* A frame that was rejected: kept with its reason if the rate allows. */
void pst_rx_quarantine_frame(struct pst_rx *rx, struct pst_rx_queue *queue,
	enum pst_frame_verdict reason, struct pst_source_entry *source, const uint8_t *data,
	uint32_t len);
/* Whether the quarantine of the queue takes one more record now. */
bool pst_rx_quarantine_allows(struct pst_rx *rx, struct pst_rx_queue *queue);

/* Of a batch of this profile's, uncompressed, at the most: for the decoder. An empty batch takes
 * any record, but never more than its buffer holds. */
static inline uint32_t
pst_rx_batch_raw_bytes_max(const struct pst_profile *profile)
{
	return (uint32_t)pst_max_u64(profile->batch_bytes_max, PST_BATCH_WIRE_BYTES_MAX);
}

static inline struct pst_cell *
pst_rx_cell(struct pst_rx *rx, uint32_t cell_idx)
{
	return &rx->book.cells[cell_idx];
}

#endif
