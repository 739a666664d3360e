#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "segment/test_fixture.h"

/* Appends n batches, rests, and compares the .log with what was handed over. */
Test(appender, file_is_batches_one_behind_the_other)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	uint8_t *expected = malloc(1 << 20);
	size_t len = 0, got_len;
	fix_open(f, &config);
	for (int i = 0; i < 40; i++) {
		fix_batch(f, 1 + i % 3, 100 + 613 * (i % 7), 1000 + i);
		fix_append(f);
		pst_batch_set_base_offset(f->batch, 0, 0);
		memcpy(expected + len, f->batch, f->batch_bytes);
		len += f->batch_bytes;
		if (i % 5 == 0)
			fix_rest(f);
	}
	fix_rest(f);
	cr_assert_eq(f->result->done_cnt, 40);
	int64_t next = 0;
	size_t pos = 0;
	for (int i = 0; i < 40; i++) {
		cr_assert_eq(f->result->status[i], PST_APPEND_DURABLE);
		cr_assert_eq(f->result->order[i], (unsigned)i);
		cr_assert_eq(f->result->base_offset[i], next);
		pst_batch_set_base_offset(expected + pos, next, 0);
		struct pst_batch_info info;
		cr_assert_eq(pst_batch_check(expected + pos, len - pos, &info), PST_BATCH_OK);
		next += info.record_cnt;
		pos += info.total_bytes;
	}
	cr_assert_eq(fix_close(f), 0);
	uint8_t *got = fix_file(f, "00000000000000000000.log", &got_len);
	cr_assert_eq(got_len, len);
	cr_assert_arr_eq(got, expected, len);
	char *names = fix_names(f);
	cr_assert_str_eq(names, "00000000000000000000.index 00000000000000000000.log "
				"00000000000000000000.seal 00000000000000000000.timeindex");
	free(names);
	free(got);
	free(expected);
	fix_free(f);
}

Test(appender, rolls_by_bytes)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	config.segment_bytes_max = 100000;
	fix_open(f, &config);
	for (int i = 0; i < 30; i++) {
		fix_batch(f, 2, 9900, 1000 + i);
		fix_append(f);
	}
	fix_rest(f);
	for (int i = 0; i < 30; i++) {
		cr_assert_eq(f->result->status[i], PST_APPEND_DURABLE);
		cr_assert_eq(f->result->base_offset[i], 2 * i);
	}
	struct pst_log_stats stats;
	pst_log_stats(f->app, f->log_idx, &stats);
	cr_assert_eq(stats.next_offset, 60);
	cr_assert_eq(stats.durable_offset, 60);
	cr_assert_eq(stats.segment_cnt, 6);
	cr_assert_eq(fix_close(f), 0);
	int64_t next;
	cr_assert_null(fix_check(f, &next, true, false));
	cr_assert_eq(next, 60);
	static const int64_t bases[] = {0, 10, 20, 30, 40, 50};
	for (size_t i = 0; i < PST_ARRAY_CNT(bases); i++) {
		char name[PST_SEGMENT_NAME_BYTES];
		pst_segment_name(name, bases[i], PST_SEGMENT_LOG);
		cr_assert(fix_exists(f, name), "%s", name);
	}
	fix_free(f);
}

