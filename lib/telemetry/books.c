#include <stdio.h>

#include "telemetry/commands.h"

/* ---- the parts of a book ---- */

static void
dict_verdicts(struct pst_dict dict, const char *name, const struct pst_cell *cell,
	enum pst_frame_class class, bool all)
{
	struct pst_dict reasons = pst_dict_dict(dict, name);

	for (unsigned v = 0; v < PST_FRAME_VERDICT_CNT; v++)
		if (pst_frame_verdict_class(v) == class && (all || cell->verdict[v] != 0))
			pst_dict_u64(reasons, pst_frame_verdict_name(v), cell->verdict[v]);
}

void
pst_dict_shed(struct pst_dict dict, const uint64_t shed[PST_SHED_CNT], bool all)
{
	struct pst_dict reasons = pst_dict_dict(dict, "shed");

	for (unsigned r = 0; r < PST_SHED_CNT; r++)
		if (all || shed[r] != 0)
			pst_dict_u64(reasons, pst_shed_reason_name(r), shed[r]);
}

static void
dict_frames(struct pst_dict dict, const struct pst_cell *cell, bool all)
{
	struct pst_dict frames = pst_dict_dict(dict, "frames");

	pst_dict_u64(frames, "polled", cell->polled);
	pst_dict_u64(frames, "carried", cell->verdict[PST_FRAME_CARRIED]);
	dict_verdicts(frames, "rejected", cell, PST_FRAME_CLASS_REJECTED, all);
	dict_verdicts(frames, "ignored", cell, PST_FRAME_CLASS_IGNORED, all);
	pst_dict_u64(frames, "in_handoff", cell->in_handoff);
	pst_dict_i64(frames, "residual", pst_cell_frames_residual(cell));
}

static void
dict_events(struct pst_dict dict, const struct pst_cell *cell, bool all)
{
	struct pst_dict events = pst_dict_dict(dict, "events");

	pst_dict_u64(events, "found", cell->found);
	pst_dict_u64(events, "stored", cell->stored);
	pst_dict_u64(events, "filtered", cell->filtered);
	pst_dict_u64(events, "sampled_out", cell->sampled_out);
	pst_dict_u64(events, "duplicate", cell->duplicate);
	pst_dict_u64(events, "quarantined", cell->quarantined);
	pst_dict_shed(events, cell->shed, all);
	pst_dict_u64(events, "in_flight", cell->in_flight);
	pst_dict_i64(events, "residual", pst_cell_events_residual(cell));
}

