/* The generator of class K: frames of a pcap file, over and over, into a veth interface.
 *
 *   flood FILE INTERFACE RATE SECONDS      prints one JSON object; RATE 0: as fast as they are
 * taken
 *
 * Every frame of FILE is UDP over IPv4 without options and has one event with "n=<12 digits>" in
 * it, which become the number of the frame: 0, 1, 2 ... Frames go past the queueing discipline,
 * straight into the ring of the other end. A frame that the ring has no room for is not sent
 * (ENOBUFS) and goes again: what was counted as sent lies before the receiver, so that only it can
 * lose it.
 *
 *   patched in place ──▶ sendmmsg, AF_PACKET, PACKET_QDISC_BYPASS ──▶ veth's ring ──▶ receiver
 *                          ▲                                 full │
 *                          └────────── a moment later ────────────┘
 *
 * The UDP checksum is left to the device (virtio_net_hdr), as sockets leave it: it holds the sum of
 * the pseudo-header, and the receiving kernel takes it for right, as if a NIC had looked at it. */
#include <errno.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "frame/checksum.h"

#define FRAME_CNT_MAX 8192
#define BURST         64
#define DIGITS        12
#define PAUSE_NS      30000 /* a full ring of 256 lasts longer */

enum { IPV4_OFF = 14, ADDRESSES_OFF = 26, UDP_OFF = 34, UDP_HEADER_LEN = 8, UDP_CHECKSUM_OFF = 6 };

struct frame {
	uint8_t *bytes;
	uint32_t len;
	uint32_t digits_off;
};

static struct frame frames[FRAME_CNT_MAX];
static uint32_t frame_cnt;
static uint64_t sent_cnt, full_cnt;

static _Noreturn void
die(const char *what, const char *why)
{
	fprintf(stderr, "flood: %s: %s\n", what, why);
	exit(1);
}

static uint64_t
now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void
rest(void)
{
	struct timespec pause = {.tv_nsec = PAUSE_NS};
	nanosleep(&pause, NULL);
}

static void
take_frame(const u_char *data, uint32_t len)
{
	struct frame *frame = &frames[frame_cnt];
	const uint8_t *number = memmem(data, len, "n=000000000000", 2 + DIGITS);

	if (frame_cnt == FRAME_CNT_MAX)
		die("the file", "too many frames");
	if (len <= UDP_OFF + UDP_HEADER_LEN || data[IPV4_OFF] != 0x45 || !number)
		die("a frame", "not one of UDP over IPv4 with n=000000000000 in it");
	*frame = (struct frame){malloc(len), len, (uint32_t)(number + 2 - data)};
	if (!frame->bytes)
		die("the file", "no memory");
	memcpy(frame->bytes, data, len);
	uint8_t *udp = frame->bytes + UDP_OFF;
	uint16_t partial = pst_checksum_fold(
		pst_checksum_pseudo_ipv4(frame->bytes + ADDRESSES_OFF, udp));
	memcpy(udp + UDP_CHECKSUM_OFF, &partial, sizeof(partial));
	frame_cnt++;
}

static void
read_file(const char *path)
{
	char error[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	const u_char *data;
	pcap_t *pcap = pcap_open_offline(path, error);

	if (!pcap)
		die("the file", error);
	while (pcap_next_ex(pcap, &header, &data) == 1)
		take_frame(data, header->caplen);
	pcap_close(pcap);
	if (frame_cnt < BURST)
		die("the file", "too few frames");
}

static int
open_interface(const char *name)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(name)};
	int on = 1;
	/* Protocol 0: it never receives. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) != 0 ||
		setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) != 0 ||
		bind(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		die(name, strerror(errno));
	return fd;
}

static void
patch(struct frame *frame, uint64_t number)
{
	for (int i = DIGITS - 1; i >= 0; i--, number /= 10)
		frame->bytes[frame->digits_off + (uint32_t)i] = (uint8_t)('0' + number % 10);
}

/* Sends the next cnt frames, at most a burst; a full ring is waited for until end_ns. */
static void
send_burst(int fd, unsigned cnt, uint64_t end_ns)
{
	static struct virtio_net_hdr header = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = UDP_OFF,
		.csum_offset = UDP_CHECKSUM_OFF,
	};
	static struct mmsghdr msgs[BURST];
	static struct iovec iov[BURST][2];
	unsigned at = 0;

	for (unsigned i = 0; i < cnt; i++) {
		struct frame *frame = &frames[(sent_cnt + i) % frame_cnt];
		patch(frame, sent_cnt + i);
		iov[i][0] = (struct iovec){&header, sizeof(header)};
		iov[i][1] = (struct iovec){frame->bytes, frame->len};
		msgs[i].msg_hdr = (struct msghdr){.msg_iov = iov[i], .msg_iovlen = 2};
	}
	while (at < cnt) {
		int n = sendmmsg(fd, msgs + at, cnt - at, 0);
		if (n > 0) {
			at += (unsigned)n;
			sent_cnt += (unsigned)n;
		} else if (errno == ENOBUFS || errno == EAGAIN) {
			full_cnt++;
			if (now_ns() >= end_ns)
				return;
			rest();
		} else if (errno != EINTR) {
			die("sending", strerror(errno));
		}
	}
}

int
main(int argc, char **argv)
{
	if (argc != 5 || atof(argv[3]) < 0 || atof(argv[4]) <= 0)
		die("usage", "flood FILE INTERFACE RATE SECONDS");
	double rate = atof(argv[3]);
	read_file(argv[1]);
	int fd = open_interface(argv[2]);
	uint64_t start = now_ns(), end = start + (uint64_t)(atof(argv[4]) * 1e9), now;

	while ((now = now_ns()) < end) {
		uint64_t due = rate > 0 ? (uint64_t)((double)(now - start) * rate / 1e9)
					: sent_cnt + BURST;
		if (due <= sent_cnt)
			rest();
		else
			send_burst(fd, (unsigned)pst_min_u64(due - sent_cnt, BURST), end);
	}
	printf("{\"frames\": %" PRIu64 ", \"seconds\": %.3f, \"ring_full\": %" PRIu64 "}\n",
		sent_cnt, (double)(now_ns() - start) / 1e9, full_cnt);
	return 0;
}
