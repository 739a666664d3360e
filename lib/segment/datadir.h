/* The data directory: who may write it, which partitions it has, what is durable.
 *
 *   <data>/
 *     penstock.lock        flock held by the daemon
 *     penstock.partitions  "<port> <queue> <partition>" a line, append only, synced
 *     penstock.durable     two alternating slots with CRC: durable end of each partition
 *     <stream>-<partition>/<20-digit base offset>.{log,index,timeindex}
 *
 * Live readers see the durable end of a running daemon's partitions in shared memory
 * (/dev/shm/penstock-<device>-<inode of the data directory>), under a sequence lock. */
#ifndef PST_DATADIR_H
#define PST_DATADIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"

struct pst_datadir;

/* The durable end of a partition: all below is synced. */
struct pst_durable {
	int64_t next_offset;    /* of the next event */
	int64_t segment_base;   /* base offset of the segment that next_offset will go to */
	uint64_t segment_bytes; /* durable bytes of that segment's .log */
};

/* Opens (creating it, mode 0750, if missing) and locks the directory. Control thread, before any
 * device. Returns 0 or -1 with *diag: not a directory, foreign (has files but none of ours), not
 * writable, read-only filesystem, locked by another daemon (its pid is said), symlink. */
int pst_datadir_open(const char *path, struct pst_datadir **out, struct pst_diag *diag);
void pst_datadir_close(struct pst_datadir *dir); /* writes the clean marker if all was closed */

int pst_datadir_fd(const struct pst_datadir *dir);
int pst_datadir_lock_fd(const struct pst_datadir *dir); /* to be registered in every io_uring */

/* Partition number of (port, queue), assigned on first sight and synced to disk; never
 * renumbered. Returns it, or -1 with *diag. */
int pst_datadir_partition(
	struct pst_datadir *dir, const char *port, uint16_t queue, struct pst_diag *diag);

#endif
