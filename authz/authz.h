/* SPDX-License-Identifier: Apache-2.0
 *
 * May this subject have this share now? Policy's verdict and the facts of the database become one answer with one reason.
 *
 * Pure. The order of the questions is fixed (identity, host, policy, share, mode, bars, holders, quota), so that the same facts give the
 * same reason everywhere, and so that a stranger learns nothing about shares that policy does not let him see.
 */
#ifndef NETBUS_AUTHZ_AUTHZ_H
#define NETBUS_AUTHZ_AUTHZ_H

#include <stdbool.h>
#include <stdint.h>

#include "authz/lease.h"
#include "authz/reason.h"
#include "policy/policy.h"

struct authz_facts {
	bool proved; /* the host's identity was proved to the broker */
	bool host_denied;
	enum reason ticket_fault; /* of the ticket that was shown; 0: none was, or it holds */
	bool barred;              /* this VM was revoked from the share, and nobody has let it attach again */
	bool share_known, share_enabled, share_read_only;
	enum share_mode share_mode;
	enum policy_mode mode;               /* asked for */
	uint32_t live_readers, live_writers; /* leases of this share */
	uint32_t live_leases, lease_limit;   /* of the limit that stands against it, if one does; limit 0 = none */
	bool attach_rate_spent;              /* of a limit */
	bool audit_ok, state_ok;
};

#define VERDICT_WOULD_LEN 272 /* four ids and how many more */

struct verdict {
	bool allowed;
	enum reason reason;
	char rule[64]; /* "" when no rule decided */
	char rule_file[128];
	unsigned rule_line;
	uint64_t generation;
	int64_t max_ttl_us; /* 0 = none */
	/* LIMIT_REACHED, ATTACH_RATE: "20-limits.yaml:7: leases per tenant acme"; whoever gathered the facts writes it. */
	char limit[192];
	/* Rules that only observe and would have decided so, "no-usb no-iso" or "a b c d +2"; or "". Whoever asked the policy writes them. */
	char would_deny[VERDICT_WOULD_LEN], would_allow[VERDICT_WOULD_LEN];
	unsigned unmet; /* enum policy_demand mask: what only stands between, of the policy */
};

void authz_decide(const struct policy_verdict *policy, const struct authz_facts *facts, struct verdict *verdict);

#endif
