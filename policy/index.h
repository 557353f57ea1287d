/* SPDX-License-Identifier: Apache-2.0
 *
 * The index over scopes: of ten thousand rules, the few that a request can concern.
 *
 * A scope is filed where the fewest others are: under the literal names of its shares, its VMs or its hosts (if it names
 * only literals there), or in the list of its shares' tenant, or in the list of all tenants. A request looks in the places of
 * its own three names and its share's tenant; so scopes come in no order, and one may come twice.
 */
#ifndef NETBUS_POLICY_INDEX_H
#define NETBUS_POLICY_INDEX_H

#include "policy/rules.h"

/* A request as the index and the matchers need it. */
struct query {
	const struct policy_request *request;
	const char *name[DIMENSIONS];
	size_t length[DIMENSIONS];
	uint32_t atom[DIMENSIONS]; /* NO_ATOM: no file has it as a literal */
	uint32_t tenant;           /* of the share */
	unsigned verb;             /* number of its bit */
	bool timed;
};

/* False when a name is missing or malformed, or the verb is none: such a request matches nothing. */
bool query_init(struct query *query, const struct policy *policy, const struct policy_request *request, bool timed);
/* True when all three selections match. */
bool scope_match(const struct scope *scope, const struct query *query);

/* Loading: who has which literal, and all tenants; once, before the first index_build(). False when memory is out. */
bool index_names(struct policy *policy);
bool index_build(struct index *index, struct policy *policy, struct scope *const *scopes, size_t count);

typedef void index_visit(const struct scope *scope, const struct query *query, void *context);
/* Visits the scopes that may match; each must still be asked. */
void index_each(const struct index *index, const struct policy *policy, const struct query *query, index_visit *visit,
    void *context);

#endif
