/* penstock COMMAND ...: finds the subcommand. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "penstock.h"

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
};

static const struct command commands[] = {
	{"status", pst_cmd_status, "what the running daemon does, and where every event went"},
	{"top", pst_cmd_top, "the same, live"},
	{"cat", pst_cmd_cat, "print the events of a stream"},
	{"loss", pst_cmd_loss, "what was lost, when, where and why: from the files alone"},
	{"repair", pst_cmd_repair, "put back what is valid of a damaged log"},
	{"verify", pst_cmd_verify, "check a data directory"},
	{"rules", pst_cmd_rules, "check a rules file, or try it on events"},
	{NULL},
};

static void
print_help(FILE *out)
{
	fputs("usage: penstock COMMAND [OPTION]... [ARGUMENT]...\n"
	      "       penstock help COMMAND\n"
	      "\n"
	      "The operator's command of the penstock ingestion appliance.\n"
	      "\n"
	      "Commands:\n",
		out);
	for (const struct command *c = commands; c->name; c++)
		fprintf(out, "  %-8s  %s\n", c->name, c->what);
	fputs("\n"
	      "Options:\n"
	      "  --help     print this\n"
	      "  --version  print the version\n"
	      "\n"
	      "`penstock COMMAND --help` says more of each. Exit status: 0 all is well;\n"
	      "1 something was found or could not be done; 2 the command line is wrong or\n"
	      "the input cannot be read.\n",
		out);
}

static int
run_command(const char *name, int argc, char **argv)
{
	for (const struct command *c = commands; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c->run(argc, argv);
	return pst_usage_error(NULL, "there is no command '%s'", name);
}

static int
dispatch(int argc, char **argv)
{
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		puts("penstock " PST_VERSION);
		return EXIT_DONE;
	}
	if (strcmp(argv[1], "help") == 0 && argc == 3) {
		char *ask[] = {argv[2], "--help", NULL};
		return run_command(argv[2], 2, ask);
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
		strcmp(argv[1], "help") == 0) {
		print_help(stdout);
		return EXIT_DONE;
	}
	return run_command(argv[1], argc - 1, argv + 1);
}

int
main(int argc, char **argv)
{
	/* A reader that has seen enough (head, less) is no failure: writes then say EPIPE. */
	signal(SIGPIPE, SIG_IGN);
	int status = dispatch(argc, argv);
	errno = 0;
	if ((fflush(stdout) != 0 || ferror(stdout)) && errno != EPIPE) {
		fprintf(stderr, "penstock: standard output: %s\n",
			errno ? strerror(errno) : "a write failed");
		/* Nor may what a command found be taken from an answer that nobody got. */
		if (status != EXIT_USAGE)
			status = EXIT_FINDING;
	}
	return status;
}
