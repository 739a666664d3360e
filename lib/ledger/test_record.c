#include <criterion/criterion.h>
#include <jansson.h>

#include "ledger/record.h"

static json_t *records;

static void
keep(void *arg, const char *text, size_t len)
{
	cr_assert_leq(len, PST_RECORD_BYTES_MAX);
	json_t *record = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
	cr_assert_not_null(record);
	json_array_append_new(records, record);
}

static const struct pst_record_sink sink = {.add = keep, .run_id = "00112233445566ff"};
static struct pst_profile_port port = {.name = "wire"};
static struct pst_profile_listener listeners[64];
static struct pst_profile_stream streams[] = {{.name = "syslog"}, {.name = PST_LEDGER_STREAM}};
static struct pst_profile profile = {.name = "p",
	.file = "p.yaml",
	.ports = &port,
	.port_cnt = 1,
	.queue_cnt = 63,
	.listeners = listeners,
	.listener_cnt = 64,
	.streams = streams,
	.stream_cnt = 2};

static json_int_t
at(const json_t *json, const char *name)
{
	return json_integer_value(json_object_get(json, name));
}

static void
make(void)
{
	records = json_array();
	for (unsigned i = 0; i < 64; i++)
		listeners[i].name = i ? "listener-with-a-name-of-32-bytes" : "feed";
}

TestSuite(record, .init = make);

/* However much there is to say: parts of a bounded size that add up. */
Test(record, an_interval_of_every_cell_comes_in_parts_that_add_up)
{
	struct pst_book_shape shape = pst_book_shape(&profile);
	struct pst_interval interval = {.first = 3, .last = 5, .from_ns = 1000, .to_ns = 2000};
	struct pst_residuals residuals = {0};
	struct pst_beside beside;
	json_t *record, *cell;
	size_t i, c, cells = 0;
	json_int_t found = 0, shed = 0;

	pst_beside_init(&beside);
	pst_beside_read(&beside, 0, PST_BESIDE_LOSS, "imissed", 12, true);
	cr_assert_eq(pst_book_init(&interval.book, &shape), 0);
	memset(interval.book.cells, 0x11, pst_book_cell_cnt(&shape) * sizeof(struct pst_cell));
	for (uint32_t n = 0; n < pst_book_cell_cnt(&shape); n++) {
		interval.book.cells[n].found = n;
		interval.book.cells[n].shed[PST_SHED_NO_BUFFER] = 1;
	}
	cr_assert_eq(
		pst_record_interval(&sink, &profile, "interval", &interval, &beside, &residuals),
		0);
	cr_assert_gt(json_array_size(records), 10);
	json_array_foreach(records, i, record)
	{
		cr_assert_str_eq(json_string_value(json_object_get(record, "run")), sink.run_id);
		cr_assert_eq(at(record, "first"), 3);
		cr_assert_eq(at(record, "last"), 5);
		cr_assert_eq(at(record, "part"), (json_int_t)i);
		cr_assert_eq(json_is_true(json_object_get(record, "more")),
			i + 1 < json_array_size(records));
		json_array_foreach(json_object_get(record, "cells"), c, cell)
		{
			cells++;
			found += at(json_object_get(cell, "events"), "found");
			shed += at(json_object_get(json_object_get(cell, "events"), "shed"),
				"no_buffer");
		}
	}
	uint32_t cnt = pst_book_cell_cnt(&shape);
	cr_assert_eq(cells, cnt);
	cr_assert_eq(shed, cnt);
	cr_assert_eq(found, (json_int_t)cnt * (cnt - 1) / 2);
	json_t *first = json_array_get(records, 0);
	cr_assert_eq(at(json_object_get(first, "events"), "found"), found);
	json_t *last = json_array_get(records, json_array_size(records) - 1);
	cr_assert_eq(at(json_array_get(json_object_get(last, "beside"), 0), "lost"), 12);
	pst_book_fini(&interval.book);
	pst_beside_fini(&beside);
}

/* Names that a sender chose: any bytes, and never more than themselves. */
Test(record, a_session_of_any_bytes_is_told)
{
	static const uint8_t ids[][PST_MOLD_SESSION_LEN] = {
		"PENSTOCK  ", "\xff\x00\x1b[2J\"\\\n", "          "};
	struct pst_gap gap = {.id = 1, .from = 5, .to = 9, .cnt = 1, .missing = 2, .filled = 3};

	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(pst_record_gap(&sink, &profile, 0, ids[i], &gap), 0);
	json_t *record = json_array_get(records, 0);
	cr_assert_str_eq(json_string_value(json_object_get(record, "session")), "PENSTOCK");
	cr_assert_str_eq(json_string_value(json_object_get(record, "listener")), "feed");
	cr_assert_str_eq(json_string_value(json_object_get(record, "state")), "open");
	cr_assert_eq(at(record, "messages"), 5);
	record = json_array_get(records, 1);
	cr_assert_str_eq(
		json_string_value(json_object_get(record, "session_hex")), "ff001b5b324a225c0a00");
}

/* JSON's readers take 63 bits; a sender may use 64. */
Test(record, sequence_numbers_beyond_63_bits_are_text)
{
	static const uint8_t id[PST_MOLD_SESSION_LEN] = "A         ";
	struct pst_gap gap = {.id = 1, .from = INT64_MAX, .to = UINT64_MAX - 1, .cnt = 1};

	gap.missing = gap.to - gap.from + 1;
	cr_assert_eq(pst_record_gap(&sink, &profile, 0, id, &gap), 0);
	const json_t *record = json_array_get(records, 0);
	cr_assert_eq(at(record, "from"), INT64_MAX);
	cr_assert_str_eq(json_string_value(json_object_get(record, "to")), "18446744073709551614");
	cr_assert_str_eq(
		json_string_value(json_object_get(record, "missing")), "9223372036854775808");
	json_decref(records);
}
