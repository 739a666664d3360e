#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/log.h"

static const char help[] =
	"penstock-load: sends events over UDP and says exactly what it sent\n"
	"\n"
	"usage: penstock-load --to ADDR:PORT [OPTION...]\n"
	"\n"
	"Where to\n"
	"  --to ADDR:PORT         receiver; IPv6 as [ADDR]:PORT\n"
	"  --from ADDR[:PORT]     sender (default: the kernel's choice; in frames 127.0.0.1 or "
	"::1,\n"
	"                         port 40000)\n"
	"  --flows N              use N source ports in turn (default 1)\n"
	"  --pcap FILE            write frames to a pcap file instead of sending (- for stdout)\n"
	"  --interface NAME       send whole frames on this interface (needs CAP_NET_RAW)\n"
	"  --src-mac, --dst-mac M MAC addresses of frames (default 02:00:00:00:00:01 and :02)\n"
	"  --vlan ID              VLAN tag of frames; twice: outer and inner (QinQ)\n"
	"\n"
	"What\n"
	"  --framing F            datagram (default), lines, or mold64\n"
	"  --lines FILE           events are the file's lines, over and over (- for stdin); empty\n"
	"                         lines are skipped\n"
	"  --template TEXT        events are TEXT, with {seq} and {t} replaced; repeat it for "
	"several\n"
	"  --stamp text|none      put \"seq=N t=NANOSECONDS \" in front of each event (default: "
	"text,\n"
	"                         none with --lines)\n"
	"  --size BYTES           cut or pad each event to this size, stamp included\n"
	"  --session NAME         mold64: session, up to 10 characters (default PENSTOCK)\n"
	"  --first-seq N          first sequence number (default 1)\n"
	"\n"
	"How many, how fast\n"
	"  --count N              sequence numbers to use up; 0 for no end (default 1000, with\n"
	"                         --lines each line once, with --seconds no end)\n"
	"  --seconds N            stop after N seconds\n"
	"  --rate EVENTS          events a second, on an absolute schedule (default 0: no limit)\n"
	"  --events-per-frame N   events in a datagram (default 1; lines and mold64 10)\n"
	"  --payload-max BYTES    end a datagram before it grows beyond this (default 65507)\n"
	"  --spin                 between datagrams spin, do not sleep\n"
	"\n"
	"Deliberate faults, by datagrams with events\n"
	"  --gap EVERY            leave every EVERYth out: its sequence numbers are skipped\n"
	"  --duplicate EVERY      send every EVERYth twice\n"
	"  --reorder EVERY        send every EVERYth after the one that follows it\n"
	"  --malformed EVERY      after every EVERYth send one that must be refused\n"
	"  --heartbeat[=EVERY]    mold64: heartbeat at the end [after every EVERYth, too]\n"
	"  --end-of-session       mold64: end of session as the last datagram\n"
	"\n"
	"What it says\n"
	"  --record FILE          write every event sent, one a line; mold64: duplicates only "
	"once\n"
	"  --json                 report in JSON\n"
	"\n"
	"Numbers take k, M and G (thousands). SIGINT ends the sending and prints the report.\n"
	"exit status: 0 everything was sent; 1 something was not; 2 wrong usage\n";

enum {
	OPT_TO = 256,
	OPT_FROM,
	OPT_FLOWS,
	OPT_PCAP,
	OPT_INTERFACE,
	OPT_SRC_MAC,
	OPT_DST_MAC,
	OPT_VLAN,
	OPT_FRAMING,
	OPT_LINES,
	OPT_TEMPLATE,
	OPT_STAMP,
	OPT_SIZE,
	OPT_SESSION,
	OPT_FIRST_SEQ,
	OPT_COUNT,
	OPT_SECONDS,
	OPT_RATE,
	OPT_EVENTS_PER_FRAME,
	OPT_PAYLOAD_MAX,
	OPT_SPIN,
	OPT_GAP,
	OPT_DUPLICATE,
	OPT_REORDER,
	OPT_MALFORMED,
	OPT_HEARTBEAT,
	OPT_END_OF_SESSION,
	OPT_RECORD,
	OPT_JSON,
	OPT_HELP,
	OPT_VERSION,
};

