/* Every kind of mistake: where it is said to be, what is wrong, what cures it. */
#include <dirent.h>
#include <sched.h>
#include <sys/stat.h>

#include "profile/test_profile.h"

Test(refuse, files_that_are_no_profile)
{
	struct pst_profile *p;
	struct pst_diag diag;
	assert_bad("", 0, "", "empty", "");
	assert_bad("- a\n- b\n", 1, "", "a list where", "");
	assert_bad(GOOD "---\nname: x\n", EXTRA_LINE, "", "second document", "one document");
	assert_bad(GOOD "a: [\n", EXTRA_LINE, "a", "unknown key", "known keys here: name");
	assert_bad(GOOD "\tx\n", EXTRA_LINE, "", "not YAML", "spaces");
	assert_bad("name: t\n\x01\x02\n", 2, "", "not text", "UTF-8");
	cr_assert_eq(pst_profile_load("/nonexistent/p.yaml", &p, &diag), -1);
	cr_expect_str_eq(diag.file, "/nonexistent/p.yaml");
	cr_expect(strstr(diag.text, "cannot be opened") && strstr(diag.remedy, "check the path"));
	cr_assert_eq(pst_profile_load("/tmp", &p, &diag), -1);
	cr_expect(strstr(diag.text, "not a regular file"));
}

Test(refuse, keys_that_are_wrong)
{
	EXTRA("colour: red\n", "colour", "unknown key", "listeners");
	SPOILED("  stream: a\n", "  stream: a\n  frame: x\n", 14, "listeners[0].frame",
		"unknown key", "framing");
	SPOILED("name: t\n", "name: t\nname: t\n", 2, "name", "given twice (first on line 1)",
		"remove");
	SPOILED("  port: 5514\n", "", 10, "listeners[0].port", "missing", "\"port:\"");
	SPOILED("  stream: a\n", "", 10, "listeners[0].stream", "missing", "");
	SPOILED("name: t\n", "", 1, "name", "missing", "");
	SPOILED("data: {dir: /nonexistent/pst}", "data: {}", 2, "data", "neither dir nor dirs", "");
	EXTRA("rules: {cache: /tmp}\n", "rules.file", "missing", "");
	EXTRA("batch: 5\n", "batch", "a single value where a mapping", "");
	EXTRA("idle:\n", "idle", "no value", "");
	EXTRA("idle: lazy\n", "idle", "\"lazy\" is not known", "adaptive, spin");
	EXTRA("memory: {no-huge: maybe}\n", "memory.no-huge", "neither true nor false", "");
	SPOILED("  interface: lo\n", "  interface: [lo]\n", 5, "ports[0].interface", "a list where",
		"");
	SPOILED("ports:\n- name: lo\n  interface: lo\n", "ports: []\n", 3, "ports", "at least 1",
		"");
}

struct edge {
	const char *key;
	const char *yaml; /* %s: the number */
	const char *too_low, *min, *max, *too_high;
};

