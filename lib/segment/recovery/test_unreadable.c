/* Bytes of a segment that the drive does not give out: the log starts without them, says which, and
 * goes on behind every offset that they may hold. */
#include <errno.h>
#include <stdlib.h>

#include "segment/drives/drives.h"
#include "segment/test_fault.h"
#include "segment/test_fixture.h"
#include "segment/verify/verify.h"

#define BATCH_CNT 40
#define LOG0      "00000000000000000000.log"

struct bad {
	struct fix *f;
	struct fault fault;
	struct pst_log_config config;
	uint64_t ends[BATCH_CNT]; /* of the batches in segment 0, two records each */
	uint8_t *log;             /* segment 0's bytes */
	size_t log_bytes;
};

/* BATCH_CNT batches of about 6 KB, the mark at those up to marked; then killed, as if by a power
 * loss: what was published since the mark is forgotten. */
static void
bad_begin(struct bad *b, unsigned marked, bool closed, bool sealed)
{
	struct fix *f = fix_new(true);
	b->config = fix_log_config();
	b->config.sealed = sealed;
	fix_open(f, &b->config);
	uint64_t end = 0;
	for (unsigned i = 0; i < BATCH_CNT; i++) {
		if (i == marked)
			cr_assert_eq(pst_datadir_checkpoint(f->dir), 0);
		fix_batch(f, 2, 3000, 1000 + i);
		fix_append(f);
		fix_rest(f);
		b->ends[i] = end += f->batch_bytes;
	}
	if (closed)
		cr_assert_eq(fix_close(f), 0);
	b->f = fix_snapshot(f, true);
	fix_free(f);
	b->log = fix_file(b->f, LOG0, &b->log_bytes);
	fault_init(&b->fault);
}

static void
bad_range(struct bad *b, uint64_t pos, uint64_t bytes)
{
	b->fault.bad_name = LOG0;
	b->fault.bad_pos = pos;
	b->fault.bad_bytes = bytes;
}

/* Reads all that can be read; counts the damaged places. What is there must be right. */
static void
read_all(struct bad *b, int64_t next, bool seen[], unsigned *place_cnt)
{
	struct pst_reader *reader;
	struct pst_batch_record record;
	struct pst_diag diag;
	enum pst_read_result r;
	*place_cnt = 0;
	cr_assert_eq(pst_reader_open_on(&b->fault.disk, b->f->path, "t", 0, &reader, &diag), 0);
	while ((r = pst_reader_next(reader, &record, &diag)) != PST_READ_END) {
		if (r == PST_READ_DAMAGE) {
			cr_assert_lt(++*place_cnt, 10, "%s", diag.text);
			cr_assert(strstr(diag.text, strerror(EIO)), "%s", diag.text);
			cr_assert(strstr(diag.file, LOG0), "%s", diag.file);
			pst_reader_skip_damage(reader);
			continue;
		}
		if (record.offset >= 2 * BATCH_CNT)
			cr_assert_geq(record.offset, next);
		else
			cr_assert_eq(record.value[0],
				'a' + (int)(record.offset / 2 + record.offset % 2) % 26);
		seen[record.offset < 2 * BATCH_CNT ? record.offset : 2 * BATCH_CNT] = true;
	}
	pst_reader_close(reader);
}

static uint64_t
findings(struct bad *b, const char *says)
{
	struct pst_verify_totals totals;
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	cr_assert_eq(pst_verify_on(&b->fault.disk, b->f->path, out, &totals), 0);
	fclose(out);
	cr_assert(strstr(text, says), "\"%s\" does not say \"%s\"", text, says);
	free(text);
	return totals.finding_cnt;
}

static void
append_more(struct bad *b)
{
	b->f->taken_cnt = b->f->result->done_cnt = 0;
	fix_batch(b->f, 2, 3000, 5000);
	fix_append(b->f);
	fix_rest(b->f);
	cr_assert_eq(b->f->result->status[0], PST_APPEND_DURABLE);
}

/* Starts on the bad range, which recovery meets at pos, reads, verifies, starts again: with it and
 * without it. The offsets from lost_from to lost_to cannot be read. */
