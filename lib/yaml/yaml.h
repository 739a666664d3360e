/* YAML files of the user's: loading by a libcyaml schema with errors that name file, line and key.
 *
 * libcyaml keeps no positions after loading, takes 64M as 64 and ignores a second document. So
 * numbers are schema strings that the parsers below read whole, a pass with libyaml keeps
 * "path of the key -> line", and a second document is an error. That pass holds the document
 * against the schema, too, and knows strings, booleans (true and false alone), enums, flags,
 * mappings (at most 64 keys) and lists; aliases are refused. */
#ifndef PST_YAML_H
#define PST_YAML_H

#include <cyaml/cyaml.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

struct pst_yaml_lines;

/* Reads the file at path (at most 16 MiB, one document) by schema into *out (free with
 * pst_yaml_free) and keeps its positions in *lines. A null value of a key counts as wrong type.
 * Returns 0, or -1 with *diag filled (missing or unreadable file, YAML syntax, unknown or repeated
 * key, wrong type, second document) and the outputs untouched. */
int pst_yaml_load(const char *path, const cyaml_schema_value_t *schema, void **out,
	struct pst_yaml_lines **lines, struct pst_diag *diag);

void pst_yaml_free(const cyaml_schema_value_t *schema, void *data, struct pst_yaml_lines *lines);

/* Line (1-based) of a key's path as in "listeners[1].port"; of the nearest parent that the file
 * has if it does not have the key itself; 0 if there is none. */
unsigned pst_yaml_line(const struct pst_yaml_lines *lines, const char *path);

const char *pst_yaml_file(const struct pst_yaml_lines *lines);

/* Whole-string number parsers. Decimal digits only (no sign, no leading zero except "0" itself,
 * no octal or hex) and, where given, a unit directly behind. Return 0, or -1 if text is not such a
 * number or does not fit in 64 bits; *out is then untouched.
 *   count:    none, or k M G                (powers of 1,000)
 *   bytes:    none, or K M G T (KiB, MiB ...: powers of 1,024; "64M", "64MiB" and "64K" read)
 *   duration: ns us ms s m h d, always with a unit; "0" alone also reads; result in nanoseconds */
int pst_yaml_parse_count(const char *text, uint64_t *out);
int pst_yaml_parse_bytes(const char *text, uint64_t *out_bytes);
int pst_yaml_parse_duration(const char *text, uint64_t *out_ns);

#endif
