/* SPDX-License-Identifier: Apache-2.0
 *
 * Attachments of this host's guests: asked for by an operator, carried out by an attach process, recorded here. Whether the share may be had is
 * decided on the export host, by its policy.
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

static void
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

/* ---- answers ---- */

static void
fill_row(const struct guest *guest, struct msg_row_attachment *row)
{
	const struct db_attachment *from = &guest->row;

	*row = (struct msg_row_attachment){.id = from->id,
	    .epoch = from->epoch,
	    .size = from->size,
	    .lanes = guest->lanes_up,
	    .started_at = (uint64_t)from->started_us,
	    .ended_at = (uint64_t)from->ended_us};
	snprintf(row->vm, sizeof row->vm, "%s", from->vm.text);
	snprintf(row->vm_uuid, sizeof row->vm_uuid, "%s", from->vm_uuid);
	snprintf(row->share, sizeof row->share, "%s", from->share.text);
	snprintf(row->exporter, sizeof row->exporter, "%s", from->exporter);
	snprintf(row->frontend, sizeof row->frontend, "%s", from->frontend);
	snprintf(row->mode, sizeof row->mode, "%s", from->mode ? "rw" : "ro");
	snprintf(row->state, sizeof row->state, "%s", from->state);
	snprintf(row->end_text, sizeof row->end_text, "%s", from->end_text);
	memcpy(row->lease, from->lease, sizeof row->lease);
}

/* Refused by the exporter's decision, as against failures on the way. */
static bool
is_refusal(uint16_t reason)
{
	static const uint16_t refusals[] = {REASON_REFUSED, REASON_SHARE_BUSY, REASON_READ_ONLY, REASON_LEASE_ENDED,
	    REASON_LANES_EXHAUSTED, REASON_REVOKED, REASON_LIMIT_REACHED, REASON_EXPIRED};

	for (size_t i = 0; i < ARRAY_LENGTH(refusals); i++)
		if (refusals[i] == reason)
			return true;
	return false;
}

/* A tenant's operator is told the same of his own share that does not exist there, and of another tenant's, for which nobody is asked: so no record
 * of the exporter's, whose numbers others' attempts move on. */
static void
answer_refused(struct client *client, const char *vm, const char *share, const char *exporter)
{
	client_done(client, ADMIN_DENIED, 0,
	    "%s does not get %s from %s: refused; the audit trail there has the reason, for its operators to read", vm,
	    share, exporter);
}

static void
answer_failure(struct guest *guest)
{
	const struct db_attachment *row = &guest->row;
	struct client *client = TAKE(guest->attaching);
	bool refused = is_refusal(guest->reason);
	char record[128] = "";

	if (client == NULL)
		return;
	if (client->role == ROLE_TENANT && guest->reason == REASON_REFUSED) {
		answer_refused(client, row->vm.text, row->share.text, row->exporter);
		return;
	}
	if (guest->peer_record && client->role != ROLE_TENANT)
		snprintf(record, sizeof record, " (record %llu in the audit trail of %s)",
		    (unsigned long long)guest->peer_record, row->exporter);
	client_done(client, refused ? ADMIN_DENIED : ADMIN_FAILURE, 0, "%s does not get %s from %s: %s%s%s%s",
	    row->vm.text, row->share.text, row->exporter, reason_sentence(guest->reason), record,
	    refused || guest->text[0] == '\0' ? "" : ": ", refused ? "" : guest->text);
}

/* ---- beginning ---- */

/* All sockets are in one directory; a tenant's operator, who may choose the name of his, is not to find those of others by it. */
static bool
is_name_for(const struct client *client, const char *name)
{
	size_t length = strlen(client->tenant.text);

	return client->role != ROLE_TENANT || (strncmp(name, client->tenant.text, length) == 0 && name[length] == '-');
}

/* "" or "nbd:NAME" or "nbd:/path" -> the absolute path of a socket in the attach directory. */
static int
socket_path(
    const struct client *client, const struct msg_guest_attach *ask, char *path, size_t room, struct error *error)
{
	const char *directory = client->broker->config->attach_directory, *name = ask->frontend;
	size_t length = strlen(directory);
	char made[2 * QUALIFIED_LEN_MAX + 16];

	if (name[0] == '\0') {
		snprintf(made, sizeof made, "%s-%s.sock", ask->vm, strchr(ask->share, '/') + 1);
		*strchr(made, '/') = '-';
		name = made;
	} else if (strncmp(name, "nbd:", 4) == 0) {
		name += 4;
	} else {
		return error_set(
		    error, -EINVAL, "'%s' is no way to attach that this host knows; use --as nbd:NAME", name);
	}
	if (strncmp(name, directory, length) == 0 && name[length] == '/')
		name += length + 1;
	if (ask->frontend[0] && !is_name_for(client, name))
		return error_set(error, -EINVAL, "'%s': the name of a socket of tenant %s begins with '%s-'", name,
		    client->tenant.text, client->tenant.text);
	if (name[0] == '\0' || name[0] == '.' || strchr(name, '/'))
		return error_set(error, -EINVAL,
		    "'%s': the socket is made in %s; give a name without '/' that does not begin with '.'", name,
		    directory);
	if (path_print(path, room, "%s/%s", directory, name) < 0 || strlen(path) > 107)
		return error_set(error, -ENAMETOOLONG,
		    "'%s': a socket's path has at most 107 bytes; give a shorter name with --as nbd:NAME", name);
	return 0;
}

