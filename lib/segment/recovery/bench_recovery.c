/* What recovery costs: seconds a GiB of segments that were not closed in order, cold and without a
 * mark, so that all of it is read and checked.
 *
 *   bench_recovery [directory [MiB [partitions]]]
 *
 * One line for one thread, one for as many as there are processors, then one with the marks, as
 * after a kill: only headers up to the mark are read. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "batch/batch.h"
#include "segment/appender.h"

#define PARTITIONS_MAX 64

static struct pst_log_add adds[PARTITIONS_MAX];
static uint32_t add_cnt;

static uint64_t
now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void
run_shell(const char *fmt, const char *a, const char *b)
{
	char command[1024];
	snprintf(command, sizeof(command), fmt, a, b);
	if (system(command) != 0) {
		fprintf(stderr, "failed: %s\n", command);
		exit(1);
	}
}

static void
die(const struct pst_diag *diag)
{
	pst_diag_print(stderr, diag);
	exit(1);
}

static struct pst_appender *
open_all(const char *path, struct pst_datadir **dir, unsigned threads, double *seconds)
{
	struct pst_appender *app;
	struct pst_diag diag;
	if (pst_datadir_open(path, dir, &diag) < 0)
		die(&diag);
	struct pst_appender_config config = {
		.dir = *dir, .flush_bytes = 4 * 1024 * 1024, .flush_age_ns = 1000000000};
	if (pst_appender_create(&config, &app, &diag) < 0)
		die(&diag);
	for (uint32_t i = 0; i < add_cnt; i++)
		adds[i] = (struct pst_log_add){.app = app,
			.config = {.topic = "bench",
				.partition = i,
				.segment_bytes_max = 256 * 1024 * 1024}};
	uint64_t start = now_ns();
	if (pst_appender_add_all(adds, add_cnt, threads, NULL, NULL, &diag) < 0)
		die(&diag);
	*seconds = (double)(now_ns() - start) / 1e9;
	return app;
}

static void
fill(struct pst_appender *app, uint64_t bytes)
{
	static uint8_t batch[PST_BATCH_WIRE_BYTES_MAX], value[200];
	struct pst_batch_limits limits = {.raw_bytes_max = 900000, .record_cnt_max = 1000000};
	struct pst_batch_encoder *encoder;
	struct pst_append_done done[64];
	if (pst_batch_encoder_create(&limits, &encoder) < 0)
		exit(1);
	pst_batch_begin(encoder, batch);
	for (unsigned i = 0; i < 1000; i++) {
		for (unsigned k = 0; k < sizeof(value); k++)
			value[k] = (uint8_t)(rand() >> 8);
		struct pst_record r = {
			.value = value, .value_len = sizeof(value), .ts_ns = 1000000000};
		pst_batch_append(encoder, &r);
	}
	uint32_t len = pst_batch_seal(encoder);
	pst_batch_encoder_destroy(encoder);
	for (uint64_t put = 0, i = 0; put < bytes; put += len, i++)
		while (pst_append(app, (int)(i % add_cnt), batch, len, NULL, now_ns()) != 0)
			pst_appender_poll(app, now_ns(), done, 64);
	do {
		pst_appender_flush(app);
		pst_appender_poll(app, now_ns(), done, 64);
	} while (!pst_appender_idle(app));
}

static void
measure(const char *from, const char *path, bool marks, unsigned threads)
{
	struct pst_datadir *dir;
	double seconds;
	uint64_t bytes = 0;
	run_shell("cp -a %s %s", from, path);
	if (!marks)
		run_shell("rm %s/penstock.durable%s", path, "");
	/* Out of the page cache, file by file: no need for the rights over all of it. */
	run_shell("find %s -name '*.log' -exec dd of={} oflag=nocache conv=notrunc,fdatasync "
		  "count=0 status=none ';'%s",
		path, "");
	struct pst_appender *app = open_all(path, &dir, threads, &seconds);
	for (uint32_t i = 0; i < add_cnt; i++)
		bytes += adds[i].recovery.checked_bytes;
	printf("%s, %u thread%s: %.0f MiB of %u partitions in %.3f s, %.3f s a GiB\n",
		marks ? "with marks" : "without marks", threads, threads == 1 ? "" : "s",
		(double)bytes / (1 << 20), add_cnt, seconds, seconds / ((double)bytes / (1 << 30)));
	pst_appender_destroy(app);
	pst_datadir_close(dir);
	run_shell("rm -rf %s%s", path, "");
}

int
main(int argc, char **argv)
{
	char path[256], killed[300], copy[300];
	uint64_t bytes = (argc > 2 ? strtoull(argv[2], NULL, 10) : 512) * 1024 * 1024;
	unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	struct pst_datadir *dir;
	double seconds;
	add_cnt = argc > 3 ? (uint32_t)atoi(argv[3]) : 8;
	if (add_cnt < 1 || add_cnt > PARTITIONS_MAX)
		return 2;
	if (cpus > PST_ADD_THREADS_MAX)
		cpus = PST_ADD_THREADS_MAX;
	snprintf(path, sizeof(path), "%s/bench-recovery-%ld", argc > 1 ? argv[1] : "/tmp",
		(long)getpid());
	snprintf(killed, sizeof(killed), "%s.killed", path);
	snprintf(copy, sizeof(copy), "%s.copy", path);
	struct pst_appender *app = open_all(path, &dir, 1, &seconds);
	fill(app, bytes);
	pst_datadir_checkpoint(dir);
	run_shell("cp -a %s %s", path, killed);
	pst_appender_destroy(app);
	pst_datadir_close(dir);
	measure(killed, copy, false, 1);
	measure(killed, copy, false, cpus);
	measure(killed, copy, true, cpus);
	run_shell("rm -rf %s %s", path, killed);
	return 0;
}
