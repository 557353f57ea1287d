/* SPDX-License-Identifier: Apache-2.0
 *
 * The export side of one lane of netbus/1: the conversation (frontend/peer.h). Runs in netbus-session. Everything from the stream is hostile.
 */
#include "frontend/peer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "frontend/peer_lane.h"

/* Frames taken in one turn before other descriptors (the monitor's, the device's) are looked at. */
#define FRAMES_PER_TURN 512
/* After so many, their answers go out, so that the peer works while we do; unless they are so many bytes that most have gone. */
#define FRAMES_PER_FLUSH 16
#define PUSH_MOST        ((size_t)48 << 10)
/* How long the last bytes may take to leave. */
#define FAREWELL_MS 2000u

/* ---- the end ---- */

static void
on_over_turn(struct defer *defer)
{
	struct peer *peer = CONTAINER_OF(defer, struct peer, over);

	peer->events->on_over(peer->owner, peer->end_reason, peer->end_text);
}

static void
be_over(struct peer *peer)
{
	if (peer->state == PEER_OVER)
		return;
	peer->state = PEER_OVER;
	watch_stop(&peer->on_stream);
	timer_stop(&peer->deadline);
	timer_stop(&peer->beat);
	timer_stop(&peer->again);
	defer_start(peer->loop, &peer->over, on_over_turn);
}

static void
on_farewell_late(struct timer *timer)
{
	be_over(CONTAINER_OF(timer, struct peer, deadline));
}

static void on_turn_end(struct defer *defer);

void
peer_flush_soon(struct peer *peer)
{
	defer_start(peer->loop, &peer->turn_end, on_turn_end);
}

static void
say_farewell(struct peer *peer)
{
	peer->state = PEER_FAREWELL;
	timer_start(peer->loop, &peer->deadline, FAREWELL_MS * NS_PER_MS, on_farewell_late);
	peer_flush_soon(peer);
}

__attribute__((format(printf, 3, 0))) static void
remember_end(struct peer *peer, enum reason reason, const char *format, va_list arguments)
{
	peer->end_reason = reason;
	vsnprintf(peer->end_text, sizeof peer->end_text, format, arguments);
}

__attribute__((format(printf, 3, 4))) static void
set_end(struct peer *peer, enum reason reason, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	remember_end(peer, reason, format, arguments);
	va_end(arguments);
}

void
peer_break(struct peer *peer, enum reason reason, const char *format, ...)
{
	va_list arguments;

	if (peer->state == PEER_BROKEN || peer->state == PEER_OVER)
		return;
	if (peer->state != PEER_FAREWELL && peer->state != PEER_ENDING) { /* these have their reason */
		va_start(arguments, format);
		remember_end(peer, reason, format, arguments);
		va_end(arguments);
	}
	peer->state = PEER_BROKEN;
	watch_stop(&peer->on_stream);
	peer_settle(peer);
}

static void
send_control(struct peer *peer, const void *message, uint8_t type)
{
	if (lane_send_control(&peer->lane, message, type) < 0)
		peer_break(peer, REASON_PROTOCOL_ERROR, "it does not read what it is told");
	peer_flush_soon(peer);
}

static void
send_revoked(struct peer *peer)
{
	struct msg_revoked revoked = {
	    .reason = reason_on_wire(peer->end_reason),
	    .epoch = peer->epoch,
	    .completed = atomic_load(&peer->page->counters.completed),
	    .aborted = atomic_load(&peer->page->counters.aborted),
	};

	send_control(peer, &revoked, FRAME_REVOKED);
	if (peer->state == PEER_ENDING)
		say_farewell(peer);
}

void
peer_settle(struct peer *peer)
{
	if (peer->state == PEER_BROKEN || peer->state == PEER_ENDING)
		peer_abort_held(peer);
	if (peer->in_flight > 0)
		return;
	if (peer->state == PEER_BROKEN)
		be_over(peer);
	else if (peer->state == PEER_ENDING)
		send_revoked(peer);
	else if (peer->state == PEER_LEAVING) {
		peer->state = PEER_LEFT;
		peer->events->on_leave(peer->owner, peer->all_lanes);
	}
}

/* ---- silence ---- */

static void on_beat(struct timer *timer);
static void read_frames(struct peer *peer);
static bool is_reading(const struct peer *peer);

static void
beat_soon(struct peer *peer)
{
	timer_start(peer->loop, &peer->beat, silence_wait_ns(&peer->silence, loop_now(peer->loop)), on_beat);
}

/* A sign of life: noted for ourselves, and in the page for the broker, who need not trust that we still count. */
static void
note_heard(struct peer *peer)
{
	peer->lane.heard = false;
	peer->silence.heard_ns = loop_now(peer->loop);
	if (peer->page)
		atomic_store_explicit(&peer->page->heard_ns, peer->silence.heard_ns, memory_order_relaxed);
}

