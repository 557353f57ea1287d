/* SPDX-License-Identifier: Apache-2.0
 *
 * Disks of Xen guests that a toolstack asks for through xenstore, and how every Xen disk ends (daemon/broker_xen.h). The VM is who netbusd.yaml says that the domain is (xen: vms:),
 * and what follows is an attachment as any other (broker_guest.c).
 */
#include "daemon/broker_xen.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"

/* ---- telling ---- */

static void
tell_over(struct broker *broker, uint32_t domid, uint32_t device, bool again, uint16_t reason, const char *text)
{
	struct msg_xen_over over = {.domid = domid, .device = device, .again = again, .reason = reason};

	snprintf(over.text, sizeof over.text, "%s", text);
	xen_tell(broker, MSG_XEN_OVER, &over);
}

void
xen_tell_ordered(const struct guest *guest)
{
	xen_tell(guest->broker, MSG_XEN_ORDERED,
	    &(struct msg_xen_ordered){
		.domid = guest->xen.domid, .device = guest->xen.device, .attachment = guest->row.id});
}

static void
forget_shadow(struct broker *broker, uint32_t domid, uint32_t device)
{
	broker_tell_monitor(broker, MSG_XEN_FORGET, &(struct msg_xen_forget){.domid = domid, .device = device});
}

/* ---- which disks ---- */

struct guest *
xen_guest_at(struct broker *broker, uint32_t domid, uint32_t device)
{
	for (struct guest *guest = broker->guests; guest; guest = guest->next)
		if (guest->xen.is_set && guest->xen.domid == domid && guest->xen.device == device)
			return guest;
	return NULL;
}

unsigned
xen_disks_of(const struct broker *broker, uint32_t domid)
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

void
xen_lost_clear(struct broker *broker)
{
	for (struct xen_lost *lost = broker->xenwatch.lost, *next; lost; lost = next) {
		next = lost->next;
		free(lost);
	}
	broker->xenwatch.lost = NULL;
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
print_end(const struct guest *guest, char text[static XEN_TEXT_LEN])
{
	const struct db_attachment *row = &guest->row;
	bool refused = guest->reason == REASON_REFUSED;
	char theirs[128] = "";
	int used = snprintf(text, XEN_TEXT_LEN, "%s %s %s from %s%s: %s", row->vm.text,
	    guest->xen.was_up ? "has" : "does not get", row->share.text, row->exporter,
	    guest->xen.was_up ? " no longer" : "", refused ? "refused" : reason_sentence(guest->reason));

	if (!refused && guest->text[0] && strcmp(guest->text, reason_sentence(guest->reason)) != 0)
		used += snprintf(text + used, XEN_TEXT_LEN - (size_t)used, ": %.120s", guest->text);
	if (guest->peer_record)
		snprintf(theirs, sizeof theirs, "record %llu in the audit trail of %s; ",
		    (unsigned long long)guest->peer_record, row->exporter);
	snprintf(text + used, XEN_TEXT_LEN - (size_t)used, " (%srecord %llu here)", theirs,
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
	char text[XEN_TEXT_LEN];

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

uint64_t
xen_record_refusal(
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
	char text[XEN_TEXT_LEN], whole[XEN_TEXT_LEN + 160];
	va_list arguments;
	uint64_t seq;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	seq = xen_record_refusal(broker, NULL, disk, vm, text);
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
	char text[XEN_TEXT_LEN];

	if (!is_same) {
		refuse(broker, disk, guest->row.vm.text, "disk %s of domain '%s' is %s from %s, and not yet free",
		    disk->vdev, disk->domain, guest->row.share.text, guest->row.exporter);
	} else if (!guest->down) {
		xen_tell_ordered(guest);
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
	struct error error = {0};
	struct db_host host;

	if (!xen_map_vm(&broker->config->xen.vms, disk->domain, vm)) {
		refuse(broker, disk, NULL, XEN_NO_VM, disk->domain);
		return false;
	}
	if (xen_disks_of(broker, disk->domid) >= LIMIT_XEN_DISKS) {
		refuse(broker, disk, vm->text, "domain '%s' has %u disks already, which is the limit", disk->domain,
		    LIMIT_XEN_DISKS);
		return false;
	}
	if (guest_exporter(broker, disk->exporter, &host, &error) == NULL) {
		refuse(broker, disk, vm->text, "%s", error.text);
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
	xen_tell_ordered(guest);
	guest_start(guest);
}

void
xen_take_disk(struct broker *broker, const struct msg_xen_disk *disk)
{
	struct guest *guest = xen_guest_at(broker, disk->domid, disk->device);
	struct qualified vm;

	if (guest)
		answer_present(guest, disk);
	else if (broker->stopping)
		tell_over(broker, disk->domid, disk->device, true, REASON_STOPPING, "netbusd is stopping");
	else if (may_be_asked_for(broker, disk, &vm))
		begin_disk(broker, disk, &vm);
}

void
xen_take_gone(struct broker *broker, const struct msg_xen_gone *gone)
{
	struct guest *guest = xen_guest_at(broker, gone->domid, gone->device);

	lost_forget(broker, gone->domid, gone->device);
	forget_shadow(broker, gone->domid, gone->device);
	if (guest == NULL)
		return;
	guest->xen.is_gone = true;
	guest_stop(guest, REASON_DETACHED);
	guests_finish(broker);
}