static const struct option long_options[] = {
	{"to", required_argument, NULL, OPT_TO},
	{"from", required_argument, NULL, OPT_FROM},
	{"flows", required_argument, NULL, OPT_FLOWS},
	{"pcap", required_argument, NULL, OPT_PCAP},
	{"interface", required_argument, NULL, OPT_INTERFACE},
	{"src-mac", required_argument, NULL, OPT_SRC_MAC},
	{"dst-mac", required_argument, NULL, OPT_DST_MAC},
	{"vlan", required_argument, NULL, OPT_VLAN},
	{"framing", required_argument, NULL, OPT_FRAMING},
	{"lines", required_argument, NULL, OPT_LINES},
	{"template", required_argument, NULL, OPT_TEMPLATE},
	{"stamp", required_argument, NULL, OPT_STAMP},
	{"size", required_argument, NULL, OPT_SIZE},
	{"session", required_argument, NULL, OPT_SESSION},
	{"first-seq", required_argument, NULL, OPT_FIRST_SEQ},
	{"count", required_argument, NULL, OPT_COUNT},
	{"seconds", required_argument, NULL, OPT_SECONDS},
	{"rate", required_argument, NULL, OPT_RATE},
	{"events-per-frame", required_argument, NULL, OPT_EVENTS_PER_FRAME},
	{"payload-max", required_argument, NULL, OPT_PAYLOAD_MAX},
	{"spin", no_argument, NULL, OPT_SPIN},
	{"gap", required_argument, NULL, OPT_GAP},
	{"duplicate", required_argument, NULL, OPT_DUPLICATE},
	{"reorder", required_argument, NULL, OPT_REORDER},
	{"malformed", required_argument, NULL, OPT_MALFORMED},
	{"heartbeat", optional_argument, NULL, OPT_HEARTBEAT},
	{"end-of-session", no_argument, NULL, OPT_END_OF_SESSION},
	{"record", required_argument, NULL, OPT_RECORD},
	{"json", no_argument, NULL, OPT_JSON},
	{"help", no_argument, NULL, OPT_HELP},
	{"version", no_argument, NULL, OPT_VERSION},
	{NULL, 0, NULL, 0},
};

/* What was said, before it is resolved against the rest. */
struct given {
	struct load_options *o;
	bool to, count, stamp, src_mac, dst_mac;
	const char *lines, *name; /* name: of the option being read */
	unsigned template_cnt;
};

static int
wrong(const struct given *g, const char *value, const char *expected)
{
	pst_error("--%s %s: give %s", g->name, value, expected);
	return -1;
}

static int
number(const struct given *g, const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t value = 0, scale = 1;
	const char *at = text;
	char expected[64];

	snprintf(expected, sizeof(expected), "a whole number from %llu to %llu",
		(unsigned long long)min, (unsigned long long)max);
	if (*at < '0' || *at > '9')
		return wrong(g, text, expected);
	for (; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
			return wrong(g, text, expected);
	if (*at == 'k')
		scale = 1000;
	else if (*at == 'M')
		scale = 1000000;
	else if (*at == 'G')
		scale = 1000000000;
	at += scale > 1;
	if (*at || __builtin_mul_overflow(value, scale, &value) || value < min || value > max)
		return wrong(g, text, expected);
	*out = value;
	return 0;
}

static int
endpoint(const struct given *g, const char *text, bool port_needed, struct load_endpoint *out)
{
	static const char expected[] = "ADDRESS:PORT, for IPv6 [ADDRESS]:PORT";
	char host[64];
	const char *colon = strrchr(text, ':'), *start = text, *stop;

	if (text[0] == '[') {
		stop = strchr(text, ']');
		start = text + 1;
		colon = stop && stop[1] == ':' ? stop + 1 : NULL;
		if (!stop || (stop[1] && !colon))
			return wrong(g, text, expected);
	} else if (colon && strchr(text, ':') != colon) {
		return wrong(g, text, expected); /* a bare IPv6 address */
	} else {
		stop = colon ? colon : text + strlen(text);
	}
	uint64_t port = 0;
	if (!colon && port_needed)
		return wrong(g, text, expected);
	if (colon && number(g, colon + 1, 1, 65535, &port) != 0)
		return -1;
	if ((size_t)(stop - start) >= sizeof(host))
		return wrong(g, text, expected);
	memcpy(host, start, (size_t)(stop - start));
	host[stop - start] = '\0';
	if (pst_addr_parse(host, &out->addr) != 0)
		return wrong(g, text, expected);
	out->port = (uint16_t)port;
	return 0;
}

static int
mac(const struct given *g, const char *text, uint8_t out[6])
{
	unsigned b[6];
	int end = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
		    &end) != 6 ||
		text[end])
		return wrong(g, text, "a MAC address such as 02:00:00:00:00:01");
	for (int i = 0; i < 6; i++)
		out[i] = (uint8_t)b[i];
	return 0;
}

