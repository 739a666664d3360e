#include "segment/durable.h"

#include <errno.h>
#include <stdlib.h>

#include "base/base.h"

#define DURABLE_MAGIC   "pstmarks"
#define DURABLE_VERSION 2
#define FLAG_CLEAN      1u
#define FLAG_LINKED     2u

struct stored_header {
	char magic[8];
	uint32_t version_le;
	uint32_t mark_cnt_le;
	uint64_t generation_le;
	uint32_t crc_le; /* CRC-32C of header and marks, this field 0 */
	uint8_t reserved[36];
};
static_assert(sizeof(struct stored_header) == 64, "stored layout");

struct stored_mark {
	char name[PST_LOG_DIR_NAME_BYTES];
	uint64_t next_offset_le, segment_base_le, segment_bytes_le;
	uint32_t flags_le, index_cnt_le, timeindex_cnt_le, reserved;
	uint64_t indexed_pos_le, best_ts_ms_le, best_offset_le, time_entry_ms_le;
	struct pst_link first, link; /* if FLAG_LINKED */
};
static_assert(sizeof(struct stored_mark) == 352, "stored layout");

#define SLOT_BYTES                                                                                 \
	(sizeof(struct stored_header) + PST_LIVE_SLOTS_MAX * sizeof(struct stored_mark) + 4032)
static_assert(SLOT_BYTES % PST_BLOCK_BYTES == 0, "slots do not share a block");

static void
mark_store(struct stored_mark *s, const struct pst_mark *m)
{
	memset(s, 0, sizeof(*s));
	memcpy(s->name, m->name, sizeof(s->name));
	s->next_offset_le = htole64((uint64_t)m->end.next_offset);
	s->segment_base_le = htole64((uint64_t)m->end.segment_base);
	s->segment_bytes_le = htole64(m->end.segment_bytes);
	if (m->end.linked) {
		s->first = m->end.first;
		s->link = m->end.link;
	}
	s->flags_le = htole32((m->clean ? FLAG_CLEAN : 0) | (m->end.linked ? FLAG_LINKED : 0));
	if (!m->clean)
		return;
	s->index_cnt_le = htole32(m->index_cnt);
	s->timeindex_cnt_le = htole32(m->timeindex_cnt);
	s->indexed_pos_le = htole64(m->index.indexed_pos);
	s->best_ts_ms_le = htole64((uint64_t)m->index.best_ts_ms);
	s->best_offset_le = htole64((uint64_t)m->index.best_offset);
	s->time_entry_ms_le = htole64((uint64_t)m->index.time_entry_ms);
}

/* False: values that no writer of ours stores. */
static bool
mark_load(struct pst_mark *m, const struct stored_mark *s)
{
	memset(m, 0, sizeof(*m));
	memcpy(m->name, s->name, sizeof(m->name));
	m->end.next_offset = (int64_t)le64toh(s->next_offset_le);
	m->end.segment_base = (int64_t)le64toh(s->segment_base_le);
	m->end.segment_bytes = le64toh(s->segment_bytes_le);
	m->end.linked = le32toh(s->flags_le) & FLAG_LINKED;
	m->end.first = s->first;
	m->end.link = s->link;
	m->clean = le32toh(s->flags_le) & FLAG_CLEAN;
	m->index_cnt = le32toh(s->index_cnt_le);
	m->timeindex_cnt = le32toh(s->timeindex_cnt_le);
	m->index.base_offset = m->end.segment_base;
	m->index.indexed_pos = le64toh(s->indexed_pos_le);
	m->index.best_ts_ms = (int64_t)le64toh(s->best_ts_ms_le);
	m->index.best_offset = (int64_t)le64toh(s->best_offset_le);
	m->index.time_entry_ms = (int64_t)le64toh(s->time_entry_ms_le);
	return memchr(m->name, '\0', sizeof(m->name)) && m->end.segment_base >= 0 &&
	       m->end.next_offset >= m->end.segment_base &&
	       m->end.segment_bytes <= PST_SEGMENT_POSITION_MAX;
}

int
pst_durable_open(struct pst_disk *disk, int dir, struct pst_durable_file *out)
{
	struct pst_durable_file f = {.disk = disk};
	f.slot = calloc(1, SLOT_BYTES);
	if (!f.slot)
		return -ENOMEM;
	int rc = disk->ops->open(disk, dir, PST_DURABLE_NAME, PST_DISK_WRITE | PST_DISK_CREATE);
	if (rc < 0) {
		free(f.slot);
		return rc;
	}
	f.file = rc;
	struct pst_disk_stat st;
	rc = disk->ops->stat(disk, f.file, &st);
	if (rc == 0 && st.bytes < 2 * SLOT_BYTES) {
		/* Written, not only allocated: a slot's write must need no new block and no new
		 * size. What an interrupted creation left holds no good slot. */
		for (uint64_t pos = 0; rc == 0 && pos < 2 * SLOT_BYTES; pos += SLOT_BYTES)
			rc = disk->ops->write(disk, f.file, f.slot, SLOT_BYTES, pos);
		if (rc == 0)
			rc = disk->ops->sync(disk, f.file);
		if (rc == 0)
			rc = disk->ops->sync(disk, dir);
	}
	if (rc < 0) {
		disk->ops->close(disk, f.file);
		free(f.slot);
		return rc;
	}
	*out = f;
	return 0;
}

void
pst_durable_close(struct pst_durable_file *file)
{
	file->disk->ops->close(file->disk, file->file);
	free(file->slot);
}

