#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_prefetch.h>

#include "base/clock.h"
#include "base/observes.h"
#include "base/stages.h"
#include "pipeline/rx.h"

#define KERNEL_HOT_NS      100000000 /* after the kernel path had something */
#define KERNEL_POLL_HOT_NS 1000000
#define KERNEL_POLL_NS     10000000
#define DRAIN_QUIET_NS     20000000
#define DRAIN_LIMIT_NS     1000000000 /* a source that never pauses ends here */

/* One clock read a burst; the time of a partition's events never goes back. */
static void
take_time(struct pst_rx *rx)
{
	uint64_t ns;

	rx->now_tsc = pst_clock_tsc();
	ns = pst_clock_ns(rx->now_tsc);
	if (pst_likely(ns >= rx->now_ns))
		rx->now_ns = ns;
	else
		rx->clock_held_ns_max = pst_max_u64(rx->clock_held_ns_max, rx->now_ns - ns);
}

static unsigned
offload_of(const struct rte_mbuf *m)
{
	unsigned offload = 0;
	uint64_t ip = m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
	uint64_t l4 = m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;

	offload |= ip == RTE_MBUF_F_RX_IP_CKSUM_GOOD ? PST_FRAME_IP_GOOD : 0;
	offload |= ip == RTE_MBUF_F_RX_IP_CKSUM_BAD ? PST_FRAME_IP_BAD : 0;
	/* NONE: the field is not a checksum (a virtual device left it out), the data is sound. */
	offload |= l4 == RTE_MBUF_F_RX_L4_CKSUM_GOOD || l4 == RTE_MBUF_F_RX_L4_CKSUM_NONE
			   ? PST_FRAME_UDP_GOOD
			   : 0;
	offload |= l4 == RTE_MBUF_F_RX_L4_CKSUM_BAD ? PST_FRAME_UDP_BAD : 0;
	return offload;
}

/* A frame in several buffers is made contiguous first. */
static void
chained_frame(struct pst_rx *rx, struct pst_rx_queue *queue, const struct rte_mbuf *m)
{
	static const struct pst_addr unread;
	uint32_t idx = pst_book_cell_idx(&rx->book.shape, queue->queue_idx, rx->none_listener_idx);
	uint32_t len = rte_pktmbuf_pkt_len(m);

	if (len > PST_RX_LINEAR_BYTES) {
		pst_rx_refuse(rx, queue, rx->none_listener_idx, PST_FRAME_FRAME_TOO_LONG, &unread,
			rte_pktmbuf_mtod(m, const uint8_t *), rte_pktmbuf_data_len(m));
		return;
	}
	const void *data = rte_pktmbuf_read(m, 0, len, rx->linear);
	PST_ASSERT(data);
	pst_rx_cell(rx, idx)->linearized++;
	pst_rx_frame(rx, queue, data, len, offload_of(m));
}

/* All of a frame but its first line, which came earlier: what walks it would wait at every line. */
static void
prefetch_rest(const struct rte_mbuf *m)
{
	for (uint32_t off = RTE_CACHE_LINE_SIZE; off < rte_pktmbuf_data_len(m);
		off += RTE_CACHE_LINE_SIZE)
		rte_prefetch0(rte_pktmbuf_mtod_offset(m, const void *, off));
}

static bool
poll_port(struct pst_rx *rx, struct pst_rx_queue *queue)
{
	struct rte_mbuf *burst[PST_RX_BURST];
	enum pst_stage before = pst_stage_enter(PST_STAGE_RX);
	uint16_t cnt = rte_eth_rx_burst(
		queue->port.port_id, queue->port.queue_id, burst, PST_RX_BURST);

	pst_stage_enter(cnt > 0 ? PST_STAGE_PARSE : before);
	if (cnt == 0)
		return false;
	take_time(rx);
	for (uint16_t i = 0; i < cnt && i < PST_RX_PREFETCH; i++)
		rte_prefetch0(rte_pktmbuf_mtod(burst[i], void *));
	for (uint16_t i = 0; i < cnt; i++) {
		const struct rte_mbuf *m = burst[i];
		if (i + PST_RX_PREFETCH < cnt)
			rte_prefetch0(rte_pktmbuf_mtod(burst[i + PST_RX_PREFETCH], void *));
		if (i + 1 < cnt)
			prefetch_rest(burst[i + 1]);
		if (pst_likely(m->nb_segs == 1))
			pst_rx_frame(rx, queue, rte_pktmbuf_mtod(m, const uint8_t *),
				rte_pktmbuf_data_len(m), offload_of(m));
		else
			chained_frame(rx, queue, m);
	}
	pst_stage_enter(PST_STAGE_RX);
	rte_pktmbuf_free_bulk(burst, cnt);
	pst_stage_enter(before);
	return true;
}

/* The kernel sockets cost a system call: looked at soon after the steering program passed
 * something, for a while after they had something, and every 10 ms in any case. */
