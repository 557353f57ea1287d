/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting, killing and reaping processes. A child gets exactly the descriptors of its plan, an empty environment and, where there is one, a
 * user of its own, before its program begins.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "daemon/monitor.h"

enum { FIRST_FD = 3, ENVIRONMENT_MAX = 4 };

/* Exit codes of a child that never became its program. */
enum { EXIT_NO_FDS = 124, EXIT_NO_USER = 125, EXIT_ORPHAN = 126, EXIT_NO_EXEC = 127 };

/* Everything the new process needs, laid out before fork(2): between that and execve(2) nothing is allocated. */
struct launch {
	char path[PATH_MAX], id[16];
	char *arguments[CHILD_ARGUMENTS + 4];
	char *environment[ENVIRONMENT_MAX + 1];
	int fds[CHILD_FDS + 1];
	unsigned fd_count;
	struct credentials credentials;
	bool goes_first; /* as the monitor does */
	int niceness;    /* else */
	pid_t parent;
};

/* What the sanitizers' runtimes read, and nothing else, is passed on from our own environment. */
static void
lay_out_environment(struct launch *launch)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	static const char *const passed[] = {"ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS="};
	size_t count = 0;

	launch->environment[count++] = path;
	for (size_t i = 0; i < ARRAY_LENGTH(passed); i++)
		for (char **entry = environ; *entry; entry++)
			if (strncmp(*entry, passed[i], strlen(passed[i])) == 0 && count < ENVIRONMENT_MAX)
				launch->environment[count++] = *entry;
}

static int
lay_out(struct launch *launch, const struct monitor *monitor, const struct child_plan *plan, uint32_t id, int channel)
{
	static char id_option[] = "--id";
	size_t count = 0;
	int code = path_print(
	    launch->path, sizeof launch->path, "%s/%s", monitor->program_directory, role_program(plan->role));

	if (code < 0)
		return code;
	snprintf(launch->id, sizeof launch->id, "%u", id);
	launch->arguments[count++] = launch->path;
	launch->arguments[count++] = id_option;
	launch->arguments[count++] = launch->id;
	for (size_t i = 0; plan->arguments[i]; i++) /* execve(2) takes them as char * and does not write them */
		launch->arguments[count++] = (char *)(uintptr_t)plan->arguments[i];
	lay_out_environment(launch);
	launch->fds[0] = channel;
	memcpy(&launch->fds[1], plan->fds, plan->fd_count * sizeof plan->fds[0]);
	launch->fd_count = plan->fd_count + 1;
	launch->credentials = *role_credentials(monitor, plan->role);
	launch->goes_first = plan->role == ROLE_BROKER;
	launch->niceness = monitor->niceness;
	launch->parent = getpid();
	return 0;
}

/* Descriptors 3, 4, ... become the plan's; all others above are closed. First out of the way, since they may overlap. */
static bool
place_descriptors(const struct launch *launch)
{
	int aside[CHILD_FDS + 1];

	for (unsigned i = 0; i < launch->fd_count; i++)
		if ((aside[i] = fcntl(launch->fds[i], F_DUPFD, FIRST_FD + CHILD_FDS + 1)) < 0)
			return false;
	for (unsigned i = 0; i < launch->fd_count; i++)
		if (dup2(aside[i], (int)(FIRST_FD + i)) < 0)
			return false;
	return close_range(FIRST_FD + launch->fd_count, ~0U, 0) == 0;
}

static bool
become_user(const struct credentials *user)
{
	return !user->drop || (setgroups(0, NULL) == 0 && setresgid(user->gid, user->gid, user->gid) == 0 &&
				  setresuid(user->uid, user->uid, user->uid) == 0);
}

