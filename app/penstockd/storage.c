#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "segment/reader.h"
#include "topology.h"

static struct pst_log_config
log_config(const struct pst_profile_stream *stream, uint32_t partition)
{
	return (struct pst_log_config){
		.topic = stream->name,
		.partition = partition,
		.segment_bytes_max = stream->segment_bytes_max,
		.segment_age_max_ns = stream->segment_age_max_ns,
		.retain_bytes = stream->retain_bytes,
		.retain_age_ns = stream->retain_age_ns,
	};
}

static int
add_log(struct pst_storage *storage, uint16_t writer_idx, const struct pst_profile_stream *stream,
	uint32_t partition, int *log_idx, struct pst_diag *diag)
{
	struct pst_log_config config = log_config(stream, partition);
	struct pst_recovery found;

	*log_idx = pst_appender_add(storage->appenders[writer_idx], &config, &found, diag);
	if (*log_idx < 0)
		return -1;
	if (found.cut_bytes || found.set_aside_bytes || found.index_rebuilt_cnt || found.note[0])
		pst_log(found.set_aside_bytes ? PST_LOG_WARNING : PST_LOG_NOTICE,
			"recovered %s-%u: next offset %lld, %llu bytes of torn tail cut, %llu "
			"bytes "
			"set aside, %u indexes rebuilt%s%s",
			stream->name, partition, (long long)found.next_offset,
			(unsigned long long)found.cut_bytes,
			(unsigned long long)found.set_aside_bytes, found.index_rebuilt_cnt,
			found.note[0] ? ": " : "", found.note);
	return 0;
}

/* Arrival of the newest event of a partition; 0 if there is none. */
static uint64_t
newest_ns(const struct pst_profile *profile, const char *stream, uint32_t partition)
{
	struct pst_batch_record record;
	struct pst_reader *reader;
	struct pst_diag diag;
	uint64_t newest = 0;

	if (pst_reader_open(profile->data_dir, stream, partition, &reader, &diag) != 0)
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

/* Partitions that had a queue once and have none now stay under retention. */
struct orphan_search {
	const struct pst_profile *profile;
	struct pst_storage *storage;
	struct pst_diag *diag;
};

static int
adopt_orphan(void *arg, const char *topic, uint32_t partition)
{
	struct orphan_search *search = arg;
	int log_idx;

	for (uint16_t q = 0; q < search->profile->queue_cnt; q++)
		if (search->storage->partition[q] == (int)partition)
			return 0;
	for (uint16_t s = 0; s < search->profile->stream_cnt; s++)
		if (strcmp(search->profile->streams[s].name, topic) == 0)
			return add_log(search->storage, 0, &search->profile->streams[s], partition,
				&log_idx, search->diag);
	return 0; /* a stream that the profile no longer names: left alone */
}

static int
create_appenders(
	const struct pst_profile *profile, struct pst_storage *storage, struct pst_diag *diag)
{
	struct pst_appender_config config = {
		.flush_bytes = profile->flush_bytes,
		.flush_age_ns = profile->flush_age_ns,
		.dir = storage->datadir,
	};

	for (uint16_t w = 0; w < profile->writer_cnt; w++) {
		struct pst_appender_stats stats;
		if (pst_appender_create(&config, &storage->appenders[w], diag) != 0)
			return -1;
		pst_appender_stats(storage->appenders[w], &stats);
		if (w == 0 && !stats.direct)
			pst_notice("%s: the filesystem has no O_DIRECT: writing through the page "
				   "cache",
				profile->data_dir);
	}
	return 0;
}

int
pst_storage_open(
	const struct pst_profile *profile, struct pst_storage *storage, struct pst_diag *diag)
{
	memset(storage, 0, sizeof(*storage));
	if (pst_datadir_open(profile->data_dir, &storage->datadir, diag) != 0)
		return -1;
	pst_datadir_retain(storage->datadir, profile->data_retain_bytes);
	if (create_appenders(profile, storage, diag) != 0)
		return -1;
	for (uint16_t q = 0; q < profile->queue_cnt; q++) {
		const struct pst_profile_queue *queue = &profile->queues[q];
		storage->partition[q] = pst_datadir_partition(storage->datadir,
			profile->ports[queue->port_idx].name, queue->queue_id, diag);
		if (storage->partition[q] < 0)
			return -1;
	}
	for (uint16_t s = 0; s < profile->stream_cnt; s++) {
		for (uint16_t q = 0; q < profile->queue_cnt; q++) {
			struct pst_log_place *place = &storage->place[s][q];
			place->writer_idx = (uint16_t)((s + q) % profile->writer_cnt);
			if (add_log(storage, place->writer_idx, &profile->streams[s],
				    (uint32_t)storage->partition[q], &place->log_idx, diag) != 0)
				return -1;
			storage->newest_ns[q] = pst_max_u64(
				storage->newest_ns[q], newest_ns(profile, profile->streams[s].name,
							       (uint32_t)storage->partition[q]));
		}
	}
	struct orphan_search search = {profile, storage, diag};
	int rc = pst_reader_list(profile->data_dir, adopt_orphan, &search);
	if (rc < -1)
		return pst_diag_set(diag, profile->data_dir, 0, NULL, NULL,
			"cannot list the data directory: %s", strerror(-rc));
	return rc;
}

int
pst_storage_close(const struct pst_profile *profile, struct pst_storage *storage)
{
	int first_error = 0;

	for (uint16_t w = 0; w < profile->writer_cnt; w++) {
		if (!storage->appenders[w])
			continue;
		int rc = pst_appender_destroy(storage->appenders[w]);
		storage->appenders[w] = NULL;
		if (rc != 0 && first_error == 0)
			first_error = rc;
	}
	if (storage->datadir)
		pst_datadir_close(storage->datadir);
	storage->datadir = NULL;
	return first_error;
}
