#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/base.h"
#include "telemetry/client.h"
#include "telemetry/plain.h"

Test(client, the_socket_is_where_eal_puts_it)
{
	char path[108];
	setenv("RUNTIME_DIRECTORY", "/run/one", 1);
	setenv("XDG_RUNTIME_DIR", "/run/two", 1);
	cr_assert_eq(pst_client_path("penstock", path, sizeof(path)), 0);
	cr_assert_str_eq(path, "/run/one/dpdk/penstock/dpdk_telemetry.v2");
	unsetenv("RUNTIME_DIRECTORY");
	cr_assert_eq(pst_client_path("x", path, sizeof(path)), 0);
	cr_assert_str_eq(path, getuid() == 0 ? "/var/run/dpdk/x/dpdk_telemetry.v2"
					     : "/run/two/dpdk/x/dpdk_telemetry.v2");
	size_t len = strlen(path);
	cr_assert_eq(pst_client_path("x", path, len), -1, "no room for the NUL");
	cr_assert_eq(pst_client_path("x", path, len + 1), 0);
}

static struct pst_diag
open_fails(const char *prefix)
{
	struct pst_client *client;
	struct pst_diag diag;
	cr_assert_eq(pst_client_open(prefix, &client, &diag), -1);
	return diag;
}

/* ---- a server of a few canned answers ---- */

static char dir[] = "/tmp/penstock-client-XXXXXX";
static struct sockaddr_un address = {.sun_family = AF_UNIX};

static void
make_socket_dir(void)
{
	char path[64];
	cr_assert_not_null(mkdtemp(dir));
	setenv("RUNTIME_DIRECTORY", dir, 1);
	snprintf(path, sizeof(path), "%s/dpdk", dir);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/dpdk/p", dir);
	mkdir(path, 0700);
	cr_assert_eq(pst_client_path("p", address.sun_path, sizeof(address.sun_path)), 0);
}

static void
remove_socket_dir(void)
{
	char path[64];
	unlink(address.sun_path);
	snprintf(path, sizeof(path), "%s/dpdk/p", dir);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/dpdk", dir);
	rmdir(path);
	rmdir(dir);
}

TestSuite(server, .init = make_socket_dir, .fini = remove_socket_dir, .timeout = 30);

struct canned {
	int listener;
	const char *const *answers; /* greeting first; NULL: hang up */
};

static void *
serve_canned(void *arg)
{
	const struct canned *canned = arg;
	char request[1024];
	int fd = accept(canned->listener, NULL, NULL);

	for (unsigned i = 0; canned->answers[i]; i++) {
		if (i > 0 && recv(fd, request, sizeof(request), 0) <= 0)
			break;
		send(fd, canned->answers[i], strlen(canned->answers[i]), MSG_NOSIGNAL);
	}
	if (recv(fd, request, sizeof(request), MSG_DONTWAIT) < 0)
		shutdown(fd, SHUT_RDWR);
	close(fd);
	return NULL;
}

#define GREETING "{\"version\":\"DPDK\",\"pid\":1,\"max_output_len\":4096}"

