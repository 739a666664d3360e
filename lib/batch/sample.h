/* Input for this library's tests: reproducible random numbers and records. */
#ifndef PST_BATCH_SAMPLE_H
#define PST_BATCH_SAMPLE_H

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "batch/batch.h"

struct sample {
	uint64_t state;
	struct pst_record record;
	uint8_t key[PST_BATCH_KEY_MAX];
	uint8_t value[PST_BATCH_VALUE_MAX];
	uint32_t rules[PST_BATCH_RULES_MAX];
};

static inline uint64_t
sample_next(struct sample *s)
{
	s->state ^= s->state << 13;
	s->state ^= s->state >> 7;
	s->state ^= s->state << 17;
	return s->state;
}

static inline void
sample_fill(struct sample *s, void *bytes, size_t len)
{
	uint8_t *at = bytes;
	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)(sample_next(s) >> 32);
}

/* A record with everything random but its sizes; incompressible. */
static inline const struct pst_record *
sample_record(struct sample *s, uint32_t key_len, uint32_t value_len, uint16_t rule_cnt)
{
	sample_fill(s, s->key, key_len);
	sample_fill(s, s->value, value_len);
	sample_fill(s, s->rules, sizeof(s->rules));
	uint64_t bits = sample_next(s);
	s->record = (struct pst_record){
		.key = key_len > 0 || (bits & 1) ? s->key : NULL,
		.key_len = key_len,
		.value = s->value,
		.value_len = value_len,
		/* Around a day of 2026, to and fro by up to an hour. */
		.ts_ns = UINT64_C(1764000000000000000) + sample_next(s) % UINT64_C(3600000000000),
		.has_seq = bits & 2,
		.has_ts_ns = bits & 4,
		.rule_cnt = rule_cnt,
		.seq = sample_next(s),
		.rule_ids = s->rules,
	};
	return &s->record;
}

#endif
