/* SPDX-License-Identifier: Apache-2.0
 *
 * This host's own certificate: the first one (netbusd --join), and each next one, when two thirds of the present one's life are over or an operator asks. The
 * gate connects, netbus-join converses and writes the files, netbus-keys takes them into use: sessions that live go on, since a TLS connection needs its
 * key only for its handshake; the next handshake has the new one.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "crypto/pki.h"
#include "daemon/monitor.h"
#include "wire/limits.h"

#define JOIN_NS        (2 * LIMIT_ENROL_MS * NS_PER_MS)
#define RETRY_LEAST_US (INT64_C(2) * 1000000)
#define RETRY_MOST_US  (INT64_C(3600) * 1000000)
#define DOUBLINGS_MOST 16

/* ---- when ---- */

static void begin(struct monitor *monitor);

static void
on_due(struct timer *timer)
{
	begin(CONTAINER_OF(timer, struct monitor, renewal.due));
}

static void
set_due(struct monitor *monitor, int64_t due_us)
{
	int64_t wait = due_us - clock_wall_us();

	monitor->renewal.due_us = due_us;
	timer_start(monitor->loop, &monitor->renewal.due, (uint64_t)(wait > 0 ? wait : 1) * 1000, on_due);
}

/* So that the hosts of a rack that were installed together do not come together. */
static int64_t
jitter(int64_t most)
{
	uint64_t drawn = 0;

	return most > 0 && getrandom(&drawn, sizeof drawn, 0) == sizeof drawn ? (int64_t)(drawn % (uint64_t)most) : 0;
}

void
renew_plan(struct monitor *monitor)
{
	int64_t begins = (int64_t)monitor->identity.not_before_us + PKI_BACKDATING_US;
	int64_t life = (int64_t)monitor->identity.not_after_us - begins;

	timer_stop(&monitor->renewal.due);
	monitor->renewal.due_us = 0;
	if (monitor->config->enroller[0] && life > 0)
		set_due(monitor, begins + life / 3 * 2 + jitter(life / 12));
}

static void
plan_again(struct monitor *monitor)
{
	struct renewal *renewal = &monitor->renewal;
	unsigned doublings = renewal->failures < DOUBLINGS_MOST ? renewal->failures : DOUBLINGS_MOST;
	int64_t wait = RETRY_LEAST_US << doublings;

	renewal->failures++;
	if (wait > RETRY_MOST_US)
		wait = RETRY_MOST_US;
	set_due(monitor, clock_wall_us() + wait + jitter(wait / 4));
	if (monitor->phase == PHASE_RUNNING)
		tell_identity(monitor);
}

/* ---- how it went ---- */

static void
finish(struct monitor *monitor, bool ok, const char *text)
{
	struct renewal *renewal = &monitor->renewal;
	struct msg_renewed renewed = {.ok = ok};

	renewal->connecting = 0;
	renewal->loading = false;
	snprintf(renewed.text, sizeof renewed.text, "%s", text);
	if (ok)
		renewal->failures = 0;
	else
		log_error("the certificate was not renewed: %s", text);
	if (!ok && monitor->config->enroller[0])
		plan_again(monitor);
	child_tell(monitor->broker, MSG_RENEWED, &renewed, -1);
}

void
renew_said(struct monitor *monitor, const struct msg_joined *joined)
{
	snprintf(monitor->renewal.text, sizeof monitor->renewal.text, "%s", joined->text);
}

void
renew_ended(struct child *join, bool clean, const char *cause)
{
	struct monitor *monitor = join->monitor;
	struct renewal *renewal = &monitor->renewal;
	struct error error = {0};

	renewal->join = NULL;
	if (monitor->phase != PHASE_RUNNING)
		return;
	if (!clean) {
		finish(monitor, false, renewal->text[0] ? renewal->text : cause);
		return;
	}
	renewal->loading = true;
	if (keys_send_files(monitor, &error) < 0)
		finish(monitor, false, error.text);
}

void
renew_loaded(struct monitor *monitor, const struct msg_keys_ready *ready)
{
	if (!monitor->renewal.loading)
		return;
	if (ready->ok)
		log_info("the renewed certificate is in use: public key %s", ready->fingerprint);
	finish(monitor, ready->ok, ready->text);
}

/* ---- doing it ---- */

static void
begin(struct monitor *monitor)
{
	struct renewal *renewal = &monitor->renewal;
	struct msg_gate_connect connect = {0};

	if (renewal->connecting || renewal->join || renewal->loading || monitor->phase > PHASE_RUNNING)
		return;
	if (monitor->phase != PHASE_RUNNING || child_is_behind(monitor->gate)) { /* soon */
		set_due(monitor, clock_wall_us() + RETRY_LEAST_US);
		return;
	}
	timer_stop(&renewal->due);
	renewal->text[0] = '\0';
	renewal->connecting = child_fresh_id(monitor);
	connect.id = renewal->connecting;
	snprintf(connect.address, sizeof connect.address, "%s", monitor->config->enroller);
	child_tell(monitor->gate, MSG_GATE_CONNECT, &connect, -1);
}

