/* THE wiring table.
 *
 *   EAL lcore 0            control thread        cores.main
 *   EAL lcore 1 ..         rx lcores             cores.rx       queues dealt in turn
 *   EAL lcore 1 + rx ..    writer lcores         cores.writers
 *
 *   ring           from        to          holds
 *   full/R/W       rx R        writer W    sealed batches of R
 *   home/W/R       writer W    rx R        the same, empty
 *   hand/A/B       rx A        rx B        datagrams of sessions that B owns
 *   back/B/A       rx B        rx A        the same, empty
 *   full/N/W       control     writer W    batches of the ledger's records (N: rx lcores)
 *   home/W/N       writer W    control     the same, empty
 */
#include <assert.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_random.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "topology.h"

#define RX_LCORE_FIRST      1
#define FORWARD_LARGE_BYTES 65536 /* any UDP payload */
#define NO_MEMORY_REMEDY    "raise memory.size, or lower batch.buffers or sessions.max"

/* The memory plan of the profile covers what is taken here. */
#define ALLOCATOR_BYTES 192 /* an allocation's own, and its alignment */
static_assert(PST_BATCH_WIRE_BYTES_MAX + sizeof(struct pst_batch_buf) + ALLOCATOR_BYTES <=
		      PST_PLAN_BATCH_BYTES,
	"a batch buffer");
static_assert(PST_RX_FORWARDS * (sizeof(struct pst_forward) + 64) +
			      PST_RX_FORWARDS_SMALL * PST_RX_FORWARD_BYTES +
			      PST_RX_FORWARDS_LARGE * FORWARD_LARGE_BYTES + 65536 <=
		      PST_PLAN_FORWARDS_BYTES,
	"an lcore's buffers for datagrams that others own");

static void *
take(size_t bytes)
{
	return rte_zmalloc("penstock", bytes, PST_CACHE_LINE);
}

static int
no_memory(struct pst_diag *diag, const char *what)
{
	return pst_diag_set(
		diag, NULL, 0, "memory.size", NO_MEMORY_REMEDY, "no memory left for %s", what);
}

void
pst_topology_lcores(const struct pst_profile *profile, char *out, size_t cap)
{
	int at = snprintf(out, cap, "0@%u", profile->core_main);
	unsigned lcore = RX_LCORE_FIRST;

	for (uint16_t i = 0; i < profile->rx_lcore_cnt; i++)
		at += snprintf(out + at, cap - (size_t)at, ",%u@%u", lcore++, profile->core_rx[i]);
	for (uint16_t i = 0; i < profile->writer_cnt; i++)
		at += snprintf(
			out + at, cap - (size_t)at, ",%u@%u", lcore++, profile->core_writer[i]);
	PST_ASSERT((size_t)at < cap);
}

static struct rte_ring *
ring(const char *kind, unsigned from, unsigned to, unsigned cnt)
{
	char name[RTE_RING_NAMESIZE];
	snprintf(name, sizeof(name), "pst_%s_%u_%u", kind, from, to);
	return pst_handoff_ring(name, cnt, SOCKET_ID_ANY);
}

/* ---- one rx lcore ---- */

static int
build_open(struct pst_rx *rx, struct pst_rx_queue *queue, const struct pst_storage *storage)
{
	const struct pst_profile *profile = rx->profile;
	const struct pst_batch_limits limits = {
		.raw_bytes_max = profile->batch_bytes_max,
		.record_cnt_max = profile->batch_records_max,
		.lz4_acceleration = profile->lz4_acceleration,
	};

	queue->open = take(profile->queue_stream_cnt * sizeof(*queue->open));
	if (!queue->open)
		return -1;
	for (uint16_t s = 0; s < profile->queue_stream_cnt; s++) {
		queue->open[s].place = storage->place[s][queue->queue_idx];
		queue->open[s].queue_idx = queue->queue_idx;
		if (pst_batch_encoder_create(&limits, &queue->open[s].encoder) != 0)
			return -1;
	}
	return 0;
}

