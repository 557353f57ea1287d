/* SPDX-License-Identifier: Apache-2.0
 *
 * What netbus-attach-xen and netbus-xenwatch say to each other: there is a device; here are the frontend's rings; let go of them. Runs in netbus-attach-xen.
 *
 * Numbers of rings come from the guest, by way of a process that has checked their range (wire/channel.def); that there are such pages and channels is checked by Xen.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/bytes.h"
#include "base/log.h"
#include "daemon/attach_xen.h"
#include "frontend/xen_ring.h"

static void
tell(struct guest *guest, uint16_t number, const void *message)
{
	int code;

	if (guest->watcher.fd < 0)
		return;
	code = channel_send(&guest->watcher, number, message, -1);
	if (code < 0) {
		log_warning("netbus-xenwatch cannot be told: %s; it will be started again", strerror(-code));
		watcher_part(guest);
	}
}

void
watcher_tell_ready(struct guest *guest)
{
	const struct msg_attached *attached = &guest->attach->attached;
	struct msg_xen_ready ready = {
	    .size = attached->size,
	    .logical_block = attached->logical_block,
	    .physical_block = attached->physical_block,
	    .flags = attached->flags,
	    .rings = attached->lanes,
	    .connected = xen_disk_is_connected(guest->disk),
	};

	tell(guest, MSG_XEN_READY, &ready);
}

void
watcher_tell_lie(struct guest *guest, const char *text)
{
	struct msg_xen_lie lie;

	snprintf(lie.text, sizeof lie.text, "%s", text);
	tell(guest, MSG_XEN_LIE, &lie);
}

static void
tell_up(struct guest *guest, const struct error *error)
{
	struct msg_xen_rings_up up = {.ok = error == NULL};

	if (error)
		snprintf(up.text, sizeof up.text, "%.255s", error->text);
	tell(guest, MSG_XEN_RINGS_UP, &up);
}

/* ---- rings ---- */

/* This host's own layout is that of x86_64, which arm has too. */
static int
parse_setup(const struct msg_xen_rings *rings, struct xen_setup *setup, struct error *error)
{
	unsigned count = rings->rings, pages = rings->pages;

	if (rings->channels.length != count * 4 || rings->refs.length != count * pages * 4 ||
	    pages > XEN_RING_PAGES_MAX || (pages & (pages - 1)) != 0)
		return error_set(error, -EINVAL, "%u rings of %u pages were named with %u channels and %u pages", count,
		    pages, (unsigned)(rings->channels.length / 4), (unsigned)(rings->refs.length / 4));
	*setup = (struct xen_setup){
	    .abi = rings->abi == XEN_PROTOCOL_X86_32 ? XEN_ABI_X86_32 : XEN_ABI_X86_64,
	    .rings = count,
	    .pages = pages,
	    .is_new = rings->anew,
	};
	for (unsigned i = 0; i < count; i++) {
		setup->ring[i].event_channel = get_be32(rings->channels.bytes + 4 * i);
		for (unsigned page = 0; page < pages; page++)
			setup->ring[i].references[page] = get_be32(rings->refs.bytes + 4 * (i * pages + page));
	}
	return 0;
}

bool
watcher_setup_of_shadow(const void *shadow, struct xen_setup *setup)
{
	const struct xen_shadow *from = shadow;

	*setup = (struct xen_setup){.abi = (enum xen_abi)from->abi, .rings = from->rings, .pages = from->pages};
	for (unsigned i = 0; i < XEN_RINGS_MAX; i++) {
		setup->ring[i].event_channel = from->ring[i].event_channel;
		memcpy(setup->ring[i].references, from->ring[i].references, sizeof setup->ring[i].references);
	}
	return xen_shadow_is_of(from, setup);
}

static void
connect_and_tell(struct guest *guest, const struct xen_setup *setup)
{
	struct error error = {0};

	if (rings_connect(guest, setup, &error) == 0) {
		tell_up(guest, NULL);
		return;
	}
	log_warning("the rings of domain %u, disk %u cannot be served: %s", guest->domain, guest->device, error.text);
	tell_up(guest, &error);
}

/* Of rings that are served already netbus-xenwatch has forgotten that; other ones take their place. */
static void
take_rings(struct guest *guest, const struct msg_xen_rings *rings)
{
	struct error error = {0};
	struct xen_setup setup = {0};

	if (guest->disk == NULL) {
		error_set(&error, -EAGAIN, "there is no device yet, or none any more");
		tell_up(guest, &error);
	} else if (parse_setup(rings, &setup, &error) < 0) {
		tell_up(guest, &error);
	} else if (!xen_disk_is_connected(guest->disk)) {
		connect_and_tell(guest, &setup);
	} else if (!guest->is_closing && !setup.is_new && xen_shadow_is_of(guest->shadow, &setup)) {
		tell_up(guest, NULL);
	} else {
		guest->next = setup;
		guest->has_next = true;
		xen_disk_disconnect(guest->disk);
	}
}

static void
take_close(struct guest *guest)
{
	guest->has_next = false;
	guest->is_closing = true;
	if (guest->disk) {
		xen_disk_disconnect(guest->disk);
		return;
	}
	xen_shadow_clear(guest->shadow);
	watcher_on_drained(guest);
}

void
watcher_on_drained(struct guest *guest)
{
	if (guest->is_closing)
		tell(guest, MSG_XEN_RINGS_DOWN, &(struct msg_xen_rings_down){0});
	guest->is_closing = false;
	if (guest->has_next) {
		guest->has_next = false;
		connect_and_tell(guest, &guest->next);
	}
}

/* ---- the channel ---- */

static void
on_watcher(struct watch *watch, uint32_t events)
{
	struct guest *guest = CONTAINER_OF(watch, struct guest, on_watcher);
	struct channel_message message;
	int got = 0;

	(void)events;
	while (guest->watcher.fd >= 0 && (got = channel_recv(&guest->watcher, &message)) > 0) {
		if (message.number == MSG_XEN_RINGS)
			take_rings(guest, &message.body.xen_rings);
		else
			take_close(guest);
	}
	if (guest->watcher.fd >= 0 && got != -EAGAIN)
		watcher_part(guest);
}

void
watcher_part(struct guest *guest)
{
	watch_stop(&guest->on_watcher);
	channel_close(&guest->watcher);
}

void
watcher_meet(struct guest *guest, int fd)
{
	watcher_part(guest);
	guest->watcher = (struct channel){.fd = fd, .self = ROLE_ATTACH_XEN, .peer = ROLE_XENWATCH, .state = CH_NEW};
	if (watch_start(guest->attach->loop, &guest->on_watcher, fd, EPOLLIN, on_watcher) < 0) {
		log_warning("cannot watch the channel to netbus-xenwatch");
		watcher_part(guest);
	} else if (guest->disk) {
		watcher_tell_ready(guest);
	}
}
