/* Good batches of what was set aside, put back where their offsets are free. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "segment/repair/repairing.h"

enum place {
	PLACE_FREE,
	PLACE_THERE, /* the same batch is in the log */
	PLACE_TAKEN, /* another one has its offsets */
};

/* A run of good batches whose offsets follow, all in the same kind of place. */
struct run {
	enum place place;
	uint64_t pos, end;
	int64_t first, next;
	uint32_t batch_cnt;
};

static int
open_segment(struct pst_repairing *p, int64_t base)
{
	char name[PST_SEGMENT_NAME_BYTES];
	pst_segment_name(name, base, PST_SEGMENT_LOG);
	return p->disk->ops->open(p->disk, p->dir, name, 0);
}

/* Whether the segment has this very batch. 1, 0 or -errno. */
static int
has_batch(struct pst_repairing *p, const struct pst_repair_segment *segment)
{
	const struct pst_batch_info *info = &p->scan.info;
	int file = open_segment(p, segment->base);
	if (file < 0)
		return file;
	int there = 0;
	bool on = p->seen.set && p->seen.base == segment->base &&
		  p->seen.offset <= info->base_offset;
	pst_scan_start(&p->other, file, on ? p->seen.pos : 0, segment->bytes);
	p->seen.set = false;
	while (there == 0) {
		enum pst_scan_result result = pst_scan_next(&p->other, false);
		if (result != PST_SCAN_BATCH)
			break;
		if (p->other.info.base_offset < info->base_offset)
			continue;
		p->seen.set = true;
		p->seen.base = segment->base;
		p->seen.offset = info->base_offset;
		p->seen.pos = p->other.batch_pos;
		if (p->other.info.base_offset > info->base_offset)
			break;
		p->other.pos = p->other.batch_pos;
		there = pst_scan_next(&p->other, true) == PST_SCAN_BATCH &&
			p->other.info.total_bytes == info->total_bytes &&
			memcmp(p->other.data, p->scan.data, info->total_bytes) == 0;
		break;
	}
	p->disk->ops->close(p->disk, file);
	return there;
}

/* Where the batch that was scanned last belongs. 0 or -errno. */
static int
place_of(struct pst_repairing *p, enum place *place)
{
	int64_t first = p->scan.info.base_offset, next = pst_batch_last_offset(&p->scan.info) + 1;
	*place = PLACE_FREE;
	/* Behind the log's end offsets are still to be given. */
	if (p->segment_cnt == 0 || next > p->segments[p->segment_cnt - 1].next)
		*place = PLACE_TAKEN;
	for (uint32_t i = 0; i < p->segment_cnt && *place == PLACE_FREE; i++) {
		const struct pst_repair_segment *segment = &p->segments[i];
		if (next <= segment->base || first >= segment->next)
			continue;
		int rc = has_batch(p, segment);
		if (rc < 0)
			return rc;
		*place = rc ? PLACE_THERE : PLACE_TAKEN;
	}
	return 0;
}

/* Copies a run to a file that recovery would remove. */
static int
copy_run(struct pst_repairing *p, int from, const struct run *run, const char *tmp)
{
	struct pst_disk *disk = p->disk;
	int copy = disk->ops->open(disk, p->dir, tmp, PST_DISK_WRITE | PST_DISK_CREATE);
	if (copy < 0)
		return copy;
	int rc = disk->ops->truncate(disk, copy, 0);
	uint8_t *buf = malloc(PST_PIECE_BYTES);
	if (!buf)
		rc = -ENOMEM;
	for (uint64_t at = run->pos; rc == 0 && at < run->end;) {
		int64_t n = disk->ops->read(
			disk, from, buf, pst_min_u64(PST_PIECE_BYTES, run->end - at), at);
		rc = n <= 0 ? (n < 0 ? (int)n : -EIO)
			    : disk->ops->write(disk, copy, buf, (uint64_t)n, at - run->pos);
		at += (uint64_t)(n > 0 ? n : 0);
	}
	free(buf);
	if (rc == 0)
		rc = disk->ops->sync(disk, copy);
	disk->ops->close(disk, copy);
	return rc;
}

