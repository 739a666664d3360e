/* Inside the account of losses: loss_account.c takes the records, loss_result.c says what they come
 * to. */
#ifndef PENSTOCK_LOSS_ACCOUNT_H
#define PENSTOCK_LOSS_ACCOUNT_H

#include "loss.h"

/* Time that records speak for. */
struct loss_span {
	uint64_t from_ns, to_ns;
	bool is_begin; /* of its run: nothing of it is missing before */
};

struct pst_loss_account {
	uint64_t from_ns, to_ns;
	json_t *rows;      /* key -> row */
	json_t *gaps;      /* run and number -> the gap's last record */
	json_t *intended;  /* filtered, sampled_out, duplicate ... */
	json_t *runs;      /* run -> how it is known */
	json_t *seen;      /* run -> how far its intervals were taken, in the run's own order */
	json_t *recovered; /* run and partition -> true: its recovery was taken */
	json_t *drives;    /* record -> the same */
	struct loss_span *spans;
	size_t span_cnt, span_cap;
	/* Of the run that is being read. */
	char run[64];
	json_int_t last, part; /* the interval taken last: one that was written twice counts once */
	uint64_t interval_ns;
	uint64_t record_cnt;
};

/* A record's fields, and a row's: 0 or "" if it is not there. Numbers beyond 63 bits are text. */
uint64_t loss_number(const json_t *json, const char *name);
const char *loss_text(const json_t *json, const char *name);
void loss_set(json_t *json, const char *name, uint64_t value);
/* A sender that jumps to the end of its numbers leaves very many out; several such do not fit: then
 * the sum is UINT64_MAX. */
void loss_grow(json_t *json, const char *name, uint64_t by);

/* Adds to the row of what, reason and where; place is where, as fields of the row. */
void loss_add(struct pst_loss_account *account, const char *what, const char *unit,
	const char *reason, const json_t *place, uint64_t cnt, uint64_t from_ns, uint64_t to_ns);

#endif
