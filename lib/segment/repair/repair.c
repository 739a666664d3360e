#include "segment/repair/repair.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segment/reading.h"
#include "segment/repair/repairing.h"

const char *
pst_repair_kind_name(enum pst_repair_kind kind)
{
	static const char *const names[PST_REPAIR_KIND_CNT] = {
		[PST_REPAIR_RECOVERS] = "recovers",
		[PST_REPAIR_SETS_ASIDE] = "sets_aside",
		[PST_REPAIR_PUTS_BACK] = "puts_back",
		[PST_REPAIR_SEALS] = "seals",
		[PST_REPAIR_KEEPS] = "keeps",
		[PST_REPAIR_DAMAGED] = "damaged",
		[PST_REPAIR_LOST] = "lost",
	};
	PST_ASSERT((unsigned)kind < PST_REPAIR_KIND_CNT);
	return names[kind];
}

void
pst_repairing_say(struct pst_repairing *p, const struct pst_repair_item *item)
{
	struct pst_repair_item said = *item;
	said.partition = p->name;
	p->totals->action_cnt += said.kind <= PST_REPAIR_SEALS;
	if (said.kind == PST_REPAIR_LOST)
		p->totals->lost_cnt += (uint64_t)(said.last_offset - said.first_offset + 1);
	if (p->config->say)
		p->config->say(p->config->arg, &said);
}

