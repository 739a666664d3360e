/* Everything that the metrics show, as it was at one moment.
 *
 * Taken by the endpoint's thread alone; kept between two scrapes, so that taking one allocates
 * nothing. */
#ifndef PST_OBSERVATION_H
#define PST_OBSERVATION_H

#include "pipeline/pipeline.h"

/* What the endpoint counts of itself. */
struct pst_server_stats {
	uint64_t connection_cnt; /* accepted */
	uint32_t connection_now_cnt;
	uint64_t evicted_cnt;               /* closed to make room */
	uint64_t deadline_cnt;              /* closed: a request and its answer took too long */
	uint64_t answered_cnt, refused_cnt; /* 200; anything else */
	uint64_t observation_cnt;           /* taken */
	uint64_t observation_ns;            /* how long the last one took */
};

struct pst_observation {
	const struct pst_pipeline *pipeline;
	const struct pst_profile *profile;
	struct pst_snapshot snapshot;
	/* Sums of the snapshot's book: with them no metric needs a series for each cell. */
	struct pst_cell listeners[PST_LISTENERS_MAX + 1]; /* over queues; last "none" */
	struct pst_cell queues[PST_QUEUES_MAX];           /* over listeners; last the kernel path */
	struct pst_stream_logs logs[PST_STREAMS_MAX];
	struct pst_port_stats ports[PST_PORTS_MAX];
	struct pst_ksock_stats kernel_path;
	struct pst_rules_page rules;
	struct pst_sources_page sources;
	struct pst_recorder_view ledger;
	struct pst_drive_row drives[PST_DRIVES_MAX];
	struct pst_server_stats server;
};

/* Memory for observations of that pipeline, in *o that is all zero. 0, or -ENOMEM (then
 * pst_observation_fini is still due). */
int pst_observation_init(struct pst_observation *o, struct pst_pipeline *pipeline);
void pst_observation_fini(struct pst_observation *o);

/* Looks at everything. 0, -ETIMEDOUT: an lcore does not answer (after some seconds), or -ENOMEM. */
int pst_observation_take(struct pst_observation *o, struct pst_pipeline *pipeline);

/* What a health check is told. */
struct pst_health {
	bool good;
	char text[160]; /* a line without its end */
};
/* Of a pipeline that was observed, or whose observation failed with rc. */
void pst_health_alive(const struct pst_observation *o, int rc, struct pst_health *out);
void pst_health_ready(const struct pst_observation *o, int rc, struct pst_health *out);

#endif
