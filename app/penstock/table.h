/* A table of text on a FILE: columns as wide as what stands in them, numbers to the right.
 * Names are shown so that none can steer the terminal: control characters as \xNN. */
#ifndef PENSTOCK_TABLE_H
#define PENSTOCK_TABLE_H

#include <jansson.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 16

struct table;

struct column {
	const char *head;   /* begins with '>': a column of numbers */
	const char *member; /* of the row's object, or of one in it: "frames.polled" */
	/* Instead of a member: adds the cell of a row by one call of table_text or table_member. */
	void (*cell)(struct table *table, const json_t *row);
};

struct table {
	const struct column *columns;
	unsigned column_cnt;
	char **cells; /* row by row */
	unsigned cell_cnt, cell_cap;
};

void table_init(struct table *table, const struct column *columns, unsigned column_cnt);

/* The cells of one row. */
void table_row(struct table *table, const json_t *row);

/* The next cell. */
void table_text(struct table *table, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void table_member(struct table *table, const json_t *row, const char *member);

/* Prints heads and rows, unless there is no row, and frees the cells. */
void table_print(FILE *out, struct table *table);

/* A value as text for a terminal: numbers as they are, strings with what could steer it as \xNN,
 * the sum of an object's numbers, "-" for anything else. To be freed; NULL: no memory. */
char *table_value(const json_t *value);

#endif
