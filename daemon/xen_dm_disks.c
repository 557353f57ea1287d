/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-xen-dm: a guest's disks and other devices as xenstore has them, and whether the guest can start with them (daemon/xen_dm.h).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "daemon/xen_dm.h"
#include "frontend/xen_nodes.h"

#define OUR_PARAMS "aio:" XEN_TARGET_SCHEME /* as libxl writes it */

/* malloc'd, or NULL when there is none. */
static char *
read_node(struct xs_handle *store, const char *directory, const char *node)
{
	char path[128];
	unsigned length;

	if (snprintf(path, sizeof path, "%s/%s", directory, node) >= (int)sizeof path)
		return NULL;
	return xs_read(store, XBT_NULL, path, &length);
}

/* "; " between what several disks have to say. */
static void __attribute__((format(printf, 2, 3))) add(char text[static ERROR_TEXT_MAX], const char *format, ...)
{
	size_t used = strlen(text);
	va_list arguments;

	if (used)
		used += (size_t)snprintf(text + used, ERROR_TEXT_MAX - used, "; ");
	if (used >= ERROR_TEXT_MAX)
		return;
	va_start(arguments, format);
	vsnprintf(text + used, ERROR_TEXT_MAX - used, format, arguments);
	va_end(arguments);
}

static const char * or (const char *text, const char *otherwise)
{
	return text && *text ? text : otherwise;
}

/* ---- one disk ---- */

struct texts {
	char refused[ERROR_TEXT_MAX], waiting[ERROR_TEXT_MAX];
};

static bool
is_published(const char *text)
{
	enum xenbus_state state = xen_state_parse(text, text ? (int)strlen(text) : -1);

	return state == XENBUS_INIT_WAIT || state == XENBUS_CONNECTED;
}

static void
look_at_disk(struct xs_handle *store, const char *directory, struct texts *texts)
{
	AUTO_FREE char *params = read_node(store, directory, "params");
	AUTO_FREE char *vdev = read_node(store, directory, "dev");
	AUTO_FREE char *state = read_node(store, directory, "state");
	AUTO_FREE char *error = read_node(store, directory, "error");
	AUTO_FREE char *waiting = read_node(store, directory, "waiting");
	const char *disk = or (vdev, directory);

	/* libxl took the disk away meanwhile. */
	if (params == NULL)
		return;
	if (strncmp(params, OUR_PARAMS, strlen(OUR_PARAMS)) != 0) {
		add(texts->refused,
		    "disk %s (%s) is no netbus share, and netbus-xen-dm, this guest's device model, serves no other "
		    "backendtype=qdisk: use backendtype=phy "
		    "for it, or leave out device_model_override and attach the share with script=block-netbus, "
		    "netbus-xen(7)",
		    disk, params);
		return;
	}
	if (error && *error)
		add(texts->refused, "disk %s (%s): %s", disk, params + strlen("aio:"), error);
	else if (!is_published(state))
		add(texts->waiting, "disk %s (%s) is not there: %s", disk, params + strlen("aio:"),
		    or (waiting, "netbusd did not say why; is it running, with xen: in its configuration?"));
}

static int
look_at_disks(struct xs_handle *store, unsigned domid, struct texts *texts)
{
	char path[64];
	unsigned count = 0;
	AUTO_FREE char **names = NULL;

	snprintf(path, sizeof path, "backend/qdisk/%u", domid);
	names = xs_directory(store, XBT_NULL, path, &count);
	if (names == NULL)
		return errno == ENOENT ? 0 : -errno;
	if (count > XEN_DM_DISKS_MAX)
		return -E2BIG;
	for (unsigned i = 0; i < count; i++) {
		char directory[96];

		snprintf(directory, sizeof directory, "%s/%.24s", path, names[i]);
		look_at_disk(store, directory, texts);
	}
	return 0;
}

/* ---- other devices that libxl leaves to a device model ---- */

static const char *const needs_qemu[] = {"vfb", "vkbd", "9pfs", "qusb"};

static void
look_at_others(struct xs_handle *store, unsigned domid, struct texts *texts)
{
	for (size_t i = 0; i < ARRAY_LENGTH(needs_qemu); i++) {
		char path[64];
		unsigned count = 0;
		AUTO_FREE char **names = NULL;

		snprintf(path, sizeof path, "backend/%s/%u", needs_qemu[i], domid);
		names = xs_directory(store, XBT_NULL, path, &count);
		if (names == NULL || count == 0)
			continue;
		add(texts->refused,
		    "the guest has a %s device, which needs QEMU as its device model: take that device out, or "
		    "leave out device_model_override "
		    "and attach the share with script=block-netbus, netbus-xen(7)",
		    needs_qemu[i]);
		return;
	}
}

enum xen_dm_verdict
xen_dm_look(struct xs_handle *store, unsigned domid, char text[static ERROR_TEXT_MAX])
{
	struct texts texts = {{0}, {0}};
	int code = look_at_disks(store, domid, &texts);

	if (code < 0)
		snprintf(texts.refused, sizeof texts.refused, "cannot read the guest's disks in xenstore: %s",
		    strerror(-code));
	look_at_others(store, domid, &texts);
	if (!texts.refused[0] && !texts.waiting[0])
		return XEN_DM_READY;
	/* Who waits for others is told of a refusal at once: the guest will not start. */
	snprintf(text, ERROR_TEXT_MAX, "%s", texts.refused[0] ? texts.refused : texts.waiting);
	return texts.refused[0] ? XEN_DM_REFUSED : XEN_DM_WAITING;
}
