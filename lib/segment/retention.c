/* Whole closed segments go, the oldest first, one at a time: the next only when the directory has
 * been synced, so that a power loss cannot bring back one that is older than one that is gone. */
#include <errno.h>

#include "segment/log.h"

/* Timestamp behind which nothing of the oldest closed segment lies. Recovery leaves it unknown:
 * then it is the time of the file's last change, which is never earlier. */
static int64_t
oldest_ts_ms(struct pst_log *log)
{
	struct pst_closed_segment *oldest = &log->closed[log->closed_first];
	if (oldest->max_ts_ms >= 0)
		return oldest->max_ts_ms;
	struct pst_disk *disk = log->app->disk;
	struct pst_disk_stat st;
	char name[PST_SEGMENT_NAME_BYTES];
	pst_segment_name(name, oldest->base_offset, PST_SEGMENT_LOG);
	int file = disk->ops->open(disk, log->dir, name, 0);
	if (file >= 0) {
		if (disk->ops->stat(disk, file, &st) == 0)
			oldest->max_ts_ms = st.mtime_ns / 1000000;
		disk->ops->close(disk, file);
	}
	return oldest->max_ts_ms >= 0 ? oldest->max_ts_ms : INT64_MAX;
}

static bool
has_closed(const struct pst_log *log)
{
	return log->closed_first < log->closed_cnt;
}

/* Whether the oldest closed segment has to go by its own partition's rules. As in Kafka, at least
 * retain_bytes are kept. */
static bool
retire_due(struct pst_log *log)
{
	const struct pst_appender *app = log->app;
	uint64_t kept = log->closed_bytes + log->durable.segment_bytes;
	if (log->retain_bytes && kept >= log->retain_bytes + log->closed[log->closed_first].bytes)
		return true;
	if (!log->retain_age_ns || atomic_load_explicit(&app->hold_retention, memory_order_relaxed))
		return false;
	int64_t now_ms = (int64_t)(app->now_ns / 1000000);
	int64_t age_ms = (int64_t)(log->retain_age_ns / 1000000);
	int64_t ts = oldest_ts_ms(log);
	return ts < now_ms && now_ms - ts > age_ms;
}

/* Begins with the oldest. From here on it is no longer part of the log. */
static void
retire(struct pst_log *log)
{
	struct pst_closed_segment *oldest = &log->closed[log->closed_first];
	for (int f = 0; f < PST_SEGMENT_FILE_CNT; f++)
		pst_segment_name(
			log->retire_names[f], oldest->base_offset, (enum pst_segment_file)f);
	log->retire_bytes = oldest->bytes;
	log->retire_queued_cnt = log->retire_ended_cnt = 0;
	log->retire = PST_RETIRE_UNLINK;
	log->closed_bytes -= oldest->bytes;
	log->closed_first++;
	pst_log_activate(log);
}

void
pst_retention_unlinked(struct pst_log *log, int64_t result)
{
	/* What could not be removed is found again by the next start. */
	if (result < 0 && result != -ENOENT)
		log->app->stats.last_errno = (int)-result;
	if (++log->retire_ended_cnt < PST_SEGMENT_FILE_CNT)
		return;
	log->retire = PST_RETIRE_DIR;
	log->stats.retired_segment_cnt++;
	log->stats.retired_bytes += log->retire_bytes;
	atomic_fetch_sub_explicit(
		&log->app->dir->log_bytes, log->retire_bytes, memory_order_relaxed);
}

/* A sync of the directory has ended: if it was ours, the next segment may go. */
void
pst_retention_dir_synced(struct pst_log *log)
{
	if (log->retire == PST_RETIRE_DIR_SYNC)
		log->retire = PST_RETIRE_NONE;
}

void
pst_retention_drive(struct pst_log *log)
{
	struct pst_appender *app = log->app;
	const struct pst_disk_ops *ops = app->disk->ops;
	while (log->retire == PST_RETIRE_UNLINK && log->retire_queued_cnt < PST_SEGMENT_FILE_CNT) {
		const char *name = log->retire_names[log->retire_queued_cnt];
		if (ops->queue_unlink(app->queue, log->dir, name, &log->unlink_io) != 0)
			return;
		log->retire_queued_cnt++;
	}
	if (log->retire != PST_RETIRE_DIR || log->dir_syncing ||
		ops->queue_sync(app->queue, log->dir, false, &log->dir_io) != 0)
		return;
	log->dir_syncing = true;
	log->retire = PST_RETIRE_DIR_SYNC;
}

static bool
may_retire(const struct pst_log *log)
{
	return !log->failed && has_closed(log) && log->retire == PST_RETIRE_NONE;
}

/* This appender's share of the data directory's cap: it acts when the oldest closed segment of all
 * is its own. */
static void
keep_cap(struct pst_appender *app)
{
	struct pst_datadir *dir = app->dir;
	struct pst_log *oldest = NULL;
	int64_t oldest_ms = INT64_MAX;
	uint64_t cap = atomic_load_explicit(&dir->retain_bytes, memory_order_relaxed);
	if (cap == 0)
		return;
	for (uint32_t i = 0; i < app->log_cnt; i++) {
		struct pst_log *log = app->logs[i];
		if (log->failed || !has_closed(log))
			continue;
		int64_t ts = oldest_ts_ms(log);
		if (!oldest || ts < oldest_ms) {
			oldest = log;
			oldest_ms = ts;
		}
	}
	atomic_store_explicit(&dir->oldest[app->number].max_ts_ms, oldest_ms, memory_order_relaxed);
	if (!oldest || !may_retire(oldest) ||
		atomic_load_explicit(&dir->log_bytes, memory_order_relaxed) <= cap)
		return;
	for (unsigned i = 0; i < PST_APPENDERS_MAX; i++) {
		int64_t other = atomic_load_explicit(
			&dir->oldest[i].max_ts_ms, memory_order_relaxed);
		/* At the same age the appender with the lower number acts. */
		if (i != app->number &&
			(other < oldest_ms || (other == oldest_ms && i < app->number)))
			return;
	}
	retire(oldest);
}

/* A few times a second: at most one segment a partition. */
void
pst_retention_housekeeping(struct pst_appender *app)
{
	for (uint32_t i = 0; i < app->log_cnt; i++) {
		struct pst_log *log = app->logs[i];
		if (may_retire(log) && retire_due(log))
			retire(log);
	}
	keep_cap(app);
}
