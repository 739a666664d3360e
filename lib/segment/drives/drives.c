/* Which directories belong together, and which of them can be used. See drives.h. */
#include "segment/drives/drives.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "segment/drives/drive_set.h"

#define FORGET_REMEDY                                                                              \
	"mount it; or, if it is gone for good, start once with --forget-missing-drives; or set "   \
	"on-failure: continue for all streams"

const char *
pst_drive_state_name(enum pst_drive_state state)
{
	static const char *const names[] = {[PST_DRIVE_OK] = "ok",
		[PST_DRIVE_MISSING] = "missing",
		[PST_DRIVE_FAILED] = "failed"};
	PST_ASSERT(state < PST_ARRAY_CNT(names));
	return names[state];
}

bool
pst_errno_of_drive(int err)
{
	return err == EIO || err == EROFS || err == ENODEV || err == ENXIO || err == ESHUTDOWN ||
	       err == EUCLEAN || err == ESTALE || err == EREMOTEIO;
}

static void __attribute__((format(printf, 2, 3)))
note(struct pst_drive *drive, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(drive->note, sizeof(drive->note), fmt, args);
	va_end(args);
}

/* ---- who belongs to the set ---- */

static int
find_member(const struct pst_drive_id *list, uint64_t id)
{
	for (uint32_t i = 0; i < list->member_cnt; i++)
		if (list->members[i].id == id)
			return (int)i;
	return -1;
}

static bool
add_member(struct pst_drives *drives, uint64_t id, const char *path)
{
	struct pst_drive_id *list = &drives->list;
	if (list->member_cnt == PST_DRIVE_MEMBERS_MAX)
		return false;
	struct pst_drive_member *m = &list->members[list->member_cnt++];
	m->id = id;
	snprintf(m->path, sizeof(m->path), "%s", path);
	return true;
}

/* Takes one drive's file into account. */
static int
join(struct pst_drives *drives, struct pst_drive *drive, const struct pst_drive_id *id,
	struct pst_diag *diag)
{
	struct pst_drive_id *list = &drives->list;
	for (uint16_t i = 0; i < drives->cnt; i++)
		if (drives->drives[i].id == id->id)
			return pst_diag_set(diag, drive->path, 0, NULL, "name one of them",
				"a copy of the data directory %s", drives->drives[i].path);
	if (list->set != 0 && list->set != id->set)
		return pst_diag_set(diag, drive->path, 0, NULL,
			"give it a daemon of its own, or an empty directory in its place",
			"this data directory belongs to another set of drives than those before "
			"it");
	drive->id = id->id;
	if (id->generation > list->generation) {
		*list = *id;
	} else if (list->set == 0) {
		list->set = id->set;
	}
	return 0;
}

/* Reads the file of each; a drive that cannot be read is failed, not refused. */
static int
read_ids(struct pst_drives *drives, struct pst_diag *diag)
{
	struct pst_drive_id *id = malloc(sizeof(*id));
	int result = id ? 0 : pst_diag_set(diag, NULL, 0, NULL, NULL, "out of memory");
	for (uint16_t i = 0; i < drives->cnt && result == 0; i++) {
		struct pst_drive *drive = &drives->drives[i];
		if (drive->state != PST_DRIVE_OK)
			continue;
		int rc = pst_drive_id_read(drive->disk, drive->path, id);
		if (rc == 0)
			result = join(drives, drive, id, diag);
		else if (rc == -EBADMSG)
			result = pst_diag_set(diag, drive->path, 0, PST_DRIVE_ID_NAME,
				"put the file back as it was; without it nobody knows which drives "
				"belong together",
				"damaged");
		else if (pst_errno_of_drive(-rc))
			pst_drives_fail(drives, i, -rc);
		/* Else there is none yet, or opening the directory says what is wrong. */
	}
	free(id);
	return result;
}

