#include "telemetry/fake.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <rte_eal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "pipeline/watch.h"
#include "telemetry/telemetry.h"

struct fake fake;

/* ---- a profile ---- */

static struct pst_profile profile;
static struct pst_pipeline pipeline;

static char *
widened(const char *text, size_t width)
{
	char *wide = malloc(width + 1);
	cr_assert_not_null(wide);
	memset(wide, 'w', width);
	wide[width] = '\0';
	memcpy(wide, text, strlen(text));
	return fake.widest ? wide : strdup(text);
}

static char *
numbered(const char *format, unsigned idx, size_t width)
{
	char text[64];
	snprintf(text, sizeof(text), format, idx);
	return widened(text, width);
}

static uint64_t
count(uint64_t value)
{
	return fake.widest ? UINT64_MAX : value;
}

static void
profile_ports(uint16_t queue_cnt)
{
	profile.port_cnt = queue_cnt < PST_PORTS_MAX ? queue_cnt : PST_PORTS_MAX;
	profile.ports = calloc(profile.port_cnt, sizeof(*profile.ports));
	profile.queue_cnt = queue_cnt;
	for (uint16_t q = 0; q < queue_cnt; q++) {
		uint16_t p = q % profile.port_cnt;
		profile.ports[p].name = numbered("port%u", p, 32);
		profile.ports[p].device = widened("net_fake", 900);
		profile.ports[p].queue_cnt++;
		profile.queues[q] = (struct pst_profile_queue){
			.port_idx = p, .queue_id = q / profile.port_cnt};
		pipeline.partition_of_queue[q] = q;
	}
}

static void
profile_listeners(uint16_t listener_cnt)
{
	profile.listener_cnt = listener_cnt;
	profile.listeners = calloc(listener_cnt, sizeof(*profile.listeners));
	for (uint16_t l = 0; l < listener_cnt; l++) {
		struct pst_profile_listener *listener = &profile.listeners[l];
		uint16_t addr_cnt = fake.widest ? PST_ADDRESSES_MAX : 1;
		listener->name = numbered("listener%u", l, 32);
		listener->udp_port = (uint16_t)(65000 + l);
		listener->stream_idx = (uint16_t)(l % profile.stream_cnt);
		listener->addr_cnt = addr_cnt;
		listener->addrs = calloc(addr_cnt, sizeof(*listener->addrs));
		for (uint16_t a = 0; a < addr_cnt; a++)
			memset(&listener->addrs[a], 0x20 + l, sizeof(*listener->addrs));
	}
}

/* The first was closed in order, unless all is at its widest. */
static void
fake_logs(uint32_t cnt)
{
	struct pst_log_add *logs = calloc(cnt, sizeof(*logs));

	for (uint32_t i = 0; i < cnt; i++) {
		struct pst_recovery *r = &logs[i].recovery;
		logs[i].config.topic = profile.streams[i % profile.stream_cnt].name;
		logs[i].config.partition = i / profile.stream_cnt;
		r->next_offset = 100 + i;
		r->clean = i == 0 && !fake.widest;
		r->item_cnt = r->clean ? 0 : fake.widest ? 1000 : 2;
		for (uint32_t k = 0; k < PST_RECOVERY_ITEMS_MAX; k++) {
			r->items[k] = (struct pst_recovery_item){
				.kind = k == 1 ? PST_RECOVERY_MISSING : PST_RECOVERY_SET_ASIDE,
				.segment_base = fake.widest ? INT64_MAX : 7,
				.pos = fake.widest ? UINT64_MAX : 4096,
				.bytes = fake.widest ? UINT64_MAX : 512,
				.first_offset = 10,
				.last_offset = 19,
			};
			snprintf(r->items[k].file, sizeof(r->items[k].file), "%.*s",
				fake.widest ? 63 : 20,
				"00000000000000000007.log.damaged-18446744073709551615-01234567."
				"tmp.long");
		}
	}
	pipeline.logs = logs;
	pipeline.log_cnt = cnt;
	pipeline.recovery_ns = 1500000000;
}

