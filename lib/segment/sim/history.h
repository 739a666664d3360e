/* What was given to a partition and what came back: from it follows what a reader may and must
 * find. A batch's records carry its number; all their bytes follow from it. */
#ifndef SIM_HISTORY_H
#define SIM_HISTORY_H

#include "segment/reader.h"

enum sim_batch_state {
	SIM_BATCH_PENDING,
	SIM_BATCH_DURABLE, /* acknowledged, or found by a recovery that went on with it */
	SIM_BATCH_DOUBT,   /* sync failed: may reappear */
	SIM_BATCH_LEFT, /* found by a recovery that may not have been able to sync it: may be lost
			 */
	SIM_BATCH_GONE, /* reported as not stored */
};

struct sim_batch {
	int64_t offset;
	uint32_t record_cnt, value_len;
	enum sim_batch_state state;
	bool found;   /* by the last check */
	uint8_t *buf; /* while the log has it */
};

struct sim_history {
	uint32_t partition; /* mixed into the bytes */
	struct sim_batch *batches;
	uint32_t cnt, cap;
	int64_t sure_end; /* below are the durable ones */
	int64_t start;    /* below may be retired */
	/* A recovery may have met a segment that it could not read. It is left as it was, zeros
	 * behind its end included, and the log goes on behind all offsets that could be in it. */
	bool may_leap;
};

/* What a recovery made of the partition. */
struct sim_found {
	int64_t first, next;
	uint64_t sum;           /* of the offsets and numbers of all batches */
	uint32_t undurable_cnt; /* batches that nobody had acknowledged */
};

#define SIM_RECORD_BYTES_MIN 16

/* Makes the next batch, sealed, in its buf; pending. Returns its number; *len: of buf. */
uint32_t sim_history_add(
	struct sim_history *h, uint32_t record_cnt, uint32_t value_len, bool packed, uint32_t *len);
void sim_history_fini(struct sim_history *h);

/* Reads the partition from its first to its last record. Fills *found and returns NULL if it holds
 * what it must and may; else what is wrong, with *offset where. durable_only: pending batches must
 * not be seen. */
const char *sim_history_check(struct sim_history *h, struct pst_disk *disk, const char *topic,
	bool durable_only, struct sim_found *found, int64_t *offset);

/* The log goes on with what the last check found: it is durable now, what was not found never comes
 * back. */
void sim_history_settle(struct sim_history *h, const struct sim_found *found);

#endif
