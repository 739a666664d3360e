/* Append buffers: filled in order, written in whole blocks. */
#include <errno.h>

#include "segment/log.h"

#define ALLOCATE_BYTES_MIN (1024u * 1024)
#define ALLOCATE_BYTES_MAX (512u * 1024 * 1024)
#define ALLOCATE_SPACE_DIV 16 /* of the free space at most this part: others need some, too */

/* A piece behind the last one of the segment. The caller has made sure that one is free. */
static struct pst_piece *
piece_take(struct pst_log *log, struct pst_log_segment *segment)
{
	struct pst_appender *app = log->app;
	struct pst_piece *piece = app->free_pieces;
	PST_ASSERT(piece);
	app->free_pieces = piece->next;
	app->free_piece_cnt--;
	piece->next = NULL;
	piece->io = (struct pst_io){PST_IO_WRITE, log, piece};
	piece->in_flight = piece->again = false;
	/* Pieces are given back in the middle of a block only when all is durable; else the one
	 * before this is full, and its end is a block's end. */
	uint32_t carried = segment->end % PST_BLOCK_BYTES;
	if (carried) {
		PST_ASSERT(!segment->last && segment->end == log->durable.segment_bytes);
		memcpy(piece->buf, log->durable_block, carried);
	}
	piece->pos = segment->end - carried;
	if (segment->last)
		segment->last->next = piece;
	else
		segment->first = piece;
	segment->last = piece;
	piece->used = piece->done = piece->issued = carried;
	return piece;
}

static void
piece_free(struct pst_appender *app, struct pst_piece *piece)
{
	PST_ASSERT(!piece->in_flight);
	piece->next = app->free_pieces;
	app->free_pieces = piece;
	app->free_piece_cnt++;
}

void
pst_pieces_free(struct pst_appender *app, struct pst_log_segment *segment)
{
	while (segment->first) {
		struct pst_piece *piece = segment->first;
		segment->first = piece->next;
		piece_free(app, piece);
	}
	segment->last = NULL;
}

/* Of a piece whose write is complete. */
void
pst_piece_remove(struct pst_appender *app, struct pst_log_segment *segment, struct pst_piece *piece)
{
	struct pst_piece **link = &segment->first, *before = NULL;
	for (; *link != piece; link = &(*link)->next)
		before = *link;
	*link = piece->next;
	if (segment->last == piece)
		segment->last = before;
	piece_free(app, piece);
}

/* Rests of short writes that are not to be tried again. */
void
pst_pieces_drop_rests(struct pst_log *log, struct pst_log_segment *segment)
{
	for (struct pst_piece *piece = segment->first; piece; piece = piece->next) {
		if (!piece->again)
			continue;
		piece->again = piece->in_flight = false;
		log->write_cnt--;
		log->app->stats.in_flight_bytes -= pst_piece_left(piece);
	}
}

uint64_t
pst_piece_left(const struct pst_piece *piece)
{
	return piece->iov[0].iov_len + (piece->iov_cnt > 1 ? piece->iov[1].iov_len : 0);
}

/* How many free pieces len more bytes need. */
uint32_t
pst_pieces_needed(const struct pst_log_segment *segment, uint32_t len)
{
	uint32_t room = segment->last ? PST_PIECE_BYTES - segment->last->used : 0;
	if (len <= room)
		return 0;
	/* The first of them may begin with the bytes of a part-filled block. */
	uint32_t carried = segment->last ? 0 : segment->end % PST_BLOCK_BYTES;
	return (len - room + carried + PST_PIECE_BYTES - 1) / PST_PIECE_BYTES;
}

void
pst_pieces_fill(
	struct pst_log *log, struct pst_log_segment *segment, const uint8_t *data, uint32_t len)
{
	while (len > 0) {
		struct pst_piece *piece = segment->last;
		if (!piece || piece->used == PST_PIECE_BYTES)
			piece = piece_take(log, segment);
		uint32_t n = PST_PIECE_BYTES - piece->used;
		if (n > len)
			n = len;
		memcpy(piece->buf + piece->used, data, n);
		piece->used += n;
		segment->end += n;
		data += n;
		len -= n;
	}
}

/* How much more to reserve. Each time, writes in flight are waited for: few steps, and small ones
 * for small logs. */
