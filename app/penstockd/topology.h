/* The daemon's wiring: which lcore polls, owns and writes what. */
#ifndef PST_TOPOLOGY_H
#define PST_TOPOLOGY_H

#include "pipeline/pipeline.h"

/* Where each partition is written: made before any device is touched, so that a data directory that
 * cannot be used is known first. */
struct pst_storage {
	struct pst_datadir *datadirs[PST_DRIVES_MAX];
	/* [writer][drive]; NULL where the writer does not serve the drive */
	struct pst_appender *appenders[PST_WRITERS_MAX][PST_DRIVES_MAX];
	uint64_t newest_ns[PST_QUEUES_MAX]; /* of each queue's partitions: time never goes back */
	int partition[PST_QUEUES_MAX];      /* of each queue */
	uint64_t ledger_newest_ns;          /* of the ledger stream's one partition */
	struct pst_log_place place[PST_STREAMS_MAX][PST_QUEUES_MAX]; /* [stream][queue] */
	/* All partitions, also those without a queue, and what recovery found in them. */
	struct pst_log_add *logs;
	uint32_t log_cnt;
	uint64_t recovery_ns; /* of all together */
};

/* Opens and locks the data directories, recovers every partition, says what was found. 0, or -1
 * with *diag. */
int pst_storage_open(
	const struct pst_profile *profile, struct pst_storage *storage, struct pst_diag *diag);

/* Closes segments and directories. 0 or -errno of the first that could not be closed. */
int pst_storage_close(const struct pst_profile *profile, struct pst_storage *storage);

/* Builds the pipeline in EAL memory: rings, batches, lcores' state. After the ports are open. 0, or
 * -1 with *diag. */
int pst_topology_build(
	struct pst_pipeline *pipeline, const struct pst_storage *storage, struct pst_diag *diag);

/* Starts every lcore; then waits for their ends after pst_pipeline_stop. */
int pst_topology_launch(struct pst_pipeline *pipeline);
void pst_topology_join(void);

void pst_topology_destroy(struct pst_pipeline *pipeline);

/* EAL's lcore map: control thread, then rx lcores, then writers. Writes the --lcores argument. */
void pst_topology_lcores(const struct pst_profile *profile, char *out, size_t cap);

#endif
