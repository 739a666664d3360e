/* Many partitions recovered side by side. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "segment/test_fixture.h"

#define RESERVED_BYTES (1024u * 1024) /* ahead, of a small log */
#define MANY           1000
#define SEVERAL        24

struct many {
	struct pst_datadir *dir;
	struct pst_appender *apps[2];
	struct pst_log_add adds[MANY];
	unsigned cnt;
};

static void
many_config(struct many *m)
{
	for (unsigned i = 0; i < m->cnt; i++)
		m->adds[i] = (struct pst_log_add){
			.app = m->apps[i % 2],
			.config = {.topic = i < m->cnt / 2 ? "a" : "b",
				.partition = i < m->cnt / 2 ? i : i - m->cnt / 2,
				.segment_bytes_max = 1024 * 1024},
		};
}

static int
many_open(struct many *m, struct pst_disk *disk, const char *path, unsigned threads,
	void (*say)(void *arg, const struct pst_add_progress *progress), void *arg,
	struct pst_diag *diag)
{
	cr_assert_eq(pst_datadir_open_on(disk, path, &m->dir, diag), 0, "%s", diag->text);
	struct pst_appender_config config = {.dir = m->dir, .piece_cnt = 4};
	for (int a = 0; a < 2; a++)
		cr_assert_eq(pst_appender_create(&config, &m->apps[a], diag), 0, "%s", diag->text);
	many_config(m);
	return pst_appender_add_all(m->adds, m->cnt, threads, say, arg, diag);
}

static void
many_close(struct many *m)
{
	for (int a = 0; a < 2; a++)
		cr_assert_eq(pst_appender_destroy(m->apps[a]), 0);
	pst_datadir_close(m->dir);
}

/* One batch to each partition, durable. */
static void
many_append(struct many *m, struct fix *f, unsigned rounds)
{
	struct pst_append_done done[64];
	for (unsigned i = 0; i < m->cnt * rounds; i++) {
		struct pst_log_add *add = &m->adds[i % m->cnt];
		fix_batch(f, 2, 100 + i % 7 * 400, 1000 + i);
		while (pst_append(add->app, add->log_idx, f->batch, f->batch_bytes, m, 1) ==
			-EAGAIN)
			pst_appender_poll(add->app, 1, done, 64);
	}
	for (int a = 0; a < 2; a++) {
		do {
			pst_appender_flush(m->apps[a]);
			pst_appender_poll(m->apps[a], 1, done, 64);
		} while (!pst_appender_idle(m->apps[a]));
	}
}

static uint64_t
generation_of(struct many *m)
{
	static struct pst_mark marks[PST_LIVE_SLOTS_MAX];
	uint32_t cnt;
	uint64_t generation;
	cr_assert_eq(pst_durable_load(m->dir->disk, m->dir->fd, marks, &cnt, &generation), 0);
	cr_assert_eq(cnt, m->cnt);
	return generation;
}

static void
shell(const char *fmt, const char *a, const char *b)
{
	char command[512];
	snprintf(command, sizeof(command), fmt, a, b);
	cr_assert_eq(system(command), 0, "%s", command);
}

/* A thousand partitions that were killed: all are there, and the marks, 320 KB of them, are not
 * written once for each. */
Test(recovery, of_a_thousand_partitions, .timeout = 120)
{
	static struct many m;
	struct pst_diag diag;
	struct rlimit files;
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_max < 2 * 4 * MANY + 100)
		cr_skip_test("the limit of open files is %llu", (unsigned long long)files.rlim_max);
	struct fix *f = fix_new(true);
	m.cnt = MANY;
	cr_assert_eq(
		many_open(&m, pst_disk_real(), f->path, 2, NULL, NULL, &diag), 0, "%s", diag.text);
	uint64_t before = generation_of(&m);
	cr_assert_leq(before, 3, "a checkpoint for each partition");
	many_append(&m, f, 1);
	struct fix *copy = fix_snapshot(f, true);
	many_close(&m);
	cr_assert_eq(many_open(&m, pst_disk_real(), copy->path, 2, NULL, NULL, &diag), 0, "%s",
		diag.text);
	cr_assert_leq(generation_of(&m), before + 3);
	for (unsigned i = 0; i < m.cnt; i++) {
		cr_assert_eq(m.adds[i].recovery.next_offset, 2);
		cr_assert_not(m.adds[i].recovery.clean);
		cr_assert_gt(m.adds[i].recovery.checked_bytes, 0);
		cr_assert_eq(m.adds[i].log_idx, (int)(i / 2));
	}
	many_close(&m);
	cr_assert_eq(many_open(&m, pst_disk_real(), copy->path, 2, NULL, NULL, &diag), 0);
	for (unsigned i = 0; i < m.cnt; i++)
		cr_assert(m.adds[i].recovery.clean);
	many_close(&m);
	fix_free(copy);
	fix_free(f);
}

