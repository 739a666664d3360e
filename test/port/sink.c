/* Receives by lib/port and lib/ksock what a test sends and prints one line per datagram; the test
 * compares. Not part of the product.
 *
 *   sink PREFIX MEMORY_MIB KIND DEVICE QUEUES LISTENER...
 *
 * KIND: af_xdp, af_xdp_promisc, pci, vdev, or profile: then DEVICE is a profile's file, which says
 * the rest. LISTENER: ADDRESS/PORT. Lines on stdout:
 *
 *   finding fatal|notice TEXT | CURE        what the check found
 *   error TEXT | REMEDY                     a set-up failure; exit status 1
 *   ready                                   traffic may come
 *   got PATH QUEUE LENGTH SEQUENCE CRC SOURCE
 *                                           PATH: port or kernel; SEQUENCE: the first 8 bytes
 *   bad VERDICT                             a frame that lib/frame refused
 *   stats {JSON}                            on SIGUSR1 and at the end
 *   done home|missing                       after SIGTERM
 *
 * SIGUSR2 takes the steering off. In the environment: SINK_HUGE: hugepages instead of ordinary
 * ones; SINK_DESPITE: go on despite fatal findings; SINK_DEBUG: say more. */
#include <inttypes.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "frame/frame.h"
#include "ksock/ksock.h"
#include "port/port.h"

#define BURST 32

static volatile sig_atomic_t stop_asked, stats_asked, off_asked;

static void
on_signal(int sig)
{
	if (sig == SIGUSR1)
		stats_asked = 1;
	else if (sig == SIGUSR2)
		off_asked = 1;
	else
		stop_asked = 1;
}

static int
failed(const struct pst_diag *diag)
{
	printf("error %s | %s\n", diag->text, diag->remedy);
	return 1;
}

