#include "pipeline/pipeline.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

#define STOP_POLL_NS  500000
#define END_LIMIT_NS  UINT64_C(3000000000) /* for the lcores' last turn */
#define RECORD_NS_MIN UINT64_C(3000000000) /* for the ledger's last records, however late */

int
pst_snapshot_init(struct pst_snapshot *snapshot, const struct pst_pipeline *pipeline)
{
	struct pst_book_shape shape = pst_book_shape(pipeline->profile);
	memset(snapshot, 0, sizeof(*snapshot));
	snapshot->latency = calloc(pipeline->profile->writer_cnt, sizeof(*snapshot->latency));
	if (!snapshot->latency)
		return -ENOMEM;
	int rc = pst_book_init(&snapshot->book, &shape);
	if (rc != 0)
		pst_snapshot_fini(snapshot);
	return rc;
}

void
pst_snapshot_fini(struct pst_snapshot *snapshot)
{
	pst_book_fini(&snapshot->book);
	free(snapshot->latency);
	snapshot->latency = NULL;
}

/* ---- what lcores do between two bursts ---- */

static void
rx_copy(void *self, void *arg)
{
	struct pst_rx *rx = self;
	struct pst_book *copy = arg;
	pst_rx_take_home(rx);
	pst_book_copy(copy, &rx->book);
	pst_rx_count_away(rx, copy);
}

static void
writer_copy(void *self, void *arg)
{
	struct pst_writer *w = self;
	struct pst_pipeline *p = arg;
	pst_book_copy(&p->copy, &w->book);
	memcpy(p->latency_copy, w->latency, sizeof(w->latency));
}

static void
rx_copy_sessions(void *self, void *arg)
{
	struct pst_rx *rx = self;
	struct pst_pipeline_page *page = arg;
	uint32_t cnt = pst_session_cnt(rx->sessions);

	/* page->total: sessions of the lcores before this one. */
	for (uint32_t i = 0; i < cnt; i++) {
		if (page->total + i < page->first || page->cnt == PST_SESSION_PAGE)
			continue;
		struct pst_session_row *row = &page->rows[page->cnt++];
		row->rx_idx = rx->rx_idx;
		row->range_cnt = pst_session_copy(
			rx->sessions, i, &row->info, row->ranges, PST_SESSION_PAGE_RANGES);
	}
	page->total += cnt;
}

static void
rx_swap_rules(void *self, void *arg)
{
	struct pst_rx *rx = self;
	struct pst_rx_rules *next = arg, old = rx->rules;
	/* A batch is of one generation: its offset is where the next one begins. */
	pst_rx_seal_aged(rx, true);
	rx->rules = *next;
	*next = old;
}

/* ---- snapshots ---- */

static void
rx_stats(const struct pst_rx *rx, struct pst_rx_stats *out)
{
	out->turn_cnt = atomic_load_explicit(&rx->turn_cnt, memory_order_relaxed);
	out->busy_tsc = rx->busy_tsc;
	out->batch_sealed_cnt = rx->batch_sealed_cnt;
	out->batch_plain_bytes = rx->batch_plain_bytes;
	out->batch_cnt = rx->batch_cnt;
	out->batch_home_cnt = rx->home_cnt;
	out->session_cnt = pst_session_cnt(rx->sessions);
	out->session_full_cnt = pst_session_full_cnt(rx->sessions);
	out->clock_held_ns_max = rx->clock_held_ns_max;
}

static void
add_appender(const struct pst_appender *appender, struct pst_appender_stats *sum)
{
	struct pst_appender_stats its;

	pst_appender_stats(appender, &its);
	sum->write_cnt += its.write_cnt;
	sum->write_bytes += its.write_bytes;
	sum->sync_cnt += its.sync_cnt;
	sum->in_flight_bytes += its.in_flight_bytes;
	sum->unsynced_bytes += its.unsynced_bytes;
	sum->direct &= its.direct;
	if (its.last_errno)
		sum->last_errno = its.last_errno;
}

