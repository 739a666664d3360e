/* The hash chain over a restart: it goes on from the mark, or from the seal before, and seals that
 * were lost between a segment's closing and its seal are made again. A seal that is there and does
 * not agree with the log is left as it is. */
#include <errno.h>

#include "segment/recovery/recovery.h"

static void
tell(struct pst_recover *r, enum pst_recovery_kind kind, int64_t base)
{
	struct pst_recovery_item item = {.kind = kind, .segment_base = base};
	pst_segment_name(item.file, base, PST_SEGMENT_SEAL);
	pst_recover_item(r, &item);
}

/* A seal that cannot be read says as much as a torn one. */
static int
load(struct pst_recover *r, struct pst_seal *seal, int64_t base, enum pst_seal_verdict *verdict)
{
	int rc = pst_seal_load(seal, r->disk, r->log->dir, base, verdict);
	if (rc >= 0 || !pst_errno_unreadable(-rc))
		return rc;
	*verdict = PST_SEAL_SHORT;
	return 0;
}

/* The link that the segment behind segment i starts with, by the seal of i. */
static int
link_behind(struct pst_recover *r, uint32_t i, bool *known, struct pst_link *link)
{
	struct pst_seal *seal = &r->log->seal;
	enum pst_seal_verdict verdict;
	*known = false;
	if (!r->segments[i].has[PST_SEGMENT_SEAL])
		return 0;
	int rc = load(r, seal, r->segments[i].base_offset, &verdict);
	if (rc < 0 || verdict != PST_SEAL_OK || seal->flags & PST_SEAL_OPEN ||
		strcmp(seal->name, r->log->name) != 0)
		return rc == -ENOENT ? 0 : rc;
	if (seal->flags & PST_SEAL_SALVAGED)
		return i > 0 ? link_behind(r, i - 1, known, link) : 0;
	*known = true;
	*link = seal->follows;
	return 0;
}

/* Goes over the segment's batches from position 0 to bytes with the seal begun. */
static int
rehash(struct pst_recover *r, int64_t base, uint64_t bytes)
{
	struct pst_seal *seal = &r->log->seal;
	struct pst_scan *scan = &r->scan;
	int file = pst_recover_read(r, pst_recover_open(r, base, 0));
	if (file < 0)
		return file;
	int rc = 0;
	pst_scan_start(scan, file, 0, bytes);
	while (rc == 0 && scan->pos < bytes) {
		enum pst_scan_result result = pst_scan_next(scan, true);
		if (result != PST_SCAN_BATCH) {
			rc = result == PST_SCAN_IO ? pst_recover_read(r, scan->error) : -EBADMSG;
			break;
		}
		struct pst_link link;
		pst_link_next(&seal->last, scan->data, scan->info.total_bytes, &link);
		pst_seal_extend(seal, scan->pos, pst_batch_last_offset(&scan->info) + 1, &link);
	}
	r->disk->ops->close(r->disk, file);
	return rc;
}

static bool
take_batch(void *arg, const struct pst_scan *scan, enum pst_batch_verdict *verdict)
{
	struct pst_recover *r = arg;
	struct pst_seal *seal = &r->log->seal;
	struct pst_link link;
	if (!scan->data) /* below the mark, whose link is known */
		return true;
	pst_link_next(&seal->last, scan->data, scan->info.total_bytes, &link);
	pst_seal_extend(seal, scan->pos, pst_batch_last_offset(&scan->info) + 1, &link);
	return true;
}

/* Begins the seal of segment i with the link before it, as far as that is known: what the segment
 * before says, or its own seal. The links between of its own seal are kept as far as `upto`.
 * *known: false if the chain begins anew. */
