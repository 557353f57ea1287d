/* SPDX-License-Identifier: Apache-2.0
 *
 * Disks of Xen guests: what netbus-xenwatch says of them, and what it is told. A toolstack asks for a disk through xenstore, an operator through netbus-admin; either way the VM is who
 * netbusd.yaml says that the domain is (xen: vms:), and what follows is an attachment as any other (broker_guest.c).
 *
 * netbus-xenwatch is believed what the toolstack wrote: names, UUIDs, which disks there are. It ends without harm: attachments live on, and the next one says of each disk that it
 * is there.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/vdev.h"
#include "daemon/broker.h"

#define TEXT_LEN 512

/* ---- telling ---- */

static void
tell(struct broker *broker, uint16_t number, const void *message)
{
	struct xenwatch *watch = &broker->xenwatch;
	struct msg_drop drop = {.id = watch->id, .cause = "it does not read its messages"};
	int code;

	if (watch->id == 0 || watch->channel.fd < 0)
		return;
	code = outbox_send(&watch->outbox, number, message, -1);
	if (code == -EAGAIN)
		code = outbox_keep(&watch->outbox, number, message, -1);
	if (code < 0 && code != -EPIPE && code != -ECONNRESET) /* these: the monitor will say that it ended */
		broker_tell_monitor(broker, MSG_DROP, &drop);
}

static void
tell_over(struct broker *broker, uint32_t domid, uint32_t device, bool again, uint16_t reason, const char *text)
{
	struct msg_xen_over over = {.domid = domid, .device = device, .again = again, .reason = reason};

	snprintf(over.text, sizeof over.text, "%s", text);
	tell(broker, MSG_XEN_OVER, &over);
}

static void
tell_ordered(const struct guest *guest)
{
	tell(guest->broker, MSG_XEN_ORDERED,
	    &(struct msg_xen_ordered){
		.domid = guest->xen.domid, .device = guest->xen.device, .attachment = guest->row.id});
}

static void
forget_shadow(struct broker *broker, uint32_t domid, uint32_t device)
{
	broker_tell_monitor(broker, MSG_XEN_FORGET, &(struct msg_xen_forget){.domid = domid, .device = device});
}

/* ---- which disks ---- */

static struct guest *
guest_at(struct broker *broker, uint32_t domid, uint32_t device)
{
	for (struct guest *guest = broker->guests; guest; guest = guest->next)
		if (guest->xen.is_set && guest->xen.domid == domid && guest->xen.device == device)
			return guest;
	return NULL;
}

static unsigned
disks_of(const struct broker *broker, uint32_t domid)
{
	unsigned count = 0;

	for (const struct guest *guest = broker->guests; guest; guest = guest->next)
		count += guest->xen.is_set && guest->xen.domid == domid;
	return count;
}

/* A disk that a guest has in use and that was lost: it is wanted back, so that the lease which the export host has not yet given up is no refusal. */
struct xen_lost {
	struct xen_lost *next;
	uint32_t domid, device;
	uint64_t until_ns;
};

/* Forgets what is too long ago, and that disk. */
static void
lost_forget(struct broker *broker, uint32_t domid, uint32_t device)
{
	uint64_t now_ns = clock_monotonic_ns();

	for (struct xen_lost **at = &broker->xenwatch.lost; *at;) {
		struct xen_lost *lost = *at;

		if (lost->until_ns > now_ns && (lost->domid != domid || lost->device != device)) {
			at = &lost->next;
			continue;
		}
		*at = lost->next;
		free(lost);
	}
}

#define LOST_MORE_NS (30 * NS_PER_SEC)

/* Without memory for it the guest sees an error where it could have waited. */
static void
lost_add(struct broker *broker, uint32_t domid, uint32_t device)
{
	struct xen_lost *lost = calloc(1, sizeof *lost);

	lost_forget(broker, domid, device);
	if (lost == NULL)
		return;
	*lost = (struct xen_lost){.next = broker->xenwatch.lost,
	    .domid = domid,
	    .device = device,
	    .until_ns = clock_monotonic_ns() + 2 * NS_PER_MS * broker->config->lease_ttl_ms + LOST_MORE_NS};
	broker->xenwatch.lost = lost;
}

