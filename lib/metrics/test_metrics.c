/* The endpoint with a pipeline that never was (lib/telemetry/fake.h), asked over real sockets. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "metrics/families.h"
#include "metrics/metrics.h"
#include "telemetry/fake.h"

TestSuite(metrics, .timeout = 60);

/* Of lib/pipeline. */
static bool fake_log_failed;

int
pst_pipeline_stream_logs(struct pst_pipeline *p, struct pst_stream_logs out[PST_STREAMS_MAX])
{
	memset(out, 0, PST_STREAMS_MAX * sizeof(*out));
	for (uint16_t s = 0; s < p->profile->stream_cnt; s++) {
		out[s].partition_cnt = 3;
		out[s].failed_cnt = out[s].down_cnt = fake_log_failed && s == 1;
		out[s].log_bytes = 1000u + s;
	}
	return 0;
}

/* The fake's second drive has failed: without it. */
static struct pst_pipeline *
healthy(uint16_t queue_cnt, uint16_t listener_cnt, uint16_t stream_cnt)
{
	struct pst_pipeline *pipeline = fake_pipeline(queue_cnt, listener_cnt, stream_cnt);
	((struct pst_profile *)pipeline->profile)->data_dir_cnt = 1;
	return pipeline;
}

/* ---- an endpoint ---- */

static struct pst_profile at;
static struct pst_metrics *metrics;

static int
open_at(uint16_t port, struct pst_diag *diag)
{
	at.file = "test.yaml";
	at.metrics_address = "127.0.0.1";
	pst_addr_parse(at.metrics_address, &at.metrics_addr);
	at.metrics_port = port;
	return pst_metrics_open(&at, &metrics, diag);
}

/* On a port that is free. */
static void
start(void)
{
	struct pst_diag diag = {0};

	for (unsigned try = 0; try < 200; try++)
		if (open_at((uint16_t)(20000 + (getpid() + try * 37) % 10000), &diag) == 0)
			return;
	cr_assert_fail("%s", diag.text);
}

