/* Recovery from logs that were harmed: cut, flipped, overwritten, interrupted. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "segment/repair/repair.h"
#include "segment/test_fault.h"
#include "segment/test_fixture.h"
#include "segment/verify/verify.h"

#define LOG0 "00000000000000000000.log"

/* A live log of cnt batches of two records of value_len bytes, marked durable up to marked of them;
 * closed and copied as a killed process would have left it. Fills the batches' ends. */
static struct fix *
killed_log(unsigned cnt, unsigned marked, uint32_t value_len, uint64_t ends[])
{
	struct fix *f = fix_new(true);
	struct pst_log_config config = fix_log_config();
	fix_open(f, &config);
	uint64_t end = 0;
	for (unsigned i = 0; i < cnt; i++) {
		if (i == marked)
			cr_assert_eq(pst_datadir_checkpoint(f->dir), 0);
		fix_batch(f, 2, value_len, 1000 + i);
		fix_append(f);
		fix_rest(f);
		end += f->batch_bytes;
		ends[i] = end;
	}
	if (marked == cnt)
		cr_assert_eq(pst_datadir_checkpoint(f->dir), 0);
	struct fix *copy = fix_snapshot(f, true);
	fix_free(f);
	return copy;
}

/* Records of a killed_log as a reader gives them: what is there must be right. Returns their
 * number. */
static unsigned
expect_true_records(const struct fix *f)
{
	struct pst_reader *reader;
	struct pst_batch_record record;
	struct pst_diag diag;
	uint8_t value[300];
	unsigned cnt = 0;
	enum pst_read_result r;
	cr_assert_eq(pst_reader_open(f->path, "t", 0, &reader, &diag), 0);
	while ((r = pst_reader_next(reader, &record, &diag)) != PST_READ_END) {
		if (r == PST_READ_DAMAGE) {
			pst_reader_skip_damage(reader);
			continue;
		}
		memset(value, 'a' + (int)(record.offset / 2 + record.offset % 2) % 26, 300);
		cr_assert_eq(record.value_len, 300);
		cr_assert_arr_eq(record.value, value, 300);
		cnt++;
	}
	pst_reader_close(reader);
	return cnt;
}

/* Opens, closes and opens again: the second time nothing is left to do. */
static void
recover_twice(struct fix *f, int64_t next)
{
	struct pst_log_config config = fix_log_config();
	fix_open(f, &config);
	cr_assert_eq(f->recovery.next_offset, next, "next offset %ld, not %ld",
		(long)f->recovery.next_offset, (long)next);
	struct pst_recovery first = f->recovery;
	cr_assert_eq(fix_close(f), 0);
	char *names = fix_names(f);
	fix_expect_no_findings(f, "recovered");
	fix_open(f, &config);
	cr_assert(f->recovery.clean);
	cr_assert_eq(f->recovery.next_offset, next);
	cr_assert_eq(fix_close(f), 0);
	/* And without the marks of the clean end. */
	fix_forget_marks(f);
	fix_open(f, &config);
	cr_assert_eq(f->recovery.next_offset, next);
	cr_assert_eq(f->recovery.cut_bytes, 0);
	cr_assert_eq(f->recovery.set_aside_bytes, 0);
	cr_assert_eq(f->recovery.index_rebuilt_cnt, 0);
	cr_assert_eq(fix_close(f), 0);
	char *again = fix_names(f);
	cr_assert_str_eq(names, again);
	free(names);
	free(again);
	f->recovery = first;
}

#define SMALL_CNT 4

