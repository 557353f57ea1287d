/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin policy replay: what would a policy have said to the attaches that are in the audit trail? The broker tells the trail and what the shares are;
 * the candidate is read and asked here, with the grants that were held at the time of each question, since the trail has their comings and goings.
 *
 * Only what policy decides is compared. An attach that was refused for another reason (the share was busy, the host denied, a limit reached) had policy's
 * leave, and would have been refused all the same.
 */
#include "admin/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/files.h"
#include "authz/reason.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"

#define LABELS_MAX  16
#define FROM_RECORD 1 /* msg_get_events.from */

/* ---- what is known ---- */

struct share {
	struct msg_row_share row;
	char text[sizeof((struct msg_row_share *)NULL)->labels];
	struct policy_label labels[LABELS_MAX];
	size_t label_count;
};

struct grant {
	uint64_t id;
	char vm[QUALIFIED_LEN_MAX + 1], share[QUALIFIED_LEN_MAX + 1], host[NAME_LEN_MAX + 1];
	bool write;
	int64_t expires_us; /* 0: never */
};

struct replay {
	struct asking asking;
	struct admin *admin;
	const struct policy *policy;
	int64_t since_us;
	struct share *shares;
	size_t share_count;
	struct grant *grants; /* held at the time of the record that is looked at */
	size_t grant_count, grant_room;
	size_t looked, same, now_allowed, now_denied;
	json_t *differences;
	struct table *table;
};

/* ---- shares ---- */

/* "kind=storage,zone=a" in place into keys and values. */
static void
split_labels(struct share *share)
{
	char *in = share->text, *out;

	snprintf(share->text, sizeof share->text, "%s", share->row.labels);
	while (*in != '\0' && share->label_count < LABELS_MAX) {
		struct policy_label *label = &share->labels[share->label_count++];
		char *value = strchr(in, '=');

		if (value == NULL)
			return;
		*value++ = '\0';
		label->key = in;
		label->value = out = value;
		for (in = value; *in != '\0' && *in != ','; in++) {
			if (*in == '\\' && in[1] != '\0')
				in++;
			*out++ = *in;
		}
		in += *in == ',';
		*out = '\0';
	}
}

static void
take_share(struct asking *asking, uint16_t number, const union admin_body *body)
{
	struct replay *replay = asking->context;

	if (number != ADMIN_ROW_SHARE)
		return;
	replay->shares = verb_memory(reallocarray(replay->shares, replay->share_count + 1, sizeof *replay->shares));
	replay->shares[replay->share_count++] = (struct share){.row = body->row_share};
}

static const struct share *
find_share(const struct replay *replay, const char *name)
{
	for (size_t i = 0; i < replay->share_count; i++)
		if (strcmp(replay->shares[i].row.share, name) == 0)
			return &replay->shares[i];
	return NULL;
}

/* ---- grants, as they came and went ---- */

static uint64_t
number_of(const json_t *object, const char *key)
{
	json_int_t number = json_integer_value(json_object_get(object, key));

	return number > 0 ? (uint64_t)number : 0;
}

static void
add_grant(struct replay *replay, const json_t *record)
{
	const json_t *principal = json_object_get(record, "principal"), *detail = json_object_get(record, "detail");
	size_t room = replay->grant_room ? 2 * replay->grant_room : 64;
	struct grant *grant;

	if (replay->grant_count == replay->grant_room) {
		replay->grants = verb_memory(reallocarray(replay->grants, room, sizeof *replay->grants));
		replay->grant_room = room;
	}
	grant = &replay->grants[replay->grant_count++];
	*grant = (struct grant){.id = number_of(detail, "grant"),
	    .write = strcmp(record_text(record, "mode"), "rw") == 0,
	    .expires_us = (int64_t)number_of(detail, "expires_us")};
	snprintf(grant->vm, sizeof grant->vm, "%s", record_text(principal, "vm"));
	snprintf(grant->share, sizeof grant->share, "%s", record_text(record, "share"));
	snprintf(grant->host, sizeof grant->host, "%s", record_text(principal, "host"));
}

static void
remove_grant(struct replay *replay, uint64_t id)
{
	for (size_t i = 0; i < replay->grant_count; i++)
		if (replay->grants[i].id == id) {
			replay->grants[i] = replay->grants[--replay->grant_count];
			return;
		}
}

