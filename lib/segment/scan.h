/* Walks over the batches of a .log file: recovery, reader and verify see a file through this.
 * Foreign bytes: nothing in the file is believed before it is checked. */
#ifndef PST_SCAN_H
#define PST_SCAN_H

#include <stdatomic.h>

#include "segment/disk.h"
#include "segment/format.h"

enum pst_scan_result {
	PST_SCAN_BATCH,
	PST_SCAN_END, /* the limit, exactly */
	PST_SCAN_BAD, /* verdict says why */
	PST_SCAN_IO,  /* error says which */
};

struct pst_scan {
	struct pst_disk *disk;
	int file;
	uint64_t limit; /* bytes of the file that count */
	uint64_t pos;   /* of the next batch */

	/* The last batch. */
	struct pst_batch_info info;
	uint64_t batch_pos;
	const uint8_t *data; /* of a whole batch; until the next call */
	enum pst_batch_verdict verdict;
	int error; /* -errno */

	uint8_t *buf;
	uint64_t buf_pos;
	uint32_t buf_len, buf_cap;
	uint64_t find_budget; /* bytes that searches may still check */
	uint64_t small_until; /* some byte before it cannot be read: block by block up to here */
	bool over_unreadable; /* searches go on behind what cannot be read */
};

/* Takes its buffer (a little more than the largest batch). 0 or -ENOMEM. */
int pst_scan_init(struct pst_scan *scan, struct pst_disk *disk);
void pst_scan_fini(struct pst_scan *scan);

/* Starts over on another file, at pos. */
void pst_scan_start(struct pst_scan *scan, int file, uint64_t pos, uint64_t limit);

/* The next batch: its header alone, or (whole) all of it with its CRC. */
enum pst_scan_result pst_scan_next(struct pst_scan *scan, bool whole);

enum pst_scan_found {
	PST_FOUND_NONE,
	PST_FOUND_BATCH,    /* scan->pos is where */
	PST_FOUND_TOO_MUCH, /* so many things look like one that the search was given up */
	PST_FOUND_IO,
};
/* Looks for a whole batch with a base offset of at least min_offset, at any position from pos. The
 * offset itself is under no CRC. */
enum pst_scan_found pst_scan_find(struct pst_scan *scan, uint64_t pos, int64_t min_offset);

/* 1: nothing but zeros from pos to the limit; 0: something else; -errno. */
int pst_scan_zeros(struct pst_scan *scan, uint64_t pos);

/* Where the zeros at the end begin that reach to the limit; not before from. Or -errno. */
int64_t pst_scan_data_end(struct pst_scan *scan, uint64_t from);

/* ---- a whole segment ---- */

/* Bytes of an index file that are to be there. */
struct pst_image {
	uint8_t *data;
	size_t len, cap;
};

struct pst_segment_scan {
	/* Set by the caller. */
	int64_t base_offset;
	uint64_t whole_from; /* batches that end beyond this are read whole; headers below it */
	/* Called for each good batch; may be NULL. data is NULL if only the header was read. False:
	 * the batch is not good after all (verdict to be set). */
	bool (*each)(void *arg, const struct pst_scan *scan, enum pst_batch_verdict *verdict);
	void *arg;
	_Atomic uint64_t *walked_bytes; /* good batches are added, for a progress line; or NULL */

	/* The answer. */
	int64_t next_offset; /* behind the last good batch */
	uint64_t good_bytes; /* its end */
	uint64_t batch_cnt;
	int64_t first_ts_ms; /* of the first batch; -1: none */
	struct pst_index_state index;
	struct pst_image index_image, time_image; /* without the entry that closing adds */
	enum pst_scan_result result;              /* END, BAD or IO */
	enum pst_batch_verdict verdict;           /* of BAD; OK: offsets do not follow */
	int64_t found_offset; /* base offset of the batch that does not follow */
	int error;
};

void pst_segment_scan_begin(struct pst_segment_scan *seg); /* images keep their memory */

/* Walks on from scan's position until the first batch that is not good. 0 or -ENOMEM. To go on
 * behind damage: set scan->pos and next_offset, and call it again. */
int pst_segment_scan_run(struct pst_segment_scan *seg, struct pst_scan *scan);
void pst_segment_scan_fini(struct pst_segment_scan *seg);

int pst_image_add(struct pst_image *image, const void *data, size_t len); /* 0 or -ENOMEM */

/* 1: the file's bytes are the image (with prefix: one may be longer than the other); 0: not;
 * -errno. */
int pst_image_compare(struct pst_disk *disk, int file, const struct pst_image *image, bool prefix);

#endif
