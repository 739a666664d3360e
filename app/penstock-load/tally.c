#include "tally.h"

#include <inttypes.h>
#include <string.h>

void
load_tally_frame(struct load_tally *tally, const struct load_frame *frame, bool sent)
{
	if (!sent) {
		tally->lost_frame_cnt++;
		tally->lost_event_cnt += frame->event_cnt;
		return;
	}
	tally->frame_cnt[frame->verdict]++;
	tally->event_cnt += frame->event_cnt;
	tally->payload_bytes += frame->len;
	if (frame->copy) {
		tally->copy_frame_cnt++;
		tally->copy_event_cnt += frame->event_cnt;
	}
	if (frame->late)
		tally->late_frame_cnt++;
}

static uint64_t
all_frames(const struct load_tally *tally)
{
	uint64_t sum = 0;
	for (unsigned v = 0; v < PST_FRAME_VERDICT_CNT; v++)
		sum += tally->frame_cnt[v];
	return sum;
}

static uint64_t
rate(const struct load_tally *tally)
{
	if (tally->elapsed_ns == 0)
		return 0;
	return (uint64_t)((double)tally->event_cnt * 1e9 / (double)tally->elapsed_ns);
}

void
load_tally_print(FILE *out, const struct load_tally *t)
{
	fprintf(out,
		"sent %" PRIu64 " events in %" PRIu64 " datagrams, %" PRIu64
		" payload bytes, in %.3f s (%" PRIu64 " events/s)\n",
		t->event_cnt, all_frames(t), t->payload_bytes, (double)t->elapsed_ns / 1e9,
		rate(t));
	fprintf(out, "sequence %" PRIu64 " to %" PRIu64 "\n", t->first_seq, t->next_seq - 1);
	if (t->gap_cnt)
		fprintf(out, "left out: %" PRIu64 " gaps, %" PRIu64 " events\n", t->gap_cnt,
			t->gap_event_cnt);
	if (t->copy_frame_cnt)
		fprintf(out, "duplicates: %" PRIu64 " datagrams, %" PRIu64 " events\n",
			t->copy_frame_cnt, t->copy_event_cnt);
	if (t->late_frame_cnt)
		fprintf(out, "reordered: %" PRIu64 " datagrams\n", t->late_frame_cnt);
	for (enum pst_frame_verdict v = 0; v < PST_FRAME_VERDICT_CNT; v++)
		if (v != PST_FRAME_CARRIED && t->frame_cnt[v])
			fprintf(out, "without events, %s: %" PRIu64 " datagrams\n",
				pst_frame_verdict_name(v), t->frame_cnt[v]);
	if (t->errors.retry_cnt)
		fprintf(out, "waited for the sender's queue: %" PRIu64 " times\n",
			t->errors.retry_cnt);
	if (t->errors.refused_cnt)
		fprintf(out, "port unreachable, says the receiver: %" PRIu64 " times\n",
			t->errors.refused_cnt);
	if (t->lost_frame_cnt)
		fprintf(out, "NOT SENT: %" PRIu64 " datagrams, %" PRIu64 " events (%s)\n",
			t->lost_frame_cnt, t->lost_event_cnt, strerror(t->errors.last_errno));
}

static void
print_class(FILE *out, const struct load_tally *t, const char *key, enum pst_frame_class class)
{
	const char *comma = "";

	fprintf(out, "\"%s\": {", key);
	for (enum pst_frame_verdict v = 0; v < PST_FRAME_VERDICT_CNT; v++) {
		if (pst_frame_verdict_class(v) != class || t->frame_cnt[v] == 0)
			continue;
		fprintf(out, "%s\"%s\": %" PRIu64, comma, pst_frame_verdict_name(v),
			t->frame_cnt[v]);
		comma = ", ";
	}
	fprintf(out, "}, ");
}

void
load_tally_print_json(FILE *out, const struct load_tally *t, enum pst_framing framing)
{
	fprintf(out,
		"{\"framing\": \"%s\", \"frames\": {\"sent\": %" PRIu64 ", \"carried\": %" PRIu64
		", ",
		pst_framing_name(framing), all_frames(t), t->frame_cnt[PST_FRAME_CARRIED]);
	print_class(out, t, "rejected", PST_FRAME_CLASS_REJECTED);
	print_class(out, t, "ignored", PST_FRAME_CLASS_IGNORED);
	fprintf(out,
		"\"duplicate\": %" PRIu64 ", \"reordered\": %" PRIu64 ", \"failed\": %" PRIu64
		"}, ",
		t->copy_frame_cnt, t->late_frame_cnt, t->lost_frame_cnt);
	fprintf(out,
		"\"events\": {\"sent\": %" PRIu64 ", \"unique\": %" PRIu64
		", \"duplicate\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"left_out\": %" PRIu64
		"}, ",
		t->event_cnt, t->event_cnt - t->copy_event_cnt, t->copy_event_cnt,
		t->lost_event_cnt, t->gap_event_cnt);
	fprintf(out,
		"\"gaps\": %" PRIu64 ", \"first_seq\": %" PRIu64 ", \"next_seq\": %" PRIu64
		", \"payload_bytes\": %" PRIu64 ", \"elapsed_ns\": %" PRIu64
		", \"events_per_second\": %" PRIu64 ", \"retries\": %" PRIu64
		", \"refused\": %" PRIu64 "}\n",
		t->gap_cnt, t->first_seq, t->next_seq, t->payload_bytes, t->elapsed_ns, rate(t),
		t->errors.retry_cnt, t->errors.refused_cnt);
}
