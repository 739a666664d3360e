/* One story being told: shared by story.c (what happens), life.c (the logs), state.c (the states).
 */
#ifndef SIM_LIFE_H
#define SIM_LIFE_H

#include "segment/log.h"
#include "segment/sim/history.h"
#include "segment/sim/story.h"

#define SIM_PARTITIONS_MAX 3

struct sim_story {
	const struct sim_plan *plan;
	unsigned idx;
	uint64_t seed, chance;
	struct sim_counts *counts;
	bool failed;

	/* From the seed, once. */
	unsigned partition_cnt;
	struct pst_log_config config[SIM_PARTITIONS_MAX];
	bool large, packed, unruly;
	uint64_t flush_bytes, flush_age_ns, retain_bytes, capacity_blocks;
	struct sim_fault fault;

	/* The life being lived. */
	unsigned life;
	bool harmed; /* calls failed, in this life or in an earlier one */
	bool over;   /* killed already: what still happens to it counts no more */
	bool closed; /* the one before was closed without a mishap */
	uint64_t now_ns;
	struct sim_disk *disk;
	struct pst_datadir *dir;
	struct pst_appender *app;
	unsigned log_cnt; /* of the partitions, that are open */
	int log_idx[SIM_PARTITIONS_MAX];
	struct sim_history history[SIM_PARTITIONS_MAX];
	uint64_t ack_cnt;
	unsigned failed_syncs_seen; /* when the last poll began */

	/* States. */
	unsigned step;
	uint64_t look_chance;
	uint64_t *seen; /* sums of the choices looked at, to pass over what is the same */
	unsigned seen_cnt, seen_cap;
	char state[400];  /* being looked at */
	int look_variant; /* of it; -1: none is */
};

/* The first failure of a story counts. */
void sim_fail(struct sim_story *s, const char *what);

/* life.c */

struct sim_logs {
	struct pst_datadir *dir;
	struct pst_appender *app;
	int log_idx[SIM_PARTITIONS_MAX];
	struct pst_recovery recovery[SIM_PARTITIONS_MAX];
};

/* Opens all of the story's logs on a disk; *cnt counts those that are open. 0 or -1 with *diag,
 * then nothing is left open. */
int sim_logs_open(
	struct sim_story *s, struct sim_disk *disk, struct sim_logs *logs, struct pst_diag *diag);
/* What a recovery did first, as text; "" if nothing. Until the next call. */
const char *sim_recovery_text(const struct pst_recovery *recovery);
int sim_life_begin(struct sim_story *s);
void sim_life_end(struct sim_story *s, bool orderly);
/* A stop that does not wait for what is under way. */
void sim_life_end_late(struct sim_story *s);
void sim_life_poll(struct sim_story *s);
void sim_life_poll_to_rest(struct sim_story *s);
/* What retention has taken out of the log may be gone from now on. */
void sim_life_update_start(struct sim_story *s);
void sim_life_read(struct sim_story *s);

/* state.c: called by the disk after each change */
void sim_look(void *story);

#endif
