/* The profiles and the reference that are shipped agree with the code. Runs in the source
 * directory. */
#include "profile/test_profile.h"

static struct pst_profile *
load_shipped(const char *path)
{
	struct pst_profile *p = NULL;
	struct pst_diag diag = {0};
	int rc = pst_profile_load(path, &p, &diag);
	cr_assert_eq(rc, 0, "%s:%u: %s: %s (%s)", diag.file, diag.line, diag.key, diag.text,
		diag.remedy);
	return p;
}

Test(shipped, loopback)
{
	static const struct {
		const char *name;
		uint16_t udp_port;
		enum pst_framing framing;
	} listeners[] = {{"syslog", 5514, PST_FRAMING_DATAGRAM},
		{"metrics", 8125, PST_FRAMING_LINES}, {"feed", 26400, PST_FRAMING_MOLD64}};
	struct pst_profile *p = load_shipped("drivers-config/loopback.yaml");
	cr_expect_str_eq(p->data_dirs[0], "run/data");
	cr_expect_str_eq(p->rules_file, "drivers-config/loopback-rules.yaml");
	cr_expect_str_eq(p->rules_cache, "run/rules-cache");
	cr_expect_str_eq(p->telemetry_prefix, "penstock");
	cr_expect_leq(p->memory_bytes, UINT64_C(384) << 20);
	cr_assert_eq(p->port_cnt, 1);
	cr_expect_str_eq(p->ports[0].device, "lo");
	cr_assert_eq(p->listener_cnt, 3);
	for (int i = 0; i < 3; i++) {
		char text[INET6_ADDRSTRLEN];
		const struct pst_profile_listener *listener = &p->listeners[i];
		cr_expect_str_eq(listener->name, listeners[i].name);
		cr_expect_eq(listener->udp_port, listeners[i].udp_port);
		cr_expect_eq(listener->framing, listeners[i].framing);
		cr_expect_str_eq(p->streams[listener->stream_idx].name, listeners[i].name);
		cr_assert_eq(listener->addr_cnt, 2);
		pst_addr_format(&listener->addrs[0], text);
		cr_expect_str_eq(text, "127.0.0.1");
		pst_addr_format(&listener->addrs[1], text);
		cr_expect_str_eq(text, "::1");
	}
	cr_assert_eq(p->stream_cnt, 6);
	cr_expect_str_eq(p->streams[3].name, "alerts");
	pst_profile_free(p);
}

Test(shipped, example)
{
	struct pst_host_cpus cpus;
	cr_assert_eq(pst_host_cpus(&cpus), 0);
	if (!cpus.allowed[0] || !cpus.allowed[1])
		cr_skip("the example names CPUs 0 and 1");
	pst_profile_free(load_shipped("drivers-config/example.yaml"));
}

static char *
read_whole(const char *path)
{
	char *text = calloc(1, 1 << 20);
	FILE *f = fopen(path, "r");
	cr_assert(text && f, "%s", path);
	cr_assert_gt(fread(text, 1, (1 << 20) - 1, f), 0);
	fclose(f);
	return text;
}

static unsigned
check_keys(const cyaml_schema_field_t *fields, const char *above, const char *example,
	const char *reference)
{
	unsigned cnt = 0;
	for (; fields->key; fields++) {
		const cyaml_schema_value_t *value = &fields->value;
		char path[128], text[160];
		snprintf(path, sizeof(path), "%s%s%s", above, above[0] ? "." : "", fields->key);
		if (value->type == CYAML_SEQUENCE && value->sequence.entry->type == CYAML_MAPPING)
			value = value->sequence.entry;
		if (value->type == CYAML_MAPPING) {
			cnt += check_keys(value->mapping.fields, path, example, reference);
			continue;
		}
		snprintf(text, sizeof(text), "| `%s` |", path);
		cr_expect(strstr(reference, text), "docs/profile.md has no row %s", text);
		snprintf(text, sizeof(text), " %s: ", fields->key);
		cr_expect(strstr(example, text) ||
				  strncmp(example, text + 1, strlen(text + 1)) == 0 ||
				  above[0] == '\0',
			"example.yaml has no %s", path);
		cnt++;
	}
	return cnt;
}

Test(shipped, every_key_is_documented_and_in_the_example)
{
	char *example = read_whole("drivers-config/example.yaml");
	char *reference = read_whole("docs/profile.md");
	unsigned cnt = check_keys(pst_profile_schema.mapping.fields, "", example, reference);
	/* And the reference knows no key that the schema does not: its rows are as many. */
	unsigned row_cnt = 0;
	for (const char *at = reference; (at = strstr(at, "\n| `")); at++)
		row_cnt++;
	cr_expect_eq(row_cnt, cnt, "%u rows for %u keys", row_cnt, cnt);
	free(example);
	free(reference);
}
