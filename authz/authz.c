/* SPDX-License-Identifier: Apache-2.0
 *
 * The one decision (authz/authz.h). Read top to bottom: the first question with a bad answer gives the reason.
 */
#include "authz/authz.h"

#include <stddef.h>
#include <stdio.h>

/* What the identity, the host and our own ability to keep a record say, before any rule is asked. */
static enum reason
ask_preconditions(const struct authz_facts *facts)
{
	if (!facts->proved)
		return REASON_NOT_PROVED;
	if (facts->host_denied)
		return REASON_HOST_DENIED;
	if (!facts->audit_ok)
		return REASON_AUDIT_UNAVAILABLE;
	if (!facts->state_ok)
		return REASON_STATE_UNAVAILABLE;
	return REASON_ALLOWED;
}

/* Fails closed: an outcome that is none of these denies. */
static enum reason
ask_policy(const struct policy_verdict *policy, const struct authz_facts *facts)
{
	switch (policy->outcome) {
	case POLICY_ALLOWED:
		return REASON_ALLOWED;
	case POLICY_RULE_DENIES:
		return REASON_RULE_DENIES;
	case POLICY_UNMET:
		if (policy->unmet & DEMAND_GRANT)
			return REASON_GRANT_MISSING;
		return facts->ticket_fault > REASON_ALLOWED ? facts->ticket_fault : REASON_TICKET_MISSING;
	case POLICY_NO_RULE:
		return REASON_NO_RULE;
	}
	return REASON_NO_RULE;
}

/* Who holds the share already. */
static enum reason
ask_holders(const struct authz_facts *facts)
{
	const struct share_core share = {
	    .mode = facts->share_mode, .readers = facts->live_readers, .writers = facts->live_writers};

	return share_ask(&share, facts->mode == MODE_RW);
}

static enum reason
ask_share(const struct authz_facts *facts)
{
	if (!facts->share_known)
		return REASON_SHARE_UNKNOWN;
	if (!facts->share_enabled)
		return REASON_SHARE_DISABLED;
	if (facts->mode == MODE_RW && facts->share_read_only)
		return REASON_SHARE_READ_ONLY;
	return REASON_ALLOWED;
}

static enum reason
ask_bars(const struct authz_facts *facts)
{
	return facts->barred ? REASON_BARRED : REASON_ALLOWED;
}

static enum reason
ask_quota(const struct authz_facts *facts)
{
	if (facts->lease_limit && facts->live_leases >= facts->lease_limit)
		return REASON_LIMIT_REACHED;
	return facts->attach_rate_spent ? REASON_ATTACH_RATE : REASON_ALLOWED;
}

static enum reason
ask_all(const struct policy_verdict *policy, const struct authz_facts *facts)
{
	enum reason reason = ask_preconditions(facts);

	if (reason == REASON_ALLOWED)
		reason = ask_policy(policy, facts);
	if (reason == REASON_ALLOWED)
		reason = ask_share(facts);
	if (reason == REASON_ALLOWED)
		reason = ask_bars(facts);
	if (reason == REASON_ALLOWED)
		reason = ask_holders(facts);
	if (reason == REASON_ALLOWED)
		reason = ask_quota(facts);
	return reason;
}

void
authz_decide(const struct policy_verdict *policy, const struct authz_facts *facts, struct verdict *verdict)
{
	*verdict = (struct verdict){.reason = ask_all(policy, facts)};
	verdict->allowed = verdict->reason == REASON_ALLOWED;
	verdict->generation = policy->generation;
	verdict->rule_line = policy->line;
	verdict->max_ttl_us = policy->max_ttl_us;
	verdict->unmet = policy->outcome == POLICY_UNMET ? policy->unmet : 0;
	if (policy->rule)
		snprintf(verdict->rule, sizeof verdict->rule, "%s", policy->rule);
	if (policy->file)
		snprintf(verdict->rule_file, sizeof verdict->rule_file, "%s", policy->file);
}
