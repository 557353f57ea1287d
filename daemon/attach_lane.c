/* SPDX-License-Identifier: Apache-2.0
 *
 * A lane's life on the guest side: socket from the monitor, TLS handshake with netbus-keys' help, HELLO and ATTACH (lane 0)
 * or JOIN, service, end. Runs in netbus-attach. The exporter's bytes are hostile until checked.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "authz/reason.h"
#include "base/auto.h"
#include "base/log.h"
#include "daemon/attach.h"

#define STREAM_QUEUE_LIMIT ((size_t)LIMIT_CREDIT_BYTES + (1u << 20))
#define SOFTWARE           "netbus " NETBUS_VERSION

void
lane_close(struct attach_lane *lane)
{
	watch_stop(&lane->on_socket);
	timer_stop(&lane->deadline);
	tls_free(TAKE(lane->tls));
	if (lane->fd >= 0)
		close(take_fd(&lane->fd));
	if (lane->remote)
		remote_free(TAKE(lane->remote));
	lane->state = LANE_IDLE;
}

/* ---- up and gone ---- */

static void
tell_lanes(struct attach *attach)
{
	struct msg_attach_lanes told = {0};

	for (unsigned i = 0; i < LIMIT_LANES; i++)
		told.lanes += attach->lanes[i].state == LANE_UP;
	if (channel_send(&attach->broker, MSG_ATTACH_LANES, &told, -1) < 0)
		attach_over(attach, REASON_SESSION_LOST, 0, "the broker does not answer");
}

static void
first_lane_up(struct attach *attach)
{
	struct msg_attach_up up = {
	    .epoch = attach->attached.epoch, .size = attach->attached.size, .flags = attach->attached.flags};
	struct error error = {0};

	attach->is_up = true;
	if (guest_begin(attach->guest, &error) < 0) {
		attach_over(attach, REASON_DEVICE_UNAVAILABLE, 0, error.text);
		return;
	}
	memcpy(up.lease, attach->attached.lease, sizeof up.lease);
	log_info("%s is attached for %s: epoch %llu, %llu bytes", attach->order.share, attach->order.vm,
	    (unsigned long long)up.epoch, (unsigned long long)up.size);
	if (channel_send(&attach->broker, MSG_ATTACH_UP, &up, -1) < 0)
		attach_over(attach, REASON_SESSION_LOST, 0, "the broker does not answer");
}

static void
gone(struct attach_lane *lane)
{
	struct attach *attach = lane->attach;

	guest_lane_gone(attach->guest, lane);
	lane->state = LANE_IDLE;
	if (!attach->over)
		tell_lanes(attach);
	release_go_on(attach);
}

struct attach_lane *
lane_find_idle(struct attach *attach)
{
	unsigned most = attach->attached.lanes;

	for (unsigned i = 1; i < most && i < LIMIT_LANES; i++)
		if (attach->lanes[i].state == LANE_IDLE)
			return &attach->lanes[i];
	return NULL;
}

static void begin_next_handshake(struct attach *attach);

void
lane_failed(struct attach_lane *lane, uint16_t reason, uint64_t record, const char *text)
{
	if (lane->number == 0) {
		release_end(lane->attach, reason, record, text);
		return;
	}
	if (reason != REASON_DETACHED)
		log_notice("lane %u is gone: %s (%s)", lane->number, reason_name(reason), text);
	gone(lane);
	lane_close(lane);
	begin_next_handshake(lane->attach);
}

/* ---- events of the lane's connection ---- */

static void
on_up(void *owner, const struct msg_attached *attached)
{
	struct attach_lane *lane = owner;
	struct attach *attach = lane->attach;

	lane->state = LANE_UP;
	if (lane->number == 0) {
		attach->attached = *attached;
		first_lane_up(attach);
	} else {
		guest_lane_up(attach->guest, lane);
	}
	if (!attach->over)
		tell_lanes(attach);
}

static void
on_release(void *owner, const struct msg_release *release)
{
	struct attach_lane *lane = owner;

	release_take(lane->attach, release);
}

static void
on_over(void *owner, uint16_t reason, uint64_t record, const char *text)
{
	lane_failed(owner, reason, record, text);
}

/* Before it is up, it has nothing in flight. */
static void
on_ending(void *owner, uint16_t reason)
{
	struct attach_lane *lane = owner;

	if (lane->state >= LANE_UP)
		guest_ending(lane->attach->guest, reason);
}

static const struct remote_events remote_events = {on_up, on_release, on_over, on_ending};

static void
open_lease(struct attach_lane *lane)
{
	struct attach *attach = lane->attach;
	const struct msg_attach_order *order = &attach->order;
	struct msg_attach ask = {.mode = order->mode, .lanes = order->lanes};
	struct error error = {0};

	_Static_assert(sizeof ask.ticket == sizeof order->ticket, "one limit for tickets");
	memcpy(ask.vm, order->vm, sizeof ask.vm);
	memcpy(ask.vm_uuid, order->vm_uuid, sizeof ask.vm_uuid);
	memcpy(ask.share, order->share, sizeof ask.share);
	memcpy(&ask.ticket, &order->ticket, sizeof ask.ticket);
	lane->remote = remote_attach(attach->loop, tls_stream(TAKE(lane->tls), STREAM_QUEUE_LIMIT), SOFTWARE, &ask,
	    &remote_events, lane, &error);
	if (lane->remote == NULL)
		lane_failed(lane, REASON_SESSION_LOST, 0, error.text);
}

