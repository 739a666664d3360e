/* The screens of penstock top, as pages. Pure. */
#ifndef PENSTOCK_TOP_VIEW_H
#define PENSTOCK_TOP_VIEW_H

#include "top_model.h"
#include "top_page.h"

#define VIEW_CNT 9 /* the overview and eight lists; keys 1 to 9 */

/* How a list is shown; each view keeps its own. */
struct view_state {
	int sort;       /* column; -1: the view's own choice */
	bool reverse;   /* least first */
	unsigned first; /* row shown first; cut to what there is when drawn */
};

struct view_head {
	const char *prefix;
	const char *trouble; /* why there is no new answer; NULL: there is one */
	time_t time;
	double delay_s;
	bool paused;
};

const char *view_name(unsigned view);
unsigned view_column_cnt(unsigned view); /* 0 for the overview */
int view_sort_column(unsigned view, const struct view_state *state);

/* Draws a view into a page that was cleared to the terminal's size; without the last line's keys.
 */
void view_draw_screen(struct page *page, const struct model *model, const struct view_head *head,
	unsigned view, struct view_state *state);

/* The same, and the keys. */
void view_draw(struct page *page, const struct model *model, const struct view_head *head,
	unsigned view, struct view_state *state);

/* The help screen. */
void view_draw_help(struct page *page);

/* top_table.c: one table of rows of model->now, with what the same rows were before. */
enum table_kind {
	TABLE_TEXT,
	TABLE_COUNT,
	TABLE_RATE,
	TABLE_SHARE, /* of time: member grew as "running_ns" did */
	TABLE_FILL,  /* "used" of "size" */
	TABLE_MS,    /* of nanoseconds */
};

struct table_column {
	const char *head;
	enum table_kind kind;
	const char *path;
	unsigned width; /* 0: the rest, or what the text needs (the last text column only) */
};

struct table_view {
	const char *name;
	const char *rows; /* path of an array of model->now */
	const char *const *keys;
	const struct table_column *columns;
	unsigned column_cnt;
	int sort;          /* by this column, most first (text: least first); -1: as they come */
	const char *empty; /* said when there is no row */
};

/* Draws at the page's cursor, between its column and page->right, at most row_cnt rows (and a line
 * of heads), and leaves the cursor below them. sort and reverse as in the state. Rows whose sorting
 * number is 0 are left out if skip_zero. Returns the number of rows that there are. */
unsigned table_draw(struct page *page, const struct model *model, const struct table_view *view,
	const struct view_state *state, unsigned row_cnt, bool skip_zero);

#endif
