/* Two drives, one of which fails under the daemon's own wiring. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"
#include "segment/test_fault.h"

#define PROFILE(writers, streams)                                                                  \
	"name: drives\n"                                                                           \
	"data: {dirs: [DIR/a, DIR/b]}\n"                                                           \
	"cores: {main: 0, rx: [0, 1], writers: [" writers "]}\n"                                   \
	"memory: {size: 256M, no-huge: true}\n"                                                    \
	"ports:\n"                                                                                 \
	"  - {name: p0, vdev: \"net_null0,no-rx=1\"}\n"                                            \
	"  - {name: p1, vdev: \"net_null1,no-rx=1\"}\n"                                            \
	"listeners:\n"                                                                             \
	"  - {name: plain, addresses: [10.0.0.2], port: 1, framing: datagram, stream: s}\n"        \
	"  - {name: feed, addresses: [10.0.0.2], port: 3, framing: mold64, stream: feed}\n"        \
	"streams:\n" streams "batch: {bytes: 64K, records: 100, age: 1s, buffers: 16}\n"

#define GO_ON "  - {name: s, on-failure: continue}\n  - {name: feed, on-failure: continue}\n"
static const char go_on[] = PROFILE("0", GO_ON), go_on_two_writers[] = PROFILE("0, 1", GO_ON);
static const char stop[] = PROFILE(
	"0", "  - {name: s, on-failure: halt}\n  - {name: feed, on-failure: continue}\n");

enum { PLAIN = 1, FEED = 3, STREAM_S = 0, STREAM_FEED = 1, DRIVES = 2 };

static struct bench b;
static struct fault faults[DRIVES];
static struct pst_disk *const disks[DRIVES] = {&faults[0].disk, &faults[1].disk};
static uint8_t frame[70000], payload[66000];

static void
open_bench(const char *profile)
{
	for (unsigned d = 0; d < DRIVES; d++)
		fault_init(&faults[d]);
	bench_open_on(&b, profile, disks);
}

static void
break_drive(unsigned drive, unsigned calls)
{
	faults[drive].calls = calls;
	faults[drive].seen_cnt = 0;
	faults[drive].at = 1;
	faults[drive].for_ever = true;
	faults[drive].error = -EIO;
}

static void
mend_drive(unsigned drive)
{
	faults[drive].at = 0;
}

static void
send_text(uint16_t rx_idx, const char *text)
{
	bench_deliver(
		&b, rx_idx, 0, frame, bench_frame(frame, PLAIN, text, (uint32_t)strlen(text)));
}

/* Messages from .. to of the session "S", a frame each. */
static void
send_feed(uint16_t rx_idx, uint64_t from, uint64_t to)
{
	for (uint64_t seq = from; seq <= to; seq++) {
		uint32_t len = bench_mold(payload, "S", seq, 1);
		bench_deliver(&b, rx_idx, 0, frame, bench_frame(frame, FEED, payload, len));
		bench_settle(&b);
	}
}

/* How often message seq is stored, all partitions together. */
static unsigned
times_stored(uint64_t seq)
{
	char text[32];
	unsigned cnt = 0;

	snprintf(text, sizeof(text), "S-%llu", (unsigned long long)seq);
	for (uint32_t partition = 0; partition < 4; partition++) {
		char path[256];
		for (unsigned d = 0; d < DRIVES; d++) {
			snprintf(path, sizeof(path), "%s/feed-%u", b.profile->data_dirs[d],
				partition);
			if (access(path, F_OK) == 0)
				cnt += bench_count(&b, "feed", partition, text);
		}
	}
	return cnt;
}

/* The queue whose partition of the stream is on the drive. */
static uint16_t
queue_on(uint16_t stream, uint16_t drive)
{
	uint16_t q = 0;
	while (b.pipeline.place[stream][q].drive_idx != drive)
		q++;
	cr_assert_lt(q, 2);
	return q;
}

static void
remove_all(void)
{
	char command[96];
	snprintf(command, sizeof(command), "rm -rf %s", b.dir);
	cr_assert_eq(system(command), 0);
}

