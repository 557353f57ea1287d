/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of operators that change something: each is checked, then carried out in one transaction with its record.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/text.h"
#include "daemon/broker.h"

/* The names in a request. Says what is wrong. */
static bool
check_names(struct client *client, const char *vm, const char *share, const char *host)
{
	struct error error = {0};
	struct qualified qualified;
	struct name name;

	if ((vm[0] && qualified_parse(vm, "VM", &qualified, &error) < 0) ||
	    (share[0] && qualified_parse(share, "share", &qualified, &error) < 0) ||
	    (host[0] && name_parse(host, "host", &name, &error) < 0)) {
		client_done(client, ADMIN_USAGE, 0, "%s", error.text);
		return false;
	}
	return true;
}

/* Nothing new while the trail cannot be trusted to take its end. */
static bool
check_trail(struct client *client)
{
	if (db_trail_ok(client->broker->db))
		return true;
	client_done(client, ADMIN_FAILURE, 0,
	    "the audit trail %s has no space left or was moved, so nothing new is allowed; make room there",
	    client->broker->config->audit_trail);
	return false;
}

/* Ends a transaction that `code` is the result of. */
static int
commit_or_roll_back(struct client *client, int code, struct error *error)
{
	code = db_end(client->broker->db, code, error);
	if (code == 0)
		broker_seal_soon(client->broker);
	return code;
}

/* ---- shares ---- */

static void
share_switch(struct client *client, const struct msg_share_switch *ask)
{
	struct broker *broker = client->broker;
	struct db_share share;
	struct error error = {0};
	struct record record = {
	    .event = ask->enabled ? EVENT_SHARE_ENABLE : EVENT_SHARE_DISABLE,
	    .admin = client->name,
	    .share = ask->share,
	    .detail = {{"why", ask->reason, 0}},
	    .detail_count = 1,
	};
	uint64_t seq = 0;
	int code;

	if (!check_names(client, "", ask->share, ""))
		return;
	if (!client_may(client, ask->share) || db_share_get(broker->db, ask->share, &share) < 0) {
		client_not_found(client, "there is no share %s; see netbus-admin share list", ask->share);
		return;
	}
	if (ask->dry_run || share.enabled == (bool)ask->enabled) {
		client_done(client, ADMIN_OK, 0, "%s %s %s", ask->share,
		    share.enabled == (bool)ask->enabled ? "is already" : "would be",
		    ask->enabled ? "enabled" : "disabled");
		return;
	}
	code = db_begin(broker->db, &error);
	if (code == 0) {
		code = db_share_enable(broker->db, ask->share, ask->enabled, &error);
		if (code == 0)
			code = db_record(broker->db, &record, clock_wall_us(), &seq, &error);
		code = commit_or_roll_back(client, code, &error);
	}
	if (code < 0)
		client_done(client, ADMIN_FAILURE, 0, "%s", error.text);
	else
		client_done(client, ADMIN_OK, seq, "%s is %s%s", ask->share, ask->enabled ? "enabled" : "disabled",
		    ask->enabled ? "" : "; leases that live go on, netbus-admin revoke ends them");
}

/* ---- grants ---- */

/* What a grant cannot do by itself is said when it is made, not when the VM is refused. */
static void
note_about_grant(struct client *client, const struct msg_grant_add *ask)
{
	struct broker *broker = client->broker;
	struct db_share share;

	if (db_share_get(broker->db, ask->share, &share) < 0 || !share.configured)
		client_note(client, "%s is not exported by this host", ask->share);
	else if (share.read_only && ask->mode)
		client_note(client, "%s is exported read-only, so this grant gives reading only", ask->share);
	if (broker->policy == NULL)
		client_note(client, "no policy is in force, so everything is denied");
}

