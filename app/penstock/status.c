/* penstock status: asks the running daemon over its telemetry socket. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "penstock.h"
#include "status_text.h"
#include "telemetry/client.h"

#define TOP_CNT 10

static void
usage(FILE *out)
{
	fputs("usage: penstock status [--json] [--prefix PREFIX]\n"
	      "\n"
	      "What the running penstockd has done with every frame and event since its start:\n"
	      "books, listeners, queues, ports, streams, lcores, latency, rules, sessions,\n"
	      "senders.\n"
	      "\n"
	      "  --json           one JSON object (docs/telemetry.md), all rules and sessions\n"
	      "  --prefix PREFIX  telemetry.prefix of the daemon's profile (default: penstock)\n"
	      "  --version        print the version\n"
	      "  --help           print this\n"
	      "\n"
	      "The socket is <run>/dpdk/PREFIX/dpdk_telemetry.v2, where <run> is "
	      "$RUNTIME_DIRECTORY,\n"
	      "else /var/run for root, else $XDG_RUNTIME_DIR, else /tmp: ask as the user that\n"
	      "penstockd runs as.\n"
	      "Exit status: 0; 1 if no daemon answers; 2 on a wrong command line.\n",
		out);
}

static int
ask(const char *prefix, json_t **status, struct pst_diag *diag)
{
	struct pst_client *client;

	if (pst_client_open(prefix, &client, diag) != 0)
		return -1;
	*status = pst_client_status(client, diag);
	pst_client_close(client);
	return *status ? 0 : -1;
}

static int
show(const char *prefix, bool as_json)
{
	struct pst_diag diag;
	json_t *status;

	if (ask(prefix, &status, &diag) != 0) {
		fputs("penstock status: ", stderr);
		pst_diag_print(stderr, &diag);
		return EXIT_FINDING;
	}
	if (as_json) {
		/* ASCII: names cannot steer a terminal that it is printed to. */
		json_dumpf(status, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		putchar('\n');
	} else {
		status_print(stdout, status, TOP_CNT);
	}
	json_decref(status);
	return EXIT_DONE;
}

int
pst_cmd_status(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"prefix", required_argument, NULL, 'p'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *prefix = PST_TELEMETRY_PREFIX;
	bool as_json = false;
	int opt;

	opterr = 0;
	optind = 1;
	while ((opt = getopt_long(argc, argv, ":jp:Vh", options, NULL)) != -1) {
		switch (opt) {
		case 'j':
			as_json = true;
			break;
		case 'p':
			prefix = optarg;
			break;
		case 'V':
			puts("penstock " PST_VERSION);
			return EXIT_DONE;
		case 'h':
			usage(stdout);
			return EXIT_DONE;
		default:
			return pst_option_error("status", opt, argv);
		}
	}
	if (optind != argc)
		return pst_usage_error("status", "what is '%s'?", argv[optind]);
	if (prefix[0] == '\0' || strchr(prefix, '/') || prefix[0] == '.')
		return pst_usage_error("status", "'%s' is not a prefix", prefix);
	return show(prefix, as_json);
}
