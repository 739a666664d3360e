#include "sink.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"

/* A sender's queue that stays full this long is a dead one. */
#define RETRY_PAUSE_NS  100000L
#define RETRY_CNT_MAX   50000u
#define SNDBUF_BYTES    (4 << 20)
#define PCAP_SNAPLEN    262144
#define FRAME_BYTES_MAX (LOAD_HEADER_LEN_MAX + LOAD_PAYLOAD_MAX)

struct load_sink {
	struct load_sink_options options;
	struct load_sink_errors errors;
	int *sockets; /* UDP: one a flow; interface: one */
	unsigned socket_cnt;
	uint8_t *frame_bytes; /* LOAD_BURST_MAX built frames; pcap: one */
	pcap_t *pcap;
	pcap_dumper_t *dumper;
};

static socklen_t
to_sockaddr(const struct load_endpoint *end, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (pst_addr_is_ipv4(&end->addr)) {
		struct sockaddr_in *in = (struct sockaddr_in *)out;
		in->sin_family = AF_INET;
		in->sin_port = htobe16(end->port);
		memcpy(&in->sin_addr, end->addr.bytes + 12, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htobe16(end->port);
	memcpy(&in6->sin6_addr, end->addr.bytes, 16);
	return sizeof(*in6);
}

static int
open_udp(struct load_sink *sink, const char **what)
{
	const struct load_sink_options *o = &sink->options;
	struct sockaddr_storage src, dst;
	socklen_t dst_len = to_sockaddr(&o->dst, &dst);

	sink->sockets = calloc(o->flow_cnt, sizeof(*sink->sockets));
	if (!sink->sockets)
		return -ENOMEM;
	for (unsigned i = 0; i < o->flow_cnt; i++) {
		struct load_endpoint from = o->src;
		int size = SNDBUF_BYTES;
		int fd = socket(dst.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		*what = "socket";
		if (fd < 0)
			return -errno;
		sink->sockets[sink->socket_cnt++] = fd;
		/* A wish: without it large datagrams wait more often. */
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		if (from.port)
			from.port = (uint16_t)(from.port + i);
		*what = "bind";
		if (o->src_given &&
			bind(fd, (struct sockaddr *)&src, to_sockaddr(&from, &src)) != 0)
			return -errno;
		*what = "connect";
		if (connect(fd, (struct sockaddr *)&dst, dst_len) != 0)
			return -errno;
	}
	return 0;
}

static int
open_interface(struct load_sink *sink, const char **what)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = 0};

	*what = sink->options.interface;
	to.sll_ifindex = (int)if_nametoindex(sink->options.interface);
	if (to.sll_ifindex == 0)
		return -errno;
	sink->sockets = calloc(1, sizeof(*sink->sockets));
	sink->frame_bytes = malloc((size_t)LOAD_BURST_MAX * FRAME_BYTES_MAX);
	if (!sink->sockets || !sink->frame_bytes)
		return -ENOMEM;
	*what = "packet socket";
	/* Protocol 0: it sends and never receives. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	sink->sockets[sink->socket_cnt++] = fd;
	return bind(fd, (struct sockaddr *)&to, sizeof(to)) == 0 ? 0 : -errno;
}

static int
open_pcap(struct load_sink *sink, const char **what)
{
	*what = sink->options.pcap;
	sink->frame_bytes = malloc(FRAME_BYTES_MAX);
	sink->pcap = pcap_open_dead_with_tstamp_precision(
		DLT_EN10MB, PCAP_SNAPLEN, PCAP_TSTAMP_PRECISION_NANO);
	if (!sink->frame_bytes || !sink->pcap)
		return -ENOMEM;
	errno = 0;
	sink->dumper = pcap_dump_open(sink->pcap, sink->options.pcap);
	if (!sink->dumper)
		return errno ? -errno : -EIO;
	return 0;
}

int
load_sink_open(const struct load_sink_options *options, struct load_sink **out, const char **what)
{
	struct load_sink *sink = calloc(1, sizeof(*sink));
	int rc;

	*what = "memory";
	if (!sink)
		return -ENOMEM;
	sink->options = *options;
	if (options->pcap)
		rc = open_pcap(sink, what);
	else if (options->interface)
		rc = open_interface(sink, what);
	else
		rc = open_udp(sink, what);
	if (rc != 0) {
		load_sink_close(sink);
		return rc;
	}
	*out = sink;
	return 0;
}

static uint32_t
build(struct load_sink *sink, const struct load_frame *frame, uint8_t *out)
{
	struct load_packet packet = sink->options.packet;

	packet.src = sink->options.src;
	packet.dst = sink->options.dst;
	packet.src.port = (uint16_t)(packet.src.port + frame->number % sink->options.flow_cnt);
	packet.ip_id = (uint16_t)frame->number;
	return load_packet_build(out, &packet, frame->bytes, frame->len, frame->verdict);
}

static int
burst_pcap(struct load_sink *sink, const struct load_frame *frames, unsigned cnt, bool *sent)
{
	for (unsigned i = 0; i < cnt; i++) {
		struct pcap_pkthdr header = {0};
		header.len = header.caplen = build(sink, &frames[i], sink->frame_bytes);
		header.ts.tv_sec = (time_t)(frames[i].t_ns / 1000000000u);
		/* With nanosecond precision tv_usec holds nanoseconds. */
		header.ts.tv_usec = (suseconds_t)(frames[i].t_ns % 1000000000u);
		pcap_dump((u_char *)sink->dumper, &header, sink->frame_bytes);
		sent[i] = true;
	}
	if (!ferror(pcap_dump_file(sink->dumper)))
		return 0;
	memset(sent, 0, cnt * sizeof(*sent));
	return -EIO;
}

