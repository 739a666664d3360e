#include "ksock/ksock.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "ksock/open.h"

#define DATAGRAM_BYTES_MAX 65536 /* beyond what UDP can carry without jumbograms */

struct sock {
	int fd;
	uint16_t listener_idx;
	uint32_t drops_seen; /* under the lock; the kernel counts in 32 bits */
};

struct pst_ksock {
	struct sock *socks;
	unsigned sock_cnt;
	int epoll_fd;
	uint64_t rcvbuf_bytes;

	/* Under the lock: control threads, never the rx lcore. */
	pthread_mutex_t stats_lock;
	bool is_shut;
	uint64_t dropped, refused;
	struct pst_ksock_namespace namespace_at_open;

	/* Written by the rx lcore, read by the control thread. */
	PST_CACHE_ALIGNED _Atomic uint64_t received;
	_Atomic uint64_t bytes;

	/* Rx lcore only: set up once, lengths renewed by each call. */
	struct mmsghdr headers[PST_KSOCK_BURST];
	struct iovec iovecs[PST_KSOCK_BURST];
	struct sockaddr_in6 names[PST_KSOCK_BURST]; /* room for either family */
	uint8_t *buffers;
};

/* ---- open ---- */

/* The AF_XDP ports' interfaces: where groups are joined and link-local addresses live. */
static unsigned
find_interfaces(const struct pst_profile *profile, unsigned ifindexes[PST_PORTS_MAX])
{
	unsigned cnt = 0;
	for (uint16_t i = 0; i < profile->port_cnt; i++)
		if (profile->ports[i].kind == PST_PORT_AF_XDP)
			ifindexes[cnt++] = if_nametoindex(profile->ports[i].device);
	return cnt;
}

static int
add_socket(struct pst_ksock *ksock, const struct pst_addr *addr, uint16_t udp_port,
	unsigned ifindex, uint16_t listener_idx, struct pst_diag *diag)
{
	struct sock *sock = &ksock->socks[ksock->sock_cnt];
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = ksock->sock_cnt};
	uint32_t info[SK_MEMINFO_VARS];
	socklen_t len = sizeof(info);

	if (pst_ksock_open_socket(addr, udp_port, ifindex, ksock->rcvbuf_bytes, &sock->fd, diag) !=
		0)
		return -1;
	sock->listener_idx = listener_idx;
	ksock->sock_cnt++;
	if (getsockopt(sock->fd, SOL_SOCKET, SO_MEMINFO, info, &len) == 0)
		sock->drops_seen = info[SK_MEMINFO_DROPS];
	if (epoll_ctl(ksock->epoll_fd, EPOLL_CTL_ADD, sock->fd, &event) != 0)
		return pst_diag_set(diag, NULL, 0, NULL, NULL, "epoll: %s", strerror(errno));
	return 0;
}

/* A link-scoped address is another one on each interface; a group is joined on all of them. */
static int
add_address(struct pst_ksock *ksock, const struct pst_addr *addr, uint16_t udp_port,
	uint16_t listener_idx, const unsigned *ifindexes, unsigned ifindex_cnt,
	struct pst_diag *diag)
{
	if (pst_ksock_is_link_scoped(addr)) {
		for (unsigned i = 0; i < ifindex_cnt; i++)
			if (add_socket(ksock, addr, udp_port, ifindexes[i], listener_idx, diag) !=
				0)
				return -1;
		return 0;
	}
	if (add_socket(ksock, addr, udp_port, ifindexes[0], listener_idx, diag) != 0)
		return -1;
	if (!pst_addr_is_multicast(addr))
		return 0;
	for (unsigned i = 1; i < ifindex_cnt; i++)
		if (pst_ksock_join(
			    ksock->socks[ksock->sock_cnt - 1].fd, addr, ifindexes[i], diag) != 0)
			return -1;
	return 0;
}

static int
add_sockets(struct pst_ksock *ksock, const struct pst_profile *profile, struct pst_diag *diag)
{
	unsigned ifindexes[PST_PORTS_MAX], cnt = 0;
	unsigned ifindex_cnt = find_interfaces(profile, ifindexes);

	if (ifindex_cnt == 0)
		return 0;
	for (uint16_t i = 0; i < profile->listener_cnt; i++)
		cnt += profile->listeners[i].addr_cnt * ifindex_cnt;
	ksock->socks = calloc(cnt ? cnt : 1, sizeof(*ksock->socks));
	if (!ksock->socks)
		return pst_diag_set(diag, NULL, 0, NULL, NULL, "out of memory");
	for (uint16_t i = 0; i < profile->listener_cnt; i++) {
		const struct pst_profile_listener *listener = &profile->listeners[i];
		for (uint16_t a = 0; a < listener->addr_cnt; a++)
			if (add_address(ksock, &listener->addrs[a], listener->udp_port, i,
				    ifindexes, ifindex_cnt, diag) != 0)
				return -1;
	}
	return 0;
}

