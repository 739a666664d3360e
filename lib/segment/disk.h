/* The seam to storage: every call that the log makes on files goes through this table, so that the
 * same code runs against a real disk, one that fails on demand, and a simulated one. (Locks on the
 * way in are the table's, too; the shared memory of the live marks is the one thing outside.)
 *
 * Handles are small integers of the disk's choosing. Every call returns -errno on failure. Names
 * are single components below an open directory, but for the data directory's own path; symbolic
 * links are never followed.
 *
 * The queue carries what must not make its caller wait: writes, syncs and removals, in flight
 * together. What is submitted may complete in any order; a sync covers the writes that were reaped
 * before it was queued, and no others. */
#ifndef PST_DISK_H
#define PST_DISK_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/diag.h"

/* Whether a read's errno (positive) says that these bytes cannot be had, and nothing of others:
 * EIO, or what block devices and filesystems say for a bad sector or a bad block of their own. */
static inline bool
pst_errno_unreadable(int err)
{
	return err == EIO || err == ENODATA || err == EUCLEAN || err == EREMOTEIO || err == EILSEQ;
}

#define PST_DISK_CWD (-100) /* as directory: the name is a path */

enum {
	PST_DISK_WRITE = 1 << 0,  /* else reading only */
	PST_DISK_CREATE = 1 << 1, /* mode 0640; an existing file is opened as it is */
	PST_DISK_EXCL = 1 << 2,   /* with CREATE: -EEXIST if it exists */
	PST_DISK_DIRECT = 1 << 3, /* past the page cache; -EINVAL where that cannot be */
	PST_DISK_DIR = 1 << 4,    /* a directory; -ENOTDIR, or -ELOOP for a symbolic link */
};

struct pst_disk_stat {
	uint64_t bytes;
	uint64_t allocated_bytes;
	uint64_t dev, ino;
	uint64_t link_cnt; /* 0: nobody can open it any more */
	uint32_t mode, uid, gid;
	int64_t mtime_ns;
};

struct pst_disk_done {
	void *tag;
	int64_t result; /* bytes written, 0 for the others, or -errno */
};

struct pst_disk;
struct pst_disk_queue;

struct pst_disk_ops {
	int (*open)(struct pst_disk *disk, int dir, const char *name, unsigned flags);
	void (*close)(struct pst_disk *disk, int file);
	int (*mkdir)(struct pst_disk *disk, int dir, const char *name); /* mode 0750 */
	/* Bytes read: fewer than len only at the file's end. */
	int64_t (*read)(struct pst_disk *disk, int file, void *buf, uint64_t len, uint64_t pos);
	/* All of len, or -errno. Buffered; for the small files. */
	int (*write)(struct pst_disk *disk, int file, const void *buf, uint64_t len, uint64_t pos);
	/* Reserves blocks without changing the size. */
	int (*allocate)(struct pst_disk *disk, int file, uint64_t pos, uint64_t len);
	/* Also gives back what is allocated behind the size. */
	int (*truncate)(struct pst_disk *disk, int file, uint64_t bytes);
	/* fsync, not fdatasync: for a directory the latter may leave a new name out (ext4). */
	int (*sync)(struct pst_disk *disk, int file);
	int (*rename)(struct pst_disk *disk, int dir, const char *from, const char *to);
	int (*unlink)(struct pst_disk *disk, int dir, const char *name);
	int (*stat)(struct pst_disk *disk, int file, struct pst_disk_stat *out);
	/* Calls visit for each name but "." and ".."; a non-zero answer ends it and is returned. */
	int (*list)(struct pst_disk *disk, int dir, int (*visit)(void *arg, const char *name),
		void *arg);
	/* Opens (creating it) and locks a file against other processes for as long as the handle,
	 * or any queue that holds it, is alive. -EWOULDBLOCK if locked: *file is then open, without
	 * the lock, to read who has it. */
	int (*lock)(struct pst_disk *disk, int dir, const char *name, int *file);
	/* Unlocks and closes, whoever else still holds the file: only when no write is in flight.
	 */
	void (*unlock)(struct pst_disk *disk, int file);

	/* A queue for one thread, depth requests deep. hold is a locked file: the queue keeps its
	 * lock until the last request has ended, even when the process is killed. */
	int (*queue_open)(struct pst_disk *disk, unsigned depth, int hold,
		struct pst_disk_queue **out, struct pst_diag *diag);
	/* -EAGAIN: full, reap and try again. iov and what it points to stay as they are until the
	 * write is reaped. May be short. */
	int (*queue_write)(struct pst_disk_queue *queue, int file, const struct iovec *iov,
		unsigned iov_cnt, uint64_t pos, void *tag);
	/* data_only: fdatasync, data and size; else fsync, needed for directories. */
	int (*queue_sync)(struct pst_disk_queue *queue, int file, bool data_only, void *tag);
	/* name stays as it is until reaped. */
	int (*queue_unlink)(struct pst_disk_queue *queue, int dir, const char *name, void *tag);
	/* Hands everything queued to the disk. -EAGAIN: it could not take it now, try again. */
	int (*queue_submit)(struct pst_disk_queue *queue);
	unsigned (*queue_reap)(
		struct pst_disk_queue *queue, struct pst_disk_done *done, unsigned cap);
	void (*queue_close)(struct pst_disk_queue *queue); /* waits for what is in flight */
};

/* The seam to the rest of the machine: time, chance and processes, as far as the log asks for them
 * itself. (Wall clock time is given with each call, as now_ns.) With a disk and a host of a test's
 * a run follows from its seed alone. */
struct pst_host {
	long (*pid)(const struct pst_host *host);            /* stands in the lock file */
	bool (*gone)(const struct pst_host *host, long pid); /* no such process */
	uint64_t (*run_id)(const struct pst_host *host);     /* never the same twice */
	void (*sleep_ns)(const struct pst_host *host, uint64_t ns);
};

struct pst_disk {
	const struct pst_disk_ops *ops;
	const struct pst_host *host; /* NULL: the real one */
	bool shares_marks; /* live marks in /dev/shm for other processes; else private memory */
};

const struct pst_host *pst_host_real(void);

static inline const struct pst_host *
pst_disk_host(const struct pst_disk *disk)
{
	return disk->host ? disk->host : pst_host_real();
}

/* The operating system's files and io_uring. */
struct pst_disk *pst_disk_real(void);

/* What a sync of file that has said 0 is worth: 0, or -EIO if the filesystem has shut down since it
 * was begun. XFS, shutting down, lets go of inodes whose changes it drops, and a sync that comes
 * upon one of these then has nothing to wait for (seen on Linux 6.18). The shutdown itself is known
 * before, and every later read says so. */
int pst_posix_synced(int file);

/* io_uring half of the real disk. */
int pst_uring_open(struct pst_disk *disk, unsigned depth, int hold, struct pst_disk_queue **out,
	struct pst_diag *diag);
int pst_uring_write(struct pst_disk_queue *queue, int file, const struct iovec *iov,
	unsigned iov_cnt, uint64_t pos, void *tag);
int pst_uring_sync(struct pst_disk_queue *queue, int file, bool data_only, void *tag);
int pst_uring_unlink(struct pst_disk_queue *queue, int dir, const char *name, void *tag);
int pst_uring_submit(struct pst_disk_queue *queue);
unsigned pst_uring_reap(struct pst_disk_queue *queue, struct pst_disk_done *done, unsigned cap);
void pst_uring_close(struct pst_disk_queue *queue);

#endif
