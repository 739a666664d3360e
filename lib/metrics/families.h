/* The metrics: each one a line of a table, with what writes its samples. */
#ifndef PST_FAMILIES_H
#define PST_FAMILIES_H

#include "metrics/exposition.h"
#include "metrics/observation.h"

struct pst_family {
	const char *name;
	enum pst_metric_type type;
	/* Writes all samples; offset is that of the field it shows, in the struct it knows. */
	void (*write)(struct pst_exposition *x, const struct pst_observation *o, size_t offset);
	size_t offset;
	const char *help;
};

struct pst_families {
	const struct pst_family *families;
	uint32_t cnt;
};

extern const struct pst_families pst_families_books;  /* books.c */
extern const struct pst_families pst_families_ledger; /* ledger.c: its keeper */
extern const struct pst_families pst_families_lcores; /* lcores.c: rx and writers */
extern const struct pst_families pst_families_logs;   /* logs.c: streams on disk */
extern const struct pst_families pst_families_ports;  /* ports.c: ports, kernel path */
extern const struct pst_families pst_families_daemon; /* daemon.c: what runs, rules, clock */

/* All of them. */
void pst_families_write(struct pst_exposition *x, const struct pst_observation *o);

/* Label values; PST_QUEUE_LABEL bytes hold any queue's. */
#define PST_QUEUE_LABEL 48
const char *pst_label_listener(const struct pst_observation *o, uint16_t listener_idx);
const char *pst_label_queue(
	const struct pst_observation *o, uint16_t queue_idx, char text[PST_QUEUE_LABEL]);

static inline uint64_t
pst_word_at(const void *base, size_t offset)
{
	uint64_t word;
	memcpy(&word, (const char *)base + offset, sizeof(word));
	return word;
}

static inline uint32_t
pst_half_at(const void *base, size_t offset)
{
	uint32_t half;
	memcpy(&half, (const char *)base + offset, sizeof(half));
	return half;
}

#endif