static void
prepare_messages(struct pst_ksock *ksock)
{
	for (unsigned i = 0; i < PST_KSOCK_BURST; i++) {
		ksock->iovecs[i].iov_base = ksock->buffers + (size_t)i * DATAGRAM_BYTES_MAX;
		ksock->iovecs[i].iov_len = DATAGRAM_BYTES_MAX;
		ksock->headers[i].msg_hdr.msg_iov = &ksock->iovecs[i];
		ksock->headers[i].msg_hdr.msg_iovlen = 1;
		ksock->headers[i].msg_hdr.msg_name = &ksock->names[i];
	}
}

int
pst_ksock_open(const struct pst_profile *profile, struct pst_ksock **out, struct pst_diag *diag)
{
	struct pst_ksock *ksock = aligned_alloc(
		PST_CACHE_LINE, pst_align_up(sizeof(struct pst_ksock), PST_CACHE_LINE));
	if (!ksock)
		return pst_diag_set(diag, NULL, 0, NULL, NULL, "out of memory");
	memset(ksock, 0, sizeof(*ksock));
	pthread_mutex_init(&ksock->stats_lock, NULL);
	ksock->rcvbuf_bytes = profile->kernel_rcvbuf_bytes;
	ksock->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	ksock->buffers = malloc((size_t)PST_KSOCK_BURST * DATAGRAM_BYTES_MAX);
	if (ksock->epoll_fd < 0 || !ksock->buffers) {
		pst_diag_set(diag, NULL, 0, NULL, NULL, "kernel sockets: %s", strerror(errno));
		goto fail;
	}
	/* All memory is there before traffic. */
	memset(ksock->buffers, 0, (size_t)PST_KSOCK_BURST * DATAGRAM_BYTES_MAX);
	prepare_messages(ksock);
	pst_ksock_read_namespace(&ksock->namespace_at_open);
	if (add_sockets(ksock, profile, diag) != 0)
		goto fail;
	*out = ksock;
	return 0;
fail:
	pst_ksock_close(ksock);
	return -1;
}

void
pst_ksock_close(struct pst_ksock *ksock)
{
	for (unsigned i = 0; i < ksock->sock_cnt; i++)
		close(ksock->socks[i].fd);
	if (ksock->epoll_fd >= 0)
		close(ksock->epoll_fd);
	free(ksock->socks);
	free(ksock->buffers);
	free(ksock);
}

/* ---- receive ---- */

static void
fill_message(const struct pst_ksock *ksock, unsigned idx, uint16_t listener_idx,
	struct pst_ksock_msg *msg)
{
	const struct mmsghdr *header = &ksock->headers[idx];
	const struct sockaddr_in6 *name6 = &ksock->names[idx];
	struct sockaddr_in name4;

	msg->payload = ksock->iovecs[idx].iov_base;
	msg->payload_len = header->msg_len;
	msg->truncated = header->msg_hdr.msg_flags & MSG_TRUNC;
	msg->listener_idx = listener_idx;
	if (name6->sin6_family == AF_INET) {
		memcpy(&name4, name6, sizeof(name4));
		memset(msg->src.bytes, 0, 10);
		memset(msg->src.bytes + 10, 0xff, 2);
		memcpy(msg->src.bytes + 12, &name4.sin_addr, 4);
		msg->src_port = be16toh(name4.sin_port);
	} else {
		memcpy(msg->src.bytes, &name6->sin6_addr, 16);
		msg->src_port = be16toh(name6->sin6_port);
	}
}