/* What was in use when the last netbusd ended is not known: for a while every disk may be such a one. */
static bool
is_lost(const struct broker *broker, uint32_t domid, uint32_t device)
{
	uint64_t now_ns = clock_monotonic_ns();

	for (const struct xen_lost *lost = broker->xenwatch.lost; lost; lost = lost->next)
		if (lost->domid == domid && lost->device == device && lost->until_ns > now_ns)
			return true;
	return clock_wall_us() - broker->started_us < (int64_t)(2 * broker->config->lease_ttl_ms) * 1000;
}

/* ---- how it ended ---- */

/* Whether asking again may help: also when only the export host has not yet noticed that the last lease is over. */
static bool
heals(const struct guest *guest)
{
	bool is_passing = guest->reason == REASON_SHARE_BUSY || guest->reason == REASON_LIMIT_REACHED ||
			  guest->reason == REASON_DEVICE_UNAVAILABLE;

	return reason_heals(guest->reason) ||
	       (is_passing && is_lost(guest->broker, guest->xen.domid, guest->xen.device));
}

/* "acme/web-1 does not get acme/disk-1 from m2: refused (record 512 in the audit trail of m2; record 77 here)" */
static void
print_end(const struct guest *guest, char text[static TEXT_LEN])
{
	const struct db_attachment *row = &guest->row;
	bool refused = guest->reason == REASON_REFUSED;
	char theirs[128] = "";
	int used = snprintf(text, TEXT_LEN, "%s %s %s from %s%s: %s", row->vm.text,
	    guest->xen.was_up ? "has" : "does not get", row->share.text, row->exporter,
	    guest->xen.was_up ? " no longer" : "", refused ? "refused" : reason_sentence(guest->reason));

	if (!refused && guest->text[0] && strcmp(guest->text, reason_sentence(guest->reason)) != 0)
		used += snprintf(text + used, TEXT_LEN - (size_t)used, ": %.120s", guest->text);
	if (guest->peer_record)
		snprintf(theirs, sizeof theirs, "record %llu in the audit trail of %s; ",
		    (unsigned long long)guest->peer_record, row->exporter);
	snprintf(text + used, TEXT_LEN - (size_t)used, " (%srecord %llu here)", theirs,
	    (unsigned long long)guest->down_record);
}

/* An operator was told himself that his command failed; nothing asks again in his name. */
static bool
is_asked_again(const struct guest *guest)
{
	return heals(guest) && (guest->xen.was_up || !guest->xen.by_operator);
}

void
xen_guest_over(struct guest *guest)
{
	struct broker *broker = guest->broker;
	struct xen_place *place = &guest->xen;
	bool again = is_asked_again(guest);
	char text[TEXT_LEN];

	/* Its place is free only when its process is gone. */
	if (!place->is_set || place->is_gone || place->is_told || (again && !guest->reaped))
		return;
	place->is_told = true;
	if (again && place->was_up)
		lost_add(broker, place->domid, place->device);
	if (!again && !place->was_up)
		forget_shadow(broker, place->domid, place->device);
	print_end(guest, text);
	tell_over(broker, place->domid, place->device, again, guest->reason, text);
}

/* ---- refused here ---- */

/* The number of the record, or 0. `vm` NULL: not known. */
static uint64_t
record_refusal(
    struct broker *broker, const char *admin, const struct msg_xen_disk *disk, const char *vm, const char *text)
{
	struct record record = {
	    .event = EVENT_ATTACHMENT_DENY,
	    .decision = DECISION_DENY,
	    .reason = reason_name(REASON_REFUSED),
	    .vm = vm,
	    .admin = admin,
	    .share = disk->share,
	    .mode = disk->mode ? "rw" : "ro",
	    .detail = {{"exporter", disk->exporter, 0}, {"domain", disk->domain, 0}, {"disk", disk->vdev, 0},
		{"text", text, 0}},
	    .detail_count = 4,
	};
	struct error error = {0};
	uint64_t seq = 0;

	if (db_trail_ok(broker->db) && broker_record(broker, &record, &seq, &error) < 0)
		log_error("a refused disk cannot be recorded: %s", error.text);
	return seq;
}

__attribute__((format(printf, 4, 5))) static void
refuse(struct broker *broker, const struct msg_xen_disk *disk, const char *vm, const char *format, ...)
{
	char text[TEXT_LEN], whole[TEXT_LEN + 160];
	va_list arguments;
	uint64_t seq;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	seq = record_refusal(broker, NULL, disk, vm, text);
	log_warning("the Xen domain %s does not get its disk %s: %s", disk->domain, disk->vdev, text);
	snprintf(whole, sizeof whole, "%s; record %llu in the audit trail of %s", text, (unsigned long long)seq,
	    broker->config->host.text);
	tell_over(broker, disk->domid, disk->device, false, REASON_REFUSED, whole);
}

