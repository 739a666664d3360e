/* Senders as the control side sees them: the tables of all rx lcores as one list, with rates.
 *
 * The control thread collects once a second, so that a rate is that of the last second or so, and
 * no question of a client reaches an lcore. Each lcore's table is copied in one step between two
 * bursts: at any moment its senders and the others are together what it has counted. */
#ifndef PST_SOURCES_H
#define PST_SOURCES_H

#include "pipeline/rx.h"

struct pst_pipeline;

/* A sender of one listener, of all lcores together. */
struct pst_source_row {
	struct pst_addr addr; /* all zero: frames whose source could not be read */
	uint16_t listener_idx;
	uint64_t entered_ns; /* counted since then */
	uint64_t last_seen_ns;
	struct pst_source_count count;
	uint64_t events_per_s, bytes_per_s; /* between the last two collections */
};

struct pst_sources_page {
	uint64_t generation; /* of the collection; 0: none yet */
	uint64_t taken_ns;
	uint32_t total; /* senders there are */
	uint64_t left_cnt;
	struct pst_source_count kept;                             /* sum of all rows */
	struct pst_source_count others;                           /* sum of those that left */
	struct pst_source_count others_of[PST_LISTENERS_MAX + 1]; /* by listener, none the last */
};

struct pst_sources;

/* Control thread, before start and after stop. NULL: no memory. */
struct pst_sources *pst_sources_create(const struct pst_profile *profile);
void pst_sources_destroy(struct pst_sources *sources);
uint64_t pst_sources_bytes(const struct pst_profile *profile); /* what create allocates */

/* Control thread: collects. 0, or -ETIMEDOUT: an lcore does not answer, and the list stays. */
int pst_pipeline_collect_sources(struct pst_pipeline *pipeline);

/* Any thread: rows first .. of the last collection, most events first. Returns rows filled. */
uint32_t pst_pipeline_sources(struct pst_pipeline *pipeline, uint32_t first,
	struct pst_source_row *rows, uint32_t cap, struct pst_sources_page *page);

#endif
