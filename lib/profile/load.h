/* Between the files of lib/profile: raw text -> checked values, one concept a file.
 *
 *   profile.c ─▶ data.c ─▶ ports.c ─▶ cores.c ─▶ streams.c ─▶ listeners.c ─▶ limits.c ─▶
 *   metrics.c ─▶ plan.c                               (number.c, host.c: used by all)
 *
 * Each step returns 0, or -1 with load->diag filled; later ones rely on what earlier ones found
 * good. */
#ifndef PST_PROFILE_LOAD_H
#define PST_PROFILE_LOAD_H

#include "profile/schema.h"
#include "yaml/yaml.h"

#define PST_PCI_TEXT 16 /* "0000:00:00.0" and its NUL */

/* What pst_profile_free gets; profile is first. */
struct pst_profile_loaded {
	struct pst_profile profile;
	struct pst_raw_profile *raw;
	char pci[PST_PORTS_MAX][PST_PCI_TEXT];
};

struct pst_load {
	struct pst_profile *profile;
	struct pst_profile_loaded *loaded;
	const struct pst_raw_profile *raw;
	struct pst_diag *diag;
};

/* `return pst_load_fail(...)`: the key's line is looked up. */
#define pst_load_fail(load, key, remedy, ...)                                                      \
	pst_diag_set((load)->diag, pst_yaml_file((load)->profile->lines),                          \
		pst_yaml_line((load)->profile->lines, key), key, remedy, __VA_ARGS__)

/* ---- number.c ---- */

enum pst_number_kind { PST_NUMBER_COUNT, PST_NUMBER_BYTES, PST_NUMBER_DURATION };

struct pst_number {
	enum pst_number_kind kind;
	uint64_t min, max;
	bool zero_too; /* 0 is allowed although it lies below min */
};

/* Text form with the largest unit that divides the value ("64M", "5ms", "65536"); returns buf. */
#define PST_NUMBER_TEXT 32
const char *pst_number_text(char buf[PST_NUMBER_TEXT], enum pst_number_kind kind, uint64_t value);

/* Reads text into *out; NULL: the fallback, unchecked. */
int pst_load_number(struct pst_load *load, const char *key, const char *text,
	const struct pst_number *number, uint64_t fallback, uint64_t *out);

/* ---- names (profile.c) ---- */

/* Whether text is [a-zA-Z0-9_-]{1,32}; fails with *diag if not. */
int pst_load_name(struct pst_load *load, const char *key, const char *text);

/* ---- paths (data.c) ---- */

/* Whether path is a directory, or nothing yet. */
int pst_load_directory(struct pst_load *load, const char *key, const char *path);

/* ---- steps ---- */

int pst_load_data(struct pst_load *load);
int pst_load_ports(struct pst_load *load);
int pst_load_cores(struct pst_load *load); /* and which rx lcore polls which queue */
int pst_load_streams(struct pst_load *load);
int pst_load_listeners(struct pst_load *load);
int pst_load_limits(struct pst_load *load); /* batch, flush, sessions, kernel path, rules, files */
int pst_load_metrics(struct pst_load *load);
int pst_load_plan(struct pst_load *load); /* memory */

/* ---- host.c: what this machine has ---- */

#define PST_CPU_MAX 1024

struct pst_host_cpus {
	bool allowed[PST_CPU_MAX];
	uint16_t first, last; /* allowed */
	unsigned present_cnt; /* configured on the machine: 0 .. present_cnt - 1, as a rule */
};

/* CPUs that this process may run on. Returns 0 or -errno. */
int pst_host_cpus(struct pst_host_cpus *out);
/* "0-3,8" */
void pst_host_cpus_text(const struct pst_host_cpus *cpus, char *buf, size_t cap);

/* Interface index in this network namespace; 0: there is none of that name. */
unsigned pst_host_interface(const char *name);
/* "eth0, lo" */
void pst_host_interfaces_text(char *buf, size_t cap);
/* Whether frames on it come from this kernel, UDP checksums left partial: loopback or veth. */
bool pst_host_interface_is_local(const char *name);

bool pst_host_has_pci(const char *address);

struct pst_host_hugepages {
	uint64_t free_bytes;
	uint64_t page_bytes; /* the size to reserve more of: the smallest; 0: the kernel has none */
	uint64_t page_cnt;   /* reserved of that size now */
};
/* Reads the hugepage directories under root ("/sys/kernel/mm/hugepages"). */
void pst_host_hugepages(const char *root, struct pst_host_hugepages *out);

/* pst_profile_check_memory with another root, for tests. */
int pst_profile_check_memory_at(
	const char *root, const struct pst_profile *profile, struct pst_diag *diag);

#endif
