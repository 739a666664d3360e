#include "table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "text.h"

#define GAP 2 /* spaces between columns */

void
table_init(struct table *table, const struct column *columns, unsigned column_cnt)
{
	*table = (struct table){.columns = columns, .column_cnt = column_cnt};
}

static void
add_cell(struct table *table, char *cell)
{
	if (table->cell_cnt == table->cell_cap) {
		unsigned cap = table->cell_cap ? 2 * table->cell_cap : 64;
		char **cells = realloc(table->cells, cap * sizeof(*cells));
		if (!cells) {
			free(cell);
			return;
		}
		table->cells = cells;
		table->cell_cap = cap;
	}
	table->cells[table->cell_cnt++] = cell;
}

void
table_text(struct table *table, const char *fmt, ...)
{
	char *cell = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&cell, fmt, args) < 0)
		cell = NULL;
	va_end(args);
	add_cell(table, cell);
}

static char *
safe_text(const char *text, size_t left)
{
	const uint8_t *at = (const uint8_t *)text;
	size_t used = 0;
	char *safe = malloc(4 * left + 1);

	while (safe && left > 0) {
		uint32_t c;
		unsigned len = text_utf8(at, left, &c);
		if (len == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0)) {
			len = len ? len : 1;
			for (unsigned i = 0; i < len; i++)
				used += (size_t)sprintf(safe + used, "\\x%02x", at[i]);
		} else {
			memcpy(safe + used, at, len);
			used += len;
		}
		at += len;
		left -= len;
	}
	if (safe)
		safe[used] = '\0';
	return safe;
}

static json_int_t
sum(const json_t *numbers)
{
	json_int_t total = 0;
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)numbers, name, value)
	{
		total += json_integer_value(value);
	}
	return total;
}

char *
table_value(const json_t *value)
{
	char *text = NULL;

	if (json_is_string(value))
		return safe_text(json_string_value(value), json_string_length(value));
	if (!json_is_integer(value) && !json_is_object(value))
		return strdup("-");
	json_int_t number = json_is_object(value) ? sum(value) : json_integer_value(value);
	return asprintf(&text, "%" JSON_INTEGER_FORMAT, number) < 0 ? NULL : text;
}

void
table_member(struct table *table, const json_t *row, const char *member)
{
	const char *dot = strchr(member, '.');

	if (dot) {
		row = json_object_getn(row, member, (size_t)(dot - member));
		member = dot + 1;
	}
	add_cell(table, table_value(json_object_get(row, member)));
}

void
table_row(struct table *table, const json_t *row)
{
	for (unsigned c = 0; c < table->column_cnt; c++) {
		const struct column *column = &table->columns[c];
		if (column->cell)
			column->cell(table, row);
		else if (column->member)
			table_member(table, row, column->member);
		else
			table_text(table, "%s", "");
	}
}

/* Characters, as far as a terminal gives each one place. */
static int
width(const char *text)
{
	int cnt = 0;
	for (; *text; text++)
		cnt += ((unsigned char)*text & 0xc0) != 0x80;
	return cnt;
}

static const char *
head_of(const struct column *column)
{
	return column->head + (column->head[0] == '>');
}

static void
print_cell(FILE *out, const struct table *table, unsigned c, const char *text, int cell_width)
{
	bool right = table->columns[c].head[0] == '>';
	int pad = cell_width - width(text);

	/* No spaces at the end of a line. */
	if (c + 1 == table->column_cnt)
		fprintf(out, "%*s%s\n", right ? pad : 0, "", text);
	else
		fprintf(out, "%*s%s%*s", right ? pad : 0, "", text, (right ? 0 : pad) + GAP, "");
}

void
table_print(FILE *out, struct table *table)
{
	int widths[TABLE_COLUMNS_MAX] = {0};

	PST_ASSERT(table->column_cnt <= TABLE_COLUMNS_MAX);
	for (unsigned i = 0; i < table->cell_cnt; i++) {
		unsigned c = i % table->column_cnt;
		int head_width = width(head_of(&table->columns[c]));
		int cell_width = table->cells[i] ? width(table->cells[i]) : 1;
		widths[c] = head_width > widths[c] ? head_width : widths[c];
		widths[c] = cell_width > widths[c] ? cell_width : widths[c];
	}
	for (unsigned c = 0; c < table->column_cnt && table->cell_cnt > 0; c++)
		print_cell(out, table, c, head_of(&table->columns[c]), widths[c]);
	for (unsigned i = 0; i < table->cell_cnt; i++) {
		unsigned c = i % table->column_cnt;
		print_cell(out, table, c, table->cells[i] ? table->cells[i] : "?", widths[c]);
		free(table->cells[i]);
	}
	free(table->cells);
	table_init(table, table->columns, table->column_cnt);
}
