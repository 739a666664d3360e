#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "profile/load.h"

static_assert(PST_CPU_MAX == CPU_SETSIZE, "one cpu_set_t holds all that the profile can name");

int
pst_host_cpus(struct pst_host_cpus *out)
{
	cpu_set_t set;
	long present = sysconf(_SC_NPROCESSORS_CONF);

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return -errno;
	memset(out, 0, sizeof(*out));
	out->present_cnt = present > 0 ? (unsigned)present : 1;
	for (unsigned cpu = PST_CPU_MAX; cpu-- > 0;) {
		if (!CPU_ISSET(cpu, &set))
			continue;
		if (!out->allowed[out->last])
			out->last = (uint16_t)cpu;
		out->allowed[cpu] = true;
		out->first = (uint16_t)cpu;
	}
	return 0;
}

void
pst_host_cpus_text(const struct pst_host_cpus *cpus, char *buf, size_t cap)
{
	size_t len = 0;

	buf[0] = '\0';
	for (unsigned cpu = cpus->first; cpu <= cpus->last && len < cap; cpu++) {
		unsigned end = cpu;
		if (!cpus->allowed[cpu])
			continue;
		while (end < cpus->last && cpus->allowed[end + 1])
			end++;
		len += (size_t)snprintf(buf + len, cap - len, end > cpu ? "%s%u-%u" : "%s%u",
			len ? "," : "", cpu, end);
		cpu = end;
	}
}

unsigned
pst_host_interface(const char *name)
{
	return if_nametoindex(name);
}

void
pst_host_interfaces_text(char *buf, size_t cap)
{
	struct if_nameindex *all = if_nameindex();
	size_t len = 0;

	buf[0] = '\0';
	for (struct if_nameindex *i = all; i && i->if_index && len < cap; i++)
		len += (size_t)snprintf(buf + len, cap - len, "%s%s", len ? ", " : "", i->if_name);
	if_freenameindex(all);
}

bool
pst_host_interface_is_local(const char *name)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq request = {0};
	bool local = false;

	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ioctl(fd, SIOCGIFFLAGS, &request) == 0 && request.ifr_flags & IFF_LOOPBACK)
		local = true;
	request.ifr_data = (char *)&info;
	if (!local && ioctl(fd, SIOCETHTOOL, &request) == 0)
		local = strcmp(info.driver, "veth") == 0;
	close(fd);
	return local;
}

bool
pst_host_has_pci(const char *address)
{
	char path[64];
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", address);
	return access(path, F_OK) == 0;
}

static uint64_t
read_number(const char *root, const char *dir, const char *file)
{
	char path[512];
	unsigned long long value = 0;

	snprintf(path, sizeof(path), "%s/%s/%s", root, dir, file);
	FILE *f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%llu", &value) != 1)
		value = 0;
	fclose(f);
	return value;
}

void
pst_host_hugepages(const char *root, struct pst_host_hugepages *out)
{
	struct dirent *entry;
	unsigned long long kib;

	memset(out, 0, sizeof(*out));
	DIR *dir = opendir(root);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (sscanf(entry->d_name, "hugepages-%llukB", &kib) != 1)
			continue;
		uint64_t page_bytes = kib * 1024;
		out->free_bytes += page_bytes * read_number(root, entry->d_name, "free_hugepages");
		if (out->page_bytes == 0 || page_bytes < out->page_bytes) {
			out->page_bytes = page_bytes;
			out->page_cnt = read_number(root, entry->d_name, "nr_hugepages");
		}
	}
	closedir(dir);
}