Test(refuse, numbers_out_of_range)
{
	static const struct edge edges[] = {
		{"batch.bytes", "batch: {bytes: %s}", "65535", "64K", "16M", "16777217"},
		{"batch.records", "batch: {records: %s}", "0", "1", "1M", "1000001"},
		{"batch.age", "batch: {age: %s}", "99us", "100us", "10s", "11s"},
		{"batch.buffers", "batch: {buffers: %s}", "0", "7", "16384", "16385"},
		{"batch.lz4-acceleration", "batch: {lz4-acceleration: %s}", NULL, "0", "65537",
			"65538"},
		{"flush.bytes", "flush: {bytes: %s}", "65535", "64K", "1G", "1073741825"},
		{"flush.age", "flush: {age: %s}", "0", "100us", "10s", "10001ms"},
		{"sessions.max", "sessions: {max: %s}", "0", "1", "1M", "1000001"},
		{"sources.max", "sources: {max: %s}", "7", "8", "8192", "8193"},
		{"sessions.gaps", "sessions: {gaps: %s}", "0", "1", "65536", "65537"},
		{"kernel-path.receive-buffer", "kernel-path: {receive-buffer: %s}", "65535", "64K",
			"512M", "513M"},
		{"quarantine.rate", "quarantine: {rate: %s}", NULL, "0", "1M", "1000001"},
		{"quarantine.bytes", "quarantine: {bytes: %s}", "63", "64", "65535", "65536"},
		{"quarantine.retain-bytes", "quarantine: {retain-bytes: %s}", "1048575", "1M",
			"1024T", "1025T"},
		{"quarantine.retain-age", "quarantine: {retain-age: %s}", "999ms", "1s", "36500d",
			"36501d"},
		{"memory.size", "memory: {size: %s}", "63M", NULL, "1024G", "1025G"},
		{"data.retain-bytes", NULL, "1048575", "3G", "1024T", "1025T"},
		{"data.reserve", NULL, "1048575", "1M", "1G", "1025M"},
		{"rules.compile-cpu", "rules: {file: /dev/null, compile-cpu: %s}", "0", NULL, NULL,
			"3601s"},
		{"rules.compile-memory", "rules: {file: /dev/null, compile-memory: %s}", "63M",
			NULL, NULL, "1025G"},
		{"streams[2].segment-bytes", "- {name: c, segment-bytes: %s}", "1048575", "1M",
			"1G", "1073741825"},
		{"streams[2].segment-age", "- {name: c, segment-age: %s}", "1ms", "0", "36500d",
			"36501d"},
		{"streams[2].retain-bytes", "- {name: c, retain-bytes: %s}", "1M", "1G", "1024T",
			"1025T"},
		{"streams[2].retain-age", "- {name: c, retain-age: %s}", "1ms", "0", "36500d",
			"36501d"},
		{"ports[1].queues", "- {name: r, vdev: net_ring0, queues: %s}", "0", "1", "62",
			"63"},
		{"ports[1].descriptors", "- {name: r, vdev: net_ring0, descriptors: %s}", "32",
			"64", "32768", "65536"},
		{"ports[0].descriptors", "  descriptors: %s", "1024", "2048", "4096", "8192"},
		{"listeners[1].port", NULL, "0", "1", "65535", "65536"},
	};
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		const struct edge *edge = &edges[i];
		const char *values[] = {edge->too_low, edge->too_high, edge->min, edge->max};
		for (int v = 0; v < 4; v++) {
			char part[160] = "";
			const char *text;
			struct pst_profile *p = NULL;
			struct pst_diag diag = {0};
			unsigned line = EXTRA_LINE;
			if (!values[v])
				continue;
			if (edge->yaml)
				snprintf(part, sizeof(part), edge->yaml, values[v]);
			strcat(part, "\n");
			if (strncmp(edge->key, "streams", 7) == 0) {
				char with[200];
				snprintf(with, sizeof(with), "- name: b\n%s", part);
				text = spoil("- name: b\n", with, "");
				line = 9;
			} else if (strncmp(edge->key, "ports", 5) == 0) {
				char with[200];
				snprintf(with, sizeof(with), "  interface: lo\n%s", part);
				text = spoil("  interface: lo\n", with, "");
				line = 6;
			} else if (strncmp(edge->key, "data", 4) == 0) {
				snprintf(part, sizeof(part), "{%s: %s, dir", edge->key + 5,
					values[v]);
				text = spoil("{dir", part, "");
				line = 2;
			} else if (strncmp(edge->key, "listeners", 9) == 0) {
				snprintf(part, sizeof(part), "port: %s", values[v]);
				text = spoil("port: 8125", part, "");
				line = 16;
			} else {
				text = spoil("name: t\n", "name: t\n", part);
			}
			int rc = load_text(text, &p, &diag);
			if (v >= 2) {
				cr_expect_eq(rc, 0, "%s %s: %s", edge->key, values[v], diag.text);
				pst_profile_free(p);
				continue;
			}
			cr_expect_eq(rc, -1, "%s: %s accepted", edge->key, values[v]);
			cr_expect_str_eq(diag.key, edge->key, "%s: %s", diag.key, diag.text);
			cr_expect_eq(diag.line, line, "%s: line %u", edge->key, diag.line);
			cr_expect(strstr(diag.remedy, "give ") || strstr(diag.remedy, "lower ") ||
					  strstr(diag.remedy, "raise "),
				"%s: %s", edge->key, diag.remedy);
		}
	}
}

