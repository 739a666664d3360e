/* The endpoint's thread and what it answers. HTTP itself is libmicrohttpd's. */
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "metrics/connections.h"
#include "metrics/families.h"
#include "metrics/metrics.h"

#define SHARED_NS     250000000 /* how long an observation is shown to all who ask */
#define TURN_MS       100
#define REQUEST_BYTES 8192 /* memory of a connection: request line and headers must fit */
#define BACKLOG       128
#define NICE          10 /* weight against writers that share the CPU: about a tenth */
#define CONTENT_TYPE  "text/plain; version=0.0.4; charset=utf-8"
#define CONTENT_PLAIN "text/plain; charset=utf-8"
#define PATH_METRICS  "/metrics"
#define PATH_ALIVE    "/healthz"
#define PATH_READY    "/readyz"

struct pst_metrics {
	int listen_fd;
	struct MHD_Daemon *daemon;
	pthread_t thread;
	uint16_t cpu;
	atomic_bool ending; /* written by the control thread */

	pthread_mutex_t mutex;         /* held while the pipeline is looked at */
	struct pst_pipeline *pipeline; /* NULL: none yet, or no more */
	const char *without;           /* why there is none */

	/* the thread's own */
	struct pst_observation *observation; /* NULL: none was taken of this pipeline */
	uint64_t observed_ns;                /* monotonic; 0: never */
	int observed_rc;
	struct MHD_Response *exposition; /* of the observation; NULL: not written yet */
	struct pst_connections connections;
	struct pst_server_stats stats;
};

static uint64_t
monotonic_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- observations ---- */

static void
forget(struct pst_metrics *m)
{
	if (m->exposition)
		MHD_destroy_response(m->exposition);
	m->exposition = NULL;
	m->observed_ns = 0;
}

/* Makes sure that the observation is of now. Under the mutex, with a pipeline. */
static void
observe(struct pst_metrics *m)
{
	uint64_t now_ns = monotonic_ns();

	if (m->observed_ns != 0 && now_ns - m->observed_ns < SHARED_NS)
		return;
	forget(m);
	m->observed_rc = pst_observation_take(m->observation, m->pipeline);
	m->observed_ns = monotonic_ns();
	m->stats.observation_cnt++;
	m->stats.observation_ns = m->observed_ns - now_ns;
	m->stats.connection_now_cnt = m->connections.cnt;
	m->observation->server = m->stats;
}

/* ---- answers ---- */

static enum MHD_Result
answer(struct pst_metrics *m, struct MHD_Connection *connection, unsigned status,
	struct MHD_Response *response)
{
	if (!response)
		return MHD_NO;
	*(status == MHD_HTTP_OK ? &m->stats.answered_cnt : &m->stats.refused_cnt) += 1;
	return MHD_queue_response(connection, status, response);
}

/* A line of text. hang_up: nothing more is read from this client. */
static enum MHD_Result
answer_line(struct pst_metrics *m, struct MHD_Connection *connection, unsigned status,
	const char *line, bool hang_up)
{
	char text[256];
	int len = snprintf(text, sizeof(text), "%s\n", line);
	struct MHD_Response *response = MHD_create_response_from_buffer(
		(size_t)len, text, MHD_RESPMEM_MUST_COPY);

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, CONTENT_PLAIN);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	if (hang_up)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	enum MHD_Result rc = answer(m, connection, status, response);
	MHD_destroy_response(response);
	return rc;
}

/* Written once for all who ask; each connection holds on to it until it is sent. */
static struct MHD_Response *
exposition(struct pst_metrics *m)
{
	struct pst_exposition x = {0};

	if (m->exposition)
		return m->exposition;
	pst_families_write(&x, m->observation);
	if (!x.failed)
		m->exposition = MHD_create_response_from_buffer(
			x.len, x.text, MHD_RESPMEM_MUST_FREE);
	if (!m->exposition)
		pst_exposition_fini(&x);
	else
		MHD_add_response_header(m->exposition, MHD_HTTP_HEADER_CONTENT_TYPE, CONTENT_TYPE);
	return m->exposition;
}

static enum MHD_Result
answer_health(struct pst_metrics *m, struct MHD_Connection *connection,
	void (*judge)(const struct pst_observation *o, int rc, struct pst_health *out))
{
	struct pst_health health;

	judge(m->observation, m->observed_rc, &health);
	return answer_line(m, connection, health.good ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
		health.text, false);
}

