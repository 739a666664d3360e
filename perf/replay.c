/* The pull source of the benches: frames of a pcap file out of memory, lap after lap, into any DPDK
 * program, unchanged:
 *
 *   LD_PRELOAD=libreplay.so PENSTOCK_REPLAY=FILE[:FILE...] PROGRAM ... --vdev=net_ring0
 *
 * Every port that the program starts replays: a file for each rx queue. The ring of net_ring stays
 * empty; behind the real rte_eth_dev_start an rx callback on each queue fills the burst, which is
 * what rte_rx_callback_fn may do (rte_ethdev.h: it returns the packets for the application, up to
 * max_pkts), and it is asked on empty polls, too. So a queue has a frame whenever it is polled:
 * capacity, nothing of loss at a rate.
 *
 *   callback ─▶ burst ─▶ program ─▶ free: back to one reference, ours ─▶ next lap
 *
 * Nothing is copied or allocated on the way: a frame goes out with a second reference, and not
 * again before that is given back. Frames of MoldUDP64 carry on counting: each lap adds the
 * messages that the file has of its session, so no lap repeats a number or leaves one out. The UDP
 * checksum is changed along (RFC 1624), or stays away if the file has none; the mbuf says that both
 * checksums are good, as a NIC does, and that is true: wrong ones are refused at start. */
#include <dlfcn.h>
#include <errno.h>
#include <pcap.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame/checksum.h"
#include "frame/framing.h"

#define SESSION_CNT_MAX 1024
#define PREFETCH_FRAMES 4

struct session {
	uint8_t id[PST_MOLD_SESSION_LEN];
	uint64_t first, next; /* messages of the file: first .. next - 1 */
};

struct frame {
	struct rte_mbuf *mbuf;
	uint8_t *udp; /* header of a MoldUDP64 datagram; NULL: of none, nothing changes */
	uint32_t session_idx;
	uint64_t lap_messages; /* of its session */
};

struct queue {
	struct frame *frames;
	uint32_t frame_cnt;
	uint32_t next;
	struct session *sessions;
	uint32_t session_cnt;
};

enum { UDP_CHECKSUM_OFF = 6, UDP_HEADER_LEN = 8, SEQUENCE_OFF = UDP_HEADER_LEN + 10 };

/* ---- one lap on ---- */

static void
add_messages(const struct frame *frame, uint64_t messages)
{
	uint8_t *at = frame->udp + SEQUENCE_OFF;
	uint64_t before = pst_checksum_load64(at);
	uint16_t checksum;

	pst_store_be64(at, pst_load_be64(at) + messages);
	memcpy(&checksum, frame->udp + UDP_CHECKSUM_OFF, sizeof(checksum));
	if (checksum == 0)
		return;
	uint64_t sum = pst_checksum_add((uint16_t)~checksum, ~before);
	checksum = (uint16_t)~pst_checksum_fold(pst_checksum_add(sum, pst_checksum_load64(at)));
	checksum = checksum ? checksum : 0xffff; /* 0 would be: none */
	memcpy(frame->udp + UDP_CHECKSUM_OFF, &checksum, sizeof(checksum));
}

static uint16_t
on_rx(uint16_t port_id, uint16_t queue_id, struct rte_mbuf *burst[], uint16_t cnt, uint16_t cap,
	void *arg)
{
	struct queue *queue = arg;

	while (cnt < cap) {
		const struct frame *frame = &queue->frames[queue->next];
		/* The array goes on with its first few. */
		rte_prefetch0(frame[PREFETCH_FRAMES].mbuf);
		if (frame[PREFETCH_FRAMES].udp)
			rte_prefetch0(frame[PREFETCH_FRAMES].udp);
		if (rte_mbuf_refcnt_read(frame->mbuf) != 1)
			break; /* the program has it still */
		if (frame->udp)
			add_messages(frame, frame->lap_messages);
		rte_mbuf_refcnt_set(frame->mbuf, 2);
		burst[cnt++] = frame->mbuf;
		queue->next = queue->next + 1 < queue->frame_cnt ? queue->next + 1 : 0;
	}
	return cnt;
}

/* ---- from the file ---- */

static int
refused(const char *path, uint32_t number, const char *why)
{
	fprintf(stderr, "replay: %s: frame %u: %s\n", path, number + 1, why);
	return -EINVAL;
}

static struct session *
session_of(struct queue *queue, const struct pst_mold *mold)
{
	for (uint32_t i = 0; i < queue->session_cnt; i++)
		if (memcmp(queue->sessions[i].id, mold->session, PST_MOLD_SESSION_LEN) == 0)
			return &queue->sessions[i];
	if (queue->session_cnt == SESSION_CNT_MAX)
		return NULL;
	struct session *session = &queue->sessions[queue->session_cnt++];
	memcpy(session->id, mold->session, PST_MOLD_SESSION_LEN);
	session->first = session->next = mold->sequence;
	return session;
}

/* What a lap must change in the frame. Text is not taken for MoldUDP64: it would have to be a chain
 * of 8,224 lengths or more that ends with the payload. */
static int
take_mold(struct queue *queue, struct frame *frame, const struct pst_frame *view, const char *path,
	uint32_t number)
{
	struct pst_mold mold;

	if (pst_mold_parse(view->payload, view->payload_len, &mold) != PST_FRAME_CARRIED)
		return 0;
	struct session *session = session_of(queue, &mold);
	if (!session)
		return refused(path, number, "too many sessions");
	if (session->next != mold.sequence)
		return refused(path, number, "not the next message of its session");
	session->next += mold.message_cnt;
	frame->session_idx = (uint32_t)(session - queue->sessions);
	uint8_t *start = rte_pktmbuf_mtod(frame->mbuf, uint8_t *);
	frame->udp = start + (view->payload - start) - UDP_HEADER_LEN;
	return 0;
}

