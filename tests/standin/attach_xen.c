/* SPDX-License-Identifier: Apache-2.0
 *
 * A test's netbus-attach-xen, which has no Xen: the lease and its lanes are the real ones (daemon/attach.h), the guest is none. It tells netbus-xenwatch that the device is there, and
 * once it is over for good it stays, as the real one does while a guest has rings, until it is told to close. Its shadow says how many processes had it.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "authz/reason.h"
#include "base/auto.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "daemon/attach.h"

enum { FD_SHADOW = 6 };

struct guest {
	struct attach *attach;
	struct channel watcher;
	struct watch on_watcher;
	bool is_ready, is_over;
};

static struct guest guest = {.watcher = {.fd = -1}};

const struct guest_program guest_program = {"netbus-attach-xen", ROLE_ATTACH_XEN, 0};

static void
part(void)
{
	watch_stop(&guest.on_watcher);
	if (guest.watcher.fd >= 0)
		close(take_fd(&guest.watcher.fd));
}

static void
tell_ready(void)
{
	struct msg_xen_ready ready = {
	    .size = guest.attach->attached.size, .logical_block = 512, .physical_block = 4096, .rings = 1};

	if (guest.is_ready && guest.watcher.fd >= 0)
		channel_send(&guest.watcher, MSG_XEN_READY, &ready, -1);
}

static void
on_watcher(struct watch *watch, uint32_t events)
{
	struct channel_message message;
	int got;

	(void)watch, (void)events;
	while ((got = channel_recv(&guest.watcher, &message)) > 0) {
		if (message.number != MSG_XEN_CLOSE)
			continue;
		channel_send(&guest.watcher, MSG_XEN_RINGS_DOWN, &(struct msg_xen_rings_down){0}, -1);
		if (guest.is_over)
			attach_quit(guest.attach);
	}
	if (got != -EAGAIN)
		part();
}

int
guest_open(struct attach *attach, int argc, char **argv, struct error *error)
{
	struct stat status;

	guest.attach = attach;
	attach->guest = &guest;
	if (attach_argument(argc, argv, "--domid") == NULL || attach_argument(argc, argv, "--device") == NULL)
		return error_set(error, -EINVAL, "no --domid or no --device");
	if (fstat(FD_SHADOW, &status) < 0 || pwrite(FD_SHADOW, "x", 1, status.st_size) != 1)
		return error_errno(error, -errno, "the shadow cannot be written");
	return 0;
}

void
guest_free(struct guest *self)
{
	(void)self;
	part();
}

bool
guest_take_message(struct guest *self, struct channel_message *message)
{
	if (message->number != MSG_XEN_WATCHER)
		return false;
	part();
	self->watcher =
	    (struct channel){.fd = message->fd, .self = ROLE_ATTACH_XEN, .peer = ROLE_XENWATCH, .state = CH_NEW};
	if (watch_start(self->attach->loop, &self->on_watcher, message->fd, EPOLLIN, on_watcher) < 0)
		part();
	tell_ready();
	return true;
}

int
guest_begin(struct guest *self, struct error *error)
{
	(void)error;
	self->is_ready = true;
	tell_ready();
	return 0;
}

void
guest_lane_up(struct guest *self, struct attach_lane *lane)
{
	(void)self;
	lane_leave(lane);
}

void
guest_lane_gone(struct guest *self, struct attach_lane *lane)
{
	(void)self, (void)lane;
}

bool
guest_is_idle(const struct guest *self)
{
	(void)self;
	return true;
}

void
guest_drain(struct guest *self)
{
	(void)self;
}

void
guest_release(struct guest *self)
{
	(void)self;
}

/* The monitor's word also ends one that is over and stays. */
void
guest_stop(struct guest *self, uint16_t reason)
{
	(void)reason;
	if (self->is_over)
		attach_quit(self->attach);
}

void
guest_ending(struct guest *self, uint16_t reason)
{
	(void)self, (void)reason;
}

void
guest_end(struct guest *self, uint16_t reason)
{
	self->is_over = true;
	if (!self->is_ready || reason_heals(reason) || reason == REASON_DETACHED)
		attach_quit(self->attach);
}
