/* One request at a time from the control side to a data lcore, done between two bursts.
 *
 *   control                          lcore
 *   fn, arg, requested+1 ──release──▶ acquire: requested != served ▶ fn(self, arg)
 *   waits for served ◀──release────── served = requested
 *
 * This is the only way in which another thread looks at or changes what an lcore owns: snapshots,
 * session pages, new rules. */
#ifndef PST_MAILBOX_H
#define PST_MAILBOX_H

#include <stdatomic.h>

#include "base/base.h"

typedef void (*pst_mailbox_fn)(void *self, void *arg);

struct pst_mailbox {
	_Atomic uint32_t requested; /* written by the control side */
	_Atomic uint32_t served;    /* written by the lcore */
	pst_mailbox_fn fn;          /* by the control side, before requested */
	void *arg;
} PST_CACHE_ALIGNED;

/* Control side, callers serialised by the pipeline's mutex. Returns 0, or -ETIMEDOUT when the lcore
 * did not answer within a few seconds: fn may still run later, so arg must live as long as the
 * pipeline. Until it has run, every call returns -ETIMEDOUT at once: a stuck lcore holds nobody up
 * twice. */
int pst_mailbox_call(struct pst_mailbox *mailbox, pst_mailbox_fn fn, void *arg);

/* Lcore side, once a turn. */
static inline void
pst_mailbox_serve(struct pst_mailbox *mailbox, void *self)
{
	uint32_t requested = atomic_load_explicit(&mailbox->requested, memory_order_acquire);
	uint32_t served = atomic_load_explicit(&mailbox->served, memory_order_relaxed);
	if (pst_likely(requested == served))
		return;
	mailbox->fn(self, mailbox->arg);
	/* Pairs with the acquire in pst_mailbox_call: what fn wrote is seen. */
	atomic_store_explicit(&mailbox->served, requested, memory_order_release);
}

#endif
