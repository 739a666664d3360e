/* The steering program: see steer.h for the picture.
 *
 * What it redirects, lib/frame must be able to judge, and nothing else can see it any more. So it
 * is strict about what it takes (a complete UDP header behind a plain IP header, in one piece and
 * short enough for a buffer) and leaves every doubt to the kernel, whose socket feeds the same
 * pipeline. Lengths and checksums inside are not its business: lib/frame names what is wrong. */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "steer/steer_abi.h"

#define ETHERTYPE_IPV4     0x0800
#define ETHERTYPE_IPV6     0x86dd
#define ETHERTYPE_VLAN     0x8100
#define ETHERTYPE_QINQ     0x88a8 /* 802.1ad */
#define ETHERTYPE_QINQ_OLD 0x9100 /* before 802.1ad */
#define VLAN_TAG_CNT_MAX   2
#define IPV4_FRAGMENT      0x3fff /* more fragments, or an offset */
#define PROTO_HOPOPTS      0
#define PROTO_UDP          17
#define PROTO_ROUTING      43
#define PROTO_FRAGMENT     44
#define PROTO_AH           51
#define PROTO_DSTOPTS      60
#define FRAME_BYTES_MASK   0xffff

/* Set before loading, constants to the verifier afterwards. */
const volatile __u32 pst_frame_bytes_max = 0;
const volatile __u32 pst_slot_cnt = 1;
const volatile __u8 pst_any_ipv4 = 0; /* there is a wildcard listener of the family */
const volatile __u8 pst_any_ipv6 = 0;

struct ethernet {
	__u8 dst[6], src[6];
	__be16 type_be;
} __attribute__((packed));

struct vlan {
	__be16 tci_be, type_be;
};

struct ipv4 {
	__u8 version_ihl, tos;
	__be16 total_len_be, id_be, frag_be;
	__u8 ttl, proto;
	__be16 checksum_be;
	__u8 src[4], dst[4];
};

struct ipv6 {
	__be32 version_class_flow_be;
	__be16 payload_len_be;
	__u8 next_header, hop_limit;
	__u8 src[16], dst[16];
};

struct ipv6_fragment {
	__u8 next_header, reserved;
	__be16 offset_be;
	__be32 id_be;
};

struct udp {
	__be16 src_port_be, dst_port_be, len_be, checksum_be;
};

/* Found and filled by libxdp under this name. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u32);
} xsks_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* set before loading */
	__type(key, struct pst_steer_key);
	__type(value, __u8);
} pst_targets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* set before loading */
	__type(key, __u32);
	__type(value, struct pst_steer_slot);
} pst_slots SEC(".maps");

/* Marks the program as one that libxdp may adopt instead of loading its own. */
__uint(xsk_prog_version, 1) SEC("xdp_metadata");

static __always_inline int
is_target(const struct pst_steer_key *key)
{
	return bpf_map_lookup_elem(&pst_targets, key) != 0;
}

/* Whether any listener has this address, at whatever port. */
static __always_inline int
is_target_address(struct pst_steer_key *key)
{
	key->udp_port_be = 0;
	key->kind = PST_STEER_KEY_ADDRESS;
	return is_target(key);
}

/* The verdict on a complete UDP header behind a plain IP header. */
static __always_inline enum pst_steer_count
judge_udp(struct pst_steer_key *key, const void *data, const void *data_end, __u32 frame_bytes)
{
	if (!is_target(key)) {
		int is_ipv4 = key->addr[10] == 0xff;
		if (is_ipv4 ? !pst_any_ipv4 : !pst_any_ipv6)
			return PST_STEER_PASS_OTHER;
		key->kind = PST_STEER_KEY_WILDCARD;
		__builtin_memset(key->addr, 0, sizeof(key->addr));
		if (is_ipv4)
			key->addr[10] = key->addr[11] = 0xff;
		return is_target(key) ? PST_STEER_PASS_ADDRESS : PST_STEER_PASS_OTHER;
	}
	if (frame_bytes > pst_frame_bytes_max)
		return PST_STEER_PASS_LARGE;
	/* Kernels before 6.6 drop a frame in several pieces on its way to a socket. */
	if (data + (frame_bytes & FRAME_BYTES_MASK) > data_end)
		return PST_STEER_PASS_LARGE;
	return PST_STEER_REDIRECTED;
}

