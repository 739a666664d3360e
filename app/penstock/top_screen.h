/* The interactive half of penstock top: ncurses, keys. */
#ifndef PENSTOCK_TOP_SCREEN_H
#define PENSTOCK_TOP_SCREEN_H

#define TOP_DELAY_S_MIN 0.1
#define TOP_DELAY_S_MAX 3600.0

/* Runs until a key or a signal ends it. Returns an exit status. */
int screen_run(const char *prefix, double delay_s);

#endif
