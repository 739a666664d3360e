/* Bytes of an Ethernet frame -> verdict and view of the UDP payload. Pure: no DPDK types, no
 * allocation, no state.
 *
 *   +----------+-----------------+-----------------------+-----+---------+---------+
 *   | Ethernet | 0..2 VLAN tags  | IPv4+options | IPv6+ext | UDP | payload | padding |
 *   +----------+-----------------+-----------------------+-----+---------+---------+
 *
 * Sources: IEEE 802.3, 802.1Q/ad; RFC 791, 8200, 768, 1071. */
#ifndef PST_FRAME_H
#define PST_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/base.h"

/* How UDP and IPv4 header checksums are judged on a port.
 * STRICT: wrong is rejected. LOCAL: additionally a UDP checksum field equal to the folded
 * pseudo-header sum counts as right: a local sender's kernel left it partial (lo, veth).
 * NIC: trusted where the mbuf's offload flags say good or bad, else as STRICT. An absent (zero) UDP
 * checksum is right on IPv4 and wrong on IPv6 under each of them. */
enum pst_checksum { PST_CHECKSUM_STRICT, PST_CHECKSUM_LOCAL, PST_CHECKSUM_NIC };

const char *pst_checksum_name(enum pst_checksum checksum);

/* Every fate that a frame can have. The enum is the index of its counter: no path that drops a
 * frame exists without a named cell. X(SYMBOL, "name in telemetry", class)
 * CARRIED: its events were taken out. REJECTED: malformed or refused. IGNORED: well-formed, but
 * nothing to take. */
#define PST_FRAME_VERDICTS(X)                                                                      \
	X(CARRIED, "carried", CARRIED)                                                             \
	/* rejected by the parser */                                                               \
	X(ETHERNET_SHORT, "ethernet_short", REJECTED)                                              \
	X(VLAN_SHORT, "vlan_short", REJECTED)                                                      \
	X(VLAN_DEPTH, "vlan_depth", REJECTED) /* more than two tags */                             \
	X(IPV4_SHORT, "ipv4_short", REJECTED)                                                      \
	X(IPV4_VERSION, "ipv4_version", REJECTED)                                                  \
	X(IPV4_HEADER_LENGTH, "ipv4_header_length", REJECTED)                                      \
	X(IPV4_TOTAL_LENGTH, "ipv4_total_length", REJECTED)                                        \
	X(IPV4_CHECKSUM, "ipv4_checksum", REJECTED)                                                \
	X(IPV6_SHORT, "ipv6_short", REJECTED)                                                      \
	X(IPV6_VERSION, "ipv6_version", REJECTED)                                                  \
	X(IPV6_PAYLOAD_LENGTH, "ipv6_payload_length", REJECTED)                                    \
	X(IPV6_MAPPED, "ipv6_mapped", REJECTED)       /* ::ffff:0:0/96 would pass for IPv4 */      \
	X(IPV6_EXTENSION, "ipv6_extension", REJECTED) /* truncated, or more than eight */          \
	X(IP_FRAGMENT, "ip_fragment", REJECTED)                                                    \
	X(UDP_SHORT, "udp_short", REJECTED)                                                        \
	X(UDP_LENGTH, "udp_length", REJECTED)                                                      \
	X(UDP_CHECKSUM, "udp_checksum", REJECTED)                                                  \
	X(UDP_CHECKSUM_MISSING, "udp_checksum_missing", REJECTED) /* IPv6, RFC 8200 8.1 */         \
	X(FRAME_TOO_LONG, "frame_too_long", REJECTED) /* chained beyond 64 KiB and headers */      \
	/* rejected by the listener's admission */                                                 \
	X(SOURCE_NOT_ALLOWED, "source_not_allowed", REJECTED)                                      \
	X(DATAGRAM_TRUNCATED, "datagram_truncated", REJECTED) /* kernel path: cut by its buffer */ \
	/* rejected by the framing */                                                              \
	X(MOLD_SHORT, "mold_short", REJECTED)                                                      \
	X(MOLD_TRUNCATED, "mold_truncated", REJECTED) /* fewer blocks than count */                \
	X(MOLD_TRAILING, "mold_trailing", REJECTED)   /* bytes after the last block */             \
	X(MOLD_SEQUENCE, "mold_sequence", REJECTED)   /* sequence 0, or sequence + count wraps */  \
	X(HANDOFF_FULL, "handoff_full", REJECTED) /* owner lcore of its session too far behind */  \
	/* ignored */                                                                              \
	X(NOT_IP, "not_ip", IGNORED)                                                               \
	X(NOT_UDP, "not_udp", IGNORED)                                                             \
	X(NO_LISTENER, "no_listener", IGNORED)                                                     \
	X(EMPTY, "empty", IGNORED) /* no payload, or nothing but empty lines */                    \
	X(HEARTBEAT, "heartbeat", IGNORED)                                                         \
	X(END_OF_SESSION, "end_of_session", IGNORED)

enum pst_frame_class { PST_FRAME_CLASS_CARRIED, PST_FRAME_CLASS_REJECTED, PST_FRAME_CLASS_IGNORED };

enum pst_frame_verdict {
#define PST_X(sym, name, class) PST_FRAME_##sym,
	PST_FRAME_VERDICTS(PST_X)
#undef PST_X
		PST_FRAME_VERDICT_CNT
};

const char *pst_frame_verdict_name(enum pst_frame_verdict verdict);
enum pst_frame_class pst_frame_verdict_class(enum pst_frame_verdict verdict);

/* What the receiver already knows of the checksums (NIC offload flags). */
enum pst_frame_offload {
	PST_FRAME_IP_GOOD = 1 << 0,
	PST_FRAME_IP_BAD = 1 << 1,
	PST_FRAME_UDP_GOOD = 1 << 2,
	PST_FRAME_UDP_BAD = 1 << 3,
};

/* A UDP datagram in the bytes given to pst_frame_parse; points into them. */
struct pst_frame {
	struct pst_addr src;
	struct pst_addr dst;
	const uint8_t *payload;
	uint16_t payload_len; /* by the UDP length: padding is not in it; may be 0 */
	uint16_t src_port;    /* host order */
	uint16_t dst_port;
	uint8_t is_ipv6;
};

/* Parses len bytes at data. policy is the port's; offload is a mask of pst_frame_offload and only
 * looked at with PST_CHECKSUM_NIC. Returns PST_FRAME_CARRIED with *frame filled when there is a
 * good UDP datagram, else the verdict to count; of *frame only src then says something: the sender
 * that the IP header claims, all zero bytes if the frame does not get that far. Any thread. */
enum pst_frame_verdict pst_frame_parse(const uint8_t *data, uint32_t len, enum pst_checksum policy,
	unsigned offload, struct pst_frame *frame);

#endif
