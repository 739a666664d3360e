/* Who has a UDP port: /proc/net/udp gives the socket's inode, /proc/PID/fd who holds it. */
#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ksock/open.h"

static uint64_t
socket_inode(const char *table, uint16_t udp_port)
{
	unsigned local_port;
	uint64_t inode, found = 0;
	char line[512];
	FILE *f = fopen(table, "r");

	if (!f)
		return 0;
	while (!found && fgets(line, sizeof(line), f))
		/* sl: local_address:port remote:port st tx:rx tr:when retrnsmt uid timeout inode */
		if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*s %*s %*s %*s %*s %*s %*s %" SCNu64,
			    &local_port, &inode) == 2 &&
			local_port == udp_port)
			found = inode;
	fclose(f);
	return found;
}

static bool
holds(const char *pid, const char *wanted)
{
	char path[300], target[64];
	struct dirent *entry;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	DIR *dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		if (len < 0)
			continue;
		target[len] = '\0';
		found = strcmp(target, wanted) == 0;
	}
	closedir(dir);
	return found;
}

void
pst_ksock_find_holder(uint16_t udp_port, char *text, size_t cap)
{
	char wanted[40], path[300], comm[32] = "?";
	struct dirent *entry;

	text[0] = '\0';
	uint64_t inode = socket_inode("/proc/self/net/udp", udp_port);
	if (!inode)
		inode = socket_inode("/proc/self/net/udp6", udp_port);
	DIR *dir = inode ? opendir("/proc") : NULL;
	if (!dir)
		return;
	snprintf(wanted, sizeof(wanted), "socket:[%" PRIu64 "]", inode);
	while ((entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]) || !holds(entry->d_name, wanted))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		FILE *f = fopen(path, "r");
		if (f) {
			if (fgets(comm, sizeof(comm), f))
				comm[strcspn(comm, "\n")] = '\0';
			fclose(f);
		}
		snprintf(text, cap, "process %s (%s)", entry->d_name, comm);
		break;
	}
	closedir(dir);
}
