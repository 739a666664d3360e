/* Lines for the operator, on stderr: "penstockd: warning: text". Thread-safe (one write a line).
 * Never called from the data path's loops: control thread, set-up and command line only. */
#ifndef PST_LOG_H
#define PST_LOG_H

enum pst_log_level {
	PST_LOG_ERROR,
	PST_LOG_WARNING,
	PST_LOG_NOTICE, /* what an operator wants to see of a normal run */
	PST_LOG_DEBUG,  /* hidden unless asked for */
};

/* Name of the program before each line (not copied), and the least severe level shown. */
void pst_log_init(const char *program, enum pst_log_level shown);

void pst_log(enum pst_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define pst_error(...)   pst_log(PST_LOG_ERROR, __VA_ARGS__)
#define pst_warning(...) pst_log(PST_LOG_WARNING, __VA_ARGS__)
#define pst_notice(...)  pst_log(PST_LOG_NOTICE, __VA_ARGS__)
#define pst_debug(...)   pst_log(PST_LOG_DEBUG, __VA_ARGS__)

#endif
