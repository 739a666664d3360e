/* Whole closed segments go, the oldest first, one at a time: the next only when the directory has
 * been synced, so that a power loss cannot bring back one that is older than one that is gone. One
 * that cannot be removed stays the oldest, and is tried again: what is left of a partition is
 * always its end. The segment that the mark on disk lies in stays until a later mark is there: a
 * start goes on from it, and from its link. */
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

/* Whether the oldest could not be removed a moment ago. A clock that went back ends the wait. */
static bool
retry_waits(const struct pst_log *log)
{
	uint64_t now = log->app->now_ns;
	return log->retire_retry_ns > 0 && now >= log->retire_failed_ns &&
	       now - log->retire_failed_ns < log->retire_retry_ns;
}

/* Whether there is a closed segment that no start needs any more, and that may be tried now. */
static bool
has_closed(const struct pst_log *log)
{
	return log->closed_first < log->closed_cnt && !retry_waits(log) &&
	       log->closed[log->closed_first].base_offset <
		       atomic_load_explicit(
			       &log->app->dir->kept_bases[log->slot], memory_order_relaxed);
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

/* Begins with the oldest. */
static void
retire(struct pst_log *log, bool early)
{
	struct pst_closed_segment *oldest = &log->closed[log->closed_first];
	for (int f = 0; f < PST_SEGMENT_FILE_CNT; f++)
		pst_segment_name(
			log->retire_names[f], oldest->base_offset, (enum pst_segment_file)f);
	log->retire_queued_cnt = log->retire_ended_cnt = 0;
	log->retire_early = early;
	log->retire = PST_RETIRE_LOG;
	atomic_fetch_add_explicit(&log->app->dir->retiring_cnt, 1, memory_order_relaxed);
	pst_log_activate(log);
}

/* The oldest is no longer part of the log. Its bytes are free, as far as nobody reads them. */
static void
retired(struct pst_log *log)
{
	struct pst_datadir *dir = log->app->dir;
	uint64_t bytes = log->closed[log->closed_first].bytes;
	log->closed_bytes -= bytes;
	log->closed_first++;
	log->retire_retry_ns = 0;
	log->stats.retired_segment_cnt++;
	log->stats.retired_bytes += bytes;
	atomic_fetch_sub_explicit(&dir->log_bytes, bytes, memory_order_relaxed);
	if (!log->retire_early)
		return;
	log->stats.full_retired_segment_cnt++;
	log->stats.full_retired_bytes += bytes;
	atomic_fetch_add_explicit(&dir->full_retired_segment_cnt, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&dir->full_retired_bytes, bytes, memory_order_relaxed);
}

static void
retire_end(struct pst_log *log)
{
	struct pst_datadir *dir = log->app->dir;
	log->retire = PST_RETIRE_NONE;
	atomic_fetch_add_explicit(&dir->room_made, 1, memory_order_release);
	atomic_fetch_sub_explicit(&dir->retiring_cnt, 1, memory_order_release);
	pst_retention_tell(log->app);
}

void
pst_retention_give_up(struct pst_log *log)
{
	if (log->retire != PST_RETIRE_NONE)
		retire_end(log);
}

/* The .log first: with it the segment is gone; what is left of the others the next start removes.
 */
void
pst_retention_unlinked(struct pst_log *log, int64_t result)
{
	bool removed = result >= 0 || result == -ENOENT;
	unsigned ended = log->retire_ended_cnt++;
	if (!removed)
		log->app->stats.last_errno = (int)-result;
	if (ended == PST_SEGMENT_LOG && !removed) {
		log->stats.retire_failed_cnt++;
		log->retire_failed_ns = log->app->now_ns;
		log->retire_retry_ns = pst_min_u64(
			pst_max_u64(2 * log->retire_retry_ns, PST_RETIRE_RETRY_NS),
			PST_RETIRE_RETRY_MAX_NS);
		pst_retention_give_up(log);
		return;
	}
	if (ended == PST_SEGMENT_LOG) {
		retired(log);
		if (log->retire == PST_RETIRE_LOG)
			log->retire = PST_RETIRE_INDEXES;
		return;
	}
	if (ended + 1 == PST_SEGMENT_FILE_CNT && log->retire == PST_RETIRE_INDEXES)
		log->retire = PST_RETIRE_DIR;
}

/* A sync of the directory has ended: if it was ours, the next segment may go. */
void
pst_retention_dir_synced(struct pst_log *log)
{
	if (log->retire == PST_RETIRE_DIR_SYNC)
		retire_end(log);
}

void
pst_retention_drive(struct pst_log *log)
{
	struct pst_appender *app = log->app;
	const struct pst_disk_ops *ops = app->disk->ops;
	unsigned cnt = log->retire == PST_RETIRE_LOG       ? PST_SEGMENT_LOG + 1
		       : log->retire == PST_RETIRE_INDEXES ? PST_SEGMENT_FILE_CNT
							   : 0;
	while (log->retire_queued_cnt < cnt) {
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

/* Until when a segment of a log that has none that may go is worth waiting for: it is closed, and
 * the next checkpoint passes it, or it is being closed, and that needs no room. Not for ever: a
 * checkpoint may fail. And not where the oldest cannot be removed: nothing younger goes before it.
 */
static uint64_t
due_ns(const struct pst_log *log)
{
	if (retry_waits(log))
		return 0;
	if (log->roll > PST_ROLL_WRITE && !log->room_wait && !log->create_failed)
		return log->app->now_ns + PST_MARK_WAIT_NS;
	return log->closed_first < log->closed_cnt ? log->closed_ns + PST_MARK_WAIT_NS : 0;
}

/* The appender's log with the oldest segment that may go, NULL if there is none; tells the other
 * appenders. */
static struct pst_log *
find_oldest(struct pst_appender *app, int64_t *ts_ms)
{
	struct pst_dir_oldest *told = &app->dir->oldest[app->number];
	struct pst_log *oldest = NULL;
	uint64_t due = 0;
	*ts_ms = INT64_MAX;
	for (uint32_t i = 0; i < app->log_cnt; i++) {
		struct pst_log *log = app->logs[i];
		if (log->failed)
			continue;
		if (!has_closed(log)) {
			due = pst_max_u64(due, due_ns(log));
			continue;
		}
		int64_t ts = oldest_ts_ms(log);
		if (ts == INT64_MAX)
			ts--; /* which says that there is none */
		if (ts < *ts_ms) {
			oldest = log;
			*ts_ms = ts;
		}
	}
	atomic_store_explicit(&told->due_ns, due, memory_order_relaxed);
	/* Pairs with the acquire in room_possible: where none is seen any more, retire's count is.
	 */
	atomic_store_explicit(&told->max_ts_ms, *ts_ms, memory_order_release);
	return oldest;
}

void
pst_retention_tell(struct pst_appender *app)
{
	int64_t ts_ms;
	find_oldest(app, &ts_ms);
}

/* Whether no other appender has an older one. */
static bool
oldest_of_all(const struct pst_appender *app, int64_t ts_ms)
{
	for (unsigned i = 0; i < PST_APPENDERS_MAX; i++) {
		int64_t other = atomic_load_explicit(
			&app->dir->oldest[i].max_ts_ms, memory_order_relaxed);
		/* At the same age the appender with the lower number acts. */
		if (i != app->number && (other < ts_ms || (other == ts_ms && i < app->number)))
			return false;
	}
	return true;
}

/* Removes the oldest closed segment of all if it is this appender's. */
static void
retire_oldest(struct pst_appender *app, bool early)
{
	int64_t ts_ms;
	struct pst_log *oldest = find_oldest(app, &ts_ms);
	if (!oldest || !may_retire(oldest) || !oldest_of_all(app, ts_ms))
		return;
	if (early)
		atomic_store_explicit(&app->dir->room_wanted, false, memory_order_relaxed);
	retire(oldest, early);
}

void
pst_retention_make_room(struct pst_appender *app)
{
	struct pst_datadir *dir = app->dir;
	if (!atomic_load_explicit(&dir->room_wanted, memory_order_relaxed) ||
		!atomic_load_explicit(&dir->retain_when_full, memory_order_relaxed) ||
		atomic_load_explicit(&dir->retiring_cnt, memory_order_acquire) > 0)
		return;
	retire_oldest(app, true);
}

/* A few times a second: at most one segment a partition. */
void
pst_retention_housekeeping(struct pst_appender *app)
{
	struct pst_datadir *dir = app->dir;
	uint64_t cap = atomic_load_explicit(&dir->retain_bytes, memory_order_relaxed);
	for (uint32_t i = 0; i < app->log_cnt; i++) {
		struct pst_log *log = app->logs[i];
		if (may_retire(log) && retire_due(log))
			retire(log, false);
	}
	if (cap > 0 && atomic_load_explicit(&dir->log_bytes, memory_order_relaxed) > cap)
		retire_oldest(app, false);
	else if (cap > 0 || atomic_load_explicit(&dir->retain_when_full, memory_order_relaxed))
		pst_retention_tell(app);
}
