#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "segment/sim/life.h"

#define POLLS_MAX 20000

void
sim_fail(struct sim_story *s, const char *what)
{
	if (s->failed)
		return;
	s->failed = true;
	FILE *out = s->plan->out;
	fprintf(out, "seed %llu, story %u, life %u, step %u (%s): %s\n",
		(unsigned long long)s->plan->seed, s->idx, s->life, s->step,
		s->disk->last_change ? s->disk->last_change : "nothing written", what);
	if (s->state[0])
		fprintf(out, "  state: %s\n", s->state);
	if (s->fault.at)
		fprintf(out, "  mishap: calls 0x%x, number %u%s, error %d\n", s->fault.calls,
			s->fault.at, s->fault.for_ever ? " and all after" : "", s->fault.error);
	fprintf(out, "  again: sim_segment --seed %llu", (unsigned long long)s->plan->seed);
	const struct sim_fault *planned = &s->plan->fault;
	if (planned->at)
		fprintf(out, " --mishap %u%s,%d%s", planned->at, planned->for_ever ? "+" : "",
			-planned->error, s->plan->fault_in_recovery ? "r" : "");
	fprintf(out, " --state %u", s->idx);
	if (s->look_variant >= 0)
		fprintf(out, ".%u.%d", s->step, s->look_variant);
	fprintf(out, "\n");
}

int
sim_logs_open(
	struct sim_story *s, struct sim_disk *disk, struct sim_logs *logs, struct pst_diag *diag)
{
	memset(logs, 0, sizeof(*logs));
	memset(diag, 0, sizeof(*diag));
	if (pst_datadir_open_on(&disk->disk, "data", &logs->dir, diag) < 0)
		return -1;
	pst_datadir_retain(logs->dir, s->retain_bytes);
	struct pst_appender_config config = {.dir = logs->dir,
		.piece_cnt = 4,
		.flush_bytes = s->flush_bytes,
		.flush_age_ns = s->flush_age_ns};
	int rc = pst_appender_create(&config, &logs->app, diag);
	if (rc < 0) {
		pst_datadir_close(logs->dir);
		return rc;
	}
	struct pst_log_add adds[SIM_PARTITIONS_MAX];
	for (unsigned i = 0; rc >= 0 && i < s->partition_cnt; i++) {
		adds[i] = (struct pst_log_add){.app = logs->app, .config = s->config[i]};
		rc = pst_datadir_partition(logs->dir, "port", (uint16_t)i, diag);
		if (rc >= 0 && rc != (int)i)
			rc = pst_diag_set(diag, NULL, 0, NULL, NULL, "a partition was renumbered");
	}
	if (rc >= 0)
		rc = pst_appender_add_all(adds, s->partition_cnt, 1, NULL, NULL, diag);
	for (unsigned i = 0; rc >= 0 && i < s->partition_cnt; i++) {
		logs->log_idx[i] = adds[i].log_idx;
		logs->recovery[i] = adds[i].recovery;
	}
	if (rc >= 0)
		return 0;
	pst_appender_destroy(logs->app);
	pst_datadir_close(logs->dir);
	return -1;
}

const char *
sim_recovery_text(const struct pst_recovery *recovery)
{
	static char text[160];
	text[0] = '\0';
	if (recovery->item_cnt > 0)
		pst_recovery_text(&recovery->items[0], text, sizeof(text));
	return text;
}

/* What recovery found is the log now. */
static void
settle(struct sim_story *s, const struct sim_logs *logs)
{
	for (unsigned i = 0; i < s->partition_cnt && !s->failed; i++) {
		struct sim_found found;
		int64_t offset;
		struct pst_log_stats stats;
		struct sim_history *h = &s->history[i];
		const char *wrong = sim_history_check(
			h, &s->disk->disk, s->config[i].topic, false, &found, &offset);
		pst_log_stats(logs->app, logs->log_idx[i], &stats);
		if (!wrong && found.next != stats.next_offset)
			wrong = "the log does not go on where it ends";
		if (!wrong && found.next < h->sure_end)
			wrong = "acknowledged events are missing";
		if (!wrong && s->closed && s->disk->failed_cnt == 0 && !logs->recovery[i].clean)
			wrong = "a log that was closed is not clean";
		if (wrong) {
			snprintf(s->state, sizeof(s->state),
				"as life %u found it, partition %u, offset %lld: %.60s", s->life, i,
				(long long)offset, sim_recovery_text(&logs->recovery[i]));
			sim_fail(s, wrong);
			return;
		}
		sim_history_settle(h, &found);
	}
}

int
sim_life_begin(struct sim_story *s)
{
	struct pst_diag diag;
	struct sim_logs logs;
	int rc = sim_logs_open(s, s->disk, &logs, &diag);
	if (rc < 0) {
		s->counts->failed_open_cnt++;
		if (s->disk->failed_cnt == 0 && !s->disk->capacity_blocks)
			sim_fail(s, diag.text);
		else if (!diag.text[0])
			sim_fail(s, "a start was refused without a word");
		s->closed = false;
		return -1;
	}
	/* Readers meet no mishap here. */
	struct sim_fault fault = s->disk->fault;
	unsigned seen = s->disk->seen_cnt;
	s->disk->fault = (struct sim_fault){0};
	settle(s, &logs);
	s->disk->fault = fault;
	s->disk->seen_cnt = seen;
	s->dir = logs.dir;
	s->app = logs.app;
	s->log_cnt = s->partition_cnt;
	memcpy(s->log_idx, logs.log_idx, sizeof(s->log_idx));
	s->closed = false;
	return s->failed ? -1 : 0;
}

