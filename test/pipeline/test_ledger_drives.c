/* The ledger's own drive fails: its stream goes on elsewhere, and what it says stays true. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"
#include "penstock.h"
#include "segment/reader.h"
#include "segment/test_fault.h"

#define PROFILE(on_failure)                                                                        \
	"name: drives\n"                                                                           \
	"data: {dirs: [DIR/a, DIR/b]}\n"                                                           \
	"cores: {main: 0, rx: [0, 1], writers: [0]}\n"                                             \
	"memory: {size: 256M, no-huge: true}\n"                                                    \
	"ports:\n"                                                                                 \
	"  - {name: p0, vdev: \"net_null0,no-rx=1\"}\n"                                            \
	"  - {name: p1, vdev: \"net_null1,no-rx=1\"}\n"                                            \
	"listeners:\n"                                                                             \
	"  - {name: feed, addresses: [10.0.0.2], port: 3, framing: mold64, stream: feed}\n"        \
	"streams:\n"                                                                               \
	"  - {name: feed, on-failure: " on_failure "}\n"                                           \
	"quarantine: {rate: 1000}\n"                                                               \
	"batch: {bytes: 64K, records: 100, age: 1s, buffers: 16}\n"                                \
	"ledger: {interval: 100ms}\n"

static const char go_on[] = PROFILE("continue"), halt[] = PROFILE("halt");

enum { FEED = 3, DRIVES = 2 };

TestSuite(ledger_drives, .timeout = 60);

static struct bench b;
static struct fault faults[DRIVES];
static struct pst_disk *const disks[DRIVES] = {&faults[0].disk, &faults[1].disk};
static struct pst_recorder_view view;
static uint8_t frame[2000];

static const struct pst_log_place *
ledger(void)
{
	return &b.pipeline.place[b.profile->ledger_stream_idx][0];
}

static void
open_bench(const char *profile)
{
	for (unsigned d = 0; d < DRIVES; d++)
		if (!faults[d].disk.ops)
			fault_init(&faults[d]);
	bench_open_on(&b, profile, disks);
	cr_assert_eq(pst_recorder_view_init(&view, &b.pipeline), 0);
}

static void
fail_syncs(uint16_t drive)
{
	faults[drive].calls = FAULT_QUEUE_SYNC;
	faults[drive].seen_cnt = 0;
	faults[drive].at = 1;
	faults[drive].for_ever = true;
	faults[drive].error = -EIO;
}

/* The daemon's turns until one more interval has ended and records became durable; without the
 * watch over drives, until some could not be written. */
static void
keep(bool watched)
{
	struct pst_diag diag;
	uint64_t until = view.interval.last + 1;
	uint64_t records = view.record_cnt, failed = view.failed_cnt;

	do {
		bench_record(&b);
		bench_settle(&b);
		if (watched)
			cr_assert_eq(bench_watch(&b, &diag), 0, "%s", diag.text);
		cr_assert_eq(pst_recorder_view(b.pipeline.recorder, &view), 0);
	} while (view.interval.last < until ||
		 (watched ? view.record_cnt == records : view.failed_cnt == failed));
}

static void
keep_turning(void)
{
	bench_record(&b);
	bench_settle(&b);
	cr_assert_eq(pst_recorder_view(b.pipeline.recorder, &view), 0);
}

/* Frames that are no packet of the feed's. */
static void
reject(unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++)
		bench_deliver(&b, 0, 0, frame, bench_frame(frame, FEED, "short", 5));
}

static json_int_t
count_rejected(const json_t *record)
{
	const json_t *frames = json_object_get(record, "frames");
	return json_integer_value(
		json_object_get(json_object_get(frames, "rejected"), "mold_short"));
}

/* Sum of one partition's intervals, as often as they are there. */
static json_int_t
rejected_in(uint16_t drive, uint32_t partition)
{
	struct pst_batch_record record;
	struct pst_reader *reader;
	struct pst_diag diag;
	json_int_t sum = 0;

	cr_assert_eq(pst_reader_open(b.profile->data_dirs[drive], PST_LEDGER_STREAM, partition,
			     &reader, &diag),
		0, "%s", diag.text);
	pst_reader_seek(reader, 0);
	while (pst_reader_next(reader, &record, &diag) == PST_READ_RECORD) {
		json_t *json = json_loadb((const char *)record.value, record.value_len, 0, NULL);
		if (strcmp(json_string_value(json_object_get(json, "kind")), "interval") == 0)
			sum += count_rejected(json);
		json_decref(json);
	}
	pst_reader_close(reader);
	return sum;
}

/* What `penstock loss` says of the profile's directories. */
static json_t *
loss(int *status)
{
	char from[96], to[96];
	char *argv[] = {"loss", "--profile", from, "--json", NULL};

	/* EAL pinned this thread; the profile names other CPUs, too. */
	cpu_set_t cpus;
	memset(&cpus, 0xff, sizeof(cpus));
	sched_setaffinity(0, sizeof(cpus), &cpus);
	snprintf(from, sizeof(from), "%s/profile.yaml", b.dir);
	snprintf(to, sizeof(to), "%s/loss.json", b.dir);
	fflush(stdout);
	int kept = dup(STDOUT_FILENO), out = open(to, O_CREAT | O_TRUNC | O_WRONLY, 0644);
	cr_assert(kept >= 0 && out >= 0 && dup2(out, STDOUT_FILENO) >= 0);
	*status = pst_cmd_loss(4, argv);
	fflush(stdout);
	dup2(kept, STDOUT_FILENO);
	close(kept);
	close(out);
	json_t *json = json_load_file(to, 0, NULL);
	cr_assert_not_null(json);
	return json;
}

