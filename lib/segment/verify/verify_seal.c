/* The hash chain over the segments of a partition, link by link. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/base.h"
#include "segment/verify/verifying.h"

static void
look_for_anchors(struct pst_verifying *v, int64_t offset, const struct pst_link *link)
{
	for (uint32_t i = 0; i < v->sink->anchor_cnt; i++) {
		struct pst_anchor *a = &v->sink->anchors[i];
		if (!a->met && (a->offset < 0 || a->offset == offset) &&
			(!a->name[0] || strcmp(a->name, v->log.name) == 0))
			a->met = pst_link_equal(&a->link, link);
	}
}

/* Segments without a seal, over which the chain has come to a link that is known: proven, too. */
static void
prove(struct pst_verifying *v)
{
	struct pst_verify_partition *said = &v->said;
	if (said->range_cnt > 0 && v->unsealed_from >= 0 &&
		v->ranges[said->range_cnt - 1].from == v->unsealed_from) {
		v->ranges[said->range_cnt - 1].sealed = true;
		if (said->range_cnt > 1 && v->ranges[said->range_cnt - 2].sealed &&
			v->ranges[said->range_cnt - 2].to == v->unsealed_from) {
			said->range_cnt--;
			v->ranges[said->range_cnt - 1].to = v->ranges[said->range_cnt].to;
		}
	}
	v->unsealed_from = -1;
}

/* Whether segment i's first link is the one that follows from what was before it. begins: it is the
 * seed, and says so. */
static void
check_before(struct pst_verifying *v, const char *name, uint32_t i, const struct pst_link *first,
	bool begins, bool gap)
{
	bool follows = v->follows_known && pst_link_equal(first, &v->follows);
	if (follows) {
		prove(v);
		return;
	}
	v->unsealed_from = -1; /* no later link speaks of what is before this one */
	if (!v->follows_known && !begins && v->log.bases[i] == 0)
		pst_verify_finding(v, name, 0, "does not begin as the first seal of a partition");
	else if (!v->follows_known && !begins && i > 0)
		pst_verify_note(v, name, 0, "the seal before is missing");
	else if (v->follows_known && begins && v->unsealed_before)
		pst_verify_note(
			v, name, 0, "the chain begins anew: the segment before has no seal");
	/* Segments that are missing are a finding by themselves. */
	else if (v->follows_known && !gap)
		pst_verify_finding(v, name, 0, "%s",
			begins ? "the chain begins anew: the segment before could not be read when "
				 "this one was begun, or was replaced since"
			       : "does not follow from the seal before: one of them was replaced, "
				 "or what lies between");
}

static void
check_first(struct pst_verifying *v, const char *name, uint32_t i, bool gap)
{
	const struct pst_seal *seal = &v->seal;
	struct pst_link seed;
	pst_link_seed(v->log.name, seal->base_offset, &seed);
	bool begins = pst_link_equal(&seal->first, &seed);
	if (seal->flags & PST_SEAL_SALVAGED) {
		pst_verify_note(v, name, 0, "put back by penstock repair");
		if (!begins)
			pst_verify_finding(v, name, 0, "does not begin as what was put back");
		return;
	}
	if (seal->flags & PST_SEAL_REPAIRED)
		pst_verify_note(v, name, 0, "sealed again by penstock repair");
	check_before(v, name, i, &seal->first, begins && seal->flags & PST_SEAL_BEGINS, gap);
	if (begins && !(seal->flags & PST_SEAL_BEGINS))
		pst_verify_finding(v, name, 0, "does not say that the chain begins with it");
}

/* The link before segment i, which has no good seal of its own: the mark may know it. */
static void
begin_unsealed(struct pst_verifying *v, uint32_t i, bool last, bool gap)
{
	const struct pst_durable *end = &v->log.end;
	char name[PST_SEGMENT_NAME_BYTES];
	struct pst_link seed;
	int64_t base = v->log.bases[i];
	pst_link_seed(v->log.name, base, &seed);
	if (last && end->linked && end->segment_base == base) {
		pst_segment_name(name, base, PST_SEGMENT_LOG);
		check_before(v, name, i, &end->first, pst_link_equal(&end->first, &seed), gap);
		v->chained = true;
		v->link = end->first;
	} else if (!last && i == 0 && base == 0) {
		v->chained = true;
		v->link = seed;
	}
}

