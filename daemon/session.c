/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-session: the export side of one lane. Started by the monitor for one accepted connection.
 *
 * Everything from the peer is hostile: TLS and netbus/1 are parsed here, so this process holds nothing else. It has no key
 * (netbus-keys signs and judges the peer), cannot say who the peer is (netbus-keys tells the broker), cannot open a file (the
 * monitor sends the device's descriptor after the broker granted a lease), and has no further system call than its sandbox
 * lists. The monitor, the broker and netbus-keys are trusted.
 *
 * Descriptors: 3 the monitor, which sends those to the broker, to netbus-keys and to the peer. The process is forked of a zygote (session_zygote.c), or
 * executed by itself where there is none.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "authz/reason.h"
#include "backend/file.h"
#include "backend/memory.h"
#include "base/auto.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/sandbox.h"
#include "base/text.h"
#include "crypto/tls.h"
#include "daemon/channel.h"
#include "daemon/custody.h"
#include "daemon/session.h"
#include "frontend/peer.h"
#include "wire/limits.h"

/* Exit codes, which the monitor puts into words: a lane that ended in order, one that never got so far, our own failure. */
enum { EXIT_CLEAN = 0, EXIT_FAILED = 1, EXIT_UNSERVED = 3 };

#define STREAM_QUEUE_LIMIT ((size_t)LIMIT_CREDIT_BYTES + (1u << 20))

static struct session {
	struct loop *loop;
	struct channel monitor, broker;
	struct watch on_monitor, on_broker, on_socket;
	struct timer deadline;
	struct custody custody;
	struct file_engine *engine;
	struct tls *tls;         /* until the handshake is done */
	struct peer *peer;       /* from then on */
	struct backend *backend; /* once the device is here */
	struct lane_page *page;
	struct msg_device device;
	int device_fd, keys_fd, peer_fd; /* peer_fd: until tls has it */
	struct msg_granted granted;
	struct msg_release release; /* to be told as soon as the peer is served */
	uint32_t poll_us;
	bool is_granted, is_released, served, over;
	int exit_code;
} session = {.device_fd = -1, .keys_fd = -1, .peer_fd = -1, .exit_code = EXIT_UNSERVED};

static void
finish(int exit_code)
{
	session.over = true;
	session.exit_code = exit_code;
	loop_quit(session.loop, exit_code);
}

/* A channel to one of our own processes broke: nothing is left to do, and whoever is at its other end knows. */
static void
lost(const char *whom)
{
	log_warning("the channel to %s is gone; ending", whom);
	finish(EXIT_FAILED);
}

static void
tell_broker(uint16_t number, const void *message)
{
	if (channel_send(&session.broker, number, message, -1) < 0)
		lost("netbus-broker");
}

/* ---- the peer asks ---- */

static void
on_attach(void *owner, const struct msg_attach *attach)
{
	struct msg_ask_attach ask = {.mode = attach->mode, .lanes = attach->lanes};

	(void)owner;
	_Static_assert(sizeof ask.ticket == sizeof attach->ticket, "one limit for tickets");
	memcpy(ask.vm, attach->vm, sizeof ask.vm);
	memcpy(ask.vm_uuid, attach->vm_uuid, sizeof ask.vm_uuid);
	memcpy(ask.share, attach->share, sizeof ask.share);
	memcpy(&ask.ticket, &attach->ticket, sizeof ask.ticket);
	tell_broker(MSG_ASK_ATTACH, &ask);
}

static void
on_join(void *owner, const struct msg_join *join)
{
	struct msg_ask_join ask = {.epoch = join->epoch};

	(void)owner;
	memcpy(ask.lease, join->lease, sizeof ask.lease);
	tell_broker(MSG_ASK_JOIN, &ask);
}

/* The device is closed before the broker hears of it: that its lock is gone is what shows the monitor that nothing executes here any more. */
static void
on_leave(void *owner, bool all_lanes)
{
	(void)owner;
	backend_close(TAKE(session.backend));
	tell_broker(MSG_LEAVE, &(struct msg_leave){.all_lanes = all_lanes});
}

static void
on_over(void *owner, enum reason reason, const char *text)
{
	bool in_order = reason == REASON_DETACHED || reason == REASON_REVOKED || reason == REASON_STOPPING;

	(void)owner;
	if (session.served && in_order)
		log_info("lane ended: %s (%s)", reason_name(reason), text);
	else
		log_notice("%s: %s (%s)", session.served ? "lane lost" : "not served", reason_name(reason), text);
	finish(!session.served ? EXIT_UNSERVED : in_order ? EXIT_CLEAN : EXIT_FAILED);
}

static const struct peer_events peer_events = {on_attach, on_join, on_leave, on_over};

/* ---- broker and monitor answer ---- */

static struct backend *
open_device(const char **how, struct error *error)
{
	const struct msg_device *device = &session.device;
	int fd = take_fd(&session.device_fd);

	if (memory_is_fixed(fd)) {
		*how = "mapping it";
		return memory_backend_new(session.loop, fd, device->share, device->writable, device->discard, error);
	}
	*how = file_engine_name(session.engine);
	return file_backend_new(session.engine, fd, device->share, device->writable, device->discard, error);
}

static void
tell_release(void)
{
	if (session.is_released && session.served)
		peer_release(session.peer, &session.release);
}

/* Serves as soon as all three are here: the broker's word, the device, and the page. */
static void
serve_when_complete(void)
{
	struct error error = {0};
	struct msg_attached attached = {0};
	const struct geometry *geometry;
	const char *how;

	if (session.served || !session.is_granted || session.device_fd < 0 || session.page == NULL)
		return;
	session.backend = open_device(&how, &error);
	if (session.backend == NULL) {
		log_error("%s", error.text);
		peer_refuse(session.peer, reason_on_wire(REASON_DEVICE_UNAVAILABLE), 0);
		return;
	}
	geometry = &session.backend->geometry;
	memcpy(attached.lease, session.granted.lease, sizeof attached.lease);
	attached.epoch = session.granted.epoch;
	attached.size = geometry->size;
	attached.logical_block = geometry->logical_block;
	attached.physical_block = geometry->physical_block;
	attached.flags = DEVICE_FLUSH | DEVICE_FUA | (geometry->read_only ? DEVICE_READ_ONLY : 0) |
			 (geometry->can_discard ? DEVICE_DISCARD : 0) |
			 (geometry->can_write_zeroes ? DEVICE_WRITE_ZEROES : 0) |
			 (geometry->rotational ? DEVICE_ROTATIONAL : 0);
	attached.payload_most = geometry->most_payload;
	attached.range_most = geometry->most_range;
	attached.credits = LIMIT_CREDITS;
	attached.credit_bytes = LIMIT_CREDIT_BYTES;
	attached.lane = session.granted.lane;
	attached.lanes = session.granted.lanes;
	attached.silence_ms = session.granted.silence_ms;
	session.served = true;
	log_info("serving %s, lane %u, by %s", session.device.share, attached.lane, how);
	peer_serve(session.peer, session.backend, session.page, &attached);
	tell_release();
}

static void
take_lane_page(int fd)
{
	void *page = mmap(NULL, LANE_PAGE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	close(fd);
	if (page == MAP_FAILED) {
		log_error("cannot map the lane page: %s", strerror(errno));
		finish(EXIT_FAILED);
		return;
	}
	session.page = page;
}

static void
end_now(enum reason reason)
{
	if (session.peer)
		peer_end(session.peer, reason);
	else
		finish(EXIT_UNSERVED);
}

static void
take_monitor_message(struct channel_message *message)
{
	switch (message->number) {
	case MSG_DEVICE:
		if (session.device_fd >= 0 || session.served) {
			close(message->fd);
			return;
		}
		session.device = message->body.device;
		session.device_fd = message->fd;
		serve_when_complete();
		return;
	case MSG_LANE_PAGE:
		take_lane_page(message->fd);
		serve_when_complete();
		return;
	case MSG_END_NOW:
		end_now(message->body.end_now.reason);
		return;
	default:
		lost("the monitor");
	}
}

static void
take_release(const struct msg_ask_release *ask)
{
	session.release = (struct msg_release){
	    .mode = ask->mode, .deadline_ms = ask->deadline_ms, .reason = ask->reason, .record = ask->record};
	session.is_released = true;
	tell_release();
}

static void
take_broker_message(struct channel_message *message)
{
	switch (message->number) {
	case MSG_GRANTED:
		session.granted = message->body.granted;
		session.is_granted = true;
		serve_when_complete();
		return;
	case MSG_DENIED:
		peer_refuse(session.peer, message->body.denied.reason, message->body.denied.record);
		return;
	case MSG_LEFT:
		peer_left(session.peer);
		return;
	case MSG_ASK_RELEASE:
		take_release(&message->body.ask_release);
		return;
	default:
		lost("netbus-broker");
	}
}

static void
on_monitor(struct watch *watch, uint32_t events)
{
	struct channel_message message;
	int got = 0;

	(void)watch, (void)events;
	while (!session.over && (got = channel_recv(&session.monitor, &message)) > 0)
		take_monitor_message(&message);
	if (!session.over && got != -EAGAIN)
		lost("the monitor");
}

static void
on_broker(struct watch *watch, uint32_t events)
{
	struct channel_message message;
	int got = 0;

	(void)watch, (void)events;
	while (!session.over && (got = channel_recv(&session.broker, &message)) > 0)
		take_broker_message(&message);
	if (!session.over && got != -EAGAIN)
		lost("netbus-broker");
}

/* ---- the handshake ---- */

static void
on_deadline(struct timer *timer)
{
	(void)timer;
	log_notice("no complete TLS handshake within %u ms; ending", LIMIT_HANDSHAKE_MS);
	finish(EXIT_UNSERVED);
}

static void
begin_protocol(void)
{
	struct error error = {0};
	char label[96];

	snprintf(label, sizeof label, "%s", tls_peer_host(session.tls));
	log_debug("peer proved: %s, %s", label, tls_cipher(session.tls));
	watch_stop(&session.on_socket);
	timer_stop(&session.deadline);
	custody_close(&session.custody); /* one peer is all that a session has proved */
	close(take_fd(&session.keys_fd));
	session.peer = peer_new(session.loop, tls_stream(TAKE(session.tls), STREAM_QUEUE_LIMIT),
	    "netbus " NETBUS_VERSION, &peer_events, &session, &error);
	if (session.peer == NULL) {
		log_error("%s", error.text);
		finish(EXIT_FAILED);
	}
}

static void
on_handshake(struct watch *watch, uint32_t events)
{
	struct error error = {0};
	int done = tls_handshake(session.tls, &error);

	(void)events;
	if (done < 0) {
		log_notice("TLS handshake: %s", error.text);
		finish(EXIT_UNSERVED);
	} else if (done > 0) {
		begin_protocol();
	} else {
		watch_change(watch, tls_wants(session.tls));
	}
}

/* ---- start ---- */

/* All that needs more rights than the sandbox leaves, before the first byte of the peer is read. */
static int
prepare(struct error *error)
{
	const char *why = NULL;
	int code;

	session.loop = loop_new(error);
	if (session.loop == NULL)
		return error->code;
	session.engine = file_engine_new(session.loop, true, &why, error);
	if (session.engine == NULL)
		return error->code;
	if (why != NULL)
		log_debug("device I/O without io_uring: %s", why);
	code = custody_open(&session.custody, session.keys_fd, ROLE_SESSION);
	if (code < 0)
		return error_errno(error, code, "cannot set up the channel to netbus-keys");
	session.tls = tls_new(TLS_SERVER, session.peer_fd, &session.custody, error);
	if (session.tls == NULL)
		return error->code;
	return 0;
}

static int
watch_all(struct error *error)
{
	int code = watch_start(session.loop, &session.on_monitor, session.monitor.fd, EPOLLIN, on_monitor);

	if (code == 0)
		code = watch_start(session.loop, &session.on_broker, session.broker.fd, EPOLLIN, on_broker);
	if (code == 0)
		code = watch_start(session.loop, &session.on_socket, session.peer_fd, EPOLLIN, on_handshake);
	if (code < 0)
		return error_errno(error, code, "cannot watch a descriptor");
	timer_start(session.loop, &session.deadline, LIMIT_HANDSHAKE_MS * NS_PER_MS, on_deadline);
	return 0;
}

static void
clean_up(void)
{
	watch_stop(&session.on_monitor);
	watch_stop(&session.on_broker);
	watch_stop(&session.on_socket);
	timer_stop(&session.deadline);
	backend_close(session.backend);
	if (session.peer)
		peer_free(session.peer);
	tls_free(session.tls);
	file_engine_free(session.engine);
	custody_close(&session.custody);
	if (session.keys_fd >= 0)
		close(session.keys_fd);
	if (session.device_fd >= 0)
		close(session.device_fd);
	if (session.page)
		munmap(session.page, LANE_PAGE_LEN);
	loop_free(session.loop);
}

/* The descriptors, and under which number the log and the other processes know us. */
static int
introduce(struct error *error)
{
	struct session_beginning beginning;
	char label[16];
	int code = session_receive(&session.monitor, &beginning, error);

	if (code < 0)
		return code;
	session.broker = (struct channel){
	    .fd = beginning.fds[SESSION_FD_BROKER], .self = ROLE_SESSION, .peer = ROLE_BROKER, .state = CH_NEW};
	session.keys_fd = beginning.fds[SESSION_FD_KEYS];
	session.peer_fd = beginning.fds[SESSION_FD_PEER];
	session.poll_us = beginning.poll_us;
	snprintf(label, sizeof label, "%u", beginning.id);
	log_label(label);
	return 0;
}

int
main(int argc, char **argv)
{
	struct error error = {0};
	struct sandbox_filter *filter = NULL; /* made by the zygote, before it was forked */
	int code = 1;

	log_open("netbus-session", LOG_INFO_);
	log_label(argc > 2 ? argv[2] : NULL);
	if (sandbox_begin(&error) == 0 && argc > 3 && strcmp(argv[3], "--zygote") == 0)
		code = zygote_run(SESSION_FD_MONITOR, SESSION_NEEDS, &filter, &error);
	if (code == 0) { /* the monitor needs no zygote any more */
		sandbox_filter_free(filter);
		return EXIT_CLEAN;
	}
	session.monitor =
	    (struct channel){.fd = SESSION_FD_MONITOR, .self = ROLE_SESSION, .peer = ROLE_MONITOR, .state = CH_NEW};
	if (error.code < 0 || introduce(&error) < 0 || prepare(&error) < 0 ||
	    (filter ? sandbox_filter_load(filter, &error) : sandbox_lock(SESSION_NEEDS, &error)) < 0 ||
	    watch_all(&error) < 0) {
		log_error("%s", error.text);
		return EXIT_FAILED;
	}
	sandbox_filter_free(filter);
	loop_allow_poll(session.loop, session.poll_us * NS_PER_US);
	code = loop_run(session.loop);
	clean_up();
	return code < 0 ? EXIT_FAILED : code;
}
