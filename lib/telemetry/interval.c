/* The ledger's last interval: what was added in it, beside what the books are about. */
#include "ledger/record.h"
#include "telemetry/commands.h"

struct source {
	const struct pst_profile *profile;
	struct pst_recorder_view view;
	uint32_t cell_cnt;
};

static void
dict_residual(struct pst_dict top, const char *name, const struct pst_residual *residual)
{
	struct pst_dict dict = pst_dict_dict(top, name);

	pst_dict_i64(dict, "residual", residual->last);
	pst_dict_u64(dict, "abs_max", residual->abs_max);
	pst_dict_u64(dict, "rest_cnt", residual->rest_cnt);
	pst_dict_u64(dict, "beyond_cnt", residual->beyond_cnt);
}

static uint64_t
per_second(uint64_t cnt, uint64_t ns)
{
	return ns ? (uint64_t)((unsigned __int128)cnt * 1000000000 / ns) : 0;
}

static void
dict_top(struct pst_dict top, const struct pst_recorder_view *view)
{
	const struct pst_interval *interval = &view->interval;
	struct pst_cell sum = pst_book_total(&interval->book);
	uint64_t ns = interval->to_ns > interval->from_ns ? interval->to_ns - interval->from_ns : 0;

	pst_dict_books(top, &sum, true);
	struct pst_dict rates = pst_dict_dict(top, "rates");
	pst_dict_u64(rates, "frames_per_s", per_second(sum.polled, ns));
	pst_dict_u64(rates, "events_per_s", per_second(sum.found, ns));
	pst_dict_u64(rates, "stored_per_s", per_second(sum.stored, ns));
	pst_dict_u64(rates, "bytes_per_s", per_second(sum.payload_bytes, ns));
	struct pst_dict residuals = pst_dict_dict(top, "residuals");
	dict_residual(residuals, "frames", &view->residuals.frames);
	dict_residual(residuals, "events", &view->residuals.events);
	dict_residual(residuals, "streams", &view->residuals.streams);
	struct pst_dict stream = pst_dict_dict(top, "stream");
	pst_dict_u64(stream, "recorded", view->recorded_last);
	pst_dict_u64(stream, "record_cnt", view->record_cnt);
	pst_dict_u64(stream, "failed_cnt", view->failed_cnt);
	pst_dict_u64(stream, "merged_cnt", view->merged_cnt);
	pst_dict_u64(stream, "missed_cnt", view->missed_cnt);
	pst_dict_u64(stream, "gap_open_cnt", view->gap_open_cnt);
	pst_dict_u64(stream, "silenced_cnt", view->silenced_cnt);
	pst_dict_u64(stream, "beside_left_out_cnt", view->beside.left_out_cnt);
	pst_dict_u64(stream, "beside_lost", pst_beside_lost(&view->beside));
}

static enum pst_row_fate
fill_cell(struct pst_dict row, const struct source *source, uint32_t idx)
{
	const struct pst_book *book = &source->view.interval.book;
	const struct pst_cell *cell = &book->cells[idx];
	uint32_t queue = idx / book->shape.listener_cnt, listener = idx % book->shape.listener_cnt;

	if (pst_cell_is_still(cell) && cell->in_flight == 0 && cell->in_handoff == 0)
		return PST_ROW_SKIP;
	pst_dict_string(row, "row", "cell");
	pst_dict_u64(row, "queue", queue);
	pst_dict_u64(row, "listener", listener);
	pst_dict_queue_name(row, "queue_name", source->profile, queue);
	pst_dict_string(row, "listener_name", pst_listener_name(source->profile, listener));
	pst_dict_books(row, cell, false);
	return PST_ROW_ADD;
}

static enum pst_row_fate
fill_beside(struct pst_dict row, const struct source *source, uint32_t idx)
{
	const struct pst_beside_counter *counter = &source->view.beside.counters[idx];

	pst_dict_string(row, "row", "beside");
	pst_dict_string(row, "port",
		counter->owner == PST_BESIDE_KERNEL ? "kernel"
						    : source->profile->ports[counter->owner].name);
	pst_dict_string(row, "counter", counter->name);
	pst_dict_string(row, "kind", counter->kind == PST_BESIDE_LOSS ? "loss" : "note");
	pst_dict_u64(row, "added", pst_beside_added(counter));
	pst_dict_u64(row, "total", counter->total);
	pst_dict_u64(row, "reset_cnt", counter->reset_cnt);
	return PST_ROW_ADD;
}

static enum pst_row_fate
fill(struct pst_dict row, void *arg, uint32_t idx)
{
	const struct source *source = arg;

	if (idx < source->cell_cnt)
		return fill_cell(row, source, idx);
	return fill_beside(row, source, idx - source->cell_cnt);
}

int
pst_serve_interval(struct pst_request *request)
{
	struct pst_pipeline *pipeline = request->pipeline;
	struct source source = {.profile = pipeline->profile};
	struct pst_recorder_view *view = &source.view;
	int rc;

	if (pst_recorder_view_init(view, pipeline) != 0)
		return pst_reply_error(&request->reply, "no memory");
	if (pst_recorder_view(pipeline->recorder, view) != 0) {
		rc = pst_reply_error(&request->reply, "no memory");
	} else {
		pst_dict_string(request->top, "run", view->run_id);
		pst_dict_u64(request->top, "number", view->interval.last);
		/* Pages of two intervals are not one list. */
		pst_dict_u64(request->top, "generation", view->interval.last);
		pst_dict_u64(request->top, "from_ns", view->interval.from_ns);
		pst_dict_u64(request->top, "to_ns", view->interval.to_ns);
		pst_dict_u64(request->top, "interval_ns", view->interval_ns);
		if (request->args[0] == 0)
			dict_top(request->top, view);
		source.cell_cnt = pst_book_cell_cnt(&view->interval.book.shape);
		rc = pst_serve_page(request, source.cell_cnt + view->beside.cnt, fill, &source);
	}
	pst_recorder_view_fini(view);
	return rc;
}