static void
default_signals(void)
{
	struct sigaction standard = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		sigaction(number, &standard, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

__attribute__((noreturn)) static void
run(const struct launch *launch)
{
	default_signals();
	if (!place_descriptors(launch))
		_exit(EXIT_NO_FDS);
	if (!launch->goes_first)
		setpriority(PRIO_PROCESS, 0, launch->niceness);
	if (!become_user(&launch->credentials))
		_exit(EXIT_NO_USER);
	/* After the change of user, which clears it. If the monitor died before this line, nobody would end us. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != launch->parent)
		_exit(EXIT_ORPHAN);
	execve(launch->path, launch->arguments, launch->environment);
	_exit(EXIT_NO_EXEC);
}

uint32_t
child_fresh_id(struct monitor *monitor)
{
	bool taken = true;

	while (taken) {
		if (++monitor->last_id == 0)
			monitor->last_id = 1;
		taken = false;
		for (const struct child *c = monitor->children; c && !taken; c = c->next)
			taken = c->id == monitor->last_id;
	}
	return monitor->last_id;
}

struct child *
child_find(const struct monitor *monitor, unsigned roles, uint32_t id)
{
	for (struct child *child = monitor->children; child; child = child->next)
		if ((child->role & roles) && child->id == id)
			return child;
	return NULL;
}

void
child_kill(struct child *child, const char *format, ...)
{
	va_list arguments;

	if (child->cause[0] == '\0') {
		va_start(arguments, format);
		vsnprintf(child->cause, sizeof child->cause, format, arguments);
		va_end(arguments);
	}
	syscall(SYS_pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0);
}

static void
child_free(struct child *child)
{
	struct monitor *monitor = child->monitor;

	child_close_channel(child);
	watch_stop(&child->on_exit);
	timer_stop(&child->deadline);
	if (child->pidfd >= 0)
		close(child->pidfd);
	if (child->prev)
		child->prev->next = child->next;
	else if (monitor->children == child)
		monitor->children = child->next;
	if (child->next)
		child->next->prev = child->prev;
	free(child);
}

/* One clause for the log and the broker. `cause`: why we ended it, or "". */
static void
describe_end(const char *cause, const siginfo_t *info, char *text, size_t room)
{
	bool exited = info->si_code == CLD_EXITED;

	if (cause[0])
		snprintf(text, room, "%s", cause);
	else if (exited && info->si_status == EXIT_NO_EXEC)
		snprintf(text, room, "its program could not be executed");
	else if (exited && info->si_status == EXIT_NO_USER)
		snprintf(text, room, "it could not become its user");
	else if (exited && (info->si_status == EXIT_NO_FDS || info->si_status == EXIT_ORPHAN))
		snprintf(text, room, "it could not be set up (exit code %d)", info->si_status);
	else if (exited)
		snprintf(text, room, "exit code %d", info->si_status);
	else if (info->si_status == SIGSYS)
		snprintf(text, room,
		    "killed by its sandbox for a forbidden system call (dmesg or the audit log has its number: "
		    "type=1326)");
	else
		snprintf(text, room, "killed by signal %d (%s)", info->si_status, strsignal(info->si_status));
}

static bool
is_known(const struct monitor *monitor, pid_t pid)
{
	for (const struct child *child = monitor->children; child; child = child->next)
		if (child->pid == pid)
			return true;
	return false;
}

/* A zygote that was killed may have made a child that we never heard of, and that ended since then. */
static void
reap_strays(struct monitor *monitor)
{
	siginfo_t info = {0};

	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0 &&
	       !is_known(monitor, info.si_pid))
		waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
}

/* It did something that no sound program does. */
static bool
has_crashed(const siginfo_t *info)
{
	return info->si_code != CLD_EXITED && info->si_status != SIGKILL && info->si_status != SIGTERM;
}

static void
on_exit_ready(struct watch *watch, uint32_t events)
{
	struct child *child = CONTAINER_OF(watch, struct child, on_exit);
	struct monitor *monitor = child->monitor;
	siginfo_t info = {0};
	char cause[256];

	(void)events;
	if (waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
		return;
	child->crashed = has_crashed(&info);
	describe_end(child->cause, &info, cause, sizeof cause);
	monitor_child_ended(child, child->cause[0] == '\0' && info.si_code == CLD_EXITED && info.si_status == 0, cause);
	child_free(child);
	if (monitor->zygote.stray)
		reap_strays(monitor);
}

static int
watch_child(struct child *child)
{
	int code = watch_start(child->monitor->loop, &child->on_exit, child->pidfd, EPOLLIN, on_exit_ready);
	if (code == 0)
		code = child_listen(child);
	if (code < 0) {
		child_kill(child, "cannot be watched");
		waitid(P_PIDFD, (id_t)child->pidfd, &(siginfo_t){0}, WEXITED);
	}
	return code;
}

/* From a new process to a watched one; on failure the process is ended again. */
static int
adopt(struct child *child, pid_t pid)
{
	int code;

	child->pid = pid;
	child->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (child->pidfd >= 0)
		return watch_child(child);
	code = -errno;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return code;
}

static struct child *
child_new(struct monitor *monitor, enum role role, int channel)
{
	struct child *child = calloc(1, sizeof *child);

	if (child == NULL)
		return NULL;
	child->monitor = monitor;
	child->role = role;
	child->id = child_fresh_id(monitor);
	child->pidfd = -1;
	outbox_init(&child->outbox, &child->channel, &child->on_message);
	child->channel =
	    (struct channel){.fd = channel, .self = ROLE_MONITOR, .peer = role, .state = CH_NEW, .id = child->id};
	child->next = monitor->children;
	if (child->next)
		child->next->prev = child;
	monitor->children = child;
	return child;
}

const char *
child_poll_us(const struct monitor *monitor)
{
	static char text[16];

	snprintf(text, sizeof text, "%u", monitor->config->poll_us);
	return text;
}

struct child *
child_start(struct monitor *monitor, const struct child_plan *plan, struct error *error)
{
	struct launch launch = {0};
	struct child *child;
	int ends[2];
	pid_t pid = -1;
	int code = packet_pair(ends);

	if (code < 0) {
		error_errno(error, code, "cannot make a channel to a new %s", role_program(plan->role));
		return NULL;
	}
	child = child_new(monitor, plan->role, ends[0]);
	code = child ? lay_out(&launch, monitor, plan, child->id, ends[1]) : -ENOMEM;
	if (code == 0) {
		pid = fork();
		if (pid == 0)
			run(&launch);
		code = pid < 0 ? -errno : adopt(child, pid);
	}
	close(ends[1]);
	if (code == 0)
		return child;
	error_errno(error, code, "cannot start %s", role_program(plan->role));
	if (child)
		child_free(child);
	else
		close(ends[0]);
	return NULL;
}

/* Whether `pidfd` is of a process that we have to reap, ended or not. */
static bool
is_ours(int pidfd)
{
	siginfo_t info;

	return waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

struct child *
child_adopt(struct monitor *monitor, enum role role, pid_t pid, int channel, struct error *error)
{
	AUTO_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct child *child = NULL;
	int code = pidfd < 0 ? -errno : is_known(monitor, pid) || !is_ours(pidfd) ? -ECHILD : 0;

	if (code == 0) {
		child = child_new(monitor, role, channel);
		code = child ? 0 : -ENOMEM;
	}
	if (code == 0) {
		child->pid = pid;
		child->pidfd = take_fd(&pidfd);
		code = watch_child(child);
	}
	if (code == 0)
		return child;
	error_errno(error, code, "cannot take process %d for %s", pid, role_program(role));
	if (child)
		child_free(child);
	else
		close(channel);
	return NULL;
}

/* Its channel stays unused. */
int
child_run(struct monitor *monitor, const struct child_plan *plan, struct error *error)
{
	struct launch launch = {0};
	siginfo_t info = {0};
	char cause[256];
	int ends[2], code = packet_pair(ends);
	pid_t pid;

	if (code < 0)
		return error_errno(error, code, "cannot make a channel to a new %s", role_program(plan->role));
	code = lay_out(&launch, monitor, plan, child_fresh_id(monitor), ends[1]);
	pid = code == 0 ? fork() : -1;
	if (pid == 0)
		run(&launch);
	if (code == 0 && pid < 0)
		code = -errno;
	close(ends[0]);
	close(ends[1]);
	while (code == 0 && waitid(P_PID, (id_t)pid, &info, WEXITED) < 0)
		code = errno == EINTR ? 0 : -errno;
	if (code < 0)
		return error_errno(error, code, "cannot run %s", role_program(plan->role));
	if (info.si_code == CLD_EXITED && info.si_status == 0)
		return 0;
	describe_end("", &info, cause, sizeof cause);
	return error_set(error, -ECHILD, "%s: %s", role_program(plan->role), cause);
}

void
children_clear(struct monitor *monitor)
{
	enum { PATIENCE_MS = 2000 };
	siginfo_t info = {0};

	for (struct child *child = monitor->children; child; child = child->next)
		child_kill(child, "netbusd ends");
	while (monitor->children) {
		struct child *child = monitor->children;
		struct pollfd end = {.fd = child->pidfd, .events = POLLIN};

		/* One that hangs in the kernel is left to init; it holds its device's lock until it is really gone. */
		if (poll(&end, 1, PATIENCE_MS) > 0)
			waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED | WNOHANG);
		else
			log_error("%s[%u] (process %d) does not end; its device is in use until it does",
			    role_program(child->role), child->id, child->pid);
		if (child->socket_path[0])
			unlink(child->socket_path);
		child_free(child);
	}
}
