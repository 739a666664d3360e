/* Inside lib/telemetry: what the commands share. */
#ifndef PST_TELEMETRY_COMMANDS_H
#define PST_TELEMETRY_COMMANDS_H

#include "pipeline/pipeline.h"
#include "telemetry/reply.h"

#define PST_REQUEST_ARGS_MAX 2

/* One command of one client, on the stack of its thread. */
struct pst_request {
	struct pst_pipeline *pipeline;
	uint64_t args[PST_REQUEST_ARGS_MAX]; /* 0 where not given */
	struct pst_reply reply;
	struct pst_dict top;
};

/* Serves a request: fills the reply and ends it (pst_reply_finish, pst_reply_error). */
typedef int (*pst_serve_fn)(struct pst_request *request);

int pst_serve_info(struct pst_request *request);
int pst_serve_ledger(struct pst_request *request);
int pst_serve_interval(struct pst_request *request);
int pst_serve_listeners(struct pst_request *request);
int pst_serve_queues(struct pst_request *request);
int pst_serve_streams(struct pst_request *request);
int pst_serve_partitions(struct pst_request *request);
int pst_serve_drives(struct pst_request *request);
int pst_serve_recovery(struct pst_request *request);
int pst_serve_rx(struct pst_request *request);
int pst_serve_writers(struct pst_request *request);
int pst_serve_latency(struct pst_request *request);
int pst_serve_ports(struct pst_request *request);
int pst_serve_xstats(struct pst_request *request);
int pst_serve_sessions(struct pst_request *request);
int pst_serve_sources(struct pst_request *request);
int pst_serve_rules(struct pst_request *request);
int pst_serve_reload(struct pst_request *request);
int pst_serve_stages(struct pst_request *request);

enum pst_row_fate {
	PST_ROW_ADD,
	PST_ROW_SKIP, /* there is nothing to say of this item */
	PST_ROW_STOP, /* the source has no more at hand: the page ends before this item */
};
/* Fills the row of item idx. */
typedef enum pst_row_fate (*pst_row_fn)(struct pst_dict row, void *source, uint32_t idx);

/* Adds first, total, items and next to the reply and ends it: items idx = args[0] .. as long as
 * they fit. next is where the following page begins, total at the end of the list. */
int pst_serve_page(struct pst_request *request, uint32_t total, pst_row_fn fill, void *source);

/* books.c: the two books and the notes of a cell. all: every reason, else only those that
 * happened. */
void pst_dict_books(struct pst_dict dict, const struct pst_cell *cell, bool all);
void pst_dict_shed(struct pst_dict dict, const uint64_t shed[PST_SHED_CNT], bool all);

/* Adds "port/queue", or "kernel" for the last queue. */
void pst_dict_queue_name(
	struct pst_dict dict, const char *name, const struct pst_profile *profile, uint32_t queue);
/* Name of a listener of the books: the last one is none. */
const char *pst_listener_name(const struct pst_profile *profile, uint32_t listener);

/* snapshots.c: a few snapshots of the books are kept, so that all pages of a status come from one
 * of them. */
struct pst_source {
	const struct pst_pipeline *pipeline;
	const struct pst_profile *profile;
	const struct pst_snapshot *snapshot;
	uint64_t taken_ns;
};

/* The snapshot of number args[1], or a new one (0); adds its number and time to the reply and locks
 * it until pst_source_page. False: there is none, and the reply is ended and says why. */
bool pst_source_open(struct pst_request *request, struct pst_source *source);
/* pst_serve_page with the source given to fill; unlocks. */
int pst_source_page(
	struct pst_request *request, struct pst_source *source, uint32_t total, pst_row_fn fill);
/* Frees all snapshots; with no command under way. */
void pst_snapshots_fini(void);

#endif
