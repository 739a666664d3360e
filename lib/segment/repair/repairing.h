/* One partition being repaired. Internal to lib/segment. */
#ifndef PST_REPAIRING_H
#define PST_REPAIRING_H

#include "segment/recovery/recovery.h"
#include "segment/repair/repair.h"

/* Where good batches may lie that are not in the log. */
struct pst_repair_source {
	char name[PST_SEGMENT_NAME_BYTES];
	int64_t base;
	uint64_t from;
};

struct pst_repair_segment {
	int64_t base, next;
	uint64_t bytes;
};

struct pst_repairing {
	const struct pst_repair_config *config;
	struct pst_repair_totals *totals;
	struct pst_disk *disk;
	int dir;
	char name[PST_LOG_DIR_NAME_BYTES];
	bool apply; /* else nothing is changed */
	bool sealed;

	struct pst_repair_segment *segments; /* by base offset */
	uint32_t segment_cnt;
	struct pst_repair_source *sources;
	uint32_t source_cnt;
	int64_t end_base;   /* of the segment being written: left to recovery */
	uint64_t end_bytes; /* durable ones of it */

	struct pst_scan scan, other;
	/* Where the last comparison with a segment came to: batches of a source mostly follow each
	 * other, and to begin anew for each would take the square of their number. */
	struct {
		bool set;
		int64_t base;   /* of the segment */
		int64_t offset; /* that was looked for */
		uint64_t pos;   /* no batch of it or a later one begins before */
	} seen;
	struct pst_segment_scan seg;
	struct pst_seal seal, old;
};

void pst_repairing_say(struct pst_repairing *p, const struct pst_repair_item *item);
int pst_repairing_list(struct pst_repairing *p);
/* Makes missing and wrong indexes of a segment from p->seg. 0 or -errno. */
int pst_repairing_indexes(struct pst_repairing *p, int64_t base);

/* repair_salvage.c: looks through all sources. 0 or -errno. */
int pst_repairing_salvage(struct pst_repairing *p);

/* repair_seal.c: if the segment is shorter than what its seal speaks of. 0 or -errno. */
int pst_repairing_reseal(struct pst_repairing *p, const struct pst_repair_segment *segment);

#endif
