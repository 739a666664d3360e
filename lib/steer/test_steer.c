/* Runs the steering program on crafted frames through the kernel's BPF_PROG_TEST_RUN: the real
 * program, the real verifier, no interface. */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "frame/frame.h"
#include "steer/program.h"

#define FRAME_MAX   4096
#define LIMIT       1792
#define ETHERNET    14
#define TAG         4
#define IPV4        20
#define IPV6        40
#define UDP         8
#define AF_XDP_KIND 44
#define PORT        5514
#define ANY_PORT    7000 /* of the IPv4 wildcard */

/* Small frames made byte by byte: what each part says is set by the case. */
struct built {
	uint8_t bytes[FRAME_MAX * 2];
	uint32_t len;
};

struct shape {
	uint16_t tags[3]; /* TPIDs, 0: no more */
	const char *dst;
	uint16_t port;
	unsigned options_len; /* IPv4 options, multiple of 4 */
	uint16_t frag;        /* IPv4 fragment field, host order */
	uint8_t next_header;  /* of the IP header; 0: UDP */
	uint8_t ext_next;     /* IPv6 extension header (8 bytes) of type next_header, if not 0 */
	uint32_t payload_len;
};

static void
put_udp(struct built *f, const struct shape *s)
{
	uint8_t *udp = f->bytes + f->len;
	pst_store_be16(udp, 1234);
	pst_store_be16(udp + 2, s->port);
	pst_store_be16(udp + 4, (uint16_t)(UDP + s->payload_len));
	pst_store_be16(udp + 6, 1); /* a checksum: IPv6 must have one */
	f->len += UDP + s->payload_len;
}

static void
put_ipv4(struct built *f, const struct shape *s, const struct pst_addr *dst)
{
	uint8_t *ip = f->bytes + f->len;
	unsigned header_len = IPV4 + s->options_len;
	ip[0] = (uint8_t)(0x40 | header_len / 4);
	pst_store_be16(ip + 2, (uint16_t)(header_len + UDP + s->payload_len));
	pst_store_be16(ip + 6, s->frag);
	ip[8] = 64;
	ip[9] = s->next_header ? s->next_header : 17;
	memcpy(ip + 12, (uint8_t[]){192, 0, 2, 1}, 4);
	memcpy(ip + 16, dst->bytes + 12, 4);
	memset(ip + IPV4, 1, s->options_len); /* no operation */
	f->len += header_len;
}

static void
put_ipv6(struct built *f, const struct shape *s, const struct pst_addr *dst)
{
	uint8_t *ip = f->bytes + f->len;
	unsigned ext_len = s->ext_next ? 8 : 0;
	ip[0] = 0x60;
	pst_store_be16(ip + 4, (uint16_t)(ext_len + UDP + s->payload_len));
	ip[6] = s->next_header || s->ext_next ? s->next_header : 17;
	ip[7] = 64;
	ip[8] = 0xfd;
	memcpy(ip + 24, dst->bytes, 16);
	if (s->ext_next)
		ip[IPV6] = s->ext_next;
	f->len += IPV6 + ext_len;
}

static void
build(struct built *f, const struct shape *s)
{
	struct pst_addr dst;
	memset(f, 0, sizeof(*f));
	memset(f->bytes, 0x02, 12);
	f->len = 12;
	for (int i = 0; i < 3 && s->tags[i]; i++) {
		pst_store_be16(f->bytes + f->len, s->tags[i]);
		pst_store_be16(f->bytes + f->len + 2, (uint16_t)(100 + i));
		f->len += TAG;
	}
	cr_assert_eq(pst_addr_parse(s->dst, &dst), 0);
	bool is_ipv4 = pst_addr_is_ipv4(&dst);
	pst_store_be16(f->bytes + f->len, is_ipv4 ? 0x0800 : 0x86dd);
	f->len += 2;
	if (is_ipv4)
		put_ipv4(f, s, &dst);
	else
		put_ipv6(f, s, &dst);
	put_udp(f, s);
}

