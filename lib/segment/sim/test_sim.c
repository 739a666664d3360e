/* The log on the simulated disk, at a size for every day; the program sim_segment does the same at
 * any. */
#include <criterion/criterion.h>

#include "segment/datadir.h"
#include "segment/sim/disk.h"
#include "segment/sim/story.h"

/* Sanitizers make all this ten times slower. */
#ifdef __SANITIZE_ADDRESS__
#define STATE_CNT 800
#define CALL_STEP 9
#else
#define STATE_CNT 5000
#define CALL_STEP 1
#endif

TestSuite(sim, .init = sim_memory_prepare);

Test(sim, power_lost_and_processes_killed)
{
	struct sim_plan plan = {
		.seed = 1, .one_of = STATE_CNT / 200, .variant_cnt = 3, .out = stderr};
	struct sim_counts counts = {0};
	for (unsigned i = 0; counts.state_cnt < STATE_CNT; i++)
		cr_assert_eq(sim_story(&plan, i, &counts), 0);
	/* It has been everywhere. */
	for (int i = 0; i < SIM_ORIGIN_CNT; i++)
		cr_assert_gt(counts.by_origin[i], 0, "%s", sim_origin_name(i));
	cr_assert_gt(counts.roll_cnt, 0);
	cr_assert_gt(counts.cut_cnt, 0);
#ifndef __SANITIZE_ADDRESS__
	cr_assert_gt(counts.retired_cnt, 0);
	cr_assert_gt(counts.gone_cnt, 0);
	cr_assert_gt(counts.set_aside_cnt, 0);
#endif
	cr_assert_gt(counts.undurable_found_cnt, 0);
}

/* This seed has shown a directory whose name no start made durable, a failed write that was there
 * after all, and a flush of a log that had failed. */
Test(sim, every_call_fails)
{
	struct sim_plan plan = {
		.seed = 5, .one_of = 8, .variant_cnt = 3, .call_step = CALL_STEP, .out = stderr};
	struct sim_counts counts = {0};
	cr_assert_eq(sim_every_call(&plan, &counts), 0);
	cr_assert_gt(counts.mishap_cnt, 1000 / CALL_STEP);
}

static int
partition_on(struct sim_disk *disk, const char *port)
{
	struct pst_datadir *dir;
	struct pst_diag diag;
	cr_assert_eq(pst_datadir_open_on(&disk->disk, "data", &dir, &diag), 0, "%s", diag.text);
	int number = pst_datadir_partition(dir, port, 0, &diag);
	cr_assert_geq(number, 0, "%s", diag.text);
	pst_datadir_close(dir);
	return number;
}

/* Killed; the next process uses the number that it finds; then the power goes. */
static void
keep_the_number(void *arg)
{
	struct sim_disk *disk = arg;
	uint64_t chance = 1, choice;
	struct sim_disk *next = sim_disk_restart(disk, &chance);
	int number = partition_on(next, "first");
	struct sim_disk *last = sim_disk_new(
		sim_disk_lose_power(next, SIM_LOSE_ALL, &chance, &choice), 1);
	partition_on(last, "second");
	cr_assert_eq(partition_on(last, "first"), number, "%s", disk->last_change);
	sim_disk_free(next);
	sim_disk_free(last);
}

Test(sim, partitions_are_never_renumbered)
{
	struct sim_disk *disk = sim_disk_new(sim_image_new(), 1);
	disk->changed = keep_the_number;
	disk->arg = disk;
	cr_assert_eq(partition_on(disk, "first"), 0);
	sim_disk_free(disk);
}
