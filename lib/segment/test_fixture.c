#include "segment/test_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "segment/verify/verify.h"

void
fix_path(char path[128], bool memory)
{
	snprintf(path, 128, "%s/pst-segment-XXXXXX", memory ? "/dev/shm" : "/tmp");
	cr_assert(mkdtemp(path), "mkdtemp: %s", strerror(errno));
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void
fix_remove(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

bool
fix_private_mounts(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

struct fix *
fix_new(bool memory)
{
	struct fix *f = calloc(1, sizeof(*f));
	cr_assert(f);
	f->result = calloc(1, sizeof(*f->result));
	cr_assert(f->result);
	fix_path(f->path, memory);
	f->now_ns = UINT64_C(1700000000000000000);
	return f;
}

void
fix_free(struct fix *f)
{
	if (f->app)
		fix_close(f);
	fix_remove(f->path);
	free(f->result);
	free(f);
}

struct pst_log_config
fix_log_config(void)
{
	return (struct pst_log_config){
		.topic = "t", .segment_bytes_max = 1024 * 1024, .sealed = true};
}

int
fix_try_open(struct fix *f, struct pst_disk *disk, const struct pst_log_config *config,
	struct pst_diag *diag)
{
	if (pst_datadir_open_on(disk, f->path, &f->dir, diag) < 0) {
		f->dir = NULL;
		return -1;
	}
	struct pst_appender_config app = {.dir = f->dir, .piece_cnt = 4};
	if (pst_appender_create(&app, &f->app, diag) < 0) {
		f->app = NULL;
		pst_datadir_close(f->dir);
		f->dir = NULL;
		return -1;
	}
	f->log_idx = pst_appender_add(f->app, config, &f->recovery, diag);
	if (f->log_idx < 0) {
		fix_close(f);
		return -1;
	}
	return 0;
}

void
fix_open_on(struct fix *f, struct pst_disk *disk, const struct pst_log_config *config)
{
	struct pst_diag diag;
	if (fix_try_open(f, disk, config, &diag) < 0) {
		pst_diag_print(stderr, &diag);
		cr_assert_fail("cannot open the log: %s", diag.text);
	}
}

void
fix_open(struct fix *f, const struct pst_log_config *config)
{
	fix_open_on(f, pst_disk_real(), config);
}

int
fix_close(struct fix *f)
{
	int rc = pst_appender_destroy(f->app);
	pst_datadir_close(f->dir);
	f->app = NULL;
	f->dir = NULL;
	return rc;
}

uint32_t
fix_batch(struct fix *f, unsigned record_cnt, uint32_t value_len, int64_t ts_ms)
{
	static struct pst_batch_encoder *encoder;
	static uint8_t value[PST_BATCH_VALUE_MAX];
	if (!encoder) {
		struct pst_batch_limits limits = {
			.raw_bytes_max = 900000, .record_cnt_max = 1000000};
		cr_assert_eq(pst_batch_encoder_create(&limits, &encoder), 0);
	}
	pst_batch_begin(encoder, f->batch);
	for (unsigned i = 0; i < record_cnt; i++) {
		memset(value, 'a' + (int)(f->taken_cnt + i) % 26, value_len);
		struct pst_record r = {
			.value = value, .value_len = value_len, .ts_ns = (uint64_t)ts_ms * 1000000};
		cr_assert(pst_batch_append(encoder, &r));
	}
	return f->batch_bytes = pst_batch_seal(encoder);
}

void
fix_poll(struct fix *f)
{
	struct pst_append_done done[16];
	unsigned n = pst_appender_poll(f->app, ++f->now_ns, done, 16);
	for (unsigned i = 0; i < n; i++) {
		uintptr_t idx = (uintptr_t)done[i].cookie - 1;
		cr_assert(idx < f->taken_cnt && idx < FIX_BATCHES_MAX);
		f->result->status[idx] = done[i].status;
		f->result->base_offset[idx] = done[i].base_offset;
		f->result->written_ns[idx] = done[i].written_ns;
		f->result->order[f->result->done_cnt++] = (unsigned)idx;
	}
}

void
fix_append(struct fix *f)
{
	uintptr_t cookie = ++f->taken_cnt;
	while (pst_append(f->app, f->log_idx, f->batch, f->batch_bytes, (void *)cookie,
		       f->now_ns) == -EAGAIN)
		fix_poll(f);
}

void
fix_rest(struct fix *f)
{
	unsigned polls = 0;
	do {
		pst_appender_flush(f->app);
		fix_poll(f);
		/* The kernel's workers may need this processor. */
		if (++polls % 1024 == 0)
			usleep(100);
		cr_assert_lt(polls, 50000000, "it never comes to rest");
	} while (!pst_appender_idle(f->app));
}

void
fix_append_some(struct fix *f, unsigned cnt, uint32_t value_len)
{
	for (unsigned i = 0; i < cnt; i++) {
		/* Timestamps that also go back. */
		fix_batch(f, 1 + i % 3, value_len, 1000 + (int64_t)(i * 7 % 11));
		fix_append(f);
	}
	fix_rest(f);
}

static void
file_path(const struct fix *f, const char *name, char path[512])
{
	snprintf(path, 512, "%s/t-0/%s", f->path, name);
}

uint8_t *
fix_file(const struct fix *f, const char *name, size_t *len)
{
	char path[512];
	struct stat st;
	file_path(f, name, path);
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return NULL;
	cr_assert_eq(fstat(fd, &st), 0);
	uint8_t *data = malloc((size_t)st.st_size + 1);
	cr_assert_eq(read(fd, data, (size_t)st.st_size), st.st_size);
	close(fd);
	*len = (size_t)st.st_size;
	return data;
}

void
fix_write_file(const struct fix *f, const char *name, const void *data, size_t len)
{
	char path[512];
	file_path(f, name, path);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
	cr_assert(fd >= 0, "%s: %s", path, strerror(errno));
	cr_assert_eq(write(fd, data, len), (ssize_t)len);
	close(fd);
}

bool
fix_exists(const struct fix *f, const char *name)
{
	char path[512];
	file_path(f, name, path);
	return access(path, F_OK) == 0;
}

char *
fix_names(const struct fix *f)
{
	char path[512];
	struct dirent **names;
	snprintf(path, sizeof(path), "%s/t-0", f->path);
	int n = scandir(path, &names, NULL, alphasort);
	cr_assert(n >= 0);
	char *out = calloc((size_t)n + 1, 300);
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.') {
			if (out[0])
				strcat(out, " ");
			strcat(out, names[i]->d_name);
		}
		free(names[i]);
	}
	free(names);
	return out;
}

static void
run(const char *fmt, ...)
{
	char command[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	cr_assert_eq(system(command), 0, "%s", command);
}

struct fix *
fix_snapshot(const struct fix *f, bool memory)
{
	struct fix *copy = fix_new(memory);
	run("cp -a %s/. %s/", f->path, copy->path);
	return copy;
}

void
fix_forget_marks(const struct fix *f)
{
	run("rm %s/penstock.durable", f->path);
}

/* Kafka's rule as its text has it, entry by entry, from the .log's bytes alone. */
struct reference {
	uint8_t index[65536], time[65536];
	size_t index_len, time_len;
};

static void
reference_time(struct reference *ref, int64_t base, int64_t ts, int64_t offset)
{
	int64_t last = -1;
	if (ref->time_len > 0)
		last = (int64_t)pst_load_be64(ref->time + ref->time_len - 12);
	if (ts <= last)
		return;
	pst_store_be64(ref->time + ref->time_len, (uint64_t)ts);
	pst_store_be32(ref->time + ref->time_len + 8, (uint32_t)(offset - base));
	ref->time_len += 12;
}

static const char *
reference_run(const uint8_t *log, size_t len, int64_t base, int64_t *next, bool final,
	struct reference *ref)
{
	size_t pos = 0, last_indexed = 0;
	int64_t best = -1, best_offset = -1;
	*next = base;
	while (pos < len) {
		struct pst_batch_info info;
		if (pst_batch_check(log + pos, len - pos, &info) != PST_BATCH_OK)
			return "a batch is damaged";
		if (info.base_offset != *next)
			return "offsets do not follow";
		int64_t last = (int64_t)pst_load_be64(log + pos) + pst_load_be32(log + pos + 23);
		int64_t max_ts = (int64_t)pst_load_be64(log + pos + 35);
		if (max_ts > best) {
			best = max_ts;
			best_offset = last;
		}
		if (pos - last_indexed > 4096) {
			pst_store_be32(ref->index + ref->index_len, (uint32_t)(last - base));
			pst_store_be32(ref->index + ref->index_len + 4, (uint32_t)pos);
			ref->index_len += 8;
			reference_time(ref, base, best, best_offset);
			last_indexed = pos;
		}
		*next = last + 1;
		pos += 12 + pst_load_be32(log + pos + 8);
	}
	if (final && best >= 0)
		reference_time(ref, base, best, best_offset);
	return NULL;
}

const char *
fix_check(const struct fix *f, int64_t *next_offset, bool indexes, bool open)
{
	static struct reference ref;
	char *names = fix_names(f), *save = NULL;
	const char *wrong = NULL;
	int64_t bases[256];
	unsigned cnt = 0;
	for (char *n = strtok_r(names, " ", &save); n; n = strtok_r(NULL, " ", &save)) {
		int64_t base;
		enum pst_segment_file file;
		if (pst_segment_name_parse(n, &base, &file) && file == PST_SEGMENT_LOG)
			bases[cnt++] = base;
	}
	free(names);
	*next_offset = cnt ? bases[0] : 0;
	for (unsigned i = 0; i < cnt && !wrong; i++) {
		char name[PST_SEGMENT_NAME_BYTES];
		size_t len, index_len, time_len;
		pst_segment_name(name, bases[i], PST_SEGMENT_LOG);
		uint8_t *log = fix_file(f, name, &len);
		memset(&ref, 0, sizeof(ref));
		wrong = bases[i] < *next_offset ? "segments overlap" : NULL;
		if (!wrong)
			wrong = reference_run(
				log, len, bases[i], next_offset, i + 1 < cnt || !open, &ref);
		free(log);
		if (wrong || !indexes)
			continue;
		pst_segment_name(name, bases[i], PST_SEGMENT_INDEX);
		uint8_t *index = fix_file(f, name, &index_len);
		pst_segment_name(name, bases[i], PST_SEGMENT_TIMEINDEX);
		uint8_t *time = fix_file(f, name, &time_len);
		if (!index || index_len != ref.index_len || memcmp(index, ref.index, index_len))
			wrong = ".index differs";
		else if (!time || time_len != ref.time_len || memcmp(time, ref.time, time_len))
			wrong = ".timeindex differs";
		free(index);
		free(time);
	}
	return wrong;
}

bool
fix_recovery_says(const struct fix *f, const char *text)
{
	for (uint32_t i = 0; i < f->recovery.item_cnt && i < PST_RECOVERY_ITEMS_MAX; i++) {
		char said[256];
		pst_recovery_text(&f->recovery.items[i], said, sizeof(said));
		if (strstr(said, text))
			return true;
	}
	return false;
}

void
fix_expect_no_findings(const struct fix *f, const char *what)
{
	struct pst_verify_totals totals;
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	cr_assert_eq(pst_verify(f->path, out, &totals), 0);
	fclose(out);
	cr_assert_eq(totals.finding_cnt, 0, "%s: %s", what, text);
	free(text);
}
