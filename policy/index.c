/* SPDX-License-Identifier: Apache-2.0
 *
 * Building and asking the index (policy/index.h). Selectors, not rules, are listed under names, so that the size is that of the files and not rules times
 * members.
 */
#include "policy/index.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"

/* ---- what the names begin with that a selector takes besides its literals ---- */

static bool
add_prefix(struct policy *policy, enum dimension d, const char *text, size_t length, uint32_t *prefixes, size_t *count)
{
	uint32_t number = atoms_add(&policy->prefixes[d], &policy->arena, text, length);

	if (number == NO_ATOM)
		return false;
	for (size_t i = 0; i < *count; i++)
		if (prefixes[i] == number)
			return true;
	prefixes[(*count)++] = number;
	return true;
}

static bool
find_prefixes(struct policy *policy, enum dimension d, struct selector *selector)
{
	uint32_t *prefixes = arena_array(&policy->arena, selector->glob_count + 2, sizeof *prefixes);
	bool done = prefixes != NULL;

	selector->prefixes = prefixes;
	if (done && selector->any)
		done = add_prefix(policy, d, "", 0, prefixes, &selector->prefix_count);
	for (size_t i = 0; done && i < selector->glob_count; i++)
		done = add_prefix(
		    policy, d, selector->globs[i].text, selector->globs[i].prefix, prefixes, &selector->prefix_count);
	if (done && selector->traits)
		done = add_prefix(policy, d, selector->traits->prefix, strlen(selector->traits->prefix), prefixes,
		    &selector->prefix_count);
	return done;
}

static void
list_lengths(struct policy *policy, enum dimension d)
{
	bool there[QUALIFIED_LEN_MAX + 1] = {false};

	for (size_t i = 0; i < policy->prefixes[d].count; i++)
		there[policy->prefixes[d].at[i].length] = true;
	for (size_t length = 0; length <= QUALIFIED_LEN_MAX; length++)
		if (there[length])
			policy->prefix_lengths[d][policy->prefix_length_count[d]++] = (uint8_t)length;
}

bool
index_names(struct policy *policy)
{
	for (enum dimension d = 0; d < DIMENSIONS; d++) {
		for (size_t s = 0; s < policy->selector_count[d]; s++)
			if (!find_prefixes(policy, d, policy->selectors[d][s]))
				return false;
		list_lengths(policy, d);
	}
	return true;
}

/* ---- where each scope is filed ---- */

/* How many scopes a request would meet; freed when the index stands. */
struct census {
	uint64_t *cost[DIMENSIONS]; /* by selector: at the busiest of its names and prefixes */
	uint8_t *places;            /* by scope: the dimension in which it is filed */
};

static void
census_clear(struct census *census)
{
	for (enum dimension d = 0; d < DIMENSIONS; d++)
		free(census->cost[d]);
	free(census->places);
}

static void
add_crowd(uint64_t *crowd, const uint32_t *numbers, size_t count, uint64_t users)
{
	for (size_t i = 0; i < count; i++)
		crowd[numbers[i]] += users;
}

static uint64_t
busiest(const uint64_t *crowd, const uint32_t *numbers, size_t count)
{
	uint64_t most = 0;

	for (size_t i = 0; i < count; i++)
		if (crowd[numbers[i]] > most)
			most = crowd[numbers[i]];
	return most;
}

