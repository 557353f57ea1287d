/* SPDX-License-Identifier: Apache-2.0
 *
 * The guest of netbus-attach: NBD clients on a unix socket. The first one uses lane 0; each further connection of the guest (NBD multi-conn) gets a lane of
 * its own as soon as that one is up, and lane 0 until then. What clients send is hostile (frontend/nbd.h).
 *
 * Descriptor 6 is the listening socket.
 */
#include <unistd.h>

#include "backend/remote.h"
#include "base/auto.h"
#include "base/sandbox.h"
#include "daemon/attach.h"
#include "frontend/nbd.h"

enum { FD_NBD = 6 };

/* How long clients may take to read their last answers. */
#define GOODBYE_MS 1000u

struct guest {
	struct attach *attach;
	int fd; /* the socket, until the server has it */
	struct nbd_server *server;
	struct nbd_client *holder[LIMIT_LANES]; /* of a lane above 0 */
	unsigned clients;
	struct timer goodbye_late;
};

static struct guest guest = {.fd = FD_NBD};

const struct guest_program guest_program = {"netbus-attach", ROLE_ATTACH, SANDBOX_ACCEPT};

/* ---- clients ---- */

static struct backend *
on_client(void *owner, struct nbd_client *client)
{
	struct guest *self = owner;
	struct attach *attach = self->attach;
	struct attach_lane *lane = self->clients++ > 0 && !attach->detaching ? lane_find_idle(attach) : NULL;

	if (lane != NULL) {
		self->holder[lane->number] = client;
		lane_want(lane);
	}
	return remote_backend(attach->lanes[0].remote);
}

/* Its own lane, or 0: none. */
static unsigned
lane_of(const struct guest *self, const struct nbd_client *client)
{
	for (unsigned i = 1; i < LIMIT_LANES; i++)
		if (self->holder[i] == client)
			return i;
	return 0;
}

static void
on_client_gone(void *owner, struct nbd_client *client)
{
	struct guest *self = owner;
	struct attach *attach = self->attach;
	unsigned lane = lane_of(self, client);

	if (lane > 0) {
		self->holder[lane] = NULL;
		if (!attach->over)
			lane_leave(&attach->lanes[lane]);
	}
	if (--self->clients == 0 && attach->over)
		attach_quit(attach);
	else
		release_go_on(attach);
}

static const struct nbd_events nbd_events = {on_client, on_client_gone};

/* ---- lanes ---- */

int
guest_begin(struct guest *self, struct error *error)
{
	struct attach *attach = self->attach;
	struct geometry geometry = remote_geometry(&attach->attached);

	self->server =
	    nbd_server_new(attach->loop, take_fd(&self->fd), attach->order.share, &geometry, &nbd_events, self, error);
	return self->server ? 0 : error->code;
}

void
guest_lane_up(struct guest *self, struct attach_lane *lane)
{
	struct nbd_client *client = self->holder[lane->number];

	if (client != NULL)
		nbd_client_move(client, remote_backend(lane->remote));
	else
		lane_leave(lane);
}

void
guest_lane_gone(struct guest *self, struct attach_lane *lane)
{
	struct nbd_client *client = self->holder[lane->number];

	/* Also of one that was leaving: its client has nothing in flight, and must not keep what is freed now. */
	if (client != NULL && lane->state >= LANE_UP)
		nbd_client_move(client, remote_backend(self->attach->lanes[0].remote));
	self->holder[lane->number] = NULL;
}

bool
guest_is_idle(const struct guest *self)
{
	return self->clients == 0;
}

/* ---- the end ---- */

void
guest_drain(struct guest *self)
{
	nbd_server_drain(self->server);
}

void
guest_release(struct guest *self)
{
	nbd_server_release(self->server);
}

/* Clients see nothing but that the lanes end. */
void
guest_stop(struct guest *self, uint16_t reason)
{
	(void)self, (void)reason;
}

void
guest_ending(struct guest *self, uint16_t reason)
{
	(void)self, (void)reason;
}

static void
on_goodbye_late(struct timer *timer)
{
	attach_quit(CONTAINER_OF(timer, struct guest, goodbye_late)->attach);
}

void
guest_end(struct guest *self, uint16_t reason)
{
	(void)reason;
	if (self->server)
		nbd_server_end(self->server);
	if (self->clients == 0)
		attach_quit(self->attach);
	else
		timer_start(self->attach->loop, &self->goodbye_late, GOODBYE_MS * NS_PER_MS, on_goodbye_late);
}

/* ---- the process ---- */

int
guest_open(struct attach *attach, int argc, char **argv, struct error *error)
{
	(void)argc, (void)argv, (void)error;
	guest.attach = attach;
	attach->guest = &guest;
	return 0;
}

bool
guest_take_message(struct guest *self, struct channel_message *message)
{
	(void)self, (void)message;
	return false;
}

void
guest_free(struct guest *self)
{
	timer_stop(&self->goodbye_late);
	if (self->server)
		nbd_server_free(self->server);
	if (self->fd >= 0)
		close(self->fd);
}
