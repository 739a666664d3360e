#include "ledger/interval.h"

#include <errno.h>
#include <stdlib.h>

/* Residual and movement of each cell at the last snapshot: judged when the next one says how much
 * moved around it. */
struct judged {
	int64_t residual;
	uint64_t moved;
};

struct pst_residual_judge {
	uint32_t cell_cnt, stream_cnt;
	struct judged *frames, *events, *streams; /* parts of one array */
	struct judged all[];
};

/* Cells hold nothing but words, so they subtract word by word: no field can be forgotten. */
static void
words_since(void *out, const void *now, const void *before, size_t bytes)
{
	uint64_t *to = out;
	const uint64_t *a = now, *b = before;
	for (size_t i = 0; i < bytes / sizeof(*to); i++)
		to[i] = a[i] - b[i];
}

void
pst_book_since(struct pst_book *out, const struct pst_book *now, const struct pst_book *before)
{
	const struct pst_book_shape *shape = &now->shape;
	uint32_t cell_cnt = pst_book_cell_cnt(shape);

	PST_ASSERT(memcmp(&out->shape, shape, sizeof(*shape)) == 0);
	PST_ASSERT(memcmp(&before->shape, shape, sizeof(*shape)) == 0);
	words_since(out->cells, now->cells, before->cells, cell_cnt * sizeof(*out->cells));
	words_since(out->streams, now->streams, before->streams,
		shape->stream_cnt * sizeof(*out->streams));
	for (uint32_t i = 0; i < cell_cnt; i++) {
		out->cells[i].in_flight = now->cells[i].in_flight;
		out->cells[i].in_handoff = now->cells[i].in_handoff;
	}
	for (uint16_t s = 0; s < shape->stream_cnt; s++)
		out->streams[s].in_flight = now->streams[s].in_flight;
}

bool
pst_cell_is_still(const struct pst_cell *since)
{
	static const struct pst_cell nothing;
	struct pst_cell moved = *since;

	moved.in_flight = moved.in_handoff = 0;
	return memcmp(&moved, &nothing, sizeof(moved)) == 0;
}

bool
pst_stream_cell_is_still(const struct pst_stream_cell *since)
{
	static const struct pst_stream_cell nothing;
	struct pst_stream_cell moved = *since;

	moved.in_flight = 0;
	return memcmp(&moved, &nothing, sizeof(moved)) == 0;
}

bool
pst_book_is_still(const struct pst_book *since)
{
	for (uint32_t i = 0; i < pst_book_cell_cnt(&since->shape); i++)
		if (!pst_cell_is_still(&since->cells[i]))
			return false;
	for (uint16_t s = 0; s < since->shape.stream_cnt; s++)
		if (!pst_stream_cell_is_still(&since->streams[s]))
			return false;
	return true;
}

struct pst_cell
pst_book_total(const struct pst_book *book)
{
	struct pst_cell total = {0};

	for (uint32_t i = 0; i < pst_book_cell_cnt(&book->shape); i++)
		pst_cell_add(&total, &book->cells[i]);
	return total;
}

/* ---- residuals ---- */

int
pst_residual_judge_create(const struct pst_book_shape *shape, struct pst_residual_judge **out)
{
	uint32_t cell_cnt = pst_book_cell_cnt(shape);
	size_t cnt = 2 * (size_t)cell_cnt + shape->stream_cnt;
	struct pst_residual_judge *judge = calloc(1, sizeof(*judge) + cnt * sizeof(judge->all[0]));

	if (!judge)
		return -ENOMEM;
	judge->cell_cnt = cell_cnt;
	judge->stream_cnt = shape->stream_cnt;
	judge->frames = judge->all;
	judge->events = judge->all + cell_cnt;
	judge->streams = judge->all + 2 * (size_t)cell_cnt;
	*out = judge;
	return 0;
}

void
pst_residual_judge_destroy(struct pst_residual_judge *judge)
{
	free(judge);
}

static uint64_t
magnitude(int64_t value)
{
	return value < 0 ? -(uint64_t)value : (uint64_t)value;
}

/* One residual of a cell: judges the one before by what moved on both sides of it. */
static void
judge_one(struct judged *last, int64_t residual, uint64_t moved, bool at_rest,
	struct pst_residual *out)
{
	if (magnitude(last->residual) > last->moved + moved)
		out->beyond_cnt++;
	if (at_rest && residual != 0)
		out->rest_cnt++;
	out->last += residual;
	*last = (struct judged){residual, moved};
}

static void
judge_done(struct pst_residual *out)
{
	out->abs_max = pst_max_u64(out->abs_max, magnitude(out->last));
}

/* What went in, and what came to an end, in a cell: a snapshot may have seen one without the
 * other. */
static uint64_t
frames_moved(const struct pst_cell *since)
{
	return since->polled + since->verdict[PST_FRAME_CARRIED] + pst_cell_rejected(since) +
	       pst_cell_ignored(since);
}

static uint64_t
events_moved(const struct pst_cell *since)
{
	return since->found + since->stored + since->filtered + since->sampled_out +
	       since->duplicate + since->quarantined + pst_cell_shed(since);
}

static uint64_t
stream_moved(const struct pst_stream_cell *since)
{
	uint64_t moved = since->routed_in + since->internal + since->stored;
	for (unsigned r = 0; r < PST_SHED_CNT; r++)
		moved += since->shed[r];
	return moved;
}

void
pst_residuals_take(struct pst_residual_judge *judge, const struct pst_book *now,
	const struct pst_book *since, struct pst_residuals *residuals)
{
	residuals->frames.last = residuals->events.last = residuals->streams.last = 0;
	for (uint32_t i = 0; i < judge->cell_cnt; i++) {
		const struct pst_cell *cell = &now->cells[i], *moved = &since->cells[i];
		bool at_rest = pst_cell_is_still(moved);
		judge_one(&judge->frames[i], pst_cell_frames_residual(cell), frames_moved(moved),
			at_rest, &residuals->frames);
		judge_one(&judge->events[i], pst_cell_events_residual(cell), events_moved(moved),
			at_rest, &residuals->events);
	}
	for (uint32_t s = 0; s < judge->stream_cnt; s++)
		judge_one(&judge->streams[s], pst_stream_cell_residual(&now->streams[s]),
			stream_moved(&since->streams[s]),
			pst_stream_cell_is_still(&since->streams[s]), &residuals->streams);
	judge_done(&residuals->frames);
	judge_done(&residuals->events);
	judge_done(&residuals->streams);
}
