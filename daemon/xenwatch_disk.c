/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk's life in netbus-xenwatch (daemon/xenwatch.h): what the store, its netbus-attach-xen and the broker say becomes events of frontend/xenbus.h, and what follows is carried
 * out here. The frontend's state is the guest's, and hostile.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "daemon/xenwatch.h"

#define ASK_LEAST_NS   (1 * NS_PER_SEC)
#define ASK_MOST_NS    (30 * NS_PER_SEC)
#define REMOVE_LATE_NS (10 * NS_PER_SEC) /* libxl's, for its own */
#define CLOSE_LATE_NS  (20 * NS_PER_SEC)
#define LAST_WORD_NS   (2 * NS_PER_SEC) /* libxl then waits 10 s more for the nodes to go */

#define NODE_ACTIONS (XENBUS_WRITE_ERROR | XENBUS_PUBLISH | XENBUS_WRITE_OFFLINE | XENBUS_WRITE_STATE)

/* ---- the list ---- */

struct disk *
disk_find(struct xenwatch *xenwatch, uint32_t domid, uint32_t device)
{
	for (struct disk *disk = xenwatch->disks; disk; disk = disk->next)
		if (disk->domid == domid && disk->device == device && !disk->is_forgotten)
			return disk;
	return NULL;
}

bool
disk_is_own(const struct disk *disk)
{
	return strcmp(disk->type, DISK_OWN_TYPE) == 0;
}

struct disk *
disk_new(struct xenwatch *xenwatch, uint32_t domid, uint32_t device, const char *type)
{
	struct disk *disk = xenwatch->disk_count < LIMIT_ATTACHMENTS ? calloc(1, sizeof *disk) : NULL;

	if (disk == NULL) {
		log_error("disk %u of domain %u cannot be served: this host serves %u already", device, domid,
		    xenwatch->disk_count);
		return NULL;
	}
	disk->xenwatch = xenwatch;
	disk->domid = domid;
	disk->device = device;
	disk->channel.fd = -1;
	disk->ask_after_ns = ASK_LEAST_NS;
	snprintf(disk->type, sizeof disk->type, "%s", type);
	snprintf(disk->backend, sizeof disk->backend, "/local/domain/%u/backend/%s/%u/%u", xenwatch->store.domid, type,
	    domid, device);
	snprintf(disk->frontend, sizeof disk->frontend, "/local/domain/%u/device/vbd/%u", domid, device);
	vdev_print(device, disk->vdev);
	look_init(disk);
	disk->next = xenwatch->disks;
	if (disk->next)
		disk->next->prev = disk;
	xenwatch->disks = disk;
	xenwatch->disk_count++;
	return disk;
}

static void
close_channel(struct disk *disk)
{
	watch_stop(&disk->on_channel);
	channel_close(&disk->channel);
	disk->is_ready = disk->is_awaited = false;
}

void
disk_free(struct disk *disk)
{
	struct xenwatch *xenwatch = disk->xenwatch;

	close_channel(disk);
	timer_stop(&disk->ask);
	timer_stop(&disk->late);
	timer_stop(&disk->last);
	timer_stop(&disk->calm);
	look_unwatch(disk);
	if (disk->prev)
		disk->prev->next = disk->next;
	else
		xenwatch->disks = disk->next;
	if (disk->next)
		disk->next->prev = disk->prev;
	xenwatch->disk_count--;
	free(disk);
}

/* Its watch goes at once, so that a disk that takes its place has its own. */
void
disk_forget(struct disk *disk)
{
	look_unwatch(disk);
	disk->is_forgotten = true;
	disk_touch(disk);
}

static void
tell_gone(struct disk *disk)
{
	const struct msg_xen_gone gone = {disk->domid, disk->device};

	xenwatch_tell(disk->xenwatch, MSG_XEN_GONE, &gone);
}

/* ---- its beginning ---- */

void
disk_check_domain(struct disk *disk)
{
	if (disk->is_forgotten || look_domain_is_there(disk))
		return;
	if (disk->has_nodes) {
		disk_event(disk, (struct xenbus_event){.kind = XENBUS_ON_DOMAIN_GONE});
	} else if (disk->is_placed) {
		tell_gone(disk);
		disk_forget(disk);
	}
}

