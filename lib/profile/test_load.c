/* What good profiles come to. */
#include <sched.h>

#include "profile/test_profile.h"

#define MIB (UINT64_C(1) << 20)
#define MS  UINT64_C(1000000)
#define DAY (UINT64_C(86400) * 1000 * MS)

Test(profile, defaults)
{
	struct pst_profile *p = load_good(GOOD);
	struct pst_host_cpus cpus;
	cr_assert_eq(pst_host_cpus(&cpus), 0);
	cr_expect_str_eq(p->file, test_path);
	cr_expect_str_eq(p->name, "t");
	cr_expect_eq(p->data_dir_cnt, 1);
	cr_expect_str_eq(p->data_dirs[0], "/nonexistent/pst");
	cr_expect_eq(p->data_retain_bytes, 0);
	cr_expect_eq(p->data_when_full, PST_WHEN_FULL_SHED);
	cr_expect_eq(p->data_reserve_bytes, 16 * MIB);
	cr_expect_eq(p->core_main, cpus.first);
	cr_expect_eq(p->rx_lcore_cnt, 1);
	cr_expect_eq(p->core_rx[0], cpus.last);
	cr_expect_eq(p->writer_cnt, 1);
	cr_expect_eq(p->core_writer[0], cpus.first);
	cr_expect_eq(p->idle, PST_IDLE_ADAPTIVE);
	cr_expect_not(p->no_huge);
	cr_expect_null(p->rules_file);
	cr_expect_eq(p->rules_compile_cpu_s_max, 60);
	cr_expect_eq(p->rules_compile_bytes_max, 2048 * MIB);
	cr_expect_eq(p->batch_bytes_max, MIB);
	cr_expect_eq(p->batch_records_max, 65536);
	cr_expect_eq(p->batch_age_max_ns, 5 * MS);
	cr_expect_eq(p->batch_buffer_cnt, 64);
	cr_expect_eq(p->lz4_acceleration, 1);
	cr_expect_eq(p->flush_bytes, 8 * MIB);
	cr_expect_eq(p->flush_age_ns, 5 * MS);
	cr_expect_eq(p->session_cnt_max, 1024);
	cr_expect_eq(p->session_gap_cnt_max, 64);
	cr_expect_eq(p->source_cnt_max, 1024);
	cr_expect_eq(p->kernel_rcvbuf_bytes, 16 * MIB);
	cr_expect_eq(p->quarantine_rate, 1000);
	cr_expect_eq(p->quarantine_bytes_max, 4096);
	cr_expect_str_eq(p->telemetry_prefix, "penstock");
	cr_expect_str_eq(p->metrics_address, "127.0.0.1");
	cr_expect_eq(p->metrics_port, 9464);
	cr_expect(pst_profile_metrics_are_local(p));
	pst_profile_free(p);
}

