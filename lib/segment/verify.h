/* Checks a data directory, changing nothing: every batch's CRC and records, offset continuity
 * within and across segments, indexes equal to what Kafka's recovery would build, no unexplained
 * bytes. */
#ifndef PST_VERIFY_H
#define PST_VERIFY_H

#include <stdint.h>
#include <stdio.h>

struct pst_disk;

struct pst_verify_totals {
	uint64_t partition_cnt, segment_cnt, batch_cnt, record_cnt, bytes;
	uint64_t finding_cnt; /* damage */
	uint64_t note_cnt;    /* harmless: unfinished trim, unsynced tail of a killed daemon */
};

/* Writes each finding as a line "file:position: what" (a note: "file:position: note: what") to out
 * (NULL: none). Returns 0, or -errno if
 * the directory cannot be read. Safe while the daemon runs: looks only at what is durable. */
int pst_verify(const char *data_dir, FILE *out, struct pst_verify_totals *totals);
int pst_verify_on(struct pst_disk *disk, const char *data_dir, FILE *out,
	struct pst_verify_totals *totals); /* see disk.h */

#endif
