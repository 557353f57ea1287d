/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of operators that only read: status and lists. Rows of other tenants are not shown to a
 * tenant's operator.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"
#include "daemon/broker.h"

#define COPY(to, from) snprintf((to), sizeof(to), "%s", (from))

/* NULL for "any". */
static const char *
filter(const char *text)
{
	return text[0] ? text : NULL;
}

static const char *
mode_text(uint8_t mode)
{
	return mode ? "rw" : "ro";
}

/* ---- status ---- */

static const char *
role_text(enum admin_role role)
{
	static const char *const names[] = {"nobody", "auditor", "tenant-operator", "operator"};

	return names[role];
}

struct grant_count {
	const struct client *client;
	uint32_t *count;
};

static void
count_grant(const struct db_grant *grant, void *context)
{
	const struct grant_count *counting = context;

	*counting->count += client_sees(counting->client, grant->vm.text, grant->share.text);
}

static void
fill_paths(const struct broker *broker, struct msg_row_status *row)
{
	const struct config *config = broker->config;

	COPY(row->config, broker->config_path);
	COPY(row->policy_directory, config->policy_directory);
	COPY(row->pki_directory, config->pki_directory);
	COPY(row->state, config->state_db);
	COPY(row->trail, config->audit_trail);
	COPY(row->checkpoint, config->audit_checkpoint);
}

static const char *
policy_state(const struct broker *broker)
{
	if (broker->policy == NULL)
		return "none";
	if (broker->trial.waiting)
		return "unconfirmed";
	if (broker->trial.rolled_back)
		return "rolled-back";
	return broker->policy_is_last_good || broker->load_failed_us ? "last-good" : "good";
}

static void
fill_policy(const struct client *client, struct msg_row_status *row)
{
	const struct broker *broker = client->broker;

	COPY(row->policy_state, policy_state(broker));
	row->load_failed_at = (uint64_t)broker->load_failed_us;
	if (broker->trial.waiting)
		row->confirm_until_at = (uint64_t)broker->trial.until_us;
	if (broker->policy == NULL)
		return;
	row->generation = policy_generation(broker->policy);
	row->policy_loaded_at = (uint64_t)broker->policy_loaded_us;
	if (client->role == ROLE_TENANT) /* they are all tenants' */
		return;
	row->rules = (uint32_t)policy_rule_count(broker->policy);
	row->policy_tests = (uint32_t)policy_test_count(broker->policy);
}

static bool
sees_lease(const struct client *client, const struct lease *lease)
{
	return client_sees(client, lease->row.vm.text, lease->row.share.text);
}

static bool
sees_guest(const struct client *client, const struct guest *guest)
{
	return client_sees(client, guest->row.vm.text, guest->row.share.text);
}

/* One that serves nothing yet, or no more, is no tenant's. */
static bool
sees_process(const struct client *client, const struct process *process)
{
	const struct guest *guest = process->is_attach ? guest_find(client->broker, process->attachment) : NULL;

	if (process->lease)
		return sees_lease(client, process->lease);
	return guest ? sees_guest(client, guest) : client->role != ROLE_TENANT;
}

static void
fill_counts(const struct client *client, struct msg_row_status *row)
{
	const struct broker *broker = client->broker;
	struct grant_count grants = {client, &row->grants};

	for (size_t i = 0; i < broker->config->share_count; i++)
		row->shares += client_may(client, broker->config->shares[i].name.text);
	db_grants_each(broker->db, NULL, NULL, NULL, count_grant, &grants);
	for (const struct lease *lease = broker->leases; lease; lease = lease->next)
		row->leases += sees_lease(client, lease);
	for (const struct process *process = broker->processes; process; process = process->next)
		row->sessions += !process->is_attach && sees_process(client, process);
	for (const struct guest *guest = broker->guests; guest; guest = guest->next)
		row->attachments += sees_guest(client, guest);
}

