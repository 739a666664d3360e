/* What a source costs by itself: frames of port 0 are polled and freed, and nothing else.
 *
 *   sink SECONDS [EAL argument...]      prints one JSON object */
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BURST 64 /* as the pipeline's */

/* CPU time: others on the machine do not count. */
static double
now_ns(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void
must(int rc, const char *what)
{
	if (rc < 0)
		rte_exit(1, "sink: %s: %s\n", what, rte_strerror(-rc));
}

static uint64_t
poll_until(double end_ns)
{
	struct rte_mbuf *burst[BURST];
	uint64_t frames = 0;

	while (now_ns(CLOCK_MONOTONIC) < end_ns) {
		for (int turn = 0; turn < 1024; turn++) {
			uint16_t cnt = rte_eth_rx_burst(0, 0, burst, BURST);
			for (uint16_t i = 0; i < cnt; i++)
				rte_prefetch0(rte_pktmbuf_mtod(burst[i], void *));
			rte_pktmbuf_free_bulk(burst, cnt);
			frames += cnt;
		}
	}
	return frames;
}

int
main(int argc, char **argv)
{
	const struct rte_eth_conf conf = {0};
	double seconds = argc > 1 ? atof(argv[1]) : 0;

	if (seconds <= 0)
		rte_exit(1, "usage: sink SECONDS [EAL argument...]\n");
	must(rte_eal_init(argc - 1, argv + 1), "EAL");
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		"sink", 1023, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	must(pool ? 0 : -rte_errno, "pool");
	must(rte_eth_dev_configure(0, 1, 1, &conf), "port 0");
	must(rte_eth_rx_queue_setup(0, 0, 1024, 0, NULL, pool), "rx queue");
	must(rte_eth_tx_queue_setup(0, 0, 1024, 0, NULL), "tx queue");
	must(rte_eth_dev_start(0), "start");
	poll_until(now_ns(CLOCK_MONOTONIC) + 1e8); /* caches, clock */
	double start = now_ns(CLOCK_THREAD_CPUTIME_ID);
	uint64_t frames = poll_until(now_ns(CLOCK_MONOTONIC) + seconds * 1e9);
	double took = now_ns(CLOCK_THREAD_CPUTIME_ID) - start;
	printf("{\"frames\": %llu, \"ns_per_frame\": %.2f}\n", (unsigned long long)frames,
		took / (double)frames);
	rte_eth_dev_stop(0);
	return rte_eal_cleanup();
}