Test(refuse, numbers_that_are_none)
{
	EXTRA("batch: {bytes: 64MB}\n", "batch.bytes", "\"64MB\" is not a size in bytes", "64M");
	EXTRA("batch: {bytes: 1.5M}\n", "batch.bytes", "not a size", "");
	EXTRA("batch: {bytes: -1}\n", "batch.bytes", "not a size", "");
	EXTRA("batch: {records: 010}\n", "batch.records", "not a whole number", "");
	EXTRA("batch: {records: 0x10}\n", "batch.records", "not a whole number", "");
	EXTRA("batch: {age: 5}\n", "batch.age", "\"5\" is not a duration", "5ms");
	EXTRA("batch: {age: ''}\n", "batch.age", "not a duration", "");
	EXTRA("batch: {buffers: 99999999999999999999}\n", "batch.buffers", "not a whole number",
		"");
	SPOILED("  port: 5514\n", "  port: syslog\n", 12, "listeners[0].port",
		"\"syslog\" is not a whole number", "");
	EXTRA("rules: {file: /dev/null, compile-cpu: 1500ms}\n", "rules.compile-cpu",
		"not a whole number of seconds", "60s");
	SPOILED("  interface: lo\n", "  interface: lo\n  descriptors: 3000\n", 6,
		"ports[0].descriptors", "not a power of two", "2048");
}

Test(refuse, names)
{
	SPOILED("name: t\n", "name: two words\n", 1, "name", "not a name", "letters, digits");
	SPOILED("name: t\n", "name: a2345678901234567890123456789012x\n", 1, "name", "not a name",
		"1 to 32");
	SPOILED("- name: one\n", "- name: o/e\n", 10, "listeners[0].name", "not a name", "");
	SPOILED("- name: lo\n", "- name: lo.0\n", 4, "ports[0].name", "not a name", "");
	EXTRA("telemetry: {prefix: ../x}\n", "telemetry.prefix", "not a name", "");
	EXTRA("telemetry: {prefix: ''}\n", "telemetry.prefix", "at least 1", "");
	EXTRA("metrics: {address: localhost}\n", "metrics.address", "not an address", "127.0.0.1");
	EXTRA("metrics: {address: 224.0.0.1}\n", "metrics.address", "multicast", "of this host");
	EXTRA("metrics: {address: 255.255.255.255}\n", "metrics.address", "broadcast",
		"of this host");
	EXTRA("metrics: {port: 65536}\n", "metrics.port", "out of range", "65535");
	EXTRA("metrics: {port: http}\n", "metrics.port", "not a whole number", "");
	SPOILED("- name: two\n", "- name: one\n", 14, "listeners[1].name", "listeners[0] is called",
		"of its own");
	SPOILED("  interface: lo\n", "  interface: lo\n- {name: lo, vdev: net_ring0}\n", 6,
		"ports[1].name", "ports[0] is called", "of its own");
}

