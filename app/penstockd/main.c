/* The daemon: options, start in the order that loses nothing, supervision, stop.
 *
 *   profile ▶ storage (lock, recovery) ▶ rules ▶ interface locks and checks ▶ kernel sockets ▶
 *   EAL ▶ ports (steering) ▶ lcores ▶ telemetry, metrics ... SIGTERM ▶ the same backwards, drained
 */
#include <errno.h>
#include <getopt.h>
#include <rte_eal.h>
#include <rte_version.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/observes.h"
#include "base/steps.h"
#include "eal.h"
#include "memory.h"
#include "metrics/metrics.h"
#include "pipeline/watch.h"
#include "service.h"
#include "telemetry/telemetry.h"
#include "topology.h"

#define EXIT_USAGE     2         /* a mistake of the user's in a file or on the command line */
#define TICK_NS        100000000 /* the control thread's turn */
#define SECOND_TICKS   10
#define LOG_BURST      10 /* lines of one kind at once, then one a second */
#define STOP_LIMIT_NS  UINT64_C(20000000000)
#define CLOCK_STEP_NS  1000000 /* below it is drift, not a step */
#define MEMORY_TRIES   20
#define MEMORY_WAIT_NS 1000000000
#define CLOCK_JUMP_NS  INT64_C(3600000000000) /* beyond it the new time must be confirmed */
#define FINDINGS_MAX   32
#define START_SAY_NS   UINT64_C(10000000000)
/* Of what a start does outside of storage and rules: packet memory of a terabyte takes minutes. */
#define START_LIMIT_NS UINT64_C(600000000000)

struct daemon {
	struct pst_profile *profile;
	struct pst_storage storage;
	struct pst_pipeline pipeline;
	struct pst_service *service;
	struct pst_metrics *metrics; /* NULL: none */
	bool eal_up, running;
	bool retention_held; /* by age: the clock jumped ahead, and nobody confirmed it yet */
};

static void
usage(FILE *out)
{
	fputs("usage: penstockd --profile FILE [--check] [--debug] [--forget-missing-drives]\n"
	      "\n"
	      "Takes UDP events off the wire, filters them and keeps them in a durable log.\n"
	      "\n"
	      "  -p, --profile FILE  what to do: ports, listeners, streams, rules "
	      "(docs/profile.md)\n"
	      "  -c, --check         check the profile, print the resolved plan, touch no device\n"
	      "  -d, --debug         say more\n"
	      "      --forget-missing-drives\n"
	      "                      data directories that are missing are gone for good: start\n"
	      "                      without them and expect them no more\n"
	      "  -V, --version       print the version\n"
	      "  -h, --help          print this\n"
	      "\n"
	      "Signals: TERM and INT drain and stop, HUP loads the rules file anew, USR1 confirms\n"
	      "the time after the clock jumped ahead (retention by age pauses till then).\n"
	      "Exit status: 0 after a drained stop, 1 on a failure, 2 on a mistake in the "
	      "profile,\n"
	      "the rules or the command line.\n",
		out);
}

static int
fail(const struct pst_diag *diag, int status)
{
	pst_log_diag(PST_LOG_ERROR, diag);
	return status;
}

/* ---- rules ---- */

static int
load_rules(struct daemon *d, struct pst_rules **rules, struct pst_diag *diag)
{
	const struct pst_profile *profile = d->profile;
	static const char *listeners[PST_LISTENERS_MAX], *streams[PST_STREAMS_MAX];
	static bool default_drop[PST_LISTENERS_MAX];

	for (uint16_t i = 0; i < profile->listener_cnt; i++) {
		listeners[i] = profile->listeners[i].name;
		default_drop[i] = profile->listeners[i].default_drop;
	}
	for (uint16_t i = 0; i < profile->declared_stream_cnt; i++)
		streams[i] = profile->streams[i].name;
	d->pipeline.rules_env = (struct pst_rules_env){
		.listener_names = listeners,
		.listener_default_drop = default_drop,
		.listener_cnt = profile->listener_cnt,
		.stream_names = streams,
		.stream_cnt = profile->declared_stream_cnt,
		.cache_dir = profile->rules_cache,
		.compile_cpu_s_max = profile->rules_compile_cpu_s_max,
		.compile_bytes_max = profile->rules_compile_bytes_max,
	};
	return pst_rules_load(profile->rules_file, &d->pipeline.rules_env, rules, diag);
}

