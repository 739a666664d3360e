#include "batch/block.h"

#include <assert.h>
#include <string.h>

#include "base/base.h"

/* A difference's lowest bit belongs to the first byte that differs. */
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "byte order");
static_assert(PST_BATCH_BLOCK_BYTES - 1 <= UINT16_MAX, "positions and distances");

enum {
	/* The format's: */
	MATCH_MIN = 4,
	LITERALS_LAST = 5,     /* so many bytes at the end are literals, */
	MATCH_START_LAST = 12, /* and no match starts in the last so many */
	NIBBLE_MAX = 15,       /* of a token; more of a length follows in bytes */
	/* Ours: */
	HASH_BYTES =
		6, /* as many bytes as are looked up: shorter matches cost more than they save */
	COPY_BYTES = 16,
	/* A sequence beyond its literals: token, distance, what a copy writes too much, and a few.
	 */
	SEQUENCE_BYTES_MAX = 48,
	MISS_SHIFT = 6, /* after so many misses, as a power of two, steps grow by one */
};

struct match {
	uint32_t start, end; /* of the later copy */
	uint32_t distance;
};

struct squeeze {
	const uint8_t *src;
	uint16_t *position;
	uint32_t start_max, end_max; /* of matches */
	uint32_t anchor;             /* up to here all is in dst */
	uint32_t miss_cnt;           /* misses since the last match, and the acceleration */
	uint32_t miss_cnt_min;
	uint8_t *to, *to_end;
};

#define INLINE static inline __attribute__((always_inline))

INLINE uint64_t
load64(const uint8_t *at)
{
	uint64_t v;
	memcpy(&v, at, sizeof(v));
	return v;
}

INLINE uint32_t
load32(const uint8_t *at)
{
	uint32_t v;
	memcpy(&v, at, sizeof(v));
	return v;
}

/* ---- matches ---- */

INLINE uint32_t
hash(const uint8_t *at)
{
	uint64_t bytes = load64(at) << (64 - 8 * HASH_BYTES);
	return (uint32_t)(bytes * UINT64_C(0x9E3779B97F4A7C15) >> (64 - BLOCK_HASH_BITS));
}

/* Where the bytes from a on and those from b on begin to differ, as a position of a. */
INLINE uint32_t
same_until(const uint8_t *src, uint32_t a, uint32_t b, uint32_t end)
{
	while (a + 8 <= end) {
		uint64_t differ = load64(src + a) ^ load64(src + b);
		if (differ)
			return a + ((uint32_t)__builtin_ctzll(differ) >> 3);
		a += 8;
		b += 8;
	}
	while (a < end && src[a] == src[b]) {
		a++;
		b++;
	}
	return a;
}

/* How many bytes in front of a and b are the same, up to max. */
INLINE uint32_t
same_before(const uint8_t *src, uint32_t a, uint32_t b, uint32_t max)
{
	uint32_t n = 0;
	while (n < max) {
		uint64_t differ = load64(src + a - n - 8) ^ load64(src + b - n - 8);
		if (differ) {
			n += (uint32_t)__builtin_clzll(differ) >> 3;
			break;
		}
		n += 8;
	}
	return n < max ? n : max;
}

/* Looks the bytes at `at` up, leaves them for those who come, and makes what is found as long as
 * may be, from the anchor up to end_max. */
INLINE bool
find(struct squeeze *s, uint32_t at, uint32_t end_max, struct match *m)
{
	uint32_t slot = hash(s->src + at);
	uint32_t seen = s->position[slot];
	s->position[slot] = (uint16_t)at;
	/* An empty slot says 0: the bytes tell. */
	if (seen >= at || load32(s->src + seen) != load32(s->src + at))
		return false;
	uint32_t back_max = at - s->anchor < seen ? at - s->anchor : seen;
	m->distance = at - seen;
	m->end = same_until(s->src, at + MATCH_MIN, seen + MATCH_MIN, end_max);
	m->start = at - same_before(s->src, at, seen, back_max);
	return true;
}

/* ---- output ---- */

INLINE uint8_t *
put_length_rest(uint8_t *to, uint32_t rest)
{
	for (; rest >= 255; rest -= 255)
		*to++ = 255;
	*to++ = (uint8_t)rest;
	return to;
}

