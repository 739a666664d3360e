/* Which directories belong together, and where partitions are. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "segment/drives/drive_id.h"
#include "segment/drives/drives.h"
#include "segment/test_fault.h"
#include "segment/test_fixture.h"

#define DRIVES 3

struct set {
	char top[128];
	char paths[DRIVES][160];
	const char *list[DRIVES];
	struct pst_drives_config config;
	struct pst_drives *drives;
	struct pst_diag diag;
};

static void
set_init(struct set *s)
{
	memset(s, 0, sizeof(*s));
	fix_path(s->top, false);
	for (int d = 0; d < DRIVES; d++) {
		snprintf(s->paths[d], sizeof(s->paths[d]), "%s/%c", s->top, 'a' + d);
		s->list[d] = s->paths[d];
	}
	s->config = (struct pst_drives_config){.paths = s->list, .cnt = DRIVES};
}

static int
try_open(struct set *s)
{
	s->diag = (struct pst_diag){0};
	return pst_drives_open(&s->config, &s->drives, &s->diag);
}

static void
open_close(struct set *s)
{
	cr_assert_eq(try_open(s), 0, "%s: %s", s->diag.file, s->diag.text);
	pst_drives_close(s->drives);
}

static void
refused(struct set *s, const char *file, const char *text)
{
	cr_assert_eq(try_open(s), -1, "accepted");
	cr_assert_str_eq(s->diag.file, file);
	cr_assert(strstr(s->diag.text, text), "%s", s->diag.text);
	cr_assert_gt(strlen(s->diag.remedy), 0);
}

static void
move_away(const struct set *s, int drive, const char *to)
{
	char path[192];
	snprintf(path, sizeof(path), "%s/%s", s->top, to);
	cr_assert_eq(rename(s->paths[drive], path), 0);
}

static void
move_back(const struct set *s, int drive, const char *from)
{
	char path[192];
	snprintf(path, sizeof(path), "%s/%s", s->top, from);
	cr_assert_eq(rename(path, s->paths[drive]), 0);
}

static void
make_partition(const struct set *s, int drive, const char *name)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", s->paths[drive], name);
	cr_assert_eq(mkdir(path, 0755), 0);
}

static void
put(const struct set *s, int drive, const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", s->paths[drive], name);
	FILE *f = fopen(path, "w");
	cr_assert(f);
	fputs(text, f);
	fclose(f);
}

Test(drives, know_each_other)
{
	struct set s;
	struct pst_drive_id id[DRIVES];

	set_init(&s);
	open_close(&s);
	open_close(&s);
	for (int d = 0; d < DRIVES; d++) {
		cr_assert_eq(pst_drive_id_read(pst_disk_real(), s.paths[d], &id[d]), 0);
		cr_assert_eq(id[d].member_cnt, DRIVES);
		cr_assert_eq(id[d].set, id[0].set);
		cr_assert_eq(id[d].generation, 2);
		cr_assert_eq(id[d].id, id[0].members[d].id);
		cr_assert_str_eq(id[0].members[d].path, s.paths[d]);
	}
	cr_assert(id[0].id != id[1].id && id[1].id != id[2].id);
	fix_remove(s.top);
}

Test(drives, one_that_is_missing_is_refused)
{
	struct set s;

	set_init(&s);
	open_close(&s);
	move_away(&s, 1, "away");
	refused(&s, s.paths[1], "is missing");
	cr_assert_neq(access(s.paths[1], F_OK), 0, "nothing was made");
	cr_assert_eq(mkdir(s.paths[1], 0755), 0); /* the mount point */
	refused(&s, s.paths[1], "is missing");
	cr_assert_eq(rmdir(s.paths[1]), 0, "still empty");
	/* Not in the profile any more is missing, too. */
	s.list[1] = s.paths[2];
	s.config.cnt = 2;
	refused(&s, s.paths[1], "is missing");
	s.list[1] = s.paths[1];
	s.config.cnt = 3;
	move_back(&s, 1, "away");
	open_close(&s);
	fix_remove(s.top);
}