/* Harm of every kind: the order in which partitions are recovered makes no difference. */
Test(recovery, side_by_side_as_one_by_one)
{
	static struct many m;
	struct pst_diag diag;
	struct fix *f = fix_new(true);
	m.cnt = SEVERAL;
	cr_assert_eq(many_open(&m, pst_disk_real(), f->path, 1, NULL, NULL, &diag), 0);
	many_append(&m, f, 20);
	struct fix *copy = fix_snapshot(f, true);
	many_close(&m);
	shell("cd %s && rm penstock.durable && for d in a-*[05] b-[17]; do "
	      "truncate -s %s $d/00000000000000000000.log; done",
		copy->path, "9999");
	shell("cd %s && for d in a-[13] b-*2; do printf x%s | dd bs=1 seek=9000 conv=notrunc "
	      "of=$d/00000000000000000000.log status=none; done",
		copy->path, "yz");
	shell("cd %s && rm %s/*.index", copy->path, "b-3");
	struct fix *other = fix_snapshot(copy, true);
	struct pst_log_add first[SEVERAL];
	cr_assert_eq(many_open(&m, pst_disk_real(), copy->path, 1, NULL, NULL, &diag), 0);
	memcpy(first, m.adds, sizeof(first));
	many_close(&m);
	cr_assert_eq(many_open(&m, pst_disk_real(), other->path, 8, NULL, NULL, &diag), 0);
	unsigned set_aside = 0, cut = 0;
	for (unsigned i = 0; i < m.cnt; i++) {
		const struct pst_recovery *r = &m.adds[i].recovery;
		cr_assert_eq(memcmp(r, &first[i].recovery, sizeof(*r)), 0, "partition %u", i);
		set_aside += r->set_aside_bytes > 0;
		cut += r->cut_bytes > 0;
	}
	cr_assert_gt(set_aside, 2);
	cr_assert_gt(cut, 2);
	many_close(&m);
	shell("diff -r -x penstock.lock %s %s", copy->path, other->path);
	fix_free(other);
	fix_free(copy);
	fix_free(f);
}

/* ---- a disk whose reads wait until somebody was told how far it is ---- */

static struct pst_disk_ops slow_ops;
static pthread_mutex_t slow_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t slow_cond = PTHREAD_COND_INITIALIZER;
static bool slow_armed, slow_told;
static struct pst_add_progress slow_heard;

static int64_t
slow_read(struct pst_disk *disk, int file, void *buf, uint64_t len, uint64_t pos)
{
	pthread_mutex_lock(&slow_lock);
	while (slow_armed && len > 8192 && !slow_told)
		pthread_cond_wait(&slow_cond, &slow_lock);
	pthread_mutex_unlock(&slow_lock);
	return pst_disk_real()->ops->read(disk, file, buf, len, pos);
}

static void
hear(void *arg, const struct pst_add_progress *progress)
{
	pthread_mutex_lock(&slow_lock);
	slow_heard = *progress;
	slow_told = true;
	pthread_cond_broadcast(&slow_cond);
	pthread_mutex_unlock(&slow_lock);
}

Test(recovery, says_how_far_it_is)
{
	static struct many m;
	struct pst_diag diag;
	struct fix *f = fix_new(true);
	m.cnt = 6;
	cr_assert_eq(many_open(&m, pst_disk_real(), f->path, 1, NULL, NULL, &diag), 0);
	many_append(&m, f, 20);
	uint64_t bytes = 0, checked = 0;
	struct fix *copy = fix_snapshot(f, true);
	many_close(&m);
	slow_ops = *pst_disk_real()->ops;
	slow_ops.read = slow_read;
	struct pst_disk disk = {.ops = &slow_ops};
	slow_armed = true;
	cr_assert_eq(many_open(&m, &disk, copy->path, 2, hear, NULL, &diag), 0);
	slow_armed = false;
	for (unsigned i = 0; i < m.cnt; i++)
		checked += m.adds[i].recovery.checked_bytes;
	for (unsigned i = 0; i < m.cnt; i++) {
		struct pst_log_stats stats;
		pst_log_stats(m.adds[i].app, m.adds[i].log_idx, &stats);
		bytes += stats.log_bytes;
	}
	cr_assert_geq(checked, bytes); /* what was reserved lies at the end of each */
	cr_assert_leq(checked, bytes + m.cnt * RESERVED_BYTES);
	cr_assert_eq(slow_heard.total_bytes, checked);
	cr_assert_leq(slow_heard.done_bytes, checked);
	cr_assert_eq(slow_heard.total_cnt, m.cnt);
	cr_assert_geq(slow_heard.elapsed_ns, 900000000);
	many_close(&m);
	fix_free(copy);
	fix_free(f);
}

/* One that cannot be recovered: none is taken, and nothing is in the way of the next try. */
Test(recovery, all_or_none)
{
	static struct many m;
	struct pst_diag diag;
	char path[256];
	struct fix *f = fix_new(true);
	m.cnt = SEVERAL;
	snprintf(path, sizeof(path), "%s/a-7", f->path);
	shell("echo > %s/penstock.mine; echo > %s/a-7", f->path, f->path);
	cr_assert_eq(many_open(&m, pst_disk_real(), f->path, 4, NULL, NULL, &diag), -1);
	cr_assert_str_eq(diag.file, "a-7");
	cr_assert_eq(m.apps[0]->log_cnt + m.apps[1]->log_cnt, 0);
	cr_assert_eq(unlink(path), 0);
	many_config(&m);
	cr_assert_eq(pst_appender_add_all(m.adds, m.cnt, 4, NULL, NULL, &diag), 0, "%s", diag.text);
	cr_assert_eq(m.apps[0]->log_cnt + m.apps[1]->log_cnt, SEVERAL);
	many_append(&m, f, 1);
	many_close(&m);
	fix_expect_no_findings(f, "after a start that failed");
	fix_free(f);
}