void
renew_now(struct monitor *monitor)
{
	if (monitor->config->enroller[0] == '\0')
		finish(
		    monitor, false, "enroller: in netbusd.yaml does not say where this host's certificate is renewed");
	else
		begin(monitor);
}

static void
on_late(struct timer *timer)
{
	child_kill(CONTAINER_OF(timer, struct child, deadline), "it took too long");
}

static void
start_join(struct monitor *monitor, int socket)
{
	struct child_plan plan = {.role = ROLE_JOIN,
	    .arguments = {"--mode", "renew", "--pki", monitor->config->pki_directory, "--host",
		monitor->config->host.text},
	    .fds = {socket},
	    .fd_count = 1};
	struct error error = {0};
	struct child *child = child_start(monitor, &plan, &error);

	if (child == NULL) {
		finish(monitor, false, error.text);
		return;
	}
	monitor->renewal.join = child;
	timer_start(monitor->loop, &child->deadline, JOIN_NS, on_late);
}

bool
renew_connected(struct monitor *monitor, const struct msg_gate_connected *connected, int socket)
{
	if (monitor->renewal.connecting == 0 || connected->id != monitor->renewal.connecting)
		return false;
	monitor->renewal.connecting = 0;
	if (monitor->phase == PHASE_RUNNING)
		start_join(monitor, socket);
	close(socket);
	return true;
}

bool
renew_connect_failed(struct monitor *monitor, const struct msg_gate_connect_failed *failed)
{
	if (monitor->renewal.connecting == 0 || failed->id != monitor->renewal.connecting)
		return false;
	finish(monitor, false, failed->text);
	return true;
}

void
renew_clear(struct monitor *monitor)
{
	timer_stop(&monitor->renewal.due);
}

/* ---- before the start ---- */

int
renew_complete(struct monitor *monitor, struct error *error)
{
	struct child_plan plan = {
	    .role = ROLE_JOIN, .arguments = {"--mode", "complete", "--pki", monitor->config->pki_directory}};
	char path[PATH_MAX];

	if (path_print(path, sizeof path, "%s/next.pem", monitor->config->pki_directory) < 0 || access(path, F_OK) < 0)
		return 0;
	return child_run(monitor, &plan, error);
}

static int
connect_to(const char *text, struct error *error)
{
	AUTO_CLOSE int fd = -1;
	union address address;
	struct pollfd ready = {.events = POLLOUT};
	socklen_t length = sizeof(int);
	int failure = 0, code = address_parse(text, &address, error);

	if (code < 0)
		return code;
	fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || (connect(fd, &address.any, address_length(&address)) < 0 && errno != EINPROGRESS))
		return error_errno(error, -errno, "cannot connect to %s", text);
	ready.fd = fd;
	if (poll(&ready, 1, (int)LIMIT_ENROL_MS) == 0)
		return error_set(error, -ETIMEDOUT,
		    "cannot connect to %s: no answer in time (is the host up, and does a firewall let this port "
		    "through?)",
		    text);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &length) < 0 || failure)
		return error_errno(error, -(failure ? failure : errno), "cannot connect to %s", text);
	return take_fd(&fd);
}

/* The token goes through a pipe: a command line can be read by everybody. */
static int
pipe_of(const char *token, struct error *error)
{
	int ends[2], code;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(error, -errno, "cannot make a pipe");
	code = fd_write_all(ends[1], token, strlen(token));
	close(ends[1]);
	if (code == 0)
		return ends[0];
	close(ends[0]);
	return error_errno(error, code, "cannot write to a pipe");
}

int
monitor_join(struct monitor *monitor, const char *token, const char *address, struct error *error)
{
	AUTO_CLOSE int socket = -1, text = -1;
	struct child_plan plan = {.role = ROLE_JOIN,
	    .arguments = {"--mode", "join", "--pki", monitor->config->pki_directory, "--host",
		monitor->config->host.text},
	    .fd_count = 2};
	int code = programs_find(monitor, error);

	if (code == 0)
		code = make_directories(monitor->config->pki_directory, 0755, error);
	if (code < 0)
		return code;
	socket = connect_to(address, error);
	if (socket < 0)
		return socket;
	text = pipe_of(token, error);
	if (text < 0)
		return text;
	plan.fds[0] = socket;
	plan.fds[1] = text;
	return child_run(monitor, &plan, error);
}
