/* Processes killed at any moment, and readers beside a running log. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "segment/test_fixture.h"

#define ACKED_MAX 400000
#define KILL_CNT  20

/* What a child says that it got acknowledged; survives it. */
struct acked {
	_Atomic uint32_t cnt;
	_Atomic uint32_t started;
	struct {
		int64_t offset;
		uint32_t number; /* of the batch: its bytes follow from it */
	} batch[ACKED_MAX];
};

static void
sleep_ms(unsigned ms)
{
	nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}, NULL);
}

static struct acked *
shared(void)
{
	void *map = mmap(NULL, sizeof(struct acked), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(map, MAP_FAILED);
	return map;
}

static uint32_t
length_of(uint32_t number)
{
	return 20 + number * 7919 % 9000;
}

static struct pst_log_config
crash_config(void)
{
	struct pst_log_config config = fix_log_config();
	config.segment_bytes_max = 3 * 1024 * 1024;
	return config;
}

/* Appends for ever. */
static void
child_appends(struct fix *f, struct acked *acked, uint64_t flush_bytes)
{
	struct pst_log_config config = crash_config();
	struct pst_append_done done[64];
	uint32_t number = 0;
	fix_open(f, &config);
	f->app->flush_bytes = flush_bytes;
	f->app->flush_age_ns = 2000000;
	for (;;) {
		uint32_t len = length_of(number);
		f->taken_cnt = number; /* of which the bytes are made */
		fix_batch(f, 2, len, 1000 + number);
		int rc = pst_append(f->app, f->log_idx, f->batch, f->batch_bytes,
			(void *)(uintptr_t)number, f->now_ns);
		number += rc == 0;
		f->now_ns += 10000;
		unsigned n = pst_appender_poll(f->app, f->now_ns, done, 64);
		for (unsigned i = 0; i < n; i++) {
			uint32_t c = atomic_load(&acked->cnt);
			if (done[i].status != PST_APPEND_DURABLE || c == ACKED_MAX)
				_exit(1);
			acked->batch[c].offset = done[i].base_offset;
			acked->batch[c].number = (uint32_t)(uintptr_t)done[i].cookie;
			atomic_store(&acked->cnt, c + 1);
		}
		atomic_store(&acked->started, 1);
	}
}

static pid_t
start_child(struct fix *f, struct acked *acked, uint64_t flush_bytes)
{
	atomic_store(&acked->cnt, 0);
	atomic_store(&acked->started, 0);
	pid_t child = fork();
	cr_assert_geq(child, 0);
	if (child == 0)
		child_appends(f, acked, flush_bytes);
	while (!atomic_load(&acked->started)) {
		int status;
		cr_assert_eq(waitpid(child, &status, WNOHANG), 0, "the child has ended");
		sleep_ms(1);
	}
	return child;
}

static void
kill_child(pid_t child)
{
	int status;
	kill(child, SIGKILL);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFSIGNALED(status), "the child ended by itself: %d", status);
}

static void
expect_acked(struct fix *f, const struct acked *acked, uint32_t from, const char *what)
{
	struct pst_reader *reader;
	struct pst_batch_record record;
	struct pst_diag diag;
	cr_assert_eq(pst_reader_open(f->path, "t", 0, &reader, &diag), 0);
	uint32_t cnt = atomic_load(&acked->cnt);
	for (uint32_t i = from; i < cnt; i++) {
		if (i == from || acked->batch[i].offset != acked->batch[i - 1].offset + 2)
			pst_reader_seek(reader, acked->batch[i].offset);
		for (int r = 0; r < 2; r++) {
			cr_assert_eq(pst_reader_next(reader, &record, &diag), PST_READ_RECORD,
				"%s: offset %ld: %s", what, (long)acked->batch[i].offset,
				diag.text);
			cr_assert_eq(record.offset, acked->batch[i].offset + r, "%s", what);
			cr_assert_eq(
				record.value_len, length_of(acked->batch[i].number), "%s", what);
			cr_assert_eq(record.value[record.value_len - 1],
				'a' + ((int)acked->batch[i].number + r) % 26, "%s", what);
		}
	}
	pst_reader_close(reader);
}

Test(crash, killed_again_and_again)
{
	struct fix *f = fix_new(false);
	struct acked *acked = shared();
	struct pst_log_config config = crash_config();
	unsigned seed = 12345;
	uint64_t total = 0;
	for (int i = 0; i < KILL_CNT; i++) {
		char what[32];
		snprintf(what, sizeof(what), "kill %d", i);
		pid_t child = start_child(f, acked, i % 2 ? 20000 : 4000000);
		/* Also before anything was acknowledged. */
		while (i % 2 && atomic_load(&acked->cnt) == 0)
			sleep_ms(1);
		sleep_ms((unsigned)rand_r(&seed) % 60);
		kill_child(child);
		total += atomic_load(&acked->cnt);
		/* A reader without a daemon sees no less than what was acknowledged. */
		expect_acked(f, acked, 0, what);
		fix_expect_no_findings(f, what);
		fix_open(f, &config);
		expect_acked(f, acked, 0, what);
		cr_assert_eq(fix_close(f), 0);
		fix_expect_no_findings(f, what);
	}
	cr_assert_gt(total, 0);
	munmap(acked, sizeof(*acked));
	fix_free(f);
}

