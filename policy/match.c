/* SPDX-License-Identifier: Apache-2.0
 *
 * Does a selector match a request? Names are compared as numbers where the files name them literally, as globs otherwise.
 */
#include <string.h>

#include "policy/index.h"

/* The three names, and that the VM's and the share's have exactly one '/'. */
static bool
take_names(struct query *query, const struct policy_request *request)
{
	query->name[BY_HOST] = request->host;
	query->name[BY_VM] = request->vm;
	query->name[BY_SHARE] = request->share;
	for (enum dimension d = 0; d < DIMENSIONS; d++) {
		const char *slash;

		if (query->name[d] == NULL)
			return false;
		slash = strchr(query->name[d], '/');
		if (d == BY_HOST ? slash != NULL : slash == NULL || strchr(slash + 1, '/'))
			return false;
		query->length[d] = strlen(query->name[d]);
	}
	return true;
}

/* The numbers of the prefixes that a name begins with; it is hashed once from front to back. Returns its hash. */
static uint32_t
find_prefixes(struct query *query, const struct policy *policy, enum dimension d)
{
	const char *name = query->name[d];
	uint32_t hash = ATOM_HASH_OF_NOTHING, found;
	size_t hashed = 0, count = 0;

	for (size_t i = 0; i < policy->prefix_length_count[d]; i++) {
		size_t length = policy->prefix_lengths[d][i];

		if (length > query->length[d])
			break;
		hash = atom_hash(hash, name + hashed, length - hashed);
		hashed = length;
		found = atoms_find_hashed(&policy->prefixes[d], name, length, hash);
		if (found != NO_ATOM)
			query->prefix[d][count++] = found;
	}
	query->prefix_count[d] = count;
	return atom_hash(hash, name + hashed, query->length[d] - hashed);
}

/* The tables of names are larger than the cache: all three places are asked for before the first is needed. */
static void
find_atoms(struct query *query, const struct policy *policy)
{
	uint32_t hash[DIMENSIONS];

	for (enum dimension d = 0; d < DIMENSIONS; d++) {
		hash[d] = find_prefixes(query, policy, d);
		atoms_expect(&policy->names[d], hash[d]);
	}
	for (enum dimension d = 0; d < DIMENSIONS; d++)
		query->atom[d] = atoms_find_hashed(&policy->names[d], query->name[d], query->length[d], hash[d]);
}

bool
query_init(struct query *query, const struct policy *policy, const struct policy_request *request, bool timed)
{
	query->request = request;
	query->timed = timed;
	if (__builtin_popcount(request->verb) != 1 || request->verb >> VERB_COUNT)
		return false;
	query->verb = (unsigned)__builtin_ctz(request->verb);
	if (!take_names(query, request))
		return false;
	find_atoms(query, policy);
	return true;
}

static bool
has_atom(const struct selector *selector, uint32_t atom)
{
	size_t low = 0, high = selector->atom_count;

	if (atom == NO_ATOM)
		return false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (selector->atoms[middle] == atom)
			return true;
		if (selector->atoms[middle] < atom)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static bool
has_label(const struct policy_request *request, const struct policy_label *wanted)
{
	for (size_t i = 0; i < request->label_count; i++)
		if (strcmp(request->labels[i].key, wanted->key) == 0)
			return strcmp(request->labels[i].value, wanted->value) == 0;
	return false;
}

static bool
traits_match(const struct selector *selector, const struct policy_request *request)
{
	const struct traits *traits = selector->traits;

	if (strncmp(request->share, traits->prefix, strlen(traits->prefix)) != 0)
		return false;
	if (traits->class && (request->share_class == NULL || strcmp(request->share_class, traits->class) != 0))
		return false;
	for (size_t i = 0; i < traits->label_count; i++)
		if (!has_label(request, &traits->labels[i]))
			return false;
	return true;
}

static bool
selector_match(const struct selector *selector, enum dimension d, const struct query *query)
{
	if (selector->any || has_atom(selector, query->atom[d]))
		return true;
	for (size_t i = 0; i < selector->glob_count; i++)
		if (glob_match(&selector->globs[i], query->name[d], query->length[d]))
			return true;
	return selector->traits && traits_match(selector, query->request);
}

static bool
selection_match(const struct selection *selection, enum dimension d, const struct query *query)
{
	for (size_t p = 0; p < selection->count; p++)
		if (selector_match(selection->parts[p], d, query))
			return true;
	return false;
}

bool
scope_match(const struct scope *scope, const struct query *query)
{
	/* A tenant's rule concerns that tenant's VMs and shares only: its selectors were scoped when they were read. */
	for (int d = DIMENSIONS - 1; d >= 0; d--)
		if (!selection_match(&scope->of[d], (enum dimension)d, query))
			return false;
	return true;
}
