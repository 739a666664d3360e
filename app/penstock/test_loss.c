#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "loss.h"

#define NOW UINT64_C(1700000000000000000)
#define S   UINT64_C(1000000000)

/* ---- times ---- */

static uint64_t
time_of(const char *text)
{
	uint64_t ns = 0;
	cr_assert(pst_loss_time(text, NOW, &ns), "%s", text);
	return ns;
}

Test(loss, times_as_people_write_them)
{
	char text[PST_LOSS_TIME];

	cr_assert_eq(time_of("now"), NOW);
	cr_assert_eq(time_of("-90s"), NOW - 90 * S);
	cr_assert_eq(time_of("-2h"), NOW - 7200 * S);
	cr_assert_eq(time_of("-1d"), NOW - 86400 * S);
	cr_assert_eq(time_of("-5ms"), NOW - 5000000);
	cr_assert_eq(time_of("2023-11-14T22:13:20Z"), NOW);
	cr_assert_eq(time_of("2023-11-14T23:13:20+01:00"), NOW);
	cr_assert_eq(time_of("2023-11-14 22:13:20.25Z"), NOW + S / 4);
	cr_assert_eq(time_of("2023-11-14"), NOW - (22 * 3600 + 13 * 60 + 20) * S);
	cr_assert_eq(time_of("1700000000"), NOW);
	cr_assert_eq(time_of("1700000000000"), NOW);
	cr_assert_eq(time_of("1700000000000000000"), NOW);
	cr_assert_str_eq(pst_loss_time_text(text, NOW + 1500000), "2023-11-14T22:13:20.001Z");
}

Test(loss, what_is_no_time_is_refused)
{
	static const char *const bad[] = {"", "-", "-1", "-1w", "-h", "--1h", "yesterday",
		"2023-11-14T25:00:00Z", "2023-13-01", "2023-11-14T22:13:20.Z",
		"2023-11-14T22:13:20+1", "1e9", "@5", "-99999999999d", "1970-01-01T00:00:00+01:00"};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t ns;
		cr_expect_not(pst_loss_time(bad[i], NOW, &ns), "%s", bad[i]);
	}
}

/* ---- the account ---- */

static struct pst_loss_account *account;

static void
take(const char *text)
{
	json_error_t error;
	json_t *record = json_loads(text, JSON_ALLOW_NUL, &error);
	cr_assert_not_null(record, "%s: %s", error.text, text);
	pst_loss_account_take(account, record);
	json_decref(record);
}

static void
interval(const char *run, unsigned first, unsigned last, unsigned from_s, unsigned to_s,
	const char *rest)
{
	char *text;
	cr_assert_geq(asprintf(&text,
			      "{\"kind\":\"interval\",\"run\":\"%s\",\"first\":%u,\"last\":%u,"
			      "\"from_ns\":%u000000000,\"to_ns\":%u000000000,\"part\":0%s}",
			      run, first, last, from_s, to_s, rest),
		0);
	take(text);
	free(text);
}

#define SHED(n)                                                                                    \
	",\"cells\":[{\"queue\":\"w/0\",\"listener\":\"a\",\"frames\":{},\"events\":"              \
	"{\"found\":9,\"filtered\":2,\"shed\":{\"no_buffer\":" #n "}}}]"

static json_int_t
total(const json_t *result, const char *what)
{
	return json_integer_value(json_object_get(json_object_get(result, "totals"), what));
}

static const json_t *
row(const json_t *result, const char *list, size_t i)
{
	const json_t *found = json_array_get(json_object_get(result, list), i);
	cr_assert_not_null(found, "%s %zu", list, i);
	return found;
}

static json_int_t
at(const json_t *json, const char *name)
{
	return json_integer_value(json_object_get(json, name));
}

Test(loss, a_quiet_ledger_is_no_loss)
{
	account = pst_loss_account_create(100 * S, 130 * S);
	interval("r", 1, 5, 95, 110, ",\"idle\":true");
	interval("r", 6, 6, 110, 131, "");
	json_t *result = pst_loss_account_result(account, 131 * S);
	cr_assert_eq(json_array_size(json_object_get(result, "lost")), 0);
	cr_assert_eq(json_array_size(json_object_get(result, "unrecorded")), 0);
	json_decref(result);
	pst_loss_account_destroy(account);
}