/* How many records others made is not a tenant's business. */
static void
fill_trail(const struct client *client, struct msg_row_status *row)
{
	const struct broker *broker = client->broker;
	struct db_head head;

	row->trail_ok = db_trail_ok(broker->db);
	row->state_ok = db_state_ok(broker->db);
	if (client->role == ROLE_TENANT)
		return;
	db_head(broker->db, &head);
	row->trail_lines = head.size;
	memcpy(row->trail_chain, head.chain, sizeof row->trail_chain);
	row->checkpoint_lines = broker->sealed_lines;
}

static void
fill_enrolment(const struct broker *broker, struct msg_row_status *row)
{
	int64_t first_us = 0;
	int open = db_tokens_open(broker->db, clock_wall_us(), &first_us);

	row->ca_expires_at = broker->identity.ca_not_after_us;
	row->ca_count = broker->identity.ca_count;
	row->renews_at = broker->identity.renew_at_us;
	COPY(row->enrolling, broker->enrolling);
	COPY(row->authority, broker->identity.authority);
	row->tokens = open > 0 ? (uint32_t)open : 0;
	row->token_expires_at = open > 0 ? (uint64_t)first_us : 0;
}

static void
tell_faults(struct client *client)
{
	for (const struct fault *fault = client->broker->faults.first; fault; fault = fault->next) {
		struct msg_row_fault row = {0};

		COPY(row.text, fault->text);
		client_row(client, ADMIN_ROW_FAULT, &row);
	}
}

static void
get_status(struct client *client)
{
	const struct broker *broker = client->broker;
	struct msg_row_status row = {
	    .certificate_expires_at = broker->identity.not_after_us, .started_at = (uint64_t)broker->started_us};

	COPY(row.host, broker->config->host.text);
	COPY(row.trust_domain, broker->identity.trust_domain);
	COPY(row.fingerprint, broker->identity.fingerprint);
	COPY(row.version, NETBUS_VERSION);
	COPY(row.role, role_text(client->role));
	fill_policy(client, &row);
	fill_counts(client, &row);
	fill_paths(broker, &row);
	if (client->role != ROLE_TENANT)
		fill_enrolment(broker, &row);
	if (client->role != ROLE_TENANT && broker->config->xen.on)
		COPY(row.xen, broker->xenwatch.id ? "runs" : "down");
	fill_trail(client, &row);
	client_row(client, ADMIN_ROW_STATUS, &row);
	for (size_t i = 0; i < broker->listening_count; i++) {
		struct msg_row_listening listening = {0};

		COPY(listening.address, broker->listening[i]);
		client_row(client, ADMIN_ROW_LISTENING, &listening);
	}
	if (broker->load_failed_us && client->role != ROLE_TENANT)
		tell_faults(client);
	client_done(client, ADMIN_OK, 0, "%s", "");
}

/* ---- shares, grants, hosts ---- */

struct listing {
	struct client *client;
	const char *wanted;
	unsigned count;
};

static uint32_t
count_leases(const struct client *client, const char *share)
{
	uint32_t count = 0;

	for (const struct lease *lease = client->broker->leases; lease; lease = lease->next)
		count += strcmp(lease->row.share.text, share) == 0 && sees_lease(client, lease);
	return count;
}

/* "kind=storage,zone=a" */
static void
print_labels(const struct config_share *share, char *text, size_t room)
{
	size_t used = 0;

	for (size_t i = 0; i < share->label_count && used + 1 < room; i++) {
		used += (size_t)snprintf(text + used, room - used, "%s%s=", i ? "," : "", share->labels[i].key);
		for (const char *at = share->labels[i].value; *at && used + 2 < room; at++) {
			if (*at == ',' || *at == '\\')
				text[used++] = '\\';
			text[used++] = *at;
			text[used] = '\0';
		}
	}
}

