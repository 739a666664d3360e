#include "ksock/open.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"

/* Not in Debian 12's netinet/in.h. */
#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif

union sockaddr_any {
	struct sockaddr any;
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;
};

bool
pst_ksock_is_link_scoped(const struct pst_addr *addr)
{
	const uint8_t *b = addr->bytes;
	if (b[0] == 0xff)
		return (b[1] & 0x0f) == 1 || (b[1] & 0x0f) == 2;
	return b[0] == 0xfe && (b[1] & 0xc0) == 0x80;
}

static socklen_t
make_sockaddr(
	const struct pst_addr *addr, uint16_t udp_port, unsigned ifindex, union sockaddr_any *out)
{
	memset(out, 0, sizeof(*out));
	if (pst_addr_is_ipv4(addr)) {
		out->ipv4.sin_family = AF_INET;
		out->ipv4.sin_port = htobe16(udp_port);
		memcpy(&out->ipv4.sin_addr, addr->bytes + 12, 4);
		return sizeof(out->ipv4);
	}
	out->ipv6.sin6_family = AF_INET6;
	out->ipv6.sin6_port = htobe16(udp_port);
	if (pst_ksock_is_link_scoped(addr))
		out->ipv6.sin6_scope_id = ifindex;
	memcpy(&out->ipv6.sin6_addr, addr->bytes, 16);
	return sizeof(out->ipv6);
}

/* Without the privilege the kernel caps it at net.core.rmem_max. */
static int
set_rcvbuf(int fd, uint64_t bytes, struct pst_diag *diag)
{
	/* The kernel doubles what it is given, and reports the double. */
	int half = (int)pst_min_u64(bytes / 2, INT32_MAX / 2), got = 0;
	socklen_t len = sizeof(got);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &half, sizeof(half)) != 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &half, sizeof(half));
	if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &len) == 0 && got / 2 >= half)
		return 0;
	return pst_diag_set(diag, NULL, 0, NULL,
		"start with CAP_NET_ADMIN, or raise the sysctl net.core.rmem_max",
		"a socket gets %d bytes of receive buffer instead of %lu", got,
		(unsigned long)bytes);
}

/* Groups that others on this host joined are not ours: a socket gets its own alone. */
static void
set_options(int fd, bool is_ipv4)
{
	const int on = 1, off = 0;
	if (is_ipv4) {
		setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof(off));
		return;
	}
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, &off, sizeof(off));
}

static int
bind_failed(const char *addr, uint16_t udp_port, int err, struct pst_diag *diag)
{
	char holder[64];

	switch (err) {
	case EADDRINUSE:
		pst_ksock_find_holder(udp_port, holder, sizeof(holder));
		return pst_diag_set(diag, NULL, 0, NULL,
			"stop that process, or give the listener another port",
			"UDP %s port %u is in use%s%s", addr, udp_port, holder[0] ? " by " : "",
			holder);
	case EADDRNOTAVAIL:
		return pst_diag_set(diag, NULL, 0, NULL,
			"give an address of this host (`ip address`); its interface must be up, "
			"and an "
			"IPv6 address past duplicate detection",
			"%s is not an address of this host", addr);
	case EACCES:
		return pst_diag_set(diag, NULL, 0, NULL,
			"start with CAP_NET_BIND_SERVICE, or use a port from 1024 on",
			"UDP port %u is reserved", udp_port);
	default:
		return pst_diag_set(diag, NULL, 0, NULL, NULL, "UDP %s port %u: %s", addr, udp_port,
			strerror(err));
	}
}

int
pst_ksock_join(int fd, const struct pst_addr *group, unsigned ifindex, struct pst_diag *diag)
{
	char text[INET6_ADDRSTRLEN], ifname[IF_NAMESIZE] = "any interface";
	int err;

	if (pst_addr_is_ipv4(group)) {
		struct ip_mreqn request = {.imr_ifindex = (int)ifindex};
		memcpy(&request.imr_multiaddr, group->bytes + 12, 4);
		err = setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request));
	} else {
		struct ipv6_mreq request = {.ipv6mr_interface = ifindex};
		memcpy(&request.ipv6mr_multiaddr, group->bytes, 16);
		err = setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &request, sizeof(request));
	}
	if (err == 0)
		return 0;
	err = errno;
	pst_addr_format(group, text);
	if_indextoname(ifindex, ifname);
	return pst_diag_set(diag, NULL, 0, NULL,
		err == ENOBUFS ? "raise the sysctl net.ipv4.igmp_max_memberships" : NULL,
		"cannot join group %s on %s: %s", text, ifname, strerror(err));
}

static int
set_up(int fd, const struct pst_addr *addr, uint16_t udp_port, unsigned ifindex,
	uint64_t rcvbuf_bytes, struct pst_diag *diag)
{
	char text[INET6_ADDRSTRLEN];
	union sockaddr_any name;

	set_options(fd, pst_addr_is_ipv4(addr));
	if (set_rcvbuf(fd, rcvbuf_bytes, diag) != 0)
		return -1;
	socklen_t len = make_sockaddr(addr, udp_port, ifindex, &name);
	if (bind(fd, &name.any, len) != 0) {
		int err = errno;
		pst_addr_format(addr, text);
		return bind_failed(text, udp_port, err, diag);
	}
	return pst_addr_is_multicast(addr) ? pst_ksock_join(fd, addr, ifindex, diag) : 0;
}

int
pst_ksock_open_socket(const struct pst_addr *addr, uint16_t udp_port, unsigned ifindex,
	uint64_t rcvbuf_bytes, int *fd, struct pst_diag *diag)
{
	int family = pst_addr_is_ipv4(addr) ? AF_INET : AF_INET6;
	int sock = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return pst_diag_set(diag, NULL, 0, NULL,
			errno == EMFILE ? "raise the limit of open files (ulimit -n)" : NULL,
			"socket: %s", strerror(errno));
	if (set_up(sock, addr, udp_port, ifindex, rcvbuf_bytes, diag) != 0) {
		close(sock);
		return -1;
	}
	*fd = sock;
	return 0;
}
