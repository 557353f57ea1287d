/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-attach and netbus-attach-xen: the guest side of one lease. Started by the monitor for one attachment.
 *
 * Hostile: what the guest says (attach_nbd.c, attach_xen.c) and the exporter's TLS and netbus/1 bytes. It holds no key (netbus-keys signs and judges the exporter, which must
 * be the host that was asked for), makes no connection itself (the monitor brings connected sockets from the gate), opens no file once it is locked. The monitor, the
 * broker and netbus-keys are trusted.
 *
 * Descriptors: 3 monitor, 4 broker, 5 keys, 6 the guest's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "authz/reason.h"
#include "base/auto.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "daemon/attach.h"
#include "daemon/custody.h"

enum { FD_MONITOR = 3, FD_BROKER = 4, FD_KEYS = 5 };

static struct attach attach;

/* ---- the end ---- */

void
attach_quit(struct attach *self)
{
	loop_quit(self->loop, self->exit_code);
}

/* Not from inside a lane's own callback: closes all lanes, which completes what is in flight, and lets the guest see the answers. */
static void
say_goodbye(struct defer *defer)
{
	(void)defer;
	for (unsigned i = LIMIT_LANES; i-- > 0;)
		lane_close(&attach.lanes[i]);
	guest_end(attach.guest, attach.reason);
}

void
attach_over(struct attach *self, uint16_t reason, uint64_t record, const char *text)
{
	struct msg_attach_down down = {.reason = reason, .record = record};
	bool in_order = reason == REASON_DETACHED || reason == REASON_STOPPING;

	if (self->over)
		return;
	self->over = true;
	self->reason = reason;
	guest_ending(self->guest, reason);
	snprintf(down.text, sizeof down.text, "%s", text);
	if (in_order)
		log_info("attachment ended: %s", text);
	else
		log_warning("attachment ended: %s: %s", reason_name(reason), text);
	channel_send(&self->broker, MSG_ATTACH_DOWN, &down, -1); /* if the broker is gone, so is everything */
	self->exit_code = in_order ? 0 : 1;
	watch_stop(&self->on_broker);
	defer_start(self->loop, &self->goodbye, say_goodbye);
}

/* Detach: the lanes above 0 leave first, so that what is in flight on them is answered before lane 0 ends the lease. */
static void
detach(enum reason reason)
{
	attach.detaching = true;
	guest_stop(attach.guest, reason);
	for (unsigned i = 1; i < LIMIT_LANES; i++)
		lane_leave(&attach.lanes[i]);
	if (attach.lanes[0].state == LANE_IDLE)
		attach_over(&attach, reason, 0, reason_sentence(reason));
	else
		lane_leave(&attach.lanes[0]);
}

/* ---- channels ---- */

/* The guest may need longer to go than the lease; nothing else matters then. */
static void
take_late_message(struct channel_message *message)
{
	if (message->number == MSG_END_NOW)
		guest_stop(attach.guest, message->body.end_now.reason);
	if (message->fd >= 0)
		close(message->fd);
}

static void
take_monitor_message(struct channel_message *message)
{
	if (guest_take_message(attach.guest, message))
		return;
	if (attach.over) {
		take_late_message(message);
		return;
	}
	switch (message->number) {
	case MSG_LANE_SOCKET:
		lane_socket(&attach.lanes[message->body.lane_socket.lane], message->fd);
		return;
	case MSG_LANE_FAILED:
		lane_failed(&attach.lanes[message->body.lane_failed.lane], REASON_UNREACHABLE, 0,
		    message->body.lane_failed.text);
		return;
	case MSG_END_NOW:
		detach(message->body.end_now.reason);
		return;
	default:
		attach_over(
		    &attach, REASON_PROTOCOL_ERROR, 0, "the monitor sent a message that is not for an attachment");
	}
}

