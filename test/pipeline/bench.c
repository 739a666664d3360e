#include "bench.h"

#include <criterion/criterion.h>
#include <rte_eal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "segment/reader.h"

static void
eal_start(const struct pst_ports *ports)
{
	static const char *argv[48];
	int argc = 0;
	char prefix[32];

	snprintf(prefix, sizeof(prefix), "pst-bench-%d", (int)getpid());
	argv[argc++] = "bench";
	argv[argc++] = "--no-huge";
	argv[argc++] = "-m";
	argv[argc++] = "256";
	argv[argc++] = "--no-pci";
	argv[argc++] = "--no-telemetry";
	argv[argc++] = "--no-shconf";
	argv[argc++] = "--lcores=0@0";
	argv[argc++] = "--log-level=*:error";
	argv[argc++] = "--file-prefix";
	argv[argc++] = prefix;
	argc += (int)pst_ports_eal_args(ports, argv + argc, 16);
	cr_assert_geq(rte_eal_init(argc, (char **)argv), 0);
}

static char *
profile_file(struct bench *b, const char *yaml)
{
	static char path[96];

	snprintf(b->dir, sizeof(b->dir), "/tmp/pst-bench-XXXXXX");
	cr_assert(mkdtemp(b->dir));
	snprintf(path, sizeof(path), "%s/profile.yaml", b->dir);
	FILE *f = fopen(path, "w");
	cr_assert(f);
	for (const char *at = yaml; *at;) {
		if (strncmp(at, "DIR", 3) == 0) {
			fputs(b->dir, f);
			at += 3;
		} else {
			fputc(*at++, f);
		}
	}
	fclose(f);
	return path;
}

#define MUST(call)                                                                                 \
	do {                                                                                       \
		if ((call) != 0) {                                                                 \
			pst_diag_print(stderr, &diag);                                             \
			cr_assert(0, "%s", diag.text);                                             \
		}                                                                                  \
	} while (0)

void
bench_open(struct bench *b, const char *yaml)
{
	bench_open_on(b, yaml, NULL);
}

void
bench_open_on(struct bench *b, const char *yaml, struct pst_disk *const *disks)
{
	struct pst_pipeline *p = &b->pipeline;
	struct pst_diag diag = {0};
	static const char *listeners[PST_LISTENERS_MAX], *streams[PST_STREAMS_MAX];
	static bool default_drop[PST_LISTENERS_MAX];

	memset(b, 0, sizeof(*b));
	b->storage.disks = disks;
	pst_clock_init();
	MUST(pst_profile_load(profile_file(b, yaml), &b->profile, &diag));
	p->profile = b->profile;
	cr_assert_eq(pst_listener_table_create(b->profile, &p->listeners), 0);
	MUST(pst_storage_open(b->profile, &b->storage, &diag));
	MUST(pst_ports_create(b->profile, &p->ports, &diag));
	eal_start(p->ports);
	MUST(pst_ports_open(p->ports, &diag));
	MUST(pst_topology_build(p, &b->storage, &diag));
	for (uint16_t i = 0; i < b->profile->listener_cnt; i++)
		listeners[i] = b->profile->listeners[i].name;
	for (uint16_t i = 0; i < b->profile->declared_stream_cnt; i++)
		streams[i] = b->profile->streams[i].name;
	p->rules_env = (struct pst_rules_env){.listener_names = listeners,
		.listener_default_drop = default_drop,
		.listener_cnt = b->profile->listener_cnt,
		.stream_names = streams,
		.stream_cnt = b->profile->declared_stream_cnt,
		.compile_cpu_s_max = 60,
		.compile_bytes_max = UINT64_C(4) << 30};
	struct pst_rules *rules;
	MUST(pst_rules_load(b->profile->rules_file, &p->rules_env, &rules, &diag));
	cr_assert_eq(pst_pipeline_set_rules(p, rules), 0);
	for (uint16_t i = 0; i < b->profile->rx_lcore_cnt; i++)
		p->rx[i]->now_ns = pst_clock_ns(pst_clock_tsc());
}

