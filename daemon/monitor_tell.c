/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages to children, and the reading of theirs. The monitor never waits: what does not fit into a channel is queued for the broker, keys, gate
 * and xenwatch, on whom many others depend, and costs a session or attachment its life.
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

bool
child_is_behind(const struct child *child)
{
	return child == NULL || outbox_waits(&child->outbox);
}

/* What is borrowed must outlive the wait. */
static int
keep(struct child *child, uint16_t number, const void *message, int fd)
{
	int own = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return fd >= 0 && own < 0 ? -errno : outbox_keep(&child->outbox, number, message, own);
}

static int
send_or_keep(struct child *child, uint16_t number, const void *message, int fd)
{
	bool may_wait = child->role & (ROLE_BROKER | ROLE_KEYS | ROLE_GATE | ROLE_XENWATCH | ROLE_ZYGOTE);
	int code = outbox_send(&child->outbox, number, message, fd);

	return code == -EAGAIN && may_wait ? keep(child, number, message, fd) : code;
}

void
child_tell(struct child *child, uint16_t number, const void *message, int fd)
{
	int code;

	if (child == NULL || child->channel.fd < 0 || child->cause[0])
		return;
	code = send_or_keep(child, number, message, fd);
	if (code == -EAGAIN)
		child_kill(child, "it does not read its messages");
	else if (code < 0 && code != -EPIPE && code != -ECONNRESET) /* these: it ended, which its pidfd will say */
		child_kill(child, "it cannot be sent a message: %s", strerror(-code));
}

static void
send_waiting(struct child *child)
{
	int code = outbox_flush(&child->outbox);

	if (code < 0 && code != -EAGAIN)
		child_kill(child, "it cannot be sent a message: %s", strerror(-code));
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
		send_waiting(child);
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
	channel_close(&child->channel);
	outbox_clear(&child->outbox);
}