static void
say_cache_note(const struct pst_rules *rules)
{
	const char *note = pst_rules_info(rules)->cache_note;
	if (note)
		pst_warning("rules cache not used: %s", note);
}

static void
reload_rules(struct daemon *d)
{
	struct pst_diag diag;

	pst_service_reloading();
	int rc = pst_pipeline_reload_rules(&d->pipeline, &diag);
	pst_service_reloaded();
	if (rc == 0) {
		say_cache_note(d->pipeline.rules);
		pst_notice("rules: generation %u in force, %u rules", d->pipeline.rules_generation,
			pst_rules_cnt(d->pipeline.rules));
		return;
	}
	pst_warning(
		"rules: not reloaded, generation %u stays in force", d->pipeline.rules_generation);
	pst_log_diag(PST_LOG_WARNING, &diag);
}

/* ---- start ---- */

/* True: something found is fatal. */
static bool
say_findings(const struct pst_ports *ports)
{
	struct pst_port_finding findings[FINDINGS_MAX];
	unsigned cnt = pst_ports_check(ports, findings, FINDINGS_MAX);
	bool fatal = false;

	for (unsigned i = 0; i < cnt; i++) {
		pst_log(findings[i].fatal ? PST_LOG_ERROR : PST_LOG_WARNING, "port %s: %s%s%s",
			findings[i].port, findings[i].text,
			findings[i].cure[0] ? "\n    remedy: " : "", findings[i].cure);
		fatal |= findings[i].fatal;
	}
	return fatal;
}

/* The kernel gives back a killed predecessor's packet memory a moment after its death. */
static int
await_memory(const struct pst_profile *profile, struct pst_diag *diag)
{
	const struct timespec pause = {.tv_nsec = MEMORY_WAIT_NS / MEMORY_TRIES};
	int rc = pst_profile_check_memory(profile, diag);

	for (unsigned i = 0; i < MEMORY_TRIES && rc != 0; i++) {
		nanosleep(&pause, NULL);
		rc = pst_profile_check_memory(profile, diag);
	}
	return rc;
}