static void
fill_grant(const struct db_grant *grant, struct msg_row_grant *row)
{
	*row = (struct msg_row_grant){
	    .id = grant->id, .created_at = (uint64_t)grant->created_us, .expires_at = (uint64_t)grant->expires_us};
	snprintf(row->vm, sizeof row->vm, "%s", grant->vm.text);
	snprintf(row->share, sizeof row->share, "%s", grant->share.text);
	snprintf(row->host, sizeof row->host, "%s", grant->host);
	snprintf(row->mode, sizeof row->mode, "%s", grant->mode ? "rw" : "ro");
	snprintf(row->maker, sizeof row->maker, "%s", grant->maker);
	snprintf(row->reason, sizeof row->reason, "%s", grant->reason);
}

static int
store_grant(struct client *client, struct db_grant *grant, uint64_t *seq, struct error *error)
{
	struct broker *broker = client->broker;
	struct record record = {
	    .event = EVENT_GRANT_ADD,
	    .host = grant->host,
	    .vm = grant->vm.text,
	    .admin = client->name,
	    .share = grant->share.text,
	    .mode = grant->mode ? "rw" : "ro",
	    .detail = {{"grant", NULL, 0}, {"expires_us", NULL, (uint64_t)grant->expires_us}, {"why", grant->reason, 0},
		{"bars_lifted", NULL, 0}},
	    .detail_count = 3,
	};
	int code = db_begin(broker->db, error), lifted;

	if (code < 0)
		return code;
	code = db_grant_add(broker->db, grant, error);
	record.detail[0].number = grant->id;
	if (code == 0) { /* to allow it anew is what a bar waits for */
		lifted = db_bars_lift(broker->db, grant->vm.text, grant->share.text, error);
		code = lifted < 0 ? lifted : 0;
		record.detail[3].number = (uint64_t)lifted;
		record.detail_count = lifted > 0 ? 4 : 3;
	}
	if (code == 0)
		code = db_record(broker->db, &record, grant->created_us, seq, error);
	return commit_or_roll_back(client, code, error);
}

static void
grant_add(struct client *client, const struct msg_grant_add *ask)
{
	struct db_grant grant = {.mode = ask->mode, .created_us = clock_wall_us()};
	struct msg_row_grant row;
	struct error error = {0};
	uint64_t seq = 0;

	if (!check_names(client, ask->vm, ask->share, ask->host) || !client_names(client, ask->vm, ask->share) ||
	    !check_trail(client))
		return;
	if (ask->ttl_us > (uint64_t)(INT64_MAX - grant.created_us)) {
		client_done(client, ADMIN_USAGE, 0, "that time to live is too long");
		return;
	}
	grant.expires_us = ask->ttl_us ? grant.created_us + (int64_t)ask->ttl_us : 0;
	snprintf(grant.vm.text, sizeof grant.vm.text, "%s", ask->vm);
	snprintf(grant.share.text, sizeof grant.share.text, "%s", ask->share);
	snprintf(grant.host, sizeof grant.host, "%s", ask->host);
	snprintf(grant.maker, sizeof grant.maker, "%s", client->name);
	snprintf(grant.reason, sizeof grant.reason, "%s", ask->reason);
	note_about_grant(client, ask);
	if (ask->dry_run) {
		client_done(client, ADMIN_OK, 0, "would grant %s to %s", ask->share, ask->vm);
		return;
	}
	if (store_grant(client, &grant, &seq, &error) < 0) {
		client_done(client, ADMIN_FAILURE, 0, "%s", error.text);
		return;
	}
	fill_grant(&grant, &row);
	client_row(client, ADMIN_ROW_GRANT, &row);
	client_done(client, ADMIN_OK, seq, "grant %llu: %s may have %s (%s)", (unsigned long long)grant.id, ask->vm,
	    ask->share, ask->mode ? "rw" : "ro");
}

/* ---- hosts ---- */

static int
store_host(
    struct client *client, const struct db_host *host, const struct record *record, uint64_t *seq, struct error *error)
{
	int code = db_begin(client->broker->db, error);

