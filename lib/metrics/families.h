/* The metrics: each one a line of a table, with what writes its samples. */
#ifndef PST_FAMILIES_H
#define PST_FAMILIES_H

#include "metrics/exposition.h"
#include "metrics/observation.h"

/* A number in a struct: a bool, or 4 or 8 bytes without a sign. */
struct pst_field {
	uint32_t offset;
	uint32_t bytes;
};
#define PST_FIELD(type, field)                                                                     \
	{                                                                                          \
		offsetof(type, field), sizeof(((const type *)NULL)->field)                         \
	}

/* One of the things that a metric has a sample for. */
#define PST_LABEL_MAX 48
struct pst_row {
	const void *at;           /* its struct; NULL: it has no such numbers, and no sample */
	const char *name;         /* the label's value */
	char text[PST_LABEL_MAX]; /* room for it */
};

/* All of a kind: the label that tells them apart (NULL: there is one, without a label), and each of
 * them by number; false: there are no more. */
struct pst_rows {
	const char *label;
	bool (*get)(const struct pst_observation *o, uint32_t idx, struct pst_row *row);
};

struct pst_family {
	const char *name;
	enum pst_metric_type type;
	/* Writes all samples: pst_write_rows, or what knows more than a field. */
	void (*write)(struct pst_exposition *x, const struct pst_observation *o,
		const struct pst_family *family);
	const char *help;
	const struct pst_rows *rows;
	struct pst_field field; /* of each row */
};

/* A family that is a field of each row; type: COUNTER or GAUGE. */
#define PST_ROWS(rows, row_type, name, type, field, help)                                          \
	{                                                                                          \
		name, PST_METRIC_##type, pst_write_rows, help, rows, PST_FIELD(row_type, field)    \
	}

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

/* A sample for each row; the second one's fields are nanoseconds, and written as seconds. */
void pst_write_rows(
	struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family);
void pst_write_rows_seconds(
	struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family);
uint64_t pst_number_at(const void *row, struct pst_field field);

/* The observation itself, as a single row. */
extern const struct pst_rows pst_rows_whole;
#define PST_WHOLE(...) PST_ROWS(&pst_rows_whole, struct pst_observation, __VA_ARGS__)

/* A label's value. */
const char *pst_label_listener(const struct pst_observation *o, uint32_t listener_idx);

#endif
