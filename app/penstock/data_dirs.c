#include "data_dirs.h"

#include "penstock.h"

int
data_dirs_add(struct data_dirs *dirs, const char *command, const char *path)
{
	if (dirs->cnt == PST_DRIVES_MAX)
		return pst_usage_error(
			command, "at most %d data directories at a time", PST_DRIVES_MAX);
	dirs->paths[dirs->cnt++] = path;
	return -1;
}

int
data_dirs_load(struct data_dirs *dirs, const char *command, const char *profile_file)
{
	struct pst_diag diag;
	int status = -1;

	if (dirs->profile)
		return pst_usage_error(command, "one --profile is enough");
	if (pst_profile_load(profile_file, &dirs->profile, &diag) != 0) {
		dirs->profile = NULL;
		pst_diag_print(stderr, &diag);
		return EXIT_USAGE;
	}
	for (uint16_t d = 0; d < dirs->profile->data_dir_cnt && status < 0; d++)
		status = data_dirs_add(dirs, command, dirs->profile->data_dirs[d]);
	return status;
}

void
data_dirs_free(struct data_dirs *dirs)
{
	pst_profile_free(dirs->profile);
	dirs->profile = NULL;
}
