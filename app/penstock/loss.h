/* Between the files of `penstock loss`: times as users write them, and the account of what the
 * ledger's records say was lost. */
#ifndef PENSTOCK_LOSS_H
#define PENSTOCK_LOSS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* ---- loss_time.c ---- */

/* Reads "now", "-90s" (ms, s, m, h, d before now), a time as start_parse takes it, or nanoseconds
 * since 1970 (19 digits). False: none of these. */
bool pst_loss_time(const char *text, uint64_t now_ns, uint64_t *out);

/* "2026-11-21T14:00:00.123Z" */
#define PST_LOSS_TIME 32
const char *pst_loss_time_text(char text[PST_LOSS_TIME], uint64_t ns);

/* ---- loss_account.c ---- */

struct pst_loss_account;

#define PST_LOSS_TO_LAST UINT64_MAX

/* from_ns .. to_ns is what is asked for; 0: since the first record, PST_LOSS_TO_LAST: up to the
 * last one, or now. NULL: no memory. */
struct pst_loss_account *pst_loss_account_create(uint64_t from_ns, uint64_t to_ns);
void pst_loss_account_destroy(struct pst_loss_account *account);

/* Takes the records of the ledger's partitions, each in its order, and partitions by rising number.
 * Records that could not be synced are written once more, into the next partition if the drive
 * failed, and those before may reappear: each counts once. record stays the caller's. */
void pst_loss_account_take(struct pst_loss_account *account, const json_t *record);

/* The account as JSON, as `penstock loss --json` prints it (docs/ledger.md). now_ns: up to when
 * records can be expected. The caller's. */
json_t *pst_loss_account_result(struct pst_loss_account *account, uint64_t now_ns);

/* For people. */
void pst_loss_print(FILE *out, const json_t *result);

#endif