struct pst_pipeline *
fake_pipeline(uint16_t queue_cnt, uint16_t listener_cnt, uint16_t stream_cnt)
{
	profile.file = widened("/etc/penstock/\"odd\"\\\xc3\xa4%.yaml", 4000);
	profile.name = "fake";
	profile.data_dir_cnt = fake.widest ? PST_DRIVES_MAX : 2;
	for (uint16_t d = 0; d < profile.data_dir_cnt; d++)
		profile.data_dirs[d] = numbered("/data%u", d, 4000);
	profile.rules_file = widened("rules.yaml", 4000);
	profile.rx_lcore_cnt = fake.widest ? PST_RX_LCORES_MAX : 2;
	profile.writer_cnt = fake.widest ? PST_WRITERS_MAX : 1;
	profile.stream_cnt = stream_cnt;
	/* The last one is the ledger's, if there are two. */
	profile.queue_stream_cnt = (uint16_t)(stream_cnt > 1 ? stream_cnt - 1 : 1);
	profile.ledger_stream_idx = (uint16_t)(stream_cnt - 1);
	profile.streams = calloc(stream_cnt, sizeof(*profile.streams));
	for (uint16_t s = 0; s < stream_cnt; s++)
		profile.streams[s].name = numbered("stream.%u", s, PST_NAME_MAX);
	profile_ports(queue_cnt);
	profile_listeners(listener_cnt);
	for (uint16_t i = 0; i < profile.port_cnt; i++)
		pipeline.spread[i] = (struct pst_spread){.frame_cnt = count(1000 + i),
			.busiest_idx = 3,
			.busiest_share_permille = 400,
			.max_to_mean_permille = 1600,
			.skewed = true};
	pipeline.profile = &profile;
	fake_logs(queue_cnt * stream_cnt);
	pipeline.ksock = (struct pst_ksock *)&fake;
	pipeline.started_ns = (uint64_t)time(NULL) * 1000000000;
	pipeline.clock_step_ns_last = -5000000000;
	pthread_mutex_init(&pipeline.mutex, NULL);
	return &pipeline;
}

/* ---- lib/pipeline: the recorder ---- */

int
pst_recorder_view_init(struct pst_recorder_view *view, const struct pst_pipeline *p)
{
	struct pst_book_shape shape = pst_book_shape(p->profile);
	memset(view, 0, sizeof(*view));
	cr_assert_eq(pst_book_init(&view->interval.book, &shape), 0);
	return pst_book_init(&view->total, &shape);
}

void
pst_recorder_view_fini(struct pst_recorder_view *view)
{
	pst_book_fini(&view->interval.book);
	pst_book_fini(&view->total);
	pst_beside_fini(&view->beside);
}

/* Interval 7, in which the first cell found five events; 40 counters on each port if widest. */
int
pst_recorder_view(struct pst_recorder *recorder, struct pst_recorder_view *view)
{
	char name[PST_BESIDE_NAME_MAX];

	strcpy(view->run_id, "0123456789abcdef");
	view->interval.first = view->interval.last = 7;
	view->interval.to_ns = view->interval_ns = 1000000000;
	view->interval.book.cells[0].found = 5;
	pst_beside_read(&view->beside, PST_BESIDE_KERNEL, PST_BESIDE_LOSS, "dropped", 3, true);
	pst_beside_read(&view->beside, 0, PST_BESIDE_NOTE, "rx_nombuf", 4, true);
	if (!fake.widest)
		return 0;
	memset(view->interval.book.cells, 0xff,
		pst_book_cell_cnt(&view->interval.book.shape) * sizeof(struct pst_cell));
	memset(&view->residuals, 0x80, sizeof(view->residuals));
	for (uint16_t i = 0; i < 40 * profile.port_cnt; i++) {
		memset(name, 'w', sizeof(name) - 1);
		name[sizeof(name) - 1] = '\0';
		snprintf(name, 8, "%07u", i);
		name[7] = 'w';
		pst_beside_read(&view->beside, i % profile.port_cnt, PST_BESIDE_LOSS, name,
			UINT64_MAX, true);
	}
	return 0;
}

/* ---- lib/pipeline ---- */

/* As pst_book_shape's in lib/ledger says. */
int
pst_snapshot_init(struct pst_snapshot *snapshot, const struct pst_pipeline *p)
{
	struct pst_book_shape shape = pst_book_shape(p->profile);
	memset(snapshot, 0, sizeof(*snapshot));
	snapshot->latency = calloc(p->profile->writer_cnt, sizeof(*snapshot->latency));
	cr_assert_not_null(snapshot->latency);
	return pst_book_init(&snapshot->book, &shape);
}

