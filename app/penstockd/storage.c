#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "segment/reader.h"
#include "storage.h"
#include "topology.h"

struct pst_log_config
pst_storage_log_config(const struct pst_profile_stream *stream, uint32_t partition)
{
	return (struct pst_log_config){
		.topic = stream->name,
		.partition = partition,
		.segment_bytes_max = stream->segment_bytes_max,
		.segment_age_max_ns = stream->segment_age_max_ns,
		.retain_bytes = stream->retain_bytes,
		.retain_age_ns = stream->retain_age_ns,
		.sealed = stream->sealed,
		/* What is lost while a disk is full is told there. */
		.uses_reserve = strcmp(stream->name, PST_LEDGER_STREAM) == 0,
	};
}

/* One more partition to be recovered. */
static int
plan_log(struct pst_storage *storage, const struct pst_profile_stream *stream,
	const struct pst_log_place *place, struct pst_diag *diag)
{
	struct pst_log_add *grown = realloc(storage->logs, (storage->log_cnt + 1) * sizeof(*grown));
	if (!grown)
		return pst_diag_set(diag, NULL, 0, NULL, NULL, "out of memory");
	storage->logs = grown;
	grown[storage->log_cnt++] = (struct pst_log_add){
		.app = storage->appenders[place->writer_idx][place->drive_idx],
		.config = pst_storage_log_config(stream, place->partition),
	};
	return 0;
}

static void
say_progress(void *arg, const struct pst_add_progress *p)
{
	pst_notice("recovering: %llu of %llu MiB read, %u of %u partitions done after %.0f s",
		(unsigned long long)(pst_min_u64(p->done_bytes, p->total_bytes) >> 20),
		(unsigned long long)(p->total_bytes >> 20), p->done_cnt, p->total_cnt,
		(double)p->elapsed_ns / 1e9);
}

/* All that recovery did to one partition, with the place where. */
static void
say_recovered(const struct pst_log_add *add)
{
	const struct pst_recovery *r = &add->recovery;
	const char *topic = add->config.topic;
	uint32_t partition = add->config.partition;
	char text[256];

	if (r->item_cnt == 0)
		return;
	pst_log(r->set_aside_bytes ? PST_LOG_WARNING : PST_LOG_NOTICE,
		"recovered %s-%u: next offset %lld, %llu bytes of torn tail cut, %llu bytes set "
		"aside, %u indexes rebuilt",
		topic, partition, (long long)r->next_offset, (unsigned long long)r->cut_bytes,
		(unsigned long long)r->set_aside_bytes, r->index_rebuilt_cnt);
	for (uint32_t i = 0; i < r->item_cnt && i < PST_RECOVERY_ITEMS_MAX; i++) {
		if (r->items[i].kind == PST_RECOVERY_INDEX_REBUILT)
			continue;
		pst_recovery_text(&r->items[i], text, sizeof(text));
		pst_log(r->items[i].kind == PST_RECOVERY_CUT ||
					r->items[i].kind == PST_RECOVERY_TRIMMED
				? PST_LOG_NOTICE
				: PST_LOG_WARNING,
			"recovered %s-%u: %s", topic, partition, text);
	}
	if (r->item_cnt > PST_RECOVERY_ITEMS_MAX)
		pst_notice("recovered %s-%u: and %u things more", topic, partition,
			r->item_cnt - PST_RECOVERY_ITEMS_MAX);
}

/* All partitions, as many at a time as there are processors. */
static int
recover(struct pst_storage *storage, struct pst_diag *diag)
{
	uint64_t start = pst_clock_tsc(), bytes = 0;
	uint32_t unclean = 0;
	cpu_set_t cpus;
	int threads = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 2;

	/* Two at least: the caller's own thread says how far they are. */
	threads = threads < 2 ? 2 : threads > PST_ADD_THREADS_MAX ? PST_ADD_THREADS_MAX : threads;
	if (pst_appender_add_all(storage->logs, storage->log_cnt, (unsigned)threads, say_progress,
		    NULL, diag) != 0)
		return -1;
	for (uint32_t i = 0; i < storage->log_cnt; i++) {
		say_recovered(&storage->logs[i]);
		bytes += storage->logs[i].recovery.checked_bytes;
		unclean += !storage->logs[i].recovery.clean;
	}
	storage->recovery_ns = pst_clock_duration_ns(pst_clock_tsc() - start);
	if (bytes > 0)
		pst_notice("recovery read %.1f MiB of %u partitions in %.2f s (%.2f s a GiB)",
			(double)bytes / (1 << 20), unclean, (double)storage->recovery_ns / 1e9,
			(double)storage->recovery_ns / 1e9 / ((double)bytes / (1 << 30)));
	return 0;
}