static int
framing(const struct given *g, const char *text, enum pst_framing *out)
{
	for (enum pst_framing f = PST_FRAMING_DATAGRAM; f <= PST_FRAMING_MOLD64; f++) {
		if (strcmp(text, pst_framing_name(f)) == 0) {
			*out = f;
			return 0;
		}
	}
	return wrong(g, text, "datagram, lines or mold64");
}

static int
session(const struct given *g, const char *text, uint8_t out[PST_MOLD_SESSION_LEN])
{
	size_t len = strlen(text);

	if (len > PST_MOLD_SESSION_LEN)
		return wrong(g, text, "up to 10 characters");
	memset(out, ' ', PST_MOLD_SESSION_LEN);
	memcpy(out, text, len);
	return 0;
}

static int
add_template(struct given *g, const char *text)
{
	struct load_source *source = &g->o->source;

	if (strpbrk(text, "\r\n"))
		return wrong(g, "TEXT",
			"a text without line ends: an event of several lines "
			"could not be told from several events");
	struct load_text *grown = realloc(
		source->texts, (g->template_cnt + 1) * sizeof(*source->texts));
	if (!grown) {
		pst_error("out of memory");
		return -1;
	}
	grown[g->template_cnt++] = (struct load_text){text, (uint32_t)strlen(text)};
	source->texts = grown;
	source->text_cnt = g->template_cnt;
	source->expand = true;
	return 0;
}

/* Options that name where to and in which frames. Returns 1 if opt is not one of them. */
static int
take_destination(struct given *g, int opt, const char *arg)
{
	struct load_sink_options *sink = &g->o->sink;
	uint64_t value;

	switch (opt) {
	case OPT_TO:
		g->to = true;
		return endpoint(g, arg, true, &sink->dst);
	case OPT_FROM:
		sink->src_given = true;
		return endpoint(g, arg, false, &sink->src);
	case OPT_FLOWS:
		if (number(g, arg, 1, LOAD_FLOWS_MAX, &value) != 0)
			return -1;
		sink->flow_cnt = (unsigned)value;
		return 0;
	case OPT_PCAP:
		sink->pcap = arg;
		return 0;
	case OPT_INTERFACE:
		sink->interface = arg;
		return 0;
	case OPT_SRC_MAC:
		g->src_mac = true;
		return mac(g, arg, sink->src.mac);
	case OPT_DST_MAC:
		g->dst_mac = true;
		return mac(g, arg, sink->dst.mac);
	case OPT_VLAN:
		if (sink->packet.vlan_cnt == LOAD_VLAN_MAX)
			return wrong(g, arg, "at most two");
		if (number(g, arg, 0, 4094, &value) != 0)
			return -1;
		sink->packet.vlans[sink->packet.vlan_cnt++] = (uint16_t)value;
		return 0;
	}
	return 1;
}

/* Options that name what is sent. Returns 1 if opt is not one of them. */
static int
take_content(struct given *g, int opt, const char *arg)
{
	struct load_options *o = g->o;
	uint64_t value;

	switch (opt) {
	case OPT_FRAMING:
		return framing(g, arg, &o->plan.framing);
	case OPT_LINES:
		g->lines = arg;
		return 0;
	case OPT_TEMPLATE:
		return add_template(g, arg);
	case OPT_STAMP:
		g->stamp = true;
		o->source.stamp = strcmp(arg, "text") == 0;
		if (!o->source.stamp && strcmp(arg, "none") != 0)
			return wrong(g, arg, "text or none");
		return 0;
	case OPT_SIZE:
		if (number(g, arg, 1, LOAD_PAYLOAD_MAX, &value) != 0)
			return -1;
		o->source.size_bytes = (uint32_t)value;
		return 0;
	case OPT_SESSION:
		return session(g, arg, o->plan.session);
	case OPT_FIRST_SEQ:
		return number(g, arg, 1, UINT64_MAX - 1, &o->plan.first_seq);
	case OPT_RECORD:
		o->record = arg;
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	}
	return 1;
}

