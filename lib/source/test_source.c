#include <criterion/criterion.h>
#include <stdlib.h>

#include "source/source.h"

#define LISTENERS 3

static struct pst_source_table *
table_of(uint32_t cnt)
{
	void *mem = aligned_alloc(PST_CACHE_LINE,
		pst_align_up(pst_source_table_bytes(cnt, LISTENERS), PST_CACHE_LINE));
	cr_assert_not_null(mem);
	return pst_source_table_init(mem, cnt, LISTENERS, 12345);
}

static struct pst_addr
address(uint32_t number)
{
	struct pst_addr addr = {{[10] = 0xff, [11] = 0xff}};
	pst_store_be32(addr.bytes + 12, number);
	return addr;
}

static void
send_one(struct pst_source_table *table, uint16_t listener, uint32_t sender, uint64_t now_ns,
	uint64_t events)
{
	struct pst_addr addr = address(sender);
	struct pst_source_count count = {.frames = 1, .events = events, .bytes = 10 * events};
	pst_source_add(pst_source_get(table, listener, &addr, now_ns), &count);
}

struct copy {
	struct pst_source_table *table;
	struct pst_source_entry *sources;
	struct pst_source_count others[LISTENERS], sum[LISTENERS]; /* sum: table and others */
	uint64_t left_cnt;
	uint32_t cnt;
};

static struct copy
copy_of(struct pst_source_table *table)
{
	struct copy copy = {
		.table = table, .sources = calloc(pst_source_cap(table), sizeof(*copy.sources))};
	cr_assert_not_null(copy.sources);
	copy.cnt = pst_source_copy(table, copy.sources, copy.others, &copy.left_cnt);
	memcpy(copy.sum, copy.others, sizeof(copy.sum));
	for (uint32_t i = 0; i < copy.cnt; i++)
		pst_source_count_add(
			&copy.sum[copy.sources[i].listener_idx], &copy.sources[i].count);
	return copy;
}

/* The copy and the table. */
static void
free_both(struct copy *copy)
{
	free(copy->sources);
	free(copy->table);
}

static const struct pst_source_entry *
find(const struct copy *copy, uint16_t listener, uint32_t sender)
{
	struct pst_addr addr = address(sender);
	for (uint32_t i = 0; i < copy->cnt; i++)
		if (copy->sources[i].listener_idx == listener &&
			memcmp(&copy->sources[i].addr, &addr, sizeof(addr)) == 0)
			return &copy->sources[i];
	return NULL;
}

Test(source, a_sender_is_counted_for_each_listener)
{
	struct pst_source_table *table = table_of(64);
	send_one(table, 0, 7, 100, 3);
	send_one(table, 1, 7, 200, 5);
	send_one(table, 0, 7, 300, 4);
	struct copy copy = copy_of(table);
	const struct pst_source_entry *source = find(&copy, 0, 7);
	cr_assert_eq(copy.cnt, 2);
	cr_assert_eq(copy.left_cnt, 0);
	cr_assert_eq(source->count.frames, 2);
	cr_assert_eq(source->count.events, 7);
	cr_assert_eq(source->count.bytes, 70);
	cr_assert_eq(source->entered_ns, 100);
	cr_assert_eq(source->last_seen_ns, 300);
	cr_assert_eq(find(&copy, 1, 7)->count.events, 5);
	cr_assert_null(find(&copy, 2, 7));
	free_both(&copy);
}

Test(source, text_is_of_the_sender_that_has_the_place_now)
{
	struct pst_source_table *table = table_of(1);
	for (uint32_t i = 0; i < 100; i++) {
		struct pst_addr addr = address(i * 0x01010101u);
		struct pst_source_entry *source = pst_source_get(table, 0, &addr, 1);
		struct pst_source_count one = {.frames = 1};
		char text[INET6_ADDRSTRLEN];
		unsigned len = pst_addr_format(&addr, text);
		cr_assert_str_eq(pst_source_text(source), text);
		cr_assert_eq(source->text_len, len);
		pst_source_add(source, &one);
	}
	free(table);
}

/* A million forged senders, one datagram each, among them a few that go on sending: the memory is
 * what it was, the few are there from the beginning, and nothing is lost from the sums. */
Test(source, a_flood_of_senders_pushes_out_none_that_matter)
{
	enum { FLOOD = 1000000, REAL = 20, EVERY = 1000 };
	struct pst_source_table *table = table_of(1024);
	uint64_t frames[LISTENERS] = {0}, events[LISTENERS] = {0};

	for (uint32_t i = 0; i < FLOOD; i++) {
		uint16_t listener = (uint16_t)(i % LISTENERS);
		send_one(table, listener, 0x20000000u + i, 10 + i, 1);
		frames[listener]++;
		events[listener]++;
		if (i % EVERY > 0)
			continue;
		for (uint32_t r = 0; r < REAL; r++) {
			send_one(table, 1, r, 10 + i, 30);
			frames[1]++;
			events[1] += 30;
		}
	}
	struct copy copy = copy_of(table);
	cr_assert_eq(copy.cnt, 1024);
	cr_assert_eq(
		copy.cnt + copy.left_cnt, FLOOD + REAL, "each came once and left at most once");
	for (uint32_t r = 0; r < REAL; r++) {
		const struct pst_source_entry *source = find(&copy, 1, r);
		cr_assert(source, "sender %u was pushed out", r);
		cr_assert_eq(source->entered_ns, 10);
		cr_assert_eq(source->count.events, 30 * FLOOD / EVERY);
	}
	for (unsigned l = 0; l < LISTENERS; l++) {
		cr_assert_eq(copy.sum[l].frames, frames[l], "listener %u", l);
		cr_assert_eq(copy.sum[l].events, events[l], "listener %u", l);
		cr_assert_eq(copy.sum[l].bytes, 10 * events[l], "listener %u", l);
		cr_assert_gt(copy.others[l].events, 0);
	}
	free_both(&copy);
}

/* One that begins in the middle of the flood rises, too: those that come once do not stay. */
Test(source, a_frequent_sender_finds_its_place_during_a_flood)
{
	struct pst_source_table *table = table_of(64);
	uint32_t flood = 0x30000000u;

	for (uint32_t i = 0; i < 100000; i++)
		send_one(table, 0, flood++, 1 + i, 1);
	for (uint32_t i = 0; i < 10000; i++) {
		send_one(table, 2, 5, 200000 + i, 1);
		for (unsigned f = 0; f < 4; f++)
			send_one(table, 0, flood++, 200000 + i, 1);
	}
	struct copy copy = copy_of(table);
	const struct pst_source_entry *source = find(&copy, 2, 5);
	cr_assert(source);
	cr_assert_geq(source->count.events, 9900);
	cr_assert_eq(copy.sum[2].events, 10000);
	cr_assert_eq(copy.sum[0].events, 140000);
	free_both(&copy);
}