void
pst_snapshot_fini(struct pst_snapshot *snapshot)
{
	pst_book_fini(&snapshot->book);
	free(snapshot->latency);
}

static void
fill_words(void *words, size_t bytes, uint64_t value)
{
	for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
		((uint64_t *)words)[i] = value;
}

int
pst_pipeline_snapshot(struct pst_pipeline *p, struct pst_snapshot *out)
{
	struct pst_book *book = &out->book;

	if (fake.snapshot_rc != 0)
		return fake.snapshot_rc;
	fake.snapshot_cnt++;
	if (fake.snapshot_slow)
		usleep(2000);
	pst_book_clear(book);
	for (uint32_t i = 0; i < pst_book_cell_cnt(&book->shape); i++) {
		uint32_t queue = i / book->shape.listener_cnt;
		uint32_t listener = i % book->shape.listener_cnt;
		if (fake.sparse && (queue % 2 || listener % 2))
			continue;
		fill_words(&book->cells[i], sizeof(book->cells[i]), count(i + fake.snapshot_cnt));
	}
	fill_words(book->streams, book->shape.stream_cnt * sizeof(*book->streams),
		count(fake.snapshot_cnt));
	memset(out->rx, fake.widest ? 0xff : 1, sizeof(out->rx));
	memset(out->writers, fake.widest ? 0xff : 1, sizeof(out->writers));
	for (unsigned w = 0; w < PST_WRITERS_MAX; w++) {
		out->writers[w].appender.direct = true;
		out->writers[w].appender.last_errno = ENOSPC;
	}
	for (uint16_t w = 0; w < p->profile->writer_cnt; w++) {
		memset(out->latency[w], fake.widest ? 0xff : 0, sizeof(out->latency[w]));
		for (unsigned s = 0; !fake.widest && s < PST_LATENCY_STAGE_CNT; s++) {
			pst_latency_add(&out->latency[w][s], 1000000 * (s + 1), 98);
			pst_latency_add(&out->latency[w][s], 1000000000 * (s + 1), 2 + w);
		}
	}
	return 0;
}

void
fake_session_id(uint32_t idx, uint8_t id[PST_MOLD_SESSION_LEN])
{
	memset(id, fake.widest ? 0xff : ' ', PST_MOLD_SESSION_LEN);
	for (unsigned i = 0; i < 4; i++)
		id[i] = (uint8_t)(idx * 7 >> (8 * i));
}

int
pst_pipeline_sessions(struct pst_pipeline *p, uint32_t first, struct pst_pipeline_page *out)
{
	static uint32_t begun_cnt;

	if (fake.sessions_begin > 0) {
		fake.sessions_begin--;
		begun_cnt++;
	}
	out->first = first;
	out->total = fake.session_cnt + begun_cnt;
	out->cnt = 0;
	for (uint32_t at = first; at < out->total && out->cnt < PST_SESSION_PAGE; at++) {
		/* Those that have begun meanwhile have the highest numbers. */
		uint32_t i = at < begun_cnt ? out->total - 1 - at : at - begun_cnt;
		struct pst_session_row *row = &out->rows[out->cnt++];
		memset(row, 0, sizeof(*row));
		fill_words(&row->info.joined_at,
			offsetof(struct pst_session_info, range_cnt) -
				offsetof(struct pst_session_info, joined_at),
			count(i));
		row->rx_idx = (uint16_t)(i % 2);
		row->info.listener_idx = (uint16_t)(i % p->profile->listener_cnt);
		row->info.range_cnt = fake.session_range_cnt;
		fake_session_id(i, row->info.id);
		row->range_cnt = (uint32_t)pst_min_u64(
			fake.session_range_cnt, PST_SESSION_PAGE_RANGES);
		fill_words(row->ranges, row->range_cnt * sizeof(row->ranges[0]), count(i + 1));
	}
	return 0;
}

void
pst_watch_name_stuck(const struct pst_pipeline *p, char *out, size_t cap)
{
	memset(out, 0, cap);
	if (fake.widest)
		memset(out, 'w', cap - 1);
	else
		snprintf(out, cap, "rx 1");
}

