/* SPDX-License-Identifier: Apache-2.0
 *
 * What is in force, and why a question would be answered how: the verdict, every rule that matches, and the limits that would apply.
 */
#include <stdio.h>
#include <string.h>

#include "daemon/broker.h"
#include "policy/print.h"

#define COPY(to, from) snprintf((to), sizeof(to), "%s", (from))

/* ---- what may be asked ---- */

bool
share_asked_about(struct client *client, const char *share)
{
	if (client_may(client, share) && config_share(client->broker->config, share))
		return true;
	client_not_found(client, "there is no share %s; see netbus-admin share list", share);
	return false;
}

bool
verb_asked_about(struct client *client, enum policy_verb verb, const char *text)
{
	if (verb != 0)
		return true;
	client_done(client, ADMIN_USAGE, 0,
	    "'%s' is no verb; there are: list, attach, discard, resize-see, handover, steal, usb-control", text);
	return false;
}

void
demands_print(unsigned demands, char text[static 32])
{
	snprintf(text, 32, "%s%s%s", demands & DEMAND_GRANT ? "grant" : "",
	    demands == (DEMAND_GRANT | DEMAND_TICKET) ? ", " : "", demands & DEMAND_TICKET ? "ticket" : "");
}

/* ---- the answer ---- */

struct explaining {
	struct client *client;
	const struct verdict *verdict;
};

static void
tell_match(const struct policy_match *match, void *context)
{
	const struct explaining *explaining = context;
	struct msg_row_match row = {.line = match->line,
	    .observe = match->observe,
	    .decides = strcmp(match->id, explaining->verdict->rule) == 0};

	COPY(row.rule, match->id);
	COPY(row.file, match->file);
	COPY(row.effect, match->deny ? "deny" : "allow");
	COPY(row.mode, !match->has_mode ? "" : match->mode == MODE_RW ? "rw" : "ro");
	demands_print(match->demands, row.demands);
	demands_print(match->unmet, row.unmet);
	client_row(explaining->client, ADMIN_ROW_MATCH, &row);
}

static void
tell_limits(struct client *client, const struct policy_request *request)
{
	struct policy_limit limits[POLICY_LIMITS_MOST];
	size_t count = policy_limits(client->broker->policy, request, limits);

	for (size_t i = 0; i < count && i < POLICY_LIMITS_MOST; i++)
		client_limit(
		    client, &limits[i], client_count_limited(client, limits_bucket(client->broker, &limits[i])));
}

static void
tell_verdict(struct client *client, const struct verdict *verdict)
{
	struct msg_row_verdict row = {.allowed = verdict->allowed,
	    .line = verdict->rule_line,
	    .generation = verdict->generation,
	    .max_ttl_us = (uint64_t)verdict->max_ttl_us};

	COPY(row.reason, reason_name((uint16_t)verdict->reason));
	COPY(row.sentence, reason_sentence((uint16_t)verdict->reason));
	COPY(row.rule, verdict->rule);
	COPY(row.file, verdict->rule_file);
	COPY(row.limit, verdict->limit);
	demands_print(verdict->unmet, row.unmet);
	client_row(client, ADMIN_ROW_VERDICT, &row);
}

static void
tell_rules(struct client *client, const struct question *question, int64_t at_us, const struct verdict *verdict)
{
	struct explaining explaining = {client, verdict};
	struct policy_request request;

	if (client->broker->policy == NULL)
		return;
	question_to_request(client->broker, question, &request);
	if (at_us)
		request.at_us = at_us;
	broker_matches(client->broker, question, at_us, tell_match, &explaining);
	request.verb = VERB_ATTACH; /* limits are about leases, whatever is asked */
	tell_limits(client, &request);
}

void
explain_asked(struct client *client, const struct msg_explain *ask)
{
	const struct question question = {
	    ask->host, ask->vm, ask->share, verb_find(ask->verb), (enum policy_mode)ask->mode, true};
	struct verdict verdict;
	int64_t expires_us;

	/* A policy may be asked about shares that are not there yet, but not by who shall not know which are. */
	if (!client_names(client, ask->vm, ask->share))
		return;
	if (!verb_asked_about(client, question.verb, ask->verb))
		return;
	broker_decide_at(client->broker, &question, (int64_t)ask->when_at, &verdict, &expires_us);
	tell_rules(client, &question, (int64_t)ask->when_at, &verdict);
	tell_verdict(client, &verdict);
	client_done(client, verdict.allowed ? ADMIN_OK : ADMIN_DENIED, 0, "%s", "");
}

/* ---- the policy itself ---- */

#define FILE_TEXT_MOST \
	((size_t)8 << 20) /* of one file; at most 1 MiB was read, and the canonical form is hardly longer */

static void
tell_text(struct client *client, const char *file, const struct buffer *text)
{
	const uint8_t *at = buffer_front(text);
	size_t left = buffer_length(text);

	do {
		struct msg_row_policy row = {0};

		COPY(row.file, file);
		row.text.length = (uint16_t)(left < sizeof row.text.bytes ? left : sizeof row.text.bytes);
		memcpy(row.text.bytes, at, row.text.length);
		client_row(client, ADMIN_ROW_POLICY, &row);
		at += row.text.length;
		left -= row.text.length;
	} while (left > 0);
}

static int
tell_file(struct client *client, size_t file)
{
	const struct policy *policy = client->broker->policy;
	struct buffer text;
	int code;

	buffer_init(&text, FILE_TEXT_MOST);
	code = policy_print(policy, file, &text);
	if (code == 0)
		tell_text(client, policy_file_name(policy, file), &text);
	buffer_clear(&text);
	return code;
}

void
policy_asked(struct client *client)
{
	const struct policy *policy = client->broker->policy;
	int code = 0;

	if (client->role == ROLE_TENANT) {
		client_done(
		    client, ADMIN_DENIED, 0, "%s may not do that; admins: in netbusd.yaml says who may", client->name);
		return;
	}
	for (size_t i = 0; policy && i < policy_file_count(policy) && code == 0 && !client->gone; i++)
		code = tell_file(client, i);
	if (code < 0)
		client_done(client, ADMIN_FAILURE, 0, "out of memory");
	else
		client_done(client, ADMIN_OK, 0, "%s", "");
}
