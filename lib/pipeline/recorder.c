#include "pipeline/recorder.h"

#include <errno.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "pipeline/outbox.h"
#include "pipeline/pipeline.h"
#include "pipeline/recording.h"

#define FINISH_POLL_NS 500000
#define REPORT_BURST   256
#define GAPS_A_TURN    8192 /* records; what is more waits for the next turn */
#define RESYNCS_A_TURN 64   /* sessions */

struct pst_recorder {
	struct pst_pipeline *pipeline;
	const struct pst_profile *profile;
	char run_id[PST_RUN_ID_LEN + 1];

	/* The interval. */
	struct pst_snapshot snapshot;
	struct pst_book now, before; /* of the last two snapshots */
	struct pst_interval last;    /* between them; under view_mutex */
	struct pst_beside beside;
	struct pst_residual_judge *judge;
	struct pst_residuals residuals;
	uint64_t number; /* of the last interval */
	uint64_t ended_ns;
	uint64_t due_tsc;

	/* The record: all that is not in one yet. */
	struct pst_book recorded; /* the books as the records add up to them */
	struct pst_interval span; /* memory of the record's interval */
	uint64_t recorded_number, recorded_ns;
	uint64_t idle_number, idle_ns; /* so far nothing moved since then */
	bool active;                   /* something moved behind the idle part */
	bool due;                      /* a record is to be made */

	/* Sessions. */
	struct pst_gaps *gaps[PST_RX_LCORES_MAX];
	struct pst_session_range *ranges; /* memory of a resync */
	struct recording_rules rules;
	uint32_t drives_told; /* bit d: that drive d failed, or is missing */

	struct outbox outbox;

	/* Between the control thread and readers of the view. */
	pthread_mutex_t view_mutex;
	uint64_t merged_cnt, missed_cnt, gap_open_cnt;
};

/* ---- make and free ---- */

static void
hash_of(const char *path, char hash[SHA256_DIGEST_STRING_LENGTH])
{
	if (!SHA256File(path, hash))
		hash[0] = '\0';
}

static struct pst_record_sink
sink_of(struct pst_recorder *rec)
{
	return (struct pst_record_sink){
		.add = outbox_add, .arg = &rec->outbox, .run_id = rec->run_id};
}

static int
create_memory(struct pst_recorder *rec, const struct pst_pipeline *p)
{
	struct pst_book_shape shape = pst_book_shape(p->profile);

	if (pst_snapshot_init(&rec->snapshot, p) != 0 || pst_book_init(&rec->now, &shape) != 0 ||
		pst_book_init(&rec->before, &shape) != 0 ||
		pst_book_init(&rec->last.book, &shape) != 0 ||
		pst_book_init(&rec->recorded, &shape) != 0 ||
		pst_book_init(&rec->span.book, &shape) != 0 ||
		pst_residual_judge_create(&shape, &rec->judge) != 0)
		return -ENOMEM;
	for (uint16_t i = 0; i < p->profile->rx_lcore_cnt; i++)
		if (pst_gaps_create(p->profile->session_cnt_max, p->profile->session_gap_cnt_max,
			    &rec->gaps[i]) != 0)
			return -ENOMEM;
	rec->ranges = calloc(p->profile->session_gap_cnt_max, sizeof(*rec->ranges));
	return rec->ranges ? 0 : -ENOMEM;
}

static int
write_recovery(struct pst_recorder *rec, const struct pst_log_add *log)
{
	const struct pst_recovery *found = &log->recovery;
	struct pst_record_sink sink = sink_of(rec);
	char texts[PST_RECOVERY_ITEMS_MAX][256];
	const char *items[PST_RECOVERY_ITEMS_MAX];
	struct pst_record_recovery record = {.stream = log->config.topic,
		.partition = log->config.partition,
		.next_offset = found->next_offset,
		.cut_bytes = found->cut_bytes,
		.set_aside_bytes = found->set_aside_bytes,
		.index_rebuilt_cnt = found->index_rebuilt_cnt,
		.clean = found->clean,
		.items = items};

	for (uint32_t i = 0; i < found->item_cnt && i < PST_RECOVERY_ITEMS_MAX; i++) {
		pst_recovery_text(&found->items[i], texts[i], sizeof(texts[i]));
		items[record.item_cnt++] = texts[i];
	}
	return pst_record_recovery(&sink, rec->pipeline->started_ns, &record);
}

