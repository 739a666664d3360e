/* The profile as libcyaml loads it: every key once, numbers still text.
 *
 * Keys, types and nesting are in schema.c; what the values may be is judged in the other files of
 * this library. An absent optional key is NULL, false, 0 or an empty list. */
#ifndef PST_PROFILE_SCHEMA_H
#define PST_PROFILE_SCHEMA_H

#include <cyaml/cyaml.h>

#include "profile/profile.h"

struct pst_raw_port {
	char *name, *interface, *pci, *vdev;
	char *queues, *descriptors;
	int checksum; /* 0: not given; else enum pst_checksum + 1 */
	bool promiscuous;
};

struct pst_raw_listener {
	char *name;
	char **addresses;
	uint32_t address_cnt;
	char *port;
	int framing; /* enum pst_framing */
	char *stream;
	int default_action; /* 0: keep; 1: drop */
	char **allow;
	uint32_t allow_cnt;
};

#define PST_RAW_HEADER_TS_NS 1
#define PST_RAW_HEADER_RULES 2
#define PST_RAW_SEAL_SHA256  0 /* the default */
#define PST_RAW_SEAL_NONE    1

struct pst_raw_stream {
	char *name;
	char *segment_bytes, *segment_age, *retain_bytes, *retain_age;
	int on_failure;   /* enum pst_on_failure */
	uint32_t headers; /* PST_RAW_HEADER_... */
	int seal;         /* PST_RAW_SEAL_... */
};

struct pst_raw_data {
	int when_full; /* enum pst_when_full */
	char *reserve;
	char *dir;
	char **dirs;
	uint32_t dir_cnt;
	char *retain_bytes;
};

struct pst_raw_cores {
	char *main;
	char **rx;
	uint32_t rx_cnt;
	char **writers;
	uint32_t writer_cnt;
};

struct pst_raw_memory {
	char *size;
	bool no_huge;
};

struct pst_raw_rules {
	char *file, *cache, *compile_cpu, *compile_memory;
};

struct pst_raw_batch {
	char *bytes, *records, *age, *buffers, *lz4_acceleration;
};

struct pst_raw_flush {
	char *bytes, *age;
};

struct pst_raw_sessions {
	char *max, *gaps;
};

struct pst_raw_sources {
	char *max;
};

struct pst_raw_kernel_path {
	char *receive_buffer;
};

struct pst_raw_quarantine {
	char *rate, *bytes, *retain_bytes, *retain_age;
	int on_failure; /* 0: not given; else enum pst_on_failure + 1 */
};

struct pst_raw_ledger {
	char *interval, *retain_bytes, *retain_age;
};

struct pst_raw_telemetry {
	char *prefix;
};

struct pst_raw_metrics {
	char *address, *port;
};

struct pst_raw_profile {
	char *name;
	int idle; /* enum pst_idle */
	struct pst_raw_port *ports;
	uint32_t port_cnt;
	struct pst_raw_listener *listeners;
	uint32_t listener_cnt;
	struct pst_raw_stream *streams;
	uint32_t stream_cnt;
	struct pst_raw_data data;
	struct pst_raw_cores cores;
	struct pst_raw_memory memory;
	struct pst_raw_rules rules;
	struct pst_raw_batch batch;
	struct pst_raw_flush flush;
	struct pst_raw_sessions sessions;
	struct pst_raw_sources sources;
	struct pst_raw_kernel_path kernel_path;
	struct pst_raw_quarantine quarantine;
	struct pst_raw_ledger ledger;
	struct pst_raw_telemetry telemetry;
	struct pst_raw_metrics metrics;
};

extern const cyaml_schema_value_t pst_profile_schema;

#endif
