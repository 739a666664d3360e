/* Compiling in a child process.
 *
 * hs_compile cannot be interrupted, and a short pattern can keep it busy for minutes or take all
 * memory. So a fork compiles under limits and sends the serialized database through a pipe. */
#ifndef PST_RULES_COMPILE_H
#define PST_RULES_COMPILE_H

#include <hs/hs.h>
#include <stddef.h>
#include <stdint.h>

struct pst_rules_compile_job {
	const char *const *patterns;
	const unsigned *flags;
	const unsigned *ids;
	const hs_expr_ext_t *const *exts;
	unsigned cnt;
};

struct pst_rules_compile_limits {
	uint64_t cpu_s;
	uint64_t bytes; /* beyond what the process has mapped */
	uint64_t wall_ms;
};

enum pst_rules_compile_status {
	PST_RULES_COMPILED,
	PST_RULES_COMPILE_REFUSED, /* by Hyperscan: expression and text */
	PST_RULES_COMPILE_CPU,     /* a limit was reached */
	PST_RULES_COMPILE_MEMORY,
	PST_RULES_COMPILE_WALL,
	PST_RULES_COMPILE_CRASHED, /* signal_number; 0: ended without a result */
	PST_RULES_COMPILE_SYSTEM,  /* no pipe, no child ...: error_number */
};

struct pst_rules_compile_result {
	enum pst_rules_compile_status status;
	int expression; /* index in the job; -1: not known */
	int signal_number;
	int error_number;
	char text[256];
	uint8_t *bytes; /* hs_serialize_database's; the caller frees them */
	size_t len;
};

/* Runs the job to its end, one of its limits, or its death. Fills *result in every case. Blocks;
 * control thread only. */
void pst_rules_compile(const struct pst_rules_compile_job *job,
	const struct pst_rules_compile_limits *limits, struct pst_rules_compile_result *result);

#endif
