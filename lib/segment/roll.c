/* From one segment to the next: the old one is complete on disk before the new one exists, and the
 * new one's name is on disk before it is written. So only the last segment can be torn. */
#include <errno.h>
#include <stdlib.h>

#include "segment/log.h"

static bool
age_due(const struct pst_log *log)
{
	const struct pst_log_segment *segment = log->cur;
	return log->segment_age_max_ns && segment->first_ns &&
	       log->app->now_ns >= segment->first_ns &&
	       log->app->now_ns - segment->first_ns >= log->segment_age_max_ns;
}

/* Whether the batch, or with NULL the time, calls for the next segment. */
bool
pst_roll_due(const struct pst_log *log, const struct pst_batch_info *info)
{
	const struct pst_log_segment *segment = log->cur;
	if (segment->end == 0)
		return false;
	if (age_due(log))
		return true;
	if (!info)
		return false;
	int64_t last = log->next_offset + (int64_t)info->last_offset_delta;
	return segment->end + info->total_bytes > log->segment_bytes_max ||
	       last - segment->base_offset > PST_SEGMENT_OFFSETS_MAX;
}

/* Room in the list for one more closed segment. */
bool
pst_closed_reserve(struct pst_log *log)
{
	if (log->closed_first > 0 && log->closed_first >= log->closed_cnt / 2) {
		memmove(log->closed, log->closed + log->closed_first,
			(log->closed_cnt - log->closed_first) * sizeof(*log->closed));
		log->closed_cnt -= log->closed_first;
		log->closed_first = 0;
	}
	if (log->closed_cnt < log->closed_cap)
		return true;
	uint32_t cap = log->closed_cap ? log->closed_cap * 2 : 64;
	struct pst_closed_segment *grown = realloc(log->closed, cap * sizeof(*grown));
	if (!grown) {
		log->app->stats.last_errno = ENOMEM;
		return false;
	}
	log->closed = grown;
	log->closed_cap = cap;
	return true;
}

void
pst_closed_add(struct pst_log *log, int64_t base_offset, uint64_t bytes, int64_t max_ts_ms)
{
	PST_ASSERT(log->closed_cnt < log->closed_cap);
	log->closed[log->closed_cnt++] = (struct pst_closed_segment){base_offset, bytes, max_ts_ms};
	log->closed_bytes += bytes;
}

void
pst_roll_begin(struct pst_log *log)
{
	PST_ASSERT(!log->old);
	log->old = log->cur;
	log->cur = log->cur == &log->segments[0] ? &log->segments[1] : &log->segments[0];
	memset(log->cur, 0, sizeof(*log->cur));
	log->cur->base_offset = log->next_offset;
	log->old->want = log->old->end;
	log->roll = PST_ROLL_WRITE;
	log->index_queued_cnt = 0;
	log->create_failed = false;
	pst_log_activate(log);
}

/* Back to before pst_roll_begin: the old segment's end could not be written. Pending batches of the
 * new one are failed by the caller. */
void
pst_roll_abandon(struct pst_log *log)
{
	PST_ASSERT(log->roll == PST_ROLL_WRITE);
	pst_pieces_free(log->app, log->cur);
	log->cur = log->old;
	log->old = NULL;
	log->roll = PST_ROLL_NONE;
}

int
pst_segment_open_log(struct pst_log *log, int64_t base_offset, unsigned flags)
{
	struct pst_disk *disk = log->app->disk;
	char name[PST_SEGMENT_NAME_BYTES];
	pst_segment_name(name, base_offset, PST_SEGMENT_LOG);
	unsigned direct = log->app->stats.direct ? PST_DISK_DIRECT : 0;
	return disk->ops->open(disk, log->dir, name, flags | PST_DISK_WRITE | direct);
}

/* Makes the files of an empty segment; their names are not synced. 0 or -errno. */
int
pst_segment_create(struct pst_log *log, struct pst_log_segment *segment)
{
	struct pst_disk *disk = log->app->disk;
	struct pst_disk_stat st;
	segment->file = pst_segment_open_log(log, segment->base_offset, PST_DISK_CREATE);
	if (segment->file < 0)
		return segment->file;
	/* An earlier try may have left it, empty; bytes in it were nobody's. */
	int rc = disk->ops->stat(disk, segment->file, &st);
	if (rc == 0 && st.bytes > 0)
		rc = -EEXIST;
	if (rc == 0)
		rc = pst_index_create(log, segment);
	if (rc < 0) {
		disk->ops->close(disk, segment->file);
		return rc;
	}
	segment->open = true;
	return 0;
}

static void
write_old(struct pst_log *log)
{
	struct pst_appender *app = log->app;
	struct pst_log_segment *old = log->old;
	pst_pieces_write(log, old);
	if (log->syncing || pst_pieces_written(old) < old->end)
		return;
	int rc = app->disk->ops->truncate(app->disk, old->file, old->end);
	if (rc < 0) {
		pst_log_sync_failed(log, -rc);
		return;
	}
	if (app->disk->ops->queue_sync(app->queue, old->file, false, &log->sync_io) != 0)
		return;
	pst_pieces_free(app, old);
	log->syncing = true;
	log->sync_end = old->end;
	log->roll = PST_ROLL_SYNC;
}

