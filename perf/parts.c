/* One part of the path alone, over the events of a pcap file (UDP over IPv4, one event a line): for
 * callgrind, which counts the instructions within part_NAME.
 *
 *   parts NAME PCAP RULES CACHE      prints the number of events
 *
 *   parse    frames with their checksums, and the events in them
 *   admit    sequence numbers, one in a hundred missing at first and late then
 *   scan     the events of each frame together, those that may match each by itself
 *   pack     records into sealed batches, LZ4
 *   plain    the same, not compressed */
#include <pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "batch/batch.h"
#include "frame/frame.h"
#include "frame/framing.h"
#include "rules/rules.h"
#include "session/session.h"

#define FRAME_CNT_MAX 100000
#define FRAME_EVENTS  PST_RULES_FRAME_EVENTS_MAX
#define SEQUENCE_LATE 100
#define RANGE_CNT_MAX 64

struct frame {
	uint8_t *data;
	uint32_t len, event_cnt;
	struct pst_event events[FRAME_EVENTS];
};

static struct frame *frames;
static uint32_t frame_cnt, event_cnt;
static uint8_t wire[PST_BATCH_WIRE_BYTES_MAX];

static _Noreturn void
die(const char *what, const char *why)
{
	fprintf(stderr, "parts: %s: %s\n", what, why);
	exit(1);
}

/* Returns the events found. */
static uint32_t
find_events(struct frame *f)
{
	struct pst_event_iter iter;
	struct pst_frame parsed;
	uint32_t cnt = 0;

	if (pst_frame_parse(f->data, f->len, PST_CHECKSUM_STRICT, 0, &parsed) != PST_FRAME_CARRIED)
		die("a frame", "is not carried");
	pst_event_iter_init(&iter, PST_FRAMING_LINES, parsed.payload, parsed.payload_len);
	while (cnt < FRAME_EVENTS && pst_event_iter_next(&iter, &f->events[cnt]))
		cnt++;
	return cnt;
}

static void
read_frames(const char *path)
{
	char error[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	const u_char *data;
	pcap_t *pcap = pcap_open_offline(path, error);

	if (!pcap)
		die(path, error);
	frames = calloc(FRAME_CNT_MAX, sizeof(*frames));
	if (!frames)
		die(path, "no memory");
	for (; frame_cnt < FRAME_CNT_MAX && pcap_next_ex(pcap, &header, &data) == 1; frame_cnt++) {
		struct frame *f = &frames[frame_cnt];
		f->len = header->caplen;
		f->data = malloc(f->len);
		if (!f->data)
			die(path, "no memory");
		memcpy(f->data, data, f->len);
		f->event_cnt = find_events(f);
		event_cnt += f->event_cnt;
	}
	pcap_close(pcap);
	if (event_cnt == 0)
		die(path, "no events");
}

/* ---- what callgrind counts: nothing but these ---- */

__attribute__((noinline)) void part_parse(void);
__attribute__((noinline)) void part_admit(struct pst_session *session);
__attribute__((noinline)) void part_scan(struct pst_rules_scratch *scratch);
__attribute__((noinline)) void part_pack(struct pst_batch_encoder *encoder);

void
part_parse(void)
{
	for (uint32_t i = 0; i < frame_cnt; i++)
		PST_ASSERT(find_events(&frames[i]) == frames[i].event_cnt);
}

void
part_admit(struct pst_session *session)
{
	for (uint64_t seq = 1; seq <= event_cnt; seq++) {
		if (seq % SEQUENCE_LATE != 0)
			pst_session_admit(session, seq, seq);
		if (seq % SEQUENCE_LATE == SEQUENCE_LATE / 2 && seq > SEQUENCE_LATE)
			pst_session_admit(session, seq - SEQUENCE_LATE / 2, seq);
	}
}

void
part_scan(struct pst_rules_scratch *scratch)
{
	struct pst_rules_verdict verdict;

	for (const struct frame *f = frames; f < frames + frame_cnt; f++) {
		uint64_t hits = pst_rules_frame_scan(scratch, 0, f->events, f->event_cnt);
		for (uint32_t i = 0; i < f->event_cnt; i++) {
			if (hits >> i & 1)
				pst_rules_eval(
					scratch, 0, f->events[i].data, f->events[i].len, &verdict);
			else
				pst_rules_eval_unmatched(scratch, 0, &verdict);
		}
	}
}

void
part_pack(struct pst_batch_encoder *encoder)
{
	struct pst_record record = {.key = "10.9.9.8", .key_len = 8, .has_seq = true};

	pst_batch_begin(encoder, wire);
	for (const struct frame *f = frames; f < frames + frame_cnt; f++) {
		/* A frame each 10 us, from some day on. */
		record.ts_ns = UINT64_C(1700000000000000000) + (uint64_t)(f - frames) * 10000;
		for (uint32_t i = 0; i < f->event_cnt; i++) {
			record.value = f->events[i].data;
			record.value_len = f->events[i].len;
			record.seq++;
			if (pst_batch_append(encoder, &record))
				continue;
			pst_batch_seal(encoder);
			pst_batch_begin(encoder, wire);
			PST_ASSERT(pst_batch_append(encoder, &record));
		}
	}
	pst_batch_seal(encoder);
}

/* ---- */

static void
run_admit(void)
{
	static const uint8_t id[PST_MOLD_SESSION_LEN] = "PARTS     ";
	void *mem = aligned_alloc(PST_CACHE_LINE,
		pst_align_up(pst_session_table_bytes(1, RANGE_CNT_MAX), PST_CACHE_LINE));

	if (!mem)
		die("admit", "no memory");
	part_admit(pst_session_get(pst_session_table_init(mem, 1, RANGE_CNT_MAX), 0, id, 1, 1));
}

static void
run_scan(const char *path, const char *cache)
{
	const struct pst_rules_env env = {.cache_dir = cache};
	struct pst_rules_scratch *scratch;
	struct pst_rules *rules;
	struct pst_diag diag;

	if (pst_rules_load(path, &env, &rules, &diag) != 0)
		die(path, diag.text);
	scratch = pst_rules_scratch_create(rules);
	if (!scratch)
		die("scan", "no memory");
	part_scan(scratch);
}

static void
run_pack(int lz4_acceleration)
{
	const struct pst_batch_limits limits = {1 << 20, 65536, lz4_acceleration};
	struct pst_batch_encoder *encoder;

	if (pst_batch_encoder_create(&limits, &encoder) != 0)
		die("pack", "no memory");
	part_pack(encoder);
}

int
main(int argc, char **argv)
{
	if (argc != 5)
		die("usage", "parts parse|admit|scan|pack|plain PCAP RULES CACHE");
	const char *name = argv[1];
	read_frames(argv[2]);
	if (strcmp(name, "parse") == 0)
		part_parse();
	else if (strcmp(name, "admit") == 0)
		run_admit();
	else if (strcmp(name, "scan") == 0)
		run_scan(argv[3], argv[4]);
	else if (strcmp(name, "pack") == 0 || strcmp(name, "plain") == 0)
		run_pack(strcmp(name, "pack") == 0);
	else
		die(name, "no such part");
	printf("%u\n", event_cnt);
	return 0;
}
