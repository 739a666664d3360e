/* Partitions are recovered side by side: first all directories are looked at, so that the work to
 * be done is known, then all are mended, then all ends are made known and kept in one checkpoint.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "segment/recovery/recovery.h"

#define SAY_NS UINT64_C(1000000000)

struct work {
	struct pst_log_add *add;
	struct pst_log *log;
	struct pst_mark mark;
	struct pst_recover recover;
	bool claimed, recovered;
	int rc;
	struct pst_diag diag;
};

struct crew {
	struct work *works;
	uint32_t cnt;
	int (*step)(struct pst_recover *r, struct pst_diag *diag);
	bool counts; /* a partition is done after this step */
	struct pst_recover_progress *progress;
	_Atomic uint32_t next;
	_Atomic bool stop; /* one failed */

	pthread_mutex_t lock;
	pthread_cond_t ended;
	unsigned running_cnt; /* under lock */
};

static uint64_t
monotonic_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void
take_turns(struct crew *crew)
{
	while (!atomic_load_explicit(&crew->stop, memory_order_relaxed)) {
		uint32_t i = atomic_fetch_add_explicit(&crew->next, 1, memory_order_relaxed);
		if (i >= crew->cnt)
			break;
		struct work *w = &crew->works[i];
		w->rc = crew->step(&w->recover, &w->diag);
		if (w->rc < 0) {
			atomic_store_explicit(&crew->stop, true, memory_order_relaxed);
		} else if (crew->counts) {
			w->recovered = true;
			atomic_fetch_add_explicit(
				&crew->progress->done_cnt, 1, memory_order_relaxed);
		}
	}
}

static void *
crew_member(void *arg)
{
	struct crew *crew = arg;
	take_turns(crew);
	pthread_mutex_lock(&crew->lock);
	crew->running_cnt--;
	pthread_cond_signal(&crew->ended);
	pthread_mutex_unlock(&crew->lock);
	return NULL;
}

struct saying {
	void (*say)(void *arg, const struct pst_add_progress *progress);
	void *arg;
	uint64_t start_ns, next_ns;
};

static void
say_progress(struct saying *saying, const struct crew *crew)
{
	uint64_t now = monotonic_ns();
	if (now < saying->next_ns)
		return;
	saying->next_ns = now + SAY_NS;
	struct pst_add_progress p = {
		.done_bytes = atomic_load_explicit(
			&crew->progress->done_bytes, memory_order_relaxed),
		.total_bytes = atomic_load_explicit(
			&crew->progress->total_bytes, memory_order_relaxed),
		.done_cnt = atomic_load_explicit(&crew->progress->done_cnt, memory_order_relaxed),
		.total_cnt = crew->cnt,
		.elapsed_ns = now - saying->start_ns,
	};
	if (saying->say)
		saying->say(saying->arg, &p);
}

/* Waits for the threads, and says meanwhile how far they are. */
static void
await(struct crew *crew, struct saying *saying)
{
	pthread_mutex_lock(&crew->lock);
	while (crew->running_cnt > 0) {
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
		pthread_cond_timedwait(&crew->ended, &crew->lock, &until);
		say_progress(saying, crew);
	}
	pthread_mutex_unlock(&crew->lock);
}

/* One step for all partitions. With one thread it is the caller's. */
static void
run_crew(struct crew *crew, unsigned thread_cnt, struct saying *saying)
{
	pthread_t threads[PST_ADD_THREADS_MAX];
	unsigned cnt = 0;
	atomic_store_explicit(&crew->next, 0, memory_order_relaxed);
	pthread_mutex_lock(&crew->lock);
	if (thread_cnt > 1) {
		while (cnt < thread_cnt && cnt < crew->cnt &&
			pthread_create(&threads[cnt], NULL, crew_member, crew) == 0)
			cnt++;
	}
	crew->running_cnt = cnt;
	pthread_mutex_unlock(&crew->lock);
	if (cnt == 0)
		take_turns(crew);
	else
		await(crew, saying);
	while (cnt > 0)
		pthread_join(threads[--cnt], NULL);
}

/* Room in the appender's list, and the log without its directory. */
static int
prepare(struct work *w, struct pst_recover_progress *progress, struct pst_diag *diag)
{
	const struct pst_log_config *config = &w->add->config;
	struct pst_appender *app = w->add->app;
	bool known;
	memset(&w->add->recovery, 0, sizeof(w->add->recovery));
	if (!pst_topic_valid(config->topic) || config->partition > INT32_MAX ||
		config->segment_bytes_max == 0)
		return pst_diag_set(diag, config->topic, 0, NULL, NULL,
			"not a topic's name, partition and segment size");
	w->log = pst_log_new(app, config);
	if (!w->log)
		return pst_diag_set(diag, config->topic, 0, NULL, NULL, "out of memory");
	w->log->slot = pst_dir_claim(app->dir, w->log->name, &w->mark, &known, diag);
	if (w->log->slot < 0)
		return -1;
	w->claimed = true;
	w->recover = (struct pst_recover){
		.log = w->log,
		.disk = app->disk,
		.mark = known ? &w->mark : NULL,
		.report = &w->add->recovery,
		.progress = progress,
	};
	return 0;
}

