/* SPDX-License-Identifier: Apache-2.0
 *
 * The guest of netbus-attach-xen: the rings of one vbd. Ring q uses lane q as soon as that is up, and lane 0 until then.
 *
 * Hostile: the rings, and what is in the shadow (frontend/xen_disk.h). netbus-xenwatch is trusted to be who it is, and what it passes on from the guest to be in range, no more.
 *
 * Descriptor 6 is the shadow. Started as root, since Xen's devices are root's; drops that as soon as they are open.
 */
#include "daemon/attach_xen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "authz/reason.h"
#include "backend/remote.h"
#include "base/auto.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "base/text.h"

enum { FD_SHADOW = 6 };

static struct guest guest = {.watcher = {.fd = -1}};

const struct guest_program guest_program = {"netbus-attach-xen", ROLE_ATTACH_XEN, SANDBOX_XEN};

/* ---- rings and lanes ---- */

static struct backend *
lane_backend(const struct guest *self, unsigned number)
{
	const struct attach_lane *lane = &self->attach->lanes[number];

	return lane->state == LANE_UP ? remote_backend(lane->remote) : NULL;
}

static struct backend *
backend_of_ring(void *owner, unsigned ring)
{
	struct guest *self = owner;
	struct keeper *keeper = &self->keepers[ring];

	keeper->lane = lane_backend(self, ring);
	if (keeper->lane == NULL)
		keeper->lane = lane_backend(self, 0);
	return &keeper->backend;
}

static void
on_lie(void *owner, const char *text)
{
	struct guest *self = owner;
	char full[256];

	watcher_tell_lie(self, text);
	snprintf(full, sizeof full, "domain %u broke the ring protocol of its disk %u: %s", self->domain, self->device,
	    text);
	attach_over(self->attach, REASON_GUEST_LIED, 0, full);
	xen_disk_disconnect(self->disk);
}

static void
on_drained(void *owner)
{
	struct guest *self = owner;

	watcher_on_drained(self);
	if (xen_disk_is_connected(self->disk))
		return;
	if (self->is_gone) {
		attach_quit(self->attach);
		return;
	}
	for (unsigned i = 1; i < LIMIT_LANES && !self->attach->over; i++)
		lane_leave(&self->attach->lanes[i]);
	release_go_on(self->attach);
}

static const struct xen_disk_events disk_events = {backend_of_ring, on_lie, on_drained};

static void
want_lanes(struct guest *self)
{
	struct attach *attach = self->attach;

	for (unsigned i = 1; i < xen_disk_rings(self->disk) && i < attach->attached.lanes; i++)
		if (attach->lanes[i].state == LANE_IDLE)
			lane_want(&attach->lanes[i]);
}

int
rings_connect(struct guest *self, const struct xen_setup *setup, struct error *error)
{
	int code = xen_disk_connect(self->disk, setup, error);

	if (code < 0)
		return code;
	log_info("serves %u ring%s of %u page%s of domain %u, disk %u: %llu requests taken over", setup->rings,
	    setup->rings > 1 ? "s" : "", setup->pages, setup->pages > 1 ? "s" : "", self->domain, self->device,
	    (unsigned long long)xen_disk_counts(self->disk)->recovered);
	if (!self->attach->over && !self->attach->detaching)
		want_lanes(self);
	return 0;
}

/* ---- the device ---- */

static int
make_disk(struct guest *self, const struct geometry *geometry, struct error *error)
{
	for (unsigned i = 0; i < LIMIT_LANES; i++)
		keeper_init(&self->keepers[i], geometry);
	self->disk = xen_disk_new(
	    self->attach->loop, self->port, geometry, self->shadow, XEN_SHADOW_BYTES, &disk_events, self, error);
	return self->disk ? 0 : error->code;
}

int
guest_begin(struct guest *self, struct error *error)
{
	struct geometry geometry = remote_geometry(&self->attach->attached);

	if (make_disk(self, &geometry, error) < 0)
		return error->code;
	watcher_tell_ready(self);
	return 0;
}

void
guest_lane_up(struct guest *self, struct attach_lane *lane)
{
	if (lane->number < xen_disk_rings(self->disk))
		self->keepers[lane->number].lane = remote_backend(lane->remote);
	else
		lane_leave(lane);
}

/* What it could not finish and will not be finished by another process is an error. */
void
guest_lane_gone(struct guest *self, struct attach_lane *lane)
{
	struct keeper *keeper = &self->keepers[lane->number];

	if (lane->state < LANE_UP || self->attach->over) /* its ring is still lane 0's */
		return;
	keeper->lane = lane_backend(self, 0);
	if (self->ending_reason)
		attach_over(self->attach, self->ending_reason, 0, "the lane of one of the guest's rings was lost");
	else if (!self->is_stopping)
		keeper_give_up(keeper, -EIO);
}

bool
guest_is_idle(const struct guest *self)
{
	return self->disk == NULL || !xen_disk_is_connected(self->disk);
}

/* ---- the end ---- */

/* Its rings are its connections: it has them, and there is nobody new. */
void
guest_drain(struct guest *self)
{
	(void)self;
}