static void
dict_notes(struct pst_dict dict, const struct pst_cell *cell, bool all)
{
	struct pst_dict notes = pst_dict_dict(dict, "notes");

#define PST_X(field, meaning)                                                                      \
	if (all || cell->field != 0)                                                               \
		pst_dict_u64(notes, #field, cell->field);
	PST_CELL_NOTES(PST_X)
#undef PST_X
}

void
pst_dict_books(struct pst_dict dict, const struct pst_cell *cell, bool all)
{
	dict_frames(dict, cell, all);
	dict_events(dict, cell, all);
	dict_notes(dict, cell, all);
}

void
pst_dict_queue_name(
	struct pst_dict dict, const char *name, const struct pst_profile *profile, uint32_t queue)
{
	char text[64] = "kernel";

	if (queue < profile->queue_cnt)
		snprintf(text, sizeof(text), "%s/%u",
			profile->ports[profile->queues[queue].port_idx].name,
			profile->queues[queue].queue_id);
	pst_dict_string(dict, name, text);
}

const char *
pst_listener_name(const struct pst_profile *profile, uint32_t listener)
{
	return listener < profile->listener_cnt ? profile->listeners[listener].name : "none";
}

/* ---- the lists ---- */

static enum pst_row_fate
fill_cell(struct pst_dict row, void *arg, uint32_t idx)
{
	static const struct pst_cell nothing;
	const struct pst_source *source = arg;
	const struct pst_book *book = &source->snapshot->book;

	if (memcmp(&book->cells[idx], &nothing, sizeof(nothing)) == 0)
		return PST_ROW_SKIP;
	uint32_t queue = idx / book->shape.listener_cnt, listener = idx % book->shape.listener_cnt;
	pst_dict_u64(row, "queue", queue);
	pst_dict_u64(row, "listener", listener);
	pst_dict_queue_name(row, "queue_name", source->profile, queue);
	pst_dict_string(row, "listener_name", pst_listener_name(source->profile, listener));
	pst_dict_books(row, &book->cells[idx], false);
	return PST_ROW_ADD;
}

int
pst_serve_ledger(struct pst_request *request)
{
	struct pst_source source;
	struct pst_cell total = {0};

	if (!pst_source_open(request, &source))
		return 0;
	const struct pst_book *book = &source.snapshot->book;
	uint32_t cell_cnt = pst_book_cell_cnt(&book->shape);
	for (uint32_t i = 0; i < cell_cnt; i++)
		pst_cell_add(&total, &book->cells[i]);
	if (request->args[0] == 0)
		pst_dict_books(request->top, &total, true);
	return pst_source_page(request, &source, cell_cnt, fill_cell);
}

static void
dict_addresses(struct pst_dict row, const struct pst_profile_listener *listener)
{
	struct rte_tel_data *addresses = pst_dict_strings(row, "addresses");
	char text[INET6_ADDRSTRLEN];

	for (uint16_t i = 0; i < listener->addr_cnt; i++) {
		pst_addr_format(&listener->addrs[i], text);
		pst_strings_add(row.reply, addresses, text);
	}
}

static enum pst_row_fate
fill_listener(struct pst_dict row, void *arg, uint32_t idx)
{
	const struct pst_source *source = arg;
	const struct pst_profile *profile = source->profile;
	const struct pst_book *book = &source->snapshot->book;
	struct pst_cell sum = {0};

	for (uint16_t q = 0; q < book->shape.queue_cnt; q++)
		pst_cell_add(&sum, &book->cells[pst_book_cell_idx(&book->shape, q, (uint16_t)idx)]);
	pst_dict_u64(row, "index", idx);
	pst_dict_string(row, "name", pst_listener_name(profile, idx));
	if (idx < profile->listener_cnt) {
		const struct pst_profile_listener *listener = &profile->listeners[idx];
		pst_dict_string(row, "framing", pst_framing_name(listener->framing));
		pst_dict_u64(row, "udp_port", listener->udp_port);
		dict_addresses(row, listener);
		pst_dict_u64(row, "allow_cnt", listener->allow_cnt);
		pst_dict_string(row, "stream", profile->streams[listener->stream_idx].name);
		pst_dict_string(row, "default_action", listener->default_drop ? "drop" : "keep");
	}
	pst_dict_books(row, &sum, false);
	return PST_ROW_ADD;
}

int
pst_serve_listeners(struct pst_request *request)
{
	struct pst_source source;

	if (!pst_source_open(request, &source))
		return 0;
	return pst_source_page(
		request, &source, source.snapshot->book.shape.listener_cnt, fill_listener);
}

static enum pst_row_fate
fill_queue(struct pst_dict row, void *arg, uint32_t idx)
{
	const struct pst_source *source = arg;
	const struct pst_profile *profile = source->profile;
	const struct pst_book *book = &source->snapshot->book;
	struct pst_cell sum = {0};

	for (uint16_t l = 0; l < book->shape.listener_cnt; l++)
		pst_cell_add(&sum, &book->cells[pst_book_cell_idx(&book->shape, (uint16_t)idx, l)]);
	pst_dict_u64(row, "index", idx);
	pst_dict_queue_name(row, "name", profile, idx);
	if (idx < profile->queue_cnt) {
		const struct pst_profile_queue *queue = &profile->queues[idx];
		pst_dict_string(row, "port", profile->ports[queue->port_idx].name);
		pst_dict_u64(row, "queue_id", queue->queue_id);
		pst_dict_u64(row, "rx", queue->rx_lcore_idx);
		pst_dict_i32(row, "partition", source->pipeline->partition_of_queue[idx]);
	}
	pst_dict_books(row, &sum, false);
	return PST_ROW_ADD;
}

int
pst_serve_queues(struct pst_request *request)
{
	struct pst_source source;

	if (!pst_source_open(request, &source))
		return 0;
	return pst_source_page(request, &source, source.snapshot->book.shape.queue_cnt, fill_queue);
}

static enum pst_row_fate
fill_stream(struct pst_dict row, void *arg, uint32_t idx)
{
	const struct pst_source *source = arg;
	const struct pst_stream_cell *cell = &source->snapshot->book.streams[idx];

	pst_dict_u64(row, "index", idx);
	pst_dict_string(row, "name", source->profile->streams[idx].name);
	pst_dict_u64(row, "routed_in", cell->routed_in);
	pst_dict_u64(row, "internal", cell->internal);
	pst_dict_u64(row, "stored", cell->stored);
	pst_dict_shed(row, cell->shed, false);
	pst_dict_u64(row, "in_flight", cell->in_flight);
	pst_dict_i64(row, "residual", pst_stream_cell_residual(cell));
	return PST_ROW_ADD;
}

int
pst_serve_streams(struct pst_request *request)
{
	struct pst_source source;

	if (!pst_source_open(request, &source))
		return 0;
	return pst_source_page(
		request, &source, source.snapshot->book.shape.stream_cnt, fill_stream);
}
