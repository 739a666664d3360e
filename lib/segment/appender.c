#include "segment/appender.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "segment/log.h"

#define REAP_CNT 64

uint64_t
pst_appender_memory_bytes(uint32_t piece_cnt, uint32_t log_cnt)
{
	if (piece_cnt == 0)
		piece_cnt = PST_PIECE_CNT;
	return (uint64_t)piece_cnt *
		       (PST_PIECE_BYTES + PST_BLOCK_BYTES + sizeof(struct pst_piece)) +
	       (uint64_t)PST_PENDING_CNT * sizeof(struct pst_pending) +
	       (uint64_t)log_cnt *
		       (sizeof(struct pst_log) + 2 * PST_BLOCK_BYTES + 2 * PST_SEAL_FILE_BYTES_MAX);
}

static int
take_memory(struct pst_appender *app)
{
	app->piece_memory_bytes = (uint64_t)app->piece_cnt * (PST_PIECE_BYTES + PST_BLOCK_BYTES);
	void *memory = mmap(NULL, app->piece_memory_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	app->piece_memory = memory;
	app->pieces = calloc(app->piece_cnt, sizeof(*app->pieces));
	app->pending_nodes = calloc(PST_PENDING_CNT, sizeof(*app->pending_nodes));
	if (!app->pieces || !app->pending_nodes)
		return -ENOMEM;
	uint8_t *blocks = app->piece_memory + (uint64_t)app->piece_cnt * PST_PIECE_BYTES;
	for (uint32_t i = app->piece_cnt; i-- > 0;) {
		struct pst_piece *piece = &app->pieces[i];
		piece->buf = app->piece_memory + (uint64_t)i * PST_PIECE_BYTES;
		piece->block = blocks + (uint64_t)i * PST_BLOCK_BYTES;
		piece->next = app->free_pieces;
		app->free_pieces = piece;
	}
	app->free_piece_cnt = app->piece_cnt;
	for (uint32_t i = PST_PENDING_CNT; i-- > 0;) {
		app->pending_nodes[i].next = app->free_pending;
		app->free_pending = &app->pending_nodes[i];
	}
	return 0;
}

static void
free_appender(struct pst_appender *app)
{
	if (app->queue)
		app->disk->ops->queue_close(app->queue);
	if (app->piece_memory)
		munmap(app->piece_memory, app->piece_memory_bytes);
	free(app->pieces);
	free(app->pending_nodes);
	free(app->logs);
	free(app);
}

/* Whether files of this filesystem can be written past the page cache. */
static bool
has_direct(const struct pst_datadir *dir)
{
	int file = dir->disk->ops->open(
		dir->disk, dir->fd, PST_DURABLE_NAME, PST_DISK_WRITE | PST_DISK_DIRECT);
	if (file < 0)
		return false;
	dir->disk->ops->close(dir->disk, file);
	return true;
}

int
pst_appender_create(
	const struct pst_appender_config *config, struct pst_appender **out, struct pst_diag *diag)
{
	struct pst_datadir *dir = config->dir;
	struct pst_appender *app = calloc(1, sizeof(*app));
	if (!app)
		return pst_diag_set(diag, NULL, 0, NULL, NULL, "out of memory");
	app->dir = dir;
	app->disk = dir->disk;
	app->flush_bytes = config->flush_bytes;
	app->flush_age_ns = config->flush_age_ns;
	app->piece_cnt = config->piece_cnt ? config->piece_cnt : PST_PIECE_CNT;
	app->stats.direct = has_direct(dir);
	app->number = atomic_load_explicit(&dir->appender_cnt, memory_order_relaxed);
	if (app->piece_cnt < 2 || app->number >= PST_APPENDERS_MAX) {
		free_appender(app);
		return pst_diag_set(diag, NULL, 0, NULL, NULL,
			"a data directory has at most %d appenders, and an appender at least 2 "
			"buffers",
			PST_APPENDERS_MAX);
	}
	if (take_memory(app) < 0) {
		free_appender(app);
		return pst_diag_set(diag, NULL, 0, NULL, "free some memory",
			"no memory for an appender's buffers (%llu bytes)",
			(unsigned long long)pst_appender_memory_bytes(config->piece_cnt, 0));
	}
	if (app->disk->ops->queue_open(
		    app->disk, PST_QUEUE_DEPTH, dir->lock_file, &app->queue, diag) < 0) {
		app->queue = NULL;
		free_appender(app);
		return -1;
	}
	atomic_fetch_add_explicit(&dir->appender_cnt, 1, memory_order_relaxed);
	*out = app;
	return 0;
}

void
pst_log_free(struct pst_log *log)
{
	if (log->dir >= 0)
		log->app->disk->ops->close(log->app->disk, log->dir);
	free(log->durable_block);
	free(log->flush_block);
	free(log->closed);
	pst_seal_fini(&log->seal);
	free(log);
}

struct pst_log *
pst_log_new(struct pst_appender *app, const struct pst_log_config *config)
{
	struct pst_log *log = calloc(1, sizeof(*log));
	if (!log)
		return NULL;
	log->app = app;
	log->dir = -1;
	log->segment_bytes_max = pst_min_u64(config->segment_bytes_max, PST_SEGMENT_POSITION_MAX);
	log->segment_age_max_ns = config->segment_age_max_ns;
	log->retain_bytes = config->retain_bytes;
	log->retain_age_ns = config->retain_age_ns;
	log->uses_reserve = config->uses_reserve;
	log->cur = &log->segments[0];
	log->sync_io = (struct pst_io){.kind = PST_IO_SYNC, .log = log};
	log->seal_io = (struct pst_io){.kind = PST_IO_SEAL_SYNC, .log = log};
	log->index_io = (struct pst_io){.kind = PST_IO_INDEX_SYNC, .log = log};
	log->dir_io = (struct pst_io){.kind = PST_IO_DIR_SYNC, .log = log};
	log->unlink_io = (struct pst_io){.kind = PST_IO_UNLINK, .log = log};
	log->durable_block = aligned_alloc(PST_BLOCK_BYTES, PST_BLOCK_BYTES);
	log->flush_block = aligned_alloc(PST_BLOCK_BYTES, PST_BLOCK_BYTES);
	pst_log_dir_name(log->name, config->topic, config->partition);
	log->sealing = config->sealed;
	log->seal_file = -1;
	if (!log->durable_block || !log->flush_block || !pst_closed_reserve(log) ||
		(log->sealing && pst_seal_init(&log->seal) < 0)) {
		pst_log_free(log);
		return NULL;
	}
	return log;
}

int
pst_append(struct pst_appender *app, int log_idx, uint8_t *batch, uint32_t len, void *cookie,
	uint64_t now_ns)
{
	struct pst_log *log = app->logs[log_idx];
	struct pst_batch_info info;
	PST_ASSERT(pst_batch_peek(batch, len, &info) == PST_BATCH_OK && info.total_bytes == len);
	app->now_ns = now_ns;
	pst_batch_set_base_offset(batch, log->next_offset, PST_LEADER_EPOCH);
	return pst_log_append(log, batch, &info, cookie);
}

static void
reap(struct pst_appender *app)
{
	struct pst_disk_done done[REAP_CNT];
	unsigned n;
	do {
		n = app->disk->ops->queue_reap(app->queue, done, REAP_CNT);
		for (unsigned i = 0; i < n; i++) {
			struct pst_io *io = done[i].tag;
			switch (io->kind) {
			case PST_IO_WRITE:
				pst_log_write_done(io->piece, done[i].result);
				break;
			case PST_IO_SYNC:
				pst_log_sync_done(io->log, done[i].result);
				break;
			case PST_IO_INDEX_SYNC:
				pst_roll_index_synced(io->log, done[i].result);
				break;
			case PST_IO_SEAL_SYNC:
				pst_roll_seal_synced(io->log, done[i].result);
				break;
			case PST_IO_DIR_SYNC:
				pst_roll_dir_synced(io->log, done[i].result);
				break;
			case PST_IO_UNLINK:
				pst_retention_unlinked(io->log, done[i].result);
				break;
			}
		}
	} while (n == REAP_CNT);
}

/* All logs with unsynced batches sync together. A clock that went back ends the wait. */
static void
flush_turn(struct pst_appender *app)
{
	if (app->unflushed_bytes == 0) {
		app->flush_asked = false;
		return;
	}
	if (!app->flush_asked && app->unflushed_bytes < app->flush_bytes &&
		app->now_ns >= app->unflushed_since_ns &&
		app->now_ns - app->unflushed_since_ns < app->flush_age_ns)
		return;
	for (struct pst_log *log = app->active; log; log = log->next_active)
		pst_log_flush(log);
	app->unflushed_bytes = 0;
	app->flush_asked = false;
}

static void
drive_active(struct pst_appender *app)
{
	struct pst_log **link = &app->active;
	while (*link) {
		struct pst_log *log = *link;
		pst_log_drive(log);
		if (pst_log_busy(log)) {
			link = &log->next_active;
		} else {
			log->active = false;
			*link = log->next_active;
		}
	}
}

static void
housekeeping(struct pst_appender *app)
{
	uint64_t now = app->now_ns;
	if (now >= app->housekeeping_ns && now - app->housekeeping_ns < PST_HOUSEKEEPING_NS)
		return;
	app->housekeeping_ns = now;
	for (uint32_t i = 0; i < app->log_cnt; i++) {
		struct pst_log *log = app->logs[i];
		if (!log->failed && log->repair == PST_REPAIR_NONE && !log->old &&
			pst_roll_due(log, NULL) && pst_closed_reserve(log))
			pst_roll_begin(log);
	}
	pst_retention_housekeeping(app);
}

unsigned
pst_appender_poll(
	struct pst_appender *app, uint64_t now_ns, struct pst_append_done *done, unsigned cap)
{
	app->now_ns = now_ns;
	reap(app);
	housekeeping(app);
	pst_retention_make_room(app);
	flush_turn(app);
	drive_active(app);
	/* What could not be handed over now is, with the next poll. */
	int rc = app->disk->ops->queue_submit(app->queue);
	if (rc < 0 && rc != -EAGAIN)
		app->stats.last_errno = -rc;
	unsigned n = 0;
	while (n < cap && app->done.first) {
		struct pst_pending *node = app->done.first;
		app->done.first = node->next;
		if (!node->next)
			app->done.last = NULL;
		done[n++] = (struct pst_append_done){
			.cookie = node->cookie,
			.status = node->status,
			.base_offset = node->base_offset,
			.written_ns = node->written_ns,
		};
		node->next = app->free_pending;
		app->free_pending = node;
	}
	return n;
}

bool
pst_appender_idle(const struct pst_appender *app)
{
	return !app->active && !app->done.first;
}

void
pst_appender_flush(struct pst_appender *app)
{
	app->flush_asked = true;
}

void
pst_appender_hold_retention(struct pst_appender *app, bool hold)
{
	atomic_store_explicit(&app->hold_retention, hold, memory_order_relaxed);
}

int
pst_appender_destroy(struct pst_appender *app)
{
	int rc = 0;
	/* First what is in flight: of logs that failed, or of a stop that did not wait. */
	app->disk->ops->queue_close(app->queue);
	app->queue = NULL;
	for (uint32_t i = 0; i < app->log_cnt; i++) {
		struct pst_log *log = app->logs[i];
		int err = pst_log_close(log);
		if (rc == 0)
			rc = err;
		pst_log_free(log);
	}
	atomic_store_explicit(&app->dir->oldest[app->number].due_ns, 0, memory_order_relaxed);
	atomic_store_explicit(
		&app->dir->oldest[app->number].max_ts_ms, INT64_MAX, memory_order_relaxed);
	free_appender(app);
	return rc;
}

void
pst_appender_stats(const struct pst_appender *app, struct pst_appender_stats *out)
{
	*out = app->stats;
}

void
pst_log_stats(const struct pst_appender *app, int log_idx, struct pst_log_stats *out)
{
	const struct pst_log *log = app->logs[log_idx];
	/* What is being removed may be gone. */
	uint32_t going_cnt = log->retire_queued_cnt > 0 && log->retire_ended_cnt == 0;
	const struct pst_closed_segment *oldest = &log->closed[log->closed_first];
	uint32_t closed_cnt = log->closed_cnt - log->closed_first - going_cnt;
	*out = log->stats;
	out->next_offset = log->next_offset;
	out->durable_offset = log->durable.next_offset;
	out->start_offset = closed_cnt ? oldest[going_cnt].base_offset : log->durable.segment_base;
	out->segment_cnt = closed_cnt + 1;
	out->log_bytes = log->closed_bytes + log->durable.segment_bytes -
			 (going_cnt ? oldest->bytes : 0);
	out->failed = log->failed;
}
