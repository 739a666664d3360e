/* The EAL's arguments, made from the profile. */
#ifndef PST_EAL_H
#define PST_EAL_H

#include "base/diag.h"
#include "port/port.h"
#include "profile/profile.h"

/* Starts the EAL. 0, or -1 with *diag. */
int pst_eal_start(
	const struct pst_profile *profile, const struct pst_ports *ports, struct pst_diag *diag);

/* After it: has the kernel give every page of its memory now, and keeps it from forked children.
 * Takes as long as the kernel needs to find the pages. */
void pst_eal_settle_memory(void);

#endif