/* The literals up to the match, and the match. False: dst has no room. */
INLINE bool
settle(struct squeeze *s, const struct match *m)
{
	uint32_t literals = m->start - s->anchor, more = m->end - m->start - MATCH_MIN;
	const uint8_t *from = s->src + s->anchor;
	uint8_t *token = s->to, *to = token + 1;

	if ((size_t)(s->to_end - to) < literals + (literals + more) / 255 + SEQUENCE_BYTES_MAX)
		return false;
	if (pst_likely(literals < NIBBLE_MAX)) {
		*token = (uint8_t)(literals << 4);
		memcpy(to, from, COPY_BYTES);
	} else {
		*token = NIBBLE_MAX << 4;
		to = put_length_rest(to, literals - NIBBLE_MAX);
		for (uint32_t i = 0; i < literals; i += COPY_BYTES)
			memcpy(to + i, from + i, COPY_BYTES);
	}
	to += literals;
	to[0] = (uint8_t)m->distance;
	to[1] = (uint8_t)(m->distance >> 8);
	to += 2;
	if (pst_likely(more < NIBBLE_MAX)) {
		*token |= (uint8_t)more;
	} else {
		*token |= NIBBLE_MAX;
		to = put_length_rest(to, more - NIBBLE_MAX);
	}
	s->to = to;
	s->anchor = m->end;
	return true;
}

/* What is left is literals. False: dst has no room. */
static bool
settle_rest(struct squeeze *s, uint32_t len)
{
	uint32_t literals = len - s->anchor;

	if ((size_t)(s->to_end - s->to) < literals + literals / 255 + SEQUENCE_BYTES_MAX)
		return false;
	if (literals < NIBBLE_MAX) {
		*s->to++ = (uint8_t)(literals << 4);
	} else {
		*s->to++ = NIBBLE_MAX << 4;
		s->to = put_length_rest(s->to, literals - NIBBLE_MAX);
	}
	memcpy(s->to, s->src + s->anchor, literals);
	s->to += literals;
	return true;
}

/* ---- search ---- */

/* Byte by byte from `at` to `to`, in ever longer steps the longer nothing matches. */
INLINE bool
search(struct squeeze *s, uint32_t at, uint32_t to)
{
	struct match m;

	while (at < to) {
		if (!find(s, at, s->end_max, &m)) {
			at += s->miss_cnt++ >> MISS_SHIFT;
			continue;
		}
		if (pst_unlikely(!settle(s, &m)))
			return false;
		at = s->anchor;
		s->miss_cnt = s->miss_cnt_min;
	}
	return true;
}

/* The start of each field that no match has covered yet. A match at the value's is the best, as it
 * most likely comes from an event of the same kind; where it does not reach back over the key, the
 * key has its own. */
INLINE bool
cross(struct squeeze *s, const struct block_gap *gap)
{
	const uint32_t headers[] = {gap->from, gap->ts_ns, gap->rules};
	struct match value, m;

	for (unsigned i = 0; i < PST_ARRAY_CNT(headers); i++)
		if (headers[i] >= s->anchor && find(s, headers[i], s->end_max, &m) &&
			!settle(s, &m))
			return false;
	if (s->anchor > gap->value)
		return true;
	bool found = find(s, gap->value, s->end_max, &value);
	uint32_t key_end_max = found ? value.start : s->end_max;
	if (s->anchor <= gap->key && key_end_max >= gap->key + (uint32_t)MATCH_MIN &&
		find(s, gap->key, key_end_max, &m) && !settle(s, &m))
		return false;
	if (!found)
		return true;
	s->miss_cnt = s->miss_cnt_min;
	return settle(s, &value);
}

uint32_t
block_compress(struct block_table *table, const uint8_t *src, uint32_t len,
	const struct block_gap *gaps, uint32_t gap_cnt, int acceleration, uint8_t *dst)
{
	if (len <= SEQUENCE_BYTES_MAX)
		return 0;
	struct squeeze s = {
		.src = src,
		.position = table->position,
		.start_max = len - MATCH_START_LAST,
		.end_max = len - LITERALS_LAST,
		.miss_cnt = (uint32_t)acceleration << MISS_SHIFT,
		.miss_cnt_min = (uint32_t)acceleration << MISS_SHIFT,
		.to = dst,
		.to_end = dst + len,
	};
	uint32_t at = 0;

	memset(table, 0, sizeof(*table));
	for (uint32_t i = 0; i < gap_cnt && gaps[i].value <= s.start_max; i++) {
		uint32_t from = gaps[i].from;
		/* What is looked up shall not reach into the gap. */
		if (!search(&s, at, from < HASH_BYTES ? 0 : from - HASH_BYTES + 1) ||
			!cross(&s, &gaps[i]))
			return 0;
		at = s.anchor > gaps[i].value ? s.anchor : gaps[i].value + 1u;
	}
	if (!search(&s, at, s.start_max + 1) || !settle_rest(&s, len))
		return 0;
	return (uint32_t)(s.to - dst);
}
