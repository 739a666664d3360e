#include <stdio.h>

#include "telemetry/commands.h"

#define RULES_PAGE 128

/* The rules from first on, as many as a reply may hold; once copied they are of one generation. */
struct source {
	uint32_t first;
	struct pst_rule_row rows[RULES_PAGE];
	uint32_t cnt;
};

static void
dict_failure(struct pst_dict top, const struct pst_diag *diag)
{
	struct pst_dict failure = pst_dict_dict(top, "last_failure");

	pst_dict_string(failure, "file", diag->file);
	pst_dict_u64(failure, "line", diag->line);
	pst_dict_string(failure, "key", diag->key);
	pst_dict_string(failure, "text", diag->text);
	pst_dict_string(failure, "remedy", diag->remedy);
}

static enum pst_row_fate
fill_rule(struct pst_dict row, void *arg, uint32_t idx)
{
	const struct source *source = arg;
	const struct pst_rule_row *rule = &source->rows[idx - source->first];

	if (idx - source->first == source->cnt)
		return PST_ROW_STOP;
	pst_dict_u64(row, "id", rule->id);
	pst_dict_string(row, "name", rule->name);
	pst_dict_string(row, "action", pst_rules_action_name(rule->action));
	pst_dict_i32(row, "priority", rule->priority);
	if (rule->action == PST_RULES_ROUTE)
		pst_dict_string(row, "stream", rule->stream);
	if (rule->action == PST_RULES_SAMPLE)
		pst_dict_u64(row, "sample_n", rule->sample_n);
	pst_dict_u64(row, "matched", rule->count.matched);
	pst_dict_u64(row, "decided", rule->count.decided);
	return PST_ROW_ADD;
}

int
pst_serve_rules(struct pst_request *request)
{
	struct pst_pipeline *pipeline = request->pipeline;
	struct source source = {.first = (uint32_t)request->args[0]};
	struct pst_rules_page page;
	struct pst_diag diag;

	int rc = pst_pipeline_rules(pipeline, source.first, source.rows, RULES_PAGE, &page);
	if (rc < 0)
		return pst_reply_error(&request->reply, "an lcore does not answer");
	source.cnt = (uint32_t)rc;
	pst_dict_u64(request->top, "generation", page.generation);
	pst_dict_u64(request->top, "failed_cnt", page.failed_cnt);
	pst_dict_string(request->top, "hash", page.hash);
	pst_dict_u64(request->top, "from_cache", page.from_cache);
	pst_dict_u64(request->top, "scan_errors", page.scan_errors);
	if (page.failed_cnt > 0 && source.first == 0) {
		pthread_mutex_lock(&pipeline->mutex);
		diag = pipeline->rules_diag;
		pthread_mutex_unlock(&pipeline->mutex);
		dict_failure(request->top, &diag);
	}
	return pst_serve_page(request, page.total, fill_rule, &source);
}

/* "file:line: key: text (remedy)", as far as there is one. */
static void
diag_text(const struct pst_diag *diag, char *out, size_t cap)
{
	char line[16] = "";

	if (diag->line)
		snprintf(line, sizeof(line), ":%u", diag->line);
	snprintf(out, cap, "%s%s%s%s%s%s%s%s%s", diag->file, line, diag->file[0] ? ": " : "",
		diag->key, diag->key[0] ? ": " : "", diag->text, diag->remedy[0] ? " (" : "",
		diag->remedy, diag->remedy[0] ? ")" : "");
}

int
pst_serve_reload(struct pst_request *request)
{
	struct pst_pipeline *pipeline = request->pipeline;
	char error[sizeof(struct pst_diag) + 32] = "";
	struct pst_rules_page page;
	struct pst_diag diag;

	if (!pipeline->profile->rules_file) {
		snprintf(error, sizeof(error), "%s: the profile names no rules file",
			pipeline->profile->file);
	} else if (pst_pipeline_reload_rules(pipeline, &diag) != 0) {
		diag_text(&diag, error, sizeof(error));
	}
	pst_dict_u64(request->top, "ok", error[0] == '\0');
	if (pst_pipeline_rules(pipeline, 0, NULL, 0, &page) >= 0)
		pst_dict_u64(request->top, "generation", page.generation);
	pst_dict_string(request->top, "error", error);
	return pst_reply_finish(&request->reply);
}
