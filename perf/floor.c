/* The work that no design can avoid, an event: one hs_scan, one copy, LZ4 of 64 KiB blocks, CRC-32C
 * of what came out. Measured on the events of a pcap file (UDP over IPv4; MoldUDP64, or one event a
 * line) with the patterns of a Hyperscan pattern file, stage by stage, interleaved, several rounds.
 *
 *   floor [--mold64] PCAP PATTERNS [ROUNDS]      prints one JSON object */
#include <hs.h>
#include <isa-l.h>
#include <lz4.h>
#include <pcap.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "patterns.h"

#define BLOCK_BYTES    65536
#define UDP_PAYLOAD    42 /* Ethernet, IPv4 without options, UDP */
#define MOLD_HEADER    20
#define EVENT_CNT_MAX  2000000
#define ROUNDS_DEFAULT 7
#define LAPS           40 /* over all events in a round: long enough for clock and caches to settle */

struct event {
	const char *data;
	uint32_t len;
};

static struct event events[EVENT_CNT_MAX];
static uint32_t event_cnt;
static uint64_t event_bytes;

/* CPU time: others on the machine do not count. */
static double
now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "floor: %s: %s\n", what, why);
	exit(1);
}

static void
add_event(const char *data, uint32_t len)
{
	if (event_cnt == EVENT_CNT_MAX)
		return;
	events[event_cnt++] = (struct event){data, len};
	event_bytes += len;
}

static void
add_lines(const char *payload, uint32_t left)
{
	while (left > 0) {
		const char *lf = memchr(payload, '\n', left);
		uint32_t len = lf ? (uint32_t)(lf - payload) : left;
		add_event(payload, len);
		payload += len + (lf != NULL);
		left -= len + (lf != NULL);
	}
}

/* Made by penstock-load: the lengths add up. */
static void
add_messages(const char *payload, uint32_t left)
{
	for (uint32_t at = MOLD_HEADER; at + 2 < left;) {
		uint32_t len = (uint32_t)(uint8_t)payload[at] << 8 | (uint8_t)payload[at + 1];
		add_event(payload + at + 2, len);
		at += 2 + len;
	}
}

static void
read_events(const char *path, void (*add)(const char *payload, uint32_t left))
{
	char error[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	const u_char *frame;
	pcap_t *pcap = pcap_open_offline(path, error);

	if (!pcap)
		die(path, error);
	while (pcap_next_ex(pcap, &header, &frame) == 1) {
		char *payload = malloc(header->caplen);
		if (!payload || header->caplen <= UDP_PAYLOAD)
			die(path, "a frame is too short");
		uint32_t left = header->caplen - UDP_PAYLOAD;
		memcpy(payload, frame + UDP_PAYLOAD, left);
		add(payload, left);
	}
	pcap_close(pcap);
	if (event_cnt == 0)
		die(path, "no events");
}

static int
on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *arg)
{
	(void)id, (void)from, (void)to, (void)flags;
	++*(uint64_t *)arg;
	return 0;
}

static double
run_scan(const hs_database_t *db, hs_scratch_t *scratch, uint64_t *matches)
{
	double start = now_ns();
	*matches = 0;
	for (uint32_t i = 0; i < event_cnt; i++)
		hs_scan(db, events[i].data, events[i].len, 0, scratch, on_match, matches);
	return now_ns() - start;
}

static double
run_copy(char *to)
{
	double start = now_ns();
	uint64_t at = 0;
	for (uint32_t i = 0; i < event_cnt; i++) {
		memcpy(to + at % (16 * BLOCK_BYTES), events[i].data, events[i].len);
		at += events[i].len;
	}
	return now_ns() - start;
}

static double
run_lz4(const char *raw, char *out, uint64_t *out_bytes)
{
	void *state = malloc((size_t)LZ4_sizeofState());
	double start = now_ns();
	*out_bytes = 0;
	for (uint64_t at = 0; at < event_bytes; at += BLOCK_BYTES) {
		uint64_t left = event_bytes - at;
		int len = (int)(left < BLOCK_BYTES ? left : BLOCK_BYTES);
		*out_bytes += (uint64_t)LZ4_compress_fast_extState(
			state, raw + at, out + *out_bytes, len, LZ4_compressBound(len), 1);
	}
	double took = now_ns() - start;
	free(state);
	return took;
}

static double
run_crc(const char *data, uint64_t bytes, uint32_t *sum)
{
	double start = now_ns();
	for (uint64_t at = 0; at < bytes; at += 4 * BLOCK_BYTES) {
		uint64_t left = bytes - at;
		*sum += crc32_iscsi((unsigned char *)data + at,
			(int)(left < 4 * BLOCK_BYTES ? left : 4 * BLOCK_BYTES), ~0u);
	}
	return now_ns() - start;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double
median(double *values, int cnt)
{
	qsort(values, (size_t)cnt, sizeof(*values), by_value);
	return values[cnt / 2];
}

int
main(int argc, char **argv)
{
	bool mold64 = argc > 1 && strcmp(argv[1], "--mold64") == 0;
	argc -= mold64;
	argv += mold64;
	if (argc < 3)
		die("usage", "floor [--mold64] PCAP PATTERNS [ROUNDS]");
	int rounds = argc > 3 ? atoi(argv[3]) : ROUNDS_DEFAULT;
	read_events(argv[1], mold64 ? add_messages : add_lines);
	hs_database_t *db = patterns_compile(argv[2]);
	hs_scratch_t *scratch = NULL;
	if (hs_alloc_scratch(db, &scratch) != HS_SUCCESS)
		die(argv[2], "no scratch");
	char *raw = malloc(event_bytes), *window = malloc(17 * BLOCK_BYTES);
	char *out = malloc(event_bytes + event_bytes / 100 + 4096);
	double *t[5];
	for (int s = 0; s < 5; s++)
		t[s] = calloc((size_t)rounds, sizeof(double));
	if (rounds < 1 || !raw || !window || !out || !t[4])
		die("floor", "no memory, or no rounds");
	uint64_t at = 0, matches = 0, out_bytes = 0;
	for (uint32_t i = 0; i < event_cnt; i++) {
		memcpy(raw + at, events[i].data, events[i].len);
		at += events[i].len;
	}
	uint32_t crc = 0;
	for (int r = 0; r < rounds; r++) {
		for (int lap = 0; lap < LAPS; lap++) {
			t[0][r] += run_scan(db, scratch, &matches) / event_cnt / LAPS;
			t[1][r] += run_copy(window) / event_cnt / LAPS;
			t[2][r] += run_lz4(raw, out, &out_bytes) / event_cnt / LAPS;
			t[3][r] += run_crc(out, out_bytes, &crc) / event_cnt / LAPS;
		}
		t[4][r] = t[0][r] + t[1][r] + t[2][r] + t[3][r];
	}
	printf("{\"events\": %u, \"bytes_per_event\": %.1f, \"matches_per_event\": %.3f, "
	       "\"lz4_ratio\": %.2f, \"scan_ns\": %.1f, \"copy_ns\": %.1f, \"lz4_ns\": %.1f, "
	       "\"crc_ns\": %.1f, \"floor_ns\": %.1f, \"rounds\": %d, \"check\": %u}\n",
		event_cnt, (double)event_bytes / event_cnt, (double)matches / event_cnt,
		(double)event_bytes / (double)out_bytes, median(t[0], rounds), median(t[1], rounds),
		median(t[2], rounds), median(t[3], rounds), median(t[4], rounds), rounds, crc);
	return 0;
}
