/* Small files are written whole or not at all, whenever the power goes. */
#ifndef PST_REPLACE_H
#define PST_REPLACE_H

#include "segment/disk.h"

/* Writes "<name>.tmp", synced, and renames it to name, where a file that is there is replaced. Its
 * directory is not synced. 0 or -errno: then name is as it was. */
int pst_replace(struct pst_disk *disk, int dir, const char *name, const void *data, uint64_t len);

/* What a crash left of that, of a segment's index or seal. */
bool pst_replace_unfinished(const char *name);

#endif