/* ---- the toolstack's disks ---- */

/* What is there already is answered again: netbus-xenwatch may be another one than it was. */
static void
answer_present(struct guest *guest, const struct msg_xen_disk *disk)
{
	struct broker *broker = guest->broker;
	bool is_same =
	    strcmp(guest->row.share.text, disk->share) == 0 && strcmp(guest->row.exporter, disk->exporter) == 0;
	char text[TEXT_LEN];

	if (!is_same) {
		refuse(broker, disk, guest->row.vm.text, "disk %s of domain '%s' is %s from %s, and not yet free",
		    disk->vdev, disk->domain, guest->row.share.text, guest->row.exporter);
	} else if (!guest->down) {
		tell_ordered(guest);
	} else if (is_asked_again(guest) || !guest->recorded) {
		tell_over(
		    broker, disk->domid, disk->device, true, REASON_UNAVAILABLE, "its last attachment is still ending");
	} else {
		print_end(guest, text);
		tell_over(broker, disk->domid, disk->device, false, guest->reason, text);
	}
}

/* False: refused. */
static bool
may_be_asked_for(struct broker *broker, const struct msg_xen_disk *disk, struct qualified *vm)
{
	struct db_host host;

	if (!xen_map_vm(&broker->config->xen.vms, disk->domain, vm)) {
		refuse(broker, disk, NULL, "domain '%s' is no VM that netbusd.yaml knows (xen: vms:)", disk->domain);
		return false;
	}
	if (disks_of(broker, disk->domid) >= LIMIT_XEN_DISKS) {
		refuse(broker, disk, vm->text, "domain '%s' has %u disks already, which is the limit", disk->domain,
		    LIMIT_XEN_DISKS);
		return false;
	}
	if (guest_address(broker, disk->exporter, &host) == NULL) {
		refuse(broker, disk, vm->text,
		    "no address of the export host %s is known; tell it with: netbus-admin host add %s --address "
		    "ADDRESS:PORT",
		    disk->exporter, disk->exporter);
		return false;
	}
	if (peer_is_denied(broker, disk->exporter, NULL)) {
		refuse(broker, disk, vm->text,
		    "the export host %s is denied here; netbus-admin host allow %s takes that back", disk->exporter,
		    disk->exporter);
		return false;
	}
	return true;
}

/* Whether another domain of that name has disks: it is going (a guest reboots), since no two domains have one name. */
static bool
is_leaving(const struct broker *broker, const struct msg_xen_disk *disk)
{
	for (const struct guest *guest = broker->guests; guest; guest = guest->next)
		if (guest->xen.is_set && guest->xen.domid != disk->domid &&
		    strcmp(guest->xen.domain, disk->domain) == 0)
			return true;
	return false;
}

static void
begin_disk(struct broker *broker, const struct msg_xen_disk *disk, const struct qualified *vm)
{
	struct msg_guest_attach ask = {.mode = disk->mode, .lanes = LIMIT_LANES};
	char frontend[sizeof(((struct guest *)NULL)->row.frontend)];
	struct error error = {0};
	struct guest *guest;
	int code;

	snprintf(ask.vm, sizeof ask.vm, "%s", vm->text);
	snprintf(ask.vm_uuid, sizeof ask.vm_uuid, "%s", disk->uuid);
	snprintf(ask.share, sizeof ask.share, "%s", disk->share);
	snprintf(ask.exporter, sizeof ask.exporter, "%s", disk->exporter);
	snprintf(frontend, sizeof frontend, "xen:%.63s/%s", disk->domain, disk->vdev);
	guest = guest_new(broker, &ask, frontend);
	if (guest == NULL) {
		tell_over(broker, disk->domid, disk->device, true, REASON_UNAVAILABLE, "out of memory");
		return;
	}
	guest->xen = (struct xen_place){.is = true, .is_set = true, .domid = disk->domid, .device = disk->device};
	snprintf(guest->xen.domain, sizeof guest->xen.domain, "%.63s", disk->domain);
	code = guest_store_begin(guest, NULL, "", NULL, &error);
	if (code < 0)
		guest_free(guest);
	if (code == -EBUSY && is_leaving(broker, disk)) {
		tell_over(broker, disk->domid, disk->device, true, REASON_UNAVAILABLE,
		    "the last domain of that name is still ending");
		return;
	}
	if (code == -EBUSY) {
		refuse(broker, disk, vm->text, "%s has %s already, at another place; see netbus-admin attachment list",
		    vm->text, disk->share);
		return;
	}
	if (code < 0) {
		log_error("%s does not get %s: %s", frontend, disk->share, error.text);
		tell_over(broker, disk->domid, disk->device, true, REASON_STATE_UNAVAILABLE, error.text);
		return;
	}
	tell_ordered(guest);
	guest_start(guest);
}