static bool
is_granted(const struct replay *replay, const struct policy_request *request)
{
	for (size_t i = 0; i < replay->grant_count; i++) {
		const struct grant *grant = &replay->grants[i];

		if (strcmp(grant->vm, request->vm) == 0 && strcmp(grant->share, request->share) == 0 &&
		    (grant->host[0] == '\0' || strcmp(grant->host, request->host) == 0) &&
		    (grant->write || request->mode == MODE_RO) &&
		    (grant->expires_us == 0 || grant->expires_us > request->at_us))
			return true;
	}
	return false;
}

/* ---- decisions ---- */

/* What policy said, whatever was said at last. */
static bool
policy_allowed(const json_t *record)
{
	static const char *const by_policy[] = {
	    "no-rule", "rule-denies", "grant-missing", "ticket-missing", "ticket-invalid"};

	for (size_t i = 0; i < ARRAY_LENGTH(by_policy); i++)
		if (strcmp(record_text(record, "reason"), by_policy[i]) == 0)
			return false;
	return true;
}

static bool
decide(
    const struct replay *replay, const json_t *record, struct policy_request *request, struct policy_verdict *verdict)
{
	const json_t *detail = json_object_get(record, "detail");
	const struct share *share = find_share(replay, request->share);
	struct policy_facts facts = {.grant_held = is_granted(replay, request),
	    .ticket_valid =
		json_object_get(detail, "ticket") != NULL && json_object_get(detail, "ticket_fault") == NULL};

	request->share_class = share ? share->row.class : "disk";
	request->labels = share ? share->labels : NULL;
	request->label_count = share ? share->label_count : 0;
	policy_decide(replay->policy, request, &facts, verdict);
	return verdict->outcome == POLICY_ALLOWED;
}

static const char *
reason_of(const struct policy_verdict *verdict)
{
	switch (verdict->outcome) {
	case POLICY_ALLOWED:
		return reason_name(REASON_ALLOWED);
	case POLICY_RULE_DENIES:
		return reason_name(REASON_RULE_DENIES);
	case POLICY_UNMET:
		return reason_name(verdict->unmet & DEMAND_GRANT ? REASON_GRANT_MISSING : REASON_TICKET_MISSING);
	case POLICY_NO_RULE:
		break;
	}
	return reason_name(REASON_NO_RULE);
}

static void
tell_difference(struct replay *replay, const json_t *record, bool allowed, const struct policy_verdict *verdict)
{
	json_t *object = verb_memory(json_object());
	char time[CELL_LEN];
	struct record_texts texts;

	record_texts(record, &texts);
	snprintf(time, sizeof time, "%.16s", texts.time);
	table_row(replay->table, (const char *const[]){texts.seq, time, texts.who, texts.share, reason_of(verdict),
				     verdict->rule ? verdict->rule : ""});
	output_put(object, "record", json_incref((json_t *)(uintptr_t)record));
	output_put(object, "allowed", json_boolean(allowed));
	output_put(object, "reason", json_string(reason_of(verdict)));
	output_put(object, "rule", json_string(verdict->rule ? verdict->rule : ""));
	output_put(object, "file", json_string(verdict->file ? verdict->file : ""));
	output_put(object, "line", json_integer((json_int_t)verdict->line));
	output_append(replay->differences, object);
}

static void
look_at(struct replay *replay, const json_t *record, int64_t at_us)
{
	const json_t *principal = json_object_get(record, "principal");
	struct policy_request request = {.host = record_text(principal, "host"),
	    .vm = record_text(principal, "vm"),
	    .share = record_text(record, "share"),
	    .verb = VERB_ATTACH,
	    .mode = strcmp(record_text(record, "mode"), "rw") == 0 ? MODE_RW : MODE_RO,
	    .at_us = at_us};
	struct policy_verdict verdict;
	bool before, after;

	if (request.vm[0] == '\0' || strcmp(record_text(record, "reason"), reason_name(REASON_NOT_PROVED)) == 0)
		return; /* policy was not asked */
	before = policy_allowed(record);
	after = decide(replay, record, &request, &verdict);
	replay->looked++;
	if (before == after) {
		replay->same++;
		return;
	}
	replay->now_allowed += after;
	replay->now_denied += !after;
	tell_difference(replay, record, after, &verdict);
}

