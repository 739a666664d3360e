/* Every allocation of a start fails once: it ends with a message, and with nothing kept. (Leaks are
 * found by the sanitizer's build.) */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "segment/appender.h"
#include "segment/reader.h"

static unsigned armed; /* the call that fails; 0: none */
static unsigned seen;

static bool
fails(void)
{
	return armed && ++seen == armed;
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t cnt, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
void *__real_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t cnt, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
void *__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off);

void *
__wrap_malloc(size_t bytes)
{
	return fails() ? NULL : __real_malloc(bytes);
}

void *
__wrap_calloc(size_t cnt, size_t bytes)
{
	return fails() ? NULL : __real_calloc(cnt, bytes);
}

void *
__wrap_realloc(void *old, size_t bytes)
{
	return fails() ? NULL : __real_realloc(old, bytes);
}

void *
__wrap_aligned_alloc(size_t align, size_t bytes)
{
	return fails() ? NULL : __real_aligned_alloc(align, bytes);
}

void *
__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	if (fails()) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return __real_mmap64(addr, len, prot, flags, fd, off);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static unsigned
open_files(void)
{
	unsigned cnt = 0;
	for (int fd = 0; fd < 256; fd++)
		cnt += fcntl(fd, F_GETFD) >= 0;
	return cnt;
}

static int
start(const char *path, struct pst_diag *diag)
{
	struct pst_datadir *dir;
	struct pst_appender *app;
	struct pst_log_add adds[2];
	struct pst_log_config config = {.topic = "t", .segment_bytes_max = 100000, .sealed = true};
	if (pst_datadir_open(path, &dir, diag) < 0)
		return -1;
	struct pst_appender_config app_config = {.dir = dir, .piece_cnt = 2};
	int rc = pst_datadir_partition(dir, "port", 0, diag);
	if (rc >= 0)
		rc = pst_appender_create(&app_config, &app, diag);
	if (rc < 0) {
		pst_datadir_close(dir);
		return rc;
	}
	for (uint32_t i = 0; i < 2; i++) {
		adds[i] = (struct pst_log_add){.app = app, .config = config};
		adds[i].config.partition = i;
	}
	rc = pst_appender_add_all(adds, 2, 1, NULL, NULL, diag);
	pst_appender_destroy(app);
	pst_datadir_close(dir);
	return rc;
}

static int
read_it(const char *path, struct pst_diag *diag)
{
	struct pst_reader *reader;
	if (pst_reader_open(path, "t", 0, &reader, diag) < 0)
		return -1;
	pst_reader_close(reader);
	return 0;
}

/* Every allocation of step fails once, from a fresh directory on or on what is there. */
static void
each_fails(const char *path, int (*step)(const char *, struct pst_diag *), bool fresh)
{
	unsigned failed = 0, files = open_files();
	for (unsigned n = 1;; n++) {
		struct pst_diag diag = {0};
		if (fresh)
			nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
		seen = 0;
		armed = n;
		int rc = step(path, &diag);
		armed = 0;
		cr_assert_eq(open_files(), files, "allocation %u: files are left open", n);
		cr_assert(rc == 0 || diag.text[0], "allocation %u: refused without a word", n);
		failed += rc < 0;
		if (seen < n)
			break;
	}
	cr_assert_gt(failed, 3);
	struct pst_diag diag;
	cr_assert_eq(step(path, &diag), 0, "%s", diag.text);
}

Test(alloc, every_allocation_of_a_start_fails)
{
	char path[] = "/tmp/pst-alloc-XXXXXX";
	cr_assert(mkdtemp(path));
	each_fails(path, start, true);
	each_fails(path, start, false);
	each_fails(path, read_it, false);
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
