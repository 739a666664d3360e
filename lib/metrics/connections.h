/* The connections of the endpoint, and which of them must go.
 *
 * A client has as long as a request and its answer may take, counted from its connection or from
 * the end of the answer before; then its connection is closed, whatever it did meanwhile. When a
 * new one finds no room, of all or of its address, the one that has waited longest for the end of a
 * request makes room: so clients that hold connections cannot keep others out.
 *
 * Pure bookkeeping: the caller closes what it is told to. One thread. */
#ifndef PST_CONNECTIONS_H
#define PST_CONNECTIONS_H

#include "base/addr.h"
#include "base/base.h"

#define PST_CONNECTIONS_MAX         64
#define PST_CONNECTIONS_ADDRESS_MAX 16 /* of one address */
#define PST_CONNECTION_LIFE_NS      UINT64_C(10000000000)
/* Connections told to close are gone a turn later. */
#define PST_CONNECTIONS_SLOTS (2 * PST_CONNECTIONS_MAX)

struct pst_connection {
	int fd; /* -1: free slot */
	bool is_closing;
	struct pst_addr addr;
	uint64_t since_ns; /* of the connection, or of the end of its last answer */
};

struct pst_connections {
	struct pst_connection slots[PST_CONNECTIONS_SLOTS];
	uint32_t cnt; /* in use, without those that are closing */
};

void pst_connections_init(struct pst_connections *all);

/* Takes in a new connection; NULL: no slot (the caller closes fd). *evicted is the fd of another
 * one that must be closed for it, or -1. */
struct pst_connection *pst_connections_add(struct pst_connections *all, int fd,
	const struct pst_addr *addr, uint64_t now_ns, int *evicted);

/* It has ended: its slot is free. */
void pst_connections_remove(struct pst_connections *all, struct pst_connection *connection);

/* fd of a connection whose time is over, or -1. Each is told once. */
int pst_connections_expired(struct pst_connections *all, uint64_t now_ns);

#endif
