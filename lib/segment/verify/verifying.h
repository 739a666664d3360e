/* One partition being verified. Internal to lib/segment. */
#ifndef PST_VERIFYING_H
#define PST_VERIFYING_H

#include "segment/reading.h"
#include "segment/seal.h"
#include "segment/verify/verify.h"

#define PST_VERIFY_FINDINGS_MAX 1000 /* in a segment; then it is given up */
#define PST_VERIFY_TEXT_BYTES   512

struct pst_verifying {
	const struct pst_verify_sink *sink;
	struct pst_verify_totals *totals;
	struct pst_reading log;
	struct pst_batch_decoder *decoder;
	struct pst_segment_scan seg;
	int64_t *damaged; /* bases of segments of which something was set aside */
	uint32_t damaged_cnt;
	int64_t expected; /* offset that the next segment should begin with; -1: any */

	/* The chain. link is right behind the last batch if chained. */
	struct pst_seal seal; /* of this segment, if sealed */
	bool sealed;
	bool chained;
	bool spoilt; /* some batch of this segment is not known to be what it was */
	bool follows_known;
	int64_t unsealed_from; /* the chain has no known link from here on; -1: it has */
	bool unsealed_before;  /* the segment before has no seal, or one that ends before it */
	struct pst_link link;
	struct pst_link follows; /* what the next segment should start with, if follows_known */
	uint32_t next_link;      /* of the seal's links between; link_cnt: the last one */
	uint64_t held_pos;       /* where link and seal agreed last */
	int64_t held_offset;

	/* What is said at the end. */
	struct pst_verify_partition said;
	struct pst_verify_range *ranges;
	uint32_t range_cap;
	char wrong[PST_VERIFY_TEXT_BYTES];
};

/* name: of the file; NULL: the partition's directory. */
void pst_verify_finding(struct pst_verifying *v, const char *name, uint64_t pos, const char *fmt,
	...) __attribute__((format(printf, 4, 5)));
void pst_verify_note(struct pst_verifying *v, const char *name, uint64_t pos, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* A note that events are missing or not proven from offset on. */
void pst_verify_gap(struct pst_verifying *v, const char *name, int64_t offset, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Whether something of a segment from .. to was set aside by a start. */
bool pst_verify_set_aside(const struct pst_verifying *v, int64_t from, int64_t to);

/* Segment i of v->log.bases. 0 or -errno. */
int pst_verify_segment(struct pst_verifying *v, uint32_t i);

/* verify_seal.c: around the walk over segment i. gap: offsets are missing before it. */
int pst_verify_seal_begin(struct pst_verifying *v, uint32_t i, bool last, bool gap);
void pst_verify_seal_batch(struct pst_verifying *v, const struct pst_scan *scan);
void pst_verify_seal_lost(struct pst_verifying *v); /* a batch is damaged or missing */
int pst_verify_seal_end(struct pst_verifying *v, bool last, bool good, bool aside);

#endif
