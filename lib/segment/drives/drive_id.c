#include "segment/drives/drive_id.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "batch/batch.h"
#include "segment/replace.h"

#define FILE_BYTES_MAX (128 * 1024)

/* ---- read ---- */

/* The next line, without its LF; NULL: there is none. */
static char *
take_line(char **at)
{
	char *line = *at, *end = strchr(line, '\n');
	if (!end)
		return NULL;
	*end = '\0';
	*at = end + 1;
	return line;
}

/* "<word> <16 hex digits>", and what follows. */
static bool
take_id(char *line, const char *word, uint64_t *out, char **rest)
{
	size_t len = strlen(word);
	char *end;
	if (!line || strncmp(line, word, len) != 0 || line[len] != ' ' ||
		strspn(line + len + 1, "0123456789abcdef") != 16)
		return false;
	*out = strtoull(line + len + 1, &end, 16);
	*rest = end;
	return *out != 0;
}

static bool
parse_member(struct pst_drive_id *id, char *line)
{
	char *path;
	if (id->member_cnt == PST_DRIVE_MEMBERS_MAX)
		return false;
	struct pst_drive_member *m = &id->members[id->member_cnt];
	if (!take_id(line, "member", &m->id, &path) || *path != ' ' ||
		strlen(path + 1) >= sizeof(m->path))
		return false;
	snprintf(m->path, sizeof(m->path), "%s", path + 1);
	id->member_cnt++;
	return true;
}

/* All but the line of the CRC. */
static bool
parse(struct pst_drive_id *id, char *text)
{
	char *rest, *line = take_line(&text);
	if (!line || strcmp(line, "penstock drive 1") != 0)
		return false;
	if (!take_id(take_line(&text), "set", &id->set, &rest) || *rest ||
		!take_id(take_line(&text), "drive", &id->id, &rest) || *rest ||
		!take_id(take_line(&text), "generation", &id->generation, &rest) || *rest)
		return false;
	while ((line = take_line(&text)))
		if (!parse_member(id, line))
			return false;
	for (uint32_t i = 0; i < id->member_cnt; i++)
		if (id->members[i].id == id->id)
			return *text == '\0';
	return false;
}

static int
parse_checked(struct pst_drive_id *id, char *text, size_t len)
{
	uint32_t crc;
	int end = -1;
	char *last = len > 1 ? memrchr(text, '\n', len - 1) : NULL;
	if (!last || strlen(text) != len ||
		sscanf(last + 1, "crc %8" SCNx32 "%n", &crc, &end) != 1 ||
		strcmp(last + 1 + end, "\n") != 0 ||
		pst_batch_crc32c(0, text, (size_t)(last + 1 - text)) != crc)
		return -EBADMSG;
	last[1] = '\0';
	return parse(id, text) ? 0 : -EBADMSG;
}

int
pst_drive_id_read(struct pst_disk *disk, const char *path, struct pst_drive_id *out)
{
	const struct pst_disk_ops *ops = disk->ops;
	memset(out, 0, sizeof(*out));
	int dir = ops->open(disk, PST_DISK_CWD, path, PST_DISK_DIR);
	if (dir < 0)
		return dir;
	int file = ops->open(disk, dir, PST_DRIVE_ID_NAME, 0);
	ops->close(disk, dir);
	if (file == -ELOOP || file == -ENXIO || file == -EACCES)
		return -EBADMSG;
	if (file < 0)
		return file;
	char *text = malloc(FILE_BYTES_MAX + 1);
	int64_t n = text ? ops->read(disk, file, text, FILE_BYTES_MAX, 0) : -ENOMEM;
	ops->close(disk, file);
	if (n >= 0) {
		text[n] = '\0';
		n = parse_checked(out, text, (size_t)n);
	} else if (n == -EISDIR) {
		n = -EBADMSG;
	}
	free(text);
	return (int)n;
}

/* ---- write ---- */

static void
format(FILE *out, const struct pst_drive_id *id)
{
	fprintf(out,
		"penstock drive 1\nset %016" PRIx64 "\ndrive %016" PRIx64 "\ngeneration %016" PRIx64
		"\n",
		id->set, id->id, id->generation);
	for (uint32_t i = 0; i < id->member_cnt; i++) {
		const struct pst_drive_member *m = &id->members[i];
		/* A path is there for people; one that would end its line is left out. */
		fprintf(out, "member %016" PRIx64 " %s\n", m->id,
			strchr(m->path, '\n') ? "" : m->path);
	}
}

int
pst_drive_id_write(struct pst_disk *disk, int dir, const struct pst_drive_id *id)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	if (!out)
		return -ENOMEM;
	format(out, id);
	if (fflush(out) == 0)
		fprintf(out, "crc %08" PRIx32 "\n", pst_batch_crc32c(0, text, len));
	int rc = fclose(out) == 0 ? pst_replace(disk, dir, PST_DRIVE_ID_NAME, text, len) : -ENOMEM;
	free(text);
	return rc == 0 ? disk->ops->sync(disk, dir) : rc;
}
