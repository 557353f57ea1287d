/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs the tests of the policy files over the whole policy that is being loaded; a test that fails is a fault.
 */
#include <stdio.h>
#include <string.h>

#include "policy/rules.h"

#define ANSWER_MAX 160

static void
print_verdict(const struct policy_verdict *verdict, char answer[static ANSWER_MAX])
{
	switch (verdict->outcome) {
	case POLICY_ALLOWED:
		snprintf(answer, ANSWER_MAX, "allow by '%s'", verdict->rule);
		return;
	case POLICY_RULE_DENIES:
		snprintf(answer, ANSWER_MAX, "deny by '%s'", verdict->rule);
		return;
	case POLICY_UNMET:
		snprintf(answer, ANSWER_MAX, "deny, since '%s' demands a %s%s%s", verdict->rule,
		    verdict->unmet & DEMAND_GRANT ? "grant" : "",
		    verdict->unmet == (DEMAND_GRANT | DEMAND_TICKET) ? " and a " : "",
		    verdict->unmet & DEMAND_TICKET ? "ticket" : "");
		return;
	case POLICY_NO_RULE:
		snprintf(answer, ANSWER_MAX, "deny, since no rule allows it");
		return;
	}
}

/* What would help the reader of a failed test, or "". */
static const char *
hint(const struct policy *policy, const struct policy_test *test)
{
	if (test->rule == NULL)
		return "";
	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct rule *rule = policy->rules[i];

		if (strcmp(rule->id, test->rule) != 0)
			continue;
		if (rule->observe)
			return " (that rule only observes; it never decides)";
		if (rule->when && !test->timed && rule->deny)
			return " (that rule has a 'when'; give the test an 'at' inside it)";
		return "";
	}
	return " (no rule has that id)";
}

static void
run_test(const struct policy *policy, const struct policy_test *test, struct faults *faults)
{
	struct policy_verdict verdict;
	char wanted[ANSWER_MAX], answer[ANSWER_MAX] = "";

	policy_decide_at(policy, &test->request, test->timed, &test->facts, &verdict);
	if ((verdict.outcome == POLICY_ALLOWED) == test->allow &&
	    (test->rule == NULL || (verdict.rule && strcmp(verdict.rule, test->rule) == 0)))
		return;
	snprintf(wanted, sizeof wanted, "%s%s%s%s", test->allow ? "allow" : "deny", test->rule ? " by '" : "",
	    test->rule ?: "", test->rule ? "'" : "");
	print_verdict(&verdict, answer);
	faults_add(faults, test->file, test->line, test->column, "test %u: expected %s, got %s%s", test->number, wanted,
	    answer, hint(policy, test));
}

void
policy_run_tests(const struct policy *policy, struct faults *faults)
{
	for (size_t i = 0; i < policy->test_count; i++)
		run_test(policy, policy->tests[i], faults);
}
