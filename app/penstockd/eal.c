#include "eal.h"

#include <pthread.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_memory.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "topology.h"

#define ARGS_MAX    (24 + 2 * PST_QUEUES_MAX)
#define LCORES_TEXT 1024

static bool
has_pci(const struct pst_profile *profile)
{
	for (uint16_t i = 0; i < profile->port_cnt; i++)
		if (profile->ports[i].kind == PST_PORT_PCI)
			return true;
	return false;
}

/* The rules' compiler is a forked child: it must not get the packet and batch memory, or each page
 * of it would be copied when an lcore next writes to it. */
static int
settle(const struct rte_memseg_list *list, const struct rte_memseg *seg, size_t bytes, void *arg)
{
	(void)list, (void)arg;
	(void)madvise(seg->addr, bytes, MADV_POPULATE_WRITE);
	return madvise(seg->addr, bytes, MADV_DONTFORK);
}

static pthread_t starting;

/* The EAL aborts where it cannot go on, as without a thread; for us that is a start that failed
 * like any other, and no bug that wants a core dump. Of another thread it is one. */
static void
on_panic(int signal)
{
	(void)signal;
	if (!pthread_equal(pthread_self(), starting))
		return;
	pst_log_last_words("the DPDK environment cannot be set up: see the EAL's PANIC above\n"
			   "    remedy: where no thread can be created, raise the limits on tasks "
			   "and memory (TasksMax, MemoryMax)");
	_exit(EXIT_FAILURE);
}

static int
init(int argc, const char **argv)
{
	const struct sigaction panic = {.sa_handler = on_panic};
	struct sigaction before;

	starting = pthread_self();
	sigaction(SIGABRT, &panic, &before);
	int rc = rte_eal_init(argc, (char **)argv);
	sigaction(SIGABRT, &before, NULL);
	return rc;
}

int
pst_eal_start(
	const struct pst_profile *profile, const struct pst_ports *ports, struct pst_diag *diag)
{
	/* EAL keeps pointers into its arguments. */
	static char lcores[LCORES_TEXT], megabytes[24];
	static const char *argv[ARGS_MAX];
	int argc = 0;

	pst_topology_lcores(profile, lcores, sizeof(lcores));
	snprintf(megabytes, sizeof(megabytes), "%llu",
		(unsigned long long)(profile->memory_bytes >> 20));
	argv[argc++] = "penstockd";
	argv[argc++] = "--lcores";
	argv[argc++] = lcores;
	argv[argc++] = "--main-lcore=0";
	argv[argc++] = "--file-prefix";
	argv[argc++] = profile->telemetry_prefix;
	argv[argc++] = "-m";
	argv[argc++] = megabytes;
	/* Without hugepages AF_XDP needs memory that has a file behind it. */
	argv[argc++] = profile->no_huge ? "--no-huge" : "--in-memory";
	argv[argc++] = "--log-level=*:error";
	if (!has_pci(profile))
		argv[argc++] = "--no-pci";
	argc += (int)pst_ports_eal_args(ports, argv + argc, ARGS_MAX - (unsigned)argc);
	if (init(argc, argv) < 0)
		/* The EAL leaves no error number behind where another process has the prefix. */
		return pst_diag_set(diag, NULL, 0, NULL,
			"see the EAL's lines above; a daemon that runs already needs another "
			"telemetry.prefix, a device its driver and arguments",
			"the DPDK environment cannot be set up%s%s", rte_errno ? ": " : "",
			rte_errno ? rte_strerror(rte_errno) : "");
	return 0;
}

void
pst_eal_settle_memory(void)
{
	rte_memseg_contig_walk(settle, NULL);
}
