/* Which listener a datagram is for, and whether its sender may send. Const once built; any
 * thread. */
#ifndef PST_LISTENER_H
#define PST_LISTENER_H

#include "profile/profile.h"

struct pst_listener_table;

/* Allocates (set-up only). profile must outlive the table. Returns 0 or -ENOMEM. */
int pst_listener_table_create(const struct pst_profile *profile, struct pst_listener_table **out);
void pst_listener_table_destroy(struct pst_listener_table *table);

/* Index of the listener for destination address and port, exact addresses before wildcards;
 * -1: none. */
int pst_listener_find(
	const struct pst_listener_table *table, const struct pst_addr *dst, uint16_t dst_port);

/* Whether the source lies in one of the listener's allow prefixes (or there are none). */
bool pst_listener_allows(
	const struct pst_listener_table *table, int listener_idx, const struct pst_addr *src);

#endif
