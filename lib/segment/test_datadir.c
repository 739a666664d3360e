#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "segment/test_fixture.h"

static struct pst_datadir *
open_dir(const char *path)
{
	struct pst_datadir *dir;
	struct pst_diag diag;
	if (pst_datadir_open(path, &dir, &diag) < 0)
		cr_assert_fail("%s", diag.text);
	return dir;
}

static void
expect_refused(const char *path, const char *text)
{
	struct pst_datadir *dir = NULL;
	struct pst_diag diag;
	cr_assert_eq(pst_datadir_open(path, &dir, &diag), -1, "%s should be refused", path);
	cr_assert_null(dir);
	cr_assert(strstr(diag.text, text), "\"%s\" says nothing of \"%s\"", diag.text, text);
	cr_assert(diag.remedy[0], "no remedy for: %s", diag.text);
}

static void
put_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	cr_assert(f);
	fputs(text, f);
	fclose(f);
}

Test(datadir, is_made_if_missing)
{
	char top[128], path[160];
	struct stat st;
	fix_path(top, false);
	snprintf(path, sizeof(path), "%s/data", top);
	pst_datadir_close(open_dir(path));
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0750);
	pst_datadir_close(open_dir(path));
	snprintf(path, sizeof(path), "%s/no/data", top);
	expect_refused(path, "cannot make");
	fix_remove(top);
}

Test(datadir, foreign_directories_are_refused)
{
	char path[128], other[160];
	fix_path(path, false);
	put_file(path, "thesis.tex", "");
	expect_refused(path, "thesis.tex");
	snprintf(other, sizeof(other), "%s/thesis.tex", path);
	expect_refused(other, "not a directory");
	snprintf(other, sizeof(other), "%s/link", path);
	cr_assert_eq(symlink("/tmp", other), 0);
	expect_refused(other, "symbolic link");
	unlink(other);
	/* A mount point's own directory is no one's; and what is ours stays ours. */
	snprintf(other, sizeof(other), "%s/thesis.tex", path);
	unlink(other);
	snprintf(other, sizeof(other), "%s/lost+found", path);
	cr_assert_eq(mkdir(other, 0700), 0);
	pst_datadir_close(open_dir(path));
	put_file(path, "README", "");
	pst_datadir_close(open_dir(path));
	fix_remove(path);
}

Test(datadir, a_second_daemon_is_refused)
{
	char path[128], text[64];
	fix_path(path, false);
	struct pst_datadir *dir = open_dir(path);
	snprintf(text, sizeof(text), "in use by another penstockd, pid %ld", (long)getpid());
	expect_refused(path, text);
	pid_t child = fork();
	if (child == 0) {
		struct pst_datadir *second;
		struct pst_diag diag;
		_exit(pst_datadir_open(path, &second, &diag) == -1 ? 0 : 1);
	}
	int status;
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
	pst_datadir_close(dir);
	pst_datadir_close(open_dir(path));
	fix_remove(path);
}

/* The lock's holder is killed, and its last writes end so many waits later. */
struct killed {
	struct pst_host host;
	struct pst_datadir *dir;
	unsigned wait_cnt, last_wait_cnt;
};

static bool
killed_gone(const struct pst_host *host, long pid)
{
	return true;
}

static void
killed_sleep_ns(const struct pst_host *host, uint64_t ns)
{
	struct killed *k = (struct killed *)(uintptr_t)host;
	if (++k->wait_cnt == k->last_wait_cnt)
		pst_datadir_close(k->dir);
}

static int
open_behind_killed(const char *path, unsigned last_wait_cnt, struct killed *k,
	struct pst_datadir **dir, struct pst_diag *diag)
{
	struct pst_disk disk = *pst_disk_real();
	*k = (struct killed){.host = *pst_host_real(), .last_wait_cnt = last_wait_cnt};
	k->host.gone = killed_gone;
	k->host.sleep_ns = killed_sleep_ns;
	k->dir = open_dir(path);
	disk.host = &k->host;
	int rc = pst_datadir_open_on(&disk, path, dir, diag);
	if (rc == 0)
		pst_datadir_close(*dir);
	return rc;
}

Test(datadir, last_writes_of_a_killed_daemon_are_waited_for)
{
	char path[128];
	struct pst_datadir *dir;
	struct pst_diag diag;
	struct killed k;
	fix_path(path, false);
	cr_assert_eq(open_behind_killed(path, 3000, &k, &dir, &diag), 0);
	cr_assert_eq(k.wait_cnt, 3000);
	/* Not for ever. */
	cr_assert_eq(open_behind_killed(path, UINT_MAX, &k, &dir, &diag), -1);
	cr_assert(strstr(diag.text, "do not end"), "%s", diag.text);
	pst_datadir_close(k.dir);
	fix_remove(path);
}

