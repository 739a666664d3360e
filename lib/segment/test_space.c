/* A disk that is full: what is refused, what goes early, and that it ends by itself. The disk of
 * the test has so many bytes as it is told, at whatever the files have at the time. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "segment/drives/drives.h"
#include "segment/test_fault.h"
#include "segment/test_fixture.h"
#include "segment/verify/verify.h"

#define MIB 1048576u

/* A tmpfs or a filesystem in a file, below the path of f, which is inside of it. */
struct small_disk {
	char path[128], mounted[160];
	bool loop;
};

static bool
shell(const char *fmt, const char *a, const char *b)
{
	char command[512];
	snprintf(command, sizeof(command), fmt, a, b);
	return system(command) == 0;
}

static bool
small_open(struct small_disk *d, const char *kind, struct fix *f)
{
	if (!fix_private_mounts())
		return false;
	fix_path(d->path, false);
	d->loop = strcmp(kind, "tmpfs") != 0;
	snprintf(d->mounted, sizeof(d->mounted), "%s/mnt", d->path);
	bool ok = shell("mkdir %s%s", d->mounted, "");
	if (!d->loop)
		ok = ok && mount("none", d->mounted, "tmpfs", 0, "size=40m") == 0;
	else
		ok = ok &&
		     shell("truncate -s 40M %s/image && mkfs.ext4 -q -m 0 %s/image", d->path,
			     d->path) &&
		     shell("mount -o loop %s/image %s 2>/dev/null", d->path, d->mounted);
	if (!ok) {
		fix_remove(d->path);
		return false;
	}
	fix_remove(f->path);
	snprintf(f->path, sizeof(f->path), "%.90s/data", d->mounted);
	return true;
}

static void
small_close(struct small_disk *d)
{
	cr_assert(shell("umount %s%s", d->mounted, ""));
	fix_remove(d->path);
}

static uint64_t
free_bytes(const struct fix *f)
{
	struct statvfs st;
	cr_assert_eq(statvfs(f->path, &st), 0);
	return st.f_bavail * st.f_frsize;
}

/* Somebody else's file takes all that is left. */
static void
fill(const struct small_disk *d)
{
	static char block[65536];
	char path[256];
	snprintf(path, sizeof(path), "%s/ballast", d->mounted);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	cr_assert(fd >= 0);
	for (size_t n = sizeof(block); n >= 512; n /= 2)
		while (write(fd, block, n) == (ssize_t)n)
			;
	close(fd);
}

static void
unfill(const struct small_disk *d)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/ballast", d->mounted);
	cr_assert_eq(unlink(path), 0);
}

static void
rest_beside_control(struct fix *f)
{
	do {
		pst_appender_flush(f->app);
		fix_poll(f);
		if (pst_datadir_checkpoint_wanted(f->dir))
			cr_assert_eq(pst_datadir_checkpoint(f->dir), 0);
	} while (!pst_appender_idle(f->app));
}

/* A batch of about 120 KB, and what became of it. */
static enum pst_append_status
append_one(struct fix *f)
{
	fix_batch(f, 2, 60000, 1000 + f->taken_cnt);
	fix_append(f);
	rest_beside_control(f);
	enum pst_append_status status = f->result->status[f->taken_cnt - 1];
	if (status == PST_APPEND_DISK_FULL && atomic_load(&f->dir->retain_when_full))
		cr_assert_eq(f->app->logs[f->log_idx]->closed_bytes, 0,
			"refused while something could go");
	f->now_ns += PST_HOUSEKEEPING_NS;
	rest_beside_control(f);
	return status;
}

static struct pst_fullness
space_of(const struct fix *f)
{
	struct pst_fullness space;
	pst_datadir_fullness(f->dir, &space);
	return space;
}

/* Each batch that was acknowledged is there, once, at its offset, unless retention took it. */
static void
expect_stored(struct fix *f)
{
	struct pst_reader *reader;
	struct pst_batch_record record;
	struct pst_diag diag;
	cr_assert_eq(pst_reader_open(f->path, "t", 0, &reader, &diag), 0);
	int64_t next = pst_reader_earliest(reader);
	pst_reader_seek(reader, next);
	for (unsigned i = 0; i < f->taken_cnt; i++) {
		if (f->result->status[i] != PST_APPEND_DURABLE || f->result->base_offset[i] < next)
			continue;
		for (int r = 0; r < 2; r++) {
			cr_assert_eq(pst_reader_next(reader, &record, &diag), PST_READ_RECORD);
			cr_assert_eq(record.offset, next++);
			cr_assert_eq(record.value[0], 'a' + ((int)i + r) % 26);
		}
	}
	cr_assert_eq(pst_reader_latest(reader), next);
	pst_reader_close(reader);
}

static struct pst_log_config
small_segments(void)
{
	struct pst_log_config config = fix_log_config();
	config.segment_bytes_max = 1024 * 1024;
	return config;
}