static bool
poll_kernel(struct pst_rx *rx, struct pst_rx_queue *queue)
{
	struct pst_ksock_msg msgs[PST_KSOCK_BURST];
	uint64_t now = pst_clock_tsc();
	uint64_t passed = pst_ports_passed(rx->ports);

	if (passed != rx->kernel_passed) {
		rx->kernel_passed = passed;
		rx->kernel_hot_until_tsc = now + pst_clock_ticks(KERNEL_HOT_NS);
		if (rx->kernel_next_tsc > now + pst_clock_ticks(KERNEL_POLL_HOT_NS))
			rx->kernel_next_tsc = now;
	}
	if (now < rx->kernel_next_tsc && rx->reached == PST_PHASE_RUN)
		return false;
	unsigned cnt = pst_ksock_recv(rx->ksock, msgs);
	if (cnt > 0) {
		take_time(rx);
		for (unsigned i = 0; i < cnt; i++)
			pst_rx_kernel_datagram(rx, queue, &msgs[i]);
		rx->kernel_hot_until_tsc = now + pst_clock_ticks(KERNEL_HOT_NS);
	}
	if (cnt == PST_KSOCK_BURST)
		rx->kernel_next_tsc = now;
	else
		rx->kernel_next_tsc = now + pst_clock_ticks(now < rx->kernel_hot_until_tsc
								    ? KERNEL_POLL_HOT_NS
								    : KERNEL_POLL_NS);
	return cnt > 0;
}

static bool
poll_handoffs(struct pst_rx *rx)
{
	void *got[PST_RX_BURST];
	bool any = false;

	for (uint16_t from = 0; from < rx->profile->rx_lcore_cnt; from++) {
		if (!rx->handoff_in[from])
			continue;
		unsigned cnt = rte_ring_sc_dequeue_burst(
			rx->handoff_in[from], got, PST_RX_BURST, NULL);
		if (cnt == 0)
			continue;
		any = true;
		take_time(rx);
		for (unsigned i = 0; i < cnt; i++) {
			pst_rx_forwarded(rx, got[i]);
			PST_ASSERT(rte_ring_sp_enqueue(rx->forward_back[from], got[i]) == 0);
		}
	}
	return any;
}

static void
housekeep(struct pst_rx *rx)
{
	take_time(rx);
	pst_rx_take_home(rx);
	pst_rx_seal_aged(rx, false);
	pst_session_flush_reports(rx->sessions);
	pst_mailbox_serve(&rx->mailbox, rx);
}

bool
pst_rx_turn(struct pst_rx *rx)
{
	enum pst_phase reached = atomic_load_explicit(&rx->reached, memory_order_relaxed);
	uint64_t start_tsc = PST_OBSERVES ? pst_clock_tsc() : 0;
	bool worked = false;

	for (uint16_t q = 0; q < rx->queue_cnt; q++) {
		struct pst_rx_queue *queue = &rx->queues[q];
		if (queue->is_kernel_path) {
			if (reached < PST_PHASE_DRAIN_KERNEL)
				worked |= poll_kernel(rx, queue);
		} else if (reached < PST_PHASE_DRAIN_PORTS) {
			worked |= poll_port(rx, queue);
		}
	}
	worked |= poll_handoffs(rx);
	/* Read by pst_watch_look; it orders nothing. */
	uint64_t turn_cnt = atomic_load_explicit(&rx->turn_cnt, memory_order_relaxed) + 1;
	atomic_store_explicit(&rx->turn_cnt, turn_cnt, memory_order_relaxed);
	if ((turn_cnt & PST_RX_HOUSEKEEP_MASK) == 0 || !worked)
		housekeep(rx);
	if (PST_OBSERVES && worked)
		rx->busy_tsc += pst_clock_tsc() - start_tsc;
	return worked;
}

static bool
handoffs_empty(const struct pst_rx *rx)
{
	for (uint16_t from = 0; from < rx->profile->rx_lcore_cnt; from++)
		if (rx->handoff_in[from] && !rte_ring_empty(rx->handoff_in[from]))
			return false;
	return true;
}

/* Whether this lcore has done what the phase asks for. quiet: time without work so far; asked: time
 * since the phase was set; both in ticks. */
static bool
phase_done(struct pst_rx *rx, enum pst_phase phase, uint64_t quiet, uint64_t asked)
{
	switch (phase) {
	case PST_PHASE_DRAIN_PORTS:
		return quiet >= pst_clock_ticks(DRAIN_QUIET_NS) ||
		       asked >= pst_clock_ticks(DRAIN_LIMIT_NS);
	case PST_PHASE_DRAIN_KERNEL:
		return !rx->ksock || quiet > 0 || asked >= pst_clock_ticks(DRAIN_LIMIT_NS);
	case PST_PHASE_SEAL:
		if (!handoffs_empty(rx))
			return false;
		pst_rx_seal_aged(rx, true);
		return true;
	default:
		return true;
	}
}

int
pst_rx_loop(void *arg)
{
	struct pst_rx *rx = arg;
	uint64_t asked_tsc = 0, quiet_tsc = 0;
	enum pst_phase asked = PST_PHASE_RUN;

	pst_stages_begin(rx->rx_idx);
	for (;;) {
		bool worked = pst_rx_turn(rx);
		/* Pairs with the release in pst_pipeline_stop. */
		enum pst_phase phase = atomic_load_explicit(rx->phase, memory_order_acquire);
		if (pst_unlikely(phase != PST_PHASE_RUN)) {
			uint64_t now = pst_clock_tsc();
			if (phase != asked) {
				asked = phase;
				asked_tsc = now;
				quiet_tsc = now;
			}
			if (worked)
				quiet_tsc = now;
			if (phase_done(rx, phase, now - quiet_tsc, now - asked_tsc)) {
				/* Pairs with the acquire in pst_pipeline_stop. */
				atomic_store_explicit(&rx->reached, phase, memory_order_release);
				if (phase == PST_PHASE_END)
					break;
			}
		}
		if (worked)
			pst_idle_busy(&rx->idle);
		else
			pst_idle_empty(&rx->idle);
	}
	pst_rx_take_home(rx);
	return 0;
}
