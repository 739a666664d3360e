/* What left, counted in the terms of the appliance's ledger, so that the two can be compared. */
#ifndef PST_LOAD_TALLY_H
#define PST_LOAD_TALLY_H

#include <stdio.h>

#include "schedule.h"
#include "sink.h"

struct load_tally {
	/* Datagrams by what a receiver makes of them; CARRIED are those with events. */
	uint64_t frame_cnt[PST_FRAME_VERDICT_CNT];
	uint64_t event_cnt;      /* in them, copies included */
	uint64_t copy_frame_cnt; /* duplicates */
	uint64_t copy_event_cnt;
	uint64_t late_frame_cnt; /* sent after their successor */
	uint64_t payload_bytes;
	uint64_t lost_frame_cnt; /* not sent: errors */
	uint64_t lost_event_cnt;
	uint64_t first_seq, next_seq;
	uint64_t gap_cnt, gap_event_cnt; /* left out on purpose */
	uint64_t elapsed_ns;
	struct load_sink_errors errors;
};

void load_tally_frame(struct load_tally *tally, const struct load_frame *frame, bool sent);

void load_tally_print(FILE *out, const struct load_tally *tally);
void load_tally_print_json(FILE *out, const struct load_tally *tally, enum pst_framing framing);

#endif
