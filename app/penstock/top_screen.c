#include "top_screen.h"

#include <curses.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "penstock.h"
#include "top_poll.h"
#include "top_view.h"

#define LOOK_MS 100 /* how long a key may wait for a new answer to be drawn */

struct screen {
	struct poller *poller;
	struct model model;
	struct page page;
	struct view_head head;
	struct view_state states[VIEW_CNT];
	unsigned view, round;
	char trouble[512];
	bool help, ended;
	int attributes[PAGE_STYLE_CNT];
};

static volatile sig_atomic_t stopped;

static void
on_stop(int sig)
{
	stopped = 1;
}

static void
choose_colors(struct screen *s)
{
	static const short colors[PAGE_STYLE_CNT] = {[PAGE_HEAD] = COLOR_CYAN,
		[PAGE_GOOD] = COLOR_GREEN,
		[PAGE_WARN] = COLOR_YELLOW,
		[PAGE_BAD] = COLOR_RED};
	bool colored = has_colors() && start_color() == OK;

	s->attributes[PAGE_BOLD] = A_BOLD;
	s->attributes[PAGE_DIM] = A_DIM;
	/* Without colors a loss still stands out. */
	s->attributes[PAGE_BAD] = A_BOLD | A_REVERSE;
	s->attributes[PAGE_WARN] = A_BOLD;
	if (!colored)
		return;
	use_default_colors();
	for (short i = 0; i < PAGE_STYLE_CNT; i++) {
		if (colors[i] == 0)
			continue;
		init_pair(i, colors[i], -1);
		s->attributes[i] = COLOR_PAIR(i) | (i == PAGE_BAD ? A_BOLD : 0);
	}
}

static void
draw(struct screen *s)
{
	page_clear(&s->page, COLS > 0 ? (unsigned)COLS : 80, LINES > 0 ? (unsigned)LINES : 24);
	s->head.time = time(NULL);
	s->head.trouble = s->trouble[0] ? s->trouble : NULL;
	if (s->help)
		view_draw_help(&s->page);
	else
		view_draw(&s->page, &s->model, &s->head, s->view, &s->states[s->view]);
	erase();
	for (unsigned i = 0; i < s->page.line_cnt; i++) {
		const struct page_line *line = &s->page.lines[i];
		for (unsigned c = 0; c < line->used; c++) {
			attrset(s->attributes[line->style[c]]);
			mvaddch((int)i, (int)c, (chtype)line->text[c]);
		}
	}
	attrset(0);
	refresh();
}

/* ---- keys ---- */

static void
set_delay(struct screen *s, double delay_s)
{
	if (delay_s < TOP_DELAY_S_MIN)
		delay_s = TOP_DELAY_S_MIN;
	if (delay_s > TOP_DELAY_S_MAX)
		delay_s = TOP_DELAY_S_MAX;
	s->head.delay_s = delay_s;
	poller_set(s->poller, delay_s, s->head.paused);
}

static void
type_delay(struct screen *s)
{
	char text[16] = "", *end;

	mvprintw(LINES - 1, 0, "seconds between two screens (now %g): ", s->head.delay_s);
	clrtoeol();
	echo();
	curs_set(1);
	timeout(-1);
	int rc = getnstr(text, sizeof(text) - 1);
	timeout(LOOK_MS);
	curs_set(0);
	noecho();
	double value = strtod(text, &end);
	if (rc == OK && end != text && *end == '\0' && value > 0)
		set_delay(s, value);
}

static void
move_rows(struct screen *s, int by)
{
	struct view_state *state = &s->states[s->view];
	if (by < 0 && (unsigned)-by > state->first)
		state->first = 0;
	else
		state->first += (unsigned)by;
}

static void
sort_by(struct screen *s, int step)
{
	struct view_state *state = &s->states[s->view];
	int cnt = (int)view_column_cnt(s->view);
	int column = view_sort_column(s->view, state) + step;

	if (cnt > 0)
		state->sort = column < 0 ? 0 : column >= cnt ? cnt - 1 : column;
}

