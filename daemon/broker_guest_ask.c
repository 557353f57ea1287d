/* SPDX-License-Identifier: Apache-2.0
 *
 * What operators ask of this host's attachments, and what they are answered: attach and detach, NBD sockets and Xen disks alike (broker_guest.c has the attachments'
 * lives, broker_xen_ask.c what only Xen has).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/fd.h"
#include "daemon/broker.h"

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

void
guest_answer_up(struct guest *guest, uint64_t seq)
{
	struct client *client = TAKE(guest->attaching);
	struct msg_row_attachment row;

	if (client == NULL)
		return;
	fill_row(guest, &row);
	client_row(client, ADMIN_ROW_ATTACHMENT, &row);
	client_done(
	    client, ADMIN_OK, seq, "%s has %s: %s", guest->row.vm.text, guest->row.share.text, guest->row.frontend);
}

void
guest_answer_failure(struct guest *guest)
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
		return error_set(error, -EINVAL,
		    "'%s' is no way to attach that this host knows; use --as nbd:NAME or --as xen:DOMAIN/VDEV", name);
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

/* "nbd:/path" or "xen:DOMAIN/VDEV" as it will be; false: the client was told why not. */
static bool
take_frontend(
    struct client *client, const struct msg_guest_attach *ask, char *frontend, size_t room, struct xen_place *place)
{
	struct error error = {0};

	if (strncmp(ask->frontend, "xen:", 4) == 0) {
		snprintf(frontend, room, "%s", ask->frontend);
		return xen_place_for(client, ask, place);
	}
	memcpy(frontend, "nbd:", 4);
	if (socket_path(client, ask, frontend + 4, room - 4, &error) == 0)
		return true;
	client_done(client, ADMIN_USAGE, 0, "%s", error.text);
	return false;
}

static void
answer_not_stored(struct client *client, int code, const struct error *error)
{
	client_done(client, code == -EBUSY ? ADMIN_CONFLICT : ADMIN_FAILURE, 0, "%s",
	    code == -EBUSY ? "this VM has an attachment of this share already, or the socket or disk is another "
			     "attachment's; see netbus-admin attachment list"
			   : error->text);
}

void
guest_begin(struct client *client, const struct msg_guest_attach *ask)
{
	struct broker *broker = client->broker;
	struct xen_place place = {0};
	struct error error = {0};
	struct db_host host;
	struct guest *guest;
	const char *address = guest_exporter(broker, ask->exporter, &host, &error);
	char frontend[sizeof guest->row.frontend];
	uint64_t seq = 0;
	int code;

	if (address == NULL) {
		client_done(client, error.code == -ENOENT ? ADMIN_NOT_FOUND : ADMIN_DENIED, 0, "%s", error.text);
		return;
	}
	if (!take_frontend(client, ask, frontend, sizeof frontend, &place))
		return;
	if (ask->dry_run) {
		client_done(client, ADMIN_OK, 0,
		    "would attach %s for %s from %s (%s) at %s; whether it may is decided there", ask->share, ask->vm,
		    ask->exporter, address, place.is ? frontend : frontend + 4);
		return;
	}
	if (!client_sees(client, ask->vm, ask->share)) {
		client_denied(client, "attach of %s for %s", ask->share, ask->vm);
		answer_refused(client, ask->vm, ask->share, ask->exporter);
		return;
	}
	guest = guest_new(broker, ask, frontend);
	if (guest == NULL) {
		client_done(client, ADMIN_FAILURE, 0, "out of memory");
		return;
	}
	guest->xen = place;
	code = guest_store_begin(guest, client->name, ask->reason, &seq, &error);
	if (code < 0) {
		guest_free(guest);
		answer_not_stored(client, code, &error);
		return;
	}
	guest->attaching = client;
	if (place.is)
		xen_guest_place(guest);
	else
		guest_start(guest);
}

/* ---- ending ---- */

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
	if (guest->xen.is && !xen_guest_remove(client, guest))
		return;
	guest->detaching = client;
	if (!guest->xen.is)
		guest_stop(guest, REASON_DETACHED);
}
