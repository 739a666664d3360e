/* What the log writes a second, beside a plain loop that writes the same bytes to the same file
 * system with O_DIRECT, 1 MiB at a time, eight in flight.
 *
 *   bench_segment [--json] [directory [MiB]]
 *
 * One line each: what a GiB costs to be sealed (one thread, from the cache); the floor, then
 * batches of 900 KB and of 8 KB, flushed as the default profile does, then one batch at a time,
 * each synced: its latency. --json: MB/s alone, as an object. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "batch/batch.h"
#include "segment/appender.h"
#include "segment/disk.h"
#include "segment/seal.h"

#define FLOOR_DEPTH 8

static uint64_t
now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static _Noreturn void
die(const struct pst_diag *diag)
{
	pst_diag_print(stderr, diag);
	exit(1);
}

/* Of a file that grows, as a segment does. */
static double
run_floor(struct pst_datadir *dir, uint64_t bytes)
{
	struct pst_disk *disk = pst_disk_real();
	struct pst_disk_queue *queue;
	struct pst_disk_done done[FLOOR_DEPTH];
	struct pst_diag diag;
	static struct iovec iov;
	iov.iov_len = 1024 * 1024;
	iov.iov_base = aligned_alloc(4096, iov.iov_len);
	memset(iov.iov_base, 'x', iov.iov_len);
	int file = disk->ops->open(disk, pst_datadir_fd(dir), "penstock.floor",
		PST_DISK_WRITE | PST_DISK_CREATE | PST_DISK_DIRECT);
	if (file < 0 || disk->ops->queue_open(
				disk, FLOOR_DEPTH, pst_datadir_lock_fd(dir), &queue, &diag) < 0)
		die(&diag);
	disk->ops->allocate(disk, file, 0, bytes);
	uint64_t start = now_ns(), pos = 0, ended = 0;
	while (ended < bytes) {
		while (pos < bytes && disk->ops->queue_write(queue, file, &iov, 1, pos, NULL) == 0)
			pos += iov.iov_len;
		disk->ops->queue_submit(queue);
		ended += disk->ops->queue_reap(queue, done, FLOOR_DEPTH) * iov.iov_len;
	}
	disk->ops->sync(disk, file);
	double seconds = (double)(now_ns() - start) / 1e9;
	disk->ops->queue_close(queue);
	disk->ops->close(disk, file);
	disk->ops->unlink(disk, pst_datadir_fd(dir), "penstock.floor");
	free(iov.iov_base);
	return (double)bytes / seconds / 1e6;
}

static uint32_t
make_batch(uint8_t *batch, uint32_t value_len, unsigned cnt)
{
	struct pst_batch_limits limits = {.raw_bytes_max = 900000, .record_cnt_max = 1000000};
	struct pst_batch_encoder *encoder;
	static uint8_t value[PST_BATCH_VALUE_MAX];
	if (pst_batch_encoder_create(&limits, &encoder) < 0)
		exit(1);
	pst_batch_begin(encoder, batch);
	for (unsigned i = 0; i < cnt; i++) {
		struct pst_record r = {.value = value, .value_len = value_len, .ts_ns = 1000000000};
		pst_batch_append(encoder, &r);
	}
	uint32_t len = pst_batch_seal(encoder);
	pst_batch_encoder_destroy(encoder);
	return len;
}

static void
drain(struct pst_appender *app)
{
	struct pst_append_done done[64];
	while (!pst_appender_idle(app)) {
		pst_appender_flush(app);
		pst_appender_poll(app, now_ns(), done, 64);
	}
}

/* Returns MB/s. */
static double
run_stream(struct pst_appender *app, int idx, uint8_t *batch, uint32_t len, uint64_t bytes)
{
	struct pst_append_done done[64];
	uint64_t start = now_ns(), cnt = 0;
	while (cnt * len < bytes) {
		while (cnt * len < bytes && pst_append(app, idx, batch, len, NULL, now_ns()) == 0)
			cnt++;
		pst_appender_poll(app, now_ns(), done, 64);
	}
	drain(app);
	return (double)(cnt * len) / ((double)(now_ns() - start) / 1e9) / 1e6;
}

