/* One lock per interface, taken before EAL starts: a second DPDK process on an interface would
 * break the first one's sockets. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "port/ports.h"

/* For root always the host's, whatever the service manager set: the lock must meet every other
 * instance's. */
static const char *
runtime_directory(void)
{
	const char *dir = "/run";
	if (geteuid() != 0) {
		dir = getenv("RUNTIME_DIRECTORY");
		if (!dir)
			dir = getenv("XDG_RUNTIME_DIR");
		if (!dir)
			dir = "/tmp";
	}
	return dir;
}

/* Interface numbers belong to a network namespace: its inode tells them apart. */
static int
lock_path(struct port *port, const char *runtime, struct pst_diag *diag)
{
	char dir[sizeof(port->lock_path) - 48];
	struct stat ns;

	if (stat("/proc/self/ns/net", &ns) != 0)
		return pst_diag_set(diag, NULL, 0, NULL, "mount /proc", "/proc/self/ns/net: %s",
			strerror(errno));
	int len = snprintf(dir, sizeof(dir), "%s/penstock", runtime);
	if ((size_t)len >= sizeof(dir))
		return pst_diag_set(diag, NULL, 0, NULL, NULL, "%s: too long", runtime);
	if (mkdir(dir, 0755) != 0 && errno != EEXIST)
		return pst_diag_set(diag, NULL, 0, NULL,
			"set RUNTIME_DIRECTORY to a place we may write", "%s: %s", dir,
			strerror(errno));
	snprintf(port->lock_path, sizeof(port->lock_path), "%s/%lu-%u.lock", dir,
		(unsigned long)ns.st_ino, port->ifindex);
	return 0;
}

/* Whether the file that we hold is still the one that others will open: its last holder may have
 * removed it between our open and our flock. */
static bool
is_current(int fd, const char *path)
{
	struct stat held, named;
	return fstat(fd, &held) == 0 && lstat(path, &named) == 0 && held.st_ino == named.st_ino &&
	       held.st_dev == named.st_dev;
}

static int
refused(int fd, const struct port *port, struct pst_diag *diag)
{
	char pid[16] = "", path[64], comm[32] = "";
	ssize_t len = pread(fd, pid, sizeof(pid) - 1, 0);
	close(fd);
	if (len > 0) {
		pid[strcspn(pid, "\n")] = '\0';
		snprintf(path, sizeof(path), "/proc/%s/comm", pid);
		FILE *f = fopen(path, "r");
		if (f) {
			if (!fgets(comm, sizeof(comm), f))
				comm[0] = '\0';
			comm[strcspn(comm, "\n")] = '\0';
			fclose(f);
		}
	}
	return pst_diag_set(diag, NULL, 0, NULL,
		"one process per interface: stop the other one, or give this profile another "
		"interface",
		"port %s: interface %s is in use by process %s (%s)", port->profile->name,
		port->profile->device, pid[0] ? pid : "?", comm[0] ? comm : "gone");
}

int
pst_port_lock(struct port *port, struct pst_diag *diag)
{
	return pst_port_lock_in(port, runtime_directory(), diag);
}

int
pst_port_lock_in(struct port *port, const char *runtime, struct pst_diag *diag)
{
	char pid[16];

	if (lock_path(port, runtime, diag) != 0)
		return -1;
	for (;;) {
		int fd = open(port->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (fd < 0)
			return pst_diag_set(diag, NULL, 0, NULL, NULL, "%s: %s", port->lock_path,
				strerror(errno));
		if (flock(fd, LOCK_EX | LOCK_NB) != 0)
			return refused(fd, port, diag);
		if (!is_current(fd, port->lock_path)) {
			close(fd);
			continue;
		}
		int len = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
		if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)len, 0) != len) {
			close(fd);
			return pst_diag_set(diag, NULL, 0, NULL, NULL, "%s: %s", port->lock_path,
				strerror(errno));
		}
		port->lock_fd = fd;
		return 0;
	}
}

void
pst_port_unlock(struct port *port)
{
	if (port->lock_fd < 0)
		return;
	unlink(port->lock_path);
	close(port->lock_fd);
	port->lock_fd = -1;
}
