/* The best that a program on a UDP socket can do, to be measured beside us: recvmmsg, one hs_scan
 * an event, LZ4 of blocks of 64 KiB, one write a block, fdatasync by bytes or age.
 *
 *   collect PORT OUT PATTERNS [gro] [busy]      until SIGTERM; prints one JSON object
 *
 * OUT is one LZ4 frame that lz4 -dc reads: every event with a newline behind it. PATTERNS is a
 * Hyperscan pattern file; events are kept, hit or not, as the rules' action is keep. OUT and
 * PATTERNS
 * "-": datagrams are received and counted, and that is all (everything off). gro: UDP_GRO, a buffer
 * then holds as many datagrams of one size as the kernel put together; busy: SO_BUSY_POLL.
 *
 *   socket ──recvmmsg──▶ scan each ──▶ block of 64 KiB ──LZ4──▶ write ──▶ fdatasync
 *                                                          full or old    8 MiB or 5 ms
 *
 * One thread: the socket's buffer holds what comes while it writes. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <hs.h>
#include <inttypes.h>
#include <lz4.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "patterns.h"

#define MESSAGE_CNT      256
#define MESSAGE_BYTES    2048
#define GRO_CNT          32
#define GRO_BYTES        65536
#define RCVBUF_BYTES     (64 << 20)
#define BUSY_US          50
#define BLOCK_BYTES      65536
#define FLUSH_BYTES      (8 << 20)
#define FLUSH_NS         5000000
#define LZ4_UNCOMPRESSED 0x80000000u

struct out {
	int fd;
	uint32_t len;     /* of block */
	uint64_t pending; /* bytes written and not synced */
	uint64_t due_ns;  /* 0: nothing waits to be synced */
	void *state;
	char block[BLOCK_BYTES];
	char packed[4 + LZ4_COMPRESSBOUND(BLOCK_BYTES)];
};

struct collector {
	int fd;
	bool gro;
	hs_database_t *db; /* NULL: everything is off */
	hs_scratch_t *scratch;
	struct out out;
	uint64_t datagram_cnt, buffer_cnt, match_cnt, sync_cnt;
};

static volatile sig_atomic_t over;

static _Noreturn void
die(const char *what, const char *why)
{
	fprintf(stderr, "collect: %s: %s\n", what, why);
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
on_signal(int number)
{
	(void)number;
	over = 1;
}

/* ---- what comes in ---- */

static void
must_set(int fd, int level, int option, int value, const char *what)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)) != 0)
		die(what, strerror(errno));
}

static int
listen_on(const char *port, bool gro, bool busy)
{
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	/* A look at the age of what is not synced, even if nothing comes. */
	struct timeval patience = {.tv_usec = FLUSH_NS / 1000};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket", strerror(errno));
	must_set(fd, SOL_SOCKET, SO_RCVBUFFORCE, RCVBUF_BYTES, "SO_RCVBUFFORCE");
	if (gro)
		must_set(fd, IPPROTO_UDP, UDP_GRO, 1, "UDP_GRO");
	if (busy)
		must_set(fd, SOL_SOCKET, SO_BUSY_POLL, BUSY_US, "SO_BUSY_POLL");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
		bind(fd, (struct sockaddr *)&here, sizeof(here)) != 0)
		die(port, strerror(errno));
	return fd;
}

/* ---- what goes out ---- */

static void
write_all(struct out *out, const void *bytes, size_t len)
{
	const char *at = bytes;

	for (size_t left = len; left > 0;) {
		ssize_t n = write(out->fd, at, left);
		if (n < 0)
			die("writing", strerror(errno));
		at += n;
		left -= (size_t)n;
	}
	out->pending += len;
}

static void
open_out(struct out *out, const char *path)
{
	/* LZ4 frame: blocks of up to 64 KiB that stand alone, no checksums. */
	static const uint8_t header[] = {0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82};

	out->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	out->state = malloc((size_t)LZ4_sizeofState());
	if (out->fd < 0 || !out->state)
		die(path, strerror(errno));
	write_all(out, header, sizeof(header));
}

static void
write_block(struct out *out)
{
	if (out->len == 0)
		return;
	uint32_t size = (uint32_t)LZ4_compress_fast_extState(out->state, out->block,
		out->packed + 4, (int)out->len, (int)sizeof(out->packed) - 4, 1);
	if (size >= out->len) {
		memcpy(out->packed + 4, out->block, out->len);
		size = out->len | LZ4_UNCOMPRESSED;
	}
	memcpy(out->packed, &size, 4); /* little-endian, as the machine */
	write_all(out, out->packed, 4 + (size & ~LZ4_UNCOMPRESSED));
	out->len = 0;
}

