/* SPDX-License-Identifier: Apache-2.0
 *
 * A share on another host as a backend: the conversation of one lane (backend/remote.h). Runs in netbus-attach. The exporter's bytes are
 * hostile.
 */
#include "backend/remote.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/remote_lane.h"
#include "base/auto.h"

#define FRAMES_PER_TURN 512

/* Numbers of authz/reason.def, which this folder does not include; tests/unit/authz_test.c holds them together. */
enum { REASON_DETACHED = 21, REASON_SESSION_LOST = 22, REASON_PROTOCOL_ERROR = 23, REASON_TIMED_OUT = 35 };

static void on_turn_end(struct defer *defer);

void
remote_at_turn_end(struct remote *remote)
{
	defer_start(remote->loop, &remote->turn_end, on_turn_end);
}

/* ---- the end ---- */

static void
on_over_turn(struct defer *defer)
{
	struct remote *remote = CONTAINER_OF(defer, struct remote, over);

	remote_complete_failed(remote);
	remote->events->on_over(remote->owner, remote->over_reason, remote->over_record, remote->over_text);
}

static void
stop_all(struct remote *remote)
{
	watch_stop(&remote->on_stream);
	timer_stop(&remote->deadline);
	timer_stop(&remote->beat);
	timer_stop(&remote->again);
}

void
remote_over(struct remote *remote, uint16_t reason, uint64_t record, const char *format, ...)
{
	bool lost = reason == REASON_SESSION_LOST || reason == REASON_PROTOCOL_ERROR || reason == REASON_TIMED_OUT;
	va_list arguments;

	if (remote->state == REMOTE_OVER)
		return;
	remote->state = REMOTE_OVER;
	remote->over_reason = reason;
	remote->over_record = record;
	va_start(arguments, format);
	vsnprintf(remote->over_text, sizeof remote->over_text, format, arguments);
	va_end(arguments);
	stop_all(remote);
	if (remote->events->on_ending)
		remote->events->on_ending(remote->owner, reason);
	remote_fail_all(remote, lost ? -EIO : -ESHUTDOWN);
	defer_start(remote->loop, &remote->over, on_over_turn);
}

static void
send_control(struct remote *remote, const void *message, uint8_t type)
{
	if (lane_send_control(&remote->lane, message, type) < 0)
		remote_over(remote, REASON_SESSION_LOST, 0, "the export host does not read what it is told");
	else
		remote_at_turn_end(remote);
}

static void
on_flushed(struct io *io)
{
	(void)io; /* take_detached() says how it went */
}

/* Not by remote_submit(), which takes nothing more. */
static void
flush(struct remote *remote)
{
	remote->wants_flush = false;
	remote->flush = (struct io){.op = IO_FLUSH, .on_done = on_flushed};
	io_queue_put(&remote->waiting, &remote->flush);
	remote_at_turn_end(remote);
}

void
remote_settle(struct remote *remote)
{
	if (remote->state != REMOTE_DRAINING || remote->in_flight > 0 || remote->waiting.first)
		return;
	if (remote->wants_flush) {
		flush(remote);
		return;
	}
	remote->state = REMOTE_DETACHING;
	send_control(remote, &(struct msg_detach){.all_lanes = remote->all_lanes}, FRAME_DETACH);
}

void
remote_detach(struct remote *remote, bool all_lanes)
{
	if (remote->state == REMOTE_OPENING) {
		remote_over(remote, REASON_DETACHED, 0, "detached before it was attached");
	} else if (remote->state == REMOTE_UP) {
		remote->state = REMOTE_DRAINING;
		remote->all_lanes = all_lanes;
		remote_settle(remote);
	}
}

void
remote_flush_and_detach(struct remote *remote)
{
	remote->wants_flush = (remote->attached.flags & DEVICE_FLUSH) && !(remote->attached.flags & DEVICE_READ_ONLY);
	remote_detach(remote, true);
}

/* ---- silence ---- */

static void on_beat(struct timer *timer);
static void read_frames(struct remote *remote);

