/* penstock cat, verify and repair on a log that lib/segment wrote. Each runs in a child, its
 * standard output a pipe, as from a shell. */
#include <criterion/criterion.h>
#include <glob.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "batch/batch.h"
#include "penstock.h"
#include "segment/appender.h"
#include "segment/verify/verify.h"

#define BASE_NS UINT64_C(1764000000000000000)

enum { PARTITION_CNT = 2 };

struct store {
	char path[64];
	struct pst_datadir *dir;
	struct pst_appender *app;
	struct pst_batch_encoder *enc;
	int log_idx[PARTITION_CNT];
	uint64_t event_cnt[PARTITION_CNT];
	uint64_t now_ns;
	uint8_t buf[PST_BATCH_WIRE_BYTES_MAX];
};

static void
store_open(struct store *s)
{
	struct pst_diag diag;
	strcpy(s->path, "/tmp/penstock-cat-XXXXXX");
	cr_assert_not_null(mkdtemp(s->path));
	cr_assert_eq(pst_datadir_open(s->path, &s->dir, &diag), 0, "%s", diag.text);
	struct pst_appender_config config = {.flush_bytes = 1, .flush_age_ns = 1, .dir = s->dir};
	cr_assert_eq(pst_appender_create(&config, &s->app, &diag), 0, "%s", diag.text);
	for (uint32_t p = 0; p < PARTITION_CNT; p++) {
		struct pst_recovery recovery;
		struct pst_log_config log = {
			.topic = "syslog",
			.partition = p,
			.segment_bytes_max = 20000,
			.sealed = true,
		};
		s->log_idx[p] = pst_appender_add(s->app, &log, &recovery, &diag);
		cr_assert_geq(s->log_idx[p], 0, "%s", diag.text);
	}
	struct pst_batch_limits limits = {100000, 100, 1};
	cr_assert_eq(pst_batch_encoder_create(&limits, &s->enc), 0);
	s->now_ns = BASE_NS;
}

static void
store_close(struct store *s)
{
	cr_assert_eq(pst_appender_destroy(s->app), 0);
	pst_datadir_close(s->dir);
	pst_batch_encoder_destroy(s->enc);
}

static void
store_remove(const struct store *s)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -r %s", s->path);
	cr_assert_eq(system(command), 0);
}

/* Event i of partition p: "p<p> event <i>", a millisecond after the one before. */
static void
store_write(struct store *s, uint32_t p, unsigned batch_cnt, unsigned events_a_batch)
{
	for (unsigned b = 0; b < batch_cnt; b++) {
		pst_batch_begin(s->enc, s->buf);
		for (unsigned e = 0; e < events_a_batch; e++) {
			char value[64];
			uint64_t i = s->event_cnt[p]++;
			struct pst_record r = {
				.key = "10.0.0.1",
				.key_len = 8,
				.value = value,
				.value_len = (uint32_t)snprintf(
					value, sizeof(value), "p%" PRIu32 " event %" PRIu64, p, i),
				.ts_ns = BASE_NS + i * 1000000,
				.has_seq = true,
				.seq = i,
			};
			cr_assert(pst_batch_append(s->enc, &r));
		}
		uint32_t len = pst_batch_seal(s->enc);
		struct pst_append_done done;
		cr_assert_eq(pst_append(s->app, s->log_idx[p], s->buf, len, s, s->now_ns), 0);
		pst_appender_flush(s->app);
		while (pst_appender_poll(s->app, s->now_ns += 1000000, &done, 1) == 0) {
		}
		cr_assert_eq(done.status, PST_APPEND_DURABLE);
	}
}

struct child {
	pid_t pid;
	FILE *out;
};

static struct child
start_command(int (*run)(int, char **), char **argv)
{
	int fds[2], argc = 0;
	cr_assert_eq(pipe(fds), 0);
	while (argv[argc])
		argc++;
	fflush(NULL);
	pid_t pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		int status = run(argc, argv);
		fflush(stdout);
		_exit(status);
	}
	close(fds[1]);
	return (struct child){pid, fdopen(fds[0], "r")};
}

