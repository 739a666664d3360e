/* Memory is taken and given back a hundred thousand times, and hardly used. */
#include <malloc.h>
#include <sys/mman.h>

#include "segment/sim/story.h"

void
sim_memory_prepare(void)
{
	/* Large blocks are mapped, and cost what is used of them. */
	mallopt(M_MMAP_THRESHOLD, 1100 * 1024);
	mallopt(M_TRIM_THRESHOLD, 256 * 1024 * 1024);
	/* meson has all of it filled (MALLOC_PERTURB_): that would be most of the time. */
	mallopt(M_PERTURB, 0);
}

#ifdef __SANITIZE_ADDRESS__
/* Freed memory is not kept from use for long: most of it is large and was hardly touched. */
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "quarantine_size_mb=8:thread_local_quarantine_size_kb=64";
}
#endif

/* Append buffers are not filled ahead. */

void *__real_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off);
void *__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off);

void *
__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	return __real_mmap64(addr, len, prot, flags & ~MAP_POPULATE, fd, off);
}
