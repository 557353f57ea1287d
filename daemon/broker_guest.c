/* SPDX-License-Identifier: Apache-2.0
 *
 * Attachments of this host's guests: asked for by an operator (broker_guest_ask.c) or by a Xen toolstack (broker_xen.c), carried out by an attach process, recorded
 * here. Whether the share may be had is decided on the export host, by its policy.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "daemon/broker.h"

struct guest *
guest_find(struct broker *broker, uint32_t id)
{
	for (struct guest *guest = broker->guests; guest; guest = guest->next)
		if (guest->row.id == id)
			return guest;
	return NULL;
}

void
guest_free(struct guest *guest)
{
	struct broker *broker = guest->broker;

	if (guest->process)
		guest->process->attachment = 0;
	if (guest->prev)
		guest->prev->next = guest->next;
	else
		broker->guests = guest->next;
	if (guest->next)
		guest->next->prev = guest->prev;
	free(guest->order);
	free(guest);
}

/* ---- beginning ---- */

const char *
guest_address(struct broker *broker, const char *exporter, struct db_host *host)
{
	const struct config_peer *peer = config_peer(broker->config, exporter);

	if (db_host_get(broker->db, exporter, host) == 0 && host->address[0])
		return host->address;
	return peer ? peer->address : NULL;
}

const char *
guest_exporter(struct broker *broker, const char *exporter, struct db_host *host, struct error *error)
{
	const char *address = guest_address(broker, exporter, host);

	if (address == NULL)
		error_set(error, -ENOENT,
		    "no address of the export host %s is known; tell it with: netbus-admin host add %s --address "
		    "ADDRESS:PORT",
		    exporter, exporter);
	else if (!peer_is_denied(broker, exporter, NULL))
		return address;
	else
		error_set(error, -EACCES,
		    "the export host %s is denied here; netbus-admin host allow %s takes that back", exporter,
		    exporter);
	return NULL;
}

static struct record
guest_record(const struct guest *guest, enum record_event event, const char *admin)
{
	return (struct record){
	    .event = event,
	    .vm = guest->row.vm.text,
	    .admin = admin,
	    .share = guest->row.share.text,
	    .lease = guest->row.epoch ? guest->row.lease : NULL,
	    .epoch = guest->row.epoch,
	    .mode = guest->row.mode ? "rw" : "ro",
	    .detail = {{"exporter", guest->row.exporter, 0}, {"attachment", NULL, guest->row.id}},
	    .detail_count = 2,
	};
}

int
guest_store_begin(struct guest *guest, const char *admin, const char *why, uint64_t *seq, struct error *error)
{
	struct broker *broker = guest->broker;
	int code = db_begin(broker->db, error);
	struct record record;

	if (code < 0)
		return code;
	if (!db_trail_ok(broker->db))
		code = error_set(error, -ENOSPC,
		    "the audit trail has no space, so nothing new is attached; make room in %s",
		    broker->config->log_directory);
	if (code == 0)
		code = db_attachment_add(broker->db, &guest->row, error);
	if (code == 0) {
		record = guest_record(guest, EVENT_ATTACHMENT_START, admin);
		record.detail[record.detail_count++] = (struct record_detail){"frontend", guest->row.frontend, 0};
		if (why[0])
			record.detail[record.detail_count++] = (struct record_detail){"why", why, 0};
		code = db_record(broker->db, &record, guest->row.started_us, seq, error);
	}
	code = db_end(broker->db, code, error);
	if (code == 0)
		broker_seal_soon(broker);
	return code;
}

/* What the attach process will be told, once it is there. */
static struct msg_attach_order *
order_new(const struct msg_guest_attach *ask)
{
	struct msg_attach_order *order = calloc(1, sizeof *order);

	_Static_assert(sizeof order->ticket == sizeof ask->ticket, "one limit for tickets");
	if (order == NULL)
		return NULL;
	order->mode = ask->mode;
	order->lanes = ask->lanes;
	snprintf(order->vm, sizeof order->vm, "%s", ask->vm);
	snprintf(order->vm_uuid, sizeof order->vm_uuid, "%s", ask->vm_uuid);
	snprintf(order->share, sizeof order->share, "%s", ask->share);
	memcpy(&order->ticket, &ask->ticket, sizeof order->ticket);
	return order;
}

