#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "telemetry/fake.h"
#include "telemetry/strtok.h"
#include "telemetry/telemetry.h"

TestSuite(telemetry, .fini = fake_eal_stop, .timeout = 60);

/* Asks and expects the daemon to refuse; returns its words. */
static struct pst_diag
refused(const char *request)
{
	struct pst_client *client = fake_client();
	struct pst_diag diag = {0};

	cr_assert_null(pst_client_ask(client, request, &diag), "%s", request);
	pst_client_close(client);
	return diag;
}

/* ---- snapshots ---- */

Test(telemetry, the_whole_status_is_of_one_snapshot)
{
	struct pst_diag diag;
	fake.rule_cnt = 3;
	fake.session_cnt = 40;
	fake.xstat_cnt = 2;
	fake.source_cnt = 500;
	fake_start(3, 2, 3);

	struct pst_client *client = fake_client();
	json_t *status = fake_kept(pst_client_status(client, &diag));
	cr_assert_not_null(status, "%s", diag.text);
	cr_assert_eq(fake.snapshot_cnt, 1);
	json_int_t total = json_at(json_object_get(status, "events"), "found");
	static const char *const books[] = {"cells", "listeners", "queues"};
	for (unsigned i = 0; i < PST_ARRAY_CNT(books); i++) {
		json_int_t found = 0;
		json_t *row;
		size_t r;
		json_array_foreach(json_object_get(status, books[i]), r, row)
			found += json_at(json_object_get(row, "events"), "found");
		cr_assert_eq(found, total, "%s", books[i]);
	}
	json_t *streams = json_object_get(status, "streams");
	json_t *logs = json_object_get(json_array_get(streams, 1), "partitions");
	cr_assert_eq(json_array_size(logs), 3);
	cr_assert_eq(json_at(json_array_get(logs, 2), "next_offset"), 1002);
	logs = json_object_get(json_array_get(streams, 2), "partitions");
	cr_assert_eq(json_array_size(logs), 1, "the ledger's is one");
	json_t *interval = json_object_get(status, "interval");
	cr_assert_eq(json_at(interval, "number"), 7);
	cr_assert_eq(json_at(json_object_get(interval, "events"), "found"), 5);
	cr_assert_eq(json_array_size(json_object_get(interval, "cells")), 1);
	cr_assert_eq(json_array_size(json_object_get(interval, "beside")), 2);
	json_t *ports = json_object_get(status, "ports");
	cr_assert_eq(json_array_size(ports), 3);
	cr_assert_eq(json_array_size(json_object_get(json_array_get(ports, 2), "xstats")), 2);
	cr_assert_eq(json_array_size(json_object_get(status, "sessions")), 40);
	cr_assert_eq(
		json_array_size(json_object_get(json_object_get(status, "rules"), "items")), 3);
	cr_assert_not_null(json_object_get(json_object_get(status, "kernel_path"), "refused"));
	cr_assert_eq(json_array_size(json_object_get(status, "rx")), 2);
	cr_assert_eq(json_array_size(json_object_get(status, "writers")), 1);
	json_t *spread = json_object_get(json_array_get(ports, 2), "spread");
	cr_assert_eq(json_at(spread, "skewed"), 1);
	cr_assert_eq(json_at(spread, "frame_cnt"), 1002);
	cr_assert_eq(json_at(spread, "busiest_queue"), 3);
	cr_assert_eq(json_at(spread, "busiest_share_permille"), 400);
	cr_assert_eq(json_at(spread, "max_to_mean_permille"), 1600);
	cr_assert_str_eq(text_at(json_object_get(status, "info"), "stuck_lcores"), "rx 1");
	json_t *sources = json_object_get(status, "sources");
	cr_assert_eq(json_at(sources, "total"), 500);
	cr_assert_geq(json_array_size(json_object_get(sources, "items")), 10, "the top of them");
	cr_assert_lt(json_array_size(json_object_get(sources, "items")), 500);
	/* 98 events at 2 ms, two at 2 s, each said at most 3 % too long. */
	json_t *latency = json_object_get(status, "latency");
	json_t *written = json_object_get(json_object_get(latency, "all"), "written");
	cr_assert_eq(json_array_size(json_object_get(latency, "writers")), 1);
	cr_assert_eq(json_at(written, "cnt"), 100);
	cr_assert_eq(json_at(written, "sum_ns"), 98 * 2000000 + 2 * 2000000000LL);
	cr_assert_eq(json_at(written, "ns_p50"), 2031615);
	cr_assert_eq(json_at(written, "ns_p90"), 2031615);
	cr_assert_eq(json_at(written, "ns_p99"), 2000000000);
	cr_assert_eq(json_at(written, "ns_max"), 2000000000);
	pst_client_close(client);
}