static __always_inline enum pst_steer_count
judge_ipv4(const void *at, const void *data, const void *data_end, __u32 frame_bytes)
{
	const struct ipv4 *ip = at;
	struct pst_steer_key key = {.addr = {[10] = 0xff, [11] = 0xff}};

	if (at + sizeof(*ip) > data_end || ip->version_ihl >> 4 != 4 || ip->proto != PROTO_UDP)
		return PST_STEER_PASS_OTHER;
	__builtin_memcpy(key.addr + 12, ip->dst, 4);
	if (ip->frag_be & bpf_htons(IPV4_FRAGMENT))
		return is_target_address(&key) ? PST_STEER_PASS_FRAGMENT : PST_STEER_PASS_OTHER;

	__u32 header_len = (ip->version_ihl & 0x0f) * 4;
	if (header_len < sizeof(*ip))
		return PST_STEER_PASS_OTHER;
	const struct udp *udp = at + header_len;
	if ((const void *)(udp + 1) > data_end)
		return PST_STEER_PASS_OTHER;
	key.udp_port_be = udp->dst_port_be;
	if (header_len > sizeof(*ip))
		return is_target(&key) ? PST_STEER_PASS_OPTIONS : PST_STEER_PASS_OTHER;
	return judge_udp(&key, data, data_end, frame_bytes);
}

static __always_inline int
is_ipv6_extension(__u8 next_header)
{
	return next_header == PROTO_HOPOPTS || next_header == PROTO_ROUTING ||
	       next_header == PROTO_AH || next_header == PROTO_DSTOPTS;
}

static __always_inline enum pst_steer_count
judge_ipv6(const void *at, const void *data, const void *data_end, __u32 frame_bytes)
{
	const struct ipv6 *ip = at;
	struct pst_steer_key key = {};

	if (at + sizeof(*ip) > data_end ||
		(ip->version_class_flow_be & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000))
		return PST_STEER_PASS_OTHER;
	__builtin_memcpy(key.addr, ip->dst, 16);
	if (ip->next_header == PROTO_FRAGMENT) {
		const struct ipv6_fragment *frag = at + sizeof(*ip);
		if ((const void *)(frag + 1) > data_end ||
			(frag->next_header != PROTO_UDP && !is_ipv6_extension(frag->next_header)))
			return PST_STEER_PASS_OTHER;
		return is_target_address(&key) ? PST_STEER_PASS_FRAGMENT : PST_STEER_PASS_OTHER;
	}
	if (is_ipv6_extension(ip->next_header))
		return is_target_address(&key) ? PST_STEER_PASS_OPTIONS : PST_STEER_PASS_OTHER;

	const struct udp *udp = at + sizeof(*ip);
	if (ip->next_header != PROTO_UDP || (const void *)(udp + 1) > data_end)
		return PST_STEER_PASS_OTHER;
	key.udp_port_be = udp->dst_port_be;
	return judge_udp(&key, data, data_end, frame_bytes);
}

static __always_inline enum pst_steer_count
judge(struct xdp_md *ctx)
{
	const void *data = (const void *)(long)ctx->data;
	const void *data_end = (const void *)(long)ctx->data_end;
	const struct ethernet *eth = data;
	__u32 frame_bytes = (__u32)bpf_xdp_get_buff_len(ctx);

	if ((const void *)(eth + 1) > data_end)
		return PST_STEER_PASS_OTHER;
	__be16 type = eth->type_be;
	const void *at = eth + 1;
#pragma unroll
	for (int i = 0; i < VLAN_TAG_CNT_MAX; i++) {
		const struct vlan *vlan = at;
		if (type != bpf_htons(ETHERTYPE_VLAN) && type != bpf_htons(ETHERTYPE_QINQ) &&
			type != bpf_htons(ETHERTYPE_QINQ_OLD))
			break;
		if ((const void *)(vlan + 1) > data_end)
			return PST_STEER_PASS_OTHER;
		type = vlan->type_be;
		at = vlan + 1;
	}
	if (type == bpf_htons(ETHERTYPE_IPV4))
		return judge_ipv4(at, data, data_end, frame_bytes);
	if (type == bpf_htons(ETHERTYPE_IPV6))
		return judge_ipv6(at, data, data_end, frame_bytes);
	return PST_STEER_PASS_OTHER;
}

static __always_inline void
count(enum pst_steer_count which)
{
	__u32 idx = bpf_get_smp_processor_id() % pst_slot_cnt;
	struct pst_steer_slot *slot = bpf_map_lookup_elem(&pst_slots, &idx);
	/* Atomic: with real-time kernels two receive threads can share a CPU. */
	if (slot)
		__sync_fetch_and_add(&slot->counts[which], 1);
}

/* The name is libxdp's: under it the AF_XDP driver adopts the program and its map. */
SEC("xdp.frags")
int
xsk_def_prog(struct xdp_md *ctx)
{
	enum pst_steer_count which = judge(ctx);
	int action = XDP_PASS;

	if (which == PST_STEER_REDIRECTED) {
		/* Another queue's socket would drop it; none on this one: the kernel. */
		action = (int)bpf_redirect_map(&xsks_map, ctx->rx_queue_index, XDP_PASS);
		if (action != XDP_REDIRECT)
			which = PST_STEER_PASS_NO_SOCKET;
	}
	count(which);
	return action;
}

char _license[] SEC("license") = "Apache-2.0";
