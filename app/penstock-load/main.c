/* penstock-load: generates events, paces them by an absolute schedule, counts what left. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "base/log.h"
#include "options.h"
#include "tally.h"

static volatile sig_atomic_t stop_asked;

static void
on_signal(int signal)
{
	stop_asked = 1;
}

static uint64_t
now_ns(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void
sleep_until(uint64_t mono_ns)
{
	struct timespec ts = {.tv_sec = (time_t)(mono_ns / 1000000000u),
		.tv_nsec = (long)(mono_ns % 1000000000u)};
	/* A signal ends it early: the loop looks at stop_asked. */
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

struct run {
	const struct load_options *options;
	struct load_schedule schedule;
	struct load_tally tally;
	struct load_sink *sink;
	FILE *record;
	struct load_frame frames[LOAD_BURST_MAX];
	uint64_t start_ns;      /* monotonic */
	uint64_t start_wall_ns; /* what a pcap's times count from */
};

/* When the next sequence number is due, from the start of the run. */
static uint64_t
due_ns(const struct run *run)
{
	double rate = run->options->rate;
	return rate > 0 ? (uint64_t)((double)run->schedule.used_cnt * 1e9 / rate) : 0;
}

/* Writes the events of a frame that left, as a receiver that loses nothing would hold them. */
static void
record(struct run *run, const struct load_frame *frame, uint8_t *scratch)
{
	const struct load_plan *plan = &run->options->plan;

	if (frame->copy && plan->framing == PST_FRAMING_MOLD64)
		return;
	for (uint32_t i = 0; i < frame->event_cnt; i++) {
		uint64_t seq = frame->seq + i;
		int64_t len = load_event_make(&run->options->source, seq - plan->first_seq, seq,
			frame->t_ns, scratch, LOAD_PAYLOAD_MAX);
		fwrite(scratch, 1, (size_t)len, run->record);
		fputc('\n', run->record);
	}
}

/* Makes the frames that are due; *ended is set when there are no more. Returns their number or
 * -1. */
static int
make_burst(struct run *run, uint64_t since_start_ns, bool *ended)
{
	bool in_file = run->options->sink.pcap;
	unsigned cnt = 0;

	while (cnt < LOAD_BURST_MAX) {
		uint64_t due = due_ns(run);
		if (run->options->seconds && due >= run->options->seconds * 1000000000u)
			load_schedule_stop(&run->schedule);
		if (due > since_start_ns && !in_file)
			break;
		/* Frames in a file lie on the schedule; without one, a microsecond apart. */
		uint64_t t_ns = now_ns(CLOCK_REALTIME);
		if (in_file)
			t_ns = run->start_wall_ns +
			       (run->options->rate > 0 ? due : run->schedule.left_cnt * 1000);
		int rc = load_schedule_next(&run->schedule, t_ns, &run->frames[cnt]);
		if (rc < 0) {
			pst_error("an event does not fit a datagram of %u bytes",
				run->options->plan.payload_max);
			return -1;
		}
		*ended = rc == 0;
		if (rc == 0)
			break;
		cnt++;
	}
	return (int)cnt;
}

static int
send_burst(struct run *run, unsigned cnt, uint8_t *scratch)
{
	bool sent[LOAD_BURST_MAX];
	int rc = load_sink_burst(run->sink, run->frames, cnt, sent);

	for (unsigned i = 0; i < cnt; i++) {
		load_tally_frame(&run->tally, &run->frames[i], sent[i]);
		if (run->record && sent[i])
			record(run, &run->frames[i], scratch);
	}
	if (rc != 0)
		pst_error("sending: %s", strerror(-rc));
	return rc;
}

