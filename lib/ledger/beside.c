#include "ledger/beside.h"

#include <errno.h>
#include <stdlib.h>

#include "base/base.h"

void
pst_beside_init(struct pst_beside *beside)
{
	memset(beside, 0, sizeof(*beside));
}

void
pst_beside_fini(struct pst_beside *beside)
{
	free(beside->counters);
	memset(beside, 0, sizeof(*beside));
}

void
pst_beside_begin(struct pst_beside *beside)
{
	for (uint32_t i = 0; i < beside->cnt; i++)
		beside->counters[i].before = beside->counters[i].total;
	beside->cursor = 0;
}

static bool
reserve(struct pst_beside *beside, uint32_t cnt)
{
	uint32_t cap = beside->cap ? beside->cap : 64;

	if (cnt <= beside->cap)
		return true;
	while (cap < cnt)
		cap *= 2;
	struct pst_beside_counter *counters = realloc(beside->counters, cap * sizeof(*counters));
	if (!counters)
		return false;
	beside->counters = counters;
	beside->cap = cap;
	return true;
}

/* Readings come in the same order each time: the search begins behind the last one. */
static struct pst_beside_counter *
find(struct pst_beside *beside, uint16_t owner, const char *name)
{
	for (uint32_t i = 0; i < beside->cnt; i++) {
		uint32_t at = (beside->cursor + i) % beside->cnt;
		struct pst_beside_counter *counter = &beside->counters[at];
		if (counter->owner != owner ||
			strncmp(counter->name, name, PST_BESIDE_NAME_MAX - 1) != 0)
			continue;
		beside->cursor = at + 1;
		return counter;
	}
	return NULL;
}

void
pst_beside_read(struct pst_beside *beside, uint16_t owner, enum pst_beside_kind kind,
	const char *name, uint64_t value, bool from_zero)
{
	struct pst_beside_counter *counter = find(beside, owner, name);

	if (!counter) {
		if (beside->cnt == PST_BESIDE_CNT_MAX || !reserve(beside, beside->cnt + 1)) {
			beside->left_out_cnt++;
			return;
		}
		counter = &beside->counters[beside->cnt++];
		*counter = (struct pst_beside_counter){.owner = owner, .kind = kind};
		strncpy(counter->name, name, sizeof(counter->name) - 1);
		counter->raw = from_zero ? 0 : value;
		beside->cursor = beside->cnt;
	}
	if (value < counter->raw) {
		counter->reset_cnt++;
		counter->raw = 0;
	}
	counter->total += value - counter->raw;
	counter->raw = value;
}

uint64_t
pst_beside_lost(const struct pst_beside *beside)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < beside->cnt; i++)
		if (beside->counters[i].kind == PST_BESIDE_LOSS)
			sum += beside->counters[i].total;
	return sum;
}

bool
pst_beside_is_still(const struct pst_beside *beside)
{
	for (uint32_t i = 0; i < beside->cnt; i++)
		if (beside->counters[i].total != beside->counters[i].recorded)
			return false;
	return true;
}

int
pst_beside_copy(struct pst_beside *to, const struct pst_beside *from)
{
	if (!reserve(to, from->cnt))
		return -ENOMEM;
	if (from->cnt > 0)
		memcpy(to->counters, from->counters, from->cnt * sizeof(*to->counters));
	to->cnt = from->cnt;
	to->left_out_cnt = from->left_out_cnt;
	return 0;
}
