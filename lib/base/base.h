/* What every other library may use: assert, alignment, byte order. Depends on nothing of ours. */
#ifndef PST_BASE_H
#define PST_BASE_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PST_CACHE_LINE    64
#define PST_CACHE_ALIGNED __attribute__((aligned(PST_CACHE_LINE)))

#define pst_likely(x)   __builtin_expect(!!(x), 1)
#define pst_unlikely(x) __builtin_expect(!!(x), 0)

#define PST_ARRAY_CNT(a) (sizeof(a) / sizeof((a)[0]))

/* Stays on in every build: a programmer's error ends the process before it can damage the log. */
#define PST_ASSERT(cond)                                                                           \
	do {                                                                                       \
		if (pst_unlikely(!(cond)))                                                         \
			pst_assert_failed(#cond, __FILE__, __LINE__);                              \
	} while (0)

_Noreturn void pst_assert_failed(const char *cond, const char *file, int line);

static inline uint64_t
pst_max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint64_t
pst_min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t
pst_align_up(uint64_t value, uint64_t power_of_two)
{
	return (value + power_of_two - 1) & ~(power_of_two - 1);
}

/* Unaligned big-endian loads and stores: wire formats. */
static inline uint16_t
pst_load_be16(const void *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof(v));
	return be16toh(v);
}

static inline uint32_t
pst_load_be32(const void *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static inline uint64_t
pst_load_be64(const void *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

static inline void
pst_store_be16(void *p, uint16_t v)
{
	v = htobe16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void
pst_store_be32(void *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void
pst_store_be64(void *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof(v));
}

#endif
