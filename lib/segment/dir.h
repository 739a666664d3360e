/* The data directory as the appenders of this process see it. Internal to lib/segment. */
#ifndef PST_DIR_H
#define PST_DIR_H

#include <limits.h>
#include <stdatomic.h>

#include "base/base.h"
#include "segment/durable.h"

#define PST_APPENDERS_MAX 64
#define PST_LOCK_NAME     "penstock.lock"

struct pst_partition_no {
	char port[64];
	uint16_t queue;
	uint32_t partition;
};

/* One appender's view of its own closed segments, for the directory's cap and for a full disk: the
 * appender writes, the others read. */
struct pst_dir_oldest {
	PST_CACHE_ALIGNED _Atomic int64_t
		max_ts_ms;       /* of the oldest that may go; INT64_MAX: none */
	_Atomic uint64_t due_ns; /* until then (wall clock) one is waited for that may go soon */
};

struct pst_datadir {
	struct pst_disk *disk;
	char path[PATH_MAX];
	int fd;
	int lock_file;
	uint64_t run_id;
	bool marks_lost; /* there was a file of marks, and it could not be used */

	/* Control thread. Mark i is slot i of the live memory. */
	struct pst_live *live;
	struct pst_durable_file durable;
	struct pst_mark *marks;
	bool *claimed; /* an appender of this run has the partition */
	uint32_t mark_cnt;
	/* Base offset of the segment in which mark i lies on disk: the control thread writes,
	 * appenders read. Of the segments before it no start has to know anything. */
	_Atomic int64_t *kept_bases;

	struct pst_partition_no *partitions;
	uint32_t partition_cnt;

	/* Appenders write, each a part; all read. */
	_Atomic bool failed;            /* a sync failed: nothing is stored here any more */
	_Atomic int error;              /* errno of the first failure that does not pass; 0 */
	_Atomic bool checkpoint_wanted; /* a segment was rolled */
	_Atomic uint64_t log_bytes;
	_Atomic uint64_t retain_bytes; /* cap; 0: none */
	_Atomic uint32_t appender_cnt;

	/* A full disk, see space.c. The control thread writes the first three (retain_when_full
	 * before the appenders run); the rest are the appenders', and full and reserved of all. */
	uint64_t reserve_bytes; /* 0: none */
	int reserve_file;
	_Atomic bool retain_when_full;
	_Atomic bool full;             /* no new data is written */
	_Atomic bool reserved;         /* penstock.reserve has its blocks */
	_Atomic bool room_wanted;      /* the oldest closed segment is to go */
	_Atomic uint32_t retiring_cnt; /* segments that are being removed */
	_Atomic uint64_t room_made;    /* removals that have ended */
	_Atomic uint64_t full_cnt, full_retired_segment_cnt, full_retired_bytes;
	struct pst_dir_oldest oldest[PST_APPENDERS_MAX];
};

/* Control thread. Takes the partition for an appender: its slot, and *mark if one is known (true
 * in *known). -1 with *diag: taken already, or too many. */
int pst_dir_claim(struct pst_datadir *dir, const char *name, struct pst_mark *mark, bool *known,
	struct pst_diag *diag);

void pst_dir_unclaim(struct pst_datadir *dir, int slot);

/* Control thread, after recovery: the slot's end is this, and no longer clean. A checkpoint must
 * follow before the first append. */
void pst_dir_recovered(struct pst_datadir *dir, int slot, const struct pst_durable *end);

/* Any thread: notes the first error that ended a log or this directory. */
void pst_dir_error(struct pst_datadir *dir, int err);

/* Control thread: the log was closed with this end. */
void pst_dir_closed(struct pst_datadir *dir, int slot, const struct pst_mark *mark);

/* space.c: makes penstock.reserve, empty: 0 or -errno. */
int pst_dir_open_reserve(struct pst_datadir *dir);
void pst_dir_close_reserve(struct pst_datadir *dir);
/* Any thread, after a write of something small failed with err (positive): gives the reserve back
 * if that helps. True: try it again. */
bool pst_dir_give_reserve(struct pst_datadir *dir, int err);
bool pst_errno_full(int err);

/* Numbers of partitions: penstock.partitions, which the first one makes. */
int pst_partitions_open(struct pst_datadir *dir, struct pst_diag *diag);
void pst_partitions_close(struct pst_datadir *dir);
/* Adds a line, synced. 0 or -errno. */
int pst_partitions_append(struct pst_datadir *dir, const struct pst_partition_no *no);
/* 0 or -1 with *diag: no such port's name, no number left. */
int pst_partition_no_set(struct pst_partition_no *no, const char *port, uint16_t queue,
	uint64_t partition, struct pst_diag *diag);
/* The highest number of (port, queue), or -1; *next: one more than any. */
int64_t pst_partitions_newest(const struct pst_partition_no *table, uint32_t cnt, const char *port,
	uint16_t queue, uint64_t *next);

/* Run id in the lock file, 0 if none is readable; *pid likewise. */
uint64_t pst_lock_read(struct pst_disk *disk, int file, long *pid);

#endif
