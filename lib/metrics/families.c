#include "metrics/families.h"

#include <stdio.h>

const char *
pst_label_listener(const struct pst_observation *o, uint16_t listener_idx)
{
	const struct pst_profile *profile = o->profile;
	return listener_idx < profile->listener_cnt ? profile->listeners[listener_idx].name
						    : "none";
}

const char *
pst_label_queue(const struct pst_observation *o, uint16_t queue_idx, char text[PST_QUEUE_LABEL])
{
	const struct pst_profile *profile = o->profile;

	if (queue_idx < profile->queue_cnt)
		snprintf(text, PST_QUEUE_LABEL, "%s/%u",
			profile->ports[profile->queues[queue_idx].port_idx].name,
			profile->queues[queue_idx].queue_id);
	else
		snprintf(text, PST_QUEUE_LABEL, "kernel");
	return text;
}

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
			family->write(x, o, family->offset);
		}
}
