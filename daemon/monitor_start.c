/* SPDX-License-Identifier: Apache-2.0
 *
 * The order of the start: keys, then the broker (which needs them to seal its trail), then the gate, which lets peers in. Each step begins
 * when the step before it said that it is done.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "daemon/monitor.h"

/* ---- keys ---- */

int
open_key_file(const char *directory, const char *name, bool is_secret, int *fd, struct error *error)
{
	AUTO_CLOSE int file = -1;
	char path[PATH_MAX];
	struct stat status;
	int code = path_print(path, sizeof path, "%s/%s", directory, name);

	if (code < 0)
		return error_errno(error, code, "%s", directory);
	file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (file < 0 || fstat(file, &status) < 0)
		return error_errno(error, -errno,
		    "cannot read %s (netbusd --join gets a host's files, netbus-admin pki issue makes them)", path);
	if (!S_ISREG(status.st_mode))
		return error_set(error, -EINVAL, "%s is no regular file", path);
	if (is_secret && (status.st_mode & 077))
		return error_set(error, -EPERM,
		    "%s can be read by others than its owner; do: chmod 600 %s, and consider the key known", path,
		    path);
	*fd = take_fd(&file);
	return 0;
}

#define HOST_FILES 4

static int
open_host_files(const struct monitor *monitor, uint8_t kinds[static HOST_FILES], int fds[static HOST_FILES],
    unsigned *count, struct error *error)
{
	static const struct {
		enum key_file_kind kind;
		const char *name;
		bool is_secret;
	} files[HOST_FILES] = {
	    {KEY_FILE_CERTIFICATE, "host.pem", false},
	    {KEY_FILE_KEY, "host.key", true},
	    {KEY_FILE_CA, "ca.pem", false},
	    {KEY_FILE_SEAL, "seal.key", true},
	};
	int code = 0;

	for (size_t i = 0; i < ARRAY_LENGTH(files) && code == 0; i++) {
		code = open_key_file(
		    monitor->config->pki_directory, files[i].name, files[i].is_secret, &fds[*count], error);
		if (code == 0)
			kinds[(*count)++] = (uint8_t)files[i].kind;
	}
	return code;
}

int
keys_send_files(struct monitor *monitor, struct error *error)
{
	uint8_t kinds[HOST_FILES + AUTHORITY_FILES_MOST];
	int fds[HOST_FILES + AUTHORITY_FILES_MOST] = {0}, code;
	unsigned count = 0, authority = 0;
	struct msg_keys_commit commit = {0};

	code = open_host_files(monitor, kinds, fds, &count, error);
	if (code == 0)
		code = enrol_open_files(monitor, kinds + count, fds + count, &authority, error);
	count += authority;
	for (unsigned i = 0; i < count; i++) {
		if (code == 0)
			child_tell(monitor->keys, MSG_KEY_FILE, &(struct msg_key_file){.kind = kinds[i]}, fds[i]);
		close(fds[i]);
	}
	if (code < 0)
		return code;
	snprintf(commit.host, sizeof commit.host, "%s", monitor->config->host.text);
	child_tell(monitor->keys, MSG_KEYS_COMMIT, &commit, -1);
	return 0;
}

void
tell_identity(struct monitor *monitor)
{
	const struct msg_keys_ready *from = &monitor->identity;
	struct msg_identity_is identity = {.not_after_us = from->not_after_us,
	    .not_before_us = from->not_before_us,
	    .ca_not_after_us = from->ca_not_after_us,
	    .ca_count = from->ca_count,
	    .renew_at_us = (uint64_t)monitor->renewal.due_us};

	memcpy(identity.authority, from->authority, sizeof identity.authority);

	memcpy(identity.host, from->host, sizeof identity.host);
	memcpy(identity.trust_domain, from->trust_domain, sizeof identity.trust_domain);
	memcpy(identity.fingerprint, from->fingerprint, sizeof identity.fingerprint);
	child_tell(monitor->broker, MSG_IDENTITY_IS, &identity, -1);
}

/* ---- broker ---- */