Test(recovery, from_every_truncation)
{
	uint64_t ends[SMALL_CNT];
	struct fix *f = killed_log(SMALL_CNT, SMALL_CNT, 20, ends);
	size_t len;
	uint8_t *log = fix_file(f, LOG0, &len);
	cr_assert_geq(len, ends[SMALL_CNT - 1]);
	for (size_t n = 0; n <= ends[SMALL_CNT - 1]; n++) {
		unsigned whole = 0;
		while (whole < SMALL_CNT && ends[whole] <= n)
			whole++;
		uint64_t good = whole ? ends[whole - 1] : 0;
		fix_write_file(f, LOG0, log, n);
		fix_forget_marks(f);
		struct pst_log_config config = fix_log_config();
		fix_open(f, &config);
		cr_assert_eq(f->recovery.next_offset, 2 * whole, "cut to %zu", n);
		/* Zeros are not counted: they say nothing. */
		uint64_t end = n;
		while (end > good && log[end - 1] == 0)
			end--;
		cr_assert_eq(f->recovery.cut_bytes, end - good, "cut to %zu", n);
		cr_assert_eq(f->recovery.set_aside_bytes, 0);
		cr_assert_eq(fix_close(f), 0);
		size_t got_len;
		uint8_t *got = fix_file(f, LOG0, &got_len);
		cr_assert_eq(got_len, good);
		cr_assert_arr_eq(got, log, good);
		free(got);
		if (n % 97 == 0)
			recover_twice(f, 2 * whole);
	}
	free(log);
	fix_free(f);
}

#define CNT    8
#define MARKED 4

enum harm { HARM_FLIP, HARM_ZERO, HARM_JUNK, HARM_CNT };

static void
do_harm(uint8_t *log, size_t pos, size_t len, enum harm harm)
{
	size_t n = len - pos < 512 ? len - pos : 512;
	switch (harm) {
	case HARM_FLIP:
		log[pos + (pos / 512 * 61) % n] ^= (uint8_t)(1u << (pos / 512 % 8));
		break;
	case HARM_ZERO:
		memset(log + pos, 0, n);
		break;
	case HARM_JUNK:
		for (size_t i = 0; i < n; i++)
			log[pos + i] = (uint8_t)(i * 131 + pos);
		break;
	case HARM_CNT:
		break;
	}
}

Test(recovery, from_harm_to_every_sector)
{
	uint64_t ends[CNT];
	struct fix *origin = killed_log(CNT, MARKED, 300, ends);
	size_t len;
	uint8_t *log = fix_file(origin, LOG0, &len), *bad = malloc(len);
	struct pst_log_config config = fix_log_config();
	for (int harm = 0; harm < HARM_CNT; harm++) {
		for (size_t pos = 0; pos < ends[CNT - 1]; pos += 512) {
			struct fix *f = fix_snapshot(origin, true);
			memcpy(bad, log, len);
			do_harm(bad, pos, ends[CNT - 1], (enum harm)harm);
			fix_write_file(f, LOG0, bad, len);
			size_t at = 0;
			while (bad[at] == log[at])
				at++;
			unsigned hurt = 0; /* the first batch that is */
			while (ends[hurt] <= at)
				hurt++;
			fix_open(f, &config);
			int64_t next = f->recovery.next_offset;
			uint64_t aside = f->recovery.set_aside_bytes, cut = f->recovery.cut_bytes;
			/* What was promised is never given again. */
			cr_assert_geq(next, 2 * MARKED);
			if (hurt >= MARKED) {
				cr_assert_eq(next, 2 * hurt, "harm %d at %zu", harm, pos);
				/* The last is cut; what has whole batches behind it is kept. */
				if (memcmp(bad + ends[CNT - 2], log + ends[CNT - 2],
					    ends[CNT - 1] - ends[CNT - 2]) != 0)
					cr_assert(aside == 0 && (cut > 0 || harm == HARM_ZERO));
				else
					cr_assert(aside > 0 && cut == 0);
			}
			fix_append_some(f, 2, 300);
			cr_assert_eq(f->result->status[0], PST_APPEND_DURABLE);
			cr_assert_eq(f->result->base_offset[0], next);
			cr_assert_eq(fix_close(f), 0);
			struct pst_verify_totals totals;
			cr_assert_eq(pst_verify(f->path, NULL, &totals), 0);
			if (hurt >= MARKED)
				cr_assert_eq(totals.finding_cnt, 0);
			fix_free(f);
		}
	}
	free(log);
	free(bad);
	fix_free(origin);
}

