/* What repair brings back, and that it loses nothing on the way. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "segment/repair/repair.h"
#include "segment/seal.h"
#include "segment/test_fault.h"
#include "segment/test_fixture.h"
#include "segment/verify/verify.h"

#define LOG(n) "000000000000000000" n ".log"

struct told {
	unsigned cnt[PST_REPAIR_KIND_CNT];
	struct pst_repair_item last[PST_REPAIR_KIND_CNT];
};

static void
say(void *arg, const struct pst_repair_item *item)
{
	struct told *told = arg;
	told->cnt[item->kind]++;
	told->last[item->kind] = *item;
}

static int
try_repair(const struct fix *f, struct pst_disk *disk, bool apply, struct told *told,
	struct pst_repair_totals *totals, struct pst_diag *diag)
{
	struct pst_repair_config config = {
		.data_dir = f->path, .apply = apply, .say = say, .arg = told};
	memset(told, 0, sizeof(*told));
	return pst_repair(disk, &config, totals, diag);
}

static struct pst_repair_totals
repair(const struct fix *f, bool apply, struct told *told)
{
	struct pst_repair_totals totals;
	struct pst_diag diag;
	cr_assert_eq(try_repair(f, NULL, apply, told, &totals, &diag), 0, "%s", diag.text);
	return totals;
}

/* Three segments of nine, nine and six batches, two events each. */
static struct fix *
closed_log(bool sealed)
{
	struct fix *f = fix_new(true);
	struct pst_log_config config = fix_log_config();
	config.segment_bytes_max = 16000;
	config.sealed = sealed;
	fix_open(f, &config);
	for (unsigned i = 0; i < 24; i++) {
		fix_batch(f, 2, 800, 1000 + i);
		fix_append(f);
		fix_rest(f);
	}
	cr_assert_eq(fix_close(f), 0);
	return f;
}

/* Spoils batches of a segment. */
static void
spoil(const struct fix *f, const char *name, unsigned first, unsigned cnt)
{
	size_t len;
	uint8_t *log = fix_file(f, name, &len);
	size_t batch = 12 + pst_load_be32(log + 8);
	for (unsigned i = first; i < first + cnt; i++)
		log[i * batch + 100] ^= 0x10;
	fix_write_file(f, name, log, len);
	free(log);
}

/* Every event but those of batches from .. to - 1 is read, once, as it was. */
static void
expect_events(const struct fix *f, unsigned from, unsigned to, const char *what)
{
	struct pst_reader *reader;
	struct pst_batch_record record;
	struct pst_diag diag;
	int64_t expected = 0;
	cr_assert_eq(pst_reader_open(f->path, "t", 0, &reader, &diag), 0);
	for (;; expected++) {
		if (expected == 2 * from)
			expected = 2 * to;
		enum pst_read_result r = pst_reader_next(reader, &record, &diag);
		if (r == PST_READ_END)
			break;
		cr_assert_eq(
			r, PST_READ_RECORD, "%s: offset %ld: %s", what, (long)expected, diag.text);
		cr_assert_eq(record.offset, expected, "%s: %ld instead of %ld", what,
			(long)record.offset, (long)expected);
		cr_assert_eq(record.value_len, 800);
		cr_assert_eq(record.value[799], 'a' + (int)(expected / 2 + expected % 2) % 26);
		cr_assert_eq(record.timestamp_ms, 1000 + expected / 2);
	}
	cr_assert_eq(expected, 48, "%s: ends at %ld", what, (long)expected);
	pst_reader_close(reader);
}

static void
expect_same(const struct fix *a, const struct fix *b)
{
	char command[512];
	snprintf(command, sizeof(command), "diff -r %s %s", a->path, b->path);
	cr_assert_eq(system(command), 0);
}

Test(repair, finds_nothing_in_a_good_log)
{
	struct fix *f = closed_log(true);
	struct told told;
	cr_assert_eq(repair(f, false, &told).action_cnt, 0);
	cr_assert_eq(repair(f, true, &told).action_cnt, 0);
	fix_expect_no_findings(f, "good");
	fix_free(f);
}