Test(drives, go_on_without_it_and_take_it_back)
{
	struct set s;
	struct pst_drive_info info;
	char note[256];

	set_init(&s);
	open_close(&s);
	move_away(&s, 1, "away");
	cr_assert_eq(mkdir(s.paths[1], 0755), 0);
	s.config.may_miss = true;
	cr_assert_eq(try_open(&s), 0, "%s", s.diag.text);
	cr_assert(pst_drives_incomplete(s.drives));
	cr_assert(pst_drives_usable(s.drives, 0) && !pst_drives_usable(s.drives, 1));
	pst_drives_info(s.drives, 1, &info);
	cr_assert_eq(info.state, PST_DRIVE_MISSING);
	cr_assert(strstr(info.note, "not used"));
	cr_assert(pst_drives_missing(s.drives, 0, note, sizeof(note)));
	cr_assert(!pst_drives_missing(s.drives, 1, note, sizeof(note)));
	for (unsigned turn = 0; turn < 6; turn++)
		cr_assert_neq(pst_drives_deal(s.drives, turn), 1);
	/* What it does not learn now, it learns when it is back. */
	cr_assert_eq(pst_drives_number(s.drives, "lo", 0, false, &s.diag), 0);
	cr_assert_eq(pst_drives_number(s.drives, "lo", 0, true, &s.diag), 1);
	pst_drives_close(s.drives);
	cr_assert_eq(rmdir(s.paths[1]), 0, "still empty");
	move_back(&s, 1, "away");
	cr_assert_eq(try_open(&s), 0, "%s", s.diag.text);
	cr_assert(!pst_drives_incomplete(s.drives));
	cr_assert_eq(pst_datadir_partition(pst_drives_dir(s.drives, 1), "lo", 0, &s.diag), 1);
	cr_assert_eq(pst_drives_number(s.drives, "lo", 1, false, &s.diag), 2);
	pst_drives_close(s.drives);
	fix_remove(s.top);
}

Test(drives, forgotten_ones_are_not_expected)
{
	struct set s;

	set_init(&s);
	open_close(&s);
	move_away(&s, 2, "away");
	s.config.cnt = 2;
	s.config.forget = true;
	cr_assert_eq(try_open(&s), 0, "%s", s.diag.text);
	cr_assert(pst_drives_incomplete(s.drives), "its numbers may be met again");
	pst_drives_close(s.drives);
	s.config.forget = false;
	cr_assert_eq(try_open(&s), 0, "%s", s.diag.text);
	cr_assert(!pst_drives_incomplete(s.drives));
	pst_drives_close(s.drives);
	/* It belongs to them still when it comes back. */
	move_back(&s, 2, "away");
	s.config.cnt = 3;
	struct pst_drive_info info;
	cr_assert_eq(try_open(&s), 0, "%s", s.diag.text);
	pst_drives_info(s.drives, 2, &info);
	cr_assert(strstr(info.note, "again"));
	pst_drives_close(s.drives);
	fix_remove(s.top);
}

Test(drives, strangers_and_copies_are_refused)
{
	struct set s, other;
	char command[512];

	set_init(&s);
	set_init(&other);
	open_close(&s);
	open_close(&other);
	s.list[2] = other.paths[2];
	refused(&s, other.paths[2], "another set");
	snprintf(command, sizeof(command), "rm -r %s && cp -r %s %s", other.paths[2], s.paths[1],
		other.paths[2]);
	cr_assert_eq(system(command), 0);
	refused(&s, other.paths[2], "a copy of");
	s.list[2] = s.paths[2];
	put(&s, 1, PST_DRIVE_ID_NAME, "penstock drive 1\n");
	refused(&s, s.paths[1], "damaged");
	fix_remove(s.top);
	fix_remove(other.top);
}

Test(drives, harm_to_any_byte_of_the_id_is_noticed)
{
	struct set s;
	struct pst_drive_id id;
	char path[256], text[4096];

	set_init(&s);
	open_close(&s);
	snprintf(path, sizeof(path), "%s/%s", s.paths[0], PST_DRIVE_ID_NAME);
	FILE *f = fopen(path, "r");
	size_t len = fread(text, 1, sizeof(text), f);
	fclose(f);
	for (size_t at = 0; at <= len; at++) {
		char harmed[4096];
		memcpy(harmed, text, len);
		if (at < len)
			harmed[at] ^= 4;
		f = fopen(path, "w");
		cr_assert_eq(fwrite(harmed, 1, len, f), len);
		fclose(f);
		int rc = pst_drive_id_read(pst_disk_real(), s.paths[0], &id);
		cr_assert_eq(rc, at < len ? -EBADMSG : 0, "byte %zu", at);
	}
	for (size_t cut = 0; cut < len; cut++) {
		cr_assert_eq(truncate(path, (off_t)(len - 1 - cut)), 0);
		cr_assert_eq(pst_drive_id_read(pst_disk_real(), s.paths[0], &id), -EBADMSG);
	}
	fix_remove(s.top);
}

