/* Several data directories that belong together, one on each drive.
 *
 *   <data>/penstock.drive    "penstock drive 1"
 *                            "set <id>"            of the drives that belong together
 *                            "drive <id>"          this one
 *                            "generation <n>"      the list with the highest one counts
 *                            "member <id> <path>"  each of them, and where it was seen last
 *                            "crc <CRC-32C of all before>"
 *
 * Each directory knows all, so that an empty mount point is not taken for a new drive: as long as a
 * member is missing, a directory without an id stays unused.
 *
 * Partition numbers are one space over all of them: every directory's penstock.partitions has all
 * lines. A (port, queue) may have several numbers; the highest is where new partitions go. Control
 * thread only, but for pst_drives_info. */
#ifndef PST_SEGMENT_DRIVES_H
#define PST_SEGMENT_DRIVES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"
#include "segment/datadir.h"

#define PST_DRIVE_SET_MAX 16

struct pst_drives;

enum pst_drive_state {
	PST_DRIVE_OK,
	PST_DRIVE_MISSING, /* there was none of ours at its path at the start */
	PST_DRIVE_FAILED,  /* an error, at the start or since: nothing is stored there any more */
};
const char *pst_drive_state_name(enum pst_drive_state state);

struct pst_drives_config {
	const char *const *paths;      /* 1 .. PST_DRIVE_SET_MAX; live as long as the drives */
	struct pst_disk *const *disks; /* [drive]; NULL: the real one for all */
	uint16_t cnt;
	const int *errors; /* [drive] errno with which it failed before; 0, or NULL for all: none */
	bool may_miss;     /* go on without drives that are missing or fail */
	bool forget;       /* members that are missing leave the set for good */
};

/* Opens and locks every directory, makes ids where there are none, brings the tables of partition
 * numbers to the same state. 0, or -1 with *diag: what pst_datadir_open says, a member is missing
 * and may not, a directory of another set, a copy, tables that contradict each other, no drive
 * left. */
int pst_drives_open(
	const struct pst_drives_config *config, struct pst_drives **out, struct pst_diag *diag);

/* After the appenders are destroyed. */
void pst_drives_close(struct pst_drives *drives);

/* NULL where the drive could not be opened. */
struct pst_datadir *pst_drives_dir(const struct pst_drives *drives, uint16_t drive_idx);

struct pst_drive_info {
	enum pst_drive_state state;
	int error;      /* errno of FAILED */
	char id[17];    /* "" if unknown */
	char note[256]; /* what was found at the start that an operator should know; "" if nothing
			 */
};
void pst_drives_info(
	const struct pst_drives *drives, uint16_t drive_idx, struct pst_drive_info *out);

/* Members that are missing and not in the profile, or whose path is not known to be one of its: a
 * note for each, 0 .. ; false: no more. */
bool pst_drives_missing(const struct pst_drives *drives, unsigned idx, char *note, size_t cap);

/* Whether it can be written, by trying: 0, or an errno that is the drive's own. */
int pst_drives_ask(const struct pst_drives *drives, uint16_t drive_idx);

/* Nothing more is stored there. Keeps the first error. */
void pst_drives_fail(struct pst_drives *drives, uint16_t drive_idx, int error);

bool pst_drives_usable(const struct pst_drives *drives, uint16_t drive_idx);

/* Looks whether an appender met an error there since: true for one that was OK, and is failed now.
 */
bool pst_drives_look(struct pst_drives *drives, uint16_t drive_idx);

/* Where a partition of the topic for (port, queue) is: the highest number of the queue that has a
 * directory on a usable drive. Returns 1 with drive and number, 0: none, -1 with *diag: on two
 * drives, or unreadable. */
int pst_drives_find(struct pst_drives *drives, const char *topic, const char *port, uint16_t queue,
	uint16_t *drive_idx, uint32_t *partition, struct pst_diag *diag);

/* The usable drive that has this partition; as pst_drives_find. */
int pst_drives_where(struct pst_drives *drives, const char *topic, uint32_t partition,
	uint16_t *drive_idx, struct pst_diag *diag);

/* The number for a partition that is to begin: the queue's highest, or one more than any, synced on
 * the drives, if fresh is set or the queue has none. A fresh one is needed where the same number
 * may be in use on a drive that is away. Returns it, or -1 with *diag: no drive took it. */
int64_t pst_drives_number(struct pst_drives *drives, const char *port, uint16_t queue, bool fresh,
	struct pst_diag *diag);

/* Whether partitions may be somewhere that cannot be looked at. */
bool pst_drives_incomplete(const struct pst_drives *drives);

/* The drive for a partition that begins: usable ones that have the whole table, in turn. -1: none.
 */
int pst_drives_deal(const struct pst_drives *drives, unsigned turn);

#endif