static int
begin_seal(struct pst_recover *r, uint32_t i, uint64_t upto, bool *known)
{
	struct pst_seal *seal = &r->log->seal;
	struct pst_found_segment *segment = &r->segments[i];
	struct pst_link first;
	enum pst_seal_verdict verdict = PST_SEAL_SHORT;
	int64_t base = segment->base_offset;
	*known = r->chained || base == 0; /* no segment was before it */
	if (r->chained)
		first = r->link;
	int rc = segment->has[PST_SEGMENT_SEAL] ? load(r, seal, base, &verdict) : 0;
	if (rc < 0 && rc != -ENOENT)
		return rc;
	bool own = verdict == PST_SEAL_OK && seal->base_offset == base &&
		   strcmp(seal->name, r->log->name) == 0 &&
		   (!r->chained || seal->flags & (PST_SEAL_REPAIRED | PST_SEAL_SALVAGED) ||
			   pst_link_equal(&seal->first, &first));
	r->closed_seal = verdict == PST_SEAL_OK && !(seal->flags & PST_SEAL_OPEN);
	if (own) {
		*known = true;
		first = seal->first;
		while (seal->link_cnt > 0 && seal->links[seal->link_cnt - 1].position > upto)
			seal->link_cnt--;
	} else if (!r->chained) {
		pst_link_seed(r->log->name, base, &first);
	}
	uint32_t link_cnt = own ? seal->link_cnt : 0;
	pst_seal_begin(seal, r->log->name, base, &first);
	seal->link_cnt = link_cnt;
	return 0;
}

int
pst_recover_seal_before(struct pst_recover *r, uint32_t i)
{
	r->chained = false;
	if (!r->log->sealing || i == 0)
		return 0;
	return link_behind(r, i - 1, &r->chained, &r->link);
}

int
pst_recover_seal_begin(struct pst_recover *r, uint32_t i)
{
	const struct pst_mark *mark = r->mark;
	struct pst_found_segment *segment = &r->segments[i];
	bool known;
	r->unsealed = false;
	r->chained_before = r->chained;
	r->link_before = r->link;
	if (!r->log->sealing)
		return 0;
	/* The mark's link speaks of the chain that began with the mark's first one: seals before it
	 * may say another, where they could not be read when the segment was begun. */
	bool marked = mark && mark->end.segment_base == segment->base_offset && mark->end.linked;
	r->seal_from = marked ? mark->end.segment_bytes : 0;
	if (marked) {
		r->chained = true;
		r->link = mark->end.first;
	}
	int rc = begin_seal(r, i, r->seal_from, &known);
	if (rc < 0)
		return rc;
	/* A first link that nobody knows would contradict the seals behind it. */
	r->unsealed = !known && i + 1 < r->cnt;
	if (!known && !r->unsealed)
		tell(r, PST_RECOVERY_SEALS_BEGIN, segment->base_offset);
	if (r->seal_from > 0)
		pst_seal_extend(
			&r->log->seal, r->seal_from, mark->end.next_offset, &mark->end.link);
	else
		r->log->seal.link_cnt = 0; /* they are made again */
	r->seg.whole_from = r->seal_from;
	r->seg.each = take_batch;
	r->seg.arg = r;
	return 0;
}

int
pst_recover_seal_end(struct pst_recover *r, uint32_t i)
{
	struct pst_seal *seal = &r->log->seal;
	if (!r->log->sealing)
		return 0;
	if (r->unsealed) {
		r->chained = false;
		seal->bytes = 0;
		return 0;
	}
	if (r->seg.good_bytes < r->seal_from) {
		/* Bytes that the mark covers are gone: its link speaks of them. */
		struct pst_link first = seal->first;
		pst_seal_begin(seal, r->log->name, r->segments[i].base_offset, &first);
		int rc = rehash(r, r->segments[i].base_offset, r->seg.good_bytes);
		if (rc == -EBADMSG) {
			/* More damage, below what only headers were looked at of. */
			r->chained = false;
			r->unsealed = true;
			seal->bytes = 0;
			return 0;
		}
		if (rc < 0)
			return rc;
	}
	PST_ASSERT(seal->bytes == r->seg.good_bytes);
	r->chained = true;
	r->link = seal->last;
	return 0;
}

