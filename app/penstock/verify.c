/* penstock verify: every batch, record and index of a data directory, read and compared. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data_dirs.h"
#include "penstock.h"
#include "segment/seal.h"
#include "segment/verify/verify.h"

static const char lock_name[] = "penstock.lock";

struct run {
	struct data_dirs dirs;
	const char *data_dir;          /* that is looked at */
	json_t *partitions, *findings; /* with --json; else NULL */
	struct pst_anchor *anchors;
	uint32_t anchor_cnt;
	int64_t *firsts; /* by anchor: oldest offset kept of its partition; -1: no such partition */
};

static void
print_help(void)
{
	fputs("usage: penstock verify [--json] [--anchor HEX|FILE] {DATA... | --profile FILE}\n"
	      "\n"
	      "Checks data directories and changes nothing: each batch's CRC and records,\n"
	      "offsets without a gap within and across segments, the hash chain of sealed\n"
	      "streams, indexes equal to what Kafka would build from the log, no bytes that\n"
	      "nothing explains. Safe while the daemon runs: only what is durable is looked at.\n"
	      "\n"
	      "Each finding is a line FILE:POSITION: WHAT, with `note:` before WHAT where it\n"
	      "is harmless. Then a line for each partition says from which offset to which it\n"
	      "is complete and unaltered, and how that is known, or where it is not; a line\n"
	      "`anchor PARTITION OFFSET HEX` gives the last link of its chain. The last line is\n"
	      "the sum.\n"
	      "\n"
	      "Without an anchor that was kept elsewhere nobody can tell whether somebody wrote\n"
	      "the whole directory anew.\n"
	      "\n"
	      "  --anchor HEX   this link must be there; may be given again\n"
	      "  --anchor FILE  so must those of its lines `anchor PARTITION OFFSET HEX`, as an\n"
	      "                 earlier verify printed them\n"
	      "  --profile FILE the data directories that this profile names\n"
	      "  --json         one JSON object instead\n"
	      "  -h, --help     print this\n"
	      "\n"
	      "Exit status: 0 no damage; 1 damage, or an anchor that is not met; 2 DATA cannot\n"
	      "be read, or wrong command line.\n",
		stdout);
}

static void
take_finding(void *arg, const char *partition, const char *file, uint64_t pos, bool harmless,
	const char *text)
{
	struct run *run = arg;
	if (run->findings) {
		json_array_append_new(
			run->findings, json_pack("{s:s, s:s?, s:I, s:b, s:s}", "partition",
					       partition, "file", file, "position", (json_int_t)pos,
					       "harmless", harmless, "text", text));
		return;
	}
	printf("%s/%s%s%s:%" PRIu64 ": %s%s\n", run->data_dir, partition, file ? "/" : "",
		file ? file : "", pos, harmless ? "note: " : "", text);
}

static void
print_ranges(const struct pst_verify_partition *p)
{
	for (uint32_t i = 0; i < p->range_cnt; i++) {
		const struct pst_verify_range *range = &p->ranges[i];
		if (p->range_cnt > 1)
			printf("%s %" PRId64 " to %" PRId64 " ", i ? "," : ":", range->from,
				range->to - 1);
		else
			fputs(": ", stdout);
		fputs(range->sealed ? "by the sealed chain" : "by CRCs alone", stdout);
	}
}

static void
print_partition(const struct pst_verify_partition *p)
{
	char link[PST_LINK_TEXT_BYTES];
	if (p->to == p->from && !p->wrong)
		printf("%s: empty\n", p->name);
	else if (p->whole_to > p->from)
		printf("%s: complete and unaltered from offset %" PRId64 " to %" PRId64, p->name,
			p->from, p->whole_to - 1);
	else
		printf("%s: nothing can be said", p->name);
	if (p->to != p->from || p->wrong) {
		print_ranges(p);
		if (p->wrong)
			printf("; then %s", p->wrong);
		putchar('\n');
	}
	if (p->linked && !p->wrong) {
		pst_link_text(link, &p->link);
		printf("anchor %s %" PRId64 " %s\n", p->name, p->to, link);
	}
}

static json_t *
partition_json(const struct pst_verify_partition *p)
{
	char link[PST_LINK_TEXT_BYTES];
	json_t *ranges = json_array();
	pst_link_text(link, &p->link);
	for (uint32_t i = 0; i < p->range_cnt; i++)
		json_array_append_new(ranges,
			json_pack("{s:I, s:I, s:s}", "first_offset", (json_int_t)p->ranges[i].from,
				"last_offset", (json_int_t)p->ranges[i].to - 1, "by",
				p->ranges[i].sealed ? "seal" : "crc"));
	return json_pack("{s:s, s:b, s:I, s:I, s:I, s:s?, s:o, s:s?}", "partition", p->name,
		"whole", !p->wrong, "start_offset", (json_int_t)p->from, "next_offset",
		(json_int_t)p->to, "whole_to", (json_int_t)p->whole_to, "wrong", p->wrong, "ranges",
		ranges, "anchor", p->linked ? link : NULL);
}

