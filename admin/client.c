/* SPDX-License-Identifier: Apache-2.0
 *
 * Asking the broker: one connection, one request, rows until DONE (admin.h, wire/admin.def). The broker is believed as far as its table
 * goes: what does not decode, or is no answer, ends the conversation.
 */
#include "admin/admin.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/fd.h"

/* ---- one conversation ---- */

struct conversation {
	struct admin *admin;
	struct asking *asking;
	bool loud; /* notes are said */
	int socket;
	uint64_t deadline_ns;
	unsigned rows;
	struct error *error;
};

static int
fail_connect(const char *path, int code, struct error *error)
{
	if (code == -ENOENT || code == -ECONNREFUSED)
		return error_set(error, code,
		    "no netbusd answers at %s: start it (systemctl start netbusd), or name another "
		    "with --socket or --root",
		    path);
	if (code == -EACCES || code == -EPERM)
		return error_errno(error, code,
		    "%s may not be opened by you: become one of the `admins:` of netbusd.yaml, or "
		    "root",
		    path);
	return error_errno(error, code, "cannot connect to %s", path);
}

/* A blocking connect, but not for longer than the timeout: the listening queue may be full. */
static int
open_socket(const struct admin *admin, struct error *error)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct timeval wait = {.tv_sec = admin->timeout_ms / 1000, .tv_usec = admin->timeout_ms % 1000 * 1000};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(admin->socket);

	if (fd < 0)
		return error_errno(error, -errno, "cannot make a socket");
	if (length >= sizeof address.sun_path)
		return error_set(error, -ENAMETOOLONG,
		    "the socket's path %s is longer than the %zu bytes that a socket's may have", admin->socket,
		    sizeof address.sun_path - 1);
	memcpy(address.sun_path, admin->socket, length);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) < 0)
		return error_errno(error, -errno, "cannot set up a socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return fail_connect(admin->socket, errno == EAGAIN ? -ETIMEDOUT : -errno, error);
	return take_fd(&fd);
}

static int
late(const struct conversation *talk)
{
	return error_set(talk->error, -ETIMEDOUT,
	    "netbusd at %s did not answer within %u ms: it may still be at work; look with "
	    "'netbus-admin status', or wait longer with --timeout",
	    talk->admin->socket, talk->admin->timeout_ms);
}

static int
wait_for(const struct conversation *talk, short events)
{
	struct pollfd poller = {.fd = talk->socket, .events = events};

	for (;;) {
		uint64_t now = clock_monotonic_ns();
		int ready;

		if (now >= talk->deadline_ns)
			return late(talk);
		ready = poll(&poller, 1,
		    talk->deadline_ns == UINT64_MAX ? -1 : (int)((talk->deadline_ns - now + 999999) / 1000000));
		if (ready > 0)
			return 0;
		if (ready < 0 && errno != EINTR)
			return error_errno(talk->error, -errno, "cannot wait for netbusd");
	}
}

static int
lost(const struct conversation *talk)
{
	if (talk->asking->endless)
		return error_set(talk->error, -EPIPE,
		    "netbusd at %s closed the connection: it ended, or nothing was read here for too long; its log "
		    "says "
		    "which",
		    talk->admin->socket);
	return error_set(talk->error, -EPIPE,
	    "netbusd at %s closed the connection before it had answered: its log says why; what "
	    "was "
	    "asked for may have been done",
	    talk->admin->socket);
}

static int
send_request(const struct conversation *talk, uint16_t number, const void *request)
{
	uint8_t packet[ADMIN_MESSAGE_MAX];
	int length = admin_encode(number, request, packet, sizeof packet);

	if (length < 0)
		return error_set(talk->error, -EINVAL,
		    "the request cannot be put into a message: a text in it is too long, or is not "
		    "UTF-8");
	for (;;) {
		int code = packet_send(talk->socket, packet, (size_t)length, -1);

		if (code == -EAGAIN) {
			code = wait_for(talk, POLLOUT);
			if (code == 0)
				continue;
			return code;
		}
		return code == 0 ? 0 : lost(talk);
	}
}

