/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom the rules of a policy name: for questions about everybody who is known, and for lists of who may have a share.
 */
#include "policy/index.h"

static enum dimension
dimension_of(enum policy_subject subject)
{
	return subject == SUBJECT_HOST ? BY_HOST : subject == SUBJECT_VM ? BY_VM : BY_SHARE;
}

void
policy_each_name(const struct policy *policy, enum policy_subject subject,
    void (*each)(const char *name, void *context), void *context)
{
	const struct atoms *names = &policy->names[dimension_of(subject)];

	for (size_t i = 0; i < names->count; i++)
		each(names->at[i].text, context);
}

/* The rule as it would be if it were for all hosts and VMs. */
static bool
is_about(const struct rule *rule, const struct query *query)
{
	static const struct selector all = {.any = true};
	static const struct selector *const parts[] = {&all};
	struct rule for_all = *rule;

	for_all.scope.of[BY_HOST] = for_all.scope.of[BY_VM] = (struct selection){.parts = parts, .count = 1};
	return rule_matches(&for_all, query);
}

void
policy_each_about(const struct policy *policy, const struct policy_request *request,
    void (*each)(const struct policy_match *match, const struct policy_members *members, void *context), void *context)
{
	struct policy_request about = *request;
	struct query query;

	about.host = "";
	about.vm = "/";
	if (!query_init(&query, policy, &about, true))
		return;
	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct rule *rule = policy->rules[i];
		const struct policy_match match = {
		    .id = rule->id,
		    .file = rule->file,
		    .line = rule->line,
		    .number = i,
		    .deny = rule->deny,
		    .observe = rule->observe,
		    .demands = rule->demands,
		    .unmet = rule->demands,
		    .mode = rule->mode,
		    .has_mode = rule->has_mode,
		    .max_ttl_us = rule->max_ttl_us,
		};

		if (is_about(rule, &query))
			each(&match, (const struct policy_members *)(const void *)rule, context);
	}
}

void
policy_each_member(const struct policy *policy, const struct policy_members *members, enum policy_subject subject,
    void (*each)(const char *name, bool is_glob, void *context), void *context)
{
	const struct rule *rule = (const struct rule *)(const void *)members;
	enum dimension dimension = dimension_of(subject);
	const struct selection *selection = &rule->scope.of[dimension];

	for (size_t p = 0; p < selection->count; p++) {
		const struct selector *part = selection->parts[p];

		if (part->any)
			each(subject == SUBJECT_HOST ? "*"
						     : "*"
						       "/"
						       "*",
			    true, context);
		for (size_t i = 0; i < part->atom_count; i++)
			each(policy->names[dimension].at[part->atoms[i]].text, false, context);
		for (size_t i = 0; i < part->glob_count; i++)
			each(part->globs[i].text, true, context);
	}
}