static void
take_partition(void *arg, const struct pst_verify_partition *p)
{
	struct run *run = arg;
	for (uint32_t i = 0; i < run->anchor_cnt; i++) {
		if (strcmp(run->anchors[i].name, p->name) == 0)
			run->firsts[i] = p->from;
	}
	if (run->partitions)
		json_array_append_new(run->partitions, partition_json(p));
	else
		print_partition(p);
}

static struct pst_anchor *
add_anchor(struct run *run)
{
	struct pst_anchor *anchors = realloc(
		run->anchors, (run->anchor_cnt + 1) * sizeof(*anchors));
	if (anchors)
		run->anchors = anchors;
	int64_t *firsts = realloc(run->firsts, (run->anchor_cnt + 1) * sizeof(*firsts));
	if (firsts)
		run->firsts = firsts;
	if (!anchors || !firsts)
		return NULL;
	firsts[run->anchor_cnt] = -1;
	anchors[run->anchor_cnt] = (struct pst_anchor){.offset = -1};
	return &anchors[run->anchor_cnt++];
}

/* Lines "anchor PARTITION OFFSET HEX"; others are passed over. */
static int
read_anchors(struct run *run, const char *path)
{
	char line[1024], hex[128];
	uint32_t before = run->anchor_cnt;
	FILE *file = fopen(path, "r");
	if (!file)
		return pst_usage_error("verify",
			"--anchor %s: not 64 hex digits, and no file that can be read: %s", path,
			strerror(errno));
	int rc = 0;
	while (rc == 0 && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "anchor ", 7) != 0)
			continue;
		struct pst_anchor *a = add_anchor(run);
		if (!a ||
			sscanf(line + 7, "%215s %" SCNd64 " %127s", a->name, &a->offset, hex) !=
				3 ||
			a->offset < 0 || !pst_link_parse(hex, &a->link))
			rc = pst_usage_error(
				"verify", "--anchor %s: not an anchor: %.200s", path, line);
	}
	fclose(file);
	if (rc == 0 && run->anchor_cnt == before)
		rc = pst_usage_error(
			"verify", "--anchor %s: no line begins with \"anchor \"", path);
	return rc;
}

static int
take_anchor(struct run *run, const char *arg)
{
	struct pst_link link;
	if (!pst_link_parse(arg, &link))
		return read_anchors(run, arg);
	struct pst_anchor *a = add_anchor(run);
	if (!a)
		return pst_usage_error("verify", "out of memory");
	a->link = link;
	return 0;
}

/* Those that were not met are findings; but what retention has removed cannot be looked at. */
static void
judge_anchors(struct run *run, struct pst_verify_totals *totals)
{
	for (uint32_t i = 0; i < run->anchor_cnt; i++) {
		const struct pst_anchor *a = &run->anchors[i];
		char text[256], hex[PST_LINK_TEXT_BYTES];
		bool gone = a->name[0] && run->firsts[i] > a->offset;
		if (a->met)
			continue;
		pst_link_text(hex, &a->link);
		if (gone)
			snprintf(text, sizeof(text),
				"the anchor of offset %" PRId64 " is older than what is kept",
				a->offset);
		else if (a->name[0])
			snprintf(text, sizeof(text),
				"the anchor of offset %" PRId64 " is not met: the log was cut, or "
				"written anew",
				a->offset);
		else
			snprintf(text, sizeof(text), "the anchor %s is not met", hex);
		take_finding(run, a->name, NULL, 0, gone, text);
		totals->finding_cnt += !gone;
		totals->note_cnt += gone;
	}
}

static void
print_cnt(uint64_t cnt, const char *one, const char *many)
{
	printf("%" PRIu64 " %s", cnt, cnt == 1 ? one : many);
}

static void
print_totals(const struct pst_verify_totals *t)
{
	print_cnt(t->partition_cnt, "partition, ", "partitions, ");
	print_cnt(t->segment_cnt, "segment, ", "segments, ");
	print_cnt(t->batch_cnt, "batch, ", "batches, ");
	print_cnt(t->record_cnt, "record, ", "records, ");
	print_cnt(t->bytes, "byte: ", "bytes: ");
	if (t->finding_cnt == 0)
		fputs("no damage", stdout);
	else
		print_cnt(t->finding_cnt, "finding of damage", "findings of damage");
	if (t->note_cnt > 0) {
		fputs(", ", stdout);
		print_cnt(t->note_cnt, "harmless note", "harmless notes");
	}
	putchar('\n');
}

/* Whether a daemon has used it: "no damage" of the wrong directory would be a lie. */
static bool
is_data_dir(const char *data_dir)
{
	struct stat st;
	char *path;
	if (asprintf(&path, "%s/%s", data_dir, lock_name) < 0)
		return false;
	bool found = stat(path, &st) == 0;
	free(path);
	return found;
}

