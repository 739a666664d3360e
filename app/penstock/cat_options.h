/* The command line of penstock cat. */
#ifndef PENSTOCK_CAT_OPTIONS_H
#define PENSTOCK_CAT_OPTIONS_H

#include <stdbool.h>

#include "data_dirs.h"
#include "start.h"

struct cat_options {
	struct data_dirs dirs;
	const char *topic;
	int64_t partition; /* -1: all */
	struct start start;
	uint64_t count; /* UINT64_MAX: no limit */
	bool follow;
	bool json;
};

/* Returns -1 to go on, or the exit status: help was asked for and printed, or something is wrong
 * and was said. *o holds the defaults. */
int cat_options_parse(int argc, char **argv, struct cat_options *o);

#endif