static int
write_start(struct pst_recorder *rec)
{
	const struct pst_pipeline *p = rec->pipeline;
	struct pst_record_sink sink = sink_of(rec);
	char hash[SHA256_DIGEST_STRING_LENGTH];
	struct pst_record_start start = {.at_ns = p->started_ns,
		.version = PST_VERSION,
		.profile_hash = hash,
		.interval_ns = p->profile->ledger_interval_ns};
	int rc;

	hash_of(p->profile->file, hash);
	rc = pst_record_start(&sink, p->profile, &start);
	for (uint32_t i = 0; i < p->log_cnt && rc == 0; i++)
		rc = write_recovery(rec, &p->logs[i]);
	pst_recorder_drives(rec);
	return rc;
}

int
pst_recorder_create(
	struct pst_pipeline *p, const struct pst_recorder_config *config, struct pst_recorder **out)
{
	struct pst_recorder *rec = calloc(1, sizeof(*rec));
	uint64_t run = 0;

	if (!rec)
		return -ENOMEM;
	rec->pipeline = p;
	rec->profile = p->profile;
	pthread_mutex_init(&rec->view_mutex, NULL);
	pst_beside_init(&rec->beside);
	if (create_memory(rec, p) != 0 || outbox_init(&rec->outbox, p, config) != 0) {
		pst_recorder_destroy(rec);
		return -ENOMEM;
	}
	if (getrandom(&run, sizeof(run), 0) != sizeof(run))
		run = p->started_ns;
	snprintf(rec->run_id, sizeof(rec->run_id), "%016llx", (unsigned long long)run);
	snprintf(rec->outbox.key, sizeof(rec->outbox.key), "%s", rec->run_id);
	rec->ended_ns = rec->recorded_ns = rec->idle_ns = p->started_ns;
	rec->due_tsc = pst_clock_tsc() + pst_clock_ticks(p->profile->ledger_interval_ns);
	recording_beside(p, &rec->beside);
	if (write_start(rec) != 0) {
		pst_recorder_destroy(rec);
		return -ENOMEM;
	}
	*out = rec;
	return 0;
}

void
pst_recorder_destroy(struct pst_recorder *rec)
{
	if (!rec)
		return;
	pst_snapshot_fini(&rec->snapshot);
	pst_book_fini(&rec->now);
	pst_book_fini(&rec->before);
	pst_book_fini(&rec->last.book);
	pst_book_fini(&rec->recorded);
	pst_book_fini(&rec->span.book);
	pst_residual_judge_destroy(rec->judge);
	for (uint16_t i = 0; i < rec->profile->rx_lcore_cnt; i++)
		pst_gaps_destroy(rec->gaps[i]);
	free(rec->ranges);
	pst_beside_fini(&rec->beside);
	outbox_fini(&rec->outbox);
	pthread_mutex_destroy(&rec->view_mutex);
	free(rec);
}

void
pst_recorder_clock(struct pst_recorder *rec, int64_t step_ns)
{
	struct pst_record_sink sink = sink_of(rec);
	pst_record_clock(&sink, pst_clock_ns(pst_clock_tsc()), step_ns);
}

/* ---- drives ---- */

static void
write_drive(struct pst_recorder *rec, const struct pst_record_drive *drive)
{
	struct pst_record_sink sink = sink_of(rec);
	pst_record_drive(&sink, rec->profile, pst_clock_ns(pst_clock_tsc()), drive);
}

void
pst_recorder_drives(struct pst_recorder *rec)
{
	struct pst_drive_info info;

	for (uint16_t d = 0; d < rec->profile->data_dir_cnt; d++) {
		if (rec->drives_told & 1u << d)
			continue;
		pst_drives_info(rec->pipeline->drives, d, &info);
		if (info.state == PST_DRIVE_OK)
			continue;
		rec->drives_told |= 1u << d;
		write_drive(
			rec, &(struct pst_record_drive){.event = pst_drive_state_name(info.state),
				     .drive_idx = d,
				     .error = info.error});
	}
}

