/* The books: by listener with every reason, by queue in sums. The full table of both is on the
 * telemetry socket: as metrics it would be queues x listeners x reasons. */
#include <stdio.h>

#include "metrics/families.h"

/* ---- by listener ---- */

static bool
listener(const struct pst_observation *o, uint32_t idx, struct pst_row *row)
{
	if (idx > o->profile->listener_cnt)
		return false;
	row->at = &o->listeners[idx];
	row->name = pst_label_listener(o, idx);
	return true;
}

static const struct pst_rows listeners = {"listener", listener};

static void
by_listener_and_verdict(
	struct pst_exposition *x, const struct pst_observation *o, enum pst_frame_class class)
{
	for (uint16_t l = 0; l <= o->profile->listener_cnt; l++)
		for (unsigned v = 0; v < PST_FRAME_VERDICT_CNT; v++)
			if (pst_frame_verdict_class(v) == class)
				pst_exposition_u64(x, o->listeners[l].verdict[v], "listener",
					pst_label_listener(o, l), "reason",
					pst_frame_verdict_name(v), NULL);
}

static void
rejected(struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	by_listener_and_verdict(x, o, PST_FRAME_CLASS_REJECTED);
}

static void
ignored(struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	by_listener_and_verdict(x, o, PST_FRAME_CLASS_IGNORED);
}

static void
shed(struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	for (uint16_t l = 0; l <= o->profile->listener_cnt; l++)
		for (unsigned r = 0; r < PST_SHED_CNT; r++)
			pst_exposition_u64(x, o->listeners[l].shed[r], "listener",
				pst_label_listener(o, l), "reason", pst_shed_reason_name(r), NULL);
}

static void
residual_by_listener(struct pst_exposition *x, const struct pst_observation *o,
	int64_t (*residual)(const struct pst_cell *cell))
{
	for (uint16_t l = 0; l <= o->profile->listener_cnt; l++)
		pst_exposition_i64(
			x, residual(&o->listeners[l]), "listener", pst_label_listener(o, l), NULL);
}

static void
frames_residual(
	struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	residual_by_listener(x, o, pst_cell_frames_residual);
}

static void
events_residual(
	struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	residual_by_listener(x, o, pst_cell_events_residual);
}

static void
missing(struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	pst_exposition_u64(x, o->sources.kept.gap_messages + o->sources.others.gap_messages, NULL);
}

/* ---- by queue ---- */

static bool
queue(const struct pst_observation *o, uint32_t idx, struct pst_row *row)
{
	const struct pst_profile *profile = o->profile;

	if (idx > profile->queue_cnt)
		return false;
	row->at = &o->queues[idx];
	row->name = row->text;
	if (idx < profile->queue_cnt)
		snprintf(row->text, sizeof(row->text), "%s/%u",
			profile->ports[profile->queues[idx].port_idx].name,
			profile->queues[idx].queue_id);
	else
		snprintf(row->text, sizeof(row->text), "kernel");
	return true;
}

static const struct pst_rows queues = {"queue", queue};

static void
sum_by_queue(struct pst_exposition *x, const struct pst_observation *o,
	uint64_t (*sum)(const struct pst_cell *cell))
{
	struct pst_row row;

	for (uint32_t q = 0; queue(o, q, &row); q++)
		pst_exposition_u64(x, sum(row.at), "queue", row.name, NULL);
}

static void
queue_rejected(
	struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	sum_by_queue(x, o, pst_cell_rejected);
}

static void
queue_ignored(
	struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	sum_by_queue(x, o, pst_cell_ignored);
}

static void
queue_shed(
	struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	sum_by_queue(x, o, pst_cell_shed);
}

/* ---- by stream ---- */

static bool
stream(const struct pst_observation *o, uint32_t idx, struct pst_row *row)
{
	if (idx >= o->profile->stream_cnt)
		return false;
	row->at = &o->snapshot.book.streams[idx];
	row->name = o->profile->streams[idx].name;
	return true;
}

static const struct pst_rows streams = {"stream", stream};

static void
stream_shed(
	struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	for (uint16_t s = 0; s < o->profile->stream_cnt; s++)
		for (unsigned r = 0; r < PST_SHED_CNT; r++)
			pst_exposition_u64(x, o->snapshot.book.streams[s].shed[r], "stream",
				o->profile->streams[s].name, "reason", pst_shed_reason_name(r),
				NULL);
}

static void
stream_residual(
	struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	for (uint16_t s = 0; s < o->profile->stream_cnt; s++)
		pst_exposition_i64(x, pst_stream_cell_residual(&o->snapshot.book.streams[s]),
			"stream", o->profile->streams[s].name, NULL);
}

#define CELL(...)   PST_ROWS(&listeners, struct pst_cell, __VA_ARGS__)
#define QUEUE(...)  PST_ROWS(&queues, struct pst_cell, __VA_ARGS__)
#define STREAM(...) PST_ROWS(&streams, struct pst_stream_cell, __VA_ARGS__)

