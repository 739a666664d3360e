#include "pipeline/mailbox.h"

#include <errno.h>
#include <time.h>

#define MAILBOX_POLL_NS   50000
#define MAILBOX_POLLS_MAX 60000 /* 3 s and more: an lcore's turn takes far less than 10 ms */

static int
mailbox_wait(struct pst_mailbox *mailbox, uint32_t ticket)
{
	for (unsigned i = 0; i < MAILBOX_POLLS_MAX; i++) {
		/* Pairs with the release in pst_mailbox_serve. */
		if (atomic_load_explicit(&mailbox->served, memory_order_acquire) == ticket)
			return 0;
		nanosleep(&(struct timespec){.tv_nsec = MAILBOX_POLL_NS}, NULL);
	}
	return -ETIMEDOUT;
}

int
pst_mailbox_call(struct pst_mailbox *mailbox, pst_mailbox_fn fn, void *arg)
{
	uint32_t ticket = atomic_load_explicit(&mailbox->requested, memory_order_relaxed);
	/* A request that timed out is still there. Pairs with the release in pst_mailbox_serve. */
	if (atomic_load_explicit(&mailbox->served, memory_order_acquire) != ticket)
		return -ETIMEDOUT;
	mailbox->fn = fn;
	mailbox->arg = arg;
	/* Pairs with the acquire in pst_mailbox_serve: fn and arg are seen. */
	atomic_store_explicit(&mailbox->requested, ticket + 1, memory_order_release);
	return mailbox_wait(mailbox, ticket + 1);
}