static struct pst_steer *
load(uint32_t limit)
{
	static const struct {
		const char *addr;
		uint16_t port;
	} listeners[] = {
		{"10.1.2.3", PORT},
		{"fd00::5", PORT},
		{"239.1.1.1", 26400},
		{"0.0.0.0", ANY_PORT},
	};
	struct pst_steer_target targets[PST_ARRAY_CNT(listeners)];
	struct pst_steer *steer;
	struct pst_diag diag;
	for (size_t i = 0; i < PST_ARRAY_CNT(listeners); i++) {
		cr_assert_eq(pst_addr_parse(listeners[i].addr, &targets[i].addr), 0);
		targets[i].udp_port = listeners[i].port;
	}
	cr_assert_eq(pst_steer_load("lo", limit, targets, PST_ARRAY_CNT(targets), &steer, &diag), 0,
		"%s", diag.text);
	return steer;
}

/* A socket of ours at a queue: the program can only redirect to something that is there. */
static void
add_socket(struct pst_steer *steer, uint32_t queue)
{
	int fd = socket(AF_XDP_KIND, SOCK_RAW, 0);
	cr_assert_geq(fd, 0);
	cr_assert_eq(bpf_map_update_elem(pst_steer_sockets_fd(steer), &queue, &fd, BPF_ANY), 0);
}

/* The verdict by the counter that moved, checked against the action that the kernel would take. */
static enum pst_steer_count
judge(struct pst_steer *steer, const uint8_t *bytes, uint32_t len)
{
	uint64_t before[PST_STEER_COUNT_CNT], after[PST_STEER_COUNT_CNT];
	uint64_t passed = pst_steer_passed(steer);
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = bytes, .data_size_in = len, .repeat = 1);
	pst_steer_counts(steer, before);
	int err = bpf_prog_test_run_opts(pst_steer_program_fd(steer), &run);
	cr_assert_eq(err, 0, "test run of %u bytes: %s", len, strerror(-err));
	pst_steer_counts(steer, after);
	unsigned moved = PST_STEER_COUNT_CNT, moved_cnt = 0;
	for (unsigned i = 0; i < PST_STEER_COUNT_CNT; i++)
		if (after[i] != before[i]) {
			cr_assert_eq(after[i], before[i] + 1);
			moved = i;
			moved_cnt++;
		}
	cr_assert_eq(moved_cnt, 1, "each frame moves exactly one count");
	cr_assert_eq(run.retval, moved == PST_STEER_REDIRECTED ? XDP_REDIRECT : XDP_PASS);
	bool may_be_ours = moved != PST_STEER_REDIRECTED && moved != PST_STEER_PASS_OTHER;
	cr_assert_eq(pst_steer_passed(steer) - passed, may_be_ours);
	return (enum pst_steer_count)moved;
}

struct judged {
	const char *what;
	struct shape shape;
	enum pst_steer_count verdict;
};