static void
tell_share(const struct db_share *share, void *context)
{
	static const char *const sharings[] = {"exclusive", "shared-read", "shared-write"};
	struct listing *listing = context;
	const struct broker *broker = listing->client->broker;
	const struct config_share *config = config_share(broker->config, share->name.text);
	struct msg_row_share row = {.read_only = share->read_only,
	    .enabled = share->enabled,
	    .configured = share->configured,
	    .epoch = share->epoch};

	if (!client_may(listing->client, share->name.text) ||
	    (listing->wanted && strcmp(listing->wanted, share->name.text) != 0))
		return;
	if (!share->configured && !listing->wanted && count_leases(listing->client, share->name.text) == 0)
		return; /* not exported any more */
	COPY(row.share, share->name.text);
	COPY(row.class, share->class);
	COPY(row.sharing, sharings[share->share_mode]);
	row.leases = count_leases(listing->client, share->name.text);
	if (config && config->path)
		COPY(row.path, config->path);
	if (config) {
		row.memory_bytes = config->memory_bytes;
		print_labels(config, row.labels, sizeof row.labels);
	}
	client_row(listing->client, ADMIN_ROW_SHARE, &row);
	listing->count++;
}

static void
get_shares(struct client *client, const struct msg_get_shares *ask)
{
	struct listing listing = {client, filter(ask->share), 0};

	if (db_shares_each(client->broker->db, tell_share, &listing) < 0)
		client_done(client, ADMIN_FAILURE, 0, "the state database cannot be read");
	else if (listing.wanted && listing.count == 0)
		client_not_found(client, "there is no share %s; see netbus-admin share list", ask->share);
	else
		client_done(client, ADMIN_OK, 0, "%s", "");
}

static void
tell_grant(const struct db_grant *grant, void *context)
{
	struct listing *listing = context;
	struct msg_row_grant row = {.id = grant->id,
	    .created_at = (uint64_t)grant->created_us,
	    .expires_at = (uint64_t)grant->expires_us,
	    .expired = grant->expires_us && grant->expires_us <= clock_wall_us()};

	if (!client_sees(listing->client, grant->vm.text, grant->share.text))
		return;
	COPY(row.vm, grant->vm.text);
	COPY(row.share, grant->share.text);
	COPY(row.host, grant->host);
	COPY(row.mode, mode_text(grant->mode));
	COPY(row.maker, grant->maker);
	COPY(row.reason, grant->reason);
	client_row(listing->client, ADMIN_ROW_GRANT, &row);
}

static void
get_grants(struct client *client, const struct msg_get_grants *ask)
{
	struct listing listing = {client, NULL, 0};

	if (db_grants_each(
		client->broker->db, filter(ask->vm), filter(ask->share), filter(ask->host), tell_grant, &listing) < 0)
		client_done(client, ADMIN_FAILURE, 0, "the state database cannot be read");
	else
		client_done(client, ADMIN_OK, 0, "%s", "");
}

static void
tell_host(const struct db_host *host, void *context)
{
	struct listing *listing = context;
	const struct config_peer *peer = config_peer(listing->client->broker->config, host->name.text);
	struct msg_row_host row = {.denied = host->denied};

	COPY(row.host, host->name.text);
	COPY(row.address, host->address[0] || peer == NULL ? host->address : peer->address);
	if (listing->client->role != ROLE_TENANT) /* what an operator wrote of others */
		COPY(row.reason, host->reason);
	COPY(row.origin, "operator");
	client_row(listing->client, ADMIN_ROW_HOST, &row);
}

static void
tell_denied_key(const struct db_denied_key *denied, void *context)
{
	struct msg_row_denied_key row = {.made_at = (uint64_t)denied->made_us};

	COPY(row.fingerprint, denied->key);
	COPY(row.maker, denied->maker);
	COPY(row.reason, denied->reason);
	client_row(context, ADMIN_ROW_DENIED_KEY, &row);
}

static void
get_denied_keys(struct client *client)
{
	if (db_keys_denied_each(client->broker->db, tell_denied_key, client) < 0)
		client_done(client, ADMIN_FAILURE, 0, "the state database cannot be read");
	else
		client_done(client, ADMIN_OK, 0, "%s", "");
}

