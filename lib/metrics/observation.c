#include "metrics/observation.h"

#include <errno.h>
#include <stdio.h>

#include "pipeline/watch.h"

int
pst_observation_init(struct pst_observation *o, struct pst_pipeline *pipeline)
{
	o->pipeline = pipeline;
	o->profile = pipeline->profile;
	if (pst_snapshot_init(&o->snapshot, pipeline) != 0)
		return -ENOMEM;
	return pst_recorder_view_init(&o->ledger, pipeline);
}

void
pst_observation_fini(struct pst_observation *o)
{
	pst_recorder_view_fini(&o->ledger);
	pst_snapshot_fini(&o->snapshot);
}

static void
sum_cells(struct pst_observation *o)
{
	const struct pst_book *book = &o->snapshot.book;

	memset(o->listeners, 0, sizeof(o->listeners));
	memset(o->queues, 0, sizeof(o->queues));
	for (uint16_t q = 0; q < book->shape.queue_cnt; q++)
		for (uint16_t l = 0; l < book->shape.listener_cnt; l++) {
			const struct pst_cell *cell =
				&book->cells[pst_book_cell_idx(&book->shape, q, l)];
			pst_cell_add(&o->listeners[l], cell);
			pst_cell_add(&o->queues[q], cell);
		}
}

int
pst_observation_take(struct pst_observation *o, struct pst_pipeline *pipeline)
{
	int rc = pst_pipeline_snapshot(pipeline, &o->snapshot);

	if (rc == 0)
		rc = pst_pipeline_stream_logs(pipeline, o->logs);
	if (rc != 0)
		return rc;
	sum_cells(o);
	for (uint16_t p = 0; p < o->profile->port_cnt; p++)
		pst_ports_stats(pipeline->ports, p, &o->ports[p]);
	if (pipeline->ksock)
		pst_ksock_stats(pipeline->ksock, &o->kernel_path);
	pst_pipeline_rules(pipeline, 0, NULL, 0, &o->rules);
	pst_pipeline_sources(pipeline, 0, NULL, 0, &o->sources);
	rc = pst_recorder_view(pipeline->recorder, &o->ledger);
	for (uint16_t d = 0; d < o->profile->data_dir_cnt; d++)
		pst_pipeline_drive(pipeline, d, &o->drives[d]);
	return rc;
}

/* ---- health ---- */

static bool
judge(struct pst_health *out, bool good, const char *text)
{
	out->good = good;
	snprintf(out->text, sizeof(out->text), "%s", text);
	return good;
}

static void
name_stuck(const struct pst_observation *o, struct pst_health *out)
{
	char names[100];

	pst_watch_name_stuck(o->pipeline, names, sizeof(names));
	out->good = false;
	snprintf(out->text, sizeof(out->text), "an lcore does not answer%s%s", names[0] ? ": " : "",
		names);
}

/* Every data directory is sound. A stream that goes on elsewhere is no less ready for that. */
static bool
drives_work(const struct pst_observation *o, struct pst_health *out)
{
	for (uint16_t d = 0; d < o->profile->data_dir_cnt; d++) {
		const struct pst_drive_info *info = &o->drives[d].info;
		if (info->state == PST_DRIVE_OK)
			continue;
		out->good = false;
		snprintf(out->text, sizeof(out->text), "a data directory is %s: %.100s",
			pst_drive_state_name(info->state), o->profile->data_dirs[d]);
		return false;
	}
	return true;
}

/* No data directory is so full that new events are shed, nor are all gone. With the other policy
 * the oldest go instead, again and again. */
static bool
drives_take(const struct pst_observation *o, struct pst_health *out)
{
	uint16_t sound_cnt = 0;

	for (uint16_t d = 0; d < o->profile->data_dir_cnt; d++) {
		const struct pst_drive_row *drive = &o->drives[d];
		if (drive->info.state != PST_DRIVE_OK)
			continue;
		sound_cnt++;
		if (!drive->fullness.full || o->profile->data_when_full != PST_WHEN_FULL_SHED)
			continue;
		out->good = false;
		snprintf(out->text, sizeof(out->text),
			"a data directory is full, new events are shed: %.100s",
			o->profile->data_dirs[d]);
		return false;
	}
	return sound_cnt > 0 ||
	       judge(out, false, "nothing can be stored: no data directory is left");
}

/* Every partition takes events. */
static bool
logs_work(const struct pst_observation *o, struct pst_health *out)
{
	for (uint16_t s = 0; s < o->profile->stream_cnt; s++) {
		if (o->logs[s].down_cnt == 0)
			continue;
		out->good = false;
		snprintf(out->text, sizeof(out->text),
			"%u of %u logs of a stream have failed and take nothing more: %.64s",
			o->logs[s].down_cnt, o->logs[s].partition_cnt, o->profile->streams[s].name);
		return false;
	}
	return true;
}

void
pst_health_alive(const struct pst_observation *o, int rc, struct pst_health *out)
{
	if (rc != 0)
		name_stuck(o, out);
	else if (drives_work(o, out) && logs_work(o, out))
		judge(out, true, "ok");
}

void
pst_health_ready(const struct pst_observation *o, int rc, struct pst_health *out)
{
	if (rc != 0)
		name_stuck(o, out);
	else if (atomic_load_explicit(&o->pipeline->phase, memory_order_relaxed) != PST_PHASE_RUN)
		judge(out, false, "draining");
	else if (drives_take(o, out) && logs_work(o, out))
		judge(out, true, "ready");
}