static const struct judged cases[] = {
	{"IPv4", {.dst = "10.1.2.3", .port = PORT}, PST_STEER_REDIRECTED},
	{"IPv4, payload", {.dst = "10.1.2.3", .port = PORT, .payload_len = 1000},
		PST_STEER_REDIRECTED},
	{"IPv6", {.dst = "fd00::5", .port = PORT}, PST_STEER_REDIRECTED},
	{"multicast", {.dst = "239.1.1.1", .port = 26400}, PST_STEER_REDIRECTED},
	{"802.1Q", {.tags = {0x8100}, .dst = "10.1.2.3", .port = PORT}, PST_STEER_REDIRECTED},
	{"QinQ", {.tags = {0x88a8, 0x8100}, .dst = "fd00::5", .port = PORT}, PST_STEER_REDIRECTED},
	{"old QinQ", {.tags = {0x9100, 0x8100}, .dst = "10.1.2.3", .port = PORT},
		PST_STEER_REDIRECTED},
	{"three tags", {.tags = {0x88a8, 0x8100, 0x8100}, .dst = "10.1.2.3", .port = PORT},
		PST_STEER_PASS_OTHER},
	{"tag of another kind", {.tags = {0x8847}, .dst = "10.1.2.3", .port = PORT},
		PST_STEER_PASS_OTHER},
	{"other port", {.dst = "10.1.2.3", .port = PORT + 1}, PST_STEER_PASS_OTHER},
	{"port 0", {.dst = "10.1.2.3", .port = 0}, PST_STEER_PASS_OTHER},
	{"other address", {.dst = "10.1.2.4", .port = PORT}, PST_STEER_PASS_OTHER},
	{"other IPv6 address", {.dst = "fd00::6", .port = PORT}, PST_STEER_PASS_OTHER},
	{"a port of another listener", {.dst = "fd00::5", .port = 26400}, PST_STEER_PASS_OTHER},
	{"TCP", {.dst = "10.1.2.3", .port = PORT, .next_header = 6}, PST_STEER_PASS_OTHER},
	{"TCP over IPv6", {.dst = "fd00::5", .port = PORT, .next_header = 6}, PST_STEER_PASS_OTHER},
	{"wildcard, local address", {.dst = "127.0.0.1", .port = ANY_PORT}, PST_STEER_REDIRECTED},
	{"wildcard, other address", {.dst = "10.9.9.9", .port = ANY_PORT}, PST_STEER_PASS_ADDRESS},
	{"wildcard, broadcast", {.dst = "255.255.255.255", .port = ANY_PORT},
		PST_STEER_PASS_ADDRESS},
	{"wildcard as an address", {.dst = "0.0.0.0", .port = ANY_PORT}, PST_STEER_PASS_ADDRESS},
	{"wildcard of the other family", {.dst = "::1", .port = ANY_PORT}, PST_STEER_PASS_OTHER},
	{"don't fragment", {.dst = "10.1.2.3", .port = PORT, .frag = 0x4000}, PST_STEER_REDIRECTED},
	{"first fragment", {.dst = "10.1.2.3", .port = PORT, .frag = 0x2000},
		PST_STEER_PASS_FRAGMENT},
	{"later fragment", {.dst = "10.1.2.3", .port = 9, .frag = 1}, PST_STEER_PASS_FRAGMENT},
	{"fragment under the wildcard", {.dst = "127.0.0.1", .port = 9, .frag = 0x2001},
		PST_STEER_PASS_FRAGMENT},
	{"fragment to others", {.dst = "10.1.2.4", .port = PORT, .frag = 0x2000},
		PST_STEER_PASS_OTHER},
	{"fragment of TCP", {.dst = "10.1.2.3", .port = PORT, .frag = 0x2000, .next_header = 6},
		PST_STEER_PASS_OTHER},
	{"IPv6 fragment", {.dst = "fd00::5", .port = PORT, .next_header = 44, .ext_next = 17},
		PST_STEER_PASS_FRAGMENT},
	{"IPv6 fragment of options",
		{.dst = "fd00::5", .port = PORT, .next_header = 44, .ext_next = 60},
		PST_STEER_PASS_FRAGMENT},
	{"IPv6 fragment of TCP", {.dst = "fd00::5", .port = PORT, .next_header = 44, .ext_next = 6},
		PST_STEER_PASS_OTHER},
	{"IPv6 fragment to others",
		{.dst = "fd00::6", .port = PORT, .next_header = 44, .ext_next = 17},
		PST_STEER_PASS_OTHER},
	{"IPv4 options", {.dst = "10.1.2.3", .port = PORT, .options_len = 4},
		PST_STEER_PASS_OPTIONS},
	{"most IPv4 options", {.dst = "10.1.2.3", .port = PORT, .options_len = 40},
		PST_STEER_PASS_OPTIONS},
	{"IPv4 options, other port", {.dst = "10.1.2.3", .port = 9, .options_len = 4},
		PST_STEER_PASS_OTHER},
	{"hop-by-hop", {.dst = "fd00::5", .port = PORT, .next_header = 0, .ext_next = 17},
		PST_STEER_PASS_OPTIONS},
	{"destination options", {.dst = "fd00::5", .port = PORT, .next_header = 60, .ext_next = 17},
		PST_STEER_PASS_OPTIONS},
	{"extension header to others",
		{.dst = "fd00::6", .port = PORT, .next_header = 60, .ext_next = 17},
		PST_STEER_PASS_OTHER},
	{"as long as fits", {.dst = "10.1.2.3", .port = PORT, .payload_len = LIMIT - 42},
		PST_STEER_REDIRECTED},
	{"one byte longer", {.dst = "10.1.2.3", .port = PORT, .payload_len = LIMIT - 41},
		PST_STEER_PASS_LARGE},
	{"IPv6, as long as fits", {.dst = "fd00::5", .port = PORT, .payload_len = LIMIT - 62},
		PST_STEER_REDIRECTED},
	{"IPv6, one byte longer", {.dst = "fd00::5", .port = PORT, .payload_len = LIMIT - 61},
		PST_STEER_PASS_LARGE},
	{"long, tagged",
		{.tags = {0x8100}, .dst = "10.1.2.3", .port = PORT, .payload_len = LIMIT - 42},
		PST_STEER_PASS_LARGE},
	{"long, in several pieces", {.dst = "10.1.2.3", .port = PORT, .payload_len = 7000},
		PST_STEER_PASS_LARGE},
	{"long, not for us", {.dst = "10.1.2.3", .port = 9, .payload_len = 7000},
		PST_STEER_PASS_OTHER},
};

