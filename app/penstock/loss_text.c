/* The account of `penstock loss` for people. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "loss.h"

#define ROWS_MAX 200 /* of one kind; --json has all */

static long long
number(const json_t *json, const char *name)
{
	return (long long)json_integer_value(json_object_get(json, name));
}

static const char *
text(const json_t *json, const char *name)
{
	const char *value = json_string_value(json_object_get(json, name));
	return value ? value : "";
}

/* Beyond 63 bits it is text. */
static const char *
digits(char out[24], const json_t *json, const char *name)
{
	const char *value = text(json, name);

	if (value[0])
		snprintf(out, 24, "%s", value);
	else
		snprintf(out, 24, "%lld", number(json, name));
	return out;
}

/* Where, in a word or two. What a sender chose is escaped: it cannot steer a terminal. */
static void
print_where(FILE *out, const json_t *row)
{
	const char *what = text(row, "what");
	char from[24], to[24];

	if (strcmp(what, "gap") == 0) {
		char *session = json_dumps(
			json_object_get(row, "session"), JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
		fprintf(out, "%s, session %s, %s to %s%s", text(row, "listener"),
			session ? session : "?", digits(from, row, "from"), digits(to, row, "to"),
			json_is_true(json_object_get(row, "shed_before")) ? " (shed before)" : "");
		free(session);
	} else if (strcmp(what, "missed") == 0) {
		fprintf(out, "port %s", text(row, "port"));
	} else if (strcmp(what, "recovery") == 0) {
		fprintf(out, "%s-%lld", text(row, "stream"), number(row, "partition"));
	} else {
		fprintf(out, "%s, listener %s", text(row, "queue"), text(row, "listener"));
	}
}

static void
print_row(FILE *out, const json_t *row)
{
	char from[PST_LOSS_TIME], to[PST_LOSS_TIME], count[24];

	fprintf(out, "  %12s %-8s  %-20s  ", digits(count, row, "count"), text(row, "unit"),
		text(row, "reason"));
	print_where(out, row);
	fprintf(out, "\n%26s%s", "", pst_loss_time_text(from, (uint64_t)number(row, "from_ns")));
	if (number(row, "to_ns") > number(row, "from_ns"))
		fprintf(out, " to %s", pst_loss_time_text(to, (uint64_t)number(row, "to_ns")));
	if (strcmp(text(row, "reason"), "sync_failed") == 0)
		fputs("; may reappear after recovery", out);
	fputc('\n', out);
}

static void
print_kind(FILE *out, const json_t *result, const char *what, const char *title)
{
	const json_t *rows = json_object_get(result, "lost");
	unsigned cnt = 0;
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		if (strcmp(text(row, "what"), what) != 0)
			continue;
		if (cnt == 0)
			fprintf(out, "%s\n", title);
		if (cnt++ < ROWS_MAX)
			print_row(out, row);
	}
	if (cnt > ROWS_MAX)
		fprintf(out, "  and %u more: --json has all\n", cnt - ROWS_MAX);
}

static const char *
why_unrecorded(const char *why)
{
	if (strcmp(why, "killed") == 0)
		return "the run before has no stop record: killed, or crashed";
	if (strcmp(why, "missing") == 0)
		return "records of a run are not there: damaged, or no longer kept";
	return "no daemon, or its records are no longer kept";
}

static void
print_drive(FILE *out, const json_t *row)
{
	const char *event = text(row, "event");
	char at[PST_LOSS_TIME];

	fprintf(out, "  %s  ", pst_loss_time_text(at, (uint64_t)number(row, "at_ns")));
	if (strcmp(event, "moved") == 0)
		fprintf(out, "%s-%lld goes on as %s-%lld in %s", text(row, "stream"),
			number(row, "partition"), text(row, "stream"), number(row, "to_partition"),
			text(row, "to_path"));
	else if (strcmp(event, "halted") == 0)
		fprintf(out, "%s-%lld halts: the daemon ends", text(row, "stream"),
			number(row, "partition"));
	else
		fprintf(out, "%s %s%s%s", text(row, "path"),
			strcmp(event, "missing") == 0 ? "is missing" : event,
			json_object_get(row, "error") ? ": " : "", text(row, "error"));
	fputc('\n', out);
}

static void
print_drives(FILE *out, const json_t *result)
{
	const json_t *rows = json_object_get(result, "drives");
	json_t *row;
	size_t i;

	if (json_array_size(rows) > 0)
		fputs("drives: what was stored there before is not counted as lost\n", out);
	json_array_foreach(rows, i, row)
	{
		if (i < ROWS_MAX)
			print_drive(out, row);
	}
	if (json_array_size(rows) > ROWS_MAX)
		fprintf(out, "  and %zu more: --json has all\n", json_array_size(rows) - ROWS_MAX);
}

static void
print_unrecorded(FILE *out, const json_t *result)
{
	const json_t *holes = json_object_get(result, "unrecorded");
	char from[PST_LOSS_TIME] = "the beginning", to[PST_LOSS_TIME];
	json_t *hole;
	size_t i;

	if (json_array_size(holes) > 0)
		fputs("no ledger: what was lost then is not known\n", out);
	json_array_foreach(holes, i, hole)
	{
		if (i == ROWS_MAX) {
			fprintf(out, "  and %zu more: --json has all\n",
				json_array_size(holes) - i);
			break;
		}
		uint64_t from_ns = (uint64_t)number(hole, "from_ns");
		uint64_t to_ns = (uint64_t)number(hole, "to_ns");
		if (from_ns > 0)
			pst_loss_time_text(from, from_ns);
		fprintf(out, "  %s to %s", from, pst_loss_time_text(to, to_ns));
		if (from_ns > 0)
			fprintf(out, " (%.1f s)", (double)(to_ns - from_ns) / 1e9);
		fprintf(out, ": %s\n", why_unrecorded(text(hole, "why")));
	}
}

void
pst_loss_print(FILE *out, const json_t *result)
{
	const json_t *intended = json_object_get(result, "intended");
	char from[PST_LOSS_TIME] = "the beginning", to[PST_LOSS_TIME];

	if (number(result, "from_ns") > 0)
		pst_loss_time_text(from, (uint64_t)number(result, "from_ns"));
	fprintf(out, "%s to %s, %zu %s\n", from,
		pst_loss_time_text(to, (uint64_t)number(result, "to_ns")),
		json_object_size(json_object_get(result, "runs")),
		json_object_size(json_object_get(result, "runs")) == 1 ? "run" : "runs");
	print_kind(out, result, "shed", "shed: events that were taken in and not stored");
	print_kind(out, result, "rejected", "rejected: frames that were malformed or refused");
	print_kind(out, result, "missed", "missed: frames lost before they reached us");
	print_kind(out, result, "gap", "missing: messages of sequenced sources");
	print_kind(out, result, "recovery", "recovery: bytes that a start found damaged or torn");
	print_drives(out, result);
	print_unrecorded(out, result);
	if (json_array_size(json_object_get(result, "lost")) == 0)
		fputs(json_array_size(json_object_get(result, "unrecorded")) == 0
				? "nothing lost\n"
				: "nothing is known to be lost\n",
			out);
	fprintf(out,
		"intended: %lld filtered, %lld sampled out, %lld duplicates, %lld quarantined\n",
		number(intended, "filtered"), number(intended, "sampled_out"),
		number(intended, "duplicate"), number(intended, "quarantined"));
}
