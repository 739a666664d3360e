/* Logs on a simulated disk: states after power loss and kills, recovered and compared.
 *
 *   sim_segment [--seed N] [--states N]          stories until so many states were looked at
 *   sim_segment [--seed N] --calls               the Nth call fails, for every N
 *   sim_segment --seed N [--mishap AT[+],ERRNO[r]] --state STORY[.STEP.VARIANT]
 *                                                one story, or one state of it, again
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "segment/sim/story.h"

struct options {
	struct sim_plan plan;
	uint64_t states;
	bool calls, one;
	unsigned story;
};

static int
usage(void)
{
	fputs("usage: sim_segment [--seed N] [--states N | --calls | [--mishap "
	      "AT[+],ERRNO[r]]\n"
	      "                   --state STORY[.STEP.VARIANT]]\n",
		stderr);
	return 2;
}

/* "AT[+],ERRNO[r]": the AT'th call (and all after it), in the second life's recovery. */
static int
parse_mishap(struct sim_plan *plan, const char *value)
{
	char *end;
	plan->fault = (struct sim_fault){.calls = SIM_ANY};
	plan->fault.at = (unsigned)strtoul(value, &end, 0);
	plan->fault.for_ever = *end == '+';
	end += *end == '+';
	if (*end != ',')
		return -EINVAL;
	plan->fault.error = -(int)strtol(end + 1, &end, 0);
	plan->fault_in_recovery = *end == 'r';
	return 0;
}

static int
parse(struct options *o, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (strcmp(argv[i], "--calls") == 0) {
			o->calls = true;
			continue;
		}
		if (!value)
			return -EINVAL;
		i++;
		if (strcmp(argv[i - 1], "--seed") == 0) {
			o->plan.seed = strtoull(value, NULL, 0);
		} else if (strcmp(argv[i - 1], "--states") == 0) {
			o->states = strtoull(value, NULL, 0);
		} else if (strcmp(argv[i - 1], "--mishap") == 0) {
			if (parse_mishap(&o->plan, value) < 0)
				return -EINVAL;
		} else if (strcmp(argv[i - 1], "--state") == 0) {
			struct sim_only *only = &o->plan.only;
			int n = sscanf(value, "%u.%u.%u", &o->story, &only->step, &only->variant);
			if (n != 1 && n != 3)
				return -EINVAL;
			only->set = n == 3;
			o->one = true;
		} else {
			return -EINVAL;
		}
	}
	return 0;
}

int
main(int argc, char **argv)
{
	struct options o = {.states = 100000};
	struct sim_counts counts = {0};
	o.plan = (struct sim_plan){.seed = (uint64_t)time(NULL),
		.one_of = 3,
		.variant_cnt = 4,
		.call_step = 1,
		.out = stdout};
	if (parse(&o, argc, argv) < 0)
		return usage();
	sim_memory_prepare();
	int rc = 0;
	printf("seed %llu\n", (unsigned long long)o.plan.seed);
	if (o.one)
		rc = sim_story(&o.plan, o.story, &counts);
	else if (o.calls)
		rc = sim_every_call(&o.plan, &counts);
	else
		for (unsigned i = 0; rc == 0 && counts.state_cnt < o.states; i++)
			rc = sim_story(&o.plan, i, &counts);
	sim_counts_print(&counts, stdout);
	return rc == 0 ? 0 : 1;
}
