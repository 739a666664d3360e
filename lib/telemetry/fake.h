/* For the tests of lib/telemetry: a pipeline of any shape that never was, on a real telemetry
 * socket. The functions of lib/pipeline, lib/port, lib/ksock that telemetry calls are defined here
 * instead of linked. */
#ifndef PST_TELEMETRY_FAKE_H
#define PST_TELEMETRY_FAKE_H

#include "pipeline/pipeline.h"
#include "telemetry/client.h"

/* What the fakes answer. Zero at the start of every test. */
struct fake {
	uint32_t rule_cnt;
	uint32_t rules_generation;
	uint32_t generation_steps; /* so many calls of pst_pipeline_rules see another generation */
	uint32_t session_cnt;
	uint32_t session_range_cnt;
	uint32_t sessions_begin; /* so many calls find one more session before all others */
	uint32_t source_cnt;
	uint32_t source_steps; /* so many calls of pst_pipeline_sources see a new collection */
	uint32_t xstat_cnt;    /* of each port */
	int snapshot_rc;
	uint32_t snapshot_cnt;        /* taken; each adds one to every counter of the books */
	bool snapshot_slow;           /* takes a while */
	bool sparse;                  /* books: only cells of even queue and listener have counts */
	bool widest;                  /* every number and text as long as it can be */
	bool drive_full, drives_down; /* all of them; else every other one is down */
	bool reload_fails;
	_Atomic uint32_t reload_cnt;
	_Atomic uint32_t reloads_now, reloads_now_max; /* at the same time */
};
extern struct fake fake;

/* A profile of that shape (ports of one queue each up to PST_PORTS_MAX, then more queues) and the
 * pipeline that has it. */
struct pst_pipeline *fake_pipeline(uint16_t queue_cnt, uint16_t listener_cnt, uint16_t stream_cnt);

/* Rule, session names with every kind of byte: what the client must see again. */
#define FAKE_RULE_NAME sizeof(((struct pst_rule_row *)0)->name)
void fake_rule_name(uint32_t idx, char name[FAKE_RULE_NAME]);
void fake_session_id(uint32_t idx, uint8_t id[PST_MOLD_SESSION_LEN]);

/* Starts EAL with a telemetry socket below a directory of its own; ends the test if it cannot. */
void fake_eal_start(void);
void fake_eal_stop(void); /* removes the directory */

/* All of it: such a pipeline, registered on a running socket. */
struct pst_pipeline *fake_start(uint16_t queue_cnt, uint16_t listener_cnt, uint16_t stream_cnt);

/* Connected to it. */
struct pst_client *fake_client(void);
/* Keeps an answer until the test's process ends: nobody else need free it. */
json_t *fake_kept(json_t *answer);
/* Asks for a list, all pages, or a single answer, which is kept; ends the test on an error. */
json_t *fake_list(const char *command);
json_t *fake_ask(const char *request);

json_int_t json_at(const json_t *json, const char *name);
const char *text_at(const json_t *json, const char *name);

#endif