static uint64_t
file_blocks(const struct fix *f, const char *name)
{
	char path[300];
	struct stat st;
	snprintf(path, sizeof(path), "%s/%s", f->path, name);
	return stat(path, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

static void
run_shed(const char *kind)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = small_segments();
	struct small_disk disk;
	if (!small_open(&disk, kind, f)) {
		fix_free(f);
		cr_skip_test("cannot make and mount a %s here", kind);
	}
	fix_open(f, &config);
	cr_assert_eq(pst_datadir_when_full(f->dir, 2 * MIB, false), 0);
	cr_assert_geq(file_blocks(f, "penstock.reserve"), 2 * MIB);
	for (int i = 0; i < 20; i++)
		cr_assert_eq(append_one(f), PST_APPEND_DURABLE);
	for (unsigned round = 0; round < 3; round++) {
		fill(&disk);
		unsigned refused = 0;
		for (int i = 0; i < 60 && refused < 20; i++)
			refused += append_one(f) == PST_APPEND_DISK_FULL;
		cr_assert_eq(refused, 20, "it was never full");
		cr_assert(space_of(f).full);
		cr_assert_eq(space_of(f).full_cnt, round + 1);
		cr_assert_eq(space_of(f).retired_segment_cnt, 0);
		/* The reserve is there for what is small; new data does not eat it up. */
		cr_assert_lt(file_blocks(f, "penstock.reserve"), MIB);
		cr_assert_geq(free_bytes(f), 3 * MIB / 2);
		cr_assert_eq(pst_datadir_checkpoint(f->dir), 0);
		cr_assert(pst_datadir_watch_space(f->dir), "there is no room yet");
		cr_assert_eq(append_one(f), PST_APPEND_DISK_FULL);
		unfill(&disk);
		cr_assert_eq(append_one(f), PST_APPEND_DISK_FULL, "nobody looked yet");
		cr_assert_not(pst_datadir_watch_space(f->dir));
		cr_assert_geq(file_blocks(f, "penstock.reserve"), 2 * MIB);
		for (int i = 0; i < 12; i++)
			cr_assert_eq(append_one(f), PST_APPEND_DURABLE);
		expect_stored(f);
	}
	/* Closed in order on a full disk: the next start has nothing to mend. */
	fill(&disk);
	while (append_one(f) == PST_APPEND_DURABLE)
		;
	int64_t next = f->app->logs[0]->next_offset;
	cr_assert_eq(fix_close(f), 0);
	fill(&disk);
	fix_expect_no_findings(f, "closed while the disk was full");
	fix_open(f, &config);
	cr_assert(f->recovery.clean);
	cr_assert_eq(f->recovery.next_offset, next);
	cr_assert_eq(pst_datadir_when_full(f->dir, 2 * MIB, false), 0);
	cr_assert(space_of(f).full, "it starts on a full disk, and says so");
	cr_assert_eq(append_one(f), PST_APPEND_DISK_FULL);
	unfill(&disk);
	cr_assert_not(pst_datadir_watch_space(f->dir));
	cr_assert_eq(append_one(f), PST_APPEND_DURABLE);
	expect_stored(f);
	cr_assert_eq(fix_close(f), 0);
	fix_expect_no_findings(f, "after the disk was full");
	small_close(&disk);
	free(f->result);
	free(f);
}

/* Data that are there are started on without a single free byte; a new directory is refused, with
 * the remedy. */
static void
run_start(const char *kind)
{
	struct fix *f = fix_new(false);
	struct small_disk disk;
	struct pst_drives *drives;
	struct pst_diag diag;
	char other[160];
	if (!small_open(&disk, kind, f)) {
		fix_free(f);
		cr_skip_test("cannot make and mount a %s here", kind);
	}
	snprintf(other, sizeof(other), "%.100s/other", disk.mounted);
	const char *paths[] = {f->path};
	struct pst_drives_config config = {.paths = paths, .cnt = 1};
	cr_assert_eq(pst_drives_open(&config, &drives, &diag), 0);
	cr_assert_geq(pst_drives_number(drives, "p", 0, false, &diag), 0);
	pst_drives_close(drives);
	fill(&disk);
	for (int i = 0; i < 2; i++) {
		struct pst_drive_info info;
		cr_assert_eq(pst_drives_open(&config, &drives, &diag), 0, "%s", diag.text);
		pst_drives_info(drives, 0, &info);
		cr_assert_eq(info.state, PST_DRIVE_OK);
		pst_drives_close(drives);
	}
	paths[0] = other;
	cr_assert_eq(pst_drives_open(&config, &drives, &diag), -1);
	cr_assert(strstr(diag.remedy, "space"), "%s: %s", diag.text, diag.remedy);
	/* And with room it goes on as ever. */
	unfill(&disk);
	paths[0] = f->path;
	cr_assert_eq(pst_drives_open(&config, &drives, &diag), 0);
	cr_assert_eq(pst_drives_number(drives, "p", 0, false, &diag), 0);
	pst_drives_close(drives);
	small_close(&disk);
	free(f->result);
	free(f);
}

Test(space, start_on_a_full_tmpfs)
{
	run_start("tmpfs");
}

Test(space, start_on_a_full_ext4)
{
	run_start("ext4");
}

/* Whichever small file finds no space, once: with the reserve it is written after all, no segment
 * lacks anything, and nothing but new data is refused. */
Test(space, every_small_write_finds_no_space_once, .timeout = 100)
{
	unsigned at = 0, reached = 1;
	for (at = 1; reached; at++) {
		struct fix *f = fix_new(true);
		struct fault fault;
		struct pst_log_config config = fix_log_config();
		struct pst_diag diag;
		config.segment_bytes_max = 30000;
		fault_init(&fault);
		fix_open_on(f, &fault.disk, &config);
		cr_assert_eq(pst_datadir_when_full(f->dir, MIB, false), 0);
		fault.calls = FAULT_WRITE | FAULT_OPEN;
		fault.error = -ENOSPC;
		fault.at = at;
		unsigned durable_cnt = 0;
		for (int i = 0; i < 24; i++) {
			fix_batch(f, 2, 3000, 1000 + i);
			fix_append(f);
			fix_rest(f);
			enum pst_append_status status = f->result->status[i];
			durable_cnt += status == PST_APPEND_DURABLE;
			cr_assert(status == PST_APPEND_DURABLE ||
					  (status == PST_APPEND_DISK_FULL && fault.failed_cnt > 0),
				"call %u, batch %d: %d", at, i, status);
			if (i % 4 == 3)
				cr_assert_eq(pst_datadir_checkpoint(f->dir), 0, "call %u", at);
			pst_datadir_watch_space(f->dir);
		}
		cr_assert_geq(durable_cnt, 22, "call %u: %u", at, durable_cnt);
		cr_assert_eq(pst_datadir_partition(f->dir, "p", 0, &diag), 0, "call %u", at);
		cr_assert_eq(fix_close(f), 0, "call %u", at);
		reached = fault.failed_cnt;
		fault.calls = 0;
		fix_expect_no_findings(f, "a small file found no space");
		fix_open(f, &config);
		cr_assert(f->recovery.clean, "call %u", at);
		expect_stored(f);
		fix_free(f);
		fault_fini(&fault);
	}
	cr_assert_gt(at, 40, "only %u calls", at);
}

Test(space, shed_on_tmpfs)
{
	run_shed("tmpfs");
}

Test(space, shed_on_ext4)
{
	run_shed("ext4");
}

static void
run_retain(const char *kind)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = small_segments();
	struct small_disk disk;
	struct pst_log_stats stats;
	if (!small_open(&disk, kind, f)) {
		fix_free(f);
		cr_skip_test("cannot make and mount a %s here", kind);
	}
	fix_open(f, &config);
	cr_assert_eq(pst_datadir_when_full(f->dir, 2 * MIB, true), 0);
	/* Four times the disk: none is refused as long as something old can go. */
	for (int i = 0; i < 1400; i++)
		cr_assert_eq(append_one(f), PST_APPEND_DURABLE, "batch %d", i);
	pst_log_stats(f->app, f->log_idx, &stats);
	cr_assert_not(space_of(f).full);
	cr_assert_eq(stats.disk_full_cnt, 0);
	cr_assert_gt(stats.full_retired_segment_cnt, 100);
	cr_assert_eq(space_of(f).retired_segment_cnt, stats.full_retired_segment_cnt);
	cr_assert_eq(space_of(f).retired_bytes, stats.full_retired_bytes);
	cr_assert_eq(stats.retired_bytes, stats.full_retired_bytes);
	/* What was written is there or was counted as gone, to the byte. */
	cr_assert_eq(stats.log_bytes + stats.retired_bytes, stats.written_bytes);
	/* No more goes than is needed. */
	cr_assert_gt(stats.log_bytes, 24 * MIB);
	expect_stored(f);
	/* Somebody else takes all: everything old goes, only then new batches are refused. */
	unsigned refused = 0;
	for (int i = 0; i < 200 && refused == 0; i++) {
		fill(&disk);
		refused += append_one(f) == PST_APPEND_DISK_FULL;
	}
	pst_log_stats(f->app, f->log_idx, &stats);
	cr_assert_eq(refused, 1);
	cr_assert_eq(stats.segment_cnt, 1);
	cr_assert(space_of(f).full);
	fill(&disk);
	cr_assert(pst_datadir_watch_space(f->dir));
	cr_assert_eq(append_one(f), PST_APPEND_DISK_FULL);
	unfill(&disk);
	cr_assert_not(pst_datadir_watch_space(f->dir));
	for (int i = 0; i < 20; i++)
		cr_assert_eq(append_one(f), PST_APPEND_DURABLE);
	expect_stored(f);
	cr_assert_eq(fix_close(f), 0);
	fix_expect_no_findings(f, "after the disk was full");
	small_close(&disk);
	free(f->result);
	free(f);
}

Test(space, retain_on_tmpfs, .timeout = 100)
{
	run_retain("tmpfs");
}

Test(space, retain_on_ext4, .timeout = 100)
{
	run_retain("ext4");
}
