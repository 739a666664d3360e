#include "telemetry/client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "telemetry/plain.h"

#define GREETING_BYTES_MAX 1024
/* A reload of large rules holds the daemon's other answers back. */
#define ANSWER_WAIT_S  120
#define CONNECT_WAIT_S 5
#define LIST_TRIES     5

struct pst_client {
	int fd;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	size_t answer_bytes_max; /* as the greeting says */
	char *answer;            /* one byte more */
};

int
pst_client_path(const char *prefix, char *path, size_t cap)
{
	const char *run = getenv("RUNTIME_DIRECTORY");

	/* As DPDK's EAL chooses it. */
	if (!run && getuid() == 0)
		run = "/var/run";
	if (!run)
		run = getenv("XDG_RUNTIME_DIR");
	if (!run)
		run = "/tmp";
	int len = snprintf(path, cap, "%s/dpdk/%s/dpdk_telemetry.v2", run, prefix);
	return len >= 0 && (size_t)len < cap ? 0 : -1;
}

static int
connect_failed(const char *path, int error, struct pst_diag *diag)
{
	switch (error) {
	case ENOENT:
		return pst_diag_set(diag, path, 0, NULL,
			"start penstockd, or name its telemetry prefix (--prefix); "
			"one that another user runs has its socket elsewhere",
			"no penstockd answers: there is no such socket");
	case ECONNREFUSED:
		return pst_diag_set(diag, path, 0, NULL, "start penstockd",
			"no penstockd answers: the socket is left over from one that has ended");
	case EACCES:
	case EPERM:
		return pst_diag_set(diag, path, 0, NULL,
			"ask as the user that penstockd runs as (root, say)", "no permission");
	case EAGAIN:
		return pst_diag_set(diag, path, 0, NULL, "try again, or restart penstockd",
			"penstockd does not take the connection");
	default:
		return pst_diag_set(
			diag, path, 0, NULL, NULL, "cannot connect: %s", strerror(error));
	}
}

static int
socket_wait(int fd, int option, long seconds)
{
	struct timeval wait = {.tv_sec = seconds};
	return setsockopt(fd, SOL_SOCKET, option, &wait, sizeof(wait));
}

