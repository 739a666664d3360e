/* To be preloaded: the wall clock is off by as many seconds as stand in the file PST_CLOCK_OFFSET,
 * a signed 64-bit integer in the machine's order that may change at any time. Other clocks, sleeps
 * and timers are left alone, and no lock is taken: libfaketime, which can do much more, reads the
 * environment while DPDK's drivers set it, and refuses condition variables under contention. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const _Atomic int64_t *offset_s;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void
begin(void)
{
	const char *name = getenv("PST_CLOCK_OFFSET");
	int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
	void *map = fd < 0 ? MAP_FAILED
			   : mmap(NULL, sizeof(*offset_s), PROT_READ, MAP_SHARED, fd, 0);
	*(void **)&real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
	if (map == MAP_FAILED || !real_clock_gettime)
		_exit(99);
	close(fd);
	offset_s = map;
}

int
clock_gettime(clockid_t id, struct timespec *out)
{
	if (!real_clock_gettime) /* a constructor before ours */
		begin();
	int err = real_clock_gettime(id, out);
	if (err == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		out->tv_sec += *offset_s;
	return err;
}

time_t
time(time_t *out)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}

int
gettimeofday(struct timeval *restrict out, void *restrict zone)
{
	struct timespec now;
	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	*out = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
	return 0;
}