Test(profile, defaults_of_ports_streams_and_listeners)
{
	struct pst_profile *p = load_good(GOOD);
	cr_assert_eq(p->port_cnt, 1);
	cr_expect_eq(p->ports[0].kind, PST_PORT_AF_XDP);
	cr_expect_str_eq(p->ports[0].device, "lo");
	cr_expect_eq(p->ports[0].queue_cnt, 1);
	cr_expect_eq(p->ports[0].rx_desc_cnt, 2048);
	cr_expect_eq(p->ports[0].checksum, PST_CHECKSUM_LOCAL);
	cr_expect_not(p->ports[0].promiscuous);
	cr_assert_eq(p->stream_cnt, 4);
	cr_expect_eq(p->declared_stream_cnt, 2);
	cr_expect_eq(p->queue_stream_cnt, 3);
	cr_expect_eq(p->quarantine_stream_idx, 2);
	cr_expect_eq(p->ledger_stream_idx, 3);
	cr_expect_str_eq(p->streams[3].name, PST_LEDGER_STREAM);
	cr_expect_eq(p->streams[3].retain_bytes, 1024 * MIB);
	cr_expect_eq(p->streams[3].retain_age_ns, 365 * DAY);
	cr_expect_eq(p->streams[3].segment_bytes_max, 16 * MIB);
	cr_expect_eq(p->ledger_interval_ns, 1000 * MS);
	cr_expect_str_eq(p->streams[0].name, "a");
	cr_expect_eq(p->streams[0].segment_bytes_max, 1024 * MIB);
	cr_expect_eq(p->streams[0].segment_age_max_ns, DAY);
	cr_expect_eq(p->streams[0].retain_bytes, 0);
	cr_expect_eq(p->streams[0].retain_age_ns, 7 * DAY);
	cr_expect_not(p->streams[0].header_ts_ns || p->streams[0].header_rules);
	cr_expect_str_eq(p->streams[2].name, PST_QUARANTINE);
	cr_expect_eq(p->streams[2].segment_bytes_max, 64 * MIB);
	cr_expect_eq(p->streams[2].retain_bytes, 1024 * MIB);
	cr_assert_eq(p->listener_cnt, 2);
	cr_expect_eq(p->listeners[0].framing, PST_FRAMING_DATAGRAM);
	cr_expect_eq(p->listeners[0].stream_idx, 0);
	cr_expect_eq(p->listeners[0].udp_port, 5514);
	cr_expect_eq(p->listeners[0].addr_cnt, 1);
	cr_expect_not(p->listeners[0].default_drop);
	cr_expect_eq(p->listeners[0].allow_cnt, 0);
	cr_assert_eq(p->listeners[1].addr_cnt, 2, "\"*\" is both families");
	cr_expect(pst_addr_is_ipv4(&p->listeners[1].addrs[0]));
	static const struct pst_addr any_ipv6;
	cr_expect_eq(memcmp(&p->listeners[1].addrs[1], &any_ipv6, sizeof(any_ipv6)), 0);
	pst_profile_free(p);
}

Test(profile, what_is_given_is_taken)
{
	struct pst_profile *p = load_good(spoil("  stream: b\n",
		"  stream: b\n"
		"  framing: mold64\n"
		"  default-action: drop\n"
		"  allow: [10.0.0.0/8, \"2001:db8::/32\"]\n",
		"idle: adaptive\n"
		"memory: {size: 1G, no-huge: true}\n"
		"batch: {bytes: 64K, records: 2k, age: 1s, buffers: 100, lz4-acceleration: 0}\n"
		"flush: {bytes: 1M, age: 20ms}\n"
		"sessions: {max: 10, gaps: 3}\n"
		"sources: {max: 99}\n"
		"kernel-path: {receive-buffer: 32M}\n"
		"quarantine: {rate: 0, bytes: 64, retain-bytes: 8M, retain-age: 1h}\n"
		"ledger: {interval: 100ms, retain-bytes: 8M, retain-age: 0}\n"
		"telemetry: {prefix: other_1}\n"
		"metrics: {address: 10.0.0.1, port: 80}\n"));
	cr_expect(p->no_huge);
	cr_expect_eq(p->memory_bytes, 1024 * MIB);
	cr_expect_eq(p->batch_bytes_max, 65536);
	cr_expect_eq(p->batch_records_max, 2000);
	cr_expect_eq(p->batch_age_max_ns, 1000 * MS);
	cr_expect_eq(p->batch_buffer_cnt, 100);
	cr_expect_eq(p->lz4_acceleration, 0);
	cr_expect_eq(p->flush_bytes, MIB);
	cr_expect_eq(p->flush_age_ns, 20 * MS);
	cr_expect_eq(p->session_cnt_max, 10);
	cr_expect_eq(p->session_gap_cnt_max, 3);
	cr_expect_eq(p->source_cnt_max, 99);
	cr_expect_eq(p->kernel_rcvbuf_bytes, 32 * MIB);
	cr_expect_eq(p->quarantine_rate, 0);
	cr_expect_eq(p->quarantine_bytes_max, 64);
	cr_expect_eq(p->ledger_interval_ns, 100 * MS);
	cr_expect_eq(p->streams[p->ledger_stream_idx].segment_bytes_max, 2 * MIB);
	cr_expect_eq(p->streams[p->ledger_stream_idx].retain_age_ns, 0);
	cr_expect_eq(p->streams[2].retain_bytes, 8 * MIB);
	cr_expect_eq(p->streams[2].segment_bytes_max, 2 * MIB, "a quarter of what is kept");
	cr_expect_eq(p->streams[2].retain_age_ns, 3600 * 1000 * MS);
	cr_expect_str_eq(p->telemetry_prefix, "other_1");
	cr_expect_str_eq(p->metrics_address, "10.0.0.1");
	cr_expect_eq(p->metrics_port, 80);
	cr_expect_not(pst_profile_metrics_are_local(p));
	cr_expect_eq(p->listeners[1].framing, PST_FRAMING_MOLD64);
	cr_expect(p->listeners[1].default_drop);
	cr_assert_eq(p->listeners[1].allow_cnt, 2);
	cr_expect_eq(p->listeners[1].allow[0].len, 104);
	cr_expect_eq(p->listeners[1].allow[1].len, 32);
	pst_profile_free(p);
}