void
disk_begin(struct disk *disk)
{
	disk->bus = look_first(disk);
	disk->has_nodes = true;
	look_watch(disk);
	log_info("%s of domain %u: %s of %s, %s/%s", disk->vdev, disk->domid, disk->target.share.text,
	    disk->target.exporter.text, xenbus_state_name(disk->bus.backend), xenbus_state_name(disk->bus.frontend));
	/* A process that has rings of it says so in a moment. */
	disk->is_awaited = disk->channel.fd >= 0 && !disk->is_ready;
	if (disk->is_awaited)
		look_later(disk);
	disk_touch(disk);
	disk_check_domain(disk);
}

/* ---- asking for the device ---- */

static bool
may_ask(const struct disk *disk)
{
	return !disk->is_forgotten && disk->has_nodes && disk->bus.device == XENBUS_AWAY && !disk->bus.is_offline &&
	       !disk->bus.is_dead && disk->channel.fd < 0;
}

static void
on_ask(struct timer *timer)
{
	struct disk *disk = CONTAINER_OF(timer, struct disk, ask);

	disk_ask_now(disk);
}

static void
ask_later(struct disk *disk)
{
	if (!may_ask(disk))
		return;
	timer_start(disk->xenwatch->loop, &disk->ask, disk->ask_after_ns, on_ask);
	disk->ask_after_ns = disk->ask_after_ns * 2 > ASK_MOST_NS ? ASK_MOST_NS : disk->ask_after_ns * 2;
}

/* A guest that is connected only waits, and so do its nodes. */
void
disk_wait(struct disk *disk, const char *why)
{
	log_notice("%s of domain %u waits: %s", disk->vdev, disk->domid, why);
	snprintf(disk->why, sizeof disk->why, "%s", why);
	if (disk->bus.backend == XENBUS_INITIALISING && !xenbus_is_ending(&disk->bus))
		nodes_write(disk, NODES_WAITING);
	ask_later(disk);
}

void
disk_ask_now(struct disk *disk)
{
	struct msg_xen_disk ask = {.domid = disk->domid, .device = disk->device, .mode = disk->mode};
	struct error error = {0};

	timer_stop(&disk->ask);
	if (!may_ask(disk))
		return;
	if (find_domain_names(&disk->xenwatch->store, disk->domid, ask.domain, ask.uuid, &error) < 0) {
		disk_wait(disk, error.text);
		return;
	}
	snprintf(ask.vdev, sizeof ask.vdev, "%s", disk->vdev);
	snprintf(ask.exporter, sizeof ask.exporter, "%s", disk->target.exporter.text);
	snprintf(ask.share, sizeof ask.share, "%s", disk->target.share.text);
	xenwatch_tell(disk->xenwatch, MSG_XEN_DISK, &ask);
}

/* ---- carrying out ---- */

static void
lose_channel(struct disk *disk)
{
	close_channel(disk);
	if (disk->has_nodes)
		disk_event(disk, (struct xenbus_event){.kind = XENBUS_ON_DEVICE_LOST});
	else if (!disk->is_placed)
		disk_forget(disk);
}

static void
send_to_attach(struct disk *disk, uint16_t number, const void *message)
{
	int code = disk->channel.fd < 0 ? -EPIPE : channel_send(&disk->channel, number, message, -1);

	if (code == 0)
		return;
	log_warning("%s of domain %u: its netbus-attach-xen does not take messages: %s", disk->vdev, disk->domid,
	    strerror(-code));
	lose_channel(disk);
}

static void
refuse_rings(struct disk *disk, const char *why)
{
	log_warning("%s of domain %u: %s", disk->vdev, disk->domid, why);
	snprintf(disk->why, sizeof disk->why, "%s", why);
	disk_event(disk, (struct xenbus_event){.kind = XENBUS_ON_RINGS_REFUSED});
}

static void
send_rings(struct disk *disk)
{
	struct msg_xen_rings rings = {0};
	struct error error = {0};

	if (nodes_read_rings(disk, &rings, &error) < 0) {
		refuse_rings(disk, error.text);
		return;
	}
	look_pay_for(disk, &rings);
	rings.anew = !xenbus_is_recovery(&disk->bus);
	disk->rings = rings;
	send_to_attach(disk, MSG_XEN_RINGS, &rings);
}

