/* Inside the recorder: what it reads from ports, kernel and writers. Control thread. */
#ifndef PST_RECORDING_H
#define PST_RECORDING_H

#include "ledger/record.h"

struct pst_pipeline;

/* Reads the counters beside the books. The first reading is where they begin; the kernel path's
 * and the ports' own begin at 0 with the run. */
void recording_beside(struct pst_pipeline *pipeline, struct pst_beside *beside);

/* Which partitions are known to have events of the rules in force, and are recorded. */
struct recording_rules {
	uint32_t generation; /* recorded last; 0: none */
	uint32_t told[PST_STREAMS_MAX][PST_QUEUES_MAX];
};

/* Records a new generation, and from which offset it holds wherever that became known. */
void recording_rules(struct recording_rules *state, struct pst_pipeline *pipeline,
	const struct pst_record_sink *sink);
/* Whether there is something to record. */
bool recording_rules_due(const struct recording_rules *state, const struct pst_pipeline *pipeline);

#endif
