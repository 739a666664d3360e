#include "top_poll.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "telemetry/client.h"

#define RETRY_S 1.0 /* at most this often while nobody answers */

struct poller {
	const char *prefix;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	/* under mutex */
	double delay_s;
	bool paused, kicked, ending;
	json_t *answer;
	char trouble[512];
	unsigned round;
	/* the thread's */
	struct pst_client *client;
};

static void
say(struct poller *p, const struct pst_diag *diag)
{
	pthread_mutex_lock(&p->mutex);
	snprintf(p->trouble, sizeof(p->trouble), "%s", diag->text);
	p->round++;
	pthread_mutex_unlock(&p->mutex);
}

static bool
ask(struct poller *p)
{
	struct pst_diag diag = {0};
	json_t *status = NULL;

	if (p->client || pst_client_open(p->prefix, &p->client, &diag) == 0)
		status = pst_client_status(p->client, &diag);
	if (!status) {
		if (p->client)
			pst_client_close(p->client);
		p->client = NULL;
		say(p, &diag);
		return false;
	}
	pthread_mutex_lock(&p->mutex);
	json_decref(p->answer);
	p->answer = status;
	p->trouble[0] = '\0';
	p->round++;
	pthread_mutex_unlock(&p->mutex);
	return true;
}

static struct timespec
after(struct timespec at, double seconds)
{
	int64_t ns = at.tv_nsec + (int64_t)(seconds * 1e9);
	return (struct timespec){.tv_sec = at.tv_sec + ns / 1000000000, .tv_nsec = ns % 1000000000};
}

/* Until the delay since start is over, or somebody wants an answer. False: the end. */
static bool
wait_turn(struct poller *p, struct timespec start, bool answered)
{
	pthread_mutex_lock(&p->mutex);
	while (!p->ending && !p->kicked) {
		double delay_s = answered || p->delay_s > RETRY_S ? p->delay_s : RETRY_S;
		struct timespec until = after(start, delay_s);
		int rc = p->paused ? pthread_cond_wait(&p->changed, &p->mutex)
				   : pthread_cond_timedwait(&p->changed, &p->mutex, &until);
		if (rc == ETIMEDOUT)
			break;
	}
	p->kicked = false;
	bool go_on = !p->ending;
	pthread_mutex_unlock(&p->mutex);
	return go_on;
}

static void *
run(void *arg)
{
	struct poller *p = arg;
	struct timespec start;
	bool answered;

	do {
		clock_gettime(CLOCK_MONOTONIC, &start);
		answered = ask(p);
	} while (wait_turn(p, start, answered));
	if (p->client)
		pst_client_close(p->client);
	return NULL;
}

struct poller *
poller_start(const char *prefix, double delay_s)
{
	struct poller *p = calloc(1, sizeof(*p));
	pthread_condattr_t attr;

	if (!p)
		return NULL;
	p->prefix = prefix;
	p->delay_s = delay_s;
	pthread_mutex_init(&p->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&p->thread, NULL, run, p) != 0) {
		free(p);
		return NULL;
	}
	return p;
}

void
poller_stop(struct poller *p)
{
	pthread_mutex_lock(&p->mutex);
	p->ending = true;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->mutex);
	pthread_join(p->thread, NULL);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->mutex);
	json_decref(p->answer);
	free(p);
}

void
poller_set(struct poller *p, double delay_s, bool paused)
{
	pthread_mutex_lock(&p->mutex);
	p->delay_s = delay_s;
	p->paused = paused;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->mutex);
}

void
poller_kick(struct poller *p)
{
	pthread_mutex_lock(&p->mutex);
	p->kicked = true;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->mutex);
}

json_t *
poller_take(struct poller *p, char *trouble, size_t cap, unsigned *round)
{
	pthread_mutex_lock(&p->mutex);
	json_t *answer = p->answer;
	p->answer = NULL;
	snprintf(trouble, cap, "%s", p->trouble);
	*round = p->round;
	pthread_mutex_unlock(&p->mutex);
	return answer;
}