/* Queues in the profile's order; behind them, on the lcore of queue 0, the kernel path. */
static int
build_queues(struct pst_rx *rx, struct pst_pipeline *p, const struct pst_storage *storage)
{
	const struct pst_profile *profile = rx->profile;

	rx->queues = take((size_t)(profile->queue_cnt + 1) * sizeof(*rx->queues));
	if (!rx->queues)
		return -1;
	for (uint16_t q = 0; q < profile->queue_cnt; q++) {
		if (profile->queues[q].rx_lcore_idx != rx->rx_idx)
			continue;
		struct pst_rx_queue *queue = &rx->queues[rx->queue_cnt++];
		queue->queue_idx = q;
		queue->port = pst_ports_rx(p->ports, q);
		rx->now_ns = pst_max_u64(rx->now_ns, storage->newest_ns[q]);
		if (build_open(rx, queue, storage) != 0)
			return -1;
	}
	if (p->ksock && rx->rx_idx == profile->queues[0].rx_lcore_idx) {
		struct pst_rx_queue *queue = &rx->queues[rx->queue_cnt++];
		rx->ksock = p->ksock;
		queue->is_kernel_path = true;
		queue->queue_idx = profile->queue_cnt;
		queue->open = rx->queues[0].open;
	}
	return 0;
}

static int
build_batches(struct pst_rx *rx)
{
	uint32_t cnt = rx->profile->batch_buffer_cnt;
	uint32_t port_queue_cnt = rx->queue_cnt - (rx->ksock != NULL);

	rx->aged_at_writer_max = (cnt - port_queue_cnt * rx->profile->queue_stream_cnt) / 2;
	rx->batches = take(cnt * sizeof(*rx->batches));
	rx->home_stack = take(cnt * sizeof(*rx->home_stack));
	if (!rx->batches || !rx->home_stack)
		return -1;
	for (uint32_t b = 0; b < cnt; b++) {
		struct pst_batch_buf *buf = &rx->batches[b];
		/* Not zeroed: each byte is written before it is read. */
		buf->wire = rte_malloc("penstock", PST_BATCH_WIRE_BYTES_MAX, PST_CACHE_LINE);
		if (!buf->wire)
			return -1;
		buf->rx_idx = rx->rx_idx;
		rx->batch_cnt++;
		rx->home_stack[rx->home_cnt++] = buf;
	}
	return 0;
}

static int
build_forwards(struct pst_rx *rx)
{
	if (rx->profile->rx_lcore_cnt == 1)
		return 0;
	rx->forwards = take(PST_RX_FORWARDS * sizeof(*rx->forwards));
	rx->forward_small = take(PST_RX_FORWARDS_SMALL * sizeof(*rx->forward_small));
	rx->forward_large = take(PST_RX_FORWARDS_LARGE * sizeof(*rx->forward_large));
	uint8_t *small = take(PST_RX_FORWARDS_SMALL * PST_RX_FORWARD_BYTES);
	uint8_t *large = take(PST_RX_FORWARDS_LARGE * FORWARD_LARGE_BYTES);
	if (!rx->forwards || !rx->forward_small || !rx->forward_large || !small || !large)
		return -1;
	for (uint32_t f = 0; f < PST_RX_FORWARDS; f++) {
		struct pst_forward *fwd = &rx->forwards[f];
		bool is_small = f < PST_RX_FORWARDS_SMALL;
		fwd->payload = is_small ? small : large;
		fwd->payload_bytes_max = is_small ? PST_RX_FORWARD_BYTES : FORWARD_LARGE_BYTES;
		*(is_small ? &small : &large) += fwd->payload_bytes_max;
		pst_rx_forward_home(rx, fwd);
	}
	return 0;
}

static int
build_sessions(struct pst_rx *rx)
{
	const struct pst_profile *profile = rx->profile;
	void *mem = rte_malloc("penstock",
		pst_session_table_bytes(profile->session_cnt_max, profile->session_gap_cnt_max),
		PST_CACHE_LINE);

	if (!mem)
		return -1;
	rx->sessions = pst_session_table_init(
		mem, profile->session_cnt_max, profile->session_gap_cnt_max);
	return 0;
}

static int
build_sources(struct pst_rx *rx, uint16_t listener_cnt)
{
	uint32_t cnt = rx->profile->source_cnt_max;
	void *mem = rte_malloc(
		"penstock", pst_source_table_bytes(cnt, listener_cnt), PST_CACHE_LINE);

	if (!mem)
		return -1;
	rx->sources = pst_source_table_init(mem, cnt, listener_cnt, rte_rand());
	return 0;
}

static int
build_rx(struct pst_pipeline *p, uint16_t rx_idx, const struct pst_storage *storage,
	struct pst_diag *diag)
{
	const struct pst_profile *profile = p->profile;
	struct pst_book_shape shape = pst_book_shape(profile);
	struct pst_rx *rx = take(sizeof(*rx));