static void
on_late(struct timer *timer)
{
	struct disk *disk = CONTAINER_OF(timer, struct disk, late);

	if (disk->bus.rings == XENBUS_RINGS_LEAVING)
		log_warning("%s of domain %u: netbus-attach-xen does not let go of its rings", disk->vdev, disk->domid);
	disk_event(disk, (struct xenbus_event){.kind = XENBUS_ON_LATE});
	if (!disk->is_forgotten && disk->bus.rings == XENBUS_RINGS_LEAVING)
		timer_start(disk->xenwatch->loop, &disk->late, CLOSE_LATE_NS, on_late);
}

static void
send_close(struct disk *disk)
{
	const struct msg_xen_close close_now = {.gone = disk->bus.is_dead || disk->bus.is_vanished};

	if (!disk->bus.is_removing)
		timer_start(disk->xenwatch->loop, &disk->late, CLOSE_LATE_NS, on_late);
	send_to_attach(disk, MSG_XEN_CLOSE, &close_now);
}

static void
write_down(struct disk *disk, unsigned actions)
{
	int code = nodes_write(disk, actions);

	if (code == 0)
		return;
	if (code == -ENOENT) {
		disk_event(disk, (struct xenbus_event){.kind = XENBUS_ON_VANISHED});
		return;
	}
	log_warning("cannot write the nodes of %s of domain %u: %s", disk->vdev, disk->domid, strerror(-code));
	disk->unwritten |= actions;
	look_later(disk);
}

static void
on_last(struct timer *timer)
{
	struct disk *disk = CONTAINER_OF(timer, struct disk, last);

	nodes_remove(disk);
	disk_forget(disk);
}

/*
 * What is removed at once needs no last word. A driver domain's nodes are not: libxl takes them for lost when they go before it has read that they are Closed, and nobody tells when
 * it has.
 */
static unsigned
end_nodes(struct disk *disk, unsigned actions)
{
	if (!(actions & XENBUS_REMOVE_NODES) || !nodes_are_ours(disk))
		return actions;
	if (disk->xenwatch->store.domid == 0)
		return actions & ~(unsigned)NODE_ACTIONS;
	timer_start(disk->xenwatch->loop, &disk->last, LAST_WORD_NS, on_last);
	return actions & ~(unsigned)(XENBUS_REMOVE_NODES | XENBUS_FORGET);
}

static void
carry_out(struct disk *disk, unsigned actions)
{
	const struct msg_xen_held held = {disk->domid, disk->device};

	actions = end_nodes(disk, actions);
	if (actions & NODE_ACTIONS)
		write_down(disk, actions & NODE_ACTIONS);
	if (actions & XENBUS_ASK_DEVICE)
		ask_later(disk);
	if (actions & XENBUS_REMOVE_NODES)
		nodes_remove(disk);
	if (actions & XENBUS_TELL_HELD)
		xenwatch_tell(disk->xenwatch, MSG_XEN_HELD, &held);
	if (actions & XENBUS_TELL_GONE)
		tell_gone(disk);
	if (actions & XENBUS_FORGET)
		disk_forget(disk);
	/* Last, since what fails in them is an event of its own. */
	if (actions & XENBUS_SEND_CLOSE)
		send_close(disk);
	if (actions & XENBUS_SEND_RINGS)
		send_rings(disk);
}

void
disk_event(struct disk *disk, struct xenbus_event event)
{
	unsigned actions;

	if (disk->is_forgotten || !disk->has_nodes)
		return;
	actions = xenbus_step(&disk->bus, &event);
	if (actions & XENBUS_WRITE_STATE)
		log_info("%s of domain %u: %s, its frontend %s", disk->vdev, disk->domid,
		    xenbus_state_name(disk->bus.backend), xenbus_state_name(disk->bus.frontend));
	carry_out(disk, actions);
}

/* ---- what others say ---- */

