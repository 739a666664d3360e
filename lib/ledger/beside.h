/* What stands beside the books: counters of NICs, drivers and the kernel, by name.
 *
 * They are not ours: they begin where they like, may wrap or start anew when a driver resets them,
 * and some count a frame twice or count attempts. So each is followed on its own: total is what was
 * added since the run began; a value that goes back is a reset, counted, and what stands in it then
 * was added since. They never enter the identities of the books.
 *
 * Owner: index of a port of the profile, or PST_BESIDE_KERNEL. Control thread. */
#ifndef PST_LEDGER_BESIDE_H
#define PST_LEDGER_BESIDE_H

#include <stdbool.h>
#include <stdint.h>

#define PST_BESIDE_KERNEL   UINT16_MAX
#define PST_BESIDE_NAME_MAX 80
#define PST_BESIDE_CNT_MAX  4096 /* counters; further ones are not followed, and counted */

enum pst_beside_kind {
	PST_BESIDE_NOTE, /* remarks: attempts, causes of what another counter says, whole traffic */
	PST_BESIDE_LOSS, /* frames or datagrams that were for us, or may have been, and are gone */
};

struct pst_beside_counter {
	uint16_t owner;
	enum pst_beside_kind kind;
	char name[PST_BESIDE_NAME_MAX];
	uint64_t raw;       /* as read last */
	uint64_t total;     /* added since the run began */
	uint64_t before;    /* total at the end of the last interval */
	uint64_t recorded;  /* total in the records that were written */
	uint32_t reset_cnt; /* times that it went back */
};

struct pst_beside {
	struct pst_beside_counter *counters; /* in the order of first sight */
	uint32_t cnt, cap;
	uint64_t left_out_cnt; /* reads of counters that found no room */
	uint32_t cursor;       /* where the next one is likely to be */
};

void pst_beside_init(struct pst_beside *beside);
void pst_beside_fini(struct pst_beside *beside);

/* Ends an interval: what is read from now on belongs to the next. */
void pst_beside_begin(struct pst_beside *beside);

/* Takes a reading. A counter's first reading is where it begins: from_zero says that it began at 0
 * with the run, so that what it holds was added since. */
void pst_beside_read(struct pst_beside *beside, uint16_t owner, enum pst_beside_kind kind,
	const char *name, uint64_t value, bool from_zero);

/* Added in the interval under way. */
static inline uint64_t
pst_beside_added(const struct pst_beside_counter *counter)
{
	return counter->total - counter->before;
}

/* Sum of all losses since the run began. */
uint64_t pst_beside_lost(const struct pst_beside *beside);

/* Whether nothing moved since the records that were written. */
bool pst_beside_is_still(const struct pst_beside *beside);

/* A copy, for readers. 0 or -ENOMEM; *to keeps its memory for the next. */
int pst_beside_copy(struct pst_beside *to, const struct pst_beside *from);

#endif