Test(refuse, stream_names)
{
	char name[256], text[300];
	SPOILED("- name: b\n", "- name: a\n", 8, "streams[1].name", "streams[0] is called", "once");
	SPOILED("- name: b\n", "- name: a b\n", 8, "streams[1].name", "not a name that a stream",
		"");
	SPOILED("- name: b\n", "- name: .\n", 8, "streams[1].name", "not a name that a stream", "");
	SPOILED("- name: b\n", "- name: ..\n", 8, "streams[1].name", "not a name that a stream",
		"");
	SPOILED("- name: b\n", "- name: ../../etc\n", 8, "streams[1].name", "not a name", "");
	SPOILED("- name: b\n", "- name: penstock.mine\n", 8, "streams[1].name", "kept for the", "");
	SPOILED("- name: b\n", "- name: penstock_quarantine\n", 8, "streams[1].name",
		"differs only by", "another name");
	SPOILED("- name: b\n", "- name: x.y_z\n- name: x_y.z\n", 9, "streams[2].name",
		"\"x.y_z\" and \"x_y.z\" differ only by", "another name");
	memset(name, 'n', sizeof(name));
	name[PST_NAME_MAX + 1] = '\0';
	snprintf(text, sizeof(text), "- name: b\n- name: %s\n", name);
	SPOILED("- name: b\n", text, 9, "streams[2].name", "201 bytes", "shorter");
	name[PST_NAME_MAX] = '\0';
	snprintf(text, sizeof(text), "- name: b\n- name: %s\n", name);
	pst_profile_free(load_good(spoil("- name: b\n", text, "")));
	SPOILED("  stream: b\n", "  stream: c\n", 17, "listeners[1].stream",
		"there is no stream \"c\"", "a, b");
	SPOILED("  stream: b\n", "  stream: penstock.quarantine\n", 17, "listeners[1].stream",
		"there is no stream", "declare it");
	SPOILED("- name: b\n", "- {name: b, headers: [seq]}\n", 8, "streams[1].headers[0]",
		"not known", "ts-ns, rules");
	SPOILED("- name: b\n", "- {name: b, retain-bytes: 64M}\n", 8, "streams[1].retain-bytes",
		"less than one segment (1G)", "segment-bytes");
	SPOILED("{dir", "{retain-bytes: 2G, dir", 2, "data.retain-bytes", "cannot be kept",
		"at least 2128M");
	assert_bad("name: t\n"
		   "data: {dir: /nonexistent/pst, retain-bytes: 1087M}\n"
		   "ports: [{name: r, vdev: net_ring0, queues: 2}]\n"
		   "streams: [{name: a, segment-bytes: 512M}]\n"
		   "listeners: [{name: l, addresses: [\"::\"], port: 1, stream: a}]\n",
		2, "data.retain-bytes", "1 streams and the quarantine's on 2 queues",
		"at least 1168M");
}

Test(refuse, listeners)
{
	SPOILED("[127.0.0.1]", "[localhost]", 11, "listeners[0].addresses[0]", "not an address",
		"\"*\"");
	SPOILED("[127.0.0.1]", "[127.0.0.1, 127.0.0.1]", 11, "listeners[0].addresses[1]",
		"127.0.0.1 is named twice", "once");
	SPOILED("[\"*\"]", "[\"::\", \"*\"]", 15, "listeners[1].addresses[1]", ":: is named twice",
		"");
	SPOILED("[127.0.0.1]", "[\"::1\", \"0:0::1\"]", 11, "listeners[0].addresses[1]",
		"::1 is named twice", "");
	EXTRA("- {name: x, addresses: [10.0.0.1, 127.0.0.1], port: 5514, stream: b}\n",
		"listeners[2].addresses[1]", "listener \"one\" (line 11) has 127.0.0.1 port 5514",
		"another address or port");
	EXTRA("- {name: x, addresses: [0.0.0.0], port: 8125, stream: b}\n",
		"listeners[2].addresses[0]", "listener \"two\" (line 15) has 0.0.0.0 port 8125",
		"");
	EXTRA("- {name: x, addresses: [\"*\"], port: 8125, stream: b}\n",
		"listeners[2].addresses[0]", "has 0.0.0.0 port 8125", "");
	SPOILED("  stream: b\n", "  stream: b\n  framing: tcp\n", 18, "listeners[1].framing",
		"not known", "datagram, lines, mold64");
	SPOILED("  stream: b\n", "  stream: b\n  default-action: maybe\n", 18,
		"listeners[1].default-action", "not known", "keep, drop");
	SPOILED("  stream: b\n", "  stream: b\n  allow: [10.0.0.1]\n", 18, "listeners[1].allow[0]",
		"not a prefix", "192.0.2.7/32");
	SPOILED("  stream: b\n", "  stream: b\n  allow:\n  - 10.0.0.0/8\n  - 10.0.0.1/8\n", 20,
		"listeners[1].allow[1]", "\"10.0.0.1/8\" is not a prefix", "");
}