static bool
count_dimension(
    const struct policy *policy, enum dimension d, struct scope *const *scopes, size_t count, uint64_t *cost)
{
	AUTO_FREE uint64_t *users = calloc(policy->selector_count[d] + 1, sizeof *users);
	AUTO_FREE uint64_t *at_name = calloc(policy->names[d].count + 1, sizeof *at_name);
	AUTO_FREE uint64_t *at_prefix = calloc(policy->prefixes[d].count + 1, sizeof *at_prefix);

	if (users == NULL || at_name == NULL || at_prefix == NULL)
		return false;
	for (size_t i = 0; i < count; i++)
		for (size_t p = 0; p < scopes[i]->of[d].count; p++)
			users[scopes[i]->of[d].parts[p]->number]++;
	for (size_t s = 0; s < policy->selector_count[d]; s++) {
		const struct selector *selector = policy->selectors[d][s];

		add_crowd(at_name, selector->atoms, selector->atom_count, users[s]);
		add_crowd(at_prefix, selector->prefixes, selector->prefix_count, users[s]);
	}
	for (size_t s = 0; s < policy->selector_count[d]; s++) {
		const struct selector *selector = policy->selectors[d][s];
		uint64_t names = busiest(at_name, selector->atoms, selector->atom_count);
		uint64_t prefixes = busiest(at_prefix, selector->prefixes, selector->prefix_count);

		cost[s] = names > prefixes ? names : prefixes;
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
choose_place(const struct scope *scope, const struct census *census)
{
	uint64_t least = UINT64_MAX;
	uint8_t place = 0;

	for (enum dimension d = 0; d < DIMENSIONS; d++) {
		uint64_t cost = selection_cost(&scope->of[d], census->cost[d]);

		if (cost < least) {
			least = cost;
			place = (uint8_t)d;
		}
	}
	return place;
}

static bool
take_census(const struct policy *policy, struct scope *const *scopes, size_t count, struct census *census)
{
	census->places = calloc(count + 1, 1);
	if (census->places == NULL)
		return false;
	for (enum dimension d = 0; d < DIMENSIONS; d++) {
		census->cost[d] = calloc(policy->selector_count[d] + 1, sizeof *census->cost[d]);
		if (census->cost[d] == NULL || !count_dimension(policy, d, scopes, count, census->cost[d]))
			return false;
	}
	for (size_t i = 0; i < count; i++)
		census->places[i] = choose_place(scopes[i], census);
	return true;
}

/* ---- the lists ---- */

static uint32_t
only_atom(const struct selection *selection)
{
	const struct selector *selector = selection->parts[0];

	if (selection->count != 1 || selector->prefix_count || selector->atom_count != 1)
		return MANY_ATOMS;
	return selector->atoms[0];
}

static struct entry
entry_of(const struct scope *scope)
{
	struct entry entry = {.scope = scope, .verbs = scope->verbs};

	for (enum dimension d = 0; d < DIMENSIONS; d++)
		entry.only[d] = only_atom(&scope->of[d]);
	return entry;
}

/* Counts (`fill` false) or puts the scope into the list of each selector of its place. */
static void
file_scope(struct index *index, const struct scope *scope, uint8_t place, bool fill)
{
	for (size_t p = 0; p < scope->of[place].count; p++) {
		struct entry_list *list = &index->filed[place][scope->of[place].parts[p]->number];

		if (fill)
			list->at[list->count] = entry_of(scope);
		list->count++;
	}
}

static bool
file_all(struct index *index, struct policy *policy, struct scope *const *scopes, size_t count, const uint8_t *places)
{
	for (enum dimension d = 0; d < DIMENSIONS; d++) {
		index->filed[d] = arena_array(&policy->arena, policy->selector_count[d], sizeof *index->filed[d]);
		if (index->filed[d] == NULL)
			return false;
	}
	for (size_t i = 0; i < count; i++)
		file_scope(index, scopes[i], places[i], false);
	for (enum dimension d = 0; d < DIMENSIONS; d++) {
		for (size_t s = 0; s < policy->selector_count[d]; s++) {
			struct entry_list *list = &index->filed[d][s];

			list->at = list->count ? arena_array(&policy->arena, list->count, sizeof *list->at) : NULL;
			if (list->count && list->at == NULL)
				return false;
			list->count = 0;
		}
	}
	for (size_t i = 0; i < count; i++)
		file_scope(index, scopes[i], places[i], true);
	return true;
}

/* ---- names and prefixes -> lists ---- */

static void
shelve(struct shelf *shelves, const uint32_t *numbers, size_t count, const struct entry_list *list, bool fill)
{
	for (size_t i = 0; i < count; i++) {
		struct shelf *shelf = &shelves[numbers[i]];

		if (fill && shelf->count == 0)
			shelf->first = list;
		else if (fill)
			shelf->more[shelf->count - 1] = list;
		shelf->count++;
	}
}

static void
shelve_all(struct index *index, const struct policy *policy, enum dimension d, bool fill)
{
	for (size_t s = 0; s < policy->selector_count[d]; s++) {
		const struct selector *selector = policy->selectors[d][s];
		const struct entry_list *list = &index->filed[d][s];

		if (list->count == 0)
			continue;
		shelve(index->by_name[d], selector->atoms, selector->atom_count, list, fill);
		shelve(index->by_prefix[d], selector->prefixes, selector->prefix_count, list, fill);
	}
}

/* Room for what was counted; the counts begin anew. */
static bool
make_room(struct arena *arena, struct shelf *shelves, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (shelves[i].count > 1)
			shelves[i].more = arena_array(arena, shelves[i].count - 1, sizeof(struct entry_list *));
		if (shelves[i].count > 1 && shelves[i].more == NULL)
			return false;
		shelves[i].count = 0;
	}
	return true;
}

static bool
build_shelves(struct index *index, struct policy *policy, enum dimension d)
{
	struct arena *arena = &policy->arena;
	size_t names = policy->names[d].count, prefixes = policy->prefixes[d].count;

	index->by_name[d] = arena_array(arena, names, sizeof *index->by_name[d]);
	index->by_prefix[d] = arena_array(arena, prefixes, sizeof *index->by_prefix[d]);
	if (index->by_name[d] == NULL || index->by_prefix[d] == NULL)
		return false;
	shelve_all(index, policy, d, false);
	if (!make_room(arena, index->by_name[d], names) || !make_room(arena, index->by_prefix[d], prefixes))
		return false;
	shelve_all(index, policy, d, true);
	return true;
}

bool
index_build(struct index *index, struct policy *policy, struct scope *const *scopes, size_t count)
{
	struct census census = {0};
	bool done =
	    take_census(policy, scopes, count, &census) && file_all(index, policy, scopes, count, census.places);

	for (enum dimension d = 0; done && d < DIMENSIONS; d++)
		done = build_shelves(index, policy, d);
	census_clear(&census);
	return done;
}

/* ---- asking ---- */

static bool
may_match(const struct entry *entry, const struct query *query)
{
	for (enum dimension d = 0; d < DIMENSIONS; d++)
		if (entry->only[d] != MANY_ATOMS && entry->only[d] != query->atom[d])
			return false;
	return entry->verbs >> query->verb & 1;
}

static void
visit_list(const struct entry_list *list, const struct query *query, index_visit *visit, void *context)
{
	for (size_t i = 0; i < list->count; i++)
		if (may_match(&list->at[i], query))
			visit(list->at[i].scope, query, context);
}

static void
visit_shelf(const struct shelf *shelf, const struct query *query, index_visit *visit, void *context)
{
	if (shelf->count > 0)
		visit_list(shelf->first, query, visit, context);
	for (size_t i = 1; i < shelf->count; i++)
		visit_list(shelf->more[i - 1], query, visit, context);
}

void
index_each(const struct index *index, const struct query *query, index_visit *visit, void *context)
{
	for (enum dimension d = 0; d < DIMENSIONS; d++) {
		if (query->atom[d] != NO_ATOM)
			visit_shelf(&index->by_name[d][query->atom[d]], query, visit, context);
		for (size_t p = 0; p < query->prefix_count[d]; p++)
			visit_shelf(&index->by_prefix[d][query->prefix[d][p]], query, visit, context);
	}
}
