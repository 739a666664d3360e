/* penstock.drive: which drive this is, and which belong together. Internal to lib/segment. */
#ifndef PST_DRIVE_ID_H
#define PST_DRIVE_ID_H

#include "segment/disk.h"
#include "segment/drives/drives.h"

#define PST_DRIVE_ID_NAME "penstock.drive"
/* More than the drives of a set: members that are away keep their place. */
#define PST_DRIVE_MEMBERS_MAX 64
#define PST_DRIVE_PATH_MAX    1024

struct pst_drive_member {
	uint64_t id;
	char path[PST_DRIVE_PATH_MAX]; /* where it was seen last; "" unknown */
};

struct pst_drive_id {
	uint64_t set, id, generation;
	uint32_t member_cnt;
	struct pst_drive_member members[PST_DRIVE_MEMBERS_MAX];
};

/* Reads the file of the directory at path. 0; -ENOENT: no directory, or no file in it; -EBADMSG:
 * not what was written, or not a file that we may read; -errno. */
int pst_drive_id_read(struct pst_disk *disk, const char *path, struct pst_drive_id *out);

/* Replaces the file, synced with its directory. 0 or -errno. */
int pst_drive_id_write(struct pst_disk *disk, int dir, const struct pst_drive_id *id);

#endif
