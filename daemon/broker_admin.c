/* SPDX-License-Identifier: Apache-2.0
 *
 * The operators' socket: clients come and go, one request at a time, rows and at last DONE. Who may ask what is decided here, for all requests at
 * once, from the access column of wire/admin.def; whoever asks for more is recorded.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/bytes.h"
#include "base/fd.h"
#include "base/log.h"
#include "daemon/broker.h"
#include "daemon/broker_survey.h"

#define OUT_LIMIT ((size_t)64 << 20) /* bytes of answers that wait to be read */

/* ---- clients ---- */

static void
forget_waits(struct client *client)
{
	struct broker *broker = client->broker;

	for (struct guest *guest = broker->guests; guest; guest = guest->next) {
		if (guest->attaching == client)
			guest->attaching = NULL;
		if (guest->detaching == client)
			guest->detaching = NULL;
	}
	for (struct lease *lease = broker->leases; lease; lease = lease->next)
		for (struct waiter *waiter = lease->waiters; waiter; waiter = waiter->next)
			if (waiter->revoke->client == client)
				waiter->revoke->client = NULL;
}

static void
client_free(struct client *client)
{
	struct broker *broker = client->broker;

	forget_waits(client);
	events_stop(client);
	candidate_stop(client);
	survey_stop(client);
	watch_stop(&client->on_ready);
	close(client->fd);
	buffer_clear(&client->out);
	if (client->prev)
		client->prev->next = client->next;
	else
		broker->clients = client->next;
	if (client->next)
		client->next->prev = client->prev;
	broker->client_count--;
	free(client);
}

/* Sends what waits. False when the client is gone. */
static bool
send_waiting(struct client *client)
{
	while (buffer_length(&client->out) >= 2) {
		const uint8_t *front = buffer_front(&client->out);
		size_t length = get_be16(front);
		int code = packet_send(client->fd, front + 2, length, -1);

		if (code == -EAGAIN)
			break;
		if (code < 0)
			return false;
		buffer_consume(&client->out, 2 + length);
	}
	watch_change(&client->on_ready, EPOLLIN | (buffer_length(&client->out) ? EPOLLOUT : 0));
	return true;
}

/* Nothing is freed here: a request that is under way may still add rows. */
static void
queue(struct client *client, uint16_t number, const void *row)
{
	uint8_t packet[2 + ADMIN_MESSAGE_MAX];
	int length = admin_encode(number, row, packet + 2, sizeof packet - 2);

	if (length < 0) {
		log_error("an answer to netbus-admin cannot be encoded (row %u)", number);
		return;
	}
	put_be16(packet, (uint16_t)length);
	if (client->gone)
		return;
	if (buffer_append(&client->out, packet, 2 + (size_t)length) < 0 || !send_waiting(client)) {
		client->gone = true;
		shutdown(client->fd, SHUT_RDWR); /* so that its watch comes and frees it */
	}
}

void
client_row(struct client *client, uint16_t number, const void *row)
{
	queue(client, number, row);
}

void
client_note(struct client *client, const char *format, ...)
{
	struct msg_row_note note = {0};
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(note.text, sizeof note.text, format, arguments);
	va_end(arguments);
	queue(client, ADMIN_ROW_NOTE, &note);
}

void
client_done(struct client *client, enum admin_exit code, uint64_t record, const char *format, ...)
{
	struct msg_done done = {.exit_code = (uint8_t)code, .record = record};
	va_list arguments;

	if (client == NULL)
		return;
	va_start(arguments, format);
	vsnprintf(done.text, sizeof done.text, format, arguments);
	va_end(arguments);
	queue(client, ADMIN_DONE, &done);
	client->busy = false;
}

bool
client_may(const struct client *client, const char *qualified)
{
	size_t length = strlen(client->tenant.text);

	return client->role != ROLE_TENANT ||
	       (strncmp(qualified, client->tenant.text, length) == 0 && qualified[length] == '/');
}

bool
client_sees(const struct client *client, const char *vm, const char *share)
{
	return client_may(client, vm) && client_may(client, share);
}

/* ---- who asked for what he may not have ---- */

/* The number of the record, or 0. It names nobody's VM or share as such, so that no other tenant is told of it. */
static uint64_t
record_denial(struct client *client, const char *text)
{
	struct record record = {
	    .event = EVENT_ADMIN_DENY,
	    .decision = DECISION_DENY,
	    .admin = client->name,
	    .detail = {{"request", client->asked->type.name, 0}, {"text", text, 0}},
	    .detail_count = text ? 2 : 1,
	};
	struct error error = {0};
	uint64_t seq = 0;

	if (db_trail_ok(client->broker->db) && broker_record(client->broker, &record, &seq, &error) < 0)
		log_error("a refused command cannot be recorded: %s", error.text);
	return seq;
}