static void
take_disk(struct broker *broker, const struct msg_xen_disk *disk)
{
	struct guest *guest = guest_at(broker, disk->domid, disk->device);
	struct qualified vm;

	if (guest)
		answer_present(guest, disk);
	else if (broker->stopping)
		tell_over(broker, disk->domid, disk->device, true, REASON_STOPPING, "netbusd is stopping");
	else if (may_be_asked_for(broker, disk, &vm))
		begin_disk(broker, disk, &vm);
}

static void
take_gone(struct broker *broker, const struct msg_xen_gone *gone)
{
	struct guest *guest = guest_at(broker, gone->domid, gone->device);

	lost_forget(broker, gone->domid, gone->device);
	forget_shadow(broker, gone->domid, gone->device);
	if (guest == NULL)
		return;
	guest->xen.is_gone = true;
	guest_stop(guest, REASON_DETACHED);
	guests_finish(broker);
}

/* ---- operators' disks ---- */

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

#define NO_VM "domain '%s' is no VM that netbusd.yaml knows (xen: vms:)"

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
	    ask->dry_run ? 0 : record_refusal(client->broker, client->name, &disk, vm, text), "%s", text);
}

/* An operator who names a domain that is none or another VM is told so; a tenant's one learns of his own. */
static bool
is_domain_of(struct client *client, const struct msg_guest_attach *ask, const struct xen_place *place)
{
	struct broker *broker = client->broker;
	struct qualified vm;
	bool is_known = xen_map_vm(&broker->config->xen.vms, place->domain, &vm);
	char text[TEXT_LEN];

	if (is_known && client_may(client, vm.text) && strcmp(vm.text, ask->vm) == 0)
		return true;
	if (client->role == ROLE_TENANT && (!is_known || !client_may(client, vm.text))) {
		client_not_found(client, "there is no Xen domain '%s'; those that are VMs of tenant %s are yours",
		    place->domain, client->tenant.text);
		return false;
	}
	if (is_known)
		snprintf(text, sizeof text, "domain '%s' is %s in netbusd.yaml (xen: vms:), not %s", place->domain,
		    vm.text, ask->vm);
	else
		snprintf(text, sizeof text, NO_VM, place->domain);
	deny_domain(client, ask, place->domain, strchr(ask->frontend, '/') + 1, text);
	return false;
}

bool
xen_vm_of(struct client *client, const struct msg_guest_attach *ask, char vm[static QUALIFIED_LEN_MAX + 1])
{
	const char *domain = ask->vm + strlen("xen:");
	struct qualified found;
	bool is_known = xen_map_vm(&client->broker->config->xen.vms, domain, &found);
	char text[TEXT_LEN];

	if (is_known && client_may(client, found.text)) {
		memcpy(vm, found.text, sizeof found.text);
		return true;
	}
	snprintf(text, sizeof text, NO_VM, domain);
	if (client->role == ROLE_TENANT)
		client_not_found(client, "there is no Xen domain '%s'; those that are VMs of tenant %s are yours",
		    domain, client->tenant.text);
	else
		deny_domain(client, ask, domain, "", text);
	return false;
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
	tell(guest->broker, MSG_XEN_PLACE, &place);
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
	if (guest_at(broker, placed->domid, guest->xen.device))
		return "the last process of such a disk is still ending";
	if (disks_of(broker, placed->domid) >= LIMIT_XEN_DISKS)
		return "the domain has as many disks as one may have";
	return NULL;
}

static void
take_placed(struct broker *broker, const struct msg_xen_placed *placed)
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
	tell_ordered(guest);
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
	tell(guest->broker, MSG_XEN_REMOVE,
	    &(struct msg_xen_remove){.domid = guest->xen.domid, .device = guest->xen.device});
	return true;
}

