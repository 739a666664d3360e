/* Two constant structures, built once:
 *
 *   slots    hash of (address, port) -> listener; a wildcard is an entry under the family's
 *            all-zero address, so that a lookup is one probe or two
 *   ranges   allowed sources of each listener and family as disjoint address ranges, ascending
 */
#include "listener/listener.h"

#include <errno.h>
#include <stdlib.h>

#include "base/base.h"

#define SLOT_FREE UINT16_MAX

/* An address as a number: prefixes become ranges. */
typedef unsigned __int128 addr_num;

struct slot {
	struct pst_addr addr;
	uint16_t udp_port;
	uint16_t listener_idx; /* SLOT_FREE: none */
};

struct addr_range {
	addr_num from, to; /* inclusive */
};

/* Part of the table's ranges. */
struct allowed {
	uint32_t first, cnt;
};

struct listener {
	bool all; /* no allow list */
	struct allowed ipv4, ipv6;
};

struct pst_listener_table {
	struct slot *slots;
	uint32_t slot_mask;
	struct listener *listeners;
	struct addr_range *ranges;
	uint32_t range_cnt;
};

static const struct pst_addr any_ipv4 = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}};
static const struct pst_addr any_ipv6;

static addr_num
addr_number(const struct pst_addr *addr)
{
	return (addr_num)pst_load_be64(addr->bytes) << 64 | pst_load_be64(addr->bytes + 8);
}

/* The slot of (addr, port), or the free one where it would go. */
static inline struct slot *
slot_of(const struct pst_listener_table *table, const struct pst_addr *addr, uint16_t udp_port)
{
	uint64_t head, tail;
	memcpy(&head, addr->bytes, sizeof(head));
	memcpy(&tail, addr->bytes + 8, sizeof(tail));
	/* Addresses differ in few bytes, often the last alone: the product carries each bit into
	 * both halves. */
	unsigned __int128 product = (unsigned __int128)(head ^ udp_port ^
							UINT64_C(0x9e3779b97f4a7c15)) *
				    (tail ^ UINT64_C(0xbf58476d1ce4e5b9));
	uint32_t slot = (uint32_t)(product >> 64) ^ (uint32_t)product;
	for (;; slot++) {
		struct slot *at = &table->slots[slot & table->slot_mask];
		if (at->listener_idx == SLOT_FREE ||
			(at->udp_port == udp_port && memcmp(&at->addr, addr, sizeof(*addr)) == 0))
			return at;
	}
}

static void
slots_fill(struct pst_listener_table *table, const struct pst_profile *profile)
{
	for (uint32_t i = 0; i <= table->slot_mask; i++)
		table->slots[i].listener_idx = SLOT_FREE;
	for (uint16_t l = 0; l < profile->listener_cnt; l++) {
		const struct pst_profile_listener *listener = &profile->listeners[l];
		for (uint16_t a = 0; a < listener->addr_cnt; a++) {
			struct slot *slot = slot_of(table, &listener->addrs[a], listener->udp_port);
			PST_ASSERT(slot->listener_idx == SLOT_FREE); /* the profile saw to it */
			*slot = (struct slot){listener->addrs[a], listener->udp_port, l};
		}
	}
}

static int
range_compare(const void *a, const void *b)
{
	const struct addr_range *left = a, *right = b;
	return left->from < right->from ? -1 : left->from > right->from;
}

/* Appends the prefixes of one family to the table's ranges, sorted and merged. */
static struct allowed
ranges_add(struct pst_listener_table *table, const struct pst_profile_listener *listener, bool ipv4)
{
	struct addr_range *ranges = &table->ranges[table->range_cnt];
	uint32_t cnt = 0, kept = 0;

	for (uint16_t p = 0; p < listener->allow_cnt; p++) {
		const struct pst_prefix *prefix = &listener->allow[p];
		/* ::/0 is all of IPv6 and none of IPv4, though its range holds the mapped ones. */
		if (pst_addr_is_ipv4(&prefix->addr) != ipv4)
			continue;
		addr_num host_bits = prefix->len ? ~(addr_num)0 >> (prefix->len - 1) >> 1
						 : ~(addr_num)0;
		ranges[cnt].from = addr_number(&prefix->addr);
		ranges[cnt].to = ranges[cnt].from | host_bits;
		cnt++;
	}
	qsort(ranges, cnt, sizeof(*ranges), range_compare);
	for (uint32_t i = 0; i < cnt; i++) {
		/* Prefixes hold each other or lie apart: the first of those that start alike need
		 * not be the longest. */
		if (kept && ranges[i].from <= ranges[kept - 1].to) {
			if (ranges[kept - 1].to < ranges[i].to)
				ranges[kept - 1].to = ranges[i].to;
		} else {
			ranges[kept++] = ranges[i];
		}
	}
	struct allowed allowed = {table->range_cnt, kept};
	table->range_cnt += kept;
	return allowed;
}

int
pst_listener_table_create(const struct pst_profile *profile, struct pst_listener_table **out)
{
	struct pst_listener_table *table = calloc(1, sizeof(*table));
	uint32_t addr_cnt = 0, allow_cnt = 0, slot_cnt = 16;

	if (!table)
		return -ENOMEM;
	for (uint16_t l = 0; l < profile->listener_cnt; l++) {
		addr_cnt += profile->listeners[l].addr_cnt;
		allow_cnt += profile->listeners[l].allow_cnt;
	}
	while (slot_cnt < 4 * addr_cnt) /* a quarter full at most: a miss is one probe */
		slot_cnt *= 2;
	table->slot_mask = slot_cnt - 1;
	table->slots = calloc(slot_cnt, sizeof(*table->slots));
	table->listeners = calloc(profile->listener_cnt + 1u, sizeof(*table->listeners));
	table->ranges = calloc(allow_cnt + 1u, sizeof(*table->ranges));
	if (!table->slots || !table->listeners || !table->ranges) {
		pst_listener_table_destroy(table);
		return -ENOMEM;
	}
	slots_fill(table, profile);
	for (uint16_t l = 0; l < profile->listener_cnt; l++) {
		table->listeners[l].all = profile->listeners[l].allow_cnt == 0;
		table->listeners[l].ipv4 = ranges_add(table, &profile->listeners[l], true);
		table->listeners[l].ipv6 = ranges_add(table, &profile->listeners[l], false);
	}
	*out = table;
	return 0;
}

void
pst_listener_table_destroy(struct pst_listener_table *table)
{
	if (!table)
		return;
	free(table->slots);
	free(table->listeners);
	free(table->ranges);
	free(table);
}

int
pst_listener_find(
	const struct pst_listener_table *table, const struct pst_addr *dst, uint16_t dst_port)
{
	const struct slot *slot = slot_of(table, dst, dst_port);
	if (slot->listener_idx == SLOT_FREE)
		slot = slot_of(table, pst_addr_is_ipv4(dst) ? &any_ipv4 : &any_ipv6, dst_port);
	return slot->listener_idx == SLOT_FREE ? -1 : slot->listener_idx;
}

bool
pst_listener_allows(
	const struct pst_listener_table *table, int listener_idx, const struct pst_addr *src)
{
	const struct listener *listener = &table->listeners[listener_idx];
	if (listener->all)
		return true;
	const struct allowed *allowed = pst_addr_is_ipv4(src) ? &listener->ipv4 : &listener->ipv6;
	const struct addr_range *ranges = &table->ranges[allowed->first];
	addr_num addr = addr_number(src);
	uint32_t low = 0, high = allowed->cnt;
	/* The last range that begins at or below the address. */
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (ranges[mid].from <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low > 0 && addr <= ranges[low - 1].to;
}
