#include "yaml/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "yaml/internal.h"

/* libcyaml's first complaint: the later ones are its backtrace. */
static void
keep_complaint(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
	char *text = ctx;
	if (!text[0])
		vsnprintf(text, 200, fmt, args);
}

static cyaml_config_t
cyaml_config(char complaint[200])
{
	return (cyaml_config_t){.log_fn = complaint ? keep_complaint : NULL,
		.log_ctx = complaint,
		.mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_ERROR,
		.flags = CYAML_CFG_NO_ALIAS};
}

static int
read_fd(int fd, const char *path, char **out, size_t *out_len, struct pst_diag *diag)
{
	struct stat st;
	size_t len = 0;

	if (fstat(fd, &st) != 0)
		return pst_diag_set(
			diag, path, 0, NULL, NULL, "cannot be read: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return pst_diag_set(diag, path, 0, NULL, "name a YAML file", "not a regular file");
	if (st.st_size > PST_YAML_FILE_BYTES_MAX)
		return pst_diag_set(diag, path, 0, NULL, "name a YAML file of at most 16 MiB",
			"%lld bytes long", (long long)st.st_size);
	/* One byte of room more tells a file that grew meanwhile. */
	size_t cap = (size_t)st.st_size + 1;
	char *data = malloc(cap);
	if (!data)
		return pst_diag_set(diag, path, 0, NULL, NULL, "out of memory");
	while (len < cap) {
		ssize_t got = read(fd, data + len, cap - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			free(data);
			return pst_diag_set(
				diag, path, 0, NULL, NULL, "cannot be read: %s", strerror(errno));
		}
		if (got == 0)
			break;
		len += (size_t)got;
	}
	if (len == cap) {
		free(data);
		return pst_diag_set(
			diag, path, 0, NULL, "try again", "the file grew while it was read");
	}
	*out = data;
	*out_len = len;
	return 0;
}

static int
read_file(const char *path, char **out, size_t *out_len, struct pst_diag *diag)
{
	/* Non-blocking, so that a FIFO without a writer is refused and not waited for. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return pst_diag_set(diag, path, 0, NULL,
			errno == ENOENT ? "check the path; relative paths start at the working "
					  "directory"
					: "check the path and its permissions",
			"cannot be opened: %s", strerror(errno));
	int rc = read_fd(fd, path, out, out_len, diag);
	close(fd);
	return rc;
}

int
pst_yaml_load(const char *path, const cyaml_schema_value_t *schema, void **out,
	struct pst_yaml_lines **out_lines, struct pst_diag *diag)
{
	char *input = NULL;
	size_t input_len = 0;
	char complaint[200] = "";
	cyaml_data_t *data = NULL;

	if (read_file(path, &input, &input_len, diag) != 0)
		return -1;
	struct pst_yaml_lines *lines = pst_yaml_lines_new(path);
	if (!lines) {
		free(input);
		return pst_diag_set(diag, path, 0, NULL, NULL, "out of memory");
	}
	int rc = pst_yaml_walk(input, input_len, schema, lines, diag);
	if (rc == 0) {
		cyaml_config_t config = cyaml_config(complaint);
		cyaml_err_t err = cyaml_load_data(
			(const uint8_t *)input, input_len, &config, schema, &data, NULL);
		if (err != CYAML_OK)
			rc = pst_diag_set(diag, path, 0, NULL, NULL, "%s: %s", cyaml_strerror(err),
				complaint);
	}
	free(input);
	if (rc != 0) {
		pst_yaml_lines_free(lines);
		return -1;
	}
	pst_yaml_lines_sort(lines);
	*out = data;
	*out_lines = lines;
	return 0;
}

void
pst_yaml_free(const cyaml_schema_value_t *schema, void *data, struct pst_yaml_lines *lines)
{
	cyaml_config_t config = cyaml_config(NULL);

	if (data)
		cyaml_free(&config, schema, data, 0);
	pst_yaml_lines_free(lines);
}
