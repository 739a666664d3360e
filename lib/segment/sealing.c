/* The hash chain of a log being written. Batches are hashed as they are taken, while they are in
 * the cache for the copy; the seal grows with what is durable. As with indexes, a seal that cannot
 * be written is given up, never the log: recovery makes it. */
#include "segment/log.h"

void
pst_sealing_append(struct pst_log *log, struct pst_pending *node, const uint8_t *batch)
{
	if (!log->sealing)
		return;
	pst_link_next(&log->link, batch, node->end - node->pos, &log->link);
	node->link = log->link;
}

/* The batch has become durable. */
void
pst_sealing_publish(struct pst_log *log, const struct pst_pending *node)
{
	if (!log->sealing)
		return;
	log->durable.link = node->link;
	pst_seal_extend(&log->seal, node->end, node->last_offset + 1, &node->link);
}

/* What was pending has failed: the chain goes on from the durable end. */
void
pst_sealing_back(struct pst_log *log)
{
	log->link = log->durable.link;
}

static void
give_up(struct pst_log *log, int err)
{
	struct pst_disk *disk = log->app->disk;
	char name[PST_SEGMENT_NAME_BYTES];
	log->app->stats.last_errno = -err;
	pst_segment_name(name, log->seal.base_offset, PST_SEGMENT_SEAL);
	/* Synced, or a power loss brings back what there was of it. */
	if (disk->ops->unlink(disk, log->dir, name) == 0 && disk->ops->sync(disk, log->dir) < 0)
		atomic_store_explicit(&log->app->dir->failed, true, memory_order_relaxed);
}

/* Makes the file and writes the encoded seal into it: the file, or -errno. */
static int
write_seal(struct pst_log *log, const char *name, size_t len)
{
	struct pst_disk *disk = log->app->disk;
	int file = disk->ops->open(disk, log->dir, name, PST_DISK_WRITE | PST_DISK_CREATE);
	int rc = file < 0 ? file : disk->ops->truncate(disk, file, 0);
	if (rc == 0)
		rc = disk->ops->write(disk, file, log->seal.image, len, 0);
	if (rc < 0 && file >= 0)
		disk->ops->close(disk, file);
	return rc < 0 ? rc : file;
}

/* All of the segment being closed is durable: writes its seal, which is still to be synced. */
void
pst_sealing_complete(struct pst_log *log)
{
	char name[PST_SEGMENT_NAME_BYTES];
	log->seal_file = -1;
	if (!log->sealing)
		return;
	PST_ASSERT(log->seal.bytes == log->old->end);
	log->seal.flags &= ~(uint32_t)PST_SEAL_OPEN;
	size_t len = pst_seal_encode(&log->seal);
	pst_segment_name(name, log->seal.base_offset, PST_SEGMENT_SEAL);
	int file = write_seal(log, name, len);
	if (file < 0 && pst_dir_give_reserve(log->app->dir, -file))
		file = write_seal(log, name, len);
	if (file < 0)
		give_up(log, file);
	else
		log->seal_file = file;
}

/* The roll is done: the new segment's chain starts with the old one's last link. broken: the seal
 * could not be synced. */
void
pst_sealing_end(struct pst_log *log)
{
	if (!log->sealing)
		return;
	if (log->seal_file >= 0)
		log->app->disk->ops->close(log->app->disk, log->seal_file);
	if (log->seal_broken)
		give_up(log, -log->app->stats.last_errno);
	log->seal_file = -1;
	log->seal_broken = false;
	pst_seal_begin(&log->seal, log->name, log->cur->base_offset, &log->durable.link);
}

/* The log is closed in order: its last segment gets a seal of what there is. */
void
pst_sealing_close(struct pst_log *log)
{
	if (!log->sealing || log->seal.bytes == 0)
		return;
	PST_ASSERT(log->seal.bytes == log->durable.segment_bytes);
	log->seal.flags |= PST_SEAL_OPEN;
	int rc = pst_seal_store(&log->seal, log->app->disk, log->dir);
	if (rc < 0 && pst_dir_give_reserve(log->app->dir, -rc))
		rc = pst_seal_store(&log->seal, log->app->disk, log->dir);
	if (rc < 0)
		give_up(log, rc);
}
