#include "segment/test_fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define FAULT_TAGS_MAX 512

struct fault_request {
	unsigned call; /* 0: free */
	bool held;
	int file;
	bool data_only;
	const struct iovec *iov;
	unsigned iov_cnt;
	uint64_t pos, len;
	void *tag;
};

struct fault_queue {
	struct fault *fault;
	struct pst_disk_queue *real;
	struct pst_disk_done done[FAULT_TAGS_MAX]; /* of calls that were never made */
	unsigned done_cnt;
	struct iovec half[FAULT_TAGS_MAX][2];
	unsigned half_cnt;
	struct fault_request requests[FAULT_TAGS_MAX]; /* in flight */
};

static struct fault *
of(struct pst_disk *disk)
{
	return (struct fault *)disk;
}

/* Whether this call is to fail. */
static bool
hit(struct fault *f, unsigned call)
{
	if (!(f->calls & call))
		return false;
	f->seen_cnt++;
	bool now = f->at && (f->seen_cnt == f->at || (f->for_ever && f->seen_cnt > f->at));
	f->failed_cnt += now;
	f->failed_sync_cnt += now && (call & (FAULT_SYNC | FAULT_QUEUE_SYNC));
	return now && f->error != 0;
}

static void
note(struct fault *f, enum fault_call call, bool ended, int file, uint64_t pos, uint64_t len,
	const char *name)
{
	if (f->event_cnt == FAULT_EVENTS_MAX)
		return;
	struct fault_event *e = &f->events[f->event_cnt++];
	*e = (struct fault_event){call, ended, file, pos, len, ""};
	if (name)
		strncpy(e->name, name, sizeof(e->name) - 1);
}

#define REAL (pst_disk_real()->ops)

static int
f_open(struct pst_disk *d, int dir, const char *name, unsigned flags)
{
	if (hit(of(d), FAULT_OPEN))
		return of(d)->error;
	bool bad = of(d)->bad_name && strcmp(of(d)->bad_name, name) == 0;
	if (bad && of(d)->bad_bytes == 0)
		return -EIO;
	int file = REAL->open(pst_disk_real(), dir, name, flags);
	if (file >= 0 && file < FAULT_FILES_MAX)
		of(d)->bad_files[file] = bad;
	note(of(d), FAULT_OPEN, true, file, 0, flags, name);
	return file;
}

static void
f_close(struct pst_disk *d, int file)
{
	REAL->close(pst_disk_real(), file);
}

static int
f_mkdir(struct pst_disk *d, int dir, const char *name)
{
	note(of(d), FAULT_MKDIR, true, dir, 0, 0, name);
	return hit(of(d), FAULT_MKDIR) ? of(d)->error : REAL->mkdir(pst_disk_real(), dir, name);
}

static int64_t
f_read(struct pst_disk *d, int file, void *buf, uint64_t len, uint64_t pos)
{
	const struct fault *f = of(d);
	if (file < FAULT_FILES_MAX && f->bad_files[file] && pos < f->bad_pos + f->bad_bytes &&
		f->bad_pos < pos + len)
		return -EIO;
	return hit(of(d), FAULT_READ) ? of(d)->error
				      : REAL->read(pst_disk_real(), file, buf, len, pos);
}

static int
f_write(struct pst_disk *d, int file, const void *buf, uint64_t len, uint64_t pos)
{
	note(of(d), FAULT_WRITE, true, file, pos, len, NULL);
	if (!hit(of(d), FAULT_WRITE))
		return REAL->write(pst_disk_real(), file, buf, len, pos);
	/* Half of it got there. */
	REAL->write(pst_disk_real(), file, buf, len / 2, pos);
	return of(d)->error;
}

static int
f_allocate(struct pst_disk *d, int file, uint64_t pos, uint64_t len)
{
	return hit(of(d), FAULT_ALLOCATE) ? of(d)->error
					  : REAL->allocate(pst_disk_real(), file, pos, len);
}

static int
f_truncate(struct pst_disk *d, int file, uint64_t bytes)
{
	note(of(d), FAULT_TRUNCATE, true, file, 0, bytes, NULL);
	return hit(of(d), FAULT_TRUNCATE) ? of(d)->error
					  : REAL->truncate(pst_disk_real(), file, bytes);
}

static int
f_sync(struct pst_disk *d, int file)
{
	note(of(d), FAULT_SYNC, true, file, 0, 0, NULL);
	return hit(of(d), FAULT_SYNC) ? of(d)->error : REAL->sync(pst_disk_real(), file);
}