Test(recovery, keeps_every_damaged_byte)
{
	uint64_t ends[CNT];
	struct fix *f = killed_log(CNT, MARKED, 300, ends);
	size_t len, kept_len;
	uint8_t *log = fix_file(f, LOG0, &len);
	log[ends[4] + 100] ^= 1; /* batch 5 of 0 to 7, behind the mark */
	fix_write_file(f, LOG0, log, len);
	recover_twice(f, 10);
	/* What was reserved behind the last batch may stay behind, all the rest is kept. */
	cr_assert_geq(f->recovery.set_aside_bytes, ends[CNT - 1] - ends[4]);
	cr_assert(fix_recovery_says(f, "set aside"));
	char *names = fix_names(f), *name = strstr(names, "00000000000000000000.log.damaged-");
	cr_assert_not_null(name, "%s", names);
	strtok(name, " ");
	uint8_t *kept = fix_file(f, name, &kept_len);
	cr_assert_eq(kept_len, f->recovery.set_aside_bytes);
	cr_assert_leq(kept_len, len - ends[4]);
	cr_assert_arr_eq(kept, log + ends[4], kept_len);
	free(kept);
	free(names);
	free(log);
	fix_free(f);
}

Test(recovery, goes_on_behind_what_was_promised)
{
	uint64_t ends[CNT];
	struct fix *f = killed_log(CNT, CNT, 300, ends);
	size_t len;
	/* The file system lost the tail although it was synced. */
	uint8_t *log = fix_file(f, LOG0, &len);
	fix_write_file(f, LOG0, log, ends[2]);
	struct pst_log_config config = fix_log_config();
	fix_open(f, &config);
	cr_assert_eq(f->recovery.next_offset, 2 * CNT);
	cr_assert(fix_recovery_says(f, "offsets 6 to 15 are missing"));
	fix_append_some(f, 1, 300);
	cr_assert_eq(f->result->base_offset[0], 2 * CNT);
	cr_assert_eq(fix_close(f), 0);
	char *names = fix_names(f);
	cr_assert_str_eq(names, "00000000000000000000.index 00000000000000000000.log "
				"00000000000000000000.seal 00000000000000000000.timeindex "
				"00000000000000000016.index 00000000000000000016.log "
				"00000000000000000016.seal 00000000000000000016.timeindex");
	free(names);
	/* Readers pass over the gap; verify names it. */
	struct pst_verify_totals totals;
	cr_assert_eq(pst_verify(f->path, NULL, &totals), 0);
	cr_assert_eq(totals.finding_cnt, 1);
	free(log);
	fix_free(f);
}

Test(recovery, without_any_segment)
{
	uint64_t ends[CNT];
	struct fix *f = killed_log(CNT, CNT, 300, ends);
	char path[512];
	snprintf(path, sizeof(path), "rm -r %s/t-0", f->path);
	cr_assert_eq(system(path), 0);
	recover_twice(f, 2 * CNT);
	fix_free(f);
}

/* What was durable below it is retired; the power went when recovery had set it aside. */
Test(recovery, never_below_a_segment_that_was_set_aside)
{
	uint64_t ends[CNT];
	struct fix *f = killed_log(CNT, 2, 300, ends);
	char path[512];
	snprintf(path, sizeof(path), "rm %s/t-0/*", f->path);
	cr_assert_eq(system(path), 0);
	fix_write_file(f, "00000000000000000008.log.damaged-0-5eed5eed", "torn", 4);
	recover_twice(f, 8);
	fix_free(f);
}

Test(recovery, old_batches_do_not_come_back)
{
	uint64_t ends[CNT];
	struct fix *f = killed_log(CNT, CNT, 300, ends);
	size_t len;
	uint8_t *log = fix_file(f, LOG0, &len);
	/* Behind the end lies what the blocks held before: whole batches of the same log. */
	log = realloc(log, 2 * len);
	memcpy(log + ends[CNT - 1], log, ends[CNT - 1]);
	fix_write_file(f, LOG0, log, 2 * ends[CNT - 1]);
	recover_twice(f, 2 * CNT);
	uint64_t end = ends[CNT - 1];
	while (log[end - 1] == 0)
		end--; /* zeros at the end say nothing */
	cr_assert_eq(f->recovery.cut_bytes, end);
	cr_assert_eq(f->recovery.set_aside_bytes, 0);
	cr_assert_eq(expect_true_records(f), 2 * CNT);
	free(log);
	fix_free(f);
}

