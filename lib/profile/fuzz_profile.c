/* Any bytes as a profile: refused with a complete message, or a plan that can be printed. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/base.h"
#include "profile/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pst_profile *profile;
	struct pst_diag diag;
	char path[64], *text;
	size_t text_len;

	int fd = memfd_create("profile", MFD_CLOEXEC);
	PST_ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	FILE *out = open_memstream(&text, &text_len);
	PST_ASSERT(out);
	if (pst_profile_load(path, &profile, &diag) == 0) {
		pst_profile_print_plan(out, profile);
		PST_ASSERT(profile->plan.total <= profile->memory_bytes);
		pst_profile_free(profile);
	} else {
		PST_ASSERT(diag.file[0] && diag.text[0]);
		pst_diag_print(out, &diag);
	}
	fclose(out);
	free(text);
	close(fd);
	return 0;
}