static void
take_held(struct broker *broker, const struct msg_xen_held *held)
{
	struct guest *guest = guest_at(broker, held->domid, held->device);

	if (guest)
		client_done(TAKE(guest->detaching), ADMIN_INCOMPLETE, 0,
		    "the guest of %s still uses %s; it was asked to let go, and %s is detached as soon as it does "
		    "(on the export host, netbus-admin revoke takes it at once)",
		    guest->row.vm.text, guest->row.share.text, guest->row.share.text);
}

/* ---- netbus-xenwatch ---- */

static void
close_channel(struct xenwatch *watch)
{
	watch_stop(&watch->on_message);
	if (watch->channel.fd >= 0)
		close(take_fd(&watch->channel.fd));
	outbox_clear(&watch->outbox);
}

static void
drop(struct broker *broker, const char *cause)
{
	struct msg_drop order = {.id = broker->xenwatch.id};

	snprintf(order.cause, sizeof order.cause, "%s", cause);
	close_channel(&broker->xenwatch);
	broker_tell_monitor(broker, MSG_DROP, &order);
}

static void
take_message(struct broker *broker, const struct channel_message *message)
{
	switch (message->number) {
	case MSG_XEN_DISK:
		take_disk(broker, &message->body.xen_disk);
		return;
	case MSG_XEN_GONE:
		take_gone(broker, &message->body.xen_gone);
		return;
	case MSG_XEN_PLACED:
		take_placed(broker, &message->body.xen_placed);
		return;
	case MSG_XEN_HELD:
		take_held(broker, &message->body.xen_held);
		return;
	default:
		drop(broker, "it sent a message that is not for the broker");
	}
}

/* Its next message. 1, or 0 when there is none or the channel is over. */
static int
take_next(struct broker *broker)
{
	struct xenwatch *watch = &broker->xenwatch;
	struct channel_message message;
	int got = watch->channel.fd < 0 ? -EAGAIN : channel_recv(&watch->channel, &message);

	if (got > 0)
		take_message(broker, &message);
	else if (got == -EPROTO)
		drop(broker, "it told the broker what it may not say");
	else if (got != -EAGAIN)
		close_channel(watch); /* it ended; the monitor will say so */
	return got > 0;
}

/* One message in a turn of the loop: after a start there is one for each disk, and each is a transaction. */
static void
on_message(struct watch *on, uint32_t events)
{
	struct broker *broker = CONTAINER_OF(on, struct broker, xenwatch.on_message);
	int code = events & EPOLLOUT ? outbox_flush(&broker->xenwatch.outbox) : 0;

	if (code < 0 && code != -EAGAIN)
		close_channel(&broker->xenwatch);
	take_next(broker);
}

void
xen_watch_here(struct broker *broker, const struct msg_peer_new *new, int fd)
{
	struct xenwatch *watch = &broker->xenwatch;

	watch->id = new->id;
	watch->channel =
	    (struct channel){.fd = fd, .self = ROLE_BROKER, .peer = ROLE_XENWATCH, .state = CH_NEW, .id = new->id};
	outbox_init(&watch->outbox, &watch->channel, &watch->on_message);
	if (watch_start(broker->loop, &watch->on_message, fd, EPOLLIN, on_message) < 0)
		drop(broker, "it cannot be watched");
}

/* What waited for it is told; what lives, lives on. */
static void
answer_waiting(struct broker *broker)
{
	for (struct guest *guest = broker->guests; guest; guest = guest->next) {
		if (!guest->xen.is)
			continue;
		if (!guest->started && !guest->down)
			guest_end_here(guest, REASON_DEVICE_UNAVAILABLE, "netbus-xenwatch ended");
		if (!guest->down && guest->detaching)
			client_done(TAKE(guest->detaching), ADMIN_FAILURE, 0,
			    "netbus-xenwatch ended before the guest let go of it; it is still attached. Try again");
	}
	guests_finish(broker);
}

bool
xen_watch_gone(struct broker *broker, const struct msg_peer_gone *gone)
{
	struct xenwatch *watch = &broker->xenwatch;

	if (watch->id == 0 || gone->id != watch->id)
		return false;
	while (take_next(broker)) /* what it said before it ended still counts */
		continue;
	close_channel(watch);
	watch->id = 0;
	answer_waiting(broker);
	return true;
}

void
xen_clear(struct broker *broker)
{
	if (broker->xenwatch.id)
		close_channel(&broker->xenwatch);
	for (struct xen_lost *lost = broker->xenwatch.lost, *next; lost; lost = next) {
		next = lost->next;
		free(lost);
	}
	broker->xenwatch.lost = NULL;
}
