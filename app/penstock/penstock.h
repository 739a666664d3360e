/* penstock, the operator's command: one file per subcommand,
 *     int pst_cmd_NAME(int argc, char **argv);
 * where argv[0] is the subcommand's name and argv ends with NULL. Each knows --help. */
#ifndef PENSTOCK_H
#define PENSTOCK_H

/* What every subcommand returns. */
enum {
	EXIT_DONE = 0,
	EXIT_FINDING = 1, /* something was found, or could not be done */
	EXIT_USAGE = 2,   /* the command line is wrong, or the input cannot be read at all */
};

int pst_cmd_cat(int argc, char **argv);
int pst_cmd_loss(int argc, char **argv);
int pst_cmd_repair(int argc, char **argv);
int pst_cmd_rules(int argc, char **argv);
int pst_cmd_status(int argc, char **argv);
int pst_cmd_top(int argc, char **argv);
int pst_cmd_verify(int argc, char **argv);

/* Prints "penstock COMMAND: what" and where help is, to stderr. Returns EXIT_USAGE. command may be
 * NULL. */
int pst_usage_error(const char *command, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The same for what getopt_long did not like; option is what it returned: '?', or ':' (ask for it
 * with a leading ':' in the option string, and set opterr to 0). */
int pst_option_error(const char *command, int option, char **argv);

#endif