static int
client_connect(struct pst_client *client, struct pst_diag *diag)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(address.sun_path, client->path, sizeof(client->path));
	client->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (client->fd < 0 || socket_wait(client->fd, SO_SNDTIMEO, CONNECT_WAIT_S) != 0 ||
		socket_wait(client->fd, SO_RCVTIMEO, ANSWER_WAIT_S) != 0)
		return pst_diag_set(diag, NULL, 0, NULL, NULL, "socket: %s", strerror(errno));
	if (connect(client->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		return connect_failed(client->path, errno, diag);
	return 0;
}

/* The greeting says how long an answer can be. */
static int
client_greet(struct pst_client *client, struct pst_diag *diag)
{
	char greeting[GREETING_BYTES_MAX];
	ssize_t len = recv(client->fd, greeting, sizeof(greeting), 0);

	if (len == 0 || (len < 0 && errno == ECONNRESET))
		return pst_diag_set(diag, client->path, 0, NULL, "close one and try again",
			"penstockd hung up: it serves ten clients at a time");
	if (len < 0)
		return pst_diag_set(
			diag, client->path, 0, NULL, NULL, "no greeting: %s", strerror(errno));
	json_t *json = json_loadb(greeting, (size_t)len, 0, NULL);
	json_int_t bytes = json_integer_value(json_object_get(json, "max_output_len"));
	json_decref(json);
	if (bytes <= 0 || bytes > 1 << 24)
		return pst_diag_set(diag, client->path, 0, NULL, NULL,
			"this is not the greeting of a DPDK telemetry socket");
	client->answer_bytes_max = (size_t)bytes;
	client->answer = malloc(client->answer_bytes_max + 1);
	if (!client->answer)
		return pst_diag_set(diag, NULL, 0, NULL, NULL, "no memory");
	return 0;
}

int
pst_client_open(const char *prefix, struct pst_client **out, struct pst_diag *diag)
{
	struct pst_client *client = calloc(1, sizeof(*client));

	if (!client)
		return pst_diag_set(diag, NULL, 0, NULL, NULL, "no memory");
	client->fd = -1;
	if (pst_client_path(prefix, client->path, sizeof(client->path)) != 0) {
		pst_client_close(client);
		return pst_diag_set(diag, NULL, 0, "prefix", "choose a shorter one",
			"the path of its socket would be too long");
	}
	if (client_connect(client, diag) != 0 || client_greet(client, diag) != 0) {
		pst_client_close(client);
		return -1;
	}
	*out = client;
	return 0;
}

void
pst_client_close(struct pst_client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	free(client->answer);
	free(client);
}

/* One question, one answer as it came. */
static json_t *
ask_wire(struct pst_client *client, const char *request, struct pst_diag *diag)
{
	if (send(client->fd, request, strlen(request), MSG_NOSIGNAL) < 0) {
		pst_diag_set(diag, client->path, 0, NULL, NULL, "penstockd has gone: %s",
			strerror(errno));
		return NULL;
	}
	ssize_t len = recv(client->fd, client->answer, client->answer_bytes_max + 1, 0);
	if (len <= 0) {
		pst_diag_set(diag, client->path, 0, NULL, NULL, "no answer to %s: %s", request,
			len == 0 ? "penstockd has gone" : strerror(errno));
		return NULL;
	}
	json_error_t error;
	json_t *json = (size_t)len > client->answer_bytes_max
			       ? NULL
			       : json_loadb(client->answer, (size_t)len, 0, &error);
	if (!json)
		pst_diag_set(diag, client->path, 0, NULL, NULL,
			"the answer to %s is cut or no JSON", request);
	return json;
}

json_t *
pst_client_ask(struct pst_client *client, const char *request, struct pst_diag *diag)
{
	json_t *wire = ask_wire(client, request, diag);
	if (!wire)
		return NULL;

	json_t *value = json_object_iter_value(json_object_iter(wire));
	json_t *plain = json_is_object(value) ? pst_plain(value) : NULL;
	json_t *error = json_object_get(plain, "error");
	if (!plain) {
		pst_diag_set(diag, client->path, 0, NULL,
			"penstockd may be starting: try again; else its version is another one",
			"no answer to %s: the command is not known there", request);
	} else if (error && json_object_size(plain) == 1) {
		pst_diag_set(diag, client->path, 0, NULL, NULL, "%s: %s", request,
			json_string_value(error));
		json_decref(plain);
		plain = NULL;
	}
	json_decref(wire);
	return plain;
}

/* ---- lists ---- */

static json_int_t
number(const json_t *json, const char *name)
{
	return json_integer_value(json_object_get(json, name));
}

static json_t *
ask_page(struct pst_client *client, const char *command, json_int_t first, uint64_t snapshot,
	struct pst_diag *diag)
{
	char request[128];

	if (snapshot)
		snprintf(request, sizeof(request), "%s,%" JSON_INTEGER_FORMAT ",%" PRIu64, command,
			first, snapshot);
	else
		snprintf(request, sizeof(request), "%s,%" JSON_INTEGER_FORMAT, command, first);
	json_t *page = pst_client_ask(client, request, diag);
	if (!page)
		return NULL;
	/* The end must come nearer, or we would ask for ever. */
	if (number(page, "first") != first || !json_is_array(json_object_get(page, "items")) ||
		(number(page, "next") <= first && number(page, "next") < number(page, "total"))) {
		pst_diag_set(diag, client->path, 0, NULL, NULL,
			"the answer to %s is not the page asked for", request);
		json_decref(page);
		return NULL;
	}
	return page;
}

/* All pages once. *changed: the list was exchanged in between. */
static json_t *
ask_pages(struct pst_client *client, const char *command, uint64_t snapshot, bool *changed,
	struct pst_diag *diag)
{
	json_t *all = ask_page(client, command, 0, snapshot, diag);

	*changed = false;
	if (snapshot == 0)
		snapshot = (uint64_t)number(all, "snapshot");
	while (all && number(all, "next") < number(all, "total")) {
		json_t *page = ask_page(client, command, number(all, "next"), snapshot, diag);
		if (!page || number(page, "generation") != number(all, "generation")) {
			*changed = page != NULL;
			json_decref(page);
			json_decref(all);
			return NULL;
		}
		json_array_extend(json_object_get(all, "items"), json_object_get(page, "items"));
		json_object_set(all, "next", json_object_get(page, "next"));
		json_object_set(all, "total", json_object_get(page, "total"));
		json_decref(page);
	}
	return all;
}

json_t *
pst_client_list(
	struct pst_client *client, const char *command, uint64_t snapshot, struct pst_diag *diag)
{
	bool changed = true;

	for (unsigned i = 0; i < LIST_TRIES && changed; i++) {
		json_t *all = ask_pages(client, command, snapshot, &changed, diag);
		if (all) {
			json_object_del(all, "first");
			json_object_del(all, "next");
			json_object_del(all, "total");
			return all;
		}
	}
	if (changed)
		pst_diag_set(diag, client->path, 0, NULL, "try again",
			"%s changed while it was read, %d times", command, LIST_TRIES);
	return NULL;
}
