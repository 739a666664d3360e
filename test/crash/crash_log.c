/* A log alone, to be killed, cut off from its disk and judged.
 *
 *   crash_log write DIR SEED FIRST FLUSH_BYTES FLUSH_US   recovers, appends until it is killed
 *   crash_log recover DIR                                 recovers, closes
 *   crash_log check DIR SEED < ACKS                       reads all, compares with what was
 *                                                         acknowledged
 *
 * write says on standard output how each batch ended, a struct ack each: what it has said before
 * it was killed is what it acknowledged. When a batch comes back without being durable it goes on
 * for a while, as a daemon does, and then exits with 3. Each record has a number of its own, from
 * which, with the seed, its bytes follow; FIRST is the number of the first one. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "batch/batch.h"
#include "segment/appender.h"
#include "segment/reader.h"

#define PARTITION_CNT     2
#define BUF_CNT           16
#define VALUE_MAX         40000
#define SEGMENT_BYTES_MAX (1024 * 1024)
#define AFTER_FAILURE_NS  UINT64_C(300000000)
#define EXIT_FAILED_LOG   3

struct ack {
	uint64_t number; /* of the batch's first record */
	int64_t base_offset;
	uint32_t record_cnt;
	uint8_t partition;
	bool log_failed; /* for good, before this batch came back */
	uint16_t status; /* enum pst_append_status */
};
static_assert(sizeof(struct ack) == 24, "test/crash/judge.py reads it");

struct buf {
	struct ack ack;
	bool taken;
	uint8_t *wire;
};

static _Noreturn void
die(const struct pst_diag *diag)
{
	pst_diag_print(stderr, diag);
	exit(1);
}

