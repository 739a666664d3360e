/* The index files of a segment being written. They are small and buffered, and can be rebuilt: an
 * index that cannot be written is given up, never the log. */
#include "segment/log.h"

static const enum pst_segment_file kinds[2] = {PST_SEGMENT_INDEX, PST_SEGMENT_TIMEINDEX};

static struct pst_index_file *
index_file(struct pst_log_segment *segment, int i)
{
	return i == 0 ? &segment->index : &segment->timeindex;
}

/* Makes both files, empty. 0 or -errno, nothing then left open. */
int
pst_index_create(struct pst_log *log, struct pst_log_segment *segment)
{
	struct pst_disk *disk = log->app->disk;
	for (int i = 0; i < 2; i++) {
		struct pst_index_file *f = index_file(segment, i);
		char name[PST_SEGMENT_NAME_BYTES];
		pst_segment_name(name, segment->base_offset, kinds[i]);
		f->file = disk->ops->open(disk, log->dir, name, PST_DISK_WRITE | PST_DISK_CREATE);
		int rc = f->file < 0 ? f->file : disk->ops->truncate(disk, f->file, 0);
		if (rc < 0) {
			for (int j = 0; j <= i; j++) {
				if (index_file(segment, j)->file >= 0)
					disk->ops->close(disk, index_file(segment, j)->file);
			}
			return rc;
		}
		f->bytes = 0;
		f->buffered = 0;
		f->broken = f->removed = false;
	}
	pst_index_begin(&segment->index_state, segment->base_offset);
	return 0;
}

static void
flush_file(struct pst_log *log, struct pst_index_file *f)
{
	struct pst_disk *disk = log->app->disk;
	if (f->buffered == 0)
		return;
	if (!f->broken) {
		int rc = disk->ops->write(disk, f->file, f->buf, f->buffered, f->bytes);
		if (rc < 0 && pst_dir_give_reserve(log->app->dir, -rc))
			rc = disk->ops->write(disk, f->file, f->buf, f->buffered, f->bytes);
		if (rc < 0) {
			f->broken = true;
			log->app->stats.last_errno = -rc;
		}
	}
	f->bytes += f->buffered;
	f->buffered = 0;
}

static void
add_entry(struct pst_log *log, struct pst_index_file *f, const void *entry, uint32_t len)
{
	if (f->buffered + len > sizeof(f->buf))
		flush_file(log, f);
	memcpy(f->buf + f->buffered, entry, len);
	f->buffered += len;
}

/* A batch has become durable. Its entries are written when the buffer is full, or the segment is
 * closed: readers start a little earlier until then. */
void
pst_index_publish(
	struct pst_log *log, struct pst_log_segment *segment, const struct pst_pending *batch)
{
	struct pst_index_step step;
	pst_index_batch(
		&segment->index_state, batch->pos, batch->last_offset, batch->max_ts_ms, &step);
	if (step.has_index)
		add_entry(log, &segment->index, &step.index, sizeof(step.index));
	if (step.has_time)
		add_entry(log, &segment->timeindex, &step.time, sizeof(step.time));
}

void
pst_index_flush(struct pst_log *log, struct pst_log_segment *segment)
{
	flush_file(log, &segment->index);
	flush_file(log, &segment->timeindex);
}

/* Adds what closing adds and gives back what was reserved. */
void
pst_index_complete(struct pst_log *log, struct pst_log_segment *segment)
{
	struct pst_disk *disk = log->app->disk;
	struct pst_time_entry last;
	if (pst_index_end(&segment->index_state, &last))
		add_entry(log, &segment->timeindex, &last, sizeof(last));
	pst_index_flush(log, segment);
	for (int i = 0; i < 2; i++) {
		struct pst_index_file *f = index_file(segment, i);
		if (!f->broken && disk->ops->truncate(disk, f->file, f->bytes) < 0)
			f->broken = true;
	}
}

/* Removes broken ones, so that nobody takes them for complete. True: the directory must be synced
 * before a mark says that they are. */
bool
pst_index_remove_broken(struct pst_log *log, struct pst_log_segment *segment)
{
	struct pst_disk *disk = log->app->disk;
	bool removed = false;
	for (int i = 0; i < 2; i++) {
		struct pst_index_file *f = index_file(segment, i);
		if (!f->broken || f->removed)
			continue;
		char name[PST_SEGMENT_NAME_BYTES];
		pst_segment_name(name, segment->base_offset, kinds[i]);
		disk->ops->unlink(disk, log->dir, name);
		f->removed = removed = true;
	}
	return removed;
}

void
pst_index_close(struct pst_log *log, struct pst_log_segment *segment)
{
	struct pst_disk *disk = log->app->disk;
	pst_index_remove_broken(log, segment);
	for (int i = 0; i < 2; i++) {
		disk->ops->close(disk, index_file(segment, i)->file);
		index_file(segment, i)->file = -1;
	}
}
