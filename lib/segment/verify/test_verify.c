#include <stdlib.h>
#include <unistd.h>

#include "segment/test_fixture.h"
#include "segment/verify/verify.h"

/* A closed log of three small segments with the names in fix_names' order. */
static struct fix *
closed_log(bool memory)
{
	struct fix *f = fix_new(memory);
	struct pst_log_config config = fix_log_config();
	config.segment_bytes_max = 16000;
	fix_open(f, &config);
	for (unsigned i = 0; i < 24; i++) {
		fix_batch(f, 2, 800, 1000 + i);
		fix_append(f);
	}
	fix_rest(f);
	cr_assert_eq(fix_close(f), 0);
	return f;
}

static struct pst_verify_totals
verify(const struct fix *f, char **text)
{
	struct pst_verify_totals totals;
	size_t len;
	FILE *out = text ? open_memstream(text, &len) : NULL;
	cr_assert_eq(pst_verify(f->path, out, &totals), 0);
	if (out)
		fclose(out);
	return totals;
}

Test(verify, finds_nothing_in_a_good_log)
{
	struct fix *f = closed_log(false);
	char *text;
	struct pst_verify_totals t = verify(f, &text);
	cr_assert_str_eq(text, "");
	cr_assert_eq(t.finding_cnt, 0);
	cr_assert_eq(t.note_cnt, 0);
	cr_assert_eq(t.partition_cnt, 1);
	cr_assert_eq(t.segment_cnt, 3);
	cr_assert_eq(t.batch_cnt, 24);
	cr_assert_eq(t.record_cnt, 48);
	free(text);
	fix_forget_marks(f);
	t = verify(f, &text);
	cr_assert_str_eq(text, "");
	free(text);
	fix_free(f);
}

Test(verify, finds_nothing_in_a_live_log)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	config.segment_bytes_max = 100000;
	fix_open(f, &config);
	for (unsigned i = 0; i < 200; i++) {
		fix_batch(f, 2, 800, 1000 + i % 17);
		fix_append(f);
		if (i % 3 == 0)
			fix_rest(f);
		if (i % 7 == 0) {
			char *text;
			struct pst_verify_totals t = verify(f, &text);
			cr_assert_str_eq(text, "");
			cr_assert_eq(t.finding_cnt, 0);
			free(text);
		}
	}
	fix_rest(f);
	fix_free(f);
}

enum harm {
	HARM_FLIP,
	HARM_ZERO,
	HARM_DUPLICATE, /* a sector holds what the one before holds */
	HARM_TRUNCATE,
	HARM_CNT
};

/* Records as a reader gives them must be the ones that were stored, whatever the disk holds. */
static void
expect_nothing_false(const struct fix *f)
{
	struct pst_reader *reader;
	struct pst_batch_record record;
	struct pst_diag diag;
	uint8_t value[800];
	cr_assert_eq(pst_reader_open(f->path, "t", 0, &reader, &diag), 0);
	int64_t least = 0;
	for (;;) {
		enum pst_read_result r = pst_reader_next(reader, &record, &diag);
		if (r == PST_READ_END)
			break;
		if (r == PST_READ_DAMAGE) {
			int64_t next = pst_reader_skip_damage(reader);
			cr_assert_geq(next, least);
			continue;
		}
		cr_assert_geq(record.offset, least, "offset %ld after %ld", (long)record.offset,
			(long)least - 1);
		least = record.offset + 1;
		cr_assert_lt(record.offset, 48);
		cr_assert_eq(record.value_len, 800);
		memset(value, 'a' + (int)(record.offset / 2 + record.offset % 2) % 26, 800);
		cr_assert_arr_eq(record.value, value, 800);
		cr_assert_eq(record.timestamp_ms, 1000 + record.offset / 2);
	}
	pst_reader_close(reader);
}