static void
take_broker_message(struct channel_message *message)
{
	if (message->number != MSG_ATTACH_ORDER || attach.ordered) {
		attach_over(&attach, REASON_PROTOCOL_ERROR, 0, "the broker sent a message out of turn");
		return;
	}
	attach.order = message->body.attach_order;
	attach.ordered = true;
	lane_want(&attach.lanes[0]);
}

static void
on_monitor(struct watch *watch, uint32_t events)
{
	struct channel_message message;
	int got;

	(void)events;
	while ((got = channel_recv(&attach.monitor, &message)) > 0)
		take_monitor_message(&message);
	if (got == -EAGAIN)
		return;
	watch_stop(watch);
	if (attach.over)
		guest_stop(attach.guest, REASON_STOPPING);
	else
		attach_over(&attach, REASON_STOPPING, 0, "the monitor is gone");
}

static void
on_broker(struct watch *watch, uint32_t events)
{
	struct channel_message message;
	int got = 0;

	(void)watch, (void)events;
	while (!attach.over && (got = channel_recv(&attach.broker, &message)) > 0)
		take_broker_message(&message);
	if (!attach.over && got != -EAGAIN)
		attach_over(&attach, REASON_STOPPING, 0, "the broker is gone");
}

/* ---- start and end ---- */

static int
prepare(struct error *error)
{
	int code;

	attach.loop = loop_new(error);
	if (attach.loop == NULL)
		return error->code;
	attach.monitor =
	    (struct channel){.fd = FD_MONITOR, .self = guest_program.role, .peer = ROLE_MONITOR, .state = CH_NEW};
	attach.broker = (struct channel){.fd = FD_BROKER, .self = ROLE_ATTACH, .peer = ROLE_BROKER, .state = CH_NEW};
	for (unsigned i = 0; i < LIMIT_LANES; i++) {
		attach.lanes[i].attach = &attach;
		attach.lanes[i].number = (uint8_t)i;
		attach.lanes[i].fd = -1;
	}
	code = custody_open(&attach.custody, FD_KEYS, ROLE_ATTACH);
	if (code < 0)
		return error_errno(error, code, "cannot set up the channel to netbus-keys");
	return 0;
}

static int
watch_all(struct error *error)
{
	int code = watch_start(attach.loop, &attach.on_monitor, FD_MONITOR, EPOLLIN, on_monitor);

	if (code == 0)
		code = watch_start(attach.loop, &attach.on_broker, FD_BROKER, EPOLLIN, on_broker);
	return code == 0 ? 0 : error_errno(error, code, "cannot watch a descriptor");
}

static void
clean_up(void)
{
	watch_stop(&attach.on_monitor);
	watch_stop(&attach.on_broker);
	defer_stop(&attach.goodbye);
	timer_stop(&attach.release.leave);
	for (unsigned i = LIMIT_LANES; i-- > 0;)
		lane_close(&attach.lanes[i]);
	guest_free(attach.guest);
	custody_close(&attach.custody);
	loop_free(attach.loop);
}

const char *
attach_argument(int argc, char **argv, const char *name)
{
	for (int i = 1; i + 1 < argc; i += 2)
		if (strcmp(argv[i], name) == 0)
			return argv[i + 1];
	return NULL;
}

int
main(int argc, char **argv)
{
	const char *poll_us = attach_argument(argc, argv, "--poll");
	struct error error = {0};
	int code;

	log_open(guest_program.name, LOG_INFO_);
	log_label(attach_argument(argc, argv, "--id"));
	if (sandbox_begin(&error) < 0 || prepare(&error) < 0 || guest_open(&attach, argc, argv, &error) < 0 ||
	    sandbox_lock(SANDBOX_PASS_FDS | guest_program.needs, &error) < 0 || watch_all(&error) < 0) {
		log_error("%s", error.text);
		return 1;
	}
	loop_allow_poll(attach.loop, poll_us ? strtoul(poll_us, NULL, 10) * NS_PER_US : 0);
	code = loop_run(attach.loop);
	clean_up();
	return code < 0 ? 1 : code;
}