Test(repair, puts_back_what_is_valid)
{
	for (int sealed = 0; sealed < 2; sealed++) {
		struct fix *f = closed_log(sealed);
		struct told told;
		spoil(f, LOG("18"), 3, 2);
		/* Said first, and nothing is changed. */
		struct fix *copy = fix_snapshot(f, true);
		struct pst_repair_totals t = repair(f, false, &told);
		expect_same(f, copy);
		fix_free(copy);
		cr_assert_eq(told.cnt[PST_REPAIR_SETS_ASIDE], 1);
		cr_assert_eq(told.cnt[PST_REPAIR_PUTS_BACK], 1);
		cr_assert_eq(told.last[PST_REPAIR_PUTS_BACK].first_offset, 28);
		cr_assert_eq(told.last[PST_REPAIR_PUTS_BACK].last_offset, 35);
		cr_assert_eq(told.cnt[PST_REPAIR_DAMAGED], 1);
		cr_assert_eq(told.last[PST_REPAIR_LOST].first_offset, 24);
		cr_assert_eq(told.last[PST_REPAIR_LOST].last_offset, 27);
		cr_assert_eq(told.cnt[PST_REPAIR_SEALS], (unsigned)sealed);
		cr_assert_eq(t.lost_cnt, 4);
		cr_assert_eq(t.back_cnt, 4);
		struct pst_repair_totals done = repair(f, true, &told);
		cr_assert_eq(done.action_cnt, t.action_cnt);
		cr_assert_eq(done.back_bytes, t.back_bytes);
		cr_assert_eq(done.lost_cnt, t.lost_cnt);
		expect_events(f, 12, 14, "repaired");
		fix_expect_no_findings(f, "repaired");
		/* Again: there is nothing left to do, and the same is lost. */
		t = repair(f, true, &told);
		cr_assert_eq(t.action_cnt, 0);
		cr_assert_eq(t.lost_cnt, 4);
		/* The daemon goes on, with the marks and without. */
		for (int marks = 0; marks < 2; marks++) {
			struct pst_log_config config = fix_log_config();
			config.sealed = sealed;
			if (!marks)
				fix_forget_marks(f);
			fix_open(f, &config);
			cr_assert_eq(f->recovery.next_offset, 48);
			cr_assert_eq(f->recovery.set_aside_bytes, 0);
			cr_assert_eq(fix_close(f), 0);
			expect_events(f, 12, 14, "gone on");
			fix_expect_no_findings(f, "gone on");
		}
		fix_free(f);
	}
}

/* The damaged tail was set aside by recovery, and the log has gone on behind it. */
Test(repair, of_what_recovery_set_aside)
{
	struct fix *f = closed_log(true);
	struct pst_log_config config = fix_log_config();
	struct told told;
	size_t len;
	uint8_t *log = fix_file(f, LOG("36"), &len);
	log[2 * (len / 6) + 16] = 7; /* the header: seen below the mark, too */
	fix_write_file(f, LOG("36"), log, len);
	free(log);
	fix_write_file(f, "00000000000000000036.index", "x", 1); /* not closed in order */
	fix_open(f, &config);
	cr_assert_eq(f->recovery.next_offset, 48);
	cr_assert_eq(f->recovery.set_aside_bytes, 4 * (len / 6));
	cr_assert_eq(fix_close(f), 0);
	fix_expect_no_findings(f, "recovered");
	struct pst_repair_totals t = repair(f, true, &told);
	cr_assert_eq(told.cnt[PST_REPAIR_SETS_ASIDE], 0);
	cr_assert_eq(t.back_cnt, 3);
	expect_events(f, 20, 21, "repaired");
	fix_expect_no_findings(f, "repaired");
	fix_free(f);
}

/* A copy of a whole segment: each of its batches is looked up in the segment, one after the other.
 */
Test(repair, looks_up_each_batch_once)
{
	enum { MANY = 150 };
	struct fix *f = fix_new(true);
	struct pst_log_config config = fix_log_config();
	struct pst_repair_totals totals;
	struct pst_diag diag;
	struct fault fault;
	struct told told;
	size_t len;
	fix_open(f, &config);
	for (unsigned i = 0; i < MANY; i++) {
		fix_batch(f, 2, 2500, 1000 + i);
		fix_append(f);
		fix_rest(f);
	}
	cr_assert_eq(fix_close(f), 0);
	uint8_t *log = fix_file(f, LOG("00"), &len);
	fix_write_file(f, LOG("00") ".damaged-0-5eed5eed", log, len);
	free(log);
	fault_init(&fault);
	fault.calls = FAULT_READ;
	cr_assert_eq(try_repair(f, &fault.disk, false, &told, &totals, &diag), 0, "%s", diag.text);
	cr_assert_eq(totals.action_cnt, 0);
	cr_assert_lt(fault.seen_cnt, 2 * MANY, "%u reads", fault.seen_cnt);
	fault_fini(&fault);
	fix_free(f);
}

