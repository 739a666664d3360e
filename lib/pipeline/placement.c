/* Where partitions are written, while traffic runs: another drive takes one over when its own has
 * failed. The writer makes the new log between two turns; the rx lcores learn of it between two
 * bursts. What was on its way to the old one comes back as not stored. */
#include <errno.h>
#include <stdlib.h>

#include "pipeline/pipeline.h"

/* ---- what lcores do between two bursts ---- */

static void
writer_begin_log(void *self, void *arg)
{
	struct pst_writer *w = self;
	struct pst_log_begin *begin = arg;
	begin->place.log_idx = pst_appender_add(
		w->appenders[begin->place.drive_idx], &begin->config, &begin->found, &begin->diag);
}

static void
rx_take_places(void *self, void *arg)
{
	struct pst_rx *rx = self;
	const struct pst_pipeline *p = arg;

	for (uint16_t q = 0; q < rx->queue_cnt; q++) {
		struct pst_rx_queue *queue = &rx->queues[q];
		if (queue->is_kernel_path)
			continue; /* shares the batches of another queue */
		for (uint16_t s = 0; s < rx->profile->queue_stream_cnt; s++) {
			struct pst_rx_open *open = &queue->open[s];
			open->place = p->place[s][queue->queue_idx];
			/* Nobody has seen it yet: it goes where the next ones go. */
			if (open->buf)
				open->buf->place = open->place;
		}
	}
}

/* ---- control side ---- */

int
pst_pipeline_begin_log(struct pst_pipeline *p, const struct pst_log_config *config,
	struct pst_log_place *place, struct pst_diag *diag)
{
	struct pst_log_begin *begin = &p->log_begin;

	pthread_mutex_lock(&p->mutex);
	*begin = (struct pst_log_begin){.config = *config, .place = *place};
	int rc = pst_mailbox_call(&p->writers[place->writer_idx]->mailbox, writer_begin_log, begin);
	if (rc == 0 && begin->place.log_idx < 0) {
		*diag = begin->diag;
		rc = -EIO;
	} else if (rc == 0) {
		*place = begin->place;
	} else {
		pst_diag_set(diag, NULL, 0, NULL, "restart the daemon",
			"writer lcore %u does not answer", place->writer_idx);
	}
	pthread_mutex_unlock(&p->mutex);
	return rc;
}

/* Without memory its counters leave the sums, which then go back once. */
static void
keep_past(struct pst_pipeline *p, uint16_t stream_idx, const struct pst_log_place *place)
{
	uint32_t cnt = p->past_place_cnt;
	struct pst_past_place *past = realloc(p->past_places, (cnt + 1) * sizeof(*past));

	if (!past)
		return;
	past[cnt] = (struct pst_past_place){.stream_idx = stream_idx, .place = *place};
	p->past_places = past;
	p->past_place_cnt = cnt + 1;
}

void
pst_pipeline_set_place(struct pst_pipeline *p, uint16_t stream_idx, uint16_t queue_idx,
	const struct pst_log_place *place)
{
	pthread_mutex_lock(&p->mutex);
	keep_past(p, stream_idx, &p->place[stream_idx][queue_idx]);
	p->place[stream_idx][queue_idx] = *place;
	if (stream_idx < p->profile->queue_stream_cnt)
		p->partition_of_queue[queue_idx] = (int)pst_max_u64(
			(uint64_t)p->partition_of_queue[queue_idx], place->partition);
	pthread_mutex_unlock(&p->mutex);
}

int
pst_pipeline_take_places(struct pst_pipeline *p)
{
	int rc = 0;

	pthread_mutex_lock(&p->mutex);
	for (uint16_t i = 0; i < p->profile->rx_lcore_cnt && rc == 0; i++)
		rc = pst_mailbox_call(&p->rx[i]->mailbox, rx_take_places, p);
	pthread_mutex_unlock(&p->mutex);
	return rc;
}

void
pst_pipeline_drive(struct pst_pipeline *p, uint16_t drive_idx, struct pst_drive_row *out)
{
	const struct pst_profile *profile = p->profile;
	struct pst_datadir *dir = pst_drives_dir(p->drives, drive_idx);

	memset(out, 0, sizeof(*out));
	out->path = profile->data_dirs[drive_idx];
	pst_drives_info(p->drives, drive_idx, &out->info);
	pthread_mutex_lock(&p->mutex);
	for (uint16_t s = 0; s < profile->stream_cnt; s++)
		for (uint16_t q = 0; q < pst_profile_partition_cnt(profile, s); q++)
			out->partition_cnt += p->place[s][q].drive_idx == drive_idx;
	pthread_mutex_unlock(&p->mutex);
	if (!dir)
		return;
	out->log_bytes = pst_datadir_log_bytes(dir);
	pst_datadir_space(dir, &out->space_bytes, &out->free_bytes);
	pst_datadir_fullness(dir, &out->fullness);
}
