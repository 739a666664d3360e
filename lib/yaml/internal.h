/* Between the files of lib/yaml. */
#ifndef PST_YAML_INTERNAL_H
#define PST_YAML_INTERNAL_H

#include "yaml/yaml.h"

#define PST_YAML_FILE_BYTES_MAX (16u << 20)
#define PST_YAML_NODES_MAX      (1u << 20) /* keys and list items of one file */
#define PST_YAML_DEPTH_MAX      16
#define PST_YAML_PATH_MAX       512

struct pst_yaml_line_entry {
	uint32_t path_off; /* into text */
	uint32_t line;
};

struct pst_yaml_lines {
	char *file;
	char *text; /* paths, each ended by NUL */
	size_t text_len, text_cap;
	struct pst_yaml_line_entry *entries; /* sorted by path once loaded */
	size_t entry_cnt, entry_cap;
};

/* NULL if there is no memory. */
struct pst_yaml_lines *pst_yaml_lines_new(const char *file);
void pst_yaml_lines_free(struct pst_yaml_lines *lines);

/* Returns 0 or -1 (no memory). */
int pst_yaml_lines_add(struct pst_yaml_lines *lines, const char *path, unsigned line);

/* Line of a path while the entries are not sorted yet; 0 if it is not there. */
unsigned pst_yaml_lines_first(const struct pst_yaml_lines *lines, const char *path);
void pst_yaml_lines_sort(struct pst_yaml_lines *lines);

/* Holds the document against the schema, event by event, and notes where each key and item is.
 * Returns 0, or -1 with *diag: after 0, libcyaml finds nothing that it could object to. */
int pst_yaml_walk(const char *input, size_t input_len, const cyaml_schema_value_t *schema,
	struct pst_yaml_lines *lines, struct pst_diag *diag);

#endif