Test(steer, each_kind_of_frame_has_its_verdict)
{
	struct pst_steer *steer = load(LIMIT);
	struct built f;
	add_socket(steer, 0);
	for (size_t i = 0; i < PST_ARRAY_CNT(cases); i++) {
		build(&f, &cases[i].shape);
		enum pst_steer_count verdict = judge(steer, f.bytes, f.len);
		cr_expect_eq(verdict, cases[i].verdict, "%s: %s", cases[i].what,
			pst_steer_count_name(verdict));
	}
	pst_steer_free(steer);
}

/* Whatever the kind, a frame cut before the end of its UDP header is not redirected, and one cut
 * at any later byte is: lib/frame will name what is missing. */
Test(steer, truncated_at_every_byte)
{
	struct pst_steer *steer = load(LIMIT);
	struct built f;
	add_socket(steer, 0);
	for (size_t i = 0; i < PST_ARRAY_CNT(cases); i++) {
		build(&f, &cases[i].shape);
		uint32_t headers_len = f.len - cases[i].shape.payload_len;
		bool ours = cases[i].verdict == PST_STEER_REDIRECTED ||
			    cases[i].verdict == PST_STEER_PASS_LARGE;
		for (uint32_t len = ETHERNET; len <= headers_len + 3 && len <= f.len; len++) {
			enum pst_steer_count verdict = judge(steer, f.bytes, len);
			bool redirected = verdict == PST_STEER_REDIRECTED;
			cr_assert_eq(redirected, ours && len >= headers_len, "%s cut to %u: %s",
				cases[i].what, len, pst_steer_count_name(verdict));
		}
	}
	pst_steer_free(steer);
}

Test(steer, malformed_ip_headers_are_left_to_the_kernel)
{
	struct pst_steer *steer = load(LIMIT);
	struct built f;
	add_socket(steer, 0);
	build(&f, &(struct shape){.dst = "10.1.2.3", .port = PORT, .payload_len = 100});
	/* The port again where headers of six words and of three would end. */
	pst_store_be16(f.bytes + ETHERNET + 12 + 2, PORT);
	pst_store_be16(f.bytes + ETHERNET + IPV4 + 4 + 2, PORT);
	for (unsigned first = 0; first < 256; first++) {
		f.bytes[ETHERNET] = (uint8_t)first;
		enum pst_steer_count verdict = judge(steer, f.bytes, f.len);
		enum pst_steer_count wanted = first == 0x45   ? PST_STEER_REDIRECTED
					      : first == 0x46 ? PST_STEER_PASS_OPTIONS
							      : PST_STEER_PASS_OTHER;
		cr_expect_eq(verdict, wanted, "%02x: %s", first, pst_steer_count_name(verdict));
	}
	build(&f, &(struct shape){.dst = "fd00::5", .port = PORT, .payload_len = 100});
	for (unsigned first = 0; first < 256; first++) {
		f.bytes[ETHERNET] = (uint8_t)first;
		cr_expect_eq(judge(steer, f.bytes, f.len) == PST_STEER_REDIRECTED, first >> 4 == 6,
			"%02x", first);
	}
	pst_steer_free(steer);
}

/* A frame that the kernel holds in several pieces is passed even below the limit. */
Test(steer, frames_in_pieces_go_to_the_kernel)
{
	struct pst_steer *steer = load(PST_STEER_FRAME_BYTES_MAX);
	struct built f;
	add_socket(steer, 0);
	build(&f, &(struct shape){.dst = "10.1.2.3", .port = PORT, .payload_len = 3300});
	cr_expect_eq(judge(steer, f.bytes, f.len), PST_STEER_REDIRECTED);
	/* Beyond page less headroom and skb_shared_info the test run makes a second piece. */
	build(&f, &(struct shape){.dst = "10.1.2.3", .port = PORT, .payload_len = 4000});
	cr_expect_eq(judge(steer, f.bytes, f.len), PST_STEER_PASS_LARGE);
	pst_steer_free(steer);
}

