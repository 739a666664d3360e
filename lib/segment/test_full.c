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
	cr_assert_eq(fix_close(f), 0);
	fix_expect_no_findings(f, "after the disk was full");
	fix_open(f, &config);
	cr_assert_eq(f->recovery.next_offset, next);
	fix_free(f);
}

Test(full, tmpfs)
{
	char path[128];
	fix_path(path, false);
	if (mount("none", path, "tmpfs", 0, "size=12m") != 0) {
		fix_remove(path);
		cr_skip_test("cannot mount a tmpfs here: %s", strerror(errno));
	}
	run_full(path);
	umount(path);
	fix_remove(path);
}

static bool
shell(const char *fmt, const char *a, const char *b)
{
	char command[512];
	snprintf(command, sizeof(command), fmt, a, b);
	return system(command) == 0;
}

Test(full, ext4_and_xfs)
{
	static const char *const mkfs[] = {"mkfs.ext4 -q %s/image", "mkfs.xfs -q %s/image"};
	for (int i = 0; i < 2; i++) {
		char path[128], mounted[160];
		fix_path(path, false);
		snprintf(mounted, sizeof(mounted), "%s/mnt", path);
		/* xfs wants 300 MiB; the file is sparse. */
		if (!shell("mkdir %s && truncate -s 320M %s/../image", mounted, mounted) ||
			!shell(mkfs[i], path, "") ||
			!shell("mount -o loop %s/image %s 2>/dev/null", path, mounted)) {
			fix_remove(path);
			cr_skip_test("cannot make and mount a loop image here");
		}
		run_full(mounted);
		cr_assert(shell("umount %s%s", mounted, ""));
		fix_remove(path);
	}
}

/* The file system believes that it has room, the device below does not: errors come late. */
Test(full, thin_device)
{
	char path[128], mounted[160];
	fix_path(path, false);
	snprintf(mounted, sizeof(mounted), "%s/mnt", path);
	if (mount("none", path, "tmpfs", 0, "size=24m") != 0) {
		fix_remove(path);
		cr_skip_test("cannot mount a tmpfs here: %s", strerror(errno));
	}
	if (!shell("mkdir %s && truncate -s 200M %s/../image", mounted, mounted) ||
		!shell("mkfs.ext4 -q -O ^has_journal %s/image%s", path, "") ||
		!shell("mount -o loop %s/image %s 2>/dev/null", path, mounted)) {
		umount(path);
		fix_remove(path);
		cr_skip_test("cannot make and mount a loop image here");
	}
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	config.segment_bytes_max = 64 * 1024 * 1024;
	fix_remove(f->path);
	snprintf(f->path, sizeof(f->path), "%.90s/data", mounted);
	fix_open(f, &config);
	bool failed = false;
	for (int i = 0; i < 600; i++) {
		fix_batch(f, 2, 60000, 1000 + i);
		fix_append(f);
		fix_rest(f);
		bool ok = f->result->status[i] == PST_APPEND_DURABLE;
		cr_assert(!(failed && ok), "acknowledged after a failure");
		failed = failed || !ok;
	}
	cr_assert(failed);
	struct pst_log_stats stats;
	pst_log_stats(f->app, f->log_idx, &stats);
	cr_assert(stats.failed);
	cr_assert_lt(fix_close(f), 0);
	snprintf(f->path, sizeof(f->path), "%s", "/nonexistent");
	fix_free(f);
	shell("umount %s%s", mounted, "");
	umount(path);
	fix_remove(path);
}
