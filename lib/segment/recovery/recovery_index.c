#include <errno.h>
#include <string.h>

#include "segment/recovery/recovery.h"
#include "segment/replace.h"

/* Brings one index file to its image, which longer may begin with. 1: it had to be written. */
static int
restore(struct pst_recover *r, int64_t base, enum pst_segment_file kind,
	const struct pst_image *image, const struct pst_image *longer)
{
	struct pst_disk *disk = r->disk;
	char name[PST_SEGMENT_NAME_BYTES];
	pst_segment_name(name, base, kind);
	int file = disk->ops->open(disk, r->log->dir, name, PST_DISK_WRITE);
	if (file < 0 && file != -ENOENT)
		return file;
	int rc = file < 0 ? 0 : pst_image_compare(disk, file, image, false);
	if (rc == 0 && file >= 0)
		rc = pst_image_compare(disk, file, longer, false);
	if (rc < 0 && pst_errno_unreadable(-rc))
		rc = 0; /* written anew, it may come to lie elsewhere */
	if (rc == 0) {
		rc = pst_replace(disk, r->log->dir, name, image->data, image->len);
		if (rc == 0) {
			struct pst_recovery_item item = {
				.kind = PST_RECOVERY_INDEX_REBUILT, .segment_base = base};
			strcpy(item.file, name);
			pst_recover_item(r, &item);
			rc = 1;
		}
	} else if (rc == 1) {
		/* The same size, but what was reserved behind it; and what reads back may not be on
		 * the drive yet. */
		rc = disk->ops->truncate(disk, file, image->len);
		if (rc == 0)
			rc = disk->ops->sync(disk, file);
	}
	if (file >= 0)
		disk->ops->close(disk, file);
	return rc;
}

int
pst_recover_indexes(struct pst_recover *r, struct pst_found_segment *segment, bool final)
{
	struct pst_index_state state = r->seg.index;
	struct pst_time_entry last;
	struct pst_image image = r->seg.time_image;
	if (pst_index_end(&state, &last) &&
		pst_image_add(&r->seg.time_image, &last, sizeof(last)) < 0)
		return -ENOMEM;
	struct pst_image longer = r->seg.time_image;
	r->seg.time_image.len = image.len;
	image.data = longer.data;
	int rc = restore(r, segment->base_offset, PST_SEGMENT_INDEX, &r->seg.index_image,
		&r->seg.index_image);
	int rc2 = rc < 0 ? rc
			 : restore(r, segment->base_offset, PST_SEGMENT_TIMEINDEX,
				   final ? &longer : &image, &longer);
	if (rc2 < 0)
		return rc2;
	r->report->index_rebuilt_cnt += (uint32_t)(rc + rc2);
	return 0;
}

int
pst_recover_closed_indexes(struct pst_recover *r, uint32_t i)
{
	struct pst_found_segment *segment = &r->segments[i];
	static const uint64_t entry_bytes[PST_SEGMENT_FILE_CNT] = {
		[PST_SEGMENT_INDEX] = sizeof(struct pst_index_entry),
		[PST_SEGMENT_TIMEINDEX] = sizeof(struct pst_time_entry),
	};
	struct pst_disk *disk = r->disk;
	bool good = true;
	if (segment->error) {
		pst_recover_unreadable(r, i, 0);
		return 0;
	}
	for (int f = PST_SEGMENT_INDEX; f <= PST_SEGMENT_TIMEINDEX; f++) {
		struct pst_disk_stat st;
		char name[PST_SEGMENT_NAME_BYTES];
		pst_segment_name(name, segment->base_offset, (enum pst_segment_file)f);
		int file = segment->has[f] ? disk->ops->open(disk, r->log->dir, name, 0) : -ENOENT;
		if (file < 0) {
			good = false;
			continue;
		}
		/* A segment with events has a .timeindex entry at least; it may have no other. */
		if (disk->ops->stat(disk, file, &st) < 0 || st.bytes % entry_bytes[f] != 0 ||
			(f == PST_SEGMENT_TIMEINDEX && st.bytes == 0 && segment->bytes > 0))
			good = false;
		disk->ops->close(disk, file);
	}
	if (good)
		return 0;
	char name[PST_SEGMENT_NAME_BYTES];
	pst_segment_name(name, segment->base_offset, PST_SEGMENT_LOG);
	int file = disk->ops->open(disk, r->log->dir, name, 0);
	if (file < 0 && pst_errno_unreadable(-file)) {
		pst_recover_unreadable(r, i, 0);
		return 0;
	}
	if (file < 0)
		return file;
	atomic_fetch_add_explicit(&r->progress->total_bytes, segment->bytes, memory_order_relaxed);
	pst_scan_start(&r->scan, file, 0, segment->bytes);
	r->seg.base_offset = segment->base_offset;
	r->seg.whole_from = UINT64_MAX;
	r->seg.each = NULL;
	pst_segment_scan_begin(&r->seg);
	int rc = pst_segment_scan_run(&r->seg, &r->scan);
	disk->ops->close(disk, file);
	if (rc == 0 && r->seg.result == PST_SCAN_IO)
		rc = r->seg.error;
	if (rc < 0 && pst_errno_unreadable(-rc)) {
		pst_recover_unreadable(r, i, r->seg.good_bytes);
		return 0;
	}
	if (rc == 0)
		rc = pst_recover_indexes(r, segment, true);
	return rc;
}