static int
take_frame(struct queue *queue, struct rte_mempool *pool, const u_char *data, uint32_t len,
	const char *path)
{
	uint32_t number = queue->frame_cnt;
	struct frame *frame = &queue->frames[number];
	struct pst_frame view;

	frame->mbuf = rte_pktmbuf_alloc(pool);
	if (!frame->mbuf)
		return refused(path, number, "no buffer");
	queue->frame_cnt++;
	memcpy(rte_pktmbuf_append(frame->mbuf, (uint16_t)len), data, len);
	frame->mbuf->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	enum pst_frame_verdict verdict = pst_frame_parse(
		rte_pktmbuf_mtod(frame->mbuf, uint8_t *), len, PST_CHECKSUM_STRICT, 0, &view);
	if (verdict != PST_FRAME_CARRIED)
		return refused(path, number, pst_frame_verdict_name(verdict));
	return take_mold(queue, frame, &view, path, number);
}

/* Calls take for each frame; stops at a negative answer and returns it. */
static int
each_frame(const char *path, int (*take)(void *arg, const u_char *data, uint32_t len), void *arg)
{
	char error[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	const u_char *data;
	int rc = 0;
	pcap_t *pcap = pcap_open_offline(path, error);

	if (!pcap) {
		fprintf(stderr, "replay: %s\n", error);
		return -EINVAL;
	}
	while (rc >= 0 && pcap_next_ex(pcap, &header, &data) == 1)
		rc = take(arg, data, header->caplen);
	pcap_close(pcap);
	return rc;
}

struct sizes {
	uint32_t frame_cnt, frame_bytes_max;
};

static int
measure(void *arg, const u_char *data, uint32_t len)
{
	struct sizes *sizes = arg;
	sizes->frame_cnt++;
	sizes->frame_bytes_max = RTE_MAX(sizes->frame_bytes_max, len);
	return 0;
}

struct loading {
	struct queue *queue;
	struct rte_mempool *pool;
	const char *path;
};

static int
load(void *arg, const u_char *data, uint32_t len)
{
	struct loading *loading = arg;
	return take_frame(loading->queue, loading->pool, data, len, loading->path);
}

/* Every frame starts one lap back: the callback adds one before it goes out. And the array's end
 * repeats its beginning, for the prefetch. */
static void
close_lap(struct queue *queue)
{
	for (uint32_t i = 0; i < queue->frame_cnt; i++) {
		struct frame *frame = &queue->frames[i];
		const struct session *session = &queue->sessions[frame->session_idx];
		frame->lap_messages = session->next - session->first;
		if (frame->udp)
			add_messages(frame, -frame->lap_messages);
	}
	for (uint32_t i = 0; i < PREFETCH_FRAMES; i++)
		queue->frames[queue->frame_cnt + i] = queue->frames[i % queue->frame_cnt];
}

static int
queue_open(struct queue *queue, uint16_t port_id, uint16_t queue_id, const char *path)
{
	struct loading loading = {.queue = queue, .path = path};
	struct sizes sizes = {0};
	char name[RTE_MEMPOOL_NAMESIZE];

	int rc = each_frame(path, measure, &sizes);
	if (rc < 0)
		return rc;
	if (sizes.frame_cnt == 0 || sizes.frame_bytes_max > UINT16_MAX - RTE_PKTMBUF_HEADROOM)
		return refused(path, 0, "no frame, or one that no buffer holds");
	queue->frames = calloc(sizes.frame_cnt + PREFETCH_FRAMES, sizeof(*queue->frames));
	queue->sessions = calloc(SESSION_CNT_MAX, sizeof(*queue->sessions));
	snprintf(name, sizeof(name), "replay_%u_%u", port_id, queue_id);
	loading.pool = rte_pktmbuf_pool_create(name, sizes.frame_cnt, 0, 0,
		(uint16_t)(RTE_PKTMBUF_HEADROOM + sizes.frame_bytes_max), rte_socket_id());
	if (!queue->frames || !queue->sessions || !loading.pool) {
		fprintf(stderr, "replay: %s: no memory for its %u frames\n", path, sizes.frame_cnt);
		return -ENOMEM;
	}
	rc = each_frame(path, load, &loading);
	if (rc < 0)
		return rc;
	close_lap(queue);
	return rte_eth_add_rx_callback(port_id, queue_id, on_rx, queue) ? 0 : -rte_errno;
}

static int
port_open(uint16_t port_id)
{
	const char *given = getenv("PENSTOCK_REPLAY");
	struct rte_eth_dev_info info;
	uint16_t queue_id = 0;
	char *paths = strdup(given ? given : ""), *rest = paths, *path;

	int rc = rte_eth_dev_info_get(port_id, &info);
	struct queue *queues = calloc(info.nb_rx_queues, sizeof(*queues));
	while (rc == 0 && (path = strsep(&rest, ":")) && queue_id < info.nb_rx_queues) {
		rc = queue_open(&queues[queue_id], port_id, queue_id, path);
		queue_id++;
	}
	if (rc == 0 && (rest || queue_id < info.nb_rx_queues)) {
		fprintf(stderr, "replay: PENSTOCK_REPLAY=%s, but the port has %u rx queues\n",
			given ? given : "", info.nb_rx_queues);
		rc = -EINVAL;
	}
	free(paths);
	return rc;
}

int
rte_eth_dev_start(uint16_t port_id)
{
	int (*real)(uint16_t) = (int (*)(uint16_t))dlsym(RTLD_NEXT, "rte_eth_dev_start");
	PST_ASSERT(real);
	int rc = real(port_id);
	return rc == 0 ? port_open(port_id) : rc;
}