static void
beat_soon(struct remote *remote)
{
	timer_start(remote->loop, &remote->beat, silence_wait_ns(&remote->silence, loop_now(remote->loop)), on_beat);
}

/* At most as often as a ping would be due. */
static void
tell_times(struct remote *remote, uint64_t now_ns)
{
	struct timed *timed = &remote->timed;

	if (timed->sums.timed == timed->told.timed || remote->state != REMOTE_UP ||
	    now_ns - timed->told_ns < remote->silence.ping_ns)
		return;
	timed->told = timed->sums;
	timed->told_ns = remote->silence.spoke_ns = now_ns;
	send_control(remote, &timed->sums, FRAME_TIMES);
}

static void
on_beat(struct timer *timer)
{
	struct remote *remote = CONTAINER_OF(timer, struct remote, beat);
	uint64_t now_ns = loop_now(remote->loop);

	/* We may have been the one that stood still: what has come meanwhile counts. */
	if (silence_due(&remote->silence, now_ns) == SILENCE_IS_LOST)
		read_frames(remote);
	if (remote->state == REMOTE_OVER)
		return;
	if (silence_due(&remote->silence, now_ns) == SILENCE_IS_LOST) {
		remote_over(remote, REASON_SESSION_LOST, 0,
		    "the export host is silent: nothing was heard of it for %u ms", remote->attached.silence_ms);
		return;
	}
	tell_times(remote, now_ns);
	if (silence_due(&remote->silence, now_ns) == SILENCE_PING_DUE) {
		remote->silence.spoke_ns = now_ns;
		send_control(remote, &(struct msg_ping){.cookie = 0}, FRAME_PING);
	}
	if (remote->state != REMOTE_OVER)
		beat_soon(remote);
}

static void
on_deadline(struct timer *timer)
{
	remote_over(CONTAINER_OF(timer, struct remote, deadline), REASON_TIMED_OUT, 0,
	    "the export host did not answer in time");
}

/* ---- control frames ---- */

static bool
is_power_of_two(uint32_t number)
{
	return number != 0 && (number & (number - 1)) == 0;
}

/* What the table of messages cannot say about ATTACHED. */
static bool
is_sane(const struct msg_attached *attached)
{
	return is_power_of_two(attached->logical_block) && is_power_of_two(attached->physical_block) &&
	       attached->physical_block >= attached->logical_block && attached->size % attached->logical_block == 0 &&
	       attached->payload_most % attached->logical_block == 0 &&
	       attached->range_most % attached->logical_block == 0 &&
	       attached->credit_bytes >= attached->payload_most && attached->lane < attached->lanes;
}

struct geometry
remote_geometry(const struct msg_attached *attached)
{
	return (struct geometry){
	    .size = attached->size,
	    .logical_block = attached->logical_block,
	    .physical_block = attached->physical_block,
	    .most_payload = attached->payload_most,
	    .most_range = attached->range_most,
	    .read_only = attached->flags & DEVICE_READ_ONLY,
	    .can_discard = attached->flags & DEVICE_DISCARD,
	    .can_write_zeroes = attached->flags & DEVICE_WRITE_ZEROES,
	    .rotational = attached->flags & DEVICE_ROTATIONAL,
	};
}

static void
take_attached(struct remote *remote)
{
	struct msg_attached attached;

	if (remote->state != REMOTE_OPENING || !remote->heard_hello ||
	    lane_control(&remote->lane, &remote->frame, &attached) < 0 || !is_sane(&attached)) {
		remote_over(remote, REASON_PROTOCOL_ERROR, 0,
		    "the export host sent an ATTACHED that is malformed or out of turn");
		return;
	}
	if (remote->joining && (attached.epoch != remote->join.epoch ||
				   memcmp(attached.lease, remote->join.lease, sizeof attached.lease) != 0)) {
		remote_over(remote, REASON_PROTOCOL_ERROR, 0, "the export host joined us to another lease");
		return;
	}
	remote->attached = attached;
	remote->backend.geometry = remote_geometry(&attached);
	remote->state = REMOTE_UP;
	timer_stop(&remote->deadline);
	silence_begin(&remote->silence, attached.silence_ms, SILENCE_ATTACHER_GIVES_UP, loop_now(remote->loop));
	beat_soon(remote);
	remote->events->on_up(remote->owner, &remote->attached);
}

