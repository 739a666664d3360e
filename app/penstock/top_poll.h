/* Asks the daemon again and again, on a thread of its own: keys are answered while it is slow, away
 * or stopped. */
#ifndef PENSTOCK_TOP_POLL_H
#define PENSTOCK_TOP_POLL_H

#include <jansson.h>
#include <stdbool.h>

struct poller;

/* prefix: of the telemetry socket; must outlive the poller. NULL: no memory or no thread. */
struct poller *poller_start(const char *prefix, double delay_s);

/* Waits for an answer that is under way no longer than the client does. */
void poller_stop(struct poller *poller);

void poller_set(struct poller *poller, double delay_s, bool paused);

/* Asks now. */
void poller_kick(struct poller *poller);

/* The latest answer, once: the caller's; NULL: nothing new. trouble (cap bytes): why the last
 * attempt failed, or empty. *round counts attempts, so that a failure is new, too. */
json_t *poller_take(struct poller *poller, char *trouble, size_t cap, unsigned *round);

#endif