int
pst_verify_seal_begin(struct pst_verifying *v, uint32_t i, bool last, bool gap)
{
	struct pst_reading *log = &v->log;
	struct pst_seal *seal = &v->seal;
	enum pst_seal_verdict verdict = PST_SEAL_OK;
	char name[PST_SEGMENT_NAME_BYTES];
	int64_t base = log->bases[i];
	pst_segment_name(name, base, PST_SEGMENT_SEAL);
	int rc = pst_seal_load(seal, log->disk, log->dir, base, &verdict);
	v->sealed = v->spoilt = false;
	v->next_link = 0;
	v->held_pos = 0;
	v->held_offset = base;
	v->chained = v->follows_known && !gap;
	if (v->chained)
		v->link = v->follows;
	if (rc < 0 && rc != -ENOENT)
		return rc;
	if (rc == 0 && verdict != PST_SEAL_OK) {
		/* It may be being written just now, or was when the daemon was killed. */
		if (last && log->source == PST_END_MARK)
			pst_verify_note(v, name, 0, "torn: made again at the next start");
		else if (!last || log->source != PST_END_LIVE)
			pst_verify_finding(
				v, name, 0, "damaged seal: %s", pst_seal_verdict_name(verdict));
	} else if (rc == 0 && (seal->base_offset != base || strcmp(seal->name, log->name) != 0)) {
		pst_verify_finding(v, name, 0,
			"is the seal of %s and its segment %" PRId64 ", not of this one",
			seal->name, seal->base_offset);
	} else if (rc == 0) {
		v->sealed = true;
		check_first(v, name, i, gap);
		v->chained = true;
		v->link = seal->first;
	} else if (!last && v->chained) {
		pst_verify_note(v, name, 0, "missing: the chain is followed without it");
	}
	if (!v->sealed)
		begin_unsealed(v, i, last, gap);
	if (v->chained)
		look_for_anchors(v, base, &v->link);
	return 0;
}

/* The next link that the seal knows: those between, then the last. */
static const struct pst_seal_link *
next_known(const struct pst_verifying *v, struct pst_seal_link *last)
{
	if (!v->sealed || v->next_link > v->seal.link_cnt)
		return NULL;
	if (v->next_link < v->seal.link_cnt)
		return &v->seal.links[v->next_link];
	*last = (struct pst_seal_link){v->seal.bytes, v->seal.next_offset, v->seal.last};
	return last;
}

static void
altered(struct pst_verifying *v, uint64_t to_pos, int64_t to_offset)
{
	char name[PST_SEGMENT_NAME_BYTES];
	pst_segment_name(name, v->seg.base_offset, PST_SEGMENT_LOG);
	/* What is said to be whole ends where the chain held last. */
	int64_t next = v->seg.next_offset;
	v->seg.next_offset = v->held_offset;
	pst_verify_finding(v, name, v->held_pos,
		"altered: offsets %" PRId64 " to %" PRId64 ", up to position %" PRIu64
		", are not what was sealed, though each CRC is right",
		v->held_offset, to_offset - 1, to_pos);
	v->seg.next_offset = next;
	v->spoilt = true;
}

void
pst_verify_seal_batch(struct pst_verifying *v, const struct pst_scan *scan)
{
	int64_t next_offset = pst_batch_last_offset(&scan->info) + 1;
	struct pst_seal_link last;
	const struct pst_seal_link *known;
	if (v->chained) {
		pst_link_next(&v->link, scan->data, scan->info.total_bytes, &v->link);
		look_for_anchors(v, next_offset, &v->link);
	}
	/* A link in the middle of a batch: the batches were cut otherwise when it was made. */
	while ((known = next_known(v, &last)) && known->position < scan->pos) {
		if (v->chained && known->position > v->held_pos && v->next_link < v->seal.link_cnt)
			altered(v, scan->pos, next_offset);
		v->chained = v->chained && v->next_link == v->seal.link_cnt;
		v->next_link++;
	}
	if (!known || known->position != scan->pos)
		return;
	if (v->chained &&
		(!pst_link_equal(&known->link, &v->link) || known->next_offset != next_offset))
		altered(v, scan->pos, next_offset);
	v->link = known->link;
	v->chained = true;
	v->held_pos = known->position;
	v->held_offset = known->next_offset;
	v->next_link++;
}

void
pst_verify_seal_lost(struct pst_verifying *v)
{
	v->chained = false;
	v->spoilt = true;
}

