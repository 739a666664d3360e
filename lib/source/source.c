/* Memory of a table, in this order, each part on a cache line of its own:
 *
 *   | table | sets: tags and weights of eight | senders, eight to a set | others by listener |
 *
 * A set's tags tell with one look who is not there; weights are beside them, so that the search for
 * who leaves touches no sender. */
#include "source/source.h"

#define COUNT_LIMIT (UINT32_C(1) << 20)

struct set {
	uint16_t tags[PST_SOURCE_WAYS]; /* part of the hash; 0: free */
	uint64_t weights[PST_SOURCE_WAYS];
} PST_CACHE_ALIGNED;

struct pst_source_table {
	struct set *sets;
	struct pst_source_entry *sources;
	struct pst_source_count *others; /* by listener */
	struct pst_source_entry *last;   /* datagrams of a sender come in trains */
	uint64_t seed;
	uint64_t left_cnt;
	uint32_t set_cnt;
	uint16_t listener_cnt;
} PST_CACHE_ALIGNED;

static uint32_t
sets_of(uint32_t source_cnt_max)
{
	PST_ASSERT(source_cnt_max > 0 && source_cnt_max <= COUNT_LIMIT);
	return (source_cnt_max + PST_SOURCE_WAYS - 1) / PST_SOURCE_WAYS;
}

static uint64_t
sources_bytes(uint32_t set_cnt)
{
	return pst_align_up((uint64_t)set_cnt * PST_SOURCE_WAYS * sizeof(struct pst_source_entry),
		PST_CACHE_LINE);
}

uint64_t
pst_source_table_bytes(uint32_t source_cnt_max, uint16_t listener_cnt)
{
	uint32_t set_cnt = sets_of(source_cnt_max);
	return sizeof(struct pst_source_table) + set_cnt * sizeof(struct set) +
	       sources_bytes(set_cnt) + listener_cnt * sizeof(struct pst_source_count);
}

struct pst_source_table *
pst_source_table_init(void *mem, uint32_t source_cnt_max, uint16_t listener_cnt, uint64_t seed)
{
	struct pst_source_table *table = mem;
	uint8_t *at = (uint8_t *)mem + sizeof(*table);

	memset(mem, 0, pst_source_table_bytes(source_cnt_max, listener_cnt));
	table->set_cnt = sets_of(source_cnt_max);
	table->listener_cnt = listener_cnt;
	table->seed = seed;
	table->sets = (struct set *)(void *)at;
	at += table->set_cnt * sizeof(struct set);
	table->sources = (struct pst_source_entry *)(void *)at;
	at += sources_bytes(table->set_cnt);
	table->others = (struct pst_source_count *)(void *)at;
	return table;
}

uint32_t
pst_source_cap(const struct pst_source_table *table)
{
	return table->set_cnt * PST_SOURCE_WAYS;
}

static uint64_t
mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t
hash(const struct pst_source_table *table, uint16_t listener_idx, const struct pst_addr *addr)
{
	uint64_t head, tail;
	memcpy(&head, addr->bytes, sizeof(head));
	memcpy(&tail, addr->bytes + sizeof(head), sizeof(tail));
	uint64_t h = mix(tail ^ table->seed, UINT64_C(0x9E3779B97F4A7C15) ^ listener_idx);
	return mix(h ^ head, UINT64_C(0xD6E8FEB86659FD93));
}

static bool
is_sender(const struct pst_source_entry *source, uint16_t listener_idx, const struct pst_addr *addr)
{
	return source->listener_idx == listener_idx &&
	       memcmp(source->addr.bytes, addr->bytes, sizeof(addr->bytes)) == 0;
}

/* A place in the set: a free one, or that of the least, whose counts go to the others. */
static unsigned
make_room(struct pst_source_table *table, struct set *set, struct pst_source_entry *sources)
{
	unsigned way = 0;

	for (unsigned w = 0; w < PST_SOURCE_WAYS; w++) {
		if (set->tags[w] == 0)
			return w;
		if (set->weights[w] < set->weights[way])
			way = w;
	}
	pst_source_count_add(&table->others[sources[way].listener_idx], &sources[way].count);
	table->left_cnt++;
	return way;
}

/* In its set, where it enters if it is not there. */
static __attribute__((noinline)) struct pst_source_entry *
find(struct pst_source_table *table, uint16_t listener_idx, const struct pst_addr *addr,
	uint64_t now_ns)
{
	PST_ASSERT(listener_idx < table->listener_cnt);
	uint64_t h = hash(table, listener_idx, addr);
	uint32_t idx = (uint32_t)(((h >> 32) * table->set_cnt) >> 32);
	uint16_t tag = (uint16_t)(h | 1);
	struct set *set = &table->sets[idx];
	struct pst_source_entry *sources = &table->sources[idx * PST_SOURCE_WAYS];
	unsigned way = 0;

	while (way < PST_SOURCE_WAYS &&
		!(set->tags[way] == tag && is_sender(&sources[way], listener_idx, addr)))
		way++;
	if (pst_unlikely(way == PST_SOURCE_WAYS)) {
		way = make_room(table, set, sources);
		set->tags[way] = tag;
		memset(&sources[way].count, 0, sizeof(sources[way].count));
		sources[way].addr = *addr;
		sources[way].listener_idx = listener_idx;
		sources[way].text_len = 0;
		sources[way].weight = &set->weights[way];
		sources[way].entered_ns = now_ns;
	}
	return &sources[way];
}

struct pst_source_entry *
pst_source_get(struct pst_source_table *table, uint16_t listener_idx, const struct pst_addr *addr,
	uint64_t now_ns)
{
	if (pst_unlikely(!table->last || !is_sender(table->last, listener_idx, addr)))
		table->last = find(table, listener_idx, addr, now_ns);
	table->last->last_seen_ns = now_ns;
	return table->last;
}

const char *
pst_source_text(struct pst_source_entry *source)
{
	if (source->text_len == 0)
		source->text_len = (uint8_t)pst_addr_format(&source->addr, source->text);
	return source->text;
}

uint32_t
pst_source_copy(const struct pst_source_table *table, struct pst_source_entry *sources,
	struct pst_source_count *others, uint64_t *left_cnt)
{
	uint32_t cnt = 0;

	for (uint32_t s = 0; s < pst_source_cap(table); s++)
		if (table->sources[s].entered_ns != 0)
			sources[cnt++] = table->sources[s];
	memcpy(others, table->others, table->listener_cnt * sizeof(*others));
	*left_cnt = table->left_cnt;
	return cnt;
}