static bool
seal_batch(void *arg, const struct pst_scan *scan, enum pst_batch_verdict *verdict)
{
	struct pst_repairing *p = arg;
	struct pst_link link;
	pst_link_next(&p->seal.last, scan->data, scan->info.total_bytes, &link);
	pst_seal_extend(&p->seal, scan->pos, pst_batch_last_offset(&scan->info) + 1, &link);
	return true;
}

/* Indexes and seal of the copy; then its name. */
static int
finish_segment(struct pst_repairing *p, const struct run *run, const char *tmp)
{
	struct pst_disk *disk = p->disk;
	struct pst_link seed;
	char name[PST_SEGMENT_NAME_BYTES];
	int file = disk->ops->open(disk, p->dir, tmp, 0);
	if (file < 0)
		return file;
	pst_link_seed(p->name, run->first, &seed);
	pst_seal_begin(&p->seal, p->name, run->first, &seed);
	p->seal.flags |= PST_SEAL_SALVAGED;
	p->seg.base_offset = run->first;
	p->seg.whole_from = 0;
	p->seg.each = seal_batch;
	p->seg.arg = p;
	pst_scan_start(&p->other, file, 0, run->end - run->pos);
	pst_segment_scan_begin(&p->seg);
	int rc = pst_segment_scan_run(&p->seg, &p->other);
	disk->ops->close(disk, file);
	if (rc == 0 && (p->seg.result != PST_SCAN_END || p->seg.next_offset != run->next))
		rc = -EIO; /* it is not what was read before */
	if (rc == 0)
		rc = pst_repairing_indexes(p, run->first);
	/* Before the log has its name: a segment without one would break the chain. */
	if (rc == 0 && p->sealed)
		rc = pst_seal_store(&p->seal, disk, p->dir);
	if (rc == 0)
		rc = disk->ops->sync(disk, p->dir);
	pst_segment_name(name, run->first, PST_SEGMENT_LOG);
	if (rc == 0)
		rc = disk->ops->rename(disk, p->dir, tmp, name);
	return rc < 0 ? rc : disk->ops->sync(disk, p->dir);
}

static int
put_back(struct pst_repairing *p, int file, const struct run *run)
{
	char log[PST_SEGMENT_NAME_BYTES], tmp[PST_SEGMENT_NAME_BYTES];
	p->totals->back_cnt += run->batch_cnt;
	p->totals->back_bytes += run->end - run->pos;
	if (!p->apply)
		return 0;
	pst_segment_name(log, run->first, PST_SEGMENT_LOG);
	snprintf(tmp, sizeof(tmp), "%.24s.damaged-back.tmp", log);
	int rc = copy_run(p, file, run, tmp);
	return rc < 0 ? rc : finish_segment(p, run, tmp);
}

/* Whether the offsets of a run can be believed: no CRC covers them. */
static bool
confirmed(const struct pst_repairing *p, const struct run *run)
{
	if (run->batch_cnt > 1)
		return true;
	for (uint32_t i = 0; i < p->segment_cnt; i++) {
		if (run->next == p->segments[i].base || run->first == p->segments[i].next)
			return true;
	}
	return false;
}