static void
write_place(struct pst_recorder *rec, const char *event, uint16_t stream_idx, uint16_t queue_idx,
	const struct pst_log_place *from, const struct pst_log_place *to)
{
	bool is_ledger = stream_idx == rec->profile->ledger_stream_idx;
	char queue[64];

	write_drive(rec,
		&(struct pst_record_drive){.event = event,
			.drive_idx = from->drive_idx,
			.stream = rec->profile->streams[stream_idx].name,
			.queue = is_ledger ? NULL
					   : pst_record_queue_name(queue, rec->profile, queue_idx),
			.partition = from->partition,
			.to_partition = to->partition,
			.to_idx = to->drive_idx});
}

void
pst_recorder_moved(struct pst_recorder *rec, uint16_t stream_idx, uint16_t queue_idx,
	const struct pst_log_place *from, const struct pst_log_place *to)
{
	write_place(rec, "moved", stream_idx, queue_idx, from, to);
}

void
pst_recorder_halted(struct pst_recorder *rec, uint16_t stream_idx, uint16_t queue_idx,
	const struct pst_log_place *at)
{
	write_place(rec, "halted", stream_idx, queue_idx, at, at);
}

/* ---- sessions ---- */

struct silent {
	uint32_t session_idx;
	struct pst_session_info info;
	struct pst_session_range *ranges;
	uint32_t range_cap, range_cnt;
	uint64_t position;
	bool found;
};

static void
copy_silent(void *self, void *arg)
{
	struct pst_rx *rx = self;
	struct silent *s = arg;
	s->found = pst_session_copy_silent(rx->sessions, &s->session_idx, &s->info, s->ranges,
		s->range_cap, &s->range_cnt, &s->position);
}

/* Takes what is in the ring now, at most up to position. */
static void
take_reports(struct pst_recorder *rec, uint16_t rx_idx, uint64_t position)
{
	struct pst_session_table *table = rec->pipeline->rx[rx_idx]->sessions;
	struct pst_session_report reports[REPORT_BURST];
	uint32_t cnt;

	do {
		uint64_t left = position - pst_session_taken_cnt(table);
		cnt = pst_session_take_reports(
			table, reports, (uint32_t)pst_min_u64(left, REPORT_BURST));
		pst_gaps_take(rec->gaps[rx_idx], reports, cnt);
	} while (cnt == REPORT_BURST);
}

/* Sessions whose reports found no room are read as they are. */
static void
resync(struct pst_recorder *rec, uint16_t rx_idx)
{
	struct pst_pipeline *p = rec->pipeline;

	for (unsigned i = 0; i < RESYNCS_A_TURN; i++) {
		/* Static: an lcore that answers late still writes there. */
		static struct silent silent;
		silent.ranges = rec->ranges;
		silent.range_cap = rec->profile->session_gap_cnt_max;
		silent.found = false;
		pthread_mutex_lock(&p->mutex);
		int rc = pst_mailbox_call(&p->rx[rx_idx]->mailbox, copy_silent, &silent);
		pthread_mutex_unlock(&p->mutex);
		if (rc != 0 || !silent.found)
			return;
		take_reports(rec, rx_idx, silent.position);
		pst_gaps_resync(rec->gaps[rx_idx], silent.session_idx, &silent.info, rec->ranges,
			silent.range_cnt, pst_clock_ns(pst_clock_tsc()));
	}
}

static void
take_gaps(struct pst_recorder *rec)
{
	for (uint16_t i = 0; i < rec->profile->rx_lcore_cnt; i++) {
		const struct pst_session_table *table = rec->pipeline->rx[i]->sessions;
		take_reports(rec, i, UINT64_MAX);
		if (pst_session_silent_cnt(table) > 0)
			resync(rec, i);
	}
}

struct gap_writer {
	struct pst_record_sink sink;
	const struct pst_profile *profile;
	const struct pst_session_table *table;
};

static void
write_gap(void *arg, uint32_t session_idx, const struct pst_gap *gap)
{
	const struct gap_writer *w = arg;
	uint16_t listener_idx;
	uint8_t id[PST_MOLD_SESSION_LEN];

	pst_session_name(w->table, session_idx, &listener_idx, id);
	pst_record_gap(&w->sink, w->profile, listener_idx, id, gap);
}

static void
write_gaps(struct pst_recorder *rec)
{
	for (uint16_t i = 0; i < rec->profile->rx_lcore_cnt; i++) {
		struct gap_writer w = {sink_of(rec), rec->profile, rec->pipeline->rx[i]->sessions};
		pst_gaps_tell(rec->gaps[i], GAPS_A_TURN, write_gap, &w);
	}
}

