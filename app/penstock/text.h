/* A record as text: one line on a FILE. Pure: no files of the log, no state. */
#ifndef PENSTOCK_TEXT_H
#define PENSTOCK_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "batch/batch.h"

/* The event's bytes and a line feed. With for_terminal, whatever could steer a terminal is shown
 * as \xNN: control characters (but for tab), also those beyond ASCII, and bytes that are not
 * UTF-8. */
void text_write_raw(FILE *out, const struct pst_batch_record *record, bool for_terminal);

/* One JSON object: topic, partition, offset, timestamp (ms), key, headers, value.
 *  - key, value and other headers' values are strings where they are UTF-8 and null where there is
 *    none; else the member is called key_base64 (value_base64, NAME_base64);
 *  - headers "seq" and "ts_ns" are numbers, "rules" an array of numbers;
 *  - numbers are exact: up to 2^64 - 1 in "seq", which not every JSON reader keeps. */
void text_write_json(FILE *out, const char *topic, uint32_t partition,
	const struct pst_batch_record *record, bool for_terminal);

/* Bytes of the UTF-8 character at s, 1 to 4, and its code point; 0: not UTF-8 (or len is 0). */
unsigned text_utf8(const uint8_t *s, size_t len, uint32_t *code_point);

#endif
