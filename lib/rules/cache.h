/* Compiled databases on disk.
 *
 *   <dir>/<key>.hsdb, 0600, in a directory of 0700:
 *     0  "pstrules"
 *     8  format, big-endian 32
 *    12  zero
 *    16  bytes of the database, big-endian 64
 *    24  key, 32 bytes: the name says the same, so a renamed file does not pass for another
 *    56  SHA-256 over the 56 bytes before and the database
 *    88  the database as hs_serialize_database gives it
 *
 * A database is code for the matcher: one that somebody else could have written is not loaded.
 * Directory and file must be ours and not writable by group or others, and no symbolic links. */
#ifndef PST_RULES_CACHE_H
#define PST_RULES_CACHE_H

#include <stddef.h>
#include <stdint.h>

#define PST_RULES_CACHE_KEY_BYTES 32
#define PST_RULES_CACHE_CNT_MAX   32 /* databases kept, two a set; the oldest go first */

/* Reads an entry. Returns 0 with *out (the caller frees it), or -1: not there. If there was a
 * complaint (refused, damaged), it is in note; else note is "". */
int pst_rules_cache_get(const char *dir, const uint8_t key[PST_RULES_CACHE_KEY_BYTES],
	uint8_t **out, size_t *out_bytes, char *note, size_t note_bytes);

/* Writes an entry so that it is there whole or not at all, and removes the oldest beyond
 * PST_RULES_CACHE_CNT_MAX. Makes the directory if it is missing. Returns 0, or -1 with note. */
int pst_rules_cache_put(const char *dir, const uint8_t key[PST_RULES_CACHE_KEY_BYTES],
	const uint8_t *bytes, size_t len, char *note, size_t note_bytes);

#endif
