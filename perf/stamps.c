/* How long events took, by what the log holds: each event's scheduled send time (the "t=<19
 * digits>" it begins with), its arrival (the record's header ts_ns), and when the generator saw its
 * offset durable (the file MARKS of perf/pace.c).
 *
 *   stamps DATA TOPIC MARKS        prints one JSON object, percentiles in nanoseconds
 *
 *   arrival    scheduled send → arrival
 *   durable    scheduled send → seen durable
 *   stored     arrival → seen durable
 *
 * Of partition 0. An event that arrived before its time (the clock is read once a burst) took 0.
 * unseen: events that no mark covers; they are in arrival alone. */
#include <stdlib.h>

#include "percentiles.h"
#include "segment/reader.h"

#define STAMP_DIGITS 19

struct mark {
	uint64_t seen_ns;
	int64_t offset; /* all below it were durable */
};

static struct mark *marks;
static size_t mark_cnt, mark_idx;
static struct pst_latency arrival, durable, stored;
static uint64_t unseen_cnt;

static _Noreturn void
die(const char *what, const char *why)
{
	fprintf(stderr, "stamps: %s: %s\n", what, why);
	exit(1);
}

static void
read_marks(const char *path)
{
	FILE *file = fopen(path, "r");
	struct mark mark;
	size_t cap = 0;

	if (!file)
		die(path, "cannot be read");
	while (fscanf(file, "%" SCNu64 " %" SCNd64, &mark.seen_ns, &mark.offset) == 2) {
		if (mark_cnt == cap) {
			cap = cap ? cap * 2 : 4096;
			marks = realloc(marks, cap * sizeof(*marks));
			if (!marks)
				die(path, "no memory");
		}
		marks[mark_cnt++] = mark;
	}
	fclose(file);
}

static uint64_t
stamp_of(const struct pst_batch_record *record)
{
	uint64_t ns = 0;

	if (record->value_len < 2 + STAMP_DIGITS || memcmp(record->value, "t=", 2) != 0 ||
		!record->has_ts_ns)
		die("an event", "without its times");
	for (unsigned i = 2; i < 2 + STAMP_DIGITS; i++)
		ns = 10 * ns + (uint64_t)(record->value[i] - '0');
	return ns;
}

static uint64_t
between(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? to_ns - from_ns : 0;
}

static void
count(const struct pst_batch_record *record)
{
	uint64_t sent_ns = stamp_of(record);

	pst_latency_add(&arrival, between(sent_ns, record->ts_ns), 1);
	while (mark_idx < mark_cnt && marks[mark_idx].offset <= record->offset)
		mark_idx++;
	if (mark_idx == mark_cnt) {
		unseen_cnt++;
		return;
	}
	uint64_t seen_ns = marks[mark_idx].seen_ns;
	pst_latency_add(&durable, between(sent_ns, seen_ns), 1);
	pst_latency_add(&stored, between(record->ts_ns, seen_ns), 1);
}

int
main(int argc, char **argv)
{
	struct pst_batch_record record;
	enum pst_read_result result;
	struct pst_reader *reader;
	struct pst_diag diag;

	if (argc != 4)
		die("usage", "stamps DATA TOPIC MARKS");
	read_marks(argv[3]);
	if (pst_reader_open(argv[1], argv[2], 0, &reader, &diag) != 0) {
		pst_diag_print(stderr, &diag);
		return 1;
	}
	pst_reader_seek(reader, pst_reader_earliest(reader));
	while ((result = pst_reader_next(reader, &record, &diag)) == PST_READ_RECORD)
		count(&record);
	if (result == PST_READ_DAMAGE) {
		pst_diag_print(stderr, &diag);
		return 1;
	}
	pst_reader_close(reader);
	printf("{\"events\": %" PRIu64 ", \"unseen\": %" PRIu64 ", ", arrival.cnt, unseen_cnt);
	pst_percentiles_print("arrival", &arrival);
	printf(", ");
	pst_percentiles_print("durable", &durable);
	printf(", ");
	pst_percentiles_print("stored", &stored);
	printf("}\n");
	return 0;
}
