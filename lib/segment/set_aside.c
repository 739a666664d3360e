/* Damaged bytes are kept, under a name that nobody reads: "<base>.log.damaged-<position>-<crc>".
 * The name follows from the content, so that a recovery that was interrupted and begins again
 * writes the same file again, and no other. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "segment/recovery/recovery.h"

#define COPY_BYTES (256 * 1024)

/* CRC of the file from pos to its end at bytes; also copies to a file if copy >= 0. */
static int
pass(struct pst_disk *disk, int file, uint64_t pos, uint64_t bytes, int copy, uint32_t *crc)
{
	uint8_t *buf = malloc(COPY_BYTES);
	if (!buf)
		return -ENOMEM;
	int rc = 0;
	*crc = 0;
	for (uint64_t at = pos; rc == 0 && at < bytes;) {
		int64_t n = disk->ops->read(
			disk, file, buf, pst_min_u64(COPY_BYTES, bytes - at), at);
		if (n <= 0) {
			rc = n < 0 ? (int)n : -EIO;
			break;
		}
		*crc = pst_batch_crc32c(*crc, buf, (size_t)n);
		if (copy >= 0)
			rc = disk->ops->write(disk, copy, buf, (uint64_t)n, at - pos);
		at += (uint64_t)n;
	}
	free(buf);
	return rc;
}

int
pst_set_aside_possible(struct pst_disk *disk, int file, uint64_t pos, uint64_t bytes)
{
	uint32_t crc;
	return pass(disk, file, pos, bytes, -1, &crc);
}

static void
damaged_name(char name[PST_SEGMENT_NAME_BYTES], int64_t base, uint64_t pos, uint32_t crc)
{
	char log[PST_SEGMENT_NAME_BYTES];
	pst_segment_name(log, base, PST_SEGMENT_LOG);
	snprintf(name, PST_SEGMENT_NAME_BYTES, "%.24s.damaged-%llu-%08x", log,
		(unsigned long long)pos, crc);
}

int
pst_set_aside_tail(struct pst_disk *disk, int dir, int64_t base, int file, uint64_t pos,
	uint64_t bytes, char name[PST_SEGMENT_NAME_BYTES])
{
	char tmp[PST_SEGMENT_NAME_BYTES];
	uint32_t crc;
	damaged_name(name, base, pos, 0);
	PST_ASSERT((size_t)snprintf(tmp, sizeof(tmp), "%.59s.tmp", name) < sizeof(tmp));
	int copy = disk->ops->open(disk, dir, tmp, PST_DISK_WRITE | PST_DISK_CREATE);
	if (copy < 0)
		return copy;
	int rc = disk->ops->truncate(disk, copy, 0);
	if (rc == 0)
		rc = pass(disk, file, pos, bytes, copy, &crc);
	if (rc == 0)
		rc = disk->ops->sync(disk, copy);
	disk->ops->close(disk, copy);
	if (rc == 0) {
		damaged_name(name, base, pos, crc);
		rc = disk->ops->rename(disk, dir, tmp, name);
	} else {
		disk->ops->unlink(disk, dir, tmp);
	}
	/* On disk under its new name before it is cut off under the old one. */
	return rc < 0 ? rc : disk->ops->sync(disk, dir);
}

int
pst_set_aside_all(struct pst_disk *disk, int dir, int64_t base, int file, uint64_t bytes,
	char name[PST_SEGMENT_NAME_BYTES])
{
	char log[PST_SEGMENT_NAME_BYTES];
	uint32_t crc;
	int rc = pass(disk, file, 0, bytes, -1, &crc);
	if (rc < 0 && !pst_errno_unreadable(-rc))
		return rc;
	pst_segment_name(log, base, PST_SEGMENT_LOG);
	damaged_name(name, base, 0, crc);
	rc = disk->ops->rename(disk, dir, log, name);
	return rc < 0 ? rc : disk->ops->sync(disk, dir);
}
