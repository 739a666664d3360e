/* An orderly end of a log: after it nothing needs to be scanned or mended. */
#include <errno.h>

#include "segment/log.h"

static int
close_segment(struct pst_log *log, struct pst_log_segment *segment, struct pst_mark *mark)
{
	struct pst_disk *disk = log->app->disk;
	PST_ASSERT(segment->end == log->durable.segment_bytes);
	/* The next start goes on from here: before the entry that closing adds, as if the segment
	 * had never been closed. */
	pst_index_flush(log, segment);
	mark->index = segment->index_state;
	mark->index_cnt = (uint32_t)(segment->index.bytes / sizeof(struct pst_index_entry));
	mark->timeindex_cnt = (uint32_t)(segment->timeindex.bytes / sizeof(struct pst_time_entry));
	pst_index_complete(log, segment);
	int rc = disk->ops->truncate(disk, segment->file, segment->end);
	if (rc == 0)
		rc = disk->ops->sync(disk, segment->file);
	struct pst_index_file *indexes[2] = {&segment->index, &segment->timeindex};
	bool complete = rc == 0;
	for (int i = 0; i < 2; i++) {
		if (!indexes[i]->broken && disk->ops->sync(disk, indexes[i]->file) < 0)
			indexes[i]->broken = true;
		complete = complete && !indexes[i]->broken;
	}
	mark->clean = complete;
	if (rc == 0)
		pst_sealing_close(log);
	return rc;
}

/* Closes files without a claim to anything. */
void
pst_log_close_files(struct pst_log *log)
{
	if (log->seal_file >= 0)
		log->app->disk->ops->close(log->app->disk, log->seal_file);
	log->seal_file = -1;
	for (int i = 0; i < 2; i++) {
		struct pst_log_segment *segment = &log->segments[i];
		if (!segment->open)
			continue;
		log->app->disk->ops->close(log->app->disk, segment->index.file);
		log->app->disk->ops->close(log->app->disk, segment->timeindex.file);
		log->app->disk->ops->close(log->app->disk, segment->file);
		segment->open = false;
	}
}

/* 0 or -errno. */
int
pst_log_close(struct pst_log *log)
{
	struct pst_datadir *dir = log->app->dir;
	struct pst_mark mark = {.end = log->durable};
	int rc = 0;
	bool failed = log->failed || atomic_load_explicit(&dir->failed, memory_order_relaxed);
	bool busy = pst_log_busy(log);
	if (failed)
		rc = log->app->stats.last_errno ? -log->app->stats.last_errno : -EIO;
	else if (busy)
		rc = -EBUSY;
	else if (!log->old)
		rc = close_segment(log, log->cur, &mark);
	/* else the last segment is closed and the next one could not be made: recovery tries. */
	if (log->cur->open && !failed && !busy) {
		pst_index_close(log, log->cur);
		log->app->disk->ops->close(log->app->disk, log->cur->file);
		log->cur->open = false;
	}
	pst_log_close_files(log);
	pst_dir_closed(dir, log->slot, &mark);
	return rc;
}
