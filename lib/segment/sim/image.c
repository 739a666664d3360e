#include "segment/sim/image.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "batch/batch.h"

struct block {
	unsigned ref_cnt;
	uint8_t written; /* a bit a sector */
	uint8_t data[SIM_BLOCK_BYTES];
};

struct file {
	unsigned ref_cnt;
	uint32_t block_cnt;
	uint64_t bytes, reserved_bytes;
	struct block **blocks; /* NULL: nothing was ever written there */
};

struct entry {
	char name[SIM_NAME_BYTES];
	uint32_t node;
};

struct dir {
	unsigned ref_cnt, cnt;
	uint32_t parent;
	struct entry *entries;
};

struct node {
	struct file *file;
	struct dir *dir;
};

struct sim_image {
	uint32_t node_cnt, node_cap;
	struct node *nodes;
};

/* Whole blocks of zeros are one and the same. */
static struct block zeros = {.ref_cnt = 1, .written = UINT8_MAX};

static void *
take(size_t bytes)
{
	void *memory = calloc(1, bytes);
	PST_ASSERT(memory);
	return memory;
}

static void
block_drop(struct block *block)
{
	if (block && --block->ref_cnt == 0)
		free(block);
}

static void
file_drop(struct file *file)
{
	if (!file || --file->ref_cnt > 0)
		return;
	for (uint32_t i = 0; i < file->block_cnt; i++)
		block_drop(file->blocks[i]);
	free(file->blocks);
	free(file);
}

static void
dir_drop(struct dir *dir)
{
	if (!dir || --dir->ref_cnt > 0)
		return;
	free(dir->entries);
	free(dir);
}

uint32_t
sim_image_node_cnt(const struct sim_image *image)
{
	return image->node_cnt;
}

uint32_t
sim_image_add(struct sim_image *image, bool is_dir, uint32_t parent)
{
	if (image->node_cnt == image->node_cap) {
		image->node_cap = image->node_cap ? 2 * image->node_cap : 32;
		image->nodes = realloc(image->nodes, image->node_cap * sizeof(*image->nodes));
		PST_ASSERT(image->nodes);
	}
	struct node *node = &image->nodes[image->node_cnt];
	*node = (struct node){0};
	if (is_dir) {
		node->dir = take(sizeof(*node->dir));
		node->dir->ref_cnt = 1;
		node->dir->parent = parent;
	} else {
		node->file = take(sizeof(*node->file));
		node->file->ref_cnt = 1;
	}
	return image->node_cnt++;
}

struct sim_image *
sim_image_new(void)
{
	struct sim_image *image = take(sizeof(*image));
	sim_image_add(image, true, 0);
	return image;
}

struct sim_image *
sim_image_copy(const struct sim_image *image)
{
	struct sim_image *copy = take(sizeof(*copy));
	copy->node_cnt = image->node_cnt;
	copy->node_cap = image->node_cnt + 16;
	copy->nodes = take(copy->node_cap * sizeof(*copy->nodes));
	for (uint32_t i = 0; i < image->node_cnt; i++) {
		copy->nodes[i] = image->nodes[i];
		if (copy->nodes[i].file)
			copy->nodes[i].file->ref_cnt++;
		else
			copy->nodes[i].dir->ref_cnt++;
	}
	return copy;
}

void
sim_image_free(struct sim_image *image)
{
	for (uint32_t i = 0; i < image->node_cnt; i++) {
		file_drop(image->nodes[i].file);
		dir_drop(image->nodes[i].dir);
	}
	free(image->nodes);
	free(image);
}

bool
sim_image_is_dir(const struct sim_image *image, uint32_t node)
{
	return image->nodes[node].dir;
}

static const struct dir *
dir_of(const struct sim_image *image, uint32_t node)
{
	PST_ASSERT(node < image->node_cnt && image->nodes[node].dir);
	return image->nodes[node].dir;
}

static const struct file *
file_of(const struct sim_image *image, uint32_t node)
{
	PST_ASSERT(node < image->node_cnt && image->nodes[node].file);
	return image->nodes[node].file;
}

