/* SPDX-License-Identifier: Apache-2.0
 *
 * Policy: YAML files -> immutable rules -> verdict. The language is described in netbus-policy(5).
 *
 * Pure: no system call, no global, no clock (the time is part of the request). A struct policy never changes after
 * policy_load(); a reload makes a new one, and a load that has any fault or failing test gives none, so the last good
 * generation stays in force.
 */
#ifndef NETBUS_POLICY_POLICY_H
#define NETBUS_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/name.h"
#include "base/yaml.h"

enum policy_verb {
	VERB_LIST = 1 << 0,
	VERB_ATTACH = 1 << 1,
	VERB_DISCARD = 1 << 2,
	VERB_RESIZE_SEE = 1 << 3,
	VERB_HANDOVER = 1 << 4,
	VERB_STEAL = 1 << 5,
	VERB_USB_CONTROL = 1 << 6,
};

enum policy_mode { MODE_RO = 0, MODE_RW = 1 };

/* The name of one verb ("resize-see"), and back (0 when unknown). */
const char *verb_name(enum policy_verb verb);
enum policy_verb verb_find(const char *name);

struct policy_label {
	const char *key, *value;
};

struct policy_request {
	const char *host;        /* proved name of the host that asks */
	const char *vm, *share;  /* "tenant/name" */
	const char *share_class; /* "disk", "usb" */
	const struct policy_label *labels;
	size_t label_count;
	enum policy_verb verb;
	enum policy_mode mode; /* of attach, handover and steal */
	int64_t at_us;         /* wall clock, microseconds since 1970 UTC */
};

/* What the state database and the ticket say; decides demands only. */
struct policy_facts {
	bool grant_held;   /* a live grant covers this VM, share, host and mode */
	bool ticket_valid; /* a ticket was shown and holds */
};

enum policy_outcome {
	POLICY_ALLOWED,
	POLICY_NO_RULE, /* default deny */
	POLICY_RULE_DENIES,
	POLICY_UNMET, /* only unmet demands stand between */
};

enum policy_demand { DEMAND_GRANT = 1 << 0, DEMAND_TICKET = 1 << 1 };

struct policy_verdict {
	enum policy_outcome outcome;
	const char
	    *rule; /* id of the deciding rule (UNMET: the one with the fewest unmet demands, then lowest id), or NULL */
	const char *file; /* where it stands; valid as long as the policy */
	unsigned line;
	unsigned unmet;     /* enum policy_demand mask, for UNMET */
	int64_t max_ttl_us; /* smallest among the matching allows; 0 = none */
	bool observed;      /* rules that only observe match, too: see policy_observed() */
	uint64_t generation;
};

struct policy_file {
	const char *name; /* "10-acme.yaml": two digits, '-', [a-z0-9._-]+, ".yaml"; anything else is a fault */
	const char *text;
	size_t length;
};

struct policy;

/* Parses, links and tests the files (given in any order, taken in C order of their names). NULL when `faults` got any. No files at all is a
 * valid policy that denies everything.
 *
 * A test without `at` asks "ever?": a `when` on an allow counts as open, one on a deny as closed. So whether a file is
 * good never depends on the hour of the load (a restart at night must not refuse a policy for office hours), and
 * `now_us` decides nothing; it is kept for callers. */
struct policy *policy_load(
    const struct policy_file *files, size_t count, uint64_t generation, int64_t now_us, struct faults *faults);
void policy_free(struct policy *policy);

void policy_decide(const struct policy *policy, const struct policy_request *request, const struct policy_facts *facts,
    struct policy_verdict *verdict);

struct policy_match {
	const char *id, *file; /* valid as long as the policy */
	unsigned line;
	size_t number; /* its place among all rules of the policy, in the order of ids: below policy_rule_count() */
	bool deny, observe;
	unsigned demands, unmet; /* of an allow; what the facts do not meet */
	enum policy_mode mode;
	bool has_mode;
	int64_t max_ttl_us; /* of an allow; 0 = none */
};
typedef void policy_each(const struct policy_match *match, void *context);

/* Every rule that matches the request, those that only observe too, in the order of ids. Walks through all rules. */
void policy_matches(const struct policy *policy, const struct policy_request *request, const struct policy_facts *facts,
    policy_each *each, void *context);
/* Every rule that only observes and would have decided this request, had it alone been in force beside those that are; in the order of ids. Walks through
 * all rules, so ask it when a verdict says `observed`. */
void policy_observed(const struct policy *policy, const struct policy_request *request,
    const struct policy_facts *facts, policy_each *each, void *context);

/* ---- whom a policy names ---- */

enum policy_subject { SUBJECT_HOST, SUBJECT_VM, SUBJECT_SHARE };
/* Each literal name that stands in a selector of any rule, set or limit; once. */
void policy_each_name(const struct policy *policy, enum policy_subject subject,
    void (*each)(const char *name, void *context), void *context);

/* Calls `each` for every rule that can concern the request's share, verb, mode and time, whoever asks (the request's host and VM are not looked at), in id
 * order; `members` is for policy_each_member() and valid as long as the policy. */
struct policy_members;
void policy_each_about(const struct policy *policy, const struct policy_request *request,
    void (*each)(const struct policy_match *match, const struct policy_members *members, void *context), void *context);
/* The hosts or VMs that the rule names: literals and globs; "*" (of a VM: "*" "/" "*") when it takes all. */
void policy_each_member(const struct policy *policy, const struct policy_members *members, enum policy_subject subject,
    void (*each)(const char *name, bool is_glob, void *context), void *context);

/* Results of the tests that stand in the files; policy_load() has run them all. */
size_t policy_rule_count(const struct policy *policy);
/* Of the rule with that number in the order of ids. */
const char *policy_rule_id(const struct policy *policy, size_t number);
size_t policy_test_count(const struct policy *policy);
size_t policy_limit_count(const struct policy *policy);
uint64_t policy_generation(const struct policy *policy);

/* ---- limits: how much ---- */

/* Whom a limit counts together: each lease for itself, or all leases that it matches of one share, VM, tenant (of the VM) or host, or simply all. */
enum policy_per { PER_LEASE, PER_SHARE, PER_VM, PER_TENANT, PER_HOST, PER_ALL };
const char *per_name(enum policy_per per);

struct policy_amounts {           /* 0 = none */
	uint64_t iops, bandwidth; /* per second; bytes */
	int64_t burst_us;
	uint64_t floor_iops, floor_bandwidth; /* of each lease */
	uint32_t leases;
	uint32_t attach_rate; /* per minute */
};

struct policy_limit {
	const char *file; /* where it stands; valid as long as the policy */
	unsigned line, column;
	enum policy_per per;
	char key[QUALIFIED_LEN_MAX + 1]; /* the share, VM, tenant or host; "" for a lease and for all */
	struct policy_amounts
	    amounts; /* rates and floors, or counts: what stands in one line and is counted differently comes as two */
};

/* The limits that apply, in the order of files and lines: how many there are, of which the first POLICY_LIMITS_MOST are in `limits`. All of them hold.
 * Enforcement is not policy's work; whoever enforces must not let through what has more limits than that. */
#define POLICY_LIMITS_MOST 8
size_t policy_limits(const struct policy *policy, const struct policy_request *request,
    struct policy_limit limits[static POLICY_LIMITS_MOST]);

#endif