void
bench_abandon(struct bench *b)
{
	b->closed = pst_storage_close(b->profile, &b->storage);
	pst_topology_destroy(&b->pipeline);
	pst_ports_destroy(b->pipeline.ports);
	pst_listener_table_destroy(b->pipeline.listeners);
	rte_eal_cleanup();
}

void
bench_close(struct bench *b)
{
	char command[96];

	bench_abandon(b);
	cr_assert_eq(b->closed, 0);
	pst_profile_free(b->profile);
	snprintf(command, sizeof(command), "rm -rf %s", b->dir);
	cr_assert_eq(system(command), 0);
}

/* A control thread's doing, while lcores serve their mailboxes. */
struct control {
	struct bench *bench;
	int (*act)(struct bench *bench, void *arg);
	void *arg;
	int rc;
	_Atomic bool done;
};

static void *
control_thread(void *arg)
{
	struct control *c = arg;
	c->rc = c->act(c->bench, c->arg);
	atomic_store(&c->done, true);
	return NULL;
}

static int
control(struct bench *b, int (*act)(struct bench *bench, void *arg), void *arg)
{
	struct control c = {.bench = b, .act = act, .arg = arg};
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, control_thread, &c), 0);
	while (!atomic_load(&c.done)) {
		for (uint16_t r = 0; r < b->profile->rx_lcore_cnt; r++)
			pst_mailbox_serve(&b->pipeline.rx[r]->mailbox, b->pipeline.rx[r]);
		for (uint16_t i = 0; i < b->profile->writer_cnt; i++)
			pst_mailbox_serve(&b->pipeline.writers[i]->mailbox, b->pipeline.writers[i]);
	}
	cr_assert_eq(pthread_join(thread, NULL), 0);
	return c.rc;
}

static int
watch(struct bench *b, void *diag)
{
	return pst_storage_watch(b->profile, &b->storage, &b->pipeline, diag);
}

int
bench_watch(struct bench *b, struct pst_diag *diag)
{
	return control(b, watch, diag);
}

static int
record(struct bench *b, void *arg)
{
	pst_recorder_turn(b->pipeline.recorder);
	return 0;
}

void
bench_record(struct bench *b)
{
	cr_assert_eq(control(b, record, NULL), 0);
}

static int
stream_logs(struct bench *b, void *out)
{
	return pst_pipeline_stream_logs(&b->pipeline, out);
}

void
bench_stream_logs(struct bench *b, struct pst_stream_logs out[PST_STREAMS_MAX])
{
	cr_assert_eq(control(b, stream_logs, out), 0);
}

void
bench_settle(struct bench *b)
{
	bool moved = true;

	while (moved) {
		moved = false;
		for (uint16_t r = 0; r < b->profile->rx_lcore_cnt; r++) {
			moved |= pst_rx_turn(b->pipeline.rx[r]);
			pst_rx_seal_aged(b->pipeline.rx[r], true);
		}
		for (uint16_t w = 0; w < b->profile->writer_cnt; w++) {
			moved |= pst_writer_turn(b->pipeline.writers[w]);
			pst_writer_flush(b->pipeline.writers[w]);
			moved |= !pst_writer_idle(b->pipeline.writers[w]);
		}
	}
	for (uint16_t r = 0; r < b->profile->rx_lcore_cnt; r++)
		pst_rx_take_home(b->pipeline.rx[r]);
}

struct pst_cell
bench_books(struct bench *b)
{
	struct pst_snapshot s;
	struct pst_cell sum = {0};

	cr_assert_eq(pst_snapshot_init(&s, &b->pipeline), 0);
	pst_pipeline_final_books(&b->pipeline, &s.book);
	for (uint32_t i = 0; i < pst_book_cell_cnt(&s.book.shape); i++) {
		cr_assert_eq(pst_cell_frames_residual(&s.book.cells[i]), 0, "frames of cell %u", i);
		cr_assert_eq(pst_cell_events_residual(&s.book.cells[i]), 0, "events of cell %u", i);
		pst_cell_add(&sum, &s.book.cells[i]);
	}
	for (uint16_t i = 0; i < s.book.shape.stream_cnt; i++)
		cr_assert_eq(pst_stream_cell_residual(&s.book.streams[i]), 0, "stream %u", i);
	pst_snapshot_fini(&s);
	return sum;
}

