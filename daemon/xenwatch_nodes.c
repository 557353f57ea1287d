/* SPDX-License-Identifier: Apache-2.0
 *
 * What netbus-xenwatch writes about a disk, and what it reads of its rings (daemon/xenwatch.h; the nodes are <xen/io/blkif.h>'s and libxl's).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "daemon/xenwatch.h"
#include "frontend/xen_headers.h"

static int
node_path(char path[static STORE_PATH_LEN], const char *directory, const char *name)
{
	return path_print(path, STORE_PATH_LEN, "%s/%s", directory, name);
}

/* ---- in a transaction ---- */

struct writing {
	struct disk *disk;
	unsigned actions;
};

/* A node that says so already is left alone: nobody who watches is woken, and we are not. */
static int
put_text(struct store *store, xs_transaction_t at, const char *directory, const char *name, const char *text)
{
	char path[STORE_PATH_LEN], value[XEN_VALUE_MOST + 1];
	int length;

	if (node_path(path, directory, name) < 0)
		return -ENAMETOOLONG;
	length = store_read(store, at, path, value);
	if (length >= 0 && strlen(text) == (size_t)length && memcmp(value, text, (size_t)length) == 0)
		return 0;
	return store_write(store, at, path, text);
}

static int
put_number(struct store *store, xs_transaction_t at, const char *directory, const char *name, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof text, "%lu", (unsigned long)number);
	return put_text(store, at, directory, name, text);
}

static int
remove_node(struct store *store, xs_transaction_t at, const char *directory, const char *name)
{
	char path[STORE_PATH_LEN];

	return node_path(path, directory, name) < 0 ? -ENAMETOOLONG : store_remove(store, at, path);
}

struct property {
	const char *name;
	uint64_t value;
};

/* `sectors` counts 512 bytes, whatever the device's block is; what is less than a block at its end is not offered. */
static int
put_properties(struct store *store, xs_transaction_t at, const struct disk *disk)
{
	const struct msg_xen_ready *ready = &disk->ready;
	bool is_read_only = disk->mode == ACCESS_RO || (ready->flags & DEVICE_READ_ONLY);
	bool can_discard = !is_read_only && (ready->flags & DEVICE_DISCARD);
	const struct property properties[] = {
	    {"sectors", ready->size / ready->logical_block * (ready->logical_block / 512)},
	    {"sector-size", ready->logical_block},
	    {"physical-sector-size", ready->physical_block},
	    {"info", is_read_only ? VDISK_READONLY : 0},
	    {"feature-flush-cache", (ready->flags & DEVICE_FLUSH) != 0},
	    {"feature-barrier", 0},
	    {"feature-discard", can_discard},
	    {"discard-granularity", ready->logical_block},
	    {"discard-alignment", 0},
	    {"discard-secure", 0},
	    {"feature-max-indirect-segments", LIMIT_XEN_SEGMENTS},
	    {"feature-persistent", 0},
	    {"multi-queue-max-queues", ready->rings},
	    {"max-ring-page-order", XEN_RING_ORDER_MOST},
	};
	int code = 0;

	for (size_t i = 0; i < ARRAY_LENGTH(properties) && code == 0; i++)
		code = put_number(store, at, disk->backend, properties[i].name, properties[i].value);
	return code;
}

static int
clear_error(struct store *store, xs_transaction_t at, const struct disk *disk)
{
	int code = put_text(store, at, disk->backend, "hotplug-status", "connected");

	if (code == 0)
		code = remove_node(store, at, disk->backend, "hotplug-error");
	if (code == 0)
		code = remove_node(store, at, disk->backend, "waiting");
	return code < 0 ? code : remove_node(store, at, disk->backend, "error");
}

/* `error` is what xenbus drivers write, `hotplug-error` what libxl prints. */
static int
put_error(struct store *store, xs_transaction_t at, const struct disk *disk)
{
	int code = put_text(store, at, disk->backend, "error", disk->why);

	if (code == 0)
		code = put_text(store, at, disk->backend, "hotplug-error", disk->why);
	if (code == 0)
		code = remove_node(store, at, disk->backend, "waiting");
	return code < 0 ? code : put_text(store, at, disk->backend, "hotplug-status", "error");
}

/* There is a device, or its rings are up: what was wrong is over. */
static bool
is_served(const struct disk *disk, unsigned actions)
{
	return (actions & XENBUS_PUBLISH) || ((actions & XENBUS_WRITE_STATE) && disk->bus.backend == XENBUS_CONNECTED);
}

static int
write_nodes(struct store *store, xs_transaction_t at, void *owner)
{
	const struct writing *writing = owner;
	const struct disk *disk = writing->disk;
	char state[STORE_PATH_LEN];
	int code = node_path(state, disk->backend, "state");

	if (code < 0)
		return code;
	/* Writing would make again what the toolstack has just removed. */
	if (!store_has(store, at, state))
		return -ENOENT;
	if (writing->actions & XENBUS_WRITE_ERROR)
		code = put_error(store, at, disk);
	else if (is_served(disk, writing->actions))
		code = clear_error(store, at, disk);
	else if (writing->actions & NODES_WAITING)
		code = put_text(store, at, disk->backend, "waiting", disk->why);
	if (code == 0 && (writing->actions & XENBUS_PUBLISH))
		code = put_properties(store, at, disk);
	if (code == 0 && (writing->actions & XENBUS_WRITE_OFFLINE))
		code = put_text(store, at, disk->backend, "online", "0");
	if (code == 0 && (writing->actions & XENBUS_WRITE_STATE))
		code = put_number(store, at, disk->backend, "state", disk->bus.backend);
	return code;
}