/* Up to cap datagrams of one socket into the messages from first on. */
static unsigned
receive_from(struct pst_ksock *ksock, const struct sock *sock, unsigned first, unsigned cap,
	struct pst_ksock_msg msgs[PST_KSOCK_BURST])
{
	uint64_t byte_cnt = 0;
	for (unsigned i = first; i < first + cap; i++)
		ksock->headers[i].msg_hdr.msg_namelen = sizeof(ksock->names[i]);
	int cnt = recvmmsg(sock->fd, ksock->headers + first, cap, MSG_DONTWAIT, NULL);
	if (cnt <= 0)
		return 0;
	for (unsigned i = first; i < first + (unsigned)cnt; i++) {
		fill_message(ksock, i, sock->listener_idx, &msgs[i]);
		byte_cnt += msgs[i].payload_len;
	}
	/* One writer; the control thread only reads. */
	atomic_fetch_add_explicit(&ksock->received, (uint64_t)cnt, memory_order_relaxed);
	atomic_fetch_add_explicit(&ksock->bytes, byte_cnt, memory_order_relaxed);
	return (unsigned)cnt;
}

/* One system call tells the sockets that have something, however many there are. Each of them gets
 * its share of the burst, and the kernel lists those served last the next time. */
unsigned
pst_ksock_recv(struct pst_ksock *ksock, struct pst_ksock_msg msgs[PST_KSOCK_BURST])
{
	struct epoll_event ready[PST_KSOCK_BURST];
	unsigned cnt = 0;
	int ready_cnt;

	if (ksock->sock_cnt == 0)
		return 0;
	/* A socket that was ready may turn out empty (its datagram's checksum was wrong): 0 must
	 * mean that all of them are. */
	do {
		ready_cnt = epoll_wait(ksock->epoll_fd, ready, PST_KSOCK_BURST, 0);
		for (int i = 0; i < ready_cnt; i++) {
			unsigned share = (PST_KSOCK_BURST - cnt) / (unsigned)(ready_cnt - i);
			cnt += receive_from(
				ksock, &ksock->socks[ready[i].data.u32], cnt, share, msgs);
		}
	} while (cnt == 0 && ready_cnt > 0);
	return cnt;
}

/* ---- stop and statistics ---- */

/* What the sockets dropped since the last look. Under the lock. */
static uint64_t
new_drops(struct pst_ksock *ksock)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < ksock->sock_cnt; i++) {
		uint32_t info[SK_MEMINFO_VARS];
		socklen_t len = sizeof(info);
		if (getsockopt(ksock->socks[i].fd, SOL_SOCKET, SO_MEMINFO, info, &len) != 0)
			continue;
		sum += (uint32_t)(info[SK_MEMINFO_DROPS] - ksock->socks[i].drops_seen);
		ksock->socks[i].drops_seen = info[SK_MEMINFO_DROPS];
	}
	return sum;
}

void
pst_ksock_shut_input(struct pst_ksock *ksock)
{
	struct sock_filter drop_all = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = {.len = 1, .filter = &drop_all};

	pthread_mutex_lock(&ksock->stats_lock);
	/* The kernel counts what the filter drops among the others: take those first. */
	ksock->dropped += new_drops(ksock);
	for (unsigned i = 0; i < ksock->sock_cnt; i++)
		setsockopt(ksock->socks[i].fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
			sizeof(program));
	ksock->is_shut = true;
	pthread_mutex_unlock(&ksock->stats_lock);
}

void
pst_ksock_stats(struct pst_ksock *ksock, struct pst_ksock_stats *out)
{
	struct pst_ksock_namespace now;
	const struct pst_ksock_namespace *then = &ksock->namespace_at_open;
	int rcvbuf = 0;
	socklen_t len = sizeof(rcvbuf);

	memset(out, 0, sizeof(*out));
	pthread_mutex_lock(&ksock->stats_lock);
	*(ksock->is_shut ? &ksock->refused : &ksock->dropped) += new_drops(ksock);
	out->dropped = ksock->dropped;
	out->refused = ksock->refused;
	pthread_mutex_unlock(&ksock->stats_lock);
	pst_ksock_read_namespace(&now);
	out->received = atomic_load_explicit(&ksock->received, memory_order_relaxed);
	out->bytes = atomic_load_explicit(&ksock->bytes, memory_order_relaxed);
	if (ksock->sock_cnt &&
		getsockopt(ksock->socks[0].fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, &len) == 0)
		out->rcvbuf_bytes = (uint64_t)rcvbuf;
	out->udp_in_errors = now.udp_in_errors - then->udp_in_errors;
	out->udp_rcvbuf_errors = now.udp_rcvbuf_errors - then->udp_rcvbuf_errors;
	out->ip_reasm_fails = now.ip_reasm_fails - then->ip_reasm_fails;
	out->ip6_reasm_fails = now.ip6_reasm_fails - then->ip6_reasm_fails;
}
