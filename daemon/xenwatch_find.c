/* SPDX-License-Identifier: Apache-2.0
 *
 * Which disks are ours: the backend nodes of the served types whose target is a netbus share (daemon/xenwatch.h). Nodes of others, QEMU's among them, are left alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "daemon/xenwatch.h"

/* ---- one disk ---- */

/* Nodes that a toolstack has written in full. */
struct found {
	uint32_t domid, device;
	const char *type;
	char backend[STORE_PATH_LEN];
	struct xen_target target;
	uint8_t mode;
};

static int
read_below(struct store *store, const char *directory, const char *name, char value[static XEN_VALUE_MOST + 1])
{
	char path[STORE_PATH_LEN];

	return path_print(path, sizeof path, "%s/%s", directory, name) < 0 ? -ENAMETOOLONG
									   : store_read(store, XBT_NULL, path, value);
}

/* Everything that says what the disk is must be the toolstack's own. */
static bool
is_believed(struct store *store, const char *backend)
{
	static const char *const names[] = {"params", "mode", "online", "state"};
	char path[STORE_PATH_LEN];

	if (!store_is_toolstacks(store, backend))
		return false;
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (path_print(path, sizeof path, "%s/%s", backend, names[i]) < 0 || !store_is_toolstacks(store, path))
			return false;
	return true;
}

/* What its toolstack took away, or we did, and only the nodes are left. */
static bool
is_left_over(struct store *store, const char *backend)
{
	char state[XEN_VALUE_MOST + 1], online[XEN_VALUE_MOST + 1];
	int state_length = read_below(store, backend, "state", state);

	return xen_state_parse(state, state_length) == XENBUS_CLOSED &&
	       read_below(store, backend, "online", online) == 1 && online[0] == '0';
}

/* libxl writes there whose backend it is; that is checked against the directory's place, and never followed. */
static int
check_frontend(struct store *store, const struct found *found, struct error *error)
{
	char value[XEN_VALUE_MOST + 1], expected[STORE_PATH_LEN];

	if (path_print(expected, sizeof expected, "/local/domain/%u/device/vbd/%u", found->domid, found->device) < 0)
		return -ENAMETOOLONG;
	if (read_below(store, found->backend, "frontend", value) < 0 || strcmp(value, expected) != 0)
		return error_set(error, -EINVAL, "%s/frontend must be %s", found->backend, expected);
	return 0;
}

/* 0; -EINVAL: it is ours and cannot be served. */
static int
read_disk(struct store *store, struct found *found, struct error *error)
{
	char value[XEN_VALUE_MOST + 1];
	int length = read_below(store, found->backend, "mode", value);

	if (length < 0 || xen_mode_parse(value, (size_t)length, &found->mode) < 0)
		return error_set(error, -EINVAL, "%s/mode must be r or w", found->backend);
	return check_frontend(store, found, error);
}

static void
begin_disk(struct xenwatch *xenwatch, const struct found *found, const struct error *error)
{
	struct disk *disk = disk_find(xenwatch, found->domid, found->device);

	if (disk == NULL)
		disk = disk_new(xenwatch, found->domid, found->device, found->type);
	if (disk == NULL)
		return;
	snprintf(disk->type, sizeof disk->type, "%s", found->type);
	snprintf(disk->backend, sizeof disk->backend, "%s", found->backend);
	disk->target = found->target;
	disk->mode = found->mode;
	disk_begin(disk);
	if (error->code < 0)
		disk_refuse(disk, error->text);
	else
		disk_ask_now(disk);
}

/* Something is there. A disk that we have is looked at by itself. */
static void
find_disk(struct xenwatch *xenwatch, const char *type, uint32_t domid, uint32_t device)
{
	struct store *store = &xenwatch->store;
	struct found found = {.domid = domid, .device = device, .type = type};
	const struct disk *known = disk_find(xenwatch, domid, device);
	char params[XEN_VALUE_MOST + 1];
	struct error error = {0};
	int length;

	if (known && known->has_nodes)
		return;
	if (path_print(found.backend, sizeof found.backend, "/local/domain/%u/backend/%s/%u/%u", store->domid, type,
		domid, device) < 0)
		return;
	length = read_below(store, found.backend, "params", params);
	if (length < 0 || xen_target_parse(params, (size_t)length, &found.target, &error) == -ENOENT)
		return;
	if (is_left_over(store, found.backend))
		return;
	if (!is_believed(store, found.backend)) {
		log_warning("%s is left alone: its nodes are not the toolstack's alone", found.backend);
		return;
	}
	if (error.code == 0)
		read_disk(store, &found, &error);
	begin_disk(xenwatch, &found, &error);
}

/* ---- all ---- */

static void
find_in(struct xenwatch *xenwatch, const char *type, uint32_t domid)
{
	char path[STORE_PATH_LEN];
	unsigned count = 0;
	AUTO_FREE char **names = NULL;
	uint32_t device;

	if (path_print(path, sizeof path, "/local/domain/%u/backend/%s/%u", xenwatch->store.domid, type, domid) < 0)
		return;
	names = store_list(&xenwatch->store, path, &count);
	for (unsigned i = 0; names && i < count; i++)
		if (xen_number_parse(names[i], strlen(names[i]), UINT32_MAX, &device) == 0)
			find_disk(xenwatch, type, domid, device);
}