static void
harm_file(const struct fix *f, const char *name, enum harm harm)
{
	size_t len;
	uint8_t *good = fix_file(f, name, &len);
	uint8_t *bad = malloc(len + 1);
	for (size_t pos = 0; pos < len; pos += 512) {
		size_t n = len - pos < 512 ? len - pos : 512, bad_len = len;
		memcpy(bad, good, len);
		switch (harm) {
		case HARM_FLIP:
			bad[pos + (pos / 512 * 37) % n] ^= (uint8_t)(1u << (pos / 512 % 8));
			break;
		case HARM_ZERO:
			memset(bad + pos, 0, n);
			break;
		case HARM_DUPLICATE:
			if (pos >= 512)
				memcpy(bad + pos, good + pos - 512, n);
			break;
		case HARM_TRUNCATE:
			bad_len = pos;
			break;
		case HARM_CNT:
			break;
		}
		if (bad_len == len && memcmp(good, bad, len) == 0)
			continue;
		fix_write_file(f, name, bad, bad_len);
		struct pst_verify_totals t = verify(f, NULL);
		cr_assert_gt(t.finding_cnt, 0, "%s: harm %d at %zu was not seen", name, harm, pos);
		expect_nothing_false(f);
	}
	fix_write_file(f, name, good, len);
	cr_assert_eq(verify(f, NULL).finding_cnt, 0);
	free(good);
	free(bad);
}

Test(verify, finds_harm_to_every_sector)
{
	struct fix *f = closed_log(true);
	char *names = fix_names(f), *save = NULL;
	for (char *n = strtok_r(names, " ", &save); n; n = strtok_r(NULL, " ", &save)) {
		for (int harm = 0; harm < HARM_CNT; harm++)
			harm_file(f, n, (enum harm)harm);
	}
	free(names);
	fix_free(f);
}