static void
take_hello(struct remote *remote)
{
	struct msg_hello hello;

	if (remote->heard_hello || lane_control(&remote->lane, &remote->frame, &hello) < 0)
		remote_over(remote, REASON_PROTOCOL_ERROR, 0,
		    "the export host sent a HELLO that is malformed or the second one");
	else if (hello.version_least > NETBUS_PROTOCOL || hello.version_most < NETBUS_PROTOCOL)
		remote_over(remote, REASON_PROTOCOL_ERROR, 0,
		    "the export host speaks versions %u to %u of the protocol, we speak %u", hello.version_least,
		    hello.version_most, NETBUS_PROTOCOL);
	else
		remote->heard_hello = true;
}

static void
take_refused(struct remote *remote)
{
	struct msg_refused refused;

	if (remote->state != REMOTE_OPENING || lane_control(&remote->lane, &remote->frame, &refused) < 0)
		remote_over(remote, REASON_PROTOCOL_ERROR, 0,
		    "the export host sent a REFUSED that is malformed or out of turn");
	else
		remote_over(remote, refused.reason, refused.record, "the export host refused");
}

static void
take_detached(struct remote *remote)
{
	struct msg_detached detached;
	bool failed = remote->flush.status < 0, flushed = remote->flush.on_done != NULL && !failed;

	if (remote->state != REMOTE_DETACHING || lane_control(&remote->lane, &remote->frame, &detached) < 0)
		remote_over(remote, REASON_PROTOCOL_ERROR, 0,
		    "the export host sent a DETACHED that is malformed or out of turn");
	else
		remote_over(remote, REASON_DETACHED, 0, "%sdetached after %llu requests%s%s",
		    flushed ? "flushed and " : "", (unsigned long long)detached.completed,
		    failed ? "; the last flush failed: " : "", failed ? strerror(-remote->flush.status) : "");
}

/* Of a later one only the deadline counts, and only when it is sooner. */
static void
take_release(struct remote *remote)
{
	struct msg_release release;
	uint64_t by_ns;

	if (remote->state == REMOTE_OPENING || lane_control(&remote->lane, &remote->frame, &release) < 0) {
		remote_over(remote, REASON_PROTOCOL_ERROR, 0,
		    "the export host sent a RELEASE that is malformed or out of turn");
		return;
	}
	by_ns = loop_now(remote->loop) + release.deadline_ms * NS_PER_MS;
	if (remote->state != REMOTE_UP || (remote->release_by_ns != 0 && by_ns >= remote->release_by_ns))
		return; /* we are leaving, or are told nothing new */
	remote->release_by_ns = by_ns;
	if (remote->events->on_release)
		remote->events->on_release(remote->owner, &release);
}

static void
take_revoked(struct remote *remote)
{
	struct msg_revoked revoked;

	if (lane_control(&remote->lane, &remote->frame, &revoked) < 0)
		remote_over(remote, REASON_PROTOCOL_ERROR, 0, "the export host sent a malformed REVOKED");
	else
		remote_over(remote, revoked.reason, 0,
		    "the export host ended the lease: %llu requests completed, %llu aborted",
		    (unsigned long long)revoked.completed, (unsigned long long)revoked.aborted);
}

static void
take_ping(struct remote *remote)
{
	struct msg_ping ping;

	if (lane_control(&remote->lane, &remote->frame, &ping) < 0)
		remote_over(remote, REASON_PROTOCOL_ERROR, 0, "the export host sent a malformed PING");
	else
		send_control(remote, &(struct msg_pong){.cookie = ping.cookie}, FRAME_PONG);
}

