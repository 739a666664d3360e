/* Numbers of partitions, one space over all drives: each has every line. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "segment/drives/drive_set.h"
#include "segment/log.h"

static const struct pst_partition_no *
find_number(const struct pst_partition_no *table, uint32_t cnt, uint32_t partition)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (table[i].partition == partition)
			return &table[i];
	return NULL;
}

static bool
table_add(struct pst_drives *drives, const struct pst_partition_no *no)
{
	struct pst_partition_no *grown = realloc(
		drives->table, (drives->table_cnt + 1) * sizeof(*grown));
	if (!grown)
		return false;
	drives->table = grown;
	grown[drives->table_cnt++] = *no;
	return true;
}

/* One drive's lines: those that are new, and none that says something else. */
static int
merge(struct pst_drives *drives, const struct pst_drive *drive, struct pst_diag *diag)
{
	for (uint32_t i = 0; i < drive->dir->partition_cnt; i++) {
		const struct pst_partition_no *its = &drive->dir->partitions[i];
		const struct pst_partition_no *known = find_number(
			drives->table, drives->table_cnt, its->partition);
		if (!known) {
			if (!table_add(drives, its))
				return pst_diag_set(diag, NULL, 0, NULL, NULL, "out of memory");
			continue;
		}
		if (known->queue != its->queue || strcmp(known->port, its->port) != 0)
			return pst_diag_set(diag, drive->path, 0, "penstock.partitions",
				"these drives were written by different daemons: give each a "
				"daemon "
				"of its own",
				"partition %" PRIu32
				" is that of %s queue %u here, and of %s queue %u on another drive",
				its->partition, its->port, its->queue, known->port, known->queue);
	}
	return 0;
}

/* A drive that does not take the line keeps its old partitions and gets no new ones. */
static void
tell(struct pst_drives *drives, uint16_t drive_idx, const struct pst_partition_no *no)
{
	struct pst_drive *drive = &drives->drives[drive_idx];
	int rc = pst_partitions_append(drive->dir, no);
	if (rc == 0)
		return;
	drive->has_table = false;
	if (!pst_errno_passes(-rc))
		pst_drives_fail(drives, drive_idx, -rc);
}

int
pst_drives_table_open(struct pst_drives *drives, struct pst_diag *diag)
{
	for (uint16_t i = 0; i < drives->cnt; i++)
		if (pst_drives_usable(drives, i) && merge(drives, &drives->drives[i], diag) < 0)
			return -1;
	for (uint16_t i = 0; i < drives->cnt; i++) {
		struct pst_drive *drive = &drives->drives[i];
		drive->has_table = pst_drives_usable(drives, i);
		for (uint32_t e = 0; e < drives->table_cnt && drive->has_table; e++)
			if (!find_number(drive->dir->partitions, drive->dir->partition_cnt,
				    drives->table[e].partition))
				tell(drives, i, &drives->table[e]);
	}
	return 0;
}

/* 1: the partition has a directory on the drive, 0: not, or -1 with *diag. */
static int
has_partition(struct pst_drives *drives, uint16_t drive_idx, const char *topic, uint32_t partition,
	struct pst_diag *diag)
{
	const struct pst_drive *drive = &drives->drives[drive_idx];
	char name[PST_LOG_DIR_NAME_BYTES];
	pst_log_dir_name(name, topic, partition);
	int dir = drive->disk->ops->open(
		drive->disk, pst_datadir_fd(drive->dir), name, PST_DISK_DIR);
	if (dir >= 0) {
		drive->disk->ops->close(drive->disk, dir);
		return 1;
	}
	if (dir == -ENOENT)
		return 0;
	return pst_diag_set(
		diag, drive->path, 0, name, NULL, "cannot open the partition: %s", strerror(-dir));
}

int
pst_drives_where(struct pst_drives *drives, const char *topic, uint32_t partition,
	uint16_t *drive_idx, struct pst_diag *diag)
{
	int found = 0;
	for (uint16_t i = 0; i < drives->cnt; i++) {
		if (!pst_drives_usable(drives, i))
			continue;
		int rc = has_partition(drives, i, topic, partition, diag);
		if (rc < 0)
			return -1;
		if (rc == 0)
			continue;
		if (found)
			return pst_diag_set(diag, drives->drives[i].path, 0, NULL,
				"move one of them out of its data directory",
				"partition %s-%" PRIu32 " is here and in %.300s", topic, partition,
				drives->drives[*drive_idx].path);
		found = 1;
		*drive_idx = i;
	}
	return found;
}

int
pst_drives_find(struct pst_drives *drives, const char *topic, const char *port, uint16_t queue,
	uint16_t *drive_idx, uint32_t *partition, struct pst_diag *diag)
{
	int64_t best = -1;
	for (uint32_t i = 0; i < drives->table_cnt; i++) {
		const struct pst_partition_no *no = &drives->table[i];
		uint16_t at = 0;
		if (no->queue != queue || strcmp(no->port, port) != 0 || no->partition <= best)
			continue;
		int rc = pst_drives_where(drives, topic, no->partition, &at, diag);
		if (rc < 0)
			return -1;
		if (rc > 0) {
			best = no->partition;
			*partition = no->partition;
			*drive_idx = at;
		}
	}
	return best >= 0;
}

int64_t
pst_drives_number(struct pst_drives *drives, const char *port, uint16_t queue, bool fresh,
	struct pst_diag *diag)
{
	struct pst_partition_no no;
	uint64_t next;
	bool taken = false;
	int64_t newest = pst_partitions_newest(
		drives->table, drives->table_cnt, port, queue, &next);
	if (newest >= 0 && !fresh)
		return newest;
	if (pst_partition_no_set(&no, port, queue, next, diag) < 0)
		return -1;
	if (!table_add(drives, &no))
		return pst_diag_set(diag, NULL, 0, NULL, NULL, "out of memory");
	for (uint16_t i = 0; i < drives->cnt; i++) {
		if (pst_drives_usable(drives, i) && drives->drives[i].has_table)
			tell(drives, i, &no);
		taken |= pst_drives_usable(drives, i) && drives->drives[i].has_table;
	}
	if (!taken)
		return pst_diag_set(diag, "penstock.partitions", 0, NULL,
			"replace the drives that failed, or make room",
			"no drive took the number of a new partition");
	return (int64_t)next;
}

int
pst_drives_deal(const struct pst_drives *drives, unsigned turn)
{
	uint16_t usable[PST_DRIVE_SET_MAX], cnt = 0;
	for (uint16_t i = 0; i < drives->cnt; i++)
		if (pst_drives_usable(drives, i) && drives->drives[i].has_table)
			usable[cnt++] = i;
	return cnt ? usable[turn % cnt] : -1;
}
