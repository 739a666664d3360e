#include "cat_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "penstock.h"

static void
print_help(void)
{
	fputs("usage: penstock cat {-d DATA... | --profile FILE} TOPIC [-p PARTITION] [-o START]\n"
	      "                    [-n COUNT] [-f] [--format raw|json]\n"
	      "\n"
	      "Prints the events of a stream from the files of a data directory, one a\n"
	      "line, whether the daemon runs or not, and never an event that is not durable.\n"
	      "\n"
	      "  -d, --data DATA            the data directory; of several drives: each\n"
	      "      --profile FILE         those that this profile names\n"
	      "  -p, --partition PARTITION  this partition alone; else all, one after the\n"
	      "                             other\n"
	      "  -o, --offset START         where to begin:\n"
	      "      earliest               the first event kept (default)\n"
	      "      latest                 behind the last one: with -f, what comes now\n"
	      "      NUMBER                 the event with this offset\n"
	      "      @TIME                  the first event that came at TIME or later:\n"
	      "                             seconds or milliseconds since 1970, or like\n"
	      "                             2026-11-21, 2026-11-21T10:00:00Z,\n"
	      "                             2026-11-21T11:00:00.250+01:00 (no zone: UTC)\n"
	      "  -n, --count COUNT          stop after COUNT events, all partitions together\n"
	      "  -f, --follow               go on as events come, until Ctrl-C; partitions\n"
	      "                             take turns\n"
	      "      --format raw           the event's bytes and a line feed (default)\n"
	      "      --format json          an object a line: topic, partition, offset,\n"
	      "                             timestamp (ms since 1970), key, headers, and\n"
	      "                             value, or value_base64 where the event is not\n"
	      "                             UTF-8; numbers are exact, but readers that keep\n"
	      "                             them as doubles round beyond 2^53\n"
	      "  -h, --help                 print this\n"
	      "\n"
	      "On a terminal control characters are escaped; into a file or pipe the bytes\n"
	      "are exact. Exit status: 0 printed; 1 the stream is missing, or damaged events\n"
	      "were left out (standard error says which); 2 wrong command line.\n",
		stdout);
}

static bool
parse_count(const char *text, uint64_t max, uint64_t *out)
{
	char *end;
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || n > max)
		return false;
	*out = n;
	return true;
}

/* Returns -1 to go on, or the exit status. */
static int
parse_option(int option, char **argv, struct cat_options *o)
{
	uint64_t n;
	switch (option) {
	case 'd':
		return data_dirs_add(&o->dirs, "cat", optarg);
	case 'P':
		return data_dirs_load(&o->dirs, "cat", optarg);
	case 'p':
		if (!parse_count(optarg, INT32_MAX, &n))
			return pst_usage_error("cat", "-p %s: give a partition's number", optarg);
		o->partition = (int64_t)n;
		return -1;
	case 'o':
		if (start_parse(optarg, &o->start) != 0)
			return pst_usage_error(
				"cat", "-o %s: give earliest, latest, an offset, or @TIME", optarg);
		return -1;
	case 'n':
		if (!parse_count(optarg, UINT64_MAX - 1, &o->count))
			return pst_usage_error("cat", "-n %s: give a number", optarg);
		return -1;
	case 'f':
		o->follow = true;
		return -1;
	case 'F':
		if (strcmp(optarg, "raw") != 0 && strcmp(optarg, "json") != 0)
			return pst_usage_error("cat", "--format %s: give raw or json", optarg);
		o->json = strcmp(optarg, "json") == 0;
		return -1;
	case 'h':
		print_help();
		return EXIT_DONE;
	default:
		return pst_option_error("cat", option, argv);
	}
}

int
cat_options_parse(int argc, char **argv, struct cat_options *o)
{
	static const struct option names[] = {
		{"data", required_argument, NULL, 'd'},
		{"profile", required_argument, NULL, 'P'},
		{"partition", required_argument, NULL, 'p'},
		{"offset", required_argument, NULL, 'o'},
		{"count", required_argument, NULL, 'n'},
		{"follow", no_argument, NULL, 'f'},
		{"format", required_argument, NULL, 'F'},
		{"help", no_argument, NULL, 'h'},
		{NULL},
	};
	int option;
	opterr = 0; /* the words are ours */
	while ((option = getopt_long(argc, argv, ":d:p:o:n:fh", names, NULL)) != -1) {
		int status = parse_option(option, argv, o);
		if (status >= 0)
			return status;
	}
	if (optind == argc)
		return pst_usage_error("cat", "which stream? Give its TOPIC");
	if (argc - optind > 1)
		return pst_usage_error(
			"cat", "one TOPIC at a time; '%s' is too much", argv[optind + 1]);
	if (o->dirs.cnt == 0)
		return pst_usage_error("cat", "give the data directory with -d, or --profile");
	o->topic = argv[optind];
	return -1;
}
