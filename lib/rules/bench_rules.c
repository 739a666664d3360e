/* What scanning costs an event: each by itself, and the events of a datagram together first.
 *
 *   bench_rules [ROUNDS [PATTERN]]      of a set of this pattern alone
 *
 * Lines of letters and digits, as many as fit a frame of 1,400 bytes; of these, so many in a
 * hundred hold what a rule looks for. Rules are words, some with a number, a class or an assertion
 * behind. CPU time, rounds in turn, medians. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "rules/rules.h"

#define PAYLOAD_BYTES 1400
#define FRAMES        400
#define LAPS          20

static uint64_t state;

static uint32_t
below(uint32_t n)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state >> 33) % n;
}

static const char *
word(uint32_t number)
{
	static char text[16];

	for (uint32_t i = 0; i < 8; i++, number /= 7)
		text[i] = (char)('a' + (number + i * 5) % 26);
	text[8] = '\0';
	return text;
}

/* pattern NULL: words. */
static struct pst_rules *
rules_make(uint32_t cnt, const char *pattern)
{
	static const char *const tails[] = {
		"", "[- ][a-z]+", ": code=\\d+", "\\b", ".{0,20}(failed|error)"};
	const struct pst_rules_env env = {0};
	struct pst_rules *rules;
	struct pst_diag diag;
	char path[] = "/tmp/pst_bench_rules_XXXXXX";
	FILE *f = fdopen(mkstemp(path), "w");

	PST_ASSERT(f);
	fprintf(f, "rules:\n");
	for (uint32_t i = 0; i < cnt; i++)
		fprintf(f, "- {id: %u, name: r, pattern: '%s%s', action: keep}\n", i,
			pattern ? pattern : word(i * 7919),
			pattern ? "" : tails[i % PST_ARRAY_CNT(tails)]);
	fclose(f);
	int rc = pst_rules_load(path, &env, &rules, &diag);
	unlink(path);
	if (rc != 0)
		pst_diag_print(stderr, &diag);
	else if (pst_rules_info(rules)->apart_note)
		fprintf(stderr, "bench_rules: %s\n", pst_rules_info(rules)->apart_note);
	else
		return rules;
	exit(1);
}

struct frame {
	struct pst_event events[PST_RULES_FRAME_EVENTS_MAX];
	uint32_t cnt;
	uint8_t bytes[PAYLOAD_BYTES];
};

static void
frames_make(struct frame *frames, uint32_t event_bytes, uint32_t hits_in_100, uint32_t rule_cnt)
{
	state = 1;
	for (struct frame *f = frames; f < frames + FRAMES; f++) {
		f->cnt = 0;
		for (uint32_t at = 0; at + event_bytes < PAYLOAD_BYTES; at += event_bytes + 1) {
			uint8_t *line = f->bytes + at;
			for (uint32_t i = 0; i < event_bytes; i++)
				line[i] = (uint8_t) "abcdefghijklmnopqrstuvwxyz 0123456789: []=/."
					[below(43)];
			if (below(100) < hits_in_100)
				memcpy(line + below(event_bytes - 8),
					word(below(rule_cnt) / 5 * 5 * 7919), 8);
			line[event_bytes] = '\n';
			f->events[f->cnt++] = (struct pst_event){line, event_bytes};
		}
	}
}

static double
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* ns an event. */
static double
run(struct pst_rules_scratch *s, const struct frame *frames, bool together)
{
	struct pst_rules_verdict v;
	uint64_t events = 0;
	double start = now_ns();

	for (unsigned lap = 0; lap < LAPS; lap++) {
		for (const struct frame *f = frames; f < frames + FRAMES; f++) {
			uint64_t hits = UINT64_MAX;
			if (together)
				hits = pst_rules_frame_scan(s, 0, f->events, f->cnt);
			for (uint32_t i = 0; i < f->cnt; i++) {
				if (hits >> i & 1)
					pst_rules_eval(
						s, 0, f->events[i].data, f->events[i].len, &v);
				else
					pst_rules_eval_unmatched(s, 0, &v);
			}
			events += f->cnt;
		}
	}
	return (now_ns() - start) / (double)events;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void
bench(const struct pst_rules *rules, struct frame *frames, uint32_t event_bytes,
	uint32_t hits_in_100, unsigned rounds)
{
	double apart[100], together[100], ratio[100];

	frames_make(frames, event_bytes, hits_in_100, pst_rules_cnt(rules));
	for (unsigned r = 0; r < rounds; r++) {
		struct pst_rules_scratch *s = pst_rules_scratch_create(rules);
		PST_ASSERT(s);
		apart[r] = run(s, frames, false);
		together[r] = run(s, frames, true);
		ratio[r] = together[r] / apart[r];
		pst_rules_scratch_destroy(s);
	}
	qsort(apart, rounds, sizeof(*apart), by_value);
	qsort(together, rounds, sizeof(*together), by_value);
	qsort(ratio, rounds, sizeof(*ratio), by_value);
	printf("%5u rules, %3u bytes, %2u a frame, %2u %% hit: %6.1f ns/event apart, %6.1f "
	       "together, "
	       "ratio %.2f (%.2f to %.2f)\n",
		pst_rules_cnt(rules), event_bytes, frames->cnt, hits_in_100, apart[rounds / 2],
		together[rounds / 2], ratio[rounds / 2], ratio[0], ratio[rounds - 1]);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	static const uint32_t rule_cnts[] = {10, 100, 1000}, event_bytes[] = {40, 126},
			      hits_in_100[] = {0, 1, 10, 50};
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 5;
	struct frame *frames = malloc(FRAMES * sizeof(*frames));

	PST_ASSERT(frames && rounds > 0 && rounds <= 100);
	for (size_t r = 0; r < (argc > 2 ? 1 : PST_ARRAY_CNT(rule_cnts)); r++) {
		struct pst_rules *rules = argc > 2 ? rules_make(1, argv[2])
						   : rules_make(rule_cnts[r], NULL);
		for (size_t b = 0; b < PST_ARRAY_CNT(event_bytes); b++)
			for (size_t h = 0; h < PST_ARRAY_CNT(hits_in_100); h++)
				bench(rules, frames, event_bytes[b], hits_in_100[h], rounds);
		pst_rules_free(rules);
	}
	free(frames);
	return 0;
}
