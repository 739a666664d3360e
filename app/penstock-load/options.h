/* The command line of penstock-load. */
#ifndef PST_LOAD_OPTIONS_H
#define PST_LOAD_OPTIONS_H

#include "event.h"
#include "schedule.h"
#include "sink.h"

struct load_options {
	struct load_plan plan;
	struct load_source source;
	struct load_sink_options sink;
	double rate;      /* events a second; 0: as fast as they can go */
	uint64_t seconds; /* 0: no limit of time */
	bool spin;        /* wait for the next datagram's time without sleeping */
	bool json;
	const char *record; /* file, or NULL */
};

enum load_parsed { LOAD_PARSED_RUN, LOAD_PARSED_HELP, LOAD_PARSED_WRONG };

/* Parses, checks and resolves; reads the file of lines. Says itself what is wrong, on stderr. */
enum load_parsed load_options_parse(int argc, char **argv, struct load_options *out);

void load_options_fini(struct load_options *options);

#endif