static void
ignore(void *arg, const struct pst_repair_item *item)
{
}

static void
repair(const struct fix *f)
{
	struct pst_repair_config config = {.data_dir = f->path, .apply = true, .say = ignore};
	struct pst_repair_totals totals;
	struct pst_diag diag;
	cr_assert_eq(pst_repair(NULL, &config, &totals, &diag), 0, "%s", diag.text);
}

/* Damage with whole batches behind it, and no space for a copy: it stays where it is, and the log
 * goes on behind what is good. Nobody takes the old batches for events whose offsets others have by
 * now. */
Test(recovery, damage_that_finds_no_space_is_left)
{
	uint64_t ends[CNT];
	struct fix *origin = killed_log(CNT, MARKED, 300, ends);
	struct pst_log_config config = fix_log_config();
	struct pst_verify_totals totals;
	size_t len, left_cnt = 0;
	uint8_t *log = fix_file(origin, LOG0, &len);
	log[ends[4] + 100] ^= 1;
	fix_write_file(origin, LOG0, log, len);
	for (unsigned n = 1;; n++) {
		struct fix *f = fix_snapshot(origin, true);
		struct fault fault;
		struct pst_diag diag;
		fault_init(&fault);
		fault.calls = FAULT_WRITE;
		fault.at = n;
		fault.error = -ENOSPC;
		int rc = fix_try_open(f, &fault.disk, &config, &diag);
		bool reached = fault.failed_cnt > 0;
		if (rc == 0 && fix_recovery_says(f, "no space to set")) {
			char *text;
			left_cnt++;
			cr_assert_eq(f->recovery.next_offset, 10);
			for (f->taken_cnt = 5; f->taken_cnt < CNT + 3;) {
				fix_batch(f, 2, 300, 2000 + f->taken_cnt);
				fix_append(f);
			}
			fix_rest(f);
			unsigned next = 2 * (CNT + 3);
			cr_assert_eq(fix_close(f), 0);
			cr_assert_eq(expect_true_records(f), next);
			FILE *out = open_memstream(&text, &len);
			cr_assert_eq(pst_verify(f->path, out, &totals), 0);
			fclose(out);
			cr_assert(strstr(text, "damage that was not set aside"), "%s", text);
			cr_assert_eq(totals.finding_cnt, 1, "%s", text);
			free(text);
			repair(f);
			fix_expect_no_findings(f, "repaired");
			cr_assert_eq(expect_true_records(f), next);
		}
		fix_free(f);
		fault_fini(&fault);
		if (!reached)
			break;
	}
	cr_assert_gt(left_cnt, 0);
	free(log);
	fix_free(origin);
}

/* A recovery that stops at any call, and then another one. */
Test(recovery, of_an_interrupted_recovery)
{
	uint64_t ends[CNT];
	struct fix *origin = killed_log(CNT, MARKED, 300, ends);
	size_t len;
	uint8_t *log = fix_file(origin, LOG0, &len);
	struct pst_log_config config = fix_log_config();
	for (unsigned where = 5; where < 8; where += 2) { /* set aside; cut */
		log[ends[where - 1] + 100] ^= 1;
		fix_write_file(origin, LOG0, log, len);
		for (unsigned n = 1;; n++) {
			struct fix *f = fix_snapshot(origin, true);
			struct fault fault;
			struct pst_diag diag;
			fault_init(&fault);
			fault.calls = FAULT_ANY;
			fault.at = n;
			fault.for_ever = true;
			fault.error = -EIO;
			if (fix_try_open(f, &fault.disk, &config, &diag) == 0)
				fix_close(f);
			bool reached = fault.failed_cnt > 0;
			fix_open(f, &config);
			cr_assert_eq(f->recovery.next_offset, 2 * where, "call %u", n);
			cr_assert_eq(fix_close(f), 0);
			fix_expect_no_findings(f, "recovered");
			cr_assert_eq(expect_true_records(f), (unsigned)(2 * where));
			fix_free(f);
			fault_fini(&fault);
			if (!reached)
				break;
		}
		log[ends[where - 1] + 100] ^= 1;
	}
	free(log);
	fix_free(origin);
}
