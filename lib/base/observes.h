/* Whether the daemon tells of itself beyond the books: senders, latencies, gaps, load, the ledger's
 * intervals and records. It does; the build without (meson's option observation) is the one that
 * perf's set observe compares with, and keeps the books alone. Plain conditions on it cost nothing,
 * and both sides are always compiled. */
#ifndef PST_OBSERVES_H
#define PST_OBSERVES_H

#include <stdbool.h>

#ifdef PST_WITHOUT_OBSERVATION
#define PST_OBSERVES false
#else
#define PST_OBSERVES true
#endif

#endif
