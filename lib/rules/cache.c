#include "rules/cache.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

#define FORMAT    1
#define NAME_HEX  (2 * PST_RULES_CACHE_KEY_BYTES)
#define SUFFIX    ".hsdb"
#define TEMPORARY ".tmp"

#define LEFT_OVER_AGE_S 3600

struct header {
	char magic[8];
	uint32_t format_be;
	uint32_t zero;
	uint64_t len_be;
	uint8_t key[PST_RULES_CACHE_KEY_BYTES];
	uint8_t checksum[SHA256_DIGEST_LENGTH];
};
static_assert(sizeof(struct header) == 88, "layout of the file");
static_assert(offsetof(struct header, checksum) == 56, "layout of the file");

static void
fill_header(struct header *h, const uint8_t *key, const uint8_t *bytes, size_t len)
{
	SHA2_CTX ctx;

	*h = (struct header){.magic = {'p', 's', 't', 'r', 'u', 'l', 'e', 's'},
		.format_be = htobe32(FORMAT),
		.len_be = htobe64(len)};
	memcpy(h->key, key, sizeof(h->key));
	SHA256Init(&ctx);
	SHA256Update(&ctx, (const uint8_t *)h, offsetof(struct header, checksum));
	SHA256Update(&ctx, bytes, len);
	SHA256Final(h->checksum, &ctx);
}

static void
name_of(const uint8_t *key, char name[NAME_HEX + sizeof(SUFFIX)])
{
	for (unsigned i = 0; i < PST_RULES_CACHE_KEY_BYTES; i++)
		sprintf(name + 2 * i, "%02x", key[i]);
	memcpy(name + NAME_HEX, SUFFIX, sizeof(SUFFIX));
}

/* NULL, or what keeps a file or directory from being trusted. */
static const char *
distrust(const struct stat *st)
{
	if (st->st_uid != geteuid())
		return "belongs to another user";
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return "is writable by group or others";
	return NULL;
}

/* Returns a descriptor, or -1 with note ("" if the directory is not there). */
static int
open_dir(const char *dir, char *note, size_t note_bytes)
{
	struct stat st;
	const char *reason;

	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		if (errno == ENOENT)
			return -1;
		/* A link's errno would say "not a directory". */
		bool link = lstat(dir, &st) == 0 && S_ISLNK(st.st_mode);
		snprintf(note, note_bytes, "rules cache %s: %s", dir,
			link ? "is a symbolic link" : strerror(errno));
		return -1;
	}
	reason = fstat(fd, &st) == 0 ? distrust(&st) : strerror(errno);
	if (reason) {
		snprintf(note, note_bytes, "rules cache %s: %s", dir, reason);
		close(fd);
		return -1;
	}
	return fd;
}

static int
read_whole(int fd, void *buf, size_t len)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = read(fd, (char *)buf + got, len - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		got += (size_t)n;
	}
	return 0;
}

/* NULL and *out, or why not. */
static const char *
read_entry(int fd, const uint8_t *key, uint8_t **out, size_t *out_bytes)
{
	struct header h, expected;
	struct stat st;
	const char *reason;

	if (fstat(fd, &st) != 0)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "is not a regular file";
	reason = distrust(&st);
	if (reason)
		return reason;
	if (read_whole(fd, &h, sizeof(h)) != 0 || be64toh(h.len_be) == 0 ||
		be64toh(h.len_be) != (uint64_t)st.st_size - sizeof(h))
		return "is damaged";
	size_t len = (size_t)st.st_size - sizeof(h);
	uint8_t *bytes = malloc(len);
	if (!bytes)
		return "no memory";
	if (read_whole(fd, bytes, len) != 0) {
		free(bytes);
		return "is damaged";
	}
	fill_header(&expected, key, bytes, len);
	if (memcmp(&h, &expected, sizeof(h)) != 0) {
		free(bytes);
		return "is damaged";
	}
	*out = bytes;
	*out_bytes = len;
	return NULL;
}

int
pst_rules_cache_get(const char *dir, const uint8_t key[PST_RULES_CACHE_KEY_BYTES], uint8_t **out,
	size_t *out_bytes, char *note, size_t note_bytes)
{
	char name[NAME_HEX + sizeof(SUFFIX)];
	const char *reason;

	note[0] = '\0';
	int dir_fd = open_dir(dir, note, note_bytes);
	if (dir_fd < 0)
		return -1;
	name_of(key, name);
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int error = errno;
	close(dir_fd);
	if (fd < 0) {
		if (error != ENOENT)
			snprintf(note, note_bytes, "rules cache %s/%s: %s", dir, name,
				error == ELOOP ? "is a symbolic link" : strerror(error));
		return -1;
	}
	reason = read_entry(fd, key, out, out_bytes);
	close(fd);
	if (reason)
		snprintf(note, note_bytes, "rules cache %s/%s: %s", dir, name, reason);
	return reason ? -1 : 0;
}

