/* Durable ends as they are kept on disk, for recovery and for readers when no daemon runs.
 *
 *   penstock.durable:  | slot 0                      | slot 1                      |
 *                      | header | mark | mark | ...  | header | mark | mark | ...  |
 *
 * Each checkpoint writes the older slot and syncs it; the slot with the higher generation whose
 * CRC is right counts. Both are allocated at creation, so a full disk cannot stop a checkpoint.
 * A start first writes the slot that it read once more, where it was: what it read may be in the
 * page cache alone, and the older slot the last that is on the drive. A mark is a lower bound: all
 * below it was synced when it was taken. Little-endian. */
#ifndef PST_DURABLE_H
#define PST_DURABLE_H

#include "segment/live.h"

#define PST_DURABLE_NAME "penstock.durable"

struct pst_mark {
	char name[PST_LOG_DIR_NAME_BYTES];
	struct pst_durable end;
	bool unset; /* nobody knows its end yet: not kept, so that nobody takes it for empty */
	/* The log was closed: nothing lies behind end, its indexes are complete, and the rest of
	 * this struct says how they go on. */
	bool clean;
	uint32_t index_cnt;
	uint32_t timeindex_cnt; /* without the entry that closing may have added */
	struct pst_index_state index;
};

struct pst_durable_file {
	struct pst_disk *disk;
	int file;
	uint64_t generation; /* of the last slot written or read */
	uint8_t *slot;       /* image to be written */
	bool failed;         /* a sync failed: never again */
};

/* Opens (creating it) for checkpoints. 0 or -errno. */
int pst_durable_open(struct pst_disk *disk, int dir, struct pst_durable_file *out);
void pst_durable_close(struct pst_durable_file *file);

/* Writes the other slot and syncs it. 0 or -errno. */
int pst_durable_write(struct pst_durable_file *file, const struct pst_mark *marks, uint32_t cnt);

/* Whether its last name is gone: what is written is found by no start. */
bool pst_durable_removed(const struct pst_durable_file *file);

/* Reads the newest good slot into marks (cap PST_LIVE_SLOTS_MAX). 0; -ENOENT: no file; -EBADMSG:
 * neither slot is good; -errno. generation may be NULL. */
int pst_durable_load(struct pst_disk *disk, int dir, struct pst_mark *marks, uint32_t *cnt,
	uint64_t *generation);

/* The mark of one partition. -ESRCH: the file is good and has none. */
int pst_durable_lookup(struct pst_disk *disk, int dir, const char *name, struct pst_mark *mark);

#endif
