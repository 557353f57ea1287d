/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may have a share: of the hosts and VMs that are known, each that the policy allows now; and the rules that allow whole patterns of them. To a tenant's
 * operator a share of others does not exist, and VMs of others only as far as they have to do with his share.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/broker.h"
#include "daemon/broker_survey.h"

#define COPY(to, from) snprintf((to), sizeof(to), "%s", (from))

/* ---- who is known ---- */

static void
look(struct survey *survey, const struct policy_request *request)
{
	struct broker *broker = survey->client->broker;
	struct policy_verdict verdict, without_ticket;
	struct msg_row_can row = {0};
	bool grant = false, needs_grant;

	needs_grant = !survey_allows(broker->policy, request, false, &verdict);
	if (needs_grant) {
		if (!survey_allows(broker->policy, request, true, &verdict))
			return;
		grant = db_grant_covers(
		    broker->db, request->vm, request->share, request->host, (uint8_t)request->mode, request->at_us);
		if (!grant)
			return;
	}
	if (survey_is_moot(broker, request))
		return;
	policy_decide(broker->policy, request, &(struct policy_facts){.grant_held = grant}, &without_ticket);
	COPY(row.hosts, request->host);
	COPY(row.vms, request->vm);
	COPY(row.mode, request->mode == MODE_RW ? "rw" : "ro");
	COPY(row.rule, verdict.rule);
	COPY(row.file, verdict.file);
	row.line = verdict.line;
	demands_print(
	    (needs_grant ? DEMAND_GRANT : 0u) | (without_ticket.outcome == POLICY_ALLOWED ? 0u : DEMAND_TICKET),
	    row.demands);
	client_row(survey->client, ADMIN_ROW_CAN, &row);
	survey->found[0]++;
}

/* ---- rules with patterns ---- */

/* Names joined, as far as there is room. */
struct joining {
	char *text;
	size_t room, used;
	unsigned left_out;
	bool any_glob;
};

static void
join(const char *name, bool is_glob, void *context)
{
	struct joining *joining = context;
	size_t length = strlen(name), keep = sizeof ", and 4294967295 more";

	joining->any_glob = joining->any_glob || is_glob;
	if (joining->left_out || joining->used + 2 + length + keep > joining->room) {
		joining->left_out++;
		return;
	}
	joining->used += (size_t)snprintf(
	    joining->text + joining->used, joining->room - joining->used, "%s%s", joining->used ? ", " : "", name);
}

static void
end_join(struct joining *joining)
{
	if (joining->left_out)
		snprintf(
		    joining->text + joining->used, joining->room - joining->used, ", and %u more", joining->left_out);
}

struct patterns {
	struct survey *survey;
	const struct policy_request *request;
	char denies[sizeof((struct msg_row_can *)NULL)->except];
	struct joining joining;
};

static void
gather_deny(const struct policy_match *match, const struct policy_members *members, void *context)
{
	struct patterns *patterns = context;

	(void)members;
	if (match->deny && !match->observe)
		join(match->id, false, &patterns->joining);
}

static void
tell_pattern(const struct policy_match *match, const struct policy_members *members, void *context)
{
	const struct patterns *patterns = context;
	struct client *client = patterns->survey->client;
	struct msg_row_can row = {.pattern = 1, .line = match->line};
	struct joining hosts = {.text = row.hosts, .room = sizeof row.hosts};
	struct joining vms = {.text = row.vms, .room = sizeof row.vms};

	if (match->deny || match->observe)
		return;
	policy_each_member(client->broker->policy, members, SUBJECT_HOST, join, &hosts);
	policy_each_member(client->broker->policy, members, SUBJECT_VM, join, &vms);
	if (!hosts.any_glob && !vms.any_glob)
		return;
	end_join(&hosts);
	end_join(&vms);
	COPY(row.mode, patterns->request->mode == MODE_RW ? "rw" : "ro");
	COPY(row.rule, match->id);
	COPY(row.file, match->file);
	COPY(row.except, patterns->denies);
	demands_print(match->demands, row.demands);
	client_row(client, ADMIN_ROW_CAN, &row);
	patterns->survey->found[1]++;
}

static void
finish(struct survey *survey)
{
	struct broker *broker = survey->client->broker;
	const struct question question = {.host = "",
	    .vm = "",
	    .share = survey->shares.at[0],
	    .verb = survey->verb,
	    .mode = survey->modes[MODE_RW] ? MODE_RW : MODE_RO,
	    .proved = true};
	struct policy_request request;
	struct patterns patterns = {.survey = survey, .request = &request};

	question_to_request(broker, &question, &request);
	patterns.joining = (struct joining){.text = patterns.denies, .room = sizeof patterns.denies};
	if (broker->policy) {
		policy_each_about(broker->policy, &request, gather_deny, &patterns);
		end_join(&patterns.joining);
		policy_each_about(broker->policy, &request, tell_pattern, &patterns);
	}
	client_done(survey->client, ADMIN_OK, 0, "%s", "");
}

/* ---- whom to look at ---- */

static void
add_host(const char *name, bool is_glob, void *context)
{
	struct survey *survey = context;

	if (!is_glob)
		names_add(&survey->hosts, name);
}

static void
add_vm(const char *name, bool is_glob, void *context)
{
	struct survey *survey = context;

	if (!is_glob)
		names_add(&survey->vms, name);
}

static void
add_members(const struct policy_match *match, const struct policy_members *members, void *context)
{
	struct survey *survey = context;
	const struct policy *policy = survey->client->broker->policy;

	if (match->deny || match->observe)
		return;
	policy_each_member(policy, members, SUBJECT_HOST, add_host, survey);
	policy_each_member(policy, members, SUBJECT_VM, add_vm, survey);
}

static void
gather(struct survey *survey, const struct msg_who_can *ask)
{
	const struct client *client = survey->client;
	const struct question question = {
	    .host = "", .vm = "", .share = ask->share, .verb = survey->verb, .mode = (enum policy_mode)ask->mode};
	struct policy_request request;

	question_to_request(client->broker, &question, &request);
	names_add(&survey->shares, ask->share);
	survey_add_hosts(survey);
	survey_add_known(survey, ask->share, client->role == ROLE_TENANT ? client->tenant.text : NULL);
	if (client->broker->policy)
		policy_each_about(client->broker->policy, &request, add_members, survey);
	names_settle(&survey->shares);
	names_settle(&survey->hosts);
	names_settle(&survey->vms);
}

void
who_can_asked(struct client *client, const struct msg_who_can *ask)
{
	enum policy_verb verb = verb_find(ask->verb);
	struct survey *survey;

	if (!share_asked_about(client, ask->share) || !verb_asked_about(client, verb, ask->verb))
		return;
	survey = survey_new(client);
	if (survey == NULL)
		return;
	survey->verb = verb;
	survey->modes[ask->mode] = true;
	survey->look = look;
	survey->finish = finish;
	gather(survey, ask);
	if (survey->hosts.failed || survey->vms.failed || survey->shares.failed) {
		client_done(client, ADMIN_FAILURE, 0, "out of memory");
		survey_free(survey);
	} else if (survey_size(survey) > LIMIT_QUESTIONS) {
		client_done(client, ADMIN_FAILURE, 0,
		    "%zu hosts and %zu VMs are too many to go through; ask policy explain for those that matter",
		    survey->hosts.count, survey->vms.count);
		survey_free(survey);
	} else {
		survey_begin(survey);
	}
}
