#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "ksock/ksock.h"
#include "ksock/open.h"

#define RCVBUF (128u << 10) /* within what an unprivileged process may have */

/* A profile of one AF_XDP port on lo; listener i has address and port i. */
struct made {
	struct pst_profile profile;
	struct pst_profile_port port;
	struct pst_profile_listener listeners[4];
	struct pst_addr addrs[4];
};

static void
make(struct made *m, enum pst_port_kind kind, unsigned listener_cnt, const char *const *addrs,
	const uint16_t *ports)
{
	memset(m, 0, sizeof(*m));
	m->port = (struct pst_profile_port){.name = "p", .kind = kind, .device = "lo"};
	m->profile.ports = &m->port;
	m->profile.port_cnt = 1;
	m->profile.listeners = m->listeners;
	m->profile.listener_cnt = (uint16_t)listener_cnt;
	m->profile.kernel_rcvbuf_bytes = RCVBUF;
	for (unsigned i = 0; i < listener_cnt; i++) {
		cr_assert_eq(pst_addr_parse(addrs[i], &m->addrs[i]), 0);
		m->listeners[i] = (struct pst_profile_listener){
			.name = "l", .addrs = &m->addrs[i], .addr_cnt = 1, .udp_port = ports[i]};
	}
}

/* A port that is free now; tests in other processes get others. */
static uint16_t
free_port(void)
{
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htobe32(0x7f000001)};
	socklen_t len = sizeof(name);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&name, len), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&name, &len), 0);
	close(fd);
	return be16toh(name.sin_port);
}

static void
send_to(uint16_t port, const void *data, size_t len)
{
	struct sockaddr_in name = {.sin_family = AF_INET,
		.sin_port = htobe16(port),
		.sin_addr.s_addr = htobe32(0x7f000001)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	cr_assert_eq(
		sendto(fd, data, len, 0, (struct sockaddr *)&name, sizeof(name)), (ssize_t)len);
	close(fd);
}

Test(ksock, receives_whole_datagrams_with_their_source)
{
	const char *const addrs[] = {"127.0.0.1", "::1"};
	uint16_t port = free_port();
	struct pst_ksock_msg msgs[PST_KSOCK_BURST];
	struct pst_ksock_stats stats;
	static uint8_t big[60000];
	struct pst_ksock *ksock;
	struct pst_diag diag;
	struct made m;
	char src[INET6_ADDRSTRLEN];

	make(&m, PST_PORT_AF_XDP, 2, addrs, (uint16_t[]){port, port});
	cr_assert_eq(pst_ksock_open(&m.profile, &ksock, &diag), 0, "%s", diag.text);
	cr_assert_eq(pst_ksock_recv(ksock, msgs), 0);
	memset(big, 'b', sizeof(big));
	send_to(port, big, sizeof(big));
	cr_assert_eq(pst_ksock_recv(ksock, msgs), 1);
	cr_assert_eq(msgs[0].payload_len, sizeof(big));
	cr_assert_eq(memcmp(msgs[0].payload, big, sizeof(big)), 0);
	cr_assert_eq(msgs[0].listener_idx, 0);
	cr_assert_not(msgs[0].truncated);
	pst_addr_format(&msgs[0].src, src);
	cr_assert_str_eq(src, "127.0.0.1");
	cr_assert_neq(msgs[0].src_port, 0);

	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htobe16(port)};
	to.sin6_addr = in6addr_loopback;
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);
	cr_assert_eq(sendto(fd, "", 0, 0, (struct sockaddr *)&to, sizeof(to)), 0);
	cr_assert_eq(pst_ksock_recv(ksock, msgs), 1);
	cr_assert_eq(msgs[0].payload_len, 0, "an empty datagram is a datagram");
	cr_assert_eq(msgs[0].listener_idx, 1);
	pst_addr_format(&msgs[0].src, src);
	cr_assert_str_eq(src, "::1");
	close(fd);

	cr_assert_eq(pst_ksock_recv(ksock, msgs), 0);
	pst_ksock_stats(ksock, &stats);
	cr_assert_eq(stats.received, 2);
	cr_assert_eq(stats.bytes, sizeof(big));
	cr_assert_eq(stats.dropped, 0);
	cr_assert_geq(stats.rcvbuf_bytes, RCVBUF);
	pst_ksock_close(ksock);
}

