/* What the daemon tells the service manager, and once a second looks at in itself.
 *
 *   watch thread     do the data cores turn?      WATCHDOG=1, names of stuck lcores
 *   control thread   rates, senders, spread       STATUS=
 *
 * Without NOTIFY_SOCKET nothing is told; the looks go on. */
#ifndef PST_SERVICE_H
#define PST_SERVICE_H

#include "pipeline/pipeline.h"

struct pst_service;

/* When the lcores run: tells READY=1 and begins to watch. 0, or -1: no memory, no thread. */
int pst_service_start(struct pst_pipeline *pipeline, struct pst_service **out);

/* Control thread, once a second. */
void pst_service_tick(struct pst_service *service);

/* Around a reload of the rules. */
void pst_service_reloading(void);
void pst_service_reloaded(void);

/* Before the lcores are asked to stop: tells STOPPING=1 and ends the watch. NULL is fine. */
void pst_service_stop(struct pst_service *service);

#endif