Test(drives, partitions_are_spread)
{
	open_bench(go_on);
	for (uint16_t s = 0; s < 2; s++)
		cr_assert_neq(b.pipeline.place[s][0].drive_idx, b.pipeline.place[s][1].drive_idx);
	cr_assert_neq(b.pipeline.place[0][0].drive_idx, b.pipeline.place[1][0].drive_idx);
	send_text(0, "one");
	send_text(1, "two");
	bench_settle(&b);
	cr_assert_eq(bench_count(&b, "s", 0, "one"), 1);
	cr_assert_eq(bench_count(&b, "s", 1, "two"), 1);
	bench_close(&b);
}

/* What was acknowledged is there once, what was not can come again and is then stored elsewhere. */
/* Returns the drive that failed. */
static uint16_t
go_on_after(const char *profile, unsigned calls)
{
	struct pst_diag diag;

	open_bench(profile);
	send_feed(0, 1, 10);
	/* Of the lcore that owns the session. */
	uint16_t q = bench_count(&b, "feed", 0, NULL) ? 0 : 1;
	uint16_t bad = b.pipeline.place[STREAM_FEED][q].drive_idx, plain = queue_on(STREAM_S, bad);
	struct pst_cell sum = bench_books(&b);
	cr_assert_eq(sum.stored, 10);
	cr_assert_eq(bench_watch(&b, &diag), 0);
	uint32_t before = b.pipeline.place[STREAM_FEED][q].partition;

	break_drive(bad, calls);
	send_feed(q, 11, 20);
	sum = bench_books(&b);
	cr_assert_eq(sum.stored, 10);
	cr_assert_eq(sum.shed[PST_SHED_SYNC_FAILED] + sum.shed[PST_SHED_WRITE_FAILED], 10);
	struct pst_stream_logs then[PST_STREAMS_MAX], now[PST_STREAMS_MAX];
	bench_stream_logs(&b, then);
	cr_assert_eq(then[STREAM_FEED].partition_cnt, 2);
	cr_assert_eq(then[STREAM_FEED].down_cnt, 1);
	/* Still open when the drive is given up: goes along. */
	send_text(plain, "along");

	cr_assert_eq(bench_watch(&b, &diag), 0);
	const struct pst_log_place *place = &b.pipeline.place[STREAM_FEED][q];
	cr_assert_neq(place->drive_idx, bad);
	cr_assert_gt(place->partition, before);
	cr_assert_eq(b.pipeline.place[STREAM_FEED][1 - q].partition, (uint32_t)(1 - q),
		"on a sound drive: stays");
	send_feed(q, 1, 25);
	sum = bench_books(&b);
	cr_assert_eq(sum.stored, 26);
	cr_assert_eq(sum.duplicate, 10);
	cr_assert_eq(sum.late, 10);
	cr_assert_eq(sum.in_flight, 0);
	for (uint64_t seq = 1; seq <= 25; seq++)
		cr_assert_eq(times_stored(seq), 1, "message %llu", (unsigned long long)seq);
	cr_assert_eq(bench_count(&b, "feed", place->partition, NULL), 15);
	cr_assert_eq(bench_count(&b, "s", b.pipeline.place[STREAM_S][plain].partition, "along"), 1);
	cr_assert_eq(bench_watch(&b, &diag), 0, "nothing more to do");
	/* The failed log's counters stay in the sums, its failure is no longer in the way. */
	bench_stream_logs(&b, now);
	cr_assert_eq(now[STREAM_FEED].partition_cnt, 2);
	cr_assert_eq(now[STREAM_FEED].down_cnt, 0);
	cr_assert_eq(now[STREAM_FEED].failed_cnt, then[STREAM_FEED].failed_cnt);
	cr_assert_gt(now[STREAM_FEED].written_bytes, then[STREAM_FEED].written_bytes);
	cr_assert_eq(now[STREAM_FEED].write_failed_cnt + now[STREAM_FEED].sync_failed_cnt,
		then[STREAM_FEED].write_failed_cnt + then[STREAM_FEED].sync_failed_cnt);
	cr_assert_gt(now[STREAM_FEED].write_failed_cnt + now[STREAM_FEED].sync_failed_cnt, 0);
	bench_abandon(&b);
	cr_assert_neq(b.closed, 0, "what failed was not closed in order");
	return bad;
}

