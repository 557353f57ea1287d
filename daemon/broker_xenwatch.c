/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-xenwatch as the broker has it (daemon/broker_xen.h): its channel, and who takes what it says. It ends without harm: attachments live on, and the next one says of each disk
 * that it is there.
 */
#include "daemon/broker_xen.h"

#include <errno.h>
#include <stdio.h>

#include "base/auto.h"

void
xen_tell(struct broker *broker, uint16_t number, const void *message)
{
	struct xenwatch *watch = &broker->xenwatch;
	struct msg_drop drop = {.id = watch->id, .cause = "it does not read its messages"};
	int code;

	if (watch->id == 0 || watch->channel.fd < 0)
		return;
	code = outbox_send(&watch->outbox, number, message, -1);
	if (code == -EAGAIN)
		code = outbox_keep(&watch->outbox, number, message, -1);
	if (code < 0 && code != -EPIPE && code != -ECONNRESET) /* these: the monitor will say that it ended */
		broker_tell_monitor(broker, MSG_DROP, &drop);
}

static void
close_channel(struct xenwatch *watch)
{
	watch_stop(&watch->on_message);
	channel_close(&watch->channel);
	outbox_clear(&watch->outbox);
}

static void
drop(struct broker *broker, const char *cause)
{
	struct msg_drop order = {.id = broker->xenwatch.id};

	snprintf(order.cause, sizeof order.cause, "%s", cause);
	close_channel(&broker->xenwatch);
	broker_tell_monitor(broker, MSG_DROP, &order);
}

static void
take_message(struct broker *broker, const struct channel_message *message)
{
	switch (message->number) {
	case MSG_XEN_DISK:
		xen_take_disk(broker, &message->body.xen_disk);
		return;
	case MSG_XEN_GONE:
		xen_take_gone(broker, &message->body.xen_gone);
		return;
	case MSG_XEN_PLACED:
		xen_take_placed(broker, &message->body.xen_placed);
		return;
	case MSG_XEN_HELD:
		xen_take_held(broker, &message->body.xen_held);
		return;
	default:
		drop(broker, "it sent a message that is not for the broker");
	}
}

/* Its next message. 1, or 0 when there is none or the channel is over. */
static int
take_next(struct broker *broker)
{
	struct xenwatch *watch = &broker->xenwatch;
	struct channel_message message;
	int got = watch->channel.fd < 0 ? -EAGAIN : channel_recv(&watch->channel, &message);

	if (got > 0)
		take_message(broker, &message);
	else if (got == -EPROTO)
		drop(broker, "it told the broker what it may not say");
	else if (got != -EAGAIN)
		close_channel(watch); /* it ended; the monitor will say so */
	return got > 0;
}

/* One message in a turn of the loop: after a start there is one for each disk, and each is a transaction. */
static void
on_message(struct watch *on, uint32_t events)
{
	struct broker *broker = CONTAINER_OF(on, struct broker, xenwatch.on_message);
	int code = events & EPOLLOUT ? outbox_flush(&broker->xenwatch.outbox) : 0;

	if (code < 0 && code != -EAGAIN)
		close_channel(&broker->xenwatch);
	take_next(broker);
}

void
xen_watch_here(struct broker *broker, const struct msg_peer_new *new, int fd)
{
	struct xenwatch *watch = &broker->xenwatch;

	watch->id = new->id;
	watch->channel =
	    (struct channel){.fd = fd, .self = ROLE_BROKER, .peer = ROLE_XENWATCH, .state = CH_NEW, .id = new->id};
	outbox_init(&watch->outbox, &watch->channel, &watch->on_message);
	if (watch_start(broker->loop, &watch->on_message, fd, EPOLLIN, on_message) < 0)
		drop(broker, "it cannot be watched");
}

/* What waited for it is told; what lives, lives on. */
static void
answer_waiting(struct broker *broker)
{
	for (struct guest *guest = broker->guests; guest; guest = guest->next) {
		if (!guest->xen.is)
			continue;
		if (!guest->started && !guest->down)
			guest_end_here(guest, REASON_DEVICE_UNAVAILABLE, "netbus-xenwatch ended");
		if (!guest->down && guest->detaching)
			client_done(TAKE(guest->detaching), ADMIN_FAILURE, 0,
			    "netbus-xenwatch ended before the guest let go of it; it is still attached. Try again");
	}
	guests_finish(broker);
}

bool
xen_watch_gone(struct broker *broker, const struct msg_peer_gone *gone)
{
	struct xenwatch *watch = &broker->xenwatch;

	if (watch->id == 0 || gone->id != watch->id)
		return false;
	while (take_next(broker)) /* what it said before it ended still counts */
		continue;
	close_channel(watch);
	watch->id = 0;
	answer_waiting(broker);
	return true;
}

void
xen_clear(struct broker *broker)
{
	if (broker->xenwatch.id)
		close_channel(&broker->xenwatch);
	xen_lost_clear(broker);
}
