/* What recovery says of what it did. */
#include <inttypes.h>
#include <stdio.h>

#include "segment/recovery/recovery.h"

static const char *const kind_names[PST_RECOVERY_KIND_CNT] = {
	[PST_RECOVERY_MARKS_LOST] = "marks_lost",
	[PST_RECOVERY_CUT] = "cut",
	[PST_RECOVERY_TRIMMED] = "trimmed",
	[PST_RECOVERY_SET_ASIDE] = "set_aside",
	[PST_RECOVERY_LEFT] = "left",
	[PST_RECOVERY_UNREADABLE] = "unreadable",
	[PST_RECOVERY_REPEATED] = "repeated",
	[PST_RECOVERY_MISSING] = "missing",
	[PST_RECOVERY_INDEX_REBUILT] = "index_rebuilt",
	[PST_RECOVERY_SEAL_MADE] = "seal_made",
	[PST_RECOVERY_SEAL_TORN] = "seal_torn",
	[PST_RECOVERY_SEAL_DIFFERS] = "seal_differs",
	[PST_RECOVERY_SEALS_BEGIN] = "seals_begin",
};

const char *
pst_recovery_kind_name(enum pst_recovery_kind kind)
{
	PST_ASSERT((unsigned)kind < PST_RECOVERY_KIND_CNT);
	return kind_names[kind];
}

void
pst_recover_item(struct pst_recover *r, const struct pst_recovery_item *item)
{
	struct pst_recovery *report = r->report;
	if (report->item_cnt < PST_RECOVERY_ITEMS_MAX)
		report->items[report->item_cnt] = *item;
	report->item_cnt++;
}

void
pst_recovery_text(const struct pst_recovery_item *item, char *out, size_t cap)
{
	int64_t base = item->segment_base;
	switch (item->kind) {
	case PST_RECOVERY_MARKS_LOST:
		snprintf(out, cap, "the durable marks could not be read: all was checked");
		break;
	case PST_RECOVERY_CUT:
		snprintf(out, cap,
			"%" PRIu64 " bytes of torn tail cut from segment %" PRId64
			" at position %" PRIu64,
			item->bytes, base, item->pos);
		break;
	case PST_RECOVERY_TRIMMED:
		snprintf(out, cap,
			"trim of segment %" PRId64 " completed: %" PRIu64
			" zeros from position %" PRIu64,
			base, item->bytes, item->pos);
		break;
	case PST_RECOVERY_SET_ASIDE:
		snprintf(out, cap,
			"%" PRIu64 " damaged bytes of segment %" PRId64
			" set aside from position %" PRIu64 " in %s",
			item->bytes, base, item->pos, item->file);
		break;
	case PST_RECOVERY_LEFT:
		snprintf(out, cap,
			"no space to set %" PRIu64 " damaged bytes of segment %" PRId64
			" aside: left there, from position %" PRIu64,
			item->bytes, base, item->pos);
		break;
	case PST_RECOVERY_UNREADABLE:
		snprintf(out, cap,
			"segment %" PRId64 " cannot be read at position %" PRIu64 ", of %" PRIu64
			" bytes from there: left as it is",
			base, item->pos, item->bytes);
		break;
	case PST_RECOVERY_REPEATED:
		snprintf(out, cap, "segment %" PRId64 " repeats offsets: set aside in %s", base,
			item->file);
		break;
	case PST_RECOVERY_MISSING:
		snprintf(out, cap, "offsets %" PRId64 " to %" PRId64 " are missing",
			item->first_offset, item->last_offset);
		break;
	case PST_RECOVERY_INDEX_REBUILT:
		snprintf(out, cap, "%s rebuilt", item->file);
		break;
	case PST_RECOVERY_SEAL_MADE:
		snprintf(out, cap, "%s was missing: made again", item->file);
		break;
	case PST_RECOVERY_SEAL_TORN:
		snprintf(out, cap,
			"%s was torn: set aside, and made again if the segment can be read",
			item->file);
		break;
	case PST_RECOVERY_SEAL_DIFFERS:
		snprintf(out, cap, "segment %" PRId64 " is not what was sealed: %s left as it is",
			base, item->file);
		break;
	case PST_RECOVERY_SEALS_BEGIN:
		snprintf(out, cap, "the chain of seals begins anew with segment %" PRId64, base);
		break;
	case PST_RECOVERY_KIND_CNT:
		PST_ASSERT(false);
	}
}