/* ---- intervals ---- */

/* Whether anything but the ledger's own records moved. */
static bool
moved(const struct pst_recorder *rec)
{
	struct pst_stream_cell *own = &rec->last.book.streams[rec->profile->ledger_stream_idx];
	struct pst_stream_cell kept = *own;

	memset(own, 0, sizeof(*own));
	bool still = pst_book_is_still(&rec->last.book) && pst_beside_is_still(&rec->beside);
	*own = kept;
	return !still;
}

static void
take_interval(struct pst_recorder *rec, uint64_t now_tsc, bool last)
{
	struct pst_pipeline *p = rec->pipeline;
	uint64_t step = pst_clock_ticks(rec->profile->ledger_interval_ns);

	/* One that took longer than an interval leaves no pile of them behind. */
	rec->due_tsc = pst_max_u64(rec->due_tsc + step, now_tsc);
	if (pst_pipeline_snapshot(p, &rec->snapshot) != 0) {
		rec->missed_cnt++;
		return;
	}
	pthread_mutex_lock(&rec->view_mutex);
	pst_book_copy(&rec->before, &rec->now);
	pst_book_copy(&rec->now, &rec->snapshot.book);
	pst_beside_begin(&rec->beside);
	recording_beside(p, &rec->beside);
	pst_book_since(&rec->last.book, &rec->now, &rec->before);
	pst_residuals_take(rec->judge, &rec->now, &rec->last.book, &rec->residuals);
	rec->gap_open_cnt = 0;
	for (uint16_t i = 0; i < rec->profile->rx_lcore_cnt; i++)
		rec->gap_open_cnt += pst_gaps_open_cnt(rec->gaps[i]);
	rec->last.first = rec->last.last = ++rec->number;
	rec->last.from_ns = rec->ended_ns;
	rec->last.to_ns = rec->ended_ns = pst_clock_ns(pst_clock_tsc());
	pthread_mutex_unlock(&rec->view_mutex);
	if (moved(rec) || recording_rules_due(&rec->rules, p)) {
		rec->active = rec->due = true;
	} else if (!rec->active) {
		rec->idle_number = rec->number;
		rec->idle_ns = rec->ended_ns;
	}
	if (last || rec->ended_ns < rec->recorded_ns ||
		rec->ended_ns - rec->recorded_ns >= PST_RECORDER_IDLE_NS)
		rec->due = true;
}

/* Puts all that moved since the last record into the outbox. */
static void
write_interval(struct pst_recorder *rec)
{
	struct pst_record_sink sink = sink_of(rec);

	if (rec->idle_number > rec->recorded_number) {
		pst_record_idle(&sink, rec->recorded_number + 1, rec->idle_number, rec->recorded_ns,
			rec->idle_ns);
		rec->recorded_number = rec->idle_number;
		rec->recorded_ns = rec->idle_ns;
	}
	if (rec->number > rec->recorded_number) {
		rec->span.first = rec->recorded_number + 1;
		rec->span.last = rec->number;
		rec->span.from_ns = rec->recorded_ns;
		rec->span.to_ns = rec->ended_ns;
		rec->merged_cnt += rec->span.last - rec->span.first;
		pst_book_since(&rec->span.book, &rec->now, &rec->recorded);
		pst_record_interval(
			&sink, rec->profile, "interval", &rec->span, &rec->beside, &rec->residuals);
		pst_book_copy(&rec->recorded, &rec->now);
		for (uint32_t i = 0; i < rec->beside.cnt; i++)
			rec->beside.counters[i].recorded = rec->beside.counters[i].total;
		rec->recorded_number = rec->number;
		rec->recorded_ns = rec->ended_ns;
	}
	rec->idle_number = rec->number;
	rec->idle_ns = rec->ended_ns;
	rec->active = rec->due = false;
}

/* The outbox takes no more records before those in it are durable. */
static void
write_due(struct pst_recorder *rec)
{
	struct pst_record_sink sink = sink_of(rec);

	if (!rec->due || !outbox_is_empty(&rec->outbox))
		return;
	pthread_mutex_lock(&rec->view_mutex);
	write_gaps(rec);
	recording_rules(&rec->rules, rec->pipeline, &sink);
	write_interval(rec);
	pthread_mutex_unlock(&rec->view_mutex);
}