	if (!rx)
		return no_memory(diag, "an rx lcore");
	p->rx[rx_idx] = rx;
	rx->profile = profile;
	rx->listeners = p->listeners;
	rx->ports = p->ports;
	rx->rx_idx = rx_idx;
	rx->none_listener_idx = profile->listener_cnt;
	rx->batch_age_max_tsc = pst_clock_ticks(profile->batch_age_max_ns);
	pst_idle_init(&rx->idle, profile->idle,
		pst_profile_cpu_shared(profile, profile->core_rx[rx_idx]));
	rx->phase = &p->phase;
	rx->linear = take(PST_RX_LINEAR_BYTES);
	if (!rx->linear || build_queues(rx, p, storage) != 0)
		return no_memory(diag, "the queues of an rx lcore");
	if (build_batches(rx) != 0)
		return no_memory(diag, "batch buffers");
	if (build_sources(rx, shape.listener_cnt) != 0)
		return no_memory(diag, "sources");
	if (build_forwards(rx) != 0 || build_sessions(rx) != 0)
		return no_memory(diag, "sessions");
	if (pst_book_init(&rx->book, &shape) != 0 ||
		pst_batch_decoder_create(pst_rx_batch_raw_bytes_max(profile), &rx->decoder) != 0)
		return no_memory(diag, "an rx lcore's book");
	return 0;
}

static int
build_writer(struct pst_pipeline *p, uint16_t writer_idx, const struct pst_storage *storage,
	struct pst_diag *diag)
{
	struct pst_book_shape shape = pst_book_shape(p->profile);
	struct pst_writer *w = take(sizeof(*w));

	if (!w || pst_book_init(&w->book, &shape) != 0)
		return no_memory(diag, "a writer lcore");
	p->writers[writer_idx] = w;
	w->profile = p->profile;
	w->writer_idx = writer_idx;
	w->rx_cnt = (uint16_t)(p->profile->rx_lcore_cnt + 1);
	w->rules_marks = p->rules_marks;
	w->drive_cnt = p->profile->data_dir_cnt;
	memcpy(w->appenders, storage->appenders[writer_idx], sizeof(w->appenders));
	pst_idle_init(&w->idle, p->profile->idle,
		pst_profile_cpu_shared(p->profile, p->profile->core_writer[writer_idx]));
	w->phase = &p->phase;
	return 0;
}

/* ---- rings ---- */

static int
wire_writers(struct pst_rx *rx, struct pst_pipeline *p)
{
	for (uint16_t w = 0; w < p->profile->writer_cnt; w++) {
		rx->full[w] = ring("full", rx->rx_idx, w, rx->batch_cnt);
		rx->homes[w] = ring("home", w, rx->rx_idx, rx->batch_cnt);
		if (!rx->full[w] || !rx->homes[w])
			return -1;
		p->writers[w]->full[rx->rx_idx] = rx->full[w];
		p->writers[w]->home[rx->rx_idx] = rx->homes[w];
	}
	return 0;
}

static int
wire_sessions(struct pst_rx *rx, struct pst_pipeline *p)
{
	for (uint16_t o = 0; o < p->profile->rx_lcore_cnt; o++) {
		struct pst_rx *owner = p->rx[o];
		if (owner == rx)
			continue;
		rx->handoff_out[o] = ring("hand", rx->rx_idx, o, PST_RX_FORWARDS);
		rx->forward_home[o] = ring("back", o, rx->rx_idx, PST_RX_FORWARDS);
		if (!rx->handoff_out[o] || !rx->forward_home[o])
			return -1;
		owner->handoff_in[rx->rx_idx] = rx->handoff_out[o];
		owner->forward_back[rx->rx_idx] = rx->forward_home[o];
	}
	return 0;
}

/* ---- the ledger's recorder ---- */

static int
build_recorder_batches(struct pst_pipeline *p, struct pst_recorder_config *config)
{
	config->batch_cnt = PST_PLAN_LEDGER_BATCHES;
	config->batches = take(config->batch_cnt * sizeof(*config->batches));
	if (!config->batches)
		return -1;
	for (uint32_t b = 0; b < config->batch_cnt; b++) {
		struct pst_batch_buf *buf = &config->batches[b];
		buf->wire = rte_malloc("penstock", PST_BATCH_WIRE_BYTES_MAX, PST_CACHE_LINE);
		if (!buf->wire)
			return -1;
		buf->rx_idx = p->profile->rx_lcore_cnt;
	}
	return 0;
}

