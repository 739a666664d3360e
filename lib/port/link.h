/* What the kernel says of a network interface of this process's namespace. (Not sysfs: that shows
 * the namespace in which it was mounted.) */
#ifndef PST_PORT_LINK_H
#define PST_PORT_LINK_H

#include <stdbool.h>
#include <stdint.h>

struct pst_link {
	bool is_up;      /* administratively */
	bool is_running; /* carrier */
	bool is_loopback;
	uint32_t mtu;
	char driver[32];       /* "" if it says none */
	uint32_t rx_queue_cnt; /* 0: it does not say (no channels: lo) */
};

/* 0, or -errno. Control thread. */
int pst_link_read(const char *ifname, struct pst_link *out);

/* Offloads that are on and change what we see. */
struct pst_link_offloads {
	bool udp_segmentation; /* sender's datagrams stay together (loopback) */
	bool gro_forwarding;   /* received datagrams of a flow are merged */
	bool gro_list;         /* the same in another way */
	bool vlan_strip;       /* tags are taken off; false if it is fixed so */
};
/* All false if the interface tells none. */
void pst_link_read_offloads(const char *ifname, struct pst_link_offloads *out);

/* Whether an offload is on, by its name as the kernel spells it ("tx-udp-segmentation"); fixed: it
 * cannot be changed. False if unknown. */
bool pst_link_feature_on(const char *ifname, const char *feature, bool *fixed);

/* The columns `drop` of /proc/net/dev for the interface: dropped and missed by kernel and device. 0
 * if there is no such interface. */
struct pst_link_drops {
	uint64_t rx, tx;
};
struct pst_link_drops pst_link_drops(const char *ifname);
/* The same from a text in its form. */
struct pst_link_drops pst_link_drops_in(const char *text, const char *ifname);

#endif
