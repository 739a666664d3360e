#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "penstock.h"

int
pst_usage_error(const char *command, const char *fmt, ...)
{
	va_list args;
	fprintf(stderr, "penstock%s%s: ", command ? " " : "", command ? command : "");
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\nTry 'penstock%s%s --help'.\n", command ? " " : "",
		command ? command : "");
	return EXIT_USAGE;
}

int
pst_option_error(const char *command, int option, char **argv)
{
	if (option == ':')
		return pst_usage_error(
			command, "an argument is missing after %s", argv[optind - 1]);
	/* A letter may stand in a row of letters; a long name leaves no letter. */
	if (optopt != 0)
		return pst_usage_error(command, "there is no option -%c", optopt);
	return pst_usage_error(command, "there is no option %s", argv[optind - 1]);
}