static void
take_pong(struct remote *remote)
{
	struct msg_pong pong;

	if (lane_control(&remote->lane, &remote->frame, &pong) < 0)
		remote_over(remote, REASON_PROTOCOL_ERROR, 0, "the export host sent a malformed PONG");
}

static void
take_control(struct remote *remote)
{
	switch (remote->frame.type) {
	case FRAME_HELLO:
		take_hello(remote);
		return;
	case FRAME_ATTACHED:
		take_attached(remote);
		return;
	case FRAME_REFUSED:
		take_refused(remote);
		return;
	case FRAME_DETACHED:
		take_detached(remote);
		return;
	case FRAME_REVOKED:
		take_revoked(remote);
		return;
	case FRAME_RELEASE:
		take_release(remote);
		return;
	case FRAME_PING:
		take_ping(remote);
		return;
	case FRAME_PONG:
		take_pong(remote);
		return;
	default:
		remote_over(remote, REASON_PROTOCOL_ERROR, 0,
		    "the export host sent a frame of type %#x, which only an attach host sends", remote->frame.type);
	}
}

/* ---- the stream ---- */

static void
begin_frame(struct remote *remote)
{
	remote->in_payload = true;
	if (remote->frame.type == FRAME_REPLY)
		remote_take_reply(remote, &remote->frame);
	else if (frame_is_io_request(&remote->frame))
		remote_over(remote, REASON_PROTOCOL_ERROR, 0, "the export host sent a request");
	else
		lane_into(&remote->lane, &remote->frame, remote->lane.control);
}

static void
finish_frame(struct remote *remote)
{
	remote->in_payload = false;
	if (remote->reading)
		remote_take_read(remote);
	else if (remote->frame.type != FRAME_REPLY)
		take_control(remote);
}

/* 1 = a frame was taken; else as lane_recv() and lane_payload(). */
static int
take_frame(struct remote *remote)
{
	int got = 1;

	if (!remote->in_payload) {
		got = lane_recv(&remote->lane, &remote->frame);
		if (got == 1)
			begin_frame(remote);
	}
	if (got == 1 && remote->state != REMOTE_OVER)
		got = lane_payload(&remote->lane);
	if (got == 1 && remote->state != REMOTE_OVER)
		finish_frame(remote);
	return got;
}

static void
say_why_reading_ended(struct remote *remote, int got)
{
	if (got == 0)
		remote_over(remote, REASON_SESSION_LOST, 0, "the export host closed the connection");
	else if (got == -EBADMSG)
		remote_over(remote, REASON_PROTOCOL_ERROR, 0, "the export host's bytes are no frame of the protocol");
	else
		remote_over(
		    remote, REASON_SESSION_LOST, 0, "the connection to the export host broke: %s", strerror(-got));
}

static void on_again(struct timer *timer);

static void
read_frames(struct remote *remote)
{
	int got = 1;

	for (unsigned i = 0; i < FRAMES_PER_TURN && got == 1 && remote->state != REMOTE_OVER; i++)
		got = take_frame(remote);
	if (remote->lane.heard)
		remote->silence.heard_ns = loop_now(remote->loop);
	remote->lane.heard = false;
	if (remote->state == REMOTE_OVER)
		return;
	if (got != 1 && got != -EAGAIN)
		say_why_reading_ended(remote, got);
	else if (got == 1)
		timer_start(remote->loop, &remote->again, 0,
		    on_again); /* what is decrypted already makes no descriptor ready */
	remote_at_turn_end(remote);
}

static void
on_again(struct timer *timer)
{
	read_frames(CONTAINER_OF(timer, struct remote, again));
}

static void
on_stream_ready(struct watch *watch, uint32_t events)
{
	struct remote *remote = CONTAINER_OF(watch, struct remote, on_stream);

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		read_frames(remote);
	else
		remote_at_turn_end(remote);
}