Test(datadir, a_read_only_filesystem_is_refused)
{
	char path[128], data[160];
	fix_path(path, false);
	if (mount("none", path, "tmpfs", 0, "size=16m") != 0) {
		fix_remove(path);
		cr_skip_test("cannot mount a tmpfs here: %s", strerror(errno));
	}
	snprintf(data, sizeof(data), "%s/data", path);
	pst_datadir_close(open_dir(data));
	cr_assert_eq(mount("none", path, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	expect_refused(data, "read-only");
	umount(path);
	fix_remove(path);
}

/* The marks for live readers have their memory before anybody writes one: there is no room for a
 * signal later. */
Test(datadir, full_shared_memory_is_refused)
{
	char path[128];
	if (!fix_private_mounts() || mount("none", "/dev/shm", "tmpfs", 0, "size=64k") != 0)
		cr_skip_test("cannot mount a tmpfs here: %s", strerror(errno));
	fix_path(path, false);
	expect_refused(path, "/dev/shm): No space left on device");
	fix_remove(path);
}

Test(datadir, partitions_keep_their_numbers)
{
	char path[128], file[160];
	struct pst_diag diag;
	fix_path(path, false);
	struct pst_datadir *dir = open_dir(path);
	cr_assert_eq(pst_datadir_partition(dir, "lo", 0, &diag), 0);
	cr_assert_eq(pst_datadir_partition(dir, "lo", 1, &diag), 1);
	cr_assert_eq(pst_datadir_partition(dir, "0000:3b:00.0", 0, &diag), 2);
	cr_assert_eq(pst_datadir_partition(dir, "lo", 0, &diag), 0);
	cr_assert_eq(pst_datadir_partition(dir, "eth 0", 0, &diag), -1);
	cr_assert_eq(pst_datadir_partition(dir, "", 0, &diag), -1);
	pst_datadir_close(dir);
	/* What a crash left of a change was never used. */
	put_file(
		path, "penstock.partitions.tmp", "lo 0 0\nlo 1 1\n0000:3b:00.0 0 2\neth9 0 3\neth");
	dir = open_dir(path);
	cr_assert_eq(pst_datadir_partition(dir, "0000:3b:00.0", 0, &diag), 2);
	cr_assert_eq(pst_datadir_partition(dir, "eth0", 7, &diag), 3);
	pst_datadir_close(dir);
	char text[256] = {0};
	snprintf(file, sizeof(file), "%s/penstock.partitions", path);
	FILE *f = fopen(file, "r");
	cr_assert_gt(fread(text, 1, sizeof(text) - 1, f), 0);
	fclose(f);
	cr_assert_str_eq(text, "lo 0 0\nlo 1 1\n0000:3b:00.0 0 2\neth0 7 3\n");
	fix_remove(path);
}

Test(datadir, a_damaged_partitions_file_is_refused)
{
	static const char *const bad[] = {"lo 0\n", "lo 0 0 0\n", "lo 70000 0\n",
		"lo 0 0\nlo 1 0\n", "\n", "lo 0 -1\n", "lo 0 0\n\n", "lo 0 4294967296\n",
		"lo 0 99999999999\n", "lo 4294967296 0\n", "lo 0 18446744073709551616\n",
		"lo 0 0\nlo 1", "lo 0 0\nlo 1 1"};
	char path[128];
	fix_path(path, false);
	pst_datadir_close(open_dir(path));
	for (size_t i = 0; i < PST_ARRAY_CNT(bad); i++) {
		struct pst_datadir *dir;
		struct pst_diag diag;
		put_file(path, "penstock.partitions", bad[i]);
		cr_assert_eq(pst_datadir_open(path, &dir, &diag), -1, "%s", bad[i]);
		cr_assert(strstr(diag.file, path) && strstr(diag.file, "/penstock.partitions"));
		cr_assert_gt(diag.line, 0);
	}
	put_file(path, "penstock.partitions", "lo 0 0\n");
	pst_datadir_close(open_dir(path));
	fix_remove(path);
}

/* Marks alternate between two slots: harm to one leaves the other. */
Test(datadir, marks_survive_harm_to_either_slot)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	fix_open(f, &config);
	for (int i = 0; i < 3; i++) {
		fix_batch(f, 2, 300, 1000);
		fix_append(f);
		fix_rest(f);
		cr_assert_eq(pst_datadir_checkpoint(f->dir), 0);
	}
	char path[256];
	int64_t newest = -1, other = -1;
	for (int slot = 0; slot < 2; slot++) {
		struct fix *copy = fix_snapshot(f, false);
		struct pst_mark mark;
		struct stat st;
		snprintf(path, sizeof(path), "%s/penstock.durable", copy->path);
		int fd = open(path, O_RDWR);
		cr_assert_eq(fstat(fd, &st), 0);
		cr_assert_eq(pwrite(fd, "x", 1, slot * st.st_size / 2 + 100), 1);
		close(fd);
		int top = open(copy->path, O_DIRECTORY);
		cr_assert_eq(pst_durable_lookup(pst_disk_real(), top, "t-0", &mark), 0);
		if (mark.end.next_offset > newest) {
			other = newest;
			newest = mark.end.next_offset;
		} else {
			other = mark.end.next_offset;
		}
		cr_assert_eq(pst_durable_lookup(pst_disk_real(), top, "t-1", &mark), -ESRCH);
		close(top);
		fix_free(copy);
	}
	cr_assert_eq(newest, 6);
	cr_assert_eq(other, 4);
	/* Both gone: everything is looked at, and said so. */
	struct fix *copy = fix_snapshot(f, false);
	snprintf(path, sizeof(path), "%s/penstock.durable", copy->path);
	cr_assert_eq(truncate(path, 0), 0);
	fix_open(copy, &config);
	cr_assert_eq(copy->recovery.next_offset, 6);
	cr_assert(fix_recovery_says(copy, "marks could not be read"));
	fix_free(copy);
	fix_free(f);
}

/* A disk that is full later has room for marks in any case. */
Test(datadir, marks_have_their_blocks_in_advance)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	struct stat before, after;
	char path[256];
	fix_open(f, &config);
	snprintf(path, sizeof(path), "%s/penstock.durable", f->path);
	cr_assert_eq(stat(path, &before), 0);
	cr_assert_geq(512 * before.st_blocks, before.st_size);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(pst_datadir_checkpoint(f->dir), 0);
	cr_assert_eq(stat(path, &after), 0);
	cr_assert_eq(after.st_size, before.st_size);
	cr_assert_eq(after.st_blocks, before.st_blocks);
	fix_free(f);
}

