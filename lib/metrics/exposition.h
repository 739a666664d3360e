/* A text in Prometheus' exposition format 0.0.4, built sample by sample.
 *
 *   # HELP penstock_events_found_total Events taken out of carried frames.
 *   # TYPE penstock_events_found_total counter
 *   penstock_events_found_total{listener="syslog"} 12
 *
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/ (text format). Whole numbers
 * are written as such, so that none is rounded here. One thread. */
#ifndef PST_EXPOSITION_H
#define PST_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pst_metric_type { PST_METRIC_COUNTER, PST_METRIC_GAUGE, PST_METRIC_HISTOGRAM };

struct pst_exposition {
	char *text; /* malloc'ed; the caller's once it is done */
	size_t len, cap;
	bool failed;        /* no memory: the text is not whole */
	const char *metric; /* of the samples that follow */
	const char *part;   /* behind its name: "", or "_bucket", "_sum", "_count" */
};

/* All zero is an empty one. Frees the text. */
void pst_exposition_fini(struct pst_exposition *x);

/* Begins a metric; name and help must live until the next one. */
void pst_exposition_metric(
	struct pst_exposition *x, const char *name, enum pst_metric_type type, const char *help);

/* The samples that follow are that part of a histogram: "_bucket", "_sum", "_count". */
void pst_exposition_part(struct pst_exposition *x, const char *part);

/* A sample of it. Behind the value: label name, label value, ..., NULL. Values are escaped. */
void pst_exposition_u64(struct pst_exposition *x, uint64_t value, ...) __attribute__((sentinel));
void pst_exposition_i64(struct pst_exposition *x, int64_t value, ...) __attribute__((sentinel));
/* In seconds: nine digits behind the point, no more than there are. */
void pst_exposition_seconds(struct pst_exposition *x, uint64_t ns, ...) __attribute__((sentinel));
/* The same as a text. */
#define PST_SECONDS_TEXT 32
const char *pst_seconds_text(char text[PST_SECONDS_TEXT], uint64_t ns);

#endif
