/* penstock repair: what is valid of a damaged log is put back, what is not is written down. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "data_dirs.h"
#include "penstock.h"
#include "segment/repair/repair.h"

struct run {
	struct data_dirs dirs;
	char **partitions; /* of all directories */
	unsigned partition_cnt;
	bool apply, as_json;
	const char *data_dir; /* that is worked on */
	bool quiet;
	json_t *items;   /* of data_dir */
	json_t *reports; /* with --json, of several directories; else NULL */
};

static void
print_help(void)
{
	fputs("usage: penstock repair [--apply] [--json] {DATA | --profile FILE} [PARTITION ...]\n"
	      "\n"
	      "Says what can be done for a damaged log, of all partitions or of those named\n"
	      "(TOPIC-NUMBER), and does it only with --apply. The daemon must not run.\n"
	      "\n"
	      "From the first bad byte of a closed segment on, its bytes are set aside in a\n"
	      "file of their own. Runs of good batches in what was set aside, now or by a start\n"
	      "of the daemon, become segments again where their offsets are free, with indexes\n"
	      "and seals that say so. Nothing valid is deleted, no offset is used again, and\n"
	      "the files that were set aside stay. It may be stopped and called again.\n"
	      "\n"
	      "  --apply     do it; also writes DATA/penstock.repair-TIME.json, which lists what\n"
	      "              was done and every range that is not valid\n"
	      "  --profile FILE  each of the data directories that this profile names\n"
	      "  --json      one JSON object instead of lines; an array, of several directories\n"
	      "  -h, --help  print this\n"
	      "\n"
	      "Exit status: 0 nothing was to be done, or all was; 1 there is something to do, or\n"
	      "it could not be done; 2 DATA cannot be read, is in use, or wrong command line.\n",
		stdout);
}

static void
print_item(const char *in, const struct pst_repair_item *i)
{
	if (in)
		printf("%s/", in);
	printf("%s: ", i->partition);
	switch (i->kind) {
	case PST_REPAIR_RECOVERS:
		if (i->file[0])
			printf("%s: damaged from position %" PRIu64 " on: recovery sets %" PRIu64
			       " bytes aside",
				i->file, i->pos, i->bytes);
		else
			fputs("was not closed in order: recovered, as by the daemon's next start",
				stdout);
		break;
	case PST_REPAIR_SETS_ASIDE:
		printf("%s: sets aside %" PRIu64 " bytes from position %" PRIu64 " on", i->file,
			i->bytes, i->pos);
		break;
	case PST_REPAIR_PUTS_BACK:
		printf("puts back offsets %" PRId64 " to %" PRId64 ", from %s, position %" PRIu64,
			i->first_offset, i->last_offset, i->file, i->pos);
		break;
	case PST_REPAIR_SEALS:
		printf("%s: sealed again over what is left, offsets %" PRId64 " to %" PRId64,
			i->file, i->first_offset, i->last_offset);
		break;
	case PST_REPAIR_KEEPS:
		printf("good batches of offsets %" PRId64 " to %" PRId64
		       " stay in %s, position %" PRIu64 ": their place is taken, or not certain",
			i->first_offset, i->last_offset, i->file, i->pos);
		break;
	case PST_REPAIR_DAMAGED:
		printf("not valid: %s, %" PRIu64 " bytes from position %" PRIu64 ", CRC-32C %08x",
			i->file, i->bytes, i->pos, i->crc);
		break;
	case PST_REPAIR_LOST:
		printf("lost: offsets %" PRId64 " to %" PRId64, i->first_offset, i->last_offset);
		break;
	case PST_REPAIR_KIND_CNT:
		break;
	}
	putchar('\n');
}

/* To tell lines of several directories apart. */
static const char *
prefix(const struct run *run)
{
	return run->dirs.cnt > 1 ? run->data_dir : NULL;
}