static void
get_hosts(struct client *client)
{
	const struct config *config = client->broker->config;
	struct listing listing = {client, NULL, 0};
	struct db_host known;

	if (db_hosts_each(client->broker->db, tell_host, &listing) < 0) {
		client_done(client, ADMIN_FAILURE, 0, "the state database cannot be read");
		return;
	}
	for (size_t i = 0; i < config->peer_count; i++) {
		struct msg_row_host row = {0};

		if (db_host_get(client->broker->db, config->peers[i].host.text, &known) == 0)
			continue;
		COPY(row.host, config->peers[i].host.text);
		COPY(row.address, config->peers[i].address);
		COPY(row.origin, "netbusd.yaml");
		client_row(client, ADMIN_ROW_HOST, &row);
	}
	client_done(client, ADMIN_OK, 0, "%s", "");
}

/* ---- leases, sessions, attachments ---- */

/* The same table that enforcement uses: live ones from memory, ended ones from the database. */
static void
fill_lease(const struct db_lease *from, struct msg_row_lease *row)
{
	*row = (struct msg_row_lease){.discard = from->discard,
	    .epoch = from->epoch,
	    .lanes_most = from->lanes,
	    .live = from->live,
	    .started_at = (uint64_t)from->started_us,
	    .expires_at = (uint64_t)from->expires_us,
	    .ended_at = (uint64_t)from->ended_us,
	    .generation = from->generation};
	memcpy(row->lease, from->id, sizeof row->lease);
	COPY(row->vm, from->vm.text);
	COPY(row->vm_uuid, from->vm_uuid);
	COPY(row->share, from->share.text);
	COPY(row->host, from->host);
	COPY(row->mode, mode_text(from->mode));
	COPY(row->rule, from->rule);
	if (!from->live)
		COPY(row->end_reason, reason_name(from->end_reason));
}

static bool
is_wanted(const struct client *client, const struct msg_get_leases *ask, const struct db_lease *lease)
{
	static const uint8_t any[LEASE_ID_LEN];
	size_t tenant = strlen(ask->tenant);

	if (!client_sees(client, lease->vm.text, lease->share.text) ||
	    (ask->vm[0] && strcmp(ask->vm, lease->vm.text) != 0))
		return false;
	if ((ask->share[0] && strcmp(ask->share, lease->share.text) != 0) ||
	    (ask->host[0] && strcmp(ask->host, lease->host) != 0))
		return false;
	if (tenant && (strncmp(lease->share.text, ask->tenant, tenant) != 0 || lease->share.text[tenant] != '/'))
		return false;
	return memcmp(ask->lease, any, sizeof any) == 0 || memcmp(ask->lease, lease->id, sizeof any) == 0;
}

static uint64_t
average(uint64_t sum, uint64_t count)
{
	return count > 0 ? sum / count : 0;
}

/* What of an exchange was not spent in this host is the network's, and the attach host's TLS. */
static void
fill_times(const struct totals *totals, struct msg_row_lease *row)
{
	uint64_t exchange = average(totals->exchange_ns, totals->told), here;

	row->ring_ns = average(totals->ring_ns, totals->told);
	row->queue_ns = average(totals->queue_ns, totals->told);
	row->receive_ns = average(totals->receive_ns, totals->timed);
	row->device_ns = average(totals->device_ns, totals->timed);
	row->send_ns = average(totals->send_ns, totals->timed);
	here = row->receive_ns + row->device_ns + row->send_ns;
	row->network_ns = exchange > here ? exchange - here : 0;
	row->timed = totals->timed;
	row->timed_device_ns = totals->device_ns;
	row->told = totals->told;
	row->told_total_ns = totals->ring_ns + totals->queue_ns + totals->exchange_ns;
}

static uint64_t
at_least_1(uint64_t rate)
{
	return rate ? rate : 1; /* 0 says that there is no limit */
}

static void
fill_allowed(const struct lease_limits *limits, const struct totals *totals, struct msg_row_lease *row)
{
	if (limits->limited[LIMITED_OPS])
		row->iops_allowed = at_least_1((limits->lasting[LIMITED_OPS] + LANE_OPERATION / 2) / LANE_OPERATION);
	if (limits->limited[LIMITED_BYTES])
		row->bandwidth_allowed = at_least_1(limits->lasting[LIMITED_BYTES]);
	row->held = totals->held;
	row->held_ns = totals->held_ns;
}