static int
introduce_keys_and_broker(struct monitor *monitor, struct error *error)
{
	int ends[2], code = packet_pair(ends);

	if (code < 0)
		return error_errno(error, code, "cannot make a channel");
	child_tell(
	    monitor->broker, MSG_PEER_NEW, &(struct msg_peer_new){.id = monitor->keys->id, .kind = PEER_KEYS}, ends[0]);
	child_tell(monitor->keys, MSG_KEYS_BROKER, &(struct msg_keys_broker){0}, ends[1]);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

/* Whoever reaches the socket may connect: the broker asks the kernel who it is, and decides by the configuration. */
static int
open_admin_socket(struct monitor *monitor, struct error *error)
{
	AUTO_CLOSE int listener = -1;
	int code = unix_listen(monitor->config->admin_socket, SOCK_SEQPACKET, 0666, NULL, &listener, error);

	if (code < 0)
		return code;
	monitor->has_admin_socket = true;
	child_tell(monitor->broker, MSG_ADMIN_SOCKET, &(struct msg_admin_socket){0}, listener);
	return 0;
}

static int
start_broker(struct monitor *monitor, struct error *error)
{
	struct child_plan plan = {
	    .role = ROLE_BROKER, .arguments = {"--config", monitor->config_path, "--root", monitor->root}};
	int code;

	monitor->phase = PHASE_BROKER;
	monitor->broker = child_start(monitor, &plan, error);
	if (monitor->broker == NULL)
		return error->code;
	code = introduce_keys_and_broker(monitor, error);
	if (code < 0)
		return code;
	tell_identity(monitor);
	return open_admin_socket(monitor, error);
}

void
start_on_keys_ready(struct monitor *monitor, const struct msg_keys_ready *ready)
{
	struct error error = {0};

	if (!ready->ok && monitor->phase == PHASE_KEYS) {
		monitor_fail(monitor, "the keys cannot be used: %s", ready->text);
		return;
	}
	if (!ready->ok) {
		log_error("the keys and certificates in use stay in use: %s", ready->text);
		renew_loaded(monitor, ready);
		return;
	}
	monitor->identity = *ready;
	renew_plan(monitor);
	if (monitor->phase == PHASE_KEYS && start_broker(monitor, &error) < 0)
		monitor_fail(monitor, "%s", error.text);
	else if (monitor->phase == PHASE_RUNNING)
		tell_identity(monitor);
	renew_loaded(monitor, ready);
}

/* ---- gate ---- */

static void
be_ready(struct monitor *monitor)
{
	monitor->phase = PHASE_RUNNING;
	log_info(
	    "ready, listening on %s", monitor->listening[0] ? monitor->listening : "nothing: this host only attaches");
	supervisor_notify("READY=1");
	xen_start(monitor);
}

static void
listen_at(struct monitor *monitor, const char *address, enum door door)
{
	struct msg_gate_listen listen = {.door = (uint8_t)door};

	snprintf(listen.address, sizeof listen.address, "%s", address);
	child_tell(monitor->gate, MSG_GATE_LISTEN, &listen, -1);
	monitor->listens_pending++;
}

void
start_on_broker_ready(struct monitor *monitor)
{
	struct error error = {0};

	if (monitor->phase != PHASE_BROKER)
		return;
	monitor->phase = PHASE_GATE;
	monitor->gate = child_start(monitor, &(struct child_plan){.role = ROLE_GATE}, &error);
	/* The gate is the last that needs a network; a filter is inherited, so it comes after it. */
	if (monitor->gate == NULL || sandbox_forbid_network(&error) < 0) {
		monitor_fail(monitor, "%s", error.text);
		return;
	}
	for (size_t i = 0; i < monitor->config->listen_count; i++)
		listen_at(monitor, monitor->config->listen[i], DOOR_PEERS);
	if (monitor->config->enrol_listen[0])
		listen_at(monitor, monitor->config->enrol_listen, DOOR_ENROL);
	if (monitor->config->listen_count > 0)
		zygote_start(monitor);
	if (monitor->listens_pending == 0)
		be_ready(monitor);
}

static void
say_enrolling(struct monitor *monitor, const char *address)
{
	struct msg_enrolling told = {0};

	log_info("newcomers are let in at %s; netbus-admin pki token makes their tokens", address);
	snprintf(told.address, sizeof told.address, "%s", address);
	child_tell(monitor->broker, MSG_ENROLLING, &told, -1);
}

static void
say_listening(struct monitor *monitor, const char *address)
{
	size_t used = strlen(monitor->listening);
	struct msg_listening told = {0};

	snprintf(monitor->listening + used, sizeof monitor->listening - used, "%s%s", used ? ", " : "", address);
	snprintf(told.address, sizeof told.address, "%s", address);
	child_tell(monitor->broker, MSG_LISTENING, &told, -1);
}

void
start_on_listening(struct monitor *monitor, const struct msg_gate_listening *listening)
{
	if (monitor->phase != PHASE_GATE)
		return;
	if (!listening->ok) {
		monitor_fail(monitor, "%s", listening->text);
		return;
	}
	if (listening->door == DOOR_ENROL)
		say_enrolling(monitor, listening->address);
	else
		say_listening(monitor, listening->address);
	if (--monitor->listens_pending == 0)
		be_ready(monitor);
}

/* ---- the first step ---- */

int
monitor_start(struct monitor *monitor, struct error *error)
{
	int code = programs_find(monitor, error);

	if (code == 0)
		code = xen_check(monitor, error);
	if (code == 0)
		code = directories_prepare(monitor, error);
	if (code == 0)
		code = renew_complete(monitor, error);
	if (code < 0)
		return code;
	monitor->phase = PHASE_KEYS;
	monitor->keys = child_start(monitor, &(struct child_plan){.role = ROLE_KEYS}, error);
	return monitor->keys ? keys_send_files(monitor, error) : error->code;
}

int
monitor_adopt(struct monitor *monitor, bool keep_grants, struct error *error)
{
	struct child_plan plan = {.role = ROLE_BROKER,
	    .arguments = {
		"--config", monitor->config_path, "--root", monitor->root, "--adopt", keep_grants ? "keep" : "drop"}};
	int code = programs_find(monitor, error);

	if (code == 0)
		code = directories_prepare(monitor, error);
	return code == 0 ? child_run(monitor, &plan, error) : code;
}
