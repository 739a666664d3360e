/* Wall-clock nanoseconds from the TSC, without a system call.
 *
 * The control thread renews the calibration a few times a second; data threads turn one TSC read
 * a burst into nanoseconds since 1970-01-01 UTC. */
#ifndef PST_CLOCK_H
#define PST_CLOCK_H

#include <stdint.h>

static inline uint64_t
pst_clock_tsc(void)
{
	return __builtin_ia32_rdtsc();
}

/* Measures the TSC frequency (takes about 20 ms) and sets the first calibration. Control thread,
 * before any other call. */
void pst_clock_init(void);

/* How far the wall clock is from what the calibration predicts, in nanoseconds: beyond a
 * millisecond it was set. Control thread only. */
int64_t pst_clock_step(void);

/* Renews the calibration: from now on every thread follows the wall clock as it is. Control thread
 * only, every 100 ms or so. */
void pst_clock_renew(void);

/* Any thread. Wall-clock nanoseconds of a TSC reading. */
uint64_t pst_clock_ns(uint64_t tsc);

/* Any thread. TSC ticks of a duration. */
uint64_t pst_clock_ticks(uint64_t duration_ns);

/* Any thread. Nanoseconds of a number of TSC ticks. */
uint64_t pst_clock_duration_ns(uint64_t ticks);

#endif
