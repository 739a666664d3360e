/* The namespace's own counters of what never reached a socket. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ksock/open.h"

#define SPACE " \t\n"

/* The nth word of a line (from 0), as a number. */
static uint64_t
nth_number(const char *line, unsigned n)
{
	for (; n > 0; n--) {
		line += strcspn(line, SPACE);
		line += strspn(line, " \t");
	}
	return strtoull(line, NULL, 10);
}

/* Position of a word in a line; -1 if it is not in it. */
static int
word_index(const char *line, const char *word)
{
	size_t word_len = strlen(word);
	int idx = 0;
	while (*line && *line != '\n') {
		size_t len = strcspn(line, SPACE);
		if (len == word_len && memcmp(line, word, len) == 0)
			return idx;
		line += len;
		line += strspn(line, " \t");
		idx++;
	}
	return -1;
}

uint64_t
pst_ksock_snmp_field(const char *text, const char *group, const char *field)
{
	size_t group_len = strlen(group);
	const char *names = text, *values;

	/* Two lines a group: names, then numbers. */
	while (strncmp(names, group, group_len) != 0 || names[group_len] != ':') {
		names = strchr(names, '\n');
		if (!names)
			return 0;
		names++;
	}
	int idx = word_index(names, field);
	values = strchr(names, '\n');
	return idx > 0 && values ? nth_number(values + 1, (unsigned)idx) : 0;
}

uint64_t
pst_ksock_snmp6_field(const char *text, const char *field)
{
	size_t len = strlen(field);
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, field, len) == 0 && strchr(SPACE, line[len]) && line[len])
			return strtoull(line + len, NULL, 10);
	}
	return 0;
}

static char *
read_text(const char *path)
{
	char *text = NULL;
	size_t cap = 0;
	FILE *f = fopen(path, "r");
	if (!f)
		return NULL;
	/* The whole file as one "line": it has no NUL. */
	if (getdelim(&text, &cap, '\0', f) <= 0) {
		free(text);
		text = NULL;
	}
	fclose(f);
	return text;
}

void
pst_ksock_read_namespace(struct pst_ksock_namespace *out)
{
	char *snmp = read_text("/proc/self/net/snmp"), *snmp6 = read_text("/proc/self/net/snmp6");

	memset(out, 0, sizeof(*out));
	if (snmp) {
		out->udp_in_errors += pst_ksock_snmp_field(snmp, "Udp", "InErrors");
		out->udp_rcvbuf_errors += pst_ksock_snmp_field(snmp, "Udp", "RcvbufErrors");
		out->ip_reasm_fails += pst_ksock_snmp_field(snmp, "Ip", "ReasmFails");
	}
	if (snmp6) {
		out->udp_in_errors += pst_ksock_snmp6_field(snmp6, "Udp6InErrors");
		out->udp_rcvbuf_errors += pst_ksock_snmp6_field(snmp6, "Udp6RcvbufErrors");
		out->ip6_reasm_fails += pst_ksock_snmp6_field(snmp6, "Ip6ReasmFails");
	}
	free(snmp);
	free(snmp6);
}
