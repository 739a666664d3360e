#include <errno.h>
#include <stdio.h>

#include "segment/log.h"

int
pst_log_recover(struct pst_log *log, const struct pst_mark *mark, struct pst_recovery *recovery,
	struct pst_diag *diag)
{
	struct pst_disk *disk = log->app->disk;
	int rc = disk->ops->mkdir(disk, log->app->dir->fd, log->name);
	if (rc < 0)
		return pst_diag_set(diag, log->name, 0, NULL, NULL, "%s", strerror(-rc));
	rc = log->dir = disk->ops->open(disk, log->app->dir->fd, log->name, PST_DISK_DIR);
	if (rc >= 0)
		rc = pst_segment_create(log, log->cur);
	if (rc >= 0)
		rc = disk->ops->sync(disk, log->dir);
	if (rc >= 0)
		rc = disk->ops->sync(disk, log->app->dir->fd);
	if (rc < 0)
		return pst_diag_set(diag, log->name, 0, NULL, NULL, "%s", strerror(-rc));
	recovery->clean = true;
	recovery->segment_cnt = 1;
	return 0;
}