static void
take(struct sim_story *s, const struct pst_append_done *done)
{
	uintptr_t cookie = (uintptr_t)done->cookie;
	struct sim_history *h = &s->history[cookie >> 32];
	struct sim_batch *batch = &h->batches[cookie & UINT32_MAX];
	free(batch->buf);
	batch->buf = NULL;
	if (s->over)
		return;
	switch (done->status) {
	case PST_APPEND_DURABLE:
		if (done->base_offset != batch->offset || batch->offset != h->sure_end)
			sim_fail(s, "acknowledged out of order");
		if (s->failed_syncs_seen > 0)
			sim_fail(s, "acknowledged after a failed sync");
		batch->state = SIM_BATCH_DURABLE;
		h->sure_end = batch->offset + batch->record_cnt;
		s->counts->durable_cnt++;
		s->ack_cnt++;
		break;
	case PST_APPEND_WRITE_FAILED:
	case PST_APPEND_DISK_FULL:
		batch->state = SIM_BATCH_GONE;
		s->counts->gone_cnt++;
		break;
	case PST_APPEND_SYNC_FAILED:
		batch->state = SIM_BATCH_DOUBT;
		s->counts->doubt_cnt++;
		break;
	}
}

void
sim_life_update_start(struct sim_story *s)
{
	for (unsigned i = 0; !s->over && i < s->log_cnt; i++) {
		struct pst_log_stats stats;
		pst_log_stats(s->app, s->log_idx[i], &stats);
		if (stats.start_offset > s->history[i].start)
			s->history[i].start = stats.start_offset;
	}
}

void
sim_life_poll(struct sim_story *s)
{
	static struct pst_append_done done[PST_PENDING_CNT]; /* all of them */
	s->failed_syncs_seen = s->disk->failed_log_sync_cnt;
	unsigned n = pst_appender_poll(s->app, s->now_ns, done, PST_PENDING_CNT);
	for (unsigned i = 0; i < n; i++)
		take(s, &done[i]);
	sim_life_update_start(s);
	if (n > 0 && s->disk->changed)
		sim_look(s);
}

void
sim_life_poll_to_rest(struct sim_story *s)
{
	pst_appender_flush(s->app);
	for (int i = 0; i < POLLS_MAX && !pst_appender_idle(s->app); i++) {
		sim_life_poll(s);
		s->now_ns += 1000000;
	}
	if (!pst_appender_idle(s->app))
		sim_fail(s, "the log does not come to rest");
}

/* Closes the logs and the data directory. */
static void
leave(struct sim_story *s)
{
	for (unsigned i = 0; i < s->log_cnt; i++) {
		struct pst_log_stats stats;
		pst_log_stats(s->app, s->log_idx[i], &stats);
		s->counts->roll_cnt += stats.segment_cnt + stats.retired_segment_cnt - 1;
		s->counts->retired_cnt += stats.retired_segment_cnt;
	}
	s->counts->full_cnt += s->disk->capacity_blocks > 0;
	s->log_cnt = 0;
	struct pst_datadir *dir = s->dir;
	s->dir = NULL;
	pst_appender_destroy(s->app);
	s->app = NULL;
	pst_datadir_close(dir);
}

void
sim_life_end_late(struct sim_story *s)
{
	leave(s);
	for (unsigned i = 0; i < s->partition_cnt; i++) {
		struct sim_history *h = &s->history[i];
		for (unsigned b = 0; b < h->cnt; b++) {
			free(h->batches[b].buf);
			h->batches[b].buf = NULL;
		}
	}
}

void
sim_life_end(struct sim_story *s, bool orderly)
{
	s->over = !orderly;
	if (!orderly) {
		s->disk->changed = NULL;
		s->disk->unruly = false;
		s->disk->capacity_blocks = 0;
	}
	sim_life_poll_to_rest(s);
	s->over = false;
	if (!pst_appender_idle(s->app)) {
		s->log_cnt = 0; /* it has failed, and cannot be ended */
		s->dir = NULL;
		return;
	}
	leave(s);
}

/* A reader beside the log sees what is durable, and no more. */
void
sim_life_read(struct sim_story *s)
{
	struct sim_fault fault = s->disk->fault;
	unsigned p = (unsigned)sim_below(&s->chance, s->partition_cnt);
	struct sim_found found;
	int64_t offset;
	s->disk->fault = (struct sim_fault){0};
	const char *wrong = sim_history_check(
		&s->history[p], &s->disk->disk, s->config[p].topic, true, &found, &offset);
	s->disk->fault = fault;
	if (!wrong)
		return;
	snprintf(s->state, sizeof(s->state), "a reader beside the log, partition %u, offset %lld",
		p, (long long)offset);
	sim_fail(s, wrong);
}