/* The queue's highest number with a directory, wherever that is. */
Test(drives, partitions_are_found_where_they_are)
{
	struct set s;
	uint16_t drive = 9;
	uint32_t partition = 9;

	set_init(&s);
	cr_assert_eq(try_open(&s), 0);
	cr_assert_eq(pst_drives_find(s.drives, "t", "lo", 0, &drive, &partition, &s.diag), 0);
	cr_assert_eq(pst_drives_number(s.drives, "lo", 0, false, &s.diag), 0);
	cr_assert_eq(pst_drives_number(s.drives, "lo", 1, false, &s.diag), 1);
	cr_assert_eq(pst_drives_number(s.drives, "lo", 0, true, &s.diag), 2);
	cr_assert_eq(pst_drives_number(s.drives, "lo", 0, false, &s.diag), 2);
	make_partition(&s, 1, "t-0");
	make_partition(&s, 0, "t-1"); /* of another queue */
	make_partition(&s, 0, "u-2"); /* of another topic */
	cr_assert_eq(pst_drives_find(s.drives, "t", "lo", 0, &drive, &partition, &s.diag), 1);
	cr_assert(drive == 1 && partition == 0);
	make_partition(&s, 2, "t-2");
	cr_assert_eq(pst_drives_find(s.drives, "t", "lo", 0, &drive, &partition, &s.diag), 1);
	cr_assert(drive == 2 && partition == 2);
	pst_drives_fail(s.drives, 2, EIO);
	cr_assert_eq(pst_drives_find(s.drives, "t", "lo", 0, &drive, &partition, &s.diag), 1);
	cr_assert(drive == 1 && partition == 0);
	make_partition(&s, 0, "t-0");
	cr_assert_eq(pst_drives_find(s.drives, "t", "lo", 0, &drive, &partition, &s.diag), -1);
	cr_assert(strstr(s.diag.text, "t-0"));
	pst_drives_close(s.drives);
	fix_remove(s.top);
}

Test(drives, tables_that_contradict_each_other_are_refused)
{
	struct set s;

	set_init(&s);
	open_close(&s);
	put(&s, 0, "penstock.partitions", "lo 0 0\nlo 1 1\nlo 0 4\n");
	put(&s, 1, "penstock.partitions", "lo 2 3\n");
	cr_assert_eq(try_open(&s), 0, "%s", s.diag.text);
	for (uint16_t d = 0; d < DRIVES; d++) {
		cr_assert_eq(
			pst_datadir_partition(pst_drives_dir(s.drives, d), "lo", 0, &s.diag), 4);
		cr_assert_eq(
			pst_datadir_partition(pst_drives_dir(s.drives, d), "lo", 2, &s.diag), 3);
	}
	cr_assert_eq(pst_drives_number(s.drives, "lo", 9, false, &s.diag), 5);
	pst_drives_close(s.drives);
	put(&s, 1, "penstock.partitions", "lo 2 1\n");
	refused(&s, s.paths[1], "partition 1 is that of lo queue 2 here");
	fix_remove(s.top);
}

/* Every call of a start fails once, for ever, on one of the drives: refused with a text, or, where
 * that may be, gone on without; never a drive that is used without knowing all. */
static void
every_call_of_a_start(bool may_miss)
{
	for (unsigned n = 1;; n++) {
		struct set s;
		struct fault fault;
		set_init(&s);
		open_close(&s);
		fault_init(&fault);
		fault.calls = FAULT_ANY;
		fault.at = n;
		fault.for_ever = true;
		fault.error = -EIO;
		struct pst_disk *disks[DRIVES] = {pst_disk_real(), &fault.disk, pst_disk_real()};
		s.config.disks = disks;
		s.config.may_miss = may_miss;
		int rc = try_open(&s);
		bool reached = fault.failed_cnt > 0;
		if (rc == 0) {
			cr_assert(may_miss || !reached, "call %u", n);
			cr_assert_eq(pst_drives_usable(s.drives, 1), !reached, "call %u", n);
			cr_assert_eq(pst_drives_number(s.drives, "lo", 0, true, &s.diag), 0);
			pst_drives_close(s.drives);
		} else {
			cr_assert(reached && !may_miss, "call %u: %s", n, s.diag.text);
			cr_assert_neq(s.diag.text[0], '\0');
		}
		s.config.disks = NULL;
		s.config.may_miss = false;
		open_close(&s);
		fault_fini(&fault);
		fix_remove(s.top);
		if (!reached) {
			cr_assert_gt(n, 10);
			break;
		}
	}
}

Test(drives, a_start_on_a_drive_that_fails_is_refused)
{
	every_call_of_a_start(false);
}

Test(drives, a_start_goes_on_without_a_drive_that_fails)
{
	every_call_of_a_start(true);
}
