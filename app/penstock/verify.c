/* penstock verify: every batch, record and index of a data directory, read and compared. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "penstock.h"
#include "segment/verify.h"

static const char lock_name[] = "penstock.lock";

static void
print_help(void)
{
	fputs("usage: penstock verify DATA\n"
	      "\n"
	      "Checks a data directory and changes nothing: each batch's CRC and records,\n"
	      "offsets without a gap within and across segments, indexes equal to what Kafka\n"
	      "would build from the log, no bytes that nothing explains. Safe while the daemon\n"
	      "runs: only what is durable is looked at.\n"
	      "\n"
	      "Each finding is a line FILE:POSITION: WHAT, with `note:` before WHAT where it\n"
	      "is harmless; the last line is the sum.\n"
	      "\n"
	      "  -h, --help  print this\n"
	      "\n"
	      "Exit status: 0 no damage; 1 damage; 2 DATA cannot be read, or wrong command\n"
	      "line.\n",
		stdout);
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

int
pst_cmd_verify(int argc, char **argv)
{
	static const struct option names[] = {{"help", no_argument, NULL, 'h'}, {NULL}};
	int option;
	opterr = 0; /* the words are ours */
	while ((option = getopt_long(argc, argv, "h", names, NULL)) != -1) {
		if (option != 'h')
			return pst_option_error("verify", option, argv);
		print_help();
		return EXIT_DONE;
	}
	if (argc - optind != 1)
		return pst_usage_error("verify", "give one data directory");
	const char *data_dir = argv[optind];
	struct pst_verify_totals totals = {0};
	int rc = pst_verify(data_dir, stdout, &totals);
	if (rc < 0) {
		fflush(stdout);
		fprintf(stderr, "penstock verify: %s: %s\n", data_dir, strerror(-rc));
		return EXIT_USAGE;
	}
	if (totals.partition_cnt == 0 && !is_data_dir(data_dir)) {
		fprintf(stderr, "penstock verify: %s: not a data directory: no partition, no %s\n",
			data_dir, lock_name);
		return EXIT_USAGE;
	}
	print_totals(&totals);
	return totals.finding_cnt > 0 ? EXIT_FINDING : EXIT_DONE;
}
