#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

#include "base/base.h"

#define NS_PER_S UINT64_C(1000000000)

/* Written by the control thread under the sequence, read by every thread. The sequence is odd
 * while the pair is being replaced. */
static struct {
	_Atomic uint32_t sequence;
	_Atomic uint64_t base_tsc;
	_Atomic uint64_t base_ns;
	double ns_per_tick; /* const after init */
} calibration;

static uint64_t
clock_read_ns(clockid_t id)
{
	struct timespec ts;
	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* A TSC and a clock reading that belong together: of several tries the one that took least. */
static void
clock_read_pair(clockid_t id, uint64_t *tsc, uint64_t *ns)
{
	uint64_t best = UINT64_MAX;
	for (int i = 0; i < 5; i++) {
		uint64_t before = pst_clock_tsc();
		uint64_t now = clock_read_ns(id);
		uint64_t after = pst_clock_tsc();
		if (after - before < best) {
			best = after - before;
			*tsc = before + (after - before) / 2;
			*ns = now;
		}
	}
}

static void
clock_publish(uint64_t tsc, uint64_t ns)
{
	uint32_t seq = atomic_load_explicit(&calibration.sequence, memory_order_relaxed);
	/* Pairs with the acquire loads in pst_clock_ns. */
	atomic_store_explicit(&calibration.sequence, seq + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&calibration.base_tsc, tsc, memory_order_relaxed);
	atomic_store_explicit(&calibration.base_ns, ns, memory_order_relaxed);
	atomic_store_explicit(&calibration.sequence, seq + 2, memory_order_release);
}

void
pst_clock_init(void)
{
	uint64_t tsc0 = 0, ns0 = 0, tsc1 = 0, ns1 = 0, wall_tsc = 0, wall_ns = 0;
	struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};

	clock_read_pair(CLOCK_MONOTONIC_RAW, &tsc0, &ns0);
	nanosleep(&pause, NULL);
	clock_read_pair(CLOCK_MONOTONIC_RAW, &tsc1, &ns1);
	PST_ASSERT(tsc1 > tsc0 && ns1 > ns0);
	calibration.ns_per_tick = (double)(ns1 - ns0) / (double)(tsc1 - tsc0);
	clock_read_pair(CLOCK_REALTIME, &wall_tsc, &wall_ns);
	clock_publish(wall_tsc, wall_ns);
}

int64_t
pst_clock_step(void)
{
	uint64_t tsc = 0, ns = 0;
	clock_read_pair(CLOCK_REALTIME, &tsc, &ns);
	return (int64_t)(ns - pst_clock_ns(tsc));
}

void
pst_clock_renew(void)
{
	uint64_t tsc = 0, ns = 0;
	clock_read_pair(CLOCK_REALTIME, &tsc, &ns);
	clock_publish(tsc, ns);
}

uint64_t
pst_clock_ns(uint64_t tsc)
{
	uint32_t seq;
	uint64_t base_tsc, base_ns;
	do {
		seq = atomic_load_explicit(&calibration.sequence, memory_order_acquire);
		base_tsc = atomic_load_explicit(&calibration.base_tsc, memory_order_relaxed);
		base_ns = atomic_load_explicit(&calibration.base_ns, memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
	} while ((seq & 1) ||
		 seq != atomic_load_explicit(&calibration.sequence, memory_order_relaxed));
	int64_t ticks = (int64_t)(tsc - base_tsc);
	return base_ns + (uint64_t)(int64_t)((double)ticks * calibration.ns_per_tick);
}

uint64_t
pst_clock_ticks(uint64_t duration_ns)
{
	return (uint64_t)((double)duration_ns / calibration.ns_per_tick);
}

uint64_t
pst_clock_duration_ns(uint64_t ticks)
{
	return (uint64_t)((double)ticks * calibration.ns_per_tick);
}
