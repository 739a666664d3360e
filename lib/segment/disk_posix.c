#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "segment/disk.h"

/* Nobody writes into a FIFO or a device that stands where a file of ours should. -ENXIO: as the
 * kernel says of a FIFO that nobody reads. */
static int
check_kind(int fd)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return -errno;
	return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ? 0 : -ENXIO;
}

static int
posix_open(struct pst_disk *disk, int dir, const char *name, unsigned flags)
{
	int oflags = O_CLOEXEC | O_NOFOLLOW;
	oflags |= flags & PST_DISK_WRITE ? O_RDWR : O_RDONLY;
	if (flags & PST_DISK_CREATE)
		oflags |= O_CREAT;
	if (flags & PST_DISK_EXCL)
		oflags |= O_EXCL;
	if (flags & PST_DISK_DIRECT)
		oflags |= O_DIRECT;
	if (flags & PST_DISK_DIR)
		oflags |= O_DIRECTORY;
	/* O_NONBLOCK: to open a FIFO waits for its other end. */
	int fd = openat(dir == PST_DISK_CWD ? AT_FDCWD : dir, name, oflags | O_NONBLOCK, 0640);
	if (fd >= 0) {
		int rc = check_kind(fd);
		/* io_uring would give EAGAIN where it should wait. */
		if (rc == 0 && fcntl(fd, F_SETFL, oflags & O_DIRECT) != 0)
			rc = -errno;
		if (rc == 0)
			return fd;
		close(fd);
		return rc;
	}
	int err = errno;
	struct stat st;
	/* With O_DIRECTORY the kernel says ENOTDIR for a symbolic link, too. */
	if (err == ENOTDIR &&
		fstatat(dir == PST_DISK_CWD ? AT_FDCWD : dir, name, &st, AT_SYMLINK_NOFOLLOW) ==
			0 &&
		S_ISLNK(st.st_mode))
		err = ELOOP;
	return -err;
}

static void
posix_close(struct pst_disk *disk, int file)
{
	close(file);
}

static int
posix_mkdir(struct pst_disk *disk, int dir, const char *name)
{
	return mkdirat(dir == PST_DISK_CWD ? AT_FDCWD : dir, name, 0750) == 0 ? 0 : -errno;
}

static int64_t
posix_read(struct pst_disk *disk, int file, void *buf, uint64_t len, uint64_t pos)
{
	uint64_t got = 0;
	while (got < len) {
		ssize_t n = pread(file, (char *)buf + got, len - got, (off_t)(pos + got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (uint64_t)n;
	}
	return (int64_t)got;
}

static int
posix_write(struct pst_disk *disk, int file, const void *buf, uint64_t len, uint64_t pos)
{
	uint64_t put = 0;
	while (put < len) {
		ssize_t n = pwrite(file, (const char *)buf + put, len - put, (off_t)(pos + put));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENOSPC;
		put += (uint64_t)n;
	}
	return 0;
}

static int
posix_allocate(struct pst_disk *disk, int file, uint64_t pos, uint64_t len)
{
	int rc;
	do {
		rc = fallocate(file, FALLOC_FL_KEEP_SIZE, (off_t)pos, (off_t)len);
	} while (rc != 0 && errno == EINTR);
	return rc == 0 ? 0 : -errno;
}

static int
posix_truncate(struct pst_disk *disk, int file, uint64_t bytes)
{
	int rc;
	do {
		rc = ftruncate(file, (off_t)bytes);
	} while (rc != 0 && errno == EINTR);
	return rc == 0 ? 0 : -errno;
}

int
pst_posix_synced(int file)
{
	char byte;
	if (pread(file, &byte, 0, 0) == 0)
		return 0;
	if (errno != EISDIR)
		return errno == EIO ? -EIO : 0;
	int fd = openat(file, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == EIO ? -EIO : 0;
	close(fd);
	return 0;
}

static int
posix_sync(struct pst_disk *disk, int file)
{
	/* A failure is final: no second try, even on EINTR. */
	return fsync(file) == 0 ? pst_posix_synced(file) : -errno;
}

static int
posix_rename(struct pst_disk *disk, int dir, const char *from, const char *to)
{
	return renameat(dir, from, dir, to) == 0 ? 0 : -errno;
}

static int
posix_unlink(struct pst_disk *disk, int dir, const char *name)
{
	return unlinkat(dir, name, 0) == 0 ? 0 : -errno;
}

static int
posix_stat(struct pst_disk *disk, int file, struct pst_disk_stat *out)
{
	struct stat st;
	if (fstat(file, &st) != 0)
		return -errno;
	*out = (struct pst_disk_stat){
		.bytes = (uint64_t)st.st_size,
		.allocated_bytes = (uint64_t)st.st_blocks * 512,
		.dev = st.st_dev,
		.ino = st.st_ino,
		.link_cnt = st.st_nlink,
		.mode = st.st_mode,
		.uid = st.st_uid,
		.gid = st.st_gid,
		.mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
	};
	return 0;
}

static int
posix_list(struct pst_disk *disk, int dir, int (*visit)(void *arg, const char *name), void *arg)
{
	/* A descriptor of its own: reading a directory moves the position of the one it uses. */
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	DIR *stream = fdopendir(fd);
	if (!stream) {
		int err = errno;
		close(fd);
		return -err;
	}
	int rc = 0;
	while (rc == 0) {
		errno = 0;
		struct dirent *entry = readdir(stream);
		if (!entry) {
			rc = -errno;
			break;
		}
		const char *n = entry->d_name;
		if (n[0] == '.' && (n[1] == '\0' || (n[1] == '.' && n[2] == '\0')))
			continue;
		rc = visit(arg, n);
	}
	closedir(stream);
	return rc;
}

static int
posix_lock(struct pst_disk *disk, int dir, const char *name, int *file)
{
	int fd = openat(dir, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0640);
	if (fd < 0)
		return -errno;
	int rc = check_kind(fd);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	*file = fd;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	int err = errno;
	if (err == EWOULDBLOCK)
		return -EWOULDBLOCK;
	close(fd);
	return -err;
}

static void
posix_unlock(struct pst_disk *disk, int file)
{
	/* A closed ring gives its reference back a little later. */
	flock(file, LOCK_UN);
	close(file);
}

static const struct pst_disk_ops real_ops = {
	.open = posix_open,
	.close = posix_close,
	.mkdir = posix_mkdir,
	.read = posix_read,
	.write = posix_write,
	.allocate = posix_allocate,
	.truncate = posix_truncate,
	.sync = posix_sync,
	.rename = posix_rename,
	.unlink = posix_unlink,
	.stat = posix_stat,
	.list = posix_list,
	.lock = posix_lock,
	.unlock = posix_unlock,
	.queue_open = pst_uring_open,
	.queue_write = pst_uring_write,
	.queue_sync = pst_uring_sync,
	.queue_unlink = pst_uring_unlink,
	.queue_submit = pst_uring_submit,
	.queue_reap = pst_uring_reap,
	.queue_close = pst_uring_close,
};

struct pst_disk *
pst_disk_real(void)
{
	static struct pst_disk disk = {.ops = &real_ops, .shares_marks = true};
	return &disk;
}
