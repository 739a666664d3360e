#include "profile/profile.h"

#include <stdlib.h>
#include <string.h>

#include "profile/load.h"

#define SHORT_NAME_MAX 32

int
pst_load_name(struct pst_load *load, const char *key, const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_-";
	size_t len = strlen(text);

	if (len > 0 && len <= SHORT_NAME_MAX && text[strspn(text, allowed)] == '\0')
		return 0;
	return pst_load_fail(load, key, "use 1 to 32 letters, digits, \"_\" and \"-\"",
		"\"%.64s\" is not a name", text);
}

static int
load_all(struct pst_load *load)
{
	struct pst_profile *p = load->profile;

	p->file = pst_yaml_file(p->lines);
	p->name = load->raw->name;
	p->no_huge = load->raw->memory.no_huge;
	if (pst_load_name(load, "name", p->name) != 0 || pst_load_data(load) != 0 ||
		pst_load_ports(load) != 0 || pst_load_cores(load) != 0 ||
		pst_load_streams(load) != 0 || pst_load_listeners(load) != 0 ||
		pst_load_limits(load) != 0 || pst_load_metrics(load) != 0)
		return -1;
	return pst_load_plan(load);
}

int
pst_profile_load(const char *path, struct pst_profile **out, struct pst_diag *diag)
{
	struct pst_profile_loaded *loaded = calloc(1, sizeof(*loaded));
	void *raw;

	if (!loaded)
		return pst_diag_set(diag, path, 0, NULL, NULL, "out of memory");
	if (pst_yaml_load(path, &pst_profile_schema, &raw, &loaded->profile.lines, diag) != 0) {
		free(loaded);
		return -1;
	}
	loaded->raw = raw;
	struct pst_load load = {
		.profile = &loaded->profile, .loaded = loaded, .raw = raw, .diag = diag};
	if (load_all(&load) != 0) {
		pst_profile_free(&loaded->profile);
		return -1;
	}
	*out = &loaded->profile;
	return 0;
}

void
pst_profile_free(struct pst_profile *profile)
{
	/* The profile is the first member of what was allocated. */
	struct pst_profile_loaded *loaded = (struct pst_profile_loaded *)profile;

	if (!loaded)
		return;
	for (uint16_t i = 0; i < profile->listener_cnt; i++) {
		free(profile->listeners[i].addrs);
		free(profile->listeners[i].allow);
	}
	free(profile->listeners);
	free(profile->ports);
	free(profile->streams);
	pst_yaml_free(&pst_profile_schema, loaded->raw, profile->lines);
	free(loaded);
}
