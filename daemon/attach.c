/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-attach: the guest side of one lease. Started by the monitor for one attachment.
 *
 * Hostile: the guest's NBD bytes and the exporter's TLS and netbus/1 bytes. It holds no key (netbus-keys signs and judges the exporter, which must be the
 * host that was asked for), makes no connection itself (the monitor brings connected sockets from the gate), opens no file. The monitor, the
 * broker and netbus-keys are trusted.
 *
 * Descriptors: 3 monitor, 4 broker, 5 keys, 6 the listening unix socket for NBD clients.
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

enum { FD_MONITOR = 3, FD_BROKER = 4, FD_KEYS = 5, FD_NBD = 6 };

/* How long NBD clients may take to read their last answers. */
#define GOODBYE_MS 1000u

static struct attach attach = {.nbd_fd = FD_NBD};

/* ---- the end ---- */

static void
on_goodbye_late(struct timer *timer)
{
	(void)timer;
	loop_quit(attach.loop, attach.exit_code);
}

/* Not from inside a lane's own callback: closes all lanes, which completes what is in flight, and lets clients read the answers. */
static void
say_goodbye(struct defer *defer)
{
	(void)defer;
	for (unsigned i = LIMIT_LANES; i-- > 0;)
		lane_close(&attach.lanes[i]);
	if (attach.nbd)
		nbd_server_end(attach.nbd);
	if (attach.clients == 0)
		loop_quit(attach.loop, attach.exit_code);
	else
		timer_start(attach.loop, &attach.goodbye_late, GOODBYE_MS * NS_PER_MS, on_goodbye_late);
}

void
attach_client_left(struct attach *self)
{
	if (--self->clients == 0 && self->over)
		loop_quit(self->loop, self->exit_code);
	else
		release_go_on(self);
}

void
attach_over(struct attach *self, uint16_t reason, uint64_t record, const char *text)
{
	struct msg_attach_down down = {.reason = reason, .record = record};
	bool in_order = reason == REASON_DETACHED || reason == REASON_STOPPING;

	if (self->over)
		return;
	self->over = true;
	snprintf(down.text, sizeof down.text, "%s", text);
	if (in_order)
		log_info("attachment ended: %s", text);
	else
		log_warning("attachment ended: %s: %s", reason_name(reason), text);
	channel_send(&self->broker, MSG_ATTACH_DOWN, &down, -1); /* if the broker is gone, so is everything */
	self->exit_code = in_order ? 0 : 1;
	defer_start(self->loop, &self->goodbye, say_goodbye);
}

/* Detach: the lanes above 0 leave first, so that what is in flight on them is answered before lane 0 ends the lease. */
static void
detach(enum reason reason)
{
	attach.detaching = true;
	for (unsigned i = 1; i < LIMIT_LANES; i++)
		lane_leave(&attach.lanes[i]);
	if (attach.lanes[0].state == LANE_IDLE)
		attach_over(&attach, reason, 0, reason_sentence(reason));
	else
		lane_leave(&attach.lanes[0]);
}

/* ---- channels ---- */

static void
take_monitor_message(struct channel_message *message)
{
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
	int got = 0;

	(void)watch, (void)events;
	while (!attach.over && (got = channel_recv(&attach.monitor, &message)) > 0)
		take_monitor_message(&message);
	if (!attach.over && got != -EAGAIN)
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
	attach.monitor = (struct channel){.fd = FD_MONITOR, .self = ROLE_ATTACH, .peer = ROLE_MONITOR, .state = CH_NEW};
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
	timer_stop(&attach.goodbye_late);
	timer_stop(&attach.release.leave);
	for (unsigned i = LIMIT_LANES; i-- > 0;)
		lane_close(&attach.lanes[i]);
	if (attach.nbd)
		nbd_server_free(attach.nbd);
	if (attach.nbd_fd >= 0)
		close(attach.nbd_fd);
	custody_close(&attach.custody);
	loop_free(attach.loop);
}

int
main(int argc, char **argv)
{
	struct error error = {0};
	int code;

	log_open("netbus-attach", LOG_INFO_);
	log_label(argc > 2 ? argv[2] : NULL);
	if (sandbox_begin(&error) < 0 || prepare(&error) < 0 ||
	    sandbox_lock(SANDBOX_PASS_FDS | SANDBOX_ACCEPT, &error) < 0 || watch_all(&error) < 0) {
		log_error("%s", error.text);
		return 1;
	}
	loop_allow_poll(attach.loop, argc > 4 ? strtoul(argv[4], NULL, 10) * NS_PER_US : 0);
	code = loop_run(attach.loop);
	clean_up();
	return code < 0 ? 1 : code;
}
