/* penstock cat: the events of a stream, from its files, whether the daemon runs or not.
 *
 * Without -f each partition is printed up to what was durable when it began; with -f the partitions
 * take turns, and those that appear later join in. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "cat_options.h"
#include "penstock.h"
#include "segment/reader.h"
#include "text.h"

enum {
	TURN_RECORDS_MAX = 1000, /* with -f: of a partition, before the next has its turn */
	POLL_MS = 20,            /* with -f: between two looks when nothing came */
	LIST_EVERY_POLLS = 50,   /* with -f: looks for new partitions */
	STDOUT_BYTES = 1 << 18,
};

struct source {
	const char *data_dir;
	uint32_t partition;
	struct pst_reader *reader;
	bool left_out;       /* its drive does not answer: that was said */
	int64_t next_offset; /* what should come next: a jump is said */
	int64_t end_offset;  /* without -f */
};

struct cat {
	const struct cat_options *options;
	const char *listing; /* the data directory that is being listed */
	struct source *sources;
	size_t source_cnt;
	uint64_t left; /* records still to be printed */
	bool for_terminal;
	bool failed; /* something was said on stderr that makes the result incomplete */
};

static volatile sig_atomic_t stop_asked;

static void
on_signal(int signal)
{
	stop_asked = 1;
}

/* ---- partitions ---- */

static struct source *
find_source(struct cat *cat, uint32_t partition)
{
	for (size_t i = 0; i < cat->source_cnt; i++)
		if (cat->sources[i].partition == partition)
			return &cat->sources[i];
	return NULL;
}

static void
add_source(struct cat *cat, uint32_t partition)
{
	const struct source *known = find_source(cat, partition);
	if (known && known->data_dir != cat->listing && !cat->failed) {
		fprintf(stderr, "penstock cat: %s-%" PRIu32 " is in %s and in %s: only the first\n",
			cat->options->topic, partition, known->data_dir, cat->listing);
		cat->failed = true;
	}
	if (known)
		return;
	struct source *grown = realloc(cat->sources, (cat->source_cnt + 1) * sizeof(*cat->sources));
	PST_ASSERT(grown);
	cat->sources = grown;
	grown[cat->source_cnt++] = (struct source){
		.data_dir = cat->listing, .partition = partition};
}

static int
visit(void *arg, const char *topic, uint32_t partition)
{
	struct cat *cat = arg;
	if (strcmp(topic, cat->options->topic) == 0 &&
		(cat->options->partition < 0 || cat->options->partition == partition))
		add_source(cat, partition);
	return 0;
}

static int
compare_partitions(const void *a, const void *b)
{
	uint32_t x = ((const struct source *)a)->partition,
		 y = ((const struct source *)b)->partition;
	return (x > y) - (x < y);
}

/* Opens and puts it at its start. A partition that came up while following is read from its first
 * event. */
static int
open_source(struct cat *cat, struct source *s, const struct start *start)
{
	struct pst_diag diag;
	if (pst_reader_open(s->data_dir, cat->options->topic, s->partition, &s->reader, &diag) !=
		0) {
		s->reader = NULL;
		pst_diag_print(stderr, &diag);
		return -1;
	}
	int64_t first = pst_reader_earliest(s->reader), end = pst_reader_latest(s->reader);
	int64_t at = first;
	switch (start->kind) {
	case START_EARLIEST:
		break;
	case START_LATEST:
		at = end;
		break;
	case START_OFFSET:
		at = start->offset;
		break;
	case START_TIME:
		at = pst_reader_offset_at(s->reader, start->time_ms);
		if (at < 0) {
			fprintf(stderr,
				"penstock cat: %s-%" PRIu32
				": damaged where events are looked up by time\n",
				cat->options->topic, s->partition);
			return -1;
		}
		break;
	}
	pst_reader_seek(s->reader, at);
	s->end_offset = end;
	s->next_offset = at < first ? first : at;
	if (start->kind == START_OFFSET && at < first)
		fprintf(stderr,
			"penstock cat: %s-%" PRIu32 ": the first event kept is %" PRId64 "\n",
			cat->options->topic, s->partition, first);
	return 0;
}

/* Opens what is not open yet. */
static int
open_sources(struct cat *cat, const struct start *start)
{
	const struct data_dirs *dirs = &cat->options->dirs;
	for (unsigned d = 0; d < dirs->cnt; d++) {
		cat->listing = dirs->paths[d];
		int rc = pst_reader_list(cat->listing, visit, cat);
		if (rc == 0)
			continue;
		/* Of several drives one may be away: what the others have is printed. */
		if (dirs->cnt == 1 || !cat->failed)
			fprintf(stderr, "penstock cat: %s: %s\n", cat->listing, strerror(-rc));
		if (dirs->cnt == 1)
			return -1;
		cat->failed = true;
	}
	if (cat->source_cnt > 0)
		qsort(cat->sources, cat->source_cnt, sizeof(*cat->sources), compare_partitions);
	for (size_t i = 0; i < cat->source_cnt; i++) {
		struct source *s = &cat->sources[i];
		if (s->reader || s->left_out || open_source(cat, s, start) == 0)
			continue;
		if (dirs->cnt == 1)
			return -1;
		s->left_out = cat->failed = true;
	}
	return 0;
}