/* Each directory's ends, on disk before the first append. */
static int
keep_ends(const struct work *works, uint32_t cnt, struct pst_diag *diag)
{
	for (uint32_t i = 0; i < cnt; i++)
		pst_dir_recovered(
			works[i].add->app->dir, works[i].log->slot, &works[i].log->durable);
	for (uint32_t i = 0; i < cnt; i++) {
		struct pst_datadir *dir = works[i].add->app->dir;
		bool before = false;
		for (uint32_t k = 0; k < i && !before; k++)
			before = works[k].add->app->dir == dir;
		if (before)
			continue;
		int rc = pst_datadir_checkpoint(dir);
		if (rc < 0)
			return pst_diag_set(diag, dir->path, 0, NULL, NULL,
				"cannot write the durable marks: %s", strerror(-rc));
	}
	return 0;
}

static int
enlist(struct work *w)
{
	struct pst_appender *app = w->add->app;
	struct pst_log **grown = realloc(app->logs, (app->log_cnt + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	app->logs = grown;
	app->logs[app->log_cnt] = w->log;
	w->add->log_idx = (int)app->log_cnt++;
	atomic_fetch_add_explicit(&app->dir->log_bytes,
		w->log->closed_bytes + w->log->durable.segment_bytes, memory_order_relaxed);
	return 0;
}

/* Takes back what was done for those that are in no appender's list. */
static void
drop(struct work *w)
{
	if (w->recovered)
		pst_log_close_files(w->log);
	if (w->claimed)
		pst_dir_unclaim(w->add->app->dir, w->log->slot);
	if (w->log)
		pst_log_free(w->log);
}

static int
recover_all(struct crew *crew, unsigned thread_cnt, struct saying *saying, struct pst_diag *diag)
{
	for (uint32_t i = 0; i < crew->cnt; i++)
		if (prepare(&crew->works[i], crew->progress, diag) < 0)
			return -1;
	crew->step = pst_recover_begin;
	run_crew(crew, thread_cnt, saying);
	if (!atomic_load_explicit(&crew->stop, memory_order_relaxed)) {
		crew->step = pst_recover_run;
		crew->counts = true;
		run_crew(crew, thread_cnt, saying);
	}
	for (uint32_t i = 0; i < crew->cnt; i++) {
		if (crew->works[i].rc < 0) {
			*diag = crew->works[i].diag;
			return -1;
		}
	}
	return keep_ends(crew->works, crew->cnt, diag);
}

int
pst_appender_add_all(struct pst_log_add *adds, uint32_t cnt, unsigned thread_cnt,
	void (*say)(void *arg, const struct pst_add_progress *progress), void *arg,
	struct pst_diag *diag)
{
	struct pst_recover_progress progress = {0};
	struct crew crew = {.cnt = cnt, .progress = &progress};
	uint64_t now = monotonic_ns();
	struct saying saying = {say, arg, now, now + SAY_NS};
	uint32_t listed = 0;
	PST_ASSERT(thread_cnt >= 1 && thread_cnt <= PST_ADD_THREADS_MAX);
	if (cnt == 0)
		return 0;
	crew.works = calloc(cnt, sizeof(*crew.works));
	if (!crew.works)
		return pst_diag_set(diag, NULL, 0, NULL, NULL, "out of memory");
	for (uint32_t i = 0; i < cnt; i++)
		crew.works[i].add = &adds[i];
	pthread_mutex_init(&crew.lock, NULL);
	pthread_cond_init(&crew.ended, NULL);
	int rc = recover_all(&crew, thread_cnt, &saying, diag);
	while (rc == 0 && listed < cnt && enlist(&crew.works[listed]) == 0)
		listed++;
	if (rc == 0 && listed < cnt)
		rc = pst_diag_set(diag, NULL, 0, NULL, NULL, "out of memory");
	for (uint32_t i = 0; i < cnt; i++) {
		pst_recover_end(&crew.works[i].recover);
		if (i >= listed)
			drop(&crew.works[i]);
	}
	pthread_cond_destroy(&crew.ended);
	pthread_mutex_destroy(&crew.lock);
	free(crew.works);
	return rc;
}

int
pst_appender_add(struct pst_appender *app, const struct pst_log_config *config,
	struct pst_recovery *recovery, struct pst_diag *diag)
{
	struct pst_log_add add = {.app = app, .config = *config};
	if (pst_appender_add_all(&add, 1, 1, NULL, NULL, diag) < 0)
		return -1;
	*recovery = add.recovery;
	return add.log_idx;
}