/* An exporter that ends a lane says why and closes; what we were about to send finds that out before we have read it. */
static void
take_last_words(struct remote *remote, int code)
{
	read_frames(remote);
	remote_over(remote, REASON_SESSION_LOST, 0, "the connection to the export host broke: %s", strerror(-code));
}

static void
on_turn_end(struct defer *defer)
{
	struct remote *remote = CONTAINER_OF(defer, struct remote, turn_end);
	int code;

	remote_complete_failed(remote);
	if (remote->state == REMOTE_OVER)
		return;
	do {
		remote_pump(remote);
		code = lane_flush(&remote->lane);
	} while (code == 0 && remote_can_send(remote));
	if (remote->lane.spoke)
		remote->silence.spoke_ns = loop_now(remote->loop);
	remote->lane.spoke = false;
	if (remote->state == REMOTE_UP && remote->in_flight <= LANE_FEW)
		loop_poll(remote->loop);
	if (code < 0 && code != -EAGAIN)
		take_last_words(remote, code);
	else
		watch_change(&remote->on_stream, remote->lane.stream->class->wants(remote->lane.stream));
}

/* ---- for the owner ---- */

static void
close_nothing(struct backend *backend)
{
	(void)backend; /* it belongs to the remote */
}

static const struct backend_class remote_class = {.name = "remote", .submit = remote_submit, .close = close_nothing};

static struct remote *
remote_new(
    struct loop *loop, struct stream *stream, const struct remote_events *events, void *owner, struct error *error)
{
	struct remote *remote = calloc(1, sizeof *remote);
	int code;

	if (remote == NULL) {
		stream->class->close(stream);
		error_errno(error, -ENOMEM, "cannot open a lane");
		return NULL;
	}
	remote->backend.class = &remote_class;
	remote->loop = loop;
	remote->events = events;
	remote->owner = owner;
	lane_init(&remote->lane, stream);
	remote_io_init(remote);
	code = watch_start(loop, &remote->on_stream, stream->class->fd(stream), EPOLLIN, on_stream_ready);
	if (code == 0)
		return remote;
	error_errno(error, code, "cannot watch a lane");
	remote_free(remote);
	return NULL;
}

/* HELLO and the request leave in one flight. */
static void
open_with(struct remote *remote, const char *software, const void *message, uint8_t type)
{
	struct msg_hello hello = {.version_least = NETBUS_PROTOCOL, .version_most = NETBUS_PROTOCOL};

	snprintf(hello.software, sizeof hello.software, "%s", software);
	send_control(remote, &hello, FRAME_HELLO);
	send_control(remote, message, type);
	timer_start(remote->loop, &remote->deadline, 2 * LIMIT_HANDSHAKE_MS * NS_PER_MS, on_deadline);
	timer_start(
	    remote->loop, &remote->again, 0, on_again); /* bytes may have come in with the handshake's last ones */
}

struct remote *
remote_attach(struct loop *loop, struct stream *stream, const char *software, const struct msg_attach *attach,
    const struct remote_events *events, void *owner, struct error *error)
{
	struct remote *remote = remote_new(loop, stream, events, owner, error);

	if (remote)
		open_with(remote, software, attach, FRAME_ATTACH);
	return remote;
}

struct remote *
remote_join(struct loop *loop, struct stream *stream, const char *software, const struct msg_join *join,
    const struct remote_events *events, void *owner, struct error *error)
{
	struct remote *remote = remote_new(loop, stream, events, owner, error);

	if (remote) {
		remote->joining = true;
		remote->join = *join;
		open_with(remote, software, join, FRAME_JOIN);
	}
	return remote;
}

void
remote_free(struct remote *remote)
{
	if (remote == NULL)
		return;
	remote->state = REMOTE_OVER;
	stop_all(remote);
	remote_fail_all(remote, -ESHUTDOWN);
	remote_complete_failed(remote);
	defer_stop(&remote->turn_end);
	defer_stop(&remote->over);
	lane_clear(&remote->lane);
	free(remote);
}

struct backend *
remote_backend(struct remote *remote)
{
	return &remote->backend;
}
