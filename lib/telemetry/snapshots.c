#include <time.h>

#include "telemetry/commands.h"

/* Two for each client that rte_telemetry admits at a time. */
#define SLOTS_MAX 20

struct slot {
	uint64_t number; /* 1 ..; 0: holds nothing */
	uint64_t taken_ns;
	uint64_t used_tick;
	bool has_memory;
	struct pst_snapshot snapshot;
};

static struct {
	pthread_mutex_t mutex; /* held while a slot is taken or read */
	uint64_t number_last;
	uint64_t tick;
	struct slot slots[SLOTS_MAX];
} cache = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static struct slot *
least_recently_used(void)
{
	struct slot *oldest = &cache.slots[0];
	for (unsigned i = 1; i < SLOTS_MAX; i++)
		if (cache.slots[i].used_tick < oldest->used_tick)
			oldest = &cache.slots[i];
	return oldest;
}

static struct slot *
take(struct pst_pipeline *pipeline, const char **error)
{
	struct slot *slot = least_recently_used();
	struct timespec now;

	slot->number = 0;
	if (!slot->has_memory && pst_snapshot_init(&slot->snapshot, pipeline) != 0) {
		*error = "no memory for a snapshot";
		return NULL;
	}
	slot->has_memory = true;
	if (pst_pipeline_snapshot(pipeline, &slot->snapshot) != 0) {
		*error = "an lcore does not answer";
		return NULL;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	slot->taken_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	slot->number = ++cache.number_last;
	return slot;
}

static struct slot *
find(uint64_t number, const char **error)
{
	for (unsigned i = 0; i < SLOTS_MAX; i++)
		if (cache.slots[i].number == number)
			return &cache.slots[i];
	*error = "this snapshot is gone: begin anew without its number";
	return NULL;
}

bool
pst_source_open(struct pst_request *request, struct pst_source *source)
{
	uint64_t number = request->args[1];
	const char *error;

	pthread_mutex_lock(&cache.mutex);
	struct slot *slot = number ? find(number, &error) : take(request->pipeline, &error);
	if (!slot) {
		pthread_mutex_unlock(&cache.mutex);
		pst_reply_error(&request->reply, "%s", error);
		return false;
	}
	slot->used_tick = ++cache.tick;
	source->pipeline = request->pipeline;
	source->profile = request->pipeline->profile;
	source->snapshot = &slot->snapshot;
	source->taken_ns = slot->taken_ns;
	pst_dict_u64(request->top, "snapshot", slot->number);
	pst_dict_u64(request->top, "taken_ns", slot->taken_ns);
	return true;
}

int
pst_source_page(
	struct pst_request *request, struct pst_source *source, uint32_t total, pst_row_fn fill)
{
	int rc = pst_serve_page(request, total, fill, source);
	pthread_mutex_unlock(&cache.mutex);
	return rc;
}

void
pst_snapshots_fini(void)
{
	pthread_mutex_lock(&cache.mutex);
	for (unsigned i = 0; i < SLOTS_MAX; i++) {
		if (cache.slots[i].has_memory)
			pst_snapshot_fini(&cache.slots[i].snapshot);
		cache.slots[i].has_memory = false;
		cache.slots[i].number = 0;
		cache.slots[i].used_tick = 0;
	}
	pthread_mutex_unlock(&cache.mutex);
}
