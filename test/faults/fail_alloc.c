/* To be preloaded: the allocation number PST_FAIL_ALLOC of a process fails, once, or its thread
 * number PST_FAIL_THREAD cannot be made. How many there were, of allocations and of threads, goes
 * to the file PST_COUNT_ALLOC. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t cnt, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);
void *__libc_memalign(size_t align, size_t bytes);

struct number {
	_Atomic unsigned long seen;
	unsigned long at; /* 0: none, or not known yet */
};
static struct number allocs, threads;

static unsigned long
number_from(const char *name)
{
	const char *value = getenv(name);
	unsigned long at = value ? strtoul(value, NULL, 10) : 0;
	/* Its children are not meant. */
	unsetenv(name);
	return at;
}

__attribute__((constructor)) static void
begin(void)
{
	allocs.at = number_from("PST_FAIL_ALLOC");
	threads.at = number_from("PST_FAIL_THREAD");
	allocs.seen = 0;
}

__attribute__((destructor)) static void
count(void)
{
	const char *name = getenv("PST_COUNT_ALLOC");
	char text[64];
	int fd = name ? open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
	if (fd < 0)
		return;
	int len = snprintf(text, sizeof(text), "%lu %lu\n", allocs.seen, threads.seen);
	if (write(fd, text, (size_t)len) != len)
		abort();
	close(fd);
}

static int
comes_up(struct number *number)
{
	return ++number->seen == number->at && number->at;
}

static int
fails(void)
{
	if (!comes_up(&allocs))
		return 0;
	errno = ENOMEM;
	return 1;
}

void *
malloc(size_t bytes)
{
	return fails() ? NULL : __libc_malloc(bytes);
}

void *
calloc(size_t cnt, size_t bytes)
{
	return fails() ? NULL : __libc_calloc(cnt, bytes);
}

void *
realloc(void *old, size_t bytes)
{
	return fails() ? NULL : __libc_realloc(old, bytes);
}

void *
aligned_alloc(size_t align, size_t bytes)
{
	return fails() ? NULL : __libc_memalign(align, bytes);
}

void *
memalign(size_t align, size_t bytes)
{
	return fails() ? NULL : __libc_memalign(align, bytes);
}

int
posix_memalign(void **out, size_t align, size_t bytes)
{
	void *memory = fails() ? NULL : __libc_memalign(align, bytes);
	if (!memory)
		return ENOMEM;
	*out = memory;
	return 0;
}

int
pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
	*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	return comes_up(&threads) ? EAGAIN : real(thread, attr, run, arg);
}

void
_exit(int status)
{
	count();
	syscall(SYS_exit_group, status);
	__builtin_unreachable();
}