/* One more stretch of offsets of which nothing bad is known. */
static int
add_range(struct pst_verifying *v, int64_t from, int64_t to, bool sealed)
{
	struct pst_verify_partition *said = &v->said;
	if (to <= from || said->wrong)
		return 0;
	if (said->range_cnt > 0 && v->ranges[said->range_cnt - 1].to == from &&
		v->ranges[said->range_cnt - 1].sealed == sealed) {
		v->ranges[said->range_cnt - 1].to = to;
		return 0;
	}
	if (said->range_cnt == v->range_cap) {
		uint32_t cap = v->range_cap ? 2 * v->range_cap : 16;
		struct pst_verify_range *grown = realloc(v->ranges, cap * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		v->ranges = grown;
		v->range_cap = cap;
	}
	v->ranges[said->range_cnt++] = (struct pst_verify_range){from, to, sealed};
	return 0;
}

/* Whether the segment's length is what its seal says. */
static void
check_length(struct pst_verifying *v, bool good, bool aside)
{
	const struct pst_seal *seal = &v->seal;
	char name[PST_SEGMENT_NAME_BYTES];
	uint64_t end = v->seg.good_bytes;
	pst_segment_name(name, v->seg.base_offset, PST_SEGMENT_LOG);
	if (!good || end == seal->bytes)
		return;
	if (end > seal->bytes && !(seal->flags & PST_SEAL_OPEN))
		pst_verify_finding(v, name, seal->bytes,
			"%" PRIu64 " bytes of good batches behind what was sealed",
			end - seal->bytes);
	else if (end < seal->bytes && aside)
		pst_verify_gap(v, name, v->seg.next_offset,
			"ends at %" PRIu64 ", sealed up to %" PRIu64 ": damaged, set aside", end,
			seal->bytes);
	else if (end < seal->bytes)
		pst_verify_finding(v, name, end,
			"ends with offset %" PRId64 ", sealed up to offset %" PRId64
			" at position %" PRIu64,
			v->seg.next_offset, seal->next_offset, seal->bytes);
	v->spoilt = v->spoilt || end < seal->bytes || !(seal->flags & PST_SEAL_OPEN);
}

int
pst_verify_seal_end(struct pst_verifying *v, bool last, bool good, bool aside)
{
	struct pst_reading *log = &v->log;
	const struct pst_durable *end = &log->end;
	int64_t base = v->seg.base_offset;
	bool held = v->chained && !v->spoilt;
	if (last && held && good && end->linked && v->seg.next_offset == end->next_offset &&
		pst_link_equal(&v->link, &end->link))
		prove(v);
	if (last) {
		/* What is there may have been sealed since the end was looked up. */
		if (v->sealed && log->source == PST_END_CLEAN)
			check_length(v, good, false);
		if (good && v->chained && end->linked && v->seg.next_offset == end->next_offset &&
			!pst_link_equal(&v->link, &end->link)) {
			char name[PST_SEGMENT_NAME_BYTES];
			pst_segment_name(name, base, PST_SEGMENT_LOG);
			int64_t next = v->seg.next_offset;
			v->seg.next_offset = v->held_offset;
			pst_verify_finding(v, name, v->held_pos,
				"altered: offsets %" PRId64 " to %" PRId64
				" do not lead to the link of the durable mark",
				v->held_offset, next - 1);
			v->seg.next_offset = next;
		}
		v->said.linked = v->chained && (end->linked || v->sealed);
		v->said.link = v->link;
		return add_range(v, base, v->seg.next_offset,
			held && (end->linked || (v->sealed && v->held_pos == v->seg.good_bytes)));
	}
	if (v->sealed)
		check_length(v, good, aside);
	if (v->sealed && v->seal.flags & PST_SEAL_SALVAGED)
		return add_range(v, base, v->seg.next_offset, held);
	v->follows_known = v->sealed || (v->chained && good);
	bool open = v->sealed && v->seal.flags & PST_SEAL_OPEN;
	v->unsealed_before = !v->sealed || open;
	if (!v->unsealed_before || !held)
		v->unsealed_from = -1;
	else if (v->unsealed_from < 0)
		v->unsealed_from = base;
	v->follows = v->sealed && !open ? v->seal.follows : v->link;
	return add_range(v, base, v->seg.next_offset, held && v->sealed && !open);
}
