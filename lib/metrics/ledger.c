/* The ledger's keeper: what of the books was written down, and how it judged them. */
#include "metrics/families.h"

static void
of_view(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	pst_exposition_u64(x, pst_word_at(&o->ledger, offset), NULL);
}

static void
violations(struct pst_exposition *x, const struct pst_observation *o, size_t offset)
{
	static const char *const names[] = {"frames", "events", "streams"};
	const struct pst_residuals *all = &o->ledger.residuals;
	const struct pst_residual *const books[] = {&all->frames, &all->events, &all->streams};

	for (unsigned b = 0; b < PST_ARRAY_CNT(books); b++) {
		pst_exposition_u64(
			x, books[b]->rest_cnt, "book", names[b], "kind", "at_rest", NULL);
		pst_exposition_u64(
			x, books[b]->beyond_cnt, "book", names[b], "kind", "beyond_traffic", NULL);
	}
}

#define VIEW(name, type, field, help)                                                              \
	{                                                                                          \
		name, PST_METRIC_##type, of_view, offsetof(struct pst_recorder_view, field), help  \
	}

static const struct pst_family families[] = {
	{"penstock_residual_violations_total", PST_METRIC_COUNTER, violations, 0,
		"Cells of the books that did not come out although they had to: bugs."},
	VIEW("penstock_ledger_intervals_total", COUNTER, recorded_last,
		"Intervals of the books that were handed over as records."),
	VIEW("penstock_ledger_records_total", COUNTER, record_cnt,
		"Records of the ledger that are durable."),
	VIEW("penstock_ledger_failed_batches_total", COUNTER, failed_cnt,
		"Batches of records that could not be written; they are tried again."),
	VIEW("penstock_ledger_merged_intervals_total", COUNTER, merged_cnt,
		"Intervals that had to be told together with a later one."),
	VIEW("penstock_ledger_missed_intervals_total", COUNTER, missed_cnt,
		"Intervals without a snapshot, because an lcore did not answer."),
	VIEW("penstock_ledger_open_gaps", GAUGE, gap_open_cnt,
		"Gaps of sessions that are neither filled nor declared lost."),
	VIEW("penstock_ledger_gap_rereads_total", COUNTER, silenced_cnt,
		"Times that a session's gaps were read whole, because its reports overran."),
};

const struct pst_families pst_families_ledger = {families, PST_ARRAY_CNT(families)};
