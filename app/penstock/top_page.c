#include "top_page.h"

#include <stdarg.h>
#include <string.h>

void
page_clear(struct page *page, unsigned width, unsigned height)
{
	page->width = width < PAGE_COLUMNS_MAX ? width : PAGE_COLUMNS_MAX;
	page->height = height < PAGE_LINES_MAX ? height : PAGE_LINES_MAX;
	page->right = page->width;
	page->line = page->column = page->line_cnt = 0;
	for (unsigned i = 0; i < PAGE_LINES_MAX; i++)
		page->lines[i].used = 0;
}

void
page_at(struct page *page, unsigned line, unsigned column)
{
	page->line = line;
	page->column = column;
}

void
page_next(struct page *page)
{
	page_at(page, page->line + 1, 0);
	if (page->line <= page->height && page->line > page->line_cnt)
		page->line_cnt = page->line;
}

static void
put_char(struct page *page, enum page_style style, char c)
{
	if (page->line >= page->height || page->column >= page->right)
		return;
	struct page_line *line = &page->lines[page->line];
	for (; line->used < page->column; line->used++) {
		line->text[line->used] = ' ';
		line->style[line->used] = PAGE_PLAIN;
	}
	line->text[page->column] = c >= ' ' && c < 0x7f ? c : '?';
	line->style[page->column] = (uint8_t)style;
	page->column++;
	if (line->used < page->column)
		line->used = page->column;
	if (page->line_cnt <= page->line)
		page->line_cnt = page->line + 1;
}

void
page_put(struct page *page, enum page_style style, const char *fmt, ...)
{
	char text[PAGE_COLUMNS_MAX + 1];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	for (const char *c = text; *c; c++)
		put_char(page, style, *c);
}

void
page_bar(struct page *page, unsigned width, double share, enum page_style style)
{
	unsigned inner = width > 2 ? width - 2 : 0;
	double clamped = share < 0 ? 0 : share > 1 ? 1 : share;
	unsigned filled = (unsigned)(clamped * inner + 0.5);

	put_char(page, PAGE_PLAIN, '[');
	for (unsigned i = 0; i < inner; i++)
		put_char(page, style, i < filled ? '|' : ' ');
	put_char(page, PAGE_PLAIN, ']');
}

void
page_print(FILE *out, const struct page *page)
{
	for (unsigned i = 0; i < page->line_cnt; i++) {
		const struct page_line *line = &page->lines[i];
		fprintf(out, "%.*s\n", (int)line->used, line->text);
	}
}

void
page_number(char *out, double value)
{
	static const char units[] = {0, 'k', 'M', 'G', 'T', 'P', 'E'};
	unsigned unit = 0;

	if (value < 0)
		value = 0;
	/* What would be rounded up to 1000 is one of the next unit. */
	while (value >= 999.5 && unit + 1 < sizeof(units)) {
		value /= 1000;
		unit++;
	}
	if (unit == 0)
		snprintf(
			out, PAGE_NUMBER_BYTES, value > 0 && value < 9.95 ? "%.1f" : "%.0f", value);
	else
		snprintf(out, PAGE_NUMBER_BYTES, "%.*f%c",
			value < 9.995   ? 2
			: value < 99.95 ? 1
					: 0,
			value, units[unit]);
}