/* A path that there is. Under the mutex. */
static enum MHD_Result
answer_path(struct pst_metrics *m, struct MHD_Connection *connection, const char *path)
{
	bool is_alive = strcmp(path, PATH_ALIVE) == 0;

	if (!m->pipeline)
		return answer_line(m, connection,
			is_alive ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, m->without, false);
	observe(m);
	if (is_alive)
		return answer_health(m, connection, pst_health_alive);
	if (strcmp(path, PATH_READY) == 0)
		return answer_health(m, connection, pst_health_ready);
	/* Says what keeps it from answering. */
	if (m->observed_rc != 0)
		return answer_health(m, connection, pst_health_alive);
	return answer(m, connection, MHD_HTTP_OK, exposition(m));
}

static bool
has_body(struct MHD_Connection *connection)
{
	return MHD_lookup_connection_value(
		       connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH) ||
	       MHD_lookup_connection_value(
		       connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

/* libmicrohttpd calls it when the headers are there, and again at the end of the request. */
static enum MHD_Result
on_request(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
	const char *version, const char *upload, size_t *upload_bytes, void **request)
{
	static int begun;
	struct pst_metrics *m = arg;

	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return answer_line(m, connection, MHD_HTTP_METHOD_NOT_ALLOWED,
			"only GET and HEAD: nothing can be changed here", true);
	if (has_body(connection))
		return answer_line(m, connection, MHD_HTTP_CONTENT_TOO_LARGE,
			"requests have no body here", true);
	if (!*request) {
		*request = &begun;
		return MHD_YES;
	}
	if (strcmp(path, PATH_METRICS) != 0 && strcmp(path, PATH_ALIVE) != 0 &&
		strcmp(path, PATH_READY) != 0)
		return answer_line(m, connection, MHD_HTTP_NOT_FOUND,
			"there are " PATH_METRICS ", " PATH_ALIVE " and " PATH_READY, false);
	pthread_mutex_lock(&m->mutex);
	enum MHD_Result rc = answer_path(m, connection, path);
	pthread_mutex_unlock(&m->mutex);
	return rc;
}

/* ---- connections ---- */

static struct pst_addr
address_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct pst_addr addr = {{0}};

	if (info->client_addr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)info->client_addr;
		memcpy(addr.bytes, &in6->sin6_addr, sizeof(addr.bytes));
	} else {
		const struct sockaddr_in *in = (const void *)info->client_addr;
		memset(addr.bytes + 10, 0xff, 2);
		memcpy(addr.bytes + 12, &in->sin_addr, 4);
	}
	return addr;
}

static void
on_connection(void *arg, struct MHD_Connection *connection, void **kept,
	enum MHD_ConnectionNotificationCode what)
{
	struct pst_metrics *m = arg;
	int evicted;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*kept)
			pst_connections_remove(&m->connections, *kept);
		return;
	}
	int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	struct pst_addr addr = address_of(connection);
	m->stats.connection_cnt++;
	*kept = pst_connections_add(&m->connections, fd, &addr, monotonic_ns(), &evicted);
	/* Shut, not closed: libmicrohttpd sees the end and closes it. */
	if (!*kept)
		shutdown(fd, SHUT_RDWR);
	if (evicted >= 0) {
		m->stats.evicted_cnt++;
		shutdown(evicted, SHUT_RDWR);
	}
}

static void
on_completed(void *arg, struct MHD_Connection *connection, void **request,
	enum MHD_RequestTerminationCode why)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct pst_connection *kept = info ? info->socket_context : NULL;

	if (kept && why == MHD_REQUEST_TERMINATED_COMPLETED_OK)
		kept->since_ns = monotonic_ns();
}

static void
close_expired(struct pst_metrics *m)
{
	uint64_t now_ns = monotonic_ns();
	int fd;

	while ((fd = pst_connections_expired(&m->connections, now_ns)) >= 0) {
		m->stats.deadline_cnt++;
		shutdown(fd, SHUT_RDWR);
	}
}

/* ---- the thread ---- */

static void *
serve(void *arg)
{
	struct pst_metrics *m = arg;
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(m->cpu, &cpu);
	pthread_setaffinity_np(pthread_self(), sizeof(cpu), &cpu);
	pthread_setname_np(pthread_self(), "pst-metrics");
	/* Of this thread alone, under Linux. */
	setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	while (!atomic_load_explicit(&m->ending, memory_order_relaxed)) {
		MHD_run_wait(m->daemon, TURN_MS);
		close_expired(m);
	}
	return NULL;
}

static void
ignore_message(void *arg, const char *format, va_list ap)
{
	/* What clients do wrong is counted, not said. */
}