Test(steer, no_socket_on_the_queue_means_kernel)
{
	struct pst_steer *steer = load(LIMIT);
	struct built f;
	build(&f, &(struct shape){.dst = "10.1.2.3", .port = PORT});
	cr_expect_eq(judge(steer, f.bytes, f.len), PST_STEER_PASS_NO_SOCKET);
	/* Another queue's socket must not get it: the kernel would drop it. */
	add_socket(steer, 1);
	cr_expect_eq(judge(steer, f.bytes, f.len), PST_STEER_PASS_NO_SOCKET);
	add_socket(steer, 0);
	cr_expect_eq(judge(steer, f.bytes, f.len), PST_STEER_REDIRECTED);
	pst_steer_free(steer);
}

static bool
is_target(const struct pst_frame *frame)
{
	char dst[INET6_ADDRSTRLEN];
	pst_addr_format(&frame->dst, dst);
	return (frame->dst_port == PORT && (!strcmp(dst, "10.1.2.3") || !strcmp(dst, "fd00::5"))) ||
	       (frame->dst_port == 26400 && !strcmp(dst, "239.1.1.1")) ||
	       (frame->dst_port == ANY_PORT && !strcmp(dst, "127.0.0.1"));
}

/* Against lib/frame, on mutated frames: what is redirected must have reached the UDP header there,
 * too, and what lib/frame finds good, plain and addressed to us must not have been passed as
 * somebody else's. */
Test(steer, agrees_with_the_parser_on_mutated_frames)
{
	struct pst_steer *steer = load(LIMIT);
	unsigned redirected_cnt = 0, carried_cnt = 0;
	struct pst_frame view;
	struct built f;
	add_socket(steer, 0);
	srandom(20240601);
	for (int turn = 0; turn < 20000; turn++) {
		build(&f, &cases[(size_t)random() % PST_ARRAY_CNT(cases)].shape);
		/* The headers, where a change means something; checksums are left out: 0 is none.
		 */
		for (int i = (int)(random() % 3); i > 0; i--)
			f.bytes[12 + random() % 60] = (uint8_t)random();
		enum pst_steer_count steered = judge(steer, f.bytes, f.len);
		/* NIC: checksums are said to be good, so that lengths and types alone decide. */
		enum pst_frame_verdict parsed = pst_frame_parse(f.bytes, f.len, PST_CHECKSUM_NIC,
			PST_FRAME_IP_GOOD | PST_FRAME_UDP_GOOD, &view);
		if (steered == PST_STEER_REDIRECTED) {
			redirected_cnt++;
			cr_assert(parsed == PST_FRAME_CARRIED || parsed == PST_FRAME_EMPTY ||
					  parsed == PST_FRAME_IPV4_TOTAL_LENGTH ||
					  parsed == PST_FRAME_IPV6_PAYLOAD_LENGTH ||
					  parsed == PST_FRAME_UDP_SHORT ||
					  parsed == PST_FRAME_UDP_LENGTH ||
					  parsed == PST_FRAME_UDP_CHECKSUM_MISSING,
				"turn %d: redirected, but the parser says %s", turn,
				pst_frame_verdict_name(parsed));
		} else if (parsed == PST_FRAME_CARRIED && is_target(&view)) {
			carried_cnt++;
			cr_assert_neq(steered, PST_STEER_PASS_OTHER,
				"turn %d: a listener's datagram was taken for somebody else's",
				turn);
		}
	}
	cr_assert_gt(redirected_cnt, 1000);
	cr_assert_gt(carried_cnt, 100);
	pst_steer_free(steer);
}

Test(steer, refuses_an_interface_that_is_not_there)
{
	struct pst_steer *steer = NULL;
	struct pst_diag diag;
	cr_assert_eq(pst_steer_attach(0x7ffffff0, LIMIT, NULL, 0, &steer, &diag), -1);
	cr_assert_null(steer);
	cr_assert(strstr(diag.text, "interface"));
}

int
main(int argc, char **argv)
{
	uint32_t key = 0, value = 0;
	int fd = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "probe", sizeof(key), sizeof(value), 1, NULL);
	if (fd < 0) {
		printf("SKIPPED: the steering program cannot be loaded here (%s): run as root\n",
			strerror(errno));
		return 77;
	}
	close(fd);
	struct criterion_test_set *tests = criterion_initialize();
	int result = 0;
	if (criterion_handle_args(argc, argv, true))
		result = !criterion_run_all_tests(tests);
	criterion_finalize(tests);
	return result;
}