/* Everything up to running lcores. Returns 0 or the exit status. */
static int
start(struct daemon *d, struct pst_steps *steps)
{
	struct pst_pipeline *p = &d->pipeline;
	const struct pst_profile *profile = d->profile;
	struct pst_rules *rules = NULL;
	struct pst_diag diag;

	p->profile = profile;
	pst_steps_enter(steps, "loading the rules", 0);
	if (await_memory(profile, &diag) != 0)
		return fail(&diag, EXIT_USAGE);
	if (load_rules(d, &rules, &diag) != 0)
		return fail(&diag, EXIT_USAGE);
	p->rules = rules;
	say_cache_note(rules);
	if (pst_listener_table_create(profile, &p->listeners) != 0) {
		pst_error("no memory for the listener table");
		return EXIT_FAILURE;
	}
	pst_steps_enter(steps, "opening the data directories", 0);
	if (pst_storage_open(profile, &d->storage, &diag) != 0)
		return fail(&diag, EXIT_FAILURE);
	pst_steps_enter(steps, "looking at the interfaces", START_LIMIT_NS);
	if (pst_ports_create(profile, &p->ports, &diag) != 0)
		return fail(&diag, EXIT_FAILURE);
	if (say_findings(p->ports))
		return EXIT_FAILURE;
	if (pst_metrics_open(profile, &d->metrics, &diag) != 0)
		return fail(&diag, EXIT_FAILURE);
	if (pst_ksock_open(profile, &p->ksock, &diag) != 0)
		return fail(&diag, EXIT_FAILURE);
	pst_steps_enter(steps, "setting up the DPDK environment", START_LIMIT_NS);
	if (pst_eal_start(profile, p->ports, &diag) != 0)
		return fail(&diag, EXIT_FAILURE);
	d->eal_up = true;
	pst_steps_enter(steps, "taking the pages of the packet memory", START_LIMIT_NS);
	pst_eal_settle_memory();
	pst_steps_enter(steps, "opening the ports", START_LIMIT_NS);
	if (pst_ports_open(p->ports, &diag) != 0 || pst_topology_build(p, &d->storage, &diag) != 0)
		return fail(&diag, EXIT_FAILURE);
	if (pst_pipeline_set_rules(p, rules) != 0) {
		pst_error("no memory for the rules' scratch space");
		return EXIT_FAILURE;
	}
	pst_memory_settle(profile);
	pst_steps_enter(steps, "launching the lcores", START_LIMIT_NS);
	if (pst_topology_launch(p) != 0) {
		pst_error("an lcore cannot be started: check cores in %s", profile->file);
		return EXIT_FAILURE;
	}
	d->running = true;
	if (pst_telemetry_register(p) != 0) {
		pst_error("telemetry commands cannot be registered");
		return EXIT_FAILURE;
	}
	pst_metrics_attach(d->metrics, p);
	if (PST_OBSERVES && pst_service_start(p, &d->service) != 0) {
		pst_error("the watch over the lcores cannot be started");
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

/* What waits in the kernel or in the EAL can only be left: the next start finds the data directory
 * as after a kill. */
static void
give_up_start(void)
{
	_exit(EXIT_FAILURE);
}

static int
start_watched(struct daemon *d)
{
	const struct pst_steps_config config = {
		.what = "starting", .say_ns = START_SAY_NS, .give_up = give_up_start};
	struct pst_steps *steps;

	if (pst_steps_begin(&config, &steps) != 0) {
		pst_error("no memory, or no thread, for the watch over the start");
		return EXIT_FAILURE;
	}
	int status = start(d, steps);
	pst_steps_end(steps);
	return status;
}

static void
say_ready(const struct daemon *d)
{
	const struct pst_profile *profile = d->profile;

	for (uint16_t i = 0; i < profile->listener_cnt; i++)
		pst_notice("listener %s: UDP port %u, %s, to stream %s", profile->listeners[i].name,
			profile->listeners[i].udp_port,
			pst_framing_name(profile->listeners[i].framing),
			profile->streams[profile->listeners[i].stream_idx].name);
	for (uint16_t i = 0; i < profile->data_dir_cnt; i++)
		pst_notice("data in %s", profile->data_dirs[i]);
	pst_notice("ready: %u rules, telemetry prefix %s", pst_rules_cnt(d->pipeline.rules),
		profile->telemetry_prefix);
	if (d->metrics && !pst_profile_metrics_are_local(profile))
		pst_warning("metrics on %s, TCP port %u: whoever reaches it may ask",
			profile->metrics_address, profile->metrics_port);
}

/* ---- run ---- */

static void
hold_retention(struct daemon *d, bool hold)
{
	for (uint16_t w = 0; w < d->profile->writer_cnt; w++)
		for (uint16_t i = 0; i < d->profile->data_dir_cnt; i++)
			if (d->storage.appenders[w][i])
				pst_appender_hold_retention(d->storage.appenders[w][i], hold);
	d->retention_held = hold;
}

static void
follow_clock(struct daemon *d)
{
	int64_t step_ns = pst_clock_step();

	/* Before any writer sees the new time: a clock that jumps ahead makes everything old. */
	if (step_ns > CLOCK_JUMP_NS && !d->retention_held) {
		hold_retention(d, true);
		pst_warning("the wall clock jumped ahead by more than an hour: retention by age "
			    "pauses until SIGUSR1 confirms the time, or a restart");
	}
	pst_clock_renew();
	if (step_ns < CLOCK_STEP_NS && step_ns > -CLOCK_STEP_NS)
		return;
	d->pipeline.clock_step_ns_last = step_ns;
	d->pipeline.clock_step_cnt++;
	pst_recorder_clock(d->pipeline.recorder, step_ns);
	pst_warning("the wall clock stepped by %+.3f ms; times in the log never go back",
		(double)step_ns / 1e6);
}

/* What the daemon tells of itself. */
static void
observe(struct daemon *d, bool second)
{
	pst_recorder_turn(d->pipeline.recorder);
	if (second)
		pst_service_tick(d->service);
}

/* Until a signal, or a failure that cannot be lived with. Returns the exit status. */
static int
run(struct daemon *d, const sigset_t *signals)
{
	struct pst_diag diag;
	struct timespec tick = {.tv_nsec = TICK_NS};

	for (unsigned turn = 1;; turn++) {
		int sig = sigtimedwait(signals, NULL, &tick);
		if (sig == SIGTERM || sig == SIGINT) {
			pst_notice("%s: draining", sig == SIGTERM ? "SIGTERM" : "SIGINT");
			return EXIT_SUCCESS;
		}
		if (sig == SIGHUP)
			reload_rules(d);
		if (sig == SIGUSR1 && d->retention_held) {
			hold_retention(d, false);
			pst_notice("SIGUSR1: the time is confirmed, retention by age goes on");
		}
		follow_clock(d);
		if (PST_OBSERVES)
			observe(d, turn % SECOND_TICKS == 0);
		if (turn % SECOND_TICKS == 0)
			pst_storage_watch_space(d->profile, &d->storage);
		if (pst_storage_watch(d->profile, &d->storage, &d->pipeline, &diag) != 0) {
			fail(&diag, EXIT_FAILURE);
			pst_error("draining what can be drained, then ending");
			return EXIT_FAILURE;
		}
		pst_storage_checkpoint(d->profile, &d->storage, turn % SECOND_TICKS == 0);
	}
}

/* ---- stop ---- */

/* " (no_buffer 12, write_failed 3)", or nothing if nothing was shed. */
static void
name_shed(const struct pst_cell *sum, char *out, size_t cap)
{
	size_t at = 0;

	out[0] = '\0';
	for (unsigned r = 0; r < PST_SHED_CNT && at < cap; r++)
		if (sum->shed[r])
			at += (size_t)snprintf(out + at, cap - at, "%s%s %llu", at ? ", " : " (",
				pst_shed_reason_name(r), (unsigned long long)sum->shed[r]);
	if (at > 0 && at + 1 < cap)
		snprintf(out + at, cap - at, ")");
}

static void
say_books(const struct pst_book *book)
{
	struct pst_cell sum = {0};
	char shed[160], in_flight[48] = "";

	for (uint32_t i = 0; i < pst_book_cell_cnt(&book->shape); i++)
		pst_cell_add(&sum, &book->cells[i]);
	name_shed(&sum, shed, sizeof(shed));
	if (sum.in_flight > 0)
		snprintf(in_flight, sizeof(in_flight), " + %llu in flight",
			(unsigned long long)sum.in_flight);
	pst_notice(
		"frames: %llu polled = %llu carried + %llu rejected + %llu ignored (residual %lld)",
		(unsigned long long)sum.polled, (unsigned long long)sum.verdict[PST_FRAME_CARRIED],
		(unsigned long long)pst_cell_rejected(&sum),
		(unsigned long long)pst_cell_ignored(&sum),
		(long long)pst_cell_frames_residual(&sum));
	pst_notice("events: %llu found = %llu stored + %llu filtered + %llu sampled out + %llu "
		   "duplicate + %llu quarantined + %llu shed%s%s (residual %lld)",
		(unsigned long long)sum.found, (unsigned long long)sum.stored,
		(unsigned long long)sum.filtered, (unsigned long long)sum.sampled_out,
		(unsigned long long)sum.duplicate, (unsigned long long)sum.quarantined,
		(unsigned long long)pst_cell_shed(&sum), shed, in_flight,
		(long long)pst_cell_events_residual(&sum));
}

/* An lcore hangs: nothing that it may still use can be freed, and nobody could wait for it. The
 * kernel takes all back; the next start finds a data directory as after a kill. */
static void
end_without(struct daemon *d)
{
	char names[100];

	pst_watch_name_stuck(&d->pipeline, names, sizeof(names));
	if (atomic_load_explicit(&d->pipeline.stuck_writers, memory_order_relaxed) != 0)
		pst_storage_checkpoint(d->profile, &d->storage, true);
	else if (pst_storage_close(d->profile, &d->storage) != 0) /* the writers have ended */
		pst_error("a segment could not be closed cleanly");
	pst_error("stuck: %s: does not end; ending without it: what it held is lost and in no "
		  "book, the next start recovers the rest",
		names);
	_exit(EXIT_FAILURE);
}

/* On a full disk a segment may go to make room for the last events when the mark has passed it. */
static void
keep_marks(void *arg)
{
	const struct daemon *d = arg;

	pst_storage_checkpoint(d->profile, &d->storage, false);
}

static int
stop_pipeline(struct daemon *d)
{
	struct pst_snapshot last;
	int status = EXIT_SUCCESS;

	pst_service_stop(d->service);
	/* Their threads live on: none may find lcores that have ended. */
	pst_metrics_detach(d->metrics);
	pst_telemetry_unregister();
	enum pst_stop stopped = pst_pipeline_stop(&d->pipeline, STOP_LIMIT_NS, keep_marks, d);
	if (stopped == PST_STOP_STUCK)
		end_without(d);
	if (stopped != PST_STOP_DRAINED) {
		pst_error("not everything could be drained within %u s",
			(unsigned)(STOP_LIMIT_NS / 1000000000));
		status = EXIT_FAILURE;
	}
	pst_topology_join();
	if (pst_snapshot_init(&last, &d->pipeline) == 0) {
		pst_pipeline_final_books(&d->pipeline, &last.book);
		say_books(&last.book);
		pst_snapshot_fini(&last);
	}
	return status;
}

static int
stop(struct daemon *d)
{
	int status = d->running ? stop_pipeline(d) : EXIT_SUCCESS;

	if (pst_storage_close(d->profile, &d->storage) != 0) {
		pst_error("a segment could not be closed cleanly; the next start recovers it");
		status = EXIT_FAILURE;
	}
	pst_metrics_close(d->metrics);
	if (d->pipeline.ksock)
		pst_ksock_close(d->pipeline.ksock);
	if (d->pipeline.ports) {
		if (d->running && !pst_ports_all_mbufs_home(d->pipeline.ports))
			pst_warning("packet buffers are missing from their pools");
		pst_ports_destroy(d->pipeline.ports);
	}
	if (d->pipeline.copy.cells)
		pst_topology_destroy(&d->pipeline);
	else if (d->pipeline.rules)
		pst_rules_free(d->pipeline.rules);
	if (d->pipeline.listeners)
		pst_listener_table_destroy(d->pipeline.listeners);
	if (d->eal_up)
		rte_eal_cleanup();
	return status;
}

/* ---- main ---- */

static int
check(const struct pst_profile *profile)
{
	struct pst_diag diag;
	struct pst_rules *rules;
	struct daemon d = {.profile = (struct pst_profile *)profile};

	if (load_rules(&d, &rules, &diag) != 0)
		return fail(&diag, EXIT_USAGE);
	pst_profile_print_plan(stdout, profile);
	printf("rules: %u rules, %s\n", pst_rules_cnt(rules),
		pst_rules_from_cache(rules) ? "from the cache" : "compiled");
	int rc = pst_memory_print(stdout, profile, rules);
	pst_rules_free(rules);
	if (rc != 0) {
		pst_error("no memory for the rules' scratch space");
		return EXIT_FAILURE;
	}
	if (pst_profile_check_memory(profile, &diag) != 0)
		return fail(&diag, EXIT_USAGE);
	return EXIT_SUCCESS;
}

static int
serve(struct pst_profile *profile, bool forget_missing)
{
	static struct daemon d;
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	sigset_t signals;

	/* Before any thread is made: only the control thread takes them, in run(). */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files: the write says so, too */
	/* Maps, umem and rings are locked memory; without the right to raise it they say so. */
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	/* Four descriptors a partition, seven while it rolls. */
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}

	pst_memory_init();
	pst_clock_init();
	d.profile = profile;
	d.storage.forget_missing = forget_missing;
	int status = start_watched(&d);
	if (status == EXIT_SUCCESS) {
		say_ready(&d);
		pst_log_limit(LOG_BURST, 1000000000);
		status = run(&d, &signals);
	}
	int stopped = stop(&d);
	return status != EXIT_SUCCESS ? status : stopped;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{"profile", required_argument, NULL, 'p'},
		{"check", no_argument, NULL, 'c'},
		{"debug", no_argument, NULL, 'd'},
		{"forget-missing-drives", no_argument, NULL, 'F'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *file = NULL;
	bool check_only = false, forget_missing = false;
	enum pst_log_level level = PST_LOG_NOTICE;
	struct pst_profile *profile;
	struct pst_diag diag;
	int opt;

	while ((opt = getopt_long(argc, argv, "p:cdVh", options, NULL)) != -1) {
		switch (opt) {
		case 'p':
			file = optarg;
			break;
		case 'c':
			check_only = true;
			break;
		case 'd':
			level = PST_LOG_DEBUG;
			break;
		case 'F':
			forget_missing = true;
			break;
		case 'V':
			printf("penstockd %s (%s)\n", PST_VERSION, rte_version());
			return EXIT_SUCCESS;
		case 'h':
			usage(stdout);
			return EXIT_SUCCESS;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (!file || optind != argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	pst_log_init("penstockd", level);
	if (pst_profile_load(file, &profile, &diag) != 0)
		return fail(&diag, EXIT_USAGE);
	int status = check_only ? check(profile) : serve(profile, forget_missing);
	pst_profile_free(profile);
	if (check_only)
		return status;
	/* Without the destructors of DPDK's drivers: where memory was short at the start, that of
	 * mlx5 takes a driver from a list on which it is not. */
	_exit(status);
}
