/* Files of the user's, whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rules/ruleset.h"

static int
fail(const struct pst_rules_draft *draft, const char *path, const struct pst_rules_place *named_at,
	const char *remedy, struct pst_diag *diag, const char *problem)
{
	if (named_at)
		return pst_rules_fail(
			draft, named_at, "file", remedy, diag, "%s: %s", path, problem);
	return pst_diag_set(diag, path, 0, NULL, remedy, "%s", problem);
}

/* Reads at most one byte more than the limit; a file may grow while it is read. */
static ssize_t
read_all(int fd, char **out)
{
	size_t cap = 64 << 10, len = 0;
	char *bytes = malloc(cap);

	while (bytes) {
		ssize_t got = read(fd, bytes + len, cap - len - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			int error = errno;
			free(bytes);
			return -error;
		}
		len += (size_t)got;
		if (got == 0 || len > PST_RULES_FILE_BYTES_MAX) {
			bytes[len] = '\0';
			*out = bytes;
			return (ssize_t)len;
		}
		if (len + 1 == cap) {
			char *grown = realloc(bytes, cap *= 2);
			if (!grown)
				free(bytes);
			bytes = grown;
		}
	}
	return -ENOMEM;
}

int
pst_rules_content_read(const struct pst_rules_draft *draft, const char *path,
	const struct pst_rules_place *named_at, char **out, size_t *out_bytes,
	struct pst_diag *diag)
{
	/* Not blocking: a FIFO must be refused, not waited for. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	char *bytes = NULL;

	if (fd < 0)
		return fail(draft, path, named_at, "give the path of a readable file", diag,
			strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return fail(draft, path, named_at, "give the path of a regular file", diag,
			"not a regular file");
	}
	ssize_t len = read_all(fd, &bytes);
	close(fd);
	if (len < 0)
		return fail(draft, path, named_at, NULL, diag, strerror((int)-len));
	if (len > (ssize_t)PST_RULES_FILE_BYTES_MAX) {
		free(bytes);
		return fail(draft, path, named_at, "split the rules into several included files",
			diag, "larger than 16 MiB");
	}
	*out = bytes;
	*out_bytes = (size_t)len;
	return 0;
}
