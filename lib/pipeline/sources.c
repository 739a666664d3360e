#include "pipeline/sources.h"

#include <stdlib.h>

#include "base/clock.h"
#include "pipeline/pipeline.h"

struct pst_sources {
	uint32_t row_cap;
	/* Where an lcore copies its table to; under the pipeline's mutex. */
	struct pst_source_entry *copy;
	uint32_t copy_cnt;
	struct pst_source_count *copy_others; /* by listener */
	uint64_t copy_left_cnt;
	/* Written by the control thread. */
	struct pst_source_row *next;
	uint64_t taken_tsc;
	/* The last collection; exchanged and read under this mutex. */
	pthread_mutex_t mutex;
	struct pst_source_row *rows; /* by key */
	uint32_t *order;             /* of rows: most events first */
	struct pst_sources_page page;
};

struct pst_sources *
pst_sources_create(const struct pst_profile *profile)
{
	struct pst_sources *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	pthread_mutex_init(&s->mutex, NULL);
	uint32_t cap = (uint32_t)pst_align_up(profile->source_cnt_max, PST_SOURCE_WAYS);
	s->row_cap = cap * profile->rx_lcore_cnt;
	s->copy = calloc(cap, sizeof(*s->copy));
	s->copy_others = calloc(profile->listener_cnt + 1u, sizeof(*s->copy_others));
	s->next = calloc(s->row_cap, sizeof(*s->next));
	s->rows = calloc(s->row_cap, sizeof(*s->rows));
	s->order = calloc(s->row_cap, sizeof(*s->order));
	if (!s->copy || !s->copy_others || !s->next || !s->rows || !s->order) {
		pst_sources_destroy(s);
		return NULL;
	}
	return s;
}

uint64_t
pst_sources_bytes(const struct pst_profile *profile)
{
	uint64_t cap = pst_align_up(profile->source_cnt_max, PST_SOURCE_WAYS);
	return sizeof(struct pst_sources) + cap * sizeof(struct pst_source_entry) +
	       (profile->listener_cnt + 1u) * sizeof(struct pst_source_count) +
	       cap * profile->rx_lcore_cnt * (2 * sizeof(struct pst_source_row) + sizeof(uint32_t));
}

void
pst_sources_destroy(struct pst_sources *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->mutex);
	free(s->copy);
	free(s->copy_others);
	free(s->next);
	free(s->rows);
	free(s->order);
	free(s);
}

/* On the lcore, between two bursts. */
static void
rx_copy_sources(void *self, void *arg)
{
	const struct pst_rx *rx = self;
	struct pst_sources *s = arg;
	s->copy_cnt = pst_source_copy(rx->sources, s->copy, s->copy_others, &s->copy_left_cnt);
}

static int
compare_keys(const struct pst_source_row *a, const struct pst_source_row *b)
{
	if (a->listener_idx != b->listener_idx)
		return a->listener_idx < b->listener_idx ? -1 : 1;
	return memcmp(a->addr.bytes, b->addr.bytes, sizeof(a->addr.bytes));
}

static int
by_key(const void *a, const void *b)
{
	return compare_keys(a, b);
}

static int
by_events(const void *a, const void *b, void *arg)
{
	const struct pst_source_row *rows = arg;
	const struct pst_source_row *left = &rows[*(const uint32_t *)a];
	const struct pst_source_row *right = &rows[*(const uint32_t *)b];
	if (left->count.events != right->count.events)
		return left->count.events > right->count.events ? -1 : 1;
	if (left->count.frames != right->count.frames)
		return left->count.frames > right->count.frames ? -1 : 1;
	return compare_keys(left, right);
}

/* Rows of the same sender become one: it may come in on several queues. Returns those left. */
static uint32_t
merge_rows(struct pst_source_row *rows, uint32_t cnt)
{
	uint32_t kept = 0;

	qsort(rows, cnt, sizeof(*rows), by_key);
	for (uint32_t i = 0; i < cnt; i++) {
		struct pst_source_row *last = kept ? &rows[kept - 1] : NULL;
		if (!last || compare_keys(last, &rows[i]) != 0) {
			rows[kept++] = rows[i];
			continue;
		}
		pst_source_count_add(&last->count, &rows[i].count);
		last->entered_ns = pst_min_u64(last->entered_ns, rows[i].entered_ns);
		last->last_seen_ns = pst_max_u64(last->last_seen_ns, rows[i].last_seen_ns);
	}
	return kept;
}

