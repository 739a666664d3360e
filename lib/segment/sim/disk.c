#include "segment/sim/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

uint64_t
sim_chance(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static struct sim_disk *
of(struct pst_disk *disk)
{
	return (struct sim_disk *)disk;
}

void
sim_wrong(struct sim_disk *disk, const char *what)
{
	if (!disk->wrong)
		disk->wrong = what;
}

void
sim_changed(struct sim_disk *disk, const char *what)
{
	disk->change_cnt++;
	disk->last_change = what;
	if (disk->changed)
		disk->changed(disk->arg);
}

bool
sim_hit(struct sim_disk *disk, enum sim_call call)
{
	const struct sim_fault *fault = &disk->fault;
	if (!(fault->calls & call))
		return false;
	disk->seen_cnt++;
	bool now = fault->at &&
		   (disk->seen_cnt == fault->at || (fault->for_ever && disk->seen_cnt > fault->at));
	now = now && (fault->error != 0 || call == SIM_QUEUE_WRITE);
	disk->failed_cnt += now;
	disk->failed_sync_cnt += now && (call & (SIM_SYNC | SIM_QUEUE_SYNC));
	return now;
}

/* Whether the file, grown to end, no longer fits. */
bool
sim_full(struct sim_disk *disk, uint32_t node, uint64_t end)
{
	uint64_t blocks = (end + SIM_BLOCK_BYTES - 1) / SIM_BLOCK_BYTES;
	if (!disk->capacity_blocks || blocks <= sim_image_blocks(disk->view, node))
		return false;
	/* What has no name is given back at once: less than a real one would need. */
	uint64_t used = blocks - sim_image_blocks(disk->view, node);
	const char *top, *name;
	for (unsigned t = 0; (top = sim_image_name(disk->view, 0, t)); t++) {
		uint32_t dir = (uint32_t)sim_image_find(disk->view, 0, top);
		for (unsigned i = 0; (name = sim_image_name(disk->view, dir, i)); i++) {
			uint32_t n = (uint32_t)sim_image_find(disk->view, dir, name);
			if (!sim_image_is_dir(disk->view, n)) {
				used += sim_image_blocks(disk->view, n);
				continue;
			}
			for (unsigned j = 0; (name = sim_image_name(disk->view, n, j)); j++)
				used += sim_image_blocks(
					disk->view, (uint32_t)sim_image_find(disk->view, n, name));
		}
	}
	return used > disk->capacity_blocks;
}

/* ---- effects ---- */

struct sim_effect *
sim_effect_add(struct sim_disk *disk, enum sim_effect_kind kind, uint32_t node)
{
	struct sim_effect *effect = calloc(1, sizeof(*effect));
	PST_ASSERT(effect);
	effect->kind = kind;
	effect->node = node;
	effect->seq = ++disk->seq;
	if (disk->last)
		disk->last->next = effect;
	else
		disk->first = effect;
	disk->last = effect;
	return effect;
}

void
sim_effect_remove(struct sim_disk *disk, struct sim_effect *effect)
{
	struct sim_effect **link = &disk->first, *before = NULL;
	for (; *link != effect; link = &(*link)->next)
		before = *link;
	*link = effect->next;
	if (disk->last == effect)
		disk->last = before;
	free(effect->data);
	free(effect);
}

void
sim_effect_apply(struct sim_image *image, const struct sim_effect *effect)
{
	switch (effect->kind) {
	case SIM_BYTES:
		sim_image_write(image, effect->node, effect->data, effect->len, effect->pos);
		if (effect->pos + effect->len > sim_image_bytes(image, effect->node))
			sim_image_resize(image, effect->node, effect->pos + effect->len);
		break;
	case SIM_SIZE:
		sim_image_resize(image, effect->node, effect->pos);
		break;
	case SIM_NAMES:
		if (effect->from[0])
			sim_image_remove_name(image, effect->node, effect->from);
		if (effect->to[0])
			sim_image_set_name(image, effect->node, effect->to, effect->target);
		break;
	}
}

/* The process sees it from now on, and a sync asked for from now on covers it. */
void
sim_effect_end(struct sim_disk *disk, struct sim_effect *effect)
{
	sim_effect_apply(disk->view, effect);
	effect->ended_seq = ++disk->seq;
}

void
sim_sync(struct sim_disk *disk, uint32_t node, bool data_only, uint64_t seq, bool fail)
{
	if (data_only && sim_image_is_dir(disk->durable, node))
		return;
	for (struct sim_effect *effect = disk->first, *next; effect; effect = next) {
		next = effect->next;
		if (effect->node != node || !effect->ended_seq || effect->ended_seq > seq)
			continue;
		if (!fail || sim_below(&disk->chance, 2)) {
			sim_effect_apply(disk->durable, effect);
			disk->durable_cnt++;
		}
		sim_effect_remove(disk, effect);
	}
	sim_changed(disk, fail ? "a sync failed" : "a sync ended");
}

/* ---- calls ---- */

static uint32_t
node_of(struct sim_disk *d, int file)
{
	unsigned i = (unsigned)(file - SIM_HANDLE_FIRST);
	PST_ASSERT(i < SIM_FILES_MAX && d->files[i].used);
	return d->files[i].node;
}

static int
handle(struct sim_disk *d, uint32_t node, unsigned flags)
{
	for (int i = 0; i < SIM_FILES_MAX; i++) {
		if (d->files[i].used)
			continue;
		d->files[i].used = true;
		d->files[i].locked = false;
		d->files[i].flags = flags;
		d->files[i].node = node;
		return i + SIM_HANDLE_FIRST;
	}
	return -EMFILE;
}

unsigned
sim_disk_open_cnt(const struct sim_disk *disk)
{
	unsigned cnt = 0;
	for (int i = 0; i < SIM_FILES_MAX; i++)
		cnt += disk->files[i].used;
	return cnt;
}

static uint32_t
make(struct sim_disk *d, uint32_t dir, const char *name, bool is_dir)
{
	uint32_t node = sim_image_add(d->view, is_dir, dir);
	PST_ASSERT(sim_image_add(d->durable, is_dir, dir) == node);
	struct sim_effect *effect = sim_effect_add(d, SIM_NAMES, dir);
	strcpy(effect->to, name);
	effect->target = node;
	sim_effect_end(d, effect);
	sim_changed(d, is_dir ? "a directory was made" : "a file was made");
	return node;
}

static uint32_t
dir_node(struct sim_disk *d, int dir)
{
	return dir == PST_DISK_CWD ? 0 : node_of(d, dir);
}

static int
s_open(struct pst_disk *disk, int dir, const char *name, unsigned flags)
{
	struct sim_disk *d = of(disk);
	uint32_t top = dir_node(d, dir);
	if (sim_hit(d, SIM_OPEN))
		return d->fault.error;
	int64_t node = sim_image_find(d->view, top, name);
	if (node >= 0 && (flags & PST_DISK_EXCL))
		return -EEXIST;
	if (node >= 0 && (flags & PST_DISK_DIR) && !sim_image_is_dir(d->view, (uint32_t)node))
		return -ENOTDIR;
	if (node < 0) {
		if (!(flags & PST_DISK_CREATE))
			return -ENOENT;
		node = make(d, top, name, false);
	}
	return handle(d, (uint32_t)node, flags);
}

static void
s_close(struct pst_disk *disk, int file)
{
	node_of(of(disk), file);
	of(disk)->files[file - SIM_HANDLE_FIRST].used = false;
}

static int
s_mkdir(struct pst_disk *disk, int dir, const char *name)
{
	struct sim_disk *d = of(disk);
	if (sim_hit(d, SIM_MKDIR))
		return d->fault.error;
	if (sim_image_find(d->view, dir_node(d, dir), name) >= 0)
		return -EEXIST;
	make(d, dir_node(d, dir), name, true);
	return 0;
}

static int64_t
s_read(struct pst_disk *disk, int file, void *buf, uint64_t len, uint64_t pos)
{
	struct sim_disk *d = of(disk);
	if (sim_hit(d, SIM_READ))
		return d->fault.error;
	return (int64_t)sim_image_read(d->view, node_of(d, file), buf, len, pos);
}

static void
put_bytes(struct sim_disk *d, uint32_t node, const void *buf, uint64_t len, uint64_t pos)
{
	if (len == 0)
		return;
	struct sim_effect *effect = sim_effect_add(d, SIM_BYTES, node);
	effect->pos = pos;
	effect->len = len;
	effect->data = malloc(len);
	PST_ASSERT(effect->data);
	memcpy(effect->data, buf, len);
	sim_effect_end(d, effect);
	sim_changed(d, "a small write");
}

static int
s_write(struct pst_disk *disk, int file, const void *buf, uint64_t len, uint64_t pos)
{
	struct sim_disk *d = of(disk);
	uint32_t node = node_of(d, file);
	bool full = sim_full(d, node, pos + len), fail = sim_hit(d, SIM_WRITE);
	if (!(d->files[file - SIM_HANDLE_FIRST].flags & PST_DISK_WRITE))
		sim_wrong(d, "a write to a file that is open for reading");
	/* Of a failed one, half got there. */
	put_bytes(d, node, buf, full || fail ? len / 2 : len, pos);
	return fail ? d->fault.error : full ? -ENOSPC : 0;
}

static int
s_allocate(struct pst_disk *disk, int file, uint64_t pos, uint64_t len)
{
	struct sim_disk *d = of(disk);
	uint32_t node = node_of(d, file);
	if (sim_hit(d, SIM_ALLOCATE))
		return d->fault.error;
	if (sim_full(d, node, pos + len))
		return -ENOSPC;
	sim_image_reserve(d->view, node, pos + len);
	return 0;
}

static int
s_truncate(struct pst_disk *disk, int file, uint64_t bytes)
{
	struct sim_disk *d = of(disk);
	if (sim_hit(d, SIM_TRUNCATE))
		return d->fault.error;
	struct sim_effect *effect = sim_effect_add(d, SIM_SIZE, node_of(d, file));
	effect->pos = bytes;
	sim_effect_end(d, effect);
	sim_changed(d, "a truncation");
	return 0;
}

static int
s_sync(struct pst_disk *disk, int file)
{
	struct sim_disk *d = of(disk);
	bool fail = sim_hit(d, SIM_SYNC);
	sim_sync(d, node_of(d, file), false, d->seq, fail);
	return fail ? d->fault.error : 0;
}

static int
s_rename(struct pst_disk *disk, int dir, const char *from, const char *to)
{
	struct sim_disk *d = of(disk);
	uint32_t top = dir_node(d, dir);
	int64_t node = sim_image_find(d->view, top, from);
	if (sim_hit(d, SIM_RENAME))
		return d->fault.error;
	if (node < 0)
		return -ENOENT;
	struct sim_effect *effect = sim_effect_add(d, SIM_NAMES, top);
	strcpy(effect->from, from);
	strcpy(effect->to, to);
	effect->target = (uint32_t)node;
	sim_effect_end(d, effect);
	sim_changed(d, "a rename");
	return 0;
}

static int
s_unlink(struct pst_disk *disk, int dir, const char *name)
{
	struct sim_disk *d = of(disk);
	uint32_t top = dir_node(d, dir);
	if (sim_hit(d, SIM_UNLINK))
		return d->fault.error;
	if (sim_image_find(d->view, top, name) < 0)
		return -ENOENT;
	struct sim_effect *effect = sim_effect_add(d, SIM_NAMES, top);
	strcpy(effect->from, name);
	sim_effect_end(d, effect);
	sim_changed(d, "a removal");
	return 0;
}

static int
s_stat(struct pst_disk *disk, int file, struct pst_disk_stat *out)
{
	struct sim_disk *d = of(disk);
	uint32_t node = node_of(d, file);
	bool dir = sim_image_is_dir(d->view, node);
	if (sim_hit(d, SIM_STAT))
		return d->fault.error;
	*out = (struct pst_disk_stat){
		.bytes = dir ? 4096 : sim_image_bytes(d->view, node),
		.allocated_bytes = dir ? 4096 : sim_image_blocks(d->view, node) * SIM_BLOCK_BYTES,
		.dev = 1,
		.ino = node,
		.link_cnt = 1,
		.mode = dir ? 040750 : 0100640,
		.mtime_ns = d->now_ns,
	};
	return 0;
}

static int
s_list(struct pst_disk *disk, int dir, int (*visit)(void *arg, const char *name), void *arg)
{
	struct sim_disk *d = of(disk);
	uint32_t node = dir_node(d, dir);
	const char *name;
	int rc = 0;
	if (sim_hit(d, SIM_LIST))
		return d->fault.error;
	for (unsigned i = 0; rc == 0 && (name = sim_image_name(d->view, node, i)); i++)
		rc = visit(arg, name);
	return rc;
}

static int
s_lock(struct pst_disk *disk, int dir, const char *name, int *file)
{
	struct sim_disk *d = of(disk);
	int rc = s_open(disk, dir, name, PST_DISK_WRITE | PST_DISK_CREATE);
	if (rc < 0)
		return rc;
	*file = rc;
	uint32_t node = node_of(d, rc);
	for (int i = 0; i < SIM_FILES_MAX; i++) {
		if (d->files[i].used && d->files[i].locked && d->files[i].node == node)
			return -EWOULDBLOCK;
	}
	d->files[rc - SIM_HANDLE_FIRST].locked = true;
	return 0;
}

static void
s_unlock(struct pst_disk *disk, int file)
{
	if (of(disk)->queues)
		sim_wrong(of(disk), "the lock is given back while a queue is open");
	s_close(disk, file);
}

static long
host_pid(const struct pst_host *host)
{
	return 1;
}

static bool
host_gone(const struct pst_host *host, long pid)
{
	return true;
}

static uint64_t
host_run_id(const struct pst_host *host)
{
	struct sim_disk *d = (struct sim_disk *)((uintptr_t)host - offsetof(struct sim_disk, host));
	return sim_chance(&d->chance);
}

static void
host_sleep_ns(const struct pst_host *host, uint64_t ns)
{
}

struct sim_disk *
sim_disk_new(struct sim_image *image, uint64_t seed)
{
	static struct pst_disk_ops ops;
	struct sim_disk *d = calloc(1, sizeof(*d));
	PST_ASSERT(d);
	ops = sim_queue_ops;
	ops.open = s_open;
	ops.close = s_close;
	ops.mkdir = s_mkdir;
	ops.read = s_read;
	ops.write = s_write;
	ops.allocate = s_allocate;
	ops.truncate = s_truncate;
	ops.sync = s_sync;
	ops.rename = s_rename;
	ops.unlink = s_unlink;
	ops.stat = s_stat;
	ops.list = s_list;
	ops.lock = s_lock;
	ops.unlock = s_unlock;
	d->host = (struct pst_host){
		.pid = host_pid,
		.gone = host_gone,
		.run_id = host_run_id,
		.sleep_ns = host_sleep_ns,
	};
	d->disk = (struct pst_disk){.ops = &ops, .host = &d->host};
	d->durable = image;
	d->view = sim_image_copy(image);
	d->chance = seed;
	d->now_ns = INT64_C(1700000000000000000);
	return d;
}

void
sim_disk_free(struct sim_disk *disk)
{
	while (disk->first)
		sim_effect_remove(disk, disk->first);
	sim_image_free(disk->view);
	sim_image_free(disk->durable);
	free(disk);
}
