/* SPDX-License-Identifier: Apache-2.0
 *
 * Joins NBD clients to lanes: the first client uses lane 0; each further connection of the guest (NBD multi-conn) gets a lane of
 * its own as soon as that one is up, and lane 0 until then. Runs in netbus-attach.
 */
#include <errno.h>
#include <string.h>

#include "authz/reason.h"
#include "backend/remote.h"
#include "base/auto.h"
#include "base/log.h"
#include "daemon/attach.h"

static struct attach_lane *
lane_of(struct attach *attach, const struct nbd_client *client)
{
	for (unsigned i = 1; i < LIMIT_LANES; i++)
		if (attach->lanes[i].client == client)
			return &attach->lanes[i];
	return NULL;
}

static struct attach_lane *
idle_lane(struct attach *attach)
{
	unsigned most = attach->attached.lanes;

	for (unsigned i = 1; i < most && i < LIMIT_LANES; i++)
		if (attach->lanes[i].state == LANE_IDLE)
			return &attach->lanes[i];
	return NULL;
}

static void
tell_lanes(struct attach *attach)
{
	struct msg_attach_lanes told = {0};

	for (unsigned i = 0; i < LIMIT_LANES; i++)
		told.lanes += attach->lanes[i].state == LANE_UP;
	if (channel_send(&attach->broker, MSG_ATTACH_LANES, &told, -1) < 0)
		attach_over(attach, REASON_SESSION_LOST, 0, "the broker does not answer");
}

static struct backend *
on_client(void *owner, struct nbd_client *client)
{
	struct attach *attach = owner;
	struct attach_lane *lane = attach->clients++ > 0 && !attach->detaching ? idle_lane(attach) : NULL;

	if (lane != NULL) {
		lane->client = client;
		lane_want(lane);
	}
	return remote_backend(attach->lanes[0].remote);
}

static void
on_client_gone(void *owner, struct nbd_client *client)
{
	struct attach *attach = owner;
	struct attach_lane *lane = lane_of(attach, client);

	if (lane != NULL) {
		lane->client = NULL;
		if (!attach->over)
			lane_leave(lane);
	}
	attach_client_left(attach);
}

static const struct nbd_events nbd_events = {on_client, on_client_gone};

int
guest_begin(struct attach *attach, struct error *error)
{
	struct geometry geometry = remote_geometry(&attach->attached);

	attach->nbd = nbd_server_new(
	    attach->loop, take_fd(&attach->nbd_fd), attach->order.share, &geometry, &nbd_events, attach, error);
	return attach->nbd ? 0 : error->code;
}

static void
first_lane_up(struct attach *attach)
{
	struct msg_attach_up up = {
	    .epoch = attach->attached.epoch, .size = attach->attached.size, .flags = attach->attached.flags};
	struct error error = {0};

	if (guest_begin(attach, &error) < 0) {
		attach_over(attach, REASON_DEVICE_UNAVAILABLE, 0, error.text);
		return;
	}
	memcpy(up.lease, attach->attached.lease, sizeof up.lease);
	log_info("%s is attached for %s: epoch %llu, %llu bytes", attach->order.share, attach->order.vm,
	    (unsigned long long)up.epoch, (unsigned long long)up.size);
	if (channel_send(&attach->broker, MSG_ATTACH_UP, &up, -1) < 0)
		attach_over(attach, REASON_SESSION_LOST, 0, "the broker does not answer");
}

void
guest_lane_up(struct attach_lane *lane)
{
	struct attach *attach = lane->attach;

	if (lane->number == 0)
		first_lane_up(attach);
	else if (lane->client != NULL)
		nbd_client_move(lane->client, remote_backend(lane->remote));
	else
		lane_leave(lane);
	if (!attach->over)
		tell_lanes(attach);
}

void
guest_lane_gone(struct attach_lane *lane)
{
	struct attach *attach = lane->attach;

	/* Also of one that was leaving: its client has nothing in flight, and must not keep what is freed now. */
	if (lane->client != NULL && lane->state >= LANE_UP)
		nbd_client_move(lane->client, remote_backend(attach->lanes[0].remote));
	lane->client = NULL;
	lane->state = LANE_IDLE;
	if (!attach->over)
		tell_lanes(attach);
	release_go_on(attach);
}