	if (code < 0)
		return code;
	code = db_host_put(client->broker->db, host, error);
	if (code == 0)
		code = db_record(client->broker->db, record, clock_wall_us(), seq, error);
	return commit_or_roll_back(client, code, error);
}

static void
load_host(struct client *client, const char *name, struct db_host *host)
{
	if (db_host_get(client->broker->db, name, host) == 0)
		return;
	*host = (struct db_host){0};
	snprintf(host->name.text, sizeof host->name.text, "%s", name);
}

static void
host_put(struct client *client, const struct msg_host_put *ask)
{
	struct record record = {.event = EVENT_HOST_PUT,
	    .host = ask->host,
	    .admin = client->name,
	    .detail = {{"address", ask->address, 0}, {"why", ask->reason, 0}},
	    .detail_count = 2};
	union address address;
	struct error error = {0};
	struct db_host host;
	uint64_t seq = 0;

	if (!check_names(client, "", "", ask->host) || !check_trail(client))
		return;
	if (address_parse(ask->address, &address, &error) < 0) {
		client_done(client, ADMIN_USAGE, 0, "%s", error.text);
		return;
	}
	load_host(client, ask->host, &host);
	snprintf(host.address, sizeof host.address, "%s", ask->address);
	if (ask->dry_run)
		client_done(client, ADMIN_OK, 0, "would know %s at %s", ask->host, ask->address);
	else if (store_host(client, &host, &record, &seq, &error) < 0)
		client_done(client, ADMIN_FAILURE, 0, "%s", error.text);
	else
		client_done(client, ADMIN_OK, seq, "%s is known at %s", ask->host, ask->address);
}

/* ---- policy ---- */

static void
tell_faults(struct client *client)
{
	for (const struct fault *fault = client->broker->faults.first; fault; fault = fault->next) {
		struct msg_row_fault row = {0};

		snprintf(row.text, sizeof row.text, "%s", fault->text);
		client_row(client, ADMIN_ROW_FAULT, &row);
	}
}

static void
tell_generation(struct client *client, uint64_t former)
{
	const struct broker *broker = client->broker;
	struct msg_row_generation row = {.generation = policy_generation(broker->policy),
	    .former = former,
	    .rules = (uint32_t)policy_rule_count(broker->policy)};
	char left[DURATION_TEXT_LEN];

	if (broker->trial.waiting) {
		row.confirm_until_at = (uint64_t)broker->trial.until_us;
		print_duration((broker->trial.until_us - clock_wall_us() + 500000) / 1000000 * 1000000, left);
		client_note(client,
		    "generation %llu is rolled back in %s unless you say: netbus-admin policy confirm; leases that it "
		    "ended stay ended",
		    (unsigned long long)row.generation, left);
	}
	client_row(client, ADMIN_ROW_GENERATION, &row);
}

static void
not_reloaded(struct client *client, int code, uint64_t seq, const struct error *error)
{
	if (code == -EINVAL) {
		tell_faults(client);
		client_done(client, ADMIN_FAILURE, seq, "not loaded, the last good generation stays in force");
	} else if (code == -EBUSY) {
		client_done(client, ADMIN_CONFLICT, seq, "%s", error->text);
	} else {
		client_done(client, ADMIN_FAILURE, seq, "not loaded: %s", error->text);
	}
}

static void
policy_reload_asked(struct client *client, const struct msg_policy_reload *ask)
{
	struct broker *broker = client->broker;
	const struct policy_order order = {.admin = client->name,
	    .dry_run = ask->dry_run,
	    .expect_generation = ask->expect_generation,
	    .confirm_within_us = (int64_t)ask->confirm_within_us};
	struct revoke *revoke = ask->dry_run ? NULL : revoke_new(client, "loaded");
	uint64_t seq = 0, former = broker->policy ? policy_generation(broker->policy) : 0;
	struct error error = {0};
	int code;

	if (revoke)
		revoke->waiting = 1;
	code = policy_reload(broker, &order, revoke, &seq, &error);
	if (code < 0) {
		free(revoke);
		not_reloaded(client, code, seq, &error);
		return;
	}
	if (revoke == NULL) {
		client_done(client, ADMIN_OK, seq, "the files have no fault");
		return;
	}
	tell_generation(client, former);
	revoke->record = seq;
	revoke->waiting--;
	revoke_begun(revoke);
}

