#include "ledger/ledger.h"

#include <errno.h>
#include <stdlib.h>

static const char *const shed_reason_names[] = {
#define PST_X(sym, name) name,
	PST_SHED_REASONS(PST_X)
#undef PST_X
};

const char *
pst_shed_reason_name(enum pst_shed_reason reason)
{
	PST_ASSERT(reason < PST_SHED_CNT);
	return shed_reason_names[reason];
}

struct pst_book_shape
pst_book_shape(const struct pst_profile *profile)
{
	return (struct pst_book_shape){
		.queue_cnt = (uint16_t)(profile->queue_cnt + 1),
		.listener_cnt = (uint16_t)(profile->listener_cnt + 1),
		.stream_cnt = profile->stream_cnt,
	};
}

int
pst_book_init(struct pst_book *book, const struct pst_book_shape *shape)
{
	book->shape = *shape;
	book->cells = aligned_alloc(
		PST_CACHE_LINE, pst_book_cell_cnt(shape) * sizeof(*book->cells));
	book->streams = aligned_alloc(PST_CACHE_LINE, shape->stream_cnt * sizeof(*book->streams));
	if (!book->cells || !book->streams) {
		pst_book_fini(book);
		return -ENOMEM;
	}
	pst_book_clear(book);
	return 0;
}

void
pst_book_fini(struct pst_book *book)
{
	free(book->cells);
	free(book->streams);
	book->cells = NULL;
	book->streams = NULL;
}

void
pst_book_clear(struct pst_book *book)
{
	memset(book->cells, 0, pst_book_cell_cnt(&book->shape) * sizeof(*book->cells));
	memset(book->streams, 0, book->shape.stream_cnt * sizeof(*book->streams));
}

/* Cells hold nothing but counters, so they add up word by word: no field can be forgotten. */
static void
add_words(void *sum, const void *part, size_t bytes)
{
	uint64_t *to = sum;
	const uint64_t *from = part;
	for (size_t i = 0; i < bytes / sizeof(*to); i++)
		to[i] += from[i];
}

void
pst_cell_add(struct pst_cell *sum, const struct pst_cell *part)
{
	add_words(sum, part, sizeof(*sum));
}

void
pst_book_add(struct pst_book *sum, const struct pst_book *part)
{
	PST_ASSERT(memcmp(&sum->shape, &part->shape, sizeof(sum->shape)) == 0);
	add_words(sum->cells, part->cells, pst_book_cell_cnt(&sum->shape) * sizeof(*sum->cells));
	add_words(sum->streams, part->streams, sum->shape.stream_cnt * sizeof(*sum->streams));
}

void
pst_book_copy(struct pst_book *to, const struct pst_book *from)
{
	PST_ASSERT(memcmp(&to->shape, &from->shape, sizeof(to->shape)) == 0);
	memcpy(to->cells, from->cells, pst_book_cell_cnt(&from->shape) * sizeof(*from->cells));
	memcpy(to->streams, from->streams, from->shape.stream_cnt * sizeof(*from->streams));
}

static uint64_t
sum_class(const struct pst_cell *cell, enum pst_frame_class class)
{
	uint64_t sum = 0;
	for (unsigned v = 0; v < PST_FRAME_VERDICT_CNT; v++)
		if (pst_frame_verdict_class(v) == class)
			sum += cell->verdict[v];
	return sum;
}

uint64_t
pst_cell_rejected(const struct pst_cell *cell)
{
	return sum_class(cell, PST_FRAME_CLASS_REJECTED);
}

uint64_t
pst_cell_ignored(const struct pst_cell *cell)
{
	return sum_class(cell, PST_FRAME_CLASS_IGNORED);
}

static uint64_t
sum_shed(const uint64_t shed[PST_SHED_CNT])
{
	uint64_t sum = 0;
	for (unsigned r = 0; r < PST_SHED_CNT; r++)
		sum += shed[r];
	return sum;
}

uint64_t
pst_cell_shed(const struct pst_cell *cell)
{
	return sum_shed(cell->shed);
}

int64_t
pst_cell_frames_residual(const struct pst_cell *cell)
{
	return (int64_t)(cell->polled - cell->verdict[PST_FRAME_CARRIED] - pst_cell_rejected(cell) -
			 pst_cell_ignored(cell) - cell->in_handoff);
}

int64_t
pst_cell_events_residual(const struct pst_cell *cell)
{
	return (int64_t)(cell->found - cell->stored - cell->filtered - cell->sampled_out -
			 cell->duplicate - cell->quarantined - pst_cell_shed(cell) -
			 cell->in_flight);
}

int64_t
pst_stream_cell_residual(const struct pst_stream_cell *cell)
{
	return (int64_t)(cell->routed_in + cell->internal - cell->stored - sum_shed(cell->shed) -
			 cell->in_flight);
}
