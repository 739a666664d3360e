/* Durable ends as live readers see them: shared memory of the daemon, mapped read-only by others.
 *
 *   /dev/shm/penstock-<device>-<inode of the data directory>
 *     header | slot 0 | slot 1 | ...            one slot a partition, never moved or reused
 *
 *   slot: sequence (odd: being written) | next offset | segment base | segment bytes | links | name
 *
 * One thread writes a slot; any process reads it. Blocks are allocated at creation, so that no
 * access can fail on a full memory filesystem. The run id ties the memory to the data directory:
 * it stands in the lock file, too, so that memory left by another directory that had the same
 * inode, or by an earlier run, is not believed. A killed daemon's memory stays true: all that it
 * published was synced before. */
#ifndef PST_LIVE_H
#define PST_LIVE_H

#include "segment/datadir.h"
#include "segment/disk.h"
#include "segment/format.h"

#define PST_LIVE_SLOTS_MAX 4096

struct pst_live; /* a mapping, writer's or reader's */

/* Writer. Replaces what an earlier run left; mode and group follow the data directory's. shared
 * false: private memory, for a simulated disk. 0 or -errno. */
int pst_live_create(
	const struct pst_disk_stat *dir, uint64_t run_id, bool shared, struct pst_live **out);
void pst_live_remove(struct pst_live *live); /* unlinks and unmaps */

/* Writer, control thread: the next slot, filled. Slots must not exceed PST_LIVE_SLOTS_MAX. */
void pst_live_add(struct pst_live *live, const char *name, const struct pst_durable *end);

/* Writer: the one thread that owns the slot. */
void pst_live_publish(struct pst_live *live, uint32_t slot, const struct pst_durable *end);

/* Reader: 0; -ENOENT: none, or not of this run or owner; -errno. */
int pst_live_map(const struct pst_disk_stat *dir, uint32_t owner_uid, uint64_t run_id,
	struct pst_live **out);
void pst_live_unmap(struct pst_live *live);

uint32_t pst_live_cnt(const struct pst_live *live);
int pst_live_find(const struct pst_live *live, const char *name); /* slot or -1 */

/* Consistent copy. False: the writer died, or is held up, in the middle of a change. name may be
 * NULL. */
bool pst_live_read(const struct pst_live *live, uint32_t slot, struct pst_durable *end, char *name);

#endif
