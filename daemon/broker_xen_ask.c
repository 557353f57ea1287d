/* SPDX-License-Identifier: Apache-2.0
 *
 * Disks that an operator puts into a Xen domain and takes away (daemon/broker_xen.h): `netbus-admin attach --as xen:DOMAIN/VDEV`, and detach.
 */
#include "daemon/broker_xen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/vdev.h"

/* ---- into a domain ---- */

/* "xen:web-1/xvdb" */
static int
parse_place(const char *text, struct xen_place *place, struct error *error)
{
	const char *domain = text + strlen("xen:"), *slash = strchr(domain, '/');
	size_t length = slash ? (size_t)(slash - domain) : 0;

	if (length == 0 || length >= sizeof place->domain)
		return error_set(error, -EINVAL,
		    "'%.80s' is not of the form xen:DOMAIN/VDEV, such as xen:web-1/xvdb, with at most %d bytes of "
		    "DOMAIN",
		    text, XEN_DOMAIN_LEN_MAX);
	memcpy(place->domain, domain, length);
	place->domain[length] = '\0';
	place->is = place->by_operator = true;
	return vdev_parse(slash + 1, &place->device, error);
}

/* `vdev` "" when the disk will be no vbd of ours. */
static void
deny_domain(
    struct client *client, const struct msg_guest_attach *ask, const char *domain, const char *vdev, const char *text)
{
	struct msg_xen_disk disk = {.mode = ask->mode};
	const char *vm = strchr(ask->vm, '/') ? ask->vm : NULL;

	snprintf(disk.domain, sizeof disk.domain, "%s", domain);
	snprintf(disk.vdev, sizeof disk.vdev, "%.31s", vdev);
	snprintf(disk.share, sizeof disk.share, "%s", ask->share);
	snprintf(disk.exporter, sizeof disk.exporter, "%s", ask->exporter);
	client_done(client, ADMIN_DENIED,
	    ask->dry_run ? 0 : xen_record_refusal(client->broker, client->name, &disk, vm, text), "%s", text);
}

/* Who that domain is; false: the client was told that it is nobody. A tenant's operator learns of his own only. */
static bool
find_vm(struct client *client, const struct msg_guest_attach *ask, const char *domain, const char *vdev,
    struct qualified *vm)
{
	char text[XEN_TEXT_LEN];

	if (xen_map_vm(&client->broker->config->xen.vms, domain, vm) && client_may(client, vm->text))
		return true;
	snprintf(text, sizeof text, XEN_NO_VM, domain);
	if (client->role == ROLE_TENANT)
		client_not_found(client, "there is no Xen domain '%s'; those that are VMs of tenant %s are yours",
		    domain, client->tenant.text);
	else
		deny_domain(client, ask, domain, vdev, text);
	return false;
}

/* An operator who names another VM's domain is told so. */
static bool
is_domain_of(struct client *client, const struct msg_guest_attach *ask, const struct xen_place *place)
{
	const char *vdev = strchr(ask->frontend, '/') + 1;
	struct qualified vm;
	char text[XEN_TEXT_LEN];

	if (!find_vm(client, ask, place->domain, vdev, &vm))
		return false;
	if (strcmp(vm.text, ask->vm) == 0)
		return true;
	snprintf(text, sizeof text, "domain '%s' is %s in netbusd.yaml (xen: vms:), not %s", place->domain, vm.text,
	    ask->vm);
	deny_domain(client, ask, place->domain, vdev, text);
	return false;
}

bool
xen_vm_of(struct client *client, const struct msg_guest_attach *ask, char vm[static QUALIFIED_LEN_MAX + 1])
{
	struct qualified found;

	if (!find_vm(client, ask, ask->vm + strlen("xen:"), "", &found))
		return false;
	memcpy(vm, found.text, sizeof found.text);
	return true;
}

bool
xen_place_for(struct client *client, const struct msg_guest_attach *ask, struct xen_place *place)
{
	struct broker *broker = client->broker;
	struct error error = {0};

	if (parse_place(ask->frontend, place, &error) < 0)
		client_done(client, ADMIN_USAGE, 0, "%s", error.text);
	else if (!broker->config->xen.on)
		client_done(client, ADMIN_USAGE, 0,
		    "this host serves no Xen guests; a xen: in netbusd.yaml, and a restart, make it do so");
	else if (!is_domain_of(client, ask, place))
		return false;
	else if (broker->xenwatch.id == 0)
		client_done(client, ADMIN_FAILURE, 0,
		    "netbus-xenwatch does not run, so no domain can be found; the log of netbusd says why, and "
		    "netbus-admin doctor");
	else
		return true;
	return false;
}

