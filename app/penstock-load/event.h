/* Where the events of penstock-load come from: templates or the lines of a file, taken in turn,
 * each with its sequence number and send time in front if wanted. Pure once loaded. */
#ifndef PST_LOAD_EVENT_H
#define PST_LOAD_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "frame/framing.h"

/* A stamp is "seq=<up to 20 digits> t=<up to 20 digits> ". */
#define LOAD_STAMP_LEN_MAX 48u

struct load_text {
	const char *data;
	uint32_t len;
};

struct load_source {
	struct load_text *texts; /* from malloc, given back by load_source_fini */
	uint64_t text_cnt;
	uint64_t skipped_cnt; /* empty lines of the file: they cannot be told from nothing */
	bool expand;          /* texts are templates: {seq} and {t} are replaced */
	bool stamp;
	uint32_t size_bytes; /* each event is cut or padded to this; 0: as long as it is */
	char *file;          /* the file's bytes, if texts point into them */
};

/* The built-in templates of a framing. texts[0 .. *cnt). */
const struct load_text *load_source_builtin(enum pst_framing framing, uint64_t *cnt);

/* Reads the lines of a file (LF or CRLF, empty ones skipped and counted); "-" is standard input.
 * Returns 0, or -errno; -ENODATA if there is no line that is not empty. */
int load_source_read(struct load_source *source, const char *path);

void load_source_fini(struct load_source *source);

/* Writes the event with the given number (idx counts from 0 and chooses the text) into out and
 * returns its length, or -1 if it is longer than room. The same arguments always give the same
 * bytes. */
int64_t load_event_make(const struct load_source *source, uint64_t idx, uint64_t seq, uint64_t t_ns,
	uint8_t *out, uint32_t room);

#endif
