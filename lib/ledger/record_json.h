/* Inside the records: what each of them is put together from. */
#ifndef PST_LEDGER_RECORD_JSON_H
#define PST_LEDGER_RECORD_JSON_H

#include <jansson.h>

#include "ledger/record.h"

/* A record with what all have. NULL: no memory. */
json_t *record_begin(const struct pst_record_sink *sink, const char *kind);

/* Takes the record (NULL: none could be made) and gives its text away. ASCII: what a sender chose
 * cannot steer a terminal. 0 or -ENOMEM. */
int record_emit(const struct pst_record_sink *sink, json_t *record);

/* What a sender chose may need all 64 bits, of which JSON's readers take 63: beyond it is text, as
 * in telemetry. */
void record_set_u64(json_t *object, const char *name, uint64_t value);
/* The same, but 0 is left out. */
void record_set_counted(json_t *object, const char *name, uint64_t value);

#endif
