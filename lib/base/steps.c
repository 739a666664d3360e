#include "base/steps.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/log.h"

struct pst_steps {
	struct pst_steps_config config;
	pid_t taker; /* the thread that takes the steps */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* under lock */
	const char *step;                      /* NULL: none yet */
	uint64_t entered_ns, say_ns, limit_ns; /* say_ns: the next line is due then */
	bool ended;
};

static uint64_t
monotonic_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Where in the kernel the steps' thread waits: "" if it runs, or if nobody says. */
static void
find_place(const struct pst_steps *s, char *out, size_t cap)
{
	char path[64], name[64] = "";
	snprintf(path, sizeof(path), "/proc/self/task/%d/wchan", (int)s->taker);
	FILE *f = fopen(path, "r");
	if (f) {
		if (!fgets(name, sizeof(name), f))
			name[0] = '\0';
		fclose(f);
	}
	out[0] = '\0';
	if (name[0] && strcmp(name, "0") != 0)
		snprintf(out, cap, ", waiting in %s", name);
}

/* Under lock. False: given up. */
static bool
look(struct pst_steps *s)
{
	uint64_t ns = monotonic_ns() - s->entered_ns;
	char place[96];

	if (!s->step || ns < s->say_ns)
		return true;
	find_place(s, place, sizeof(place));
	if (s->limit_ns && ns >= s->limit_ns) {
		pst_error("%s: %s does not end (%llu s by now%s): given up", s->config.what,
			s->step, (unsigned long long)(ns / 1000000000), place);
		s->config.give_up();
		return false;
	}
	pst_warning("%s: %s takes long (%llu s by now%s)", s->config.what, s->step,
		(unsigned long long)(ns / 1000000000), place);
	s->say_ns *= 2;
	if (s->limit_ns)
		s->say_ns = pst_min_u64(s->say_ns, s->limit_ns);
	return true;
}

static void *
watch(void *arg)
{
	struct pst_steps *s = arg;

	pthread_mutex_lock(&s->lock);
	while (!s->ended && look(s)) {
		uint64_t until_ns = s->entered_ns + s->say_ns;
		struct timespec until = {
			(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
		if (s->step)
			pthread_cond_timedwait(&s->changed, &s->lock, &until);
		else
			pthread_cond_wait(&s->changed, &s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

int
pst_steps_begin(const struct pst_steps_config *config, struct pst_steps **out)
{
	struct pst_steps *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;

	if (!s)
		return -ENOMEM;
	s->config = *config;
	s->taker = gettid();
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->changed, &attr);
	pthread_condattr_destroy(&attr);
	int err = pthread_create(&s->thread, NULL, watch, s);
	if (err) {
		pthread_cond_destroy(&s->changed);
		pthread_mutex_destroy(&s->lock);
		free(s);
		return -err;
	}
	*out = s;
	return 0;
}

void
pst_steps_enter(struct pst_steps *s, const char *name, uint64_t limit_ns)
{
	pthread_mutex_lock(&s->lock);
	s->step = name;
	s->entered_ns = monotonic_ns();
	s->limit_ns = limit_ns;
	s->say_ns = limit_ns ? pst_min_u64(s->config.say_ns, limit_ns) : s->config.say_ns;
	pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

void
pst_steps_end(struct pst_steps *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->ended = true;
	pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
