/* What runs: version, rules, clock, and the endpoint itself. */
#include <inttypes.h>
#include <rte_version.h>

#include "metrics/families.h"

static void
build_info(
	struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	pst_exposition_u64(x, 1, "version", PST_VERSION, "dpdk", rte_version(), NULL);
}

static void
profile_info(
	struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	pst_exposition_u64(x, 1, "profile", o->profile->name, NULL);
}

static void
start_time(
	struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	pst_exposition_seconds(x, o->pipeline->started_ns, NULL);
}

static void
ready(struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	struct pst_health health;

	pst_health_ready(o, 0, &health);
	pst_exposition_u64(x, health.good, NULL);
}

static void
clock_steps(
	struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	pst_exposition_u64(x, o->pipeline->clock_step_cnt, NULL);
}

static void
closed(struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	pst_exposition_u64(x, o->server.evicted_cnt, "reason", "no_room", NULL);
	pst_exposition_u64(x, o->server.deadline_cnt, "reason", "too_slow", NULL);
}

static const struct pst_family families[] = {
	{"penstock_build_info", PST_METRIC_GAUGE, build_info, "1; what runs."},
	{"penstock_profile_info", PST_METRIC_GAUGE, profile_info, "1; the name of the profile."},
	{"penstock_start_time_seconds", PST_METRIC_GAUGE, start_time,
		"When the daemon started, since 1970; all counters began at 0 then."},
	{"penstock_ready", PST_METRIC_GAUGE, ready, "1: as /readyz says."},
	{"penstock_clock_steps_total", PST_METRIC_COUNTER, clock_steps,
		"Steps of the wall clock beyond a millisecond."},
	PST_WHOLE("penstock_rules_generation", GAUGE, rules.generation,
		"1 at start, one more with each reload that took."),
	PST_WHOLE("penstock_rules_loaded", GAUGE, rules.total, "Rules in force."),
	PST_WHOLE("penstock_rules_reload_failures_total", COUNTER, rules.failed_cnt,
		"Reloads that were refused; the rules before stay in force."),
	PST_WHOLE("penstock_http_connections_total", COUNTER, server.connection_cnt,
		"Connections to this endpoint."),
	PST_WHOLE("penstock_http_connections", GAUGE, server.connection_now_cnt,
		"Connections to this endpoint now."),
	{"penstock_http_connections_closed_total", PST_METRIC_COUNTER, closed,
		"Connections that this endpoint closed on a client, by reason."},
	PST_WHOLE("penstock_http_answers_total", COUNTER, server.answered_cnt,
		"Requests answered with status 200."),
	PST_WHOLE("penstock_http_refusals_total", COUNTER, server.refused_cnt,
		"Requests answered with another status."),
	PST_WHOLE("penstock_http_observations_total", COUNTER, server.observation_cnt,
		"Times that the lcores were asked for their counters for this endpoint."),
	{"penstock_http_observation_seconds", PST_METRIC_GAUGE, pst_write_rows_seconds,
		"How long asking took the last time.", &pst_rows_whole,
		PST_FIELD(struct pst_observation, server.observation_ns)},
};

const struct pst_families pst_families_daemon = {families, PST_ARRAY_CNT(families)};
