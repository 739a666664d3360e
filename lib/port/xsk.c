/* The AF_XDP driver keeps its sockets to itself, and with them the kernel's counters of what they
 * lost. They are found among the process's descriptors. */
#include <dirent.h>
#include <linux/if_xdp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "port/ports.h"

static bool
is_xsk(int fd)
{
	int domain = 0;
	socklen_t len = sizeof(domain);
	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_XDP;
}

void
pst_xsk_fds_find(struct pst_xsk_fds *out)
{
	struct dirent *entry;
	DIR *dir = opendir("/proc/self/fd");

	out->cnt = 0;
	if (!dir)
		return;
	while ((entry = readdir(dir)) && out->cnt < PST_XSK_FDS_MAX) {
		int fd = atoi(entry->d_name);
		if (entry->d_name[0] != '.' && is_xsk(fd))
			out->fds[out->cnt++] = fd;
	}
	closedir(dir);
}

int
pst_xsk_fds_new(const struct pst_xsk_fds *before, const struct pst_xsk_fds *now)
{
	for (unsigned i = 0; i < now->cnt; i++) {
		unsigned j = 0;
		while (j < before->cnt && before->fds[j] != now->fds[i])
			j++;
		if (j == before->cnt)
			return now->fds[i];
	}
	return -1;
}

void
pst_xsk_statistics_add(int fd, struct pst_port_stats *stats)
{
	struct xdp_statistics xdp = {0};
	socklen_t len = sizeof(xdp);

	if (fd < 0 || getsockopt(fd, SOL_XDP, XDP_STATISTICS, &xdp, &len) != 0)
		return;
	stats->has_xdp = true;
	stats->xdp_rx_dropped += xdp.rx_dropped;
	stats->xdp_rx_invalid_descs += xdp.rx_invalid_descs;
	stats->xdp_rx_ring_full += xdp.rx_ring_full;
	stats->xdp_fill_ring_empty += xdp.rx_fill_ring_empty_descs;
}
