/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions and attachments as the broker knows them: which exist, what netbus-keys proved of them, and who takes their messages. They parse hostile
 * bytes, and are believed only what the table of messages lets them say.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/broker.h"

struct process *
process_find(struct broker *broker, uint32_t id)
{
	for (struct process *process = broker->processes; process; process = process->next)
		if (process->id == id)
			return process;
	return NULL;
}

static void
close_channel(struct process *process)
{
	watch_stop(&process->on_message);
	channel_close(&process->channel);
}

void
process_drop(struct process *process, const char *format, ...)
{
	struct msg_drop drop = {.id = process->id};
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(drop.cause, sizeof drop.cause, format, arguments);
	va_end(arguments);
	close_channel(process);
	broker_tell_monitor(process->broker, MSG_DROP, &drop);
}

void
process_tell(struct process *process, uint16_t number, const void *message)
{
	int code;

	if (process->channel.fd < 0)
		return;
	code = channel_send(&process->channel, number, message, -1);
	if (code == -EPIPE || code == -ECONNRESET)
		close_channel(process); /* it ended; the monitor will say so */
	else if (code < 0)
		process_drop(process, "it does not read its messages");
}

void
process_release(
    struct process *session, enum release_mode mode, uint32_t deadline_ms, enum reason reason, uint64_t record)
{
	struct msg_ask_release ask = {
	    .mode = (uint8_t)mode,
	    .deadline_ms = deadline_ms < RELEASE_DEADLINE_MOST_MS ? deadline_ms : RELEASE_DEADLINE_MOST_MS,
	    .reason = reason_on_wire((uint16_t)reason),
	    .record = record,
	};

	process_tell(session, MSG_ASK_RELEASE, &ask);
}

static void
take_message(struct process *process, const struct channel_message *message)
{
	switch (message->number) {
	case MSG_ASK_ATTACH:
		session_asks_attach(process, &message->body.ask_attach);
		return;
	case MSG_ASK_JOIN:
		session_asks_join(process, &message->body.ask_join);
		return;
	case MSG_LEAVE:
		session_leaves(process, &message->body.leave);
		return;
	case MSG_ENROL_BEGIN:
		enrol_begins(process, &message->body.enrol_begin);
		return;
	case MSG_ENROL_ASK:
		enrol_asks(process, &message->body.enrol_ask);
		return;
	case MSG_ATTACH_UP:
		guest_up(process, &message->body.attach_up);
		return;
	case MSG_ATTACH_DOWN:
		guest_down(process, &message->body.attach_down);
		return;
	case MSG_ATTACH_LANES: {
		struct guest *guest = guest_find(process->broker, process->attachment);

		if (guest)
			guest->lanes_up = message->body.attach_lanes.lanes;
		return;
	}
	default:
		process_drop(process, "it sent a message that is not for the broker");
	}
}

/* Its next message. 1, or 0 when there is none or the channel is over. */
static int
take_next(struct process *process)
{
	struct channel_message message;
	int got = process->channel.fd < 0 ? -EAGAIN : channel_recv(&process->channel, &message);

	if (got > 0)
		take_message(process, &message);
	else if (got == -EPROTO)
		process_drop(process, "it told the broker what it may not say");
	else if (got != -EAGAIN)
		close_channel(process);
	return got > 0;
}

/* One message for each time that the loop says so: what netbus-keys proved of the process before it said this one must count first, and that
 * is certain only for what was there before netbus-keys is heard. */
static void
on_message(struct watch *watch, uint32_t events)
{
	struct process *process = CONTAINER_OF(watch, struct process, on_message);
	struct broker *broker = process->broker;
	uint32_t id = process->id;

	(void)events;
	broker_catch_up(broker);
	if (process_find(broker, id) == process) /* else it is gone, as was just heard */
		take_next(process);
}

/* ---- coming and going ---- */

void
process_new(struct broker *broker, const struct msg_peer_new *new, int fd)
{
	struct process *process = calloc(1, sizeof *process);
	enum role role = new->kind == PEER_ATTACH ? ROLE_ATTACH : new->kind == PEER_ENROL ? ROLE_ENROL : ROLE_SESSION;

	if (process == NULL) {
		close(fd);
		broker_fail(broker, "out of memory");
		return;
	}
	process->broker = broker;
	process->id = new->id;
	process->is_attach = role == ROLE_ATTACH;
	process->is_enrol = role == ROLE_ENROL;
	process->attachment = new->attachment;
	process->since_us = clock_wall_us();
	snprintf(process->source, sizeof process->source, "%s", new->source);
	process->channel =
	    (struct channel){.fd = fd, .self = ROLE_BROKER, .peer = role, .state = CH_NEW, .id = new->id};
	process->next = broker->processes;
	if (process->next)
		process->next->prev = process;
	broker->processes = process;
	if (watch_start(broker->loop, &process->on_message, fd, EPOLLIN, on_message) < 0)
		process_drop(process, "it cannot be watched");
	else if (process->is_attach)
		guest_process_here(process);
}

void
process_gone(struct broker *broker, const struct msg_peer_gone *gone)
{
	struct process *process = process_find(broker, gone->id);

	if (process == NULL)
		return;
	/* What it said before it ended still counts. */
	while (take_next(process))
		continue;
	close_channel(process);
	if (process->is_attach)
		guest_process_gone(process, gone->cause);
	else
		lease_release_lane(process);
	if (process->page)
		munmap(process->page, LANE_PAGE_LEN);
	if (process->prev)
		process->prev->next = process->next;
	else
		broker->processes = process->next;
	if (process->next)
		process->next->prev = process->prev;
	free(process);
	broker_stop_go_on(broker);
}

void
process_proved(struct broker *broker, const struct msg_proved *proved)
{
	struct process *process = process_find(broker, proved->id);

	if (process == NULL || process->is_enrol) /* it ended meanwhile */
		return;
	/* A denied attacher may ask, and its refusal is recorded; a denied exporter gives us nothing that we want. */
	if (process->is_attach && peer_is_denied(broker, proved->host, proved->fingerprint)) {
		guest_exporter_denied(process, proved->host);
		return;
	}
	snprintf(process->key, sizeof process->key, "%s", proved->fingerprint);
	if (process->channel.state != CH_NEW)
		return; /* further lanes of an attachment are proved by netbus-keys alone */
	snprintf(process->host, sizeof process->host, "%s", proved->host);
	process->channel.state = CH_PROVED;
	broker_tell_monitor(broker, MSG_PROVED_NOTE, &(struct msg_proved_note){.id = process->id});
}
