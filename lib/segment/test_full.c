/* Disks that are really full: small file systems, and one on a device with less than it claims. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include "segment/test_fixture.h"

static void
fill(const char *dir, const char *name)
{
	static char block[65536];
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	while (write(fd, block, sizeof(block)) > 0)
		;
	close(fd);
}

/* Where a test mounted something, and what it mounted in there. The mounts are this process's own,
 * and go with it whatever becomes of it. */
static char mounted[128], mounted_in[160];

static bool
mount_tmpfs(const char *size)
{
	char options[32];
	fix_path(mounted, false);
	snprintf(options, sizeof(options), "size=%s", size);
	return fix_private_mounts() && mount("none", mounted, "tmpfs", 0, options) == 0;
}

static void
remove_mounted(void)
{
	if (mounted_in[0])
		umount2(mounted_in, MNT_DETACH);
	if (mounted[0]) {
		umount2(mounted, MNT_DETACH);
		fix_remove(mounted);
	}
}

/* Each batch that was acknowledged is there, at its offset. The loop device says of a write that
 * the file below took only in part that it is complete, and syncs it (seen on 6.18): with swallows,
 * the batch right before one that failed may be found damaged, which no program can know
 * beforehand. */
static void
expect_durable(struct fix *f, bool swallows)
{
	struct pst_reader *reader;
	struct pst_batch_record record;
	struct pst_diag diag;
	cr_assert_eq(pst_reader_open(f->path, "t", 0, &reader, &diag), 0);
	for (unsigned i = 0; i < f->taken_cnt; i++) {
		if (f->result->status[i] != PST_APPEND_DURABLE)
			continue;
		pst_reader_seek(reader, f->result->base_offset[i]);
		enum pst_read_result r = pst_reader_next(reader, &record, &diag);
		if (r == PST_READ_DAMAGE && swallows && i + 1 < f->taken_cnt &&
			f->result->status[i + 1] != PST_APPEND_DURABLE)
			continue;
		cr_assert_eq(r, PST_READ_RECORD, "%u: %s", i, diag.text);
		cr_assert_eq(record.offset, f->result->base_offset[i]);
		cr_assert_eq(record.value[0], 'a' + (int)i % 26, "batch %u", i);
	}
	pst_reader_close(reader);
}

/* Fills the file system, appends until a batch fails, makes room, goes on. */
static void
run_full(const char *mount_path)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	char ballast[256];
	fix_remove(f->path);
	snprintf(f->path, sizeof(f->path), "%.90s/data", mount_path);
	fix_open(f, &config);
	for (int i = 0; i < 20; i++) {
		fix_batch(f, 2, 9000, 1000 + i);
		fix_append(f);
		fix_rest(f);
	}
	fill(mount_path, "ballast");
	unsigned failed = 0;
	for (int i = 0; i < 300 && failed < 5; i++) {
		fix_batch(f, 2, 60000, 2000 + i);
		fix_append(f);
		fix_rest(f);
		failed += f->result->status[f->taken_cnt - 1] == PST_APPEND_DISK_FULL;
	}
	struct pst_log_stats stats;
	pst_log_stats(f->app, f->log_idx, &stats);
	cr_assert_eq(failed, 5, "the disk was never full");
	cr_assert_not(stats.failed);
	snprintf(ballast, sizeof(ballast), "%s/ballast", mount_path);
	unlink(ballast);
	for (int i = 0; i < 20; i++) {
		fix_batch(f, 2, 9000, 3000 + i);
		fix_append(f);
		fix_rest(f);
		cr_assert_eq(f->result->status[f->taken_cnt - 1], PST_APPEND_DURABLE);
	}
	int64_t next = 0;
	for (unsigned i = 0; i < f->taken_cnt; i++) {
		if (f->result->status[i] != PST_APPEND_DURABLE)
			continue;
		cr_assert_eq(f->result->base_offset[i], next, "an offset was left out");
		next += 2;
	}
	expect_durable(f, false);
	cr_assert_eq(fix_close(f), 0);
	fix_expect_no_findings(f, "after the disk was full");
	fix_open(f, &config);
	cr_assert_eq(f->recovery.next_offset, next);
	fix_free(f);
}

