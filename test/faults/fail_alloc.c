/* To be preloaded: the allocation number PST_FAIL_ALLOC of a process fails, once. How many there
 * were goes to the file PST_COUNT_ALLOC. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t cnt, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);
void *__libc_memalign(size_t align, size_t bytes);

static _Atomic unsigned long seen;
static unsigned long at; /* 0: none, or not known yet */

__attribute__((constructor)) static void
begin(void)
{
	const char *value = getenv("PST_FAIL_ALLOC");
	at = value ? strtoul(value, NULL, 10) : 0;
	/* Its children are not meant. */
	unsetenv("PST_FAIL_ALLOC");
	seen = 0;
}

__attribute__((destructor)) static void
end(void)
{
	const char *name = getenv("PST_COUNT_ALLOC");
	char text[32];
	int fd = name ? open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
	if (fd < 0)
		return;
	int len = snprintf(text, sizeof(text), "%lu\n", seen);
	if (write(fd, text, (size_t)len) != len)
		_exit(99);
	close(fd);
}

static int
fails(void)
{
	if (++seen != at || !at)
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