/* A drive of the set that was forgotten, or came in when others were away, belongs to it again. */
static void
take_back(struct pst_drives *drives)
{
	for (uint16_t i = 0; i < drives->cnt; i++) {
		struct pst_drive *drive = &drives->drives[i];
		if (drive->id == 0 || find_member(&drives->list, drive->id) >= 0)
			continue;
		if (add_member(drives, drive->id, drive->path))
			note(drive, "belongs to these drives again");
	}
}

static void
find_missing(struct pst_drives *drives)
{
	for (uint32_t m = 0; m < drives->list.member_cnt; m++) {
		drives->missing[m] = true;
		for (uint16_t i = 0; i < drives->cnt; i++)
			if (drives->drives[i].id == drives->list.members[m].id)
				drives->missing[m] = false;
	}
}

static void
forget_missing(struct pst_drives *drives)
{
	struct pst_drive_id *list = &drives->list;
	uint32_t kept = 0;
	for (uint32_t m = 0; m < list->member_cnt; m++) {
		if (drives->missing[m])
			drives->left = true;
		else
			list->members[kept++] = list->members[m];
	}
	list->member_cnt = kept;
	memset(drives->missing, 0, sizeof(drives->missing));
}

static int
first_missing(const struct pst_drives *drives)
{
	for (uint32_t m = 0; m < drives->list.member_cnt; m++)
		if (drives->missing[m])
			return (int)m;
	return -1;
}

/* Refuses to go on without what does not answer or is not there. */
static int
refuse_missing(const struct pst_drives *drives, int missing, struct pst_diag *diag)
{
	for (uint16_t i = 0; i < drives->cnt; i++)
		if (drives->drives[i].state == PST_DRIVE_FAILED)
			return pst_diag_set(diag, drives->drives[i].path, 0, NULL, FORGET_REMEDY,
				"the drive does not answer: %s", strerror(drives->drives[i].error));
	if (missing < 0)
		return 0;
	const struct pst_drive_member *member = &drives->list.members[missing];
	return pst_diag_set(diag, member->path, 0, NULL, FORGET_REMEDY,
		"a drive of this data is missing: %016" PRIx64 ", last seen here", member->id);
}

/* Members that are not there: the policy decides. */
static int
judge_missing(
	struct pst_drives *drives, const struct pst_drives_config *config, struct pst_diag *diag)
{
	find_missing(drives);
	if (config->forget)
		forget_missing(drives);
	int m = first_missing(drives);
	if (!config->may_miss && !config->forget && refuse_missing(drives, m, diag) < 0)
		return -1;
	for (uint16_t i = 0; i < drives->cnt && m >= 0; i++) {
		struct pst_drive *drive = &drives->drives[i];
		const struct pst_drive_member *member = &drives->list.members[m];
		if (drive->id != 0 || drive->state != PST_DRIVE_OK)
			continue;
		drive->state = PST_DRIVE_MISSING;
		note(drive,
			"not used: there is none of our data, and drive %016" PRIx64
			", last seen at %.120s, is missing",
			member->id, member->path);
	}
	return 0;
}

/* ---- open ---- */

static int
ignore_name(void *arg, const char *name)
{
	return 0;
}

struct asked_dir {
	struct pst_disk *disk;
	int dir;
};

static int
list_below(void *arg, const char *name)
{
	const struct asked_dir *top = arg;
	const struct pst_disk_ops *ops = top->disk->ops;
	int dir = ops->open(top->disk, top->dir, name, PST_DISK_DIR);
	if (dir < 0)
		return pst_errno_of_drive(-dir) ? dir : 0;
	int rc = ops->list(top->disk, dir, ignore_name, NULL);
	ops->close(top->disk, dir);
	return rc;
}

/* Whether nothing can be written there, or a directory cannot be read, for a reason that is the
 * drive's. */