static void
writer_stats(const struct pst_writer *w, struct pst_writer_stats *out)
{
	memset(&out->appender, 0, sizeof(out->appender));
	out->appender.direct = true;
	for (uint16_t d = 0; d < w->drive_cnt; d++)
		if (w->appenders[d])
			add_appender(w->appenders[d], &out->appender);
	out->turn_cnt = atomic_load_explicit(&w->turn_cnt, memory_order_relaxed);
	out->busy_tsc = w->busy_tsc;
	out->ring_used = out->ring_size = 0;
	for (uint16_t r = 0; r < w->rx_cnt; r++) {
		out->ring_used += rte_ring_count(w->full[r]);
		out->ring_size += rte_ring_get_capacity(w->full[r]);
	}
}

int
pst_pipeline_snapshot(struct pst_pipeline *p, struct pst_snapshot *out)
{
	int rc = 0;

	pthread_mutex_lock(&p->mutex);
	pst_book_clear(&out->book);
	if (p->recorder)
		pst_recorder_count(p->recorder, &out->book);
	for (uint16_t i = 0; i < p->profile->rx_lcore_cnt && rc == 0; i++) {
		rc = pst_mailbox_call(&p->rx[i]->mailbox, rx_copy, &p->copy);
		if (rc == 0)
			pst_book_add(&out->book, &p->copy);
		/* Single words of statistics: read as they are. */
		rx_stats(p->rx[i], &out->rx[i]);
	}
	for (uint16_t i = 0; i < p->profile->writer_cnt && rc == 0; i++) {
		rc = pst_mailbox_call(&p->writers[i]->mailbox, writer_copy, p);
		if (rc == 0) {
			pst_book_add(&out->book, &p->copy);
			memcpy(out->latency[i], p->latency_copy, sizeof(p->latency_copy));
		}
		writer_stats(p->writers[i], &out->writers[i]);
	}
	pthread_mutex_unlock(&p->mutex);
	return rc;
}

int
pst_pipeline_sessions(struct pst_pipeline *p, uint32_t first, struct pst_pipeline_page *out)
{
	int rc = 0;

	pthread_mutex_lock(&p->mutex);
	p->page->first = first;
	p->page->total = 0;
	p->page->cnt = 0;
	for (uint16_t i = 0; i < p->profile->rx_lcore_cnt && rc == 0; i++)
		rc = pst_mailbox_call(&p->rx[i]->mailbox, rx_copy_sessions, p->page);
	if (rc == 0)
		*out = *p->page;
	pthread_mutex_unlock(&p->mutex);
	return rc;
}

static void
writer_copy_log(void *self, void *arg)
{
	struct pst_writer *w = self;
	uint64_t which = (uint64_t)(uintptr_t)arg;
	pst_log_stats(w->appenders[which >> 32], (int)(uint32_t)which, &w->log_copy);
}

int
pst_pipeline_log(struct pst_pipeline *p, uint16_t stream_idx, uint16_t queue_idx,
	struct pst_log_place *place, struct pst_log_stats *out)
{
	/* The list of segments moves in memory as it grows: only the writer may look. */
	pthread_mutex_lock(&p->mutex);
	*place = p->place[stream_idx][queue_idx];
	struct pst_writer *w = p->writers[place->writer_idx];
	uint64_t which = (uint64_t)place->drive_idx << 32 | (uint32_t)place->log_idx;
	int rc = pst_mailbox_call(&w->mailbox, writer_copy_log, (void *)(uintptr_t)which);
	if (rc == 0)
		*out = w->log_copy;
	pthread_mutex_unlock(&p->mutex);
	return rc;
}

