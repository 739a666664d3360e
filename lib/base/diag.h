/* A mistake of the user's in a file that we read: where it is, what is wrong, what cures it.
 * Printed as
 *     profile.yaml:12: listeners[1].port: 70000 is not a UDP port
 *         remedy: give a number from 1 to 65535
 */
#ifndef PST_DIAG_H
#define PST_DIAG_H

#include <stdio.h>

struct pst_diag {
	char file[256];
	unsigned line; /* 1-based; 0: no line applies (a missing file, say) */
	char key[160]; /* path of the key as in "listeners[1].port"; "" if none applies */
	char text[384];
	char remedy[384];
};

/* Fills *diag; fmt is the text. file, key and remedy may be NULL. Always returns -1, so that a
 * caller can say `return pst_diag_set(...)`. */
int pst_diag_set(struct pst_diag *diag, const char *file, unsigned line, const char *key,
	const char *remedy, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

void pst_diag_print(FILE *out, const struct pst_diag *diag);

#endif