static struct MHD_Daemon *
start_daemon(struct pst_metrics *m)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, m,
		MHD_OPTION_EXTERNAL_LOGGER, ignore_message, NULL, MHD_OPTION_LISTEN_SOCKET,
		m->listen_fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)PST_CONNECTIONS_SLOTS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_BYTES,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_CONNECTION, on_connection, m,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, m, MHD_OPTION_END);
}

/* ---- open and close ---- */

static int
listen_failed(const struct pst_profile *profile, int error, struct pst_diag *diag)
{
	bool is_taken = error == EADDRINUSE;

	return pst_diag_set(diag, profile->file, 0, is_taken ? "metrics.port" : "metrics.address",
		is_taken ? "give metrics.port another number (each daemon of a host needs its "
			   "own), or 0 to do without; `ss -ltnp` names who has it"
			 : "give an address of this host, or metrics.port: 0 to do without",
		"cannot listen on %s, TCP port %u: %s", profile->metrics_address,
		profile->metrics_port, strerror(error));
}

static int
listen_at(const struct pst_profile *profile, int *out, struct pst_diag *diag)
{
	const struct pst_addr *addr = &profile->metrics_addr;
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(profile->metrics_port)};
	struct sockaddr_in6 in6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(profile->metrics_port)};
	bool is_ipv4 = pst_addr_is_ipv4(addr);
	int one = 1;
	int fd = socket(
		is_ipv4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(&in.sin_addr, addr->bytes + 12, sizeof(in.sin_addr));
	memcpy(&in6.sin6_addr, addr->bytes, sizeof(in6.sin6_addr));
	if (fd < 0)
		return listen_failed(profile, errno, diag);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, is_ipv4 ? (const void *)&in : (const void *)&in6,
		    is_ipv4 ? sizeof(in) : sizeof(in6)) != 0 ||
		listen(fd, BACKLOG) != 0) {
		int error = errno;
		close(fd);
		return listen_failed(profile, error, diag);
	}
	*out = fd;
	return 0;
}

static int
start(struct pst_metrics *m, struct pst_diag *diag)
{
	int rc = ENOMEM;

	m->daemon = start_daemon(m);
	if (m->daemon)
		rc = pthread_create(&m->thread, NULL, serve, m);
	if (rc == 0)
		return 0;
	if (m->daemon)
		MHD_stop_daemon(m->daemon);
	else
		close(m->listen_fd);
	return pst_diag_set(diag, NULL, 0, "metrics.port", "metrics.port: 0 does without",
		"the metrics endpoint cannot be started: %s", strerror(rc));
}

int
pst_metrics_open(const struct pst_profile *profile, struct pst_metrics **out, struct pst_diag *diag)
{
	struct pst_metrics *m;

	if (profile->metrics_port == 0) {
		*out = NULL;
		return 0;
	}
	m = calloc(1, sizeof(*m));
	if (!m)
		return pst_diag_set(diag, NULL, 0, NULL, NULL, "out of memory");
	m->cpu = profile->core_main;
	m->without = "starting";
	pthread_mutex_init(&m->mutex, NULL);
	pst_connections_init(&m->connections);
	if (listen_at(profile, &m->listen_fd, diag) != 0 || start(m, diag) != 0) {
		pthread_mutex_destroy(&m->mutex);
		free(m);
		return -1;
	}
	*out = m;
	return 0;
}

void
pst_metrics_attach(struct pst_metrics *m, struct pst_pipeline *pipeline)
{
	if (!m)
		return;
	pthread_mutex_lock(&m->mutex);
	PST_ASSERT(!m->pipeline);
	m->observation = calloc(1, sizeof(*m->observation));
	if (m->observation && pst_observation_init(m->observation, pipeline) == 0)
		m->pipeline = pipeline;
	else
		m->without = "no memory for metrics";
	pthread_mutex_unlock(&m->mutex);
}

void
pst_metrics_detach(struct pst_metrics *m)
{
	if (!m)
		return;
	pthread_mutex_lock(&m->mutex);
	if (m->observation)
		pst_observation_fini(m->observation);
	free(m->observation);
	m->observation = NULL;
	m->pipeline = NULL;
	m->without = "draining";
	forget(m);
	pthread_mutex_unlock(&m->mutex);
}

void
pst_metrics_close(struct pst_metrics *m)
{
	if (!m)
		return;
	atomic_store_explicit(&m->ending, true, memory_order_relaxed);
	pthread_join(m->thread, NULL);
	pst_metrics_detach(m);
	/* Closes the socket it listens on, too. */
	MHD_stop_daemon(m->daemon);
	pthread_mutex_destroy(&m->mutex);
	free(m);
}
