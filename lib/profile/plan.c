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
/* A pool's ring and its cache for each of DPDK's 128 possible lcores. */
#define POOL_BYTES (2 * MIB)
/* Rings, burst arrays and caches of an rx or writer lcore. */
#define LCORE_BYTES MIB
/* What the EAL and the drivers take for themselves. */
#define EAL_BYTES (16 * MIB)

#define SIZE_STEP  (64 * MIB)
#define SIZE_LIMIT (UINT64_C(1) << 40)

static uint64_t
session_table_bytes(const struct pst_profile *p)
{
	return pst_align_up(
		pst_session_table_bytes(p->session_cnt_max, p->session_gap_cnt_max), 4096);
}

static void
reckon(struct pst_profile *p)
{
	uint32_t desc_cnt = 0;

	for (uint16_t i = 0; i < p->port_cnt; i++)
		if (p->ports[i].rx_desc_cnt > desc_cnt)
			desc_cnt = p->ports[i].rx_desc_cnt;
	p->plan.mbuf_cnt = MBUFS_PER_QUEUE + 2 * desc_cnt;
	p->plan.mbufs = p->queue_cnt *
			((uint64_t)p->plan.mbuf_cnt * PST_PLAN_MBUF_BYTES + POOL_BYTES);
	p->plan.batches = ((uint64_t)p->rx_lcore_cnt * p->batch_buffer_cnt +
				  PST_PLAN_LEDGER_BATCHES) *
			  PST_PLAN_BATCH_BYTES;
	p->plan.sessions = p->rx_lcore_cnt * session_table_bytes(p);
	/* The listener none is one of them. */
	p->plan.sources = p->rx_lcore_cnt * pst_align_up(pst_source_table_bytes(p->source_cnt_max,
								 (uint16_t)(p->listener_cnt + 1)),
						    4096);
	p->plan.handoff = (p->rx_lcore_cnt + p->writer_cnt) * LCORE_BYTES;
	/* A lone rx lcore owns every session. */
	if (p->rx_lcore_cnt > 1)
		p->plan.handoff += (uint64_t)p->rx_lcore_cnt * PST_PLAN_FORWARDS_BYTES;
	p->plan.eal = EAL_BYTES;
	for (uint16_t w = 0; w < p->writer_cnt; w++)
		for (uint16_t d = 0; d < p->data_dir_cnt; d++)
			p->plan.appenders += pst_profile_writes(p, w, d) * PST_PLAN_APPENDER_BYTES;
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
