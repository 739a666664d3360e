#include "base/stages.h"

#include "base/base.h"

#define SWITCHES 100000

static struct pst_stages nobodys, all[PST_STAGES_THREADS_MAX];
__thread struct pst_stages *pst_stages_own = &nobodys;

const char *
pst_stage_name(enum pst_stage stage)
{
	static const char *const names[] = {
#define PST_X(symbol, name) name,
		PST_STAGE_NAMES(PST_X)
#undef PST_X
	};
	PST_ASSERT(stage < PST_STAGE_CNT);
	return names[stage];
}

void
pst_stages_begin(unsigned number)
{
	PST_ASSERT(number < PST_STAGES_THREADS_MAX);
	struct pst_stages *own = pst_stages_own = &all[number];
	uint64_t best = UINT64_MAX;

	/* The best of a few: others on the machine do not count. */
	for (unsigned round = 0; round < 5; round++) {
		uint64_t start = __builtin_ia32_rdtsc();
		for (unsigned i = 0; i < SWITCHES; i++)
			pst_stage_enter(i % PST_STAGE_CNT);
		best = pst_min_u64(best, __builtin_ia32_rdtsc() - start);
	}
	*own = (struct pst_stages){
		.switch_tsc_1000 = best / (SWITCHES / 1000),
		.last_tsc = __builtin_ia32_rdtsc(),
	};
}

const struct pst_stages *
pst_stages_of(unsigned number)
{
	PST_ASSERT(number < PST_STAGES_THREADS_MAX);
	return &all[number];
}
