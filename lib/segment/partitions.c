/* penstock.partitions: "<port> <queue> <partition>\n" a line, lines are added and never changed.
 * A port's queue may have several numbers: the highest is where new partitions go.
 * The file is replaced as a whole: no crash leaves a part of a line, and one that is not a line is
 * damage, also at the end. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segment/dir.h"
#include "segment/replace.h"

#define PARTITIONS_NAME      "penstock.partitions"
#define PARTITIONS_BYTES_MAX (1024 * 1024)

static bool
port_valid(const char *port)
{
	size_t len = strlen(port);
	if (len < 1 || len >= sizeof(((struct pst_partition_no *)0)->port))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (port[i] <= ' ' || port[i] > '~')
			return false;
	}
	return true;
}

static struct pst_partition_no *
add_entry(struct pst_datadir *dir)
{
	struct pst_partition_no *grown = realloc(
		dir->partitions, (dir->partition_cnt + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	dir->partitions = grown;
	return &grown[dir->partition_cnt];
}

/* One line without its LF; NULL or what is wrong with it. */
static const char *
parse_line(struct pst_datadir *dir, const char *line)
{
	struct pst_partition_no *e = add_entry(dir);
	uint64_t queue, partition;
	int end = -1;
	if (!e)
		return "out of memory";
	/* With widths that fit: what does not would come out as another number. */
	if (sscanf(line, "%63s %10" SCNu64 " %10" SCNu64 "%n", e->port, &queue, &partition, &end) !=
			3 ||
		line[end] != '\0' || queue > UINT16_MAX || partition > INT32_MAX ||
		!port_valid(e->port))
		return "not \"<port> <queue> <partition>\"";
	e->queue = (uint16_t)queue;
	e->partition = (uint32_t)partition;
	for (uint32_t i = 0; i < dir->partition_cnt; i++) {
		const struct pst_partition_no *o = &dir->partitions[i];
		if (o->partition == partition)
			return "its partition stands in an earlier line, too";
	}
	dir->partition_cnt++;
	return NULL;
}

static int
parse_all(struct pst_datadir *dir, char *text, uint64_t len, struct pst_diag *diag)
{
	unsigned line_no = 1;
	const char *wrong = NULL;
	for (char *line = text, *end; line < text + len; line = end + 1, line_no++) {
		end = memchr(line, '\n', (size_t)(text + len - line));
		if (!end) {
			wrong = "the line has no end";
			break;
		}
		*end = '\0';
		wrong = strlen(line) == (size_t)(end - line) ? parse_line(dir, line) : "a NUL byte";
		if (wrong)
			break;
	}
	if (!wrong)
		return 0;
	char name[sizeof(diag->file)];
	snprintf(name, sizeof(name), "%.*s/%s", (int)(sizeof(name) - sizeof(PARTITIONS_NAME) - 1),
		dir->path, PARTITIONS_NAME);
	return pst_diag_set(diag, name, line_no, NULL,
		"put the file back as it was: partitions are never renumbered", "%s", wrong);
}

/* The whole file in *text, to free; none is an empty one. Its length or -errno. */
static int64_t
read_all(struct pst_datadir *dir, char **text)
{
	struct pst_disk *disk = dir->disk;
	struct pst_disk_stat st;
	int file = disk->ops->open(disk, dir->fd, PARTITIONS_NAME, 0);
	if (file < 0)
		return file == -ENOENT ? 0 : file;
	int64_t n = disk->ops->stat(disk, file, &st);
	if (n == 0 && st.bytes > PARTITIONS_BYTES_MAX)
		n = -EFBIG;
	if (n == 0) {
		*text = malloc(st.bytes + 1);
		n = *text ? disk->ops->read(disk, file, *text, st.bytes, 0) : -ENOMEM;
	}
	disk->ops->close(disk, file);
	return n;
}