Test(refuse, ports)
{
	SPOILED("  interface: lo\n", "  interface: nosuch0\n", 5, "ports[0].interface",
		"there is no interface \"nosuch0\"", "lo");
	SPOILED("  interface: lo\n", "  interface: a-name-that-is-too-long\n", 5,
		"ports[0].interface", "there is no interface", "lo");
	SPOILED("  interface: lo\n", "  queues: 1\n", 4, "ports[0]", "0 devices for the port",
		"exactly one of interface, pci, vdev");
	SPOILED("  interface: lo\n", "  interface: lo\n  vdev: net_ring0\n", 4, "ports[0]",
		"2 devices for one port", "exactly one");
	SPOILED("  interface: lo\n", "  interface: lo\n- {name: lo2, interface: lo}\n", 6,
		"ports[1].interface", "port \"lo\" has this device already", "queues");
	SPOILED("  interface: lo\n", "  vdev: \"net_tap0,iface=a\"\n- {name: x, vdev: net_tap0}\n",
		6, "ports[1].vdev", "port \"lo\" has this device already", "");
	SPOILED("  interface: lo\n", "  pci: 3b:00\n", 5, "ports[0].pci", "not a PCI address",
		"0000:3b:00.0");
	SPOILED("  interface: lo\n", "  pci: 0000:3b:00.8\n", 5, "ports[0].pci",
		"not a PCI address", "");
	SPOILED("  interface: lo\n", "  pci: FF:1F.7\n", 5, "ports[0].pci",
		"there is no PCI device 0000:ff:1f.7", "dpdk-devbind.py");
	SPOILED("  interface: lo\n", "  vdev: ring0\n", 5, "ports[0].vdev", "not a network vdev",
		"net_tap0");
	SPOILED("  interface: lo\n", "  vdev: net_ring0 iface=x\n", 5, "ports[0].vdev",
		"blank or control character", "");
	SPOILED("  interface: lo\n", "  vdev: net_ring0;x=1\n", 5, "ports[0].vdev",
		"not a name of a vdev", "comma");
	SPOILED("  interface: lo\n", "  vdev: \"net_af_xdp0,iface=lo\"\n", 5, "ports[0].vdev",
		"without our steering program", "interface");
	SPOILED("  interface: lo\n", "  interface: lo\n  checksum: nic\n", 6, "ports[0].checksum",
		"not told", "local");
	SPOILED("  interface: lo\n", "  interface: lo\n  checksum: off\n", 6, "ports[0].checksum",
		"not known", "strict, local, nic");
	SPOILED("  interface: lo\n",
		"  interface: lo\n  queues: 40\n- {name: r, vdev: net_ring0, "
		"queues: 24}\n",
		7, "ports[1].queues", "64 queues of all ports together", "lower");
}

Test(refuse, two_pci_addresses_of_one_device)
{
	char with[640];
	const char *address = NULL;
	DIR *dir = opendir("/sys/bus/pci/devices");
	struct dirent *entry;
	while (dir && !address && (entry = readdir(dir)))
		if (strncmp(entry->d_name, "0000:", 5) == 0)
			address = entry->d_name;
	if (!address)
		cr_skip("this machine has no PCI device");
	snprintf(with, sizeof(with), "  pci: %s\n- {name: x, pci: \"%s\"}\n", address, address + 5);
	SPOILED("  interface: lo\n", with, 6, "ports[1].pci", "has this device already", "");
	snprintf(with, sizeof(with), "  pci: \"%s\"\n", address + 5);
	struct pst_profile *p = load_good(spoil("  interface: lo\n", with, ""));
	cr_expect_str_eq(p->ports[0].device, address, "named with its domain");
	cr_expect_eq(p->ports[0].checksum, PST_CHECKSUM_NIC);
	pst_profile_free(p);
	closedir(dir);
}

