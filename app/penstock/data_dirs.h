/* The data directories that a command looks at: named one by one, or those of a profile. */
#ifndef PENSTOCK_DATA_DIRS_H
#define PENSTOCK_DATA_DIRS_H

#include "profile/profile.h"

struct data_dirs {
	const char *paths[PST_DRIVES_MAX];
	unsigned cnt;
	struct pst_profile *profile; /* whose paths they are; NULL */
};

/* Return -1 to go on, or the exit status: too many, or the profile is wrong, and that was said. */
int data_dirs_add(struct data_dirs *dirs, const char *command, const char *path);
int data_dirs_load(struct data_dirs *dirs, const char *command, const char *profile_file);
void data_dirs_free(struct data_dirs *dirs);

#endif
