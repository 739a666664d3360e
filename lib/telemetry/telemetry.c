#include "telemetry/telemetry.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "telemetry/commands.h"
#include "telemetry/strtok.h"

static struct {
	/* Held for reading by every command, for writing by register and unregister. */
	pthread_rwlock_t lock;
	struct pst_pipeline *pipeline; /* NULL: none */
	bool commands_known;           /* to rte_telemetry, for good */
} telemetry = {.lock = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP};

/* ---- parameters ---- */

/* "12,34" -> args. The library hands over NULL when there are none. */
static bool
args_parse(struct pst_request *request, const char *params, unsigned args_max)
{
	const char *at = params;

	for (unsigned i = 0; at && *at; i++) {
		char *end;
		if (i == args_max || *at < '0' || *at > '9')
			return false;
		errno = 0;
		request->args[i] = strtoull(at, &end, 10);
		if (errno != 0 || (*end == ',' && end[1] == '\0'))
			return false;
		at = *end == ',' ? end + 1 : end;
	}
	return true;
}

static int
serve(const char *params, struct rte_tel_data *data, unsigned args_max, pst_serve_fn fn)
{
	static const char *const usage[] = {
		"this command takes no parameter",
		"the parameter is FIRST, a number",
		"the parameters are FIRST[,SNAPSHOT], numbers",
	};
	struct pst_request request;

	memset(request.args, 0, sizeof(request.args));
	request.top = pst_reply_init(&request.reply, data);
	if (!args_parse(&request, params, args_max))
		return pst_reply_error(&request.reply, "%s", usage[args_max]);
	if (request.args[0] > UINT32_MAX)
		return pst_reply_error(&request.reply, "FIRST is beyond every list");
	pthread_rwlock_rdlock(&telemetry.lock);
	request.pipeline = telemetry.pipeline;
	if (!request.pipeline)
		pst_reply_error(&request.reply, "penstockd is starting or stopping");
	else
		fn(&request);
	pthread_rwlock_unlock(&telemetry.lock);
	return 0;
}

int
pst_serve_page(struct pst_request *request, uint32_t total, pst_row_fn fill, void *source)
{
	struct pst_reply *reply = &request->reply;
	uint32_t first = (uint32_t)request->args[0], next = first, row_cnt = 0;

	pst_dict_u64(request->top, "first", first);
	pst_dict_u64(request->top, "total", total);
	struct pst_dict items = pst_dict_dict(request->top, "items");
	/* So that "next" finds room when the rows have taken the rest. */
	reply->bytes += 20;
	for (; next < total; next++) {
		struct pst_row row = pst_row_begin(reply);
		enum pst_row_fate fate = fill(row.dict, source, next);
		if (fate != PST_ROW_ADD)
			pst_row_drop(&row);
		else if (pst_row_end(&row, items, next))
			row_cnt++;
		else
			break;
		if (fate == PST_ROW_STOP)
			break;
	}
	if (row_cnt == 0 && next < total)
		return pst_reply_error(reply, "item %" PRIu32 " does not fit a reply", next);
	reply->bytes -= 20;
	pst_dict_u64(request->top, "next", next < total ? next : total);
	return pst_reply_finish(reply);
}

/* ---- the commands ---- */

#ifdef PST_STAGES
#define STAGES(X)                                                                                  \
	X(stages, "/penstock/stages", 1, "Where the time of the data cores goes. Params: FIRST")
#else
#define STAGES(X)
#endif

/* X(function, "command", parameters, "help": at most 127 bytes) */
#define COMMANDS(X)                                                                                \
	X(info, "/penstock/info", 0, "What runs: version, profile, uptime, phase, clock")          \
	X(ledger, "/penstock/ledger", 2,                                                           \
		"Books: totals, and cells (queue, listener) from FIRST. Params: FIRST,SNAPSHOT")   \
	X(interval, "/penstock/interval", 1,                                                       \
		"What the last interval added: books, and counters beside. Params: FIRST")         \
	X(listeners, "/penstock/listeners", 2,                                                     \
		"Listeners with their books. Params: FIRST,SNAPSHOT")                              \
	X(queues, "/penstock/queues", 2, "Queues with their books. Params: FIRST,SNAPSHOT")        \
	X(streams, "/penstock/streams", 2, "Streams with their books. Params: FIRST,SNAPSHOT")     \
	X(partitions, "/penstock/partitions", 1,                                                   \
		"Logs of streams and queues: offsets, segments, bytes. Params: FIRST")             \
	X(drives, "/penstock/drives", 1,                                                           \
		"Data directories: state, error, space, partitions. Params: FIRST")                \
	X(recovery, "/penstock/recovery", 1,                                                       \
		"What the last start's recovery found and did, and where. Params: FIRST")          \
	X(rx, "/penstock/rx", 2,                                                                   \
		"Receive lcores: load, batches, sessions. Params: FIRST,SNAPSHOT")                 \
	X(writers, "/penstock/writers", 2,                                                         \
		"Writer lcores: load, writes, syncs. Params: FIRST,SNAPSHOT")                      \
	X(latency, "/penstock/latency", 2,                                                         \
		"Arrival to sealed, written, durable by writer. Params: FIRST,SNAPSHOT")           \
	X(ports, "/penstock/ports", 1,                                                             \
		"Ports and kernel path: frames, drops, steering, buffers. Params: FIRST")          \
	X(xstats, "/penstock/xstats", 1,                                                           \
		"Drivers' extended statistics of all ports. Params: FIRST")                        \
	X(sessions, "/penstock/sessions", 1,                                                       \
		"MoldUDP64 sessions: expected next, gaps, copies. Params: FIRST")                  \
	X(sources, "/penstock/sources", 1,                                                         \
		"Senders by listener: events, bytes, rates, copies, gaps. Params: FIRST")          \
	X(rules, "/penstock/rules", 1, "Rules in force with their counters. Params: FIRST")        \
	X(reload, "/penstock/rules/reload", 0,                                                     \
		"Loads the rules file anew; answers ok, generation, error. Takes no parameters")   \
	STAGES(X)

#define PST_X(fn, command, args_max, help)                                                         \
	static int on_##fn(const char *cmd, const char *params, struct rte_tel_data *data)         \
	{                                                                                          \
		return serve(params, data, args_max, pst_serve_##fn);                              \
	}
COMMANDS(PST_X)
#undef PST_X

static int
commands_register(void)
{
	static const struct {
		const char *command;
		telemetry_cb fn;
		const char *help;
	} commands[] = {
#define PST_X(fn, command, args_max, help) {command, on_##fn, help},
		COMMANDS(PST_X)
#undef PST_X
	};

	for (unsigned i = 0; i < PST_ARRAY_CNT(commands); i++) {
		int rc = rte_telemetry_register_cmd(
			commands[i].command, commands[i].fn, commands[i].help);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int
pst_telemetry_register(struct pst_pipeline *pipeline)
{
	int rc = 0;

	PST_ASSERT(pst_telemetry_strtok_linked);
	pthread_rwlock_wrlock(&telemetry.lock);
	PST_ASSERT(!telemetry.pipeline);
	if (!telemetry.commands_known)
		rc = commands_register();
	if (rc == 0) {
		telemetry.commands_known = true;
		telemetry.pipeline = pipeline;
	}
	pthread_rwlock_unlock(&telemetry.lock);
	return rc;
}

void
pst_telemetry_unregister(void)
{
	pthread_rwlock_wrlock(&telemetry.lock);
	telemetry.pipeline = NULL;
	pst_snapshots_fini();
	pthread_rwlock_unlock(&telemetry.lock);
}