/* Options of amount, pace and faults. Returns 1 if opt is not one of them. */
static int
take_pace(struct given *g, int opt, const char *arg)
{
	struct load_options *o = g->o;
	struct load_plan *plan = &o->plan;
	uint64_t value;

	switch (opt) {
	case OPT_COUNT:
		g->count = true;
		return number(g, arg, 0, UINT64_MAX, &plan->event_cnt);
	case OPT_SECONDS:
		return number(g, arg, 1, 1000000000, &o->seconds);
	case OPT_RATE:
		if (number(g, arg, 0, 1000000000000u, &value) != 0)
			return -1;
		o->rate = (double)value;
		return 0;
	case OPT_EVENTS_PER_FRAME:
		if (number(g, arg, 1, PST_MOLD_END - 1, &value) != 0)
			return -1;
		plan->events_per_frame = (uint32_t)value;
		return 0;
	case OPT_PAYLOAD_MAX:
		if (number(g, arg, 1, LOAD_PAYLOAD_MAX, &value) != 0)
			return -1;
		plan->payload_max = (uint32_t)value;
		return 0;
	case OPT_SPIN:
		o->spin = true;
		return 0;
	case OPT_GAP:
		return number(g, arg, 1, UINT64_MAX, &plan->gap_every);
	case OPT_DUPLICATE:
		return number(g, arg, 1, UINT64_MAX, &plan->duplicate_every);
	case OPT_REORDER:
		return number(g, arg, 2, UINT64_MAX, &plan->reorder_every);
	case OPT_MALFORMED:
		return number(g, arg, 1, UINT64_MAX, &plan->malformed_every);
	case OPT_HEARTBEAT:
		plan->heartbeat_last = true;
		return arg ? number(g, arg, 1, UINT64_MAX, &plan->heartbeat_every) : 0;
	case OPT_END_OF_SESSION:
		plan->end_of_session = true;
		return 0;
	}
	return 1;
}

static int
say(const char *text)
{
	pst_error("%s", text);
	return -1;
}

static int
resolve_sink(struct given *g)
{
	struct load_sink_options *sink = &g->o->sink;
	bool frames = sink->pcap || sink->interface;
	uint32_t udp_max;

	if (!g->to)
		return say("--to ADDR:PORT is missing");
	if (sink->pcap && sink->interface)
		return say("--pcap and --interface exclude each other");
	if (!frames && (g->src_mac || g->dst_mac || sink->packet.vlan_cnt))
		return say("--vlan, --src-mac and --dst-mac are of frames: give --pcap or "
			   "--interface");
	bool ipv4 = pst_addr_is_ipv4(&sink->dst.addr);
	if (sink->src_given && pst_addr_is_ipv4(&sink->src.addr) != ipv4)
		return say("--from and --to are not of one IP version");
	if (frames && !sink->src_given)
		pst_addr_parse(ipv4 ? "127.0.0.1" : "::1", &sink->src.addr);
	if (frames && sink->src.port == 0)
		sink->src.port = 40000;
	if (sink->src.port + sink->flow_cnt - 1 > 65535)
		return say("--flows: the source ports end at 65535");
	udp_max = ipv4 ? 65507 : 65527;
	/* A jumbogram would be another protocol: IP's own lengths have 16 bits. */
	g->o->plan.payload_max = (uint32_t)pst_min_u64(g->o->plan.payload_max, udp_max);
	return 0;
}

static int
resolve_source(struct given *g)
{
	struct load_options *o = g->o;

	if (g->lines && g->template_cnt)
		return say("--lines and --template exclude each other");
	if (!g->stamp)
		o->source.stamp = !g->lines;
	if (o->source.stamp && o->source.size_bytes && o->source.size_bytes < LOAD_STAMP_LEN_MAX)
		return say("--size: a stamp takes 48 bytes; give --stamp none for smaller events");
	if (g->lines) {
		int rc = load_source_read(&o->source, g->lines);
		if (rc != 0) {
			pst_error("--lines %s: %s", g->lines,
				rc == -ENODATA ? "no line in it" : strerror(-rc));
			return -1;
		}
	} else if (!g->template_cnt) {
		uint64_t cnt;
		const struct load_text *texts = load_source_builtin(o->plan.framing, &cnt);
		o->source.texts = malloc(cnt * sizeof(*texts));
		if (!o->source.texts)
			return say("out of memory");
		memcpy(o->source.texts, texts, cnt * sizeof(*texts));
		o->source.text_cnt = cnt;
		o->source.expand = true;
	}
	for (uint64_t i = 0; i < o->source.text_cnt; i++)
		if (o->source.texts[i].len == 0 && !o->source.stamp && !o->source.size_bytes)
			return say("--template: an empty event cannot be told from none");
	return 0;
}

