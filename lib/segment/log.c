#include "segment/log.h"

#include <errno.h>

void
pst_log_activate(struct pst_log *log)
{
	if (log->active)
		return;
	log->active = true;
	log->next_active = log->app->active;
	log->app->active = log;
}

/* Whether there is something to do or to wait for. */
bool
pst_log_busy(const struct pst_log *log)
{
	if (log->pending.first || log->syncing || log->write_cnt || log->index_sync_cnt ||
		log->dir_syncing || log->retire_queued_cnt > log->retire_ended_cnt)
		return true;
	if (log->failed)
		return false;
	if (log->retire != PST_RETIRE_NONE)
		return true;
	/* A segment that could not be created waits for a batch that needs it. */
	return log->repair != PST_REPAIR_NONE || (log->old && !log->create_failed);
}

static void
list_push(struct pst_pending_list *list, struct pst_pending *node)
{
	node->next = NULL;
	if (list->last)
		list->last->next = node;
	else
		list->first = node;
	list->last = node;
}

/* Hands the first pending batch, which must be node, back with its status. */
void
pst_log_finish(struct pst_log *log, struct pst_pending *node, enum pst_append_status status)
{
	PST_ASSERT(log->pending.first == node);
	log->pending.first = node->next;
	if (!node->next)
		log->pending.last = NULL;
	if (log->unwritten == node)
		log->unwritten = node->next;
	node->status = status;
	log->stats.write_failed_cnt += status == PST_APPEND_WRITE_FAILED;
	log->stats.sync_failed_cnt += status == PST_APPEND_SYNC_FAILED;
	log->stats.disk_full_cnt += status == PST_APPEND_DISK_FULL;
	list_push(&log->app->done, node);
}

static struct pst_pending *
node_take(struct pst_log *log, void *cookie)
{
	struct pst_pending *node = log->app->free_pending;
	log->app->free_pending = node->next;
	*node = (struct pst_pending){.cookie = cookie};
	list_push(&log->pending, node);
	if (!log->unwritten)
		log->unwritten = node;
	return node;
}

/* Refused batches come back when those before them have. */
static void
finish_refused(struct pst_log *log)
{
	struct pst_pending *node;
	while ((node = log->pending.first) && !node->segment)
		pst_log_finish(log, node, node->status);
}

/* A batch that cannot be stored: it comes back behind those before it. */
static int
refuse(struct pst_log *log, void *cookie, enum pst_append_status status)
{
	node_take(log, cookie)->status = status;
	if (log->repair == PST_REPAIR_NONE)
		finish_refused(log);
	return 0;
}

int
pst_log_append(
	struct pst_log *log, const uint8_t *batch, const struct pst_batch_info *info, void *cookie)
{
	struct pst_appender *app = log->app;
	if (!app->free_pending) {
		app->flush_asked = true;
		return -EAGAIN;
	}
	if (!log->failed && atomic_load_explicit(&app->dir->failed, memory_order_relaxed))
		pst_log_sync_failed(log, EIO);
	if (log->failed)
		return refuse(log, cookie, PST_APPEND_WRITE_FAILED);
	if (log->repair != PST_REPAIR_NONE)
		return refuse(log, cookie, pst_errno_status(log->fail_errno));
	if (pst_room_none(log))
		return refuse(log, cookie, PST_APPEND_DISK_FULL);
	bool roll = pst_roll_due(log, info);
	if (roll && (log->old || !pst_closed_reserve(log)))
		return -EAGAIN;
	struct pst_log_segment next = {0};
	if (pst_pieces_needed(roll ? &next : log->cur, info->total_bytes) > app->free_piece_cnt) {
		app->flush_asked = true; /* buffers come back with a flush */
		return -EAGAIN;
	}
	if (roll)
		pst_roll_begin(log);