static uint64_t
allocate_step(const struct pst_log *log, const struct pst_log_segment *segment)
{
	uint64_t space_bytes, free_bytes, most = ALLOCATE_BYTES_MAX;
	pst_datadir_space(log->app->dir, &space_bytes, &free_bytes);
	if (space_bytes > 0)
		most = pst_min_u64(most, free_bytes / ALLOCATE_SPACE_DIV);
	return pst_max_u64(ALLOCATE_BYTES_MIN, pst_min_u64(most, 8 * segment->allocated));
}

/* Reserves blocks ahead of a write and puts the file's end behind them: writes that extend a file
 * are done one after the other (ext4, xfs), those within it side by side, and a sync has less to
 * record. Also for the index entries that go with them. Only a hint: where it cannot be done, the
 * write finds out whether there is room. */
static void
allocate_ahead(struct pst_log *log, struct pst_log_segment *segment, uint64_t end)
{
	if (end <= segment->allocated)
		return;
	struct pst_disk *disk = log->app->disk;
	uint64_t to = pst_align_up(end, ALLOCATE_BYTES_MIN) + allocate_step(log, segment) -
		      ALLOCATE_BYTES_MIN;
	uint64_t limit = pst_align_up(log->segment_bytes_max, PST_BLOCK_BYTES);
	if (to > limit)
		to = pst_max_u64(limit, end);
	uint64_t from = segment->allocated;
	if (atomic_load_explicit(&log->app->dir->full, memory_order_relaxed))
		to = end; /* the reserve's blocks are for others, too */
	else if (disk->ops->allocate(disk, segment->file, from, to - from) != 0)
		to = end; /* try again with the next write */
	else
		disk->ops->truncate(disk, segment->file, to);
	segment->allocated = to;
	uint64_t entries = to / PST_INDEX_INTERVAL_BYTES + 1;
	disk->ops->allocate(disk, segment->index.file, 0, entries * sizeof(struct pst_index_entry));
	disk->ops->allocate(
		disk, segment->timeindex.file, 0, entries * sizeof(struct pst_time_entry));
}

static void
queue_write(struct pst_log *log, struct pst_log_segment *segment, struct pst_piece *piece)
{
	struct pst_appender *app = log->app;
	int rc = app->disk->ops->queue_write(
		app->queue, segment->file, piece->iov, piece->iov_cnt, piece->iov_pos, &piece->io);
	piece->again = rc == -EAGAIN;
	if (rc == 0)
		app->stats.write_cnt++;
}

/* Starts the write of a piece up to used. */
static void
write_piece(struct pst_log *log, struct pst_log_segment *segment, struct pst_piece *piece)
{
	uint32_t start = piece->issued & ~(PST_BLOCK_BYTES - 1u);
	uint32_t whole = piece->used & ~(PST_BLOCK_BYTES - 1u);
	uint32_t rest = piece->used - whole;
	piece->iov_cnt = 0;
	if (whole > start)
		piece->iov[piece->iov_cnt++] = (struct iovec){piece->buf + start, whole - start};
	if (rest > 0) {
		/* A copy: the block itself goes on being filled while the write is in flight. */
		memcpy(piece->block, piece->buf + whole, rest);
		memset(piece->block + rest, 0, PST_BLOCK_BYTES - rest);
		piece->iov[piece->iov_cnt++] = (struct iovec){piece->block, PST_BLOCK_BYTES};
	}
	piece->iov_pos = piece->pos + start;
	piece->issued = piece->used;
	piece->in_flight = true;
	segment->issued = pst_max_u64(segment->issued, piece->pos + piece->issued);
	log->write_cnt++;
	log->app->stats.in_flight_bytes += pst_piece_left(piece);
	allocate_ahead(log, segment, piece->pos + pst_align_up(piece->used, PST_BLOCK_BYTES));
	queue_write(log, segment, piece);
}

/* Starts what is due: whole pieces, what a flush wants, rests of short writes. */
void
pst_pieces_write(struct pst_log *log, struct pst_log_segment *segment)
{
	if (log->room_wait)
		return;
	for (struct pst_piece *piece = segment->first; piece; piece = piece->next) {
		if (piece->again) {
			queue_write(log, segment, piece);
		} else if (!piece->in_flight && piece->issued < piece->used &&
			   (piece->used == PST_PIECE_BYTES ||
				   segment->want > piece->pos + piece->issued)) {
			write_piece(log, segment, piece);
		}
	}
}

/* Up to where the segment's bytes are written without a hole. Whole pieces leave the list when
 * their write is complete. */
uint64_t
pst_pieces_written(const struct pst_log_segment *segment)
{
	const struct pst_piece *piece = segment->first;
	return piece ? piece->pos + piece->done : segment->end;
}