uint32_t
client_count_limited(const struct client *client, const struct limit_bucket *bucket)
{
	uint32_t count = 0;

	if (bucket == NULL || client->role != ROLE_TENANT)
		return bucket ? bucket->leases : 0;
	for (const struct lease *lease = client->broker->leases; lease; lease = lease->next)
		for (size_t i = 0; i < lease->limits.count && sees_lease(client, lease); i++)
			count += lease->limits.at[i] == bucket;
	return count;
}

void
client_limit(struct client *client, const struct policy_limit *limit, uint32_t leases)
{
	const struct policy_amounts *amounts = &limit->amounts;
	struct msg_row_limit row = {.line = limit->line,
	    .iops = amounts->iops,
	    .bandwidth = amounts->bandwidth,
	    .burst_us = (uint64_t)amounts->burst_us,
	    .floor_iops = amounts->floor_iops,
	    .floor_bandwidth = amounts->floor_bandwidth,
	    .leases_most = amounts->leases,
	    .attach_rate = amounts->attach_rate,
	    .leases = leases};

	COPY(row.file, limit->file);
	COPY(row.per, per_name(limit->per));
	COPY(row.key, limit->key);
	client_row(client, ADMIN_ROW_LIMIT, &row);
}

static void
tell_limits(struct client *client, const struct lease_limits *limits)
{
	for (size_t i = 0; i < limits->count; i++)
		client_limit(client, &limits->at[i]->limit, client_count_limited(client, limits->at[i]));
}

static void
tell_live(struct client *client, const struct lease *lease)
{
	struct msg_row_lease row;
	struct totals totals;

	fill_lease(&lease->row, &row);
	lease_totals(lease, &totals);
	row.lanes = lease_lane_count(lease);
	row.reads = totals.reads;
	row.writes = totals.writes;
	row.flushes = totals.flushes;
	row.discards = totals.discards;
	row.read_bytes = totals.read_bytes;
	row.written_bytes = totals.written_bytes;
	row.errors = totals.errors;
	row.in_flight = totals.submitted - totals.completed;
	fill_times(&totals, &row);
	fill_allowed(&lease->limits, &totals, &row);
	client_row(client, ADMIN_ROW_LEASE, &row);
}

struct lease_listing {
	struct client *client;
	const struct msg_get_leases *ask;
	unsigned count;
};

static void
tell_ended(const struct db_lease *lease, void *context)
{
	struct lease_listing *listing = context;
	struct msg_row_lease row;

	if (lease->live || !is_wanted(listing->client, listing->ask, lease))
		return;
	fill_lease(lease, &row);
	client_row(listing->client, ADMIN_ROW_LEASE, &row);
	listing->count++;
}

static void
get_leases(struct client *client, const struct msg_get_leases *ask)
{
	static const uint8_t any[LEASE_ID_LEN];
	struct lease_listing listing = {client, ask, 0};
	bool one = memcmp(ask->lease, any, sizeof any) != 0;

	for (const struct lease *lease = client->broker->leases; lease; lease = lease->next) {
		if (!is_wanted(client, ask, &lease->row))
			continue;
		tell_live(client, lease);
		if (ask->timers)
			lease_tell_timers(client);
		if (one)
			tell_limits(client, &lease->limits);
		listing.count++;
	}
	if (ask->ended || one)
		db_leases_each(client->broker->db,
		    &(struct db_lease_filter){.ended = true, .tenant = filter(client->tenant.text)}, tell_ended,
		    &listing);
	if (one && listing.count == 0)
		client_not_found(client, "there is no such lease; see netbus-admin lease list");
	else
		client_done(client, ADMIN_OK, 0, "%s", "");
}

static const char *
state_text(const struct process *process)
{
	switch (process->channel.state) {
	case CH_NEW:
		return "handshake";
	case CH_PROVED:
		return "proved";
	case CH_ASKED:
		return "opening";
	case CH_HELD:
		return "serving";
	default:
		return "leaving";
	}
}

