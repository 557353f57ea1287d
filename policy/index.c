/* SPDX-License-Identifier: Apache-2.0
 *
 * Building and asking the index (policy/index.h). Selectors, not rules, are listed under literals, so that the size is that of
 * the files and not rules times members.
 */
#include "policy/index.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"

/* ---- literals -> selectors, and the tenants of shares ---- */

static bool
name_dimension(struct policy *policy, enum dimension d)
{
	size_t atoms = policy->names[d].count;
	struct selector_list *lists = arena_array(&policy->arena, atoms, sizeof *lists);

	policy->named[d] = lists;
	if (lists == NULL)
		return false;
	for (size_t s = 0; s < policy->selector_count[d]; s++)
		for (size_t i = 0; i < policy->selectors[d][s]->atom_count; i++)
			lists[policy->selectors[d][s]->atoms[i]].count++;
	for (size_t a = 0; a < atoms; a++) {
		lists[a].at = arena_array(&policy->arena, lists[a].count, sizeof *lists[a].at);
		if (lists[a].at == NULL)
			return false;
		lists[a].count = 0;
	}
	for (size_t s = 0; s < policy->selector_count[d]; s++) {
		const struct selector *selector = policy->selectors[d][s];

		for (size_t i = 0; i < selector->atom_count; i++) {
			struct selector_list *list = &lists[selector->atoms[i]];

			list->at[list->count++] = selector;
		}
	}
	return true;
}

bool
index_names(struct policy *policy)
{
	for (enum dimension d = 0; d < DIMENSIONS; d++)
		if (!name_dimension(policy, d))
			return false;
	for (size_t s = 0; s < policy->selector_count[BY_SHARE]; s++) {
		const char *tenant = policy->selectors[BY_SHARE][s]->tenant;

		if (tenant && atoms_add(&policy->tenants, &policy->arena, tenant, strlen(tenant)) == NO_ATOM)
			return false;
	}
	return true;
}

/* ---- where each scope is filed ---- */

#define NOWHERE UINT64_MAX

enum { FILED_BY_TENANT = DIMENSIONS, FILED_FOR_ALL };

/* How many scopes a request would meet at each place; freed when the index stands. */
struct census {
	uint64_t *cost[DIMENSIONS]; /* by selector */
	uint64_t *tenants;          /* by tenant */
	uint8_t *places;            /* by scope: where it is filed */
};

static void
census_clear(struct census *census)
{
	for (enum dimension d = 0; d < DIMENSIONS; d++)
		free(census->cost[d]);
	free(census->tenants);
	free(census->places);
}

/* For each selector, how many scopes share the busiest of its literals. */
static bool
count_dimension(
    const struct policy *policy, enum dimension d, struct scope *const *scopes, size_t count, uint64_t *cost)
{
	AUTO_FREE uint64_t *users = calloc(policy->selector_count[d] + 1, sizeof *users);
	AUTO_FREE uint64_t *crowd = calloc(policy->names[d].count + 1, sizeof *crowd);

	if (users == NULL || crowd == NULL)
		return false;
	for (size_t i = 0; i < count; i++)
		for (size_t p = 0; p < scopes[i]->of[d].count; p++)
			users[scopes[i]->of[d].parts[p]->number]++;
	for (size_t s = 0; s < policy->selector_count[d]; s++)
		for (size_t i = 0; i < policy->selectors[d][s]->atom_count; i++)
			crowd[policy->selectors[d][s]->atoms[i]] += users[s];
	for (size_t s = 0; s < policy->selector_count[d]; s++) {
		const struct selector *selector = policy->selectors[d][s];

		for (size_t i = 0; i < selector->atom_count; i++)
			if (crowd[selector->atoms[i]] > cost[s])
				cost[s] = crowd[selector->atoms[i]];
		if (selector->any || selector->glob_count || selector->traits)
			cost[s] = NOWHERE;
	}
	return true;
}

static uint64_t
selection_cost(const struct selection *selection, const uint64_t *cost)
{
	uint64_t most = 0;

	for (size_t p = 0; p < selection->count; p++)
		if (cost[selection->parts[p]->number] > most)
			most = cost[selection->parts[p]->number];
	return most;
}

static uint8_t
choose_place(const struct policy *policy, const struct scope *scope, const struct census *census)
{
	uint64_t least = NOWHERE;
	uint8_t place = FILED_FOR_ALL;

	for (enum dimension d = 0; d < DIMENSIONS; d++) {
		uint64_t cost = selection_cost(&scope->of[d], census->cost[d]);

		if (cost < least) {
			least = cost;
			place = (uint8_t)d;
		}
	}
	if (scope->tenant &&
	    census->tenants[atoms_find(&policy->tenants, scope->tenant, strlen(scope->tenant))] < least)
		place = FILED_BY_TENANT;
	return place;
}