static int
wire_recorder(struct pst_pipeline *p, struct pst_recorder_config *config)
{
	uint16_t source = p->profile->rx_lcore_cnt;

	for (uint16_t w = 0; w < p->profile->writer_cnt; w++) {
		config->full[w] = ring("full", source, w, config->batch_cnt);
		config->home[w] = ring("home", w, source, config->batch_cnt);
		if (!config->full[w] || !config->home[w])
			return -1;
		p->writers[w]->full[source] = config->full[w];
		p->writers[w]->home[source] = config->home[w];
	}
	return 0;
}

static int
build_recorder(struct pst_pipeline *p, const struct pst_storage *storage, struct pst_diag *diag)
{
	struct pst_recorder_config config = {.newest_ns = storage->ledger_newest_ns};

	if (build_recorder_batches(p, &config) != 0 || wire_recorder(p, &config) != 0 ||
		pst_recorder_create(p, &config, &p->recorder) != 0)
		return no_memory(diag, "the ledger's records");
	return 0;
}

int
pst_topology_build(struct pst_pipeline *p, const struct pst_storage *storage, struct pst_diag *diag)
{
	struct pst_book_shape shape = pst_book_shape(p->profile);

	pthread_mutex_init(&p->mutex, NULL);
	pthread_mutex_init(&p->reload_mutex, NULL);
	pthread_mutex_init(&p->spread_mutex, NULL);
	p->drives = storage->drives;
	memcpy(p->place, storage->place, sizeof(p->place));
	p->logs = storage->logs;
	p->log_cnt = storage->log_cnt;
	p->recovery_ns = storage->recovery_ns;
	memcpy(p->partition_of_queue, storage->partition, sizeof(p->partition_of_queue));
	p->started_ns = pst_clock_ns(pst_clock_tsc());
	p->page = calloc(1, sizeof(*p->page));
	p->sources = pst_sources_create(p->profile);
	if (!p->page || !p->sources || pst_book_init(&p->copy, &shape) != 0)
		return no_memory(diag, "snapshots");
	for (uint16_t w = 0; w < p->profile->writer_cnt; w++)
		if (build_writer(p, w, storage, diag) != 0)
			return -1;
	for (uint16_t r = 0; r < p->profile->rx_lcore_cnt; r++)
		if (build_rx(p, r, storage, diag) != 0)
			return -1;
	for (uint16_t r = 0; r < p->profile->rx_lcore_cnt; r++)
		if (wire_writers(p->rx[r], p) != 0 || wire_sessions(p->rx[r], p) != 0)
			return no_memory(diag, "rings");
	return build_recorder(p, storage, diag);
}

int
pst_topology_launch(struct pst_pipeline *p)
{
	unsigned lcore = RX_LCORE_FIRST;
	int rc = 0;

	for (uint16_t i = 0; i < p->profile->rx_lcore_cnt && rc == 0; i++)
		rc = rte_eal_remote_launch(pst_rx_loop, p->rx[i], lcore++);
	for (uint16_t i = 0; i < p->profile->writer_cnt && rc == 0; i++)
		rc = rte_eal_remote_launch(pst_writer_loop, p->writers[i], lcore++);
	return rc;
}

void
pst_topology_join(void)
{
	rte_eal_mp_wait_lcore();
}

/* EAL memory goes with the EAL; what came from elsewhere is given back here. */
void
pst_topology_destroy(struct pst_pipeline *p)
{
	for (uint16_t r = 0; r < p->profile->rx_lcore_cnt; r++) {
		struct pst_rx *rx = p->rx[r];
		if (!rx)
			continue;
		for (uint16_t q = 0; rx->queues && q < rx->queue_cnt; q++)
			for (uint16_t s = 0; !rx->queues[q].is_kernel_path && rx->queues[q].open &&
					     s < p->profile->queue_stream_cnt;
				s++)
				pst_batch_encoder_destroy(rx->queues[q].open[s].encoder);
		pst_rules_scratch_destroy(rx->rules.scratch);
		pst_batch_decoder_destroy(rx->decoder);
		pst_book_fini(&rx->book);
	}
	for (uint16_t w = 0; w < p->profile->writer_cnt; w++)
		if (p->writers[w])
			pst_book_fini(&p->writers[w]->book);
	pst_recorder_destroy(p->recorder);
	p->recorder = NULL;
	pst_rules_free(p->rules);
	pst_book_fini(&p->copy);
	free(p->page);
	free(p->past_places);
	pst_sources_destroy(p->sources);
	pthread_mutex_destroy(&p->mutex);
	pthread_mutex_destroy(&p->reload_mutex);
	pthread_mutex_destroy(&p->spread_mutex);
}
