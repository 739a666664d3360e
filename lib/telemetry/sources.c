#include "telemetry/commands.h"

#define SOURCES_PAGE 64 /* rows: more than fit an answer */

struct source_list {
	const struct pst_profile *profile;
	struct pst_sources_page page;
	uint32_t first, cnt;
	struct pst_source_row rows[SOURCES_PAGE]; /* first .. */
};

static void
dict_count(struct pst_dict dict, const struct pst_source_count *count)
{
#define PST_X(field, meaning) pst_dict_u64(dict, #field, count->field);
	PST_SOURCE_COUNTS(PST_X)
#undef PST_X
}

static enum pst_row_fate
fill_source(struct pst_dict row, void *arg, uint32_t idx)
{
	const struct source_list *list = arg;
	char text[INET6_ADDRSTRLEN] = "";

	if (idx - list->first == list->cnt)
		return PST_ROW_STOP;
	const struct pst_source_row *source = &list->rows[idx - list->first];
	if (!pst_addr_is_zero(&source->addr))
		pst_addr_format(&source->addr, text);
	pst_dict_string(row, "address", text);
	pst_dict_u64(row, "listener", source->listener_idx);
	pst_dict_string(
		row, "listener_name", pst_listener_name(list->profile, source->listener_idx));
	dict_count(row, &source->count);
	pst_dict_u64(row, "events_per_s", source->events_per_s);
	pst_dict_u64(row, "bytes_per_s", source->bytes_per_s);
	pst_dict_u64(row, "entered_ns", source->entered_ns);
	pst_dict_u64(row, "last_seen_ns", source->last_seen_ns);
	return PST_ROW_ADD;
}

int
pst_serve_sources(struct pst_request *request)
{
	struct source_list list = {
		.profile = request->pipeline->profile, .first = (uint32_t)request->args[0]};

	list.cnt = pst_pipeline_sources(
		request->pipeline, list.first, list.rows, SOURCES_PAGE, &list.page);
	pst_dict_u64(request->top, "generation", list.page.generation);
	pst_dict_u64(request->top, "taken_ns", list.page.taken_ns);
	if (list.first == 0) {
		pst_dict_u64(request->top, "left_cnt", list.page.left_cnt);
		dict_count(pst_dict_dict(request->top, "kept"), &list.page.kept);
		dict_count(pst_dict_dict(request->top, "others"), &list.page.others);
	}
	return pst_serve_page(request, list.page.total, fill_source, &list);
}
