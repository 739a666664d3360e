/* The HTTP endpoint: everything that can be watched, for Prometheus and for health checks.
 *
 *   GET /metrics   text format 0.0.4          docs/metrics.md names every metric
 *   GET /healthz   200: alive; 503 says why not
 *   GET /readyz    200: events are taken in and stored; 503 says why not
 *
 * Reading only: any other path is 404, any other method than GET and HEAD 405. One thread, on the
 * control thread's CPU and of less weight than it; it reaches the data path by the mailbox
 * (pipeline/pipeline.h) alone, at most four times a second however many ask: all who ask within a
 * quarter of a second get the same answer. What clients can take is bounded (server.h). */
#ifndef PST_METRICS_H
#define PST_METRICS_H

#include "pipeline/pipeline.h"

struct pst_metrics;

/* Listens where the profile says and answers "starting" until there is a pipeline. *out is NULL if
 * the profile wants no endpoint. Control thread; before any device is touched, so that an address
 * that is taken is said in time. 0, or -1 with *diag. */
int pst_metrics_open(
	const struct pst_profile *profile, struct pst_metrics **out, struct pst_diag *diag);

/* Answers for this pipeline from now on; once the lcores run. Control thread. */
void pst_metrics_attach(struct pst_metrics *metrics, struct pst_pipeline *pipeline);

/* Waits for an answer under way; from now on each is "draining". Before anything of the pipeline is
 * taken apart. Control thread. */
void pst_metrics_detach(struct pst_metrics *metrics);

/* Ends the thread and closes everything. NULL is allowed in all three. */
void pst_metrics_close(struct pst_metrics *metrics);

#endif