static void
on_beat(struct timer *timer)
{
	struct peer *peer = CONTAINER_OF(timer, struct peer, beat);
	enum silence_due due = silence_due(&peer->silence, loop_now(peer->loop));

	/* We may have been the one that stood still: what has come meanwhile counts. */
	if (due == SILENCE_IS_LOST && is_reading(peer)) {
		read_frames(peer);
		due = silence_due(&peer->silence, loop_now(peer->loop));
	}
	if (peer->state == PEER_BROKEN || peer->state == PEER_OVER)
		return;
	if (due == SILENCE_IS_LOST) {
		peer_break(peer, REASON_SESSION_LOST, "nothing was heard of it for %u ms", peer->silence_ms);
		return;
	}
	if (due == SILENCE_PING_DUE) {
		peer->silence.spoke_ns = loop_now(peer->loop);
		send_control(peer, &(struct msg_ping){.cookie = 0}, FRAME_PING);
	}
	if (peer->state != PEER_BROKEN && peer->state != PEER_OVER)
		beat_soon(peer);
}

/* ---- control frames ---- */

static void
take_hello(struct peer *peer)
{
	struct msg_hello hello;

	if (peer->state != PEER_HELLO || lane_control(&peer->lane, &peer->frame, &hello) < 0) {
		peer_break(peer, REASON_PROTOCOL_ERROR, "a HELLO that is malformed or not the first frame");
		return;
	}
	if (hello.version_least > NETBUS_PROTOCOL || hello.version_most < NETBUS_PROTOCOL) {
		peer_break(peer, REASON_PROTOCOL_ERROR, "it speaks versions %u to %u of the protocol, we speak %u",
		    hello.version_least, hello.version_most, NETBUS_PROTOCOL);
		return;
	}
	peer->state = PEER_IDLE;
}

static void
take_attach(struct peer *peer)
{
	struct msg_attach attach;

	if (peer->state != PEER_IDLE || lane_control(&peer->lane, &peer->frame, &attach) < 0) {
		peer_break(peer, REASON_PROTOCOL_ERROR, "an ATTACH that is malformed or out of turn");
		return;
	}
	peer->state = PEER_ASKED;
	timer_stop(&peer->deadline);
	peer->events->on_attach(peer->owner, &attach);
}

static void
take_join(struct peer *peer)
{
	struct msg_join join;

	if (peer->state != PEER_IDLE || lane_control(&peer->lane, &peer->frame, &join) < 0) {
		peer_break(peer, REASON_PROTOCOL_ERROR, "a JOIN that is malformed or out of turn");
		return;
	}
	peer->state = PEER_ASKED;
	timer_stop(&peer->deadline);
	peer->events->on_join(peer->owner, &join);
}

static void
take_detach(struct peer *peer)
{
	struct msg_detach detach;

	if (peer->state == PEER_ENDING || peer->state == PEER_FAREWELL)
		return; /* it crossed our REVOKED */
	if (peer->state != PEER_SERVING || lane_control(&peer->lane, &peer->frame, &detach) < 0) {
		peer_break(peer, REASON_PROTOCOL_ERROR, "a DETACH that is malformed or out of turn");
		return;
	}
	peer->all_lanes = detach.all_lanes;
	peer->state = PEER_LEAVING;
	peer_settle(peer);
}

static void
take_ping(struct peer *peer)
{
	struct msg_ping ping;

	if (lane_control(&peer->lane, &peer->frame, &ping) < 0)
		peer_break(peer, REASON_PROTOCOL_ERROR, "a malformed PING");
	else
		send_control(peer, &(struct msg_pong){.cookie = ping.cookie}, FRAME_PONG);
}

static void
take_pong(struct peer *peer)
{
	struct msg_pong pong;

	if (lane_control(&peer->lane, &peer->frame, &pong) < 0)
		peer_break(peer, REASON_PROTOCOL_ERROR, "a malformed PONG");
}

/* What the attach host says of its end: shown as its statement, and nothing else is done with it. */
static void
take_times(struct peer *peer)
{
	struct msg_times times;

	if (peer->page == NULL || lane_control(&peer->lane, &peer->frame, &times) < 0) {
		peer_break(peer, REASON_PROTOCOL_ERROR, "a TIMES that is malformed or out of turn");
		return;
	}
	atomic_store(&peer->page->times.told, times.timed);
	atomic_store(&peer->page->times.ring_ns, times.ring_ns);
	atomic_store(&peer->page->times.queue_ns, times.queue_ns);
	atomic_store(&peer->page->times.exchange_ns, times.exchange_ns);
}