static uint32_t
crc32_of(const uint8_t *data, uint32_t len)
{
	uint32_t crc = 0xffffffff;
	for (uint32_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

static void
print_datagram(const char *path, unsigned queue, const uint8_t *payload, uint32_t len,
	const struct pst_addr *src)
{
	char text[INET6_ADDRSTRLEN];
	uint64_t sequence = len >= 8 ? pst_load_be64(payload) : UINT64_MAX;
	pst_addr_format(src, text);
	printf("got %s %u %u %" PRIu64 " %08x %s\n", path, queue, len, sequence,
		crc32_of(payload, len), text);
}

/* ---- a profile of one port, by hand ---- */

static int
make_listener(struct pst_profile_listener *listener, char *text)
{
	char *slash = strrchr(text, '/');
	if (!slash)
		return -1;
	*slash = '\0';
	listener->name = text;
	listener->udp_port = (uint16_t)atoi(slash + 1);
	listener->addrs = calloc(1, sizeof(*listener->addrs));
	listener->addr_cnt = 1;
	return listener->addrs ? pst_addr_parse(text, listener->addrs) : -1;
}

static int
make_profile(struct pst_profile *profile, int argc, char **argv)
{
	static struct pst_profile_port port;
	static struct pst_profile_listener listeners[PST_LISTENERS_MAX];

	port = (struct pst_profile_port){.name = "p",
		.device = argv[4],
		.queue_cnt = (uint16_t)atoi(argv[5]),
		.rx_desc_cnt = 2048,
		.checksum = getenv("SINK_STRICT") ? PST_CHECKSUM_STRICT : PST_CHECKSUM_LOCAL,
		.promiscuous = !strcmp(argv[3], "af_xdp_promisc"),
		.kind = !strncmp(argv[3], "af_xdp", 6) ? PST_PORT_AF_XDP
			: !strcmp(argv[3], "pci")      ? PST_PORT_PCI
						       : PST_PORT_VDEV};
	profile->ports = &port;
	profile->port_cnt = 1;
	profile->queue_cnt = port.queue_cnt;
	for (uint16_t q = 0; q < port.queue_cnt; q++)
		profile->queues[q].queue_id = q;
	profile->plan.mbuf_cnt = 4096;
	profile->kernel_rcvbuf_bytes = 16u << 20;
	profile->listeners = listeners;
	for (int i = 6; i < argc; i++)
		if (make_listener(&listeners[profile->listener_cnt++], argv[i]) != 0)
			return -1;
	return 0;
}

/* ---- statistics ---- */

static void
print_xstat(void *arg, const char *name, uint64_t value)
{
	printf(", \"x_%s\": %" PRIu64, name, value);
}

static void
print_stats(const struct pst_ports *ports, struct pst_ksock *ksock)
{
	struct pst_port_stats port;
	struct pst_ksock_stats sock;

	pst_ports_stats(ports, 0, &port);
	pst_ksock_stats(ksock, &sock);
	printf("stats {\"rx_packets\": %" PRIu64 ", \"imissed\": %" PRIu64 ", \"has_xdp\": %d",
		port.rx_packets, port.imissed, port.has_xdp);
	printf(", \"xdp_rx_dropped\": %" PRIu64 ", \"xdp_rx_ring_full\": %" PRIu64
	       ", \"xdp_fill_ring_empty\": %" PRIu64 ", \"interface_rx_dropped\": %" PRIu64,
		port.xdp_rx_dropped, port.xdp_rx_ring_full, port.xdp_fill_ring_empty,
		port.interface_rx_dropped);
	printf(", \"tap_dropped\": %" PRIu64, port.tap_dropped);
	printf(", \"mbuf_cnt\": %u, \"mbuf_free_cnt\": %u, \"mbuf_unusable_cnt\": %u, \"link_up\": "
	       "%d, \"mtu\": %u",
		port.mbuf_cnt, port.mbuf_free_cnt, port.mbuf_unusable_cnt, port.link_up, port.mtu);
	for (unsigned i = 0; i < PST_STEER_COUNT_CNT; i++)
		printf(", \"%s\": %" PRIu64, pst_steer_count_name((enum pst_steer_count)i),
			port.steer[i]);
	printf(", \"passed\": %" PRIu64, pst_ports_passed(ports));
	printf(", \"k_received\": %" PRIu64 ", \"k_bytes\": %" PRIu64 ", \"k_dropped\": %" PRIu64
	       ", \"k_refused\": %" PRIu64 ", \"k_rcvbuf\": %" PRIu64
	       ", \"k_reasm_fails\": %" PRIu64,
		sock.received, sock.bytes, sock.dropped, sock.refused, sock.rcvbuf_bytes,
		sock.ip_reasm_fails + sock.ip6_reasm_fails);
	pst_ports_xstats(ports, 0, print_xstat, NULL);
	printf("}\n");
}

/* ---- traffic ---- */

static unsigned
poll_queue(const struct pst_ports *ports, uint16_t queue)
{
	struct pst_port_rx rx = pst_ports_rx(ports, queue);
	struct rte_mbuf *mbufs[BURST];
	struct pst_frame frame;
	static uint8_t flat[(1 << 16) + 1024];

	uint16_t cnt = rte_eth_rx_burst(rx.port_id, rx.queue_id, mbufs, BURST);
	for (uint16_t i = 0; i < cnt; i++) {
		uint32_t len = rte_pktmbuf_pkt_len(mbufs[i]);
		/* The pcap driver's chains are shorter than they say from 66 KiB on. */
		enum pst_frame_verdict verdict = PST_FRAME_FRAME_TOO_LONG;
		if (len <= sizeof(flat)) {
			const uint8_t *data = rte_pktmbuf_read(mbufs[i], 0, len, flat);
			verdict = pst_frame_parse(data, len, rx.checksum, 0, &frame);
		}
		if (verdict == PST_FRAME_CARRIED)
			print_datagram("port", queue, frame.payload, frame.payload_len, &frame.src);
		else
			printf("bad %s\n", pst_frame_verdict_name(verdict));
		rte_pktmbuf_free(mbufs[i]);
	}
	return cnt;
}

static unsigned
poll_all(const struct pst_profile *profile, const struct pst_ports *ports, struct pst_ksock *ksock)
{
	struct pst_ksock_msg msgs[PST_KSOCK_BURST];
	unsigned cnt = 0;
	for (uint16_t q = 0; q < profile->queue_cnt; q++)
		cnt += poll_queue(ports, q);
	unsigned msg_cnt = pst_ksock_recv(ksock, msgs);
	for (unsigned i = 0; i < msg_cnt; i++)
		print_datagram("kernel", msgs[i].listener_idx, msgs[i].payload, msgs[i].payload_len,
			&msgs[i].src);
	return cnt + msg_cnt;
}

static void
run(const struct pst_profile *profile, struct pst_ports *ports, struct pst_ksock *ksock)
{
	printf("ready\n");
	while (!stop_asked) {
		if (stats_asked) {
			stats_asked = 0;
			print_stats(ports, ksock);
		}
		if (off_asked) {
			off_asked = 0;
			pst_ports_steer_off(ports);
			printf("off\n");
		}
		if (poll_all(profile, ports, ksock) == 0)
			usleep(200);
	}
	pst_ports_steer_off(ports);
	pst_ksock_shut_input(ksock);
	/* A source that never ends must not keep us. */
	for (int turn = 0; turn < 10000 && poll_all(profile, ports, ksock); turn++)
		;
	print_stats(ports, ksock);
}

/* ---- set-up ---- */

static bool
print_findings(const struct pst_ports *ports)
{
	struct pst_port_finding findings[32];
	unsigned cnt = pst_ports_check(ports, findings, 32);
	bool fatal = false;
	for (unsigned i = 0; i < cnt; i++) {
		printf("finding %s %s | %s\n", findings[i].fatal ? "fatal" : "notice",
			findings[i].text, findings[i].cure);
		fatal |= findings[i].fatal;
	}
	return fatal;
}

static int
start_eal(const struct pst_ports *ports, char **argv)
{
	static char prefix[128];
	const char *args[64] = {"sink", getenv("SINK_HUGE") ? "--in-memory" : "--no-huge", "-m",
		argv[2], "--no-telemetry", "-l", "0", "--log-level=lib.eal:error", prefix};
	snprintf(prefix, sizeof(prefix), "--file-prefix=%s", argv[1]);
	unsigned cnt = 9;
	cnt += pst_ports_eal_args(ports, args + cnt, 64 - cnt);
	return rte_eal_init((int)cnt, (char **)args);
}

int
main(int argc, char **argv)
{
	static struct pst_profile by_hand;
	struct pst_profile *profile = &by_hand;
	struct pst_ports *ports;
	struct pst_ksock *ksock;
	struct pst_diag diag;

	setvbuf(stdout, NULL, _IOLBF, 0);
	pst_log_init("sink", getenv("SINK_DEBUG") ? PST_LOG_DEBUG : PST_LOG_NOTICE);
	bool from_file = argc == 6 && !strcmp(argv[3], "profile");
	if (from_file && pst_profile_load(argv[4], &profile, &diag) != 0)
		return failed(&diag);
	if (!from_file && (argc < 6 || make_profile(profile, argc, argv) != 0)) {
		fprintf(stderr, "usage: sink PREFIX MIB KIND DEVICE QUEUES ADDRESS/PORT...\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN); /* as port.h asks */
	signal(SIGTERM, on_signal);
	signal(SIGUSR1, on_signal);
	signal(SIGUSR2, on_signal);
	if (pst_ports_create(profile, &ports, &diag) != 0)
		return failed(&diag);
	if (print_findings(ports) && !getenv("SINK_DESPITE")) {
		pst_ports_destroy(ports);
		return 1;
	}
	if (pst_ksock_open(profile, &ksock, &diag) != 0) {
		pst_ports_destroy(ports);
		return failed(&diag);
	}
	if (start_eal(ports, argv) < 0) {
		printf("error EAL | \n");
		return 1;
	}
	int status = pst_ports_open(ports, &diag) == 0 ? 0 : failed(&diag);
	if (status == 0) {
		run(profile, ports, ksock);
		pst_ksock_close(ksock);
		printf("done %s\n", pst_ports_all_mbufs_home(ports) ? "home" : "missing");
	}
	pst_ports_destroy(ports);
	rte_eal_cleanup();
	if (from_file)
		pst_profile_free(profile);
	return status;
}
