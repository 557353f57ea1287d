/* SPDX-License-Identifier: Apache-2.0
 *
 * Newcomers, and hosts that renew: who may have a certificate. A process netbus-enrol brings what a stranger asked; what stands against it in our own notes is
 * said here, whether the signatures hold netbus-keys says, which certifies. The certificate leaves only when the token's use and the record are on disk.
 */
#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "crypto/join_token.h"
#include "daemon/broker.h"

/* ---- refusals ---- */

/* Strangers can ask as often as the gate lets them in: the trail takes only so many of theirs. */
static bool
trail_has_room(struct broker *broker, bool is_stranger)
{
	if (!is_stranger)
		return true;
	bucket_fill(&broker->strangers, clock_monotonic_ns());
	if (!bucket_has(&broker->strangers))
		return false;
	bucket_take(&broker->strangers, 1);
	return true;
}

__attribute__((format(printf, 3, 4))) static void
refuse(struct process *enrol, bool is_stranger, const char *format, ...)
{
	const struct msg_enrol_statement *statement = &enrol->enrolment.statement;
	struct msg_enrol_deny deny = {0};
	char token[2 * ENROL_TOKEN_LEN + 1];
	struct record record = {.event = EVENT_ENROLL_REFUSED,
	    .decision = DECISION_DENY,
	    .host = statement->host,
	    .detail = {{"why", deny.text, 0}, {"source", enrol->source, 0},
		{"for", statement->kind == ENROL_RENEW ? "renewal" : "join", 0}, {"token", token, 0}},
	    .detail_count = 4};
	struct error error = {0};
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(deny.text, sizeof deny.text, format, arguments);
	va_end(arguments);
	print_hex(statement->token, sizeof statement->token, token);
	if (trail_has_room(enrol->broker, is_stranger) && db_trail_ok(enrol->broker->db) &&
	    broker_record(enrol->broker, &record, &deny.record, &error) < 0)
		log_error("a refused enrolment cannot be recorded: %s", error.text);
	log_notice("no certificate for %s: %s", enrol->source, deny.text);
	process_tell(enrol, MSG_ENROL_DENY, &deny);
}

/* ---- what our notes say ---- */

/* NULL: nothing against it; else the sentence. */
static const char *
judge_token(
    const struct db_token *token, const struct msg_enrol_statement *statement, int64_t now_us, char text[static 256])
{
	char at[CLOCK_TEXT_LEN];

	if (statement->authority_type != ENROL_ED25519 ||
	    sodium_memcmp(statement->authority.bytes, token->key, sizeof token->key) != 0)
		return "the token was edited: it is not the one that was made here";
	if (strcmp(token->host.text, statement->host) != 0) {
		snprintf(text, 256, "the token is for host '%s', not for '%s'", token->host.text, statement->host);
		return text;
	}
	if (token->used_us) {
		clock_print(token->used_us, at);
		snprintf(text, 256, "the token was used already, on %s, by public key %s; a token is used once", at,
		    token->used_by);
		return text;
	}
	if (token->expires_us <= now_us) {
		clock_print(token->expires_us, at);
		snprintf(text, 256, "the token expired on %s; make another: netbus-admin pki token %s", at,
		    token->host.text);
		return text;
	}
	return NULL;
}

/* Whether a token stands against it, which is said. */
static bool
token_allows(struct process *enrol)
{
	const struct msg_enrol_statement *statement = &enrol->enrolment.statement;
	struct db_token token;
	char text[256];
	const char *why;
	int code = db_token_get(enrol->broker->db, statement->token, &token);

	if (code < 0) {
		refuse(enrol, true, "%s",
		    code == -ENOENT ? "this enroller made no such token; was it made on another one?"
				    : "the state database cannot be read");
		return false;
	}
	why = judge_token(&token, statement, clock_wall_us(), text);
	if (why)
		refuse(enrol, false, "%s", why);
	return why == NULL;
}

/* ---- asking ---- */

void
enrol_begins(struct process *enrol, const struct msg_enrol_begin *begin)
{
	struct enrolment *enrolment = &enrol->enrolment;
	struct msg_enrol_nonce told;

	memcpy(enrolment->newcomer_nonce, begin->nonce, sizeof enrolment->newcomer_nonce);
	randombytes_buf(enrolment->nonce, sizeof enrolment->nonce);
	memcpy(told.nonce, enrolment->nonce, sizeof told.nonce);
	enrol->channel.state = CH_TOLD;
	process_tell(enrol, MSG_ENROL_NONCE, &told);
}

#define COPY_BLOB(to, from)                                                                            \
	do {                                                                                           \
		_Static_assert(sizeof(to).bytes == sizeof(from).bytes, "one limit for both messages"); \
		memcpy((to).bytes, (from).bytes, (from).length);                                       \
		(to).length = (from).length;                                                           \
	} while (0)

static void
order(struct process *enrol, const struct msg_enrol_ask *ask)
{
	struct broker *broker = enrol->broker;
	struct msg_issue issue = {
	    .id = enrol->id, .not_after_us = (uint64_t)(clock_wall_us() + broker->config->enrol_life_us)};

	memcpy(issue.newcomer_nonce, enrol->enrolment.newcomer_nonce, sizeof issue.newcomer_nonce);
	memcpy(issue.nonce, enrol->enrolment.nonce, sizeof issue.nonce);
	COPY_BLOB(issue.statement, ask->statement);
	COPY_BLOB(issue.possession, ask->possession);
	COPY_BLOB(issue.proof, ask->proof);
	COPY_BLOB(issue.chain, ask->chain);
	enrol->enrolment.asked = channel_send(&broker->keys, MSG_ISSUE, &issue, -1) == 0;
	if (!enrol->enrolment.asked)
		refuse(enrol, true, "the enroller is busy; try again");
}