	struct pst_log_segment *segment = log->cur;
	struct pst_pending *node = node_take(log, cookie);
	node->segment = segment;
	node->pos = segment->end;
	node->end = segment->end + info->total_bytes;
	node->base_offset = log->next_offset;
	node->last_offset = log->next_offset + (int64_t)info->last_offset_delta;
	node->max_ts_ms = info->max_timestamp_ms;
	log->next_offset = node->last_offset + 1;
	if (segment->first_ns == 0)
		segment->first_ns = app->now_ns;
	pst_sealing_append(log, node, batch);
	pst_pieces_fill(log, segment, batch, info->total_bytes);

	if (app->unflushed_bytes == 0)
		app->unflushed_since_ns = app->now_ns;
	app->unflushed_bytes += info->total_bytes;
	app->stats.unsynced_bytes += info->total_bytes;
	pst_log_activate(log);
	return 0;
}

/* Asks for a sync of all that was taken. One flush is under way at a time: what came meanwhile gets
 * the next one. While a roll is going on the new segment waits for its end. */
void
pst_log_flush(struct pst_log *log)
{
	struct pst_log_segment *segment = log->cur;
	if (log->failed)
		return; /* it waits for what is in flight; its pieces are gone */
	if (log->old || log->syncing || segment->want > log->durable.segment_bytes) {
		log->flush_again = true;
		return;
	}
	log->flush_again = false;
	if (segment->end == log->durable.segment_bytes)
		return;
	segment->want = segment->end;
	uint32_t rest = segment->end % PST_BLOCK_BYTES;
	if (rest)
		memcpy(log->flush_block, segment->last->buf + segment->last->used - rest, rest);
}

static void
sync_when_written(struct pst_log *log)
{
	struct pst_log_segment *segment = log->cur;
	if (log->syncing || segment->want <= log->durable.segment_bytes ||
		pst_pieces_written(segment) < segment->want)
		return;
	struct pst_appender *app = log->app;
	if (app->disk->ops->queue_sync(app->queue, segment->file, true, &log->sync_io) != 0)
		return;
	log->syncing = true;
	log->sync_end = segment->want;
}

/* What found no space is tried again when there is some; when there will be none, it has failed. */
static void
drive_room(struct pst_log *log)
{
	bool none;
	if (pst_room_came(log, &none) || !none)
		return;
	if (log->roll == PST_ROLL_CREATE)
		pst_log_create_failed(log, ENOSPC);
	else
		pst_log_write_failed(log, ENOSPC);
}

/* Moves the log on as far as it goes without waiting. */
void
pst_log_drive(struct pst_log *log)
{
	if (log->failed) {
		pst_log_give_up(log);
		return;
	}
	if (atomic_load_explicit(&log->app->dir->failed, memory_order_relaxed)) {
		pst_log_sync_failed(log, EIO);
		return;
	}
	if (log->room_wait)
		drive_room(log);
	if (log->repair != PST_REPAIR_NONE) {
		pst_repair_drive(log);
	} else if (log->old) {
		pst_roll_drive(log);
	} else {
		if (log->flush_again)
			pst_log_flush(log);
		pst_pieces_write(log, log->cur);
		sync_when_written(log);
	}
	if (!log->failed)
		pst_retention_drive(log);
}

/* Says when the batches were written whose bytes are on the disk's side now, without a hole. */
static void
mark_written(struct pst_log *log, const struct pst_log_segment *segment)
{
	uint64_t end = pst_pieces_written(segment);
	struct pst_pending *node;
	while ((node = log->unwritten) &&
		(!node->segment || (node->segment == segment && node->end <= end))) {
		node->written_ns = log->app->now_ns;
		log->unwritten = node->next;
	}
}

