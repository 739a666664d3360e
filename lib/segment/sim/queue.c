/* The simulated disk's queue. Bytes are taken from the caller's memory when a write is submitted
 * and looked at again when it ends: they must not have changed in between. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "segment/sim/disk.h"

struct request {
	enum sim_call call; /* 0: free */
	bool submitted;
	uint32_t node;
	bool data_only, log;
	const struct iovec *iov;
	unsigned iov_cnt;
	uint64_t pos, len;
	const char *name;
	void *tag;
	uint64_t sync_seq; /* what had ended when it was queued */
	uint64_t end_turn;
	struct sim_effect *effect;
	int64_t result; /* -errno decided on in advance; 0: none */
};

struct sim_queue {
	struct sim_disk *disk;
	struct sim_queue *next;
	unsigned depth, cnt;
	uint64_t turn;
	struct request requests[];
};

static struct sim_queue *
of(struct pst_disk_queue *queue)
{
	return (struct sim_queue *)queue;
}

static bool
now_and_then(struct sim_disk *d, unsigned in)
{
	return d->unruly && sim_below(&d->chance, in) == 0;
}

static int
s_open(struct pst_disk *disk, unsigned depth, int hold, struct pst_disk_queue **out,
	struct pst_diag *diag)
{
	struct sim_disk *d = (struct sim_disk *)disk;
	struct sim_queue *q = calloc(1, sizeof(*q) + depth * sizeof(q->requests[0]));
	PST_ASSERT(q);
	q->disk = d;
	q->depth = depth;
	q->next = d->queues;
	d->queues = q;
	*out = (struct pst_disk_queue *)q;
	return 0;
}

static uint32_t
node_of(struct sim_queue *q, int file)
{
	struct pst_disk_stat st;
	struct sim_fault none = {0}, kept = q->disk->fault;
	q->disk->fault = none;
	PST_ASSERT(q->disk->disk.ops->stat(&q->disk->disk, file, &st) == 0);
	q->disk->fault = kept;
	return (uint32_t)st.ino;
}

static struct request *
request(struct sim_queue *q, enum sim_call call, uint32_t node, void *tag)
{
	if (q->cnt == q->depth || now_and_then(q->disk, 32))
		return NULL;
	struct request *r = q->requests;
	while (r->call)
		r++;
	q->cnt++;
	*r = (struct request){.call = call,
		.node = node,
		.tag = tag,
		.sync_seq = q->disk->seq,
		.end_turn = q->turn + 1 + (q->disk->unruly ? sim_below(&q->disk->chance, 4) : 0)};
	return r;
}

static int
s_write(struct pst_disk_queue *queue, int file, const struct iovec *iov, unsigned iov_cnt,
	uint64_t pos, void *tag)
{
	struct sim_queue *q = of(queue);
	uint64_t len = 0;
	uint32_t node = node_of(q, file);
	for (unsigned i = 0; i < iov_cnt; i++) {
		len += iov[i].iov_len;
		if ((uintptr_t)iov[i].iov_base % SIM_BLOCK_BYTES ||
			iov[i].iov_len % SIM_BLOCK_BYTES)
			sim_wrong(q->disk, "memory of a direct write is not aligned");
	}
	if (pos % SIM_BLOCK_BYTES)
		sim_wrong(q->disk, "a direct write is not aligned");
	for (unsigned i = 0; i < q->depth; i++) {
		const struct request *o = &q->requests[i];
		if (o->call == SIM_QUEUE_WRITE && o->node == node && pos < o->pos + o->len &&
			o->pos < pos + len)
			sim_wrong(q->disk, "two writes to a block are in flight together");
	}
	struct request *r = request(q, SIM_QUEUE_WRITE, node, tag);
	if (!r)
		return -EAGAIN;
	r->iov = iov;
	r->iov_cnt = iov_cnt;
	r->pos = pos;
	r->len = len;
	return 0;
}

static int
s_sync(struct pst_disk_queue *queue, int file, bool data_only, void *tag)
{
	struct sim_queue *q = of(queue);
	struct request *r = request(q, SIM_QUEUE_SYNC, node_of(q, file), tag);
	if (!r)
		return -EAGAIN;
	r->data_only = data_only;
	r->log = sim_image_is_dir(q->disk->view, r->node) ||
		 (q->disk->files[file - SIM_HANDLE_FIRST].flags & PST_DISK_DIRECT);
	return 0;
}

static int
s_unlink(struct pst_disk_queue *queue, int dir, const char *name, void *tag)
{
	struct sim_queue *q = of(queue);
	struct request *r = request(q, SIM_QUEUE_UNLINK, node_of(q, dir), tag);
	if (!r)
		return -EAGAIN;
	r->name = name;
	return 0;
}