static const char *
address_of(struct broker *broker, const char *exporter, struct db_host *host)
{
	const struct config_peer *peer = config_peer(broker->config, exporter);

	if (db_host_get(broker->db, exporter, host) == 0 && host->address[0])
		return host->address;
	return peer ? peer->address : NULL;
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

static int
store_begin(
    struct broker *broker, struct guest *guest, const char *admin, const char *why, uint64_t *seq, struct error *error)
{
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
	return db_end(broker->db, code, error);
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

static struct guest *
guest_new(struct broker *broker, const struct msg_guest_attach *ask, const char *path)
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
	snprintf(guest->row.frontend, sizeof guest->row.frontend, "nbd:%s", path);
	snprintf(guest->row.state, sizeof guest->row.state, "starting");
	guest->next = broker->guests;
	if (guest->next)
		guest->next->prev = guest;
	broker->guests = guest;
	return guest;
}

void
guest_begin(struct client *client, const struct msg_guest_attach *ask)
{
	struct broker *broker = client->broker;
	struct msg_attach_start start = {0};
	struct error error = {0};
	struct db_host host;
	struct guest *guest;
	const char *address = address_of(broker, ask->exporter, &host);
	char path[256];
	uint64_t seq = 0;
	int code;

	if (address == NULL) {
		client_done(client, ADMIN_NOT_FOUND, 0,
		    "no address of the export host %s is known; tell it with: netbus-admin host add %s --address "
		    "ADDRESS:PORT",
		    ask->exporter, ask->exporter);
		return;
	}
	if (peer_is_denied(broker, ask->exporter, NULL)) {
		client_done(client, ADMIN_DENIED, 0,
		    "the export host %s is denied here; netbus-admin host allow %s takes that back", ask->exporter,
		    ask->exporter);
		return;
	}
	if (socket_path(client, ask, path, sizeof path, &error) < 0) {
		client_done(client, ADMIN_USAGE, 0, "%s", error.text);
		return;
	}
	if (ask->dry_run) {
		client_done(client, ADMIN_OK, 0,
		    "would attach %s for %s from %s (%s) at %s; whether it may is decided there", ask->share, ask->vm,
		    ask->exporter, address, path);
		return;
	}
	if (!client_sees(client, ask->vm, ask->share)) {
		client_denied(client, "attach of %s for %s", ask->share, ask->vm);
		answer_refused(client, ask->vm, ask->share, ask->exporter);
		return;
	}
	guest = guest_new(broker, ask, path);
	if (guest == NULL) {
		client_done(client, ADMIN_FAILURE, 0, "out of memory");
		return;
	}
	code = store_begin(broker, guest, client->name, ask->reason, &seq, &error);
	if (code < 0) {
		guest_free(guest);
		client_done(client, code == -EBUSY ? ADMIN_CONFLICT : ADMIN_FAILURE, 0, "%s",
		    code == -EBUSY ? "this VM has an attachment of this share already, or the socket is another "
				     "attachment's; see netbus-admin attachment list"
				   : error.text);
		return;
	}
	broker_seal_soon(broker);
	guest->attaching = client;
	start.attachment = guest->row.id;
	snprintf(start.exporter, sizeof start.exporter, "%s", ask->exporter);
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
	struct msg_row_attachment row;
	struct error error = {0};
	struct client *client;
	uint64_t seq = 0;

	process->channel.state = CH_HELD;
	if (guest == NULL || guest->down)
		return;
	snprintf(guest->row.state, sizeof guest->row.state, "up");
	memcpy(guest->row.lease, up->lease, sizeof guest->row.lease);
	guest->row.epoch = up->epoch;
	guest->row.size = up->size;
	guest->lanes_up = 1;
	if (store_up(guest, &seq, &error) < 0) {
		log_error("an attachment cannot be recorded, so it is ended: %s", error.text);
		snprintf(guest->text, sizeof guest->text, "%.255s", error.text);
		guest_stop(guest, REASON_STATE_UNAVAILABLE);
		return;
	}
	broker_seal_soon(process->broker);
	client = TAKE(guest->attaching);
	if (client == NULL)
		return;
	fill_row(guest, &row);
	client_row(client, ADMIN_ROW_ATTACHMENT, &row);
	client_done(
	    client, ADMIN_OK, seq, "%s has %s: %s", guest->row.vm.text, guest->row.share.text, guest->row.frontend);
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
		code = db_record(broker->db, &record, clock_wall_us(), NULL, error);
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
	if (!guest->reaped)
		return;
	answer_failure(guest);
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
	broker_tell_monitor(guest->broker, MSG_ATTACH_STOP,
	    &(struct msg_attach_stop){.attachment = guest->row.id, .reason = (uint16_t)reason});
}

void
guest_stop_asked(struct client *client, const struct msg_guest_detach *ask)
{
	struct guest *guest = client->broker->guests;

	while (guest &&
	       (ask->id ? guest->row.id != ask->id
			: strcmp(guest->row.vm.text, ask->vm) != 0 || strcmp(guest->row.share.text, ask->share) != 0))
		guest = guest->next;
	if (guest == NULL || !client_sees(client, guest->row.vm.text, guest->row.share.text)) {
		client_not_found(client, "there is no such attachment; see netbus-admin attachment list");
		return;
	}
	if (guest->detaching) {
		client_done(client, ADMIN_CONFLICT, 0, "it is being detached already");
		return;
	}
	if (ask->dry_run) {
		client_done(client, ADMIN_OK, 0, "would detach %s from %s", guest->row.share.text, guest->row.vm.text);
		return;
	}
	guest->detaching = client;
	guest_stop(guest, REASON_DETACHED);
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
