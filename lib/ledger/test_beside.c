#include <criterion/criterion.h>
#include <stdio.h>

#include "ledger/beside.h"

static struct pst_beside beside;

static const struct pst_beside_counter *
counter(const char *name)
{
	for (uint32_t i = 0; i < beside.cnt; i++)
		if (strcmp(beside.counters[i].name, name) == 0)
			return &beside.counters[i];
	cr_assert(0, "%s", name);
	return NULL;
}

static void
read_missed(uint64_t value)
{
	pst_beside_begin(&beside);
	pst_beside_read(&beside, 0, PST_BESIDE_LOSS, "imissed", value, true);
}

Test(beside, a_reading_is_added_once)
{
	pst_beside_init(&beside);
	read_missed(10);
	cr_assert_eq(pst_beside_added(counter("imissed")), 10);
	read_missed(10);
	cr_assert_eq(pst_beside_added(counter("imissed")), 0);
	read_missed(17);
	cr_assert_eq(pst_beside_added(counter("imissed")), 7);
	cr_assert_eq(counter("imissed")->total, 17);
	cr_assert_eq(pst_beside_lost(&beside), 17);
	pst_beside_fini(&beside);
}

/* A driver that starts anew: never a negative difference, never the loss from before once more. */
Test(beside, a_counter_that_goes_back_is_a_reset)
{
	pst_beside_init(&beside);
	read_missed(100);
	read_missed(3);
	cr_assert_eq(pst_beside_added(counter("imissed")), 3);
	cr_assert_eq(counter("imissed")->total, 103);
	cr_assert_eq(counter("imissed")->reset_cnt, 1);
	read_missed(3);
	cr_assert_eq(pst_beside_added(counter("imissed")), 0);
	cr_assert_eq(counter("imissed")->reset_cnt, 1);
	pst_beside_fini(&beside);
}

Test(beside, what_was_there_before_the_run_is_not_of_the_run)
{
	pst_beside_init(&beside);
	pst_beside_read(&beside, 1, PST_BESIDE_NOTE, "xstat:old", 5000, false);
	cr_assert_eq(counter("xstat:old")->total, 0);
	pst_beside_read(&beside, 1, PST_BESIDE_NOTE, "xstat:old", 5002, false);
	cr_assert_eq(counter("xstat:old")->total, 2);
	cr_assert_eq(pst_beside_lost(&beside), 0, "notes are no losses");
	pst_beside_fini(&beside);
}

Test(beside, the_same_name_of_two_ports_is_two_counters)
{
	pst_beside_init(&beside);
	for (unsigned i = 1; i < 4; i++) {
		pst_beside_begin(&beside);
		pst_beside_read(&beside, 0, PST_BESIDE_LOSS, "imissed", i, true);
		pst_beside_read(&beside, 1, PST_BESIDE_LOSS, "imissed", 10 * i, true);
		pst_beside_read(
			&beside, PST_BESIDE_KERNEL, PST_BESIDE_LOSS, "imissed", 100 * i, true);
	}
	cr_assert_eq(beside.cnt, 3);
	cr_assert_eq(pst_beside_lost(&beside), 333);
	cr_assert_eq(pst_beside_added(&beside.counters[1]), 10);
	pst_beside_fini(&beside);
}

Test(beside, too_many_are_counted_as_such)
{
	char name[32];
	pst_beside_init(&beside);
	for (unsigned i = 0; i < PST_BESIDE_CNT_MAX + 5; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		pst_beside_read(&beside, 0, PST_BESIDE_NOTE, name, 1, true);
	}
	cr_assert_eq(beside.cnt, PST_BESIDE_CNT_MAX);
	cr_assert_eq(beside.left_out_cnt, 5);
	struct pst_beside copy;
	pst_beside_init(&copy);
	cr_assert_eq(pst_beside_copy(&copy, &beside), 0);
	cr_assert_eq(copy.cnt, PST_BESIDE_CNT_MAX);
	cr_assert_eq(copy.counters[17].total, 1);
	pst_beside_fini(&copy);
	pst_beside_fini(&beside);
}