struct guest *
guest_new(struct broker *broker, const struct msg_guest_attach *ask, const char *frontend)
{
	struct guest *guest = calloc(1, sizeof *guest);

	if (guest)
		guest->order = order_new(ask);
	if (guest == NULL || guest->order == NULL) {
		free(guest);
		return NULL;
	}
	guest->broker = broker;
	guest->row.mode = ask->mode;
	guest->row.started_us = clock_wall_us();
	snprintf(guest->row.vm.text, sizeof guest->row.vm.text, "%s", ask->vm);
	snprintf(guest->row.vm_uuid, sizeof guest->row.vm_uuid, "%s", ask->vm_uuid);
	snprintf(guest->row.share.text, sizeof guest->row.share.text, "%s", ask->share);
	snprintf(guest->row.exporter, sizeof guest->row.exporter, "%s", ask->exporter);
	snprintf(guest->row.frontend, sizeof guest->row.frontend, "%s", frontend);
	snprintf(guest->row.state, sizeof guest->row.state, "starting");
	guest->next = broker->guests;
	if (guest->next)
		guest->next->prev = guest;
	broker->guests = guest;
	return guest;
}

void
guest_start(struct guest *guest)
{
	struct broker *broker = guest->broker;
	struct msg_attach_start start = {
	    .attachment = guest->row.id, .domid = guest->xen.domid, .device = guest->xen.device};
	struct db_host host;
	const char *address = guest_address(broker, guest->row.exporter, &host);

	guest->started = true;
	if (address == NULL) { /* the host was taken out meanwhile */
		guest_end_here(guest, REASON_UNREACHABLE, "no address of it is known");
		guests_finish(broker);
		return;
	}
	snprintf(start.exporter, sizeof start.exporter, "%s", guest->row.exporter);
	snprintf(start.address, sizeof start.address, "%s", address);
	snprintf(start.frontend, sizeof start.frontend, "%s", guest->row.frontend);
	broker_tell_monitor(broker, MSG_ATTACH_START, &start);
}

void
guest_process_here(struct process *process)
{
	struct guest *guest = guest_find(process->broker, process->attachment);
	AUTO_FREE struct msg_attach_order *order = NULL;

	if (guest == NULL || guest->down || guest->order == NULL) {
		process_drop(process, "its attachment is over");
		return;
	}
	guest->process = process;
	order = TAKE(guest->order);
	process_tell(process, MSG_ATTACH_ORDER, order);
}

/* ---- up ---- */

static int
store_up(struct guest *guest, uint64_t *seq, struct error *error)
{
	struct broker *broker = guest->broker;
	struct record record = guest_record(guest, EVENT_ATTACHMENT_UP, NULL);
	int code = db_begin(broker->db, error);

	if (code < 0)
		return code;
	code = db_attachment_update(broker->db, &guest->row, error);
	if (code == 0)
		code = db_record(broker->db, &record, clock_wall_us(), seq, error);
	return db_end(broker->db, code, error);
}

void
guest_up(struct process *process, const struct msg_attach_up *up)
{
	struct guest *guest = guest_find(process->broker, process->attachment);
	struct error error = {0};
	uint64_t seq = 0;

	process->channel.state = CH_HELD;
	if (guest == NULL || guest->down)
		return;
	snprintf(guest->row.state, sizeof guest->row.state, "up");
	memcpy(guest->row.lease, up->lease, sizeof guest->row.lease);
	guest->row.epoch = up->epoch;
	guest->row.size = up->size;
	guest->lanes_up = 1;
	guest->xen.was_up = true;
	if (store_up(guest, &seq, &error) < 0) {
		log_error("an attachment cannot be recorded, so it is ended: %s", error.text);
		snprintf(guest->text, sizeof guest->text, "%.255s", error.text);
		guest_stop(guest, REASON_STATE_UNAVAILABLE);
		return;
	}
	broker_seal_soon(process->broker);
	guest_answer_up(guest, seq);
}

/* ---- down ---- */

static int
store_down(struct guest *guest, struct error *error)
{
	struct broker *broker = guest->broker;
	struct record record = guest_record(guest, EVENT_ATTACHMENT_DOWN, NULL);
	int code = db_begin(broker->db, error);

	if (code < 0)
		return code;
	record.reason = reason_name(guest->reason);
	record.detail[record.detail_count++] = (struct record_detail){"text", guest->text, 0};
	if (guest->peer_record)
		record.detail[record.detail_count++] =
		    (struct record_detail){"exporters_record", NULL, guest->peer_record};
	code = db_attachment_update(broker->db, &guest->row, error);
	if (code == 0)
		code = db_record(broker->db, &record, clock_wall_us(), &guest->down_record, error);
	return db_end(broker->db, code, error);
}

