#include "port/link.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/base.h"

static int
link_ioctl(const char *ifname, unsigned long request, struct ifreq *req)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	snprintf(req->ifr_name, sizeof(req->ifr_name), "%s", ifname);
	int err = ioctl(fd, request, req) == 0 ? 0 : -errno;
	close(fd);
	return err;
}

static int
link_ethtool(const char *ifname, void *command)
{
	struct ifreq req = {.ifr_data = command};
	return link_ioctl(ifname, SIOCETHTOOL, &req);
}

int
pst_link_read(const char *ifname, struct pst_link *out)
{
	struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct pst_link link = {0};
	struct ifreq req = {0};

	int err = link_ioctl(ifname, SIOCGIFFLAGS, &req);
	if (err)
		return err;
	link.is_up = req.ifr_flags & IFF_UP;
	link.is_running = req.ifr_flags & IFF_RUNNING;
	link.is_loopback = req.ifr_flags & IFF_LOOPBACK;
	err = link_ioctl(ifname, SIOCGIFMTU, &req);
	if (err)
		return err;
	link.mtu = (uint32_t)req.ifr_mtu;
	if (link_ethtool(ifname, &driver) == 0)
		snprintf(link.driver, sizeof(link.driver), "%s", driver.driver);
	if (link_ethtool(ifname, &channels) == 0)
		link.rx_queue_cnt = channels.rx_count + channels.combined_count;
	*out = link;
	return 0;
}

/* The kernel numbers features as it likes; their names are the interface. */
static int
feature_index(const char *ifname, const char *feature, uint32_t *cnt)
{
	/* The structure ends in an array of as many counts as sets were asked for: one. */
	union {
		struct ethtool_sset_info info;
		uint8_t room[sizeof(struct ethtool_sset_info) + sizeof(uint32_t)];
	} sset = {.info = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = UINT64_C(1) << ETH_SS_FEATURES}};
	int idx = -1;

	if (link_ethtool(ifname, &sset) != 0 || sset.info.sset_mask == 0)
		return -1;
	*cnt = sset.info.data[0];
	struct ethtool_gstrings *names = calloc(1, sizeof(*names) + (size_t)*cnt * ETH_GSTRING_LEN);
	if (!names)
		return -1;
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_FEATURES;
	names->len = *cnt;
	if (link_ethtool(ifname, names) == 0)
		for (uint32_t i = 0; i < names->len; i++)
			if (strncmp((const char *)names->data + (size_t)i * ETH_GSTRING_LEN,
				    feature, ETH_GSTRING_LEN) == 0)
				idx = (int)i;
	free(names);
	return idx;
}

bool
pst_link_feature_on(const char *ifname, const char *feature, bool *fixed)
{
	uint32_t cnt;
	int idx = feature_index(ifname, feature, &cnt);
	bool is_on = false;

	if (idx < 0)
		return false;
	uint32_t block_cnt = (cnt + 31) / 32;
	struct ethtool_gfeatures *features = calloc(
		1, sizeof(*features) + block_cnt * sizeof(features->features[0]));
	if (!features)
		return false;
	features->cmd = ETHTOOL_GFEATURES;
	features->size = block_cnt;
	if (link_ethtool(ifname, features) == 0) {
		const struct ethtool_get_features_block *block = &features->features[idx / 32];
		uint32_t bit = UINT32_C(1) << idx % 32;
		is_on = block->active & bit;
		*fixed = (block->never_changed & bit) || !(block->available & bit);
	}
	free(features);
	return is_on;
}

void
pst_link_read_offloads(const char *ifname, struct pst_link_offloads *out)
{
	bool fixed = false;
	out->udp_segmentation = pst_link_feature_on(ifname, "tx-udp-segmentation", &fixed);
	out->gro_forwarding = pst_link_feature_on(ifname, "rx-udp-gro-forwarding", &fixed);
	out->gro_list = pst_link_feature_on(ifname, "rx-gro-list", &fixed);
	out->vlan_strip = pst_link_feature_on(ifname, "rx-vlan-hw-parse", &fixed) && !fixed;
}

struct pst_link_drops
pst_link_drops_in(const char *text, const char *ifname)
{
	size_t name_len = strlen(ifname);
	unsigned long long rx = 0, tx = 0;

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += strspn(line, "\n ");
		if (strncmp(line, ifname, name_len) != 0 || line[name_len] != ':')
			continue;
		/* received: bytes packets errs drop fifo frame compressed multicast; sent: bytes
		 * packets errs drop ... */
		if (sscanf(line + name_len + 1,
			    " %*u %*u %*u %llu %*u %*u %*u %*u %*u %*u %*u %llu", &rx, &tx) >= 1)
			return (struct pst_link_drops){rx, tx};
	}
	return (struct pst_link_drops){0};
}

struct pst_link_drops
pst_link_drops(const char *ifname)
{
	struct pst_link_drops drops = {0};
	char *text = NULL;
	size_t cap = 0;
	FILE *f = fopen("/proc/self/net/dev", "r");

	if (!f)
		return drops;
	/* The whole file as one "line": it has no NUL. */
	if (getdelim(&text, &cap, '\0', f) > 0)
		drops = pst_link_drops_in(text, ifname);
	free(text);
	fclose(f);
	return drops;
}
