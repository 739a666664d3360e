/* The generator of class B: frames of a pcap file, over and over, into a DPDK device on an absolute
 * schedule; and the watch that says when events became durable.
 *
 *   pace FILE RATE SECONDS DATA TOPIC MARKS [EAL argument...]      prints one JSON object
 *
 * FILE has MoldUDP64 frames whose events all begin with "t=<19 digits>", as penstock-load's
 * --template "t={t} ..." makes them. Each frame that leaves carries on with the sequence numbers
 * and has in its events the wall-clock time at which its schedule wanted it to leave, late or not;
 * its UDP checksum is right.
 *
 *   due ──▶ patched in place ──▶ device's ring ──▶ daemon ──▶ durable end in shared memory
 *           late frames keep     full: dropped,                looked at every MARK_NS, and
 *           the time of their    counted, as a NIC             written to MARKS: "time offset"
 *           schedule             would                         for each step of partition 0
 *
 * One thread, which spins. */
#include <inttypes.h>
#include <pcap.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "frame/checksum.h"
#include "frame/frame.h"
#include "frame/framing.h"
#include "percentiles.h"
#include "segment/reader.h"

#define FRAME_CNT_MAX 8192
#define EVENT_CNT_MAX 128 /* of a frame */
#define BURST         32
#define FIRST_SEQ     1
#define STAMP_DIGITS  19
#define MARK_NS       50000
#define QUIET_NS      3000000000 /* nothing became durable for so long: all that will is */

enum { UDP_CHECKSUM_OFF = 6, UDP_HEADER_LEN = 8, SEQUENCE_OFF = UDP_HEADER_LEN + 10 };

struct frame {
	struct rte_mbuf *mbuf;
	uint8_t *udp;
	const uint8_t *addresses; /* IPv4, source and destination */
	uint32_t udp_len;
	uint16_t event_cnt;
	uint16_t stamps[EVENT_CNT_MAX]; /* of each event's digits, from udp */
};

struct run {
	struct frame frames[FRAME_CNT_MAX];
	uint32_t frame_cnt, next;
	double ns_per_event;
	uint64_t start_ns, seq;
	uint64_t frames_sent, frames_dropped, events_dropped;
	struct pst_latency late;
	struct pst_reader *reader;
	int64_t before, durable; /* offset: before the first event, and now */
	uint64_t mark_ns, changed_ns;
	FILE *marks;
};

static _Noreturn void
die(const char *what, const char *why)
{
	fprintf(stderr, "pace: %s: %s\n", what, why);
	exit(1);
}

static void
must(int rc, const char *what)
{
	if (rc < 0)
		die(what, rte_strerror(-rc));
}

/* The clock that the daemon stamps arrivals with. */
static uint64_t
now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- from the file ---- */

static void
find_stamps(struct frame *frame, const struct pst_frame *view)
{
	struct pst_event_iter iter;
	struct pst_event event;

	pst_event_iter_init(&iter, PST_FRAMING_MOLD64, view->payload, view->payload_len);
	while (pst_event_iter_next(&iter, &event)) {
		if (event.len < 2 + STAMP_DIGITS || memcmp(event.data, "t=", 2) != 0)
			die("an event", "it does not begin with t= and a time");
		if (frame->event_cnt == EVENT_CNT_MAX)
			die("a frame", "too many events");
		frame->stamps[frame->event_cnt++] = (uint16_t)(event.data + 2 - frame->udp);
	}
}

static void
take_frame(struct run *run, struct rte_mempool *pool, const u_char *data, uint32_t len)
{
	struct frame *frame = &run->frames[run->frame_cnt];
	struct pst_frame view;
	struct pst_mold mold;

	if (run->frame_cnt == FRAME_CNT_MAX)
		die("the file", "too many frames");
	frame->mbuf = rte_pktmbuf_alloc(pool);
	uint8_t *bytes = frame->mbuf ? (uint8_t *)rte_pktmbuf_append(frame->mbuf, (uint16_t)len)
				     : NULL;
	if (!bytes)
		die("a frame", "no buffer that holds it");
	memcpy(bytes, data, len);
	if (pst_frame_parse(bytes, len, PST_CHECKSUM_STRICT, 0, &view) != PST_FRAME_CARRIED ||
		pst_mold_parse(view.payload, view.payload_len, &mold) != PST_FRAME_CARRIED ||
		!pst_addr_is_ipv4(&view.dst))
		die("a frame", "not one of MoldUDP64 over IPv4 with right checksums");
	frame->udp = bytes + (view.payload - bytes) - UDP_HEADER_LEN;
	frame->udp_len = UDP_HEADER_LEN + view.payload_len;
	/* IPv4 without options, as penstock-load writes it. */
	frame->addresses = frame->udp - 8;
	find_stamps(frame, &view);
	run->frame_cnt++;
}

static void
read_file(struct run *run, const char *path)
{
	char error[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	const u_char *data;
	pcap_t *pcap = pcap_open_offline(path, error);
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		"pace", FRAME_CNT_MAX, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, (int)rte_socket_id());

	if (!pcap)
		die("the file", error);
	if (!pool)
		die("buffers", rte_strerror(rte_errno));
	while (pcap_next_ex(pcap, &header, &data) == 1)
		take_frame(run, pool, data, header->caplen);
	pcap_close(pcap);
	if (run->frame_cnt < BURST)
		die("the file", "too few frames");
}

/* ---- the schedule ---- */

static uint64_t
due_ns(const struct run *run, uint64_t seq)
{
	return run->start_ns + (uint64_t)((double)(seq - FIRST_SEQ) * run->ns_per_event);
}

