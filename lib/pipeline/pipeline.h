/* The running whole, as the control side sees it: snapshots, session pages, rules, stop.
 *
 * Built by app/penstockd/topology.c. Calls are serialised by a mutex here: telemetry threads and
 * the main thread may call at any time between start and end of pst_pipeline_stop. */
#ifndef PST_PIPELINE_H
#define PST_PIPELINE_H

#include <pthread.h>

#include "ledger/spread.h"
#include "pipeline/recorder.h"
#include "pipeline/rx.h"
#include "pipeline/sources.h"
#include "pipeline/writer.h"
#include "segment/drives/drives.h"

#define PST_SESSION_PAGE        32 /* sessions a call */
#define PST_SESSION_PAGE_RANGES 8  /* of each */

/* What the logs of one stream come to: those that are written, and those that were until their
 * drive failed. */
struct pst_stream_logs {
	uint32_t partition_cnt; /* written now */
	uint32_t down_cnt;      /* of these, failed and not (yet) replaced */
	uint32_t failed_cnt;    /* failed in this run */
	uint64_t lag_cnt;       /* records appended that are not durable yet */
	uint64_t segment_cnt, log_bytes;
	uint64_t written_bytes, batch_cnt;
	uint64_t write_failed_cnt, sync_failed_cnt; /* batches */
	uint64_t retired_segment_cnt, retired_bytes, retire_failed_cnt;
};

/* A partition that a writer is asked to begin. */
struct pst_log_begin {
	struct pst_log_config config;
	struct pst_log_place place;
	struct pst_recovery found;
	struct pst_diag diag;
};

struct pst_past_place {
	uint16_t stream_idx;
	struct pst_log_place place;
};

struct pst_pipeline {
	const struct pst_profile *profile;
	struct pst_ports *ports;
	struct pst_ksock *ksock;
	struct pst_drives *drives;
	struct pst_listener_table *listeners;
	struct pst_sources *sources; /* senders; has a mutex of its own */
	struct pst_rx *rx[PST_RX_LCORES_MAX];
	struct pst_writer *writers[PST_WRITERS_MAX];
	struct pst_rules *rules; /* in force; control side */
	struct pst_rules_env rules_env;
	uint32_t rules_generation;  /* 1 at start, one more with each reload that took */
	uint32_t rules_failed_cnt;  /* reloads refused */
	struct pst_diag rules_diag; /* of the last refusal */
	uint64_t started_ns;
	int64_t clock_step_ns_last; /* last step of the wall clock beyond 1 ms */
	uint64_t clock_step_cnt;
	int partition_of_queue[PST_QUEUES_MAX]; /* that new streams get on it */
	const struct pst_log_add *logs; /* all partitions, and what recovery found in them */
	uint32_t log_cnt;
	uint64_t recovery_ns; /* it took so long, all together */

	_Atomic enum pst_phase phase; /* written by the control thread, read by all lcores */
	_Atomic uint32_t stuck_rx, stuck_writers; /* bit i: lcore i; by the watch thread */
	pthread_mutex_t spread_mutex;             /* of spread */
	struct pst_spread spread[PST_PORTS_MAX];  /* of the last interval that was judged */
	pthread_mutex_t reload_mutex;             /* one reload at a time; taken before mutex */
	bool rules_stuck;      /* an lcore did not take up rules: no more reloads */
	pthread_mutex_t mutex; /* one control request at a time */
	/* Request slots: memory that a late lcore may still write to. Under mutex. */
	struct pst_book copy;
	struct pst_latency latency_copy[PST_LATENCY_STAGE_CNT];
	struct pst_pipeline_page *page;
	struct pst_rx_rules next_rules[PST_RX_LCORES_MAX];
	struct pst_recorder *recorder; /* NULL before it is built */
	/* By the writer of each partition: from where on the rules hold. */
	struct pst_rules_mark rules_marks[PST_STREAMS_MAX][PST_QUEUES_MAX];
	struct pst_log_place place[PST_STREAMS_MAX][PST_QUEUES_MAX]; /* [stream][queue] */
	struct pst_stream_logs stream_logs[PST_STREAMS_MAX];
	/* Places that others took over from: their counters stay in the sums. Under mutex. */
	struct pst_past_place *past_places;
	uint32_t past_place_cnt;
	struct pst_log_begin log_begin;
};

/* What beside the books a snapshot holds of each rx lcore. */
struct pst_rx_stats {
	uint64_t turn_cnt, busy_tsc, batch_sealed_cnt, batch_plain_bytes;
	uint32_t batch_cnt, batch_home_cnt;
	uint32_t session_cnt;
	uint64_t session_full_cnt;
	uint64_t clock_held_ns_max;
};

struct pst_writer_stats {
	struct pst_appender_stats appender; /* all its drives together */
	uint64_t turn_cnt, busy_tsc;
	uint32_t ring_used, ring_size; /* batches waiting, all rx lcores */
};

struct pst_snapshot {
	struct pst_book book; /* sum of all lcores */
	struct pst_rx_stats rx[PST_RX_LCORES_MAX];
	struct pst_writer_stats writers[PST_WRITERS_MAX];
	/* Each writer's [PST_LATENCY_STAGE_CNT], copied with its book; on the heap. */
	struct pst_latency (*latency)[PST_LATENCY_STAGE_CNT];
};