static void
join_lease(struct attach_lane *lane)
{
	struct attach *attach = lane->attach;
	struct msg_join ask = {.epoch = attach->attached.epoch};
	struct error error = {0};

	memcpy(ask.lease, attach->attached.lease, sizeof ask.lease);
	lane->remote = remote_join(attach->loop, tls_stream(TAKE(lane->tls), STREAM_QUEUE_LIMIT), SOFTWARE, &ask,
	    &remote_events, lane, &error);
	if (lane->remote == NULL)
		lane_failed(lane, REASON_SESSION_LOST, 0, error.text);
}

/* ---- the handshake ---- */

static void
on_handshake(struct watch *watch, uint32_t events)
{
	struct attach_lane *lane = CONTAINER_OF(watch, struct attach_lane, on_socket);
	struct error error = {0};
	int done = tls_handshake(lane->tls, &error);

	(void)events;
	if (done < 0) {
		lane_failed(lane, done == -EACCES ? REASON_WRONG_HOST : REASON_TLS_FAILED, 0, error.text);
		return;
	}
	if (done == 0) {
		watch_change(watch, tls_wants(lane->tls));
		return;
	}
	watch_stop(watch);
	timer_stop(&lane->deadline);
	lane->state = LANE_OPENING;
	if (lane->number == 0)
		snprintf(lane->attach->exporter, sizeof lane->attach->exporter, "%s", tls_peer_host(lane->tls));
	if (lane->number == 0)
		open_lease(lane);
	else
		join_lease(lane);
	begin_next_handshake(lane->attach);
}

static void
on_deadline(struct timer *timer)
{
	struct attach_lane *lane = CONTAINER_OF(timer, struct attach_lane, deadline);

	if (lane->state == LANE_WANTED)
		lane_failed(lane, REASON_UNREACHABLE, 0, "no connection in time");
	else
		lane_failed(lane, REASON_TIMED_OUT, 0, "no complete TLS handshake in time");
}

void
lane_want(struct attach_lane *lane)
{
	struct attach *attach = lane->attach;

	lane->state = LANE_WANTED;
	timer_start(attach->loop, &lane->deadline, 2 * LIMIT_HANDSHAKE_MS * NS_PER_MS, on_deadline);
	if (channel_send(&attach->monitor, MSG_LANE_WANT, &(struct msg_lane_want){.lane = lane->number}, -1) < 0)
		attach_over(attach, REASON_SESSION_LOST, 0, "the monitor does not answer");
}

static void
begin_handshake(struct attach_lane *lane)
{
	struct error error = {0};
	int fd = take_fd(&lane->fd);

	lane->tls = tls_new(TLS_CLIENT, fd, &lane->attach->custody, &error);
	if (lane->tls == NULL) {
		lane_failed(lane, REASON_TLS_FAILED, 0, error.text);
		return;
	}
	lane->state = LANE_HANDSHAKE;
	timer_start(lane->attach->loop, &lane->deadline, LIMIT_HANDSHAKE_MS * NS_PER_MS, on_deadline);
	if (watch_start(lane->attach->loop, &lane->on_socket, fd, EPOLLOUT, on_handshake) < 0)
		lane_failed(lane, REASON_TLS_FAILED, 0, "cannot watch the connection");
}

/* One at a time: netbus-keys and we speak of one handshake only. */
static void
begin_next_handshake(struct attach *attach)
{
	struct attach_lane *next = NULL;

	for (unsigned i = LIMIT_LANES; i-- > 0;) {
		if (attach->lanes[i].state == LANE_HANDSHAKE)
			return;
		if (attach->lanes[i].state == LANE_QUEUED)
			next = &attach->lanes[i];
	}
	if (next && !attach->over)
		begin_handshake(next);
}

void
lane_socket(struct attach_lane *lane, int fd)
{
	if (lane->state != LANE_WANTED) { /* left meanwhile */
		close(fd);
		return;
	}
	lane->fd = fd;
	lane->state = LANE_QUEUED;
	begin_next_handshake(lane->attach);
}

void
lane_leave(struct attach_lane *lane)
{
	switch (lane->state) {
	case LANE_IDLE:
	case LANE_LEAVING:
		return;
	case LANE_UP:
		lane->state = LANE_LEAVING;
		if (lane->number == 0 && lane->attach->release.is_leaving)
			remote_flush_and_detach(lane->remote);
		else
			remote_detach(lane->remote, lane->number == 0);
		return;
	case LANE_WANTED:
	case LANE_QUEUED:
	case LANE_HANDSHAKE:
	case LANE_OPENING:
		lane_failed(lane, REASON_DETACHED, 0, "detached before it was up");
		return;
	}
}
