#include "segment/live.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

#define LIVE_MAGIC   UINT64_C(0x3345564c54534e50) /* "PNSTLVE3" */
#define LIVE_RETRIES 1000
#define LINK_WORDS   (PST_LINK_BYTES / 8)

struct live_slot {
	PST_CACHE_ALIGNED _Atomic uint64_t sequence;
	_Atomic int64_t next_offset;
	_Atomic int64_t segment_base;
	_Atomic uint64_t segment_bytes;
	_Atomic uint64_t first[LINK_WORDS], link[LINK_WORDS];
	_Atomic bool linked;
	char name[PST_LOG_DIR_NAME_BYTES]; /* before the slot is counted; then constant */
};
static_assert(sizeof(struct live_slot) == 320, "shared layout");

struct live_map {
	PST_CACHE_ALIGNED uint64_t magic;
	uint64_t run_id;
	_Atomic uint32_t slot_cnt; /* control thread of the daemon writes, all read */
	struct live_slot slots[PST_LIVE_SLOTS_MAX];
};
static_assert(sizeof(struct live_map) == 64 + 320 * PST_LIVE_SLOTS_MAX, "shared layout");

struct pst_live {
	struct live_map *map;
	char path[64]; /* "" if private */
};

static void
store_link(_Atomic uint64_t to[LINK_WORDS], const struct pst_link *link)
{
	uint64_t words[LINK_WORDS];
	memcpy(words, link->sha256, sizeof(words));
	for (unsigned i = 0; i < LINK_WORDS; i++)
		atomic_store_explicit(&to[i], words[i], memory_order_relaxed);
}

static void
load_link(struct pst_link *link, const _Atomic uint64_t from[LINK_WORDS])
{
	uint64_t words[LINK_WORDS];
	for (unsigned i = 0; i < LINK_WORDS; i++)
		words[i] = atomic_load_explicit(&from[i], memory_order_relaxed);
	memcpy(link->sha256, words, sizeof(words));
}

static void
live_path(char path[64], const struct pst_disk_stat *dir)
{
	snprintf(path, 64, "/dev/shm/penstock-%" PRIu64 "-%" PRIu64, dir->dev, dir->ino);
}

/* Opens a fresh shared file with all its blocks. */
static int
create_file(const char *path, const struct pst_disk_stat *dir)
{
	if (unlink(path) != 0 && errno != ENOENT)
		return -errno;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int rc = posix_fallocate(fd, 0, sizeof(struct live_map));
	/* Who may read the directory may read the marks. Without the right to give the file to the
	 * directory's group, the group is left out. */
	if (rc == 0) {
		mode_t readers = dir->mode & 044;
		if (fchown(fd, (uid_t)-1, (gid_t)dir->gid) != 0)
			readers &= 04;
		if (fchmod(fd, 0600 | readers) != 0)
			rc = errno;
	}
	if (rc != 0) {
		unlink(path);
		close(fd);
		return -rc;
	}
	return fd;
}

int
pst_live_create(
	const struct pst_disk_stat *dir, uint64_t run_id, bool shared, struct pst_live **out)
{
	struct pst_live *live = calloc(1, sizeof(*live));
	if (!live)
		return -ENOMEM;
	int fd = -1;
	if (shared) {
		live_path(live->path, dir);
		fd = create_file(live->path, dir);
		if (fd < 0) {
			free(live);
			return fd;
		}
	}
	void *map = mmap(NULL, sizeof(struct live_map), PROT_READ | PROT_WRITE,
		shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, fd, 0);
	int err = errno;
	if (fd >= 0)
		close(fd);
	if (map == MAP_FAILED) {
		if (shared)
			unlink(live->path);
		free(live);
		return -err;
	}
	live->map = map;
	live->map->run_id = run_id;
	/* Last: a reader that maps the file before this sees no magic and does without. */
	__atomic_store_n(&live->map->magic, LIVE_MAGIC, __ATOMIC_RELEASE);
	*out = live;
	return 0;
}

void
pst_live_unmap(struct pst_live *live)
{
	munmap(live->map, sizeof(struct live_map));
	free(live);
}

void
pst_live_remove(struct pst_live *live)
{
	if (live->path[0])
		unlink(live->path);
	pst_live_unmap(live);
}

void
pst_live_add(struct pst_live *live, const char *name, const struct pst_durable *end)
{
	uint32_t slot = atomic_load_explicit(&live->map->slot_cnt, memory_order_relaxed);
	PST_ASSERT(slot < PST_LIVE_SLOTS_MAX);
	snprintf(live->map->slots[slot].name, PST_LOG_DIR_NAME_BYTES, "%s", name);
	pst_live_publish(live, slot, end);
	/* Pairs with the acquire in pst_live_cnt: whoever counts the slot sees its name. */
	atomic_store_explicit(&live->map->slot_cnt, slot + 1, memory_order_release);
}