#define LATE_CNT   256
#define LATE_BYTES (1024 * 1024)

/* Queues many writes and waits to be killed. */
static void
child_queues(const char *path, struct acked *acked)
{
	struct pst_disk *disk = pst_disk_real();
	struct pst_datadir *dir;
	struct pst_disk_queue *queue;
	struct pst_diag diag;
	static struct iovec iov[LATE_CNT];
	uint8_t *data = aligned_alloc(4096, LATE_BYTES);
	memset(data, 0xaa, LATE_BYTES);
	if (pst_datadir_open(path, &dir, &diag) < 0)
		_exit(1);
	int file = disk->ops->open(disk, pst_datadir_fd(dir), "penstock.test",
		PST_DISK_WRITE | PST_DISK_CREATE | PST_DISK_DIRECT);
	if (file < 0 || posix_fallocate(file, 0, (off_t)LATE_CNT * LATE_BYTES) != 0)
		_exit(2);
	if (disk->ops->queue_open(disk, LATE_CNT, pst_datadir_lock_fd(dir), &queue, &diag) < 0)
		_exit(3);
	for (int i = 0; i < LATE_CNT; i++) {
		iov[i] = (struct iovec){data, LATE_BYTES};
		disk->ops->queue_write(queue, file, &iov[i], 1, (uint64_t)i * LATE_BYTES, NULL);
	}
	disk->ops->queue_submit(queue);
	atomic_store(&acked->started, 1);
	for (;;)
		pause();
}

/* Bytes that have landed: an extent is unwritten until its write has ended. Asks the file system,
 * as reading would wait behind the very writes that are looked for. -1: it cannot say. */
static int64_t
landed(const char *path)
{
	static _Alignas(struct fiemap)
		uint8_t memory[sizeof(struct fiemap) + 4 * LATE_CNT * sizeof(struct fiemap_extent)];
	struct fiemap *map = (struct fiemap *)memory;
	char file[256];
	int64_t bytes = 0;
	snprintf(file, sizeof(file), "%s/penstock.test", path);
	int fd = open(file, O_RDONLY);
	memset(memory, 0, sizeof(memory));
	map->fm_length = FIEMAP_MAX_OFFSET;
	map->fm_extent_count = 4 * LATE_CNT;
	int rc = ioctl(fd, FS_IOC_FIEMAP, map);
	close(fd);
	for (unsigned i = 0; rc == 0 && i < map->fm_mapped_extents; i++) {
		if (!(map->fm_extents[i].fe_flags & FIEMAP_EXTENT_UNWRITTEN))
			bytes += (int64_t)map->fm_extents[i].fe_length;
	}
	return rc == 0 ? bytes : -1;
}

/* Writes of a killed process go on for a while: as long as they do, nobody gets the lock. */
Test(crash, the_lock_outlives_a_killed_queue)
{
	char path[128];
	struct acked *acked = shared();
	for (int i = 0; i < 3; i++) {
		struct pst_disk *disk = pst_disk_real();
		fix_path(path, false);
		atomic_store(&acked->started, 0);
		pid_t child = fork();
		if (child == 0)
			child_queues(path, acked);
		while (!atomic_load(&acked->started)) {
			int status;
			cr_assert_eq(waitpid(child, &status, WNOHANG), 0);
		}
		kill_child(child);
		/* Only the lock: opening the directory syncs, and so waits by itself. */
		int top = open(path, O_RDONLY | O_DIRECTORY), lock, rc;
		while ((rc = disk->ops->lock(disk, top, PST_LOCK_NAME, &lock)) == -EWOULDBLOCK)
			disk->ops->close(disk, lock);
		cr_assert_eq(rc, 0);
		int64_t first = landed(path);
		sleep_ms(300);
		int64_t later = landed(path);
		disk->ops->unlock(disk, lock);
		close(top);
		fix_remove(path);
		if (first < 0)
			cr_skip_test("this file system cannot say which extents are written");
		cr_assert_gt(later, 0);
		cr_assert_eq(first, later, "%ld bytes landed after the lock was taken",
			(long)(later - first));
	}
	munmap(acked, sizeof(*acked));
}

/* Sum over all .log files' bytes, that changes when a write lands. */
static uint64_t
fingerprint(struct fix *f)
{
	uint64_t sum = 0;
	char *names = fix_names(f), *save = NULL;
	for (char *n = strtok_r(names, " ", &save); n; n = strtok_r(NULL, " ", &save)) {
		size_t len;
		uint8_t *data = fix_file(f, n, &len);
		sum = sum * 31 + pst_batch_crc32c((uint32_t)len, data, len);
		free(data);
	}
	free(names);
	return sum;
}

