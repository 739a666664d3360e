/* Checks a data directory, changing nothing: every batch's CRC and records, offset continuity
 * within and across segments, the hash chain where the log is sealed (seal.h), indexes equal to
 * what Kafka's recovery would build, no unexplained bytes. Safe while the daemon runs: looks only
 * at what is durable. */
#ifndef PST_VERIFY_H
#define PST_VERIFY_H

#include <stdint.h>
#include <stdio.h>

#include "segment/datadir.h"

struct pst_verify_totals {
	uint64_t partition_cnt, segment_cnt, batch_cnt, record_cnt, bytes;
	uint64_t finding_cnt; /* damage */
	uint64_t note_cnt;    /* harmless: unfinished trim, unsynced tail of a killed daemon */
};

/* Offsets from .. to - 1, which are all there and as they were written, as far as can be known. */
struct pst_verify_range {
	int64_t from, to;
	bool sealed; /* by the hash chain; else by CRCs and offsets alone */
};

/* What can be said of a partition. */
struct pst_verify_partition {
	const char *name;
	int64_t from, to;  /* offsets kept, and durable */
	int64_t whole_to;  /* complete and unaltered up to here: `to` if nothing was found */
	const char *wrong; /* the first place where it is not: "file:position: what"; or NULL */
	const struct pst_verify_range *ranges; /* of from .. whole_to */
	uint32_t range_cnt;
	bool linked; /* link is the chain's at `to`: an anchor */
	struct pst_link link;
};

/* A link that was kept elsewhere. */
struct pst_anchor {
	char name[216]; /* "<topic>-<partition>"; "": any */
	int64_t offset; /* next offset at the link; -1: any */
	struct pst_link link;
	bool met; /* filled in by verify */
};

struct pst_verify_sink {
	void *arg;
	/* file may be NULL: the partition's directory. All pointers live until the call returns. */
	void (*finding)(void *arg, const char *partition, const char *file, uint64_t pos,
		bool harmless, const char *text);
	void (*partition)(void *arg, const struct pst_verify_partition *partition);
	struct pst_anchor *anchors; /* looked for; it is the caller who asks which were met */
	uint32_t anchor_cnt;
};

/* Returns 0, or -errno if the directory or a partition cannot be read. */
int pst_verify_with(struct pst_disk *disk, const char *data_dir, const struct pst_verify_sink *sink,
	struct pst_verify_totals *totals); /* disk: see disk.h; NULL: the real one */

/* Writes each finding as a line "file:position: what" (a note: "file:position: note: what") to out
 * (NULL: none). */
int pst_verify(const char *data_dir, FILE *out, struct pst_verify_totals *totals);
int pst_verify_on(struct pst_disk *disk, const char *data_dir, FILE *out,
	struct pst_verify_totals *totals); /* see disk.h */

#endif
