#include <stdio.h>

#include "telemetry/commands.h"

struct source {
	const struct pst_profile *profile;
	struct pst_pipeline_page page;
};

static void
dict_gaps(struct pst_dict row, const struct pst_session_row *session)
{
	struct pst_dict ranges = pst_dict_dict(row, "ranges");

	for (uint32_t i = 0; i < session->range_cnt; i++) {
		const struct pst_session_range *range = &session->ranges[i];
		char name[16];
		snprintf(name, sizeof(name), "%u", i);
		struct pst_dict dict = pst_dict_dict(ranges, name);
		pst_dict_u64(dict, "from", range->from);
		pst_dict_u64(dict, "to", range->to);
		pst_dict_u64(dict, "first_seen_ns", range->first_seen_ns);
	}
}

static void
dict_id(struct pst_dict row, const uint8_t id[PST_MOLD_SESSION_LEN])
{
	char hex[2 * PST_MOLD_SESSION_LEN + 1];
	size_t len = PST_MOLD_SESSION_LEN;

	/* As the key of its records: without the spaces that fill it up. */
	while (len > 0 && id[len - 1] == ' ')
		len--;
	pst_dict_text(row, "session", id, len);
	for (unsigned i = 0; i < PST_MOLD_SESSION_LEN; i++)
		snprintf(hex + 2 * i, 3, "%02x", id[i]);
	pst_dict_string(row, "id_hex", hex);
}

static enum pst_row_fate
fill_session(struct pst_dict row, void *arg, uint32_t idx)
{
	const struct source *source = arg;
	const struct pst_session_row *session = &source->page.rows[idx - source->page.first];
	const struct pst_session_info *info = &session->info;

	if (idx - source->page.first == source->page.cnt)
		return PST_ROW_STOP;
	pst_dict_u64(row, "rx", session->rx_idx);
	pst_dict_u64(row, "listener", info->listener_idx);
	pst_dict_string(
		row, "listener_name", pst_listener_name(source->profile, info->listener_idx));
	dict_id(row, info->id);
	pst_dict_u64(row, "ended", info->ended);
	pst_dict_u64(row, "joined_at", info->joined_at);
	pst_dict_u64(row, "expected", info->next);
	pst_dict_u64(row, "received", info->received);
	pst_dict_u64(row, "bytes", info->bytes);
	pst_dict_u64(row, "duplicate", info->duplicate);
	pst_dict_u64(row, "late", info->late);
	pst_dict_u64(row, "untracked", info->untracked);
	pst_dict_u64(row, "reopened", info->reopened);
	pst_dict_u64(row, "missing", info->missing);
	pst_dict_u64(row, "gap_messages", info->gap_messages);
	pst_dict_u64(row, "gap_cnt", info->gap_cnt);
	pst_dict_u64(row, "gap_lost_ranges", info->gap_lost_ranges);
	if (info->gap_lost_ranges > 0) {
		pst_dict_u64(row, "lost_from", info->lost_from);
		pst_dict_u64(row, "lost_to", info->lost_to);
	}
	pst_dict_u64(row, "range_cnt", info->range_cnt);
	if (session->range_cnt > 0)
		dict_gaps(row, session);
	pst_dict_u64(row, "first_seen_ns", info->first_seen_ns);
	pst_dict_u64(row, "last_seen_ns", info->last_seen_ns);
	return PST_ROW_ADD;
}

int
pst_serve_sessions(struct pst_request *request)
{
	struct source source = {.profile = request->pipeline->profile};

	if (pst_pipeline_sessions(request->pipeline, (uint32_t)request->args[0], &source.page) != 0)
		return pst_reply_error(&request->reply, "an lcore does not answer");
	return pst_serve_page(request, source.page.total, fill_session, &source);
}