void
pst_log_write_done(struct pst_piece *piece, int64_t result)
{
	struct pst_log *log = piece->io.log;
	struct pst_log_segment *segment = log->old ? log->old : log->cur;
	uint64_t left = pst_piece_left(piece);
	if (result == -EAGAIN || result == -EINTR) {
		piece->again = true;
		return;
	}
	if (result >= 0 && (uint64_t)result < left) {
		/* Short: what follows is tried again from the last whole block. */
		uint64_t skip = (uint64_t)result & ~(uint64_t)(PST_BLOCK_BYTES - 1);
		if (skip > 0 && log->repair == PST_REPAIR_NONE && !log->failed) {
			log->app->stats.in_flight_bytes -= skip;
			piece->iov_pos += skip;
			if (skip >= piece->iov[0].iov_len) {
				skip -= piece->iov[0].iov_len;
				piece->iov[0] = piece->iov[1];
				piece->iov_cnt = 1;
			}
			piece->iov[0].iov_base = (uint8_t *)piece->iov[0].iov_base + skip;
			piece->iov[0].iov_len -= skip;
			piece->again = true;
			return;
		}
		result = -ENOSPC;
	}
	if (result < 0 && pst_room_wait(log, (int)-result)) {
		piece->again = true;
		return;
	}
	log->app->stats.in_flight_bytes -= left;
	log->write_cnt--;
	piece->in_flight = false;
	if (result < 0) {
		pst_log_write_failed(log, (int)-result);
		return;
	}
	log->app->stats.write_bytes += piece->issued - piece->done;
	piece->done = piece->issued;
	if (piece->done == PST_PIECE_BYTES)
		pst_piece_remove(log->app, segment, piece);
	mark_written(log, segment);
}

/* Tells the world what is durable now. */
void
pst_log_publish(struct pst_log *log)
{
	pst_live_publish(log->app->dir->live, (uint32_t)log->slot, &log->durable);
}

/* Batches of the segment up to sync_end are durable. */
static void
publish_synced(struct pst_log *log, struct pst_log_segment *segment)
{
	uint64_t before = log->durable.segment_bytes;
	struct pst_pending *node;
	for (;;) {
		/* One may stand between two that were taken. */
		finish_refused(log);
		node = log->pending.first;
		if (!node || node->segment != segment || node->end > log->sync_end)
			break;
		pst_index_publish(log, segment, node);
		pst_sealing_publish(log, node);
		log->durable.next_offset = node->last_offset + 1;
		log->durable.segment_bytes = node->end;
		log->stats.batch_cnt++;
		pst_log_finish(log, node, PST_APPEND_DURABLE);
	}
	PST_ASSERT(log->durable.segment_bytes == log->sync_end);
	uint64_t added = log->durable.segment_bytes - before;
	log->stats.written_bytes += added;
	log->app->stats.unsynced_bytes -= added;
	atomic_fetch_add_explicit(&log->app->dir->log_bytes, added, memory_order_relaxed);
	pst_log_publish(log);
}

void
pst_log_sync_done(struct pst_log *log, int64_t result)
{
	log->syncing = false;
	if (log->repair == PST_REPAIR_SYNC) {
		pst_repair_synced(log, result);
		return;
	}
	/* Another log's sync failed while this one was under way: that this one succeeded says no
	 * more than a sync that is tried again. */
	if (result >= 0 && atomic_load_explicit(&log->app->dir->failed, memory_order_relaxed))
		result = -EIO;
	if (result < 0) {
		pst_log_sync_failed(log, (int)-result);
		return;
	}
	log->app->stats.sync_cnt++;
	if (log->failed)
		return;
	struct pst_log_segment *segment = log->old ? log->old : log->cur;
	publish_synced(log, segment);
	if (log->roll == PST_ROLL_SYNC) {
		log->roll = PST_ROLL_INDEX;
		return;
	}
	uint8_t *block = log->durable_block;
	log->durable_block = log->flush_block;
	log->flush_block = block;
	/* Nothing left: the pool gets its piece back, the block's bytes are kept above. */
	if (segment == log->cur && segment->end == log->durable.segment_bytes)
		pst_pieces_free(log->app, segment);
}
