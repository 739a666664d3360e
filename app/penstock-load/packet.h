/* Ethernet, VLAN, IP and UDP headers around a payload, with right checksums, or with one chosen
 * defect. Pure. Sources: IEEE 802.3, 802.1Q/ad; RFC 791, 8200, 768, 1071. */
#ifndef PST_LOAD_PACKET_H
#define PST_LOAD_PACKET_H

#include "base/addr.h"
#include "frame/frame.h"

#define LOAD_VLAN_MAX       2
#define LOAD_HEADER_LEN_MAX (14 + 4 * LOAD_VLAN_MAX + 40 + 8)

struct load_endpoint {
	struct pst_addr addr;
	uint16_t port;
	uint8_t mac[6];
};

struct load_packet {
	struct load_endpoint src, dst;
	uint16_t vlans[LOAD_VLAN_MAX]; /* outermost first */
	unsigned vlan_cnt;
	uint16_t ip_id; /* IPv4 */
};

/* Writes the frame into out, which holds LOAD_HEADER_LEN_MAX + payload_len bytes, and returns its
 * length. defect: a verdict of the parser that the frame shall earn; PST_FRAME_CARRIED: none, and
 * so is any other. Both addresses are of one family. */
uint32_t load_packet_build(uint8_t *out, const struct load_packet *packet, const uint8_t *payload,
	uint32_t payload_len, enum pst_frame_verdict defect);

/* The defects that load_packet_build can make with these addresses. Returns their number. */
unsigned load_packet_defects(
	const struct load_packet *packet, enum pst_frame_verdict defects[PST_FRAME_VERDICT_CNT]);

#endif