static void
add_log(struct pst_writer *w, const struct pst_log_place *place, struct pst_stream_logs *sum)
{
	struct pst_log_stats *log = &w->log_copy;

	pst_log_stats(w->appenders[place->drive_idx], (int)place->log_idx, log);
	sum->failed_cnt += log->failed;
	sum->segment_cnt += log->segment_cnt;
	sum->log_bytes += log->log_bytes;
	sum->written_bytes += log->written_bytes;
	sum->batch_cnt += log->batch_cnt;
	sum->write_failed_cnt += log->write_failed_cnt;
	sum->sync_failed_cnt += log->sync_failed_cnt;
	sum->retired_segment_cnt += log->retired_segment_cnt;
	sum->retired_bytes += log->retired_bytes;
	sum->retire_failed_cnt += log->retire_failed_cnt;
}

/* Whoever asked holds the mutex, so that no place changes. */
static void
writer_add_logs(void *self, void *arg)
{
	struct pst_writer *w = self;
	struct pst_pipeline *p = arg;

	for (uint16_t s = 0; s < p->profile->stream_cnt; s++)
		for (uint16_t q = 0; q < pst_profile_partition_cnt(p->profile, s); q++) {
			const struct pst_log_place *place = &p->place[s][q];
			struct pst_stream_logs *sum = &p->stream_logs[s];
			if (place->writer_idx != w->writer_idx)
				continue;
			add_log(w, place, sum);
			sum->partition_cnt++;
			sum->down_cnt += w->log_copy.failed;
			sum->lag_cnt += (uint64_t)(w->log_copy.next_offset -
						   w->log_copy.durable_offset);
		}
	for (uint32_t i = 0; i < p->past_place_cnt; i++)
		if (p->past_places[i].place.writer_idx == w->writer_idx)
			add_log(w, &p->past_places[i].place,
				&p->stream_logs[p->past_places[i].stream_idx]);
}

int
pst_pipeline_stream_logs(struct pst_pipeline *p, struct pst_stream_logs out[PST_STREAMS_MAX])
{
	int rc = 0;

	pthread_mutex_lock(&p->mutex);
	memset(p->stream_logs, 0, sizeof(p->stream_logs));
	for (uint16_t i = 0; i < p->profile->writer_cnt && rc == 0; i++)
		rc = pst_mailbox_call(&p->writers[i]->mailbox, writer_add_logs, p);
	if (rc == 0)
		memcpy(out, p->stream_logs, sizeof(p->stream_logs));
	pthread_mutex_unlock(&p->mutex);
	return rc;
}

void
pst_pipeline_final_books(const struct pst_pipeline *p, struct pst_book *out)
{
	pst_book_clear(out);
	if (p->recorder)
		pst_recorder_count(p->recorder, out);
	for (uint16_t i = 0; i < p->profile->rx_lcore_cnt; i++) {
		pst_book_add(out, &p->rx[i]->book);
		pst_rx_count_away(p->rx[i], out);
	}
	for (uint16_t i = 0; i < p->profile->writer_cnt; i++)
		pst_book_add(out, &p->writers[i]->book);
}

/* ---- rules ---- */

static void
rule_row(const struct pst_pipeline *p, uint32_t idx, struct pst_rule_row *row)
{
	const struct pst_rule *rule = pst_rules_get(p->rules, idx);

	memset(row, 0, sizeof(*row));
	row->id = rule->id;
	snprintf(row->name, sizeof(row->name), "%s", rule->name ? rule->name : "");
	row->action = rule->action;
	row->priority = rule->priority;
	row->sample_n = rule->sample_n;
	if (rule->action == PST_RULES_ROUTE)
		snprintf(row->stream, sizeof(row->stream), "%s",
			p->profile->streams[rule->stream_idx].name);
	/* The scratch cannot be freed here (the mutex is held), and each counter is one word. */
	for (uint16_t i = 0; i < p->profile->rx_lcore_cnt; i++) {
		const struct pst_rules_count *counts = pst_rules_counts(p->rx[i]->rules.scratch);
		row->count.matched += counts[idx].matched;
		row->count.decided += counts[idx].decided;
	}
}

int
pst_pipeline_rules(struct pst_pipeline *p, uint32_t first, struct pst_rule_row *rows, uint32_t cap,
	struct pst_rules_page *page)
{
	uint32_t cnt = 0;

