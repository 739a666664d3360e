/* What the daemon takes beside EAL's memory: reckoned for --check, and made present at start. */
#ifndef PST_MEMORY_H
#define PST_MEMORY_H

#include <stdio.h>

#include "profile/profile.h"
#include "rules/rules.h"

/* Prints the parts of the ordinary memory and the sum of all. rules: those that would be in force;
 * they are taken twice while new ones are loaded. 0, or -ENOMEM. */
int pst_memory_print(FILE *out, const struct pst_profile *profile, const struct pst_rules *rules);

/* First of all: there is one heap for all threads, and what is large has pages of its own, which go
 * back to the kernel when it is freed. */
void pst_memory_init(void);

/* Once everything is allocated: gives back what the start alone needed, and has the kernel supply
 * every page of the rest now, and of a reserve, so that nobody meets a missing one later. Stacks
 * stay as they are: they have room for a hundred times what they hold. */
void pst_memory_settle(const struct pst_profile *profile);

#endif
