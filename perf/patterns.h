/* A Hyperscan pattern file ("id:/pattern/flags" a line) as the benches scan with it. */
#ifndef PST_PERF_PATTERNS_H
#define PST_PERF_PATTERNS_H

#include <hs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATTERNS_CNT_MAX 20000

static inline _Noreturn void
patterns_die(const char *path, const char *why)
{
	fprintf(stderr, "%s: %s\n", path, why);
	exit(1);
}

/* The database of the file's patterns, in block mode, for a program's whole life; ends the program,
 * saying why, if there is none. Once in a program. */
static inline hs_database_t *
patterns_compile(const char *path)
{
	static char *patterns[PATTERNS_CNT_MAX];
	static unsigned flags[PATTERNS_CNT_MAX], ids[PATTERNS_CNT_MAX];
	char line[4096];
	unsigned cnt = 0;
	hs_database_t *db;
	hs_compile_error_t *error;
	FILE *f = fopen(path, "r");

	if (!f)
		patterns_die(path, "cannot be opened");
	while (fgets(line, sizeof(line), f) && cnt < PATTERNS_CNT_MAX) {
		char *from = strchr(line, '/'), *to = strrchr(line, '/');
		if (!from || to == from)
			continue;
		ids[cnt] = (unsigned)atoi(line);
		flags[cnt] = HS_FLAG_SINGLEMATCH | (strchr(to, 'i') ? HS_FLAG_CASELESS : 0);
		patterns[cnt++] = strndup(from + 1, (size_t)(to - from - 1));
	}
	fclose(f);
	if (hs_compile_multi((const char *const *)patterns, flags, ids, cnt, HS_MODE_BLOCK, NULL,
		    &db, &error) != HS_SUCCESS)
		patterns_die(path, error->message);
	return db;
}

#endif