static void
expect_goes_on(struct bad *b, const char *what, uint64_t pos, int64_t lost_from, int64_t lost_to)
{
	struct fix *f = b->f;
	bool seen[2 * BATCH_CNT + 1];
	unsigned place_cnt;
	char said[128];
	size_t len;
	fix_open_on(f, &b->fault.disk, &b->config);
	int64_t next = f->recovery.next_offset;
	snprintf(said, sizeof(said), "segment 0 cannot be read at position %llu",
		(unsigned long long)pos);
	cr_assert(fix_recovery_says(f, said), "%s: not said: %s", what, said);
	cr_assert_not(f->recovery.clean);
	cr_assert_geq(next, 2 * BATCH_CNT, "%s: goes on with %ld", what, (long)next);
	append_more(b);
	cr_assert_eq(f->result->base_offset[0], next, "%s", what);
	for (int round = 0; round < 3; round++) {
		uint8_t *log = fix_file(f, LOG0, &len);
		cr_assert_eq(len, b->log_bytes, "%s: the segment was changed", what);
		cr_assert_arr_eq(log, b->log, len, "%s: the segment was changed", what);
		free(log);
		memset(seen, 0, sizeof(seen));
		read_all(b, next, seen, &place_cnt);
		cr_assert_eq(place_cnt, 1, "%s: %u places", what, place_cnt);
		for (int64_t o = 0; o < 2 * BATCH_CNT; o++)
			cr_assert(seen[o] != (o >= lost_from && o < lost_to),
				"%s, round %d: offset %ld", what, round, (long)o);
		cr_assert(seen[2 * BATCH_CNT], "%s: what came after is not read", what);
		cr_assert_geq(findings(b, "cannot be read: Input/output error"), 1, "%s", what);
		cr_assert_eq(fix_close(f), 0);
		if (round == 1)
			fix_forget_marks(f);
		fix_open_on(f, &b->fault.disk, &b->config);
		cr_assert_geq(f->recovery.next_offset, next + 2, "%s: again", what);
		append_more(b);
	}
	/* The drive gives it out after all: it is all there, and no offset twice. */
	cr_assert_eq(fix_close(f), 0);
	b->fault.bad_name = NULL;
	memset(b->fault.bad_files, 0, sizeof(b->fault.bad_files));
	fix_forget_marks(f);
	fix_open_on(f, &b->fault.disk, &b->config);
	cr_assert_eq(f->recovery.set_aside_bytes, 0, "%s", what);
	memset(seen, 0, sizeof(seen));
	read_all(b, next, seen, &place_cnt);
	cr_assert_eq(place_cnt, 0, "%s", what);
	for (int64_t o = 0; o <= 2 * BATCH_CNT; o++)
		cr_assert(seen[o], "%s: offset %ld is gone", what, (long)o);
}

static void
bad_end(struct bad *b)
{
	fix_free(b->f);
	fault_fini(&b->fault);
	free(b->log);
}

/* A bad block among what the mark promises: where the log ends is still found. */
Test(unreadable, before_the_mark)
{
	for (int sealed = 0; sealed < 2; sealed++) {
		struct bad b = {0};
		bad_begin(&b, 30, false, sealed);
		/* Batches 10 and 11 share the block; of what the mark covers recovery reads but
		 * the headers. */
		uint64_t block = b.ends[10] / 4096 * 4096;
		bad_range(&b, block, 4096);
		expect_goes_on(&b, "before the mark", b.ends[10], 20, 24);
		bad_end(&b);
	}
}

/* Behind the mark nobody knows what was acknowledged: no offset that may be in there is given
 * again. */
Test(unreadable, behind_the_mark)
{
	for (int sealed = 0; sealed < 2; sealed++) {
		struct bad b = {0};
		bad_begin(&b, 10, false, sealed);
		bad_range(&b, b.ends[36] + 100, 100000);
		expect_goes_on(&b, "behind the mark", b.ends[36], 74, 80);
		bad_end(&b);
	}
}

Test(unreadable, all_of_it)
{
	struct bad b = {0};
	bad_begin(&b, 30, false, true);
	bad_range(&b, 0, 1 << 30);
	expect_goes_on(&b, "all of it", 0, 0, 80);
	bad_end(&b);
}

