#include "pipeline/handoff.h"

#include <rte_common.h>

struct rte_ring *
pst_handoff_ring(const char *name, unsigned cnt, int socket_id)
{
	/* A ring of size n holds n - 1. */
	return rte_ring_create(
		name, rte_align32pow2(cnt + 1), socket_id, RING_F_SP_ENQ | RING_F_SC_DEQ);
}
