/* SPDX-License-Identifier: Apache-2.0
 *
 * A loaded policy from the inside: what the files became, ready to be matched. Written by the loader (policy/parse.h),
 * then frozen; everything lies in the policy's arena.
 */
#ifndef NETBUS_POLICY_RULES_H
#define NETBUS_POLICY_RULES_H

#include "policy/arena.h"
#include "policy/atoms.h"
#include "policy/glob.h"
#include "policy/policy.h"
#include "policy/when.h"

/* In all files together, where not said otherwise. */
#define POLICY_FILES_MAX   1000
#define POLICY_RULES_MAX   100000
#define POLICY_LIMITS_MAX  10000
#define POLICY_TESTS_MAX   10000
#define POLICY_SETS_MAX    1000  /* of one kind in one file */
#define POLICY_MEMBERS_MAX 10000 /* of one set or list */
#define POLICY_LABELS_MAX  16    /* of one set or test */
#define POLICY_VALUE_MAX   63    /* bytes of a label's value */

#define VERB_COUNT 7

/* The three names of a request that selectors speak of, in the order in which an index prefers them. */
enum dimension { BY_SHARE, BY_VM, BY_HOST, DIMENSIONS };

/* Shares by what they are: {class, labels}; both must hold. */
struct traits {
	const char *class; /* or NULL */
	const struct policy_label *labels;
	size_t label_count;
};

/* One set, or the literals and globs that a rule names itself. Matches when any of its members does. */
struct selector {
	uint32_t number;       /* among those of its dimension */
	bool any;              /* "*" where it means everything */
	const char *tenant;    /* the one tenant that all members are of, or NULL: several, or any */
	const uint32_t *atoms; /* literals, ascending */
	size_t atom_count;
	const struct glob *globs;
	size_t glob_count;
	const struct traits *traits; /* or NULL */
};

/* What a rule says of one dimension: the sets it names and its own selector, one of which must match. */
struct selection {
	const struct selector *const *parts;
	size_t count;
};

/* Whom a rule or a limit speaks of. */
struct scope {
	struct selection of[DIMENSIONS];
	const char *tenant; /* of all shares it can match, or NULL */
	uint8_t verbs;      /* enum policy_verb */
};

struct rule {
	struct scope scope;
	uint8_t demands; /* enum policy_demand */
	bool deny, observe, has_mode;
	enum policy_mode mode;
	const struct when *when; /* or NULL: always */
	int64_t max_ttl_us;      /* 0: none */
	const char *id, *file;
	unsigned line, column;
};

struct limit {
	struct scope scope;
	struct policy_amounts amounts;
	enum policy_per rates_per, counts_per;
	const char *file;
	unsigned line, column;
};

/* The scope is the first member, so that an index over scopes serves both. */
static inline const struct rule *
rule_of(const struct scope *scope)
{
	_Static_assert(offsetof(struct rule, scope) == 0, "a rule begins with its scope");
	return (const struct rule *)(const void *)scope;
}

static inline const struct limit *
limit_of(const struct scope *scope)
{
	_Static_assert(offsetof(struct limit, scope) == 0, "a limit begins with its scope");
	return (const struct limit *)(const void *)scope;
}

/* A line of `tests`. */
struct policy_test {
	struct policy_request request;
	struct policy_facts facts;
	bool timed; /* `at` was given */
	bool allow;
	const char *rule; /* that must decide, or NULL */
	const char *file;
	unsigned line, column, number; /* number: from 1, in its file */
};

struct scope_list {
	const struct scope **at;
	size_t count;
};

struct selector_list {
	const struct selector **at;
	size_t count;
};

/* Finds the few scopes that can match a request (policy/index.c). */
struct index {
	struct scope_list *filed[DIMENSIONS]; /* by selector number */
	struct scope_list *scanned;           /* by tenant number * VERB_COUNT + verb; after the last tenant: any */
};

struct policy {
	struct arena arena;
	uint64_t generation;
	struct atoms names[DIMENSIONS], tenants;
	struct selector **selectors[DIMENSIONS];
	size_t selector_count[DIMENSIONS], selector_room[DIMENSIONS];
	struct selector_list *named[DIMENSIONS]; /* by atom: who has it as a literal */
	struct rule **rules;                     /* by id, in C order */
	size_t rule_count, rule_room;
	struct limit **limits;
	size_t limit_count, limit_room;
	struct policy_test **tests;
	size_t test_count, test_room;
	struct index rule_index, limit_index;
};

/* Decides as policy_decide() does. Without a time, limits of time on allows count as open and those on denies as closed:
 * "is this ever allowed?" */
void policy_decide_at(const struct policy *policy, const struct policy_request *request, bool timed,
    const struct policy_facts *facts, struct policy_verdict *verdict);

/* Runs all tests of the files; one fault for each that fails. */
void policy_run_tests(const struct policy *policy, struct faults *faults);

#endif
