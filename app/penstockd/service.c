#include "service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "pipeline/watch.h"

#define LOOK_NS UINT64_C(1000000000)
#define LOOK_NS_MIN                                                                                \
	UINT64_C(100000000) /* less, and an lcore that only waits for its CPU is stuck */
#define SPREAD_TICKS 10     /* an interval of the spread, in seconds */

struct pst_service {
	struct pst_pipeline *pipeline;
	/* the watch thread's */
	pthread_t thread;
	uint64_t look_ns; /* from one look to the next */
	struct pst_watch watch;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool stop; /* under mutex */
	/* the control thread's */
	struct pst_snapshot snapshot;
	struct pst_cell before;
	uint64_t before_tsc;
	unsigned tick_cnt;
	uint64_t queue_before[PST_QUEUES_MAX];
};

/* ---- the watch ---- */

static void
say_stuck(const struct pst_pipeline *p, char *said, size_t cap)
{
	char names[256];

	pst_watch_name_stuck(p, names, sizeof(names));
	if (strcmp(names, said) == 0)
		return;
	if (names[0])
		pst_error(
			"stuck: %s: no turn of the loop for more than a look; the watchdog gets no "
			"word until it turns",
			names);
	else
		pst_notice("no lcore is stuck any more (%s was)", said);
	snprintf(said, cap, "%s", names);
}

static void *
watch(void *arg)
{
	struct pst_service *s = arg;
	char said[256] = "";
	struct timespec next;

	clock_gettime(CLOCK_MONOTONIC, &next);
	pthread_mutex_lock(&s->mutex);
	while (!s->stop) {
		uint64_t ns = (uint64_t)next.tv_nsec + s->look_ns;
		next.tv_sec += (time_t)(ns / 1000000000);
		next.tv_nsec = (long)(ns % 1000000000);
		while (!s->stop && pthread_cond_timedwait(&s->wake, &s->mutex, &next) != ETIMEDOUT)
			;
		if (s->stop)
			break;
		/* A machine that stood still begins anew: looks never come in a heap. */
		clock_gettime(CLOCK_MONOTONIC, &next);
		if (pst_watch_look(&s->watch, s->pipeline))
			sd_notify(0, "WATCHDOG=1");
		say_stuck(s->pipeline, said, sizeof(said));
	}
	pthread_mutex_unlock(&s->mutex);
	return NULL;
}

int
pst_service_start(struct pst_pipeline *p, struct pst_service **out)
{
	struct pst_service *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;
	uint64_t watchdog_us = 0;

	if (!s || pst_snapshot_init(&s->snapshot, p) != 0) {
		free(s);
		return -1;
	}
	s->pipeline = p;
	s->look_ns = LOOK_NS;
	if (sd_watchdog_enabled(0, &watchdog_us) > 0)
		s->look_ns = pst_max_u64(LOOK_NS_MIN, pst_min_u64(LOOK_NS, watchdog_us * 1000 / 2));
	pthread_mutex_init(&s->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&s->thread, NULL, watch, s) != 0) {
		pst_snapshot_fini(&s->snapshot);
		free(s);
		return -1;
	}
	pthread_setname_np(s->thread, "watch");
	sd_notify(0, "READY=1\nSTATUS=receiving");
	*out = s;
	return 0;
}

void
pst_service_stop(struct pst_service *s)
{
	if (!s)
		return;
	sd_notify(0, "STOPPING=1\nSTATUS=draining");
	pthread_mutex_lock(&s->mutex);
	s->stop = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->mutex);
	pthread_join(s->thread, NULL);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->mutex);
	pst_snapshot_fini(&s->snapshot);
	free(s);
}

void
pst_service_reloading(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
		(unsigned long long)ts.tv_sec * 1000000 + (unsigned long long)ts.tv_nsec / 1000);
}

void
pst_service_reloaded(void)
{
	sd_notify(0, "READY=1");
}