/* The header's fields that no CRC covers, bit by bit. */
Test(verify, finds_every_bit_outside_the_crc)
{
	struct fix *f = closed_log(true);
	size_t len;
	const char *name = "00000000000000000000.log";
	uint8_t *log = fix_file(f, name, &len);
	struct pst_batch_info info;
	cr_assert_eq(pst_batch_peek(log, len, &info), PST_BATCH_OK);
	for (size_t bit = 0; bit < 21 * 8; bit++) {
		log[info.total_bytes + bit / 8] ^= (uint8_t)(1u << bit % 8);
		fix_write_file(f, name, log, len);
		cr_assert_gt(verify(f, NULL).finding_cnt, 0, "bit %zu", bit);
		expect_nothing_false(f);
		log[info.total_bytes + bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	free(log);
	fix_free(f);
}

Test(verify, says_where)
{
	struct fix *f = closed_log(false);
	size_t len;
	char *text, expected[300];
	const char *name = "00000000000000000000.log";
	uint8_t *log = fix_file(f, name, &len);
	struct pst_batch_info info;
	pst_batch_peek(log, len, &info);
	log[3 * info.total_bytes + 100] ^= 1;
	fix_write_file(f, name, log, len);
	struct pst_verify_totals t = verify(f, &text);
	cr_assert_eq(t.finding_cnt, 1);
	snprintf(expected, sizeof(expected), "%s/t-0/%s:%u: damaged batch of offset 6: crc\n",
		f->path, name, 3 * info.total_bytes);
	cr_assert_str_eq(text, expected);
	free(text);
	free(log);
	fix_free(f);
}

Test(verify, notes_are_not_findings)
{
	struct fix *f = closed_log(false);
	size_t len;
	char *text;
	/* A trim that was not finished. */
	uint8_t *log = fix_file(f, "00000000000000000000.log", &len);
	log = realloc(log, len + 5000);
	memset(log + len, 0, 5000);
	fix_write_file(f, "00000000000000000000.log", log, len + 5000);
	struct pst_verify_totals t = verify(f, &text);
	cr_assert_eq(t.finding_cnt, 0, "%s", text);
	cr_assert_eq(t.note_cnt, 1);
	cr_assert(strstr(text, "unfinished trim: 5000 zeros"));
	free(text);
	/* Anything but zeros there is damage. */
	log[len + 4000] = 1;
	fix_write_file(f, "00000000000000000000.log", log, len + 5000);
	cr_assert_gt(verify(f, NULL).finding_cnt, 0);
	fix_write_file(f, "00000000000000000000.log", log, len);
	fix_write_file(f, "notes.txt", "x", 1);
	t = verify(f, &text);
	cr_assert_eq(t.finding_cnt, 0);
	cr_assert_eq(t.note_cnt, 1);
	free(text);
	free(log);
	fix_free(f);
}

/* Cuts bytes off a file's end. */
static void
shorten(const struct fix *f, const char *name, size_t bytes)
{
	size_t len;
	uint8_t *data = fix_file(f, name, &len);
	cr_assert_geq(len, bytes, "%s: %zu bytes", name, len);
	fix_write_file(f, name, data, len - bytes);
	free(data);
}

/* A start takes the entry of closing away before it says that the log is open. */
Test(verify, start_that_was_ended_early)
{
	struct fix *f = closed_log(false);
	const char *last = "00000000000000000036.timeindex";
	char *text;
	cr_assert(fix_exists(f, last));
	shorten(f, last, sizeof(struct pst_time_entry));
	struct pst_verify_totals t = verify(f, &text);
	cr_assert_eq(t.finding_cnt, 0, "%s", text);
	cr_assert_eq(t.note_cnt, 1);
	cr_assert(strstr(text, "without the entry of closing"));
	free(text);
	/* The bytes went, the size did not yet. */
	size_t len;
	uint8_t *entries = fix_file(f, last, &len);
	entries = realloc(entries, len + sizeof(struct pst_time_entry));
	memset(entries + len, 0, sizeof(struct pst_time_entry));
	fix_write_file(f, last, entries, len + sizeof(struct pst_time_entry));
	free(entries);
	cr_assert_eq(verify(f, NULL).finding_cnt, 0);
	shorten(f, last, 2 * sizeof(struct pst_time_entry));
	cr_assert_eq(verify(f, NULL).finding_cnt, 1);
	fix_free(f);
}

/* No start takes it from a segment that others follow. */
Test(verify, entry_of_closing_of_an_older_segment)
{
	struct fix *f = closed_log(false);
	shorten(f, "00000000000000000000.timeindex", sizeof(struct pst_time_entry));
	cr_assert_eq(verify(f, NULL).finding_cnt, 1);
	fix_free(f);
}

static void
remove_file(const struct fix *f, int64_t base, enum pst_segment_file kind)
{
	char name[PST_SEGMENT_NAME_BYTES], path[300];
	pst_segment_name(name, base, kind);
	snprintf(path, sizeof(path), "%s/t-0/%s", f->path, name);
	cr_assert_eq(unlink(path), 0, "%s", name);
}

static void
remove_segment(const struct fix *f, int64_t base)
{
	for (int kind = PST_SEGMENT_LOG; kind <= PST_SEGMENT_TIMEINDEX; kind++)
		remove_file(f, base, (enum pst_segment_file)kind);
}

/* Where the power went while a segment was being removed its .log may be all that is left. */
Test(verify, segment_without_indexes)
{
	struct fix *f = closed_log(false);
	remove_file(f, 0, PST_SEGMENT_INDEX);
	remove_file(f, 0, PST_SEGMENT_TIMEINDEX);
	cr_assert_eq(verify(f, NULL).finding_cnt, 2, "nobody killed this one");
	fix_forget_marks(f);
	char *text;
	struct pst_verify_totals t = verify(f, &text);
	cr_assert_eq(t.finding_cnt, 0, "%s", text);
	cr_assert(strstr(text, "00000000000000000000.index:0: note: missing: rebuilt"));
	cr_assert(strstr(text, "00000000000000000000.timeindex:0: note: missing: rebuilt"));
	free(text);
	fix_free(f);
}

Test(verify, last_segment_is_missing)
{
	struct fix *f = closed_log(false);
	char *text;
	remove_segment(f, 36);
	cr_assert_eq(verify(f, &text).finding_cnt, 1);
	cr_assert(strstr(text, "segment 36, which has the durable end, is missing"), "%s", text);
	free(text);
	fix_free(f);
}

/* Three batches, closed, and an empty segment 6 behind them, where the mark lies. */
static struct fix *
log_with_empty_end(struct pst_log_config *config)
{
	struct fix *f = fix_new(false);
	*config = fix_log_config();
	config->segment_age_max_ns = 1;
	fix_open(f, config);
	fix_append_some(f, 3, 100);
	f->now_ns += PST_HOUSEKEEPING_NS;
	fix_rest(f);
	cr_assert(fix_exists(f, "00000000000000000006.log"));
	return f;
}

/* A start that was cut off may have set all of a last segment aside that had only a tail. Nothing
 * was promised of it, but all that lies before it. */
Test(verify, last_segment_was_set_aside)
{
	struct pst_log_config config;
	struct fix *f = log_with_empty_end(&config);
	cr_assert_eq(fix_close(f), 0);
	remove_segment(f, 6);
	cr_assert_eq(verify(f, NULL).finding_cnt, 1, "it is not there, and was not set aside");
	fix_write_file(f, "00000000000000000006.log.damaged-0", "tail", 4);
	char *text;
	struct pst_verify_totals t = verify(f, &text);
	cr_assert_eq(t.finding_cnt, 0, "%s", text);
	cr_assert(strstr(text, "note: segment 6 was set aside"), "%s", text);
	free(text);
	remove_segment(f, 0);
	cr_assert_eq(verify(f, NULL).finding_cnt, 1);
	fix_free(f);
}

/* The mark lags behind: what is missing may have been acknowledged. */
Test(verify, segment_of_the_mark_is_missing_and_others_follow)
{
	struct pst_log_config config;
	struct fix *f = log_with_empty_end(&config);
	cr_assert_eq(pst_datadir_checkpoint(f->dir), 0);
	fix_append_some(f, 3, 100);
	f->now_ns += PST_HOUSEKEEPING_NS;
	fix_rest(f);
	struct fix *killed = fix_snapshot(f, false);
	fix_write_file(killed, "00000000000000000006.log.damaged-0", "tail", 4);
	cr_assert_eq(verify(killed, NULL).finding_cnt, 0);
	remove_segment(killed, 6);
	cr_assert_eq(verify(killed, NULL).finding_cnt, 1);
	fix_free(killed);
	fix_free(f);
}

/* A start that knows no end of a partition, and ends before it has looked, does not say that the
 * partition is empty. */
Test(verify, start_that_was_refused_without_marks)
{
	struct fix *f = closed_log(false);
	struct pst_datadir *dir;
	struct pst_mark mark;
	struct pst_diag diag;
	bool known;
	fix_forget_marks(f);
	cr_assert_eq(pst_datadir_open(f->path, &dir, &diag), 0, "%s", diag.text);
	cr_assert_geq(pst_dir_claim(dir, "t-0", &mark, &known, &diag), 0);
	cr_assert_not(known);
	pst_datadir_close(dir);
	cr_assert_eq(verify(f, NULL).record_cnt, 48);
	fix_free(f);
}

/* A start that came as far as the mark, and could not make the segment. */
Test(verify, partition_without_a_segment)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	fix_open(f, &config);
	cr_assert_eq(fix_close(f), 0);
	remove_segment(f, 0);
	cr_assert_eq(verify(f, NULL).finding_cnt, 0);
	fix_free(f);
}

Test(verify, no_such_directory)
{
	struct pst_verify_totals totals;
	cr_assert_lt(pst_verify("/nonexistent/data", NULL, &totals), 0);
}
