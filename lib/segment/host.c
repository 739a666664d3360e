#include <errno.h>
#include <signal.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "segment/disk.h"

static long
real_pid(const struct pst_host *host)
{
	return (long)getpid();
}

static bool
real_gone(const struct pst_host *host, long pid)
{
	return kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

static uint64_t
real_run_id(const struct pst_host *host)
{
	uint64_t id;
	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		id = (uint64_t)getpid() << 32 ^ (uint64_t)time(NULL);
	return id;
}

static void
real_sleep_ns(const struct pst_host *host, uint64_t ns)
{
	nanosleep(&(struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)}, NULL);
}

const struct pst_host *
pst_host_real(void)
{
	static const struct pst_host host = {
		.pid = real_pid,
		.gone = real_gone,
		.run_id = real_run_id,
		.sleep_ns = real_sleep_ns,
	};
	return &host;
}
