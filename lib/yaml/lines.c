#include <stdlib.h>
#include <string.h>

#include "yaml/internal.h"

struct pst_yaml_lines *
pst_yaml_lines_new(const char *file)
{
	struct pst_yaml_lines *lines = calloc(1, sizeof(*lines));
	if (lines)
		lines->file = strdup(file);
	if (lines && !lines->file) {
		free(lines);
		return NULL;
	}
	return lines;
}

void
pst_yaml_lines_free(struct pst_yaml_lines *lines)
{
	if (!lines)
		return;
	free(lines->file);
	free(lines->text);
	free(lines->entries);
	free(lines);
}

/* Makes room for one more of need units; cap doubles. */
static int
grow(void **mem, size_t *cap, size_t len, size_t need, size_t unit)
{
	if (len + need <= *cap)
		return 0;
	size_t wanted = *cap ? *cap * 2 : 256;
	while (wanted < len + need)
		wanted *= 2;
	void *bigger = reallocarray(*mem, wanted, unit);
	if (!bigger)
		return -1;
	*mem = bigger;
	*cap = wanted;
	return 0;
}

int
pst_yaml_lines_add(struct pst_yaml_lines *lines, const char *path, unsigned line)
{
	size_t len = strlen(path) + 1;

	if (grow((void **)&lines->text, &lines->text_cap, lines->text_len, len, 1) != 0 ||
		grow((void **)&lines->entries, &lines->entry_cap, lines->entry_cnt, 1,
			sizeof(lines->entries[0])) != 0)
		return -1;
	memcpy(lines->text + lines->text_len, path, len);
	lines->entries[lines->entry_cnt++] = (struct pst_yaml_line_entry){
		.path_off = (uint32_t)lines->text_len, .line = line};
	lines->text_len += len;
	return 0;
}

unsigned
pst_yaml_lines_first(const struct pst_yaml_lines *lines, const char *path)
{
	for (size_t i = 0; i < lines->entry_cnt; i++)
		if (strcmp(path, lines->text + lines->entries[i].path_off) == 0)
			return lines->entries[i].line;
	return 0;
}

static int
compare_entries(const void *a, const void *b, void *text)
{
	const struct pst_yaml_line_entry *x = a, *y = b;
	return strcmp((const char *)text + x->path_off, (const char *)text + y->path_off);
}

void
pst_yaml_lines_sort(struct pst_yaml_lines *lines)
{
	if (lines->entry_cnt)
		qsort_r(lines->entries, lines->entry_cnt, sizeof(lines->entries[0]),
			compare_entries, lines->text);
}

static unsigned
find(const struct pst_yaml_lines *lines, const char *path)
{
	size_t low = 0, high = lines->entry_cnt;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(path, lines->text + lines->entries[mid].path_off);
		if (order == 0)
			return lines->entries[mid].line;
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return 0;
}

unsigned
pst_yaml_line(const struct pst_yaml_lines *lines, const char *path)
{
	char parent[PST_YAML_PATH_MAX];

	if (!lines || strlen(path) >= sizeof(parent))
		return 0;
	strcpy(parent, path);
	for (size_t len = strlen(parent); len > 0;) {
		unsigned line = find(lines, parent);
		if (line)
			return line;
		do
			len--;
		while (len > 0 && parent[len] != '.' && parent[len] != '[');
		parent[len] = '\0';
	}
	return 0;
}

const char *
pst_yaml_file(const struct pst_yaml_lines *lines)
{
	return lines ? lines->file : "";
}
