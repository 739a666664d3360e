/* What a partition looks like on disk. The one definition that writer, recovery, reader and verify
 * share; byte-exact with Kafka's own (LogFileUtils, OffsetIndex, TimeIndex, LogSegment.recover).
 *
 *   <topic>-<partition>/
 *     00000000000000000000.log        segment: batches one behind the other, from position 0
 *     00000000000000000000.index      8 bytes an entry:  | last offset - base | position |
 *     00000000000000000000.timeindex  12 bytes an entry: | timestamp ms | offset - base |
 *     00000000000000000000.seal       the hash chain over its batches, see seal.h
 *     00000000000000048211.log        the number is the base offset of the segment's first batch
 *     ...
 *     00000000000000048211.log.damaged-<position>-<crc>   set aside by recovery, never read again
 *
 *   .log of the segment being written:
 *
 *     0                                          durable end                   file size
 *     | batch | batch | batch | batch |  batch  |  in flight |000000000000000000|
 *                                          ^ block of 4096 that the next write begins with again
 *
 * The file is written in whole blocks: its part-filled last block is padded with zeros and is
 * rewritten, its first bytes unchanged, by the next write. Closing truncates to the last batch's
 * end, so a closed segment has no zeros and no allocation behind its end.
 *
 * Everything stored in these files is big-endian. Offsets and positions in the indexes are 31 bits:
 * a segment stays below 2 GiB and spans fewer than 2^31 offsets. */
#ifndef PST_FORMAT_H
#define PST_FORMAT_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "batch/batch.h"

#define PST_BLOCK_BYTES          4096 /* unit of writing; a multiple of every drive's sector */
#define PST_INDEX_INTERVAL_BYTES 4096 /* Kafka's index.interval.bytes */
#define PST_SEGMENT_POSITION_MAX INT32_MAX
#define PST_SEGMENT_OFFSETS_MAX  INT32_MAX
#define PST_TOPIC_LEN_MAX        200
#define PST_LOG_DIR_NAME_BYTES   216 /* topic, '-', up to ten digits, NUL, rounded up */
#define PST_SEGMENT_NAME_BYTES   64  /* longest: "<20>.log.damaged-<10>-<8>.tmp" */
#define PST_LEADER_EPOCH         0

struct pst_index_entry {
	uint32_t offset_be;   /* last offset of the batch at position, minus base */
	uint32_t position_be; /* of a batch's first byte */
};
static_assert(sizeof(struct pst_index_entry) == 8, "Kafka's OffsetIndex entry");

struct pst_time_entry {
	uint8_t timestamp_be[8]; /* largest timestamp so far, ms */
	uint8_t offset_be[4];    /* last offset of the batch that has it, minus base */
};
static_assert(sizeof(struct pst_time_entry) == 12, "Kafka's TimeIndex entry");

/* ---- names ---- */

enum pst_segment_file {
	PST_SEGMENT_LOG,
	PST_SEGMENT_INDEX,
	PST_SEGMENT_TIMEINDEX,
	PST_SEGMENT_SEAL, /* see seal.h */
	PST_SEGMENT_FILE_CNT
};

/* Writes "<20 digits>.<log|index|timeindex|seal>" into name. */
void pst_segment_name(
	char name[PST_SEGMENT_NAME_BYTES], int64_t base_offset, enum pst_segment_file file);

/* Whether name is exactly such a name; fills base and file if so. */
bool pst_segment_name_parse(const char *name, int64_t *base_offset, enum pst_segment_file *file);

/* Whether name is "<20 digits>.log.damaged-..." and of which segment. */
bool pst_segment_name_damaged(const char *name, int64_t *base_offset);

/* Whether topic is a legal name: [a-zA-Z0-9._-]{1,200}, not "." or "..". */
bool pst_topic_valid(const char *topic);

/* Writes "<topic>-<partition>". */
void pst_log_dir_name(char name[PST_LOG_DIR_NAME_BYTES], const char *topic, uint32_t partition);

/* Whether name is such a name; topic gets at most PST_TOPIC_LEN_MAX + 1 bytes. */
bool pst_log_dir_parse(const char *name, char *topic, uint32_t *partition);

/* ---- the index rule ---- */

/* What the rule remembers of a segment. */
struct pst_index_state {
	int64_t base_offset;
	uint64_t indexed_pos;  /* of the last .index entry; 0 before the first */
	int64_t best_ts_ms;    /* largest timestamp so far, -1 before the first */
	int64_t best_offset;   /* last offset of the batch that brought it */
	int64_t time_entry_ms; /* timestamp of the last .timeindex entry, -1 if none */
};

struct pst_index_step {
	bool has_index, has_time;
	struct pst_index_entry index;
	struct pst_time_entry time;
};

void pst_index_begin(struct pst_index_state *state, int64_t base_offset);

/* Takes the batch that starts at pos and ends with last_offset; says which entries are due. */
void pst_index_batch(struct pst_index_state *state, uint64_t pos, int64_t last_offset,
	int64_t max_ts_ms, struct pst_index_step *step);

/* The .timeindex entry that is due when the segment is closed: true if there is one. */
bool pst_index_end(struct pst_index_state *state, struct pst_time_entry *time);

static inline int64_t
pst_batch_last_offset(const struct pst_batch_info *info)
{
	return info->base_offset + (int64_t)info->last_offset_delta;
}

#endif