	pthread_mutex_lock(&p->mutex);
	memset(page, 0, sizeof(*page));
	page->generation = p->rules_generation;
	page->failed_cnt = p->rules_failed_cnt;
	page->total = pst_rules_cnt(p->rules);
	page->from_cache = pst_rules_from_cache(p->rules);
	snprintf(page->hash, sizeof(page->hash), "%s", pst_rules_hash(p->rules));
	for (uint16_t i = 0; i < p->profile->rx_lcore_cnt; i++)
		page->scan_errors += pst_rules_scan_errors(p->rx[i]->rules.scratch);
	for (uint32_t idx = first; idx < page->total && cnt < cap; idx++)
		rule_row(p, idx, &rows[cnt++]);
	pthread_mutex_unlock(&p->mutex);
	return (int)cnt;
}

static void
scratches_destroy(struct pst_pipeline *p)
{
	for (uint16_t i = 0; i < p->profile->rx_lcore_cnt; i++)
		pst_rules_scratch_destroy(p->next_rules[i].scratch);
}

static int
scratches_create(struct pst_pipeline *p, const struct pst_rules *rules, uint32_t generation)
{
	memset(p->next_rules, 0, sizeof(p->next_rules));
	for (uint16_t i = 0; i < p->profile->rx_lcore_cnt; i++) {
		p->next_rules[i].rules = rules;
		p->next_rules[i].generation = generation;
		p->next_rules[i].scratch = pst_rules_scratch_create(rules);
		if (!p->next_rules[i].scratch) {
			scratches_destroy(p);
			return -ENOMEM;
		}
	}
	return 0;
}

int
pst_pipeline_set_rules(struct pst_pipeline *p, struct pst_rules *rules)
{
	if (scratches_create(p, rules, 1) != 0)
		return -ENOMEM;
	for (uint16_t i = 0; i < p->profile->rx_lcore_cnt; i++)
		p->rx[i]->rules = p->next_rules[i];
	p->rules = rules;
	p->rules_generation = 1;
	return 0;
}

/* Puts a loaded set in force on every rx lcore. Under the mutex. */
static int
take_up(struct pst_pipeline *p, struct pst_rules *rules, struct pst_diag *diag)
{
	if (scratches_create(p, rules, p->rules_generation + 1) != 0)
		return pst_diag_set(
			diag, p->profile->rules_file, 0, NULL, NULL, "no memory for scratch space");
	for (uint16_t i = 0; i < p->profile->rx_lcore_cnt; i++) {
		/* Swaps: next_rules holds the old ones afterwards. */
		if (pst_mailbox_call(&p->rx[i]->mailbox, rx_swap_rules, &p->next_rules[i]) == 0)
			continue;
		/* It may still take them up: neither set can be freed any more. */
		p->rules_stuck = true;
		return pst_diag_set(diag, p->profile->rules_file, 0, NULL, "restart the daemon",
			"rx lcore %u does not answer", i);
	}
	scratches_destroy(p);
	pst_rules_free(p->rules);
	p->rules = rules;
	p->rules_generation++;
	return 0;
}

int
pst_pipeline_reload_rules(struct pst_pipeline *p, struct pst_diag *diag)
{
	struct pst_rules *rules = NULL;

	/* Compiling may take long: snapshots go on meanwhile, other reloads wait. */
	pthread_mutex_lock(&p->reload_mutex);
	int rc = p->rules_stuck
			 ? pst_diag_set(diag, p->profile->rules_file, 0, NULL, "restart the daemon",
				   "an rx lcore did not take up the rules before")
			 : pst_rules_load(p->profile->rules_file, &p->rules_env, &rules, diag);
	pthread_mutex_lock(&p->mutex);
	if (rc == 0)
		rc = take_up(p, rules, diag);
	if (rc != 0) {
		p->rules_failed_cnt++;
		p->rules_diag = *diag;
		if (!p->rules_stuck)
			pst_rules_free(rules);
	}
	pthread_mutex_unlock(&p->mutex);
	pthread_mutex_unlock(&p->reload_mutex);
	return rc;
}