/* Offsets that were given again stay with who has them. */
Test(repair, never_uses_an_offset_again)
{
	struct fix *f = fix_new(true);
	struct pst_log_config config = fix_log_config();
	struct told told;
	fix_open(f, &config);
	for (unsigned i = 0; i < 8; i++) {
		fix_batch(f, 2, 800, 1000 + i);
		fix_append(f);
		fix_rest(f);
	}
	struct fix *copy = fix_snapshot(f, true);
	fix_forget_marks(copy);
	spoil(copy, LOG("00"), 4, 1);
	/* Nobody knows of a promise: the log goes on at offset 8, with other events. */
	fix_open(copy, &config);
	cr_assert_eq(copy->recovery.next_offset, 8);
	for (unsigned i = 0; i < 20; i++) {
		fix_batch(copy, 2, 100, 5000 + i);
		fix_append(copy);
	}
	fix_rest(copy);
	cr_assert_eq(fix_close(copy), 0);
	struct pst_repair_totals t = repair(copy, true, &told);
	cr_assert_eq(t.action_cnt, 0);
	cr_assert_eq(told.cnt[PST_REPAIR_KEEPS], 1);
	cr_assert_eq(told.last[PST_REPAIR_KEEPS].first_offset, 10);
	cr_assert_eq(told.last[PST_REPAIR_KEEPS].last_offset, 15);
	fix_expect_no_findings(copy, "left alone");
	fix_free(copy);
	fix_free(f);
}

/* A single batch between damage: its offset is under no CRC, and nothing beside it confirms it. */
Test(repair, believes_no_offset_alone)
{
	struct fix *f = closed_log(true);
	struct told told;
	spoil(f, LOG("18"), 2, 1);
	spoil(f, LOG("18"), 4, 2);
	repair(f, true, &told);
	cr_assert_eq(told.cnt[PST_REPAIR_KEEPS], 1);
	cr_assert_eq(told.last[PST_REPAIR_KEEPS].first_offset, 24);
	cr_assert_eq(told.cnt[PST_REPAIR_PUTS_BACK], 1);
	expect_events(f, 11, 15, "repaired");
	fix_free(f);
}

Test(repair, altered_batches_are_left_to_verify)
{
	struct fix *f = closed_log(true);
	struct told told;
	size_t len;
	uint8_t *log = fix_file(f, LOG("18"), &len);
	uint32_t batch = 12 + pst_load_be32(log + 8);
	log[batch + 34] ^= 1; /* base timestamp */
	log[batch + 42] ^= 1;
	pst_store_be32(log + batch + 17, pst_batch_crc32c(0, log + batch + 21, batch - 21));
	fix_write_file(f, LOG("18"), log, len);
	cr_assert_eq(repair(f, true, &told).action_cnt, 0);
	struct pst_verify_totals totals;
	cr_assert_eq(pst_verify(f->path, NULL, &totals), 0);
	cr_assert_gt(totals.finding_cnt, 0);
	free(log);
	fix_free(f);
}

Test(repair, waits_for_the_daemon_to_stop)
{
	struct fix *f = closed_log(true);
	struct pst_log_config config = fix_log_config();
	struct pst_repair_totals totals;
	struct pst_diag diag;
	struct told told;
	fix_open(f, &config);
	cr_assert_lt(try_repair(f, NULL, false, &told, &totals, &diag), 0);
	cr_assert_not_null(strstr(diag.text, "in use"), "%s", diag.text);
	cr_assert_lt(try_repair(f, NULL, true, &told, &totals, &diag), 0);
	fix_free(f);
}

/* Every call on the disk fails, and the process is gone: whatever is there then, the next repair,
 * or a start of the daemon and then a repair, comes to the same end. */
Test(repair, killed_at_every_call)
{
	struct fix *f = closed_log(true);
	struct pst_repair_totals totals;
	struct pst_diag diag;
	struct told told;
	spoil(f, LOG("00"), 5, 1);
	spoil(f, LOG("18"), 3, 2);
	unsigned failed = 0;
	for (unsigned at = 1;; at++) {
		struct fix *copy = fix_snapshot(f, true);
		struct fault fault;
		char what[32];
		snprintf(what, sizeof(what), "call %u", at);
		fault_init(&fault);
		fault.calls = FAULT_ANY;
		fault.error = -EIO;
		fault.for_ever = true;
		fault.at = at;
		int rc = try_repair(copy, &fault.disk, true, &told, &totals, &diag);
		bool hit = fault.failed_cnt > 0;
		failed += rc < 0;
		if (at % 2) {
			struct pst_log_config config = fix_log_config();
			fix_open(copy, &config);
			cr_assert_eq(copy->recovery.next_offset, 48, "%s", what);
			cr_assert_eq(fix_close(copy), 0);
		}
		cr_assert_eq(try_repair(copy, NULL, true, &told, &totals, &diag), 0, "%s: %s", what,
			diag.text);
		cr_assert_eq(
			totals.lost_cnt, 6, "%s: %lu lost", what, (unsigned long)totals.lost_cnt);
		fix_expect_no_findings(copy, what);
		cr_assert_eq(try_repair(copy, NULL, true, &told, &totals, &diag), 0, "%s", what);
		cr_assert_eq(totals.action_cnt, 0, "%s", what);
		cr_assert_eq(told.cnt[PST_REPAIR_KEEPS], 0, "%s", what);
		fix_free(copy);
		fault_fini(&fault);
		if (!hit)
			break;
		cr_assert_lt(at, 3000);
	}
	cr_assert_gt(failed, 50);
	fix_free(f);
}
