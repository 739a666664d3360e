/* The profile: file -> checked and derived, const once started.
 *
 * Everything the daemon's behaviour depends on is here and documented in docs/profile.md; no key
 * exists that nothing reads. Strings and arrays belong to the profile and live until
 * pst_profile_free. Sizes in bytes, durations in nanoseconds, after units were applied. */
#ifndef PST_PROFILE_H
#define PST_PROFILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/diag.h"
#include "frame/framing.h"

#define PST_PORTS_MAX     16
#define PST_LISTENERS_MAX 64
#define PST_STREAMS_MAX   65 /* with the quarantine and the ledger */
#define PST_RX_LCORES_MAX 32
#define PST_WRITERS_MAX   16
#define PST_DRIVES_MAX    16                    /* data directories */
#define PST_QUEUES_MAX    64                    /* of all ports together, kernel path included */
#define PST_ADDRESSES_MAX 64                    /* of one listener */
#define PST_ALLOW_MAX     256                   /* prefixes of one listener */
#define PST_NAME_MAX      200                   /* bytes of a stream name, Kafka's rule */
#define PST_QUARANTINE    "penstock.quarantine" /* always there */
#define PST_LEDGER_STREAM "penstock.ledger"     /* always there; partition 0 alone */

/* What the memory plan reckons with, in bytes; who takes it (lib/port, the daemon) asserts that. */
#define PST_PLAN_MBUF_BYTES     2432      /* one packet buffer, headers and all */
#define PST_PLAN_MBUF_PAGE      4096      /* likewise, of AF_XDP or without hugepages: a page */
#define PST_PLAN_BATCH_BYTES    1001024   /* one batch buffer */
#define PST_PLAN_FORWARDS_BYTES (6 << 20) /* an rx lcore's buffers for others' datagrams */
#define PST_PLAN_LEDGER_BATCHES 4         /* batch buffers of the ledger's own */

enum pst_idle { PST_IDLE_ADAPTIVE, PST_IDLE_SPIN };

enum pst_port_kind { PST_PORT_AF_XDP, PST_PORT_PCI, PST_PORT_VDEV };

struct pst_profile_port {
	const char *name; /* [a-zA-Z0-9_-]{1,32}, unique; names the partitions' origin */
	enum pst_port_kind kind;
	const char *device;   /* AF_XDP: interface; PCI: address; VDEV: EAL vdev argument whole */
	uint16_t queue_cnt;   /* rx queues, 1 .. */
	uint16_t rx_desc_cnt; /* power of two; AF_XDP: 2048 .. 4096 */
	enum pst_checksum checksum;
	bool promiscuous;
	uint16_t queue_first_idx; /* derived: index of its queue 0 among all queues */
};

struct pst_profile_listener {
	const char *name;       /* [a-zA-Z0-9_-]{1,32}, unique */
	struct pst_addr *addrs; /* destination addresses; all zero bytes: any IPv6, ::ffff:0.0.0.0:
				   any IPv4 */
	uint16_t addr_cnt;
	uint16_t udp_port;
	enum pst_framing framing;
	uint16_t stream_idx;
	bool default_drop;        /* default action: keep or drop */
	struct pst_prefix *allow; /* sources; none: all */
	uint16_t allow_cnt;
};

/* What is done when a drive is full. */
enum pst_when_full {
	PST_WHEN_FULL_SHED,   /* new events are counted and dropped */
	PST_WHEN_FULL_RETAIN, /* the oldest segments go early; new events only when none is left */
};

/* What a stream does when the drive that holds one of its partitions fails. */
enum pst_on_failure {
	PST_ON_FAILURE_HALT,     /* the daemon drains and ends with status 1 */
	PST_ON_FAILURE_CONTINUE, /* the partition goes on in a new one on another drive */
};

struct pst_profile_stream {
	const char *name;
	enum pst_on_failure on_failure;
	uint64_t segment_bytes_max;  /* 1 MiB .. 1 GiB */
	uint64_t segment_age_max_ns; /* roll of a non-empty segment; 0: never by age */
	uint64_t retain_bytes;       /* per partition; 0: no limit */
	uint64_t retain_age_ns;      /* 0: no limit */
	bool sealed;                 /* hash chain over its segments */
	bool header_ts_ns;           /* add header ts_ns to each record */
	bool header_rules;           /* add header rules (matched ids) */
};

/* One rx queue: polled by exactly one rx lcore, packs into exactly one partition number. */
struct pst_profile_queue {
	uint16_t port_idx;
	uint16_t queue_id;     /* of the port */
	uint16_t rx_lcore_idx; /* derived: queues are dealt to the rx lcores in turn */
};

struct pst_profile {
	const char *file;
	const char *name; /* [a-zA-Z0-9_-]{1,32} */

	const char *data_dirs[PST_DRIVES_MAX]; /* one on each drive */
	uint16_t data_dir_cnt;
	uint64_t data_retain_bytes; /* cap for each data directory; 0: none */
	enum pst_when_full data_when_full;
	uint64_t data_reserve_bytes; /* of each data directory; 0: none */

