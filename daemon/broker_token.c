/* SPDX-License-Identifier: Apache-2.0
 *
 * Join tokens for operators, and the renewal of our own certificate at their word. Of a token only the public half ever comes here (crypto/join_token.h).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "daemon/broker.h"

#define KEPT_US \
	(INT64_C(30) * 86400 * 1000000) /* so long after its end a token is still told apart from one that never was */

const char *
token_state(const struct db_token *token, int64_t now_us)
{
	if (strcmp(token->used_by, "withdrawn") == 0)
		return "withdrawn";
	return token->used_us ? "used" : token->expires_us <= now_us ? "expired" : "open";
}

static void
tell_token(const struct db_token *token, void *context)
{
	struct client *client = context;
	struct msg_row_token row = {.made_at = (uint64_t)token->made_us,
	    .expires_at = (uint64_t)token->expires_us,
	    .used_at = (uint64_t)token->used_us};

	memcpy(row.id, token->id, sizeof row.id);
	snprintf(row.host, sizeof row.host, "%s", token->host.text);
	snprintf(row.state, sizeof row.state, "%s", token_state(token, clock_wall_us()));
	snprintf(row.fingerprint, sizeof row.fingerprint, "%s", strlen(token->used_by) == 64 ? token->used_by : "");
	snprintf(row.maker, sizeof row.maker, "%s", token->maker);
	snprintf(row.reason, sizeof row.reason, "%s", token->reason);
	snprintf(row.authority, sizeof row.authority, "%s", client->broker->identity.authority);
	snprintf(row.enrolling, sizeof row.enrolling, "%s", client->broker->enrolling);
	client_row(client, ADMIN_ROW_TOKEN, &row);
}

void
tokens_asked(struct client *client)
{
	if (client->role == ROLE_TENANT)
		client_done(client, ADMIN_DENIED, 0, "join tokens are no tenant's business");
	else if (db_tokens_each(client->broker->db, tell_token, client) < 0)
		client_done(client, ADMIN_FAILURE, 0, "the state database cannot be read");
	else
		client_done(client, ADMIN_OK, 0, "%s", "");
}

/* ---- one more, one less ---- */

/* In one transaction with its record: `change` does the rest. */
static int
store(
    struct client *client, const struct db_token *token, bool add, const char *why, uint64_t *seq, struct error *error)
{
	struct db *db = client->broker->db;
	char id[2 * DB_TOKEN_ID_LEN + 1];
	const struct record record = {.event = add ? EVENT_TOKEN_ADD : EVENT_TOKEN_WITHDRAW,
	    .host = token->host.text,
	    .admin = client->name,
	    .detail = {{"token", id, 0}, {"why", why, 0}, {"expires_us", NULL, (uint64_t)token->expires_us}},
	    .detail_count = 3};
	int64_t now_us = clock_wall_us();
	int code = db_begin(db, error);

	if (code < 0)
		return code;
	print_hex(token->id, sizeof token->id, id);
	code = db_tokens_prune(db, now_us - KEPT_US, error);
	if (code == 0)
		code = add ? db_token_add(db, token, error) : db_token_use(db, token->id, now_us, "withdrawn", error);
	if (code == 0)
		code = db_record(db, &record, now_us, seq, error);
	if (code < 0) {
		db_rollback(db);
		return code;
	}
	code = db_commit(db, error);
	if (code == 0)
		broker_seal_soon(client->broker);
	return code;
}

/* What stands against it is said. */
static bool
may_add(struct client *client)
{
	struct broker *broker = client->broker;
	int64_t first_us;
	int open = db_tokens_open(broker->db, clock_wall_us(), &first_us);

	if (broker->identity.authority[0] && open >= 0 && open < (int)LIMIT_JOIN_TOKENS)
		return true;
	if (broker->identity.authority[0] == '\0')
		client_done(client, ADMIN_CONFLICT, 0,
		    "this host is no enroller; enrol: in netbusd.yaml, with listen and ca, makes it one");
	else
		client_done(
		    client, ADMIN_FAILURE, 0, "there are %d open join tokens; withdraw some, or let them expire", open);
	return false;
}

void
token_add_asked(struct client *client, const struct msg_token_add *ask)
{
	struct db_token token = {.made_us = clock_wall_us()};
	struct error error = {0};
	uint64_t seq = 0;

	if (!may_add(client))
		return;
	token.expires_us = token.made_us + (int64_t)ask->ttl_us;
	memcpy(token.id, ask->id, sizeof token.id);
	memcpy(token.key, ask->key, sizeof token.key);
	snprintf(token.host.text, sizeof token.host.text, "%s", ask->host);
	snprintf(token.maker, sizeof token.maker, "%s", client->name);
	snprintf(token.reason, sizeof token.reason, "%s", ask->reason);
	if (peer_is_denied(client->broker, ask->host, NULL))
		client_note(client, "%s is denied: the token is good for nothing before netbus-admin host allow %s",
		    ask->host, ask->host);
	if (ask->dry_run) {
		client_done(client, ADMIN_OK, 0, "would make a join token for %s", ask->host);
		return;
	}
	if (store(client, &token, true, ask->reason, &seq, &error) < 0) {
		client_done(client, ADMIN_FAILURE, 0, "%s", error.text);
		return;
	}
	tell_token(&token, client);
	client_done(client, ADMIN_OK, seq, "%s", "");
}

void
token_withdraw_asked(struct client *client, const struct msg_token_withdraw *ask)
{
	struct error error = {0};
	struct db_token token;
	uint64_t seq = 0;

	if (db_token_get(client->broker->db, ask->id, &token) < 0)
		client_done(client, ADMIN_NOT_FOUND, 0, "there is no such join token; see netbus-admin pki tokens");
	else if (token.used_us)
		client_done(
		    client, ADMIN_CONFLICT, 0, "that token is %s already", token_state(&token, clock_wall_us()));
	else if (ask->dry_run)
		client_done(client, ADMIN_OK, 0, "would take the join token of %s back", token.host.text);
	else if (store(client, &token, false, ask->reason, &seq, &error) < 0)
		client_done(client, ADMIN_FAILURE, 0, "%s", error.text);
	else
		client_done(
		    client, ADMIN_OK, seq, "the join token of %s is good for nothing any more", token.host.text);
}

/* ---- our own certificate ---- */

void
renew_asked(struct client *client, const struct msg_renew_ask *ask)
{
	if (client->broker->config->enroller[0] == '\0') {
		client_done(client, ADMIN_CONFLICT, 0,
		    "enroller: in netbusd.yaml does not say where this host's certificate is renewed");
	} else if (ask->dry_run) {
		client_done(client, ADMIN_OK, 0, "would renew at %s", client->broker->config->enroller);
	} else {
		client->renewing = true;
		broker_tell_monitor(client->broker, MSG_RENEW, &(struct msg_renew){0});
	}
}

void
renew_heard(struct broker *broker, const struct msg_renewed *renewed)
{
	char until[CLOCK_TEXT_LEN];

	clock_print((int64_t)broker->identity.not_after_us, until);
	for (struct client *client = broker->clients, *next; client; client = next) {
		next = client->next;
		if (!client->renewing)
			continue;
		client->renewing = false;
		if (renewed->ok)
			client_done(client, ADMIN_OK, 0, "renewed until %s; public key %s", until,
			    broker->identity.fingerprint);
		else
			client_done(client, ADMIN_FAILURE, 0, "not renewed: %s", renewed->text);
	}
}
