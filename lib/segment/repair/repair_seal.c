/* Seals of segments that were cut. */
#include <errno.h>
#include <stdio.h>

#include "segment/repair/repairing.h"

struct wanted {
	struct pst_repairing *p;
	int64_t base;
	uint64_t bytes; /* of the log now */
	bool found;
};

/* A seal that was set aside, of this segment, for more than there is: the longest counts. */
static int
look_at(void *arg, const char *name)
{
	struct wanted *w = arg;
	struct pst_repairing *p = w->p;
	char prefix[PST_SEGMENT_NAME_BYTES];
	enum pst_seal_verdict verdict;
	pst_segment_name(prefix, w->base, PST_SEGMENT_SEAL);
	size_t len = strlen(prefix);
	if (w->found || strncmp(name, prefix, len) != 0 || strncmp(name + len, ".damaged-", 9) != 0)
		return 0;
	int rc = pst_seal_load_name(&p->old, p->disk, p->dir, name, &verdict);
	w->found = rc == 0 && verdict == PST_SEAL_OK && p->old.base_offset == w->base &&
		   strcmp(p->old.name, p->name) == 0 && p->old.bytes > w->bytes &&
		   !(p->old.flags & PST_SEAL_OPEN);
	return rc;
}

static bool
extend(void *arg, const struct pst_scan *scan, enum pst_batch_verdict *verdict)
{
	struct pst_repairing *p = arg;
	struct pst_link link;
	pst_link_next(&p->seal.last, scan->data, scan->info.total_bytes, &link);
	pst_seal_extend(&p->seal, scan->pos, pst_batch_last_offset(&scan->info) + 1, &link);
	return true;
}

/* Whether what is left is what the old seal says, as far as its links go. */
static bool
agrees(const struct pst_repairing *p)
{
	for (uint32_t i = 0; i < p->old.link_cnt && i < p->seal.link_cnt; i++) {
		if (p->old.links[i].position != p->seal.links[i].position ||
			!pst_link_equal(&p->old.links[i].link, &p->seal.links[i].link))
			return false;
	}
	return true;
}

/* The seal over what is left, in p->seal. 1: it can be made; 0; -errno. */
static int
make(struct pst_repairing *p, const struct pst_repair_segment *segment)
{
	char name[PST_SEGMENT_NAME_BYTES];
	pst_segment_name(name, segment->base, PST_SEGMENT_LOG);
	int file = p->disk->ops->open(p->disk, p->dir, name, 0);
	if (file < 0)
		return file;
	pst_seal_begin(&p->seal, p->name, segment->base, &p->old.first);
	p->seg.base_offset = segment->base;
	p->seg.whole_from = 0;
	p->seg.each = extend;
	p->seg.arg = p;
	pst_scan_start(&p->other, file, 0, segment->bytes);
	pst_segment_scan_begin(&p->seg);
	int rc = pst_segment_scan_run(&p->seg, &p->other);
	p->disk->ops->close(p->disk, file);
	p->seal.flags |= PST_SEAL_REPAIRED | (p->old.flags & PST_SEAL_SALVAGED);
	p->seal.follows = p->old.follows;
	return rc < 0 ? rc : p->seg.result == PST_SCAN_END && agrees(p);
}

int
pst_repairing_reseal(struct pst_repairing *p, const struct pst_repair_segment *segment)
{
	enum pst_seal_verdict verdict = PST_SEAL_OK;
	struct wanted wanted = {p, segment->base, segment->bytes, false};
	int rc = pst_seal_load(&p->old, p->disk, p->dir, segment->base, &verdict);
	bool torn = rc == 0 && verdict != PST_SEAL_OK, missing = rc == -ENOENT;
	if (rc < 0 && !missing)
		return rc;
	if (rc == 0 && !torn && (p->old.flags & PST_SEAL_OPEN || p->old.bytes <= segment->bytes))
		return 0;
	/* A step of a repair that was interrupted: the old seal is aside, the new one not there. */
	if (torn || missing) {
		rc = p->disk->ops->list(p->disk, p->dir, look_at, &wanted);
		if (rc < 0 || !wanted.found)
			return rc;
	}
	rc = make(p, segment);
	if (rc <= 0)
		return rc;
	struct pst_repair_item item = {.kind = PST_REPAIR_SEALS,
		.first_offset = segment->base,
		.last_offset = segment->next - 1,
		.bytes = segment->bytes};
	pst_segment_name(item.file, segment->base, PST_SEGMENT_SEAL);
	pst_repairing_say(p, &item);
	if (!p->apply)
		return 0;
	rc = pst_seal_set_aside(p->disk, p->dir, segment->base);
	if (rc == 0)
		rc = p->disk->ops->sync(p->disk, p->dir);
	if (rc == 0)
		rc = pst_seal_store(&p->seal, p->disk, p->dir);
	return rc < 0 ? rc : p->disk->ops->sync(p->disk, p->dir);
}
