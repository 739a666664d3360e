/* The data directory: who may write it, which partitions it has, what is durable.
 *
 *   <data>/
 *     penstock.lock        flock held by the daemon
 *     penstock.partitions  "<port> <queue> <partition>" a line, replaced as a whole
 *     penstock.drive       which drives belong together, see drives.h
 *     penstock.reserve     blocks kept for a full disk; empty while it is full
 *     penstock.durable     two alternating slots with CRC: durable end of each partition
 *     <stream>-<partition>/<20-digit base offset>.{log,index,timeindex,seal}
 *
 * Live readers see the durable end of a running daemon's partitions in shared memory
 * (/dev/shm/penstock-<device>-<inode of the data directory>), under a sequence lock. */
#ifndef PST_DATADIR_H
#define PST_DATADIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"

struct pst_datadir;
struct pst_disk;

#define PST_LINK_BYTES 32

/* A link of the hash chain over a partition's batches, see seal.h. */
struct pst_link {
	uint8_t sha256[PST_LINK_BYTES];
};

/* The durable end of a partition: all below is synced. */
struct pst_durable {
	int64_t next_offset;    /* of the next event */
	int64_t segment_base;   /* base offset of the segment that next_offset will go to */
	uint64_t segment_bytes; /* durable bytes of that segment's .log */
	bool linked;            /* the partition is sealed, and the links are known: */
	struct pst_link first;  /* the chain's before that segment's first batch */
	struct pst_link link;   /* and at the end */
};

/* Opens (creating it, mode 0750, if missing) and locks the directory. Control thread, before any
 * device. Returns 0 or -1 with *diag: not a directory, foreign (has files but none of ours), not
 * writable, read-only filesystem, locked by another daemon (its pid is said), symlink. */
int pst_datadir_open(const char *path, struct pst_datadir **out, struct pst_diag *diag);
int pst_datadir_open_on(struct pst_disk *disk, const char *path, struct pst_datadir **out,
	struct pst_diag *diag); /* on a disk of the caller's, see disk.h */
/* After the appenders are destroyed. Marks the logs that were closed as such: the next start need
 * not check them. */
void pst_datadir_close(struct pst_datadir *dir);

/* Writes the durable ends to disk and syncs them. Control thread: every second, and soon when a
 * rolled segment makes it worth while (wanted). 0 or -errno: recovery will have more to scan, but
 * nothing is lost. */
int pst_datadir_checkpoint(struct pst_datadir *dir);
bool pst_datadir_checkpoint_wanted(const struct pst_datadir *dir);

/* Cap for all partitions together; 0 (the default): none. The oldest closed segments go first. */
void pst_datadir_retain(struct pst_datadir *dir, uint64_t bytes);

/* errno of the first failure that ended a log or the whole directory; 0: none. Any thread. */
int pst_datadir_error(const struct pst_datadir *dir);

/* Bytes of all its partitions' logs. Any thread. */
uint64_t pst_datadir_log_bytes(const struct pst_datadir *dir);

/* Of the filesystem it is on: all, and what can be written still. 0: unknown. Any thread. */
void pst_datadir_space(const struct pst_datadir *dir, uint64_t *space_bytes, uint64_t *free_bytes);

/* Control thread, after the partitions were added: what is done when the disk is full. Keeps a
 * reserve of so many bytes for what must be written then: indexes, seals, markers; 0: none. retain:
 * the oldest closed segments go early, and only when none is left are new batches refused; else
 * they are refused at once. 0, or -errno: this filesystem reserves nothing, and there is no
 * reserve. */
int pst_datadir_when_full(struct pst_datadir *dir, uint64_t reserve_bytes, bool retain);

/* Control thread, every second: finds out whether there is space again. True: the disk is full. */
bool pst_datadir_watch_space(struct pst_datadir *dir);

/* Any thread. */
struct pst_fullness {
	bool full;                                   /* no new batch is taken */
	uint64_t full_cnt;                           /* times it became full */
	uint64_t retired_segment_cnt, retired_bytes; /* removed early to make room */
};
void pst_datadir_fullness(const struct pst_datadir *dir, struct pst_fullness *out);

int pst_datadir_fd(const struct pst_datadir *dir);
int pst_datadir_lock_fd(const struct pst_datadir *dir); /* to be registered in every io_uring */

/* Partition number of (port, queue), the highest that it has; assigned on first sight and synced to
 * disk; never renumbered. Returns it, or -1 with *diag. For several directories see drives.h. */
int pst_datadir_partition(
	struct pst_datadir *dir, const char *port, uint16_t queue, struct pst_diag *diag);

#endif
