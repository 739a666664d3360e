/* The daemon's commands on DPDK's telemetry socket.
 *
 * docs/telemetry.md names every command, parameter and field. Commands run in the threads of
 * rte_telemetry, one for each client; they only copy and print, and disturb no data lcore beyond
 * the mailbox requests of pipeline/pipeline.h. */
#ifndef PST_TELEMETRY_H
#define PST_TELEMETRY_H

#include "pipeline/pipeline.h"

/* Answers for this pipeline from now on. May be called before or after rte_eal_init, which starts
 * the socket, and again after pst_telemetry_unregister. Control thread, once the lcores run (a
 * command that asks them waits for them). The process should ignore SIGPIPE: clients leave in
 * mid-answer. Returns 0 or -errno. */
int pst_telemetry_register(struct pst_pipeline *pipeline);

/* Waits for commands under way; from now on each answers {"error": ...}. Before anything of the
 * pipeline is taken apart: the library's threads live until the process ends. Control thread. */
void pst_telemetry_unregister(void);

#endif
