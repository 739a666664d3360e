/* What happens when storage fails. A full disk costs the batches that were not yet durable: the log
 * is cut back to its durable end, synced, and goes on with the next batch. Any other failed write
 * ends the log; a failed sync ends the data directory: what the page cache or the drive then says
 * is worth nothing, so it is never synced again. */
#include <errno.h>

#include "segment/log.h"

/* Whether the cause may pass by itself, and nothing that was acknowledged is in doubt. */
bool
pst_errno_passes(int err)
{
	return err == ENOSPC || err == EDQUOT || err == EFBIG || err == EMFILE || err == ENFILE ||
	       err == ENOMEM;
}

enum pst_append_status
pst_errno_status(int err)
{
	return pst_errno_full(err) ? PST_APPEND_DISK_FULL : PST_APPEND_WRITE_FAILED;
}

/* Everything comes back. Of the segment being written, what begins before in_doubt may be on the
 * disk; the status of the others is given. */
static void
fail_pending(struct pst_log *log, uint64_t in_doubt, enum pst_append_status others)
{
	const struct pst_log_segment *segment = log->old ? log->old : log->cur;
	struct pst_pending *node;
	while ((node = log->pending.first)) {
		bool doubt = node->segment == segment && node->pos < in_doubt;
		log->app->stats.unsynced_bytes -= node->end - node->pos;
		pst_log_finish(log, node, doubt ? PST_APPEND_SYNC_FAILED : others);
	}
}

/* The log has failed: everything comes back; buffers when the disk no longer reads them. What was
 * ever handed to the disk may be found by the next recovery, be it that its write failed. */
void
pst_log_give_up(struct pst_log *log)
{
	fail_pending(log, log->old ? log->old->issued : log->cur->issued, PST_APPEND_WRITE_FAILED);
	pst_retention_give_up(log);
	log->room_wait = false;
	pst_pieces_drop_rests(log, log->old ? log->old : log->cur);
	if (log->write_cnt > 0)
		return;
	pst_pieces_free(log->app, log->cur);
	if (log->old)
		pst_pieces_free(log->app, log->old);
	log->repair = PST_REPAIR_NONE;
	log->next_offset = log->durable.next_offset;
	pst_sealing_back(log);
}

void
pst_log_write_failed(struct pst_log *log, int err)
{
	log->app->stats.last_errno = err;
	if (log->failed)
		return;
	pst_dir_give_reserve(log->app->dir, err);
	log->room_wait = false;
	pst_log_activate(log);
	if (log->repair == PST_REPAIR_NONE) {
		log->repair = PST_REPAIR_DRAIN;
		log->fail_errno = err;
		return;
	}
	if (pst_errno_passes(log->fail_errno))
		log->fail_errno = err;
}

/* A sync failed, here or elsewhere in the data directory. */
void
pst_log_sync_failed(struct pst_log *log, int err)
{
	struct pst_appender *app = log->app;
	app->stats.last_errno = err;
	atomic_store_explicit(&app->dir->failed, true, memory_order_relaxed);
	log->failed = true;
	pst_dir_error(app->dir, err);
	pst_log_activate(log);
	pst_log_give_up(log);
}

/* The files of the next segment could not be made. All before is durable and closed. */
void
pst_log_create_failed(struct pst_log *log, int err)
{
	log->app->stats.last_errno = err;
	pst_dir_give_reserve(log->app->dir, err);
	if (!pst_errno_passes(err)) {
		log->failed = true;
		pst_dir_error(log->app->dir, err);
		pst_log_give_up(log);
		return;
	}
	fail_pending(log, 0, pst_errno_status(err));
	pst_pieces_free(log->app, log->cur);
	log->next_offset = log->durable.next_offset;
	pst_sealing_back(log);
	log->cur->end = 0;
	log->cur->first_ns = 0;
}

static void
cut_back(struct pst_log *log)
{
	struct pst_disk *disk = log->app->disk;
	struct pst_log_segment *writing = log->old ? log->old : log->cur;
	pst_pieces_drop_rests(log, writing);
	if (log->write_cnt > 0 || log->syncing)
		return;
	int rc = 0;
	if (!pst_errno_passes(log->fail_errno) ||
		(rc = disk->ops->truncate(disk, writing->file, log->durable.segment_bytes)) < 0) {
		if (rc < 0)
			log->app->stats.last_errno = -rc;
		log->failed = true;
		pst_dir_error(log->app->dir, rc < 0 ? -rc : log->fail_errno);
		pst_log_give_up(log);
		return;
	}
	log->repair = PST_REPAIR_CUT;
}

/* After a failed write: waits for what is in flight, cuts back, syncs the cut. Without that sync a
 * batch reported as not stored could come back after a power loss. */
void
pst_repair_drive(struct pst_log *log)
{
	struct pst_appender *app = log->app;
	if (log->repair == PST_REPAIR_DRAIN)
		cut_back(log);
	if (log->repair != PST_REPAIR_CUT)
		return;
	struct pst_log_segment *writing = log->old ? log->old : log->cur;
	if (app->disk->ops->queue_sync(app->queue, writing->file, false, &log->sync_io) != 0)
		return;
	log->syncing = true;
	log->repair = PST_REPAIR_SYNC;
}

void
pst_repair_synced(struct pst_log *log, int64_t result)
{
	if (result < 0) {
		pst_log_sync_failed(log, (int)-result);
		return;
	}
	log->app->stats.sync_cnt++;
	if (log->failed)
		return;
	fail_pending(log, 0, pst_errno_status(log->fail_errno));
	if (log->old)
		pst_roll_abandon(log);
	struct pst_log_segment *segment = log->cur;
	pst_pieces_free(log->app, segment);
	segment->end = segment->want = log->durable.segment_bytes;
	segment->issued = segment->allocated = segment->end;
	if (segment->end == 0)
		segment->first_ns = 0;
	log->next_offset = log->durable.next_offset;
	pst_sealing_back(log);
	log->flush_again = false;
	log->repair = PST_REPAIR_NONE;
}