Test(refuse, cores)
{
	struct pst_host_cpus cpus;
	char text[512], list[256];
	cr_assert_eq(pst_host_cpus(&cpus), 0);
	pst_host_cpus_text(&cpus, list, sizeof(list));
	EXTRA("cores: {main: 1023}\n", "cores.main", "CPU 1023: this machine has no such CPU",
		list);
	EXTRA("cores: {main: 1024}\n", "cores.main", "out of range", "");
	EXTRA("cores: {main: all}\n", "cores.main", "not a whole number", "");
	EXTRA("cores: {rx: []}\n", "cores.rx", "at least 1", "");
	EXTRA("cores: {writers: [1022]}\n", "cores.writers[0]", "no such CPU", list);
	snprintf(
		text, sizeof(text), GOOD "cores:\n  rx:\n  - %u\n  - %u\n", cpus.first, cpus.first);
	assert_bad(text, EXTRA_LINE + 3, "cores.rx[1]", "is named twice", "once");
	snprintf(text, sizeof(text), GOOD "idle: spin\ncores: {rx: [%u], writers: [%u]}\n",
		cpus.last, cpus.last);
	assert_bad(text, EXTRA_LINE, "idle", "also that of main or a writer", "adaptive");
	snprintf(text, sizeof(text), GOOD "idle: adaptive\ncores: {rx: [%u], writers: [%u]}\n",
		cpus.last, cpus.last);
	pst_profile_free(load_good(text));
	if (cpus.first == cpus.last)
		cr_skip("the rest needs two CPUs");
	snprintf(text, sizeof(text), GOOD "cores: {rx: [%u, %u]}\n", cpus.first, cpus.last);
	assert_bad(text, EXTRA_LINE, "cores.rx", "2 rx lcores, but only 1 rx queues", "queues");
	pst_profile_free(load_good(GOOD "idle: spin\n"));
	snprintf(text, sizeof(text),
		GOOD "idle: spin\ncores: {main: %u, rx: [%u], writers: [%u]}\n", cpus.first,
		cpus.first, cpus.last);
	assert_bad(text, EXTRA_LINE, "idle", "also that of main or a writer", "adaptive");
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(cpus.first, &one);
	cr_assert_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	snprintf(text, sizeof(text), GOOD "cores: {main: %u}\n", cpus.last);
	snprintf(list, sizeof(list), "it may use: %u", cpus.first);
	assert_bad(text, EXTRA_LINE, "cores.main", "may not run there", list);
}

Test(refuse, too_few_buffers_for_the_busiest_lcore)
{
	struct pst_host_cpus cpus;
	char extra[128];
	cr_assert_eq(pst_host_cpus(&cpus), 0);
	if (cpus.first == cpus.last)
		cr_skip("needs two CPUs");
	/* 3 streams on 2 of the 3 queues. */
	for (unsigned cnt = 9; cnt <= 10; cnt++) {
		snprintf(extra, sizeof(extra), "cores: {rx: [%u, %u]}\nbatch: {buffers: %u}\n",
			cpus.first, cpus.last, cnt);
		const char *text = spoil(
			"  interface: lo\n", "  interface: lo\n  queues: 3\n", extra);
		if (cnt == 9)
			assert_bad(text, EXTRA_LINE + 2, "batch.buffers", "can have 6 batches open",
				"at least 10");
		else
			pst_profile_free(load_good(text));
	}
}

Test(host, cpus_as_ranges)
{
	static struct pst_host_cpus cpus = {.first = 0, .last = 8};
	char list[64];
	cpus.allowed[0] = cpus.allowed[1] = cpus.allowed[2] = true;
	cpus.allowed[5] = true;
	cpus.allowed[7] = cpus.allowed[8] = true;
	pst_host_cpus_text(&cpus, list, sizeof(list));
	cr_expect_str_eq(list, "0-2,5,7-8");
	pst_host_cpus_text(&cpus, list, 6);
	cr_expect_str_eq(list, "0-2,5");
}

Test(refuse, memory_and_buffers)
{
	EXTRA("memory: {size: 64M}\n", "memory.size",
		"too little: packet buffers 33 MiB, batches 64", "give at least 128M");
	EXTRA("batch: {buffers: 6}\n", "batch.buffers", "can have 3 batches open", "at least 7");
	EXTRA("memory: {size: 128M}\nbatch: {buffers: 400}\n", "memory.size", "batches 385 MiB",
		"give at least 448M");
}

