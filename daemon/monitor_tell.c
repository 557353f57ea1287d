/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages to children, and the reading of theirs. The monitor never waits: what does not fit into a channel is queued for the broker, keys and
 * gate, on whom many others depend, and costs a session or attachment its life.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"
#include "daemon/monitor.h"

/* More than all sessions and attachments can cause at once. */
#define PENDING_MAX 32768

struct pending {
	struct pending *next;
	uint16_t number;
	int fd; /* owned, or -1 */
	union channel_body body;
};

static void
pending_free(struct pending *pending)
{
	if (pending->fd >= 0)
		close(pending->fd);
	free(pending);
}

bool
child_is_behind(const struct child *child)
{
	return child == NULL || child->pending != NULL;
}

static void
wait_for_room(struct child *child)
{
	watch_change(&child->on_message, EPOLLIN | (child->pending ? EPOLLOUT : 0));
}

/* A message type's size is its struct's, which is at most the union's. */
static int
enqueue(struct child *child, uint16_t number, const void *message, int fd)
{
	const struct channel_row *row = channel_row(number);
	struct pending *pending;

	if (row == NULL || child->pending_count == PENDING_MAX)
		return -ENOBUFS;
	pending = malloc(offsetof(struct pending, body) + row->type.size);
	if (pending == NULL)
		return -ENOMEM;
	pending->next = NULL;
	pending->number = number;
	pending->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	memcpy(&pending->body, message, row->type.size);
	if (fd >= 0 && pending->fd < 0) {
		free(pending);
		return -errno;
	}
	*child->pending_end = pending;
	child->pending_end = &pending->next;
	child->pending_count++;
	wait_for_room(child);
	return 0;
}

static int
send_or_queue(struct child *child, uint16_t number, const void *message, int fd)
{
	bool may_wait = child->role & (ROLE_BROKER | ROLE_KEYS | ROLE_GATE);
	int code = child->pending ? -EAGAIN : channel_send(&child->channel, number, message, fd);

	return code == -EAGAIN && may_wait ? enqueue(child, number, message, fd) : code;
}

void
child_tell(struct child *child, uint16_t number, const void *message, int fd)
{
	int code;

	if (child == NULL || child->channel.fd < 0 || child->cause[0])
		return;
	code = send_or_queue(child, number, message, fd);
	if (code == -EAGAIN)
		child_kill(child, "it does not read its messages");
	else if (code < 0 && code != -EPIPE && code != -ECONNRESET) /* these: it ended, which its pidfd will say */
		child_kill(child, "it cannot be sent a message: %s", strerror(-code));
}

static void
send_pending(struct child *child)
{
	while (child->pending) {
		struct pending *first = child->pending;
		int code = channel_send(&child->channel, first->number, &first->body, first->fd);

		if (code == -EAGAIN)
			break;
		if (code < 0) {
			child_kill(child, "it cannot be sent a message: %s", strerror(-code));
			break;
		}
		child->pending = first->next;
		child->pending_count--;
		pending_free(first);
	}
	if (child->pending == NULL)
		child->pending_end = &child->pending;
	wait_for_room(child);
}

/* A child without its channel has no business here. One that is ending anyway does not notice, and keeps the exit code that it chose. */
static void
end_quietly(const struct child *child)
{
	syscall(SYS_pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0);
}

static void
on_message_ready(struct watch *watch, uint32_t events)
{
	struct child *child = CONTAINER_OF(watch, struct child, on_message);
	struct channel_message message;
	int got = 0;

	if (events & EPOLLOUT)
		send_pending(child);
	while (child->channel.fd >= 0 && child->cause[0] == '\0' && (got = channel_recv(&child->channel, &message)) > 0)
		monitor_take(child, &message);
	if (got == -EAGAIN || child->channel.fd < 0)
		return;
	if (got < 0)
		child_kill(child, "it sent what it may not send");
	else
		end_quietly(child);
	child_close_channel(child);
}

int
child_listen(struct child *child)
{
	return watch_start(child->monitor->loop, &child->on_message, child->channel.fd, EPOLLIN, on_message_ready);
}

void
child_close_channel(struct child *child)
{
	watch_stop(&child->on_message);
	if (child->channel.fd >= 0)
		close(child->channel.fd);
	child->channel.fd = -1;
	while (child->pending) {
		struct pending *first = child->pending;

		child->pending = first->next;
		pending_free(first);
	}
	child->pending_end = &child->pending;
	child->pending_count = 0;
}
