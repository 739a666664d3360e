/* Recovery, reader and verify on foreign bytes, which are split over the files of a partition:
 *
 *   | 1 byte: which files there are | 2 × 2 bytes: lengths of .index and .timeindex | their bytes |
 *   | the rest: the .log |
 *
 * Whatever is there, recovery must come to an end, a second recovery must find nothing to do, and
 * then verify must find nothing wrong but what recovery cannot see. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "segment/appender.h"
#include "segment/disk.h"
#include "segment/format.h"
#include "segment/reader.h"
#include "segment/verify/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char root[64], partition[80];

static void
put(const char *dir, const char *name, const void *data, size_t len)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	PST_ASSERT(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	close(fd);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

/* Nothing is appended here, and a ring takes longer to make than all the rest. */
static int
no_queue(struct pst_disk *disk, unsigned depth, int hold, struct pst_disk_queue **out,
	struct pst_diag *diag)
{
	*out = NULL;
	return 0;
}

static void
no_close(struct pst_disk_queue *queue)
{
}

static struct pst_disk *
disk(void)
{
	static struct pst_disk_ops ops;
	static struct pst_disk d = {.ops = &ops};
	ops = *pst_disk_real()->ops;
	ops.queue_open = no_queue;
	ops.queue_close = no_close;
	return &d;
}

static void
read_all(void)
{
	struct pst_reader *reader;
	struct pst_batch_record record;
	struct pst_diag diag;
	if (pst_reader_open(root, "f", 0, &reader, &diag) < 0)
		return;
	int64_t last = -1;
	for (unsigned damage = 0; damage < 1000;) {
		enum pst_read_result r = pst_reader_next(reader, &record, &diag);
		if (r == PST_READ_END)
			break;
		if (r == PST_READ_DAMAGE) {
			damage++;
			pst_reader_skip_damage(reader);
			continue;
		}
		PST_ASSERT(record.offset > last);
		last = record.offset;
	}
	pst_reader_offset_at(reader, 1000);
	pst_reader_seek(reader, 3);
	pst_reader_next(reader, &record, &diag);
	pst_reader_close(reader);
}

/* Opens and closes the log; returns what recovery says. */
static struct pst_recovery
recover(void)
{
	struct pst_datadir *dir;
	struct pst_appender *app;
	struct pst_diag diag;
	struct pst_recovery recovery;
	struct pst_log_config log = {.topic = "f", .segment_bytes_max = 1 << 20};
	PST_ASSERT(pst_datadir_open_on(disk(), root, &dir, &diag) == 0);
	struct pst_appender_config config = {.dir = dir, .piece_cnt = 2};
	PST_ASSERT(pst_appender_create(&config, &app, &diag) == 0);
	PST_ASSERT(pst_appender_add(app, &log, &recovery, &diag) == 0);
	PST_ASSERT(pst_appender_destroy(app) == 0);
	pst_datadir_close(dir);
	return recovery;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pst_verify_totals totals;
	char name[PST_SEGMENT_NAME_BYTES];
	if (size < 5 || size > 200000)
		return 0;
	size_t index_len = pst_load_be16(data + 1), time_len = pst_load_be16(data + 3);
	uint8_t files = data[0];
	int64_t base = files & 8 ? 7 : 0;
	data += 5;
	size -= 5;
	if (index_len + time_len > size)
		return 0;
	snprintf(root, sizeof(root), "/dev/shm/pst-fuzz-XXXXXX");
	PST_ASSERT(mkdtemp(root));
	snprintf(partition, sizeof(partition), "%s/f-0", root);
	PST_ASSERT(mkdir(partition, 0700) == 0);
	put(root, "penstock.lock", "", 0);
	pst_segment_name(name, base, PST_SEGMENT_INDEX);
	if (files & 1)
		put(partition, name, data, index_len);
	pst_segment_name(name, base, PST_SEGMENT_TIMEINDEX);
	if (files & 2)
		put(partition, name, data + index_len, time_len);
	data += index_len + time_len;
	size -= index_len + time_len;
	pst_segment_name(name, base, PST_SEGMENT_LOG);
	put(partition, name, data, size);
	if (files & 4) { /* another segment behind it, of the same bytes */
		pst_segment_name(name, base + 10, PST_SEGMENT_LOG);
		put(partition, name, data, size);
	}

	PST_ASSERT(pst_verify(root, NULL, &totals) == 0);
	read_all();
	struct pst_recovery first = recover();
	PST_ASSERT(pst_verify(root, NULL, &totals) == 0);
	read_all();
	struct pst_recovery second = recover();
	PST_ASSERT(second.clean && second.next_offset == first.next_offset);
	char marks[96];
	snprintf(marks, sizeof(marks), "%s/penstock.durable", root);
	unlink(marks);
	struct pst_recovery third = recover();
	PST_ASSERT(third.next_offset == first.next_offset && third.cut_bytes == 0 &&
		   third.set_aside_bytes == 0 && third.index_rebuilt_cnt == 0);
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}
