/* SPDX-License-Identifier: Apache-2.0
 *
 * What netbus-xenwatch looks at of a disk, and when (daemon/xenwatch.h): its nodes, which the toolstack and the guest change, become events of frontend/xenbus.h. The guest's are hostile,
 * and looked at as often as a bucket allows.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/log.h"
#include "daemon/xenwatch.h"

/* How often one disk is looked at, whatever its guest does: a start takes some ten looks. Reading the rings counts as many, by their nodes. */
#define LOOKS_PER_SECOND 20u
#define LOOKS_DEPTH      40u
#define NODES_PER_LOOK   8u

#define RETRY_NS (1 * NS_PER_SEC)

void
look_init(struct disk *disk)
{
	bucket_init(&disk->looks, LOOKS_PER_SECOND, LOOKS_DEPTH, loop_now(disk->xenwatch->loop));
}

void
look_pay_for(struct disk *disk, const struct msg_xen_rings *rings)
{
	bucket_take(&disk->looks, rings->rings * (rings->pages + 1u) / NODES_PER_LOOK);
}

/* ---- the frontend's state ---- */

static void
frontend_path(const struct disk *disk, char path[static STORE_PATH_LEN])
{
	snprintf(path, STORE_PATH_LEN, "%.120s/state", disk->frontend);
}

void
look_watch(struct disk *disk)
{
	char path[STORE_PATH_LEN];

	frontend_path(disk, path);
	disk->is_watched = xs_watch(disk->xenwatch->store.handle, path, TOKEN_FRONTEND);
	if (!disk->is_watched)
		log_warning("%s cannot be watched: %s", path, strerror(errno));
}

void
look_unwatch(struct disk *disk)
{
	char path[STORE_PATH_LEN];

	if (!disk->is_watched)
		return;
	frontend_path(disk, path);
	xs_unwatch(disk->xenwatch->store.handle, path, TOKEN_FRONTEND);
	disk->is_watched = false;
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

void
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
	look_pay_for(disk, &disk->rings);
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

struct xenbus
look_first(struct disk *disk)
{
	struct said said;

	read_said(disk, &said);
	return xenbus_found(said.state, read_frontend_state(disk), said.is_online);
}

/* xenstored tells only dom0 which domains there are. All that a driver domain may read of another for sure is the frontend, which the toolstack takes away with the domain. */
bool
look_domain_is_there(struct disk *disk)
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
	return !disk->was_introduced && !disk_is_own(disk) && store_has(store, XBT_NULL, path);
}