	uint16_t core_main;                  /* physical CPU of the control thread */
	uint16_t core_rx[PST_RX_LCORES_MAX]; /* one rx lcore each */
	uint16_t rx_lcore_cnt;
	uint16_t core_writer[PST_WRITERS_MAX]; /* one writer lcore each */
	uint16_t writer_cnt;
	enum pst_idle idle;

	uint64_t memory_bytes; /* what EAL takes; default: what the plan needs, in whole 64 MiB */
	bool no_huge;

	struct pst_profile_port *ports;
	uint16_t port_cnt;
	struct pst_profile_queue
		queues[PST_QUEUES_MAX]; /* derived: every (port, queue), ports in order */
	uint16_t queue_cnt;
	struct pst_profile_listener *listeners;
	uint16_t listener_cnt;
	struct pst_profile_stream *streams; /* of the file, in order, then the internal ones */
	uint16_t stream_cnt;
	uint16_t declared_stream_cnt;   /* derived: those of the file, indices 0 .. */
	uint16_t queue_stream_cnt;      /* derived: the first so many have a partition per queue */
	uint16_t quarantine_stream_idx; /* derived: one of those */
	uint16_t ledger_stream_idx;     /* derived: written by the control thread, partition 0 */

	const char
		*rules_file; /* NULL: no rules, every event takes its listener's default action */
	const char *rules_cache; /* directory of compiled databases */
	uint64_t rules_compile_cpu_s_max;
	uint64_t rules_compile_bytes_max;

	uint32_t batch_bytes_max;   /* uncompressed, 64 KiB .. 16 MiB */
	uint32_t batch_records_max; /* 1 .. 1,000,000 */
	uint64_t batch_age_max_ns;
	uint32_t batch_buffer_cnt; /* buffers per rx lcore, open and in flight */
	int lz4_acceleration;      /* 1 .. 65537; 0: no compression */

	uint64_t flush_bytes;  /* fdatasync after this many unsynced bytes ... */
	uint64_t flush_age_ns; /* ... or when the oldest unsynced batch is this old */

	uint32_t session_cnt_max;     /* per rx lcore */
	uint32_t session_gap_cnt_max; /* ranges per session */

	uint32_t source_cnt_max; /* senders counted one by one, per rx lcore */

	uint64_t kernel_rcvbuf_bytes; /* SO_RCVBUFFORCE of each listener's kernel socket */

	uint32_t quarantine_rate;      /* records a second and queue; 0: off */
	uint32_t quarantine_bytes_max; /* raw bytes kept of one frame or event */

	uint64_t ledger_interval_ns; /* of the ledger's records */

	const char *telemetry_prefix; /* DPDK file prefix: <run>/dpdk/<prefix>/dpdk_telemetry.v2 */

	const char *metrics_address;  /* of the HTTP endpoint, as written */
	struct pst_addr metrics_addr; /* the same, read; all zero bytes or ::ffff:0.0.0.0: any */
	uint16_t metrics_port;        /* TCP; 0: there is no endpoint */

	/* Derived: the plan of what the EAL's memory must hold, in bytes. */
	struct {
		uint64_t mbufs, batches, sessions, sources, handoff, eal, total;
		uint32_t mbuf_cnt; /* of each queue's pool */
	} plan;

	struct pst_yaml_lines *lines; /* positions, for messages of later checks */
};

/* Whether both an rx lcore and a writer run on this physical CPU. */
bool pst_profile_cpu_shared(const struct pst_profile *profile, uint16_t cpu);

/* Partitions of a stream: one for each queue, but for the ledger's. */
static inline uint16_t
pst_profile_partition_cnt(const struct pst_profile *profile, uint16_t stream_idx)
{
	return stream_idx < profile->queue_stream_cnt ? profile->queue_cnt : 1;
}

/* Whether a writer lcore has an appender for a data directory: with no more writers than drives
 * each drive has one writer, else each writer has one drive. */
static inline bool
pst_profile_writes(const struct pst_profile *profile, uint16_t writer_idx, uint16_t drive_idx)
{
	return profile->writer_cnt >= profile->data_dir_cnt
		       ? writer_idx % profile->data_dir_cnt == drive_idx
		       : drive_idx % profile->writer_cnt == writer_idx;
}

/* Loads, checks and derives. Checks everything that can be known without touching a device,
 * presence of interfaces and CPUs included. Returns 0, or -1 with *diag. */
int pst_profile_load(const char *path, struct pst_profile **out, struct pst_diag *diag);

void pst_profile_free(struct pst_profile *profile);

/* Whether the machine has as many free hugepages as the profile's memory takes (always, with
 * no_huge). A check of its own: a profile can be looked at where there are none. Returns 0, or -1
 * with *diag: its remedy names the command that reserves them. */
int pst_profile_check_memory(const struct pst_profile *profile, struct pst_diag *diag);

/* Whether the metrics can be asked for on this host alone. */
bool pst_profile_metrics_are_local(const struct pst_profile *profile);

/* The resolved plan (cores, queues, partitions, files) for `penstockd --check`. */
void pst_profile_print_plan(FILE *out, const struct pst_profile *profile);
/* And what the EAL's memory is to hold. A line of that table, and of any that goes on with it. */
void pst_profile_print_memory(FILE *out, const struct pst_profile *profile);
void pst_profile_print_memory_line(FILE *out, const char *what, uint64_t bytes);

#endif
