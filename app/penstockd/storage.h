/* Between storage.c (start, stop) and drives.c (while traffic runs). */
#ifndef PST_STORAGE_H
#define PST_STORAGE_H

#include "topology.h"

/* How a partition of the stream is kept. */
struct pst_log_config pst_storage_log_config(
	const struct pst_profile_stream *stream, uint32_t partition);

/* (port, queue) of the table of partition numbers, see segment/drives/drives.h. */
struct pst_origin {
	const char *port;
	uint16_t queue;
};
struct pst_origin pst_storage_origin(
	const struct pst_profile *profile, uint16_t stream_idx, uint16_t queue_idx);

/* Of the writers that serve the drive, the one whose turn it is. */
uint16_t pst_storage_writer(const struct pst_profile *profile, uint16_t drive_idx, unsigned turn);

#endif
