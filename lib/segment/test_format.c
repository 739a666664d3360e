#include <criterion/criterion.h>
#include <string.h>

#include "base/base.h"
#include "segment/format.h"

Test(format, segment_names)
{
	char name[PST_SEGMENT_NAME_BYTES];
	int64_t base;
	enum pst_segment_file file;
	pst_segment_name(name, 48211, PST_SEGMENT_TIMEINDEX);
	cr_assert_str_eq(name, "00000000000000048211.timeindex");
	cr_assert(pst_segment_name_parse(name, &base, &file));
	cr_assert_eq(base, 48211);
	cr_assert_eq(file, PST_SEGMENT_TIMEINDEX);
	pst_segment_name(name, INT64_C(1) << 62, PST_SEGMENT_LOG);
	cr_assert_str_eq(name, "04611686018427387904.log");
	cr_assert(pst_segment_name_parse(name, &base, &file));
	cr_assert_eq(base, INT64_C(1) << 62);
	static const char *const bad[] = {"", "1.log", "00000000000000000000",
		"00000000000000000000.", "00000000000000000000.logs", "0000000000000000000a.log",
		"-0000000000000000001.log", "04611686018427387905.log", "09223372036854775807.log",
		"09223372036854775808.log", "99999999999999999999.log", "000000000000000000000.log",
		"00000000000000000000.log.damaged-1-00000000", "00000000000000000000.snapshot"};
	for (size_t i = 0; i < PST_ARRAY_CNT(bad); i++)
		cr_assert_not(pst_segment_name_parse(bad[i], &base, &file), "%s", bad[i]);
	cr_assert(pst_segment_name_damaged("00000000000000000000.log.damaged-1-00000000", &base));
	cr_assert_not(pst_segment_name_damaged("00000000000000000000.log", &base));
}

Test(format, partition_names)
{
	char name[PST_LOG_DIR_NAME_BYTES], topic[PST_TOPIC_LEN_MAX + 1], longest[300];
	uint32_t partition;
	pst_log_dir_name(name, "a-b.c_d", 12);
	cr_assert_str_eq(name, "a-b.c_d-12");
	cr_assert(pst_log_dir_parse(name, topic, &partition));
	cr_assert_str_eq(topic, "a-b.c_d");
	cr_assert_eq(partition, 12);
	memset(longest, 'x', sizeof(longest));
	strcpy(longest + 200, "-0");
	cr_assert(pst_log_dir_parse(longest, topic, &partition));
	strcpy(longest + 201, "-0");
	longest[200] = 'x';
	cr_assert_not(pst_log_dir_parse(longest, topic, &partition));
	static const char *const bad[] = {"", "-0", "a", "a-", "a-01", "a--", "a-2147483648",
		"a-99999999999", "a/b-0", ".-0", "..-0", "a b-0", "a-0x"};
	for (size_t i = 0; i < PST_ARRAY_CNT(bad); i++)
		cr_assert_not(pst_log_dir_parse(bad[i], topic, &partition), "%s", bad[i]);
	cr_assert(pst_log_dir_parse("a-2147483647", topic, &partition));
	cr_assert(pst_topic_valid("penstock.ledger"));
	cr_assert_not(pst_topic_valid(""));
	cr_assert_not(pst_topic_valid("."));
}

/* Bytes by hand, from Kafka's rule. */
Test(format, index_rule)
{
	struct pst_index_state state;
	struct pst_index_step step;
	struct pst_time_entry last;
	pst_index_begin(&state, 1000);
	pst_index_batch(&state, 0, 1001, 50, &step);
	cr_assert(!step.has_index && !step.has_time);
	pst_index_batch(&state, 4096, 1003, 40, &step); /* not more than 4096 behind 0 */
	cr_assert(!step.has_index && !step.has_time);
	pst_index_batch(&state, 4097, 1005, 45, &step);
	cr_assert(step.has_index && step.has_time);
	cr_assert_arr_eq(&step.index, "\x00\x00\x00\x05\x00\x00\x10\x01", 8);
	cr_assert_arr_eq(&step.time, "\x00\x00\x00\x00\x00\x00\x00\x32\x00\x00\x00\x01", 12);
	pst_index_batch(&state, 8194, 1007, 50, &step); /* no later than the last time entry */
	cr_assert(step.has_index && !step.has_time);
	pst_index_batch(&state, 8200, 1009, 51, &step);
	cr_assert(!step.has_index && !step.has_time);
	cr_assert(pst_index_end(&state, &last));
	cr_assert_arr_eq(&last, "\x00\x00\x00\x00\x00\x00\x00\x33\x00\x00\x00\x09", 12);
	cr_assert_not(pst_index_end(&state, &last));
}

Test(format, an_empty_segment_has_no_entries)
{
	struct pst_index_state state;
	struct pst_time_entry last;
	pst_index_begin(&state, 0);
	cr_assert_not(pst_index_end(&state, &last));
}
