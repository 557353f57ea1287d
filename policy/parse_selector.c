/* SPDX-License-Identifier: Apache-2.0
 *
 * Selectors: a set, and the literals and globs that a rule names itself, become one `struct selector` each; a rule refers to
 * sets and never copies them, so that many rules over a large set cost no more than the set.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/parse.h"

static struct selector *
selector_new(struct parse *parse, enum dimension dimension)
{
	struct policy *policy = parse->policy;
	size_t *count = &policy->selector_count[dimension];
	struct selector **all = arena_grow(&policy->arena, policy->selectors[dimension], *count,
	    &policy->selector_room[dimension], sizeof(struct selector *));
	struct selector *selector = arena_take(&policy->arena, sizeof *selector);

	if (all == NULL || selector == NULL) {
		parse_out_of_memory(parse);
		return NULL;
	}
	policy->selectors[dimension] = all;
	selector->number = (uint32_t)*count;
	all[(*count)++] = selector;
	return selector;
}

bool
selector_begin(struct parse *parse, enum dimension dimension, size_t members, struct filling *filling)
{
	struct arena *arena = &parse->policy->arena;

	*filling = (struct filling){
	    .selector = selector_new(parse, dimension),
	    .atoms = arena_array(arena, members, sizeof(uint32_t)),
	    .globs = arena_array(arena, members, sizeof(struct glob)),
	};
	if (filling->selector == NULL)
		return false;
	if (filling->atoms == NULL || filling->globs == NULL) {
		parse_out_of_memory(parse);
		return false;
	}
	filling->selector->atoms = filling->atoms;
	filling->selector->globs = filling->globs;
	return true;
}

/* Keeps `tenant` only while all members are of one and the same. */
static bool
note_tenant(struct parse *parse, struct filling *filling, const char *text)
{
	struct selector *selector = filling->selector;
	size_t length = strcspn(text, "/");

	if (filling->several_tenants)
		return true;
	if (text[length] != '/' || memchr(text, '*', length) || memchr(text, '?', length) ||
	    (selector->tenant && (strlen(selector->tenant) != length || memcmp(selector->tenant, text, length) != 0))) {
		filling->several_tenants = true;
		selector->tenant = NULL;
		return true;
	}
	if (selector->tenant == NULL)
		selector->tenant = arena_text(&parse->policy->arena, text, length);
	return selector->tenant != NULL;
}

bool
selector_add(struct parse *parse, enum dimension dimension, const struct scoped_name *name, struct filling *filling)
{
	struct selector *selector = filling->selector;
	struct arena *arena = &parse->policy->arena;
	bool done;

	if (name->any) {
		selector->any = true;
		return note_tenant(parse, filling, "*");
	}
	if (is_glob(name->text)) {
		struct glob *glob = &filling->globs[selector->glob_count++];

		*glob = glob_compile(arena_text(arena, name->text, strlen(name->text)) ?: "");
		done = glob->length > 0;
	} else {
		uint32_t atom = atoms_add(&parse->policy->names[dimension], arena, name->text, strlen(name->text));

		filling->atoms[selector->atom_count++] = atom;
		done = atom != NO_ATOM;
	}
	if (!done || !note_tenant(parse, filling, name->text)) {
		parse_out_of_memory(parse);
		return false;
	}
	return true;
}

static int
by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

void
selector_end(struct filling *filling)
{
	struct selector *selector = filling->selector;
	size_t kept = 0;

	if (selector->atom_count < 2)
		return;
	qsort(filling->atoms, selector->atom_count, sizeof(uint32_t), by_number);
	for (size_t i = 0; i < selector->atom_count; i++)
		if (i == 0 || filling->atoms[i] != filling->atoms[kept - 1])
			filling->atoms[kept++] = filling->atoms[i];
	selector->atom_count = kept;
}

bool
parse_member_count(struct parse *parse, const struct yaml *list, const char *what)
{
	if (list->count > POLICY_MEMBERS_MAX)
		FAULT(parse, list, "%s: %zu members; at most %d are allowed", what, list->count, POLICY_MEMBERS_MAX);
	return list->count <= POLICY_MEMBERS_MAX;
}

/* ---- what a rule or limit selects ---- */

bool
parse_everything(struct parse *parse)
{
	parse->everything = arena_array(&parse->policy->arena, DIMENSIONS, sizeof *parse->everything);
	if (parse->everything == NULL) {
		parse_out_of_memory(parse);
		return false;
	}
	for (enum dimension d = 0; d < DIMENSIONS; d++) {
		const struct yaml star = {.kind = YAML_SCALAR, .text = "*"};
		struct scoped_name name;
		struct filling filling;

		if (!parse_scoped_name(parse, &star, d, &name) || !selector_begin(parse, d, 1, &filling) ||
		    !selector_add(parse, d, &name, &filling))
			return false;
		parse->everything[d] = filling.selector;
	}
	return true;
}

/* Puts the sets that are named into parts, and all else into one selector, the last part. */
static bool
parse_parts(struct parse *parse, const struct yaml *node, enum dimension dimension, struct selection *selection)
{
	size_t members = node->kind == YAML_LIST ? node->count : 1;
	const struct selector **parts = arena_array(&parse->policy->arena, members + 1, sizeof *parts);
	const struct yaml *member = node->kind == YAML_LIST ? node->first : node;
	struct filling own = {0};
	bool good = true;

	if (parts == NULL) {
		parse_out_of_memory(parse);
		return false;
	}
	for (; member; member = node->kind == YAML_LIST ? member->next : NULL) {
		const struct selector *set = parse_find_set(parse, dimension, member);
		struct scoped_name name;

		if (set) {
			parts[selection->count++] = set;
			continue;
		}
		if (own.selector == NULL && !selector_begin(parse, dimension, members, &own))
			return false;
		good &=
		    parse_scoped_name(parse, member, dimension, &name) && selector_add(parse, dimension, &name, &own);
	}
	if (own.selector) {
		selector_end(&own);
		parts[selection->count++] = own.selector;
	}
	selection->parts = parts;
	return good;
}

static bool
parse_selection(struct parse *parse, const struct yaml *map, enum dimension dimension, struct selection *selection)
{
	const struct yaml *node = yaml_find(map, section_words[dimension]);
	const char *what = section_words[dimension];

	if (node == NULL) {
		selection->parts = &parse->everything[dimension];
		selection->count = 1;
		return true;
	}
	if (node->kind != YAML_SCALAR || (node->text[0] == '\0' && !node->quoted)) {
		if (!parse_is_kind(parse, node, YAML_LIST, what) || !parse_member_count(parse, node, what))
			return false;
		if (node->count == 0) {
			FAULT(parse, node,
			    "%s: an empty list matches nothing; name what is meant, or leave '%s' "
			    "out for all",
			    what, what);
			return false;
		}
	}
	return parse_parts(parse, node, dimension, selection);
}

bool
parse_scope(struct parse *parse, const struct yaml *map, struct scope *scope)
{
	bool good = true;

	for (enum dimension d = 0; d < DIMENSIONS; d++)
		good &= parse_selection(parse, map, d, &scope->of[d]);
	if (!good)
		return false;
	scope->tenant = scope->of[BY_SHARE].parts[0]->tenant;
	for (size_t i = 1; i < scope->of[BY_SHARE].count; i++) {
		const char *tenant = scope->of[BY_SHARE].parts[i]->tenant;

		if (scope->tenant && (tenant == NULL || strcmp(tenant, scope->tenant) != 0))
			scope->tenant = NULL;
	}
	return true;
}
