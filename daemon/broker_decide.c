/* SPDX-License-Identifier: Apache-2.0
 *
 * From a question to a verdict: the request and the facts are gathered here, from configuration and database; policy/ and authz/ decide.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/broker.h"

void
question_to_request(const struct broker *broker, const struct question *question, struct policy_request *request)
{
	const struct config_share *share = config_share(broker->config, question->share);

	*request = (struct policy_request){
	    .host = question->host,
	    .vm = question->vm,
	    .share = question->share,
	    .share_class = share ? share->class : "disk",
	    .labels = share ? share->labels : NULL,
	    .label_count = share ? share->label_count : 0,
	    .verb = question->verb,
	    .mode = question->mode,
	    .at_us = clock_wall_us(),
	};
}

/* The earlier of two ends, where 0 is never. */
static int64_t
earlier(int64_t a, int64_t b)
{
	if (a == 0 || b == 0)
		return a ? a : b;
	return a < b ? a : b;
}

/* What may end before the lease: 0 = never. */
struct proofs {
	struct policy_facts held;
	int64_t grant_us, ticket_us;
};

/* How long policy goes on to allow it, by grant and ticket: as long as some of what is held suffices, and that lasts as long as the first of it to end.
 * What is not needed bounds nothing. */
static int64_t
lasts_until(const struct policy *policy, const struct policy_request *request, const struct proofs *proofs)
{
	int64_t longest = -1;

	for (unsigned use = 0; use < 4; use++) {
		const struct policy_facts facts = {.grant_held = use & 1, .ticket_valid = use & 2};
		struct policy_verdict verdict;
		int64_t until;

		if ((facts.grant_held && !proofs->held.grant_held) ||
		    (facts.ticket_valid && !proofs->held.ticket_valid))
			continue;
		policy_decide(policy, request, &facts, &verdict);
		if (verdict.outcome != POLICY_ALLOWED)
			continue;
		until = earlier(facts.grant_held ? proofs->grant_us : 0, facts.ticket_valid ? proofs->ticket_us : 0);
		if (until == 0)
			return 0;
		if (until > longest)
			longest = until;
	}
	return longest;
}

/* What the policy is asked. */
struct asked {
	struct policy_request request;
	struct proofs proofs;
};

/* `at_us` 0: now. */
static struct asked
prepare(const struct broker *broker, const struct question *question, int64_t at_us)
{
	struct asked asked = {0};
	struct proofs *proofs = &asked.proofs;

	question_to_request(broker, question, &asked.request);
	if (at_us)
		asked.request.at_us = at_us;
	proofs->held.grant_held = db_grant_until(broker->db, question->vm, question->share, question->host,
				      (uint8_t)question->mode, asked.request.at_us, &proofs->grant_us) == 0;
	proofs->held.ticket_valid = ticket_now(broker, question, asked.request.at_us) == REASON_ALLOWED;
	if (proofs->held.ticket_valid)
		proofs->ticket_us = question->ticket->ticket.expires_us;
	return asked;
}

static void
ask_policy(const struct policy *policy, const struct asked *asked, struct policy_verdict *verdict, int64_t *expires_us)
{
	*expires_us = 0;
	if (policy == NULL) {
		*verdict = (struct policy_verdict){.outcome = POLICY_NO_RULE};
		return;
	}
	policy_decide(policy, &asked->request, &asked->proofs.held, verdict);
	if (verdict->outcome != POLICY_ALLOWED)
		return;
	if (verdict->max_ttl_us)
		*expires_us = asked->request.at_us + verdict->max_ttl_us;
	*expires_us = earlier(*expires_us, lasts_until(policy, &asked->request, &asked->proofs));
}

/* ---- rules that only observe ---- */

struct observing {
	struct broker *broker;
	struct verdict *verdict;
	unsigned denies, allows;
};

#define WOULD_NAMED 4

/* The first few ids, then how many more. */
static void
add_would(char text[static VERDICT_WOULD_LEN], unsigned *count, const char *id)
{
	size_t used = strlen(text);

	if (++*count <= WOULD_NAMED)
		snprintf(text + used, VERDICT_WOULD_LEN - used, "%s%s", used ? " " : "", id);
	else
		snprintf(
		    strchr(text, '+') ?: text + used, 16, "%s+%u", strchr(text, '+') ? "" : " ", *count - WOULD_NAMED);
}