/* It is over: said by the process, or by its end. Only the first word counts. */
static void
be_down(struct guest *guest, uint16_t reason, uint64_t peer_record, const char *text)
{
	if (guest->down)
		return;
	guest->down = true;
	guest->lanes_up = 0;
	guest->reason = reason;
	guest->peer_record = peer_record;
	if (guest->text[0] == '\0')
		snprintf(guest->text, sizeof guest->text, "%s", text);
	snprintf(guest->row.state, sizeof guest->row.state, "ended");
	guest->row.ended_us = clock_wall_us();
	snprintf(guest->row.end_text, sizeof guest->row.end_text, "%s: %.200s", reason_name(reason), guest->text);
}

void
guest_end_here(struct guest *guest, enum reason reason, const char *text)
{
	guest->reaped = true;
	be_down(guest, (uint16_t)reason, 0, text);
}

/* Recorded and reaped: whoever waited hears of it, and it is forgotten. */
static void
finish(struct guest *guest)
{
	struct broker *broker = guest->broker;
	struct error error = {0};

	if (!guest->recorded) {
		if (store_down(guest, &error) < 0) {
			log_error("the end of an attachment cannot be recorded yet: %s", error.text);
			broker_retry_soon(broker);
			return;
		}
		guest->recorded = true;
		broker_seal_soon(broker);
	}
	xen_guest_over(guest);
	/* A Xen guest's process stays as long as the guest has rings, to refuse what it asks for. */
	if (guest->reaped || guest->xen.is)
		guest_answer_failure(guest);
	if (!guest->reaped)
		return;
	client_done(
	    TAKE(guest->detaching), ADMIN_OK, 0, "%s is detached from %s", guest->row.share.text, guest->row.vm.text);
	guest_free(guest);
}

void
guests_finish(struct broker *broker)
{
	for (struct guest *guest = broker->guests, *next; guest; guest = next) {
		next = guest->next;
		if (guest->down)
			finish(guest);
	}
	broker_stop_go_on(broker);
}

void
guest_down(struct process *process, const struct msg_attach_down *down)
{
	struct guest *guest = guest_find(process->broker, process->attachment);

	if (guest == NULL)
		return;
	be_down(guest, down->reason, down->record, down->text);
	guests_finish(process->broker);
}

void
guest_process_gone(struct process *process, const char *cause)
{
	struct guest *guest = guest_find(process->broker, process->attachment);

	if (guest == NULL)
		return;
	guest->process = NULL;
	guest->reaped = true;
	be_down(guest, REASON_SESSION_LOST, 0, cause);
	guests_finish(process->broker);
}

/* The process of a Xen disk stays: the guest may have its rings, and is answered with errors. */
void
guest_exporter_denied(struct process *process, const char *host)
{
	struct guest *guest = guest_find(process->broker, process->attachment);

	if (guest == NULL || !guest->xen.is) {
		process_drop(process, "the export host %s, or its key, is denied here", host);
		return;
	}
	snprintf(guest->text, sizeof guest->text, "the export host %s, or its key, is denied here", host);
	guest_stop(guest, REASON_HOST_DENIED);
}

void
guest_refused(struct broker *broker, const struct msg_attach_refused *refused)
{
	struct guest *guest = guest_find(broker, refused->attachment);

	if (guest == NULL)
		return;
	guest->reaped = true;
	be_down(guest, REASON_DEVICE_UNAVAILABLE, 0, refused->text);
	guests_finish(broker);
}

/* ---- ending ---- */

void
guest_stop(struct guest *guest, enum reason reason)
{
	if (!guest->started) {
		guest_end_here(guest, reason, reason_sentence((uint16_t)reason));
		return;
	}
	broker_tell_monitor(guest->broker, MSG_ATTACH_STOP,
	    &(struct msg_attach_stop){.attachment = guest->row.id, .reason = (uint16_t)reason});
}

/* ---- the last run's ---- */

struct leftovers {
	struct db_attachment *list;
	size_t count;
	bool failed;
};

static void
gather(const struct db_attachment *attachment, void *context)
{
	struct leftovers *left = context;
	struct db_attachment *list = reallocarray(left->list, left->count + 1, sizeof *list);

	if (list == NULL) {
		left->failed = true;
		return;
	}
	left->list = list;
	list[left->count++] = *attachment;
}

int
guests_reconcile(struct broker *broker, struct error *error)
{
	struct leftovers left = {0};
	int code = db_attachments_each(broker->db, false, gather, &left);

	if (left.failed)
		code = -ENOMEM;
	if (code < 0)
		error_errno(error, code, "the attachments of the last run cannot be read");
	for (size_t i = 0; i < left.count && code == 0; i++) {
		struct guest guest = {.broker = broker, .row = left.list[i]};

		be_down(&guest, REASON_ORPHANED, 0, reason_sentence(REASON_ORPHANED));
		code = store_down(&guest, error);
	}
	free(left.list);
	return code;
}
