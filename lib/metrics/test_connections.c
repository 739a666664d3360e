#include <criterion/criterion.h>

#include "metrics/connections.h"

#define LIFE PST_CONNECTION_LIFE_NS

static struct pst_connections all;

static void
set_up(void)
{
	pst_connections_init(&all);
}

TestSuite(connections, .init = set_up);

static struct pst_addr
addr(uint8_t last)
{
	return (struct pst_addr){.bytes = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = last}};
}

/* Adds one of that address; returns whom it drove out. */
static int
add(int fd, uint8_t last, uint64_t now_ns)
{
	struct pst_addr from = addr(last);
	int evicted;

	cr_assert_not_null(pst_connections_add(&all, fd, &from, now_ns, &evicted));
	return evicted;
}

Test(connections, an_address_has_room_for_so_many)
{
	for (int i = 0; i < PST_CONNECTIONS_ADDRESS_MAX; i++)
		cr_assert_eq(add(100 + i, 1, 1000u + (unsigned)i), -1);
	cr_assert_eq(add(200, 2, 2000), -1, "another address is not concerned");
	cr_assert_eq(add(201, 1, 2001), 100, "the oldest of the same address goes");
	cr_assert_eq(add(202, 1, 2002), 101);
	cr_assert_eq(all.cnt, PST_CONNECTIONS_ADDRESS_MAX + 1);
}

Test(connections, all_together_have_room_for_so_many)
{
	for (int i = 0; i < PST_CONNECTIONS_MAX; i++)
		cr_assert_eq(add(100 + i, (uint8_t)(i / PST_CONNECTIONS_ADDRESS_MAX), 1000), -1);
	all.slots[7].since_ns = 999;
	cr_assert_eq(add(900, 99, 2000), 107, "whoever waits longest goes");
	cr_assert_eq(all.cnt, PST_CONNECTIONS_MAX);
}

Test(connections, a_slot_is_free_when_its_connection_has_ended)
{
	struct pst_addr from = addr(1);
	struct pst_connection *kept[PST_CONNECTIONS_SLOTS];
	int evicted;

	for (int i = 0; i < PST_CONNECTIONS_SLOTS; i++)
		kept[i] = pst_connections_add(&all, i, &from, 1, &evicted);
	cr_assert_eq(all.cnt, PST_CONNECTIONS_ADDRESS_MAX, "the others are closing");
	cr_assert_null(pst_connections_add(&all, 500, &from, 1, &evicted));
	cr_assert_eq(evicted, -1);
	pst_connections_remove(&all, kept[0]);
	cr_assert_eq(all.cnt, PST_CONNECTIONS_ADDRESS_MAX);
	cr_assert_not_null(pst_connections_add(&all, 500, &from, 1, &evicted));
	for (int i = 1; i < PST_CONNECTIONS_SLOTS; i++)
		pst_connections_remove(&all, kept[i]);
	cr_assert_eq(all.cnt, 1);
}

Test(connections, time_is_over_for_each_once)
{
	add(5, 1, 1000);
	add(6, 1, 2000);
	cr_assert_eq(pst_connections_expired(&all, 999 + LIFE), -1);
	cr_assert_eq(pst_connections_expired(&all, 1000 + LIFE), 5);
	cr_assert_eq(pst_connections_expired(&all, 1000 + LIFE), -1);
	/* An answer that was sent gives new time. */
	all.slots[1].since_ns = 5000;
	cr_assert_eq(pst_connections_expired(&all, 2000 + LIFE), -1);
	cr_assert_eq(pst_connections_expired(&all, 5000 + LIFE), 6);
	cr_assert_eq(all.cnt, 0);
}
