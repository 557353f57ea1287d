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

/* How often one disk is looked at, whatever its guest does: a start takes some ten looks. Reading the rings counts as many, by their nodes. */
#define LOOKS_PER_SECOND 20u
#define LOOKS_DEPTH      40u
#define NODES_PER_LOOK   8u

#define ASK_LEAST_NS   (1 * NS_PER_SEC)
#define ASK_MOST_NS    (30 * NS_PER_SEC)
#define REMOVE_LATE_NS (10 * NS_PER_SEC) /* libxl's, for its own */
#define CLOSE_LATE_NS  (20 * NS_PER_SEC)
#define RETRY_NS       (1 * NS_PER_SEC)
#define LAST_WORD_NS   (2 * NS_PER_SEC) /* libxl then waits 10 s more for the nodes to go */

#define NODE_ACTIONS (XENBUS_WRITE_ERROR | XENBUS_PUBLISH | XENBUS_WRITE_OFFLINE | XENBUS_WRITE_STATE)

static void disk_event(struct disk *disk, struct xenbus_event event);

/* ---- the list ---- */

struct disk *
disk_find(struct xenwatch *xenwatch, uint32_t domid, uint32_t device)
{
	for (struct disk *disk = xenwatch->disks; disk; disk = disk->next)
		if (disk->domid == domid && disk->device == device && !disk->is_forgotten)
			return disk;
	return NULL;
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
	bucket_init(&disk->looks, LOOKS_PER_SECOND, LOOKS_DEPTH, loop_now(xenwatch->loop));
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
	if (disk->channel.fd >= 0)
		close(take_fd(&disk->channel.fd));
	disk->is_ready = disk->is_awaited = false;
}

static void
frontend_path(const struct disk *disk, char path[static STORE_PATH_LEN])
{
	snprintf(path, STORE_PATH_LEN, "%.120s/state", disk->frontend);
}

void
disk_free(struct disk *disk)
{
	struct xenwatch *xenwatch = disk->xenwatch;
	char path[STORE_PATH_LEN];

	close_channel(disk);
	timer_stop(&disk->ask);
	timer_stop(&disk->late);
	timer_stop(&disk->last);
	timer_stop(&disk->calm);
	frontend_path(disk, path);
	if (disk->is_watched)
		xs_unwatch(xenwatch->store.handle, path, "frontend");
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
	char path[STORE_PATH_LEN];

	frontend_path(disk, path);
	if (disk->is_watched)
		xs_unwatch(disk->xenwatch->store.handle, path, "frontend");
	disk->is_watched = false;
	disk->is_forgotten = true;
	disk_touch(disk);
}

static void
tell_gone(struct disk *disk)
{
	const struct msg_xen_gone gone = {disk->domid, disk->device};

	xenwatch_tell(disk->xenwatch, MSG_XEN_GONE, &gone);
}

/* ---- looking ---- */

static void
on_calm(struct timer *timer)
{
	struct disk *disk = CONTAINER_OF(timer, struct disk, calm);

	disk->is_awaited = false;
	disk->is_dirty = true;
	disk_look_if_touched(disk);
}

void
disk_touch(struct disk *disk)
{
	disk->is_dirty = true;
	xenwatch_sweep(disk->xenwatch);
}

/* A guest that writes its state all the time has it looked at as often as is fair. */
static bool
may_look(struct disk *disk)
{
	uint64_t wait;

	bucket_fill(&disk->looks, loop_now(disk->xenwatch->loop));
	if (bucket_has(&disk->looks)) {
		bucket_take(&disk->looks, 1);
		return true;
	}
	wait = bucket_wait_ns(&disk->looks);
	timer_start(disk->xenwatch->loop, &disk->calm, wait ? wait : 1, on_calm);
	return false;
}

static void
look_later(struct disk *disk)
{
	timer_start(disk->xenwatch->loop, &disk->calm, RETRY_NS, on_calm);
}

static enum xenbus_state
read_frontend_state(struct disk *disk)
{
	char path[STORE_PATH_LEN], value[XEN_VALUE_MOST + 1];

	frontend_path(disk, path);
	return xen_state_parse(value, store_read(&disk->xenwatch->store, XBT_NULL, path, value));
}

/* The frontend says again that it has set up rings: are they the ones that it had? */
static bool
is_renewed(struct disk *disk, enum xenbus_state frontend)
{
	struct msg_xen_rings rings = {0};

	if (frontend != XENBUS_INITIALISED || disk->bus.frontend != frontend ||
	    (disk->bus.rings != XENBUS_RINGS_ASKED && disk->bus.rings != XENBUS_RINGS_UP) || disk->rings.rings == 0)
		return false;
	bucket_take(&disk->looks, disk->rings.rings * (disk->rings.pages + 1u) / NODES_PER_LOOK);
	if (nodes_read_rings(disk, &rings, NULL) < 0)
		return false;
	rings.anew = disk->rings.anew;
	return memcmp(&rings, &disk->rings, sizeof rings) != 0;
}

