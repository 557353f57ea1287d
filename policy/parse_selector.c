/* SPDX-License-Identifier: Apache-2.0
 *
 * Selectors: a set, and the literals and globs that a rule names itself, become one `struct selector` each; a rule refers to
 * sets and never copies them, so that many rules over a large set cost no more than the set.
 */
#include <stdint.h>
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

bool
selector_add(struct parse *parse, enum dimension dimension, const struct scoped_name *name, struct filling *filling)
{
	struct selector *selector = filling->selector;
	struct arena *arena = &parse->policy->arena;
	bool done;

	if (name->any) {
		selector->any = true;
		return true;
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
	if (!done)
		parse_out_of_memory(parse);
	return done;
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

bool
parse_members(struct parse *parse, const struct yaml *node, enum dimension dimension, const struct set *self,
    struct selection *selection)
{
	bool is_list = node->kind == YAML_LIST, good = true;
	size_t members = is_list ? node->count : 1;
	struct set **sets = arena_array(&parse->policy->arena, members, sizeof *sets);
	struct filling own = {0};

	if (sets == NULL) {
		parse_out_of_memory(parse);
		return false;
	}
	selection->sets = sets;
	for (const struct yaml *member = is_list ? node->first : node; member; member = is_list ? member->next : NULL) {
		struct set *set = parse_find_set(parse, dimension, member);
		struct scoped_name name;

		if (set && set != self) {
			sets[selection->set_count++] = set;
			continue;
		}
		if (own.selector == NULL && !selector_begin(parse, dimension, members, &own))
			return false;
		good &=
		    parse_scoped_name(parse, member, dimension, &name) && selector_add(parse, dimension, &name, &own);
	}
	if (own.selector)
		selector_end(&own);
	selection->own = own.selector;
	return good;
}

/* ---- unions of sets ---- */

bool
selection_sets(struct parse *parse, const struct yaml *node, enum dimension dimension,
    const struct selection *selection, struct set *sets[static POLICY_UNION_MAX], size_t *count)
{
	parse->stamp++;
	*count = 0;
	for (size_t i = 0; i < selection->set_count; i++) {
		for (size_t k = 0; k < selection->sets[i]->below_count; k++) {
			struct set *set = selection->sets[i]->below[k];

			if (set->stamp == parse->stamp)
				continue;
			set->stamp = parse->stamp;
			if (*count == POLICY_UNION_MAX) {
				FAULT(parse, node, "%s: more than %d sets, with those that stand in sets",
				    section_words[dimension], POLICY_UNION_MAX);
				return false;
			}
			sets[(*count)++] = set;
		}
	}
	return true;
}

bool
selection_unite(struct parse *parse, struct set *const *sets, size_t count, struct selection *selection)
{
	const struct selector **parts;

	if (selection->own == NULL && selection->set_count == 1) { /* many rules over one set share what it comes to */
		selection->parts = selection->sets[0]->members.parts;
		selection->count = selection->sets[0]->members.count;
		return true;
	}
	parts = arena_array(&parse->policy->arena, count + 1, sizeof *parts);
	if (parts == NULL) {
		parse_out_of_memory(parse);
		return false;
	}
	selection->parts = parts;
	if (selection->own)
		parts[selection->count++] = selection->own;
	for (size_t i = 0; i < count; i++)
		if (sets[i]->members.own)
			parts[selection->count++] = sets[i]->members.own;
	return true;
}

static bool
parse_selection(struct parse *parse, const struct yaml *map, enum dimension dimension, struct selection *selection)
{
	const struct yaml *node = yaml_find(map, section_words[dimension]);
	const char *what = section_words[dimension];
	struct set *sets[POLICY_UNION_MAX];
	size_t count;

	if (node == NULL) {
		selection->parts = &parse->everything[dimension];
		selection->count = 1;
		selection->own = parse->everything[dimension];
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
	return parse_members(parse, node, dimension, NULL, selection) &&
	       selection_sets(parse, node, dimension, selection, sets, &count) &&
	       selection_unite(parse, sets, count, selection);
}

bool
parse_scope(struct parse *parse, const struct yaml *map, struct scope *scope)
{
	bool good = true;

	for (enum dimension d = 0; d < DIMENSIONS; d++)
		good &= parse_selection(parse, map, d, &scope->of[d]);
	return good;
}
