/* One partition being verified. Internal to lib/segment. */
#ifndef PST_VERIFYING_H
#define PST_VERIFYING_H

#include "segment/reading.h"
#include "segment/verify.h"

#define PST_VERIFY_FINDINGS_MAX 1000 /* in a segment; then it is given up */

struct pst_verifying {
	const char *data_dir;
	FILE *out;
	struct pst_verify_totals *totals;
	struct pst_reading log;
	struct pst_batch_decoder *decoder;
	struct pst_segment_scan seg;
	int64_t *damaged; /* bases of segments of which something was set aside */
	uint32_t damaged_cnt;
	int64_t expected; /* offset that the next segment should begin with; -1: any */
};

/* name: of the file; NULL: the partition's directory. */
void pst_verify_finding(struct pst_verifying *v, const char *name, uint64_t pos, const char *fmt,
	...) __attribute__((format(printf, 4, 5)));
void pst_verify_note(struct pst_verifying *v, const char *name, uint64_t pos, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Segment i of v->log.bases. 0 or -errno. */
int pst_verify_segment(struct pst_verifying *v, uint32_t i);

#endif
