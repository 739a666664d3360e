/* penstock top: the running daemon, live. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "penstock.h"
#include "telemetry/client.h"
#include "top_screen.h"
#include "top_view.h"

struct options {
	const char *prefix;
	double delay_s;
	bool batch;
	unsigned long round_cnt; /* 0: without end */
	unsigned view;
};

static void
usage(FILE *out)
{
	fputs("usage: penstock top [--delay SECONDS] [--prefix PREFIX]\n"
	      "       penstock top --batch [--rounds N] [--view VIEW] [--delay SECONDS] ...\n"
	      "\n"
	      "The running penstockd, live: rates, losses by reason, cores and their rings,\n"
	      "streams, latency, rules, senders, sessions. h in it lists the keys, q ends it. It\n"
	      "goes on when the daemon goes away, and finds it when it comes back.\n"
	      "\n"
	      "  -d, --delay SECONDS  between two screens, 0.1 to 3600 (default 2)\n"
	      "  -b, --batch          print screens, one below the other, to standard output\n"
	      "  -n, --rounds N       so many, then end (default: no end)\n"
	      "      --view VIEW      which: all (default), drops, cores, streams, ports, rules,\n"
	      "                       senders, sessions, losses\n"
	      "      --prefix PREFIX  telemetry.prefix of the daemon's profile (default: "
	      "penstock)\n"
	      "      --version        print the version\n"
	      "      --help           print this\n"
	      "\n"
	      "Exit status: 0; 1 if the terminal cannot be used or, with --batch, no daemon\n"
	      "answers; 2 on a wrong command line.\n",
		out);
}

static int
find_view(const char *name, unsigned *view)
{
	for (unsigned i = 0; i < VIEW_CNT; i++) {
		if (strcasecmp(name, view_name(i)) == 0) {
			*view = i;
			return 0;
		}
	}
	return pst_usage_error("top", "there is no view '%s'", name);
}

static int
parse_delay(const char *text, double *delay_s)
{
	char *end;
	errno = 0;
	*delay_s = strtod(text, &end);
	if (errno || end == text || *end || !isfinite(*delay_s) || *delay_s < TOP_DELAY_S_MIN ||
		*delay_s > TOP_DELAY_S_MAX)
		return pst_usage_error("top", "--delay: '%s' is not 0.1 to 3600 seconds", text);
	return 0;
}

static int
parse_rounds(const char *text, unsigned long *cnt)
{
	char *end;
	errno = 0;
	*cnt = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || *cnt == 0)
		return pst_usage_error("top", "--rounds: '%s' is not a number from 1 on", text);
	return 0;
}

/* 0, or an exit status + 1. */
static int
parse(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {
		{"delay", required_argument, NULL, 'd'},
		{"batch", no_argument, NULL, 'b'},
		{"rounds", required_argument, NULL, 'n'},
		{"view", required_argument, NULL, 'v'},
		{"prefix", required_argument, NULL, 'p'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int opt, rc = 0;

	opterr = 0;
	optind = 1;
	while (rc == 0 && (opt = getopt_long(argc, argv, ":d:bn:v:p:Vh", options, NULL)) != -1) {
		switch (opt) {
		case 'd':
			rc = parse_delay(optarg, &o->delay_s);
			break;
		case 'b':
			o->batch = true;
			break;
		case 'n':
			rc = parse_rounds(optarg, &o->round_cnt);
			break;
		case 'v':
			rc = find_view(optarg, &o->view);
			break;
		case 'p':
			o->prefix = optarg;
			break;
		case 'V':
			puts("penstock " PST_VERSION);
			return EXIT_DONE + 1;
		case 'h':
			usage(stdout);
			return EXIT_DONE + 1;
		default:
			rc = pst_option_error("top", opt, argv);
		}
	}
	if (rc == 0 && optind != argc)
		rc = pst_usage_error("top", "what is '%s'?", argv[optind]);
	if (rc == 0 && !o->batch && (o->round_cnt || o->view))
		rc = pst_usage_error("top", "--rounds and --view go with --batch");
	if (rc == 0 && (o->prefix[0] == '\0' || strchr(o->prefix, '/') || o->prefix[0] == '.'))
		rc = pst_usage_error("top", "'%s' is not a prefix", o->prefix);
	return rc ? rc + 1 : 0;
}

/* ---- batch ---- */

static unsigned
columns(void)
{
	struct winsize size;
	const char *text = getenv("COLUMNS");
	unsigned long cnt = text ? strtoul(text, NULL, 10) : 0;

	if (cnt >= 40 && cnt <= PAGE_COLUMNS_MAX)
		return (unsigned)cnt;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40)
		return size.ws_col;
	return 80;
}

static void
print_screen(const struct model *model, const struct options *o)
{
	static struct page page;
	struct view_state state = {.sort = -1};
	struct view_head head = {.prefix = o->prefix, .time = time(NULL), .delay_s = o->delay_s};

	page_clear(&page, columns(), o->view ? PAGE_LINES_MAX : 40);
	view_draw_screen(&page, model, &head, o->view, &state);
	page_print(stdout, &page);
	putchar('\n');
	fflush(stdout);
}

static int
take(struct model *model, const char *prefix)
{
	struct pst_client *client;
	struct pst_diag diag;
	json_t *status = NULL;

	if (pst_client_open(prefix, &client, &diag) == 0) {
		status = pst_client_status(client, &diag);
		pst_client_close(client);
	}
	if (!status) {
		fputs("penstock top: ", stderr);
		pst_diag_print(stderr, &diag);
		return EXIT_FINDING;
	}
	model_take(model, status, time(NULL));
	return EXIT_DONE;
}

/* A first answer is only what the rates of the first screen are counted from. */
static int
run_batch(const struct options *o)
{
	static struct model model;
	double whole = floor(o->delay_s);
	const struct timespec pause = {
		.tv_sec = (time_t)whole, .tv_nsec = (long)((o->delay_s - whole) * 1e9)};
	int status = take(&model, o->prefix);

	for (unsigned long i = 0; status == EXIT_DONE && (!o->round_cnt || i < o->round_cnt); i++) {
		nanosleep(&pause, NULL);
		status = take(&model, o->prefix);
		if (status == EXIT_DONE)
			print_screen(&model, o);
		if (ferror(stdout))
			break; /* its reader has gone */
	}
	model_fini(&model);
	return status;
}

int
pst_cmd_top(int argc, char **argv)
{
	struct options o = {.prefix = PST_TELEMETRY_PREFIX, .delay_s = 2};
	int rc = parse(argc, argv, &o);

	if (rc)
		return rc - 1;
	if (o.batch)
		return run_batch(&o);
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		fputs("penstock top: this is not a terminal: use --batch\n", stderr);
		return EXIT_FINDING;
	}
	return screen_run(o.prefix, o.delay_s);
}
