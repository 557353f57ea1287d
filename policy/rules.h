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
#define POLICY_UNION_MAX   256   /* sets that one selector comes to, with those in sets */
#define POLICY_DEPTH_MAX   8     /* sets in sets in ... */
#define POLICY_LABELS_MAX  16    /* of one set or test */
#define POLICY_VALUE_MAX   63    /* bytes of a label's value */

#define VERB_COUNT 7

/* The three names of a request that selectors speak of, in the order in which an index prefers them. */
enum dimension { BY_SHARE, BY_VM, BY_HOST, DIMENSIONS };

/* Shares by what they are: {class, labels}; both must hold. */
struct traits {
	const char *prefix; /* "acme/", that names must begin with, or "" */
	const char *class;  /* or NULL */
	const struct policy_label *labels;
	size_t label_count;
};

/* The literals and globs of one list. Matches when any of them does. */
struct selector {
	uint32_t number;       /* among those of its dimension */
	bool any;              /* "*" where it means everything */
	const uint32_t *atoms; /* literals, ascending */
	size_t atom_count;
	const struct glob *globs;
	size_t glob_count;
	const struct traits *traits; /* or NULL */
	const uint32_t *prefixes;    /* what a name that matches, but is no literal, begins with one of; numbers */
	size_t prefix_count;
};

/* What a list of sets and names comes to: its parts, one of which must match. */
struct selection {
	const struct selector *const *parts;
	size_t count;
	/* As it was written. */
	struct set *const *sets;
	size_t set_count;
	const struct selector *own; /* names and globs between the sets, or NULL */
};

/* A named set; the sets in it are those of its file. */
struct set {
	const char *name;
	struct selection members; /* parts: of all sets below too, each once */
	struct set **below;       /* itself and all sets in it, each once */
	size_t below_count;
	unsigned depth; /* 1: no set in it */
	enum { SET_UNREAD, SET_OPEN, SET_CLOSED } state;
	uint32_t stamp; /* of the last union that took it */
};

/* Whom a rule or a limit speaks of. */
struct scope {
	struct selection of[DIMENSIONS];
	uint8_t verbs; /* enum policy_verb */
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

/* A file as far as its rules, limits and tests do not tell. */
struct source {
	const char *name;
	const char *tenant; /* or NULL: "*" */
	struct set *const *sets[DIMENSIONS];
	size_t set_count[DIMENSIONS];
	const struct selector *const *everything; /* by dimension: what an omitted selector means */
};

/* A scope in a list, and what tells most of those that do not match without a look at it. */
struct entry {
	const struct scope *scope;
	uint32_t only[DIMENSIONS]; /* the one literal that it takes, or MANY_ATOMS */
	uint8_t verbs;
};

#define MANY_ATOMS (NO_ATOM - 1)

struct entry_list {
	struct entry *at;
	size_t count;
};

/* Mostly one list, which is found without a further step. */
struct shelf {
	const struct entry_list *first, **more;
	size_t count; /* of all */
};

/* Finds the few scopes that can match a request (policy/index.c). */
struct index {
	struct entry_list *filed[DIMENSIONS]; /* by selector number */
	struct shelf *by_name[DIMENSIONS];    /* by atom: the lists of the selectors that have it */
	struct shelf *by_prefix[DIMENSIONS];  /* by prefix number */
};

struct policy {
	struct arena arena;
	uint64_t generation;
	struct source *sources; /* in C order of their names */
	size_t source_count, source_room;
	struct atoms names[DIMENSIONS], prefixes[DIMENSIONS];
	uint8_t prefix_lengths[DIMENSIONS][QUALIFIED_LEN_MAX + 1]; /* those that there are, ascending */
	size_t prefix_length_count[DIMENSIONS];
	struct selector **selectors[DIMENSIONS];
	size_t selector_count[DIMENSIONS], selector_room[DIMENSIONS];
	struct rule **rules; /* by id, in C order */
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
