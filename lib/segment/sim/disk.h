/* A simulated disk: what lib/segment writes goes to memory, and at any moment it can be asked what
 * a power loss would leave.
 *
 *   view      what the running process reads back
 *   durable   what the drive surely holds
 *   effects   what is between the two, in order: writes, changes of size, names
 *
 * An effect becomes durable by a sync of its file or directory that was asked for after it had
 * ended: a queued write has ended when it was reaped. A power loss keeps any subset of the others:
 *
 *   bytes   each 512-byte sector by itself: the new bytes, the old ones, or, where nothing was ever
 *           written, garbage, stale bytes of another file among it
 *   sizes   a file's changes of size up to any of them; bytes beyond the size are gone
 *   names   each name of a directory by itself, in the order of that name's changes; a rename is
 *           one. fdatasync of a directory does nothing
 *
 * A failed sync is final: each effect that it should have covered is on the drive now or never, and
 * the view shows it all the same until the power goes.
 *
 * Queued calls end in any order, some turns later, short or with -EAGAIN now and then (unruly). All
 * follows from the seed. One thread. */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "segment/disk.h"
#include "segment/sim/image.h"

enum sim_call {
	SIM_OPEN = 1 << 0,
	SIM_MKDIR = 1 << 1,
	SIM_READ = 1 << 2,
	SIM_WRITE = 1 << 3,
	SIM_ALLOCATE = 1 << 4,
	SIM_TRUNCATE = 1 << 5,
	SIM_SYNC = 1 << 6,
	SIM_RENAME = 1 << 7,
	SIM_UNLINK = 1 << 8,
	SIM_STAT = 1 << 9,
	SIM_LIST = 1 << 10,
	SIM_QUEUE_WRITE = 1 << 11,
	SIM_QUEUE_SYNC = 1 << 12,
	SIM_QUEUE_UNLINK = 1 << 13,
	SIM_ANY = (1 << 14) - 1,
};

/* One kind of mishap, at the Nth of some calls. */
struct sim_fault {
	unsigned calls; /* that count */
	unsigned at;    /* 1: the first; 0: never */
	bool for_ever;  /* and all after it */
	int error;      /* -errno; 0: a short write */
};

#define SIM_FILES_MAX    128
#define SIM_HANDLE_FIRST 3

struct sim_effect;
struct sim_queue;

struct sim_disk {
	struct pst_disk disk; /* for the code under test */
	struct pst_host host;
	struct sim_image *view, *durable;
	struct sim_effect *first, *last;
	uint64_t seq;

	struct {
		bool used, locked;
		unsigned flags;
		uint32_t node;
	} files[SIM_FILES_MAX];
	struct sim_queue *queues;

	uint64_t chance;          /* state of the random numbers */
	bool unruly;              /* queued calls end late and in any order */
	uint64_t capacity_blocks; /* 0: no limit */
	int64_t now_ns;           /* of changes */

	struct sim_fault fault;
	unsigned seen_cnt, failed_cnt, failed_sync_cnt;
	unsigned failed_log_sync_cnt; /* queued, of a directory or a file written directly */

	/* Called after each change of what a power loss could leave. */
	void (*changed)(void *arg);
	void *arg;
	unsigned change_cnt, durable_cnt; /* of what was durable, too */
	const char *last_change;          /* for messages */

	const char *wrong; /* a rule of disk.h that the caller broke; NULL: none */
};

/* image becomes the disk's. */
struct sim_disk *sim_disk_new(struct sim_image *image, uint64_t seed);
void sim_disk_free(struct sim_disk *disk);
unsigned sim_disk_open_cnt(const struct sim_disk *disk); /* files not closed */

/* ---- power loss: crash.c ---- */

enum sim_loss {
	SIM_LOSE_ALL,
	SIM_LOSE_NONE,
	SIM_LOSE_ONE,  /* all but one effect got through */
	SIM_KEEP_ONE,  /* one alone */
	SIM_LOSE_SOME, /* each by chance, whole or in sectors */
	SIM_LOSS_CNT,
};
const char *sim_loss_name(enum sim_loss loss);

/* What the drive holds after a power loss now; *chance moves on. *choice is a sum of what was
 * chosen: the same sum is the same image. */
struct sim_image *sim_disk_lose_power(
	const struct sim_disk *disk, enum sim_loss loss, uint64_t *chance, uint64_t *choice);

/* The disk as a successor finds it when the process was killed and the power stayed on: all that
 * had ended is there, in the drive's cache; nothing of it more durable than before. What a failed
 * sync gave up is not there. */
struct sim_disk *sim_disk_restart(const struct sim_disk *disk, uint64_t *chance);

/* ---- chance ---- */
uint64_t sim_chance(uint64_t *state);
static inline uint64_t
sim_below(uint64_t *state, uint64_t limit)
{
	return sim_chance(state) % limit;
}

/* ---- effects: between disk.c, queue.c and crash.c ---- */

enum sim_effect_kind {
	SIM_BYTES, /* written at pos; the size grows to their end */
	SIM_SIZE,  /* truncated to pos */
	SIM_NAMES, /* of a directory: from goes, to names target */
};

struct sim_effect {
	struct sim_effect *next;
	enum sim_effect_kind kind;
	uint32_t node;
	uint64_t seq;
	uint64_t ended_seq; /* 0: not yet */
	uint64_t pos, len;
	uint8_t *data;
	char from[SIM_NAME_BYTES], to[SIM_NAME_BYTES]; /* "": none */
	uint32_t target;
};

struct sim_effect *sim_effect_add(struct sim_disk *disk, enum sim_effect_kind kind, uint32_t node);
void sim_effect_remove(struct sim_disk *disk, struct sim_effect *effect);
void sim_effect_apply(struct sim_image *image, const struct sim_effect *effect);
void sim_effect_end(struct sim_disk *disk, struct sim_effect *effect);
void sim_changed(struct sim_disk *disk, const char *what);
/* Makes durable, or on failure decides for ever about, what had ended when seq was given. */
void sim_sync(struct sim_disk *disk, uint32_t node, bool data_only, uint64_t seq, bool fail);
bool sim_hit(struct sim_disk *disk, enum sim_call call);
bool sim_full(struct sim_disk *disk, uint32_t node, uint64_t end);
void sim_wrong(struct sim_disk *disk, const char *what);

extern const struct pst_disk_ops sim_queue_ops; /* queue.c: the queue's part */

#endif
