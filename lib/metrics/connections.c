#include "metrics/connections.h"

void
pst_connections_init(struct pst_connections *all)
{
	all->cnt = 0;
	for (uint32_t i = 0; i < PST_CONNECTIONS_SLOTS; i++)
		all->slots[i].fd = -1;
}

static bool
is_open(const struct pst_connection *connection)
{
	return connection->fd >= 0 && !connection->is_closing;
}

static bool
is_of(const struct pst_connection *connection, const struct pst_addr *addr)
{
	return !addr || memcmp(&connection->addr, addr, sizeof(*addr)) == 0;
}

static int
close_one(struct pst_connections *all, struct pst_connection *connection)
{
	connection->is_closing = true;
	all->cnt--;
	return connection->fd;
}

/* Of the open ones (of that address, if one is given): how many, and the oldest. */
static uint32_t
look(struct pst_connections *all, const struct pst_addr *addr, struct pst_connection **oldest)
{
	uint32_t cnt = 0;

	*oldest = NULL;
	for (uint32_t i = 0; i < PST_CONNECTIONS_SLOTS; i++) {
		struct pst_connection *c = &all->slots[i];
		if (!is_open(c) || !is_of(c, addr))
			continue;
		cnt++;
		if (!*oldest || c->since_ns < (*oldest)->since_ns)
			*oldest = c;
	}
	return cnt;
}

struct pst_connection *
pst_connections_add(struct pst_connections *all, int fd, const struct pst_addr *addr,
	uint64_t now_ns, int *evicted)
{
	struct pst_connection *oldest, *slot = NULL;

	*evicted = -1;
	for (uint32_t i = 0; i < PST_CONNECTIONS_SLOTS && !slot; i++)
		if (all->slots[i].fd < 0)
			slot = &all->slots[i];
	if (!slot)
		return NULL;
	if (look(all, addr, &oldest) >= PST_CONNECTIONS_ADDRESS_MAX ||
		look(all, NULL, &oldest) >= PST_CONNECTIONS_MAX)
		*evicted = close_one(all, oldest);
	*slot = (struct pst_connection){.fd = fd, .addr = *addr, .since_ns = now_ns};
	all->cnt++;
	return slot;
}

void
pst_connections_remove(struct pst_connections *all, struct pst_connection *connection)
{
	if (!connection->is_closing)
		all->cnt--;
	connection->fd = -1;
}

int
pst_connections_expired(struct pst_connections *all, uint64_t now_ns)
{
	struct pst_connection *oldest;

	if (look(all, NULL, &oldest) == 0 || now_ns - oldest->since_ns < PST_CONNECTION_LIFE_NS)
		return -1;
	return close_one(all, oldest);
}