/* Fewer buffers than partitions: each waits for another's flush, none for ever. */
Test(appender, few_buffers_many_partitions)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	struct pst_recovery recovery;
	struct pst_diag diag;
	struct pst_appender *app;
	int idx[9];
	int64_t next[9] = {0};
	cr_assert_eq(pst_datadir_open(f->path, &f->dir, &diag), 0);
	/* Nothing but the lack of buffers makes it flush. */
	struct pst_appender_config c = {.dir = f->dir,
		.piece_cnt = 2,
		.flush_bytes = UINT64_MAX,
		.flush_age_ns = UINT64_MAX};
	cr_assert_eq(pst_appender_create(&c, &app, &diag), 0);
	f->app = app;
	for (uint32_t p = 0; p < 9; p++) {
		config.partition = p;
		idx[p] = pst_appender_add(app, &config, &recovery, &diag);
		cr_assert_eq(idx[p], (int)p);
	}
	for (unsigned i = 0; i < 400; i++) {
		f->log_idx = idx[i * 7 % 9];
		fix_batch(f, 2, i % 13 == 0 ? 60000 : 500 + i, 1000 + i);
		if (i % 50 == 0)
			fix_batch(f, 14, 60000, 1000 + i); /* almost a buffer */
		struct pst_batch_info info;
		pst_batch_peek(f->batch, f->batch_bytes, &info);
		next[i * 7 % 9] += info.record_cnt;
		fix_append(f);
	}
	fix_rest(f);
	cr_assert_eq(f->result->done_cnt, 400);
	for (unsigned i = 0; i < 400; i++)
		cr_assert_eq(f->result->status[i], PST_APPEND_DURABLE);
	for (int p = 0; p < 9; p++) {
		struct pst_log_stats stats;
		pst_log_stats(app, idx[p], &stats);
		cr_assert_eq(stats.durable_offset, next[p]);
	}
	struct pst_appender_stats stats;
	pst_appender_stats(app, &stats);
	cr_assert_eq(stats.unsynced_bytes, 0);
	cr_assert_eq(stats.in_flight_bytes, 0);
	cr_assert_eq(app->free_piece_cnt, 2);
	cr_assert_gt(stats.sync_cnt, 9);
	fix_free(f);
}

Test(appender, flushes_by_bytes_and_by_age)
{
	struct fix *f = fix_new(false);
	struct pst_log_config config = fix_log_config();
	fix_open(f, &config);
	f->app->flush_bytes = 10000;
	f->app->flush_age_ns = 1000000;
	fix_batch(f, 2, 2000, 1000);
	uint64_t since = f->now_ns;
	fix_append(f);
	for (int i = 0; i < 100; i++)
		fix_poll(f);
	cr_assert_eq(f->app->stats.write_cnt, 0, "neither old nor large enough");
	cr_assert_not(pst_appender_idle(f->app));
	f->now_ns = since + 999998;
	fix_poll(f);
	cr_assert_eq(f->app->stats.write_cnt, 0);
	fix_poll(f);
	cr_assert_eq(f->app->stats.write_cnt, 1);
	while (!pst_appender_idle(f->app))
		fix_poll(f);
	cr_assert_eq(f->app->stats.sync_cnt, 1);
	for (int i = 0; i < 3; i++) {
		fix_append(f);
		fix_poll(f);
		cr_assert_eq(f->app->stats.write_cnt, i < 2 ? 1 : 2);
	}
	fix_rest(f);
	cr_assert_eq(f->app->stats.sync_cnt, 2);
	/* A clock that goes back does not hold anything up. */
	fix_append(f);
	f->now_ns -= 5000000000;
	fix_poll(f);
	cr_assert_eq(f->app->stats.write_cnt, 3);
	fix_rest(f);
	fix_free(f);
}

/* Child: io_uring_setup answers with err. */
static int
create_without_io_uring(const char *path, int err, const char *text, const char *remedy)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {PST_ARRAY_CNT(code), code};
	struct pst_datadir *dir;
	struct pst_appender *app;
	struct pst_diag diag;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		return 77;
	if (pst_datadir_open(path, &dir, &diag) < 0)
		return 2;
	struct pst_appender_config config = {.dir = dir};
	if (pst_appender_create(&config, &app, &diag) != -1)
		return 3;
	pst_datadir_close(dir);
	return strstr(diag.text, text) && strstr(diag.remedy, remedy) ? 0 : 4;
}

Test(appender, refuses_without_io_uring_and_says_the_remedy)
{
	static const struct {
		int err;
		const char *text, *remedy;
	} cases[] = {{EPERM, "forbidden", "kernel.io_uring_disabled"}, {EPERM, "", "seccomp"},
		{ENOSYS, "not available", "CONFIG_IO_URING"}, {ENOSYS, "", "seccomp"},
		{ENOMEM, "memory", "ulimit -l"}};
	for (size_t i = 0; i < PST_ARRAY_CNT(cases); i++) {
		char path[128];
		int status;
		fix_path(path, false);
		pid_t child = fork();
		if (child == 0)
			_exit(create_without_io_uring(
				path, cases[i].err, cases[i].text, cases[i].remedy));
		cr_assert_eq(waitpid(child, &status, 0), child);
		fix_remove(path);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
			cr_skip_test("no seccomp filter here");
		cr_assert_eq(status, 0, "case %zu: %d", i, WEXITSTATUS(status));
	}
}