static bool
shell(const char *fmt, const char *a, const char *b)
{
	char command[512];
	snprintf(command, sizeof(command), fmt, a, b);
	return system(command) == 0;
}

Test(full, tmpfs, .fini = remove_mounted)
{
	if (!mount_tmpfs("12m"))
		cr_skip_test("cannot mount a tmpfs here: %s", strerror(errno));
	run_full(mounted);
}

Test(full, ext4_and_xfs, .fini = remove_mounted)
{
	static const char *const mkfs[] = {"mkfs.ext4 -q %s/image", "mkfs.xfs -q %s/image"};
	if (!fix_private_mounts())
		cr_skip_test("no mounts of our own here: %s", strerror(errno));
	for (int i = 0; i < 2; i++) {
		fix_path(mounted, false);
		snprintf(mounted_in, sizeof(mounted_in), "%s/mnt", mounted);
		/* xfs wants 300 MiB; the file is sparse. */
		if (!shell("mkdir %s && truncate -s 320M %s/../image", mounted_in, mounted_in) ||
			!shell(mkfs[i], mounted, "") ||
			!shell("mount -o loop %s/image %s 2>/dev/null", mounted, mounted_in))
			cr_skip_test("cannot make and mount a loop image here");
		run_full(mounted_in);
		cr_assert(shell("umount %s%s", mounted_in, ""));
		fix_remove(mounted);
	}
}

/* The file system believes that it has room, the device below does not: errors come late, and which
 * ones is the kernel's choice: ENOSPC, which passes, or EIO, which is final, of a write or of a
 * sync. What holds for all: nothing is acknowledged after a final one, and what was acknowledged
 * is there. */
Test(full, thin_device, .fini = remove_mounted)
{
	char image[160];
	if (!mount_tmpfs("24m"))
		cr_skip_test("cannot mount a tmpfs here: %s", strerror(errno));
	snprintf(image, sizeof(image), "%s/image", mounted);
	snprintf(mounted_in, sizeof(mounted_in), "%s/mnt", mounted);
	if (!shell("mkdir %s && truncate -s 200M %s", mounted_in, image) ||
		!shell("mkfs.ext4 -q -O ^has_journal %s%s", image, "") ||
		!shell("mount -o loop %s %s 2>/dev/null", image, mounted_in))
		cr_skip_test("cannot make and mount a loop image here");
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	config.segment_bytes_max = 64 * 1024 * 1024;
	fix_remove(f->path);
	snprintf(f->path, sizeof(f->path), "%.90s/data", mounted_in);
	fix_open(f, &config);
	unsigned full_cnt = 0, final_cnt = 0, durable_cnt = 0;
	for (int i = 0; i < 600; i++) {
		fix_batch(f, 2, 60000, 1000 + i);
		fix_append(f);
		fix_rest(f);
		bool ok = f->result->status[i] == PST_APPEND_DURABLE;
		cr_assert(!(final_cnt > 0 && ok), "acknowledged after a final failure");
		durable_cnt += ok;
		full_cnt += f->result->status[i] == PST_APPEND_DISK_FULL;
		final_cnt += !ok && f->result->status[i] != PST_APPEND_DISK_FULL;
	}
	cr_assert_gt(full_cnt + final_cnt, 0, "the device was never full");
	cr_assert_gt(durable_cnt, 50);
	struct pst_log_stats stats;
	pst_log_stats(f->app, f->log_idx, &stats);
	cr_assert_eq(stats.failed, final_cnt > 0);
	expect_durable(f, true);
	int rc = fix_close(f);
	cr_assert(final_cnt == 0 || rc < 0, "closed in order after a final failure");
	snprintf(f->path, sizeof(f->path), "%s", "/nonexistent");
	fix_free(f);
}