static int
ask_drive(const struct pst_drive *drive)
{
	const struct pst_disk_ops *ops = drive->disk->ops;
	int dir = ops->open(drive->disk, PST_DISK_CWD, drive->path, PST_DISK_DIR);
	if (dir < 0)
		return -dir;
	int file = ops->open(drive->disk, dir, PST_LOCK_NAME, PST_DISK_WRITE | PST_DISK_CREATE);
	int rc = file < 0 ? file : ops->sync(drive->disk, file);
	if (file >= 0)
		ops->close(drive->disk, file);
	struct asked_dir top = {drive->disk, dir};
	if (rc == 0)
		rc = ops->list(drive->disk, dir, list_below, &top);
	ops->close(drive->disk, dir);
	return rc < 0 ? -rc : 0;
}

static int
open_dirs(struct pst_drives *drives, const struct pst_drives_config *config, struct pst_diag *diag)
{
	for (uint16_t i = 0; i < drives->cnt; i++) {
		struct pst_drive *drive = &drives->drives[i];
		if (drive->state != PST_DRIVE_OK)
			continue;
		if (pst_datadir_open_on(drive->disk, drive->path, &drive->dir, diag) == 0)
			continue;
		drive->dir = NULL;
		int err = config->may_miss ? pst_drives_ask(drives, i) : 0;
		if (err == 0)
			return -1;
		pst_drives_fail(drives, i, err);
	}
	for (uint16_t i = 0; i < drives->cnt; i++)
		if (pst_drives_usable(drives, i))
			return 0;
	return pst_diag_set(diag, config->paths[0], 0, NULL, "replace the drive, or mount it",
		"no drive is left that data can be stored on%s%s",
		drives->drives[0].error ? ": " : "",
		drives->drives[0].error ? strerror(drives->drives[0].error) : "");
}

/* What is there of a drive that belongs to us stays true, if the disk is too full for the new list:
 * the newest list of all drives counts. */
static int
write_id(struct pst_drives *drives, uint16_t drive_idx, const struct pst_drives_config *config,
	bool is_new, struct pst_diag *diag)
{
	struct pst_drive *drive = &drives->drives[drive_idx];
	drives->list.id = drive->id;
	int rc = pst_drive_id_write(drive->disk, pst_datadir_fd(drive->dir), &drives->list);
	if (rc == 0)
		return 0;
	if (!is_new && pst_errno_full(-rc)) {
		note(drive, "%s stays as it was: the disk is full", PST_DRIVE_ID_NAME);
		return 0;
	}
	if (!config->may_miss || !pst_errno_of_drive(-rc))
		return pst_diag_set(diag, drive->path, 0, PST_DRIVE_ID_NAME,
			pst_errno_full(-rc) ? "free some space" : NULL, "cannot write: %s",
			strerror(-rc));
	pst_drives_fail(drives, drive_idx, -rc);
	return 0;
}

/* New drives get an id, one after the other: a list never names one that does not have it yet. Then
 * all get the whole list. */
static int
write_ids(struct pst_drives *drives, const struct pst_drives_config *config, struct pst_diag *diag)
{
	struct pst_drive_id *list = &drives->list;
	const struct pst_host *host = pst_disk_host(drives->drives[0].disk);
	if (list->set == 0)
		list->set = host->run_id(host) | 1;
	list->generation++;
	for (uint16_t i = 0; i < drives->cnt; i++) {
		struct pst_drive *drive = &drives->drives[i];
		if (!pst_drives_usable(drives, i))
			continue;
		bool is_new = drive->id == 0;
		if (is_new)
			drive->id = host->run_id(host) | 1;
		if (is_new && !add_member(drives, drive->id, drive->path))
			return pst_diag_set(diag, drive->path, 0, NULL,
				"start once with --forget-missing-drives",
				"these data have %d drives: no more fit", PST_DRIVE_MEMBERS_MAX);
		snprintf(list->members[find_member(list, drive->id)].path, PST_DRIVE_PATH_MAX, "%s",
			drive->path);
		if (is_new && write_id(drives, i, config, true, diag) < 0)
			return -1;
	}
	for (uint16_t i = 0; i < drives->cnt; i++)
		if (pst_drives_usable(drives, i) && write_id(drives, i, config, false, diag) < 0)
			return -1;
	return 0;
}