void
xen_guest_place(struct guest *guest)
{
	struct msg_xen_place place = {
	    .attachment = guest->row.id, .device = guest->xen.device, .mode = guest->row.mode};

	snprintf(place.domain, sizeof place.domain, "%s", guest->xen.domain);
	snprintf(place.exporter, sizeof place.exporter, "%s", guest->row.exporter);
	snprintf(place.share, sizeof place.share, "%s", guest->row.share.text);
	xen_tell(guest->broker, MSG_XEN_PLACE, &place);
}

/* Why a found domain does not do; NULL: it does. */
static const char *
wrong_with(struct broker *broker, const struct guest *guest, const struct msg_xen_placed *placed)
{
	const char *uuid = guest->row.vm_uuid;
	struct qualified vm;

	if (!placed->ok)
		return placed->text[0] ? placed->text : "there is no such place";
	if (strcmp(placed->domain, guest->xen.domain) != 0 ||
	    !xen_map_vm(&broker->config->xen.vms, placed->domain, &vm) || strcmp(vm.text, guest->row.vm.text) != 0)
		return "the domain is not that VM any more";
	if (uuid[0] && strcasecmp(uuid, placed->uuid) != 0)
		return "the domain has another UUID than was given";
	if (xen_guest_at(broker, placed->domid, guest->xen.device))
		return "the last process of such a disk is still ending";
	if (xen_disks_of(broker, placed->domid) >= LIMIT_XEN_DISKS)
		return "the domain has as many disks as one may have";
	return NULL;
}

void
xen_take_placed(struct broker *broker, const struct msg_xen_placed *placed)
{
	struct guest *guest = guest_find(broker, placed->attachment);
	const char *wrong;

	if (guest == NULL || !guest->xen.is || guest->started || guest->down)
		return;
	wrong = wrong_with(broker, guest, placed);
	guest->xen.is_set = placed->ok; /* it keeps the place, until it is told how this ends */
	guest->xen.domid = placed->domid;
	if (wrong) {
		guest_end_here(guest, REASON_DEVICE_UNAVAILABLE, wrong);
		guests_finish(broker);
		return;
	}
	snprintf(guest->row.vm_uuid, sizeof guest->row.vm_uuid, "%s", placed->uuid);
	snprintf(guest->order->vm_uuid, sizeof guest->order->vm_uuid, "%s", placed->uuid);
	xen_tell_ordered(guest);
	guest_start(guest);
}

/* ---- taking it away ---- */

bool
xen_guest_remove(struct client *client, struct guest *guest)
{
	if (!guest->started) { /* netbus-xenwatch is about to answer, and keeps the place for it */
		client_done(client, ADMIN_CONFLICT, 0, "it is only being asked for; try again in a moment");
		return false;
	}
	if (guest->down) { /* only its process lives, until the guest lets go of the rings */
		client_done(client, ADMIN_CONFLICT, 0, "it is over already; its guest has not let go of the disk yet");
		return false;
	}
	if (guest->broker->xenwatch.id == 0) {
		client_done(client, ADMIN_FAILURE, 0,
		    "netbus-xenwatch does not run, so the guest cannot be asked to let go of it; the log of netbusd "
		    "says "
		    "why");
		return false;
	}
	xen_tell(guest->broker, MSG_XEN_REMOVE,
	    &(struct msg_xen_remove){.domid = guest->xen.domid, .device = guest->xen.device});
	return true;
}

void
xen_take_held(struct broker *broker, const struct msg_xen_held *held)
{
	struct guest *guest = xen_guest_at(broker, held->domid, held->device);

	if (guest)
		client_done(TAKE(guest->detaching), ADMIN_INCOMPLETE, 0,
		    "the guest of %s still uses %s; it was asked to let go, and %s is detached as soon as it does "
		    "(on the export host, netbus-admin revoke takes it at once)",
		    guest->row.vm.text, guest->row.share.text, guest->row.share.text);
}
