/* The status as a screen for people. Pure: JSON as docs/telemetry.md shows it -> FILE. */
#ifndef PENSTOCK_STATUS_TEXT_H
#define PENSTOCK_STATUS_TEXT_H

#include <jansson.h>
#include <stdio.h>

/* Prints at most top_cnt rules (those that matched most), sessions (those that miss most) and
 * senders (those with most events). */
void status_print(FILE *out, const json_t *status, unsigned top_cnt);

#endif