static int
send_all(struct run *run, uint8_t *scratch)
{
	const struct load_options *o = run->options;
	bool ended = false;

	while (!ended) {
		uint64_t since_start = now_ns(CLOCK_MONOTONIC) - run->start_ns;
		bool over = o->seconds && !o->sink.pcap && since_start >= o->seconds * 1000000000u;
		if (stop_asked || over)
			load_schedule_stop(&run->schedule);
		/* What is queued when the sending is stopped goes out without waiting. */
		int cnt = make_burst(run, run->schedule.closed ? UINT64_MAX : since_start, &ended);
		if (cnt < 0)
			return -1;
		if (cnt > 0 && send_burst(run, (unsigned)cnt, scratch) != 0)
			return -1;
		if (cnt == 0 && !ended && !o->spin)
			sleep_until(run->start_ns + due_ns(run));
	}
	return 0;
}

static int
report(struct run *run)
{
	struct load_tally *tally = &run->tally;
	int rc = tally->lost_frame_cnt ? -1 : 0;

	tally->first_seq = run->options->plan.first_seq;
	tally->next_seq = run->schedule.next_seq;
	tally->gap_cnt = run->schedule.gap_cnt;
	tally->gap_event_cnt = run->schedule.gap_event_cnt;
	tally->elapsed_ns = now_ns(CLOCK_MONOTONIC) - run->start_ns;
	tally->errors = *load_sink_errors(run->sink);
	int closed = load_sink_close(run->sink);
	if (closed != 0) {
		pst_error("%s: %s", run->options->sink.pcap ? run->options->sink.pcap : "closing",
			strerror(-closed));
		rc = -1;
	}
	if (run->record && (ferror(run->record) | fclose(run->record))) {
		pst_error("%s: could not be written whole", run->options->record);
		rc = -1;
	}
	/* A pcap may be on its way through standard output. */
	bool out_taken = run->options->sink.pcap && strcmp(run->options->sink.pcap, "-") == 0;
	if (run->options->json)
		load_tally_print_json(
			out_taken ? stderr : stdout, tally, run->options->plan.framing);
	else
		load_tally_print(out_taken ? stderr : stdout, tally);
	return rc;
}

static int
run_load(struct run *run)
{
	const struct load_options *o = run->options;
	uint8_t *bytes = malloc((size_t)(LOAD_BURST_MAX + 1) * LOAD_PAYLOAD_MAX);
	const char *what;

	if (!bytes) {
		pst_error("out of memory");
		return -1;
	}
	for (unsigned i = 0; i < LOAD_BURST_MAX; i++)
		run->frames[i].bytes = bytes + (size_t)i * LOAD_PAYLOAD_MAX;
	if (o->record && !(run->record = fopen(o->record, "wb"))) {
		pst_error("%s: %s", o->record, strerror(errno));
		free(bytes);
		return -1;
	}
	int rc = load_sink_open(&o->sink, &run->sink, &what);
	if (rc != 0) {
		pst_error("%s: %s", what, strerror(-rc));
		if (run->record)
			fclose(run->record);
		free(bytes);
		return -1;
	}
	load_schedule_init(&run->schedule, &o->plan, &o->source);
	run->start_ns = now_ns(CLOCK_MONOTONIC);
	run->start_wall_ns = now_ns(CLOCK_REALTIME);
	rc = send_all(run, bytes + (size_t)LOAD_BURST_MAX * LOAD_PAYLOAD_MAX);
	if (report(run) != 0)
		rc = -1;
	free(bytes);
	return rc;
}

int
main(int argc, char **argv)
{
	static struct run run;
	struct load_options options;
	struct sigaction action = {.sa_handler = on_signal};
	int status = 0;

	pst_log_init("penstock-load", PST_LOG_NOTICE);
	switch (load_options_parse(argc, argv, &options)) {
	case LOAD_PARSED_WRONG:
		fputs("penstock-load --help says what there is\n", stderr);
		status = 2;
		break;
	case LOAD_PARSED_HELP:
		break;
	case LOAD_PARSED_RUN:
		sigaction(SIGINT, &action, NULL);
		sigaction(SIGTERM, &action, NULL);
		run.options = &options;
		status = run_load(&run) == 0 ? 0 : 1;
		break;
	}
	load_options_fini(&options);
	return status;
}