/* Keys that move through a list, or order it. False: not one of them. */
static bool
list_key(struct screen *s, int key)
{
	struct view_state *state = &s->states[s->view];

	switch (key) {
	case KEY_UP:
	case 'k':
		move_rows(s, -1);
		return true;
	case KEY_DOWN:
	case 'j':
		move_rows(s, 1);
		return true;
	case KEY_PPAGE:
		move_rows(s, -(LINES - 8));
		return true;
	case KEY_NPAGE:
		move_rows(s, LINES - 8);
		return true;
	case KEY_HOME:
		state->first = 0;
		return true;
	case KEY_END:
		state->first = UINT32_MAX / 2;
		return true;
	case '<':
		sort_by(s, -1);
		return true;
	case '>':
		sort_by(s, 1);
		return true;
	case 'R':
		state->reverse = !state->reverse;
		return true;
	case '0':
		*state = (struct view_state){.sort = -1};
		return true;
	default:
		return false;
	}
}

static void
on_key(struct screen *s, int key)
{
	if (s->help && key != 'q' && key != KEY_RESIZE) {
		s->help = false;
		return;
	}
	if (key >= '1' && key < '1' + VIEW_CNT) {
		s->view = (unsigned)(key - '1');
		return;
	}
	if (list_key(s, key))
		return;
	switch (key) {
	case 'q':
	case 'Q':
	case KEY_F(10):
		s->ended = true;
		break;
	case 'h':
	case '?':
	case KEY_F(1):
		s->help = true;
		break;
	case '\t':
	case KEY_RIGHT:
		s->view = (s->view + 1) % VIEW_CNT;
		break;
	case KEY_BTAB:
	case KEY_LEFT:
		s->view = (s->view + VIEW_CNT - 1) % VIEW_CNT;
		break;
	case '+':
		set_delay(s, s->head.delay_s + (s->head.delay_s < 1 ? 0.1 : 1));
		break;
	case '-':
		set_delay(s, s->head.delay_s - (s->head.delay_s <= 1 ? 0.1 : 1));
		break;
	case 'd':
	case 's':
		type_delay(s);
		break;
	case ' ':
		s->head.paused = !s->head.paused;
		poller_set(s->poller, s->head.delay_s, s->head.paused);
		break;
	case 'r':
		poller_kick(s->poller);
		break;
	case 'L' - '@':
		redrawwin(stdscr);
		break;
	default:
		break;
	}
}

/* ---- */

/* True: there is something new to be shown. */
static bool
take(struct screen *s)
{
	unsigned round = s->round;
	json_t *answer = poller_take(s->poller, s->trouble, sizeof(s->trouble), &s->round);

	if (answer)
		model_take(&s->model, answer, time(NULL));
	return round != s->round;
}

/* Not everyone whose terminal goes gets a SIGHUP; curses then has no key, at once, for ever. */
static bool
terminal_is_gone(void)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&in, 1, 0) > 0 && (in.revents & (POLLHUP | POLLERR | POLLNVAL));
}

static void
loop(struct screen *s)
{
	draw(s);
	while (!s->ended && !stopped) {
		int key = getch();
		if (key == ERR && terminal_is_gone())
			break;
		bool changed = take(s);
		if (key != ERR)
			on_key(s, key);
		if (changed || key != ERR)
			draw(s);
	}
}

static void
catch_signals(void)
{
	const struct sigaction action = {.sa_handler = on_stop};

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

int
screen_run(const char *prefix, double delay_s)
{
	static struct screen s;

	s.head = (struct view_head){.prefix = prefix, .delay_s = delay_s};
	for (unsigned i = 0; i < VIEW_CNT; i++)
		s.states[i].sort = -1;
	setlocale(LC_ALL, "");
	SCREEN *terminal = newterm(NULL, stdout, stdin);
	if (!terminal) {
		const char *name = getenv("TERM");
		fprintf(stderr,
			"penstock top: the terminal '%s' is not known: set TERM, or use --batch\n",
			name ? name : "");
		return EXIT_FINDING;
	}
	catch_signals();
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	set_escdelay(50);
	curs_set(0);
	timeout(LOOK_MS);
	choose_colors(&s);
	s.poller = poller_start(prefix, delay_s);
	if (s.poller)
		loop(&s);
	endwin();
	delscreen(terminal);
	if (!s.poller) {
		fputs("penstock top: no memory or no thread\n", stderr);
		return EXIT_FINDING;
	}
	poller_stop(s.poller);
	model_fini(&s.model);
	return EXIT_DONE;
}