Test(ksock, datagrams_of_one_burst_lie_apart)
{
	const char *const addrs[] = {"127.0.0.1"};
	uint16_t port = free_port();
	struct pst_ksock_msg msgs[PST_KSOCK_BURST];
	static uint8_t big[20000];
	struct pst_ksock *ksock;
	struct pst_diag diag;
	struct made m;

	make(&m, PST_PORT_AF_XDP, 1, addrs, &port);
	cr_assert_eq(pst_ksock_open(&m.profile, &ksock, &diag), 0, "%s", diag.text);
	for (int i = 0; i < 3; i++) {
		memset(big, 'a' + i, sizeof(big));
		send_to(port, big, sizeof(big));
	}
	cr_assert_eq(pst_ksock_recv(ksock, msgs), 3);
	for (int i = 0; i < 3; i++) {
		memset(big, 'a' + i, sizeof(big));
		cr_assert_eq(msgs[i].payload_len, sizeof(big));
		cr_assert_eq(memcmp(msgs[i].payload, big, sizeof(big)), 0);
	}
	pst_ksock_close(ksock);
}

/* A flooded socket leaves the others their share of each burst, and nothing is lost on the way. */
Test(ksock, takes_turns)
{
	const char *const addrs[] = {"127.0.0.1", "127.0.0.1", "127.0.0.1"};
	uint16_t ports[] = {free_port(), free_port(), free_port()};
	unsigned got[3] = {0};
	struct pst_ksock_msg msgs[PST_KSOCK_BURST];
	struct pst_ksock *ksock;
	struct pst_diag diag;
	struct made m;

	make(&m, PST_PORT_AF_XDP, 3, addrs, ports);
	cr_assert_eq(pst_ksock_open(&m.profile, &ksock, &diag), 0, "%s", diag.text);
	for (unsigned i = 0; i < 60; i++)
		send_to(ports[0], "flood", 5);
	send_to(ports[1], "one", 3);
	send_to(ports[2], "one", 3);
	unsigned cnt = pst_ksock_recv(ksock, msgs);
	for (unsigned i = 0; i < cnt; i++)
		got[msgs[i].listener_idx]++;
	cr_assert_eq(got[1], 1);
	cr_assert_eq(got[2], 1);
	cr_assert_geq(got[0], PST_KSOCK_BURST / 3);
	while ((cnt = pst_ksock_recv(ksock, msgs)) > 0)
		for (unsigned i = 0; i < cnt; i++) {
			got[msgs[i].listener_idx]++;
			cr_assert_eq(memcmp(msgs[i].payload, "flood", 5), 0);
		}
	cr_assert_eq(got[0], 60);
	pst_ksock_close(ksock);
}

Test(ksock, losses_and_refusals_are_counted)
{
	const char *const addrs[] = {"127.0.0.1"};
	uint16_t port = free_port();
	struct pst_ksock_msg msgs[PST_KSOCK_BURST];
	struct pst_ksock_stats stats;
	static uint8_t big[20000];
	struct pst_ksock *ksock;
	struct pst_diag diag;
	struct made m;
	unsigned cnt, got = 0;

	make(&m, PST_PORT_AF_XDP, 1, addrs, &port);
	cr_assert_eq(pst_ksock_open(&m.profile, &ksock, &diag), 0, "%s", diag.text);
	for (unsigned i = 0; i < 100; i++)
		send_to(port, big, sizeof(big));
	pst_ksock_stats(ksock, &stats);
	cr_assert_gt(stats.dropped, 0, "two megabytes do not fit");
	cr_assert_lt(stats.dropped, 100);
	uint64_t dropped = stats.dropped;
	pst_ksock_shut_input(ksock);
	for (unsigned i = 0; i < 7; i++)
		send_to(port, "late", 4);
	while ((cnt = pst_ksock_recv(ksock, msgs)) > 0)
		got += cnt;
	pst_ksock_stats(ksock, &stats);
	cr_assert_eq(got + stats.dropped, 100, "what was queued stays readable");
	cr_assert_eq(stats.dropped, dropped);
	cr_assert_eq(stats.refused, 7);
	pst_ksock_close(ksock);
}

Test(ksock, ports_without_a_kernel_have_no_sockets)
{
	const char *const addrs[] = {"192.0.2.1"}; /* nobody's here */
	uint16_t port = 514;
	struct pst_ksock_msg msgs[PST_KSOCK_BURST];
	struct pst_ksock_stats stats;
	struct pst_ksock *ksock;
	struct pst_diag diag;
	struct made m;

	make(&m, PST_PORT_VDEV, 1, addrs, &port);
	cr_assert_eq(pst_ksock_open(&m.profile, &ksock, &diag), 0, "%s", diag.text);
	cr_assert_eq(pst_ksock_recv(ksock, msgs), 0);
	pst_ksock_stats(ksock, &stats);
	cr_assert_eq(stats.received, 0);
	pst_ksock_shut_input(ksock);
	pst_ksock_close(ksock);
}

