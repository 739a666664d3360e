/* Steps of which each may hang in the kernel or in a library: a thread says so, and ends what does
 * not end by itself.
 *
 *   begin ─▶ enter("a") ─▶ enter("b") ─▶ ... ─▶ end
 *              └ takes long: a warning after say_ns, twice that, four times ...
 *              └ takes longer than its limit: an error, and give_up */
#ifndef PST_STEPS_H
#define PST_STEPS_H

#include <stdint.h>

struct pst_steps;

struct pst_steps_config {
	const char *what; /* the whole: "starting"; not copied */
	uint64_t say_ns;
	void (*give_up)(void); /* by the watching thread; if it returns, the watch is over */
};

/* By the thread that will take the steps. 0, or -errno: no memory, no thread. */
int pst_steps_begin(const struct pst_steps_config *config, struct pst_steps **out);

/* Into the next step. Its name is not copied. limit_ns 0: it takes as long as it takes. */
void pst_steps_enter(struct pst_steps *steps, const char *name, uint64_t limit_ns);

/* Out of the last one; waits for the watching thread, which waits for nothing. NULL is fine. */
void pst_steps_end(struct pst_steps *steps);

#endif