static bool
take_census(const struct policy *policy, struct scope *const *scopes, size_t count, struct census *census)
{
	census->tenants = calloc(policy->tenants.count + 1, sizeof *census->tenants);
	census->places = calloc(count + 1, 1);
	if (census->tenants == NULL || census->places == NULL)
		return false;
	for (enum dimension d = 0; d < DIMENSIONS; d++) {
		census->cost[d] = calloc(policy->selector_count[d] + 1, sizeof *census->cost[d]);
		if (census->cost[d] == NULL || !count_dimension(policy, d, scopes, count, census->cost[d]))
			return false;
	}
	for (size_t i = 0; i < count; i++)
		if (scopes[i]->tenant)
			census->tenants[atoms_find(&policy->tenants, scopes[i]->tenant, strlen(scopes[i]->tenant))]++;
	for (size_t i = 0; i < count; i++)
		census->places[i] = choose_place(policy, scopes[i], census);
	return true;
}

/* ---- the lists ---- */

/* Counts (`fill` false) or puts the scope into every list of its place. */
static void
file_scope(struct index *index, const struct policy *policy, const struct scope *scope, uint8_t place, bool fill)
{
	struct scope_list *lists;
	size_t tenant = policy->tenants.count;

	if (place < DIMENSIONS) {
		for (size_t p = 0; p < scope->of[place].count; p++) {
			lists = &index->filed[place][scope->of[place].parts[p]->number];
			if (fill)
				lists->at[lists->count] = scope;
			lists->count++;
		}
		return;
	}
	if (place == FILED_BY_TENANT)
		tenant = atoms_find(&policy->tenants, scope->tenant, strlen(scope->tenant));
	lists = &index->scanned[tenant * VERB_COUNT];
	for (unsigned verb = 0; verb < VERB_COUNT; verb++) {
		if (!(scope->verbs >> verb & 1))
			continue;
		if (fill)
			lists[verb].at[lists[verb].count] = scope;
		lists[verb].count++;
	}
}

/* Room for what was counted; the counts begin anew. */
static bool
make_room(struct arena *arena, struct scope_list *lists, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (lists[i].count == 0)
			continue;
		lists[i].at = arena_array(arena, lists[i].count, sizeof *lists[i].at);
		if (lists[i].at == NULL)
			return false;
		lists[i].count = 0;
	}
	return true;
}

static bool
file_all(struct index *index, struct policy *policy, struct scope *const *scopes, size_t count, const uint8_t *places)
{
	size_t scanned = (policy->tenants.count + 1) * VERB_COUNT;

	index->scanned = arena_array(&policy->arena, scanned, sizeof *index->scanned);
	for (enum dimension d = 0; d < DIMENSIONS; d++) {
		index->filed[d] = arena_array(&policy->arena, policy->selector_count[d], sizeof *index->filed[d]);
		if (index->filed[d] == NULL)
			return false;
	}
	if (index->scanned == NULL)
		return false;
	for (size_t i = 0; i < count; i++)
		file_scope(index, policy, scopes[i], places[i], false);
	for (enum dimension d = 0; d < DIMENSIONS; d++)
		if (!make_room(&policy->arena, index->filed[d], policy->selector_count[d]))
			return false;
	if (!make_room(&policy->arena, index->scanned, scanned))
		return false;
	for (size_t i = 0; i < count; i++)
		file_scope(index, policy, scopes[i], places[i], true);
	return true;
}

bool
index_build(struct index *index, struct policy *policy, struct scope *const *scopes, size_t count)
{
	struct census census = {0};
	bool done =
	    take_census(policy, scopes, count, &census) && file_all(index, policy, scopes, count, census.places);

	census_clear(&census);
	return done;
}

/* ---- asking ---- */

static void
visit_list(const struct scope_list *list, const struct query *query, index_visit *visit, void *context)
{
	for (size_t i = 0; i < list->count; i++)
		visit(list->at[i], query, context);
}

void
index_each(const struct index *index, const struct policy *policy, const struct query *query, index_visit *visit,
    void *context)
{
	for (enum dimension d = 0; d < DIMENSIONS; d++) {
		const struct selector_list *selectors =
		    query->atom[d] == NO_ATOM ? NULL : &policy->named[d][query->atom[d]];

		for (size_t s = 0; selectors && s < selectors->count; s++)
			visit_list(&index->filed[d][selectors->at[s]->number], query, visit, context);
	}
	if (query->tenant != NO_ATOM)
		visit_list(&index->scanned[query->tenant * VERB_COUNT + query->verb], query, visit, context);
	visit_list(&index->scanned[policy->tenants.count * VERB_COUNT + query->verb], query, visit, context);
}