static int
end_command(struct child *c)
{
	int status;
	fclose(c->out);
	cr_assert_eq(waitpid(c->pid, &status, 0), c->pid);
	cr_assert(WIFEXITED(status), "killed by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

static void
expect_event(struct child *c, uint32_t p, uint64_t i)
{
	char line[256], want[64];
	snprintf(want, sizeof(want), "p%" PRIu32 " event %" PRIu64 "\n", p, i);
	cr_assert_not_null(fgets(line, sizeof(line), c->out), "no %s", want);
	cr_assert_str_eq(line, want);
}

static void
expect_end(struct child *c)
{
	char line[256];
	cr_assert_null(fgets(line, sizeof(line), c->out), "%s", line);
}

#define COMMAND(run, ...) start_command(run, (char *[]){__VA_ARGS__, NULL})

static struct store store;

Test(cat, all_partitions_one_after_the_other)
{
	store_open(&store);
	store_write(&store, 0, 30, 50);
	store_write(&store, 1, 3, 7);
	/* While the log is open, and when it is closed. */
	for (int closed = 0; closed <= 1; closed++) {
		if (closed)
			store_close(&store);
		struct child c = COMMAND(pst_cmd_cat, "cat", "-d", store.path, "syslog");
		for (uint64_t i = 0; i < 1500; i++)
			expect_event(&c, 0, i);
		for (uint64_t i = 0; i < 21; i++)
			expect_event(&c, 1, i);
		expect_end(&c);
		cr_assert_eq(end_command(&c), EXIT_DONE);
	}
	store_remove(&store);
}

Test(cat, from_an_offset_or_a_time)
{
	static const struct {
		char *start;
		uint64_t first;
	} cases[] = {
		{"earliest", 0},
		{"0", 0},
		{"777", 777},
		{"1499", 1499},
		{"1500", 1500},
		{"99999", 1500},
		{"latest", 1500},
		{"@1764000000", 0},
		{"@1", 0},
		{"@1764000000777", 777},
		{"@2025-11-24T16:00:01.499Z", 1499},
		{"@1764000001500", 1500},
	};
	store_open(&store);
	store_write(&store, 0, 30, 50);
	for (size_t i = 0; i < PST_ARRAY_CNT(cases); i++) {
		struct child c = COMMAND(
			pst_cmd_cat, "cat", "-d", store.path, "-o", cases[i].start, "syslog");
		for (uint64_t e = cases[i].first; e < 1500; e++)
			expect_event(&c, 0, e);
		expect_end(&c);
		cr_assert_eq(end_command(&c), EXIT_DONE, "%s", cases[i].start);
	}
	store_close(&store);
	store_remove(&store);
}

Test(cat, count_and_partition)
{
	store_open(&store);
	store_write(&store, 0, 2, 5);
	store_write(&store, 1, 2, 5);
	struct child c = COMMAND(pst_cmd_cat, "cat", "-d", store.path, "syslog", "-n", "12");
	for (uint64_t i = 0; i < 10; i++)
		expect_event(&c, 0, i);
	expect_event(&c, 1, 0);
	expect_event(&c, 1, 1);
	expect_end(&c);
	cr_assert_eq(end_command(&c), EXIT_DONE);
	c = COMMAND(pst_cmd_cat, "cat", "-d", store.path, "syslog", "-p", "1", "-o", "8");
	expect_event(&c, 1, 8);
	expect_event(&c, 1, 9);
	expect_end(&c);
	cr_assert_eq(end_command(&c), EXIT_DONE);
	c = COMMAND(pst_cmd_cat, "cat", "-d", store.path, "syslog", "-n", "0");
	expect_end(&c);
	cr_assert_eq(end_command(&c), EXIT_DONE);
	store_close(&store);
	store_remove(&store);
}

Test(cat, json)
{
	store_open(&store);
	store_write(&store, 1, 2, 5);
	struct child c = COMMAND(
		pst_cmd_cat, "cat", "-d", store.path, "syslog", "--format", "json");
	char line[512];
	for (int i = 0; i < 10; i++) {
		cr_assert_not_null(fgets(line, sizeof(line), c.out));
		char want[512];
		snprintf(want, sizeof(want),
			"{\"topic\":\"syslog\",\"partition\":1,\"offset\":%d,\"timestamp\":%" PRIu64
			",\"key\":\"10.0.0.1\",\"headers\":{\"seq\":%d},"
			"\"value\":\"p1 event %d\"}\n",
			i, BASE_NS / 1000000 + (unsigned)i, i, i);
		cr_assert_str_eq(line, want);
	}
	expect_end(&c);
	cr_assert_eq(end_command(&c), EXIT_DONE);
	store_close(&store);
	store_remove(&store);
}

Test(cat, follow_until_a_signal)
{
	store_open(&store);
	store_write(&store, 0, 1, 3);
	struct child c = COMMAND(pst_cmd_cat, "cat", "-d", store.path, "syslog", "-f");
	for (uint64_t i = 0; i < 3; i++)
		expect_event(&c, 0, i);
	/* Across rolls, and in the other partition. */
	for (uint64_t round = 0; round < 40; round++) {
		store_write(&store, 0, 1, 100);
		for (uint64_t i = 0; i < 100; i++)
			expect_event(&c, 0, 3 + round * 100 + i);
	}
	store_write(&store, 1, 1, 2);
	expect_event(&c, 1, 0);
	expect_event(&c, 1, 1);
	kill(c.pid, SIGINT);
	expect_end(&c);
	cr_assert_eq(end_command(&c), EXIT_DONE);
	/* With a count it ends by itself. */
	c = COMMAND(pst_cmd_cat, "cat", "-d", store.path, "syslog", "-f", "-p", "1", "-o", "latest",
		"-n", "1", "--format=raw");
	/* It may start after this event, or before: written until it has seen one. */
	char line[64];
	pid_t done = 0;
	int status;
	while ((done = waitpid(c.pid, &status, WNOHANG)) == 0)
		store_write(&store, 1, 1, 1);
	cr_assert_eq(done, c.pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_DONE);
	cr_assert_not_null(fgets(line, sizeof(line), c.out));
	expect_end(&c);
	fclose(c.out);
	store_close(&store);
	store_remove(&store);
}

Test(cat, damage_is_passed_and_said)
{
	store_open(&store);
	store_write(&store, 0, 30, 50);
	store_close(&store);
	char name[128];
	snprintf(name, sizeof(name), "%s/syslog-0/%020d.log", store.path, 0);
	FILE *f = fopen(name, "r+");
	cr_assert_not_null(f);
	cr_assert_eq(fseek(f, 100, SEEK_SET), 0);
	int byte = getc(f);
	cr_assert_eq(fseek(f, 100, SEEK_SET), 0);
	putc(byte ^ 1, f);
	fclose(f);
	struct child c = COMMAND(pst_cmd_cat, "cat", "-d", store.path, "syslog");
	for (uint64_t i = 50; i < 1500; i++)
		expect_event(&c, 0, i);
	expect_end(&c);
	cr_assert_eq(end_command(&c), EXIT_FINDING);
	store_remove(&store);
}

static void
remove_partition(const struct store *s, uint32_t partition)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -r %s/syslog-%u", s->path, partition);
	cr_assert_eq(system(command), 0);
}

static struct store second;

/* Partitions of a stream on two drives, one after the other; a drive that is away is said. */
Test(cat, several_drives)
{
	store_open(&store);
	store_open(&second);
	store_write(&store, 1, 1, 7);
	store_write(&second, 0, 1, 5);
	store_close(&store);
	store_close(&second);
	struct child c = COMMAND(pst_cmd_cat, "cat", "-d", store.path, "-d", second.path, "syslog");
	while (fgetc(c.out) != EOF) {
	}
	cr_assert_eq(end_command(&c), EXIT_FINDING, "a partition on two drives is said");

	remove_partition(&store, 0);
	remove_partition(&second, 1);
	c = COMMAND(pst_cmd_cat, "cat", "-d", store.path, "-d", second.path, "syslog");
	for (uint64_t i = 0; i < 5; i++)
		expect_event(&c, 0, i);
	for (uint64_t i = 0; i < 7; i++)
		expect_event(&c, 1, i);
	expect_end(&c);
	cr_assert_eq(end_command(&c), EXIT_DONE);

	c = COMMAND(pst_cmd_cat, "cat", "-d", "/nonexistent/penstock", "-d", second.path, "syslog");
	for (uint64_t i = 0; i < 5; i++)
		expect_event(&c, 0, i);
	expect_end(&c);
	cr_assert_eq(end_command(&c), EXIT_FINDING);
	c = COMMAND(pst_cmd_cat, "cat", "--profile", "/nonexistent/penstock", "syslog");
	expect_end(&c);
	cr_assert_eq(end_command(&c), EXIT_USAGE);

	char line[512], last[512] = "";
	c = COMMAND(pst_cmd_verify, "verify", store.path, second.path);
	while (fgets(line, sizeof(line), c.out))
		strcpy(last, line);
	cr_assert_not_null(strstr(last, "2 partitions"), "%s", last);
	cr_assert_not_null(strstr(last, "12 records"), "%s", last);
	cr_assert_eq(end_command(&c), EXIT_DONE);
	c = COMMAND(pst_cmd_verify, "verify", "/nonexistent/penstock", second.path);
	while (fgets(line, sizeof(line), c.out))
		strcpy(last, line);
	cr_assert_not_null(strstr(last, "5 records"), "the one that is there is looked at");
	cr_assert_eq(end_command(&c), EXIT_USAGE);
	store_remove(&store);
	store_remove(&second);
}

Test(cat, what_cannot_be)
{
	store_open(&store);
	store_write(&store, 0, 1, 3);
	struct child c = COMMAND(pst_cmd_cat, "cat", "-d", store.path, "nothing");
	expect_end(&c);
	cr_assert_eq(end_command(&c), EXIT_FINDING);
	c = COMMAND(pst_cmd_cat, "cat", "-d", store.path, "syslog", "-p", "9");
	expect_end(&c);
	cr_assert_eq(end_command(&c), EXIT_FINDING);
	c = COMMAND(pst_cmd_cat, "cat", "-d", "/nonexistent/penstock", "syslog");
	expect_end(&c);
	cr_assert_eq(end_command(&c), EXIT_FINDING);
	static char *usage[][6] = {
		{"cat", "syslog"},
		{"cat", "-d", store.path},
		{"cat", "-d", store.path, "syslog", "metrics"},
		{"cat", "-d", store.path, "syslog", "-z"},
		{"cat", "-d", store.path, "syslog", "-n"},
		{"cat", "-d", store.path, "syslog", "-n1x"},
		{"cat", "-d", store.path, "syslog", "-p-1"},
		{"cat", "-d", store.path, "syslog", "-ox"},
		{"cat", "-d", store.path, "syslog", "--format=xml"},
	};
	for (size_t i = 0; i < PST_ARRAY_CNT(usage); i++) {
		c = start_command(pst_cmd_cat, usage[i]);
		expect_end(&c);
		cr_assert_eq(end_command(&c), EXIT_USAGE, "case %zu", i);
	}
	store_close(&store);
	store_remove(&store);
}

static void
expect_anchor(char *anchor, int status)
{
	char line[2048];
	struct child c = COMMAND(
		pst_cmd_verify, "verify", "--json", "--anchor", anchor, store.path);
	size_t n = fread(line, 1, sizeof(line) - 1, c.out);
	line[n] = '\0';
	cr_assert_eq(end_command(&c), status, "%s: %s", anchor, line);
	if (status != EXIT_USAGE)
		cr_assert_not_null(
			strstr(line, status == EXIT_DONE ? "\"sound\": true" : "\"sound\": false"),
			"%s", line);
}

Test(verify, sound_and_damaged)
{
	store_open(&store);
	store_write(&store, 0, 30, 50);
	store_close(&store);
	char line[512], name[256];
	struct child c = COMMAND(pst_cmd_verify, "verify", store.path);
	char anchor[512] = "";
	while (fgets(line, sizeof(line), c.out)) {
		if (strncmp(line, "anchor syslog-0 1500 ", 21) == 0)
			strcpy(anchor, line);
		if (strncmp(line, "syslog-0: ", 10) == 0)
			cr_assert_str_eq(line, "syslog-0: complete and unaltered from offset 0 to "
					       "1499: by the sealed chain\n");
	}
	cr_assert_not_null(strstr(line, "30 batches, 1500 records"), "%s", line);
	cr_assert_not_null(strstr(line, ": no damage\n"), "%s", line);
	expect_end(&c);
	cr_assert_eq(end_command(&c), EXIT_DONE);
	/* As it was printed, in a file and as digits; then another one. */
	char *hex = anchor + 21;
	cr_assert_eq(strcspn(hex, "\n"), 64, "%s", anchor);
	char path[] = "/tmp/pst-anchors-XXXXXX";
	int fd = mkstemp(path);
	cr_assert_eq(write(fd, anchor, strlen(anchor)), (ssize_t)strlen(anchor));
	expect_anchor(path, EXIT_DONE);
	char last = hex[63];
	hex[63] = last == '0' ? '1' : '0';
	cr_assert_eq(pwrite(fd, anchor, strlen(anchor), 0), (ssize_t)strlen(anchor));
	expect_anchor(path, EXIT_FINDING);
	close(fd);
	unlink(path);
	hex[64] = '\0';
	expect_anchor(hex, EXIT_FINDING);
	hex[63] = last;
	expect_anchor(hex, EXIT_DONE);
	char wrong[] = "0123";
	expect_anchor(wrong, EXIT_USAGE);

	snprintf(name, sizeof(name), "%s/syslog-0/%020d.log", store.path, 0);
	FILE *f = fopen(name, "r+");
	cr_assert_not_null(f);
	fseek(f, 100, SEEK_SET);
	int byte = getc(f);
	fseek(f, 100, SEEK_SET);
	putc(byte ^ 1, f);
	fclose(f);
	c = COMMAND(pst_cmd_verify, "verify", store.path);
	bool told = false;
	while (fgets(line, sizeof(line), c.out))
		told = told || strstr(line, "syslog-0/00000000000000000000.log:");
	cr_assert(told);
	cr_assert_eq(end_command(&c), EXIT_FINDING);
	c = COMMAND(pst_cmd_verify, "verify", "/nonexistent/penstock");
	expect_end(&c);
	cr_assert_eq(end_command(&c), EXIT_USAGE);
	/* The wrong directory is not called sound. */
	snprintf(name, sizeof(name), "%s/syslog-0", store.path);
	c = COMMAND(pst_cmd_verify, "verify", name);
	expect_end(&c);
	cr_assert_eq(end_command(&c), EXIT_USAGE);
	c = COMMAND(pst_cmd_verify, "verify");
	expect_end(&c);
	cr_assert_eq(end_command(&c), EXIT_USAGE);
	store_remove(&store);
}

Test(verify, a_new_directory_is_sound)
{
	store_open(&store);
	store_close(&store);
	char line[512];
	struct child c = COMMAND(pst_cmd_verify, "verify", store.path);
	while (fgets(line, sizeof(line), c.out)) {
	}
	cr_assert_not_null(strstr(line, ": no damage\n"), "%s", line);
	cr_assert_eq(end_command(&c), EXIT_DONE);
	store_remove(&store);
}

/* Alters a byte of the first batch of syslog-0. */
static void
store_harm(const struct store *s)
{
	char name[300];
	snprintf(name, sizeof(name), "%s/syslog-0/%020d.log", s->path, 0);
	FILE *f = fopen(name, "r+");
	cr_assert_not_null(f);
	fseek(f, 100, SEEK_SET);
	int byte = getc(f);
	fseek(f, 100, SEEK_SET);
	putc(byte ^ 1, f);
	fclose(f);
}

Test(repair, says_then_does)
{
	char name[300], line[1024] = "";
	struct pst_verify_totals totals;
	glob_t found;
	store_open(&store);
	store_write(&store, 0, 30, 50);
	store_close(&store);
	store_harm(&store);
	struct child c = COMMAND(pst_cmd_repair, "repair", store.path, "syslog-0");
	while (fgets(line, sizeof(line), c.out)) {
	}
	cr_assert_not_null(strstr(line, "to be done: "), "%s", line);
	cr_assert_not_null(strstr(line, " 50 offsets lost; --apply does it"), "%s", line);
	cr_assert_eq(end_command(&c), EXIT_FINDING);
	c = COMMAND(pst_cmd_repair, "repair", "--apply", store.path);
	while (fgets(line, sizeof(line), c.out)) {
	}
	cr_assert_not_null(strstr(line, "done: "), "%s", line);
	cr_assert_eq(end_command(&c), EXIT_DONE);
	cr_assert_eq(pst_verify(store.path, NULL, &totals), 0);
	cr_assert_eq(totals.finding_cnt, 0);
	cr_assert_eq(totals.record_cnt, 1450);
	/* What was done is kept with the data. */
	snprintf(name, sizeof(name), "%s/penstock.repair-*Z.json", store.path);
	cr_assert_eq(glob(name, 0, NULL, &found), 0);
	json_t *report = json_load_file(found.gl_pathv[0], 0, NULL);
	cr_assert_str_eq(json_string_value(json_object_get(report, "state")), "done");
	size_t damaged = 0, i;
	json_t *item;
	json_array_foreach(json_object_get(report, "items"), i, item)
	{
		if (strcmp(json_string_value(json_object_get(item, "kind")), "damaged") == 0 &&
			json_string_length(json_object_get(item, "crc32c")) == 8)
			damaged++;
	}
	cr_assert_eq(damaged, 1);
	json_decref(report);
	globfree(&found);
	c = COMMAND(pst_cmd_repair, "repair", store.path);
	while (fgets(line, sizeof(line), c.out)) {
	}
	cr_assert_not_null(strstr(line, "nothing to do: "), "%s", line);
	cr_assert_eq(end_command(&c), EXIT_DONE);
	c = COMMAND(pst_cmd_repair, "repair", store.path, "syslog-7");
	expect_end(&c);
	cr_assert_eq(end_command(&c), EXIT_USAGE);
	store_remove(&store);
}

/* Each of a profile's directories; what cannot be repaired in one keeps nothing from the others. */
Test(repair, of_a_profile)
{
	static struct store other;
	char file[] = "/tmp/penstock-profile-XXXXXX", line[1024] = "", last[1100];
	struct pst_verify_totals totals;
	store_open(&store);
	store_write(&store, 0, 30, 50);
	store_close(&store);
	store_open(&other);
	store_write(&other, 0, 30, 50);
	store_close(&other);
	store_harm(&other);
	FILE *f = fdopen(mkstemp(file), "w");
	cr_assert_not_null(f);
	fprintf(f,
		"name: n\ndata: {dirs: [%s, %s]}\nports: [{name: p, vdev: net_ring0}]\n"
		"streams: [{name: syslog}]\n"
		"listeners: [{name: l, addresses: [\"*\"], port: 5514, stream: syslog}]\n",
		store.path, other.path);
	fclose(f);
	struct child c = COMMAND(pst_cmd_repair, "repair", "--profile", file, "syslog-9");
	expect_end(&c);
	cr_assert_eq(end_command(&c), EXIT_USAGE);
	c = COMMAND(pst_cmd_repair, "repair", "--profile", file, "--json");
	json_t *all = json_loadf(c.out, 0, NULL);
	cr_assert_eq(json_array_size(all), 2);
	cr_assert_str_eq(json_string_value(json_object_get(json_array_get(all, 0), "state")),
		"nothing to do");
	cr_assert_str_eq(
		json_string_value(json_object_get(json_array_get(all, 1), "state")), "to be done");
	json_decref(all);
	cr_assert_eq(end_command(&c), EXIT_FINDING);
	c = COMMAND(pst_cmd_repair, "repair", "--profile", file, "--apply", "syslog-0");
	while (fgets(line, sizeof(line), c.out)) {
	}
	snprintf(last, sizeof(last), "%s: done: ", other.path);
	cr_assert_eq(strncmp(line, last, strlen(last)), 0, "%s", line);
	cr_assert_eq(end_command(&c), EXIT_DONE);
	cr_assert_eq(pst_verify(other.path, NULL, &totals), 0);
	cr_assert_eq(totals.finding_cnt, 0);
	unlink(file);
	store_remove(&store);
	store_remove(&other);
}