static void
resolve_defects(struct load_options *o)
{
	static const enum pst_frame_verdict mold[] = {PST_FRAME_MOLD_SHORT,
		PST_FRAME_MOLD_TRUNCATED, PST_FRAME_MOLD_TRAILING, PST_FRAME_MOLD_SEQUENCE};
	struct load_plan *plan = &o->plan;

	if (plan->framing == PST_FRAMING_MOLD64) {
		memcpy(plan->defects, mold, sizeof(mold));
		plan->defect_cnt = PST_ARRAY_CNT(mold);
	} else {
		plan->defects[plan->defect_cnt++] = PST_FRAME_EMPTY;
	}
	if (o->sink.pcap || o->sink.interface) {
		enum pst_frame_verdict headers[PST_FRAME_VERDICT_CNT];
		struct load_packet packet = {.src = o->sink.src, .dst = o->sink.dst};
		unsigned cnt = load_packet_defects(&packet, headers);
		memcpy(plan->defects + plan->defect_cnt, headers, cnt * sizeof(*headers));
		plan->defect_cnt += cnt;
	}
}

static int
resolve_plan(struct given *g)
{
	struct load_options *o = g->o;
	struct load_plan *plan = &o->plan;
	bool mold = plan->framing == PST_FRAMING_MOLD64;

	if (plan->events_per_frame == 0)
		plan->events_per_frame = plan->framing == PST_FRAMING_DATAGRAM ? 1 : 10;
	if (plan->framing == PST_FRAMING_DATAGRAM && plan->events_per_frame != 1)
		return say("--events-per-frame: a datagram of this framing is one event");
	if (!mold && (plan->heartbeat_last || plan->end_of_session))
		return say("--heartbeat and --end-of-session are of --framing mold64");
	if (!g->count)
		plan->event_cnt = g->lines ? o->source.text_cnt : o->seconds ? 0 : 1000;
	if (plan->event_cnt == 0 && o->sink.pcap && !o->seconds)
		return say("--count 0 with --pcap would fill the disk: give a number or --seconds");
	if (plan->event_cnt == 0 && o->sink.pcap && o->rate == 0)
		return say("--seconds with --pcap needs --rate: there is no clock in a file");
	if (plan->event_cnt == 0)
		plan->event_cnt = UINT64_MAX;
	/* 0xffff... stays unused: a sequence that wraps is an error of the protocol. */
	plan->event_cnt = pst_min_u64(plan->event_cnt, UINT64_MAX - plan->first_seq);
	resolve_defects(o);
	return 0;
}

enum load_parsed
load_options_parse(int argc, char **argv, struct load_options *o)
{
	struct given g = {.o = o};
	int opt, idx = 0;

	memset(o, 0, sizeof(*o));
	o->plan.first_seq = 1;
	o->plan.payload_max = LOAD_PAYLOAD_MAX;
	memcpy(o->plan.session, "PENSTOCK  ", PST_MOLD_SESSION_LEN);
	o->sink.flow_cnt = 1;
	memcpy(o->sink.src.mac, "\x02\0\0\0\0\x01", 6);
	memcpy(o->sink.dst.mac, "\x02\0\0\0\0\x02", 6);
	while ((opt = getopt_long(argc, argv, "h", long_options, &idx)) != -1) {
		if (opt == OPT_HELP || opt == 'h') {
			fputs(help, stdout);
			return LOAD_PARSED_HELP;
		}
		if (opt == OPT_VERSION) {
			puts("penstock-load " PST_VERSION);
			return LOAD_PARSED_HELP;
		}
		if (opt == '?')
			return LOAD_PARSED_WRONG; /* getopt said why */
		g.name = long_options[idx].name;
		int rc = take_destination(&g, opt, optarg);
		if (rc == 1)
			rc = take_content(&g, opt, optarg);
		if (rc == 1)
			rc = take_pace(&g, opt, optarg);
		if (rc != 0)
			return LOAD_PARSED_WRONG;
	}
	if (optind < argc) {
		pst_error("%s: not an option", argv[optind]);
		return LOAD_PARSED_WRONG;
	}
	if (resolve_sink(&g) != 0 || resolve_source(&g) != 0 || resolve_plan(&g) != 0)
		return LOAD_PARSED_WRONG;
	return LOAD_PARSED_RUN;
}

void
load_options_fini(struct load_options *options)
{
	load_source_fini(&options->source);
}
