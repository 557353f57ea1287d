/* SPDX-License-Identifier: Apache-2.0
 *
 * The decision, in the order that netbus-policy(5) gives. Pure, and takes no memory. The order in which the index brings the
 * rules does not matter: each step keeps the best so far by a total order (rules stand sorted by id, so that of two
 * rules the lower id is the lower position).
 */
#include <string.h>

#include "policy/index.h"

#define MODE_VERBS (VERB_ATTACH | VERB_HANDOVER | VERB_STEAL)

static bool
mode_matches(const struct rule *rule, const struct policy_request *request)
{
	bool write = request->mode != MODE_RO;

	if (!(request->verb & MODE_VERBS))
		return true;
	/* Read-write includes reading: an allow of rw covers both, and so does a deny of ro. */
	if (rule->deny)
		return write || !rule->has_mode || rule->mode == MODE_RO;
	return !write || rule->mode == MODE_RW;
}

static bool
time_matches(const struct rule *rule, const struct query *query)
{
	if (rule->when == NULL)
		return true;
	return query->timed ? when_match(rule->when, query->request->at_us) : !rule->deny;
}

static bool
rule_matches(const struct rule *rule, const struct query *query)
{
	return rule->scope.verbs & query->request->verb && mode_matches(rule, query->request) &&
	       scope_match(&rule->scope, query) && time_matches(rule, query);
}

/* ---- deciding ---- */

struct tally {
	unsigned held; /* demands that the facts meet */
	const struct rule *deny, *met, *unmet;
	int64_t max_ttl_us;
};

static int
compare_ids(const struct rule *a, const struct rule *b)
{
	return strcmp(a->id, b->id);
}

/* Fewer of `demands` first, then the lower id. */
static bool
is_better(const struct rule *rule, const struct rule *than, unsigned demands)
{
	int fewer;

	if (than == NULL)
		return true;
	fewer = __builtin_popcount(rule->demands & demands) - __builtin_popcount(than->demands & demands);
	return fewer < 0 || (fewer == 0 && compare_ids(rule, than) < 0);
}

static void
count_rule(const struct scope *scope, const struct query *query, void *context)
{
	const struct rule *rule = rule_of(scope);
	struct tally *tally = context;

	if (rule->observe || !rule_matches(rule, query))
		return;
	if (rule->deny) {
		if (tally->deny == NULL || compare_ids(rule, tally->deny) < 0)
			tally->deny = rule;
		return;
	}
	if (rule->max_ttl_us && (tally->max_ttl_us == 0 || rule->max_ttl_us < tally->max_ttl_us))
		tally->max_ttl_us = rule->max_ttl_us;
	if (rule->demands & ~tally->held) {
		if (is_better(rule, tally->unmet, ~tally->held))
			tally->unmet = rule;
	} else if (is_better(rule, tally->met, ~0u)) {
		tally->met = rule;
	}
}

static void
give(struct policy_verdict *verdict, enum policy_outcome outcome, const struct rule *rule)
{
	verdict->outcome = outcome;
	verdict->rule = rule->id;
	verdict->file = rule->file;
	verdict->line = rule->line;
}

void
policy_decide_at(const struct policy *policy, const struct policy_request *request, bool timed,
    const struct policy_facts *facts, struct policy_verdict *verdict)
{
	struct tally tally = {0};
	struct query query;

	*verdict = (struct policy_verdict){.outcome = POLICY_NO_RULE, .generation = policy->generation};
	if (!query_init(&query, policy, request, timed))
		return;
	tally.held = (facts->grant_held ? DEMAND_GRANT : 0u) | (facts->ticket_valid ? DEMAND_TICKET : 0u);
	index_each(&policy->rule_index, policy, &query, count_rule, &tally);
	verdict->max_ttl_us = tally.max_ttl_us;
	if (tally.deny) {
		give(verdict, POLICY_RULE_DENIES, tally.deny);
	} else if (tally.met) {
		give(verdict, POLICY_ALLOWED, tally.met);
	} else if (tally.unmet) {
		give(verdict, POLICY_UNMET, tally.unmet);
		verdict->unmet = tally.unmet->demands & ~tally.held;
	}
}

void
policy_decide(const struct policy *policy, const struct policy_request *request, const struct policy_facts *facts,
    struct policy_verdict *verdict)
{
	policy_decide_at(policy, request, true, facts, verdict);
}

/* ---- explaining ---- */

void
policy_explain(const struct policy *policy, const struct policy_request *request,
    void (*each)(const struct policy_match *match, void *context), void *context)
{
	struct query query;

	if (!query_init(&query, policy, request, true))
		return;
	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct rule *rule = policy->rules[i];
		const struct policy_match match = {
		    .id = rule->id,
		    .file = rule->file,
		    .line = rule->line,
		    .deny = rule->deny,
		    .observe = rule->observe,
		    .demands = rule->demands,
		    .mode = rule->mode,
		    .has_mode = rule->has_mode,
		};

		if (rule_matches(rule, &query))
			each(&match, context);
	}
}

/* ---- limits ---- */

#define TIGHTEN(limits, amounts, field)                                                           \
	do {                                                                                      \
		if ((amounts)->field && (!(limits)->field || (amounts)->field < (limits)->field)) \
			(limits)->field = (amounts)->field;                                       \
	} while (0)

static void
tighten(const struct scope *scope, const struct query *query, void *context)
{
	const struct policy_limits *amounts = &limit_of(scope)->amounts;
	struct policy_limits *limits = context;

	if (!scope_match(scope, query))
		return;
	TIGHTEN(limits, amounts, iops);
	TIGHTEN(limits, amounts, bandwidth);
	TIGHTEN(limits, amounts, burst_us);
	TIGHTEN(limits, amounts, leases);
	TIGHTEN(limits, amounts, attach_rate);
}

void
policy_limits(const struct policy *policy, const struct policy_request *request, struct policy_limits *limits)
{
	struct query query;

	*limits = (struct policy_limits){0};
	if (query_init(&query, policy, request, true))
		index_each(&policy->limit_index, policy, &query, tighten, limits);
}
