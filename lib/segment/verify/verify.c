#include "segment/verify/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "segment/replace.h"
#include "segment/verify/verifying.h"

static void
tell(struct pst_verifying *v, bool harmless, const char *name, uint64_t pos, const char *text)
{
	if (v->sink->finding)
		v->sink->finding(v->sink->arg, v->log.name, name, pos, harmless, text);
}

/* The first place that is not as it should be. */
static void
remember(struct pst_verifying *v, const char *name, uint64_t pos, int64_t offset, const char *text)
{
	if (v->said.wrong)
		return;
	snprintf(v->wrong, sizeof(v->wrong), "%s:%" PRIu64 ": %s", name ? name : v->log.name, pos,
		text);
	v->said.whole_to = offset;
	v->said.wrong = v->wrong;
	while (v->said.range_cnt > 0 && v->ranges[v->said.range_cnt - 1].from >= offset)
		v->said.range_cnt--;
	if (v->said.range_cnt > 0 && v->ranges[v->said.range_cnt - 1].to > offset)
		v->ranges[v->said.range_cnt - 1].to = offset;
}

static bool
is_index(const char *name)
{
	size_t len = name ? strlen(name) : 0;
	return len > 5 && strcmp(name + len - 5, "index") == 0;
}

void
pst_verify_finding(struct pst_verifying *v, const char *name, uint64_t pos, const char *fmt, ...)
{
	char text[PST_VERIFY_TEXT_BYTES / 2];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tell(v, false, name, pos, text);
	/* Indexes are made from the log: the log is whole without them. */
	if (!is_index(name))
		remember(v, name, pos, v->seg.next_offset, text);
	v->totals->finding_cnt++;
}

void
pst_verify_note(struct pst_verifying *v, const char *name, uint64_t pos, const char *fmt, ...)
{
	char text[PST_VERIFY_TEXT_BYTES / 2];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tell(v, true, name, pos, text);
	v->totals->note_cnt++;
}

void
pst_verify_gap(struct pst_verifying *v, const char *name, int64_t offset, const char *fmt, ...)
{
	char text[PST_VERIFY_TEXT_BYTES / 2];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tell(v, true, name, 0, text);
	remember(v, name, 0, offset, text);
	v->totals->note_cnt++;
}

