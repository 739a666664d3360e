#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "profile/load.h"

#define KIB    (UINT64_C(1) << 10)
#define MIB    (UINT64_C(1) << 20)
#define GIB    (UINT64_C(1) << 30)
#define MS     UINT64_C(1000000)
#define SECOND (1000 * MS)

#define BUFFERS_DEFAULT 64
#define BUFFERS_MAX     16384
/* Beside one open batch for each (stream, queue) that an rx lcore may have open. */
#define BUFFERS_IN_FLIGHT_MIN 4

/* Open batches that one rx lcore can have at once. */
static uint64_t
open_batches_max(const struct pst_profile *p)
{
	/* Queues are dealt in turn: the first lcore has the most. */
	uint64_t queue_cnt = (p->queue_cnt + p->rx_lcore_cnt - 1u) / p->rx_lcore_cnt;
	return queue_cnt * p->queue_stream_cnt;
}

static int
load_batch(struct pst_load *load)
{
	static const struct pst_number bytes = {PST_NUMBER_BYTES, 64 * KIB, 16 * MIB, false};
	static const struct pst_number records = {PST_NUMBER_COUNT, 1, 1000000, false};
	static const struct pst_number age = {PST_NUMBER_DURATION, 100000, 10 * SECOND, false};
	static const struct pst_number buffers = {PST_NUMBER_COUNT, 1, BUFFERS_MAX, false};
	static const struct pst_number acceleration = {PST_NUMBER_COUNT, 1, 65537, true};
	const struct pst_raw_profile *raw = load->raw;
	struct pst_profile *p = load->profile;
	uint64_t needed = open_batches_max(p) + BUFFERS_IN_FLIGHT_MIN;
	uint64_t bytes_max = 0, record_max = 0, buffer_cnt = 0, accelerate = 0;

	if (pst_load_number(load, "batch.bytes", raw->batch.bytes, &bytes, MIB, &bytes_max) != 0 ||
		pst_load_number(load, "batch.records", raw->batch.records, &records, 65536,
			&record_max) != 0 ||
		pst_load_number(load, "batch.age", raw->batch.age, &age, 5 * MS,
			&p->batch_age_max_ns) != 0 ||
		pst_load_number(load, "batch.buffers", raw->batch.buffers, &buffers,
			pst_max_u64(BUFFERS_DEFAULT, needed + BUFFERS_DEFAULT / 4),
			&buffer_cnt) != 0 ||
		pst_load_number(load, "batch.lz4-acceleration", raw->batch.lz4_acceleration,
			&acceleration, 1, &accelerate) != 0)
		return -1;
	if (buffer_cnt < needed) {
		char remedy[64];
		snprintf(remedy, sizeof(remedy), "give at least %llu", (unsigned long long)needed);
		return pst_load_fail(load, "batch.buffers", remedy,
			"%llu buffers, but an rx lcore can have %llu batches open (%u streams, the "
			"quarantine's included, on each of its queues) and needs some in flight",
			(unsigned long long)buffer_cnt, (unsigned long long)open_batches_max(p),
			p->queue_stream_cnt);
	}
	p->batch_bytes_max = (uint32_t)bytes_max;
	p->batch_records_max = (uint32_t)record_max;
	p->batch_buffer_cnt = (uint32_t)buffer_cnt;
	p->lz4_acceleration = (int)accelerate;
	return 0;
}

static int
load_rest(struct pst_load *load)
{
	static const struct pst_number flush_bytes = {PST_NUMBER_BYTES, 64 * KIB, GIB, false};
	static const struct pst_number flush_age = {
		PST_NUMBER_DURATION, 100000, 10 * SECOND, false};
	static const struct pst_number session_max = {PST_NUMBER_COUNT, 1, 1000000, false};
	static const struct pst_number gap_max = {PST_NUMBER_COUNT, 1, 65536, false};
	static const struct pst_number source_max = {PST_NUMBER_COUNT, 8, 8192, false};
	static const struct pst_number rcvbuf = {PST_NUMBER_BYTES, 64 * KIB, 512 * MIB, false};
	const struct pst_raw_profile *raw = load->raw;
	struct pst_profile *p = load->profile;
	uint64_t session_cnt = 0, gap_cnt = 0, source_cnt = 0;

	if (pst_load_number(load, "flush.bytes", raw->flush.bytes, &flush_bytes, 8 * MIB,
		    &p->flush_bytes) != 0 ||
		pst_load_number(load, "flush.age", raw->flush.age, &flush_age, 5 * MS,
			&p->flush_age_ns) != 0 ||
		pst_load_number(load, "sessions.max", raw->sessions.max, &session_max, 1024,
			&session_cnt) != 0 ||
		pst_load_number(
			load, "sessions.gaps", raw->sessions.gaps, &gap_max, 64, &gap_cnt) != 0 ||
		pst_load_number(load, "sources.max", raw->sources.max, &source_max, 1024,
			&source_cnt) != 0 ||
		pst_load_number(load, "kernel-path.receive-buffer", raw->kernel_path.receive_buffer,
			&rcvbuf, 16 * MIB, &p->kernel_rcvbuf_bytes) != 0)
		return -1;
	p->session_cnt_max = (uint32_t)session_cnt;
	p->session_gap_cnt_max = (uint32_t)gap_cnt;
	p->source_cnt_max = (uint32_t)source_cnt;
	p->telemetry_prefix = raw->telemetry.prefix ? raw->telemetry.prefix : "penstock";
	return pst_load_name(load, "telemetry.prefix", p->telemetry_prefix);
}

static int
load_rules(struct pst_load *load)
{
	static const struct pst_number cpu = {PST_NUMBER_DURATION, SECOND, 3600 * SECOND, false};
	static const struct pst_number memory = {PST_NUMBER_BYTES, 64 * MIB, 1024 * GIB, false};
	const struct pst_raw_profile *raw = load->raw;
	struct pst_profile *p = load->profile;
	uint64_t cpu_ns = 0;
	struct stat st;

	if (pst_load_number(load, "rules.compile-cpu", raw->rules.compile_cpu, &cpu, 60 * SECOND,
		    &cpu_ns) != 0 ||
		pst_load_number(load, "rules.compile-memory", raw->rules.compile_memory, &memory,
			2 * GIB, &p->rules_compile_bytes_max) != 0)
		return -1;
	if (cpu_ns % SECOND)
		return pst_load_fail(load, "rules.compile-cpu", "give whole seconds, as in 60s",
			"%s is not a whole number of seconds", raw->rules.compile_cpu);
	p->rules_compile_cpu_s_max = cpu_ns / SECOND;
	p->rules_file = raw->rules.file;
	p->rules_cache = raw->rules.cache;
	if (!p->rules_file)
		return 0;
	if (stat(p->rules_file, &st) != 0 || access(p->rules_file, R_OK) != 0)
		return pst_load_fail(load, "rules.file",
			"check the path (a relative one starts at the working directory), or "
			"remove the section rules",
			"%s cannot be read: %s", p->rules_file, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return pst_load_fail(load, "rules.file", "name a rules file",
			"%s is not a regular file", p->rules_file);
	return p->rules_cache ? pst_load_directory(load, "rules.cache", p->rules_cache) : 0;
}

int
pst_load_limits(struct pst_load *load)
{
	if (load_batch(load) != 0 || load_rest(load) != 0)
		return -1;
	return load_rules(load);
}
