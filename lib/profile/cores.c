#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/load.h"

static int
load_cpu(struct pst_load *load, const struct pst_host_cpus *cpus, const char *key, const char *text,
	uint16_t *out)
{
	static const struct pst_number range = {PST_NUMBER_COUNT, 0, PST_CPU_MAX - 1, false};
	char list[256], remedy[320];
	uint64_t cpu = 0;

	if (pst_load_number(load, key, text, &range, 0, &cpu) != 0)
		return -1;
	if (!cpus->allowed[cpu]) {
		pst_host_cpus_text(cpus, list, sizeof(list));
		snprintf(remedy, sizeof(remedy), "give one that it may use: %s", list);
		return pst_load_fail(load, key, remedy,
			cpu >= cpus->present_cnt
				? "CPU %llu: this machine has no such CPU"
				: "CPU %llu: this process may not run there (taskset, cgroup)",
			(unsigned long long)cpu);
	}
	*out = (uint16_t)cpu;
	return 0;
}

/* The CPUs of a list, or fallback alone where there is none. */
static int
load_cpus(struct pst_load *load, const struct pst_host_cpus *cpus, const char *what, char **texts,
	uint32_t text_cnt, uint16_t fallback, uint16_t *out, uint16_t *out_cnt)
{
	char key[32];

	for (uint32_t i = 0; i < text_cnt; i++) {
		snprintf(key, sizeof(key), "cores.%s[%u]", what, i);
		if (load_cpu(load, cpus, key, texts[i], &out[i]) != 0)
			return -1;
		for (uint32_t other = 0; other < i; other++)
			if (out[other] == out[i])
				return pst_load_fail(load, key, "name each CPU once",
					"CPU %u is named twice", out[i]);
	}
	if (text_cnt == 0)
		out[0] = fallback;
	*out_cnt = (uint16_t)(text_cnt ? text_cnt : 1);
	return 0;
}

static bool
is_in(const uint16_t *cpus, uint16_t cnt, uint16_t cpu)
{
	for (uint16_t i = 0; i < cnt; i++)
		if (cpus[i] == cpu)
			return true;
	return false;
}

bool
pst_profile_cpu_shared(const struct pst_profile *p, uint16_t cpu)
{
	return is_in(p->core_rx, p->rx_lcore_cnt, cpu) && is_in(p->core_writer, p->writer_cnt, cpu);
}

/* A spinning rx lcore that shares its CPU starves the other, or is starved. */
static int
check_spin(struct pst_load *load)
{
	const struct pst_profile *p = load->profile;

	for (uint16_t i = 0; i < p->rx_lcore_cnt; i++)
		if (p->core_rx[i] == p->core_main || pst_profile_cpu_shared(p, p->core_rx[i]))
			return pst_load_fail(load, "idle",
				"give the rx lcores CPUs of their own under cores, or idle: "
				"adaptive",
				"spin, but CPU %u of cores.rx is also that of main or a writer",
				p->core_rx[i]);
	return 0;
}

int
pst_load_cores(struct pst_load *load)
{
	const struct pst_raw_profile *raw = load->raw;
	struct pst_profile *p = load->profile;
	struct pst_host_cpus cpus;

	if (pst_host_cpus(&cpus) != 0)
		return pst_load_fail(load, "cores", "start it with taskset on at most 1,024 CPUs",
			"the CPUs of this process cannot be read");
	p->core_main = cpus.first;
	p->idle = (enum pst_idle)raw->idle;
	if ((raw->cores.main &&
		    load_cpu(load, &cpus, "cores.main", raw->cores.main, &p->core_main) != 0) ||
		load_cpus(load, &cpus, "rx", raw->cores.rx, raw->cores.rx_cnt, cpus.last,
			p->core_rx, &p->rx_lcore_cnt) != 0 ||
		load_cpus(load, &cpus, "writers", raw->cores.writers, raw->cores.writer_cnt,
			cpus.first, p->core_writer, &p->writer_cnt) != 0)
		return -1;
	if (p->rx_lcore_cnt > p->queue_cnt)
		return pst_load_fail(load, "cores.rx",
			"remove CPUs from cores.rx, or raise queues of a port",
			"%u rx lcores, but only %u rx queues: the rest would poll nothing",
			p->rx_lcore_cnt, p->queue_cnt);
	for (uint16_t q = 0; q < p->queue_cnt; q++)
		p->queues[q].rx_lcore_idx = q % p->rx_lcore_cnt;
	return p->idle == PST_IDLE_SPIN ? check_spin(load) : 0;
}