Test(profile, streams_as_given)
{
	struct pst_profile *p = load_good(spoil("- name: b\n",
		"- name: b\n"
		"  segment-bytes: 1M\n"
		"  segment-age: 0\n"
		"  retain-bytes: 1M\n"
		"  retain-age: 1s\n"
		"  headers: [rules]\n"
		"- {name: A.b-C_9, seal: none, headers: [ts-ns, rules]}\n"
		"- name: ab\n", /* "a" begins so, and is another */
		""));
	cr_assert_eq(p->stream_cnt, 6);
	cr_expect_eq(p->streams[1].segment_bytes_max, MIB);
	cr_expect_eq(p->streams[1].segment_age_max_ns, 0);
	cr_expect_eq(p->streams[1].retain_bytes, MIB);
	cr_expect_eq(p->streams[1].retain_age_ns, 1000 * MS);
	cr_expect(!p->streams[1].header_ts_ns && p->streams[1].header_rules);
	cr_expect(p->streams[2].header_ts_ns && p->streams[2].header_rules);
	cr_expect(p->streams[1].sealed, "the default");
	cr_expect_not(p->streams[2].sealed);
	cr_expect(p->streams[4].sealed, "the quarantine is");
	pst_profile_free(p);
}

Test(profile, queues_are_dealt_to_rx_lcores_in_turn)
{
	struct pst_host_cpus cpus;
	char extra[64];
	cr_assert_eq(pst_host_cpus(&cpus), 0);
	if (cpus.first == cpus.last)
		cr_skip("needs two CPUs");
	snprintf(extra, sizeof(extra), "cores: {rx: [%u, %u]}\n", cpus.last, cpus.first);
	struct pst_profile *p = load_good(spoil("- name: lo\n",
		"- {name: r1, vdev: net_ring1, queues: 2, descriptors: 64, promiscuous: true}\n"
		"- {name: r2, vdev: \"net_tap2,iface=x\", queues: 1, checksum: nic}\n"
		"- name: lo\n  queues: 2\n  checksum: strict\n",
		extra));
	static const struct pst_profile_queue dealt[] = {
		{0, 0, 0}, {0, 1, 1}, {1, 0, 0}, {2, 0, 1}, {2, 1, 0}};
	cr_assert_eq(p->queue_cnt, 5);
	cr_expect_geq(p->plan.handoff, 2 * PST_PLAN_FORWARDS_BYTES,
		"what comes in at one lcore and belongs to the other");
	for (int q = 0; q < 5; q++) {
		cr_expect_eq(p->queues[q].port_idx, dealt[q].port_idx);
		cr_expect_eq(p->queues[q].queue_id, dealt[q].queue_id);
		cr_expect_eq(p->queues[q].rx_lcore_idx, dealt[q].rx_lcore_idx);
	}
	cr_expect_eq(p->ports[0].queue_first_idx, 0);
	cr_expect_eq(p->ports[1].queue_first_idx, 2);
	cr_expect_eq(p->ports[2].queue_first_idx, 3);
	cr_expect_eq(p->ports[0].kind, PST_PORT_VDEV);
	cr_expect_eq(p->ports[0].rx_desc_cnt, 64);
	cr_expect_eq(p->ports[0].checksum, PST_CHECKSUM_STRICT);
	cr_expect(p->ports[0].promiscuous);
	cr_expect_str_eq(p->ports[1].device, "net_tap2,iface=x");
	cr_expect_eq(p->ports[1].checksum, PST_CHECKSUM_NIC);
	cr_expect_eq(p->ports[2].checksum, PST_CHECKSUM_STRICT);
	pst_profile_free(p);
}

