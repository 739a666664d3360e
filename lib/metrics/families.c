#include "metrics/families.h"

const char *
pst_label_listener(const struct pst_observation *o, uint32_t listener_idx)
{
	const struct pst_profile *profile = o->profile;
	return listener_idx < profile->listener_cnt ? profile->listeners[listener_idx].name
						    : "none";
}

uint64_t
pst_number_at(const void *row, struct pst_field field)
{
	const char *at = (const char *)row + field.offset;
	uint64_t word;
	uint32_t half;

	switch (field.bytes) {
	case sizeof(word):
		memcpy(&word, at, sizeof(word));
		return word;
	case sizeof(half):
		memcpy(&half, at, sizeof(half));
		return half;
	default:
		PST_ASSERT(field.bytes == sizeof(bool));
		return *(const bool *)at;
	}
}

void
pst_write_rows(
	struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	struct pst_row row = {0};

	for (uint32_t i = 0; family->rows->get(o, i, &row); i++)
		if (row.at)
			pst_exposition_u64(x, pst_number_at(row.at, family->field),
				family->rows->label, row.name, NULL);
}

void
pst_write_rows_seconds(
	struct pst_exposition *x, const struct pst_observation *o, const struct pst_family *family)
{
	struct pst_row row = {0};

	for (uint32_t i = 0; family->rows->get(o, i, &row); i++)
		if (row.at)
			pst_exposition_seconds(x, pst_number_at(row.at, family->field),
				family->rows->label, row.name, NULL);
}

static bool
whole(const struct pst_observation *o, uint32_t idx, struct pst_row *row)
{
	row->at = o;
	return idx == 0;
}

const struct pst_rows pst_rows_whole = {NULL, whole};

void
pst_families_write(struct pst_exposition *x, const struct pst_observation *o)
{
	static const struct pst_families *const all[] = {
		&pst_families_daemon,
		&pst_families_books,
		&pst_families_ledger,
		&pst_families_logs,
		&pst_families_lcores,
		&pst_families_ports,
	};

	for (unsigned t = 0; t < PST_ARRAY_CNT(all); t++)
		for (uint32_t f = 0; f < all[t]->cnt; f++) {
			const struct pst_family *family = &all[t]->families[f];
			pst_exposition_metric(x, family->name, family->type, family->help);
			family->write(x, o, family);
		}
}
