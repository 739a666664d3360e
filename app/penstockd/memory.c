#include "memory.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "batch/batch.h"
#include "ksock/ksock.h"
#include "ledger/gaps.h"
#include "pipeline/pipeline.h"
#include "pipeline/sources.h"

#define MIB (UINT64_C(1) << 20)

#define LARGE_BYTES (128 << 10)
/* Kept by the allocator for what the control side needs now and then: the largest answer on the
 * telemetry socket (DPDK takes 50 KB for each dictionary in it), and of each rx lcore the records
 * of 8,192 gaps. */
#define RESERVE_BYTES(rx_lcore_cnt) ((5 + 3 * (uint64_t)(rx_lcore_cnt)) * MIB)
#define KEPT_BYTES                  (1 << 30) /* free memory that is not given back */

/* Books of the control side: snapshots, the recorder's, who is asked. */
#define CONTROL_BOOK_CNT 10
/* What the EAL, drivers and libraries have of their own, stacks, and the control side's small
 * things: measured, with every driver of Debian's DPDK loaded. */
#define OWN_BYTES (12 * MIB)
/* Pages of programs and libraries that are in use, of 80 MiB that are mapped: they are the page
 * cache's, and shared with others. */
#define CODE_BYTES (22 * MIB)

static uint64_t
appender_bytes(const struct pst_profile *p, unsigned *cnt)
{
	uint64_t log_cnt = (uint64_t)p->queue_stream_cnt * p->queue_cnt + 1; /* and the ledger's */

	for (uint16_t w = 0; w < p->writer_cnt; w++)
		for (uint16_t d = 0; d < p->data_dir_cnt; d++)
			*cnt += pst_profile_writes(p, w, d);
	return *cnt * pst_appender_memory_bytes(0, 0) +
	       (pst_appender_memory_bytes(0, (uint32_t)log_cnt) - pst_appender_memory_bytes(0, 0));
}

static uint64_t
encoder_bytes(const struct pst_profile *p, unsigned *cnt)
{
	const struct pst_batch_limits limits = {.lz4_acceleration = p->lz4_acceleration};

	*cnt = p->queue_stream_cnt * p->queue_cnt + 1u; /* and the ledger's */
	return *cnt * pst_batch_encoder_bytes(&limits);
}

/* Of the control side, what grows with the profile. */
static uint64_t
account_bytes(const struct pst_profile *p)
{
	const struct pst_book_shape shape = pst_book_shape(p);
	uint64_t book_bytes = pst_book_cell_cnt(&shape) * sizeof(struct pst_cell) +
			      shape.stream_cnt * sizeof(struct pst_stream_cell);

	return RESERVE_BYTES(p->rx_lcore_cnt) +
	       (CONTROL_BOOK_CNT + p->rx_lcore_cnt + p->writer_cnt) * book_bytes +
	       p->rx_lcore_cnt * pst_gaps_memory_bytes(p->session_cnt_max, p->session_gap_cnt_max) +
	       pst_sources_bytes(p);
}

static int
rules_bytes(const struct pst_profile *p, const struct pst_rules *rules, uint64_t *bytes)
{
	struct pst_rules_scratch *scratch = pst_rules_scratch_create(rules);

	if (!scratch)
		return -ENOMEM;
	*bytes = pst_rules_info(rules)->database_bytes +
		 p->rx_lcore_cnt * pst_rules_scratch_bytes(scratch);
	pst_rules_scratch_destroy(scratch);
	return 0;
}

int
pst_memory_print(FILE *out, const struct pst_profile *p, const struct pst_rules *rules)
{
	unsigned appender_cnt = 0, encoder_cnt = 0, socket_cnt = 0;
	uint64_t of_rules;
	char text[128];

	if (rules_bytes(p, rules, &of_rules) != 0)
		return -ENOMEM;
	const uint64_t appenders = appender_bytes(p, &appender_cnt);
	const uint64_t encoders = encoder_bytes(p, &encoder_cnt);
	const uint64_t received = PST_KSOCK_BURST * UINT64_C(65536);
	const uint64_t accounts = account_bytes(p),
		       decoders = (uint64_t)p->rx_lcore_cnt * pst_rx_batch_raw_bytes_max(p);
	const uint64_t sum = appenders + encoders + received + accounts + decoders + of_rules +
			     OWN_BYTES + CODE_BYTES;

	pst_profile_print_memory(out, p);
	fputs("ordinary memory, beside it\n", out);
	snprintf(text, sizeof(text), "append buffers: %u appenders", appender_cnt);
	pst_profile_print_memory_line(out, text, appenders);
	snprintf(text, sizeof(text), "open batches: %u encoders; failed ones, read again",
		encoder_cnt);
	pst_profile_print_memory_line(out, text, encoders + decoders);
	pst_profile_print_memory_line(
		out, "books, gaps, sources, kernel path, and a reserve", accounts + received);
	pst_profile_print_memory_line(
		out, "rules: database and scratch (twice in a reload)", of_rules);
	pst_profile_print_memory_line(out, "stacks, and DPDK's and libraries' data", OWN_BYTES);
	pst_profile_print_memory_line(out, "program and libraries, as far as used", CODE_BYTES);
	pst_profile_print_memory_line(out, "in all", sum);
	fputs("memory in all\n", out);
	pst_profile_print_memory_line(out, "of the process", p->memory_bytes + sum);
	for (uint16_t i = 0; i < p->listener_cnt; i++)
		socket_cnt += p->listeners[i].addr_cnt;
	snprintf(text, sizeof(text), "the kernel's: receive buffers of %u sockets, at most",
		socket_cnt);
	pst_profile_print_memory_line(out, text, socket_cnt * p->kernel_rcvbuf_bytes);
	return 0;
}

void
pst_memory_init(void)
{
	mallopt(M_ARENA_MAX, 1); /* no lcore allocates: nobody waits for another */
	mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
	mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
}

/* Leaves so much in the heap. */
static void
reserve(uint64_t bytes)
{
	void **last = NULL;

	for (uint64_t taken = 0; taken < bytes; taken += LARGE_BYTES / 2) {
		void **block = malloc(LARGE_BYTES / 2);
		if (!block)
			break;
		*block = last;
		last = block;
	}
	while (last) {
		void **block = last;
		last = *block;
		free(block);
	}
}

/* Whether nothing but the heap is behind the mapping: no file, no stack, nothing shared. */
static bool
is_ours(const char *rights, const char *name)
{
	return strcmp(rights, "rw-p") == 0 && (name[0] == '\0' || strcmp(name, "[heap]") == 0);
}

void
pst_memory_settle(const struct pst_profile *profile)
{
	uint64_t guard_end = 0, begin, end;
	char line[512], rights[5], name[8];
	FILE *maps;

	malloc_trim(0);
	reserve(RESERVE_BYTES(profile->rx_lcore_cnt));
	maps = fopen("/proc/self/maps", "re");
	if (!maps)
		return;
	while (fgets(line, sizeof(line), maps)) {
		name[0] = '\0';
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*s %*s %*s %7s", &begin, &end,
			    rights, name) < 3)
			continue;
		/* Behind a guard page lies a thread's stack: it may grow, but not by whole
		 * hugepages. */
		if (is_ours(rights, name))
			(void)madvise((void *)(uintptr_t)begin, end - begin,
				begin == guard_end ? MADV_NOHUGEPAGE : MADV_POPULATE_WRITE);
		guard_end = strcmp(rights, "---p") == 0 ? end : 0;
	}
	fclose(maps);
}
