/* What stands on the telemetry socket -> plain JSON: whatever another program answers there. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "telemetry/escape.h"
#include "telemetry/plain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	json_t *wire = json_loadb((const char *)data, len, JSON_DECODE_ANY, NULL);
	if (wire) {
		json_t *plain = pst_plain(wire);
		PST_ASSERT(plain && json_typeof(plain) == json_typeof(wire));
		json_decref(plain);
		json_decref(wire);
	}

	/* Any bytes come back from their escaped form, and that form is plain ASCII. */
	char *text = malloc(PST_ESCAPED_MAX(len)), *back = malloc(PST_ESCAPED_MAX(len));
	PST_ASSERT(text && back && pst_escape(data, len, text, PST_ESCAPED_MAX(len)) == len);
	for (const char *c = text; *c; c++)
		PST_ASSERT(*c >= 0x20 && *c < 0x7f && *c != '"' && *c != '\\');
	PST_ASSERT(pst_unescape(text, back) == len && memcmp(back, data, len) == 0);
	free(text);
	free(back);
	return 0;
}
