#include <stdlib.h>
#include <string.h>

#include "table.h"
#include "top_view.h"

struct row {
	const json_t *now, *before;
	double number;
	const char *text;
	size_t place; /* as it came */
};

static const json_t *
member(const json_t *row, const char *path)
{
	return row ? json_object_get(row, path) : NULL;
}

static double
value_of(const struct model *model, const struct row *row, const struct table_column *column)
{
	double running;

	switch (column->kind) {
	case TABLE_TEXT:
		return 0;
	case TABLE_COUNT:
	case TABLE_MS:
		return model_number(row->now, column->path);
	case TABLE_RATE:
		return model_rate(model, row->now, row->before, column->path);
	case TABLE_SHARE:
		running = model_rate(model, row->now, row->before, "running_ns");
		return running > 0
			       ? model_rate(model, row->now, row->before, column->path) / running
			       : 0;
	case TABLE_FILL:
		return model_number(row->now, "size") > 0
			       ? model_number(row->now, "used") / model_number(row->now, "size")
			       : 0;
	}
	return 0;
}

static int
most_first(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? 1 : -1;
	int order = x->text && y->text ? strcmp(x->text, y->text) : 0;
	return order ? order : (x->place > y->place) - (x->place < y->place);
}

/* The rows in the order wanted; to be freed. */
static struct row *
sorted(const struct model *model, const struct table_view *view, const struct view_state *state,
	size_t *cnt)
{
	const json_t *now = member(model->now, view->rows), *before;
	char path[64];
	snprintf(path, sizeof(path), "%s", view->rows);
	char *dot = strchr(path, '.');
	if (dot) {
		*dot = '\0';
		now = member(member(model->now, path), dot + 1);
		before = member(member(model->before, path), dot + 1);
	} else {
		before = member(model->before, path);
	}
	*cnt = json_array_size(now);
	struct row *rows = calloc(*cnt + 1, sizeof(*rows));
	if (!rows) {
		*cnt = 0;
		return NULL;
	}
	int sort = state && state->sort >= 0 ? state->sort : view->sort;
	for (size_t i = 0; i < *cnt; i++) {
		rows[i].now = json_array_get(now, i);
		rows[i].before = model_row_before(before, i, rows[i].now, view->keys);
		rows[i].place = i;
		if (sort >= 0) {
			const struct table_column *column = &view->columns[sort];
			rows[i].number = value_of(model, &rows[i], column);
			if (column->kind == TABLE_TEXT)
				rows[i].text = json_string_value(member(rows[i].now, column->path));
		}
	}
	if (sort >= 0)
		qsort(rows, *cnt, sizeof(*rows), most_first);
	if (state && state->reverse)
		for (size_t i = 0; i < *cnt / 2; i++) {
			struct row swap = rows[i];
			rows[i] = rows[*cnt - 1 - i];
			rows[*cnt - 1 - i] = swap;
		}
	return rows;
}

static unsigned
width_of(const struct table_view *view, const struct table_column *column, unsigned room)
{
	unsigned taken = 0;

	if (column->width)
		return column->width;
	for (unsigned i = 0; i < view->column_cnt; i++)
		taken += view->columns[i].width + 1;
	return room > taken ? room - taken : 1;
}

static void
draw_heads(struct page *page, const struct table_view *view, int sort, unsigned left)
{
	unsigned room = page->right - left;

	for (unsigned i = 0; i < view->column_cnt; i++) {
		const struct table_column *column = &view->columns[i];
		int width = (int)width_of(view, column, room);
		page_put(page, (int)i == sort ? PAGE_BOLD : PAGE_HEAD,
			column->kind == TABLE_TEXT ? "%-*.*s" : "%*.*s", width, width,
			column->head);
		page_put(page, PAGE_HEAD, " ");
	}
}

static void
draw_cell(struct page *page, const struct model *model, const struct row *row,
	const struct table_column *column, unsigned width)
{
	char number[PAGE_NUMBER_BYTES];
	double value = value_of(model, row, column);
	char *text;

	switch (column->kind) {
	case TABLE_TEXT:
		text = table_value(member(row->now, column->path));
		page_put(page, PAGE_PLAIN, "%-*.*s", (int)width, (int)width, text ? text : "?");
		free(text);
		return;
	case TABLE_COUNT:
		/* Whole, if it fits. */
		if (snprintf(number, sizeof(number), "%.0f", value) > (int)width)
			page_number(number, value);
		page_put(page, PAGE_PLAIN, "%*s", (int)width, number);
		return;
	case TABLE_RATE:
		page_number(number, value);
		page_put(page, value > 0 ? PAGE_PLAIN : PAGE_DIM, "%*s", (int)width, number);
		return;
	case TABLE_SHARE:
		page_put(page, value > 0.9 ? PAGE_WARN : PAGE_PLAIN, "%*.1f%%", (int)width - 1,
			value * 100);
		return;
	case TABLE_FILL:
		page_bar(page, width, value,
			value > 0.9   ? PAGE_BAD
			: value > 0.5 ? PAGE_WARN
				      : PAGE_GOOD);
		return;
	case TABLE_MS:
		page_put(page, PAGE_PLAIN, "%*.3g", (int)width, value / 1e6);
		return;
	}
}

unsigned
table_draw(struct page *page, const struct model *model, const struct table_view *view,
	const struct view_state *state, unsigned row_cnt, bool skip_zero)
{
	size_t cnt;
	struct row *rows = sorted(model, view, state, &cnt);
	unsigned left = page->column, line = page->line, drawn = 0, shown = 0;
	unsigned first = state ? state->first : 0;
	int sort = state && state->sort >= 0 ? state->sort : view->sort;

	draw_heads(page, view, state ? sort : -1, left);
	for (size_t i = 0; i < cnt; i++) {
		if (skip_zero && rows[i].number == 0)
			continue;
		shown++;
		if (shown <= first || drawn == row_cnt)
			continue;
		page_at(page, line + 1 + drawn++, left);
		for (unsigned c = 0; c < view->column_cnt; c++) {
			const struct table_column *column = &view->columns[c];
			draw_cell(page, model, &rows[i], column,
				width_of(view, column, page->right - left));
			page_put(page, PAGE_PLAIN, " ");
		}
	}
	if (shown == 0 && row_cnt > 0) {
		page_at(page, line + 1, left);
		page_put(page, PAGE_DIM, "%s", view->empty);
		drawn = 1;
	}
	page_at(page, line + 1 + drawn, left);
	free(rows);
	return shown;
}