/* The data directory, or an array of several. */
static json_t *
dirs_json(const struct data_dirs *dirs)
{
	if (dirs->cnt == 1)
		return json_string(dirs->paths[0]);
	json_t *paths = json_array();
	for (unsigned d = 0; d < dirs->cnt; d++)
		json_array_append_new(paths, json_string(dirs->paths[d]));
	return paths;
}

static void
print_json(struct run *run, const struct pst_verify_totals *t)
{
	json_t *all = json_pack("{s:o, s:b, s:o, s:o, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I}}",
		"data", dirs_json(&run->dirs), "sound", t->finding_cnt == 0, "partitions",
		run->partitions, "findings", run->findings, "totals", "partition_cnt",
		(json_int_t)t->partition_cnt, "segment_cnt", (json_int_t)t->segment_cnt,
		"batch_cnt", (json_int_t)t->batch_cnt, "record_cnt", (json_int_t)t->record_cnt,
		"bytes", (json_int_t)t->bytes, "finding_cnt", (json_int_t)t->finding_cnt,
		"note_cnt", (json_int_t)t->note_cnt);
	run->partitions = run->findings = NULL;
	json_dumpf(all, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(all);
}

/* Looks at run->data_dir and adds to sum. EXIT_DONE, or EXIT_USAGE: it cannot be read. */
static int
verify_one(struct run *run, struct pst_verify_totals *sum)
{
	struct pst_verify_totals totals = {0};
	struct pst_verify_sink sink = {.arg = run,
		.finding = take_finding,
		.partition = take_partition,
		.anchors = run->anchors,
		.anchor_cnt = run->anchor_cnt};
	int rc = pst_verify_with(NULL, run->data_dir, &sink, &totals);
	if (rc < 0) {
		fflush(stdout);
		fprintf(stderr, "penstock verify: %s: %s\n", run->data_dir, strerror(-rc));
		return EXIT_USAGE;
	}
	if (totals.partition_cnt == 0 && !is_data_dir(run->data_dir)) {
		fprintf(stderr, "penstock verify: %s: not a data directory: no partition, no %s\n",
			run->data_dir, lock_name);
		return EXIT_USAGE;
	}
	sum->partition_cnt += totals.partition_cnt;
	sum->segment_cnt += totals.segment_cnt;
	sum->batch_cnt += totals.batch_cnt;
	sum->record_cnt += totals.record_cnt;
	sum->bytes += totals.bytes;
	sum->finding_cnt += totals.finding_cnt;
	sum->note_cnt += totals.note_cnt;
	return EXIT_DONE;
}

/* All directories, also those behind one that cannot be read. */
static int
verify(struct run *run, bool as_json)
{
	struct pst_verify_totals totals = {0};
	int status = EXIT_DONE;
	if (as_json) {
		run->partitions = json_array();
		run->findings = json_array();
	}
	for (unsigned d = 0; d < run->dirs.cnt; d++) {
		run->data_dir = run->dirs.paths[d];
		int one = verify_one(run, &totals);
		status = one > status ? one : status;
	}
	if (status != EXIT_DONE && run->dirs.cnt == 1)
		return status;
	judge_anchors(run, &totals);
	if (as_json)
		print_json(run, &totals);
	else
		print_totals(&totals);
	return status != EXIT_DONE ? status : totals.finding_cnt > 0 ? EXIT_FINDING : EXIT_DONE;
}

int
pst_cmd_verify(int argc, char **argv)
{
	static const struct option names[] = {{"help", no_argument, NULL, 'h'},
		{"json", no_argument, NULL, 'j'}, {"profile", required_argument, NULL, 'P'},
		{"anchor", required_argument, NULL, 'a'}, {NULL}};
	struct run run = {0};
	bool as_json = false;
	int option, rc = EXIT_DONE;
	opterr = 0; /* the words are ours */
	while (rc == EXIT_DONE && (option = getopt_long(argc, argv, ":h", names, NULL)) != -1) {
		switch (option) {
		case 'h':
			print_help();
			return EXIT_DONE;
		case 'j':
			as_json = true;
			break;
		case 'a':
			rc = take_anchor(&run, optarg);
			break;
		case 'P':
			rc = data_dirs_load(&run.dirs, "verify", optarg);
			rc = rc < 0 ? EXIT_DONE : rc;
			break;
		default:
			rc = pst_option_error("verify", option, argv);
		}
	}
	for (; rc == EXIT_DONE && optind < argc; optind++) {
		rc = data_dirs_add(&run.dirs, "verify", argv[optind]);
		rc = rc < 0 ? EXIT_DONE : rc;
	}
	if (rc == EXIT_DONE && run.dirs.cnt == 0)
		rc = pst_usage_error("verify", "give a data directory, or --profile");
	if (rc == EXIT_DONE)
		rc = verify(&run, as_json);
	data_dirs_free(&run.dirs);
	json_decref(run.partitions);
	json_decref(run.findings);
	free(run.anchors);
	free(run.firsts);
	return rc;
}
