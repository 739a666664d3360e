#include "segment/replace.h"

#include <stdio.h>
#include <string.h>

#include "segment/format.h"

#define UNFINISHED ".tmp"

int
pst_replace(struct pst_disk *disk, int dir, const char *name, const void *data, uint64_t len)
{
	char tmp[PST_SEGMENT_NAME_BYTES];
	snprintf(tmp, sizeof(tmp), "%.40s%s", name, UNFINISHED);
	int file = disk->ops->open(disk, dir, tmp, PST_DISK_WRITE | PST_DISK_CREATE);
	if (file < 0)
		return file;
	int rc = disk->ops->truncate(disk, file, 0);
	if (rc == 0 && len > 0)
		rc = disk->ops->write(disk, file, data, len, 0);
	if (rc == 0)
		rc = disk->ops->sync(disk, file);
	disk->ops->close(disk, file);
	if (rc == 0)
		rc = disk->ops->rename(disk, dir, tmp, name);
	if (rc < 0)
		disk->ops->unlink(disk, dir, tmp);
	return rc;
}

bool
pst_replace_unfinished(const char *name)
{
	char whole[PST_SEGMENT_NAME_BYTES];
	int64_t base;
	enum pst_segment_file kind;
	size_t len = strlen(name), suffix = sizeof(UNFINISHED) - 1;
	if (len <= suffix || len >= sizeof(whole) || strcmp(name + len - suffix, UNFINISHED) != 0)
		return false;
	snprintf(whole, sizeof(whole), "%.*s", (int)(len - suffix), name);
	return pst_segment_name_parse(whole, &base, &kind) && kind != PST_SEGMENT_LOG;
}