/* Writes of the killed process are in flight: who gets the lock must not see them land. */
Test(crash, no_late_write_after_the_lock)
{
	struct fix *f = fix_new(false);
	struct acked *acked = shared();
	for (int i = 0; i < 5; i++) {
		struct pst_datadir *dir;
		struct pst_diag diag;
		pid_t child = start_child(f, acked, 64 * 1024 * 1024);
		sleep_ms(20 + 7 * (unsigned)i);
		kill_child(child);
		cr_assert_eq(pst_datadir_open(f->path, &dir, &diag), 0, "%s", diag.text);
		uint64_t first = fingerprint(f);
		sleep_ms(100);
		cr_assert_eq(fingerprint(f), first, "a write landed after the lock was taken");
		pst_datadir_close(dir);
	}
	munmap(acked, sizeof(*acked));
	fix_free(f);
}

/* A reader sees only what is durable, in order, while the log is written, rolled and retired. */
struct follower {
	char path[128];
	_Atomic bool stop;
	_Atomic int64_t durable; /* acknowledged so far, from the writing thread */
	int64_t read_cnt, jumps;
	const char *wrong;
};

static void *
follow(void *arg)
{
	struct follower *w = arg;
	struct pst_reader *reader;
	struct pst_batch_record record;
	struct pst_diag diag;
	int64_t next = 0;
	if (pst_reader_open(w->path, "t", 0, &reader, &diag) < 0) {
		w->wrong = "cannot open";
		return NULL;
	}
	while (!w->wrong) {
		bool last = atomic_load(&w->stop);
		enum pst_read_result r = pst_reader_next(reader, &record, &diag);
		if (r == PST_READ_END) {
			if (last)
				break;
			sleep_ms(1);
			continue;
		}
		if (r == PST_READ_DAMAGE) {
			fprintf(stderr, "%s: %s\n", diag.file, diag.text);
			w->wrong = "damage";
		} else if (record.offset < next) {
			w->wrong = "an offset came twice";
		} else if (record.value[0] != 'a' + (record.offset / 2 + record.offset % 2) % 26) {
			w->wrong = "wrong bytes";
		}
		w->jumps += record.offset != next;
		next = record.offset + 1;
		w->read_cnt++;
		if (w->read_cnt % 500 == 0)
			sleep_ms(1); /* so that retention overtakes it now and then */
	}
	if (!w->wrong && next != atomic_load(&w->durable))
		w->wrong = "the end was not reached";
	pst_reader_close(reader);
	return NULL;
}

Test(crash, readers_follow_a_running_log)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	struct follower follower[2] = {0};
	pthread_t thread[2];
	config.segment_bytes_max = 200000;
	config.retain_bytes = 1000000;
	fix_open(f, &config);
	for (int i = 0; i < 2; i++) {
		snprintf(follower[i].path, sizeof(follower[i].path), "%s", f->path);
		cr_assert_eq(pthread_create(&thread[i], NULL, follow, &follower[i]), 0);
	}
	for (int i = 0; i < 3000; i++) {
		fix_batch(f, 2, 1000 + (uint32_t)i % 300, 1000 + i);
		fix_append(f);
		f->now_ns += PST_HOUSEKEEPING_NS / 4;
		if (i % 3 == 0)
			fix_rest(f);
		if (i % 100 == 0)
			pst_datadir_checkpoint(f->dir);
	}
	fix_rest(f);
	struct pst_log_stats stats;
	pst_log_stats(f->app, f->log_idx, &stats);
	cr_assert_gt(stats.retired_segment_cnt, 10);
	for (int i = 0; i < 2; i++) {
		atomic_store(&follower[i].durable, 6000);
		atomic_store(&follower[i].stop, true);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(thread[i], NULL);
		cr_assert_null(follower[i].wrong, "%s", follower[i].wrong);
	}
	fix_free(f);
}

/* What was acknowledged is there, and all else as after a kill. */
Test(crash, stop_that_does_not_wait)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	int64_t next;

	fix_open(f, &config);
	fix_append_some(f, 20, 300);
	unsigned sure_cnt = f->result->done_cnt;
	int64_t sure_end = f->result->base_offset[sure_cnt - 1] + 2; /* the last one has two */
	for (int i = 0; i < 20; i++) {
		fix_batch(f, 1, 20000, 1000 + i);
		fix_append(f);
	}
	fix_poll(f);
	cr_assert_not(pst_appender_idle(f->app));
	cr_assert_eq(fix_close(f), -EBUSY);

	fix_open(f, &config);
	fix_rest(f);
	cr_assert_eq(fix_close(f), 0);
	const char *wrong = fix_check(f, &next, true, false);
	cr_assert_null(wrong, "%s", wrong);
	cr_assert_geq(next, sure_end);
	fix_expect_no_findings(f, "after a stop that did not wait");
	fix_free(f);
}
