/* One writer lcore: takes sealed batches from every rx lcore, appends, and books what became
 * durable. Everything in struct pst_writer belongs to it once it runs. */
#ifndef PST_WRITER_H
#define PST_WRITER_H

#include "ledger/latency.h"
#include "ledger/ledger.h"
#include "pipeline/handoff.h"
#include "pipeline/idle.h"
#include "pipeline/mailbox.h"
#include "pipeline/rx.h"

#define PST_WRITER_BURST 16

struct pst_writer {
	/* const while running */
	const struct pst_profile *profile;
	uint16_t writer_idx;
	uint16_t rx_cnt; /* who gives batches: the rx lcores, and behind them the recorder */
	struct rte_ring *full[PST_RX_LCORES_MAX + 1];         /* [rx]: we consume */
	struct rte_ring *home[PST_RX_LCORES_MAX + 1];         /* [rx]: we produce */
	struct pst_rules_mark (*rules_marks)[PST_QUEUES_MAX]; /* [stream]: of our partitions */
	uint16_t drive_cnt;
	struct pst_appender *appenders[PST_DRIVES_MAX]; /* [drive]; NULL: not one of its drives */

	/* state */
	struct pst_batch_buf
		*pending[PST_RX_LCORES_MAX + 1]; /* taken from a ring, not yet appended */
	struct pst_book book;
	struct pst_idle_state idle;
	uint64_t now_tsc;
	uint64_t busy_tsc;
	_Atomic uint64_t turn_cnt; /* read by the control side */
	/* Of events that are durable, each stage from their arrival on. */
	struct pst_latency latency[PST_LATENCY_STAGE_CNT];

	struct pst_mailbox mailbox;
	/* for pst_pipeline_log: written in the mailbox, read by who asked */
	struct pst_log_stats log_copy;
	_Atomic enum pst_phase *phase;  /* written by the control thread */
	_Atomic enum pst_phase reached; /* written by this lcore, read by the control thread */
};

int pst_writer_loop(void *writer);
bool pst_writer_turn(struct pst_writer *writer);

/* Whether all that was appended is durable or came back; and asks for a sync of it now. Its own
 * thread. */
bool pst_writer_idle(const struct pst_writer *writer);
void pst_writer_flush(struct pst_writer *writer);

#endif
