/* The drives as they are open. Internal to lib/segment. */
#ifndef PST_DRIVE_SET_H
#define PST_DRIVE_SET_H

#include "segment/dir.h"
#include "segment/drives/drive_id.h"

struct pst_drive {
	const char *path;
	struct pst_disk *disk;
	struct pst_datadir *dir;            /* NULL: could not be opened, or must not be */
	_Atomic enum pst_drive_state state; /* telemetry reads, too */
	_Atomic int error;
	uint64_t id;    /* 0: none yet */
	bool has_table; /* its penstock.partitions has all lines */
	char note[256];
};

struct pst_drives {
	uint16_t cnt;
	struct pst_drive drives[PST_DRIVE_SET_MAX];

	struct pst_drive_id list;            /* set, generation, members; id is each drive's own */
	bool missing[PST_DRIVE_MEMBERS_MAX]; /* [member] */
	bool left; /* members left the set: their numbers may be met again */

	struct pst_partition_no *table; /* of all drives */
	uint32_t table_cnt;
};

/* drives_table.c: reads the tables of all usable drives and gives each what it lacks. 0 or -1. */
int pst_drives_table_open(struct pst_drives *drives, struct pst_diag *diag);

/* Whether an error is the drive's, not a mistake of somebody's. */
bool pst_errno_of_drive(int err);

#endif