/* rm or mv under a running daemon: what it acknowledges from now on nobody would find. */
static void
lose_it(const char *command)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	char line[512];
	fix_open(f, &config);
	fix_append_some(f, 1, 300);
	cr_assert_eq(pst_datadir_checkpoint(f->dir), 0);
	cr_assert_eq(pst_datadir_error(f->dir), 0);
	snprintf(line, sizeof(line), command, f->path, f->path);
	cr_assert_eq(system(line), 0, "%s", line);
	cr_assert_eq(pst_datadir_checkpoint(f->dir), -ENOENT);
	cr_assert_eq(pst_datadir_error(f->dir), ENOENT);
	fix_batch(f, 2, 300, 1000);
	fix_append(f);
	fix_rest(f);
	cr_assert_neq(f->result->status[f->taken_cnt - 1], PST_APPEND_DURABLE);
	fix_close(f);
	snprintf(line, sizeof(line), "rm -rf %s.away", f->path);
	cr_assert_eq(system(line), 0);
	fix_free(f);
}

Test(datadir, removed_under_a_daemon)
{
	lose_it("rm -r %s");
	lose_it("rm -r %s/*");
	lose_it("mv %s %s.away");
	lose_it("mv %1$s %1$s.away && cp -r %1$s.away %1$s");
}

/* Whatever stands in the place of a file of ours: said, and never waited for. */
Test(datadir, odd_files_are_refused)
{
	static const char *const names[] = {
		"penstock.durable", "penstock.lock", "penstock.partitions", "penstock.reserve"};
	static const char *const makes[] = {"mkfifo %s", "mkdir %s", "ln -s /etc/hostname %s"};
	for (unsigned i = 0; i < PST_ARRAY_CNT(names); i++) {
		for (unsigned m = 0; m < PST_ARRAY_CNT(makes); m++) {
			struct fix *f = fix_new(false);
			struct pst_log_config config = fix_log_config();
			struct pst_datadir *dir;
			struct pst_diag diag;
			char path[400], line[800];
			fix_open(f, &config);
			fix_close(f);
			snprintf(path, sizeof(path), "%s/%s", f->path, names[i]);
			cr_assert(unlink(path) == 0 || errno == ENOENT);
			snprintf(line, sizeof(line), makes[m], path);
			cr_assert_eq(system(line), 0);
			cr_assert_eq(pst_datadir_open(f->path, &dir, &diag), -1, "%s", line);
			cr_assert(strstr(diag.text, names[i]) || strstr(diag.key, names[i]), "%s",
				diag.text);
			fix_free(f);
		}
	}
}