/* Arrival of the newest event of a partition; 0 if there is none. */
static uint64_t
newest_ns(const char *data_dir, const char *stream, uint32_t partition)
{
	struct pst_batch_record record;
	struct pst_reader *reader;
	struct pst_diag diag;
	uint64_t newest = 0;

	if (pst_reader_open(data_dir, stream, partition, &reader, &diag) != 0)
		return 0;
	int64_t latest = pst_reader_latest(reader);
	if (latest > pst_reader_earliest(reader)) {
		pst_reader_seek(reader, latest - 1);
		if (pst_reader_next(reader, &record, &diag) == PST_READ_RECORD &&
			record.timestamp_ms > 0)
			newest = (uint64_t)record.timestamp_ms * 1000000;
	}
	pst_reader_close(reader);
	return newest;
}

/* ---- who writes what ---- */

/* Of the writers that serve the drive, the one whose turn it is. */
uint16_t
pst_storage_writer(const struct pst_profile *profile, uint16_t drive_idx, unsigned turn)
{
	uint16_t writers[PST_WRITERS_MAX], cnt = 0;

	for (uint16_t w = 0; w < profile->writer_cnt; w++)
		if (pst_profile_writes(profile, w, drive_idx))
			writers[cnt++] = w;
	return writers[turn % cnt];
}

/* Whose partition it is, as the table of numbers knows it. The ledger has none of a queue's: its
 * first partition is 0, and only those that follow it stand in the table. */
struct pst_origin
pst_storage_origin(const struct pst_profile *profile, uint16_t stream_idx, uint16_t queue_idx)
{
	const struct pst_profile_queue *queue = &profile->queues[queue_idx];

	if (stream_idx == profile->ledger_stream_idx)
		return (struct pst_origin){PST_LEDGER_STREAM, 0};
	return (struct pst_origin){profile->ports[queue->port_idx].name, queue->queue_id};
}

/* The number for a partition that is nowhere, and its drive. Where a drive is away it gets one that
 * it cannot have there. */
static int
begin_place(const struct pst_profile *profile, struct pst_storage *storage, uint16_t stream_idx,
	uint16_t queue_idx, struct pst_diag *diag)
{
	struct pst_origin origin = pst_storage_origin(profile, stream_idx, queue_idx);
	struct pst_log_place *place = &storage->place[stream_idx][queue_idx];
	bool is_ledger = stream_idx == profile->ledger_stream_idx;
	bool incomplete = pst_drives_incomplete(storage->drives);
	bool fresh = incomplete && (is_ledger || !storage->has_fresh_number[queue_idx]);
	int64_t number = 0;

	if (!is_ledger || incomplete)
		number = pst_drives_number(storage->drives, origin.port, origin.queue, fresh, diag);
	int drive = pst_drives_deal(storage->drives, (unsigned)stream_idx + queue_idx);
	if (number < 0)
		return -1;
	if (drive < 0)
		return pst_diag_set(diag, profile->data_dirs[0], 0, NULL, "make room",
			"no drive takes new partitions");
	if (!is_ledger)
		storage->has_fresh_number[queue_idx] |= fresh;
	place->partition = (uint32_t)number;
	place->drive_idx = (uint16_t)drive;
	return 0;
}

/* A partition stays where its directory is; new ones are dealt to the drives in turn, and to the
 * writers of each. */
static int
choose_place(const struct pst_profile *profile, struct pst_storage *storage, uint16_t stream_idx,
	uint16_t queue_idx, struct pst_diag *diag)
{
	struct pst_origin origin = pst_storage_origin(profile, stream_idx, queue_idx);
	struct pst_log_place *place = &storage->place[stream_idx][queue_idx];
	const char *stream = profile->streams[stream_idx].name;
	unsigned turn = (unsigned)stream_idx + queue_idx;
	int found = pst_drives_find(storage->drives, stream, origin.port, origin.queue,
		&place->drive_idx, &place->partition, diag);

	if (found == 0 && stream_idx == profile->ledger_stream_idx) {
		place->partition = 0;
		found = pst_drives_where(storage->drives, stream, 0, &place->drive_idx, diag);
	}
	if (found < 0 ||
		(found == 0 && begin_place(profile, storage, stream_idx, queue_idx, diag) != 0))
		return -1;
	if (stream_idx < profile->queue_stream_cnt)
		storage->partition[queue_idx] = (int)pst_max_u64(
			(uint64_t)storage->partition[queue_idx], place->partition);
	place->writer_idx = pst_storage_writer(
		profile, place->drive_idx, turn / profile->data_dir_cnt);
	return 0;
}