Test(loss, sheds_are_summed_by_place_and_dated_intended_ends_are_not_among_them)
{
	account = pst_loss_account_create(100 * S, 130 * S);
	interval("r", 1, 1, 90, 99, SHED(1000)); /* before */
	interval("r", 2, 2, 99, 101, SHED(3));
	interval("r", 3, 3, 101, 102, "");
	interval("r", 4, 4, 102, 103, SHED(4));
	interval("r", 4, 4, 102, 103, SHED(4)); /* sent twice */
	interval("r", 5, 5, 103, 140, "");
	interval("r", 6, 6, 140, 141, SHED(1000)); /* behind */
	json_t *result = pst_loss_account_result(account, 141 * S);
	cr_assert_eq(total(result, "shed"), 7);
	cr_assert_eq(json_array_size(json_object_get(result, "lost")), 1);
	cr_assert_eq(at(row(result, "lost", 0), "from_ns"), 99 * S);
	cr_assert_eq(at(row(result, "lost", 0), "to_ns"), 103 * S);
	cr_assert_eq(at(json_object_get(result, "intended"), "filtered"), 4);
	cr_assert_eq(json_array_size(json_object_get(result, "unrecorded")), 0);
	json_decref(result);
	pst_loss_account_destroy(account);
}

/* The ledger's drive failed: what was not synced was written once more into the next partition, and
 * reappears in the first. Another run may have begun there since. */
Test(loss, what_reappears_on_a_failed_drive_counts_once)
{
	static const char recovery[] =
		"{\"kind\":\"recovery\",\"run\":\"r\",\"at_ns\":100000000000,\"stream\":\"s\","
		"\"partition\":2,\"cut_bytes\":77}";

	account = pst_loss_account_create(100 * S, 130 * S);
	take(recovery); /* partition 0 */
	interval("r", 1, 1, 100, 101, SHED(1));
	interval("r", 2, 2, 101, 102, SHED(20));
	interval("q", 1, 1, 120, 130, SHED(4000)); /* back in it, much later */
	take(recovery);                            /* partition 3 */
	interval("r", 2, 2, 101, 102, SHED(20));
	interval("r", 3, 3, 102, 120, SHED(300));
	json_t *result = pst_loss_account_result(account, 130 * S);
	cr_assert_eq(total(result, "shed"), 4321);
	cr_assert_eq(total(result, "recovery"), 77);
	cr_assert_eq(json_array_size(json_object_get(result, "unrecorded")), 0);
	json_decref(result);
	pst_loss_account_destroy(account);
}

Test(loss, rejects_misses_and_what_recovery_cut)
{
	account = pst_loss_account_create(0, 130 * S);
	take("{\"kind\":\"start\",\"run\":\"r\",\"at_ns\":1,\"interval_ns\":1000000000}");
	take("{\"kind\":\"recovery\",\"run\":\"r\",\"at_ns\":1000000000,\"stream\":\"s\","
	     "\"partition\":2,\"cut_bytes\":77,\"set_aside_bytes\":5}");
	interval("r", 1, 1, 1, 130,
		",\"cells\":[{\"queue\":\"w/0\",\"listener\":\"a\",\"frames\":{\"rejected\":"
		"{\"udp_checksum\":3,\"mold_short\":2},\"ignored\":{\"heartbeat\":9}}}],"
		"\"beside\":[{\"port\":\"w\",\"counter\":\"imissed\",\"lost\":12},"
		"{\"port\":\"w\",\"counter\":\"rx_nombuf\",\"note\":4000}]");
	take("{\"kind\":\"stop\",\"run\":\"r\",\"part\":0,\"to_ns\":130000000000}");
	json_t *result = pst_loss_account_result(account, 130 * S);
	cr_assert_eq(total(result, "rejected"), 5);
	cr_assert_eq(total(result, "missed"), 12, "notes are no losses");
	cr_assert_eq(total(result, "recovery"), 82);
	cr_assert_eq(total(result, "shed"), 0);
	json_decref(result);
	pst_loss_account_destroy(account);
}

#define GAP(n, state, rest)                                                                        \
	"{\"kind\":\"gap\",\"run\":\"r\",\"gap\":" #n ",\"state\":\"" state                        \
	"\",\"listener\":\"f\",\"session\":\"S\",\"session_hex\":\"53\",\"from\":5,\"to\":9,"      \
	"\"first_seen_ns\":5000000000,\"at_ns\":6000000000" rest "}"