static const struct pst_family families[] = {
	CELL("penstock_frames_polled_total", COUNTER, polled,
		"Frames taken from ports and datagrams taken from the kernel path."),
	CELL("penstock_frames_carried_total", COUNTER, verdict[PST_FRAME_CARRIED],
		"Frames whose events were taken out."),
	{"penstock_frames_rejected_total", PST_METRIC_COUNTER, rejected,
		"Frames that were malformed or refused, by reason."},
	{"penstock_frames_ignored_total", PST_METRIC_COUNTER, ignored,
		"Well-formed frames with nothing to take, by reason."},
	CELL("penstock_frames_in_handoff", GAUGE, in_handoff,
		"Frames on their way to the lcore that owns their session."),
	{"penstock_frames_residual", PST_METRIC_GAUGE, frames_residual,
		"Frames that no counter explains: 0 at rest."},
	CELL("penstock_events_found_total", COUNTER, found, "Events taken out of carried frames."),
	CELL("penstock_events_stored_total", COUNTER, stored, "Events durable in their stream."),
	CELL("penstock_events_filtered_total", COUNTER, filtered,
		"Events dropped by a rule or by the listener's default action."),
	CELL("penstock_events_sampled_out_total", COUNTER, sampled_out,
		"Events that a sampling rule did not keep."),
	CELL("penstock_events_duplicate_total", COUNTER, duplicate,
		"Copies of sequence numbers that were seen before."),
	CELL("penstock_events_quarantined_total", COUNTER, quarantined,
		"Events durable in the quarantine stream."),
	{"penstock_events_shed_total", PST_METRIC_COUNTER, shed, "Events lost, by reason."},
	CELL("penstock_events_in_flight", GAUGE, in_flight,
		"Events in batches that are not durable yet."),
	{"penstock_events_residual", PST_METRIC_GAUGE, events_residual,
		"Events that no counter explains: 0 at rest."},
	CELL("penstock_payload_bytes_total", COUNTER, payload_bytes,
		"UDP payload of carried frames."),
	CELL("penstock_empty_lines_total", COUNTER, empty_lines, "Lines without a byte, skipped."),
	CELL("penstock_events_late_total", COUNTER, late,
		"Messages that filled a gap of their session."),
	{"penstock_events_missing_total", PST_METRIC_COUNTER, missing,
		"Sequence numbers that were found to be missing; some may come late."},
	/* Senders: only how many, for a label of theirs would have no bound. */
	PST_WHOLE("penstock_sources", GAUGE, sources.total, "Senders that are counted one by one."),
	PST_WHOLE("penstock_sources_left_total", COUNTER, sources.left_cnt,
		"Senders whose counts were added to the others' to make room."),
	CELL("penstock_events_untracked_total", COUNTER, untracked,
		"Messages stored without knowing whether they are copies."),
	CELL("penstock_events_quarantine_cut_total", COUNTER, quarantine_cut,
		"Quarantined with part of their bytes only."),
	CELL("penstock_frames_linearized_total", COUNTER, linearized,
		"Frames in several buffers, copied together first."),
	CELL("penstock_frames_handed_over_total", COUNTER, handed_over,
		"Frames given to the lcore that owns their session."),
	CELL("penstock_scan_errors_total", COUNTER, scan_errors,
		"Events kept because the scan failed."),

	QUEUE("penstock_queue_frames_polled_total", COUNTER, polled,
		"Frames taken from the queue."),
	QUEUE("penstock_queue_frames_carried_total", COUNTER, verdict[PST_FRAME_CARRIED],
		"Frames of the queue whose events were taken out."),
	{"penstock_queue_frames_rejected_total", PST_METRIC_COUNTER, queue_rejected,
		"Frames of the queue that were malformed or refused, whatever the reason."},
	{"penstock_queue_frames_ignored_total", PST_METRIC_COUNTER, queue_ignored,
		"Frames of the queue with nothing to take, whatever the reason."},
	QUEUE("penstock_queue_events_found_total", COUNTER, found,
		"Events taken out of the queue's frames."),
	QUEUE("penstock_queue_events_stored_total", COUNTER, stored,
		"Events of the queue that are durable."),
	{"penstock_queue_events_shed_total", PST_METRIC_COUNTER, queue_shed,
		"Events of the queue that were lost, whatever the reason."},

	STREAM("penstock_stream_routed_total", COUNTER, routed_in,
		"Events of listeners that were to be stored in the stream."),
	STREAM("penstock_stream_internal_total", COUNTER, internal,
		"Records of penstock's own that were to be stored in the stream."),
	STREAM("penstock_stream_stored_total", COUNTER, stored, "Records durable in the stream."),
	{"penstock_stream_shed_total", PST_METRIC_COUNTER, stream_shed,
		"Records of the stream that were lost, by reason."},
	STREAM("penstock_stream_in_flight", GAUGE, in_flight,
		"Records of the stream in batches that are not durable yet."),
	{"penstock_stream_residual", PST_METRIC_GAUGE, stream_residual,
		"Records of the stream that no counter explains: 0 at rest."},
};

const struct pst_families pst_families_books = {families, PST_ARRAY_CNT(families)};