/* The drive begins with it: from here on a power loss may show it. */
static void
begin(struct sim_queue *q, struct request *r)
{
	struct sim_disk *d = q->disk;
	r->submitted = true;
	if (sim_hit(d, r->call))
		r->result = d->fault.error ? d->fault.error : -1000; /* short */
	if (r->call == SIM_QUEUE_WRITE) {
		if (!r->result && sim_full(d, r->node, r->pos + r->len))
			r->result = -ENOSPC;
		r->effect = sim_effect_add(d, SIM_BYTES, r->node);
		r->effect->pos = r->pos;
		r->effect->len = r->len;
		r->effect->data = malloc(r->len);
		PST_ASSERT(r->effect->data);
		for (uint64_t i = 0, at = 0; i < r->iov_cnt; at += r->iov[i++].iov_len)
			memcpy(r->effect->data + at, r->iov[i].iov_base, r->iov[i].iov_len);
		sim_changed(d, "a write began");
	} else if (r->call == SIM_QUEUE_UNLINK && !r->result) {
		if (sim_image_find(d->view, r->node, r->name) < 0) {
			r->result = -ENOENT;
			return;
		}
		r->effect = sim_effect_add(d, SIM_NAMES, r->node);
		strcpy(r->effect->from, r->name);
		sim_changed(d, "a removal began");
	}
}

static int
s_submit(struct pst_disk_queue *queue)
{
	struct sim_queue *q = of(queue);
	if (q->cnt && now_and_then(q->disk, 16))
		return -EAGAIN;
	for (unsigned i = 0; i < q->depth; i++) {
		struct request *r = &q->requests[i];
		if (r->call && !r->submitted)
			begin(q, r);
	}
	return 0;
}

static int64_t
end_write(struct sim_queue *q, struct request *r)
{
	struct sim_disk *d = q->disk;
	uint64_t done = r->len;
	for (uint64_t i = 0, at = 0; i < r->iov_cnt; at += r->iov[i++].iov_len) {
		if (memcmp(r->effect->data + at, r->iov[i].iov_base, r->iov[i].iov_len) != 0)
			sim_wrong(d, "memory was changed while its write was in flight");
	}
	if (r->result == -EAGAIN || (!r->result && now_and_then(d, 32))) {
		r->result = -EAGAIN;
		done = 0;
	} else if (r->result == -1000) {
		done = sim_below(&d->chance, r->len / SIM_SECTOR_BYTES) * SIM_SECTOR_BYTES;
		r->result = (int64_t)done;
	} else if (r->result < 0) {
		/* A part of it got there. */
		done = sim_below(&d->chance, r->len / SIM_SECTOR_BYTES) * SIM_SECTOR_BYTES;
	} else if (r->len > SIM_BLOCK_BYTES && now_and_then(d, 16)) {
		done = SIM_BLOCK_BYTES + sim_below(&d->chance, r->len - SIM_BLOCK_BYTES);
		done -= done % SIM_SECTOR_BYTES;
		r->result = (int64_t)done;
	} else {
		r->result = (int64_t)r->len;
	}
	r->effect->len = done;
	if (done == 0)
		sim_effect_remove(d, r->effect);
	else
		sim_effect_end(d, r->effect);
	return r->result;
}

static int64_t
end(struct sim_queue *q, struct request *r)
{
	struct sim_disk *d = q->disk;
	switch (r->call) {
	case SIM_QUEUE_WRITE:
		return end_write(q, r);
	case SIM_QUEUE_SYNC:
		sim_sync(d, r->node, r->data_only, r->sync_seq, r->result < 0);
		d->failed_log_sync_cnt += r->log && r->result < 0;
		return r->result;
	default:
		if (r->effect)
			sim_effect_end(d, r->effect);
		return r->result;
	}
}

static unsigned
s_reap(struct pst_disk_queue *queue, struct pst_disk_done *done, unsigned cap)
{
	struct sim_queue *q = of(queue);
	unsigned n = 0;
	q->turn++;
	/* From any of them on. */
	unsigned start = q->disk->unruly ? (unsigned)sim_below(&q->disk->chance, q->depth) : 0;
	for (unsigned i = 0; i < q->depth && q->cnt > 0 && n < cap; i++) {
		struct request *r = &q->requests[(start + i) % q->depth];
		if (!r->call || !r->submitted || r->end_turn > q->turn)
			continue;
		done[n++] = (struct pst_disk_done){r->tag, end(q, r)};
		r->call = 0;
		q->cnt--;
	}
	return n;
}

static void
s_close(struct pst_disk_queue *queue)
{
	struct sim_queue *q = of(queue);
	struct pst_disk_done done;
	bool unruly = q->disk->unruly;
	q->disk->unruly = false;
	s_submit(queue);
	while (q->cnt > 0)
		s_reap(queue, &done, 1);
	q->disk->unruly = unruly;
	struct sim_queue **link = &q->disk->queues;
	while (*link != q)
		link = &(*link)->next;
	*link = q->next;
	free(q);
}

const struct pst_disk_ops sim_queue_ops = {
	.queue_open = s_open,
	.queue_write = s_write,
	.queue_sync = s_sync,
	.queue_unlink = s_unlink,
	.queue_submit = s_submit,
	.queue_reap = s_reap,
	.queue_close = s_close,
};