/* Memory of a snapshot, zeroed and reusable. 0 or -ENOMEM. */
int pst_snapshot_init(struct pst_snapshot *snapshot, const struct pst_pipeline *pipeline);
void pst_snapshot_fini(struct pst_snapshot *snapshot);

/* Takes a snapshot. 0, or -ETIMEDOUT: an lcore does not answer. */
int pst_pipeline_snapshot(struct pst_pipeline *pipeline, struct pst_snapshot *out);

/* A page of sessions, all rx lcores as one list (index space: rx lcore by rx lcore). */
struct pst_session_row {
	uint16_t rx_idx;
	struct pst_session_info info;
	uint32_t range_cnt; /* copied; info.range_cnt says how many there are */
	struct pst_session_range ranges[PST_SESSION_PAGE_RANGES];
};
struct pst_pipeline_page {
	uint32_t first; /* asked */
	uint32_t total; /* sessions there are */
	uint32_t cnt;   /* rows filled */
	struct pst_session_row rows[PST_SESSION_PAGE];
};
int pst_pipeline_sessions(
	struct pst_pipeline *pipeline, uint32_t first, struct pst_pipeline_page *out);

/* Counters of rules first .. first + cnt - 1 of the set in force, summed over the rx lcores, with
 * the rules themselves. strings live in the rows. */
struct pst_rule_row {
	uint32_t id;
	char name[101]; /* the longest a rules file may give, whole */
	enum pst_rules_action action;
	int32_t priority;
	char stream[PST_NAME_MAX + 1]; /* of ROUTE */
	uint32_t sample_n;
	struct pst_rules_count count;
};
struct pst_rules_page {
	uint32_t generation, failed_cnt;
	uint32_t total;
	char hash[65];
	bool from_cache;
	uint64_t scan_errors;
};
/* Returns rows filled, or -ETIMEDOUT. */
int pst_pipeline_rules(struct pst_pipeline *pipeline, uint32_t first, struct pst_rule_row *rows,
	uint32_t cap, struct pst_rules_page *page);

/* Statistics of the log that stream s, queue q (not the kernel path) is written to now, and where
 * that is. 0, or -ETIMEDOUT when its writer did not answer. */
int pst_pipeline_log(struct pst_pipeline *pipeline, uint16_t stream_idx, uint16_t queue_idx,
	struct pst_log_place *place, struct pst_log_stats *out);

/* All streams' logs, by stream index; one request to each writer. 0, or -ETIMEDOUT. */
int pst_pipeline_stream_logs(
	struct pst_pipeline *pipeline, struct pst_stream_logs out[PST_STREAMS_MAX]);

/* Has place's writer begin a partition on place's drive: fills place->log_idx. Traffic goes on. 0;
 * -EIO: it could not; -ETIMEDOUT: the writer does not answer, and may still do it. *diag says why.
 * config's strings live as long as the pipeline. */
int pst_pipeline_begin_log(struct pst_pipeline *pipeline, const struct pst_log_config *config,
	struct pst_log_place *place, struct pst_diag *diag);

/* New places: first each is set, then every rx lcore takes up all. 0 or -ETIMEDOUT. */
void pst_pipeline_set_place(struct pst_pipeline *pipeline, uint16_t stream_idx, uint16_t queue_idx,
	const struct pst_log_place *place);
int pst_pipeline_take_places(struct pst_pipeline *pipeline);

struct pst_drive_row {
	const char *path;
	struct pst_drive_info info;
	uint32_t partition_cnt;           /* written to there now */
	uint64_t log_bytes;               /* of partitions that are written, or under retention */
	uint64_t space_bytes, free_bytes; /* of its filesystem; 0: unknown */
	struct pst_fullness fullness;
};
void pst_pipeline_drive(
	struct pst_pipeline *pipeline, uint16_t drive_idx, struct pst_drive_row *out);

/* Loads the profile's rules file anew; on success every rx lcore has taken it up. 0, or -1 with
 * *diag and the old rules in force. */
int pst_pipeline_reload_rules(struct pst_pipeline *pipeline, struct pst_diag *diag);

/* Sets the first rules; before the lcores run. */
int pst_pipeline_set_rules(struct pst_pipeline *pipeline, struct pst_rules *rules);

enum pst_stop {
	PST_STOP_DRAINED,
	PST_STOP_LATE,  /* not all could be drained or told, but all lcores' loops have ended */
	PST_STOP_STUCK, /* some have not: named by pst_watch_name_stuck, and what they may still
			 * use is to be left alone */
};

/* Drains and stops: steering off, rings emptied, kernel sockets shut and emptied, batches sealed
 * and synced, the ledger closed, all of it within limit_ns; after that the lcores have a moment to
 * end. After the watch over them has ended. meanwhile is called by the caller's thread, each turn
 * of its wait for the lcores: what they need of it to end. */
enum pst_stop pst_pipeline_stop(
	struct pst_pipeline *pipeline, uint64_t limit_ns, void (*meanwhile)(void *arg), void *arg);

/* The books after all lcores have ended (pst_pipeline_stop and join): nobody else reads or writes
 * any more. */
void pst_pipeline_final_books(const struct pst_pipeline *pipeline, struct pst_book *out);

#endif
