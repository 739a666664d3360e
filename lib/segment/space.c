/* What happens when the disk is full.
 *
 *   free ──────────────────────────────▶ full ──────────────────────────────▶ free
 *        a write finds no space; the           the control thread finds room
 *        reserve is given back, for            for twice the reserve, and
 *        indexes, seals and markers            takes it again
 *
 * While the disk is full no new data is written. With retain_when_full the oldest closed segments
 * are removed first: a log whose write found no space keeps its pieces and waits for the room that
 * such a removal makes, and only when there is none left to remove is the disk full.
 *
 * Without a reserve there is no such state: each write finds out for itself. */
#include <errno.h>
#include <string.h>

#include "segment/log.h"

#define RESERVE_NAME "penstock.reserve"

bool
pst_errno_full(int err)
{
	return err == ENOSPC || err == EDQUOT;
}

/* Takes the reserve if there is room for it and as much again. */
static int
take_reserve(struct pst_datadir *dir)
{
	const struct pst_disk_ops *ops = dir->disk->ops;
	uint64_t bytes = dir->reserve_bytes, space_bytes, free_bytes;
	/* Asked first: a try that fails takes for a moment what there is. */
	pst_datadir_space(dir, &space_bytes, &free_bytes);
	if (space_bytes > 0 && free_bytes < 2 * bytes)
		return -ENOSPC;
	/* The size first: what lies behind it would not be kept on every filesystem. */
	int rc = ops->truncate(dir->disk, dir->reserve_file, 2 * bytes);
	if (rc == 0)
		rc = ops->allocate(dir->disk, dir->reserve_file, 0, 2 * bytes);
	if (rc == 0)
		rc = ops->truncate(dir->disk, dir->reserve_file, bytes);
	if (rc < 0)
		ops->truncate(dir->disk, dir->reserve_file, 0);
	return rc;
}

int
pst_dir_open_reserve(struct pst_datadir *dir)
{
	const struct pst_disk_ops *ops = dir->disk->ops;
	dir->reserve_file = ops->open(
		dir->disk, dir->fd, RESERVE_NAME, PST_DISK_WRITE | PST_DISK_CREATE);
	/* What an earlier run left is for the recovery of this one. */
	return dir->reserve_file < 0 ? dir->reserve_file
				     : ops->truncate(dir->disk, dir->reserve_file, 0);
}

void
pst_dir_close_reserve(struct pst_datadir *dir)
{
	if (dir->reserve_file >= 0)
		dir->disk->ops->close(dir->disk, dir->reserve_file);
}

int
pst_datadir_when_full(struct pst_datadir *dir, uint64_t reserve_bytes, bool retain)
{
	atomic_store_explicit(&dir->retain_when_full, retain, memory_order_relaxed);
	dir->reserve_bytes = reserve_bytes;
	if (reserve_bytes == 0)
		return 0;
	int rc = take_reserve(dir);
	if (rc < 0 && !pst_errno_full(-rc)) {
		dir->reserve_bytes = 0;
		return rc;
	}
	atomic_store_explicit(&dir->reserved, rc == 0, memory_order_relaxed);
	atomic_store_explicit(&dir->full, rc < 0, memory_order_relaxed);
	return 0;
}

bool
pst_datadir_watch_space(struct pst_datadir *dir)
{
	if (!atomic_load_explicit(&dir->full, memory_order_relaxed))
		return false;
	int rc = take_reserve(dir);
	if (rc < 0) {
		atomic_store_explicit(&dir->room_wanted, true, memory_order_relaxed);
		return true;
	}
	/* In this order: whoever finds the disk full again must find something to give back. */
	atomic_store_explicit(&dir->reserved, true, memory_order_release);
	atomic_store_explicit(&dir->full, false, memory_order_release);
	atomic_store_explicit(&dir->room_wanted, false, memory_order_relaxed);
	return false;
}

void
pst_datadir_fullness(const struct pst_datadir *dir, struct pst_fullness *out)
{
	*out = (struct pst_fullness){
		.full = atomic_load_explicit(&dir->full, memory_order_relaxed),
		.full_cnt = atomic_load_explicit(&dir->full_cnt, memory_order_relaxed),
		.retired_segment_cnt = atomic_load_explicit(
			&dir->full_retired_segment_cnt, memory_order_relaxed),
		.retired_bytes = atomic_load_explicit(
			&dir->full_retired_bytes, memory_order_relaxed),
	};
}

/* Any thread: a write of err found no space. True: there is some now, try again. */
bool
pst_dir_give_reserve(struct pst_datadir *dir, int err)
{
	if (!pst_errno_full(err))
		return false;
	if (!atomic_exchange_explicit(&dir->reserved, false, memory_order_acq_rel))
		return false;
	atomic_store_explicit(&dir->full, true, memory_order_relaxed);
	atomic_fetch_add_explicit(&dir->full_cnt, 1, memory_order_relaxed);
	return dir->disk->ops->truncate(dir->disk, dir->reserve_file, 0) == 0;
}

/* ---- room by removing what is oldest ---- */

static bool
room_being_made(const struct pst_datadir *dir)
{
	return atomic_load_explicit(&dir->retiring_cnt, memory_order_acquire) > 0;
}

/* Whether something closed is left that may go, now or as soon as a checkpoint has passed it, or is
 * going. */
static bool
room_possible(struct pst_appender *app)
{
	const struct pst_datadir *dir = app->dir;
	if (!atomic_load_explicit(&dir->retain_when_full, memory_order_relaxed))
		return false;
	pst_retention_tell(app);
	for (unsigned i = 0; i < PST_APPENDERS_MAX; i++) {
		const struct pst_dir_oldest *its = &dir->oldest[i];
		/* Pairs with the release in find_oldest. */
		if (atomic_load_explicit(&its->max_ts_ms, memory_order_acquire) != INT64_MAX ||
			atomic_load_explicit(&its->due_ns, memory_order_relaxed) > app->now_ns)
			return true;
	}
	return room_being_made(dir);
}

/* One removal at a time: what is under way may be enough. */
static void
want_room(struct pst_datadir *dir)
{
	if (!room_being_made(dir))
		atomic_store_explicit(&dir->room_wanted, true, memory_order_relaxed);
}

bool
pst_room_none(const struct pst_log *log)
{
	const struct pst_datadir *dir = log->app->dir;
	return !log->uses_reserve && atomic_load_explicit(&dir->full, memory_order_relaxed) &&
	       !room_possible(log->app);
}

bool
pst_room_wait(struct pst_log *log, int err)
{
	struct pst_datadir *dir = log->app->dir;
	if (!pst_errno_full(err) || log->failed || log->repair != PST_REPAIR_NONE)
		return false;
	if (!log->room_wait) {
		/* Before the question whether there is any: a removal that ends now is seen. */
		log->room_seen = atomic_load_explicit(&dir->room_made, memory_order_acquire);
		if (!room_possible(log->app))
			return false;
		log->room_wait = true;
		pst_log_activate(log);
	}
	want_room(dir);
	return true;
}

bool
pst_room_came(struct pst_log *log, bool *none)
{
	struct pst_datadir *dir = log->app->dir;
	bool possible = room_possible(log->app);
	*none = false;
	if (atomic_load_explicit(&dir->room_made, memory_order_acquire) != log->room_seen) {
		log->room_wait = false;
		return true;
	}
	if (!possible) {
		log->room_wait = false;
		*none = true;
		/* What is closed from now on is not to go for it. */
		atomic_store_explicit(&dir->room_wanted, false, memory_order_relaxed);
		return false;
	}
	want_room(dir);
	return false;
}