int
pst_durable_write(struct pst_durable_file *file, const struct pst_mark *marks, uint32_t cnt)
{
	struct stored_header *h = (struct stored_header *)file->slot;
	struct stored_mark *stored = (struct stored_mark *)(h + 1);
	PST_ASSERT(cnt <= PST_LIVE_SLOTS_MAX);
	if (file->failed)
		return -EIO;
	uint64_t generation = file->generation + 1;
	memset(h, 0, sizeof(*h));
	memcpy(h->magic, DURABLE_MAGIC, sizeof(h->magic));
	h->version_le = htole32(DURABLE_VERSION);
	uint32_t kept_cnt = 0;
	h->generation_le = htole64(generation);
	for (uint32_t i = 0; i < cnt; i++) {
		if (!marks[i].unset)
			mark_store(&stored[kept_cnt++], &marks[i]);
	}
	h->mark_cnt_le = htole32(kept_cnt);
	size_t len = sizeof(*h) + kept_cnt * sizeof(*stored);
	h->crc_le = htole32(pst_batch_crc32c(0, file->slot, len));

	uint64_t pos = (generation & 1) * SLOT_BYTES;
	int rc = file->disk->ops->write(file->disk, file->file, file->slot, len, pos);
	if (rc < 0)
		return rc;
	rc = file->disk->ops->sync(file->disk, file->file);
	if (rc < 0) {
		/* The page cache may now claim what the drive does not have. The other slot, an
		 * earlier lower bound, stays as it is. */
		file->failed = true;
		return rc;
	}
	file->generation = generation;
	return 0;
}

/* Generation of the slot, 0 if it is not good; *data is its whole content, to be freed. */
static int
slot_load(struct pst_disk *disk, int file, unsigned slot, uint8_t **data, uint64_t *generation)
{
	struct stored_header h;
	*generation = 0;
	int64_t n = disk->ops->read(disk, file, &h, sizeof(h), slot * SLOT_BYTES);
	if (n < 0)
		return (int)n;
	uint32_t cnt = le32toh(h.mark_cnt_le);
	if (n != sizeof(h) || memcmp(h.magic, DURABLE_MAGIC, sizeof(h.magic)) != 0 ||
		le32toh(h.version_le) != DURABLE_VERSION || cnt > PST_LIVE_SLOTS_MAX)
		return 0;
	size_t len = sizeof(h) + cnt * sizeof(struct stored_mark);
	uint8_t *buf = malloc(len);
	if (!buf)
		return -ENOMEM;
	n = disk->ops->read(disk, file, buf, len, slot * SLOT_BYTES);
	if (n != (int64_t)len) {
		free(buf);
		return n < 0 ? (int)n : 0;
	}
	struct stored_header *read = (struct stored_header *)buf;
	uint32_t crc = le32toh(read->crc_le);
	read->crc_le = 0;
	/* The count is looked at again: a slot being written may have changed between the reads. */
	if (le32toh(read->mark_cnt_le) != cnt || pst_batch_crc32c(0, buf, len) != crc) {
		free(buf);
		return 0;
	}
	*data = buf;
	*generation = le64toh(read->generation_le);
	return 0;
}

bool
pst_durable_removed(const struct pst_durable_file *file)
{
	struct pst_disk_stat st;
	return file->disk->ops->stat(file->disk, file->file, &st) == 0 && st.link_cnt == 0;
}

int
pst_durable_load(
	struct pst_disk *disk, int dir, struct pst_mark *marks, uint32_t *cnt, uint64_t *generation)
{
	int file = disk->ops->open(disk, dir, PST_DURABLE_NAME, 0);
	if (file < 0)
		return file;
	uint8_t *data[2] = {NULL, NULL};
	uint64_t gen[2] = {0, 0};
	int rc = slot_load(disk, file, 0, &data[0], &gen[0]);
	int rc1 = slot_load(disk, file, 1, &data[1], &gen[1]);
	disk->ops->close(disk, file);
	unsigned best = gen[1] > gen[0];
	if (gen[best] == 0) {
		rc = rc < 0 ? rc : rc1 < 0 ? rc1 : -EBADMSG;
		goto out;
	}
	rc = 0;
	const struct stored_header *h = (const struct stored_header *)data[best];
	const struct stored_mark *stored = (const struct stored_mark *)(h + 1);
	for (uint32_t i = 0; i < le32toh(h->mark_cnt_le); i++) {
		if (!mark_load(&marks[i], &stored[i])) {
			rc = -EBADMSG;
			goto out;
		}
	}
	*cnt = le32toh(h->mark_cnt_le);
	if (generation)
		*generation = gen[best];
out:
	free(data[0]);
	free(data[1]);
	return rc;
}

int
pst_durable_lookup(struct pst_disk *disk, int dir, const char *name, struct pst_mark *mark)
{
	struct pst_mark *marks = calloc(PST_LIVE_SLOTS_MAX, sizeof(*marks));
	uint32_t cnt = 0;
	if (!marks)
		return -ENOMEM;
	int rc = pst_durable_load(disk, dir, marks, &cnt, NULL);
	if (rc == 0) {
		rc = -ESRCH;
		for (uint32_t i = 0; i < cnt; i++) {
			if (strcmp(marks[i].name, name) == 0) {
				*mark = marks[i];
				rc = 0;
				break;
			}
		}
	}
	free(marks);
	return rc;
}
