/* Bytes of any kind as printable ASCII, and back.
 *
 * The telemetry socket carries ASCII only: control bytes are lost there, and bytes from 0x80 on
 * do worse. So every name that a user or a sender chose is written with %XX (upper-case hex) for
 * each byte below 0x20 or above 0x7e and for the percent sign, the double quote and the backslash;
 * all other bytes, spaces included, stand for themselves. Escaped text needs no JSON escape: its
 * length is its length on the wire. */
#ifndef PST_TELEMETRY_ESCAPE_H
#define PST_TELEMETRY_ESCAPE_H

#include <stddef.h>

/* Room that len bytes need at most, the closing NUL included. */
#define PST_ESCAPED_MAX(len) (3 * (size_t)(len) + 1)

/* Escapes len bytes into out, which has cap bytes (at least 1), and closes it with NUL. Stops
 * before the first byte that no longer fits whole. Returns the bytes taken of data: fewer than len
 * if out was too small. */
size_t pst_escape(const void *data, size_t len, char *out, size_t cap);

/* Undoes pst_escape. out needs strlen(text) bytes and may be text itself; no NUL is written, for
 * the bytes may hold some. A percent sign without two hex digits behind it (lower case is taken,
 * too) stands for itself. Returns the length. */
size_t pst_unescape(const char *text, char *out);

#endif