/* What our nodes say. */
struct said {
	const struct disk *disk;
	enum xenbus_state state;
	bool is_online;
};

static int
read_backend(struct store *store, xs_transaction_t at, void *owner)
{
	struct said *said = owner;
	char path[STORE_PATH_LEN], value[XEN_VALUE_MOST + 1];
	int length;

	snprintf(path, sizeof path, "%.120s/online", said->disk->backend);
	length = store_read(store, at, path, value);
	said->is_online = !(length == 1 && value[0] == '0');
	snprintf(path, sizeof path, "%.120s/state", said->disk->backend);
	length = store_read(store, at, path, value);
	said->state = xen_state_parse(value, length);
	return length == -ENOENT ? -ENOENT : 0;
}

/* A toolstack that takes the disk away writes both at once, and half of that means something else. -ENOENT: they are gone. */
static int
read_said(struct disk *disk, struct said *said)
{
	*said = (struct said){.disk = disk};
	return store_transact(&disk->xenwatch->store, read_backend, said);
}

static void
look_at_backend(struct disk *disk)
{
	struct said said;
	int code = read_said(disk, &said);

	if (disk->xenwatch->store.is_broken)
		return;
	if (code == -ENOENT)
		disk_event(disk, (struct xenbus_event){.kind = XENBUS_ON_VANISHED});
	else if (code == 0)
		disk_event(disk,
		    (struct xenbus_event){.kind = XENBUS_ON_BACKEND, .state = said.state, .is_online = said.is_online});
	else
		look_later(disk);
}

static void
look_at_frontend(struct disk *disk)
{
	enum xenbus_state state = read_frontend_state(disk);

	if (disk->xenwatch->store.is_broken)
		return;
	disk_event(disk,
	    (struct xenbus_event){.kind = XENBUS_ON_FRONTEND, .state = state, .is_renewed = is_renewed(disk, state)});
}

static void
write_again(struct disk *disk)
{
	unsigned actions = disk->unwritten;

	disk->unwritten = 0;
	if (actions && nodes_write(disk, actions) < 0)
		disk->unwritten = actions;
}

static void
look(struct disk *disk)
{
	disk->is_dirty = false;
	look_at_backend(disk);
	if (!disk->is_forgotten)
		look_at_frontend(disk);
	if (!disk->is_forgotten)
		write_again(disk);
	if (disk->xenwatch->store.is_broken)
		xenwatch_lost_store(disk->xenwatch);
}

void
disk_look_if_touched(struct disk *disk)
{
	if (!disk->is_dirty || disk->is_forgotten || !disk->has_nodes || disk->is_awaited)
		return;
	if (may_look(disk))
		look(disk);
}

/* xenstored tells only dom0 which domains there are. All that a driver domain may read of another for sure is the frontend, which the toolstack takes away with the domain. */
static bool
is_domain_there(struct disk *disk)
{
	struct store *store = &disk->xenwatch->store;
	char path[STORE_PATH_LEN];

	if (store->domid != 0)
		return store_has(store, XBT_NULL, disk->frontend);
	if (store_is_introduced(store, disk->domid)) {
		disk->was_introduced = true;
		return true;
	}
	/* A disk of another's is written before its domain is known to xenstored, so that only who was known is gone. */
	snprintf(path, sizeof path, "/local/domain/%u", disk->domid);
	return !disk->was_introduced && strcmp(disk->type, DISK_OWN_TYPE) != 0 && store_has(store, XBT_NULL, path);
}

void
disk_check_domain(struct disk *disk)
{
	if (disk->is_forgotten || is_domain_there(disk))
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
	char path[STORE_PATH_LEN];
	struct said said;

	read_said(disk, &said);
	disk->bus = xenbus_found(said.state, read_frontend_state(disk), said.is_online);
	disk->has_nodes = true;
	frontend_path(disk, path);
	disk->is_watched = xs_watch(disk->xenwatch->store.handle, path, "frontend");
	if (!disk->is_watched)
		log_warning("%s cannot be watched: %s", path, strerror(errno));
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
	bucket_take(&disk->looks, rings.rings * (rings.pages + 1u) / NODES_PER_LOOK);
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

static void
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
	if (strcmp(disk->type, DISK_OWN_TYPE) == 0)
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
