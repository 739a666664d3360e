/* A reply of the telemetry socket, built so that nothing of it can be lost in silence.
 *
 * rte_telemetry (22.11) cuts what it cannot hold without a word: replies at 16 KiB, strings at 127
 * bytes, dictionaries at 256 entries; names take [A-Za-z0-9_/] only, arrays take no dictionaries,
 * signed integers have 32 bits. Here every add is checked and every byte that the library is going
 * to print is counted beforehand. A reply that would not fit whole becomes {"error": ...}; a list
 * takes row after row as long as they fit, and the caller says where the next page begins.
 *
 *   reply (top dictionary) ── dictionary ── dictionary ...
 *                         └─ "items": { "7": row, "8": row, ... }
 *
 * Used by one thread, on its stack. */
#ifndef PST_TELEMETRY_REPLY_H
#define PST_TELEMETRY_REPLY_H

#include <rte_telemetry.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of the library's 16 KiB, less the longest command's name and what closes the reply. */
#define PST_REPLY_BYTES_MAX      16000
#define PST_REPLY_CONTAINERS_MAX 2048
#define PST_REPLY_TEXT_MAX       1200 /* escaped bytes of one text */

struct pst_reply {
	struct rte_tel_data *top;
	struct rte_tel_data *containers[PST_REPLY_CONTAINERS_MAX]; /* ours until finished */
	uint32_t container_cnt;
	uint32_t bytes;  /* JSON of everything, at most: a comma is counted for every entry */
	bool failed;     /* something was refused: the reply will be an error */
	bool row_open;   /* what does not fit now only fails the row */
	bool row_failed; /* and did */
};

/* A dictionary of a reply. Copies are fine: it refers to the library's data. */
struct pst_dict {
	struct pst_reply *reply;
	struct rte_tel_data *data;
};

/* Starts a reply in what a telemetry callback was given; returns its top dictionary. */
struct pst_dict pst_reply_init(struct pst_reply *reply, struct rte_tel_data *top);

/* Ends it: always returns 0, for a negative value would print a bare null. If anything did not
 * fit, the reply is {"error": ...} instead. */
int pst_reply_finish(struct pst_reply *reply);

/* Ends it with {"error": text} and nothing else. Returns 0. */
int pst_reply_error(struct pst_reply *reply, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Adds a dictionary to a dictionary. */
struct pst_dict pst_dict_dict(struct pst_dict dict, const char *name);

/* An unsigned number; above 2^63 - 1, which many JSON readers cannot hold, as a string. */
void pst_dict_u64(struct pst_dict dict, const char *name, uint64_t value);
/* A signed number: an integer of the library has 32 bits; of 64, it is a string. */
void pst_dict_i32(struct pst_dict dict, const char *name, int32_t value);
void pst_dict_i64(struct pst_dict dict, const char *name, int64_t value);

/* Bytes that someone else chose, escaped. Up to 127 bytes it is a string; beyond that, in its
 * place, <name>_pieces is an array of strings to be joined. What exceeds PST_REPLY_TEXT_MAX is left
 * off, and <name>_bytes says how many bytes there are. */
void pst_dict_text(struct pst_dict dict, const char *name, const void *text, size_t len);
void pst_dict_string(struct pst_dict dict, const char *name, const char *text);

/* An array of short strings (each at most 127 bytes when escaped). */
struct rte_tel_data *pst_dict_strings(struct pst_dict dict, const char *name);
void pst_strings_add(struct pst_reply *reply, struct rte_tel_data *strings, const char *text);

/* A row of items that may turn out not to fit. Between begin and end only the row is built. */
struct pst_row {
	struct pst_dict dict;
	uint32_t bytes_before;
	uint32_t containers_before;
};
struct pst_row pst_row_begin(struct pst_reply *reply);
/* Attaches the row under the number idx. False: it does not fit any more and is gone. */
bool pst_row_end(struct pst_row *row, struct pst_dict items, uint32_t idx);
/* Takes the row back. */
void pst_row_drop(struct pst_row *row);

#endif