static int
add_source(struct pst_repairing *p, const char *name, int64_t base, uint64_t from)
{
	struct pst_repair_source *grown = realloc(p->sources, (p->source_cnt + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	p->sources = grown;
	grown[p->source_cnt] = (struct pst_repair_source){.base = base, .from = from};
	snprintf(grown[p->source_cnt++].name, PST_SEGMENT_NAME_BYTES, "%s", name);
	return 0;
}

static int
visit(void *arg, const char *name)
{
	struct pst_repairing *p = arg;
	int64_t base;
	enum pst_segment_file kind;
	size_t len = strlen(name);
	if (pst_segment_name_damaged(name, &base)) {
		bool unfinished = len > 4 && strcmp(name + len - 4, ".tmp") == 0;
		return unfinished || len >= PST_SEGMENT_NAME_BYTES ? 0
								   : add_source(p, name, base, 0);
	}
	if (!pst_segment_name_parse(name, &base, &kind))
		return 0;
	p->sealed = p->sealed || kind == PST_SEGMENT_SEAL;
	if (kind != PST_SEGMENT_LOG)
		return 0;
	struct pst_repair_segment *grown = realloc(
		p->segments, (p->segment_cnt + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	p->segments = grown;
	grown[p->segment_cnt++] = (struct pst_repair_segment){.base = base, .next = base};
	return 0;
}

static int
by_base(const void *a, const void *b)
{
	const struct pst_repair_segment *x = a, *y = b;
	return (x->base > y->base) - (x->base < y->base);
}

/* In a fixed order: what is put back must not depend on the directory's. */
static int
by_place(const void *a, const void *b)
{
	const struct pst_repair_source *x = a, *y = b;
	return x->base != y->base ? (x->base > y->base) - (x->base < y->base)
				  : strcmp(x->name, y->name);
}

int
pst_repairing_list(struct pst_repairing *p)
{
	p->segment_cnt = p->source_cnt = 0;
	int rc = p->disk->ops->list(p->disk, p->dir, visit, p);
	if (rc == 0 && p->segment_cnt > 0)
		qsort(p->segments, p->segment_cnt, sizeof(*p->segments), by_base);
	if (rc == 0 && p->source_cnt > 0)
		qsort(p->sources, p->source_cnt, sizeof(*p->sources), by_place);
	return rc;
}

int
pst_repairing_indexes(struct pst_repairing *p, int64_t base)
{
	struct pst_log log = {.dir = p->dir};
	struct pst_recovery report = {0};
	struct pst_found_segment segment = {.base_offset = base};
	struct pst_recover r = {.log = &log, .disk = p->disk, .report = &report};
	r.seg = p->seg;
	int rc = pst_recover_indexes(&r, &segment, true);
	p->seg = r.seg; /* its images may have moved */
	return rc;
}

static void
forget(struct pst_repairing *p, uint32_t i)
{
	p->segment_cnt--;
	memmove(&p->segments[i], &p->segments[i + 1], (p->segment_cnt - i) * sizeof(*p->segments));
}

/* Takes what is behind the good batches out of a closed segment. */
static int
set_aside(struct pst_repairing *p, int64_t base, int file, uint64_t pos, uint64_t bytes)
{
	struct pst_disk *disk = p->disk;
	char name[PST_SEGMENT_NAME_BYTES];
	if (pos > 0) {
		int rc = pst_set_aside_tail(disk, p->dir, base, file, pos, bytes, name);
		if (rc == 0)
			rc = disk->ops->truncate(disk, file, pos);
		return rc < 0 ? rc : disk->ops->sync(disk, file);
	}
	int rc = pst_set_aside_all(disk, p->dir, base, file, bytes, name);
	if (rc == 0)
		rc = pst_seal_set_aside(disk, p->dir, base);
	for (int f = PST_SEGMENT_INDEX; rc == 0 && f <= PST_SEGMENT_TIMEINDEX; f++) {
		pst_segment_name(name, base, (enum pst_segment_file)f);
		rc = disk->ops->unlink(disk, p->dir, name);
		rc = rc == -ENOENT ? 0 : rc;
	}
	return rc < 0 ? rc : disk->ops->sync(disk, p->dir);
}

/* Damage of segment i from pos on. *gone: nothing of it is left in the log. */
static int
damage(struct pst_repairing *p, uint32_t i, int file, uint64_t pos, uint64_t bytes, bool *gone)
{
	int64_t base = p->segments[i].base;
	bool end = base == p->end_base;
	struct pst_repair_item item = {
		.kind = end ? PST_REPAIR_RECOVERS : PST_REPAIR_SETS_ASIDE,
		.pos = pos,
		.bytes = bytes - pos,
		.first_offset = base,
	};
	pst_segment_name(item.file, base, PST_SEGMENT_LOG);
	item.last_offset = p->seg.next_offset - 1;
	pst_repairing_say(p, &item);
	*gone = pos == 0;
	return p->apply ? set_aside(p, base, file, pos, bytes)
			: add_source(p, item.file, base, pos);
}

/* Reads segment i whole; sets what is wrong with it aside. */
static int
check_segment(struct pst_repairing *p, uint32_t i, bool *gone)
{
	struct pst_repair_segment *segment = &p->segments[i];
	struct pst_disk_stat st;
	char name[PST_SEGMENT_NAME_BYTES];
	bool end = segment->base == p->end_base;
	*gone = false;
	pst_segment_name(name, segment->base, PST_SEGMENT_LOG);
	int file = p->disk->ops->open(p->disk, p->dir, name, p->apply && !end ? PST_DISK_WRITE : 0);
	if (file < 0)
		return file;
	int rc = p->disk->ops->stat(p->disk, file, &st);
	uint64_t limit = end ? pst_min_u64(st.bytes, p->end_bytes) : st.bytes;
	p->seg.base_offset = segment->base;
	p->seg.whole_from = 0;
	p->seg.each = NULL;
	pst_scan_start(&p->scan, file, 0, limit);
	pst_segment_scan_begin(&p->seg);
	if (rc == 0)
		rc = pst_segment_scan_run(&p->seg, &p->scan);
	if (rc == 0 && p->seg.result == PST_SCAN_IO)
		rc = p->seg.error;
	segment->bytes = p->seg.good_bytes;
	segment->next = p->seg.next_offset;
	bool trim = i + 1 < p->segment_cnt && p->segments[i + 1].base == segment->next;
	bool bad = rc == 0 && p->seg.result == PST_SCAN_BAD;
	if (bad && !(trim && pst_scan_zeros(&p->scan, segment->bytes) == 1))
		rc = damage(p, i, file, segment->bytes, limit, gone);
	p->disk->ops->close(p->disk, file);
	if (rc == 0 && p->apply && !*gone && !end)
		rc = pst_repairing_indexes(p, p->segments[i].base);
	return rc;
}

static int
check_segments(struct pst_repairing *p)
{
	for (uint32_t i = 0; i < p->segment_cnt;) {
		bool gone;
		int rc = 0;
		/* Behind the durable end lies what nobody was promised. */
		bool behind = p->segments[i].base > p->end_base;
		if (!behind)
			rc = check_segment(p, i, &gone);
		if (rc < 0)
			return rc;
		if (behind || gone)
			forget(p, i);
		else
			i++;
	}
	return 0;
}

/* The sources anew, as they are after what was set aside. */
static int
list_sources(struct pst_repairing *p)
{
	struct pst_repair_segment *segments = p->segments;
	uint32_t cnt = p->segment_cnt;
	p->segments = NULL;
	int rc = pst_repairing_list(p);
	free(p->segments);
	p->segments = segments;
	p->segment_cnt = cnt;
	return rc;
}

/* Offsets before the first segment are lost only if it was there when this repair began: what was
 * before it may have been retired. */
static void
tell_lost(struct pst_repairing *p, int64_t oldest)
{
	for (uint32_t i = 0; i < p->segment_cnt; i++) {
		struct pst_repair_item item = {
			.kind = PST_REPAIR_LOST,
			.first_offset = i > 0 ? p->segments[i - 1].next : oldest,
			.last_offset = p->segments[i].base - 1,
		};
		pst_segment_name(item.file, p->segments[i].base, PST_SEGMENT_LOG);
		if (item.last_offset >= item.first_offset)
			pst_repairing_say(p, &item);
	}
}

static int
repair(struct pst_repairing *p)
{
	int rc = pst_repairing_list(p);
	int64_t oldest = rc == 0 && p->segment_cnt > 0 ? p->segments[0].base : INT64_MAX;
	if (rc == 0)
		rc = check_segments(p);
	if (rc == 0 && p->apply)
		rc = list_sources(p);
	if (rc == 0)
		rc = pst_repairing_salvage(p);
	for (uint32_t i = 0; rc == 0 && i < p->segment_cnt; i++) {
		if (p->sealed && p->segments[i].base != p->end_base)
			rc = pst_repairing_reseal(p, &p->segments[i]);
	}
	if (rc == 0)
		tell_lost(p, oldest);
	return rc;
}

static int
begin(struct pst_repairing *p, int top)
{
	int rc = p->dir = p->disk->ops->open(p->disk, top, p->name, PST_DISK_DIR);
	if (rc < 0)
		return rc;
	rc = pst_scan_init(&p->scan, p->disk);
	if (rc == 0)
		rc = pst_scan_init(&p->other, p->disk);
	if (rc == 0)
		rc = pst_seal_init(&p->seal);
	if (rc == 0)
		rc = pst_seal_init(&p->old);
	return rc;
}

static void
end(struct pst_repairing *p)
{
	if (p->dir >= 0)
		p->disk->ops->close(p->disk, p->dir);
	pst_scan_fini(&p->scan);
	pst_scan_fini(&p->other);
	pst_segment_scan_fini(&p->seg);
	pst_seal_fini(&p->seal);
	pst_seal_fini(&p->old);
	free(p->segments);
	free(p->sources);
}

/* Up to where the log is durable, without changing anything. */
static int
find_end(struct pst_repairing *p, int top)
{
	struct pst_reading reading;
	int rc = pst_reading_open(&reading, p->disk, top, p->name);
	if (rc < 0)
		return rc;
	rc = pst_reading_refresh(&reading);
	p->end_base = reading.end.segment_base;
	p->end_bytes = reading.end.segment_bytes;
	if (rc == 0 && reading.source != PST_END_CLEAN)
		pst_repairing_say(p, &(struct pst_repair_item){.kind = PST_REPAIR_RECOVERS});
	pst_reading_close(&reading);
	return rc;
}

struct all {
	struct pst_disk *disk;
	const struct pst_repair_config *config;
	struct pst_repair_totals *totals;
	struct pst_diag *diag;
	int top;
	struct pst_appender *app; /* with apply */
};

/* As the daemon would at its start. */
static int
recover(struct all *all, struct pst_repairing *p, const char *topic, uint32_t partition)
{
	struct pst_log_config config = {
		.topic = topic,
		.partition = partition,
		.segment_bytes_max = PST_SEGMENT_POSITION_MAX,
		.sealed = p->sealed,
	};
	struct pst_recovery recovery;
	int idx = pst_appender_add(all->app, &config, &recovery, all->diag);
	if (idx < 0)
		return -1;
	if (!recovery.clean)
		pst_repairing_say(p, &(struct pst_repair_item){.kind = PST_REPAIR_RECOVERS});
	const struct pst_log *log = all->app->logs[idx];
	p->end_base = log->durable.segment_base;
	p->end_bytes = log->durable.segment_bytes;
	return 0;
}

static bool
chosen(const struct pst_repair_config *config, const char *name)
{
	for (unsigned i = 0; i < config->partition_cnt; i++) {
		if (strcmp(config->partitions[i], name) == 0)
			return true;
	}
	return config->partition_cnt == 0;
}

static int
repair_partition(void *arg, const char *name)
{
	struct all *all = arg;
	char topic[PST_TOPIC_LEN_MAX + 1];
	uint32_t partition;
	struct pst_repairing p = {.config = all->config,
		.totals = all->totals,
		.disk = all->disk,
		.apply = all->config->apply,
		.dir = -1};
	if (!pst_log_dir_parse(name, topic, &partition) || !chosen(all->config, name))
		return 0;
	snprintf(p.name, sizeof(p.name), "%s", name);
	int rc = begin(&p, all->top);
	if (rc == -ENOTDIR || rc == -ELOOP) {
		end(&p);
		return 0;
	}
	all->totals->partition_cnt++;
	if (rc == 0)
		rc = pst_repairing_list(&p); /* for what it says of seals */
	if (rc == 0)
		rc = p.apply ? recover(all, &p, topic, partition) : find_end(&p, all->top);
	bool said = rc < 0 && p.apply && all->diag->text[0];
	if (rc == 0)
		rc = repair(&p);
	end(&p);
	if (rc == 0 || said)
		return rc;
	return pst_diag_set(all->diag, name, 0, NULL,
		rc == -ENOSPC ? "free some space: a copy of what is damaged is kept" : NULL,
		"cannot be repaired: %s", strerror(-rc));
}

/* The directory's lock, without making anything else there. */
static int
lock(struct pst_disk *disk, const struct pst_repair_config *config, int top, int *file,
	struct pst_diag *diag)
{
	long pid = 0;
	int there = disk->ops->open(disk, top, PST_LOCK_NAME, 0);
	if (there < 0)
		return pst_diag_set(diag, config->data_dir, 0, NULL, "name a data directory",
			"no %s: %s", PST_LOCK_NAME, strerror(-there));
	pst_lock_read(disk, there, &pid);
	disk->ops->close(disk, there);
	int rc = disk->ops->lock(disk, top, PST_LOCK_NAME, file);
	if (rc == 0)
		return 0;
	if (rc == -EWOULDBLOCK)
		disk->ops->close(disk, *file);
	return pst_diag_set(diag, config->data_dir, 0, NULL,
		rc == -EWOULDBLOCK ? "stop the daemon first" : NULL,
		rc == -EWOULDBLOCK ? "in use by penstockd, pid %ld" : "cannot be locked (%ld)",
		rc == -EWOULDBLOCK ? pid : (long)-rc);
}

static int
check_chosen(const struct all *all)
{
	for (unsigned i = 0; i < all->config->partition_cnt; i++) {
		const char *name = all->config->partitions[i];
		int dir = all->disk->ops->open(all->disk, all->top, name, PST_DISK_DIR);
		if (dir < 0)
			return pst_diag_set(all->diag, name, 0, NULL,
				"partitions are called <topic>-<number>", "no such partition: %s",
				strerror(-dir));
		all->disk->ops->close(all->disk, dir);
	}
	return 0;
}

static int
repair_each(struct all *all)
{
	if (check_chosen(all) < 0)
		return -1;
	int rc = all->disk->ops->list(all->disk, all->top, repair_partition, all);
	if (rc < 0 && !all->diag->text[0])
		return pst_diag_set(all->diag, all->config->data_dir, 0, NULL, NULL,
			"cannot be read: %s", strerror(-rc));
	return rc < 0 ? -1 : 0;
}

static int
apply(struct all *all)
{
	struct pst_datadir *dir;
	if (pst_datadir_open_on(all->disk, all->config->data_dir, &dir, all->diag) < 0)
		return -1;
	struct pst_appender_config config = {.dir = dir, .piece_cnt = 2};
	int rc = pst_appender_create(&config, &all->app, all->diag);
	if (rc == 0) {
		rc = repair_each(all);
		int err = pst_appender_destroy(all->app);
		if (rc == 0 && err < 0)
			rc = pst_diag_set(all->diag, all->config->data_dir, 0, NULL, NULL,
				"the logs cannot be closed: %s", strerror(-err));
	}
	pst_datadir_close(dir);
	return rc;
}

int
pst_repair(struct pst_disk *disk, const struct pst_repair_config *config,
	struct pst_repair_totals *totals, struct pst_diag *diag)
{
	struct all all = {.disk = disk ? disk : pst_disk_real(),
		.config = config,
		.totals = totals,
		.diag = diag};
	int file;
	memset(totals, 0, sizeof(*totals));
	memset(diag, 0, sizeof(*diag));
	all.top = pst_reading_open_top(all.disk, config->data_dir, diag);
	if (all.top < 0)
		return -1;
	int rc = lock(all.disk, config, all.top, &file, diag);
	if (rc == 0) {
		if (!config->apply)
			rc = repair_each(&all);
		all.disk->ops->unlock(all.disk, file);
		if (config->apply)
			rc = apply(&all);
	}
	all.disk->ops->close(all.disk, all.top);
	return rc;
}