static void
tell_session(struct client *client, const struct process *process)
{
	const struct guest *guest = process->is_attach ? guest_find(client->broker, process->attachment) : NULL;
	struct msg_row_session row = {.id = process->id,
	    .lane = process->lane,
	    .attachment = process->attachment,
	    .since_at = (uint64_t)process->since_us};
	const char *share = process->lease ? process->lease->row.share.text : guest ? guest->row.share.text : "";
	const char *vm = process->lease ? process->lease->row.vm.text : guest ? guest->row.vm.text : "";

	if (!sees_process(client, process))
		return;
	COPY(row.kind, process->is_attach ? "attach" : "session");
	COPY(row.source, process->source);
	COPY(row.host, process->host);
	COPY(row.state, state_text(process));
	COPY(row.share, share);
	COPY(row.vm, vm);
	if (process->lease)
		memcpy(row.lease, process->lease->row.id, sizeof row.lease);
	client_row(client, ADMIN_ROW_SESSION, &row);
}

static void
get_sessions(struct client *client)
{
	for (const struct process *process = client->broker->processes; process; process = process->next)
		tell_session(client, process);
	client_done(client, ADMIN_OK, 0, "%s", "");
}

struct attachment_listing {
	struct client *client;
};

static void
tell_attachment(const struct db_attachment *from, void *context)
{
	const struct attachment_listing *listing = context;
	const struct guest *guest = guest_find(listing->client->broker, from->id);
	struct msg_row_attachment row = {.id = from->id,
	    .epoch = from->epoch,
	    .size = from->size,
	    .lanes = guest ? guest->lanes_up : 0,
	    .started_at = (uint64_t)from->started_us,
	    .ended_at = (uint64_t)from->ended_us};

	if (!client_sees(listing->client, from->vm.text, from->share.text))
		return;
	COPY(row.vm, from->vm.text);
	COPY(row.vm_uuid, from->vm_uuid);
	COPY(row.share, from->share.text);
	COPY(row.exporter, from->exporter);
	COPY(row.frontend, from->frontend);
	COPY(row.mode, mode_text(from->mode));
	COPY(row.state, from->state);
	COPY(row.end_text, from->end_text);
	memcpy(row.lease, from->lease, sizeof row.lease);
	client_row(listing->client, ADMIN_ROW_ATTACHMENT, &row);
}

static void
get_attachments(struct client *client, const struct msg_get_attachments *ask)
{
	struct attachment_listing listing = {client};

	if (db_attachments_each(client->broker->db, ask->ended, tell_attachment, &listing) < 0)
		client_done(client, ADMIN_FAILURE, 0, "the state database cannot be read");
	else
		client_done(client, ADMIN_OK, 0, "%s", "");
}

/* ---- all ---- */

void
admin_read(struct client *client, uint16_t number, const union admin_body *body)
{
	switch (number) {
	case ADMIN_GET_STATUS:
		get_status(client);
		return;
	case ADMIN_GET_SHARES:
		get_shares(client, &body->get_shares);
		return;
	case ADMIN_GET_GRANTS:
		get_grants(client, &body->get_grants);
		return;
	case ADMIN_GET_LEASES:
		get_leases(client, &body->get_leases);
		return;
	case ADMIN_GET_SESSIONS:
		get_sessions(client);
		return;
	case ADMIN_GET_ATTACHMENTS:
		get_attachments(client, &body->get_attachments);
		return;
	case ADMIN_GET_HOSTS:
		get_hosts(client);
		return;
	case ADMIN_EXPLAIN:
		explain_asked(client, &body->explain);
		return;
	case ADMIN_GET_POLICY:
		policy_asked(client);
		return;
	case ADMIN_WHO_CAN:
		who_can_asked(client, &body->who_can);
		return;
	case ADMIN_GET_BARS:
		bars_asked(client, &body->get_bars);
		return;
	case ADMIN_GET_DENIED_KEYS:
		get_denied_keys(client);
		return;
	case ADMIN_GET_TOKENS:
		tokens_asked(client);
		return;
	case ADMIN_GET_FINDINGS:
		findings_asked(client);
		return;
	case ADMIN_GET_EVENTS:
		events_asked(client, &body->get_events);
		return;
	default:
		client_done(client, ADMIN_FAILURE, 0,
		    "netbus-broker does not know this request; netbus-admin is of another version");
	}
}
