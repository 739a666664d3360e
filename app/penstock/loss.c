/* penstock loss: what was lost, when, where and why, from the ledger's files alone. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "data_dirs.h"
#include "loss.h"
#include "penstock.h"
#include "profile/profile.h"
#include "segment/reader.h"

#define EXIT_LOSS    3
#define EXIT_UNKNOWN 4
#define MS_BEFORE    1000 /* a record's time is its writing, to the millisecond */
#define NS_PER_MS    1000000

struct options {
	struct data_dirs dirs;
	uint64_t from_ns, to_ns, now_ns;
	bool has_from, has_to, as_json;
};

static void
usage(FILE *out)
{
	fputs("usage: penstock loss {--data DIR... | --profile FILE} [--from TIME] [--to TIME]\n"
	      "                     [--json]\n"
	      "\n"
	      "What was lost, when, where and why, from the records that penstockd keeps in the\n"
	      "stream penstock.ledger: events shed, frames rejected, frames missed by NIC or\n"
	      "kernel, messages of sequenced sources that are missing, bytes that a recovery cut\n"
	      "or set aside. Works while a daemon runs, and without one. Times that no record\n"
	      "speaks of are named; they are not taken for lossless.\n"
	      "\n"
	      "  -d, --data DIR      data directory; once for each of the daemon's\n"
	      "  -P, --profile FILE  the data directories that this profile names\n"
	      "  -f, --from TIME     since then (default: the first record)\n"
	      "  -t, --to TIME       up to then (default: now, and all that is dated later)\n"
	      "  -j, --json          one JSON object (docs/ledger.md)\n"
	      "  -h, --help          print this\n"
	      "\n"
	      "TIME: now, -90s -15m -2h -7d (before now), 2026-11-21T14:00:00Z (ISO 8601, UTC\n"
	      "without a zone), or a number since 1970 (seconds, milliseconds, or 19 digits of\n"
	      "nanoseconds).\n"
	      "\n"
	      "Exit status: 0 nothing was lost; 3 something was; 4 nothing is known to be lost,\n"
	      "but for part of the time there are no records; 1 records are damaged, or one of "
	      "the\n"
	      "directories cannot be read; 2 no ledger there, or a wrong command line.\n",
		out);
}

/* ---- read ---- */

struct ledger {
	const char *dir;
	uint32_t partition;
};

struct reading {
	const struct options *options;
	const char *dir; /* that is listed */
	struct ledger *ledgers;
	struct pst_loss_account *account;
	unsigned ledger_cnt, damage_cnt;
};

static void
take_record(struct reading *r, const struct pst_batch_record *record)
{
	json_t *json = json_loadb(
		(const char *)record->value, record->value_len, JSON_ALLOW_NUL, NULL);

	if (!json_is_object(json))
		r->damage_cnt++;
	else
		pst_loss_account_take(r->account, json);
	json_decref(json);
}

static void
read_ledger(struct reading *r, const struct ledger *ledger)
{
	struct pst_batch_record record;
	enum pst_read_result result;
	struct pst_reader *reader;
	struct pst_diag diag;

	if (pst_reader_open(ledger->dir, PST_LEDGER_STREAM, ledger->partition, &reader, &diag) !=
		0) {
		pst_diag_print(stderr, &diag);
		r->damage_cnt++;
		return;
	}
	int64_t from_ms = (int64_t)(r->options->from_ns / NS_PER_MS) - MS_BEFORE;
	int64_t earliest = pst_reader_earliest(reader);
	int64_t offset = r->options->has_from ? pst_reader_offset_at(reader, from_ms) : earliest;
	/* And the one before: how far the records went then, and whether that run goes on. */
	pst_reader_seek(reader, offset > earliest ? offset - 1 : earliest);
	while ((result = pst_reader_next(reader, &record, &diag)) != PST_READ_END) {
		if (result == PST_READ_RECORD) {
			take_record(r, &record);
			continue;
		}
		pst_diag_print(stderr, &diag);
		r->damage_cnt++;
		pst_reader_skip_damage(reader);
	}
	pst_reader_close(reader);
}