/* Sender i has 1000 - i events. */
uint32_t
pst_pipeline_sources(struct pst_pipeline *p, uint32_t first, struct pst_source_row *rows,
	uint32_t cap, struct pst_sources_page *page)
{
	static uint64_t generation = 1;
	uint32_t cnt = 0;

	if (fake.source_steps > 0) {
		fake.source_steps--;
		generation++;
	}
	*page = (struct pst_sources_page){.generation = generation, .total = fake.source_cnt};
	fill_words(&page->kept, sizeof(page->kept), count(5));
	fill_words(&page->others, sizeof(page->others), count(7));
	for (uint32_t i = first; i < fake.source_cnt && cnt < cap; i++) {
		struct pst_source_row *row = &rows[cnt++];
		memset(row, 0, sizeof(*row));
		fill_words(&row->count, sizeof(row->count), count(1000 - i));
		row->events_per_s = row->bytes_per_s = row->entered_ns = count(i);
		row->last_seen_ns = count(i);
		row->listener_idx = (uint16_t)(i % p->profile->listener_cnt);
		memset(&row->addr, i == 1 ? 0 : 0x20 + (int)(i % 64), sizeof(row->addr));
	}
	return cnt;
}

void
fake_rule_name(uint32_t idx, char name[FAKE_RULE_NAME])
{
	memset(name, 0, FAKE_RULE_NAME);
	if (fake.widest)
		memset(name, 0xff, FAKE_RULE_NAME - 1);
	else if (idx >= 500)
		snprintf(name, FAKE_RULE_NAME, "r%u", idx);
	else
		/* UTF-8, quotes, a percent sign, a line end, an escape sequence */
		snprintf(name, FAKE_RULE_NAME, "rule %u \xc3\xa4 \"%%41\" \\ \n\x1b[2J", idx);
}

int
pst_pipeline_rules(struct pst_pipeline *p, uint32_t first, struct pst_rule_row *rows, uint32_t cap,
	struct pst_rules_page *page)
{
	uint32_t cnt = 0;

	if (fake.generation_steps > 0) {
		fake.generation_steps--;
		fake.rules_generation++;
	}
	*page = (struct pst_rules_page){
		.generation = fake.rules_generation, .total = fake.rule_cnt};
	page->failed_cnt = p->rules_failed_cnt;
	memset(page->hash, 'a', 64);
	for (uint32_t idx = first; idx < fake.rule_cnt && cnt < cap; idx++) {
		struct pst_rule_row *row = &rows[cnt++];
		*row = (struct pst_rule_row){
			.id = fake.widest ? UINT32_MAX : idx + 100,
			.action = PST_RULES_ROUTE,
			.priority = fake.widest ? INT32_MIN : -(int32_t)idx,
			.count = {.matched = count(idx), .decided = count(idx / 2)},
		};
		fake_rule_name(idx, row->name);
		snprintf(row->stream, sizeof(row->stream), "%s", p->profile->streams[0].name);
	}
	return (int)cnt;
}

int
pst_pipeline_log(struct pst_pipeline *p, uint16_t stream_idx, uint16_t queue_idx,
	struct pst_log_place *place, struct pst_log_stats *out)
{
	*place = (struct pst_log_place){.partition = fake.widest ? UINT32_MAX : queue_idx};
	fill_words(out, sizeof(*out) - sizeof(uint64_t),
		fake.widest ? (uint64_t)INT64_MIN : stream_idx * 1000u + queue_idx);
	out->failed = false;
	return 0;
}

void
pst_pipeline_drive(struct pst_pipeline *p, uint16_t drive_idx, struct pst_drive_row *out)
{
	bool down = drive_idx % 2 || fake.drives_down;

	*out = (struct pst_drive_row){
		.path = p->profile->data_dirs[drive_idx],
		.info = {.state = down ? PST_DRIVE_FAILED : PST_DRIVE_OK,
			.error = down ? EIO : 0,
			.id = "00000000000000a1"},
		.partition_cnt = drive_idx,
		.log_bytes = count(drive_idx),
		.space_bytes = count(1000),
		.free_bytes = count(500),
		.fullness = {.full = fake.drive_full, .full_cnt = count(3)},
	};
}