static int
by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static void
run_latency(struct pst_appender *app, int idx, uint8_t *batch, uint32_t len)
{
	enum { CNT = 2000 };
	static uint64_t took[CNT];
	for (int i = 0; i < CNT; i++) {
		uint64_t start = now_ns();
		pst_append(app, idx, batch, len, NULL, start);
		drain(app);
		took[i] = now_ns() - start;
	}
	qsort(took, CNT, sizeof(*took), by_value);
	printf("append to durable, %u bytes: p50 %llu us, p99 %llu us, max %llu us\n", len,
		(unsigned long long)took[CNT / 2] / 1000,
		(unsigned long long)took[CNT * 99 / 100] / 1000,
		(unsigned long long)took[CNT - 1] / 1000);
}

static uint64_t
cpu_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* What the hash chain costs the writer, for batches of this size. */
static void
run_seal(const uint8_t *batch, uint32_t len)
{
	struct pst_link link;
	uint64_t cnt = 512 * 1024 * 1024 / len, start = cpu_ns();
	pst_link_seed("bench-0", 0, &link);
	for (uint64_t i = 0; i < cnt; i++)
		pst_link_next(&link, batch, len, &link);
	double seconds = (double)(cpu_ns() - start) / 1e9, bytes = (double)(cnt * len);
	printf("sealing batches of %u bytes: %.0f MB/s, %.2f s of a core a GiB\n", len,
		bytes / seconds / 1e6, seconds * 1024 * 1024 * 1024 / bytes);
}

static void
run(struct pst_datadir *dir, struct pst_appender *app, int idx, int sealed, uint64_t bytes,
	bool json)
{
	static uint8_t large[PST_BATCH_WIRE_BYTES_MAX], small[PST_BATCH_WIRE_BYTES_MAX];
	uint32_t large_len = make_batch(large, 1000, 890), small_len = make_batch(small, 200, 40);
	double floor = run_floor(dir, bytes);
	double of_large = run_stream(app, idx, large, large_len, bytes);
	double of_small = run_stream(app, idx, small, small_len, bytes);

	double sealed_large = run_stream(app, sealed, large, large_len, bytes);
	double sealed_small = run_stream(app, sealed, small, small_len, bytes);

	if (json) {
		printf("{\"uring\": %.0f, \"log_large\": %.0f, \"log_small\": %.0f, "
		       "\"sealed_large\": %.0f, \"sealed_small\": %.0f}\n",
			floor, of_large, of_small, sealed_large, sealed_small);
		return;
	}
	run_seal(large, large_len);
	run_seal(small, small_len);
	printf("floor: %.0f MB/s\n", floor);
	printf("batches of %u bytes: %.0f MB/s, %.2f of the floor\n", large_len, of_large,
		of_large / floor);
	printf("batches of %u bytes: %.0f MB/s, %.2f of the floor\n", small_len, of_small,
		of_small / floor);
	printf("the same, sealed: %.0f MB/s, %.0f MB/s\n", sealed_large, sealed_small);
	run_latency(app, idx, small, small_len);
}

int
main(int argc, char **argv)
{
	bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
	char path[256];
	struct pst_datadir *dir;
	struct pst_appender *app;
	struct pst_recovery recovery;
	struct pst_diag diag;

	argv += json;
	argc -= json;
	uint64_t bytes = (argc > 2 ? strtoull(argv[2], NULL, 10) : 512) * 1024 * 1024;
	snprintf(path, sizeof(path), "%s/bench-segment-%ld", argc > 1 ? argv[1] : "/tmp",
		(long)getpid());
	if (pst_datadir_open(path, &dir, &diag) < 0)
		die(&diag);
	struct pst_appender_config config = {
		.dir = dir, .flush_bytes = 8 * 1024 * 1024, .flush_age_ns = 5000000};
	struct pst_log_config log = {.topic = "bench",
		.segment_bytes_max = 1024 * 1024 * 1024,
		.retain_bytes = 2048ull * 1024 * 1024};
	struct pst_log_config sealed_log = log;
	sealed_log.topic = "sealed";
	sealed_log.sealed = true;
	int idx = 0, sealed = 0;
	if (pst_appender_create(&config, &app, &diag) < 0 ||
		(idx = pst_appender_add(app, &log, &recovery, &diag)) < 0 ||
		(sealed = pst_appender_add(app, &sealed_log, &recovery, &diag)) < 0)
		die(&diag);
	run(dir, app, idx, sealed, bytes, json);
	pst_appender_destroy(app);
	pst_datadir_close(dir);
	char command[300];
	snprintf(command, sizeof(command), "rm -r %s", path);
	return system(command);
}