/* The image's own, to be changed. */
static struct dir *
own_dir(struct sim_image *image, uint32_t node)
{
	const struct dir *old = dir_of(image, node);
	if (old->ref_cnt == 1)
		return image->nodes[node].dir;
	struct dir *dir = take(sizeof(*dir));
	*dir = *old;
	dir->ref_cnt = 1;
	dir->entries = take((old->cnt + 1) * sizeof(*dir->entries));
	if (old->cnt)
		memcpy(dir->entries, old->entries, old->cnt * sizeof(*dir->entries));
	image->nodes[node].dir->ref_cnt--;
	image->nodes[node].dir = dir;
	return dir;
}

static struct file *
own_file(struct sim_image *image, uint32_t node)
{
	const struct file *old = file_of(image, node);
	if (old->ref_cnt == 1)
		return image->nodes[node].file;
	struct file *file = take(sizeof(*file));
	*file = *old;
	file->ref_cnt = 1;
	file->blocks = take((old->block_cnt + 1) * sizeof(*file->blocks));
	for (uint32_t i = 0; i < old->block_cnt; i++) {
		file->blocks[i] = old->blocks[i];
		if (file->blocks[i])
			file->blocks[i]->ref_cnt++;
	}
	image->nodes[node].file->ref_cnt--;
	image->nodes[node].file = file;
	return file;
}

static void
reach(struct file *file, uint64_t idx)
{
	if (idx < file->block_cnt)
		return;
	uint32_t cnt = (uint32_t)idx + 1;
	file->blocks = realloc(file->blocks, cnt * sizeof(struct block *));
	PST_ASSERT(file->blocks);
	memset(file->blocks + file->block_cnt, 0, (cnt - file->block_cnt) * sizeof(struct block *));
	file->block_cnt = cnt;
}

static struct block *
own_block(struct file *file, uint64_t idx)
{
	reach(file, idx);
	struct block *old = file->blocks[idx];
	if (old && old->ref_cnt == 1)
		return old;
	struct block *block = take(sizeof(*block));
	if (old) {
		*block = *old;
		old->ref_cnt--;
	}
	block->ref_cnt = 1;
	file->blocks[idx] = block;
	return block;
}

static struct entry *
entry_of(const struct dir *dir, const char *name)
{
	for (unsigned i = 0; i < dir->cnt; i++) {
		if (strcmp(dir->entries[i].name, name) == 0)
			return &dir->entries[i];
	}
	return NULL;
}

int64_t
sim_image_find(const struct sim_image *image, uint32_t node, const char *name)
{
	const struct dir *dir = dir_of(image, node);
	if (strcmp(name, "..") == 0)
		return dir->parent;
	const struct entry *entry = entry_of(dir, name);
	return entry ? (int64_t)entry->node : -1;
}

void
sim_image_set_name(struct sim_image *image, uint32_t node, const char *name, uint32_t to)
{
	struct dir *dir = own_dir(image, node);
	struct entry *entry = entry_of(dir, name);
	if (!entry) {
		dir->entries = realloc(dir->entries, (dir->cnt + 1) * sizeof(*dir->entries));
		PST_ASSERT(dir->entries && strlen(name) < SIM_NAME_BYTES);
		entry = &dir->entries[dir->cnt++];
		strcpy(entry->name, name);
	}
	entry->node = to;
}

void
sim_image_remove_name(struct sim_image *image, uint32_t node, const char *name)
{
	struct dir *dir = own_dir(image, node);
	struct entry *entry = entry_of(dir, name);
	if (entry)
		*entry = dir->entries[--dir->cnt];
}

const char *
sim_image_name(const struct sim_image *image, uint32_t node, unsigned i)
{
	const struct dir *dir = dir_of(image, node);
	return i < dir->cnt ? dir->entries[i].name : NULL;
}

uint64_t
sim_image_bytes(const struct sim_image *image, uint32_t node)
{
	return file_of(image, node)->bytes;
}

uint64_t
sim_image_blocks(const struct sim_image *image, uint32_t node)
{
	const struct file *file = file_of(image, node);
	uint64_t end = pst_max_u64(file->bytes, file->reserved_bytes);
	return (end + SIM_BLOCK_BYTES - 1) / SIM_BLOCK_BYTES;
}

void
sim_image_reserve(struct sim_image *image, uint32_t node, uint64_t bytes)
{
	if (bytes > file_of(image, node)->reserved_bytes)
		own_file(image, node)->reserved_bytes = bytes;
}

