/* The program loaded but not attached. For this library and its tests alone. */
#ifndef PST_STEER_PROGRAM_H
#define PST_STEER_PROGRAM_H

#include <stdbool.h>

#include "steer/steer.h"

struct pst_steer_bpf;

struct pst_steer {
	struct pst_steer_bpf *bpf;
	const struct pst_steer_slot *slots; /* mapped read-only; written by the program */
	size_t slots_bytes;
	unsigned slot_cnt;
	int link_fd; /* -1: not attached */
	bool is_native;
};

/* Loads the program with its targets. ifname: whose link-local addresses belong to a wildcard.
 * Freed by pst_steer_free. */
int pst_steer_load(const char *ifname, uint32_t frame_bytes_max,
	const struct pst_steer_target *targets, unsigned target_cnt, struct pst_steer **out,
	struct pst_diag *diag);

int pst_steer_program_fd(const struct pst_steer *steer);
int pst_steer_sockets_fd(const struct pst_steer *steer); /* xsks_map */

/* The keys of the target map: wildcards expanded to local addresses. Allocated; -1 with *diag. */
struct pst_steer_keys {
	struct pst_steer_key *keys; /* duplicates possible */
	unsigned cnt;
	bool any_ipv4, any_ipv6;
};
int pst_steer_keys_make(const char *ifname, const struct pst_steer_target *targets,
	unsigned target_cnt, struct pst_steer_keys *out, struct pst_diag *diag);

#endif
