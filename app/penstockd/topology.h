/* The daemon's wiring: which lcore polls, owns and writes what. */
#ifndef PST_TOPOLOGY_H
#define PST_TOPOLOGY_H

#include "pipeline/pipeline.h"

/* Where each partition is written: made before any device is touched, so that a data directory that
 * cannot be used is known first. */
struct pst_storage {
	/* Given before it is opened. */
	struct pst_disk *const *disks; /* [drive]; NULL: the real one for all */
	bool forget_missing;           /* drives that are missing leave the set */

	struct pst_drives *drives;
	/* [writer][drive]; NULL where the writer does not serve the drive */
	struct pst_appender *appenders[PST_WRITERS_MAX][PST_DRIVES_MAX];
	uint64_t newest_ns[PST_QUEUES_MAX]; /* of each queue's partitions: time never goes back */
	int partition[PST_QUEUES_MAX];      /* of each queue, the highest in use */
	bool has_fresh_number[PST_QUEUES_MAX]; /* given at this start, as a drive is away */
	uint64_t ledger_newest_ns;             /* of the ledger stream's one partition */
	struct pst_log_place place[PST_STREAMS_MAX][PST_QUEUES_MAX]; /* [stream][queue] */
	/* All partitions, also those without a queue, and what recovery found in them. */
	struct pst_log_add *logs;
	uint32_t log_cnt;
	uint64_t recovery_ns; /* of all together */
	/* What the operator was told of each drive's space. */
	struct pst_space_watch {
		bool said_full;
		unsigned quiet_s, retired_quiet_s; /* nothing is said for so long */
		uint64_t full_cnt, retired_segment_cnt, retired_bytes;
	} space_watch[PST_DRIVES_MAX];
};

/* Opens and locks the data directories, recovers every partition, says what was found. Drives that
 * are missing or do not answer are left out if every stream's policy allows it. storage is all
 * zeros but for what is given. 0, or -1 with *diag: pst_storage_close then, too. */
int pst_storage_open(
	const struct pst_profile *profile, struct pst_storage *storage, struct pst_diag *diag);

/* Control thread, every turn while traffic runs: moves partitions away from drives that failed. 0,
 * or -1 with *diag: a stream halts on failure, or there is nowhere to go on; the daemon is to
 * drain and end. */
int pst_storage_watch(const struct pst_profile *profile, struct pst_storage *storage,
	struct pst_pipeline *pipeline, struct pst_diag *diag);

/* Writes the durable ends of the drives that are well: all, or those that want it. */
void pst_storage_checkpoint(
	const struct pst_profile *profile, const struct pst_storage *storage, bool all);

/* Control thread, every second: whether full disks have space again; says what has changed. */
void pst_storage_watch_space(const struct pst_profile *profile, struct pst_storage *storage);

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