uint32_t
bench_frame(uint8_t *out, uint16_t port, const void *payload, uint32_t len)
{
	static const uint8_t head[42] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, /* IPv4 */
		0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, /* UDP */
		999 >> 8, 999 & 0xff};
	uint32_t sum = 0;

	memcpy(out, head, sizeof(head));
	pst_store_be16(out + 16, (uint16_t)(28 + len));
	for (unsigned i = 14; i < 34; i += 2)
		sum += pst_load_be16(out + i);
	sum = (sum & 0xffff) + (sum >> 16);
	pst_store_be16(out + 24, (uint16_t) ~((sum & 0xffff) + (sum >> 16)));
	pst_store_be16(out + 36, port);
	pst_store_be16(out + 38, (uint16_t)(8 + len));
	pst_store_be16(out + 40, 0); /* no UDP checksum: legal with IPv4 */
	memcpy(out + 42, payload, len);
	return 42 + len;
}

void
bench_deliver(
	struct bench *b, uint16_t rx_idx, uint16_t queue_idx, const uint8_t *frame, uint32_t len)
{
	struct pst_rx *rx = b->pipeline.rx[rx_idx];

	rx->now_tsc = pst_clock_tsc();
	pst_rx_frame(rx, &rx->queues[queue_idx], frame, len, 0);
}

uint32_t
bench_mold(uint8_t *out, const char *session, uint64_t sequence, uint16_t cnt)
{
	uint32_t at = PST_MOLD_HEADER_LEN;

	memset(out, ' ', PST_MOLD_SESSION_LEN);
	memcpy(out, session, strlen(session));
	pst_store_be64(out + 10, sequence);
	pst_store_be16(out + 18, cnt);
	for (uint16_t i = 0; i < cnt; i++) {
		int n = sprintf((char *)out + at + 2, "%s-%llu", session,
			(unsigned long long)(sequence + i));
		pst_store_be16(out + at, (uint16_t)n);
		at += 2 + (uint32_t)n;
	}
	return at;
}

static bool
has_partition(const char *dir, const char *stream, uint32_t partition)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s-%u", dir, stream, partition);
	return access(path, F_OK) == 0;
}

static unsigned
count(struct bench *b, const char *stream, uint32_t partition, bool by_key, const char *text)
{
	struct pst_reader *reader;
	struct pst_batch_record record;
	struct pst_diag diag = {0};
	unsigned cnt = 0;
	enum pst_read_result result;

	const char *dir = b->profile->data_dirs[0];
	for (uint16_t d = 0; d < b->profile->data_dir_cnt; d++)
		if (has_partition(b->profile->data_dirs[d], stream, partition))
			dir = b->profile->data_dirs[d];
	MUST(pst_reader_open(dir, stream, partition, &reader, &diag));
	pst_reader_seek(reader, 0);
	while ((result = pst_reader_next(reader, &record, &diag)) == PST_READ_RECORD) {
		const uint8_t *data = by_key ? record.key : record.value;
		uint32_t len = by_key ? record.key_len : record.value_len;
		cnt += !text || (data && len == strlen(text) && memcmp(data, text, len) == 0);
	}
	cr_assert_eq(result, PST_READ_END, "%s", diag.text);
	pst_reader_close(reader);
	return cnt;
}

unsigned
bench_count(struct bench *b, const char *stream, uint32_t partition, const char *text)
{
	return count(b, stream, partition, false, text);
}

unsigned
bench_count_key(struct bench *b, const char *stream, uint32_t partition, const char *text)
{
	return count(b, stream, partition, true, text);
}