static void
take_item(void *arg, const struct pst_repair_item *i)
{
	struct run *run = arg;
	char crc[16];
	bool offsets = i->kind != PST_REPAIR_DAMAGED && i->kind != PST_REPAIR_RECOVERS &&
		       i->kind != PST_REPAIR_SETS_ASIDE;
	if (!run->quiet)
		print_item(prefix(run), i);
	snprintf(crc, sizeof(crc), "%08x", i->crc);
	json_t *item = json_pack(
		"{s:s, s:s}", "kind", pst_repair_kind_name(i->kind), "partition", i->partition);
	if (i->file[0])
		json_object_set_new(item, "file", json_string(i->file));
	if (i->bytes > 0) {
		json_object_set_new(item, "position", json_integer((json_int_t)i->pos));
		json_object_set_new(item, "bytes", json_integer((json_int_t)i->bytes));
	}
	if (i->kind == PST_REPAIR_DAMAGED)
		json_object_set_new(item, "crc32c", json_string(crc));
	if (offsets) {
		json_object_set_new(item, "first_offset", json_integer(i->first_offset));
		json_object_set_new(item, "last_offset", json_integer(i->last_offset));
	}
	json_array_append_new(run->items, item);
}

static json_t *
report(const struct run *run, const char *state, const struct pst_repair_totals *t)
{
	return json_pack("{s:s, s:s, s:O, s:{s:I, s:I, s:I, s:I, s:I}}", "data", run->data_dir,
		"state", state, "items", run->items, "totals", "partition_cnt",
		(json_int_t)t->partition_cnt, "action_cnt", (json_int_t)t->action_cnt,
		"batches_put_back", (json_int_t)t->back_cnt, "bytes_put_back",
		(json_int_t)t->back_bytes, "offsets_lost", (json_int_t)t->lost_cnt);
}

/* Writes the report under its name, synced: the old one of this run stays until then. */
static int
write_report(const char *path, json_t *all)
{
	char tmp[4200];
	snprintf(tmp, sizeof(tmp), "%s.tmp", path);
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
	int rc = fd < 0 ? -errno : 0;
	if (rc == 0 && json_dumpfd(all, fd, JSON_INDENT(2) | JSON_ENSURE_ASCII) != 0)
		rc = -EIO;
	if (rc == 0 && fsync(fd) != 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	if (rc == 0 && rename(tmp, path) != 0)
		rc = -errno;
	if (rc < 0)
		unlink(tmp);
	return rc;
}

static int
sync_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 || fsync(fd) != 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return rc;
}

static int
keep_report(const struct run *run, const char *path, const char *state,
	const struct pst_repair_totals *totals)
{
	json_t *all = report(run, state, totals);
	int rc = write_report(path, all);
	if (rc == 0)
		rc = sync_dir(run->data_dir);
	json_decref(all);
	if (rc < 0)
		fprintf(stderr, "penstock repair: %s: %s\n", path, strerror(-rc));
	return rc;
}

static int
failed(const struct pst_diag *diag)
{
	fflush(stdout);
	fputs("penstock repair: ", stderr);
	pst_diag_print(stderr, diag);
	return EXIT_USAGE;
}