static int
f_rename(struct pst_disk *d, int dir, const char *from, const char *to)
{
	note(of(d), FAULT_RENAME, true, dir, 0, 0, from);
	return hit(of(d), FAULT_RENAME) ? of(d)->error
					: REAL->rename(pst_disk_real(), dir, from, to);
}

static int
f_unlink(struct pst_disk *d, int dir, const char *name)
{
	note(of(d), FAULT_UNLINK, true, dir, 0, 0, name);
	return hit(of(d), FAULT_UNLINK) ? of(d)->error : REAL->unlink(pst_disk_real(), dir, name);
}

static int
f_stat(struct pst_disk *d, int file, struct pst_disk_stat *out)
{
	return hit(of(d), FAULT_STAT) ? of(d)->error : REAL->stat(pst_disk_real(), file, out);
}

static int
f_list(struct pst_disk *d, int dir, int (*visit)(void *arg, const char *name), void *arg)
{
	return hit(of(d), FAULT_LIST) ? of(d)->error : REAL->list(pst_disk_real(), dir, visit, arg);
}

static int
f_lock(struct pst_disk *d, int dir, const char *name, int *file)
{
	return REAL->lock(pst_disk_real(), dir, name, file);
}

static void
f_unlock(struct pst_disk *d, int file)
{
	REAL->unlock(pst_disk_real(), file);
}

static int
f_queue_open(struct pst_disk *d, unsigned depth, int hold, struct pst_disk_queue **out,
	struct pst_diag *diag)
{
	struct fault_queue *q = calloc(1, sizeof(*q));
	PST_ASSERT(q);
	q->fault = of(d);
	int rc = REAL->queue_open(pst_disk_real(), depth, hold, &q->real, diag);
	if (rc < 0)
		free(q);
	else
		*out = (struct pst_disk_queue *)q;
	return rc;
}

static struct fault_request *
request(struct fault_queue *q, unsigned call, int file, uint64_t pos, uint64_t len, void *tag)
{
	struct fault_request *r = NULL;
	for (unsigned i = 0; i < FAULT_TAGS_MAX; i++) {
		struct fault_request *o = &q->requests[i];
		if (!o->call)
			r = o;
		/* Never two writes to a block in flight. */
		else
			PST_ASSERT(call != FAULT_QUEUE_WRITE || o->call != call ||
				   o->file != file || pos >= o->pos + o->len ||
				   o->pos >= pos + len);
	}
	PST_ASSERT(r);
	*r = (struct fault_request){.call = call, .file = file, .pos = pos, .len = len, .tag = tag};
	note(q->fault, (enum fault_call)call, false, file, pos, len, NULL);
	return r;
}

static void
never_made(struct fault_queue *q, void *tag, int64_t result)
{
	PST_ASSERT(q->done_cnt < FAULT_TAGS_MAX);
	q->done[q->done_cnt++] = (struct pst_disk_done){tag, result};
}

static bool
holds(const struct fault *fault, unsigned call, int file)
{
	return (fault->hold & call) && (fault->hold_file == -1 || fault->hold_file == file);
}

static int
f_queue_write(struct pst_disk_queue *queue, int file, const struct iovec *iov, unsigned cnt,
	uint64_t pos, void *tag)
{
	struct fault_queue *q = (struct fault_queue *)queue;
	unsigned failed = q->fault->failed_cnt;
	uint64_t len = iov[0].iov_len + (cnt > 1 ? iov[1].iov_len : 0);
	struct fault_request *r = request(q, FAULT_QUEUE_WRITE, file, pos, len, tag);
	PST_ASSERT(pos % 4096 == 0 && len % 4096 == 0);
	if (hit(q->fault, FAULT_QUEUE_WRITE)) {
		never_made(q, tag, q->fault->error);
		return 0;
	}
	if (holds(q->fault, FAULT_QUEUE_WRITE, file)) {
		r->held = true;
		r->iov = iov;
		r->iov_cnt = cnt;
		return 0;
	}
	if (q->fault->failed_cnt == failed)
		return REAL->queue_write(q->real, file, iov, cnt, pos, tag);
	/* Short: half of the first part, in whole blocks, or nothing that counts. */
	struct iovec *half = q->half[q->half_cnt++ % FAULT_TAGS_MAX];
	*half = iov[0];
	half->iov_len = iov[0].iov_len / 2 / 4096 * 4096;
	if (half->iov_len == 0) {
		never_made(q, tag, 512);
		return 0;
	}
	return REAL->queue_write(q->real, file, half, 1, pos, tag);
}