static void
take_control(struct peer *peer)
{
	switch (peer->frame.type) {
	case FRAME_HELLO:
		take_hello(peer);
		return;
	case FRAME_ATTACH:
		take_attach(peer);
		return;
	case FRAME_JOIN:
		take_join(peer);
		return;
	case FRAME_DETACH:
		take_detach(peer);
		return;
	case FRAME_PING:
		take_ping(peer);
		return;
	case FRAME_PONG:
		take_pong(peer);
		return;
	case FRAME_TIMES:
		take_times(peer);
		return;
	default:
		peer_break(
		    peer, REASON_PROTOCOL_ERROR, "a frame of type %#x, which only an exporter sends", peer->frame.type);
	}
}

/* ---- the stream ---- */

static void
begin_frame(struct peer *peer)
{
	peer->in_payload = true;
	if (frame_is_io_request(&peer->frame))
		peer_take_io(peer, &peer->frame);
	else if (peer->frame.type == FRAME_REPLY)
		peer_break(peer, REASON_PROTOCOL_ERROR, "a reply, which only an exporter sends");
	else
		lane_into(&peer->lane, &peer->frame, peer->lane.control);
}

static void
finish_frame(struct peer *peer)
{
	peer->in_payload = false;
	if (peer->under_way)
		peer_take_written(peer);
	else if (!frame_is_io_request(&peer->frame))
		take_control(peer);
}

static bool
is_alive(const struct peer *peer)
{
	return peer->state != PEER_BROKEN && peer->state != PEER_OVER && peer->state != PEER_FAREWELL;
}

/* A peer that does not read its answers is not read either: its requests wait at its end, not here. */
static bool
is_reading(const struct peer *peer)
{
	return is_alive(peer) && !lane_is_full(&peer->lane);
}

/* 1 = a frame was taken; else as lane_recv() and lane_payload(). */
static int
take_frame(struct peer *peer)
{
	int got = 1;

	if (!peer->in_payload) {
		got = lane_recv(&peer->lane, &peer->frame);
		if (got == 1)
			begin_frame(peer);
	}
	if (got == 1 && is_alive(peer))
		got = lane_payload(&peer->lane);
	if (got == 1 && is_alive(peer))
		finish_frame(peer);
	return got;
}

static void
say_why_reading_ended(struct peer *peer, int got)
{
	if (got == 0)
		peer_break(peer, REASON_SESSION_LOST, "it closed the connection");
	else if (got == -EBADMSG)
		peer_break(peer, REASON_PROTOCOL_ERROR, "its bytes are no frame of the protocol");
	else
		peer_break(peer, REASON_SESSION_LOST, "the connection broke: %s", strerror(-got));
}

static void on_again(struct timer *timer);

/* Small answers leave here; large ones have left by themselves, as records filled. What breaks is found once more at the end of the turn, and told there. */
static void
push(struct peer *peer)
{
	if (peer->lane.committed < PUSH_MOST)
		lane_flush(&peer->lane);
	peer->lane.committed = 0;
}

static void
read_frames(struct peer *peer)
{
	int got = 1;

	peer->taken = 0;
	peer_time_begin(peer);
	for (unsigned i = 1; i <= FRAMES_PER_TURN && got == 1 && is_reading(peer); i++) {
		got = take_frame(peer);
		peer->taken += got == 1;
		if (i % FRAMES_PER_FLUSH == 0 && peer->state == PEER_SERVING)
			push(peer);
	}
	if (peer->lane.heard)
		note_heard(peer);
	if (got != 1 && got != -EAGAIN && is_alive(peer))
		say_why_reading_ended(peer, got);
	peer->has_more = got == 1 && is_alive(peer);
	if (peer->state != PEER_OVER)
		peer_flush_soon(peer);
}

static void
on_again(struct timer *timer)
{
	read_frames(CONTAINER_OF(timer, struct peer, again));
}

static void
on_stream_ready(struct watch *watch, uint32_t events)
{
	struct peer *peer = CONTAINER_OF(watch, struct peer, on_stream);

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && is_reading(peer))
		read_frames(peer);
	else
		peer_flush_soon(peer);
}

/* While we do not read it, that it reads us shows that it lives. */
static void
note_flushed(struct peer *peer, bool was_full)
{
	if (peer->lane.spoke)
		peer->silence.spoke_ns = loop_now(peer->loop);
	if (peer->lane.was_read && was_full)
		note_heard(peer);
	peer->lane.spoke = peer->lane.was_read = false;
}

