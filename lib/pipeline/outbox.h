/* Inside the recorder: records on their way into the ledger stream, kept until they are durable.
 *
 *   texts:  | durable, gone | in batches that are away | not sent yet |
 *
 * The control thread's, but for outbox_count and outbox_view. */
#ifndef PST_OUTBOX_H
#define PST_OUTBOX_H

#include <pthread.h>

#include "batch/batch.h"
#include "ledger/ledger.h"
#include "pipeline/recorder.h"

#define OUTBOX_BATCHES_MAX 8

struct outbox_text {
	char *text;
	uint32_t len;
};

struct outbox {
	const struct pst_profile *profile;
	const struct pst_log_place *place; /* of the stream's partition; under *place_mutex */
	pthread_mutex_t *place_mutex;
	struct rte_ring *full[PST_WRITERS_MAX], *home[PST_WRITERS_MAX];
	struct pst_batch_encoder *encoder;
	char key[PST_RUN_ID_LEN + 1];
	uint64_t newest_ns;

	struct outbox_text *texts; /* oldest first; what was sent, first */
	uint32_t text_cnt, text_cap;
	uint32_t sent_cnt;

	struct pst_batch_buf *batches; /* all */
	uint32_t batch_cnt;
	struct pst_batch_buf *at_home[OUTBOX_BATCHES_MAX];
	uint32_t home_cnt;
	bool group_failed;  /* a batch of those that are away was not written */
	uint64_t retry_tsc; /* not before */

	pthread_mutex_t mutex; /* the three below, and batches between home and away */
	struct pst_stream_cell cell;
	uint64_t record_cnt, failed_cnt;
};

int outbox_init(struct outbox *box, struct pst_pipeline *pipeline,
	const struct pst_recorder_config *config);
void outbox_fini(struct outbox *box);

/* A pst_record_sink's add; arg is the outbox. Without memory the record is lost, and counted as
 * failed. */
void outbox_add(void *arg, const char *text, size_t len);

bool outbox_is_empty(const struct outbox *box);

/* Sends what was not sent, as far as there are batches at home. */
void outbox_send(struct outbox *box, uint64_t now_tsc);
/* Takes back batches. Records that are durable are gone; those that could not be written, and all
 * behind them, are sent again after a while. */
void outbox_take_home(struct outbox *box, uint64_t now_tsc);

/* Any thread. */
void outbox_count(struct outbox *box, struct pst_stream_cell *sum);
void outbox_view(struct outbox *box, uint64_t *record_cnt, uint64_t *failed_cnt);

#endif