static void
find_of_type(struct xenwatch *xenwatch, const char *type)
{
	char path[STORE_PATH_LEN];
	unsigned count = 0;
	AUTO_FREE char **names = NULL;
	uint32_t domid;

	if (path_print(path, sizeof path, "/local/domain/%u/backend/%s", xenwatch->store.domid, type) < 0)
		return;
	names = store_list(&xenwatch->store, path, &count);
	for (unsigned i = 0; names && i < count; i++)
		if (xen_number_parse(names[i], strlen(names[i]), XEN_DOMID_MOST, &domid) == 0)
			find_in(xenwatch, type, domid);
}

void
find_all(struct xenwatch *xenwatch)
{
	for (unsigned i = 0; i < xenwatch->type_count; i++)
		find_of_type(xenwatch, xenwatch->types[i]);
}

/* ---- what a watch tells ---- */

/* The next component of a path as a number; 1 = there is one, 0 = the path ends here, -EINVAL = it is something else. */
static int
take_component(const char **path, uint32_t most, uint32_t *number)
{
	const char *start = *path + (**path == '/');
	size_t length = strcspn(start, "/");

	if (length == 0)
		return 0;
	if (xen_number_parse(start, length, most, number) < 0)
		return -EINVAL;
	*path = start + length;
	return 1;
}

/* Of nodes that are not ours most changes are of no account: the target is written with all others at once. */
static bool
may_be_new(const char *rest)
{
	return *rest == '\0' || strcmp(rest, "/params") == 0;
}

static void
find_below(struct xenwatch *xenwatch, const char *type, const char *rest)
{
	uint32_t domid, device;
	struct disk *disk;
	int got = take_component(&rest, XEN_DOMID_MOST, &domid);

	if (got == 0)
		find_of_type(xenwatch, type);
	if (got <= 0)
		return;
	got = take_component(&rest, UINT32_MAX, &device);
	if (got == 0)
		find_in(xenwatch, type, domid);
	if (got <= 0)
		return;
	disk = disk_find(xenwatch, domid, device);
	if (disk && disk->has_nodes)
		disk_touch(disk);
	else if (may_be_new(rest))
		find_disk(xenwatch, type, domid, device);
}

/* A directory that goes takes what is in it along, and only the directory is told: its disks are looked at. */
static void
touch_above(struct xenwatch *xenwatch, const char *path)
{
	size_t length = strlen(path);

	for (struct disk *disk = xenwatch->disks; disk; disk = disk->next)
		if (disk->has_nodes && strncmp(disk->backend, path, length) == 0 &&
		    (disk->backend[length] == '/' || disk->backend[length] == '\0'))
			disk_touch(disk);
}

void
find_at(struct xenwatch *xenwatch, const char *path)
{
	char prefix[STORE_PATH_LEN];

	touch_above(xenwatch, path);
	for (unsigned i = 0; i < xenwatch->type_count; i++) {
		size_t length;

		if (path_print(prefix, sizeof prefix, "/local/domain/%u/backend/%s", xenwatch->store.domid,
			xenwatch->types[i]) < 0)
			return;
		length = strlen(prefix);
		if (strncmp(path, prefix, length) == 0 && (path[length] == '/' || path[length] == '\0')) {
			find_below(xenwatch, xenwatch->types[i], path + length);
			return;
		}
	}
}

/* ---- domains ---- */

static int
read_toolstacks(struct store *store, const char *path, char value[static XEN_VALUE_MOST + 1], struct error *error)
{
	int length = store_read(store, XBT_NULL, path, value);

	if (length == -EACCES)
		return error_set(error, length,
		    "this domain may not read %s: in dom0, let it (xenstore-chmod; netbus-xen(7) says which nodes)",
		    path);
	if (length < 0)
		return error_errno(error, length, "cannot read %s", path);
	if (memchr(value, '\0', (size_t)length) || !is_utf8(value, (size_t)length))
		return error_set(error, -EINVAL, "%s is not text", path);
	if (!store_is_toolstacks(store, path))
		return error_set(error, -EPERM, "%s is not the toolstack's alone and is not believed", path);
	return length;
}

/* "/vm/UUID" */
static bool
take_uuid(const char *value, char uuid[static DOMAIN_UUID_LEN])
{
	static const char prefix[] = "/vm/";
	const char *text = value + sizeof prefix - 1;

	if (strncmp(value, prefix, sizeof prefix - 1) != 0 || strlen(text) != DOMAIN_UUID_LEN - 1 ||
	    strspn(text, "0123456789abcdefABCDEF-") != DOMAIN_UUID_LEN - 1)
		return false;
	memcpy(uuid, text, DOMAIN_UUID_LEN);
	return true;
}

int
find_domain_names(struct store *store, uint32_t domid, char name[static DOMAIN_NAME_LEN],
    char uuid[static DOMAIN_UUID_LEN], struct error *error)
{
	char path[STORE_PATH_LEN], value[XEN_VALUE_MOST + 1];
	int length;

	snprintf(path, sizeof path, "/local/domain/%u/name", domid);
	length = read_toolstacks(store, path, value, error);
	if (length == 0)
		return error_set(error, -ENOENT, "%s is empty", path);
	if (length < 0)
		return length;
	memcpy(name, value, (size_t)length + 1);
	uuid[0] = '\0';
	snprintf(path, sizeof path, "/local/domain/%u/vm", domid);
	length = read_toolstacks(store, path, value, error);
	if (length >= 0 && !take_uuid(value, uuid))
		return error_set(error, -EINVAL, "%s is not /vm/UUID", path);
	return length == -ENOENT || length >= 0 ? 0 : length;
}