/* ---- all ---- */

static void
attach_asked(struct client *client, const struct msg_guest_attach *ask)
{
	struct msg_guest_attach named = *ask;

	if (strncmp(ask->vm, "xen:", 4) == 0) {
		if (!check_names(client, "", ask->share, ask->exporter) || !check_trail(client) ||
		    !xen_vm_of(client, ask, named.vm))
			return;
		ask = &named;
	}
	if (check_names(client, ask->vm, "", ask->exporter) && check_names(client, "", ask->share, "") &&
	    check_trail(client))
		guest_begin(client, ask);
}

static void
detach_asked(struct client *client, const struct msg_guest_detach *ask)
{
	if (check_names(client, ask->vm, ask->share, ""))
		guest_stop_asked(client, ask);
}

static void
revoke_checked(struct client *client, const struct msg_revoke *ask)
{
	if (check_names(client, ask->vm, ask->share, ask->host))
		revoke_asked(client, ask);
}

static void
host_deny_checked(struct client *client, const struct msg_host_deny *ask)
{
	if (check_names(client, "", "", ask->host))
		host_deny_asked(client, ask);
}

static void
token_add_checked(struct client *client, const struct msg_token_add *ask)
{
	if (check_names(client, "", "", ask->host) && check_trail(client))
		token_add_asked(client, ask);
}

void
admin_change(struct client *client, uint16_t number, const union admin_body *body)
{
	switch (number) {
	case ADMIN_SHARE_SWITCH:
		share_switch(client, &body->share_switch);
		return;
	case ADMIN_GRANT_ADD:
		grant_add(client, &body->grant_add);
		return;
	case ADMIN_REVOKE:
		revoke_checked(client, &body->revoke);
		return;
	case ADMIN_STEAL:
		steal_asked(client, &body->steal);
		return;
	case ADMIN_BAR_LIFT:
		bar_lift_asked(client, &body->bar_lift);
		return;
	case ADMIN_GUEST_ATTACH:
		attach_asked(client, &body->guest_attach);
		return;
	case ADMIN_GUEST_DETACH:
		detach_asked(client, &body->guest_detach);
		return;
	case ADMIN_POLICY_RELOAD:
		policy_reload_asked(client, &body->policy_reload);
		return;
	case ADMIN_POLICY_CONFIRM:
		trial_confirm_asked(client, &body->policy_confirm);
		return;
	case ADMIN_CANDIDATE_PART:
		candidate_part_asked(client, &body->candidate_part);
		return;
	case ADMIN_POLICY_DIFF:
		policy_diff_asked(client, &body->policy_diff);
		return;
	case ADMIN_HOST_PUT:
		host_put(client, &body->host_put);
		return;
	case ADMIN_HOST_DENY:
		host_deny_checked(client, &body->host_deny);
		return;
	case ADMIN_KEY_DENY:
		key_deny_asked(client, &body->key_deny);
		return;
	case ADMIN_TOKEN_ADD:
		token_add_checked(client, &body->token_add);
		return;
	case ADMIN_TOKEN_WITHDRAW:
		token_withdraw_asked(client, &body->token_withdraw);
		return;
	case ADMIN_RENEW_ASK:
		renew_asked(client, &body->renew_ask);
		return;
	default:
		client_done(client, ADMIN_FAILURE, 0,
		    "netbus-broker does not know this request; netbus-admin is of another version");
	}
}
