/* Lines for the operator, on stderr: "penstockd: warning: text". Where stderr is the journal's
 * (JOURNAL_STREAM names it), "<4>text": the journal knows the program and keeps the severity.
 *
 * Thread-safe (one write a message). Never called from the data path's loops: control threads,
 * set-up and command line only; test/silent.py looks after that.
 *
 * Once pst_log_limit was called, each place in the source that logs may say so many lines at once
 * and then one an interval; the rest are counted, and said with the next line of that place or by
 * pst_log_tick. */
#ifndef PST_LOG_H
#define PST_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"

enum pst_log_level {
	PST_LOG_ERROR,
	PST_LOG_WARNING,
	PST_LOG_NOTICE, /* what an operator wants to see of a normal run */
	PST_LOG_DEBUG,  /* hidden unless asked for */
};

/* A place that logs: a token bucket. Zero at start; the library's own, under its mutex. */
struct pst_log_site {
	struct pst_log_site *next; /* of all that had to leave out lines */
	uint64_t refilled_ns;      /* 0: never used */
	uint32_t tokens;
	uint32_t left_out_cnt;
	bool listed;
	enum pst_log_level level; /* of the last line left out, and its beginning */
	char left_out[120];
};

/* Name of the program before each line (not copied), and the least severe level shown. */
void pst_log_init(const char *program, enum pst_log_level shown);

/* From now on: burst lines at once and one each interval_ns, for each place; 0: no limit. */
void pst_log_limit(uint32_t burst, uint64_t interval_ns);

/* Says of places that have a line to spare again how many they left out. Control thread, now and
 * then. */
void pst_log_tick(void);

/* Lines of one message are separated by \n; text ends without one. */
void pst_log_from(struct pst_log_site *site, enum pst_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A mistake of the user's, as pst_diag_print has it. */
void pst_log_diag(enum pst_log_level level, const struct pst_diag *diag);

#define pst_log(level, ...)                                                                        \
	do {                                                                                       \
		static struct pst_log_site pst_log_here;                                           \
		pst_log_from(&pst_log_here, level, __VA_ARGS__);                                   \
	} while (0)

#define pst_error(...)   pst_log(PST_LOG_ERROR, __VA_ARGS__)
#define pst_warning(...) pst_log(PST_LOG_WARNING, __VA_ARGS__)
#define pst_notice(...)  pst_log(PST_LOG_NOTICE, __VA_ARGS__)
#define pst_debug(...)   pst_log(PST_LOG_DEBUG, __VA_ARGS__)

/* An error of a process that ends now, past every lock and limit: whoever holds them may be who
 * failed. Takes no memory; may be called by a signal's handler. */
void pst_log_last_words(const char *text);

/* For tests: whether the place may say one more line now. Takes it. */
bool pst_log_admit(struct pst_log_site *site, uint64_t now_ns);

#endif