/* Partitions that had a queue once and have none now stay under retention. */
struct orphan_search {
	const struct pst_profile *profile;
	struct pst_storage *storage;
	uint16_t drive_idx;
	struct pst_diag *diag;
};

static int
adopt_orphan(void *arg, const char *topic, uint32_t partition)
{
	struct orphan_search *search = arg;
	const struct pst_profile *profile = search->profile;
	struct pst_log_place place = {.partition = partition, .drive_idx = search->drive_idx};

	for (uint16_t s = 0; s < profile->stream_cnt; s++) {
		if (strcmp(profile->streams[s].name, topic) != 0)
			continue;
		for (uint16_t q = 0; q < pst_profile_partition_cnt(profile, s); q++)
			if (search->storage->place[s][q].partition == partition)
				return 0;
		place.writer_idx = pst_storage_writer(profile, place.drive_idx, 0);
		return plan_log(search->storage, &profile->streams[s], &place, search->diag);
	}
	pst_notice("%s: %s-%u is of a stream that the profile does not name: left alone, and under "
		   "no retention",
		profile->data_dirs[search->drive_idx], topic, partition);
	return 0;
}

static int
adopt_orphans(const struct pst_profile *profile, struct pst_storage *storage, struct pst_diag *diag)
{
	for (uint16_t d = 0; d < profile->data_dir_cnt; d++) {
		if (!pst_drives_usable(storage->drives, d))
			continue;
		struct orphan_search search = {profile, storage, d, diag};
		int rc = pst_reader_list(profile->data_dirs[d], adopt_orphan, &search);
		if (rc < -1)
			return pst_diag_set(diag, profile->data_dirs[d], 0, NULL, NULL,
				"cannot list the data directory: %s", strerror(-rc));
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* ---- open ---- */

/* Appenders of a drive's writers. */
static int
create_appenders(const struct pst_profile *profile, uint16_t drive_idx, struct pst_storage *storage,
	struct pst_diag *diag)
{
	struct pst_appender_config config = {
		.flush_bytes = profile->flush_bytes,
		.flush_age_ns = profile->flush_age_ns,
		.dir = pst_drives_dir(storage->drives, drive_idx),
	};
	struct pst_appender_stats stats = {.direct = true};

	pst_datadir_retain(config.dir, profile->data_retain_bytes);
	for (uint16_t w = 0; w < profile->writer_cnt; w++) {
		if (!pst_profile_writes(profile, w, drive_idx))
			continue;
		if (pst_appender_create(&config, &storage->appenders[w][drive_idx], diag) != 0)
			return -1;
		pst_appender_stats(storage->appenders[w][drive_idx], &stats);
	}
	if (!stats.direct)
		pst_notice("%s: the filesystem has no O_DIRECT: writing through the page cache",
			profile->data_dirs[drive_idx]);
	return 0;
}

/* After recovery, which may have needed what there was. */
static void
reserve_space(const struct pst_profile *profile, uint16_t drive_idx, struct pst_storage *storage)
{
	int rc = pst_datadir_when_full(pst_drives_dir(storage->drives, drive_idx),
		profile->data_reserve_bytes, profile->data_when_full == PST_WHEN_FULL_RETAIN);

	if (rc < 0)
		pst_warning("%s: no reserve for a full disk: %s", profile->data_dirs[drive_idx],
			strerror(-rc));
}

/* First those that have a queue, stream by stream; then the others. */
static int
plan_logs(const struct pst_profile *profile, struct pst_storage *storage, struct pst_diag *diag)
{
	for (uint16_t s = 0; s < profile->stream_cnt; s++) {
		for (uint16_t q = 0; q < pst_profile_partition_cnt(profile, s); q++) {
			if (choose_place(profile, storage, s, q, diag) != 0 ||
				plan_log(storage, &profile->streams[s], &storage->place[s][q],
					diag) != 0)
				return -1;
		}
	}
	return adopt_orphans(profile, storage, diag);
}

/* Where in their appenders the logs of queues are, and how far their time is. */
static void
note_logs(const struct pst_profile *profile, struct pst_storage *storage)
{
	const struct pst_log_add *log = storage->logs;

	for (uint16_t s = 0; s < profile->stream_cnt; s++) {
		for (uint16_t q = 0; q < pst_profile_partition_cnt(profile, s); q++, log++) {
			struct pst_log_place *place = &storage->place[s][q];
			bool is_ledger = s == profile->ledger_stream_idx;
			uint64_t *newest = is_ledger ? &storage->ledger_newest_ns
						     : &storage->newest_ns[q];
			place->log_idx = log->log_idx;
			*newest = pst_max_u64(
				*newest, newest_ns(profile->data_dirs[place->drive_idx],
						 profile->streams[s].name, place->partition));
		}
	}
}

/* Whether the daemon may run without a drive that holds data. */
static bool
may_miss_drives(const struct pst_profile *profile)
{
	for (uint16_t s = 0; s < profile->stream_cnt; s++)
		if (profile->streams[s].on_failure != PST_ON_FAILURE_CONTINUE)
			return false;
	return true;
}

/* What of the drives an operator should know before traffic comes. */
static void
say_drives(const struct pst_profile *profile, const struct pst_drives *drives)
{
	struct pst_drive_info info;
	struct stat its, other;
	char text[512];

	for (uint16_t d = 0; d < profile->data_dir_cnt; d++) {
		const char *path = profile->data_dirs[d];
		pst_drives_info(drives, d, &info);
		if (info.state == PST_DRIVE_FAILED)
			pst_warning("%s: started without it: %s", path, strerror(info.error));
		else if (info.note[0])
			pst_warning("%s: %s", path, info.note);
		for (uint16_t i = 0; i < d && stat(path, &its) == 0; i++)
			if (stat(profile->data_dirs[i], &other) == 0 && its.st_dev == other.st_dev)
				pst_warning(
					"%s is on the same device as %s: when it fails, both do",
					path, profile->data_dirs[i]);
	}
	for (unsigned m = 0; pst_drives_missing(drives, m, text, sizeof(text)); m++)
		pst_warning("%s: started without it", text);
}

/* errors: drives that failed at an earlier try. */
static int
open_on(const struct pst_profile *profile, const int *errors, struct pst_storage *storage,
	struct pst_diag *diag)
{
	const struct pst_drives_config config = {
		.paths = profile->data_dirs,
		.disks = storage->disks,
		.cnt = profile->data_dir_cnt,
		.errors = errors,
		.may_miss = may_miss_drives(profile),
		.forget = storage->forget_missing,
	};

	memset(storage->has_fresh_number, 0, sizeof(storage->has_fresh_number));
	memset(storage->partition, 0, sizeof(storage->partition));
	memset(storage->newest_ns, 0, sizeof(storage->newest_ns));
	storage->ledger_newest_ns = 0;
	if (pst_drives_open(&config, &storage->drives, diag) != 0)
		return -1;
	for (uint16_t d = 0; d < profile->data_dir_cnt; d++)
		if (pst_drives_usable(storage->drives, d) &&
			create_appenders(profile, d, storage, diag) != 0)
			return -1;
	if (plan_logs(profile, storage, diag) != 0 || recover(storage, diag) != 0)
		return -1;
	for (uint16_t d = 0; d < profile->data_dir_cnt; d++)
		if (pst_drives_usable(storage->drives, d))
			reserve_space(profile, d, storage);
	note_logs(profile, storage);
	say_drives(profile, storage->drives);
	return 0;
}

/* A drive that opened but could not be recovered: it is left out at the next try. */
static bool
find_sick(const struct pst_profile *profile, const struct pst_storage *storage, int *errors)
{
	for (uint16_t d = 0; d < profile->data_dir_cnt && may_miss_drives(profile); d++) {
		if (!storage->drives || !pst_drives_usable(storage->drives, d))
			continue;
		errors[d] = pst_drives_ask(storage->drives, d);
		if (errors[d])
			return true;
	}
	return false;
}

int
pst_storage_open(
	const struct pst_profile *profile, struct pst_storage *storage, struct pst_diag *diag)
{
	int errors[PST_DRIVES_MAX] = {0};

	while (open_on(profile, errors, storage, diag) != 0) {
		if (!find_sick(profile, storage, errors))
			return -1;
		pst_storage_close(profile, storage);
	}
	return 0;
}

static int
close_drive(const struct pst_profile *profile, uint16_t drive_idx, struct pst_storage *storage)
{
	int first_error = 0;

	for (uint16_t w = 0; w < profile->writer_cnt; w++) {
		struct pst_appender **appender = &storage->appenders[w][drive_idx];
		if (!*appender)
			continue;
		int rc = pst_appender_destroy(*appender);
		*appender = NULL;
		if (rc != 0 && first_error == 0)
			first_error = rc;
	}
	return first_error;
}

int
pst_storage_close(const struct pst_profile *profile, struct pst_storage *storage)
{
	int first_error = 0;

	for (uint16_t d = 0; d < profile->data_dir_cnt; d++) {
		int rc = close_drive(profile, d, storage);
		if (rc != 0 && first_error == 0)
			first_error = rc;
	}
	if (storage->drives)
		pst_drives_close(storage->drives);
	storage->drives = NULL;
	free(storage->logs);
	storage->logs = NULL;
	storage->log_cnt = 0;
	return first_error;
}