Test(profile, exact_addresses_and_wildcards_may_share_a_port)
{
	struct pst_profile *p = load_good(spoil("  port: 8125\n", "  port: 5514\n", ""));
	cr_expect_eq(p->listeners[0].udp_port, p->listeners[1].udp_port);
	pst_profile_free(p);
	p = load_good(spoil("[\"*\"]", "[0.0.0.0]",
		"- {name: x, addresses: [\"::\"], port: 8125, stream: a}\n"));
	cr_expect_eq(p->listener_cnt, 3);
	pst_profile_free(p);
	p = load_good(GOOD "- {name: x, addresses: [127.0.0.1], port: 5515, stream: a}\n");
	cr_expect_eq(p->listener_cnt, 3);
	pst_profile_free(p);
}

Test(profile, buffers_follow_streams_and_queues)
{
	struct pst_profile *p = load_good(
		spoil("  interface: lo\n", "  interface: lo\n  queues: 30\n", ""));
	/* 3 streams on 30 queues of the one rx lcore. */
	cr_expect_eq(p->batch_buffer_cnt, 3 * 30 + 4 + 16);
	pst_profile_free(p);
	p = load_good(spoil(
		"  interface: lo\n", "  interface: lo\n  queues: 30\n", "batch: {buffers: 94}\n"));
	cr_expect_eq(p->batch_buffer_cnt, 94);
	pst_profile_free(p);
}

Test(profile, memory_plan_adds_up)
{
	struct pst_profile *p = load_good(GOOD);
	cr_expect_eq(p->plan.mbuf_cnt, 8192);
	cr_expect_geq(p->plan.mbufs, 32 * MIB);
	cr_expect_eq(p->plan.batches, (64 + 4) * PST_PLAN_BATCH_BYTES);
	cr_expect_gt(p->plan.sessions, 1024 * 64 * 16);
	cr_expect_gt(p->plan.sources, 1024 * 128);
	cr_expect_eq(p->plan.total, p->plan.mbufs + p->plan.batches + p->plan.sessions +
					    p->plan.sources + p->plan.handoff + p->plan.eal);
	cr_expect_geq(p->memory_bytes, p->plan.total);
	cr_expect_lt(p->memory_bytes, p->plan.total + 64 * MIB);
	cr_expect_leq(p->memory_bytes, 256 * MIB, "the defaults fit a small machine");
	uint64_t total = p->plan.total;
	pst_profile_free(p);
	p = load_good(GOOD "sessions: {max: 2048, gaps: 256}\n");
	cr_expect_gt(p->plan.total, total + 1024 * 192 * 16);
	pst_profile_free(p);
	p = load_good(spoil("  interface: lo\n", "  interface: lo\n  descriptors: 4096\n", ""));
	cr_expect_eq(p->plan.mbuf_cnt, 12288);
	pst_profile_free(p);
}