void
client_not_found(struct client *client, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (client->role == ROLE_TENANT)
		record_denial(client, text);
	client_done(client, ADMIN_NOT_FOUND, 0, "%s", text);
}

void
client_denied(struct client *client, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	record_denial(client, text);
}

bool
client_names(struct client *client, const char *vm, const char *share)
{
	struct db_share known;

	if (client->role != ROLE_TENANT)
		return true;
	if (!client_may(client, share) || db_share_get(client->broker->db, share, &known) < 0) {
		client_not_found(client, "there is no share %s; see netbus-admin share list", share);
		return false;
	}
	if (!client_may(client, vm)) {
		client_not_found(client, "there is no VM %s; those of tenant %s are yours", vm, client->tenant.text);
		return false;
	}
	return true;
}

/* ---- requests ---- */

static bool
role_has(enum admin_role role, enum admin_access access)
{
	switch (access) {
	case ACCESS_READ:
		return role != ROLE_NOBODY;
	case ACCESS_CHANGE:
		return role == ROLE_OPERATOR || role == ROLE_TENANT;
	case ACCESS_OPERATE:
		return role == ROLE_OPERATOR;
	case ACCESS_ANSWER:
		return false;
	}
	return false;
}

static void
refuse(struct client *client)
{
	uint64_t seq = record_denial(client, NULL);

	client_done(
	    client, ADMIN_DENIED, seq, "%s may not do that; admins: in netbusd.yaml says who may", client->name);
}

static void
take_request(struct client *client, const uint8_t *packet, size_t length)
{
	const struct admin_row *row;
	union admin_body body;
	uint16_t number = 0;

	if (client->busy || admin_decode(packet, length, &number, &body) < 0) {
		client->gone = true;
		return;
	}
	row = admin_row(number);
	client->asked = row;
	client->busy = true;
	if (!role_has(client->role, row->access))
		refuse(client);
	else if (client->broker->stopping)
		client_done(client, ADMIN_UNREACHABLE, 0, "the daemon is stopping");
	else if (row->access == ACCESS_READ)
		admin_read(client, number, &body);
	else
		admin_change(client, number, &body);
}

static void
read_requests(struct client *client)
{
	uint8_t packet[ADMIN_MESSAGE_MAX];
	ssize_t length;
	int fd = -1;

	while (!client->gone && (length = packet_recv(client->fd, packet, sizeof packet, &fd)) != -EAGAIN) {
		if (fd >= 0)
			close(take_fd(&fd));
		if (length <= 0)
			client->gone = true;
		else
			take_request(client, packet, (size_t)length);
	}
}

static void
on_client(struct watch *watch, uint32_t events)
{
	struct client *client = CONTAINER_OF(watch, struct client, on_ready);
	size_t waiting = buffer_length(&client->out);

	if (events & EPOLLOUT)
		client->gone = !send_waiting(client) || client->gone;
	if (buffer_length(&client->out) < waiting) {
		events_taken(client);
		survey_taken(client);
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		read_requests(client);
	if (client->gone)
		client_free(client);
}

/* ---- coming ---- */

static void
client_new(struct broker *broker, int fd)
{
	struct client *client = broker->client_count < LIMIT_ADMIN_CLIENTS ? calloc(1, sizeof *client) : NULL;

	if (client == NULL) {
		log_warning("more than %u clients of the admin socket; the newest is sent away", LIMIT_ADMIN_CLIENTS);
		close(fd);
		return;
	}
	client->broker = broker;
	client->fd = fd;
	client->role = people_role(broker->config, fd, client->name, &client->tenant);
	buffer_init(&client->out, OUT_LIMIT);
	client->next = broker->clients;
	if (client->next)
		client->next->prev = client;
	broker->clients = client;
	broker->client_count++;
	if (watch_start(broker->loop, &client->on_ready, fd, EPOLLIN, on_client) < 0)
		client_free(client);
}

static void
on_admin(struct watch *watch, uint32_t events)
{
	struct broker *broker = CONTAINER_OF(watch, struct broker, on_admin);
	int fd;

	(void)events;
	while ((fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		client_new(broker, fd);
	if (errno == EMFILE || errno == ENFILE)
		log_error("out of descriptors for clients of the admin socket");
}

void
admin_open(struct broker *broker, int fd)
{
	if (broker->admin_fd >= 0) {
		close(fd);
		return;
	}
	broker->admin_fd = fd;
	if (fd_set_nonblocking(fd, true) < 0 || watch_start(broker->loop, &broker->on_admin, fd, EPOLLIN, on_admin) < 0)
		broker_fail(broker, "cannot watch the admin socket");
}

void
admin_close(struct broker *broker)
{
	watch_stop(&broker->on_admin);
	if (broker->admin_fd >= 0)
		close(take_fd(&broker->admin_fd));
	while (broker->clients)
		client_free(broker->clients);
}
