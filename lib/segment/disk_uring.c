#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "segment/disk.h"

/* A sync in flight. */
struct sync {
	void *tag;
	int file; /* -1: free */
};

struct pst_disk_queue {
	struct io_uring ring;
	unsigned depth;
	unsigned in_flight; /* queued or submitted, not yet reaped */
	struct sync *syncs; /* depth of them */
};

/* User data of a sync; a tag is the address of something that is aligned. */
#define SYNC_BIT UINT64_C(1)

static int
refused(struct pst_diag *diag, int err)
{
	switch (err) {
	case ENOSYS:
		pst_diag_set(diag, NULL, 0, NULL,
			"use a kernel of 5.11 or later with CONFIG_IO_URING, and allow "
			"io_uring_setup, io_uring_enter and io_uring_register in the container's "
			"seccomp profile",
			"io_uring is not available: %s", strerror(err));
		break;
	case EPERM:
	case EACCES:
		pst_diag_set(diag, NULL, 0, NULL,
			"sysctl -w kernel.io_uring_disabled=0 (or put penstock into the group "
			"kernel.io_uring_group), and allow io_uring in the container's seccomp "
			"profile",
			"io_uring is forbidden here: %s", strerror(err));
		break;
	case ENOMEM:
		pst_diag_set(diag, NULL, 0, NULL, "raise the limit of locked memory (ulimit -l)",
			"io_uring has no memory for its rings: %s", strerror(err));
		break;
	default:
		pst_diag_set(
			diag, NULL, 0, NULL, NULL, "io_uring cannot be set up: %s", strerror(err));
	}
	return -err;
}

int
pst_uring_open(struct pst_disk *disk, unsigned depth, int hold, struct pst_disk_queue **out,
	struct pst_diag *diag)
{
	struct pst_disk_queue *queue = calloc(1, sizeof(*queue));
	struct sync *syncs = calloc(depth, sizeof(*syncs));
	if (!queue || !syncs) {
		free(queue);
		free(syncs);
		return refused(diag, ENOMEM);
	}
	for (unsigned i = 0; i < depth; i++)
		syncs[i].file = -1;
	queue->syncs = syncs;
	/* Completions are taken when we look, not by interrupting the thread; older kernels do not
	 * know the flags. */
	int rc = io_uring_queue_init(
		depth, &queue->ring, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
	if (rc == -EINVAL)
		rc = io_uring_queue_init(depth, &queue->ring, 0);
	if (rc < 0) {
		free(syncs);
		free(queue);
		return refused(diag, -rc);
	}
	/* The ring outlives a killed process until its last request has ended. A registered file
	 * lives as long as the ring, and so does the lock on it: no successor can have the data
	 * directory while one of our writes may still land. */
	rc = io_uring_register_files(&queue->ring, &hold, 1);
	if (rc < 0) {
		io_uring_queue_exit(&queue->ring);
		free(syncs);
		free(queue);
		return refused(diag, -rc);
	}
	queue->depth = depth;
	*out = queue;
	return 0;
}

static struct io_uring_sqe *
next_sqe(struct pst_disk_queue *queue)
{
	return queue->in_flight < queue->depth ? io_uring_get_sqe(&queue->ring) : NULL;
}

int
pst_uring_write(struct pst_disk_queue *queue, int file, const struct iovec *iov, unsigned iov_cnt,
	uint64_t pos, void *tag)
{
	struct io_uring_sqe *sqe = next_sqe(queue);
	if (!sqe)
		return -EAGAIN;
	if (iov_cnt == 1)
		io_uring_prep_write(sqe, file, iov[0].iov_base, (unsigned)iov[0].iov_len, pos);
	else
		io_uring_prep_writev(sqe, file, iov, iov_cnt, pos);
	io_uring_sqe_set_data(sqe, tag);
	queue->in_flight++;
	return 0;
}

int
pst_uring_sync(struct pst_disk_queue *queue, int file, bool data_only, void *tag)
{
	struct io_uring_sqe *sqe = next_sqe(queue);
	if (!sqe)
		return -EAGAIN;
	struct sync *sync = queue->syncs;
	while (sync->file >= 0)
		sync++;
	*sync = (struct sync){tag, file};
	io_uring_prep_fsync(sqe, file, data_only ? IORING_FSYNC_DATASYNC : 0);
	io_uring_sqe_set_data64(sqe, (uintptr_t)sync | SYNC_BIT);
	queue->in_flight++;
	return 0;
}

int
pst_uring_unlink(struct pst_disk_queue *queue, int dir, const char *name, void *tag)
{
	struct io_uring_sqe *sqe = next_sqe(queue);
	if (!sqe)
		return -EAGAIN;
	io_uring_prep_unlinkat(sqe, dir, name, 0);
	io_uring_sqe_set_data(sqe, tag);
	queue->in_flight++;
	return 0;
}

int
pst_uring_submit(struct pst_disk_queue *queue)
{
	if (io_uring_sq_ready(&queue->ring) == 0)
		return 0;
	int rc = io_uring_submit(&queue->ring);
	if (rc == -EINTR || rc == -EBUSY || rc == -ENOMEM)
		return -EAGAIN; /* what was not taken is still in the ring */
	return rc < 0 ? rc : 0;
}

unsigned
pst_uring_reap(struct pst_disk_queue *queue, struct pst_disk_done *done, unsigned cap)
{
	unsigned n = 0;
	struct io_uring_cqe *cqe;
	while (n < cap && queue->in_flight > 0 && io_uring_peek_cqe(&queue->ring, &cqe) == 0) {
		uint64_t data = io_uring_cqe_get_data64(cqe);
		struct sync *sync = data & SYNC_BIT ? (struct sync *)(uintptr_t)(data & ~SYNC_BIT)
						    : NULL;
		done[n].tag = sync ? sync->tag : (void *)(uintptr_t)data;
		done[n].result = sync && cqe->res == 0 ? pst_posix_synced(sync->file) : cqe->res;
		if (sync)
			sync->file = -1;
		n++;
		io_uring_cqe_seen(&queue->ring, cqe);
		queue->in_flight--;
	}
	return n;
}

void
pst_uring_close(struct pst_disk_queue *queue)
{
	struct io_uring_cqe *cqe;
	while (queue->in_flight > 0) {
		int rc = io_uring_submit_and_wait(&queue->ring, 1);
		PST_ASSERT(
			rc >= 0 || rc == -EINTR || rc == -EBUSY || rc == -EAGAIN || rc == -ENOMEM);
		while (queue->in_flight > 0 && io_uring_peek_cqe(&queue->ring, &cqe) == 0) {
			io_uring_cqe_seen(&queue->ring, cqe);
			queue->in_flight--;
		}
	}
	/* The ring itself goes a little later: the file shall not wait for that. */
	io_uring_unregister_files(&queue->ring);
	io_uring_queue_exit(&queue->ring);
	free(queue->syncs);
	free(queue);
}