static void
print_to(const struct pst_profile *p, char **text)
{
	size_t len;
	FILE *f = open_memstream(text, &len);
	cr_assert_not_null(f);
	pst_profile_print_plan(f, p);
	pst_profile_print_memory(f, p);
	fclose(f);
}

Test(profile, plan_for_people)
{
	static const char *const lines[] = {
		"profile t (/proc/self/fd/",
		"control thread\n",
		"rx lcore 0\n",
		"writer lcore 0\n",
		"  lo: AF_XDP lo, 2 queues of 2048 descriptors, checksum local\n",
		"  ring: vdev net_ring0, 1 queue of 2048 descriptors, checksum strict, "
		"promiscuous\n",
		"  lo queue 1 -> rx lcore 0 -> partition 1\n",
		"  ring queue 0 -> rx lcore 0 -> partition 2\n",
		"  one: datagram -> stream a, default keep, at 127.0.0.1:5514; from anyone\n",
		"  three: lines -> stream a, default drop, at [::1]:9; only from 10.0.0.0/8 ::/0\n",
		"  two: datagram -> stream b, default keep, at 0.0.0.0:8125 [::]:8125; from "
		"anyone\n",
		"  a: segments of 1G, rolled after 1d, sealed; kept: bytes no limit, age 7d; "
		"headers seq; "
		"a drive fails: halt\n",
		"  penstock.quarantine: segments of 64M, rolled after 1d, sealed; kept: bytes 1G, "
		"age 7d; "
		"headers seq ts_ns rules; a drive fails: continue\n",
		"batches: closed at 1M, 65536 records or 5ms; LZ4 acceleration 1\n",
		"flush: fdatasync after 8M or 5ms\n",
		"     256.0 MiB  taken (memory.size)\n",
		"  data         /nonexistent/pst: writer lcore 0\n",
		"  lock         /nonexistent/pst/penstock.lock\n",
		"  rules        none",
		"/dpdk/penstock/dpdk_telemetry.v2\n",
		"metrics: http://127.0.0.1:9464/metrics\n",
	};
	struct pst_profile *p = load_good(spoil("  interface: lo\n",
		"  interface: lo\n  queues: 2\n"
		"- {name: ring, vdev: net_ring0, promiscuous: true}\n",
		"- {name: three, addresses: [\"::1\"], port: 9, stream: a, default-action: drop,\n"
		"   framing: lines, allow: [10.0.0.0/8, \"::/0\"]}\n"
		"memory: {size: 256M}\n"));
	char *text;
	print_to(p, &text);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		cr_expect(strstr(text, lines[i]), "no \"%s\" in:\n%s", lines[i], text);
	free(text);
	pst_profile_free(p);
}

Test(profile, plan_says_who_may_ask_for_metrics)
{
	static const struct {
		const char *section;
		const char *line;
		bool is_local;
	} plans[] = {
		{"metrics: {address: \"::1\", port: 1k}\n", "metrics: http://[::1]:1000/metrics\n",
			true},
		{"metrics: {address: 127.255.0.9}\n", "metrics: http://127.255.0.9:9464/", true},
		{"metrics: {address: 0.0.0.0}\n", "metrics: http://0.0.0.0:9464/", false},
		{"metrics: {address: \"::\"}\n", "metrics: http://[::]:9464/", false},
		{"metrics: {port: 0}\n", "metrics: no endpoint", true},
	};

	for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
		struct pst_profile *p = load_good(
			spoil("name: t\n", "name: t\n", plans[i].section));
		char *text;
		print_to(p, &text);
		cr_expect(strstr(text, plans[i].line), "no \"%s\" in:\n%s", plans[i].line, text);
		cr_expect_eq(strstr(text, "warning: others than this host") == NULL,
			plans[i].is_local, "%s", plans[i].section);
		free(text);
		pst_profile_free(p);
	}
}