void
enrol_asks(struct process *enrol, const struct msg_enrol_ask *ask)
{
	struct broker *broker = enrol->broker;
	struct msg_enrol_statement *statement = &enrol->enrolment.statement;

	enrol->channel.state = CH_ASKED;
	if (enrol_decode_statement(ask->statement.bytes, ask->statement.length, statement) < 0) {
		*statement = (struct msg_enrol_statement){0};
		refuse(enrol, true, "the request is malformed");
	} else if (broker->identity.authority[0] == '\0' || broker->stopping) {
		refuse(enrol, true, "this host enrols nobody");
	} else if (!db_trail_ok(broker->db)) {
		refuse(enrol, true, "the enroller's audit trail has no space left, so nothing new is allowed");
	} else if (statement->kind == ENROL_RENEW || token_allows(enrol)) {
		order(enrol, ask);
	}
}

/* ---- netbus-keys has answered ---- */

static int
store(struct process *enrol, const struct msg_issued *issued, int64_t now_us, uint64_t *seq, struct error *error)
{
	const struct msg_enrol_statement *statement = &enrol->enrolment.statement;
	struct db *db = enrol->broker->db;
	bool is_join = statement->kind == ENROL_JOIN;
	char old_key[65] = "", token[2 * ENROL_TOKEN_LEN + 1];
	struct db_issued row = {.issued_us = now_us, .not_after_us = (int64_t)issued->not_after_us};
	const struct record record = {.event = is_join ? EVENT_HOST_ENROLLED : EVENT_HOST_RENEWED,
	    .decision = DECISION_ALLOW,
	    .host = statement->host,
	    .detail = {{"key", issued->fingerprint, 0}, {is_join ? "token" : "old_key", is_join ? token : old_key, 0},
		{"issuer", issued->issuer, 0}, {"not_after_us", NULL, issued->not_after_us},
		{"source", enrol->source, 0}},
	    .detail_count = 5};
	int code = db_begin(db, error);

	if (code < 0)
		return code;
	print_hex(statement->token, sizeof statement->token, token);
	public_key_fingerprint(
	    statement->authority_type, statement->authority.bytes, statement->authority.length, old_key);
	snprintf(row.host.text, sizeof row.host.text, "%s", statement->host);
	snprintf(row.key, sizeof row.key, "%s", issued->fingerprint);
	snprintf(row.issuer, sizeof row.issuer, "%s", issued->issuer);
	if (is_join) /* the schema lets nobody use it twice */
		code = db_token_use(db, statement->token, now_us, issued->fingerprint, error);
	if (code == 0)
		code = db_issued_put(db, &row, error);
	if (code == 0)
		code = db_record(db, &record, now_us, seq, error);
	if (code < 0) {
		db_rollback(db);
		return code;
	}
	code = db_commit(db, error);
	if (code == 0)
		broker_seal_soon(enrol->broker);
	return code;
}

static void
give(struct process *enrol, const struct msg_issued *issued)
{
	struct msg_enrol_give give = {0};
	char until[CLOCK_TEXT_LEN];

	clock_print((int64_t)issued->not_after_us, until);
	log_info("%s (%s) is %s until %s, public key %s", enrol->enrolment.statement.host, enrol->source,
	    enrol->enrolment.statement.kind == ENROL_JOIN ? "enrolled" : "renewed", until, issued->fingerprint);
	COPY_BLOB(give.chain, issued->chain);
	COPY_BLOB(give.bundle, issued->bundle);
	COPY_BLOB(give.signature, issued->signature);
	broker_tell_monitor(enrol->broker, MSG_PROVED_NOTE, &(struct msg_proved_note){.id = enrol->id});
	process_tell(enrol, MSG_ENROL_GIVE, &give);
}

/* Both signatures hold: it is who it says. */
static void
take_certificate(struct process *enrol, const struct msg_issued *issued)
{
	const struct msg_enrol_statement *statement = &enrol->enrolment.statement;
	struct broker *broker = enrol->broker;
	char key[65] = "";
	struct error error = {0};
	uint64_t seq = 0;

	public_key_fingerprint(statement->authority_type, statement->authority.bytes, statement->authority.length, key);
	if (peer_is_denied(broker, statement->host, key) ||
	    peer_is_denied(broker, statement->host, issued->fingerprint))
		refuse(enrol, false, "the host '%s', or its key, is denied", statement->host);
	else if (statement->kind == ENROL_JOIN && !token_allows(enrol)) /* used meanwhile: it says so */
		return;
	else if (store(enrol, issued, clock_wall_us(), &seq, &error) < 0)
		refuse(enrol, false, "the enrolment cannot be stored: %.200s", error.text);
	else
		give(enrol, issued);
}

void
enrol_issued(struct broker *broker, const struct msg_issued *issued)
{
	struct process *enrol = process_find(broker, issued->id);

	if (enrol == NULL || !enrol->is_enrol || !enrol->enrolment.asked)
		return; /* it left: nothing was given, and its token is as it was */
	enrol->enrolment.asked = false;
	if (issued->ok)
		take_certificate(enrol, issued);
	else
		refuse(enrol, true, "%s", issued->text);
}
