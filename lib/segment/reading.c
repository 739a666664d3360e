#include "segment/reading.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "segment/dir.h"

int
pst_reading_open_top(struct pst_disk *disk, const char *data_dir, struct pst_diag *diag)
{
	int top = disk->ops->open(disk, PST_DISK_CWD, data_dir, PST_DISK_DIR);
	if (top == -ELOOP)
		return pst_diag_set(diag, data_dir, 0, NULL, "name the directory that it points to",
			"the data directory is a symbolic link");
	if (top < 0)
		return pst_diag_set(diag, data_dir, 0, NULL,
			top == -EACCES ? "become a member of the directory's group" : NULL,
			"cannot open the data directory: %s", strerror(-top));
	return top;
}

int
pst_reading_open(struct pst_reading *r, struct pst_disk *disk, int top, const char *name)
{
	*r = (struct pst_reading){.disk = disk, .top = top, .live_slot = -1};
	snprintf(r->name, sizeof(r->name), "%s", name);
	int rc = pst_scan_init(&r->scan, disk);
	if (rc < 0)
		return rc;
	r->scan.over_unreadable = true;
	rc = disk->ops->stat(disk, top, &r->top_stat);
	if (rc == 0)
		rc = r->dir = disk->ops->open(disk, top, name, PST_DISK_DIR);
	if (rc < 0)
		pst_scan_fini(&r->scan);
	return rc < 0 ? rc : 0;
}

void
pst_reading_close(struct pst_reading *r)
{
	if (r->live)
		pst_live_unmap(r->live);
	r->disk->ops->close(r->disk, r->dir);
	pst_scan_fini(&r->scan);
	free(r->bases);
}

/* Follows the daemon: each run has its own memory. */
static void
map_live(struct pst_reading *r)
{
	struct pst_disk_stat st;
	long pid;
	int lock = r->disk->ops->open(r->disk, r->top, PST_LOCK_NAME, 0);
	if (lock < 0)
		return;
	uint64_t run_id = pst_lock_read(r->disk, lock, &pid);
	int rc = r->disk->ops->stat(r->disk, lock, &st);
	r->disk->ops->close(r->disk, lock);
	if (r->live && run_id == r->run_id)
		return;
	if (r->live)
		pst_live_unmap(r->live);
	r->live = NULL;
	r->live_slot = -1;
	if (rc < 0 || run_id == 0 || !r->disk->shares_marks)
		return;
	if (pst_live_map(&r->top_stat, st.uid, run_id, &r->live) < 0)
		r->live = NULL;
	r->run_id = run_id;
}

static bool
read_live(struct pst_reading *r, struct pst_durable *end)
{
	map_live(r);
	if (!r->live)
		return false;
	if (r->live_slot < 0)
		r->live_slot = pst_live_find(r->live, r->name);
	return r->live_slot >= 0 && pst_live_read(r->live, (uint32_t)r->live_slot, end, NULL);
}

/* No mark: the log ends where the good batches of the last segment end. */
static int
scan_end(struct pst_reading *r)
{
	struct pst_disk_stat st;
	int rc = pst_reading_list(r);
	if (rc < 0)
		return rc;
	if (r->base_cnt == 0) {
		r->end = (struct pst_durable){0};
		return 0;
	}
	int64_t base = r->bases[r->base_cnt - 1];
	int file = pst_reading_file(r, base, PST_SEGMENT_LOG);
	if (file < 0)
		return file;
	struct pst_segment_scan seg = {.base_offset = base};
	rc = r->disk->ops->stat(r->disk, file, &st);
	/* What was found last time holds as long as nobody changes the file. */
	bool known = r->source == PST_END_SCAN && r->end.segment_base == base &&
		     r->scanned_bytes == st.bytes && st.bytes > 0;
	if (rc == 0 && !known) {
		pst_scan_start(&r->scan, file, 0, st.bytes);
		pst_segment_scan_begin(&seg);
		rc = pst_segment_scan_run(&seg, &r->scan);
		if (rc == 0 && seg.result == PST_SCAN_IO && !pst_errno_unreadable(-seg.error))
			rc = seg.error;
		if (rc == 0) {
			r->end = (struct pst_durable){seg.next_offset, base, seg.good_bytes};
			r->scanned_bytes = st.bytes;
		}
	}
	r->disk->ops->close(r->disk, file);
	pst_segment_scan_fini(&seg);
	return rc;
}

int
pst_reading_refresh(struct pst_reading *r)
{
	struct pst_mark mark;
	struct pst_durable end;
	if (read_live(r, &end)) {
		r->end = end;
		r->source = PST_END_LIVE;
		return 0;
	}
	int rc = pst_durable_lookup(r->disk, r->top, r->name, &mark);
	if (rc == 0) {
		/* Marks only grow; a daemon that came and went may have been read live. */
		if (mark.end.next_offset >= r->end.next_offset)
			r->end = mark.end;
		r->source = mark.clean ? PST_END_CLEAN : PST_END_MARK;
		return 0;
	}
	if (rc != -ENOENT && rc != -EBADMSG && rc != -ESRCH)
		return rc;
	rc = scan_end(r);
	r->source = PST_END_SCAN;
	return rc;
}

static int
visit(void *arg, const char *name)
{
	struct pst_reading *r = arg;
	int64_t base;
	enum pst_segment_file kind;
	if (!pst_segment_name_parse(name, &base, &kind) || kind != PST_SEGMENT_LOG)
		return 0;
	if (r->base_cnt == r->base_cap) {
		uint32_t cap = r->base_cap ? r->base_cap * 2 : 64;
		int64_t *grown = realloc(r->bases, cap * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		r->bases = grown;
		r->base_cap = cap;
	}
	r->bases[r->base_cnt++] = base;
	return 0;
}

static int
by_value(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

int
pst_reading_list(struct pst_reading *r)
{
	r->base_cnt = 0;
	int rc = r->disk->ops->list(r->disk, r->dir, visit, r);
	if (rc == 0 && r->base_cnt > 0)
		qsort(r->bases, r->base_cnt, sizeof(*r->bases), by_value);
	return rc;
}

int
pst_reading_segment_of(const struct pst_reading *r, int64_t offset)
{
	int low = -1, high = (int)r->base_cnt;
	while (high - low > 1) {
		int mid = low + (high - low) / 2;
		if (r->bases[mid] <= offset)
			low = mid;
		else
			high = mid;
	}
	return low;
}

int
pst_reading_file(const struct pst_reading *r, int64_t base, enum pst_segment_file kind)
{
	char name[PST_SEGMENT_NAME_BYTES];
	pst_segment_name(name, base, kind);
	return r->disk->ops->open(r->disk, r->dir, name, 0);
}

int
pst_reading_limit(const struct pst_reading *r, int64_t base, int file, uint64_t *limit)
{
	struct pst_disk_stat st;
	if (base > r->end.segment_base) {
		*limit = 0;
		return 0;
	}
	int rc = r->disk->ops->stat(r->disk, file, &st);
	if (rc < 0)
		return rc;
	*limit = st.bytes;
	if (base == r->end.segment_base && r->end.segment_bytes < st.bytes)
		*limit = r->end.segment_bytes;
	return 0;
}