/* Compares what is on disk with the seal that the log's bytes give. */
int
pst_recover_seal_close(struct pst_recover *r, uint32_t i)
{
	struct pst_seal *made = &r->log->seal, there;
	struct pst_found_segment *segment = &r->segments[i];
	int64_t base = segment->base_offset;
	enum pst_seal_verdict verdict = PST_SEAL_OK;
	if (!r->log->sealing)
		return 0;
	int rc = pst_seal_init(&there);
	if (rc < 0)
		return rc;
	rc = segment->has[PST_SEGMENT_SEAL] ? load(r, &there, base, &verdict) : -ENOENT;
	bool missing = rc == -ENOENT;
	if (missing)
		rc = 0;
	if (rc == 0 && !missing && verdict == PST_SEAL_OK && there.flags & PST_SEAL_SALVAGED) {
		/* The chain passes over what was put back. */
		r->chained = r->chained_before;
		there.follows = r->link_before;
	}
	bool torn = rc == 0 && !missing && verdict != PST_SEAL_OK;
	bool closed = rc == 0 && !missing && !torn && !(there.flags & PST_SEAL_OPEN);
	if (closed && pst_link_equal(&there.last, &made->last) && there.bytes == made->bytes &&
		pst_link_equal(&there.first, &made->first)) {
		r->link = there.follows;
		/* What reads back may not be on the drive yet. */
		rc = pst_seal_sync(r->disk, r->log->dir, base);
	} else if (closed) {
		r->link = there.follows;
		tell(r, PST_RECOVERY_SEAL_DIFFERS, base);
	} else if (rc == 0) {
		if (torn) {
			tell(r, PST_RECOVERY_SEAL_TORN, base);
			rc = pst_seal_set_aside(r->disk, r->log->dir, base);
			segment->has[PST_SEGMENT_SEAL] = false;
		}
		if (rc == 0 && made->bytes > 0) {
			rc = pst_seal_store(made, r->disk, r->log->dir);
			segment->has[PST_SEGMENT_SEAL] = rc == 0;
		}
		/* As when it is written: no space for a seal does not stop the log. */
		if (rc < 0 && pst_errno_passes(-rc))
			rc = pst_seal_drop(r->disk, r->log->dir, base);
	}
	pst_seal_fini(&there);
	return rc;
}

/* A seal speaks of bytes that no power loss takes any more: a recovery that could not read them may
 * have left them unsynced. */
static int
sync_segment(struct pst_recover *r, int64_t base)
{
	int file = pst_recover_open(r, base, 0);
	if (file < 0)
		return file;
	int rc = r->disk->ops->sync(r->disk, file);
	r->disk->ops->close(r->disk, file);
	return rc;
}

/* Whether the chain went through segment i, whose seal is missing, to the one behind it. */
static int
chained_behind(struct pst_recover *r, uint32_t i, bool *yes, struct pst_link *link, bool *known)
{
	const struct pst_mark *mark = r->mark;
	struct pst_seal *seal = &r->log->seal;
	struct pst_found_segment *next = &r->segments[i + 1];
	enum pst_seal_verdict verdict;
	*yes = *known = false;
	if (next->has[PST_SEGMENT_SEAL]) {
		int rc = load(r, seal, next->base_offset, &verdict);
		if (rc < 0)
			return rc;
		*yes = *known = verdict == PST_SEAL_OK && !(seal->flags & PST_SEAL_BEGINS);
		*link = seal->first;
	} else if (mark && mark->end.segment_base == next->base_offset && mark->end.linked) {
		struct pst_link seed;
		pst_link_seed(r->log->name, next->base_offset, &seed);
		*yes = *known = !pst_link_equal(&mark->end.first, &seed);
		*link = mark->end.first;
	}
	return 0;
}

