/* What runs: version, rules, clock, and the endpoint itself. */
#include <inttypes.h>
#include <rte_version.h>

#include "metrics/families.h"

static void
build_info(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	pst_exposition_u64(x, 1, "version", PST_VERSION, "dpdk", rte_version(), NULL);
}

static void
profile_info(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	pst_exposition_u64(x, 1, "profile", o->profile->name, NULL);
}

static void
start_time(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	pst_exposition_seconds(x, o->pipeline->started_ns, NULL);
}

static void
ready(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	struct pst_health health;

	pst_health_ready(o, 0, &health);
	pst_exposition_u64(x, health.good, NULL);
}

static void
clock_steps(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	pst_exposition_u64(x, o->pipeline->clock_step_cnt, NULL);
}

static void
rules_generation(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	pst_exposition_u64(x, o->rules.generation, NULL);
}

static void
rules_loaded(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	pst_exposition_u64(x, o->rules.total, NULL);
}

static void
rules_failures(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	pst_exposition_u64(x, o->rules.failed_cnt, NULL);
}

static void
of_server(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	pst_exposition_u64(x, pst_word_at(&o->server, offset), NULL);
}

static void
connections(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	pst_exposition_u64(x, o->server.connection_now_cnt, NULL);
}

static void
closed(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	pst_exposition_u64(x, o->server.evicted_cnt, "reason", "no_room", NULL);
	pst_exposition_u64(x, o->server.deadline_cnt, "reason", "too_slow", NULL);
}

static void
observation_time(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	pst_exposition_seconds(x, o->server.observation_ns, NULL);
}

#define SERVER(name, field, help)                                                                  \
	{                                                                                          \
		name, PST_METRIC_COUNTER, of_server, offsetof(struct pst_server_stats, field),     \
			help                                                                       \
	}

static const struct pst_family families[] = {
	{"penstock_build_info", PST_METRIC_GAUGE, build_info, 0, "1; what runs."},
	{"penstock_profile_info", PST_METRIC_GAUGE, profile_info, 0, "1; the name of the profile."},
	{"penstock_start_time_seconds", PST_METRIC_GAUGE, start_time, 0,
		"When the daemon started, since 1970; all counters began at 0 then."},
	{"penstock_ready", PST_METRIC_GAUGE, ready, 0, "1: as /readyz says."},
	{"penstock_clock_steps_total", PST_METRIC_COUNTER, clock_steps, 0,
		"Steps of the wall clock beyond a millisecond."},
	{"penstock_rules_generation", PST_METRIC_GAUGE, rules_generation, 0,
		"1 at start, one more with each reload that took."},
	{"penstock_rules_loaded", PST_METRIC_GAUGE, rules_loaded, 0, "Rules in force."},
	{"penstock_rules_reload_failures_total", PST_METRIC_COUNTER, rules_failures, 0,
		"Reloads that were refused; the rules before stay in force."},
	SERVER("penstock_http_connections_total", connection_cnt, "Connections to this endpoint."),
	{"penstock_http_connections", PST_METRIC_GAUGE, connections, 0,
		"Connections to this endpoint now."},
	{"penstock_http_connections_closed_total", PST_METRIC_COUNTER, closed, 0,
		"Connections that this endpoint closed on a client, by reason."},
	SERVER("penstock_http_answers_total", answered_cnt, "Requests answered with status 200."),
	SERVER("penstock_http_refusals_total", refused_cnt,
		"Requests answered with another status."),
	SERVER("penstock_http_observations_total", observation_cnt,
		"Times that the lcores were asked for their counters for this endpoint."),
	{"penstock_http_observation_seconds", PST_METRIC_GAUGE, observation_time, 0,
		"How long asking took the last time."},
};

const struct pst_families pst_families_daemon = {families, PST_ARRAY_CNT(families)};