static void
start_again(struct pst_storage *storage)
{
	struct pst_diag diag = {0};
	memset(storage, 0, sizeof(*storage));
	cr_assert_eq(
		pst_storage_open(b.profile, storage, &diag), 0, "%s: %s", diag.file, diag.text);
}

static void
end(void)
{
	char command[96];
	pst_recorder_view_fini(&view);
	pst_profile_free(b.profile);
	snprintf(command, sizeof(command), "rm -rf %s", b.dir);
	cr_assert_eq(system(command), 0);
}

static json_int_t
total(const json_t *result, const char *what)
{
	return json_integer_value(json_object_get(json_object_get(result, "totals"), what));
}

static const char *
text_at(const json_t *row, const char *name)
{
	const char *text = json_string_value(json_object_get(row, name));
	return text ? text : "";
}

/* The only drive record with the event, of that stream if it is not NULL. */
static const json_t *
drive_event(const json_t *result, const char *event, const char *stream)
{
	const json_t *found = NULL;
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(result, "drives"), i, row)
	{
		if (strcmp(text_at(row, "event"), event) != 0 ||
			(stream && strcmp(text_at(row, "stream"), stream) != 0))
			continue;
		cr_assert_null(found, "twice: %s", event);
		found = row;
	}
	cr_assert_not_null(found, "no %s", event);
	return found;
}

static json_int_t
number_at(const json_t *row, const char *name)
{
	return json_integer_value(json_object_get(row, name));
}

/* Records whose sync failed are written again elsewhere, and reappear where they were: each counts
 * once. After a restart the ledger goes on where it was last, though its first drive is back. */
Test(ledger_drives, the_ledger_goes_on_elsewhere_and_counts_once)
{
	struct pst_storage storage;
	int status;

	open_bench(go_on);
	uint16_t bad = ledger()->drive_idx;
	cr_assert_eq(ledger()->partition, 0);
	reject(3);
	keep(true);
	fail_syncs(bad);
	reject(20);
	keep(false);
	cr_assert_gt(view.failed_cnt, 0);
	reject(100);
	keep(true);
	keep(true);
	uint32_t moved = ledger()->partition;
	cr_assert_gt(moved, 0);
	cr_assert_neq(ledger()->drive_idx, bad);
	cr_assert_eq(bench_books(&b).verdict[PST_FRAME_MOLD_SHORT], 123);
	bench_abandon(&b);

	start_again(&storage); /* recovers what reappears */
	cr_assert_eq(storage.place[b.profile->ledger_stream_idx][0].partition, moved);
	cr_assert_eq(storage.place[b.profile->ledger_stream_idx][0].drive_idx, 1 - bad);
	pst_storage_close(b.profile, &storage);
	cr_assert_eq(rejected_in(bad, 0), 23, "what was not synced is back");
	cr_assert_eq(rejected_in(1 - bad, moved), 120);
	json_t *result = loss(&status);
	cr_assert_eq(total(result, "rejected"), 123);
	cr_assert_eq(status, 3);
	const json_t *failed = drive_event(result, "failed", NULL);
	cr_assert_str_eq(text_at(failed, "path"), b.profile->data_dirs[bad]);
	cr_assert_str_eq(text_at(failed, "error"), strerror(EIO));
	const json_t *move = drive_event(result, "moved", PST_LEDGER_STREAM);
	cr_assert_eq(number_at(move, "partition"), 0);
	cr_assert_eq(number_at(move, "to_partition"), moved);
	cr_assert_str_eq(text_at(move, "to_path"), b.profile->data_dirs[1 - bad]);
	cr_assert_str_eq(
		text_at(drive_event(result, "moved", "feed"), "queue"), bad ? "p1/0" : "p0/0");
	json_decref(result);
	end();
}

/* A stream that halts ends the daemon; the ledger itself goes on, and says so. */
Test(ledger_drives, what_halted_is_recorded)
{
	struct pst_diag diag = {0};
	int status;

	open_bench(halt);
	uint16_t bad = ledger()->drive_idx;
	keep_turning();
	fail_syncs(bad);
	reject(20);
	keep(false);
	cr_assert_eq(bench_watch(&b, &diag), -1);
	cr_assert(strstr(diag.text, "stream feed halts on failure"), "%s", diag.text);
	uint64_t records = view.record_cnt, until = view.interval.last + 50;
	while (view.record_cnt == records && view.interval.last < until)
		keep_turning();
	cr_assert_gt(view.record_cnt, records, "kept elsewhere");
	bench_abandon(&b);
	json_t *result = loss(&status);
	cr_assert_eq(total(result, "rejected"), 20);
	drive_event(result, "failed", NULL);
	cr_assert_str_eq(
		text_at(drive_event(result, "halted", "feed"), "path"), b.profile->data_dirs[bad]);
	cr_assert_eq(json_array_size(json_object_get(result, "drives")), 3, "and the ledger moved");
	json_decref(result);
	end();
}

/* A drive that does not answer when the daemon starts. */
Test(ledger_drives, a_start_without_a_drive_is_recorded)
{
	int status;

	fault_init(&faults[1]);
	faults[1].calls = FAULT_ANY;
	faults[1].at = 1;
	faults[1].for_ever = true;
	faults[1].error = -EIO;
	open_bench(go_on);
	reject(5);
	keep(true);
	bench_abandon(&b);
	json_t *result = loss(&status);
	const json_t *failed = drive_event(result, "failed", NULL);
	cr_assert_str_eq(text_at(failed, "path"), b.profile->data_dirs[1]);
	cr_assert_eq(total(result, "rejected"), 5);
	cr_assert_eq(status, 1, "a directory cannot be read");
	json_decref(result);
	end();
}