int
pst_recover_closed_seal(struct pst_recover *r, uint32_t i)
{
	struct pst_found_segment *segment = &r->segments[i];
	struct pst_link first, behind;
	bool chained, wanted = false, known = false;
	if (!r->log->sealing || segment->has[PST_SEGMENT_SEAL] || segment->error || i + 1 >= r->cnt)
		return 0;
	int rc = 0;
	chained = i == 0 && segment->base_offset == 0; /* no segment was before it */
	if (chained)
		pst_link_seed(r->log->name, 0, &first);
	else if (i > 0)
		rc = link_behind(r, i - 1, &chained, &first);
	if (rc == 0 && chained)
		rc = chained_behind(r, i, &wanted, &behind, &known);
	if (rc < 0 || !chained || !wanted)
		return rc;
	struct pst_seal *seal = &r->log->seal;
	pst_seal_begin(seal, r->log->name, segment->base_offset, &first);
	rc = rehash(r, segment->base_offset, segment->bytes);
	if (rc < 0 && r->unreadable) {
		r->unreadable = false;
		pst_recover_unreadable(r, i, r->scan.batch_pos);
		return 0;
	}
	if (rc == -EBADMSG || (rc == 0 && known && !pst_link_equal(&seal->last, &behind))) {
		tell(r, PST_RECOVERY_SEAL_DIFFERS, segment->base_offset);
		return 0;
	}
	if (rc == 0)
		rc = sync_segment(r, segment->base_offset);
	if (rc < 0)
		return rc;
	rc = pst_seal_store(seal, r->disk, r->log->dir);
	if (rc < 0 && pst_errno_passes(-rc))
		return pst_seal_drop(r->disk, r->log->dir, segment->base_offset);
	if (rc == 0) {
		segment->has[PST_SEGMENT_SEAL] = true;
		tell(r, PST_RECOVERY_SEAL_MADE, segment->base_offset);
	}
	return rc;
}

void
pst_recover_seal_new(struct pst_recover *r, int64_t base)
{
	struct pst_log *log = r->log;
	struct pst_link seed;
	if (!log->sealing)
		return;
	pst_link_seed(log->name, base, &seed);
	pst_seal_begin(&log->seal, log->name, base, r->chained ? &r->link : &seed);
}

int
pst_recover_seal_keep(struct pst_recover *r, uint32_t i)
{
	struct pst_found_segment *segment = &r->segments[i];
	int64_t base = segment->base_offset;
	enum pst_seal_verdict verdict;
	if (!r->log->sealing || !segment->has[PST_SEGMENT_SEAL])
		return 0;
	int rc = pst_seal_load(&r->log->seal, r->disk, r->log->dir, base, &verdict);
	if (rc < 0)
		return rc == -ENOENT || pst_errno_unreadable(-rc) ? 0 : rc;
	if (verdict == PST_SEAL_OK)
		return pst_seal_sync(r->disk, r->log->dir, base);
	tell(r, PST_RECOVERY_SEAL_TORN, base);
	segment->has[PST_SEGMENT_SEAL] = false;
	return pst_seal_set_aside(r->disk, r->log->dir, base);
}

void
pst_recover_seal_go_on(struct pst_recover *r)
{
	struct pst_log *log = r->log;
	log->durable.linked = log->sealing;
	if (!log->sealing)
		return;
	log->durable.first = log->seal.first;
	log->durable.link = log->link = log->seal.last;
}

int
pst_recover_seal_open(struct pst_recover *r)
{
	struct pst_seal *seal = &r->log->seal;
	if (!r->log->sealing || !r->closed_seal)
		return 0;
	seal->flags |= PST_SEAL_OPEN;
	int rc = pst_seal_store(seal, r->disk, r->log->dir);
	seal->flags &= ~(uint32_t)PST_SEAL_OPEN;
	if (rc < 0 && pst_errno_passes(-rc))
		rc = pst_seal_drop(r->disk, r->log->dir, seal->base_offset);
	return rc < 0 ? rc : r->disk->ops->sync(r->disk, r->log->dir);
}

int
pst_recover_seal_clean(struct pst_recover *r)
{
	uint32_t i = r->cnt - 1;
	const struct pst_found_segment *last = &r->segments[i];
	if (!r->log->sealing)
		return 0;
	int rc = pst_recover_seal_before(r, i);
	if (rc == 0)
		rc = pst_recover_seal_begin(r, i);
	r->seg.each = NULL;
	if (rc == 0 && r->seal_from < last->bytes)
		rc = rehash(r, last->base_offset, last->bytes);
	return rc;
}
