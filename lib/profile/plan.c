/* The memory plan: what the EAL's memory must hold, reckoned before anything is taken. */
#include <stdio.h>

#include "base/base.h"
#include "profile/load.h"
#include "session/session.h"
#include "source/source.h"

#define MIB (UINT64_C(1) << 20)

/* An AF_XDP queue holds 2,048 buffers for the kernel to fill and as many as its ring has
 * descriptors on their way to us; the rest is for the pool's caches, bursts, and what the kernel
 * discards at the pool's end. */
#define MBUFS_PER_QUEUE 4096u
/* A pool's head with a cache for each of DPDK's 128 possible lcores, and its ring. */
#define POOL_BYTES(mbuf_cnt) (MIB + 32768 + 16 * (uint64_t)(mbuf_cnt))
/* An rx or writer lcore's own state, and its buffer for frames in pieces. */
#define LCORE_BYTES (MIB / 8)
/* An open batch of an rx lcore, and a ring's head and its place for one batch. */
#define OPEN_BYTES       64
#define RING_BYTES       512
#define RING_PLACE_BYTES 8
/* What the EAL takes for itself, and drivers that run a NIC, for their rings. */
#define EAL_BYTES (2 * MIB)
#define NIC_BYTES (16 * MIB)

#define SIZE_STEP  (64 * MIB)
#define SIZE_LIMIT (UINT64_C(1) << 40)

static uint64_t
session_table_bytes(const struct pst_profile *p)
{
	return pst_align_up(
		pst_session_table_bytes(p->session_cnt_max, p->session_gap_cnt_max), 4096);
}

/* A full and a home ring between each who fills batches (rx lcores and the ledger) and each writer;
 * rings are as large as a power of two. */
static uint64_t
ring_bytes(const struct pst_profile *p, uint32_t batch_cnt)
{
	uint64_t place_cnt = 1;

	while (place_cnt <= batch_cnt)
		place_cnt *= 2;
	return 2 * p->writer_cnt * (RING_BYTES + place_cnt * RING_PLACE_BYTES);
}

static uint64_t
handoff_bytes(const struct pst_profile *p)
{
	uint64_t bytes = (p->rx_lcore_cnt + p->writer_cnt) * LCORE_BYTES +
			 p->rx_lcore_cnt * ring_bytes(p, p->batch_buffer_cnt) +
			 ring_bytes(p, PST_PLAN_LEDGER_BATCHES) +
			 (uint64_t)p->queue_cnt * p->queue_stream_cnt * OPEN_BYTES;

	/* A lone rx lcore owns every session. */
	if (p->rx_lcore_cnt > 1)
		bytes += (uint64_t)p->rx_lcore_cnt * PST_PLAN_FORWARDS_BYTES;
	return bytes;
}

static void
reckon(struct pst_profile *p)
{
	uint32_t desc_cnt = 0, nic_cnt = 0;
	uint64_t mbuf_bytes = 0; /* one of each queue */

	for (uint16_t i = 0; i < p->port_cnt; i++) {
		if (p->ports[i].rx_desc_cnt > desc_cnt)
			desc_cnt = p->ports[i].rx_desc_cnt;
		nic_cnt += p->ports[i].kind == PST_PORT_PCI;
		/* What does not cross a page has one of its own where pages are small. */
		mbuf_bytes += (uint64_t)p->ports[i].queue_cnt *
			      (p->no_huge || p->ports[i].kind == PST_PORT_AF_XDP
					      ? PST_PLAN_MBUF_PAGE
					      : PST_PLAN_MBUF_BYTES);
	}
	p->plan.mbuf_cnt = MBUFS_PER_QUEUE + 2 * desc_cnt;
	p->plan.mbufs = p->plan.mbuf_cnt * mbuf_bytes + p->queue_cnt * POOL_BYTES(p->plan.mbuf_cnt);
	p->plan.batches = ((uint64_t)p->rx_lcore_cnt * p->batch_buffer_cnt +
				  PST_PLAN_LEDGER_BATCHES) *
			  PST_PLAN_BATCH_BYTES;
	p->plan.sessions = p->rx_lcore_cnt * session_table_bytes(p);
	/* The listener none is one of them. */
	p->plan.sources = p->rx_lcore_cnt * pst_align_up(pst_source_table_bytes(p->source_cnt_max,
								 (uint16_t)(p->listener_cnt + 1)),
						    4096);
	p->plan.handoff = handoff_bytes(p);
	p->plan.eal = EAL_BYTES + nic_cnt * NIC_BYTES;
	p->plan.total = p->plan.mbufs + p->plan.batches + p->plan.sessions + p->plan.sources +
			p->plan.handoff + p->plan.eal;
}

int
pst_load_plan(struct pst_load *load)
{
	static const struct pst_number size = {PST_NUMBER_BYTES, SIZE_STEP, SIZE_LIMIT, false};
	struct pst_profile *p = load->profile;

	reckon(p);
	uint64_t needed = pst_align_up(p->plan.total, SIZE_STEP);
	if (pst_load_number(load, "memory.size", load->raw->memory.size, &size, needed,
		    &p->memory_bytes) != 0)
		return -1;
	if (p->memory_bytes < p->plan.total) {
		char remedy[192], bytes[PST_NUMBER_TEXT];
		snprintf(remedy, sizeof(remedy),
			"give at least %s, or lower batch.buffers, sessions.max, sessions.gaps, "
			"queues or descriptors",
			pst_number_text(bytes, PST_NUMBER_BYTES, needed));
		return pst_load_fail(load, "memory.size", remedy,
			"too little: packet buffers %llu MiB, batches %llu MiB, sessions %llu MiB, "
			"the rest %llu MiB",
			(unsigned long long)(p->plan.mbufs / MIB),
			(unsigned long long)(p->plan.batches / MIB),
			(unsigned long long)(p->plan.sessions / MIB),
			(unsigned long long)((p->plan.sources + p->plan.handoff + p->plan.eal) /
					     MIB));
	}
	return 0;
}

int
pst_profile_check_memory_at(
	const char *root, const struct pst_profile *profile, struct pst_diag *diag)
{
	struct pst_host_hugepages pages;
	char remedy[384];

	if (profile->no_huge)
		return 0;
	pst_host_hugepages(root, &pages);
	if (pages.free_bytes >= profile->memory_bytes)
		return 0;
	if (pages.page_bytes) {
		uint64_t missing = profile->memory_bytes - pages.free_bytes;
		uint64_t cnt = pages.page_cnt + (missing + pages.page_bytes - 1) / pages.page_bytes;
		snprintf(remedy, sizeof(remedy),
			"reserve them: echo %llu | sudo tee %s/hugepages-%llukB/nr_hugepages (or "
			"memory.no-huge: true for trials)",
			(unsigned long long)cnt, root, (unsigned long long)pages.page_bytes / 1024);
	} else {
		snprintf(remedy, sizeof(remedy),
			"use a kernel with hugepages, or memory.no-huge: true for trials");
	}
	return pst_diag_set(diag, profile->file, pst_yaml_line(profile->lines, "memory.size"),
		"memory.size", remedy, "%llu MiB of hugepages are needed, %llu MiB are free",
		(unsigned long long)((profile->memory_bytes + MIB - 1) / MIB),
		(unsigned long long)(pages.free_bytes / MIB));
}

int
pst_profile_check_memory(const struct pst_profile *profile, struct pst_diag *diag)
{
	return pst_profile_check_memory_at("/sys/kernel/mm/hugepages", profile, diag);
}