static int
f_queue_sync(struct pst_disk_queue *queue, int file, bool data_only, void *tag)
{
	struct fault_queue *q = (struct fault_queue *)queue;
	struct fault_request *r = request(q, FAULT_QUEUE_SYNC, file, 0, 0, tag);
	if (hit(q->fault, FAULT_QUEUE_SYNC)) {
		never_made(q, tag, q->fault->error);
		return 0;
	}
	if (holds(q->fault, FAULT_QUEUE_SYNC, file)) {
		r->held = true;
		r->data_only = data_only;
		return 0;
	}
	return REAL->queue_sync(q->real, file, data_only, tag);
}

static int
f_queue_unlink(struct pst_disk_queue *queue, int dir, const char *name, void *tag)
{
	struct fault_queue *q = (struct fault_queue *)queue;
	note(q->fault, FAULT_UNLINK, true, dir, 0, 0, name);
	if (hit(q->fault, FAULT_QUEUE_UNLINK)) {
		never_made(q, tag, q->fault->error);
		return 0;
	}
	return REAL->queue_unlink(q->real, dir, name, tag);
}

static int
f_queue_submit(struct pst_disk_queue *queue)
{
	struct fault_queue *q = (struct fault_queue *)queue;
	for (unsigned i = 0; i < FAULT_TAGS_MAX; i++) {
		struct fault_request *r = &q->requests[i];
		if (!r->held || holds(q->fault, r->call, r->file))
			continue;
		r->held = false;
		int rc = r->call == FAULT_QUEUE_WRITE
				 ? REAL->queue_write(
					   q->real, r->file, r->iov, r->iov_cnt, r->pos, r->tag)
				 : REAL->queue_sync(q->real, r->file, r->data_only, r->tag);
		PST_ASSERT(rc == 0);
	}
	return REAL->queue_submit(q->real);
}

static unsigned
f_queue_reap(struct pst_disk_queue *queue, struct pst_disk_done *done, unsigned cap)
{
	struct fault_queue *q = (struct fault_queue *)queue;
	unsigned n = 0;
	while (n < cap && q->done_cnt > 0)
		done[n++] = q->done[--q->done_cnt];
	n += REAL->queue_reap(q->real, done + n, cap - n);
	for (unsigned d = 0; d < n; d++) {
		for (unsigned i = 0; i < FAULT_TAGS_MAX; i++) {
			struct fault_request *r = &q->requests[i];
			if (!r->call || r->held || r->tag != done[d].tag)
				continue;
			note(q->fault, (enum fault_call)r->call, true, r->file, r->pos, r->len,
				NULL);
			r->call = 0;
			break;
		}
	}
	return n;
}

static void
f_queue_close(struct pst_disk_queue *queue)
{
	REAL->queue_close(((struct fault_queue *)queue)->real);
	free(queue);
}

static const struct pst_disk_ops fault_ops = {
	.open = f_open,
	.close = f_close,
	.mkdir = f_mkdir,
	.read = f_read,
	.write = f_write,
	.allocate = f_allocate,
	.truncate = f_truncate,
	.sync = f_sync,
	.rename = f_rename,
	.unlink = f_unlink,
	.stat = f_stat,
	.list = f_list,
	.lock = f_lock,
	.unlock = f_unlock,
	.queue_open = f_queue_open,
	.queue_write = f_queue_write,
	.queue_sync = f_queue_sync,
	.queue_unlink = f_queue_unlink,
	.queue_submit = f_queue_submit,
	.queue_reap = f_queue_reap,
	.queue_close = f_queue_close,
};

void
fault_init(struct fault *fault)
{
	*fault = (struct fault){.disk = {.ops = &fault_ops, .shares_marks = true}, .hold_file = -1};
	fault->events = calloc(FAULT_EVENTS_MAX, sizeof(*fault->events));
	PST_ASSERT(fault->events);
}

void
fault_fini(struct fault *fault)
{
	free(fault->events);
}

unsigned
fault_find(const struct fault *fault, unsigned idx, enum fault_call call, bool ended, int file,
	const char *name)
{
	for (; idx < fault->event_cnt; idx++) {
		const struct fault_event *e = &fault->events[idx];
		if (e->call == call && e->ended == ended && (file < 0 || e->file == file) &&
			(!name || strcmp(e->name, name) == 0))
			break;
	}
	return idx;
}
