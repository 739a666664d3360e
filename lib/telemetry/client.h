/* The asking side of DPDK's telemetry socket: connects, asks, follows pages, undoes escapes.
 *
 * For commands in the form of docs/telemetry.md; knows nothing of DPDK or the pipeline. One
 * connection serves one thread. JSON values are jansson's and belong to the caller. */
#ifndef PST_TELEMETRY_CLIENT_H
#define PST_TELEMETRY_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"

#define PST_TELEMETRY_PREFIX "penstock" /* DPDK's file prefix unless the profile says otherwise */

/* Where the daemon of that file prefix has its socket: <run>/dpdk/<prefix>/dpdk_telemetry.v2, <run>
 * being $RUNTIME_DIRECTORY, else /var/run for root, else $XDG_RUNTIME_DIR, else /tmp. Returns 0, or
 * -1 if it is longer than a socket's address. */
int pst_client_path(const char *prefix, char *path, size_t cap);

struct pst_client;

/* Connects and reads the greeting. 0, or -1 with *diag: nobody there, no permission, busy. */
int pst_client_open(const char *prefix, struct pst_client **out, struct pst_diag *diag);
void pst_client_close(struct pst_client *client);

/* Sends "command" or "command,parameters" and waits for the answer. Returns what stands behind the
 * command in it, made plain: pieces are joined, escapes undone, lists (items, ranges) arrays in
 * order, signed numbers integers. A text that is not UTF-8 stays escaped, and <name>_escaped is
 * true beside it. NULL with *diag: no answer, an unknown command, or the daemon's own error. */
json_t *pst_client_ask(struct pst_client *client, const char *request, struct pst_diag *diag);

/* Asks for all pages of a list and returns the first with the items of all of them. Where a list
 * comes from a snapshot, all pages are of the same one: of that number, or of a new one (0). A list
 * that changes its generation between two pages is asked for anew. */
json_t *pst_client_list(
	struct pst_client *client, const char *command, uint64_t snapshot, struct pst_diag *diag);

/* Everything the daemon tells, as one object; docs/telemetry.md shows it. The books in it are of
 * one snapshot. */
json_t *pst_client_status(struct pst_client *client, struct pst_diag *diag);

#endif