Test(unreadable, not_even_opened)
{
	struct bad b = {0};
	bad_begin(&b, 30, false, true);
	bad_range(&b, 0, 0);
	expect_goes_on(&b, "not even opened", 0, 0, 80);
	bad_end(&b);
}

/* The last block of a log that was closed in order. */
Test(unreadable, the_end_of_a_closed_log)
{
	struct bad b = {0};
	bad_begin(&b, 30, true, true);
	bad_range(&b, b.log_bytes / 4096 * 4096, 4096);
	fix_open_on(b.f, &b.fault.disk, &b.config);
	cr_assert(fix_recovery_says(b.f, "segment 0 cannot be read at position"));
	cr_assert_eq(b.f->recovery.next_offset, 80, "the mark of the clean end says where it is");
	append_more(&b);
	cr_assert_eq(b.f->result->base_offset[0], 80);
	bad_end(&b);
}

/* A torn seal of a segment that cannot be read is set aside all the same, or it would stay for
 * ever; one that is whole stays. */
Test(unreadable, beside_its_seal)
{
	for (int torn = 0; torn < 2; torn++) {
		static const char seal[] = "00000000000000000000.seal";
		struct bad b = {0};
		size_t len;
		bad_begin(&b, 30, true, true);
		uint8_t *bytes = fix_file(b.f, seal, &len);
		fix_write_file(b.f, seal, bytes, torn ? 10 : len);
		free(bytes);
		bad_range(&b, 0, 1 << 30);
		fix_open_on(b.f, &b.fault.disk, &b.config);
		cr_assert(fix_recovery_says(b.f, "segment 0 cannot be read"));
		cr_assert_eq(fix_exists(b.f, seal), !torn);
		append_more(&b);
		cr_assert_eq(fix_close(b.f), 0);
		cr_assert_eq(fix_exists(b.f, seal), !torn);
		bad_end(&b);
	}
}

/* Marks, indexes and seals that cannot be read are as good as lost, and no more. */
Test(unreadable, small_files)
{
	static const char *const names[] = {"penstock.durable", "00000000000000000000.index",
		"00000000000000000000.timeindex", "00000000000000000000.seal"};
	for (size_t i = 0; i < PST_ARRAY_CNT(names); i++) {
		for (int closed = 0; closed < 2; closed++) {
			struct bad b = {0};
			bad_begin(&b, 30, closed, true);
			bad_range(&b, 0, 1 << 30);
			b.fault.bad_name = names[i];
			fix_open_on(b.f, &b.fault.disk, &b.config);
			cr_assert_eq(b.f->recovery.next_offset, 80, "%s", names[i]);
			append_more(&b);
			cr_assert_eq(b.f->result->base_offset[0], 80, "%s", names[i]);
			cr_assert_eq(fix_close(b.f), 0);
			fix_expect_no_findings(b.f, names[i]);
			bad_end(&b);
		}
	}
}

/* A partition whose directory cannot be read: that is a failed drive. */
Test(unreadable, the_directory_is_refused)
{
	struct bad b = {0};
	struct pst_diag diag;
	bad_begin(&b, 30, false, true);
	b.fault.calls = FAULT_LIST;
	b.fault.at = 2; /* the first is of the data directory */
	b.fault.error = -EIO;
	cr_assert_lt(fix_try_open(b.f, &b.fault.disk, &b.config, &diag), 0);
	cr_assert(strstr(diag.remedy, "drive"), "%s", diag.remedy);
	/* So that a start with several drives can go on without it. */
	const char *paths[] = {b.f->path};
	struct pst_disk *disks[] = {&b.fault.disk};
	struct pst_drives_config config = {.paths = paths, .cnt = 1, .disks = disks};
	struct pst_drives *drives;
	b.fault.at = 0;
	cr_assert_eq(pst_drives_open(&config, &drives, &diag), 0, "%s", diag.text);
	cr_assert_eq(pst_drives_ask(drives, 0), 0);
	b.fault.seen_cnt = 0;
	b.fault.at = 2;
	cr_assert_eq(pst_drives_ask(drives, 0), EIO);
	pst_drives_close(drives);
	bad_end(&b);
}