static uint64_t
now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t
mixed(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* Most are small, some fill blocks; a third of them are incompressible. */
static uint32_t
make_value(uint64_t seed, uint64_t number, uint8_t *value)
{
	uint64_t kind = mixed(seed ^ number);
	uint32_t len = 8 + (uint32_t)(kind >> 8) % (kind % 8 == 0 ? VALUE_MAX - 8 : 600);
	memcpy(value, &number, 8);
	if (kind % 3) {
		memset(value + 8, 'a' + (int)(kind >> 40) % 26, len - 8);
		return len;
	}
	for (uint32_t at = 8; at < len; at += 8) {
		kind = mixed(kind);
		memcpy(value + at, &kind, pst_min_u64(8, len - at));
	}
	return len;
}

/* ---- write ---- */

static void
open_log(const char *path, uint64_t flush_bytes, uint64_t flush_age_ns, struct pst_datadir **dir,
	struct pst_appender **app)
{
	struct pst_diag diag;

	if (pst_datadir_open(path, dir, &diag) != 0)
		die(&diag);
	struct pst_appender_config config = {.flush_bytes = flush_bytes,
		.flush_age_ns = flush_age_ns,
		.dir = *dir,
		.piece_cnt = 8};
	if (pst_appender_create(&config, app, &diag) != 0)
		die(&diag);
	for (uint32_t p = 0; p < PARTITION_CNT; p++) {
		struct pst_recovery found;
		struct pst_log_config log = {
			.topic = "t", .partition = p, .segment_bytes_max = SEGMENT_BYTES_MAX};
		if (pst_appender_add(*app, &log, &found, &diag) != (int)p)
			die(&diag);
		fprintf(stderr, "t-%u: next %lld, cut %llu, set aside %llu\n", p,
			(long long)found.next_offset, (unsigned long long)found.cut_bytes,
			(unsigned long long)found.set_aside_bytes);
		for (uint32_t i = 0; i < found.item_cnt && i < PST_RECOVERY_ITEMS_MAX; i++) {
			char text[256];
			pst_recovery_text(&found.items[i], text, sizeof(text));
			fprintf(stderr, "t-%u: %s\n", p, text);
		}
	}
}

static void
make_batch(struct pst_batch_encoder *encoder, struct buf *buf, uint64_t seed, uint64_t *number)
{
	static uint8_t value[VALUE_MAX];
	uint64_t ts_ns = now_ns();

	buf->ack = (struct ack){.number = *number,
		.record_cnt = 1 + (uint32_t)mixed(*number) % 12,
		.partition = (uint8_t)(mixed(*number + 1) % PARTITION_CNT)};
	pst_batch_begin(encoder, buf->wire);
	for (uint32_t i = 0; i < buf->ack.record_cnt; i++) {
		struct pst_record record = {.value = value,
			.value_len = make_value(seed, (*number)++, value),
			.ts_ns = ts_ns};
		PST_ASSERT(pst_batch_append(encoder, &record));
	}
}

/* True: a batch came back without being durable. */
static bool
settle(struct pst_appender *app)
{
	struct pst_append_done done[BUF_CNT];
	bool failed = false, log_failed[PARTITION_CNT];
	for (int p = 0; p < PARTITION_CNT; p++) {
		struct pst_log_stats stats;
		pst_log_stats(app, p, &stats);
		log_failed[p] = stats.failed;
	}
	unsigned cnt = pst_appender_poll(app, now_ns(), done, BUF_CNT);

	for (unsigned i = 0; i < cnt; i++) {
		struct buf *buf = done[i].cookie;
		buf->ack.status = (uint16_t)done[i].status;
		buf->ack.base_offset = done[i].base_offset;
		buf->ack.log_failed = log_failed[buf->ack.partition];
		failed |= done[i].status != PST_APPEND_DURABLE;
		if (write(STDOUT_FILENO, &buf->ack, sizeof(buf->ack)) != sizeof(buf->ack))
			exit(1);
		buf->taken = false;
	}
	return failed;
}

static struct buf *
free_buf(struct buf *bufs)
{
	for (unsigned i = 0; i < BUF_CNT; i++)
		if (!bufs[i].taken)
			return &bufs[i];
	return NULL;
}

static int
write_log(const char *path, uint64_t seed, uint64_t number, uint64_t flush_bytes, uint64_t flush_us)
{
	static struct buf bufs[BUF_CNT];
	struct pst_batch_limits limits = {.raw_bytes_max = 900000, .record_cnt_max = 1000};
	struct pst_batch_encoder *encoder;
	struct pst_datadir *dir;
	struct pst_appender *app;
	uint64_t failed_ns = 0;

	PST_ASSERT(pst_batch_encoder_create(&limits, &encoder) == 0);
	for (unsigned i = 0; i < BUF_CNT; i++)
		PST_ASSERT((bufs[i].wire = malloc(PST_BATCH_WIRE_BYTES_MAX)) != NULL);
	open_log(path, flush_bytes, flush_us * 1000, &dir, &app);
	fprintf(stderr, "ready\n");
	while (!failed_ns || now_ns() < failed_ns + AFTER_FAILURE_NS) {
		struct buf *buf = free_buf(bufs);
		if (buf) {
			make_batch(encoder, buf, seed, &number);
			uint32_t len = pst_batch_seal(encoder);
			while (pst_append(app, buf->ack.partition, buf->wire, len, buf, now_ns()) !=
				0)
				if (settle(app) && !failed_ns)
					failed_ns = now_ns();
			buf->taken = true;
		}
		if (settle(app) && !failed_ns)
			failed_ns = now_ns();
		if (pst_datadir_checkpoint_wanted(dir))
			pst_datadir_checkpoint(dir);
	}
	return EXIT_FAILED_LOG;
}

static int
recover_log(const char *path)
{
	struct pst_datadir *dir;
	struct pst_appender *app;

	open_log(path, 0, 0, &dir, &app);
	int rc = pst_appender_destroy(app);
	pst_datadir_close(dir);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- check ---- */

struct acks {
	struct ack *ack; /* those of one partition that are durable, by base offset */
	size_t cnt;
};

static int
by_offset(const void *a, const void *b)
{
	const struct ack *one = a, *other = b;
	return (one->base_offset > other->base_offset) - (one->base_offset < other->base_offset);
}

static void
read_acks(struct acks *acks)
{
	struct ack ack;
	size_t cap[PARTITION_CNT] = {0};

	while (fread(&ack, sizeof(ack), 1, stdin) == 1) {
		struct acks *of = &acks[ack.partition % PARTITION_CNT];
		if (ack.status != PST_APPEND_DURABLE)
			continue;
		if (of->cnt == cap[ack.partition]) {
			cap[ack.partition] = 2 * of->cnt + 1024;
			of->ack = realloc(of->ack, cap[ack.partition] * sizeof(ack));
			PST_ASSERT(of->ack != NULL);
		}
		of->ack[of->cnt++] = ack;
	}
	for (unsigned p = 0; p < PARTITION_CNT; p++)
		qsort(acks[p].ack, acks[p].cnt, sizeof(ack), by_offset);
}

/* Numbers that a partition holds, in the order of its offsets. */
struct seen {
	uint64_t *number;
	size_t cnt, cap;
	int64_t first_offset;
};

static void
check_record(const struct pst_batch_record *record, uint64_t seed, struct seen *seen)
{
	static uint8_t value[VALUE_MAX];
	uint64_t number;

	if (record->value_len < 8) {
		printf("offset %lld: %u bytes\n", (long long)record->offset, record->value_len);
		exit(1);
	}
	memcpy(&number, record->value, 8);
	if (record->value_len != make_value(seed, number, value) ||
		memcmp(record->value, value, record->value_len) != 0) {
		printf("offset %lld: not the bytes of event %llu\n", (long long)record->offset,
			(unsigned long long)number);
		exit(1);
	}
	/* One appender takes them in the order of their numbers. */
	if (seen->cnt > 0 && number <= seen->number[seen->cnt - 1]) {
		printf("offset %lld: event %llu again, or late\n", (long long)record->offset,
			(unsigned long long)number);
		exit(1);
	}
	if (seen->cnt == 0)
		seen->first_offset = record->offset;
	if (record->offset != seen->first_offset + (int64_t)seen->cnt) {
		printf("offset %lld follows %lld\n", (long long)record->offset,
			(long long)(seen->first_offset + (int64_t)seen->cnt) - 1);
		exit(1);
	}
	if (seen->cnt == seen->cap) {
		seen->cap = 2 * seen->cap + 4096;
		seen->number = realloc(seen->number, seen->cap * sizeof(number));
		PST_ASSERT(seen->number != NULL);
	}
	seen->number[seen->cnt++] = number;
}

static void
check_partition(const char *path, uint32_t partition, uint64_t seed, const struct acks *acks)
{
	struct pst_batch_record record;
	struct seen seen = {0};
	struct pst_reader *reader;
	struct pst_diag diag;
	enum pst_read_result result;
	uint64_t acked = 0;

	if (pst_reader_open(path, "t", partition, &reader, &diag) != 0) {
		/* Not made before the disk went away. */
		if (acks->cnt == 0)
			return;
		die(&diag);
	}
	while ((result = pst_reader_next(reader, &record, &diag)) == PST_READ_RECORD)
		check_record(&record, seed, &seen);
	if (result == PST_READ_DAMAGE)
		die(&diag);
	for (size_t i = 0; i < acks->cnt; i++) {
		const struct ack *ack = &acks->ack[i];
		for (uint32_t r = 0; r < ack->record_cnt; r++) {
			int64_t at = ack->base_offset + r - seen.first_offset;
			if (at < 0 || at >= (int64_t)seen.cnt ||
				seen.number[at] != ack->number + r) {
				printf("t-%u: acknowledged event %llu is not at offset %lld (%zu "
				       "events from %lld on)\n",
					partition, (unsigned long long)(ack->number + r),
					(long long)ack->base_offset + r, seen.cnt,
					(long long)seen.first_offset);
				exit(1);
			}
		}
		acked += ack->record_cnt;
	}
	printf("t-%u %llu acknowledged of %zu\n", partition, (unsigned long long)acked, seen.cnt);
	pst_reader_close(reader);
	free(seen.number);
}

int
main(int argc, char **argv)
{
	struct acks acks[PARTITION_CNT] = {0};

	if (argc == 7 && strcmp(argv[1], "write") == 0)
		return write_log(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10),
			strtoull(argv[5], NULL, 10), strtoull(argv[6], NULL, 10));
	if (argc == 3 && strcmp(argv[1], "recover") == 0)
		return recover_log(argv[2]);
	if (argc != 4 || strcmp(argv[1], "check") != 0)
		return 2;
	read_acks(acks);
	for (uint32_t p = 0; p < PARTITION_CNT; p++)
		check_partition(argv[2], p, strtoull(argv[3], NULL, 10), &acks[p]);
	return EXIT_SUCCESS;
}
