/* Full disks as the operator hears of them: at once, then at most every ten seconds. */
#include "base/log.h"
#include "topology.h"

#define SAY_SECONDS 10

static void
say_full(const char *path, const struct pst_fullness *space, struct pst_space_watch *watch)
{
	bool was_full = space->full || space->full_cnt > watch->full_cnt;

	if (was_full && !watch->said_full && watch->quiet_s == 0) {
		pst_warning("%s: the disk is full: new events are shed (disk_full) until there is "
			    "room for twice data.reserve",
			path);
		watch->said_full = true;
		watch->full_cnt = space->full_cnt;
		watch->quiet_s = SAY_SECONDS;
	}
	if (!space->full && watch->said_full) {
		pst_notice("%s: there is space again: new events are stored", path);
		watch->said_full = false;
	}
}

static void
say_retired(const char *path, const struct pst_fullness *space, struct pst_space_watch *watch)
{
	uint64_t cnt = space->retired_segment_cnt - watch->retired_segment_cnt;

	if (cnt == 0 || watch->retired_quiet_s > 0)
		return;
	pst_warning("%s: the disk is full: the %llu oldest segments, %llu bytes, were removed "
		    "before their time",
		path, (unsigned long long)cnt,
		(unsigned long long)(space->retired_bytes - watch->retired_bytes));
	watch->retired_segment_cnt = space->retired_segment_cnt;
	watch->retired_bytes = space->retired_bytes;
	watch->retired_quiet_s = SAY_SECONDS;
}

void
pst_storage_watch_space(const struct pst_profile *profile, struct pst_storage *storage)
{
	for (uint16_t d = 0; d < profile->data_dir_cnt; d++) {
		struct pst_space_watch *watch = &storage->space_watch[d];
		struct pst_datadir *dir = pst_drives_dir(storage->drives, d);
		struct pst_fullness space;

		if (!dir || !pst_drives_usable(storage->drives, d))
			continue;
		watch->quiet_s -= watch->quiet_s > 0;
		watch->retired_quiet_s -= watch->retired_quiet_s > 0;
		pst_datadir_watch_space(dir);
		pst_datadir_fullness(dir, &space);
		say_full(profile->data_dirs[d], &space, watch);
		say_retired(profile->data_dirs[d], &space, watch);
	}
}
