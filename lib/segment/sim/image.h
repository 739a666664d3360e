/* What a disk in memory holds: directories, files, bytes. Copies share what they have in common
 * (counted, copied when one of them changes it), so that thousands of them are cheap. One thread.
 *
 * A node is a file or a directory and is known by its number, the same in all copies; node 0 is the
 * root. A file's sectors (512 bytes) that were never written read as zeros and are told apart. */
#ifndef SIM_IMAGE_H
#define SIM_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_SECTOR_BYTES 512u
#define SIM_BLOCK_BYTES  4096u
#define SIM_NAME_BYTES   80

struct sim_image;

struct sim_image *sim_image_new(void);
struct sim_image *sim_image_copy(const struct sim_image *image);
void sim_image_free(struct sim_image *image);

uint32_t sim_image_node_cnt(const struct sim_image *image);
/* A node without a name. dir: a directory, whose ".." is parent. */
uint32_t sim_image_add(struct sim_image *image, bool dir, uint32_t parent);
bool sim_image_is_dir(const struct sim_image *image, uint32_t node);

/* Node of a name in a directory, -1 if there is none. */
int64_t sim_image_find(const struct sim_image *image, uint32_t dir, const char *name);
void sim_image_set_name(struct sim_image *image, uint32_t dir, const char *name, uint32_t node);
void sim_image_remove_name(struct sim_image *image, uint32_t dir, const char *name);
/* The i-th name; NULL behind the last. Until the directory is changed. */
const char *sim_image_name(const struct sim_image *image, uint32_t dir, unsigned i);

uint64_t sim_image_bytes(const struct sim_image *image, uint32_t file);
uint64_t sim_image_blocks(const struct sim_image *image, uint32_t file); /* written or reserved */
void sim_image_reserve(struct sim_image *image, uint32_t file, uint64_t bytes);
/* Bytes beyond the size are gone, and with shrinking what is reserved. */
void sim_image_resize(struct sim_image *image, uint32_t file, uint64_t bytes);
/* Fewer than len only at the end. */
uint64_t sim_image_read(
	const struct sim_image *image, uint32_t file, void *buf, uint64_t len, uint64_t pos);
/* Does not change the size. */
void sim_image_write(
	struct sim_image *image, uint32_t file, const void *buf, uint64_t len, uint64_t pos);
bool sim_image_written(const struct sim_image *image, uint32_t file, uint64_t pos);

/* A sum over all names and bytes that can be reached. */
uint64_t sim_image_sum(const struct sim_image *image);

#endif
