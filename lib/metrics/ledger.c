/* The ledger's keeper: what of the books was written down, and how it judged them. */
#include "metrics/families.h"

static void
violations(
	struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
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

static const struct pst_family families[] = {
	{"penstock_residual_violations_total", PST_METRIC_COUNTER, violations,
		"Cells of the books that did not come out although they had to: bugs."},
	PST_WHOLE("penstock_ledger_intervals_total", COUNTER, ledger.recorded_last,
		"Intervals of the books that were handed over as records."),
	PST_WHOLE("penstock_ledger_records_total", COUNTER, ledger.record_cnt,
		"Records of the ledger that are durable."),
	PST_WHOLE("penstock_ledger_failed_batches_total", COUNTER, ledger.failed_cnt,
		"Batches of records that could not be written; they are tried again."),
	PST_WHOLE("penstock_ledger_merged_intervals_total", COUNTER, ledger.merged_cnt,
		"Intervals that had to be told together with a later one."),
	PST_WHOLE("penstock_ledger_missed_intervals_total", COUNTER, ledger.missed_cnt,
		"Intervals without a snapshot, because an lcore did not answer."),
	PST_WHOLE("penstock_ledger_open_gaps", GAUGE, ledger.gap_open_cnt,
		"Gaps of sessions that are neither filled nor declared lost."),
	PST_WHOLE("penstock_ledger_gap_rereads_total", COUNTER, ledger.silenced_cnt,
		"Times that a session's gaps were read whole, because its reports overran."),
};

const struct pst_families pst_families_ledger = {families, PST_ARRAY_CNT(families)};
