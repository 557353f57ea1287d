/* SPDX-License-Identifier: Apache-2.0
 *
 * The index over scopes: of ten thousand rules, the few that a request can concern.
 *
 * A scope is filed in one dimension, by its shares, VMs or hosts, where it has the fewest others for company: there under each literal name that it
 * takes, and under what each of its globs begins with ("acme/web-" of "acme/web-*", "acme/" of all of a tenant, "" of all). A request looks under its
 * own three names and under all that they begin with; so scopes come in no order, and one may come twice.
 */
#ifndef NETBUS_POLICY_INDEX_H
#define NETBUS_POLICY_INDEX_H

#include "policy/rules.h"

/* A request as the index and the matchers need it. */
struct query {
	const struct policy_request *request;
	const char *name[DIMENSIONS];
	size_t length[DIMENSIONS];
	uint32_t atom[DIMENSIONS];                          /* NO_ATOM: no file has it as a literal */
	uint32_t prefix[DIMENSIONS][QUALIFIED_LEN_MAX + 1]; /* numbers of those that it begins with */
	size_t prefix_count[DIMENSIONS];
	unsigned verb; /* number of its bit */
	bool timed;
};

/* False when a name is missing or malformed, or the verb is none: such a request matches nothing. */
bool query_init(struct query *query, const struct policy *policy, const struct policy_request *request, bool timed);
/* True when all three selections match. */
bool scope_match(const struct scope *scope, const struct query *query);
/* Verb, mode, scope and time. */
bool rule_matches(const struct rule *rule, const struct query *query);

/* Loading: which selector has which literals and prefixes; once, before the first index_build(). False when memory is out. */
bool index_names(struct policy *policy);
bool index_build(struct index *index, struct policy *policy, struct scope *const *scopes, size_t count);

typedef void index_visit(const struct scope *scope, const struct query *query, void *context);
/* Visits the scopes that may match; each must still be asked. */
void index_each(const struct index *index, const struct query *query, index_visit *visit, void *context);

#endif