/* Completes the old segment's indexes and its seal and has them synced; that goes on beside the new
 * segment's creation. */
static void
sync_indexes(struct pst_log *log)
{
	struct pst_appender *app = log->app;
	if (log->index_queued_cnt == 0) {
		if (log->seal_file < 0)
			pst_sealing_complete(log);
		pst_index_complete(log, log->old);
	}
	for (; log->index_queued_cnt < 2; log->index_queued_cnt++) {
		struct pst_index_file *f = log->index_queued_cnt == 0 ? &log->old->index
								      : &log->old->timeindex;
		if (f->broken)
			continue;
		if (app->disk->ops->queue_sync(app->queue, f->file, false, &log->index_io) != 0)
			return;
		log->index_sync_cnt++;
	}
	if (log->seal_file >= 0) {
		if (app->disk->ops->queue_sync(app->queue, log->seal_file, false, &log->seal_io) !=
			0)
			return;
		log->index_sync_cnt++;
	}
	log->roll = PST_ROLL_CREATE;
}

void
pst_roll_seal_synced(struct pst_log *log, int64_t result)
{
	log->index_sync_cnt--;
	if (result < 0) {
		log->app->stats.last_errno = (int)-result;
		log->seal_broken = true;
	}
}

void
pst_roll_index_synced(struct pst_log *log, int64_t result)
{
	log->index_sync_cnt--;
	if (result < 0) {
		log->app->stats.last_errno = (int)-result;
		log->old->index.broken = log->old->timeindex.broken = true;
	}
}

static void
create_new(struct pst_log *log)
{
	if (log->room_wait || (log->create_failed && log->cur->end == 0))
		return;
	PST_ASSERT(log->cur->base_offset == log->durable.next_offset);
	int rc = pst_segment_create(log, log->cur);
	if (rc < 0 && pst_dir_give_reserve(log->app->dir, -rc))
		rc = pst_segment_create(log, log->cur);
	if (rc == 0) {
		log->create_failed = false;
		log->roll = PST_ROLL_DIR;
		return;
	}
	if (pst_room_wait(log, -rc))
		return;
	log->create_failed = true;
	pst_log_create_failed(log, -rc);
}

static void
sync_new(struct pst_log *log)
{
	struct pst_appender *app = log->app;
	if (log->dir_syncing ||
		app->disk->ops->queue_sync(app->queue, log->dir, false, &log->dir_io) != 0)
		return;
	log->dir_syncing = true;
	log->roll = PST_ROLL_DIR_SYNC;
}

/* The directory's sync, ours or retention's. */
void
pst_roll_dir_synced(struct pst_log *log, int64_t result)
{
	log->dir_syncing = false;
	if (result < 0) {
		pst_log_sync_failed(log, (int)-result);
		return;
	}
	if (log->failed)
		return;
	pst_retention_dir_synced(log);
	if (log->roll != PST_ROLL_DIR_SYNC)
		return;
	log->roll = PST_ROLL_END;
}

/* The old segment is closed, the new one can be written. The mark moves on only now: recovery takes
 * the indexes of segments before it for complete. */
static void
end(struct pst_log *log)
{
	struct pst_log_segment *old = log->old;
	if (log->index_sync_cnt > 0)
		return;
	if (pst_index_remove_broken(log, old)) {
		log->roll = PST_ROLL_DIR; /* once more */
		return;
	}
	pst_index_close(log, old);
	log->app->disk->ops->close(log->app->disk, old->file);
	old->open = false;
	pst_closed_add(log, old->base_offset, old->end, old->index_state.best_ts_ms);
	log->closed_ns = log->app->now_ns;
	log->durable = (struct pst_durable){
		.next_offset = log->cur->base_offset,
		.segment_base = log->cur->base_offset,
		.linked = log->durable.linked,
		.first = log->durable.link,
		.link = log->durable.link,
	};
	pst_sealing_end(log);
	log->old = NULL;
	log->roll = PST_ROLL_NONE;
	pst_log_publish(log);
	pst_retention_tell(log->app);
	atomic_store_explicit(&log->app->dir->checkpoint_wanted, true, memory_order_relaxed);
}

void
pst_roll_drive(struct pst_log *log)
{
	switch (log->roll) {
	case PST_ROLL_WRITE:
		write_old(log);
		break;
	case PST_ROLL_INDEX:
		sync_indexes(log);
		break;
	case PST_ROLL_CREATE:
		create_new(log);
		break;
	case PST_ROLL_DIR:
		sync_new(log);
		break;
	case PST_ROLL_END:
		end(log);
		break;
	case PST_ROLL_NONE:
	case PST_ROLL_SYNC:
	case PST_ROLL_DIR_SYNC:
		break;
	}
}
