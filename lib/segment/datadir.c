#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/base.h"
#include "segment/log.h"

#define LOCK_WAIT_TRIES 6000 /* a minute: a busy disk takes its time with what is in flight */
#define LOCK_WAIT_NS    10000000

uint64_t
pst_lock_read(struct pst_disk *disk, int file, long *pid)
{
	char text[64];
	uint64_t run_id = 0;
	*pid = 0;
	int64_t n = disk->ops->read(disk, file, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	if (sscanf(text, "%ld %" SCNx64, pid, &run_id) != 2)
		return 0;
	return run_id;
}

struct contents {
	unsigned ours, foreign;
	char example[64];
};

static int
look_at(void *arg, const char *name)
{
	struct contents *c = arg;
	if (strncmp(name, "penstock.", 9) == 0) {
		c->ours++;
	} else if (strcmp(name, "lost+found") != 0) {
		if (c->foreign++ == 0)
			snprintf(c->example, sizeof(c->example), "%.60s", name);
	}
	return 0;
}

/* Opens the directory itself, making it if it is missing. */
static int
open_dir(struct pst_disk *disk, const char *path, struct pst_diag *diag)
{
	const struct pst_disk_ops *ops = disk->ops;
	int fd = ops->open(disk, PST_DISK_CWD, path, PST_DISK_DIR);
	if (fd == -ENOENT) {
		int rc = ops->mkdir(disk, PST_DISK_CWD, path);
		if (rc < 0 && rc != -EEXIST)
			return pst_diag_set(diag, path, 0, NULL,
				pst_errno_full(-rc) ? "free some space"
						    : "make its parent directory, writable for "
						      "penstock's user",
				"cannot make the data directory: %s", strerror(-rc));
		fd = ops->open(disk, PST_DISK_CWD, path, PST_DISK_DIR);
	}
	if (fd == -ELOOP)
		return pst_diag_set(diag, path, 0, NULL, "name the directory that it points to",
			"the data directory is a symbolic link");
	if (fd == -ENOTDIR)
		return pst_diag_set(diag, path, 0, NULL, "name a directory",
			"the data directory is not a directory");
	if (fd < 0)
		return pst_diag_set(diag, path, 0, NULL, NULL, "cannot open the data directory: %s",
			strerror(-fd));
	return fd;
}

/* The directory's own name, before anything is in it: also of one that was made by a run that ended
 * before it came to this. */
static int
sync_parent(struct pst_datadir *dir, struct pst_diag *diag)
{
	const struct pst_disk_ops *ops = dir->disk->ops;
	int parent = ops->open(dir->disk, dir->fd, "..", PST_DISK_DIR);
	if (parent == -EACCES || parent == -EPERM)
		return 0; /* not ours to open: whoever owns it made the directory */
	int rc = parent < 0 ? parent : ops->sync(dir->disk, parent);
	if (parent >= 0)
		ops->close(dir->disk, parent);
	if (rc < 0)
		return pst_diag_set(diag, dir->path, 0, NULL, NULL,
			"cannot sync the parent of the data directory: %s", strerror(-rc));
	return 0;
}

static int
check_contents(struct pst_datadir *dir, struct pst_diag *diag)
{
	struct contents c = {0};
	int rc = dir->disk->ops->list(dir->disk, dir->fd, look_at, &c);
	if (rc < 0)
		return pst_diag_set(diag, dir->path, 0, NULL, NULL,
			"cannot read the data directory: %s", strerror(-rc));
	if (c.foreign && !c.ours)
		return pst_diag_set(diag, dir->path, 0, NULL,
			"name an empty directory, or one that penstock made",
			"the data directory has files that are not penstock's (\"%s\"%s)",
			c.example, c.foreign > 1 ? " and more" : "");
	return c.ours ? 0 : sync_parent(dir, diag);
}

/* Takes the lock. A holder whose process is gone is waited for: its last writes are ending. */
static int
take_lock(struct pst_datadir *dir, uint64_t *old_run_id, struct pst_diag *diag)
{
	struct pst_disk *disk = dir->disk;
	long pid = 0;
	for (int i = 0;; i++) {
		int rc = disk->ops->lock(disk, dir->fd, PST_LOCK_NAME, &dir->lock_file);
		if (rc == 0) {
			*old_run_id = pst_lock_read(disk, dir->lock_file, &pid);
			return 0;
		}
		if (rc == -EROFS)
			return pst_diag_set(diag, dir->path, 0, NULL,
				"remount it writable, or name another directory",
				"the data directory is on a read-only filesystem");
		if (rc != -EWOULDBLOCK)
			return pst_diag_set(diag, dir->path, 0, NULL,
				pst_errno_full(-rc) ? "free some space"
						    : "make it writable for penstock's user",
				"the data directory is not writable (%s): %s", PST_LOCK_NAME,
				strerror(-rc));
		pst_lock_read(disk, dir->lock_file, &pid);
		disk->ops->close(disk, dir->lock_file);
		const struct pst_host *host = pst_disk_host(disk);
		if (pid <= 0 || !host->gone(host, pid))
			break;
		if (i >= LOCK_WAIT_TRIES)
			return pst_diag_set(diag, dir->path, 0, NULL,
				"look after the drive; if it is sound, try again",
				"the last writes of a daemon that is gone, pid %ld, do not end",
				pid);
		host->sleep_ns(host, LOCK_WAIT_NS);
	}
	return pst_diag_set(diag, dir->path, 0, NULL,
		"stop the other daemon, or give this one a data directory of its own",
		"the data directory is in use by another penstockd, pid %ld", pid);
}

/* What an earlier run that was killed had published is durable, and newer than the file. */
static void
merge_live(struct pst_datadir *dir, const struct pst_disk_stat *st, uint64_t old_run_id)
{
	struct pst_live *old;
	struct pst_disk_stat lock;
	if (!dir->disk->shares_marks || old_run_id == 0 ||
		dir->disk->ops->stat(dir->disk, dir->lock_file, &lock) != 0 ||
		pst_live_map(st, lock.uid, old_run_id, &old) != 0)
		return;
	for (uint32_t i = 0; i < pst_live_cnt(old); i++) {
		struct pst_durable end;
		char name[PST_LOG_DIR_NAME_BYTES];
		if (!pst_live_read(old, i, &end, name))
			continue;
		for (uint32_t m = 0; m < dir->mark_cnt; m++) {
			struct pst_mark *mark = &dir->marks[m];
			if (strcmp(mark->name, name) == 0 &&
				end.next_offset > mark->end.next_offset) {
				mark->end = end;
				mark->clean = false;
			}
		}
	}
	pst_live_unmap(old);
}

static int
write_lock(struct pst_datadir *dir)
{
	char text[64];
	memset(text, '\n', sizeof(text));
	const struct pst_host *host = pst_disk_host(dir->disk);
	int n = snprintf(text, sizeof(text), "%ld %016" PRIx64, host->pid(host), dir->run_id);
	text[n] = '\n';
	return dir->disk->ops->write(dir->disk, dir->lock_file, text, sizeof(text), 0);
}

static int
write_marks(struct pst_datadir *dir)
{
	int rc = pst_durable_write(&dir->durable, dir->marks, dir->mark_cnt);
	if (rc < 0 && !dir->durable.failed && pst_dir_give_reserve(dir, -rc))
		rc = pst_durable_write(&dir->durable, dir->marks, dir->mark_cnt);
	return rc;
}

static int
open_marks(struct pst_datadir *dir, uint64_t old_run_id, struct pst_diag *diag)
{
	struct pst_disk_stat st;
	int rc = dir->disk->ops->stat(dir->disk, dir->fd, &st);
	if (rc < 0)
		goto fail;
	uint64_t generation = 0;
	rc = pst_durable_load(dir->disk, dir->fd, dir->marks, &dir->mark_cnt, &generation);
	if (rc == -EBADMSG || (rc < 0 && pst_errno_unreadable(-rc)))
		dir->marks_lost = true;
	else if (rc < 0 && rc != -ENOENT)
		goto fail;
	rc = pst_durable_open(dir->disk, dir->fd, &dir->durable);
	if (rc < 0)
		goto fail;
	if (generation > 0) {
		/* What a killed run wrote last may be in the page cache alone. The same once more,
		 * to the same slot: the first checkpoint takes the other one, the last that is
		 * surely on the drive. */
		dir->durable.generation = generation - 1;
		rc = write_marks(dir);
		if (rc < 0)
			goto fail_durable;
	}
	merge_live(dir, &st, old_run_id);
	const struct pst_host *host = pst_disk_host(dir->disk);
	dir->run_id = host->run_id(host) | 1; /* 0 means none */
	rc = write_lock(dir);
	if (rc == 0)
		rc = pst_live_create(&st, dir->run_id, dir->disk->shares_marks, &dir->live);
	if (rc < 0)
		goto fail_durable;
	for (uint32_t i = 0; i < dir->mark_cnt; i++)
		pst_live_add(dir->live, dir->marks[i].name, &dir->marks[i].end);
	rc = pst_datadir_checkpoint(dir);
	if (rc == 0)
		return 0;
	pst_live_remove(dir->live);
fail_durable:
	pst_durable_close(&dir->durable);
fail:
	return pst_diag_set(diag, dir->path, 0, NULL,
		rc == -ENOSPC ? "free some space, also in /dev/shm" : NULL,
		"cannot keep the durable marks (%s, /dev/shm): %s", PST_DURABLE_NAME,
		strerror(-rc));
}

int
pst_datadir_open_on(
	struct pst_disk *disk, const char *path, struct pst_datadir **out, struct pst_diag *diag)
{
	struct pst_datadir *dir = aligned_alloc(PST_CACHE_LINE, sizeof(*dir));
	if (!dir)
		return pst_diag_set(diag, path, 0, NULL, NULL, "out of memory");
	memset(dir, 0, sizeof(*dir));
	dir->disk = disk;
	snprintf(dir->path, sizeof(dir->path), "%s", path);
	for (int i = 0; i < PST_APPENDERS_MAX; i++)
		atomic_init(&dir->oldest[i].max_ts_ms, INT64_MAX);
	dir->marks = calloc(PST_LIVE_SLOTS_MAX, sizeof(*dir->marks));
	dir->claimed = calloc(PST_LIVE_SLOTS_MAX, sizeof(*dir->claimed));
	dir->kept_bases = calloc(PST_LIVE_SLOTS_MAX, sizeof(*dir->kept_bases));
	uint64_t old_run_id = 0;
	if (!dir->marks || !dir->claimed || !dir->kept_bases) {
		pst_diag_set(diag, path, 0, NULL, NULL, "out of memory");
		goto fail;
	}
	dir->fd = open_dir(disk, path, diag);
	if (dir->fd < 0)
		goto fail;
	if (check_contents(dir, diag) < 0 || take_lock(dir, &old_run_id, diag) < 0)
		goto fail_dir;
	if (pst_partitions_open(dir, diag) < 0)
		goto fail_lock;
	int rc = pst_dir_open_reserve(dir);
	if (rc < 0) {
		pst_diag_set(diag, dir->path, 0, NULL,
			pst_errno_full(-rc) ? "free some space" : NULL,
			"cannot open penstock.reserve: %s", strerror(-rc));
		goto fail_partitions;
	}
	if (open_marks(dir, old_run_id, diag) < 0)
		goto fail_partitions;
	*out = dir;
	return 0;
fail_partitions:
	pst_dir_close_reserve(dir);
	pst_partitions_close(dir);
fail_lock:
	disk->ops->unlock(disk, dir->lock_file);
fail_dir:
	disk->ops->close(disk, dir->fd);
fail:
	free(dir->kept_bases);
	free(dir->claimed);
	free(dir->marks);
	free(dir);
	return -1;
}

int
pst_datadir_open(const char *path, struct pst_datadir **out, struct pst_diag *diag)
{
	return pst_datadir_open_on(pst_disk_real(), path, out, diag);
}

void
pst_datadir_close(struct pst_datadir *dir)
{
	/* Marks of logs that were closed say so; one that was not is checked at the next start. */
	pst_datadir_checkpoint(dir);
	pst_live_remove(dir->live);
	pst_durable_close(&dir->durable);
	pst_dir_close_reserve(dir);
	pst_partitions_close(dir);
	dir->disk->ops->unlock(dir->disk, dir->lock_file);
	dir->disk->ops->close(dir->disk, dir->fd);
	free(dir->kept_bases);
	free(dir->claimed);
	free(dir->marks);
	free(dir);
}

/* Whether somebody removed the directory, moved it away, or removed the marks in it: what is synced
 * now is found by no start. */
static bool
is_gone(struct pst_datadir *dir)
{
	const struct pst_disk_ops *ops = dir->disk->ops;
	struct pst_disk_stat ours, named;
	if (ops->stat(dir->disk, dir->fd, &ours) != 0)
		return false;
	if (ours.link_cnt == 0)
		return true;
	if (pst_durable_removed(&dir->durable))
		return true;
	int fd = ops->open(dir->disk, PST_DISK_CWD, dir->path, PST_DISK_DIR);
	if (fd == -ENOENT || fd == -ENOTDIR)
		return true;
	/* What cannot be looked at may be ours. */
	int rc = fd < 0 ? fd : ops->stat(dir->disk, fd, &named);
	if (fd >= 0)
		ops->close(dir->disk, fd);
	return rc == 0 && (named.dev != ours.dev || named.ino != ours.ino);
}

int
pst_datadir_checkpoint(struct pst_datadir *dir)
{
	if (is_gone(dir)) {
		atomic_store_explicit(&dir->failed, true, memory_order_relaxed);
		pst_dir_error(dir, ENOENT);
		return -ENOENT;
	}
	atomic_store_explicit(&dir->checkpoint_wanted, false, memory_order_relaxed);
	for (uint32_t i = 0; i < dir->mark_cnt; i++) {
		struct pst_durable end;
		/* A slot that cannot be read keeps its earlier, lower mark. */
		if (dir->claimed[i] && pst_live_read(dir->live, i, &end, NULL))
			dir->marks[i].end = end;
	}
	int rc = write_marks(dir);
	for (uint32_t i = 0; rc == 0 && i < dir->mark_cnt; i++)
		atomic_store_explicit(
			&dir->kept_bases[i], dir->marks[i].end.segment_base, memory_order_relaxed);
	if (rc < 0 && !pst_errno_passes(-rc))
		pst_dir_error(dir, -rc);
	return rc;
}

void
pst_dir_error(struct pst_datadir *dir, int err)
{
	int none = 0;
	atomic_compare_exchange_strong_explicit(
		&dir->error, &none, err ? err : EIO, memory_order_relaxed, memory_order_relaxed);
}

int
pst_datadir_error(const struct pst_datadir *dir)
{
	return atomic_load_explicit(&dir->error, memory_order_relaxed);
}

void
pst_datadir_space(const struct pst_datadir *dir, uint64_t *space_bytes, uint64_t *free_bytes)
{
	struct statvfs st;
	*space_bytes = *free_bytes = 0;
	if (dir->disk != pst_disk_real() || fstatvfs(dir->fd, &st) != 0)
		return;
	*space_bytes = (uint64_t)st.f_frsize * st.f_blocks;
	*free_bytes = (uint64_t)st.f_frsize * st.f_bavail;
}

uint64_t
pst_datadir_log_bytes(const struct pst_datadir *dir)
{
	return atomic_load_explicit(&dir->log_bytes, memory_order_relaxed);
}

bool
pst_datadir_checkpoint_wanted(const struct pst_datadir *dir)
{
	return atomic_load_explicit(&dir->checkpoint_wanted, memory_order_relaxed);
}

void
pst_datadir_retain(struct pst_datadir *dir, uint64_t bytes)
{
	atomic_store_explicit(&dir->retain_bytes, bytes, memory_order_relaxed);
}

int
pst_datadir_fd(const struct pst_datadir *dir)
{
	return dir->fd;
}

int
pst_datadir_lock_fd(const struct pst_datadir *dir)
{
	return dir->lock_file;
}

int
pst_dir_claim(struct pst_datadir *dir, const char *name, struct pst_mark *mark, bool *known,
	struct pst_diag *diag)
{
	uint32_t i;
	for (i = 0; i < dir->mark_cnt && strcmp(dir->marks[i].name, name) != 0; i++)
		;
	*known = i < dir->mark_cnt;
	if (*known && dir->claimed[i])
		return pst_diag_set(diag, name, 0, NULL, NULL,
			"the partition has a writer already: each has exactly one");
	if (i == PST_LIVE_SLOTS_MAX)
		return pst_diag_set(diag, name, 0, NULL,
			"use fewer streams or queues, or another data directory",
			"the data directory has %d partitions: no more fit", PST_LIVE_SLOTS_MAX);
	if (*known) {
		*mark = dir->marks[i];
	} else {
		/* An end that promises nothing, until recovery knows better. */
		dir->marks[i] = (struct pst_mark){.unset = true};
		snprintf(dir->marks[i].name, sizeof(dir->marks[i].name), "%s", name);
		pst_live_add(dir->live, name, &dir->marks[i].end);
		dir->mark_cnt++;
	}
	dir->claimed[i] = true;
	return (int)i;
}

void
pst_dir_unclaim(struct pst_datadir *dir, int slot)
{
	dir->claimed[slot] = false;
}

void
pst_dir_recovered(struct pst_datadir *dir, int slot, const struct pst_durable *end)
{
	pst_live_publish(dir->live, (uint32_t)slot, end);
	dir->marks[slot].clean = dir->marks[slot].unset = false;
}

void
pst_dir_closed(struct pst_datadir *dir, int slot, const struct pst_mark *mark)
{
	dir->marks[slot].clean = mark->clean;
	dir->marks[slot].end = mark->end;
	dir->marks[slot].index = mark->index;
	dir->marks[slot].index_cnt = mark->index_cnt;
	dir->marks[slot].timeindex_cnt = mark->timeindex_cnt;
	pst_live_publish(dir->live, (uint32_t)slot, &mark->end);
	dir->claimed[slot] = false;
}