/* The directory and what is missing above it. */
static void
make_dir(const char *dir)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s", dir) >= (int)sizeof(path))
		return;
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
	mkdir(path, 0700);
}

static int
write_whole(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = write(fd, at, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
write_entry(int dir_fd, const char *name, const struct header *h, const uint8_t *bytes, size_t len)
{
	char temporary[NAME_HEX + 32];

	/* The process id keeps two writers apart; a file of that name is a dead one's. */
	snprintf(temporary, sizeof(temporary), "%.*s.%d" TEMPORARY, NAME_HEX, name, (int)getpid());
	unlinkat(dir_fd, temporary, 0);
	int fd = openat(
		dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	bool good = fchmod(fd, 0600) == 0 && write_whole(fd, h, sizeof(*h)) == 0 &&
		    write_whole(fd, bytes, len) == 0 && fsync(fd) == 0;
	int error = errno;
	good = close(fd) == 0 && good;
	if (good && renameat(dir_fd, temporary, dir_fd, name) == 0)
		return fsync(dir_fd);
	error = good ? errno : error;
	unlinkat(dir_fd, temporary, 0);
	errno = error;
	return -1;
}

struct aged {
	char name[NAME_HEX + sizeof(SUFFIX)];
	struct timespec modified;
};

static int
newest_first(const void *a, const void *b)
{
	const struct aged *x = a, *y = b;

	if (x->modified.tv_sec != y->modified.tv_sec)
		return x->modified.tv_sec > y->modified.tv_sec ? -1 : 1;
	if (x->modified.tv_nsec != y->modified.tv_nsec)
		return x->modified.tv_nsec > y->modified.tv_nsec ? -1 : 1;
	return strcmp(x->name, y->name);
}

static bool
is_entry(const char *name)
{
	return strlen(name) == NAME_HEX + sizeof(SUFFIX) - 1 &&
	       strspn(name, "0123456789abcdef") == NAME_HEX && strcmp(name + NAME_HEX, SUFFIX) == 0;
}

/* A file that a writer left when it died: old, compared to the entry just written. */
static bool
is_left_over(const char *name, const struct stat *st, const struct stat *now)
{
	size_t len = strlen(name), suffix = sizeof(TEMPORARY) - 1;

	return len > NAME_HEX + suffix && strspn(name, "0123456789abcdef") == NAME_HEX &&
	       strcmp(name + len - suffix, TEMPORARY) == 0 &&
	       now->st_mtim.tv_sec - st->st_mtim.tv_sec > LEFT_OVER_AGE_S;
}

/* Takes files of such names alone; what cannot be removed is left. */
static void
prune(int dir_fd, const char *keep)
{
	struct aged aged[PST_RULES_CACHE_CNT_MAX];
	unsigned cnt = 0;
	struct dirent *e;
	struct stat st, now;
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	if (!d || fstatat(dir_fd, keep, &now, 0) != 0) {
		if (d)
			closedir(d);
		else if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, keep) == 0 ||
			fstatat(dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		if (is_left_over(e->d_name, &st, &now))
			unlinkat(dir_fd, e->d_name, 0);
		if (!is_entry(e->d_name))
			continue;
		memcpy(aged[cnt].name, e->d_name, sizeof(aged[cnt].name));
		aged[cnt++].modified = st.st_mtim;
		/* With the one just written, CNT_MAX stay: the oldest of one too many goes. */
		if (cnt == PST_RULES_CACHE_CNT_MAX) {
			qsort(aged, cnt, sizeof(aged[0]), newest_first);
			unlinkat(dir_fd, aged[--cnt].name, 0);
		}
	}
	closedir(d);
}

int
pst_rules_cache_put(const char *dir, const uint8_t key[PST_RULES_CACHE_KEY_BYTES],
	const uint8_t *bytes, size_t len, char *note, size_t note_bytes)
{
	char name[NAME_HEX + sizeof(SUFFIX)];
	struct header h;

	note[0] = '\0';
	int dir_fd = open_dir(dir, note, note_bytes);
	if (dir_fd < 0 && note[0] == '\0') {
		make_dir(dir);
		dir_fd = open_dir(dir, note, note_bytes);
		if (dir_fd < 0 && note[0] == '\0')
			snprintf(note, note_bytes, "rules cache %s: cannot be made", dir);
	}
	if (dir_fd < 0)
		return -1;
	name_of(key, name);
	fill_header(&h, key, bytes, len);
	int rc = write_entry(dir_fd, name, &h, bytes, len);
	if (rc != 0)
		snprintf(note, note_bytes, "rules cache %s: cannot be written: %s", dir,
			strerror(errno));
	else
		prune(dir_fd, name);
	close(dir_fd);
	return rc;
}
