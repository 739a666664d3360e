/* Where the datagrams go: UDP sockets, an interface (whole frames, AF_PACKET), or a pcap file.
 *
 * One thread. Opened once, written in bursts, closed once. */
#ifndef PST_LOAD_SINK_H
#define PST_LOAD_SINK_H

#include "packet.h"
#include "schedule.h"

#define LOAD_BURST_MAX 64u
#define LOAD_FLOWS_MAX 1024u

struct load_sink_options {
	struct load_endpoint src, dst;
	bool src_given;            /* else the kernel chooses */
	unsigned flow_cnt;         /* source ports, from src.port upwards */
	const char *pcap;          /* file, "-": standard output; or NULL */
	const char *interface;     /* name; or NULL */
	struct load_packet packet; /* tags, for pcap and interface */
};

struct load_sink;

/* Why datagrams did not leave at once, or at all. Readable any time. */
struct load_sink_errors {
	uint64_t retry_cnt;   /* no room in the sender's queue: waited, sent again */
	uint64_t refused_cnt; /* ICMP answers "port unreachable"; the datagrams themselves left */
	uint64_t failed_cnt;  /* datagrams given up */
	int last_errno;       /* of those given up */
};

/* Returns 0 or -errno, *what then says which step failed. */
int load_sink_open(
	const struct load_sink_options *options, struct load_sink **out, const char **what);

/* Sends frames; sent[i] says whether frame i left. Returns 0, or -errno when the sink is broken
 * (a full disk, an interface gone) and nothing more can be sent. */
int load_sink_burst(struct load_sink *sink, const struct load_frame *frames, unsigned cnt,
	bool sent[LOAD_BURST_MAX]);

const struct load_sink_errors *load_sink_errors(const struct load_sink *sink);

/* Returns 0, or -errno if what was written is not all on its way. Frees sink in any case. */
int load_sink_close(struct load_sink *sink);

#endif
