/* A disk that fails on demand: the real one, with one kind of mishap at the Nth call. It also
 * writes down what was called in which order, can hold queued calls back, and stops the test when
 * two writes to a block are in flight together. */
#ifndef PST_TEST_FAULT_H
#define PST_TEST_FAULT_H

#include "segment/disk.h"

enum fault_call {
	FAULT_OPEN = 1 << 0,
	FAULT_MKDIR = 1 << 1,
	FAULT_READ = 1 << 2,
	FAULT_WRITE = 1 << 3, /* the small, buffered ones */
	FAULT_ALLOCATE = 1 << 4,
	FAULT_TRUNCATE = 1 << 5,
	FAULT_SYNC = 1 << 6,
	FAULT_RENAME = 1 << 7,
	FAULT_UNLINK = 1 << 8,
	FAULT_STAT = 1 << 9,
	FAULT_LIST = 1 << 10,
	FAULT_QUEUE_WRITE = 1 << 11,
	FAULT_QUEUE_SYNC = 1 << 12,
	FAULT_QUEUE_UNLINK = 1 << 13,
	FAULT_ANY = (1 << 14) - 1,
};

#define FAULT_EVENTS_MAX 20000
#define FAULT_FILES_MAX  1024

struct fault_event {
	enum fault_call call;
	bool ended; /* a queued call has been reaped */
	int file;   /* or the directory that holds name */
	uint64_t pos, len;
	char name[64];
};

struct fault {
	struct pst_disk disk; /* give this to the code under test */
	unsigned calls;       /* that count */
	unsigned at;          /* 1: the first of them; 0: never */
	bool for_ever;        /* and all after it */
	int error;            /* -errno; 0: queue_write is short by half, others succeed */
	/* What happened. */
	unsigned seen_cnt, failed_cnt, failed_sync_cnt;
	struct fault_event *events;
	unsigned event_cnt;
	unsigned hold; /* queued calls that wait until this is cleared */
	int hold_file; /* only those on this file or directory; -1: on any */
	/* Bytes of a file, wherever it is, that cannot be read: -EIO. Nothing of it if !bad_bytes:
	 * it cannot even be opened. */
	const char *bad_name;
	uint64_t bad_pos, bad_bytes;
	bool bad_files[FAULT_FILES_MAX]; /* open under that name */
};

void fault_init(struct fault *fault);
void fault_fini(struct fault *fault);

/* First event from idx on that is such a call (ended or begun), on the file if it is not -1, with
 * the name if it is not NULL; event_cnt if there is none. */
unsigned fault_find(const struct fault *fault, unsigned idx, enum fault_call call, bool ended,
	int file, const char *name);

#endif
