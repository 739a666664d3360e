/* Which numbered events are in what a collector stored, whatever its format:
 *
 *   numbers PCAP < bytes      prints one JSON object
 *
 * PCAP is the file whose frames perf/flood.c sent: the event of number N is that of frame N,
 * counted around the file, with N in its "n=<12 digits>". An event counts if all of its bytes are
 * there. */
#include <inttypes.h>
#include <pcap.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

#define FRAME_CNT_MAX 8192
#define PAYLOAD_OFF   42 /* Ethernet, IPv4 without options, UDP */
#define EVENT_MAX     2048
#define DIGITS        12
#define MARK_LEN      (2 + DIGITS)
#define WINDOW_BYTES  (1 << 20)
#define NUMBER_MAX    (UINT64_C(1) << 36) /* 8 GiB of bits, of which only those seen are touched */

struct event {
	uint8_t bytes[EVENT_MAX];
	uint32_t len;
	uint32_t mark_off; /* of "n=" */
};

static struct event events[FRAME_CNT_MAX];
static uint32_t event_cnt;
static uint64_t *seen; /* a bit for each number below word_cnt * 64 */
static uint64_t word_cnt, unique, duplicated, damaged, end;

static _Noreturn void
die(const char *what, const char *why)
{
	fprintf(stderr, "numbers: %s: %s\n", what, why);
	exit(1);
}

static void
take_event(const u_char *frame, uint32_t len)
{
	struct event *event = &events[event_cnt];

	if (event_cnt == FRAME_CNT_MAX || len <= PAYLOAD_OFF || len > PAYLOAD_OFF + EVENT_MAX)
		die("a frame", "one too many, or not of this length");
	event->len = len - PAYLOAD_OFF;
	memcpy(event->bytes, frame + PAYLOAD_OFF, event->len);
	const uint8_t *mark = memmem(event->bytes, event->len, "n=000000000000", MARK_LEN);
	if (!mark)
		die("a frame", "no n=000000000000 in it");
	event->mark_off = (uint32_t)(mark - event->bytes);
	event_cnt++;
}

static void
read_events(const char *path)
{
	char error[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	const u_char *frame;
	pcap_t *pcap = pcap_open_offline(path, error);

	if (!pcap)
		die(path, error);
	while (pcap_next_ex(pcap, &header, &frame) == 1)
		take_event(frame, header->caplen);
	pcap_close(pcap);
	if (event_cnt == 0)
		die(path, "no frames");
}

static void
count(uint64_t number)
{
	uint64_t word = number / 64, bit = UINT64_C(1) << number % 64;

	if (word >= word_cnt) {
		uint64_t grown = pst_max_u64(word + 1, 2 * word_cnt);
		seen = realloc(seen, grown * sizeof(*seen));
		if (!seen)
			die("numbers", "no memory");
		memset(seen + word_cnt, 0, (grown - word_cnt) * sizeof(*seen));
		word_cnt = grown;
	}
	if (seen[word] & bit)
		duplicated++;
	else
		unique++;
	seen[word] |= bit;
	end = pst_max_u64(end, number + 1);
}

static bool
parse(const uint8_t *digits, uint64_t *number)
{
	*number = 0;
	for (int i = 0; i < DIGITS; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return false;
		*number = *number * 10 + (uint64_t)(digits[i] - '0');
	}
	return *number < NUMBER_MAX;
}

/* The event whose "n=" is at mark: are all of its bytes between from and to? */
static bool
whole(const uint8_t *from, const uint8_t *mark, const uint8_t *to, const struct event *event)
{
	uint32_t behind = event->mark_off + MARK_LEN;

	return (size_t)(mark - from) >= event->mark_off &&
	       (size_t)(to - mark) >= event->len - event->mark_off &&
	       memcmp(mark - event->mark_off, event->bytes, event->mark_off) == 0 &&
	       memcmp(mark + MARK_LEN, event->bytes + behind, event->len - behind) == 0;
}

/* Counts the events with marks from at to until, of which there are bytes from from to to. */
static void
look(const uint8_t *from, const uint8_t *at, const uint8_t *until, const uint8_t *to)
{
	uint64_t number;

	for (; at < until; at++) {
		at = memchr(at, 'n', (size_t)(until - at));
		if (!at)
			return;
		if (to - at < MARK_LEN || at[1] != '=' || !parse(at + 2, &number))
			continue;
		if (whole(from, at, to, &events[number % event_cnt]))
			count(number);
		else
			damaged++;
	}
}

int
main(int argc, char **argv)
{
	static uint8_t window[WINDOW_BYTES];
	size_t len = 0, counted = 0; /* marks before window + counted are */
	ssize_t n;

	if (argc != 2)
		die("usage", "numbers PCAP < bytes");
	read_events(argv[1]);
	while ((n = read(STDIN_FILENO, window + len, sizeof(window) - len)) > 0) {
		len += (size_t)n;
		if (len < sizeof(window))
			continue;
		/* What may go on behind the window is looked at with what follows. */
		look(window, window + counted, window + len - EVENT_MAX, window + len);
		counted = EVENT_MAX;
		memmove(window, window + len - 2 * EVENT_MAX, 2 * EVENT_MAX);
		len = 2 * EVENT_MAX;
	}
	look(window, window + counted, window + len, window + len);
	printf("{\"unique\": %" PRIu64 ", \"duplicated\": %" PRIu64 ", \"damaged\": %" PRIu64
	       ", \"end\": %" PRIu64 "}\n",
		unique, duplicated, damaged, end);
	return 0;
}