int
nodes_write(struct disk *disk, unsigned actions)
{
	struct writing writing = {disk, actions};

	return store_transact(&disk->xenwatch->store, write_nodes, &writing);
}

/* ---- our own type ---- */

struct creation {
	struct disk *disk;
	bool is_taken;
};

static int
make_backend(struct store *store, xs_transaction_t at, const struct disk *disk)
{
	char params[XEN_PARAMS_LEN];
	const struct {
		const char *name, *text;
	} texts[] = {
	    {"frontend", disk->frontend},
	    {"params", params},
	    {"mode", disk->mode == ACCESS_RW ? "w" : "r"},
	    {"type", disk->type},
	    {"dev", disk->vdev},
	    {"device-type", "disk"},
	    {"online", "1"},
	    {"removable", "1"},
	    {"bootable", "0"},
	    {"state", "1"},
	};
	int code = store_make(store, at, disk->backend, store->domid, disk->domid);

	xen_target_print(disk->target.exporter.text, disk->target.share.text, params);
	for (size_t i = 0; i < ARRAY_LENGTH(texts) && code == 0; i++)
		code = put_text(store, at, disk->backend, texts[i].name, texts[i].text);
	return code < 0 ? code : put_number(store, at, disk->backend, "frontend-id", disk->domid);
}

static int
make_frontend(struct store *store, xs_transaction_t at, const struct disk *disk)
{
	int code = store_make(store, at, disk->frontend, disk->domid, store->domid);

	if (code == 0)
		code = put_text(store, at, disk->frontend, "backend", disk->backend);
	if (code == 0)
		code = put_number(store, at, disk->frontend, "backend-id", store->domid);
	if (code == 0)
		code = put_number(store, at, disk->frontend, "virtual-device", disk->device);
	if (code == 0)
		code = put_text(store, at, disk->frontend, "device-type", "disk");
	if (code == 0)
		code = put_text(store, at, disk->frontend, "trusted", "1");
	return code < 0 ? code : put_text(store, at, disk->frontend, "state", "1");
}

static int
create_nodes(struct store *store, xs_transaction_t at, void *owner)
{
	struct creation *creation = owner;
	const struct disk *disk = creation->disk;
	int code;

	creation->is_taken = store_has(store, at, disk->backend) || store_has(store, at, disk->frontend);
	if (creation->is_taken)
		return -EEXIST;
	code = make_backend(store, at, disk);
	return code < 0 ? code : make_frontend(store, at, disk);
}

int
nodes_create(struct disk *disk, struct error *error)
{
	struct creation creation = {.disk = disk};
	int code = store_transact(&disk->xenwatch->store, create_nodes, &creation);

	if (creation.is_taken)
		return error_set(error, -EEXIST, "%s of domain %u was taken in the meantime", disk->vdev, disk->domid);
	return code < 0 ? error_errno(error, code, "cannot write the nodes of %s of domain %u", disk->vdev, disk->domid)
			: 0;
}

/* ---- the end ---- */

/* libxl removes in dom0 what libxl wrote; of a driver domain's, only the driver domain can, and libxl waits for it. */
bool
nodes_are_ours(const struct disk *disk)
{
	return disk->xenwatch->store.domid != 0 || disk_is_own(disk);
}

static int
remove_nodes(struct store *store, xs_transaction_t at, void *owner)
{
	const struct disk *disk = owner;
	int code = store_remove(store, at, disk->backend);

	if (code == 0 && disk_is_own(disk))
		code = store_remove(store, at, disk->frontend);
	return code;
}

/* The directory above, when this was the last. */
static void
remove_parent(struct store *store, const struct disk *disk)
{
	char path[STORE_PATH_LEN];
	unsigned count = 1;
	AUTO_FREE char **names = NULL;

	if (path_print(path, sizeof path, "/local/domain/%u/backend/%s/%u", store->domid, disk->type, disk->domid) < 0)
		return;
	names = store_list(store, path, &count);
	if (names && count == 0)
		store_remove(store, XBT_NULL, path);
}

void
nodes_remove(struct disk *disk)
{
	struct store *store = &disk->xenwatch->store;
	int code;

	if (!nodes_are_ours(disk))
		return;
	code = store_transact(store, remove_nodes, disk);
	if (code < 0)
		log_warning("cannot remove the nodes of %s of domain %u: %s", disk->vdev, disk->domid, strerror(-code));
	else
		remove_parent(store, disk);
}

/* ---- what the guest wrote ---- */

static int
read_frontend(void *owner, const char *name, char *value)
{
	struct disk *disk = owner;
	char path[STORE_PATH_LEN];

	return node_path(path, disk->frontend, name) < 0 ? -ENAMETOOLONG
							 : store_read(&disk->xenwatch->store, XBT_NULL, path, value);
}

int
nodes_read_rings(struct disk *disk, struct msg_xen_rings *rings, struct error *error)
{
	return xen_rings_parse(read_frontend, disk, disk->ready.rings, rings, error);
}