int
pst_drives_open(
	const struct pst_drives_config *config, struct pst_drives **out, struct pst_diag *diag)
{
	PST_ASSERT(config->cnt >= 1 && config->cnt <= PST_DRIVE_SET_MAX);
	struct pst_drives *drives = calloc(1, sizeof(*drives));
	if (!drives)
		return pst_diag_set(diag, NULL, 0, NULL, NULL, "out of memory");
	drives->cnt = config->cnt;
	for (uint16_t i = 0; i < config->cnt; i++) {
		drives->drives[i].path = config->paths[i];
		drives->drives[i].disk = config->disks ? config->disks[i] : pst_disk_real();
		if (config->errors && config->errors[i])
			pst_drives_fail(drives, i, config->errors[i]);
	}
	int rc = read_ids(drives, diag);
	if (rc == 0) {
		take_back(drives);
		rc = judge_missing(drives, config, diag);
	}
	if (rc == 0)
		rc = open_dirs(drives, config, diag);
	if (rc == 0)
		rc = write_ids(drives, config, diag);
	if (rc == 0)
		rc = pst_drives_table_open(drives, diag);
	if (rc < 0) {
		pst_drives_close(drives);
		return -1;
	}
	*out = drives;
	return 0;
}

void
pst_drives_close(struct pst_drives *drives)
{
	for (uint16_t i = 0; i < drives->cnt; i++)
		if (drives->drives[i].dir)
			pst_datadir_close(drives->drives[i].dir);
	free(drives->table);
	free(drives);
}

/* ---- state ---- */

int
pst_drives_ask(const struct pst_drives *drives, uint16_t drive_idx)
{
	int err = ask_drive(&drives->drives[drive_idx]);
	return pst_errno_of_drive(err) ? err : 0;
}

struct pst_datadir *
pst_drives_dir(const struct pst_drives *drives, uint16_t drive_idx)
{
	return drives->drives[drive_idx].dir;
}

void
pst_drives_info(const struct pst_drives *drives, uint16_t drive_idx, struct pst_drive_info *out)
{
	const struct pst_drive *drive = &drives->drives[drive_idx];
	memset(out, 0, sizeof(*out));
	out->state = drive->state;
	out->error = drive->error;
	if (drive->id)
		snprintf(out->id, sizeof(out->id), "%016" PRIx64, drive->id);
	memcpy(out->note, drive->note, sizeof(out->note));
}

bool
pst_drives_missing(const struct pst_drives *drives, unsigned idx, char *text, size_t cap)
{
	for (uint32_t m = 0; m < drives->list.member_cnt; m++) {
		if (!drives->missing[m] || idx-- > 0)
			continue;
		const struct pst_drive_member *member = &drives->list.members[m];
		snprintf(text, cap, "drive %016" PRIx64 ", last seen at %s, is missing", member->id,
			member->path);
		return true;
	}
	return false;
}

void
pst_drives_fail(struct pst_drives *drives, uint16_t drive_idx, int error)
{
	struct pst_drive *drive = &drives->drives[drive_idx];
	if (drive->state == PST_DRIVE_FAILED)
		return;
	drive->error = error ? error : EIO;
	drive->state = PST_DRIVE_FAILED;
}

bool
pst_drives_usable(const struct pst_drives *drives, uint16_t drive_idx)
{
	return drives->drives[drive_idx].dir && drives->drives[drive_idx].state == PST_DRIVE_OK;
}

bool
pst_drives_look(struct pst_drives *drives, uint16_t drive_idx)
{
	struct pst_drive *drive = &drives->drives[drive_idx];
	int err = pst_drives_usable(drives, drive_idx) ? pst_datadir_error(drive->dir) : 0;
	if (err != 0)
		pst_drives_fail(drives, drive_idx, err);
	return err != 0;
}

bool
pst_drives_incomplete(const struct pst_drives *drives)
{
	for (uint16_t i = 0; i < drives->cnt; i++)
		if (!pst_drives_usable(drives, i))
			return true;
	return drives->left || first_missing(drives) >= 0;
}