Test(ksock, says_what_cannot_be_bound)
{
	const char *const taken[] = {"127.0.0.1"}, *const foreign[] = {"192.0.2.1"};
	uint16_t port = free_port();
	char pid[16];
	struct pst_ksock *ksock, *second = NULL;
	struct pst_diag diag;
	struct made m;

	make(&m, PST_PORT_AF_XDP, 1, taken, &port);
	cr_assert_eq(pst_ksock_open(&m.profile, &ksock, &diag), 0, "%s", diag.text);
	cr_assert_eq(pst_ksock_open(&m.profile, &second, &diag), -1);
	cr_assert_null(second);
	snprintf(pid, sizeof(pid), "process %d ", (int)getpid());
	cr_assert(strstr(diag.text, pid), "%s", diag.text);
	pst_ksock_close(ksock);
	make(&m, PST_PORT_AF_XDP, 1, foreign, &port);
	cr_assert_eq(pst_ksock_open(&m.profile, &second, &diag), -1);
	cr_assert(strstr(diag.text, "192.0.2.1 is not an address of this host"), "%s", diag.text);
}

Test(ksock, kinds_of_addresses)
{
	static const struct {
		const char *text;
		bool multicast, link_scoped;
	} cases[] = {
		{"127.0.0.1", false, false},
		{"223.255.255.255", false, false},
		{"224.0.0.1", true, false},
		{"239.255.255.255", true, false},
		{"240.0.0.1", false, false},
		{"::", false, false},
		{"2001:db8::1", false, false},
		{"fe80::1", false, true},
		{"febf::1", false, true},
		{"fec0::1", false, false},
		{"ff01::1", true, true},
		{"ff02::1", true, true},
		{"ff12::1", true, true},
		{"ff05::1", true, false},
		{"ff0e::1", true, false},
	};
	struct pst_addr addr;
	for (size_t i = 0; i < PST_ARRAY_CNT(cases); i++) {
		cr_assert_eq(pst_addr_parse(cases[i].text, &addr), 0);
		cr_expect_eq(pst_addr_is_multicast(&addr), cases[i].multicast, "%s", cases[i].text);
		cr_expect_eq(
			pst_ksock_is_link_scoped(&addr), cases[i].link_scoped, "%s", cases[i].text);
	}
}

Test(ksock, snmp_fields)
{
	const char *snmp = "Ip: Forwarding ReasmTimeout ReasmReqds ReasmFails\n"
			   "Ip: 1 0 12 7\n"
			   "UdpLite: InDatagrams InErrors\n"
			   "UdpLite: 8 9\n"
			   "Udp: InDatagrams NoPorts InErrors RcvbufErrors\n"
			   "Udp: 100 2 18446744073709551615 4\n";
	cr_expect_eq(pst_ksock_snmp_field(snmp, "Ip", "ReasmFails"), 7);
	cr_expect_eq(pst_ksock_snmp_field(snmp, "Udp", "InErrors"), UINT64_MAX);
	cr_expect_eq(pst_ksock_snmp_field(snmp, "Udp", "RcvbufErrors"), 4);
	cr_expect_eq(pst_ksock_snmp_field(snmp, "Udp", "Rcvbuf"), 0);
	cr_expect_eq(pst_ksock_snmp_field(snmp, "Tcp", "InErrors"), 0);
	cr_expect_eq(pst_ksock_snmp_field("Udp: A InErrors", "Udp", "InErrors"), 0, "cut off");
	cr_expect_eq(pst_ksock_snmp_field("", "Udp", "InErrors"), 0);
	const char *snmp6 = "Ip6ReasmReqds                   \t5\n"
			    "Ip6ReasmFails                   \t3\n"
			    "Udp6InErrors                    \t6\n";
	cr_expect_eq(pst_ksock_snmp6_field(snmp6, "Ip6ReasmReqds"), 5);
	cr_expect_eq(pst_ksock_snmp6_field(snmp6, "Ip6ReasmFails"), 3);
	cr_expect_eq(pst_ksock_snmp6_field(snmp6, "Ip6Reasm"), 0);
	cr_expect_eq(pst_ksock_snmp6_field("", "Udp6InErrors"), 0);
}