void
sim_image_resize(struct sim_image *image, uint32_t node, uint64_t bytes)
{
	struct file *file = own_file(image, node);
	uint64_t keep = (bytes + SIM_BLOCK_BYTES - 1) / SIM_BLOCK_BYTES;
	uint64_t rest = bytes % SIM_BLOCK_BYTES;
	for (uint64_t i = keep; i < file->block_cnt; i++)
		block_drop(file->blocks[i]);
	if (keep < file->block_cnt)
		file->block_cnt = (uint32_t)keep;
	if (rest && keep <= file->block_cnt && file->blocks[keep - 1]) {
		struct block *block = own_block(file, keep - 1);
		memset(block->data + rest, 0, SIM_BLOCK_BYTES - rest);
		block->written &= (uint8_t)((2u << ((rest - 1) / SIM_SECTOR_BYTES)) - 1);
	}
	if (bytes <= file->bytes)
		file->reserved_bytes = 0;
	file->bytes = bytes;
}

uint64_t
sim_image_read(const struct sim_image *image, uint32_t node, void *buf, uint64_t len, uint64_t pos)
{
	const struct file *file = file_of(image, node);
	if (pos >= file->bytes)
		return 0;
	len = pst_min_u64(len, file->bytes - pos);
	for (uint64_t done = 0; done < len;) {
		uint64_t idx = (pos + done) / SIM_BLOCK_BYTES, off = (pos + done) % SIM_BLOCK_BYTES;
		uint64_t n = pst_min_u64(SIM_BLOCK_BYTES - off, len - done);
		const struct block *block = idx < file->block_cnt ? file->blocks[idx] : NULL;
		if (block)
			memcpy((uint8_t *)buf + done, block->data + off, n);
		else
			memset((uint8_t *)buf + done, 0, n);
		done += n;
	}
	return len;
}

void
sim_image_write(struct sim_image *image, uint32_t node, const void *buf, uint64_t len, uint64_t pos)
{
	struct file *file = own_file(image, node);
	for (uint64_t done = 0; done < len;) {
		uint64_t off = (pos + done) % SIM_BLOCK_BYTES;
		uint64_t n = pst_min_u64(SIM_BLOCK_BYTES - off, len - done);
		uint64_t idx = (pos + done) / SIM_BLOCK_BYTES;
		const uint8_t *data = (const uint8_t *)buf + done;
		done += n;
		if (n == SIM_BLOCK_BYTES && memcmp(data, zeros.data, n) == 0) {
			reach(file, idx);
			block_drop(file->blocks[idx]);
			file->blocks[idx] = &zeros;
			zeros.ref_cnt++;
			continue;
		}
		struct block *block = own_block(file, idx);
		memcpy(block->data + off, data, n);
		for (uint64_t s = off / SIM_SECTOR_BYTES; s <= (off + n - 1) / SIM_SECTOR_BYTES;
			s++)
			block->written |= (uint8_t)(1u << s);
	}
}

bool
sim_image_written(const struct sim_image *image, uint32_t node, uint64_t pos)
{
	const struct file *file = file_of(image, node);
	uint64_t idx = pos / SIM_BLOCK_BYTES;
	return idx < file->block_cnt && file->blocks[idx] &&
	       file->blocks[idx]->written >> (pos % SIM_BLOCK_BYTES / SIM_SECTOR_BYTES) & 1;
}

static uint64_t
sum_node(const struct sim_image *image, uint32_t node)
{
	const struct file *file = image->nodes[node].file;
	uint64_t sum = 0;
	if (file) {
		uint8_t block[SIM_BLOCK_BYTES];
		uint64_t n;
		uint32_t crc = 0;
		for (uint64_t pos = 0;
			(n = sim_image_read(image, node, block, sizeof(block), pos)) > 0; pos += n)
			crc = pst_batch_crc32c(crc, block, n);
		return (uint64_t)crc << 32 | (file->bytes & UINT32_MAX);
	}
	const struct dir *dir = image->nodes[node].dir;
	/* A sum, not a chain: the order of the names does not count. */
	for (unsigned i = 0; i < dir->cnt; i++) {
		const char *name = dir->entries[i].name;
		sum += (sum_node(image, dir->entries[i].node) + 1) *
		       (pst_batch_crc32c(0, name, strlen(name)) | 1);
	}
	return sum;
}

uint64_t
sim_image_sum(const struct sim_image *image)
{
	return sum_node(image, 0);
}