/* The last word on a gap counts. */
Test(loss, a_gap_is_what_its_last_record_says)
{
	account = pst_loss_account_create(0, 130 * S);
	interval("r", 1, 1, 1, 130, "");
	take(GAP(1, "open", ",\"missing\":5"));
	take(GAP(1, "filled", ",\"filled\":5"));
	take(GAP(2, "open", ",\"missing\":4,\"filled\":1"));
	take(GAP(3, "open", ",\"missing\":5"));
	take(GAP(3, "lost", ",\"missing\":2,\"filled\":3,\"reason\":\"session_ended\""));
	take(GAP(4, "lost", ",\"lost\":5,\"reason\":\"no_room\""));
	take(GAP(5, "lost", ",\"missing\":5,\"reason\":\"session_ended\""));
	take(GAP(5, "filled", ",\"filled\":5"));
	json_t *result = pst_loss_account_result(account, 130 * S);
	cr_assert_eq(total(result, "gap"), 4 + 2 + 5);
	cr_assert_eq(json_array_size(json_object_get(result, "lost")), 3);
	json_decref(result);
	pst_loss_account_destroy(account);
}

/* The time between two runs, the end of a killed one, and the end of the records. */
Test(loss, times_without_a_record_are_said)
{
	account = pst_loss_account_create(10 * S, 500 * S);
	interval("r", 1, 1, 20, 30, "");
	interval("q", 1, 1, 40, 50, "");
	take("{\"kind\":\"stop\",\"run\":\"q\",\"part\":0,\"to_ns\":50000000000}");
	interval("p", 1, 1, 60, 70, "");
	json_t *result = pst_loss_account_result(account, 400 * S);
	cr_assert_eq(json_array_size(json_object_get(result, "unrecorded")), 4);
	cr_assert_eq(at(row(result, "unrecorded", 0), "from_ns"), 10 * S);
	cr_assert_eq(at(row(result, "unrecorded", 1), "from_ns"), 30 * S);
	cr_assert_str_eq(
		json_string_value(json_object_get(row(result, "unrecorded", 1), "why")), "killed");
	cr_assert_str_eq(json_string_value(json_object_get(row(result, "unrecorded", 2), "why")),
		"no daemon");
	cr_assert_eq(at(row(result, "unrecorded", 3), "from_ns"), 70 * S);
	cr_assert_eq(at(row(result, "unrecorded", 3), "to_ns"), 400 * S, "the future is not lost");
	json_decref(result);
	pst_loss_account_destroy(account);
}

/* What a running daemon has not written down yet is no hole. */
Test(loss, the_last_seconds_of_a_running_daemon_are_not_missed)
{
	account = pst_loss_account_create(20 * S, 75 * S);
	interval("p", 1, 1, 10, 70, "");
	json_t *result = pst_loss_account_result(account, 75 * S);
	cr_assert_eq(json_array_size(json_object_get(result, "unrecorded")), 0);
	json_decref(result);
	pst_loss_account_destroy(account);
}

static const char *
why(const json_t *result, size_t i)
{
	return json_string_value(json_object_get(row(result, "unrecorded", i), "why"));
}

/* Numbers of a run that are left out, or begin late: there was a daemon, and it had written. */
Test(loss, records_that_are_gone_are_not_taken_for_a_daemon_that_was_not_there)
{
	account = pst_loss_account_create(0, 500 * S);
	interval("r", 7, 7, 20, 30, "");
	interval("r", 10, 10, 60, 70, "");
	take("{\"kind\":\"stop\",\"run\":\"r\",\"part\":0,\"to_ns\":70000000000}");
	interval("q", 3, 3, 90, 100, "");
	take("{\"kind\":\"stop\",\"run\":\"q\",\"part\":0,\"to_ns\":100000000000}");
	json_t *result = pst_loss_account_result(account, 100 * S);
	cr_assert_eq(json_array_size(json_object_get(result, "unrecorded")), 2);
	cr_assert_eq(at(result, "from_ns"), 20 * S, "since the first record");
	cr_assert_str_eq(why(result, 0), "missing");
	cr_assert_str_eq(why(result, 1), "missing");
	json_decref(result);
	pst_loss_account_destroy(account);
}

