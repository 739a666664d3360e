#include <rte_version.h>
#include <time.h>
#include <unistd.h>

#include "pipeline/watch.h"
#include "telemetry/commands.h"

static const char *
phase_name(enum pst_phase phase)
{
	static const char *const names[] = {
		[PST_PHASE_RUN] = "run",
		[PST_PHASE_DRAIN_PORTS] = "drain_ports",
		[PST_PHASE_DRAIN_KERNEL] = "drain_kernel",
		[PST_PHASE_SEAL] = "seal",
		[PST_PHASE_SYNC] = "sync",
		[PST_PHASE_END] = "end",
	};
	PST_ASSERT(phase < PST_ARRAY_CNT(names));
	return names[phase];
}

static void
dict_plan(struct pst_dict top, const struct pst_profile *profile)
{
	pst_dict_u64(top, "port_cnt", profile->port_cnt);
	pst_dict_u64(top, "queue_cnt", profile->queue_cnt);
	pst_dict_u64(top, "listener_cnt", profile->listener_cnt);
	pst_dict_u64(top, "stream_cnt", profile->stream_cnt);
	pst_dict_u64(top, "rx_cnt", profile->rx_lcore_cnt);
	pst_dict_u64(top, "writer_cnt", profile->writer_cnt);
	struct pst_dict memory = pst_dict_dict(top, "memory_bytes");
	pst_dict_u64(memory, "mbufs", profile->plan.mbufs);
	pst_dict_u64(memory, "batches", profile->plan.batches);
	pst_dict_u64(memory, "sessions", profile->plan.sessions);
	pst_dict_u64(memory, "sources", profile->plan.sources);
	pst_dict_u64(memory, "handoff", profile->plan.handoff);
	pst_dict_u64(memory, "total", profile->plan.total);
}

int
pst_serve_info(struct pst_request *request)
{
	const struct pst_pipeline *pipeline = request->pipeline;
	const struct pst_profile *profile = pipeline->profile;
	struct pst_dict top = request->top;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	pst_dict_string(top, "version", PST_VERSION);
	pst_dict_string(top, "dpdk", rte_version());
	pst_dict_u64(top, "pid", (uint64_t)getpid());
	pst_dict_string(top, "profile", profile->name);
	pst_dict_string(top, "profile_file", profile->file);
	pst_dict_string(top, "data_dir", profile->data_dirs[0]);
	if (profile->rules_file)
		pst_dict_string(top, "rules_file", profile->rules_file);
	pst_dict_string(top, "phase",
		phase_name(atomic_load_explicit(&pipeline->phase, memory_order_relaxed)));
	pst_dict_u64(top, "started_ns", pipeline->started_ns);
	pst_dict_u64(top, "now_ns", now_ns);
	pst_dict_u64(top, "uptime_ns",
		now_ns > pipeline->started_ns ? now_ns - pipeline->started_ns : 0);
	pst_dict_u64(top, "clock_step_cnt", pipeline->clock_step_cnt);
	pst_dict_i64(top, "clock_step_ns_last", pipeline->clock_step_ns_last);
	char stuck[256];
	pst_watch_name_stuck(pipeline, stuck, sizeof(stuck));
	pst_dict_string(top, "stuck_lcores", stuck);
	dict_plan(top, profile);
	return pst_reply_finish(&request->reply);
}