static void
start_again(struct pst_storage *storage)
{
	struct pst_diag diag = {0};
	memset(storage, 0, sizeof(*storage));
	cr_assert_eq(
		pst_storage_open(b.profile, storage, &diag), 0, "%s: %s", diag.file, diag.text);
}

Test(drives, a_failed_sync_goes_on_elsewhere)
{
	go_on_after(go_on, FAULT_QUEUE_SYNC);
	remove_all();
}

Test(drives, a_failed_write_goes_on_elsewhere)
{
	go_on_after(go_on, FAULT_QUEUE_WRITE);
	remove_all();
}

/* Each drive has a writer of its own: batches go to the other one from then on. */
Test(drives, another_writer_takes_over)
{
	go_on_after(go_on_two_writers, FAULT_QUEUE_SYNC);
	remove_all();
}

/* The drive is back at the next start, or is not: partitions are found where they are, none begins
 * again. */
Test(drives, after_a_restart_partitions_are_where_they_were)
{
	struct pst_storage storage;
	char from[96], to[96];
	uint16_t bad = go_on_after(go_on, FAULT_QUEUE_SYNC);
	uint16_t q = 0;
	start_again(&storage);
	while (storage.place[STREAM_FEED][q].partition < 2)
		q++;
	uint32_t moved = storage.place[STREAM_FEED][q].partition;
	cr_assert_eq(storage.place[STREAM_FEED][q].drive_idx, 1 - bad);
	cr_assert_eq(pst_storage_close(b.profile, &storage), 0);

	snprintf(from, sizeof(from), "%s/%c", b.dir, 'a' + bad);
	snprintf(to, sizeof(to), "%s/away", b.dir);
	cr_assert_eq(rename(from, to), 0);
	cr_assert_eq(mkdir(from, 0755), 0); /* the empty mount point */
	start_again(&storage);
	cr_assert(!pst_drives_usable(storage.drives, bad));
	cr_assert_eq(storage.place[STREAM_FEED][q].partition, moved);
	for (uint16_t s = 0; s < b.profile->stream_cnt; s++)
		for (uint16_t i = 0; i < pst_profile_partition_cnt(b.profile, s); i++)
			cr_assert_eq(storage.place[s][i].drive_idx, 1 - bad);
	cr_assert_eq(pst_storage_close(b.profile, &storage), 0);
	cr_assert_eq(rmdir(from), 0, "nothing was begun in it");

	cr_assert_eq(rename(to, from), 0);
	start_again(&storage);
	cr_assert(pst_drives_usable(storage.drives, bad));
	cr_assert_eq(storage.place[STREAM_FEED][q].partition, moved);
	cr_assert_eq(pst_storage_close(b.profile, &storage), 0);
	for (uint64_t seq = 1; seq <= 25; seq++)
		cr_assert_geq(times_stored(seq), 1, "message %llu", (unsigned long long)seq);
	pst_profile_free(b.profile);
	remove_all();
}

/* One stream halts: the daemon is told why, and what is on the sound drive is still stored. */
Test(drives, a_stream_that_halts_ends_the_daemon)
{
	struct pst_diag diag = {0};

	open_bench(stop);
	uint16_t bad = queue_on(STREAM_S, 1), good = queue_on(STREAM_S, 0);
	send_text(bad, "before");
	bench_settle(&b);
	break_drive(1, FAULT_QUEUE_SYNC);
	send_text(bad, "lost");
	bench_settle(&b);
	cr_assert_eq(bench_watch(&b, &diag), -1);
	cr_assert_str_eq(diag.file, b.profile->data_dirs[1]);
	cr_assert(strstr(diag.text, "stream s halts on failure"), "%s", diag.text);
	cr_assert(strstr(diag.text, strerror(EIO)), "%s", diag.text);
	send_text(good, "drained");
	send_text(bad, "refused");
	bench_settle(&b);
	struct pst_cell sum = bench_books(&b);
	cr_assert_eq(sum.stored, 2);
	cr_assert_eq(sum.shed[PST_SHED_SYNC_FAILED], 1);
	cr_assert_eq(sum.shed[PST_SHED_WRITE_FAILED], 1);
	cr_assert_eq(bench_count(&b, "s", bad, NULL), 1);
	cr_assert_eq(bench_count(&b, "s", good, "drained"), 1);
	bench_abandon(&b);
	cr_assert_neq(b.closed, 0);
	remove_all();
}