static void
note_observed(const struct policy_match *match, void *context)
{
	struct observing *observing = context;

	observing->broker->observed[match->number]++;
	if (match->deny)
		add_would(observing->verdict->would_deny, &observing->denies, match->id);
	else
		add_would(observing->verdict->would_allow, &observing->allows, match->id);
}

void
broker_matches(
    const struct broker *broker, const struct question *question, int64_t at_us, policy_each *each, void *context)
{
	struct asked asked;

	if (broker->policy == NULL)
		return;
	asked = prepare(broker, question, at_us);
	policy_matches(broker->policy, &asked.request, &asked.proofs.held, each, context);
}

/* ---- facts ---- */

/* `limit`: names the limit that stands against it, if one does. */
static void
gather_facts(struct broker *broker, const struct question *question, bool renewing, struct authz_facts *facts,
    char limit[static LIMIT_TEXT_LEN])
{
	struct db_share share;
	struct db_lease_count count = {0};
	enum reason ticket = ticket_now(broker, question, clock_wall_us());

	*facts = (struct authz_facts){
	    .proved = question->proved,
	    .mode = question->mode,
	    .ticket_fault = ticket == REASON_ALLOWED || ticket == REASON_TICKET_MISSING ? 0 : ticket,
	    .audit_ok = db_trail_ok(broker->db) || renewing,
	    .state_ok = true, /* a state that cannot be written shows when the lease is stored, and refuses then */
	};
	facts->host_denied = peer_is_denied(broker, question->host, question->key);
	if (db_share_get(broker->db, question->share, &share) == 0 && share.configured) {
		facts->share_known = true;
		facts->share_enabled = share.enabled || renewing;
		facts->share_read_only = share.read_only;
		facts->share_mode = (enum share_mode)share.share_mode;
	}
	if (renewing)
		return;
	facts->barred = db_barred(broker->db, question->vm, question->share, question->host) != 0;
	if (db_lease_count(broker->db, question->share, question->host, &count) < 0)
		facts->state_ok = false;
	facts->live_readers = count.readers;
	facts->live_writers = count.writers;
	limits_gather(broker, question, facts, limit);
}

static void
decide(struct broker *broker, const struct question *question, bool renewing, const struct policy_verdict *policy,
    struct verdict *verdict)
{
	struct authz_facts facts;
	char limit[LIMIT_TEXT_LEN] = "";

	gather_facts(broker, question, renewing, &facts, limit);
	authz_decide(policy, &facts, verdict);
	if (verdict->reason == REASON_LIMIT_REACHED || verdict->reason == REASON_ATTACH_RATE)
		snprintf(verdict->limit, sizeof verdict->limit, "%s", limit);
}

void
broker_decide(
    struct broker *broker, const struct question *question, bool renewing, struct verdict *verdict, int64_t *expires_us)
{
	struct asked asked = prepare(broker, question, 0);
	struct observing observing = {broker, verdict, 0, 0};
	struct policy_verdict policy;

	ask_policy(broker->policy, &asked, &policy, expires_us);
	decide(broker, question, renewing, &policy, verdict);
	if (renewing)
		return;
	if (policy.observed)
		policy_observed(broker->policy, &asked.request, &asked.proofs.held, note_observed, &observing);
	if (question->verb == VERB_ATTACH && policy.outcome == POLICY_ALLOWED)
		limits_attempted(broker, question);
}

void
broker_decide_at(
    struct broker *broker, const struct question *question, int64_t at_us, struct verdict *verdict, int64_t *expires_us)
{
	struct asked asked = prepare(broker, question, at_us);
	struct policy_verdict policy;

	ask_policy(broker->policy, &asked, &policy, expires_us);
	decide(broker, question, false, &policy, verdict);
}

void
lease_judge(struct broker *broker, const struct policy *policy, const struct lease *lease, struct verdict *verdict)
{
	const struct question question = {lease->row.host, lease->row.vm.text, lease->row.share.text, VERB_ATTACH,
	    (enum policy_mode)lease->row.mode, true, &lease->ticket, NULL};
	struct asked asked = prepare(broker, &question, 0);
	struct policy_verdict answer;
	int64_t expires_us;

	ask_policy(policy, &asked, &answer, &expires_us);
	decide(broker, &question, true, &answer, verdict);
}