Test(loss, a_run_that_has_just_begun_or_ended_at_once)
{
	account = pst_loss_account_create(0, PST_LOSS_TO_LAST);
	take("{\"kind\":\"start\",\"run\":\"q\",\"at_ns\":50000000000}");
	take("{\"kind\":\"start\",\"run\":\"r\",\"at_ns\":100000000000}");
	json_t *result = pst_loss_account_result(account, 101 * S);
	cr_assert_eq(json_array_size(json_object_get(result, "unrecorded")), 1);
	cr_assert_eq(at(row(result, "unrecorded", 0), "from_ns"), 50 * S);
	cr_assert_eq(at(row(result, "unrecorded", 0), "to_ns"), 100 * S);
	cr_assert_str_eq(why(result, 0), "killed");
	json_decref(result);
	pst_loss_account_destroy(account);
}

/* Nothing is known of a time before the first record. */
Test(loss, up_to_a_time_without_records)
{
	account = pst_loss_account_create(0, 10 * S);
	interval("r", 1, 1, 20, 30, SHED(3));
	json_t *result = pst_loss_account_result(account, 30 * S);
	cr_assert_eq(total(result, "shed"), 0);
	cr_assert_eq(json_array_size(json_object_get(result, "unrecorded")), 1);
	cr_assert_eq(at(row(result, "unrecorded", 0), "to_ns"), 10 * S);
	json_decref(result);
	pst_loss_account_destroy(account);
}

/* The clock was ahead until 300, and is set back to 100. */
Test(loss, a_clock_that_was_set_back)
{
	for (unsigned from_s = 0; from_s <= 250; from_s += 50) {
		account = pst_loss_account_create(from_s * S, PST_LOSS_TO_LAST);
		interval("r", 1, 1, 40, 60, "");
		interval("r", 2, 2, 60, 300, "");
		interval("r", 3, 3, 300, 100, SHED(5));
		interval("r", 4, 4, 100, 120, "");
		json_t *result = pst_loss_account_result(account, 121 * S);
		cr_assert_eq(total(result, "shed"), 5, "from %u", from_s);
		cr_assert_eq(json_array_size(json_object_get(result, "unrecorded")), 0);
		cr_assert_eq(at(result, "to_ns"), 300 * S);
		json_decref(result);
		pst_loss_account_destroy(account);
	}
	account = pst_loss_account_create(70 * S, 200 * S);
	interval("r", 3, 3, 300, 80, "");
	interval("r", 4, 4, 80, 120, "");
	json_t *result = pst_loss_account_result(account, 121 * S);
	cr_assert_eq(json_array_size(json_object_get(result, "unrecorded")), 1);
	cr_assert_eq(at(row(result, "unrecorded", 0), "to_ns"), 80 * S);
	json_decref(result);
	pst_loss_account_destroy(account);
}

/* A drive fails: what was on its way to it is said once more in the next partition; and a directory
 * may be named twice. */
Test(loss, what_is_there_twice_counts_once)
{
	account = pst_loss_account_create(0, PST_LOSS_TO_LAST);
	for (unsigned k = 0; k < 2; k++) {
		interval("q", 1, 1, 5, 10, SHED(100));
		interval("r", 1, 1, 10, 20, SHED(3));
		interval("r", 2, 2, 20, 30, SHED(4));
	}
	interval("r", 2, 2, 20, 30, SHED(4));
	interval("r", 3, 3, 30, 40, SHED(5));
	json_t *result = pst_loss_account_result(account, 40 * S);
	cr_assert_eq(total(result, "shed"), 112);
	cr_assert_eq(json_array_size(json_object_get(result, "unrecorded")), 0);
	json_decref(result);
	pst_loss_account_destroy(account);
}

#define JUMP(n)                                                                                    \
	"{\"kind\":\"gap\",\"run\":\"r\",\"gap\":" #n ",\"state\":\"open\","                       \
	"\"listener\":\"f\",\"session\":\"A\\u0000B\",\"session_hex\":\"410042\",\"from\":2,"      \
	"\"to\":\"18446744073709551607\",\"missing\":\"18446744073709551606\","                    \
	"\"first_seen_ns\":5000000000,\"at_ns\":6000000000}"