Test(refuse, files)
{
	char file[] = "/tmp/pst_profile_XXXXXX", text[1024];
	int fd = mkstemp(file);
	cr_assert(fd >= 0);
	close(fd);
	snprintf(text, sizeof(text), "data: {dir: %s}", file);
	SPOILED("data: {dir: /nonexistent/pst}", text, 2, "data.dir", "is not a directory",
		"name a directory");
	snprintf(text, sizeof(text), "data: {dir: %s/below}", file);
	SPOILED("data: {dir: /nonexistent/pst}", text, 2, "data.dir", "Not a directory",
		"check the path");
	EXTRA("rules: {file: /nonexistent/rules}\n", "rules.file",
		"/nonexistent/rules cannot be read: No such file", "working directory");
	EXTRA("rules: {file: /tmp}\n", "rules.file", "not a regular file", "");
	snprintf(text, sizeof(text), GOOD "rules:\n  file: %s\n  cache: %s\n", file, file);
	assert_bad(text, EXTRA_LINE + 2, "rules.cache", "is not a directory", "");
	snprintf(text, sizeof(text), GOOD "rules:\n  file: %s\n  cache: /nonexistent/c\n", file);
	struct pst_profile *p = load_good(text);
	cr_expect_str_eq(p->rules_file, file);
	cr_expect_str_eq(p->rules_cache, "/nonexistent/c");
	pst_profile_free(p);
	unlink(file);
}

Test(refuse, data_directories)
{
	static const char dir[] = "data: {dir: /nonexistent/pst}";

	SPOILED(dir, "data: {dir: /a, dirs: [/b]}", 2, "data.dirs", "data.dir stands there",
		"list it here");
	SPOILED(dir, "data: {dirs: []}", 2, "data.dirs", "", "");
	SPOILED(dir, "data: {dirs: [/b, \"\"]}", 2, "data.dirs[1]", "", "");
	SPOILED(dir, "data: {dirs: [/nonexistent/a, /nonexistent/b, /nonexistent/a/]}", 2,
		"data.dirs[2]", "the same directory as data.dirs[0]", "once");
	SPOILED(dir, "data: {dirs: [/tmp/pst-a, /tmp/../tmp/pst-a]}", 2, "data.dirs[1]",
		"the same directory", "");
	SPOILED(dir, "data: {dirs: [/tmp/pst-a, /tmp/pst-a/b]}", 2, "data.dirs[1]", "inside",
		"side by side");
	SPOILED(dir, "data: {dirs: [/tmp/pst/x, /]}", 2, "data.dirs[1]", "inside", "");
	SPOILED("- name: b\n", "- name: b\n  on-failure: retry\n", 9, "streams[1].on-failure",
		"not known", "halt, continue");
}

Test(refuse, data_directories_that_only_look_alike_are_fine)
{
	struct pst_profile *p = load_good(spoil("data: {dir: /nonexistent/pst}",
		"data: {dirs: [/nonexistent/pst, /nonexistent/pst2, /nonexistent/ps]}",
		"cores: {writers: [0]}\nquarantine: {on-failure: halt}\n"));
	cr_expect_eq(p->data_dir_cnt, 3);
	cr_expect_str_eq(p->data_dirs[1], "/nonexistent/pst2");
	cr_expect_eq(p->streams[0].on_failure, PST_ON_FAILURE_HALT);
	cr_expect_eq(p->streams[p->quarantine_stream_idx].on_failure, PST_ON_FAILURE_HALT);
	pst_profile_free(p);
}

Test(profile, writers_and_drives)
{
	struct pst_profile p = {.writer_cnt = 3, .data_dir_cnt = 2};
	cr_expect(pst_profile_writes(&p, 0, 0) && pst_profile_writes(&p, 2, 0));
	cr_expect(pst_profile_writes(&p, 1, 1) && !pst_profile_writes(&p, 1, 0));
	p = (struct pst_profile){.writer_cnt = 2, .data_dir_cnt = 3};
	cr_expect(pst_profile_writes(&p, 0, 0) && pst_profile_writes(&p, 0, 2));
	cr_expect(pst_profile_writes(&p, 1, 1) && !pst_profile_writes(&p, 0, 1));
}