void
pst_live_publish(struct pst_live *live, uint32_t slot, const struct pst_durable *end)
{
	struct live_slot *s = &live->map->slots[slot];
	uint64_t sequence = atomic_load_explicit(&s->sequence, memory_order_relaxed);
	atomic_store_explicit(&s->sequence, sequence + 1, memory_order_relaxed);
	/* The odd number is seen before any new field: pairs with the reader's acquire fence. */
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&s->next_offset, end->next_offset, memory_order_relaxed);
	atomic_store_explicit(&s->segment_base, end->segment_base, memory_order_relaxed);
	atomic_store_explicit(&s->segment_bytes, end->segment_bytes, memory_order_relaxed);
	atomic_store_explicit(&s->linked, end->linked, memory_order_relaxed);
	store_link(s->first, &end->first);
	store_link(s->link, &end->link);
	/* All fields are seen before the even number: pairs with the reader's first load. */
	atomic_store_explicit(&s->sequence, sequence + 2, memory_order_release);
}

int
pst_live_map(
	const struct pst_disk_stat *dir, uint32_t owner_uid, uint64_t run_id, struct pst_live **out)
{
	struct pst_live *live = calloc(1, sizeof(*live));
	if (!live)
		return -ENOMEM;
	live_path(live->path, dir);
	int rc = -ENOENT;
	struct stat st;
	int fd = open(live->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		rc = -errno;
		goto fail;
	}
	/* /dev/shm is everybody's: only the owner of the lock file may speak for the log. */
	if (fstat(fd, &st) != 0 || st.st_uid != owner_uid ||
		st.st_size != sizeof(struct live_map) || !S_ISREG(st.st_mode))
		goto fail;
	live->map = mmap(NULL, sizeof(struct live_map), PROT_READ, MAP_SHARED, fd, 0);
	if (live->map == MAP_FAILED) {
		rc = -errno;
		goto fail;
	}
	close(fd);
	if (__atomic_load_n(&live->map->magic, __ATOMIC_ACQUIRE) != LIVE_MAGIC ||
		live->map->run_id != run_id) {
		pst_live_unmap(live);
		return -ENOENT;
	}
	*out = live;
	return 0;
fail:
	if (fd >= 0)
		close(fd);
	free(live);
	return rc;
}

uint32_t
pst_live_cnt(const struct pst_live *live)
{
	uint32_t cnt = atomic_load_explicit(&live->map->slot_cnt, memory_order_acquire);
	return cnt <= PST_LIVE_SLOTS_MAX ? cnt : PST_LIVE_SLOTS_MAX;
}

int
pst_live_find(const struct pst_live *live, const char *name)
{
	uint32_t cnt = pst_live_cnt(live);
	for (uint32_t i = 0; i < cnt; i++) {
		if (strncmp(live->map->slots[i].name, name, PST_LOG_DIR_NAME_BYTES) == 0)
			return (int)i;
	}
	return -1;
}

bool
pst_live_read(const struct pst_live *live, uint32_t slot, struct pst_durable *end, char *name)
{
	struct live_slot *s = &live->map->slots[slot];
	for (int i = 0; i < LIVE_RETRIES; i++) {
		uint64_t before = atomic_load_explicit(&s->sequence, memory_order_acquire);
		struct pst_durable copy = {
			.next_offset = atomic_load_explicit(&s->next_offset, memory_order_relaxed),
			.segment_base = atomic_load_explicit(
				&s->segment_base, memory_order_relaxed),
			.segment_bytes = atomic_load_explicit(
				&s->segment_bytes, memory_order_relaxed),
			.linked = atomic_load_explicit(&s->linked, memory_order_relaxed),
		};
		load_link(&copy.first, s->first);
		load_link(&copy.link, s->link);
		/* Pairs with the writer's release fence: had a field been new, so is sequence. */
		atomic_thread_fence(memory_order_acquire);
		uint64_t after = atomic_load_explicit(&s->sequence, memory_order_relaxed);
		if (before == after && (before & 1) == 0) {
			*end = copy;
			if (name)
				snprintf(name, PST_LOG_DIR_NAME_BYTES, "%.*s",
					PST_LOG_DIR_NAME_BYTES - 1, s->name);
			return true;
		}
		if (i > 10)
			sched_yield();
	}
	return false;
}