static int
note_ledger(void *arg, const char *topic, uint32_t partition)
{
	struct reading *r = arg;
	struct ledger *grown;

	if (strcmp(topic, PST_LEDGER_STREAM) != 0)
		return 0;
	grown = realloc(r->ledgers, (r->ledger_cnt + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	r->ledgers = grown;
	grown[r->ledger_cnt++] = (struct ledger){r->dir, partition};
	return 0;
}

static int
compare_ledgers(const void *a, const void *b)
{
	const struct ledger *x = a, *y = b;
	return x->partition < y->partition ? -1 : x->partition > y->partition;
}

/* A directory that cannot be read is said; the others' records still tell what they know. */
static int
read_all(struct reading *r)
{
	for (unsigned i = 0; i < r->options->dirs.cnt; i++) {
		r->dir = r->options->dirs.paths[i];
		int rc = pst_reader_list(r->dir, note_ledger, r);
		if (rc == 0)
			continue;
		fprintf(stderr, "penstock loss: %s: %s\n", r->dir, strerror(-rc));
		r->damage_cnt++;
	}
	if (r->ledger_cnt == 0) {
		if (r->damage_cnt == 0)
			fprintf(stderr, "penstock loss: %s: there is no stream %s\n",
				r->options->dirs.paths[0], PST_LEDGER_STREAM);
		return -1;
	}
	/* A run that had to go on elsewhere did so under a higher number. */
	qsort(r->ledgers, r->ledger_cnt, sizeof(*r->ledgers), compare_ledgers);
	for (unsigned i = 0; i < r->ledger_cnt; i++)
		read_ledger(r, &r->ledgers[i]);
	return 0;
}

static int
verdict(const struct reading *r, const json_t *result)
{
	if (r->damage_cnt > 0)
		return EXIT_FINDING;
	if (json_array_size(json_object_get(result, "lost")) > 0)
		return EXIT_LOSS;
	return json_array_size(json_object_get(result, "unrecorded")) > 0 ? EXIT_UNKNOWN
									  : EXIT_DONE;
}

static int
tell(const struct options *options)
{
	struct reading r = {.options = options};
	int status = EXIT_USAGE;

	r.account = pst_loss_account_create(options->has_from ? options->from_ns : 0,
		options->has_to ? options->to_ns : PST_LOSS_TO_LAST);
	if (!r.account) {
		fputs("penstock loss: out of memory\n", stderr);
		return EXIT_FINDING;
	}
	if (read_all(&r) == 0) {
		json_t *result = pst_loss_account_result(r.account, options->now_ns);
		if (options->as_json) {
			json_dumpf(result, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
			putchar('\n');
		} else {
			pst_loss_print(stdout, result);
		}
		status = verdict(&r, result);
		json_decref(result);
	}
	pst_loss_account_destroy(r.account);
	free(r.ledgers);
	return status;
}

/* ---- options ---- */

static uint64_t
clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* -1: go on; else the exit status. */
static int
take_option(struct options *o, int option, char **argv)
{
	switch (option) {
	case 'd':
		return data_dirs_add(&o->dirs, "loss", optarg);
	case 'P':
		return data_dirs_load(&o->dirs, "loss", optarg);
	case 'f':
		o->has_from = true;
		if (!pst_loss_time(optarg, o->now_ns, &o->from_ns))
			return pst_usage_error("loss", "'%s' is not a time", optarg);
		return -1;
	case 't':
		o->has_to = true;
		if (!pst_loss_time(optarg, o->now_ns, &o->to_ns))
			return pst_usage_error("loss", "'%s' is not a time", optarg);
		return -1;
	case 'j':
		o->as_json = true;
		return -1;
	case 'h':
		usage(stdout);
		return EXIT_DONE;
	default:
		return pst_option_error("loss", option, argv);
	}
}

/* -1: go on; else the exit status. */
static int
parse(struct options *o, int argc, char **argv)
{
	static const struct option names[] = {
		{"data", required_argument, NULL, 'd'},
		{"profile", required_argument, NULL, 'P'},
		{"from", required_argument, NULL, 'f'},
		{"to", required_argument, NULL, 't'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL},
	};
	int option;

	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, ":d:P:f:t:jh", names, NULL)) != -1) {
		int status = take_option(o, option, argv);
		if (status >= 0)
			return status;
	}
	if (optind != argc)
		return pst_usage_error("loss", "what is '%s'?", argv[optind]);
	if (o->dirs.cnt == 0)
		return pst_usage_error(
			"loss", "give a data directory: --data DIR, or --profile FILE");
	if (o->has_from && o->from_ns >= (o->has_to ? o->to_ns : o->now_ns))
		return pst_usage_error(
			"loss", o->has_to ? "--from is not before --to" : "--from lies ahead");
	return -1;
}

int
pst_cmd_loss(int argc, char **argv)
{
	struct options o = {.now_ns = clock_ns()};

	int status = parse(&o, argc, argv);
	if (status < 0)
		status = tell(&o);
	data_dirs_free(&o.dirs);
	return status;
}