void
guest_release(struct guest *self)
{
	xen_disk_release(self->disk);
}

static void
give_up_all(struct guest *self, int status)
{
	for (unsigned i = 0; i < LIMIT_LANES; i++) {
		self->keepers[i].lane = NULL;
		keeper_give_up(&self->keepers[i], status);
	}
}

/* What is not answered stays in the shadow. */
static void
leave_rings(struct guest *self)
{
	if (self->disk) {
		xen_disk_leave(self->disk);
		give_up_all(self, -ESHUTDOWN);
	}
	attach_quit(self->attach);
}

void
guest_stop(struct guest *self, uint16_t reason)
{
	if (self->is_gone)
		leave_rings(self);
	else
		self->is_stopping = reason_heals(reason);
}

void
guest_ending(struct guest *self, uint16_t reason)
{
	if (!reason_heals(reason))
		return;
	self->ending_reason = reason;
	for (unsigned i = 0; i < LIMIT_LANES; i++)
		self->keepers[i].is_ending = true;
}

/* The lease was not to be had again, and the rings of the process before this one are still the guest's, with requests in them. */
static bool
take_orphans(struct guest *self)
{
	static const struct geometry nothing = {.logical_block = 512, .physical_block = 512, .most_payload = 512};
	struct xen_setup setup;
	struct error error = {0};

	if (!watcher_setup_of_shadow(self->shadow, &setup) || make_disk(self, &nothing, &error) < 0)
		return false;
	xen_disk_end(self->disk);
	if (rings_connect(self, &setup, &error) == 0)
		return true;
	log_notice("the rings that the process before this one served are not there any more: %s", error.text);
	return false;
}

/* Only errors from now on, until the frontend closes or the domain is gone: so that nobody in the guest waits for ever. */
void
guest_end(struct guest *self, uint16_t reason)
{
	bool is_left = self->is_stopping || self->ending_reason || reason_heals(reason);

	if (self->disk && !is_left) {
		xen_disk_end(self->disk);
		give_up_all(self, -EIO);
	}
	if (is_left || (self->disk ? guest_is_idle(self) : !take_orphans(self))) {
		leave_rings(self);
		return;
	}
	self->is_gone = true;
	log_notice("answers each request of domain %u, disk %u with an error until it lets go of the disk",
	    self->domain, self->device);
}

/* ---- the process ---- */

static int
number_of(int argc, char **argv, const char *name, uint32_t most, uint32_t *number, struct error *error)
{
	const char *text = attach_argument(argc, argv, name);
	uint64_t value;

	if (text == NULL || parse_number(text, 0, most, &value, NULL) < 0)
		return error_set(
		    error, -EINVAL, "%s needs a number from 0 to %u; netbusd starts this program", name, most);
	*number = (uint32_t)value;
	return 0;
}

/* Two processes on one ring would each answer the same requests: the lock lives as long as the process does. Memory that the file system does not have would kill
 * us when we write to it. */
static int
map_shadow(struct guest *self, struct error *error)
{
	const struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	void *shadow;
	int code;

	if (fcntl(FD_SHADOW, F_OFD_SETLK, &whole) < 0)
		return error_errno(error, -errno,
		    "cannot lock the shadow of domain %u, disk %u (does another process serve that disk?)",
		    self->domain, self->device);
	code = posix_fallocate(FD_SHADOW, 0, XEN_SHADOW_BYTES);
	if (code != 0)
		return error_errno(error, -code, "cannot make the shadow of domain %u, disk %u %zu bytes long",
		    self->domain, self->device, XEN_SHADOW_BYTES);
	shadow = mmap(NULL, XEN_SHADOW_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, FD_SHADOW, 0);
	if (shadow == MAP_FAILED)
		return error_errno(
		    error, -errno, "cannot map the shadow of domain %u, disk %u", self->domain, self->device);
	self->shadow = shadow;
	return 0;
}

int
guest_open(struct attach *attach, int argc, char **argv, struct error *error)
{
	int code;

	guest.attach = attach;
	attach->guest = &guest;
	code = number_of(argc, argv, "--domid", XEN_DOMID_MOST, &guest.domain, error);
	if (code == 0)
		code = number_of(argc, argv, "--device", UINT32_MAX, &guest.device, error);
	if (code == 0)
		code = map_shadow(&guest, error);
	if (code < 0)
		return code;
	guest.port = xen_port_open((uint16_t)guest.domain, error);
	if (guest.port == NULL)
		return error->code;
	return sandbox_become(attach_argument(argc, argv, "--user"), error);
}

bool
guest_take_message(struct guest *self, struct channel_message *message)
{
	if (message->number != MSG_XEN_WATCHER)
		return false;
	watcher_meet(self, message->fd);
	return true;
}

void
guest_free(struct guest *self)
{
	watcher_part(self);
	if (self->disk) {
		xen_disk_leave(self->disk);
		give_up_all(self, -ESHUTDOWN);
	}
	xen_disk_free(self->disk);
	xen_port_close(self->port);
	if (self->shadow)
		munmap(self->shadow, XEN_SHADOW_BYTES);
}