static void
pause_ns(long ns)
{
	struct timespec ts = {.tv_nsec = ns};
	nanosleep(&ts, NULL);
}

/* Sends cnt messages on one socket, waiting where the sender's queue is full. */
static int
send_all(struct load_sink *sink, int fd, struct mmsghdr *msgs, unsigned cnt, bool *sent)
{
	unsigned at = 0, retry_cnt = 0;

	while (at < cnt) {
		int n = sendmmsg(fd, msgs + at, cnt - at, 0);
		if (n > 0) {
			for (int i = 0; i < n; i++)
				sent[at++] = true;
			retry_cnt = 0;
			continue;
		}
		switch (errno) {
		case EINTR:
			break;
		case ECONNREFUSED: /* an answer to an earlier datagram; this one was not tried */
			sink->errors.refused_cnt++;
			break;
		case EAGAIN:
		case ENOBUFS:
			sink->errors.retry_cnt++;
			if (++retry_cnt == RETRY_CNT_MAX)
				return -errno;
			pause_ns(RETRY_PAUSE_NS);
			break;
		case EMSGSIZE: /* this one is too long for the device; others may not be */
			sink->errors.failed_cnt++;
			sink->errors.last_errno = errno;
			sent[at++] = false;
			break;
		default:
			return -errno;
		}
	}
	return 0;
}

static int
burst_socket(struct load_sink *sink, const struct load_frame *frames, unsigned cnt, bool *sent)
{
	struct mmsghdr msgs[LOAD_BURST_MAX];
	struct iovec iov[LOAD_BURST_MAX];

	memset(msgs, 0, cnt * sizeof(*msgs));
	for (unsigned i = 0; i < cnt; i++) {
		iov[i] = (struct iovec){frames[i].bytes, frames[i].len};
		if (sink->options.interface) {
			uint8_t *out = sink->frame_bytes + (size_t)i * FRAME_BYTES_MAX;
			iov[i] = (struct iovec){out, build(sink, &frames[i], out)};
		}
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	if (sink->socket_cnt == 1)
		return send_all(sink, sink->sockets[0], msgs, cnt, sent);
	for (unsigned i = 0; i < cnt; i++) {
		int fd = sink->sockets[frames[i].number % sink->socket_cnt];
		int rc = send_all(sink, fd, &msgs[i], 1, &sent[i]);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int
load_sink_burst(struct load_sink *sink, const struct load_frame *frames, unsigned cnt,
	bool sent[LOAD_BURST_MAX])
{
	PST_ASSERT(cnt <= LOAD_BURST_MAX);
	memset(sent, 0, cnt * sizeof(*sent));
	int rc = sink->pcap ? burst_pcap(sink, frames, cnt, sent)
			    : burst_socket(sink, frames, cnt, sent);
	if (rc != 0)
		sink->errors.last_errno = -rc;
	return rc;
}

const struct load_sink_errors *
load_sink_errors(const struct load_sink *sink)
{
	return &sink->errors;
}

int
load_sink_close(struct load_sink *sink)
{
	int rc = 0;

	if (sink->dumper) {
		if (pcap_dump_flush(sink->dumper) != 0)
			rc = errno ? -errno : -EIO;
		pcap_dump_close(sink->dumper);
	}
	if (sink->pcap)
		pcap_close(sink->pcap);
	for (unsigned i = 0; i < sink->socket_cnt; i++)
		close(sink->sockets[i]);
	free(sink->sockets);
	free(sink->frame_bytes);
	free(sink);
	return rc;
}
