/* Reads a partition's log from its files: while the daemon writes, rolls and retires it, and
 * without it. Never returns what is not durable. One reader is one thread's. */
#ifndef PST_READER_H
#define PST_READER_H

#include "batch/batch.h"
#include "segment/datadir.h"

struct pst_reader;

/* Lists "<topic>-<partition>" directories. Calls visit for each; stops at non-zero and returns
 * it. -errno if the directory cannot be read. */
int pst_reader_list(const char *data_dir,
	int (*visit)(void *arg, const char *topic, uint32_t partition), void *arg);

/* Returns 0 or -1 with *diag (no such directory or partition, no permission). */
int pst_reader_open(const char *data_dir, const char *topic, uint32_t partition,
	struct pst_reader **out, struct pst_diag *diag);
int pst_reader_open_on(struct pst_disk *disk, const char *data_dir, const char *topic,
	uint32_t partition, struct pst_reader **out, struct pst_diag *diag); /* see disk.h */
void pst_reader_close(struct pst_reader *reader);

int64_t pst_reader_earliest(struct pst_reader *reader); /* first offset kept */
int64_t pst_reader_latest(struct pst_reader *reader);   /* durable end: next offset to come */
/* First offset whose timestamp is at or after timestamp_ms; latest if none. -1: damage. */
int64_t pst_reader_offset_at(struct pst_reader *reader, int64_t timestamp_ms);

/* Next read starts with the event at offset (clamped to earliest .. latest). Events that are
 * retired while they are being read are passed over: reading goes on with the earliest that is
 * left, as Kafka's consumers do when their offset is out of range. */
void pst_reader_seek(struct pst_reader *reader, int64_t offset);

enum pst_read_result {
	PST_READ_RECORD,
	PST_READ_END,    /* durable end reached; more may come */
	PST_READ_DAMAGE, /* diag says where; the same again until seek or skip_damage goes past it
			  */
};
/* The record's pointers live until the next call. */
enum pst_read_result pst_reader_next(
	struct pst_reader *reader, struct pst_batch_record *record, struct pst_diag *diag);

/* After DAMAGE: goes on with the first good batch behind it. Returns the offset that it goes on
 * with. */
int64_t pst_reader_skip_damage(struct pst_reader *reader);

#endif