/* ---- stop ---- */

static bool
reached(const _Atomic enum pst_phase *its, enum pst_phase phase)
{
	/* Pairs with the releases at the end of the lcores' turns. */
	return atomic_load_explicit(its, memory_order_acquire) >= phase;
}

static bool
all_reached(const struct pst_pipeline *p, enum pst_phase phase)
{
	for (uint16_t i = 0; i < p->profile->rx_lcore_cnt; i++)
		if (!reached(&p->rx[i]->reached, phase))
			return false;
	for (uint16_t i = 0; i < p->profile->writer_cnt; i++)
		if (!reached(&p->writers[i]->reached, phase))
			return false;
	return true;
}

/* Who has not ended its loop. */
static enum pst_stop
find_stuck(struct pst_pipeline *p)
{
	uint32_t stuck_rx = 0, stuck_writers = 0;

	for (uint16_t i = 0; i < p->profile->rx_lcore_cnt; i++)
		stuck_rx |= (uint32_t)!reached(&p->rx[i]->reached, PST_PHASE_END) << i;
	for (uint16_t i = 0; i < p->profile->writer_cnt; i++)
		stuck_writers |= (uint32_t)!reached(&p->writers[i]->reached, PST_PHASE_END) << i;
	atomic_store_explicit(&p->stuck_rx, stuck_rx, memory_order_relaxed);
	atomic_store_explicit(&p->stuck_writers, stuck_writers, memory_order_relaxed);
	return stuck_rx | stuck_writers ? PST_STOP_STUCK : PST_STOP_LATE;
}

/* False: not until then. */
static bool
await_phase(const struct pst_pipeline *p, enum pst_phase phase, uint64_t end_tsc,
	void (*meanwhile)(void *arg), void *arg)
{
	while (!all_reached(p, phase)) {
		if (pst_clock_tsc() > end_tsc)
			return false;
		meanwhile(arg);
		nanosleep(&(struct timespec){.tv_nsec = STOP_POLL_NS}, NULL);
	}
	return true;
}

/* The ledger's last records: in what is left of the time. */
static bool
tell_ledger(struct pst_pipeline *p, uint64_t end_tsc)
{
	uint64_t now_tsc = pst_clock_tsc();
	uint64_t left_ns = end_tsc > now_tsc ? pst_clock_duration_ns(end_tsc - now_tsc) : 0;

	return pst_recorder_finish(p->recorder, pst_max_u64(left_ns, RECORD_NS_MIN));
}

enum pst_stop
pst_pipeline_stop(
	struct pst_pipeline *p, uint64_t limit_ns, void (*meanwhile)(void *arg), void *arg)
{
	uint64_t end_tsc = pst_clock_tsc() + pst_clock_ticks(limit_ns);
	bool in_time = true, told = true;

	pst_ports_steer_off(p->ports);
	for (enum pst_phase phase = PST_PHASE_DRAIN_PORTS; phase < PST_PHASE_END && in_time;
		phase++) {
		if (phase == PST_PHASE_DRAIN_KERNEL && p->ksock)
			pst_ksock_shut_input(p->ksock);
		/* Pairs with the acquire in the lcores' loops. */
		atomic_store_explicit(&p->phase, phase, memory_order_release);
		in_time = await_phase(p, phase, end_tsc, meanwhile, arg);
		/* All is settled, and the writers go on until the end. */
		if (phase == PST_PHASE_SYNC && in_time && p->recorder)
			told = tell_ledger(p, end_tsc);
	}
	atomic_store_explicit(&p->phase, PST_PHASE_END, memory_order_release); /* as above */
	end_tsc = pst_clock_tsc() + pst_clock_ticks(END_LIMIT_NS);
	if (!await_phase(p, PST_PHASE_END, end_tsc, meanwhile, arg))
		return find_stuck(p);
	return in_time && told ? PST_STOP_DRAINED : PST_STOP_LATE;
}