/* It halts only for a drive that it is on. */
Test(drives, nowhere_left_ends_the_daemon)
{
	struct pst_diag diag = {0};

	open_bench(go_on);
	break_drive(1, FAULT_QUEUE_SYNC);
	send_text(queue_on(STREAM_S, 1), "lost");
	bench_settle(&b);
	cr_assert_eq(bench_watch(&b, &diag), 0);
	break_drive(0, FAULT_QUEUE_SYNC);
	send_text(0, "lost, too");
	bench_settle(&b);
	cr_assert_eq(bench_watch(&b, &diag), -1);
	cr_assert(diag.remedy[0] != '\0');
	struct pst_cell sum = bench_books(&b);
	cr_assert_eq(sum.shed[PST_SHED_SYNC_FAILED], 2);
	bench_abandon(&b);
	mend_drive(0);
	remove_all();
}

/* A drive that stops answering at any moment of a start, in the middle of recovery, too. */
Test(drives, a_start_goes_on_without_a_drive_that_dies_in_it)
{
	struct pst_diag diag = {0};

	open_bench(go_on);
	send_text(queue_on(STREAM_S, 1), "stays");
	bench_settle(&b);
	bench_abandon(&b);
	cr_assert_eq(b.closed, 0);
	bool reached = true;
	for (unsigned n = 1; reached; n += 9) {
		struct pst_storage storage = {.disks = disks};
		break_drive(1, FAULT_ANY);
		faults[1].at = n;
		unsigned before = faults[1].failed_cnt;
		cr_assert_eq(pst_storage_open(b.profile, &storage, &diag), 0, "call %u: %s", n,
			diag.text);
		reached = faults[1].failed_cnt > before;
		cr_assert(pst_drives_usable(storage.drives, 0));
		for (uint16_t s = 0; s < b.profile->stream_cnt && reached; s++)
			for (uint16_t q = 0; q < pst_profile_partition_cnt(b.profile, s); q++)
				cr_assert_eq(storage.place[s][q].drive_idx, 0, "call %u", n);
		mend_drive(1);
		pst_storage_close(b.profile, &storage);
		cr_assert(!reached || n < 2000);
	}
	pst_profile_free(b.profile);
	remove_all();
}

/* Without the right to go on, a start without a drive is refused, and the way out is named. */
Test(drives, a_missing_drive_is_refused_or_forgotten)
{
	struct pst_storage storage = {0};
	struct pst_diag diag = {0};
	char from[96], to[96];

	open_bench(stop);
	send_text(queue_on(STREAM_S, 1), "away");
	bench_settle(&b);
	bench_abandon(&b);
	cr_assert_eq(b.closed, 0);
	snprintf(from, sizeof(from), "%s/b", b.dir);
	snprintf(to, sizeof(to), "%s/away", b.dir);
	cr_assert_eq(rename(from, to), 0);
	cr_assert_eq(pst_storage_open(b.profile, &storage, &diag), -1);
	cr_assert_str_eq(diag.file, from);
	cr_assert(strstr(diag.remedy, "--forget-missing-drives"), "%s", diag.remedy);
	pst_storage_close(b.profile, &storage);
	cr_assert_neq(access(from, F_OK), 0, "nothing was begun in its place");

	storage.forget_missing = true;
	cr_assert_eq(pst_storage_open(b.profile, &storage, &diag), 0, "%s", diag.text);
	cr_assert(pst_drives_usable(storage.drives, 1), "a new drive in its place");
	for (uint16_t s = 0; s < b.profile->queue_stream_cnt; s++)
		for (uint16_t q = 0; q < 2; q++)
			cr_assert_eq(storage.place[s][q].partition > 1,
				b.pipeline.place[s][q].drive_idx == 1,
				"no number of the drive that is away is used again");
	pst_storage_close(b.profile, &storage);
	start_again(&storage);
	pst_storage_close(b.profile, &storage);
	pst_profile_free(b.profile);
	remove_all();
}
