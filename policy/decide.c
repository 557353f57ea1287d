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

bool
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
	bool observed;
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

	if (!rule_matches(rule, query))
		return;
	if (rule->observe) {
		tally->observed = true;
		return;
	}
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

static unsigned
held_demands(const struct policy_facts *facts)
{
	return (facts->grant_held ? DEMAND_GRANT : 0u) | (facts->ticket_valid ? DEMAND_TICKET : 0u);
}

void
policy_decide_at(const struct policy *policy, const struct policy_request *request, bool timed,
    const struct policy_facts *facts, struct policy_verdict *verdict)
{
	struct tally tally = {.held = held_demands(facts)};
	struct query query;

	*verdict = (struct policy_verdict){.outcome = POLICY_NO_RULE, .generation = policy->generation};
	if (!query_init(&query, policy, request, timed))
		return;
	index_each(&policy->rule_index, &query, count_rule, &tally);
	verdict->max_ttl_us = tally.max_ttl_us;
	verdict->observed = tally.observed;
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

static void
tell(const struct policy *policy, size_t number, unsigned held, policy_each *each, void *context)
{
	const struct rule *rule = policy->rules[number];
	const struct policy_match match = {
	    .id = rule->id,
	    .file = rule->file,
	    .line = rule->line,
	    .number = number,
	    .deny = rule->deny,
	    .observe = rule->observe,
	    .demands = rule->demands,
	    .unmet = rule->demands & ~held,
	    .mode = rule->mode,
	    .has_mode = rule->has_mode,
	    .max_ttl_us = rule->max_ttl_us,
	};

	each(&match, context);
}

void
policy_matches(const struct policy *policy, const struct policy_request *request, const struct policy_facts *facts,
    policy_each *each, void *context)
{
	struct query query;

	if (!query_init(&query, policy, request, true))
		return;
	for (size_t i = 0; i < policy->rule_count; i++)
		if (rule_matches(policy->rules[i], &query))
			tell(policy, i, held_demands(facts), each, context);
}

/* Whether a rule that matches would decide, if it were counted too. */
static bool
would_decide(const struct rule *rule, const struct tally *tally)
{
	if (rule->deny)
		return tally->deny == NULL || compare_ids(rule, tally->deny) < 0;
	if (tally->deny)
		return false;
	if (rule->demands & ~tally->held)
		return tally->met == NULL && is_better(rule, tally->unmet, ~tally->held);
	return is_better(rule, tally->met, ~0u);
}

void
policy_observed(const struct policy *policy, const struct policy_request *request, const struct policy_facts *facts,
    policy_each *each, void *context)
{
	struct tally tally = {.held = held_demands(facts)};
	struct query query;

	if (!query_init(&query, policy, request, true))
		return;
	index_each(&policy->rule_index, &query, count_rule, &tally);
	for (size_t i = 0; tally.observed && i < policy->rule_count; i++) {
		const struct rule *rule = policy->rules[i];

		if (rule->observe && rule_matches(rule, &query) && would_decide(rule, &tally))
			tell(policy, i, tally.held, each, context);
	}
}

/* ---- limits ---- */

#define FOUND_MOST (POLICY_LIMITS_MOST + 1) /* one more shows that there are too many */

struct found {
	const struct limit *at[FOUND_MOST]; /* in the order of files and lines, none twice */
	size_t count;
};

static int
compare_places(const struct limit *a, const struct limit *b)
{
	int order = strcmp(a->file, b->file);

	if (order == 0)
		order = (a->line > b->line) - (a->line < b->line);
	return order ? order : (a->column > b->column) - (a->column < b->column);
}

static void
collect(const struct scope *scope, const struct query *query, void *context)
{
	const struct limit *limit = limit_of(scope);
	struct found *found = context;
	size_t place = 0;

	if (!scope_match(scope, query))
		return;
	while (place < found->count && compare_places(found->at[place], limit) < 0)
		place++;
	if (place == FOUND_MOST || (place < found->count && found->at[place] == limit))
		return;
	if (found->count == FOUND_MOST)
		found->count--;
	memmove(&found->at[place + 1], &found->at[place], (found->count - place) * sizeof found->at[0]);
	found->at[place] = limit;
	found->count++;
}

static void
copy_key(enum policy_per per, const struct policy_request *request, char key[static QUALIFIED_LEN_MAX + 1])
{
	const char *text = per == PER_SHARE                     ? request->share
			   : per == PER_VM || per == PER_TENANT ? request->vm
			   : per == PER_HOST                    ? request->host
								: "";
	size_t length = per == PER_TENANT ? strcspn(text, "/") : strlen(text);

	if (length > QUALIFIED_LEN_MAX)
		length = QUALIFIED_LEN_MAX;
	memcpy(key, text, length);
	key[length] = '\0';
}

static bool
has_rates(const struct policy_amounts *amounts)
{
	return amounts->iops || amounts->bandwidth || amounts->floor_iops || amounts->floor_bandwidth;
}

static bool
has_counts(const struct policy_amounts *amounts)
{
	return amounts->leases || amounts->attach_rate;
}

static void
give_limit(const struct limit *limit, bool rates, const struct policy_request *request, struct policy_limit *given)
{
	const struct policy_amounts *amounts = &limit->amounts;

	*given = (struct policy_limit){.file = limit->file,
	    .line = limit->line,
	    .column = limit->column,
	    .per = rates ? limit->rates_per : limit->counts_per};
	if (rates) {
		given->amounts = *amounts;
		given->amounts.leases = given->amounts.attach_rate = 0;
	} else {
		given->amounts.leases = amounts->leases;
		given->amounts.attach_rate = amounts->attach_rate;
	}
	copy_key(given->per, request, given->key);
}

size_t
policy_limits(const struct policy *policy, const struct policy_request *request,
    struct policy_limit limits[static POLICY_LIMITS_MOST])
{
	struct found found = {.count = 0};
	struct query query;
	size_t count = 0;

	if (query_init(&query, policy, request, true))
		index_each(&policy->limit_index, &query, collect, &found);
	for (size_t i = 0; i < 2 * found.count; i++) {
		const struct limit *limit = found.at[i / 2];
		bool rates = i % 2 == 0;

		if (rates ? !has_rates(&limit->amounts) : !has_counts(&limit->amounts))
			continue;
		if (count < POLICY_LIMITS_MOST)
			give_limit(limit, rates, request, &limits[count]);
		count++;
	}
	return count;
}
