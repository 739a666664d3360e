/* A page of text with styles, as penstock top shows it. Pure: ncurses draws it, batch mode prints
 * it. What does not fit into the width, or beyond the last line, is cut. */
#ifndef PENSTOCK_TOP_PAGE_H
#define PENSTOCK_TOP_PAGE_H

#include <stdint.h>
#include <stdio.h>

#define PAGE_COLUMNS_MAX 320
#define PAGE_LINES_MAX   200

enum page_style {
	PAGE_PLAIN,
	PAGE_HEAD, /* heads of tables */
	PAGE_BOLD,
	PAGE_GOOD,
	PAGE_WARN,
	PAGE_BAD,
	PAGE_DIM,
	PAGE_STYLE_CNT
};

struct page_line {
	char text[PAGE_COLUMNS_MAX];
	uint8_t style[PAGE_COLUMNS_MAX];
	unsigned used; /* columns */
};

struct page {
	unsigned width, height; /* of the terminal */
	unsigned line, column;  /* where the next text goes */
	unsigned right;         /* first column that it may not use */
	unsigned line_cnt;      /* used */
	struct page_line lines[PAGE_LINES_MAX];
};

/* Empties the page; width and height are cut to what it can hold. */
void page_clear(struct page *page, unsigned width, unsigned height);

/* The next text goes there. */
void page_at(struct page *page, unsigned line, unsigned column);

/* To the beginning of the next line. */
void page_next(struct page *page);

/* Text at the cursor, which moves behind it. ASCII; any other byte is shown as '?'. */
void page_put(struct page *page, enum page_style style, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* "[|||||     ]", width columns in all, filled to share (0 to 1). */
void page_bar(struct page *page, unsigned width, double share, enum page_style style);

/* Its text, a line each, without styles. */
void page_print(FILE *out, const struct page *page);

/* "0", "17", "12.3k", "1.23M", "4.56G": at most 5 characters below 10^15. */
#define PAGE_NUMBER_BYTES 16
void page_number(char *out, double value);

#endif
