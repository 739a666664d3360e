#include "metrics/exposition.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define CAP_FIRST 65536

void
pst_exposition_fini(struct pst_exposition *x)
{
	free(x->text);
	*x = (struct pst_exposition){0};
}

static void
add(struct pst_exposition *x, const char *bytes, size_t len)
{
	if (x->failed)
		return;
	if (x->len + len > x->cap) {
		size_t cap = pst_max_u64(CAP_FIRST, 2 * (x->len + len));
		char *text = realloc(x->text, cap);
		if (!text) {
			x->failed = true;
			return;
		}
		x->text = text;
		x->cap = cap;
	}
	memcpy(x->text + x->len, bytes, len);
	x->len += len;
}

static void
add_string(struct pst_exposition *x, const char *text)
{
	add(x, text, strlen(text));
}

/* Backslash and line feed, and in label values the quote, are escaped. */
static void
add_escaped(struct pst_exposition *x, const char *text, bool quotes)
{
	for (; *text; text++) {
		if (*text == '\\')
			add_string(x, "\\\\");
		else if (*text == '\n')
			add_string(x, "\\n");
		else if (*text == '"' && quotes)
			add_string(x, "\\\"");
		else
			add(x, text, 1);
	}
}

void
pst_exposition_metric(
	struct pst_exposition *x, const char *name, enum pst_metric_type type, const char *help)
{
	static const char *const types[] = {
		[PST_METRIC_COUNTER] = "counter",
		[PST_METRIC_GAUGE] = "gauge",
		[PST_METRIC_HISTOGRAM] = "histogram",
	};

	PST_ASSERT(type < PST_ARRAY_CNT(types));
	x->metric = name;
	x->part = "";
	add_string(x, "# HELP ");
	add_string(x, name);
	add_string(x, " ");
	add_escaped(x, help, false);
	add_string(x, "\n# TYPE ");
	add_string(x, name);
	add_string(x, " ");
	add_string(x, types[type]);
	add_string(x, "\n");
}

static void
add_sample(struct pst_exposition *x, const char *value, va_list labels)
{
	const char *separator = "{", *name;

	add_string(x, x->metric);
	add_string(x, x->part);
	while ((name = va_arg(labels, const char *)) != NULL) {
		add_string(x, separator);
		add_string(x, name);
		add_string(x, "=\"");
		add_escaped(x, va_arg(labels, const char *), true);
		add_string(x, "\"");
		separator = ",";
	}
	add_string(x, *separator == ',' ? "} " : " ");
	add_string(x, value);
	add_string(x, "\n");
}

void
pst_exposition_u64(struct pst_exposition *x, uint64_t value, ...)
{
	char text[32];
	va_list labels;

	snprintf(text, sizeof(text), "%" PRIu64, value);
	va_start(labels, value);
	add_sample(x, text, labels);
	va_end(labels);
}

void
pst_exposition_i64(struct pst_exposition *x, int64_t value, ...)
{
	char text[32];
	va_list labels;

	snprintf(text, sizeof(text), "%" PRId64, value);
	va_start(labels, value);
	add_sample(x, text, labels);
	va_end(labels);
}

const char *
pst_seconds_text(char text[PST_SECONDS_TEXT], uint64_t ns)
{
	int len = snprintf(
		text, PST_SECONDS_TEXT, "%" PRIu64 ".%09" PRIu64, ns / 1000000000, ns % 1000000000);

	while (text[len - 1] == '0')
		text[--len] = '\0';
	if (text[len - 1] == '.')
		text[--len] = '\0';
	return text;
}

void
pst_exposition_seconds(struct pst_exposition *x, uint64_t ns, ...)
{
	char text[PST_SECONDS_TEXT];
	va_list labels;

	va_start(labels, ns);
	add_sample(x, pst_seconds_text(text, ns), labels);
	va_end(labels);
}

void
pst_exposition_part(struct pst_exposition *x, const char *part)
{
	x->part = part;
}
