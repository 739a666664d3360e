#include <stdlib.h>

#include "segment/test_fixture.h"

/* Appends n batches, rests, and compares the .log with what was handed over. */
Test(appender, file_is_batches_one_behind_the_other)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	uint8_t *expected = malloc(1 << 20);
	size_t len = 0, got_len;
	fix_open(f, &config);
	for (int i = 0; i < 40; i++) {
		fix_batch(f, 1 + i % 3, 100 + 613 * (i % 7), 1000 + i);
		fix_append(f);
		pst_batch_set_base_offset(f->batch, 0, 0);
		memcpy(expected + len, f->batch, f->batch_bytes);
		len += f->batch_bytes;
		if (i % 5 == 0)
			fix_rest(f);
	}
	fix_rest(f);
	cr_assert_eq(f->result->done_cnt, 40);
	int64_t next = 0;
	size_t pos = 0;
	for (int i = 0; i < 40; i++) {
		cr_assert_eq(f->result->status[i], PST_APPEND_DURABLE);
		cr_assert_eq(f->result->order[i], (unsigned)i);
		cr_assert_eq(f->result->base_offset[i], next);
		pst_batch_set_base_offset(expected + pos, next, 0);
		struct pst_batch_info info;
		cr_assert_eq(pst_batch_check(expected + pos, len - pos, &info), PST_BATCH_OK);
		next += info.record_cnt;
		pos += info.total_bytes;
	}
	cr_assert_eq(fix_close(f), 0);
	uint8_t *got = fix_file(f, "00000000000000000000.log", &got_len);
	cr_assert_eq(got_len, len);
	cr_assert_arr_eq(got, expected, len);
	char *names = fix_names(f);
	cr_assert_str_eq(names, "00000000000000000000.index 00000000000000000000.log "
				"00000000000000000000.timeindex");
	free(names);
	free(got);
	free(expected);
	fix_free(f);
}

Test(appender, rolls_by_bytes)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	config.segment_bytes_max = 100000;
	fix_open(f, &config);
	for (int i = 0; i < 30; i++) {
		fix_batch(f, 2, 9900, 1000 + i);
		fix_append(f);
	}
	fix_rest(f);
	for (int i = 0; i < 30; i++) {
		cr_assert_eq(f->result->status[i], PST_APPEND_DURABLE);
		cr_assert_eq(f->result->base_offset[i], 2 * i);
	}
	struct pst_log_stats stats;
	pst_log_stats(f->app, f->log_idx, &stats);
	cr_assert_eq(stats.next_offset, 60);
	cr_assert_eq(stats.durable_offset, 60);
	cr_assert_eq(stats.segment_cnt, 6);
	cr_assert_eq(fix_close(f), 0);
	int64_t next;
	cr_assert_null(fix_check(f, &next, true, false));
	cr_assert_eq(next, 60);
	static const int64_t bases[] = {0, 10, 20, 30, 40, 50};
	for (size_t i = 0; i < PST_ARRAY_CNT(bases); i++) {
		char name[PST_SEGMENT_NAME_BYTES];
		pst_segment_name(name, bases[i], PST_SEGMENT_LOG);
		cr_assert(fix_exists(f, name), "%s", name);
	}
	fix_free(f);
}