/* One packet into `number` and `body`. */
static int
next_answer(const struct conversation *talk, uint16_t *number, union admin_body *body)
{
	uint8_t untrusted_packet[ADMIN_MESSAGE_MAX];
	AUTO_CLOSE int fd = -1;
	ssize_t length;
	int code = wait_for(talk, POLLIN);

	if (code < 0)
		return code;
	length = packet_recv(talk->socket, untrusted_packet, sizeof untrusted_packet, &fd);
	if (length == -EAGAIN)
		return -EAGAIN;
	if (length == 0 || length == -ECONNRESET)
		return lost(talk);
	if (length < 0 || fd >= 0 || admin_decode(untrusted_packet, (size_t)length, number, body) < 0 ||
	    admin_row(*number)->access != ACCESS_ANSWER)
		return error_set(talk->error, -EBADMSG,
		    "netbusd at %s answered with what this netbus-admin (%s) does not understand: "
		    "use the "
		    "netbus-admin of the same version",
		    talk->admin->socket, NETBUS_VERSION);
	return 0;
}

static void
set_deadline(struct conversation *talk)
{
	talk->deadline_ns = clock_monotonic_ns() + (uint64_t)talk->admin->timeout_ms * 1000000;
}

static int
hear(struct conversation *talk)
{
	union admin_body body;
	uint16_t number = 0;

	for (;;) {
		int code = next_answer(talk, &number, &body);

		if (code == -EAGAIN)
			continue;
		if (code < 0)
			return code;
		if (number == ADMIN_DONE) {
			talk->asking->done = body.done;
			return 0;
		}
		if (number == ADMIN_ROW_NOTE) {
			if (talk->loud)
				verb_warn(talk->admin, "%s", body.row_note.text);
			continue;
		}
		talk->rows++;
		if (talk->asking->renews)
			set_deadline(talk);
		talk->asking->take(talk->asking, number, &body);
	}
}

/* False when DONE of one of them says no, or `code` is set. */
static bool
ask_before(struct conversation *talk, int *code)
{
	struct asking *asking = talk->asking;
	const void *request = NULL;
	uint16_t number = 0;

	while (asking->before != NULL && asking->before(asking, &number, &request)) {
		*code = send_request(talk, number, request);
		if (*code == 0)
			*code = hear(talk);
		if (*code < 0 || asking->done.exit_code != ADMIN_OK)
			return false;
		set_deadline(talk);
	}
	return true;
}

static int
converse(struct conversation *talk, uint16_t number, const void *request)
{
	AUTO_CLOSE int socket = -1;
	int code = 0;

	memset(&talk->asking->done, 0, sizeof talk->asking->done);
	set_deadline(talk);
	socket = open_socket(talk->admin, talk->error);
	if (socket < 0)
		return socket;
	talk->socket = socket;
	if (!ask_before(talk, &code))
		return code;
	code = send_request(talk, number, request);
	if (talk->asking->endless)
		talk->deadline_ns = UINT64_MAX;
	return code < 0 ? code : hear(talk);
}

/* ---- as exit codes ---- */

static int
exit_code_of(int code)
{
	switch (code) {
	case -ETIMEDOUT:
		return ADMIN_INCOMPLETE;
	case -EINVAL:
		return ADMIN_USAGE;
	case -EBADMSG:
		return ADMIN_FAILURE;
	default:
		return ADMIN_UNREACHABLE;
	}
}

int
client_ask_quietly(
    struct admin *admin, uint16_t number, const void *request, struct asking *asking, struct error *error)
{
	struct conversation talk = {.admin = admin, .asking = asking, .error = error};
	int code;

	error->code = 0;
	code = converse(&talk, number, request);
	return code < 0 ? exit_code_of(code) : asking->done.exit_code;
}

int
client_ask(struct admin *admin, uint16_t number, const void *request, struct asking *asking)
{
	struct error error;
	struct conversation talk = {.admin = admin, .asking = asking, .loud = true, .error = &error};
	int code = converse(&talk, number, request);

	if (code < 0)
		return verb_fail(admin, exit_code_of(code), "%s", error.text);
	code = asking->done.exit_code;
	if (code != ADMIN_OK && asking->done.text[0] != '\0')
		return verb_fail(admin, code, "%s", asking->done.text);
	if (code != ADMIN_OK && talk.rows == 0) /* otherwise the rows tell why: policy explain */
		return verb_fail(
		    admin, code, "netbusd refused without a reason (exit code %d); its log has more", code);
	if (code == ADMIN_OK && asking->done.text[0] != '\0')
		verb_say(admin, "%s", asking->done.text);
	return code;
}