static void
take_record(struct asking *asking, uint16_t number, const union admin_body *body)
{
	struct replay *replay = asking->context;
	json_t *record =
	    number == ADMIN_ROW_EVENT ? json_loads(body->row_event.line, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const char *event = record_text(record, "event");
	const json_t *detail = json_object_get(record, "detail");
	int64_t at_us = 0;

	if (strcmp(event, "grant.add") == 0)
		add_grant(replay, record);
	else if (strcmp(event, "grant.remove") == 0)
		remove_grant(replay, number_of(detail, "grant"));
	else if (strcmp(event, "state.adopted") == 0 && json_object_get(detail, "grants_dropped"))
		replay->grant_count = 0;
	else if ((strcmp(event, "attach.allow") == 0 || strcmp(event, "attach.deny") == 0) &&
		 clock_parse(record_text(record, "ts"), &at_us, NULL) == 0 && at_us >= replay->since_us)
		look_at(replay, record, at_us);
	json_decref(record);
}

/* ---- all ---- */

static void
show(struct admin *admin, struct replay *replay)
{
	json_t *object;

	if (!admin->json) {
		table_print(admin, TAKE(replay->table), "");
		verb_say(admin, "Decisions %zu: the same %zu, now allowed %zu, now denied %zu.", replay->looked,
		    replay->same, replay->now_allowed, replay->now_denied);
		return;
	}
	object = verb_memory(json_object());
	output_put(object, "decisions", json_integer((json_int_t)replay->looked));
	output_put(object, "same", json_integer((json_int_t)replay->same));
	output_put(object, "now_allowed", json_integer((json_int_t)replay->now_allowed));
	output_put(object, "now_denied", json_integer((json_int_t)replay->now_denied));
	output_put(object, "differences", json_incref(replay->differences));
	output_json(object);
}

/* Is it an operator who asks? Then the trail is told whole. */
static void
take_status(struct asking *asking, uint16_t number, const union admin_body *body)
{
	if (number == ADMIN_ROW_STATUS)
		*(bool *)asking->context = strcmp(body->row_status.role, "operator") == 0;
}

static int
check_role(struct admin *admin)
{
	bool is_operator = false;
	struct asking asking = {.take = take_status, .context = &is_operator};
	int code = client_ask(admin, ADMIN_GET_STATUS, &(struct msg_get_status){0}, &asking);

	if (code == ADMIN_OK && !is_operator)
		return verb_fail(
		    admin, ADMIN_DENIED, "only an operator may do that; admins: in netbusd.yaml says who is");
	return code;
}

static int
run(struct admin *admin, struct replay *replay)
{
	const struct msg_get_events request = {.from = FROM_RECORD};
	int code = check_role(admin);

	replay->asking = (struct asking){.take = take_share, .context = replay};
	if (code == ADMIN_OK)
		code = client_ask(admin, ADMIN_GET_SHARES, &(struct msg_get_shares){0}, &replay->asking);
	for (size_t i = 0; i < replay->share_count; i++)
		split_labels(&replay->shares[i]);
	replay->asking = (struct asking){.take = take_record, .context = replay, .renews = true};
	if (code == ADMIN_OK)
		code = client_ask(admin, ADMIN_GET_EVENTS, &request, &replay->asking);
	if (code == ADMIN_OK)
		show(admin, replay);
	return code;
}

static int
operand_since(struct admin *admin, const char *text, int64_t *since_us)
{
	int64_t ago_us;

	if (text == NULL)
		return 0;
	if (parse_duration(text, &ago_us, NULL) == 0)
		*since_us = clock_wall_us() - ago_us;
	else if (clock_parse(text, since_us, NULL) < 0)
		return verb_usage(
		    admin, "--since '%s' is no time; write it like 30d for that long ago, or 2026-11-22T12:00Z", text);
	return 0;
}

int
cmd_policy_replay(struct admin *admin, int argc, char **argv)
{
	static const char *const titles[] = {"RECORD", "TIME", "WHO", "SHARE", "NOW", "RULE", NULL};
	const char *since = NULL;
	const struct verb_option options[] = {{"since", .value = &since}, {NULL}};
	struct replay replay = {.admin = admin};
	struct files files = {0};
	struct policy *policy;
	int code = verb_options(admin, &argc, argv, options, 1, 1);

	if (code == 0)
		code = operand_since(admin, since, &replay.since_us);
	if (code != 0)
		return code;
	policy = files_policy(admin, argc, argv, &files);
	replay.policy = policy;
	replay.differences = verb_memory(json_array());
	replay.table = table_new(titles);
	code = policy ? run(admin, &replay) : ADMIN_FAILURE;
	table_free(replay.table);
	json_decref(replay.differences);
	free(replay.shares);
	free(replay.grants);
	policy_free(policy);
	files_clear(&files);
	return code;
}
