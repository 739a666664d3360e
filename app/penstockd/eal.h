/* The EAL's arguments, made from the profile. */
#ifndef PST_EAL_H
#define PST_EAL_H

#include "base/diag.h"
#include "port/port.h"
#include "profile/profile.h"

/* Starts the EAL. 0, or -1 with *diag. */
int pst_eal_start(
	const struct pst_profile *profile, const struct pst_ports *ports, struct pst_diag *diag);

#endif