/* Per second. A sender that left and came again counts anew. */
static uint64_t
rate(uint64_t now, uint64_t before, uint64_t ns)
{
	uint64_t delta = now >= before ? now - before : now;
	return (uint64_t)((unsigned __int128)delta * 1000000000 / ns);
}

/* Both lists are sorted by key. */
static void
set_rates(struct pst_source_row *rows, uint32_t cnt, const struct pst_source_row *before,
	uint32_t before_cnt, uint64_t ns)
{
	static const struct pst_source_count nothing;
	uint32_t b = 0;

	for (uint32_t i = 0; i < cnt; i++) {
		while (b < before_cnt && compare_keys(&before[b], &rows[i]) < 0)
			b++;
		const struct pst_source_count *was = b < before_cnt && compare_keys(&before[b],
									       &rows[i]) == 0
							     ? &before[b].count
							     : &nothing;
		rows[i].events_per_s = rate(rows[i].count.events, was->events, ns);
		rows[i].bytes_per_s = rate(rows[i].count.bytes, was->bytes, ns);
	}
}

static uint32_t
add_copy(struct pst_sources *s, uint32_t cnt, uint16_t listener_cnt, struct pst_sources_page *page)
{
	for (uint32_t i = 0; i < s->copy_cnt; i++) {
		const struct pst_source_entry *source = &s->copy[i];
		s->next[cnt++] = (struct pst_source_row){
			.addr = source->addr,
			.listener_idx = source->listener_idx,
			.entered_ns = source->entered_ns,
			.last_seen_ns = source->last_seen_ns,
			.count = source->count,
		};
		pst_source_count_add(&page->kept, &source->count);
	}
	for (uint16_t l = 0; l < listener_cnt; l++) {
		pst_source_count_add(&page->others_of[l], &s->copy_others[l]);
		pst_source_count_add(&page->others, &s->copy_others[l]);
	}
	page->left_cnt += s->copy_left_cnt;
	return cnt;
}

int
pst_pipeline_collect_sources(struct pst_pipeline *p)
{
	struct pst_sources *s = p->sources;
	struct pst_sources_page page = {.generation = s->page.generation + 1};
	uint32_t cnt = 0;
	int rc = 0;

	pthread_mutex_lock(&p->mutex);
	for (uint16_t i = 0; i < p->profile->rx_lcore_cnt && rc == 0; i++) {
		rc = pst_mailbox_call(&p->rx[i]->mailbox, rx_copy_sources, s);
		if (rc == 0)
			cnt = add_copy(s, cnt, (uint16_t)(p->profile->listener_cnt + 1), &page);
	}
	pthread_mutex_unlock(&p->mutex);
	if (rc != 0)
		return rc;
	uint64_t now_tsc = pst_clock_tsc();
	page.taken_ns = pst_clock_ns(now_tsc);
	page.total = merge_rows(s->next, cnt);
	/* At first there is no interval yet. */
	if (s->taken_tsc)
		set_rates(s->next, page.total, s->rows, s->page.total,
			pst_max_u64(1, pst_clock_duration_ns(now_tsc - s->taken_tsc)));
	s->taken_tsc = now_tsc;

	pthread_mutex_lock(&s->mutex);
	struct pst_source_row *old = s->rows;
	s->rows = s->next;
	s->next = old;
	s->page = page;
	for (uint32_t i = 0; i < page.total; i++)
		s->order[i] = i;
	qsort_r(s->order, page.total, sizeof(*s->order), by_events, s->rows);
	pthread_mutex_unlock(&s->mutex);
	return 0;
}

uint32_t
pst_pipeline_sources(struct pst_pipeline *p, uint32_t first, struct pst_source_row *rows,
	uint32_t cap, struct pst_sources_page *page)
{
	struct pst_sources *s = p->sources;
	uint32_t cnt = 0;

	pthread_mutex_lock(&s->mutex);
	*page = s->page;
	for (uint32_t i = first; i < s->page.total && cnt < cap; i++)
		rows[cnt++] = s->rows[s->order[i]];
	pthread_mutex_unlock(&s->mutex);
	return cnt;
}