static void
print_totals(
	const struct run *run, const char *state, const struct pst_repair_totals *totals, bool more)
{
	if (run->as_json) {
		json_t *all = report(run, state, totals);
		if (run->reports) {
			json_array_append_new(run->reports, all);
			return;
		}
		json_dumpf(all, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		putchar('\n');
		json_decref(all);
		return;
	}
	if (prefix(run))
		printf("%s: ", run->data_dir);
	printf("%s: %" PRIu64 " batches (%" PRIu64 " bytes) put back, %" PRIu64 " offsets lost%s\n",
		state, totals->back_cnt, totals->back_bytes, totals->lost_cnt,
		more ? "; --apply does it" : "");
}

/* First what would be done, also for the report: it is there before anything is changed. */
static int
repair(struct run *run, struct pst_repair_config *config)
{
	struct pst_repair_totals totals;
	struct pst_diag diag;
	char path[4096], stamp[32];
	time_t now = time(NULL);
	struct tm tm;
	run->quiet = run->as_json || run->apply;
	if (pst_repair(NULL, config, &totals, &diag) < 0)
		return failed(&diag);
	int status = totals.action_cnt > 0 ? EXIT_FINDING : EXIT_DONE;
	const char *state = totals.action_cnt > 0 ? "to be done" : "nothing to do";
	if (run->apply && totals.action_cnt > 0) {
		gmtime_r(&now, &tm);
		strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
		snprintf(path, sizeof(path), "%s/penstock.repair-%s.json", run->data_dir, stamp);
		if (keep_report(run, path, "begun", &totals) < 0)
			return EXIT_FINDING;
		json_array_clear(run->items);
		run->quiet = run->as_json;
		config->apply = true;
		if (pst_repair(NULL, config, &totals, &diag) < 0) {
			failed(&diag);
			return EXIT_FINDING;
		}
		state = "done";
		status = keep_report(run, path, state, &totals) < 0 ? EXIT_FINDING : EXIT_DONE;
	}
	print_totals(run, state, &totals, status == EXIT_FINDING && !run->apply);
	return status;
}

static bool
has_partition(const char *data_dir, const char *partition)
{
	struct stat st;
	char *path;
	if (asprintf(&path, "%s/%s", data_dir, partition) < 0)
		return false;
	bool found = stat(path, &st) == 0;
	free(path);
	return found;
}

/* One directory; of the partitions named those that lie in it. */
static int
repair_dir(struct run *run)
{
	struct pst_repair_config config = {.data_dir = run->data_dir, .say = take_item, .arg = run};
	char **here = calloc(run->partition_cnt + 1, sizeof(*here));
	if (!here)
		return failed(&(struct pst_diag){.text = "out of memory"});
	for (unsigned i = 0; i < run->partition_cnt; i++) {
		if (run->dirs.cnt == 1 || has_partition(run->data_dir, run->partitions[i]))
			here[config.partition_cnt++] = run->partitions[i];
	}
	config.partitions = here;
	int status = EXIT_DONE;
	if (run->partition_cnt == 0 || config.partition_cnt > 0) {
		run->items = json_array();
		status = repair(run, &config);
		json_decref(run->items);
	}
	free(here);
	return status;
}

/* All directories, also those behind one that cannot be repaired. */
static int
repair_dirs(struct run *run)
{
	int status = EXIT_DONE;
	for (unsigned i = 0; i < run->partition_cnt; i++) {
		unsigned d = 0;
		while (d < run->dirs.cnt && !has_partition(run->dirs.paths[d], run->partitions[i]))
			d++;
		if (d == run->dirs.cnt && d > 1)
			return pst_usage_error("repair",
				"%s: no such partition in any data "
				"directory of the profile",
				run->partitions[i]);
	}
	if (run->as_json && run->dirs.cnt > 1)
		run->reports = json_array();
	for (unsigned d = 0; d < run->dirs.cnt; d++) {
		run->data_dir = run->dirs.paths[d];
		int one = repair_dir(run);
		status = one > status ? one : status;
	}
	if (run->reports) {
		json_dumpf(run->reports, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		putchar('\n');
		json_decref(run->reports);
	}
	return status;
}

int
pst_cmd_repair(int argc, char **argv)
{
	static const struct option names[] = {{"help", no_argument, NULL, 'h'},
		{"apply", no_argument, NULL, 'a'}, {"json", no_argument, NULL, 'j'},
		{"profile", required_argument, NULL, 'P'}, {NULL}};
	struct run run = {0};
	int option, rc = -1;
	opterr = 0; /* the words are ours */
	while (rc < 0 && (option = getopt_long(argc, argv, ":h", names, NULL)) != -1) {
		switch (option) {
		case 'h':
			print_help();
			return EXIT_DONE;
		case 'a':
			run.apply = true;
			break;
		case 'j':
			run.as_json = true;
			break;
		case 'P':
			rc = data_dirs_load(&run.dirs, "repair", optarg);
			break;
		default:
			rc = pst_option_error("repair", option, argv);
		}
	}
	if (rc < 0 && !run.dirs.profile)
		rc = optind < argc
			     ? data_dirs_add(&run.dirs, "repair", argv[optind++])
			     : pst_usage_error("repair", "give a data directory, or --profile");
	run.partitions = argv + optind;
	run.partition_cnt = (unsigned)(argc - optind);
	if (rc < 0)
		rc = repair_dirs(&run);
	data_dirs_free(&run.dirs);
	return rc;
}
