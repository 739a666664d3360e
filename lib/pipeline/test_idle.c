#include <criterion/criterion.h>

#include "pipeline/idle.h"

/* So many empty turns; true if it slept in the last of them. */
static bool
empty(struct pst_idle_state *idle, unsigned cnt)
{
	bool slept = false;
	for (unsigned i = 0; i < cnt; i++) {
		uint32_t before = idle->sleep_ns;
		pst_idle_empty(idle);
		slept = idle->slept && (idle->sleep_ns > before || before >= PST_IDLE_SLEEP_NS_MAX);
	}
	return slept;
}

static void
empty_until_asleep(struct pst_idle_state *idle)
{
	for (unsigned i = 0; !empty(idle, 1); i++)
		cr_assert_leq(i, PST_IDLE_TURNS_MAX, "it never sleeps");
}

Test(idle, sleeps_when_nothing_comes)
{
	struct pst_idle_state idle;
	pst_idle_init(&idle, PST_IDLE_ADAPTIVE, false);
	cr_assert_not(empty(&idle, PST_IDLE_TURNS_MAX));
	cr_assert(empty(&idle, 1));
	cr_assert(empty(&idle, 60));
	cr_assert_geq(idle.sleep_ns, PST_IDLE_SLEEP_NS_MAX);
	cr_assert_leq(idle.sleep_ns, PST_IDLE_SLEEP_NS_MAX + PST_IDLE_SLEEP_NS_MAX / 8);
	pst_idle_busy(&idle);
	cr_assert_not(empty(&idle, 1));
	cr_assert_leq(idle.sleep_ns, PST_IDLE_FIRST_NS_MAX, "work came: it does not sleep long");
}

Test(idle, spins_as_long_as_that_finds_work)
{
	struct pst_idle_state idle;
	pst_idle_init(&idle, PST_IDLE_ADAPTIVE, false);
	for (int i = 0; i < 8; i++) {
		empty_until_asleep(&idle);
		pst_idle_busy(&idle);
	}
	cr_assert_eq(idle.turns, PST_IDLE_TURNS_MIN, "work came after sleeps alone");
	cr_assert_not(empty(&idle, PST_IDLE_TURNS_MIN));
	cr_assert(empty(&idle, 1));
	pst_idle_busy(&idle);
	for (int i = 0; i < 8; i++) {
		cr_assert_not(empty(&idle, PST_IDLE_TURNS_MIN - 1));
		pst_idle_busy(&idle);
		pst_idle_busy(&idle);
	}
	cr_assert_eq(idle.turns, PST_IDLE_TURNS_MAX, "work came while it was spinning");
}

Test(idle, gathers_what_one_turn_takes)
{
	struct pst_idle_state idle;
	pst_idle_init(&idle, PST_IDLE_ADAPTIVE, false);
	for (int i = 0; i < 40; i++) {
		empty_until_asleep(&idle);
		pst_idle_busy(&idle);
	}
	cr_assert_eq(idle.first_ns, PST_IDLE_FIRST_NS_MAX);
	for (int i = 0; i < 40; i++) {
		empty_until_asleep(&idle);
		pst_idle_busy(&idle);
		pst_idle_busy(&idle);
	}
	empty(&idle, 1);
	cr_assert_eq(idle.first_ns, PST_IDLE_SLEEP_NS_MIN);
}

Test(idle, does_not_spin_where_it_shares_its_cpu)
{
	struct pst_idle_state idle;
	pst_idle_init(&idle, PST_IDLE_ADAPTIVE, true);
	for (int i = 0; i < 8; i++) {
		cr_assert_not(empty(&idle, PST_IDLE_TURNS_MIN));
		cr_assert(empty(&idle, 1));
		pst_idle_busy(&idle);
		/* Found while it was spinning. */
		cr_assert_not(empty(&idle, PST_IDLE_TURNS_MIN - 1));
		pst_idle_busy(&idle);
	}
}

Test(idle, spin_never_sleeps)
{
	struct pst_idle_state idle;
	pst_idle_init(&idle, PST_IDLE_SPIN, false);
	empty(&idle, 10000);
	cr_assert_not(idle.slept);
}
