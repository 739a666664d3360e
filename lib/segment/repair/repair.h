/* Puts what is valid of a damaged log back in its place, and says what is not.
 *
 *   before   | segment 0      ...####.. good ... | segment 900 |    damage in a closed segment,
 *                                                                   or set aside by recovery
 *   after    | segment 0 |   lost   | segment 412 | segment 900 |   and 0.log.damaged-<pos>-<crc>
 *
 * From the first bad byte of a closed segment on, its bytes are set aside as recovery does it. Then
 * each run of good batches in what was set aside becomes a segment of its own, with indexes, where
 * its offsets are free. Nothing valid is deleted and no offset is used again: files that were set
 * aside stay, also when all that was good in them is back. Batches whose offsets belong to others
 * by now, and single ones whose offset nothing confirms, stay there only.
 *
 * Seals: a segment that was cut gets a seal of what is left, the old one is set aside; a segment
 * that was put back gets one of its own. Both say so. What disagrees with a chain without being
 * damaged is left alone: verify names it.
 *
 * Each step leaves a directory that repair, or recovery, brings to the same end. */
#ifndef PST_REPAIR_H
#define PST_REPAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"
#include "segment/format.h"

struct pst_disk;

enum pst_repair_kind {
	PST_REPAIR_RECOVERS,   /* the partition was not closed in order: recovered first, or damaged
				  in the segment being written */
	PST_REPAIR_SETS_ASIDE, /* bytes from pos of file */
	PST_REPAIR_PUTS_BACK,  /* offsets, from file at pos: become segment first_offset */
	PST_REPAIR_SEALS,      /* file: a seal over what is left of the segment */
	/* From here on nothing is done. */
	PST_REPAIR_KEEPS,   /* offsets, in file at pos: good, but their place is taken or unknown */
	PST_REPAIR_DAMAGED, /* bytes from pos of file, with their CRC-32C: not valid */
	PST_REPAIR_LOST,    /* offsets: in no good batch */
	PST_REPAIR_KIND_CNT
};

struct pst_repair_item {
	enum pst_repair_kind kind;
	const char *partition;
	char file[PST_SEGMENT_NAME_BYTES];
	uint64_t pos, bytes;
	uint32_t crc;
	int64_t first_offset, last_offset;
};
const char *pst_repair_kind_name(enum pst_repair_kind kind);

struct pst_repair_config {
	const char *data_dir;
	char *const *partitions; /* "<topic>-<partition>"; none: all */
	unsigned partition_cnt;
	bool apply; /* else only says what it would do */
	void (*say)(void *arg, const struct pst_repair_item *item);
	void *arg;
};

struct pst_repair_totals {
	uint64_t partition_cnt;
	uint64_t action_cnt;           /* to be done, or done */
	uint64_t back_cnt, back_bytes; /* batches put back */
	uint64_t lost_cnt;             /* offsets */
};

/* 0, or -1 with *diag: no data directory, in use by a daemon, cannot be read or written. With apply
 * what was done before stays, and the next call goes on from there. disk NULL: the real one. */
int pst_repair(struct pst_disk *disk, const struct pst_repair_config *config,
	struct pst_repair_totals *totals, struct pst_diag *diag);

#endif