static void
keep(struct out *out, const char *event, uint32_t len)
{
	if (out->len + len + 1 > BLOCK_BYTES)
		write_block(out);
	memcpy(out->block + out->len, event, len);
	out->block[out->len + len] = '\n';
	out->len += len + 1;
}

/* Syncs what is old or much; all: whatever there is. */
static void
flush(struct collector *c, bool all)
{
	struct out *out = &c->out;
	uint64_t now = now_ns();

	if (out->due_ns == 0 && out->len + out->pending > 0)
		out->due_ns = now + FLUSH_NS;
	if (!all && out->pending < FLUSH_BYTES && (out->due_ns == 0 || now < out->due_ns))
		return;
	write_block(out);
	if (fdatasync(out->fd) != 0)
		die("fdatasync", strerror(errno));
	c->sync_cnt++;
	out->pending = out->due_ns = 0;
}

/* ---- in between ---- */

static int
on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *arg)
{
	(void)id, (void)from, (void)to, (void)flags;
	++*(uint64_t *)arg;
	return 0;
}

static void
take_event(struct collector *c, const char *event, uint32_t len)
{
	c->datagram_cnt++;
	if (!c->db)
		return;
	hs_scan(c->db, event, len, 0, c->scratch, on_match, &c->match_cnt);
	keep(&c->out, event, len);
}

/* Of one datagram in a buffer that the kernel put together. */
static uint32_t
segment_len(struct msghdr *msg, uint32_t len)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			int size;
			memcpy(&size, CMSG_DATA(c), sizeof(size));
			return size > 0 ? (uint32_t)size : len;
		}
	}
	return len;
}

static void
take_buffer(struct collector *c, struct mmsghdr *msg)
{
	const char *bytes = msg->msg_hdr.msg_iov->iov_base;
	uint32_t len = msg->msg_len, step = c->gro ? segment_len(&msg->msg_hdr, len) : len;

	c->buffer_cnt++;
	for (uint32_t at = 0; at < len; at += step)
		take_event(c, bytes + at, (uint32_t)pst_min_u64(step, len - at));
}

static void
collect(struct collector *c)
{
	static struct mmsghdr msgs[MESSAGE_CNT];
	static struct iovec iov[MESSAGE_CNT];
	static char control[MESSAGE_CNT][CMSG_SPACE(sizeof(int))];
	unsigned cnt = c->gro ? GRO_CNT : MESSAGE_CNT;
	uint32_t bytes = c->gro ? GRO_BYTES : MESSAGE_BYTES;
	char *buffers = malloc((size_t)cnt * bytes);

	if (!buffers)
		die("buffers", "no memory");
	for (unsigned i = 0; i < cnt; i++) {
		iov[i] = (struct iovec){buffers + (size_t)i * bytes, bytes};
		msgs[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
	}
	while (!over) {
		for (unsigned i = 0; c->gro && i < cnt; i++) {
			msgs[i].msg_hdr.msg_control = control[i];
			msgs[i].msg_hdr.msg_controllen = sizeof(control[i]);
		}
		int n = recvmmsg(c->fd, msgs, cnt, MSG_WAITFORONE, NULL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			die("recvmmsg", strerror(errno));
		for (int i = 0; i < n; i++)
			take_buffer(c, &msgs[i]);
		if (c->db)
			flush(c, false);
	}
}

int
main(int argc, char **argv)
{
	static struct collector c;
	bool busy = false;

	if (argc < 4)
		die("usage", "collect PORT OUT PATTERNS [gro] [busy]");
	for (int i = 4; i < argc; i++) {
		c.gro |= strcmp(argv[i], "gro") == 0;
		busy |= strcmp(argv[i], "busy") == 0;
	}
	struct sigaction action = {.sa_handler = on_signal}; /* recvmmsg is not begun anew */
	sigaction(SIGTERM, &action, NULL);
	if (strcmp(argv[3], "-") != 0) {
		c.db = patterns_compile(argv[3]);
		if (hs_alloc_scratch(c.db, &c.scratch) != HS_SUCCESS)
			die(argv[3], "no scratch");
		open_out(&c.out, argv[2]);
	}
	c.fd = listen_on(argv[1], c.gro, busy);
	collect(&c);
	if (c.db) {
		flush(&c, true);
		write_all(&c.out, "\0\0\0\0", 4); /* the frame's end */
	}
	printf("{\"datagrams\": %" PRIu64 ", \"buffers\": %" PRIu64 ", \"matches\": %" PRIu64
	       ", \"syncs\": %" PRIu64 "}\n",
		c.datagram_cnt, c.buffer_cnt, c.match_cnt, c.sync_cnt);
	return 0;
}
