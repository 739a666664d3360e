#include "rules/compile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"

/* Child to parent: this, then len bytes: the database, or the text of a refusal. */
struct answer {
	uint32_t status; /* PST_RULES_COMPILED, _REFUSED or _MEMORY */
	int32_t expression;
	uint64_t len;
};

static void
write_whole(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = write(fd, at, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(1);
		at += n;
		len -= (size_t)n;
	}
}

/* What is mapped already counts against RLIMIT_AS; with DPDK that is many gigabytes. */
static uint64_t
mapped_bytes(void)
{
	char text[64] = {0};
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		_exit(1);
	close(fd);
	return strtoull(text, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void
limit(int resource, uint64_t soft, uint64_t hard)
{
	struct rlimit r = {.rlim_cur = soft, .rlim_max = hard};

	if (setrlimit(resource, &r) != 0)
		_exit(1);
}

/* Makes the fork a process of its own: nothing of the parent's may be reached by it. */
static void
settle_child(int pipe_fd, pid_t parent, const struct pst_rules_compile_limits *limits)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t none;
	uint64_t address_space = mapped_bytes() + limits->bytes;
	int oom_fd;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		_exit(1);
	for (int i = 1; i < NSIG; i++)
		sigaction(i, &action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Locks, rings, sockets and links: a child that hangs must not keep them alive. */
	if (pipe_fd > 3)
		close_range(3, (unsigned)pipe_fd - 1, 0);
	close_range((unsigned)pipe_fd + 1, ~0u, 0);
	/* Short of memory, the kernel shall end this process and not its parent. */
	oom_fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (oom_fd >= 0) {
		(void)!write(oom_fd, "1000", 4);
		close(oom_fd);
	}
	limit(RLIMIT_CORE, 0, 0);
	limit(RLIMIT_CPU, limits->cpu_s, limits->cpu_s + 1);
	limit(RLIMIT_AS, address_space, address_space);
}

static _Noreturn void
run_child(int pipe_fd, const struct pst_rules_compile_job *job)
{
	struct answer answer = {.status = PST_RULES_COMPILED, .expression = -1};
	hs_compile_error_t *error = NULL;
	hs_database_t *db = NULL;
	const char *payload = NULL;
	char *bytes = NULL;
	size_t len = 0;

	if (hs_compile_ext_multi(job->patterns, job->flags, job->ids, job->exts, job->cnt,
		    HS_MODE_BLOCK, NULL, &db, &error) != HS_SUCCESS) {
		payload = error->message ? error->message : "no message";
		len = strlen(payload);
		/* Hyperscan's own words for a failed allocation. */
		answer.status = strstr(payload, "nable to allocate memory")
					? PST_RULES_COMPILE_MEMORY
					: PST_RULES_COMPILE_REFUSED;
		answer.expression = error->expression;
	} else if (hs_serialize_database(db, &bytes, &len) != HS_SUCCESS) {
		answer.status = PST_RULES_COMPILE_MEMORY;
	} else {
		payload = bytes;
	}
	answer.len = payload ? len : 0;
	write_whole(pipe_fd, &answer, sizeof(answer));
	write_whole(pipe_fd, payload, answer.len);
	_exit(0);
}

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Returns the bytes read: fewer than len at the end of the stream or past the deadline. */
static size_t
read_until(int fd, void *buf, size_t len, uint64_t deadline_ms)
{
	size_t got = 0;

	while (got < len) {
		uint64_t now = now_ms();
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (now >= deadline_ms)
			break;
		int ready = poll(&p, 1, (int)pst_min_u64(deadline_ms - now, 60000));
		if (ready <= 0)
			continue;
		ssize_t n = read(fd, (char *)buf + got, len - got);
		if (n == 0 || (n < 0 && errno != EINTR))
			break;
		got += n > 0 ? (size_t)n : 0;
	}
	return got;
}

/* 0: a whole answer came. -1: the child ended or is late. -2: the answer cannot be taken in. */
static int
receive(int fd, const struct pst_rules_compile_limits *limits, uint64_t deadline_ms,
	struct pst_rules_compile_result *result)
{
	struct answer answer;

	if (read_until(fd, &answer, sizeof(answer), deadline_ms) != sizeof(answer))
		return -1;
	uint8_t *bytes = answer.len > limits->bytes ? NULL : malloc(answer.len + 1);
	if (!bytes)
		return -2;
	if (read_until(fd, bytes, answer.len, deadline_ms) != answer.len) {
		free(bytes);
		return -1;
	}
	bytes[answer.len] = '\0';
	result->status = (enum pst_rules_compile_status)answer.status;
	result->expression = answer.expression;
	if (result->status == PST_RULES_COMPILED) {
		result->bytes = bytes;
		result->len = answer.len;
	} else {
		snprintf(result->text, sizeof(result->text), "%s", (char *)bytes);
		free(bytes);
	}
	return 0;
}

/* The child is gone without an answer: why? */
static void
explain_death(int status, const struct rusage *usage, const struct pst_rules_compile_limits *limits,
	struct pst_rules_compile_result *result)
{
	uint64_t cpu_s = (uint64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec);

	result->status = PST_RULES_COMPILE_CRASHED;
	if (!WIFSIGNALED(status))
		return;
	result->signal_number = WTERMSIG(status);
	if (result->signal_number == SIGXCPU ||
		(result->signal_number == SIGKILL && cpu_s >= limits->cpu_s))
		result->status = PST_RULES_COMPILE_CPU;
}

static void
supervise(int fd, pid_t child, const struct pst_rules_compile_limits *limits,
	struct pst_rules_compile_result *result)
{
	uint64_t deadline_ms = now_ms() + limits->wall_ms;
	int received = receive(fd, limits, deadline_ms, result);
	bool late = received == -1 && now_ms() >= deadline_ms;
	struct rusage usage = {0};
	int status = 0;

	/* Nothing more is wanted of the child. If it is dying already, its own reason stays. */
	kill(child, SIGKILL);
	while (wait4(child, &status, 0, &usage) < 0 && errno == EINTR)
		;
	if (late)
		result->status = PST_RULES_COMPILE_WALL;
	else if (received == -1)
		explain_death(status, &usage, limits, result);
	else if (received == -2)
		result->status = PST_RULES_COMPILE_MEMORY;
}

void
pst_rules_compile(const struct pst_rules_compile_job *job,
	const struct pst_rules_compile_limits *limits, struct pst_rules_compile_result *result)
{
	sigset_t all, before;
	pid_t parent = getpid();
	int fds[2];

	memset(result, 0, sizeof(*result));
	result->expression = -1;
	result->status = PST_RULES_COMPILE_SYSTEM;
	if (pipe2(fds, O_CLOEXEC) != 0) {
		result->error_number = errno;
		return;
	}
	/* The parent's signal handlers must not run in the child. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid_t child = fork();
	int error = errno;
	if (child == 0) {
		settle_child(fds[1], parent, limits);
		run_child(fds[1], job);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	close(fds[1]);
	if (child < 0)
		result->error_number = error;
	else
		supervise(fds[0], child, limits, result);
	close(fds[0]);
}