static void
patch(struct frame *frame, uint64_t seq, uint64_t due)
{
	char digits[STAMP_DIGITS + 1];
	uint64_t sum;

	for (int i = STAMP_DIGITS - 1; i >= 0; i--, due /= 10)
		digits[i] = (char)('0' + due % 10);
	for (uint16_t i = 0; i < frame->event_cnt; i++)
		memcpy(frame->udp + frame->stamps[i], digits, STAMP_DIGITS);
	pst_store_be64(frame->udp + SEQUENCE_OFF, seq);
	memset(frame->udp + UDP_CHECKSUM_OFF, 0, 2);
	sum = pst_checksum_pseudo_ipv4(frame->addresses, frame->udp);
	uint16_t checksum = (uint16_t)~pst_checksum_fold(
		pst_checksum_sum(sum, frame->udp, frame->udp_len));
	checksum = checksum ? checksum : 0xffff; /* 0 would be: none */
	memcpy(frame->udp + UDP_CHECKSUM_OFF, &checksum, sizeof(checksum));
}

/* Sends what is due, at most a burst. The sequence numbers of what is dropped are used up. */
static void
send_due(struct run *run, uint64_t now, uint64_t end_ns)
{
	struct rte_mbuf *burst[BURST];
	struct frame *taken[BURST];
	uint16_t cnt = 0;

	for (; cnt < BURST; cnt++) {
		uint64_t due = due_ns(run, run->seq);
		if (due > now || due >= end_ns)
			break;
		struct frame *frame = &run->frames[run->next];
		run->next = run->next + 1 < run->frame_cnt ? run->next + 1 : 0;
		pst_latency_add(&run->late, now - due, 1);
		patch(frame, run->seq, due);
		run->seq += frame->event_cnt;
		/* The device copies it and gives its reference back; ours stays. */
		rte_mbuf_refcnt_set(frame->mbuf, 2);
		taken[cnt] = frame;
		burst[cnt] = frame->mbuf;
	}
	uint16_t sent = cnt ? rte_eth_tx_burst(0, 0, burst, cnt) : 0;
	run->frames_sent += sent;
	run->frames_dropped += (uint16_t)(cnt - sent);
	for (uint16_t i = 0; i < cnt; i++) {
		if (i >= sent)
			run->events_dropped += taken[i]->event_cnt;
		rte_mbuf_refcnt_set(taken[i]->mbuf, 1);
	}
}

/* ---- the watch ---- */

static void
look(struct run *run, uint64_t now)
{
	if (now < run->mark_ns)
		return;
	run->mark_ns = now + MARK_NS;
	int64_t durable = pst_reader_latest(run->reader);
	if (durable == run->durable)
		return;
	/* Seen now: it was durable a little earlier. */
	run->changed_ns = now_ns();
	fprintf(run->marks, "%" PRIu64 " %" PRId64 "\n", run->changed_ns, durable);
	run->durable = durable;
}

static void
pace(struct run *run, double seconds)
{
	uint64_t now = now_ns(), end_ns;

	run->start_ns = run->changed_ns = now + 1000000;
	end_ns = run->start_ns + (uint64_t)(seconds * 1e9);
	while (due_ns(run, run->seq) < end_ns) {
		now = now_ns();
		send_due(run, now, end_ns);
		look(run, now);
	}
	/* What the ring took becomes durable, unless the daemon sheds. */
	int64_t all = run->before + (int64_t)(run->seq - FIRST_SEQ - run->events_dropped);
	run->changed_ns = pst_max_u64(run->changed_ns, now);
	while (run->durable < all && now < run->changed_ns + QUIET_NS) {
		now = now_ns();
		look(run, now);
	}
}

/* ---- set-up and report ---- */

static void
start_device(void)
{
	const struct rte_eth_conf conf = {0};
	struct rte_eth_link link = {0};

	must(rte_eth_dev_configure(0, 0, 1, &conf), "device");
	must(rte_eth_tx_queue_setup(0, 0, 1024, 0, NULL), "tx queue");
	must(rte_eth_dev_start(0), "start");
	for (int tries = 0; tries < 1000 && !link.link_status; tries++) {
		struct timespec pause = {.tv_nsec = 10000000};
		nanosleep(&pause, NULL);
		must(rte_eth_link_get_nowait(0, &link), "link");
	}
	if (!link.link_status)
		die("link", "it does not come up");
}

int
main(int argc, char **argv)
{
	static struct run run = {.seq = FIRST_SEQ};
	struct pst_diag diag;

	if (argc < 7 || atof(argv[2]) <= 0)
		die("usage", "pace FILE RATE SECONDS DATA TOPIC MARKS [EAL argument...]");
	run.ns_per_event = 1e9 / atof(argv[2]);
	must(rte_eal_init(argc - 6, argv + 6), "EAL");
	read_file(&run, argv[1]);
	start_device();
	if (pst_reader_open(argv[4], argv[5], 0, &run.reader, &diag) != 0) {
		pst_diag_print(stderr, &diag);
		return 1;
	}
	run.before = run.durable = pst_reader_latest(run.reader);
	run.marks = fopen(argv[6], "w");
	if (!run.marks)
		die(argv[6], "cannot be written");
	pace(&run, atof(argv[3]));
	if (fclose(run.marks) != 0)
		die(argv[6], "could not be written whole");
	pst_reader_close(run.reader);
	rte_eth_dev_stop(0);
	printf("{\"events\": %" PRIu64 ", \"events_dropped\": %" PRIu64 ", \"frames\": %" PRIu64
	       ", \"frames_dropped\": %" PRIu64 ", ",
		run.seq - FIRST_SEQ, run.events_dropped, run.frames_sent + run.frames_dropped,
		run.frames_dropped);
	pst_percentiles_print("late", &run.late);
	printf("}\n");
	return 0;
}