Test(telemetry, a_snapshot_that_was_given_up_is_refused_not_replaced)
{
	fake_start(1, 1, 1);
	json_int_t number = json_at(fake_ask("/penstock/ledger"), "snapshot");
	char request[64];

	snprintf(request, sizeof(request), "/penstock/ledger,0,%lld", (long long)number);
	cr_assert_eq(json_at(fake_ask(request), "snapshot"), number);
	/* It stays as long as it is used; the others go. */
	for (unsigned i = 0; i < 100; i++) {
		fake_ask("/penstock/queues");
		cr_assert_eq(json_at(fake_ask(request), "snapshot"), number);
	}
	for (unsigned i = 0; i < 100; i++)
		fake_ask("/penstock/queues");
	cr_assert_not_null(strstr(refused(request).text, "snapshot is gone"));
	cr_assert_not_null(strstr(refused("/penstock/ledger,0,999999").text, "snapshot is gone"));
}

Test(telemetry, an_lcore_that_does_not_answer_is_said)
{
	fake_start(1, 1, 1);
	fake.snapshot_rc = -ETIMEDOUT;
	cr_assert_not_null(strstr(refused("/penstock/ledger").text, "does not answer"));
	fake.snapshot_rc = 0;
	cr_assert_not_null(fake_ask("/penstock/ledger"));
}

/* ---- rules ---- */

Test(telemetry, rules_that_change_between_pages_are_asked_for_anew)
{
	struct pst_diag diag;
	fake.rule_cnt = 1000;
	fake_start(1, 1, 1);

	fake.generation_steps = 5;
	json_t *list = fake_list("/penstock/rules");
	cr_assert_eq(json_array_size(json_object_get(list, "items")), 1000);
	cr_assert_eq(json_at(list, "generation"), 5);

	fake.generation_steps = 1000;
	struct pst_client *client = fake_client();
	cr_assert_null(pst_client_list(client, "/penstock/rules", 0, &diag));
	cr_assert_not_null(strstr(diag.text, "changed"));
	pst_client_close(client);
}

Test(telemetry, a_reload_answers_ok_and_the_new_generation)
{
	fake.rules_generation = 3;
	fake_start(1, 1, 1);
	json_t *answer = fake_ask("/penstock/rules/reload");
	cr_assert_eq(json_at(answer, "ok"), 1);
	cr_assert_eq(json_at(answer, "generation"), 4);
	cr_assert_str_eq(text_at(answer, "error"), "");
}

Test(telemetry, a_refused_reload_says_where_and_leaves_the_generation)
{
	fake.rules_generation = 3;
	fake.reload_fails = true;
	fake_start(1, 1, 1);
	json_t *answer = fake_ask("/penstock/rules/reload");
	cr_assert_eq(json_at(answer, "ok"), 0);
	cr_assert_eq(json_at(answer, "generation"), 3);
	cr_assert_str_eq(text_at(answer, "error"),
		"rules.yaml:12: rules[3].pattern: missing ) at %22%FF%22 (close it)");
	cr_assert(json_is_true(json_object_get(answer, "error_escaped")));
	json_t *failure = json_object_get(fake_list("/penstock/rules"), "last_failure");
	cr_assert_eq(json_at(failure, "line"), 12);
	cr_assert_str_eq(text_at(failure, "key"), "rules[3].pattern");
}

Test(telemetry, a_reload_takes_no_path)
{
	fake_start(1, 1, 1);
	refused("/penstock/rules/reload,/etc/passwd");
	refused("/penstock/rules/reload,0");
	cr_assert_eq(fake.reload_cnt, 0);
}

/* ---- what clients may send ---- */