static int
dial(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons(at.metrics_port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(connect(fd, (const void *)&to, sizeof(to)), 0, "%s", strerror(errno));
	return fd;
}

/* Sends the request, returns all that comes until the other side hangs up. */
static char *
converse(const char *request)
{
	static char text[4 << 20];
	size_t len = 0;
	ssize_t got;
	int fd = dial();

	for (const char *left = request; *left;) {
		ssize_t sent = send(fd, left, strlen(left), MSG_NOSIGNAL);
		if (sent < 0)
			break;
		left += sent;
	}
	while ((got = recv(fd, text + len, sizeof(text) - 1 - len, 0)) > 0)
		len += (size_t)got;
	text[len] = '\0';
	close(fd);
	return text;
}

static char *
get(const char *path)
{
	char request[256];
	snprintf(request, sizeof(request),
		"GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", path);
	return converse(request);
}

static void
expect(const char *answer, const char *status, const char *holds)
{
	char first[64];
	snprintf(first, sizeof(first), "HTTP/1.1 %s", status);
	cr_assert_eq(strncmp(answer, first, strlen(first)), 0, "not %s: %.200s", status, answer);
	cr_assert_not_null(strstr(answer, holds), "no %s in: %.4000s", holds, answer);
}

/* ---- start, health, stop ---- */

Test(metrics, says_what_it_waits_for)
{
	start();
	expect(get("/healthz"), "200", "\r\n\r\nstarting\n");
	expect(get("/readyz"), "503", "\r\n\r\nstarting\n");
	expect(get("/metrics"), "503", "\r\n\r\nstarting\n");
	pst_metrics_attach(metrics, healthy(2, 2, 2));
	expect(get("/healthz"), "200", "\r\n\r\nok\n");
	expect(get("/readyz"), "200", "\r\n\r\nready\n");
	expect(get("/metrics"), "200", "text/plain; version=0.0.4; charset=utf-8");
	pst_metrics_detach(metrics);
	expect(get("/healthz"), "200", "\r\n\r\ndraining\n");
	expect(get("/readyz"), "503", "\r\n\r\ndraining\n");
	expect(get("/metrics"), "503", "\r\n\r\ndraining\n");
	pst_metrics_close(metrics);
}

Test(metrics, a_port_that_is_taken_is_said)
{
	struct pst_diag diag = {0};

	start();
	struct pst_metrics *first = metrics;
	cr_assert_eq(open_at(at.metrics_port, &diag), -1);
	cr_expect_str_eq(diag.key, "metrics.port");
	cr_expect(strstr(diag.text, "127.0.0.1") && strstr(diag.text, "in use"), "%s", diag.text);
	cr_expect(strstr(diag.remedy, "another number"), "%s", diag.remedy);
	pst_metrics_close(first);
}

Test(metrics, an_address_of_another_host_is_said)
{
	struct pst_diag diag = {0};

	at.metrics_address = "192.0.2.1";
	at.metrics_port = 9;
	pst_addr_parse(at.metrics_address, &at.metrics_addr);
	cr_assert_eq(pst_metrics_open(&at, &metrics, &diag), -1);
	cr_expect_str_eq(diag.key, "metrics.address");
	cr_expect(strstr(diag.remedy, "of this host"), "%s", diag.remedy);
}

Test(metrics, port_0_is_no_endpoint)
{
	struct pst_diag diag;
	metrics = (void *)&diag;
	cr_assert_eq(open_at(0, &diag), 0);
	cr_assert_null(metrics);
	pst_metrics_attach(NULL, NULL);
	pst_metrics_detach(NULL);
	pst_metrics_close(NULL);
}

Test(metrics, ill_health_has_a_reason)
{
	struct pst_pipeline *pipeline = healthy(2, 2, 2);

	start();
	fake.snapshot_rc = -ETIMEDOUT;
	pst_metrics_attach(metrics, pipeline);
	expect(get("/healthz"), "503", "an lcore does not answer: rx 1\n");
	expect(get("/readyz"), "503", "an lcore does not answer");
	expect(get("/metrics"), "503", "an lcore does not answer: rx 1\n");
	pst_metrics_detach(metrics);
	fake.snapshot_rc = 0;
	fake_log_failed = true;
	pst_metrics_attach(metrics, pipeline);
	expect(get("/healthz"), "503", "1 of 3 logs of a stream have failed");
	expect(get("/readyz"), "503", "stream.1");
	expect(get("/metrics"), "200", "\npenstock_ready 0\n");
	pst_metrics_detach(metrics);
	fake_log_failed = false;
	((struct pst_profile *)pipeline->profile)->data_dir_cnt = 2;
	pst_metrics_attach(metrics, pipeline);
	expect(get("/healthz"), "503", "a data directory is failed: /data1");
	expect(get("/readyz"), "200", "ready");
	expect(get("/metrics"), "200", "\npenstock_data_ok{dir=\"/data1\"} 0\n");
	pst_metrics_detach(metrics);
	fake.drive_full = true;
	pst_metrics_attach(metrics, pipeline);
	expect(get("/readyz"), "503", "a data directory is full, new events are shed: /data0\n");
	expect(get("/metrics"), "200", "\npenstock_data_full{dir=\"/data0\"} 1\n");
	pst_metrics_detach(metrics);
	((struct pst_profile *)pipeline->profile)->data_when_full = PST_WHEN_FULL_RETAIN;
	pst_metrics_attach(metrics, pipeline);
	expect(get("/readyz"), "200", "ready");
	pst_metrics_detach(metrics);
	fake.drive_full = false;
	fake.drives_down = true;
	pst_metrics_attach(metrics, pipeline);
	expect(get("/readyz"), "503", "nothing can be stored: no data directory is left\n");
	expect(get("/healthz"), "503", "a data directory is failed: /data0");
	pst_metrics_detach(metrics);
	fake.drives_down = false;
	((struct pst_profile *)pipeline->profile)->data_dir_cnt = 1;
	pst_metrics_attach(metrics, pipeline);
	atomic_store(&pipeline->phase, PST_PHASE_SEAL);
	expect(get("/healthz"), "200", "ok");
	expect(get("/readyz"), "503", "draining");
	pst_metrics_close(metrics);
}

/* ---- what is asked for ---- */

Test(metrics, only_reading_and_only_these_paths)
{
	start();
	pst_metrics_attach(metrics, healthy(1, 1, 1));
	expect(get("/"), "404", "/metrics, /healthz and /readyz");
	expect(get("/metrics/"), "404", "");
	expect(get("/metricsx"), "404", "");
	expect(get("//metrics"), "404", "");
	expect(get("/metrics?name=x"), "200", "");
	static const char *const methods[] = {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get"};
	for (unsigned i = 0; i < PST_ARRAY_CNT(methods); i++) {
		char request[128];
		snprintf(request, sizeof(request), "%s /metrics HTTP/1.1\r\nHost: t\r\n\r\n",
			methods[i]);
		expect(converse(request), "405", "Allow: GET, HEAD");
	}
	char *answer = converse("HEAD /metrics HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
	expect(answer, "200", "Content-Length: ");
	cr_assert_str_eq(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
	pst_metrics_close(metrics);
}

Test(metrics, requests_have_no_body)
{
	start();
	pst_metrics_attach(metrics, healthy(1, 1, 1));
	expect(converse("GET /metrics HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999\r\n\r\nxx"),
		"413", "no body");
	expect(converse("GET /metrics HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"),
		"413", "no body");
	/* What would be a request of its own, had the body been believed. */
	char *answer = converse("POST /metrics HTTP/1.1\r\nHost: t\r\nContent-Length: 40\r\n\r\n"
				"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n   ");
	expect(answer, "405", "");
	cr_assert_null(strstr(answer + 1, "HTTP/1.1 200"));
	pst_metrics_close(metrics);
}

Test(metrics, long_requests_and_garbage_are_refused)
{
	static char request[1 << 20];

	start();
	pst_metrics_attach(metrics, healthy(1, 1, 1));
	int len = snprintf(request, sizeof(request), "GET /metrics HTTP/1.1\r\nX: ");
	memset(request + len, 'x', sizeof(request) - 1 - (size_t)len);
	cr_assert_null(strstr(converse(request), "HTTP/1.1 200"));
	len = snprintf(request, sizeof(request), "GET /");
	memset(request + len, 'x', sizeof(request) - 1 - (size_t)len);
	cr_assert_null(strstr(converse(request), "HTTP/1.1 200"));
	for (size_t i = 0; i < 4096; i++)
		request[i] = (char)(1 + (i * 7 + i / 255) % 255);
	request[4096] = '\0';
	strcat(request, "\r\n\r\n\r\n\r\n");
	cr_assert_null(strstr(converse(request), "HTTP/1.1 200"));
	expect(get("/healthz"), "200", "ok");
	pst_metrics_close(metrics);
}

Test(metrics, pipelined_requests_are_answered_in_turn)
{
	start();
	pst_metrics_attach(metrics, healthy(1, 1, 1));
	char *answer = converse("GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n"
				"GET /nothing HTTP/1.1\r\nHost: t\r\n\r\n"
				"GET /readyz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
	char *ok = strstr(answer, "\r\n\r\nok\n"), *none = strstr(answer, "HTTP/1.1 404"),
	     *ready = strstr(answer, "\r\n\r\nready\n");
	cr_assert(ok && none && ready && ok < none && none < ready, "%s", answer);
	pst_metrics_close(metrics);
}

/* ---- many, and slow ones ---- */

Test(metrics, all_who_ask_at_once_get_the_same_moment)
{
	start();
	pst_metrics_attach(metrics, healthy(1, 1, 1));
	char *first = strdup(get("/metrics"));
	uint32_t taken = fake.snapshot_cnt;
	unsigned same = 0;
	for (unsigned i = 0; i < 20; i++)
		same += strcmp(strstr(get("/metrics"), "\r\n\r\n"), strstr(first, "\r\n\r\n")) == 0;
	free(first);
	/* Each moment beyond the first was taken for at least one that differs. */
	cr_assert_leq(fake.snapshot_cnt - taken, 20 - same);
	cr_assert_geq(same, 1);
	pst_metrics_close(metrics);
}

Test(metrics, who_holds_connections_keeps_nobody_out)
{
	int held[200];

	start();
	pst_metrics_attach(metrics, healthy(1, 1, 1));
	for (unsigned i = 0; i < PST_ARRAY_CNT(held); i++) {
		held[i] = dial();
		send(held[i], "GET /healthz HT", 15, MSG_NOSIGNAL);
		if (i % 50 == 0)
			expect(get("/healthz"), "200", "ok");
	}
	expect(get("/readyz"), "200", "ready");
	/* The first ones had to make room. */
	char byte;
	cr_assert_leq(recv(held[0], &byte, 1, 0), 0);
	for (unsigned i = 0; i < PST_ARRAY_CNT(held); i++)
		close(held[i]);
	pst_metrics_close(metrics);
}

/* Drips a byte now and then: never idle, never done. */
Test(metrics, a_request_that_never_ends_is_ended)
{
	static const char drip[] = "GET /metrics HTTP/1.1\r\nX-Slow: ";
	unsigned sent = 0;

	start();
	int fd = dial();
	send(fd, drip, sizeof(drip) - 1, MSG_NOSIGNAL);
	for (; sent < 400; sent++) {
		char byte;
		usleep(100000);
		if (send(fd, "x", 1, MSG_NOSIGNAL) != 1 || recv(fd, &byte, 1, MSG_DONTWAIT) == 0)
			break;
	}
	cr_assert_lt(sent, 400, "still open after 40 s");
	close(fd);
	pst_metrics_close(metrics);
}

/* Asks, and never takes the answer. */
Test(metrics, an_answer_that_is_not_taken_is_given_up)
{
	static const char ask[] = "GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n";
	unsigned asked = 0;

	fake.widest = true;
	start();
	pst_metrics_attach(metrics, healthy(63, 64, 64));
	int fd = dial(), small = 2048;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	for (; asked < 600; asked++) {
		if (send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
			errno != EAGAIN)
			break;
		usleep(100000);
	}
	cr_assert_lt(asked, 600, "still open after 60 s");
	expect(get("/healthz"), "200", "ok");
	close(fd);
	pst_metrics_close(metrics);
}

/* ---- what is shown ---- */

static unsigned
occurrences(const char *text, const char *what)
{
	unsigned cnt = 0;
	for (const char *hit = text; (hit = strstr(hit, what)) != NULL; hit++)
		cnt++;
	return cnt;
}

Test(metrics, sums_over_queues_and_listeners)
{
	fake.rule_cnt = 7;
	fake.source_cnt = 5;
	fake.rules_generation = 3;
	start();
	pst_metrics_attach(metrics, healthy(2, 2, 2));
	char *text = get("/metrics");
	/* Each word of cell i is i + 1; three queues with the kernel's, three listeners. */
	cr_expect(strstr(text, "\npenstock_events_found_total{listener=\"listener0\"} 12\n"), "%s",
		text);
	cr_expect(strstr(text, "\npenstock_events_found_total{listener=\"none\"} 18\n"));
	cr_expect(strstr(text, "\npenstock_queue_events_found_total{queue=\"port0/0\"} 6\n"));
	cr_expect(strstr(text, "\npenstock_queue_events_found_total{queue=\"kernel\"} 24\n"));
	cr_expect(strstr(text,
		"\npenstock_events_shed_total{listener=\"listener1\",reason=\"no_buffer\"} 15\n"));
	cr_expect(strstr(text, "\npenstock_events_residual{listener=\"none\"} -"));
	cr_expect(strstr(text, "\npenstock_stream_routed_total{stream=\"stream.1\"} 1\n"));
	cr_expect(strstr(text, "\npenstock_log_bytes{stream=\"stream.1\"} 1001\n"));
	cr_expect(strstr(text, "\npenstock_rules_generation 3\n"));
	cr_expect(strstr(text, "\npenstock_sources 5\n"));
	cr_expect(strstr(text, "\npenstock_sources_left_total 0\n"));
	cr_expect(strstr(text, "\npenstock_events_missing_total 12\n"));
	cr_expect(strstr(text, "\npenstock_rules_loaded 7\n"));
	cr_expect(strstr(text, "\npenstock_lcore_info{lcore=\"rx1\",cpu=\"0\"} 1\n"));
	pst_metrics_close(metrics);
}

/* The fake's writer 0: 98 events of 1 ms and 2 of 1 s until sealed, twice and thrice that later. */
Test(metrics, latency_is_a_histogram)
{
	static const char *const lines[] = {
		"bucket{lcore=\"writer0\",stage=\"sealed\",le=\"0.000032768\"} 0\n",
		"bucket{lcore=\"writer0\",stage=\"sealed\",le=\"0.000524288\"} 0\n",
		"bucket{lcore=\"writer0\",stage=\"sealed\",le=\"0.001048576\"} 98\n",
		"bucket{lcore=\"writer0\",stage=\"sealed\",le=\"0.536870912\"} 98\n",
		"bucket{lcore=\"writer0\",stage=\"sealed\",le=\"1.073741824\"} 100\n",
		"bucket{lcore=\"writer0\",stage=\"sealed\",le=\"34.359738368\"} 100\n",
		"bucket{lcore=\"writer0\",stage=\"sealed\",le=\"+Inf\"} 100\n",
		"sum{lcore=\"writer0\",stage=\"sealed\"} 2.098\n",
		"count{lcore=\"writer0\",stage=\"sealed\"} 100\n",
		"bucket{lcore=\"writer0\",stage=\"durable\",le=\"0.002097152\"} 0\n",
		"bucket{lcore=\"writer0\",stage=\"durable\",le=\"0.004194304\"} 98\n",
	};

	start();
	pst_metrics_attach(metrics, healthy(1, 1, 1));
	char *text = get("/metrics");
	for (unsigned i = 0; i < PST_ARRAY_CNT(lines); i++) {
		char line[160];
		snprintf(line, sizeof(line), "\npenstock_event_latency_seconds_%s", lines[i]);
		cr_expect(strstr(text, line), "no %s", lines[i]);
	}
	pst_metrics_close(metrics);
}

Test(metrics, the_widest_has_a_bound)
{
	fake.widest = true;
	start();
	pst_metrics_attach(metrics, fake_pipeline(63, 64, 64));
	char *text = strstr(get("/metrics"), "\r\n\r\n");
	unsigned series = occurrences(text, "\n") - 2 * occurrences(text, "\n# TYPE ") - 2;
	cr_expect_leq(series, 8000, "%u series; docs/metrics.md says fewer than 8,000", series);
	cr_expect_geq(series, 4000, "%u: is this the widest?", series);
	cr_expect_eq(occurrences(text, "\n# HELP "), occurrences(text, "\n# TYPE "));
	pst_metrics_close(metrics);
}
