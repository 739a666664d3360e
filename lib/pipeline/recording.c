#include "pipeline/recording.h"

#include <stdio.h>

#include "base/clock.h"
#include "pipeline/pipeline.h"

/* ---- beside the books ---- */

struct reading {
	struct pst_beside *beside;
	uint16_t port_idx;
};

/* Drivers name these as they like; the books have what was received. */
static bool
tells_of_loss(const char *name)
{
	static const char *const signs[] = {"drop", "discard", "miss", "err", "nombuf", "no_buf",
		"no_desc", "out_of_buffer", "overflow", "overrun", "alloc"};
	/* These three are rte_eth_stats's over again. */
	static const char *const again[] = {
		"rx_missed_errors", "rx_errors", "rx_mbuf_allocation_errors"};

	if (strncmp(name, "tx_", 3) == 0 || strstr(name, "_tx_"))
		return false;
	for (unsigned i = 0; i < PST_ARRAY_CNT(again); i++)
		if (strcmp(name, again[i]) == 0)
			return false;
	for (unsigned i = 0; i < PST_ARRAY_CNT(signs); i++)
		if (strstr(name, signs[i]))
			return true;
	return false;
}

static void
read_xstat(void *arg, const char *name, uint64_t value)
{
	struct reading *r = arg;
	char text[PST_BESIDE_NAME_MAX];

	if (!tells_of_loss(name))
		return;
	snprintf(text, sizeof(text), "xstat:%s", name);
	/* A driver's count may be older than the run. */
	pst_beside_read(r->beside, r->port_idx, PST_BESIDE_NOTE, text, value, false);
}

static void
read_port(struct pst_pipeline *p, uint16_t port_idx, struct pst_beside *beside)
{
	struct reading reading = {beside, port_idx};
	struct pst_port_stats s;

	pst_ports_stats(p->ports, port_idx, &s);
	const struct {
		const char *name;
		uint64_t value;
		enum pst_beside_kind kind;
	} counters[] = {
		{"imissed", s.imissed, PST_BESIDE_LOSS}, {"ierrors", s.ierrors, PST_BESIDE_LOSS},
		{"xdp_rx_ring_full", s.xdp_rx_ring_full, PST_BESIDE_LOSS},
		{"xdp_rx_invalid_descs", s.xdp_rx_invalid_descs, PST_BESIDE_LOSS},
		{"tap_dropped", s.tap_dropped, PST_BESIDE_LOSS},
		{"rx_nombuf", s.rx_nombuf, PST_BESIDE_NOTE},                       /* attempts */
		{"xdp_rx_dropped", s.xdp_rx_dropped, PST_BESIDE_NOTE},             /* = imissed */
		{"xdp_fill_ring_empty", s.xdp_fill_ring_empty, PST_BESIDE_NOTE},   /* its cause */
		{"interface_rx_dropped", s.interface_rx_dropped, PST_BESIDE_NOTE}, /* again */
	};
	for (unsigned i = 0; i < PST_ARRAY_CNT(counters); i++)
		pst_beside_read(beside, port_idx, counters[i].kind, counters[i].name,
			counters[i].value, true);
	pst_ports_xstats(p->ports, port_idx, read_xstat, &reading);
}

static void
read_kernel(struct pst_pipeline *p, struct pst_beside *beside)
{
	struct pst_ksock_stats s = {0};

	pst_ksock_stats(p->ksock, &s);
	const struct {
		const char *name;
		uint64_t value;
		enum pst_beside_kind kind;
	} counters[] = {
		{"dropped", s.dropped, PST_BESIDE_LOSS},
		{"refused", s.refused, PST_BESIDE_LOSS},
		/* of the whole network namespace, whoever's */
		{"udp_in_errors", s.udp_in_errors, PST_BESIDE_NOTE},
		{"udp_rcvbuf_errors", s.udp_rcvbuf_errors, PST_BESIDE_NOTE},
		{"ip_reasm_fails", s.ip_reasm_fails, PST_BESIDE_NOTE},
		{"ip6_reasm_fails", s.ip6_reasm_fails, PST_BESIDE_NOTE},
	};
	for (unsigned i = 0; i < PST_ARRAY_CNT(counters); i++)
		pst_beside_read(beside, PST_BESIDE_KERNEL, counters[i].kind, counters[i].name,
			counters[i].value, true);
}

void
recording_beside(struct pst_pipeline *p, struct pst_beside *beside)
{
	for (uint16_t i = 0; i < p->profile->port_cnt; i++)
		read_port(p, i, beside);
	if (p->ksock)
		read_kernel(p, beside);
}

/* ---- rules ---- */

/* What a writer noted: the generation of a partition's newest batch that is durable, and the first
 * offset of that generation. */
static uint32_t
read_mark(const struct pst_rules_mark *mark, int64_t *offset)
{
	uint32_t before, after;

	do {
		/* Pair with the releases in the writer's settling. */
		before = atomic_load_explicit(&mark->generation, memory_order_acquire);
		*offset = atomic_load_explicit(&mark->offset, memory_order_acquire);
		after = atomic_load_explicit(&mark->generation, memory_order_acquire);
	} while (before != after);
	return before;
}

static uint32_t
collect(const struct recording_rules *state, const struct pst_pipeline *p, uint32_t generation,
	struct pst_record_rules_place *places, uint32_t cap)
{
	const struct pst_profile *profile = p->profile;
	uint32_t cnt = 0;

	for (uint16_t s = 0; s < profile->queue_stream_cnt; s++)
		for (uint16_t q = 0; q < profile->queue_cnt && cnt < cap; q++) {
			const struct pst_rules_mark *mark = &p->rules_marks[s][q];
			int64_t offset;
			if (state->told[s][q] >= generation ||
				read_mark(mark, &offset) != generation)
				continue;
			places[cnt++] = (struct pst_record_rules_place){.stream_idx = s,
				.queue_idx = q,
				.partition = p->place[s][q].partition,
				.offset = offset};
		}
	return cnt;
}

bool
recording_rules_due(const struct recording_rules *state, const struct pst_pipeline *p)
{
	struct pst_record_rules_place place;
	return state->generation != p->rules_generation ||
	       collect(state, p, state->generation, &place, 1) > 0;
}

void
recording_rules(
	struct recording_rules *state, struct pst_pipeline *p, const struct pst_record_sink *sink)
{
	/* Names are short enough that so many fit a record. */
	struct pst_record_rules_place places[128];
	char hash[65];
	uint32_t cnt;

	pthread_mutex_lock(&p->mutex);
	uint32_t generation = p->rules_generation;
	snprintf(hash, sizeof(hash), "%s", pst_rules_hash(p->rules));
	pthread_mutex_unlock(&p->mutex);
	do {
		cnt = collect(state, p, generation, places, PST_ARRAY_CNT(places));
		if (cnt == 0 && generation == state->generation)
			return;
		if (pst_record_rules(sink, p->profile, pst_clock_ns(pst_clock_tsc()), generation,
			    hash, places, cnt) != 0)
			return;
		for (uint32_t i = 0; i < cnt; i++)
			state->told[places[i].stream_idx][places[i].queue_idx] = generation;
		state->generation = generation;
	} while (cnt == PST_ARRAY_CNT(places));
}