Test(telemetry, parameters_are_numbers_within_bounds)
{
	fake_start(1, 1, 1);
	static const char *const wrong[] = {
		"/penstock/rules,x",
		"/penstock/rules,-1",
		"/penstock/rules, 1",
		"/penstock/rules,1,",
		"/penstock/rules,1,2",
		"/penstock/rules,1x",
		"/penstock/rules,4294967296",
		"/penstock/rules,18446744073709551616",
		"/penstock/ledger,0,1,1",
		"/penstock/ledger,0,x",
		"/penstock/info,1",
		"/penstock/rules,+1",
		"/penstock/rules,0x10",
	};
	for (unsigned i = 0; i < PST_ARRAY_CNT(wrong); i++) {
		struct pst_diag diag = refused(wrong[i]);
		cr_assert(strstr(diag.text, "paramet") || strstr(diag.text, "FIRST"), "%s: %s",
			wrong[i], diag.text);
	}
	cr_assert_eq(json_at(fake_ask("/penstock/rules,4294967295"), "next"), 0);
	cr_assert_eq(json_at(fake_ask("/penstock/queues,1"), "first"), 1);
}

static int
rude_socket(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	cr_assert_eq(pst_client_path("telemetry", address.sun_path, sizeof(address.sun_path)), 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

Test(telemetry, rude_clients_do_no_harm)
{
	char junk[1024];
	fake.rule_cnt = 1000;
	fake_start(8, 8, 1);

	for (unsigned i = 0; i < 200; i++) {
		int fd = rude_socket();
		for (size_t b = 0; b < sizeof(junk); b++)
			junk[b] = (char)(i * 31 + b * 7);
		/* Asks for much and leaves without reading; sends junk; says nothing. */
		if (i % 4 == 0)
			send(fd, "/penstock/rules,0", 17, MSG_NOSIGNAL);
		if (i % 4 == 1)
			send(fd, junk, 1 + i * 5, MSG_NOSIGNAL);
		if (i % 4 == 2)
			send(fd, ",,,,", 4, MSG_NOSIGNAL);
		close(fd);
	}
	/* Many at the same time: those beyond ten are hung up on, the others are served. */
	int fds[30];
	for (unsigned i = 0; i < PST_ARRAY_CNT(fds); i++)
		fds[i] = rude_socket();
	for (unsigned i = 0; i < PST_ARRAY_CNT(fds); i++)
		close(fds[i]);

	struct pst_client *client = NULL;
	struct pst_diag diag;
	for (unsigned i = 0; i < 1000 && !client; i++)
		if (pst_client_open("telemetry", &client, &diag) != 0)
			usleep(10000);
	cr_assert_not_null(client, "%s", diag.text);
	json_t *list = fake_kept(pst_client_list(client, "/penstock/rules", 0, &diag));
	cr_assert_eq(json_array_size(json_object_get(list, "items")), 1000);
	pst_client_close(client);
}

Test(telemetry, the_eleventh_client_is_told_why_it_is_not_served)
{
	struct pst_client *clients[10], *eleventh;
	struct pst_diag diag;
	fake_start(1, 1, 1);

	for (unsigned i = 0; i < 10; i++)
		clients[i] = fake_client();
	cr_assert_neq(pst_client_open("telemetry", &eleventh, &diag), 0);
	cr_assert_not_null(strstr(diag.text, "ten clients"), "%s", diag.text);
	for (unsigned i = 0; i < 10; i++)
		pst_client_close(clients[i]);
}

static void *
split_another(void *arg)
{
	char text[] = "one,two";
	cr_assert_str_eq(strtok(text, ","), "one");
	return NULL;
}

/* With the C library's strtok clients get each other's parameters: librte_telemetry splits all
 * commands with it, in a thread for each client. */
Test(telemetry, each_thread_splits_its_own_command)
{
	char text[] = "/penstock/rules,64";
	pthread_t thread;

	cr_assert_str_eq(strtok(text, ","), "/penstock/rules");
	pthread_create(&thread, NULL, split_another, NULL);
	pthread_join(thread, NULL);
	cr_assert_str_eq(strtok(NULL, ""), "64");
	/* And this is the one that a library finds that asks for strtok. */
	cr_assert_eq(dlsym(RTLD_DEFAULT, "strtok"), (void *)strtok);
	cr_assert_eq(pst_telemetry_strtok_linked, 1);
}

static void *
ask_often(void *arg)
{
	struct pst_client *client = fake_client();
	struct pst_diag diag;
	uintptr_t wrong_cnt = 0;

	for (unsigned i = 0; i < 15; i++) {
		json_t *ledger = pst_client_list(client, "/penstock/ledger", 0, &diag), *cell;
		json_t *cells = json_object_get(ledger, "items");
		json_int_t found = 0;
		size_t c;
		json_array_foreach(cells, c, cell)
		{
			found += json_at(json_object_get(cell, "events"), "found");
		}
		wrong_cnt += json_array_size(cells) != 7 * 7;
		wrong_cnt += found != json_at(json_object_get(ledger, "events"), "found");
		json_decref(ledger);
	}
	pst_client_close(client);
	return (void *)wrong_cnt;
}

Test(telemetry, clients_at_the_same_time_get_whole_ledgers_of_one_moment)
{
	pthread_t threads[6];
	void *wrong_cnt;
	fake.snapshot_slow = true;
	fake_start(6, 6, 1);

	for (unsigned i = 0; i < PST_ARRAY_CNT(threads); i++)
		pthread_create(&threads[i], NULL, ask_often, NULL);
	for (unsigned i = 0; i < PST_ARRAY_CNT(threads); i++) {
		pthread_join(threads[i], &wrong_cnt);
		cr_assert_eq((uintptr_t)wrong_cnt, 0);
	}
}

/* ---- life cycle ---- */

Test(telemetry, answers_leave_no_memory_behind)
{
	fake.sparse = true;
	fake.rule_cnt = 1000;
	fake_start(8, 8, 1);
	/* Rows left out, a row that does not fit, errors; at first, until all the snapshots that
	 * are kept have their memory. */
	static const char *const requests[] = {
		"/penstock/ledger", "/penstock/rules", "/penstock/info", "/penstock/rules,x"};
	size_t before = 0;
	for (unsigned turn = 0; turn < 101; turn++) {
		struct pst_client *client = fake_client();
		struct pst_diag diag;
		for (unsigned i = 0; i < PST_ARRAY_CNT(requests); i++)
			json_decref(pst_client_ask(client, requests[i], &diag));
		pst_client_close(client);
		if (turn == 20)
			before = mallinfo2().uordblks;
	}
	/* One container of the library has 66 KiB. */
	cr_assert_lt(mallinfo2().uordblks, before + 1000000);
}

Test(telemetry, after_unregister_commands_answer_without_a_pipeline)
{
	struct pst_pipeline *pipeline = fake_start(1, 1, 1);
	cr_assert_not_null(fake_ask("/penstock/ledger"));
	pst_telemetry_unregister();
	memset(pipeline, 0xff, sizeof(*pipeline));
	static const char *const commands[] = {"/penstock/info", "/penstock/ledger",
		"/penstock/ports", "/penstock/rules/reload", "/penstock/sessions"};
	for (unsigned i = 0; i < PST_ARRAY_CNT(commands); i++)
		cr_assert_not_null(strstr(refused(commands[i]).text, "stopping"));
}

Test(telemetry, may_be_registered_before_eal_and_again_for_another_pipeline)
{
	cr_assert_eq(pst_telemetry_register(fake_pipeline(1, 1, 1)), 0);
	fake_eal_start();
	for (unsigned i = 0; i < 100; i++)
		cr_assert_eq(json_at(fake_ask("/penstock/queues"), "total"), 2);
	pst_telemetry_unregister();
	cr_assert_eq(pst_telemetry_register(fake_pipeline(5, 2, 2)), 0);
	json_t *queues = fake_ask("/penstock/queues");
	cr_assert_eq(json_at(queues, "total"), 6, "its snapshots have the new shape");
}

Test(telemetry, every_command_has_a_help_text)
{
	fake_start(1, 1, 1);
	struct pst_client *client = fake_client();
	struct pst_diag diag;
	static const char *const commands[] = {"info", "ledger", "listeners", "queues", "streams",
		"partitions", "drives", "recovery", "rx", "writers", "latency", "ports", "xstats",
		"sessions", "sources", "rules", "rules/reload"};
	for (unsigned i = 0; i < PST_ARRAY_CNT(commands); i++) {
		char request[64];
		snprintf(request, sizeof(request), "/help,/penstock/%s", commands[i]);
		json_t *help = fake_kept(pst_client_ask(client, request, &diag));
		cr_assert_not_null(help, "%s", request);
		cr_assert_gt(strlen(text_at(help, request + strlen("/help,"))), 20);
	}
	pst_client_close(client);
}
