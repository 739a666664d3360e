/* data.dir, data.dirs: where the log goes. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "profile/load.h"

#define MIB             (UINT64_C(1) << 20)
#define RESERVE_DEFAULT (16 * MIB)

static const struct pst_number reserve = {PST_NUMBER_BYTES, MIB, 1024 * MIB, true};

/* The path without links, "." and "..", as far as it is there. False: too long. */
static bool
plain_path(const char *path, char out[PATH_MAX])
{
	char parent[PATH_MAX];
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	if (len >= sizeof(parent))
		return false;
	memcpy(parent, path, len);
	parent[len] = '\0';
	if (realpath(parent, out))
		return true;
	/* Not made yet: its parent's, if that is there, and its name. */
	char *slash = strrchr(parent, '/');
	const char *name = slash ? slash + 1 : parent;
	char base[PATH_MAX];
	if (slash)
		*slash = '\0';
	if (!realpath(!slash ? "." : slash == parent ? "/" : parent, base)) {
		if (slash)
			*slash = '/';
		return snprintf(out, PATH_MAX, "%s", parent) < PATH_MAX;
	}
	return snprintf(out, PATH_MAX, "%s/%s", strcmp(base, "/") == 0 ? "" : base, name) <
	       PATH_MAX;
}

static bool
is_below(const char *inner, const char *outer)
{
	size_t len = strlen(outer);
	return strncmp(inner, outer, len) == 0 && (inner[len] == '/' || outer[len - 1] == '/');
}

/* Two names of one directory, also by a bind mount. */
static bool
same_directory(const char *a, const char *b)
{
	struct stat of_a, of_b;
	return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev &&
	       of_a.st_ino == of_b.st_ino;
}

static int
check_apart(struct pst_load *load, uint16_t idx)
{
	const struct pst_profile *p = load->profile;
	char key[32], its[PATH_MAX], other[PATH_MAX];
	const char *path = p->data_dirs[idx];

	snprintf(key, sizeof(key), "data.dirs[%u]", idx);
	if (!plain_path(path, its))
		return pst_load_fail(load, key, "give a shorter one", "the path is too long");
	for (uint16_t i = 0; i < idx; i++) {
		if (!plain_path(p->data_dirs[i], other))
			continue; /* said already */
		if (strcmp(its, other) == 0 || same_directory(path, p->data_dirs[i]))
			return pst_load_fail(load, key, "name each data directory once",
				"the same directory as data.dirs[%u]", i);
		if (is_below(its, other) || is_below(other, its))
			return pst_load_fail(load, key,
				"give each drive a data directory of its own, side by side",
				"one of %.400s and %.400s lies inside the other", path,
				p->data_dirs[i]);
	}
	return 0;
}

/* Nothing there is fine: the daemon makes the directory. */
int
pst_load_directory(struct pst_load *load, const char *key, const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		/* A drive that does not answer is judged at the start, by the policy. */
		if (errno == ENOENT || errno == EIO)
			return 0;
		return pst_load_fail(load, key, "check the path and its permissions", "%s: %s",
			path, strerror(errno));
	}
	if (!S_ISDIR(st.st_mode))
		return pst_load_fail(load, key, "name a directory, or a path that is free",
			"%s is not a directory", path);
	return 0;
}

int
pst_load_data(struct pst_load *load)
{
	const struct pst_raw_profile *raw = load->raw;
	struct pst_profile *p = load->profile;
	char key[32];

	if (raw->data.dir && raw->data.dirs)
		return pst_load_fail(load, "data.dirs", "remove data.dir, and list it here",
			"data.dir stands there, too");
	if (!raw->data.dir && !raw->data.dirs)
		return pst_load_fail(load, "data",
			"add \"dir:\", or \"dirs:\" with a list of directories, one a drive",
			"neither dir nor dirs is there");
	p->data_when_full = (enum pst_when_full)raw->data.when_full;
	if (pst_load_number(load, "data.reserve", raw->data.reserve, &reserve, RESERVE_DEFAULT,
		    &p->data_reserve_bytes) != 0)
		return -1;
	if (raw->data.dir) {
		p->data_dirs[0] = raw->data.dir;
		p->data_dir_cnt = 1;
		return pst_load_directory(load, "data.dir", raw->data.dir);
	}
	for (uint16_t i = 0; i < raw->data.dir_cnt; i++) {
		p->data_dirs[i] = raw->data.dirs[i];
		p->data_dir_cnt = (uint16_t)(i + 1);
		snprintf(key, sizeof(key), "data.dirs[%u]", i);
		if (pst_load_directory(load, key, p->data_dirs[i]) != 0 ||
			check_apart(load, i) != 0)
			return -1;
	}
	return 0;
}