/* Everything that this turn had to say leaves together. */
static void
on_turn_end(struct defer *defer)
{
	struct peer *peer = CONTAINER_OF(defer, struct peer, turn_end);
	bool was_full = lane_is_full(&peer->lane);
	uint32_t wanted;
	int code;

	if (peer->state == PEER_OVER || peer->state == PEER_BROKEN)
		return;
	code = lane_flush(&peer->lane);
	note_flushed(peer, was_full);
	if (code < 0 && code != -EAGAIN) {
		peer_break(peer, REASON_SESSION_LOST, "the connection broke: %s", strerror(-code));
		return;
	}
	if (code == 0 && peer->page != NULL)
		peer_time_sent(peer);
	if (peer->state == PEER_FAREWELL && code == 0) {
		be_over(peer);
		return;
	}
	if (peer->has_more && is_reading(peer)) /* what is decrypted already makes no descriptor ready */
		timer_start(peer->loop, &peer->again, 0, on_again);
	if (peer->state == PEER_SERVING && peer->taken <= LANE_FEW)
		loop_poll(peer->loop);
	wanted = peer->lane.stream->class->wants(peer->lane.stream);
	watch_change(&peer->on_stream, is_reading(peer) ? wanted : wanted & ~(uint32_t)EPOLLIN);
}

/* ---- for the owner ---- */

static void
on_ask_late(struct timer *timer)
{
	peer_break(CONTAINER_OF(timer, struct peer, deadline), REASON_TIMED_OUT,
	    "it did not ask for a share within %u ms", LIMIT_HANDSHAKE_MS);
}

struct peer *
peer_new(struct loop *loop, struct stream *stream, const char *software, const struct peer_events *events, void *owner,
    struct error *error)
{
	struct msg_hello hello = {.version_least = NETBUS_PROTOCOL, .version_most = NETBUS_PROTOCOL};
	struct peer *peer = calloc(1, sizeof *peer);
	int code;

	if (peer == NULL) {
		stream->class->close(stream);
		error_errno(error, -ENOMEM, "cannot serve a lane");
		return NULL;
	}
	peer->loop = loop;
	peer->events = events;
	peer->owner = owner;
	lane_init(&peer->lane, stream);
	code = watch_start(loop, &peer->on_stream, stream->class->fd(stream), EPOLLIN, on_stream_ready);
	if (code < 0) {
		error_errno(error, code, "cannot watch a lane");
		peer_free(peer);
		return NULL;
	}
	timer_start(loop, &peer->deadline, LIMIT_HANDSHAKE_MS * NS_PER_MS, on_ask_late);
	snprintf(hello.software, sizeof hello.software, "%s", software);
	send_control(peer, &hello, FRAME_HELLO);
	timer_start(loop, &peer->again, 0, on_again); /* bytes may have come in with the handshake's last ones */
	return peer;
}

void
peer_free(struct peer *peer)
{
	if (peer == NULL)
		return;
	watch_stop(&peer->on_stream);
	timer_stop(&peer->deadline);
	timer_stop(&peer->beat);
	timer_stop(&peer->again);
	defer_stop(&peer->turn_end);
	defer_stop(&peer->over);
	lane_clear(&peer->lane);
	peer_io_clear(peer);
	free(peer);
}

void
peer_serve(struct peer *peer, struct backend *backend, struct lane_page *page, const struct msg_attached *attached)
{
	if (peer->state != PEER_ASKED) /* it broke meanwhile */
		return;
	peer->backend = backend;
	peer->page = page;
	peer->epoch = attached->epoch;
	peer->silence_ms = attached->silence_ms;
	peer->state = PEER_SERVING;
	send_control(peer, attached, FRAME_ATTACHED);
	silence_begin(&peer->silence, peer->silence_ms, SILENCE_EXPORTER_GIVES_UP, loop_now(peer->loop));
	note_heard(peer);
	beat_soon(peer);
}

void
peer_refuse(struct peer *peer, enum reason wire_reason, uint64_t record)
{
	if (peer->state != PEER_ASKED && peer->state != PEER_IDLE && peer->state != PEER_HELLO)
		return;
	set_end(peer, wire_reason, "refused: %s", reason_sentence(wire_reason));
	send_control(peer, &(struct msg_refused){.reason = wire_reason, .record = record}, FRAME_REFUSED);
	if (peer->state != PEER_BROKEN)
		say_farewell(peer);
}

void
peer_left(struct peer *peer)
{
	struct msg_detached detached = {.completed = peer->page ? atomic_load(&peer->page->counters.completed) : 0};

	if (peer->state != PEER_LEFT)
		return;
	set_end(peer, REASON_DETACHED, "it detached");
	send_control(peer, &detached, FRAME_DETACHED);
	if (peer->state != PEER_BROKEN)
		say_farewell(peer);
}

void
peer_release(struct peer *peer, const struct msg_release *release)
{
	if (peer->state == PEER_SERVING)
		send_control(peer, release, FRAME_RELEASE);
}

void
peer_end(struct peer *peer, enum reason reason)
{
	if (peer->state == PEER_SERVING || peer->state == PEER_LEAVING || peer->state == PEER_LEFT) {
		set_end(peer, reason, "%s", reason_sentence(reason));
		peer->state = PEER_ENDING;
		peer_settle(peer);
	} else {
		peer_refuse(peer, reason_on_wire(reason), 0);
	}
}