static int
end_run(struct pst_repairing *p, const struct pst_repair_source *source, int file, struct run *run)
{
	struct pst_repair_item item = {
		.kind = PST_REPAIR_KEEPS,
		.pos = run->pos,
		.bytes = run->end - run->pos,
		.first_offset = run->first,
		.last_offset = run->next - 1,
	};
	int rc = 0;
	if (run->batch_cnt == 0)
		return 0;
	snprintf(item.file, sizeof(item.file), "%s", source->name);
	if (run->place == PLACE_FREE && confirmed(p, run))
		item.kind = PST_REPAIR_PUTS_BACK;
	if (run->place != PLACE_THERE)
		pst_repairing_say(p, &item);
	if (item.kind == PST_REPAIR_PUTS_BACK)
		rc = put_back(p, file, run);
	run->batch_cnt = 0;
	if (rc < 0 || item.kind != PST_REPAIR_PUTS_BACK)
		return rc;
	/* It is part of the log now, also for the rest of a dry run. */
	struct pst_repair_segment *grown = realloc(
		p->segments, (p->segment_cnt + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	p->segments = grown;
	uint32_t i = p->segment_cnt++;
	for (; i > 0 && grown[i - 1].base > run->first; i--)
		grown[i] = grown[i - 1];
	grown[i] = (struct pst_repair_segment){run->first, run->next, item.bytes};
	return 0;
}

static int
tell_damage(struct pst_repairing *p, const struct pst_repair_source *source, int file, uint64_t pos,
	uint64_t end)
{
	struct pst_repair_item item = {.kind = PST_REPAIR_DAMAGED, .pos = pos, .bytes = end - pos};
	uint8_t buf[4096];
	if (end <= pos)
		return 0;
	snprintf(item.file, sizeof(item.file), "%s", source->name);
	while (pos < end) {
		int64_t n = p->disk->ops->read(
			p->disk, file, buf, pst_min_u64(sizeof(buf), end - pos), pos);
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		item.crc = pst_batch_crc32c(item.crc, buf, (size_t)n);
		pos += (uint64_t)n;
	}
	pst_repairing_say(p, &item);
	return 0;
}

/* One more good batch. */
static int
take(struct pst_repairing *p, const struct pst_repair_source *source, int file, struct run *run)
{
	enum place place;
	int rc = place_of(p, &place);
	if (rc == 0 && run->batch_cnt > 0 &&
		(run->next != p->scan.info.base_offset || run->end != p->scan.batch_pos ||
			run->place != place))
		rc = end_run(p, source, file, run);
	if (rc < 0)
		return rc;
	if (run->batch_cnt++ == 0)
		*run = (struct run){place, p->scan.batch_pos, 0, p->scan.info.base_offset, 0, 1};
	run->end = p->scan.pos;
	run->next = pst_batch_last_offset(&p->scan.info) + 1;
	return 0;
}

static int
look_through(struct pst_repairing *p, const struct pst_repair_source *source, int file)
{
	struct pst_disk_stat st;
	struct run run = {0};
	struct pst_scan *scan = &p->scan;
	int rc = p->disk->ops->stat(p->disk, file, &st);
	uint64_t pos = source->from;
	p->seen.set = false;
	if (rc == 0)
		pst_scan_start(scan, file, pos, st.bytes);
	while (rc == 0 && pos < st.bytes) {
		enum pst_scan_found found = pst_scan_find(scan, pos, 0);
		if (found == PST_FOUND_IO)
			return scan->error;
		uint64_t at = found == PST_FOUND_BATCH ? scan->pos : st.bytes;
		if (at > pos) {
			rc = end_run(p, source, file, &run);
			if (rc == 0)
				rc = tell_damage(p, source, file, pos, at);
		}
		pos = at;
		if (rc < 0 || found != PST_FOUND_BATCH)
			break;
		enum pst_scan_result result = pst_scan_next(scan, true);
		if (result != PST_SCAN_BATCH)
			return result == PST_SCAN_IO ? scan->error : -EIO;
		pos = scan->pos;
		rc = take(p, source, file, &run);
	}
	return rc < 0 ? rc : end_run(p, source, file, &run);
}

int
pst_repairing_salvage(struct pst_repairing *p)
{
	int rc = 0;
	for (uint32_t i = 0; rc == 0 && i < p->source_cnt; i++) {
		int file = p->disk->ops->open(p->disk, p->dir, p->sources[i].name, 0);
		if (file < 0)
			return file;
		rc = look_through(p, &p->sources[i], file);
		p->disk->ops->close(p->disk, file);
	}
	return rc;
}