Test(number, text_has_the_largest_unit)
{
	static const struct {
		enum pst_number_kind kind;
		uint64_t value;
		const char *text;
	} cases[] = {
		{PST_NUMBER_COUNT, 65536, "65536"},
		{PST_NUMBER_BYTES, 0, "0"},
		{PST_NUMBER_BYTES, 1023, "1023"},
		{PST_NUMBER_BYTES, 65536, "64K"},
		{PST_NUMBER_BYTES, UINT64_C(3) << 40, "3T"},
		{PST_NUMBER_DURATION, 1, "1ns"},
		{PST_NUMBER_DURATION, 1500 * MS, "1500ms"},
		{PST_NUMBER_DURATION, 7 * DAY, "7d"},
		{PST_NUMBER_DURATION, 90 * 60 * 1000 * MS, "90m"},
	};
	char buf[PST_NUMBER_TEXT];
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_str_eq(
			pst_number_text(buf, cases[i].kind, cases[i].value), cases[i].text);
}

/* A tree as the kernel's: one directory per page size. */
static void
make_pages(const char *root, const char *dir, const char *free_cnt, const char *nr)
{
	static const char *const files[] = {"free_hugepages", "nr_hugepages"};
	char path[256];
	snprintf(path, sizeof(path), "mkdir -p %s/%s", root, dir);
	cr_assert_eq(system(path), 0);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s/%s", root, dir, files[i]);
		FILE *f = fopen(path, "w");
		cr_assert_not_null(f);
		fprintf(f, "%s\n", i ? nr : free_cnt);
		fclose(f);
	}
}

Test(memory, hugepages)
{
	char root[] = "/tmp/pst_profile_XXXXXX", wanted[256];
	struct pst_diag diag = {0};
	struct pst_profile *p = load_good(GOOD "memory: {size: 256M}\n");
	cr_assert_not_null(mkdtemp(root));

	cr_expect_eq(pst_profile_check_memory_at("/nonexistent", p, &diag), -1);
	cr_expect(strstr(diag.remedy, "no-huge"));
	make_pages(root, "hugepages-2048kB", "100", "130");
	cr_expect_eq(pst_profile_check_memory_at(root, p, &diag), -1);
	cr_expect_str_eq(diag.file, test_path);
	cr_expect_eq(diag.line, EXTRA_LINE);
	cr_expect_str_eq(diag.key, "memory.size");
	cr_expect_str_eq(diag.text, "256 MiB of hugepages are needed, 200 MiB are free");
	/* 28 more than there are. */
	snprintf(wanted, sizeof(wanted), "echo 158 | sudo tee %s/hugepages-2048kB/nr_hugepages",
		root);
	cr_expect(strstr(diag.remedy, wanted), "%s", diag.remedy);
	cr_expect(strstr(diag.remedy, "memory.no-huge: true"));
	p->no_huge = true;
	cr_expect_eq(pst_profile_check_memory_at(root, p, &diag), 0);
	p->no_huge = false;
	make_pages(root, "hugepages-2048kB", "127", "130");
	cr_expect_eq(pst_profile_check_memory_at(root, p, &diag), -1);
	make_pages(root, "hugepages-2048kB", "128", "130");
	cr_expect_eq(pst_profile_check_memory_at(root, p, &diag), 0);
	make_pages(root, "hugepages-2048kB", "0", "0");
	make_pages(root, "hugepages-1048576kB", "0", "0");
	cr_expect_eq(pst_profile_check_memory_at(root, p, &diag), -1);
	cr_expect(strstr(diag.remedy, "echo 128 |") && strstr(diag.remedy, "2048kB"), "%s",
		diag.remedy);
	make_pages(root, "hugepages-1048576kB", "1", "1");
	cr_expect_eq(pst_profile_check_memory_at(root, p, &diag), 0);
	pst_profile_free(p);
	snprintf(wanted, sizeof(wanted), "rm -r %s", root);
	cr_assert_eq(system(wanted), 0);
}