static int
print_topic(void *arg, const char *topic, uint32_t partition)
{
	bool *any = arg;
	fprintf(stderr, "%s %s-%" PRIu32, *any ? "," : "; it has", topic, partition);
	*any = true;
	return 0;
}

static int
nothing_there(const struct cat_options *o)
{
	bool any = false;
	fprintf(stderr, "penstock cat: %s%s: no stream %s", o->dirs.paths[0],
		o->dirs.cnt > 1 ? " and the others" : "", o->topic);
	if (o->partition >= 0)
		fprintf(stderr, " with partition %" PRId64, o->partition);
	for (unsigned d = 0; d < o->dirs.cnt; d++)
		pst_reader_list(o->dirs.paths[d], print_topic, &any);
	fputs(any ? "\n" : "; it has none\n", stderr);
	return EXIT_FINDING;
}

/* ---- printing ---- */

static void
print_record(struct cat *cat, struct source *s, const struct pst_batch_record *record)
{
	if (record->offset > s->next_offset)
		fprintf(stderr,
			"penstock cat: %s-%" PRIu32 ": events %" PRId64 " to %" PRId64
			" are no longer kept\n",
			cat->options->topic, s->partition, s->next_offset, record->offset - 1);
	s->next_offset = record->offset + 1;
	if (cat->options->json)
		text_write_json(
			stdout, cat->options->topic, s->partition, record, cat->for_terminal);
	else
		text_write_raw(stdout, record, cat->for_terminal);
	cat->left--;
}

/* Says where the damage is, and goes on behind it. */
static void
pass_damage(struct cat *cat, struct source *s, const struct pst_diag *diag)
{
	fflush(stdout);
	pst_diag_print(stderr, diag);
	int64_t next = pst_reader_skip_damage(s->reader);
	fprintf(stderr,
		"penstock cat: %s-%" PRIu32 ": damaged; events %" PRId64 " to %" PRId64
		" are left out\n",
		cat->options->topic, s->partition, s->next_offset, next - 1);
	s->next_offset = next;
	cat->failed = true;
}

/* Prints up to max records, below end. Returns whether there may be more at once. */
static bool
print_some(struct cat *cat, struct source *s, int64_t end, uint64_t max)
{
	struct pst_batch_record record;
	struct pst_diag diag;
	if (!s->reader)
		return false;
	while (max-- > 0 && s->next_offset < end) {
		if (cat->left == 0 || stop_asked || ferror(stdout))
			return false;
		switch (pst_reader_next(s->reader, &record, &diag)) {
		case PST_READ_RECORD:
			if (record.offset >= end)
				return false;
			print_record(cat, s, &record);
			break;
		case PST_READ_END:
			return false;
		case PST_READ_DAMAGE:
			pass_damage(cat, s, &diag);
			break;
		}
	}
	return s->next_offset < end;
}

static void
follow(struct cat *cat)
{
	static const struct start from_first = {.kind = START_EARLIEST};
	for (unsigned poll_cnt = 1; cat->left > 0 && !stop_asked && !ferror(stdout);) {
		bool more = false;
		for (size_t i = 0; i < cat->source_cnt; i++)
			more |= print_some(cat, &cat->sources[i], INT64_MAX, TURN_RECORDS_MAX);
		if (more || fflush(stdout) != 0)
			continue;
		/* Waits, and sees a reader of the pipe leave meanwhile. */
		struct pollfd out = {.fd = STDOUT_FILENO, .events = 0};
		if (poll(&out, 1, POLL_MS) > 0 && (out.revents & (POLLERR | POLLHUP)))
			return;
		if (poll_cnt++ % LIST_EVERY_POLLS == 0 && open_sources(cat, &from_first) != 0) {
			cat->failed = true;
			return;
		}
	}
}

static int
run(struct cat *cat)
{
	const struct cat_options *o = cat->options;
	if (open_sources(cat, &o->start) != 0)
		return EXIT_FINDING;
	if (cat->source_cnt == 0)
		return nothing_there(o);
	if (o->follow)
		follow(cat);
	for (size_t i = 0; i < cat->source_cnt && !o->follow; i++)
		print_some(cat, &cat->sources[i], cat->sources[i].end_offset, UINT64_MAX);
	return cat->failed ? EXIT_FINDING : EXIT_DONE;
}

int
pst_cmd_cat(int argc, char **argv)
{
	struct cat_options o = {.partition = -1, .count = UINT64_MAX};
	int status = cat_options_parse(argc, argv, &o);
	if (status >= 0) {
		data_dirs_free(&o.dirs);
		return status;
	}
	/* No SA_RESTART: a wait ends at once, and so does a write to a full pipe. */
	struct sigaction action = {.sa_handler = on_signal};
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	struct cat cat = {
		.options = &o,
		.left = o.count,
		.for_terminal = isatty(STDOUT_FILENO),
	};
	if (!cat.for_terminal)
		setvbuf(stdout, NULL, _IOFBF, STDOUT_BYTES);
	status = run(&cat);
	for (size_t i = 0; i < cat.source_cnt; i++)
		if (cat.sources[i].reader)
			pst_reader_close(cat.sources[i].reader);
	free(cat.sources);
	data_dirs_free(&o.dirs);
	if (stop_asked)
		clearerr(stdout); /* a write that the signal ended is what was asked for */
	return status;
}