/* Names that are neither segments nor Kafka's own. */
static int
look_at_name(void *arg, const char *name)
{
	struct pst_verifying *v = arg;
	int64_t base;
	enum pst_segment_file kind;
	if (pst_segment_name_damaged(name, &base)) {
		int64_t *grown = realloc(v->damaged, (v->damaged_cnt + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		v->damaged = grown;
		grown[v->damaged_cnt++] = base;
		pst_verify_note(v, name, 0, "damaged bytes that recovery set aside");
	} else if (strlen(name) > 33 && strncmp(name + 20, ".seal.damaged-", 14) == 0) {
		pst_verify_note(v, name, 0, "a seal that was set aside");
	} else if (pst_replace_unfinished(name)) {
		if (v->log.source != PST_END_LIVE)
			pst_verify_note(v, name, 0, "unfinished: removed at the next start");
	} else if (!pst_segment_name_parse(name, &base, &kind)) {
		pst_verify_note(v, name, 0, "not penstock's");
	} else if (kind != PST_SEGMENT_LOG) {
		bool has_log = false;
		for (uint32_t i = 0; i < v->log.base_cnt && !has_log; i++)
			has_log = v->log.bases[i] == base;
		/* A daemon may be making or removing the segment just now. */
		if (!has_log && v->log.source != PST_END_LIVE)
			pst_verify_note(v, name, 0, "of a segment that is not there");
	}
	return 0;
}

/* The segment that has the durable end is not there. Only a start that was cut off leaves that:
 * where it had just set all of it aside, it was the last one, and nothing in it was promised. */
static void
without_end(struct pst_verifying *v)
{
	const struct pst_reading *log = &v->log;
	const struct pst_durable *end = &log->end;
	if (log->base_cnt == 0 && end->next_offset == 0)
		return; /* it is still to be made */
	if (end->segment_bytes == 0 && v->expected == end->next_offset &&
		log->bases[log->base_cnt - 1] < end->segment_base &&
		pst_verify_set_aside(v, end->segment_base, end->segment_base))
		pst_verify_note(v, NULL, 0,
			"segment %" PRId64 " was set aside, and is made anew at the next start",
			end->segment_base);
	else
		pst_verify_finding(v, NULL, 0,
			"segment %" PRId64 ", which has the durable end, is missing",
			end->segment_base);
}

static int
verify_log(struct pst_verifying *v)
{
	struct pst_reading *log = &v->log;
	/* The end first: what is listed afterwards is all that it speaks of. */
	int rc = pst_reading_refresh(log);
	if (rc == 0)
		rc = pst_reading_list(log);
	if (rc == 0)
		rc = log->disk->ops->list(log->disk, log->dir, look_at_name, v);
	if (rc < 0)
		return rc;
	v->expected = v->unsealed_from = -1;
	v->said.name = log->name;
	v->said.from = log->base_cnt > 0 ? log->bases[0] : log->end.next_offset;
	v->said.to = v->said.whole_to = log->end.next_offset;
	bool has_end = false;
	for (uint32_t i = 0; i < log->base_cnt; i++) {
		if (log->bases[i] > log->end.segment_base) {
			char name[PST_SEGMENT_NAME_BYTES];
			pst_segment_name(name, log->bases[i], PST_SEGMENT_LOG);
			if (log->source != PST_END_LIVE)
				pst_verify_note(v, name, 0, "behind the durable end");
			continue;
		}
		has_end = has_end || log->bases[i] == log->end.segment_base;
		rc = pst_verify_segment(v, i);
		if (rc < 0)
			return rc;
	}
	if (!has_end)
		without_end(v);
	return 0;
}

struct top {
	struct pst_disk *disk;
	int dir;
	const struct pst_verify_sink *sink;
	struct pst_verify_totals *totals;
	int error;
};

static int
verify_partition(void *arg, const char *name)
{
	struct top *top = arg;
	char topic[PST_TOPIC_LEN_MAX + 1];
	uint32_t partition;
	if (!pst_log_dir_parse(name, topic, &partition))
		return 0;
	struct pst_verifying v = {.sink = top->sink, .totals = top->totals};
	int rc = pst_reading_open(&v.log, top->disk, top->dir, name);
	if (rc == -ENOTDIR || rc == -ELOOP)
		return 0;
	if (rc == 0) {
		rc = pst_batch_decoder_create(PST_BATCH_RAW_BYTES_MAX, &v.decoder);
		if (rc == 0) {
			rc = pst_seal_init(&v.seal);
			if (rc == 0)
				rc = verify_log(&v);
			pst_batch_decoder_destroy(v.decoder);
		}
		pst_segment_scan_fini(&v.seg);
		top->totals->partition_cnt++;
		if (rc < 0)
			pst_verify_finding(&v, NULL, 0, "cannot be read: %s", strerror(-rc));
		v.said.name = name;
		v.said.ranges = v.ranges;
		if (top->sink->partition)
			top->sink->partition(top->sink->arg, &v.said);
		pst_seal_fini(&v.seal);
		free(v.damaged);
		free(v.ranges);
		pst_reading_close(&v.log);
	}
	/* One partition that cannot be read does not hide the others. */
	if (rc < 0 && top->error == 0)
		top->error = rc;
	return 0;
}

int
pst_verify_with(struct pst_disk *disk, const char *data_dir, const struct pst_verify_sink *sink,
	struct pst_verify_totals *totals)
{
	struct top top = {.disk = disk ? disk : pst_disk_real(), .sink = sink, .totals = totals};
	memset(totals, 0, sizeof(*totals));
	top.dir = top.disk->ops->open(top.disk, PST_DISK_CWD, data_dir, PST_DISK_DIR);
	if (top.dir < 0)
		return top.dir;
	int rc = top.disk->ops->list(top.disk, top.dir, verify_partition, &top);
	top.disk->ops->close(top.disk, top.dir);
	return rc < 0 ? rc : top.error;
}

struct lines {
	const char *data_dir;
	FILE *out;
};

static void
print_line(void *arg, const char *partition, const char *file, uint64_t pos, bool harmless,
	const char *text)
{
	struct lines *lines = arg;
	fprintf(lines->out, "%s/%s%s%s:%" PRIu64 ": %s%s\n", lines->data_dir, partition,
		file ? "/" : "", file ? file : "", pos, harmless ? "note: " : "", text);
}

int
pst_verify_on(
	struct pst_disk *disk, const char *data_dir, FILE *out, struct pst_verify_totals *totals)
{
	struct lines lines = {data_dir, out};
	struct pst_verify_sink sink = {.arg = &lines, .finding = out ? print_line : NULL};
	return pst_verify_with(disk, data_dir, &sink, totals);
}

int
pst_verify(const char *data_dir, FILE *out, struct pst_verify_totals *totals)
{
	return pst_verify_on(pst_disk_real(), data_dir, out, totals);
}