int
pst_pipeline_reload_rules(struct pst_pipeline *p, struct pst_diag *diag)
{
	pthread_mutex_lock(&p->mutex);
	uint32_t now = ++fake.reloads_now;
	if (now > fake.reloads_now_max)
		fake.reloads_now_max = now;
	fake.reload_cnt++;
	if (fake.reload_fails) {
		pst_diag_set(diag, "rules.yaml", 12, "rules[3].pattern", "close it",
			"missing ) at \"\xff\"");
		p->rules_diag = *diag;
		p->rules_failed_cnt++;
	} else {
		fake.rules_generation++;
	}
	fake.reloads_now--;
	pthread_mutex_unlock(&p->mutex);
	return fake.reload_fails ? -1 : 0;
}

/* ---- lib/port, lib/ksock, lib/steer, lib/rules ---- */

void
pst_ports_stats(const struct pst_ports *ports, uint16_t port_idx, struct pst_port_stats *out)
{
	memset(out, fake.widest ? 0xff : 1, sizeof(*out));
	out->has_xdp = out->link_up = true;
	out->rx_packets = count(port_idx);
}

void
pst_ports_xstats(const struct pst_ports *ports, uint16_t port_idx,
	void (*visit)(void *arg, const char *name, uint64_t value), void *arg)
{
	for (uint32_t i = 0; i < fake.xstat_cnt; i++) {
		char name[96];
		snprintf(name, sizeof(name), fake.widest ? "%094u" : "rx.%u", i);
		visit(arg, name, count(port_idx * 10000u + i));
	}
}

void
pst_ksock_stats(struct pst_ksock *ksock, struct pst_ksock_stats *out)
{
	memset(out, fake.widest ? 0xff : 1, sizeof(*out));
}

const char *
pst_steer_count_name(enum pst_steer_count count_idx)
{
	static char names[PST_STEER_COUNT_CNT][24];
	snprintf(names[count_idx], sizeof(names[0]), "steer_count_%u", count_idx);
	return names[count_idx];
}

const char *
pst_rules_action_name(enum pst_rules_action action)
{
	return "route";
}

/* ---- a telemetry socket ---- */

static char run_dir[] = "/tmp/penstock-test-XXXXXX";

void
fake_eal_start(void)
{
	char *argv[] = {"test", "--no-huge", "--no-pci", "-m", "32", "-l", "0", "--file-prefix",
		"telemetry", "--log-level", "error", NULL};

	cr_assert_not_null(mkdtemp(run_dir));
	setenv("RUNTIME_DIRECTORY", run_dir, 1);
	cr_assert_geq(rte_eal_init(PST_ARRAY_CNT(argv) - 1, argv), 0);
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void
fake_eal_stop(void)
{
	nftw(run_dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

struct pst_client *
fake_client(void)
{
	struct pst_client *client;
	struct pst_diag diag;

	cr_assert_eq(
		pst_client_open("telemetry", &client, &diag), 0, "%s: %s", diag.file, diag.text);
	return client;
}

json_t *
fake_kept(json_t *answer)
{
	static json_t *kept;

	if (!kept)
		kept = json_array();
	json_array_append_new(kept, answer);
	return answer;
}

json_t *
fake_list(const char *command)
{
	struct pst_client *client = fake_client();
	struct pst_diag diag;

	json_t *list = pst_client_list(client, command, 0, &diag);
	cr_assert_not_null(list, "%s", diag.text);
	pst_client_close(client);
	return fake_kept(list);
}

json_t *
fake_ask(const char *request)
{
	struct pst_client *client = fake_client();
	struct pst_diag diag;

	json_t *answer = pst_client_ask(client, request, &diag);
	cr_assert_not_null(answer, "%s", diag.text);
	pst_client_close(client);
	return fake_kept(answer);
}

json_int_t
json_at(const json_t *json, const char *name)
{
	const json_t *value = json_object_get(json, name);
	cr_assert(json_is_integer(value), "%s is no integer", name);
	return json_integer_value(value);
}

const char *
text_at(const json_t *json, const char *name)
{
	const json_t *value = json_object_get(json, name);
	cr_assert(json_is_string(value), "%s is no string", name);
	return json_string_value(value);
}

struct pst_pipeline *
fake_start(uint16_t queue_cnt, uint16_t listener_cnt, uint16_t stream_cnt)
{
	struct pst_pipeline *made = fake_pipeline(queue_cnt, listener_cnt, stream_cnt);

	fake_eal_start();
	cr_assert_eq(pst_telemetry_register(made), 0);
	return made;
}
