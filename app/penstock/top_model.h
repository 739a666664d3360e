/* What penstock top knows: two answers of the daemon, the rates between them, and the losses seen
 * since it looks. Pure: fed with the objects of pst_client_status(). */
#ifndef PENSTOCK_TOP_MODEL_H
#define PENSTOCK_TOP_MODEL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define MODEL_LOSSES_MAX 64

struct model_loss {
	time_t first, last; /* by our clock */
	json_int_t cnt;
	char what[64];
	char where[96];
};

struct model {
	json_t *now, *before; /* NULL: none yet, or of another run of the daemon */
	double seconds;       /* between the two */
	unsigned loss_cnt;
	struct model_loss losses[MODEL_LOSSES_MAX]; /* latest first */
};

/* Takes over an answer of that time. To now it adds lists of its own making:
 *   "reasons": kind, reason, total     every reason of the books and the ports
 *   "cores":   core, cpu, busy_ns, running_ns, used, size, write_bytes, sync_cnt
 *   "parts":   the streams' partitions as one list
 *   "losses":  time, what, where, cnt  latest first */
void model_take(struct model *model, json_t *status, time_t time);
void model_fini(struct model *model);

/* The number at path ("events.stored"); of an object the sum of its numbers; 0 where there is
 * none. */
double model_number(const json_t *object, const char *path);

/* What it grows by in a second; 0 where it went back or before is NULL. */
double model_rate(
	const struct model *model, const json_t *now, const json_t *before, const char *path);

/* The same row in an older list: the one whose members keys (ends with NULL) are equal; hint: the
 * index where it is likely. NULL: none. */
const json_t *model_row_before(
	const json_t *rows, size_t hint, const json_t *row, const char *const *keys);

/* Frames that never reached an rx lcore: those that ports and the kernel path's sockets lost. */
double model_missed(const json_t *status);

#endif
