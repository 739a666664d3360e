#include "base/diag.h"

#include <stdarg.h>
#include <string.h>

/* The text may quote the user's file: a terminal must not obey what stands there. */
static void
blank_control_bytes(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++)
		if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0))
			*c = '?';
}

int
pst_diag_set(struct pst_diag *diag, const char *file, unsigned line, const char *key,
	const char *remedy, const char *fmt, ...)
{
	va_list ap;

	memset(diag, 0, sizeof(*diag));
	snprintf(diag->file, sizeof(diag->file), "%s", file ? file : "");
	snprintf(diag->key, sizeof(diag->key), "%s", key ? key : "");
	snprintf(diag->remedy, sizeof(diag->remedy), "%s", remedy ? remedy : "");
	diag->line = line;
	va_start(ap, fmt);
	vsnprintf(diag->text, sizeof(diag->text), fmt, ap);
	va_end(ap);
	blank_control_bytes(diag->key);
	blank_control_bytes(diag->text);
	blank_control_bytes(diag->file);
	return -1;
}

void
pst_diag_print(FILE *out, const struct pst_diag *diag)
{
	if (diag->file[0])
		fputs(diag->file, out);
	if (diag->line)
		fprintf(out, ":%u", diag->line);
	if (diag->file[0])
		fputs(": ", out);
	if (diag->key[0])
		fprintf(out, "%s: ", diag->key);
	fprintf(out, "%s\n", diag->text);
	if (diag->remedy[0])
		fprintf(out, "    remedy: %s\n", diag->remedy);
}
