/* When a drive fails while traffic runs: each stream that has a partition there halts the daemon,
 * or goes on in a new partition on another drive, as its policy says.
 *
 *   appender: failed sync or write ─▶ the directory's error ─▶ (control thread) the drive is failed
 *     ─▶ new number, on all drives ─▶ writer begins the log ─▶ rx lcores take the new place
 *
 * What was on its way to the old place comes back as shed; sequence numbers in it are open again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "storage.h"

void
pst_storage_checkpoint(
	const struct pst_profile *profile, const struct pst_storage *storage, bool all)
{
	for (uint16_t d = 0; d < profile->data_dir_cnt; d++) {
		struct pst_datadir *dir = pst_drives_dir(storage->drives, d);
		if (pst_drives_usable(storage->drives, d) &&
			(all || pst_datadir_checkpoint_wanted(dir)))
			pst_datadir_checkpoint(dir);
	}
}

/* The first stream that halts because of a failed drive: -1 with *diag. */
static int
find_halt(const struct pst_profile *profile, const struct pst_storage *storage,
	const struct pst_pipeline *p, struct pst_diag *diag)
{
	struct pst_drive_info info;

	for (uint16_t s = 0; s < profile->stream_cnt; s++) {
		for (uint16_t q = 0; q < pst_profile_partition_cnt(profile, s); q++) {
			uint16_t drive = p->place[s][q].drive_idx;
			if (pst_drives_usable(storage->drives, drive) ||
				profile->streams[s].on_failure == PST_ON_FAILURE_CONTINUE)
				continue;
			pst_drives_info(storage->drives, drive, &info);
			pst_recorder_halted(p->recorder, s, q, &p->place[s][q]);
			return pst_diag_set(diag, profile->data_dirs[drive], 0, NULL,
				"replace the drive, or make it sound, and start again; "
				"streams.on-failure: continue goes on with those that are left",
				"the drive failed (%s), and stream %s halts on failure",
				strerror(info.error), profile->streams[s].name);
		}
	}
	return 0;
}

/* Begins the partition on the next drive that takes it. */
static int
begin_elsewhere(const struct pst_profile *profile, struct pst_storage *storage,
	struct pst_pipeline *p, uint16_t stream_idx, struct pst_log_place *place, unsigned turn,
	struct pst_diag *diag)
{
	struct pst_log_config config = pst_storage_log_config(
		&profile->streams[stream_idx], place->partition);

	pst_diag_set(diag, profile->data_dirs[place->drive_idx], 0, NULL,
		"replace the drives that failed, and start again", "no drive is left");
	for (uint16_t i = 0; i < profile->data_dir_cnt; i++) {
		int drive = pst_drives_deal(storage->drives, turn + i);
		if (drive < 0)
			break;
		place->drive_idx = (uint16_t)drive;
		place->writer_idx = pst_storage_writer(profile, place->drive_idx, turn);
		int rc = pst_pipeline_begin_log(p, &config, place, diag);
		if (rc == 0)
			return 0;
		if (rc == -ETIMEDOUT)
			break;
		pst_diag_print(stderr, diag);
		int err = pst_drives_ask(storage->drives, place->drive_idx);
		if (err)
			pst_drives_fail(storage->drives, place->drive_idx, err);
	}
	return -1;
}

/* One (stream, queue) goes on elsewhere. *number: of the queue's new partitions, -1: none yet. */
static int
move(const struct pst_profile *profile, struct pst_storage *storage, struct pst_pipeline *p,
	uint16_t stream_idx, uint16_t queue_idx, int64_t *number, struct pst_diag *diag)
{
	struct pst_origin origin = pst_storage_origin(profile, stream_idx, queue_idx);
	struct pst_log_place old = p->place[stream_idx][queue_idx], place = old;
	const char *stream = profile->streams[stream_idx].name;

	if (*number < 0)
		*number = pst_drives_number(storage->drives, origin.port, origin.queue, true, diag);
	if (*number < 0)
		return -1;
	place.partition = (uint32_t)*number;
	if (begin_elsewhere(profile, storage, p, stream_idx, &place,
		    (unsigned)stream_idx + queue_idx, diag) != 0)
		return -1;
	pst_pipeline_set_place(p, stream_idx, queue_idx, &place);
	pst_recorder_moved(p->recorder, stream_idx, queue_idx, &old, &place);
	pst_warning("%s-%u goes on as %s-%u in %s", stream, old.partition, stream, place.partition,
		profile->data_dirs[place.drive_idx]);
	return 0;
}

/* All that is on a failed drive, or of it only the ledger. */
static int
move_all(const struct pst_profile *profile, struct pst_storage *storage, struct pst_pipeline *p,
	bool only_ledger, struct pst_diag *diag)
{
	int64_t numbers[PST_QUEUES_MAX], ledger_number = -1;
	bool any = false;

	memset(numbers, -1, sizeof(numbers));
	for (uint16_t s = 0; s < profile->stream_cnt; s++) {
		for (uint16_t q = 0; q < pst_profile_partition_cnt(profile, s); q++) {
			bool is_ledger = s == profile->ledger_stream_idx;
			if (pst_drives_usable(storage->drives, p->place[s][q].drive_idx) ||
				(only_ledger && !is_ledger))
				continue;
			any = true;
			if (move(profile, storage, p, s, q,
				    is_ledger ? &ledger_number : &numbers[q], diag) != 0)
				return -1;
		}
	}
	if (any && pst_pipeline_take_places(p) != 0)
		return pst_diag_set(
			diag, NULL, 0, NULL, "restart the daemon", "an rx lcore does not answer");
	return 0;
}

int
pst_storage_watch(const struct pst_profile *profile, struct pst_storage *storage,
	struct pst_pipeline *p, struct pst_diag *diag)
{
	struct pst_drive_info info;

	for (uint16_t d = 0; d < profile->data_dir_cnt; d++) {
		if (!pst_drives_look(storage->drives, d))
			continue;
		pst_drives_info(storage->drives, d, &info);
		pst_error("%s: the drive failed: %s; nothing more is stored there",
			profile->data_dirs[d], strerror(info.error));
	}
	pst_recorder_drives(p->recorder);
	if (find_halt(profile, storage, p, diag) != 0) {
		/* What comes of it is to be kept, if there is a drive left for it. */
		struct pst_diag unkept;
		if (move_all(profile, storage, p, true, &unkept) != 0)
			pst_log_diag(PST_LOG_WARNING, &unkept);
		return -1;
	}
	int rc = move_all(profile, storage, p, false, diag);
	pst_recorder_drives(p->recorder); /* those that failed meanwhile */
	return rc;
}
