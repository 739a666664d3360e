#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "segment/recovery/recovery.h"
#include "segment/replace.h"

struct listing {
	struct pst_recover *r;
	char (*tmp)[PST_SEGMENT_NAME_BYTES]; /* unfinished copies */
	uint32_t tmp_cnt;
};

static struct pst_found_segment *
segment_of(struct pst_recover *r, int64_t base)
{
	for (uint32_t i = r->cnt; i-- > 0;) {
		if (r->segments[i].base_offset == base)
			return &r->segments[i];
	}
	if (r->cnt == r->cap) {
		uint32_t cap = r->cap ? r->cap * 2 : 64;
		void *grown = realloc(r->segments, cap * sizeof(*r->segments));
		if (!grown)
			return NULL;
		r->segments = grown;
		r->cap = cap;
	}
	r->segments[r->cnt] = (struct pst_found_segment){.base_offset = base, .max_ts_ms = -1};
	return &r->segments[r->cnt++];
}

static int
visit(void *arg, const char *name)
{
	struct listing *l = arg;
	int64_t base;
	enum pst_segment_file file;
	size_t len = strlen(name);
	bool damaged = pst_segment_name_damaged(name, &base);
	bool unfinished = len > 4 && len < PST_SEGMENT_NAME_BYTES &&
			  strcmp(name + len - 4, ".tmp") == 0;
	if (damaged && base > l->r->aside_base)
		l->r->aside_base = base;
	if (unfinished && (damaged || pst_replace_unfinished(name))) {
		void *grown = realloc(l->tmp, (l->tmp_cnt + 1) * sizeof(*l->tmp));
		if (!grown)
			return -ENOMEM;
		l->tmp = grown;
		strcpy(l->tmp[l->tmp_cnt++], name);
		return 0;
	}
	/* Kafka's other files, and what an operator put here, stay as they are. */
	if (!pst_segment_name_parse(name, &base, &file))
		return 0;
	struct pst_found_segment *segment = segment_of(l->r, base);
	if (!segment)
		return -ENOMEM;
	segment->has[file] = true;
	return 0;
}

static int
by_base(const void *a, const void *b)
{
	const struct pst_found_segment *x = a, *y = b;
	return (x->base_offset > y->base_offset) - (x->base_offset < y->base_offset);
}

static int
remove_leftovers(struct pst_recover *r, const struct listing *l)
{
	struct pst_disk *disk = r->disk;
	int dir = r->log->dir;
	for (uint32_t i = 0; i < l->tmp_cnt; i++) {
		int rc = disk->ops->unlink(disk, dir, l->tmp[i]);
		if (rc < 0)
			return rc;
		r->leftover_cnt++;
	}
	uint32_t kept = 0;
	int64_t oldest = INT64_MAX;
	for (uint32_t i = 0; i < r->cnt; i++) {
		if (r->segments[i].has[PST_SEGMENT_LOG] && r->segments[i].base_offset < oldest)
			oldest = r->segments[i].base_offset;
	}
	for (uint32_t i = 0; i < r->cnt; i++) {
		struct pst_found_segment *segment = &r->segments[i];
		if (segment->has[PST_SEGMENT_LOG]) {
			r->segments[kept++] = *segment;
			continue;
		}
		/* What retention left of a segment is in nobody's way, be it that it stays. */
		bool retired = segment->base_offset < oldest && oldest < INT64_MAX;
		for (int f = PST_SEGMENT_INDEX; f <= PST_SEGMENT_TIMEINDEX; f++) {
			if (!segment->has[f])
				continue;
			char name[PST_SEGMENT_NAME_BYTES];
			pst_segment_name(name, segment->base_offset, (enum pst_segment_file)f);
			int rc = disk->ops->unlink(disk, dir, name);
			if (rc < 0 && !retired)
				return rc;
			r->leftover_cnt += rc == 0;
		}
		if (!segment->has[PST_SEGMENT_SEAL])
			continue;
		/* Behind the oldest it speaks of a log that is lost. */
		int rc = retired ? pst_seal_drop(disk, dir, segment->base_offset)
				 : pst_seal_set_aside(disk, dir, segment->base_offset);
		if (rc < 0 && !retired)
			return rc;
		r->leftover_cnt += rc == 0;
	}
	r->cnt = kept;
	return 0;
}

int
pst_recover_list(struct pst_recover *r)
{
	struct listing l = {.r = r};
	struct pst_disk *disk = r->disk;
	int rc = disk->ops->list(disk, r->log->dir, visit, &l);
	if (rc == 0)
		rc = remove_leftovers(r, &l);
	free(l.tmp);
	if (rc < 0)
		return rc;
	if (r->cnt > 0)
		qsort(r->segments, r->cnt, sizeof(*r->segments), by_base);
	for (uint32_t i = 0; i < r->cnt; i++) {
		struct pst_disk_stat st;
		char name[PST_SEGMENT_NAME_BYTES];
		pst_segment_name(name, r->segments[i].base_offset, PST_SEGMENT_LOG);
		int file = disk->ops->open(disk, r->log->dir, name, 0);
		rc = file < 0 ? file : disk->ops->stat(disk, file, &st);
		if (file >= 0)
			disk->ops->close(disk, file);
		if (rc == 0)
			r->segments[i].bytes = st.bytes;
		else if (pst_errno_unreadable(-rc))
			r->segments[i].error = rc;
		else
			return rc;
	}
	return 0;
}
