/* Inside lib/telemetry: replies as the socket carries them -> plain JSON. */
#ifndef PST_TELEMETRY_PLAIN_H
#define PST_TELEMETRY_PLAIN_H

#include <jansson.h>

/* Makes a value of a reply plain, as pst_client_ask says, in depth. Returns a new value, or NULL
 * without memory; the old one is untouched. */
json_t *pst_plain(const json_t *wire);

#endif
