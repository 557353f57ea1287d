/* SPDX-License-Identifier: Apache-2.0
 *
 * Disks that an operator puts into a running domain: which domain has that name, and is the place free (daemon/xenwatch.h)? The nodes are written when the device is up, so that a
 * guest never sees a disk that it does not get.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/fd.h"
#include "daemon/xenwatch.h"

/* The domain of that name; -ENOENT, or -EEXIST when there are two. Dom0's own name counts as none: it is no guest. */
static int
find_domain(
    struct store *store, const char *wanted, uint32_t *domid, char uuid[static DOMAIN_UUID_LEN], struct error *error)
{
	unsigned count = 0, found = 0;
	AUTO_FREE char **names = store_list(store, "/local/domain", &count);

	for (unsigned i = 0; names && i < count; i++) {
		char name[DOMAIN_NAME_LEN], candidate[DOMAIN_UUID_LEN];
		uint32_t number;

		if (xen_number_parse(names[i], strlen(names[i]), XEN_DOMID_MOST, &number) < 0 || number == store->domid)
			continue;
		if (find_domain_names(store, number, name, candidate, NULL) < 0 || strcmp(name, wanted) != 0)
			continue;
		found++;
		*domid = number;
		memcpy(uuid, candidate, DOMAIN_UUID_LEN);
	}
	if (found == 0)
		return error_set(
		    error, -ENOENT, "no domain '%s' runs on this host (xl list shows those that do)", wanted);
	if (found > 1)
		return error_set(
		    error, -EEXIST, "%u domains are called '%s'; while one of them migrates, wait", found, wanted);
	return 0;
}

/* What libxl knows of it counts too, since it may be about to write the rest. */
static int
check_free(struct xenwatch *xenwatch, const struct msg_xen_place *order, uint32_t domid, struct error *error)
{
	char frontend[STORE_PATH_LEN], libxls[STORE_PATH_LEN], vdev[VDEV_TEXT_LEN];
	bool is_taken;

	snprintf(frontend, sizeof frontend, "/local/domain/%u/device/vbd/%u", domid, order->device);
	snprintf(libxls, sizeof libxls, "/libxl/%u/device/vbd/%u", domid, order->device);
	vdev_print(order->device, vdev);
	is_taken = disk_find(xenwatch, domid, order->device) || store_has(&xenwatch->store, XBT_NULL, frontend) ||
		   store_has(&xenwatch->store, XBT_NULL, libxls);
	return is_taken ? error_set(error, -EEXIST, "domain %s has a disk %s already (xl block-list %s)", order->domain,
			      vdev, order->domain)
			: 0;
}

static int
place(struct xenwatch *xenwatch, const struct msg_xen_place *order, struct msg_xen_placed *answer, struct error *error)
{
	struct disk *disk;
	int code;

	if (xenwatch->store.domid != 0)
		return error_set(error, -EPERM,
		    "this is a driver domain, which cannot put disks into others: let dom0 do it (xl block-attach with "
		    "backend=)");
	code = find_domain(&xenwatch->store, order->domain, &answer->domid, answer->uuid, error);
	if (code == 0)
		code = check_free(xenwatch, order, answer->domid, error);
	if (code < 0)
		return code;
	disk = disk_new(xenwatch, answer->domid, order->device, DISK_OWN_TYPE);
	if (disk == NULL)
		return error_set(error, -ENOSPC, "this host serves as many Xen disks as it can");
	disk->is_placed = true;
	disk->mode = order->mode;
	snprintf(disk->target.exporter.text, sizeof disk->target.exporter.text, "%s", order->exporter);
	snprintf(disk->target.share.text, sizeof disk->target.share.text, "%s", order->share);
	return 0;
}

void
place_answer(struct xenwatch *xenwatch, const struct msg_xen_place *order)
{
	struct msg_xen_placed answer = {.attachment = order->attachment};
	struct error error = {0};

	answer.ok = place(xenwatch, order, &answer, &error) == 0;
	if (answer.ok)
		snprintf(answer.domain, sizeof answer.domain, "%s", order->domain);
	else
		snprintf(answer.text, sizeof answer.text, "%s", error.text);
	xenwatch_tell(xenwatch, MSG_XEN_PLACED, &answer);
}