/* A sender may use all 64 bits of a number, and all bytes in a name. */
Test(loss, numbers_and_names_at_their_ends)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	account = pst_loss_account_create(0, 130 * S);
	interval("r", 1, 1, 1, 130, "");
	take(JUMP(1));
	take(JUMP(2));
	json_t *result = pst_loss_account_result(account, 130 * S);
	cr_assert_str_eq(json_string_value(json_object_get(row(result, "lost", 0), "to")),
		"18446744073709551607");
	cr_assert_eq(json_string_length(json_object_get(row(result, "lost", 0), "session")), 3);
	cr_assert_str_eq(
		json_string_value(json_object_get(json_object_get(result, "totals"), "gap")),
		"18446744073709551615", "more than fits");
	pst_loss_print(out, result);
	fclose(out);
	cr_assert_not_null(strstr(text, "\"A\\u0000B\", 2 to 18446744073709551607"), "%s", text);
	cr_assert_null(strstr(text, " -"), "a negative number: %s", text);
	json_decref(result);
	pst_loss_account_destroy(account);
	free(text);
}

/* A drive's fate is told once, with what went on where; it is no loss in itself. */
Test(loss, drives_that_failed_are_named)
{
	static const char failed[] =
		"{\"kind\":\"drive\",\"run\":\"r\",\"at_ns\":2000000000,\"event\":\"failed\","
		"\"drive\":1,\"path\":\"/data/b\",\"error\":\"Input/output error\"}";
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	account = pst_loss_account_create(0, 130 * S);
	interval("r", 1, 1, 1, 130, "");
	take(failed);
	take("{\"kind\":\"drive\",\"run\":\"r\",\"at_ns\":2000000001,\"event\":\"moved\",\"drive\":"
	     "1,"
	     "\"path\":\"/data/b\",\"stream\":\"s\",\"queue\":\"w/0\",\"partition\":2,"
	     "\"to_partition\":7,\"to_drive\":0,\"to_path\":\"/data/a\"}");
	take(failed);
	take("{\"kind\":\"drive\",\"run\":\"r\",\"at_ns\":131000000000,\"event\":\"missing\","
	     "\"drive\":0,\"path\":\"/data/a\"}"); /* later than asked */
	json_t *result = pst_loss_account_result(account, 130 * S);
	cr_assert_eq(json_array_size(json_object_get(result, "drives")), 2);
	cr_assert_eq(json_array_size(json_object_get(result, "lost")), 0);
	pst_loss_print(out, result);
	fclose(out);
	cr_assert_not_null(strstr(text, "/data/b failed: Input/output error\n"), "%s", text);
	cr_assert_not_null(strstr(text, "s-2 goes on as s-7 in /data/a\n"), "%s", text);
	json_decref(result);
	pst_loss_account_destroy(account);
	free(text);
}

/* Only its last record is read, which is older than what is asked for. */
Test(loss, a_daemon_with_nothing_to_tell_is_running)
{
	for (unsigned now_s = 78; now_s <= 180; now_s += 102) {
		account = pst_loss_account_create((now_s - 3) * S, PST_LOSS_TO_LAST);
		take("{\"kind\":\"interval\",\"run\":\"p\",\"first\":1,\"last\":9,\"part\":2,"
		     "\"from_ns\":60000000000,\"to_ns\":70000000000}");
		json_t *result = pst_loss_account_result(account, now_s * S);
		size_t cnt = json_array_size(json_object_get(result, "unrecorded"));
		cr_assert_eq(cnt, now_s > 100, "at %u", now_s);
		if (cnt > 0) {
			cr_assert_eq(at(row(result, "unrecorded", 0), "from_ns"), 177 * S);
			cr_assert_str_eq(why(result, 0), "killed");
		}
		json_decref(result);
		pst_loss_account_destroy(account);
	}
}

/* A sender's name cannot steer the terminal. */
Test(loss, the_text_is_plain)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	account = pst_loss_account_create(0, 130 * S);
	interval("r", 1, 1, 1, 130, SHED(3));
	take("{\"kind\":\"gap\",\"run\":\"r\",\"gap\":1,\"state\":\"open\",\"listener\":\"f\","
	     "\"session\":\"\\u001b[2J\",\"from\":5,\"to\":9,\"missing\":5,"
	     "\"first_seen_ns\":5000000000,\"at_ns\":6000000000}");
	json_t *result = pst_loss_account_result(account, 130 * S);
	pst_loss_print(out, result);
	fclose(out);
	cr_assert_null(strchr(text, 0x1b));
	cr_assert_not_null(strstr(text, "no_buffer"));
	cr_assert_not_null(strstr(text, "5 to 9"));
	cr_assert_not_null(strstr(text, "2 filtered"));
	json_decref(result);
	pst_loss_account_destroy(account);
	free(text);
}