void
disk_refuse(struct disk *disk, const char *why)
{
	timer_stop(&disk->ask);
	log_notice("%s of domain %u is not served: %s", disk->vdev, disk->domid, why);
	snprintf(disk->why, sizeof disk->why, "%s", why);
	if (!disk->has_nodes) {
		disk_forget(disk);
		return;
	}
	disk_event(disk, (struct xenbus_event){.kind = XENBUS_ON_DEVICE_OVER, .has_rings = disk->channel.fd >= 0});
	/* An operator's goes from the guest as soon as that lets go of it: no toolstack knows of it, and its place must be free for the next attach. */
	if (disk_is_own(disk))
		disk_event(disk, (struct xenbus_event){.kind = XENBUS_ON_REMOVE});
}

void
disk_remove(struct disk *disk)
{
	if (!disk->has_nodes) {
		tell_gone(disk);
		disk_forget(disk);
		return;
	}
	timer_start(disk->xenwatch->loop, &disk->late, REMOVE_LATE_NS, on_late);
	disk_event(disk, (struct xenbus_event){.kind = XENBUS_ON_REMOVE});
}

/* An operator's disk gets its nodes; one whose nodes were gone when we came has to be let go. */
static void
take_up(struct disk *disk)
{
	const struct msg_xen_close close_now = {.gone = 1};
	struct error error = {0};

	if (!disk->is_placed)
		error_set(&error, -ENOENT, "its nodes are gone");
	else if (nodes_create(disk, &error) == 0) {
		disk_begin(disk);
		return;
	}
	log_warning("%s of domain %u is let go: %s", disk->vdev, disk->domid, error.text);
	channel_send(&disk->channel, MSG_XEN_CLOSE, &close_now, -1);
	tell_gone(disk);
	disk_forget(disk);
}

static void
take_ready(struct disk *disk, const struct msg_xen_ready *ready)
{
	disk->ready = *ready;
	disk->is_ready = true;
	disk->is_awaited = false;
	disk->ask_after_ns = ASK_LEAST_NS;
	if (!disk->has_nodes)
		take_up(disk);
	disk_event(disk, (struct xenbus_event){.kind = XENBUS_ON_DEVICE, .has_rings = ready->connected});
	disk_touch(disk);
}

static void
take_message(struct disk *disk, const struct channel_message *message)
{
	switch (message->number) {
	case MSG_XEN_READY:
		take_ready(disk, &message->body.xen_ready);
		return;
	case MSG_XEN_RINGS_UP:
		if (message->body.xen_rings_up.ok)
			disk_event(disk, (struct xenbus_event){.kind = XENBUS_ON_RINGS_UP});
		else
			refuse_rings(disk, message->body.xen_rings_up.text);
		return;
	case MSG_XEN_RINGS_DOWN:
		disk_event(disk, (struct xenbus_event){.kind = XENBUS_ON_RINGS_DOWN});
		return;
	case MSG_XEN_LIE:
		snprintf(
		    disk->why, sizeof disk->why, "the guest broke the block protocol: %s", message->body.xen_lie.text);
		log_warning("%s of domain %u: %s", disk->vdev, disk->domid, disk->why);
		disk_event(disk, (struct xenbus_event){.kind = XENBUS_ON_LIE});
		return;
	}
}

static void
on_channel(struct watch *watch, uint32_t events)
{
	struct disk *disk = CONTAINER_OF(watch, struct disk, on_channel);
	struct channel_message message;
	int got = 0;

	(void)events;
	while (disk->channel.fd >= 0 && !disk->is_forgotten && (got = channel_recv(&disk->channel, &message)) > 0)
		take_message(disk, &message);
	if (disk->is_forgotten)
		watch_stop(watch);
	else if (disk->channel.fd >= 0 && got != -EAGAIN)
		lose_channel(disk);
}

void
disk_channel(struct disk *disk, int fd)
{
	if (disk->channel.fd >= 0)
		lose_channel(disk);
	timer_stop(&disk->ask);
	disk->is_forgotten = false;
	disk->channel = (struct channel){
	    .fd = fd, .self = ROLE_XENWATCH, .peer = ROLE_ATTACH_XEN, .state = CH_NEW, .id = disk->device};
	if (watch_start(disk->xenwatch->loop, &disk->on_channel, fd, EPOLLIN, on_channel) < 0) {
		log_error("%s of domain %u: its channel cannot be watched", disk->vdev, disk->domid);
		lose_channel(disk);
	}
}