static void
serve(struct canned *canned, const char *const *answers)
{
	pthread_t thread;
	canned->answers = answers;
	canned->listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	cr_assert_eq(bind(canned->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(canned->listener, 1), 0);
	pthread_create(&thread, NULL, serve_canned, canned);
	pthread_detach(thread);
}

Test(server, nobody_there_is_said_with_path_and_remedy)
{
	struct pst_diag diag = open_fails("p");
	cr_assert_str_eq(diag.file, address.sun_path);
	cr_assert_not_null(strstr(diag.text, "no such socket"));
	cr_assert_not_null(strstr(diag.remedy, "start penstockd"));

	/* One that ended without removing its socket. */
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	cr_assert_not_null(strstr(open_fails("p").text, "left over"));

	char prefix[200];
	memset(prefix, 'p', sizeof(prefix) - 1);
	prefix[sizeof(prefix) - 1] = '\0';
	cr_assert_not_null(strstr(open_fails(prefix).text, "too long"));
}

Test(server, a_greeting_that_is_none_is_refused)
{
	static const char *const answers[] = {"hello", NULL};
	static struct canned canned; /* the thread may outlive this call */
	serve(&canned, answers);
	cr_assert_not_null(strstr(open_fails("p").text, "not the greeting"));
}

Test(server, a_greeting_without_length_is_refused)
{
	static const char *const answers[] = {"{\"max_output_len\":-1}", NULL};
	static struct canned canned; /* the thread may outlive this call */
	serve(&canned, answers);
	cr_assert_not_null(strstr(open_fails("p").text, "not the greeting"));
}

static struct pst_diag
list_fails(const char *const *answers)
{
	static struct canned canned; /* the thread may outlive this call */
	struct pst_client *client;
	struct pst_diag diag;
	serve(&canned, answers);
	cr_assert_eq(pst_client_open("p", &client, &diag), 0);
	cr_assert_null(pst_client_list(client, "/l", 0, &diag));
	pst_client_close(client);
	return diag;
}

Test(server, an_unknown_command_is_said)
{
	static const char *const answers[] = {GREETING, "{\"/l\":null}", NULL};
	cr_assert_not_null(strstr(list_fails(answers).text, "not known"));
}

Test(server, an_answer_that_is_cut_is_no_answer)
{
	static const char *const answers[] = {GREETING, "{\"/l\":{\"items\":{", NULL};
	cr_assert_not_null(strstr(list_fails(answers).text, "cut"));
}

Test(server, a_page_that_does_not_lead_on_ends_the_asking)
{
	static const char *const answers[] = {
		GREETING, "{\"/l\":{\"first\":0,\"total\":9,\"next\":0,\"items\":{}}}", NULL};
	cr_assert_not_null(strstr(list_fails(answers).text, "not the page"));
}

Test(server, a_page_that_was_not_asked_for_is_refused)
{
	static const char *const answers[] = {
		GREETING, "{\"/l\":{\"first\":5,\"total\":9,\"next\":9,\"items\":{}}}", NULL};
	cr_assert_not_null(strstr(list_fails(answers).text, "not the page"));
}

Test(server, a_daemon_that_goes_away_is_said)
{
	static const char *const answers[] = {
		GREETING, "{\"/l\":{\"first\":0,\"total\":9,\"next\":5,\"items\":{}}}", NULL};
	struct pst_diag diag = list_fails(answers);
	cr_assert(strstr(diag.text, "has gone") || strstr(diag.text, "no answer"), "%s", diag.text);
}

/* ---- plain ---- */

static char *
plain(const char *wire)
{
	json_t *json = json_loads(wire, 0, NULL);
	json_t *made = pst_plain(json);
	cr_assert_not_null(made);
	char *text = json_dumps(made, JSON_COMPACT);
	json_decref(json);
	json_decref(made);
	return text;
}

Test(plain, escapes_pieces_lists_and_signs_are_undone)
{
	cr_assert_str_eq(plain("{\"a\":\"x%41\",\"b_pieces\":[\"1%\",\"41\"],\"n\":7}"),
		"{\"a\":\"xA\",\"b\":\"1A\",\"n\":7}");
	cr_assert_str_eq(plain("{\"items\":{\"4\":{\"ranges\":{\"0\":{\"from\":1}}},\"9\":{}}}"),
		"{\"items\":[{\"ranges\":[{\"from\":1}]},{}]}");
	cr_assert_str_eq(plain("{\"residual\":\"-9223372036854775808\",\"x_offset\":\"12\"}"),
		"{\"residual\":-9223372036854775808,\"x_offset\":12}");
	cr_assert_str_eq(plain("{\"s\":[\"a%25b\",\"%FF\",3,null,[true]]}"),
		"{\"s\":[\"a%b\",\"%FF\",3,null,[true]]}");
}

Test(plain, what_is_not_utf8_stays_escaped_and_says_so)
{
	cr_assert_str_eq(plain("{\"a\":\"%C3%A4\"}"), "{\"a\":\"\xc3\xa4\"}");
	cr_assert_str_eq(plain("{\"a\":\"%C3\"}"), "{\"a\":\"%C3\",\"a_escaped\":true}");
	cr_assert_str_eq(plain("{\"a\":\"%00\"}"), "{\"a\":\"\\u0000\"}");
}

Test(plain, strange_values_do_no_harm)
{
	cr_assert_str_eq(plain("{\"residual\":\"9223372036854775808\",\"a_offset\":\"\"}"),
		"{\"residual\":\"9223372036854775808\",\"a_offset\":\"\"}");
	cr_assert_str_eq(plain("{\"_pieces\":[],\"x_pieces\":[1,null],\"items\":[1],\"ranges\":3}"),
		"{\"_pieces\":[],\"x\":\"\",\"items\":[1],\"ranges\":3}");
}