Test(datadir, one_writer_a_partition)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	struct pst_recovery recovery;
	struct pst_diag diag;
	fix_open(f, &config);
	cr_assert_eq(pst_appender_add(f->app, &config, &recovery, &diag), -1);
	cr_assert(strstr(diag.text, "has a writer already"));
	config.topic = "..";
	cr_assert_eq(pst_appender_add(f->app, &config, &recovery, &diag), -1);
	fix_free(f);
}

#define MIXED_READS 200000

struct mixing {
	struct pst_live *live;
	_Atomic bool over;
};

/* An end of which every field says the same number. */
static struct pst_durable
end_of_one(uint64_t n)
{
	struct pst_durable end = {.next_offset = (int64_t)n,
		.segment_base = (int64_t)n,
		.segment_bytes = n,
		.linked = n & 1};
	memset(&end.first, (int)(n & 0xff), sizeof(end.first));
	memset(&end.link, (int)(n & 0xff), sizeof(end.link));
	return end;
}

static void *
publish(void *arg)
{
	struct mixing *m = arg;
	for (uint64_t n = 1; !atomic_load(&m->over); n++) {
		struct pst_durable end = end_of_one(n);
		pst_live_publish(m->live, 0, &end);
	}
	return NULL;
}

/* A reader gets an end as it was at one time, however fast it goes on meanwhile. */
Test(datadir, shared_marks_are_never_mixed)
{
	struct mixing m = {0};
	struct pst_disk_stat st = {0};
	struct pst_durable end = end_of_one(0);
	pthread_t thread;
	uint64_t seen = 0, changed = 0;
	cr_assert_eq(pst_live_create(&st, 1, false, &m.live), 0);
	pst_live_add(m.live, "t-0", &end);
	cr_assert_eq(pthread_create(&thread, NULL, publish, &m), 0);
	for (unsigned i = 0; i < MIXED_READS || changed < MIXED_READS / 100; i++) {
		if (!pst_live_read(m.live, 0, &end, NULL))
			continue; /* it went on each time: what it was is not known */
		struct pst_durable one = end_of_one(end.segment_bytes);
		cr_assert_eq(end.next_offset, one.next_offset);
		cr_assert_eq(end.segment_base, one.segment_base);
		cr_assert_eq(end.linked, one.linked);
		cr_assert_arr_eq(&end.first, &one.first, sizeof(one.first));
		cr_assert_arr_eq(&end.link, &one.link, sizeof(one.link));
		cr_assert_geq(end.segment_bytes, seen);
		changed += end.segment_bytes > seen;
		seen = end.segment_bytes;
	}
	atomic_store(&m.over, true);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	pst_live_remove(m.live);
}

Test(datadir, shared_marks_belong_to_the_run)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	struct pst_disk_stat st;
	struct pst_live *live;
	struct pst_durable end;
	fix_open(f, &config);
	cr_assert_eq(pst_disk_real()->ops->stat(pst_disk_real(), pst_datadir_fd(f->dir), &st), 0);
	uint64_t run_id = f->dir->run_id;
	cr_assert_eq(pst_live_map(&st, getuid() + 1, run_id, &live), -ENOENT);
	cr_assert_eq(pst_live_map(&st, getuid(), run_id + 2, &live), -ENOENT);
	cr_assert_eq(pst_live_map(&st, getuid(), run_id, &live), 0);
	cr_assert_eq(pst_live_find(live, "t-1"), -1);
	cr_assert_eq(pst_live_find(live, "t-0"), 0);
	cr_assert(pst_live_read(live, 0, &end, NULL));
	cr_assert_eq(end.next_offset, 0);
	fix_batch(f, 2, 300, 1000);
	fix_append(f);
	fix_rest(f);
	cr_assert(pst_live_read(live, 0, &end, NULL));
	cr_assert_eq(end.next_offset, 2);
	cr_assert_eq(end.segment_bytes, f->batch_bytes);
	pst_live_unmap(live);
	fix_close(f);
	cr_assert_eq(pst_live_map(&st, getuid(), run_id, &live), -ENOENT);
	fix_free(f);
}