void
pst_recorder_turn(struct pst_recorder *rec)
{
	uint64_t now_tsc = pst_clock_tsc();

	outbox_take_home(&rec->outbox, now_tsc);
	take_gaps(rec);
	if (now_tsc >= rec->due_tsc)
		take_interval(rec, now_tsc, false);
	write_due(rec);
	outbox_send(&rec->outbox, now_tsc);
}

/* ---- the end ---- */

static void
write_stop(struct pst_recorder *rec)
{
	struct pst_record_sink sink = sink_of(rec);
	struct pst_interval whole = {.first = 1,
		.last = rec->number,
		.from_ns = rec->pipeline->started_ns,
		.to_ns = rec->ended_ns,
		.book = rec->now};

	pst_record_interval(&sink, rec->profile, "stop", &whole, &rec->beside, &rec->residuals);
}

/* Sends what is in the outbox until it is durable, or the time is over. */
static bool
drain(struct pst_recorder *rec, uint64_t end_tsc)
{
	while (!outbox_is_empty(&rec->outbox)) {
		uint64_t now_tsc = pst_clock_tsc();
		if (now_tsc > end_tsc)
			return false;
		outbox_take_home(&rec->outbox, now_tsc);
		outbox_send(&rec->outbox, now_tsc);
		nanosleep(&(struct timespec){.tv_nsec = FINISH_POLL_NS}, NULL);
	}
	return true;
}

bool
pst_recorder_finish(struct pst_recorder *rec, uint64_t limit_ns)
{
	uint64_t now_tsc = pst_clock_tsc();
	uint64_t end_tsc = now_tsc + pst_clock_ticks(limit_ns);

	if (!drain(rec, end_tsc))
		return false;
	take_gaps(rec);
	for (uint16_t i = 0; i < rec->profile->rx_lcore_cnt; i++)
		pst_gaps_stop(rec->gaps[i], pst_clock_ns(now_tsc));
	take_interval(rec, now_tsc, true);
	write_due(rec);
	write_stop(rec);
	return drain(rec, end_tsc);
}

/* ---- for others ---- */

void
pst_recorder_count(struct pst_recorder *rec, struct pst_book *book)
{
	outbox_count(&rec->outbox, &book->streams[rec->profile->ledger_stream_idx]);
}

int
pst_recorder_view_init(struct pst_recorder_view *view, const struct pst_pipeline *p)
{
	struct pst_book_shape shape = pst_book_shape(p->profile);

	memset(view, 0, sizeof(*view));
	if (pst_book_init(&view->interval.book, &shape) != 0 ||
		pst_book_init(&view->total, &shape) != 0) {
		pst_recorder_view_fini(view);
		return -ENOMEM;
	}
	return 0;
}

void
pst_recorder_view_fini(struct pst_recorder_view *view)
{
	pst_book_fini(&view->interval.book);
	pst_book_fini(&view->total);
	pst_beside_fini(&view->beside);
}

int
pst_recorder_view(struct pst_recorder *rec, struct pst_recorder_view *out)
{
	pthread_mutex_lock(&rec->view_mutex);
	struct pst_book book = out->interval.book;
	out->interval = rec->last;
	out->interval.book = book;
	pst_book_copy(&out->interval.book, &rec->last.book);
	pst_book_copy(&out->total, &rec->now);
	int rc = pst_beside_copy(&out->beside, &rec->beside);
	out->residuals = rec->residuals;
	out->merged_cnt = rec->merged_cnt;
	out->missed_cnt = rec->missed_cnt;
	out->recorded_last = rec->recorded_number;
	out->gap_open_cnt = rec->gap_open_cnt;
	out->silenced_cnt = 0;
	for (uint16_t i = 0; i < rec->profile->rx_lcore_cnt; i++)
		out->silenced_cnt += pst_session_silenced_cnt(rec->pipeline->rx[i]->sessions);
	pthread_mutex_unlock(&rec->view_mutex);
	outbox_view(&rec->outbox, &out->record_cnt, &out->failed_cnt);
	out->interval_ns = rec->profile->ledger_interval_ns;
	memcpy(out->run_id, rec->run_id, sizeof(out->run_id));
	return rc;
}