/* ---- once a second ---- */

static void
tell_status(struct pst_service *s)
{
	const struct pst_book *book = &s->snapshot.book;
	uint64_t now_tsc = pst_clock_tsc();
	uint64_t ns = pst_max_u64(1, pst_clock_duration_ns(now_tsc - s->before_tsc));
	struct pst_cell sum = {0};

	for (uint32_t i = 0; i < pst_book_cell_cnt(&book->shape); i++)
		pst_cell_add(&sum, &book->cells[i]);
	const struct pst_cell *was = &s->before;
	if (s->before_tsc)
		sd_notifyf(0,
			"STATUS=receiving: %.0f events/s, %.3f MB/s; shed %.0f/s, rejected %.0f/s "
			"(since the start: shed %llu, rejected %llu)",
			(double)(sum.found - was->found) * 1e9 / (double)ns,
			(double)(sum.payload_bytes - was->payload_bytes) * 1e3 / (double)ns,
			(double)(pst_cell_shed(&sum) - pst_cell_shed(was)) * 1e9 / (double)ns,
			(double)(pst_cell_rejected(&sum) - pst_cell_rejected(was)) * 1e9 /
				(double)ns,
			(unsigned long long)pst_cell_shed(&sum),
			(unsigned long long)pst_cell_rejected(&sum));
	s->before = sum;
	s->before_tsc = now_tsc;
}

static void
say_spread(const struct pst_profile_port *port, const struct pst_spread *spread, bool was_skewed)
{
	if (spread->skewed && !was_skewed)
		pst_warning("port %s: queue %u of %u got %.1f %% of the frames: the others idle "
			    "while it may overflow (few heavy senders, or RSS keys that do not fit "
			    "them)",
			port->name, spread->busiest_idx, spread->queue_cnt,
			spread->busiest_share_permille / 10.0);
	else if (!spread->skewed && was_skewed)
		pst_notice("port %s: its frames are spread over its queues again", port->name);
}

/* Frames of each queue since the last time, port by port: a port's queues stand together. */
static void
judge_spread(struct pst_service *s)
{
	struct pst_pipeline *p = s->pipeline;
	const struct pst_book *book = &s->snapshot.book;
	uint64_t frames[PST_QUEUES_MAX];

	for (uint16_t q = 0; q < p->profile->queue_cnt; q++) {
		uint64_t polled = 0;
		for (uint16_t l = 0; l < book->shape.listener_cnt; l++)
			polled += book->cells[pst_book_cell_idx(&book->shape, q, l)].polled;
		frames[q] = polled - s->queue_before[q];
		s->queue_before[q] = polled;
	}
	for (uint16_t i = 0, first = 0; i < p->profile->port_cnt; i++) {
		const struct pst_profile_port *port = &p->profile->ports[i];
		struct pst_spread spread;
		if (pst_spread_judge(&frames[first], port->queue_cnt, &spread)) {
			pthread_mutex_lock(&p->spread_mutex);
			bool was_skewed = p->spread[i].skewed;
			p->spread[i] = spread;
			pthread_mutex_unlock(&p->spread_mutex);
			say_spread(port, &spread, was_skewed);
		}
		first = (uint16_t)(first + port->queue_cnt);
	}
}

void
pst_service_tick(struct pst_service *s)
{
	struct pst_pipeline *p = s->pipeline;
	char names[256];

	pst_log_tick();
	/* A stuck lcore answers nobody: it would hold us up for seconds. */
	pst_watch_name_stuck(p, names, sizeof(names));
	if (names[0]) {
		sd_notifyf(0, "STATUS=stuck: %s", names);
		return;
	}
	pst_pipeline_collect_sources(p);
	if (pst_pipeline_snapshot(p, &s->snapshot) != 0)
		return;
	tell_status(s);
	if (++s->tick_cnt % SPREAD_TICKS == 0)
		judge_spread(s);
}