int
pst_partitions_open(struct pst_datadir *dir, struct pst_diag *diag)
{
	char *text = NULL;
	int64_t n = read_all(dir, &text);
	int rc = 0;
	if (n < 0)
		rc = pst_diag_set(diag, dir->path, 0, PARTITIONS_NAME, NULL, "cannot read: %s",
			strerror((int)-n));
	else if (n > 0)
		rc = parse_all(dir, text, (uint64_t)n, diag);
	free(text);
	/* A number that was read may be given out only when the name it was read under lasts. */
	if (rc == 0) {
		rc = dir->disk->ops->sync(dir->disk, dir->fd);
		if (rc < 0)
			rc = pst_diag_set(diag, dir->path, 0, NULL, NULL,
				"cannot sync the data directory: %s", strerror(-rc));
	}
	if (rc < 0)
		pst_partitions_close(dir);
	return rc;
}

void
pst_partitions_close(struct pst_datadir *dir)
{
	free(dir->partitions);
	dir->partitions = NULL;
}

static char *
format_all(const struct pst_datadir *dir, uint32_t cnt, size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);
	if (!out)
		return NULL;
	for (uint32_t i = 0; i < cnt; i++) {
		const struct pst_partition_no *e = &dir->partitions[i];
		fprintf(out, "%s %u %" PRIu32 "\n", e->port, e->queue, e->partition);
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

int
pst_partitions_append(struct pst_datadir *dir, const struct pst_partition_no *no)
{
	struct pst_disk *disk = dir->disk;
	struct pst_partition_no *e = add_entry(dir);
	if (!e)
		return -ENOMEM;
	*e = *no;
	size_t len;
	char *text = format_all(dir, dir->partition_cnt + 1, &len);
	if (!text)
		return -ENOMEM;
	int rc = len > PARTITIONS_BYTES_MAX
			 ? -EFBIG
			 : pst_replace(disk, dir->fd, PARTITIONS_NAME, text, len);
	if (rc < 0 && pst_dir_give_reserve(dir, -rc))
		rc = pst_replace(disk, dir->fd, PARTITIONS_NAME, text, len);
	free(text);
	if (rc == 0)
		rc = disk->ops->sync(disk, dir->fd);
	if (rc == 0)
		dir->partition_cnt++;
	return rc;
}

int
pst_partition_no_set(struct pst_partition_no *no, const char *port, uint16_t queue,
	uint64_t partition, struct pst_diag *diag)
{
	if (!port_valid(port))
		return pst_diag_set(diag, NULL, 0, NULL,
			"use 1 to 63 printable characters without spaces",
			"\"%s\" cannot be a port's name in %s", port, PARTITIONS_NAME);
	if (partition > INT32_MAX)
		return pst_diag_set(
			diag, PARTITIONS_NAME, 0, NULL, NULL, "no partition number is left");
	*no = (struct pst_partition_no){.queue = queue, .partition = (uint32_t)partition};
	snprintf(no->port, sizeof(no->port), "%s", port);
	return 0;
}

int64_t
pst_partitions_newest(const struct pst_partition_no *table, uint32_t cnt, const char *port,
	uint16_t queue, uint64_t *next)
{
	int64_t newest = -1;
	*next = 0;
	for (uint32_t i = 0; i < cnt; i++) {
		const struct pst_partition_no *e = &table[i];
		if (e->queue == queue && strcmp(e->port, port) == 0 && e->partition > newest)
			newest = e->partition;
		*next = pst_max_u64(*next, (uint64_t)e->partition + 1);
	}
	return newest;
}

int
pst_datadir_partition(
	struct pst_datadir *dir, const char *port, uint16_t queue, struct pst_diag *diag)
{
	struct pst_partition_no no;
	uint64_t next;
	int64_t newest = pst_partitions_newest(
		dir->partitions, dir->partition_cnt, port, queue, &next);
	if (newest >= 0)
		return (int)newest;
	if (pst_partition_no_set(&no, port, queue, next, diag) < 0)
		return -1;
	int rc = pst_partitions_append(dir, &no);
	if (rc < 0)
		return pst_diag_set(diag, dir->path, 0, PARTITIONS_NAME,
			pst_errno_full(-rc) ? "free some space" : NULL, "cannot add a line: %s",
			strerror(-rc));
	return (int)next;
}
